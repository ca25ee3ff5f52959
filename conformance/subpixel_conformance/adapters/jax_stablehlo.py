"""What `subpixel_jax.to_stablehlo` returns, called through XLA: ours exported, judged on what docs/export.md says of it.

https://docs.jax.dev/en/latest/export/export.html: the bytes are read back by ``jax.export.deserialize``, which knows neither the function
nor this package. They are returned without being verified: that is what is done here. Every extent is unknown to a program, but for the
channels of a layer; those that a factor must divide are multiples of it. More dtypes, and other numbers of batch axes, are judged in the
backend's own mode "jit-dynamic".
"""

from collections.abc import Mapping
from functools import cache, partial
from math import prod
from typing import Any

import jax
from jax import Array, export

import subpixel_jax
from subpixel_conformance.adapters.exported import ExportedLayer
from subpixel_jax.adapter import JaxAdapter


def program(function: Any, shape: str, dtype: Any) -> export.Exported:
    """Export a function of one array, and read back what was written."""
    return export.deserialize(bytearray(subpixel_jax.to_stablehlo(function, shape, dtype=dtype, platforms=("cpu",), verify=False)))


@cache
def _shift(operation: str, scale: tuple[int, ...], order: str, data_format: str, batch: int, dtype: Any) -> export.Exported:
    function = partial(getattr(subpixel_jax, operation), scale=scale, order=order, data_format=data_format)
    inverse = operation == "inverse_phase_shift"
    channels = "channels" if inverse else f"{prod(scale)}*channels"
    spatial = [f"{factor if inverse else 1}*extent_{axis}" for axis, factor in enumerate(scale)]
    axes = [*spatial, channels] if data_format == "channels_last" else [channels, *spatial]
    return program(function, ", ".join([*(f"batch_{axis}" for axis in range(batch)), *axes]), dtype)


class JaxStablehlo(JaxAdapter):
    """Functions of `subpixel_jax`, as StableHLO."""

    name = "jax-stablehlo"
    versions: Mapping[str, str] = {"jax": jax.__version__}
    claims: Mapping[str, Any] = {
        **JaxAdapter.claims,
        "operations": ("phase_shift", "inverse_phase_shift", "layer"),
        "ndims": (1, 2, 3),
        "batch_ndims": (1,),
        "dtypes": ("float32", "int8"),
        "empty": False,
        "scale_one": False,
        "modes": ("eager",),
        "devices": ("cpu",),
        "refusals": (),
        "layers": ({"dtype": "float32"},),
        "fresh": False,
    }

    def phase_shift(self, x: Array, scale: Any, *, order: str, data_format: str) -> Array:
        """Return what XLA makes of the exported function."""
        return self._moved("phase_shift", x, scale, order, data_format)

    def inverse_phase_shift(self, x: Array, scale: Any, *, order: str, data_format: str) -> Array:
        """Return what XLA makes of the exported function."""
        return self._moved("inverse_phase_shift", x, scale, order, data_format)

    def _moved(self, operation: str, x: Array, scale: tuple[int, ...], order: str, data_format: str) -> Array:
        return _shift(operation, scale, order, data_format, x.ndim - 1 - len(scale), x.dtype).call(x)

    def layer(self, config: Any, device: str, parameters: Any = None) -> Any:
        """Construct a layer and export it."""
        layer = super().layer(config, device, parameters)

        def export(x: Array) -> Any:
            extents = [f"extent_{axis}" for axis in range(x.ndim - 1)]
            return program(layer, ", ".join([*extents, str(x.shape[-1])]), x.dtype).call

        return ExportedLayer(layer, export)


adapter = JaxStablehlo()
