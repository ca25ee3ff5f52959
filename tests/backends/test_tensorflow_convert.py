"""Keras layers and models turned into sub-pixel convolutions: equal values, what is carried over, what is left and why."""

import re
import subprocess
import sys
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras import layers as L  # noqa: E402  # after the skip

from subpixel_core._conversion import (  # noqa: E402
    BIAS_ALONG_WIDTH,
    NO_GRAPH,
    NOT_ADJACENT,
    SHARED_IN_MODEL,
    SHARED_PARAMETERS,
    SLOWER,
)
from subpixel_tensorflow import convert, from_conv_transpose, from_resize_conv  # noqa: E402

# Keras 3.15 converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TRANSPOSED = {1: L.Conv1DTranspose, 2: L.Conv2DTranspose, 3: L.Conv3DTranspose}
RESIZES = {1: L.UpSampling1D, 2: L.UpSampling2D, 3: L.UpSampling3D}
CONVOLUTIONS = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}
EXTENTS = {1: (5,), 2: (4, 5), 3: (2, 3, 4)}
FORMS = ("minimal", "aligned")
rng = np.random.default_rng(0)


def integers(*shape):
    return rng.integers(-4, 5, shape).astype("float32")


def filled(layer, *shape):
    """Return a layer, built for an input of this shape, with integers for weights, so that its sums are exact."""
    layer.build(shape)
    layer.set_weights([integers(*weight.shape) for weight in layer.get_weights()])
    return layer


def same(actual, expected):
    np.testing.assert_array_equal(np.asarray(actual), np.asarray(expected))


# --- transposed convolutions ---


@pytest.mark.parametrize("taps", range(1, 8))
def test_every_small_transposed_convolution_has_its_equal(taps):
    for stride, padding in product(range(1, 5), ("same", "valid")):
        for added in (None, stride - 1):
            if padding == "same" and added is not None and taps % 2 + added == 0:
                continue  # Keras does not run it
            layer = filled(L.Conv1DTranspose(2, taps, strides=stride, padding=padding, output_padding=added), None, None, 3)
            for form in FORMS:
                converted = from_conv_transpose(layer, form=form)
                for extent in (1, 2, 5):
                    x = integers(2, extent, 3)
                    same(converted(x), layer(x))


@pytest.mark.parametrize(("ndim", "padding", "form"), [*product((1, 2, 3), ("same", "valid"), FORMS)])
def test_axes_have_their_own_taps_and_strides(ndim, padding, form):
    layer = TRANSPOSED[ndim](2, (3, 4, 2)[:ndim], strides=(2, 3, 1)[:ndim], padding=padding, activation="relu")
    x = integers(2, *EXTENTS[ndim], 3)
    same(from_conv_transpose(filled(layer, *x.shape), form=form)(x), layer(x))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_an_output_padding_is_that_of_every_axis(padding):
    layer = filled(L.Conv2DTranspose(2, (3, 5), strides=(3, 4), padding=padding, output_padding=(1, 2)), None, None, None, 3)
    x = integers(2, 4, 5, 3)
    same(from_conv_transpose(layer)(x), layer(x))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_dilated_one_has_its_equal(padding):
    layer = filled(L.Conv2DTranspose(2, (3, 2), padding=padding, dilation_rate=(2, 3)), None, None, None, 3)
    x = integers(2, 4, 5, 3)
    same(from_conv_transpose(layer)(x), layer(x))


@pytest.mark.parametrize(("ndim", "eager"), [*product((1, 2, 3), (True, False))])
def test_channels_first_are_as_channels_last_also_where_tensorflow_cannot_convolve_them(ndim, eager):
    last = filled(TRANSPOSED[ndim](2, 4, strides=3, padding="same", data_format="channels_last"), *(None,) * (ndim + 1), 3)
    first = TRANSPOSED[ndim](2, 4, strides=3, padding="same", data_format="channels_first")
    first.build((None, 3, *(None,) * ndim))
    first.set_weights(last.get_weights())
    x, converted = integers(2, *EXTENTS[ndim], 3), from_conv_transpose(first)
    y = (converted if eager else tf.function(converted))(np.moveaxis(x, -1, 1))
    same(np.moveaxis(np.asarray(y), 1, -1), last(x))


def test_the_kernel_holds_the_values_of_the_layer_and_zeros():
    layer = L.Conv2DTranspose(2, 3, strides=2, padding="same")
    layer.build((None, None, None, 3))
    kernel = from_conv_transpose(layer).get_weights()[0]
    same(np.sort(kernel[kernel != 0]), np.sort(layer.get_weights()[0], axis=None))


def operations(layer):
    """Return the names of TensorFlow's operations in a layer's graph."""
    traced = tf.function(layer).get_concrete_function(tf.zeros((1, 4, 5, 3)))
    return {node.op for node in traced.graph.as_graph_def().node}


def test_a_planar_one_emits_the_operation_that_every_converter_knows():
    layer = filled(L.Conv2DTranspose(2, 4, strides=2, padding="same"), None, None, None, 3)
    minimal, aligned = (operations(from_conv_transpose(layer, form=form)) for form in FORMS)
    assert "DepthToSpace" in minimal & aligned
    assert "Transpose" not in minimal | aligned
    assert "StridedSlice" in minimal - aligned


def test_stride_one_needs_no_shift():
    layer = filled(L.Conv2DTranspose(2, 3, padding="same"), None, None, None, 3)
    x, converted = integers(2, 4, 5, 3), from_conv_transpose(layer)
    same(converted(x), layer(x))
    assert not {"DepthToSpace", "Transpose", "Pad", "PadV2"} & operations(converted)


