"""OpenVINO's DepthToSpace-1 and SpaceToDepth-1 on its CPU plugin, judged on what their specification says.

https://docs.openvino.ai/2021.4/openvino_docs_ops_movement_DepthToSpace_1.html, and SpaceToDepth_1: an "input tensor of any type with rank
>= 3", "[N, C, D1, D2, ..., DK]", one ``block_size`` for all axes; in the mode ``blocks_first`` the depth "is divided to [block_size, ...,
block_size, new_depth]" (DCR), in ``depth_first`` to "[new_depth, block_size, ..., block_size]" (CRD). Judged are the types that the CPU
plugin computes in as they are. Nothing is said of empty tensors, and they are not claimed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.callables import Adapter

MODES = {"DCR": "blocks_first", "CRD": "depth_first"}


class OpenVino(Adapter):
    """``opset1.depth_to_space`` and ``opset1.space_to_depth``."""

    name = "openvino"
    versions: Mapping[str, str] = {"openvino": openvino.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("DCR", "CRD"),
        "data_formats": ("channels_first",),
        "ndims": (1, 2, 3),
        "batch_ndims": (1,),
        "anisotropic": False,
        "empty": False,
        "dtypes": ("float32", "int32", "int8", "uint8"),
        "devices": ("cpu",),
    }

    def __init__(self) -> None:
        self.core = openvino.Core()

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what a compiled model gives for DepthToSpace."""
        return self._run("depth_to_space", x, scale, order)

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what a compiled model gives for SpaceToDepth."""
        return self._run("space_to_depth", x, scale, order)

    def _run(self, operator: str, x: np.ndarray, scale: Any, order: str) -> np.ndarray:
        parameter = openvino.opset1.parameter([-1] * x.ndim, x.dtype)
        node = getattr(openvino.opset1, operator)(parameter, MODES[order], one_factor(scale))
        compiled = self.core.compile_model(openvino.Model([node], [parameter]), "CPU", {"INFERENCE_NUM_THREADS": 1})
        return compiled([x])[0]

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        operator = {"phase_shift": "depth_to_space", "inverse_phase_shift": "space_to_depth"}[operation]
        return (
            "import openvino\n"
            "p = openvino.opset1.parameter([-1] * x.ndim, x.dtype)\n"
            f'model = openvino.Model([openvino.opset1.{operator}(p, "{MODES[order]}", {one_factor(scale)})], [p])\n'
            'y = openvino.compile_model(model, "CPU")([x])[0]'
        )


adapter = OpenVino()
