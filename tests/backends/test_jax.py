"""What is JAX's own: transformations, export, sharding, pytrees, types. The formulas are the conformance suite's matter."""

import os
import subprocess
import sys
from functools import partial
from itertools import product
from math import prod

import ml_dtypes
import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import check

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp  # noqa: E402 - after the check that JAX is there
from jax import export  # noqa: E402

import subpixel_jax as backend  # noqa: E402

OPERATIONS = ("phase_shift", "inverse_phase_shift")
EVERY = list(product(OPERATIONS, core.ORDERS, core.DATA_FORMATS))
SCALE = (2, 3)


def labelled(operation, data_format, batch=(2,), spatial=(4, 5), channels=2, scale=SCALE):
    """Return an array for the operation whose values are all different."""
    if operation == "phase_shift":
        channels *= prod(scale)
    else:
        spatial = tuple(r * extent for r, extent in zip(scale, spatial, strict=True))
    shape = (*batch, *spatial, channels) if data_format == "channels_last" else (*batch, channels, *spatial)
    return np.arange(prod(shape), dtype=np.int32).reshape(shape)


def pair(operation, order, data_format):
    """Return the operation as the core and as the backend do it."""
    return tuple(partial(getattr(module, operation), scale=SCALE, order=order, data_format=data_format) for module in (core, backend))


def same_bits(actual, expected):
    actual = np.asarray(actual)
    return actual.dtype == expected.dtype and actual.shape == expected.shape and actual.tobytes() == expected.tobytes()


def random(key, shape, dtype):
    """Draw as those of `jax.nn.initializers`, by NumPy, which compiles nothing."""
    return jnp.asarray(np.random.default_rng(np.asarray(jax.random.key_data(key))).normal(size=shape), dtype)


# --- transformations ---


@pytest.mark.parametrize(("operation", "order", "data_format"), EVERY)
def test_eager_jit_and_vmap_over_any_axis_equal_the_core(operation, order, data_format):
    expected, actual = pair(operation, order, data_format)
    x = labelled(operation, data_format)
    assert same_bits(actual(x), expected(x))
    assert same_bits(jax.jit(actual)(x), expected(x))
    assert same_bits(jax.vmap(actual)(x), expected(x))
    inner = np.stack([x, x[::-1] + 1000], axis=2)  # an axis in the midst of the others
    assert same_bits(jax.vmap(actual, in_axes=2, out_axes=2)(inner), np.stack([expected(x), expected(x[::-1] + 1000)], axis=2))


@pytest.mark.parametrize(("operation", "order", "data_format"), EVERY)
def test_the_gradient_of_one_is_the_other_bit_for_bit(operation, order, data_format):
    _, actual = pair(operation, order, data_format)
    other, _ = pair(OPERATIONS[operation == "phase_shift"], order, data_format)
    x = labelled(operation, data_format).astype(np.float32)
    cotangent = (-np.arange(x.size, dtype=np.float32)).reshape(actual(x).shape)
    for function in (actual, jax.jit(actual)):
        assert same_bits(jax.vjp(function, x)[1](cotangent)[0], other(cotangent))
    assert same_bits(jax.grad(lambda x: (actual(x) * cotangent).sum())(x), other(cotangent))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "float16", "bfloat16", "float32", "complex64"])
def test_every_bit_pattern_passes_unchanged(dtype):
    wide = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    if dtype == "bool":
        x = np.arange(720) % 7 < 3
    else:  # all exponents: NaN payloads quiet and signalling, subnormals, both zeros
        x = np.random.default_rng(0).integers(0, 256, size=720 * wide.itemsize, dtype=np.uint8).view(wide)
        special = {"float16": 0x7C01, "bfloat16": 0x7F81, "float32": 0x7F800001}
        if dtype in special:
            x.view(f"u{wide.itemsize}")[::5] = special[dtype] + np.arange(144) % 60
            x.view(f"u{wide.itemsize}")[1::5] = 1 << (8 * wide.itemsize - 1)
    x = x.reshape(2, 5, 6, 12)
    for operation, order in product(OPERATIONS, ("CRD", "DRC")):
        scale = (2, 3) if operation == "phase_shift" else (5, 2)
        expected = getattr(core, operation)(x, scale, order=order)
        function = partial(getattr(backend, operation), scale=scale, order=order)
        assert same_bits(function(x), expected)
        assert same_bits(jax.jit(function)(x), expected)


