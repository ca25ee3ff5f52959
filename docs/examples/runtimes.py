"""Exported files in their runtimes: the interpreter of TFLite and onnxruntime, one thread each; and onnxruntime's own quantization."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Network = Callable[[Array], Array]
"""From images (N, H, W, C) to images, of any extents."""

REPEATS = 40


def tflite(path: Path) -> Network:
    """Return a TFLite file as a function; what is quantized takes and gives integers, and here what they stand for."""
    from subpixel_tensorflow.export import load_tflite, run_tflite

    return partial(run_tflite, load_tflite(path.read_bytes()))


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
