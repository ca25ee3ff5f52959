"""Every way to split, transpose and merge in two dimensions: what has the right shape and is not the order asked for must be rejected.

A rearrangement reads a tensor as an array with the six extents n, h, w, i, j, c in some sequence, whatever they are in the tensor,
transposes these six axes in some way, and merges them to the shape of the output: 720 · 720 functions. They are the same for both data
formats, since a tensor is read in the sequence of its memory; so spatial axes, batch, blocks and channels are mixed up in every way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Any

import numpy as np

from ..adapter import DATA_FORMATS, ORDERS
from ..case import Case
from ..cases.shift import CLAUSE_OF_ORDER, Call

AXES = "nhwijc"
Claim = tuple[str, str]
"""An order and a data format."""


@dataclass(frozen=True)
class Rearrangement:
    """One of them: the six axes as they are split, and as they are merged."""

    split: str
    merged: str

    def of(self, call: Call, x: np.ndarray) -> np.ndarray:
        """Return ``x`` rearranged, without its shape."""
        return self.flat(extents(call), x)

    def flat(self, sizes: dict[str, int], x: np.ndarray) -> np.ndarray:
        """Return the values of ``x`` in the new sequence."""
        return x.reshape([sizes[axis] for axis in self.split]).transpose([self.split.index(axis) for axis in self.merged]).reshape(-1)


@dataclass(frozen=True)
class Tally:
    """What became of all rearrangements under all claims.

    ``at_once`` were rejected by the first case of their claim, ``later`` by another one, ``claimed`` are the order itself, in one of the
    ways to write it, and ``survivors`` are neither.
    """

    at_once: int
    later: int
    claimed: int
    survivors: tuple[tuple[Claim, Rearrangement], ...]

    @property
    def passed(self) -> bool:
        """Whether each was rejected, but for those that are the order: at least one for every claim."""
        return not self.survivors and self.claimed >= len(ORDERS) * len(DATA_FORMATS) and self.at_once > 0

    @property
    def rejected(self) -> int:
        """The number of wrong rearrangements."""
        return self.at_once + self.later


def extents(call: Call) -> dict[str, int]:
    """Return the extents of the six axes."""
    return dict(zip(AXES, (prod(call.batch), *call.spatial, *call.scale, call.channels), strict=True))


def all_rearrangements() -> Iterator[Rearrangement]:
    """Yield every one."""
    for split in permutations(AXES):
        for merged in permutations(AXES):
            yield Rearrangement("".join(split), "".join(merged))


def geometries(cases: tuple[Case, ...]) -> dict[Claim, list[Call]]:
    """Return the calls that judge each claim in two dimensions with one batch axis, in the sequence of the suite."""
    found: dict[Claim, list[Call]] = {}
    for case in cases:
        check: Any = case.check
        call = getattr(check, "keywords", {}).get("call")
        if not isinstance(call, Call) or case.clauses[0] != CLAUSE_OF_ORDER[call.order] or "color" in check.keywords:
            continue
        if len(call.scale) == 2 and len(call.batch) == 1 and call.dtype == "float32":
            found.setdefault((call.order, call.data_format), []).append(call)
    return found


def _labels(call: Call) -> np.ndarray:
    return np.arange(prod(call.shape), dtype=np.int32)


def _expected(call: Call) -> np.ndarray:
    return call.expected(_labels(call).reshape(call.shape)).reshape(-1)


def tally(cases: tuple[Case, ...], candidates: Callable[[], Iterator[Rearrangement]] = all_rearrangements) -> Tally:
    """Judge every rearrangement under every claim by the cases of the order, until the first that it fails.

    All claims have the same first extents, so that a rearrangement is computed once for all of them.

    Raises
    ------
    ValueError
            If the first cases of the claims have different extents or equal results, or a claim has no case.
    """
    judged = geometries(cases)
    first = {claim: calls[0] for claim, calls in judged.items()}
    claims = len(ORDERS) * len(DATA_FORMATS)
    if len(first) != claims or len({tuple(extents(call).values()) for call in first.values()}) != 1:
        raise ValueError(f"every order and format must have cases that begin with the same extents; got {first}")
    sizes = extents(next(iter(first.values())))
    wanted = {_expected(call).tobytes(): claim for claim, call in first.items()}
    if len(wanted) != claims:
        raise ValueError(f"the first extents must tell every claim from the others; got {len(wanted)} results for {claims} claims")
    labels = _labels(next(iter(first.values())))
    answers = {call: _expected(call) for calls in judged.values() for call in calls[1:]}
    at_once, later, claimed, survivors = 0, 0, 0, []
    for candidate in candidates():
        claim = wanted.get(candidate.flat(sizes, labels).tobytes())
        at_once += len(first) - (claim is not None)
        if claim is None:
            continue
        rest = judged[claim][1:]
        if any(not np.array_equal(candidate.of(call, _labels(call)), answers[call]) for call in rest):
            later += 1
        elif _is(candidate, claim):
            claimed += 1
        else:
            survivors.append((claim, candidate))
    return Tally(at_once, later, claimed, tuple(survivors))


def _is(candidate: Rearrangement, claim: Claim) -> bool:
    """Whether a rearrangement is the order for any extents: it is for six that have no factor in common."""
    call = Call("phase_shift", (5, 7), claim[0], claim[1], (2,), (3, 11), 13)
    return np.array_equal(candidate.of(call, _labels(call)), _expected(call))
