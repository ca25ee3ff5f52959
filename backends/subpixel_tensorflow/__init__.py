"""Sub-pixel convolution for TensorFlow and Keras 3: the specification's plans, carried out on tensors."""

import keras

from subpixel_core.check import keras_backend
from subpixel_tensorflow.convert import convert, from_conv_transpose, from_resize_conv
from subpixel_tensorflow.export import to_saved_model, to_tflite
from subpixel_tensorflow.initializers import ICNR
from subpixel_tensorflow.layers import (
    ChainedSubpixelConv1D,
    ChainedSubpixelConv2D,
    ChainedSubpixelConv3D,
    ExactSubpixelConv1D,
    ExactSubpixelConv2D,
    ExactSubpixelConv3D,
    InversePhaseShift,
    PhaseShift,
    SubpixelConv1D,
    SubpixelConv2D,
    SubpixelConv3D,
)
from subpixel_tensorflow.ops import box_blur, inverse_phase_shift, phase_shift
from subpixel_tensorflow.unet import get_parameters, load_weights, residual_unet, save_weights, set_parameters

keras_backend(keras.config.backend())

__all__ = [
    "ICNR",
    "ChainedSubpixelConv1D",
    "ChainedSubpixelConv2D",
    "ChainedSubpixelConv3D",
    "ExactSubpixelConv1D",
    "ExactSubpixelConv2D",
    "ExactSubpixelConv3D",
    "InversePhaseShift",
    "PhaseShift",
    "SubpixelConv1D",
    "SubpixelConv2D",
    "SubpixelConv3D",
    "box_blur",
    "convert",
    "from_conv_transpose",
    "from_resize_conv",
    "get_parameters",
    "inverse_phase_shift",
    "load_weights",
    "phase_shift",
    "residual_unet",
    "save_weights",
    "set_parameters",
    "to_saved_model",
    "to_tflite",
]
