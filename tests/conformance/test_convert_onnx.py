"""ONNX models that are converted: equal bit for bit on whole numbers in onnxruntime, which shares nothing with the reference."""

from itertools import product

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import helper, numpy_helper

from subpixel_conformance.convert.choice import chosen
from subpixel_conformance.convert.layers import Layer
from subpixel_conformance.convert.onnx_check import Session, judge, runs
from subpixel_conformance.convert.onnx_layers import NEAREST
from subpixel_conformance.convert.onnx_model import found, rewritten
from subpixel_core import Conversion

from .onnx_models import attribute, conv_transpose, integers, model, operators, resize_conv

EXTENTS = (4, 5, 4)


def converted(original, *, form="best", everything=True, feeds=None):
    """Convert all that is exact, and return the model, the report and whether the outputs are equal bit for bit."""
    candidates = found(original)
    real = [layer for layer in candidates if isinstance(layer, Layer)]
    if feeds is None:
        (value,) = original.graph.input
        declared = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        extents = iter(EXTENTS)
        shape = [2, declared[1], *(size or next(extents) for size in declared[2:])]
        feeds = {value.name: integers(*shape, seed=1).astype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))}
    seen = runs(original, real, feeds)
    places = {layer.output: [run[layer.input].shape[2:] for run in seen] for layer in real}
    replaced, report = chosen(candidates, places, form=form, everything=everything)
    result = rewritten(original, replaced)
    judge(original, result, replaced, seen)
    after = Session(result).run(feeds)
    equal = all(np.array_equal(seen[0][value.name], after[value.name]) for value in original.graph.output)
    return result, report, equal


def check(original, form="best"):
    """Assert that a model of one layer is replaced whole, without a transpose of more than five axes, and equal."""
    result, report, equal = converted(original, form=form)
    assert [row.reason for row in report.rows] == [""]
    assert equal
    assert not {"ConvTranspose", "Resize"} & set(operators(result))
    assert all(len(entry.ints) <= 5 for node in result.graph.node if node.op_type == "Transpose" for entry in node.attribute)
    onnx.checker.check_model(result, full_check=True)
    return result


def reason(original):
    """Return why the one layer of a model is left."""
    (row,) = found(original)
    assert isinstance(row, Conversion)
    return row.reason


# --- transposed convolutions ---


@pytest.mark.parametrize("form", ["minimal", "aligned"])
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_every_kernel_stride_padding_and_output_padding_in_2d(stride, form):
    for k, (p, more) in product(range(1, 7), ((0, 0), (1, 0), (2, stride - 1))):
        if 2 * stride + k - 2 * p + more > 0:  # something is left
            given = {"strides": [stride] * 2, "pads": [p] * 4, "output_padding": [more] * 2}
            result = check(conv_transpose((k, k), **given), form)
            assert operators(result)[:2] == ["Conv", "DepthToSpace"]
            assert attribute(result, "DepthToSpace", "mode") == b"DCR"
            assert attribute(result, "DepthToSpace", "blocksize") == stride


@pytest.mark.parametrize("form", ["minimal", "aligned"])
@pytest.mark.parametrize("pads", [(0, 1, 2, 0), (2, 1, 0, 0), (0, 0, 1, 3), (3, 2, 0, 1)])
def test_positions_may_be_cropped_unequally_at_the_ends(pads, form):
    for k, more in product((3, 4, 5), (0, 1)):
        check(conv_transpose((k, k + 1), strides=[2, 2], pads=pads, output_padding=[more, 0]), form)


@pytest.mark.parametrize("where", ["VALID", "SAME_UPPER", "SAME_LOWER"])
def test_auto_pad(where):
    for k, stride, more in product((3, 4, 5), (2, 3), (0, 1)):
        check(conv_transpose((k, k), strides=[stride] * 2, auto_pad=where, output_padding=[more] * 2))


