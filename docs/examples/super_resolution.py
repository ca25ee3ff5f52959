"""Super-resolution ×2 and ×4 of photographs: the residual U-Net learns what bicubic enlargement misses.

Every framework starts from the same weight file and sees the same batches.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import metrics
import numpy as np
import photographs
import plots
import run
from numpy.typing import NDArray

from subpixel_core import ResidualUNetConfig, init_parameters, save_weights

SCALES = (2, 4)
WINDOW = {"astronaut": (64, 180), "chelsea": (90, 120), "flower": (150, 230)}
"""The top left corner of what the pictures show."""

SHOWN = 80
"""Extent of what the pictures show."""

Pictures = dict[str, NDArray[np.uint8]]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """How large everything is."""

    widths: tuple[int, ...] = (16, 32)
    batch: int = 8
    patch: int = 24
    """Extent of a small patch: 48 or 96 pixels of the photograph."""
    learning_rate: float = 2e-3
    part: int | None = None
    """Extent of what is judged of every held-out photograph; None for all of it."""


FULL, SHORT = Settings(), Settings(widths=(8, 16), batch=2, patch=12, part=48)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and judge both scales, and write figures and pictures."""
    options = run.parser(__doc__, steps=600).parse_args(arguments)
    modules = run.chosen(options.framework)
    options.out.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"settings": {**asdict(SHORT if options.short else FULL), "steps": options.steps}}
    record |= {f"x{scale}": enlarge(scale, modules, options.steps, options.out, short=options.short) for scale in SCALES}
    run.write(options.out / "super_resolution.json", record, run.arguments_of(arguments))


def enlarge(scale: int, modules: dict[str, Any], steps: int, out: Path, *, short: bool) -> dict[str, Any]:
    """Train one scale in every framework, from the same file on the same batches, and judge it on photographs that it never saw."""
    settings = SHORT if short else FULL
    config = ResidualUNetConfig(widths=settings.widths, output_scale=scale, norm="none")
    start = out / f"super_resolution_x{scale}_start.safetensors"
    params = init_parameters(config, np.random.default_rng(run.SEED))
    last = list(params)[-2]  # head.0.kernel or head.1.kernel
    save_weights(start, params | {last: np.zeros_like(params[last])}, config)  # puts out 0: training starts from bicubic

    truths = {name: judged(name, scale, settings.part) for name in photographs.HELD_OUT}
    smalls = {name: photographs.reduced(truth, scale) for name, truth in truths.items()}
    bicubic = {name: photographs.enlarged(small, scale) for name, small in smalls.items()}
    inputs = [photographs.network_input(small) for small in smalls.values()]

    results: dict[str, Pictures] = {"bicubic": bicubic}
    ends = {framework: out / f"super_resolution_x{scale}_{framework}.safetensors" for framework in modules}
    lesson = partial(photographs.batches, scale, steps=steps, size=settings.batch, patch=settings.patch, seed=run.SEED)
    loss_of_bicubic = [float(f"{np.mean(np.abs(y)):.7g}") for _, y in run.lesson(lesson(), steps, short=short)]  # puts out 0
    trainings: dict[str, Any] = {}
    outputs: dict[str, list[Array]] = {}
    for framework, module in modules.items():
        batches = run.lesson(lesson(), steps, short=short)
        with run.watched(f"×{scale} {framework}", steps) as (trainings[framework], each_step):
            training = {"loss": "absolute", "learning_rate": settings.learning_rate, "steps": steps}
            module.train_unet(start, ends[framework], batches, each_step=each_step, **training)
        outputs[framework] = module.predict_unet(ends[framework], inputs)
        pairs = zip(truths, outputs[framework], strict=True)
        results[framework] = {name: photographs.restored(output, bicubic[name]) for name, output in pairs}
    losses = {framework: training["loss"] for framework, training in trainings.items()}
    figures = {method: judge(images, truths) for method, images in results.items()}
    plots.loss_curves(
        out / f"super_resolution_x{scale}_loss.png",
        f"super-resolution ×{scale}",
        losses,
        ylabel="mean absolute error",
        baseline={"bicubic": loss_of_bicubic},
    )
    show(out / f"super_resolution_x{scale}.png", truths, results, figures)
    return {
        "parameters": config.parameters,
        "figures": figures,
        "exchange": exchange(modules, ends, outputs, inputs[0]),
        "first_steps": metrics.spread(losses, run.FIRST_STEPS),
        "loss_of_bicubic": loss_of_bicubic,
        "trainings": trainings,
    }


def judge(images: Pictures, truths: Pictures) -> dict[str, dict[str, float]]:
    """Return PSNR and SSIM of every photograph and their means."""
    rows = {name: {"psnr": metrics.psnr(image, truths[name]), "ssim": metrics.ssim(image, truths[name])} for name, image in images.items()}
    mean = {what: float(np.mean([row[what] for row in rows.values()])) for what in ("psnr", "ssim")}
    return {name: {what: round(value, 4) for what, value in row.items()} for name, row in (rows | {"mean": mean}).items()}


def exchange(modules: dict[str, Any], ends: dict[str, Path], outputs: dict[str, list[Array]], image: Array) -> dict[str, float]:
    """Let the next framework read the file that each of them trained; return how far the two outputs lie apart at most."""
    names = list(modules)
    apart = {}
    for trained, reader in zip(names, names[1:] + names[:1], strict=True):
        (output,) = modules[reader].predict_unet(ends[trained], [image])
        apart[f"{trained} to {reader}"] = float(f"{np.max(np.abs(output - outputs[trained][0])):.2g}")
    return apart


def show(path: Path, truths: Pictures, results: dict[str, Pictures], figures: dict[str, Any]) -> None:
    """Draw a window of every held-out photograph: bicubic, every framework, the truth."""
    columns = {**results, "original": truths}
    rows, notes = [], []
    for name, truth in truths.items():
        corner = WINDOW[name] if min(truth.shape[:2]) > 256 else (0, 0)
        row, column = corner
        rows.append([images[name][row : row + SHOWN, column : column + SHOWN] for images in columns.values()])
        notes.append([f"{figures[method][name]['psnr']:.2f} dB" for method in results] + [name])
    plots.gallery(path, list(columns), rows, notes)


def judged(name: str, scale: int, part: int | None) -> NDArray[np.uint8]:
    """Return a held-out photograph, or a part of it from where the picture looks."""
    image = photographs.photograph(name)
    if part is not None:
        row, column = WINDOW[name]
        image = image[row : row + part, column : column + part]
    return photographs.cropped(image, scale)


if __name__ == "__main__":
    main()
