"""The positive control: the bound that tells float32 from TensorFloat-32 does tell it, where this hardware has it."""

from collections.abc import Iterator, Mapping

import numpy as np

from .. import compare
from ..adapter import AdapterProtocol, LayerConfig
from ..case import Case, Evidence, Mismatch, Needs, Unavailable
from .arrays import normal
from .layer import expected_layer, needs_layer, parameters_for, run_layer, stage_bound

CONFIG = LayerConfig(2, 16, 8, (3, 3), (2, 2), "DCR")
"""Few terms for each sum, so that the bound is far below what an input of 10 bits of mantissa leaves; sizes that a GPU's units take."""
SPATIAL = (16, 16)


def control(adapter: AdapterProtocol, device: str) -> Evidence:
    """Demand that a layer with reduced precision allowed is outside the bound of SC-003, and the same layer without it inside.

    The switches are left as they were read. ``ratio`` is that without.
    """
    reason = _why_not(adapter, device)
    if reason is not None:
        raise Unavailable(reason)
    before = dict(adapter.reduced_precision(device, None))
    try:
        allowed = dict(adapter.reduced_precision(device, True))
        _demand_read(allowed, True)
        reduced = _ratio(adapter, device)
        forbidden = dict(adapter.reduced_precision(device, False))
        _demand_read(forbidden, False)
        strict = _ratio(adapter, device)
    finally:
        adapter.reduced_precision(device, any(before.values()))
    if reduced <= 1:
        raise Mismatch(
            f"with reduced precision allowed ({_shown(allowed)}) an output must be outside the bound of float32; "
            f"the largest error is {reduced:.3g} times the bound, so the switches do nothing, or the bound sees nothing"
        )
    if strict > 1:
        raise Mismatch(f"without reduced precision ({_shown(forbidden)}) every output must be inside the bound", ratio=strict)
    return Evidence(strict)


def _why_not(adapter: AdapterProtocol, device: str) -> str | None:
    """Return why there is nothing to control, or None."""
    for name in ("reduced_precision", "reduces_precision"):
        if not hasattr(adapter, name):
            return f"the adapter has no {name}"
    reason = adapter.reduces_precision(device)
    return None if reason is None else f"{device}: {reason}"


def _ratio(adapter: AdapterProtocol, device: str) -> float:
    """Return the largest error of a float32 layer over its bound."""
    parameters = parameters_for(CONFIG, integers=False)
    x = normal((2, *SPATIAL, CONFIG.in_channels), CONFIG.dtype, seed=0)
    y = run_layer(adapter, device, CONFIG, parameters, x)
    ratio, _ = compare.within(y, expected_layer(x, CONFIG, parameters), np.asarray(stage_bound(x, parameters[0], CONFIG.scale, CONFIG)))
    return ratio


def _demand_read(switches: Mapping[str, bool], allowed: bool) -> None:
    if not switches or any(value is not allowed for value in switches.values()):
        raise Mismatch(f"every switch must read {allowed} after it was set so; got {_shown(switches) or 'no switch'}")


def _shown(switches: Mapping[str, bool]) -> str:
    return ", ".join(f"{name} reads {value}" for name, value in switches.items())


def cases(profile: str) -> Iterator[Case]:
    """Yield the control, in every profile: a layer, twice."""
    needs: Needs = needs_layer(CONFIG)
    yield Case("SC-003/control-reduced-precision", ("SC-003",), "layer", needs, control)