def test_lists_and_numbers_without_an_array_are_taken():
    assert backend.phase_shift([[[0, 1, 2, 3]]], 2).tolist() == [[[0], [1]], [[2], [3]]]
    assert backend.box_blur([[0.0], [0.0], [6.0], [0.0]], (3,)).tolist() == core.box_blur([[0.0], [0.0], [6.0], [0.0]], (3,)).tolist()


def test_nothing_becomes_64_bit_unless_the_user_says_so():
    params = backend.init_subpixel_conv(jax.random.key(0), 3, 2, 3, SCALE)
    x = np.ones((1, 4, 5, 3), np.float32)
    y = backend.subpixel_conv(params, x, scale=SCALE, blur=True)
    assert not jax.config.jax_enable_x64
    assert {leaf.dtype for leaf in [*jax.tree.leaves(params), y, backend.phase_shift(np.ones((1, 1, 6)), SCALE)]} == {jnp.dtype("float32")}


@pytest.mark.parametrize("function", [backend.phase_shift, backend.inverse_phase_shift, backend.box_blur])
def test_no_callback_into_python_is_traced(function):
    text = str(jax.make_jaxpr(partial(function, scale=SCALE))(np.zeros((1, 4, 6, 12), np.float32)))
    assert "callback" not in text
    assert "reshape" in text or "reduce_window" in text


# --- unknown extents ---


@pytest.mark.parametrize("order", core.ORDERS)
def test_one_export_with_symbolic_extents_serves_every_size(order):
    shift = jax.jit(partial(backend.phase_shift, scale=SCALE, order=order))
    inverse = jax.jit(partial(backend.inverse_phase_shift, scale=SCALE, order=order))
    exported = {}
    for function, shape in ((shift, "b, h, w, 12"), (inverse, "b, 2 * h, 3 * w, 2")):
        unknown = jax.ShapeDtypeStruct(export.symbolic_shape(shape), jnp.int32)
        exported[function] = export.deserialize(export.export(function)(unknown).serialize())
    for batch, spatial in (((2,), (4, 5)), ((3,), (1, 7))):
        low = labelled("phase_shift", "channels_last", batch, spatial)
        high = core.phase_shift(low, SCALE, order=order)
        assert same_bits(exported[shift].call(low), high)
        assert same_bits(exported[inverse].call(high), low)


