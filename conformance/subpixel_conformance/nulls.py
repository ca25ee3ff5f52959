"""Implementations that are right in another way: the suite must pass each, or it asks for more than the specification does."""

from collections.abc import Callable, Mapping
from itertools import product
from math import prod
from typing import Any

import numpy as np

from . import oracle
from .adapter import LayerConfig
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


def _pair(name: str, shift: Callable[..., np.ndarray], dtypes: tuple[str, ...]) -> Any:
    def checked(x: np.ndarray, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
        honest.admitted(x, scale, order, data_format, inverse=False)
        return shift(x, scale, order=order, data_format=data_format)

    def checked_inverse(x: np.ndarray, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
        honest.admitted(x, scale, order, data_format, inverse=True)
        return sliced_inverse(x, scale, order=order, data_format=data_format)

    return honest.Honest(name, claims={"operations": PAIR, "dtypes": dtypes}, phase_shift=checked, inverse_phase_shift=checked_inverse)


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


def _float32_layer(config: LayerConfig, device: str, parameters: Any = None) -> Float32Layer:
    return Float32Layer(config, parameters)


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


def _networks(name: str, network: type[unet.HonestNetwork], *more: str, dtypes: tuple[str, ...]) -> Any:
    operations = ("unet", "unet_arithmetic", *more)
    claims = {"operations": operations, "dtypes": dtypes, "refusals": ("UN-014", "UN-015")}
    return honest.Honest(name, claims=claims, unet=network, unet_arithmetic=unet._Arithmetic)


def all_nulls() -> tuple[Any, ...]:
    """Return every null mutant: an adapter that must pass."""
    return (
        honest.Honest("the oracle itself", claims={"modes": ("eager", "jit", "jit-dynamic", "vmap")}),
        _pair("slices", sliced, honest.DTYPES),
        _pair("a gather by flat index", gathered, honest.DTYPES),
        _pair("one-hot matrices", one_hot, ("int64",)),
        _pair("a strided view", strided, honest.DTYPES),
        _pair("one sample at a time", one_sample_at_a_time, honest.DTYPES),
        honest.Honest("sums in float32", claims={"operations": ("layer",), "dtypes": ("float32", "float64")}, layer=_float32_layer),
        _networks(
            "the U-Net of the oracle",
            unet.HonestNetwork,
            *("unet_mixed", "unet_gradients", "unet_steps"),
            dtypes=("float32", "float64", "bfloat16"),
        ),
        _networks("a U-Net that adds in float32, from the last term", Float32Network, dtypes=("float32", "float64")),
    )
