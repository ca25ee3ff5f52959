"""Sub-pixel convolution for JAX: the specification's plans, carried out on arrays by pure functions over pytrees."""

from subpixel_jax.convert import ExactSubpixelConv, from_conv_transpose, from_resize_conv, is_measured_faster
from subpixel_jax.export import to_stablehlo
from subpixel_jax.initializers import icnr
from subpixel_jax.layers import chained_subpixel_conv, init_chained_subpixel_conv, init_subpixel_conv, subpixel_conv
from subpixel_jax.ops import box_blur, inverse_phase_shift, phase_shift
from subpixel_jax.unet import init_residual_unet, load_weights, residual_unet, save_weights

__all__ = [
    "ExactSubpixelConv",
    "box_blur",
    "chained_subpixel_conv",
    "from_conv_transpose",
    "from_resize_conv",
    "icnr",
    "init_chained_subpixel_conv",
    "init_residual_unet",
    "init_subpixel_conv",
    "inverse_phase_shift",
    "is_measured_faster",
    "load_weights",
    "phase_shift",
    "residual_unet",
    "save_weights",
    "subpixel_conv",
    "to_stablehlo",
]
