"""SC, SP, BL, IC, GR and CV where circumstances come together: every pair of what is claimed in full, every triple in exhaustive.

A row of a covering array is one layer on one input: an order, numbers of axes, samples and channels, a kernel, factors, a padding, a dtype,
and what kind of layer it is. As in `combined`, a row that is wrong is made simpler as long as it stays wrong, and the message names the
circumstances without which it is right; the clause is that of the kind of layer that is left.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from .. import compare, oracle
from ..adapter import AdapterProtocol, Claims, LayerConfig
from ..case import Case, Mismatch, Needs, Unavailable, bulk_dtype, claims_of, dtype_of
from ..covering import covering_array
from . import exact
from .arrays import labelled, normal, small_integers
from .combined import BATCHES, STRENGTH, Row, judged
from .gradient import native_cotangent, pulled_back
from .init import asked_shape, constructed, constructed_bias, constructed_layer, keeps_kernel_bits, replicated_bias, replicated_kernel
from .layer import (
    Parameters,
    convolution,
    nearest,
    needs_layer,
    parameters_for,
    run_layer,
    stages_of,
    transposed,
)
from .shift import OPERATIONS, Call

Levels = Mapping[str, tuple[Any, ...]]

# --- the circumstances: the simplest level first ---

KERNELS = {"3": (3, 3, 3), "1": (1, 1, 1), "2": (2, 2, 2), "2x3": (2, 3, 1), "5x6": (5, 6, 1)}
TAPS = ("3", "1", "2", "2x3")
"""Those of layers and functions; gradients have a longer kernel too."""
SCALES = {"2": (2, 2, 2), "2x3": (2, 3, 2), "3": (3, 3, 3), "4": (4, 4, 4), "1": (1, 1, 1)}
LAST = {**SCALES, "2x3": (3, 2, 2), "3": (2, 2, 2), "4": (2, 2, 2)}
"""The factors of the third stage of a chain: not those of the second, where unequal ones are asked for."""
PADDINGS: dict[str, Any] = {"same": "same", "valid": "valid", "pairs": ((1, 0), (2, 3), (0, 1))}
EXTENTS = {"short": {1: (5,), 2: (4, 5), 3: (3, 4, 3)}, "long": {1: (9,), 2: (9, 3), 3: (7, 3, 3)}}
REAL = ("float32", "float64", "float16", "bfloat16")
WIDE = ("float32", "float64")
"""What holds every integer of a chain, or of its gradients. The sums of a single convolution are small enough for all of `REAL`."""
BLOCK = 32
"""The most positions in a block."""


def _dtypes(claims: Claims, among: tuple[str, ...] = REAL) -> tuple[str, ...]:
    found = [dtype for dtype in among if dtype in claims.dtypes]
    if not found:
        raise Unavailable(f"no dtype that is claimed is among {', '.join(among)}")
    return tuple(sorted(found, key=lambda dtype: dtype != bulk_dtype(claims)))


def _ndims(claims: Claims) -> tuple[int, ...]:
    found = tuple(ndim for ndim in (2, 1, 3) if ndim in claims.ndims)
    if not found:
        raise Unavailable("no number of spatial axes that is claimed is among 1, 2, 3")
    return found


def _scales(claims: Claims) -> tuple[str, ...]:
    unclaimed = {*(() if claims.anisotropic else ("2x3",)), *(() if claims.scale_one else ("1",))}
    return tuple(scale for scale in SCALES if scale not in unclaimed)


def circumstances(claims: Claims) -> dict[str, tuple[Any, ...]]:
    """Return the levels of every circumstance of a layer."""
    return {
        "order": tuple(claims.orders),
        "ndim": _ndims(claims),
        "batch": (2, 1, 8),
        "inputs": (3, 1, 2, 8, 16),
        "outputs": (2, 1, 3),
        "kernel": TAPS,
        "scale": _scales(claims),
        "padding": tuple(PADDINGS),
        "bias": (True, False),
        "separable": (False, True),
        "stages": ("one", "linear", "relu"),
        "blur": (False, True),
        "extents": tuple(EXTENTS),
        "dtype": _dtypes(claims),
    }


FEWER: dict[str, tuple[Any, ...]] = {
    "inputs": (3, 1, 8),
    "outputs": (2, 1),
    "kernel": ("3", "1", "2"),
    "scale": ("2", "2x3", "3"),
    "stages": ("one", "relu"),
    "extents": ("short",),
}
"""The levels of the full profile, where those of the exhaustive one are more: a compiler may take a second for each layer."""
START: dict[str, tuple[Any, ...]] = {"inputs": (3,), "outputs": (2,), "kernel": ("3",), "padding": ("same",), "stages": ("one",)}
"""Those of a layer as it comes, in the full profile."""
GRADIENTS: dict[str, tuple[Any, ...]] = {"inputs": (2, 1, 32), "kernel": ("2x3", "1", "5x6"), "scale": ("2", "2x3")}
"""Those of gradients, in the full profile."""


STAGES = ("relu", "three")
ALONE: dict[str, Levels] = {
    "SP-001": {"stages": ("one",), "blur": (False,), "separable": (True,), "padding": tuple(PADDINGS)},
    "SC-004": {"stages": STAGES, "blur": (False,), "separable": (False, True), "padding": tuple(PADDINGS)},
    "BL-004": {"stages": STAGES, "blur": (True,), "separable": (False, True)},
}
"""Kinds of layers that have rows of their own, since few of the others are of them: pairs of these circumstances and the number of axes.

