"""What the peers have in common that compute on the CPU, eagerly, on NumPy arrays or on tensors of torch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class CpuEager:
    """The half of an adapter that is not the peer: its device, its mode and its conversions, which leave NumPy arrays as they are."""

    def devices(self) -> Mapping[str, str | None]:
        """Return the CPU."""
        return {"cpu": None}

    def modes(self, device: str) -> Mapping[str, str | None]:
        """Return "eager"."""
        return {"eager": None}

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return the array itself."""
        return array

    def to_numpy(self, value: Any) -> np.ndarray:
        """Return the array itself."""
        return np.asarray(value)

    def device_of(self, value: Any) -> str:
        """Return "cpu"."""
        return "cpu"

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """Return ``function``: "eager" is the only mode claimed."""
        return function


class TorchEager(CpuEager):
    """Likewise for a peer whose functions take tensors of torch."""

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
