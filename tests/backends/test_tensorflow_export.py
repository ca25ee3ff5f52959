"""What leaves TensorFlow: the operators in a TFLite file, what its interpreter makes of them, and SavedModels."""

import os
import re
from dataclasses import replace
from math import prod

import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import DATA_FORMATS, ORDERS, ResidualUNetConfig

keras = pytest.importorskip("keras", reason="Keras is not installed")
tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
if keras.config.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend", allow_module_level=True)

from tensorflow.lite.python import schema_py_generated as schema  # noqa: E402 -- after the skip

import subpixel_tensorflow  # noqa: E402
from subpixel_tensorflow import (  # noqa: E402
    ChainedSubpixelConv2D,
    ExactSubpixelConv2D,
    InversePhaseShift,
    PhaseShift,
    SubpixelConv1D,
    SubpixelConv2D,
    SubpixelConv3D,
    inverse_phase_shift,
    phase_shift,
    residual_unet,
    to_saved_model,
    to_tflite,
)
from subpixel_tensorflow.export import load_tflite, run_tflite  # noqa: E402

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
    return run_tflite(load_tflite(path.read_bytes()), x)


def calibration(shape, number=4):
    rng = np.random.default_rng(1)
    return [rng.normal(size=shape) for _ in range(number)]


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_layer_is_a_convolution_and_depth_to_space_in_every_order(tmp_path, order, int8):
    model = model_of(SubpixelConv2D(3, 3, 2, order=order))
    to_tflite(model, tmp_path / "m.tflite", int8=int8, calibration=calibration((1, 7, 9, 4)) if int8 else None)
    assert operators(tmp_path / "m.tflite") == ["CONV_2D", "DEPTH_TO_SPACE"]
    x = calibration((3, 5, 11, 4))[0].astype(np.float32)  # extents of no export
    got, wanted = run(tmp_path / "m.tflite", x), model(x).numpy()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=wanted.std() / 4 if int8 else 1e-5)


@pytest.mark.parametrize(
    ("layer", "shape", "left"),
    [
        (lambda: SubpixelConv1D(3, 3, 2, order="CRD"), (None, None, 4), ["CONV_2D", "ADD"]),
        (lambda: SubpixelConv2D(3, 3, (2, 3)), OPEN, ["CONV_2D", "TRANSPOSE"]),
        (lambda: SubpixelConv3D(3, 3, 2), (None, None, None, None, 4), ["CONV_3D", "ADD", "TRANSPOSE", "TRANSPOSE"]),
        (lambda: SubpixelConv3D(3, 3, 2, order="RCD"), (None, None, None, None, 4), ["CONV_3D", "ADD", "TRANSPOSE", "TRANSPOSE"]),
        (lambda: SubpixelConv2D(3, 3, 2, separable=True), OPEN, ["PAD", "DEPTHWISE_CONV_2D", "CONV_2D", "DEPTH_TO_SPACE"]),
        (lambda: SubpixelConv2D(3, 3, 2, blur=True), OPEN, ["CONV_2D", "DEPTH_TO_SPACE", "AVERAGE_POOL_2D", "AVERAGE_POOL_2D"]),
        (lambda: ExactSubpixelConv2D(3, 3, 2, padding="same", crop=((0, 1), (1, 0)), order="CRD"), OPEN, ["CONV_2D", "DEPTH_TO_SPACE"]),
        (
            lambda: ChainedSubpixelConv2D(3, 3, 4, activation="relu"),
            OPEN,
            ["CONV_2D", "DEPTH_TO_SPACE"] * 2,
        ),
    ],
    ids=["line", "unequal", "volume", "volume, RCD", "separable", "blurred", "converted", "chained"],
)
def test_other_layers_need_transposes_of_at_most_five_axes(tmp_path, layer, shape, left):
    model = model_of(layer(), shape=shape)
    to_tflite(model, tmp_path / "m.tflite")
    assert operators(tmp_path / "m.tflite") == left
    x = calibration((3, *(5, 7, 4)[: len(shape) - 2], 4))[0].astype(np.float32)
    np.testing.assert_allclose(run(tmp_path / "m.tflite", x), model(x), rtol=0, atol=1e-4)