In the others a chain is not blurred, is padded as "same" does, and is in what holds its integers; here it is not.
"""
SPREAD: Levels = {"inputs": (3,), "outputs": (2,), "kernel": ("3", "2"), "scale": ("2x3", "2"), "bias": (True,), "batch": (2, 1)}
"""What else is in these rows: each at least once."""


def narrowed(levels: Levels, profile: str, *fewer: Levels) -> dict[str, tuple[Any, ...]]:
    """Return the levels that a profile asks for: in full, of those of ``fewer`` that are claimed, or of all where none is."""
    return limited(levels, *(fewer if profile == "full" else ()))


def limited(levels: Levels, *fewer: Levels) -> dict[str, tuple[Any, ...]]:
    """Return the levels, of those of ``fewer`` that are claimed, or all where none is."""
    found = dict(levels)
    for some in fewer:
        for name in found.keys() & some.keys():
            found[name] = tuple(level for level in found[name] if level in some[name]) or found[name]
    return found


FIELDS = {
    **{name: name for name in ("ndim", "order", "dtype", "bias", "scale", "padding", "separable", "blur")},
    "inputs": "in_channels",
    "outputs": "out_channels",
    "kernel": "kernel_size",
    "stages": "factors",
}
"""Which field of a layer says what level a circumstance has."""


def config_of(row: Row) -> LayerConfig:
    """Return the layer of a row."""
    ndim, padding = row["ndim"], PADDINGS[row["padding"]]
    scale = SCALES[row["scale"]][:ndim]
    config = LayerConfig(
        ndim,
        row["inputs"],
        row["outputs"],
        KERNELS[row["kernel"]][:ndim],
        scale,
        row["order"],
        padding=padding if isinstance(padding, str) else padding[:ndim],
        bias=row["bias"],
        separable=row["separable"],
        blur=row["blur"],
        dtype=row["dtype"],
    )
    if row["stages"] == "one":
        return config
    factors = (scale, (2,) * ndim, *([LAST[row["scale"]][:ndim]] if row["stages"] == "three" else []))
    relu, whole = row["stages"] != "linear", tuple(map(prod, zip(*factors, strict=True)))
    return replace(config, scale=whole, factors=factors, width=3 if relu else None, activation="relu" if relu else None)


def clause_of(row: Row, real: bool = False) -> str:
    """Return the clause that a layer of this kind must meet, on integers or on real numbers."""
    chain = row["stages"] != "one"
    kinds = (
        ("BL-004", "BL-004", chain and row["blur"]),
        ("BL-001", "BL-003", row["blur"]),
        ("SC-004", "SC-004", chain),
        ("SP-001", "SP-002", row["separable"]),
    )
    return next(((exact, bounded)[real] for exact, bounded, holds in kinds if holds), ("SC-001", "SC-003")[real])


def groups(levels: Levels, claims: Claims) -> Iterator[Levels]:
    """Yield the levels, once for each layer that is claimed by itself, those that it fixes alone."""
    for layer in ({},) if claims.layers is None else claims.layers:
        for ndim in levels["ndim"] if layer else (None,):
            simple = {name: values[0] for name, values in levels.items()} | ({"ndim": ndim} if layer else {})
            found = {**levels, **({"ndim": (ndim,)} if layer else {})}
            for name, field in FIELDS.items():
                if field in layer:
                    configs = {level: config_of({**simple, name: level}) for level in found[name]}
                    found[name] = tuple(level for level, config in configs.items() if getattr(config, field) == layer[field])
            if all(found.values()):
                yield found


ONES: tuple[dict[str, Any], ...] = ({"bias": False}, {"kernel": "1"}, {"outputs": 1})
"""What hides mistakes, in rows of its own: no bias that is added twice, one tap that is flipped, one channel in another place."""


Possible = Callable[[dict[str, Any], Levels], Iterator[dict[str, Any]]]
"""Yields a row that can be or, where two levels exclude each other, rows with the one and with the other."""


@lru_cache(maxsize=64)
def _rows(levels: tuple[tuple[str, tuple[Any, ...]], ...], strength: int, possible: Possible) -> list[dict[str, Any]]:
    """Return rows without what hides mistakes, and rows with one or more things that do, with fewer at a time of the others."""
    apart = [one for one in ONES if all(set(dict(levels).get(name, ())) > {level} for name, level in one.items())]
    seen = {name: tuple(level for level in values if all((name, level) not in one.items() for one in apart)) for name, values in levels}
    found = []
    for several in range(min(strength, len(apart)) + 1):
        for ones in combinations(apart, several):
            fixed = {name: (level,) for one in ones for name, level in one.items()}
            found += _covered({**seen, **fixed}, strength - several, possible)
    return found


def _covered(levels: Levels, strength: int, possible: Possible) -> list[dict[str, Any]]:
    """Return a covering array of what can be: where two levels cannot come together, each comes with the others. Of strength 0: a row."""
    if not strength:
        return [{name: values[0] for name, values in levels.items()}]
    covered: set[Any] = set()
    found = []
    for whole in covering_array(levels, strength):
        for row in possible(whole, levels):
            new = set(combinations(row.items(), strength)) - covered
            if new:
                found.append(row)
                covered |= new
    return found


def _possible(row: dict[str, Any], levels: Levels) -> Iterator[dict[str, Any]]:
    """Yield the row, or the rows with one of two circumstances that exclude each other: in turn the one and the other is the simplest."""
    ndim, chain = row["ndim"], row.get("stages", "one") != "one"
    if prod(SCALES.get(row.get("scale", ""), ())[:ndim]) > BLOCK:
        yield from _possible({**row, "scale": levels["scale"][0]}, levels)
        if levels["ndim"][0] < ndim:
            yield from _possible({**row, "ndim": levels["ndim"][0]}, levels)
    elif "cotangent" in row and row.get("stages") == "relu" and not row["bias"]:
        yield from _possible({**row, "stages": levels["stages"][0]}, levels)
    elif "cotangent" not in row and chain and row["padding"] != levels["padding"][0]:
        yield from _possible({**row, "padding": levels["padding"][0]}, levels)
        yield from _possible({**row, "stages": levels["stages"][0]}, levels)
    elif "cotangent" not in row and chain and row["blur"]:
        yield from _possible({**row, "blur": False}, levels)
        yield from _possible({**row, "stages": levels["stages"][0]}, levels)
    elif chain and row["dtype"] not in WIDE:
        wide = [dtype for dtype in levels["dtype"] if dtype in WIDE]
        if wide:
            yield {**row, "dtype": wide[0]}
        yield {**row, "stages": levels["stages"][0]}
    elif row.get("inputs") == 32 and row["kernel"] == "5x6":
        yield from _possible({**row, "inputs": levels["inputs"][0]}, levels)
        yield from _possible({**row, "kernel": levels["kernel"][0]}, levels)
    else:
        yield row


def some_rows(levels: Levels, strength: int, possible: Possible = _possible) -> list[dict[str, Any]]:
    """Return the rows of functions, whose claims are independent of each other."""
    return _rows(tuple(levels.items()), strength, possible)


def rows(levels: Levels, claims: Claims, strength: int) -> list[dict[str, Any]]:
    """Return the rows of every group of layers that is claimed."""
    asked = [row for group in groups(levels, claims) for row in some_rows(group, strength)]
    return [row for row in asked if needs_layer(config_of(row)).missing(claims) is None]


def alone(levels: Levels, claims: Claims, own: Levels, strength: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of one kind: every pair of what makes it and the number of axes, and every level of what else there is."""
    paired = ("ndim", *own)
    for group in groups(limited(levels, {**SPREAD, **own, "extents": ("short",)}), claims):
        found = covering_array({name: group[name] for name in paired}, strength)
        longest = max(map(len, group.values()))
        for number in range(max(len(found), longest)):
            row = found[number % len(found)]
            yield {name: row[name] if name in paired else values[number % len(values)] for name, values in group.items()}


