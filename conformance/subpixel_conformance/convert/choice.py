"""Which layers of a graph are replaced, and by which form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from subpixel_core import Conversion, ConversionReport, SubpixelKernel, choose_form
from subpixel_core._upsampling import FORMS

from .layers import Layer

Wanted = Literal["best", "minimal", "aligned"]
Extents = tuple[int, ...]


@dataclass(frozen=True)
class Replaced:
    """A layer, and the sub-pixel convolution that takes its place."""

    layer: Layer
    subpixel: SubpixelKernel


def chosen(
    candidates: Sequence[Layer | Conversion], seen: Mapping[str, Sequence[Extents]], *, form: Wanted = "best", everything: bool = False
) -> tuple[list[Replaced], ConversionReport]:
    """Return which layers are replaced by what, and the report.

    Parameters
    ----------
    candidates
        What was found: a layer, or the row that says why it is left.
    seen : mapping of tensor to extents
        By the output of every layer, the spatial extents that its input had, run by run. Where they are the same in all runs they decide
        about the form; the report counts on the last.
    form
        One for all layers, or for each the one with the fewest multiply-accumulates.
    everything : bool
        Also replace what takes more multiply-accumulates on every position, not counting those that the minimal form adds at the border.
    """
    replaced, rows = [], []
    for layer in candidates:
        if isinstance(layer, Conversion):
            rows.append(layer)
            continue
        runs = seen[layer.output]
        spatial = runs[0] if len(set(runs)) == 1 else None
        forms = {name: layer.subpixel(name) for name in FORMS if form in ("best", name)}
        best = choose_form(*forms.values(), spatial=spatial)
        name = next(name for name, candidate in forms.items() if candidate is best)
        before, after = layer.macs(runs[-1]), best.macs(runs[-1])
        growth = best.kernel.size / layer.macs_per_position
        if growth > 1 and not everything:
            reason = f"the {name} form takes {growth:.2f} times the MACs; --all replaces it nevertheless"
            rows.append(Conversion(layer.name, layer.kind, None, before, None, reason))
        else:
            replaced.append(Replaced(layer, best))
            rows.append(Conversion(layer.name, layer.kind, name, before, after))
    return replaced, ConversionReport(tuple(rows))
