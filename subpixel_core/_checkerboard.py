"""The checkerboard: a blur that training cannot bring it back through, and a measure of it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subpixel_core import check
from subpixel_core._phase_shift import inverse_phase_shift


def box_blur(x: ArrayLike, scale: check.Scale) -> NDArray[Any]:
    """Average over a box of the size of the scale, stride 1, leaving out what lies outside.

    ::

        y[i] = mean of x[i - (r - 1) // 2 + t] over 0 <= t < r, over the positions that exist

    After it, a constant input to a sub-pixel layer gives a constant interior for *any* weights.

    Parameters
    ----------
    x : array_like, shape (*batch, *spatial, C)
        At high resolution.
    scale : int or tuple of int
        The scale of the layer that made ``x``: one factor per spatial axis; an int is the pair.

    Returns
    -------
    ndarray, shape of ``x``
        In its dtype (float64 for integers), averaged in float32 at least.

    References
    ----------
    Sugawara et al. 2018, "Super-Resolution Using Convolutional Neural Networks Without Any Checkerboard Artifacts"; Aitken et al. 2017.

    Examples
    --------
    >>> box_blur([[0.], [0.], [6.], [0.]], (3,))[:, 0]
    array([0., 2., 2., 3.])
    """
    # BL-001, BL-002, BL-003
    factors, array = check.per_axis("scale", scale), np.asarray(x)
    ndim = len(factors)
    check.rank(array.ndim, ndim, factors)
    dtype = np.dtype(np.float64) if array.dtype.kind in "biu" else array.dtype
    total = array.astype(np.promote_types(dtype, np.float32))
    count = np.ones((*array.shape[array.ndim - 1 - ndim : -1], 1), total.dtype)
    for axis, r in enumerate(factors):
        total, count = _box_sum(total, axis - ndim - 1, r), _box_sum(count, axis - ndim - 1, r)
    return (total / count).astype(dtype)


def _box_sum(x: NDArray[Any], axis: int, r: int) -> NDArray[Any]:
    """Return the sums over ``r`` neighbours along one axis, ``(r - 1) // 2`` of them before, zeros outside."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = ((r - 1) // 2, r // 2)
    padded = np.moveaxis(np.pad(x, widths), axis, 0)
    summed = sum((padded[t : t + x.shape[axis]] for t in range(1, r)), start=padded[: x.shape[axis]])
    return np.moveaxis(summed, 0, axis)


def checkerboard(y: ArrayLike, scale: check.Scale) -> float:
    """Return how strong the pattern is that repeats with every block, in the unit of ``y``: 0.0 for constant blocks.

    With ``a[o, c]`` the mean of ``y`` over all blocks at offset ``o`` ::

        checkerboard(y) = sqrt(mean over o, c of (a[o, c] - mean over o of a[o, c]) ** 2)

    Parameters
    ----------
    y : array_like, shape (*batch, *spatial, C)
        At high resolution; every extent a multiple of its factor.
    scale : int or tuple of int
        The scale of the layer that made ``y``: one factor per spatial axis; an int is the pair.

    Examples
    --------
    >>> checkerboard([[0.], [1.], [0.], [1.]], (2,)), checkerboard([[0.], [0.], [1.], [1.]], (2,))
    (0.5, 0.0)
    """
    # CB-001
    factors = check.per_axis("scale", scale)
    channels = inverse_phase_shift(y, factors, order="DCR")
    if not channels.size:
        return 0.0
    values = channels.astype(np.promote_types(channels.dtype, np.float64))
    phases = values.reshape(-1, int(np.prod(factors)), np.shape(y)[-1]).mean(axis=0)
    deviation = phases - phases[:1]  # exactly zero where the phases are equal
    return float(np.sqrt(np.square(np.abs(deviation - deviation.mean(axis=0))).mean()))
