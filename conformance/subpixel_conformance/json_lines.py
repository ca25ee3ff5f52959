"""The report as JSON Lines, written as the results come: a file that breaks off holds all that was found until then.

    header                 what was known before anything ran
    run                    one adapter on one device has begun: what it claims, how many cases are planned
    result                 one case of a run that has begun
    revised                what the list of known failures, applied at the end, has made of one result
    footer                 what follows from the results. A file without it was not finished

It holds what the JSON document holds: `lines` takes that apart, and `assembled` puts it together again, runs and results in the sequence
of the lines.
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from subpixel_conformance.child import plain
from subpixel_conformance.report import beginning, document, head, replace_file
from subpixel_conformance.result import Result
from subpixel_conformance.runner import Outcome, Progress, Run

HEADER = ("schema", "spec", "suite", "created", "machine", "profile", "seed", "precision")
RUN_HEAD = ("adapter", "name", "counted", "versions", "device", "claims", "modes", "precision")
REVISED = ("status", "known")


class LiveReport(Progress):
    """The file while it grows. `finish` closes it with the footer.

    What was in its place before is kept beside it, with ``.previous`` behind its name, until the footer is written. A line that cannot be
    written ends the file and not the run: `finish` raises then.

    Parameters
    ----------
    path : Path
        The file, or a device or pipe that is written to.
    profile, seed, precision
        As `subpixel_conformance.runner.conform` takes them.

    Raises
    ------
    OSError
        Where the file cannot be written.
    """

    def __init__(self, path: Path, profile: str, seed: int, precision: str) -> None:
        self._lock = threading.Lock()
        self._runs: list[Run] = []
        self._written: list[dict[str, Result]] = []
        self._failed: OSError | None = None
        self._beginning = beginning(profile, seed, precision)
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._previous = kept(path)
        if path.is_file() and path.stat().st_size and not self._previous.exists():
            os.replace(path, self._previous)
        self._stream: TextIO = open(path, "w", encoding="utf-8")  # noqa: SIM115  as long as the runs are
        self._put({"type": "header", **self._beginning})

    def advanced(self, run: Run) -> None:
        """Write what has come in since."""
        with self._lock:
            if run.planned and run.device is not None:
                number = self._number(run)
                for result in run.results[len(self._written[number]) :]:
                    self._result(number, result)

    def finished(self, run: Run) -> None:
        """Write the results that only the end of a run gives."""
        with self._lock:
            if run.device is not None or run.error:
                self._complete(run)

    def finish(self, outcome: Outcome) -> None:
        """Write what the outcome says besides, and the footer. Raises OSError where any line could not be written."""
        with self._lock:
            for run in outcome.runs:
                self._complete(run)
            for number, (run, written) in enumerate(zip(self._runs, self._written, strict=True)):
                for result in run.results:
                    if result != written[result.case]:
                        changed = {name: getattr(result, name) for name in REVISED}
                        self._put({"type": "revised", "run": number, "adapter": run.adapter, "case": result.case, **changed})
            runs = tuple(replace(run, results=self._in_sequence(number)) for number, run in enumerate(self._runs))
            *_, footer = lines(document(replace(outcome, runs=runs), self._beginning))
            self._put(footer)
            self.close()
            if self._failed is not None:
                raise self._failed
            self._previous.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Leave no file, or what was in its place before."""
        self.close()
        if self._previous.exists():
            os.replace(self._previous, self._path)
        elif self._path.is_file():
            self._path.unlink()

    def close(self) -> None:
        """Leave the file as it is."""
        with contextlib.suppress(OSError):  # a line that is still on its way has failed before
            self._stream.close()

    def _in_sequence(self, number: int) -> list[Result]:
        found = {result.case: result for result in self._runs[number].results}
        return [found[case] for case in self._written[number]]

    def _number(self, run: Run) -> int:
        """Return the number of a run, which begins it in the file where it has none."""
        for number, other in enumerate(self._runs):
            if other is run:
                return number
        self._runs.append(run)
        self._written.append({})
        self._put(run_line(len(self._runs) - 1, head(run), len(run.planned)))
        return len(self._runs) - 1

    def _complete(self, run: Run) -> None:
        number = self._number(run)
        for result in run.results:
            if result.case not in self._written[number]:
                self._result(number, result)

    def _result(self, number: int, result: Result) -> None:
        self._written[number][result.case] = result
        self._put({"type": "result", "run": number, "adapter": self._runs[number].adapter, **result.as_dict()})

    def _put(self, line: Mapping[str, Any]) -> None:
        if self._failed is None:
            try:
                self._stream.write(text_of(line))
                self._stream.flush()
            except OSError as error:
                self._failed = error


