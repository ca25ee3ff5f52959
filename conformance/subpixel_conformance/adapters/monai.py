"""MONAI's functions, its ``SubpixelUpsample`` and its ``UpSample``, judged on what their documentation says.

https://docs.monai.io/en/stable/networks.html: ``pixelshuffle`` and ``pixelunshuffle`` take a "tensor with shape BCHW[D]" and a factor that
"must be >=1", raise ValueError "when input channels … are not divisible" and "when spatial dimensions are not divisible", and refer for
the order to ``torch.nn.PixelShuffle`` (so: CRD). ``icnr_init`` is the "ICNR initialization for 2D/3D kernels adapted from Aitken et al."
``SubpixelUpsample`` "supports 1D, 2D and 3D input images", with one 3-tap convolution. How it starts is not claimed: it cites "Aitken et
al., 2017, Checkerboard artifact free sub-pixel convolution", and what it applies is an initialization "for 2D/3D kernels"; nothing is said
of its bias. It is judged without its pooling, whose padding the documentation fixes in its own way. Of ``UpSample`` in the
mode "pixelshuffle" the factor "has to match input size if it is a tuple", so that each axis has its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

import monai
import numpy as np
import torch
from monai.networks.blocks import SubpixelUpsample, UpSample
from monai.networks.utils import icnr_init, pixelshuffle, pixelunshuffle

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.adapters.torch_eager import TorchEager
from subpixel_conformance.adapters.torch_layer import ChannelsFirstLayer, canonical, torch_layout
from subpixel_conformance.adapters.torch_native import DTYPES

CONVOLUTIONS: dict[int, Any] = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
PLAIN = {"padding": "same", "separable": False, "blur": False, "factors": None}


class Monai(TorchEager):
    """The functions, and ``SubpixelUpsample`` without its pooling."""

    name = "monai"
    versions: Mapping[str, str] = {"monai": monai.__version__, "torch": torch.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift", "icnr", "layer"),
        "orders": ("CRD",),
        "data_formats": ("channels_first",),
        "ndims": (1, 2, 3),
        "batch_ndims": (1,),
        "anisotropic": False,
        # Not float64: `icnr_init` hands the initializer a float32 tensor, and the documentation names no dtype.
        "dtypes": tuple(dtype for dtype in DTYPES if dtype != "float64"),
        "devices": ("cpu",),
        "refusals": ("ER-001", "ER-003", "ER-004"),
        "layers": tuple({**PLAIN, "ndim": ndim, "kernel_size": (3,) * ndim, "dtype": "float32"} for ndim in CONVOLUTIONS),
        "fresh": False,
    }

    def phase_shift(self, x: torch.Tensor, scale: Any, *, order: str, data_format: str) -> torch.Tensor:
        """Return ``pixelshuffle(x, spatial_dims, r)``."""
        return pixelshuffle(x, len(scale), one_factor(scale))

    def inverse_phase_shift(self, x: torch.Tensor, scale: Any, *, order: str, data_format: str) -> torch.Tensor:
        """Return ``pixelunshuffle(x, spatial_dims, r)``."""
        return pixelunshuffle(x, len(scale), one_factor(scale))

    def icnr(
        self, base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: str, dtype: str = "float32"
    ) -> np.ndarray:
        """Return the kernel that ``icnr_init`` writes into a convolution of this shape."""
        *taps, inputs, outputs = shape
        conv = CONVOLUTIONS[len(taps)](inputs, outputs, tuple(taps), bias=False, dtype=getattr(torch, dtype))

        def init(weight: torch.Tensor) -> torch.Tensor:
            asked = canonical(weight).shape
            return weight.copy_(torch_layout(base(asked)))

        icnr_init(conv, one_factor(scale), init)
        return canonical(conv.weight)

    def layer(self, config: Any, device: str, parameters: Any = None) -> ChannelsFirstLayer:
        """Construct a ``SubpixelUpsample`` with its own convolution."""
        module = SubpixelUpsample(
            config.ndim, config.in_channels, config.out_channels, one_factor(config.scale), apply_pad_pool=False, bias=config.bias
        )
        return ChannelsFirstLayer(module, module.conv_block, parameters)

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        function = {"phase_shift": "pixelshuffle", "inverse_phase_shift": "pixelunshuffle"}[operation]
        return (
            f"import torch\nfrom monai.networks.utils import {function}\n"
            f"y = {function}(torch.from_numpy(x), {len(scale)}, {one_factor(scale)!r}).numpy()"
        )


class MonaiUpSample(TorchEager):
    """``UpSample`` in the mode "pixelshuffle", with a factor for every axis and a convolution of one tap before it."""

    name = "monai-upsample"
    versions: Mapping[str, str] = Monai.versions
    claims: Mapping[str, Any] = {
        "operations": ("layer",),
        "orders": ("CRD",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "devices": ("cpu",),
        "layers": ({**PLAIN, "kernel_size": (1, 1), "scale": (2, 3), "dtype": "float32"},),
    }

    def layer(self, config: Any, device: str, parameters: Any = None) -> ChannelsFirstLayer:
        """Construct an ``UpSample`` whose ``pre_conv`` is a convolution that this adapter brings along."""
        conv = torch.nn.Conv2d(config.in_channels, config.out_channels * int(np.prod(config.scale)), 1, bias=config.bias)
        module = UpSample(
            2, config.in_channels, config.out_channels, scale_factor=config.scale, mode="pixelshuffle", pre_conv=conv, apply_pad_pool=False
        )
        return ChannelsFirstLayer(module, conv, parameters)


adapter = Monai()
upsample_adapter = MonaiUpSample()
