"""The suite rejects what is wrong, by the right clauses, and accepts what is right in another way."""

import pytest

from subpixel_conformance.cases import all_cases
from subpixel_conformance.clauses import clauses
from subpixel_conformance.mutants import all_mutants, init, shift
from subpixel_conformance.mutants.honest import Honest
from subpixel_conformance.mutants.mutant import Mutant
from subpixel_conformance.nulls import all_nulls
from subpixel_conformance.selftest import Finding, SelftestReport, examine


@pytest.mark.parametrize("mutant", all_mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught_by_the_clauses_that_it_violates(mutant):
    finding = examine(mutant.adapter, all_cases("quick"), mutant)
    assert finding.missed == set()
    assert {clause: finding.failing[clause] for clause in finding.unexpected} == {}
    assert finding.passed


@pytest.mark.parametrize("adapter", all_nulls(), ids=lambda adapter: adapter.name)
def test_a_correct_implementation_of_another_kind_passes(adapter):
    finding = examine(adapter, all_cases("quick"))
    assert dict(finding.failing) == {}
    assert finding.judged > 50


def test_there_are_the_mutants_that_were_promised():
    assert len(list(shift.wrong_shifts())) >= 18
    assert len([mutant for mutant in init.mutants() if mutant.violates & {"IC-001", "IC-002", "IC-003", "IC-004"}]) >= 8
    assert len(all_nulls()) >= 5
    names = [mutant.name for mutant in all_mutants()] + [adapter.name for adapter in all_nulls()]
    assert len(set(names)) == len(names)


def test_every_must_clause_is_violated_by_a_mutant():
    required = {clause.id for clause in clauses().values() if clause.level == "MUST"}
    declared = set().union(*(mutant.violates for mutant in all_mutants()))
    assert declared == required


# --- the selftest can fail ---


def some_cases():
    return tuple(case for case in all_cases("quick") if case.needs.ndim == 2 and case.clauses[0] in ("PS-001", "PS-002", "IP-002"))


def test_a_mutant_that_is_right_is_not_caught():
    right = Honest("right", claims={"refusals": ()})
    finding = examine(right, some_cases(), Mutant("right", right, frozenset({"PS-001"})))
    assert finding.missed == {"PS-001"}
    assert not finding.passed


def test_a_mutant_that_breaks_more_than_it_declares_is_a_wrong_diagnosis():
    (wrong,) = [mutant for mutant in all_mutants() if mutant.name == "CRD for DCR"]
    finding = examine(wrong.adapter, some_cases(), Mutant(wrong.name, wrong.adapter, frozenset({"PS-001"})))
    assert finding.unexpected == {"IP-002"}
    assert not finding.passed


def test_a_null_that_is_wrong_or_judges_nothing_does_not_pass():
    (wrong,) = [mutant for mutant in all_mutants() if mutant.name == "CRD for DCR"]
    assert not examine(wrong.adapter, some_cases()).passed
    assert not examine(Honest("idle"), ()).passed


def test_the_report_passes_only_if_all_do():
    good = Finding("good", frozenset({"PS-001"}), {"PS-001": "a case"}, frozenset(), frozenset(), judged=3)
    bad = Finding("bad", frozenset({"PS-001"}), {}, frozenset({"PS-001"}), frozenset(), judged=3)
    assert SelftestReport((good,)).passed
    assert not SelftestReport((good, bad)).passed
    assert not SelftestReport(()).passed
