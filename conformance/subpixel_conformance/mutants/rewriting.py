"""The conversions of `Honest`: the oracle's, after the checks of EQ-003 and EQ-010."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import oracle
from .. import oracle_equivalence as equal

OPERATIONS = (
    *("deconv_to_subpixel", "subpixel_to_deconv", "resize_conv_to_subpixel", "shift_conv_to_subpixel"),
    *("conv_unshift_to_strided", "unshift_conv_to_strided", "collapse_stages", "choose_form", "reorder"),
    *("fractionally_strided_conv", "from_conv_transpose", "from_resize_conv"),
)


def pairs(padding: Any, kernel: np.ndarray) -> equal.Pairs:
    """Return the zeros around the input of a convolution."""
    return tuple(oracle.padding_pairs(padding, kernel.shape[:-2]))


def deconv_to_subpixel(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    *,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: int,
    order: str,
    form: str,
) -> equal.Rewritten:
    """Return the sub-pixel convolution that a transposed one is."""
    if groups > 1 and order in ("DCR", "DRC"):
        raise ValueError(f"order must keep groups together; got {order}")
    if any(a >= max(s, d) for a, s, d in zip(output_padding, stride, dilation, strict=True)):
        raise ValueError(f"output_padding must be below stride or dilation; got {output_padding}")
    ends = tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
    spread = equal.spread_of_deconv(kernel, bias, stride, ends, output_padding, dilation)
    return equal.rewritten(spread, order, form, kernel.dtype, groups)


def subpixel_to_deconv(kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, order: str, padding: Any) -> equal.Deconvolution:
    """Return the transposed convolution that a sub-pixel one is."""
    return equal.deconvolution(equal.spread_of_subpixel(kernel, bias, scale, order, pairs(padding, kernel)), kernel.dtype)


def resize_conv_to_subpixel(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    *,
    scale: Any,
    padding: Any,
    order: str,
    form: str,
    dilation: Any = None,
    groups: int = 1,
    mode: str = "nearest",
    align_corners: bool = False,
) -> equal.Rewritten:
    """Return the sub-pixel convolution that a resize and a convolution are."""
    if mode != "nearest" or align_corners:
        raise ValueError(f"mode must be nearest, without aligned corners; got {mode}, {align_corners}")
    apart = kernel if dilation is None else equal.dilated(kernel, dilation)
    spread = equal.spread_of_block(apart, bias, scale, pairs(padding, apart), None)
    return equal.rewritten(spread, order, form, kernel.dtype, groups)


def shift_conv_to_subpixel(
    kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, padding: Any, order: str, form: str
) -> equal.Rewritten:
    """Return the sub-pixel convolution that a phase shift and a convolution are."""
    return equal.rewritten(equal.spread_of_block(kernel, bias, scale, pairs(padding, kernel), order), order, form, kernel.dtype)


def conv_unshift_to_strided(kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, order: str, padding: Any) -> equal.Strided:
    """Return the strided convolution that a convolution and an inverse phase shift are."""
    inputs, outputs = kernel.shape[-2:]
    taps = tuple(k + r - 1 for k, r in zip(kernel.shape[:-2], scale, strict=True))
    spread = np.zeros((*taps, inputs, outputs * len([*oracle.offsets(scale)])), kernel.dtype)
    term = None if bias is None else np.zeros(spread.shape[-1], bias.dtype)
    for o in oracle.offsets(scale):
        for c in range(outputs):
            k = oracle.channel_index(order, c, o, scale, outputs)
            if term is not None and bias is not None:
                term[k] = bias[c]
            for t in np.ndindex(*kernel.shape[:-2]):
                spread[(*(i + tap for i, tap in zip(o, t, strict=True)), slice(None), k)] = kernel[(*t, slice(None), c)]
    return equal.Strided(spread, term, scale, pairs(padding, kernel))


def unshift_conv_to_strided(kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, order: str, padding: Any) -> equal.Strided:
    """Return the strided convolution that an inverse phase shift and a convolution are."""
    outputs = kernel.shape[-1]
    channels = kernel.shape[-2] // len([*oracle.offsets(scale)])
    spread = np.zeros((*(r * k for r, k in zip(scale, kernel.shape[:-2], strict=True)), channels, outputs), kernel.dtype)
    for o in oracle.offsets(scale):
        for p in range(channels):
            k = oracle.channel_index(order, p, o, scale, channels)
            for t in np.ndindex(*kernel.shape[:-2]):
                spread[(*(r * tap + i for r, tap, i in zip(scale, t, o, strict=True)), p)] = kernel[(*t, k)]
    zeros = tuple((r * before, r * after) for r, (before, after) in zip(scale, pairs(padding, kernel), strict=True))
    return equal.Strided(spread, bias, scale, zeros)


def collapse_stages(stages: Any, *, order: str, padding: Any, form: str, activation: str | None = None) -> equal.Rewritten:
    """Return the one sub-pixel convolution that a chain is, away from the border."""
    if activation is not None:
        raise ValueError(f"activation must be None; got {activation}")
    (kernel, bias, scale), *rest = stages
    whole = equal.spread_of_subpixel(kernel, bias, scale, order, pairs(padding, kernel))
    for weights, term, factors in rest:
        zeros = pairs(padding, weights)
        whole = equal.followed(whole, equal.spread_of_subpixel(weights, term, factors, order, zeros), zeros)
    return equal.rewritten(whole, order, form, kernel.dtype)


def choose_form(layers: Sequence[Any], spatial: tuple[int, ...] | None) -> Any:
    """Return the one with the fewest MACs or taps, then with the smallest crop."""
    costs = [(one.kernel.size if spatial is None else equal.macs(one, spatial), sum(map(sum, one.crop))) for one in layers]
    return layers[costs.index(min(costs))]


def reorder(kernel: np.ndarray, bias: np.ndarray, *, scale: Any, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias permuted by CP-001."""
    p = oracle.channel_permutation(kernel.shape[-1], scale, source=source, target=target)
    return kernel[..., p], bias[p]


def fractionally_strided_conv(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, stride: Any, padding: Any, output_padding: Any
) -> np.ndarray:
    """Return the convolution between zeros, the zeros around it cut where they would be fewer than none."""
    between = np.zeros((len(x), *(s * (h - 1) + 1 for s, h in zip(stride, x.shape[1:-1], strict=True)), x.shape[-1]), x.dtype)
    for h in np.ndindex(*x.shape[1:-1]):
        between[(slice(None), *(s * at for s, at in zip(stride, h, strict=True)))] = x[(slice(None), *h)]
    ends = [(k - 1 - p, k - 1 - p + a) for k, p, a in zip(kernel.shape[:-2], padding, output_padding, strict=True)]
    turned = kernel[tuple(slice(None, None, -1) for _ in stride)]
    y = oracle.conv(between, turned, bias, padding=[(max(before, 0), max(after, 0)) for before, after in ends])
    return equal.cropped(y, tuple((max(-before, 0), max(-after, 0)) for before, after in ends)).astype(x.dtype)


def from_conv_transpose(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, *, device: str, **options: Any) -> np.ndarray:
    """Return what the converted transposed convolution gives."""
    ones = (1,) * (kernel.ndim - 2)
    made = deconv_to_subpixel(kernel, bias, **options, dilation=ones, groups=1, order="DCR", form="minimal")
    return equal.apply(made, x).astype(x.dtype)


def from_resize_conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, padding: Any, device: str) -> np.ndarray:
    """Return what the converted pair gives."""
    made = resize_conv_to_subpixel(kernel, bias, scale=scale, padding=padding, order="DCR", form="minimal")
    return equal.apply(made, x).astype(x.dtype)
