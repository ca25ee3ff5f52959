"""The recipes for a pixel shuffle that einops documents, on NumPy arrays.

https://einops.rocks/pytorch-examples.html, "Super-resolution": ``Rearrange('b (c h2 w2) h w -> b c (h h2) (w w2)', …)`` in the place of
``nn.PixelShuffle``. https://einops.rocks/api/rearrange/: "space-to-depth operation", ``rearrange(images, 'b (h h1) (w w1) c -> b h w (c h1
w1)', h1=2, w1=2)``. So: CRD in both formats, a factor for each axis, one batch axis; and the other direction is the pattern read
backwards. An axis that cannot be divided and a tensor of another rank than the pattern's are errors.
"""

from collections.abc import Mapping
from typing import Any

import einops
import numpy as np

from subpixel_conformance.callables import Adapter
from subpixel_conformance.case import DTYPES

PATTERNS = {
    "channels_first": ("b (c h1 w1) h w", "b c (h h1) (w w1)"),
    "channels_last": ("b h w (c h1 w1)", "b (h h1) (w w1) c"),
}


class Einops(Adapter):
    """The two recipes, forwards and backwards."""

    name = "einops"
    versions: Mapping[str, str] = {"einops": einops.__version__, "numpy": np.__version__}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("CRD",),
        "data_formats": ("channels_last", "channels_first"),
        "ndims": (2,),
        "batch_ndims": (1,),
        "dtypes": DTYPES,
        "devices": ("cpu",),
        "refusals": ("ER-003", "ER-004", "ER-006"),
    }

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return ``rearrange(x, "b (c h1 w1) h w -> b c (h h1) (w w1)", h1=…, w1=…)``, or its channels_last form."""
        low, high = PATTERNS[data_format]
        return einops.rearrange(x, f"{low} -> {high}", h1=scale[0], w1=scale[1])

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return the same backwards."""
        low, high = PATTERNS[data_format]
        return einops.rearrange(x, f"{high} -> {low}", h1=scale[0], w1=scale[1])

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return the call alone, as anyone can paste it."""
        low, high = PATTERNS[data_format]
        pattern = f"{low} -> {high}" if operation == "phase_shift" else f"{high} -> {low}"
        return f'import einops\ny = einops.rearrange(x, "{pattern}", h1={scale[0]}, w1={scale[1]})'


adapter = Einops()
