"""EX: compilers, unknown extents, devices."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from ..adapter import DATA_FORMATS, ORDERS, Adapter
from ..case import MODES, Case, Mismatch
from .arrays import labelled
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


def compiled_equals_eager(adapter: Adapter, device: str, *, call: Call, mode: str, case: str) -> None:
    """Demand that the compiled call gives what the eager call gives. "vmap" maps over the first of the batch axes."""
    (x,) = labelled(call.shape, call.dtype)
    if mode == "vmap":
        inner = replace(call, batch=call.batch[1:])
        expected = np.stack([inner.run(adapter, device, sample) for sample in x.array])
    else:
        expected = call.run(adapter, device, x.array)
    function = adapter.compile(call.function(adapter), mode)
    y = adapter.to_numpy(function(adapter.to_native(x.array.copy(), device)))
    call.demand_equal(adapter, "EX-001", f"{case}, as compared with the eager call", x, y, expected)


def unknown_extents(adapter: Adapter, device: str, *, call: Call, mode: str, case: str) -> None:
    """Demand that one function, compiled once, serves two sets of extents, and gives the formula's values for both."""
    function = adapter.compile(call.function(adapter), mode)
    larger = replace(call, batch=tuple(n + 2 for n in call.batch), spatial=tuple(extent + 3 for extent in call.spatial))
    for extents in (call, larger):
        (x,) = labelled(extents.shape, extents.dtype)
        y = adapter.to_numpy(function(adapter.to_native(x.array.copy(), device)))
        extents.demand_equal(adapter, "EX-002", case, x, y, extents.expected(x.array))


def stays_on_device(adapter: Adapter, device: str, *, call: Call, case: str) -> None:
    """Demand that the input lies on the device that was asked for, and so does the result."""
    (x,) = labelled(call.shape, call.dtype)
    native = adapter.to_native(x.array.copy(), device)
    for what, tensor in [("the input", native), ("the result", call.function(adapter)(native))]:
        found = adapter.device_of(tensor)
        if found != device:
            raise Mismatch(f"EX-003 ({case}): {what} must lie on {device}; got {found}")


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases of EX: few for every mode in the quick profile, all orders, formats and operations in the full one."""
    calls = list(REPRESENTATIVES)
    if profile == "full":
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
        clause, check = ("EX-002", unknown_extents) if mode.endswith("dynamic") else ("EX-001", compiled_equals_eager)
        for call in dict.fromkeys(calls):
            if mode == "vmap":
                call = replace(call, batch=(3, *call.batch))
            case = f"{clause}/{mode}-{call.slug}"
            needs = call.needs(mode=mode, batch_ndim=1 if mode == "vmap" else len(call.batch))
            yield Case(case, (clause,), "shift", needs, partial(check, call=call, mode=mode, case=case))
    for order in ORDERS:
        for data_format in DATA_FORMATS:
            for operation in OPERATIONS:
                call = Call(operation, (2, 2), order, data_format, (2,), (3, 5), 3)
                case = f"EX-003/{call.slug}"
                yield Case(case, ("EX-003",), "shift", call.needs(), partial(stays_on_device, call=call, case=case))
