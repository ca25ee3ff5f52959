"""ICNR as a Keras initializer."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from subpixel_core import ORDERS, Order, base_shape
from subpixel_core.check import Scale, bias_scale, one_of, per_axis
from subpixel_tensorflow.ops import inverse_phase_shift


@keras.saving.register_keras_serializable(package="subpixel")
class ICNR(keras.initializers.Initializer):
    """Draw a sub-pixel convolution that starts as a nearest-neighbour resize.

    For the kernel, and for the bias in the same way. The layers of this package wrap their initializers in it.

    Parameters
    ----------
    initializer : str, dict, Initializer or callable
        Draws the base, of the shape (*k, Ci, C) or (C,), so that it sees the fans of that shape.
    scale : int or tuple of int
        One factor per spatial axis. An int is that factor on every axis of a kernel; a bias, which has none, needs a tuple.
    order : {"DCR", "CRD", "DRC", "RCD"}
        The order of the phase shift that follows.

    References
    ----------
    Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution", §3.

    Examples
    --------
    >>> conv = keras.layers.Conv2D(3 * 4, 3, kernel_initializer=ICNR("he_normal", 2))
    >>> conv.build((None, None, None, 8))
    >>> bool(tf.reduce_all(conv.kernel[..., 0] == conv.kernel[..., 3]))
    True
    """

    def __init__(self, initializer: str | dict[str, Any] | Callable[..., Any], scale: Scale, order: Order = "DCR") -> None:
        per_axis("scale", scale)
        self.initializer = keras.initializers.get(initializer)
        self.scale = scale
        self.order = one_of("order", order, ORDERS)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        """Return a kernel for the shape (*k, Ci, C * prod(scale)), a bias for (C * prod(scale),)."""
        bias = len(shape) == 1
        factors = bias_scale(self.scale) if bias else per_axis("scale", self.scale, max(len(shape) - 2, 1))
        kernel_shape = (*(1 for _ in factors), 1, *shape) if bias else shape
        base = base_shape(kernel_shape, factors)
        return replicate(self.initializer(base[-1:] if bias else base, dtype=dtype), factors, order=self.order)

    def get_config(self) -> dict[str, Any]:
        return {"initializer": keras.initializers.serialize(self.initializer), "scale": self.scale, "order": self.order}


def replicate(base: tf.Tensor, scale: tuple[int, ...], *, order: Order) -> tf.Tensor:
    """Return ``base``, whose last axis is the output channel, with every channel at the indices of its whole block.

    That is the inverse phase shift of a constant block, which holds the rule for every order.
    """
    base = tf.convert_to_tensor(base)
    *before, channels = base.shape
    block = tf.broadcast_to(tf.reshape(base, (*before, *(1 for _ in scale), channels)), (*before, *scale, channels))
    return tf.reshape(inverse_phase_shift(block, scale, order=order), (*before, -1))
