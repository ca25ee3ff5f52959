"""ER: what is refused, in the core and in every backend, in the same words; nothing returns a result."""

import re
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import subpixel_core as core
from subpixel_core import DATA_FORMATS, ORDERS, check

WRONG_SCALES = [0, -1, 2.0, True, "2", None, b"2", {2, 3}, 1j, np.float64(2), np.True_, np.array(2), np.array([2, 3])]
WRONG_TUPLES = [(), [], (2, 0), (-3, 2), (2, True), (2.0, 2), (2, "2"), (2, None), [2, 2.5], ((2, 2), 2)]
WRONG_ORDERS = ["dcr", "NHWC", "", "DCR ", None, 3, b"DCR", ("DCR",), ["DCR"]]
WRONG_FORMATS = ["NHWC", "channels_Last", "", None, 3, True, ("channels_last",)]
WRONG_PADDINGS = [
    "SAME",
    "full",
    "",
    1,
    None,
    (1, 1),
    ((1, 1),),
    ((1, 1), (1,)),
    ((1, -1), (0, 0)),
    ((1.0, 1), (0, 0)),
    ((True, 1), (0, 0)),
]


@pytest.fixture(scope="module", params=["torch", "tensorflow", "jax"])
def backend(request, x64_in_jax):
    """The package, with its adapter."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    import_module(f"subpixel_{request.param}.adapter")
    return import_module(f"subpixel_{request.param}")


def refusal(function, *arguments, **options):
    """Return the ValueError or TypeError of a call, which must not return; its text must end with what was received."""
    with pytest.raises((ValueError, TypeError)) as raised:
        function(*arguments, **options)
    assert type(raised.value) in (ValueError, TypeError)
    assert re.match(r"^[\w ]+ (must|in the) .+; got .+", str(raised.value), re.DOTALL), f"no argument, rule and value in: {raised.value}"
    return raised.value


def same(expected, function, *arguments, **options):
    """Check that a call is refused as ``expected`` says: the same type, the same text."""
    actual = refusal(function, *arguments, **options)
    assert (type(actual), str(actual)) == (type(expected), str(expected))


# --- the shift and its inverse, in the core and in every backend, eager and traced ---


@dataclass(frozen=True)
class Call:
    """A call that is right but for one argument."""

    operation: str = "phase_shift"
    shape: tuple[int, ...] = (4, 6, 12)
    scale: Any = (2, 3)
    options: dict[str, Any] = field(default_factory=lambda: {"order": "DCR", "data_format": "channels_last"})

    def of(self, package, x):
        return getattr(package, self.operation)(x, self.scale, **self.options)


@st.composite
def wrong_calls(draw):
    operation = draw(st.sampled_from(["phase_shift", "inverse_phase_shift"]))
    options = {"order": draw(st.sampled_from(ORDERS)), "data_format": draw(st.sampled_from(DATA_FORMATS))}
    ndim = draw(st.integers(1, 3))
    scale = tuple(draw(st.lists(st.integers(2, 4), min_size=ndim, max_size=ndim)))
    batch = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    spatial = tuple(draw(st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim)))
    channels = draw(st.integers(1, 3))
    if operation == "phase_shift":
        channels *= prod(scale)
    else:
        spatial = tuple(r * extent for r, extent in zip(scale, spatial, strict=True))

    fault = draw(st.sampled_from(["scale", "factor", "order", "data_format", "rank", "multiple"]))
    if fault == "scale":
        scale = draw(st.sampled_from([0, -1, 2.0, True, "2", None, (), (2, 0), (2, True), (2.0,)]))
    elif fault == "factor":
        position = draw(st.integers(0, ndim - 1))
        scale = (*scale[:position], draw(st.sampled_from([0, -2, 1.5, True, "3", None, np.float32(2)])), *scale[position + 1 :])
    elif fault == "order":
        options["order"] = draw(st.one_of(st.sampled_from(WRONG_ORDERS), st.text(max_size=4).filter(lambda word: word not in ORDERS)))
    elif fault == "data_format":
        options["data_format"] = draw(st.sampled_from(WRONG_FORMATS))
    elif fault == "rank":
        batch, spatial = (), spatial[: draw(st.integers(0, ndim - 1))]
    elif operation == "phase_shift":
        channels += draw(st.integers(1, prod(scale) - 1))
    else:
        position = draw(st.integers(0, ndim - 1))
        spread = draw(st.integers(1, scale[position] - 1))
        spatial = (*spatial[:position], spatial[position] + spread, *spatial[position + 1 :])
    last = options["data_format"] != "channels_first"
    return Call(operation, (*batch, *spatial, channels) if last else (*batch, channels, *spatial), scale, options)


@given(call=wrong_calls())
def test_a_wrong_shift_is_refused_by_the_core(call):
    refusal(call.of, core, np.zeros(call.shape, np.float32))


@given(call=wrong_calls())
def test_a_wrong_shift_is_refused_by_every_backend_in_the_words_of_the_core(backend, call):
    expected = refusal(call.of, core, np.zeros(call.shape, np.float32))
    same(expected, call.of, backend, backend.adapter.adapter.to_native(np.zeros(call.shape, np.float32), "cpu"))


EACH_RULE = {
    "ER-001": (Call(scale=(2, 0)), ValueError, "scale must be 1 or more on every axis; got (2, 0)"),
    "ER-001, an int": (Call(scale=-1), ValueError, "scale must be 1 or more; got -1"),
    "ER-002, a float": (Call(scale=2.0), TypeError, "scale must be an integer or a tuple of integers; got 2.0"),
    "ER-002, a boolean": (Call(scale=(2, True)), TypeError, "scale must be an integer or a tuple of integers; got (2, True)"),
    "ER-002, a string": (Call(scale="2"), TypeError, "scale must be an integer or a tuple of integers; got '2'"),
    "ER-002, nothing": (Call(scale=()), ValueError, "scale must have at least one value; got ()"),
    "ER-003": (Call(shape=(4, 6, 10)), ValueError, "channels must be a multiple of 6, the product of scale=(2, 3); got 10"),
    "ER-004": (
        Call("inverse_phase_shift", (4, 7, 12)),
        ValueError,
        "extent of spatial axis 1 must be a multiple of 3, its factor in scale=(2, 3); got 7",
    ),
    "ER-005, order": (
        Call(options={"order": "dcr", "data_format": "channels_last"}),
        ValueError,
        "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got 'dcr'",
    ),
    "ER-005, format": (
        Call(options={"order": "DCR", "data_format": None}),
        ValueError,
        "data_format must be one of 'channels_last', 'channels_first'; got None",
    ),
    "ER-006": (
        Call(shape=(4, 6)),
        ValueError,
        "x must have 2 spatial axes for scale=(2, 3) and a channel axis, at least 3 axes; got 2",
    ),
}
each_rule = pytest.mark.parametrize(("call", "kind", "text"), EACH_RULE.values(), ids=EACH_RULE.keys())


@each_rule
def test_each_rule_has_its_type_and_text(call, kind, text):
    error = refusal(call.of, core, np.zeros(call.shape))
    assert (type(error), str(error)) == (kind, text)


@each_rule
def test_a_traced_function_refuses_in_the_same_words_or_around_them(backend, call, kind, text):
    adapter = backend.adapter.adapter
    x = adapter.to_native(np.zeros(call.shape, np.float32), "cpu")
    # The arguments written out, as a user writes them: torch takes numbers from outside the function for unknown ones.
    source = f"lambda x: backend.{call.operation}(x, {call.scale!r}, **{call.options!r})"
    function = eval(source, {"backend": backend})
    modes = [mode for mode, reason in adapter.modes("cpu").items() if reason is None and mode not in ("eager", "vmap")]
    for mode in modes:
        if mode.endswith("dynamic") and call.operation == "inverse_phase_shift":
            continue  # what does not divide an unknown extent is the framework's own error
        if mode == "function-dynamic" and "channels" in text:
            continue  # there the channels are unknown as well
        with pytest.raises(Exception, match=re.escape(text)):
            adapter.compile(function, mode)(x)


def test_what_does_not_divide_an_extent_unknown_to_the_compiler_is_an_error_at_run_time(backend):
    adapter = backend.adapter.adapter
    for mode, reason in adapter.modes("cpu").items():
        if reason is None and mode.endswith("dynamic"):
            for call in (EACH_RULE["ER-003"][0], EACH_RULE["ER-004"][0]):
                with pytest.raises(Exception):  # noqa: B017, PT011 -- the framework's own, whichever it is
                    adapter.compile(lambda x, call=call: call.of(backend, x), mode)(
                        adapter.to_native(np.zeros(call.shape, np.float32), "cpu")
                    )


# --- layers and initializers: as the core refuses the same arguments ---


def build(backend, chained=False, *, ndim=2, in_channels=3, out_channels=4, kernel_size=3, scale=6, **options):
    """Construct a layer, parameters included; return it as a function of a tensor of channels_last."""
    adapter = backend.adapter.adapter
    prefix = "Chained" if chained else ""
    if backend.__name__ == "subpixel_torch":
        module = getattr(backend, f"{prefix}SubpixelConv{ndim}d")(in_channels, out_channels, kernel_size, scale, **options)
        return lambda x: module(adapter.to_native(np.moveaxis(x, -1, 1).copy() if x.ndim > 1 else x, "cpu"))
    if backend.__name__ == "subpixel_tensorflow":
        layer = getattr(backend, f"{prefix}SubpixelConv{ndim}D")(out_channels, kernel_size, scale, **options)
        layer.build((None,) * (ndim + 1) + (in_channels,))
        return lambda x: layer(adapter.to_native(x, "cpu"))
    import jax

    applied = {name: options.pop(name) for name in ("padding", "blur") if name in options}
    init, apply = ("init_chained_subpixel_conv", "chained_subpixel_conv") if chained else ("init_subpixel_conv", "subpixel_conv")
    params = getattr(backend, init)(jax.random.key(0), in_channels, out_channels, kernel_size, scale, ndim=ndim, **options)
    applied |= {name: options[name] for name in ("order", "factors") if name in options}
    return lambda x: getattr(backend, apply)(params, adapter.to_native(x, "cpu"), scale=scale, **applied)


def plan_refusal(backend, **options):
    """Return how `plan_stages` refuses the arguments of a layer, with the layer's own name for the output channels."""
    arguments = {"ndim": 2, "in_channels": 3, "out_channels": 4, "kernel_size": 3, "scale": 6, **options}
    expected = refusal(core.plan_stages, arguments.pop("scale"), arguments.pop("in_channels"), arguments.pop("out_channels"), **arguments)
    if backend.__name__ == "subpixel_tensorflow":
        return type(expected)(str(expected).replace("out_channels", "filters"))
    return expected


