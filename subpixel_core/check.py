"""The rules for arguments, and the only place where their messages are written."""

import os
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, TypeVar

import numpy as np

Scale = int | Sequence[int]
Padding = str | Sequence[Sequence[int]]
Word = TypeVar("Word", bound=str)
PLANNABLE = 2**20
"""The largest product of a scale whose factorizations are all considered."""


def integer(name: str, value: Any, *, minimum: int, plural: str = "an integer") -> int:
    """Return ``value`` as an int, refusing everything that is not an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be {plural}; got {value!r}")
    number = int(value)
    if number < minimum:
        raise ValueError(f"{name} must be {minimum} or more; got {number}")
    return number


def per_axis(name: str, value: Any, ndim: int | None = None, *, minimum: int = 1) -> tuple[int, ...]:
    """Return one integer per spatial axis: an int for all ``ndim`` axes, or a tuple as it is.

    With ``ndim=None`` the number of axes is not known: then an int is the pair, and a tuple may have any length from 1.
    """
    what = "an integer or a tuple of integers"
    if isinstance(value, (tuple, list)):
        if not value or (ndim is not None and len(value) != ndim):
            wanted = "at least one value" if ndim is None else f"one value per spatial axis, {ndim}"
            raise ValueError(f"{name} must have {wanted}; got {tuple(value)}")
        for entry in value:
            if type(entry) is not int or entry < minimum:
                break
        else:
            return tuple(value)
        try:
            return tuple(integer(name, entry, minimum=minimum, plural=what) for entry in value)
        except TypeError:
            raise TypeError(f"{name} must be {what}; got {value!r}") from None
        except ValueError:
            raise ValueError(f"{name} must be {minimum} or more on every axis; got {tuple(value)}") from None
    number = value if type(value) is int and value >= minimum else integer(name, value, minimum=minimum, plural=what)
    return (number,) * (2 if ndim is None else ndim)


def plannable(name: str, scale: tuple[int, ...]) -> None:
    """Refuse a scale with so many factorizations that looking at them does not end."""
    if prod(scale) > PLANNABLE:
        raise ValueError(f"{name} must have a product of at most {PLANNABLE} to be planned; got {scale}")


def one_of(name: str, value: Any, allowed: tuple[Word, ...]) -> Word:
    """Return ``value`` if it is one of the allowed words; nothing unknown ever falls through to another."""
    if isinstance(value, str):
        for word in allowed:
            if value == word:
                return word
    words = ", ".join(repr(word) for word in allowed)
    raise ValueError(f"{name} must be one of {words}; got {value!r}")


def flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False, refusing what is merely true or false in a condition."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def rank(shape_rank: int | None, ndim: int, scale: tuple[int, ...]) -> None:
    """Refuse a tensor without room for ``ndim`` spatial axes and the channel axis, and one whose number of axes is not known."""
    if shape_rank is None:
        raise ValueError("x must have a known number of axes; got a tensor of unknown rank")
    if shape_rank < ndim + 1:
        raise ValueError(
            f"x must have {ndim} spatial axes for scale={scale} and a channel axis, at least {ndim + 1} axes; got {shape_rank}"
        )


def multiple(what: str, value: Any, divisor: int, reason: str) -> None:
    """Refuse a known extent that ``divisor`` does not divide; a symbolic one is left to the framework at run time."""
    if isinstance(value, (int, np.integer)) and value % divisor:
        raise ValueError(f"{what} must be a multiple of {divisor}, {reason}; got {value}")


def pooled_axes(scale: tuple[int, ...]) -> None:
    """Refuse more spatial axes than the frameworks can pool over."""
    if len(scale) > 3:
        raise ValueError(f"scale must have at most 3 factors for a blur in this framework; got {scale}")


def layer_input(shape: Sequence[Any], ndim: int, channels: int | None, data_format: str = "channels_last") -> None:
    """Refuse the input of a layer without exactly one batch axis, ``ndim`` spatial axes and ``channels`` channels (None: any number)."""
    if len(shape) != ndim + 2:
        raise ValueError(f"x must have {ndim + 2} axes: one batch axis, {ndim} spatial and the channels; got {len(shape)}")
    received = shape[-1] if data_format == "channels_last" else shape[1]
    if isinstance(received, int) and channels is not None and received != channels:
        raise ValueError(f"x must have {channels} channels; got {received}")


def padding_widths(padding: Padding, kernel_size: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the zeros ``(before, after)`` on every spatial axis.

    >>> padding_widths("same", (3, 4)), padding_widths("valid", (3, 4))
    (((1, 1), (1, 2)), ((0, 0), (0, 0)))
    """  # CV-002
    kernel_size = per_axis("kernel_size", tuple(kernel_size), len(tuple(kernel_size)))
    if isinstance(padding, str):
        if one_of("padding", padding, ("same", "valid")) == "valid":
            return tuple((0, 0) for _ in kernel_size)
        return tuple(((k - 1) // 2, k // 2) for k in kernel_size)
    rule = f"padding must be 'same', 'valid' or a pair (before, after) for each of {len(kernel_size)} spatial axes"
    if not isinstance(padding, (tuple, list)) or not all(isinstance(pair, (tuple, list)) for pair in padding):
        raise TypeError(f"{rule}; got {padding!r}")
    if len(padding) != len(kernel_size) or any(len(pair) != 2 for pair in padding):
        raise ValueError(f"{rule}; got {padding!r}")
    before_after = [per_axis("padding", pair, 2, minimum=0) for pair in padding]
    return tuple((before, after) for before, after in before_after)


def cuts(padding: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """Return what a transposed convolution leaves out (before, after) on every axis: of an int, one per axis, or a pair per axis.

    >>> cuts(1, 2), cuts((1, 0), 2), cuts(((0, 1), (1, 2)), 2)
    (((1, 1), (1, 1)), ((1, 1), (0, 0)), ((0, 1), (1, 2)))
    """
    if isinstance(padding, (tuple, list)) and len(padding) == ndim and all(isinstance(pair, (tuple, list)) for pair in padding):
        before_after = [per_axis("padding", pair, 2, minimum=0) for pair in padding]
        return tuple((before, after) for before, after in before_after)
    return tuple((cut, cut) for cut in per_axis("padding", padding, ndim, minimum=0))


def xla_padding(padding: Any, ndim: int, words: tuple[str, ...] = ("SAME", "VALID")) -> str | tuple[tuple[int, int], ...]:
    """Return a padding as JAX and Flax have it: a word as it is, otherwise the zeros ``(before, after)`` on every spatial axis.

    >>> xla_padding("SAME", 2), xla_padding(1, 2), xla_padding((1, (0, 2)), 2)
    ('SAME', ((1, 1), (1, 1)), ((1, 1), (0, 2)))
    """
    rule = f"padding must be {', '.join(map(repr, words))}, or an integer or a pair (before, after) for each of {ndim} spatial axes"
    if isinstance(padding, str):
        if padding not in words:
            raise ValueError(f"{rule}; got {padding!r}")
        return padding
    entries = padding if isinstance(padding, (tuple, list)) else (padding,) * ndim
    if len(entries) != ndim:
        raise ValueError(f"{rule}; got {padding!r}")
    pairs = [tuple(entry) if isinstance(entry, (tuple, list)) else (entry, entry) for entry in entries]
    if any(len(pair) != 2 or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) for n in pair) for pair in pairs):
        raise TypeError(f"{rule}; got {padding!r}")
    return tuple((int(before), int(after)) for before, after in pairs)


def kernel_fits(extents: Sequence[Any], kernel_size: Sequence[int], widths: Sequence[tuple[int, int]]) -> None:
    """Refuse a kernel that is larger than the padded input, where the extents are known."""
    padded = tuple(extent + before + after for extent, (before, after) in zip(extents, widths, strict=True))
    if any(isinstance(extent, int) and extent < k for extent, k in zip(padded, kernel_size, strict=True)):
        raise ValueError(f"kernel must not be larger than the padded input {padded}; got {tuple(kernel_size)}")


def kernel_shape(shape: Sequence[Any]) -> None:
    """Refuse a kernel without a spatial axis, or without a tap on one."""
    if len(shape) < 3:
        raise ValueError(f"kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got {tuple(shape)}")
    if min(shape[:-2]) < 1:
        raise ValueError(f"kernel must have at least one tap on every axis; got {tuple(shape)}")


def output_padding(added: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...] | None = None) -> None:
    """Refuse an output padding that is not below the stride, or not below the dilation where that is larger."""
    limits = strides if dilation is None or max(dilation) == 1 else tuple(map(max, strides, dilation))
    if any(a >= s for a, s in zip(added, limits, strict=True)):
        what = "the stride" if limits == strides else "the larger of stride and dilation"
        raise ValueError(f"output_padding must be below {what} {limits}; got {added}")


