"""Exported files in their runtimes: the interpreter of TFLite and onnxruntime, one thread each; and onnxruntime's own quantization."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Network = Callable[[Array], Array]
"""From images (N, H, W, C) to images, of any extents."""

REPEATS = 40


def tflite(path: Path) -> Network:
    """Return a TFLite file as a function; what is quantized takes and gives integers, and here what they stand for."""
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the interpreter moves to another package
        interpreter = tf.lite.Interpreter(model_path=str(path), num_threads=1)
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    shape: tuple[int, ...] = ()

    def call(x: Array) -> Array:
        nonlocal shape
        if x.shape != shape:
            interpreter.resize_tensor_input(taken["index"], x.shape)
            interpreter.allocate_tensors()
            shape = x.shape
        interpreter.set_tensor(taken["index"], _quantized(x, taken))
        interpreter.invoke()
        return _real(interpreter.get_tensor(given["index"]), given)

    return call


def _quantized(x: Array, tensor: Any) -> NDArray[Any]:
    if tensor["dtype"] == np.float32:
        return x
    scale, zero = tensor["quantization"]
    return np.clip(np.rint(x / scale) + zero, -128, 127).astype(tensor["dtype"])


def _real(values: NDArray[Any], tensor: Any) -> Array:
    if tensor["dtype"] == np.float32:
        return values
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)


def onnx(path: Path) -> Network:
    """Return an ONNX file with channels first as a function of images with channels last."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def call(x: Array) -> Array:
        (y,) = session.run(None, {name: np.ascontiguousarray(np.moveaxis(x, -1, 1))})
        return np.moveaxis(y, 1, -1)

    return call


def quantize_onnx(source: Path, target: Path, calibration: Sequence[Array]) -> None:
    """Quantize an ONNX file with onnxruntime: weights by channel and activations to int8, with the ranges seen on images.

    Its table of operators that move values as they are, from the scale they come in to the same one, lacks the shift's.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.registry import QDQRegistry

    for operator in ("DepthToSpace", "SpaceToDepth"):
        QDQRegistry.setdefault(operator, QDQRegistry["Transpose"])
    name = _input(source)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> dict[str, Array] | None:
            x = next(self.left, None)
            return None if x is None else {name: np.ascontiguousarray(np.moveaxis(x, -1, 1))}

    with quiet():
        quantization.quantize_static(source, target, Reader(), per_channel=True)


def _input(path: Path) -> str:
    import onnx

    return onnx.load(path).graph.input[0].name


@contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters from telling what they always tell: that torchvision is missing, that a model could be preprocessed."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def milliseconds(networks: dict[str, Network], x: Array, repeats: int = REPEATS) -> dict[str, float]:
    """Return how long each of them takes for ``x``: the shortest of several calls, in turns, as other work may run beside them."""
    shortest = dict.fromkeys(networks, float("inf"))
    for turn in range(repeats + 1):
        for name, network in networks.items():
            start = perf_counter()
            network(x)
            if turn:  # the first call prepares
                shortest[name] = min(shortest[name], perf_counter() - start)
    return {name: round(1000 * seconds, 1) for name, seconds in shortest.items()}
