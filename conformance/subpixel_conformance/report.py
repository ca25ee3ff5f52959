"""What was found, for machines and for readers: one JSON document, one HTML page that needs nothing else, one JUnit file.

Every file is written beside its place and then moved there, so that a reader never meets half of it.
"""

import base64
import io
import json
import os
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from subpixel_conformance import clauses
from subpixel_conformance.adapter import ORDERS
from subpixel_conformance.child import plain
from subpixel_conformance.oracle import channel_index, offsets
from subpixel_conformance.photograph import VARIANTS
from subpixel_conformance.runner import CLASSES, WRONG, Outcome, Run, processor

SCHEMA = 1
CLOSE_UP = slice(24, 168), slice(48, 240)
"""The part of a layer's output that the page shows, 144 x 192 pixels."""
JUNIT_TAGS = {"fail": "failure", "error": "error", "crash": "error", "not_claimed": "skipped", "unavailable": "skipped"}
WORST_FIRST = ("crash", "error", "fail", "pass", "unavailable", "not_claimed")


def document(outcome: Outcome) -> dict[str, Any]:
    """Return everything that was found as one JSON document."""
    return plain(
        {
            "schema": SCHEMA,
            "spec": clauses.specification_version(),
            "suite": suite_version(),
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "machine": machine(),
            "profile": outcome.profile,
            "verdict": outcome.verdict,
            "exit_code": outcome.exit_code,
            "runs": [_run(run) for run in outcome.runs],
            "missing": [asdict(missing) for missing in outcome.missing],
            "exhibit_absent": outcome.exhibit_absent,
        }
    )


def _run(run: Run) -> dict[str, Any]:
    return {
        "adapter": run.adapter,
        "name": run.name,
        "counted": run.counted,
        "versions": run.versions,
        "device": {"name": run.device, "hardware": run.hardware},
        "claims": run.claims,
        "modes": run.modes,
        "verdict": run.verdict,
        "error": run.error,
        "note": run.note,
        "counts": run.counts,
        "classes": run.by_class(),
        "planned": len(run.planned),
        "ran": len(run.results),
        "judged": run.judged,
        "seconds": round(run.seconds, 3),
        "exhibits": run.exhibits,
        "results": [result.as_dict() for result in run.results],
    }


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
    """Write ``text`` beside ``path`` and move it there; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_junit(path: Path, outcome: Outcome) -> None:
    """Write a JUnit file: one suite per run, the clauses of a case as properties of the test case."""
    root = ElementTree.Element("testsuites", name="subpixel")
    for run in outcome.runs:
        counts = Counter(run.counts)
        suite = ElementTree.SubElement(root, "testsuite", name=_xml(f"{run.adapter} ({run.device})"), time=f"{run.seconds:.3f}")
        suite.set("tests", str(len(run.results)))
        suite.set("failures", str(counts["fail"]))
        suite.set("errors", str(counts["error"] + counts["crash"] + bool(run.error)))
        suite.set("skipped", str(counts["not_claimed"] + counts["unavailable"]))
        for result in run.results:
            case = ElementTree.SubElement(suite, "testcase", name=_xml(result.case), time=f"{result.seconds:.6f}")
            case.set("classname", _xml(f"{run.adapter}.{run.device}.{result.conformance_class}"))
            properties = ElementTree.SubElement(case, "properties")
            for clause in result.clauses:
                ElementTree.SubElement(properties, "property", name="clause", value=_xml(clause))
            tag = JUNIT_TAGS.get(result.status)
            if tag is not None:
                detail = ElementTree.SubElement(case, tag, type=result.status, message=_xml(result.message))
                detail.text = _xml(result.reproduction)
        if run.error:
            case = ElementTree.SubElement(suite, "testcase", name="the run as a whole", classname=_xml(f"{run.adapter}.{run.device}"))
            ElementTree.SubElement(case, "error", message=_xml(run.error))
    ElementTree.indent(root)
    replace_file(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _xml(text: str) -> str:
    """Return ``text`` without the characters that XML 1.0 cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "\N{REPLACEMENT CHARACTER}", text)


# --- the page ---


