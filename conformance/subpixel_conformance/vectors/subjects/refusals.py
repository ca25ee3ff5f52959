"""What must be refused, and the argument at fault."""

from collections.abc import Iterator
from typing import Any

from ..definition import GITHUB, Definition, Shape, arange, layer


def refusals() -> Iterator[Definition]:
    """Yield what errors.md refuses, one argument at fault each."""
    for operation in ("phase_shift", "inverse_phase_shift"):
        where = "" if operation == "phase_shift" else "inverse-"
        link = "apache/mxnet/issues/19784" if not where else "keras-team/keras/issues/22126"
        yield _refused(f"{where}factor-0", "scale", "ER-001", "A factor of 0 divides by zero.", operation, link, scale=[0, 0])
        why = "Two negative factors have a positive product: every test of the product passes."
        yield _refused(f"{where}negative-factors", "scale", "ER-001", why, operation, scale=[-2, -3])
        why = "A factor that is no integer is never rounded."
        yield _refused(f"{where}fractional-factor", "scale", "ER-002", why, operation, scale=[2.5, 3])
        yield _refused(f"{where}boolean-factor", "scale", "ER-002", "True counts as 1 in many languages.", operation, scale=[True, 3])
        yield _refused(f"{where}text-factor", "scale", "ER-002", "A text is no factor, even one of digits.", operation, scale=["2", 3])
        yield _refused(f"{where}no-factor", "scale", "ER-002", "A scale without a factor has no spatial axis.", operation, scale=[])
        yield _refused(f"{where}unknown-order", "order", "ER-005", "An unknown order never falls back to another.", operation, order="CDR")
        why = "Orders are written in capitals; another spelling is another word."
        yield _refused(f"{where}order-in-lower-case", "order", "ER-005", why, operation, order="dcr")
        why = "A data format of another framework is unknown here, and never falls back."
        yield _refused(f"{where}unknown-data-format", "data_format", "ER-005", why, operation, data_format="NCHW")
        why = "Two axes cannot hold two spatial axes and the channels."
        yield _refused(f"{where}too-few-axes", "y" if where else "x", "ER-006", why, operation, shape=(6, 12))
    why = "10 channels make no blocks of 2 × 3: dropping the rest would give a plausible shape."
    yield _refused("indivisible-channels-last", "x", "ER-003", why, shape=(4, 6, 10))
    why = "6 channels make no blocks of 2 × 2: shape inference that rounds down calls it one channel."
    first: dict[str, Any] = {"data_format": "channels_first", "scale": [2, 2]}
    yield _refused("indivisible-channels-first", "x", "ER-003", why, link="onnx/onnx/pull/8467", shape=(1, 6, 4, 5), **first)
    why = "The channels are the last axis: 12 rows do not make up for 10 channels."
    yield _refused("indivisible-channels-by-position", "x", "ER-003", why, shape=(12, 6, 10))
    for name, shape in (("rows", (5, 6, 2)), ("columns", (4, 7, 2))):
        why = f"The {name} are no multiple of their factor: cropping them would lose values in silence."
        yield _refused(f"inverse-indivisible-{name}", "y", "ER-004", why, "inverse_phase_shift", shape=shape)
    why = "4 columns are no multiple of 3, though 4 rows and 6 columns would do."
    yield _refused("inverse-swapped-extents", "y", "ER-004", why, "inverse_phase_shift", shape=(6, 4, 2))
    yield _refused(
        "nearest-upsample-factor-0", "scale", "ER-001", "A factor of 0 makes the image vanish.", "nearest_upsample", scale=[0, 2]
    )
    yield _refused("nearest-upsample-fractional-factor", "scale", "ER-002", "No resize by 1.5.", "nearest_upsample", scale=[1.5, 2])
    yield _refused("icnr-factor-0", "scale", "ER-001", "A factor of 0 leaves no channels.", "icnr", scale=[0])
    why = "Tile or repeat depends on the order: an unknown one has neither."
    yield _refused("icnr-unknown-order", "order", "ER-005", why, "icnr", scale=[2], order="RDC")
    yield _refused("box-blur-factor-0", "scale", "ER-001", "A box of no values has no mean.", "box_blur", scale=[2, 0])
    yield _refused("checkerboard-indivisible", "y", "ER-004", "Blocks that do not fit have no offsets.", "checkerboard", shape=(4, 7, 2))
    yield from _refused_plans()


def _refused(
    name: str,
    at_fault: str,
    clause: str,
    why: str,
    operation: str = "phase_shift",
    link: str = "",
    shape: Shape = (4, 6, 12),
    **changed: Any,
) -> Definition:
    arguments: dict[str, Any] = {"scale": [2, 3], "order": "DCR", "data_format": "channels_last"} | changed
    inputs = {"y" if operation in ("inverse_phase_shift", "checkerboard", "box_blur") else "x": arange(shape)}
    if operation not in ("phase_shift", "inverse_phase_shift"):
        del arguments["data_format"]
    if operation in ("nearest_upsample", "checkerboard", "box_blur"):
        del arguments["order"]
    if operation == "icnr":
        inputs = {"kernel": arange((3, 2, 2)), "bias": arange((2,))}
    return Definition(f"refuse-{name}", operation, (clause,), why, arguments, inputs, GITHUB + link if link else "", refuses=at_fault)


def _refused_plans() -> Iterator[Definition]:
    plans = (
        ("scale-6-by-doubling", [6, 6], [[2, 2], [2, 2]], "⌊log2 6⌋ doublings reach 4: the plan is refused, never rounded."),
        ("scale-3-by-doubling", [3, 3], [[2, 2]], "⌊log2 3⌋ doublings reach 2: the plan is refused, never rounded."),
        ("one-axis", [4, 6], [[2, 2], [2, 2]], "The factors reach the scale on one axis and not on the other."),
        ("product-of-all", [4, 4], [[2, 8]], "The products over all axes are equal, those on each axis are not."),
    )
    for name, scale, factors, why in plans:
        arguments = {
            "scale": scale, "in_channels": 4, "out_channels": 4, "kernel_size": [3, 3], "bias": True, "separable": False, "spatial": [5, 7],
            "factors": factors,
        }  # fmt: skip
        yield Definition(f"refuse-plan-{name}", "plan_stages", ("ER-007",), why, arguments, {}, refuses="factors")
    arguments = {"channels": 10, "scale": [2, 3], "source": "CRD", "target": "DCR"}
    why = "10 channels make no blocks of 2 × 3, so there is nothing to permute."
    yield Definition("refuse-permutation-indivisible", "channel_permutation", ("ER-003",), why, arguments, {}, refuses="channels")
    arguments = {"channels": 12, "scale": [2, 3], "source": "CRD", "target": "CDR"}
    why = "An unknown target order never falls back to another."
    yield Definition("refuse-permutation-unknown-order", "channel_permutation", ("ER-005",), why, arguments, {}, refuses="target")
    arguments = {"scale": [2, 3], "order": "CRD", "padding": "same"}
    why = "A kernel whose output channels make no blocks of 2 × 3 is refused before anything is convolved."
    inputs = layer((1, 3, 4, 2), (3, 3, 2, 10), False, 80)
    yield Definition("refuse-subpixel-conv-indivisible", "subpixel_conv", ("ER-003",), why, arguments, inputs, refuses="kernel")
