"""PS, IP and ER where circumstances come together: every pair of what is claimed in the full profile, every triple in the exhaustive one.

A row of a covering array is one call: an order, a data format, numbers of axes, a dtype, the memory of the input, and the class of every
size. A call that is wrong is made simpler as long as it stays wrong, and the message names the circumstances without which it is right.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import combinations, product
from math import lcm, prod
from typing import Any

import numpy as np

from .. import compare, oracle
from ..adapter import ORDERS, AdapterProtocol, Claims
from ..case import Case, Mismatch, Needs, Unavailable, bulk_dtype, claims_of, dtype_of
from ..covering import covering_array
from ..result import told
from .arrays import labelled
from .refusals import refused
from .shift import CLAUSE_OF_ORDER, CONTIGUOUS, LAYOUTS, OPERATIONS, Call, any_memory, empty, keeps_bits, keeps_result, leaves_input

Row = Mapping[str, Any]
Check = Callable[[Row], None]
"""Raises `Mismatch` where the implementation is wrong in these circumstances."""

STRENGTH = {"full": 2, "exhaustive": 3}
SIZE = 8192
"""The most values in a tensor; of larger ones, ``strength`` sizes at a time stay as they are."""

# --- the circumstances: the simplest level first ---

SCALES: dict[str, tuple[int, ...]] = {"2": (2,) * 4, "3": (3,) * 4, "4": (4,) * 4, "2x3": (2, 3, 2, 3), "3x2": (3, 2, 2, 2), "9": (9,) * 4}
SPATIAL = {"3": (1, 1, 2, 3), "8": (1, 1, 2, 8), "9": (1, 1, 2, 9), "16": (1, 1, 2, 16), "tall": (8, 2, 1, 1)}
CHANNELS = (2, 3, 8, 9, 16, 32, 33)
BATCHES: dict[int, list[tuple[int, ...]]] = {0: [()], 1: [(2,), (8,), (9,)], 2: [(2, 3)], 3: [(2, 1, 3)]}
ONES: tuple[dict[str, Any], ...] = ({"ndim": 1}, {"channels": 1}, {"scale": "1"}, {"spatial": "1"}, {"batch": (1,)})
"""One of something, in rows of its own: many a wrong order looks right there."""
SIZES = ("channels", "spatial", "batch", "scale")
BLOCK = 128
"""The most positions in a block: nine on every axis is for one axis or two, four for three at most."""


def factors(scale: str, ndim: int) -> tuple[int, ...]:
    """Return the factors that a level of "scale" means."""
    if scale == "1":
        return (1,) * ndim
    return {"2x3": (5,), "3x2": (7,)}.get(scale, SCALES[scale][:1]) if ndim == 1 else SCALES[scale][:ndim]


def _takes(ndim: int, scale: str) -> bool:
    return prod(factors(scale, ndim)) <= BLOCK


def extents(spatial: str, ndim: int) -> tuple[int, ...]:
    """Return the low-resolution extents that a level of "spatial" means."""
    if spatial == "1":
        return (1,) * ndim
    return SPATIAL[spatial][:ndim] if spatial == "tall" else SPATIAL[spatial][4 - ndim :]


def circumstances(claims: Claims) -> dict[str, tuple[Any, ...]]:
    """Return the levels of every circumstance that an implementation claims."""
    scales = [name for name in SCALES if claims.anisotropic or len(set(SCALES[name])) == 1]
    scales = [name for name in scales if any(_takes(ndim, name) for ndim in claims.ndims)]
    return {
        "order": tuple(claims.orders),
        "data_format": tuple(claims.data_formats),
        "ndim": tuple(sorted(claims.ndims, key=lambda ndim: (ndim != 2, ndim))),
        "dtype": _dtypes(claims),
        "memory": ("contiguous", *(LAYOUTS if claims.strided else CONTIGUOUS)),
        "batch": tuple(batch for axes in sorted(claims.batch_ndims, key=lambda n: (n != 1, n)) for batch in BATCHES[axes]),
        "channels": CHANNELS,
        "spatial": tuple(SPATIAL),
        "scale": tuple(scales),
    }


def _dtypes(claims: Claims) -> tuple[str, ...]:
    """Return the claimed dtypes that this machine has, the one of most cases first."""
    first = bulk_dtype(claims)
    found = []
    for dtype in sorted(claims.dtypes, key=lambda dtype: dtype != first):
        try:
            dtype_of(dtype)
        except ImportError:
            continue
        found.append(dtype)
    return tuple(found)


def rows(levels: Mapping[str, tuple[Any, ...]], claims: Claims, strength: int) -> list[dict[str, Any]]:
    """Return the rows: those without one of anything, then those with one of something."""
    several = tuple(ndim for ndim in levels["ndim"] if ndim > 1)
    found = _rows({**levels, "ndim": several}, strength, {}) if several else []
    for one in ONES:
        if ("scale" in one and not claims.scale_one) or (one.items() & {("batch", (1,))} and 1 not in claims.batch_ndims):
            continue
        if "ndim" in one and 1 not in claims.ndims:
            continue
        found += _rows(levels, strength - 1 if several else strength, one)
    return found


def _rows(levels: Mapping[str, tuple[Any, ...]], strength: int, fixed: Row) -> list[dict[str, Any]]:
    """Return a covering array, ``fixed`` in each row, without tensors that cannot be, or that are above `SIZE` and can be avoided."""
    free = {name: values for name, values in levels.items() if name not in fixed}
    covered: set[Any] = set()
    found = []
    possible = (
        row for some in covering_array(free, strength) for row in _possible({name: {**some, **fixed}[name] for name in levels}, levels)
    )
    for whole in sorted(possible, key=lambda row: prod(call_of(row).shape)):
        for row in [whole] if prod(call_of(whole).shape) <= SIZE else _smaller(whole, free, strength):
            new = set(combinations(((name, row[name]) for name in free), strength)) - covered
            if new:
                found.append(row)
                covered |= new
    return found


def _possible(row: dict[str, Any], levels: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Yield the row or, where a block would be too large, the row with other factors and the row with fewer axes."""
    if _takes(row["ndim"], row["scale"]):
        yield row
        return
    yield {**row, "scale": next(scale for scale in levels["scale"] if _takes(row["ndim"], scale))}
    fewer = [ndim for ndim in levels["ndim"] if _takes(ndim, row["scale"])]
    if fewer:
        yield {**row, "ndim": max(fewer)}


