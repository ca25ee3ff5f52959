"""Reference convolutions: plain sums over taps, in as many dimensions as the kernel has, as precise as their inputs."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from subpixel_core import check
from subpixel_core._order import Order
from subpixel_core._phase_shift import phase_shift


def accumulator(*arrays: NDArray[Any]) -> tuple[DTypeLike, DTypeLike]:
    """Return the dtypes to sum in and to return: at least float32 and that of the operands, or 64-bit integers for both."""
    out = np.result_type(*arrays)
    if out.kind in "biu":
        return (np.uint64,) * 2 if out == np.uint64 else (np.int64,) * 2
    return np.promote_types(out, np.float32), out


def _operands(x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Return the arrays, checked against each other: x (N, *spatial, Ci), kernel (*k, Ci, Co), bias (Co,)."""
    x, kernel = np.asarray(x), np.asarray(kernel)
    check.kernel_shape(kernel.shape)
    check.layer_input(x.shape, kernel.ndim - 2, kernel.shape[-2])
    if bias is None:
        return x, kernel, None
    bias = np.asarray(bias)
    check.bias_shape(bias.shape, kernel.shape[-1])
    return x, kernel, bias


def _windows(x: NDArray[Any], kernel_size: tuple[int, ...], padding: check.Padding) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """Yield every tap of a convolution with the part of x, zeros around it, that the tap is multiplied with."""
    widths = check.padding_widths(padding, kernel_size)
    check.kernel_fits(x.shape[1:-1], kernel_size, widths)
    padded = np.pad(x, ((0, 0), *widths, (0, 0)))
    extents = [extent - k + 1 for extent, k in zip(padded.shape[1:-1], kernel_size, strict=True)]
    for tap in np.ndindex(*kernel_size):
        yield tap, padded[(slice(None), *(slice(t, t + extent) for t, extent in zip(tap, extents, strict=True)))]


def conv(x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None, *, padding: check.Padding = "same") -> NDArray[Any]:
    """Convolve, in the sense of every framework: correlate, with zeros around the input.

    ::

        y[n, i, q] = bias[q] + sum over t, p of x[n, i + t - before, p] * kernel[t, p, q]

    Parameters
    ----------
    x : array_like, shape (N, *spatial, Ci)
    kernel : array_like, shape (*k, Ci, Co)
        Its rank gives the number of spatial axes.
    bias : array_like, shape (Co,), optional
    padding : "same", "valid" or one pair (before, after) per spatial axis
        "same" puts ``(k - 1) // 2`` zeros before and the rest after.

    Returns
    -------
    ndarray, shape (N, *(spatial + before + after - k + 1), Co)
        In the common dtype of the operands, summed in float32 at least; integers in int64.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit each other, or the padding is none of the three.

    Examples
    --------
    >>> conv([[[1.], [2.], [4.]]], [[[1.]], [[10.]]])[0, :, 0]
    array([21., 42.,  4.])
    """
    # CV-001, CV-002, CV-003
    x, kernel, bias = _operands(x, kernel, bias)
    sum_dtype, dtype = accumulator(x, kernel, *([] if bias is None else [bias]))
    y: Any = 0
    for tap, window in _windows(x.astype(sum_dtype), kernel.shape[:-2], padding):
        y = y + window @ kernel[tap].astype(sum_dtype)
    return (y if bias is None else y + bias.astype(sum_dtype)).astype(dtype)


def depthwise_conv(x: ArrayLike, depthwise: ArrayLike, *, padding: check.Padding = "same") -> NDArray[Any]:
    """Convolve every channel with its own kernel.

    Parameters
    ----------
    x : array_like, shape (N, *spatial, Ci)
    depthwise : array_like, shape (*k, Ci, 1)
    padding
        As in `conv`.

    Returns
    -------
    ndarray, shape (N, *spatial', Ci)

    Examples
    --------
    >>> depthwise_conv([[[1., 1.], [2., 2.]]], [[[1.], [10.]]])
    array([[[ 1., 10.],
            [ 2., 20.]]])
    """
    # SP-001
    x, depthwise, _ = _operands(x, depthwise, None)
    check.depthwise_shape(depthwise.shape)
    sum_dtype, dtype = accumulator(x, depthwise)
    y: Any = 0
    for tap, window in _windows(x.astype(sum_dtype), depthwise.shape[:-2], padding):
        y = y + window * depthwise[tap][:, 0].astype(sum_dtype)
    return y.astype(dtype)


