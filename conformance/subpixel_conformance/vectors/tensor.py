"""A tensor in a vector file: dtype, shape, and its values in one of four ways.

``values``: integers in C order. ``bits``: the bits of every value as a hexadecimal number, most significant digit first. ``formula``
"arange": value j at position j. ``sha256``: of the bytes, little-endian and in C order. bfloat16 is held as its bits, in uint16.
"""

import hashlib
from math import prod
from typing import Any

import numpy as np

WIDTHS = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
}  # fmt: skip
"""Bytes of a value, by dtype."""

LARGEST = 2**22
"""Values that a tensor may have."""

EXACT = {"float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "float64": 2**53}
"""Up to here every integer is a value of the dtype."""


class VectorError(ValueError):
    """A vector or a file of vectors is not what it must be. The text is one line that names the file and the vector."""


def container(dtype: str) -> np.dtype[Any]:
    """Return the little-endian NumPy dtype that holds values of ``dtype``."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder("<")


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of the values, little-endian and in C order, as hexadecimal digits."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(little.tobytes("C")).hexdigest()


def encode(array: np.ndarray, dtype: str | None = None, *, way: str = "values", within: float | None = None) -> dict[str, Any]:
    """Return the JSON of an array.

    ``way`` is "values", "bits", "sha256", "arange", or "arange+sha256"; ``dtype`` is the array's own but for bfloat16, whose bits come
    as uint16. Raises ValueError where the way does not hold the values.
    """
    dtype = dtype or str(array.dtype)
    tensor: dict[str, Any] = {"dtype": dtype, "shape": list(array.shape)}
    if way == "values":
        largest = EXACT.get(dtype, 2**53)
        if dtype == "bfloat16" or not all(value == value // 1 and abs(value) <= largest for value in array.ravel().tolist()):
            raise ValueError(f"values must be integers up to {largest}, which {dtype} and float64 hold; got {array.ravel()[:5]}")
        tensor["values"] = [int(value) for value in array.ravel().tolist()]
    elif way == "bits":
        width = WIDTHS[dtype]
        raw = np.ascontiguousarray(array).astype(container(dtype)).view(f"<u{width}")
        tensor["bits"] = [f"{int(value):0{2 * width}x}" for value in raw.ravel()]
    else:
        if way.startswith("arange"):
            tensor["formula"] = "arange"
        if way.endswith("sha256"):
            tensor["sha256"] = digest(array)
    if within is not None:
        tensor["within"] = within
    return tensor


def decode(tensor: Any) -> np.ndarray:
    """Return the array of a tensor; bfloat16 as its bits, in uint16. Raises VectorError where it is no tensor with values of its own."""
    dtype, shape = _frame(tensor)
    size = prod(shape)
    if "values" in tensor:
        array = _from_values(tensor["values"], dtype, size)
    elif "bits" in tensor:
        array = _from_bits(tensor["bits"], dtype, size)
    elif "formula" in tensor:
        array = _arange(tensor["formula"], dtype, size)
    else:
        raise VectorError("an input must have values, bits or a formula; got a checksum alone")
    if "sha256" in tensor and digest(array) != tensor["sha256"]:
        raise VectorError(f"sha256 must be that of the formula's bytes, {digest(array)}; got {tensor['sha256']}")
    return array.reshape(shape)


def difference(expected: dict[str, Any], array: np.ndarray) -> str:
    """Return what differs between a tensor of a vector and an array of the same dtype, or "" where nothing does."""
    dtype, shape = _frame(expected)
    if tuple(array.shape) != shape:
        return f"shape must be {list(array.shape)}; got {list(shape)}"
    if array.dtype != container(dtype):
        return f"dtype must be {array.dtype}; got {dtype}"
    if "sha256" in expected:
        return "" if digest(array) == expected["sha256"] else f"sha256 must be {digest(array)}; got {expected['sha256']}"
    wanted = decode(expected)
    if "within" in expected:
        amiss = ~(np.abs(wanted.astype(np.longdouble) - array) <= expected["within"])
    elif "bits" in expected:
        unsigned = f"<u{WIDTHS[dtype]}"
        amiss = wanted.view(unsigned) != np.ascontiguousarray(array).view(unsigned) if wanted.ndim else wanted.tobytes() != array.tobytes()
    else:
        amiss = wanted != array
    amiss = np.asarray(amiss)
    if not amiss.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(amiss)[0])
    return f"value at {list(at)} must be {array[at]}; got {wanted[at]}"


def _frame(tensor: Any) -> tuple[str, tuple[int, ...]]:
    """Return dtype and shape, checked."""
    if not isinstance(tensor, dict):
        raise VectorError(f"a tensor must be an object; got {_short(tensor)}")
    dtype, shape = tensor.get("dtype"), tensor.get("shape")
    if not isinstance(dtype, str) or dtype not in WIDTHS:
        raise VectorError(f"dtype must be one of {', '.join(WIDTHS)}; got {_short(dtype)}")
    if not isinstance(shape, list) or not all(_is_integer(extent) and extent >= 0 for extent in shape) or prod(shape) > LARGEST:
        raise VectorError(f"shape must be a list of extents from 0, with at most {LARGEST} values; got {_short(shape)}")
    ways = sorted({"values", "bits", "formula", "sha256"} & set(tensor))
    if len(ways) != 1 and ways != ["formula", "sha256"]:
        raise VectorError(f"a tensor must have values, bits, a formula, or a sha256; got {' and '.join(ways) or 'none'}")
    return dtype, tuple(shape)


def _from_values(values: Any, dtype: str, size: int) -> np.ndarray:
    if dtype == "bfloat16":
        raise VectorError("bfloat16 must come as bits; got values")
    if not isinstance(values, list) or len(values) != size:
        raise VectorError(f"values must be a list of {size}; got {_of_length(values)}")
    kind = container(dtype)
    if kind.kind == "b":
        low, high = 0, 1
    elif kind.kind == "f":
        low, high = -EXACT[dtype], EXACT[dtype]
    else:
        low, high = max(int(np.iinfo(kind).min), -(2**53)), min(int(np.iinfo(kind).max), 2**53)
    for value in values:
        if not _is_integer(value) or not low <= value <= high:
            raise VectorError(f"values must be integers from {low} to {high}; got {_short(value)}")
    return np.array(values, dtype=kind)


def _from_bits(bits: Any, dtype: str, size: int) -> np.ndarray:
    if not isinstance(bits, list) or len(bits) != size:
        raise VectorError(f"bits must be a list of {size}; got {_of_length(bits)}")
    width = WIDTHS[dtype]
    for text in bits:
        if not isinstance(text, str) or len(text) != 2 * width or set(text) - set("0123456789abcdef"):
            raise VectorError(f"bits must be {2 * width} hexadecimal digits in lower case; got {_short(text)}")
    return np.array([int(text, 16) for text in bits], dtype=f"<u{width}").view(container(dtype))


def _arange(formula: Any, dtype: str, size: int) -> np.ndarray:
    if formula != "arange":
        raise VectorError(f'formula must be "arange"; got {_short(formula)}')
    kind = container(dtype)
    largest = EXACT.get(dtype, 2) if kind.kind in "bf" or dtype == "bfloat16" else int(np.iinfo(kind).max)
    if dtype in ("bool", "bfloat16") or size - 1 > largest:
        raise VectorError(f"arange must be exact in its dtype; got {size} values of {dtype}")
    return np.arange(size).astype(kind)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _of_length(value: Any) -> str:
    return f"{len(value)} entries" if isinstance(value, list) else _short(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
