"""The residual U-Net in Keras: its values against the core's, and what is Keras' own: saving, fitting, unknown extents, dtype policies."""

from math import prod

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import subpixel_core as core  # noqa: E402  # after the skip
import subpixel_tensorflow as backend  # noqa: E402
from subpixel_core import ResidualUNetConfig  # noqa: E402
from subpixel_core._unet import EPSILON, Upsampling  # noqa: E402
from subpixel_tensorflow.adapter import adapter  # noqa: E402

# Keras 3.15 converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

SPATIAL = {1: (7,), 2: (5, 7), 3: (3, 5, 4)}

# every pair of norm and upsampling, of axes and upsampling, of axes and norm; odd, even and one tap; unequal factors; every order
CONFIGS = [
    ResidualUNetConfig(in_channels=2, out_channels=3, **fields)
    for fields in (
        {"ndim": 1, "widths": (3, 2, 4), "scales": (2, 3), "norm": "none", "output_scale": 3, "blur": True, "order": "CRD"},
        {"ndim": 1, "widths": (4, 6), "kernel_size": 2, "scales": 3, "norm": "batch", "upsample": "deconv", "output_scale": 2},
        {"ndim": 1, "widths": (4, 6), "kernel_size": 4, "groups": 2, "upsample": "resize"},
        {"ndim": 2, "widths": (4, 6), "kernel_size": (3, 4), "scales": ((2, 3),), "groups": 2, "output_scale": 6, "order": "RCD"},
        {"ndim": 2, "widths": (4, 2, 4), "kernel_size": (2, 3), "scales": ((3, 2), 1), "norm": "none", "upsample": "resize", "blur": True},
        {"ndim": 2, "widths": (4, 6), "kernel_size": (1, 3), "groups": 1, "upsample": "deconv", "output_scale": (1, 3), "blur": True},
        {"ndim": 2, "widths": (4, 4), "blocks": (2, 1), "scales": ((1, 2),), "norm": "batch", "upsample": "resize", "output_scale": 2},
        {"ndim": 3, "widths": (4, 6), "kernel_size": (3, 2, 1), "scales": ((1, 2, 3),), "norm": "none", "upsample": "deconv"},
        {"ndim": 3, "widths": (2, 4), "kernel_size": 2, "scales": ((1, 2, 2),), "norm": "batch", "order": "DRC"},
        {"ndim": 3, "widths": (4, 2), "groups": 2, "upsample": "resize", "output_scale": (1, 2, 1), "blur": True},
    )
]  # fmt: skip
LATTICE = {"in_channels": 2, "out_channels": 3, "widths": (4, 6), "scales": ((2, 3),), "output_scale": (3, 2), "norm": "none"}
SMALL = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), groups=2, output_scale=2)
BATCH = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(2, 4), norm="batch")


def name(config):
    return f"{config.ndim}-D {config.norm} {config.upsample} {config.order}"


def drawn(config, dtype="float64"):
    """Return parameters in which nothing is 0 or 1, and variances are positive."""
    rng = np.random.default_rng(0)
    fresh = core.init_parameters(config, rng)
    return {key: (value + 0.3 * np.abs(rng.normal(size=value.shape))).astype(dtype) for key, value in fresh.items()}


def model_of(config, params, dtype="float64"):
    model = backend.residual_unet(config, dtype=dtype)
    backend.set_parameters(model, params)
    return model


def image(config, dtype="float64", batch=2, spatial=None):
    shape = (batch, *(spatial or SPATIAL[config.ndim]), config.in_channels)
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def deviation(actual, expected):
    """Return the largest difference, as a part of the largest value."""
    assert actual.shape == expected.shape
    return np.abs(np.asarray(actual, "float64") - expected).max() / np.abs(expected).max()


def same_bits(params, expected):
    return params.keys() == expected.keys() and all(
        params[key].dtype == expected[key].dtype and params[key].tobytes() == expected[key].tobytes() for key in expected
    )


# --- the function ---