def test_a_layer_exports_with_symbolic_extents():
    params = backend.init_subpixel_conv(jax.random.key(0), 3, 2, (3, 2), SCALE, initializer=random)
    function = jax.jit(partial(backend.subpixel_conv, params, scale=SCALE, blur=True))
    exported = export.export(function)(jax.ShapeDtypeStruct(export.symbolic_shape("b, h, w, 3"), jnp.float32))
    for shape in ((2, 4, 5, 3), (1, 6, 3, 3)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(exported.call(x), function(x), rtol=0, atol=1e-6)


# --- sharding, in a process with four devices ---

SHARDED = """
import jax, numpy as np, subpixel_core as core, subpixel_jax as backend
from functools import partial
from itertools import product
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

assert len(jax.devices()) == 4
words = ("all-gather", "all-to-all", "collective-permute", "all-reduce", "reduce-scatter")
operations = {"phase_shift": (4, 4, 6, 12), "inverse_phase_shift": (4, 8, 9, 2)}
for kind, (operation, shape), order, data_format in product(
    (AxisType.Auto, AxisType.Explicit), operations.items(), core.ORDERS, core.DATA_FORMATS
):
    mesh = jax.make_mesh((2, 2), ("n", "h"), axis_types=(kind, kind))
    axes = P("n", "h")
    if data_format == "channels_first":
        shape, axes = (shape[0], shape[3], *shape[1:3]), P("n", None, "h")
    x = np.arange(np.prod(shape)).reshape(shape)
    options = {"scale": (2, 3), "order": order, "data_format": data_format}
    function = jax.jit(partial(getattr(backend, operation), **options))
    sharded = jax.device_put(x, NamedSharding(mesh, axes))
    program = function.lower(sharded).compile().as_text()
    assert "transpose" in program, program
    assert not any(word in program for word in words), program
    for y in (function(sharded), getattr(backend, operation)(sharded, **options)):
        assert y.sharding.is_equivalent_to(NamedSharding(mesh, axes), y.ndim), y.sharding
        np.testing.assert_array_equal(y, getattr(core, operation)(x, **options))
joined = jax.jit(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])[::-1])     # what communicates is seen
mesh = jax.make_mesh((2, 2), ("n", "h"), axis_types=(AxisType.Auto,) * 2)
program = joined.lower(jax.device_put(np.ones((4, 4, 6, 12)), NamedSharding(mesh, P("n", "h")))).compile().as_text()
assert any(word in program for word in words), program
print("without communication")
"""


def test_a_sharded_array_is_shifted_where_it_lies_without_communication():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    run = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, env=environment, timeout=120)
    assert run.stdout == "without communication\n", run.stderr[-4000:]


# --- initialization ---

CHAINS = [(1, (6,), (2, 3)), (2, (4, 6), ((2, 3), (2, 2))), (3, (2, 1, 6), ((1, 1, 2), (2, 1, 3)))]


@pytest.mark.parametrize("order", core.ORDERS)
def test_icnr_asks_the_base_initializer_for_the_base_shape_and_replicates(order):
    asked = []

    def base(key, shape, dtype):
        asked.append((tuple(shape), dtype))
        return jnp.arange(prod(shape), dtype=dtype).reshape(shape)

    kernel = backend.icnr(base, SCALE, order)(jax.random.key(0), (3, 2, 5, 12), jnp.bfloat16)
    bias = backend.icnr(base, SCALE, order)(jax.random.key(0), (12,), jnp.float32)
    assert asked == [((3, 2, 5, 2), jnp.bfloat16), ((2,), jnp.float32)]
    drawn = np.arange(60, dtype=ml_dtypes.bfloat16).reshape(3, 2, 5, 2)
    assert same_bits(kernel, core.icnr(drawn, SCALE, order=order))
    assert same_bits(bias, core.icnr_bias(np.arange(2, dtype=np.float32), SCALE, order=order))


def test_icnr_takes_what_the_initializers_of_jax_take():
    init = backend.icnr(jax.nn.initializers.he_normal(), 2)
    drawn = jax.nn.initializers.he_normal()(jax.random.key(1), (3, 3, 8, 5))
    for kernel in (init(jax.random.key(1), (3, 3, 8, 20)), jax.jit(init, static_argnums=1)(jax.random.key(1), (3, 3, 8, 20))):
        np.testing.assert_allclose(kernel, np.tile(drawn, 4), rtol=0, atol=1e-6)
        assert core.icnr_residual(kernel, 2, order="DCR") == 0.0


