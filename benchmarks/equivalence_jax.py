"""Transposed convolutions, and resizes with a convolution behind them, against the sub-pixel convolutions that they are, in JAX under jit.

    python benchmarks/equivalence_jax.py --points 120 --json reports/equivalence-jax.json

Every point is one layer on one input: K × K taps, stride s, "SAME", float32, channels last. A row holds the medians of all that is timed
there in turn: ``conv_transpose`` (`jax.lax.conv_transpose`) and ``resize_conv`` (`jax.numpy.repeat` by s, then a convolution of K × K
taps), each with its ``minimal`` and its ``aligned`` form. The points are drawn from the grid, the same for the same
seed; those beyond ``--macs`` are left out.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from math import exp, log
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from interleaved import interleaved, machine
from jax import lax
from rich.console import Console
from rich.table import Table

from subpixel_jax import from_conv_transpose, from_resize_conv, is_measured_faster

TAPS = (2, 3, 4, 5, 6, 8, 9)
STRIDES = (2, 3, 4)
CHANNELS = ((3, 64), (64, 3), (16, 16), (64, 32), (64, 64), (256, 64), (64, 256), (256, 256))
EXTENTS = (16, 32, 64, 128, 256, 512)
BATCHES = (1, 4)
FORMS = ("minimal", "aligned")
Point = dict[str, int]


def grid(most_macs: float) -> list[Point]:
    """Return all points, but for those whose transposed convolution or resize has too many multiply-accumulates."""
    axes = product(TAPS, STRIDES, CHANNELS, EXTENTS, BATCHES)
    points = [{"K": K, "s": s, "Ci": Ci, "Co": Co, "extent": extent, "batch": batch} for K, s, (Ci, Co), extent, batch in axes]
    return [point for point in points if macs(point) * point["s"] ** 2 <= most_macs]


def macs(point: Point) -> int:
    """Return the multiply-accumulates of the transposed convolution; the resize and its convolution have s × s times as many."""
    return point["batch"] * point["extent"] ** 2 * point["K"] ** 2 * point["Ci"] * point["Co"]


def layers(point: Point) -> dict[str, Callable[[], None]]:
    """Return what is timed at a point, compiled, each waiting for its result."""
    rng = np.random.default_rng(0)
    K, s, Ci, Co, extent = (point[name] for name in ("K", "s", "Ci", "Co", "extent"))
    kernel, bias = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((K, K, Ci, Co), (Co,)))
    x = jnp.asarray(rng.normal(size=(point["batch"], extent, extent, Ci)), jnp.float32)
    found: dict[str, Any] = {"conv_transpose": partial(transposed, s, kernel, bias)}
    found |= {f"conv_transpose {form}": from_conv_transpose(kernel, bias, strides=s, padding="SAME", form=form) for form in FORMS}
    found |= {"resize_conv": partial(resized, s, kernel, bias)}
    found |= {f"resize_conv {form}": from_resize_conv(kernel, bias, scale=s, padding="SAME", form=form) for form in FORMS}
    runs = {}
    for name, layer in found.items():
        compiled = jax.jit(layer.func, static_argnums=0) if isinstance(layer, partial) else jax.jit(lambda layer, x: layer(x))
        arguments = (*layer.args, x) if isinstance(layer, partial) else (layer, x)
        runs[name] = partial(wait, compiled, arguments)
    return runs


def transposed(s: int, kernel: Any, bias: Any, x: Any) -> Any:
    return lax.conv_transpose(x, kernel, (s, s), "SAME") + bias


def resized(s: int, kernel: Any, bias: Any, x: Any) -> Any:
    enlarged = jnp.repeat(jnp.repeat(x, s, axis=1), s, axis=2)
    return lax.conv_general_dilated(enlarged, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias


def wait(run: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    run(*arguments).block_until_ready()


def rows(points: list[Point], rounds: int, clock: Callable[[], float]) -> Iterator[dict[str, Any]]:
    for point in points:
        timings = interleaved(layers(point), "conv_transpose", rounds=rounds, warmup=1, clock=clock)
        yield {"framework": "jax", **point, "ms": {timing.name: round(timing.milliseconds, 4) for timing in timings}}
        jax.clear_caches()


def chosen(row: dict[str, Any], original: str) -> str:
    """Return the name of what the measured rule picks: a form, or the original."""
    K, s = (row["K"],) * 2, (row["s"],) * 2
    if not is_measured_faster(K, s, row["Ci"], row["Co"], resize=original == "resize_conv"):
        return original
    kernel = jnp.zeros((*K, 1, 1))
    convert = partial(from_conv_transpose, strides=s) if original == "conv_transpose" else partial(from_resize_conv, scale=s)
    crops = {form: convert(kernel, padding="SAME", form=form).crop for form in FORMS}
    fewest = convert(kernel, padding="SAME").crop
    return f"{original} {next(form for form in FORMS if crops[form] == fewest)}"


def speeds(table: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return, for every question, how many times faster than the original each point is."""
    found: dict[str, list[float]] = {}
    for row in table:
        ms = row["ms"]
        for original in ("conv_transpose", "resize_conv"):
            for form in FORMS:
                found.setdefault(f"{original} {form}", []).append(ms[original] / ms[f"{original} {form}"])
            found.setdefault(f"{original}, by the rule", []).append(ms[original] / ms[chosen(row, original)])
    return found


def shown(table: list[dict[str, Any]]) -> Table:
    summary = Table("", "geometric mean", "smallest", "largest", "slower by more than 5 %", title=f"times as fast, {len(table)} points")
    for question, ratios in speeds(table).items():
        slower = sum(ratio < 1 / 1.05 for ratio in ratios)
        mean = exp(sum(map(log, ratios)) / len(ratios))
        summary.add_row(question, f"{mean:.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}", str(slower))
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=120)
    parser.add_argument("--macs", type=float, default=4e9, help="the most that one call may take")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help="processor: for a machine that others share")
    parser.add_argument("--again", type=Path, metavar="JSON", help="show the table of an earlier run, and time nothing")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.again:
        Console().print(shown(json.loads(options.again.read_text(encoding="utf-8"))["rows"]))
        return
    points = grid(options.macs)
    sample = random.Random(options.seed).sample(points, min(options.points, len(points)))
    table = list(rows(sample, options.rounds, time.process_time if options.clock == "processor" else time.perf_counter))
    Console().print(shown(table))
    if options.json:
        report = {"command": " ".join(sys.argv), "machine": machine("jax", "jaxlib"), "rows": table}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
