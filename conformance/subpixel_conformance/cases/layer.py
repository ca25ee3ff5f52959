"""CV, SC, SP, BL, CB: convolutions, the sub-pixel layer, the separable one, the blur and the measure."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import compare, oracle
from ..adapter import ORDERS, AdapterProtocol, LayerConfig
from ..case import Case, Evidence, Mismatch, Needs, dtype_of
from .arrays import distinct_integers, normal, small_integers, special_bits

Parameters = list[dict[str, np.ndarray]]


# --- layers: their parameters, what they must give, and how far off they may be ---


def kernel_of(config: LayerConfig) -> tuple[int, ...]:
    """Return the kernel extents, one per axis."""
    size = config.kernel_size
    return (size,) * config.ndim if isinstance(size, int) else tuple(size)


def stages_of(config: LayerConfig) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return (channels in, channels out, factors) of every stage."""
    return oracle.chain_shapes(config.factors or (config.scale,), config.in_channels, config.out_channels, config.width)


def parameters_for(config: LayerConfig, integers: bool) -> Parameters:
    """Return parameters in the canonical layout: kernels of -1, 0 and 1 and biases without two equal values, or normal values."""
    parameters = []
    for number, (inputs, outputs, scale) in enumerate(stages_of(config)):
        taps = kernel_of(config)
        shapes = {"kernel": (*taps, inputs, outputs * prod(scale))}
        if config.separable:
            shapes = {"depthwise": (*taps, inputs, 1), "kernel": ((1,) * config.ndim + (inputs, outputs * prod(scale)))}
        if config.bias:
            shapes["bias"] = (outputs * prod(scale),)
        stage = {}
        for place, (name, shape) in enumerate(shapes.items()):
            seed = 10 * number + place + 1
            if integers and name == "bias":
                stage[name] = distinct_integers(shape[0], config.dtype)
            elif integers:
                stage[name] = small_integers(shape, config.dtype, start=101 * seed, modulus=3)
            else:
                stage[name] = normal(shape, config.dtype, seed)
        parameters.append(stage)
    return parameters


def expected_layer(x: np.ndarray, config: LayerConfig, parameters: Parameters) -> np.ndarray:
    """Return the exact output of a layer, without its blur."""
    stages = [(stage, scale) for stage, (_, _, scale) in zip(parameters, stages_of(config), strict=True)]
    return oracle.layer(x, stages, order=config.order, padding=config.padding, activation=config.activation)


def stage_bound(x: np.ndarray, stage: dict[str, np.ndarray], scale: tuple[int, ...], config: LayerConfig) -> np.ndarray:
    """Return how far every output of one stage may be from its exact value: CV-003, or SP-002 with both bounds."""
    return oracle.phase_shift(low_bound(x, stage, config), scale, order=config.order)


def low_bound(x: np.ndarray, stage: dict[str, np.ndarray], config: LayerConfig) -> np.ndarray:
    """Return that bound before the shift."""
    kernel, bias, dtype = stage["kernel"], stage.get("bias"), config.dtype
    size = None if bias is None else np.abs(bias)
    terms = prod(kernel.shape[:-1]) + 1
    carried: np.ndarray | float = 0.0
    z, absolute_z, padding = x, np.abs(x), config.padding
    if "depthwise" in stage:
        depthwise = stage["depthwise"]
        z, absolute_z = (oracle.depthwise_conv(v, d, padding=padding) for v, d in ((x, depthwise), (np.abs(x), np.abs(depthwise))))
        first = compare.sum_bound(z, absolute_z, prod(depthwise.shape[:-2]) + 1, dtype)
        carried = oracle.conv(first, np.abs(kernel))
        absolute_z, padding = np.abs(z) + first, "same"
    exact = oracle.conv(z, kernel, bias, padding=padding)
    absolute = oracle.conv(absolute_z, np.abs(kernel), size, padding=padding)
    own = compare.sum_bound(exact, absolute, terms, dtype, 0.0 if bias is None else bias)
    return own + carried


def run_layer(adapter: AdapterProtocol, device: str, config: LayerConfig, parameters: Parameters | None, x: np.ndarray) -> np.ndarray:
    """Return what the implementation's layer gives."""
    return adapter.to_numpy(adapter.layer(config, device, parameters)(adapter.to_native(x.copy(), device)))


def needs_layer(config: LayerConfig, **more: Any) -> Needs:
    """Return what an implementation has to claim to be asked for this layer."""
    factors = [scale for _, _, scale in stages_of(config)]
    return Needs(
        ("layer",),
        order=config.order,
        ndim=config.ndim,
        anisotropic=any(len(set(scale)) > 1 for scale in factors),
        scale_one=any(1 in scale for scale in factors),
        dtype=config.dtype,
        layer=config,
        **more,
    )