# --- resizes with a convolution behind them ---


@pytest.mark.parametrize("taps", range(1, 8))
def test_every_small_convolution_behind_a_resize_has_its_equal(taps):
    for factor, padding in product(range(1, 5), ("same", "valid", "causal")):
        conv = filled(L.Conv1D(2, taps, padding=padding), None, None, 3)
        for form in FORMS:
            converted = from_resize_conv(L.UpSampling1D(factor), conv, form=form)
            for extent in (2, 5):
                if padding != "valid" or factor * extent >= taps:
                    x = integers(2, extent, 3)
                    same(converted(x), conv(L.UpSampling1D(factor)(x)))


@pytest.mark.parametrize(("ndim", "padding", "form"), [*product((1, 2, 3), ("same", "valid"), FORMS)])
def test_axes_have_their_own_factors(ndim, padding, form):
    resize = RESIZES[ndim]((2, 3, 1)[:ndim] if ndim > 1 else 2)
    conv = filled(CONVOLUTIONS[ndim](2, (3, 4, 2)[:ndim], padding=padding, activation="relu"), *(None,) * (ndim + 1), 3)
    x = integers(2, *EXTENTS[ndim], 3)
    same(from_resize_conv(resize, conv, form=form)(x), conv(resize(x)))


@pytest.mark.parametrize("options", [{"dilation_rate": (2, 3)}, {"groups": 2}, {"groups": 2, "dilation_rate": 2, "padding": "valid"}])
def test_dilation_and_groups_are_kept(options):
    resize, conv = L.UpSampling2D((2, 3)), filled(L.Conv2D(6, 3, **{"padding": "same", **options}), None, None, None, 4)
    x, converted = integers(2, 4, 5, 4), from_resize_conv(resize, conv)
    same(converted(x), conv(resize(x)))
    assert converted.order == ("CRD" if "groups" in options else "DCR")


def test_a_resize_with_channels_first_is_as_with_channels_last():
    last = filled(L.Conv2D(2, 3, padding="same", data_format="channels_last"), None, None, None, 3)
    first = L.Conv2D(2, 3, padding="same", data_format="channels_first")
    first.build((None, 3, None, None))
    first.set_weights(last.get_weights())
    x = integers(2, 4, 5, 3)
    y = from_resize_conv(L.UpSampling2D(data_format="channels_first"), first)(np.moveaxis(x, -1, 1))
    same(np.moveaxis(np.asarray(y), 1, -1), last(L.UpSampling2D()(x)))


# --- what a converted layer is ---


def transposed(**options):
    return filled(L.Conv2DTranspose(2, 4, strides=2, padding="same", **options), None, None, None, 3)


def test_a_converted_layer_keeps_what_is_not_its_kernel():
    layer = transposed(activation="gelu", use_bias=False, activity_regularizer="l2", trainable=False, name="up", dtype="mixed_float16")
    converted = from_conv_transpose(layer)
    for name in ("activation", "use_bias", "activity_regularizer", "trainable", "name", "compute_dtype", "variable_dtype", "data_format"):
        assert getattr(converted, name) == getattr(layer, name), name
    assert converted.trainable_variables == []
    x = integers(2, 4, 5, 3)
    np.testing.assert_allclose(converted(x).numpy().astype("float32"), layer(x).numpy().astype("float32"), rtol=2e-3)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_weights_of_every_dtype_are_kept_bit_for_bit(dtype):
    layer = L.Conv2DTranspose(2, 3, strides=2, dtype=dtype)
    layer.build((None, None, None, 3))
    converted = from_conv_transpose(layer)
    assert converted.kernel.dtype == dtype
    assert set(np.asarray(layer.kernel, "float64").ravel()) | {0.0} == set(np.asarray(converted.kernel, "float64").ravel())


