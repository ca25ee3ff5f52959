"""Converted layers against what they were made from: transposed convolution, and nearest resize with a convolution behind it.

    python benchmarks/equivalence.py --json docs/evidence/equivalence-torch-cpu.json
    python benchmarks/equivalence.py --quick 40

All competitors of a row compute the same values and run in turn, one call each. A figure is the fastest call: on a machine that others use
too, that is the one they disturbed least; with ``--threads 1`` it is processor time. A ratio is the time of the
original over that of a form.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import product
from math import exp, log
from pathlib import Path
from typing import Any

from interleaved import machine
from rich.console import Console
from rich.progress import track
from rich.table import Table

KERNELS, SCALES, CHANNELS, EXTENTS = (2, 3, 4, 5, 6, 8, 9), (2, 3, 4), (3, 16, 64, 256), (16, 32, 64, 128, 256, 512)
LARGEST = 2**30  # multiply-accumulates of the original; and 2**23 values of its output
Run = Callable[[], Any]


@dataclass(frozen=True)
class Problem:
    """One layer of the grid: ``original`` "transposed" or "resize", of one sample with ``extent`` x ``extent`` pixels."""

    original: str
    kernel: int
    scale: int
    inputs: int
    outputs: int
    extent: int
    channels_last: bool

    @property
    def macs(self) -> int:
        positions = self.extent**2 if self.original == "transposed" else (self.scale * self.extent) ** 2
        return self.kernel**2 * self.inputs * self.outputs * positions

    @property
    def padding(self) -> int:
        """Padding of the transposed convolution whose output has ``scale * extent`` pixels."""
        return max(self.kernel - self.scale + 1, 0) // 2

    @property
    def output_padding(self) -> int:
        return self.scale - self.kernel + 2 * self.padding


def grid(formats: tuple[bool, ...]) -> Iterator[Problem]:
    """Yield every problem that is not too large to be repeated."""
    for problem in product(("transposed", "resize"), KERNELS, SCALES, CHANNELS, CHANNELS, EXTENTS, formats):
        wanted = Problem(*problem)
        if wanted.macs <= LARGEST and wanted.outputs * (wanted.scale * wanted.extent) ** 2 <= 2**23:
            yield wanted


# --- what is timed: one function per framework, from a problem to its competitors and the form that `convert` takes ---


def torch_runs(problem: Problem, threads: int) -> tuple[dict[str, Run], str | None]:
    import torch
    from torch import nn

    from subpixel_torch import convert, from_conv_transpose, from_resize_conv

    torch.set_num_threads(threads)
    layout = torch.channels_last if problem.channels_last else torch.contiguous_format
    x = torch.randn(1, problem.inputs, problem.extent, problem.extent).contiguous(memory_format=layout)
    channels = problem.inputs, problem.outputs, problem.kernel
    layers: dict[str, nn.Module]
    if problem.original == "transposed":
        deconv = nn.ConvTranspose2d(*channels, problem.scale, problem.padding, problem.output_padding).to(memory_format=layout)
        layers = {"original": deconv, **{form: from_conv_transpose(deconv, form=form) for form in ("minimal", "aligned")}}
    else:
        upsample, conv = nn.Upsample(scale_factor=problem.scale), nn.Conv2d(*channels, padding="same").to(memory_format=layout)
        layers = {
            "original": nn.Sequential(upsample, conv),
            **{form: from_resize_conv(upsample, conv, form=form) for form in ("minimal", "aligned")},
        }

    def run(layer: nn.Module) -> Run:
        def forward() -> None:
            with torch.inference_mode():
                layer(x)

        return forward

    _, report = convert(layers["original"], example=x)
    return {name: run(layer) for name, layer in layers.items()}, report.rows[0].form


FRAMEWORKS: dict[str, Callable[[Problem, int], tuple[dict[str, Run], str | None]]] = {"torch": torch_runs}


def fastest(competitors: Mapping[str, Run], seconds: float, clock: Callable[[], float], calls: int = 5) -> dict[str, float]:
    """Return the shortest time of one call of each in milliseconds, after at least ``calls`` rounds and ``seconds``."""
    for run in competitors.values():
        run()
    times: dict[str, list[float]] = defaultdict(list)
    started = clock()
    while len(times["original"]) < calls or clock() - started < seconds:
        for name, run in competitors.items():
            before = clock()
            run()
            times[name].append(clock() - before)
    return {name: 1e3 * min(own) for name, own in times.items()}


# --- what is shown ---


def mean(ratios: list[float]) -> float:
    """Return the geometric mean."""
    return exp(sum(map(log, ratios)) / len(ratios)) if ratios else float("nan")


def speed(row: dict[str, Any], form: str | None) -> float:
    return row["milliseconds"]["original"] / row["milliseconds"][form or "original"]


def show(rows: list[dict[str, Any]]) -> None:
    """Print a line per original and memory format, and every row that `convert` would make slower."""
    console = Console(width=140)
    heads = (
        "original",
        "channels",
        "rows",
        "minimal",
        "aligned",
        "faster of both",
        "as convert chooses",
        "of the replaced",
        "replaced",
        "slower by over 5 %",
    )
    table = Table(*heads, title="times faster than the original, geometric mean")
    for original, last in product(("transposed", "resize"), (False, True)):
        own = [row for row in rows if (row["original"], row["channels_last"]) == (original, last)]
        chosen = [row for row in own if row["chosen"]]
        means = [
            [speed(row, "minimal") for row in own],
            [speed(row, "aligned") for row in own],
            [max(speed(row, form) for form in ("minimal", "aligned")) for row in own],
            [speed(row, row["chosen"]) for row in own],
            [speed(row, row["chosen"]) for row in chosen],
        ]
        slower = sum(speed(row, row["chosen"]) < 0.95 for row in chosen)
        table.add_row(
            original,
            "last" if last else "first",
            f"{len(own)}",
            *(f"{mean(ratios):.2f}" for ratios in means),
            f"{len(chosen)}",
            f"{slower}",
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FRAMEWORKS, default="torch")
    parser.add_argument("--quick", type=int, metavar="N", help="a sample of N rows instead of the whole grid")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--seconds", type=float, default=0.3, help="at least, per row")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many, with the rows that are measured by then")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--again", type=Path, nargs="+", metavar="JSON", help="show kept rows, with what convert chooses now, and time nothing"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    problems = list(grid((False, True)))
    if options.quick:
        problems = random.Random(options.seed).sample(problems, options.quick)
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    end, rows = time.perf_counter() + 60 * options.minutes, []
    for path in options.again or ():
        rows += json.loads(path.read_text())["rows"]
    for row in rows:
        problem = Problem(*(row[field.name] for field in fields(Problem)))
        row["chosen"] = FRAMEWORKS[options.framework](problem, options.threads)[1]
    problems = [] if options.again else problems
    for problem in track(problems, description=options.framework, transient=True):
        if time.perf_counter() > end:
            break
        runs, chosen = FRAMEWORKS[options.framework](problem, options.threads)
        rows.append({**asdict(problem), "chosen": chosen, "milliseconds": fastest(runs, options.seconds, clock)})
    show(rows)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine(options.framework), "threads": options.threads, "seed": options.seed, "rows": rows}, indent=1)
            + "\n"
        )


if __name__ == "__main__":
    main()