both_layers = pytest.mark.parametrize("chained", [False, True], ids=["plain", "chained"])


@both_layers
@pytest.mark.parametrize("scale", [*WRONG_SCALES[:6], *WRONG_TUPLES, (2,), (2, 3, 2)], ids=repr)
def test_a_layer_refuses_a_scale_as_the_plan_does(backend, chained, scale):
    same(plan_refusal(backend, scale=scale), build, backend, chained, scale=scale)


@both_layers
@pytest.mark.parametrize("kernel_size", [0, -1, 3.0, True, "3", None, (), (3,), (3, 0), (3, 3, 3), (3, 2.0)], ids=repr)
def test_a_layer_refuses_a_kernel_size_as_the_plan_does(backend, chained, kernel_size):
    same(plan_refusal(backend, kernel_size=kernel_size), build, backend, chained, kernel_size=kernel_size)


@both_layers
@pytest.mark.parametrize("argument", ["in_channels", "out_channels"])
@pytest.mark.parametrize("channels", [0, -1, 3.0, True, "3"], ids=repr)
def test_a_layer_refuses_channels_as_the_plan_does(backend, chained, argument, channels):
    if backend.__name__ == "subpixel_tensorflow" and argument == "in_channels":
        pytest.skip("a Keras layer reads them from its input")
    same(plan_refusal(backend, **{argument: channels}), build, backend, chained, **{argument: channels})


