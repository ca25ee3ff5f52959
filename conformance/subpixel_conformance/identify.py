"""Which order is this? Asked of an output, or of a function.

Where orders coincide (one output channel, one axis) the first that fits is named, in the sequence DCR, CRD, DRC, RCD.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from . import oracle
from .adapter import ORDERS


def matching_order(x: np.ndarray, y: np.ndarray, scale: tuple[int, ...], data_format: str, inverse: bool = False) -> str | None:
    """Return the order under which ``y`` is the phase shift of ``x`` (``inverse``: the inverse), bit for bit; None when there is none."""
    operation = oracle.inverse_phase_shift if inverse else oracle.phase_shift
    for order in ORDERS:
        expected = operation(x, scale, order=order, data_format=data_format)
        if y.shape == expected.shape and y.dtype == expected.dtype and y.tobytes() == expected.tobytes():
            return order
    return None


def describe(x: np.ndarray, y: np.ndarray, scale: tuple[int, ...], data_format: str, inverse: bool = False) -> str:
    """Say in words what ``y`` is to ``x``: one of the orders, some other permutation, or none."""
    order = matching_order(x, y, scale, data_format, inverse)
    if order is not None:
        return f"it matches {order}"
    if x.size == y.size and x.dtype == y.dtype and sorted(_values(x)) == sorted(_values(y)):
        return "a permutation, but of none of the four orders"
    return "not a permutation"


def identify_order(function: Callable[..., Any], *, ndim: int = 2, data_format: str = "channels_last") -> str | None:
    """Return the order of a phase shift, or None when it is none of the four.

    ``function(x, scale)`` takes a NumPy array (float32, one batch axis) and a tuple of factors. It is tried with unequal factors
    first, then, if it refuses them, with equal ones, and with a single integer.

    Raises
    ------
    Exception
        What the function raises for the last of them, when it refuses all.
    """
    unequal = (2, 3, 4, 2)[:ndim]
    equal = (2,) * ndim
    attempts: list[tuple[tuple[int, ...], Any]] = [(unequal, unequal), (equal, equal), (equal, 2)]
    failure: Exception | None = None
    for scale, argument in attempts:
        spatial = (2, 3, 1, 2)[:ndim]
        channels = 3 * prod(scale)
        shape = (2, channels, *spatial) if data_format == "channels_first" else (2, *spatial, channels)
        x = np.arange(prod(shape), dtype=np.float32).reshape(shape)
        try:
            y = np.asarray(function(x.copy(), argument))
        except Exception as error:
            failure = error
            continue
        return matching_order(x, y, scale, data_format)
    raise failure or ValueError(f"function must be a phase shift; got {function!r}")


def _values(values: np.ndarray) -> list[bytes]:
    raw, size = values.tobytes(), values.dtype.itemsize
    return [raw[start : start + size] for start in range(0, len(raw), size)]
