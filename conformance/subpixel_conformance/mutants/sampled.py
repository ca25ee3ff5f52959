"""Mistakes that only a sampled geometry meets, and mistakes that only a compiled gradient or layer makes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import honest
from .mutant import Mutant, mutant

ORDERS = "PS-001 PS-002 PS-003 PS-004"
PAIR = "phase_shift inverse_phase_shift"


def _one_channel(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Take a short cut for one output channel, where no order of channels seems to matter: the other order of offsets."""
    axis = -1 if data_format == "channels_last" else x.ndim - len(scale) - 1
    if x.shape[axis] == int(np.prod(scale)):
        order = {"DCR": "DRC", "CRD": "RCD", "DRC": "DCR", "RCD": "CRD"}.get(order, order)
    return honest.phase_shift(x, scale, order=order, data_format=data_format)


def _wide(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Go another way for more than five channels."""
    y = honest.inverse_phase_shift(x, scale, order=order, data_format=data_format)
    axis = x.ndim - 1 if data_format == "channels_last" else x.ndim - len(scale) - 1
    return np.flip(y, axis) if x.shape[axis] > 5 else y


def _compiled(wrong: str, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """Return the function as it is, but for a gradient (two arguments) or a layer (named ``apply``)."""
    if mode != "jit" or function.__name__ != wrong:
        return function
    return lambda *tensors: np.flip(function(*tensors), -1)


def mutants() -> Iterator[Mutant]:
    """Yield them."""
    yield mutant("a short cut for one channel", ORDERS, operations="phase_shift", phase_shift=_one_channel)
    yield mutant("another way for more than five channels", "IP-001", operations="inverse_phase_shift", inverse_phase_shift=_wide)
    claims = {"modes": ("eager", "jit")}
    yield mutant(
        "the compiled gradient is turned",
        "EX-001",
        operations=f"{PAIR} vjp",
        claims=claims,
        compile=lambda function, mode: _compiled("gradient", function, mode),
    )
    yield mutant(
        "the compiled layer is turned",
        "EX-001",
        operations="layer",
        claims=claims,
        compile=lambda function, mode: _compiled("apply", function, mode),
    )
