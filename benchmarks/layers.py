"""Sub-pixel convolutions as layers: beside what else upsamples, forward and in training; and chains beside single stages.

    python benchmarks/layers.py --json reports/layers.json --plot reports/layers.png

Of the first table, convolution and native shift and the transposed convolution compute the same values as ours, which is asserted before
anything is timed; a resize with a convolution behind it is another function with as many taps per output, and what many use instead.
All of a row run in turn. The second table has what the arithmetic of the core predicts beside what was measured.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

import subpixel_core as core

Run = Callable[[], Any]
Function = Callable[[Any, Any], Any]
OURS, RUNS, NATIVE, TRANSPOSED, RESIZE = "ours", "ours, DCR", "convolution, native shift", "transposed convolution", "resize, convolution"
FRAMEWORKS = ("torch", "torch channels_last", "tensorflow", "jax")
LAYERS = ((2, 64, 64, 64), (2, 16, 16, 256), (2, 256, 64, 32), (3, 64, 32, 48), (4, 64, 64, 32), (4, 32, 3, 64), (8, 32, 8, 32))
"""(scale, input channels, output channels, extent); 3 x 3 taps, batch 2."""
CHAINS = ((4, 64, 64, 32), (4, 64, 3, 64), (8, 64, 64, 16), (8, 64, 3, 32))


@dataclass(frozen=True)
class Layer:
    """One layer with its parameters in the canonical layout, kernel (3, 3, Ci, C * r * r), and an input, channels last."""

    scale: int
    inputs: int
    outputs: int
    extent: int

    @property
    def kernel(self) -> np.ndarray:
        return self._normal(3, 3, self.inputs, self.outputs * self.scale**2) / (3 * self.inputs**0.5)

    @property
    def x(self) -> np.ndarray:
        return self._normal(2, self.extent, self.extent + 2, self.inputs)

    def _normal(self, *shape: int) -> np.ndarray:
        return np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def transposed(self, order: Any) -> core.TransposedKernel:
        """The transposed convolution that it equals: 3 r x 3 r taps."""
        return core.subpixel_to_deconv(self.kernel, scale=(self.scale,) * 2, order=order)


# --- the competitors: name -> (function of (parameters, input), parameters) ---


def torch_layer(layer: Layer, channels_last: bool) -> tuple[dict[str, tuple[Function, Any]], Any]:
    import torch
    from torch.nn import functional as F

    from subpixel_torch import phase_shift

    layout = torch.channels_last if channels_last else torch.contiguous_format
    r = layer.scale

    def tensor(array: np.ndarray) -> Any:  # (h, w, Ci, Co) -> (Co, Ci, h, w)
        return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1))).contiguous(memory_format=layout).requires_grad_()

    x = torch.from_numpy(layer.x).movedim(-1, 1).contiguous(memory_format=layout)
    weight, same = tensor(layer.kernel), {"padding": 1}
    swapped = layer.kernel[..., core.channel_permutation(layer.kernel.shape[-1], r, source="CRD", target="DCR")]
    equal = layer.transposed("CRD")
    high = torch.from_numpy(np.ascontiguousarray(equal.kernel.transpose(2, 3, 0, 1))).requires_grad_()  # (Ci, Co, h, w)
    found = {
        OURS: (lambda w, x: phase_shift(F.conv2d(x, w, **same), r), weight),
        NATIVE: (lambda w, x: F.pixel_shuffle(F.conv2d(x, w, **same), r), weight),
        TRANSPOSED: (lambda w, x: F.conv_transpose2d(x, w, stride=r, padding=equal.padding, output_padding=equal.output_padding), high),
        RESIZE: (lambda w, x: F.conv2d(F.interpolate(x, scale_factor=r), w, **same), tensor(layer.kernel[..., : layer.outputs])),
    }
    if channels_last:
        found[RUNS] = (lambda w, x: phase_shift(F.conv2d(x, w, **same), r, order="DCR"), tensor(swapped))
    return found, x


def tensorflow_layer(layer: Layer) -> tuple[dict[str, tuple[Function, Any]], Any]:
    import tensorflow as tf

    from subpixel_tensorflow import phase_shift

    r, x = layer.scale, tf.constant(layer.x)
    equal = layer.transposed("DCR")
    extents = [2, layer.extent * r, (layer.extent + 2) * r, layer.outputs]
    turned = tf.Variable(equal.kernel.swapaxes(-1, -2))
    kernel = tf.Variable(layer.kernel)
    return {
        OURS: (lambda w, x: phase_shift(tf.nn.conv2d(x, w, 1, "SAME"), r), kernel),
        NATIVE: (lambda w, x: tf.nn.depth_to_space(tf.nn.conv2d(x, w, 1, "SAME"), r), kernel),
        TRANSPOSED: (lambda w, x: tf.nn.conv2d_transpose(x, w, extents, r, "SAME"), turned),
        RESIZE: (
            lambda w, x: tf.nn.conv2d(tf.image.resize(x, extents[1:3], "nearest"), w, 1, "SAME"),
            tf.Variable(layer.kernel[..., : layer.outputs]),
        ),
    }, x


def jax_layer(layer: Layer) -> tuple[dict[str, tuple[Function, Any]], Any]:
    import jax.numpy as jnp
    from dm_pix import depth_to_space
    from jax import lax

    from subpixel_jax import phase_shift

    r, x = layer.scale, jnp.asarray(layer.x)
    layout = ("NHWC", "HWIO", "NHWC")

    def conv(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layout)

    equal = layer.transposed("DCR")
    wide = tuple((3 * r - 1 - p, 3 * r - 1 - p + o) for p, o in zip(equal.padding, equal.output_padding, strict=True))
    return {
        OURS: (lambda w, x: phase_shift(conv(x, w), r), jnp.asarray(layer.kernel)),
        NATIVE: (lambda w, x: depth_to_space(conv(x, w), r), jnp.asarray(layer.kernel)),
        TRANSPOSED: (
            lambda w, x: lax.conv_general_dilated(x, w, (1, 1), wide, lhs_dilation=(r, r), dimension_numbers=layout),
            jnp.asarray(equal.kernel[::-1, ::-1]),
        ),
        RESIZE: (lambda w, x: conv(jnp.repeat(jnp.repeat(x, r, 1), r, 2), w), jnp.asarray(layer.kernel[..., : layer.outputs])),
    }, x


def competitors(framework: str, layer: Layer) -> tuple[dict[str, tuple[Function, Any]], Any]:
    if framework.startswith("torch"):
        return torch_layer(layer, framework.endswith("last"))
    return {"tensorflow": tensorflow_layer, "jax": jax_layer}[framework](layer)


# --- what is timed of them ---


def runs(framework: str, function: Function, parameters: Any, x: Any) -> dict[str, Run]:
    """Return the forward pass, and the forward pass with the gradients of the sum of squares by the parameters."""
    if framework.startswith("torch"):
        import torch

        def forward() -> Any:
            with torch.inference_mode():
                return function(parameters, x)

        return {"forward": forward, "training": lambda: torch.autograd.grad(function(parameters, x).square().sum(), parameters)}
    if framework == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=False)
        def training() -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(function(parameters, x)))
            return tape.gradient(loss, parameters)

        return {"forward": tf.function(lambda: function(parameters, x)), "training": training}
    import jax

    compiled = jax.jit(function)
    gradient = jax.jit(jax.grad(lambda w, x: (function(w, x) ** 2).sum()))
    return {
        "forward": lambda: jax.block_until_ready(compiled(parameters, x)),
        "training": lambda: jax.block_until_ready(gradient(parameters, x)),
    }


def array(framework: str, value: Any) -> np.ndarray:
    """Return an output, channels last."""
    found = value.detach().cpu().numpy() if framework.startswith("torch") else np.asarray(value)
    return np.moveaxis(found, 1, -1) if framework.startswith("torch") else found


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with Progress() as progress:
        for framework, values in progress.track([(f, v) for f in options.framework for v in LAYERS], description="layers"):
            layer = Layer(*values)
            order = "CRD" if framework.startswith("torch") else "DCR"
            wanted = core.subpixel_conv(layer.x, layer.kernel, scale=(layer.scale,) * 2, order=order)
            found, x = competitors(framework, layer)
            timed = {name: runs(framework, function, parameters, x) for name, (function, parameters) in found.items()}
            for name, run in timed.items():
                if name != RESIZE:
                    np.testing.assert_allclose(array(framework, run["forward"]()), wanted, rtol=0, atol=1e-4, err_msg=name)
            for what in ("forward", "training"):
                kept = {name: run[what] for name, run in timed.items()}
                timings = interleaved(kept, OURS, rounds=options.rounds, warmup=2, shortest=0.02, clock=CLOCKS[options.clock], shown=False)
                ours = next(timing for timing in timings if timing.name == OURS)
                row = {"framework": framework, "scale": layer.scale, "channels": values[1:3], "extent": layer.extent, "what": what}
                row["ms"] = {timing.name: timing.milliseconds for timing in timings}
                row["speed"] = {timing.name: ours.speed_over(timing) for timing in timings if timing is not ours}
                rows.append(row)
    return rows


# --- chains ---


def chain(values: Sequence[int], steps: Sequence[int], rounds: int, threads: int, clock: str) -> dict[str, Any]:
    """Measure one chain in torch, and say what the core predicts of it."""
    set_threads(threads)
    import torch

    from subpixel_torch import ChainedSubpixelConv2d

    scale, inputs, outputs, extent = values
    layer = ChainedSubpixelConv2d(inputs, outputs, 3, scale, factors=[(r, r) for r in steps])
    x = torch.randn(1, inputs, extent, extent + 2)
    weights = list(layer.parameters())

    def forward() -> Any:
        with torch.inference_mode():
            return layer(x)

    def training() -> Any:
        return torch.autograd.grad(layer(x).square().sum(), weights)

    found: dict[str, Any] = {
        "parameters": layer.plan.parameters,
        "macs": layer.plan.macs((extent, extent + 2)),
        "activations": sum(layer.plan.activations((extent, extent + 2))),
    }
    for name, run in (("forward", forward), ("training", training)):
        run()
        found[f"{name} MiB"] = grown(run) / 2**20
        (timing,) = interleaved({name: run}, name, rounds=rounds, warmup=1, shortest=0.02, clock=CLOCKS[clock], shown=False)
        found[f"{name} ms"] = timing.milliseconds
    return found


def chains(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for values in CHAINS:
        splits = {4: ((4,), (2, 2)), 8: ((8,), (2, 2, 2), (2, 4), (4, 2))}[values[0]]
        for steps in splits:
            asked = json.dumps([values, steps, options.rounds, options.threads, options.clock])
            ran = subprocess.run([sys.executable, __file__, "--chain", asked], capture_output=True, text=True, check=True)
            rows.append({"layer": values, "steps": steps, **json.loads(ran.stdout.splitlines()[-1])})
    return rows


# --- the report ---


def show(report: Mapping[str, Any], console: Console) -> None:
    table = Table(title="how many times faster ours is than")
    names = (NATIVE, TRANSPOSED, RESIZE, RUNS)
    for column in ("framework", "what", "scale", "channels", "extent", "ours ms", *names):
        table.add_column(column, justify="left" if column in ("framework", "what") else "right")
    for row in report["layers"]:
        start = (row["framework"], row["what"], str(row["scale"]), "{} to {}".format(*row["channels"]), str(row["extent"]))
        speeds = [f"{row['speed'][name][1]:.2f}" if name in row["speed"] else "" for name in names]
        table.add_row(*start, f"{row['ms'][OURS]:.2f}", *speeds)
    console.print(table)
    table = Table(title="chains in torch: predicted and measured")
    for column in ("scale, channels, extent", "stages", "parameters", "M MACs", "forward ms", "MiB", "training ms", "MiB"):
        table.add_column(column, justify="right")
    for row in report["chains"]:
        scale, inputs, outputs, extent = row["layer"]
        measured_ones = [f"{row[name]:.1f}" for name in ("forward ms", "forward MiB", "training ms", "training MiB")]
        start = (f"{scale}, {inputs} to {outputs}, {extent}", " · ".join(map(str, row["steps"])), f"{row['parameters']:,}")
        table.add_row(*start, f"{row['macs'] / 1e6:,.0f}", *measured_ones)
    console.print(table)


def plot(report: Mapping[str, Any], path: Path) -> None:
    """Draw our speed over the others', a bar for each layer, and for the chains measured time against predicted arithmetic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    names = list(dict.fromkeys(row["framework"] for row in report["layers"]))
    for number, other in enumerate((NATIVE, TRANSPOSED, RESIZE)):
        for place, framework in enumerate(names):
            speeds = [row["speed"][other][1] for row in report["layers"] if row["framework"] == framework and row["what"] == "forward"]
            at = [place + 0.25 * (number - 1)] * len(speeds)
            left.plot(at, speeds, "o", mfc="none", color=f"C{number}", label=other if place == 0 else None)
    left.axhline(1, color="black", linewidth=0.8)
    left.set(yscale="log", ylabel="times as fast as the other, forward", xticks=range(len(names)), xticklabels=names)
    left.legend()
    for values in dict.fromkeys(tuple(row["layer"]) for row in report["chains"]):
        rows = [row for row in report["chains"] if tuple(row["layer"]) == values]
        direct = rows[0]
        name = "scale {}, {} to {}".format(*values[:3])
        right.plot([r["macs"] / direct["macs"] for r in rows], [r["forward ms"] / direct["forward ms"] for r in rows], "o", label=name)
    right.axline((1, 1), slope=1, color="black", linewidth=0.8)
    right.set(xlabel="multiply-accumulates over those of one stage", ylabel="time over that of one stage")
    right.legend()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="processor: for a machine that others share, with one thread")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--chain", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.chain:
        print(json.dumps(chain(*json.loads(options.chain))))
        return
    set_threads(options.threads)
    report = {
        "command": "python benchmarks/layers.py " + " ".join(sys.argv[1:] if arguments is None else arguments),
        "machine": machine("torch", "tensorflow", "jax", "numpy", "dm-pix"),
        "threads": options.threads,
        "clock": options.clock,
        "rounds": options.rounds,
        "layers": measured(options),
        "chains": chains(options),
    }
    show(report, Console(width=170))
    written(report, options.json, partial(plot, report), options.plot)


if __name__ == "__main__":
    main()
