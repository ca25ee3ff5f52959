"""The phase shift and its inverse beside a copy of the same bytes and beside everyone else's, forward and backward.

    python benchmarks/shift.py --json reports/shift.json --plot reports/shift.png    # every three values of the grid once: minutes
    python benchmarks/shift.py --strength 2                                          # every pair: a minute
    python benchmarks/shift.py --full --json reports/shift-full.json                 # all of it: hours

Every competitor of a case is timed in the same rounds, after it was shown to be right. A ratio is the median of the rounds' ratios.
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, product
from math import exp, log, nan
from pathlib import Path
from typing import Any

from interleaved import CLOCKS, interleaved, machine, written
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from shift_competitors import COMPILED, COPY, NATIVE, OURS, RUNS, Case, competitors

GRID: Mapping[str, Sequence[Any]] = {
    "ndim": (2, 1, 3),
    "scale": (2, 3, 4, 8),
    "channels": (1, 3, 16, 64),
    "dtype": ("float32", "float16", "bfloat16", "uint8"),
    "data_format": ("channels_last", "channels_first"),
    "direction": ("shift", "inverse"),
    "batch": (1, 8),
    "size": ("large", "small", "medium"),
    "what": ("forward", "backward"),
}
FRAMEWORKS = ("torch", "tensorflow", "jax", "numpy")


def possible(framework: str, row: Mapping[str, Any]) -> bool:
    """Whether a framework can do it: NumPy differentiates nothing, nobody differentiates integers, and 8 x 8 x 8 blocks stay few."""
    if row["what"] == "backward" and (framework == "numpy" or row["dtype"] == "uint8"):
        return False
    return not (row["ndim"] == 3 and row["scale"] == 8 and row["channels"] > 3)


def every(framework: str) -> Iterator[dict[str, Any]]:
    """Yield the whole grid."""
    for values in product(*GRID.values()):
        row = dict(zip(GRID, values, strict=True))
        if possible(framework, row):
            yield row


def covering(framework: str, strength: int) -> list[dict[str, Any]]:
    """Return rows in which every so many values of as many axes that can meet do meet, chosen greedily: the same ones every time.

    Among equals the first is taken of a sequence that was shuffled with a fixed seed, so that no value is preferred.
    """
    rows = list(every(framework))
    random.Random(0).shuffle(rows)
    meeting = {id(row): set(combinations(row.items(), strength)) for row in rows}
    missing = set().union(*meeting.values())
    chosen = []
    while missing:
        best = max(rows, key=lambda row: len(meeting[id(row)] & missing))
        chosen.append(best)
        missing -= meeting[id(best)]
    return chosen


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time every case of the grid."""
    rows = []
    cases = [(f, row) for f in options.framework for row in (every(f) if options.full else covering(f, options.strength))][: options.limit]
    with Progress() as progress:
        for framework, row in progress.track(cases, description="cases"):
            case = Case(framework, **row)
            found = competitors(case, options.device, compiled=options.compiled)
            timings = interleaved(
                found, COPY, rounds=options.rounds, warmup=2, shortest=options.shortest, clock=CLOCKS[options.clock], shown=False
            )
            times = {timing.name: timing for timing in timings}
            rows.append(
                {
                    "framework": framework,
                    **row,
                    "bytes": int(_bytes(case)),
                    "ms": {name: timing.milliseconds for name, timing in times.items()},
                    "of_copy": {name: timing.ratio(times[COPY]) for name, timing in times.items() if name != COPY},
                    "speed": {
                        name: times[OURS].speed_over(timing) for name, timing in times.items() if name not in (COPY, OURS, COMPILED, RUNS)
                    },
                }
            )
    return rows


def _bytes(case: Case) -> int:
    elements = 1
    for extent in case.low:
        elements *= extent
    return elements * {"float32": 4, "float16": 2, "bfloat16": 2, "uint8": 1}[case.dtype]


# --- the report ---


def geometric(values: Sequence[float]) -> float:
    return exp(sum(map(log, values)) / len(values)) if values else nan


