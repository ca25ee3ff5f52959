"""Implementations that claim more than they do: on another device, for another input, in another dtype, in memory that is not theirs.

What the suite cannot see is listed in `NOT_JUDGED`, with the reason.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import oracle
from . import honest
from .init import layer_mutant
from .mutant import Mutant, mutant

Shift = Callable[..., np.ndarray]

PAIR = "phase_shift inverse_phase_shift"
EVERY_ORDER = "PS-001 PS-002 PS-003 PS-004"

NOT_JUDGED = {
    "computes on the host and brings the result back": (
        "a result tells where it lies, not which way it came; EX-003 says SHOULD NOT of the way, and a test of their source forbids it "
        "to the backends of this library"
    ),
    "calls the reference of this library for what it cannot do": (
        "whoever gives the right values follows the specification; what such a detour breaks is judged: the device of the result (EX-003), "
        "the gradient (GR-001) and compiled calls (EX-001)"
    ),
    "returns a view of its input": (
        "where the shift is the identity, a framework's own reshape does so too; that no call changes its input (PS-011), and no later "
        "call an earlier result (PS-010), is judged"
    ),
}
"""What looks like dishonesty and cannot be told from an honest implementation by what comes out, and why."""


class OnAccelerator(np.ndarray):
    """An array that counts as a tensor on a device; what the oracle makes of it does not."""


def _put(array: np.ndarray, device: str) -> np.ndarray:
    return array.view(OnAccelerator)


def _device(value: Any) -> str:
    return "accelerator" if isinstance(value, OnAccelerator) else "cpu"


def _on_the_host_for(*orders: str) -> Shift:
    """Return a shift that stays on the device, but for some orders."""

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        y = honest.phase_shift(np.asarray(x), scale, order=order, data_format=data_format)
        return y if order in orders else y.view(OnAccelerator)

    return shift


def _remembered(key: Callable[..., Any]) -> Shift:
    """Return a shift that answers from memory where ``key`` of the input is known."""
    known: dict[Any, np.ndarray] = {}

    def shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        at = (key(x), scale, order, data_format)
        if at not in known:
            known[at] = honest.phase_shift(x, scale, order=order, data_format=data_format)
        return known[at].copy()

    return shift


def _by_shape(x: np.ndarray) -> Any:
    return x.shape, x.dtype.str


def _by_sum(x: np.ndarray) -> Any:
    """Return what tells most labelled inputs apart, and no two arrangements of the same values."""
    with np.errstate(all="ignore"):
        return x.shape, x.dtype.str, x.astype(np.complex128).sum().tobytes()


def _one_buffer(operation: Callable[..., np.ndarray]) -> Shift:
    """Return the operation with results in one piece of memory for every shape, written anew by each call."""
    memory: dict[Any, np.ndarray] = {}

    def written(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
        y = operation(x, scale, **options)
        place = memory.setdefault((y.shape, y.dtype.str), np.empty_like(y))
        place[...] = y
        return place

    return written


def _over_its_input(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
    """Return the shift, written over its input: a view of it."""
    y = honest.phase_shift(x, scale, **options)
    if not (x.flags.writeable and x.flags.c_contiguous):
        return y
    place = x.reshape(y.shape)
    place[...] = y
    return place


def _through(dtype: type, operation: Callable[..., np.ndarray]) -> Shift:
    def shift(x: np.ndarray, scale: Any, **options: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            return operation(x.astype(dtype), scale, **options).astype(x.dtype)

    return shift


class _InFloat32(honest.HonestLayer):
    """Convolves in float32, and hands out float64."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return self.rounded(oracle.conv(x, kernel, bias, padding=padding).astype(np.float32))


class _DepthwiseInFloat32(honest.HonestLayer):
    """Keeps what is between the two convolutions of a separable layer in float32, and hands out float64."""

    def stage(self, x: np.ndarray, held: Any, scale: tuple[int, ...]) -> np.ndarray:
        if "depthwise" in held:
            held = {**held, "depthwise": held["depthwise"].astype(np.float32).astype(np.float64)}
        return super().stage(x, held, scale)


def _float32_conv(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
    return honest.conv(x.astype(np.float32), kernel.astype(np.float32), bias, padding=padding).astype(x.dtype)


def mutants() -> Iterator[Mutant]:
    """Yield them."""
    device: dict[str, Any] = {"to_native": _put, "device_of": _device}
    claims = {"devices": ("accelerator",)}
    yield mutant(
        "two orders on the host", "EX-003", operations="phase_shift", claims=claims, phase_shift=_on_the_host_for("DRC", "RCD"), **device
    )
    misplaced = f"{EVERY_ORDER} PS-005 PS-006 PS-007 PS-008 PS-010 PS-012 IP-002"
    yield mutant("answers remembered by shape", "PS-007 PS-010", misplaced, operations=PAIR, phase_shift=_remembered(_by_shape))
    yield mutant("answers remembered by a sum", "PS-005", misplaced, operations=PAIR, phase_shift=_remembered(_by_sum))
    yield mutant("results in memory that is written anew", "PS-010", "", operations=PAIR, phase_shift=_one_buffer(honest.phase_shift))
    yield mutant(
        "results of the inverse in memory that is written anew",
        "IP-003",
        operations=PAIR,
        inverse_phase_shift=_one_buffer(honest.inverse_phase_shift),
    )
    yield mutant("the shift written over its input", "PS-011", "", operations=PAIR, phase_shift=_over_its_input)
    integers = {"dtypes": ("int64", "float32")}
    yield mutant(
        "int64 through float64",
        f"PS-010 {EVERY_ORDER}",
        operations=PAIR,
        claims=integers,
        phase_shift=_through(np.float64, honest.phase_shift),
    )
    yield mutant(
        "the inverse of float64 through float32",
        "IP-003",
        "IP-001",
        operations=PAIR,
        claims={"dtypes": ("float32", "float64")},
        inverse_phase_shift=_through(np.float32, honest.inverse_phase_shift),
    )
    yield mutant("a convolution of float64 in float32", "CV-003", operations="conv", claims={"dtypes": ("float64",)}, conv=_float32_conv)
    yield layer_mutant("a layer of float64 in float32", "SC-003 SP-002", "", _InFloat32, dtypes=("float32", "float64"))
    yield layer_mutant("a depthwise kernel of float64 in float32", "SP-002", "", _DepthwiseInFloat32, dtypes=("float32", "float64"))
