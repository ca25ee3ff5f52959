"""The residual U-Net against MONAI's networks, and our three backends against each other: forward, training step, peak memory.

    python benchmarks/unet.py --json reports/unet.json --plot reports/unet.png

MONAI's ``BasicUNet(upsample="pixelshuffle")`` and ``UNet(num_res_units=2)`` run as published. Ours has as many parameters as each, or as
many MACs (PyTorch's own count for theirs), within 1 %. Beside them one convolution alone in each framework: what each has to build on.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import Timing, interleaved, machine, written
from memory import grown
from rich.console import Console
from rich.table import Table

from subpixel_core import ResidualUNetConfig, init_parameters

PEERS = ("BasicUNet", "UNet")
Run = Callable[[], None]


# --- the networks ---


def peer(name: str, channels: int) -> Any:
    from monai.networks.nets import BasicUNet, UNet

    if name == "BasicUNet":
        return BasicUNet(spatial_dims=2, in_channels=channels, out_channels=channels, upsample="pixelshuffle")
    return UNet(
        spatial_dims=2, in_channels=channels, out_channels=channels, channels=(32, 64, 128, 256), strides=(2, 2, 2), num_res_units=2
    )


def size_of(model: Any, extent: int, channels: int) -> tuple[int, int]:
    """Return parameters and MACs of a torch module, as torch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, channels, extent, extent))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def ours_like(target: int, quantity: str, extent: int, channels: int) -> ResidualUNetConfig:
    """Return the configuration with parameters or MACs within 1 % of ``target`` whose widths, multiples of 8, come nearest to doubling."""

    def config(widths: tuple[int, ...]) -> ResidualUNetConfig:
        return ResidualUNetConfig(in_channels=channels, out_channels=channels, widths=widths)

    def amount(widths: tuple[int, ...]) -> int:
        return config(widths).parameters if quantity == "parameters" else config(widths).macs((extent, extent))

    def unlike_doubling(widths: tuple[int, ...]) -> float:
        return sum(abs(log2(wide / narrow) - 1) for narrow, wide in pairwise(widths))

    def about_double(width: int) -> range:
        return range(-(-width * 3 // 2 // 8) * 8, width * 5 // 2 + 1, 8)

    found: list[tuple[int, ...]] = [(width,) for width in range(8, 49, 8)]
    for _ in range(3):
        found = [(*widths, wider) for widths in found for wider in about_double(widths[-1])]
    near = [widths for widths in found if abs(amount(widths) / target - 1) < 0.01]
    return config(min(near, key=unlike_doubling))


# --- what is timed ---


def torch_runs(model: Any, x: np.ndarray, device: str, layout: str) -> dict[str, Run]:
    import torch

    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    model = model.to(device, memory_format=memory_format)
    batch = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).to(device).contiguous(memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def forward() -> None:
        with torch.inference_mode():
            model(batch)
        wait()

    def training() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.mse_loss(model(batch), batch).backward()
        optimizer.step()
        wait()

    return {"forward": forward, "training step": training}


def our_torch(config: ResidualUNetConfig, params: dict[str, np.ndarray]) -> Any:
    from subpixel_torch import ResidualUNet, set_parameters

    model = ResidualUNet(config)
    set_parameters(model, params)
    return model


def tensorflow_runs(config: ResidualUNetConfig, params: dict[str, np.ndarray], x: np.ndarray) -> dict[str, Run]:
    import keras
    import tensorflow as tf

    from subpixel_tensorflow import residual_unet, set_parameters

    model = residual_unet(config)
    set_parameters(model, params)
    batch, optimizer = tf.constant(x), keras.optimizers.SGD(1e-6)
    optimizer.build(model.trainable_variables)

    @tf.function
    def apply() -> Any:
        return model(batch, training=False)

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(batch, training=True) - batch))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return {"forward": lambda: apply().numpy(), "training step": lambda: step().numpy()}


def jax_runs(config: ResidualUNetConfig, params: dict[str, np.ndarray], x: np.ndarray, device: str) -> dict[str, Run]:
    import jax
    import jax.numpy as jnp

    from subpixel_jax import residual_unet

    place = jax.devices({"cpu": "cpu"}.get(device, "cuda"))[0]
    batch = jax.device_put(x, place)
    state = {"parameters": jax.device_put(params, place)}

    @jax.jit
    def apply(parameters: Any) -> Any:
        return residual_unet({"parameters": parameters, "statistics": {}}, batch, config)

    @jax.jit
    def step(parameters: Any) -> Any:
        gradients = jax.grad(lambda held: jnp.mean(jnp.square(apply(held) - batch)))(parameters)
        return jax.tree.map(lambda value, gradient: value - 1e-6 * gradient, parameters, gradients)

    def training() -> None:
        state["parameters"] = jax.block_until_ready(step(state["parameters"]))

    return {"forward": lambda: apply(state["parameters"]).block_until_ready(), "training step": training}