def spatial_extents(extents: Sequence[Any]) -> None:
    """Refuse an input without a position on some spatial axis."""
    if any(isinstance(extent, int) and extent < 1 for extent in extents):
        raise ValueError(f"x must have spatial extents of {(1,) * len(extents)} or more; got {tuple(extents)}")


def something_left(extents: Sequence[Any], output: Sequence[Any]) -> None:
    """Refuse an input so small that a layer crops more than there is."""
    if any(isinstance(extent, int) and extent < 0 for extent in output):
        raise ValueError(
            f"x must have spatial extents of which something is left after cropping; got {tuple(extents)}, cropped to {tuple(output)}"
        )


def grouped_order(order: str, groups: int) -> None:
    """Refuse an order in which the channels of a group are no neighbours before the shift."""
    if groups > 1 and order not in ("CRD", "RCD"):
        raise ValueError(f"order must be 'CRD' or 'RCD' for groups={groups}, whose channels are neighbours in no other; got {order!r}")


def block_constant(constant: bool, difference: Any) -> None:
    """Refuse to make one value per output channel of a bias that differs within a block."""
    if not constant:
        raise ValueError(
            f"bias must be the same for every offset of a block to be that of a transposed convolution; got a difference of {difference}"
        )


def exact_resize(mode: Any, align_corners: bool) -> None:
    """Refuse a resize that no sub-pixel convolution is."""
    if mode != "nearest":
        why = "any other resize continues the border with its pixels, where a convolution has zeros"
        raise ValueError(f"mode must be 'nearest', for {why}; got {mode!r}")
    if align_corners:
        raise ValueError("align_corners must be False, for the distance of its samples changes with the extents; got True")