@pytest.mark.parametrize("order", core.ORDERS)
@pytest.mark.parametrize(("ndim", "scale", "factors"), CHAINS)
@pytest.mark.parametrize("separable", [False, True])
def test_a_fresh_layer_is_icnr_to_the_last_bit_bias_included(order, ndim, scale, factors, separable):
    options = {"ndim": ndim, "order": order, "separable": separable, "initializer": random, "bias_initializer": random}
    plain = backend.init_subpixel_conv(jax.random.key(0), 3, 2, 3, scale, **options)
    chain = backend.init_chained_subpixel_conv(jax.random.key(0), 3, 2, 3, scale, factors=factors, width=5, **options)
    stages = core.plan_stages(scale, 3, 2, ndim=ndim, factors=factors, width=5, separable=separable).stages
    direct = core.plan_stages(scale, 3, 2, ndim=ndim, factors=(scale,), separable=separable).stages
    for params, stage in zip([plain, *chain], [*direct, *stages], strict=True):
        assert core.icnr_residual(params["kernel"], stage.scale, order=order, bias=params["bias"]) == 0.0
        shapes = {name: leaf.shape for name, leaf in params.items()}
        assert shapes.pop("depthwise", None) == stage.depthwise_shape
        assert shapes == {"kernel": stage.kernel_shape, "bias": (stage.channels,)}
        assert len(np.unique(params["bias"])) == stage.out_channels  # independent draws, not one
    assert not np.array_equal(np.unique(chain[0]["kernel"])[:3], np.unique(chain[1]["kernel"])[:3])  # a key of its own for each stage


def test_the_depthwise_kernel_sees_the_fan_of_one_channel():
    seen = []

    def recording(key, shape, dtype):
        seen.append(tuple(shape))
        return jnp.arange(prod(shape), dtype=dtype).reshape(shape)

    params = backend.init_subpixel_conv(jax.random.key(0), 5, 2, (3, 2), SCALE, separable=True, initializer=recording)
    assert seen == [(1, 1, 5, 2), (3, 2, 1, 5)]
    assert params["depthwise"].shape == (3, 2, 5, 1)
    assert params["depthwise"][0, 0, :, 0].tolist() == [0, 1, 2, 3, 4]


# --- layers ---


@pytest.mark.parametrize(("bias", "separable"), [(True, True), (True, False), (False, True), (False, False)])
def test_parameters_are_plain_pytrees_of_as_many_values_as_planned(bias, separable):
    options = {"bias": bias, "separable": separable}
    params = backend.init_chained_subpixel_conv(jax.random.key(0), 3, 2, (3, 2), (4, 6), width=5, initializer=random, **options)
    leaves = jax.tree.leaves(params)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert sum(leaf.size for leaf in leaves) == core.plan_stages((4, 6), 3, 2, kernel_size=(3, 2), width=5, **options).parameters
    assert isinstance(params, list)
    assert {type(stage) for stage in params} == {dict}


def integers(shape, start):
    return ((np.arange(prod(shape)) * 7 + start) % 5 - 2).astype(np.float32).reshape(shape)


@pytest.mark.parametrize("order", core.ORDERS)
@pytest.mark.parametrize(
    ("ndim", "kernel_size", "scale", "padding"),
    [
        (1, (4,), (3,), "same"),
        (2, (3, 2), (2, 3), "same"),
        (2, (3, 2), (2, 3), ((2, 0), (0, 3))),
        (3, (2, 1, 3), (1, 2, 3), "valid"),
    ],
)
def test_layers_equal_the_core_exactly_on_integers(order, ndim, kernel_size, scale, padding):
    x = integers((2, *(4, 5, 6)[:ndim], 3), 1)
    for separable in (False, True):
        drawn = backend.init_subpixel_conv(jax.random.key(0), 3, 2, kernel_size, scale, ndim=ndim, separable=separable, initializer=random)
        params = {name: integers(leaf.shape, seed) for seed, (name, leaf) in enumerate(sorted(drawn.items()))}
        options = {"scale": scale, "order": order, "padding": padding}
        if separable:
            expected = core.separable_subpixel_conv(x, params["depthwise"], params["kernel"], params["bias"], **options)
        else:
            expected = core.subpixel_conv(x, params["kernel"], params["bias"], **options)
        apply = jax.jit(partial(backend.subpixel_conv, **options))
        np.testing.assert_array_equal(apply(jax.tree.map(jnp.asarray, params), x), expected)


