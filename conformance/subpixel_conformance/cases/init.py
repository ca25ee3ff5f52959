"""IC: the initialization, its law, weight normalization and chains."""

from collections.abc import Iterator
from functools import partial
from itertools import product
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .. import compare, oracle
from ..adapter import ORDERS, AdapterProtocol, LayerConfig
from ..case import Case, Evidence, Mismatch, Needs
from .arrays import normal, small_integers, special_bits
from .layer import SPATIAL, kernel_of, needs_layer, parameters_for, run_layer, stage_bound, stages_of

Parameters = list[dict[str, np.ndarray]]


# --- the functions ---


def _initialized(
    adapter: AdapterProtocol, base: tuple[int, ...], scale: tuple[int, ...], order: str, dtype: str = "float32"
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the kernel that the implementation makes of labelled values, and what the base initializer was asked for.

    Labels of float64 are none of float32.
    """
    between = 2.0**-40 if dtype == "float64" else 0.0
    asked: list[np.ndarray] = []

    def labels(shape: tuple[int, ...]) -> np.ndarray:
        first = len(asked) * prod(shape)  # as of an initializer, which gives something else every time
        asked.append((np.arange(first, first + prod(shape), dtype=dtype) * (-1 - between) - between).reshape(shape))
        return asked[-1].copy()

    wanted = {} if dtype == "float32" else {"dtype": dtype}
    kernel = adapter.icnr(labels, (*base[:-1], base[-1] * prod(scale)), scale, order=order, **wanted)
    return np.asarray(kernel), asked


def replicated_kernel(
    adapter: AdapterProtocol, device: str, *, base: tuple[int, ...], scale: tuple[int, ...], order: str, case: str, dtype: str = "float32"
) -> None:
    """Demand that every channel of a block holds the base, label for label where the initializer was asked for its shape."""
    kernel, asked = _initialized(adapter, base, scale, order, dtype)
    difference = compare.kind(kernel, (*base[:-1], base[-1] * prod(scale)))
    if difference is None and len(asked) == 1 and asked[0].shape == base:
        difference = compare.bitwise(kernel, oracle.icnr(asked[0], scale, order=order))
    elif difference is None and oracle.icnr_residual(kernel, scale, order=order) != 0:
        first = kernel[..., [oracle.channel_index(order, c, (0,) * len(scale), scale, base[-1]) for c in range(base[-1])]]
        difference = compare.bitwise(kernel, oracle.icnr(first, scale, order=order))
    if difference is not None:
        found = [
            other
            for other in ORDERS
            if kernel.shape[-1] == base[-1] * prod(scale) and oracle.icnr_residual(kernel, scale, order=other) == 0
        ]
        raise Mismatch(difference.message("IC-001", case, "kernel"), order_found=found[0] if found else None)


def keeps_kernel_bits(
    adapter: AdapterProtocol, device: str, *, base: tuple[int, ...], scale: tuple[int, ...], order: str, case: str
) -> None:
    """Demand that the values of the base are copied bit for bit, -0 and NaN payloads too."""
    values = special_bits("float32", prod(base)).reshape(base)

    def special(shape: tuple[int, ...]) -> np.ndarray:
        return np.resize(values, shape)

    kernel = np.asarray(adapter.icnr(special, (*base[:-1], base[-1] * prod(scale)), scale, order=order))
    difference = compare.bitwise(kernel, oracle.icnr(values, scale, order=order))
    if difference is not None:
        raise Mismatch(difference.message("IC-001", case, "kernel"))


def replicated_bias(
    adapter: AdapterProtocol, device: str, *, scale: tuple[int, ...], order: str, case: str, dtype: str = "float32", outputs: int = 10
) -> None:
    """Demand that every channel of a block has the bias of its output channel, in its dtype."""
    base = np.array([3.1, -0.0, 7.5, np.nan, *range(-1, -7, -1)], dtype=dtype)[:outputs]
    difference = compare.bitwise(np.asarray(adapter.icnr_bias(base.copy(), scale, order=order)), oracle.icnr_bias(base, scale, order=order))
    if difference is not None:
        raise Mismatch(difference.message("IC-002", case, "bias"))


def asked_shape(adapter: AdapterProtocol, device: str, *, base: tuple[int, ...], scale: tuple[int, ...], order: str, case: str) -> None:
    """Demand that the base initializer is asked for the base shape, so that it sees its fans."""
    _, asked = _initialized(adapter, base, scale, order)
    shapes = [values.shape for values in asked]
    if not shapes or any(shape != base for shape in shapes):
        raise Mismatch(f"IC-003 ({case}): the base initializer must be asked for the shape {base}; got {shapes}")


def law(adapter: AdapterProtocol, device: str, *, base: tuple[int, ...], scale: tuple[int, ...], order: str, dtype: str, case: str) -> None:
    """On integers: shift(conv(x, ICNR kernel, ICNR bias)) equals nearest(conv(x, base, base bias)), exactly."""
    weights, offset = small_integers(base, "float32", start=900, modulus=3), small_integers(base[-1:], "float32", start=41, modulus=7)
    full = (*base[:-1], base[-1] * prod(scale))
    kernel = np.asarray(adapter.icnr(lambda shape: np.resize(weights, shape), full, scale, order=order))
    bias = np.asarray(adapter.icnr_bias(offset, scale, order=order))
    x = small_integers((2, *SPATIAL[len(scale)], base[-2]), dtype)
    low = adapter.conv(*(adapter.to_native(value.astype(x.dtype), device) for value in (x, kernel, bias)))
    y = adapter.to_numpy(adapter.phase_shift(low, scale, order=order, data_format="channels_last"))
    exact = oracle.conv(x, weights, offset)
    difference = compare.exact(y, oracle.nearest_upsample(exact, scale))
    if difference is not None:
        raise Mismatch(difference.message("IC-004", case))


def residual(adapter: AdapterProtocol, device: str, *, scale: tuple[int, ...], order: str, case: str) -> None:
    """Demand that the residual is 0.0 exactly for ICNR, else the largest difference, and never 0 for a NaN."""
    base, offset = small_integers((3, 2, 4, 2), "float32", modulus=97), np.array([5.0, -3.0], dtype=np.float32)
    kernel, bias = oracle.icnr(base, scale, order=order), oracle.icnr_bias(offset, scale, order=order)
    wrong, wrong_bias, nan, signed = kernel.copy(), bias.copy(), kernel.copy(), np.zeros_like(kernel)
    wrong[1, 1, 2, -1] += 0.5
    wrong_bias[-1] += 0.25
    nan[0, 1, 3, 2] = np.nan
    signed[..., 1] = -0.0
    rows: list[tuple[str, np.ndarray, np.ndarray | None, float]] = [
        ("an ICNR kernel", kernel, None, 0.0),
        ("an ICNR kernel and bias", kernel, bias, 0.0),
        ("zeros of both signs", signed, None, 0.0),
        ("a kernel that is off by 0.5", wrong, None, 0.5),
        ("a bias that is off by 0.25", kernel, wrong_bias, 0.25),
        ("a kernel off by 0.5 and a bias off by 0.25", wrong, wrong_bias, 0.5),
    ]
    for other in ORDERS:
        moved = oracle.icnr(base, scale, order=other)
        rows.append((f"a kernel for {other}", moved, None, oracle.icnr_residual(moved, scale, order=order)))
    for what, values, term, expected in rows[2:] + rows[:2]:
        actual = float(adapter.icnr_residual(values, scale, order=order, bias=term))
        if actual != expected:
            raise Mismatch(f"IC-005 ({case}): the residual of {what} must be {expected}; got {actual}")
    constant_nan = np.full_like(kernel, np.nan)
    for what, values, term in [
        ("one NaN", nan, None),
        ("nothing but NaN", constant_nan, None),
        ("a NaN bias", kernel, np.full_like(bias, np.nan)),
    ]:
        if float(adapter.icnr_residual(values, scale, order=order, bias=term)) == 0:
            raise Mismatch(f"IC-005 ({case}): the residual of {what} must not be 0; got 0.0")


def weight_norm(adapter: AdapterProtocol, device: str, *, scale: tuple[int, ...], order: str, case: str) -> None:
    """Both factors are replicated, and so the product is: exactly, since the norms (5 and 13) are integers."""
    base = np.zeros((3, 2, 4, 2), dtype=np.float64)
    base[0, 1, 2, 0], base[2, 0, 3, 0], base[1, 1, 0, 1], base[2, 1, 3, 1] = 3, -4, 12, 5
    g, v = (np.asarray(value) for value in adapter.icnr_weight_norm(base.copy(), scale, order=order))
    rows = [("v", v, oracle.icnr(base, scale, order=order)), ("g", g, oracle.icnr_bias(np.array([5.0, 13.0]), scale, order=order))]
    for what, actual, expected in rows:
        difference = compare.exact(actual, expected)
        if difference is not None:
            raise Mismatch(difference.message("IC-006", case, what))
    rough = normal((3, 2, 4, 2), "float64", seed=8)
    g, v = (np.asarray(value, dtype=np.longdouble) for value in adapter.icnr_weight_norm(rough.copy(), scale, order=order))
    exact = oracle.icnr(rough, scale, order=order)
    product_ = g * v / np.sqrt((v**2).sum(axis=(0, 1, 2)))
    bound = (rough[..., 0].size + 4) * compare.UNIT_ROUNDOFF["float64"] * np.abs(exact)
    _, difference = compare.within(product_, exact, bound)
    if difference is not None:
        raise Mismatch(difference.message("IC-006", case, "g·v/‖v‖"))


# --- layers as they are constructed ---


def _residuals(stage: dict[str, np.ndarray], scale: tuple[int, ...], order: str) -> tuple[float, float]:
    """Return the residuals of kernel and bias."""
    bias = stage.get("bias")
    return (
        oracle.icnr_residual(stage["kernel"], scale, order=order),
        0.0 if bias is None else oracle.icnr_residual(bias, scale, order=order),
    )


_fresh: WeakKeyDictionary[Any, dict[Any, tuple[Any, Parameters]]] = WeakKeyDictionary()


def constructed_layer(adapter: AdapterProtocol, device: str, config: LayerConfig) -> tuple[Any, Parameters]:
    """Return a layer as it comes, and what it held then, made once for every implementation: two clauses are judged by it."""
    known = _fresh.setdefault(adapter, {})
    if (device, config) not in known:
        layer = adapter.layer(config, device)
        known[device, config] = layer, [{name: np.array(values) for name, values in held.items()} for held in layer.parameters()]
    return known[device, config]


def _varied(kernel: np.ndarray, scale: tuple[int, ...]) -> bool:
    """Whether a replicated kernel has more than one value, as a base of more than one has from any initializer."""
    return kernel.size == prod(scale) or np.unique(kernel).size > 1


def constructed(
    adapter: AdapterProtocol, device: str, *, config: LayerConfig, case: str, spatial: tuple[int, ...] | None = None
) -> Evidence:
    """Demand that a layer as it comes is nearest-neighbour upsampling of the convolution with its base, bias included."""
    layer, (stage,) = constructed_layer(adapter, device, config)
    first, _ = _residuals(stage, config.scale, config.order)
    if first != 0:
        raise Mismatch(f"IC-004 ({case}): the kernel must be ICNR at construction; its residual is {first}")
    if not _varied(stage["kernel"], config.scale):
        raise Mismatch(f"IC-004 ({case}): the kernel must come from an initializer; every value is {stage['kernel'].flat[0]}")
    x = normal((2, *(spatial or SPATIAL[config.ndim]), config.in_channels), config.dtype, seed=9)
    y = adapter.to_numpy(layer(adapter.to_native(x, device)))
    chosen = [
        oracle.channel_index(config.order, c, (0,) * config.ndim, config.scale, config.out_channels) for c in range(config.out_channels)
    ]
    base = {name: values if name == "depthwise" else values[..., chosen] for name, values in stage.items()}
    exact = oracle.nearest_upsample(oracle.stage(x, base, (1,) * config.ndim, order="DCR", padding=config.padding), config.scale)
    bound = oracle.nearest_upsample(stage_bound(x, base, (1,) * config.ndim, config), config.scale)
    ratio, difference = compare.within(y, exact, bound)
    if difference is not None:
        raise Mismatch(difference.message("IC-004", case), ratio=ratio)
    return Evidence(ratio)


def constructed_bias(adapter: AdapterProtocol, device: str, *, config: LayerConfig, case: str) -> None:
    """Demand that the bias of a layer as it comes is replicated."""
    for number, (stage, (_, _, scale)) in enumerate(zip(constructed_layer(adapter, device, config)[1], stages_of(config), strict=True)):
        _, found = _residuals(stage, scale, config.order)
        if found != 0:
            raise Mismatch(f"IC-002 ({case}): the bias of stage {number} must be replicated at construction; its residual is {found}")


def constructed_chain(adapter: AdapterProtocol, device: str, *, config: LayerConfig, case: str) -> None:
    """Demand that every stage of a chain as it comes is ICNR, kernel and bias."""
    held = adapter.layer(config, device).parameters()
    for number, (stage, (_, _, scale)) in enumerate(zip(held, stages_of(config), strict=True)):
        for what, found in zip(("kernel", "bias"), _residuals(stage, scale, config.order), strict=True):
            if found != 0:
                raise Mismatch(f"IC-010 ({case}): the {what} of stage {number} must be ICNR at construction; its residual is {found}")
        if not _varied(stage["kernel"], scale):
            raise Mismatch(f"IC-010 ({case}): the kernel of stage {number} must come from an initializer; every value is the same")


# --- chains with integer ICNR parameters: everything is exact ---


def _icnr_chain(config: LayerConfig) -> tuple[Parameters, Parameters]:
    """Return the base parameters of every stage, and the ICNR parameters that they make."""
    bases: Parameters = []
    chain: Parameters = []
    for stage, (_, outputs, scale) in zip(parameters_for(config, integers=True), stages_of(config), strict=True):
        base = {name: values[..., :outputs] for name, values in stage.items()}
        base["bias"] = base["bias"] + np.arange(outputs, dtype=config.dtype)
        bases.append(base)
        chain.append({name: oracle.icnr(np.ascontiguousarray(values), scale, order=config.order) for name, values in base.items()})
    return bases, chain


def whole_product(adapter: AdapterProtocol, device: str, *, config: LayerConfig, case: str) -> None:
    """One-tap stages: the chain is nearest-neighbour over the whole product."""
    bases, chain = _icnr_chain(config)
    x = small_integers((2, *SPATIAL[config.ndim], config.in_channels), config.dtype)
    low: np.ndarray = x
    for base in bases:
        low = oracle.conv(low, base["kernel"], base["bias"])
    difference = compare.exact(run_layer(adapter, device, config, chain, x), oracle.nearest_upsample(low, config.scale))
    if difference is not None:
        raise Mismatch(difference.message("IC-007", case))


def last_blocks(adapter: AdapterProtocol, device: str, *, config: LayerConfig, case: str) -> None:
    """Demand that any kernels: the output is constant over the blocks of the last stage."""
    _, chain = _icnr_chain(config)
    x = small_integers((2, *SPATIAL[config.ndim], config.in_channels), config.dtype)
    y = run_layer(adapter, device, config, chain, x)
    high = (2, *(r * extent for r, extent in zip(config.scale, SPATIAL[config.ndim], strict=True)), config.out_channels)
    _, _, last = stages_of(config)[-1]
    difference = compare.kind(y, high)
    if difference is None:
        corners = y[(slice(None), *(slice(None, None, r) for r in last))]
        difference = compare.exact(y, oracle.nearest_upsample(np.ascontiguousarray(corners), last))
    if difference is not None:
        raise Mismatch(difference.message("IC-008", case))


def constant_input(adapter: AdapterProtocol, device: str, *, config: LayerConfig, case: str) -> None:
    """Demand that an input that is constant per channel comes out constant per channel, wherever no border is in reach."""
    _, chain = _icnr_chain(config)
    factors = [scale for _, _, scale in stages_of(config)]
    field = oracle.chain_receptive_field(factors, kernel_of(config))
    spatial = tuple(2 * n + 1 for n in field)  # leaves a block that no border reaches
    values = np.arange(1, config.in_channels + 1, dtype=config.dtype)
    x = np.broadcast_to(values, (2, *spatial, config.in_channels)).copy()
    inside = (slice(None), *(slice(r * n, r * (n + 1)) for r, n in zip(config.scale, field, strict=True)))
    y = run_layer(adapter, device, config, chain, x)[inside]
    difference = compare.exact(y, np.broadcast_to(y[(slice(0, 1),) * (y.ndim - 1)], y.shape))
    if difference is not None:
        raise Mismatch(difference.message("IC-009", case, "the interior of y, cropped"))


# --- the cases ---

GEOMETRIES = (
    ((3, 2, 4, 2), (2, 3)),
    ((3, 3, 4, 2), (2, 2)),
    ((3, 4, 2), (3,)),
    ((1, 1, 5, 3), (2, 2)),
    ((2, 1, 3, 4, 2), (2, 1, 3)),
    ((1, 2, 9, 10), (3, 3)),
    ((3, 2, 3, 3), (5, 5)),
    ((2, 2, 2, 3, 2), (2, 2, 2)),
)
"""(base shape, scale); one of them has one tap, as the pointwise kernel of a separable layer, one more than eight channels in and out.

One has as many channels in as out, and factors above 4.
"""

MORE = (((3, 2, 4, 2), (3, 2)), ((3, 3, 2, 3), (4, 4)), ((5, 2, 3), (4,)), ((3, 2, 4, 1), (2, 3)))


def _slug(order: str, scale: tuple[int, ...], *rest: str) -> str:
    return "-".join([order, f"{len(scale)}d", "x".join(map(str, scale)), *rest])


def cases(profile: str, dtype: str) -> Iterator[Case]:
    """Yield the cases of IC, those of tensors and layers in ``dtype``."""
    exhaustive = profile == "exhaustive"
    for (base, scale), order in product(GEOMETRIES + (MORE if exhaustive else ()), ORDERS):
        yield from _kernel_cases(base, scale, order, dtype)
    for (base, scale), order in product(GEOMETRIES[::5], ORDERS):
        slug = _slug(order, scale, f"{base[-2]}-to-{base[-1]}", "float64")
        needs = Needs(("icnr",), order=order, ndim=len(scale), anisotropic=len(set(scale)) > 1, dtype="float64")
        case = f"IC-001/{slug}"
        wide: dict[str, Any] = {"scale": scale, "order": order, "dtype": "float64"}
        yield Case(case, ("IC-001",), "init", needs, partial(replicated_kernel, base=base, case=case, **wide))
        case = f"IC-002/{slug}"
        yield Case(case, ("IC-002",), "init", _with(needs, "icnr_bias"), partial(replicated_bias, case=case, **wide))
    for scale, order in product([(2, 3), (2, 2), (3, 1)], ORDERS):
        needs = Needs(order=order, ndim=2, anisotropic=len(set(scale)) > 1, scale_one=1 in scale)
        for clause, operation, check in [("IC-005", "icnr_residual", residual), ("IC-006", "icnr_weight_norm", weight_norm)]:
            case = f"{clause}/{_slug(order, scale)}"
            options: dict[str, Any] = {"scale": scale, "order": order, "case": case}
            yield Case(case, (clause,), "init", _with(needs, operation), partial(check, **options))
    yield from _constructed_cases(exhaustive, dtype)
    yield from _chain_cases(exhaustive, dtype)


def _with(needs: Needs, *operations: str) -> Needs:
    return Needs(**{**{name: getattr(needs, name) for name in Needs.__dataclass_fields__}, "operations": operations})


def _kernel_cases(base: tuple[int, ...], scale: tuple[int, ...], order: str, dtype: str) -> Iterator[Case]:
    needs = Needs(order=order, ndim=len(scale), anisotropic=len(set(scale)) > 1, scale_one=1 in scale)
    taps = "k" + "x".join(map(str, base[:-2]))
    slug = _slug(order, scale, taps, f"{base[-2]}-to-{base[-1]}")
    rows: dict[str, Any] = {"base": base, "scale": scale, "order": order}
    case = f"IC-001/{slug}"
    yield Case(case, ("IC-001",), "init", _with(needs, "icnr"), partial(replicated_kernel, case=case, **rows))
    case = f"IC-001/{slug}-bits"
    yield Case(case, ("IC-001",), "init", _with(needs, "icnr"), partial(keeps_kernel_bits, case=case, **rows))
    case = f"IC-003/{slug}"
    yield Case(case, ("IC-003",), "init", _with(needs, "icnr"), partial(asked_shape, case=case, **rows))
    case = f"IC-002/{slug}"
    yield Case(case, ("IC-002",), "init", _with(needs, "icnr_bias"), partial(replicated_bias, scale=scale, order=order, case=case))
    case = f"IC-004/{slug}"
    yield Case(
        case, ("IC-004",), "init", _with(needs, "icnr", "icnr_bias", "conv", "phase_shift"), partial(law, dtype=dtype, case=case, **rows)
    )


def _constructed_cases(exhaustive: bool, dtype: str) -> Iterator[Case]:
    rows: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = [
        (2, (3, 2), (2, 3)),
        (2, (3, 3), (2, 2)),
        (1, (3,), (3,)),
        (3, (2, 3, 1), (2, 2, 2)),
        (2, (1, 1), (4, 4)),
    ]
    if exhaustive:
        rows += [(3, (1, 2, 3), (2, 1, 3))]
    for (ndim, kernel, scale), order, separable in product(rows, ORDERS, (False, True)):
        config = LayerConfig(ndim, 3, 2, kernel, scale, order, separable=separable, dtype=dtype)
        slug = _slug(order, scale, "constructed", "separable" if separable else "plain")
        case = f"IC-004/{slug}"
        yield Case(case, ("IC-004", "IC-001"), "init", needs_layer(config, fresh=True), partial(constructed, config=config, case=case))
        case = f"IC-002/{slug}"
        yield Case(case, ("IC-002",), "init", needs_layer(config, fresh=True), partial(constructed_bias, config=config, case=case))


def _chain_cases(exhaustive: bool, dtype: str) -> Iterator[Case]:
    rows: list[tuple[int, tuple[tuple[int, ...], ...]]] = [(2, ((2, 2), (3, 3))), (2, ((2, 1), (1, 3))), (1, ((2,), (3,), (2,)))]
    if exhaustive:
        rows += [(3, ((1, 2, 1), (2, 1, 2))), (2, ((2, 2), (2, 2), (2, 2)))]
    for (ndim, factors), order in product(rows, ORDERS):
        scale = tuple(prod(stage[axis] for stage in factors) for axis in range(ndim))
        slug = _slug(order, scale, *("x".join(map(str, stage)) for stage in factors))
        for clause, kernel, check in [
            ("IC-007", (1,) * ndim, whole_product),
            ("IC-008", (3, 2, 3)[:ndim], last_blocks),
            ("IC-009", (3, 2, 3)[:ndim], constant_input),
            ("IC-010", (3, 2, 3)[:ndim], constructed_chain),
        ]:
            config = LayerConfig(ndim, 3, 2, kernel, scale, order, factors=factors, width=4, dtype=dtype)
            case = f"{clause}/{slug}"
            needs = needs_layer(config, fresh=clause == "IC-010")
            yield Case(case, (clause,), "init", needs, partial(check, config=config, case=case))
