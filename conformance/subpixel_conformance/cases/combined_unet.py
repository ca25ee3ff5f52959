"""UN where circumstances come together, in few networks, since a compiler takes seconds for each: every pair in the exhaustive profile.

The full profile has every pair of normalization, way to enlarge, number of axes and kernel, in networks that `unet` has least of: three
levels, three samples, one channel in, extents that need no zeros. A row of a covering array is one network and its input; one that is
wrong is named whole, and not made simpler.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .. import compare
from ..adapter import AdapterProtocol, Claims
from ..case import Case, Mismatch, Needs, Unavailable, claims_of
from ..covering import covering_array
from .combined_layers import narrowed
from .unet import ROUNDING, Net, Shape, Traced, _copies, along_directions, counted, integers, judge_layers, reals, trained

Row = Mapping[str, Any]

# --- the circumstances ---

NORMS: dict[str, dict[str, Any]] = {
    "none": {},
    "group": {"norm": "group", "groups": 2},
    "batch": {"norm": "batch"},
    "one group": {"norm": "group", "groups": 1},
}
WIDTHS = (4, 6, 4)
SCALES: dict[str, tuple[Shape, ...]] = {"2": ((2, 2, 2), (2, 2, 1)), "unequal": ((2, 3, 1), (1, 2, 2))}
KERNELS = {"3": (3, 3, 3), "5": (5, 5, 3), "even": (2, 4, 2)}
OUTPUTS = {"1": (1, 1, 1), "2": (2, 2, 2), "unequal": (3, 1, 2)}
DEEPEST = {1: (3,), 2: (2, 3), 3: (2, 1, 2)}
"""The extents of the deepest level, unless zeros are added."""


def circumstances(claims: Claims) -> dict[str, tuple[Any, ...]]:
    """Return the levels of every circumstance."""
    ndims = tuple(ndim for ndim in (2, 1, 3) if ndim in claims.ndims)
    if not ndims:
        raise Unavailable("no number of spatial axes that is claimed is among 1, 2, 3")
    uneven = ("unequal",) if claims.anisotropic else ()
    return {
        "norm": tuple(NORMS),
        "order": tuple(claims.orders),
        "ndim": ndims,
        "upsample": ("subpixel", "resize", "deconv"),
        "levels": (3, 2),
        "samples": (3, 1, 2),
        "inputs": (1, 3),
        "kernel": tuple(KERNELS),
        "scales": ("2", *uneven),
        "output": ("1", "2", *uneven),
        "blocks": (1, (1, 2, 1)),
        "blur": (False, True),
        "zeros": (True, False),
    }


@lru_cache(maxsize=512)
def net_of(row: tuple[tuple[str, Any], ...]) -> Net:
    """Return the network of a row."""
    of = dict(row)
    ndim, levels = of["ndim"], of["levels"]
    scales = tuple(scale[:ndim] for scale in SCALES[of["scales"]][: levels - 1])
    whole = tuple(int(np.prod([scale[axis] for scale in scales])) for axis in range(ndim))
    extents = tuple(total * deepest - (of["zeros"] and total > 1) for total, deepest in zip(whole, DEEPEST[ndim], strict=True))
    given: dict[str, Any] = {
        "ndim": ndim,
        "in_channels": of["inputs"],
        "widths": WIDTHS[:levels],
        "blocks": of["blocks"] if of["blocks"] == 1 else of["blocks"][:levels],
        "kernel_size": KERNELS[of["kernel"]][:ndim],
        "scales": scales,
        "output_scale": OUTPUTS[of["output"]][:ndim],
        **{name: of[name] for name in ("upsample", "blur", "order")},
        **NORMS[of["norm"]],
    }
    return Net(", ".join(f"{name}={level}" for name, level in row), extents, given, of["samples"])


FEWER: dict[str, tuple[Any, ...]] = {
    "norm": ("none", "group", "batch"),
    "levels": (3,),
    "samples": (3,),
    "inputs": (1,),
    "scales": ("2",),
    "output": ("1",),
    "blocks": (1,),
    "blur": (False,),
    "zeros": (False,),
}
"""The levels of the full profile. Every network has the next order."""


def nets(claims: Claims, profile: str, norms: tuple[str, ...] = tuple(NORMS), strength: int = 2) -> list[Net]:
    """Return the networks with one of these normalizations."""
    levels = narrowed(circumstances(claims), profile, FEWER)
    orders = levels["order"]
    rows = covering_array(levels | ({"order": orders[:1]} if profile == "full" else {}), strength)
    if profile == "full":
        rows = [{**row, "order": orders[number % len(orders)]} for number, row in enumerate(rows)]
    return [net_of(tuple(row.items())) for row in rows if row["norm"] in norms]


# --- what is asked of every network ---


def exact_output(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> None:
    """Demand exactly the integers of the formulas; of a network that has none, that its layers are within their bounds."""
    try:
        params, x, _ = integers(net, "float32")
    except ValueError:  # too deep, or blurred by other numbers than powers of 2
        layers_within_bounds(adapter, device, net=net, case=case)
        return
    network = adapter.unet(net.config, device, _copies(params), "float32")
    difference = compare.exact(adapter.to_numpy(network(adapter.to_native(x.copy(), device))), net.unet.forward(params, x).y, x.dtype)
    if difference is not None:
        raise Mismatch(difference.message("UN-012", case))


def layers_within_bounds(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> None:
    """Demand of every layer, the normalizations first, that it is within what rounding can do, given its own input."""
    params, x = reals(net, "float32")
    network = adapter.unet(net.config, device, _copies(params), "float32")
    trace = {name: np.asarray(values) for name, values in network.trace(adapter.to_native(x.copy(), device)).items()}
    found = Traced(params, x, x, trace)
    clause = {"group": "UN-005", "batch": "UN-006"}.get(net.config["norm"], "UN-012")
    judge_layers(net, found, ROUNDING["float32"], clause, case, lambda step: step.kind == "norm")
    try:
        judge_layers(net, found, ROUNDING["float32"], "UN-012", case)
    except Mismatch as mismatch:
        mismatch.clause = "UN-012"
        raise


def combined(
    adapter: AdapterProtocol, device: str, *, norms: tuple[str, ...], check: Callable[..., Any], profile: str, strength: int, case: str
) -> None:
    """Demand of every network with one of these normalizations what ``check`` demands, and name the first that is wrong."""
    for net in nets(claims_of(adapter), profile, norms, strength):
        try:
            check(adapter, device, net=net, case=case)
        except Unavailable:
            raise
        except Mismatch as mismatch:
            mismatch.message = f"{mismatch.message}; wrong in the network of {net.name}"
            raise
        except Exception as error:
            raise RuntimeError(f"{type(error).__name__}: {error}; in the network of {net.name}") from error


# --- the cases ---


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases: each normalization, training, gradients and counts."""
    group, every = ("group", "one group"), tuple(NORMS)
    rows: list[tuple[str, str, tuple[str, ...], tuple[str, ...], str, Callable[..., Any], int]] = [
        ("UN-012/combined", "UN-012", (), ("none",), "float32", exact_output, 2),
        ("UN-005/combined", "UN-005", (), group, "float32", layers_within_bounds, 2),
        ("UN-006/combined", "UN-006", (), ("batch",), "float32", layers_within_bounds, 2),
    ]
    if profile == "exhaustive":
        rows += [
            ("UN-006/combined-training", "UN-006", (), ("batch",), "float64", partial(trained, dtype="float64"), 2),
            ("UN-013/combined-directions", "UN-013", ("unet_gradients",), every, "float64", along_directions, 1),
        ]
    for case, clause, more, norms, dtype, check, strength in rows:
        clauses = (clause, "UN-012") if check is layers_within_bounds else (clause,)
        demand = partial(combined, norms=norms, check=check, profile=profile, strength=strength, case=case)
        yield Case(case, clauses, "unet", Needs(("unet", *more), dtype=dtype), demand)
    case = "UN-010/combined"
    demand = partial(combined, norms=every, check=counted, profile="exhaustive", strength=2, case=case)
    yield Case(case, ("UN-010",), "unet", Needs(("unet_arithmetic",)), demand)
