"""Sub-pixel convolution: the NumPy reference of the specification in ``docs/spec``."""

from subpixel_core._checkerboard import box_blur, checkerboard
from subpixel_core._conversion import Conversion, ConversionReport
from subpixel_core._convolution import conv, conv_transpose, depthwise_conv, nearest_upsample, separable_subpixel_conv, subpixel_conv
from subpixel_core._equivalence import (
    choose_form,
    collapse_stages,
    conv_unshift_to_strided,
    deconv_to_subpixel,
    fractionally_strided_conv,
    resize_conv_to_subpixel,
    shift_conv_to_subpixel,
    subpixel_to_deconv,
    unshift_conv_to_strided,
)
from subpixel_core._icnr import base_shape, fans, icnr, icnr_bias, icnr_residual, icnr_weight_norm
from subpixel_core._order import DATA_FORMATS, ORDERS, DataFormat, Order, channel_permutation
from subpixel_core._phase_shift import Rearrangement, few_axes, inverse_phase_shift, phase_shift, rearrangement
from subpixel_core._stages import Stage, StagePlan, factorizations, plan_stages
from subpixel_core._unet import (
    ResidualUNetConfig,
    convert_order,
    init_parameters,
    network,
    parameter_shapes,
    residual_unet,
    statistics_shapes,
)
from subpixel_core._upsampling import StridedKernel, SubpixelKernel, TransposedKernel
from subpixel_core._version import SPEC_VERSION, __version__
from subpixel_core._weights import load_weights, save_weights
from subpixel_core.check import padding_widths

__all__ = [
    "DATA_FORMATS",
    "ORDERS",
    "SPEC_VERSION",
    "Conversion",
    "ConversionReport",
    "DataFormat",
    "Order",
    "Rearrangement",
    "ResidualUNetConfig",
    "Stage",
    "StagePlan",
    "StridedKernel",
    "SubpixelKernel",
    "TransposedKernel",
    "__version__",
    "base_shape",
    "box_blur",
    "channel_permutation",
    "checkerboard",
    "choose_form",
    "collapse_stages",
    "conv",
    "conv_transpose",
    "conv_unshift_to_strided",
    "convert_order",
    "deconv_to_subpixel",
    "depthwise_conv",
    "factorizations",
    "fans",
    "few_axes",
    "fractionally_strided_conv",
    "icnr",
    "icnr_bias",
    "icnr_residual",
    "icnr_weight_norm",
    "init_parameters",
    "inverse_phase_shift",
    "load_weights",
    "nearest_upsample",
    "network",
    "padding_widths",
    "parameter_shapes",
    "phase_shift",
    "plan_stages",
    "rearrangement",
    "residual_unet",
    "resize_conv_to_subpixel",
    "save_weights",
    "separable_subpixel_conv",
    "shift_conv_to_subpixel",
    "statistics_shapes",
    "subpixel_conv",
    "subpixel_to_deconv",
    "unshift_conv_to_strided",
]
