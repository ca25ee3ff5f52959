"""Models for other runtimes: SavedModel and TFLite."""

import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from subpixel_core._phase_shift import DEPLOYED_AXES
from subpixel_core._weights import replace_file
from subpixel_core.check import (
    calibrated,
    convertible,
    example_runs,
    few_axes_only,
    file_path,
    flag,
    in_float32,
    in_folder,
    instance,
    integers_only,
    known_inputs,
    named,
    new_folder,
    of_kind,
    one_in_one_out,
    puts_out,
    runs_somewhere,
    same_answer,
)

EXTENTS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 18, 20, 24, 25, 27, 30, 32, 36, 48, 64)
"""What is tried for the extents that a model leaves open: taps need room, pooling and factors divide them."""


def to_saved_model(model: keras.Model, path: str | os.PathLike[str], *, verify: bool = True) -> None:
    """Write a model as a SavedModel, through Keras' own export, and call it before it is there.

    Parameters
    ----------
    model : keras.Model
        With the number of axes of every input known; several inputs, or outputs, are lists or dicts as the model has them.
    path : path-like
        A folder that is not there yet.
    verify : bool
        Call the SavedModel, at two sizes where extents are open: every output must be equal to half of the digits.

    Raises
    ------
    ValueError
        If there is something at the path, or no folder to write it into, or the model runs for none of the extents that are tried.
    RuntimeError
        If the SavedModel does not compute what the model does.
    """
    instance("model", model, keras.Model)
    flag("verify", verify)
    named("path", path)
    target = Path(os.fspath(path))
    new_folder("path", os.path.lexists(target), target)
    in_folder("path", target)
    with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".") as beside:
        written = os.path.join(beside, "model")
        model.export(written, format="tf_saved_model", verbose=False)
        if verify:
            served = tf.saved_model.load(written)
            ((inputs,), _) = served.serve.concrete_functions[0].structured_input_signature
            for given, wanted in _trials(model, inputs):
                shape = tf.nest.flatten(given)[0].shape
                for expected, got in zip(wanted, tf.nest.flatten(served.serve(given)), strict=True):
                    same_answer("TensorFlow", shape, expected, np.asarray(got))
        os.rename(written, target)


def to_tflite(
    model: keras.Model, path: str | os.PathLike[str], *, int8: bool = False, calibration: Iterable[Any] | None = None, verify: bool = True
) -> None:
    """Write a model with one input and one output as a TFLite file, and run it in the interpreter before it is there.

    A 2-D layer by one factor is ``CONV_2D`` and ``DEPTH_TO_SPACE`` in every order. TFLite convolves 3-D in float only.

    Parameters
    ----------
    model : keras.Model
        In float32.
    path : path-like
        What it names is replaced in one step.
    int8 : bool
        Quantize weights, activations, input and output to eight bits.
    calibration : iterable of array_like, optional
        With ``int8``: inputs as the model will see them, with their batch axis; their ranges become the scales.
    verify : bool
        Read the file: no transpose of more than five axes, with ``int8`` no operator in float. Run it: float, at two sizes where extents
        are open, must be equal to half of the digits; ``int8``, on the calibration, nowhere off by more than the standard deviation of what
        the model gives.

    Raises
    ------
    ValueError
        If TFLite has no operator for something in the model, or with ``int8`` none of integers; if the model runs for none of the extents
        that are tried; if the calibration is missing, not finite or not what the model takes; if there is no folder to write into.
    RuntimeError
        If the file does not compute what the model does.
    """
    instance("model", model, keras.Model)
    flag("verify", verify)
    file_path("path", path)
    inputs, outputs = (known_inputs(model, getattr(model, name, None)) for name in ("inputs", "outputs"))
    if flag("int8", int8) or verify:
        one_in_one_out(len(inputs), len(outputs), "the interpreter of TFLite")
    of_kind("calibration", calibration is None or isinstance(calibration, Iterable), "an iterable of inputs", calibration)
    examples = calibrated(int8, None if calibration is None else list(calibration), inputs[0].shape)
    answers = [(x, _answer(model, x)) for x in examples]  # before the converter calibrates on them, which may end the process
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        content = _converted(model, folder, examples)
    if verify:
        _readable(content, int8)
        interpreter = load_tflite(content)
        for x, wanted in answers or _trials(model, inputs[0]):
            _verify(model, x, wanted[0], interpreter)
    replace_file(path, content)


def _converted(model: keras.Model, folder: str, calibration: list[np.ndarray]) -> bytes:
    """Return the TFLite file of a SavedModel, in int8 if there is something to calibrate it on."""
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if calibration:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x] for x in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that statistics were not given, which the calibration is
            return converter.convert()
    except Exception as error:  # of no public class
        return _refused(model, str(error))


def _refused(model: keras.Model, reason: str) -> Any:
    """Refuse what TFLite does not take, by what in the model is in the way."""
    in_float32(_dtypes(model), "TFLite")
    transposed = re.search(r"tf\.Transpose\(tensor<[^>]*>, tensor<(\d+)x", reason)
    few_axes_only([int(transposed[1])] if transposed else [], DEPLOYED_AXES, "TFLite")
    operator = re.search(r"^Details:\s*(\S.*?)(?: : \{.*)?$", reason, re.MULTILINE)
    where_open = any(extent is None for x in model.inputs for extent in x.shape[1:])
    return convertible("TFLite", operator[1] if operator else reason.strip().splitlines()[0], where_open)