def _smaller(row: Row, free: Mapping[str, tuple[Any, ...]], strength: int) -> Iterator[dict[str, Any]]:
    """Yield the row with all but ``strength`` sizes at their simplest level, in every way."""
    sizes = [size for size in SIZES if size in free]
    for kept in combinations(sizes, strength):
        yield {**row, **{size: free[size][0] for size in sizes if size not in kept}}


def call_of(row: Row, operation: str = "phase_shift") -> Call:
    """Return the call of a row."""
    ndim = row["ndim"]
    scale, spatial = factors(row["scale"], ndim), extents(row["spatial"], ndim)
    return Call(operation, scale, row["order"], row["data_format"], row["batch"], spatial, row["channels"], row["dtype"])


# --- what is asked of every row ---


def expected(call: Call, x: np.ndarray) -> np.ndarray:
    """Return what the formula gives, block position by block position: equal to the oracle's, and fast enough for many calls."""
    y = np.empty(call.output_shape, dtype=x.dtype)
    low, high = (np.moveaxis(_bytes(side), _axis(call), len(call.batch) + len(call.scale)) for side in ((y, x) if call.inverse else (x, y)))
    for offset, channels in _table(call.order, call.scale, call.channels):
        place: Any = (..., *(slice(o, None, r) for o, r in zip(offset, call.scale, strict=True)), slice(None))
        if call.inverse:
            low[..., channels] = high[place]
        else:
            high[place] = low[..., channels]
    return y


@lru_cache(maxsize=1024)
def _table(order: str, scale: tuple[int, ...], channels: int) -> list[tuple[tuple[int, ...], list[int]]]:
    return [(o, [oracle.channel_index(order, c, o, scale, channels) for c in range(channels)]) for o in oracle.offsets(scale)]


def _axis(call: Call) -> int:
    return len(call.batch) + (len(call.scale) if call.data_format == "channels_last" else 0)


def _bytes(x: np.ndarray) -> np.ndarray:
    return x.view(f"V{x.itemsize}")


def follows_formula(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str) -> None:
    """Demand what `expected` says, on labelled values."""
    for x in labelled(call.shape, call.dtype):
        call.demand_equal(adapter, clause, case, x, call.run(adapter, device, x.array), expected(call, x.array))


# --- judging rows ---


