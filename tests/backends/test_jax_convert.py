"""EQ in JAX: a converted layer computes what `lax.conv_transpose`, Flax's layers, or a resize and a convolution computed."""

from functools import partial
from itertools import product

import numpy as np
import pytest

import subpixel_core as core

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp  # noqa: E402 - after the check that JAX is there
from jax import export, lax  # noqa: E402

from subpixel_core._upsampling import FORMS  # noqa: E402
from subpixel_jax import ExactSubpixelConv, from_conv_transpose, from_resize_conv, is_measured_faster  # noqa: E402

NCHW = ("NCHW", "OIHW", "NCHW")


def integers(*shape, seed=0, dtype=np.float32):
    """Return small integers, whose sums are exact in float32 in whatever sequence."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def exactly(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(actual, expected)


def with_bias(y, bias, channels=-1):
    return jnp.moveaxis(jnp.moveaxis(y, channels, -1) + bias, -1, channels)


@partial(jax.jit, static_argnames=("strides", "padding", "options", "channels"))
def every_way(kernel, bias, x, strides, padding, options=(), channels=-1):
    """Return what JAX's own function gives with a bias behind it, and what each form of the converted layer does, as one program."""
    original = with_bias(lax.conv_transpose(x, kernel, strides, padding, **dict(options)), bias, channels)
    convert = partial(from_conv_transpose, kernel, bias, strides=strides, padding=padding, **dict(options))
    return original, [convert(form=form)(x) for form in FORMS]


def check(kernel, bias, x, strides, padding, channels=-1, **options):
    original, converted = every_way(kernel, bias, x, strides, padding, tuple(options.items()), channels)
    assert original.size
    for y in converted:
        exactly(y, original)


# --- lax.conv_transpose ---

AXES = list(product(range(1, 8), range(1, 5)))  # (K, s)
TWO_AXES = list(zip(AXES[:14], AXES[:13:-1], strict=True))  # each once


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dilation", [None, (2, 3)])
def test_every_kernel_size_and_stride_is_exact_in_both_forms(padding, dilation):
    for (K, s), (L, t) in TWO_AXES:
        kernel, bias, x = integers(K, L, 2, 3), integers(3, seed=1), integers(2, 1 + K % 3, 1 + L % 4, 2, seed=2)
        check(kernel, bias, x, (s, t), padding, rhs_dilation=dilation)


@pytest.mark.parametrize("consistent", [False, True])
def test_every_pair_of_zeros_is_exact_in_both_forms(consistent):
    paddings = [((0, 3), (2, 5)), ((4, 1), (7, 0)), ((2, 2), (3, 3)), ((5, 6), (1, 4))]
    paddings += [((1, 2), (0, 0)), ((0, 0), (2, 1))] if consistent else [((-1, 4), (3, -2))]
    for (K, s), padding in product([((3, 4), (2, 3)), ((5, 2), (4, 1))], paddings):
        kernel, bias, x = integers(*K, 2, 3), integers(3, seed=1), integers(2, 6, 5, 2, seed=2)
        try:
            original = lax.conv_transpose(x, kernel, s, padding, use_consistent_padding=consistent)
        except ValueError:  # JAX's own refusal: nothing would be left
            continue
        if original.size:
            check(kernel, bias, x, s, padding, use_consistent_padding=consistent)


@pytest.mark.parametrize(("K", "s"), [(1, 3), (2, 4), (3, 2), (4, 2), (7, 2), (8, 3)])
def test_what_same_and_valid_mean_is_as_documented(K, s):
    kernel, x = integers(K, 2, 3), integers(1, 5, 2, seed=1)
    valid, same = (from_conv_transpose(kernel, strides=s, padding=padding)(x) for padding in ("VALID", "SAME"))
    reached = core.conv_transpose(x, np.flip(kernel, 0), stride=s)
    exactly(valid, np.pad(reached, ((0, 0), (0, max(s - K, 0)), (0, 0))))
    first = max(K - s, 0) // 2
    exactly(same, valid[:, first : first + 5 * s])


def test_the_kernel_turned_around_with_its_channels_exchanged():
    bias = integers(3, seed=1)
    check(integers(4, 3, 3, 2), bias, integers(2, 3, 4, 2), (2, 3), "SAME", transpose_kernel=True)
    check(integers(2, 3, 4, 3), bias, integers(2, 2, 3, 4), (2, 3), "VALID", channels=1, transpose_kernel=True, dimension_numbers=NCHW)