# --- what a layer must give ---


def spatial_of(row: Row) -> tuple[int, ...]:
    """Return the extents of the input: for a chain enough that all its stages have some, and few where they become many."""
    extents = EXTENTS[row["extents"]][row["ndim"]]
    if row["stages"] == "one":
        return extents
    if row["padding"] == "valid":
        return tuple(n + (4 if row["scale"] == "1" else 1) for n in extents)
    return tuple(n - 1 for n in extents) if row["stages"] == "three" and row["ndim"] == 3 else extents


def follows_formula(adapter: AdapterProtocol, device: str, row: Row, case: str) -> None:
    """Demand the formula on integers, exactly but for a blur and a chain in half precision, and of one stage on real numbers too."""
    config = config_of(row)
    shape = (row["batch"], *spatial_of(row), config.in_channels)
    for real in (False, True) if config.factors is None else (False,):
        clause = clause_of(row, real)
        parameters = parameters_for(config, integers=not real)
        x = normal(shape, config.dtype, seed=0) if real else small_integers(shape, config.dtype)
        bounded = real or config.blur or (config.factors is not None and config.dtype not in WIDE)
        y, bound = exact.layer(exact.wide(x, not real), config, parameters, bounded=bounded)
        bound = np.zeros(y.shape) if bound is None else bound
        ratio, difference = compare.within(run_layer(adapter, device, config, parameters, x), y, bound)
        if difference is not None:
            raise Mismatch(difference.message(clause, case), ratio=ratio, clause=clause)


