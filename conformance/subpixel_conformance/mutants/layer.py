"""Wrong convolutions, layers, gradients, blurs and measures."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from .. import oracle
from . import honest
from .init import layer_mutant
from .mutant import Mutant, mutant

Shape = tuple[int, ...]


def _flipped(kernel: np.ndarray) -> np.ndarray:
    return np.flip(kernel, axis=tuple(range(kernel.ndim - 2)))


def _tf32(values: np.ndarray) -> np.ndarray:
    """Return values with the 10 bits of mantissa that TF32 keeps."""
    narrow = values.astype(np.float32).view(np.uint32)
    return ((narrow + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32)


def _half_up(padding: Any, taps: Shape) -> Any:
    """Return "same" with the larger half before, as some frameworks pad even kernels."""
    return tuple((k // 2, k - 1 - k // 2) for k in taps) if padding == "same" else padding


def _flipped_conv(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    return honest.conv(x, _flipped(kernel), bias, padding=padding)


def _bias_per_tap(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    return honest.conv(x, kernel, None if bias is None else bias * prod(kernel.shape[:-2]), padding=padding)


def _half_up_conv(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    return honest.conv(x, kernel, bias, padding=_half_up(padding, kernel.shape[:-2]))


def _valid_as_same(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    return honest.conv(x, kernel, bias, padding="same" if padding == "valid" else padding)


def _tf32_conv(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    narrow = x.dtype == np.float32
    return honest.conv(_tf32(x) if narrow else x, _tf32(kernel) if narrow else kernel, bias, padding=padding)


def _half_conv(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return a convolution whose result has passed through float16, though not where it is made of integers."""
    return honest.conv(x, kernel, bias, padding=padding).astype(np.float16).astype(x.dtype)


def _flipped_transpose(x: np.ndarray, kernel: np.ndarray, bias: Any = None, **options: Any) -> np.ndarray:
    return honest.conv_transpose(x, _flipped(kernel), bias, **options)


def _extension_before(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, stride: Any, padding: Any, output_padding: Any) -> np.ndarray:
    """Return the transposed convolution with the additional values at the start."""
    plain = honest.conv_transpose(x, kernel, bias, stride=stride, padding=padding, output_padding=(0,) * len(stride))
    return np.pad(plain, ((0, 0), *((more, 0) for more in output_padding), (0, 0)))