@pytest.mark.parametrize(
    "factors", [(2, 2), (6, 6), (), 6, "23", (2, 0), (2.0, 3), (2, True), ((2, 2, 2), 3), (2, (3, 2)), (2, None)], ids=repr
)
def test_a_chain_refuses_factors_that_do_not_reach_its_scale(backend, factors):
    same(plan_refusal(backend, factors=factors), build, backend, True, factors=factors)


@pytest.mark.parametrize("width", [0, -1, 4.0, True, "4"], ids=repr)
def test_a_chain_refuses_a_width_as_the_plan_does(backend, width):
    same(plan_refusal(backend, factors=(2, 3), width=width), build, backend, True, factors=(2, 3), width=width)


@both_layers
@pytest.mark.parametrize("padding", WRONG_PADDINGS, ids=repr)
def test_a_layer_refuses_a_padding_as_the_convolution_does(backend, chained, padding):
    x = np.zeros((1, 5, 6, 3), np.float32)
    expected = refusal(core.conv, x, np.zeros((3, 3, 3, 4)), padding=padding)
    same(expected, lambda: build(backend, chained, padding=padding)(x))


@both_layers
@pytest.mark.parametrize("order", WRONG_ORDERS, ids=repr)
def test_a_layer_refuses_an_order_as_the_shift_does(backend, chained, order):
    same(refusal(core.icnr, np.zeros((3, 3, 3, 4)), 6, order=order), build, backend, chained, order=order)


@both_layers
@pytest.mark.parametrize("flag", ["separable", "blur"])
@pytest.mark.parametrize("value", [1, 0, None, "yes", 1.0], ids=repr)
def test_a_layer_refuses_what_is_not_true_or_false(backend, chained, flag, value):
    expected = TypeError(f"{flag} must be True or False; got {value!r}")
    same(expected, lambda: build(backend, chained, **{flag: value})(np.zeros((1, 5, 6, 3), np.float32)))


@both_layers
@pytest.mark.parametrize("separable", [False, True], ids=["full", "separable"])
@pytest.mark.parametrize("shape", [(1, 5, 6, 4), (1, 5, 6, 2), (1, 5, 3), (5, 6, 3)[:2], (2, 1, 5, 6, 3)], ids=repr)
def test_a_layer_refuses_an_input_of_other_channels_or_rank_in_the_words_of_the_convolution(backend, chained, separable, shape):
    layer = build(backend, chained, separable=separable, factors=(2, 3)) if chained else build(backend, separable=separable)
    x = np.zeros(shape, np.float32)
    expected = refusal(core.conv, x, np.zeros((3, 3, 3, 4)))
    # Keras adds the layer's name and its arguments around the text of an exception.
    with pytest.raises(ValueError, match=re.escape(str(expected))):
        layer(x)


def test_a_layer_refuses_a_kernel_larger_than_the_padded_input(backend):
    x = np.zeros((1, 2, 6, 3), np.float32)
    expected = refusal(core.conv, x, np.zeros((4, 3, 3, 4)), padding="valid")
    layer = build(backend, kernel_size=(4, 3), padding="valid")
    with pytest.raises(ValueError, match=re.escape(str(expected))):
        layer(x)


@pytest.mark.parametrize("scale", [*WRONG_SCALES[:6], *WRONG_TUPLES], ids=repr)
def test_a_shift_layer_refuses_its_scale_when_it_is_made(backend, scale):
    if backend.__name__ == "subpixel_jax":
        pytest.skip("JAX has functions, no layer")
    same(refusal(core.phase_shift, np.zeros((4, 6, 12)), scale, order="DCR"), backend.PhaseShift, scale)


@pytest.mark.parametrize("order", WRONG_ORDERS, ids=repr)
def test_a_shift_layer_refuses_its_order_when_it_is_made(backend, order):
    if backend.__name__ == "subpixel_jax":
        pytest.skip("JAX has functions, no layer")
    same(refusal(core.phase_shift, np.zeros((4, 6, 12)), 2, order=order), backend.PhaseShift, 2, order=order)


