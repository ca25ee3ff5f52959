"""``keras.ops.depth_to_space`` and ``space_to_depth`` on the backend named by KERAS_BACKEND, judged on what their documentation says.

https://keras.io/api/ops/nn/: the input "must be 4D", the channels "must be divisible by block_size ** 2", height and width "by block_size",
and ``data_format`` is "the data format of the input tensor", that is, where the channels are and no more. The order is not stated; that of
the default format, on every backend, is DCR. So DCR is what is judged in both formats (PS-005). ``block_size`` "must be at least 2".
"""

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, ClassVar

import keras
import numpy as np

from subpixel_conformance.adapters.one_factor import one_factor


class KerasOps:
    """``keras.ops.depth_to_space`` and ``keras.ops.space_to_depth`` on one backend."""

    name = f"keras-{keras.backend.backend()}"
    versions: ClassVar[Mapping[str, str]] = {"keras": keras.__version__, keras.backend.backend(): version(keras.backend.backend())}
    claims: ClassVar[Mapping[str, Any]] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("DCR",),
        "data_formats": ("channels_last", "channels_first"),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "scale_one": False,
        "dtypes": ("bool", "uint8", "int8", "int16", "int32", "float16", "bfloat16", "float32"),
        "devices": ("cpu",),
        "refusals": ("ER-001", "ER-003", "ER-004", "ER-006"),
    }

    def devices(self) -> Mapping[str, str | None]:
        """Return the CPU."""
        return {"cpu": None}

    def modes(self, device: str) -> Mapping[str, str | None]:
        """Return "eager"."""
        return {"eager": None}

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return the backend's tensor of these values, on the CPU."""
        if keras.backend.backend() == "torch":
            return torch_adapter().to_native(array, "cpu")
        with keras.device("cpu:0"):
            return keras.ops.convert_to_tensor(array.copy())

    def to_numpy(self, value: Any) -> np.ndarray:
        """Return the values."""
        if keras.backend.backend() == "torch":
            return torch_adapter().to_numpy(value)
        return np.asarray(keras.ops.convert_to_numpy(value))

    def device_of(self, value: Any) -> str:
        """Return "cpu" or "cuda"."""
        device = str(value.device).lower()
        return "cuda" if "gpu" in device or "cuda" in device else "cpu"

    def compile(self, function: Any, mode: str) -> Any:
        """Return ``function``: "eager" is the only mode claimed."""
        return function

    def phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return ``keras.ops.depth_to_space(x, r, data_format)``."""
        with keras.device("cpu:0"):
            return keras.ops.depth_to_space(x, one_factor(scale), data_format=data_format)

    def inverse_phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return ``keras.ops.space_to_depth(x, r, data_format)``."""
        with keras.device("cpu:0"):
            return keras.ops.space_to_depth(x, one_factor(scale), data_format=data_format)

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        function = {"phase_shift": "depth_to_space", "inverse_phase_shift": "space_to_depth"}[operation]
        backend = os.environ.get("KERAS_BACKEND", keras.backend.backend())
        return (
            f'import os\nos.environ["KERAS_BACKEND"] = "{backend}"\nimport keras\n'
            f'y = keras.ops.convert_to_numpy(keras.ops.{function}(x, {one_factor(scale)!r}, data_format="{data_format}"))'
        )


def torch_adapter() -> Any:
    """Return the conversions for torch: those of Keras pass bfloat16 through float32, which changes signalling NaNs."""
    from subpixel_conformance.adapters.torch_native import adapter as torch_native

    return torch_native


adapter = KerasOps()
