"""Mistakes where few look: in some orders and formats, beyond the width of a block, in one dtype or size."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from .. import oracle
from ..adapter import LayerConfig
from . import honest
from .dishonest import _by_shape, _remembered
from .init import Base, layer_mutant
from .layer import _flipped, _half_up, _tf32
from .mutant import Mutant, mutant
from .shift import EVERY_ORDER, PAIR, _careless, _empty_crashes, _in_place, _nan_canonical, _needs_contiguous, _scale_one_wrong
from .unet import HonestNetwork

Shape = tuple[int, ...]
Shift = Callable[..., np.ndarray]

LOOKED_AT = (("DCR", "channels_last"), ("CRD", "channels_first"), ("DRC", "channels_last"), ("RCD", "channels_first"))
BLOCK = 8
WIDTHS = {"channels": BLOCK, "samples": BLOCK, "positions": 128}


# --- the shift ---


def _elsewhere(wrong: Shift) -> Shift:
    """Return the shift that is wrong but for what frameworks have themselves, and for two orders and formats more."""

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        taken = honest.phase_shift if (order, data_format) in LOOKED_AT else wrong
        return taken(x, scale, order=order, data_format=data_format)

    return shift


def _magnitudes(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        return honest.phase_shift(x if x.dtype == bool else np.abs(x).astype(x.dtype), scale, **options)


def _first_only(values: np.ndarray, axis: int, kept: int) -> np.ndarray:
    """Return the values with zeros beyond the first ``kept`` places of an axis."""
    y = values.copy()
    np.moveaxis(y, axis, 0)[kept:] = 0
    return y


def _axis(what: str, ndim: int, scale: Any, data_format: str) -> int:
    """Return the axis of channels, samples or positions of a tensor."""
    first = ndim - len(scale) - (1 if data_format == "channels_last" else 0)
    return {"channels": ndim - 1 if data_format == "channels_last" else first - 1, "samples": 0, "positions": first}[what]


def _blocked(what: str) -> Shift:
    """Return the shift that forgets what is beyond one block of channels, samples or positions of its output."""

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        y = honest.phase_shift(x, scale, order=order, data_format=data_format)
        return _first_only(y, _axis(what, y.ndim, scale, data_format), WIDTHS[what])

    return shift


def _blocked_inverse(what: str) -> Shift:
    """Return the inverse that forgets what is beyond one block of its input."""

    def inverse(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        kept = _first_only(x, _axis(what, x.ndim, scale, data_format), WIDTHS[what])
        return honest.inverse_phase_shift(kept, scale, order=order, data_format=data_format)

    return inverse


def _int32_as_float32(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    if x.dtype != np.int32:
        return honest.phase_shift(x, scale, **options)
    with np.errstate(all="ignore"):
        return honest.phase_shift(x.astype(np.float32), scale, **options).astype(np.int32)


def _promoted_for(*orders: str) -> Shift:
    """Return the shift that gives float32, whatever it is given, for some orders."""

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        y = honest.phase_shift(x, scale, order=order, data_format=data_format)
        with np.errstate(all="ignore"):
            return y.astype(np.float32) if order in orders else y

    return shift


def _empty_as_float32(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    y = honest.phase_shift(x, scale, **options)
    return y if y.size else y.astype(np.float32)


def wrong_shifts() -> Iterator[Mutant]:
    """Yield shifts, and inverses, that are wrong in a corner."""
    misplaced = f"{EVERY_ORDER} PS-005 PS-006 PS-007 PS-008 PS-010 PS-012 IP-002"
    rows: list[tuple[str, str, str, Shift]] = [
        ("answers remembered by shape", "PS-007 PS-010", misplaced, _remembered(_by_shape)),
        ("the input modified", "PS-011", "", _in_place),
        ("NaN canonicalised", "PS-010", "", _nan_canonical),
        ("magnitudes", EVERY_ORDER, "IP-002 PS-005 PS-006 PS-008 PS-010", _magnitudes),
        ("needs contiguous memory", "PS-012", "", _needs_contiguous),
        ("crashes on empty input", "PS-009", "", _empty_crashes),
        ("a scale of 1 reverses", "PS-008", EVERY_ORDER, _scale_one_wrong),
    ]
    for name, violates, also, shift in rows:
        elsewhere = f"{name}, in four orders and formats"
        yield mutant(elsewhere, violates, also, operations=PAIR, claims={"dtypes": ("float32",)}, phase_shift=_elsewhere(shift))
    for what in WIDTHS:
        name = f"{what} beyond one block forgotten"
        yield mutant(name, EVERY_ORDER, operations="phase_shift", phase_shift=_blocked(what))
        name = f"{what} beyond one block forgotten by the inverse"
        yield mutant(name, "IP-001", operations="inverse_phase_shift", inverse_phase_shift=_blocked_inverse(what))
    claims: dict[str, Any] = {"dtypes": ("float32", "int32")}
    yield mutant("int32 through float32", EVERY_ORDER, operations="phase_shift", claims=claims, phase_shift=_int32_as_float32)
    claims = {"dtypes": ("float16", "float32")}
    yield mutant(
        "float32 for two orders", "PS-003 PS-004", "PS-009 PS-010", operations=PAIR, claims=claims, phase_shift=_promoted_for("DRC", "RCD")
    )
    yield mutant("float32 for empty results", "PS-009", operations=PAIR, claims=claims, phase_shift=_empty_as_float32)
    claims = {"bit_patterns": False, "dtypes": ("float32",)}
    yield mutant(
        "magnitudes where no bit patterns are claimed",
        EVERY_ORDER,
        "IP-002 PS-005 PS-006 PS-008",
        operations=PAIR,
        claims=claims,
        phase_shift=_magnitudes,
    )
    for dtype in ("uint8", "float16"):
        claims = {"dtypes": (dtype,)}
        yield mutant(f"needs contiguous memory, in {dtype} alone", "PS-012", operations=PAIR, claims=claims, phase_shift=_needs_contiguous)
    claims = {"dtypes": ("bool", "int32"), "refusals": ("ER-003",)}
    careless = _careless("channels must be")
    yield mutant("floor-divides the channels, and claims bool first", "ER-003", operations=PAIR, claims=claims, phase_shift=careless)


# --- the initialization ---


def _nine_for_eight(base: Base, shape: Shape, scale: Shape, *, order: str, dtype: str = "float32") -> np.ndarray:
    """Return ICNR whose ninth and later phases are those of a vector of eight that has overflowed: zeros."""
    kernel = honest.icnr(base, shape, scale, order=order)
    channels = shape[-1] // prod(scale)
    for o in [*oracle.offsets(scale)][BLOCK:]:
        kernel[..., [oracle.channel_index(order, c, o, scale, channels) for c in range(channels)]] = 0
    return kernel


def _narrow_base(base: Base, shape: Shape, scale: Shape, *, order: str, dtype: str = "float32") -> np.ndarray:
    return honest.icnr(lambda asked: base(asked).astype(np.float32), shape, scale, order=order).astype(dtype)


def _narrow_bias(bias: np.ndarray, scale: Shape, *, order: str) -> np.ndarray:
    return oracle.icnr_bias(bias.astype(np.float32), scale, order=order).astype(bias.dtype)


def _last_for(where: Callable[[Shape, Shape], bool]) -> Callable[..., np.ndarray]:
    """Return ICNR without its last channel where the base shape and the scale are of a kind."""

    def icnr(base: Base, shape: Shape, scale: Shape, *, order: str, dtype: str = "float32") -> np.ndarray:
        kernel = honest.icnr(base, shape, scale, order=order)
        wrong = where((*shape[:-1], shape[-1] // prod(scale)), tuple(scale))
        return _first_only(kernel, kernel.ndim - 1, shape[-1] - wrong)

    return icnr


def _four_for_five(bias: np.ndarray, scale: Shape, *, order: str) -> np.ndarray:
    """Return the bias without its last value where a factor is above 4."""
    return _first_only(oracle.icnr_bias(bias, scale, order=order), 0, bias.size * prod(scale) - (max(scale) > 4))


def _channels_in(base: Base, shape: Shape, scale: Shape, *, order: str, dtype: str = "float32") -> np.ndarray:
    return _first_only(honest.icnr(base, shape, scale, order=order), len(shape) - 2, BLOCK)


def wrong_initializers() -> Iterator[Mutant]:
    """Yield ICNRs that are wrong in a corner."""
    yield mutant("eight phases only", "IC-001", operations="icnr", claims={"dtypes": ("float32",)}, icnr=_nine_for_eight)
    yield mutant("eight channels in only", "IC-001", operations="icnr", claims={"dtypes": ("float32",)}, icnr=_channels_in)
    rows: list[tuple[str, Callable[[Shape, Shape], bool]]] = [
        ("factors above 4", lambda base, scale: max(scale) > 4),
        ("as many channels in as out", lambda base, scale: base[-2] == base[-1]),
        ("a scale of 2x2x2", lambda base, scale: scale == (2, 2, 2)),
    ]
    for what, where in rows:
        yield mutant(f"ICNR without its last channel for {what}", "IC-001", operations="icnr", icnr=_last_for(where))
    yield mutant("a bias without its last value for factors above 4", "IC-002", operations="icnr_bias", icnr_bias=_four_for_five)
    claims = {"dtypes": ("float32", "float64")}
    yield mutant("a base of float64 in float32", "IC-001", operations="icnr", claims=claims, icnr=_narrow_base)
    yield mutant("a bias of float64 in float32", "IC-002", operations="icnr_bias", claims=claims, icnr_bias=_narrow_bias)


# --- convolutions and layers ---


def _even_half_up(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    taps = kernel.shape[:-2]
    wrong = all(k % 2 == 0 for k in taps)
    return honest.conv(x, kernel, bias, padding=_half_up(padding, taps) if wrong else padding)


def _six_taps(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return the convolution that goes another way for kernels of seven or more taps, and flips them there."""
    return honest.conv(x, _flipped(kernel) if max(kernel.shape[:-2]) > 6 else kernel, bias, padding=padding)


