"""Which vectors there are: their ids, what each is for, and its inputs. The outputs are the oracle's.

Extents, factors and channels differ from one another wherever they can, C is 2 at least, and inputs count their positions: so a wrong
order, a swapped axis or a sample in the wrong place changes values. Nothing that is published here may change.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..definition import Definition
from .blur import blurs
from .convolution import convolutions
from .gradient import gradients
from .refusals import refusals
from .shift import shifts
from .stages import stages
from .unet import networks
from .weights import initializations, permutations


@dataclass(frozen=True)
class Subject:
    """One file: its name, a title, and its vectors."""

    name: str
    title: str
    definitions: tuple[Definition, ...] = field(repr=False)


def subjects() -> Iterator[Subject]:
    """Yield every file."""
    yield Subject("phase_shift", "The phase shift: channels into blocks of pixels", tuple(shifts("phase_shift")))
    yield Subject("inverse_phase_shift", "The inverse: blocks of pixels into channels", tuple(shifts("inverse_phase_shift")))
    yield Subject("channel_permutation", "Moving weights between orders", tuple(permutations()))
    yield Subject("icnr", "ICNR: kernels and biases that start as a nearest-neighbour resize", tuple(initializations()))
    yield Subject("convolution", "Convolutions, and the sub-pixel layer", tuple(convolutions()))
    yield Subject("blur", "The box blur, and the checkerboard measure", tuple(blurs()))
    yield Subject("stages", "The arithmetic of chained stages", tuple(stages()))
    yield Subject("gradient", "Gradients: vector-Jacobian products", tuple(gradients()))
    yield Subject("refusals", "What must be refused", tuple(refusals()))
    yield Subject("unet", "The residual U-Net on integers", tuple(networks()))
