"""Sub-pixel convolution for PyTorch: the specification's plans, carried out on tensors."""

from subpixel_torch.convert import convert, from_conv_transpose, from_resize_conv
from subpixel_torch.export import to_onnx
from subpixel_torch.initializers import icnr_
from subpixel_torch.layers import (
    ChainedSubpixelConv1d,
    ChainedSubpixelConv2d,
    ChainedSubpixelConv3d,
    ExactSubpixelConv,
    PhaseShift,
    SubpixelConv1d,
    SubpixelConv2d,
    SubpixelConv3d,
)
from subpixel_torch.ops import box_blur, inverse_phase_shift, phase_shift
from subpixel_torch.unet import ResidualUNet, get_parameters, load_weights, save_weights, set_parameters

__all__ = [
    "ChainedSubpixelConv1d",
    "ChainedSubpixelConv2d",
    "ChainedSubpixelConv3d",
    "ExactSubpixelConv",
    "PhaseShift",
    "ResidualUNet",
    "SubpixelConv1d",
    "SubpixelConv2d",
    "SubpixelConv3d",
    "box_blur",
    "convert",
    "from_conv_transpose",
    "from_resize_conv",
    "get_parameters",
    "icnr_",
    "inverse_phase_shift",
    "load_weights",
    "phase_shift",
    "save_weights",
    "set_parameters",
    "to_onnx",
]
