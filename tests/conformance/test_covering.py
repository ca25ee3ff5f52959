"""A covering array has every combination that it promises, in far fewer rows than there are."""

from itertools import combinations, product
from math import prod

import pytest

from subpixel_conformance.covering import covering_array

LEVELS = {"order": "abcd", "format": "ef", "ndim": [1, 2, 3], "dtype": range(7), "batch": [0, 1], "only": ["one"]}


@pytest.mark.parametrize(("strength", "at_most"), [(1, 7), (2, 30), (3, 100)])
def test_every_combination_is_in_some_row(strength, at_most):
    rows = covering_array(LEVELS, strength)
    for names in combinations(LEVELS, strength):
        found = {tuple(row[name] for name in names) for row in rows}
        assert found == set(product(*(LEVELS[name] for name in names)))
    assert len(rows) <= at_most < prod(len(values) for values in LEVELS.values())


def test_fewer_factors_than_the_strength_are_all_combined():
    rows = covering_array({"order": "ab", "ndim": [1, 2, 3]}, 3)
    assert sorted((row["order"], row["ndim"]) for row in rows) == list(product("ab", [1, 2, 3]))
