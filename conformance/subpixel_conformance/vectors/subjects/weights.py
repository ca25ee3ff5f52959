"""Weights: moved between orders, and initialized by ICNR."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from ..definition import GITHUB, ORDERS, Definition, arange, special
from ..tensor import encode


def permutations() -> Iterator[Definition]:
    """Yield a permutation for every pair of orders."""
    for name, scale, channels in (("2d", (2, 3), 12), ("2d-factor-2", (2, 2), 12), ("3d", (2, 1, 3), 12), ("1d", (3,), 6)):
        orders = ORDERS if len(scale) > 1 else ORDERS[:2]
        for source, target in product(orders, orders):
            if source == target and name != "2d":
                continue
            identity = f"channel-permutation-{name}-{source.lower()}-to-{target.lower()}"
            why = f"Weights of {source} run under {target} after this permutation of the channels, and not after its inverse."
            if source == target:
                why = f"From {source} to {target} nothing moves."
            link = GITHUB + "gmalivenko/pytorch2keras/issues/56" if identity == "channel-permutation-2d-factor-2-crd-to-dcr" else ""
            arguments = {"channels": channels, "scale": list(scale), "source": source, "target": target}
            yield Definition(identity, "channel_permutation", ("CP-001",), why, arguments, {}, link)


def initializations() -> Iterator[Definition]:
    """Yield kernels and biases, their factors under weight normalization, and residuals."""
    kernels = (
        ("1d", (3,), (2, 2, 3)),
        ("2d", (2, 3), (2, 3, 2, 2)),
        ("2d-factor-4", (4, 4), (1, 1, 2, 2)),
        ("3d", (2, 1, 3), (1, 2, 1, 2, 3)),
    )
    for name, scale, base in kernels:
        for order in ORDERS:
            tiled = "a tile" if order in ("DCR", "DRC") else "a repeat"
            why = f"ICNR for {order} is {tiled} along the channels, of kernel and bias alike; the other one breaks the blocks."
            inputs = {"kernel": arange(base), "bias": encode(10 + np.arange(base[-1], dtype="float32"))}
            arguments = {"scale": list(scale), "order": order}
            yield Definition(f"icnr-{name}-{order.lower()}", "icnr", ("IC-001", "IC-002"), why, arguments, inputs)
    for order in ("DCR", "CRD"):
        careless = {"kernel": special((1, 2, 3, 4), "float32"), "bias": special((4,), "float32")}
        why = f"ICNR copies: NaN payloads, −0 and subnormals of the base stay as they are ({order})."
        arguments = {"scale": [2, 3], "order": order}
        yield Definition(f"icnr-special-{order.lower()}", "icnr", ("IC-001", "IC-002"), why, arguments, careless, way="bits")
    pythagorean = np.array([[2, 1, 2], [3, 4, 4], [6, 8, 4]], dtype="float32").reshape(1, 3, 1, 3)
    for order in ORDERS:
        link = GITHUB + "fastai/fastai/issues/3315" if order == "CRD" else ""
        why = f"Under weight normalization both factors are replicated, else the next forward pass undoes ICNR ({order})."
        arguments = {"scale": [2, 2], "order": order}
        inputs = {"kernel": encode(pythagorean)}
        yield Definition(f"icnr-weight-norm-{order.lower()}", "icnr_weight_norm", ("IC-006",), why, arguments, inputs, link)
    yield from _residuals()


def _residuals() -> Iterator[Definition]:
    tiled, repeated = np.tile([3.0, 5.0], 6), np.repeat([3.0, 5.0], 6)
    for order in ORDERS:
        right, wrong = (tiled, repeated) if order in ("DCR", "DRC") else (repeated, tiled)
        arguments = {"scale": [2, 3], "order": order}
        for name, kernel, bias, why in (
            ("zero", right, right + 1, f"The residual of a kernel and a bias that are ICNR for {order} is exactly 0."),
            ("other-order", wrong, None, f"A kernel that is ICNR for another order has a residual under {order}."),
            ("bias", right, np.arange(12.0), f"A bias of independent values counts, though the kernel is ICNR for {order}."),
        ):
            inputs = {"kernel": encode(kernel.reshape(1, 1, 1, 12))}
            if bias is not None:
                inputs["bias"] = encode(bias)
            yield Definition(f"icnr-residual-{name}-{order.lower()}", "icnr_residual", ("IC-005",), why, arguments, inputs)
    zeros = np.array([0.0, 1.0, -0.0, 1.0]).reshape(1, 1, 4)
    why = "−0 equals 0: kernels that differ in the sign of a zero alone have residual 0."
    inputs = {"kernel": encode(zeros, way="bits")}
    yield Definition("icnr-residual-signed-zero-dcr", "icnr_residual", ("IC-005",), why, {"scale": [2], "order": "DCR"}, inputs)