def test_the_layer_it_was_made_from_is_not_modified_and_shares_no_variable():
    layer = transposed()
    before = layer.get_weights()
    converted = from_conv_transpose(layer)
    converted.set_weights([np.zeros_like(value) for value in converted.get_weights()])
    for value, kept in zip(layer.get_weights(), before, strict=True):
        same(value, kept)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_saved_and_loaded(form, tmp_path):
    inputs = keras.Input((None, None, 4))
    conv = filled(L.Conv2D(6, 3, padding="same", groups=2, activation="relu"), None, None, None, 4)
    deconv = filled(L.Conv2DTranspose(3, 3, strides=2), None, None, None, 6)
    x = from_resize_conv(L.UpSampling2D(), conv, form=form)(inputs)
    model = keras.Model(inputs, from_conv_transpose(deconv, form=form)(x))
    model.save(tmp_path / "model.keras")
    x = integers(1, 4, 5, 4)
    same(keras.saving.load_model(tmp_path / "model.keras")(x), model(x))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_extents_may_be_unknown_and_gradients_are_those_of_the_layer(form, jit_compile):
    layer = transposed()
    converted = from_conv_transpose(layer, form=form)

    def gradient(layer):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))], jit_compile=jit_compile)
        def run(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
                loss = tf.reduce_sum(y * tf.cast(tf.reshape(tf.range(tf.size(y)) % 5 - 2, tf.shape(y)), y.dtype))
            return y, tape.gradient(loss, x)

        return run

    for shape in [(1, 4, 5, 3), (2, 1, 3, 3)]:
        x = integers(*shape)
        for actual, expected in zip(gradient(converted)(x), gradient(layer)(x), strict=True):
            same(actual, expected)


def test_its_shape_is_known_before_it_runs():
    layer = from_conv_transpose(filled(L.Conv2DTranspose(2, 3, strides=2, padding="valid"), None, None, None, 3))
    assert layer(keras.Input((None, 5, 3))).shape == (None, None, 11, 2)


@pytest.mark.parametrize("extents", [(4, 1, 3), (1, 1, 3)])
def test_an_input_of_which_nothing_is_left_is_refused(extents):
    layer = from_resize_conv(L.UpSampling2D(), filled(L.Conv2D(2, 5), None, None, None, 3))
    with pytest.raises(ValueError, match=r"must .*; got"):
        layer(integers(1, *extents))


# --- what is refused ---


class Twice(L.Conv2DTranspose):
    def call(self, x):
        return 2 * super().call(x)


REFUSED = {
    "kind": (
        lambda: L.Dense(3),
        TypeError,
        r"layer must be a Conv1DTranspose or Conv2DTranspose or Conv3DTranspose to be converted; got .*Dense",
    ),
    "derived": (lambda: filled(Twice(2, 3), None, None, None, 3), TypeError, r"got .*\.Twice"),
    "unbuilt": (lambda: L.Conv2DTranspose(2, 3), ValueError, r"layer must be built, .*; got one that has none yet"),
    "regularizer": (
        lambda: transposed(kernel_regularizer="l2"),
        ValueError,
        r"layer must have nothing attached .*; got kernel_regularizer",
    ),
    "constraint": (lambda: transposed(bias_constraint="non_neg"), ValueError, r"got bias_constraint"),
    "regularizer of a variable": (lambda: regular(transposed()), ValueError, r"got bias_regularizer"),
    "activation": (lambda: transposed(activation=_prelu()), ValueError, r"got an activation with variables"),
    "a call of its own": (lambda: called(transposed()), ValueError, r"got a call of its own"),
    "no position": (
        lambda: filled(L.Conv2DTranspose(2, 4, strides=2, padding="same", output_padding=0), None, None, None, 3),
        ValueError,
        r"output_padding must give the last pixel a position of its own with padding='same'; got \(0, 0\)",
    ),
}


def called(layer):
    """Return a layer with a call in the place of its type's."""
    of_type = layer.call
    layer.call = lambda x: 2 * of_type(x)
    return layer


def regular(layer):
    """Return a layer with a regularizer on its variable, of which the layer knows nothing."""
    layer.bias.regularizer = keras.regularizers.L2(0.1)
    return layer


def _prelu():
    layer = L.PReLU(shared_axes=[1, 2])
    layer.build((None, None, None, 2))
    return layer


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_without_an_equal_is_refused(name):
    make, kind, text = REFUSED[name]
    with pytest.raises(kind, match=text):
        from_conv_transpose(make())


def conv(**options):
    return filled(L.Conv2D(2, 3, **options), None, None, None, 3)


def adapted():
    layer = conv()
    layer.enable_lora(1)
    return layer


def large(layer):
    """Return a layer of which every tap is a number of float16, in which it computes, and no sum of two is; its kernel is float32."""
    layer.kernel.assign(0 * layer.kernel + 40_000)
    return layer


PAIRS_REFUSED = {
    "bilinear": (lambda: (L.UpSampling2D(interpolation="bilinear"), conv()), ValueError, r"mode must be 'nearest', .*; got 'bilinear'"),
    "no resize": (lambda: (L.Dense(3), conv()), TypeError, r"upsample must be a UpSampling1D or .*; got .*Dense"),
    "separable": (lambda: (L.UpSampling2D(), L.SeparableConv2D(2, 3)), TypeError, r"conv must be a Conv1D or .*; got .*SeparableConv2D"),
    "stride": (lambda: (L.UpSampling2D(), conv(strides=(2, 1))), ValueError, r"stride must be 1 on every axis .*; got \(2, 1\)"),
    "format": (
        lambda: (L.UpSampling2D(data_format="channels_first"), conv()),
        ValueError,
        r"data_format must be the same in the resize and the convolution; got 'channels_first' and 'channels_last'",
    ),
    "axes": (lambda: (L.UpSampling1D(), conv()), ValueError, r"spatial axes must be the same .*; got 1 and 2"),
    "dtype": (lambda: (L.UpSampling2D(dtype="float16"), conv()), ValueError, r"dtype must be the same .*; got 'float16' and 'float32'"),
    "sums": (
        lambda: (L.UpSampling2D(dtype="mixed_float16"), large(conv(dtype="mixed_float16"))),
        ValueError,
        r"kernel must have taps whose sums its dtype can hold; got float16",
    ),
    "a call of its own": (lambda: (called(L.UpSampling2D()), conv()), ValueError, r"upsample must have nothing .*; got a call of its own"),
    "LoRA": (lambda: (L.UpSampling2D(), adapted()), ValueError, r"conv must have nothing attached .*; got LoRA"),
    "activity": (
        lambda: (L.UpSampling2D(activity_regularizer="l2"), conv()),
        ValueError,
        r"upsample must have nothing attached .*; got activity_reg",
    ),
}


@pytest.mark.parametrize("name", PAIRS_REFUSED)
def test_a_pair_without_an_equal_is_refused(name):
    make, kind, text = PAIRS_REFUSED[name]
    with pytest.raises(kind, match=text):
        from_resize_conv(*make())


@pytest.mark.parametrize("form", ["largest", "", 3])
def test_a_form_that_is_none_is_refused(form):
    with pytest.raises(ValueError, match=r"form must be one of 'minimal', 'aligned'; got"):
        from_conv_transpose(transposed(), form=form)


# --- models ---


def randomized(model, seed=0):
    """Return a model with random weights, biases and statistics."""
    values = np.random.default_rng(seed)
    for variable in model.weights:
        low, high = (0.5, 2.0) if "variance" in variable.path else (-0.3, 0.3)
        variable.assign(values.uniform(low, high, variable.shape))
    return model


def close(model, converted, x):
    """Check, in float64, that two models give the same values for an input."""
    for actual, expected in zip(keras.tree.flatten(converted(x)), keras.tree.flatten(model(x)), strict=True):
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


@pytest.fixture
def float64():
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[1])
    keras.config.set_dtype_policy(before[0])


