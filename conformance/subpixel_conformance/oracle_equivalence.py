"""The oracle's equivalences: what a rewritten layer gives, and one right way to rewrite, by counting through the formula of every tap.

A layer in the common form of docs/spec/equivalence.md is a `Spread`: taps, stride, shift and excess of every axis.
"""

from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np

from . import oracle
from .oracle import Shape

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Rewritten:
    """A sub-pixel convolution with the zeros before it and what is cropped behind it."""

    kernel: np.ndarray
    bias: np.ndarray | None
    scale: Shape
    order: str
    padding: Pairs
    crop: Pairs
    groups: int = 1
    interior: Pairs = ()

    def macs(self, spatial: Shape) -> int:
        """Return kernel values times positions of the convolution."""
        return macs(self, spatial)


@dataclass(frozen=True)
class Deconvolution:
    """A transposed convolution and what is cropped behind it."""

    kernel: np.ndarray
    bias: np.ndarray | None
    stride: Shape
    padding: Shape
    output_padding: Shape
    crop: Pairs


@dataclass(frozen=True)
class Strided:
    """A convolution with a stride."""

    kernel: np.ndarray
    bias: np.ndarray | None
    stride: Shape
    padding: Pairs


@dataclass(frozen=True)
class Spread:
    """``taps`` maps the index of a tap to its matrix (Ci, Co), ``extent`` is the number of taps; ``bias`` is by (*offset, channel)."""

    taps: dict[Shape, np.ndarray]
    extent: Shape
    stride: Shape
    shift: Shape
    excess: Shape
    bias: np.ndarray | None = None
    interior: Pairs = field(default=())


# --- what a rewritten layer gives ---


def cropped(y: np.ndarray, crop: Pairs) -> np.ndarray:
    """Return y (N, *spatial, C) without its first and last positions."""
    for axis, (first, last) in enumerate(crop, start=1):
        y = np.take(y, range(first, y.shape[axis] - last), axis=axis)
    return y


def apply(layer: Any, x: np.ndarray) -> np.ndarray:
    """Return what a rewritten sub-pixel convolution gives, its groups one after another."""
    inputs, outputs = layer.kernel.shape[-2], layer.kernel.shape[-1] // layer.groups
    parts = []
    for group in range(layer.groups):
        kernel = layer.kernel[..., group * outputs : (group + 1) * outputs]
        parts.append(oracle.conv(x[..., group * inputs : (group + 1) * inputs], kernel, padding=layer.padding))
    low = np.concatenate(parts, axis=-1)
    if layer.bias is not None:
        low = low + oracle._wide(np.asarray(layer.bias))
    return cropped(oracle.phase_shift(low, tuple(layer.scale), order=layer.order), layer.crop)


def apply_deconvolution(layer: Any, x: np.ndarray) -> np.ndarray:
    """Return what a transposed convolution gives after its crop."""
    options = {"stride": layer.stride, "padding": layer.padding, "output_padding": layer.output_padding}
    return cropped(oracle.conv_transpose(x, layer.kernel, layer.bias, **options), layer.crop)


def apply_strided(layer: Any, x: np.ndarray) -> np.ndarray:
    """Return every ``stride``-th position of the convolution."""
    y = oracle.conv(x, layer.kernel, layer.bias, padding=layer.padding)
    for axis, step in enumerate(layer.stride, start=1):
        y = np.take(y, range(0, y.shape[axis], step), axis=axis)
    return y


def dilated(kernel: np.ndarray, dilation: Shape) -> np.ndarray:
    """Return the kernel with its taps ``dilation`` apart."""
    taps = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel.shape[:-2], strict=True))
    apart = np.zeros((*taps, *kernel.shape[-2:]), kernel.dtype)
    for t in product(*(range(k) for k in kernel.shape[:-2])):
        apart[tuple(d * tap for d, tap in zip(dilation, t, strict=True))] = kernel[t]
    return apart


