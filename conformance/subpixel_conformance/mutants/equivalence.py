"""Wrong conversions: what gives nearly the same layer, and what says that an approximation is one."""

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from .. import oracle
from .. import oracle_equivalence as equal
from . import rewriting as honest
from .mutant import Mutant, mutant

Kernel = np.ndarray
Bias = np.ndarray | None


# --- transposed convolutions ---


def _always_dcr(kernel: Kernel, bias: Bias, *, order: str, groups: int, **options: Any) -> Any:
    """Put the phases in DCR, whatever the order."""
    made = honest.deconv_to_subpixel(kernel, bias, order=order if groups > 1 else "DCR", groups=groups, **options)
    return replace(made, order=order)


def _unpadded(kernel: Kernel, bias: Bias, *, padding: Any, output_padding: Any, **options: Any) -> Any:
    """Crop the padding at the end of the output alone."""
    nothing = tuple(0 for _ in padding)
    made = honest.deconv_to_subpixel(kernel, bias, padding=nothing, output_padding=output_padding, **options)
    both = [2 * p if isinstance(p, int) else sum(p) for p in padding]
    return replace(made, crop=tuple((first, last + cut) for (first, last), cut in zip(made.crop, both, strict=True)))


def _no_output_padding(kernel: Kernel, bias: Bias, *, output_padding: Any, **options: Any) -> Any:
    return honest.deconv_to_subpixel(kernel, bias, output_padding=tuple(0 for _ in output_padding), **options)


