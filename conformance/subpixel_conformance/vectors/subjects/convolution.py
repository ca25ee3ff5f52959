"""Convolutions, nearest-neighbour upsampling, and the sub-pixel layer."""

from collections.abc import Iterator
from typing import Any

from ..definition import ORDERS, Definition, Shape, arange, layer, mixed, special


def convolutions() -> Iterator[Definition]:
    """Yield plain and transposed convolutions, upsampling, and layers."""
    plain: tuple[tuple[str, Shape, Shape, bool, Any, tuple[str, ...], str], ...] = (
        ("1d-even-kernel", (1, 5, 2), (2, 2, 3), True, "same", ("CV-001", "CV-002"), "An even kernel is padded after, not before."),
        ("1d-four-taps", (1, 5, 2), (4, 2, 2), True, "same", ("CV-001", "CV-002"), "Four taps: one zero before, two after."),
        ("1d-valid", (2, 6, 2), (3, 2, 2), False, "valid", ("CV-001", "CV-002"), "Padding valid puts no zeros, and there may be no bias."),
        ("1d-pairs", (1, 4, 2), (3, 2, 2), True, [[3, 1]], ("CV-001", "CV-002"), "Explicit padding: three zeros before and one after."),
        ("2d", (2, 4, 3, 2), (3, 2, 2, 3), True, "same", ("CV-001", "CV-002"), "Correlation: the kernel is not flipped."),
        ("2d-pairs", (1, 3, 4, 2), (2, 3, 2, 2), True, [[1, 0], [0, 2]], ("CV-002",), "Another pair of zeros on each axis."),
        ("2d-one-tap", (1, 3, 2, 3), (1, 1, 3, 2), True, "same", ("CV-001",), "One tap: a product of matrices at every position."),
        ("3d", (1, 2, 3, 4, 2), (1, 2, 3, 2, 2), True, "same", ("CV-001", "CV-002"), "Three spatial axes with three kernel extents."),
    )  # fmt: skip
    for start, (name, x, kernel, biased, padding, clauses, why) in enumerate(plain):
        inputs = layer(x, kernel, biased, start)
        yield Definition(f"conv-{name}", "conv", clauses, why, {"padding": padding}, inputs)
    transposed = (
        ("1d-overlap", (1, 4, 2), (3, 2, 2), (2,), (0,), (0,), "Kernel 3 at stride 2 overlaps in every other value."),
        ("1d-output-padding", (1, 3, 2), (4, 2, 2), (3,), (1,), (2,), "Padding crops both ends, output padding adds at the end."),
        ("2d", (2, 3, 2, 2), (3, 4, 2, 3), (2, 3), (1, 0), (1, 2), "Unequal strides, paddings and output paddings."),
        ("2d-no-overlap", (1, 2, 3, 3), (2, 2, 3, 2), (2, 2), (0, 0), (0, 0), "Kernel and stride are equal: no overlap."),
        ("3d", (1, 2, 1, 3, 2), (2, 3, 1, 2, 2), (1, 2, 2), (0, 1, 0), (0, 1, 0), "Three spatial axes, a stride above the kernel on one."),
    )  # fmt: skip
    for start, (name, x, kernel, stride, padding, more, why) in enumerate(transposed):
        arguments = {"stride": list(stride), "padding": list(padding), "output_padding": list(more)}
        yield Definition(f"conv-transpose-{name}", "conv_transpose", ("CV-004",), why, arguments, layer(x, kernel, True, 20 + start))
    for name, shape, scale in (("1d", (4, 2), (3,)), ("2d", (2, 2, 3, 2), (2, 3)), ("3d", (1, 2, 1, 3, 2), (2, 3, 1))):
        why = "Nearest-neighbour upsampling repeats every value over its block, with a factor of its own per axis."
        yield Definition(f"nearest-upsample-{name}", "nearest_upsample", ("CV-005",), why, {"scale": list(scale)}, {"x": arange(shape)})
    why = "Nearest-neighbour upsampling repeats NaN payloads and −0 bit for bit."
    careless = {"x": special((1, 2, 3, 5), "float32")}
    yield Definition("nearest-upsample-special", "nearest_upsample", ("CV-005",), why, {"scale": [2, 3]}, careless, way="bits")
    yield from _subpixel_layers()


def _subpixel_layers() -> Iterator[Definition]:
    shapes: tuple[tuple[str, Shape, Shape, Shape, Any], ...] = (
        ("1d", (1, 4, 2), (2, 2, 6), (3,), "same"),
        ("2d", (2, 2, 3, 2), (3, 2, 2, 12), (2, 3), "same"),
        ("3d", (1, 2, 1, 2, 2), (1, 2, 3, 2, 8), (2, 1, 2), "same"),
        ("2d-pairs", (1, 3, 2, 2), (2, 2, 2, 8), (2, 2), [[1, 0], [0, 1]]),
    )
    for start, (name, x, kernel, scale, padding) in enumerate(shapes):
        for order in ORDERS if name == "2d" else ("DCR", "CRD"):
            why = f"The sub-pixel layer: convolve at low resolution, add the bias of all channels, then shift ({order})."
            arguments = {"scale": list(scale), "order": order, "padding": padding}
            inputs = layer(x, kernel, True, 40 + start)
            yield Definition(f"subpixel-conv-{name}-{order.lower()}", "subpixel_conv", ("SC-001", "SC-003"), why, arguments, inputs)
    for order in ("DCR", "CRD"):
        inputs = {"x": mixed((1, 3, 4, 3), 60, 7), "depthwise": mixed((3, 2, 3, 1), 61, 5), "pointwise": mixed((1, 1, 3, 12), 62, 9)}
        inputs["bias"] = mixed((12,), 63, 37)
        why = f"Separable: depthwise without a bias, pointwise with one, then the shift ({order})."
        arguments = {"scale": [2, 3], "order": order, "padding": "same"}
        identity = f"separable-subpixel-conv-2d-{order.lower()}"
        yield Definition(identity, "separable_subpixel_conv", ("SP-001", "SP-002"), why, arguments, inputs)