def exact_layer(
    adapter: AdapterProtocol, device: str, *, config: LayerConfig, spatial: tuple[int, ...], clause: str, case: str, batch: int = 3
) -> None:
    """Demand exactly the formula on integers, whose sums are exact."""
    parameters = parameters_for(config, integers=True)
    x = small_integers((batch, *spatial, config.in_channels), config.dtype)
    difference = compare.exact(run_layer(adapter, device, config, parameters, x), expected_layer(x, config, parameters))
    if difference is not None:
        raise Mismatch(difference.message(clause, case))


def bounded_layer(
    adapter: AdapterProtocol, device: str, *, config: LayerConfig, spatial: tuple[int, ...], data: str, clause: str, case: str
) -> Evidence:
    """On real numbers every output lies within the bound of its sum. ``data``: normal, or cancelling (S much larger than R)."""
    parameters = parameters_for(config, integers=False)
    x = normal((2, *spatial, config.in_channels), config.dtype, seed=0)
    if data == "cancelling":
        half = config.in_channels // 2
        x[..., half : 2 * half] = x[..., :half]
        parameters[0]["kernel"][..., half : 2 * half, :] = -parameters[0]["kernel"][..., :half, :]
    ((_, _, scale),) = stages_of(config)
    bound = stage_bound(x, parameters[0], scale, config)
    ratio, difference = compare.within(run_layer(adapter, device, config, parameters, x), expected_layer(x, config, parameters), bound)
    if difference is not None:
        raise Mismatch(difference.message(clause, case), ratio=ratio)
    return Evidence(ratio)


def shapes_of_layer(adapter: AdapterProtocol, device: str, *, config: LayerConfig, spatial: tuple[int, ...], case: str) -> None:
    """Demand that a layer as it comes holds the shapes of SC-002, and puts out C channels on r times the extents."""
    layer = adapter.layer(config, device)
    wanted = [{name: values.shape for name, values in stage.items()} for stage in parameters_for(config, integers=True)]
    held = [{name: np.shape(values) for name, values in stage.items()} for stage in layer.parameters()]
    if held != wanted:
        raise Mismatch(f"SC-002 ({case}): the parameters must have the shapes {wanted}; got {held}")
    x = adapter.to_native(small_integers((2, *spatial, config.in_channels), config.dtype), device)
    high = tuple(r * extent for r, extent in zip(config.scale, spatial, strict=True))
    difference = compare.kind(adapter.to_numpy(layer(x)), (2, *high, config.out_channels))
    if difference is not None:
        raise Mismatch(difference.message("SC-002", case))


def loads_and_returns(adapter: AdapterProtocol, device: str, *, config: LayerConfig, case: str) -> None:
    """Demand that the parameters that were loaded are the ones that are held, in the canonical layout."""
    parameters = parameters_for(config, integers=True)
    for number, (stage, held) in enumerate(zip(parameters, adapter.layer(config, device, parameters).parameters(), strict=True)):
        for name, values in stage.items():
            difference = compare.exact(np.asarray(held[name]), values)
            if difference is not None:
                raise Mismatch(difference.message("SC-002", case, f"{name} of stage {number}"))


def permuted_layer(adapter: AdapterProtocol, device: str, *, config: LayerConfig, target: str, case: str) -> None:
    """Demand that two layers of two orders, the channels of the second permuted by CP-001, give the same on integers."""
    (stage,) = parameters_for(config, integers=True)
    p = oracle.channel_permutation(12, (2, 3), source=config.order, target=target)
    x = small_integers((2, 4, 5, 3), config.dtype)
    moved = [{"kernel": stage["kernel"][..., p], "bias": stage["bias"][p]}]
    other = replace(config, order=target)
    difference = compare.exact(run_layer(adapter, device, other, moved, x), run_layer(adapter, device, config, [stage], x))
    if difference is not None:
        raise Mismatch(difference.message("CP-002", case))


# --- blur ---


def blurred_bound(
    y: np.ndarray,
    bound: np.ndarray | float,
    scale: tuple[int, ...],
    dtype: str,
    blur: Callable[[np.ndarray, tuple[int, ...]], np.ndarray] = oracle.box_blur,
) -> np.ndarray:
    """Return BL-003 for the exact high-resolution ``y``, whose own error may be ``bound``; ``blur`` is the exact box."""
    size = np.abs(y) + bound
    u, n = compare.unit_roundoff(dtype, accumulation=True), prod(scale) + 1
    exact = np.abs(blur(y, scale))
    carried = blur(np.broadcast_to(np.asarray(bound, dtype=np.longdouble), y.shape), scale)
    return n * u * blur(size, scale) + compare.unit_roundoff(dtype) * exact + carried


