"""diffusers' ``PixelShuffleND``, of the latent upsampler of LTX-Video, judged on what it says of itself.

https://github.com/huggingface/diffusers/blob/v0.42.0/src/diffusers/pipelines/ltx/modeling_latent_upsampler.py: "spatiotemporal: b (c p1 p2
p3) d h w -> b c (d p1) (h p2) (w p3)", "spatial: b (c p1 p2) h w -> b c (h p1) (w p2)". So: CRD, channels first, 2-D and 3-D, a factor for
each axis, one batch axis. With ``dims=1`` it takes a tensor with two more axes, and that is not claimed.
"""

from collections.abc import Mapping
from typing import Any

import diffusers
import torch
from diffusers.pipelines.ltx.modeling_latent_upsampler import PixelShuffleND

from subpixel_conformance.adapters.torch_eager import TorchEager
from subpixel_conformance.adapters.torch_native import DTYPES


class Diffusers(TorchEager):
    """``PixelShuffleND``."""

    name = "diffusers"
    versions: Mapping[str, str] = {"diffusers": diffusers.__version__, "torch": torch.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift",),
        "orders": ("CRD",),
        "data_formats": ("channels_first",),
        "ndims": (2, 3),
        "batch_ndims": (1,),
        "dtypes": DTYPES,
        "devices": ("cpu",),
    }

    def phase_shift(self, x: torch.Tensor, scale: Any, *, order: str, data_format: str) -> torch.Tensor:
        """Return ``PixelShuffleND(dims, factors)(x)``."""
        return PixelShuffleND(len(scale), scale)(x)

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        return (
            "import torch\nfrom diffusers.pipelines.ltx.modeling_latent_upsampler import PixelShuffleND\n"
            f"y = PixelShuffleND({len(scale)}, {scale})(torch.from_numpy(x)).numpy()"
        )


adapter = Diffusers()
