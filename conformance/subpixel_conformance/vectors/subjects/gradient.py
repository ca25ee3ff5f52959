"""Vector-Jacobian products of the shift, its inverse and the sub-pixel layer."""

from collections.abc import Iterator
from math import prod

from ..definition import FORMATS, GITHUB, ORDERS, Definition, Shape, arange, layer, mixed, shape_of, special


def gradients() -> Iterator[Definition]:
    """Yield what comes back for a cotangent."""
    shapes: tuple[tuple[str, Shape, Shape, Shape, int], ...] = (
        ("1d", (2,), (3,), (4,), 3),
        ("2d", (2, 3), (2,), (2, 1), 2),
        ("2d-factor-2", (2, 2), (1,), (2, 3), 3),
        ("3d", (2, 1, 3), (), (1, 2, 2), 2),
    )
    for name, scale, batch, low, channels in shapes:
        for order in ORDERS if name == "2d" else ("DCR", "CRD"):
            for short, data_format in FORMATS.items():
                arguments = {"scale": list(scale), "order": order, "data_format": data_format}
                small = shape_of(batch, low, channels * prod(scale), data_format)
                large = shape_of(batch, tuple(r * n for r, n in zip(scale, low, strict=True)), channels, data_format)
                end = f"{name}-{order.lower()}-{short}"
                link = GITHUB + "tensorflow/tensorflow/issues/14243" if end == "2d-factor-2-dcr-first" else ""
                why = f"The gradient of the shift is the inverse shift, in the same order and data format ({order}, {data_format})."
                inputs = {"x": mixed(small, 5, 9), "cotangent": arange(large)}
                yield Definition(f"phase-shift-vjp-{end}", "phase_shift_vjp", ("GR-001",), why, arguments, inputs, link)
                why = f"The gradient of the inverse is the shift, in the same order and data format ({order}, {data_format})."
                inputs = {"y": mixed(large, 6, 9), "cotangent": arange(small)}
                yield Definition(f"inverse-phase-shift-vjp-{end}", "inverse_phase_shift_vjp", ("GR-002",), why, arguments, inputs, link)
    for order in ("DCR", "CRD"):
        careless = {"x": mixed((1, 2, 2, 12), 8, 9), "cotangent": special((1, 4, 6, 2), "float32")}
        why = f"A cotangent with NaN payloads and −0 comes through bit for bit ({order})."
        arguments = {"scale": [2, 3], "order": order, "data_format": "channels_last"}
        yield Definition(f"phase-shift-vjp-special-{order.lower()}", "phase_shift_vjp", ("GR-001",), why, arguments, careless, way="bits")
    for start, order in enumerate(ORDERS):
        inputs = layer((2, 3, 2, 2), (3, 2, 2, 12), True, 70 + start) | {"cotangent": mixed((2, 6, 6, 2), 75, 13)}
        why = f"The gradients of the layer for its input, kernel and bias, with an even kernel extent and unequal factors ({order})."
        arguments = {"scale": [2, 3], "order": order, "padding": "same"}
        yield Definition(f"subpixel-conv-vjp-{order.lower()}", "subpixel_conv_vjp", ("GR-003",), why, arguments, inputs)