def transposed(path):
    return [len(inputs[0].shape) for name, inputs, _ in graph(path) if name == "TRANSPOSE"]


@pytest.mark.parametrize("scale", [(3,), (2, 3), (2, 3, 2)])
def test_in_every_order_and_format_a_shift_and_its_inverse_are_transposes_of_at_most_five_axes(tmp_path, scale):
    open_ = (None,) * len(scale)
    inputs, outputs = [], []
    for channels, layer in ((2 * prod(scale), PhaseShift), (2, InversePhaseShift)):
        for data_format in DATA_FORMATS:
            inputs.append(keras.Input((*open_, channels) if data_format == "channels_last" else (channels, *open_)))
            outputs += [layer(scale, order=order, data_format=data_format)(inputs[-1]) for order in ORDERS]
    to_tflite(keras.Model(inputs, outputs), tmp_path / "m.tflite", verify=False)
    assert 0 < max(transposed(tmp_path / "m.tflite")) <= 5


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_in_every_order_layers_and_networks_are_of_transposes_of_at_most_five_axes(tmp_path, ndim):
    layer, chain = getattr(subpixel_tensorflow, f"SubpixelConv{ndim}D"), getattr(subpixel_tensorflow, f"ChainedSubpixelConv{ndim}D")
    config = ResidualUNetConfig(ndim=ndim, in_channels=2, widths=(8, 16), norm="none", blocks=1)
    models = [residual_unet(replace(config, upsample="deconv"))]
    for order in ORDERS:
        models += [
            layer(2, 3, (2, 3, 2)[:ndim], order=order, separable=True, blur=True),
            chain(2, 3, 4, order=order),
            residual_unet(replace(config, order=order)),
        ]
    x = keras.Input((*(4, 6, 2)[:ndim], 2), 1)
    to_tflite(keras.Model(x, [model(x) for model in models]), tmp_path / "m.tflite", verify=False)
    assert max(transposed(tmp_path / "m.tflite"), default=0) <= 5
    assert (transposed(tmp_path / "m.tflite") == []) == (ndim == 1)  # of which nothing but a reshape is left


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
        ("DCR", (3,), []),
        ("CRD", (2, 3, 2), ["TRANSPOSE", "TRANSPOSE", "TRANSPOSE"]),
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
        moved = [
            tensor
            for name, inputs, outputs in graph(tmp_path / "m.tflite")
            if name in {*left, "RESHAPE"}
            for tensor in (inputs[0], outputs[0])
        ]
        quantizations = [tensor.quantization for tensor in moved if tensor.type == schema.TensorType.INT8]
        assert len(quantizations) == len(moved) >= 2 * max(1, len(left))
        assert len({(*each.scale.tolist(), *each.zeroPoint.tolist()) for each in quantizations}) == 1
        assert quantizations[0].scale.tolist() != []


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("options", [{}, {"norm": "batch", "blur": True, "order": "CRD"}], ids=["group", "batch, blurred"])
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
    ("model", "shape"),
    [
        (encoder_decoder, (3, 8, 20, 4)),
        (lambda: model_of(SubpixelConv2D(3, 5, 2, padding="valid")), (3, 7, 9, 4)),
        (lambda: model_of(SubpixelConv1D(3, 5, 2, padding="valid"), shape=(None, None, 4)), (3, 7, 4)),
        (lambda: model_of(PhaseShift((2, 3), order="CRD"), shape=(None,) * 4), (3, 4, 5, 12)),
        (lambda: model_of(InversePhaseShift((2, 3)), shape=(None,) * 4), (3, 4, 9, 2)),
    ],
    ids=["pooling", "valid", "valid, line", "channels", "inverse"],
)
def test_a_model_is_verified_on_extents_on_which_it_runs(tmp_path, model, shape):
    model = model()
    to_tflite(model, tmp_path / "m.tflite")
    to_saved_model(model, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    x = calibration(shape)[0].astype(np.float32)
    for y in (run(tmp_path / "m.tflite", x), served.serve(x)):
        np.testing.assert_allclose(y, model(x), rtol=0, atol=1e-4)


def test_a_saved_model_has_the_inputs_and_outputs_of_the_model_which_one_tflite_file_has_not(tmp_path):
    low, high = keras.Input((None, None, 16), name="low"), keras.Input((None, None, 4), name="high")
    model = keras.Model({"low": low, "high": high}, {"shift": PhaseShift(2)(low), "sum": keras.layers.Add()([high, high])})
    to_saved_model(model, tmp_path / "served")
    x = {"low": calibration((1, 3, 5, 16))[0].astype(np.float32), "high": calibration((1, 4, 2, 4))[0].astype(np.float32)}
    served = tf.saved_model.load(str(tmp_path / "served"))
    got, wanted = served.serve(x), model(x)
    assert set(got) == set(wanted) == {"shift", "sum"}
    for name in wanted:
        np.testing.assert_array_equal(got[name], wanted[name])
    with pytest.raises(ValueError, match="model must have one input and one output to be run in the interpreter of TFLite; got 2 and 2"):
        to_tflite(model, tmp_path / "m.tflite")
    assert os.listdir(tmp_path) == ["served"]


INTEGERS = {"int8": True, "calibration": calibration((1, 2, 3, 4, 4))}
TRANSPOSED = "model must have transposes of at most 5 axes for TFLite; got one of"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: model_of(SubpixelConv2D(3, 3, 2, dtype="mixed_float16")), {}, "model must be float32 for TFLite; got float16"),
        (lambda: model_of(PhaseShift(2, dtype="float64")), {}, "model must be float32 for TFLite; got float64"),
        (
            lambda: model_of(keras.layers.Lambda(lambda x: phase_shift(x, (2, 1, 2), order="CRD")), shape=(None, 2, 3, 2, 8)),
            {},
            f"{TRANSPOSED} 7",
        ),
        (
            lambda: keras.Sequential([keras.layers.Dense(3)]),
            {},
            "model must say what it takes and gives, as keras.Model(inputs, outputs) does; got Sequential",
        ),
        (
            lambda: model_of(SubpixelConv2D(3, 5, 2, padding="valid")),
            {"int8": True, "calibration": calibration((1, 4, 7, 4))},
            "every input of calibration must be an input on which the model runs; got (1, 4, 7, 4), on which it raised ValueError",
        ),
        (
            lambda: model_of(keras.layers.Lambda(tf.math.log)),
            {"int8": True, "calibration": calibration((1, 4, 7, 4))},
            "every input of calibration must be an input for which the model puts out finite numbers; got nan, for (1, 4, 7, 4)",
        ),
    ],
    ids=["mixed precision", "double", "function, volume", "no inputs", "too small", "not finite"],
)
def test_what_tflite_cannot_hold_is_refused_by_what_is_in_the_way(tmp_path, model, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        to_tflite(model(), tmp_path / "m.tflite", **options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            lambda: model_of(keras.layers.Conv2D(3, 99)),
            {},
            "model must run where its open extents are some number up to 64, to be verified; got: ",
        ),
        (lambda: model_of(keras.layers.Lambda(lambda x: phase_shift(x, 2, order="CRD"))), {}, f"{TRANSPOSED} 6"),
        (lambda: model_of(keras.layers.Lambda(lambda x: inverse_phase_shift(x, 2, order="RCD"))), {}, f"{TRANSPOSED} 6"),
        (
            lambda: model_of(SubpixelConv3D(3, 3, 2), shape=(None, 2, 3, 4, 4)),
            INTEGERS,
            "model must have layers that TFLite computes in integers, with int8; got CONV_3D in float32",
        ),
        (
            lambda: model_of(SubpixelConv3D(3, 3, 2, separable=True), shape=(None, 2, 3, 4, 4)),
            INTEGERS,
            "model must have layers that TFLite computes in integers, with int8; got ADD_N, CONV_3D in float32",
        ),
    ],
    ids=["extents", "function", "inverse", "volume", "volume, separable"],
)
def test_what_is_written_unverified_is_refused_if_it_is_to_be_verified(tmp_path, model, options, message):
    model = model()
    with pytest.raises(ValueError, match=re.escape(message)):
        to_tflite(model, tmp_path / "m.tflite", **options)
    assert os.listdir(tmp_path) == []
    to_tflite(model, tmp_path / "m.tflite", **options, verify=False)
    assert os.listdir(tmp_path) == ["m.tflite"]


