"""Which order is this? Asked of an output, or of a function.

Where orders coincide (one output channel, one axis) the first that fits is named, in the sequence DCR, CRD, DRC, RCD.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from . import oracle
from .adapter import ORDERS

SCALE_NAMES = ("scale", "upscale_factor", "upscale_factors", "scale_factor", "block_size", "blocksize", "downscale_factor", "factor", "r")
NDIM_NAMES = ("spatial_dims", "ndim", "dims", "num_spatial_dims")
FORMAT_NAMES = {"channels_last": ("channels_last", "NHWC"), "channels_first": ("channels_first", "NCHW")}


@dataclass(frozen=True)
class Identification:
    """What a function is in one data format: ``order`` where it is a phase shift, or with ``inverse`` the inverse of one.

    ``answer`` says it in words; ``refusal`` is what the function raised last where it refused every call.
    """

    order: str | None
    answer: str
    inverse: bool = False
    refusal: Exception | None = None


def matching_order(x: np.ndarray, y: np.ndarray, scale: tuple[int, ...], data_format: str, inverse: bool = False) -> str | None:
    """Return the order under which ``y`` is the phase shift of ``x`` (``inverse``: the inverse), bit for bit; None when there is none."""
    return next(matching_orders(x, y, scale, data_format, inverse), None)


def matching_orders(x: np.ndarray, y: np.ndarray, scale: tuple[int, ...], data_format: str, inverse: bool = False) -> Iterator[str]:
    """Yield every such order: several where they coincide."""
    operation = oracle.inverse_phase_shift if inverse else oracle.phase_shift
    for order in ORDERS:
        expected = operation(x, scale, order=order, data_format=data_format)
        if y.shape == expected.shape and y.dtype == expected.dtype and y.tobytes() == expected.tobytes():
            yield order


def describe(x: np.ndarray, y: np.ndarray, scale: tuple[int, ...], data_format: str, inverse: bool = False) -> str:
    """Say in words what ``y`` is to ``x``: one of the orders, some other permutation, or none."""
    order = matching_order(x, y, scale, data_format, inverse)
    if order is not None:
        return f"it matches {order}"
    if _same_values(x, y):
        return "a permutation, but of none of the four orders"
    return "not a permutation"


def identify_order(function: Callable[..., Any], *, ndim: int = 2, data_format: str = "channels_last") -> str | None:
    """Return the order of a phase shift of NumPy arrays, or None when it is none of the four.

    Raises
    ------
    Exception
        What the function raises for the last of the calls that `identify` tries, when it refuses them all.
    """
    found = identify(function, ndim=ndim, data_format=data_format)
    if found.refusal is not None:
        raise found.refusal
    return None if found.inverse else found.order


def identify(
    function: Callable[..., Any],
    *,
    ndim: int = 2,
    data_format: str = "channels_last",
    to_native: Callable[[np.ndarray], Any] = np.asarray,
    to_numpy: Callable[[Any], np.ndarray] = np.asarray,
) -> Identification:
    """Say which order ``function`` follows in one data format, as a phase shift or as the inverse of one.

    It is called with a tensor (float32, one batch axis) and the factors: unequal ones, then equal ones as a tuple and as an integer; by
    keyword where its signature has a name for them, else as the second argument. A number of axes and a data format are passed where the
    signature has a name for them. A class is constructed with the factors, and its instance called. A function that follows an order is
    asked again in the same way, of other sizes and factors; where it then follows another, it has no one order.
    """
    answers: list[Identification] = []
    refusal = Exception("it was never called")
    for inverse in (False, True):
        for scale, argument in _factors(ndim):
            x = _labels(scale, data_format, inverse)
            for call in _calls(function, argument, ndim, data_format):
                try:
                    y = np.asarray(to_numpy(call(to_native(x.copy()))))
                except Exception as error:
                    refusal = error if not inverse else refusal
                    continue
                answers.append(_judge(x, y, scale, data_format, inverse))
                if answers[-1].order is not None:
                    first = (x, scale, tuple(matching_orders(x, y, scale, data_format, inverse)))
                    again = _again(function, argument, scale, ndim, data_format, inverse)
                    return _agreed(first, again, to_native, to_numpy, data_format, inverse)
    if not answers:
        text = " ".join(str(refusal).split())
        return Identification(None, f"refused ({type(refusal).__name__}: {text})"[:400], refusal=refusal)
    return next((answer for answer in answers if "permutation" in answer.answer), answers[0])


def _factors(ndim: int) -> list[tuple[tuple[int, ...], Any]]:
    unequal, equal = (2, 3, 4, 2)[:ndim], (2,) * ndim
    return [(unequal, unequal), (equal, equal), (equal, 2)]


@dataclass(frozen=True)
class _Sizes:
    """Samples, low-resolution extents and channels at high resolution."""

    samples: int = 2
    extents: tuple[int, ...] = (2, 3, 1, 2)
    channels: int = 3


OTHERS = (
    _Sizes(samples=1),
    _Sizes(samples=8),
    _Sizes(extents=(8, 9, 2, 1)),
    _Sizes(extents=(1, 8, 2, 3)),
    _Sizes(channels=8),
    _Sizes(channels=16),
)
"""What a function is asked of again."""


def _labels(scale: tuple[int, ...], data_format: str, inverse: bool, sizes: _Sizes = _Sizes()) -> np.ndarray:
    """Return labelled values of a shape that no two orders agree on: at low resolution, or for the inverse at high resolution."""
    low = sizes.extents[: len(scale)]
    spatial = tuple(n * r for n, r in zip(low, scale, strict=True)) if inverse else low
    channels = sizes.channels if inverse else sizes.channels * prod(scale)
    shape = (sizes.samples, channels, *spatial) if data_format == "channels_first" else (sizes.samples, *spatial, channels)
    return np.arange(prod(shape), dtype=np.float32).reshape(shape)


Asked = tuple[np.ndarray, tuple[int, ...], Callable[[Any], Any]]
"""A tensor, the factors, and a call of the function with them."""


def _again(
    function: Callable[..., Any], argument: Any, scale: tuple[int, ...], ndim: int, data_format: str, inverse: bool
) -> Iterator[Asked]:
    """Yield calls with other sizes, and with other factors that are given in the same way."""
    turned = tuple(r + 1 for r in scale) if len(set(scale)) == 1 else scale[::-1]
    for factors, sizes in [*((scale, sizes) for sizes in OTHERS), (turned, _Sizes())]:
        given = factors if isinstance(argument, tuple) else factors[0]
        for call in _calls(function, given, ndim, data_format):
            yield _labels(factors, data_format, inverse, sizes), factors, call


def _agreed(
    first: tuple[np.ndarray, tuple[int, ...], tuple[str, ...]],
    again: Iterator[Asked],
    to_native: Callable[[np.ndarray], Any],
    to_numpy: Callable[[Any], np.ndarray],
    data_format: str,
    inverse: bool,
) -> Identification:
    """Return the order of the first call, if that of all others that are not refused is the same."""
    before, factors, orders = first
    for x, scale, call in again:
        try:
            y = np.asarray(to_numpy(call(to_native(x.copy()))))
        except Exception:  # what is refused has no order
            continue
        found = tuple(matching_orders(x, y, scale, data_format, inverse))
        if not set(found) & set(orders):
            other = found[0] if found else "none of the four"
            known = f"{orders[0]} for a tensor of shape {before.shape} under the factors {factors}"
            return Identification(None, f"no one order: {known}, {other} for {x.shape} under {scale}", inverse)
        orders = tuple(order for order in orders if order in found)
    return Identification(orders[0], f"{orders[0]}, as an inverse phase shift" if inverse else orders[0], inverse)


def _calls(function: Callable[..., Any], argument: Any, ndim: int, data_format: str) -> Iterator[Callable[[Any], Any]]:
    """Yield the ways to call ``function`` on a tensor: one, or one for each name that the data format goes by."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = []
    scale_name = next((name for name in SCALE_NAMES if name in parameters), None)
    named: dict[str, Any] = {} if scale_name is None else {scale_name: argument}
    positional = () if scale_name is not None else (argument,)
    named |= {name: ndim for name in NDIM_NAMES if name in parameters}
    for name in FORMAT_NAMES[data_format] if "data_format" in parameters else (None,):
        options = named if name is None else {**named, "data_format": name}
        if isinstance(function, type):
            yield partial(_through_instance, function, positional, options)
        else:
            yield partial(_through_call, function, positional, options)


