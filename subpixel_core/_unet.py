"""The residual U-Net: its configuration, its layers by name, its arithmetic and its forward pass.

References
----------
He et al. 2016, "Identity Mappings in Deep Residual Networks", Fig. 4(e): the pre-activation block.
Zhang et al. 2018, "Road Extraction by Deep Residual U-Net", §II: residual blocks in a U-Net, strided instead of pooled.
Shi et al. 2016, §3.2, and Aitken et al. 2017, §3: the upsampling and how it starts.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import prod, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subpixel_core import check
from subpixel_core._checkerboard import box_blur
from subpixel_core._convolution import conv, conv_transpose, nearest_upsample
from subpixel_core._icnr import icnr
from subpixel_core._order import ORDERS, Order, channel_permutation
from subpixel_core._phase_shift import phase_shift
from subpixel_core._stages import plan_stages

NORMS = ("group", "batch", "none")
UPSAMPLINGS = ("subpixel", "resize", "deconv")

EPSILON = 1e-5
"""Added to every variance. UN-005, UN-006"""
MOMENTUM = 0.1
"""The part of a new batch in the running statistics. UN-006"""

Parameters = dict[str, NDArray[Any]]


# --- the layers, by name ---


@dataclass(frozen=True)
class _Layer(ABC):
    """A layer with a kernel and a bias. ``kernel_size`` counts taps on the input's grid."""

    name: str
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    gain: float = field(kw_only=True)
    """Variance of a fresh kernel times its fan-in. UN-009"""

    @property
    @abstractmethod
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel as it is kept, channels last."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters, by name."""
        return {f"{self.name}.kernel": self.kernel_shape, f"{self.name}.bias": self.kernel_shape[-1:]}

    @property
    def std(self) -> float:
        """Standard deviation of a fresh kernel (of the base kernel, for a sub-pixel convolution)."""
        return sqrt(self.gain / (prod(self.kernel_size) * self.in_channels))


@dataclass(frozen=True)
class Convolution(_Layer):
    """A convolution with a bias, padding "same", then every ``stride``-th value from the first."""

    stride: tuple[int, ...]

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """(*k, Ci, Co)."""
        return (*self.kernel_size, self.in_channels, self.out_channels)

    def macs(self, extents: tuple[int, ...]) -> int:
        """Return the multiply-accumulates for one sample of these extents, every extent a multiple of its stride."""
        return prod(self.kernel_shape) * prod(extents) // prod(self.stride)


