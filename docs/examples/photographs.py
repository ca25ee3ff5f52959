"""Photographs that come with scikit-image and scikit-learn, and the pairs of small and large patches that super-resolution learns from."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from skimage.filters import gaussian
from sklearn.datasets import load_sample_image

TRAINED = ("coffee", "rocket", "motorcycle", "china")
HELD_OUT = ("astronaut", "chelsea", "flower")
"""Never trained on."""

DETAIL = 0.1
"""What the network counts as 1: most details that bicubic enlargement misses are smaller than a tenth of the range of a pixel."""

Array = NDArray[np.float32]


def photograph(name: str) -> NDArray[np.uint8]:
    """Return a photograph, uint8 (H, W, 3)."""
    if name in ("china", "flower"):
        return np.asarray(load_sample_image(f"{name}.jpg"))
    return np.asarray(data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)())


def cropped(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Return the largest part from the top left whose extents are multiples of the scale."""
    height, width = (extent - extent % scale for extent in image.shape[:2])
    return image[:height, :width]


def reduced(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Reduce by the antialiased bicubic filter: Keys' kernel, a = -0.5, widened by the scale (Pillow's), rounded to 8 bits."""
    return _resized(image, image.shape[0] // scale, image.shape[1] // scale)


def enlarged(small: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Enlarge by the bicubic filter, the same kernel: what the network must be better than."""
    return _resized(small, small.shape[0] * scale, small.shape[1] * scale)


def _resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def network_input(small: NDArray[np.uint8]) -> Array:
    """Return the details of the small photograph: what its local mean misses, in units of `DETAIL`."""
    values = small / 255
    return ((values - gaussian(values, 2, channel_axis=-1)) / DETAIL).astype(np.float32)


def network_target(image: NDArray[np.uint8], bicubic: NDArray[np.uint8]) -> Array:
    """Return what the network shall put out: what the bicubic enlargement misses, in units of `DETAIL`."""
    return ((image.astype(np.float32) - bicubic) / (255 * DETAIL)).astype(np.float32)


def restored(output: Array, bicubic: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add the output of the network to the bicubic enlargement, and round to 8 bits."""
    return np.clip(np.rint(bicubic + output * (255 * DETAIL)), 0, 255).astype(np.uint8)


def batches(scale: int, *, steps: int, size: int, patch: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield ``steps`` batches, the same for the same seed: ``(size, patch, patch, 3)`` and ``(size, patch * scale, patch * scale, 3)``.

    Patches come from anywhere in the photographs to train on, in one of the eight positions of a square.
    """
    rng = np.random.default_rng(seed)
    pairs = []
    for name in TRAINED:
        image = cropped(photograph(name), scale)
        small = reduced(image, scale)
        pairs.append((network_input(small), network_target(image, enlarged(small, scale))))
    for _ in range(steps):
        chosen = []
        for _ in range(size):
            x, y = pairs[rng.integers(len(pairs))]
            row, column = rng.integers(x.shape[0] - patch + 1), rng.integers(x.shape[1] - patch + 1)
            turns, mirrored = rng.integers(4), rng.integers(2)
            pair = (_part(x, row, column, patch), _part(y, row * scale, column * scale, patch * scale))
            chosen.append([np.rot90(part[:, ::-1] if mirrored else part, turns) for part in pair])
        xs, ys = zip(*chosen, strict=True)
        yield np.stack(xs), np.stack(ys)


def _part(image: Array, row: int, column: int, extent: int) -> Array:
    return image[row : row + extent, column : column + extent]
