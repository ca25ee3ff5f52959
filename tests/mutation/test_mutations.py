"""What is changed, and what is left alone. `make mutation` runs these first; elsewhere cosmic-ray is not installed."""

import math

import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray is not installed: make mutation makes an environment of its own")

from . import run
from .mutations import mutations

MODULE = '''\
"""A module."""

from math import prod

Scale = int | tuple[int, ...]
__all__ = ["call"]


def call(x: int | None, *, least: int = 2) -> "str":
    """Do it."""
    check(x, most=3, least=least)
    if x not in (5,):
        raise ValueError(f"x must be 5; got {x}")
    return [a for a, b in zip(x, x, strict=True)]
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("core") / "module.py"
    path.write_text(MODULE)
    return list(mutations(path))


def test_every_change_is_one_of_these(found):
    assert {(m.operator, m.after) for m in found} == {
        ("NumberReplacer", 'def call(x: int | None, *, least: int = 3) -> "str":'),
        ("NumberReplacer", 'def call(x: int | None, *, least: int = 1) -> "str":'),
        ("NumberReplacer", "check(x, most= 4, least=least)"),
        ("NumberReplacer", "check(x, most= 2, least=least)"),
        ("NumberReplacer", "if x not in ( 6,):"),
        ("NumberReplacer", "if x not in ( 4,):"),
        ("AddNot", "if not x not in (5,):"),
        ("StatementRemover", "None"),
        ("ArgumentRemover", "check(x, least=least)"),
        ("ArgumentRemover", "check(x, most=3,)"),
        ("MembershipReplacer", "if x in (5,):"),
        ("TextReplacer", 'raise ValueError(f"XXx must be 5; got {x}")'),
        ("TextReplacer", 'raise ValueError(f"x must be 5; got XX{x}")'),
    }


def test_a_change_names_its_place_and_the_lines_that_show_it_to_run(found):
    assert {(m.line, m.where, m.reached_by) for m in found} == {
        (9, "call", (10, 14)),
        (11, "call", (11, 11)),
        (12, "call", (12, 12)),
        (13, "call", (13, 13)),
    }


def test_every_changed_module_is_another_one_that_compiles(found):
    sources = [m.source for m in found]
    assert len({*sources, MODULE}) == len(sources) + 1
    assert all(compile(source, "module.py", "exec") for source in sources)


def test_a_change_is_judged_by_what_reaches_it_and_by_everything_where_nothing_does(found):
    reach = run.Reach()
    reach.add("slow", 2.0, {("module.py", 12), ("module.py", 13)})
    reach.add("quick", 1.0, {("module.py", 13), ("other.py", 11)})
    asked = {m.line: reach.of(m) for m in found}
    assert asked == {9: ["quick", "slow"], 11: ["quick", "slow"], 12: ["slow"], 13: ["quick", "slow"]}


def test_a_sample_is_the_same_every_time_and_says_of_how_many(found, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(MODULE)
    number, every_third = run.drawn(path, 3)
    assert (number, len(every_third)) == (len(found), -(-len(found) // 3))
    assert run.drawn(path, 3)[1] == every_third
    assert {m.source for m in run.drawn(path, 1)[1]} == {m.source for m in found}


def test_after_its_time_no_mutation_is_begun(found):
    assert [*run.until(math.inf, found)] == found
    assert [*run.until(-math.inf, found)] == []


def test_what_is_rejected_now_is_counted_by_what_rejects_it_and_the_rest_survives(found):
    survivors = [{name: getattr(m, name) for name in ("file", "line", "where", "operator", "before", "after")} for m in found[:3]]
    counts = {"case": 5, "test": 1, "survived": 3}
    left = run.again(counts, survivors, [(found[0], "test a::b"), (found[1], ""), (found[2], "case PS-001")])
    assert left == [survivors[1]]
    assert counts == {"case": 6, "test": 2, "survived": 1}
