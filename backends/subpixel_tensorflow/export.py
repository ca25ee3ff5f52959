"""Models for other runtimes: SavedModel and TFLite."""

import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from subpixel_core._weights import replace_file
from subpixel_core.check import (
    all_integers,
    calibrated,
    convertible,
    existing_folder,
    flag,
    in_float32,
    instance,
    new_folder,
    one_of_each,
    runs_somewhere,
    same_answer,
)

EXTENTS = (2, 4, 6, 8, 9, 12, 16, 25, 27, 32, 36, 48, 64)
"""What the extents are tried with that a model leaves open: pooling divides them, factors divide channels, taps need room."""


def to_saved_model(model: keras.Model, path: str | os.PathLike[str], *, verify: bool = True) -> None:
    """Write a model as a SavedModel, through Keras' own export, and call it before it is there.

    Parameters
    ----------
    model : keras.Model
        With every input's number of axes and channels known; other extents may be anything.
    path : path-like
        A folder that is not there yet.
    verify : bool
        Call the SavedModel, at two sizes where extents are open.

    Raises
    ------
    ValueError
        If there is something at the path, or the model runs on none of the inputs that it is tried with.
    RuntimeError
        If the SavedModel does not compute what the model does.
    """
    instance("model", model, keras.Model)
    flag("verify", verify)
    target = Path(os.fspath(path))
    new_folder("path", target.exists(), target)
    existing_folder("path", target.resolve().parent.is_dir(), target)
    with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".") as beside:
        written = os.path.join(beside, "model")
        model.export(written, format="tf_saved_model", verbose=False)
        if verify:
            served = tf.saved_model.load(written)
            for inputs in _trials(model):
                for wanted, got in zip(_outputs(model, inputs), tf.nest.flatten(served.serve(_given(inputs))), strict=True):
                    same_answer("TensorFlow", inputs[0].shape, wanted, got.numpy())
        os.rename(written, target)


def to_tflite(
    model: keras.Model, path: str | os.PathLike[str], *, int8: bool = False, calibration: Iterable[Any] | None = None, verify: bool = True
) -> None:
    """Write a model with one input as a TFLite file, and run it in the interpreter before it is there.

    A 2-D layer by one factor is ``CONV_2D`` and ``DEPTH_TO_SPACE`` in every order.

    Parameters
    ----------
    model : keras.Model
    path : path-like
        What it names is replaced in one step.
    int8 : bool
        Quantize weights, activations, input and output to eight bits. TFLite has no 3-D convolution of integers.
    calibration : iterable of array_like, optional
        With ``int8``: inputs as the model will see them, with their batch axis; their ranges become the scales.
    verify : bool
        Run the file: float, at two sizes where extents are open, must be equal to half of the digits; ``int8``, on the calibration,
        nowhere off by more than the standard deviation of what the model gives.

    Raises
    ------
    ValueError
        If TFLite has no operator for something in the model, or with ``int8`` none of integers; if the model computes in another dtype than
        float32, or runs on none of the inputs that it is tried with; and if the calibration is missing or is not what the model takes.
    RuntimeError
        If the file does not compute what the model does.
    """
    instance("model", model, keras.Model)
    flag("verify", verify)
    one_of_each(len(model.inputs), len(model.outputs), "TFLite")
    in_float32([*(layer.compute_dtype for layer in model.layers), *(each.dtype for each in (*model.weights, *model.inputs))], "TFLite")
    examples = calibrated(
        flag("int8", int8), None if calibration is None else [np.asarray(x, np.float32) for x in calibration], model.inputs[0].shape
    )
    place = Path(os.path.realpath(path))
    existing_folder("path", place.parent.is_dir() and not place.is_dir(), path)
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        content = _converted(folder, examples)
    if int8:
        all_integers(_in_float(content), "TFLite")
    if verify:
        for inputs in [[x] for x in examples] or _trials(model):
            _verify(model, inputs[0], content)
    replace_file(path, content)


def _converted(folder: str, calibration: list[np.ndarray]) -> bytes:
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
        return convertible("TFLite", str(error).strip().splitlines()[0])


def _trials(model: keras.Model) -> list[list[np.ndarray]]:
    """Return inputs of two sizes, or of one where every extent is known, on which the model runs and gives something."""
    for extent in EXTENTS:
        inputs = _inputs(model, 2, extent)
        try:
            if all(y.size for y in _outputs(model, inputs)):
                larger = _inputs(model, 3, 2 * extent)
                return [inputs] if all(np.shape(x) == np.shape(y) for x, y in zip(inputs, larger, strict=True)) else [inputs, larger]
        except (ValueError, tf.errors.OpError) as error:
            reason = str(error)
        else:
            reason = "no values come out"
    return runs_somewhere(EXTENTS[-1], reason)


def _inputs(model: keras.Model, samples: int, extent: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [[known or (extent if axis else samples) for axis, known in enumerate(x.shape)] for x in model.inputs]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def _outputs(model: keras.Model, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [y.numpy() for y in tf.nest.flatten(model(_given(inputs), training=False))]


def _given(inputs: Sequence[np.ndarray]) -> Any:
    """Return inputs as Keras takes them: one alone, several in a list."""
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _verify(model: keras.Model, x: np.ndarray, content: bytes) -> None:
    """Refuse a file that the interpreter computes otherwise."""
    interpreter = _interpreter(content)
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    try:
        interpreter.resize_tensor_input(taken["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(taken["index"], _quantized(x, taken))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        convertible("TFLite", f"{error}, for an input of shape {x.shape}")
    (wanted,) = _outputs(model, [x])
    got = _real(interpreter.get_tensor(given["index"]), given)
    same_answer("the interpreter of TFLite", x.shape, wanted, got, None if given["dtype"] == np.float32 else wanted.std())


def _interpreter(content: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the interpreter moves to another package
        return tf.lite.Interpreter(model_content=content)


def _in_float(content: bytes) -> list[str]:
    """Return the names of the tensors of a file that are floating-point."""
    return [tensor["name"] for tensor in _interpreter(content).get_tensor_details() if tensor["dtype"] == np.float32]


def _quantized(x: np.ndarray, tensor: Any) -> np.ndarray:
    """Return values as a tensor of the interpreter takes them."""
    if tensor["dtype"] == np.float32:
        return x
    scale, zero = tensor["quantization"]
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(tensor["dtype"])


def _real(values: np.ndarray, tensor: Any) -> np.ndarray:
    """Return what the integers of a tensor stand for."""
    if tensor["dtype"] == np.float32:
        return values
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)