def starts_as_icnr(adapter: AdapterProtocol, device: str, row: Row, case: str) -> None:
    """Demand of a layer as it comes the shapes of SC-002, ICNR in every stage, and of one stage the law."""
    config = config_of(row)
    _, fresh = constructed_layer(adapter, device, config)
    held = [{name: values.shape for name, values in stage.items()} for stage in fresh]
    wanted = [{name: values.shape for name, values in stage.items()} for stage in parameters_for(config, integers=True)]
    if held != wanted:
        raise Mismatch(f"SC-002 ({case}): the parameters must have the shapes {wanted}; got {held}", clause="SC-002")
    clause = "IC-004" if config.factors is None else "IC-010"
    for number, (stage, (_, _, scale)) in enumerate(zip(fresh, stages_of(config), strict=True)):
        found = oracle.icnr_residual(stage["kernel"], scale, order=config.order)
        if found != 0:
            told = f"the kernel of stage {number} must be ICNR at construction; its residual is {found}"
            raise Mismatch(f"{clause} ({case}): {told}", clause=clause)
    _under("IC-002", constructed_bias, adapter, device, config=config, case=case)
    if config.factors is None and not config.blur:
        _under("IC-004", constructed, adapter, device, config=config, case=case, spatial=EXTENTS[row["extents"]][config.ndim])


def _under(broken: str, check: Callable[..., Any], *given: Any, **options: Any) -> None:
    """Call a check whose failures are of one clause."""
    try:
        check(*given, **options)
    except Mismatch as mismatch:
        mismatch.clause = broken
        raise


def layers(adapter: AdapterProtocol, device: str, *, check: Callable[..., None], only: str | None, profile: str, case: str) -> None:
    """Put every row, or those of one kind of layer, to a check."""
    claims = claims_of(adapter)
    levels = narrowed(circumstances(claims), profile, FEWER)
    if check is starts_as_icnr:
        levels = narrowed(levels | {name: levels[name][:1] for name in ("batch", "extents")}, profile, START)
        if profile == "full":
            levels["dtype"] = levels["dtype"][:1]
    asked = [row for row in rows(levels, claims, STRENGTH[profile]) if only in (None, clause_of(row))]
    if only in ALONE:
        asked += alone(circumstances(claims) | {"stages": ("one", *STAGES)}, claims, ALONE[only], STRENGTH[profile])
    if not asked:
        raise Unavailable("no layer that is claimed is among those that are combined")

    def holds(row: Row) -> None:
        if needs_layer(config_of(row)).missing(claims) is None:
            check(adapter, device, row, case)

    judged(levels, asked, holds)


