"""Training and prediction in PyTorch, channels first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

import subpixel_torch
from subpixel_torch import SubpixelConv2d

Array = NDArray[np.float32]
Batches = Iterable[tuple[Array, Array]]

LOSSES: dict[str, Callable[..., Tensor]] = {
    "absolute": F.l1_loss,
    "squared": F.mse_loss,
    "cross entropy": F.binary_cross_entropy_with_logits,
}


def train_unet(
    start: Path, end: Path, batches: Batches, *, loss: str, learning_rate: float, steps: int, each_step: Callable[[float], None]
) -> None:
    """Train the network of one file and write it to another: Adam, the learning rate falling to 0 along half a cosine."""
    model = subpixel_torch.load_weights(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    fit(model, optimizer, schedule, batches, LOSSES[loss], each_step)
    subpixel_torch.save_weights(end, model)


def predict_unet(weights: Path, images: Sequence[Array]) -> list[Array]:
    """Apply the network of a file to images (H, W, C), one by one: each may have other extents."""
    model = subpixel_torch.load_weights(weights).eval()
    return [applied(model, image[np.newaxis])[0] for image in images]


def train_autoencoder(
    params: Mapping[str, Mapping[str, Array]], batches: Batches, *, learning_rate: float, steps: int, each_step: Callable[[float], None]
) -> Callable[[Array], Array]:
    """Train the autoencoder from these parameters; returns it as a function of images (n, 28, 28, 1)."""
    model = Autoencoder()
    model.set_parameters(params)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    fit(model, optimizer, schedule, batches, LOSSES["squared"], each_step)
    return lambda images: applied(model.eval(), images)


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batches: Batches,
    loss: Callable[..., Tensor],
    each_step: Callable[[float], None],
) -> None:
    """Train a model, one step for each batch."""
    model.train()
    for x, y in batches:
        value = loss(model(channels_first(x)), channels_first(y))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
        each_step(value.item())


def channels_first(x: Array) -> Tensor:
    """Return an array (N, H, W, C) as a tensor (N, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


@torch.no_grad()
def applied(model: nn.Module, x: Array) -> Array:
    """Apply a model to images (N, H, W, C)."""
    return np.moveaxis(model(channels_first(x)).numpy(), 1, -1)


class Autoencoder(nn.Module):
    """The article's, with the bottleneck that it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding="same")
        self.conv2 = nn.Conv2d(16, 32, 3, padding="same")
        self.code = nn.Linear(7 * 7 * 32, 32)
        self.dense = nn.Linear(32, 7 * 7 * 32)
        self.subpixel1 = SubpixelConv2d(32, 32, kernel_size=2, scale=2, order="DRC")
        self.subpixel2 = SubpixelConv2d(32, 1, kernel_size=2, scale=2, order="DRC")

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102 - torch calls it
        y = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 16, 14, 14)
        y = F.max_pool2d(F.relu(self.conv2(y)), 2)  # (N, 32, 7, 7)
        y = self.code(y.permute(0, 2, 3, 1).flatten(1))  # (N, 32), flattened channels last as in the article
        y = F.relu(self.dense(y)).unflatten(1, (7, 7, 32)).permute(0, 3, 1, 2)  # (N, 32, 7, 7)
        y = F.relu(self.subpixel1(y))  # (N, 32, 14, 14)
        return F.relu(self.subpixel2(y))  # (N, 1, 28, 28)

    @torch.no_grad()
    def set_parameters(self, params: Mapping[str, Mapping[str, Any]]) -> None:
        """Take kernels (*k, Ci, Co), which torch keeps as (Co, Ci, *k), and biases."""
        for name, layer in self.named_children():
            kernel = np.moveaxis(params[name]["kernel"], (-1, -2), (0, 1))
            layer.weight.copy_(torch.from_numpy(kernel))
            layer.bias.copy_(torch.from_numpy(params[name]["bias"]))
