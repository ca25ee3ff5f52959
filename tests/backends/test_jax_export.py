"""What leaves JAX: StableHLO, for extents that are unknown and such that are known, read back and called."""

import re
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import DATA_FORMATS, ORDERS, ResidualUNetConfig

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp  # noqa: E402 -- after the skip
from jax import export  # noqa: E402

import subpixel_jax as backend  # noqa: E402
from subpixel_jax import to_stablehlo  # noqa: E402
from subpixel_jax.ops import in_few_axes  # noqa: E402


@pytest.fixture(autouse=True)
def narrow():
    """As JAX comes: another module of tests in this process may have turned its 64-bit types on."""
    with jax.enable_x64(False):
        yield


AXES = {1: "n, w", 2: "n, h, w", 3: "n, d, h, w"}


def iota(*shape, dtype=np.float32):
    return np.arange(prod(shape)).reshape(shape).astype(dtype)


def transposes(content):
    """Return the axes of every transpose in a program."""
    module = export.deserialize(bytearray(content)).mlir_module()
    found = re.findall(r"stablehlo\.transpose .*?dims = \[([\d, ]*)\]", module)
    assert len(found) == module.count("stablehlo.transpose")
    return [tuple(map(int, axes.split(","))) for axes in found]


def every_order(low, high, scale, data_format, phase_shift=backend.phase_shift, inverse_phase_shift=backend.inverse_phase_shift):
    return [
        move(x, scale, order=order, data_format=data_format)
        for order in ORDERS
        for move, x in ((phase_shift, low), (inverse_phase_shift, high))
    ]


def placed(channels, extents, data_format, batch):
    return (*batch, *extents, channels) if data_format == "channels_last" else (*batch, channels, *extents)


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize(("scale", "most"), [((3,), 1), ((2, 3), 1), ((2, 3, 2), 3)])
def test_a_shift_and_its_inverse_are_transposes_of_at_most_five_axes_in_every_order(scale, most, data_format, known):
    names, extents = "dhw"[: len(scale)], (4, 2, 5)[: len(scale)]
    x = iota(*placed(2 * prod(scale), extents, data_format, (3,)))
    y = iota(*placed(2, np.multiply(scale, extents).tolist(), data_format, (3,)))
    unknown = [
        placed(2 * prod(scale), names, data_format, "n"),
        placed(2, [f"{r}*{name}" for r, name in zip(scale, names, strict=True)], data_format, "n"),
    ]
    shapes = [", ".join(map(str, axes)) for axes in ([x.shape, y.shape] if known else unknown)]
    content = to_stablehlo(partial(every_order, scale=scale, data_format=data_format), shapes, verify=False)
    found = transposes(content)
    assert max(map(len, found)) <= 5
    assert len(found) <= 2 * len(ORDERS) * most
    got = export.deserialize(bytearray(content)).call(x, y)
    wanted = every_order(x, y, scale, data_format, core.phase_shift, core.inverse_phase_shift)
    assert all(map(np.array_equal, got, wanted))
    assert len(got) == len(wanted)


@pytest.mark.parametrize(("data_format", "batch"), [("channels_last", "n"), ("channels_first", "")])
def test_where_jax_cannot_tell_that_a_product_of_extents_is_not_negative_what_lies_at_an_offset_is_stacked(data_format, batch):
    scale = (2, 3, 2)
    cut = tuple(slice(r, None) for r in placed(0, scale, data_format, (0,) * len(batch)))  # of d - 2, h - 3, w - 2

    def moved(low, high, **functions):
        return every_order(low[cut], high[cut], scale, data_format, **functions)

    shapes = [placed(24, "dhw", data_format, batch), placed(2, ("2*d", "3*h", "2*w"), data_format, batch)]
    content = to_stablehlo(moved, list(map(", ".join, (map(str, shape) for shape in shapes))), verify=False)
    assert transposes(content) == []
    x, y = iota(*placed(24, (4, 5, 3), data_format, (2,) * len(batch))), iota(*placed(2, (8, 15, 6), data_format, (2,) * len(batch)))
    wanted = moved(x, y, phase_shift=core.phase_shift, inverse_phase_shift=core.inverse_phase_shift)
    assert all(map(np.array_equal, export.deserialize(bytearray(content)).call(x, y), wanted))


