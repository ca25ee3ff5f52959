"""The page for readers: clauses by implementations, what each cell opens, the exhibits, what is wrong. One file that asks for nothing."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from subpixel_conformance import clauses
from subpixel_conformance.adapter import ORDERS
from subpixel_conformance.oracle import channel_index, offsets
from subpixel_conformance.photograph import VARIANTS
from subpixel_conformance.report import conformance_classes, deviations, document, failures, replace_file, unavailable
from subpixel_conformance.runner import JUDGED, WRONG, Outcome, Run

CLOSE_UP = slice(24, 168), slice(48, 240)
"""The part of a layer's output that the page shows, 144 x 192 pixels."""
TROUBLE = (*WRONG, "known_failure", "unexpected_pass")
"""What a reader has to see: what is wrong, and what the list of known failures is about."""
WORST_FIRST = ("crash", "error", "fail", "known_failure", "unexpected_pass", "not_run", "pass", "unavailable", "not_claimed")


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


LETTERS = "cefkurpon"
"""One for each status of `WORST_FIRST`, as the data of the page has them."""


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
            **_cases(outcome.runs),
        },
        "present": [status for status in WORST_FIRST if any(result.status == status for run in outcome.runs for result in run.results)],
        "known": known_failures(outcome.runs),
        "shelf": failures(outcome.runs),
        "figures": {order: order_figure(order) for order in ORDERS},
        "orders": ORDERS,
        "letters": dict(zip(LETTERS, WORST_FIRST, strict=True)),
        "images": _images(outcome.pictures),
        "variants": VARIANTS,
        "measured": [run for run in outcome.runs if "variants" in run.exhibits.get("checkerboard", {})],
        "trouble": TROUBLE,
        "unavailable": unavailable(outcome.runs),
        "deviations": deviations(outcome.runs),
        "deviating": [any(row[number] is not None for row in deviations(outcome.runs).values()) for number in range(len(outcome.runs))],
    }


def _cell(run: Run, clause: str) -> dict[str, Any]:
    """Return the worst status of the clause's cases in this run, with the counts behind it."""
    counts = Counter(result.status for result in run.results if clause in result.clauses)
    status = next((status for status in WORST_FIRST if counts[status]), "none")
    judged = sum(counts[status] for status in JUDGED)
    return {"status": status, "passed": counts["pass"], "judged": judged, "total": sum(counts.values())}


def _cases(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what the cells of the page open, each text and each case once.

    ``cases`` are [id, clauses, class]; ``texts`` whatever is said of them. A run has ``statuses``, for each case its place
    in `LETTERS`, or a blank for none; and ``details`` of some cases by their number: the error over its bound of one that passed, else
    [message, order found, reproduction, reason why it is known], all but the order as numbers of texts.
    """
    cases: dict[tuple[str, tuple[str, ...], str], int] = {}
    texts: dict[str, int] = {}
    shown: list[dict[str, Any]] = []
    for run in runs:
        statuses: dict[int, str] = {}
        details: dict[int, Any] = {}
        for result in run.results:
            number = cases.setdefault((result.case, result.clauses, result.conformance_class), len(cases))
            statuses[number] = LETTERS[WORST_FIRST.index(result.status)]
            said = [texts.setdefault(text, len(texts)) for text in (result.message, result.reproduction, result.known)]
            if result.status != "pass":
                details[number] = [said[0], result.order_found, said[1], said[2]]
            elif result.ratio is not None:
                details[number] = f"{result.ratio:.2g}"
        letters = "".join(statuses.get(number, " ") for number in range(len(cases)))
        shown.append({"adapter": run.adapter, "device": run.device, "counted": run.counted, "statuses": letters, "details": details})
    return {"cases": list(cases), "texts": list(texts), "runs": shown}


def known_failures(runs: Sequence[Run]) -> list[tuple[Run, str, list[str]]]:
    """Return what is wrong and known to be: the run, the reason, and the cases."""
    found: list[tuple[Run, str, list[str]]] = []
    for run in runs:
        reasons: dict[str, list[str]] = {}
        for result in run.results:
            if result.status == "known_failure":
                reasons.setdefault(result.known, []).append(result.case)
        found += [(run, reason, cases) for reason, cases in reasons.items()]
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