# --- gradients ---


def gradients(adapter: AdapterProtocol, device: str, *, profile: str, case: str) -> None:
    """Demand the gradients of layers: exact on integers, and within the bounds of their sums otherwise."""
    claims = claims_of(adapter)
    levels = circumstances(claims) | {
        "batch": (2, 1, 3, 4),
        "inputs": (2, 1, 32, 3),
        "outputs": (2, 1),
        "kernel": ("2x3", "1", "5x6", "2"),
        "scale": tuple(scale for scale in _scales(claims) if scale != "4"),
        "stages": ("one", "linear", "relu"),
        "extents": ("short",),
        "dtype": _dtypes(claims, WIDE),
        "cotangent": _cotangents(claims),
    }
    levels = narrowed(levels, profile, GRADIENTS)
    asked = rows(levels, claims, STRENGTH[profile])
    if not asked:
        raise Unavailable("no layer that is claimed is among those that are combined")

    def holds(row: Row) -> None:
        config = config_of(row)
        if needs_layer(config).missing(claims) is None:
            plain = config.factors is None and not config.blur and not config.separable
            for integers in (True, False) if plain else (not config.blur,):
                layer_gradients(adapter, device, row, config, integers, case)

    judged(levels, asked, holds)


def _cotangents(claims: Claims) -> tuple[str, ...]:
    """Return what memory a cotangent may have: as it comes, with gaps, or one value that stands for all, as the gradient of a sum has."""
    return ("dense", "with gaps", "one value") if claims.strided else ("dense",)


def layer_gradients(adapter: AdapterProtocol, device: str, row: Row, config: LayerConfig, integers: bool, case: str) -> None:
    """Demand the gradients for two cotangents in turn; those for the second must show nothing of the first."""
    wide, parameters = gradient_data(row, config, integers)
    x = wide.astype(dtype_of(config.dtype))
    passed = exact.forward(wide, config, parameters)
    sizes = [{name: np.abs(values) for name, values in held.items()} for held in parameters]
    upper = exact.forward(np.abs(wide), config, sizes, [at.open for at in passed])
    layer, native, high = adapter.layer(config, device, parameters), adapter.to_native(x.copy(), device), passed[-1].y.shape
    for number in (6, 7):
        values = small_integers(high, config.dtype, start=number) if integers else normal(high, config.dtype, seed=number)
        cotangent, weights = native_cotangent(adapter, device, row["cotangent"], values)
        d_x, d_parameters = layer.gradients(native, weights)
        given = exact.wide(cotangent, integers)
        asked = exact.backward(passed, given, config, parameters)
        absolute = exact.backward(upper, np.abs(given), config, sizes)
        for stage, (held, wanted, most) in enumerate(zip(d_parameters, asked, absolute, strict=True)):
            for name, gradient in wanted.items() if not stage else list(wanted.items())[1:]:
                got = adapter.to_numpy(d_x) if name == "x" else np.asarray(held[name])
                bound = compare.sum_bound(gradient.values, most[name].values, gradient.terms, config.dtype)
                ratio, difference = compare.within(got, gradient.values, np.zeros_like(bound) if integers else bound)
                if difference is not None:
                    raise Mismatch(difference.message("GR-003", case, _place(name, stage, config)), ratio=ratio)


def gradient_data(row: Row, config: LayerConfig, integers: bool) -> tuple[np.ndarray, Parameters]:
    """Return the input, in the dtype of the exact sums, and the parameters."""
    room = {"valid": 9, "pairs": 2 if row["kernel"] == "5x6" else 0}.get(row["padding"], 0)
    few = (2, 3, 1) if row["inputs"] == 32 else (3, 4, 2)
    spatial = tuple(n + min(room, k - 1) for n, k in zip(few[: row["ndim"]], KERNELS[row["kernel"]], strict=False))
    shape = (row["batch"], *spatial, config.in_channels)
    x = exact.wide(small_integers(shape, config.dtype) if integers else normal(shape, config.dtype, seed=5), integers)
    return x, clear_of_zero(x, config, parameters_for(config, integers))


