"""What the peers have in common whose functions take tensors of torch, on the CPU and eagerly."""

from typing import Any

import numpy as np

from subpixel_conformance.callables import Adapter


class TorchEager(Adapter):
    """The half of an adapter that is not the peer: its device, its mode and the conversions of torch's own adapter."""

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return the tensor of these values and, as far as torch has such strides, of this memory layout."""
        return _torch().to_native(array, "cpu")

    def to_numpy(self, value: Any) -> np.ndarray:
        """Return the values."""
        return _torch().to_numpy(value)

    def device_of(self, value: Any) -> str:
        """Return the kind of device that the tensor lies on."""
        return str(value.device.type)


def _torch() -> Any:
    from subpixel_conformance.adapters.torch_native import adapter

    return adapter
