"""The report as JSON Lines: a header, one line per result, a footer. A file without its footer was not finished.

It holds what the JSON document holds: `lines` takes that apart, and `assembled` puts it together again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from subpixel_conformance.report import document, replace_file
from subpixel_conformance.runner import Outcome

HEADER = ("schema", "spec", "suite", "created", "machine", "profile", "seed", "precision")
RUN_HEADER = ("adapter", "name", "counted", "versions", "device", "claims", "modes", "precision")


def write_json_lines(path: Path, outcome: Outcome) -> None:
    """Write the report, one JSON value on each line."""
    text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines(document(outcome)))
    replace_file(path, text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085"))


def lines(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the header, the results of one run after another, and the footer."""
    runs = document["runs"]
    yield {
        "type": "header",
        **{name: document[name] for name in HEADER},
        "runs": [{name: run[name] for name in RUN_HEADER} for run in runs],
    }
    for number, run in enumerate(runs):
        for result in run["results"]:
            yield {"type": "result", "run": number, "adapter": run["adapter"], **result}
    tails = [{name: value for name, value in run.items() if name not in (*RUN_HEADER, "results")} for run in runs]
    yield {"type": "footer", "runs": tails, **{name: value for name, value in document.items() if name not in (*HEADER, "runs")}}


def assembled(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document of a header, results and a footer that are what the schema says.

    Raises
    ------
    ValueError
        Where a result names no run of the header, or the footer speaks of another number of runs.
    """
    header, *results, footer = lines
    if len(header["runs"]) != len(footer["runs"]):
        raise ValueError(f"the footer must have the header's {len(header['runs'])} runs; got {len(footer['runs'])}")
    runs = [{**first, **last, "results": []} for first, last in zip(header["runs"], footer["runs"], strict=True)]
    for number, line in enumerate(results, 2):
        if line["run"] >= len(runs) or runs[line["run"]]["adapter"] != line["adapter"]:
            raise ValueError(f"line {number} must name a run of the header; got run {line['run']} of {line['adapter']}")
        runs[line["run"]]["results"].append({name: value for name, value in line.items() if name not in ("type", "run", "adapter")})
    return {name: value for name, value in {**header, **footer, "runs": runs}.items() if name != "type"}