@pytest.mark.parametrize(
    ("dimension_numbers", "kernel", "x", "channels"),
    [
        (NCHW, (3, 2, 4, 5), (2, 2, 3, 4), 1),
        (("NCHW", "HWIO", "NHWC"), (4, 5, 2, 3), (2, 2, 3, 4), -1),
        (("HWCN", "WIHO", "CWNH"), (5, 2, 4, 3), (3, 4, 2, 2), 0),
        (("NWHC", "HWIO", "NHWC"), (4, 5, 2, 3), (2, 4, 3, 2), -1),
        (("NCH", "OIH", "NCH"), (3, 2, 4), (2, 2, 5), 1),
        (("NHC", "HIO", "NHC"), (4, 2, 3), (2, 5, 2), -1),
        (None, (4, 2, 3), (2, 5, 2), -1),
        (("NCDHW", "OIDHW", "NCDHW"), (3, 2, 2, 4, 3), (1, 2, 2, 3, 2), 1),
        (None, (2, 4, 3, 2, 3), (1, 2, 3, 2, 2), -1),
    ],
)
def test_the_axes_are_those_of_the_dimension_numbers(dimension_numbers, kernel, x, channels):
    strides = (2, 3, 2)[: len(x) - 2]
    check(integers(*kernel), integers(3, seed=1), integers(*x, seed=2), strides, "SAME", channels, dimension_numbers=dimension_numbers)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("K", "s"), [((4, 6), (2, 3)), ((3, 5), (2, 2))], ids=["whole blocks", "zeros in the kernel"])
def test_gradients_are_those_of_the_original(form, K, s):
    arguments = integers(*K, 2, 3), integers(3, seed=1), integers(2, 3, 4, 2, seed=2)

    def original(kernel, bias, x):
        return with_bias(lax.conv_transpose(x, kernel, s, "SAME"), bias)

    def converted(kernel, bias, x):
        return from_conv_transpose(kernel, bias, strides=s, padding="SAME", form=form)(x)

    y, pull = jax.vjp(original, *arguments)
    cotangent = integers(*y.shape, seed=3)
    same, pull_back = jax.vjp(jax.jit(converted), *arguments)
    exactly(same, y)
    for actual, expected in zip(pull_back(cotangent), pull(cotangent), strict=True):
        exactly(actual, expected)


def test_a_layer_is_a_pytree_that_jit_grad_and_vmap_take():
    kernel, bias, x = integers(4, 4, 2, 3), integers(3, seed=1), integers(2, 3, 4, 2, seed=2)
    layer = from_conv_transpose(kernel, bias, strides=2, padding="SAME")
    expected = layer(x)
    exactly(jax.jit(lambda layer, x: layer(x))(layer, x), expected)
    exactly(jax.jit(layer)(x), expected)
    exactly(jax.vmap(lambda sample: layer(sample[None])[0])(x), expected)
    gradient = jax.grad(lambda layer: (layer(x) * expected).sum())(layer)
    assert isinstance(gradient, ExactSubpixelConv)
    assert jax.tree.map(jnp.shape, gradient.params) == {"kernel": (2, 2, 2, 12), "bias": (12,)}
    exactly(gradient.params["bias"].reshape(4, 3).sum(0), expected.sum((0, 1, 2)))
    stepped = jax.tree.map(lambda value, slope: value - slope, layer, gradient)
    exactly(stepped.params["kernel"], layer.params["kernel"] - gradient.params["kernel"])


def test_many_kernels_are_converted_at_once():
    kernels, x = integers(5, 4, 4, 2, 3), integers(1, 3, 4, 2, seed=2)
    convert = partial(from_conv_transpose, strides=2, padding="SAME")
    layers = jax.vmap(convert)(kernels)
    exactly(jax.vmap(lambda layer: layer(x))(layers), np.stack([convert(kernel)(x) for kernel in kernels]))


def test_the_extents_may_be_unknown():
    kernel = integers(5, 4, 2, 3)
    layer = from_conv_transpose(kernel, strides=(2, 3), padding="SAME")
    shape = export.symbolic_shape("n, h, w, 2")
    exported = export.export(jax.jit(layer))(jax.ShapeDtypeStruct(shape, jnp.float32))
    x = integers(2, 3, 4, 2, seed=1)
    exactly(exported.call(x), lax.conv_transpose(x, kernel, (2, 3), "SAME"))


