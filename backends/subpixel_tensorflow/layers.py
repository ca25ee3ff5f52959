"""Sub-pixel convolution as Keras layers, which save, load and rebuild."""

from collections.abc import Callable, Iterable, Sequence
from math import nan, prod
from typing import Any, ClassVar

import keras
import tensorflow as tf

from subpixel_core import (
    DATA_FORMATS,
    ORDERS,
    DataFormat,
    Order,
    StagePlan,
    channel_permutation,
    padding_widths,
    plan_stages,
    rearrangement,
)
from subpixel_core.check import (
    Padding,
    Scale,
    flag,
    grouped_order,
    integer,
    kernel_fits,
    layer_input,
    multiple,
    one_of,
    per_axis,
    something_left,
)
from subpixel_tensorflow.initializers import ICNR
from subpixel_tensorflow.ops import at_least_float32, box_blur, convolve, extents, inverse_phase_shift, phase_shift, shift_in_few_axes

Shape = tuple[int | None, ...]
Named = str | dict[str, Any] | Callable[..., Any]
"""What Keras finds an activation, initializer, regularizer or constraint by."""

_register = keras.saving.register_keras_serializable(package="subpixel")


class _Shift(keras.layers.Layer):
    inverse: ClassVar[bool]

    def __init__(self, scale: Scale, *, order: Order = "DCR", data_format: DataFormat = "channels_last", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = per_axis("scale", scale)
        self.order, self.data_format = one_of("order", order, ORDERS), one_of("data_format", data_format, DATA_FORMATS)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        self.compute_output_shape(x.shape)  # refuses what does not fit
        return _shift(x, self.scale, self.order, self.data_format, inverse=self.inverse)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        plan = rearrangement(len(input_shape), self.scale, order=self.order, data_format=self.data_format, inverse=self.inverse)
        shape = _none_as_unknown(input_shape)
        plan.split(shape)
        return _unknown_as_none(plan.merged(shape))

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "order": self.order, "data_format": self.data_format}


@_register
class PhaseShift(_Shift):
    """The phase shift as a layer, for every order and dimension.

    Parameters
    ----------
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.
    order : {"DCR", "CRD", "DRC", "RCD"}
    data_format : {"channels_last", "channels_first"}
    **kwargs
        Those of every Keras layer. Keras casts floating-point inputs to the layer's ``dtype``; `phase_shift` keeps any dtype as it is.

    Shape
    -----
    ``(*batch, *spatial, C * prod(scale))`` to ``(*batch, *(spatial * scale), C)``, with at least the batch axis that Keras adds.
    """

    inverse = False


@_register
class InversePhaseShift(_Shift):
    """The inverse of the phase shift as a layer, for every order and dimension.

    Parameters
    ----------
    scale, order, data_format, **kwargs
        As in `PhaseShift`.

    Shape
    -----
    ``(*batch, *spatial, C)`` to ``(*batch, *(spatial / scale), C * prod(scale))``, with at least the batch axis that Keras adds.
    """

    inverse = True


def _none_as_unknown(shape: Iterable[int | None]) -> tuple[float, ...]:
    """Return a shape to calculate with: NaN, which stays NaN whatever it is multiplied by, for what is unknown."""
    return tuple(nan if extent is None else extent for extent in shape)


def _unknown_as_none(shape: Iterable[Any]) -> Shape:
    return tuple(None if isinstance(extent, float) else extent for extent in shape)


def _channels(shape: Shape, data_format: str) -> Any:
    return shape[-1] if data_format == "channels_last" else shape[1]


def _shift(x: tf.Tensor, scale: tuple[int, ...], order: Any, data_format: Any = "channels_last", *, inverse: bool = False) -> tf.Tensor:
    """Shift by TensorFlow's own op where there is one, since that is the op that every converter knows, and in graphs as converters can."""
    if order == "DCR" and data_format == "channels_last" and x.shape.rank == 4 and len(scale) == 2 and scale[0] == scale[1] > 1:
        return (tf.nn.space_to_depth if inverse else tf.nn.depth_to_space)(x, scale[0])
    if tf.executing_eagerly():
        return (inverse_phase_shift if inverse else phase_shift)(x, scale, order=order, data_format=data_format)
    return shift_in_few_axes(x, scale, order, data_format, inverse=inverse)