def _place(name: str, stage: int, config: LayerConfig) -> str:
    """Return what a gradient is of."""
    of = f" of stage {stage}" if config.factors is not None and name != "x" else ""
    return f"the gradient for the {'input' if name == 'x' else name}{of}, d_{name}"


def clear_of_zero(x: np.ndarray, config: LayerConfig, parameters: Parameters) -> Parameters:
    """Return the parameters, the biases such that no activation is given what is nearly 0, where its derivative is anyone's."""
    found = [dict(held) for held in parameters]
    for number in range(len(found) - 1 if config.activation and config.bias else 0):
        before = exact.forward(x, config, found)[number].y
        more = max(np.arange(64) / 64, key=lambda more: float(np.abs(before + more).min()))
        found[number]["bias"] = found[number]["bias"] + found[number]["bias"].dtype.type(more)
    return found


def shift_gradients(adapter: AdapterProtocol, device: str, *, operation: str, profile: str, clause: str, case: str) -> None:
    """Demand the gradient of the shift, or of its inverse."""
    claims = claims_of(adapter)
    batches = [batch for axes in sorted(claims.batch_ndims, key=lambda n: (n != 1, n)) for batch in BATCHES[axes][:1]]
    levels: dict[str, tuple[Any, ...]] = {
        "order": tuple(claims.orders),
        "data_format": tuple(claims.data_formats),
        "ndim": _ndims(claims),
        "batch": (*batches, *([(1,)] if 1 in claims.batch_ndims else [])),
        "channels": (2, 1, 3),
        "scale": tuple(scale for scale in _scales(claims) if scale != "4"),
        "dtype": _dtypes(claims, WIDE),
        "cotangent": _cotangents(claims),
    }
    levels = narrowed(levels, profile, {**GRADIENTS, "channels": (2, 1), "batch": ((), (2,), (2, 3))})

    def holds(row: Row) -> None:
        scale, spatial = SCALES[row["scale"]][: row["ndim"]], {1: (4,), 2: (2, 3), 3: (1, 3, 2)}[row["ndim"]]
        call = Call(operation, scale, row["order"], row["data_format"], row["batch"], spatial, row["channels"], row["dtype"])
        pulled_back(adapter, device, call=call, clause=clause, case=case, memory=row["cotangent"])

    judged(levels, some_rows(levels, STRENGTH[profile]), holds)


def one_after_another(adapter: AdapterProtocol, device: str, *, operation: str, clause: str, case: str) -> None:
    """Demand the gradient of a shift on a shift by other factors, twice at the same tensor: each has its own factors, and none adds up."""
    claims = claims_of(adapter)
    levels = {"order": tuple(claims.orders), "data_format": tuple(claims.data_formats), "ndim": _ndims(claims)}
    dtype, others = _dtypes(claims, WIDE)[0], {order: claims.orders[number - 1] for number, order in enumerate(claims.orders)}

    def holds(row: Row) -> None:
        names = ("2x3", "2") if claims.anisotropic and row["ndim"] > 1 else ("3", "2")
        (first, second), spatial = (SCALES[name][: row["ndim"]] for name in names), (1, 2, 1)[: row["ndim"]]
        whole = tuple(a * b for a, b in zip(first, second, strict=True))
        low = Call(operation, whole, row["order"], row["data_format"], (2,), spatial, 2, dtype)
        other = others[row["order"]]

        def shifts(x: Any) -> Any:
            function = getattr(adapter, operation)
            inner = function(x, first, order=row["order"], data_format=row["data_format"])
            return function(inner, second, order=other, data_format=row["data_format"])

        back = getattr(oracle, "phase_shift" if low.inverse else "inverse_phase_shift")
        (x,) = labelled(low.shape, dtype)
        native = adapter.to_native(x.array.copy(), device)
        for number, part in enumerate((1, 2)):
            cotangent = labelled(low.output_shape, dtype)[0].array * np.asarray(part, dtype)
            wanted = back(cotangent, second, order=other, data_format=row["data_format"])
            wanted = back(wanted, first, order=row["order"], data_format=row["data_format"])
            got = adapter.to_numpy(adapter.vjp(shifts, native, adapter.to_native(cotangent, device)))
            difference = compare.bitwise(got, wanted)
            if difference is not None:
                asked = f"the gradient of {operation} by {second} of {operation} by {first}, {'again' if number else 'd_x'}"
                raise Mismatch(difference.message(clause, case, asked))

    judged(levels, covering_array(levels, 1), holds)