def initialize(backend, shape, scale, order="DCR"):
    if backend.__name__ == "subpixel_torch":
        import torch

        return backend.icnr_(torch.empty(*shape[::-1][:2], *shape[:-2]), scale, order=order)
    if backend.__name__ == "subpixel_tensorflow":
        return backend.ICNR("zeros", scale, order)(shape)
    import jax

    return backend.icnr(jax.nn.initializers.zeros, scale, order)(jax.random.key(0), shape)


@pytest.mark.parametrize("scale", [*WRONG_SCALES[:6], *WRONG_TUPLES, (2,), (2, 3, 2)], ids=repr)
def test_the_initializer_refuses_a_scale_as_the_core_does(backend, scale):
    expected = refusal(core.base_shape, (3, 2, 3, 12), scale)
    if isinstance(scale, (tuple, list)) and not scale and backend.__name__ != "subpixel_torch":
        expected = ValueError("scale must have at least one value; got ()")  # made before there is a kernel, whose rank would tell how many
    same(expected, initialize, backend, (3, 2, 3, 12), scale)


@pytest.mark.parametrize("order", WRONG_ORDERS, ids=repr)
def test_the_initializer_refuses_an_order_as_the_core_does(backend, order):
    same(refusal(core.icnr, np.zeros((3, 2, 3, 12)), 2, order=order), initialize, backend, (3, 2, 3, 12), 2, order)


@given(channels=st.integers(1, 40).filter(lambda channels: channels % 6), order=st.sampled_from(ORDERS))
def test_the_initializer_refuses_channels_that_the_scale_does_not_divide(backend, channels, order):
    expected = refusal(core.base_shape, (3, 2, 3, channels), (2, 3))
    assert str(expected) == f"channels must be a multiple of 6, the product of scale=(2, 3); got {channels}"
    same(expected, initialize, backend, (3, 2, 3, channels), (2, 3), order)


@pytest.mark.parametrize("scale", [*WRONG_SCALES[:6], *WRONG_TUPLES], ids=repr)
def test_the_blur_refuses_a_scale_as_the_core_does(backend, scale):
    x = np.zeros((1, 4, 6, 2), np.float32)
    same(refusal(core.box_blur, x, scale), backend.box_blur, backend.adapter.adapter.to_native(x, "cpu"), scale)


def test_the_blur_refuses_a_tensor_without_room_for_its_axes(backend):
    refusal(backend.box_blur, backend.adapter.adapter.to_native(np.zeros((4, 6), np.float32), "cpu"), 2)


# --- the rest of the core ---

x, kernel, bias = np.zeros((1, 4, 6, 3)), np.zeros((3, 2, 3, 12)), np.zeros(12)
TAKES_A_SCALE = {
    "phase_shift": lambda scale: core.phase_shift(np.zeros((4, 6, 36)), scale, order="DCR"),
    "inverse_phase_shift": lambda scale: core.inverse_phase_shift(np.zeros((4, 6, 36)), scale, order="DCR"),
    "rearrangement": lambda scale: core.rearrangement(4, scale, order="DCR", data_format="channels_last"),
    "few_axes": lambda scale: core.few_axes(4, scale, order="DCR", data_format="channels_last"),
    "channel_permutation": lambda scale: core.channel_permutation(36, scale, source="DCR", target="CRD"),
    "nearest_upsample": lambda scale: core.nearest_upsample(x, scale),
    "subpixel_conv": lambda scale: core.subpixel_conv(x, kernel, scale=scale, order="DCR"),
    "separable_subpixel_conv": lambda scale: core.separable_subpixel_conv(
        x, np.zeros((3, 2, 3, 1)), np.zeros((1, 1, 3, 12)), scale=scale, order="DCR"
    ),
    "icnr": lambda scale: core.icnr(kernel, scale, order="DCR"),
    "icnr_bias": lambda scale: core.icnr_bias(bias, scale, order="DCR"),
    "icnr_residual": lambda scale: core.icnr_residual(kernel, scale, order="DCR"),
    "icnr_weight_norm": lambda scale: core.icnr_weight_norm(kernel, scale, order="DCR"),
    "base_shape": lambda scale: core.base_shape(kernel.shape, scale),
    "fans": lambda scale: core.fans(kernel.shape, scale),
    "box_blur": lambda scale: core.box_blur(x, scale),
    "checkerboard": lambda scale: core.checkerboard(x, scale),
    "plan_stages": lambda scale: core.plan_stages(scale, 3, 3),
    "resize_conv_to_subpixel": lambda scale: core.resize_conv_to_subpixel(kernel, scale),
    "shift_conv_to_subpixel": lambda scale: core.shift_conv_to_subpixel(kernel, scale=scale, order="DCR"),
    "subpixel_to_deconv": lambda scale: core.subpixel_to_deconv(kernel, scale=scale, order="DCR"),
    "conv_unshift_to_strided": lambda scale: core.conv_unshift_to_strided(kernel, scale=scale, order="DCR"),
    "unshift_conv_to_strided": lambda scale: core.unshift_conv_to_strided(kernel, scale=scale, order="DCR"),
}