def _in_native_order(kernel: Any, bias: Any, scale: tuple[int, ...], order: Order) -> tuple[Any, Any, Order]:
    """Return kernel and bias as they are; in a graph, which may leave TensorFlow, in order DCR, that of its own op."""
    if order == "DCR" or tf.executing_eagerly():
        return kernel, bias, order
    p = channel_permutation(kernel.shape[-1], scale, source=order, target="DCR")
    return tf.gather(kernel, p, axis=-1), None if bias is None else tf.gather(bias, p), "DCR"


class _SubpixelConv(keras.layers.Layer):
    """A convolution at low resolution followed by the phase shift (Shi et al. 2016, §3.2).

    Parameters
    ----------
    filters : int
        Channels of the upsampled output.
    kernel_size : int or tuple of int
    scale : int or tuple of int
        An int is that factor on every axis.
    padding : "same", "valid" or one pair (before, after) per spatial axis
    data_format : {"channels_last", "channels_first"}
    activation : str or callable, optional
        Of the upsampled output.
    use_bias : bool
    order : {"DCR", "CRD", "DRC", "RCD"}
    separable : bool
        Convolve depthwise, then pointwise.
    blur : bool
        Average the output over a box of the size of the scale, which keeps the checkerboard away for good. Comes before the activation.
    kernel_initializer, bias_initializer : str, dict, Initializer or callable
        Draw the base, which `ICNR` replicates, so that the fresh layer upsamples by nearest neighbour.
    depthwise_initializer : str, dict, Initializer or callable
    kernel_regularizer, depthwise_regularizer, bias_regularizer : str, dict, Regularizer or callable, optional
    kernel_constraint, depthwise_constraint, bias_constraint : str, dict, Constraint or callable, optional
    **kwargs
        Those of every Keras layer: name, dtype, trainable, activity_regularizer.

    Shape
    -----
    ``(N, *spatial, Ci)`` to ``(N, *(scale * spatial'), filters)``; any extent but ``Ci`` may be unknown.

    Attributes
    ----------
    kernel : Variable, shape (*kernel_size, Ci, filters * prod(scale))
        With 1 tap per axis if separable.
    bias : Variable, shape (filters * prod(scale),)
    depthwise : Variable, shape (*kernel_size, Ci, 1), only if separable

    Raises
    ------
    ValueError, TypeError
        If an argument is not of its kind, or the input has not the channels and axes it must have.
    """

    ndim: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        scale: Scale,
        *,
        padding: Padding = "same",
        data_format: DataFormat = "channels_last",
        activation: Named | None = None,
        use_bias: bool = True,
        order: Order = "DCR",
        separable: bool = False,
        blur: bool = False,
        kernel_initializer: Named = "glorot_uniform",
        depthwise_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named | None = None,
        depthwise_regularizer: Named | None = None,
        bias_regularizer: Named | None = None,
        kernel_constraint: Named | None = None,
        depthwise_constraint: Named | None = None,
        bias_constraint: Named | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = integer("filters", filters, minimum=1)
        self.kernel_size = per_axis("kernel_size", kernel_size, self.ndim)
        self.scale = per_axis("scale", scale, self.ndim)
        self.widths = padding_widths(padding, self.kernel_size)
        self.padding = padding if isinstance(padding, str) else self.widths
        self.data_format, self.order = one_of("data_format", data_format, DATA_FORMATS), one_of("order", order, ORDERS)
        self.use_bias, self.separable, self.blur = flag("use_bias", use_bias), flag("separable", separable), flag("blur", blur)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.depthwise_initializer = keras.initializers.get(depthwise_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.depthwise_regularizer = keras.regularizers.get(depthwise_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.depthwise_constraint = keras.constraints.get(depthwise_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        layer_input(input_shape, self.ndim, None, self.data_format)
        (self.stage,) = plan_stages(
            self.scale,
            _channels(input_shape, self.data_format),
            self.filters,
            kernel_size=self.kernel_size,
            ndim=self.ndim,
            factors=(self.scale,),
            bias=self.use_bias,
            separable=self.separable,
        ).stages
        self.depthwise = self._variable("depthwise", self.stage.depthwise_shape, self.depthwise_initializer) if self.separable else None
        self.kernel = self._variable("kernel", self.stage.kernel_shape, ICNR(self.kernel_initializer, self.scale, self.order))
        bias_initializer = ICNR(self.bias_initializer, self.scale, self.order)
        self.bias = self._variable("bias", (self.stage.channels,), bias_initializer) if self.use_bias else None

    def _variable(self, name: str, shape: tuple[int, ...] | None, initializer: Callable[..., Any]) -> keras.Variable:
        regularizer, constraint = getattr(self, f"{name}_regularizer"), getattr(self, f"{name}_constraint")
        return self.add_weight(name=name, shape=shape, initializer=initializer, regularizer=regularizer, constraint=constraint)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        self.compute_output_shape(x.shape)  # refuses what does not fit
        if self.data_format == "channels_first":
            x = tf.transpose(x, (0, *range(2, self.ndim + 2), 1))  # (N, Ci, *spatial) -> (N, *spatial, Ci)
        padded = x if self.padding == "same" and not self.separable else tf.pad(x, ((0, 0), *self.widths, (0, 0)))
        if self.depthwise is not None:
            padded = _depthwise(padded, tf.convert_to_tensor(self.depthwise))  # (N, *spatial', Ci)
        kernel, bias, order = _in_native_order(self.kernel, self.bias, self.scale, self.order)
        x = self._convolve(padded, kernel, bias)  # (N, *spatial', C * prod(scale))
        x = _shift(x, self.scale, order)  # (N, *(scale * spatial'), C)
        if self.blur:
            x = box_blur(x, self.scale)
        if self.data_format == "channels_first":
            x = tf.transpose(x, (0, self.ndim + 1, *range(1, self.ndim + 1)))  # (N, *high, C) -> (N, C, *high)
        return self.activation(x)

    def _convolve(self, x: tf.Tensor, kernel: Any, bias: Any) -> tf.Tensor:
        """Convolve, and add the bias."""
        x = convolve(x, kernel, padding=self.padding if self.padding == "same" else "valid")
        x = tf.ensure_shape(x, (None,) * (self.ndim + 1) + (self.stage.channels,))  # for no samples TensorFlow gives any number of channels
        return x if bias is None else tf.nn.bias_add(x, bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        layer_input(input_shape, self.ndim, self.stage.in_channels if self.built else None, self.data_format)
        last = self.data_format == "channels_last"
        extents = _none_as_unknown(input_shape[1:-1] if last else input_shape[2:])
        kernel_fits(extents, self.kernel_size, self.widths)
        sizes = zip(extents, self.widths, self.kernel_size, self.scale, strict=True)
        spatial = _unknown_as_none(r * (extent + sum(widths) - k + 1) for extent, widths, k, r in sizes)
        return (input_shape[0], *spatial, self.filters) if last else (input_shape[0], self.filters, *spatial)

    def get_config(self) -> dict[str, Any]:
        plain = ("filters", "kernel_size", "scale", "padding", "data_format", "use_bias", "order", "separable", "blur")
        config = {**super().get_config(), **{name: getattr(self, name) for name in plain}}
        config["activation"] = keras.activations.serialize(self.activation)
        for name in ("kernel", "depthwise", "bias"):
            config[f"{name}_initializer"] = keras.initializers.serialize(getattr(self, f"{name}_initializer"))
            config[f"{name}_regularizer"] = keras.regularizers.serialize(getattr(self, f"{name}_regularizer"))
            config[f"{name}_constraint"] = keras.constraints.serialize(getattr(self, f"{name}_constraint"))
        return config


def _depthwise(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve every channel with its own kernel, without padding: x (N, *spatial, Ci), kernel (*k, Ci, 1).

    TensorFlow can differentiate the 2-D case everywhere. A line is a plane of one row; a volume is summed over the taps of its first axis.
    Half precision is summed in float32: on some processors TensorFlow's own sums of it are off by more than SP-002 allows.
    """
    if kernel.shape.rank == 3:
        return tf.squeeze(_depthwise(x[:, None], kernel[None]), 1)
    x, kernel, dtype = at_least_float32(x), at_least_float32(kernel), x.dtype
    if kernel.shape.rank == 4:
        return tf.cast(tf.nn.depthwise_conv2d(x, kernel, strides=(1, 1, 1, 1), padding="VALID"), dtype)
    samples, depth, *plane = extents(x)
    depth -= kernel.shape[0] - 1
    planes = [tf.reshape(x[:, t : t + depth], (samples * depth, *plane)) for t in range(kernel.shape[0])]  # (N * D', H, W, Ci)
    y = tf.add_n([_depthwise(plane, tap) for plane, tap in zip(planes, tf.unstack(kernel), strict=True)])
    return tf.cast(tf.reshape(y, (samples, depth, *extents(y)[1:])), dtype)


@_register
class SubpixelConv1D(_SubpixelConv):
    __doc__ = _SubpixelConv.__doc__
    ndim = 1


@_register
class SubpixelConv2D(_SubpixelConv):
    __doc__ = _SubpixelConv.__doc__
    ndim = 2


@_register
class SubpixelConv3D(_SubpixelConv):
    __doc__ = _SubpixelConv.__doc__
    ndim = 3


class _ExactSubpixelConv(keras.layers.Layer):
    """What a converted layer becomes: a sub-pixel convolution with any zeros around its input, and a crop behind its phase shift.

    Parameters
    ----------
    filters : int
        Channels of the upsampled output.
    kernel_size, scale : int or tuple of int
    padding, crop : one pair (before, after) per spatial axis
        Zeros around the input, and positions of the output that are left out.
    groups : int
        More than one needs the order "CRD" or "RCD".
    order : {"DCR", "CRD", "DRC", "RCD"}
    data_format : {"channels_last", "channels_first"}
        Channels first are transposed to be last, and back: TensorFlow has no such convolution on every device.
    activation : str or callable, optional
        Of the upsampled output.
    use_bias : bool
    **kwargs
        Those of every Keras layer: name, dtype, trainable, activity_regularizer.

    Shape
    -----
    ``(N, *spatial, Ci)`` to ``(N, *(scale * spatial' - crop), filters)``; any extent but ``Ci`` may be unknown.

    Attributes
    ----------
    kernel : Variable, shape (*kernel_size, Ci / groups, filters * prod(scale))
    bias : Variable, shape (filters * prod(scale),)
    """

    ndim: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        scale: Scale,
        *,
        padding: Padding,
        crop: Padding,
        groups: int = 1,
        order: Order = "DCR",
        data_format: DataFormat = "channels_last",
        activation: Named | None = None,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.groups = integer("filters", filters, minimum=1), integer("groups", groups, minimum=1)
        self.kernel_size, self.scale = per_axis("kernel_size", kernel_size, self.ndim), per_axis("scale", scale, self.ndim)
        self.padding, self.crop = padding_widths(padding, self.kernel_size), padding_widths(crop, self.kernel_size)
        self.order, self.data_format = one_of("order", order, ORDERS), one_of("data_format", data_format, DATA_FORMATS)
        grouped_order(self.order, self.groups)
        self.activation, self.use_bias = keras.activations.get(activation), flag("use_bias", use_bias)

    def build(self, input_shape: Shape) -> None:
        layer_input(input_shape, self.ndim, None, self.data_format)
        self.channels = _channels(input_shape, self.data_format)
        multiple("channels", self.channels, self.groups, f"groups={self.groups}")
        outputs = self.filters * prod(self.scale)
        self.kernel = self.add_weight(name="kernel", shape=(*self.kernel_size, self.channels // self.groups, outputs))
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros") if self.use_bias else None

    def call(self, x: tf.Tensor) -> tf.Tensor:
        shape = self.compute_output_shape(x.shape)  # refuses what does not fit
        if x.shape[0] == 0:  # of no samples TensorFlow's convolution makes the shape of the input
            return tf.zeros(shape, x.dtype)
        if self.data_format == "channels_first":
            x = tf.transpose(x, (0, *range(2, self.ndim + 2), 1))  # (N, Ci, *spatial) -> (N, *spatial, Ci)
        kernel, bias, order = self.kernel, self.bias, self.order
        if prod(self.scale) > 1 and self.groups == 1:  # of groups every channel is where its group is
            kernel, bias, order = _in_native_order(kernel, bias, self.scale, order)
        x = self._convolve(x, kernel, bias)  # (N, *spatial', filters * prod(scale))
        if prod(self.scale) > 1:
            x = _shift(x, self.scale, order)  # (N, *(scale * spatial'), filters)
        if any(map(any, self.crop)):
            x = x[(slice(None), *(slice(first, -last or None) for first, last in self.crop))]
        if self.data_format == "channels_first":
            x = tf.transpose(x, (0, self.ndim + 1, *range(1, self.ndim + 1)))  # (N, *high, filters) -> (N, filters, *high)
        return self.activation(x)

    def _convolve(self, x: tf.Tensor, kernel: Any, bias: Any) -> tf.Tensor:
        same = self.padding == padding_widths("same", self.kernel_size)
        if not same and any(map(any, self.padding)):
            x = tf.pad(x, ((0, 0), *self.padding, (0, 0)))
        x = convolve(x, kernel, padding="same" if same else "valid")
        return x if bias is None else tf.nn.bias_add(x, bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        layer_input(input_shape, self.ndim, self.channels if self.built else None, self.data_format)
        last = self.data_format == "channels_last"
        extents = _none_as_unknown(input_shape[1:-1] if last else input_shape[2:])
        kernel_fits(extents, self.kernel_size, self.padding)
        sizes = zip(extents, self.padding, self.kernel_size, self.scale, self.crop, strict=True)
        spatial = _unknown_as_none(r * (extent + sum(zeros) - k + 1) - sum(cut) for extent, zeros, k, r, cut in sizes)
        something_left(_unknown_as_none(extents), spatial)
        return (input_shape[0], *spatial, self.filters) if last else (input_shape[0], self.filters, *spatial)

    def get_config(self) -> dict[str, Any]:
        plain = ("filters", "kernel_size", "scale", "padding", "crop", "groups", "order", "data_format", "use_bias")
        config = {**super().get_config(), **{name: getattr(self, name) for name in plain}}
        return {**config, "activation": keras.activations.serialize(self.activation)}


@_register
class ExactSubpixelConv1D(_ExactSubpixelConv):
    __doc__ = _ExactSubpixelConv.__doc__
    ndim = 1


@_register
class ExactSubpixelConv2D(_ExactSubpixelConv):
    __doc__ = _ExactSubpixelConv.__doc__
    ndim = 2


@_register
class ExactSubpixelConv3D(_ExactSubpixelConv):
    __doc__ = _ExactSubpixelConv.__doc__
    ndim = 3


def _fresh(option: Any) -> Any:
    """Return a clone of an initializer, which draws other values: Keras's draw the same ones whenever they are called."""
    return option.clone() if isinstance(option, keras.initializers.Initializer) else option


class _ChainedSubpixelConv(keras.layers.Layer):
    """Sub-pixel convolutions one after the other, which together reach the scale.

    A chain has fewer parameters than the direct layer in most cases, more multiply-accumulates unless it is narrower than its input, and is
    another function: see `subpixel_core.plan_stages`.

    Parameters
    ----------
    filters, kernel_size, scale
        As in `SubpixelConv2D`; the kernel size holds for every stage.
    factors : sequence of int or of tuples, optional
        The scales of the stages; without them, the plan with the fewest parameters for the channels of the input.
    width : int, optional
        Channels between the stages; ``filters`` if None.
    activation : str or callable, optional
        Between the stages, not after the last.
    name, dtype, trainable, activity_regularizer
        Those of every Keras layer, for the whole chain.
    **options
        The other keywords of `SubpixelConv2D`, for every stage; each is blurred by its own scale and draws its own values.

    Shape
    -----
    ``(N, *spatial, Ci)`` to ``(N, *(scale * spatial), filters)`` with padding "same"; any extent but ``Ci`` may be unknown.

    Attributes
    ----------
    stages : list of SubpixelConv1D, SubpixelConv2D or SubpixelConv3D
    plan : StagePlan
        Parameters, multiply-accumulates and receptive field of the chain.
    """

    layer: ClassVar[type[_SubpixelConv]]

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        scale: Scale,
        *,
        factors: Sequence[Scale] | None = None,
        width: int | None = None,
        activation: Named | None = None,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        activity_regularizer: Named | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, trainable=trainable, activity_regularizer=activity_regularizer)
        self.options, self.factors, self.width = options, factors, width
        self.activation = keras.activations.get(activation)
        whole = self._stage(filters, kernel_size, scale, "whole")  # refuses what every stage would
        self.filters, self.kernel_size, self.scale, self.data_format = whole.filters, whole.kernel_size, whole.scale, whole.data_format
        plan = self._plan(1)  # refuses factors that do not reach the scale
        self.factors = None if factors is None else tuple(stage.scale for stage in plan.stages)

    def _plan(self, in_channels: Any) -> StagePlan:
        return plan_stages(
            self.scale,
            in_channels,
            self.filters,
            kernel_size=self.kernel_size,
            ndim=self.layer.ndim,
            factors=self.factors,
            width=self.width,
            bias=self.options.get("use_bias", True),
            separable=self.options.get("separable", False),
        )

    def _stage(self, filters: int, kernel_size: int | Sequence[int], scale: Scale, name: str) -> _SubpixelConv:
        options = {name: _fresh(option) for name, option in self.options.items()}
        return self.layer(filters, kernel_size, scale, name=name, dtype=self.dtype_policy, **options)

    def _stages_for(self, input_shape: Shape) -> tuple[StagePlan, list[_SubpixelConv]]:
        layer_input(input_shape, self.layer.ndim, None, self.data_format)
        plan = self._plan(_channels(input_shape, self.data_format))
        return plan, [self._stage(stage.out_channels, stage.kernel_size, stage.scale, f"stage_{i}") for i, stage in enumerate(plan.stages)]

    def build(self, input_shape: Shape) -> None:
        self.plan, self.stages = self._stages_for(input_shape)
        for stage in self.stages:
            stage.build(input_shape)
            input_shape = stage.compute_output_shape(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        for i, stage in enumerate(self.stages):
            x = stage(self.activation(x) if i else x)
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for stage in self.stages if self.built else self._stages_for(input_shape)[1]:
            input_shape = stage.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        whole = self._stage(self.filters, self.kernel_size, self.scale, "whole").get_config()
        chain = {"factors": self.factors, "width": self.width, "activation": keras.activations.serialize(self.activation)}
        return {**whole, **super().get_config(), **chain}


@_register
class ChainedSubpixelConv1D(_ChainedSubpixelConv):
    __doc__ = _ChainedSubpixelConv.__doc__
    layer = SubpixelConv1D


@_register
class ChainedSubpixelConv2D(_ChainedSubpixelConv):
    __doc__ = _ChainedSubpixelConv.__doc__
    layer = SubpixelConv2D


@_register
class ChainedSubpixelConv3D(_ChainedSubpixelConv):
    __doc__ = _ChainedSubpixelConv.__doc__
    layer = SubpixelConv3D