def test_a_layer_behind_a_padding_that_takes_away_has_few_axes_too():
    params = backend.init_subpixel_conv(jax.random.key(0), 3, 2, 3, 2, ndim=3, order="CRD")
    x = iota(2, 5, 4, 3, 3) % 7
    for padding, axes in [("valid", [4, 4]), (((0, 1),) * 3, [])]:
        layer = partial(backend.subpixel_conv, params, scale=2, order="CRD", padding=padding)
        content = to_stablehlo(layer, "n, d, h, w, 3", verify=False)
        assert [len(each) for each in transposes(content)] == axes
        np.testing.assert_allclose(export.deserialize(bytearray(content)).call(x), layer(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_layers_and_networks_are_of_transposes_of_at_most_five_axes_in_every_order(ndim, order, known):
    scale, options = (2, 3, 2)[:ndim], {"ndim": ndim, "order": order}
    network = ResidualUNetConfig(in_channels=2, widths=(8, 16), output_scale=2, norm="batch", **options)
    deconvolving = replace(network, upsample="deconv")
    drawn = {
        "chain": lambda key: backend.init_chained_subpixel_conv(key, 2, 2, 3, 4, **options),
        "separable": lambda key: backend.init_subpixel_conv(key, 2, 2, 3, scale, separable=True, **options),
        "network": lambda key: backend.init_residual_unet(key, network),
        "deconvolving": lambda key: backend.init_residual_unet(key, deconvolving),
    }
    shapes = {name: jax.eval_shape(draw, jax.random.key(0)) for name, draw in drawn.items()}
    params = jax.tree.map(lambda described: np.ones(described.shape, described.dtype), shapes)

    def everything(x):
        return (
            backend.chained_subpixel_conv(params["chain"], x, scale=4, order=order, blur=True),
            backend.subpixel_conv(params["separable"], x, scale=scale, order=order, blur=True),
            backend.residual_unet(params["network"], x, network),
            backend.residual_unet(params["deconvolving"], x, deconvolving),
        )

    shape = ", ".join(map(str, (2, *(5, 4, 3)[:ndim], 2))) if known else f"{AXES[ndim]}, 2"
    found = transposes(to_stablehlo(everything, shape, verify=False))
    assert max(map(len, found)) <= 5


def test_jax_export_called_directly_writes_few_axes_for_unknown_extents_and_what_jit_had_traced_is_no_program():
    function = jax.jit(partial(backend.phase_shift, scale=2, order="CRD"))
    known = jax.ShapeDtypeStruct((1, 4, 5, 8), np.float32)
    as_it_was = export.export(function)(known).serialize()
    unknown = jax.ShapeDtypeStruct((*export.symbolic_shape("n, h, w"), 8), np.float32)
    assert transposes(export.export(function)(unknown).serialize()) == [(0, 3, 1, 4, 2)]
    assert transposes(to_stablehlo(function, "1, 4, 5, 8")) == [(0, 3, 1, 4, 2)]
    assert transposes(as_it_was) == transposes(export.export(function)(known).serialize()) == [(0, 1, 4, 2, 5, 3)]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "bfloat16", "float16", "complex64"])
def test_every_dtype_is_carried(dtype):
    content = to_stablehlo(partial(backend.phase_shift, scale=(2, 3)), "n, h, w, 12", dtype=dtype)
    x = jnp.asarray(iota(2, 3, 4, 12) % 2, dtype)
    got = export.deserialize(bytearray(content)).call(x)
    assert got.dtype == jnp.dtype(dtype)
    assert np.array_equal(np.asarray(got), core.phase_shift(np.asarray(x), (2, 3), order="DCR"))


