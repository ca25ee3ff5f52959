"""What layers and their gradients must give, and how far off they may be: equal to the oracle's, and fast enough for many.

Every sum is taken tap after tap, in the dtype of the input, which `wide` gives. A value that is computed from others is known up to a
bound, which the next sum carries through the absolute values of its weights and adds its own to (CV-003).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import compare, oracle
from ..adapter import LayerConfig
from .combined import expected
from .layer import Parameters, blurred_bound, stages_of
from .shift import Call

# --- operations ---


def wide(values: np.ndarray, integers: bool = False) -> np.ndarray:
    """Return the input in the dtype of all sums: float64 for integers and for what is narrower, else extended precision."""
    return values.astype(np.float64 if integers or values.dtype != np.float64 else np.longdouble)


def shifted(y: np.ndarray, scale: tuple[int, ...], order: str) -> np.ndarray:
    """Return the phase shift."""
    return expected(Call("phase_shift", scale, order, "channels_last", y.shape[:1], y.shape[1:-1], y.shape[-1] // prod(scale)), y)


def unshifted(y: np.ndarray, scale: tuple[int, ...], order: str) -> np.ndarray:
    """Return the inverse phase shift."""
    low = tuple(n // r for n, r in zip(y.shape[1:-1], scale, strict=True))
    return expected(Call("inverse_phase_shift", scale, order, "channels_last", y.shape[:1], low, y.shape[-1]), y)


def boxed(y: np.ndarray, scale: tuple[int, ...], *, transposed: bool = False) -> np.ndarray:
    """Return the blur, one axis after the other, or its transpose."""
    for axis, r in enumerate(scale, start=1):
        extent = y.shape[axis]
        box = np.zeros((extent, extent), dtype=y.dtype)
        for i in range(extent):
            place = slice(max(0, i - (r - 1) // 2), min(extent, i - (r - 1) // 2 + r))
            box[i, place] = y.dtype.type(1) / (place.stop - place.start)
        y = np.moveaxis(np.tensordot(box.T if transposed else box, y, (1, axis)), 0, axis)
    return y


def _windows(x: np.ndarray, taps: tuple[int, ...], padding: Any) -> Iterator[tuple[tuple[int, ...], Any, np.ndarray]]:
    """Yield every tap, where its values are in the padded input, and these values."""
    pairs = oracle.padding_pairs(padding, taps)
    padded = np.pad(x, ((0, 0), *pairs, (0, 0)))
    extents = [n - k + 1 for n, k in zip(padded.shape[1:-1], taps, strict=True)]
    for t in product(*(range(k) for k in taps)):
        place = (slice(None), *(slice(tap, tap + n) for tap, n in zip(t, extents, strict=True)))
        yield t, place, padded[place]


def conv(x: np.ndarray, kernel: np.ndarray, padding: Any) -> np.ndarray:
    """Return the convolution, without a bias."""
    kernel = kernel.astype(x.dtype)
    return np.asarray(sum(window @ kernel[t] for t, _, window in _windows(x, kernel.shape[:-2], padding)))


def depthwise(x: np.ndarray, kernel: np.ndarray, padding: Any) -> np.ndarray:
    """Return the depthwise convolution."""
    kernel = kernel.astype(x.dtype)
    return np.asarray(sum(window * kernel[t][:, 0] for t, _, window in _windows(x, kernel.shape[:-2], padding)))


# --- layers ---


def layer(x: np.ndarray, config: LayerConfig, parameters: Parameters, *, bounded: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the output of a layer and, where it is asked for, how far off a computed one may be: CV-003, SP-002 and BL-003, in turn."""
    y, off, chain = x, np.zeros_like(x) if bounded else None, stages_of(config)
    for number, (held, (_, _, scale)) in enumerate(zip(parameters, chain, strict=True)):
        padding = config.padding
        if "depthwise" in held:
            y, off = _summed(depthwise, y, off, held["depthwise"], None, padding, config.dtype)
            padding = "same"
        y, off = _summed(conv, y, off, held["kernel"], held.get("bias"), padding, config.dtype)
        y, off = shifted(y, scale, config.order), None if off is None else shifted(off, scale, config.order)
        if config.blur:
            off = None if off is None else blurred_bound(y, off, scale, config.dtype, _boxed_too).astype(y.dtype)
            y = boxed(y, scale)
        if config.activation and number < len(chain) - 1:
            y = np.maximum(y, 0)
    return y, off


def _boxed_too(bound: np.ndarray, scale: tuple[int, ...]) -> np.ndarray:
    return boxed(bound.astype(np.float64), scale)  # a bound need not be exact


