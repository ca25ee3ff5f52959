"""The residual U-Net in JAX: its values against the core's, and what is JAX's own: transformations, export, types, pytrees."""

import os
import re
import subprocess
import sys
from functools import partial
from math import prod, sqrt

import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import ResidualUNetConfig
from subpixel_core._unet import EPSILON

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp  # noqa: E402 - after the check that JAX is there
from jax import export  # noqa: E402

import subpixel_jax as backend  # noqa: E402


@pytest.fixture(autouse=True)
def _quick_compilation():
    """Compile with few of XLA's optimizations: compiling is what takes the time here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


SPATIAL = {1: (7,), 2: (5, 7), 3: (3, 5, 4)}

DECONV, RCD = {"upsample": "deconv"}, {"order": "RCD"}
# every pair of norm and upsampling, every number of axes with every norm and upsampling; odd, even and one tap; unequal factors
CONFIGS = [
    ResidualUNetConfig(in_channels=2, out_channels=3, **fields)
    for fields in (
        {"ndim": 1, "widths": (4, 6), "kernel_size": 2, "scales": 3, **DECONV, "norm": "batch", "blur": True, "output_scale": 2},
        {"ndim": 1, "widths": (3, 2, 4), "scales": (2, 3), "norm": "none", "output_scale": 3, "blur": True, "order": "CRD"},
        {"ndim": 1, "widths": (4, 6), "kernel_size": 4, "norm": "group", "groups": 2, "upsample": "resize"},
        {"ndim": 2, "widths": (4, 6), "blocks": (1, 2), "kernel_size": (3, 4), "scales": ((2, 3),), "groups": 2, "output_scale": 6, **RCD},
        {"ndim": 2, "widths": (4, 2), "kernel_size": (2, 3), "scales": ((3, 2),), "norm": "none", "upsample": "resize", "blur": True},
        {"ndim": 2, "widths": (4, 6), "kernel_size": (1, 3), "groups": 1, "upsample": "deconv", "output_scale": (1, 3), "blur": True},
        {"ndim": 2, "widths": (4, 4), "scales": ((1, 2),), "norm": "batch", "upsample": "resize", "output_scale": 2},
        {"ndim": 3, "widths": (4, 6), "kernel_size": (3, 2, 1), "scales": ((1, 2, 3),), "norm": "none", "upsample": "deconv"},
        {"ndim": 3, "widths": (2, 4), "kernel_size": 2, "scales": ((1, 2, 2),), "norm": "batch", "order": "DRC"},
        {"ndim": 3, "widths": (4, 2), "groups": 2, "upsample": "resize", "output_scale": (1, 2, 1), "blur": True},
    )
]  # fmt: skip
LATTICE = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), scales=((2, 3),), output_scale=(3, 2), norm="none")
SMALL = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), groups=2)
BATCH = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), norm="batch")
TINY = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4,), groups=2)


def name(config):
    return f"{config.ndim}-D {config.norm} {config.upsample}"


def drawn(config, dtype=np.float64):
    """Return parameters in which nothing is 0 or 1, and variances are positive."""
    rng = np.random.default_rng(0)
    fresh = core.init_parameters(config, rng)
    return {key: (value + 0.3 * np.abs(rng.normal(size=value.shape))).astype(dtype) for key, value in fresh.items()}


def pytree(params, config):
    """Return canonical parameters as the pytree of the backend."""
    running = core.statistics_shapes(config)
    return {
        "parameters": {key: jnp.asarray(value) for key, value in params.items() if key not in running},
        "statistics": {key: jnp.asarray(params[key]) for key in running},
    }


def flat(params):
    return {key: np.asarray(value) for part in params.values() for key, value in part.items()}


def image(config, dtype=np.float64, batch=2):
    return np.random.default_rng(1).normal(size=(batch, *SPATIAL[config.ndim], config.in_channels)).astype(dtype)


def same_bits(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    return actual.dtype == expected.dtype and actual.shape == expected.shape and actual.tobytes() == expected.tobytes()


def deviation(actual, expected):
    """Return the largest difference, as a part of the largest value."""
    assert np.shape(actual) == np.shape(expected)
    return np.abs(np.asarray(actual, np.float64) - expected).max() / np.abs(expected).max()


def traced(params, x, config, **options):
    """Return the output and the trace, whose sequence would be lost in a dict that jit returns."""
    names = []

    @jax.jit
    def run(params, x):
        trace = {}
        y = backend.residual_unet(params, x, config, trace=trace, **options)
        names.extend(trace)
        return y, list(trace.values())

    y, values = run(params, x)
    return y, dict(zip(names, values, strict=True))


# --- the function ---

FLOAT64 = 1e-12
"""Between what roundings leave in float64, some 1e-15, and what a single operation in float32 would leave, some 1e-8."""


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_layer_equals_the_core(config):
    params, x, expected = drawn(config), image(config), {}
    y = core.residual_unet(params, x, config, trace=expected)
    with jax.enable_x64(True):
        actual_y, actual = traced(pytree(params, config), x, config, precision="highest")
        assert {actual_y.dtype, *(value.dtype for value in actual.values())} == {jnp.dtype("float64")}
    assert list(actual) == list(expected)
    assert deviation(actual_y, y) < FLOAT64
    assert max(deviation(actual[key], expected[key]) for key in expected) < FLOAT64


def lattice(config, density=0.3, largest=2):
    """Return integer parameters, a part of them not zero, and an integer input."""
    rng = np.random.default_rng(2)
    shapes = core.parameter_shapes(config)
    params = {key: rng.integers(-largest, largest + 1, shape) * (rng.random(shape) < density) for key, shape in shapes.items()}
    return {key: value.astype(np.float32) for key, value in params.items()}, rng.integers(-2, 3, (2, 5, 7, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("fields", "dtype", "exact"),
    [
        *(({"order": order}, "float32", 2**24) for order in core.ORDERS),
        ({"upsample": "deconv"}, "float32", 2**24),
        ({"upsample": "resize"}, "float32", 2**24),
        ({"order": "CRD"}, "bfloat16", 2**8),
    ],
    ids=str,
)
def test_integers_come_out_exactly(fields, dtype, exact):
    config = ResidualUNetConfig(**{**LATTICE.as_dict(), **fields})
    params, x = lattice(config) if dtype == "float32" else lattice(config, density=0.12, largest=1)
    expected = {}
    y = core.residual_unet(params, x, config, trace=expected)
    sizes = [np.abs(value).max() for value in expected.values()]
    assert min(sizes) > 0
    assert max(sizes) < exact  # up to which the dtype holds all integers
    actual_y, actual = traced(pytree(params, config), x, config, dtype=dtype)
    assert actual_y.dtype == dtype
    np.testing.assert_array_equal(np.asarray(actual_y, np.float32), y)
    for key in expected:
        np.testing.assert_array_equal(np.asarray(actual[key], np.float32), expected[key], err_msg=key)


def test_the_order_of_the_channels_is_no_part_of_the_function():
    params, x = lattice(LATTICE)
    expected = core.residual_unet(params, x, LATTICE)
    converted, config = core.convert_order(params, LATTICE, "RCD")
    np.testing.assert_array_equal(jax.jit(partial(backend.residual_unet, config=config))(pytree(converted, config), x), expected)


def multiply_accumulates(jaxpr):
    """Count them in a program for one sample: every position of an output is a sum over all weights that lead to its channel."""
    total = 0
    for equation in jaxpr.eqns:
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda value: hasattr(value, "eqns")):
            if hasattr(inner, "eqns"):
                total += multiply_accumulates(getattr(inner, "jaxpr", inner))
        if equation.primitive.name == "conv_general_dilated":
            _, kernel = (variable.aval.shape for variable in equation.invars)
            spatial = [equation.outvars[0].aval.shape[axis] for axis in equation.params["dimension_numbers"].out_spec[2:]]
            assert set(equation.params["lhs_dilation"]) == {1}  # no zeros between pixels, which would be counted as well
            total += prod(kernel) * prod(spatial)
    return total


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_parameters_and_multiply_accumulates_are_those_of_the_configuration(config):
    params = jax.eval_shape(partial(backend.init_residual_unet, config=config), jax.random.key(0))
    assert {**params["parameters"], **params["statistics"]}.keys() == core.parameter_shapes(config).keys()
    assert sum(prod(leaf.shape) for leaf in params["parameters"].values()) == config.parameters
    program = jax.make_jaxpr(partial(backend.residual_unet, config=config))(params, image(config, np.float32, batch=1))
    assert multiply_accumulates(program.jaxpr) == config.macs(SPATIAL[config.ndim])


# --- transformations ---


def test_eager_jit_and_vmap_are_exactly_one_function():
    params, x = lattice(LATTICE)
    expected = core.residual_unet(params, x, LATTICE)
    apply = partial(backend.residual_unet, config=LATTICE)
    params = pytree(params, LATTICE)
    np.testing.assert_array_equal(apply(params, x), expected)
    jitted = jax.jit(backend.residual_unet, static_argnames=("config", "training", "dtype", "precision"))
    np.testing.assert_array_equal(jitted(params, x, LATTICE), expected)
    of_samples = jax.jit(jax.vmap(lambda sample: apply(params, sample[None])[0]))  # samples without a batch axis
    np.testing.assert_array_equal(of_samples(x), expected)
    of_batches = jax.jit(jax.vmap(apply, in_axes=(None, 1), out_axes=1))
    np.testing.assert_array_equal(of_batches(params, np.stack([x, x[::-1]], axis=1)), np.stack([expected, expected[::-1]], axis=1))
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf]), params)  # an ensemble: its parameters are mapped over
    negative = core.residual_unet(flat(jax.tree.map(jnp.negative, params)), x, LATTICE)
    np.testing.assert_array_equal(jax.jit(jax.vmap(apply, in_axes=(0, None)))(twice, x), np.stack([expected, negative]))


@pytest.mark.parametrize("config", [LATTICE, CONFIGS[1], CONFIGS[5]], ids=name)
def test_one_export_serves_every_batch_and_all_extents(config):
    params = lattice(config)[0] if config is LATTICE else drawn(config, np.float32)
    symbols = ", ".join("bhw"[: config.ndim + 1])
    unknown = jax.ShapeDtypeStruct(export.symbolic_shape(f"{symbols}, 2"), jnp.float32)
    tree = pytree(params, config)
    exported = export.export(jax.jit(partial(backend.residual_unet, config=config, precision="highest")))(tree, unknown)
    exported = export.deserialize(exported.serialize())
    for shape in ((2, 5, 7), (1, 6, 4), (3, 1, 1)):
        x = np.random.default_rng(3).integers(-2, 3, (*shape[: config.ndim + 1], 2)).astype(np.float32)
        expected = core.residual_unet(params, x, config)
        if config is LATTICE:
            np.testing.assert_array_equal(exported.call(tree, x), expected)
        else:
            assert deviation(exported.call(tree, x), expected) < 1e-4  # of float32, some 1e-6


@pytest.mark.parametrize(("config", "training"), [(CONFIGS[0], True), (CONFIGS[2], False), (CONFIGS[3], False), (CONFIGS[7], False)])
def test_gradients_are_the_slopes_of_the_core(config, training):
    params, x = drawn(config), image(config)
    rng = np.random.default_rng(4)
    running = core.statistics_shapes(config)
    weights = rng.normal(size=(2, *config.output_extents(SPATIAL[config.ndim]), 3))

    def value(params):
        y = core.residual_unet(params, x, config, training=training)
        return ((y[0] if training else y) * weights).sum()

    def loss(learned, statistics):
        y = backend.residual_unet({"parameters": learned, "statistics": statistics}, x, config, training=training)
        return ((y[0] if training else y) * weights).sum()

    with jax.enable_x64(True):
        tree = pytree(params, config)
        gradient = jax.tree.map(np.asarray, jax.jit(jax.grad(loss))(tree["parameters"], tree["statistics"]))
    assert gradient.keys() == params.keys() - running.keys()
    for _ in range(3):
        direction = {key: np.zeros_like(array) if key in running else rng.normal(size=array.shape) for key, array in params.items()}
        step = 1e-6
        after, before = (value({key: params[key] + sign * step * direction[key] for key in params}) for sign in (1, -1))
        slope = sum((gradient[key] * direction[key]).sum() for key in gradient)
        # the error of the difference: step² times a third derivative, and 1e-16 of the value over the step
        assert abs((after - before) / (2 * step) - slope) < 1e-6 * abs(slope)


def test_relu_has_the_derivative_zero_at_zero():
    params = {key: np.zeros_like(value) if key.endswith(".bias") else value for key, value in lattice(LATTICE, density=1)[0].items()}
    x = np.zeros((1, 2, 3, 2), np.float32)
    tree = pytree(params, LATTICE)
    gradient = jax.jit(jax.grad(lambda learned: backend.residual_unet({"parameters": learned}, x, LATTICE).sum()))(tree["parameters"])
    last = [layer.name for layer in core.network(LATTICE).head][-1]
    assert {key for key, value in gradient.items() if value.any()} == {f"{last}.bias"}


SHARDED = """
import jax, numpy as np, subpixel_core as core, subpixel_jax as backend
from functools import partial
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