def test_without_a_form_it_is_the_one_with_fewer_taps():
    for K, s in [(4, 2), (6, 2), (3, 2), (8, 4)]:
        convert = partial(from_conv_transpose, integers(K, K, 2, 3), strides=s, padding="SAME")
        assert convert().params["kernel"].size == min(convert(form=form).params["kernel"].size for form in FORMS)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_every_value_of_the_kernel_is_kept_bit_for_bit(dtype):
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6, 2, 3)), dtype).at[:2, 0, 0, 0].set(jnp.array([jnp.nan, -0.0], dtype))
    moved = np.asarray(from_conv_transpose(kernel, strides=(2, 3), padding="VALID").params["kernel"])
    word = np.uint32 if dtype == "float32" else np.uint16
    assert sorted(moved.view(word).ravel()) == sorted(np.asarray(kernel).view(word).ravel())


@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_integers_and_float64_are_computed_as_they_are(dtype):
    kernel, x = integers(5, 4, 2, 3, dtype=dtype), integers(1, 3, 4, 2, seed=1, dtype=dtype)
    with jax.enable_x64(dtype == "float64"):
        y = from_conv_transpose(kernel, strides=(2, 3), padding="VALID")(x)
        exactly(y, core.conv_transpose(x, np.flip(kernel, (0, 1)), stride=(2, 3)).astype(dtype))


def test_an_empty_batch_stays_empty():
    kernel, x = integers(3, 3, 2, 3), integers(0, 2, 3, 2)
    exactly(from_conv_transpose(kernel, strides=2, padding="SAME")(x), lax.conv_transpose(x, kernel, (2, 2), "SAME"))


# --- Flax ---


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": (4, 3), "strides": (2, 3)},
        {"kernel_size": (2, 5), "strides": (3, 2), "padding": "VALID", "use_bias": False},
        {"kernel_size": (4, 3), "strides": 2, "padding": 2, "transpose_kernel": True},
        {"kernel_size": (4, 3), "strides": None, "padding": (2, (1, 4))},
        {"kernel_size": (4, 3), "strides": (2, 3), "kernel_dilation": (2, 1)},
        {"kernel_size": 3, "strides": 2, "padding": [2]},
        {"kernel_size": (3, 2, 4), "strides": (2, 1, 3), "kernel_dilation": 2},
    ],
    ids=repr,
)
@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_the_parameters_and_attributes_of_a_flax_layer_serve_as_they_are(library, options):
    pytest.importorskip("flax", reason="Flax is not installed")
    ndim = np.size(options["kernel_size"])
    x = integers(2, *(5, 4, 3)[:ndim], 2, seed=2)
    if library == "linen":
        from flax import linen

        layer = linen.ConvTranspose(3, **options)
        params = jax.tree.map(lambda value: integers(*value.shape, seed=value.ndim), layer.init(jax.random.key(0), x)["params"])
        expected = layer.apply({"params": params}, x)
        kernel, bias = params["kernel"], params.get("bias")
    else:
        from flax import nnx

        layer = nnx.ConvTranspose(2, 3, rngs=nnx.Rngs(0), **options)
        kernel, bias = integers(*layer.kernel.shape, seed=3), integers(3, seed=1) if layer.use_bias else None
        layer.kernel[...] = kernel
        if layer.use_bias:
            layer.bias[...] = bias
        expected = layer(x)
    attributes = {"strides": layer.strides, "padding": layer.padding, "rhs_dilation": layer.kernel_dilation}
    for form in FORMS:
        exactly(from_conv_transpose(kernel, bias, **attributes, transpose_kernel=layer.transpose_kernel, form=form)(x), expected)


# --- a resize and a convolution ---


def resized(x, scale, by):
    """Enlarge the spatial axes of (N, *spatial, C)."""
    if by == "image.resize":
        return jax.image.resize(x, (len(x), *(r * n for r, n in zip(scale, x.shape[1:-1], strict=True)), x.shape[-1]), "nearest")
    for axis, r in enumerate(scale, start=1):
        x = jnp.repeat(x, r, axis=axis)
    return x


@partial(jax.jit, static_argnames=("scale", "padding", "by"))
def every_resize(kernel, bias, x, scale, padding, by):
    axes = "".join(map(str, range(len(scale))))
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    y = lax.conv_general_dilated(resized(x, scale, by), kernel, (1,) * len(scale), padding, dimension_numbers=numbers) + bias
    return y, [from_resize_conv(kernel, bias, scale=scale, padding=padding, form=form)(x) for form in FORMS]