def layer_kind(name: str, kind: str, allowed: Sequence[str]) -> None:
    """Refuse a layer of another type than a conversion knows; one that is derived from them may compute another thing."""
    if kind not in allowed:
        raise TypeError(f"{name} must be a {' or '.join(allowed)} to be converted; got {kind}")


def nothing_attached(name: str, found: Sequence[str]) -> None:
    """Refuse a layer to which something is attached that its replacement would lose: hooks, parametrizations and the like."""
    if found:
        raise ValueError(f"{name} must have nothing attached that its replacement would lose; got {', '.join(found)}")


def is_built(name: str, built: bool) -> None:
    """Refuse a layer that has no kernel yet."""
    if not built:
        raise ValueError(f"{name} must be built, for kernels are what is converted; got one that has none yet")


def same_when_rebuilt(name: str, before: Sequence[Any], after: Sequence[Any]) -> None:
    """Refuse to copy a layer whose configuration does not make its variables again: values would be lost."""
    if list(before) != list(after):
        raise ValueError(f"{name} must have the variables that its configuration makes, {list(after)}; got {list(before)}")


def some(name: str, values: Sequence[Any]) -> None:
    """Refuse to choose among nothing."""
    if not values:
        raise ValueError(f"{name} must be at least one, to choose from; got none")


def same_in_copy(name: str, same: bool) -> None:
    """Refuse to copy a model whose copy, with nothing replaced, has other values."""
    if not same:
        raise ValueError(f"{name} must hold its state in variables, configurations and what is saved of it; got a copy with other values")


def same_in_both(what: str, first: Any, second: Any) -> None:
    """Refuse a resize and a convolution that do not belong together."""
    if first != second:
        raise ValueError(f"{what} must be the same in the resize and the convolution; got {first!r} and {second!r}")


def example_inputs(given: Sequence[Any], wanted: Sequence[Sequence[int | None]]) -> None:
    """Refuse an example without an array for every input of a model, or with an array that does not fit its input."""
    shapes = [getattr(array, "shape", None) for array in given]
    fits = len(shapes) == len(wanted) and all(shape is not None and _fits(shape, axes) for shape, axes in zip(shapes, wanted, strict=True))
    if not fits:
        inputs = ", ".join(str(tuple(axes)) for axes in wanted)
        raise ValueError(f"example must have an array for each input of the model, {inputs}; got {_described(given)}")


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Return whether a shape is the one wanted, where None is any extent."""
    return len(shape) == len(wanted) and all(known in (extent, None) for extent, known in zip(shape, wanted, strict=True))


@contextmanager
def example_runs(given: Sequence[Any], name: str = "example") -> Iterator[None]:
    """Refuse an example on which the model, which is run inside, raises anything."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        why = f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
        raise ValueError(f"{name} must be an input on which the model runs; got {_described(given)}, on which it raised {why}") from error


def _described(given: Sequence[Any]) -> str:
    """Return the shapes of arrays, and the types of what is none."""
    described = [str(tuple(array.shape)) if hasattr(array, "shape") else type(array).__name__ for array in given]
    return ", ".join(described) or "none"


def own_positions(extents: Sequence[int], added: Any) -> None:
    """Refuse a transposed convolution whose last pixel would add no position to the output, which Keras describes and cannot run."""
    if min(extents) < 1:
        raise ValueError(f"output_padding must give the last pixel a position of its own with padding='same'; got {added}")


def zeros_around(mode: Any) -> None:
    """Refuse a convolution that puts something else than zeros around its input."""
    if mode != "zeros":
        raise ValueError(f"padding_mode must be 'zeros', for other values around the input are no part of a kernel; got {mode!r}")


