"""PS, IP, CP: which value goes where, and that it arrives unchanged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import compare, identify, oracle
from ..adapter import DATA_FORMATS, ORDERS, AdapterProtocol
from ..case import DTYPES, Case, Mismatch, Needs, dtype_of
from .arrays import Labelled, distinct_integers, labelled, small_integers, special_bits

CLAUSE_OF_ORDER = dict(zip(ORDERS, ("PS-001", "PS-002", "PS-003", "PS-004"), strict=True))


@dataclass(frozen=True)
class Call:
    """One call of the shift or of its inverse: ``channels`` and ``spatial`` are C and the low-resolution extents."""

    operation: str
    scale: tuple[int, ...]
    order: str
    data_format: str
    batch: tuple[int, ...]
    spatial: tuple[int, ...]
    channels: int
    dtype: str = "float32"

    @property
    def inverse(self) -> bool:
        """Whether this is the inverse."""
        return self.operation == "inverse_phase_shift"

    @property
    def shape(self) -> tuple[int, ...]:
        """The input shape."""
        return self.shapes[1] if self.inverse else self.shapes[0]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The output shape."""
        return self.shapes[0] if self.inverse else self.shapes[1]

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes at low and at high resolution."""
        high = tuple(r * extent for r, extent in zip(self.scale, self.spatial, strict=True))
        low_channels = self.channels * prod(self.scale)
        if self.data_format == "channels_last":
            return (*self.batch, *self.spatial, low_channels), (*self.batch, *high, self.channels)
        return (*self.batch, low_channels, *self.spatial), (*self.batch, self.channels, *high)

    @property
    def slug(self) -> str:
        """The part of the id that tells this call from others."""
        factors = "x".join(map(str, self.scale))
        batch = "" if len(self.batch) == 1 else f"-batch{len(self.batch)}"
        inverse = "inverse-" if self.inverse else ""
        large = f"-of-{'x'.join(map(str, self.spatial))}" if max(self.spatial) > 5 else ""
        return f"{inverse}{self.order}-{self.data_format}-{len(self.scale)}d-{factors}{large}{batch}-{self.dtype}"

    def needs(self, **more: Any) -> Needs:
        """Return what an implementation has to claim for this call."""
        needs = Needs(
            operations=(self.operation,),
            order=self.order,
            data_format=self.data_format,
            ndim=len(self.scale),
            batch_ndim=len(self.batch),
            anisotropic=len(set(self.scale)) > 1,
            scale_one=1 in self.scale,
            empty=0 in self.shape,
            dtype=self.dtype,
        )
        return replace(needs, **more)

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Return what the formula gives."""
        operation = oracle.inverse_phase_shift if self.inverse else oracle.phase_shift
        return operation(x, self.scale, order=self.order, data_format=self.data_format)

    def function(self, adapter: AdapterProtocol) -> Callable[[Any], Any]:
        """Return the implementation's own, native tensor in, native tensor out."""
        operation = getattr(adapter, self.operation)

        def call(x: Any) -> Any:
            return operation(x, self.scale, order=self.order, data_format=self.data_format)

        return call

    def run(self, adapter: AdapterProtocol, device: str, x: np.ndarray) -> np.ndarray:
        """Return what the implementation gives. It gets a copy, so that it may do with it what it wants."""
        return adapter.to_numpy(self.function(adapter)(adapter.to_native(x.copy(), device)))

    def demand_equal(self, adapter: AdapterProtocol, clause: str, case: str, x: Labelled, y: np.ndarray, expected: np.ndarray) -> None:
        """Raise `Mismatch` unless ``y`` is ``expected``, bit for bit."""
        difference = compare.bitwise(y, expected)
        if difference is None:
            return
        found = identify.matching_order(x.array, y, self.scale, self.data_format, self.inverse)
        what = identify.describe(x.array, y, self.scale, self.data_format, self.inverse)
        raise Mismatch(
            f"{difference.message(clause, case)}; the output: {what}",
            order_found=None if found == self.order else found,
            reproduction=reproduction(adapter, self, x, difference),
        )


