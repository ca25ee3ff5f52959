"""Scenes whose masks are known: real handwritten digits on real textures.

Held-out scenes share neither digits nor places of a texture with the others.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.transform import resize
from sklearn.datasets import load_digits

TEXTURES = ("brick", "grass", "gravel")
Part = Literal["trained", "held out"]
Array = NDArray[np.float32]

DIGITS: dict[Part, slice] = {"trained": slice(0, 1347), "held out": slice(1347, 1797)}
COLUMNS: dict[Part, slice] = {"trained": slice(0, 320), "held out": slice(320, 512)}
"""Of every texture, 512 x 512: its left part and its right part."""


def scenes(part: Part, *, number: int, extent: int, seed: int) -> tuple[Array, Array]:
    """Draw scenes, each a texture with up to three digits: images and masks, both ``(number, extent, extent, 1)``.

    A digit is 20 to 32 pixels large, and lightens or darkens the texture by 0.6 to 0.9 of the range. The mask is where a digit has at least
    half the strength that a stroke of the pen can have: where the ink is half as strong as it gets, or stronger.
    """
    rng = np.random.default_rng(seed)
    digits = load_digits().images[DIGITS[part]] / 16  # (n, 8, 8), in [0, 1]
    textures = [getattr(data, name)()[:, COLUMNS[part]] / 255 for name in TEXTURES]
    images, masks = np.empty((2, number, extent, extent, 1), np.float32)
    for i in range(number):
        texture = textures[rng.integers(len(textures))]
        row, column = (rng.integers(whole - extent + 1) for whole in texture.shape)
        image = texture[row : row + extent, column : column + extent].copy()
        strokes = np.zeros_like(image)
        for _ in range(rng.integers(1, 4)):
            _write(strokes, digits[rng.integers(len(digits))], rng)
        ink = np.clip(3 * strokes - 1, 0, 1)  # with an edge, as ink has
        contrast = rng.choice((-1, 1)) * rng.uniform(0.6, 0.9)
        images[i, ..., 0] = np.clip(image + contrast * ink, 0, 1) - 0.5
        masks[i, ..., 0] = strokes >= 0.5
    return images, masks


def _write(strokes: NDArray[np.float64], digit: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Add one digit, anywhere; where two meet, the stronger one is seen."""
    size = min(int(rng.integers(20, 33)), *strokes.shape)
    row, column = (rng.integers(whole - size + 1) for whole in strokes.shape)
    place = strokes[row : row + size, column : column + size]
    np.maximum(place, resize(digit, (size, size), order=1), out=place)


def batches(*, steps: int, size: int, extent: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield ``steps`` batches of new scenes with trained digits and textures, the same for the same seed."""
    for step in range(steps):
        yield scenes("trained", number=size, extent=extent, seed=seed + step)