@dataclass(frozen=True)
class Upsampling(_Layer):
    """A layer that enlarges by ``scale``, with a bias: the same MACs in all three ways.

    "subpixel" convolves and shifts; "deconv" is the transposed convolution with kernel ``k * r`` and stride ``r``, the same function
    with its parameters in another layout; "resize" repeats every pixel and convolves, with ``prod(r)`` times fewer parameters.
    """

    scale: tuple[int, ...]
    upsample: str
    order: Order
    blur: bool

    @property
    def taps(self) -> tuple[int, ...]:
        """Extents of the kernel."""
        if self.upsample == "deconv":
            return tuple(k * r for k, r in zip(self.kernel_size, self.scale, strict=True))
        return self.kernel_size

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """(*k, Ci, C * prod(scale)), (*(k * r), Ci, C) or (*k, Ci, C)."""
        channels = self.out_channels * (prod(self.scale) if self.upsample == "subpixel" else 1)
        return (*self.taps, self.in_channels, channels)

    @property
    def crop(self) -> tuple[tuple[int, int], ...]:
        """What is cut off the full transposed convolution, (before, after) per axis."""
        return tuple((after * r, before * r) for (before, after), r in zip(self.padding, self.scale, strict=True))

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Zeros around the input of the convolution, (before, after) per axis."""
        return check.padding_widths("same", self.kernel_size)

    def macs(self, extents: tuple[int, ...]) -> int:
        """Return the multiply-accumulates for one sample of these extents."""
        positions = prod(extents) * (prod(self.scale) if self.upsample == "resize" else 1)
        return prod(self.kernel_shape) * positions


@dataclass(frozen=True)
class Normalization:
    """Group or batch normalization with a scale and a bias per channel; ``groups`` is 0 for batch normalization."""

    name: str
    channels: int
    groups: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what is learned, by name."""
        return {f"{self.name}.{what}": (self.channels,) for what in ("scale", "bias")}

    @property
    def statistics(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the running statistics, by name: none for group normalization."""
        return {} if self.groups else {f"{self.name}.{what}": (self.channels,) for what in ("mean", "variance")}


@dataclass(frozen=True)
class Block:
    """A pre-activation residual block: norm, ReLU, conv, norm, ReLU, conv, plus the input, through a 1-tap conv where shapes differ."""

    name: str
    norm1: Normalization | None
    conv1: Convolution
    norm2: Normalization | None
    conv2: Convolution
    shortcut: Convolution | None

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers with parameters, in the sequence of the file."""
        return tuple(layer for layer in (self.norm1, self.conv1, self.norm2, self.conv2, self.shortcut) if layer is not None)


@dataclass(frozen=True)
class Network:
    """The layers of a configuration. Level 0 has the extents of the input; the decoder runs from the deepest level but one up to 0."""

    stem: Convolution
    encoder: tuple[tuple[Block, ...], ...]
    decoder: tuple[tuple[Upsampling, tuple[Block, ...]], ...]
    norm: Normalization | None
    head: tuple[Upsampling, ...]

    @property
    def layers(self) -> Iterator[Any]:
        """The layers with parameters, in the sequence of the file."""
        yield self.stem
        for blocks in self.encoder:
            for block in blocks:
                yield from block.layers
        for up, blocks in self.decoder:
            yield up
            for block in blocks:
                yield from block.layers
        if self.norm is not None:
            yield self.norm
        yield from self.head


# --- the configuration ---


@dataclass(frozen=True)
class ResidualUNetConfig:
    """What determines a residual U-Net: the layers, the names and shapes of their parameters, and what they compute.

    Parameters
    ----------
    ndim : int
        Number of spatial axes: 1, 2 or 3.
    in_channels, out_channels : int
    widths : tuple of int
        Channels of every level, the finest first. Their number is the number of levels.
    blocks : int or tuple of int
        Residual blocks of every level, in the encoder and again in the decoder: one number for all, or one per level.
    kernel_size : int or tuple of int
        Of all convolutions but the shortcuts, which have one tap; an int is that extent on every axis.
    scales : int or tuple
        Between neighbouring levels: an int for all levels and axes, or a tuple with one entry per step (one less than widths), each an int
        or one int per axis: ``((1, 2, 2), 2)`` for a volume with thick slices.
    output_scale : int or tuple of int
        How much larger the output is than the input: 1 for segmentation, 2 and up for super-resolution. The head reaches it in the
        stages of `plan_stages`.
    norm : {"group", "batch", "none"}
    groups : int
        Of group normalization; divides all widths.
    upsample : {"subpixel", "resize", "deconv"}
        Sub-pixel convolution, nearest-neighbour resize and convolution, or transposed convolution.
    blur : bool
        Average over a box of the size of the scale after every upsampling: see `box_blur`.
    order : {"DCR", "CRD", "DRC", "RCD"}
        Of the sub-pixel channels.

    Attributes
    ----------
    parameters : int
        Number of learned values; running statistics are not learned.

    Raises
    ------
    ValueError, TypeError
        If a field is not of its kind, or two do not fit each other.

    Examples
    --------
    >>> config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(8, 16), norm="none")
    >>> config.parameters, config.macs((10, 20))
    (11473, 1040000)
    """

    ndim: int = 2
    in_channels: int = 3
    out_channels: int = 3
    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: int | tuple[int, ...] = 1
    kernel_size: int | tuple[int, ...] = 3
    scales: int | tuple[int | tuple[int, ...], ...] = 2
    output_scale: int | tuple[int, ...] = 1
    norm: Literal["group", "batch", "none"] = "group"
    groups: int = 8
    upsample: Literal["subpixel", "resize", "deconv"] = "subpixel"
    blur: bool = False
    order: Order = "DCR"

    def __post_init__(self) -> None:
        # UN-014
        for name, value in vars(self).items():
            object.__setattr__(self, name, _plain(value))  # lists to tuples, NumPy's numbers to Python's
        check.dimensions("ndim", self.ndim)
        for name in ("in_channels", "out_channels", "groups"):
            check.integer(name, getattr(self, name), minimum=1)
        check.per_level("widths", self.widths)
        check.one_of("norm", self.norm, NORMS)
        check.one_of("upsample", self.upsample, UPSAMPLINGS)
        check.one_of("order", self.order, ORDERS)
        check.flag("blur", self.blur)
        check.per_axis("kernel_size", self.kernel_size, self.ndim)
        check.plannable("output_scale", check.per_axis("output_scale", self.output_scale, self.ndim))
        if not isinstance(self.blocks, int) or isinstance(self.blocks, bool):
            check.per_level("blocks", self.blocks, len(self.widths))
        check.integer("blocks", min(self.level_blocks), minimum=1)
        check.steps("scales", self.scales, len(self.widths) - 1, self.ndim)
        if self.norm == "group":
            check.divisible_widths(self.widths, self.groups)

    @property
    def level_blocks(self) -> tuple[int, ...]:
        """Residual blocks of every level."""
        return self.blocks if isinstance(self.blocks, tuple) else (self.blocks,) * len(self.widths)

    @property
    def level_scales(self) -> tuple[tuple[int, ...], ...]:
        """Factors between every level and the next, one per axis."""
        return check.steps("scales", self.scales, len(self.widths) - 1, self.ndim)

    @property
    def total_scale(self) -> tuple[int, ...]:
        """What the extents are padded to a multiple of: the product of the scales, per axis."""
        return tuple(map(prod, zip((1,) * self.ndim, *self.level_scales, strict=True)))

    @property
    def parameters(self) -> int:
        """Number of learned values."""
        return sum(prod(shape) for layer in network(self).layers for shape in layer.shapes.values())  # UN-010

    def padding(self, spatial: Sequence[Any]) -> tuple[Any, ...]:
        """Return how many zeros follow the input on every axis, so that every level has whole extents."""
        return tuple(
            (extent + total - 1) // total * total - extent for extent, total in zip(spatial, self.total_scale, strict=True)
        )  # UN-007

    def check_batch(self, samples: Any, spatial: Sequence[Any]) -> None:
        """Refuse a training batch that gives some batch normalization fewer than two values per channel, before anything is changed."""
        if self.norm == "batch":
            padded = (extent + zeros for extent, zeros in zip(spatial, self.padding(spatial), strict=True))
            deepest = [extent // total for extent, total in zip(padded, self.total_scale, strict=True)]
            check.batch_values(prod([samples, *deepest]))  # UN-006

    def output_extents(self, spatial: Sequence[Any]) -> tuple[Any, ...]:
        """Return the extents of the output."""
        factors = check.per_axis("output_scale", self.output_scale, self.ndim)
        return tuple(extent * r for extent, r in zip(spatial, factors, strict=True))

    def macs(self, spatial: int | Sequence[int]) -> int:
        """Return the multiply-accumulates of all convolutions for one sample with these extents, its padding included."""
        given = check.per_axis("spatial", spatial, self.ndim)
        extents = tuple(extent + zeros for extent, zeros in zip(given, self.padding(given), strict=True))
        net = network(self)
        total = net.stem.macs(extents)
        at = [extents]
        for blocks in net.encoder:
            for block in blocks:
                total += block.conv1.macs(extents) + (block.shortcut.macs(extents) if block.shortcut else 0)
                extents = tuple(extent // s for extent, s in zip(extents, block.conv1.stride, strict=True))
                total += block.conv2.macs(extents)
            at.append(extents)
        for (up, blocks), finer in zip(net.decoder, reversed(at[1:-1]), strict=True):
            total += up.macs(extents)
            extents = finer
            total += sum(layer.macs(extents) for block in blocks for layer in block.layers if isinstance(layer, Convolution))
        for stage in net.head:
            total += stage.macs(extents)
            extents = tuple(extent * r for extent, r in zip(extents, stage.scale, strict=True))
        return total  # UN-010

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_plain(entry) for entry in value)
    return value.item() if isinstance(value, (np.integer, np.bool_)) else value


def network(config: ResidualUNetConfig) -> Network:
    """Return the layers of the network, each with its name, its shapes and how it starts.

    >>> net = network(ResidualUNetConfig(widths=(8, 16)))
    >>> [layer.name for layer in net.layers][:6]
    ['stem', 'encoder.0.0.norm1', 'encoder.0.0.conv1', 'encoder.0.0.norm2', 'encoder.0.0.conv2', 'encoder.1.0.norm1']
    """
    # UN-001 to UN-004, UN-008
    check.instance("config", config, ResidualUNetConfig)
    widths, blocks, ones = config.widths, config.level_blocks, (1,) * config.ndim
    taps = check.per_axis("kernel_size", config.kernel_size, config.ndim)
    branches = sum(blocks) + sum(blocks[:-1])

    def norm(name: str, channels: int) -> Normalization | None:
        if config.norm == "none":
            return None
        return Normalization(name, channels, config.groups if config.norm == "group" else 0)

    def block(name: str, in_channels: int, channels: int, stride: tuple[int, ...]) -> Block:
        changes = in_channels != channels or stride != ones
        return Block(
            name,
            norm(f"{name}.norm1", in_channels),
            Convolution(f"{name}.conv1", in_channels, channels, taps, stride, gain=2),
            norm(f"{name}.norm2", channels),
            Convolution(f"{name}.conv2", channels, channels, taps, ones, gain=2 / branches),
            Convolution(f"{name}.shortcut", in_channels, channels, ones, stride, gain=1) if changes else None,
        )

    def level(name: str, in_channels: int, channels: int, number: int, stride: tuple[int, ...]) -> tuple[Block, ...]:
        first = block(f"{name}.0", in_channels, channels, stride)
        return (first, *(block(f"{name}.{i}", channels, channels, ones) for i in range(1, number)))

    def up(name: str, in_channels: int, channels: int, scale: tuple[int, ...], gain: float) -> Upsampling:
        return Upsampling(name, in_channels, channels, taps, scale, config.upsample, config.order, config.blur, gain=gain)

    steps = (ones, *config.level_scales)
    deeper = range(len(widths) - 2, -1, -1)
    plan = plan_stages(
        config.output_scale, widths[0], config.out_channels, kernel_size=config.kernel_size, ndim=config.ndim, width=widths[0]
    )
    return Network(
        stem=Convolution("stem", config.in_channels, widths[0], taps, ones, gain=1),
        encoder=tuple(level(f"encoder.{i}", widths[max(i - 1, 0)], widths[i], blocks[i], steps[i]) for i in range(len(widths))),
        decoder=tuple(
            (
                up(f"decoder.{i}.up", widths[i + 1], widths[i], steps[i + 1], gain=1),
                level(f"decoder.{i}", 2 * widths[i], widths[i], blocks[i], ones),
            )
            for i in deeper
        ),
        norm=norm("head.norm", widths[0]),
        head=tuple(up(f"head.{i}", stage.in_channels, stage.out_channels, stage.scale, gain=2) for i, stage in enumerate(plan.stages)),
    )


# --- the parameters ---


def statistics_shapes(config: ResidualUNetConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the running statistics of batch normalization, by name: those parameters that are not learned."""
    norms = [layer for layer in network(config).layers if isinstance(layer, Normalization)]
    return {name: shape for layer in norms for name, shape in layer.statistics.items()}  # UN-006


def parameter_shapes(config: ResidualUNetConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter, by its canonical name, in the sequence in which they are used.

    ============================================  =========================  =========================================================
    name                                          shape                      meaning
    ============================================  =========================  =========================================================
    ``stem.kernel``                               (*k, Ci, w_0)              the first convolution
    ``encoder.{level}.{block}.conv1.kernel``      (*k, Ci, w)                strided in block 0 of every level but 0
    ``encoder.{level}.{block}.conv2.kernel``      (*k, w, w)
    ``encoder.{level}.{block}.shortcut.kernel``   (1, ..., 1, Ci, w)         where channels or extents change
    ``decoder.{level}.up.kernel``                 as `Upsampling`            from the level below to this one
    ``decoder.{level}.{block}. ...``              as in the encoder          block 0 reads the upsampled channels, then the skip's
    ``head.{stage}.kernel``                       as `Upsampling`            the stages of `plan_stages`
    ``....bias``                                  the kernel's last extent   of the convolution of that name
    ``....norm1``, ``norm2``, ``head.norm``       (channels,)                ``.scale`` and ``.bias``; batch: ``.mean``, ``.variance`` too
    ============================================  =========================  =========================================================

    Examples
    --------
    >>> shapes = parameter_shapes(ResidualUNetConfig(widths=(8, 16), norm="none"))
    >>> shapes["decoder.0.up.kernel"], shapes["decoder.0.0.conv1.kernel"]
    ((3, 3, 16, 32), (3, 3, 16, 8))
    """
    # UN-011
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in network(config).layers:
        shapes |= layer.shapes
        if isinstance(layer, Normalization):
            shapes |= layer.statistics
    return shapes


def init_parameters(config: ResidualUNetConfig, rng: "np.random.Generator") -> Parameters:
    """Draw parameters, float32: normal kernels, ICNR where the channels are shifted, zero biases, and norms that change nothing else.

    Parameters
    ----------
    config : ResidualUNetConfig
    rng : numpy.random.Generator

    Returns
    -------
    dict of ndarray
        As `parameter_shapes`.

    References
    ----------
    He et al. 2015, "Delving Deep into Rectifiers", Eq. 10. The last convolution of every residual branch is divided by the square root of
    the number of branches, as in Zhang et al. 2019, "Fixup Initialization", so that depth does not blow up what is added.
    """
    # UN-009
    check.instance("rng", rng, np.random.Generator)
    parameters: Parameters = {}
    for layer in network(config).layers:
        if isinstance(layer, Normalization):
            ones = {f"{layer.name}.scale", f"{layer.name}.variance"}
            for name, shape in (layer.shapes | layer.statistics).items():
                parameters[name] = np.full(shape, name in ones, np.float32)
            continue
        shifted = isinstance(layer, Upsampling) and layer.upsample == "subpixel"
        kernel = rng.normal(scale=layer.std, size=(*layer.kernel_shape[:-1], layer.out_channels))
        if shifted:
            kernel = icnr(kernel, layer.scale, order=config.order)
        parameters[f"{layer.name}.kernel"] = kernel.astype(np.float32)
        parameters[f"{layer.name}.bias"] = np.zeros(layer.kernel_shape[-1], np.float32)
    return parameters


def convert_order(params: Mapping[str, ArrayLike], config: ResidualUNetConfig, order: Order) -> tuple[Parameters, ResidualUNetConfig]:
    """Return the parameters and the configuration of the same function with its sub-pixel channels in another order.

    Examples
    --------
    >>> config = ResidualUNetConfig(in_channels=1, widths=(8, 16), order="DCR")
    >>> converted, new = convert_order(init_parameters(config, np.random.default_rng(0)), config, "CRD")
    >>> new.order
    'CRD'
    """
    # CP-001, WF-004
    check.instance("params", params, Mapping)
    check.tensors("params", {name: np.shape(value) for name, value in params.items()}, parameter_shapes(config))
    check.one_of("order", order, ORDERS)
    converted = {name: np.array(value) for name, value in params.items()}
    for layer in network(config).layers:
        if isinstance(layer, Upsampling) and layer.upsample == "subpixel":
            p = channel_permutation(layer.kernel_shape[-1], layer.scale, source=config.order, target=order)
            for name in layer.shapes:
                converted[name] = converted[name][..., p]
    return converted, ResidualUNetConfig(**{**config.as_dict(), "order": order})


# --- the forward pass ---


def residual_unet(
    params: Mapping[str, ArrayLike],
    x: ArrayLike,
    config: ResidualUNetConfig,
    *,
    training: bool = False,
    trace: dict[str, NDArray[Any]] | None = None,
) -> Any:
    r"""Apply the residual U-Net.

    ::

        stem - level 0 ------------------------- concat - level 0 - norm, ReLU - head
                 \ stride                     / up
               level 1 ------------ concat - level 1
                     \ stride     / up
                      ... level L - 1

    Parameters
    ----------
    params : mapping of array_like
        As `parameter_shapes`.
    x : array_like, shape (N, *spatial, in_channels)
        Any extents from 1.
    config : ResidualUNetConfig
    training : bool
        Normalize by the statistics of the batch, where the network has batch normalization.
    trace : dict, optional
        Is filled with the output of every layer and block under its name, in the sequence of the computation.

    Returns
    -------
    ndarray, shape (N, *(spatial * output_scale), out_channels)
        In the common dtype of input and parameters (float64 for integers). With ``training=True`` and ``norm="batch"`` the pair of it and
        the new running statistics, a dict as `statistics_shapes`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is missing, unknown or of another shape, or the input has not the channels and axes it must have.
    """
    # UN-001 to UN-008, UN-012, UN-015
    net = network(config)
    check.instance("params", params, Mapping)
    check.tensors("params", {name: np.shape(value) for name, value in params.items()}, parameter_shapes(config))
    values = {name: np.asarray(value) for name, value in params.items()}
    x = np.asarray(x)
    check.unet_input(x.shape, config.ndim, config.in_channels)
    dtype = np.result_type(x, *values.values())
    dtype = np.dtype(np.float64) if dtype.kind in "iub" else dtype  # integers have no normalized values
    check.floating_dtype(dtype.kind != "c", dtype)
    run = _Forward(values, dtype, check.flag("training", training), {} if trace is None else trace)

    spatial = x.shape[1:-1]
    if run.training:
        config.check_batch(len(x), spatial)
    y = np.pad(x.astype(run.dtype), ((0, 0), *((0, zeros) for zeros in config.padding(spatial)), (0, 0)))
    y = run.conv(net.stem, y)  # (N, *padded, w_0)
    skips = []
    for blocks in net.encoder:
        for block in blocks:
            y = run.block(block, y)  # (N, *(padded / scales), w_i)
        skips.append(y)
    y = skips.pop()
    for up, blocks in net.decoder:
        y = np.concatenate([run.upsample(up, y), skips.pop()], axis=-1)  # (N, *(padded / scales), 2 * w_i)
        for block in blocks:
            y = run.block(block, y)
    y = _relu(run.norm(net.norm, y))
    for i, stage in enumerate(net.head):
        y = run.upsample(stage, y if i == 0 else _relu(y))
    y = y[(slice(None), *(slice(extent) for extent in config.output_extents(spatial)))]  # (N, *(spatial * output_scale), Co)
    return (y, run.statistics) if run.training and config.norm == "batch" else y


def _relu(x: NDArray[Any]) -> NDArray[Any]:
    return np.maximum(x, 0)


@dataclass
class _Forward:
    """One application: the parameters by name, and what is recorded on the way."""

    values: Parameters
    dtype: np.dtype[Any]
    training: bool
    trace: dict[str, NDArray[Any]]

    def __post_init__(self) -> None:
        self.statistics: Parameters = {}

    def _of(self, layer: Any, what: str) -> NDArray[Any]:
        return self.values[f"{layer.name}.{what}"].astype(self.dtype)

    def _record(self, layer: Any, y: NDArray[Any]) -> NDArray[Any]:
        self.trace[layer.name] = y
        return y

    def conv(self, layer: Convolution, x: NDArray[Any]) -> NDArray[Any]:
        y = conv(x, self._of(layer, "kernel"), self._of(layer, "bias"))
        return self._record(layer, y[(slice(None), *(slice(None, None, s) for s in layer.stride))])  # UN-002

    def upsample(self, layer: Upsampling, x: NDArray[Any]) -> NDArray[Any]:
        kernel, bias = self._of(layer, "kernel"), self._of(layer, "bias")
        y = _upsamplings[layer.upsample](layer, x, kernel, bias)
        return self._record(layer, box_blur(y, layer.scale) if layer.blur else y)  # of every stage of a chain too: BL-004

    def block(self, layer: Block, x: NDArray[Any]) -> NDArray[Any]:
        y = self.conv(layer.conv1, _relu(self.norm(layer.norm1, x)))
        y = self.conv(layer.conv2, _relu(self.norm(layer.norm2, y)))
        return self._record(layer, y + (x if layer.shortcut is None else self.conv(layer.shortcut, x)))  # UN-001

    def norm(self, layer: Normalization | None, x: NDArray[Any]) -> NDArray[Any]:
        if layer is None:
            return x
        wide = x.astype(np.promote_types(x.dtype, np.float32))
        positions = tuple(range(1, x.ndim - 1))
        if layer.groups:
            grouped = wide.reshape(*x.shape[:-1], layer.groups, x.shape[-1] // layer.groups)
            mean, variance = (f(grouped, axis=(*positions, -1), keepdims=True) for f in (np.mean, np.var))
            y = ((grouped - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape)  # UN-005
        else:
            if self.training:
                mean, variance = (f(wide, axis=(0, *positions)) for f in (np.mean, np.var))
                for what, new in (("mean", mean), ("variance", variance)):
                    name = f"{layer.name}.{what}"
                    self.statistics[name] = (1 - MOMENTUM) * self.values[name] + MOMENTUM * new.astype(self.values[name].dtype)
            else:
                mean, variance = (self.values[f"{layer.name}.{what}"].astype(wide.dtype) for what in ("mean", "variance"))
            y = (wide - mean) / np.sqrt(variance + EPSILON)  # UN-006
        return self._record(layer, (y * self._of(layer, "scale") + self._of(layer, "bias")).astype(self.dtype))


def _subpixel(layer: Upsampling, x: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    return phase_shift(conv(x, kernel, bias), layer.scale, order=layer.order)


def _resized(layer: Upsampling, x: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    return conv(nearest_upsample(x, layer.scale), kernel, bias)


def _transposed(layer: Upsampling, x: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    y = conv_transpose(x, kernel, bias, stride=layer.scale)
    return y[(slice(None), *(slice(before, y.shape[1 + i] - after) for i, (before, after) in enumerate(layer.crop)))]


_upsamplings: dict[str, Callable[..., NDArray[Any]]] = {"subpixel": _subpixel, "resize": _resized, "deconv": _transposed}
