"""Sub-pixel convolution for PyTorch: the specification's plans, carried out on tensors."""

from subpixel_torch.initializers import icnr_
from subpixel_torch.layers import (
    ChainedSubpixelConv1d,
    ChainedSubpixelConv2d,
    ChainedSubpixelConv3d,
    PhaseShift,
    SubpixelConv1d,
    SubpixelConv2d,
    SubpixelConv3d,
)
from subpixel_torch.ops import box_blur, inverse_phase_shift, phase_shift

__all__ = [
    "ChainedSubpixelConv1d",
    "ChainedSubpixelConv2d",
    "ChainedSubpixelConv3d",
    "PhaseShift",
    "SubpixelConv1d",
    "SubpixelConv2d",
    "SubpixelConv3d",
    "box_blur",
    "icnr_",
    "inverse_phase_shift",
    "phase_shift",
]
