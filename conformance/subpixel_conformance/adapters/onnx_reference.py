"""ONNX's ReferenceEvaluator on models of one node, judged on what the operators' specification says.

https://onnx.ai/onnx/operators/onnx__DepthToSpace.html and onnx__SpaceToDepth.html: an "input tensor of [N,C,H,W]", all tensor types, the
modes DCR and CRD as formulas, for SpaceToDepth from opset 28. So: channels first, 2-D, one factor, both orders. Nothing is said of what is
refused.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.reference

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.adapters.onnx_model import one_node
from subpixel_conformance.callables import Adapter
from subpixel_conformance.case import DTYPES


class OnnxReference(Adapter):
    """DepthToSpace and SpaceToDepth of opset 28."""

    name = "onnx-reference"
    versions: Mapping[str, str] = {"onnx": onnx.__version__, "numpy": np.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("DCR", "CRD"),
        "data_formats": ("channels_first",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "dtypes": DTYPES,
        "devices": ("cpu",),
    }

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> Any:
        """Return what the evaluator gives for DepthToSpace."""
        return self._run("phase_shift", x, scale, order)

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> Any:
        """Return what the evaluator gives for SpaceToDepth."""
        return self._run("inverse_phase_shift", x, scale, order)

    def _run(self, operation: str, x: np.ndarray, scale: Any, order: str) -> Any:
        model = one_node(operation, one_factor(scale), order, x.dtype, 28)
        (y,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
        return y

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        operator = {"phase_shift": "DepthToSpace", "inverse_phase_shift": "SpaceToDepth"}[operation]
        return (
            "from onnx import parser, reference\n"
            f'model = parser.parse_model(\'<ir_version: 10, opset_import: ["" : 28]> g (float[n,c,h,w] x) => (float[a,b,d,e] y) '
            f'{{ y = {operator} <blocksize = {one_factor(scale)}, mode = "{order}"> (x) }}\')\n'
            'y = reference.ReferenceEvaluator(model).run(None, {"x": x})[0]'
        )


adapter = OnnxReference()
