"""What an adapter needs that exports layers and runs the file elsewhere."""

from collections.abc import Callable
from typing import Any

import numpy as np


class ExportedLayer:
    """A layer of a framework, exported when it is first called: ``export(x)`` returns what computes it, for any extents, from then on."""

    def __init__(self, layer: Any, export: Callable[[Any], Callable[[Any], Any]]) -> None:
        self.layer, self.export = layer, export
        self.computed: Callable[[Any], Any] | None = None

    def parameters(self) -> list[dict[str, np.ndarray]]:
        """Return those of the layer."""
        return self.layer.parameters()

    def __call__(self, x: Any) -> Any:
        """Return what the exported layer gives."""
        if self.computed is None:
            self.computed = self.export(x)
        return self.computed(x)