def box(adapter: AdapterProtocol, device: str, *, shape: tuple[int, ...], scale: tuple[int, ...], dtype: str, case: str) -> Evidence:
    """Demand that the blur is the mean over the positions that exist, within BL-003, in shape and dtype of its input.

    BL-001 is judged on integers whose means are integers, so that it says which positions are in the mean; how it rounds says BL-003.
    """
    y = small_integers(shape, dtype) * dtype_of(dtype).type(36) if case.startswith("BL-001") else normal(shape, dtype, seed=3)
    exact = oracle.box_blur(y, scale)
    bound = blurred_bound(y.astype(np.longdouble), 0.0, scale, dtype)
    ratio, difference = compare.within(adapter.to_numpy(adapter.box_blur(adapter.to_native(y, device), scale)), exact, bound, y.dtype)
    if difference is not None:
        raise Mismatch(difference.message(case.partition("/")[0], case), ratio=ratio)
    return Evidence(ratio)


def blurred_layer(
    adapter: AdapterProtocol, device: str, *, config: LayerConfig, spatial: tuple[int, ...], case: str, batch: int = 2
) -> Evidence:
    """Demand that a layer with blur is the layer, then the box of its scale, and a chain such stages with the activation between them.

    The first stage is exact on integers; what its blur may round, and every later stage, is carried on.
    """
    parameters = parameters_for(config, integers=True)
    x = small_integers((batch, *spatial, config.in_channels), config.dtype)
    exact, bound = x, np.zeros(())
    for number, (held, (_, _, scale)) in enumerate(zip(parameters, stages_of(config), strict=True)):
        if number:
            exact = np.maximum(exact, 0) if config.activation == "relu" else exact
            bound = _carried_on(exact, bound, held, scale, config)
        y = oracle.stage(exact, held, scale, order=config.order, padding=config.padding)
        exact, bound = oracle.box_blur(y, scale), blurred_bound(y.astype(np.longdouble), bound, scale, config.dtype)
    ratio, difference = compare.within(run_layer(adapter, device, config, parameters, x), exact, bound)
    if difference is not None:
        raise Mismatch(difference.message(case.partition("/")[0], case), ratio=ratio)
    return Evidence(ratio)


def _carried_on(x: np.ndarray, bound: np.ndarray, held: dict[str, np.ndarray], scale: tuple[int, ...], config: LayerConfig) -> np.ndarray:
    """Return how far the output of a stage may be from its exact value where its input may be off by ``bound``."""
    sizes = {name: np.abs(values) for name, values in held.items()}
    linear = {name: values for name, values in sizes.items() if name != "bias"}
    own = stage_bound(np.abs(x) + bound, sizes, scale, config)
    return own + oracle.stage(bound, linear, scale, order=config.order, padding=config.padding)