@pytest.mark.parametrize("function", TAKES_A_SCALE)
@pytest.mark.parametrize("scale", [*WRONG_SCALES, *WRONG_TUPLES], ids=repr)
def test_every_function_of_the_core_refuses_a_wrong_scale_by_name(function, scale):
    error = refusal(TAKES_A_SCALE[function], scale)
    assert str(error).startswith("scale must ")
    received = tuple(scale) if isinstance(scale, list) and isinstance(error, ValueError) else scale
    assert str(error).endswith(f"; got {received!r}")


CONFIG = core.ResidualUNetConfig(widths=(8,))
TAKES_AN_ORDER = {
    "phase_shift": lambda order: core.phase_shift(np.zeros((4, 6, 36)), 2, order=order),
    "inverse_phase_shift": lambda order: core.inverse_phase_shift(np.zeros((4, 6, 36)), 2, order=order),
    "rearrangement": lambda order: core.rearrangement(4, 2, order=order, data_format="channels_last"),
    "few_axes": lambda order: core.few_axes(4, 2, order=order, data_format="channels_last"),
    "channel_permutation, source": lambda order: core.channel_permutation(36, 2, source=order, target="CRD"),
    "channel_permutation, target": lambda order: core.channel_permutation(36, 2, source="CRD", target=order),
    "subpixel_conv": lambda order: core.subpixel_conv(x, kernel, scale=2, order=order),
    "separable_subpixel_conv": lambda order: core.separable_subpixel_conv(
        x, np.zeros((3, 2, 3, 1)), np.zeros((1, 1, 3, 12)), scale=2, order=order
    ),
    "icnr": lambda order: core.icnr(kernel, 2, order=order),
    "icnr_bias": lambda order: core.icnr_bias(bias, 2, order=order),
    "icnr_residual": lambda order: core.icnr_residual(kernel, 2, order=order),
    "icnr_weight_norm": lambda order: core.icnr_weight_norm(kernel, 2, order=order),
    "deconv_to_subpixel": lambda order: core.deconv_to_subpixel(kernel, stride=2, order=order),
    "resize_conv_to_subpixel": lambda order: core.resize_conv_to_subpixel(kernel, 2, order=order),
    "shift_conv_to_subpixel": lambda order: core.shift_conv_to_subpixel(kernel, scale=2, order=order),
    "subpixel_to_deconv": lambda order: core.subpixel_to_deconv(kernel, scale=2, order=order),
    "collapse_stages": lambda order: core.collapse_stages([(kernel, None, 2)], order=order),
    "conv_unshift_to_strided": lambda order: core.conv_unshift_to_strided(kernel, scale=2, order=order),
    "unshift_conv_to_strided": lambda order: core.unshift_conv_to_strided(np.zeros((3, 2, 12, 4)), scale=2, order=order),
    "convert_order": lambda order: core.convert_order(core.init_parameters(CONFIG, np.random.default_rng(0)), CONFIG, order),
}


@pytest.mark.parametrize("function", TAKES_AN_ORDER)
@pytest.mark.parametrize("order", WRONG_ORDERS, ids=repr)
def test_every_function_of_the_core_refuses_a_wrong_order(function, order):
    error = refusal(TAKES_AN_ORDER[function], order)
    assert type(error) is ValueError
    assert re.match(r"^(order|source|target) must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got ", str(error))
    assert str(error).endswith(repr(order))


def test_every_public_function_of_the_core_that_takes_a_scale_or_an_order_is_in_the_tables():
    import inspect

    functions = {name: inspect.signature(value).parameters for name, value in vars(core).items() if inspect.isfunction(value)}
    assert {name for name, parameters in functions.items() if "scale" in parameters} - {"factorizations"} == set(TAKES_A_SCALE)
    # No order is an order to load_weights: that of the file. tests/core/test_weights.py has the others.
    taking_orders = {name for name, parameters in functions.items() if {"order", "source"} & set(parameters)}
    assert taking_orders - {"load_weights"} == {name.partition(",")[0] for name in TAKES_AN_ORDER}


