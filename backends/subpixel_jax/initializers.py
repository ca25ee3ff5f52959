"""ICNR in the manner of `jax.nn.initializers`."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
from jax import Array

from subpixel_core import ORDERS, Order, base_shape
from subpixel_core.check import Scale, bias_scale, one_of, per_axis
from subpixel_jax.ops import inverse_phase_shift

Initializer = Callable[..., Array]
"""Takes (key, shape, dtype), as those of `jax.nn.initializers`."""


def icnr(initializer: Initializer, scale: Scale, order: Order = "DCR") -> Initializer:
    """Return an initializer with which a sub-pixel convolution starts as a nearest-neighbour resize.

    It serves as ``kernel_init`` wherever kernels are (*k, Ci, Co), and as ``bias_init``: the bias must be replicated as well, or be zero.

    Parameters
    ----------
    initializer : callable
        Takes (key, shape, dtype), as those of `jax.nn.initializers`. It is asked for the base shape (*k, Ci, C), so that it sees the
        fans of that shape.
    scale : int or tuple of int
        One factor per spatial axis; an int is that factor on every axis of the kernel. A bias has no such axes and needs a tuple.
    order : {"DCR", "CRD", "DRC", "RCD"}
        The order of the phase shift that follows.

    Returns
    -------
    callable
        Takes (key, shape, dtype), the shape (*k, Ci, C * prod(scale)) or, for a bias, (C * prod(scale),).

    References
    ----------
    Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution", §3.

    Examples
    --------
    >>> import jax
    >>> kernel = icnr(jax.nn.initializers.lecun_normal(), 2, order="CRD")(jax.random.key(0), (3, 3, 8, 3 * 4))
    >>> bool((kernel[..., 0] == kernel[..., 3]).all())
    True
    """
    per_axis("scale", scale)
    one_of("order", order, ORDERS)

    def init(key: Array, shape: Sequence[int], dtype: Any = None, **options: Any) -> Array:
        factors = bias_scale(scale) if len(shape) == 1 else per_axis("scale", scale, max(len(shape) - 2, 1))
        base = base_shape((*factors, 1, *shape), factors)[-1:] if len(shape) == 1 else base_shape(shape, factors)
        return _replicate(initializer(key, base, dtype, **options), factors, order)

    return init


def _replicate(base: Array, scale: tuple[int, ...], order: Order) -> Array:
    """Return ``base``, whose last axis is the output channel, with every channel at the indices of its whole block.

    That is the inverse phase shift of a constant block, which holds the rule for every order.
    """
    *leading, channels = base.shape
    block = jnp.broadcast_to(base.reshape(*leading, *(1 for _ in scale), channels), (*leading, *scale, channels))
    return inverse_phase_shift(block, scale, order=order).reshape(*leading, channels * prod(scale))
