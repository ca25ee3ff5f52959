"""Errors of the reference name the argument, the rule and what was received; results have the types that are promised."""

import os
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest

from subpixel_core import (
    ORDERS,
    ResidualUNetConfig,
    SubpixelKernel,
    base_shape,
    channel_permutation,
    check,
    deconv_to_subpixel,
    icnr_residual,
    icnr_weight_norm,
    plan_stages,
    subpixel_to_deconv,
    unshift_conv_to_strided,
)
from subpixel_core._unet import network
from subpixel_core._upsampling import _axis, of_deconv

NETWORK = network(ResidualUNetConfig())
KERNEL = np.ones((3, 3, 2, 12), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: channel_permutation(12, (2, 0), source="DCR", target="CRD"), "scale must "),
        (lambda: channel_permutation(-6, (2, 3), source="DCR", target="CRD"), "channels must "),
        (
            lambda: channel_permutation(10, (2, 3), source="DCR", target="CRD"),
            "channels must be a multiple of 6, the product of scale=(2, 3); got 10",
        ),
        (lambda: channel_permutation(6, (2, 3), source="dcr", target="CRD"), "source must "),
        (lambda: channel_permutation(6, (2, 3), source="DCR", target="crd"), "target must "),
        (lambda: base_shape((3, 3, 2, -12), (2, 3)), "kernel_shape must "),
        (lambda: base_shape((3, 3, 2, 12), (2, 0)), "scale must "),
        (lambda: base_shape((3, 3, 2, 12), (2, 3, 1)), "scale must "),
        (lambda: base_shape((3, 3, 2, 10), (2, 3)), "channels must be a multiple of 6, the product of scale=(2, 3); got 10"),
        (lambda: icnr_residual(KERNEL, (2, 0), order="DCR"), "scale must "),
        (lambda: icnr_residual(KERNEL, (2, 3, 1), order="DCR"), "scale must "),
        (lambda: icnr_residual(KERNEL, (2, 3), order="dcr"), "order must "),
        (lambda: icnr_weight_norm(KERNEL, (2, 0), order="DCR"), "scale must "),
        (lambda: icnr_weight_norm(KERNEL, (2, 3, 1), order="DCR"), "scale must "),
    ],
)
def test_an_error_begins_with_the_argument_and_the_rule(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


def test_an_int_is_that_factor_on_every_axis_of_the_kernel():
    assert base_shape((3, 3, 3, 2, 16), 2) == (3, 3, 3, 2, 2)
    assert icnr_residual(np.repeat(np.arange(2.0), 8).reshape(1, 1, 1, 1, 16), 2, order="CRD") == 0
    g, _ = icnr_weight_norm(np.ones((3, 3, 3, 2, 2)), 2, order="CRD")
    assert g.shape == (16,)


def test_a_base_shape_is_made_of_integers():
    assert [type(extent) for extent in base_shape((3, 3, 2, 12), (2, 3))] == [int] * 4


@pytest.mark.parametrize(
    ("given", "norms"), [("int32", "float64"), ("float16", "float16"), ("float32", "float32"), ("complex64", "float32")]
)
def test_norms_have_the_real_dtype_of_the_kernel(given, norms):
    g, v = icnr_weight_norm(np.full((1, 1, 4, 2), 3).astype(given), (2, 2), order="DCR")
    assert (g.dtype, v.dtype) == (np.dtype(norms), np.dtype(given))
    assert g.tolist() == [6] * 8


@pytest.mark.parametrize("order", ORDERS)
def test_the_residual_of_integers_that_differ_is_their_difference(order):
    kernel = np.zeros((1, 1, 1, 8), np.uint8)
    kernel[..., 0] = 200
    assert icnr_residual(kernel, (2, 2), order=order) == 200


LET_THROUGH = [
    (lambda: check.integer("n", np.uint8(3), minimum=3), 3),
    (lambda: check.per_axis("n", [np.int64(3), 1], 2), (3, 1)),
    (lambda: check.per_axis("n", 3), (3, 3)),
    (lambda: check.per_axis("n", (3, 4, 5)), (3, 4, 5)),
    (lambda: check.per_axis("n", 0, 3, minimum=0), (0, 0, 0)),
    (lambda: check.plannable("n", (2**10, 2**10)), None),
    (lambda: check.one_of("n", np.str_("b"), ("a", "b")), "b"),
    (lambda: check.flag("n", np.bool_(False)), False),
    (lambda: check.rank(3, 2, (2, 3)), None),
    (lambda: check.multiple("n", "N", 2, "why"), None),
    (lambda: check.pooled_axes((2, 2, 2)), None),
    (lambda: check.layer_input((1, "H", "W", "C"), 2, 3), None),
    (lambda: check.layer_input((1, 5, 6, 4), 2, None), None),
    (lambda: check.layer_input((1, 4, 5, 6), 2, 4, "channels_first"), None),
    (lambda: check.padding_widths([(1, 2), [0, 3]], [3, 4]), ((1, 2), (0, 3))),
    (lambda: check.cuts([[1, 2], (0, 3)], 2), ((1, 2), (0, 3))),
    (lambda: check.cuts((0, 1), 2), ((0, 0), (1, 1))),
    (lambda: check.xla_padding("VALID", 2), "VALID"),
    (lambda: check.xla_padding("CAUSAL", 1, ("SAME", "CAUSAL")), "CAUSAL"),
    (lambda: check.xla_padding([1, [-1, np.int64(2)]], 2), ((1, 1), (-1, 2))),
    (lambda: check.xla_padding(3, 1), ((3, 3),)),
    (lambda: check.kernel_fits((2, 3, "W"), (3, 5, 9), ((1, 0), (1, 1), ("a", "b"))), None),
    (lambda: check.kernel_shape((1, 0, 0)), None),
    (lambda: check.output_padding((1, 2), (2, 3)), None),
    (lambda: check.output_padding((1, 2), (4, 1), (3, 3)), None),
    (lambda: check.spatial_extents((1, "W")), None),
    (lambda: check.something_left((1, 1), (0, "W")), None),
    (lambda: check.grouped_order("DCR", 1), None),
    (lambda: check.grouped_order("CRD", 2), None),
    (lambda: check.grouped_order("RCD", 2), None),
    (lambda: check.block_constant(True, 0.0), None),
    (lambda: check.exact_resize("nearest", False), None),
    (lambda: check.layer_kind("layer", "B", ("A", "B")), None),
    (lambda: check.nothing_attached("layer", ()), None),
    (lambda: check.is_built("layer", True), None),
    (lambda: check.same_in_both("axes", 2, 2), None),
    (lambda: check.same_when_rebuilt("layer", [(3,)], ((3,),)), None),
    (lambda: check.example_runs([]).__enter__(), None),
    (lambda: check.one_file(2**31 - 1, "ONNX", "this"), None),
    (lambda: check.calibrated(False, None, (2,)), []),
    (lambda: check.telling((1, 3), True, ()), None),
    (lambda: check.answered(True), None),
    (lambda: check.same_format("channels_last", np.str_("channels_last")), None),
    (lambda: check.opset_written(18, np.int64(18)), None),
    (lambda: check.kept_dtype("JAX", np.dtype("float32"), np.float32, "x64"), None),
    (lambda: check.of_kind("function", True, "a function", len), None),
    (lambda: check.several("shapes", "n", str), ("n",)),
    (lambda: check.several("shapes", ["n", "h"], str), ("n", "h")),
    (lambda: check.several("shapes", ("n",), str), ("n",)),
    (lambda: check.known_dtype(True, "float32"), None),
    (lambda: check.named("path", Path("a")), None),
    (lambda: check.words("platforms", ["cpu", "cuda"]), None),
    (lambda: check.words("platforms", ("cpu",)), None),
    (lambda: check.verified_on(True, "cpu", ("cpu",)), None),
    (lambda: check.few_axes_only([5, 4], 5, "TFLite"), None),
    (lambda: check.few_axes_only([], 0, "TFLite"), None),
    (lambda: check.integers_only([], "TFLite"), None),
    (lambda: check.in_float32(["float32", "int8"], "TFLite"), None),
    (lambda: check.known_inputs(1, [2]), [2]),
    (lambda: check.one_in_one_out(1, 1, "a runtime"), None),
    (lambda: check.puts_out("x", (1, 2), np.array([1.0, np.inf]), everywhere=False), None),
    (lambda: check.puts_out("x", (1, 2), np.array([1.0, 2.0]), everywhere=True), None),
    (lambda: check.own_positions([1, 2], (0, 1)), None),
    (lambda: check.example_inputs([np.zeros((7, 3)), np.zeros((2, 4))], [(None, 3), (2, 4)]), None),
    (lambda: check.zeros_around("zeros"), None),
    (lambda: check.whole_factors(2.0, None, 3), (2, 2, 2)),
    (lambda: check.whole_factors([2.0, 3], None, 2), (2, 3)),
    (lambda: check.neighbours_found([3, 5], True), None),
    (lambda: check.values_at_hand("layer", "cpu"), None),
    (lambda: check.exact_everywhere(((0, 0), (0, 0))), None),
    (lambda: check.one_kernel(a=False, b=False), None),
    (lambda: check.unit_steps((1, 1)), None),
    (lambda: check.linear(None), None),
    (lambda: check.stages([[0, 1, 2]]), [[0, 1, 2]]),
    (lambda: check.follows((3, 3, 2, 8), (1, 5, 4, 2)), None),
    (lambda: check.bias_scale([2, 3]), (2, 3)),
    (lambda: check.instance("n", True, int), None),
    (lambda: check.floating(True, "float16"), None),
    (lambda: check.depthwise_shape((3, 4, 1)), None),
    (lambda: check.pointwise_shape((1, 1, 4, 5)), None),
    (lambda: check.dimensions("n", np.int64(3)), 3),
    (lambda: check.dimensions("n", 1), 1),
    (lambda: check.per_level("n", (1, 2)), (1, 2)),
    (lambda: check.steps("n", 2, 3, 2), ((2, 2),) * 3),
    (lambda: check.steps("n", (2, (1, 3)), 2, 2), ((2, 2), (1, 3))),
    (lambda: check.divisible_widths((8, 16), 8), None),
    (lambda: check.unet_input((1, 1, "W", 3), 2, 3), None),
    (lambda: check.batch_values(2), None),
    (lambda: check.batch_values("N"), None),
    (lambda: check.floating_dtype(True, "float16"), None),
    (lambda: check.real("n", {"a": np.zeros(1, bool), "b": np.zeros(1, np.float16)}), None),
    (lambda: check.sections("n", {"a": 0}, ("a", "b")), None),
    (lambda: check.sections("n", {"b": 0, "a": 0}, ("a", "b")), None),
    (lambda: check.tensors("n", {"a": [1, 2]}, {"a": (1, 2)}), None),
    (lambda: check.weight_dtypes({"a": np.dtype("float64"), "b": "float64"}), None),
    (lambda: check.weight_dtypes({}), None),
    (lambda: check.keras_backend("tensorflow"), None),
    (lambda: check.in_place(True), None),
    (lambda: str(check.weight_file("a.file", "be short", "long")), "a.file must be short; got long"),
]


@pytest.mark.parametrize(("call", "value"), LET_THROUGH)
def test_what_keeps_a_rule_is_let_through_as_the_type_that_is_promised(call, value):
    result = call()
    assert (result, type(result)) == (value, type(value))
    if isinstance(value, tuple):
        assert [type(entry) for entry in result] == [type(entry) for entry in value]


def test_inputs_to_calibrate_on_are_given_back_in_float32_where_one_of_them_has_values_that_differ():
    given = [[[3, 3]], np.array([[0.0, 0.5]])]
    found = check.calibrated(True, given, (None, 2))
    assert [(x.dtype, x.tolist()) for x in found] == [(np.float32, [[3.0, 3.0]]), (np.float32, [[0.0, 0.5]])]


def test_a_file_may_be_written_in_a_folder_that_is_there(tmp_path):
    check.in_folder("path", tmp_path / "new")
    check.file_path("path", tmp_path / "new")


@pytest.mark.parametrize(("allowed", "folder"), [(os.W_OK, "."), (os.X_OK, "."), (os.R_OK | os.W_OK | os.X_OK, "absent")])
def test_a_file_is_not_written_where_a_folder_cannot_be_both_entered_and_written_to(monkeypatch, tmp_path, allowed, folder):
    monkeypatch.setattr(os, "access", lambda path, mode: mode & ~allowed == 0)
    with pytest.raises(ValueError, match="must be in a folder that is there and can be written to"):
        check.in_folder("path", tmp_path / folder / "new")


@pytest.mark.parametrize(
    "thing",
    [
        deconv_to_subpixel(KERNEL, stride=2),
        subpixel_to_deconv(KERNEL, scale=2, order="DCR"),
        unshift_conv_to_strided(KERNEL, scale=1, order="DCR"),
        of_deconv(KERNEL, None, 2, 0, 0, 1, 1),
        _axis(3, 2, 1, 1, "minimal"),
        plan_stages(2, 1, 1),
        plan_stages(2, 1, 1).stages[0],
        ResidualUNetConfig(),
        NETWORK,
        NETWORK.stem,
        NETWORK.norm,
        NETWORK.encoder[0][0],
        NETWORK.head[0],
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_is_described_cannot_be_changed(thing):
    for field in fields(thing):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, field.name, getattr(thing, field.name))


def test_a_layer_without_a_word_about_it_has_one_group_and_no_border():
    layer = SubpixelKernel(KERNEL, None, (2, 3), "DCR", ((1, 1), (1, 1)), ((0, 0), (0, 0)))
    assert (layer.groups, layer.interior) == (1, ())