def reproduction(adapter: AdapterProtocol, call: Call, x: Labelled, difference: compare.Difference) -> str:
    """Return Python that shows the first wrong element, without this suite where the adapter has a ``snippet``."""
    lines = ["import numpy as np"]
    if call.dtype == "bfloat16":
        lines.append("import ml_dtypes")
    lines.append(f"x = {x.source}")
    snippet = getattr(adapter, "snippet", None)
    if snippet is not None:
        lines.append(snippet(call.operation, call.scale, order=call.order, data_format=call.data_format).strip())
    else:
        arguments = f'x, {call.scale}, order="{call.order}", data_format="{call.data_format}"'
        lines.append(f"y = {call.operation}({arguments})  # of {adapter.name}")
    place = "y.shape, y.dtype" if difference.index is None else f"y[{', '.join(map(str, difference.index))}]"
    lines.append(f'print({place}, "must be", "{difference.expected}")')
    return "\n".join(lines)


# --- the checks ---


def matches_formula(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand that the output is the formula's, on labelled values."""
    for x in labelled(call.shape, call.dtype):
        call.demand_equal(adapter, clause, case, x, call.run(adapter, device, x.array), call.expected(x.array))


def matches_some_order(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand that every axis has its own factor: the output is that of one of the four orders. Which one is judged by PS-001 to PS-004."""
    for x in labelled(call.shape, call.dtype):
        y = call.run(adapter, device, x.array)
        if identify.matching_order(x.array, y, call.scale, call.data_format, call.inverse) is None:
            call.demand_equal(adapter, clause, case, x, y, call.expected(x.array))


def same_in_both_formats(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand that the implementation's own channels_last result is its channels_first result with the axis moved."""
    axis = len(call.batch)
    first = replace(call, data_format="channels_first")
    for x in labelled(first.shape, call.dtype):
        y = first.run(adapter, device, x.array)
        last = replace(call, data_format="channels_last").run(adapter, device, np.ascontiguousarray(np.moveaxis(x.array, axis, -1)))
        first.demand_equal(adapter, clause, case, x, y, np.ascontiguousarray(np.moveaxis(last, -1, axis)))


def sample_by_sample(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand that every sample alone gives what it gives among others."""
    expected = np.zeros(call.output_shape, dtype=dtype_of(call.dtype))
    alone = replace(call, batch=(1,) * len(call.batch))
    for x in labelled(call.shape, call.dtype):
        for n in product(*(range(extent) for extent in call.batch)):
            sample = np.ascontiguousarray(x.array[tuple(slice(i, i + 1) for i in n)])
            result = alone.run(adapter, device, sample)
            if result.shape != alone.output_shape:
                raise Mismatch(f"{clause} ({case}): the shape of one sample must be {alone.output_shape}; got {result.shape}")
            expected[tuple(slice(i, i + 1) for i in n)] = result
        call.demand_equal(adapter, clause, case, x, call.run(adapter, device, x.array), expected)


def same_as_one_batch_axis(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand that any number of batch axes gives what their samples give under one batch axis, or under none."""
    folded = replace(call, batch=(prod(call.batch),))
    for x in labelled(call.shape, call.dtype):
        expected = folded.run(adapter, device, x.array.reshape(folded.shape)).reshape(call.output_shape)
        call.demand_equal(adapter, clause, case, x, call.run(adapter, device, x.array), expected)


def identity(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand that all factors 1 leave every value where it is."""
    for x in labelled(call.shape, call.dtype):
        call.demand_equal(adapter, clause, case, x, call.run(adapter, device, x.array), x.array)


def empty(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand the shape of the formula, without elements."""
    x = np.zeros(call.shape, dtype=dtype_of(call.dtype))
    difference = compare.bitwise(call.run(adapter, device, x), np.zeros(call.output_shape, dtype=x.dtype))
    if difference is not None:
        source = f'np.zeros({call.shape}, dtype="{call.dtype}")'
        raise Mismatch(difference.message(clause, case), reproduction=reproduction(adapter, call, Labelled(x, source), difference))


def keeps_bits(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str, layout: str = "contiguous") -> None:
    """Demand that the bit patterns and the dtype come out that went in. Where they are is judged by PS-001 to PS-004."""
    x = special_bits(call.dtype, prod(call.shape)).reshape(call.shape)
    y = adapter.to_numpy(call.function(adapter)(adapter.to_native(laid_out(x, layout, call), device)))
    difference = compare.kind(y, call.output_shape, x.dtype)
    if difference is not None:
        raise Mismatch(difference.message(clause, case))
    if not np.array_equal(_sorted_words(x), _sorted_words(y)):
        before, after = sorted(map(bytes, compare.raw(x))), sorted(map(bytes, compare.raw(y)))
        lost = next(pattern for pattern in before if pattern not in after or before.count(pattern) != after.count(pattern))
        text = np.frombuffer(lost, dtype=x.dtype)[0]
        raise Mismatch(f"{clause} ({case}): the bit pattern 0x{lost[::-1].hex()} ({text}) must come out as often as it went in")


def _sorted_words(x: np.ndarray) -> np.ndarray:
    """Return the bits of every value as one or two integers, shape (size, words), in a sequence that their places do not matter for."""
    words = compare.raw(x).view(f"u{min(x.itemsize, 8)}")
    return words[np.lexsort(words.T)]


def keeps_result(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str, layout: str = "contiguous") -> None:
    """Demand that a result stays what it is when the operation is called again: it is a copy, not a place that is written anew."""
    x = labelled(call.shape, call.dtype)[0]
    other = x.array.reshape(-1)[::-1].reshape(call.shape)
    first, second = (adapter.to_native(laid_out(array, layout, call), device) for array in (x.array, other))
    function = call.function(adapter)
    y = function(first)
    before = adapter.to_numpy(y).copy()
    function(second)
    difference = compare.bitwise(adapter.to_numpy(y), before)
    if difference is not None:
        raise Mismatch(difference.message(clause, case, "after another call, the result of the first, y"))


def leaves_input(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str, layout: str = "contiguous") -> None:
    """Demand that the input has the same bytes afterwards, both the native tensor and the array that it was made of."""
    x = labelled(call.shape, call.dtype)[0]
    array = laid_out(x.array, layout, call)
    native = adapter.to_native(array, device)
    adapter.to_numpy(call.function(adapter)(native))
    for what, after in [("the input", adapter.to_numpy(native)), ("the array behind the input", array)]:
        difference = compare.bitwise(after, x.array)
        if difference is not None:
            raise Mismatch(difference.message(clause, case, what))


def any_memory(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str, layout: str) -> None:
    """Demand that the result for this memory layout is the one for a contiguous copy."""
    for x in labelled(call.shape, call.dtype):
        view = laid_out(x.array, layout, call)
        expected = call.run(adapter, device, x.array)
        y = adapter.to_numpy(call.function(adapter)(adapter.to_native(view, device)))
        call.demand_equal(adapter, clause, f"{case}, as compared with a contiguous copy", x, y, expected)
        if layout == "strided":
            wide = adapter.to_native(_wider(x.array), device)
            try:
                native = wide[..., ::2]
            except Exception:
                return  # a native tensor that has no slices has no strides either
            y = adapter.to_numpy(call.function(adapter)(native))
            call.demand_equal(adapter, clause, f"{case}, sliced as a native tensor", x, y, expected)


def _wider(x: np.ndarray) -> np.ndarray:
    """Return an array whose every second value along the last axis is ``x``."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype=x.dtype)
    wide[..., ::2] = x
    return wide


def _strided(x: np.ndarray) -> np.ndarray:
    return _wider(x)[..., ::2]


def _reversed(x: np.ndarray) -> np.ndarray:
    every = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[every])[every]


def _fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x)


def _unaligned(x: np.ndarray) -> np.ndarray:
    buffer = np.zeros(x.nbytes + 1, dtype=np.uint8)
    buffer[1:] = np.frombuffer(x.tobytes(), dtype=np.uint8)
    return np.ndarray(x.shape, dtype=x.dtype, buffer=buffer.data, offset=1)


def _read_only(x: np.ndarray) -> np.ndarray:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def _other_axis_order(x: np.ndarray) -> np.ndarray:
    """Return ``x`` as a view with its axes in another memory order."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(x.ndim - 1, *range(x.ndim - 1))


_LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": np.copy,
    "strided": _strided,
    "reversed": _reversed,
    "fortran": _fortran,
    "transposed": _other_axis_order,
    "unaligned": _unaligned,
    "read-only": _read_only,
}
LAYOUTS = ("strided", "reversed", "fortran", "transposed", "other-format", "unaligned", "read-only")
"""What PS-012 names, and the memory of the other data format: ``torch.channels_last``, for one."""
CONTIGUOUS = ("unaligned", "read-only")
"""Those of them that are no views with strides of their own."""


def laid_out(x: np.ndarray, layout: str, call: Call) -> np.ndarray:
    """Return ``x``, an input of ``call``, in other memory that nothing else uses."""
    if layout != "other-format":
        return _LAYOUTS[layout](x.copy())
    axes = (len(call.batch), x.ndim - 1)
    here, there = axes if call.data_format == "channels_first" else axes[::-1]
    return np.moveaxis(np.moveaxis(x, here, there).copy(order="C"), there, here)


def undone(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand that the other operation, of the same order, brings everything back. ``call`` goes first."""
    back = replace(call, operation="phase_shift" if call.inverse else "inverse_phase_shift")
    for x in labelled(call.shape, call.dtype):
        y = call.run(adapter, device, x.array)
        difference = compare.bitwise(back.run(adapter, device, y), x.array)
        if difference is not None:
            raise Mismatch(difference.message(clause, case, "the input that came back, x"))


def undone_at_once(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand the same of a native tensor that goes from one operation into the other as it comes, in whatever memory it lies."""
    back = replace(call, operation="phase_shift" if call.inverse else "inverse_phase_shift")
    x = labelled(call.shape, call.dtype)[0]
    native = adapter.to_native(x.array.copy(), device)
    difference = compare.bitwise(adapter.to_numpy(back.function(adapter)(call.function(adapter)(native))), x.array)
    if difference is not None:
        raise Mismatch(difference.message(clause, case, "the input that came back, x"))


def permutation(adapter: AdapterProtocol, device: str, *, scale: tuple[int, ...], source: str, target: str, clause: str, case: str) -> None:
    """Demand the permutation of CP-001."""
    channels = 3 * prod(scale)
    p = np.asarray(adapter.channel_permutation(channels, scale, source=source, target=target))
    difference = compare.exact(p, oracle.channel_permutation(channels, scale, source=source, target=target))
    if difference is not None:
        raise Mismatch(difference.message(clause, case, "p"))


def permuted_weights(adapter: AdapterProtocol, device: str, *, source: str, target: str, dtype: str, clause: str, case: str) -> None:
    """Demand that a convolution and a shift of one order equal the permuted convolution and the shift of the other: exact on integers."""
    scale = (2, 3)
    x = adapter.to_native(small_integers((2, 4, 5, 3), dtype), device)
    kernel, bias = small_integers((3, 2, 3, 12), dtype, start=7), distinct_integers(12, dtype)
    p = np.asarray(adapter.channel_permutation(12, scale, source=source, target=target))

    def run(kernel: np.ndarray, bias: np.ndarray, order: str) -> np.ndarray:
        y = adapter.conv(x, adapter.to_native(kernel, device), adapter.to_native(bias, device))
        return adapter.to_numpy(adapter.phase_shift(y, scale, order=order, data_format="channels_last"))

    difference = compare.exact(run(kernel[..., p], bias[p], target), run(kernel, bias, source))
    if difference is not None:
        raise Mismatch(difference.message(clause, case))


# --- the cases ---

OPERATIONS = ("phase_shift", "inverse_phase_shift")

SOME = (
    ((2,), (3,), (5,), 2),
    ((3,), (2,), (4,), 2),
    ((2, 2), (2,), (3, 5), 3),
    ((3, 3), (3,), (4, 5), 2),
    ((4, 4), (3,), (2, 5), 2),
    ((2, 3), (3,), (4, 5), 2),
    ((3, 2), (3,), (5, 4), 2),
    ((2, 2), (2,), (13, 9), 3),
    ((5, 5), (2,), (2, 3), 2),
    ((6, 6), (1,), (3, 2), 2),
    ((2, 3), (2,), (7, 11), 5),
    ((2, 2, 2), (2,), (3, 4, 5), 2),
    ((2, 3, 4), (2,), (1, 2, 3), 3),
    ((2, 2, 2, 2), (2,), (1, 2, 3, 2), 3),
    ((2, 1, 3, 2), (1,), (2, 3, 1, 2), 2),
    ((2, 2), (9,), (67, 1), 9),
)
"""(scale, batch, spatial, C): every number of axes with equal and with unequal factors; one beyond the widths that code is blocked by."""

EVERY = (
    *SOME,
    ((4,), (3,), (5,), 2),
    ((7,), (2,), (3,), 4),
    ((7, 7), (2,), (3, 2), 2),
    ((8, 8), (1,), (2, 3), 2),
    ((2, 2), (3,), (33, 17), 4),
    ((2, 3), (10,), (2, 65), 17),
    ((2,), (33,), (129,), 3),
    ((2, 5, 3), (2,), (6, 2, 9), 2),
    ((4, 2), (3,), (5, 2), 2),
    ((2, 5), (4,), (3, 1), 3),
    ((1, 3), (2,), (5, 4), 3),
    ((3, 1), (2,), (4, 5), 3),
    ((8, 3), (1,), (2, 3), 2),
    ((3, 3, 3), (2,), (2, 1, 3), 2),
    ((4, 3, 2), (2,), (3, 2, 1), 3),
    ((1, 2, 2), (3,), (2, 4, 3), 2),
    ((2, 2), (), (3, 5), 3),
    ((2, 2), (2, 3), (4, 1), 3),
    ((2, 3), (2, 1, 3), (4, 5), 2),
)


def _calls(geometries: tuple[Any, ...], dtype: str) -> Iterator[Call]:
    for (scale, batch, spatial, channels), data_format, order, operation in product(geometries, DATA_FORMATS, ORDERS, OPERATIONS):
        yield Call(operation, scale, order, data_format, batch, spatial, channels, dtype)


def article(x: np.ndarray, r: int, color: bool) -> np.ndarray:
    """Return what the article's ``PS`` computes, in its own split, squeeze and concat: with ``color`` in three parts, one per channel."""
    if color:
        return np.concatenate([article(part, r, False) for part in np.split(x, 3, axis=3)], axis=3)
    n, rows, columns, channels = x.shape
    X = x.reshape(n, rows, columns, r, r, channels // r**2)
    X = np.transpose(X, (0, 1, 2, 4, 3, 5))
    for parts in (rows, columns):
        X = np.concatenate([np.squeeze(part, axis=1) for part in np.split(X, parts, axis=1)], axis=2)
    return X.reshape(n, rows * r, columns * r, channels // r**2)


def matches_article(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str, color: bool) -> None:
    """Demand what the article's function gives."""
    x = labelled(call.shape, call.dtype)[0]
    y = call.run(adapter, device, x.array)
    call.demand_equal(adapter, clause, f"{case}, as compared with the article's function", x, y, article(x.array, call.scale[0], color))


def _is_native(call: Call) -> bool:
    """Whether the frameworks have this themselves: DCR with channels last, or CRD with channels first."""
    return (call.order, call.data_format) in (("DCR", "channels_last"), ("CRD", "channels_first"))


def _judged(clause: str, topic: str, check: Callable[..., None], call: Call, *also: str, slug: str = "", **more: Any) -> Case:
    """Return a case of the shift, or of IP-003 when ``call`` is the inverse."""
    primary = "IP-003" if call.inverse else clause
    clauses = ("IP-003", clause) if call.inverse else (clause, *also)
    case = f"{primary}/{topic}-{slug}{call.slug}"
    options = {key: value for key, value in more.items() if key != "needs"}
    needs = call.needs(**more.get("needs", {}))
    return Case(case, clauses, "shift", needs, partial(check, call=call, clause=clause, case=case, **options))


def _order_case(call: Call) -> Case:
    clause = "IP-001" if call.inverse else CLAUSE_OF_ORDER[call.order]
    case = f"{clause}/{call.slug}"
    return Case(case, (clause,), "shift", call.needs(), partial(matches_formula, call=call, clause=clause, case=case))


def cases(profile: str, dtype: str) -> Iterator[Case]:
    """Yield the cases of PS, IP and CP, most of them in ``dtype``."""
    exhaustive = profile == "exhaustive"
    yield from map(_order_case, _calls(EVERY if exhaustive else SOME, dtype))
    for order, r, color in [("DRC", 2, False), ("DRC", 3, False), ("RCD", 2, True), ("RCD", 3, True)]:
        call = Call("phase_shift", (r, r), order, "channels_last", (2,), (3, 5), 3, dtype)
        clause = CLAUSE_OF_ORDER[order]
        case = f"{clause}/article-{'color-' if color else ''}{call.slug}"
        check = partial(matches_article, call=call, clause=clause, case=case, color=color)
        yield Case(case, (clause,), "shift", call.needs(), check)
    plain = tuple(_calls((((2, 2), (2,), (3, 5), 3),), dtype))
    for call, other in product(plain, DTYPES):
        if other != dtype:
            yield _order_case(replace(call, dtype=other))
    uneven = tuple(_calls((((2, 3), (3,), (4, 5), 2),), dtype))
    for call in plain:
        yield from _property_cases(call, exhaustive, exhaustive or _is_native(call))
    for call in uneven:
        if exhaustive or (call.order, call.data_format) in (("DRC", "channels_last"), ("RCD", "channels_first")):
            yield from _property_cases(call, exhaustive, True)
    yield from _format_cases(exhaustive, dtype)
    more = (((3,), (2,), (4,), 2), ((2, 1, 3), (2,), (3, 2, 4), 2)) if exhaustive else ()
    for call in (*plain, *uneven, *_calls(more, dtype)):
        case = f"IP-002/{call.slug}-first"
        check = partial(undone, call=call, clause="IP-002", case=case)
        yield Case(case, ("IP-002",), "shift", call.needs(operations=OPERATIONS), check)
        if exhaustive or call.scale == (2, 2):
            case = f"IP-002/{call.slug}-at-once"
            check = partial(undone_at_once, call=call, clause="IP-002", case=case)
            yield Case(case, ("IP-002",), "shift", call.needs(operations=OPERATIONS), check)
    yield from _permutation_cases(exhaustive, dtype)


BITS = ("float16", "float32", "float64", "bfloat16", "complex64", "int8", "bool")
"""The dtypes whose bit patterns the full profile judges. In all others the labels see what passes through another dtype."""


def _property_cases(call: Call, exhaustive: bool, every: bool) -> Iterator[Case]:
    """Yield the properties of one call: with ``every`` in all variants, else one of each kind."""
    isotropic = len(set(call.scale)) == 1
    if every:
        yield _judged("PS-006", "own-factor", matches_some_order, call)
    if not isotropic:
        yield _judged("PS-006", "own-factor", matches_some_order, replace(call, scale=(2, 9), channels=2))
    yield _judged("PS-007", "samples", sample_by_sample, call)
    yield _judged("PS-011", "input", leaves_input, call)
    if isotropic:
        yield _judged("PS-010", "kept", keeps_result, call)
    ones = (1,) * len(call.scale)
    if isotropic:
        yield _judged("PS-008", "identity", identity, replace(call, scale=ones, channels=5))
    for axis in range(len(call.scale)):
        if not isotropic:
            scale = tuple(1 if other == axis else r for other, r in enumerate(call.scale))
            yield _judged("PS-008", "axis", matches_some_order, replace(call, scale=scale))
    for batch in [(), (2, 3), (2, 1, 3)] if every else [(2, 3)]:
        if isotropic or exhaustive:
            several = replace(call, batch=batch)
            yield _judged("PS-007", "axes", same_as_one_batch_axis, several)
    empties: list[tuple[str, dict[str, Any]]] = [("batch", {"batch": (0,)}), ("spatial", {"spatial": (0, *call.spatial[1:])})]
    for what, change in [*empties, ("channels", {"channels": 0})]:
        if isotropic or exhaustive:
            yield _judged("PS-009", f"empty-{what}", empty, replace(call, **change))
    for dtype in DTYPES:
        if isotropic and dtype != call.dtype and (exhaustive or dtype in ("float16", "int32")):
            yield _judged("PS-009", "empty-spatial", empty, replace(call, spatial=(0, *call.spatial[1:]), dtype=dtype))
    if isotropic:
        for dtype in DTYPES:
            if exhaustive or dtype in (BITS if every else ("float16", call.dtype)):
                yield _judged("PS-010", "bits", keeps_bits, replace(call, dtype=dtype), needs={"bit_patterns": True})
    for layout in LAYOUTS if every else ("strided", "fortran"):
        if isotropic or exhaustive:
            yield _judged("PS-012", layout, any_memory, call, needs={"strided": layout not in CONTIGUOUS}, layout=layout)


def _format_cases(exhaustive: bool, dtype: str) -> Iterator[Case]:
    geometries: list[Any] = [((2, 2), (2,), (3, 5), 3), ((2, 3), (3,), (4, 5), 2), ((3,), (2,), (4,), 2), ((2, 2), (2,), (3, 5), 4)]
    more: list[Any] = [((2, 1, 3), (2,), (3, 2, 4), 2)]
    for (scale, batch, spatial, channels), order, operation in product(geometries + (more if exhaustive else []), ORDERS, OPERATIONS):
        call = Call(operation, scale, order, "channels_first", batch, spatial, channels, dtype)
        slug = "four-channels-" if channels == 4 else ""
        yield _judged("PS-005", "formats", same_in_both_formats, call, slug=slug, needs={"second_format": "channels_last"})


def _permutation_cases(exhaustive: bool, dtype: str) -> Iterator[Case]:
    for scale, source, target in product([(2, 3), (3,), (2, 2), (2, 3, 2)] if exhaustive else [(2, 3), (2, 2)], ORDERS, ORDERS):
        factors = "x".join(map(str, scale))
        case = f"CP-001/{source}-to-{target}-{factors}"
        needs = Needs(("channel_permutation",), order=source, target=target, ndim=len(scale), anisotropic=len(set(scale)) > 1)
        yield Case(
            case, ("CP-001",), "shift", needs, partial(permutation, scale=scale, source=source, target=target, clause="CP-001", case=case)
        )
    for source, target in product(ORDERS, ORDERS):
        if source == target:
            continue
        case = f"CP-002/conv-{source}-to-{target}"
        needs = Needs(
            ("channel_permutation", "conv", "phase_shift"),
            order=source,
            target=target,
            data_format="channels_last",
            ndim=2,
            batch_ndim=1,
            anisotropic=True,
            dtype=dtype,
        )
        check = partial(permuted_weights, source=source, target=target, dtype=dtype, clause="CP-002", case=case)
        yield Case(case, ("CP-002",), "shift", needs, check)
