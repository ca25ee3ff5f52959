"""The article's autoencoder with a deconvolution decoder, trained on real digits, and what its decoder becomes: two pictures.

Its sub-pixel layers have 2 × 2 taps and scale 2, so the deconvolution layers that belong to them have 4 × 4 taps and stride 2. They are
trained as they are, converted, and both decoders put out the same held-out digits. The second picture is the one layer in its four equal
forms, on a photograph. Trained in JAX alone: what is shown does not depend on the framework.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import autoencoder
import digits
import in_jax
import jax
import numpy as np
import optax
import photographs
import run
from jax import Array, lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from subpixel_core import conv_transpose, deconv_to_subpixel, fractionally_strided_conv
from subpixel_jax import ExactSubpixelConv, from_conv_transpose

SHOWN = 8
UPSAMPLING = {"deconvolution1": (4, 4, 32, 32), "deconvolution2": (4, 4, 32, 1)}
"""Kernels, (*K, Ci, Co)."""

EYE = (slice(40, 88), slice(72, 136))
"""Of the cat, in the photograph reduced to half."""

Parameters = dict[str, dict[str, NDArray[np.float32]]]


# --- the network, trained with deconvolutions ---


def initial_parameters(seed: int) -> Parameters:
    """Draw the parameters: the article's, but for the two layers that upsample."""
    rng = np.random.default_rng(seed)
    params = {name: value for name, value in autoencoder.initial_parameters(seed).items() if not name.startswith("subpixel")}
    for name, shape in UPSAMPLING.items():
        kernel = rng.normal(0, np.sqrt(2 / (4 * shape[-2])), shape)  # every value of the output has 2 × 2 of the taps
        params[name] = {"kernel": kernel.astype(np.float32), "bias": np.zeros(shape[-1], np.float32)}
    return params


def encoder(params: Any, x: Array) -> Array:
    """Return what the decoder starts from, (N, 7, 7, 32)."""
    y = in_jax.pool(jax.nn.relu(in_jax.conv(params["conv1"], x)))  # (N, 14, 14, 16)
    y = in_jax.pool(jax.nn.relu(in_jax.conv(params["conv2"], y)))  # (N, 7, 7, 32)
    y = in_jax.dense(params["code"], y.reshape(len(y), -1))  # (N, 32)
    return jax.nn.relu(in_jax.dense(params["dense"], y)).reshape(-1, 7, 7, 32)


def deconvolution_decoder(params: Any, y: Array) -> Array:
    """Return the images, (N, 28, 28, 1)."""
    first, second = params["deconvolution1"], params["deconvolution2"]
    y = jax.nn.relu(lax.conv_transpose(y, first["kernel"], (2, 2), "SAME") + first["bias"])  # (N, 14, 14, 32)
    return lax.conv_transpose(y, second["kernel"], (2, 2), "SAME") + second["bias"]


def subpixel_decoder(layers: Mapping[str, ExactSubpixelConv], y: Array) -> Array:
    """Return the images, (N, 28, 28, 1)."""
    return layers["deconvolution2"](jax.nn.relu(layers["deconvolution1"](y)))


def trained(images: digits.Array, steps: int, size: int) -> Parameters:
    """Train the autoencoder."""
    with run.watched("moving", steps) as (_, each_step):
        return in_jax.fit(
            lambda params, x: deconvolution_decoder(params, encoder(params, x)),
            initial_parameters(run.SEED),
            optax.adam(autoencoder.LEARNING_RATE),
            digits.batches(images, steps=steps, size=size, seed=run.SEED),
            in_jax.LOSSES["squared"],
            each_step,
        )


# --- the pictures ---


def draw_decoders(path: Path, images: digits.Array, before: digits.Array, after: digits.Array) -> None:
    """Draw held-out digits, what either decoder makes of them, and the difference, in a scale of its own."""
    figure = Figure(figsize=(1.05 * SHOWN + 1.6, 4.6), layout="constrained")
    grid = figure.subplots(4, SHOWN)
    difference = after - before
    largest = float(np.abs(difference).max())
    names = ("held out", "deconvolution\ndecoder", "sub-pixel\ndecoder", "difference")
    for name, row, shown in zip(names, grid, (images, before, after, difference), strict=True):
        for axes, image in zip(row, shown[..., 0], strict=True):
            limits = (-largest, largest, "RdBu") if name == "difference" else (0, 1, "gray")
            last = axes.imshow(image, vmin=limits[0], vmax=limits[1], cmap=limits[2], interpolation="nearest")
            _bare(axes)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    bar = figure.colorbar(last, ax=list(grid[-1]), aspect=8)
    bar.set_ticks([-largest, 0, largest], labels=[f"−{largest:.0e}", "0", f"{largest:.0e}"])
    bar.outline.set_visible(False)
    figure.savefig(path, dpi=100)