def forms(report):
    return {row.layer: row.form or row.reason for row in report.rows}


@pytest.mark.usefixtures("float64")
def test_a_graph_is_converted_where_the_convolution_alone_reads_the_resized_tensor():
    x = inputs = keras.Input((None, None, 3))
    alone = L.Conv2D(4, 3, padding="same", name="alone")(L.UpSampling2D(name="up_alone")(x))
    shared = L.UpSampling2D(name="up_shared")(x)
    beside = L.Conv2D(4, 3, padding="same", name="beside")(shared)
    returned = L.UpSampling2D(name="up_returned")(x)
    read = L.Conv2D(4, 3, padding="same", name="read")(returned)
    between = L.Conv2D(4, 3, padding="same")(L.BatchNormalization()(L.UpSampling2D(name="up_between")(x)))
    beside += L.Lambda(lambda z: 2 * z, name="double")(shared)[..., :1]
    model = randomized(keras.Model(inputs, [alone, beside, returned, read, between]))
    converted, report = convert(model)
    assert forms(report) == {
        "up_alone + alone": "minimal",
        "up_shared": NOT_ADJACENT,
        "up_returned": NOT_ADJACENT,
        "up_between": NOT_ADJACENT,
    }
    close(model, converted, rng.normal(size=(2, 4, 5, 3)))
    assert {layer.name for layer in converted.layers if "up" in layer.name} == {"up_shared", "up_returned", "up_between"}


@pytest.mark.usefixtures("float64")
def test_a_sequence_is_converted_and_stays_one():
    model = keras.Sequential(
        [keras.Input((4, 5, 3)), L.UpSampling2D(), L.Conv2D(4, 3, activation="relu"), L.Dropout(0.5), L.UpSampling2D(name="last")]
    )
    converted, report = convert(randomized(model))
    assert isinstance(converted, keras.Sequential)
    assert [type(layer).__name__ for layer in converted.layers] == ["ExactSubpixelConv2D", "Dropout", "UpSampling2D"]
    assert [row.form for row in report.rows] == ["minimal", None]
    close(model, converted, rng.normal(size=(2, 4, 5, 3)))


@pytest.mark.usefixtures("float64")
def test_a_layer_called_twice_stays_one_layer_and_a_model_inside_is_converted():
    inner_input = keras.Input((None, None, 3))
    inner = keras.Model(inner_input, L.Conv2D(3, 3, padding="same", name="conv")(L.UpSampling2D(name="up")(inner_input)), name="inner")
    last = keras.Sequential([keras.Input((None, None, 3)), L.Conv2DTranspose(2, 3, strides=2, name="deconv")], name="last")
    inputs = keras.Input((None, None, 3))
    twice, resize, behind = (
        L.Conv2DTranspose(3, 4, strides=2, padding="same", name="twice"),
        L.UpSampling2D(name="r"),
        L.Conv2D(3, 2, name="c"),
    )
    y = twice(twice(inputs))
    model = randomized(
        keras.Model(inputs, {"a": inner(inner(inputs)), "b": last(y), "c": behind(resize(behind(resize(y)))), "d": inner(y)})
    )
    converted, report = convert(model)
    assert forms(report) == {"twice": "minimal", "r + c": "minimal", "inner.up + inner.conv": "minimal", "last.deconv": "minimal"}
    assert len(converted.weights) == len(model.weights)
    assert "up" not in [layer.name for layer in converted.get_layer("inner").layers]
    close(model, converted, rng.normal(size=(1, 2, 3, 3)))


def test_a_pair_is_not_made_across_the_border_of_a_model_inside():
    inner_input = keras.Input((None, None, 3))
    inner = keras.Model(inner_input, L.UpSampling2D(name="up")(inner_input), name="inner")
    behind_input = keras.Input((None, None, 3))
    behind = keras.Model(behind_input, L.Conv2D(2, 3, name="conv")(behind_input), name="behind")
    inputs = keras.Input((None, None, 3))
    _, report = convert(keras.Model(inputs, [L.Conv2D(2, 3)(inner(inputs)), behind(L.UpSampling2D(name="outer")(inputs))]))
    assert forms(report) == {"inner.up": NOT_ADJACENT, "outer": NOT_ADJACENT}


def test_a_resize_that_serves_two_convolutions_in_two_calls_is_left():
    inputs, resize = keras.Input((4, 5, 3)), L.UpSampling2D(name="up")
    _, report = convert(keras.Model(inputs, [L.Conv2D(2, 3)(resize(inputs)), L.Conv2D(2, 3)(resize(2 * inputs))]))
    assert forms(report) == {"up": NOT_ADJACENT}