OTHERS = [
    (
        lambda: core.channel_permutation(10, 2, source="DCR", target="CRD"),
        "channels must be a multiple of 4, the product of scale=(2, 2); got 10",
    ),
    (lambda: core.channel_permutation(-4, 2, source="DCR", target="CRD"), "channels must be 0 or more; got -4"),
    (lambda: core.channel_permutation(8.0, 2, source="DCR", target="CRD"), "channels must be an integer; got 8.0"),
    (lambda: core.channel_permutation(True, 2, source="DCR", target="CRD"), "channels must be an integer; got True"),
    (lambda: core.conv(x, np.zeros((3, 3))), "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3, 3)"),
    (lambda: core.conv(x, np.zeros((3, 0, 3, 4))), "kernel must have at least one tap on every axis; got (3, 0, 3, 4)"),
    (lambda: core.conv(x, np.zeros((3, 3, 2, 4))), "x must have 2 channels; got 3"),
    (lambda: core.conv(x[0], kernel), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 3"),
    (lambda: core.conv(x, kernel, np.zeros(4)), "bias must have the shape (12,), one value per output channel; got (4,)"),
    (lambda: core.conv(x, kernel, np.zeros((1, 12))), "bias must have the shape (12,), one value per output channel; got (1, 12)"),
    (lambda: core.depthwise_conv(x, kernel), "depthwise must have the shape (*k, Ci, 1), one kernel per channel; got (3, 2, 3, 12)"),
    (lambda: core.conv_transpose(x, kernel, stride=0), "stride must be 1 or more; got 0"),
    (lambda: core.conv_transpose(x, kernel, stride=(2,)), "stride must have one value per spatial axis, 2; got (2,)"),
    (lambda: core.conv_transpose(x, kernel, stride=2.0), "stride must be an integer or a tuple of integers; got 2.0"),
    (lambda: core.conv_transpose(x, kernel, stride=2, padding=-1), "padding must be 0 or more; got -1"),
    (lambda: core.conv_transpose(x, kernel, stride=2, padding="same"), "padding must be an integer or a tuple of integers; got 'same'"),
    (lambda: core.conv_transpose(x, kernel, stride=2, output_padding=2), "output_padding must be below the stride (2, 2); got (2, 2)"),
    (
        lambda: core.conv_transpose(x, kernel, stride=2, padding=9),
        "padding must not crop more than the extents (9, 12) from both ends; got (9, 9)",
    ),
    (
        lambda: core.nearest_upsample(np.zeros((4, 6)), 2),
        "x must have 2 spatial axes for scale=(2, 2) and a channel axis, at least 3 axes; got 2",
    ),
    (lambda: core.box_blur(np.zeros((4, 6)), 2), "x must have 2 spatial axes for scale=(2, 2) and a channel axis, at least 3 axes; got 2"),
    (
        lambda: core.checkerboard(np.zeros((4, 6)), 2),
        "x must have 2 spatial axes for scale=(2, 2) and a channel axis, at least 3 axes; got 2",
    ),
    (lambda: core.checkerboard(x, 3), "extent of spatial axis 0 must be a multiple of 3, its factor in scale=(3, 3); got 4"),
    (
        lambda: core.subpixel_conv(x, np.zeros((3, 3, 3, 10)), scale=2, order="DCR"),
        "channels must be a multiple of 4, the product of scale=(2, 2); got 10",
    ),
    (lambda: core.subpixel_conv(x, kernel, scale=(2,), order="DCR"), "scale must have one value per spatial axis, 2; got (2,)"),
    (
        lambda: core.separable_subpixel_conv(x, np.zeros((3, 2, 3, 1)), kernel, scale=2, order="DCR"),
        "pointwise must have the shape (1, ..., 1, Ci, Co), one tap per axis; got (3, 2, 3, 12)",
    ),
    (
        lambda: core.icnr(np.zeros((3, 12)), 2, order="DCR"),
        "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3, 12)",
    ),
    (lambda: core.icnr(kernel, (2, 2, 2), order="DCR"), "scale must have one value per spatial axis, 2; got (2, 2, 2)"),
    (lambda: core.icnr_bias(np.zeros((1, 12)), 2, order="DCR"), "bias must have one axis; got 2"),
    (
        lambda: core.icnr_residual(np.zeros((1, 1, 3, 10)), 2, order="DCR"),
        "channels must be a multiple of 4, the product of scale=(2, 2); got 10",
    ),
    (
        lambda: core.icnr_residual(kernel, 2, order="DCR", bias=np.zeros(4)),
        "bias must have the shape (12,), one value per output channel; got (4,)",
    ),
    (
        lambda: core.icnr_weight_norm(np.zeros((3, 12)), 2, order="DCR"),
        "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3, 12)",
    ),
    (lambda: core.base_shape((3, 12), 2), "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3, 12)"),
    (lambda: core.fans((3, 3, 3, 10), 2), "channels must be a multiple of 4, the product of scale=(2, 2); got 10"),
    (lambda: core.plan_stages(2, 0, 3), "in_channels must be 1 or more; got 0"),
    (lambda: core.plan_stages(2, 3, 2.0), "out_channels must be an integer; got 2.0"),
    (lambda: core.plan_stages(2, 3, 3, ndim=0), "ndim must be 1 or more; got 0"),
    (lambda: core.plan_stages(2, 3, 3, ndim=2.0), "ndim must be an integer; got 2.0"),
    (lambda: core.plan_stages(2, 3, 3, kernel_size=(3,)), "kernel_size must have one value per spatial axis, 2; got (3,)"),
    (lambda: core.plan_stages(2, 3, 3, width=0), "width must be 1 or more; got 0"),
    (lambda: core.plan_stages(2, 3, 3, objective="speed"), "objective must be one of 'parameters', 'macs'; got 'speed'"),
    (lambda: core.plan_stages(2, 3, 3, max_parameters=-1), "max_parameters must be 0 or more; got -1"),
    (lambda: core.plan_stages(2, 3, 3, bias=1), "bias must be True or False; got 1"),
    (lambda: core.plan_stages(2, 3, 3, separable=None), "separable must be True or False; got None"),
    (lambda: core.plan_stages(6, 3, 3, factors=6), "factors must be a tuple with the scale of every stage; got 6"),
    (lambda: core.plan_stages(6, 3, 3).macs((2, -1)), "spatial must be 0 or more on every axis; got (2, -1)"),
    (lambda: core.plan_stages(6, 3, 3).activations((2,)), "spatial must have one value per spatial axis, 2; got (2,)"),
    (lambda: list(core.factorizations((2, 0))), "scale must be 1 or more on every axis; got (2, 0)"),
]


@pytest.mark.parametrize(("call", "text"), OTHERS, ids=[text for _, text in OTHERS])
def test_the_core_names_the_argument_the_rule_and_the_value(call, text):
    assert str(refusal(call)) == text


@given(padding=st.sampled_from(WRONG_PADDINGS))
def test_every_convolution_of_the_core_refuses_a_wrong_padding(padding):
    for function in (
        lambda: core.padding_widths(padding, (3, 2)),
        lambda: core.conv(x, kernel, padding=padding),
        lambda: core.depthwise_conv(x, np.zeros((3, 2, 3, 1)), padding=padding),
        lambda: core.subpixel_conv(x, kernel, scale=2, order="DCR", padding=padding),
    ):
        assert str(refusal(function)).startswith("padding must be ")


# --- conversions: what has no exact equal is refused by every backend in the core's words ---


def torch_pair(*, conv=None, **resize):
    from torch import nn

    return nn.Upsample(**({"scale_factor": 2} | resize)), nn.Conv2d(2, 3, 3, **(conv or {}))


def torch_transposed(**options):
    from torch import nn

    return nn.ConvTranspose2d(2, 3, 4, 2, **options)


def keras_layer(kind, **options):
    from keras import layers

    layer = getattr(layers, kind)(3, 3, **options)
    layer.build((None, None, None, 2))
    return layer


def keras_pair(**conv):
    from keras import layers

    return layers.UpSampling2D(2), keras_layer("Conv2D", **conv)


def of_jax(package, **options):
    return package.from_conv_transpose(np.ones((3, 3, 2, 3), np.float32), **({"strides": (2, 2), "padding": "VALID"} | options))


def resize_of_jax(package, **options):
    return package.from_resize_conv(np.ones((3, 3, 2, 3), np.float32), **({"scale": 2, "padding": "VALID"} | options))


def dense(package):
    return import_module("torch.nn").Linear(2, 3) if package.__name__ == "subpixel_torch" else import_module("keras").layers.Dense(3)


REFUSED = {
    "a stride behind the resize": (
        lambda: check.unit_steps((2, 1)),
        {
            "torch": lambda package: package.from_resize_conv(*torch_pair(conv={"stride": (2, 1)})),
            "tensorflow": lambda package: package.from_resize_conv(*keras_pair(strides=(2, 1))),
        },
    ),
    "a stride of nothing": (lambda: check.per_axis("strides", (2, 0), 2), {"jax": lambda package: of_jax(package, strides=(2, 0))}),
    "a stride for one axis": (lambda: check.per_axis("strides", (2,), 2), {"jax": lambda package: of_jax(package, strides=(2,))}),
    "a broken stride": (lambda: check.per_axis("strides", 2.0, 2), {"jax": lambda package: of_jax(package, strides=2.0)}),
    "no zeros around, resized": (
        lambda: check.zeros_around("reflect"),
        {"torch": lambda package: package.from_resize_conv(*torch_pair(conv={"padding_mode": "reflect", "padding": 1}))},
    ),
    "no zeros around": (
        lambda: check.xla_padding("CIRCULAR", 2),
        {"jax": lambda package: of_jax(package, padding="CIRCULAR")},
    ),
    "a padding for one axis": (lambda: check.xla_padding((1,), 2), {"jax": lambda package: of_jax(package, padding=(1,))}),
    "a padding of three": (
        lambda: check.xla_padding((1, (0, 1, 2)), 2),
        {"jax": lambda package: of_jax(package, padding=(1, (0, 1, 2)))},
    ),
    "a padding of other words, resized": (
        lambda: check.xla_padding("same", 2, ("SAME", "SAME_LOWER", "VALID")),
        {"jax": lambda package: resize_of_jax(package, padding="same")},
    ),
    "a broken factor": (
        lambda: check.whole_factors(2.5, None, 2),
        {"torch": lambda package: package.from_resize_conv(*torch_pair(scale_factor=2.5))},
    ),
    "a factor that is none": (lambda: check.per_axis("scale", 2.5, 2), {"jax": lambda package: resize_of_jax(package, scale=2.5)}),
    "a size": (
        lambda: check.whole_factors(None, (8, 10), 2),
        {"torch": lambda package: package.from_resize_conv(*torch_pair(scale_factor=None, size=(8, 10)))},
    ),
    "a kernel without axes": (
        lambda: check.kernel_shape((2, 3)),
        {"jax": lambda package: package.from_conv_transpose(np.ones((2, 3)), strides=2, padding="VALID")},
    ),
    "a kernel without axes, resized": (
        lambda: check.kernel_shape((2, 3)),
        {"jax": lambda package: package.from_resize_conv(np.ones((2, 3)), scale=2, padding="VALID")},
    ),
    "a bias of other channels": (
        lambda: check.bias_shape((2,), 3),
        {"jax": lambda package: package.from_conv_transpose(np.ones((3, 3, 2, 3)), np.ones(2), strides=2, padding="VALID")},
    ),
    "another layer": (
        lambda: check.layer_kind("module", "torch.nn.modules.linear.Linear", ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]),
        {"torch": lambda package: package.from_conv_transpose(dense(package))},
    ),
    "another layer of Keras": (
        lambda: check.layer_kind("layer", "keras.src.layers.core.dense.Dense", ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]),
        {"tensorflow": lambda package: package.from_conv_transpose(dense(package))},
    ),
    "another resize": (
        lambda: check.layer_kind("upsample", "torch.nn.modules.linear.Linear", ["Upsample", "UpsamplingNearest2d"]),
        {"torch": lambda package: package.from_resize_conv(dense(package), torch_pair()[1])},
    ),
    "another resize of Keras": (
        lambda: check.layer_kind("upsample", "keras.src.layers.core.dense.Dense", ["UpSampling1D", "UpSampling2D", "UpSampling3D"]),
        {"tensorflow": lambda package: package.from_resize_conv(dense(package), keras_layer("Conv2D"))},
    ),
    "another convolution": (
        lambda: check.layer_kind("conv", "torch.nn.modules.conv.ConvTranspose2d", ["Conv1d", "Conv2d", "Conv3d"]),
        {"torch": lambda package: package.from_resize_conv(torch_pair()[0], torch_transposed())},
    ),
    "no values": (
        lambda: check.values_at_hand("module", "meta"),
        {"torch": lambda package: package.from_conv_transpose(torch_transposed(device="meta"))},
    ),
    "sums beyond the dtype": (
        lambda: check.sums_held(False, "float16"),
        {
            "torch": lambda package: package.from_resize_conv(*large_pair("torch")),
            "tensorflow": lambda package: package.from_resize_conv(*large_pair("tensorflow")),
            "jax": lambda package: package.from_resize_conv(np.full((3, 3, 2, 3), 40_000, np.float16), scale=2, padding="VALID"),
        },
    ),
}


