"""EX: compilers, unknown extents, devices: of the shift, its gradient, layers, and wherever a result comes from."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .. import compare
from ..adapter import DATA_FORMATS, ORDERS, AdapterProtocol, LayerConfig
from ..case import MODES, Case, Mismatch, Needs
from .arrays import Labelled, labelled, small_integers
from .layer import expected_layer, needs_layer, parameters_for
from .shift import OPERATIONS, Call

REPRESENTATIVES = (
    Call("phase_shift", (2, 2), "CRD", "channels_first", (2,), (3, 5), 3),
    Call("phase_shift", (2, 2), "DCR", "channels_last", (2,), (3, 5), 3),
    Call("phase_shift", (2, 3), "DRC", "channels_last", (3,), (4, 5), 2),
    Call("phase_shift", (2, 3), "RCD", "channels_first", (3,), (4, 5), 2),
    Call("inverse_phase_shift", (2, 2), "CRD", "channels_first", (2,), (3, 5), 3),
    Call("inverse_phase_shift", (2, 3), "DCR", "channels_last", (3,), (4, 5), 2),
    Call("phase_shift", (3,), "CRD", "channels_first", (2,), (4,), 2),
    Call("phase_shift", (2, 1, 3), "DCR", "channels_last", (2,), (3, 2, 4), 2),
)
"""The calls that are compiled: every order, both formats, the inverse, one to three axes. A compiler may take seconds for each."""
FEW = {
    "compile": (REPRESENTATIVES[0], REPRESENTATIVES[2]),
    "compile-dynamic": (REPRESENTATIVES[1], REPRESENTATIVES[3]),
}
"""Those that the full profile has where a C++ compiler is called for each: every order and format once. The inverse is the gradient's."""
DTYPES = ("bool", "int8", "int32", "int64", "uint8", "float16", "bfloat16", "float64", "complex64")
PULLED = (
    Call("phase_shift", (2, 3), "DCR", "channels_last", (2,), (4, 5), 2),
    Call("phase_shift", (2, 3), "CRD", "channels_first", (2,), (4, 5), 2),
    Call("inverse_phase_shift", (2, 3), "DRC", "channels_last", (2,), (4, 5), 2),
    Call("inverse_phase_shift", (2, 2), "RCD", "channels_first", (2,), (3, 5), 3),
)
"""The calls whose gradients are compiled: the first alone in the full profile."""
LAYERS = (
    ("plain", LayerConfig(2, 3, 2, (3, 2), (2, 3), "CRD")),
    ("plain", LayerConfig(2, 3, 2, (3, 3), (2, 2), "DCR")),
    ("separable", LayerConfig(2, 3, 2, (3, 2), (2, 2), "DRC", separable=True)),
    ("chain", LayerConfig(2, 3, 2, (3, 2), (2, 3), "RCD", factors=((2, 1), (1, 3)), width=2, activation="relu")),
)
"""The layers that are compiled, and judged by where their results lie: the first alone in the full profile."""


def twice(call: Call) -> list[Labelled]:
    """Return labels, and the same backwards: a function that was compiled with the values of its first call gives those again."""
    return [turned for x in labelled(call.shape, call.dtype) for turned in (x, Labelled(np.flip(x.array).copy(), f"np.flip({x.source})"))]


def compiled_equals_eager(adapter: AdapterProtocol, device: str, *, call: Call, mode: str, case: str) -> None:
    """Demand that the compiled call gives what the eager call gives. "vmap" maps over the first of the batch axes."""
    function = adapter.compile(call.function(adapter), mode)
    for x in twice(call):
        if mode == "vmap":
            inner = replace(call, batch=call.batch[1:])
            expected = np.stack([inner.run(adapter, device, sample) for sample in x.array])
        else:
            expected = call.run(adapter, device, x.array)
        y = adapter.to_numpy(function(adapter.to_native(x.array.copy(), device)))
        call.demand_equal(adapter, "EX-001", f"{case}, as compared with the eager call", x, y, expected)


def unknown_extents(adapter: AdapterProtocol, device: str, *, call: Call, mode: str, case: str) -> None:
    """Demand that one function, compiled once, serves two sets of extents, and gives the formula's values for both."""
    function = adapter.compile(call.function(adapter), mode)
    larger = replace(call, batch=tuple(n + 2 for n in call.batch), spatial=tuple(extent + 3 for extent in call.spatial))
    for extents in (call, larger):
        for x in twice(extents):
            y = adapter.to_numpy(function(adapter.to_native(x.array.copy(), device)))
            extents.demand_equal(adapter, "EX-002", case, x, y, extents.expected(x.array))


