"""PIX's ``depth_to_space`` and ``space_to_depth``, judged on what their documentation says.

https://dm-pix.readthedocs.io/en/latest/api.html: an "array of shape [H, W, C] or [N, H, W, C]", channels that "must be divisible by
block_size ** 2", height and width that "must each be divisible by block_size", "size of spatial blocks >= 2". The order is not stated; the
names are TensorFlow's, and its own tests compare it with ``tf.nn.depth_to_space``: DCR. The README: "all the functions can be ``jax.jit``,
``jax.vmap`` and ``jax.pmap``-ed".
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import dm_pix
import jax
import numpy as np

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.callables import Adapter

jax.config.update("jax_platforms", "cpu")


class DmPix(Adapter):
    """``dm_pix.depth_to_space`` and ``dm_pix.space_to_depth``."""

    name = "dm-pix"
    versions: Mapping[str, str] = {"dm-pix": version("dm-pix"), "jax": jax.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("DCR",),
        "data_formats": ("channels_last",),
        "ndims": (2,),
        "batch_ndims": (0, 1),
        "anisotropic": False,
        "scale_one": False,
        "dtypes": ("bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "bfloat16", "float32", "complex64"),
        "modes": ("eager", "jit", "vmap"),
        "devices": ("cpu",),
        "refusals": ("ER-001", "ER-003", "ER-004", "ER-006"),
    }

    def modes(self, device: str) -> Mapping[str, str | None]:
        """Return the modes; JAX brings its compiler along."""
        return dict.fromkeys(self.claims["modes"])

    def to_native(self, array: np.ndarray, device: str) -> jax.Array:
        """Return the array of these values."""
        return jax.numpy.array(array)

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """Return ``function`` under ``jax.jit`` or ``jax.vmap``."""
        if mode == "eager":
            return function
        return jax.jit(function) if mode == "jit" else jax.vmap(function)

    def phase_shift(self, x: jax.Array, scale: Any, *, order: str, data_format: str) -> jax.Array:
        """Return ``dm_pix.depth_to_space(x, r)``."""
        return dm_pix.depth_to_space(x, one_factor(scale))

    def inverse_phase_shift(self, x: jax.Array, scale: Any, *, order: str, data_format: str) -> jax.Array:
        """Return ``dm_pix.space_to_depth(x, r)``."""
        return dm_pix.space_to_depth(x, one_factor(scale))

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        function = {"phase_shift": "depth_to_space", "inverse_phase_shift": "space_to_depth"}[operation]
        return f"import dm_pix\ny = dm_pix.{function}(x, {one_factor(scale)!r})"


adapter = DmPix()