@pytest.mark.parametrize("where", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
def test_an_output_shape_says_what_is_cropped_where_the_extents_are_declared(where):
    for wanted in ((7, 11), (6, 10), (5, 8), (8, 12)):
        check(conv_transpose((4, 4), strides=[2, 2], output_shape=wanted, auto_pad=where, declared=(2, 4, 3, 5)))
    assert "not declared" in reason(conv_transpose((4, 4), strides=[2, 2], output_shape=(7, 11), auto_pad=where))


def test_same_padding_of_a_kernel_below_its_stride_is_left():
    assert "on which runtimes differ" in reason(conv_transpose((2, 2), strides=[3, 3], auto_pad="SAME_UPPER"))


@pytest.mark.parametrize("form", ["minimal", "aligned"])
@pytest.mark.parametrize(("groups", "outputs"), [(2, 3), (4, 1), (4, 2)])
def test_groups_take_the_order_whose_groups_are_neighbours(groups, outputs, form):
    result = check(conv_transpose((4, 3), groups=groups, outputs=outputs, strides=[2, 2], pads=[1, 1, 1, 1]), form)
    assert attribute(result, "DepthToSpace", "mode") == b"CRD"
    assert attribute(result, "Conv", "group") == groups


@pytest.mark.parametrize("dilation", [(2, 2), (3, 1), (1, 2)])
def test_dilation(dilation):
    for k, stride in product((2, 3), (2, 3)):
        check(conv_transpose((k, k), strides=[stride] * 2, dilations=dilation, pads=[1, 0, 0, 1], output_padding=[1, 0]))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("form", ["minimal", "aligned"])
@pytest.mark.parametrize("stride", [(2,), (3,), (2, 3), (1, 4), (3, 1), (2, 2, 2), (2, 3, 3), (1, 2, 2), (2, 1, 1), (2, 3, 4), (3, 2, 1)])
def test_other_ranks_and_unequal_strides_are_shifted_axis_by_axis(stride, form, groups):
    ndim = len(stride)
    for k, p in ((3, 1), (4, 1), (2, 0)):
        pads = [min(p, k - 1)] * (2 * ndim)
        result = check(conv_transpose((k, 3, k)[:ndim], groups=groups, strides=stride, pads=pads), form)
        blocks = ndim == 3 and stride[1] == stride[2] > 1
        assert operators(result).count("DepthToSpace") == blocks
        assert operators(result).count("Transpose") == sum(s > 1 for s in (stride[:1] if blocks else stride))


@pytest.mark.parametrize("form", ["minimal", "aligned"])
@pytest.mark.parametrize("stride", [(2,), (2, 2), (3, 2), (1, 2, 2), (3, 2, 2), (2, 2, 3), (2, 3, 4)])
def test_an_empty_batch_is_one_for_the_converted_model_too(stride, form):
    taps = (3, 4, 1)[: len(stride)]
    original = conv_transpose(taps, strides=list(stride))
    result, _, equal = converted(original, form=form)
    assert equal
    x = np.zeros((0, 4, 4, 3, 2)[: 2 + len(stride)], "float32")
    before, after = (Session(each).run({"x": x})["y"] for each in (original, result))
    assert before.shape == after.shape
    assert before.shape[0] == 0


def test_without_a_bias_and_in_other_dtypes():
    result = check(conv_transpose((4, 4), bias=False, strides=[2, 2]))
    assert [len(node.input) for node in result.graph.node if node.op_type == "Conv"] == [2]
    halves = {"W": integers(4, 3, 2, 2).astype("float16")}
    node = helper.make_node("ConvTranspose", ["x", "W"], ["y"], name="up", strides=[2, 2])
    check(model([node], halves, ("n", 4, "h", "w"), dtype=onnx.TensorProto.FLOAT16))


@pytest.mark.parametrize("opset", [11, 12, 13, 14, 18, 20, 22, 23])
def test_opsets(opset):
    for stride in ([2, 2], [2, 3]):
        check(conv_transpose((4, 4), strides=stride, pads=[1, 1, 1, 1], opset=opset))
    check(resize_conv((3, 3), (2, 2), pads=[1, 1, 1, 1], opset=opset))
    check(resize_conv((3, 3, 3), (2, 2, 2), pads=[1] * 6, opset=opset))


def test_an_older_opset_is_left():
    assert "opset 10 is older than 11" in reason(conv_transpose((4, 4), strides=[2, 2], opset=10))


# --- resize and convolution ---


@pytest.mark.parametrize("form", ["minimal", "aligned"])
@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (4, 4), (2, 3), (1, 2), (2,), (2, 2, 2), (2, 3, 1)])
def test_every_kernel_and_padding_behind_a_resize(factors, form):
    ndim = len(factors)
    for k, (before, after) in product(range(1, 5), ((0, 0), (1, 1), (2, 1))):
        check(resize_conv((k,) * ndim, factors, pads=[before] * ndim + [after] * ndim), form)