def grouped_conv_transpose(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, dilation: Shape, groups: int, **options: Any) -> Any:
    """Return the transposed convolution, its taps ``dilation`` apart and its channels in groups."""
    apart = dilated(kernel, dilation)
    inputs, outputs = kernel.shape[-2], kernel.shape[-1] // groups
    parts = []
    for group in range(groups):
        own = apart[..., group * outputs : (group + 1) * outputs]
        parts.append(oracle.conv_transpose(x[..., group * inputs : (group + 1) * inputs], own, **options))
    y = np.concatenate(parts, axis=-1)
    return y if bias is None else y + oracle._wide(bias)


# --- counting ---


def taps_of(form: str, taps: int, stride: int, shift: int) -> int:
    """Return how many taps a form has on one axis: EQ-002."""
    if form == "minimal":
        return len(range(0, taps, stride))
    touched = [(i + shift - u) // stride for i in range(stride) for u in range(taps) if (i + shift - u) % stride == 0]
    return max(touched) - min(touched) + 1


def macs(layer: Any, spatial: Shape) -> int:
    """Return kernel values times the positions of the convolution, counted one by one."""
    positions = 1
    for extent, (before, after), taps in zip(spatial, layer.padding, layer.kernel.shape[:-2], strict=True):
        positions *= len(range(-before, extent + after - taps + 1))
    return int(layer.kernel.size) * positions


# --- one right way to rewrite ---


def _matrices(kernel: np.ndarray) -> dict[Shape, np.ndarray]:
    return {t: kernel[t] for t in product(*(range(k) for k in kernel.shape[:-2]))}


def spread_of_deconv(
    kernel: np.ndarray, bias: np.ndarray | None, stride: Shape, ends: Pairs, output_padding: Shape, dilation: Shape
) -> Spread:
    """Return a transposed convolution in the common form."""
    taps = {tuple(d * t for d, t in zip(dilation, tap, strict=True)): matrix for tap, matrix in _matrices(kernel).items()}
    extent = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel.shape[:-2], strict=True))
    excess = tuple(k - s - sum(cut) + a for k, s, cut, a in zip(extent, stride, ends, output_padding, strict=True))
    whole = None if bias is None else np.array([bias] * prod(stride)).reshape(*stride, -1)
    return Spread(taps, extent, stride, tuple(before for before, _ in ends), excess, whole)


def spread_of_subpixel(kernel: np.ndarray, bias: np.ndarray | None, scale: Shape, order: str, zeros: Pairs) -> Spread:
    """Return a sub-pixel convolution in the common form."""
    sizes, outputs = kernel.shape[:-2], kernel.shape[-1] // prod(scale)
    taps: dict[Shape, np.ndarray] = {}
    for t, matrix in _matrices(kernel).items():
        for o in oracle.offsets(scale):
            at = tuple(r * (k - 1 - tap) + i for r, k, tap, i in zip(scale, sizes, t, o, strict=True))
            taps[at] = np.stack([matrix[:, oracle.channel_index(order, c, o, scale, outputs)] for c in range(outputs)], axis=-1)
    whole = None
    if bias is not None:
        whole = np.zeros((*scale, outputs), bias.dtype)
        for o in oracle.offsets(scale):
            for c in range(outputs):
                whole[(*o, c)] = bias[oracle.channel_index(order, c, o, scale, outputs)]
    shift = tuple(r * (k - 1 - before) for r, k, (before, _) in zip(scale, sizes, zeros, strict=True))
    excess = tuple(r * (before + after - k + 1) for r, k, (before, after) in zip(scale, sizes, zeros, strict=True))
    return Spread(taps, tuple(r * k for r, k in zip(scale, sizes, strict=True)), scale, shift, excess, whole, tuple((0, 0) for _ in scale))


