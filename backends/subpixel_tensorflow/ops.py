"""Phase shift, its inverse and the blur: the core's plans on TensorFlow tensors."""

from collections.abc import Callable
from math import prod
from typing import Any

import keras
import tensorflow as tf

from subpixel_core import DataFormat, Order, Rearrangement, few_axes, rearrangement
from subpixel_core.check import Scale, floating, per_axis, rank


def phase_shift(x: tf.Tensor, scale: Scale, *, order: Order = "DCR", data_format: DataFormat = "channels_last") -> tf.Tensor:
    """Rearrange channels into blocks of pixels. By default this is `tf.nn.depth_to_space`, in any number of dimensions.

    Parameters
    ----------
    x : Tensor, shape (*batch, *spatial, C * prod(scale))
        Any dtype, any number of batch axes, any extents unknown. ``(*batch, C * prod(scale), *spatial)`` for ``channels_first``.
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.
    order : {"DCR", "CRD", "DRC", "RCD"}
    data_format : {"channels_last", "channels_first"}
        Which axis holds the channels.

    Returns
    -------
    Tensor, shape (*batch, *(spatial * scale), C)

    Raises
    ------
    ValueError, TypeError
        As `subpixel_core.phase_shift`, with the same text. What does not divide an unknown extent is TensorFlow's own error at run time.

    Examples
    --------
    >>> phase_shift(tf.reshape(tf.range(8), (1, 1, 8)), 2)[..., 0].numpy()
    array([[0, 2],
           [4, 6]], dtype=int32)
    """
    return _carry_out(x, scale, order, data_format, inverse=False)


def inverse_phase_shift(x: tf.Tensor, scale: Scale, *, order: Order = "DCR", data_format: DataFormat = "channels_last") -> tf.Tensor:
    """Rearrange blocks of pixels into channels: the inverse of `phase_shift`, by default `tf.nn.space_to_depth`.

    Parameters
    ----------
    x : Tensor, shape (*batch, *spatial, C)
        Every spatial extent a multiple of its factor.
    scale, order, data_format
        As in `phase_shift`.

    Returns
    -------
    Tensor, shape (*batch, *(spatial / scale), C * prod(scale))

    Examples
    --------
    >>> inverse_phase_shift(tf.reshape(tf.range(4), (2, 2, 1)), 2).numpy()
    array([[[0, 1, 2, 3]]], dtype=int32)
    """
    return _carry_out(x, scale, order, data_format, inverse=True)


@tf.autograph.experimental.do_not_convert  # the core's control flow is over Python integers
def _carry_out(x: tf.Tensor, scale: Scale, order: Order, data_format: DataFormat, *, inverse: bool) -> tf.Tensor:
    x = tf.convert_to_tensor(x)
    return _moved(x, rearrangement(x.shape.rank, scale, order=order, data_format=data_format, inverse=inverse))


def _moved(x: tf.Tensor, plan: Rearrangement) -> tf.Tensor:
    shape = extents(x)
    return tf.reshape(tf.transpose(tf.reshape(x, plan.split(shape)), plan.axes), plan.merged(shape))


@tf.autograph.experimental.do_not_convert
def shift_in_few_axes(x: tf.Tensor, scale: Scale, order: Order, data_format: DataFormat, *, inverse: bool) -> tf.Tensor:
    """Return the shift or its inverse by transposes of at most five axes, for graphs that leave TensorFlow; one of more can be faster."""
    for plan in few_axes(x.shape.rank, scale, order=order, data_format=data_format, inverse=inverse):
        x = _moved(x, plan)
    return x


@tf.autograph.experimental.do_not_convert
def extents(x: tf.Tensor) -> list[Any]:
    """Return the extents of a tensor of known rank: integers where they are known, scalar tensors where they are not."""
    return [tf.shape(x)[axis] if extent is None else extent for axis, extent in enumerate(x.shape)]


@tf.autograph.experimental.do_not_convert
def at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """Return a tensor as sums are to be taken of it: of half precision, in float32."""
    return tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x


def _in_float32(convolution: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve float16 in float32.

    On a CPU TensorFlow 2.21 adds those that are 3-D or transposed in float16, which CV-003 does not allow.
    """
    return tf.cast(convolution(tf.cast(x, tf.float32), tf.cast(kernel, tf.float32)), x.dtype)


@tf.autograph.experimental.do_not_convert
def convolve(x: tf.Tensor, kernel: Any, stride: Any = 1, padding: str = "valid") -> tf.Tensor:
    """Convolve, channels last; a kernel for fewer channels than ``x`` has is one of groups."""

    def convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        # Keras's convolution has groups on every device, where TensorFlow's has not.
        return keras.ops.conv(x, kernel, stride, padding, data_format="channels_last")

    kernel = tf.convert_to_tensor(kernel)
    return _in_float32(convolution, x, kernel) if x.dtype == tf.float16 and x.shape.rank == 5 else convolution(x, kernel)


@tf.autograph.experimental.do_not_convert
def convolve_transposed(x: tf.Tensor, kernel: tf.Tensor, shape: Any, stride: tuple[int, ...]) -> tf.Tensor:
    """Convolve transposed, channels last, without padding; the kernel is (*k, C, Ci)."""

    def convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        # Without a data format the gradient of a 3-D convolution fails in eager mode.
        return tf.nn.conv_transpose(x, kernel, shape, stride, "VALID", ("NWC", "NHWC", "NDHWC")[len(stride) - 1])

    return _in_float32(convolution, x, kernel) if x.dtype == tf.float16 else convolution(x, kernel)


@tf.autograph.experimental.do_not_convert
def box_blur(x: tf.Tensor, scale: Scale) -> tf.Tensor:
    """Average over a box of the size of the scale, leaving out what lies outside: `subpixel_core.box_blur`.

    Parameters
    ----------
    x : Tensor, shape (*batch, *spatial, C)
        Floating point; averaged in float32 at least.
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.

    Returns
    -------
    Tensor, shape of ``x``

    Examples
    --------
    >>> box_blur(tf.constant([[0.], [0.], [6.], [0.]]), (3,))[:, 0].numpy()
    array([0., 2., 2., 3.], dtype=float32)
    """
    factors, x = per_axis("scale", scale), tf.convert_to_tensor(x)
    rank(x.shape.rank, len(factors), factors)
    floating(x.dtype.is_floating, x.dtype.name)
    shape = extents(x)
    y = at_least_float32(x)
    # The mean over a box is the mean along one axis after the other; TensorFlow has no kernel for every dtype and rank of the whole box.
    for axis, r in enumerate(factors, start=len(shape) - 1 - len(factors)):
        y = tf.reshape(y, (prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])))  # (before, extent, after)
        y = tf.nn.avg_pool1d(y, r, strides=1, padding="SAME")
    return tf.cast(tf.reshape(y, shape), x.dtype)
