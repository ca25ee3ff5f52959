"""Segmentation with known masks: the residual U-Net finds real handwritten digits on real textures.

Every framework starts from the same weight file and sees the same batches.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import metrics
import numpy as np
import plots
import run
import scenes

from subpixel_core import ResidualUNetConfig, init_parameters, save_weights


@dataclass(frozen=True)
class Settings:
    """How large everything is."""

    widths: tuple[int, ...] = (16, 32, 64)
    batch: int = 8
    extent: int = 48
    held_out: int = 120
    learning_rate: float = 3e-3


FULL, SHORT = Settings(), Settings(widths=(8, 16), batch=2, extent=24, held_out=6)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge on held-out digits and textures, and write figures and pictures."""
    options = run.parser(__doc__, steps=600).parse_args(arguments)
    modules, settings = run.chosen(options.framework), SHORT if options.short else FULL
    options.out.mkdir(parents=True, exist_ok=True)
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=settings.widths, norm="group")
    start = options.out / "segmentation_start.safetensors"
    save_weights(start, init_parameters(config, np.random.default_rng(run.SEED)), config)

    images, masks = scenes.scenes("held out", number=settings.held_out, extent=settings.extent, seed=run.SEED)
    truths = masks > 0.5
    trainings: dict[str, Any] = {}
    predicted, figures = {}, {}
    for framework, module in modules.items():
        end = options.out / f"segmentation_{framework}.safetensors"
        batches = scenes.batches(steps=options.steps, size=settings.batch, extent=settings.extent, seed=run.SEED)
        batches = run.lesson(batches, options.steps, short=options.short)
        training = {"loss": "cross entropy", "learning_rate": settings.learning_rate, "steps": options.steps}
        with run.watched(f"segmentation {framework}", options.steps) as (trainings[framework], each_step):
            module.train_unet(start, end, batches, each_step=each_step, **training)
        predicted[framework] = np.stack(module.predict_unet(end, images)) > 0  # logits
        single = [metrics.iou(*pair) for pair in zip(predicted[framework], truths, strict=True)]
        figures[framework] = {"iou": round(metrics.iou(predicted[framework], truths), 4), "worst": round(min(single), 4)}

    losses = {framework: training["loss"] for framework, training in trainings.items()}
    plots.loss_curves(options.out / "segmentation_loss.png", "segmentation", losses, ylabel="cross entropy")
    rows = [[images[i, ..., 0] + 0.5, *(np.float32(masks[i, ..., 0]) for masks in (*predicted.values(), truths))] for i in range(4)]
    plots.gallery(options.out / "segmentation.png", ["scene", *predicted, "mask"], rows)
    record = {
        "settings": {**asdict(settings), "steps": options.steps},
        "parameters": config.parameters,
        "covered": round(float(masks.mean()), 4),
        "figures": figures,
        "first_steps": metrics.spread(losses, run.FIRST_STEPS),
        "trainings": trainings,
    }
    run.write(options.out / "segmentation.json", record, run.arguments_of(arguments))


if __name__ == "__main__":
    main()
