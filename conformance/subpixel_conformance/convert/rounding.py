"""How far two sums of the same products may be from each other.

CV-003 bounds the error of each, so their distance is at most the sum of the two bounds ::

    |original - converted| <= (n_o + n_c) * u * S + (4 + n_a) * v * S

with u the unit roundoff of the accumulation and v that of the result, n_o and n_c the terms of the two sums, n_a the taps that were added
up to one (EQ-012), and S the sum of the absolute values, which no result exceeds. S is computed by the original layer too, from absolute
values, and corrected by its own error. No number here is chosen: where S is 0, both must be 0.
"""

import numpy as np

from subpixel_conformance.compare import unit_roundoff

from .refusal import DiffersError, UnsuitableError


def used(name: str, actual: np.ndarray, expected: np.ndarray, total: np.ndarray, *, terms: tuple[int, int], added: int) -> float:
    """Return the largest part of the bound that a layer uses.

    Parameters
    ----------
    name : str
        Of the layer, for messages.
    actual, expected : ndarray
        What it makes of an input, and what its original makes of the same.
    total : ndarray
        What its original makes of absolute values, in float32 or float64.
    terms : (int, int)
        Of the sums of the original and of the converted layer, their biases counted.
    added : int
        Taps that were added up to one.

    Raises
    ------
    DiffersError
        If that is more than 1, or shape or dtype are others.
    UnsuitableError
        If the original is not finite, or has no value, so that nothing can be said.
    """
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        raise DiffersError(f"{name} makes {actual.dtype} {actual.shape}, and its original {expected.dtype} {expected.shape}")
    if not expected.size:
        raise UnsuitableError(f"{name} makes no value of these inputs, but {expected.shape}; give others with --inputs FILE.npz")
    if not np.isfinite(expected).all():
        raise UnsuitableError(f"{name} is not finite on these inputs, so that nothing can be said; give others with --inputs FILE.npz")
    dtype = str(expected.dtype)
    u, v, n = unit_roundoff(dtype, accumulation=True), unit_roundoff(dtype), sum(terms)
    s = total.astype(np.float64) / (1 - terms[0] * unit_roundoff(str(total.dtype)))
    smallest = float(np.finfo(expected.dtype).smallest_subnormal)  # the error of a product that underflows
    bound = (n * u + (4 + added) * v) * s / (1 - n * u) + np.where(s > 0, n * smallest, 0.0)
    distance = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    ratio = np.where(distance == 0, 0.0, np.divide(distance, bound, out=np.full_like(distance, np.inf), where=bound > 0))
    ratio = np.nan_to_num(ratio, nan=np.inf)
    largest = float(ratio.max(initial=0.0))
    if largest > 1:
        place = np.unravel_index(int(ratio.argmax()), ratio.shape)
        where = ", ".join(str(int(n)) for n in place)
        raise DiffersError(f"{name}: [{where}] must be {expected[place]}; got {actual[place]}, {largest:.3g} times what rounding allows")
    return largest


def apart(name: str, actual: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Return the largest distance of an output of a model from the original's, and the original's largest value.

    Raises
    ------
    DiffersError
        If shape or dtype are others, or it is finite in other places.
    """
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise DiffersError(f"output {name} is {actual.dtype} {actual.shape}, and the original's {expected.dtype} {expected.shape}")
    if expected.dtype.kind not in "fiub":
        return 0.0, 0.0
    before, after = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(before)
    if (finite != np.isfinite(after)).any():
        raise DiffersError(f"output {name} is finite in other places than the original's")
    return float(np.abs(before - after)[finite].max(initial=0.0)), float(np.abs(before)[finite].max(initial=0.0))