def spread_of_block(kernel: np.ndarray, bias: np.ndarray | None, scale: Shape, zeros: Pairs, order: str | None) -> Spread:
    """Return a convolution behind a resize to the nearest neighbour or, with an order, behind a phase shift of it."""
    sizes, inputs = kernel.shape[:-2], kernel.shape[-2]
    taps: dict[Shape, np.ndarray] = {}
    channels = inputs if order is None else inputs * prod(scale)
    for o in oracle.offsets(scale):
        for t, matrix in _matrices(kernel).items():
            at = tuple(i + k - 1 - tap for i, k, tap in zip(o, sizes, t, strict=True))
            own = taps.setdefault(at, np.zeros((channels, kernel.shape[-1]), kernel.dtype))
            for p in range(inputs):
                own[p if order is None else oracle.channel_index(order, p, o, scale, inputs)] += matrix[p]
    extent = tuple(k + r - 1 for k, r in zip(sizes, scale, strict=True))
    shift = tuple(k - 1 - before for k, (before, _) in zip(sizes, zeros, strict=True))
    excess = tuple(before + after - k + 1 for k, (before, after) in zip(sizes, zeros, strict=True))
    whole = None if bias is None else np.array([bias] * prod(scale)).reshape(*scale, -1)
    return Spread(taps, extent, scale, shift, excess, whole)


