"""Which combinations to judge, where all of them are too many: a covering array.

What goes wrong in an implementation is seldom set off by more than two or three circumstances at once: this dtype with that memory, this
order with that number of axes (Kuhn, Wallace and Gallo 2004, *Software fault interactions and implications for software testing*, IEEE
Transactions on Software Engineering 30(6)). An array of strength t has, for every t factors, each combination of their levels in some row.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations, product
from typing import Any


def covering_array(levels: Mapping[str, Sequence[Any]], strength: int) -> list[dict[str, Any]]:
    """Return rows, one level of every factor each, that have every combination of the levels of any ``strength`` factors.

    Greedy: a row starts from a combination that is missing, and takes for each further factor the level that adds most (Cohen, Dalal,
    Fredman and Patton 1997, *The AETG system*, IEEE Transactions on Software Engineering 23(7)). The same levels give the same rows.

    Examples
    --------
    >>> for row in covering_array({"order": ["DCR", "CRD"], "ndim": [1, 2], "dtype": ["int8", "bool"]}, 2):
    ...     print(*row.values())
    DCR 1 int8
    DCR 2 bool
    CRD 1 bool
    CRD 2 int8
    """
    counts = tuple(len(values) for values in levels.values())
    return [{name: values[i] for (name, values), i in zip(levels.items(), row, strict=True)} for row in _rows(counts, strength)]


@lru_cache(maxsize=64)
def _rows(counts: tuple[int, ...], strength: int) -> tuple[tuple[int, ...], ...]:
    factors = range(len(counts))
    missing = {
        frozenset(zip(chosen, at, strict=True))
        for chosen in combinations(factors, min(strength, len(counts)))
        for at in product(*(range(counts[factor]) for factor in chosen))
    }
    order = sorted(missing, key=sorted)
    rows: list[tuple[int, ...]] = []
    for first in order:
        if first not in missing:
            continue
        row = dict(first)
        for factor in factors:
            if factor in row:
                continue
            others = [frozenset(some) for some in combinations(row.items(), strength - 1)]
            added = [sum(other | {(factor, level)} in missing for other in others) for level in range(counts[factor])]
            turned = [(level + len(rows)) % counts[factor] for level in range(counts[factor])]  # of equals, another one in every row
            row[factor] = max(turned, key=added.__getitem__)
        missing -= {frozenset(some) for some in combinations(row.items(), strength)}
        rows.append(tuple(row[factor] for factor in factors))
    return tuple(rows)
