"""The exhibits: a photograph under mixed orders, and the checkerboard of a fresh layer.

`prepare` writes what is to be expected, by the oracle, into one file; the processes that judge compare with it.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from subpixel_conformance import oracle
from subpixel_conformance.adapter import ORDERS, Claims, LayerConfig
from subpixel_conformance.case import claims_of

SCALE = (4, 6)
ROWS, COLUMNS = slice(16, 176), slice(140, 356)
"""The astronaut's face, 160 x 216 pixels: multiples of the scale, and of unequal extents."""

LAYER_SCALE = (4, 4)
LAYER_ROWS, LAYER_COLUMNS, LAYER_MEAN = slice(0, 192), slice(112, 368), 4
"""The same face, 192 x 256 pixels, reduced to 48 x 64 by means over 4 x 4 blocks; a fresh layer enlarges it again."""

VARIANTS = {
    "icnr": "ICNR kernel, ICNR bias",
    "bias": "ICNR kernel, independent bias",
    "kernel": "independent kernel, zero bias",
    "both": "independent kernel, independent bias",
}


def prepare(path: Path) -> None:
    """Write the photograph and the oracle's answers to ``path`` (.npz). Raises ImportError without scikit-image.

    ``photograph`` (160, 216, 3) uint8; ``channels_A`` its channels in order A; ``cell_A_B`` those put together under order B;
    ``small`` (1, 48, 64, 3) float32 in [0, 1] for the layer.
    """
    from skimage.data import astronaut

    whole = astronaut()
    photograph = np.ascontiguousarray(whole[ROWS, COLUMNS])
    blocks = whole[LAYER_ROWS, LAYER_COLUMNS].reshape(48, LAYER_MEAN, 64, LAYER_MEAN, 3)
    arrays = {"photograph": photograph, "small": (blocks.mean(axis=(1, 3)) / 255).astype(np.float32)[np.newaxis]}
    for taken in ORDERS:
        channels = oracle.inverse_phase_shift(photograph, SCALE, order=taken)
        arrays[f"channels_{taken}"] = channels
        for put in ORDERS:
            arrays[f"cell_{taken}_{put}"] = oracle.phase_shift(channels, SCALE, order=put)
    np.savez(path, **arrays)


def judge_photograph(adapter: Any, device: str, exhibit: Path, pictures: Path | None) -> dict[str, Any]:
    """Take the photograph apart in every order and put it together under every order; compare with the oracle bit for bit.

    Return ``cells``, 4 x 4 booleans by order taken apart and order put together, or ``absent``, the reason why it does not apply.
    """
    claims = claims_of(adapter)
    reason = _photograph_outside(claims)
    if reason:
        return {"absent": reason}
    data_format = "channels_last" if "channels_last" in claims.data_formats else "channels_first"
    with np.load(exhibit) as expected:
        photograph = _to_format(expected["photograph"], data_format)[np.newaxis]
        cells, made = [], {}
        for taken in ORDERS:
            channels = adapter.inverse_phase_shift(adapter.to_native(photograph, device), SCALE, order=taken, data_format=data_format)
            right = _same(adapter.to_numpy(channels)[0], _to_format(expected[f"channels_{taken}"], data_format))
            row = []
            for put in ORDERS:
                got = adapter.to_numpy(adapter.phase_shift(channels, SCALE, order=put, data_format=data_format))[0]
                row.append(right and _same(got, _to_format(expected[f"cell_{taken}_{put}"], data_format)))
                made[f"cell_{taken}_{put}"] = got if data_format == "channels_last" else np.moveaxis(got, 0, -1)
            cells.append(row)
    if pictures is not None and all(all(row) for row in cells):
        _save(Path(f"{pictures}.photograph.npz"), made)
    return {"scale": SCALE, "orders": ORDERS, "cells": cells}


