"""Implementations that are right in another way: the suite must pass each, or it asks for more than the specification does."""

from collections.abc import Callable, Mapping
from itertools import product
from math import prod
from statistics import NormalDist
from typing import Any

import numpy as np

from . import oracle
from .adapter import LayerConfig
from .compare import unit_roundoff
from .mutants import honest, unet
from .oracle_unet import Step, blur, nearest, pools, shift, wide

PAIR = ("phase_shift", "inverse_phase_shift")
EXACT = ("int64", "float32", "float64")


def _at(first: tuple[int, ...], scale: tuple[int, ...], channel: Any) -> Any:
    """Return the index of every block's position ``first`` in ``channel``."""
    return (..., *(slice(o, None, r) for o, r in zip(first, scale, strict=True)), channel)


def _blocks(scale: tuple[int, ...], channels: int, order: str) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return (k, c, offset) for every low-resolution channel."""
    return [(oracle.channel_index(order, c, o, scale, channels), c, o) for o in oracle.offsets(scale) for c in range(channels)]


def _last(x: np.ndarray, scale: tuple[int, ...], data_format: str) -> np.ndarray:
    return x if data_format == "channels_last" else np.moveaxis(x, -len(scale) - 1, -1)


def _back(y: np.ndarray, scale: tuple[int, ...], data_format: str) -> np.ndarray:
    return y if data_format == "channels_last" else np.moveaxis(y, -1, -len(scale) - 1)


def _enlarged(x: np.ndarray, scale: tuple[int, ...]) -> tuple[int, ...]:
    first = x.ndim - len(scale) - 1
    return (*x.shape[:first], *(r * n for r, n in zip(scale, x.shape[first:-1], strict=True)), x.shape[-1] // prod(scale))


def sliced(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Write every channel into its place of all blocks at once: ``y[..., dy::r, dx::r, c] = x[..., k]``."""
    x = _last(x, scale, data_format)
    y = np.empty(_enlarged(x, scale), dtype=x.dtype)
    for k, c, o in _blocks(scale, y.shape[-1], order):
        y[_at(o, scale, c)] = x[..., k]
    return _back(y, scale, data_format)


