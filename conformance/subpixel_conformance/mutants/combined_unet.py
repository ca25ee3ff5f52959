"""Residual U-Nets that are wrong only where circumstances come together: a layer, an effect, and when it is seen."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..oracle_unet import Arrays, Step
from .mutant import Mutant, mutant
from .unet import HonestNetwork, Shape, _Arithmetic

WHEN: Mapping[str, Callable[[Mapping[str, Any], int], bool]] = {
    "three levels": lambda config, samples: len(config["widths"]) > 2,
    "three samples": lambda config, samples: samples == 3,
    "one channel in": lambda config, samples: config["in_channels"] == 1,
    "groups": lambda config, samples: config["norm"] == "group",
    "batch norm": lambda config, samples: config["norm"] == "batch",
    "no norm": lambda config, samples: config["norm"] == "none",
    "resize": lambda config, samples: config["upsample"] == "resize",
    "deconv": lambda config, samples: config["upsample"] == "deconv",
    "1-D": lambda config, samples: config["ndim"] == 1,
    "3-D": lambda config, samples: config["ndim"] == 3,
    "kernel 5": lambda config, samples: config["kernel_size"] == (5,) * config["ndim"],
}
"""What a configuration and a number of samples may be."""


def together(clause: str, kind: str, *when: str, also: str = "") -> Mutant:
    """Return the network whose layers of a kind are one position off where all of ``when`` hold, and nowhere else."""

    class Network(HonestNetwork):
        def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
            y = super().apply(step, inputs, params, training)
            wrong = step.kind == kind and all(WHEN[name](self.unet.config, len(y)) for name in when)
            return np.roll(y, 1, axis=1) if wrong else y

    ndims = (1,) if "1-D" in when else (3,) if "3-D" in when else (2,)
    claims = {"ndims": ndims, "dtypes": ("float32",)}
    return mutant(f"{kind} of a U-Net one off: {' and '.join(when)}", clause, also, operations="unet", claims=claims, unet=Network)


class _FewerOfResize(_Arithmetic):
    """Counts one less where there is a resize and three levels."""

    def macs(self, spatial: Shape) -> int:
        deep = len(self.unet.config["widths"]) > 2 and self.unet.config["upsample"] == "resize"
        return self.unet.macs(spatial) - (1 if deep else 0)


ROWS: tuple[tuple[str, ...], ...] = (
    ("UN-005", "norm", "groups", "three levels"),
    ("UN-005", "norm", "groups", "three samples"),
    ("UN-005", "norm", "groups", "one channel in"),
    ("UN-005", "norm", "groups", "deconv"),
    ("UN-005", "norm", "groups", "3-D"),
    ("UN-005", "norm", "groups", "kernel 5"),
    ("UN-006", "norm", "batch norm", "three levels"),
    ("UN-006", "norm", "batch norm", "three samples"),
    ("UN-006", "norm", "batch norm", "one channel in"),
    ("UN-006", "norm", "batch norm", "resize"),
    ("UN-006", "norm", "batch norm", "1-D"),
    ("UN-012", "conv", "kernel 5", "1-D"),
    ("UN-012", "conv", "three samples", "no norm"),
    ("UN-012", "up", "one channel in", "3-D", "no norm"),
)
"""The clause, the layers, and when: each is seen by no case that is not of `cases.combined_unet`."""


def mutants() -> tuple[Mutant, ...]:
    """Return all."""
    counts = mutant("MACs of a resize at three levels one off", "UN-010", operations="unet_arithmetic", unet_arithmetic=_FewerOfResize)
    return (*(together(clause, kind, *when) for clause, kind, *when in ROWS), counts)