# --- the initializer, and the convolutions ---


def initializers(adapter: AdapterProtocol, device: str, *, operation: str, profile: str, case: str) -> None:
    """Demand of an initializer, or of that of the bias, that it replicates its base, bit for bit, whose shape it asks for."""
    claims = claims_of(adapter)
    wide = tuple(dtype for dtype in WIDE if dtype in claims.dtypes) or ("float32",)
    levels: dict[str, tuple[Any, ...]] = {
        "order": tuple(claims.orders),
        "ndim": _ndims(claims),
        "outputs": (2, 1, 3),
        "scale": (*_scales(claims), "5", "8"),
        "dtype": wide,
    }
    kernel, scales = operation == "icnr", {**SCALES, "5": (5, 5, 5), "8": (8, 8, 8)}
    if kernel:
        levels |= {"inputs": (3, 1, 2, 8, 16), "kernel": TAPS, "outputs": (2, 1, 3, 8)}
        levels = narrowed(levels, profile, {**FEWER, "kernel": ("3", "1"), "outputs": (2, 1, 3), "scale": ("2", "2x3", "3", "5")})

    def holds(row: Row) -> None:
        common: dict[str, Any] = {"scale": scales[row["scale"]][: row["ndim"]], "order": row["order"], "case": case}
        if not kernel:
            replicated_bias(adapter, device, dtype=row["dtype"], outputs=row["outputs"], **common)
            return
        common["base"] = (*KERNELS[row["kernel"]][: row["ndim"]], row["inputs"], row["outputs"])
        replicated_kernel(adapter, device, dtype=row["dtype"], **common)
        if row["dtype"] == "float32":
            keeps_kernel_bits(adapter, device, **common)
        _under("IC-003", asked_shape, adapter, device, **common)

    asked = [row for row in some_rows(levels, STRENGTH[profile]) if prod(scales[row["scale"]][: row["ndim"]]) <= 64]
    judged(levels, asked, holds)


def convolutions(adapter: AdapterProtocol, device: str, *, profile: str, case: str) -> None:
    """Demand the sum of a convolution: exactly on integers, and within the bound on real numbers."""
    several = circumstances(claims_of(adapter))
    levels = {name: several[name] for name in ("ndim", "batch", "inputs", "outputs", "kernel", "padding", "bias", "extents", "dtype")}

    def holds(row: Row) -> None:
        ndim, padding = row["ndim"], PADDINGS[row["padding"]]
        kernel = KERNELS[row["kernel"]][:ndim]
        options: dict[str, Any] = {
            "shape": (row["batch"], *EXTENTS[row["extents"]][ndim], row["inputs"]),
            "kernel": (*kernel, row["inputs"], row["outputs"]),
            "padding": padding if isinstance(padding, str) else padding[:ndim],
            "bias": row["bias"],
            "dtype": row["dtype"],
        }
        placed = row["padding"] != "same" or any(k % 2 == 0 for k in kernel)
        for data, clause in (("integers", "CV-002" if placed else "CV-001"), ("normal", "CV-003")):
            _under(clause, convolution, adapter, device, data=data, case=case, clause=clause, **options)

    judged(levels, some_rows(levels, STRENGTH[profile]), holds)


STRIDES = {"2": (2, 2, 2), "1": (1, 1, 1), "3": (3, 3, 3), "2x3": (2, 3, 1), "4": (4, 4, 4)}


def transposed_convolutions(adapter: AdapterProtocol, device: str, *, profile: str, case: str) -> None:
    """Demand the scattered sum of a transposed convolution likewise."""
    several = circumstances(claims_of(adapter))
    levels = {name: several[name] for name in ("ndim", "batch", "inputs", "outputs", "kernel", "bias", "dtype")}
    levels |= {"stride": tuple(STRIDES), "padding": (0, 1, 2), "output_padding": ("none", "one less than the stride")}

    def holds(row: Row) -> None:
        kernel, stride = KERNELS[row["kernel"]][: row["ndim"]], STRIDES[row["stride"]][: row["ndim"]]
        options: dict[str, Any] = {
            "kernel": kernel,
            "stride": stride,
            "padding": tuple(min(row["padding"], k - 1) for k in kernel),
            "output_padding": tuple(0 if row["output_padding"] == "none" else s - 1 for s in stride),
            **{name: row[name] for name in ("bias", "dtype", "batch", "inputs", "outputs")},
        }
        for data, clause in (("integers", "CV-004"), ("normal", "CV-003")):
            _under(clause, transposed, adapter, device, data=data, case=case, clause=clause, **options)

    judged(levels, some_rows(levels, STRENGTH[profile]), holds)