# --- one convolution, which each framework brings along ---

CONVOLUTION = "torch's convolution, channels_last"


def convolutions(batch: int, extent: int, width: int, device: str) -> dict[str, dict[str, Run]]:
    """Return a 3 x 3 convolution and its gradient by input and kernel in every framework, each as its backend computes it."""
    import jax
    import torch
    from jax import lax

    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, extent, extent, width)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, width, width)).astype(np.float32)
    held = [torch.from_numpy(a).to(device).permute(axes).requires_grad_() for a, axes in ((x, (0, 3, 1, 2)), (kernel, (3, 2, 0, 1)))]

    def torch_forward() -> None:
        with torch.inference_mode():
            torch.nn.functional.conv2d(*held, padding=1)
        if device != "cpu":
            torch.cuda.synchronize()

    def torch_step() -> None:
        torch.autograd.grad(torch.nn.functional.conv2d(*held, padding=1).square().mean(), held)
        if device != "cpu":
            torch.cuda.synchronize()

    place = jax.devices({"cpu": "cpu"}.get(device, "cuda"))[0]
    arrays = jax.device_put((x, kernel), place)
    apply = jax.jit(lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))
    gradient = jax.jit(jax.grad(lambda x, k: jax.numpy.square(apply(x, k)).mean(), argnums=(0, 1)))
    found = {
        CONVOLUTION: {"forward": torch_forward, "training step": torch_step},
        "JAX's convolution": {
            "forward": lambda: jax.block_until_ready(apply(*arrays)),
            "training step": lambda: jax.block_until_ready(gradient(*arrays)),
        },
    }
    if device == "cpu":
        import tensorflow as tf

        constants = [tf.constant(x), tf.constant(kernel)]

        @tf.function
        def tf_forward() -> Any:
            return tf.nn.conv2d(*constants, 1, "SAME")

        @tf.function
        def tf_step() -> Any:
            with tf.GradientTape() as tape:
                tape.watch(constants)
                loss = tf.reduce_mean(tf.square(tf.nn.conv2d(*constants, 1, "SAME")))
            return tape.gradient(loss, constants)

        found["TensorFlow's convolution"] = {"forward": tf_forward, "training step": tf_step}
    return found


# --- peak memory, each in a process of its own ---


def competitors(options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Run]]]:
    """Return what is timed, by name: each makes its network when it is called."""
    x = np.random.default_rng(0).normal(size=(options.batch, options.extent, options.extent, options.channels)).astype(np.float32)
    found: dict[str, Callable[[], dict[str, Run]]] = {}

    def add(name: str, make: Callable[[], dict[str, Run]]) -> None:
        found[name] = make

    for name in PEERS:
        parameters, macs = size_of(peer(name, options.channels), options.extent, options.channels)
        for layout in ("contiguous", "channels_last"):
            add(f"MONAI {name}, {layout}", lambda n=name, f=layout: torch_runs(peer(n, options.channels), x, options.device, f))
        for quantity, target in (("parameters", parameters), ("MACs", macs)):
            config = ours_like(target, quantity, options.extent, options.channels)
            params = init_parameters(config, np.random.default_rng(0))
            like = f"as many {quantity} as {name}"
            for layout in ("contiguous", "channels_last"):
                add(
                    f"ours torch, {like}, {layout}",
                    lambda c=config, p=params, f=layout: torch_runs(our_torch(c, p), x, options.device, f),
                )
            if quantity == "MACs":
                if options.device == "cpu":
                    add(f"ours TensorFlow, {like}", lambda c=config, p=params: tensorflow_runs(c, p, x))
                add(f"ours JAX, {like}", lambda c=config, p=params: jax_runs(c, p, x, options.device))
    return found


def peak(options: argparse.Namespace) -> dict[str, int]:
    """Return by how many bytes the process grew at most over what it held with the network made."""
    runs = competitors(options)[options.peak]()
    return {what: grown(runs[what]) for what in ("forward", "training step")}


