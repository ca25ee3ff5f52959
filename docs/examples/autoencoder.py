"""The autoencoder of an article on sub-pixel convolution, as it describes it, on real digits.

The article trains on MNIST; here scikit-learn's digits are the default, and `--mnist DIR` reads MNIST's own files. It leaves two things
open, which are chosen here: the bottleneck (32 values, without an activation) and how the weights start (normal, He et al. 2015;
sub-pixel kernels as ICNR). Its `PS(..., color=False)` is the order DRC. ReLU comes before the shift there and after it here: the same.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import digits
import metrics
import numpy as np
import plots
import run
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from subpixel_core import icnr

CODE = 32
BATCH = 256
LEARNING_RATE = 1e-3
"""The article's batch; Keras' default, which the article uses, for Adam."""

STARTS, START_STEPS, START_BATCH = 20, 100, 64
"""How many starts are tried, and for how long, to see whether the last ReLU dies."""

LAYERS = {
    "conv1": (3, 3, 1, 16),
    "conv2": (3, 3, 16, 32),
    "code": (7 * 7 * 32, CODE),
    "dense": (CODE, 7 * 7 * 32),
    "subpixel1": (2, 2, 32, 32),  # of the base kernel: 32 channels become 32 · 4
    "subpixel2": (2, 2, 32, 1),
}
"""Kernels, (*k, Ci, C)."""

Parameters = dict[str, dict[str, NDArray[np.float32]]]


def initial_parameters(seed: int, *, replicated: bool = True) -> Parameters:
    """Draw the parameters that every framework starts from: normal with variance 2 / (inputs of a value), biases 0.

    ``replicated`` makes the sub-pixel kernels ICNR, as our layers start; without it all their channels are drawn, as in the article.
    """
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in LAYERS.items():
        channels = shape[-1] * (4 if name.startswith("subpixel") and not replicated else 1)
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), (*shape[:-1], channels)).astype(np.float32)
        if name.startswith("subpixel") and replicated:
            kernel = icnr(kernel, 2, order="DRC")
        params[name] = {"kernel": kernel, "bias": np.zeros(kernel.shape[-1], np.float32)}
    return params


def parser() -> argparse.ArgumentParser:
    """Return the options of the command line."""
    options = run.parser(__doc__, steps=600)
    options.add_argument(
        "--mnist", type=Path, metavar="DIR", help="with train-images-idx3-ubyte and t10k-images-idx3-ubyte, compressed or not"
    )
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge on held-out digits, count starts that die, and write figures and pictures."""
    options = parser().parse_args(arguments)
    modules = run.chosen(options.framework)
    options.out.mkdir(parents=True, exist_ok=True)
    trained, held_out = digits.bundled() if options.mnist is None else digits.mnist(options.mnist)
    if options.short:
        trained, held_out = trained[:64], held_out[:16]

    size = min(BATCH, len(trained))
    trainings: dict[str, Any] = {}
    restored, figures = {}, baselines(trained, held_out)
    for framework, module in modules.items():
        batches = digits.batches(trained, steps=options.steps, size=size, seed=run.SEED)
        batches = run.lesson(batches, options.steps, short=options.short)
        with run.watched(f"autoencoder {framework}", options.steps) as (trainings[framework], each_step):
            apply = module.train_autoencoder(
                initial_parameters(run.SEED), batches, learning_rate=LEARNING_RATE, steps=options.steps, each_step=each_step
            )
        restored[framework] = apply(held_out)
        figures[framework] = error(restored[framework], held_out)

    losses = {framework: training["loss"] for framework, training in trainings.items()}
    plots.loss_curves(options.out / "autoencoder_loss.png", "autoencoder", losses, ylabel="mean squared error")
    shown = [held_out, *restored.values()]
    rows = [[images[i, ..., 0] for i in range(10)] for images in shown]
    plots.gallery(options.out / "autoencoder.png", ["held out", *restored], [list(column) for column in zip(*rows, strict=True)], size=0.9)
    record = {
        "settings": {"code": CODE, "batch": size, "learning_rate": LEARNING_RATE, "steps": options.steps},
        "data": "MNIST" if options.mnist else "scikit-learn's digits",
        "figures": figures,
        "starts": {} if options.short else dying(modules, trained, held_out),
        "first_steps": metrics.spread(losses, run.FIRST_STEPS),
        "trainings": trainings,
    }
    run.write(options.out / "autoencoder.json", record, run.arguments_of(arguments))


def error(images: digits.Array, truth: digits.Array) -> float:
    """Return the mean squared error."""
    return float(f"{np.mean((images - truth) ** 2):.4g}")


def baselines(trained: digits.Array, held_out: digits.Array) -> dict[str, float]:
    """Return what the error is without a network: of the mean digit, and of the best linear code of the same size."""
    mean = np.broadcast_to(trained.mean(axis=0), held_out.shape)
    flat = trained.reshape(len(trained), -1)
    linear = PCA(min(CODE, len(flat)), svd_solver="full").fit(flat)
    restored = linear.inverse_transform(linear.transform(held_out.reshape(len(held_out), -1))).reshape(held_out.shape)
    return {"mean digit": error(mean, held_out), f"linear code of {CODE}": error(restored, held_out)}


def dying(modules: dict[str, Any], trained: digits.Array, held_out: digits.Array) -> dict[str, list[float]]:
    """Return, for many starts, the share of pixels that are dead after a short training with the first of the frameworks."""
    framework, module = next(iter(modules.items()))
    shares: dict[str, list[float]] = {}
    for kind, replicated in (("ICNR", True), ("independent", False)):
        with run.watched(f"starts, {kind}, {framework}", STARTS * START_STEPS) as (_, each_step):
            shares[kind] = [share_of_dead(module, seed, replicated, trained, held_out, each_step) for seed in range(STARTS)]
    return shares


def share_of_dead(
    module: Any, seed: int, replicated: bool, trained: digits.Array, held_out: digits.Array, each_step: Callable[[float], None]
) -> float:
    """Return the share of dead pixels: those that are black in every reconstruction, of those that are light in some held-out digit."""
    batches = digits.batches(trained, steps=START_STEPS, size=START_BATCH, seed=seed)
    params = initial_parameters(seed, replicated=replicated)
    apply = module.train_autoencoder(params, batches, learning_rate=LEARNING_RATE, steps=START_STEPS, each_step=each_step)
    light = held_out.max(axis=0) > 0.5
    return round(float(np.mean(apply(held_out).max(axis=0)[light] == 0)), 3)


if __name__ == "__main__":
    main()
