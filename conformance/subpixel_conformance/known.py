"""Failures that are known: a file that says which, and what becomes of results that it names.

    [[known]]
    case = "PS-009/empty-batch-CRD-channels_first-2d-2x2-float32"      # or clause = "PS-009"
    adapter = "torch-native"                                           # optional, as are device, mode and dtype
    reason = "pixel_unshuffle returns an empty batch as it came"
    link = "https://…"                                                 # optional

An entry stands for every result that it matches. Where it names a case, each of them must be wrong; where it names a clause, at least one
in every run. What is right instead is an *unexpected pass*; an entry that names nothing that the suite judges is *stale*. Both fail the
command, so that the file never says more than is true. An entry for an adapter or a device that was not asked for, for a case of a larger
profile, or for what this machine cannot run, waits.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subpixel_conformance.result import WRONG, Result

if TYPE_CHECKING:
    from subpixel_conformance.runner import Run

SUBJECTS = ("case", "clause")
RESTRICTIONS = ("adapter", "device", "mode", "dtype")
TEXTS = ("reason", "link")


@dataclass(frozen=True)
class KnownFailure:
    """One entry. ``place`` is the file with number and line, as messages name it."""

    place: str
    reason: str
    case: str | None = None
    clause: str | None = None
    adapter: str | None = None
    device: str | None = None
    mode: str | None = None
    dtype: str | None = None
    link: str = ""

    def __str__(self) -> str:
        given = [f"{name} {getattr(self, name)}" for name in (*SUBJECTS, *RESTRICTIONS) if getattr(self, name) is not None]
        return f"{self.place}: {', '.join(given)}"

    @property
    def note(self) -> str:
        """Why it is known, and where more is to be read."""
        return f"{self.reason} ({self.link})" if self.link else self.reason

    def concerns(self, run: "Run") -> bool:
        """Return whether the entry is about this adapter on this device."""
        return self.adapter in (None, run.adapter, run.name) and self.device in (None, run.device)

    def matches(self, result: Result) -> bool:
        """Return whether the entry is about this result of such a run."""
        subject = result.case == self.case if self.case is not None else self.clause in result.clauses
        return subject and self.mode in (None, result.mode) and self.dtype in (None, result.dtype)


def read(path: Path) -> tuple[KnownFailure, ...]:
    """Return the entries of a file.

    Raises
    ------
    ValueError
        In one line, with the file, the entry and its line: for what is not TOML, and for an entry that is not as described above.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8; {error}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} must be TOML: {error}") from error
    strange = sorted(set(document) - {"known"})
    if strange:
        raise ValueError(f"{path} must hold [[known]] entries and nothing else; got {', '.join(strange)}")
    tables = document.get("known", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{path} must hold [[known]] entries; got known = {tables!r}")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*known\s*\]\]", line)]
    places = [f"line {line}" for line in lines] if len(lines) == len(tables) else [""] * len(tables)
    entries = tuple(
        _entry(f"{path}, entry {number}{f' ({line})' if line else ''}", table)
        for number, (table, line) in enumerate(zip(tables, places, strict=True), 1)
    )
    first: dict[Any, KnownFailure] = {}
    for entry in entries:
        other = first.setdefault(tuple(getattr(entry, name) for name in (*SUBJECTS, *RESTRICTIONS)), entry)
        if other is not entry:
            raise ValueError(f"{entry.place} must not repeat an entry; it says the same as {other.place}")
    return entries


def _entry(place: str, table: dict[str, Any]) -> KnownFailure:
    allowed = (*SUBJECTS, *RESTRICTIONS, *TEXTS)
    for name, value in table.items():
        if name not in allowed:
            raise ValueError(f"{place} must have the keys {', '.join(allowed)}; got {name!r}")
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{place}: {name} must be a text that is not empty; got {value!r}")
    subjects = [name for name in SUBJECTS if name in table]
    if len(subjects) != 1:
        raise ValueError(f"{place} must have a case or a clause, and one of them only; got {' and '.join(subjects) or 'neither'}")
    if "reason" not in table:
        raise ValueError(f"{place} must have a reason")
    return KnownFailure(place, **table)


def apply(entries: Sequence[KnownFailure], runs: Sequence["Run"]) -> tuple[str, ...]:
    """Mark in ``runs`` what the entries name, and return what is wrong with the entries, one line each."""
    amiss: list[str] = []
    for entry in entries:
        runs_concerned = [run for run in runs if entry.concerns(run)]
        matched = [result for run in runs_concerned for result in run.results if entry.matches(result)]
        for run in runs_concerned:
            amiss += [f"{entry} passes unexpectedly: {case} on {run.adapter}, {run.device}" for case in _applied(entry, run)]
        if not matched or all(result.status == "not_claimed" for result in matched):
            reason = _stale(entry, runs_concerned, matched)
            if reason:
                amiss.append(f"{entry} is stale: {reason}")
    return tuple(amiss)


def _applied(entry: KnownFailure, run: "Run") -> Iterator[str]:
    """Mark the results of one run, and yield the cases that pass and should not."""
    places = [number for number, result in enumerate(run.results) if entry.matches(result)]
    wrong = [number for number in places if run.results[number].status in (*WRONG, "known_failure")]
    passed = [number for number in places if run.results[number].status in ("pass", "unexpected_pass")]
    for number in wrong:
        run.results[number] = replace(run.results[number], status="known_failure", known=entry.note)
    unfinished = any(run.results[number].status == "not_run" for number in places)
    if entry.case is not None or not (wrong or unfinished):
        for number in passed:
            run.results[number] = replace(run.results[number], status="unexpected_pass", known=f"{entry}: {entry.note}")
            yield run.results[number].case


def _stale(entry: KnownFailure, runs: Sequence["Run"], matched: Sequence[Result]) -> str:
    """Return why an entry names nothing that is judged, or nothing where it only waits for another call."""
    from subpixel_conformance.case import Claims, bulk_dtype
    from subpixel_conformance.cases import all_cases

    dtypes = {bulk_dtype(Claims(dtypes=run.claims.get("dtypes", ("float32",)))) for run in runs}
    cases = [case for dtype in dtypes or {"float32"} for case in all_cases("exhaustive", dtype=dtype)]
    if entry.case is not None and all(case.id != entry.case for case in cases):
        return "there is no such case"
    if entry.clause is not None and all(entry.clause not in case.clauses for case in cases):
        return "no case judges this clause"
    if matched:
        return "what it names is not claimed"
    planned = {case.id: case for run in runs for case in run.planned}
    named = [case for case in planned.values() if case.id == entry.case or entry.clause in case.clauses]
    judged = {result.case for run in runs for result in run.results if result.status != "not_run"}
    if named and all(case.id in judged for case in named):
        return "what it names is judged in no such mode or dtype"
    return ""
