"""What is specific to TensorFlow and Keras: saving, unknown extents, dtype policies, training, the text of errors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import subpixel_core as core  # noqa: E402  # after the skip
import subpixel_tensorflow as backend  # noqa: E402
from subpixel_tensorflow.ops import convolve, convolve_transposed  # noqa: E402

# Keras 3.15 converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

PLAIN = {1: backend.SubpixelConv1D, 2: backend.SubpixelConv2D, 3: backend.SubpixelConv3D}
CHAINED = {1: backend.ChainedSubpixelConv1D, 2: backend.ChainedSubpixelConv2D, 3: backend.ChainedSubpixelConv3D}
SCALES = {1: (6,), 2: (4, 6), 3: (2, 6, 4)}
FACTORS = {1: ((2,), (3,)), 2: ((2, 3), (2, 2)), 3: ((1, 3, 2), (2, 2, 2))}
EXTENTS = {1: (7,), 2: (4, 5), 3: (2, 3, 4)}


def iota(*shape, dtype="float32"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def integers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype("float32")


@keras.saving.register_keras_serializable(package="subpixel_tests")
def doubled(x):
    return 2 * x


@keras.saving.register_keras_serializable(package="subpixel_tests")
class Recorder(keras.initializers.Initializer):
    """Draws what RandomNormal draws, and keeps the shapes that it was asked for."""

    def __init__(self, seed=None):
        self.shapes, self.normal = [], keras.initializers.RandomNormal(seed=seed)

    def __call__(self, shape, dtype=None):
        self.shapes.append(tuple(shape))
        return self.normal(shape, dtype=dtype)


# --- the operations ---


@pytest.mark.parametrize("order", core.ORDERS)
@pytest.mark.parametrize("data_format", core.DATA_FORMATS)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_function_of_unknown_extents_shifts_and_shifts_back(order, data_format, jit_compile):
    @tf.function(input_signature=[tf.TensorSpec([None] * 5, tf.int32)], jit_compile=jit_compile)
    def shift(x):
        return backend.phase_shift(x, (2, 3), order=order, data_format=data_format)

    @tf.function(input_signature=[tf.TensorSpec([None] * 5, tf.int32)], jit_compile=jit_compile)
    def unshift(y):
        return backend.inverse_phase_shift(y, (2, 3), order=order, data_format=data_format)

    for batch, extents in [((2, 1), (4, 5)), ((1, 3), (2, 7))]:
        x = iota(*batch, *extents, 12, dtype="int32") if data_format == "channels_last" else iota(*batch, 12, *extents, dtype="int32")
        expected = core.phase_shift(x, (2, 3), order=order, data_format=data_format)
        np.testing.assert_array_equal(shift(x), expected, strict=True)
        np.testing.assert_array_equal(unshift(expected), x, strict=True)


def test_known_extents_stay_known_beside_unknown_ones():
    seen = []

    @tf.function(input_signature=[tf.TensorSpec([None, None, 5, 12], tf.float32)])
    def shift(x):
        y = backend.phase_shift(x, (2, 3), order="CRD")
        seen.append((y.shape.as_list(), backend.inverse_phase_shift(y, (1, 3)).shape.as_list(), backend.box_blur(y, 2).shape.as_list()))
        return y

    shift(iota(2, 4, 5, 12))
    assert seen == [([None, None, 15, 2], [None, None, 5, 6], [None, None, 15, 2])]


def test_an_unknown_number_of_axes_is_refused():
    shift = tf.function(lambda x: backend.phase_shift(x, 2), input_signature=[tf.TensorSpec(None)])
    with pytest.raises(ValueError, match="x must have a known number of axes; got a tensor of unknown rank"):
        shift(iota(1, 3, 4, 8))


def test_channels_that_turn_out_not_to_divide_are_refused_at_run_time():
    shift = tf.function(lambda x: backend.phase_shift(x, (2, 3)), input_signature=[tf.TensorSpec([None] * 4)])
    with pytest.raises(tf.errors.InvalidArgumentError):
        shift(iota(1, 3, 4, 10))


def test_by_default_the_shift_is_depth_to_space():
    x = iota(2, 3, 5, 12)
    np.testing.assert_array_equal(backend.phase_shift(x, 2), tf.nn.depth_to_space(x, 2))
    np.testing.assert_array_equal(backend.inverse_phase_shift(iota(2, 6, 4, 3), 2), tf.nn.space_to_depth(iota(2, 6, 4, 3), 2))


@pytest.mark.parametrize(
    ("dtype", "jit_compile"), [("float16", False), ("bfloat16", False), ("float32", False), ("float64", False), ("float32", True)]
)
@pytest.mark.parametrize("scale", [(4,), (2, 3), (2, 1, 3), (1, 2, 3, 2)])
def test_the_blur_is_the_references_in_every_dtype_and_its_gradient_the_transpose(scale, dtype, jit_compile):
    shape = (2, 4, 3, 5, 2)[: len(scale) + 1]
    x = tf.cast(integers(*shape, 2), dtype)
    cotangent = tf.cast(integers(*shape, 2, seed=1), dtype)

    @tf.function(jit_compile=jit_compile)
    def blur_and_gradient(x, cotangent):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = backend.box_blur(x, scale)
        return y, tape.gradient(y, x, output_gradients=cotangent)

    y, gradient = (tf.cast(value, "float64").numpy() for value in blur_and_gradient(x, cotangent))
    matrix = core.box_blur(np.eye(y.size).reshape(-1, *y.shape), scale).reshape(y.size, y.size)  # row: input, column: output
    roundoff = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}[dtype]
    accumulated = min(roundoff, 2.0**-24)
    for result, argument, linear in [(y, x, matrix.T), (gradient, cotangent, matrix)]:
        values = tf.cast(argument, "float64").numpy().ravel()
        expected = linear @ values
        bound = (np.prod(scale) + 1) * accumulated * (linear @ np.abs(values)) + roundoff * np.abs(expected)  # BL-003
        assert result.shape == x.shape
        assert (np.abs(result.ravel() - expected) <= bound).all()


@pytest.mark.parametrize("extents", [(7,), (4, 5), (3, 4, 3)], ids=len)
@pytest.mark.parametrize("compiled", [False, True])
def test_convolutions_of_float16_are_summed_in_float32(extents, compiled):
    rng, ndim = np.random.default_rng(0), len(extents)
    x, kernel = rng.normal(size=(2, *extents, 16)).astype("float16"), rng.normal(size=(*(3,) * ndim, 16, 16)).astype("float16")
    stride = (2,) * ndim
    full = (2, *(2 * extent + 1 for extent in extents), 16)
    ways = [
        lambda x, kernel: convolve(x, kernel, padding="same"),
        lambda x, kernel: convolve(x, kernel, stride),
        lambda x, kernel: convolve(x, kernel[..., :8, :]),  # two groups
        lambda x, kernel: convolve_transposed(x, kernel, full, stride),
    ]
    for way in ways:
        y = (tf.function(way) if compiled else way)(tf.constant(x), tf.constant(kernel))
        assert y.dtype == tf.float16
        expected, size = (way(tf.constant(f(x), "float64"), tf.constant(f(kernel), "float64")).numpy() for f in (np.asarray, np.abs))
        bound = (3**ndim * 16 + 1) * 2.0**-24 * size + 2.0**-11 * np.abs(expected)  # CV-003
        assert (np.abs(y.numpy().astype("float64") - expected) <= bound).all()


# --- the shift as a layer ---


@pytest.mark.parametrize("order", core.ORDERS)
@pytest.mark.parametrize("scale", [2, (2, 2), (2, 3), (3,), (1, 2, 3)])
@pytest.mark.parametrize("data_format", core.DATA_FORMATS)
def test_the_layer_shifts_as_the_reference(order, scale, data_format):
    ndim = 2 if scale == 2 else len(scale)
    channels = 2 * int(np.prod(scale if ndim != 2 or scale != 2 else (2, 2)))
    extents = EXTENTS[ndim]
    x = iota(2, *extents, channels) if data_format == "channels_last" else iota(2, channels, *extents)
    layer = backend.PhaseShift(scale, order=order, data_format=data_format)
    expected = core.phase_shift(x, scale, order=order, data_format=data_format)
    np.testing.assert_array_equal(layer(x), expected, strict=True)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *expected.shape[1:])
    back = backend.InversePhaseShift(scale, order=order, data_format=data_format)
    np.testing.assert_array_equal(back(expected), x, strict=True)
    assert back.compute_output_shape((None, *expected.shape[1:])) == (None, *x.shape[1:])


def test_the_layer_keeps_the_dtype_of_integers():
    inputs = keras.Input((None, None, 12), dtype="uint8")
    outputs = backend.PhaseShift((2, 3), order="CRD")(inputs)
    assert (outputs.shape, outputs.dtype) == ((None, None, None, 2), "uint8")
    x = iota(1, 4, 5, 12, dtype="uint8")
    np.testing.assert_array_equal(keras.Model(inputs, outputs)(x), core.phase_shift(x, (2, 3), order="CRD"), strict=True)


def test_the_layer_emits_the_op_that_converters_know_for_square_blocks_in_the_default_order():
    def operations(layer, extents, channels):
        graph = tf.function(layer).get_concrete_function(tf.TensorSpec([None, *extents, channels])).graph
        return {operation.type for operation in graph.get_operations()}

    assert "DepthToSpace" in operations(backend.PhaseShift(2), (None, None), 12)
    assert "SpaceToDepth" in operations(backend.InversePhaseShift(2), (None, None), 3)
    assert "DepthToSpace" in operations(backend.SubpixelConv2D(3, 3, 2), (None, None), 4)
    assert "DepthToSpace" not in operations(backend.PhaseShift((2, 3)), (None, None), 12)
    assert "DepthToSpace" not in operations(backend.PhaseShift(2, order="CRD"), (None, None), 12)
    assert not {"PyFunc", "EagerPyFunc"} & operations(backend.SubpixelConv2D(3, 3, 2, blur=True, separable=True, order="RCD"), (4, None), 4)


# --- the layers compute what the reference computes ---


@pytest.mark.parametrize("data_format", core.DATA_FORMATS)
@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("padding", ["same", "valid", "pairs"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_layer_is_the_reference_on_integers_eager_and_compiled(ndim, padding, separable, data_format):
    kernel_size = {1: (4,), 2: (3, 2), 3: (2, 1, 3)}[ndim]
    padding = ((0, 2), (3, 1), (1, 1))[:ndim] if padding == "pairs" else padding
    layer = PLAIN[ndim](2, kernel_size, SCALES[ndim], padding=padding, separable=separable, data_format=data_format, order="RCD")
    x = integers(2, *EXTENTS[ndim], 3)
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    layer.build((None, *given.shape[1:]))
    for seed, variable in enumerate(layer.trainable_variables):
        variable.assign(integers(*variable.shape, seed=seed + 1))
    if separable:
        expected = core.separable_subpixel_conv(
            x, layer.depthwise.numpy(), layer.kernel.numpy(), layer.bias.numpy(), scale=SCALES[ndim], order="RCD", padding=padding
        )
    else:
        expected = core.subpixel_conv(x, layer.kernel.numpy(), layer.bias.numpy(), scale=SCALES[ndim], order="RCD", padding=padding)
    expected = expected if data_format == "channels_last" else np.moveaxis(expected, -1, 1)
    unknown = [tf.TensorSpec([None if axis != (-1 % x.ndim if data_format == "channels_last" else 1) else 3 for axis in range(x.ndim)])]
    for run in (layer, tf.function(layer, input_signature=unknown), tf.function(layer, jit_compile=True)):
        np.testing.assert_array_equal(run(given), expected, strict=True)
    assert layer.compute_output_shape(given.shape) == expected.shape


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_gradients_of_a_separable_layer_in_float64_are_differences(ndim):
    layer = PLAIN[ndim](2, 2, SCALES[ndim], separable=True, blur=True, dtype="float64")
    x = tf.cast(integers(2, *EXTENTS[ndim], 3), tf.float64)
    weights = tf.cast(integers(*layer(x).shape, seed=3), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layer(x) * weights)
    gradients = tape.gradient(y, [x, layer.depthwise.value, layer.kernel.value, layer.bias.value])
    # The layer is linear in each of them, so a difference over any step is the derivative up to rounding.
    for gradient, variable in zip(gradients[1:], (layer.depthwise, layer.kernel, layer.bias), strict=True):
        step = integers(*variable.shape, seed=7).astype("float64")
        variable.assign_add(step)
        moved = tf.reduce_sum(layer(x) * weights)
        variable.assign_sub(step)
        assert abs(float(moved - y) - float(tf.reduce_sum(gradient * step))) < 1e-10
    step = integers(*x.shape, seed=8).astype("float64")
    bias_free = tf.reduce_sum((layer(x + step) - layer(x)) * weights)
    assert abs(float(bias_free) - float(tf.reduce_sum(gradients[0] * step))) < 1e-10


def test_the_activation_of_a_layer_comes_last_and_that_of_a_chain_between_its_stages():
    x = integers(1, 4, 5, 3)
    plain = backend.SubpixelConv2D(2, 3, (2, 3), activation="relu", blur=True)
    y = plain(x)
    linear = backend.SubpixelConv2D.from_config({**plain.get_config(), "activation": None})
    linear.build(x.shape)
    linear.set_weights(plain.get_weights())
    np.testing.assert_array_equal(y, np.maximum(linear(x), 0))
    chain = backend.ChainedSubpixelConv2D(2, 3, (4, 6), factors=((2, 3), (2, 2)), width=5, activation="relu", order="CRD")
    y = chain(x)
    first, second = chain.stages
    np.testing.assert_array_equal(y, second(np.maximum(first(x), 0)))
    assert np.min(y) < 0


# --- saving ---

LAYERS = [
    backend.PhaseShift(2, name="shift"),
    backend.PhaseShift((2, 2), order="RCD", dtype="float64"),
    backend.InversePhaseShift((2, 1), order="CRD"),
    backend.SubpixelConv1D(2, 3, 2, padding=((2, 0),), bias_initializer="uniform", bias_regularizer="l2"),
    backend.SubpixelConv2D(
        3, (3, 2), (2, 3), activation=doubled, kernel_regularizer=keras.regularizers.L1(0.5), kernel_constraint="non_neg"
    ),
    backend.SubpixelConv2D(2, 3, 2, use_bias=False, blur=True, order="CRD", dtype="mixed_bfloat16", padding="valid", activation="softmax"),
    backend.SubpixelConv2D(2, 3, 2, data_format="channels_first", separable=True, depthwise_constraint="max_norm", trainable=False),
    backend.SubpixelConv3D(2, 3, (1, 2, 3), kernel_initializer=keras.initializers.HeNormal(seed=3), activity_regularizer="l1"),
    backend.ChainedSubpixelConv1D(2, 3, 6, activation="relu", width=5),
    backend.ChainedSubpixelConv2D(
        2, 3, (4, 6), factors=[[2, 3], 2], activation=doubled, bias_initializer="uniform", order="DRC", blur=True
    ),
    backend.ChainedSubpixelConv3D(2, 2, 4, factors=(2, 2), separable=True, kernel_regularizer="l2", dtype="mixed_float16"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_model_with_the_layer_is_saved_and_loaded(layer, tmp_path):
    ndim = {"1": 1, "3": 3}.get(type(layer).__name__[-2], 2)
    extents = (None,) * ndim
    inputs = keras.Input((8, *extents) if getattr(layer, "data_format", "") == "channels_first" else (*extents, 8))
    model = keras.Model(inputs, type(layer).from_config(layer.get_config())(inputs))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    copy = loaded.layers[-1]
    assert copy.get_config() == model.layers[-1].get_config()
    assert copy.get_config() == {**layer.get_config(), "name": copy.name}
    x = integers(2, *inputs.shape[1:2], *EXTENTS[ndim]) if inputs.shape[1] == 8 else integers(2, *EXTENTS[ndim], 8)
    np.testing.assert_array_equal(loaded(x), model(x), strict=True)
    assert [v.shape for v in copy.trainable_variables] == [v.shape for v in model.layers[-1].trainable_variables]
    assert len(loaded.losses) == len(model.losses)


def test_a_saved_model_serves_any_extents(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, backend.ChainedSubpixelConv2D(2, 3, (4, 6), factors=((2, 3), (2, 2)))(inputs))
    model.set_weights([integers(*weight.shape, seed=seed) for seed, weight in enumerate(model.get_weights())])
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    for extents in [(4, 5), (7, 2)]:
        x = integers(2, *extents, 3)
        np.testing.assert_array_equal(served.serve(x), model(x), strict=True)


# --- functional models and training ---


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_functional_model_of_unknown_extents_takes_two_sizes(ndim):
    inputs = keras.Input((*(None for _ in range(ndim)), 3))
    layers = [PLAIN[ndim](4, 3, 2, separable=True), CHAINED[ndim](2, 2, SCALES[ndim], factors=FACTORS[ndim], blur=True)]
    outputs = layers[1](layers[0](inputs))
    assert outputs.shape == (None, *(None for _ in range(ndim)), 2)
    model = keras.Model(inputs, outputs)
    for extra in (0, 1):
        extents = tuple(extent + extra * axis for axis, extent in enumerate(EXTENTS[ndim], start=1))
        y = model(integers(2, *extents, 3))
        assert y.shape == (2, *(2 * r * extent for r, extent in zip(SCALES[ndim], extents, strict=True)), 2)
        assert model.predict(integers(3, *extents, 3), verbose=0).shape == (3, *y.shape[1:])


@pytest.mark.parametrize(
    ("policy", "jit_compile"),
    [("float32", False), ("float64", False), ("mixed_bfloat16", False), ("mixed_float16", False), ("mixed_bfloat16", True)],
)
def test_training_lowers_the_loss_under_every_policy(policy, jit_compile):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    x = backend.ChainedSubpixelConv2D(4, 3, (4, 2), factors=((2, 1), (2, 2)), activation="relu", dtype=policy)(inputs)
    x = backend.SubpixelConv2D(2, 3, (1, 3), separable=True, blur=True, order="CRD", dtype=policy)(x)
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=jit_compile)
    data, target = integers(4, 4, 5, 3) / 4, integers(4, 16, 30, 2, seed=1) / 4
    losses = model.fit(data, target, epochs=3, batch_size=4, verbose=0).history["loss"]
    assert losses[0] > losses[1] > losses[2]
    compute, variable = {"mixed_bfloat16": ("bfloat16", "float32"), "mixed_float16": ("float16", "float32")}.get(policy, (policy, policy))
    assert (model(data).dtype.name, {v.dtype for v in model.trainable_variables}) == (compute, {variable})


def test_regularizers_and_constraints_act():
    layer = backend.SubpixelConv2D(
        2,
        3,
        (2, 3),
        separable=True,
        bias_initializer="ones",
        depthwise_initializer="ones",
        kernel_initializer="ones",
        kernel_regularizer=keras.regularizers.L1(1.0),
        depthwise_regularizer=keras.regularizers.L1(10.0),
        bias_regularizer=keras.regularizers.L1(100.0),
        kernel_constraint="non_neg",
        depthwise_constraint="non_neg",
        bias_constraint="non_neg",
    )
    layer.build((None, None, None, 3))
    assert sorted(map(float, layer.losses)) == [3 * 12 * 1, 27 * 10, 12 * 100]
    keras.optimizers.SGD(5.0).apply([tf.ones(v.shape) for v in layer.trainable_variables], layer.trainable_variables)
    assert all((v.numpy() == 0).all() for v in layer.trainable_variables)


def test_a_chain_regularizes_and_constrains_every_stage():
    chain = backend.ChainedSubpixelConv1D(2, 3, 6, factors=(2, 3), kernel_regularizer="l2", kernel_constraint="non_neg")
    chain.build((None, None, 4))
    assert len(chain.losses) == 2
    assert [v.constraint is None for v in chain.trainable_variables] == [False, True, False, True]


# --- ICNR ---


@pytest.mark.parametrize("order", core.ORDERS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_every_fresh_layer_is_icnr_bias_included(ndim, order):
    options = {"order": order, "bias_initializer": "random_normal", "kernel_initializer": "he_normal"}
    plain, separable = (PLAIN[ndim](2, 3, SCALES[ndim], separable=separable, **options) for separable in (False, True))
    chain = CHAINED[ndim](2, 3, SCALES[ndim], factors=FACTORS[ndim], width=3, **options)
    for layer in (plain, separable, chain):
        layer.build((None, *(None for _ in range(ndim)), 4))
    for layer in (plain, separable, *chain.stages):
        kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
        assert core.icnr_residual(kernel, layer.scale, order=order, bias=bias) == 0.0
        assert len(set(bias)) == layer.filters
        assert len(np.unique(kernel)) == np.prod(kernel.shape) // np.prod(layer.scale)


def test_the_base_initializer_is_asked_for_the_base_shape():
    kernel, bias, depthwise = Recorder(), Recorder(), Recorder()
    layer = backend.SubpixelConv2D(
        5, 3, (2, 3), separable=True, kernel_initializer=kernel, bias_initializer=bias, depthwise_initializer=depthwise
    )
    layer.build((None, None, None, 4))
    assert (kernel.shapes, bias.shapes, depthwise.shapes) == ([(1, 1, 4, 5)], [(5,)], [(3, 3, 4, 1)])
    assert [variable.shape for variable in layer.variables] == [(3, 3, 4, 1), (1, 1, 4, 30), (30,)]


def test_the_stages_of_a_chain_draw_different_values_from_one_initializer():
    chain = backend.ChainedSubpixelConv2D(4, 3, 4, factors=(2, 2), kernel_initializer=keras.initializers.RandomNormal())
    chain.build((None, None, None, 4))
    first, second = (stage.kernel.numpy() for stage in chain.stages)
    assert first.shape == second.shape
    assert (first != second).any()


@pytest.mark.parametrize("order", core.ORDERS)
def test_icnr_is_serialized_and_draws_the_references_values(order):
    initializer = backend.ICNR(keras.initializers.RandomNormal(seed=1), (2, 3), order)
    copy = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert copy.get_config() == initializer.get_config()
    base = keras.initializers.RandomNormal(seed=1)((3, 2, 4, 2), dtype="float64").numpy()
    np.testing.assert_array_equal(copy((3, 2, 4, 12), dtype="float64"), core.icnr(base, (2, 3), order=order), strict=True)
    base = keras.initializers.RandomNormal(seed=1)((2,), dtype="float32").numpy()
    np.testing.assert_array_equal(copy((12,), dtype="float32"), core.icnr_bias(base, (2, 3), order=order), strict=True)


def test_an_integer_scale_of_icnr_holds_on_every_axis_of_the_kernel():
    assert backend.ICNR("ones", 2)((3, 3, 3, 4, 16)).shape == (3, 3, 3, 4, 16)
    with pytest.raises(ValueError, match="channels must be a multiple of 8"):
        backend.ICNR("ones", 2)((3, 3, 3, 4, 12))


# --- arithmetic and errors ---


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_parameters_are_those_of_the_plan(ndim, separable, use_bias):
    arithmetic = {"kernel_size": 3, "ndim": ndim, "bias": use_bias, "separable": separable}
    options = {"use_bias": use_bias, "separable": separable}
    for layer, plan in [
        (PLAIN[ndim](2, 3, SCALES[ndim], **options), core.plan_stages(SCALES[ndim], 5, 2, factors=(SCALES[ndim],), **arithmetic)),
        (CHAINED[ndim](2, 3, SCALES[ndim], width=3, **options), core.plan_stages(SCALES[ndim], 5, 2, width=3, **arithmetic)),
    ]:
        layer.build((None, *(None for _ in range(ndim)), 5))
        assert layer.count_params() == plan.parameters


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: backend.phase_shift(iota(4, 6, 10), (2, 3)), "channels must be a multiple of 6, the product of scale=(2, 3); got 10"),
        (lambda: backend.inverse_phase_shift(iota(5, 6, 1), 2), "extent of spatial axis 0 must be a multiple of 2"),
        (lambda: backend.phase_shift(iota(4, 4), 2), "x must have 2 spatial axes for scale=(2, 2)"),
        (lambda: backend.box_blur(iota(4, 4), 2), "x must have 2 spatial axes for scale=(2, 2)"),
        (lambda: backend.PhaseShift(0), "scale must be 1 or more"),
        (lambda: backend.PhaseShift(2, order="XYZ"), "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got 'XYZ'"),
        (lambda: backend.PhaseShift(2, data_format="NHWC"), "data_format must be one of"),
        (lambda: backend.PhaseShift((2, 3))(iota(1, 4, 6, 10)), "channels must be a multiple of 6, the product of scale=(2, 3); got 10"),
        (lambda: backend.PhaseShift(2)(keras.Input((None, None, 10))), "channels must be a multiple of 4"),
        (lambda: backend.SubpixelConv2D(0, 3, 2), "filters must be 1 or more; got 0"),
        (lambda: backend.SubpixelConv2D(3, 3, (2, 2, 2)), "scale must have one value per spatial axis, 2; got (2, 2, 2)"),
        (lambda: backend.SubpixelConv1D(3, 3, 2, padding="full"), "padding must be one of 'same', 'valid'; got 'full'"),
        (lambda: backend.SubpixelConv2D(3, 3, 2)(iota(1, 4, 6)), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 3"),
        (
            lambda: backend.SubpixelConv2D(3, 5, 2, padding="valid")(keras.Input((3, 9, 4))),
            "kernel must not be larger than the padded input",
        ),
        (lambda: backend.ChainedSubpixelConv2D(3, 3, 6, factors=(2, 2)), "factors must multiply to scale=(6, 6); got (2, 2)"),
        (lambda: backend.ChainedSubpixelConv2D(3, 3, 6, order="dcr"), "order must be one of"),
        (lambda: backend.ChainedSubpixelConv2D(3, 3, 6, width=0), "width must be 1 or more; got 0"),
        (lambda: backend.ICNR("zeros", 2, "XYZ"), "order must be one of"),
    ],
)
def test_wrong_arguments_give_the_cores_text(call, text):
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the text is contained, behind what Keras writes
        call()
    assert text in str(error.value)


@pytest.mark.parametrize(
    "call", [lambda: backend.PhaseShift(2.0), lambda: backend.SubpixelConv2D(3, 3, True), lambda: backend.ICNR("ones", "2")]
)
def test_a_scale_that_is_no_integer_is_a_type_error(call):
    with pytest.raises(TypeError, match="scale must be an integer or a tuple of integers"):
        call()


def test_a_built_layer_refuses_other_channels():
    layer = backend.SubpixelConv2D(3, 3, 2)
    layer(iota(1, 4, 6, 5))
    with pytest.raises(ValueError, match="x must have 5 channels; got 4"):
        layer(iota(1, 4, 6, 4))


def test_keras_on_another_backend_is_refused_at_import():
    pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(path for path in sys.path if Path(path).is_dir())}
    run = subprocess.run([sys.executable, "-c", "import subpixel_tensorflow"], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ImportError: subpixel_tensorflow needs Keras on the TensorFlow backend: set KERAS_BACKEND=tensorflow; got 'jax'" in run.stderr


@pytest.mark.parametrize("use_bias", [True, False])
def test_no_samples_give_an_error_never_another_number_of_channels(use_bias):
    # TensorFlow's convolution of an empty batch has the channels of its input.
    layer = backend.SubpixelConv2D(2, 3, 2, use_bias=use_bias)
    layer.build((None, None, None, 4))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        layer(tf.zeros((0, 5, 6, 4)))


@pytest.mark.parametrize("separable", [True, False])
def test_a_kernel_larger_than_its_input_is_refused_in_the_words_of_the_core(separable):
    layer = backend.SubpixelConv2D(2, 3, 2, padding="valid", separable=separable)
    with pytest.raises(ValueError, match=r"kernel must not be larger than the padded input \(2, 5\); got \(3, 3\)"):
        layer(tf.ones((1, 2, 5, 4)))


def test_an_initializer_of_a_bias_needs_a_factor_per_axis():
    words = "scale must have one factor per spatial axis to initialize a bias, which has no such axes; got 2"
    with pytest.raises(ValueError, match=words):
        backend.ICNR("random_normal", 2)((24,))
    drawn = backend.ICNR("random_normal", (2, 2, 2))((24,)).numpy()
    assert core.icnr_residual(np.zeros((1, 1, 1, 1, 24)), 2, order="DCR", bias=drawn) == 0.0


def test_a_blur_of_integers_is_refused():
    with pytest.raises(TypeError, match="x must be floating point for a blur in this framework; got int32"):
        backend.box_blur(tf.ones((1, 4, 6, 2), tf.int32), 2)