@pytest.mark.parametrize(("coordinates", "rounding"), [(name, mode) for name, modes in NEAREST.items() for mode in modes])
def test_every_resize_that_gives_each_pixel_a_block(coordinates, rounding):
    opset = {"tf_half_pixel_for_nn": 11, "half_pixel_symmetric": 19}.get(coordinates, 17)
    for factor in (2, 3, 5):
        how = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
        original = resize_conv((3, 3), (factor, factor), pads=[1] * 4, resize=how, opset=opset)
        if coordinates == "tf_half_pixel_for_nn":  # onnxruntime knows the name no more
            assert not isinstance(found(original)[0], Conversion)
        else:
            check(original)


@pytest.mark.parametrize("coordinates", ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"])
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
def test_a_resize_is_replaced_only_if_onnxruntime_repeats_every_pixel(coordinates, rounding):
    how = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    taken = [not isinstance(found(resize_conv((1, 1), (r, r), resize=how))[0], Conversion) for r in (2, 3)]
    assert taken == [rounding in NEAREST.get(coordinates, ())] * 2
    x = np.arange(20.0, dtype="float32").reshape(1, 1, 4, 5)
    for r in (2, 3, 4):
        node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest", **how)
        y = Session(model([node], {"s": np.array([1, 1, r, r], "float32")}, (1, 1, 4, 5))).run({"x": x})["y"]
        repeats = np.array_equal(y, x.repeat(r, 2).repeat(r, 3))
        if rounding in NEAREST.get(coordinates, ()):
            assert repeats
        elif r == 4:
            assert not repeats


@pytest.mark.parametrize("groups", [2, 4])
def test_groups_and_dilation_behind_a_resize(groups):
    result = check(resize_conv((3, 3), (2, 2), groups=groups, outputs=8, pads=[1] * 4))
    assert attribute(result, "DepthToSpace", "mode") == b"CRD"
    check(resize_conv((3, 2), (2, 2), groups=groups, outputs=4, dilations=[2, 3], pads=[2, 1, 0, 2]))


@pytest.mark.parametrize("where", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad_behind_a_resize(where):
    for k in (2, 3, 4):
        check(resize_conv((k, k), (2, 2), auto_pad=where))


def test_a_resize_by_sizes_or_by_axes():
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    weights = {"sizes": np.array([2, 4, 6, 15]), "W": integers(3, 4, 3, 3)}
    conv = helper.make_node("Conv", ["large", "W"], ["y"], name="conv", pads=[1] * 4)
    by_sizes = helper.make_node("Resize", ["x", "", "", "sizes"], ["large"], name="resize", **how)
    check(model([by_sizes, conv], weights, (2, 4, 3, 5)))
    assert "not declared" in reason(model([by_sizes, conv], weights, (2, 4, "h", "w")))
    assert "whole" in reason(model([by_sizes, conv], weights, (2, 4, 4, 5)))
    by_axes = helper.make_node("Resize", ["x", "", "scales"], ["large"], name="resize", axes=[3, 2], **how)
    check(model([by_axes, conv], {"scales": np.array([3, 2], "float32"), "W": weights["W"]}, opset=18))


# --- what is left, and why ---

CONV = helper.make_node("Conv", ["large", "W", "b"], ["y"], name="conv")


def with_nodes(original, *, before=(), after=(), outputs=(), change=None):
    original.graph.node.extend(after)
    for node in reversed(before):
        original.graph.node.insert(0, node)
    original.graph.output.extend(helper.make_tensor_value_info(name, 1, [None] * 4) for name in outputs)
    if change:
        change(original)
    return original


@pytest.mark.parametrize(
    ("original", "said"),
    [
        (resize_conv((3, 3), (2, 2), resize={"mode": "linear"}), "mode must be 'nearest'"),
        (resize_conv((3, 3), (2, 2), resize={"mode": "cubic"}), "mode must be 'nearest'"),
        (resize_conv((3, 3), (2, 2), resize={"coordinate_transformation_mode": "align_corners"}), "align_corners must be False"),
        (resize_conv((3, 3), (2, 1.5)), "whole on every axis"),
        (resize_conv((3, 3), (1, 1)), "enlarges nothing"),
        (resize_conv((3, 3), (2, 2), strides=[2, 2]), "stride must be 1"),
        (conv_transpose((3, 3)), "enlarges nothing"),
        (with_nodes(resize_conv((3, 3), (2, 2)), outputs=["large"]), "something else reads"),
        (
            with_nodes(resize_conv((3, 3), (2, 2)), after=[helper.make_node("Relu", ["large"], ["z"])], outputs=["z"]),
            "something else reads",
        ),
        (conv_transpose((3, 3), strides=[2, 2], output_padding=[3, 0]), "output_padding must be below the stride"),
    ],
)
def test_what_has_no_exact_equal_is_left_with_the_reason(original, said):
    assert said in reason(original)


def test_a_resize_that_a_subgraph_reads_too_is_left():
    original = resize_conv((3, 3), (2, 2))
    branch = helper.make_graph(
        [helper.make_node("Identity", ["large"], ["inner"])], "b", [], [helper.make_tensor_value_info("inner", 1, None)]
    )
    original.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    after = [helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch)]
    assert "something else reads" in reason(with_nodes(original, after=after, outputs=["z"]))


def test_layers_in_subgraphs_and_functions_are_left():
    inner = conv_transpose((2, 2), strides=[2, 2])
    branch = helper.make_graph(list(inner.graph.node), "b", [], [helper.make_tensor_value_info("y", 1, None)])
    weights = {"W": integers(4, 3, 2, 2), "b": integers(3), "yes": np.array(True)}
    nested = model([helper.make_node("If", ["yes"], ["out"], name="if", then_branch=branch, else_branch=branch)], weights, outputs=["out"])
    assert [row.reason for row in found(nested)] == ["it is in a graph inside If (if)"] * 2
    call = model([helper.make_node("Up", ["x", "W", "b"], ["y"], domain="own")], weights)
    call.functions.append(helper.make_function("own", "Up", ["x", "W", "b"], ["y"], inner.graph.node, [helper.make_opsetid("", 17)]))
    assert [row.reason for row in found(call)] == ["it is in the function Up"]


def test_weights_must_be_constants_but_may_come_from_a_node():
    original = conv_transpose((2, 2), strides=[2, 2])
    kernel = original.graph.initializer[0]
    constant = [helper.make_node("Constant", [], ["c"], value=kernel), helper.make_node("Identity", ["c"], ["W"])]

    def without(entries, name):
        for entry in [entry for entry in entries if entry.name == name]:
            entries.remove(entry)

    from_node = with_nodes(conv_transpose((2, 2), strides=[2, 2]), before=constant, change=lambda m: without(m.graph.initializer, "W"))
    assert operators(check(from_node)) == ["Conv", "DepthToSpace"]  # nothing is left of them

    computed = with_nodes(
        conv_transpose((2, 2), strides=[2, 2]),
        before=[helper.make_node("Neg", ["V"], ["W"])],
        change=lambda m: (
            without(m.graph.initializer, "W"),
            m.graph.initializer.append(numpy_helper.from_array(integers(4, 3, 2, 2), "V")),
        ),
    )
    assert reason(computed) == "its kernel is no constant: Neg computes it"

    replaceable = conv_transpose((2, 2), strides=[2, 2])
    replaceable.graph.input.append(helper.make_tensor_value_info("W", 1, [4, 3, 2, 2]))
    assert "a caller may replace it" in reason(replaceable)

    given = with_nodes(conv_transpose((2, 2), strides=[2, 2]), change=lambda m: without(m.graph.initializer, "W"))
    given.graph.input.append(helper.make_tensor_value_info("W", 1, [4, 3, 2, 2]))
    assert "it is an input of the model" in reason(given)


def test_quantized_weights_are_left():
    original = conv_transpose((2, 2), strides=[2, 2])
    weights = {"Q": integers(4, 3, 2, 2).astype("int8"), "scale": np.float32(0.5)}
    del original.graph.initializer[0]
    original.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items())
    quantized = with_nodes(original, before=[helper.make_node("DequantizeLinear", ["Q", "scale"], ["W"])])
    assert "quantized (DequantizeLinear)" in reason(quantized)