def test_a_shift_of_volumes_is_in_integers_alone(tmp_path):
    model = model_of(PhaseShift((2, 1, 3), order="CRD"), shape=(None, None, None, None, 12))
    to_tflite(model, tmp_path / "m.tflite", int8=True, calibration=calibration((1, 2, 3, 4, 12)))
    x = (np.arange(2 * 2 * 3 * 4 * 12) % 256 - 128).reshape(2, 2, 3, 4, 12).astype(np.int8)
    assert np.array_equal(run(tmp_path / "m.tflite", x), core.phase_shift(x, (2, 1, 3), order="CRD"))


@pytest.mark.parametrize("export", [to_tflite, to_saved_model])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/m", "path must be in a folder that is there and can be written to; got "),
        ("", "path must name a f"),  # file, or folder that is not there yet
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch, export, path, message):
    model = model_of(PhaseShift(2))
    monkeypatch.setattr(model, "export", None)
    with pytest.raises(ValueError, match=message) as caught:
        export(model, tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


@pytest.mark.parametrize("export", [to_tflite, to_saved_model])
@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        *((path, TypeError, f"path must be a str or a path; got {path!r}") for path in (3, None, b"m", 3.5)),
        ("", ValueError, "path must name something; got ''"),
    ],
)
def test_what_is_no_path_is_refused(export, path, error, message):
    with pytest.raises(error, match=re.escape(message)):
        export(model_of(PhaseShift(2)), path)