def draw_forms(path: Path) -> dict[str, float]:
    """Draw the four equal forms of one layer: what is convolved, by which kernels, and what comes out. Return how far they lie apart.

    The layer doubles a photograph by linear interpolation, 4 × 4 taps of stride 2. All its values are multiples of 1/16, so that the forms
    are equal exactly.
    """
    image = photographs.reduced(photographs.photograph("chelsea"), 2)[EYE]
    x = image[np.newaxis].astype(np.float64)
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
    kernel = np.einsum("hw,io->hwio", taps, np.eye(3))
    options: dict[str, Any] = {"stride": 2, "padding": 1}
    layers = {form: deconv_to_subpixel(kernel, **options, form=form) for form in ("aligned", "minimal")}
    outputs = {
        "transposed convolution": conv_transpose(x, kernel, **options),
        "convolution between zeros": fractionally_strided_conv(x, kernel, **options),
        "sub-pixel, aligned": layers["aligned"].apply(x),
        "sub-pixel, minimal": layers["minimal"].apply(x),
    }
    between = np.zeros((2 * image.shape[0] + 3, 2 * image.shape[1] + 3, 3), np.uint8)
    between[2:-2:2, 2:-2:2] = image
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    phases = {form: layer.kernel[:, :, 0, :].reshape(*layer.kernel_size, 4, 3)[..., 0] for form, layer in layers.items()}
    inputs = dict(zip(outputs, (image, between, padded, padded), strict=True))
    kernels = dict(zip(outputs, ([taps], [np.flip(taps)], _phases(phases["aligned"]), _phases(phases["minimal"])), strict=True))
    return _columns(path, inputs, kernels, outputs)


def _phases(kernel: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return list(np.moveaxis(kernel, -1, 0))


def _columns(path: Path, inputs: Mapping[str, Any], kernels: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, float]:
    figure = Figure(figsize=(12.5, 8.2), layout="constrained")
    grid = figure.subplots(3, len(outputs), height_ratios=(1, 0.95, 1))
    apart = {}
    for j, (name, y) in enumerate(outputs.items()):
        first, *_ = outputs.values()
        apart[name] = float(np.abs(y - first).max())
        top, middle, bottom = grid[:, j]
        top.imshow(inputs[name][:24, :32], interpolation="nearest")
        top.set_title(name, fontsize=12)
        count, side = len(kernels[name]), len(kernels[name][0])
        macs = count * side**2 * (4 if j == 1 else 1)
        _draw_kernels(middle, kernels[name], f"{macs} products per pixel of the input")
        bottom.imshow(np.clip(np.rint(y[0]), 0, 255).astype(np.uint8), interpolation="nearest")
        bottom.set_xlabel("the output" if j == 0 else f"largest difference: {apart[name]:g}", fontsize=10)
        for axes in (top, bottom):
            _bare(axes)
    for axes, name in zip(grid[:, 0], ("what is convolved\n(its corner)", "by which\nkernels", "what\ncomes out"), strict=True):
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
    figure.savefig(path, dpi=80)
    return apart


def _draw_kernels(axes: Axes, kernels: Sequence[NDArray[np.float64]], note: str) -> None:
    """Draw one kernel, or those of the phases as they lie in a block, with a gap between; a tap that is none is hatched."""
    side, per_row = len(kernels[0]), 1 if len(kernels) == 1 else 2
    for n, kernel in enumerate(kernels):
        top, left = (n // per_row * (side + 0.5), n % per_row * (side + 0.5))
        for (i, j), tap in np.ndenumerate(kernel):
            axes.fill(
                left + j + np.array([0, 1, 1, 0]),
                top + i + np.array([0, 0, 1, 1]),
                facecolor=(*(1 - 0.75 * tap / (9 / 16) * np.array([1.0, 0.45, 0.4])), 1.0) if tap else "white",
                edgecolor="#999999",
                hatch=None if tap else "////",
                linewidth=0.6,
            )
            if tap:
                axes.text(left + j + 0.5, top + i + 0.5, f"{16 * tap:.0f}", ha="center", va="center", fontsize=9)
    whole = per_row * side + 0.5 * (per_row - 1)
    axes.set(xlim=(-0.1, whole + 0.1), ylim=(whole + 0.1, -0.1), aspect="equal")
    axes.set_xlabel(note, fontsize=10)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, convert, draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=800)
    options.add_argument("--out", type=Path, default=Path("reports/examples"))
    given = options.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    apart = draw_forms(given.out / "four_forms.png")
    seen, held_out = digits.bundled()
    params = trained(seen, given.steps, size=64)
    layers = {name: from_conv_transpose(**params[name], strides=(2, 2), padding="SAME") for name in UPSAMPLING}
    images = held_out[:SHOWN]
    code = jax.jit(encoder)(params, images)
    before, after = (np.asarray(y) for y in (jax.jit(deconvolution_decoder)(params, code), jax.jit(subpixel_decoder)(layers, code)))
    draw_decoders(given.out / "moving.png", images, before, after)
    figures = {"error": autoencoder.error(before, images), "difference": float(f"{np.abs(after - before).max():.2g}"), "forms": apart}
    run.console.print(figures)


if __name__ == "__main__":
    main()