def whole_factors(scale: Any, size: Any, ndim: int) -> tuple[int, ...]:
    """Return the factors of a resize, refusing one that is given by its result, or that is not whole."""
    if size is not None:
        raise ValueError(f"size must be None, for the factor of a resize to a size changes with the extents; got {size!r}")
    factors = tuple(scale) if isinstance(scale, (tuple, list)) else (scale,) * ndim
    whole = [int(factor) if isinstance(factor, float) and factor.is_integer() else factor for factor in factors]
    if any(isinstance(factor, float) for factor in whole):
        raise ValueError(f"scale_factor must be whole on every axis, for pixels are repeated unequally otherwise; got {scale!r}")
    return per_axis("scale_factor", tuple(whole), ndim)


def neighbours_found(factors: Sequence[int], found: bool) -> None:
    """Refuse a resize whose framework looks for the nearest pixel in so few digits that it takes a neighbour."""
    if not found:
        raise ValueError(f"scale_factor must be one at which mode 'nearest' finds every pixel, in float32; got {tuple(factors)}")


def values_at_hand(name: str, device: Any) -> None:
    """Refuse parameters that hold no values."""
    if str(device) == "meta":
        raise ValueError(f"{name} must hold values to be converted; got parameters on the meta device")


def exact_everywhere(interior: Sequence[tuple[int, int]]) -> None:
    """Refuse a chain that is one layer away from the border only."""
    if any(map(any, interior)):
        raise ValueError(
            f"stages must be one layer up to the border: one tap each, or no zeros around all but the first; got an interior of {interior}"
        )


def one_kernel(**not_so: bool) -> None:
    """Refuse stages that do more than to convolve with one kernel and to shift."""
    for what in (what for what, so in not_so.items() if so):
        raise ValueError(f"stages must be convolutions with one kernel each to become one layer; got {what}=True")


def unit_steps(stride: Sequence[int]) -> None:
    """Refuse a convolution behind a resize that does not step to every position."""
    if any(step != 1 for step in stride):
        raise ValueError(f"stride must be 1 on every axis of a convolution behind a resize; got {tuple(stride)}")


def sums_held(held: bool, dtype: Any) -> None:
    """Refuse to add up taps where a sum is not finite though its taps are."""
    if not held:
        raise ValueError(f"kernel must have taps whose sums its dtype can hold; got {dtype}")


def linear(activation: Any) -> None:
    """Refuse a nonlinearity between stages that are to become one."""
    if activation is not None:
        raise ValueError(
            f"activation must be None, for a chain with a nonlinearity between its stages is no linear layer; got {activation!r}"
        )


def stages(value: Any) -> Sequence[Any]:
    """Return a chain, refusing one that is not a sequence of at least one (kernel, bias, scale)."""
    rule = "stages must be a sequence of (kernel, bias, scale), one per stage"
    if not isinstance(value, (tuple, list)) or not all(isinstance(stage, (tuple, list)) for stage in value):
        raise TypeError(f"{rule}; got {type(value).__name__}")
    if not value or any(len(stage) != 3 for stage in value):
        raise ValueError(f"{rule}; got {[len(stage) for stage in value]} entries")
    return value


def follows(shape: Sequence[int], before: Sequence[int]) -> None:
    """Refuse a kernel that does not take what the one before it puts out, (*K, Ci, C)."""
    if len(shape) != len(before) or shape[-2] != before[-1]:
        wanted = f"{len(before) - 2} spatial axes and {before[-1]} input channels"
        raise ValueError(f"stages must fit each other: a kernel with {wanted} must follow; got the shape {tuple(shape)}")


def bias_scale(scale: Any) -> tuple[int, ...]:
    """Return the factors for a bias that is initialized by itself: it has no spatial axes, so an int would leave their number open."""
    if not isinstance(scale, (tuple, list)):
        per_axis("scale", scale)
        raise ValueError(f"scale must have one factor per spatial axis to initialize a bias, which has no such axes; got {scale}")
    return per_axis("scale", scale)


