"""The phase shift and its inverse, and the plan that every backend carries out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subpixel_core import check
from subpixel_core._order import CHANNEL, DATA_FORMATS, ORDERS, DataFormat, Order, channel_parts


@dataclass(frozen=True)
class Extent:
    """An extent of a reshape: that of ``axis`` divided and multiplied, or ``times`` alone where there is no axis."""

    axis: int | None
    divided_by: int = 1
    times: int = 1

    def of(self, shape: Sequence[Any]) -> Any:
        """Return the extent for a tensor of this shape. A symbolic extent that is neither divided nor multiplied passes untouched."""
        if self.axis is None:
            return self.times
        extent = shape[self.axis]
        if self.divided_by != 1:
            extent = extent // self.divided_by
        return extent if self.times == 1 else extent * self.times


@dataclass(frozen=True)
class Joined:
    """The extent of neighbouring axes as one."""

    extents: tuple[Extent, ...]

    def of(self, shape: Sequence[Any]) -> Any:
        """Return the product of the extents for a tensor of this shape."""
        first, *others = self.extents
        product = first.of(shape)
        for extent in others:  # torch's compiler follows this, and no math.prod of a generator
            product = product * extent.of(shape)
        return product


@dataclass(frozen=True)
class Rearrangement:
    """A phase shift or its inverse as reshape, transpose, reshape. It depends on the rank, never on the extents.

    ``x.reshape(plan.split(x.shape)).transpose(plan.axes).reshape(plan.merged(x.shape))`` carries it out in any framework. Parts of the
    channel axis that stay neighbours are one axis; batch and spatial axes are never joined to a neighbour, so that a sharded array needs no
    communication.
    """

    axes: tuple[int, ...]
    split_extents: tuple[Any, ...]
    """One Extent per axis, or one Joined in a plan of few axes."""
    merged_extents: tuple[Extent, ...]
    multiples: tuple[tuple[int, int, str, str], ...]
    """What must divide what: (axis, divisor, what the axis is, why)."""
    scale: tuple[int, ...]
    """One factor per spatial axis."""

    def demand_multiples(self, shape: Sequence[Any]) -> None:
        """Refuse a shape in which something does not divide."""
        for axis, divisor, what, reason in self.multiples:
            check.multiple(what, shape[axis], divisor, reason)  # ER-003, ER-004

    def split(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """Return the shape with the channel axis (or, for the inverse, the spatial axes) taken apart; refuse what does not divide."""
        self.demand_multiples(shape)
        return tuple(extent.of(shape) for extent in self.split_extents)

    def merged(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """Return the shape of the result for an input of this shape."""
        return tuple(extent.of(shape) for extent in self.merged_extents)


def rearrangement(
    rank: int, scale: check.Scale, *, order: str, data_format: str, inverse: bool = False, cached: bool = True
) -> Rearrangement:
    """Return the plan for tensors of ``rank`` axes. Every rule of the shift but divisibility is checked here, once for all backends.

    A tracing compiler that cannot follow a cache asks with ``cached=False``.

    >>> plan = rearrangement(4, 2, order="DCR", data_format="channels_last")
    >>> plan.split((1, 5, 7, 12)), plan.axes, plan.merged((1, 5, 7, 12))      # (n, h, w, i, j*c) -> (n, h, i, w, j*c)
    ((1, 5, 7, 2, 6), (0, 1, 3, 2, 4), (1, 10, 14, 3))
    """
    factors = scale if type(scale) is int else check.per_axis("scale", scale)
    cached = cached and type(order) is type(data_format) is str  # what equals a word need not be one, or have a hash
    return (_cached_plan if cached else _plan)(rank, factors, order, data_format, inverse)


def _plan(rank: int, scale: check.Scale, order: str, data_format: str, inverse: bool) -> Rearrangement:
    scale = check.per_axis("scale", scale)  # ER-001, ER-002
    check.one_of("order", order, ORDERS)  # ER-005
    check.one_of("data_format", data_format, DATA_FORMATS)
    ndim, blocks = len(scale), prod(scale)
    check.rank(rank, ndim, scale)  # ER-006
    batch_ndim = rank - ndim - 1
    last = data_format == "channels_last"
    spatial = tuple(batch_ndim + i + (not last) for i in range(ndim))
    channel = rank - 1 if last else batch_ndim

    # An axis is named ("batch", j), ("spatial", i) or, in the channel axis, ("part", i) for offset i and ("part", CHANNEL).
    # A factor of 1 has no axis (PS-008).
    batch = [("batch", j) for j in range(batch_ndim)]  # PS-007
    parts = [("part", part) for part in channel_parts(order, ndim) if part == CHANNEL or scale[part] > 1]
    low_spatial = [("spatial", i) for i in range(ndim)]
    high_spatial = [name for i in range(ndim) for name in (("spatial", i), ("part", i)) if name[0] == "spatial" or scale[i] > 1]
    low = batch + (low_spatial + parts if last else parts + low_spatial)  # PS-005
    high = batch + ([*high_spatial, ("part", CHANNEL)] if last else [("part", CHANNEL), *high_spatial])

    source, target = (high, low) if inverse else (low, high)
    source_runs = _runs(source, target)
    target_runs = sorted(source_runs, key=lambda run: target.index(run[0]))

    def split_extent(run: tuple[tuple[str, int], ...]) -> Extent:
        kind, i = run[0]
        if kind == "batch":
            return Extent(i)
        if kind == "spatial":
            return Extent(spatial[i], divided_by=scale[i]) if inverse else Extent(spatial[i])
        times = prod([scale[part] for _, part in run if part != CHANNEL])
        if ("part", CHANNEL) not in run:
            return Extent(None, times=times)
        return Extent(channel, divided_by=1 if inverse else blocks, times=times)

    merged = [Extent(axis) for axis in range(rank)]
    for i, axis in enumerate(spatial):
        merged[axis] = Extent(axis, divided_by=scale[i]) if inverse else Extent(axis, times=scale[i])
    merged[channel] = Extent(channel, times=blocks) if inverse else Extent(channel, divided_by=blocks)
    if inverse:
        multiples = tuple(
            (axis, r, f"extent of spatial axis {i}", f"its factor in scale={scale}")
            for i, (axis, r) in enumerate(zip(spatial, scale, strict=True))
        )
    else:
        multiples = ((channel, blocks, "channels", f"the product of scale={scale}"),)
    return Rearrangement(
        axes=tuple(source_runs.index(run) for run in target_runs),
        split_extents=tuple(split_extent(run) for run in source_runs),
        merged_extents=tuple(merged),
        multiples=multiples,
        scale=scale,
    )


_cached_plan = lru_cache(maxsize=1024)(_plan)


def _runs(source: list[tuple[str, int]], target: list[tuple[str, int]]) -> list[tuple[tuple[str, int], ...]]:
    """Return the axes of ``source`` with neighbouring parts of the channel axis joined where they are neighbours in ``target`` too."""
    runs: list[tuple[tuple[str, int], ...]] = []
    for name in source:
        previous = runs[-1][-1] if runs else ("", 0)
        if name[0] == previous[0] == "part" and target.index(name) == target.index(previous) + 1:
            runs[-1] = (*runs[-1], name)
        else:
            runs.append((name,))
    return runs


DEPLOYED_AXES = 5
"""Transposes of more axes are what runtimes on devices do not have."""


def few_axes(rank: int, scale: check.Scale, *, order: str, data_format: str, inverse: bool = False) -> tuple[Rearrangement, ...]:
    """Return the shift as plans to be carried out one after the other, none with more than five axes: for graphs that leave the framework.

    All axes that stay neighbours are one, batch and spatial ones too. Where more than five are left, one spatial axis after the other is
    shifted, first that whose offset lies at the far end of the channel index from the output channel ::

        phase_shift(x, (r_0, r_1), order="DCR") == phase_shift(phase_shift(x, (r_0, 1), order="DCR"), (1, r_1), order="DCR")
        phase_shift(x, (r_0, r_1), order="CRD") == phase_shift(phase_shift(x, (1, r_1), order="CRD"), (r_0, 1), order="CRD")

    >>> [plan.axes for plan in few_axes(4, 2, order="DCR", data_format="channels_first")]      # (n, i, j, ch, w) -> (n, ch, i, w, j)
    [(0, 3, 1, 4, 2)]
    >>> [plan.axes for plan in few_axes(5, (2, 2, 2), order="CRD", data_format="channels_first")]  # k, then j, then i
    [(0, 2, 1), (0, 2, 1, 3), (0, 2, 1, 3)]
    """
    factors = check.per_axis("scale", scale)
    whole = _joined(rearrangement(rank, factors, order=order, data_format=data_format, inverse=inverse, cached=False))
    if len(whole.axes) <= DEPLOYED_AXES:
        return () if prod(factors) == 1 else (whole,)
    parts = channel_parts(order, len(factors))
    shifted = [part for part in (parts if parts[-1] == CHANNEL else reversed(parts)) if part != CHANNEL and factors[part] > 1]
    plans = [
        _joined(_plan(rank, tuple(r if i == axis else 1 for i, r in enumerate(factors)), order, data_format, inverse))
        for axis in (reversed(shifted) if inverse else shifted)
    ]
    # The first refuses what the whole would, in its words.
    return tuple(replace(plan, multiples=() if i else whole.multiples) for i, plan in enumerate(plans))


def _joined(plan: Rearrangement) -> Rearrangement:
    """Return the plan with all axes that stay neighbours as one."""
    runs: list[tuple[int, ...]] = []
    for axis in range(len(plan.axes)):
        if runs and plan.axes.index(axis) == plan.axes.index(axis - 1) + 1:
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    moved = sorted(runs, key=lambda run: plan.axes.index(run[0]))
    split = tuple(Joined(tuple(plan.split_extents[axis] for axis in run)) for run in runs)
    return replace(plan, axes=tuple(runs.index(run) for run in moved), split_extents=split)


def phase_shift(x: ArrayLike, scale: check.Scale, *, order: Order, data_format: DataFormat = "channels_last") -> NDArray[Any]:
    """Rearrange channels into blocks of pixels, one block per input pixel.

    For every offset ``0 <= i < r_h``, ``0 <= j < r_w`` ::

        y[n, h * r_h + i, w * r_w + j, c] = x[n, h, w, k]

        k = (i * r_w + j) * C + c      order="DCR"  (TensorFlow, ONNX DCR)
        k = (c * r_h + i) * r_w + j    order="CRD"  (PyTorch, ONNX CRD)
        k = (j * r_h + i) * C + c      order="DRC"  (Shi et al. 2016, Eq. 4)
        k = (c * r_w + j) * r_h + i    order="RCD"

    and likewise for any number of spatial axes.

    Parameters
    ----------
    x : array_like, shape (*batch, *spatial, C * prod(scale))
        Any dtype, any number of batch axes. ``(*batch, C * prod(scale), *spatial)`` for ``channels_first``.
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.
    order : {"DCR", "CRD", "DRC", "RCD"}
    data_format : {"channels_last", "channels_first"}

    Returns
    -------
    ndarray, shape (*batch, *(spatial * scale), C)
        A copy, bit for bit, in the dtype of ``x``.

    Raises
    ------
    ValueError, TypeError
        If the channels are not a multiple of the product of the scale, a factor is below 1 or no integer, the tensor has too few axes, or
        the order or the format is unknown.

    References
    ----------
    Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", §3.2,
    Eq. 4.

    Examples
    --------
    >>> phase_shift([[[0, 1, 2, 3, 4, 5, 6, 7]]], 2, order="CRD")[..., 0]
    array([[0, 1],
           [2, 3]])
    """
    # PS-001 to PS-012
    return _carry_out(np.asarray(x), scale, order, data_format, inverse=False)


def inverse_phase_shift(x: ArrayLike, scale: check.Scale, *, order: Order, data_format: DataFormat = "channels_last") -> NDArray[Any]:
    """Rearrange blocks of pixels into channels: the inverse of `phase_shift` of the same order, and its gradient.

    Parameters
    ----------
    x : array_like, shape (*batch, *spatial, C)
        Every spatial extent a multiple of its factor. ``(*batch, C, *spatial)`` for ``channels_first``.
    scale, order, data_format
        As in `phase_shift`.

    Returns
    -------
    ndarray, shape (*batch, *(spatial / scale), C * prod(scale))

    Raises
    ------
    ValueError, TypeError
        If an extent is not a multiple of its factor, and as `phase_shift`.

    Examples
    --------
    >>> inverse_phase_shift([[[0], [1]], [[2], [3]]], 2, order="DCR")
    array([[[0, 1, 2, 3]]])
    """
    # IP-001, IP-002, IP-003, GR-001, GR-002
    return _carry_out(np.asarray(x), scale, order, data_format, inverse=True)


def _carry_out(x: NDArray[Any], scale: check.Scale, order: str, data_format: str, *, inverse: bool) -> NDArray[Any]:
    plan = rearrangement(x.ndim, scale, order=order, data_format=data_format, inverse=inverse)
    return x.reshape(plan.split(x.shape)).transpose(plan.axes).copy(order="C").reshape(plan.merged(x.shape))