def peak_of(name: str, arguments: list[str]) -> dict[str, int]:
    ran = subprocess.run([sys.executable, __file__, *arguments, "--peak", name], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


# --- the report ---


def measured(options: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    makers = competitors(options)
    report: dict[str, Any] = {
        "command": "python benchmarks/unet.py " + " ".join(arguments),
        "machine": machine("torch", "monai", "tensorflow", "keras", "jax", "numpy"),
        "batch": options.batch,
        "extent": options.extent,
        "channels": options.channels,
        "device": options.device,
        "networks": {},
        "rows": [],
    }
    for name in PEERS:
        parameters, macs = size_of(peer(name, options.channels), options.extent, options.channels)
        report["networks"][f"MONAI {name}"] = {"parameters": parameters, "macs": macs}
        for quantity, target in (("parameters", parameters), ("MACs", macs)):
            config = ours_like(target, quantity, options.extent, options.channels)
            report["networks"][f"ours, as many {quantity} as {name}"] = {
                "widths": config.widths,
                "parameters": config.parameters,
                "macs": config.macs((options.extent, options.extent)),
            }
    memory = {name: peak_of(name, arguments) for name in makers} if options.device == "cpu" and not options.no_memory else {}
    for name in PEERS:
        together = {key: make() for key, make in makers.items() if key.split(",")[0] == f"MONAI {name}" or f" as {name}" in key}
        report["rows"] += _rows(together, f"MONAI {name}, contiguous", options.rounds, memory)
    width = report["networks"][f"ours, as many MACs as {PEERS[0]}"]["widths"][0]
    alone = convolutions(options.batch, options.extent, width, options.device)
    report["rows"] += _rows(alone, CONVOLUTION, options.rounds, {})
    return report


def _rows(made: dict[str, dict[str, Run]], against: str, rounds: int, memory: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    return [
        _row(timing, what, against, memory.get(timing.name, {}).get(what))
        for what in ("forward", "training step")
        for timing in interleaved({key: runs[what] for key, runs in made.items()}, against, rounds=rounds)
    ]


def _row(timing: Timing, what: str, against: str, grown: int | None) -> dict[str, Any]:
    low, middle, high = timing.speed
    return {
        "against": against,
        "what": what,
        "name": timing.name,
        "milliseconds": timing.milliseconds,
        "speed": middle,
        "quartiles": [low, high],
        "peak_bytes": grown,
    }


def show(report: dict[str, Any], console: Console) -> None:
    for name, network in report["networks"].items():
        console.print(f"{name}: {network['parameters']:,} parameters, {network['macs'] / 1e6:,.1f} million MACs a sample")
    for against in dict.fromkeys(row["against"] for row in report["rows"]):
        table = Table(title=f"{against} = 1; batch {report['batch']}, {report['extent']} x {report['extent']}, {report['device']}")
        for column in ("", "what", "ms", "speed", "quartiles", "peak MiB"):
            table.add_column(column, justify="left" if column in ("", "what") else "right")
        for row in report["rows"]:
            if row["against"] == against:
                low, high = row["quartiles"]
                memory = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:.0f}"
                table.add_row(
                    row["name"], row["what"], f"{row['milliseconds']:.1f}", f"{row['speed']:.2f}", f"{low:.2f}-{high:.2f}", memory
                )
        console.print(table)


def plot(report: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.32 * len(report["rows"]) + 1.5), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row['name']}: {row['what']}" for row in report["rows"]]
    speeds = np.array([row["speed"] for row in report["rows"]])
    spread = np.abs(np.array([row["quartiles"] for row in report["rows"]]).T - speeds)
    colours = ["0.6" if row["name"] == row["against"] or row["name"].startswith("MONAI") else "C0" for row in report["rows"]]
    axes.barh(labels, speeds, xerr=spread, color=colours)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times as fast as the first (grey) of the same comparison")
    axes.invert_yaxis()
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--extent", type=int, default=64, help="height and width; a multiple of 16 for BasicUNet")
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory, which runs every network in a process of its own")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peak:
        Console(width=10_000).print_json(json.dumps(peak(options)), indent=None)
        return
    given = sys.argv[1:] if arguments is None else arguments
    shape = ["--batch", str(options.batch), "--extent", str(options.extent), "--channels", str(options.channels)]
    report = measured(options, shape)
    report["command"] = "python benchmarks/unet.py " + " ".join(given)
    show(report, Console(width=140))
    written(report, options.json, partial(plot, report), options.plot)


if __name__ == "__main__":
    main()