def instance(name: str, value: Any, kind: type) -> None:
    """Refuse what is not of the framework's own kind of tensor."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}; got {type(value).__name__}")


def floating(is_floating: bool, dtype: Any) -> None:
    """Refuse to average what is not floating point, where the framework cannot."""
    if not is_floating:
        raise TypeError(f"x must be floating point for a blur in this framework; got {dtype}")


def bias_shape(shape: Sequence[Any], channels: int) -> None:
    """Refuse a bias that has not one value per output channel of its kernel; one value would be broadcast without a word."""
    if tuple(shape) != (channels,):
        raise ValueError(f"bias must have the shape {(channels,)}, one value per output channel; got {tuple(shape)}")


def depthwise_shape(shape: Sequence[int]) -> None:
    """Refuse a depthwise kernel with more than one output per channel."""
    if shape[-1] != 1:
        raise ValueError(f"depthwise must have the shape (*k, Ci, 1), one kernel per channel; got {tuple(shape)}")


def pointwise_shape(shape: Sequence[int]) -> None:
    """Refuse a pointwise kernel with more than one tap."""
    if any(taps != 1 for taps in shape[:-2]):
        raise ValueError(f"pointwise must have the shape (1, ..., 1, Ci, Co), one tap per axis; got {tuple(shape)}")


def dimensions(name: str, value: Any) -> int:
    """Return the number of spatial axes of a network: the frameworks convolve over 1, 2 or 3."""
    if integer(name, value, minimum=1) > 3:
        raise ValueError(f"{name} must be 1, 2 or 3; got {value}")
    return int(value)


def per_level(name: str, value: Any, levels: int | None = None) -> tuple[int, ...]:
    """Return one positive integer per level of a network, of which there are ``levels`` if that is known."""
    what = "a tuple of integers, one per level" if levels is None else "an integer or a tuple of integers, one per level"
    if not isinstance(value, tuple):
        raise TypeError(f"{name} must be {what}; got {value!r}")
    if not value or (levels is not None and len(value) != levels):
        wanted = "at least one level" if levels is None else f"one value per level, {levels} as widths has"
        raise ValueError(f"{name} must have {wanted}; got {value}")
    for entry in value:
        integer(f"every value of {name}", entry, minimum=1)
    return value


def steps(name: str, value: Any, number: int, ndim: int) -> tuple[tuple[int, ...], ...]:
    """Return the factors per axis of each of ``number`` steps between levels: one int for all, or a tuple with an entry per step."""
    if not isinstance(value, tuple):
        return (per_axis(name, value, ndim),) * number
    if len(value) != number:
        raise ValueError(f"{name} must have one entry per step between levels, {number}, one less than widths; got {value}")
    return tuple(per_axis(f"every entry of {name}", entry, ndim) for entry in value)


def divisible_widths(widths: tuple[int, ...], groups: int) -> None:
    """Refuse channels that the groups of a normalization do not divide."""
    if any(width % groups for width in widths):
        raise ValueError(f"widths must be multiples of groups={groups} with norm='group'; got {widths}")


def unet_input(shape: Sequence[Any], ndim: int, channels: int, data_format: str = "channels_last") -> None:
    """Refuse an input of a network that a layer would refuse, and one without a position on some spatial axis."""
    layer_input(shape, ndim, channels, data_format)
    spatial = tuple(shape[1:-1] if data_format == "channels_last" else shape[2:])
    spatial_extents(spatial)


def batch_values(number: Any) -> None:
    """Refuse to train batch normalization on less than two values per channel, whose variance says nothing."""
    if isinstance(number, int) and number < 2:
        raise ValueError(f"x must give batch normalization 2 or more values per channel in training; got {number}")


def floating_dtype(is_floating: bool, dtype: Any) -> None:
    """Refuse to compute a network in what is not floating point."""
    if not is_floating:
        raise ValueError(f"dtype must be a floating-point dtype; got {dtype}")


def arrays(name: str, values: Any, shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Return a mapping of named values as arrays of their own, refusing what is no real number or has not these names and shapes."""
    instance(name, values, Mapping)
    copies = {tensor: np.array(value) for tensor, value in values.items()}
    tensors(name, {tensor: copy.shape for tensor, copy in copies.items()}, shapes)
    real(name, copies)
    return copies


