"""The residual U-Net as a pure function over a plain pytree, and its weight file.

References
----------
He et al. 2016, "Identity Mappings in Deep Residual Networks", Fig. 4(e): the pre-activation block.
Zhang et al. 2018, "Road Extraction by Deep Residual U-Net", §II: residual blocks in a U-Net, strided instead of pooled.
Shi et al. 2016, §3.2, and Aitken et al. 2017, §3: the upsampling and how it starts.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

import subpixel_core as core
from subpixel_core import Order, ResidualUNetConfig, check, network, parameter_shapes, statistics_shapes
from subpixel_core._unet import EPSILON, MOMENTUM, Block, Convolution, Normalization, Upsampling
from subpixel_jax.initializers import _replicate
from subpixel_jax.layers import _convolve, subpixel_conv
from subpixel_jax.ops import box_blur, in_a_program, in_few_axes, inverse_phase_shift

Parameters = dict[str, dict[str, Array]]
"""``{"parameters": {name: array}, "statistics": {name: array}}``: what an optimizer changes, and what it does not."""


def init_residual_unet(key: Array, config: ResidualUNetConfig) -> Parameters:
    """Draw parameters, float32: normal kernels, ICNR where the channels are shifted, zero biases, and norms that change nothing else.

    Parameters
    ----------
    key : Array
        A key of `jax.random`.
    config : ResidualUNetConfig
        Static under `jax.jit`.

    Returns
    -------
    dict
        ``parameters``, what is learned, and ``statistics``, the running statistics of batch normalization, empty without it: each a flat
        dict from the names of `subpixel_core.parameter_shapes` to arrays of these shapes.

    Examples
    --------
    >>> config = ResidualUNetConfig(in_channels=1, out_channels=2, widths=(8, 16), norm="batch")
    >>> params = init_residual_unet(jax.random.key(0), config)
    >>> params["parameters"]["decoder.0.up.kernel"].shape, params["statistics"]["head.norm.mean"].shape
    ((3, 3, 16, 32), (8,))
    """
    layers = list(network(config).layers)
    shapes = [(*layer.kernel_shape[:-1], layer.out_channels) for layer in layers if not isinstance(layer, Normalization)]
    *ends, total = accumulate(map(prod, shapes))
    normal = jax.random.normal(key, (total,), jnp.float32)  # all at once: every draw of another size would be compiled
    bases = iter([part.reshape(shape) for part, shape in zip(jnp.split(normal, ends), shapes, strict=True)])
    parameters: dict[str, Array] = {}
    statistics: dict[str, Array] = {}
    for layer in layers:
        if isinstance(layer, Normalization):
            parameters |= {name: jnp.full(shape, name.endswith(".scale"), jnp.float32) for name, shape in layer.shapes.items()}
            statistics |= {name: jnp.full(shape, name.endswith(".variance"), jnp.float32) for name, shape in layer.statistics.items()}
            continue
        kernel = layer.std * next(bases)
        shifted = isinstance(layer, Upsampling) and layer.upsample == "subpixel"
        parameters[f"{layer.name}.kernel"] = _replicate(kernel, layer.scale, layer.order) if shifted else kernel
        parameters[f"{layer.name}.bias"] = jnp.zeros(layer.kernel_shape[-1:], jnp.float32)
    return {"parameters": parameters, "statistics": statistics}


def residual_unet(
    params: Mapping[str, Mapping[str, ArrayLike]],
    x: ArrayLike,
    config: ResidualUNetConfig,
    *,
    training: bool = False,
    dtype: DTypeLike | None = None,
    precision: lax.PrecisionLike = None,
    trace: dict[str, Array] | None = None,
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
    params : dict
        As `init_residual_unet` makes them. For a gradient, differentiate by ``params["parameters"]`` alone.
    x : Array, shape (N, *spatial, in_channels)
        Any extents from 1, symbolic ones in `jax.export` too.
    config : ResidualUNetConfig
        Like ``training`` and ``dtype`` static under `jax.jit`.
    training : bool
        Normalize by the statistics of the batch, where the network has batch normalization.
    dtype : dtype, optional
        To compute in, whatever the parameters are in: ``jnp.bfloat16`` with float32 parameters is mixed precision. Without it, the common
        dtype of input and parameters (JAX's default floating point for integers). Sums and norms are in float32 at least.
    precision
        Of the convolutions, as in `jax.lax.conv_general_dilated`.
    trace : dict, optional
        Is filled with the output of every layer and block under its name, in the sequence of the computation.

    Returns
    -------
    Array, shape (N, *(spatial * output_scale), out_channels)
        In the dtype of the computation. With ``training=True`` and ``norm="batch"`` the pair of it and the new ``params["statistics"]``.

    Raises
    ------
    ValueError, TypeError
        As `subpixel_core.residual_unet`, with the same text.

    Examples
    --------
    >>> config = ResidualUNetConfig(in_channels=1, out_channels=2, widths=(8, 16), output_scale=2)
    >>> params = init_residual_unet(jax.random.key(0), config)
    >>> apply = jax.jit(residual_unet, static_argnames=("config", "training", "dtype"))
    >>> apply(params, jnp.zeros((1, 5, 7, 1)), config).shape
    (1, 10, 14, 2)

    Over samples without a batch axis:

    >>> jax.vmap(lambda sample: apply(params, sample[None], config)[0])(jnp.zeros((3, 5, 7, 1))).shape
    (3, 10, 14, 2)
    """
    net = network(config)
    check.sections("params", params, ("parameters", "statistics"))
    values = {name: jnp.asarray(value) for part in params.values() for name, value in part.items()}
    check.tensors("params", {name: value.shape for name, value in values.items()}, parameter_shapes(config))
    x = jnp.asarray(x)
    check.unet_input(x.shape, config.ndim, config.in_channels)
    computed = jnp.result_type(x, *values.values(), float) if dtype is None else jnp.dtype(dtype)
    check.floating_dtype(jnp.issubdtype(computed, jnp.floating), computed)
    run = _Forward(values, computed, precision, check.flag("training", training), {} if trace is None else trace)

    spatial = x.shape[1:-1]
    y = jnp.pad(x.astype(computed), ((0, 0), *((0, zeros) for zeros in config.padding(spatial)), (0, 0)))
    y = run.conv(net.stem, y)  # (N, *padded, w_0)
    skips = []
    for blocks in net.encoder:
        for block in blocks:
            y = run.block(block, y)  # (N, *(padded / scales), w_i)
        skips.append(y)
    y = skips.pop()
    for up, blocks in net.decoder:
        y = jnp.concatenate([run.upsample(up, y), skips.pop()], axis=-1)  # (N, *(padded / scales), 2 * w_i)
        for block in blocks:
            y = run.block(block, y)
    y = jax.nn.relu(run.norm(net.norm, y))
    for i, stage in enumerate(net.head):
        y = run.upsample(stage, y if i == 0 else jax.nn.relu(y))
    y = y[(slice(None), *(slice(extent) for extent in config.output_extents(spatial)))]  # (N, *(spatial * output_scale), Co)
    return (y, run.statistics) if run.training and config.norm == "batch" else y