@pytest.mark.parametrize(("scale", "factors"), [((4, 6), None), ((4, 6), ((2, 3), (2, 2))), (6, (3, 2)), (6, None), (5, None)])
@pytest.mark.parametrize("separable", [False, True])
def test_a_chain_is_its_stages_in_order_with_the_activation_between_them(scale, factors, separable):
    options = {"factors": factors, "width": 4, "separable": separable}
    zeros = jax.nn.initializers.zeros
    drawn = backend.init_chained_subpixel_conv(jax.random.key(0), 3, 2, (3, 2), scale, order="CRD", initializer=zeros, **options)
    params = jax.tree.map(lambda leaf: jnp.asarray(integers(leaf.shape, 3)), drawn)
    x = integers((2, 4, 5, 3), 1)
    expected = jnp.asarray(x)
    plan = core.plan_stages(scale, 3, 2, kernel_size=(3, 2), **options)
    for i, (stage, planned) in enumerate(zip(params, plan.stages, strict=True)):
        expected = jax.nn.relu(expected) if i else expected
        expected = backend.subpixel_conv(stage, expected, scale=planned.scale, order="CRD", blur=True)
    apply = partial(backend.chained_subpixel_conv, scale=scale, factors=factors, order="CRD", activation=jax.nn.relu, blur=True)
    np.testing.assert_array_equal(apply(params, x), expected)
    gradients = jax.jit(jax.grad(lambda params: apply(params, x).sum()))(params)
    assert jax.tree.map(jnp.shape, gradients) == jax.tree.map(jnp.shape, params)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_sums_in_float32_and_rounds_once(dtype):
    params = {"kernel": jnp.ones((1, 1, 4096, 6), dtype), "bias": jnp.full(6, -4096, dtype)}
    x = jnp.ones((1, 2, 3, 4096), dtype).at[..., 0].set(2)
    y = backend.subpixel_conv(params, x, scale=SCALE)  # 4097 - 4096, and 4097 has too many digits for either type
    assert y.dtype == dtype
    assert (y == 1).all()
    gradients = jax.grad(lambda params: backend.subpixel_conv(params, x, scale=SCALE).astype(jnp.float32).sum())(params)
    assert jax.tree.map(lambda leaf: leaf.dtype, gradients) == {"kernel": dtype, "bias": dtype}


@pytest.mark.parametrize("scale", [(2,), (2, 3), (3, 1, 2), (2, 1, 2, 3)])
def test_the_blur_equals_the_core_and_keeps_the_type(scale):
    x = np.random.default_rng(0).normal(size=(2, *(4, 5, 6, 3)[: len(scale)], 2)).astype(np.float32)
    expected = core.box_blur(x, scale)
    for function in (backend.box_blur, jax.jit(backend.box_blur, static_argnums=1)):
        np.testing.assert_allclose(function(x, scale), expected, rtol=0, atol=1e-6)
    assert backend.box_blur(x.astype(ml_dtypes.bfloat16), scale).dtype == jnp.bfloat16
    assert backend.box_blur((10 * x).astype(np.int32), scale).dtype == jnp.float32


# --- refusals ---

X = np.zeros((2, 4, 6, 10), np.float32)
WRONG = [
    {"scale": 0}, {"scale": -2}, {"scale": 2.0}, {"scale": True}, {"scale": "2"}, {"scale": ()}, {"scale": (2, -1)}, {"scale": (2, 2.0)},
    {"scale": (3, 4)}, {"scale": (1, 1, 1, 1)}, {"scale": 2, "order": "dcr"}, {"scale": 2, "data_format": "NHWC"},
]  # fmt: skip


