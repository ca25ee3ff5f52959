"""From training to a runtime, twice: PyTorch to TensorFlow to TFLite in int8, and JAX to PyTorch to onnxruntime in int8.

The network is the one of super_resolution.py, for scale 2. At each step the same photograph, which it was not trained on, goes through it.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import metrics
import numpy as np
import photographs
import plots
import run
import runtimes
import super_resolution
from numpy.typing import NDArray

from subpixel_core import ResidualUNetConfig, init_parameters, save_weights

SCALE = 2
PHOTOGRAPH = "chelsea"
BICUBIC, ORIGINAL = "bicubic", "original"
COLUMNS = (BICUBIC, "trained in", "read by", "exported to", "quantized", ORIGINAL)

Array = NDArray[np.float32]
Steps = dict[str, tuple[Path, runtimes.Network]]
"""Of a trip: for every step its file, and the network as it computes there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Make both trips, and write the pictures and the figures."""
    given = run.parser(__doc__, steps=300, frameworks=False).parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    settings = super_resolution.SHORT if given.short else super_resolution.FULL

    truth = super_resolution.judged(PHOTOGRAPH, SCALE, settings.part)
    small = photographs.reduced(truth, SCALE)
    bicubic = photographs.enlarged(small, SCALE)
    x = photographs.network_input(small)[np.newaxis]
    seen = calibration(settings)

    record: dict[str, Any] = {"photograph": PHOTOGRAPH, "bicubic": round(metrics.psnr(bicubic, truth), 4), "trips": {}}
    rows, notes = [], []
    for name, trip in {"torch": from_torch, "jax": from_jax}.items():
        trained = given.out / f"round_trip_{name}.safetensors"
        train(name, trained, settings, given.steps)
        steps = trip(trained, given.out, seen)
        outputs = {step: network(x)[0] for step, (_, network) in steps.items()}
        images = {step: photographs.restored(output, bicubic) for step, output in outputs.items()}
        times = runtimes.milliseconds({step: network for step, (_, network) in steps.items()}, x, 2 if given.short else runtimes.REPEATS)
        first = next(iter(outputs.values()))
        record["trips"][name] = {
            step: {
                "psnr": round(metrics.psnr(images[step], truth), 4),
                "bytes": path.stat().st_size,
                "milliseconds": times[step],
                "apart": float(f"{np.abs(outputs[step] - first).max():.2g}"),
            }
            for step, (path, _) in steps.items()
        }
        shown = [window(image) for image in (bicubic, *images.values(), truth)]
        rows.append(shown)
        decibels = [f"{step}: {of['psnr']:.2f} dB" for step, of in record["trips"][name].items()]
        notes.append([f"{record['bicubic']:.2f} dB", *decibels, PHOTOGRAPH])
    plots.gallery(given.out / "round_trips.png", COLUMNS, rows, notes, size=1.9)
    run.write(given.out / "round_trips.json", record, run.arguments_of(arguments))


def calibration(settings: super_resolution.Settings) -> list[Array]:
    """Return details of patches of the photographs that are trained on, as batches: their ranges become the scales of int8."""
    batches = photographs.batches(SCALE, steps=4, size=settings.batch, patch=2 * settings.patch, seed=run.SEED + 1)
    return [x for x, _ in batches]


def train(framework: str, end: Path, settings: super_resolution.Settings, steps: int) -> None:
    """Train the network in one framework and write its weight file."""
    config = ResidualUNetConfig(widths=settings.widths, output_scale=SCALE, norm="none")
    params = init_parameters(config, np.random.default_rng(run.SEED))
    last = list(params)[-2]
    start = end.with_name(f"{end.stem}_start.safetensors")
    save_weights(start, params | {last: np.zeros_like(params[last])}, config)  # puts out 0: training starts from bicubic
    batches = photographs.batches(SCALE, steps=steps, size=settings.batch, patch=settings.patch, seed=run.SEED)
    with run.watched(framework, steps) as (_, each_step):
        options = {"loss": "absolute", "learning_rate": settings.learning_rate, "steps": steps}
        run.chosen(framework)[framework].train_unet(start, end, batches, each_step=each_step, **options)


def from_torch(trained: Path, out: Path, seen: Sequence[Array]) -> Steps:
    """Read in TensorFlow what PyTorch has trained, and write it for TFLite, in float and in int8."""
    import subpixel_tensorflow

    model = subpixel_tensorflow.load_weights(trained)
    plain, int8 = out / "round_trip.tflite", out / "round_trip.int8.tflite"
    subpixel_tensorflow.to_tflite(model, plain)
    subpixel_tensorflow.to_tflite(model, int8, int8=True, calibration=seen)
    return {
        "torch": (trained, torch_network(trained)),
        "tensorflow": (trained, lambda x: model(x, training=False).numpy()),
        "TFLite": (plain, runtimes.tflite(plain)),
        "TFLite int8": (int8, runtimes.tflite(int8)),
    }


def from_jax(trained: Path, out: Path, seen: Sequence[Array]) -> Steps:
    """Read in PyTorch what JAX has trained, and write it for onnxruntime, in float and in int8."""
    import in_jax
    import in_torch

    import subpixel_jax
    import subpixel_torch

    params, config = subpixel_jax.load_weights(trained)
    network = partial(in_jax.residual_unet, params, config=config)
    plain, int8 = out / "round_trip.onnx", out / "round_trip.int8.onnx"
    with runtimes.quiet():
        subpixel_torch.to_onnx(subpixel_torch.load_weights(trained), in_torch.channels_first(seen[0]), plain)
    runtimes.quantize_onnx(plain, int8, seen)
    return {
        "jax": (trained, lambda x: np.asarray(network(x))),
        "torch": (trained, torch_network(trained)),
        "onnxruntime": (plain, runtimes.onnx(plain)),
        "onnxruntime int8": (int8, runtimes.onnx(int8)),
    }


def torch_network(weights: Path) -> runtimes.Network:
    """Return the network of a weight file as PyTorch computes it."""
    import in_torch

    import subpixel_torch

    model = subpixel_torch.load_weights(weights).eval()
    return lambda x: in_torch.applied(model, x)


def window(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what the pictures show of the photograph."""
    row, column = super_resolution.WINDOW[PHOTOGRAPH] if min(image.shape[:2]) > 256 else (0, 0)
    return image[row : row + super_resolution.SHOWN, column : column + super_resolution.SHOWN]


if __name__ == "__main__":
    main()