@pytest.mark.filterwarnings("error")
def test_taps_whose_sum_overflows_are_left():
    original = resize_conv((3, 3), (2, 2), bias=False, pads=[1] * 4)
    large = np.full((3, 4, 3, 3), 40000, "float16")  # the largest number of float16 is 65504
    original.graph.initializer[1].CopyFrom(numpy_helper.from_array(large, "W"))
    for value in (*original.graph.input, *original.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    assert reason(original) == "kernel must have taps whose sums its dtype can hold; got float16"


def test_between_resize_and_convolution_there_is_nothing():
    original = resize_conv((3, 3), (2, 2))
    original.graph.node[1].input[0] = "active"
    original.graph.node.insert(1, helper.make_node("Relu", ["large"], ["active"]))
    assert reason(original) == "no convolution is behind it, but Relu"


# --- whole models ---


def decoder():
    """A decoder with a layer that gains, a pair that gains, and a layer that would take more multiply-accumulates."""
    weights = {"A": integers(4, 4, 4, 4), "a": integers(4), "s": np.array([1, 1, 2, 2], "float32"), "B": integers(6, 4, 3, 3)}
    weights |= {"C": integers(6, 2, 3, 3), "unused": integers(1)}
    nodes = [
        helper.make_node("ConvTranspose", ["x", "A", "a"], ["t"], name="up1", strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["t"], ["u"]),
        helper.make_node("Resize", ["u", "", "s"], ["v"], name="resize", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        helper.make_node("Conv", ["v", "B"], ["w"], name="conv", pads=[1] * 4),
        helper.make_node("ConvTranspose", ["w", "C"], ["y"], name="up2", strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]),
    ]
    return model(nodes, weights)


def test_what_would_take_more_macs_is_left_unless_all_are_wanted():
    result, report, equal = converted(decoder(), everything=False)
    assert equal
    assert [(row.layer, row.form) for row in report.rows] == [("up1", "minimal"), ("resize + conv", "minimal"), ("up2", None)]
    assert report.left[0].reason == "the aligned form takes 1.78 times the MACs; --all replaces it nevertheless"
    assert operators(result).count("ConvTranspose") == 1
    result, report, equal = converted(decoder(), everything=True)
    assert equal
    assert len(report.converted) == 3
    assert "ConvTranspose" not in operators(result)


def test_the_rest_of_the_model_is_the_same_and_what_nothing_reads_any_more_is_gone():
    original = decoder()
    kept = original.SerializeToString()
    result, _, _ = converted(original)
    assert original.SerializeToString() == kept
    names = {tensor.name for tensor in result.graph.initializer}
    assert names & {"A", "a", "s", "B", "C", "unused"} == {"unused"}  # that was not ours to remove
    assert original.graph.node[1] in list(result.graph.node)


def test_weights_that_two_layers_share_are_kept_once():
    weights = {"W": integers(4, 4, 2, 2), "b": integers(4)}
    nodes = [helper.make_node("ConvTranspose", [x, "W", "b"], [y], name=y, strides=[2, 2]) for x, y in (("x", "t"), ("t", "y"))]
    result, _, equal = converted(model(nodes, weights))
    assert equal
    assert len(result.graph.initializer) == 2


def test_macs_are_those_of_one_sample():
    _, report, _ = converted(conv_transpose((4, 4), strides=[2, 2], pads=[1] * 4), everything=False)
    (row,) = report.rows
    assert (row.macs_before, row.macs_after) == (4 * 3 * 16 * 20, 4 * 12 * 4 * 30)
    _, report, _ = converted(resize_conv((3, 3), (2, 2), pads=[1] * 4))
    (row,) = report.rows
    assert (row.macs_before, row.macs_after) == (4 * 3 * 9 * 80, 4 * 12 * 4 * 30)
