"""Wrong ICNRs: which channels are equal, the bias, the fan, and what a layer looks like as it comes."""

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from .. import oracle
from ..adapter import LayerConfig
from . import honest
from .mutant import Mutant, mutant

Base = Callable[[tuple[int, ...]], np.ndarray]
Shape = tuple[int, ...]


def _base_shape(shape: Shape, scale: Shape) -> Shape:
    return (*shape[:-1], shape[-1] // prod(scale))


def _tile(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    return np.tile(base(_base_shape(shape, scale)), prod(scale))


def _repeat(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    return np.repeat(base(_base_shape(shape, scale)), prod(scale), axis=-1)


def _full_fan(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    return oracle.icnr(np.ascontiguousarray(base(shape)[..., : shape[-1] // prod(scale)]), scale, order=order)


def _transposed_fan(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    """Return ICNR of a base drawn with the channels in and out exchanged, so that the fans are exchanged."""
    *taps, inputs, outputs = _base_shape(shape, scale)
    return oracle.icnr(np.ascontiguousarray(np.swapaxes(base((*taps, outputs, inputs)), -1, -2)), scale, order=order)


def _always_two(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    two = (2,) * len(scale)
    outputs = -(-shape[-1] // prod(two))
    return oracle.icnr(base((*shape[:-1], outputs)), two, order=order)[..., : shape[-1]]


def _noise(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    kernel = honest.icnr(base, shape, scale, order=order)
    return kernel + np.arange(shape[-1], dtype=kernel.dtype) * kernel.dtype.type(0.125)


def _input_axis(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    """Return a kernel replicated along the input channels."""
    values = base(_base_shape(shape, scale))
    inputs = values.shape[-2]
    wide = np.concatenate([np.roll(values, shift, axis=-2) for shift in range(prod(scale))], axis=-1)
    return np.ascontiguousarray(wide.reshape((*shape[:-2], inputs, shape[-1])))


def _averaged(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    values = base(_base_shape(shape, scale))
    mean = np.broadcast_to(values.mean(axis=-1, keepdims=True, dtype=values.dtype), values.shape)
    return oracle.icnr(np.ascontiguousarray(mean), scale, order=order)


def _positive_zero(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    return honest.icnr(base, shape, scale, order=order) + np.float32(0)


def _not_replicated(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    """Return the base initializer's own values for the whole kernel, without ICNR."""
    return base(shape)


def _flat_base(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    """Return ICNR of a base drawn as a matrix: the number of values is right, and the fan of a matrix is that of its rows."""
    wanted = _base_shape(shape, scale)
    return oracle.icnr(base((prod(wanted[:-1]), wanted[-1])).reshape(wanted), scale, order=order)


def _independent_bias(bias: np.ndarray, scale: Shape, *, order: str) -> np.ndarray:
    return np.resize(bias, bias.size * prod(scale)) + np.arange(bias.size * prod(scale), dtype=bias.dtype)


def _tiled_bias(bias: np.ndarray, scale: Shape, *, order: str) -> np.ndarray:
    return np.tile(bias, prod(scale))


def _residual_without_bias(kernel: np.ndarray, scale: Shape, *, order: str, bias: np.ndarray | None = None) -> float:
    return oracle.icnr_residual(kernel, scale, order=order)


def _residual_of_numbers(kernel: np.ndarray, scale: Shape, *, order: str, bias: np.ndarray | None = None) -> float:
    found = oracle.icnr_residual(kernel, scale, order=order, bias=bias)
    return 0.0 if np.isnan(found) else found


def _residual_of_one_order(kernel: np.ndarray, scale: Shape, *, order: str, bias: np.ndarray | None = None) -> float:
    return oracle.icnr_residual(kernel, scale, order="CRD", bias=bias)


def _own_magnitudes(kernel: np.ndarray, scale: Shape, *, order: str) -> tuple[np.ndarray, np.ndarray]:
    g, v = honest.icnr_weight_norm(kernel, scale, order=order)
    return np.arange(1, g.size + 1, dtype=g.dtype), v


def _directions_only(kernel: np.ndarray, scale: Shape, *, order: str) -> tuple[np.ndarray, np.ndarray]:
    """Return magnitudes of 1, so that the product is normalized away."""
    g, v = honest.icnr_weight_norm(kernel, scale, order=order)
    return np.ones_like(g), v


def _drawn_for_every_phase(base: Base, shape: Shape, scale: Shape, *, order: str) -> np.ndarray:
    """Return a kernel whose every phase is a draw of its own, each of the right shape."""
    channels = shape[-1] // prod(scale)
    kernel = np.empty(shape, np.float32)
    for o in oracle.offsets(scale):
        kernel[..., [oracle.channel_index(order, c, o, scale, channels) for c in range(channels)]] = base((*shape[:-1], channels))
    return kernel


FUNCTIONS = "icnr icnr_bias conv phase_shift icnr_residual icnr_weight_norm"
CLAIMS: dict[str, Any] = {"dtypes": ("float32",)}


def wrong_functions() -> Iterator[Mutant]:
    """Yield wrong initializers, biases, residuals and weight norms."""
    rows: list[tuple[str, str, str, str, Callable[..., Any], str]] = [
        ("tile for repeat", "IC-001", "IC-004", "icnr", _tile, ""),
        ("repeat for tile", "IC-001", "IC-004", "icnr", _repeat, ""),
        ("the fan of the whole kernel", "IC-003", "IC-001 IC-004", "icnr", _full_fan, "the base initializer sees the whole kernel"),
        ("the fans exchanged", "IC-003", "IC-001 IC-004", "icnr", _transposed_fan, ""),
        ("the base drawn as a matrix", "IC-003", "", "icnr", _flat_base, ""),
        ("the scale taken for 2", "IC-001 IC-003", "IC-004", "icnr", _always_two, "fastai"),
        ("drawn anew for every phase", "IC-001", "IC-004", "icnr", _drawn_for_every_phase, "as many draws of the right shape as phases"),
        ("noise on every phase", "IC-001", "IC-004", "icnr", _noise, ""),
        ("replicated along the input", "IC-001", "IC-004", "icnr", _input_axis, ""),
        ("averaged over the output channels", "IC-001", "IC-004", "icnr", _averaged, ""),
        ("-0 normalised in the kernel", "IC-001", "", "icnr", _positive_zero, ""),
        ("no ICNR at all", "IC-001 IC-003", "IC-004", "icnr", _not_replicated, ""),
        ("the bias forgotten", "IC-002 IC-004", "", "icnr_bias", _independent_bias, "MONAI SubpixelUpsample"),
        ("the bias tiled for every order", "IC-002", "IC-004", "icnr_bias", _tiled_bias, ""),
        ("the residual without the bias", "IC-005", "", "icnr_residual", _residual_without_bias, ""),
        ("the residual blind to NaN", "IC-005", "", "icnr_residual", _residual_of_numbers, ""),
        ("the residual of one order", "IC-005", "", "icnr_residual", _residual_of_one_order, ""),
        ("magnitudes not replicated", "IC-006", "", "icnr_weight_norm", _own_magnitudes, "fastai#3315"),
        ("magnitudes of 1", "IC-006", "", "icnr_weight_norm", _directions_only, "fastai#2846"),
    ]
    for name, violates, also, operation, function, history in rows:
        replaced: dict[str, Any] = {operation: function}
        yield mutant(name, violates, also, operations=FUNCTIONS, claims=CLAIMS, history=history, **replaced)


class _PlainInit(honest.HonestLayer):
    """Kernel and bias as the base initializer would draw the whole."""

    def replicated(self, base: np.ndarray, scale: Shape) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(*base.shape[:-1], base.shape[-1] * prod(scale)))


class _RandomBias(honest.HonestLayer):
    """The kernel ICNR, the bias drawn independently."""

    def replicated(self, base: np.ndarray, scale: Shape) -> np.ndarray:
        if base.ndim > 1:
            return super().replicated(base, scale)
        return np.random.default_rng(0).normal(size=base.shape[-1] * prod(scale))


class _LastStageOnly(honest.HonestLayer):
    """A chain in which only the last stage is ICNR."""

    def drawn(self, number: int) -> dict[str, np.ndarray]:
        fresh = super().drawn(number)
        return (
            fresh if number == len(self.stages) - 1 else {name: np.random.default_rng(1).normal(size=v.shape) for name, v in fresh.items()}
        )


class _ZeroKernel(honest.HonestLayer):
    """Nothing but zeros: nearest neighbour of nothing."""

    def replicated(self, base: np.ndarray, scale: Shape) -> np.ndarray:
        return super().replicated(np.zeros_like(base), scale)


class _TiledInit(honest.HonestLayer):
    """Tiled for every order."""

    def replicated(self, base: np.ndarray, scale: Shape) -> np.ndarray:
        return np.tile(base, prod(scale))


class _LaterStagesOtherOrder(honest.HonestLayer):
    """A chain that shifts by another order from the second stage on."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.passed = 0
        return super().__call__(x)

    def shift(self, x: np.ndarray, scale: Shape) -> np.ndarray:
        self.passed += 1
        order = {"DCR": "CRD", "CRD": "DCR"}[self.config.order] if self.passed > 1 else self.config.order
        return oracle.phase_shift(x, scale, order=order)


class _LastStageEnlargedFirst(honest.HonestLayer):
    """A chain that enlarges before the convolution of its last stage, as nearest-neighbour upsampling would."""

    def stage(self, x: np.ndarray, held: Mapping[str, np.ndarray], scale: Shape) -> np.ndarray:
        if self.config.factors is None or held is not self.held[-1]:
            return super().stage(x, held, scale)
        outputs = held["kernel"].shape[-1] // prod(scale)
        first = [oracle.channel_index(self.config.order, c, (0,) * len(scale), scale, outputs) for c in range(outputs)]
        base = {name: values[..., first] for name, values in held.items()}
        return self.conv(oracle.nearest_upsample(x, scale), base["kernel"], base.get("bias"), padding=self.config.padding)


class _LaterStagesInTiles(honest.HonestLayer):
    """A chain that computes its later stages in two tiles, which do not see each other."""

    def stage(self, x: np.ndarray, held: Mapping[str, np.ndarray], scale: Shape) -> np.ndarray:
        if held is self.held[0]:
            return super().stage(x, held, scale)
        tiles = np.array_split(x, 2, axis=1)
        return np.concatenate([super(_LaterStagesInTiles, self).stage(tile, held, scale) for tile in tiles], axis=1)


def layer_mutant(
    name: str, violates: str, also: str, layer: type[honest.HonestLayer], history: str = "", operations: str = "layer", **narrowed: Any
) -> Mutant:
    """Return the honest implementation with another layer. It claims two orders in 2-D and float32, enough to see it, unless told so."""

    def construct(config: LayerConfig, device: str, parameters: Any = None) -> honest.HonestLayer:
        return layer(config, parameters)

    claims = {"orders": ("DCR", "CRD"), "ndims": (2,), "dtypes": ("float32",), **narrowed}
    return mutant(name, violates, also, history=history, operations=operations, claims=claims, layer=construct)


def wrong_layers() -> Iterator[Mutant]:
    """Yield layers that are not ICNR as they come, and chains that lose it."""
    yield layer_mutant("a layer without ICNR", "IC-004 IC-010", "IC-002", _PlainInit)
    yield layer_mutant("a layer with a random bias", "IC-002 IC-004 IC-010", "", _RandomBias, "MONAI SubpixelUpsample")
    yield layer_mutant("a layer of zeros", "IC-004 IC-010", "", _ZeroKernel)
    yield layer_mutant("a layer tiled for every order", "IC-004 IC-010 IC-002", "", _TiledInit)
    yield layer_mutant("only the last stage ICNR", "IC-010", "IC-002", _LastStageOnly)
    yield layer_mutant("the last stage enlarges before it convolves", "IC-008 SC-004", "BL-004", _LastStageEnlargedFirst)
    yield layer_mutant("later stages in tiles without a halo", "IC-009 SC-004", "BL-004", _LaterStagesInTiles)
    yield layer_mutant("later stages of another order", "SC-004 IC-007 IC-008 IC-009", "BL-004", _LaterStagesOtherOrder)


def mutants() -> tuple[Mutant, ...]:
    """Return all mutants of the initialization."""
    return (*wrong_functions(), *wrong_layers())