@dataclass
class _Forward:
    """One application: the parameters by name, and what is recorded on the way."""

    values: dict[str, Array]
    dtype: Any
    precision: lax.PrecisionLike
    training: bool
    trace: dict[str, Array]
    statistics: dict[str, Array] = field(default_factory=dict)

    def _of(self, layer: Any, what: str, dtype: Any = None) -> Array:
        return self.values[f"{layer.name}.{what}"].astype(self.dtype if dtype is None else dtype)

    def _record(self, layer: Any, y: Array) -> Array:
        self.trace[layer.name] = y
        return y

    def conv(self, layer: Convolution, x: Array) -> Array:
        return self._record(layer, self._same(x, self._of(layer, "kernel"), self._of(layer, "bias"), layer.stride))

    def _same(self, x: Array, kernel: Array, bias: Array, stride: tuple[int, ...]) -> Array:
        y = _convolve(x, kernel, core.padding_widths("same", kernel.shape[:-2]), self.precision, stride=stride)
        return (y + bias).astype(self.dtype)

    def upsample(self, layer: Upsampling, x: Array) -> Array:
        kernel, bias = self._of(layer, "kernel"), self._of(layer, "bias")
        if layer.upsample == "resize":
            for axis, r in enumerate(layer.scale, start=1):
                x = jnp.repeat(x, r, axis=axis)  # (N, *(spatial * r), Ci)
            y = self._same(x, kernel, bias, (1,) * len(layer.scale))
        else:
            shifted = {"kernel": kernel, "bias": bias}, layer.order
            stage, order = shifted if layer.upsample == "subpixel" else _as_subpixel(layer, kernel, bias, exported=in_a_program(x))
            y = subpixel_conv(stage, x, scale=layer.scale, order=order, precision=self.precision)
        return self._record(layer, box_blur(y, layer.scale) if layer.blur else y)

    def block(self, layer: Block, x: Array) -> Array:
        y = self.conv(layer.conv1, jax.nn.relu(self.norm(layer.norm1, x)))
        y = self.conv(layer.conv2, jax.nn.relu(self.norm(layer.norm2, y)))
        return self._record(layer, y + (x if layer.shortcut is None else self.conv(layer.shortcut, x)))

    def norm(self, layer: Normalization | None, x: Array) -> Array:
        if layer is None:
            return x
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if layer.groups or self.training:
            mean = _mean(wide, layer.groups)
            centered = wide - mean
            variance = _mean(centered * centered, layer.groups)
            if not layer.groups:
                check.batch_values(prod(x.shape[:-1]))
                for what, new in (("mean", mean), ("variance", variance)):
                    old = self.values[f"{layer.name}.{what}"]
                    moved = (1 - MOMENTUM) * old + MOMENTUM * new.reshape(old.shape)
                    self.statistics[f"{layer.name}.{what}"] = moved.astype(old.dtype)
        else:
            centered, variance = wide - self._of(layer, "mean", wide.dtype), self._of(layer, "variance", wide.dtype)
        factor = self._of(layer, "scale", wide.dtype) / jnp.sqrt(variance + EPSILON)
        return self._record(layer, (centered * factor + self._of(layer, "bias", wide.dtype)).astype(self.dtype))


