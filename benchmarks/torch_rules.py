"""What the rules in `subpixel_torch/ops.py` rest on: the ways to carry out one shift in torch, side by side.

    python benchmarks/torch_rules.py --json docs/evidence/torch-rules-cpu.json      # some minutes

"apart" is the plan of the core on the tensor as it is, "native" is torch's own kernel, "runs" is the plan with the channels as the last
axis, which leaves them there in memory, "in two" is the last factor for itself. Processor time of one thread: other programs may share the
machine. Each row is shown to be right.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from interleaved import CLOCKS, interleaved, machine, written
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from subpixel_core import rearrangement
from subpixel_torch.ops import CACHED, FEWEST_BYTES, MANY, SMALL, _in_two, _planned

COPY, APART, NATIVE, RUNS, TWO = "copy", "apart", "native", "runs", "in two"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "uint8": torch.uint8}


def planned(x: Tensor, scale: int, order: str, data_format: str, inverse: bool) -> Tensor:
    """Return the shift as the core's plan says, with none of the rules."""
    return _planned(x, rearrangement(x.ndim, scale, order=order, data_format=data_format, inverse=inverse))


def ways(x: Tensor, scale: int, order: str, inverse: bool) -> dict[str, Callable[[], Tensor]]:
    """Return the ways to carry out one shift of a tensor (N, C, H, W)."""
    found = {
        APART: lambda: planned(x, scale, order, "channels_first", inverse),
        RUNS: lambda: planned(x.movedim(1, -1), scale, order, "channels_last", inverse).movedim(-1, 1),
    }
    if order == "CRD":
        found[NATIVE] = lambda: (F.pixel_unshuffle if inverse else F.pixel_shuffle)(x, scale)
        if x.is_contiguous():
            found[TWO] = lambda: _in_two(x, (scale, scale), inverse)
    return found


def points() -> Iterator[dict[str, Any]]:
    """Yield what is measured: tensors with the channels last in memory, small contiguous ones, and large ones."""
    names = ("order", "inverse", "values", "dtype", "scale", "channels", "memory")
    last = product(("CRD", "DCR", "DRC"), (False, True), (2**18, 2**20, 2**23), DTYPES, (2, 3, 4), (1, 3, 6, 8, 16, 64), ("channels last",))
    small = product(
        ("CRD",), (False, True), (2**6, 2**8, 2**10, 2**12, 2**13, 2**14), ("float32", "uint8"), (2, 3), (1, 8), ("contiguous",)
    )
    large = product(("CRD",), (False, True), (2**15, 2**18, 2**21, 2**23), DTYPES, (2, 3, 4, 8), (1, 16, 256), ("contiguous",))
    for values in (*last, *small, *large):
        yield dict(zip(names, values, strict=True))


