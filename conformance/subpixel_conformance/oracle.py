"""The oracle: every operation of the specification as plain loops over its index formula.

NumPy is a container here. The oracle shares no code and no idea with the implementations that it judges: a moved value is found by
counting through the formula, its bytes are copied, and a sum is taken position by position. Tensors are channels_last, batch axes first,
kernels ``(*k, Ci, Co)``, unless said otherwise. It is told no nonsense, so it refuses none.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from math import prod, sqrt
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Padding = str | Sequence[tuple[int, int]]


# --- the channel index ---


def channel_index(order: str, c: int, offset: Shape, scale: Shape, channels: int) -> int:
    """Return k(c, o), the low-resolution channel that holds output channel ``c`` (of ``channels``) at ``offset``."""
    row_major = 0
    for position, factor in zip(offset, scale, strict=True):
        row_major = row_major * factor + position
    column_major = 0
    for position, factor in zip(reversed(offset), reversed(scale), strict=True):
        column_major = column_major * factor + position
    formulas = {
        "DCR": row_major * channels + c,
        "CRD": c * prod(scale) + row_major,
        "DRC": column_major * channels + c,
        "RCD": c * prod(scale) + column_major,
    }
    return formulas[order]


def offsets(scale: Shape) -> Iterator[Shape]:
    """Yield every offset inside a block."""
    return product(*(range(factor) for factor in scale))


def channel_permutation(channels: int, scale: Shape, *, source: str, target: str) -> np.ndarray:
    """Return ``p`` with ``p[k_target(c, o)] = k_source(c, o)``, shape (channels,)."""
    outputs = channels // prod(scale)
    permutation = np.zeros(channels, dtype=np.int64)
    for c in range(outputs):
        for o in offsets(scale):
            permutation[channel_index(target, c, o, scale, outputs)] = channel_index(source, c, o, scale, outputs)
    return permutation


# --- the shift and its inverse ---


def _flat(index: Sequence[int], shape: Shape) -> int:
    position = 0
    for value, extent in zip(index, shape, strict=True):
        position = position * extent + value
    return position


def _shape(batch: Shape, spatial: Shape, channels: int, data_format: str) -> Shape:
    return {"channels_last": (*batch, *spatial, channels), "channels_first": (*batch, channels, *spatial)}[data_format]


def split(shape: Shape, ndim: int, data_format: str) -> tuple[Shape, Shape, int]:
    """Return the batch extents, the spatial extents and the channels of ``shape``."""
    batch, rest = shape[: len(shape) - ndim - 1], shape[len(shape) - ndim - 1 :]
    if data_format == "channels_last":
        return batch, rest[:-1], rest[-1]
    return batch, rest[1:], rest[0]


@lru_cache(maxsize=4096)
def _moves(batch: Shape, spatial: Shape, channels: int, scale: Shape, order: str, data_format: str) -> tuple[np.ndarray, np.ndarray]:
    """Return flat positions: the value at ``low[j]`` of the low-resolution tensor belongs to ``high[j]`` of the high-resolution one."""
    low_shape = _shape(batch, spatial, channels * prod(scale), data_format)
    high_shape = _shape(batch, tuple(r * extent for r, extent in zip(scale, spatial, strict=True)), channels, data_format)
    low, high = [], []
    block = [(o, [channel_index(order, c, o, scale, channels) for c in range(channels)]) for o in offsets(scale)]
    for n in product(*(range(extent) for extent in batch)):
        for i in product(*(range(extent) for extent in spatial)):
            for o, indices in block:
                position = tuple(r * at + inside for r, at, inside in zip(scale, i, o, strict=True))
                for c, k in enumerate(indices):
                    low.append(_flat(_shape(n, i, k, data_format), low_shape))
                    high.append(_flat(_shape(n, position, c, data_format), high_shape))
    return np.array(low, dtype=np.int64), np.array(high, dtype=np.int64)


def _copy_bytes(values: np.ndarray, sources: np.ndarray, targets: np.ndarray, shape: Shape) -> np.ndarray:
    """Return an array of ``shape`` that holds the bytes of flat value ``sources[j]`` at flat position ``targets[j]``."""
    result = np.zeros(shape, dtype=values.dtype)
    if result.size:
        size = values.dtype.itemsize
        taken = np.frombuffer(values.tobytes(), dtype=np.uint8).reshape(-1, size)
        result.reshape(-1).view(np.uint8).reshape(-1, size)[targets] = taken[sources]
    return result


def phase_shift(x: np.ndarray, scale: Shape, *, order: str, data_format: str = "channels_last") -> np.ndarray:
    """Return ``y[n, r*i + o, c] = x[n, i, k(c, o)]``."""
    batch, spatial, channels = split(x.shape, len(scale), data_format)
    outputs = channels // prod(scale)
    low, high = _moves(batch, spatial, outputs, tuple(scale), order, data_format)
    shape = _shape(batch, tuple(r * extent for r, extent in zip(scale, spatial, strict=True)), outputs, data_format)
    return _copy_bytes(x, low, high, shape)


def inverse_phase_shift(y: np.ndarray, scale: Shape, *, order: str, data_format: str = "channels_last") -> np.ndarray:
    """Return ``x[n, i, k(c, o)] = y[n, r*i + o, c]``."""
    batch, extents, channels = split(y.shape, len(scale), data_format)
    spatial = tuple(extent // r for r, extent in zip(scale, extents, strict=True))
    low, high = _moves(batch, spatial, channels, tuple(scale), order, data_format)
    return _copy_bytes(y, high, low, _shape(batch, spatial, channels * prod(scale), data_format))


def nearest_upsample(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return ``y[n, r*i + o, c] = x[n, i, c]`` for every offset o."""
    batch, spatial, channels = split(x.shape, len(scale), "channels_last")
    shape = (*batch, *(r * extent for r, extent in zip(scale, spatial, strict=True)), channels)
    sources, targets = [], []
    for n in product(*(range(extent) for extent in batch)):
        for high in product(*(range(extent) for extent in shape[len(batch) : -1])):
            low = tuple(at // r for at, r in zip(high, scale, strict=True))
            for c in range(channels):
                sources.append(_flat((*n, *low, c), x.shape))
                targets.append(_flat((*n, *high, c), shape))
    return _copy_bytes(x, np.array(sources, dtype=np.int64), np.array(targets, dtype=np.int64), shape)


# --- convolutions: one sum for every output position, in extended precision or in exact integers ---


def _wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64) if values.dtype.kind in "iub" else values.astype(np.longdouble)