def large_pair(framework):
    """Return a resize and a convolution whose taps are numbers of float16, and their sums are not."""
    if framework == "torch":
        import torch

        resize, conv = torch_pair()
        torch.nn.init.constant_(conv.half().weight, 40_000)
        return resize, conv
    from keras import layers

    conv = keras_layer("Conv2D", dtype="float16")
    conv.kernel.assign(np.full((3, 3, 2, 3), 40_000, np.float16))
    return layers.UpSampling2D(2, dtype="float16"), conv


EACH_REFUSED = [(framework, case) for case, (_, of_backends) in REFUSED.items() for framework in of_backends]
"""Where a framework is not listed, it refuses the case itself, or cannot say it."""


@pytest.mark.parametrize(("backend", "case"), EACH_REFUSED, indirect=["backend"])
def test_a_conversion_refuses_what_a_framework_lets_through_in_the_words_of_the_core(backend, case):
    of_core, of_backends = REFUSED[case]
    same(refusal(of_core), of_backends[backend.__name__.removeprefix("subpixel_")], backend)


@pytest.mark.parametrize("groups", [0, -1, 2.0, True, "2", None], ids=repr)
def test_groups_of_a_conversion_are_a_whole_number(groups):
    for function in (
        lambda: core.deconv_to_subpixel(np.ones((4, 4, 2, 6)), stride=2, order="CRD", groups=groups),
        lambda: core.resize_conv_to_subpixel(np.ones((3, 3, 2, 6)), 2, order="CRD", groups=groups),
    ):
        assert str(refusal(function)).startswith("groups must be ")