def measured(point: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """Return the times of all ways over that of a copy of the result."""
    r, channels, inverse = point["scale"], point["channels"], point["inverse"]
    extent = max(2, int((point["values"] / (channels * r * r)) ** 0.5))
    shape = (1, channels, r * extent, r * (extent + 2)) if inverse else (1, channels * r * r, extent, extent + 2)
    x = torch.arange(torch.Size(shape).numel()).remainder(251).reshape(shape).to(DTYPES[point["dtype"]])
    if point["memory"] == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    found = ways(x, r, point["order"], inverse)
    right = found[APART]()
    for name, way in found.items():
        if not torch.equal(way(), right):
            raise AssertionError(f"{name} is wrong")
    runs: dict[str, Callable[[], Any]] = {COPY: right.clone, **found}
    timings = interleaved(runs, COPY, rounds=rounds, warmup=1, shortest=0.004, clock=CLOCKS["processor"], shown=False)
    floor = timings[0]
    return {
        **point,
        "width": extent + 2,
        "us": 1e3 * floor.milliseconds,
        "of_copy": {timing.name: timing.ratio(floor)[1] for timing in timings[1:]},
    }


# --- the report ---


def groups(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, list[Mapping[str, Any]]]]:
    """Yield, for every side of every rule, (what it is about, the way that it takes, the other way, rows)."""

    def chosen(**wanted: Any) -> list[Mapping[str, Any]]:
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    last, size = "channels last", {"float32": 4, "float16": 2, "uint8": 1}
    shift, inverse = chosen(memory=last, order="CRD", inverse=False), chosen(memory=last, order="CRD", inverse=True)
    yield "shift, CRD, 8 channels or more", NATIVE, APART, [row for row in shift if row["channels"] >= 8]
    yield "shift, CRD, fewer channels", APART, NATIVE, [row for row in shift if row["channels"] < 8]
    large = [row for row in inverse if row["channels"] >= 8 and row["values"] * size[row["dtype"]] >= 2**24 and row["dtype"] == "float32"]
    yield "inverse, CRD, 8 channels or more of 4 bytes, 16 MiB or more", NATIVE, APART, large
    yield "inverse, CRD, others", APART, NATIVE, [row for row in inverse if row not in large]
    for order, back in product(("DCR", "DRC"), (False, True)):
        both = chosen(memory=last, order=order, inverse=back)
        fewest = FEWEST_BYTES[order, back]
        long = [row for row in both if row["channels"] * size[row["dtype"]] >= fewest]
        what = f"{'inverse' if back else 'shift'}, {order}"
        yield f"{what}, runs of {fewest} bytes or more" if fewest else what, RUNS, APART, long
        if fewest:
            yield f"{what}, shorter runs", APART, RUNS, [row for row in both if row not in long]
    small = [row for row in chosen(memory="contiguous") if row["values"] < MANY]
    yield f"contiguous, {SMALL} values or fewer", NATIVE, APART, [row for row in small if row["values"] <= SMALL]
    yield f"contiguous, more, but fewer than {MANY}", APART, NATIVE, [row for row in small if row["values"] > SMALL]
    for back in (False, True):
        large = [row for row in chosen(memory="contiguous", inverse=back) if row["values"] >= MANY]
        cached = [row for row in large if row["values"] * size[row["dtype"]] < CACHED]
        vectors = [row for row in cached if row["dtype"] != "float16" and row["scale"] != 3]
        short = [row for row in cached if row not in vectors and row["dtype"] != "float32" and row["width"] <= 8]
        what = f"{'inverse' if back else 'shift'}, contiguous, in the cache"
        yield f"{what}, factor 2, 4 or 8 of float32 or uint8", TWO, APART, vectors
        yield f"{what}, others, rows of 8 or fewer of 1 or 2 bytes", TWO, APART, short
        yield f"{what}, others", APART, TWO, [row for row in cached if row not in vectors and row not in short]
        yield f"{'inverse' if back else 'shift'}, contiguous, beyond the cache", APART, TWO, [row for row in large if row not in cached]


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return, for every side of every rule, the time of its way over that of the other, and over a copy's: smallest, median, largest."""
    lines = []
    for what, way, other, own in groups(rows):
        ratios = sorted(row["of_copy"][way] / row["of_copy"][other] for row in own)
        copies = [sorted(row["of_copy"][name] for row in own) for name in (way, other)]
        ends = [[values[0], values[len(values) // 2], values[-1]] for values in (ratios, *copies)]
        lines.append({"what": what, "way": way, "other": other, "cases": len(own), "of_other": ends[0], "copies": ends[1:]})
    return lines


def show(lines: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table(title="smallest, median and largest time")
    for column in ("rule", "way", "cases", "of the other way", "of a copy", "the other, of a copy"):
        table.add_column(column)
    for line in lines:
        spans = [" ".join(f"{value:.2f}" for value in values) for values in (line["of_other"], *line["copies"])]
        table.add_row(line["what"], line["way"], str(line["cases"]), *spans)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = [measured(point, options.rounds) for point in track([*points()], description="cases")]
    lines = summary(rows)
    show(lines, Console(width=170))
    command = "python benchmarks/torch_rules.py " + " ".join(sys.argv[1:] if arguments is None else arguments)
    written(
        {
            "command": command,
            "machine": machine("torch"),
            "threads": 1,
            "clock": "processor",
            "rounds": options.rounds,
            "summary": lines,
            "rows": rows,
        },
        options.json,
    )


if __name__ == "__main__":
    main()