def refusal(function, *arguments, **options):
    with pytest.raises((ValueError, TypeError)) as refused:
        function(*arguments, **options)
    return type(refused.value), str(refused.value)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_arguments_are_refused_in_the_words_of_the_core(operation, wrong):
    expected = refusal(getattr(core, operation), X, **{"order": "DCR", **wrong})
    assert refusal(getattr(backend, operation), X, **wrong) == expected
    assert refusal(jax.jit(partial(getattr(backend, operation), **wrong)), X) == expected


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"scale": 2.0}, {"scale": (2, 2, 2, 2)}], ids=str)
def test_a_wrong_blur_is_refused_in_the_words_of_the_core(wrong):
    assert refusal(backend.box_blur, X, **wrong) == refusal(core.box_blur, X, **wrong)
    assert refusal(jax.jit(partial(backend.box_blur, **wrong)), X) == refusal(core.box_blur, X, **wrong)


KERNEL = np.zeros((3, 3, 10, 8), np.float32)


@pytest.mark.parametrize(
    ("x", "wrong"),
    [
        (X, {"scale": 3}), (X, {"scale": (2, 2, 2)}), (X, {"scale": 2.0}), (X, {"scale": 2, "order": "DC"}), (X[0], {"scale": 2}),
        (X[..., :9], {"scale": 2}), (X, {"scale": 2, "padding": "full"}), (X, {"scale": 2, "padding": 1}),
        (X, {"scale": 2, "padding": ((1, 1),)}), (X[:, :1], {"scale": 2, "padding": "valid"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_layer_refuses_in_the_words_of_the_core(x, wrong):
    expected = refusal(core.subpixel_conv, x, KERNEL, **{"order": "DCR", **wrong})
    apply = partial(backend.subpixel_conv, {"kernel": jnp.asarray(KERNEL)}, **wrong)
    assert refusal(apply, x) == expected
    assert refusal(jax.jit(apply), x) == expected


@pytest.mark.parametrize(
    "wrong",
    [{"scale": 6, "factors": (2, 2)}, {"scale": 0}, {"scale": 2, "ndim": 0}, {"scale": 2, "bias": 1}, {"scale": (2, 2, 2)}],
    ids=str,
)
def test_initializing_refuses_in_the_words_of_the_core(wrong):
    expected = refusal(core.plan_stages, in_channels=3, out_channels=2, kernel_size=3, **wrong)
    assert refusal(backend.init_chained_subpixel_conv, jax.random.key(0), 3, 2, 3, **wrong) == expected
    if "factors" not in wrong:
        given = refusal(core.plan_stages, in_channels=3, out_channels=2, kernel_size=3, factors=(wrong["scale"],), **wrong)
        assert refusal(backend.init_subpixel_conv, jax.random.key(0), 3, 2, 3, **wrong) == given


def test_icnr_refuses_in_the_words_of_the_core():
    zeros, key = jax.nn.initializers.zeros, jax.random.key(0)
    assert refusal(backend.icnr, zeros, 2, "dcr") == refusal(core.icnr, np.zeros((3, 3, 2, 2)), 2, order="dcr")
    assert refusal(backend.icnr, zeros, 2.0) == refusal(core.base_shape, (3, 3, 2, 12), 2.0)
    for shape, scale in [((3, 3, 2, 10), 2), ((3, 3, 2, 12), (2, 2, 2)), ((2, 12), 2)]:
        assert refusal(backend.icnr(zeros, scale), key, shape) == refusal(core.base_shape, shape, scale)
    assert refusal(backend.icnr(zeros, (2, 2)), key, (10,)) == refusal(core.base_shape, (1, 1, 1, 10), 2)


def test_a_bias_has_no_axes_so_an_int_does_not_say_how_many_factors():
    words = "scale must have one factor per spatial axis to initialize a bias, which has no such axes; got 2"
    assert words in str(refusal(backend.icnr(random, 2), jax.random.key(0), (12,)))
    assert words in str(refusal(check.bias_scale, 2))


@pytest.mark.parametrize(
    "wrong", [{"scale": 12}, {"scale": (6, 4)}, {"scale": 6, "factors": (3, 2)}, {"scale": 6, "factors": (6,)}], ids=str
)
def test_a_chain_refuses_a_plan_that_its_parameters_were_not_made_for(wrong):
    params = backend.init_chained_subpixel_conv(jax.random.key(0), 3, 2, 3, 6, factors=(2, 3), initializer=random)
    assert backend.chained_subpixel_conv(params, X[..., :3], scale=6, factors=(2, 3)).shape == (2, 24, 36, 2)
    refusal(backend.chained_subpixel_conv, params, X[..., :3], **wrong)


def test_integers_are_summed_as_integers():
    x = jnp.full((1, 1, 2, 1), 2**24 + 1, jnp.int32)
    params = {"kernel": jnp.ones((1, 1, 1, 6), jnp.int32)}
    y = backend.subpixel_conv(params, x, scale=(2, 3))
    assert y.dtype == jnp.int32
    assert (np.asarray(y) == 2**24 + 1).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kernel": jnp.ones((3, 4))}, "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3, 4)"),
        ({"kernel": jnp.ones((1, 1, 3, 8)), "bias": jnp.ones(1)}, "bias must have the shape (8,), one value per output channel; got (1,)"),
        (
            {"kernel": jnp.ones((3, 1, 3, 8)), "depthwise": jnp.ones((3, 3, 3, 1))},
            "pointwise must have the shape (1, ..., 1, Ci, Co), one tap per axis; got (3, 1, 3, 8)",
        ),
    ],
    ids=["flat kernel", "short bias", "pointwise with taps"],
)
def test_parameters_made_by_hand_are_checked_in_the_words_of_the_core(wrong, words):
    assert refusal(backend.subpixel_conv, wrong, X[..., :3], scale=2) == (ValueError, words)


def test_a_chain_planned_as_one_stage_is_applied_as_one_stage_whatever_its_width_was():
    params = backend.init_chained_subpixel_conv(jax.random.key(0), 3, 2, 3, 8, width=1000)
    assert len(params) == 1
    assert backend.chained_subpixel_conv(params, X[..., :3], scale=8).shape == (X.shape[0], 8 * X.shape[1], 8 * X.shape[2], 2)


# --- float64 ---


@pytest.mark.parametrize("separable", [False, True])
def test_float64_convolutions_are_the_core_s_and_compile_where_the_one_of_xla_never_ends(separable):
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, 6, 18, 2)).astype(float)
    depthwise, kernel = rng.integers(-3, 4, (3, 4, 2, 1)).astype(float), rng.integers(-3, 4, (3, 4, 2, 6)).astype(float)
    params = {"depthwise": depthwise, "kernel": kernel[:1, :1]} if separable else {"kernel": kernel}
    whole = depthwise * kernel[:1, :1] if separable else kernel
    with jax.enable_x64(True):
        y = jax.jit(partial(backend.subpixel_conv, scale=(1, 3)))(params, x)
    assert same_bits(y, core.subpixel_conv(x, whole, scale=(1, 3), order="DCR"))


def test_a_float64_convolution_is_exported_for_unknown_extents():
    params = {"kernel": np.arange(3.0 * 2 * 2 * 6).reshape(3, 2, 2, 6)}
    with jax.enable_x64(True):
        unknown = jax.ShapeDtypeStruct(export.symbolic_shape("n, h, w, 2"), np.float64)
        program = export.export(jax.jit(partial(backend.subpixel_conv, params, scale=(1, 3))))(unknown)
        x = np.arange(2.0 * 5 * 4 * 2).reshape(2, 5, 4, 2)
        y = program.call(x)
    assert same_bits(y, core.subpixel_conv(x, params["kernel"], scale=(1, 3), order="DCR"))
