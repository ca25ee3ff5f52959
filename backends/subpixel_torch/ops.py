"""Phase shift, its inverse and the blur: the core's plans on torch tensors."""

from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from subpixel_core import DataFormat, Order, Rearrangement, channel_permutation, few_axes, rearrangement
from subpixel_core.check import Scale, floating, instance, per_axis, pooled_axes, rank

NATIVE = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128, torch.bool, torch.uint8}
NATIVE |= {torch.int8, torch.int16, torch.int32, torch.int64}
"""What `torch.nn.functional.pixel_shuffle` takes with the channels last in memory; others it refuses."""
SMALL = 6144
"""So many values are moved sooner by one call of torch's, a microsecond, than by our three."""
MANY = 2**15
CACHED = 2**23
"""From so many values on, and below so many bytes, two steps can be faster than one."""
TURNED = {torch.float32, torch.uint8}
"""What torch transposes by vectors."""
FEWEST_BYTES = {("DCR", False): 0, ("DRC", False): 16, ("DCR", True): 32, ("DRC", True): 32}
"""In orders with the channels last: how many bytes of channels a pixel of the shift's output, or of the inverse's input, has at least where
runs of them are faster."""


def phase_shift(x: Tensor, scale: Scale, *, order: Order = "CRD", data_format: DataFormat = "channels_first") -> Tensor:
    """Rearrange channels into blocks of pixels. By default this is `torch.nn.functional.pixel_shuffle`, in any number of dimensions.

    Parameters
    ----------
    x : Tensor, shape (*batch, C * prod(scale), *spatial)
        Any dtype, any number of batch axes. ``(*batch, *spatial, C * prod(scale))`` for ``channels_last``.
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.
    order : {"CRD", "DCR", "DRC", "RCD"}
    data_format : {"channels_first", "channels_last"}
        Which axis holds the channels; the memory format is free, and that of the result follows from what is fastest.

    Returns
    -------
    Tensor, shape (*batch, C, *(spatial * scale))

    Raises
    ------
    ValueError, TypeError
        As `subpixel_core.phase_shift`, with the same text.

    Examples
    --------
    >>> phase_shift(torch.arange(8).reshape(8, 1, 1), 2)[0]
    tensor([[0, 1],
            [2, 3]])
    """
    return _carry_out(x, scale, order, data_format, inverse=False)