GROUPS = ("framework", "data_format", "direction", "what")


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each framework, format, direction and pass, our time over a copy's and our speed over every other's, with the worst."""
    lines = []
    for key in dict.fromkeys(tuple(row[name] for name in GROUPS) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in GROUPS) == key]
        line: dict[str, Any] = {**dict(zip(GROUPS, key, strict=True)), "cases": len(own)}
        large = [row for row in own if row["size"] != "small"]
        for name, key_of in ((OURS, "of_copy"), (COMPILED, "compiled_of_copy"), (RUNS, "runs_of_copy")):
            times = [row["of_copy"][name][1] for row in large if name in row["of_copy"]]
            line[key_of] = geometric(times) if times else None
        line["copied_gb_per_s"] = max((2e-6 * row["bytes"] / row["ms"][COPY] for row in large), default=None)
        for name in dict.fromkeys(name for row in own for name in row["speed"]):
            speeds = [row["speed"][name][1] for row in own if name in row["speed"]]
            line[name] = {"geometric_mean": geometric(speeds), "worst": min(speeds), "cases": len(speeds)}
        lines.append(line)
    return lines


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print the summary: what a copy takes is 1, and everyone else's speed."""
    others = [NATIVE, "einops", "dm-pix"]
    table = Table(title="ours: time over that of a copy (without small tensors), and speed over others, geometric mean (worst)")
    for column in (*GROUPS, "cases", "copied, GB/s", "of a copy", "compiled", "DCR", *others):
        table.add_column(column, justify="left" if column in GROUPS else "right")
    for line in report["summary"]:
        shown = [f"{line[n]['geometric_mean']:.2f} ({line[n]['worst']:.2f})" if n in line else "" for n in others]
        table.add_row(
            *(line[name] for name in GROUPS),
            str(line["cases"]),
            f"{line['copied_gb_per_s'] or nan:.1f}",
            *(f"{line[name]:.2f}" if line[name] else "" for name in ("of_copy", "compiled_of_copy", "runs_of_copy")),
            *shown,
        )
    console.print(table)


def plot(report: Mapping[str, Any], path: Path) -> None:
    """Draw every case: bytes against the time over that of a copy, ours and the native operation."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["framework"] for row in report["rows"]))
    figure = Figure(figsize=(4.2 * len(names), 4), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, framework in zip(panels, names, strict=True):
        rows = [row for row in report["rows"] if row["framework"] == framework]
        for name, marker, colour in ((NATIVE, "x", "0.5"), ("einops", "+", "C1"), ("dm-pix", "1", "C2"), (OURS, "o", "C0")):
            own = [row for row in rows if name in row["of_copy"]]
            if own:
                panel.plot([r["bytes"] for r in own], [r["of_copy"][name][1] for r in own], marker, color=colour, label=name, mfc="none")
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set(title=framework, xscale="log", yscale="log", xlabel="bytes moved")
        panel.legend()
    panels[0].set_ylabel("time over that of a copy of the same bytes")
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    parser.add_argument("--strength", type=int, default=3, help="so many axes of the grid have all their values combined")
    parser.add_argument("--full", action="store_true", help="all of the grid")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compiled", action="store_true", help="in PyTorch ours under torch.compile too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="processor: for a machine that others share, with one thread")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--shortest", type=float, default=0.01, help="seconds that one measurement lasts at least")
    parser.add_argument("--limit", type=int, help="only so many cases, to try it out")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    set_threads(options.threads)
    rows = measured(options)
    report = {
        "command": "python benchmarks/shift.py " + " ".join(sys.argv[1:] if arguments is None else arguments),
        "machine": machine("torch", "tensorflow", "jax", "numpy", "einops", "dm-pix"),
        "device": options.device,
        "threads": options.threads,
        "rounds": options.rounds,
        "clock": options.clock,
        "summary": summary(rows),
        "rows": rows,
    }
    show(report, Console(width=170))
    written(report, options.json, partial(plot, report), options.plot)


def set_threads(number: int) -> None:
    """Give every framework as many threads; before any of them is imported."""
    os.environ["OMP_NUM_THREADS"] = str(number)
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(number)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import torch

    torch.set_num_threads(number)


if __name__ == "__main__":
    main()
