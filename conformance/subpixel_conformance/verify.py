"""Whether a report is whole and says what its own results say.

This finds damage: a report cut short, a status or a verdict changed, a result dropped. It does not find forgery: whoever changes a report
and makes its counts and its checksum anew has a report that is whole. Trust in where it came from has to come from elsewhere.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from subpixel_conformance import report
from subpixel_conformance.child import plain
from subpixel_conformance.json_lines import assembled
from subpixel_conformance.result import Result
from subpixel_conformance.runner import Case, Missing, Outcome, Run
from subpixel_conformance.schema import problem

PLANNED = Case("", (), "")
"""Stands for a planned case: a report says how many there were."""
LINES = {"header": "header", "run": "run_line", "result": "result_line", "revised": "revised_line", "footer": "footer"}
"""The definition of the schema that each type of line must fit."""


class ReportError(ValueError):
    """The report is refused. The text is one line that names what is wrong."""


def verified(path: Path) -> dict[str, Any]:
    """Return the document that a JSON or JSON Lines report holds, every check passed.

    Raises
    ------
    OSError
        Where the file cannot be read.
    ReportError
        Where it is cut short, is no report, or does not follow from its own results.
    """
    document = consistent(path)
    for number, run in enumerate(document["runs"]):
        planned, told = run["planned"], len(run["results"])
        if planned != told:
            raise ReportError(f"{_name(number, run)}: every planned case must have a result; {planned} were planned, and {told} have one")
    return document


UNFINISHED = "the report was not finished"
"""The error of every run in a document of `consistent` that was made of JSON Lines without a footer."""


def consistent(path: Path, unfinished: bool = False) -> dict[str, Any]:
    """Return the document that a report holds, which may tell of runs that were not finished. Raises as `verified` does.

    With ``unfinished``, JSON Lines without a footer are taken as far as they are whole: every run ends with the error `UNFINISHED`.
    """
    document = read(path, unfinished)
    wrong = next(contradictions(document), None)
    if wrong is not None:
        raise ReportError(wrong)
    return document


def read(path: Path, unfinished: bool = False) -> dict[str, Any]:
    """Return the document that a report holds, its structure checked and nothing else. Raises as `verified` does.

    ``unfinished`` takes JSON Lines without a footer too.
    """
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if error.end != len(data):
            raise ReportError(f"it must be UTF-8; {error}") from error
        text = data.decode(errors="replace")  # cut short in a letter
    if not text.strip():
        raise ReportError("it is empty")
    first = text.split("\n", 1)[0]
    try:
        starts_with_a_line = "type" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        starts_with_a_line = False
    return _lines(text, unfinished) if starts_with_a_line else _whole(text)


def _whole(text: str) -> dict[str, Any]:
    try:
        document = _parsed(text, "it")
    except ReportError:
        raise
    except ValueError as error:
        raise ReportError(f"it is cut short, or no JSON: {error}") from error
    _demand(document, "document", "it")
    return dict(document)


def _lines(text: str, unfinished: bool) -> dict[str, Any]:
    lines: list[Any] = []
    written = text.removesuffix("\n").split("\n")
    for number, line in enumerate(written, 1):
        try:
            value = _parsed(line, f"line {number}")
        except ReportError:
            raise
        except ValueError as error:
            if number == len(written) > 1:
                if unfinished and lines[-1]["type"] != "footer":
                    break
                raise ReportError(f"it is cut short in line {number}{_whole_before(lines)}") from error
            raise ReportError(f"line {number} is no JSON: {error}") from error
        kind = value.get("type") if isinstance(value, dict) else None
        if number == 1 and kind != "header":
            raise ReportError(f"line 1 must be the header; got {kind}")
        if kind == "footer" and number != len(written):
            raise ReportError(f"line {number} is the footer, and must be the last of {len(written)} lines")
        if kind == "header" and number != 1:
            raise ReportError(f"line {number} is a header, and line 1 is one already")
        _demand(value, LINES.get(str(kind), "result_line"), f"line {number}")
        lines.append(value)
    if lines[-1]["type"] != "footer":
        if unfinished:
            return _without_footer(lines)
        raise ReportError(f"it has no footer, so it was not finished or is cut short after line {len(lines)}{_whole_before(lines)}")
    try:
        return assembled(lines)
    except ValueError as error:
        raise ReportError(str(error)) from error


def _without_footer(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document of lines that break off: what follows from the results that are there, every run with an error."""
    begun = [line for line in lines if line["type"] == "run"]
    tails = [
        report.tail(Run(line["adapter"], "", line["counted"], planned=[PLANNED] * line["planned"], error=UNFINISHED)) for line in begun
    ]
    footer = {"type": "footer", "runs": tails, "missing": [], "exhibit_absent": UNFINISHED, "known_failures_amiss": []}
    try:
        document = assembled([*lines, footer])
    except ValueError as error:
        raise ReportError(str(error)) from error
    outcome = restored(document)
    for run, found in zip(document["runs"], outcome.runs, strict=True):
        run.update(report.tail(found))
    return report.sealed(plain(document | report.conclusion(outcome)))


