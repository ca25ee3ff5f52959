"""The box blur and the checkerboard measure, on values whose means are integers."""

from collections.abc import Iterator

import numpy as np

from ..definition import Definition, Shape, mixed
from ..tensor import encode


def blurs() -> Iterator[Definition]:
    """Yield boxes and checkerboards of known size."""
    boxes = (
        ("1d-factor-2", (5, 2), (2,), 2, "An even box lies half a pixel towards the end: nothing before, one value after."),
        ("1d-factor-3", (2, 6, 2), (3,), 6, "An odd box lies in the middle, and the border averages over the values that exist."),
        ("1d-factor-4", (7, 2), (4,), 12, "Four values: one before, two after."),
        ("2d", (1, 4, 6, 2), (2, 3), 12, "The box has the size of the scale: a box of 2 × 2 leaves the checkerboard of scale 3."),
        ("3d", (2, 3, 4, 2), (1, 3, 2), 12, "Three spatial axes without a batch axis; a factor of 1 does nothing."),
    )
    for start, (name, shape, scale, unit, why) in enumerate(boxes):
        y = unit * np.array(mixed(shape, 90 + start, 21)["values"]).reshape(shape)
        inputs = {"y": encode(y.astype("float32"))}
        yield Definition(f"box-blur-{name}", "box_blur", ("BL-001", "BL-003"), why, {"scale": list(scale)}, inputs)
    ones = {"y": encode(np.full((1, 4, 6, 2), 8, dtype="float32"))}
    why = "A constant stays constant up to the border: zeros counted into the mean darken it."
    yield Definition("box-blur-constant", "box_blur", ("BL-001",), why, {"scale": [2, 3]}, ones)
    for name, scale, measured in _checkerboards():
        why = "The measure of a checkerboard of known size, under a pattern and a constant that must not count."
        yield Definition(f"checkerboard-{name}", "checkerboard", ("CB-001",), why, {"scale": list(scale)}, {"y": encode(measured)})
    constant = np.repeat(np.repeat(np.arange(12.0).reshape(2, 3, 2), 2, axis=0), 3, axis=1)
    why = "Blocks that are constant have no checkerboard, however much they differ from each other."
    yield Definition("checkerboard-constant-blocks", "checkerboard", ("CB-001",), why, {"scale": [2, 3]}, {"y": encode(constant)})


def _checkerboards() -> Iterator[tuple[str, Shape, np.ndarray]]:
    """Yield values whose means by offset and channel are off by ±1 in channel 0 and ±7 in channel 1: a measure of √((1 + 49)/2) = 5."""
    sizes = np.array([1, 7])
    line = np.array([1, -1])[:, None] * sizes
    yield "1d", (2,), np.tile(line, (4, 1)) + np.repeat([0, 9, 4, 30], 2)[:, None] + [100, -40.0]
    block = np.array([[1, -1, 1], [-1, 1, -1]])[..., None] * sizes
    blocks = np.repeat(np.repeat(np.array([[0, 7], [20, 3], [5, 40]]), 2, axis=0), 3, axis=1)
    batch = np.stack([np.tile(block, (3, 2, 1)) + blocks[..., None] * factor + [10, -6.0] for factor in (1, 3)])
    yield "2d", (2, 3), batch
