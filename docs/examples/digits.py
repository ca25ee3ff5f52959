"""Handwritten digits of 28 x 28 pixels: scikit-learn's, brought to that size, or MNIST from its own files."""

import gzip
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize
from sklearn.datasets import load_digits

EXTENT = 28
Array = NDArray[np.float32]


def bundled() -> tuple[Array, Array]:
    """Return scikit-learn's 1,797 digits of 8 x 8 pixels, enlarged linearly: 1,500 to train on and 297 held out.

    Both are ``(n, 28, 28, 1)`` in [0, 1].
    """
    images = np.stack([resize(image / 16, (EXTENT, EXTENT), order=1) for image in load_digits().images])
    return _split(images[..., np.newaxis].astype(np.float32), 1500)


def mnist(folder: Path) -> tuple[Array, Array]:
    """Return MNIST's digits: to train on and held out, ``(n, 28, 28, 1)`` in [0, 1].

    The folder holds the files as they are distributed, compressed or not. Without ``t10k-images-idx3-ubyte`` the last sixth of the others
    is held out.
    """
    trained, held_out = (_images(folder, f"{part}-images-idx3-ubyte") for part in ("train", "t10k"))
    if trained is None:
        raise FileNotFoundError(f"{folder} must hold train-images-idx3-ubyte or train-images-idx3-ubyte.gz")
    return _split(trained, len(trained) * 5 // 6) if held_out is None else (trained, held_out)


def _split(images: Array, at: int) -> tuple[Array, Array]:
    return images[:at], images[at:]


def _images(folder: Path, name: str) -> Array | None:
    """Return the images of a file, compressed or not; None if there is no such file."""
    path = next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)
    if path is None:
        return None
    images = read_idx(path)
    if images.shape[1:] != (EXTENT, EXTENT):
        raise ValueError(f"{path} must hold images of 28 x 28 pixels; got an array of shape {images.shape}")
    return (images[..., np.newaxis] / 255).astype(np.float32)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed by gzip or not.

    Such a file is: two zeros, the code of the dtype (8 for unsigned bytes), the number of axes; every extent as a big-endian integer of
    four bytes; then the values.

    Raises
    ------
    ValueError
        If the file is no such file, or shorter or longer than it says.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} must be a whole gzip file; got a damaged one: {error}") from None
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise ValueError(f"{path} must be an IDX file of unsigned bytes, starting with 00 00 08; got {content[:4].hex(' ') or 'no bytes'}")
    axes = content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise ValueError(f"{path} must hold one extent for each of {axes} axes; got {(len(content) - 4) // 4}")
    shape = tuple(np.frombuffer(content, ">u4", count=axes, offset=4).tolist())
    if len(content) - start != prod(shape):
        raise ValueError(f"{path} must hold {prod(shape)} values after {start} bytes, for the shape {shape}; got {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def batches(images: Array, *, steps: int, size: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield ``steps`` batches of images, each twice: to read and to put out.

    Every epoch has its own sequence, the same for the same seed; what is left over at its end is left out.
    """
    rng = np.random.default_rng(seed)
    sequence = np.empty(0, int)
    for _ in range(steps):
        if len(sequence) < min(size, len(images)):
            sequence = rng.permutation(len(images))
        chosen, sequence = sequence[:size], sequence[size:]
        yield images[chosen], images[chosen]
