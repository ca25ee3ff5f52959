"""Models for other runtimes: SavedModel and TFLite."""

import os
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from subpixel_core._weights import replace_file
from subpixel_core.check import calibrated, convertible, flag, instance, new_folder, same_answer


def to_saved_model(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write a model as a SavedModel, through Keras' own export, and call it before it is there.

    Parameters
    ----------
    model : keras.Model
        With every input's number of axes and channels known; other extents may be anything.
    path : path-like
        A folder that is not there yet.

    Raises
    ------
    ValueError
        If there is something at the path.
    RuntimeError
        If the SavedModel does not compute what the model does.
    """
    instance("model", model, keras.Model)
    target = Path(os.fspath(path))
    new_folder("path", target.exists(), target)
    with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".") as beside:
        written = os.path.join(beside, "model")
        model.export(written, format="tf_saved_model", verbose=False)
        served = tf.saved_model.load(written)
        for inputs in _inputs(model):
            wanted = model(*inputs, training=False)
            same_answer("TensorFlow", inputs[0].shape, wanted.numpy(), served.serve(*inputs).numpy())
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
        Quantize weights, activations, input and output to eight bits.
    calibration : iterable of array_like, optional
        With ``int8``: inputs as the model will see them, with their batch axis; their ranges become the scales.
    verify : bool
        Run the file: float must be equal to half of the digits; ``int8``, on the calibration, nowhere off by more than the standard
        deviation of what the model gives.

    Raises
    ------
    ValueError
        If TFLite has no operator for something in the model, or the calibration is missing.
    RuntimeError
        If the file does not compute what the model does.
    """
    instance("model", model, keras.Model)
    flag("verify", verify)
    examples = calibrated(flag("int8", int8), None if calibration is None else [np.asarray(x, np.float32) for x in calibration])
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        content = _converted(folder, examples)
    if verify:
        for inputs in [(x,) for x in examples] or _inputs(model):
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


def _inputs(model: keras.Model) -> list[tuple[np.ndarray, ...]]:
    """Return inputs of two sizes, or of one where no extent is unknown."""
    rng = np.random.default_rng(0)
    sizes = [[tuple(n if extent is None else extent for extent in x.shape) for x in model.inputs] for n in (2, 6)]
    return [tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes) for shapes in sizes[: 1 + (sizes[0] != sizes[1])]]


def _verify(model: keras.Model, x: np.ndarray, content: bytes) -> None:
    """Refuse a file that the interpreter computes otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the interpreter moves to another package
        interpreter = tf.lite.Interpreter(model_content=content)
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    try:
        interpreter.resize_tensor_input(taken["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(taken["index"], _quantized(x, taken))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        convertible("TFLite", f"{error}, for an input of shape {x.shape}")
    got, wanted = _real(interpreter.get_tensor(given["index"]), given), model(x, training=False).numpy()
    same_answer("the interpreter of TFLite", x.shape, wanted, got, None if given["dtype"] == np.float32 else wanted.std())


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
