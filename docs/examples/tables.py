"""Writes the tables of README.md from the records in results/: `python docs/examples/tables.py`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import run
import runtimes

README = Path(__file__).resolve().parent / "README.md"
BLOCK = re.compile(r"(<!-- figures of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""What is between these comments comes from here."""

Record = dict[str, Any]

LATENCY = f"Latency on one thread, the shortest of {runtimes.REPEATS} calls that took turns, beside other work on the machine."


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown.

    >>> print(table(["scale", "PSNR"], [["2", "34.26"]]))
    | scale | PSNR |
    |---|---|
    | 2 | 34.26 |
    """
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def super_resolution(record: Record) -> str:
    """Return PSNR and SSIM of every held-out photograph, and what every training took."""
    parts = []
    for scale in ("x2", "x4"):
        part = record[scale]
        methods, names = part["figures"], list(part["figures"]["bicubic"])
        rows = [[method, *(f"{of[name]['psnr']:.2f} / {of[name]['ssim']:.4f}" for name in names)] for method, of in methods.items()]
        parts.append(table([f"×{scale[1]}: PSNR in dB / SSIM", *names], rows))
        parts.append(
            f"{part['parameters']:,} parameters. {first_steps(part)} A file that one trained and another reads: "
            f"the outputs lie {max(part['exchange'].values()):.1e} apart at most. {seconds(part)}"
        )
    return "\n\n".join([*parts, origin(record)])


def segmentation(record: Record) -> str:
    """Return the intersection over union on held-out scenes."""
    rows = [[framework, f"{of['iou']:.4f}", f"{of['worst']:.4f}"] for framework, of in record["figures"].items()]
    size = f"{record['parameters']:,} parameters; the masks cover {record['covered']:.0%} of the pixels."
    text = f"{size} {first_steps(record)} {seconds(record)}"
    return "\n\n".join([table(["", "IoU of all held-out scenes", "of the worst scene"], rows), text, origin(record)])


def autoencoder(record: Record) -> str:
    """Return the errors, and how many starts died."""
    rows = [[method, f"{error:.5f}"] for method, error in record["figures"].items()]
    starts = [
        [kind, f"{sum(share > 0.1 for share in shares)} of {len(shares)}", f"{max(shares):.0%}"]
        for kind, shares in record["starts"].items()
    ]
    return "\n\n".join(
        [
            table(["", "mean squared error, held out"], rows),
            table(["sub-pixel kernels start", "starts with more than a tenth of the pixels dead", "the worst"], starts),
            f"Data: {record['data']}. {first_steps(record)} {seconds(record)}",
            origin(record),
        ]
    )


def round_trips(record: Record) -> str:
    """Return file size, latency and PSNR at every step of both trips."""
    rows = [
        [trip, step, f"{of['bytes'] / 1000:.0f} kB", f"{of['milliseconds']:.1f} ms", f"{of['psnr']:.2f} dB", f"{of['apart']:.1g}"]
        for trip, steps in record["trips"].items()
        for step, of in steps.items()
    ]
    header = ["trained in", "computed by", "file", "latency", "PSNR", "farthest from what was trained, in the network's units"]
    text = f"Bicubic enlargement of {record['photograph']}, held out: {record['bicubic']:.2f} dB. {LATENCY}"
    return "\n\n".join([table(header, rows), text, origin(record)])


def quantization(record: Record) -> str:
    """Return what either network is worth in eight bits, and what that costs."""
    parts = []
    for name, what, unit in (("super_resolution", "psnr", "mean PSNR of the held-out photographs"), ("segmentation", "iou", "IoU")):
        part = record[name]
        digits, decibels = (2, " dB") if what == "psnr" else (4, "")
        rows = [
            [kind, f"{of[what]:.{digits}f}{decibels}", f"{of['bytes'] / 1000:.0f} kB", f"{of['milliseconds']:.1f} ms"]
            for kind, of in part["figures"].items()
        ]
        extents = " × ".join(map(str, part["example"]))
        parts.append(table([name.replace("_", "-"), unit, "file", f"latency for {extents}"], rows))
    text = f"Each network was trained for {record['steps']} steps. {LATENCY} torchao: {record['torchao']}."
    return "\n\n".join([*parts, text, origin(record)])


def first_steps(part: Record) -> str:
    """Return how close the frameworks stay."""
    return f"In the first {run.FIRST_STEPS} steps the three losses lie {part['first_steps']:.1e} apart at most."


def seconds(part: Record) -> str:
    """Return how long the trainings took: not a benchmark, other processes ran beside them."""
    times = ", ".join(f"{framework} {training['seconds']:.0f} s" for framework, training in part["trainings"].items())
    return f"Training took {times}, compilation included, beside other work on the machine."


def origin(record: Record) -> str:
    """Return the command and the machine."""
    versions = ", ".join(f"{name} {record[name]}" for name in ("torch", "tensorflow", "keras", "jax", "optax", "scikit-image"))
    return f"`{record['command']}` on a {record['machine']}; Python {record['python']}, {versions}."


def rendered(text: str, results: Path) -> str:
    """Return a document with the tables of all records in it."""

    def block(found: re.Match[str]) -> str:
        record = json.loads((results / f"{found[2]}.json").read_text(encoding="utf-8"))
        return f"{found[1]}{TABLES[found[2]](record)}\n{found[3]}"

    return BLOCK.sub(block, text)


TABLES = {
    "super_resolution": super_resolution,
    "segmentation": segmentation,
    "autoencoder": autoencoder,
    "round_trips": round_trips,
    "quantization": quantization,
}

if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8"), run.RESULTS), encoding="utf-8")
