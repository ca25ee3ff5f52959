"""A module of torch that is one convolution and a shift, as the suite wants a layer: channels last, kernels (*k, Ci, Co)."""

from typing import Any

import numpy as np
import torch


def canonical(weight: torch.Tensor) -> np.ndarray:
    """Return a kernel (Co, Ci, *k) of torch as (*k, Ci, Co)."""
    return np.ascontiguousarray(weight.detach().permute(*range(2, weight.ndim), 1, 0).numpy())


def torch_layout(kernel: np.ndarray) -> torch.Tensor:
    """Return a kernel (*k, Ci, Co) as torch holds it, (Co, Ci, *k)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1))))


class ChannelsFirstLayer:
    """``module``, whose only parameters are those of ``conv``; ``parameters`` are loaded into it where they are given."""

    def __init__(self, module: torch.nn.Module, conv: Any, parameters: Any = None) -> None:
        self.module = module
        self.conv = conv
        if parameters is not None:
            (stage,) = parameters
            with torch.no_grad():
                self.conv.weight.copy_(torch_layout(stage["kernel"]))
                if "bias" in stage:
                    self.conv.bias.copy_(torch.from_numpy(stage["bias"].copy()))

    def parameters(self) -> list[dict[str, np.ndarray]]:
        """Return the kernel and the bias of the convolution."""
        held = {"kernel": canonical(self.conv.weight)}
        if self.conv.bias is not None:
            held["bias"] = self.conv.bias.detach().numpy().copy()
        return [held]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the module to a channels_last tensor."""
        with torch.no_grad():
            return self.module(x.movedim(-1, 1)).movedim(1, -1)