def padding_pairs(padding: Padding, kernel: Shape) -> list[tuple[int, int]]:
    """Return (before, after) for every axis: CV-002."""
    if isinstance(padding, str):
        return {"same": [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in kernel], "valid": [(0, 0) for _ in kernel]}[padding]
    return [(before, after) for before, after in padding]


def _terms(spatial: Shape, kernel: Shape, padding: Padding) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Yield (output position, input position, tap) for every product of the convolution that does not fall on padding."""
    pairs = padding_pairs(padding, kernel)
    extents = [extent + before + after - k + 1 for extent, (before, after), k in zip(spatial, pairs, kernel, strict=True)]
    for i in product(*(range(extent) for extent in extents)):
        for t in product(*(range(k) for k in kernel)):
            at = tuple(position + tap - before for position, tap, (before, _) in zip(i, t, pairs, strict=True))
            if all(0 <= position < extent for position, extent in zip(at, spatial, strict=True)):
                yield i, at, t


def _every(*position: int) -> Any:
    """Return the index of a position in every sample."""
    return (slice(None), *position)


def _after(axes: int, position: Shape) -> Any:
    """Return the index of a position after ``axes`` batch axes."""
    return ((slice(None),) * axes) + tuple(position)


def _output_extents(spatial: Shape, kernel: Shape, padding: Padding) -> list[int]:
    pairs = padding_pairs(padding, kernel)
    return [extent + before + after - k + 1 for extent, (before, after), k in zip(spatial, pairs, kernel, strict=True)]


def conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, padding: Padding = "same") -> np.ndarray:
    """Return ``y[n, i, q] = sum over t, p of x[n, i + t - before, p] * kernel[t, p, q] (+ bias[q])``: int64, or extended precision."""
    x, kernel = _wide(x), _wide(kernel)
    spatial, taps = x.shape[1:-1], kernel.shape[:-2]
    y = np.zeros((x.shape[0], *_output_extents(spatial, taps, padding), kernel.shape[-1]), dtype=np.result_type(x, kernel))
    for i, at, t in _terms(spatial, taps, padding):
        y[_every(*i)] += x[_every(*at)] @ kernel[t]
    return y if bias is None else y + _wide(bias)


def depthwise_conv(x: np.ndarray, depthwise: np.ndarray, *, padding: Padding = "same") -> np.ndarray:
    """Return ``z[n, i, p] = sum over t of x[n, i + t - before, p] * depthwise[t, p, 0]``."""
    x, depthwise = _wide(x), _wide(depthwise)
    spatial, taps = x.shape[1:-1], depthwise.shape[:-2]
    z = np.zeros((x.shape[0], *_output_extents(spatial, taps, padding), x.shape[-1]), dtype=np.result_type(x, depthwise))
    for i, at, t in _terms(spatial, taps, padding):
        z[_every(*i)] += x[_every(*at)] * depthwise[t][:, 0]
    return z


def conv_gradients(
    x: np.ndarray, kernel: np.ndarray, cotangent: np.ndarray, *, padding: Padding = "same"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of ``sum(conv(x, kernel, bias) * cotangent)`` for x, kernel and bias."""
    x, kernel, cotangent = _wide(x), _wide(kernel), _wide(cotangent)
    d_x, d_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for i, at, t in _terms(x.shape[1:-1], kernel.shape[:-2], padding):
        d_x[_every(*at)] += cotangent[_every(*i)] @ kernel[t].T
        d_kernel[t] += x[_every(*at)].T @ cotangent[_every(*i)]
    return d_x, d_kernel, cotangent.sum(axis=tuple(range(cotangent.ndim - 1)))