def _mean(x: Array, groups: int) -> Array:
    """Return the mean over all positions, of every group of channels and every sample, or of every channel and all samples."""
    if not groups:
        return x.mean(tuple(range(x.ndim - 1)), keepdims=True)  # (1, ..., 1, C)
    of_channels = x.mean(tuple(range(1, x.ndim - 1)), keepdims=True)  # (N, 1, ..., 1, C)
    neighbours = x.shape[-1] // groups
    of_groups = of_channels.reshape(*of_channels.shape[:-1], groups, neighbours).mean(-1)  # (N, 1, ..., 1, groups)
    return jnp.repeat(of_groups, neighbours, axis=-1)  # (N, 1, ..., 1, C)


def _as_subpixel(layer: Upsampling, kernel: Array, bias: Array, *, exported: bool) -> tuple[dict[str, Array], Order]:
    """Return the parameters of a transposed convolution as those of the sub-pixel convolution that it is, and their order.

    XLA's transposed convolution computes the same, but its gradient takes many times as long on a CPU.
    """
    inverse = partial(in_few_axes, inverse=True) if exported else inverse_phase_shift
    taps = inverse(jnp.moveaxis(kernel, -2, 0), layer.scale, order="DCR")  # (*(k * r), Ci, C) -> (Ci, *k, prod(r) * C)
    turned = jnp.flip(taps, range(1, taps.ndim - 1))
    return {"kernel": jnp.moveaxis(turned, 0, -2), "bias": jnp.tile(bias, prod(layer.scale))}, "DCR"


def save_weights(path: str | os.PathLike[str], params: Mapping[str, Mapping[str, ArrayLike]], config: ResidualUNetConfig) -> None:
    """Write the parameters into a file that every backend reads: `subpixel_core.save_weights`.

    Parameters
    ----------
    path : path-like
        Any name. What it names is replaced in one step, once everything is written.
    params : dict
        As `init_residual_unet` makes them, all float32 or all float64. Every bit is kept.
    config : ResidualUNetConfig
    """
    check.sections("params", params, ("parameters", "statistics"))
    core.save_weights(path, {**params["parameters"], **params.get("statistics", {})}, config)


def load_weights(path: str | os.PathLike[str], *, order: Order | None = None) -> tuple[Parameters, ResidualUNetConfig]:
    """Read the parameters and the configuration from a file that any of the backends wrote: `subpixel_core.load_weights`.

    Parameters
    ----------
    path : path-like
    order : {"DCR", "CRD", "DRC", "RCD"}, optional
        The channel order to return the parameters in; without it, that of the file. The network computes the same in every order.

    Returns
    -------
    tuple of dict and ResidualUNetConfig
        The parameters as `init_residual_unet` makes them, in the dtype of the file, bit for bit. Without ``jax_enable_x64``, JAX itself
        makes float64 float32.
    """
    arrays, config = core.load_weights(path, order=order)
    return _divided(arrays, config), config


def _divided(arrays: Mapping[str, ArrayLike], config: ResidualUNetConfig) -> Parameters:
    """Return all parameters under their names in one dict as what is learned and what is not."""
    running = statistics_shapes(config)
    parts: Parameters = {"parameters": {}, "statistics": {}}
    for name, array in arrays.items():
        parts["statistics" if name in running else "parameters"][name] = jax.device_put(array)  # `asarray` compiles one program per shape
    return parts
