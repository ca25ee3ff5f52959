"""onnxruntime's CPU kernels on models of one node, judged on what the operators' specification and its own list of kernels say.

https://onnx.ai/onnx/operators/onnx__DepthToSpace.html: an "input tensor of [N,C,H,W]", the modes DCR and CRD. SpaceToDepth has no mode in
the opsets that onnxruntime knows, and its formula there is DCR; so both directions are judged as DCR, and DepthToSpace alone as CRD.
https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md: float and double on the CPU. Nothing is said of empty tensors,
and they are not claimed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.adapters.onnx_model import one_node
from subpixel_conformance.callables import Adapter


class Onnxruntime(Adapter):
    """DepthToSpace (DCR) and SpaceToDepth of opset 13."""

    name = "onnxruntime"
    versions: Mapping[str, str] = {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("DCR",),
        "data_formats": ("channels_first",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "empty": False,
        "dtypes": ("float32", "float64"),
        "devices": ("cpu",),
    }

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> Any:
        """Return what a session gives for DepthToSpace."""
        return self._run("phase_shift", x, scale, order)

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> Any:
        """Return what a session gives for SpaceToDepth."""
        return self._run("inverse_phase_shift", x, scale, order)

    def _run(self, operation: str, x: np.ndarray, scale: Any, order: str) -> Any:
        model = one_node(operation, one_factor(scale), order, x.dtype, 13)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x})[0]

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        operator = {"phase_shift": "DepthToSpace", "inverse_phase_shift": "SpaceToDepth"}[operation]
        mode = f', mode = "{order}"' if operation == "phase_shift" else ""
        return (
            "import onnxruntime\nfrom onnx import parser\n"
            f'model = parser.parse_model(\'<ir_version: 10, opset_import: ["" : 13]> g (float[n,c,h,w] x) => (float[a,b,d,e] y) '
            f"{{ y = {operator} <blocksize = {one_factor(scale)}{mode}> (x) }}')\n"
            'y = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]'
        )


class OnnxruntimeCrd(Onnxruntime):
    """DepthToSpace in the mode CRD, which SpaceToDepth does not have."""

    name = "onnxruntime-crd"
    claims: Mapping[str, Any] = {**Onnxruntime.claims, "operations": ("phase_shift",), "orders": ("CRD",)}


adapter = Onnxruntime()
crd_adapter = OnnxruntimeCrd()