def conv_transpose(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, stride: Shape, padding: Shape, output_padding: Shape
) -> np.ndarray:
    """Return ``y[n, s*i + t - padding, q] += x[n, i, p] * kernel[t, p, q]``, cropped and extended as CV-004 says."""
    x, kernel = _wide(x), _wide(kernel)
    spatial, taps = x.shape[1:-1], kernel.shape[:-2]
    extents = [(h - 1) * s - 2 * p + k + more for h, s, p, k, more in zip(spatial, stride, padding, taps, output_padding, strict=True)]
    y = np.zeros((x.shape[0], *extents, kernel.shape[-1]), dtype=np.result_type(x, kernel))
    for i in product(*(range(extent) for extent in spatial)):
        for t in product(*(range(k) for k in taps)):
            at = tuple(s * position + tap - p for s, position, tap, p in zip(stride, i, t, padding, strict=True))
            if all(0 <= position < extent for position, extent in zip(at, extents, strict=True)):
                y[_every(*at)] += x[_every(*i)] @ kernel[t]
    return y if bias is None else y + _wide(bias)


# --- ICNR ---


def icnr(base: np.ndarray, scale: Shape, *, order: str) -> np.ndarray:
    """Return the kernel (or bias) with ``kernel[..., k(c, o)] = base[..., c]``, the bytes of ``base`` copied."""
    outputs = base.shape[-1]
    shape = (*base.shape[:-1], outputs * prod(scale))
    sources, targets = [], []
    for rest in product(*(range(extent) for extent in base.shape[:-1])):
        for c in range(outputs):
            for o in offsets(scale):
                sources.append(_flat((*rest, c), base.shape))
                targets.append(_flat((*rest, channel_index(order, c, o, scale, outputs)), shape))
    return _copy_bytes(base, np.array(sources, dtype=np.int64), np.array(targets, dtype=np.int64), shape)


def icnr_bias(bias: np.ndarray, scale: Shape, *, order: str) -> np.ndarray:
    """Return the bias with ``bias[k(c, o)] = base_bias[c]``."""
    return icnr(bias, scale, order=order)


def icnr_residual(kernel: np.ndarray, scale: Shape, *, order: str, bias: np.ndarray | None = None) -> float:
    """Return the largest difference between a channel and the channel of the same c at offset 0; NaN where a value is NaN."""
    largest = 0.0
    outputs = kernel.shape[-1] // prod(scale)
    for values in [kernel] if bias is None else [kernel, bias]:
        wide = values.astype(np.float64)
        if np.isnan(wide).any():
            return float("nan")
        for c in range(outputs):
            first = wide[..., channel_index(order, c, (0,) * len(scale), scale, outputs)]
            for o in offsets(scale):
                other = wide[..., channel_index(order, c, o, scale, outputs)]
                different = other != first  # infinities that are equal have no difference
                largest = max(largest, float(np.abs(other[different] - first[different]).max(initial=0.0)))
    return largest


