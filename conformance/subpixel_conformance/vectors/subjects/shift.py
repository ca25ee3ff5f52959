"""The phase shift and its inverse."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from ..definition import FORMATS, GITHUB, ORDER_CLAUSES, ORDERS, Definition, Shape, Tensor, arange, shape_of, special
from ..tensor import WIDTHS, container, encode


@dataclass(frozen=True)
class Extents:
    """The extents of vectors, batch and spatial at low resolution, channels of the output; and what they are for."""

    name: str
    scale: Shape
    batch: Shape
    spatial: Shape
    channels: int
    why: str

    @property
    def clauses(self) -> list[str]:
        """What of PS-006 to PS-009 these extents show."""
        shown = {
            "PS-006": len(set(self.scale)) > 1 or len(self.scale) != 2,
            "PS-007": len(self.batch) != 1 or self.batch[0] > 1,
            "PS-008": 1 in self.scale,
            "PS-009": 0 in (*self.batch, *self.spatial, self.channels),
        }
        return [clause for clause, is_shown in shown.items() if is_shown]


EVERY_ORDER = (
    Extents("one-pixel", (2, 2), (1,), (1, 1), 2, "One pixel and its block, to compare by eye with the table of the orders."),
    Extents("1d", (3,), (), (4,), 2, "One spatial axis and no batch axis: only depth and offset can be swapped."),
    Extents("1d-batch", (2,), (3,), (5,), 3, "One spatial axis in a batch, which must not be taken for a spatial axis."),
    Extents("2d-no-batch", (2, 3), (), (3, 4), 2, "Unequal factors on unequal extents, no batch axis: a swapped axis shows."),
    Extents("2d-batch-of-one", (2, 2), (1,), (2, 5), 3, "A batch of one: its axis must not be squeezed away."),
    Extents(
        "2d-factor-2", (2, 2), (2,), (2, 3), 3, "The common case: factor 2, a batch of images, three channels that tell the orders apart."
    ),
    Extents("2d-factor-3", (3, 3), (1,), (2, 3), 2, "Factor 3: what is right for powers of two only is wrong here."),
    Extents("2d-unequal-factors", (4, 2), (2,), (2, 1), 2, "Unequal factors: one of them used for both axes, or the two swapped, shows."),
    Extents("2d-two-batch-axes", (2, 3), (2, 3), (1, 2), 2, "Two batch axes: every sample by itself, whatever its position."),
    Extents("3d", (3, 2, 4), (), (1, 2, 3), 2, "Three factors: row-major and column-major offsets differ in every pair of axes."),
    Extents("3d-batch", (2, 3, 2), (2,), (2, 1, 3), 2, "A batch of volumes, which two-dimensional operations cannot do."),
    Extents(
        "3d-thick-slices", (1, 2, 3), (1,), (3, 2, 2), 2, "A factor of 1 on the first of three axes, as for volumes with thick slices."
    ),
    Extents("factor-1-on-one-axis", (1, 3), (2,), (3, 2), 2, "A factor of 1 on one axis of two leaves that axis as it is."),
    Extents("identity", (1, 1), (2,), (3, 2), 3, "All factors 1: nothing moves, and nothing is refused."),
)

EMPTY = (
    Extents("no-sample", (2, 2), (0,), (2, 3), 2, "A batch without a sample gives the shape of the formula, and no crash."),
    Extents("no-row", (2, 2), (2,), (0, 3), 2, "An image without rows gives the shape of the formula, and no crash."),
    Extents("no-column", (2, 2), (2,), (3, 0), 2, "An image without columns gives the shape of the formula, and no crash."),
    Extents("no-channel", (2, 2), (2,), (2, 3), 0, "No channel: 0 is a multiple of the product of the factors."),
)

LARGE = Extents("large", (2, 3), (2,), (23, 17), 4, "Large enough for code that works in tiles or threads; the output is a checksum.")

LINKS = {
    "phase-shift-one-pixel-crd-first": "apache/tvm/pull/4566",
    "phase-shift-2d-factor-2-crd-first": "PINTO0309/onnx2tf/issues/91",
    "phase-shift-2d-factor-2-dcr-first": "keras-team/keras/pull/22112",
    "phase-shift-2d-factor-3-crd-first": "llvm/torch-mlir/pull/4351",
    "phase-shift-2d-batch-of-one-rcd-last": "atriumlts/subpixel/issues/22",
    "phase-shift-no-row-crd-first": "pytorch/pytorch/issues/85155",
    "phase-shift-no-column-crd-first": "pytorch/pytorch/issues/92798",
    "inverse-phase-shift-2d-factor-2-crd-first": "microsoft/onnxscript/issues/2891",
    "inverse-phase-shift-2d-factor-2-dcr-first": "keras-team/keras/pull/22112",
    "inverse-phase-shift-no-sample-crd-first": "pytorch/pytorch/pull/192816",
    "inverse-phase-shift-no-row-crd-first": "pytorch/pytorch/pull/192816",
    "inverse-phase-shift-no-column-crd-first": "pytorch/pytorch/issues/91595",
    "inverse-phase-shift-no-channel-crd-first": "pytorch/pytorch/pull/192816",
}
"""Public bugs, each in an implementation of that operation, order and data format, that the vector would have shown."""

BITS = ("int64", "float16", "bfloat16")
EXACTLY = ("bool", "uint8", "int8", "int16", "int32", *BITS, "float64")


def shifts(operation: str) -> Iterator[Definition]:
    """Yield the vectors of the shift, or of its inverse."""
    for extents in EVERY_ORDER:
        for order in ORDERS:
            for short in FORMATS:
                yield _defined(operation, extents, order, short, arange(_shape(operation, extents, short)))
    for order, short in (("DCR", "last"), ("CRD", "first")):
        for extents in EMPTY:
            yield _defined(operation, extents, order, short, arange(_shape(operation, extents, short)))
    for order in ORDERS:
        for short in FORMATS:
            yield _defined(operation, LARGE, order, short, arange(_shape(operation, LARGE, short), checked=True), "sha256")
    for number, dtype in enumerate(EXACTLY):
        extents = Extents(dtype, (2, 3), (1,), (2, 3), 2, f"Every dtype is moved as it is: {dtype} keeps its dtype and its bits.")
        order, short = ORDERS[number % 4], ("last", "first")[number // 4 % 2]
        tensor = (_patterns if dtype in BITS else _labels)(_shape(operation, extents, short), dtype)
        yield _defined(operation, extents, order, short, tensor, "bits" if dtype in BITS else "values", ("PS-010",))
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        why = f"NaN payloads, −0, infinities and subnormals of {dtype} are copied bit for bit."
        extents = Extents(f"special-{dtype}", (2, 3), (1,), (1, 2), 3, why)
        for order, short in (("DCR", "last"), ("CRD", "first")):
            tensor = special(_shape(operation, extents, short), dtype)
            yield _defined(operation, extents, order, short, tensor, "bits", ("PS-010",))


def _shape(operation: str, extents: Extents, short: str) -> Shape:
    """Return the shape of the input."""
    if operation == "phase_shift":
        return shape_of(extents.batch, extents.spatial, extents.channels * prod(extents.scale), FORMATS[short])
    spatial = tuple(r * n for r, n in zip(extents.scale, extents.spatial, strict=True))
    return shape_of(extents.batch, spatial, extents.channels, FORMATS[short])


def _defined(
    operation: str, extents: Extents, order: str, short: str, tensor: Tensor, way: str = "values", more: tuple[str, ...] = ()
) -> Definition:
    name = f"{operation.replace('_', '-')}-{extents.name}-{order.lower()}-{short}"
    shown = [*(["PS-005"] if short == "first" else []), *extents.clauses, *more]
    clauses = [ORDER_CLAUSES[order], *shown] if operation == "phase_shift" else ["IP-001", *(["IP-003"] if shown else [])]
    return Definition(
        name,
        operation,
        tuple(clauses),
        f"{extents.why} ({order}, {FORMATS[short]})",
        {"scale": list(extents.scale), "order": order, "data_format": FORMATS[short]},
        {"x" if operation == "phase_shift" else "y": tensor},
        GITHUB + LINKS[name] if name in LINKS else "",
        way,
    )


def _labels(shape: Shape, dtype: str) -> Tensor:
    """Return integers that tell positions apart: from 0 in a small dtype, from 2²⁰ in a large one; a pattern of truth values."""
    j = np.arange(prod(shape))
    if dtype == "bool":
        return encode((j * (j + 3) // 2 % 3 == 0).reshape(shape))
    return encode((j + (2**20 if dtype in ("int32", "float64") else 0)).astype(dtype).reshape(shape))


def _patterns(shape: Shape, dtype: str) -> Tensor:
    """Return the values from 1.0 upwards, or integers that float64 cannot tell apart."""
    first = {"int64": 2**60 + 1, "float16": 0x3C00, "bfloat16": 0x3F80}[dtype]
    unsigned = (first + np.arange(prod(shape))).astype(f"<u{WIDTHS[dtype]}").reshape(shape)
    return encode(unsigned.view(container(dtype)), dtype, way="bits")
