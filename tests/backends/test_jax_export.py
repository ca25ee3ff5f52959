"""What leaves JAX: StableHLO for unknown extents, read back and called."""

import re
from functools import partial
from math import prod

import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import ORDERS, ResidualUNetConfig

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp  # noqa: E402 -- after the skip
from jax import export  # noqa: E402

import subpixel_jax as backend  # noqa: E402
from subpixel_jax import to_stablehlo  # noqa: E402

AXES = {1: "n, w", 2: "n, h, w", 3: "n, d, h, w"}


def iota(*shape, dtype=np.float32):
    return np.arange(prod(shape)).reshape(shape).astype(dtype)


def transposes(content):
    """Return the axes of every transpose in a program."""
    found = re.findall(r"stablehlo\.transpose .*?dims = \[([\d, ]*)\]", export.deserialize(bytearray(content)).mlir_module())
    return [tuple(map(int, axes.split(","))) for axes in found]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", [(3,), (2, 3), (2, 1, 3)])
def test_a_shift_is_one_transpose_and_serves_every_extent(scale, order):
    ndim, low = len(scale), (3, *(4, 2, 5)[: len(scale)], 2 * prod(scale))
    content = to_stablehlo(partial(backend.phase_shift, scale=scale, order=order), f"{AXES[ndim]}, {low[-1]}")
    assert len(transposes(content)) <= 1  # none where nothing but a reshape is needed
    x = iota(*low)
    high = core.phase_shift(x, scale, order=order)
    assert np.array_equal(export.deserialize(bytearray(content)).call(x), high)
    unknown = ", ".join(f"{r}*{name}" for r, name in zip(scale, "dhw", strict=False))
    inverse = to_stablehlo(partial(backend.inverse_phase_shift, scale=scale, order=order), f"n, {unknown}, 2")
    assert np.array_equal(export.deserialize(bytearray(inverse)).call(high), x)


def test_the_shift_by_default_is_a_transpose_of_five_axes():
    assert transposes(to_stablehlo(partial(backend.phase_shift, scale=2), "n, h, w, 8")) == [(0, 1, 3, 2, 4)]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "bfloat16", "float16", "complex64"])
def test_every_dtype_is_carried(dtype):
    content = to_stablehlo(partial(backend.phase_shift, scale=(2, 3)), "n, h, w, 12", dtype=dtype)
    x = jnp.asarray(iota(2, 3, 4, 12) % 2, dtype)
    got = export.deserialize(bytearray(content)).call(x)
    assert got.dtype == jnp.dtype(dtype)
    assert np.array_equal(np.asarray(got), core.phase_shift(np.asarray(x), (2, 3), order="DCR"))


@pytest.mark.parametrize("options", [{}, {"separable": True}, {"ndim": 1}, {"ndim": 3, "order": "RCD"}], ids=str)
@pytest.mark.parametrize("blur", [False, True])
def test_a_layer_serves_every_extent(options, blur):
    ndim = options.get("ndim", 2)
    params = backend.init_subpixel_conv(jax.random.key(0), 3, 2, 3, 2, bias_initializer=jax.nn.initializers.normal(), **options)
    layer = partial(backend.subpixel_conv, params, scale=2, order=options.get("order", "DCR"), blur=blur)
    content = to_stablehlo(layer, [f"{AXES[ndim]}, 3"])
    x = iota(3, *(7, 3, 4)[:ndim], 3) % 7
    np.testing.assert_allclose(export.deserialize(bytearray(content)).call(x), layer(x), rtol=0, atol=1e-5)


def test_a_chain_of_layers_serves_every_extent():
    params = backend.init_chained_subpixel_conv(jax.random.key(0), 3, 2, 3, 4)
    chain = partial(backend.chained_subpixel_conv, params, scale=4, activation=jax.nn.relu)
    x = iota(3, 7, 3, 3) % 7
    np.testing.assert_allclose(export.deserialize(bytearray(to_stablehlo(chain, "n, h, w, 3"))).call(x), chain(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_the_network_serves_every_extent_and_other_platforms(norm):
    config = ResidualUNetConfig(in_channels=2, widths=(8, 16), norm=norm, output_scale=2)
    params = backend.init_residual_unet(jax.random.key(0), config)
    network = partial(backend.residual_unet, params, config=config)
    program = export.deserialize(bytearray(to_stablehlo(network, "n, h, w, 2", platforms=("cpu", "cuda"))))
    assert program.platforms == ("cpu", "cuda")
    x = np.random.default_rng(0).normal(size=(2, 6, 11, 2)).astype(np.float32)
    np.testing.assert_allclose(program.call(x), network(x), rtol=0, atol=1e-5)


def test_arrays_share_their_unknown_extents():
    program = export.deserialize(bytearray(to_stablehlo(lambda x, y: backend.phase_shift(x, 2) + y, ["n, h, w, 8", "n, 2*h, 2*w, 2"])))
    assert np.array_equal(
        program.call(iota(1, 2, 3, 8), np.ones((1, 4, 6, 2), np.float32)), core.phase_shift(iota(1, 2, 3, 8), 2, order="DCR") + 1
    )


@pytest.mark.parametrize(
    ("shapes", "error", "message"),
    [
        ("n, h, w, 7", ValueError, "channels must be a multiple of 4, the product of scale=(2, 2); got 7"),
        ("n h", ValueError, "syntax error in symbolic shape"),
        ([(1, 2, 3, 4)], TypeError, "shapes must be a str; got tuple"),
    ],
)
def test_what_cannot_be_exported_is_refused(shapes, error, message):
    with pytest.raises(error, match=re.escape(message)):
        to_stablehlo(partial(backend.phase_shift, scale=2), shapes)


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