def test_the_model_is_not_modified_and_the_frozen_parts_stay_frozen():
    inputs = keras.Input((4, 5, 3))
    inner = keras.Sequential([keras.Input((4, 5, 3)), L.Conv2D(3, 1, name="fixed"), L.BatchNormalization(name="norm")], name="inner")
    up = L.Conv2DTranspose(3, 4, strides=2, padding="same", name="up")
    model = randomized(keras.Model(inputs, L.Dropout(0.5, seed=3)(up(up(inner(inputs))))))
    model.compile("adam", "mse")
    inner.trainable = up.trainable = False
    inner.get_layer("norm").trainable = True
    before, configuration = [variable.numpy() for variable in model.variables], model.to_json()
    outputs = [layer.output for layer in model.layers]
    converted, _ = convert(model)
    assert (converted.trainable, converted.get_layer("inner").trainable, converted.get_layer("up").trainable) == (True, False, False)
    assert [layer.trainable for layer in converted.get_layer("inner").layers] == [False, True]
    assert len(converted.trainable_variables) == len(model.trainable_variables)
    assert not converted.compiled
    for variable in converted.weights:
        variable.assign(tf.zeros_like(variable))
    assert model.to_json() == configuration
    assert [layer.output for layer in model.layers] == outputs
    for variable, value in zip(model.variables, before, strict=True):
        same(variable, value)