def rewritten(spread: Spread, order: str, form: str, dtype: Any, groups: int = 1) -> Rewritten:
    """Return the sub-pixel convolution, every tap put where its phase and offset are."""
    scale, axes = spread.stride, range(len(spread.stride))
    first = tuple(p % s if form == "minimal" else 0 for p, s in zip(spread.shift, scale, strict=True))
    shift = tuple(p - f for p, f in zip(spread.shift, first, strict=True))
    reached: list[dict[int, int]] = [{} for _ in axes]  # tap -> offset of the input
    for axis in axes:
        for tap in range(spread.extent[axis]):
            i = (tap - shift[axis]) % scale[axis]
            reached[axis][tap] = (i + shift[axis] - tap) // scale[axis]
    low, high = [min(found.values()) for found in reached], [max(found.values()) for found in reached]
    inputs, outputs = next(iter(spread.taps.values())).shape
    kernel = np.zeros((*(last - before + 1 for before, last in zip(low, high, strict=True)), inputs, outputs * prod(scale)), dtype)
    for u, matrix in spread.taps.items():
        at = tuple(reached[axis][u[axis]] - low[axis] for axis in axes)
        o = tuple((u[axis] - shift[axis]) % scale[axis] for axis in axes)
        for c in range(outputs):
            place: Any = (*at, slice(None), oracle.channel_index(order, c, o, scale, outputs))
            kernel[place] = matrix[:, c]
    bias = None
    if spread.bias is not None:
        bias = np.zeros(outputs * prod(scale), spread.bias.dtype)
        for o in oracle.offsets(scale):
            at = tuple((i + f) % s for i, f, s in zip(o, first, scale, strict=True))
            for c in range(outputs):
                bias[oracle.channel_index(order, c, at, scale, outputs)] = spread.bias[(*o, c)]
    padding, crop = [], []
    for axis in axes:
        s, wanted = scale[axis], spread.excess[axis]
        blocks = -(-(wanted + first[axis]) // s)
        padding.append((max(-low[axis], 0), max(blocks + high[axis], 0)))
        start = first[axis] + s * max(low[axis], 0)
        crop.append((start, s * (sum(padding[-1]) - high[axis] + low[axis]) - wanted - start))
    return Rewritten(kernel, bias, scale, order, tuple(padding), tuple(crop), groups, spread.interior or tuple((0, 0) for _ in axes))


def deconvolution(spread: Spread, dtype: Any) -> Deconvolution:
    """Return the transposed convolution without any padding of its own, enlarged by zeros where no tap reaches, and cropped."""
    axes = range(len(spread.stride))
    before = [max(-p, 0) for p in spread.shift]
    ends = [k - s - p - e for k, s, p, e in zip(spread.extent, spread.stride, spread.shift, spread.excess, strict=True)]
    after = [max(-end, 0) for end in ends]
    inputs, outputs = next(iter(spread.taps.values())).shape
    kernel = np.zeros((*(b + k + a for b, k, a in zip(before, spread.extent, after, strict=True)), inputs, outputs), dtype)
    for u, matrix in spread.taps.items():
        kernel[tuple(b + tap for b, tap in zip(before, u, strict=True))] = matrix
    crop = tuple((max(spread.shift[axis], 0), max(ends[axis], 0)) for axis in axes)
    nothing = tuple(0 for _ in axes)
    return Deconvolution(kernel, plain_bias(spread), spread.stride, nothing, nothing, crop)


def plain_bias(spread: Spread) -> np.ndarray | None:
    """Return the bias (C,) that is the same for every offset.

    Raises
    ------
    ValueError
        Where it is not.
    """
    if spread.bias is None:
        return None
    rows = spread.bias.reshape(-1, spread.bias.shape[-1])
    if any((row != rows[0]).any() for row in rows):
        raise ValueError(f"bias must be the same for every offset; got {rows.tolist()}")
    return rows[0]


def followed(first: Spread, second: Spread, zeros: Pairs) -> Spread:
    """Return two in a row: every tap of the first, spread by every tap of the second."""
    step = second.stride
    taps: dict[Shape, np.ndarray] = {}
    for u, one in first.taps.items():
        for v, two in second.taps.items():
            at = tuple(t * a + b for t, a, b in zip(step, u, v, strict=True))
            taps[at] = taps.get(at, 0) + one @ two
    stride = tuple(s * t for s, t in zip(first.stride, step, strict=True))
    extent = tuple(t * (a - 1) + b for t, a, b in zip(step, first.extent, second.extent, strict=True))
    shift = tuple(t * p + q for t, p, q in zip(step, first.shift, second.shift, strict=True))
    excess = tuple(t * e + f for t, e, f in zip(step, first.excess, second.excess, strict=True))
    return Spread(taps, extent, stride, shift, excess, _bias_behind(first, second), interior(first, second, zeros))


def interior(first: Spread, second: Spread, zeros: Pairs) -> Pairs:
    """Return how many positions at both ends feel that the zeros around the output of the first are no output of it: EQ-008."""
    silent = first.bias is None or not np.any(first.bias)
    inside = all(p <= 0 and k - s - p <= e for k, s, p, e in zip(first.extent, first.stride, first.shift, first.excess, strict=True))
    felt = []
    for ends, widths in zip(first.interior, zeros, strict=True):
        felt.append(tuple(end + width if end or not (silent and inside) else 0 for end, width in zip(ends, widths, strict=True)))
    return tuple((t * a, t * b) for t, (a, b) in zip(second.stride, felt, strict=True))


def _bias_behind(first: Spread, second: Spread) -> np.ndarray | None:
    if first.bias is None and second.bias is None:
        return None
    stride = tuple(s * t for s, t in zip(first.stride, second.stride, strict=True))
    outputs = next(iter(second.taps.values())).shape[-1]
    total: Any = np.zeros((*stride, outputs), np.result_type(*second.taps.values()))
    for n in product(*(range(extent) for extent in stride)):
        if second.bias is not None:
            total[n] += second.bias[tuple(at % t for at, t in zip(n, second.stride, strict=True))]
        for v, matrix in second.taps.items():
            ahead = [at + q - tap for at, q, tap in zip(n, second.shift, v, strict=True)]
            if first.bias is not None and all(distance % t == 0 for distance, t in zip(ahead, second.stride, strict=True)):
                at = tuple(distance // t % s for distance, t, s in zip(ahead, second.stride, first.stride, strict=True))
                total[n] += first.bias[at] @ matrix
    return total
