"""What `subpixel_torch.to_onnx` writes, in onnxruntime: ours exported, judged on what docs/export.md says of it.

https://docs.pytorch.org/docs/stable/onnx_export.html is the exporter, https://onnxruntime.ai/docs/ the runtime. Files are written without
being verified: that is what is done here. One file serves every batch and every extent, and where no channels are gathered every number
of channels, so that most are run at sizes that they were not exported at. An export takes its time, so less is claimed than could be:
float32 alone, channels first, one batch axis. Nothing is said of empty tensors, and they are not claimed.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

import subpixel_torch
from subpixel_conformance.adapters.exported import ExportedLayer
from subpixel_conformance.adapters.tensors import torch_tensor
from subpixel_conformance.callables import Adapter
from subpixel_torch.adapter import adapter as eager


def session(model: Any, example: np.ndarray, known: Sequence[int]) -> onnxruntime.InferenceSession:
    """Export a model for any extents but those of the axes that are known, and load the file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    unknown = {axis: f"extent_{axis}" for axis in range(example.ndim) if axis not in known}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        subpixel_torch.to_onnx(model, torch_tensor(example), path, dynamic_shapes=(unknown,), verify=False)
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, x: np.ndarray) -> np.ndarray:
    """Return what a session with one input and one output gives."""
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@cache
def _shift(operation: str, scale: tuple[int, ...], order: Any, channels: int | None, dtype: str) -> onnxruntime.InferenceSession:
    """Export one of the two functions, for any number of channels where it is None."""
    function: Callable[..., Any] = getattr(subpixel_torch, operation)
    example = np.zeros((2, channels or 2 * prod(scale), *(2 * factor for factor in scale)), dtype)
    return session(partial(function, scale=scale, order=order), example, () if channels is None else (1,))


def _gathers(operation: str, scale: tuple[int, ...], order: str) -> bool:
    """Whether channels are gathered, by a list that is in the file."""
    native = ("DCR", "CRD") if operation == "phase_shift" else ("DCR",)
    return len(scale) == 2 and scale[0] == scale[1] > 1 and order not in native


class TorchOnnxruntime(Adapter):
    """Functions and layers of `subpixel_torch`, in the orders that ONNX names."""

    name = "torch-onnxruntime"
    versions: Mapping[str, str] = {"torch": torch.__version__, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift", "layer"),
        "orders": ("DCR", "CRD"),
        "data_formats": ("channels_first",),
        "ndims": (1, 2, 3),
        "batch_ndims": (1,),
        "empty": False,
        "scale_one": False,
        "layers": ({"dtype": "float32"},),
        "fresh": False,
    }

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what onnxruntime makes of the exported function."""
        return self._moved("phase_shift", x, scale, order)

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what onnxruntime makes of the exported function."""
        return self._moved("inverse_phase_shift", x, scale, order)

    def _moved(self, operation: str, x: np.ndarray, scale: tuple[int, ...], order: str) -> np.ndarray:
        channels = x.shape[1] if _gathers(operation, scale, order) else None
        return run(_shift(operation, scale, order, channels, x.dtype.name), x)

    def layer(self, config: Any, device: str, parameters: Any = None) -> ExportedLayer:
        """Construct a layer and export it, as a function of channels_last arrays."""
        layer = eager.layer(config, device, parameters)

        def export(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            example = np.zeros((2, x.shape[-1], *(7, 6, 5)[: x.ndim - 2]), x.dtype)
            loaded = session(layer.module, example, (1,))
            return lambda x: np.moveaxis(run(loaded, np.ascontiguousarray(np.moveaxis(x, -1, 1))), 1, -1)

        return ExportedLayer(layer, export)


class TorchOnnxruntimeOthers(TorchOnnxruntime):
    """In the two orders that ONNX has no mode for: channels are gathered, or the order is folded into a kernel."""

    name = "torch-onnxruntime-others"
    claims: Mapping[str, Any] = {**TorchOnnxruntime.claims, "orders": ("DRC", "RCD")}


adapter = TorchOnnxruntime()
others_adapter = TorchOnnxruntimeOthers()