def sliced_inverse(y: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Read every channel from its place of all blocks at once."""
    y = _last(y, scale, data_format)
    channels = {k: y[_at(o, scale, c)] for k, c, o in _blocks(scale, y.shape[-1], order)}
    if not channels:
        spatial = (n // r for n, r in zip(y.shape[y.ndim - len(scale) - 1 : -1], scale, strict=True))
        return _back(np.empty((*y.shape[: y.ndim - len(scale) - 1], *spatial, 0), dtype=y.dtype), scale, data_format)
    return _back(np.stack([channels[k] for k in range(len(channels))], axis=-1), scale, data_format)


def gathered(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Gather by flat position, worked out for all positions at once."""
    x = np.ascontiguousarray(_last(x, scale, data_format))
    shape = _enlarged(x, scale)
    *outer, c = np.indices(shape)
    first = x.ndim - len(scale) - 1
    inside = [position % r for position, r in zip(outer[first:], scale, strict=True)]
    low = [position // r for position, r in zip(outer[first:], scale, strict=True)]
    table = np.zeros((*scale, max(shape[-1], 1)), dtype=np.int64)
    for k, channel, o in _blocks(scale, shape[-1], order):
        table[(*o, channel)] = k
    k = table[(*inside, c)] if x.size else c
    flat = np.ravel_multi_index((*outer[:first], *low, k), x.shape) if x.size else np.zeros(shape, dtype=np.int64)
    return _back(x.reshape(-1)[flat] if x.size else np.empty(shape, dtype=x.dtype), scale, data_format)


def one_hot(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Multiply by a matrix of zeros and ones for every offset: exact for finite values, and -0 aside."""
    x = _last(x, scale, data_format)
    y = np.zeros(_enlarged(x, scale), dtype=x.dtype)
    for o in oracle.offsets(scale):
        matrix = np.zeros((x.shape[-1], y.shape[-1]), dtype=x.dtype)
        for k, c, offset in _blocks(scale, y.shape[-1], order):
            matrix[k, c] = offset == o
        y[_at(o, scale, slice(None))] = np.einsum("...k,kc->...c", x, matrix)
    return _back(y, scale, data_format)


def strided(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Fill a view of the output whose axes are the blocks, made by strides."""
    x = _last(x, scale, data_format)
    y = np.zeros(_enlarged(x, scale), dtype=x.dtype)
    if not y.size:
        return _back(y, scale, data_format)
    first = x.ndim - len(scale) - 1
    steps = y.strides[first:-1]
    shape = (*x.shape[:-1], *scale, y.shape[-1])
    strides = (*y.strides[:first], *(r * step for r, step in zip(scale, steps, strict=True)), *steps, y.strides[-1])
    view = np.lib.stride_tricks.as_strided(y, shape, strides)
    for k, c, o in _blocks(scale, y.shape[-1], order):
        place: Any = (..., *o, c)
        view[place] = x[..., k]
    return _back(y, scale, data_format)


def one_sample_at_a_time(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Shift every sample by the oracle, and stack."""
    axes = x.ndim - len(scale) - 1
    if not axes or not x.size:
        return honest.phase_shift(x, scale, order=order, data_format=data_format)
    shifted = {
        n: honest.phase_shift(x[n], scale, order=order, data_format=data_format) for n in product(*(range(e) for e in x.shape[:axes]))
    }
    return np.stack(list(shifted.values())).reshape(x.shape[:axes] + next(iter(shifted.values())).shape)


def index_loops(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Copy one value after another."""
    x = _last(x, scale, data_format)
    y = np.empty(_enlarged(x, scale), dtype=x.dtype)
    blocks, first = _blocks(scale, y.shape[-1], order), x.ndim - len(scale) - 1
    for place in np.ndindex(*x.shape[:-1]):
        batch, low = place[:first], place[first:]
        for k, c, o in blocks:
            y[(*batch, *(r * i + a for r, i, a in zip(scale, low, o, strict=True)), c)] = x[(*place, k)]
    return _back(y, scale, data_format)


def one_hot_deconv(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Convolve with a transposed kernel of zeros and ones, of the extents and the stride of the scale: exact for finite values."""
    x = _last(x, scale, data_format)
    shape = _enlarged(x, scale)
    if not x.size:
        return _back(np.empty(shape, dtype=x.dtype), scale, data_format)
    kernel = np.zeros((*scale, x.shape[-1], shape[-1]), dtype=x.dtype)
    for k, c, o in _blocks(scale, shape[-1], order):
        kernel[(*o, k, c)] = 1
    none = (0,) * len(scale)
    batched = x.reshape(-1, *x.shape[x.ndim - len(scale) - 1 :])
    y = oracle.conv_transpose(batched, kernel, None, stride=tuple(scale), padding=none, output_padding=none)
    return _back(y.astype(x.dtype).reshape(shape), scale, data_format)


def einsum_of_axes(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Name the axes of the split tensor, and let einsum bring them into the sequence of the output."""
    x = _last(x, scale, data_format)
    shape, d = _enlarged(x, scale), len(scale)
    extents, offsets = tuple(scale), list(range(100, 100 + d))
    if order in ("DRC", "RCD"):
        extents, offsets = extents[::-1], offsets[::-1]
    names = [*offsets, 99] if order in ("DCR", "DRC") else [99, *offsets]
    parts = (*extents, shape[-1]) if order in ("DCR", "DRC") else (shape[-1], *extents)
    first = x.ndim - d - 1
    short = {name: n for n, name in enumerate([*range(first), *range(50, 50 + d), 99, *range(100, 100 + d)])}
    read = [short[name] for name in (*range(first), *range(50, 50 + d), *names)]
    written = [*range(first), *(axis for i in range(d) for axis in (50 + i, 100 + i)), 99]
    y = np.einsum(x.reshape(*x.shape[:-1], *parts), read, [short[name] for name in written])
    return _back(y.reshape(shape), scale, data_format)


def in_fortran_order(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Return a result that lies in memory column by column."""
    return np.asfortranarray(sliced(x, scale, order=order, data_format=data_format))


def itself_where_nothing_moves(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Return the input itself where all factors are 1."""
    return x if set(scale) == {1} else sliced(x, scale, order=order, data_format=data_format)


FEW: dict[str, Any] = {"orders": ("DCR", "CRD"), "ndims": (1, 2), "batch_ndims": (1,)}
"""What is claimed by implementations that are slow."""


def _pair(name: str, shift: Callable[..., np.ndarray], dtypes: tuple[str, ...], **claims: Any) -> Any:
    def checked(x: np.ndarray, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
        honest.admitted(x, scale, order, data_format, inverse=False)
        return shift(x, scale, order=order, data_format=data_format)

    def checked_inverse(x: np.ndarray, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
        honest.admitted(x, scale, order, data_format, inverse=True)
        return sliced_inverse(x, scale, order=order, data_format=data_format)

    claimed = {"operations": PAIR, "dtypes": dtypes, **claims}
    return honest.Honest(name, claims=claimed, phase_shift=checked, inverse_phase_shift=checked_inverse)


# --- convolutions and blurs ---


def _padded(x: np.ndarray, taps: tuple[int, ...], padding: Any) -> np.ndarray:
    return np.pad(x, ((0, 0), *oracle.padding_pairs(padding, taps), (0, 0)))


def windows(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return the convolution as one einsum of all windows with the kernel, added as it comes."""
    taps = kernel.shape[:-2]
    d = len(taps)
    view = np.lib.stride_tricks.sliding_window_view(_padded(x, taps, padding), taps, axis=tuple(range(1, d + 1)))
    y = np.einsum(view, [0, *range(1, d + 1), 20, *range(10, 10 + d)], kernel, [*range(10, 10 + d), 20, 21], [0, *range(1, d + 1), 21])
    return y if bias is None else y + bias


def winograd(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return the convolution with two thirds of the products where the last axis has three taps: Winograd 1980, F(2, 3).

    ``m = (d0 - d2)g0, (d1 + d2)(g0 + g1 + g2)/2, (d2 - d1)(g0 - g1 + g2)/2, (d1 - d3)g2``; the two outputs are ``m0 + m1 + m2`` and
    ``m1 - m2 - m3``.
    """
    taps = kernel.shape[:-2]
    if taps[-1] != 3:
        return windows(x, kernel, bias, padding=padding)
    x = _padded(x, taps, padding)
    outputs = x.shape[-2] - 2
    more = [(0, 0)] * x.ndim
    more[-2] = (0, outputs % 2)
    x = np.pad(x, more)
    d = [x[..., start : start + outputs + outputs % 2 - 1 : 2, :] for start in range(4)]
    g = [kernel[..., tap, :, :][..., None, :, :] for tap in range(3)]
    half = x.dtype.type(0.5)
    rows = [
        (d[0] - d[2], g[0]),
        (d[1] + d[2], (g[0] + g[1] + g[2]) * half),
        (d[2] - d[1], (g[0] - g[1] + g[2]) * half),
        (d[1] - d[3], g[2]),
    ]
    m = [windows(values, weights, padding="valid") for values, weights in rows]
    y = np.stack([m[0] + m[1] + m[2], m[1] - m[2] - m[3]], axis=-2)
    y = y.reshape(*y.shape[:-3], -1, y.shape[-1])[..., :outputs, :]
    return y if bias is None else y + bias


def bias_last(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return the convolution rounded to the dtype before the bias is added, which CV-003 allows."""
    y = oracle.conv(x, kernel, None, padding=padding).astype(x.dtype)
    return y if bias is None else y + bias


def nearly_out_of_bound(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return the convolution with an error of nine tenths of what CV-003 allows to the sum, but none on integers."""
    exact = oracle.conv(x, kernel, bias, padding=padding)
    if all((values == np.rint(values)).all() for values in (x, kernel)):
        return exact.astype(x.dtype)
    absolute = oracle.conv(np.abs(x), np.abs(kernel), None if bias is None else np.abs(bias), padding=padding)
    sign = 1 - 2 * (np.arange(exact.size).reshape(exact.shape) % 2)
    terms = prod(kernel.shape[:-1]) + 1
    return (exact + sign * absolute * (0.9 * terms * unit_roundoff(str(x.dtype), accumulation=True))).astype(x.dtype)


def axis_by_axis(x: np.ndarray, scale: Any) -> np.ndarray:
    """Return the box as a mean along one axis after the other, in float64."""
    if x.ndim <= len(honest.factors_of(scale)):
        raise ValueError(f"x must have {len(scale) + 1} axes or more; got {x.ndim}")
    y = x.astype(np.float64)
    for axis, r in enumerate(scale, start=x.ndim - len(scale) - 1):
        along = np.moveaxis(y, axis, 0)
        boxes = [along[max(0, i - (r - 1) // 2) : i - (r - 1) // 2 + r] for i in range(len(along))]
        y = np.moveaxis(np.stack([box.mean(axis=0) for box in boxes]), 0, axis)
    return y.astype(x.dtype)


# --- layers ---


class UniformLayer(honest.HonestLayer):
    """Draws from a uniform distribution, and begins with biases of 1: ICNR, of another initializer."""

    def drawn(self, number: int) -> dict[str, np.ndarray]:
        """Return fresh parameters of one stage."""
        inputs, outputs, scale = self.stages[number]
        rng, separable = np.random.default_rng(90 + number), self.config.separable
        taps = (1,) * self.config.ndim if separable else self.kernel_size
        limit = (6 / (prod(taps) * inputs)) ** 0.5
        parameters = {"depthwise": rng.uniform(-1, 1, size=(*self.kernel_size, inputs, 1))} if separable else {}
        parameters["kernel"] = self.replicated(rng.uniform(-limit, limit, size=(*taps, inputs, outputs)), scale)
        if self.config.bias:
            parameters["bias"] = self.replicated(np.ones(outputs), scale)
        return {name: values.astype(self.config.dtype) for name, values in parameters.items()}


class Float32Layer(honest.HonestLayer):
    """Adds in the layer's own precision, from the last term to the first: an error, but one within the bound."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, *, padding: Any) -> np.ndarray:
        """Return the convolution, added term by term."""
        taps = kernel.shape[:-2]
        pairs = oracle.padding_pairs(padding, taps)
        padded = np.pad(x, ((0, 0), *pairs, (0, 0)))
        extents = [n - k + 1 for n, k in zip(padded.shape[1:-1], taps, strict=True)]
        y = (
            np.zeros((x.shape[0], *extents, kernel.shape[-1]), dtype=x.dtype)
            if bias is None
            else np.zeros((x.shape[0], *extents, 1), x.dtype) + bias
        )
        for t in reversed(list(product(*(range(k) for k in taps)))):
            window = padded[(slice(None), *(slice(tap, tap + n) for tap, n in zip(t, extents, strict=True)))]
            for p in reversed(range(x.shape[-1])):
                y = y + window[..., p, None] * kernel[t][p]
        return y


def _layers(name: str, layer: type[honest.HonestLayer], dtypes: tuple[str, ...]) -> Any:
    def construct(config: LayerConfig, device: str, parameters: Any = None) -> honest.HonestLayer:
        return layer(config, parameters)

    return honest.Honest(name, claims={"operations": ("layer",), "dtypes": dtypes}, layer=construct)


def _one(name: str, operation: str, function: Callable[..., Any], dtypes: tuple[str, ...]) -> Any:
    replaced: dict[str, Any] = {operation: function}
    return honest.Honest(name, claims={"operations": (operation,), "dtypes": dtypes}, **replaced)


# --- residual U-Nets ---


class Float32Network(unet.HonestNetwork):
    """Adds in the network's own precision, tap by tap from the last, and takes the variance in one pass."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Mapping[str, np.ndarray], training: bool) -> np.ndarray:
        """Return the value of one step."""
        if step.statistics and training:
            self.enough(inputs[0])
        narrow = [value.astype(self.dtype) for value in inputs]
        if step.kind == "norm":
            return self._one_pass(step, narrow[0], params, training)
        if step.kind not in ("conv", "up") or step.way == "deconv":
            return super().apply(step, inputs, dict(params), training)
        x = nearest(narrow[0], step.factors).astype(self.dtype) if step.way == "resize" else narrow[0]
        kernel, bias = (params[f"{step.name}.{what}"].astype(self.dtype) for what in ("kernel", "bias"))
        padded = np.pad(x, ((0, 0), *oracle.padding_pairs("same", step.taps), (0, 0)))
        y = np.zeros((*x.shape[:-1], kernel.shape[-1]), self.dtype) + bias
        for t in reversed(list(product(*(range(k) for k in step.taps)))):
            window = padded[(slice(None), *(slice(tap, tap + n) for tap, n in zip(t, x.shape[1:-1], strict=True)))]
            for p in reversed(range(x.shape[-1])):
                y = y + window[..., p, None] * kernel[t][p]
        if step.kind == "conv":
            return y[(slice(None), *(slice(None, None, s) for s in step.factors))]
        y = shift(y, step.factors, step.order) if step.way == "subpixel" else y
        return blur(wide(y), step.factors) if step.blurred else y

    def _one_pass(self, step: Step, x: np.ndarray, params: Mapping[str, np.ndarray], training: bool) -> np.ndarray:
        y = np.zeros_like(x)
        for at, members in pools(step, x.shape):
            values = x[at]
            if step.groups or training:
                mean = values.mean()
                variance = (values * values).mean() - mean * mean
            else:
                mean, variance = (params[f"{step.name}.{what}"][members] for what in ("mean", "variance"))
            scale, bias = (params[f"{step.name}.{what}"][members] for what in ("scale", "bias"))
            y[at] = (values - mean) * (scale / np.sqrt(variance + self.dtype.type(1e-5))) + bias
        return y


class InverseTransformNetwork(unet.HonestNetwork):
    """Draws normal values by inverting their distribution, from another generator."""

    def drawn(self, step: Step, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return normal values."""
        seed = int(rng.integers(2**31))
        uniform = np.random.RandomState(seed).uniform(1e-12, 1, size=prod(shape))
        return step.std * np.array([NormalDist().inv_cdf(value) for value in uniform]).reshape(shape)


def _networks(
    name: str, network: type[unet.HonestNetwork], *more: str, dtypes: tuple[str, ...], modes: tuple[str, ...] = ("eager",)
) -> Any:
    operations = ("unet", "unet_arithmetic", *more)
    claims = {"operations": operations, "dtypes": dtypes, "modes": modes, "refusals": ("UN-014", "UN-015")}
    return honest.Honest(name, claims=claims, unet=network, unet_arithmetic=unet._Arithmetic)


def all_nulls() -> tuple[Any, ...]:
    """Return every null mutant: an adapter that must pass."""
    return (
        honest.Honest("the oracle itself", claims={"modes": ("eager", "jit", "jit-dynamic", "vmap")}),
        *(honest.Honest(f"the oracle in {dtype} alone", claims={"dtypes": (dtype,)}) for dtype in ("float16", "bfloat16", "uint8", "bool")),
        _pair("slices", sliced, honest.DTYPES),
        _pair("a gather by flat index", gathered, honest.DTYPES),
        _pair("one-hot matrices", one_hot, ("int64",), **FEW),
        _pair("a strided view", strided, honest.DTYPES),
        _pair("one sample at a time", one_sample_at_a_time, honest.DTYPES),
        _pair("index loops", index_loops, ("float32",)),
        _pair("a transposed convolution with a one-hot kernel", one_hot_deconv, ("float32",), **FEW, bit_patterns=False),
        _pair("einsum of named axes", einsum_of_axes, honest.DTYPES),
        _pair("results in Fortran order", in_fortran_order, honest.DTYPES),
        _pair("the input itself where nothing moves", itself_where_nothing_moves, honest.DTYPES),
        _one("a convolution by windows", "conv", windows, ("float32", "float64")),
        _one("Winograd's convolution", "conv", winograd, ("float32", "float64")),
        _one("the bias after rounding", "conv", bias_last, ("float16", "float32", "float64")),
        _one("an error just inside the bound", "conv", nearly_out_of_bound, ("float32", "float64")),
        _one("a box axis by axis", "box_blur", axis_by_axis, ("float32",)),
        _layers("sums in float32", Float32Layer, ("float32", "float64")),
        _layers("another initializer", UniformLayer, ("float32", "float64")),
        _networks(
            "the U-Net of the oracle",
            unet.HonestNetwork,
            *("unet_mixed", "unet_gradients", "unet_steps", "vjp"),
            dtypes=("float32", "float64", "bfloat16"),
            modes=("eager", "jit", "function"),
        ),
        _networks("normal values by inverse transform", InverseTransformNetwork, dtypes=("float32",)),
        _networks("a U-Net that adds in float32, from the last term", Float32Network, dtypes=("float32", "float64")),
    )
