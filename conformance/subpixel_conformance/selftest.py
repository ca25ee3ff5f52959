"""The suite against implementations that are wrong on purpose, and against some that are right in another way.

A mutant must fail, by every clause that it declares, and by no clause but those and the few that it names as consequences: so a red cell
says what is wrong, not only that something is. A null mutant must pass everything that it claims.

A clause catches a mutant *first* when it is the clause of the verdict on the earliest case, in the sequence of the suite, that fails: the
primary clause of the case, or EX-003 where a tensor lies elsewhere. Every clause that says MUST has to catch some mutant first. And of all
ways to split, transpose and merge a tensor (`mutants.rearrangements`), none but the order itself may pass.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from .case import Case, claims_of
from .cases import all_cases, cases_for
from .clauses import clauses
from .judge import Watched, judge
from .mutants import Mutant, all_mutants
from .mutants.rearrangements import Tally, tally
from .nulls import all_nulls

Progress = Callable[[str, int, int], None]

WITHOUT_A_MUTANT: Mapping[str, str] = {}
"""Clauses that say MUST and that no mutant can break before another clause, each with the reason. There are none."""


@dataclass(frozen=True)
class Finding:
    """What became of one mutant, or of one null mutant (``violates`` is empty there).

    ``failing`` maps the primary clause of every case that failed to the first such case, in the sequence of the suite; ``missed`` are
    declared clauses without a failing case, ``unexpected`` clauses that fail though they are not declared. ``quick`` is whether a case
    of the quick profile fails too.
    """

    name: str
    violates: frozenset[str]
    failing: Mapping[str, str]
    missed: frozenset[str]
    unexpected: frozenset[str]
    judged: int
    history: str = ""
    quick: bool = False

    @property
    def first(self) -> str | None:
        """The clause that catches it first, or None where nothing fails."""
        return next(iter(self.failing), None)

    @property
    def null(self) -> bool:
        """Whether this is an implementation that must pass."""
        return not self.violates

    @property
    def passed(self) -> bool:
        """Whether the suite did what it must: it judged something, and its diagnosis is right."""
        return self.judged > 0 and not self.missed and not self.unexpected


@dataclass(frozen=True)
class SelftestReport:
    """The findings, mutants first.

    ``required`` are the clauses that must catch a mutant first, ``rearranged`` what became of the generated rearrangements, where they
    were judged.
    """

    findings: tuple[Finding, ...]
    required: frozenset[str] = frozenset()
    rearranged: Tally | None = None

    @property
    def passed(self) -> bool:
        """Whether every mutant was caught by the right clauses, every null mutant is clean, and no clause or rearrangement is amiss."""
        findings = bool(self.findings) and all(finding.passed for finding in self.findings)
        return findings and not self.amiss

    @property
    def amiss(self) -> tuple[str, ...]:
        """What is wrong beyond the findings, a line for each."""
        caught = {finding.first for finding in self.mutants if finding.passed and finding.first is not None}
        lines = [f"{clause} catches no mutant first" for clause in sorted(self.required - caught - set(WITHOUT_A_MUTANT))]
        lines += [f"{clause} catches a mutant first, and is listed as one that cannot" for clause in sorted(caught & set(WITHOUT_A_MUTANT))]
        if self.rearranged is not None and not self.rearranged.passed:
            survivors = [f"{one.split} -> {one.merged} for {order}, {layout}" for (order, layout), one in self.rearranged.survivors]
            lines.append(f"rearrangements that are no order pass: {'; '.join(survivors[:3]) or 'or an order does not'}")
        return tuple(lines)

    @property
    def mutants(self) -> tuple[Finding, ...]:
        """The findings on wrong implementations."""
        return tuple(finding for finding in self.findings if not finding.null)

    @property
    def nulls(self) -> tuple[Finding, ...]:
        """The findings on right ones."""
        return tuple(finding for finding in self.findings if finding.null)


def examine(adapter: Any, cases: tuple[Case, ...], mutant: Mutant | None = None) -> Finding:
    """Return what the cases find in one mutant, or, without one, in an adapter that must pass."""
    device = next(iter(adapter.devices()))
    failing: dict[str, str] = {}
    judged, quick = 0, False
    at_once = {case.id for case in cases_for(claims_of(adapter), "quick")}
    watched: Any = Watched(adapter, device)
    for case in cases:
        result = judge(case, watched, device)
        judged += result.status in ("pass", "fail", "error")
        if result.status in ("fail", "error"):
            failing.setdefault(result.clauses[0], f"{case.id}: {result.message}")
            quick = quick or case.id in at_once
    violates = frozenset() if mutant is None else mutant.violates
    tolerated = violates if mutant is None else violates | mutant.also
    name, history = (adapter.name, "") if mutant is None else (mutant.name, mutant.history)
    return Finding(name, violates, failing, violates - set(failing), frozenset(failing) - tolerated, judged, history, quick)


def selftest(progress: Progress | None = None, jobs: int = 1) -> SelftestReport:
    """Judge every mutant, every null mutant and every rearrangement by the cases of the full profile, in ``jobs`` processes.

    ``progress(name, done, total)`` is called after each.
    """
    total = len(all_mutants()) + len(all_nulls())
    required = frozenset(clause.id for clause in clauses().values() if clause.level == "MUST")
    if jobs == 1:
        return SelftestReport(_told(map(_finding, range(total)), total, progress), required, _rearranged())
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        rearranged = pool.submit(_rearranged)
        return SelftestReport(_told(pool.map(_finding, range(total)), total, progress), required, rearranged.result())


def _rearranged() -> Tally:
    return tally(all_cases())


def _finding(number: int) -> Finding:
    """Return the finding on one implementation, counted over the mutants and then the null mutants."""
    wrong = all_mutants()
    if number < len(wrong):
        return examine(wrong[number].adapter, cases_for(claims_of(wrong[number].adapter)), wrong[number])
    right = all_nulls()[number - len(wrong)]
    return examine(right, cases_for(claims_of(right)))


def _told(findings: Iterable[Finding], total: int, progress: Progress | None) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for finding in findings:
        found.append(finding)
        if progress is not None:
            progress(finding.name, len(found), total)
    return tuple(found)