assert len(jax.devices()) == 2
config = core.ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), groups=2, output_scale=2)
params = backend.init_residual_unet(jax.random.key(0), config)
x = np.random.default_rng(0).normal(size=(4, 5, 7, 2)).astype(np.float32)
expected = core.residual_unet(params["parameters"], x, config)
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2,), ("n",), axis_types=(kind,))
    sharded = jax.device_put(x, NamedSharding(mesh, P("n")))
    whole = jax.device_put(params, NamedSharding(mesh, P()))
    with jax.set_mesh(mesh):
        function = jax.jit(partial(backend.residual_unet, config=config))
        y = function(whole, sharded)
        program = function.lower(whole, sharded).compile().as_text()
    assert y.sharding.is_equivalent_to(NamedSharding(mesh, P("n")), y.ndim), y.sharding
    assert not any(word in program for word in ("all-gather", "all-to-all", "collective-permute", "all-reduce", "reduce-scatter"))
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
print("without communication")
"""


def test_samples_on_different_devices_do_not_communicate():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    run = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, env=environment, timeout=120)
    assert run.stdout == "without communication\n", run.stderr[-4000:]


# --- types ---


def test_mixed_precision_computes_in_bfloat16_on_float32_parameters():
    params, x = drawn(SMALL, np.float32), image(SMALL, np.float32)
    expected = {}
    core.residual_unet(params, x, SMALL, trace=expected)
    y, trace = traced(pytree(params, SMALL), x, SMALL, dtype=jnp.bfloat16)
    assert {y.dtype, *(value.dtype for value in trace.values())} == {jnp.dtype("bfloat16")}
    worst = max(deviation(trace[key], expected[key]) for key in expected)
    assert 2**-12 < worst < len(expected) * 2**-8  # computed in bfloat16, and no layer adds much more than its rounding

    def loss(learned):
        return (backend.residual_unet({"parameters": learned}, x, SMALL, dtype=jnp.bfloat16).astype(jnp.float32) ** 2).mean()

    gradient = jax.jit(jax.grad(loss))(pytree(params, SMALL)["parameters"])
    assert {leaf.dtype for leaf in gradient.values()} == {jnp.dtype("float32")}
    assert all(np.isfinite(leaf).all() and leaf.any() for leaf in gradient.values())


@pytest.mark.parametrize(("norm", "training"), [("group", False), ("batch", True), ("batch", False)])
def test_norms_take_their_statistics_in_float32(norm, training):
    config = ResidualUNetConfig(ndim=1, in_channels=2, out_channels=1, widths=(2,), kernel_size=1, norm=norm, groups=1)
    shapes = core.parameter_shapes(config)
    params = {key: np.full(shape, key.endswith((".scale", ".variance")), np.float32) for key, shape in shapes.items()}
    params["stem.kernel"][0] = np.eye(2)
    if norm == "batch":
        params["encoder.0.0.norm1.mean"][:] = 255.7  # bfloat16 has 256
    x = 256 + 2 * np.random.default_rng(5).integers(0, 2, (2, 1001, 2)).astype(np.float32)  # in bfloat16 their sum stops at 512
    mean, variance = (f(x, axis=(1, 2) if norm == "group" else (0, 1), keepdims=True, dtype=np.float64) for f in (np.mean, np.var))
    if not training and norm == "batch":
        mean, variance = np.float32(255.7), 1
    _, trace = traced(pytree(params, config), x, config, dtype="bfloat16", training=training)
    expected = (x - mean) / np.sqrt(variance + EPSILON)
    actual = np.asarray(trace["encoder.0.0.norm1"], np.float64)
    assert (np.abs(actual - expected) <= 2**-8 * np.abs(expected) + 1e-3).all()  # rounded once; 1e-3: float32 sums of 2002 values near 256


def test_nothing_becomes_64_bit_unless_the_user_says_so(tmp_path):
    assert not jax.config.jax_enable_x64
    core.save_weights(tmp_path / "wide", drawn(TINY), TINY)
    params, config = backend.load_weights(tmp_path / "wide")
    y = jax.jit(partial(backend.residual_unet, config=config))(params, image(TINY))
    fresh = backend.init_residual_unet(jax.random.key(0), TINY)
    assert {leaf.dtype for leaf in [*jax.tree.leaves(params), *jax.tree.leaves(fresh), y]} == {jnp.dtype("float32")}
    of_integers = jax.eval_shape(partial(backend.residual_unet, config=config), *jax.tree.map(np.int8, (params, image(TINY))))
    assert of_integers.dtype == jnp.float32
    with jax.enable_x64(True):
        assert {leaf.dtype for leaf in jax.tree.leaves(backend.init_residual_unet(jax.random.key(0), TINY))} == {jnp.dtype("float32")}


def test_no_samples_give_no_samples():
    apply = jax.jit(partial(backend.residual_unet, config=TINY))
    assert apply(pytree(drawn(TINY, np.float32), TINY), np.zeros((0, 5, 7, 2), np.float32)).shape == (0, 5, 7, 3)


# --- training ---


def test_two_steps_of_training_move_the_statistics_as_the_core_and_the_optimizer_moves_the_rest():
    optax = pytest.importorskip("optax", reason="optax is not installed")
    rate = 0.125
    optimizer = optax.sgd(rate)

    @jax.jit
    def step(params, state, x, target):
        def loss(learned):
            y, statistics = backend.residual_unet({**params, "parameters": learned}, x, BATCH, training=True)
            return ((y - target) ** 2).mean(), statistics

        gradient, statistics = jax.grad(loss, has_aux=True)(params["parameters"])
        updates, state = optimizer.update(gradient, state)
        return {"parameters": optax.apply_updates(params["parameters"], updates), "statistics": statistics}, state, gradient

    with jax.enable_x64(True):
        params = pytree(drawn(BATCH), BATCH)
        state = optimizer.init(params["parameters"])
        for seed in range(2):
            rng = np.random.default_rng(seed)
            x, target = rng.normal(size=(2, 5, 7, 2)), rng.normal(size=(2, 5, 7, 3))
            before = flat(params)
            _, expected = core.residual_unet(before, x, BATCH, training=True)
            params, state, gradient = step(params, state, x, target)
            assert params["statistics"].keys() == expected.keys() == core.statistics_shapes(BATCH).keys()
            for key, value in expected.items():
                assert deviation(params["statistics"][key], value) < FLOAT64, key
                assert not np.array_equal(value, before[key])
            assert params["parameters"].keys() == gradient.keys() == before.keys() - expected.keys()
            for key, value in params["parameters"].items():
                assert deviation(value, before[key] - rate * np.asarray(gradient[key])) < FLOAT64, key
                assert gradient[key].any(), key
        evaluated = jax.jit(partial(backend.residual_unet, config=BATCH))(params, x)
        assert deviation(evaluated, core.residual_unet(flat(params), x, BATCH)) < FLOAT64


def test_training_without_batch_norm_returns_the_output_alone():
    params, x = pytree(drawn(TINY, np.float32), TINY), image(TINY, np.float32)
    outputs = [jax.jit(partial(backend.residual_unet, config=TINY, training=training))(params, x) for training in (True, False)]
    assert same_bits(*outputs)


# --- fresh parameters ---


@pytest.mark.parametrize(
    "config",
    [
        ResidualUNetConfig(widths=(32, 48), scales=((2, 3),), output_scale=(3, 2), norm="batch", order="RCD"),
        ResidualUNetConfig(widths=(32, 48), scales=((2, 3),), blocks=2, upsample="deconv"),
    ],
    ids=name,
)
def test_fresh_parameters_are_those_of_the_clause(config):
    params = backend.init_residual_unet(jax.random.key(0), config)
    arrays = flat(params)
    assert {key: value.shape for key, value in arrays.items()} == core.parameter_shapes(config)
    assert {key: value.shape for key, value in params["statistics"].items()} == core.statistics_shapes(config)
    assert {value.dtype for value in arrays.values()} == {np.dtype("float32")}
    first_values = []
    for layer in core.network(config).layers:
        if not hasattr(layer, "std"):
            assert (arrays[f"{layer.name}.scale"] == 1).all()
            assert not arrays[f"{layer.name}.bias"].any()
            if config.norm == "batch":
                assert (arrays[f"{layer.name}.variance"] == 1).all()
                assert not arrays[f"{layer.name}.mean"].any()
            continue
        kernel = arrays[f"{layer.name}.kernel"]
        assert not arrays[f"{layer.name}.bias"].any()
        if hasattr(layer, "scale") and layer.upsample == "subpixel":
            assert core.icnr_residual(kernel, layer.scale, order=layer.order) == 0.0
            kernel = np.unique(kernel)  # every value once; by chance two draws may be one
            assert kernel.size > 0.999 * prod(layer.kernel_shape) / prod(layer.scale)
        # five standard deviations of the mean and of the standard deviation of so many normal values
        assert abs(kernel.mean()) < 5 * layer.std / sqrt(kernel.size), layer.name
        assert abs(kernel.std() / layer.std - 1) < 5 / sqrt(2 * kernel.size), layer.name
        first_values.append(kernel.flat[0] / layer.std)
    assert len(np.unique(np.round(first_values, 4))) == len(first_values)  # a key for each layer


def test_another_key_draws_others_and_jit_the_same():
    draw = jax.jit(backend.init_residual_unet, static_argnames="config")
    first, again, other = (draw(jax.random.key(seed), config=TINY)["parameters"] for seed in (0, 0, 1))
    eager = backend.init_residual_unet(jax.random.key(0), TINY)["parameters"]
    for key, value in first.items():
        assert same_bits(value, again[key])
        np.testing.assert_allclose(value, eager[key], rtol=1e-6)
        assert not key.endswith(".kernel") or not np.array_equal(value, other[key])


# --- the file ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[3]], ids=name)
def test_files_of_the_core_are_read_bit_for_bit_in_every_order_and_written_back(tmp_path, config, dtype):
    params = drawn(config, dtype)
    core.save_weights(tmp_path / "core", params, config)
    with jax.enable_x64(True):
        for order in (None, *core.ORDERS):
            expected, expected_config = core.load_weights(tmp_path / "core", order=order)
            actual, actual_config = backend.load_weights(tmp_path / "core", order=order)
            assert actual_config == expected_config
            assert actual["statistics"].keys() == core.statistics_shapes(config).keys()
            assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(actual))
            arrays = flat(actual)
            assert arrays.keys() == expected.keys()
            assert all(same_bits(arrays[key], expected[key]) for key in expected)
            backend.save_weights(tmp_path / "jax", actual, actual_config)
            written, written_config = core.load_weights(tmp_path / "jax")
            assert written_config == expected_config
            assert all(same_bits(written[key], expected[key]) for key in expected)


# --- refusals ---


def refusal(function, *arguments, **options):
    with pytest.raises((ValueError, TypeError)) as refused:
        function(*arguments, **options)
    return type(refused.value), str(refused.value)


X = np.zeros((2, 5, 7, 2), np.float32)


@pytest.mark.parametrize(
    ("x", "options"),
    [(X[0], {}), (X[..., :1], {}), (X[:, :0], {}), (X[:1, :1, :1], {"training": True}), (X, {"training": 1})],
    ids=["rank", "channels", "empty", "one value", "training"],
)
def test_inputs_are_refused_in_the_words_of_the_core(x, options):
    config = ResidualUNetConfig(in_channels=2, widths=(4,), norm="batch")
    params = drawn(config, np.float32)
    expected = refusal(core.residual_unet, params, x, config, **options)
    apply = partial(backend.residual_unet, config=config, **options)
    assert refusal(apply, pytree(params, config), x) == expected
    assert refusal(jax.jit(apply), pytree(params, config), x) == expected


def test_parameters_are_refused_in_the_words_of_the_core():
    params = drawn(BATCH, np.float32)
    missing = {key: value for key, value in params.items() if key != "encoder.1.0.norm1.mean"}
    unlearned = {key: value for key, value in params.items() if key != "head.0.bias"}
    unknown = {**params, "head.7.bias": params["head.0.bias"]}
    reshaped = {**params, "stem.bias": params["stem.bias"][None]}
    for wrong in (missing, unlearned, unknown, reshaped):
        tree = {"parameters": wrong, "statistics": {}}
        expected = refusal(core.residual_unet, wrong, X, BATCH)
        assert refusal(backend.residual_unet, tree, X, BATCH) == expected
        assert refusal(backend.save_weights, "never written", tree, BATCH) == expected
    assert refusal(backend.residual_unet, {}, X, {"ndim": 2}) == refusal(core.residual_unet, {}, X, {"ndim": 2})
    assert refusal(backend.init_residual_unet, jax.random.key(0), None) == refusal(core.network, None)


def test_files_are_refused_in_the_words_of_the_core(tmp_path):
    params = drawn(TINY, np.float32)
    path = tmp_path / "weights"
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), pytree(params, TINY))
    assert refusal(backend.save_weights, path, half, TINY) == refusal(core.save_weights, path, flat(half), TINY)
    assert not path.exists()
    core.save_weights(path, params, TINY)
    assert refusal(backend.load_weights, path, order="dcr") == refusal(core.load_weights, path, order="dcr")
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(backend.load_weights, path) == refusal(core.load_weights, path)


@pytest.mark.parametrize("dtype", ["int32", "complex64"])
def test_a_dtype_that_is_no_floating_point_is_refused(dtype):
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(2, 3), norm="none")
    params = backend.init_residual_unet(jax.random.key(0), config)
    with pytest.raises(ValueError, match=f"dtype must be a floating-point dtype; got {dtype}"):
        backend.residual_unet(params, np.zeros((1, 4, 4, 1), np.float32), config, dtype=dtype)


def test_parameters_by_name_alone_are_refused_by_what_is_wanted(tmp_path):
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(2, 3), norm="none")
    flat = core.init_parameters(config, np.random.default_rng(0))
    message = "params must be a dict of 'parameters' and 'statistics'; got 'stem.kernel', 'stem.bias', 'encoder.0.0.conv1.kernel', ..."
    with pytest.raises(ValueError, match=re.escape(message)):
        backend.residual_unet(flat, np.zeros((1, 4, 4, 1), np.float32), config)
    with pytest.raises(ValueError, match=re.escape(message)):
        backend.save_weights(tmp_path / "none", flat, config)
