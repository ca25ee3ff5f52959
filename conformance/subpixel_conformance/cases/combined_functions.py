"""BL, CB and IC where circumstances come together in functions that are claimed by themselves: the blur, the measure, residual and norm.

Every pair of circumstances has a row, in every profile: they are few.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from .. import compare, oracle
from ..adapter import AdapterProtocol
from ..case import Case, Mismatch, Needs, claims_of
from ..covering import covering_array
from . import exact
from .arrays import normal, small_integers
from .combined import Row, judged
from .combined_layers import SCALES, WIDE, _dtypes, _ndims, _scales
from .layer import blurred_bound, measure

EXTENTS = {"ragged": (5, 4, 3), "short": (1, 2, 1), "long": (17, 3, 2)}
"""No multiples of the factors, fewer positions than a box, and many."""


def boxes(adapter: AdapterProtocol, device: str, *, case: str) -> None:
    """Demand the mean of every box by the values in it alone: those first on an axis are far larger than all others."""
    claims = claims_of(adapter)
    levels: dict[str, tuple[Any, ...]] = {
        "ndim": _ndims(claims),
        "scale": tuple(scale for scale in _scales(claims) if scale != "4"),
        "extents": tuple(EXTENTS),
        "batch": (2, 1),
        "channels": (3, 1),
        "dtype": _dtypes(claims),
        "values": ("integers", "normal", "uneven"),
    }

    def holds(row: Row) -> None:
        scale, extents = SCALES[row["scale"]][: row["ndim"]], EXTENTS[row["extents"]][: row["ndim"]]
        shape = (row["batch"], *extents, row["channels"])
        y = small_integers(shape, row["dtype"], start=1) if row["values"] == "integers" else normal(shape, row["dtype"], seed=3)
        if row["values"] == "uneven":
            half = row["dtype"] == "float16"  # in which 2^-60 is 0
            y[:, :1] *= y.dtype.type(2.0**12 if half else 1)
            y[:, 1:] *= y.dtype.type(1 if half else 2.0**-60)
        wanted = exact.boxed(y.astype(np.longdouble), scale)
        bound = blurred_bound(y.astype(np.longdouble), 0.0, scale, row["dtype"], exact.boxed)
        got = adapter.to_numpy(adapter.box_blur(adapter.to_native(y.copy(), device), scale))
        ratio, difference = compare.within(got, wanted, bound, y.dtype)
        if difference is not None:
            clause = "BL-001" if row["values"] == "integers" else "BL-003"
            raise Mismatch(difference.message(clause, case), ratio=ratio, clause=clause)

    judged(levels, covering_array(levels, 2), holds)


def measures(adapter: AdapterProtocol, device: str, *, case: str) -> None:
    """Demand the measure."""
    claims = claims_of(adapter)
    levels: dict[str, tuple[Any, ...]] = {
        "ndim": _ndims(claims),
        "scale": _scales(claims),
        "blocks": ((3, 2, 1), (1, 1, 1), (2, 4, 3)),
        "batch": (2, 1, 3),
        "channels": (3, 1, 8),
    }

    def holds(row: Row) -> None:
        scale = SCALES[row["scale"]][: row["ndim"]]
        shape = (row["batch"], *(r * n for r, n in zip(scale, row["blocks"], strict=False)), row["channels"])
        measure(adapter, device, shape=shape, scale=scale, case=case)

    judged(levels, covering_array(levels, 2), holds)


def _kernels(adapter: AdapterProtocol) -> dict[str, tuple[Any, ...]]:
    """Return the levels of an ICNR kernel."""
    claims = claims_of(adapter)
    return {
        "order": tuple(claims.orders),
        "ndim": _ndims(claims),
        "scale": _scales(claims),
        "inputs": (3, 1),
        "outputs": (2, 1, 3),
        "taps": ((3, 2, 1), (1, 1, 1), (2, 2, 3)),
        "dtype": tuple(name for name in WIDE if name in claims.dtypes) or ("float32",),
    }


def _base(row: Row) -> tuple[int, ...]:
    return (*row["taps"][: row["ndim"]], row["inputs"], row["outputs"])


def residuals(adapter: AdapterProtocol, device: str, *, case: str) -> None:
    """Demand the residual of a kernel, or of a bias, that is off in its last channel: by little, by much, by nothing, by infinity."""
    levels = _kernels(adapter) | {"where": ("kernel", "bias"), "off": (0.5, 0.0, 2.0**-22, 2.0**-40, np.inf, "in no way, but infinite")}

    def holds(row: Row) -> None:
        scale, base = SCALES[row["scale"]][: row["ndim"]], small_integers(_base(row), row["dtype"], start=3)
        values = {"kernel": oracle.icnr(base, scale, order=row["order"])}
        values["bias"] = oracle.icnr_bias(base.reshape(-1, row["outputs"])[0].copy(), scale, order=row["order"])
        block = [oracle.channel_index(row["order"], 0, o, scale, row["outputs"]) for o in oracle.offsets(scale)]
        last = values[row["where"]].reshape(-1, row["outputs"] * prod(scale))[-1]
        last[block] = np.inf if row["off"] == "in no way, but infinite" else 0
        last[block[-1]] += 0 if row["off"] == "in no way, but infinite" else row["off"]
        wanted = max(oracle.icnr_residual(value, scale, order=row["order"]) for value in values.values())
        got = float(adapter.icnr_residual(values["kernel"], scale, order=row["order"], bias=values["bias"]))
        if got != wanted:
            raise Mismatch(f"IC-005 ({case}): the residual of a {row['where']} that is off by {row['off']} must be {wanted}; got {got}")

    judged(levels, covering_array(levels, 2), holds)


def weight_norms(adapter: AdapterProtocol, device: str, *, case: str) -> None:
    """Demand both factors: v exactly, and g within the rounding of a norm."""
    levels = _kernels(adapter)

    def holds(row: Row) -> None:
        scale, base = SCALES[row["scale"]][: row["ndim"]], normal(_base(row), row["dtype"], seed=8)
        g, v = (np.asarray(value) for value in adapter.icnr_weight_norm(base.copy(), scale, order=row["order"]))
        difference = compare.exact(v, oracle.icnr(base, scale, order=row["order"]))
        if difference is not None:
            raise Mismatch(difference.message("IC-006", case, "v"))
        norms = np.sqrt((base.astype(np.longdouble).reshape(-1, row["outputs"]) ** 2).sum(axis=0))
        wanted = oracle.icnr_bias(norms, scale, order=row["order"])
        bound = (base.size // row["outputs"] + 2) * compare.UNIT_ROUNDOFF[row["dtype"]] * wanted
        ratio, difference = compare.within(g, wanted, bound)
        if difference is not None:
            raise Mismatch(difference.message("IC-006", case, "g"), ratio=ratio)

    judged(levels, covering_array(levels, 2), holds)


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases."""
    rows: list[tuple[tuple[str, ...], str, str, Callable[..., None]]] = [
        (("BL-001", "BL-003"), "layer", "box_blur", boxes),
        (("CB-001",), "layer", "checkerboard", measures),
        (("IC-005",), "init", "icnr_residual", residuals),
        (("IC-006",), "init", "icnr_weight_norm", weight_norms),
    ]
    for clauses, area, operation, check in rows:
        case = f"{clauses[0]}/combined-{operation.replace('_', '-')}"
        yield Case(case, clauses, area, Needs((operation,)), partial(check, case=case))
