"""ICNR: sub-pixel weights that start as a nearest-neighbour resize (Aitken et al. 2017)."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subpixel_core import check
from subpixel_core._order import CHANNEL, ORDERS, Order, channel_parts


def _replicate(base: NDArray[Any], blocks: int, order: str) -> NDArray[Any]:
    """Return ``base`` with every channel ``c`` at all the channel indices ``k(c, o)``."""
    if _channels_fastest(order):
        return np.tile(base, blocks)  # a b a b a b a b
    return np.repeat(base, blocks, axis=-1)  # a a a a b b b b


def _channels_fastest(order: str) -> bool:
    return channel_parts(check.one_of("order", order, ORDERS), 1)[-1] == CHANNEL


def _kernel(kernel: ArrayLike) -> NDArray[Any]:
    array = np.asarray(kernel)
    check.kernel_shape(array.shape)
    return array


def icnr(kernel: ArrayLike, scale: check.Scale, *, order: Order) -> NDArray[Any]:
    """Return the sub-pixel kernel that upsamples the output of ``kernel`` by nearest neighbour.

    ::

        W[..., k(c, o)] = kernel[..., c]        for every offset o

    so that ``phase_shift(conv(x, W)) == nearest_upsample(conv(x, kernel))``.

    Parameters
    ----------
    kernel : array_like, shape (*k, Ci, C)
        The base kernel, as an initializer draws it for a convolution without upsampling.
    scale : int or tuple of int
        One factor per spatial axis of the kernel; an int is that factor on every axis.
    order : {"DCR", "CRD", "DRC", "RCD"}
        The order of the phase shift that follows.

    Returns
    -------
    ndarray, shape (*k, Ci, C * prod(scale))

    Raises
    ------
    ValueError, TypeError
        If the kernel has no spatial axis, or the scale or the order is none.

    References
    ----------
    Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution", §3.

    Examples
    --------
    >>> icnr([[[1., 2.]]], 3, order="DCR")
    array([[[1., 2., 1., 2., 1., 2.]]])
    >>> icnr([[[1., 2.]]], 3, order="CRD")
    array([[[1., 1., 1., 2., 2., 2.]]])
    """
    # IC-001
    base = _kernel(kernel)
    return _replicate(base, prod(check.per_axis("scale", scale, base.ndim - 2)), order)


def icnr_bias(bias: ArrayLike, scale: check.Scale, *, order: Order) -> NDArray[Any]:
    """Return the bias that goes with `icnr`: ``b[k(c, o)] = bias[c]``. An independent bias would break the nearest-neighbour law by itself.

    Parameters
    ----------
    bias : array_like, shape (C,)
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.
    order : {"DCR", "CRD", "DRC", "RCD"}

    Returns
    -------
    ndarray, shape (C * prod(scale),)

    Examples
    --------
    >>> icnr_bias([1., 2.], 2, order="CRD")
    array([1., 1., 1., 1., 2., 2., 2., 2.])
    """
    # IC-002
    base = np.asarray(bias)
    if base.ndim != 1:
        raise ValueError(f"bias must have one axis; got {base.ndim}")
    return _replicate(base, prod(check.per_axis("scale", scale)), order)


def icnr_weight_norm(kernel: ArrayLike, scale: check.Scale, *, order: Order) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the magnitudes ``g`` and directions ``v`` whose product ``g * v / norm(v)`` is the ICNR of ``kernel``.

    Both are replicated: the magnitude belongs to a channel as the bias does. The norm is taken over all axes but the last.

    Parameters
    ----------
    kernel : array_like, shape (*k, Ci, C)
    scale, order
        As in `icnr`.

    Returns
    -------
    g : ndarray, shape (C * prod(scale),)
    v : ndarray, shape (*k, Ci, C * prod(scale))

    References
    ----------
    Salimans and Kingma 2016, "Weight Normalization", Eq. 2.

    Examples
    --------
    >>> icnr_weight_norm([[[3.], [4.]]], 2, order="DCR")
    (array([5., 5.]), array([[[3., 3.],
            [4., 4.]]]))
    """
    # IC-006
    base = _kernel(kernel)
    factors = check.per_axis("scale", scale, base.ndim - 2)
    wide = np.abs(base.astype(np.promote_types(base.dtype, np.float64)))
    norm = np.sqrt(np.square(wide).sum(axis=tuple(range(base.ndim - 1))))
    norm = norm.astype(wide.dtype if base.dtype.kind in "biu" else base.real.dtype)
    return icnr_bias(norm, factors, order=order), icnr(base, factors, order=order)