def kept(path: Path) -> Path:
    """Return where a report that was in the place of a new one is kept until that is finished."""
    return path.with_name(f"{path.name}.previous")


def write_json_lines(path: Path, outcome: Outcome) -> None:
    """Write the report of an outcome, one JSON value on each line."""
    replace_file(path, "".join(text_of(line) for line in lines(document(outcome))))


def text_of(line: Mapping[str, Any]) -> str:
    """Return one line, without any character that a reader might take for the end of one."""
    text = json.dumps(plain(line), ensure_ascii=False, allow_nan=False) + "\n"
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")


def run_line(number: int, head: Mapping[str, Any], planned: int) -> dict[str, Any]:
    """Return the line that begins a run."""
    return {"type": "run", "run": number, **head, "planned": planned}


def lines(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the header, each run with its results behind it, and the footer."""
    runs = document["runs"]
    yield {"type": "header", **{name: document[name] for name in HEADER}}
    for number, run in enumerate(runs):
        yield run_line(number, {name: run[name] for name in RUN_HEAD}, run["planned"])
        for result in run["results"]:
            yield {"type": "result", "run": number, "adapter": run["adapter"], **result}
    tails = [{name: value for name, value in run.items() if name not in (*RUN_HEAD, "results")} for run in runs]
    yield {"type": "footer", "runs": tails, **{name: value for name, value in document.items() if name not in (*HEADER, "runs")}}


def assembled(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document of a header, runs, results, revisions and a footer that are what the schema says.

    Raises
    ------
    ValueError
        Where a line names no run that began before it, a revision no result, or the footer does not fit the runs.
    """
    header, *between, footer = lines
    runs: list[dict[str, Any]] = []
    for number, line in enumerate(between, 2):
        kind, place = line["type"], line["run"]
        own = {name: value for name, value in line.items() if name not in ("type", "run")}
        if kind == "run":
            if place != len(runs):
                raise ValueError(f"line {number} must begin run {len(runs)}; got run {place}")
            runs.append({**own, "results": []})
            continue
        if place >= len(runs) or runs[place]["adapter"] != own.pop("adapter"):
            raise ValueError(f"line {number} must name a run that began before it; got run {place} of {line['adapter']}")
        if kind == "result":
            runs[place]["results"].append(own)
            continue
        revised = next((result for result in runs[place]["results"] if result["case"] == line["case"]), None)
        if revised is None:
            raise ValueError(f"line {number} must revise a result of run {place}; got case {line['case']!r}")
        revised.update({name: line[name] for name in REVISED})
    if len(runs) != len(footer["runs"]):
        raise ValueError(f"the footer must have the {len(runs)} runs that began; got {len(footer['runs'])}")
    for number, (run, tail) in enumerate(zip(runs, footer["runs"], strict=True)):
        if run["planned"] != tail["planned"]:
            raise ValueError(f"the footer must plan the {run['planned']} cases of run {number}; got {tail['planned']}")
        run.update({name: value for name, value in tail.items() if name != "results"})
    return {name: value for name, value in {**header, **footer, "runs": runs}.items() if name != "type"}
