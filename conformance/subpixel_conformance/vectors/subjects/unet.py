"""The residual U-Net with its weights, small integers throughout."""

from collections.abc import Iterator
from typing import Any

from ...oracle_unet import Unet
from ..definition import Definition, mixed

NETWORK = {
    "ndim": 2, "in_channels": 2, "out_channels": 2, "widths": [2, 3], "blocks": 1, "kernel_size": 3, "scales": [2], "output_scale": 1,
    "norm": "none", "groups": 1, "upsample": "subpixel", "blur": False, "order": "DCR",
}  # fmt: skip


def networks() -> Iterator[Definition]:
    """Yield one small network for every kind of layer and number of axes."""
    variants: tuple[tuple[str, dict[str, Any], tuple[int, ...], str], ...] = (
        ("dcr", {}, (1, 4, 6), "The smallest network with everything in it: strided encoder, skip, sub-pixel decoder."),
        ("crd", {"order": "CRD"}, (1, 4, 6), "The same network with its weights in CRD order: another function, unless they are permuted."),
        ("padded", {"order": "DRC"}, (2, 3, 5), "Extents that the scale does not divide: zeros after, and the output cropped."),
        ("unequal", {"scales": [[2, 3]], "kernel_size": [2, 3], "order": "RCD"}, (1, 4, 6), "Unequal factors, an even kernel."),
        ("resize", {"upsample": "resize"}, (1, 4, 6), "Nearest-neighbour resize, then convolution."),
        ("deconv", {"upsample": "deconv"}, (1, 4, 6), "Transposed convolution, cut as the sub-pixel convolution is."),
        ("super-resolution", {"output_scale": 2, "out_channels": 3}, (1, 2, 4), "A head that enlarges twice, and three channels out."),
        ("1d", {"ndim": 1}, (2, 6), "One spatial axis."),
        ("3d", {"ndim": 3, "widths": [2, 2], "kernel_size": [1, 2, 3], "scales": [[1, 2, 2]]}, (1, 2, 2, 4), "Three axes, one kept."),
    )  # fmt: skip
    for start, (name, changed, shape, why) in enumerate(variants):
        config = {**NETWORK, **changed}
        inputs = {"x": mixed((*shape, config["in_channels"]), start, 5)}
        for number, (parameter, extents) in enumerate(Unet(config).learned.items()):
            inputs[parameter] = mixed(extents, 11 * start + 3 * number, 3)
        clauses = ("UN-001", "UN-002", "UN-003", "UN-004", "UN-007", "UN-008", "UN-011", "UN-012")
        yield Definition(
            f"unet-{name}", "residual_unet", clauses, f"{why} Integers without normalization: every sum is exact.", config, inputs
        )
