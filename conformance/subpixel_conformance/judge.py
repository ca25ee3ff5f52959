"""Put one case to one implementation, and say what became of it."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from .adapter import AdapterProtocol
from .case import Case, Evidence, Mismatch, Unavailable, claims_of, dtype_of
from .result import Result, told


class Watched:
    """An adapter on one device, with what the suite never takes on trust: where tensors lie (EX-003), and that arrays are arrays."""

    def __init__(self, adapter: AdapterProtocol, device: str) -> None:
        self._adapter, self._device = adapter, device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return the array as a native tensor, which lies on the device."""
        return self._on_device("an input", self._adapter.to_native(array, device))

    def to_numpy(self, value: Any) -> np.ndarray:
        """Return a native tensor, which lies on the device, as a plain array."""
        return plain_array(self._adapter.to_numpy(self._on_device("a result", value)))

    def _on_device(self, what: str, value: Any) -> Any:
        if value is None:
            raise Mismatch(f"{what} must be an array of numbers; got None")
        found = self._adapter.device_of(value)
        if found != self._device:
            raise Mismatch(f"{what} must lie on {self._device}; got {found}", clause="EX-003")
        return value


def plain_array(value: Any) -> np.ndarray:
    """Return ``value`` as an ndarray and nothing more, so that no subclass tells its shape or compares itself.

    Raises
    ------
    Mismatch
        For anything that is no array of numbers.
    """
    if not isinstance(value, np.ndarray):
        raise Mismatch(f"the result must be an array of numbers; got {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.hasobject or array.dtype.kind in "USMm" or array.dtype.names is not None:
        raise Mismatch(f"the result must be an array of numbers; got dtype {array.dtype}")
    return array


def judge(case: Case, adapter: AdapterProtocol, device: str) -> Result:
    """Return the verdict on ``case``: pass, fail, error, not_claimed or unavailable.

    Whatever the implementation raises is an *error* with its text, except where a refusal is what the case asks for. To judge many cases,
    give it a `Watched` adapter: what one case has computed then serves the next.
    """
    result = Result(
        case=case.id,
        clauses=case.clauses,
        conformance_class=case.conformance_class,
        status="pass",
        device=device,
        mode=case.needs.mode,
        dtype=case.needs.dtype or "",
    )
    started = time.perf_counter()
    try:
        reason = case.needs.missing(claims_of(adapter))
        if reason is not None:
            return replace(result, status="not_claimed", message=reason)
        reason = _unavailable(case, adapter, device)
        if reason is not None:
            return replace(result, status="unavailable", message=reason)
        watched: Any = adapter if isinstance(adapter, Watched) else Watched(adapter, device)
        evidence = case.check(watched, device)
    except Mismatch as mismatch:
        result = replace(
            result,
            status="fail",
            message=_attributed(mismatch, case),
            clauses=(mismatch.clause,) if mismatch.clause else case.clauses,
            order_found=mismatch.order_found,
            ratio=mismatch.ratio,
            reproduction=mismatch.reproduction,
        )
    except Unavailable as unavailable:
        return replace(result, status="unavailable", message=str(unavailable))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        result = replace(result, status="error", message=f"{case.clauses[0]} ({case.id}): {told(error)}")
    else:
        evidence = evidence or Evidence()
        result = replace(result, ratio=evidence.ratio, deviation=evidence.deviation)
    return replace(result, seconds=time.perf_counter() - started)


def _attributed(mismatch: Mismatch, case: Case) -> str:
    """Return the message, with the clause and the case in front where it does not name them."""
    clause = mismatch.clause or case.clauses[0]
    return mismatch.message if case.id in mismatch.message else f"{clause} ({case.id}): {mismatch.message}"


def _unavailable(case: Case, adapter: AdapterProtocol, device: str) -> str | None:
    devices = adapter.devices()
    if device not in devices:
        return f"device {device} is not claimed"
    if devices[device] is not None:
        return f"{device}: {devices[device]}"
    if case.needs.mode != "eager":
        reason = adapter.modes(device).get(case.needs.mode, "the adapter does not say whether this machine can run it")
        if reason is not None:
            return f"{case.needs.mode}: {reason}"
    try:
        if case.needs.dtype is not None:
            dtype_of(case.needs.dtype)
    except ImportError as error:
        return f"dtype {case.needs.dtype}: {error}"
    return None