def test_a_calibration_that_cannot_be_gone_through_is_refused(tmp_path):
    with pytest.raises(TypeError, match="calibration must be an iterable of inputs; got 3"):
        to_tflite(model_of(PhaseShift(2)), tmp_path / "m.tflite", int8=True, calibration=3)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([np.ones((1, 4, 5, 12)), np.full((1, 4, 5, 12), np.inf)], "calibration must have finite values in float32; got inf"),
        ([*calibration((1, 4, 5, 12)), np.full((1, 4, 5, 12), np.nan)], "calibration must have finite values in float32; got nan"),
        (
            calibration((1, 4, 5, 3)),
            "calibration must have inputs of the shape (None, 4, 5, 12), that of a batch for the model; got (1, 4, 5, 3)",
        ),
        (
            np.ones((2, 4, 5, 12)),
            "calibration must have inputs of the shape (None, 4, 5, 12), that of a batch for the model; got (4, 5, 12)",
        ),
        (None, "calibration must have inputs as the model will see them, for int8; got none"),
        ([np.ones((1, 4, 5, 12))], "calibration must have values that differ"),
    ],
    ids=["infinite", "one NaN", "channels", "no batch", "none", "constant"],
)
def test_a_calibration_that_is_none_is_refused(tmp_path, inputs, message):
    model = model_of(PhaseShift(2), shape=(None, 4, 5, 12))
    for verify in (True, False):
        with pytest.raises(ValueError, match=re.escape(message)):
            to_tflite(model, tmp_path / "m.tflite", int8=True, calibration=inputs, verify=verify)
    assert os.listdir(tmp_path) == []


def test_a_model_without_operators_is_refused_and_the_file_that_was_there_stays(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"before")
    model = model_of(keras.layers.Lambda(tf.linalg.inv), shape=(None, 4, 4))
    with pytest.raises(ValueError, match="model must have layers that TFLite has operators for; got: "):
        to_tflite(model, tmp_path / "m.tflite")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("m.tflite", b"before")]


@pytest.mark.parametrize("target", ["float", "int8", "served"])
def test_a_file_that_computes_something_else_is_never_there_unless_it_is_not_to_be_verified(tmp_path, monkeypatch, target):
    model = model_of(SubpixelConv2D(3, 3, 2))
    other = model_of(SubpixelConv2D(3, 3, 2, order="CRD"))  # the same weights
    monkeypatch.setattr(model, "export", other.export)
    export = to_saved_model if target == "served" else to_tflite
    options = {"int8": True, "calibration": calibration((1, 7, 9, 4))} if target == "int8" else {}
    with pytest.raises(RuntimeError, match="the exported model must compute what the model does; got"):
        export(model, tmp_path / "m", **options)
    assert os.listdir(tmp_path) == []
    export(model, tmp_path / "m", **options, verify=False)
    assert os.listdir(tmp_path) == ["m"]
