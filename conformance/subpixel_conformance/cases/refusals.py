"""ER: what is asked for cannot be had, and nothing may be returned."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import numpy as np

from ..adapter import OPERATIONS, AdapterProtocol
from ..case import Case, Mismatch, Needs, Unavailable, claims_of
from .arrays import labelled, small_integers

Attempt = Callable[[AdapterProtocol, str], Any]


class Answering:
    """An adapter of which every operation has to raise in order to refuse: None is an answer, whatever becomes of it later."""

    def __init__(self, adapter: AdapterProtocol) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._adapter, name)
        if name not in OPERATIONS:
            return found

        def operation(*arguments: Any, **options: Any) -> Any:
            value = found(*arguments, **options)
            if value is None:
                raise Mismatch("an exception refuses; got None")
            return value

        return operation


def refused(adapter: AdapterProtocol, device: str, *, attempt: Attempt, asked: str, clause: str, case: str) -> None:
    """Raise `Mismatch` when the attempt comes to a value, None too. Any exception before that will do, whatever its type."""
    try:
        value = attempt(cast("AdapterProtocol", Answering(adapter)), device)
    except Mismatch as mismatch:
        raise Mismatch(f"{clause} ({case}): {asked} must be refused; {mismatch.message}", clause=mismatch.clause) from mismatch
    except Unavailable:
        raise
    except Exception:
        return
    what = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
    raise Mismatch(f"{clause} ({case}): {asked} must be refused; got {what}")


def shifted(operation: str, shape: tuple[int, ...], scale: Any, dtype: str, order: Any = None, data_format: Any = None) -> Attempt:
    """Return an attempt at a shift; order and data format are the first that are claimed, where none is given.

    ``shape`` is in channels_last; it is turned for an implementation that only knows channels_first.
    """

    def attempt(adapter: AdapterProtocol, device: str) -> np.ndarray:
        claims = claims_of(adapter)
        layout = claims.data_formats[0]
        turned = (*shape[:1], *shape[-1:], *shape[1:-1]) if layout == "channels_first" and len(shape) > 2 else shape
        try:
            x = adapter.to_native(labelled(turned, dtype)[0].array, device)
        except ImportError as error:  # of a dtype that NumPy does not have itself: no refusal of the implementation's
            raise Unavailable(f"dtype {dtype}: {error}") from error
        call = getattr(adapter, operation)
        y = call(x, scale, order=claims.orders[0] if order is None else order, data_format=layout if data_format is None else data_format)
        return adapter.to_numpy(y)

    return attempt


def measured(operation: str, shape: tuple[int, ...], scale: Any, dtype: str) -> Attempt:
    """Return an attempt at a blur, a nearest-neighbour upsampling or the checkerboard measure."""

    def attempt(adapter: AdapterProtocol, device: str) -> Any:
        y = getattr(adapter, operation)(adapter.to_native(small_integers(shape, dtype), device), scale)
        return y if operation == "checkerboard" else adapter.to_numpy(y)

    return attempt


def planned(*arguments: Any, **options: Any) -> Attempt:
    """Return an attempt at a plan."""

    def attempt(adapter: AdapterProtocol, device: str) -> Any:
        return [stage.scale for stage in adapter.plan_stages(*arguments, **options).stages]

    return attempt


def _case(clause: str, slug: str, attempt: Attempt, asked: str, conformance_class: str = "shift", **needs: Any) -> Case:
    case = f"{clause}/{slug}"
    check = partial(refused, attempt=attempt, asked=asked, clause=clause, case=case)
    return Case(case, (clause,), conformance_class, Needs(refusal=clause, **needs), check)


def cases(dtype: str, real: str) -> Iterator[Case]:
    """Yield the cases of ER, in every profile: on tensors of ``dtype``, and of ``real`` where something is computed."""
    for operation in ("phase_shift", "inverse_phase_shift"):
        yield from _scale_cases(operation, dtype)
        name = "inverse" if operation == "inverse_phase_shift" else "shift"
        shape = (2, 4, 6, 12)
        either: dict[str, Any] = {"operations": (operation,), "ndim": 2, "batch_ndim": 1, "dtype": dtype}
        for slug, order in [("unknown", "XYZ"), ("lower-case", "dcr"), ("empty", ""), ("number", 3), ("anagram", "CDR")]:
            attempt = shifted(operation, shape, (2, 2), dtype, order=order)
            yield _case("ER-005", f"{name}-order-{slug}", attempt, f"order={order!r}", **either)
        for slug, data_format in [("nhwc", "NHWC"), ("misspelt", "channels-last"), ("empty", "")]:
            attempt = shifted(operation, shape, (2, 2), dtype, data_format=data_format)
            yield _case("ER-005", f"{name}-format-{slug}", attempt, f"data_format={data_format!r}", **either)
        for few in [(4, 12), (12,), ()]:
            attempt = shifted(operation, few, (2, 2), dtype)
            yield _case("ER-006", f"{name}-{len(few)}-axes", attempt, f"a tensor of shape {few} under two spatial axes", **either)
    yield from _extent_cases(dtype)
    yield from _plan_cases()
    for operation in ("box_blur", "checkerboard"):
        needs: dict[str, Any] = {"operations": (operation,), "ndim": 2, "dtype": real, "conformance_class": "layer"}
        yield _case("ER-001", f"{operation}-zero", measured(operation, (2, 4, 6, 3), (0, 0), real), "scale=(0, 0)", **needs)
        yield _case("ER-002", f"{operation}-float", measured(operation, (2, 4, 6, 3), (2.0, 2.0), real), "scale=(2.0, 2.0)", **needs)
        yield _case(
            "ER-006",
            f"{operation}-2-axes",
            measured(operation, (6, 3), (2, 2), real),
            "a tensor of shape (6, 3) under two spatial axes",
            **needs,
        )
    needs = {"operations": ("checkerboard",), "ndim": 2, "dtype": real, "conformance_class": "layer"}
    attempt = measured("checkerboard", (2, 5, 6, 3), (2, 2), real)
    yield _case("ER-004", "checkerboard-remainder", attempt, "an extent of 5 under a factor of 2", **needs)


def _scale_cases(operation: str, dtype: str) -> Iterator[Case]:
    name = "inverse" if operation == "inverse_phase_shift" else "shift"
    needs: dict[str, Any] = {"operations": (operation,), "ndim": 2, "batch_ndim": 1, "dtype": dtype}
    low: list[tuple[str, Any, bool]] = [("zero", (0, 0), False), ("negative", (-2, -2), False), ("minus-one", (-1, -1), False)]
    low += [("one-zero", (2, 0), True), ("one-negative", (2, -3), True)]
    for slug, scale, anisotropic in low:
        attempt = shifted(operation, (2, 4, 6, 12), scale, dtype)
        yield _case("ER-001", f"{name}-{slug}", attempt, f"scale={scale}", anisotropic=anisotropic, **needs)
    strange: list[tuple[str, Any, bool]] = [("float", (2.0, 2.0), False), ("fraction", (1.5, 1.5), False), ("bool", (True, True), False)]
    strange += [("string", ("2", "2"), False), ("none", (), True), ("one-float", (2, 3.0), True), ("one-bool", (2, True), True)]
    strange += [("bare-float", 2.0, True), ("bare-bool", True, True), ("bare-string", "2", True), ("nothing", None, True)]
    for slug, scale, anisotropic in strange:
        attempt = shifted(operation, (2, 4, 6, 12), scale, dtype)
        yield _case("ER-002", f"{name}-{slug}", attempt, f"scale={scale!r}", anisotropic=anisotropic, **needs)


def _extent_cases(dtype: str) -> Iterator[Case]:
    needs: dict[str, Any] = {"ndim": 2, "batch_ndim": 1, "dtype": dtype}
    rows: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [("2x2", (2, 4, 6, 10), (2, 2)), ("3x3", (2, 3, 4, 12), (3, 3))]
    rows += [("2x3", (2, 4, 6, 10), (2, 3)), ("too-few", (2, 4, 6, 3), (2, 2))]
    for slug, shape, scale in rows:
        attempt = shifted("phase_shift", shape, scale, dtype)
        uneven = len(set(scale)) > 1
        asked = f"{shape[-1]} channels under scale={scale}"
        yield _case("ER-003", slug, attempt, asked, operations=("phase_shift",), anisotropic=uneven, **needs)
    rows = [
        ("rows", (2, 5, 6, 3), (2, 2)),
        ("columns", (2, 6, 5, 3), (2, 2)),
        ("both", (2, 4, 5, 3), (3, 3)),
        ("2x3", (2, 6, 4, 3), (2, 3)),
    ]
    for slug, shape, scale in rows:
        attempt = shifted("inverse_phase_shift", shape, scale, dtype)
        uneven = len(set(scale)) > 1
        asked = f"extents {shape[1:3]} under scale={scale}"
        yield _case("ER-004", slug, attempt, asked, operations=("inverse_phase_shift",), anisotropic=uneven, **needs)


def _plan_cases() -> Iterator[Case]:
    needs: dict[str, Any] = {"operations": ("plan_stages",), "conformance_class": "stages"}
    for clause, slug, scale in [("ER-001", "zero", 0), ("ER-001", "negative", -4), ("ER-002", "float", 4.0), ("ER-002", "bool", True)]:
        yield _case(clause, f"plan-{slug}", planned(scale, 3, 2), f"scale={scale}", **needs)
    wrong: list[tuple[str, Any, Any]] = [("too-little", 6, (2, 2)), ("too-much", 8, (3, 3)), ("prime", 7, (2, 3)), ("log2", 3, (2,))]
    wrong += [("one-axis", (4, 6), ((2, 3), (2, 3))), ("other-axis", (6, 4), ((2, 2), (2, 2))), ("no-stage", 4, ())]
    for slug, scale, factors in wrong:
        yield _case("ER-007", slug, planned(scale, 3, 2, factors=factors), f"factors={factors} for scale={scale}", **needs)
