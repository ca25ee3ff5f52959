"""The three comparisons: bit for bit, within the bound of a sum, and exact on integers.

There is no relative tolerance here: a moved value is equal or wrong, and the error that a sum may have follows from its terms (CV-003).
Every comparison returns a `Difference` for the first wrong index in row-major order, or None.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass(frozen=True)
class Difference:
    """The first difference between a result and what it must be. ``index`` is None when shape or dtype already differ."""

    index: tuple[int, ...] | None
    actual: str
    expected: str
    ratio: float | None = None

    def message(self, clause: str, case: str, what: str = "y") -> str:
        """Return one line that names the clause, the case, the place, and both values."""
        place = what if self.index is None else f"{what}[{', '.join(map(str, self.index))}]"
        bound = "" if self.ratio is None else f" (error {self.ratio:.3g} times the bound)"
        return f"{clause} ({case}): {place} must be {self.expected}; got {self.actual}{bound}"


def unit_roundoff(dtype: str, *, accumulation: bool = False) -> float:
    """Return u of a floating-point dtype, or of what it is accumulated in: float32 for float16 and bfloat16."""
    if accumulation and dtype in ("float16", "bfloat16"):
        return UNIT_ROUNDOFF["float32"]
    return UNIT_ROUNDOFF[dtype]


def kind(actual: np.ndarray, shape: tuple[int, ...], dtype: Any = None) -> Difference | None:
    """Return how the shape or the dtype differ, if they do."""
    if actual.shape != shape:
        return Difference(None, f"shape {actual.shape}", f"shape {shape}")
    if dtype is not None and actual.dtype != dtype:
        return Difference(None, f"dtype {actual.dtype}", f"dtype {np.dtype(dtype)}")
    return None


def raw(values: np.ndarray) -> np.ndarray:
    """Return the bytes of every value, shape (size, itemsize), in row-major order."""
    return np.frombuffer(values.tobytes(), dtype=np.uint8).reshape(values.size, values.dtype.itemsize)


def bitwise(actual: np.ndarray, expected: np.ndarray) -> Difference | None:
    """Compare shape, dtype and every bit: -0 is not 0, and a NaN is only itself with the same payload."""
    difference = kind(actual, expected.shape, expected.dtype)
    if difference is not None or not expected.size:
        return difference
    wrong = (raw(actual) != raw(expected)).any(axis=1)
    if not wrong.any():
        return None
    index = _first(wrong, expected.shape)
    return Difference(index, _show(actual[index]), _show(expected[index]))


def same_counts(actual: Any, wanted: Any) -> bool:
    """Return whether ``actual`` is the integer ``wanted``, or such integers in its structure: a float that is equal is none."""
    if isinstance(wanted, int):
        return isinstance(actual, int | np.integer) and actual == wanted
    return len(actual) == len(wanted) and all(same_counts(one, other) for one, other in zip(actual, wanted, strict=True))


def exact(actual: np.ndarray, expected: np.ndarray, dtype: Any = None) -> Difference | None:
    """Compare values that the sums hold exactly (integers): equal or wrong. ``dtype`` is that of the result, where it is judged."""
    difference = kind(actual, expected.shape, dtype)
    if difference is not None:
        return difference
    wrong = np.atleast_1d(_wide(actual) != _wide(expected))
    if not wrong.any():
        return None
    index = _first(wrong, expected.shape)
    return Difference(index, _show(actual[index]), _show(expected[index]))


def sum_bound(exact_result: np.ndarray, absolute: np.ndarray, terms: int, dtype: str, bias: np.ndarray | float = 0.0) -> np.ndarray:
    """Return the bound of CV-003 on every output: ``terms * u * S + u * |R| + u * |R - bias|``, the first u that of the accumulation.

    ``exact_result`` R is the exact sum, ``absolute`` S the same sum of absolute values, both with the bias; ``terms`` counts it. The last
    summand is there where a bias is: the sum may be rounded before the bias is added.
    """
    exact = _wide(exact_result)
    rounded = np.abs(exact) + (np.abs(exact - _wide(np.asarray(bias))) if np.any(bias) else 0.0)
    return terms * unit_roundoff(dtype, accumulation=True) * _wide(absolute) + unit_roundoff(dtype) * rounded


def within(actual: np.ndarray, exact_result: np.ndarray, bound: np.ndarray, dtype: Any = None) -> tuple[float, Difference | None]:
    """Return the largest error over its bound, and the first output that exceeds it, if one does.

    Where the bound is 0 the result must be exact. A result that is not finite is always outside.
    """
    difference = kind(actual, exact_result.shape, dtype)
    if difference is not None:
        return float("inf"), difference
    if not actual.size:
        return 0.0, None
    error = np.abs(_wide(actual) - _wide(exact_result))
    limit = np.broadcast_to(_wide(bound), error.shape)
    ratio = np.where(error == 0, 0.0, np.divide(error, limit, out=np.full_like(error, np.inf), where=limit > 0))
    ratio = np.where(np.isnan(error), np.inf, ratio)
    wrong = np.atleast_1d(ratio > 1)
    if not wrong.any():
        return float(ratio.max()), None
    index = _first(wrong, exact_result.shape)
    return float(ratio.max()), Difference(index, _show(actual[index]), _show(exact_result[index]), float(ratio[index]))


def _wide(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype == np.longdouble or values.dtype.kind == "c":
        return values
    return values.astype(np.float64).astype(np.longdouble) if values.dtype.kind not in "iu" else values.astype(np.longdouble)


def _first(wrong: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong.reshape(-1))), shape))


def _show(value: Any) -> str:
    """Return the value, with its bits where the value alone does not tell: NaN, zero, subnormal."""
    text = str(value)
    plain = np.asarray(value)
    if plain.dtype.kind in "iub" or plain.dtype == np.longdouble:
        return text
    magnitude = abs(complex(value)) if plain.dtype.kind == "c" else abs(float(value))
    if not magnitude >= 1e-4:
        return f"{text} (0x{plain.tobytes()[::-1].hex()})"
    return text
