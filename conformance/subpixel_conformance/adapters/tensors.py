"""From NumPy to the tensors of a framework and back. Imported in the process that calls the framework; imports one only when it is used."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

ToNative = Callable[[np.ndarray], Any]

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "paddle", "tinygrad")
PACKAGES = {
    "torchvision": "torch",
    "monai": "torch",
    "fastai": "torch",
    "kornia": "torch",
    "diffusers": "torch",
    "transformers": "torch",
    "subpixel_torch": "torch",
    "subpixel_tensorflow": "tensorflow",
    "subpixel_jax": "jax",
    "dm_pix": "jax",
}
"""Packages whose functions take the tensors of a framework."""


WRITTEN = {
    "torch": ("import torch", "torch.from_numpy(x)"),
    "tensorflow": ("import tensorflow as tf", "tf.constant(x)"),
    "keras": ("import keras", "keras.ops.convert_to_tensor(x)"),
    "jax": ("import jax.numpy as jnp", "jnp.asarray(x)"),
    "paddle": ("import paddle", "paddle.to_tensor(x)"),
    "tinygrad": ("from tinygrad import Tensor", "Tensor(x)"),
}
"""How the conversion of an array x is written: the import and the expression."""


def conversions(module: str) -> Iterator[ToNative]:
    """Yield what may turn an array into what ``module`` takes: the framework it is known for, else NumPy and every framework imported."""
    known = framework_of(module)
    if known is not None:
        yield tensors_of(known)
        return
    yield np.array
    for framework in FRAMEWORKS:
        if framework in sys.modules:
            yield tensors_of(framework)


def to_numpy(value: Any) -> np.ndarray:
    """Return the array behind a tensor of any of them; of a list or tuple of one, the array behind that one."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        (value,) = value
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        return _bfloat16(value)
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def torch_tensor(array: np.ndarray) -> Any:
    """Return the tensor of torch of these values, in this memory as far as torch has such.

    Memory that torch cannot have, unaligned, read-only or with reversed axes, is copied.
    """
    import torch

    if not array.flags.writeable or not array.flags.aligned or any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = array.copy()
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _bfloat16(value: Any) -> np.ndarray:
    """Return the values of a tensor of torch, on the CPU, as the type of ml_dtypes."""
    import ml_dtypes
    import torch

    return np.asarray(value.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16))


def framework_of(module: str) -> str | None:
    """Return the framework whose tensors the functions of a module take, None where that is not known."""
    package = module.partition(".")[0]
    return PACKAGES.get(package, package if package in FRAMEWORKS else None)


def tensors_of(framework: str) -> ToNative:
    """Return what turns an array into a tensor of the framework."""
    if framework == "torch":
        return torch_tensor
    if framework == "tensorflow":
        import tensorflow as tf

        return tf.constant
    if framework == "keras":
        import keras

        return keras.ops.convert_to_tensor
    if framework == "jax":
        import jax.numpy as jnp

        return jnp.asarray
    if framework == "paddle":
        import paddle

        return paddle.to_tensor
    from tinygrad import Tensor

    return Tensor