def _whole_before(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return what a file holds before it breaks off, to be put behind where that is."""
    planned = sum(line["planned"] for line in lines if line["type"] == "run")
    counts = Counter(line["status"] for line in lines if line["type"] == "result")
    said = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in counts.items())
    whole = "1 result is whole" if counts.total() == 1 else f"{counts.total()} results are whole"
    return f"; before that {whole}, of {planned} planned in the runs that began{f': {said}' if said else ''}"


def _parsed(text: str, where: str) -> Any:
    """Return what JSON holds. Raises ReportError for a key that is there twice, of which readers take one or the other."""

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
            raise ReportError(f"{where}: a key must be there once; {twice!r} is there more often")
        return found

    def refused(name: str) -> NoReturn:
        raise ValueError(f"{name} is no JSON number")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refused)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


@cache
def schema() -> Mapping[str, Any]:
    """Return the schema of reports."""
    return dict(json.loads(report.SCHEMA_FILE.read_text(encoding="utf-8")))


def _demand(value: Any, definition: str, where: str) -> None:
    found = problem(value, schema()["$defs"][definition], schema())
    if found is not None:
        raise ReportError(found if where == "it" else f"{where}: {found}")


# --- what follows from the results ---


def contradictions(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what does not follow from the results, one line each, the checksum last."""
    outcome = restored(document)
    for number, (run, said) in enumerate(zip(outcome.runs, document["runs"], strict=True)):
        name = _name(number, said)
        twice = [case for case, times in Counter(result.case for result in run.results).items() if times > 1]
        if twice:
            yield f"{name}: a case must be there once; {twice[0]} is there {Counter(result.case for result in run.results)[twice[0]]} times"
        for key in ("ran", "counts", "classes", "judged", "verdict"):
            yield from _differences(f"{name}: {key}", said[key], plain(report.tail(run)[key]))
    for key, follows in plain(report.conclusion(outcome)).items():
        yield from _differences(key, document[key], follows)
    if report.sealed(document)["checksum"] != document["checksum"]:
        yield "the checksum does not fit: something in the report was changed after it was written"


def _name(number: int, run: Mapping[str, Any]) -> str:
    return f"runs[{number}] ({run['adapter']} on {run['device']['name'] or 'no device'})"


def _differences(name: str, said: Any, follows: Any) -> Iterator[str]:
    if isinstance(said, dict) and isinstance(follows, dict):
        for key in dict.fromkeys((*said, *follows)):
            yield from _differences(f"{name}.{key}", said.get(key, 0), follows.get(key, 0))
    elif said != follows:
        yield f"{name} is {said}; from the results follows {follows}"


def restored(document: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a document tells of, as far as verdicts and counts depend on it."""
    names = {field.name for field in fields(Result)}
    runs = []
    for run in document["runs"]:
        results = [
            Result(**{name: value for name, value in result.items() if name in names} | {"clauses": tuple(result["clauses"])})
            for result in run["results"]
        ]
        runs.append(
            Run(
                run["adapter"],
                "",
                run["counted"],
                run["device"]["name"],
                planned=[PLANNED] * int(run["planned"]),
                results=results,
                exhibits=run["exhibits"],
                error=run["error"],
            )
        )
    missing = tuple(Missing(**{field.name: entry[field.name] for field in fields(Missing)}) for entry in document["missing"])
    return Outcome(document["profile"], tuple(runs), missing, amiss=tuple(document["known_failures_amiss"]))