def base_shape(kernel_shape: Sequence[int], scale: check.Scale) -> tuple[int, ...]:
    """Return the shape (*k, Ci, C) that the base initializer is asked for, given that of the sub-pixel kernel.

    >>> base_shape((3, 3, 16, 32), 2)
    (3, 3, 16, 8)
    """
    # IC-003
    check.kernel_shape(tuple(kernel_shape))
    shape = check.per_axis("kernel_shape", tuple(kernel_shape), len(tuple(kernel_shape)), minimum=0)
    factors = check.per_axis("scale", scale, len(shape) - 2)
    check.multiple("channels", shape[-1], prod(factors), f"the product of scale={factors}")
    return (*shape[:-1], shape[-1] // prod(factors))


def fans(kernel_shape: Sequence[int], scale: check.Scale) -> tuple[int, int]:
    """Return ``(fan_in, fan_out)`` as the base initializer of a sub-pixel kernel must see them.

    They are those of the base shape. On the whole kernel Glorot's standard deviation would be 2.9 times too small for scale 4, Ci = C = 64.

    Parameters
    ----------
    kernel_shape : sequence of int
        (*k, Ci, C * prod(scale)).
    scale : int or tuple of int
        One factor per spatial axis of the kernel; an int is that factor on every axis.

    Examples
    --------
    >>> fans((3, 3, 16, 32), 2)
    (144, 72)
    """
    # IC-003
    *taps, in_channels, out_channels = base_shape(kernel_shape, scale)
    return prod(taps) * in_channels, prod(taps) * out_channels


def icnr_residual(kernel: ArrayLike, scale: check.Scale, *, order: Order, bias: ArrayLike | None = None) -> float:
    """Return how far a kernel, and its bias, are from ICNR: 0.0 exactly when it holds.

    It is the largest difference, in absolute value, between a channel and the one of the same ``c`` at offset 0, and NaN for a kernel that
    holds a NaN.

    Parameters
    ----------
    kernel : array_like, shape (*k, Ci, C * prod(scale))
        The whole sub-pixel kernel, for instance of an existing model.
    scale : int or tuple of int
        One factor per spatial axis of the kernel; an int is that factor on every axis.
    order : {"DCR", "CRD", "DRC", "RCD"}
    bias : array_like, shape (C * prod(scale),), optional

    Raises
    ------
    ValueError, TypeError
        If the channels are not a multiple of the product of the scale, or the bias does not fit the kernel.

    Examples
    --------
    >>> icnr_residual([[[1., 2., 1., 2.]]], 2, order="DCR"), icnr_residual([[[1., 2., 1., 2.]]], 2, order="CRD")
    (0.0, 1.0)
    """
    # IC-005
    weights = _kernel(kernel)
    base_shape(weights.shape, scale)
    blocks = prod(check.per_axis("scale", scale, weights.ndim - 2))
    channels_fastest = _channels_fastest(order)
    arrays = [weights]
    if bias is not None:
        check.bias_shape(np.shape(bias), weights.shape[-1])
        arrays.append(np.asarray(bias))
    channels = weights.shape[-1] // blocks
    split, offset_axis = ((blocks, channels), -2) if channels_fastest else ((channels, blocks), -1)
    residual = 0.0
    for array in arrays:
        offsets = np.moveaxis(array.reshape(*array.shape[:-1], *split), offset_axis, 0)
        with np.errstate(invalid="ignore"):  # inf - inf, where both are equal
            difference = np.abs(offsets.astype(np.result_type(array, np.float64)) - offsets[:1])
        difference = np.where(offsets == offsets[:1], 0, np.maximum(difference, np.nextafter(0, 1)))  # unequal is never 0
        residual = float(np.maximum(residual, difference.max(initial=0)))
    return residual