def judged(claimed: Mapping[str, tuple[Any, ...]], asked: Iterable[Row], check: Check, sizes: Callable[[Row], str] | None = None) -> None:
    """Put rows to a check; where one fails, raise the failure of the simplest row like it, with the circumstances that it takes.

    ``sizes`` says which sizes a row brings along that are no circumstances of it: any of them may be the cause.
    """
    for row in asked:
        failure = _failure(check, row)
        if failure is None:
            continue
        row, failure = _shrunk(claimed, dict(row), check, failure)
        needed = ", ".join(f"{name}={row[name]}" for name in row if _matters(claimed, row, name, check)) or "whatever is asked"
        needed += f", where {sizes(row)}" if sizes is not None else ""
        if not isinstance(failure, Mismatch):
            raise RuntimeError(f"{told(failure)}; wrong for {needed}") from failure
        failure.message = f"{failure.message}; wrong for {needed}"
        raise failure


def judged_where_formula_holds(claimed: Mapping[str, tuple[Any, ...]], asked: Iterable[Row], check: Check, formula: Check) -> None:
    """Put rows to a check, and leave those in which the formula fails too, since that is what is reported, unless they are all."""
    right: list[Row] = []
    left: list[Exception] = []

    def holds(row: Row) -> None:
        failure = _failure(check, row)
        if failure is None:
            right.append(row)
        elif _failure(formula, row) is None:
            raise failure
        else:
            left.append(failure)

    judged(claimed, asked, holds)
    if left and not right:
        raise left[0]


def _failure(check: Check, row: Row) -> Exception | None:
    try:
        check(row)
    except Unavailable:
        raise
    except Exception as error:
        return error
    return None


def _shrunk(claimed: Mapping[str, tuple[Any, ...]], row: dict[str, Any], check: Check, failure: Exception) -> tuple[Row, Exception]:
    """Return the row with every level as simple as it can be while it fails in the same way."""
    for name in row:
        for level in claimed.get(name, ()):
            if level == row[name]:
                break
            simpler = _failure(check, {**row, name: level})
            if type(simpler) is type(failure):
                row, failure = {**row, name: level}, simpler
                break
    return row, failure


def _matters(claimed: Mapping[str, tuple[Any, ...]], row: Row, name: str, check: Check) -> bool:
    """Whether the row is right at every other level of one circumstance, or at all that are simpler than its own."""
    levels = claimed.get(name, ())
    simpler = levels[: levels.index(row[name])] if row[name] in levels else levels
    others = simpler or levels[1:]
    return bool(others) and all(_failure(check, {**row, name: level}) is None for level in others)


def combined(
    adapter: AdapterProtocol,
    device: str,
    *,
    operation: str,
    check: Callable[..., None],
    order: str | None,
    profile: str,
    clause: str,
    case: str,
) -> None:
    """Demand of every row, of one order or of all, what ``check`` demands of a call."""
    claims = claims_of(adapter)
    levels = circumstances(claims)
    if check is keeps_bits:  # integers have no patterns that the formula does not show
        levels["dtype"] = tuple(name for name in levels["dtype"] if dtype_of(name).kind not in "biu") or levels["dtype"]
    asked = [row for row in rows(levels, claims, STRENGTH[profile]) if order in (None, row["order"])]
    if check is follows_formula:
        levels.pop("memory")
        asked = _without(asked, "memory")
    if order is not None:
        levels["order"] = (order,)

    def demand(check: Callable[..., None], row: Row, **options: Any) -> None:
        check(adapter, device, call=call_of(row, operation), clause=clause, case=case, **options)

    def formula(row: Row) -> None:
        demand(follows_formula, row)

    if check is follows_formula:
        judged(levels, asked, formula)
    else:
        judged_where_formula_holds(levels, asked, lambda row: demand(check, row, layout=row["memory"]), formula)


def _without(asked: Iterable[Row], name: str) -> list[dict[str, Any]]:
    """Return the rows without one circumstance, each once."""
    unlike = {tuple((key, value) for key, value in row.items() if key != name): None for row in asked}
    return [dict(row) for row in unlike]


# --- empty tensors, the same shape in another call, indices of 16 bits ---

EMPTY = {"batch": {"batch": (0,)}, "spatial": {"spatial": 0}, "channels": {"channels": 0}}


