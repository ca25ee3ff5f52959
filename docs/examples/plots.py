"""The pictures: loss curves of the frameworks in one figure, and galleries."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLORS = {"torch": "#d1495b", "tensorflow": "#edae49", "jax": "#00798c"}
"""Far apart for most readers, in print too."""

WIDTHS = {"torch": 4.0, "tensorflow": 2.2, "jax": 0.9}
"""The first is seen beneath the others where they are equal."""


SMOOTHED = 20
"""Batches differ more than steps: the curves show the mean of so many of the last losses."""


def loss_curves(
    path: Path, title: str, losses: dict[str, list[float]], *, ylabel: str, baseline: dict[str, list[float]] | None = None
) -> None:
    """Draw the loss of every framework over the steps, and of what they are compared with on the same batches.

    With several frameworks, how far they lie apart is drawn beside it, as a part of the loss.
    """
    several = len(losses) > 1
    figure = Figure(figsize=(9 if several else 5, 3.4), layout="constrained")
    left, *right = np.atleast_1d(figure.subplots(1, 1 + several))
    for name, values in losses.items():
        smooth = running_mean(values, SMOOTHED)
        left.plot(_steps(smooth), smooth, color=COLORS[name], linewidth=WIDTHS[name], label=name)
    for name, values in (baseline or {}).items():
        smooth = running_mean(values, SMOOTHED)
        left.plot(_steps(smooth), smooth, color="#999999", linewidth=1.5, label=name)
    left.set(title=title, xlabel="step", ylabel=f"{ylabel}, mean of {SMOOTHED} steps")
    left.legend(frameon=False)
    for axes in right:
        table = np.array(list(losses.values()))
        apart = np.ptp(table, axis=0) / np.min(table, axis=0)
        axes.plot(_steps(apart), np.where(apart > 0, apart, np.nan), color="#444444", linewidth=1)
        axes.set(title="how far they lie apart", xlabel="step", ylabel="(largest − smallest) / smallest", xscale="log", yscale="log")
    for axes in (left, *right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=100)


def running_mean(values: Sequence[float], steps: int) -> NDArray[np.float64]:
    """Return the mean of the last ``steps`` values at every step, of as many as there are at the start.

    >>> running_mean([2, 4, 6], 2)
    array([2., 3., 5.])
    """
    sums = np.cumsum(values, dtype=float)
    before = np.concatenate([np.zeros(steps), sums])[: len(sums)]
    return (sums - before) / np.minimum(_steps(values), steps)


def _steps(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64]:
    return np.arange(1, len(values) + 1)


def gallery(
    path: Path,
    columns: Sequence[str],
    rows: Sequence[Sequence[NDArray]],
    notes: Sequence[Sequence[str]] | None = None,
    *,
    size: float = 1.5,
) -> None:
    """Draw images, (H, W, 3) or (H, W), in rows, under the names of their columns; a note is written below its image."""
    figure = Figure(figsize=(size * len(columns), size * len(rows) * (1.12 if notes else 1) + 0.3), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            axes = grid[i, j]
            axes.imshow(image, cmap="gray", vmin=0, vmax=1 if image.dtype.kind == "f" else None, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if i == 0:
                axes.set_title(columns[j], fontsize=10)
            if notes:
                axes.set_xlabel(notes[i][j], fontsize=8)
    figure.savefig(path, dpi=85)
