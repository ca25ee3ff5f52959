"""EQ where circumstances come together: every pair in the full profile, every triple in the exhaustive one.

A row of a covering array is one conversion: a kernel, a stride or factors, zeros, groups, a dilation, an order and a form. A row that is
wrong is made simpler as in `combined`, and the message names the circumstances without which it is right.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..adapter import AdapterProtocol, Claims
from ..case import Case, Needs, Unavailable, claims_of
from .combined import STRENGTH, Row, judged
from .combined_layers import KERNELS, Levels, narrowed, some_rows
from .equivalence import (
    FORMS,
    Axes,
    Transposed,
    between_zeros,
    collapsed,
    deconv_as_subpixel,
    native_deconv,
    native_resize,
    reordered,
    resize_as_subpixel,
    shift_as_subpixel,
    strided,
    subpixel_as_deconv,
)

# --- the circumstances: the simplest level first ---

FACTORS: dict[str, dict[int, Axes]] = {
    "2": {1: (2,), 2: (2, 2), 3: (2, 2, 2)},
    "unequal": {1: (3,), 2: (2, 3), 3: (3, 2, 2)},
    "with a 1": {1: (1,), 2: (1, 3), 3: (2, 1, 3)},
}
SPREAD = {"none": (1, 1, 1), "unequal": (3, 2, 1)}
ENDS: dict[str, Any] = {"none": ((0, 0),) * 3, "even": ((1, 1), (2, 2), (0, 0)), "uneven": ((0, 2), (1, 0), (2, 1))}
ZEROS: dict[str, Any] = {"same": "same", "valid": "valid", "uneven": ((0, 2), (3, 0), (1, 2))}
TAPS = {**KERNELS, "3x4": (3, 4, 2)}
KEEPS_GROUPS = ("CRD", "RCD")
"""The orders that keep the channels of a group together."""

STAGES: dict[str, tuple[Axes, ...]] = {
    "several": ((3, 2, 1), (2, 3, 2), (3, 1, 1), (2, 1, 1)),
    "one first": ((1, 1, 1), (3, 2, 1), (2, 1, 2), (3, 2, 1)),
    "one at the end": ((3, 2, 2), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
}
"""The taps of every stage."""
SCALES: dict[str, tuple[Axes, ...]] = {
    "even": ((2, 2, 1), (2, 2, 2), (2, 1, 1), (2, 1, 1)),
    "uneven": ((2, 3, 1), (3, 1, 2), (1, 2, 2), (3, 2, 1)),
}
"""The factors of every stage."""
BIASES: dict[str, tuple[bool, ...]] = {
    "all": (True,) * 4,
    "none": (False,) * 4,
    "the first": (True, False, False, False),
    "not the first": (False, True, True, True),
}


def _factors(claims: Claims) -> tuple[str, ...]:
    wanted = {"2": True, "unequal": claims.anisotropic, "with a 1": claims.anisotropic and claims.scale_one}
    return tuple(name for name in FACTORS if wanted[name])


def circumstances(claims: Claims) -> dict[str, tuple[Any, ...]]:
    """Return the levels of every circumstance of some conversion."""
    ndims = tuple(ndim for ndim in (2, 1, 3) if ndim in claims.ndims)
    if not ndims:
        raise Unavailable("no number of spatial axes that is claimed is among 1, 2, 3")
    return {
        "order": tuple(claims.orders),
        "form": FORMS,
        "ndim": ndims,
        "groups": (1, 2) if set(claims.orders) & set(KEEPS_GROUPS) else (1,),
        "dilation": tuple(SPREAD),
        "factors": _factors(claims),
        "kernel": ("3x4", "2", "1"),
        "ends": tuple(ENDS),
        "zeros": tuple(ZEROS),
        "output padding": ("none", "most"),
        "bias": (True, False),
        "stages": (2, 3, 4),
        "taps": tuple(STAGES),
        "scales": tuple(SCALES),
        "biases": tuple(BIASES),
        "source": tuple(claims.orders),
        "target": tuple(claims.orders),
    }


def possible(row: dict[str, Any], levels: Levels) -> Iterator[dict[str, Any]]:
    """Yield the row or, of groups in an order that separates them, or of a long chain on several axes, rows with one of the two."""
    if row.get("groups", 1) > 1 and row["order"] not in KEEPS_GROUPS:
        yield {**row, "order": next(order for order in levels["order"] if order in KEEPS_GROUPS)}
        yield {**row, "groups": 1}
    elif row.get("stages", 2) > 3 and row["ndim"] > 1:
        yield {**row, "stages": 3}
        if 1 in levels["ndim"]:
            yield {**row, "ndim": 1}
    else:
        yield row


def transposed_of(row: Row, native: bool = False) -> Transposed:
    """Return the transposed convolution of a row; what a framework has itself is padded alike at both ends, by less than its kernel."""
    ndim = row["ndim"]
    kernel, stride = TAPS[row["kernel"]][:ndim], FACTORS[row["factors"]][ndim]
    dilation = SPREAD[row.get("dilation", "none")][:ndim]
    before, after = zip(*ENDS[row["ends"]][:ndim], strict=True)
    if native:
        before = after = tuple(min(p, k - 1) for p, k in zip(before, kernel, strict=True))
    more = tuple(max(s, d) - 1 if row["output padding"] == "most" else 0 for s, d in zip(stride, dilation, strict=True))
    return Transposed(kernel, stride, before, more, dilation, row.get("groups", 1), None if before == after else after)


def block_of(row: Row) -> dict[str, Any]:
    """Return the kernel, the factors and the zeros of a convolution beside a resize or a shift."""
    ndim, zeros = row["ndim"], ZEROS[row["zeros"]]
    return {
        "kernel": TAPS[row["kernel"]][:ndim],
        "scale": FACTORS[row["factors"]][ndim],
        "padding": zeros if isinstance(zeros, str) else zeros[:ndim],
    }


def chain_of(row: Row) -> dict[str, Any]:
    """Return the stages, the zeros and the biases of a chain, and extents of which its borders leave some."""
    ndim, zeros = row["ndim"], ZEROS[row["zeros"]]
    length = row["stages"]
    chain = [(taps[:ndim], scale[:ndim]) for taps, scale in zip(STAGES[row["taps"]], SCALES[row["scales"]], strict=True)][:length]
    padding = zeros if isinstance(zeros, str) else ((0, 1), (1, 0), (2, 1))[:ndim]
    shape = {1: (2, 7), 2: (1, 5, 5), 3: (1, 4, 4, 5)}[ndim]
    return {"chain": tuple(chain), "padding": padding, "bias": BIASES[row["biases"]][:length], "shape": shape}


# --- the conversions ---


def combined(
    adapter: AdapterProtocol, device: str, *, names: tuple[str, ...], convert: Callable[..., None], profile: str, case: str
) -> None:
    """Demand of a conversion, in every row of the circumstances with these names, what it gives."""
    claimed = circumstances(claims_of(adapter))
    levels: dict[str, tuple[Any, ...]] = {name: claimed[name] for name in names}
    if names in (TRANSPOSED, BLOCK):
        levels = narrowed(levels, profile, NATIVE)

    def holds(row: Row) -> None:
        if row in list(possible(dict(row), levels)):
            convert(adapter, device, row=row, case=case)

    judged(levels, some_rows(levels, STRENGTH[profile], possible), holds)


def _deconv(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    options: dict[str, Any] = {name: row[name] for name in ("order", "form", "bias")}
    deconv_as_subpixel(adapter, device, layer=transposed_of(row), case=case, **options)


def _native_deconv(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    native_deconv(adapter, device, layer=transposed_of(row, native=True), bias=row["bias"], case=case)


def _between_zeros(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    between_zeros(adapter, device, layer=transposed_of(row, native=True), bias=row["bias"], case=case)


def _subpixel(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    subpixel_as_deconv(adapter, device, order=row["order"], bias=row["bias"], case=case, **block_of(row))


def _resize(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    dilation = SPREAD[row["dilation"]][: row["ndim"]]
    options: dict[str, Any] = {name: row[name] for name in ("order", "form", "bias", "groups")}
    resize_as_subpixel(adapter, device, dilation=dilation, case=case, **options, **block_of(row))


def _native_resize(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    native_resize(adapter, device, bias=row["bias"], case=case, **block_of(row))


def _shift(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    options: dict[str, Any] = {name: row[name] for name in ("order", "form", "bias")}
    shift_as_subpixel(adapter, device, case=case, **options, **block_of(row))


def _strided(adapter: AdapterProtocol, device: str, *, first: str, row: Row, case: str) -> None:
    strided(adapter, device, first=first, order=row["order"], bias=row["bias"], case=case, **block_of(row))


def _chain(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    collapsed(adapter, device, order=row["order"], form=row["form"], case=case, **chain_of(row))


def _reordered(adapter: AdapterProtocol, device: str, *, row: Row, case: str) -> None:
    block = block_of({**row, "zeros": "same"})
    reordered(adapter, device, source=row["source"], target=row["target"], scale=block["scale"], kernel=block["kernel"], case=case)


NATIVE: dict[str, tuple[Any, ...]] = {
    "factors": ("2", "unequal"),
    "kernel": ("3x4",),
    "ends": ("none", "even"),
    "zeros": ("same", "uneven"),
}
"""The levels of the full profile for what runs in a framework, which may compile every row."""
LAYER = ("ndim", "factors", "kernel")
TRANSPOSED = (*LAYER, "ends", "output padding", "bias")
BLOCK = (*LAYER, "zeros", "bias")
CONVERSIONS: tuple[tuple[str, str, tuple[str, ...], Callable[..., None]], ...] = (
    ("EQ-001", "deconv_to_subpixel", ("order", "form", *TRANSPOSED, "groups", "dilation"), _deconv),
    ("EQ-001", "from_conv_transpose", TRANSPOSED, _native_deconv),
    ("EQ-003", "subpixel_to_deconv", ("order", *BLOCK), _subpixel),
    ("EQ-004", "fractionally_strided_conv", TRANSPOSED, _between_zeros),
    ("EQ-005", "resize_conv_to_subpixel", ("order", "form", *BLOCK, "groups", "dilation"), _resize),
    ("EQ-005", "from_resize_conv", BLOCK, _native_resize),
    ("EQ-006", "shift_conv_to_subpixel", ("order", "form", *BLOCK), _shift),
    ("EQ-007", "conv_unshift_to_strided", ("order", *BLOCK), partial(_strided, first="conv")),
    ("EQ-007", "unshift_conv_to_strided", ("order", *BLOCK), partial(_strided, first="unshift")),
    ("EQ-008", "collapse_stages", ("order", "form", "ndim", "scales", "zeros", "stages", "taps", "biases"), _chain),
    ("EQ-009", "reorder", ("source", "target", *LAYER), _reordered),
)
"""The clause, the operation, the circumstances and what is demanded."""


def cases(profile: str) -> Iterator[Case]:
    """Yield one case for every conversion."""
    for clause, operation, names, convert in CONVERSIONS:
        case = f"{clause}/combined-{operation.replace('_', '-')}"
        check = partial(combined, names=names, convert=convert, profile=profile, case=case)
        chain = operation == "collapse_stages"
        yield Case(case, (clause,), "equivalence", Needs((operation,), anisotropic=chain, scale_one=chain), check)