def judge_checkerboard(adapter: Any, device: str, exhibit: Path, pictures: Path | None) -> dict[str, Any]:
    """Send the small photograph through the implementation's own layer with four sets of seeded parameters.

    Return ``constructed``, the checkerboard of the layer as it comes, and ``variants``, that of each set; or ``absent``, the reason.
    """
    claims = claims_of(adapter)
    if "layer" not in claims.operations:
        return {"absent": "it has no layer"}
    order = next(iter(claims.orders))
    config = LayerConfig(ndim=2, in_channels=3, out_channels=3, kernel_size=3, scale=LAYER_SCALE, order=order)
    with np.load(exhibit) as arrays:
        small = arrays["small"]

    def through(parameters: list[dict[str, np.ndarray]] | None) -> np.ndarray:
        layer = adapter.layer(config, device, parameters)
        output = np.asarray(adapter.to_numpy(layer(adapter.to_native(small, device))), np.float64)
        if output.shape != (1, 192, 256, 3):
            raise ValueError(f"the layer must put out the shape (1, 192, 256, 3); got {output.shape}")
        return output

    outputs = {name: through([parameters]) for name, parameters in layer_variants(order).items()}
    measures = {name: oracle.checkerboard(output, LAYER_SCALE) for name, output in outputs.items()}
    constructed = oracle.checkerboard(through(None), LAYER_SCALE)
    if pictures is not None:
        _save(Path(f"{pictures}.checkerboard.npz"), {f"layer_{name}": output[0] for name, output in outputs.items()})
    return {"order": order, "scale": LAYER_SCALE, "constructed": constructed, "variants": measures}


def _save(path: Path, arrays: dict[str, Any]) -> None:
    """Write beside ``path`` and move there: this process may be ended at any time, and others read what is there."""
    partial = path.with_suffix(".part")
    with open(partial, "wb") as stream:
        np.savez(stream, **arrays)
    os.replace(partial, path)


def layer_variants(order: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the seeded parameters of the four `VARIANTS`: kernels (3, 3, 3, 48) and biases (48,), float32.

    Kernels are normal with the standard deviation of Glorot for the base shape, biases uniform within 1 / √fan_in as in PyTorch.
    """
    rng = np.random.default_rng(55)
    blocks = int(np.prod(LAYER_SCALE))
    deviation, bound = np.sqrt(2 / (27 + 27)), 1 / np.sqrt(27)
    base, base_bias = rng.normal(0, deviation, (3, 3, 3, 3)), rng.uniform(-bound, bound, 3)
    smooth, smooth_bias = oracle.icnr(base, LAYER_SCALE, order=order), oracle.icnr_bias(base_bias, LAYER_SCALE, order=order)
    kernel, bias = rng.normal(0, deviation, (3, 3, 3, 3 * blocks)), rng.uniform(-bound, bound, 3 * blocks)
    chosen = {"icnr": (smooth, smooth_bias), "bias": (smooth, bias), "kernel": (kernel, np.zeros(3 * blocks)), "both": (kernel, bias)}
    return {name: {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)} for name, (kernel, bias) in chosen.items()}


def _photograph_outside(claims: Claims) -> str:
    if not {"phase_shift", "inverse_phase_shift"} <= set(claims.operations):
        return "it does not claim both directions"
    lacking = [order for order in ORDERS if order not in claims.orders]
    if lacking:
        return f"it does not claim {', '.join(lacking)}"
    if not claims.anisotropic:
        return "it does not claim unequal factors"
    return "" if "uint8" in claims.dtypes else "it does not claim uint8"


def _to_format(image: np.ndarray, data_format: str) -> np.ndarray:
    """Return a channels_last image (H, W, C) in ``data_format``."""
    return image if data_format == "channels_last" else np.ascontiguousarray(np.moveaxis(image, -1, 0))


def _same(got: np.ndarray, expected: np.ndarray) -> bool:
    return got.dtype == expected.dtype and got.shape == expected.shape and got.tobytes() == expected.tobytes()