@pytest.mark.parametrize("order", ["CRD", "DRC"])
def test_in_a_layer_the_order_is_folded_into_the_kernel(order):
    def layer(params, x):
        return backend.subpixel_conv(params, x, scale=(2, 3), order=order)

    params = backend.init_subpixel_conv(jax.random.key(0), 3, 2, 3, (2, 3), bias_initializer=jax.nn.initializers.normal(), order=order)
    params["kernel"] = jax.random.normal(jax.random.key(1), params["kernel"].shape)  # of unequal blocks, unlike a start
    params["bias"] = jax.random.normal(jax.random.key(2), params["bias"].shape)
    content = to_stablehlo(partial(layer, params), "n, h, w, 3", verify=False)
    assert transposes(content) == [(0, 1, 3, 2, 4)]
    assert "gather" not in export.deserialize(bytearray(content)).mlir_module()
    x = iota(2, 4, 5, 3) % 7
    np.testing.assert_allclose(export.deserialize(bytearray(content)).call(x), layer(params, x), rtol=0, atol=1e-4)

    n, h, w = export.symbolic_shape("n, h, w")
    described = jax.tree.map(lambda value: jax.ShapeDtypeStruct(value.shape, value.dtype), params)
    given = export.export(jax.jit(layer))(described, jax.ShapeDtypeStruct((n, h, w, 3), np.float32))  # of parameters, too
    assert transposes(given.serialize()) == [(0, 1, 3, 2, 4)]
    np.testing.assert_allclose(given.call(params, x), layer(params, x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"separable": True}, {"ndim": 1}, {"ndim": 3, "order": "RCD"}], ids=str)
@pytest.mark.parametrize("blur", [False, True])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_a_layer_serves_every_extent(options, blur, known):
    ndim = options.get("ndim", 2)
    params = backend.init_subpixel_conv(jax.random.key(0), 3, 2, 3, 2, bias_initializer=jax.nn.initializers.normal(), **options)
    params = jax.tree.map(lambda value: np.sin(iota(*value.shape)), params)  # of unequal blocks, unlike a start
    layer = partial(backend.subpixel_conv, params, scale=2, order=options.get("order", "DCR"), blur=blur)
    x = iota(3, *(7, 3, 4)[:ndim], 3) % 7
    content = to_stablehlo(layer, [str(x.shape)[1:-1] if known else f"{AXES[ndim]}, 3"], verify=False)
    np.testing.assert_allclose(export.deserialize(bytearray(content)).call(x), layer(x), rtol=0, atol=1e-4)


def test_a_chain_of_layers_serves_every_extent():
    params = backend.init_chained_subpixel_conv(jax.random.key(0), 3, 2, 3, 4)
    chain = partial(backend.chained_subpixel_conv, params, scale=4, activation=jax.nn.relu)
    x = iota(3, 7, 3, 3) % 7
    np.testing.assert_allclose(export.deserialize(bytearray(to_stablehlo(chain, "n, h, w, 3"))).call(x), chain(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("norm", "shape"), [("group", "n, h, w, 2"), ("batch", "2, 6, 11, 2")])
def test_the_network_serves_every_extent_and_other_platforms(norm, shape):
    config = ResidualUNetConfig(in_channels=2, widths=(8, 16), norm=norm, output_scale=2, order="CRD")
    params = backend.init_residual_unet(jax.random.key(0), config)
    network = partial(backend.residual_unet, params, config=config)
    content = to_stablehlo(network, shape, platforms=("cpu", "cuda"), verify=norm == "group")
    assert [len(axes) for axes in transposes(content)] == [5, 5]
    program = export.deserialize(bytearray(content))
    assert program.platforms == ("cpu", "cuda")
    x = np.random.default_rng(0).normal(size=(2, 6, 11, 2)).astype(np.float32)
    np.testing.assert_allclose(program.call(x), network(x), rtol=0, atol=1e-5)


def test_a_deconvolving_network_in_three_dimensions_has_few_axes_in_its_kernels_too():
    config = ResidualUNetConfig(ndim=3, in_channels=2, widths=(8, 16), norm="none", upsample="deconv")
    params = backend.init_residual_unet(jax.random.key(0), config)
    content = to_stablehlo(partial(backend.residual_unet, params, config=config), "n, d, h, w, 2", verify=False)
    assert max(map(len, transposes(content))) == 5
    kernel = iota(4, 2, 6, 3, 5)
    few, whole = (move(kernel, (2, 1, 3), order="DCR") for move in (partial(in_few_axes, inverse=True), backend.inverse_phase_shift))
    assert np.array_equal(few, whole)


def test_jax2tf_carries_a_shift_into_a_saved_model_bit_for_bit(tmp_path):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    jax2tf = pytest.importorskip("jax.experimental.jax2tf")
    shift = partial(backend.phase_shift, scale=(2, 3), order="CRD")
    module = tf.Module()
    module.serve = tf.function(
        jax2tf.convert(shift, polymorphic_shapes=["n, h, w, 12"]),
        input_signature=[tf.TensorSpec((None, None, None, 12), tf.float32)],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path / "served"))
    served = tf.saved_model.load(str(tmp_path / "served"))
    for shape in [(1, 4, 5, 12), (3, 2, 7, 12)]:
        assert np.array_equal(served.serve(iota(*shape)).numpy(), core.phase_shift(iota(*shape), (2, 3), order="CRD"))


