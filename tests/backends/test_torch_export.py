"""What leaves PyTorch: the graph that is in an ONNX file and in a program of torch.export, and what onnxruntime makes of it."""

import importlib
import logging
import os
import re
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np
import pytest

import subpixel_core as core
from subpixel_conformance.compare import sum_bound, within
from subpixel_core import DATA_FORMATS, ORDERS, ResidualUNetConfig

torch = pytest.importorskip("torch", reason="torch is not installed")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from torch import nn  # noqa: E402 -- after the skip
from torch.nn import functional as F  # noqa: E402

import subpixel_torch.export  # noqa: E402
from subpixel_torch import (  # noqa: E402
    ChainedSubpixelConv2d,
    PhaseShift,
    ResidualUNet,
    SubpixelConv1d,
    SubpixelConv2d,
    SubpixelConv3d,
    from_conv_transpose,
    inverse_phase_shift,
    phase_shift,
    to_onnx,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # of torch, to itself
BETWEEN = {"Shape", "Squeeze", "Concat", "Add", "Sub", "Mul", "Div", "Reshape"}  # what a graph computes extents of and reshapes with
EXTENTS = {1: (5,), 2: (4, 5), 3: (2, 4, 3)}
OTHERS = {1: (3,), 2: (7, 3), 3: (3, 2, 5)}  # unseen at export


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.WARNING)  # the exporter says for every graph that torchvision is not installed
    yield
    logging.disable(logging.NOTSET)


def iota(*shape, dtype=torch.float32):
    return torch.arange(prod(shape)).reshape(shape).to(dtype)


