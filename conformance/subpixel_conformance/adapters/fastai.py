"""fastai's ``icnr_init`` and ``PixelShuffle_ICNR``, judged on what their documentation says.

https://docs.fast.ai/layers.html: ``icnr_init`` is the "ICNR init of `x`, with `scale` and `init` function", and ``PixelShuffle_ICNR`` is
to "upsample by `scale` from `ni` filters to `nf` (default `ni`), using `nn.PixelShuffle`". So: CRD, 2-D, one tap, any one factor, and
initialized as its name says (Aitken et al. 2017). It is judged without activation, blur and normalization, which the law of ICNR does not
know.
"""

from collections.abc import Callable, Mapping
from typing import Any

import fastai
import numpy as np
import torch
from fastai.layers import PixelShuffle_ICNR, icnr_init

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.adapters.torch_eager import TorchEager
from subpixel_conformance.adapters.torch_layer import ChannelsFirstLayer, canonical, torch_layout


class Fastai(TorchEager):
    """``icnr_init`` and ``PixelShuffle_ICNR``."""

    name = "fastai"
    versions: Mapping[str, str] = {"fastai": fastai.__version__, "torch": torch.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("icnr", "layer"),
        "orders": ("CRD",),
        "data_formats": ("channels_first",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "scale_one": False,
        "devices": ("cpu",),
        "layers": ({"kernel_size": (1, 1), "padding": "same", "separable": False, "blur": False, "factors": None, "dtype": "float32"},),
    }

    def icnr(self, base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: str) -> np.ndarray:
        """Return the kernel that ``icnr_init`` makes of a weight of this shape."""

        def init(weight: torch.Tensor) -> torch.Tensor:
            return torch_layout(base(canonical(weight).shape))

        return canonical(icnr_init(torch_layout(np.zeros(shape, np.float32)), one_factor(scale), init))

    def layer(self, config: Any, device: str, parameters: Any = None) -> ChannelsFirstLayer:
        """Construct a ``PixelShuffle_ICNR`` that is nothing but its convolution and the shift."""
        module = PixelShuffle_ICNR(config.in_channels, config.out_channels, one_factor(config.scale), norm_type=None, act_cls=None)
        return ChannelsFirstLayer(module, module[0][0], parameters)


adapter = Fastai()