def test_arrays_share_their_unknown_extents():
    program = export.deserialize(bytearray(to_stablehlo(lambda x, y: backend.phase_shift(x, 2) + y, ["n, h, w, 8", "n, 2*h, 2*w, 2"])))
    assert np.array_equal(
        program.call(iota(1, 2, 3, 8), np.ones((1, 4, 6, 2), np.float32)), core.phase_shift(iota(1, 2, 3, 8), 2, order="DCR") + 1
    )


@pytest.mark.parametrize(
    ("shapes", "options", "error", "message"),
    [
        ("n, h, w, 7", {}, ValueError, "channels must be a multiple of 4, the product of scale=(2, 2); got 7"),
        ("n h", {}, ValueError, "syntax error in symbolic shape"),
        *(
            (shapes, {}, TypeError, f"shapes must be a str, or a tuple or list of them; got {shapes!r}")
            for shapes in (3, None, {}, (1, 2, 3, 4), [(1, 2, 3, 4)], ["n, h, w, 8", 3])
        ),
        ([], {}, ValueError, "shapes must have at least one str; got []"),
        ("n, h, -1, 8", {}, ValueError, "every known extent in shapes must be 0 or more; got -1"),
        ("n, h - 2, w, 8", {}, ValueError, "shapes must have extents of which JAX can tell what the function asks; got 'n, h - 2, w, 8': "),
        *(
            ("n, h, w, 8", {"dtype": dtype}, ValueError, f"dtype must be a dtype, or the name of one; got {dtype!r}")
            for dtype in ("float33", 3, None)
        ),
        *(
            ("n, h, w, 8", {"dtype": dtype}, ValueError, f"dtype must be one that JAX keeps; got {dtype}, of which it makes {kept} without")
            for dtype, kept in [("float64", "float32"), ("int64", "int32"), ("complex128", "complex64")]
        ),
        ("n, h, w, 8", {"platforms": "cpu"}, TypeError, "platforms must be a tuple or list of str; got 'cpu'"),
        ("n, h, w, 8", {"platforms": ()}, ValueError, "platforms must have at least one value; got ()"),
        (
            "n, h, w, 8",
            {"platforms": ("nowhere",)},
            ValueError,
            f"platforms must have '{export.default_export_platform()}', on which the program is verified; got ('nowhere',). Add it, or",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(shapes, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        to_stablehlo(partial(backend.phase_shift, scale=2), shapes, **options)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="function must be a function; got 3"):
        to_stablehlo(3, "n, h, w, 8")


def test_with_64_bits_allowed_they_are_kept():
    with jax.enable_x64(True):
        program = export.deserialize(bytearray(to_stablehlo(partial(backend.phase_shift, scale=2), "n, h, w, 8", dtype="float64")))
    assert program.in_avals[0].dtype == np.float64


def test_for_another_platform_it_is_written_unverified():
    content = to_stablehlo(partial(backend.phase_shift, scale=2), "n, h, w, 8", platforms=["tpu"], verify=False)
    assert export.deserialize(bytearray(content)).platforms == ("tpu",)


def test_extents_that_a_factor_need_not_divide_are_refused_by_the_trial_alone():
    inverse = partial(backend.inverse_phase_shift, scale=2)
    with pytest.raises(ValueError, match="extent of spatial axis 0 must be a multiple of 2"):
        to_stablehlo(inverse, "n, h, w, 2")
    assert to_stablehlo(inverse, "n, h, w, 2", verify=False)


def test_a_program_that_computes_something_else_is_not_returned():
    calls = []

    def changing(x):
        calls.append(x)  # at every trace
        return backend.phase_shift(x, 2) + len(calls)

    with pytest.raises(RuntimeError, match=r"the exported model must compute what the model does; got .* from XLA"):
        to_stablehlo(changing, "n, h, w, 8")