def empties(adapter: AdapterProtocol, device: str, *, operation: str, profile: str, clause: str, case: str) -> None:
    """Demand the shape and the dtype of tensors without elements."""
    levels = circumstances(claims_of(adapter))
    small = {name: levels[name] for name in ("order", "data_format", "ndim", "dtype", "scale")}
    axes = {len(batch): batch for batch in levels["batch"]}
    levels = {**small, "batch": tuple(axes.values()), "empty": ("spatial", "channels", *(("batch",) if any(axes) else ()))}

    def whole(row: Row) -> Call:
        return call_of({"channels": 2, "spatial": "3", **row}, operation)

    def holds(row: Row) -> None:
        call = whole(row)
        batch, spatial, channels = call.batch, call.spatial, call.channels
        if row["empty"] == "batch" and batch:
            batch = (0, *batch[1:])
        elif row["empty"] == "channels":
            channels = 0
        else:
            spatial = (0, *spatial[1:])
        empty(adapter, device, call=_with(call, batch=batch, spatial=spatial, channels=channels), clause=clause, case=case)

    def formula(row: Row) -> None:
        follows_formula(adapter, device, call=whole(row), clause=clause, case=case)

    judged_where_formula_holds(levels, covering_array(levels, STRENGTH[profile]), holds, formula)


# --- memory that holds a value once and gives it many times ---

REPEATED = ("channels", "spatial", "all")


def repeated(x: np.ndarray, axes: Iterable[int]) -> np.ndarray:
    """Return a view with a stride of 0 along ``axes``, where every value is the first one: what ``expand`` and ``broadcast_to`` make."""
    first = x[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(x.ndim))].copy()
    strides = tuple(0 if axis in axes else stride for axis, stride in enumerate(first.strides))
    return np.lib.stride_tricks.as_strided(first, x.shape, strides)


def repetitions(adapter: AdapterProtocol, device: str, *, operation: str, profile: str, clause: str, case: str) -> None:
    """Demand of a view with strides of 0 what a contiguous copy gives."""
    levels = circumstances(claims_of(adapter))
    batches = {len(batch): batch for batch in levels["batch"]}
    small = {name: levels[name] for name in ("order", "data_format", "ndim", "scale")}
    levels = {**small, "batch": tuple(batches.values()), "repeated": (*REPEATED, *(("batch",) if any(batches) else ()))}
    dtype = bulk_dtype(claims_of(adapter))

    def whole(row: Row) -> Call:
        return call_of({"channels": 2, "spatial": "3", "dtype": dtype, **row}, operation)

    def formula(row: Row) -> None:
        follows_formula(adapter, device, call=whole(row), clause=clause, case=case)

    def holds(row: Row) -> None:
        call = whole(row)
        batch, channels = range(len(call.batch)), _axis(call)
        every = range(len(call.shape))
        spatial = [axis for axis in every if axis not in (*batch, channels)]
        axes = {"channels": [channels], "spatial": spatial, "all": every, "batch": batch}[row["repeated"]]
        view = repeated(labelled(call.shape, dtype)[0].array, axes)
        wanted = call.run(adapter, device, view)
        difference = compare.bitwise(adapter.to_numpy(call.function(adapter)(adapter.to_native(view, device))), wanted)
        if difference is not None:
            raise Mismatch(difference.message(clause, f"{case}, as compared with a contiguous copy"))

    judged_where_formula_holds(levels, covering_array(levels, STRENGTH[profile]), holds, formula)


def _with(call: Call, **changed: Any) -> Call:
    return Call(**{**vars(call), **changed})


