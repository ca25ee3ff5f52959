"""Transposed convolutions, and resizes with a convolution behind them, as the sub-pixel convolutions that they are.

The core converts a kernel of labels; by them the values are moved here, in JAX. So a conversion may stand inside `jax.jit`, `jax.grad` and
`jax.vmap`, and no value is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from subpixel_core import SubpixelKernel, choose_form, shift_conv_to_subpixel
from subpixel_core._upsampling import FORMS, Form, Pairs, cropping, of_fractionally_strided
from subpixel_core.check import (
    Scale,
    bias_shape,
    exact_resize,
    flag,
    integer,
    kernel_shape,
    layer_input,
    one_of,
    per_axis,
    something_left,
    sums_held,
    xla_padding,
)
from subpixel_jax.layers import Parameters, subpixel_conv

_static: Any = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class ExactSubpixelConv:
    """A sub-pixel convolution with its padding before and its crop behind: a function of ``x``, and a pytree of ``params``.

    ``params`` are those of `subpixel_conv`. The rest is static under `jax.jit`: ``padding`` and ``crop`` (first, last) on every axis as in
    `subpixel_core.SubpixelKernel`, and which axes of input and output are batch, spatial and channels.
    """

    params: Parameters
    scale: tuple[int, ...] = field(metadata=_static)
    padding: Pairs = field(metadata=_static)
    crop: Pairs = field(metadata=_static)
    inputs: tuple[int, ...] = field(metadata=_static)
    outputs: tuple[int, ...] = field(metadata=_static)

    def __call__(self, x: ArrayLike, *, precision: lax.PrecisionLike = None) -> Array:
        """Return the output, in the layout of the layer that this one was made from."""
        x, kernel = jnp.asarray(x), self.params["kernel"]
        layer_input(x.shape, len(self.scale), None)
        x = x.transpose(self.inputs)  # (N, *spatial, Ci)
        axes = zip(x.shape[1:-1], self.scale, self.padding, self.crop, kernel.shape[:-2], strict=True)
        something_left(x.shape[1:-1], tuple(r * (n + sum(zeros) - k + 1) - sum(cut) for n, r, zeros, cut, k in axes))
        y = subpixel_conv(self.params, x, scale=self.scale, padding=self.padding, precision=precision)
        return y[cropping(self.crop, y.shape[1:-1])].transpose(self.outputs)


def from_conv_transpose(
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Sequence[int] | None,
    padding: str | int | Sequence[Any],
    rhs_dilation: int | Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    use_consistent_padding: bool = False,
    form: Form | None = None,
) -> ExactSubpixelConv:
    """Return the sub-pixel convolution that `jax.lax.conv_transpose` is with these arguments: `subpixel_core.deconv_to_subpixel`.

    On one axis with K taps (``d * (k - 1) + 1`` of k taps with dilation d) and stride s, ``"VALID"`` is what any tap reaches, at least
    ``s * H`` positions: ``s * (H - 1) + max(K, s)``. ``"SAME"`` is ``s * H`` of these: without ``(K - s) // 2`` of them at the start where
    K is larger, and without the rest at the end.

    Parameters
    ----------
    kernel : Array
        Of the layout of ``dimension_numbers``, by default (*K, Ci, Co); with ``transpose_kernel`` its last two change places.
    bias : Array, shape (Co,), optional
        What is added behind it.
    strides, padding, rhs_dilation, dimension_numbers, transpose_kernel, use_consistent_padding
        As those of `jax.lax.conv_transpose`. Those of Flax's ``ConvTranspose`` serve as they are, ``kernel_dilation`` as ``rhs_dilation``:
        an int is for every axis, None is 1. Its ``"CIRCULAR"`` is refused, for a sub-pixel convolution has zeros outside.
    form : {"minimal", "aligned"}, optional
        As in `subpixel_core.deconv_to_subpixel`; without it, the one with fewer taps.

    Returns
    -------
    ExactSubpixelConv
        Of equal output. Its kernel holds the values of ``kernel``, bit for bit, and zeros.

    Raises
    ------
    ValueError, TypeError
        As `subpixel_core.deconv_to_subpixel`, with the same text.

    Examples
    --------
    >>> kernel, x = jnp.arange(48.).reshape(4, 4, 3, 1), jnp.arange(60.).reshape(1, 4, 5, 3)
    >>> layer = from_conv_transpose(kernel, strides=(2, 2), padding="SAME")
    >>> layer.params["kernel"].shape, layer.padding, layer.crop
    ((2, 2, 3, 4), ((1, 1), (1, 1)), ((1, 1), (1, 1)))
    >>> bool((layer(x) == jax.lax.conv_transpose(x, kernel, (2, 2), "SAME")).all())
    True
    """
    kernel = jnp.asarray(kernel)
    kernel_shape(kernel.shape)
    lhs, (outputs, inputs, *spatial), out = _layout(kernel.ndim, dimension_numbers)
    if flag("transpose_kernel", transpose_kernel):
        kernel = jnp.flip(kernel, spatial)
        inputs, outputs = outputs, inputs
    kernel = kernel.transpose(*spatial, inputs, outputs)  # (*K, Ci, Co)
    s = per_axis("strides", 1 if strides is None else strides, len(spatial))
    dilation = per_axis("rhs_dilation", 1 if rhs_dilation is None else rhs_dilation, len(spatial))
    taps = tuple(d * (k - 1) + 1 for k, d in zip(kernel.shape, dilation, strict=False))
    zeros = _zeros(xla_padding(padding, len(s)), taps, s, flag("use_consistent_padding", use_consistent_padding))
    whole = of_fractionally_strided(_labels(kernel), s, zeros, dilation)
    plan = choose_form(*(whole.subpixel("DCR", each) for each in _forms(form)))
    return _layer(_moved(kernel, plan.kernel[..., 0, :]), bias, plan, lhs, out)


def from_resize_conv(
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    scale: Scale,
    padding: str | int | Sequence[Any],
    mode: str = "nearest",
    dimension_numbers: Any = None,
    form: Form | None = None,
) -> ExactSubpixelConv:
    """Return the sub-pixel convolution that a resize to the nearest neighbour is, and `jax.lax.conv_general_dilated` behind it.

    Parameters
    ----------
    kernel : Array
        Of the convolution, in the layout of ``dimension_numbers``, by default (*k, Ci, Co).
    bias : Array, shape (Co,), optional
        What is added behind it.
    scale : int or tuple of int
        Of the resize, be it `jax.image.resize` or `jax.numpy.repeat`: an int is that factor on every spatial axis.
    padding, dimension_numbers
        As those of `jax.lax.conv_general_dilated`, or of Flax's ``Conv``; negative padding leaves positions out. Its stride is 1.
    mode : "nearest"
        What `jax.image.resize` calls its method. Any other is refused, as by `subpixel_core.resize_conv_to_subpixel`.
    form : {"minimal", "aligned"}, optional
        As in `from_conv_transpose`.

    Returns
    -------
    ExactSubpixelConv
        Of equal output, borders included. Each of its taps is a sum of taps of ``kernel``, in float32 at least.

    Raises
    ------
    ValueError, TypeError
        As `subpixel_core.resize_conv_to_subpixel`, with the same text. Under `jax.jit` no values are known: there a sum of taps that the
        dtype of the kernel cannot hold is infinite.

    Examples
    --------
    >>> kernel = jnp.array([1., 10., 100.]).reshape(3, 1, 1)
    >>> layer = from_resize_conv(kernel, scale=2, padding="SAME")
    >>> layer.params["kernel"][:, 0].tolist(), layer.crop
    ([[11.0, 1.0], [100.0, 110.0]], ((1, 1),))
    """
    kernel = jnp.asarray(kernel)
    kernel_shape(kernel.shape)
    exact_resize(mode, False)
    lhs, (outputs, inputs, *spatial), out = _layout(kernel.ndim, dimension_numbers)
    kernel = kernel.transpose(*spatial, inputs, outputs)  # (*k, Ci, Co)
    taps = kernel.shape[:-2]
    zeros = xla_padding(padding, len(taps), ("SAME", "SAME_LOWER", "VALID"))
    if isinstance(zeros, str):
        zeros = tuple((before, after) for before, after in lax.padtype_to_pads(taps, taps, (1,) * len(taps), zeros))
    around = tuple((max(before, 0), max(after, 0)) for before, after in zeros)
    convert = partial(shift_conv_to_subpixel, _labels(kernel), scale=scale, order="DCR", padding=around)
    plan = _cropped(choose_form(*(convert(form=each) for each in _forms(form))), zeros)
    wide = kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32)) if jnp.issubdtype(kernel.dtype, jnp.floating) else kernel
    added = reduce(jnp.add, [_moved(wide, labels) for labels in np.moveaxis(plan.kernel, -2, 0)])  # the pixels of a block are the same
    summed = added.astype(kernel.dtype)
    if not isinstance(summed, jax.core.Tracer):  # traced, a kernel has no values that could be looked at
        sums_held(bool(jnp.isfinite(summed).all() | ~jnp.isfinite(kernel).all()), kernel.dtype)
    return _layer(summed, bias, plan, lhs, out)


def is_measured_faster(kernel_size: Scale, scale: Scale, in_channels: int, out_channels: int, *, resize: bool = False) -> bool:
    """Return whether the sub-pixel convolution was faster than what it equals, on a CPU under `jax.jit`: a rule, not a promise.

    Measured in two dimensions by ``benchmarks/equivalence_jax.py``, whose figures are in ``docs/benchmarks.md``: XLA's transposed
    convolution is slow for few input channels, and no worse than ours for many, unless its taps fill the blocks. Other extents and batches
    did not change the sign.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Of the transposed convolution, or of the convolution behind the resize; an int is for both axes of a plane.
    scale : int or tuple of int
        Its strides, or the scale of the resize; an int is for every axis.
    in_channels, out_channels : int
    resize : bool
        Whether it is a resize with a convolution behind it.

    Raises
    ------
    ValueError, TypeError
        For a kernel size, a scale or channels that no layer has.

    Examples
    --------
    >>> is_measured_faster((4, 4), (2, 2), 64, 64), is_measured_faster((3, 3), (2, 2), 64, 64)
    (True, False)
    """
    kernel_size = per_axis("kernel_size", kernel_size)
    axes = list(zip(kernel_size, per_axis("scale", scale, len(kernel_size)), strict=True))
    in_channels, out_channels = integer("in_channels", in_channels, minimum=1), integer("out_channels", out_channels, minimum=1)
    if flag("resize", resize):
        return prod(kernel_size) >= 64 or (in_channels > 3 and (prod(kernel_size) > 4 or out_channels <= 16))
    if in_channels <= 16:
        return all(k >= s for k, s in axes)
    computed = prod(-(-k // s) * s / k for k, s in axes)  # for every tap, those of the minimal form, zeros included
    return all(k > s for k, s in axes) and computed < 1.3 and out_channels >= 32


def _forms(form: Form | None) -> tuple[Form, ...]:
    return FORMS if form is None else (one_of("form", form, FORMS),)


def _layout(rank: int, dimension_numbers: Any) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Return where input, kernel and output have (batch, channels, *spatial), the kernel (outputs, inputs, *spatial)."""
    if dimension_numbers is None:
        axes = "".join(map(str, range(rank - 2)))
        dimension_numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return lax.conv_dimension_numbers((1,) * rank, (1,) * rank, dimension_numbers)