def conv_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int],
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
) -> NDArray[Any]:
    """Convolve transposed ("deconvolve"), with PyTorch's meaning of padding.

    ::

        y[n, s * i + t - padding, q] += x[n, i, p] * kernel[t, p, q]

    Parameters
    ----------
    x : array_like, shape (N, *spatial, Ci)
    kernel : array_like, shape (*K, Ci, Co)
        In the layout of the other functions; PyTorch's is (Ci, Co, *K).
    bias : array_like, shape (Co,), optional
    stride, padding, output_padding : int or one int per spatial axis
        ``padding`` values are cropped at both ends; ``output_padding < stride`` values are added at the end.

    Returns
    -------
    ndarray, shape (N, *((spatial - 1) * stride - 2 * padding + K + output_padding), Co)

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit each other, the output padding is not below the stride, or nothing is left after cropping.

    References
    ----------
    Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", §4.

    Examples
    --------
    >>> conv_transpose([[[1.], [2.]]], [[[1.]], [[10.]], [[100.]]], stride=2)[0, :, 0]
    array([  1.,  10., 102.,  20., 200.])
    """
    # CV-004
    x, kernel, bias = _operands(x, kernel, bias)
    ndim, taps = kernel.ndim - 2, kernel.shape[:-2]
    strides = check.per_axis("stride", stride, ndim)
    cropped = check.per_axis("padding", padding, ndim, minimum=0)
    added = check.per_axis("output_padding", output_padding, ndim, minimum=0)
    check.output_padding(added, strides)
    full = [(h - 1) * s + k + a for h, s, k, a in zip(x.shape[1:-1], strides, taps, added, strict=True)]
    extents = [f - 2 * p for f, p in zip(full, cropped, strict=True)]
    if min(extents) < 0:
        raise ValueError(f"padding must not crop more than the extents {tuple(full)} from both ends; got {cropped}")
    sum_dtype, dtype = accumulator(x, kernel, *([] if bias is None else [bias]))
    y = np.zeros((len(x), *full, kernel.shape[-1]), sum_dtype)
    for tap in np.ndindex(*taps):
        window = tuple(slice(t, t + s * h, s) for t, s, h in zip(tap, strides, x.shape[1:-1], strict=True))
        y[(slice(None), *window)] += x.astype(sum_dtype) @ kernel[tap].astype(sum_dtype)
    y = y[(slice(None), *(slice(p, p + e) for p, e in zip(cropped, extents, strict=True)))]
    return (y if bias is None else y + bias.astype(sum_dtype)).astype(dtype)


def nearest_upsample(x: ArrayLike, scale: check.Scale) -> NDArray[Any]:
    """Repeat every pixel over its block: ``y[n, r * i + o, c] = x[n, i, c]``.

    Parameters
    ----------
    x : array_like, shape (*batch, *spatial, C)
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.

    Returns
    -------
    ndarray, shape (*batch, *(spatial * scale), C)

    Examples
    --------
    >>> nearest_upsample([[1], [2]], (2,))[:, 0]
    array([1, 1, 2, 2])
    """
    # CV-005
    factors, y = check.per_axis("scale", scale), np.asarray(x)
    check.rank(y.ndim, len(factors), factors)
    for axis, factor in enumerate(factors, start=y.ndim - 1 - len(factors)):
        y = np.repeat(y, factor, axis=axis)
    return y


def subpixel_conv(
    x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None, *, scale: check.Scale, order: Order, padding: check.Padding = "same"
) -> NDArray[Any]:
    """Convolve at low resolution, then shift the channels into pixels.

    Parameters
    ----------
    x : array_like, shape (N, *spatial, Ci)
    kernel : array_like, shape (*k, Ci, C * prod(scale))
    bias : array_like, shape (C * prod(scale),), optional
    scale : int or tuple of int
        One factor per spatial axis of the kernel; an int is that factor on every axis.
    order : {"DCR", "CRD", "DRC", "RCD"}
    padding
        As in `conv`.

    Returns
    -------
    ndarray, shape (N, *(scale * spatial'), C)

    References
    ----------
    Shi et al. 2016, §3.2.

    Examples
    --------
    >>> subpixel_conv([[[1.], [2.]]], [[[1., 10.]]], scale=2, order="DCR")[0, :, 0]
    array([ 1., 10.,  2., 20.])
    """
    # SC-001, SC-003
    factors = check.per_axis("scale", scale, max(np.ndim(kernel) - 2, 1))
    return phase_shift(conv(x, kernel, bias, padding=padding), factors, order=order)


def separable_subpixel_conv(
    x: ArrayLike,
    depthwise: ArrayLike,
    pointwise: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    scale: check.Scale,
    order: Order,
    padding: check.Padding = "same",
) -> NDArray[Any]:
    """Convolve depthwise, then pointwise, then shift the channels into pixels.

    Parameters
    ----------
    x : array_like, shape (N, *spatial, Ci)
    depthwise : array_like, shape (*k, Ci, 1)
    pointwise : array_like, shape (1, ..., 1, Ci, C * prod(scale))
    bias : array_like, shape (C * prod(scale),), optional
        Added by the pointwise convolution.
    scale, order, padding
        As in `subpixel_conv`; the padding is that of the depthwise convolution.

    Returns
    -------
    ndarray, shape (N, *(scale * spatial'), C)

    Examples
    --------
    >>> separable_subpixel_conv([[[1.], [2.]]], [[[3.]]], [[[1., 10.]]], scale=2, order="DCR")[0, :, 0]
    array([ 3., 30.,  6., 60.])
    """
    # SP-001, SP-002
    check.pointwise_shape(np.shape(pointwise))
    return subpixel_conv(depthwise_conv(x, depthwise, padding=padding), pointwise, bias, scale=scale, order=order)
