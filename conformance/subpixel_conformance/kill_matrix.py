"""The kill matrix: which clause catches which mutant, as a record (JSON) and, made from the record, as a page of the documentation.

``python -m subpixel_conformance.kill_matrix docs/evidence/kill-matrix.json --out docs/kill-matrix.md --judge`` runs the selftest and writes
both; without ``--judge`` only the page is made anew.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .clauses import clauses
from .mutants.dishonest import NOT_JUDGED
from .selftest import WITHOUT_A_MUTANT, Finding, SelftestReport, selftest

Record = Mapping[str, Any]

_INTRODUCTION = """\
A verdict is worth what the suite can catch. So the suite is put to implementations that are wrong on purpose (*mutants*), which it must
reject, each by the clauses that it breaks and by no others, and to implementations that are right in another way (*null mutants*), which it
must pass. `subpixel selftest` does that, and fails otherwise. `make kill-matrix` writes this page; a test of every mutant compares what it
finds with it.
"""
_FIRST = """\
A clause catches a mutant **first** when it is the clause of the verdict on the earliest case that fails, in the sequence of the suite
(profile `full`): the primary clause of the case, or EX-003 where a tensor lies on another device.
"""


def entry(finding: Finding) -> dict[str, Any]:
    """Return what the record holds of one mutant: the clauses that fail, in the sequence of the suite, the first catcher first."""
    return {"name": finding.name, "fails": list(finding.failing), "history": finding.history, "quick": finding.quick}


def record(report: SelftestReport) -> dict[str, Any]:
    """Return the record of a selftest.

    Raises
    ------
    ValueError
        If it did not pass.
    """
    if not report.passed or report.rearranged is None:
        wrong = [finding.name for finding in report.findings if not finding.passed]
        raise ValueError(f"the selftest must pass before it is recorded; got {', '.join([*wrong, *report.amiss]) or 'no rearrangements'}")
    tally = report.rearranged
    return {
        "mutants": [entry(finding) for finding in report.mutants],
        "nulls": [finding.name for finding in report.nulls],
        "rearrangements": {"at_once": tally.at_once, "later": tally.later, "claimed": tally.claimed},
    }


def page(found: Record) -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Record) -> Iterator[str]:
    mutants, nulls, rearranged = found["mutants"], found["nulls"], found["rearrangements"]
    required = [clause for clause in clauses().values() if clause.level == "MUST"]
    yield "# The kill matrix"
    yield ""
    wrong = rearranged["at_once"] + rearranged["later"]
    yield _INTRODUCTION
    yield f"- {len(mutants)} mutants, all rejected, by the right clauses; {len(nulls)} null mutants, all passed."
    yield f"- {len(required)} clauses that say MUST, each the first to catch some mutant."
    yield f"- The profile `quick`, a first look of seconds, rejects {sum(mutant['quick'] for mutant in mutants)} of them; `full` all."
    yield (
        f"- {wrong:,} wrong rearrangements of two-dimensional tensors, all rejected: every way to read a tensor as six axes, to transpose "
        "these and to merge them (720 · 720), under every claim of an order and a data format (8), less the order itself, which can be "
        f"written in {rearranged['claimed']} ways in all. The first case of the claim rejects all but {rearranged['later']}; those, "
        "other cases of the order do."
    )
    yield ""
    yield _FIRST
    yield "## By clause"
    yield ""
    yield "| clause | catches first | fails for, too |"
    yield "|---|---|---|"
    for clause in required:
        first = [mutant["name"] for mutant in mutants if mutant["fails"][0] == clause.id]
        also = [mutant["name"] for mutant in mutants if clause.id in mutant["fails"][1:]]
        shown = " · ".join(first) or WITHOUT_A_MUTANT.get(clause.id, "–")
        yield f"| [{clause.id}](spec/{clause.file}) | {shown} | {' · '.join(also) or '–'} |"
    yield ""
    yield "## By mutant"
    yield ""
    yield "The first clause is the one that catches it first; the others fail too, in the sequence of the suite."
    yield ""
    yield "| mutant | clauses that fail | seen in |"
    yield "|---|---|---|"
    for mutant in mutants:
        first, *rest = mutant["fails"]
        yield f"| {mutant['name']} | {', '.join([f'**{first}**', *rest])} | {mutant['history']} |"
    yield ""
    yield "## Null mutants"
    yield ""
    yield from (f"- {name}" for name in nulls)
    yield ""
    yield "## What is not judged"
    yield ""
    yield "Some things cannot be told from an honest implementation by what comes out:"
    yield ""
    yield from (f"- *{what}*: {reason}." for what, reason in NOT_JUDGED.items())
    if WITHOUT_A_MUTANT:
        yield ""
        yield from (f"- {clause}: {reason}." for clause, reason in WITHOUT_A_MUTANT.items())


def main(arguments: list[str] | None = None) -> int:
    """Write the page, and the record before it where ``--judge`` is given."""
    parser = argparse.ArgumentParser(prog="kill_matrix", description="Which clause catches which mutant.")
    parser.add_argument("record", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--judge", action="store_true", help="run the selftest and write the record")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.judge:
        options.record.write_text(json.dumps(record(selftest(jobs=options.jobs)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    options.out.write_text(page(json.loads(options.record.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