def calls_of_one_shape(claims: Claims, row: Row, operation: str) -> list[Call]:
    """Return calls whose inputs have one shape: in each data format, and with other factors of which that shape has multiples."""
    ndim, batch = row["ndim"], row["batch"]
    scales = {1: ((2,), (3,)), 2: ((2, 2), (4, 4)), 3: ((2, 2, 2),), 4: ((2, 2, 2, 2),)}[ndim]
    if claims.anisotropic and ndim in (2, 3):
        scales = {2: ((2, 3), (3, 2)), 3: ((2, 2, 3), (3, 2, 2))}[ndim]
    channels, extent = lcm(*map(prod, scales)), lcm(*(r for scale in scales for r in scale))
    middle = (2, 1, 3)[: ndim - 1]
    shift = operation == "phase_shift"
    shape = (2 * channels, *middle, 3 * channels) if shift else (*(extent for _ in range(ndim)), 2 * extent)
    found = []
    for scale, data_format in product(scales, claims.data_formats):
        outer, spatial = (shape[-1], shape[:-1]) if data_format == "channels_last" else (shape[0], shape[1:])
        if shift:
            outer //= prod(scale)
        else:
            spatial = tuple(extent // r for extent, r in zip(spatial, scale, strict=True))
        found.append(Call(operation, scale, row["order"], data_format, batch, spatial, outer, row["dtype"]))
    return found


def one_shape(adapter: AdapterProtocol, device: str, *, operation: str, order: str, profile: str, clause: str, case: str) -> None:
    """Demand that a shape that comes again, in another format or with other factors, is answered for itself. The first is also the last."""
    claims = claims_of(adapter)
    levels = circumstances(claims)
    batches = {len(batch): batch for batch in levels["batch"]}
    levels = {name: levels[name] for name in ("order", "ndim", "dtype")} | {"batch": tuple(batches.values())}
    if profile == "full":
        levels["dtype"] = levels["dtype"][:1]
    asked = [row for row in covering_array(levels, STRENGTH[profile]) if row["order"] == order]

    def holds(row: Row) -> None:
        calls = calls_of_one_shape(claims, row, operation)
        for number, call in enumerate([*calls, calls[0]] if len(calls) > 1 else []):
            again = f", {number} calls after another of this shape" if number else ""
            follows_formula(adapter, device, call=call, clause=clause, case=f"{case}{again}")

    def sizes(row: Row) -> str:
        calls = calls_of_one_shape(claims, row, operation)
        channels = sorted({call.channels for call in calls})
        return f"the channels are {' or '.join(map(str, channels))} in a tensor of shape {calls[0].shape}"

    judged({**levels, "order": (order,)}, asked, holds, sizes)


def large(adapter: AdapterProtocol, device: str, *, operation: str, order: str, clause: str, case: str) -> None:
    """Demand the formula where a sample has more values than 16 bits can count."""
    claims = claims_of(adapter)
    batch, *_ = BATCHES[min(claims.batch_ndims, key=lambda axes: (axes != 1, axes))]
    for ndim in sorted(claims.ndims, key=lambda ndim: ndim != 2)[:1]:
        spatial = {1: (16411,), 2: (129, 65), 3: (3, 22, 65), 4: (2, 3, 11, 33)}[ndim]
        for data_format in claims.data_formats:
            call = Call(operation, (2,) * ndim, order, data_format, batch, spatial, 2, bulk_dtype(claims))
            follows_formula(adapter, device, call=call, clause=clause, case=case)


# --- refusals ---

Asked = tuple[tuple[int, ...], Any, Any, Any, str]
"""A shape, a scale, an order, a data format, and what of them cannot be had, in words."""


def _remainder(call: Call, offence: str) -> Asked:
    """ER-003: channels that are no multiple, by one too many, by one too few, or fewer than one block."""
    blocks = prod(call.scale)
    channels = {"one more": 2 * blocks + 1, "one less": 2 * blocks - 1, "too few": blocks - 1}[offence]
    shape = list(call.shape)
    shape[_axis(call)] = channels
    return tuple(shape), call.scale, call.order, call.data_format, f"{channels} channels under scale={call.scale}"


def _remaining_extent(call: Call, offence: str) -> Asked:
    """ER-004: an extent that is no multiple, of the first axis, of the last, or of one between."""
    last = len(call.scale) - 1
    axis = {"first axis": 0, "last axis": last, "second axis": min(1, last), "third axis": min(2, last)}[offence]
    axis += len(call.batch) + (call.data_format == "channels_first")
    shape = list(call.shape)
    shape[axis] += 1
    return tuple(shape), call.scale, call.order, call.data_format, f"extent {shape[axis]} of the {offence} under scale={call.scale}"


def _wrong_factor(call: Call, offence: Any) -> Asked:
    """ER-001 and ER-002: a factor that is none, on every axis."""
    scale = (offence,) * len(call.scale)
    return call.shape, scale, call.order, call.data_format, f"scale={scale}"


def _unknown(call: Call, offence: str) -> Asked:
    """ER-005: an order or a data format that there is not."""
    order, data_format = ("XYZ", call.data_format) if offence == "order" else (call.order, "channels_second")
    return call.shape, call.scale, order, data_format, f"order={order!r}, data_format={data_format!r}"


def _few_axes(call: Call, offence: int) -> Asked:
    """ER-006: a tensor with fewer axes than it must have, every extent a multiple of the blocks."""
    shape = (prod(call.scale),) * (len(call.scale) + 1 - offence)
    return shape, call.scale, call.order, call.data_format, f"a tensor of shape {shape} under {len(call.scale)} spatial axes"


REFUSED: dict[str, tuple[tuple[Any, ...], Callable[[Call, Any], Asked]]] = {
    "ER-001": ((0, -1), _wrong_factor),
    "ER-002": ((2.0, True, "2", np.float64(2), np.bool_(True)), _wrong_factor),
    "ER-003": (("one more", "one less", "too few"), _remainder),
    "ER-004": (("first axis", "last axis", "second axis", "third axis"), _remaining_extent),
    "ER-005": (("order", "data format"), _unknown),
    "ER-006": ((1, 2), _few_axes),
}
"""For each clause what is offered, and how it is asked for."""


def refusals(adapter: AdapterProtocol, device: str, *, operation: str, profile: str, clause: str, case: str) -> None:
    """Demand that what cannot be had is refused."""
    levels = circumstances(claims_of(adapter))
    offences, asked_of = REFUSED[clause]
    batches = {len(batch): batch for batch in levels["batch"]}
    levels = {name: levels[name] for name in ("order", "data_format", "ndim", "dtype", "scale")}
    if clause == "ER-006":
        levels["scale"] = levels["scale"][:1]
    levels |= {"batch": tuple(batches.values()), "offence": offences}

    def holds(row: Row) -> None:
        call = call_of({"channels": 2, "spatial": "3", **row}, operation)
        shape, scale, order, data_format, asked = asked_of(call, row["offence"])
        x = labelled(shape, row["dtype"])[0].array

        def attempt(adapter: AdapterProtocol, device: str) -> np.ndarray:
            native = adapter.to_native(x, device)
            return adapter.to_numpy(getattr(adapter, operation)(native, scale, order=order, data_format=data_format))

        refused(adapter, device, attempt=attempt, asked=asked, clause=clause, case=case)

    judged(levels, covering_array(levels, STRENGTH[profile]), holds)


# --- the cases ---

PROPERTIES: dict[str, tuple[str, Callable[..., None]]] = {
    "bits": ("PS-010", keeps_bits),
    "kept": ("PS-010", keeps_result),
    "input": ("PS-011", leaves_input),
    "memory": ("PS-012", any_memory),
}


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases: the formula and the same shape in every order, the properties in all orders together, and refusals."""
    for operation in OPERATIONS:
        inverse = operation == "inverse_phase_shift"
        for order in ORDERS:
            clause = "IP-001" if inverse else CLAUSE_OF_ORDER[order]
            needs = Needs((operation,), order=order)
            for topic, check in _formulas(profile).items():
                case = f"{clause}/{topic}-{'inverse-' if inverse else ''}{order}"
                options: dict[str, Any] = {"operation": operation, "order": order, "clause": clause, "case": case}
                yield Case(case, (clause,), "shift", needs, partial(check, **options))
        others = {"empty": ("PS-009", empties), "repeated": ("PS-012", repetitions)}
        for topic, (clause, demand) in {**PROPERTIES, **others}.items():
            clauses = ("IP-003", clause) if inverse else (clause,)
            case = f"{clauses[0]}/combined-{'inverse-' if inverse else ''}{topic}"
            options = {"operation": operation, "profile": profile, "clause": clause, "case": case}
            needs = Needs((operation,), bit_patterns=topic == "bits", empty=topic == "empty", strided=topic == "repeated")
            check = partial(demand, **options) if topic in others else partial(combined, order=None, check=demand, **options)
            yield Case(case, clauses, "shift", needs, check)
        for clause in REFUSED:
            if clause != ("ER-003" if inverse else "ER-004"):
                case = f"{clause}/combined-{'inverse' if inverse else 'shift'}"
                check = partial(refusals, operation=operation, profile=profile, clause=clause, case=case)
                yield Case(case, (clause,), "shift", Needs((operation,), refusal=clause), check)


def _formulas(profile: str) -> dict[str, Callable[..., None]]:
    """Return what demands the formula, by the topic of the case."""
    return {
        "combined": partial(combined, check=follows_formula, profile=profile),
        "one-shape": partial(one_shape, profile=profile),
        "large": large,
    }