FLOAT64 = 1e-12
"""Between what roundings leave in float64, some 1e-15, and what a single operation in float32 would leave, some 1e-8."""


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_layer_and_the_counts_equal_the_core(config):
    params, x, expected = drawn(config), image(config), {}
    y = core.residual_unet(params, x, config, trace=expected)
    network = adapter.unet(config.as_dict(), "cpu", params, "float64")
    actual_y, actual = network(x), network.trace(tf.constant(x))
    assert {actual_y.dtype.name, *(value.dtype.name for value in actual.values())} == {"float64"}
    assert list(actual) == list(expected)
    assert deviation(actual_y.numpy(), y) < FLOAT64
    assert max(deviation(actual[key], expected[key]) for key in expected) < FLOAT64
    assert sum(prod(weight.shape) for weight in network.model.trainable_weights) == config.parameters
    assert macs(network.model, x[:1]) == config.macs(SPATIAL[config.ndim])


def graph_of(model, x):
    return tf.function(model).get_concrete_function(tf.TensorSpec(x.shape, x.dtype)).graph


def macs(model, x):
    """Count the multiply-accumulates of all convolutions in the graph for one sample."""
    total = 0
    for op in graph_of(model, x).get_operations():
        if op.type in ("Conv2D", "Conv3D"):
            total += prod(op.inputs[1].shape) * prod(op.outputs[0].shape[1:-1])
        elif op.type in ("Conv2DBackpropInput", "Conv3DBackpropInputV2"):
            total += prod(op.inputs[1].shape) * prod(op.inputs[2].shape[1:-1])
    return total


def test_the_profiler_of_tensorflow_counts_the_same_multiply_accumulates(capfd):
    config = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), scales=((2, 3),), norm="none", output_scale=2)
    graph = graph_of(backend.residual_unet(config, dtype="float32"), image(config, "float32", batch=1))
    counted = tf.compat.v1.profiler.profile(graph, cmd="op", options=tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    capfd.readouterr()  # it prints
    of_convolutions = sum(
        child.total_float_ops - sum(c.total_float_ops for c in child.children) for child in nodes(counted) if child.name == "Conv2D"
    )
    assert of_convolutions == 2 * config.macs(SPATIAL[2])


def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)


def lattice(config, density=0.3, largest=2):
    """Return integer parameters, a part of them not zero, and an integer input."""
    rng = np.random.default_rng(2)

    def integers(*shape):
        return rng.integers(-largest, largest + 1, shape).astype("float32")

    params = {key: integers(*shape) * (rng.random(shape) < density) for key, shape in core.parameter_shapes(config).items()}
    return params, integers(2, 5, 7, 2)


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        *((ResidualUNetConfig(**LATTICE, order=order), "float32") for order in core.ORDERS),
        (ResidualUNetConfig(**LATTICE, upsample="deconv"), "float32"),
        (ResidualUNetConfig(**LATTICE, upsample="resize"), "float32"),
        (ResidualUNetConfig(**LATTICE), "bfloat16"),
        (ResidualUNetConfig(**{**LATTICE, "output_scale": 2}), "mixed_bfloat16"),
    ],
    ids=lambda value: name(value) if isinstance(value, ResidualUNetConfig) else None,
)
def test_integers_come_out_exactly(config, dtype):
    params, x = lattice(config) if dtype == "float32" else lattice(config, 0.1, 1)
    expected = {}
    y = core.residual_unet(params, x, config, trace=expected)
    sizes = [np.abs(value).max() for value in expected.values()]
    assert min(sizes) > 0
    assert max(sizes) <= {"float32": 2**24}.get(dtype, 2**8)  # the dtype holds them all
    actual = model_of(config, params, dtype)(x)
    assert actual.dtype == dtype.removeprefix("mixed_")
    np.testing.assert_array_equal(tf.cast(actual, "float32"), y)


