"""Put one case to one implementation, and say what became of it."""

import time
from dataclasses import replace

from .adapter import Adapter
from .case import Case, Evidence, Mismatch, claims_of, dtype_of
from .result import Result


def judge(case: Case, adapter: Adapter, device: str) -> Result:
    """Return the verdict on ``case``: pass, fail, error, not_claimed or unavailable.

    Whatever the implementation raises is an *error* with its text, except where a refusal is what the case asks for.
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
        evidence = case.check(adapter, device)
    except Mismatch as mismatch:
        result = replace(
            result,
            status="fail",
            message=mismatch.message,
            order_found=mismatch.order_found,
            ratio=mismatch.ratio,
            reproduction=mismatch.reproduction,
        )
    except Exception as error:
        result = replace(result, status="error", message=f"{case.clauses[0]} ({case.id}): {type(error).__name__}: {error}")
    else:
        evidence = evidence or Evidence()
        result = replace(result, ratio=evidence.ratio, deviation=evidence.deviation)
    return replace(result, seconds=time.perf_counter() - started)


def _unavailable(case: Case, adapter: Adapter, device: str) -> str | None:
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