# --- blur and checkerboard ---


def box_blur(y: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the mean of ``y[i - (r - 1)//2 + t]`` over ``0 <= t < r``, over the positions that exist."""
    y = _wide(y.astype(np.float64))
    batch, spatial, _ = split(y.shape, len(scale), "channels_last")
    result = np.zeros_like(y)
    before = len(batch)
    for i in product(*(range(extent) for extent in spatial)):
        inside = _box(i, scale, spatial)
        for at in inside:
            result[_after(before, i)] += y[_after(before, at)]
        result[_after(before, i)] /= len(inside)
    return result


def box_blur_gradient(cotangent: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the gradient of ``sum(box_blur(y, scale) * cotangent)`` for y: every mean gives each of its positions the same share."""
    cotangent = _wide(cotangent.astype(np.float64))
    batch, spatial, _ = split(cotangent.shape, len(scale), "channels_last")
    result = np.zeros_like(cotangent)
    before = len(batch)
    for i in product(*(range(extent) for extent in spatial)):
        inside = _box(i, scale, spatial)
        for at in inside:
            result[_after(before, at)] += cotangent[_after(before, i)] / len(inside)
    return result


def _box(i: Shape, scale: Shape, spatial: Shape) -> list[Shape]:
    """Return the positions ``i - (r - 1)//2 + t`` that exist."""
    positions = [tuple(at - (r - 1) // 2 + tap for at, r, tap in zip(i, scale, t, strict=True)) for t in offsets(scale)]
    return [at for at in positions if all(0 <= n < extent for n, extent in zip(at, spatial, strict=True))]


def checkerboard(y: np.ndarray, scale: Shape) -> float:
    """Return the root mean square over offsets and channels of ``a[o, c] - mean over o of a[o, c]``."""
    batch, spatial, channels = split(y.shape, len(scale), "channels_last")
    means = {}
    for o in offsets(scale):
        for c in range(channels):
            total, count = 0.0, 0
            for n in product(*(range(extent) for extent in batch)):
                for i in product(*(range(extent // r) for extent, r in zip(spatial, scale, strict=True))):
                    at = tuple(r * position + inside for r, position, inside in zip(scale, i, o, strict=True))
                    total += float(y[(*n, *at, c)])
                    count += 1
            means[o, c] = total / count
    squares = 0.0
    for c in range(channels):
        average = sum(means[o, c] for o in offsets(scale)) / prod(scale)
        squares += sum((means[o, c] - average) ** 2 for o in offsets(scale))
    return sqrt(squares / (prod(scale) * channels))


# --- chains of stages: by counting ---


def chain_shapes(factors: Sequence[Shape], in_channels: int, out_channels: int, width: int | None = None) -> list[tuple[int, int, Shape]]:
    """Return (channels in, channels out, factors) of every stage."""
    inner = out_channels if width is None else width
    widths = [in_channels, *[inner] * (len(factors) - 1), out_channels]
    return [(widths[s], widths[s + 1], tuple(r)) for s, r in enumerate(factors)]


def _count(shape: Sequence[int]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def stage_weights(stage: tuple[int, int, Shape], kernel: Shape, separable: bool) -> int:
    """Return how many weights a stage holds."""
    inputs, outputs, scale = stage
    if separable:
        return _count((*kernel, inputs)) + _count((inputs, outputs, *scale))
    return _count((*kernel, inputs, outputs, *scale))


def chain_parameters(chain: Sequence[tuple[int, int, Shape]], kernel: Shape, *, bias: bool = True, separable: bool = False) -> int:
    """Return weights and biases, summed over the stages: ST-001."""
    return sum(stage_weights(stage, kernel, separable) + (_count((stage[1], *stage[2])) if bias else 0) for stage in chain)


def chain_macs(chain: Sequence[tuple[int, int, Shape]], kernel: Shape, spatial: Shape, *, separable: bool = False) -> int:
    """Return weights times positions at the input, summed over the stages: ST-002."""
    total, extents = 0, list(spatial)
    for stage in chain:
        total += stage_weights(stage, kernel, separable) * _count(extents)
        extents = [extent * r for extent, r in zip(extents, stage[2], strict=True)]
    return total


def chain_activations(chain: Sequence[tuple[int, int, Shape]], spatial: Shape, *, separable: bool = False) -> list[int]:
    """Return the values that every stage writes, for one sample: ST-003."""
    written, extents = [], list(spatial)
    for inputs, outputs, scale in chain:
        depthwise = _count((*extents, inputs)) if separable else 0
        extents = [extent * r for extent, r in zip(extents, scale, strict=True)]
        written.append(_count((*extents, outputs)) + depthwise)
    return written


def chain_receptive_field(factors: Sequence[Shape], kernel: Shape) -> Shape:
    """Return per axis how many input positions the hungriest output position can depend on, by following each one back: ST-004."""
    field = []
    for axis, taps in enumerate(kernel):
        largest = 0
        for output in range(prod(scale[axis] for scale in factors)):
            touched = {output}
            for scale in reversed(factors):
                touched = {position // scale[axis] - (taps - 1) // 2 + t for position in touched for t in range(taps)}
            largest = max(largest, len(touched))
        field.append(largest)
    return tuple(field)


def factorizations(scale: Shape, same: bool | None = None) -> Iterator[tuple[Shape, ...]]:
    """Yield every sequence of stages whose factors multiply to ``scale``; for an isotropic scale only isotropic stages (``same``)."""
    if all(factor == 1 for factor in scale):
        yield ()
        return
    same = len(set(scale)) == 1 if same is None else same
    for first in product(*([f for f in range(1, factor + 1) if factor % f == 0] for factor in scale)):
        if all(factor == 1 for factor in first) or (same and len(set(first)) > 1):
            continue
        for rest in factorizations(tuple(factor // f for factor, f in zip(scale, first, strict=True)), same):
            yield (first, *rest)


def best_plan(
    scale: Shape,
    in_channels: int,
    out_channels: int,
    kernel: Shape,
    *,
    width: int | None = None,
    bias: bool = True,
    separable: bool = False,
    objective: str = "parameters",
    max_parameters: int | None = None,
) -> tuple[Shape, ...] | None:
    """Return the stages that ST-006 or ST-007 ask for, by trying every factorization; None when the budget allows none."""

    def costs(factors: tuple[Shape, ...]) -> tuple[Any, ...]:
        chain = chain_shapes(factors, in_channels, out_channels, width)
        parameters = chain_parameters(chain, kernel, bias=bias, separable=separable)
        macs = chain_macs(chain, kernel, (1,) * len(scale), separable=separable)
        first = (parameters, macs) if objective == "parameters" else (macs, parameters)
        return (*first, len(factors), factors)

    candidates = list(factorizations(scale)) or [()]
    candidates = [factors or (scale,) for factors in candidates]

    def affordable(factors: tuple[Shape, ...]) -> bool:
        chain = chain_shapes(factors, in_channels, out_channels, width)
        return max_parameters is None or chain_parameters(chain, kernel, bias=bias, separable=separable) <= max_parameters

    return min(filter(affordable, candidates), key=costs, default=None)


# --- whole layers ---


def layer(
    x: np.ndarray,
    stages: Sequence[tuple[dict[str, np.ndarray], Shape]],
    *,
    order: str,
    padding: Padding = "same",
    activation: str | None = None,
) -> np.ndarray:
    """Return a chain of (parameters, factors) applied to x, each convolution then shift, the activation between the stages."""
    y = x
    for number, (parameters, scale) in enumerate(stages):
        y = stage(y, parameters, scale, order=order, padding=padding)
        if activation == "relu" and number < len(stages) - 1:
            y = np.maximum(y, 0)
    return y


def stage(x: np.ndarray, parameters: dict[str, np.ndarray], scale: Shape, *, order: str, padding: Padding = "same") -> np.ndarray:
    """Return one sub-pixel convolution, plain or (with a ``depthwise`` kernel) separable."""
    if "depthwise" in parameters:
        z = depthwise_conv(x, parameters["depthwise"], padding=padding)
        return phase_shift(conv(z, parameters["kernel"], parameters.get("bias")), scale, order=order)
    return phase_shift(conv(x, parameters["kernel"], parameters.get("bias"), padding=padding), scale, order=order)