def constant_interior(adapter: AdapterProtocol, device: str, *, config: LayerConfig, spatial: tuple[int, ...], case: str) -> Evidence:
    """Demand that a constant input gives, under the blur, a constant interior for weights that are not ICNR.

    Every interior output may differ from the first by the sum of both bounds.
    """
    parameters = parameters_for(config, integers=False)
    x = np.broadcast_to(normal((config.in_channels,), config.dtype, seed=4), (2, *spatial, config.in_channels)).copy()
    y = expected_layer(x, config, parameters)
    ((_, _, scale),) = stages_of(config)
    bound = blurred_bound(y, stage_bound(x, parameters[0], scale, config), config.scale, config.dtype)
    reach = [k // 2 + 1 for k in kernel_of(config)]  # of the kernel, and one block of the box
    inside = (slice(None), *(slice(r * n, r * (extent - n)) for r, n, extent in zip(scale, reach, spatial, strict=True)))
    actual, bound = run_layer(adapter, device, config, parameters, x)[inside], bound[inside]
    first = (slice(0, 1),) * (actual.ndim - 1)
    ratio, difference = compare.within(actual, np.broadcast_to(actual[first], actual.shape), bound + bound[first])
    if difference is not None:
        raise Mismatch(difference.message("BL-002", case, "the interior of y, cropped"), ratio=ratio)
    return Evidence(ratio)


def measure(adapter: AdapterProtocol, device: str, *, shape: tuple[int, ...], scale: tuple[int, ...], case: str) -> Evidence:
    """Demand that the measure is the root mean square of the offsets' means, 0 on constant blocks, and blind to an added constant."""
    rough = small_integers(shape, "float64", modulus=97)
    low = (*shape[: -len(scale) - 1], *(n // r for n, r in zip(shape[-len(scale) - 1 : -1], scale, strict=True)), shape[-1])
    blocks = oracle.nearest_upsample(small_integers(low, "float64", modulus=97), scale)
    largest = 0.0
    rows = [("y", rough, oracle.checkerboard(rough, scale)), ("constant blocks", blocks, 0.0)]
    rows.append(("y + 1000", rough + 1000, oracle.checkerboard(rough, scale)))
    for what, y, exact in rows:
        bound = (y.size + 3 * prod(scale)) * compare.UNIT_ROUNDOFF["float32"] * float(np.abs(y).max())
        actual = np.asarray(float(adapter.checkerboard(adapter.to_native(y.astype(np.float32), device), scale)))
        ratio, difference = compare.within(actual, np.asarray(exact), np.asarray(bound))
        if difference is not None:
            raise Mismatch(difference.message("CB-001", case, f"checkerboard of {what}"), ratio=ratio)
        largest = max(largest, ratio)
    return Evidence(largest)


# --- the convolutions ---


def convolution(
    adapter: AdapterProtocol,
    device: str,
    *,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    padding: Any,
    bias: bool,
    data: str,
    dtype: str,
    case: str,
    clause: str | None = None,
) -> Evidence:
    """Demand that the convolution is the sum: exactly on integers, within CV-003 on real numbers.

    ``data``: integers, normal, cancelling (S much larger than R), or uneven: normal values, of which those first on the last axis are 2^60
    times the size of all others, so that an error in proportion to the largest value is seen wherever that value is no term.
    """
    if data == "integers":
        x, weights = small_integers(shape, dtype), small_integers(kernel, dtype, start=500, modulus=3)
        offset = small_integers(kernel[-1:], dtype, start=77)
    else:
        x, weights, offset = normal(shape, dtype, seed=1), normal(kernel, dtype, seed=2), normal(kernel[-1:], dtype, seed=3)
    if data == "cancelling":
        half = kernel[-2] // 2
        x[..., half : 2 * half], weights[..., half : 2 * half, :] = x[..., :half], -weights[..., :half, :]
    if data == "uneven":
        x[..., 1:, :] *= x.dtype.type(2.0**-60)
        offset *= x.dtype.type(2.0**-60)
    term = offset if bias else None
    exact = oracle.conv(x, weights, term, padding=padding)
    absolute = oracle.conv(np.abs(x), np.abs(weights), np.abs(offset) if bias else None, padding=padding)
    bound = compare.sum_bound(exact, absolute, prod(kernel[:-1]) + 1, dtype, offset if bias else 0.0)
    bound = np.zeros_like(exact) if data == "integers" else bound
    native = [None if value is None else adapter.to_native(value, device) for value in (x, weights, term)]
    ratio, difference = compare.within(adapter.to_numpy(adapter.conv(*native, padding=padding)), exact, bound)
    if difference is not None:
        raise Mismatch(difference.message(clause or case.partition("/")[0], case), ratio=ratio)
    return Evidence(ratio)


def transposed(
    adapter: AdapterProtocol,
    device: str,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    bias: bool,
    dtype: str,
    data: str,
    clause: str,
    case: str,
    batch: int = 3,
    inputs: int = 3,
    outputs: int = 2,
) -> Evidence:
    """Demand that the transposed convolution is the scattered sum: exactly on integers, within CV-003 on real numbers.

    The terms of one sum are counted as if none of the kernel missed it, as they are for the convolution.
    """
    spatial = (4, 5, 3)[: len(stride)]
    if data == "integers":
        x, weights = small_integers((batch, *spatial, inputs), dtype), small_integers((*kernel, inputs, outputs), dtype, start=300)
        offset = small_integers((outputs,), dtype, start=78) + dtype_of(dtype).type(3)
    else:
        x, weights, offset = (
            normal(shape, dtype, seed) for seed, shape in ((1, (batch, *spatial, inputs)), (2, (*kernel, inputs, outputs)), (3, (outputs,)))
        )
    term = offset if bias else None
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    exact = oracle.conv_transpose(x, weights, term, **options)
    absolute = oracle.conv_transpose(np.abs(x), np.abs(weights), np.abs(offset) if bias else None, **options)
    bound = compare.sum_bound(exact, absolute, prod(kernel) * inputs + 1, dtype, offset if bias else 0.0)
    bound = np.zeros_like(exact) if data == "integers" else bound
    native = [None if value is None else adapter.to_native(value, device) for value in (x, weights, term)]
    ratio, difference = compare.within(adapter.to_numpy(adapter.conv_transpose(*native, **options)), exact, bound)
    if difference is not None:
        raise Mismatch(difference.message(clause, case), ratio=ratio)
    return Evidence(ratio)


def nearest(adapter: AdapterProtocol, device: str, *, shape: tuple[int, ...], scale: tuple[int, ...], dtype: str, case: str) -> None:
    """Nearest-neighbour upsampling repeats every bit pattern over its block."""
    x = special_bits(dtype, prod(shape)).reshape(shape)
    actual = adapter.to_numpy(adapter.nearest_upsample(adapter.to_native(x, device), scale))
    difference = compare.bitwise(actual, oracle.nearest_upsample(x, scale))
    if difference is not None:
        raise Mismatch(difference.message("CV-005", case))


# --- the cases ---


def _slug(*parts: Any) -> str:
    return "-".join("x".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in parts)


def cases(profile: str, dtype: str) -> Iterator[Case]:
    """Yield the cases of CV, SC, SP, BL and CB, most of them in ``dtype``."""
    exhaustive = profile == "exhaustive"
    yield from _convolution_cases(exhaustive, dtype)
    yield from _layer_cases(exhaustive, dtype)
    yield from _chain_cases(exhaustive, dtype)
    yield from _separable_cases(exhaustive, dtype)
    yield from _blur_cases(exhaustive, dtype)


WIDE = ((9, 2, 65, 9), (1, 2, 9, 10))
"""Shapes of an input and a kernel beyond the widths that code is blocked by: eight samples, eight channels, 64 positions."""
COUNTS = ((1, 2), (2, 1), (2, 8), (2, 16))
"""(samples, channels in) for which code has short cuts: one of either, and channels that fill a vector."""


def _counted(batch: int, inputs: int) -> str:
    return f"{batch}-of-{inputs}"


def _convolution_cases(exhaustive: bool, bulk: str) -> Iterator[Case]:
    shapes = [((2, 7, 3), (3, 3, 2)), ((2, 5, 6, 3), (3, 2, 3, 4)), ((2, 3, 4, 5, 2), (2, 3, 1, 2, 3))]
    for (shape, kernel), bias in product(shapes, (True, False)):
        ndim = len(shape) - 2
        for dtype in dict.fromkeys((bulk, "float32", "float64")) if exhaustive else (bulk,):
            case = f"CV-001/{_slug(f'{ndim}d', kernel[:-2], dtype)}{'-bias' if bias else ''}"
            check = partial(convolution, shape=shape, kernel=kernel, padding="same", bias=bias, data="integers", dtype=dtype, case=case)
            yield Case(case, ("CV-001",), "layer", Needs(("conv",), ndim=ndim, dtype=dtype), check)
    case = f"CV-001/wide-{bulk}"
    shape, kernel = WIDE
    wide = partial(convolution, shape=shape, kernel=kernel, padding="same", bias=True, data="integers", dtype=bulk, case=case)
    yield Case(case, ("CV-001",), "layer", Needs(("conv",), ndim=2, dtype=bulk), wide)
    for batch, inputs in COUNTS:
        case = f"CV-001/{_counted(batch, inputs)}-{bulk}"
        options: dict[str, Any] = {"shape": (batch, 5, 6, inputs), "kernel": (3, 2, inputs, 3), "padding": "same", "bias": True}
        check = partial(convolution, data="integers", dtype=bulk, case=case, **options)
        yield Case(case, ("CV-001",), "layer", Needs(("conv",), ndim=2, dtype=bulk), check)
    paddings: list[tuple[str, Any, tuple[int, int]]] = [("same", "same", k) for k in [(1, 2), (2, 3), (4, 5), (5, 4), (4, 2), (7, 8)]]
    paddings += [
        ("valid", "valid", (3, 2)),
        ("pairs", ((2, 0), (1, 3)), (3, 2)),
        ("pairs", ((0, 1), (0, 0)), (2, 4)),
        ("pairs", ((1, 0), (2, 3)), (1, 1)),
    ]
    for slug, padding, taps in paddings:
        case = f"CV-002/{_slug(slug, taps, *(padding if slug == 'pairs' else ()))}"
        check = partial(
            convolution, shape=(3, 5, 6, 3), kernel=(*taps, 3, 2), padding=padding, bias=True, data="integers", dtype=bulk, case=case
        )
        yield Case(case, ("CV-002",), "layer", Needs(("conv",), ndim=2, dtype=bulk), check)
    rows_of_data = [*product(("normal", "cancelling"), ("float32", "float64", "float16", "bfloat16"))]
    for data, dtype in [*rows_of_data, ("uneven", "float32"), ("uneven", "float64")]:
        for taps, channels in [((3, 3), 6), ((1, 1), 16), ((5, 3), 32)] if exhaustive else [((3, 3), 6)]:
            case = f"CV-003/{_slug(data, taps, channels, dtype)}"
            kernel = (*taps, channels, 4)
            shape = (2, 5, 6, channels)
            check = partial(convolution, shape=shape, kernel=kernel, padding="same", bias=True, data=data, dtype=dtype, case=case)
            yield Case(case, ("CV-003",), "layer", Needs(("conv",), ndim=2, dtype=dtype), check)
    rows: list[Any] = [
        ((3, 2), (2, 3), (0, 0), (0, 0)),
        ((4, 4), (2, 2), (1, 1), (0, 0)),
        ((3, 5), (2, 2), (1, 2), (1, 0)),
        ((2, 3), (3, 2), (0, 1), (2, 1)),
    ]
    rows += [((5, 3), (4, 5), (1, 0), (3, 2)), ((7, 8), (2, 3), (2, 1), (0, 0))]
    rows += [((3,), (2,), (0,), (1,)), ((4,), (3,), (2,), (0,)), ((2, 3, 2), (2, 1, 3), (0, 1, 0), (1, 0, 0))]
    for (taps, stride, padding, output_padding), bias in product(rows, (True, False)):
        case = f"CV-004/{_slug(taps, 'stride', stride, 'padding', padding, output_padding)}{'-bias' if bias else ''}"
        options = {"kernel": taps, "stride": stride, "padding": padding, "output_padding": output_padding, "bias": bias}
        needs = Needs(("conv_transpose",), ndim=len(stride), dtype=bulk)
        yield Case(
            case, ("CV-004",), "layer", needs, partial(transposed, dtype=bulk, data="integers", clause="CV-004", case=case, **options)
        )
    counted = [((3, 2), (1, 1), (1, 0), (0, 0), 3, 8), ((1, 1), (2, 3), (0, 0), (1, 0), 3, 1), ((3, 4), (2, 2), (1, 1), (0, 1), 1, 2)]
    for taps, stride, padding, output_padding, batch, inputs in counted:
        case = f"CV-004/{_slug(taps, 'stride', stride, 'padding', padding, output_padding)}-{_counted(batch, inputs)}"
        options = {"kernel": taps, "stride": stride, "padding": padding, "output_padding": output_padding, "bias": True}
        check = partial(transposed, dtype=bulk, data="integers", clause="CV-004", case=case, batch=batch, inputs=inputs, **options)
        yield Case(case, ("CV-004",), "layer", Needs(("conv_transpose",), ndim=2, dtype=bulk), check)
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        case = f"CV-003/transposed-3x4-stride-2x4-{dtype}"
        options = {"kernel": (3, 4), "stride": (2, 4), "padding": (1, 0), "output_padding": (0, 0), "bias": True}
        check = partial(transposed, dtype=dtype, data="normal", clause="CV-003", case=case, **options)
        yield Case(case, ("CV-003", "CV-004"), "layer", Needs(("conv_transpose",), ndim=2, dtype=dtype), check)
    for scale, dtype in product([(3,), (2, 3), (2, 2), (2, 1, 3), (4, 4), (5, 4)], ("float32", "float64", "float16", "int32")):
        case = f"CV-005/{_slug(f'{len(scale)}d', scale, dtype)}"
        shape = (1 if scale == (4, 4) else 2, *(3, 4, 2)[: len(scale)], 5)
        uneven = len(set(scale)) > 1
        needs = Needs(("nearest_upsample",), ndim=len(scale), anisotropic=uneven, scale_one=1 in scale, dtype=dtype)
        yield Case(case, ("CV-005",), "layer", needs, partial(nearest, shape=shape, scale=scale, dtype=dtype, case=case))


SPATIAL = {1: (7,), 2: (4, 5), 3: (2, 3, 4)}


def _layer_cases(exhaustive: bool, bulk: str) -> Iterator[Case]:
    rows: list[tuple[str, int, Any, tuple[int, ...], Any, bool]] = [
        ("odd", 2, (3, 3), (2, 2), "same", True),
        ("even", 2, (2, 4), (2, 3), "same", True),
        ("one-tap", 2, (1, 1), (2, 3), "same", True),
        ("no-bias", 2, (3, 2), (2, 3), "same", False),
        ("valid", 2, (3, 2), (2, 3), "valid", True),
        ("pairs", 2, (3, 2), (3, 2), ((2, 0), (1, 3)), True),
        ("one-tap-pairs", 2, (1, 1), (2, 2), ((1, 0), (2, 3)), True),
        ("1d", 1, (3,), (3,), "same", True),
        ("3d", 3, (2, 3, 1), (2, 2, 2), "same", True),
        ("3d-uneven", 3, (1, 2, 3), (2, 1, 3), "same", True),
    ]
    for (slug, ndim, kernel, scale, padding, bias), order in product(rows, ORDERS):
        for dtype in dict.fromkeys((bulk, "float32", "float64")) if exhaustive else (bulk,):
            config = LayerConfig(ndim, 3, 2, kernel, scale, order, padding=padding, bias=bias, dtype=dtype)
            case = f"SC-001/{_slug(order, slug, scale, dtype)}"
            check = partial(exact_layer, config=config, spatial=SPATIAL[ndim], clause="SC-001", case=case)
            yield Case(case, ("SC-001", "SC-003"), "layer", needs_layer(config), check)
    for order in ORDERS:
        (batch, *extents, inputs), (*taps, _, outputs) = WIDE
        config = LayerConfig(2, inputs, outputs, tuple(taps), (2, 2), order, dtype=bulk)
        case = f"SC-001/{_slug(order, 'wide', bulk)}"
        check = partial(exact_layer, config=config, spatial=tuple(extents), clause="SC-001", case=case, batch=batch)
        yield Case(case, ("SC-001", "SC-003"), "layer", needs_layer(config), check)
    for (batch, inputs), order in product(COUNTS, ORDERS):
        config = LayerConfig(2, inputs, 2, (3, 2), (2, 2), order, dtype=bulk)
        case = f"SC-001/{_slug(order, _counted(batch, inputs), bulk)}"
        check = partial(exact_layer, config=config, spatial=(4, 5), clause="SC-001", case=case, batch=batch)
        yield Case(case, ("SC-001", "SC-003"), "layer", needs_layer(config), check)
    for (ndim, scale), order, bias in product([(1, (3,)), (2, (2, 3)), (2, (2, 2)), (3, (2, 1, 3))], ORDERS, (True, False)):
        if not exhaustive and (not bias or ndim != 2):
            continue
        config = LayerConfig(ndim, 3, 2, (2, 3, 1)[:ndim], scale, order, bias=bias, dtype=bulk)
        case = f"SC-002/{_slug('shapes', order, scale)}{'' if bias else '-no-bias'}"
        yield Case(
            case, ("SC-002",), "layer", needs_layer(config), partial(shapes_of_layer, config=config, spatial=SPATIAL[ndim], case=case)
        )
        case = f"SC-002/{_slug('loaded', order, scale)}{'' if bias else '-no-bias'}"
        yield Case(case, ("SC-002",), "layer", needs_layer(config), partial(loads_and_returns, config=config, case=case))
    for data, dtype, order in product(("normal", "cancelling"), ("float32", "float64", "float16", "bfloat16"), ORDERS):
        if not exhaustive and dtype != bulk and order not in ("DCR", "CRD"):
            continue
        for kernel, channels in [((3, 2), 6), ((1, 1), 32), ((5, 3), 16)] if exhaustive else [((3, 2), 6)]:
            config = LayerConfig(2, channels, 2, kernel, (2, 2), order, dtype=dtype)
            case = f"SC-003/{_slug(data, order, kernel, channels, dtype)}"
            bounded = partial(bounded_layer, config=config, spatial=(4, 5), data=data, clause="SC-003", case=case)
            yield Case(case, ("SC-003", "CV-003"), "layer", needs_layer(config), bounded)
    for source, target in product(ORDERS, ORDERS):
        if source != target:
            config = LayerConfig(2, 3, 2, (3, 2), (2, 3), source, dtype=bulk)
            case = f"CP-002/layer-{source}-to-{target}"
            check = partial(permuted_layer, config=config, target=target, case=case)
            yield Case(case, ("CP-002",), "layer", needs_layer(config, target=target), check)


def _chain_cases(exhaustive: bool, dtype: str) -> Iterator[Case]:
    rows: list[tuple[int, Any, tuple[tuple[int, ...], ...], int | None, str | None, bool]] = [
        (2, (3, 2), ((2, 2), (3, 3)), None, None, True),
        (2, (3, 2), ((2, 2), (3, 3)), 4, "relu", True),
        (2, (3, 3), ((2, 1), (1, 3)), 4, "relu", True),
        (1, (3,), ((2,), (3,), (2,)), 4, "relu", True),
        (2, (2, 3), ((2, 2), (2, 2)), 3, "relu", False),
    ]
    if exhaustive:
        rows += [(3, (2, 1, 3), ((1, 2, 1), (2, 1, 2)), 3, "relu", True), (2, (1, 1), ((2, 2), (2, 2), (2, 2)), 4, "relu", True)]
    for (ndim, kernel, factors, width, activation, bias), order in product(rows, ORDERS):
        scale = tuple(prod(stage[axis] for stage in factors) for axis in range(ndim))
        config = LayerConfig(ndim, 3, 2, kernel, scale, order, bias=bias, factors=factors, width=width, activation=activation, dtype=dtype)
        case = f"SC-004/{_slug(order, *factors, activation or 'linear', width or 'default')}{'' if bias else '-no-bias'}"
        check = partial(exact_layer, config=config, spatial=SPATIAL[ndim], clause="SC-004", case=case)
        yield Case(case, ("SC-004",), "layer", needs_layer(config), check)
    for order in ORDERS:
        config = LayerConfig(2, 3, 2, (3, 2), (4, 4), order, factors=((2, 2), (2, 2)), width=2, activation="relu", dtype=dtype)
        case = f"SC-004/{_slug(order, *(config.factors or ()), _counted(1, 3))}"
        check = partial(exact_layer, config=config, spatial=(4, 5), clause="SC-004", case=case, batch=1)
        yield Case(case, ("SC-004",), "layer", needs_layer(config), check)


def _separable_cases(exhaustive: bool, bulk: str) -> Iterator[Case]:
    rows: list[tuple[int, Any, tuple[int, ...], Any]] = [(2, (3, 2), (2, 3), "same"), (2, (3, 3), (2, 2), "same"), (1, (4,), (3,), "same")]
    rows += [(3, (2, 3, 1), (2, 1, 2), "same"), (2, (3, 2), (2, 3), "valid"), (2, (3, 2), (2, 2), ((2, 0), (1, 3)))]
    for (ndim, kernel, scale, padding), order in product(rows, ORDERS):
        config = LayerConfig(ndim, 3, 2, kernel, scale, order, padding=padding, separable=True, dtype=bulk)
        slug = padding if isinstance(padding, str) else "pairs"
        case = f"SP-001/{_slug(order, kernel, scale, slug)}"
        check = partial(exact_layer, config=config, spatial=SPATIAL[ndim], clause="SP-001", case=case)
        yield Case(case, ("SP-001",), "layer", needs_layer(config), check)
    for (batch, inputs), order in product(((1, 2), (2, 1)), ORDERS):
        config = LayerConfig(2, inputs, 2, (3, 2), (2, 2), order, separable=True, dtype=bulk)
        case = f"SP-001/{_slug(order, _counted(batch, inputs))}"
        check = partial(exact_layer, config=config, spatial=(4, 5), clause="SP-001", case=case, batch=batch)
        yield Case(case, ("SP-001",), "layer", needs_layer(config), check)
    for dtype, order in product(("float32", "float64", "float16", "bfloat16"), ORDERS):
        if not exhaustive and dtype != bulk and order not in ("DCR", "CRD"):
            continue
        config = LayerConfig(2, 6, 2, (3, 2), (2, 2), order, separable=True, dtype=dtype)
        case = f"SP-002/{_slug(order, dtype)}"
        bounded = partial(bounded_layer, config=config, spatial=(4, 5), data="normal", clause="SP-002", case=case)
        yield Case(case, ("SP-002",), "layer", needs_layer(config), bounded)


def _blur_cases(exhaustive: bool, bulk: str) -> Iterator[Case]:
    for scale, dtype in product(
        [(3,), (4,), (2, 3), (2, 2), (3, 3), (2, 1, 3)], ("float32", "float64", "float16", "bfloat16") if exhaustive else (bulk,)
    ):
        extents = (2, *(r * n for r, n in zip(scale, (3, 2, 2), strict=False)), 3)
        uneven = len(set(scale)) > 1
        needs = Needs(("box_blur",), ndim=len(scale), anisotropic=uneven, scale_one=1 in scale, dtype=dtype)
        for clause in ("BL-001", "BL-003"):
            case = f"{clause}/{_slug('box', scale, dtype)}"
            yield Case(case, (clause,), "layer", needs, partial(box, shape=extents, scale=scale, dtype=dtype, case=case))
    needs = Needs(("box_blur",), ndim=2, dtype=bulk)
    for clause in ("BL-001", "BL-003"):
        case = f"{clause}/{_slug('box', (2, 2), bulk)}-1-sample"
        yield Case(case, (clause,), "layer", needs, partial(box, shape=(1, 6, 4, 3), scale=(2, 2), dtype=bulk, case=case))
    for order in ORDERS:
        config = LayerConfig(2, 3, 2, (3, 2), (2, 2), order, blur=True, dtype=bulk)
        case = f"BL-001/{_slug('layer', order, (2, 2))}-1-sample"
        check = partial(blurred_layer, config=config, spatial=(4, 5), case=case, batch=1)
        yield Case(case, ("BL-001", "BL-003"), "layer", needs_layer(config), check)
    for scale, order in product([(2, 2), (2, 3), (3, 3)], ORDERS):
        config = LayerConfig(2, 3, 2, (3, 2), scale, order, blur=True, dtype=bulk)
        case = f"BL-001/{_slug('layer', order, scale)}"
        yield Case(
            case, ("BL-001", "BL-003"), "layer", needs_layer(config), partial(blurred_layer, config=config, spatial=(4, 5), case=case)
        )
        case = f"BL-002/{_slug(order, scale)}"
        yield Case(case, ("BL-002",), "layer", needs_layer(config), partial(constant_interior, config=config, spatial=(7, 6), case=case))
    chains: list[tuple[Any, tuple[tuple[int, ...], ...], int | None, str | None, bool]] = [
        ((3, 2), ((2, 3), (2, 2)), 3, "relu", False),
        ((3,), ((3,), (2,)), None, None, False),
        ((3, 2), ((2, 2), (2, 2)), 3, "relu", True),
    ]
    for number, (kernel, factors, width, activation, separable) in enumerate(chains if exhaustive else chains[:2]):
        scale = tuple(map(prod, zip(*factors, strict=True)))
        for order in ORDERS if exhaustive or not number else ("DCR", "CRD"):
            chain = LayerConfig(len(scale), 3, 2, kernel, scale, order, factors=factors, width=width, activation=activation)
            config = replace(chain, separable=separable, blur=True, dtype=bulk)
            case = f"BL-004/{_slug(order, *factors, activation or 'linear')}{'-separable' if separable else ''}"
            check = partial(blurred_layer, config=config, spatial=(3, 4)[: len(scale)], case=case)
            yield Case(case, ("BL-004",), "layer", needs_layer(config), check)
    for scale in [(3,), (2, 3), (2, 2), (2, 1, 3)]:
        shape = (2, *(r * n for r, n in zip(scale, (3, 4, 2), strict=False)), 3)
        needs = Needs(("checkerboard",), ndim=len(scale), anisotropic=len(set(scale)) > 1, scale_one=1 in scale)
        case = f"CB-001/{_slug(scale)}"
        yield Case(case, ("CB-001",), "layer", needs, partial(measure, shape=shape, scale=scale, case=case))