def _through_instance(made: Callable[..., Any], positional: tuple[Any, ...], options: dict[str, Any], x: Any) -> Any:
    return made(*positional, **options)(x)


def _through_call(function: Callable[..., Any], positional: tuple[Any, ...], options: dict[str, Any], x: Any) -> Any:
    return function(x, *positional, **options)


def _judge(x: np.ndarray, y: np.ndarray, scale: tuple[int, ...], data_format: str, inverse: bool) -> Identification:
    order = matching_order(x, y, scale, data_format, inverse)
    what = "an inverse phase shift" if inverse else "a phase shift"
    if order is not None:
        return Identification(order, f"{order}, as an inverse phase shift" if inverse else order, inverse)
    operation = oracle.inverse_phase_shift if inverse else oracle.phase_shift
    shape = operation(x, scale, order="DCR", data_format=data_format).shape
    if y.shape == shape and _same_values(x, y):
        return Identification(None, f"a permutation of the shape of {what}, but none of the four orders", inverse)
    if y.shape == shape:
        return Identification(
            None, f"no phase shift: the shape of one, but values that do not come from the input ({y.dtype.name})", inverse
        )
    return Identification(None, f"no phase shift: {x.shape} under the factors {scale} becomes {y.shape}", inverse)


def _same_values(x: np.ndarray, y: np.ndarray) -> bool:
    return x.size == y.size and x.dtype == y.dtype and sorted(_values(x)) == sorted(_values(y))


def _values(values: np.ndarray) -> list[bytes]:
    raw, size = values.tobytes(), values.dtype.itemsize
    return [raw[start : start + size] for start in range(0, len(raw), size)]
