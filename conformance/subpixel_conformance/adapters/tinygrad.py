"""tinygrad's ONNX operators DepthToSpace and SpaceToDepth, judged on what ONNX documents of them.

https://docs.tinygrad.org/nn/ (``tinygrad.nn.onnx``): the runner executes ONNX models, so its operators are those of
https://onnx.ai/onnx/operators/: an "input tensor of [N,C,H,W]", DepthToSpace in the modes DCR and CRD, SpaceToDepth as DCR. Both
directions are judged as DCR, and DepthToSpace alone as CRD. It computes on the device that the environment's DEV names; PYTHON needs no
compiler, and emulates float32 in Python's float, so that NaN payloads are not claimed of it. Nothing is said of empty tensors, and they
are not claimed.
"""

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from tinygrad import Tensor
from tinygrad.nn.onnx import onnx_ops

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.callables import Adapter


class Tinygrad(Adapter):
    """DepthToSpace (DCR) and SpaceToDepth."""

    name = "tinygrad"
    versions: Mapping[str, str] = {"tinygrad": version("tinygrad"), "its device": os.environ.get("DEV", "its default")}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("DCR",),
        "data_formats": ("channels_first",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "empty": False,
        "bit_patterns": False,
        "dtypes": ("float32", "int8", "uint8", "int32", "bool"),
        "devices": ("cpu",),
    }

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return the tensor of these values."""
        return Tensor(array)

    def to_numpy(self, value: Any) -> np.ndarray:
        """Return the values."""
        return value.numpy()

    def phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return what DepthToSpace gives."""
        return onnx_ops["DepthToSpace"](x, one_factor(scale), order)

    def inverse_phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return what SpaceToDepth gives."""
        return onnx_ops["SpaceToDepth"](x, one_factor(scale))

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        operator, mode = {"phase_shift": ("DepthToSpace", f', "{order}"'), "inverse_phase_shift": ("SpaceToDepth", "")}[operation]
        return (
            f"from tinygrad import Tensor\nfrom tinygrad.nn.onnx import onnx_ops\n"
            f'y = onnx_ops["{operator}"](Tensor(x), {one_factor(scale)!r}{mode}).numpy()'
        )


class TinygradCrd(Tinygrad):
    """DepthToSpace in the mode CRD, which SpaceToDepth does not have."""

    name = "tinygrad-crd"
    claims: Mapping[str, Any] = {**Tinygrad.claims, "operations": ("phase_shift",), "orders": ("CRD",)}


adapter = Tinygrad()
crd_adapter = TinygradCrd()
