"""The tensors that the cases use: labelled, so that every position can be told from every other."""

from dataclasses import dataclass
from math import prod

import numpy as np

from ..case import dtype_of


@dataclass(frozen=True)
class Labelled:
    """An array, and the Python that builds it."""

    array: np.ndarray
    source: str


_STEPS = {**dict.fromkeys(("int32", "uint32", "float64"), 2**24 + 403), **dict.fromkeys(("int64", "uint64"), 2**53 + 5)}
"""From one label to the next, where a dtype holds more than float32, or float64, does: odd, so that integers that wrap stay different."""


def labelled(shape: tuple[int, ...], dtype: str) -> list[Labelled]:
    """Return arrays of ``shape`` that together give every position its own label, the last third negative where the dtype has signs.

    One array suffices where the dtype holds enough values. Integers of 8 bits count modulo 251, a prime, so that no axis is a multiple of
    the period; a second array counts the periods. bool takes one array for every bit of the index. bfloat16 and float16 count in bit
    patterns, upwards from 1, every other one negative. What passes through a narrower dtype on its way loses its label.
    """
    size = prod(shape)
    count = f"np.arange({size})"
    index = np.arange(size)
    if dtype == "bool":
        bits = max(1, (size - 1).bit_length())
        return [
            Labelled((index >> bit & 1).astype(bool).reshape(shape), f"({count} >> {bit} & 1).astype(bool).reshape({shape})")
            for bit in range(bits)
        ]
    if dtype in ("int8", "uint8"):
        shifted, text = (125, " - 125") if dtype == "int8" else (0, "")
        arrays = []
        for period in range(1 if size <= 251 else 2):
            array = (index // 251**period % 251 - shifted).astype(dtype)
            arrays.append(Labelled(array.reshape(shape), f'({count} // {251**period} % 251{text}).astype("{dtype}").reshape({shape})'))
        return arrays
    if dtype in ("float16", "bfloat16"):
        one = {"float16": 0x3C00, "bfloat16": 0x3F80}[dtype]
        arrays = []
        for period in range(1 if size <= 16384 else 2):
            bits = one + index // 16384**period % 16384 | index % 2 << 15
            source = (
                f'({one:#06x} + {count} // {16384**period} % 16384 | {count} % 2 << 15).astype("uint16").view("{dtype}").reshape({shape})'
            )
            arrays.append(Labelled(bits.astype(np.uint16).view(dtype_of(dtype)).reshape(shape), source))
        return arrays
    negative = size // 3
    label, counted = np.r_[: size - negative, -negative:0], f"np.r_[:{size - negative}, {-negative}:0]"
    if dtype in ("complex64", "complex128"):
        array = (label - 1j * (index + 0.5)).astype(dtype)
        return [Labelled(array.reshape(shape), f'({counted} - 1j * ({count} + 0.5)).astype("{dtype}").reshape({shape})')]
    step = _STEPS.get(dtype, 1)
    written = f"({counted} * {step})" if step > 1 else counted
    return [Labelled((label * step).astype(dtype).reshape(shape), f'{written}.astype("{dtype}").reshape({shape})')]


def special_bits(dtype: str, size: int) -> np.ndarray:
    """Return ``size`` values of ``dtype``, the bit patterns that careless code changes first, each followed by a different ordinary one.

    Zeros and infinities of both signs, quiet and signalling NaNs with payloads, subnormals, the extremes; for integers the extremes.
    """
    wide = dtype_of(dtype)
    if wide.kind == "b":
        return (np.arange(size) % 3 == 0).astype(bool)
    if wide.kind in "iu":
        limits = np.iinfo(wide)
        values = np.array([limits.max, limits.min, limits.max - 1, limits.min + 1, 0, 1], dtype=wide)
        return np.resize(values, size)
    part = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    exponent, mantissa = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}[part]
    sign, infinity, quiet = 1 << (exponent + mantissa), ((1 << exponent) - 1) << mantissa, 1 << (mantissa - 1)
    one = ((1 << (exponent - 1)) - 1) << mantissa
    patterns = [sign, 0, infinity, sign | infinity, infinity | quiet, infinity | quiet | 5, sign | infinity | quiet | 3]
    patterns += [infinity | 1, infinity | 6, 1, sign | 1, (1 << mantissa) - 1, 1 << mantissa, infinity - 1, sign | (infinity - 1)]
    bits = np.dtype(f"uint{exponent + mantissa + 1}")
    count = size * (2 if dtype.startswith("complex") else 1)
    bit_patterns = [patterns[(j // 2) % len(patterns)] if j % 2 == 0 else one + j % 16384 for j in range(count)]
    return np.array(bit_patterns, dtype=bits).view(wide)


def small_integers(shape: tuple[int, ...], dtype: str, *, start: int = 0, modulus: int = 5) -> np.ndarray:
    """Return integers around 0, the same on every machine, without a pattern that an axis could repeat. Sums of them stay exact."""
    index = np.arange(start, start + prod(shape), dtype=np.int64)
    mixed = (index * index * 7 + index * 13 + (index >> 2) * 5) % 1009
    return (mixed % modulus - modulus // 2).astype(dtype_of(dtype)).reshape(shape)


def distinct_integers(size: int, dtype: str) -> np.ndarray:
    """Return ``size`` different integers around 0, shape (size,)."""
    return (size // 2 - np.arange(size)).astype(dtype_of(dtype))


def normal(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Return normal values, rounded to ``dtype`` before anyone computes with them."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype_of(dtype))
