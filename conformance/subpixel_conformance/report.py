"""What was found, as one JSON document, and the groupings of it that every kind of report shows.

The document has three parts, which are also the lines of the JSON Lines file (`subpixel_conformance.json_lines`): what was known before the
first case ran, one result after another, and what follows from them, closed by a checksum. ``schemas/report-1.json`` describes both files.
Every file but that one is written beside its place and then moved there, so that a reader never meets half of it.
"""

import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from subpixel_conformance import clauses
from subpixel_conformance.child import plain
from subpixel_conformance.runner import CLASSES, JUDGED, WRONG, Outcome, Run, processor

SCHEMA = 1
SCHEMA_FILE = Path(__file__).parent / "schemas" / "report-1.json"


def document(outcome: Outcome, begun: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return everything that was found as one JSON document; ``begun`` is its `beginning` where that was made before."""
    found = {
        **(begun or beginning(outcome.profile, outcome.seed, outcome.precision)),
        "runs": [{**head(run), **tail(run), "results": [result.as_dict() for result in run.results]} for run in outcome.runs],
        "missing": [asdict(missing) for missing in outcome.missing],
        "exhibit_absent": outcome.exhibit_absent,
        "known_failures_amiss": outcome.amiss,
        **conclusion(outcome),
    }
    return sealed(plain(found))


def beginning(profile: str, seed: int, precision: str) -> dict[str, Any]:
    """Return what is known before the first run, with the present time."""
    return {
        "schema": SCHEMA,
        "spec": clauses.specification_version(),
        "suite": suite_version(),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "profile": profile,
        "seed": seed,
        "precision": precision,
    }


def head(run: Run) -> dict[str, Any]:
    """Return what was known of a run before its first case."""
    return {
        "adapter": run.adapter,
        "name": run.name,
        "counted": run.counted,
        "versions": run.versions,
        "device": {"name": run.device, "hardware": run.hardware},
        "claims": run.claims,
        "modes": run.modes,
        "precision": run.precision,
    }


def tail(run: Run) -> dict[str, Any]:
    """Return what is known of a run after its last case."""
    return {
        "verdict": run.verdict,
        "error": run.error,
        "note": run.note,
        "counts": run.counts,
        "classes": run.by_class(),
        "planned": len(run.planned),
        "ran": run.ran,
        "judged": run.judged,
        "processes": run.processes,
        "seconds": round(run.seconds, 3),
        "suite_seconds": round(run.suite_seconds, 3),
        "exhibits": run.exhibits,
    }


def conclusion(outcome: Outcome) -> dict[str, Any]:
    """Return what follows from all runs together, peers included in the counts and not in the verdict."""
    results = [result for run in outcome.runs for result in run.results]
    return {
        "planned": sum(len(run.planned) for run in outcome.runs),
        "ran": sum(run.ran for run in outcome.runs),
        "counts": dict(Counter(result.status for result in results)),
        "classes": {
            name: dict(Counter(result.status for result in results if result.conformance_class == name))
            for name in conformance_classes(outcome.runs)
        },
        "verdict": outcome.verdict,
        "exit_code": outcome.exit_code,
    }


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with the checksum over all the rest of it: SHA-256 of the JSON with sorted keys, no spaces and ASCII only."""
    rest = {name: value for name, value in document.items() if name != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return {**rest, "checksum": f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"}


def suite_version() -> str:
    """Return the version of the installed distribution, or "checkout"."""
    try:
        return version("subpixel-spec")
    except PackageNotFoundError:
        return "checkout"


def machine() -> dict[str, Any]:
    """Return what this machine is: platform, processor, cores, memory in GiB, Python."""
    try:
        memory: float | None = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        memory = None
    return {
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "python": platform.python_version(),
    }


# --- files ---


def write_json(path: Path, outcome: Outcome) -> None:
    """Write the JSON document."""
    replace_file(path, json.dumps(document(outcome), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` beside ``path`` and move it there; the folder is made where it is missing.

    A link stays, and what it names is replaced; a device or a pipe is written to.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# --- groupings ---


def conformance_classes(runs: Sequence[Run]) -> list[str]:
    """Return the conformance classes that occur, in the order of the specification."""
    found = {name for run in runs for name in run.by_class()}
    return [*(name for name in CLASSES if name in found), *sorted(found - set(CLASSES))]


def failures(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return what is wrong, grouped by run and by the clause that each case judges first, with one example each."""
    groups: list[dict[str, Any]] = []
    for run in runs:
        wrong: dict[str, list[Any]] = {}
        for result in run.results:
            if result.status in WRONG:
                wrong.setdefault(result.clauses[0] if result.clauses else "", []).append(result)
        for clause, results in sorted(wrong.items()):
            orders = sorted({result.order_found for result in results if result.order_found})
            groups.append(
                {
                    "run": run,
                    "clause": clause,
                    "results": results,
                    "judged": sum(clause in result.clauses and result.status in JUDGED for result in run.results),
                    "orders": orders,
                    "reproduction": next((result.reproduction for result in results if result.reproduction), ""),
                }
            )
    return groups


DEVIATION = "UN-012/real-"
"""How the ids of the cases begin that report the deviation of a whole network: the network and the precision follow."""


def deviations(runs: Sequence[Run]) -> dict[str, list[float | None]]:
    """Return, for every network and precision, the deviation from the exact output in each run, None where it was not judged."""
    found: dict[str, list[float | None]] = {}
    for number, run in enumerate(runs):
        for result in run.results:
            if result.deviation is not None:
                name = " ".join(result.case.removeprefix(DEVIATION).rsplit("-", 1))
                found.setdefault(name, [None] * len(runs))[number] = result.deviation
    return dict(sorted(found.items()))


def unavailable(runs: Sequence[Run]) -> list[tuple[Run, str, int]]:
    """Return what this machine could not run: the run, the reason, and how many cases."""
    found: list[tuple[Run, str, int]] = []
    for run in runs:
        reasons = Counter(result.message for result in run.results if result.status == "unavailable")
        found += [(run, reason, count) for reason, count in reasons.items()]
    return found