def inverse_phase_shift(x: Tensor, scale: Scale, *, order: Order = "CRD", data_format: DataFormat = "channels_first") -> Tensor:
    """Rearrange blocks of pixels into channels: the inverse of `phase_shift`, by default `torch.nn.functional.pixel_unshuffle`.

    Parameters
    ----------
    x : Tensor, shape (*batch, C, *spatial)
        Every spatial extent a multiple of its factor.
    scale, order, data_format
        As in `phase_shift`.

    Returns
    -------
    Tensor, shape (*batch, C * prod(scale), *(spatial / scale))

    Examples
    --------
    >>> inverse_phase_shift(torch.tensor([[[0, 1], [2, 3]]]), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    return _carry_out(x, scale, order, data_format, inverse=True)


def _carry_out(x: Tensor, scale: Scale, order: Order, data_format: DataFormat, *, inverse: bool) -> Tensor:
    instance("x", x, Tensor)
    # torch.compile traces through a cache, with a warning; to torch.jit.trace an extent is a tensor, on which no branch may hang
    compiling = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if compiling and torch.compiler.is_exporting():
        return _in_a_graph(x, scale, order, data_format, inverse=inverse)
    plan = rearrangement(x.ndim, scale, order=order, data_format=data_format, inverse=inverse, cached=not compiling)
    if not compiling and x.is_cpu and data_format == "channels_first":
        if order == "CRD" and _faster_by_torch(x, plan.scale, inverse):
            plan.demand_multiples(x.shape)
            return (F.pixel_unshuffle if inverse else F.pixel_shuffle)(x, plan.scale[0])
        if order == "CRD" and _faster_in_two(x, plan.scale, inverse):
            plan.demand_multiples(x.shape)
            return _in_two(x, plan.scale, inverse)
        if (order, inverse) in FEWEST_BYTES and _faster_in_runs(x, plan.scale, order, inverse):
            plan.demand_multiples(x.shape)
            axis = -1 - len(plan.scale)
            return _carry_out(x.movedim(axis, -1), scale, order, "channels_last", inverse=inverse).movedim(-1, axis)
    return _planned(x, plan)


def _faster_by_torch(x: Tensor, scale: tuple[int, ...], inverse: bool) -> bool:
    """Whether torch's own kernel is. On contiguous tensors it is where the call takes the time, and in no other case.

    Where the channels lie last in memory it moves vectors of them: with eight or more the shift takes 0.4 of our time (median), with fewer
    more than ours; the inverse 0.5, for 4 bytes and more in tensors beyond the cache (`docs/performance.md`).
    """
    if x.ndim != 4 or len(scale) != 2 or scale[0] != scale[1] or x.dtype not in NATIVE:
        return False
    values = x.numel()
    if values <= SMALL:
        return values > 0  # of an empty batch torch does not change the shape
    _, channels, height, width = x.shape
    if x.stride() != (height * width * channels, 1, width * channels, channels):
        return False
    if inverse:
        return channels >= 8 and x.element_size() >= 4 and values * x.element_size() >= 2**24
    return channels >= 8 * scale[0] ** 2


def _faster_in_two(x: Tensor, scale: tuple[int, ...], inverse: bool) -> bool:
    """Whether two steps are, for a contiguous tensor in order CRD that the cache holds, where a second pass costs little.

    Torch turns matrices of `TURNED` by vectors: that takes 0.6 of the time otherwise (median). Others it turns value by value, which takes
    0.8 where rows have 8 or fewer of one or two bytes (`docs/performance.md`). One thread turns a matrix.
    """
    values, ndim = x.numel(), len(scale)
    if not MANY <= values < CACHED // x.element_size() or not x.is_contiguous() or (inverse and ndim == 1):
        return False
    width = x.shape[-1] // (scale[-1] if inverse else 1)
    vectors = x.dtype in TURNED and scale[-1] in (2, 4, 8)
    short = x.dtype in NATIVE and x.element_size() <= 2 and width <= 8 and scale[-1] > 1
    return (vectors or short) and prod(x.shape[:-ndim]) >= torch.get_num_threads()


def _in_two(x: Tensor, scale: tuple[int, ...], inverse: bool) -> Tensor:
    """Shift by the last factor alone, which turns matrices, and by the others, which moves rows.

    ::

        phase_shift(x, (r_0, r_1), order="CRD") == phase_shift(phase_shift(x, (1, r_1), order="CRD"), (r_0, 1), order="CRD")
    """
    *others, factor = scale
    rows, columns = (
        rearrangement(x.ndim, factors, order="CRD", data_format="channels_first", inverse=inverse)
        for factors in ((*others, 1), (*(1 for _ in others), factor))
    )
    if inverse:
        x = _planned(x, rows)
    # (matrix, factor, pixel) -> (matrix, pixel, factor), or back: what torch's shuffle of channels does at every pixel of an image
    pixels = prod(x.shape[-len(scale) :]) // (factor if inverse else 1)
    image = x.reshape(1, 1, -1, pixels * factor).permute(0, 3, 1, 2)
    y = F.channel_shuffle(image, pixels if inverse else factor).permute(0, 2, 3, 1).reshape(columns.merged(x.shape))
    return y if inverse else _planned(y, rows)


def _planned(x: Tensor, plan: Rearrangement) -> Tensor:
    return x.reshape(plan.split(x.shape)).permute(plan.axes).reshape(plan.merged(x.shape))


def _faster_in_runs(x: Tensor, scale: tuple[int, ...], order: str, inverse: bool) -> bool:
    """Whether it is to leave the channels last in memory where they lie there, and to move what an output pixel has of them as one run.

    That takes 0.2 to 0.4 of the time otherwise (medians), from so many bytes in a run on (`docs/performance.md`).
    """
    axis = -1 - len(scale)
    run = x.shape[axis] * x.element_size() // (1 if inverse else prod(scale))
    return run >= FEWEST_BYTES[order, inverse] and x.stride(axis) == 1 and x.movedim(axis, -1).is_contiguous()


def _in_a_graph(x: Tensor, scale: Scale, order: Order, data_format: DataFormat, *, inverse: bool) -> Tensor:
    """Return the shift as exported graphs hold it: the native operation where there is one, otherwise transposes of few axes."""
    plans, factors = few_axes(x.ndim, scale, order=order, data_format=data_format, inverse=inverse), per_axis("scale", scale)
    onnx = torch.onnx.is_in_onnx_export()
    if len(factors) == 2 and factors[0] == factors[1] > 1 and (onnx or (order == "CRD" and not inverse)):
        plans[0].demand_multiples(x.shape)
        images = x.movedim(-1, -3) if data_format == "channels_last" else x
        images = _onnx_operator(images, factors[0], order, inverse) if onnx else F.pixel_shuffle(images, factors[0])
        return images.movedim(-3, -1) if data_format == "channels_last" else images
    for plan in plans:
        x = _planned(x, plan)
    return x


def _onnx_operator(x: Tensor, factor: int, order: Order, inverse: bool) -> Tensor:
    """Return the operator of ONNX that the shift is, with a Gather of the channels where it has no mode for the order."""
    *batch, channels, height, width = x.shape
    if len(batch) != 1:
        x = x.reshape(prod(batch), channels, height, width)
    if inverse:  # SpaceToDepth is DCR
        shape = (x.shape[0], channels * factor**2, height // factor, width // factor)
        y = torch.onnx.ops.symbolic("SpaceToDepth", (x,), {"blocksize": factor}, dtype=x.dtype, shape=shape)
        y = _reordered(y, factor, source="DCR", target=order)
    else:
        mode: Order = "DCR" if order == "DCR" else "CRD"
        x = _reordered(x, factor, source=order, target=mode)
        shape = (x.shape[0], channels // factor**2, height * factor, width * factor)
        y = torch.onnx.ops.symbolic("DepthToSpace", (x,), {"blocksize": factor, "mode": mode}, dtype=x.dtype, shape=shape)
    return y if len(batch) == 1 else y.reshape(*batch, *shape[1:])


def _reordered(x: Tensor, factor: int, *, source: Order, target: Order) -> Tensor:
    if source == target:
        return x
    permutation = channel_permutation(int(x.shape[1]), factor, source=source, target=target)
    return x.index_select(1, torch.tensor(permutation, device=x.device))


def in_native_order(weight: Tensor, bias: Tensor | None, scale: tuple[int, ...], order: Order) -> tuple[Tensor, Tensor | None, Order]:
    """Return the parameters before a shift as they are; in an exported graph in order CRD, so that the shift can be one operation there."""
    if order == "CRD" or not (torch.compiler.is_compiling() and torch.compiler.is_exporting()):
        return weight, bias, order
    permutation = torch.tensor(channel_permutation(weight.shape[0], scale, source=order, target="CRD"), device=weight.device)
    return weight.index_select(0, permutation), None if bias is None else bias.index_select(0, permutation), "CRD"


def box_blur(x: Tensor, scale: Scale) -> Tensor:
    """Average over a box of the size of the scale, leaving out what lies outside: `subpixel_core.box_blur`, channels first.

    Parameters
    ----------
    x : Tensor, shape (*batch, C, *spatial)
        Floating point.
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.

    Returns
    -------
    Tensor, shape of ``x``
    """
    instance("x", x, Tensor)
    floating(x.is_floating_point(), x.dtype)
    factors = per_axis("scale", scale)
    rank(x.ndim, len(factors), factors)
    pooled_axes(factors)
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(factors)]
    batched = x if x.ndim == len(factors) + 2 else x.reshape(-1, 1, *x.shape[-len(factors) :])
    if len(factors) == 3 and x.dtype in (torch.float16, torch.bfloat16):
        batched = batched.float()  # torch has no such pooling in half precision on a CPU
    options: Any = {"kernel_size": factors, "stride": 1, "padding": tuple(r // 2 for r in factors), "count_include_pad": False}
    # torch pads both ends alike; for an even factor that is one position too many, at the start.
    kept: tuple[Any, ...] = (..., *(slice(1 - r % 2, None) for r in factors))
    if len(factors) == 3 and any(n < r for n, r in zip(x.shape[-3:], factors, strict=True)):
        # torch pools no volume that is smaller than its box: it is made larger, and the mean that of what was there
        missing = [amount for n, r in zip(x.shape[:-4:-1], factors[::-1], strict=True) for amount in (0, max(0, r - n))]
        pooled = pool(F.pad(batched, missing), **options) / pool(F.pad(torch.ones_like(batched), missing), **options)
        kept = (..., *(slice(1 - r % 2, 1 - r % 2 + n) for n, r in zip(x.shape[-3:], factors, strict=True)))
    else:
        pooled = pool(batched, **options)
    y = pooled[kept]
    return (y if batched.ndim == x.ndim else y.reshape(x.shape)).to(x.dtype)
