"""TensorFlow's own ``depth_to_space`` and ``space_to_depth``, judged on what their documentation says.

https://www.tensorflow.org/api_docs/python/tf/nn/depth_to_space: "The Y, X coordinates within each block of the output image are determined
by the high order component of the input channel index", "n,iY,iX,bY,bX,oC … transposed to n,iY,bY,iX,bX,oC", ``block_size: An int that is
>= 2``. So: DCR, 2-D, one factor, one batch axis, no scale of 1. NCHW is documented and exists on GPUs only; it is not claimed on the CPU,
and other devices than the CPU are not claimed at all.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from subpixel_conformance.adapters.one_factor import one_factor

tf.config.set_visible_devices([], "GPU")

DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)


class TensorFlowNative:
    """``tf.nn.depth_to_space`` and ``tf.nn.space_to_depth``."""

    name = "tensorflow-native"
    versions: ClassVar[Mapping[str, str]] = {"tensorflow": tf.__version__}
    claims: ClassVar[Mapping[str, Any]] = {
        "operations": ("phase_shift", "inverse_phase_shift", "vjp"),
        "orders": ("DCR",),
        "data_formats": ("channels_last",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "scale_one": False,
        "dtypes": DTYPES,
        "modes": ("eager", "function", "function-dynamic", "function-xla"),
        "devices": ("cpu",),
        "refusals": ("ER-001", "ER-003", "ER-004", "ER-006"),
    }

    def devices(self) -> Mapping[str, str | None]:
        """Return the CPU."""
        return {"cpu": None}

    def modes(self, device: str) -> Mapping[str, str | None]:
        """Return the modes; TensorFlow brings all its compilers along."""
        return dict.fromkeys(self.claims["modes"])

    def to_native(self, array: np.ndarray, device: str) -> tf.Tensor:
        """Return the tensor of these values."""
        return tf.constant(array)

    def to_numpy(self, value: tf.Tensor) -> np.ndarray:
        """Return the values; bfloat16 as the type of ml_dtypes."""
        return np.asarray(value.numpy())

    def device_of(self, value: tf.Tensor) -> str:
        """Return "cpu" or "cuda"."""
        return "cuda" if "GPU" in value.device else "cpu"

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """Return ``function``, traced unless the mode is "eager"; "function-dynamic" knows the channels only."""
        if mode == "eager":
            return function
        if mode != "function-dynamic":
            return tf.function(function, jit_compile=mode == "function-xla")

        def call(x: tf.Tensor) -> tf.Tensor:
            unknown = tf.TensorSpec([*[None] * (x.shape.rank - 1), x.shape[-1]], x.dtype)
            return tf.function(function, input_signature=[unknown])(x)

        return call

    def phase_shift(self, x: tf.Tensor, scale: Any, *, order: str, data_format: str) -> tf.Tensor:
        """Return ``tf.nn.depth_to_space(x, r)``."""
        return tf.nn.depth_to_space(x, one_factor(scale))

    def inverse_phase_shift(self, x: tf.Tensor, scale: Any, *, order: str, data_format: str) -> tf.Tensor:
        """Return ``tf.nn.space_to_depth(x, r)``."""
        return tf.nn.space_to_depth(x, one_factor(scale))

    def vjp(self, function: Callable[[Any], Any], x: tf.Tensor, cotangent: tf.Tensor) -> tf.Tensor:
        """Return the gradient of <function(x), cotangent> by the tape."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x, output_gradients=cotangent)

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        function = {"phase_shift": "depth_to_space", "inverse_phase_shift": "space_to_depth"}[operation]
        return f"import tensorflow as tf\ny = tf.nn.{function}(tf.constant(x), {one_factor(scale)!r}).numpy()"


adapter = TensorFlowNative()
