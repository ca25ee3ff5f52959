"""Wrong shifts, wrong inverses, wrong permutations, wrong refusals, wrong compilers."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from .. import oracle
from ..adapter import DATA_FORMATS, ORDERS
from . import honest
from .mutant import Mutant, mutant

Shift = Callable[..., np.ndarray]

PAIR = "phase_shift inverse_phase_shift"
EVERY_ORDER = "PS-001 PS-002 PS-003 PS-004"


def _renamed(**names: str) -> Shift:
    """Return the shift that takes one order for another."""

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        return honest.phase_shift(x, scale, order=names.get(order, order), data_format=data_format)

    return shift


def _renamed_inverse(**names: str) -> Shift:
    def inverse(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        return honest.inverse_phase_shift(x, scale, order=names.get(order, order), data_format=data_format)

    return inverse


TRANSPOSED = {"DCR": "DRC", "DRC": "DCR", "CRD": "RCD", "RCD": "CRD"}
SWAPPED = {"DCR": "CRD", "CRD": "DCR", "DRC": "RCD", "RCD": "DRC"}


def _when(wrong: Callable[[np.ndarray, Any, str], bool], names: dict[str, str]) -> Shift:
    """Return the shift that takes one order for another under a condition on the input, the scale and the format."""

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        name = names[order] if wrong(x, scale, data_format) else order
        return honest.phase_shift(x, scale, order=name, data_format=data_format)

    return shift


def _packed_by_four(x: np.ndarray, scale: Any, data_format: str) -> bool:
    return data_format == "channels_first" and _channels(x, scale, data_format) % 4 == 0


def _general_path(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    """Return the shift, which for factors above 8 goes another way, and takes the axes for each other there."""
    return honest.phase_shift(x, scale[::-1] if max(scale) > 8 else scale, **options)


class _Lazy(np.ndarray):
    """A result that lies in memory in another sequence."""


def _lazy(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return np.asfortranarray(honest.phase_shift(x, scale, **options)).view(_Lazy)


def _misreads_lazy(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    """Return the inverse, which takes a lazy result for one in row-major memory."""
    plain = np.asarray(x)
    return honest.inverse_phase_shift(plain.ravel("K").reshape(x.shape) if isinstance(x, _Lazy) else plain, scale, **options)


def _channels(x: np.ndarray, scale: Any, data_format: str) -> int:
    axis = -1 if data_format == "channels_last" else -len(scale) - 1
    return x.shape[axis] // prod(scale)


def _factors_swapped(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return honest.phase_shift(x, scale[::-1], **options)


def _first_factor_only(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return honest.phase_shift(x, (scale[0],) * len(scale), **options)


def _output_shape(x: np.ndarray, scale: Any, **options: Any) -> tuple[int, ...]:
    return honest.phase_shift(np.zeros(x.shape, dtype=np.int8), scale, **options).shape


def _plain_reshape(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return x.reshape(_output_shape(x, scale, **options))


def _rows_flipped(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    y = honest.phase_shift(x, scale, order=order, data_format=data_format)
    axis = y.ndim - len(scale) - (1 if data_format == "channels_last" else 0)
    rows = [r0 + scale[0] - 1 - dy for r0 in range(0, y.shape[axis], scale[0]) for dy in range(scale[0])]
    return np.take(y, rows, axis=axis)


def _first_sample_only(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    y = honest.phase_shift(x, scale, **options)
    if x.ndim > len(scale) + 1:
        y[...] = y[:1]
    return y


def _batch_folded(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    if x.ndim > len(scale) + 1:
        x = np.moveaxis(x, 0, -1).reshape(x.shape)
    return honest.phase_shift(x, scale, **options)


def _batch_axes_swapped(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    y = honest.phase_shift(x, scale, **options)
    return np.swapaxes(y, 0, 1).reshape(y.shape) if x.ndim > len(scale) + 2 else y


def _through_float32(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return honest.phase_shift(x.astype(np.float32), scale, **options).astype(x.dtype)


def _zero_normalised(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return honest.phase_shift(np.where(x == 0, np.zeros_like(x), x), scale, **options)


def _nan_canonical(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return honest.phase_shift(np.where(x != x, np.asarray(np.nan).astype(x.dtype), x), scale, **options)


def _flushed(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    tiny = np.finfo(x.dtype).tiny if x.dtype.kind == "f" else 0
    return honest.phase_shift(np.where(np.abs(x) < tiny, np.copysign(np.zeros_like(x), x), x), scale, **options)


def _promoted(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    y = honest.phase_shift(x, scale, **options)
    return y.astype(np.float32) if x.dtype == np.float16 else y


def _in_place(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    y = honest.phase_shift(x, scale, **options)
    if x.flags.writeable:
        x[...] = 0
    return y


def _in_place_inverse(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    y = honest.inverse_phase_shift(x, scale, **options)
    if x.flags.writeable:
        x[...] = 0
    return y


def _needs_contiguous(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return honest.phase_shift(x.ravel(order="K").reshape(x.shape), scale, **options)


def _scale_one_wrong(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    y = honest.phase_shift(x, scale, **options)
    return y[..., ::-1].copy() if all(r == 1 for r in scale) else y


def _refuses_scale_one(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    if min(scale) == 1:
        raise ValueError("block_size must be 2 or more")
    return honest.phase_shift(x, scale, **options)


def _empty_crashes(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    x.max()
    return honest.phase_shift(x, scale, **options)


def _empty_inverse(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    return honest.inverse_phase_shift(x, scale, **options) if x.size else x


def wrong_shifts() -> Iterator[Mutant]:
    """Yield phase shifts, and inverses, that put values in the wrong place or change them."""
    for name, wrong, clause in [
        ("DCR for CRD", {"CRD": "DCR"}, "PS-002"),
        ("CRD for DCR", {"DCR": "CRD"}, "PS-001"),
        ("DRC for DCR, the block transposed", {"DCR": "DRC"}, "PS-001"),
        ("RCD for CRD, the block transposed", {"CRD": "RCD"}, "PS-002"),
        ("DCR for DRC", {"DRC": "DCR"}, "PS-003"),
        ("CRD for RCD", {"RCD": "CRD"}, "PS-004"),
    ]:
        yield mutant(name, clause, "IP-002", operations=PAIR, phase_shift=_renamed(**wrong))
    for name, condition, names in [
        ("H and W swapped in every block", lambda x, scale, data_format: True, TRANSPOSED),
        ("right only for r = 2", lambda x, scale, data_format: scale != (2, 2), SWAPPED),
        ("wrong only for r = 2", lambda x, scale, data_format: scale == (2, 2), SWAPPED),
        ("right only for C = 1", lambda x, scale, data_format: _channels(x, scale, data_format) > 1, SWAPPED),
        ("wrong beyond two axes", lambda x, scale, data_format: len(scale) > 2, TRANSPOSED),
    ]:
        yield mutant(name, EVERY_ORDER, "IP-002 PS-008", operations=PAIR, phase_shift=_when(condition, names))
    yield mutant(
        "the order depends on the layout",
        "PS-005 PS-001",
        "IP-002",
        operations=PAIR,
        history="keras.ops.depth_to_space, channels_first",
        phase_shift=_when(
            lambda x, scale, data_format: data_format == "channels_first", {**SWAPPED, "CRD": "CRD", "DRC": "DRC", "RCD": "RCD"}
        ),
    )
    yield mutant(
        "channels packed by four when they come first",
        "PS-005",
        f"{EVERY_ORDER} IP-002",
        operations=PAIR,
        phase_shift=_when(_packed_by_four, SWAPPED),
    )
    yield mutant("the memory of its own results misread", "IP-002", operations=PAIR, phase_shift=_lazy, inverse_phase_shift=_misreads_lazy)
    yield mutant("another way for factors above 8", "PS-006", EVERY_ORDER, operations="phase_shift", phase_shift=_general_path)
    yield mutant(
        "a consistently wrong pair",
        "PS-001 PS-002 IP-001",
        operations=PAIR,
        phase_shift=_renamed(DCR="CRD", CRD="DCR"),
        inverse_phase_shift=_renamed_inverse(DCR="CRD", CRD="DCR"),
    )
    yield mutant(
        "the inverse of another order",
        "IP-001 IP-002",
        operations=PAIR,
        history="onnxscript#2891",
        inverse_phase_shift=_renamed_inverse(CRD="DCR"),
    )
    misplaced = "IP-002 PS-005 PS-006 PS-007 PS-008 PS-009 PS-010"
    rows: list[tuple[str, Shift, str, str]] = [
        ("factors swapped", _factors_swapped, f"{EVERY_ORDER} PS-006", misplaced),
        ("the first factor on every axis", _first_factor_only, f"{EVERY_ORDER} PS-006", misplaced),
        ("rows flipped in the block", _rows_flipped, f"{EVERY_ORDER} PS-006", "IP-002 PS-008"),
        ("a plain reshape", _plain_reshape, f"{EVERY_ORDER} PS-006", "IP-002 PS-005 PS-008 PS-012"),
        ("the first sample for all", _first_sample_only, f"PS-007 {EVERY_ORDER}", misplaced),
        ("batch and channels folded", _batch_folded, f"PS-007 {EVERY_ORDER}", misplaced),
        ("two batch axes swapped", _batch_axes_swapped, "PS-007", EVERY_ORDER),
        ("through float32", _through_float32, f"PS-010 {EVERY_ORDER}", ""),
        ("-0 normalised", _zero_normalised, "PS-010", ""),
        ("NaN canonicalised", _nan_canonical, "PS-010", ""),
        ("subnormals flushed", _flushed, "PS-010", ""),
        ("the dtype promoted", _promoted, f"PS-009 PS-010 {EVERY_ORDER}", ""),
        ("the input modified", _in_place, "PS-011", ""),
        ("needs contiguous memory", _needs_contiguous, "PS-012", ""),
        ("a scale of 1 reverses", _scale_one_wrong, "PS-008", EVERY_ORDER),
        ("a factor of 1 refused", _refuses_scale_one, "PS-008", "PS-003 PS-004 PS-005 " + EVERY_ORDER),
        ("crashes on empty input", _empty_crashes, "PS-009", ""),
    ]
    for name, shift, violates, also in rows:
        claims = {"dtypes": ("float16", "float32", "float64")}
        yield mutant(name, violates, also, operations=PAIR, claims=claims, phase_shift=shift)
    yield mutant("the inverse modifies its input", "IP-003", operations=PAIR, inverse_phase_shift=_in_place_inverse)
    yield mutant(
        "the inverse of empty input is its input",
        "IP-003",
        operations=PAIR,
        history="torch 2.13 pixel_unshuffle, an empty batch",
        inverse_phase_shift=_empty_inverse,
    )


# --- permutations, refusals, execution ---


def _inverted(channels: int, scale: Any, *, source: str, target: str) -> np.ndarray:
    return oracle.channel_permutation(channels, scale, source=target, target=source)


def _cached_permutation() -> Callable[..., np.ndarray]:
    """Return the permutation, remembered for a scale and two orders, and cut to the number of channels."""
    known: dict[Any, np.ndarray] = {}

    def permutation(channels: int, scale: Any, *, source: str, target: str) -> np.ndarray:
        key = (scale, source, target)
        if key not in known:
            known[key] = oracle.channel_permutation(channels, scale, source=source, target=target)
        return known[key][known[key] < channels]

    return permutation


def _unchecked(x: np.ndarray, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
    """Return something of a plausible shape, whatever is asked."""
    factors = tuple(max(1, abs(int(float(r)))) for r in (scale if isinstance(scale, tuple) and scale else (2, 2)))
    name = order if order in ORDERS else "DCR"
    layout = data_format if data_format in DATA_FORMATS else "channels_last"
    x = x.reshape((1,) * max(0, len(factors) + 1 - x.ndim) + x.shape)
    _, _, channels = oracle.split(x.shape, len(factors), layout)
    kept = np.take(x, range(channels - channels % prod(factors)), axis=-1 if layout == "channels_last" else -len(factors) - 1)
    return oracle.phase_shift(kept, factors, order=name, data_format=layout)


def _careless(*forgiven: str) -> Shift:
    """Return the shift that does not check what ``forgiven`` names."""

    def shift(x: np.ndarray, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
        try:
            return honest.phase_shift(x, scale, order=order, data_format=data_format)
        except (TypeError, ValueError) as error:
            if any(word in str(error) for word in forgiven):
                return _unchecked(x, scale, order=order, data_format=data_format)
            raise

    return shift


def _crops(x: np.ndarray, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
    """Return the inverse of what is left when the remainder is cut off."""
    for axis, r in enumerate(scale):
        place = x.ndim - len(scale) - (1 if data_format == "channels_last" else 0) + axis
        x = np.take(x, range(x.shape[place] - x.shape[place] % r), axis=place)
    return honest.inverse_phase_shift(x, scale, order=order, data_format=data_format)


def wrong_refusals() -> Iterator[Mutant]:
    """Yield implementations that return something where they must refuse."""
    for name, forgiven, clause in [
        ("takes a scale below 1", ("factors of 1 or more",), "ER-001"),
        ("takes a scale of floats, booleans or strings", ("tuple of integers",), "ER-002"),
        ("floor-divides the channels", ("channels must be",), "ER-003"),
        ("falls back on an order", ("order and data_format",), "ER-005"),
        ("takes too few axes", ("axes or more",), "ER-006"),
    ]:
        yield mutant(name, clause, operations=PAIR, claims={"refusals": (clause,)}, phase_shift=_careless(*forgiven))
    yield mutant("crops what does not divide", "ER-004", operations=PAIR, claims={"refusals": ("ER-004",)}, inverse_phase_shift=_crops)


def _compiled_to_another_order(function: Shift, mode: str) -> Shift:
    return (lambda x: function(x)[..., ::-1].copy()) if mode == "jit" else function


def _mapped_first(function: Shift, mode: str) -> Shift:
    return (lambda x: np.stack([function(x[0])] * len(x))) if mode == "vmap" else function


def _extents_baked_in(function: Shift, mode: str) -> Shift:
    """Return a compiled function that keeps the first result's extents."""
    shapes: list[tuple[int, ...]] = []

    def compiled(x: np.ndarray) -> np.ndarray:
        y = function(x)
        shapes.append(y.shape)
        return y if y.shape == shapes[0] else np.resize(y, shapes[0])

    return compiled