@pytest.mark.parametrize(
    ("by", "padding"),
    [
        ("image.resize", "SAME"),
        ("repeat", "SAME"),
        ("repeat", "SAME_LOWER"),
        ("repeat", "VALID"),
        ("repeat", ((0, 3), (2, 1))),
        ("repeat", ((-1, 2), (-2, -1))),
    ],
)
def test_every_resize_and_kernel_size_is_exact_in_both_forms_borders_included(by, padding):
    for (K, r), (L, t) in TWO_AXES[:: 1 if padding == "SAME" else 3]:
        kernel, bias, x = integers(K, L, 2, 3), integers(3, seed=1), integers(2, 2 + K, 2 + L, 2, seed=2)
        expected, converted = every_resize(kernel, bias, x, (r, t), padding, by)
        for y in converted:
            exactly(y, expected)


@pytest.mark.parametrize(("kernel", "x", "scale"), [((4, 2, 3), (2, 5, 2), (3,)), ((3, 2, 4, 2, 3), (1, 2, 3, 2, 2), (2, 3, 1))])
def test_a_resize_in_one_and_three_dimensions(kernel, x, scale):
    expected, converted = every_resize(integers(*kernel), integers(3, seed=1), integers(*x), scale, "SAME", "image.resize")
    for y in converted:
        exactly(y, expected)


def test_a_resize_in_another_layout():
    kernel, x = integers(3, 2, 4, 5), integers(2, 2, 3, 4, seed=1)
    enlarged = jnp.repeat(jnp.repeat(x, 2, axis=2), 3, axis=3)
    expected = lax.conv_general_dilated(enlarged, kernel, (1, 1), "SAME", dimension_numbers=NCHW)
    exactly(from_resize_conv(kernel, scale=(2, 3), padding="SAME", dimension_numbers=NCHW)(x), expected)


def test_the_gradients_of_a_resize_and_convolution_are_those_of_the_original():
    arguments = integers(3, 4, 2, 3), integers(3, seed=1), integers(2, 3, 4, 2, seed=2)
    run = partial(every_resize, scale=(2, 3), padding="SAME", by="repeat")
    (expected, *converted), cotangent = (
        [
            jax.vjp(lambda *given, pick=pick: pick(run(*given)), *arguments)[1]
            for pick in (lambda y: y[0], lambda y: y[1][0], lambda y: y[1][1])
        ],
        integers(2, 6, 12, 3, seed=3),
    )
    for pull, (actual, wanted) in product(converted, enumerate(expected(cotangent))):
        exactly(pull(cotangent)[actual], wanted)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_added_taps_are_within_the_bound_of_their_sum(dtype):
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(7, 5, 2, 3)), dtype)
    wide = np.asarray(kernel, np.float64)
    layer = from_resize_conv(kernel, scale=(3, 4), padding="SAME")
    exact, size = (core.resize_conv_to_subpixel(values, (3, 4)).kernel for values in (wide, np.abs(wide)))
    assert layer.params["kernel"].dtype == kernel.dtype
    unit = float(jnp.finfo(dtype).eps) / 2
    # EQ-012: every tap is a sum of at most 3 × 4 values
    assert (np.abs(np.asarray(layer.params["kernel"], np.float64) - exact) <= 12 * unit * size).all()


# --- what is refused, in the words of the core ---

