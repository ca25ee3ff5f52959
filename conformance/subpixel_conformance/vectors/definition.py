"""A vector without its outputs, and the inputs that vectors share: labelled, so that every position can be told from every other."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .tensor import WIDTHS, container, encode

Shape = tuple[int, ...]
Tensor = dict[str, Any]

ORDERS = ("DCR", "CRD", "DRC", "RCD")
FORMATS = {"last": "channels_last", "first": "channels_first"}
ORDER_CLAUSES = {"DCR": "PS-001", "CRD": "PS-002", "DRC": "PS-003", "RCD": "PS-004"}
GITHUB = "https://github.com/"


@dataclass(frozen=True)
class Definition:
    """A vector without its outputs. ``way`` is how they are written; ``refuses`` names the argument at fault instead of outputs."""

    id: str
    operation: str
    clauses: tuple[str, ...]
    why: str
    arguments: dict[str, Any]
    inputs: dict[str, Tensor]
    link: str = ""
    way: str = "values"
    refuses: str = ""


def arange(shape: Shape, dtype: str = "float32", *, checked: bool = False) -> Tensor:
    """Return 0, 1, 2, … in C order, as a formula; ``checked`` adds the checksum of its bytes."""
    tensor: Tensor = {"dtype": dtype, "shape": list(shape), "formula": "arange"}
    return encode(np.arange(prod(shape), dtype=dtype).reshape(shape), way="arange+sha256") if checked else tensor


def mixed(shape: Shape, start: int, modulus: int, dtype: str = "float32") -> Tensor:
    """Return small integers around 0 that repeat along no axis."""
    j = np.arange(start, start + prod(shape), dtype=np.int64)
    values = (7 * j * j + 13 * j + 5 * (j >> 2)) % 1009 % modulus - modulus // 2
    return encode(values.astype(dtype).reshape(shape))


def shape_of(batch: Shape, spatial: Shape, channels: int, data_format: str) -> Shape:
    """Return the shape of a tensor in a data format."""
    return (*batch, *spatial, channels) if data_format == "channels_last" else (*batch, channels, *spatial)


def special(shape: Shape, dtype: str) -> Tensor:
    """Return the bit patterns that careless code changes, each followed by an ordinary value of its own."""
    exponent, mantissa = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}[dtype]
    sign, infinity, quiet = 1 << (exponent + mantissa), ((1 << exponent) - 1) << mantissa, 1 << (mantissa - 1)
    one = ((1 << (exponent - 1)) - 1) << mantissa
    patterns = [sign, 0, infinity, sign | infinity, infinity | quiet, infinity | quiet | 5, sign | infinity | quiet | 3]
    patterns += [infinity | 1, infinity | 6, 1, sign | 1, (1 << mantissa) - 1, 1 << mantissa, infinity - 1, sign | (infinity - 1)]
    size = prod(shape)
    listed = [patterns[j // 2 % len(patterns)] if j % 2 == 0 else one + j for j in range(size)]
    unsigned = np.array(listed, dtype=f"<u{WIDTHS[dtype]}").reshape(shape)
    return encode(unsigned.view(container(dtype)), dtype, way="bits")


def layer(x: Shape, kernel: Shape, biased: bool, start: int) -> dict[str, Tensor]:
    """Return an input, a kernel and, if there is one, a bias of small integers."""
    inputs = {"x": mixed(x, 3 * start, 19), "kernel": mixed(kernel, 5 * start + 1, 11)}
    return inputs | ({"bias": mixed(kernel[-1:], 7 * start + 2, 37)} if biased else {})