def _dtypes(layer: Any) -> Iterator[str]:
    """Return the dtypes that a layer, and every layer in it, takes, keeps and computes in."""
    yield layer.compute_dtype
    yield from (tensor.dtype for tensor in (*layer.weights, *(getattr(layer, "inputs", None) or ())))
    for inner in getattr(layer, "layers", ()):
        yield from _dtypes(inner)


def _readable(content: bytes, int8: bool) -> None:
    """Refuse a file with operators that runtimes on devices do not have."""
    from tensorflow.lite.python import schema_py_generated as schema

    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in file.operatorCodes]
    operators = [
        (codes[operator.opcodeIndex], graph.tensors[output])
        for graph in file.subgraphs
        for operator in graph.operators
        for output in operator.outputs
    ]
    few_axes_only([len(tensor.shape) for name, tensor in operators if name == "TRANSPOSE"], DEPLOYED_AXES, "TFLite")
    if int8:
        in_float = {name for name, tensor in operators if tensor.type == schema.TensorType.FLOAT32}
        integers_only(sorted(in_float - {"DEQUANTIZE"} or in_float), "TFLite")


def _trials(model: keras.Model, inputs: Any) -> list[tuple[Any, list[np.ndarray]]]:
    """Return two inputs of different sizes, or one where nothing is open, each with what the model puts out for it, which is something."""
    shapes = [tuple(x.shape) for x in tf.nest.flatten(inputs)]
    reason = ""
    for extent in EXTENTS if any(None in shape[1:] for shape in shapes) else EXTENTS[:1]:
        try:
            trials = [_trial(model, inputs, (2, *(extent,) * 8))]
        except Exception as error:  # whatever the model raises
            reason = str(error)
            continue
        larger = (3, *(2 * extent, 3 * extent) * 4), (3, *(2 * extent,) * 8)
        for sizes in larger if any(None in shape for shape in shapes) else ():
            with suppress(Exception):  # of which a model may take no unequal extents, or no other at all
                return [*trials, _trial(model, inputs, sizes)]
        return trials
    return runs_somewhere(EXTENTS[-1], reason)


def _trial(model: keras.Model, inputs: Any, sizes: tuple[int, ...]) -> tuple[Any, list[np.ndarray]]:
    """Return values for the inputs, with these sizes for what is open, and what the model puts out for them."""
    rng = np.random.default_rng(0)

    def values(x: Any) -> np.ndarray:
        shape, dtype = [size if known is None else known for known, size in zip(x.shape, sizes, strict=False)], tf.as_dtype(x.dtype)
        return (rng.normal(size=shape) if dtype.is_floating else rng.integers(0, 2, shape)).astype(dtype.as_numpy_dtype)

    given = tf.nest.map_structure(values, inputs)
    wanted = _outputs(model, given)
    for output in wanted:
        puts_out("x", tf.nest.flatten(given)[0].shape, output, everywhere=False)
    return given, wanted


def _answer(model: keras.Model, x: np.ndarray) -> list[np.ndarray]:
    """Return what the model puts out for an input to calibrate on."""
    with example_runs([x], "every input of calibration"):
        wanted = _outputs(model, x)
    for output in wanted:
        puts_out("every input of calibration", x.shape, output, everywhere=True)
    return wanted


def _outputs(model: keras.Model, given: Any) -> list[np.ndarray]:
    return [np.asarray(output) for output in tf.nest.flatten(model(given, training=False))]


def load_tflite(content: bytes) -> Any:
    """Return a TFLite file in the interpreter, on one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the interpreter moves to another package
        return tf.lite.Interpreter(model_content=content, num_threads=1)


def run_tflite(interpreter: Any, x: np.ndarray) -> np.ndarray:
    """Return what a file with one input and one output gives: for integers that it takes integers, for real numbers what they stand for.

    ::

        real = scale * (integer - zero point)
    """
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(taken["index"], x.shape)
    interpreter.allocate_tensors()
    as_it_is = x.dtype == taken["dtype"]
    interpreter.set_tensor(taken["index"], x if as_it_is else _quantized(x, taken))
    interpreter.invoke()
    y = interpreter.get_tensor(given["index"])
    return y if as_it_is else _real(y, given)


def _quantized(x: np.ndarray, tensor: Any) -> np.ndarray:
    scale, zero = tensor["quantization"]
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(tensor["dtype"])


def _real(values: np.ndarray, tensor: Any) -> np.ndarray:
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)


def _verify(model: keras.Model, x: np.ndarray, wanted: np.ndarray, interpreter: Any) -> None:
    """Refuse a file that the interpreter computes otherwise."""
    try:
        got = run_tflite(interpreter, x)
    except (RuntimeError, ValueError) as error:
        got = _refused(model, f"{error}, for an input of shape {x.shape}")
    quantized = interpreter.get_output_details()[0]["quantization"][0]
    same_answer("the interpreter of TFLite", x.shape, wanted, got, wanted.std() if quantized else None)