def upsamplings(adapter: AdapterProtocol, device: str, *, profile: str, case: str) -> None:
    """Demand that nearest-neighbour upsampling repeats every value, bit for bit."""
    claims = claims_of(adapter)
    levels: dict[str, tuple[Any, ...]] = {
        "ndim": _ndims(claims),
        "batch": ((2,), (1,), (8,)),
        "channels": (3, 1, 2, 8),
        "scale": (*_scales(claims), "7"),
        "dtype": tuple(sorted(claims.dtypes, key=lambda dtype: dtype != bulk_dtype(claims))),
        "extents": tuple(EXTENTS),
    }
    few = {"extents": ("short",), "batch": ((2,), (1,)), "channels": (3, 1), "scale": ("2", "2x3", "4", "7")}
    levels = narrowed(levels, profile, few)

    def holds(row: Row) -> None:
        ndim = row["ndim"]
        scale = {**SCALES, "7": (7, 2, 2) if claims.anisotropic else (7, 7, 7)}[row["scale"]][:ndim]
        shape = (*row["batch"], *EXTENTS[row["extents"]][ndim], row["channels"])
        nearest(adapter, device, shape=shape, scale=scale, dtype=row["dtype"], case=case)

    judged(levels, some_rows(levels, STRENGTH[profile]), holds)


# --- the cases ---


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases: each kind of layer, how layers start, gradients, initializers and convolutions."""
    plain = ("SC-001", "SC-003")  # what is left of a failing layer where its kind is not what makes it fail
    kinds = {
        "SC-001": plain,
        "SC-004": ("SC-004", *plain),
        "SP-001": ("SP-001", "SP-002", *plain),
        "BL-001": ("BL-001", "BL-003", *plain),
        "BL-004": ("BL-004", "SC-004", "BL-001", "BL-003", *plain),
    }
    for clause, clauses in kinds.items():
        case = f"{clause}/combined-layers"
        check = partial(layers, check=follows_formula, only=clause, profile=profile, case=case)
        yield Case(case, clauses, "layer", Needs(("layer",)), check)
    case = "IC-004/combined-layers"
    check = partial(layers, check=starts_as_icnr, only=None, profile=profile, case=case)
    yield Case(case, ("IC-004", "IC-002", "IC-010", "SC-002"), "init", Needs(("layer",), fresh=True), check)
    for operation in OPERATIONS:
        clause = "GR-002" if operation == "inverse_phase_shift" else "GR-001"
        case = f"{clause}/combined"
        check = partial(shift_gradients, operation=operation, profile=profile, clause=clause, case=case)
        yield Case(case, (clause,), "gradient", Needs((operation, "vjp")), check)
        case = f"{clause}/combined-one-after-another"
        check = partial(one_after_another, operation=operation, clause=clause, case=case)
        yield Case(case, (clause,), "gradient", Needs((operation, "vjp")), check)
    rows_of: list[tuple[tuple[str, ...], str, tuple[str, ...], Callable[..., None]]] = [
        (("GR-003",), "gradient", ("layer", "vjp"), gradients),
        (("CV-001", "CV-002", "CV-003"), "layer", ("conv",), convolutions),
        (("CV-004", "CV-003"), "layer", ("conv_transpose",), transposed_convolutions),
        (("CV-005",), "layer", ("nearest_upsample",), upsamplings),
        (("IC-001", "IC-003"), "init", ("icnr",), partial(initializers, operation="icnr")),
        (("IC-002",), "init", ("icnr_bias",), partial(initializers, operation="icnr_bias")),
    ]
    for clauses, area, operations, demand in rows_of:
        case = f"{clauses[0]}/combined"
        yield Case(case, clauses, area, Needs(operations), partial(demand, profile=profile, case=case))