def _summed(
    sums: Callable[..., np.ndarray],
    x: np.ndarray,
    off: np.ndarray | None,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    padding: Any,
    dtype: str,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a convolution of what is known up to ``off``, and how far off a computed one may be."""
    term = np.zeros(1) if bias is None else bias
    y = sums(x, kernel, padding) + term
    if off is None:
        return y, None
    terms, sizes = prod(kernel.shape[: -2 if sums is depthwise else -1]) + 1, np.abs(kernel)
    carried, absolute = sums(off, sizes, padding), sums(np.abs(x) + off, sizes, padding) + np.abs(term)
    own = compare.sum_bound(y, absolute, terms, dtype, term) + 2 * compare.unit_roundoff(dtype) * carried
    return y, (own + carried).astype(y.dtype)


# --- gradients ---


@dataclass(frozen=True)
class Gradient:
    """A gradient, and of how many terms the sums are that follow on one another up to it."""

    values: np.ndarray
    terms: int


@dataclass(frozen=True)
class _Passed:
    """A stage on the way forward: what came in, what the (pointwise) convolution got, what came out, and which of it went on (1, else 0).

    ``terms`` counts those of the sums before it.
    """

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray
    open: np.ndarray
    terms: int


def forward(x: np.ndarray, config: LayerConfig, parameters: Parameters, opened: list[np.ndarray] | None = None) -> list[_Passed]:
    """Return every stage. ``opened`` says which outputs go on, where it is not the sign that says it."""
    y, chain, found, terms = x, stages_of(config), [], 0
    for number, (held, (_, _, scale)) in enumerate(zip(parameters, chain, strict=True)):
        z, padding = (depthwise(y, held["depthwise"], config.padding), "same") if "depthwise" in held else (y, config.padding)
        low = conv(z, held["kernel"], padding) + held.get("bias", 0)
        out = boxed(shifted(low, scale, config.order), scale) if config.blur else shifted(low, scale, config.order)
        activated = bool(config.activation) and number < len(chain) - 1
        passes = opened[number] if opened else np.where(out > 0, 1, 0) if activated else np.ones(out.shape, int)
        found.append(_Passed(y, z, out, passes, terms))
        y = out * passes
        terms += sum(prod(kernel.shape[:-1]) + 1 for name, kernel in held.items() if name != "bias")
        terms += prod(scale) + 1 if config.blur else 0
    return found


def backward(passed: list[_Passed], cotangent: np.ndarray, config: LayerConfig, parameters: Parameters) -> list[dict[str, Gradient]]:
    """Return the gradients of every stage, for its input "x" and for its parameters."""
    back, terms, found = cotangent, 0, []
    for at, held, (_, _, scale) in reversed(list(zip(passed, parameters, stages_of(config), strict=True))):
        back = back * at.open
        if config.blur:
            back, terms = boxed(back, scale, transposed=True), terms + prod(scale) + 1
        back = unshifted(back, scale, config.order)
        positions = prod(back.shape[:-1])
        stage = {"bias": Gradient(back.sum(axis=tuple(range(back.ndim - 1))), terms + positions)}
        own, inputs = at.terms, [("kernel", at.z)]
        if "depthwise" in held:
            own, inputs = own + prod(held["depthwise"].shape[:-2]) + 1, [("kernel", at.z), ("depthwise", at.x)]
        for name, given in inputs:
            kernel = held[name]
            padding = "same" if len(inputs) == 2 and name == "kernel" else config.padding
            stage[name] = Gradient(kernel_gradient(given, kernel, back, padding), own + terms + positions)
            back, terms, own = input_gradient(given, kernel, back, padding), terms + kernel.size // kernel.shape[-2], at.terms
        found.append({"x": Gradient(back, terms)} | {name: stage[name] for name in held})
    return found[::-1]


def input_gradient(x: np.ndarray, kernel: np.ndarray, back: np.ndarray, padding: Any) -> np.ndarray:
    """Return the gradient of a convolution, or of a depthwise one, for its input."""
    taps, kernel = kernel.shape[:-2], kernel.astype(back.dtype)
    pairs = [(0, 0), *oracle.padding_pairs(padding, taps), (0, 0)]
    found = np.zeros([n + sum(pair) for n, pair in zip(x.shape, pairs, strict=True)], dtype=back.dtype)
    for t, place, _ in _windows(x, taps, padding):
        found[place] += back * kernel[t][:, 0] if kernel.shape[-1] == 1 else back @ kernel[t].T
    return found[tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, pairs, strict=True))]


def kernel_gradient(x: np.ndarray, kernel: np.ndarray, back: np.ndarray, padding: Any) -> np.ndarray:
    """Return the gradient of a convolution, or of a depthwise one, for its kernel."""
    found = np.zeros(kernel.shape, dtype=back.dtype)
    for t, _, window in _windows(x, kernel.shape[:-2], padding):
        if kernel.shape[-1] == 1:
            found[t][:, 0] = (window * back).reshape(-1, x.shape[-1]).sum(axis=0)
        else:
            found[t] = window.reshape(-1, x.shape[-1]).T @ back.reshape(-1, kernel.shape[-1])
    return found