@pytest.mark.parametrize(("groups", "order"), [(4, "CRD"), (2, "DCR"), (3, "DRC")])
def test_groups_that_do_not_divide_the_channels_or_that_an_order_would_separate_are_refused(groups, order):
    for function in (
        lambda: core.deconv_to_subpixel(np.ones((4, 4, 2, 6)), stride=2, order=order, groups=groups),
        lambda: core.resize_conv_to_subpixel(np.ones((3, 3, 2, 6)), 2, order=order, groups=groups),
    ):
        expected = (
            refusal(check.multiple, "output channels", 6, groups, f"groups={groups}")
            if order == "CRD"
            else refusal(check.grouped_order, order, groups)
        )
        same(expected, function)


def converted(package, *, mode="nearest", form=None, resize=False):
    """Convert a layer of 2 x 3 channels in the framework of a package."""
    if package.__name__ == "subpixel_torch":
        from torch import nn

        upsample = nn.Upsample(scale_factor=2, mode=mode)
        return (
            package.from_resize_conv(upsample, nn.Conv2d(2, 3, 3), form=form)
            if resize
            else package.from_conv_transpose(nn.ConvTranspose2d(2, 3, 4, 2), form=form)
        )
    if package.__name__ == "subpixel_tensorflow":
        from keras import layers

        layer = layers.Conv2D(3, 3) if resize else layers.Conv2DTranspose(3, 4, 2)
        layer.build((None, None, None, 2))
        upsample = layers.UpSampling2D(2, interpolation=mode)
        return package.from_resize_conv(upsample, layer, form=form) if resize else package.from_conv_transpose(layer, form=form)
    kernel = np.ones((3, 3, 2, 3), np.float32)
    if resize:
        return package.from_resize_conv(kernel, scale=2, padding="VALID", mode=mode, form=form)
    return package.from_conv_transpose(kernel, strides=(2, 2), padding="VALID", form=form)


@pytest.mark.parametrize("form", ["Minimal", "", "both", 1, ("minimal",)])
@pytest.mark.parametrize("resize", [False, True])
def test_a_conversion_refuses_an_unknown_form_in_the_words_of_the_core(backend, resize, form):
    expected = refusal(core.deconv_to_subpixel, np.ones((4, 4, 2, 3)), stride=2, order="CRD", form=form)
    same(expected, converted, backend, resize=resize, form=form)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_conversion_refuses_a_resize_that_is_none_to_the_nearest_neighbour_in_the_words_of_the_core(backend, mode):
    same(refusal(check.exact_resize, mode, False), converted, backend, resize=True, mode=mode)
