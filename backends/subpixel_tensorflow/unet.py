"""The residual U-Net as a functional Keras model, channels last, built from the core's list of its layers.

References
----------
He et al. 2016, "Identity Mappings in Deep Residual Networks", Fig. 4(e): the pre-activation block.
Zhang et al. 2018, "Road Extraction by Deep Residual U-Net", §II: residual blocks in a U-Net, strided instead of pooled.
Shi et al. 2016, §3.2, and Aitken et al. 2017, §3: the upsampling and how it starts.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

import subpixel_core as core
from subpixel_core import Order, ResidualUNetConfig, network, padding_widths, parameter_shapes
from subpixel_core._unet import EPSILON, MOMENTUM, Block, Convolution, Normalization, Upsampling
from subpixel_core.check import arrays, batch_values, instance, unet_input
from subpixel_tensorflow.layers import SubpixelConv1D, SubpixelConv2D, SubpixelConv3D
from subpixel_tensorflow.ops import at_least_float32, box_blur, convolve, convolve_transposed, extents, phase_shift

_register = keras.saving.register_keras_serializable(package="subpixel")
_subpixel = {1: SubpixelConv1D, 2: SubpixelConv2D, 3: SubpixelConv3D}


# --- the layers ---


class _Convolution(keras.layers.Layer):
    """What the core describes as a layer with a kernel, held as that description."""

    kind: ClassVar[type]

    def __init__(self, layer: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = self.kind(**layer)

    def build(self, input_shape: Any) -> None:
        normal = keras.initializers.RandomNormal(stddev=self.layer.std)
        self.kernel = self.add_weight(name="kernel", shape=self.layer.kernel_shape, initializer=normal)
        self.bias = self.add_weight(name="bias", shape=self.layer.kernel_shape[-1:], initializer="zeros")

    def _biased(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.ensure_shape(x, (*(None for _ in x.shape[:-1]), self.layer.out_channels))  # for no samples TensorFlow gives another number
        return tf.nn.bias_add(x, self.bias)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": asdict(self.layer)}


@_register
class StridedConvolution(_Convolution):
    """A convolution, padding "same", then every ``stride``-th value from the first."""

    kind = Convolution

    def call(self, x: tf.Tensor) -> tf.Tensor:
        stride, padding = self.layer.stride, "same"
        if max(stride) > 1:  # TensorFlow's own padding starts elsewhere
            x, padding = tf.pad(x, ((0, 0), *padding_widths("same", self.layer.kernel_size), (0, 0))), "valid"
        return self._biased(convolve(x, self.kernel, stride, padding))


@_register
class ResizeConvolution(_Convolution):
    """Nearest-neighbour upsampling, then a convolution."""

    kind = Upsampling

    def call(self, x: tf.Tensor) -> tf.Tensor:
        scale = self.layer.scale
        x = tf.tile(x, (*(1 for _ in x.shape[:-1]), prod(scale)))  # (N, *spatial, prod(scale) * Ci)
        x = phase_shift(x, scale)  # of copies: (N, *(spatial * scale), Ci)
        y = self._biased(convolve(x, self.kernel, padding="same"))
        return box_blur(y, scale) if self.layer.blur else y


@_register
class TransposedConvolution(_Convolution):
    """A transposed convolution, cropped to the extents times the scale."""

    kind = Upsampling

    def call(self, x: tf.Tensor) -> tf.Tensor:
        layer, (samples, *spatial, _) = self.layer, extents(x)
        full = [(extent - 1) * r + k for extent, r, k in zip(spatial, layer.scale, layer.taps, strict=True)]
        kernel = tf.linalg.matrix_transpose(self.kernel)  # (*k, Ci, C) -> (*k, C, Ci)
        y = convolve_transposed(x, kernel, (samples, *full, layer.out_channels), layer.scale)
        inside = (slice(before, size - after) for (before, after), size in zip(layer.crop, full, strict=True))
        y = self._biased(y[(slice(None), *inside)])  # (N, *(spatial * scale), C)
        return box_blur(y, layer.scale) if layer.blur else y


@_register
class GroupNormalization(keras.layers.GroupNormalization):
    """Group normalization over the channels' own means, with no axis for the groups: fewer passes over memory than the layer that it is."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        wide = at_least_float32(x)
        samples, *spatial, channels = extents(x)
        rows = tf.reshape(wide, (samples, prod(spatial), channels))
        centered = rows - self._mean(rows)
        variance = self._mean(tf.square(centered))
        y = centered * (tf.cast(self.gamma, wide.dtype) * tf.math.rsqrt(variance + self.epsilon)) + tf.cast(self.beta, wide.dtype)
        return tf.cast(tf.reshape(y, tf.shape(x)), x.dtype)

    def _mean(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the mean of every sample and group, for each of its channels."""
        neighbours = rows.shape[-1] // self.groups
        of_channels = tf.reduce_mean(rows, axis=1)  # (N, C)
        of_groups = tf.reduce_mean(tf.reshape(of_channels, (-1, self.groups, neighbours)), axis=-1)  # (N, groups)
        return tf.repeat(of_groups, neighbours, axis=-1)[:, tf.newaxis]  # (N, 1, C)


@_register
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization that refuses to train on fewer than two values per channel."""

    def call(self, x: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        if training and self.trainable:
            number = prod(extents(x)[:-1])
            batch_values(number)
            tf.debugging.assert_greater(number, 1)  # where it is not known before the run
        return super().call(x, training=training, mask=mask)


class _OfTheWhole(keras.layers.Layer):
    """A layer that knows the whole configuration."""

    def __init__(self, config: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = ResidualUNetConfig(**config)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": self.config.as_dict()}


@_register
class Pad(_OfTheWhole):
    """The input and as many zeros after it as give every level whole extents."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        unet_input(x.shape, self.config.ndim, self.config.in_channels)
        zeros = self.config.padding(extents(x)[1:-1])
        y = tf.pad(x, ((0, 0), *((0, number) for number in zeros), (0, 0)))
        # Where the zeros are not known, that says that the channels are; tf.ensure_shape would too, and TFLite has none.
        return tf.reshape(y, (*extents(y)[:-1], self.config.in_channels))


@_register
class Crop(_OfTheWhole):
    """The output without what came from the zeros after the input ``x``."""

    def call(self, y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        return y[(slice(None), *(slice(extent) for extent in self.config.output_extents(extents(x)[1:-1])))]


# --- the network ---


@_register
class ResidualUNet(keras.Model):
    """The model that `residual_unet` returns; it is saved as its configuration and its values."""

    def __init__(self, config: Mapping[str, Any], dtype: Any = None, frozen: Sequence[str] = (), **kwargs: Any) -> None:
        described, policy = ResidualUNetConfig(**config), keras.dtype_policies.get(dtype)
        super().__init__(*_graph(described, policy), **kwargs)
        self.config, self.dtype_policy, self.input_spec = described, policy, None
        for name in frozen:
            self.get_layer(name).trainable = False

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        # Before Keras, which adds or drops an axis of one channel without a word.
        shape = np.shape(x)
        unet_input(shape, self.config.ndim, self.config.in_channels)
        if training and None not in shape and all(layer.trainable for layer in self.layers):
            self.config.check_batch(shape[0], shape[1:-1])  # before any layer has changed its statistics
        return super().call(x, training=training, mask=mask)

    def get_config(self) -> dict[str, Any]:
        frozen = [layer.name for layer in self.layers if not layer.trainable]
        described = {"config": self.config.as_dict(), "dtype": self.dtype_policy.name, "frozen": frozen}
        return {**described, "name": self.name, "trainable": self.trainable}


def _graph(config: ResidualUNetConfig, dtype: Any) -> tuple[Any, Any]:
    """Return the symbolic input and output of the network."""
    net = network(config)

    def conv(layer: Convolution, y: Any) -> Any:
        return StridedConvolution(asdict(layer), name=layer.name, dtype=dtype)(y)

    def upsample(layer: Upsampling, y: Any) -> Any:
        if layer.upsample == "deconv":
            return TransposedConvolution(asdict(layer), name=layer.name, dtype=dtype)(y)
        if prod(layer.scale) == 1:
            return conv(Convolution(layer.name, layer.in_channels, layer.out_channels, layer.kernel_size, layer.scale, gain=layer.gain), y)
        if layer.upsample == "resize":
            return ResizeConvolution(asdict(layer), name=layer.name, dtype=dtype)(y)
        normal = keras.initializers.RandomNormal(stddev=layer.std)
        options = {"order": layer.order, "blur": layer.blur, "kernel_initializer": normal, "name": layer.name, "dtype": dtype}
        return _subpixel[config.ndim](layer.out_channels, layer.kernel_size, layer.scale, **options)(y)

    def norm(layer: Normalization | None, y: Any) -> Any:
        if layer is None:
            return y
        if layer.groups:
            return GroupNormalization(layer.groups, epsilon=EPSILON, name=layer.name, dtype=dtype)(y)
        return BatchNormalization(momentum=1 - MOMENTUM, epsilon=EPSILON, name=layer.name, dtype=dtype)(y)

    def relu(reader: Convolution | Upsampling, y: Any) -> Any:
        return keras.layers.ReLU(name=f"{reader.name}.relu", dtype=dtype)(y)

    def block(layer: Block, x: Any) -> Any:
        y = conv(layer.conv1, relu(layer.conv1, norm(layer.norm1, x)))
        y = conv(layer.conv2, relu(layer.conv2, norm(layer.norm2, y)))
        x = x if layer.shortcut is None else conv(layer.shortcut, x)
        return keras.layers.Add(name=layer.name, dtype=dtype)([y, x])

    x = keras.Input((*(None for _ in range(config.ndim)), config.in_channels), dtype=dtype.variable_dtype, name="x")
    y = Pad(config.as_dict(), name="pad", dtype=dtype)(x)
    y = conv(net.stem, y)  # (N, *padded, w_0)
    skips = []
    for blocks in net.encoder:
        for layer in blocks:
            y = block(layer, y)  # (N, *(padded / scales), w_i)
        skips.append(y)
    y = skips.pop()
    for up, blocks in net.decoder:
        y = keras.layers.Concatenate(name=f"{up.name}.concat", dtype=dtype)([upsample(up, y), skips.pop()])  # 2 * w_i channels
        for layer in blocks:
            y = block(layer, y)
    y = norm(net.norm, y)
    for stage in net.head:
        y = upsample(stage, relu(stage, y))
    return x, Crop(config.as_dict(), name="crop", dtype=dtype)(y, x)  # (N, *(spatial * output_scale), Co)


def residual_unet(config: ResidualUNetConfig, *, dtype: Any = None) -> keras.Model:
    r"""Return the residual U-Net of the specification as a functional Keras model.

    ::

        stem - level 0 ------------------------- concat - level 0 - norm, ReLU - head
                 \ stride                     / up
               level 1 ------------ concat - level 1
                     \ stride     / up
                      ... level L - 1

    Its layers have the canonical names of their parameters (``stem``, ``encoder.0.0.conv1``, ``decoder.0.up``, ``head.0``), the sums of its
    blocks those of the blocks (``encoder.0.0``), so ``keras.Model(model.input, model.get_layer(name).output)`` gives what the reference
    records under that name.

    Parameters
    ----------
    config : ResidualUNetConfig
    dtype : str or keras.DTypePolicy, optional
        Of this model alone: "float32", "float64", "bfloat16", "mixed_bfloat16", ...; without it, the global policy.

    Returns
    -------
    keras.Model
        ``(N, *spatial, in_channels)`` with any extents from 1 to ``(N, *(spatial * output_scale), out_channels)``; only the channels
        are known before the call. It trains with ``fit``, is saved and loaded as ``.keras``, and holds its configuration as ``config``.

    Raises
    ------
    ValueError, TypeError
        If the input has not the channels and axes it must have, or batch normalization has fewer than two values per channel to train on.
        Where the extents are unknown until the run, the latter is TensorFlow's own error, and XLA, which drops it, does not notice.

    Examples
    --------
    >>> model = residual_unet(ResidualUNetConfig(in_channels=1, out_channels=2, widths=(8, 16), output_scale=2))
    >>> model(tf.zeros((1, 5, 7, 1))).shape
    TensorShape([1, 10, 14, 2])
    """
    instance("config", config, ResidualUNetConfig)
    return ResidualUNet(config.as_dict(), dtype=dtype)


# --- the parameters ---


def _config(model: keras.Model) -> ResidualUNetConfig:
    return model.get_layer("pad").config  # where `keras.models.clone_model`, which makes a plain model, leaves it


def variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of a model by canonical name, in its own dtype."""
    found: dict[str, keras.Variable] = {}
    for layer in network(_config(model)).layers:
        statistics = layer.statistics if isinstance(layer, Normalization) else {}
        found |= zip((*layer.shapes, *statistics), model.get_layer(layer.name).weights, strict=True)
    return found


def get_parameters(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Return the parameters and running statistics of a model as arrays of their own.

    Parameters
    ----------
    model : keras.Model
        What `residual_unet` returned, or a copy of it.

    Returns
    -------
    dict of ndarray
        As `subpixel_core.parameter_shapes`; float64 from a float64 model, else float32.
    """
    values = {name: at_least_float32(tf.convert_to_tensor(variable)) for name, variable in variables(model).items()}
    return {name: keras.ops.convert_to_numpy(value) for name, value in values.items()}


def set_parameters(model: keras.Model, params: Mapping[str, ArrayLike]) -> None:
    """Write arrays into the parameters and running statistics of a model, which keeps its dtype.

    Parameters
    ----------
    model : keras.Model
        What `residual_unet` returned, or a copy of it.
    params : mapping of array_like
        As `subpixel_core.parameter_shapes`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is missing, unknown, of another shape or no real number. Then nothing is written.
    """
    values = arrays("params", params, parameter_shapes(_config(model)))
    for name, variable in variables(model).items():
        variable.assign(values[name])


def save_weights(path: str | os.PathLike[str], model: keras.Model) -> None:
    """Write the model into a file that every backend reads: `subpixel_core.save_weights`.

    Parameters
    ----------
    path : path-like
        Any name. What it names is replaced in one step, once everything is written.
    model : keras.Model
        What `residual_unet` returned, or a copy of it, such as `keras.models.load_model` gives.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    core.save_weights(path, get_parameters(model), _config(model))


def load_weights(path: str | os.PathLike[str], *, order: Order | None = None) -> keras.Model:
    """Read a model from a file that any of the backends wrote.

    Parameters
    ----------
    path : path-like
    order : {"DCR", "CRD", "DRC", "RCD"}, optional
        The channel order of the model; without it, that of the file. The model computes the same in every order.

    Returns
    -------
    keras.Model
        In the dtype of the file.

    Raises
    ------
    ValueError, OSError
        As `subpixel_core.load_weights`, with the same text.
    """
    params, config = core.load_weights(path, order=order)
    model = residual_unet(config, dtype=params["stem.bias"].dtype.name)
    set_parameters(model, params)
    return model