def compiled_gradient(adapter: AdapterProtocol, device: str, *, call: Call, mode: str, clause: str, case: str) -> None:
    """Demand of the compiled gradient that it is the other operation on the cotangent, bit for bit; also for extents unknown before."""
    other = replace(call, operation="phase_shift" if call.inverse else "inverse_phase_shift")
    inner = replace(call, batch=call.batch[1:]) if mode == "vmap" else call

    def gradient(x: Any, cotangent: Any) -> Any:
        return adapter.vjp(inner.function(adapter), x, cotangent)

    function = adapter.compile(gradient, mode)
    larger = replace(call, batch=tuple(2 * n for n in call.batch), spatial=tuple(2 * extent for extent in call.spatial))
    for extents in (call, larger) if mode.endswith("dynamic") else (call,):
        (x,), (cotangent,) = labelled(extents.shape, call.dtype), labelled(extents.output_shape, call.dtype)
        for values, weights in [(x.array, cotangent.array), (np.flip(x.array), np.flip(cotangent.array))]:
            native = [adapter.to_native(array.copy(), device) for array in (values, weights)]
            expected = replace(other, batch=extents.batch, spatial=extents.spatial).expected(weights)
            difference = compare.bitwise(adapter.to_numpy(function(*native)), expected)
            if difference is not None:
                raise Mismatch(difference.message(clause, case, "the gradient, d_x"))


def compiled_layer(adapter: AdapterProtocol, device: str, *, config: LayerConfig, mode: str, clause: str, case: str) -> None:
    """Demand of the compiled layer exactly the formula on integers; also for extents unknown before."""
    parameters = parameters_for(config, integers=True)
    layer = adapter.layer(config, device, parameters)

    def apply(x: Any) -> Any:
        return layer(x)

    function = adapter.compile(apply, mode)
    mapped = (3,) if mode == "vmap" else ()
    for batch, spatial in [(2, (4, 5)), (3, (6, 4))] if mode.endswith("dynamic") else [(2, (4, 5))]:
        shape = (*mapped, batch, *spatial, config.in_channels)
        for x in (small_integers(shape, config.dtype), small_integers(shape, config.dtype, start=700)):
            y = adapter.to_numpy(function(adapter.to_native(x.copy(), device)))
            samples = x.reshape(-1, *x.shape[-3:])
            expected = expected_layer(samples, config, parameters)
            difference = compare.exact(y, expected.reshape(*x.shape[:-3], *expected.shape[1:]))
            if difference is not None:
                raise Mismatch(difference.message(clause, case))


def layer_on_device(adapter: AdapterProtocol, device: str, *, config: LayerConfig, gradients: bool) -> None:
    """Demand that what a layer gives, or the gradient for its input, lies on the device; `Watched` looks at every result."""
    layer = adapter.layer(config, device, parameters_for(config, integers=True))
    x = adapter.to_native(small_integers((2, 4, 5, config.in_channels), config.dtype), device)
    y = layer(x)
    adapter.to_numpy(layer.gradients(x, y)[0] if gradients else y)


def gradient_on_device(adapter: AdapterProtocol, device: str, *, call: Call) -> None:
    """Demand that the gradient of the shift lies on the device."""
    x, cotangent = labelled(call.shape, call.dtype)[0], labelled(call.output_shape, call.dtype)[0]
    native = [adapter.to_native(values.array.copy(), device) for values in (x, cotangent)]
    adapter.to_numpy(adapter.vjp(call.function(adapter), *native))


def stays_on_device(adapter: AdapterProtocol, device: str, *, call: Call, case: str) -> None:
    """Demand that the input lies on the device that was asked for, and so does the result."""
    x = labelled(call.shape, call.dtype)[0]
    native = adapter.to_native(x.array.copy(), device)
    for what, tensor in [("the input", native), ("the result", call.function(adapter)(native))]:
        found = adapter.device_of(tensor)
        if found != device:
            raise Mismatch(f"EX-003 ({case}): {what} must lie on {device}; got {found}")


