"""The suite rejects what is wrong, by the right clauses, and accepts what is right in another way."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from subpixel_conformance import kill_matrix
from subpixel_conformance.case import claims_of
from subpixel_conformance.cases import all_cases, cases_for
from subpixel_conformance.clauses import clauses
from subpixel_conformance.mutants import all_mutants, init, shift
from subpixel_conformance.mutants.honest import Honest
from subpixel_conformance.mutants.mutant import Mutant
from subpixel_conformance.nulls import all_nulls
from subpixel_conformance.selftest import WITHOUT_A_MUTANT, Finding, SelftestReport, examine

DOCS = Path(__file__).resolve().parents[2] / "docs"
RECORD = json.loads((DOCS / "evidence" / "kill-matrix.json").read_text(encoding="utf-8"))
RECORDED = {entry["name"]: entry for entry in RECORD["mutants"]}


GENERATED = [mutant for mutant in all_mutants() if ": " in mutant.name]
"""One mistake under each pair of circumstances: hundreds of a kind."""


@pytest.mark.parametrize(
    "mutant", [mutant for mutant in all_mutants() if mutant not in GENERATED] + GENERATED[::4], ids=lambda mutant: mutant.name
)
def test_a_mutant_is_caught_by_the_clauses_that_it_violates(mutant):
    """Put to the quick cases, and to all of the clauses that it fails for by the record; ``make kill-matrix`` puts all to all."""
    fails = RECORDED.get(mutant.name, {"fails": ()})["fails"]
    quick = {case.id for case in cases_for(claims_of(mutant.adapter), "quick")}
    chosen = tuple(case for case in cases_for(claims_of(mutant.adapter)) if not fails or set(case.clauses) & set(fails) or case.id in quick)
    finding = examine(mutant.adapter, chosen, mutant)
    assert finding.missed == set()
    assert {clause: finding.failing[clause] for clause in finding.unexpected} == {}
    assert finding.passed
    assert RECORDED[mutant.name] == kill_matrix.entry(finding), "make kill-matrix writes the record anew"


@pytest.mark.parametrize("adapter", all_nulls(), ids=lambda adapter: adapter.name)
def test_a_correct_implementation_of_another_kind_passes(adapter):
    finding = examine(adapter, cases_for(claims_of(adapter)))
    assert dict(finding.failing) == {}
    assert finding.judged > 10


def test_there_are_the_mutants_that_were_promised():
    assert len(list(shift.wrong_shifts())) >= 18
    assert len([mutant for mutant in init.mutants() if mutant.violates & {"IC-001", "IC-002", "IC-003", "IC-004"}]) >= 8
    assert len(all_mutants()) >= 80
    assert len(all_nulls()) >= 12
    names = [mutant.name for mutant in all_mutants()] + [adapter.name for adapter in all_nulls()]
    assert len(set(names)) == len(names)


def required():
    return {clause.id for clause in clauses().values() if clause.level == "MUST"}


def test_every_must_clause_is_violated_by_a_mutant():
    declared = set().union(*(mutant.violates for mutant in all_mutants()))
    assert declared == required()


def test_every_must_clause_is_the_first_catcher_of_a_mutant_or_listed_with_the_reason():
    first = {entry["fails"][0] for entry in RECORD["mutants"]}
    assert required() - first == set(WITHOUT_A_MUTANT)
    assert all(WITHOUT_A_MUTANT.values())


# --- the kill matrix ---


def test_the_record_is_of_these_mutants_and_null_mutants():
    assert [entry["name"] for entry in RECORD["mutants"]] == [mutant.name for mutant in all_mutants()]
    assert RECORD["nulls"] == [adapter.name for adapter in all_nulls()]


def test_the_page_is_made_of_the_record(tmp_path):
    assert kill_matrix.main([str(DOCS / "evidence" / "kill-matrix.json"), "--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == (DOCS / "kill-matrix.md").read_text(encoding="utf-8")


def test_the_page_shows_who_catches_what_first():
    one = {"name": "a", "fails": ["PS-001", "IP-002"], "history": "somewhere", "quick": True}
    entries = [one, {"name": "b", "fails": ["IP-002"], "history": "", "quick": False}]
    numbers = {"at_once": 7, "later": 2, "claimed": 1}
    lines = kill_matrix.page({"mutants": entries, "nulls": ["right"], "rearrangements": numbers}).splitlines()
    assert "| [IP-002](spec/phase-shift.md) | b | a |" in lines
    assert "| [PS-001](spec/phase-shift.md) | a | – |" in lines
    assert "| a | **PS-001**, IP-002 | somewhere |" in lines


def test_a_selftest_that_did_not_pass_is_not_recorded():
    bad = Finding("bad", frozenset({"PS-001"}), {}, frozenset({"PS-001"}), frozenset(), judged=3)
    with pytest.raises(ValueError, match="must pass before it is recorded; got bad"):
        kill_matrix.record(SelftestReport((bad,)))


# --- the selftest can fail ---


def some_cases():
    return tuple(case for case in all_cases() if case.needs.ndim == 2 and case.clauses[0] in ("PS-001", "PS-002", "IP-002"))


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


def test_the_report_demands_a_mutant_that_every_clause_catches_first():
    failing = {"PS-001": "a case", "IP-002": "a later case"}
    good = Finding("good", frozenset({"PS-001", "IP-002"}), failing, frozenset(), frozenset(), judged=3)
    assert good.first == "PS-001"
    assert SelftestReport((good,), frozenset({"PS-001"})).passed
    report = SelftestReport((good,), frozenset({"PS-001", "IP-002"}))
    assert not report.passed
    assert report.amiss == ("IP-002 catches no mutant first",)
    wrongly_diagnosed = replace(good, unexpected=frozenset({"IP-002"}))
    assert SelftestReport((wrongly_diagnosed,), frozenset({"PS-001"})).amiss == ("PS-001 catches no mutant first",)
