"""GR: the gradient of a permutation is the inverse permutation; the gradients of a layer are sums."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import compare, oracle
from ..adapter import DATA_FORMATS, ORDERS, AdapterProtocol, LayerConfig
from ..case import Case, Evidence, Mismatch, Needs
from .arrays import labelled, normal, small_integers
from .layer import expected_layer, parameters_for
from .shift import OPERATIONS, Call


def with_gaps(adapter: AdapterProtocol, device: str, values: np.ndarray) -> Any:
    """Return a native tensor with gaps between its values: a slice of a wider one, where the native tensors have slices."""
    wide = np.repeat(values, 2, axis=-1)
    try:
        return adapter.to_native(wide, device)[..., ::2]
    except Exception:
        return adapter.to_native(wide[..., ::2], device)


def native_cotangent(adapter: AdapterProtocol, device: str, memory: str, values: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return a cotangent, and the native tensor of that memory; one value is the first of ``values``."""
    if memory != "one value":
        return values, with_gaps(adapter, device, values) if memory == "with gaps" else adapter.to_native(values.copy(), device)
    one = values.reshape(-1)[:1].reshape((1,) * values.ndim)
    every = np.broadcast_to(one, values.shape)
    try:
        return every, adapter.to_native(one.copy(), device).expand(values.shape)
    except Exception:
        return every, adapter.to_native(every, device)


def pulled_back(adapter: AdapterProtocol, device: str, *, call: Call, clause: str, case: str, memory: str = "dense") -> None:
    """Demand that the vector-Jacobian product is the other operation, applied to the cotangent: bit for bit, on labels."""
    other = replace(call, operation="phase_shift" if call.inverse else "inverse_phase_shift")
    (x,), (cotangent,) = labelled(call.shape, call.dtype), labelled(call.output_shape, call.dtype)
    native = adapter.to_native(x.array.copy(), device)
    weights, given = native_cotangent(adapter, device, memory, cotangent.array)
    y = adapter.to_numpy(adapter.vjp(call.function(adapter), native, given))
    difference = compare.bitwise(y, other.expected(weights))
    if difference is not None:
        raise Mismatch(difference.message(clause, case, "the gradient, d_x"))


def layer_gradients(
    adapter: AdapterProtocol,
    device: str,
    *,
    config: LayerConfig,
    spatial: tuple[int, ...],
    integers: bool,
    case: str,
    gaps: bool = False,
) -> Evidence:
    """Demand the gradients for input, kernel and bias: exact on integers, within the bound of their sums otherwise."""
    parameters = parameters_for(config, integers)
    kernel = parameters[0]["kernel"]
    values = small_integers if integers else partial(normal, seed=5)
    x = values((2, *spatial, config.in_channels), config.dtype)
    pairs = zip(spatial, kernel.shape, oracle.padding_pairs(config.padding, kernel.shape[:-2]), strict=False)
    positions = tuple(extent + before + after - k + 1 for extent, k, (before, after) in pairs)
    high = tuple(r * extent for r, extent in zip(config.scale, positions, strict=True))
    cotangent = (small_integers if integers else partial(normal, seed=6))((2, *high, config.out_channels), config.dtype)
    layer = adapter.layer(config, device, parameters)
    weights = with_gaps(adapter, device, cotangent) if gaps else adapter.to_native(cotangent, device)
    d_x, d_parameters = layer.gradients(adapter.to_native(x, device), weights)
    low = oracle.inverse_phase_shift(cotangent, config.scale, order=config.order)
    exact = oracle.conv_gradients(x, kernel, low, padding=config.padding)
    absolute = oracle.conv_gradients(np.abs(x), np.abs(kernel), np.abs(low), padding=config.padding)
    terms = (prod(kernel.shape[:-2]) * kernel.shape[-1], 2 * prod(positions), 2 * prod(positions))
    actual = (adapter.to_numpy(d_x), d_parameters[0]["kernel"], *([d_parameters[0]["bias"]] if config.bias else []))
    names = ("the gradient for the input, d_x", "the gradient for the kernel, d_kernel", "the gradient for the bias, d_bias")
    largest = 0.0
    for what, got, right, size, n in zip(names, actual, exact, absolute, terms, strict=False):
        bound = np.zeros_like(right) if integers else compare.sum_bound(right, size, n, config.dtype)
        ratio, difference = compare.within(got, right, bound)
        if difference is not None:
            raise Mismatch(difference.message("GR-003", case, what), ratio=ratio)
        largest = max(largest, ratio)
    return Evidence(largest)


def directional_derivatives(adapter: AdapterProtocol, device: str, *, config: LayerConfig, spatial: tuple[int, ...], case: str) -> None:
    """Demand <f(p + v) - f(p), g> = <v, gradient> for the input and every parameter p of every stage: exact on integers.

    A layer without activation is linear in each of them, so the difference is the derivative; ``f`` is the oracle's.
    """
    parameters = parameters_for(config, integers=True)
    x = small_integers((2, *spatial, config.in_channels), config.dtype)
    before = expected_layer(x, config, parameters)
    cotangent = small_integers(before.shape, config.dtype, start=6)
    layer = adapter.layer(config, device, parameters)
    d_x, d_parameters = layer.gradients(adapter.to_native(x.copy(), device), adapter.to_native(cotangent, device))
    places: list[tuple[str, np.ndarray, np.ndarray]] = [("the input", x, adapter.to_numpy(d_x))]
    for number, (stage, gradients) in enumerate(zip(parameters, d_parameters, strict=True)):
        places += [(f"{name} of stage {number}", values, np.asarray(gradients[name])) for name, values in stage.items()]
    for what, values, gradient in places:
        direction = small_integers(values.shape, config.dtype, start=11)
        difference = compare.kind(gradient, values.shape)
        if difference is not None:
            raise Mismatch(difference.message("GR-003", case, f"the gradient for {what}"))
        kept = values.copy()
        values += direction
        wanted = ((expected_layer(x, config, parameters) - before) * cotangent).sum()
        values[...] = kept
        given = (direction.astype(np.float64) * gradient.astype(np.float64)).sum()
        if given != float(wanted):
            raise Mismatch(f"GR-003 ({case}): the derivative along a direction of {what} must be {float(wanted)}; got {given}")


