"""Inputs on which a model is run, drawn for the shapes that it declares."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from .refusal import UnsuitableError, one_line

Arrays = dict[str, np.ndarray]
Declared = tuple[str, np.dtype[Any], Sequence[int | str]]
"""Name, dtype and extents of an input; the text that stands for an extent which is not declared is the same wherever it is that extent."""
Result = TypeVar("Result")
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
UNEQUAL = ((5, 7, 6, 9, 4, 11, 8, 13), (6, 5, 7, 4, 11, 8, 13, 9))
"""Extents that are not declared are the one times the other, until the original takes two: networks want multiples of powers of two."""


def trials(run: Callable[[Arrays], Result], declared: Sequence[Declared], example: Mapping[str, Any] | None) -> list[Result]:
    """Return what a model makes of the example or, where there is none, of inputs drawn for it: two, unless all extents are declared.

    Raises
    ------
    UnsuitableError
        If it runs on none of them.
    """
    if example is not None:
        try:
            return [run(dict(example))]
        except Exception as error:
            raise UnsuitableError(f"the model does not run on these inputs: {one_line(error)}") from error
    sizes = [(multiple, which) for multiple in MULTIPLES for which in range(len(UNEQUAL))] if _symbols(declared) else [(1, 0)]
    seen: list[Result] = []
    last = ""
    for multiple, which in sizes:
        try:
            seen.append(run(_drawn(declared, multiple, which)))
        except Exception as error:
            last = one_line(error)
        if len(seen) == len(UNEQUAL):
            break
    if not seen:
        raise UnsuitableError(f"the model runs on no input that was drawn for it; give one with --inputs FILE.npz: {last}")
    return seen


def _symbols(declared: Sequence[Declared]) -> list[str]:
    return list(dict.fromkeys(extent for _, _, shape in declared for extent in shape if isinstance(extent, str)))


def _drawn(declared: Sequence[Declared], multiple: int, which: int) -> Arrays:
    """Return normal numbers, or 0 and 1 where they are integers. Extents that are not declared are all different."""
    rng = np.random.default_rng((multiple, which))
    batches = {shape[0] for _, _, shape in declared if shape}
    sizes: dict[int | str, int] = {}
    for name in _symbols(declared):
        more, place = divmod(len([known for known in sizes if known not in batches]), len(UNEQUAL[which]))
        sizes[name] = 2 + which if name in batches else multiple * (UNEQUAL[which][place] + 13 * more)
    feeds = {}
    for name, dtype, extents in declared:
        shape = tuple(sizes[extent] if isinstance(extent, str) else extent for extent in extents)
        feeds[name] = (rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 2, shape)).astype(dtype)
    return feeds
