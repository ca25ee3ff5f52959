"""What becomes of the layers of a model: one row each, and why a layer was left as it was."""

from dataclasses import dataclass, fields

BIAS_ALONG_WIDTH = "Keras adds its bias along the width, which is the number of its filters, and its equal would by channel"
LISTED = "a list or the like holds it beside the modules of the model, where it cannot be replaced"
NOT_ADJACENT = "the convolution is not proved to be all that reads the resized tensor"
NO_GRAPH = "it is called by the code of another layer or model, which is no graph that could be read"
NOT_REACHED = "the example does not reach it, so its extents are not known"
READ_ELSEWHERE = "the model does more with it than to call it"
SHARED_IN_MODEL = "a copy of the model would not have in common what layers of it have"
SHARED_PARAMETERS = "its parameters belong to another layer too"
SLOWER = "no form is measured to be faster on these extents"
"""Reasons beside the refusals of `subpixel_core.check`, whose text is the reason where an equivalence is refused."""


@dataclass(frozen=True)
class Conversion:
    """What became of one layer.

    Parameters
    ----------
    layer : str
        Its path in the model; of a pair, both paths with " + " between.
    kind : str
        The names of its types, in the same way.
    form : str, optional
        What it was replaced by: "minimal", "aligned", or another that a framework has. None where it was left.
    macs_before, macs_after : int, optional
        Multiply-accumulates per sample on the extents of the example, all calls together; None without an example.
    reason : str
        Why it was left; empty where it was replaced.
    """

    layer: str
    kind: str
    form: str | None = None
    macs_before: int | None = None
    macs_after: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class ConversionReport:
    """One row for each layer that upsamples.

    Examples
    --------
    >>> rows = Conversion("up.0", "ConvTranspose2d", "minimal", 4096, 4096), Conversion("up.1", "Upsample", reason=SLOWER)
    >>> print(ConversionReport(rows))
    layer  kind             form     MACs before  MACs after  reason
    up.0   ConvTranspose2d  minimal        4,096       4,096
    up.1   Upsample         -                  -           -  no form is measured to be faster on these extents
    """

    rows: tuple[Conversion, ...]

    @property
    def converted(self) -> tuple[Conversion, ...]:
        """The rows of the layers that were replaced."""
        return tuple(row for row in self.rows if row.form is not None)

    @property
    def left(self) -> tuple[Conversion, ...]:
        """The rows of the layers that were left, each with its reason."""
        return tuple(row for row in self.rows if row.form is None)

    def __str__(self) -> str:
        heads = [field.name.replace("macs", "MACs").replace("_", " ") for field in fields(Conversion)]
        cells = [heads, *([_cell(getattr(row, field.name)) for field in fields(Conversion)] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(_aligned(*cell) for cell in zip(row, widths, heads, strict=True)).rstrip() for row in cells)


def _cell(value: str | int | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else value


def _aligned(cell: str, width: int, head: str) -> str:
    return cell.rjust(width) if head.startswith("MACs") else cell.ljust(width)