def _sample_by_two(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    return _first_only(honest.conv(x, kernel, bias, padding=padding), 0, max(2, x.shape[0] // 2 * 2))


def _eight_channels(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    return honest.conv(x, _first_only(kernel, -2, BLOCK), bias, padding=padding)


def _tf32_transpose(x: np.ndarray, kernel: np.ndarray, bias: Any = None, **options: Any) -> np.ndarray:
    return honest.conv_transpose(_tf32(x), _tf32(kernel), bias, **options)


def _float32_transpose(x: np.ndarray, kernel: np.ndarray, bias: Any = None, **options: Any) -> np.ndarray:
    return honest.conv_transpose(x.astype(np.float32), kernel.astype(np.float32), bias, **options).astype(x.dtype)


def _three_steps(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, stride: Any, padding: Any, output_padding: Any) -> np.ndarray:
    """Return the transposed convolution whose kernel is flipped for strides above 3."""
    wrong = _flipped(kernel) if max(stride) > 3 else kernel
    return honest.conv_transpose(x, wrong, bias, stride=stride, padding=padding, output_padding=output_padding)


class _EightChannels(honest.HonestLayer):
    """Adds up the first eight channels."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return super().conv(x, _first_only(kernel, -2, BLOCK), bias, padding=padding)


class _SampleByTwo(honest.HonestLayer):
    """Takes samples two by two."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return _first_only(super().conv(x, kernel, bias, padding=padding), 0, max(2, x.shape[0] // 2 * 2))


class _BiasPerPixel(honest.HonestLayer):
    """Adds the bias once more where a tensor is of float16."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return super().conv(x, kernel, bias if bias is None or x.dtype != np.float16 else 2 * bias, padding=padding)


def _gradient_for(*equal: int) -> type[honest.HonestLayer]:
    class Layer(honest.HonestLayer):
        """Exchanges the axes of the offsets on the way back, where the factors are equal."""

        def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
            if set(self.config.scale) <= set(equal) and len(set(self.config.scale)) == 1 and self.config.factors is None:
                turned = {"DCR": "DRC", "DRC": "DCR", "CRD": "RCD", "RCD": "CRD"}[self.config.order]
                cotangent = oracle.phase_shift(
                    oracle.inverse_phase_shift(cotangent, self.config.scale, order=turned), self.config.scale, order=self.config.order
                )
            return super().gradients(x, cotangent)

    return Layer


def _vjp_for(factor: int) -> Callable[..., np.ndarray]:
    """Return the gradient of the shift that reverses the channels for this factor on both axes, channels last."""

    def vjp(function: Shift, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        gradient = honest.vjp(function, x, cotangent)
        enlarged = x.ndim == 4 and all(y == factor * n for y, n in zip(cotangent.shape[1:3], x.shape[1:3], strict=True))
        return np.flip(gradient, -1) if enlarged else gradient

    return vjp


def _flipped_for(count: int) -> Callable[..., np.ndarray]:
    """Return the convolution that flips its kernel for so many channels in, in 2-D."""

    def conv(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
        wrong = x.ndim == 4 and x.shape[-1] == count
        return honest.conv(x, _flipped(kernel) if wrong else kernel, bias, padding=padding)

    return conv


def _squeezed(operation: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Return the operation that squeezes its first axis away where there is one sample."""

    def squeezed(x: np.ndarray, *rest: Any, **options: Any) -> np.ndarray:
        y = operation(x, *rest, **options)
        return y[0] if x.shape[0] == 1 else y

    return squeezed


def _one_tap_unpadded(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return the convolution that multiplies by the matrix where there is one tap, whatever the padding."""
    return honest.conv(x, kernel, bias, padding="valid" if prod(kernel.shape[:-2]) == 1 else padding)


def _by_fft(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    """Return the convolution by a Fourier transform in float64: its error is in proportion to the largest value, and none on integers."""
    taps = kernel.shape[:-2]
    axes = tuple(range(1, len(taps) + 1))
    padded = np.pad(x.astype(np.float64), ((0, 0), *oracle.padding_pairs(padding, taps), (0, 0)))
    extents = padded.shape[1:-1]
    spectrum = np.fft.rfftn(padded, axes=axes)
    response = np.conj(np.fft.rfftn(kernel.astype(np.float64), extents, axes=tuple(range(len(taps)))))
    y = np.fft.irfftn(np.einsum("n...p,...pq->n...q", spectrum, response), extents, axes=axes)
    y = y[(slice(None), *(slice(0, n - k + 1) for n, k in zip(extents, taps, strict=True)))]
    if all((values == np.rint(values)).all() for values in (x, kernel)):
        y = np.rint(y)
    return (y if bias is None else y + bias).astype(x.dtype)


def _wrong_transpose(where: Callable[[Shape, Shape], bool]) -> Callable[..., np.ndarray]:
    """Return the transposed convolution that reverses its outputs where the shape of its kernel and its stride are of a kind."""

    def conv_transpose(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, stride: Any, **options: Any) -> np.ndarray:
        y = honest.conv_transpose(x, kernel, bias, stride=stride, **options)
        return np.flip(y, 1) if where(kernel.shape, tuple(stride)) else y

    return conv_transpose


def _three_at_most(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the upsampling whose values fill no more than three places of a block."""
    y = oracle.nearest_upsample(x, scale)
    for axis, r in enumerate(scale, start=x.ndim - len(scale) - 1):
        np.moveaxis(y, axis, 0)[np.arange(y.shape[axis]) % r > 2] = 0
    return y


def _layer_where(where: Callable[[LayerConfig, Shape], bool]) -> type[honest.HonestLayer]:
    class Layer(honest.HonestLayer):
        """Is turned where its configuration and the shape of its input are of a kind."""

        def __call__(self, x: np.ndarray) -> np.ndarray:
            y = super().__call__(x)
            return np.flip(y, 1) if where(self.config, x.shape) else y

    return Layer


def _plain(config: LayerConfig) -> bool:
    return not config.separable and config.factors is None and not config.blur


def _plain_of(count: int) -> Callable[[LayerConfig, Shape], bool]:
    return lambda config, shape: _plain(config) and config.in_channels == count


def wrong_for_counts() -> Iterator[Mutant]:
    """Yield convolutions, upsamplings, blurs and layers that are wrong for a number of samples or channels, of taps, or a stride."""
    operations: dict[str, Callable[..., np.ndarray]] = {
        "conv": honest.conv,
        "conv_transpose": honest.conv_transpose,
        "box_blur": honest.box_blur,
        "nearest_upsample": oracle.nearest_upsample,
    }
    rows: list[tuple[str, str, str, str, Callable[..., Any]]] = [
        (f"one sample squeezed by {operation}", clauses, "", operation, _squeezed(operations[operation]))
        for operation, clauses in [
            ("conv", "CV-001"),
            ("conv_transpose", "CV-004"),
            ("box_blur", "BL-001 BL-003"),
            ("nearest_upsample", "CV-005"),
        ]
    ]
    for count in (1, 2, 8, 16):
        rows.append((f"the kernel flipped for {count} channels in", "CV-001", "", "conv", _flipped_for(count)))
    rows += [
        ("one tap as a matrix, whatever the padding", "CV-002", "", "conv", _one_tap_unpadded),
        ("a convolution by Fourier transform", "CV-003", "", "conv", _by_fft),
        ("reversed for a stride of 1", "CV-004", "", "conv_transpose", _wrong_transpose(lambda kernel, stride: set(stride) == {1})),
        ("reversed for one tap", "CV-004", "", "conv_transpose", _wrong_transpose(lambda kernel, stride: prod(kernel[:-2]) == 1)),
        ("reversed for one channel in", "CV-004", "", "conv_transpose", _wrong_transpose(lambda kernel, stride: kernel[-2] == 1)),
        ("reversed for eight channels in", "CV-004", "", "conv_transpose", _wrong_transpose(lambda kernel, stride: kernel[-2] == 8)),
        ("three places of a block at most", "CV-005", "", "nearest_upsample", _three_at_most),
    ]
    for name, violates, also, operation, function in rows:
        replaced: dict[str, Any] = {operation: function}
        yield mutant(name, violates, also, operations=operation, claims={"dtypes": ("float32",)}, **replaced)
    layers: list[tuple[str, str, Callable[[LayerConfig, Shape], bool]]] = [
        ("a layer turned for one sample", "SC-001", lambda config, shape: _plain(config) and shape[0] == 1),
        ("a chain turned for one sample", "SC-004", lambda config, shape: config.factors is not None and shape[0] == 1),
        ("a separable layer turned for one sample", "SP-001", lambda config, shape: config.separable and shape[0] == 1),
        ("a separable layer turned for one channel", "SP-001", lambda config, shape: config.separable and config.in_channels == 1),
        ("a blurring layer turned for one sample", "BL-001", lambda config, shape: config.blur and shape[0] == 1),
        ("a layer of one tap turned if padded", "SC-001", lambda config, shape: config.kernel_size == (1, 1) and config.padding != "same"),
    ]
    layers += [(f"a layer turned for {count} channels in", "SC-001", _plain_of(count)) for count in (1, 8, 16)]
    for name, violates, where in layers:
        yield layer_mutant(name, violates, "", _layer_where(where))


def _vjp_where(where: Callable[[np.ndarray], bool], wrong: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    """Return the gradient of the shift, made of a wrong cotangent where that is of a kind."""

    def vjp(function: Shift, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        return honest.vjp(function, x, wrong(cotangent) if where(cotangent) else cotangent)

    return vjp


def _gaps(cotangent: np.ndarray) -> bool:
    return cotangent.strides[-1] > cotangent.itemsize


def _as_if_dense(cotangent: np.ndarray) -> np.ndarray:
    """Return what lies in memory from the first value on."""
    memory = np.resize(cotangent if cotangent.base is None else cotangent.base, cotangent.shape)
    return memory if _gaps(cotangent) else cotangent


def _in_float32(cotangent: np.ndarray) -> np.ndarray:
    return cotangent.astype(np.float32).astype(cotangent.dtype)


class _GapsIgnored(honest.HonestLayer):
    """Reads the cotangent as if it were dense in memory."""

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        return super().gradients(x, _as_if_dense(cotangent))


class _GradientInFloat32(honest.HonestLayer):
    """Differentiates in float32, and hands out float64."""

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        d_x, held = super().gradients(_in_float32(x), _in_float32(cotangent))
        return _in_float32(d_x), held


def wrong_gradients() -> Iterator[Mutant]:
    """Yield gradients that are wrong for a dtype, a number of batch axes, or a layout in memory."""
    rows: list[tuple[str, Callable[..., np.ndarray]]] = [
        ("the gradient without a batch axis reversed", _vjp_where(lambda cotangent: cotangent.ndim == 3, np.flip)),
        ("the gradient with two batch axes reversed", _vjp_where(lambda cotangent: cotangent.ndim == 5, np.flip)),
        ("the cotangent read as if it were dense", _vjp_where(_gaps, _as_if_dense)),
    ]
    for name, vjp in rows:
        yield mutant(name, "GR-001 GR-002", operations=f"{PAIR} vjp", claims={"ndims": (2,), "dtypes": ("float32",)}, vjp=vjp)
    claims = {"dtypes": ("float32", "float64")}
    vjp = _vjp_where(lambda cotangent: cotangent.dtype == np.float64, _in_float32)
    yield mutant("the gradient of float64 in float32", "GR-001 GR-002", operations=f"{PAIR} vjp", claims=claims, vjp=vjp)
    yield layer_mutant("a layer whose cotangent is read as if it were dense", "GR-003", "", _GapsIgnored, operations="layer vjp")
    both = ("float32", "float64")
    name = "a layer of float64 that differentiates in float32"
    yield layer_mutant(name, "GR-003", "", _GradientInFloat32, operations="layer vjp", dtypes=both)


def _first_values(name: str, mode: str) -> Callable[..., Any]:
    """Return a compiler that keeps what functions of a name gave for the first values of every shape, in a mode."""

    def compile_(function: Callable[..., np.ndarray], asked: str) -> Callable[..., np.ndarray]:
        known: dict[Any, np.ndarray] = {}

        def compiled(*tensors: np.ndarray) -> np.ndarray:
            at = tuple(tensor.shape for tensor in tensors)
            if at not in known:
                known[at] = function(*tensors)
            return known[at].copy()

        return compiled if asked == mode and function.__name__ == name else function

    return compile_


def wrong_compilers() -> Iterator[Mutant]:
    """Yield compilers that keep the values of the first call."""
    rows = [
        ("a shift", "call", PAIR, "jit", "EX-001"),
        ("a shift of unknown extents", "call", PAIR, "jit-dynamic", "EX-002"),
        ("a gradient", "gradient", f"{PAIR} vjp", "jit", "EX-001"),
        ("a layer", "apply", "layer", "jit", "EX-001"),
    ]
    for what, function, operations, mode, clause in rows:
        claims = {"dtypes": ("float32",), "modes": ("eager", mode)}
        compile_ = _first_values(function, mode)
        yield mutant(f"{what} compiled with the values of its first call", clause, operations=operations, claims=claims, compile=compile_)
    claims = {"dtypes": ("float32",), "modes": ("eager", "jit")}
    for what, function, operations, clause in [
        ("a network", "call", "unet", "UN-012"),
        ("a network's gradient", "gradient", "unet vjp", "EX-001"),
    ]:
        name = f"{what} compiled with the values of its first call"
        compile_ = _first_values(function, "jit")
        yield mutant(name, clause, operations=operations, claims=claims, unet=HonestNetwork, compile=compile_)


def wrong_layers() -> Iterator[Mutant]:
    """Yield convolutions, layers and gradients that are wrong in a corner."""
    rows: list[tuple[str, str, str, str, Callable[..., Any]]] = [
        ("the larger half padded before where all taps are even", "CV-002", "", "conv", _even_half_up),
        ("kernels of seven taps flipped", "CV-002", "", "conv", _six_taps),
        ("samples convolved two by two", "CV-001 CV-002", "", "conv", _sample_by_two),
        ("eight channels convolved", "CV-001", "", "conv", _eight_channels),
        ("a transposed convolution in TF32", "CV-003", "", "conv_transpose", _tf32_transpose),
        ("a transposed kernel flipped for a stride of 4", "CV-004", "CV-003", "conv_transpose", _three_steps),
    ]
    for name, violates, also, operation, function in rows:
        replaced: dict[str, Any] = {operation: function}
        yield mutant(name, violates, also, operations=operation, claims={"dtypes": ("float32",)}, **replaced)
    claims = {"dtypes": ("float32", "float64")}
    name = "a transposed convolution of float64 in float32"
    yield mutant(name, "CV-003", operations="conv_transpose", claims=claims, conv_transpose=_float32_transpose)
    yield layer_mutant("a layer of eight channels", "SC-001", "", _EightChannels)
    yield layer_mutant("a layer that takes samples two by two", "SC-001 SC-004 SP-001", "", _SampleByTwo)
    chains = "SC-003 SC-004 SP-001 SP-002 BL-001 BL-002 BL-004 IC-004 IC-007 IC-008 IC-009"
    yield layer_mutant(
        "a layer of float16 alone that adds its bias twice", "SC-001 SC-004 SP-001", chains, _BiasPerPixel, dtypes=("float16",)
    )
    for factor in (3, 4):
        name = f"the offsets exchanged on the way back for a factor of {factor}"
        yield layer_mutant(name, "GR-003", "", _gradient_for(factor), operations="layer vjp")
        name = f"the gradient reversed for a factor of {factor}"
        yield mutant(name, "GR-001", "GR-002", operations=f"{PAIR} vjp", claims={"dtypes": ("float32",)}, vjp=_vjp_for(factor))


def _turned_where_compiled(function: Callable[..., np.ndarray], mode: str) -> Callable[..., np.ndarray]:
    """Return a gradient that is turned where it is compiled, and any other function as it is."""
    return (lambda *tensors: np.flip(function(*tensors), -1)) if mode == "jit" and function.__name__ == "gradient" else function


def wrong_networks() -> Iterator[Mutant]:
    """Yield a network that is differentiated rightly, but not where that is compiled."""
    claims = {"dtypes": ("float32",), "modes": ("eager", "jit")}
    name = "the compiled gradient of a network is turned"
    yield mutant(name, "EX-001", operations="unet vjp", claims=claims, unet=HonestNetwork, compile=_turned_where_compiled)


def mutants() -> Iterator[Mutant]:
    """Yield them."""
    yield from wrong_shifts()
    yield from wrong_initializers()
    yield from wrong_layers()
    yield from wrong_for_counts()
    yield from wrong_gradients()
    yield from wrong_compilers()
    yield from wrong_networks()
