"""ICNR in the manner of `torch.nn.init`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from subpixel_core import Order, base_shape
from subpixel_core.check import Scale, in_place, per_axis
from subpixel_torch.ops import inverse_phase_shift


def icnr_(weight: Tensor, scale: Scale, *, order: Order = "CRD", initializer: Callable[[Tensor], Any] = nn.init.kaiming_normal_) -> Tensor:
    """Fill the weight of a sub-pixel convolution in place so that it starts as a nearest-neighbour resize.

    The bias must be replicated as well (the layers of this package do so), or be zero.

    Parameters
    ----------
    weight : Tensor, shape (C * prod(scale), Ci, *k)
        A parameter that can be written. Under weight normalization, initialize first and normalize afterwards: the weight of a normalized
        module is computed anew at every access, and under `torch.no_grad` nothing tells it from a parameter.
    scale : int or tuple of int
        One factor per spatial axis of the weight; an int is that factor on every axis.
    order : {"CRD", "DCR", "DRC", "RCD"}
        The order of the phase shift that follows.
    initializer : callable
        Fills a tensor of the base shape (C, Ci, *k) in place, so that it sees the fans of that shape.

    Returns
    -------
    Tensor
        ``weight``.

    References
    ----------
    Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution", §3.

    Examples
    --------
    >>> conv = nn.Conv2d(8, 3 * 4, 3)
    >>> _ = icnr_(conv.weight, 2)
    >>> bool((conv.weight[0] == conv.weight[3]).all())
    True
    """
    in_place(weight.is_leaf)
    *_, in_channels, channels = base_shape((*weight.shape[2:], *weight.shape[1::-1]), scale)
    base = weight.new_empty((channels, in_channels, *weight.shape[2:]))
    with torch.no_grad():
        initializer(base)
        return weight.copy_(replicate(base, per_axis("scale", scale, weight.ndim - 2), order=order))


def replicate(base: Tensor, scale: tuple[int, ...], *, order: Order) -> Tensor:
    """Return ``base``, whose first axis is the output channel, with every channel at the indices of its whole block.

    That is the inverse phase shift of a constant block, which holds the rule for every order.
    """
    block = base.movedim(0, -1).reshape(*base.shape[1:], base.shape[0], *(1 for _ in scale))
    block = block.expand(*base.shape[1:], base.shape[0], *scale)
    return inverse_phase_shift(block, scale, order=order).flatten(-1 - len(scale)).movedim(-1, 0)
