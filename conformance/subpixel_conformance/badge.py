"""A badge: the file that https://shields.io/badges/endpoint-badge reads. It never shows a percentage."""

import json
from pathlib import Path

from subpixel_conformance import clauses
from subpixel_conformance.report import conformance_classes, replace_file
from subpixel_conformance.runner import JUDGED, Outcome, Run

COLOURS = {"conforming": "brightgreen", "non-conforming": "red", "incomplete": "yellow"}


def badge(outcome: Outcome) -> dict[str, object]:
    """Return the badge of the counted runs: the classes that every one of them was judged by, and the devices, where all of it conforms.

    Else the verdict takes the place of the classes.
    """
    counted = [run for run in outcome.runs if run.counted]
    shared = [name for name in conformance_classes(counted) if all(_judged(run, name) for run in counted)]
    said = " ".join(shared) if outcome.verdict == "conforming" and shared else outcome.verdict
    devices = " ".join(dict.fromkeys(run.device for run in counted if run.device))
    return {
        "schemaVersion": 1,
        "label": f"subpixel {clauses.specification_version()}",
        "message": f"{said} · {devices}" if devices else said,
        "color": COLOURS[outcome.verdict],
    }


def write_badge(path: Path, outcome: Outcome) -> None:
    """Write the badge as JSON."""
    replace_file(path, json.dumps(badge(outcome), ensure_ascii=False) + "\n")


def _judged(run: Run, name: str) -> bool:
    return any(result.conformance_class == name and result.status in JUDGED for result in run.results)
