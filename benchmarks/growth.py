"""How the phase shift grows: time and memory from 2^10 to 2^28 values, one thread and two, and tensors of more than 2^31 values.

    python benchmarks/growth.py --json reports/growth.json --plot reports/growth.png
    python benchmarks/growth.py --most 24 --no-beyond                  # on a machine with little memory

Every point runs in a process of its own: time beside a copy and the native operation in the same rounds; memory as the most by which the
process grew (Linux), over the bytes of the result. 2-D, scale 2, 16 channels, float32, each framework's own order and format.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import CLOCKS, interleaved, machine, written
from memory import grown
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from shift import set_threads
from shift_competitors import COPY, NATIVE, OURS, Case, competitors

FRAMEWORKS = ("torch", "tensorflow", "jax", "numpy")
OTHER = {"torch": NATIVE, "tensorflow": NATIVE, "jax": "dm-pix", "numpy": "einops"}
BEYOND = (1, 5, 6555, 65536)
"""(batch, height, width, channels) of single bytes: 2^31 + 327,680 values. Every index of 32 bits with a sign is too short for the last."""


def point(framework: str, exponent: int, what: str, threads: int, rounds: int, clock: str) -> dict[str, Any]:
    """Time one size, and measure the memory of one call."""
    set_threads(threads)
    layout = "channels_first" if framework == "torch" else "channels_last"
    case = Case(framework, 2, 2, 16, "float32", layout, "shift", 1, 2**exponent, what)
    found = competitors(case)
    bytes_moved = 4 * int(np.prod(case.low))
    extra = {name: grown(found[name]) / bytes_moved for name in (COPY, OURS)}
    kept = {name: found[name] for name in (COPY, OURS, OTHER[framework])}
    times = {
        timing.name: timing for timing in interleaved(kept, COPY, rounds=rounds, warmup=2, shortest=0.01, clock=CLOCKS[clock], shown=False)
    }
    return {
        "ms": {name: timing.milliseconds for name, timing in times.items()},
        "of_copy": times[OURS].ratio(times[COPY]),
        "other_of_copy": times[OTHER[framework]].ratio(times[COPY]),
        "bytes": bytes_moved,
        "memory": extra,
    }


def beyond(framework: str) -> dict[str, Any]:
    """Shift more than 2^31 bytes and compare every value: a byte says its channel and its column, modulo 251."""
    batch, height, width, channels = BEYOND
    low = np.empty(BEYOND, np.uint8)
    for column in range(width):
        low[:, :, column] = (np.arange(channels) + 7 * column) % 251
    high = shifted(framework, low)
    half = channels // 4
    for column in range(width):
        for i in range(2):
            for j in range(2):
                block = high[:, i::2, 2 * column + j]
                wanted = low[:, :, column, (i * 2 + j) * half : (i * 2 + j + 1) * half]
                if block.tobytes() != wanted.tobytes():
                    raise AssertionError(f"{framework} is wrong at column {column}, offset ({i}, {j})")
    return {"values": batch * height * width * channels, "right": True}


def shifted(framework: str, low: np.ndarray) -> np.ndarray:
    """Return the shift in order DCR, channels last, as the framework computes it."""
    options: dict[str, Any] = {"order": "DCR", "data_format": "channels_last"}
    if framework == "torch":
        import torch

        import subpixel_torch

        return subpixel_torch.phase_shift(torch.from_numpy(low), 2, **options).numpy()
    if framework == "tensorflow":
        import tensorflow as tf

        import subpixel_tensorflow

        return subpixel_tensorflow.phase_shift(tf.convert_to_tensor(low), 2, **options).numpy()
    if framework == "jax":
        import subpixel_jax

        return np.asarray(subpixel_jax.phase_shift(low, 2, **options))
    import subpixel_core

    return subpixel_core.phase_shift(low, 2, **options)


# --- every point in a process of its own ---


def asked(*arguments: str) -> dict[str, Any]:
    ran = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if ran.returncode:
        return {"error": (ran.stderr.strip().splitlines() or [f"ended with {ran.returncode}"])[-1]}
    return json.loads(ran.stdout.splitlines()[-1])


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    points = [
        (framework, exponent, what, threads)
        for framework in options.framework
        for what in ("forward", "backward")
        for threads in options.threads
        for exponent in range(options.least, options.most + 1, options.step)
        if not (framework == "numpy" and (what == "backward" or threads > 1))
    ]
    rows = []
    with Progress() as progress:
        for framework, exponent, what, threads in progress.track(points, description="sizes"):
            values = (framework, str(exponent), what, str(threads), str(options.rounds), options.clock)
            row = {"framework": framework, "exponent": exponent, "what": what, "threads": threads}
            rows.append({**row, **asked("--point", *values)})
    return rows


# --- the report ---


def show(report: Mapping[str, Any], console: Console) -> None:
    table = Table(title="time over that of a copy of the same bytes, and memory over the bytes of the result")
    for column in ("framework", "what", "threads", "values", "ms", "ours", "other", "memory"):
        table.add_column(column, justify="left" if column in ("framework", "what") else "right")
    for row in report["rows"]:
        start = (row["framework"], row["what"], str(row["threads"]), f"2^{row['exponent']}")
        if "error" in row:
            table.add_row(*start, row["error"])
            continue
        ours, other = row["of_copy"][1], row["other_of_copy"][1]
        table.add_row(*start, f"{row['ms'][OURS]:.3f}", f"{ours:.2f}", f"{other:.2f}", f"{row['memory'][OURS]:.2f}")
    console.print(table)
    for framework, found in report["beyond"].items():
        console.print(f"{framework}: {found.get('error') or format(found['values'], ',') + ' values, all where they belong'}")


def plot(report: Mapping[str, Any], path: Path) -> None:
    """Draw, for every framework, the time of ours, a copy and the other with two threads (NumPy: one), forward."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["framework"] for row in report["rows"]))
    figure = Figure(figsize=(3.6 * len(names), 3.8), layout="constrained")
    for panel, framework in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        most = max(row["threads"] for row in report["rows"] if row["framework"] == framework)
        rows = [r for r in report["rows"] if (r["framework"], r["what"], r["threads"]) == (framework, "forward", most) and "ms" in r]
        for name, style in ((COPY, "k-"), (OTHER[framework], "x--"), (OURS, "o-")):
            panel.plot([r["bytes"] for r in rows], [r["ms"][name] for r in rows], style, mfc="none", label=name)
        panel.set(title=f"{framework}, {most} thread{'s' if most > 1 else ''}", xscale="log", yscale="log", xlabel="bytes moved")
        panel.legend()
    figure.axes[0].set_ylabel("milliseconds")
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    parser.add_argument("--least", type=int, default=10)
    parser.add_argument("--most", type=int, default=28)
    parser.add_argument("--step", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="processor: for a machine that others share, with one thread")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-beyond", action="store_true", help="leave out the tensors of more than 2^31 values, which take about 5 GB")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--point", nargs=6, help=argparse.SUPPRESS)
    parser.add_argument("--beyond", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.point:
        framework, exponent, what, threads, rounds, clock = options.point
        print(json.dumps(point(framework, int(exponent), what, int(threads), int(rounds), clock)))
        return
    if options.beyond:
        print(json.dumps(beyond(options.beyond)))
        return
    report = {
        "command": "python benchmarks/growth.py " + " ".join(sys.argv[1:] if arguments is None else arguments),
        "machine": machine("torch", "tensorflow", "jax", "numpy", "einops", "dm-pix"),
        "clock": options.clock,
        "rounds": options.rounds,
        "rows": measured(options),
        "beyond": {} if options.no_beyond else {framework: asked("--beyond", framework) for framework in options.framework},
    }
    show(report, Console(width=140))
    written(report, options.json, partial(plot, report), options.plot)


if __name__ == "__main__":
    main()