class _OnAccelerator(np.ndarray):
    """An array that counts as a tensor on a device; what the oracle makes of it does not."""


def wrong_execution() -> Iterator[Mutant]:
    """Yield implementations that are right only in eager mode on the CPU, and permutations that are inverted."""
    claims = {"modes": ("eager", "jit", "vmap", "jit-dynamic")}
    yield mutant("compiled to something else", "EX-001", operations=PAIR, claims=claims, compile=_with_vmap(_compiled_to_another_order))
    yield mutant("vmap of the first sample", "EX-001", operations=PAIR, claims=claims, compile=_mapped_first)
    yield mutant("extents baked in", "EX-002", operations=PAIR, claims={"modes": ("eager", "jit-dynamic")}, compile=_extents_baked_in)
    yield mutant(
        "computes on the host",
        "EX-003",
        operations=PAIR,
        claims={"devices": ("accelerator",)},
        to_native=lambda array, device: array.view(_OnAccelerator),
        device_of=lambda value: "accelerator" if isinstance(value, _OnAccelerator) else "cpu",
    )
    yield mutant(
        "the permutation inverted", "CP-001", "CP-002", operations="channel_permutation phase_shift conv", channel_permutation=_inverted
    )
    yield mutant(
        "a permutation remembered for another number of channels",
        "CP-002",
        operations="channel_permutation phase_shift conv",
        channel_permutation=_cached_permutation(),
    )


def _with_vmap(compile_: Callable[[Shift, str], Shift]) -> Callable[[Shift, str], Shift]:
    return lambda function, mode: honest.Honest._compile(function, mode) if mode == "vmap" else compile_(function, mode)


def _ignores_format(function: Shift, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Return the gradient as if the channels came last."""
    gradient = honest.vjp(function, x, cotangent)
    return gradient if x.shape[-1] % 4 == 0 or x.shape[-1] % 6 == 0 else gradient.reshape(-1)[::-1].reshape(x.shape)


def _detached(function: Shift, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    return np.zeros_like(x)


def wrong_gradients() -> Iterator[Mutant]:
    """Yield gradients of the shift that are not the inverse shift."""
    operations = f"{PAIR} vjp"
    yield mutant(
        "the gradient ignores the format", "GR-001", "GR-002", operations=operations, history="tensorflow#14243", vjp=_ignores_format
    )
    yield mutant("the gradient is detached", "GR-001 GR-002", operations=operations, vjp=_detached)


def mutants() -> tuple[Mutant, ...]:
    """Return all mutants of the shift."""
    return (*wrong_shifts(), *wrong_refusals(), *wrong_execution(), *wrong_gradients())