def cases(profile: str, dtype: str, real: str) -> Iterator[Case]:
    """Yield the cases of EX: few for every mode in the full profile, all orders, formats and operations in the exhaustive one.

    Those of the shift are in ``dtype``, those of gradients and layers in ``real``.
    """
    calls = list(REPRESENTATIVES)
    if profile == "exhaustive":
        for order in ORDERS:
            for data_format in DATA_FORMATS:
                for operation in OPERATIONS:
                    calls += [
                        Call(operation, (2, 3), order, data_format, (3,), (4, 5), 2),
                        Call(operation, (2, 2), order, data_format, (2,), (3, 5), 3),
                    ]
    for mode in MODES:
        if mode == "eager":
            continue
        dynamic = mode.endswith("dynamic")
        clause, check = ("EX-002", unknown_extents) if dynamic else ("EX-001", compiled_equals_eager)
        chosen = [replace(call, dtype=dtype) for call in dict.fromkeys(calls) if profile == "exhaustive" or call in FEW.get(mode, calls)]
        typed = [replace(REPRESENTATIVES[2], dtype=other) for other in DTYPES if other != dtype] if profile == "exhaustive" else []
        for call in (*chosen, *typed):
            if mode == "vmap":
                call = replace(call, batch=(3, *call.batch))
            case = f"{clause}/{mode}-{call.slug}"
            needs = call.needs(mode=mode, batch_ndim=1 if mode == "vmap" else len(call.batch))
            yield Case(case, (clause,), "shift", needs, partial(check, call=call, mode=mode, case=case))
        yield from _derived(mode, clause, real, profile == "exhaustive")
    yield from _places(real)
    for order in ORDERS:
        for data_format in DATA_FORMATS:
            for operation in OPERATIONS:
                call = Call(operation, (2, 2), order, data_format, (2,), (3, 5), 3, dtype)
                case = f"EX-003/{call.slug}"
                yield Case(case, ("EX-003",), "shift", call.needs(), partial(stays_on_device, call=call, case=case))


def _derived(mode: str, clause: str, dtype: str, exhaustive: bool) -> Iterator[Case]:
    """Yield the compiled gradients and layers of one mode. Where a compiler is slow, what EX-002 does not ask for is left to exhaustive."""
    if mode == "compile-dynamic" and not exhaustive:
        return
    for call in PULLED if exhaustive else PULLED[:1]:
        call = replace(call, dtype=dtype)
        if mode == "vmap":
            call = replace(call, batch=(3, *call.batch))
        case = f"{clause}/{mode}-gradient-{call.slug}"
        batch_ndim = 1 if mode == "vmap" else len(call.batch)
        needs = call.needs(mode=mode, operations=(call.operation, "vjp"), batch_ndim=batch_ndim)
        check = partial(compiled_gradient, call=call, mode=mode, clause=clause, case=case)
        yield Case(case, (clause, "GR-002" if call.inverse else "GR-001"), "gradient", needs, check)
    for what, config in LAYERS if exhaustive else LAYERS[:1]:
        config = replace(config, dtype=dtype)
        case = f"{clause}/{mode}-layer-{what}-{config.order}-{'x'.join(map(str, config.scale))}"
        check = partial(compiled_layer, config=config, mode=mode, clause=clause, case=case)
        yield Case(case, (clause, "SC-004" if config.factors else "SC-001"), "layer", replace(needs_layer(config), mode=mode), check)


def _places(dtype: str) -> Iterator[Case]:
    """Yield the cases of EX-003 for gradients and layers. For all other operations `Watched` demands it wherever they are judged."""
    for call in PULLED:
        call = replace(call, dtype=dtype)
        needs: Needs = call.needs(operations=(call.operation, "vjp"))
        yield Case(f"EX-003/gradient-{call.slug}", ("EX-003",), "gradient", needs, partial(gradient_on_device, call=call))
    for what, config in LAYERS:
        config = replace(config, dtype=dtype)
        for gradients in (False, True) if config.activation is None else (False,):
            needs = needs_layer(config)
            if gradients:
                needs = replace(needs, operations=(*needs.operations, "vjp"))
            case = f"EX-003/{'gradient-of-' if gradients else ''}layer-{what}-{config.order}"
            check = partial(layer_on_device, config=config, gradients=gradients)
            yield Case(case, ("EX-003",), "gradient" if gradients else "layer", needs, check)
