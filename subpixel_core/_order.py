"""The four channel orders, and the permutation that moves weights from one to another."""

from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from subpixel_core import check

Order = Literal["DCR", "CRD", "DRC", "RCD"]
DataFormat = Literal["channels_last", "channels_first"]

ORDERS: tuple[Order, ...] = ("DCR", "CRD", "DRC", "RCD")
DATA_FORMATS: tuple[DataFormat, ...] = ("channels_last", "channels_first")
CHANNEL = -1
"""Stands for the output channel c among the parts of a channel index. An offset is named by the number of its spatial axis."""


def channel_parts(order: str, ndim: int) -> tuple[int, ...]:
    """Return what a channel index is made of, from the slowest part to the fastest.

    >>> channel_parts("DCR", 2)      # k = (o_0 * r_1 + o_1) * C + c
    (0, 1, -1)
    >>> channel_parts("RCD", 2)      # k = (c * r_1 + o_1) * r_0 + o_0
    (-1, 1, 0)
    """
    row_major, column_major = tuple(range(ndim)), tuple(reversed(range(ndim)))
    return {
        "DCR": (*row_major, CHANNEL),  # PS-001
        "CRD": (CHANNEL, *row_major),  # PS-002
        "DRC": (*column_major, CHANNEL),  # PS-003
        "RCD": (CHANNEL, *column_major),  # PS-004
    }[order]


def channel_permutation(channels: int, scale: check.Scale, *, source: Order, target: Order) -> NDArray[np.intp]:
    """Return the permutation that carries weights made for one order to another.

    With ``p = channel_permutation(...)``, for every ``x`` with that many channels ::

        phase_shift(x, scale, order=source) == phase_shift(x[..., p], scale, order=target)

    so a kernel ``W`` and bias ``b`` before the shift become ``W[..., p]`` and ``b[p]``. The same holds for everything kept per channel
    between convolution and shift: normalization parameters and statistics, PReLU slopes, weight-norm magnitudes, quantization scales.

    Parameters
    ----------
    channels : int
        Number of low-resolution channels, ``C * prod(scale)``.
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.
    source, target : {"DCR", "CRD", "DRC", "RCD"}
        The order that the weights were made for, and the order that they shall run under.

    Returns
    -------
    ndarray of int, shape (channels,)

    Raises
    ------
    ValueError, TypeError
        If the channels are not a multiple of the product of the scale, or an argument is not of its kind.

    Examples
    --------
    >>> channel_permutation(8, 2, source="CRD", target="DCR")
    array([0, 4, 1, 5, 2, 6, 3, 7])
    """
    # CP-001, CP-002
    factors = check.per_axis("scale", scale)
    channels = check.integer("channels", channels, minimum=0)
    check.one_of("source", source, ORDERS)
    check.one_of("target", target, ORDERS)
    blocks = prod(factors)
    check.multiple("channels", channels, blocks, f"the product of scale={factors}")
    extent: dict[int, Any] = {CHANNEL: channels // blocks, **dict(enumerate(factors))}
    parts = channel_parts(source, len(factors))
    labelled = np.arange(channels).reshape([extent[part] for part in parts])
    return labelled.transpose([parts.index(part) for part in channel_parts(target, len(factors))]).reshape(-1)