def nodes(path):
    """Return the operators of a file without those that compute extents, after the checks that hold for each of our graphs."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    for node in model.graph.node:
        if node.op_type == "Transpose":
            assert len(node.attribute[0].ints) <= 5
    for value in model.graph.value_info:
        assert len(value.type.tensor_type.shape.dim) <= 5
    return [node for node in model.graph.node if node.op_type not in BETWEEN]


def operators(path):
    return [node.op_type for node in nodes(path)]


def input_axes(path):
    (value,) = onnx.load(path).graph.input
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def attributes(node):
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def run(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return y


# --- the shift ---

MODES = {"DCR": "DCR", "CRD": "CRD", "DRC": "CRD", "RCD": "CRD"}


@pytest.mark.parametrize("order", ORDERS)
def test_a_shift_by_one_factor_is_depth_to_space_in_the_mode_of_its_order(tmp_path, order):
    to_onnx(PhaseShift(2, order=order), iota(2, 12, 4, 5), tmp_path / "m.onnx")
    *gather, shift = nodes(tmp_path / "m.onnx")
    assert [node.op_type for node in gather] == ([] if order in ("DCR", "CRD") else ["Gather"])
    assert (shift.op_type, attributes(shift)) == ("DepthToSpace", {"blocksize": 2, "mode": MODES[order].encode()})
    for shape in [(2, 12, 4, 5), (3, 12, 7, 3), (1, 12, 1, 1)]:
        x = iota(*shape)
        assert np.array_equal(run(tmp_path / "m.onnx", x), core.phase_shift(x, 2, order=order, data_format="channels_first"))


@pytest.mark.parametrize("order", ORDERS)
def test_its_inverse_is_space_to_depth_with_the_channels_gathered_in_every_order_but_dcr(tmp_path, order):
    to_onnx(partial(inverse_phase_shift, scale=3, order=order), iota(2, 3, 6, 9), tmp_path / "m.onnx")
    assert operators(tmp_path / "m.onnx") == ["SpaceToDepth"] + ["Gather"] * (order != "DCR")
    x = iota(3, 3, 3, 12)
    assert np.array_equal(run(tmp_path / "m.onnx", x), core.inverse_phase_shift(x, 3, order=order, data_format="channels_first"))


@pytest.mark.parametrize("inverse", [False, True], ids=["shift", "inverse"])
@pytest.mark.parametrize(
    ("scale", "order", "transposes"),
    [((2, 3), "RCD", 1), ((2, 3, 4), "CRD", 3), ((2, 1, 3), "DCR", 1)],
)
def test_every_other_shift_is_one_transpose_or_one_per_axis(tmp_path, scale, order, transposes, inverse):
    function, reference = (inverse_phase_shift, core.inverse_phase_shift) if inverse else (phase_shift, core.phase_shift)

    def example(batch, extents):
        channels, grown = (2, np.multiply(extents, scale).tolist()) if inverse else (2 * prod(scale), extents)
        return iota(batch, channels, *grown)

    to_onnx(partial(function, scale=scale, order=order), example(2, EXTENTS[len(scale)]), tmp_path / "m.onnx")
    assert operators(tmp_path / "m.onnx") == ["Transpose"] * transposes
    x = example(3, OTHERS[len(scale)])
    assert np.array_equal(run(tmp_path / "m.onnx", x), reference(x, scale, order=order, data_format="channels_first"))


class EveryOrder(nn.Module):
    """The shift of one tensor and the inverse of another, in every order."""

    def __init__(self, scale, data_format, phase_shift=phase_shift, inverse_phase_shift=inverse_phase_shift):
        super().__init__()
        self.options, self.moves = {"scale": scale, "data_format": data_format}, (phase_shift, inverse_phase_shift)

    def forward(self, low, high):
        return tuple(move(x, order=order, **self.options) for order in ORDERS for move, x in zip(self.moves, (low, high), strict=True))


def axes_moved(program):
    """Return the number of axes of everything that is permuted in a program of torch.export."""
    return [node.meta["val"].ndim for node in program.graph.nodes if "permute" in str(node.target) or ".transpose." in str(node.target)]


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("scale", [(3,), (2, 3), (2, 3, 2)])
def test_in_every_order_and_format_a_shift_and_its_inverse_are_transposes_of_at_most_five_axes(tmp_path, scale, data_format):
    def examples(extents):
        inputs = iota(2, 2 * prod(scale), *extents), iota(2, 2, *np.multiply(extents, scale).tolist())
        return tuple(x.movedim(1, -1).contiguous() if data_format == "channels_last" else x for x in inputs)

    model = EveryOrder(scale, data_format)
    found = axes_moved(torch.export.export(model, examples(EXTENTS[len(scale)])))
    assert 0 < max(found) <= 5
    known = len(scale) == 3  # which takes a third of the time
    shapes = ({}, {}) if known else None
    to_onnx(model, examples(EXTENTS[len(scale)]), tmp_path / "m.onnx", dynamic_shapes=shapes, data_format=data_format, verify=False)
    assert "Transpose" in operators(tmp_path / "m.onnx")  # of at most five axes, as everywhere
    low, high = (x.numpy() for x in examples((EXTENTS if known else OTHERS)[len(scale)]))
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    got = session.run(None, {"low": low, "high": high})
    wanted = EveryOrder(scale, data_format, core.phase_shift, core.inverse_phase_shift)(low, high)
    assert len(got) == len(wanted)
    assert all(map(np.array_equal, got, wanted))


@pytest.mark.parametrize("shape", [(12, 4, 5), (2, 3, 12, 4, 5)], ids=["no batch", "two batches"])
def test_any_number_of_batch_axes_is_one_of_the_operator(tmp_path, shape):
    to_onnx(PhaseShift(2), iota(*shape), tmp_path / "m.onnx", dynamic_shapes=({len(shape) - 1: "width"},))
    assert operators(tmp_path / "m.onnx") == ["DepthToSpace"]
    x = iota(*shape[:-1], 7)
    assert np.array_equal(run(tmp_path / "m.onnx", x), phase_shift(x, 2))


@pytest.mark.parametrize(("move", "order", "channels"), [("phase_shift", "RCD", 12), ("inverse_phase_shift", "CRD", 3)])
def test_where_the_channels_may_be_any_a_transpose_stands_for_the_gather(tmp_path, move, order, channels):
    function = partial(getattr(subpixel_torch, move), scale=2, order=order)
    free = ({0: "batch", 1: "channels", 2: "height", 3: "width"},)
    to_onnx(function, iota(2, channels, 4, 6), tmp_path / "m.onnx", dynamic_shapes=free)
    assert operators(tmp_path / "m.onnx") == ["Transpose"]
    x = iota(3, 20, 2, 8)
    assert np.array_equal(run(tmp_path / "m.onnx", x), getattr(core, move)(x, 2, order=order, data_format="channels_first"))


@pytest.mark.parametrize(("order", "gather"), [("DCR", []), ("RCD", ["Gather"])])
def test_channels_last_the_operator_stands_between_two_transposes_of_four_axes(tmp_path, order, gather):
    shift = partial(phase_shift, scale=2, order=order, data_format="channels_last")
    to_onnx(shift, iota(2, 4, 5, 12), tmp_path / "m.onnx", data_format="channels_last")
    assert operators(tmp_path / "m.onnx") == ["Transpose", *gather, "DepthToSpace", "Transpose"]
    assert input_axes(tmp_path / "m.onnx") == ["batch", "height", "width", 12]
    x = iota(3, 7, 3, 12)
    assert np.array_equal(run(tmp_path / "m.onnx", x), core.phase_shift(x, 2, order=order))


def test_a_shift_by_one_moves_nothing(tmp_path):
    to_onnx(PhaseShift((1, 1)), iota(2, 3, 4, 5), tmp_path / "m.onnx")
    assert operators(tmp_path / "m.onnx") == ["Identity"]


def test_the_axes_are_named(tmp_path):
    to_onnx(PhaseShift((2, 3)), iota(2, 12, 4, 5), tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx").graph
    extents = [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)]
    assert extents == [["batch", 12, "height", "width"], ["batch", 2, "2*height", "3*width"]]


# --- layers and networks ---


def judged(path, layer, extents, stages=1):
    """Hold what onnxruntime computes to CV-003, against the layer in float64."""
    x = torch.randn(3, 4, *extents, generator=torch.Generator().manual_seed(1))
    wide, size = (type(layer)(4, 3, layer.stage.kernel_size, layer.stage.scale, order=layer.order, dtype=torch.float64) for _ in range(2))
    for name, value in layer.state_dict().items():
        wide.state_dict()[name].copy_(value)
        size.state_dict()[name].copy_(value.abs())
    with torch.no_grad():
        exact, absolute = wide(x.double()).numpy(), size(x.abs().double()).numpy()
    bound = sum_bound(exact, absolute, prod(layer.stage.kernel_size) * 4 + 1, "float32")
    worst, difference = within(run(path, x), exact, bound)
    assert difference is None, difference
    assert worst > 0  # float32 is not exact: the runtime did compute it


@pytest.mark.parametrize("order", ORDERS)
def test_in_a_layer_only_a_convolution_and_depth_to_space_are_left(tmp_path, order):
    layer = SubpixelConv2d(40, 39, 3, 2, order=order)  # more than the exporter folds by itself
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(1, 40, 4, 5)
    to_onnx(layer, x, tmp_path / "m.onnx")
    convolution, shift = nodes(tmp_path / "m.onnx")
    assert (convolution.op_type, shift.op_type, attributes(shift)["mode"]) == ("Conv", "DepthToSpace", b"CRD")
    assert np.abs(run(tmp_path / "m.onnx", x) - layer(x).detach().numpy()).max() < 1e-4


@pytest.mark.parametrize(
    ("kind", "kernel_size", "scale", "order", "left"),
    [
        (SubpixelConv1d, 3, 2, "DCR", ["Conv", "Transpose"]),
        (SubpixelConv2d, 3, 3, "CRD", ["Conv", "DepthToSpace"]),
        (SubpixelConv2d, (3, 2), (2, 3), "DRC", ["Conv", "Transpose"]),
        (SubpixelConv3d, 3, 2, "DCR", ["Conv", *["Transpose"] * 3]),
    ],
)
def test_a_layer_computes_in_onnxruntime_what_it_did_within_the_bound_of_a_convolution(tmp_path, kind, kernel_size, scale, order, left):
    layer = kind(4, 3, kernel_size, scale, order=order)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    to_onnx(layer, torch.randn(2, 4, *EXTENTS[layer.ndim]), tmp_path / "m.onnx")
    assert operators(tmp_path / "m.onnx") == left
    judged(tmp_path / "m.onnx", layer, OTHERS[layer.ndim])


@pytest.mark.parametrize(
    ("layer", "left"),
    [
        (lambda: SubpixelConv2d(4, 3, 3, 2, separable=True, order="RCD"), ["Conv", "Conv", "DepthToSpace"]),
        (lambda: SubpixelConv2d(4, 3, 3, 2, blur=True), ["Conv", "DepthToSpace", "AveragePool", "Slice", "Slice"]),
        (
            lambda: ChainedSubpixelConv2d(4, 3, 3, 4, activation=F.relu, order="DCR"),
            ["Conv", "DepthToSpace", "Relu", "Conv", "DepthToSpace"],
        ),
        (lambda: ChainedSubpixelConv2d(4, 3, 3, 4, activation=torch.tanh), ["Conv", "DepthToSpace", "Tanh", "Conv", "DepthToSpace"]),
        (lambda: from_conv_transpose(nn.ConvTranspose2d(4, 3, 4, 2, 1)), ["Conv", "DepthToSpace", "Slice", "Slice"]),
    ],
    ids=["separable", "blurred", "chained", "chained by tanh", "from a deconvolution"],
)
def test_other_layers_are_native_too(tmp_path, layer, left):
    layer = layer()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    to_onnx(layer, torch.randn(2, 4, 4, 5), tmp_path / "m.onnx")
    assert operators(tmp_path / "m.onnx") == left
    x = torch.randn(3, 4, 7, 3)
    y = layer(x).detach().numpy()
    assert np.abs(run(tmp_path / "m.onnx", x) - y).max() < 1e-5 * np.abs(y).max()


@pytest.mark.parametrize(
    "config",
    [
        ResidualUNetConfig(in_channels=2, widths=(8, 16), output_scale=2, order="DCR"),
        ResidualUNetConfig(in_channels=2, widths=(8, 16), norm="batch", blur=True, order="RCD", scales=3),
        ResidualUNetConfig(in_channels=2, widths=(8, 16), norm="none", upsample="deconv"),
    ],
    ids=["group", "batch, blurred", "deconvolved"],
)
def test_the_network_serves_other_batches_and_extents(tmp_path, config):
    model = ResidualUNet(config)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    to_onnx(model, torch.randn(1, 2, 9, 7), tmp_path / "m.onnx")
    assert model.training  # as it was
    kinds = operators(tmp_path / "m.onnx")
    shifts = 0 if config.upsample == "deconv" else 1 + (config.output_scale != 1)
    assert (kinds.count("DepthToSpace"), kinds.count("Transpose"), kinds.count("Gather")) == (shifts, 0, 0)
    x = torch.randn(2, 2, 6, 11)
    y = model.eval()(x).detach().numpy()
    assert np.abs(run(tmp_path / "m.onnx", x) - y).max() < 1e-5 * np.abs(y).max()


class Several(nn.Module):
    def __init__(self, models):
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, x):
        return tuple(model(x) for model in self.models)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_in_every_order_layers_and_networks_are_of_transposes_of_at_most_five_axes(tmp_path, ndim):
    layer, chain = getattr(subpixel_torch, f"SubpixelConv{ndim}d"), getattr(subpixel_torch, f"ChainedSubpixelConv{ndim}d")
    config = ResidualUNetConfig(ndim=ndim, in_channels=2, widths=(8, 16), norm="none", blocks=1)
    models = [ResidualUNet(replace(config, upsample="deconv"))]
    for order in ORDERS:
        models += [
            layer(2, 2, 3, (2, 3, 2)[:ndim], order=order, separable=True, blur=True),
            chain(2, 2, 3, 4, order=order),
            ResidualUNet(replace(config, order=order)),
        ]
    x = torch.randn(2, 2, *EXTENTS[ndim])
    assert 0 < max(axes_moved(torch.export.export(Several(models).eval(), (x,)))) <= 5
    to_onnx(Several(models), x, tmp_path / "m.onnx", dynamic_shapes=({},), verify=False)
    assert "Transpose" in operators(tmp_path / "m.onnx")


@pytest.mark.parametrize("order", ORDERS)
def test_the_exporter_of_torch_called_directly_writes_the_same_operators(tmp_path, order):
    layer = SubpixelConv2d(4, 3, 3, 2, order=order).eval()
    torch.onnx.export(layer, (torch.randn(1, 4, 4, 5),), tmp_path / "m.onnx", verbose=False)
    assert operators(tmp_path / "m.onnx") == ["Conv", "DepthToSpace"]


@pytest.mark.parametrize("order", ["DCR", "RCD"])
def test_quantized_by_onnxruntime_the_shift_keeps_scale_and_zero_point_and_moves_the_integers_as_they_are(tmp_path, monkeypatch, order):
    quantization = pytest.importorskip("onnxruntime.quantization")
    registry = importlib.import_module("onnxruntime.quantization.registry").QDQRegistry
    monkeypatch.setitem(registry, "DepthToSpace", registry["Transpose"])  # which its table of operators that only move values lacks
    layer = SubpixelConv2d(3, 2, 3, 2, order=order)
    to_onnx(layer, torch.randn(1, 3, 5, 4), tmp_path / "m.onnx")

    class Reader(quantization.CalibrationDataReader):
        left = iter([{"x": torch.randn(2, 3, 5, 4).numpy()}])

        def get_next(self):
            return next(self.left, None)

    quantization.quantize_static(tmp_path / "m.onnx", tmp_path / "q.onnx", Reader(), per_channel=True)
    model = onnx.load(tmp_path / "q.onnx")
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (shift,) = [node for node in model.graph.node if node.op_type == "DepthToSpace"]
    (before,) = [node for node in model.graph.node if node.output[0] == shift.input[0]]
    (after,) = [node for node in model.graph.node if node.input[0] == shift.output[0]]
    assert (before.op_type, after.op_type) == ("DequantizeLinear", "QuantizeLinear")
    scale, zero = ([values[name] for name in pair] for pair in zip(before.input[1:], after.input[1:], strict=True))
    assert (scale[0] == scale[1], zero[0] == zero[1], zero[0].dtype) == (True, True, np.int8)

    for name in (before.input[0], after.output[0]):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    low, high = session.run([before.input[0], after.output[0]], {"x": torch.randn(3, 3, 4, 7).numpy()})
    assert np.ptp(low.astype(int)) > 100
    assert np.array_equal(high, core.phase_shift(low, 2, order=attributes(shift)["mode"].decode(), data_format="channels_first"))


# --- torch.export ---


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("scale", "order", "inverse", "wanted"),
    [
        (2, "CRD", False, ["pixel_shuffle"]),
        (2, "CRD", True, ["permute"]),
        (2, "RCD", False, ["permute"]),
        ((2, 3), "DCR", False, ["permute"]),
        ((2, 2, 2), "DRC", False, ["permute"] * 3),
        ((2, 2, 2), "CRD", True, ["permute"] * 3),
    ],
)
def test_a_program_of_torch_export_holds_pixel_shuffle_or_permutes_of_at_most_five_axes(scale, order, inverse, wanted, strict):
    class Shift(nn.Module):
        def forward(self, x):
            return (inverse_phase_shift if inverse else phase_shift)(x, scale, order=order)

    factors = (2, 2) if scale == 2 else scale
    extents = EXTENTS[len(factors)]
    shape = (2, 3, *np.multiply(extents, factors).tolist()) if inverse else (2, 3 * prod(factors), *extents)
    program = torch.export.export(Shift(), (iota(*shape),), strict=strict)
    moves = [node for node in program.graph.nodes if any(word in str(node.target) for word in ("permute", "pixel", "transpose"))]
    assert [str(node.target).split(".")[1] for node in moves] == wanted
    assert all(len(node.args[1]) <= 5 for node in moves if "permute" in str(node.target))
    reference = core.inverse_phase_shift if inverse else core.phase_shift
    expected = reference(iota(*shape).numpy(), scale, order=order, data_format="channels_first")
    assert np.array_equal(program.module()(iota(*shape)).numpy(), expected)


@pytest.mark.parametrize("order", ORDERS)
def test_a_layer_in_a_program_is_a_convolution_and_pixel_shuffle_in_every_order(order):
    layer = SubpixelConv2d(4, 3, 3, 2, order=order)
    nn.init.normal_(layer.weight)
    program = torch.export.export(layer, (torch.randn(1, 4, 4, 5),))
    kinds = [str(node.target).split(".")[1] for node in program.graph.nodes if node.op == "call_function"]
    assert kinds[-2:] == ["conv2d", "pixel_shuffle"]
    assert "permute" not in kinds
    x = torch.randn(1, 4, 4, 5)
    assert torch.equal(program.module()(x), layer(x))


# --- what is refused, and what is left behind ---


@pytest.mark.parametrize(
    ("model", "example", "options", "error", "message"),
    [
        (PhaseShift(2), iota(1, 8, 4, 5, dtype=torch.int32), {}, ValueError, "model must be one that onnxruntime can run; got torch.int32"),
        (PhaseShift(2), iota(1, 8, 4, 5, dtype=torch.bfloat16), {}, ValueError, "onnxruntime can run; got torch.bfloat16"),
        (
            PhaseShift(2),
            iota(1, 8, 4, 5, dtype=torch.complex64),
            {},
            ValueError,
            "example must hold real numbers for ONNX; got torch.complex64",
        ),
        (SubpixelConv2d(2, 3, 3, 2, dtype=torch.float64), torch.randn(1, 2, 4, 5).double(), {}, ValueError, "got torch.float64"),
        *(
            (PhaseShift(2), x, {}, ValueError, f"example must have finite values that differ along every axis, for the exported file {why}")
            for x, why in [
                (torch.zeros(1, 8, 4, 5), "is verified on them; got the same values all along axis 1 of (1, 8, 4, 5)"),
                (torch.randn(1, 1, 4, 5).expand(1, 8, 4, 5), "is verified on them; got the same values all along axis 1"),
                (torch.randn(1, 8, 4, 1).expand(1, 8, 4, 5), "is verified on them; got the same values all along axis 3"),
                (torch.randn(0, 8, 4, 5), "is verified on them; got none, in the shape (0, 8, 4, 5)"),
                (torch.full((1, 8, 4, 5), torch.nan), "is verified on them; got some that are not finite"),
                (torch.randn(1, 8, 4, 5) / torch.tensor([1.0, 1, 1, 1, 0]), "is verified on them; got some that are not finite"),
            ]
        ),
        (torch.log, -torch.rand(1, 8, 4, 5) - 1, {}, ValueError, "example must be one for which the model gives finite values; got none"),
        (
            partial(phase_shift, scale=2, data_format="channels_last"),
            iota(1, 4, 5, 8),
            {},
            ValueError,
            "data_format must be that of the exported function, 'channels_last'; got 'channels_first'",
        ),
        (
            SubpixelConv2d(8, 3, 3, 2),
            torch.randn(1, 8, 4, 5),
            {"dynamic_shapes": ({1: "channels"},)},
            ValueError,
            "tracing inferred a static shape of 8 for dimension inputs['x'].shape[1]",
        ),
        (
            PhaseShift(2),
            iota(1, 8, 4, 5),
            {"opset_version": 30},
            ValueError,
            "opset_version must be one that torch.onnx.export writes; got 30",
        ),
        (PhaseShift(2), iota(1, 8, 4, 5), {"data_format": "NCHW"}, ValueError, "data_format must be one of"),
        *(
            (PhaseShift(2), x, {}, TypeError, f"example must be a Tensor, or a tuple or list of them; got {x!r}")
            for x in (3, None, np.zeros(2), [3])
        ),
        (PhaseShift(2), [], {}, ValueError, "example must have at least one Tensor; got []"),
        (3, iota(1, 8, 4, 5), {}, TypeError, "model must be a Module or a function; got 3"),
        (PhaseShift(2), iota(1, 8, 4, 5), {"dynamic_shapes": 3}, TypeError, "dynamic_shapes must be a tuple, a list or a dict; got 3"),
        (PhaseShift(2), iota(1, 8, 4, 5), {"dynamic_shapes": ({9: "a"},)}, ValueError, "got IndexError: tuple index out of range"),
        (PhaseShift(2), iota(1, 7, 4, 5), {}, ValueError, "channels must be a multiple of 4"),
        (PhaseShift(2), iota(1, 8, 4, 5), {"opset_version": 17}, ValueError, "opset_version must be 18 or more; got 17"),
        (PhaseShift(2), iota(1, 8, 4, 5), {"verify": 1}, TypeError, "verify must be True or False; got 1"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_the_file_that_was_there_stays(tmp_path, model, example, options, error, message):
    (tmp_path / "m.onnx").write_bytes(b"before")
    with pytest.raises(error) as caught:
        to_onnx(model, example, tmp_path / "m.onnx", **options)
    assert message in str(caught.value)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("m.onnx", b"before")]


@pytest.mark.parametrize("path", ["none/m.onnx", ""])
def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch, path):
    monkeypatch.setattr(torch.onnx, "export", None)
    with pytest.raises(ValueError, match=r"^path must (be in a folder that is there and can be written to|name a file); got ") as caught:
        to_onnx(PhaseShift(2), iota(1, 8, 4, 5), tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


@pytest.mark.parametrize("path", [3, None, b"m.onnx", 3.5])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match=re.escape(f"path must be a str or a path; got {path!r}")):
        to_onnx(PhaseShift(2), iota(1, 8, 4, 5), path)


class Trained:
    """What is no module and holds one, whose output in training differs from that in evaluation."""

    def __init__(self):
        self.model = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.Dropout(0.5), PhaseShift(2))
        self.model[1].running_var.fill_(4)

    def enlarged(self, x):
        return self.model(x)


trained = Trained()


@pytest.mark.parametrize(
    "function",
    [
        lambda x, model=trained.model: model(x),
        lambda x: trained.model(x),
        trained.enlarged,
        partial(lambda models, x: models[0](x), [trained.model]),
    ],
    ids=["default", "global", "method", "partial"],
)
def test_what_a_function_holds_is_exported_in_evaluation_too(tmp_path, function):
    x = torch.randn(2, 8, 4, 5)
    trained.model[3].training = False
    to_onnx(function, x, tmp_path / "m.onnx")
    assert [part.training for part in trained.model] == [True, True, True, False]  # as it was
    assert "Dropout" not in operators(tmp_path / "m.onnx")
    wanted = trained.model.eval()(x).detach().numpy()
    trained.model.train()
    assert np.abs(run(tmp_path / "m.onnx", x) - wanted).max() < 1e-5


def test_a_file_says_nothing_of_the_machine_that_it_was_written_on(tmp_path):
    to_onnx(SubpixelConv2d(4, 3, 3, 2, order="RCD", blur=True), torch.randn(1, 4, 4, 5), tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    for trace in (b".py", b"stack_trace", b"pkg.torch", os.fsencode(os.getcwd())):
        assert trace not in content


def test_without_verifying_a_dtype_is_the_runtime_s_matter(tmp_path):
    to_onnx(PhaseShift(2), iota(1, 8, 4, 5, dtype=torch.int32), tmp_path / "m.onnx", verify=False)
    assert operators(tmp_path / "m.onnx") == ["DepthToSpace"]


def wrong_mode(model):
    node = next(node for node in model.graph.node if node.op_type == "DepthToSpace")
    mode = next(attribute for attribute in node.attribute if attribute.name == "mode")
    mode.s = b"DCR"


def wrong_bias(model):
    for tensor in model.graph.initializer:
        if tensor.name.endswith("bias"):
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[0] += 2e-3  # half of the digits would let it pass
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


@pytest.mark.parametrize(
    ("model", "damage"),
    [
        (lambda: PhaseShift(2), wrong_mode),
        (lambda: SubpixelConv2d(8, 3, 3, 2), wrong_mode),
        (lambda: SubpixelConv2d(8, 3, 3, 2), wrong_bias),
        (lambda: nn.Sequential(SubpixelConv2d(8, 3, 3, 2), nn.Tanh()), wrong_mode),
    ],
)
def test_a_file_that_computes_something_else_is_never_there(tmp_path, monkeypatch, model, damage):
    written = subpixel_torch.export._written

    def damaged(*arguments):
        file = onnx.load_from_string(written(*arguments))
        damage(file)
        return file.SerializeToString()

    monkeypatch.setattr(subpixel_torch.export, "_written", damaged)
    layer = model()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    with pytest.raises(RuntimeError, match="the exported model must compute what the model does; got"):
        to_onnx(layer, torch.randn(1, 8, 4, 5), tmp_path / "m.onnx")
    assert os.listdir(tmp_path) == []
