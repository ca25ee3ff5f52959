"""What `subpixel_tensorflow.to_tflite` writes, in the interpreter of TFLite: ours exported, judged on what docs/export.md says of it.

https://ai.google.dev/edge/litert/conversion/tensorflow/convert_tf is the converter, and TensorFlow's own interpreter the runtime. Files are
written without being verified: that is what is done here. One file serves every batch and every extent, of a shift the channels too. The
shift is the layer ``PhaseShift`` and its inverse ``InversePhaseShift``, in float32, and quantized in int8, where the integers are moved as
they are. Nothing is said of empty tensors, and they are not claimed.
"""

import tempfile
from collections.abc import Mapping
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import subpixel_tensorflow
from subpixel_conformance.adapters.exported import ExportedLayer
from subpixel_conformance.callables import Adapter
from subpixel_tensorflow.adapter import adapter as eager
from subpixel_tensorflow.export import load_tflite, run_tflite


def interpreter(layer: Any, ndim: int, channels: int | None, calibration: Any = None) -> Any:
    """Export a layer, in int8 where it is calibrated, for any batch and any spatial extents, and load the file."""
    model = keras.Sequential([keras.Input((*(None,) * ndim, channels)), layer])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        subpixel_tensorflow.to_tflite(model, path, int8=calibration is not None, calibration=calibration, verify=False)
        return load_tflite(path.read_bytes())


@cache
def _shift(layer: Any, scale: tuple[int, ...], order: Any, dtype: str) -> Any:
    """Export a layer for any number of channels. Which scale the integers have is all the same where they are moved."""
    shape = (1, *scale, 2 * prod(scale))
    calibration = [np.linspace(-1, 1, prod(shape)).reshape(shape)] if dtype == "int8" else None
    return interpreter(layer(scale, order=order), len(scale), None, calibration)


class TensorFlowTflite(Adapter):
    """Layers of `subpixel_tensorflow`, computed by the interpreter."""

    name = "tensorflow-tflite"
    versions: Mapping[str, str] = {"tensorflow": tf.__version__, "keras": keras.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift", "layer"),
        "data_formats": ("channels_last",),
        "ndims": (1, 2, 3),
        "batch_ndims": (1,),
        "empty": False,
        "scale_one": False,
        "dtypes": ("float32", "int8"),
        "layers": ({"dtype": "float32"},),
        "fresh": False,
    }

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what the interpreter makes of the exported layer."""
        return run_tflite(_shift(subpixel_tensorflow.PhaseShift, scale, order, x.dtype.name), x)

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what the interpreter makes of the exported layer."""
        return run_tflite(_shift(subpixel_tensorflow.InversePhaseShift, scale, order, x.dtype.name), x)

    def layer(self, config: Any, device: str, parameters: Any = None) -> ExportedLayer:
        """Construct a layer and export it."""
        layer = eager.layer(config, device, parameters)
        return ExportedLayer(layer, lambda x: partial(run_tflite, interpreter(layer.layer, config.ndim, config.in_channels)))


adapter = TensorFlowTflite()