def test_a_converted_model_is_trained_saved_and_loaded(tmp_path):
    model = randomized(keras.Sequential([keras.Input((4, 5, 3)), L.UpSampling2D(), L.Conv2D(4, 3), L.Conv2DTranspose(2, 3, strides=2)]))
    converted, _ = convert(model)
    x = integers(2, 4, 5, 3)
    converted.compile("sgd", "mse")
    losses = converted.fit(x, np.ones((2, 13, 17, 2)), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    converted.save(tmp_path / "model.keras")
    same(keras.saving.load_model(tmp_path / "model.keras")(x), converted(x))


@keras.saving.register_keras_serializable(package="subpixel_tests")
class Own(keras.Model):
    """A model whose call is code."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.up = L.Conv2DTranspose(2, 3, strides=2, name="up")

    def call(self, x):
        return self.up(x)


def test_a_model_whose_call_is_code_is_left_and_so_is_a_layer_with_such_code():
    own = Own()
    own(np.zeros((1, 4, 5, 3)))
    left, report = convert(own)
    assert left is own
    assert forms(report) == {"up": NO_GRAPH}
    inputs = keras.Input((2, 4, 5, 3))
    _, report = convert(keras.Model(inputs, L.TimeDistributed(L.Conv2DTranspose(2, 3, name="inside"), name="each")(inputs)))
    assert forms(report) == {"each.inside": NO_GRAPH}


class Halved(keras.Model):
    """A functional model that does something else than its graph."""

    def call(self, inputs, **options):
        return super().call(inputs, **options) / 2


def test_a_functional_model_with_a_call_of_its_own_is_no_graph():
    inputs = keras.Input((4, 5, 3))
    model = Halved(inputs, L.Conv2DTranspose(2, 3, name="up")(inputs))
    assert forms(convert(model)[1]) == {"up": NO_GRAPH}


def test_the_reason_of_a_layer_that_is_left_is_the_refusal():
    inputs = keras.Input((4, 5, 3))
    outputs = [
        L.Conv2DTranspose(2, 3, kernel_regularizer="l2", name="regular")(inputs),
        L.Conv2D(2, 3)(L.UpSampling2D(interpolation="bilinear", name="bilinear")(inputs)),
        L.Conv2D(2, 3, strides=2, name="strided")(L.UpSampling2D(name="up")(inputs)),
    ]
    _, report = convert(keras.Model(inputs, outputs))
    assert not report.converted
    assert {row.layer: re.match(r"[\w ]+ must [\w ']+", row.reason)[0] for row in report.left} == {
        "regular": "layer must have nothing attached that its replacement would lose",
        "bilinear": "mode must be 'nearest'",
        "up + strided": "stride must be 1 on every axis of a convolution behind a resize",
    }


def test_inputs_and_outputs_keep_their_structure():
    p, q = keras.Input((4, 5, 3), name="p"), keras.Input((8, 10, 2), name="q")
    model = randomized(keras.Model({"p": p, "q": q}, {"sum": L.Conv2DTranspose(2, 4, strides=2, padding="same")(p) + q}))
    x = {"p": integers(1, 4, 5, 3), "q": integers(1, 8, 10, 2)}
    for converted, report in (convert(model), convert(model, example=x)):
        assert len(report.rows) == 1
        np.testing.assert_allclose(converted(x)["sum"], model(x)["sum"], atol=1e-5)


def test_multiply_accumulates_are_those_of_all_calls_where_extents_are_known():
    inputs, up = keras.Input((4, 5, 3)), L.Conv2DTranspose(3, 4, strides=2, padding="same", name="up")
    _, report = convert(keras.Model(inputs, L.Conv2D(2, 3, padding="same")(L.UpSampling2D()(up(up(inputs))))))
    calls = 4 * 5 + 8 * 10
    assert report.rows[0].macs_before == prod((4, 4, 3, 3)) * calls
    assert report.rows[0].macs_after == prod((2, 2, 3, 12)) * (5 * 6 + 9 * 11)
    assert report.rows[1].macs_before == prod((3, 3, 3, 2)) * 32 * 40
    unknown = keras.Input((None, None, 3))
    (row,) = convert(keras.Model(unknown, L.Conv2DTranspose(3, 4, strides=2)(unknown)))[1].rows
    assert (row.form, row.macs_before, row.macs_after) == ("minimal", None, None)


def test_inputs_may_be_given_by_name_in_any_sequence():
    q, p = keras.Input((6, 7, 2), name="q"), keras.Input((4, 5, 2), name="p")
    up = L.Conv2DTranspose(2, 4, strides=2, padding="same", name="up")
    model = keras.Model([q, p], [up(q), L.Conv2D(2, 3)(p)])
    for example in ({"p": integers(1, 4, 5, 2), "q": integers(1, 6, 7, 2)}, [integers(1, 6, 7, 2), integers(1, 4, 5, 2)]):
        assert convert(model, example=example)[1].rows[0].macs_before == prod((4, 4, 2, 2)) * 6 * 7


def test_the_layers_of_inputs_keep_their_names_too():
    first, second = keras.Input((4, 5, 3)), keras.Input((4, 5, 3), name="second")
    model = keras.Model([first, second], L.Conv2DTranspose(2, 3, name="up")(L.Add(name="sum")([first, second])))
    for each in (model, keras.Sequential([keras.Input((4, 5, 3)), L.Conv2DTranspose(2, 3, name="up")])):
        names = [layer.name for layer in each._flatten_layers(include_self=False)]
        assert [layer.name for layer in convert(each)[0]._flatten_layers(include_self=False)] == names


def test_a_variable_of_two_layers_is_not_replaced_in_one_of_them():
    inputs, layers = keras.Input((4, 5, 3)), [L.Conv2DTranspose(3, 3, use_bias=False, name=name) for name in ("first", "second")]
    model = keras.Model(inputs, layers[1](layers[0](inputs)))
    layers[1]._tracker.unlock()
    layers[1]._trainable_variables[:] = []
    layers[1].kernel = layers[0].kernel
    converted, report = convert(randomized(model))
    assert forms(report) == {"first": SHARED_PARAMETERS, "second": SHARED_PARAMETERS}
    assert converted is model


class Tied(L.Layer):
    """Multiplies with the kernel of another layer, which its configuration makes anew."""

    def __init__(self, source, **options):
        super().__init__(**options)
        self.source = source

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.transpose(self.source.kernel))

    def get_config(self):
        return {**super().get_config(), "source": keras.saving.serialize_keras_object(self.source)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "source": keras.saving.deserialize_keras_object(config["source"])})


def test_a_model_with_tied_weights_comes_back_as_it_is():
    inputs, dense = keras.Input((4, 5, 3)), L.Dense(5)
    model = keras.Model(inputs, L.Conv2DTranspose(2, 3, name="up")(Tied(dense)(dense(inputs))))
    converted, report = convert(model)
    assert converted is model
    assert forms(report) == {"up": SHARED_IN_MODEL}


def test_a_layer_around_another_one_that_shares_its_variables_is_copied():
    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, L.Conv2DTranspose(2, 3, name="up")(L.SpectralNormalization(L.Conv2D(4, 3, padding="same"))(inputs)))
    x = integers(2, 4, 5, 3)
    converted, report = convert(model)
    assert forms(report) == {"up": "minimal"}
    np.testing.assert_allclose(converted(x), model(x), rtol=1e-5, atol=1e-5)


def normalized(inputs):
    layer = L.Normalization()
    layer.adapt(rng.normal(5, 3, (8, 4, 5, 3)))
    return layer(inputs)


def looked_up(inputs):
    layer = L.IntegerLookup()
    layer.adapt(np.array([3, 5, 7, 5]))
    return L.Embedding(6, 3)(layer(keras.ops.cast(inputs[..., 0], "int64")))


def binned(inputs):
    layer = L.Discretization(num_bins=4)
    layer.adapt(rng.normal(size=100))
    return L.Embedding(6, 3)(layer(inputs[..., 0]))


@pytest.mark.parametrize("before", [normalized, looked_up, binned])
@pytest.mark.parametrize("nested", [False, True])
def test_state_that_is_not_in_variables_is_copied(before, nested):
    inputs, outer = keras.Input((4, 5, 3)), keras.Input((4, 5, 3))
    model = keras.Model(inputs, L.Conv2DTranspose(2, 3, strides=2, name="up")(before(inputs)), name="inner")
    model = keras.Model(outer, model(outer)) if nested else model
    x = rng.integers(0, 9, (2, 4, 5, 3)).astype("float32")
    wanted = np.asarray(model(x))
    converted, report = convert(model)
    assert len(report.converted) == 1
    np.testing.assert_allclose(converted(x), wanted, rtol=1e-5, atol=1e-5)


class Remembering(L.Layer):
    """Adds what neither its configuration nor a variable holds."""

    added = 0.0

    def call(self, x):
        return x + self.added


def test_with_an_example_a_model_whose_copy_has_other_values_is_refused():
    inputs, remembering = keras.Input((4, 5, 3)), Remembering()
    model = keras.Model(inputs, remembering(L.Conv2DTranspose(2, 3, strides=2)(inputs)), name="whole")
    x = integers(2, 4, 5, 3)
    convert(model, example=x)
    remembering.added = 1.0
    with pytest.raises(ValueError, match=r"whole must hold its state in variables, .*; got a copy with other values"):
        convert(model, example=x)


def test_an_example_leaves_states_and_seeds_of_the_model_as_they_were():
    inputs, norm = keras.Input((4, 5, 3)), L.BatchNormalization()
    x = L.Dropout(0.5, seed=3)(norm(inputs, training=True), training=True)
    model = keras.Model(inputs, L.Conv2DTranspose(2, 3, strides=2)(x))
    before = [variable.numpy() for variable in model.variables]
    convert(model, example=integers(2, 4, 5, 3))
    for variable, value in zip(model.variables, before, strict=True):
        same(variable, value)


def test_what_is_frozen_alone_stays_so():
    up, attention, norm = (
        L.Conv2DTranspose(2, 3, strides=2, name="up"),
        L.MultiHeadAttention(2, 2, name="attention"),
        L.BatchNormalization(name="norm"),
    )
    inputs = keras.Input((20, 3))
    model = keras.Model(inputs, up(norm(L.Reshape((4, 5, 3))(attention(inputs, inputs)))))
    up.kernel.trainable = norm.gamma.trainable = attention._query_dense.trainable = False
    norm.beta.regularizer = keras.regularizers.L2(0.1)
    converted, _ = convert(model)
    assert [v.path.split("/")[-2:] for v in converted.trainable_variables] == [v.path.split("/")[-2:] for v in model.trainable_variables]
    norm, attention = converted.get_layer("norm"), converted.get_layer("attention")
    assert (norm.beta.regularizer is None, attention._query_dense.trainable, attention._key_dense.trainable) == (False, False, True)


@pytest.mark.parametrize("named", [("inner",), ("conv",), ("up",), ("inner", "conv", "up")], ids=" ".join)
def test_layers_may_be_called_by_keyword(named):
    def call(layer, x):
        return layer(inputs=x) if layer.name in named else layer(x)

    inputs, outer = keras.Input((4, 5, 3)), keras.Input((4, 5, 3))
    up = filled(L.Conv2DTranspose(3, 4, strides=2, name="up"), None, 4, 5, 3)
    conv = filled(L.Conv2D(2, 3, padding="same", name="conv"), None, 4, 5, 3)
    inner = keras.Model(inputs, call(conv, L.UpSampling2D((2, 3), name="resize")(call(up, inputs))), name="inner")
    model = keras.Model(outer, call(inner, outer))
    x = integers(2, 4, 5, 3)
    for example in (None, x):
        converted, report = convert(model, example=example)
        assert {row.layer for row in report.rows} == {"inner.up", "inner.resize + inner.conv"}
        same(converted(x), model(x))
    assert len(convert(model)[1].converted) == 2


@pytest.mark.parametrize(("filters", "reason"), [(10, BIAS_ALONG_WIDTH), (8, "minimal")])
def test_a_layer_whose_bias_keras_adds_along_the_width_is_left(filters, reason):
    inputs = keras.Input((3, 4, 5))
    up = L.Conv2DTranspose(filters, 4, strides=2, padding="same", data_format="channels_first", name="up")
    model = randomized(keras.Model(inputs, up(inputs)))
    converted, report = convert(model)
    assert forms(report) == {"up": reason}
    np.testing.assert_allclose(converted(np.ones((2, 3, 4, 5))), model(np.ones((2, 3, 4, 5))), atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_an_empty_batch_gives_an_empty_one(data_format):
    layer = filled(
        L.Conv2DTranspose(2, 4, strides=(2, 3), data_format=data_format),
        *((None, 4, 5, 3) if data_format[9:] == "last" else (None, 3, 4, 5)),
    )
    x = np.zeros((0, 4, 5, 3) if data_format[9:] == "last" else (0, 3, 4, 5), "float32")
    converted = from_conv_transpose(layer)
    assert converted(x).shape == converted.compute_output_shape(x.shape)


class Counting(L.Layer):
    """Makes a variable that its configuration knows nothing of."""

    def call(self, x):
        return x


def test_what_a_configuration_does_not_hold_is_not_lost_without_a_word():
    inputs = keras.Input((4, 5, 3))
    counting = Counting(name="counting")
    model = keras.Model(inputs, counting(L.Conv2DTranspose(2, 3)(inputs)))
    counting._tracker.unlock()
    counting.add_weight(shape=(2,))
    with pytest.raises(ValueError, match=r"counting must have the variables that its configuration makes, \[\]; got \[\(2,\)\]"):
        convert(model)
    model = keras.Model(inputs, called(L.Conv2D(2, 3, name="own"))(L.Conv2DTranspose(2, 3)(inputs)))
    with pytest.raises(ValueError, match=r"own must have nothing attached .*; got a call of its own"):
        convert(model)


FRESH = """
import sys
import numpy as np, keras, subpixel_tensorflow
model = keras.models.load_model(sys.argv[1])
x, y = (np.load(path) for path in sys.argv[2:])
assert np.array_equal(model(x), y)
"""


def test_a_converted_model_is_loaded_by_a_fresh_process(tmp_path):
    inputs = keras.Input((4, 5, 3))
    x = L.Conv2D(2, (3, 2), padding="same", groups=1)(L.UpSampling2D((2, 3))(L.Conv2DTranspose(4, 4, strides=2)(inputs)))
    model = keras.Model(inputs, x)
    model.set_weights([integers(*weight.shape) for weight in model.get_weights()])
    converted, report = convert(model)
    assert len(report.converted) == 2
    x = integers(1, 4, 5, 3)
    paths = [tmp_path / name for name in ("model.keras", "x.npy", "y.npy")]
    converted.save(paths[0])
    np.save(paths[1], x)
    np.save(paths[2], np.asarray(model(x)))
    subprocess.run([sys.executable, "-c", FRESH, *map(str, paths)], check=True, capture_output=True)


def test_an_example_on_which_the_model_does_not_run_is_refused():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, L.Conv2D(2, 9)(L.Conv2DTranspose(2, 3)(inputs)))
    said = r"example must be an input on which the model runs; got \(1, 2, 3, 3\), on which it raised ValueError: "
    with pytest.raises(ValueError, match=said):
        convert(model, example=np.zeros((1, 2, 3, 3)))


@pytest.mark.parametrize(
    "example",
    [np.zeros((1, 4, 5, 2)), np.zeros((4, 5, 3)), [np.zeros((1, 4, 5, 3))] * 2, "x", 3, [[1.0]], {"x": np.zeros((1, 4, 5, 3))}],
    ids=["channels", "rank", "number", "text", "integer", "list", "name"],
)
def test_an_example_that_is_no_input_of_the_model_is_refused(example):
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match=r"example must have an array for each input of the model, \(None, None, None, 3\); got"):
        convert(keras.Model(inputs, L.Conv2DTranspose(2, 3)(inputs)), example=example)


@pytest.mark.parametrize("model", [None, L.Dense(3), "model"], ids=repr)
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError, match=r"model must be a Model; got"):
        convert(model)


def test_a_model_without_weights_yet_is_refused():
    with pytest.raises(ValueError, match=r"model must be built, "):
        convert(keras.Sequential([L.Conv2DTranspose(2, 3)]))


# --- with an example, what is slower is left ---


def test_with_an_example_only_what_is_measured_to_be_faster_is_converted():
    inputs = keras.Input((None, None, 32))
    x = L.Conv2DTranspose(64, 3, strides=2, padding="same", name="many")(inputs)
    x = L.Conv2D(16, 3, padding="same", name="behind")(L.UpSampling2D(name="up")(x))
    few = L.Conv2DTranspose(3, 4, strides=2, padding="same", name="few")(x)
    model = randomized(keras.Model(inputs, L.Conv2D(256, 2, name="wide")(L.UpSampling2D(name="last")(few))))
    x = rng.normal(size=(1, 4, 5, 32)).astype("float32")
    converted, report = convert(model, example=x)
    assert forms(report) == {"many": SLOWER, "up + behind": "minimal", "few": "aligned", "last + wide": SLOWER}
    assert report.left[0].macs_before == prod((3, 3, 32, 64)) * 4 * 5
    np.testing.assert_allclose(converted(x), model(x), rtol=1e-4, atol=1e-4)
    assert len(convert(model)[1].converted) == 4


@pytest.mark.parametrize(
    "make", [lambda: L.Conv2DTranspose(3, 4, padding="same"), lambda: L.Conv2DTranspose(3, 4, data_format="channels_first")]
)
def test_what_was_not_measured_is_left_with_an_example(make):
    inputs = keras.Input((4, 5, 3))
    _, report = convert(keras.Model(inputs, make()(inputs)), example=np.zeros((1, 4, 5, 3)))
    assert [row.reason for row in report.rows] == [SLOWER]


# --- models of others, written from their descriptions in the benchmark ---


@pytest.fixture(scope="module")
def published():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import equivalence_keras_models
    finally:
        sys.path.remove(str(BENCHMARKS))
    return equivalence_keras_models


SMALL = {
    "xception_unet": {"side": 32, "widths": (8, 16, 24)},
    "transposed_unet": {"side": 32},
    "resizing_unet": {"side": 32},
    "bilinear_unet": {"side": 32},
    "autoencoder": {},
    "variational_decoder": {},
    "generator": {"latent": 4},
    "super_resolution": {"side": 8},
}
CONVERTED = {
    "xception_unet": (9, 3),
    "transposed_unet": (3, 0),
    "resizing_unet": (3, 0),
    "bilinear_unet": (0, 3),
    "autoencoder": (2, 0),
    "variational_decoder": (3, 0),
    "generator": (3, 0),
    "super_resolution": (2, 0),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", SMALL)
def test_a_published_model_computes_the_same_when_it_is_converted(published, name):
    model = published.randomized(published.MODELS[name](**SMALL[name]))
    converted, report = convert(model)
    assert (len(report.converted), len(report.left)) == CONVERTED[name]
    close(model, converted, rng.normal(size=(2, *model.input_shape[1:])))


def magnitudes(layer, x):
    """Return, in float64, the sums of the absolute values that a layer adds up."""
    twin = type(layer).from_config({**layer.get_config(), "dtype": "float64", "activation": None})
    twin.build(x.shape)
    twin.set_weights([np.abs(value) for value in layer.get_weights()])
    return np.asarray(twin(np.abs(x)))


@pytest.mark.parametrize("name", [name for name in SMALL if CONVERTED[name][0]])
def test_every_layer_of_a_published_model_is_within_the_reduction_bound(published, name):
    model = published.randomized(published.MODELS[name](**SMALL[name]))
    converted, report = convert(model)
    pairs = [[model.get_layer(part) for part in row.layer.split(" + ")] for row in report.converted]
    probe = keras.Model(model.input if not isinstance(model, keras.Sequential) else model.inputs[0], [pair[0].input for pair in pairs])
    values = keras.tree.flatten(probe(rng.normal(size=(1, *model.input_shape[1:])).astype("float32")))
    for (*resize, layer), x in zip(pairs, values, strict=True):
        enlarged = resize[0](x) if resize else x
        taps = prod(layer.kernel_size)
        terms = taps * x.shape[-1] + taps + 2  # the sum, the taps that were added up before it, bias and activation
        gamma = terms * 2.0**-24 / (1 - terms * 2.0**-24)
        bound = 2 * gamma * (magnitudes(layer, np.asarray(enlarged)) + 1)
        error = np.abs(np.asarray(converted.get_layer(layer.name)(x), "float64") - np.asarray(layer(enlarged), "float64"))
        assert (error <= bound).all(), layer.name


def test_the_bilinear_one_is_left_with_the_reason(published):
    _, report = convert(published.bilinear_unet(32))
    assert {row.reason.partition(",")[0] for row in report.left} == {"mode must be 'nearest'"}
