"""Sub-pixel convolution as pure functions, channels last: one makes the parameters, a plain pytree, the other applies them."""

from collections.abc import Callable, Sequence
from itertools import product
from math import prod

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from subpixel_core import Order, base_shape, padding_widths, plan_stages
from subpixel_core.check import (
    Padding,
    Scale,
    bias_shape,
    depthwise_shape,
    flag,
    kernel_fits,
    kernel_shape,
    layer_input,
    per_axis,
    pointwise_shape,
)
from subpixel_jax.initializers import Initializer, icnr
from subpixel_jax.ops import box_blur, in_native_order, phase_shift

Parameters = dict[str, Array]

_lecun_normal = jax.nn.initializers.lecun_normal()  # what Flax's convolutions start from: keeps the variance of a linear layer
_zeros = jax.nn.initializers.zeros


def init_subpixel_conv(
    key: Array,
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int],
    scale: Scale,
    *,
    ndim: int = 2,
    order: Order = "DCR",
    bias: bool = True,
    separable: bool = False,
    initializer: Initializer = _lecun_normal,
    bias_initializer: Initializer = _zeros,
    dtype: DTypeLike = jnp.float32,
) -> Parameters:
    """Draw the parameters of `subpixel_conv`: ICNR, so that the fresh layer upsamples by nearest neighbour.

    Parameters
    ----------
    key : Array
        A key of `jax.random`.
    in_channels, out_channels : int
        Channels of the input and of the upsampled output.
    kernel_size : int or tuple of int
    scale : int or tuple of int
        An int is that factor on every one of the ``ndim`` axes.
    ndim : int
        Number of spatial axes.
    order : {"DCR", "CRD", "DRC", "RCD"}
        That of the application.
    bias : bool
    separable : bool
        Convolve depthwise, then pointwise.
    initializer, bias_initializer : callable
        As those of `jax.nn.initializers`. They draw what is then replicated over the blocks, and the depthwise kernel.
    dtype
        Of the parameters.

    Returns
    -------
    dict
        ``kernel`` (*kernel_size, in_channels, out_channels * prod(scale)), with 1 tap per axis if separable; ``bias`` unless there is
        none; ``depthwise`` (*kernel_size, in_channels, 1) if separable.

    Raises
    ------
    ValueError, TypeError
        If an argument is not of its kind.
    """
    (stage,) = plan_stages(
        scale, in_channels, out_channels, kernel_size=kernel_size, ndim=ndim, factors=(scale,), bias=bias, separable=separable
    ).stages
    kernel_key, bias_key, depthwise_key = jax.random.split(key, 3)
    parameters = {"kernel": icnr(initializer, stage.scale, order)(kernel_key, stage.kernel_shape, dtype)}
    if bias:
        parameters["bias"] = icnr(bias_initializer, stage.scale, order)(bias_key, (stage.channels,), dtype)
    if separable:
        grouped = initializer(depthwise_key, (*stage.kernel_size, 1, in_channels), dtype)  # one input channel each: the fan that counts
        parameters["depthwise"] = jnp.swapaxes(grouped, -1, -2)
    return parameters