def cases(profile: str, dtype: str) -> Iterator[Case]:
    """Yield the cases of GR, in ``dtype``."""
    geometries: list[Any] = [((2, 2), (2,), (3, 5), 3), ((2, 3), (3,), (4, 5), 2), ((3, 3), (2,), (2, 3), 2), ((4, 4), (1,), (3, 2), 2)]
    if profile == "exhaustive":
        geometries += [((3,), (2,), (4,), 2), ((2, 1, 3), (2,), (3, 2, 4), 2)]
    square = geometries[0]
    asked = [(geometry, dtype, False) for geometry in [*geometries, ((2, 2), (), (3, 5), 3), ((2, 2), (2, 3), (3, 2), 3)]]
    asked += [(square, dtype, True), *([(square, "float64", False)] if dtype != "float64" else [])]
    for (geometry, typed, gaps), order, data_format, operation in product(asked, ORDERS, DATA_FORMATS, OPERATIONS):
        scale, batch, spatial, channels = geometry
        call = Call(operation, scale, order, data_format, batch, spatial, channels, typed)
        clause = "GR-002" if call.inverse else "GR-001"
        case = f"{clause}/{call.slug}{'-cotangent-with-gaps' if gaps else ''}"
        needs = call.needs(operations=(operation, "vjp"), strided=gaps)
        yield Case(
            case,
            (clause,),
            "gradient",
            needs,
            partial(pulled_back, call=call, clause=clause, case=case, memory="with gaps" if gaps else "dense"),
        )
    rows: list[Any] = [(2, (3, 2), (2, 3), (4, 5)), (2, (3, 3), (2, 2), (4, 5)), (2, (2, 3), (3, 3), (3, 4)), (2, (3, 2), (4, 4), (2, 3))]
    if profile == "exhaustive":
        rows += [(1, (3,), (3,), (6,)), (3, (2, 1, 3), (2, 2, 1), (2, 3, 4))]
    for (ndim, kernel, scale, spatial), order, integers in product(rows, ORDERS, (True, False)):
        if not integers and profile == "full" and max(scale) == min(scale) > 2:
            continue
        config = LayerConfig(ndim, 3, 2, kernel, scale, order, dtype=dtype)
        case = f"GR-003/{order}-{ndim}d-{'x'.join(map(str, scale))}-{'integers' if integers else 'normal'}"
        needs = Needs(("layer", "vjp"), order=order, ndim=ndim, anisotropic=len(set(scale)) > 1, scale_one=1 in scale, dtype=dtype)
        check = partial(layer_gradients, config=config, spatial=spatial, integers=integers, case=case)
        yield Case(case, ("GR-003",), "gradient", needs, check)
    for order, (slug, typed, gaps) in product(
        ORDERS, (("normal-float64", "float64", False), ("integers-cotangent-with-gaps", dtype, True))
    ):
        config = LayerConfig(2, 3, 2, (3, 2), (2, 2), order, dtype=typed)
        case = f"GR-003/{order}-2d-2x2-{slug}"
        needs = Needs(("layer", "vjp"), order=order, ndim=2, dtype=typed, strided=gaps)
        check = partial(layer_gradients, config=config, spatial=(4, 5), integers=gaps, case=case, gaps=gaps)
        yield Case(case, ("GR-003",), "gradient", needs, check)
    layers: list[tuple[str, LayerConfig, tuple[int, ...]]] = []
    for order in ORDERS:
        layers += [
            ("separable", LayerConfig(2, 3, 2, (3, 2), (2, 3), order, separable=True), (4, 5)),
            ("valid", LayerConfig(2, 3, 2, (3, 2), (2, 3), order, padding="valid"), (4, 5)),
            ("pairs", LayerConfig(2, 3, 2, (3, 2), (2, 2), order, padding=((2, 0), (0, 1))), (4, 5)),
            ("without-bias", LayerConfig(1, 3, 2, (3,), (3,), order, bias=False), (5,)),
            ("chain", LayerConfig(2, 3, 2, (3, 2), (2, 3), order, factors=((2, 1), (1, 3)), width=2), (3, 4)),
        ]
    for what, plain, spatial in layers:
        config = replace(plain, dtype=dtype)
        case = f"GR-003/{what}-{config.order}-{config.ndim}d"
        factors = config.factors or (config.scale,)
        needs = Needs(
            ("layer", "vjp"),
            order=config.order,
            ndim=config.ndim,
            anisotropic=any(len(set(scale)) > 1 for scale in factors),
            scale_one=any(1 in scale for scale in factors),
            dtype=dtype,
        )
        yield Case(case, ("GR-003",), "gradient", needs, partial(directional_derivatives, config=config, spatial=spatial, case=case))
