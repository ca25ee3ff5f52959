"""Paddle's ``pixel_shuffle`` and ``pixel_unshuffle``, judged on what their documentation says.

https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/functional/pixel_shuffle_en.html: a "4-D tensor, the data type should
be float32 or float64", one factor, ``data_format`` NCHW or NHWC. The order is not stated; that of the default format is CRD, so CRD is
what is judged in both formats (PS-005). Nothing is said of empty tensors, and they are not claimed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.callables import Adapter

FORMATS = {"channels_first": "NCHW", "channels_last": "NHWC"}


class Paddle(Adapter):
    """``paddle.nn.functional.pixel_shuffle`` and ``pixel_unshuffle``."""

    name = "paddle"
    versions: Mapping[str, str] = {"paddlepaddle": paddle.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("CRD",),
        "data_formats": ("channels_last", "channels_first"),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "empty": False,
        "dtypes": ("float32", "float64"),
        "devices": ("cpu",),
        "refusals": ("ER-006",),
    }

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return the tensor of these values, on the CPU."""
        return paddle.to_tensor(array, place=paddle.CPUPlace())

    def to_numpy(self, value: Any) -> np.ndarray:
        """Return the values."""
        return value.numpy()

    def device_of(self, value: Any) -> str:
        """Return "cpu" or "cuda"."""
        return "cuda" if value.place.is_gpu_place() else "cpu"

    def phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return ``pixel_shuffle(x, r, data_format)``."""
        return paddle.nn.functional.pixel_shuffle(x, one_factor(scale), FORMATS[data_format])

    def inverse_phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return ``pixel_unshuffle(x, r, data_format)``."""
        return paddle.nn.functional.pixel_unshuffle(x, one_factor(scale), FORMATS[data_format])

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        function = {"phase_shift": "pixel_shuffle", "inverse_phase_shift": "pixel_unshuffle"}[operation]
        arguments = f'paddle.to_tensor(x), {one_factor(scale)!r}, "{FORMATS[data_format]}"'
        return f"import paddle\ny = paddle.nn.functional.{function}({arguments}).numpy()"


adapter = Paddle()