def subpixel_conv(
    params: Parameters,
    x: ArrayLike,
    *,
    scale: Scale,
    order: Order = "DCR",
    padding: Padding = "same",
    blur: bool = False,
    precision: lax.PrecisionLike = None,
) -> Array:
    """Convolve at low resolution, then shift the channels into pixels (Shi et al. 2016, §3.2).

    Parameters
    ----------
    params : dict
        As `init_subpixel_conv` makes them; with a ``depthwise`` kernel the layer is separable.
    x : Array, shape (N, *spatial, in_channels)
    scale : int or tuple of int
        An int is that factor on every spatial axis of the kernel.
    order : {"DCR", "CRD", "DRC", "RCD"}
    padding : "same", "valid" or one pair (before, after) per spatial axis
    blur : bool
        Average the output over a box of the size of the scale, which keeps the checkerboard away for good.
    precision
        Of the convolutions, as in `jax.lax.conv_general_dilated`.

    Returns
    -------
    Array, shape (N, *(scale * spatial'), out_channels)
        In the common dtype of input and parameters, summed in float32 at least.

    Raises
    ------
    ValueError, TypeError
        If an argument is not of its kind, or the input has not the channels and axes it must have.
    """
    x, kernel = jnp.asarray(x), params["kernel"]
    kernel_shape(kernel.shape)
    factors = per_axis("scale", scale, kernel.ndim - 2)
    layer_input(x.shape, len(factors), kernel.shape[-2])
    if "bias" in params:
        bias_shape(params["bias"].shape, kernel.shape[-1])
    dtype = jnp.result_type(x, *params.values())
    x, widths = x.astype(dtype), padding_widths(padding, _taps(params))
    kernel_fits(x.shape[1:-1], _taps(params), widths)
    if "depthwise" in params:
        depthwise_shape(params["depthwise"].shape)
        layer_input(x.shape, len(factors), params["depthwise"].shape[-2])
        pointwise_shape(kernel.shape)
        x = _convolve(x, params["depthwise"], widths, precision, depthwise=True).astype(dtype)  # (N, *spatial', Ci)
        widths = padding_widths("valid", factors)
    kernel, bias, order = in_native_order(x, kernel, params.get("bias"), factors, order)
    x = _convolve(x, kernel, widths, precision)  # (N, *spatial', C * prod(scale))
    if bias is not None:
        x = x + bias
    x = phase_shift(x.astype(dtype), factors, order=order)  # (N, *(scale * spatial'), C)
    return box_blur(x, factors) if flag("blur", blur) else x


def _taps(params: Parameters) -> tuple[int, ...]:
    return params["depthwise" if "depthwise" in params else "kernel"].shape[:-2]


def _convolve(
    x: Array,
    kernel: Array,
    widths: Sequence[tuple[int, int]],
    precision: lax.PrecisionLike,
    *,
    stride: Sequence[int] | None = None,
    depthwise: bool = False,
) -> Array:
    """Convolve any number of spatial axes, summing in float32 at least. A depthwise kernel is (*k, Ci, 1), one group per channel."""
    if x.dtype == jnp.float64:
        return _convolve_by_windows(x, kernel.astype(x.dtype), widths, precision, stride or (1,) * len(widths), depthwise)
    axes = "".join(map(str, range(len(widths))))
    return lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        stride or (1,) * len(widths),
        widths,
        dimension_numbers=(f"N{axes}C", f"{axes}OI" if depthwise else f"{axes}IO", f"N{axes}C"),
        feature_group_count=kernel.shape[-2] if depthwise else 1,
        precision=precision,
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32) if jnp.issubdtype(x.dtype, jnp.inexact) else x.dtype,
    )


def _convolve_by_windows(
    x: Array, kernel: Array, widths: Sequence[tuple[int, int]], precision: lax.PrecisionLike, stride: Sequence[int], depthwise: bool
) -> Array:
    """Convolve as one product of windows and kernel.

    XLA's own convolution in float64 never ends compiling on a CPU for some kernels: (3, 4, 2, 6) on (2, 6, 18, 2), with jaxlib 0.10.2.
    """
    taps = kernel.shape[:-2]
    padded = jnp.pad(x, ((0, 0), *widths, (0, 0)))
    lasts = [extent - k + 1 for extent, k in zip(padded.shape[1:-1], taps, strict=True)]
    windows = [
        padded[(slice(None), *(slice(at, at + last, s) for at, last, s in zip(offset, lasts, stride, strict=True)))]
        for offset in product(*map(range, taps))
    ]  # prod(k) times (N, *spatial', Ci)
    if depthwise:
        return sum(window * tap for window, tap in zip(windows, kernel.reshape(-1, kernel.shape[-2]), strict=True))
    return jnp.matmul(jnp.concatenate(windows, axis=-1), kernel.reshape(-1, kernel.shape[-1]), precision=precision)