def _turned(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Turn the kernel around, as a correlation seems to need."""
    return honest.deconv_to_subpixel(kernel[tuple(slice(None, None, -1) for _ in kernel.shape[:-2])], bias, **options)


def _whole_taps(kernel: Kernel, bias: Bias, *, stride: Any, **options: Any) -> Any:
    """Leave out the taps beyond the last whole block, where the stride does not divide the kernel."""
    kept = kernel.copy()
    for axis, s in enumerate(stride):
        whole = kernel.shape[axis] // s * s or kernel.shape[axis]
        kept[(*(slice(None) for _ in range(axis)), slice(whole, None))] = 0
    return honest.deconv_to_subpixel(kept, bias, stride=stride, **options)


def _bias_of_the_first_phase(kernel: Kernel, bias: Bias, *, order: str, **options: Any) -> Any:
    made = honest.deconv_to_subpixel(kernel, bias, order=order, **options)
    if bias is None or made.bias is None:
        return made
    first = np.zeros_like(made.bias)
    for c in range(len(bias)):
        first[oracle.channel_index(order, c, (0,) * len(made.scale), made.scale, len(bias))] = bias[c]
    return replace(made, bias=first)


def _undilated(kernel: Kernel, bias: Bias, *, dilation: Any, **options: Any) -> Any:
    return honest.deconv_to_subpixel(kernel, bias, dilation=tuple(1 for _ in dilation), **options)


def _start_at_both_ends(kernel: Kernel, bias: Bias, *, padding: Any, **options: Any) -> Any:
    """Take the padding at the start for that at both ends, and crop what is then too long or too short as far as it goes."""
    first = tuple(p if isinstance(p, int) else p[0] for p in padding)
    return honest.deconv_to_subpixel(kernel, bias, padding=first, **options)


def _axes_swapped(kernel: Kernel, bias: Bias, *, stride: Any, padding: Any, output_padding: Any, **options: Any) -> Any:
    """Pad the axes in the other sequence."""
    return honest.deconv_to_subpixel(kernel, bias, stride=stride, padding=padding[::-1], output_padding=output_padding, **options)


def _rounded_kernel(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Carry the kernel through float16."""
    return honest.deconv_to_subpixel(kernel.astype(np.float16).astype(kernel.dtype), bias, **options)


def _always_aligned(kernel: Kernel, bias: Bias, *, form: str, **options: Any) -> Any:
    return honest.deconv_to_subpixel(kernel, bias, form="aligned", **options)


def _zeros_as_taps(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Give the kernel a tap of zeros more, and a zero of padding for it."""
    made = honest.deconv_to_subpixel(kernel, bias, **options)
    more = np.pad(made.kernel, [(0, 1), *((0, 0) for _ in made.kernel.shape[1:])])
    (before, after), *rest = made.padding
    return replace(made, kernel=more, padding=((before, after + 1), *rest))


def _crops_a_block(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Compute a block more at the start, and crops it."""
    made = honest.deconv_to_subpixel(kernel, bias, **options)
    padding = tuple((before + 1, after) for before, after in made.padding)
    return replace(made, padding=padding, crop=tuple((first + s, last) for (first, last), s in zip(made.crop, made.scale, strict=True)))


class _CountsInput(equal.Rewritten):
    """Counts the positions of the input instead of those of the convolution."""

    def macs(self, spatial: Any) -> int:
        return int(self.kernel.size) * prod(spatial)


def _counts_input(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    return _CountsInput(**vars(honest.deconv_to_subpixel(kernel, bias, **options)))


def _first_form(layers: Any, spatial: Any) -> Any:
    return layers[0]


def _most_macs(layers: Any, spatial: Any) -> Any:
    return max(layers, key=lambda one: equal.macs(one, spatial) if spatial else one.kernel.size)


def _taps_alone(layers: Any, spatial: Any) -> Any:
    """Choose by the taps, whatever the extents."""
    return honest.choose_form(layers, None)


def _any_equal(layers: Any, spatial: Any) -> Any:
    """Choose the fewest MACs, and of equal ones that which crops most."""
    return min(layers, key=lambda one: (equal.macs(one, spatial) if spatial else one.kernel.size, -sum(map(sum, one.crop))))


# --- back, and between zeros ---


def _taps_in_sequence(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Spread the taps of a correlation as they come."""
    return honest.subpixel_to_deconv(kernel[tuple(slice(None, None, -1) for _ in kernel.shape[:-2])], bias, **options)


def _deconv_as_if_dcr(kernel: Kernel, bias: Bias, *, order: str, **options: Any) -> Any:
    """Read the phases as DCR."""
    made = honest.subpixel_to_deconv(kernel, None, order="DCR", **options)
    return replace(made, bias=honest.subpixel_to_deconv(kernel, bias, order=order, **options).bias)


def _mean_bias(kernel: Kernel, bias: Bias, *, scale: Any, order: str, padding: Any) -> Any:
    """Take the mean of a bias that differs within a block."""
    made = honest.subpixel_to_deconv(kernel, None, scale=scale, order=order, padding=padding)
    if bias is None:
        return made
    channels = len(bias) // prod(scale)
    rows = [[bias[oracle.channel_index(order, c, o, scale, channels)] for o in oracle.offsets(scale)] for c in range(channels)]
    return replace(made, bias=np.array([np.mean(row) for row in rows], bias.dtype))


def _cropped_evenly(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Crop both ends alike."""
    made = honest.subpixel_to_deconv(kernel, bias, **options)
    return replace(made, crop=tuple(((first + last) // 2, first + last - (first + last) // 2) for first, last in made.crop))


def _not_turned(x: Any, kernel: Kernel, bias: Bias = None, **options: Any) -> Any:
    return honest.fractionally_strided_conv(x, kernel[tuple(slice(None, None, -1) for _ in kernel.shape[:-2])], bias, **options)


def _ends_at_the_last_pixel(x: Any, kernel: Kernel, bias: Bias = None, *, output_padding: Any, **options: Any) -> Any:
    """Put no zeros more at the end for an output padding, but repeats the last output."""
    y = honest.fractionally_strided_conv(x, kernel, bias, output_padding=tuple(0 for _ in output_padding), **options)
    return np.pad(y, [(0, 0), *((0, a) for a in output_padding), (0, 0)], mode="edge")


# --- resize, shift, strided ---


def _resize_edge(kernel: Kernel, bias: Bias, *, padding: Any, scale: Any, **options: Any) -> Any:
    """Center the convolution on low-resolution pixels: the zeros are rounded to whole pixels of the input."""
    zeros = honest.pairs(padding, kernel)
    whole = tuple(
        ((before + r - 1) // r * r, after - ((before + r - 1) // r * r - before)) for (before, after), r in zip(zeros, scale, strict=True)
    )
    spread = equal.spread_of_block(kernel, bias, scale, whole, None)
    return equal.rewritten(spread, options["order"], options["form"], kernel.dtype)


def _mean_of_taps(kernel: Kernel, bias: Bias, *, scale: Any, **options: Any) -> Any:
    """Take the mean of the taps that fall on one pixel, where they add up."""
    made = honest.resize_conv_to_subpixel(kernel, bias, scale=scale, **options)
    return replace(made, kernel=made.kernel / np.float32(prod(scale)))


def _undilated_resize(kernel: Kernel, bias: Bias, *, dilation: Any = None, padding: Any, **options: Any) -> Any:
    """Leave the taps of the convolution beside each other, and take away the zeros that are then too many."""
    if dilation is None:
        return honest.resize_conv_to_subpixel(kernel, bias, padding=padding, **options)
    less = [(d - 1) * (k - 1) for d, k in zip(dilation, kernel.shape[:-2], strict=True)]
    ends = tuple(
        (before - min(more, before), after - (more - min(more, before))) for (before, after), more in zip(padding, less, strict=True)
    )
    return honest.resize_conv_to_subpixel(kernel, bias, padding=ends, **options)


def _groups_of_a_resize_handed_on(kernel: Kernel, bias: Bias, *, groups: int = 1, **options: Any) -> Any:
    """Hand the channels of a group to the next one."""
    made = honest.resize_conv_to_subpixel(kernel, bias, groups=groups, **options)
    own = made.kernel.shape[-1] // groups
    return replace(made, kernel=np.roll(made.kernel, own, axis=-1))


def _half_summed(kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Add the taps up in float16."""
    made = honest.resize_conv_to_subpixel(kernel, bias, **options)
    return replace(made, kernel=made.kernel.astype(np.float16).astype(kernel.dtype))


def _any_mode(kernel: Kernel, bias: Bias, *, mode: str = "nearest", **options: Any) -> Any:
    """Take any mode for the nearest neighbour."""
    return honest.resize_conv_to_subpixel(kernel, bias, **options)


def _any_corners(kernel: Kernel, bias: Bias, *, align_corners: bool = False, **options: Any) -> Any:
    return honest.resize_conv_to_subpixel(kernel, bias, **options)


def _columns_first(kernel: Kernel, bias: Bias, *, order: str, **options: Any) -> Any:
    """Read the channels of the shift in the other sequence of offsets."""
    other = {"DCR": "DRC", "DRC": "DCR", "CRD": "RCD", "RCD": "CRD"}[order]
    spread = equal.spread_of_block(kernel, bias, options["scale"], honest.pairs(options["padding"], kernel), other)
    return equal.rewritten(spread, order, options["form"], kernel.dtype)


def _offsets_reversed(kernel: Kernel, bias: Bias, *, scale: Any, **options: Any) -> Any:
    """Move the kernel of an offset to the other side."""
    made = honest.conv_unshift_to_strided(kernel, bias, scale=scale, **options)
    return replace(made, kernel=made.kernel[tuple(slice(None, None, -1) for _ in scale)])


def _low_padding(kernel: Kernel, bias: Bias, *, scale: Any, **options: Any) -> Any:
    """Put as many zeros around the high resolution as around the low one."""
    made = honest.unshift_conv_to_strided(kernel, bias, scale=scale, **options)
    low = tuple((before // r, after // r) for (before, after), r in zip(made.padding, scale, strict=True))
    return replace(made, padding=tuple((b, b * (r - 1) + a * r) for (b, a), r in zip(low, scale, strict=True)))


# --- chains and orders ---


def _exact_everywhere(stages: Any, **options: Any) -> Any:
    """Say that a chain is equal up to the border."""
    made = honest.collapse_stages(stages, **options)
    return replace(made, interior=tuple((0, 0) for _ in made.scale))


def _felt_everywhere(stages: Any, **options: Any) -> Any:
    """Leave a block more at both ends open."""
    made = honest.collapse_stages(stages, **options)
    return replace(made, interior=tuple((a + s, b + s) for (a, b), s in zip(made.interior, made.scale, strict=True)))


def _last_bias(stages: Any, **options: Any) -> Any:
    """Forget the biases of all stages but the last."""
    return honest.collapse_stages([*((kernel, None, scale) for kernel, _, scale in stages[:-1]), stages[-1]], **options)


def _first_bias_summed(stages: Any, **options: Any) -> Any:
    """Carry the bias of the first stage through the sum of the second kernel, as if it had one offset."""
    made = honest.collapse_stages(stages, **options)
    if made.bias is None:
        return made
    flat = made.bias.reshape(-1, prod(made.scale)) if made.order in ("CRD", "RCD") else made.bias.reshape(prod(made.scale), -1).T
    even = np.broadcast_to(flat.mean(axis=1, keepdims=True), flat.shape).astype(made.bias.dtype)
    return replace(made, bias=(even if made.order in ("CRD", "RCD") else even.T).reshape(-1).copy())


def _kernels_summed_in_half(stages: Any, **options: Any) -> Any:
    made = honest.collapse_stages(stages, **options)
    return replace(made, kernel=made.kernel.astype(np.float16).astype(np.float32))


def _linear_enough(stages: Any, *, activation: Any = None, **options: Any) -> Any:
    """Collapse a chain with a nonlinearity."""
    return honest.collapse_stages(stages, **options)


def _kernel_alone(kernel: Kernel, bias: Any, **options: Any) -> Any:
    """Permute the kernel, and not the bias."""
    return honest.reorder(kernel, bias, **options)[0], bias


def _inverse_permutation(kernel: Kernel, bias: Any, *, source: str, target: str, **options: Any) -> Any:
    return honest.reorder(kernel, bias, source=target, target=source, **options)


def _any_group(kernel: Kernel, bias: Bias, *, groups: int, order: str, **options: Any) -> Any:
    """Take groups in every order."""
    return honest.deconv_to_subpixel(kernel, bias, groups=1, order=order, **options)


def _groups_ignored(kernel: Kernel, bias: Bias, *, groups: int, **options: Any) -> Any:
    """Hand the channels of a group to the next one."""
    made = honest.deconv_to_subpixel(kernel, bias, groups=groups, **options)
    own = made.kernel.shape[-1] // groups
    return replace(made, kernel=np.roll(made.kernel, own, axis=-1))


def _any_output_padding(kernel: Kernel, bias: Bias, *, output_padding: Any, stride: Any, **options: Any) -> Any:
    """Make an output padding smaller that is too large."""
    small = tuple(min(a, s - 1) for a, s in zip(output_padding, stride, strict=True))
    return honest.deconv_to_subpixel(kernel, bias, output_padding=small, stride=stride, **options)


# --- converted layers of a framework ---


def _native_unpadded(x: Any, kernel: Kernel, bias: Bias, *, padding: Any, device: str, **options: Any) -> Any:
    """Convert a layer as if padding were cropped from the end."""
    ones = (1,) * len(padding)
    made = _unpadded(kernel, bias, padding=padding, **options, dilation=ones, groups=1, order="DCR", form="minimal")
    return equal.apply(made, x).astype(x.dtype)


def _native_without_bias(x: Any, kernel: Kernel, bias: Bias, **options: Any) -> Any:
    return honest.from_conv_transpose(x, kernel, None, **options)


def _native_in_half(x: Any, kernel: Kernel, bias: Bias, **options: Any) -> Any:
    """Round the input to float16."""
    return honest.from_conv_transpose(x.astype(np.float16).astype(x.dtype), kernel, bias, **options)


def _limit_of_the_stride(kernel: Kernel, bias: Bias, *, output_padding: Any, stride: Any, **options: Any) -> Any:
    """Refuse an output padding that only the dilation allows."""
    if any(a >= s for a, s in zip(output_padding, stride, strict=True)):
        raise ValueError(f"output_padding must be below the stride; got {output_padding}")
    return honest.deconv_to_subpixel(kernel, bias, output_padding=output_padding, stride=stride, **options)


def _native_resize_edge(x: Any, kernel: Kernel, bias: Bias, *, device: str, **options: Any) -> Any:
    return equal.apply(_resize_edge(kernel, bias, order="DCR", form="minimal", **options), x).astype(x.dtype)


def mutants() -> tuple[Mutant, ...]:
    """Return all mutants of the conversions."""
    return tuple(_mutants())


def _mutants() -> Iterator[Mutant]:
    rows: list[tuple[str, str, str, str, Any]] = [
        ("a deconvolution in DCR, whatever the order", "deconv_to_subpixel", "EQ-001", "", _always_dcr),
        ("a deconvolution whose padding is cropped at the end", "deconv_to_subpixel", "EQ-001", "EQ-002", _unpadded),
        ("an output padding forgotten", "deconv_to_subpixel", "EQ-001", "EQ-002", _no_output_padding),
        ("a deconvolution turned around", "deconv_to_subpixel", "EQ-001", "", _turned),
        ("taps lost beyond the last whole block", "deconv_to_subpixel", "EQ-001", "", _whole_taps),
        ("the bias at the first offset alone", "deconv_to_subpixel", "EQ-001", "", _bias_of_the_first_phase),
        ("a dilation ignored", "deconv_to_subpixel", "EQ-001", "", _undilated),
        ("the padding at the start at both ends", "deconv_to_subpixel", "EQ-001", "", _start_at_both_ends),
        ("the paddings of the axes swapped", "deconv_to_subpixel", "EQ-001", "EQ-002", _axes_swapped),
        ("groups handed on", "deconv_to_subpixel", "EQ-001", "", _groups_ignored),
        ("a kernel carried through float16", "deconv_to_subpixel", "EQ-001", "", _rounded_kernel),
        ("always aligned", "deconv_to_subpixel", "EQ-002", "", _always_aligned),
        ("a tap of zeros more", "deconv_to_subpixel", "EQ-002", "", _zeros_as_taps),
        ("a block more, and cropped", "deconv_to_subpixel", "EQ-002", "", _crops_a_block),
        ("MACs of the positions of the input", "deconv_to_subpixel", "EQ-002", "", _counts_input),
        ("the taps spread in their sequence", "subpixel_to_deconv", "EQ-003", "", _taps_in_sequence),
        ("a deconvolution as if from DCR", "subpixel_to_deconv", "EQ-003", "", _deconv_as_if_dcr),
        ("both ends cropped alike", "subpixel_to_deconv", "EQ-003", "", _cropped_evenly),
        ("a convolution between zeros that is not turned around", "fractionally_strided_conv", "EQ-004", "", _not_turned),
        ("an output padding that repeats the edge", "fractionally_strided_conv", "EQ-004", "", _ends_at_the_last_pixel),
        ("a resize padded by whole pixels", "resize_conv_to_subpixel", "EQ-005", "EQ-012", _resize_edge),
        ("the mean of the taps of a pixel", "resize_conv_to_subpixel", "EQ-005 EQ-012", "", _mean_of_taps),
        ("a resize whose convolution is not dilated", "resize_conv_to_subpixel", "EQ-005", "", _undilated_resize),
        ("a resize whose groups are handed on", "resize_conv_to_subpixel", "EQ-005", "", _groups_of_a_resize_handed_on),
        ("taps added up in float16", "resize_conv_to_subpixel", "EQ-012", "", _half_summed),
        ("a shift's offsets column by column", "shift_conv_to_subpixel", "EQ-006", "", _columns_first),
        ("offsets moved to the other side", "conv_unshift_to_strided", "EQ-007", "", _offsets_reversed),
        ("zeros of the low resolution around the high one", "unshift_conv_to_strided", "EQ-007", "", _low_padding),
        ("a chain exact up to the border", "collapse_stages", "EQ-008", "", _exact_everywhere),
        ("a chain left open a block too far", "collapse_stages", "EQ-008", "", _felt_everywhere),
        ("the bias of the last stage alone", "collapse_stages", "EQ-008", "", _last_bias),
        ("the bias of a chain without its offsets", "collapse_stages", "EQ-008", "", _first_bias_summed),
        ("kernels of a chain added up in float16", "collapse_stages", "EQ-012", "EQ-008", _kernels_summed_in_half),
        ("a bias that keeps its order", "reorder", "EQ-009", "", _kernel_alone),
        ("an order changed backwards", "reorder", "EQ-009", "", _inverse_permutation),
        ("a converted layer whose padding is cropped at the end", "from_conv_transpose", "EQ-001 EQ-012", "", _native_unpadded),
        ("a converted layer without its bias", "from_conv_transpose", "EQ-001 EQ-012", "", _native_without_bias),
        ("a converted layer in half precision", "from_conv_transpose", "EQ-012", "", _native_in_half),
        ("an output padding refused that the dilation allows", "deconv_to_subpixel", "EQ-001", "", _limit_of_the_stride),
        ("a converted resize padded by whole pixels", "from_resize_conv", "EQ-005", "", _native_resize_edge),
    ]
    for name, operation, violates, also, wrong in rows:
        yield mutant(name, violates, also, operations=operation, **{operation: wrong})
    for name, wrong in [
        ("the first form", _first_form),
        ("the most MACs", _most_macs),
        ("chosen by taps alone", _taps_alone),
        ("the larger crop of equals", _any_equal),
    ]:
        yield mutant(name, "EQ-011", operations="deconv_to_subpixel choose_form", choose_form=wrong)
    refusing: list[tuple[str, str, str, Any]] = [
        ("any resize taken for the nearest neighbour", "resize_conv_to_subpixel", "EQ-010", _any_mode),
        ("corners aligned without a word", "resize_conv_to_subpixel", "EQ-010", _any_corners),
        ("a nonlinear chain made one", "collapse_stages", "EQ-010", _linear_enough),
        ("groups in any order", "deconv_to_subpixel", "EQ-010", _any_group),
        ("an output padding made smaller", "deconv_to_subpixel", "EQ-010", _any_output_padding),
        ("the mean of an uneven bias", "subpixel_to_deconv", "EQ-003", _mean_bias),
    ]
    for name, operation, violates, wrong in refusing:
        also = "EQ-001" if operation == "deconv_to_subpixel" else ""
        yield mutant(name, violates, also, operations=operation, claims={"refusals": ("EQ-003", "EQ-010")}, **{operation: wrong})
