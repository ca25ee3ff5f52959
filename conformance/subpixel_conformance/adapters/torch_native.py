"""PyTorch's own ``pixel_shuffle`` and ``pixel_unshuffle``, judged on what their documentation says.

https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html: "Rearranges elements in a tensor of shape (*, C × r², H, W) to
a tensor of shape (*, C, H × r, W × r)", "where * is zero or more batch dimensions", ``upscale_factor (int)``. So: channels first, 2-D, one
factor, CRD. The unsigned types beyond uint8 are not implemented, and not claimed.
"""

import shutil
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from subpixel_conformance.adapters import tensors
from subpixel_conformance.adapters.one_factor import one_factor

DTYPES = (
    *("bool", "uint8", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)


class TorchNative:
    """``torch.nn.functional.pixel_shuffle`` and ``pixel_unshuffle``."""

    name = "torch-native"
    versions: ClassVar[Mapping[str, str]] = {"torch": torch.__version__}
    claims: ClassVar[Mapping[str, Any]] = {
        "operations": ("phase_shift", "inverse_phase_shift", "vjp"),
        "orders": ("CRD",),
        "data_formats": ("channels_first",),
        "ndims": (2,),
        "batch_ndims": (0, 1, 2),
        "anisotropic": False,
        "dtypes": DTYPES,
        "modes": ("eager", "compile", "compile-dynamic"),
        "devices": ("cpu", "cuda"),
        "refusals": ("ER-001", "ER-002", "ER-003", "ER-004", "ER-006"),
    }

    def devices(self) -> Mapping[str, str | None]:
        """Return cpu, and cuda with the reason where torch sees no GPU."""
        return {"cpu": None, "cuda": None if torch.cuda.is_available() else f"torch {torch.__version__} sees no CUDA device"}

    def modes(self, device: str) -> Mapping[str, str | None]:
        """Return the modes; compilation for the CPU needs a C++ compiler, for a GPU Triton."""
        if device == "cpu":
            lacking = None if any(map(shutil.which, ("g++", "clang++", "cl"))) else "torch.compile needs a C++ compiler"
        else:
            lacking = None if torch.utils._triton.has_triton() else "torch.compile needs Triton"
        return {"eager": None, "compile": lacking, "compile-dynamic": lacking}

    def to_native(self, array: np.ndarray, device: str) -> torch.Tensor:
        """Return the tensor of these values and, as far as torch has such strides, of this memory layout."""
        return tensors.torch_tensor(array).to(device)

    def to_numpy(self, value: torch.Tensor) -> np.ndarray:
        """Return the values; bfloat16 as the type of ml_dtypes."""
        return tensors.to_numpy(value)

    def device_of(self, value: torch.Tensor) -> str:
        """Return "cpu" or "cuda"."""
        return value.device.type

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """Return ``function``, through torch.compile unless the mode is "eager"."""
        if mode == "eager":
            return function
        torch.compiler.reset()
        return torch.compile(function, fullgraph=True, dynamic=mode == "compile-dynamic")

    def phase_shift(self, x: torch.Tensor, scale: Any, *, order: str, data_format: str) -> torch.Tensor:
        """Return ``pixel_shuffle(x, r)``."""
        return F.pixel_shuffle(x, one_factor(scale))

    def inverse_phase_shift(self, x: torch.Tensor, scale: Any, *, order: str, data_format: str) -> torch.Tensor:
        """Return ``pixel_unshuffle(x, r)``."""
        return F.pixel_unshuffle(x, one_factor(scale))

    def vjp(self, function: Callable[[Any], Any], x: torch.Tensor, cotangent: torch.Tensor) -> torch.Tensor:
        """Return the gradient of <function(x), cotangent> by autograd."""
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(x), x, cotangent)
        return gradient

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        function = {"phase_shift": "pixel_shuffle", "inverse_phase_shift": "pixel_unshuffle"}[operation]
        return f"import torch\nimport torch.nn.functional as F\ny = F.{function}(torch.from_numpy(x), {one_factor(scale)!r}).numpy()"


adapter = TorchNative()