def init_chained_subpixel_conv(
    key: Array,
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int],
    scale: Scale,
    *,
    factors: Sequence[Scale] | None = None,
    width: int | None = None,
    ndim: int = 2,
    order: Order = "DCR",
    bias: bool = True,
    separable: bool = False,
    initializer: Initializer = _lecun_normal,
    bias_initializer: Initializer = _zeros,
    dtype: DTypeLike = jnp.float32,
) -> list[Parameters]:
    """Draw the parameters of `chained_subpixel_conv`, every stage ICNR.

    Parameters
    ----------
    key, in_channels, out_channels, kernel_size, scale, ndim, order, bias, separable, initializer, bias_initializer, dtype
        As in `init_subpixel_conv`; the kernel size holds for every stage.
    factors : sequence of int or of tuples, optional
        The scales of the stages; without them, the plan with the fewest parameters: see `subpixel_core.plan_stages`.
    width : int, optional
        Channels between the stages; ``out_channels`` if None.

    Returns
    -------
    list of dict
        One per stage, as from `init_subpixel_conv`.
    """
    stages = plan_stages(
        scale, in_channels, out_channels, kernel_size=kernel_size, ndim=ndim, factors=factors, width=width, bias=bias, separable=separable
    ).stages
    return [
        init_subpixel_conv(
            stage_key,
            stage.in_channels,
            stage.out_channels,
            stage.kernel_size,
            stage.scale,
            ndim=ndim,
            order=order,
            bias=bias,
            separable=separable,
            initializer=initializer,
            bias_initializer=bias_initializer,
            dtype=dtype,
        )
        for stage_key, stage in zip(jax.random.split(key, len(stages)), stages, strict=True)
    ]


def chained_subpixel_conv(
    params: Sequence[Parameters],
    x: ArrayLike,
    *,
    scale: Scale,
    factors: Sequence[Scale] | None = None,
    order: Order = "DCR",
    padding: Padding = "same",
    activation: Callable[[Array], Array] | None = None,
    blur: bool = False,
    precision: lax.PrecisionLike = None,
) -> Array:
    """Apply sub-pixel convolutions one after the other, which together reach the scale.

    A chain has fewer parameters than the direct layer in most cases, more multiply-accumulates unless it is narrower than its input, and is
    another function: see `subpixel_core.plan_stages`.

    Parameters
    ----------
    params : sequence of dict
        As `init_chained_subpixel_conv` makes them.
    x, order, padding, blur, precision
        As in `subpixel_conv`, for every stage; each is blurred by its own scale.
    scale, factors
        Those that the parameters were made for. They are no part of the pytree: under `jax.jit` they are static.
    activation : callable, optional
        Applied between the stages, not after the last.

    Returns
    -------
    Array, shape (N, *(scale * spatial), out_channels) with padding "same"
    """
    for i, (stage, stage_scale) in enumerate(zip(params, _stage_scales(params, scale, factors), strict=True)):
        if i and activation is not None:
            x = activation(jnp.asarray(x))
        x = subpixel_conv(stage, x, scale=stage_scale, order=order, padding=padding, blur=blur, precision=precision)
    return jnp.asarray(x)


def _stage_scales(params: Sequence[Parameters], scale: Scale, factors: Sequence[Scale] | None) -> list[tuple[int, ...]]:
    """Return the scale of every stage by planning again: all that the plan depends on but the scales can be read from the shapes."""
    first, *others = [stage["kernel"].shape for stage in params]
    if not others:  # the direct stage, whatever width it was planned with
        factors = factors or (scale,)
    between = [shape[-2] for shape in others]
    channels = prod(shape[-1] for shape in (first, *others)) // prod(between)  # of the direct stage: out_channels * prod(scale)
    *_, in_channels, out_channels = base_shape((*first[:-1], channels), scale)
    plan = plan_stages(
        scale,
        in_channels,
        out_channels,
        kernel_size=_taps(params[0]),
        ndim=len(first) - 2,
        factors=factors,
        width=between[0] if between else None,
        bias="bias" in params[0],
        separable="depthwise" in params[0],
    )
    return [stage.scale for stage in plan.stages]