def _corner_only(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return zeros but for the first value of every block."""
    y = oracle.nearest_upsample(x, scale)
    kept = np.zeros_like(y)
    places: Any = (..., *(slice(None, None, r) for r in scale), slice(None))
    kept[places] = y[places]
    return kept


def _tiled(x: np.ndarray, scale: Shape) -> np.ndarray:
    return np.tile(x, (1,) * (x.ndim - len(scale) - 1) + tuple(scale) + (1,))


def _zeros_counted(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the box with the padding counted into the mean."""
    ones = oracle.box_blur(np.ones_like(x), scale)
    inside = np.zeros(x.shape)
    inside[...] = ones
    counted = _window_count(x.shape, scale) / prod(scale)
    return (oracle.box_blur(x, scale) * counted * inside).astype(x.dtype)


def _window_count(shape: Shape, scale: Shape) -> np.ndarray:
    """Return how many positions of the box exist, for every position."""
    count = np.ones(shape)
    for axis, r in enumerate(scale):
        place = len(shape) - len(scale) - 1 + axis
        extent = shape[place]
        numbers = [sum(0 <= i - (r - 1) // 2 + t < extent for t in range(r)) for i in range(extent)]
        count = count * np.array(numbers).reshape([-1 if other == place else 1 for other in range(len(shape))])
    return count


def _two_by_two(x: np.ndarray, scale: Shape) -> np.ndarray:
    return honest.box_blur(x, tuple(min(r, 2) for r in scale))


def _ahead(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the box with the larger half before."""
    spatial = tuple(range(x.ndim - len(scale) - 1, x.ndim - 1))
    return np.flip(honest.box_blur(np.flip(x, axis=spatial), scale), axis=spatial)


def _half_blur(x: np.ndarray, scale: Shape) -> np.ndarray:
    return honest.box_blur(x.astype(np.float16), scale).astype(x.dtype)


def _with_mean(x: np.ndarray, scale: Shape) -> float:
    """Return the measure around 0, not around the mean."""
    return float(np.sqrt(oracle.checkerboard(x, scale) ** 2 + float(x.mean()) ** 2))


def wrong_functions() -> Iterator[Mutant]:
    """Yield wrong convolutions, upsamplings, blurs and measures."""
    rows: list[tuple[str, str, str, str, Callable[..., Any]]] = [
        ("the kernel flipped", "CV-001 CV-003", "CV-002", "conv", _flipped_conv),
        ("the bias added for every tap", "CV-001 CV-003", "CV-002", "conv", _bias_per_tap),
        ("the larger half padded before", "CV-002", "CV-001", "conv", _half_up_conv),
        ("valid taken for same", "CV-002", "", "conv", _valid_as_same),
        ("inputs rounded to TF32", "CV-003", "", "conv", _tf32_conv),
        ("the sum through float16", "CV-003", "", "conv", _half_conv),
        ("the transposed kernel flipped", "CV-004", "CV-003", "conv_transpose", _flipped_transpose),
        ("output padding before", "CV-004", "", "conv_transpose", _extension_before),
        ("zeros in between", "CV-005", "", "nearest_upsample", _corner_only),
        ("the image tiled", "CV-005", "", "nearest_upsample", _tiled),
        ("the border darkened", "BL-001 BL-003", "", "box_blur", _zeros_counted),
        ("a box of 2 for every scale", "BL-001 BL-003", "", "box_blur", _two_by_two),
        ("the larger half of the box before", "BL-001 BL-003", "", "box_blur", _ahead),
        ("the mean in float16", "BL-003", "", "box_blur", _half_blur),
        ("the measure around 0", "CB-001", "", "checkerboard", _with_mean),
    ]
    for name, violates, also, operation, function in rows:
        claims = {"dtypes": ("float32", "float64", "int32")}
        replaced: dict[str, Any] = {operation: function}
        yield mutant(name, violates, also, operations=operation, claims=claims, **replaced)
    volumes = {"dtypes": ("float16", "float32"), "ndims": (2, 3)}
    yield mutant("a 3-D convolution of float16 added in float16", "CV-003", operations="conv", claims=volumes, conv=_volumes_added_in_half)


class _OtherOrder(honest.HonestLayer):
    """Shifts by another order than asked."""

    def shift(self, x: np.ndarray, scale: Shape) -> np.ndarray:
        return oracle.phase_shift(x, scale, order={"DCR": "CRD", "CRD": "DCR"}[self.config.order])


class _BiasAfterShift(honest.HonestLayer):
    """Adds the first C values of the bias after the shift."""

    def stage(self, x: np.ndarray, held: Any, scale: Shape) -> np.ndarray:
        y = super().stage(x, {name: values for name, values in held.items() if name != "bias"}, scale)
        return y + held["bias"][: y.shape[-1]] if "bias" in held else y


class _FlippedKernel(honest.HonestLayer):
    """Convolves in the mathematical sense."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return super().conv(x, _flipped(kernel), bias, padding=padding)


class _HalfUp(honest.HonestLayer):
    """Pads even kernels before."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return super().conv(x, kernel, bias, padding=_half_up(padding, kernel.shape[:-2]))


class _TF32(honest.HonestLayer):
    """Rounds what enters every convolution."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return super().conv(_tf32(x), _tf32(kernel), bias, padding=padding)


class _PaddingIgnored(honest.HonestLayer):
    """Pads as "same" does, whatever is asked for; a separable layer obeys."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return super().conv(x, kernel, bias, padding="same")


def _added_in_half(x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
    """Return a convolution of float16 that adds term after term in float16."""
    taps = kernel.shape[:-2]
    padded = np.pad(x, ((0, 0), *oracle.padding_pairs(padding, taps), (0, 0)))
    extents = [n - k + 1 for n, k in zip(padded.shape[1:-1], taps, strict=True)]
    y = np.zeros((x.shape[0], *extents, kernel.shape[-1]), np.float16)
    for t in np.ndindex(*taps):
        window = padded[(slice(None), *(slice(tap, tap + n) for tap, n in zip(t, extents, strict=True)))]
        for p in range(x.shape[-1]):
            y = y + window[..., p, None] * kernel[t][p]
    return y if bias is None else y + bias


class _AddsInHalf(honest.HonestLayer):
    """Adds in float16 where the layer is in float16."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        narrow = x.dtype == np.float16
        return _added_in_half(x, kernel, bias, padding=padding) if narrow else super().conv(x, kernel, bias, padding=padding)


class _AddsVolumesInHalf(_AddsInHalf):
    """Adds so in three dimensions only, as TensorFlow does on a CPU."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        adds = _AddsInHalf if x.ndim == 5 else honest.HonestLayer
        return adds.conv(self, x, kernel, bias, padding=padding)


def _volumes_added_in_half(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    narrow = x.dtype == np.float16 and x.ndim == 5
    return (_added_in_half if narrow else honest.conv)(x, kernel, bias, padding=padding)


class _DepthwisePaddingIgnored(honest.HonestLayer):
    """Pads the depthwise convolution as "same" does, whatever is asked for."""

    def stage(self, x: np.ndarray, held: Any, scale: Shape) -> np.ndarray:
        config = replace(self.config, padding="same") if "depthwise" in held else self.config
        return honest.HonestLayer(config, self.held).stage(x, held, scale)


class _RunningSums(honest.HonestLayer):
    """Blurs by differences of running sums, kept with 11 bits."""

    def blurred(self, y: np.ndarray, scale: Shape) -> np.ndarray:
        for axis, r in enumerate(scale, start=1):
            extent = y.shape[axis]
            sums = np.cumsum(np.insert(y, 0, 0, axis=axis), axis=axis).astype(np.float16).astype(np.float32)
            first = [max(0, i - (r - 1) // 2) for i in range(extent)]
            end = [min(extent, i - (r - 1) // 2 + r) for i in range(extent)]
            count = (np.array(end) - np.array(first)).reshape([-1 if place == axis else 1 for place in range(y.ndim)])
            y = (np.take(sums, end, axis=axis) - np.take(sums, first, axis=axis)) / count
        return self.rounded(y)


class _WithoutBias(honest.HonestLayer):
    """Has no bias, even if one is asked for."""

    def drawn(self, number: int) -> dict[str, np.ndarray]:
        return {name: values for name, values in super().drawn(number).items() if name != "bias"}


class _TransposedKernel(honest.HonestLayer):
    """Reports its kernel with the channels exchanged."""

    def parameters(self) -> list[dict[str, np.ndarray]]:
        return [{**held, "kernel": np.swapaxes(held["kernel"], -1, -2)} for held in self.held]


class _ActivatesLast(honest.HonestLayer):
    """Applies the activation after the last stage, too."""

    def between(self, y: np.ndarray, number: int) -> np.ndarray:
        return np.maximum(y, 0) if self.config.activation == "relu" else y


class _NeverActivates(honest.HonestLayer):
    """Forgets the activation."""

    def between(self, y: np.ndarray, number: int) -> np.ndarray:
        return y


class _BiasBetween(honest.HonestLayer):
    """Adds a bias to the depthwise result."""

    def rounded(self, y: np.ndarray) -> np.ndarray:
        y = super().rounded(y)
        return y + 1 if self.config.separable and y.shape[-1] == self.config.in_channels else y


class _PointwiseFirst(honest.HonestLayer):
    """Pads after the pointwise convolution's own idea: the depthwise one is always "same"."""

    def stage(self, x: np.ndarray, held: Any, scale: Shape) -> np.ndarray:
        if "depthwise" not in held:
            return super().stage(x, held, scale)
        layer = honest.HonestLayer(replace(self.config, padding="same"), self.held)
        return layer.stage(x, {**held, "depthwise": _flipped(held["depthwise"])}, scale)


class _RoundedDepthwise(honest.HonestLayer):
    """Keeps the depthwise result in TF32."""

    def stage(self, x: np.ndarray, held: Any, scale: Shape) -> np.ndarray:
        if "depthwise" in held:
            held = {**held, "depthwise": _tf32(held["depthwise"])}
        return super().stage(x, held, scale)


class _BlurOfTwo(honest.HonestLayer):
    """Blurs with a 2 x 2 box, whatever the scale."""

    def blurred(self, y: np.ndarray, scale: Shape) -> np.ndarray:
        return super().blurred(y, (2,) * len(scale))


class _NoBlur(honest.HonestLayer):
    """Does not blur."""

    def blurred(self, y: np.ndarray, scale: Shape) -> np.ndarray:
        return y


class _BlurredAtTheEnd(honest.HonestLayer):
    """Blurs a chain once, by the whole scale."""

    def blurred(self, y: np.ndarray, scale: Shape) -> np.ndarray:
        return y

    def __call__(self, x: np.ndarray) -> np.ndarray:
        y = super().__call__(x)
        return super().blurred(y, self.config.scale) if self.config.blur else y


class _BlurredByTheWhole(honest.HonestLayer):
    """Blurs every stage of a chain by the whole scale."""

    def blurred(self, y: np.ndarray, scale: Shape) -> np.ndarray:
        return super().blurred(y, self.config.scale)


class _LastStageBlurred(honest.HonestLayer):
    """Blurs the last stage of a chain alone."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for number, (held, (_, _, scale)) in enumerate(zip(self.held, self.stages, strict=True)):
            x = self.between(self.stage(x, held, scale), number)
        return self.blurred(x, scale) if self.config.blur else x


class _ActivatedBeforeTheBlur(honest.HonestLayer):
    """Blurs a stage after the activation that follows it."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for number, (held, (_, _, scale)) in enumerate(zip(self.held, self.stages, strict=True)):
            x = self.between(self.stage(x, held, scale), number)
            x = self.blurred(x, scale) if self.config.blur else x
        return x


class _MeanBias(honest.HonestLayer):
    """Averages the gradient of the bias over the positions."""

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        d_x, held = super().gradients(x, cotangent)
        return d_x, [{**stage, **({"bias": stage["bias"] / prod(x.shape[:-1])} if "bias" in stage else {})} for stage in held]


class _PlainGradientOnly(honest.HonestLayer):
    """Has no gradient for the input of a separable or chained layer, nor under any padding but "same"."""

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        d_x, held = super().gradients(x, cotangent)
        plain = not self.config.separable and self.config.factors is None and self.config.padding == "same"
        return d_x if plain else np.zeros_like(d_x), held


class _FlippedGradient(honest.HonestLayer):
    """Correlates where the gradient for the input convolves."""

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        _, held = super().gradients(x, cotangent)
        flipped = [{name: values if name == "bias" else _flipped(values) for name, values in stage.items()} for stage in self.held]
        return honest.HonestLayer(self.config, flipped).gradients(x, cotangent)[0], held


def wrong_layers() -> Iterator[Mutant]:
    """Yield layers that are another function."""
    chains = "IC-007 IC-008 IC-009"
    yield layer_mutant(
        "a layer of another order", "SC-001 SC-003 SC-004 SP-001", f"SP-002 BL-001 BL-002 BL-004 IC-004 CP-002 {chains}", _OtherOrder
    )
    yield layer_mutant(
        "the bias after the shift", "SC-001 CP-002", f"SC-003 SC-004 SP-001 SP-002 BL-001 BL-002 BL-004 IC-004 {chains}", _BiasAfterShift
    )
    yield layer_mutant("a layer with a flipped kernel", "SC-001 SC-003", "SC-004 BL-001 BL-002 BL-004 IC-004", _FlippedKernel)
    yield layer_mutant("a layer that pads even kernels before", "SC-001", "SC-003 SC-004 BL-001 BL-004 IC-004 IC-008", _HalfUp)
    yield layer_mutant("a layer in TF32", "SC-003", "IC-004 SP-002 BL-002 BL-004", _TF32)
    half = ("float16", "float32")
    yield layer_mutant("a layer that ignores its padding", "SC-001", "", _PaddingIgnored)
    yield layer_mutant("a layer of float16 that adds in float16", "SC-003", "SP-002", _AddsInHalf, dtypes=half)
    yield layer_mutant("a 3-D layer of float16 that adds in float16", "SC-003", "SP-002", _AddsVolumesInHalf, dtypes=half, ndims=(2, 3))
    yield layer_mutant("a separable layer that ignores its padding", "SP-001", "", _DepthwisePaddingIgnored)
    squares = ({"scale": (2, 2)},)
    yield layer_mutant("a blur by running sums of 11 bits", "BL-002", "BL-001 BL-003", _RunningSums, layers=squares)
    yield layer_mutant("a layer without a bias", "SC-002", "", _WithoutBias)
    yield layer_mutant("a kernel reported transposed", "SC-002", "IC-004 IC-010 IC-002", _TransposedKernel)
    yield layer_mutant("the last stage activated", "SC-004", "BL-004", _ActivatesLast)
    yield layer_mutant("no activation", "SC-004", "BL-004", _NeverActivates)
    yield layer_mutant("a bias between depthwise and pointwise", "SP-001 SP-002", "IC-004", _BiasBetween)
    yield layer_mutant("the depthwise padding ignored, its kernel flipped", "SP-001 SP-002", "IC-004", _PointwiseFirst)
    yield layer_mutant("the depthwise kernel in TF32", "SP-002", "IC-004", _RoundedDepthwise)
    yield layer_mutant("a blur of 2 for every scale", "BL-001 BL-002", "BL-004", _BlurOfTwo)
    yield layer_mutant("a layer that does not blur", "BL-001 BL-002", "BL-004", _NoBlur)
    yield layer_mutant("a chain blurred once, at the end", "BL-004", "", _BlurredAtTheEnd)
    yield layer_mutant("a chain of stages blurred by the whole scale", "BL-004", "", _BlurredByTheWhole)
    yield layer_mutant("a chain of which the last stage alone is blurred", "BL-004", "", _LastStageBlurred)
    yield layer_mutant("a chain activated before its blurs", "BL-004", "", _ActivatedBeforeTheBlur)
    yield layer_mutant("the mean for the bias gradient", "GR-003", "", _MeanBias, operations="layer vjp")
    yield layer_mutant("a gradient for plain layers only", "GR-003", "", _PlainGradientOnly, operations="layer vjp")
    yield layer_mutant("the input gradient flipped", "GR-003", "", _FlippedGradient, operations="layer vjp")


def mutants() -> tuple[Mutant, ...]:
    """Return all mutants of layers and convolutions."""
    return (*wrong_functions(), *wrong_layers())