def _zeros(padding: str | Pairs, taps: Sequence[int], strides: Sequence[int], consistent: bool) -> Pairs:
    """Return the zeros that `jax.lax.conv_transpose` puts before and after, beside those between the pixels."""
    axes = list(zip(taps, strides, strict=True))
    if isinstance(padding, str):
        cropped = [max(k - s, 0) if padding == "SAME" else 0 for k, s in axes]
        return tuple((k - 1 - c // 2, max(k, s) - 1 - (c - c // 2)) for c, (k, s) in zip(cropped, axes, strict=True))
    if consistent:
        return tuple((k - 1 - before, k - 1 - after) for k, (before, after) in zip(taps, padding, strict=True))
    return padding


def _cropped(plan: SubpixelKernel, zeros: Pairs) -> SubpixelKernel:
    """Return a layer without the positions that a negative padding leaves out, which are as many behind the convolution as before it."""
    axes = zip(plan.crop, zeros, strict=True)
    return replace(plan, crop=tuple((first - min(before, 0), last - min(after, 0)) for (first, last), (before, after) in axes))


def _labels(kernel: Array) -> Any:
    """Return a kernel of one channel whose taps are 1, 2, 3, ...: 0 is then none of them."""
    taps = kernel.shape[:-2]
    return np.arange(1, prod(taps) + 1).reshape(*taps, 1, 1)


def _moved(kernel: Array, labels: Any) -> Array:
    """Return (*k, Ci, prod(scale) * Co): for every label of (*k, prod(scale)) the tap of that name."""
    taps = kernel.reshape(-1, *kernel.shape[-2:])
    values = jnp.concatenate([jnp.zeros_like(taps[:1]), taps])[labels]  # (*k, prod(scale), Ci, Co)
    return jnp.moveaxis(values, -3, -2).reshape(*labels.shape[:-1], kernel.shape[-2], -1)


def _layer(kernel: Array, bias: ArrayLike | None, plan: SubpixelKernel, lhs: Sequence[int], out: Sequence[int]) -> ExactSubpixelConv:
    params = {"kernel": kernel}
    if bias is not None:
        bias_shape(jnp.shape(bias), kernel.shape[-1] // prod(plan.scale))
        params["bias"] = jnp.tile(jnp.asarray(bias), prod(plan.scale))
    batch, channels, *spatial = lhs
    places = (out[0], *out[2:], out[1])  # of (N, *spatial, C) in the output
    return ExactSubpixelConv(
        params, plan.scale, plan.padding, plan.crop, (batch, *spatial, channels), tuple(map(places.index, range(len(places))))
    )
