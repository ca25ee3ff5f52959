"""What leaves TensorFlow: the operators in a TFLite file, what its interpreter makes of them, and SavedModels."""

import os
import re

import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import ORDERS, ResidualUNetConfig

keras = pytest.importorskip("keras", reason="Keras is not installed")
tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
if keras.config.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend", allow_module_level=True)

from tensorflow.lite.python import schema_py_generated as schema  # noqa: E402 -- after the skip

from subpixel_conformance.adapters import tensorflow_tflite  # noqa: E402
from subpixel_tensorflow import (  # noqa: E402
    ChainedSubpixelConv2D,
    InversePhaseShift,
    PhaseShift,
    SubpixelConv1D,
    SubpixelConv2D,
    SubpixelConv3D,
    residual_unet,
    to_saved_model,
    to_tflite,
)

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")
# What a graph computes extents of and reshapes with.
BETWEEN = {"SHAPE", "STRIDED_SLICE", "PACK", "MUL", "RESHAPE", "EXPAND_DIMS", "SQUEEZE", "FLOOR_DIV"}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
OPEN = (None, None, None, 4)


def model_of(*layers, shape=OPEN):
    model = keras.Sequential([keras.Input(shape[1:], shape[0]), *layers])
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def graph(path):
    """Return (operator, inputs, outputs) of a file; no transpose in it has more than five axes."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    (main,) = model.subgraphs
    found = []
    for operator in main.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs, outputs = ([main.tensors[i] for i in places if i >= 0] for places in (operator.inputs, operator.outputs))
        if name == "TRANSPOSE":
            assert len(inputs[0].shape) <= 5
        found.append((name, inputs, outputs))
    return found


def operators(path):
    return [name for name, _, _ in graph(path) if name not in BETWEEN]


def run(path, x):
    return tensorflow_tflite.run(tf.lite.Interpreter(model_path=str(path)), x)


def calibration(shape, number=4):
    rng = np.random.default_rng(1)
    return [rng.normal(size=shape) for _ in range(number)]


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_layer_is_a_convolution_and_depth_to_space_in_every_order(tmp_path, order, int8):
    model = model_of(SubpixelConv2D(3, 3, 2, order=order))
    to_tflite(model, tmp_path / "m.tflite", int8=int8, calibration=calibration((1, 7, 9, 4)) if int8 else None)
    assert operators(tmp_path / "m.tflite") == ["CONV_2D", "DEPTH_TO_SPACE"]
    if not int8:
        x = calibration((3, 5, 11, 4))[0].astype(np.float32)  # extents of no export
        np.testing.assert_allclose(run(tmp_path / "m.tflite", x), model(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape", "left"),
    [
        (lambda: SubpixelConv1D(3, 3, 2, order="CRD"), (None, None, 4), ["CONV_2D", "ADD"]),
        (lambda: SubpixelConv2D(3, 3, (2, 3)), OPEN, ["CONV_2D", "TRANSPOSE"]),
        (lambda: SubpixelConv3D(3, 3, 2), (None, None, None, None, 4), ["CONV_3D", "ADD", "TRANSPOSE", "TRANSPOSE"]),
        (lambda: SubpixelConv3D(3, 3, 2, order="RCD"), (None, None, None, None, 4), ["CONV_3D", "ADD", "TRANSPOSE", "TRANSPOSE"]),
        (lambda: SubpixelConv2D(3, 3, 2, separable=True), OPEN, ["PAD", "DEPTHWISE_CONV_2D", "CONV_2D", "DEPTH_TO_SPACE"]),
        (lambda: SubpixelConv2D(3, 3, 2, blur=True), OPEN, ["CONV_2D", "DEPTH_TO_SPACE", "AVERAGE_POOL_2D", "AVERAGE_POOL_2D"]),
        (
            lambda: ChainedSubpixelConv2D(3, 3, 4, activation="relu"),
            OPEN,
            ["CONV_2D", "DEPTH_TO_SPACE"] * 2,
        ),
    ],
    ids=["line", "unequal", "volume", "volume, RCD", "separable", "blurred", "chained"],
)
def test_other_layers_need_transposes_of_at_most_five_axes(tmp_path, layer, shape, left):
    model = model_of(layer(), shape=shape)
    to_tflite(model, tmp_path / "m.tflite")
    assert operators(tmp_path / "m.tflite") == left
    x = calibration((3, *(5, 7, 4)[: len(shape) - 2], 4))[0].astype(np.float32)
    np.testing.assert_allclose(run(tmp_path / "m.tflite", x), model(x), rtol=0, atol=1e-4)


def test_in_int8_the_shift_keeps_scale_and_zero_point_and_moves_the_integers_as_they_are(tmp_path):
    model = model_of(PhaseShift(2), shape=(None, None, None, 12))
    to_tflite(model, tmp_path / "m.tflite", int8=True, calibration=calibration((1, 4, 5, 12)))
    ((name, inputs, outputs),) = graph(tmp_path / "m.tflite")
    assert name == "DEPTH_TO_SPACE"
    assert inputs[0].type == outputs[0].type == schema.TensorType.INT8
    assert inputs[0].quantization.scale.tolist() == outputs[0].quantization.scale.tolist() != []
    assert inputs[0].quantization.zeroPoint.tolist() == outputs[0].quantization.zeroPoint.tolist() != []
    x = (np.arange(2 * 3 * 4 * 12) % 256 - 128).reshape(2, 3, 4, 12).astype(np.int8)
    assert np.array_equal(run(tmp_path / "m.tflite", x), core.phase_shift(x, 2, order="DCR"))


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize(
    ("order", "scale", "left"),
    [
        ("DCR", (2, 2), ["SPACE_TO_DEPTH"]),
        ("CRD", (2, 2), ["TRANSPOSE"]),
        ("DRC", (2, 3), ["TRANSPOSE"]),
        ("RCD", (3,), ["TRANSPOSE"]),
        ("DCR", (2, 3, 2), ["TRANSPOSE", "TRANSPOSE"]),
    ],
)
def test_the_inverse_moves_floats_and_integers_as_they_are(tmp_path, order, scale, left, int8):
    model = model_of(InversePhaseShift(scale, order=order), shape=(*(None for _ in (0, *scale)), 3))
    shape = (2, *(r * n for r, n in zip(scale, (3, 2, 4), strict=False)), 3)
    to_tflite(model, tmp_path / "m.tflite", int8=int8, calibration=calibration(shape) if int8 else None)
    assert operators(tmp_path / "m.tflite") == left
    x = (np.arange(np.prod(shape)) % 256 - 128).reshape(shape).astype(np.int8 if int8 else np.float32)
    assert np.array_equal(run(tmp_path / "m.tflite", x), core.inverse_phase_shift(x, scale, order=order))
    if int8:
        _, inputs, outputs = next(found for found in graph(tmp_path / "m.tflite") if found[0] == left[0])
        assert inputs[0].quantization.scale.tolist() == outputs[0].quantization.scale.tolist() != []
        assert inputs[0].quantization.zeroPoint.tolist() == outputs[0].quantization.zeroPoint.tolist() != []


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize(
    "options", [{}, {"norm": "batch", "blur": True, "order": "CRD"}, {"norm": "none"}], ids=["group", "batch, blurred", "none"]
)
def test_the_network_holds_depth_to_space_with_one_scale_on_both_sides(tmp_path, options, int8):
    model = residual_unet(ResidualUNetConfig(in_channels=3, widths=(8, 16), output_scale=2, **options))
    to_tflite(model, tmp_path / "m.tflite", int8=int8, calibration=calibration((1, 10, 7, 3)) if int8 else None)
    found = graph(tmp_path / "m.tflite")
    shifts = [(inputs[0], outputs[0]) for name, inputs, outputs in found if name == "DEPTH_TO_SPACE"]
    assert len(shifts) == 2
    assert "TRANSPOSE" not in [name for name, _, _ in found]
    if int8:
        for low, high in shifts:
            assert low.quantization.scale.tolist() == high.quantization.scale.tolist() != []
            assert low.quantization.zeroPoint.tolist() == high.quantization.zeroPoint.tolist() != []
    else:
        x = calibration((2, 9, 6, 3))[0].astype(np.float32)
        np.testing.assert_allclose(run(tmp_path / "m.tflite", x), model(x, training=False), rtol=0, atol=1e-4)


def test_a_saved_model_computes_the_same_for_other_extents_and_is_never_written_over(tmp_path):
    model = model_of(SubpixelConv2D(3, 3, 2, order="RCD"))
    to_saved_model(model, tmp_path / "served")
    x = calibration((3, 5, 11, 4))[0].astype(np.float32)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(x), model(x), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="path must name a folder that is not there yet; got "):
        to_saved_model(model, tmp_path / "served")
    assert os.listdir(tmp_path) == ["served"]


def encoder_decoder():
    inputs = keras.Input((None, None, 4))
    low = keras.layers.MaxPooling2D(4)(keras.layers.Conv2D(5, 3, padding="same")(inputs))
    return keras.Model(inputs, keras.layers.Concatenate()([inputs, SubpixelConv2D(3, 3, 4)(low)]))


@pytest.mark.parametrize(
    "model",
    [
        encoder_decoder,
        lambda: model_of(SubpixelConv2D(3, 5, 2, padding="valid")),
        lambda: model_of(PhaseShift((2, 3), order="CRD"), shape=(None, None, None, None)),
    ],
    ids=["pooling", "valid", "channels"],
)
def test_a_model_is_verified_on_extents_on_which_it_runs(tmp_path, model):
    made = model()
    to_tflite(made, tmp_path / "m.tflite")
    to_saved_model(made, tmp_path / "served")
    x = calibration((3, 16, 20, 4 if made.inputs[0].shape[-1] else 12))[0].astype(np.float32)
    served = tf.saved_model.load(str(tmp_path / "served"))
    for y in (run(tmp_path / "m.tflite", x), served.serve(x)):
        np.testing.assert_allclose(y, made(x), rtol=0, atol=1e-4)


def test_a_saved_model_has_as_many_inputs_and_outputs_as_the_model(tmp_path):
    first, second = keras.Input((None, None, 4)), keras.Input((None, None, 16))
    model = keras.Model([first, second], [PhaseShift(2)(second), keras.layers.Add()([first, first])])
    to_saved_model(model, tmp_path / "served")
    x, y = (calibration((1, 3, 5, c))[0].astype(np.float32) for c in (4, 16))
    served = tf.saved_model.load(str(tmp_path / "served"))
    for got, wanted in zip(served.serve([x, y]), model([x, y]), strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.raises(ValueError, match="model must have one input and one output for TFLite; got 2 and 2"):
        to_tflite(model, tmp_path / "m.tflite")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: model_of(SubpixelConv2D(3, 3, 2, dtype="mixed_float16")), {}, "model must compute in float32 for TFLite; got float16"),
        (lambda: model_of(SubpixelConv2D(3, 99, 2, padding="valid")), {}, "model must run on some input whose open extents are 64 or less"),
        (
            lambda: model_of(SubpixelConv3D(3, 3, 2), shape=(None, 2, 3, 4, 4)),
            {"int8": True, "calibration": calibration((1, 2, 3, 4, 4))},
            "model must have layers that TFLite has operators of integers for, with int8; got ",
        ),
    ],
    ids=["dtype", "extents", "volume"],
)
def test_what_tflite_cannot_hold_is_refused_before_anything_is_written(tmp_path, model, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        to_tflite(model(), tmp_path / "m.tflite", **options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("export", [to_tflite, to_saved_model])
def test_a_path_without_a_folder_is_refused_before_the_work(tmp_path, monkeypatch, export):
    model = model_of(PhaseShift(2))
    monkeypatch.setattr(model, "export", None)
    with pytest.raises(ValueError, match="path must be in a folder that is there, and not be one; got "):
        export(model, tmp_path / "none" / "m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"int8": True, "calibration": [np.ones((1, 4, 5, 12)), np.full((1, 4, 5, 12), np.inf)]},
            "calibration must have finite values; got inf",
        ),
        (
            {"int8": True, "calibration": [np.ones((1, 4, 5, 3))]},
            "calibration must have inputs of the shape that the model takes, (None, 4, 5, 12); got (1, 4, 5, 3)",
        ),
        ({"int8": True}, "calibration must have inputs as the model will see them, for int8; got none"),
        ({"calibration": [np.ones((1, 4, 5, 12))]}, "int8 must be True for a calibration; got False and 1 inputs"),
        ({"int8": True, "calibration": [np.ones((1, 4, 5, 12))]}, "example must have values that differ"),
    ],
)
def test_a_calibration_that_is_none_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        to_tflite(model_of(PhaseShift(2), shape=(None, 4, 5, 12)), tmp_path / "m.tflite", **options)
    assert os.listdir(tmp_path) == []


def test_a_model_without_operators_is_refused_and_the_file_that_was_there_stays(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"before")
    model = model_of(keras.layers.Lambda(tf.linalg.inv), shape=(None, 4, 4))
    with pytest.raises(ValueError, match="model must have layers that TFLite has operators for; got: "):
        to_tflite(model, tmp_path / "m.tflite")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("m.tflite", b"before")]


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
def test_a_file_that_computes_something_else_is_never_there(tmp_path, monkeypatch, int8):
    model = model_of(SubpixelConv2D(3, 3, 2))
    other = model_of(SubpixelConv2D(3, 3, 2, order="CRD"))  # the same weights
    monkeypatch.setattr(model, "export", other.export)
    with pytest.raises(RuntimeError, match="the exported model must compute what the model does; got"):
        to_tflite(model, tmp_path / "m.tflite", int8=int8, calibration=calibration((1, 7, 9, 4)) if int8 else None)
    assert os.listdir(tmp_path) == []
