"""Mistakes that are made only where circumstances come together: an effect, and when it is seen.

Every pair of circumstances has its mutants: what is wrong with the result changes from pair to pair. `named` are those that somebody wrote
by hand, to get past the suite as it was before it had `cases.combined`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from . import honest
from .dishonest import _one_buffer, _through
from .mutant import Mutant, mutant
from .shift import EVERY_ORDER, SWAPPED, Shift, _careless, _crops

MISPLACED = f"{EVERY_ORDER} PS-005 PS-006 PS-007 PS-008 PS-009 PS-010 PS-012 IP-001 IP-002 IP-003"
OPERATIONS = {"phase_shift": honest.phase_shift, "inverse_phase_shift": honest.inverse_phase_shift}

# --- when ---


@dataclass(frozen=True)
class Seen:
    """One call, as the implementation sees it."""

    x: np.ndarray
    scale: tuple[int, ...]
    order: str
    data_format: str
    inverse: bool

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.scale)

    @property
    def batch(self) -> tuple[int, ...]:
        """The extents of the batch axes."""
        return self.x.shape[: self.x.ndim - self.ndim - 1]

    @property
    def channels(self) -> int:
        """The channels at high resolution."""
        axis = -1 if self.data_format == "channels_last" else -self.ndim - 1
        return self.x.shape[axis] // (1 if self.inverse else prod(self.scale))

    @property
    def width(self) -> int:
        """The extent of the last spatial axis at low resolution."""
        return self.x.shape[-2 if self.data_format == "channels_last" else -1] // (self.scale[-1] if self.inverse else 1)


@dataclass(frozen=True)
class When:
    """A circumstance: ``of`` says which it is a level of, so that two of the same never come together."""

    of: str
    holds: Callable[[Seen], bool]


def _dtype(name: str) -> When:
    return When("dtype", lambda seen: seen.x.dtype == name)


WHEN: Mapping[str, When] = {
    "1-D": When("ndim", lambda seen: seen.ndim == 1),
    "3-D": When("ndim", lambda seen: seen.ndim == 3),
    "int64": _dtype("int64"),
    "float16": _dtype("float16"),
    "float64": _dtype("float64"),
    "uint8": _dtype("uint8"),
    "channels first": When("data_format", lambda seen: seen.data_format == "channels_first"),
    "no batch axis": When("batch", lambda seen: not seen.batch),
    "two batch axes": When("batch", lambda seen: len(seen.batch) == 2),
    "samples by eight": When("batch", lambda seen: len(seen.batch) == 1 and seen.batch[0] % 8 == 0),
    "C by eight": When("channels", lambda seen: seen.channels % 8 == 0),
    "a tail of channels": When("channels", lambda seen: seen.channels > 8 and seen.channels % 8 > 0),
    "width by eight": When("spatial", lambda seen: seen.width % 8 == 0),
    "a tail of the width": When("spatial", lambda seen: seen.width > 8 and seen.width % 8 > 0),
    "factors above 2": When("scale", lambda seen: min(seen.scale) > 2),
    "unequal factors": When("scale", lambda seen: len(set(seen.scale)) > 1),
    "factors above 8": When("scale", lambda seen: min(seen.scale) > 8),
    "apart in memory": When("memory", lambda seen: not seen.x.flags.c_contiguous),
}
ALONE: Mapping[str, When] = {
    "C from 32": When("channels", lambda seen: seen.channels >= 32),
    "a stride of 0": When("memory", lambda seen: any(step == 0 and n > 1 for step, n in zip(seen.x.strides, seen.x.shape, strict=True))),
}
"""What makes no pairs with others."""
IMPOSSIBLE = ({"1-D", "unequal factors"}, {"3-D", "factors above 8"})
"""One axis has one factor; and nine on each of three axes makes tensors that are too large for every pair."""

# --- what ---


def _rolled(operation: Shift) -> Shift:
    """Return the operation with every value one place further."""

    def shift(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
        y = operation(x, scale, **options)
        return np.roll(y.reshape(-1), 1).reshape(y.shape)

    return shift


def _other_order(operation: Shift) -> Shift:
    return lambda x, scale, *, order, data_format: operation(x, scale, order=SWAPPED[order], data_format=data_format)


def _without_sign_of_zero(operation: Shift) -> Shift:
    return lambda x, scale, **options: operation(np.where(x == 0, np.zeros_like(x), x), scale, **options)


def _without_payload(operation: Shift) -> Shift:
    return lambda x, scale, **options: operation(
        np.where(x != x, np.nan, x).astype(x.dtype) if x.dtype.kind == "f" else x, scale, **options
    )


def _zeroed(operation: Shift) -> Shift:
    def shift(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
        y = operation(x, scale, **options)
        if x.flags.writeable:
            x[...] = 0
        return y

    return shift


def _misread(operation: Shift) -> Shift:
    return lambda x, scale, **options: operation(x.ravel(order="K").reshape(x.shape), scale, **options)


@dataclass(frozen=True)
class Effect:
    """What goes wrong, the clause of the shift that it breaks, and what else may come of it."""

    make: Callable[[Shift], Shift]
    clause: str
    also: str = ""
    needs: str = ""
    """The circumstance, "dtype" or "memory", without which nothing is to be seen."""
    floats: bool = False


FORMULA = "the formula"
EFFECTS: Mapping[str, Effect] = {
    "one place further": Effect(_rolled, FORMULA, MISPLACED),
    "another order": Effect(_other_order, FORMULA, MISPLACED),
    "the input zeroed": Effect(_zeroed, "PS-011"),
    "results in one place": Effect(_one_buffer, "PS-010"),
    "-0 made 0": Effect(_without_sign_of_zero, "PS-010", floats=True),
    "NaN without payload": Effect(_without_payload, "PS-010", floats=True),
    "through float32": Effect(lambda operation: _through(np.float32, operation), FORMULA, MISPLACED, needs="dtype"),
    "memory misread": Effect(_misread, "PS-012", needs="memory"),
}


def together(effect: str, operation: str, *when: str) -> Mutant:
    """Return the mutant whose ``operation`` has the effect where all of ``when`` hold, and nowhere else."""
    right, wrong = OPERATIONS[operation], EFFECTS[effect].make(OPERATIONS[operation])
    inverse = operation == "inverse_phase_shift"

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        seen = Seen(x, scale, order, data_format, inverse)
        taken = wrong if all({**WHEN, **ALONE}[name].holds(seen) for name in when) else right
        return taken(x, scale, order=order, data_format=data_format)

    clause = EFFECTS[effect].clause
    if clause == FORMULA:
        clause = "IP-001" if inverse else "PS-002"
        if set(when) & {"apart in memory", "a stride of 0"}:
            clause = "IP-003" if inverse else "PS-012"
    elif inverse:
        clause = "IP-003"
    name = f"{effect}{', inverse' if inverse else ''}: {' and '.join(when)}"
    claims = {"orders": ("CRD",), "dtypes": ("float32", "float64", "float16", "int64", "uint8")}
    replaced: dict[str, Any] = {operation: shift}
    return mutant(name, clause, EFFECTS[effect].also, operations=operation, claims=claims, **replaced)


def visible(effect: str, when: tuple[str, ...]) -> bool:
    """Whether the effect can be seen in these circumstances, and they can come together."""
    needed = EFFECTS[effect].needs
    of = [WHEN[name].of for name in when]
    if len(set(of)) < len(of) or any(pair <= set(when) for pair in IMPOSSIBLE) or (needed and needed not in of):
        return False
    return not (EFFECTS[effect].floats and set(when) & {"int64", "uint8"}) and not (
        effect == "through float32" and set(when) & {"float16", "uint8"}
    )


def pairs() -> Iterator[Mutant]:
    """Yield one mutant for every pair of circumstances: the next effect that can be seen there, of the shift and of its inverse in turn."""
    effects = [*EFFECTS]
    for number, when in enumerate(when for when in combinations(WHEN, 2) if visible("one place further", when)):
        turned = effects[number % len(effects) :] + effects[: number % len(effects)]
        effect = next(name for name in turned if visible(name, when))
        yield together(effect, [*OPERATIONS][number // 2 % 2], *when)


# --- those that somebody wrote ---


def _tabled(key: Callable[[Seen], Any]) -> Callable[[str], Shift]:
    """Return shifts that keep a table of indices for every ``key``."""

    def of(operation: str) -> Shift:
        known: dict[Any, np.ndarray] = {}

        def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
            index = np.arange(x.size).reshape(x.shape)
            options = {"order": order, "data_format": data_format}
            at = (x.shape, order, key(Seen(x, scale, order, data_format, False)))
            y = OPERATIONS[operation](index, scale, **options)
            table = known.setdefault(at, y.reshape(-1))
            return x.reshape(-1)[table].reshape(y.shape)

        return shift

    return of


def _indices_of(dtype: type) -> Callable[[str], Shift]:
    """Return shifts that count the places of a sample in a narrow integer."""

    def of(operation: str) -> Shift:
        def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
            batch = x.shape[: x.ndim - len(scale) - 1]
            flat = x.reshape(prod(batch), -1)
            index = np.arange(flat.shape[1]).reshape(x.shape[len(batch) :])
            table = OPERATIONS[operation](index, scale, order=order, data_format=data_format)
            return flat[:, table.reshape(-1).astype(dtype).astype(np.int64) % max(1, flat.shape[1])].reshape((*batch, *table.shape))

        return shift

    return of


def _unaware_of_formats(operation: str) -> Shift:
    """Return the operation that takes the memory of the other format for its own: ``torch.channels_last`` read as it lies."""

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        axis = x.ndim - len(scale) - 1
        inside = data_format == "channels_first" and x.ndim > axis + 1 and np.moveaxis(x, axis, -1).flags.c_contiguous
        read = np.moveaxis(x, axis, -1).reshape(x.shape) if inside and not x.flags.c_contiguous else x
        return OPERATIONS[operation](read, scale, order=order, data_format=data_format)

    return shift


def named() -> Iterator[Mutant]:
    """Yield them: of the shift and, where it is another mistake, of the inverse."""
    for operation in OPERATIONS:
        for ndim in ("1-D", "3-D"):
            for effect in ("NaN without payload", "-0 made 0", "the input zeroed", "results in one place"):
                yield together(effect, operation, ndim)
        yield together("memory misread", operation, "3-D", "apart in memory")
        yield together("memory misread", operation, "uint8", "apart in memory")
        yield together("through float32", operation, "two batch axes", "float64")
        for effect, when in (("another order", "samples by eight"), ("another order", "C by eight"), ("another order", "width by eight")):
            yield together(effect, operation, when)
        yield together("another order", operation, "float16", "factors above 2")
        yield together("another order", operation, "C from 32")
        yield together("another order", operation, "a stride of 0")
        inverse = operation == "inverse_phase_shift"
        every, of = ("IP-001", "of the inverse ") if inverse else (EVERY_ORDER, "")
        claims: dict[str, Any] = {"dtypes": ("float32",)}
        rows: list[tuple[str, Shift, str]] = [
            (f"a table {of}for a shape, without the format", _tabled(lambda seen: seen.scale)(operation), every),
            (f"a table {of}for a shape, without the factors", _tabled(lambda seen: seen.data_format)(operation), every),
            (f"a table {of}of 16 bits", _indices_of(np.int16)(operation), every),
            (f"the memory {of}of the other format misread", _unaware_of_formats(operation), "IP-003" if inverse else "PS-012"),
        ]
        for name, shift, clause in rows:
            replaced: dict[str, Any] = {operation: shift}
            yield mutant(name, clause, MISPLACED, operations=operation, claims=claims, **replaced)
    claims = {"refusals": ("ER-004",), "dtypes": ("float32",), "ndims": (3,)}
    yield mutant(
        "a remainder of a middle axis is cut off", "ER-004", operations="inverse_phase_shift", claims=claims, inverse_phase_shift=_cut
    )
    for operation in OPERATIONS:
        claims = {"refusals": ("ER-002",), "dtypes": ("float32",)}
        replaced = {operation: _any_float_of_numpy(OPERATIONS[operation])}
        yield mutant(f"factors that are floats of NumPy are taken, {operation}", "ER-002", operations=operation, claims=claims, **replaced)
    for when in ("1-D", "3-D", "channels first", "two batch axes", "float16"):
        for clause, operation, careless in (
            ("ER-003", "phase_shift", _careless("channels must be")),
            ("ER-004", "inverse_phase_shift", _crops),
        ):
            claims = {"refusals": (clause,), "dtypes": ("float32", "float16")}
            replaced = {operation: _where(when, careless, OPERATIONS[operation])}
            yield mutant(f"what does not divide is taken: {when}, {clause}", clause, operations=operation, claims=claims, **replaced)


def _cut(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Return the inverse without the positions of the middle of three axes that are too many."""
    axis = x.ndim - (3 if data_format == "channels_last" else 2)
    kept = x.shape[axis] // scale[1] * scale[1] if len(scale) == 3 else x.shape[axis]
    return honest.inverse_phase_shift(np.take(x, range(kept), axis=axis), scale, order=order, data_format=data_format)


def _any_float_of_numpy(operation: Shift) -> Shift:
    def shift(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
        whole = tuple(int(r) if isinstance(r, np.floating) else r for r in scale) if isinstance(scale, tuple) else scale
        return operation(x, whole, **options)

    return shift


def _where(when: str, wrong: Shift, right: Shift) -> Shift:
    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        taken = wrong if WHEN[when].holds(Seen(x, scale, order, data_format, False)) else right
        return taken(x, scale, order=order, data_format=data_format)

    return shift


def mutants() -> tuple[Mutant, ...]:
    """Return all; one that is a pair and has been named is one."""
    return tuple({mutant.name: mutant for mutant in (*named(), *pairs())}.values())