def test_the_function_is_the_same_however_it_is_called():
    params = drawn(SMALL)
    model = model_of(SMALL, params)
    unknown = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 2), tf.float64)])
    nothing_known = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, None), tf.float64)])
    calls = [model, unknown, nothing_known, tf.function(model, jit_compile=True)]
    for spatial in ((5, 7), (1, 1), (4, 2)):
        x = image(SMALL, spatial=spatial)
        expected = core.residual_unet(params, x, SMALL)
        for call in calls:
            assert deviation(call(x).numpy(), expected) < FLOAT64
        calls = calls[:3]  # XLA compiles for one size, which takes long
    batches = tf.data.Dataset.from_tensor_slices(x).batch(2)  # of arrays Keras would make float32
    assert deviation(model.predict(batches, verbose=0), expected) < FLOAT64
    assert model.output_shape == (None, None, None, 3)
    assert model(keras.Input((4, None, 2), dtype="float64")).shape[-1] == 3


@pytest.mark.parametrize(("output_scale", "shifts"), [(1, 2), (6, 4)])  # two levels; and 6 = 2 * 3
def test_a_2_d_network_in_order_dcr_is_made_of_the_ops_that_converters_know(output_scale, shifts):
    config = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6, 8), norm="batch", output_scale=output_scale)
    operations = graph_of(backend.residual_unet(config), image(config, "float32")).get_operations()
    assert sum(op.type == "DepthToSpace" for op in operations) == shifts
    assert not any(op.type == "Transpose" for op in operations)
    assert max(tensor.shape.rank for op in operations for tensor in op.outputs if tensor.shape.rank is not None) == 4


# --- training ---


def test_training_updates_the_statistics_as_the_core_and_then_evaluates_with_them():
    params = drawn(BATCH)
    model = model_of(BATCH, params)
    for seed in (0, 1):
        x = np.random.default_rng(seed).normal(size=(3, 5, 7, 1))
        y, statistics = core.residual_unet(params, x, BATCH, training=True)
        assert deviation(model(x, training=True).numpy(), y) < FLOAT64
        params |= statistics
        held = backend.get_parameters(model)
        assert max(deviation(held[key], value) for key, value in statistics.items()) < FLOAT64
    before = backend.get_parameters(model)
    assert deviation(model(x).numpy(), core.residual_unet(params, x, BATCH)) < FLOAT64
    assert same_bits(backend.get_parameters(model), before)