KERNEL = np.ones((3, 3, 2, 4), np.float32)
WORDS = "padding must be 'SAME', 'VALID', or an integer or a pair (before, after) for each of 2 spatial axes"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"padding": "CIRCULAR"}, f"{WORDS}; got 'CIRCULAR'"),
        ({"padding": "same"}, f"{WORDS}; got 'same'"),
        ({"padding": None}, f"{WORDS}; got None"),
        ({"padding": (1, 1, 1)}, f"{WORDS}; got (1, 1, 1)"),
        ({"padding": ((1, 1), (1, 2.0))}, f"{WORDS}; got ((1, 1), (1, 2.0))"),
        ({"padding": ((1, 1), (1,))}, f"{WORDS}; got ((1, 1), (1,))"),
        ({"strides": 0}, "strides must be 1 or more; got 0"),
        ({"strides": (2, 2, 2)}, "strides must have one value per spatial axis, 2; got (2, 2, 2)"),
        ({"strides": 2.0}, "strides must be an integer or a tuple of integers; got 2.0"),
        ({"rhs_dilation": (0, 1)}, "rhs_dilation must be 1 or more on every axis; got (0, 1)"),
        ({"transpose_kernel": 1}, "transpose_kernel must be True or False; got 1"),
        ({"use_consistent_padding": None}, "use_consistent_padding must be True or False; got None"),
        ({"form": "smallest"}, "form must be one of 'minimal', 'aligned'; got 'smallest'"),
        ({"bias": np.ones(2)}, "bias must have the shape (4,), one value per output channel; got (2,)"),
        ({"kernel": np.ones((2, 4))}, "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (2, 4)"),
    ],
    ids=repr,
)
def test_a_wrong_argument_is_refused_by_name(options, text):
    given = {"kernel": KERNEL, "bias": None, "strides": 2, "padding": "SAME", **options}
    with pytest.raises((ValueError, TypeError)) as raised:
        from_conv_transpose(given.pop("kernel"), given.pop("bias"), **given)
    assert str(raised.value) == text


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "bilinear"},
        {"mode": "linear"},
        {"mode": None},
        {"scale": 0},
        {"scale": (2, 2, 2)},
        {"scale": True},
        {"form": "smallest"},
        {"bias": np.ones(3)},
    ],
    ids=repr,
)
def test_a_wrong_resize_is_refused_as_the_core_does(options):
    given = {"bias": None, "scale": 2, **options}
    scale = given.pop("scale")
    with pytest.raises((ValueError, TypeError)) as expected:
        core.resize_conv_to_subpixel(KERNEL, scale, **given)
    with pytest.raises(expected.type) as raised:
        from_resize_conv(KERNEL, scale=scale, **{"padding": "SAME", **given})
    assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (((3, 3), (2,), 4, 4), "scale must have one value per spatial axis, 2; got (2,)"),
        (((3, 0), 2, 4, 4), "kernel_size must be 1 or more on every axis; got (3, 0)"),
        (((3, 3), 2.0, 4, 4), "scale must be an integer or a tuple of integers; got 2.0"),
        ((3, 2, 0, 4), "in_channels must be 1 or more; got 0"),
        ((3, 2, 4, "4"), "out_channels must be an integer; got '4'"),
    ],
    ids=repr,
)
def test_what_no_layer_has_is_not_said_to_be_faster(arguments, text):
    with pytest.raises((ValueError, TypeError)) as raised:
        is_measured_faster(*arguments)
    assert str(raised.value) == text


def test_whether_it_is_a_resize_is_true_or_false():
    with pytest.raises(TypeError, match=r"^resize must be True or False; got 'nearest'$"):
        is_measured_faster(3, 2, 4, 4, resize="nearest")


@pytest.mark.parametrize("resize", [True, False])
def test_an_integer_is_for_both_axes_of_a_plane(resize):
    grid = list(product(range(1, 10), range(1, 5), (3, 16, 64), (3, 64)))
    answers = [is_measured_faster(k, s, *channels, resize=resize) for k, s, *channels in grid]
    assert answers == [is_measured_faster((k, k), (s, s), *channels, resize=resize) for k, s, *channels in grid]
    assert set(answers) == {True, False}


@pytest.mark.parametrize("shape", [(1, 5, 6, 3), (1, 5, 2), (5, 2)], ids=repr)
def test_an_input_of_other_channels_or_rank_is_refused_as_the_layer_does(shape):
    layer = from_conv_transpose(KERNEL, strides=2, padding="SAME")
    with pytest.raises(ValueError, match=r"^x must have .*; got \d") as raised:
        layer(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=r"^x must have") as expected:
        core.conv(np.zeros(shape), KERNEL)
    assert str(raised.value) == str(expected.value)


def test_an_input_of_which_nothing_is_left_is_refused():
    layer = from_conv_transpose(KERNEL, strides=2, padding=((0, 0), (2, 2)))
    with pytest.raises(ValueError, match=r"^x must have spatial extents of which something is left after cropping; got \(1, 4\)"):
        layer(np.zeros((1, 1, 4, 2), np.float32))


def test_a_sum_of_taps_beyond_the_dtype_is_refused_where_there_are_values():
    kernel = jnp.full((3, 2, 2, 3), 40_000, jnp.float16)
    convert = partial(from_resize_conv, scale=2, padding="VALID")
    with pytest.raises(ValueError, match=r"^kernel must have taps whose sums its dtype can hold; got float16$"):
        convert(kernel)
    assert bool(jnp.isinf(jax.jit(lambda kernel: convert(kernel).params["kernel"])(kernel)).any())  # traced, it has none
    assert bool(jnp.isinf(convert(kernel.at[0].set(jnp.inf)).params["kernel"]).any())  # what is infinite before may be after
    assert bool(jnp.isfinite(convert(kernel / 4).params["kernel"]).all())