def write_html(path: Path, outcome: Outcome) -> None:
    """Write the page. Raises ImportError without Jinja2."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    replace_file(path, environment.get_template("report.html.j2").render(**_page(outcome)))


def _page(outcome: Outcome) -> dict[str, Any]:
    texts = clauses.clauses()
    judged = {clause for run in outcome.runs for result in run.results for clause in result.clauses}
    areas: dict[str, list[clauses.Clause]] = {}
    for name in [*texts, *sorted(judged - set(texts))]:
        clause = texts.get(name, clauses.Clause(name, "", "This clause is not in the specification.", ""))
        areas.setdefault(clause.file.removesuffix(".md"), []).append(clause)
    cells = [[_cell(run, clause.id) for run in outcome.runs] for area in areas.values() for clause in area]
    return {
        "document": document(outcome) | {"runs": []},
        "outcome": outcome,
        "classes": conformance_classes(outcome.runs),
        "areas": areas,
        "rows": dict(zip([clause.id for area in areas.values() for clause in area], cells, strict=True)),
        "data": {
            "clauses": {clause.id: [clause.level, clause.text, clause.file] for area in areas.values() for clause in area},
            "runs": [_details(run) for run in outcome.runs],
        },
        "shelf": failures(outcome.runs),
        "figures": {order: order_figure(order) for order in ORDERS},
        "orders": ORDERS,
        "images": _images(outcome.pictures),
        "variants": VARIANTS,
        "measured": [run for run in outcome.runs if "variants" in run.exhibits.get("checkerboard", {})],
        "wrong": WRONG,
        "unavailable": unavailable(outcome.runs),
        "deviations": deviations(outcome.runs),
        "deviating": [any(row[number] is not None for row in deviations(outcome.runs).values()) for number in range(len(outcome.runs))],
    }


def _cell(run: Run, clause: str) -> dict[str, Any]:
    """Return the worst status of the clause's cases in this run, with the counts behind it."""
    counts = Counter(result.status for result in run.results if clause in result.clauses)
    status = next((status for status in WORST_FIRST if counts[status]), "none")
    judged = sum(counts[status] for status in ("pass", *WRONG))
    return {"status": status, "passed": counts["pass"], "judged": judged, "total": sum(counts.values())}


def _details(run: Run) -> dict[str, Any]:
    """Return what a cell of the page opens: every case as [id, clauses, status], and what there is to tell about it."""
    cases = []
    for result in run.results:
        row: list[Any] = [result.case, result.clauses, result.status]
        if result.status != "pass":
            row += [result.message, result.order_found, result.reproduction]
        elif result.ratio is not None:
            row += [f"largest error {result.ratio:.2g} times the bound"]
        cases.append(row)
    return {"adapter": run.adapter, "device": run.device, "cases": cases}


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
                    "judged": _cell(run, clause)["judged"],
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


def order_figure(order: str) -> list[list[list[int]]]:
    """Return, for C = 2 and scale (2, 3), which input channel each pixel of a block comes from: one 2 x 3 grid per output channel."""
    scale, channels = (2, 3), 2
    grids = [[[0] * scale[1] for _ in range(scale[0])] for _ in range(channels)]
    for c in range(channels):
        for row, column in offsets(scale):
            grids[c][row][column] = channel_index(order, c, (row, column), scale, channels)
    return grids


def _images(pictures: Mapping[str, Any]) -> dict[str, str]:
    """Return the exhibits' arrays as data URIs of PNG images."""
    if not pictures:
        return {}
    images = {name: data_uri(array) for name, array in pictures.items() if name.startswith("cell_")}
    layers = {name: np.asarray(array, np.float64)[CLOSE_UP].mean(axis=-1) for name, array in pictures.items() if name.startswith("layer_")}
    if layers:
        low, high = np.nanpercentile(np.stack(list(layers.values())), [0.5, 99.5])
        for name, array in layers.items():
            grey = np.rint(np.clip((np.nan_to_num(array) - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
            images[name] = data_uri(np.repeat(grey[..., np.newaxis], 3, axis=-1))
    return images


def data_uri(image: np.ndarray) -> str:
    """Return an RGB image, shape (H, W, 3), uint8, as a PNG in a data URI."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
