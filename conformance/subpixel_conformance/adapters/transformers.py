"""transformers' ``InternVLModel.pixel_shuffle``, judged on what its documentation says.

https://huggingface.co/docs/transformers/model_doc/internvl: "pixel shuffle downsampling on vision features" of shape "(batch_size, width,
height, channels)", to "(batch_size, height*scale_factor, width*scale_factor, channels/(scale_factor^2))", so it is an *inverse* phase
shift, channels last, 2-D, one factor. Its factor is judged at 1 / 2, 1 / 3 and so on because "scale_factor (`float`, *optional*, defaults
to `0.5`)" is the "Factor by which to downsample", of which 0.5 is the default and not the only one. It names the first spatial axis the
width; the suite calls the axes as they come. The order is not stated; trained weights depend on the one that it has, DCR, and that is what
is judged. Views are not claimed: "Input tensor of shape (batch_size, width, height, channels)" is all that is said of the tensor.
"""

from collections.abc import Mapping
from typing import Any

import torch
import transformers
from transformers.models.internvl.modeling_internvl import InternVLModel

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.adapters.torch_eager import TorchEager


def pixel_shuffle(x: torch.Tensor, scale_factor: int) -> torch.Tensor:
    """Return ``InternVLModel.pixel_shuffle(x, 1 / scale_factor)``; the method uses nothing of its object."""
    return InternVLModel.pixel_shuffle(None, x, 1 / scale_factor)


class Transformers(TorchEager):
    """``InternVLModel.pixel_shuffle``."""

    name = "transformers"
    versions: Mapping[str, str] = {"transformers": transformers.__version__, "torch": torch.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("inverse_phase_shift",),
        "orders": ("DCR",),
        "data_formats": ("channels_last",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "strided": False,
        "dtypes": ("float16", "bfloat16", "float32", "float64"),
        "devices": ("cpu",),
        "refusals": ("ER-004",),
    }

    def inverse_phase_shift(self, x: torch.Tensor, scale: Any, *, order: str, data_format: str) -> torch.Tensor:
        """Return ``pixel_shuffle(x, 1 / r)``."""
        return pixel_shuffle(x, one_factor(scale))

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        return (
            "import torch\nfrom transformers.models.internvl.modeling_internvl import InternVLModel\n"
            f"y = InternVLModel.pixel_shuffle(None, torch.from_numpy(x), 1 / {one_factor(scale)}).numpy()"
        )


adapter = Transformers()