def real(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse named arrays that hold something other than real numbers: a framework would drop or reinterpret it."""
    for tensor, array in arrays.items():
        if not np.can_cast(array.dtype, np.float64, "same_kind"):
            raise TypeError(f"{name} must be real numbers; got {array.dtype} in {tensor!r}")


def sections(name: str, found: Any, wanted: tuple[str, str]) -> None:
    """Refuse a tree of parameters without what an optimizer changes, or with more than that and what it does not change."""
    if not isinstance(found, Mapping) or wanted[0] not in found or not set(found) <= set(wanted):
        keys = [f"{key!r}" for key in found] if isinstance(found, Mapping) else [type(found).__name__]
        shown = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
        raise ValueError(f"{name} must be a dict of {' and '.join(map(repr, wanted))}; got {shown or 'an empty one'}")


def tensors(name: str, found: Mapping[str, Sequence[Any]], wanted: Mapping[str, Sequence[int]]) -> None:
    """Refuse a set of named tensors in which one is missing, unknown or of another shape."""
    missing = [tensor for tensor in wanted if tensor not in found]
    unknown = [tensor for tensor in found if tensor not in wanted]
    if missing:
        there = f"{unknown[0]!r} instead" if len(unknown) == 1 else f"{len(found)} tensors without it"
        raise ValueError(f"{name} must have the tensor {missing[0]!r} of shape {tuple(wanted[missing[0]])}; got {there}")
    if unknown:
        raise ValueError(f"{name} must have no tensors but those of the configuration; got {unknown[0]!r}")
    for tensor, shape in wanted.items():
        if tuple(found[tensor]) != tuple(shape):
            raise ValueError(f"{name} must have {tensor!r} of shape {tuple(shape)}; got {tuple(found[tensor])}")


def weight_dtypes(dtypes: Mapping[str, Any]) -> None:
    """Refuse weights in another dtype than the two of the file format, or in both."""
    strange = {tensor: dtype for tensor, dtype in dtypes.items() if str(dtype) not in ("float32", "float64")}
    for tensor, dtype in strange.items():
        raise ValueError(f"params must be float32 or float64; got {dtype} in {tensor!r}")
    if len(set(map(str, dtypes.values()))) > 1:
        raise ValueError(f"params must have one dtype; got {', '.join(sorted(set(map(str, dtypes.values()))))}")


def weight_file(path: Any, rule: str, received: Any) -> ValueError:
    """Return the refusal of a weight file: what it must be, and what was found in it."""
    return ValueError(f"{path} must {rule}; got {received}")


def opset(version: Any) -> int:
    """Return a version of the ONNX operators, refusing one from before what the exporter writes."""
    return integer("opset_version", version, minimum=18)


def one_file(size: int, target: str, instead: str) -> None:
    """Refuse a model that one file of the target cannot hold."""
    if size >= 2**31:
        raise ValueError(f"model must have less than 2 GiB of parameters for one {target} file; got {size} bytes. Use {instead}")


def real_example(is_complex: bool, dtype: Any, target: str) -> None:
    """Refuse complex numbers, which the target has no operators for."""
    if is_complex:
        raise ValueError(f"example must hold real numbers for {target}; got {dtype}. Export real and imaginary parts as channels")


def telling(shape: Sequence[int], finite: bool, constant_axes: Sequence[int]) -> None:
    """Refuse an example on which a wrong export is right: without values, with some that are not finite, or the same along an axis."""
    received = None
    if 0 in shape:
        received = f"none, in the shape {tuple(shape)}"
    elif not finite:
        received = "some that are not finite"
    elif constant_axes:
        received = f"the same values all along axis {constant_axes[0]} of {tuple(shape)}"
    if received is not None:
        raise ValueError(
            f"example must have finite values that differ along every axis, for the exported file is verified on them; got {received}. "
            f"Take random values, or give verify=False"
        )


def answered(finite: bool) -> None:
    """Refuse an example for which the model gives nothing that a wrong export could be told by."""
    if not finite:
        raise ValueError("example must be one for which the model gives finite values; got none. Take other values, or give verify=False")


def same_format(given: str, of_the_function: str) -> None:
    """Refuse to export a function as if its channels lay elsewhere: the wrong axes would be fixed."""
    if given != of_the_function:
        raise ValueError(f"data_format must be that of the exported function, {of_the_function!r}; got {given!r}")


def opset_written(asked: int, written: Any) -> None:
    """Refuse a file in other operators than those asked for, which an exporter writes where it does not know them."""
    if written != asked:
        raise ValueError(f"opset_version must be one that torch.onnx.export writes; got {asked}, for which it wrote {written}")


def traceable(error: BaseException) -> Any:
    """Refuse a model that torch does not export, with the first cause, which its own message leaves out."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = " ".join(str(cause).split())[:500]
    raise ValueError(
        f"model must be one that torch.onnx.export takes, at the extents that may change; got {type(cause).__name__}: {reason}. "
        f"An axis that the model needs to know, as a convolution its channels, must not be in dynamic_shapes; nothing was written"
    ) from error


def kept_dtype(framework: str, given: Any, kept: Any, allowing: str) -> None:
    """Refuse a dtype that the framework makes another one of without a word."""
    if given != kept:
        raise ValueError(f"dtype must be one that {framework} keeps; got {given}, of which it makes {kept} without {allowing}")


def words(name: str, value: Any) -> None:
    """Refuse what is no sequence of at least one str; a str is one of letters."""
    if not isinstance(value, (tuple, list)) or not all(isinstance(word, str) for word in value):
        raise TypeError(f"{name} must be a tuple or list of str; got {value!r}")
    if not value:
        raise ValueError(f"{name} must have at least one value; got {value!r}")


def of_kind(name: str, is_one: bool, what: str, value: Any) -> None:
    """Refuse what is not of a kind that has no one type."""
    if not is_one:
        raise TypeError(f"{name} must be {what}; got {reprlib.repr(value)}")


def several(name: str, value: Any, kind: type) -> tuple[Any, ...]:
    """Return one object of a kind, or a tuple or list of them, as a tuple."""
    values = (value,) if isinstance(value, kind) else value
    if not isinstance(values, (tuple, list)) or not all(isinstance(each, kind) for each in values):
        raise TypeError(f"{name} must be a {kind.__name__}, or a tuple or list of them; got {reprlib.repr(value)}")
    if not values:
        raise ValueError(f"{name} must have at least one {kind.__name__}; got {value!r}")
    return tuple(values)


def known_dtype(known: bool, dtype: Any) -> None:
    """Refuse what is no dtype of the framework."""
    if not known:
        raise ValueError(f"dtype must be a dtype, or the name of one; got {dtype!r}")


def decided(shapes: Sequence[str], reason: str) -> Any:
    """Refuse unknown extents of which JAX cannot tell what the function asks of them."""
    raise ValueError(
        f"shapes must have extents of which JAX can tell what the function asks; got {', '.join(map(repr, shapes))}: "
        f"{reason.strip().splitlines()[0]} Give multiples as such, '2*h', or known extents"
    )


def verified_on(there: bool, platform: str, platforms: Sequence[str]) -> None:
    """Refuse to verify a program that is not for the platform it would run on."""
    if not there:
        raise ValueError(
            f"platforms must have {platform!r}, on which the program is verified; got {tuple(platforms)}. Add it, or give verify=False"
        )


def runnable(runtime: str, dtype: Any, reason: str) -> None:
    """Refuse a model that the runtime cannot load."""
    raise ValueError(
        f"model must be one that {runtime} can run; got {dtype} ({reason}). "
        f"Export it in float32, or with verify=False for another runtime; nothing was written"
    )


def convertible(target: str, reason: str, where_open: bool) -> Any:
    """Refuse a model that the target has no operators for."""
    advice = "Give every extent of its input but the batch, or replace that layer" if where_open else "Replace that layer"
    raise ValueError(f"model must have layers that {target} has operators for; got: {reason}. {advice}; nothing was written")


def few_axes_only(transposed: Iterable[int], most: int, target: str) -> None:
    """Refuse transposes of more axes than runtimes on devices have."""
    axes = max(transposed, default=0)
    if axes > most:
        raise ValueError(
            f"model must have transposes of at most {most} axes for {target}; got one of {axes}. Take the layers PhaseShift and "
            f"InversePhaseShift instead of the functions; verify=False writes what {target} can hold; nothing was written"
        )


def integers_only(in_float: Sequence[str], target: str) -> None:
    """Refuse a quantized model that is computed in floating point somewhere."""
    if in_float:
        raise ValueError(
            f"model must have layers that {target} computes in integers, with int8; got {', '.join(in_float)} in float32. Replace them "
            f"(convolutions in 3-D are in float only), or leave int8 out, or verify=False to have them as they are; nothing was written"
        )


def in_float32(dtypes: Iterable[str], target: str) -> None:
    """Refuse a model that holds other floating-point numbers than float32."""
    others = sorted({str(dtype) for dtype in dtypes if "float" in str(dtype)} - {"float32"})
    if others:
        raise ValueError(
            f"model must be float32 for {target}; got {', '.join(others)}. Make it in float32 and give it the weights; nothing was written"
        )


def known_inputs(model: Any, tensors: Any) -> Any:
    """Return the inputs or outputs of a model, refusing one that does not say what they are."""
    if not tensors:
        raise ValueError(f"model must say what it takes and gives, as keras.Model(inputs, outputs) does; got {type(model).__name__}")
    return tensors


def one_in_one_out(inputs: int, outputs: int, runtime: str) -> None:
    """Refuse a model that does not take one tensor and give one."""
    if (inputs, outputs) != (1, 1):
        raise ValueError(
            f"model must have one input and one output to be run in {runtime}; got {inputs} and {outputs}. "
            f"Export it in float with verify=False, or its parts"
        )


def runs_somewhere(extent: int, reason: str) -> Any:
    """Refuse to verify a model on inputs of its own, as it runs on none that is tried."""
    words = " ".join(re.sub(r"\x1b\[\d*m", "", reason).split())  # without colours
    raise ValueError(
        f"model must run where its open extents are some number up to {extent}, to be verified; got: {words[:300]}. "
        f"Give every extent of its input, or verify=False; nothing was written"
    )


def puts_out(name: str, shape: Sequence[int], output: np.ndarray, *, everywhere: bool) -> None:
    """Refuse an input for which a model puts out nothing, or nothing finite, or not everywhere what is finite."""
    finite = np.isfinite(output)
    if not finite.any() or (everywhere and not finite.all()):
        received = output[~finite][0] if output.size else "nothing"
        raise ValueError(f"{name} must be an input for which the model puts out finite numbers; got {received}, for {tuple(shape)}")


def calibrated(int8: bool, calibration: list[Any] | None, shape: Sequence[int | None]) -> list[np.ndarray]:
    """Return the inputs to calibrate a quantization on, in float32.

    Refused are none, inputs without int8, and what is not real, not finite, not of the shape that the model takes or one value everywhere.
    """
    if int8 and not calibration:
        raise ValueError("calibration must have inputs as the model will see them, for int8; got none")
    if calibration and not int8:
        raise ValueError(f"int8 must be True for a calibration; got False and {len(calibration)} inputs")
    try:
        arrays = [np.asarray(x) for x in calibration or []]
    except ValueError:
        raise ValueError("calibration must have inputs that are arrays; got lists of unequal lengths") from None
    real("calibration", {f"input {i}": x for i, x in enumerate(arrays)})
    with np.errstate(over="ignore"):  # which is refused as it comes out
        arrays = [x.astype(np.float32) for x in arrays]
    for x in arrays:
        if not _fits(x.shape, shape) or not x.size:
            raise ValueError(f"calibration must have inputs of the shape {tuple(shape)}, that of a batch for the model; got {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError(f"calibration must have finite values in float32; got {x[~np.isfinite(x)][0]}")
    if int8 and not any(np.ptp(x) > 0 for x in arrays):
        raise ValueError("calibration must have values that differ, for their ranges become the scales; got one value everywhere")
    return arrays


def new_folder(name: str, there: bool, path: Any) -> None:
    """Refuse to write a folder over what is there."""
    if there:
        raise ValueError(f"{name} must name a folder that is not there yet; got {path}")


def named(name: str, path: Any) -> None:
    """Refuse what is no path, and the empty one, which some functions take for the folder they are called in."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be a str or a path; got {path!r}")
    if not os.fspath(path):
        raise ValueError(f"{name} must name something; got ''")


def in_folder(name: str, path: Any) -> None:
    """Refuse, before the work, a path in a folder that is not there or cannot be written to."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{name} must be in a folder that is there and can be written to; got {os.fspath(path)}")


def file_path(name: str, path: Any) -> None:
    """Refuse, before the work, a path at which no file can be written."""
    named(name, path)
    if os.path.isdir(path):
        raise ValueError(f"{name} must name a file; got the folder {os.fspath(path)}")
    in_folder(name, path)


def same_answer(runtime: str, shape: Sequence[int], wanted: np.ndarray, got: np.ndarray, allowed: Any = None) -> None:
    """Refuse an exported model whose runtime answers otherwise than the model.

    What may differ is ``allowed``; without it, for floating point, half of the digits of the dtype at the largest value ::

        |got - wanted| <= sqrt(2 u) max |wanted|

    Rounding stays far below that in a deep network, and a wrong order of channels is far beyond.
    """
    fault = None
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        fault = f"{got.dtype} of shape {got.shape} instead of {wanted.dtype} of shape {wanted.shape}"
    elif not np.array_equal(got, wanted, equal_nan=np.issubdtype(wanted.dtype, np.inexact)):
        wide = np.complex128 if np.iscomplexobj(wanted) else np.float64
        if allowed is None and np.issubdtype(wanted.dtype, np.inexact):
            finite = np.abs(wanted[np.isfinite(wanted)].astype(wide))
            allowed = np.sqrt(float(np.finfo(wanted.dtype).eps)) * finite.max(initial=0.0)
        wrong = (got != wanted) & ~(np.isnan(got) & np.isnan(wanted))
        if np.any(allowed):
            wrong &= ~(np.abs(got.astype(wide) - wanted.astype(wide)) <= allowed)
        if wrong.any():
            first = tuple(map(int, np.argwhere(wrong)[0]))
            fault = f"{got[first]} instead of {wanted[first]} at {first}"
    if fault is not None:
        where = f"{runtime}, for an input of shape {tuple(shape)}"
        raise RuntimeError(f"the exported model must compute what the model does; got {fault} from {where}. Nothing was written")


def keras_backend(name: str) -> None:
    """Refuse Keras on another backend than TensorFlow, which the TensorFlow layers are written for."""
    if name != "tensorflow":
        raise ImportError(f"subpixel_tensorflow needs Keras on the TensorFlow backend: set KERAS_BACKEND=tensorflow; got {name!r}")


def in_place(writable: bool) -> None:
    """Refuse to initialize a tensor that is computed from others: the values would be lost at the next forward pass."""
    if not writable:
        raise ValueError(
            "weight must be a parameter that can be written in place; got the result of a computation "
            "(under a parametrization such as weight_norm, initialize first and apply it afterwards)"
        )