@pytest.mark.parametrize(("widths", "jit_compile"), [((2, 4), False), ((2,), True)])
def test_it_fits(widths, jit_compile):
    keras.utils.set_random_seed(0)
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=widths, norm="batch")
    model = backend.residual_unet(config, dtype="float32")
    fresh = backend.get_parameters(model)
    x = image(config, "float32", batch=6)
    model.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=jit_compile)
    losses = model.fit(x, -x, batch_size=3, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    trained = backend.get_parameters(model)
    # A bias before the mean of a batch is taken away has no gradient but roundoff.
    assert all((trained[key] != fresh[key]).any() for key in fresh if not key.endswith(".bias") or key.startswith("head"))


def test_one_value_per_channel_is_refused_in_training():
    model = backend.residual_unet(BATCH, dtype="float32")
    x = tf.ones((1, 2, 2, 1))  # of which one position is left on the second level
    with pytest.raises(ValueError, match="x must give batch normalization 2 or more values per channel in training; got 1"):
        model(x, training=True)
    with pytest.raises(ValueError, match="x must give batch normalization 2 or more values per channel in training; got 1"):
        tf.function(lambda x: model(x, training=True))(x)
    train = tf.function(lambda x: model(x, training=True), input_signature=[tf.TensorSpec((None, None, None, 1))])
    with pytest.raises(tf.errors.InvalidArgumentError):
        train(x)
    assert train(tf.ones((2, 2, 2, 1))).shape == (2, 2, 2, 1)
    assert model(x).shape == (1, 2, 2, 1)


# --- dtype policies ---


def test_mixed_precision_is_of_this_model_alone_and_normalizes_in_float32():
    params = drawn(SMALL, "float32")
    params["stem.bias"] += 100  # a mean that bfloat16 would round by more than the values differ
    before = keras.config.dtype_policy().name
    network = adapter.unet(SMALL.as_dict(), "cpu", params, "mixed")
    assert keras.config.dtype_policy().name == before
    assert network.model.dtype_policy.name == "mixed_bfloat16"
    assert {weight.dtype for weight in network.model.weights} == {"float32"}
    trace = network.trace(tf.constant(image(SMALL, "float32")))
    assert {value.dtype.name for value in trace.values()} == {"bfloat16"}
    x = trace["stem"].astype("float64")
    grouped = x.reshape(*x.shape[:-1], 2, 2)
    mean, variance = (f(grouped, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    sigma = np.sqrt(variance + EPSILON)
    scale, bias = params["encoder.0.0.norm1.scale"], params["encoder.0.0.norm1.bias"]
    expected = ((grouped - mean) / sigma).reshape(x.shape) * scale + bias
    # UN-012, where n counts the values of a group; |x| and M are below 110
    n, u, size = prod(x.shape[1:-1]) * 2, 2.0**-24, 110
    bound = (n + 8) * u * 2 * size * np.abs(scale) * (1 / sigma * (1 + size**2 / sigma**2) * np.ones_like(grouped)).reshape(x.shape)
    measured = np.abs(trace["encoder.0.0.norm1"].astype("float64") - expected)
    assert (measured <= bound + u * np.abs(bias) + 2.0**-8 * np.abs(expected)).all()


# --- fresh parameters ---


@pytest.mark.parametrize("order", ["DCR", "CRD"])
def test_fresh_kernels_are_normal_of_their_own_and_icnr(order):
    keras.utils.set_random_seed(0)
    config = ResidualUNetConfig(in_channels=8, out_channels=8, widths=(16, 16, 16), output_scale=2, order=order, norm="batch", blocks=2)
    params = backend.get_parameters(backend.residual_unet(config))
    kernels = []
    for layer in core.network(config).layers:
        for what in set(layer.shapes) | set(getattr(layer, "statistics", ())):
            if not what.endswith(".kernel"):
                assert (params[what] == what.endswith((".scale", ".variance"))).all()
        if not hasattr(layer, "kernel_shape"):
            continue
        kernel = params[f"{layer.name}.kernel"]
        if isinstance(layer, Upsampling):
            shifted, channels = kernel, layer.out_channels
            kernel = kernel[..., :channels] if order == "DCR" else kernel[..., :: prod(layer.scale)]
            np.testing.assert_array_equal(shifted, core.icnr(kernel, layer.scale, order=order))
        z = kernel.astype("float64").ravel() / layer.std
        # Five standard deviations of the mean and the variance of n normal values: a chance of 1e-6 for each, had the seed not been fixed.
        assert abs(z.mean()) < 5 / z.size**0.5, layer.name
        assert abs((z**2).mean() - 1) < 5 * (2 / z.size) ** 0.5, layer.name
        kernels.append(tuple(z[:16]))
    assert len(set(kernels)) == len(kernels)


# --- files ---


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        (ResidualUNetConfig(**LATTICE, order="DCR"), "float64"),
        (BATCH, "float32"),
        (CONFIGS[0], "float32"),
        (ResidualUNetConfig(**LATTICE, order="DRC"), "float32"),
        (CONFIGS[3], "float64"),
        (CONFIGS[7], "float32"),
    ],
    ids=lambda value: name(value) if isinstance(value, ResidualUNetConfig) else None,
)
def test_a_file_is_read_and_written_bit_for_bit(config, dtype, tmp_path):
    params = drawn(config, dtype)
    params["stem.bias"][:2] = -0.0, np.finfo(dtype).smallest_subnormal
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    core.save_weights(theirs, params, config)
    model = backend.load_weights(theirs)
    assert model.config == config
    assert {weight.dtype for weight in model.weights} == {dtype}
    assert same_bits(backend.get_parameters(model), params)
    backend.save_weights(ours, model)
    read, same = core.load_weights(ours)
    assert same == config
    assert same_bits(read, params)


@pytest.mark.parametrize("order", core.ORDERS)
def test_a_file_is_read_in_another_order_and_computes_the_same(order, tmp_path):
    config = ResidualUNetConfig(**LATTICE, order="CRD")
    params, x = lattice(config)
    core.save_weights(tmp_path / "file", params, config)
    model = backend.load_weights(tmp_path / "file", order=order)
    assert model.config.order == order
    assert same_bits(backend.get_parameters(model), core.load_weights(tmp_path / "file", order=order)[0])
    np.testing.assert_array_equal(model(x), core.residual_unet(params, x, config))


@pytest.mark.parametrize(
    ("config", "dtype"), [(SMALL, "mixed_bfloat16"), (CONFIGS[1], "float64"), (CONFIGS[4], "bfloat16"), (CONFIGS[8], None)], ids=str
)
def test_a_keras_file_holds_the_whole_model(config, dtype, tmp_path):
    model = model_of(config, drawn(config, "float32"), dtype)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert (loaded.config, loaded.dtype_policy.name, loaded.name) == (config, model.dtype_policy.name, model.name)
    x = image(config, "float32")
    np.testing.assert_array_equal(loaded(x), model(x), strict=True)
    assert same_bits(backend.get_parameters(loaded), backend.get_parameters(model))
    backend.save_weights(tmp_path / "weights", loaded)
    assert same_bits(core.load_weights(tmp_path / "weights")[0], backend.get_parameters(model))


def test_a_part_of_the_network_is_saved_by_the_configuration_of_its_layers(tmp_path):
    config = CONFIGS[1]
    model = model_of(config, drawn(config))
    part = keras.Model(model.input, {key: model.get_layer(key).output for key in ("encoder.1.0", "decoder.0.up", "head.0")})
    part.save(tmp_path / "part.keras")
    x = image(config)
    for key, value in keras.models.load_model(tmp_path / "part.keras")(x).items():
        np.testing.assert_array_equal(value, part(x)[key], strict=True, err_msg=key)


def test_a_clone_has_parameters_of_its_own(tmp_path):
    model = model_of(SMALL, drawn(SMALL, "float32"), "float32")
    clone = keras.models.clone_model(model)
    assert (backend.get_parameters(clone)["stem.kernel"] != backend.get_parameters(model)["stem.kernel"]).all()
    backend.set_parameters(clone, backend.get_parameters(model))
    backend.save_weights(tmp_path / "weights", clone)
    x = image(SMALL, "float32")
    np.testing.assert_array_equal(backend.load_weights(tmp_path / "weights")(x), model(x))


# --- refusals ---


def test_what_is_no_configuration_is_refused():
    with pytest.raises(TypeError, match="config must be a ResidualUNetConfig; got dict"):
        backend.residual_unet(SMALL.as_dict())


def test_an_input_that_does_not_fit_is_refused_eagerly_and_while_tracing():
    model = backend.residual_unet(BATCH, dtype="float32")
    for shape, message in [
        ((2, 5, 7), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 3"),  # Keras would add an axis
        ((2, 5, 7, 1, 1), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 5"),  # and here drop one
        ((2, 5, 7, 3), "x must have 1 channels; got 3"),
        ((2, 0, 7, 1), r"x must have spatial extents of \(1, 1\) or more; got \(0, 7\)"),
    ]:
        for call in (model, tf.function(model)):
            with pytest.raises(ValueError, match=message):
                call(tf.zeros(shape))
    with pytest.raises(ValueError, match="x must have 1 channels; got 3"):
        model(keras.Input((None, None, 3)))


def test_parameters_that_do_not_fit_are_refused_before_any_is_written():
    model = backend.residual_unet(SMALL, dtype="float64")
    before = backend.get_parameters(model)
    backend.get_parameters(model)["stem.bias"] += 1  # an array of its own
    for change, message in [
        (lambda params: params.pop("head.0.bias"), "params must have the tensor 'head.0.bias' of shape"),
        (lambda params: params.update(more=np.zeros(1)), "params must have no tensors but those of the configuration; got 'more'"),
        (lambda params: params.update({"head.0.bias": np.zeros(1)}), r"params must have 'head.0.bias' of shape \(12,\); got \(1,\)"),
    ]:
        params = drawn(SMALL)
        change(params)
        with pytest.raises(ValueError, match=message):
            backend.set_parameters(model, params)
    assert same_bits(backend.get_parameters(model), before)


def test_a_damaged_file_is_refused_with_the_core_s_text(tmp_path):
    path = tmp_path / "file"
    backend.save_weights(path, backend.residual_unet(BATCH))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        backend.load_weights(path)


def test_what_is_frozen_stays_frozen_in_a_keras_file_and_the_optimizer_goes_on(tmp_path):
    model = backend.residual_unet(ResidualUNetConfig(in_channels=1, out_channels=1, widths=(2, 3), norm="none"))
    model.get_layer("stem").trainable = False
    model.compile("adam", "mse")
    x = np.ones((2, 4, 4, 1), np.float32)
    model.fit(x, x, epochs=2, verbose=0)
    model.save(tmp_path / "frozen.keras")
    loaded = keras.models.load_model(tmp_path / "frozen.keras")
    assert [v.path.partition("/")[0] for v in loaded.trainable_weights] == [v.path.partition("/")[0] for v in model.trainable_weights]
    assert not loaded.get_layer("stem").trainable
    assert int(loaded.optimizer.iterations) == 2


@pytest.mark.parametrize("dtype", ["complex64", "U8"])
def test_parameters_that_are_no_real_numbers_are_refused_and_nothing_is_written(dtype):
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(2, 3), norm="none")
    model = backend.residual_unet(config)
    before = backend.get_parameters(model)
    params = core.init_parameters(config, np.random.default_rng(0))
    params["head.0.kernel"] = params["head.0.kernel"].astype(dtype)
    with pytest.raises(TypeError, match=r"params must be real numbers; got .* in 'head.0.kernel'"):
        backend.set_parameters(model, params)
    assert all(np.array_equal(before[name], value) for name, value in backend.get_parameters(model).items())


def test_a_refused_batch_changes_no_statistics():
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(2, 3), norm="batch")
    model = backend.residual_unet(config)
    before = backend.get_parameters(model)
    with pytest.raises(ValueError, match="2 or more values per channel in training; got 1"):
        model(np.ones((1, 2, 2, 1), np.float32), training=True)
    assert all(np.array_equal(before[name], value) for name, value in backend.get_parameters(model).items())


@pytest.mark.parametrize("upsample", ["subpixel", "deconv", "resize"])
def test_in_mixed_float16_every_convolution_of_a_volume_is_summed_in_float32(upsample):
    config = ResidualUNetConfig(ndim=3, in_channels=2, out_channels=2, widths=(16, 16), scales=2, groups=4, upsample=upsample)
    model = model_of(config, core.init_parameters(config, np.random.default_rng(0)), "mixed_float16")
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    outputs = keras.Model(model.input, [(layer.input, layer.output) for layer in layers])(image(config, "float32", spatial=(4, 5, 3)))
    for layer, (x, y) in zip(layers, outputs, strict=True):
        assert (x.dtype, y.dtype) == (tf.float16, tf.float16)
        expected, size = (float64_twin(layer, f)(f(x.numpy().astype("float64"))).numpy() for f in (np.asarray, np.abs))
        terms, u = prod(layer.kernel.shape[:-1]) + 1, 2.0**-11
        bound = terms * 2.0**-24 * size + u * np.abs(expected) + u * (np.abs(expected) + np.abs(layer.bias.numpy()).max())  # CV-003
        assert (np.abs(y.numpy().astype("float64") - expected) <= bound).all(), layer.name


def float64_twin(layer, of):
    """Return the layer in float64, with its values as float16 holds them, each put through a function."""
    twin = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    twin.build(layer.input.shape)
    twin.set_weights([of(weight.numpy().astype("float16").astype("float64")) for weight in layer.weights])
    return twin
