"""Conversions that are wrong only where circumstances come together: an effect, and when it is seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import rewriting as honest
from .mutant import Mutant, mutant

# --- when ---


@dataclass(frozen=True)
class Seen:
    """What a conversion sees: the taps of every stage, whether each has a bias, and its options. A chain has several stages."""

    taps: tuple[tuple[int, ...], ...]
    biases: tuple[bool, ...]
    options: Mapping[str, Any]

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.taps[0])

    @property
    def factors(self) -> tuple[int, ...]:
        """The stride or the factors."""
        return tuple(self.options.get("stride") or self.options["scale"])

    @property
    def uneven(self) -> bool:
        """Whether some axis is padded otherwise at its ends."""
        padding = self.options["padding"]
        return not isinstance(padding, str) and any(not isinstance(ends, int) and ends[0] != ends[1] for ends in padding)


WHEN: Mapping[str, Callable[[Seen], bool]] = {
    "1-D": lambda seen: seen.ndim == 1,
    "2-D": lambda seen: seen.ndim == 2,
    "3-D": lambda seen: seen.ndim == 3,
    "order CRD": lambda seen: seen.options["order"] == "CRD",
    "order DRC": lambda seen: seen.options["order"] == "DRC",
    "order RCD": lambda seen: seen.options["order"] == "RCD",
    "groups": lambda seen: seen.options.get("groups", 1) > 1,
    "a dilation": lambda seen: max(seen.options.get("dilation") or (1,)) > 1,
    "unequal factors": lambda seen: len(set(seen.factors)) > 1,
    "uneven ends": lambda seen: seen.uneven,
    "no zeros": lambda seen: seen.options["padding"] == "valid",
    "no bias": lambda seen: not any(seen.biases),
    "three stages": lambda seen: len(seen.taps) == 3,
    "four stages": lambda seen: len(seen.taps) == 4,
}

# --- what ---


def _turned(made: Any) -> Any:
    return replace(made, kernel=made.kernel[tuple(slice(None, None, -1) for _ in made.kernel.shape[:-2])])


def _next_channel(made: Any) -> Any:
    return replace(made, kernel=np.roll(made.kernel, 1, axis=-1))


def _without_bias(made: Any) -> Any:
    return replace(made, bias=None)


def _next_place(y: np.ndarray) -> np.ndarray:
    return np.roll(y.reshape(-1), 1).reshape(y.shape)


def _next_permuted(made: tuple[np.ndarray, np.ndarray]) -> Any:
    return np.roll(made[0], 1, axis=-1), made[1]


EFFECTS: Mapping[str, Callable[[Any], Any]] = {
    "the kernel turned around": _turned,
    "a channel further": _next_channel,
    "without its bias": _without_bias,
    "a place further": _next_place,
    "a kernel of the next channels": _next_permuted,
}


ON_TENSORS = ("fractionally_strided_conv", "from_conv_transpose", "from_resize_conv")


def together(clause: str, operation: str, effect: str, *when: str) -> Mutant:
    """Return the mutant whose ``operation`` has the effect where all of ``when`` hold, and nowhere else."""
    right = getattr(honest, operation)

    def convert(*arguments: Any, **options: Any) -> Any:
        first = 1 if operation in ON_TENSORS else 0  # before which the input comes
        kernel, bias = (*arguments, None, None)[first : first + 2]
        stages = [(kernel, bias)] if operation != "collapse_stages" else [(kernel, bias) for kernel, bias, _ in arguments[0]]
        seen = Seen(tuple(kernel.shape[:-2] for kernel, _ in stages), tuple(bias is not None for _, bias in stages), options)
        made = right(*arguments, **options)
        return EFFECTS[effect](made) if all(WHEN[name](seen) for name in when) else made

    replaced: dict[str, Any] = {operation: convert}
    return mutant(f"{operation}, {effect}: {' and '.join(when)}", clause, operations=operation, **replaced)


def mutants() -> tuple[Mutant, ...]:
    """Return all."""
    return tuple(together(clause, operation, effect, *when) for clause, operation, effect, *when in ROWS)


ROWS: tuple[tuple[str, ...], ...] = (
    ("EQ-001", "deconv_to_subpixel", "a channel further", "groups", "a dilation"),
    ("EQ-001", "deconv_to_subpixel", "the kernel turned around", "groups", "unequal factors"),
    ("EQ-001", "deconv_to_subpixel", "a channel further", "groups", "3-D"),
    ("EQ-001", "deconv_to_subpixel", "without its bias", "groups", "uneven ends"),
    ("EQ-001", "deconv_to_subpixel", "the kernel turned around", "a dilation", "3-D"),
    ("EQ-001", "deconv_to_subpixel", "a channel further", "a dilation", "uneven ends"),
    ("EQ-001", "deconv_to_subpixel", "a channel further", "a dilation", "order DRC"),
    ("EQ-001", "deconv_to_subpixel", "the kernel turned around", "uneven ends", "3-D"),
    ("EQ-001", "deconv_to_subpixel", "a channel further", "uneven ends", "order DRC"),
    ("EQ-001", "deconv_to_subpixel", "without its bias", "uneven ends", "order RCD"),
    ("EQ-001", "from_conv_transpose", "a place further", "no bias", "3-D"),
    ("EQ-003", "subpixel_to_deconv", "the kernel turned around", "uneven ends", "3-D"),
    ("EQ-003", "subpixel_to_deconv", "a channel further", "no zeros", "unequal factors"),
    ("EQ-004", "fractionally_strided_conv", "a place further", "no bias", "3-D"),
    ("EQ-004", "fractionally_strided_conv", "a place further", "no bias", "1-D"),
    ("EQ-005", "resize_conv_to_subpixel", "a channel further", "groups", "3-D"),
    ("EQ-005", "resize_conv_to_subpixel", "the kernel turned around", "groups", "no zeros"),
    ("EQ-005", "resize_conv_to_subpixel", "a channel further", "a dilation", "3-D"),
    ("EQ-005", "resize_conv_to_subpixel", "without its bias", "a dilation", "order DRC"),
    ("EQ-005", "resize_conv_to_subpixel", "the kernel turned around", "no bias", "order CRD"),
    ("EQ-005", "from_resize_conv", "a place further", "no bias", "3-D"),
    ("EQ-006", "shift_conv_to_subpixel", "a channel further", "3-D", "order CRD"),
    ("EQ-006", "shift_conv_to_subpixel", "the kernel turned around", "uneven ends", "3-D"),
    ("EQ-006", "shift_conv_to_subpixel", "a channel further", "no bias", "order DRC"),
    ("EQ-007", "conv_unshift_to_strided", "a channel further", "no bias", "3-D"),
    ("EQ-007", "conv_unshift_to_strided", "the kernel turned around", "uneven ends", "1-D"),
    ("EQ-007", "unshift_conv_to_strided", "a channel further", "no zeros", "3-D"),
    ("EQ-007", "unshift_conv_to_strided", "without its bias", "uneven ends", "3-D"),
    ("EQ-008", "collapse_stages", "a channel further", "three stages", "2-D"),
    ("EQ-008", "collapse_stages", "without its bias", "three stages", "3-D"),
    ("EQ-008", "collapse_stages", "the kernel turned around", "three stages", "uneven ends"),
    ("EQ-008", "collapse_stages", "a channel further", "three stages", "no bias"),
    ("EQ-008", "collapse_stages", "a channel further", "four stages"),
    ("EQ-009", "reorder", "a kernel of the next channels", "3-D"),
    ("EQ-009", "reorder", "a kernel of the next channels", "1-D"),
)
"""The clause, the operation, the effect and when: each is seen by no case that is not of `cases.combined_equivalence`."""
