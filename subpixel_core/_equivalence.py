"""Exact equivalences between the ways to write one linear layer: what a trained model may be turned into without changing a value.

All of them are read off one form, `subpixel_core._upsampling.Upsampling`. What has no exact equal is refused, never approximated.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subpixel_core import check
from subpixel_core._convolution import conv
from subpixel_core._order import ORDERS, Order, channel_permutation
from subpixel_core._upsampling import (
    FORMS,
    Form,
    StridedKernel,
    SubpixelKernel,
    TransposedKernel,
    cropping,
    of_deconv,
    of_resize_conv,
    of_shift_conv,
    of_subpixel,
    phases_of,
    then,
)


def deconv_to_subpixel(
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int],
    padding: int | Sequence[int] | Sequence[Sequence[int]] = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    order: Order = "DCR",
    form: Form = "minimal",
) -> SubpixelKernel:
    """Return the sub-pixel convolution that a transposed convolution ("deconvolution") is.

    On one axis, with ``(i + p) = s * a_i + rho_i`` and ``0 <= rho_i < s``, output ``s * q + i`` is a correlation at position ``q`` ::

        y[s * q + i] = sum over m of V[s * m + rho_i] * x[q + a_i - m]

    so phase ``i`` of the output is one channel of an ordinary convolution. The *aligned* form is that, with the zeros that the phases
    need to have one kernel. The *minimal* form is that of padding ``p - p % s``, of which ``p % s`` positions are cropped: ceil(K / s)
    taps, and no zeros among them where the stride divides K.

    Parameters
    ----------
    kernel : array_like, shape (*K, Ci / groups, Co)
        In the layout of `conv_transpose`; its rank gives the number of spatial axes.
    bias : array_like, shape (Co,), optional
    stride, padding, output_padding, dilation : int or one int per spatial axis
        As PyTorch's. A dilated kernel is one with zeros between its taps. The padding may also be a pair (before, after) per axis.
    groups : int
        More than one needs an order whose groups are neighbours: "CRD" or "RCD".
    order : {"DCR", "CRD", "DRC", "RCD"}
        Of the result.
    form : {"minimal", "aligned"}
        `choose_form` says which has fewer multiply-accumulates.

    Returns
    -------
    SubpixelKernel
        Equal everywhere. Its kernel holds values of ``kernel`` and zeros, bit for bit.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit each other, the output padding is not below stride or dilation, or the order cannot hold the groups.

    References
    ----------
    Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?", §2; here for any kernel, stride and padding.

    Examples
    --------
    >>> layer = deconv_to_subpixel(np.arange(1., 5.).reshape(4, 1, 1), stride=2, padding=1)
    >>> layer.kernel[:, 0].tolist(), layer.padding, layer.crop          # two taps for two phases, one position cropped at each end
    ([[3.0, 4.0], [1.0, 2.0]], ((1, 1),), ((1, 1),))
    >>> layer.apply([[[1.], [10.]]])[0, :, 0].tolist()
    [2.0, 13.0, 24.0, 30.0]
    """
    # EQ-001, EQ-002
    check.one_of("form", form, FORMS)
    check.one_of("order", order, ORDERS)
    return of_deconv(np.asarray(kernel), bias, stride, padding, output_padding, dilation, groups).subpixel(order, form)


def subpixel_to_deconv(
    kernel: ArrayLike, bias: ArrayLike | None = None, *, scale: check.Scale, order: Order, padding: check.Padding = "same"
) -> TransposedKernel:
    """Return the transposed convolution that a sub-pixel convolution is: ``V[r * (k - 1 - t) + i] = W[t]`` of phase ``i``.

    Parameters
    ----------
    kernel : array_like, shape (*k, Ci, C * prod(scale))
    bias : array_like, shape (C * prod(scale),), optional
        One value per output channel: the same for every offset, as ICNR makes it. Another one has no equal there.
    scale, order, padding
        As in `subpixel_conv`.

    Returns
    -------
    TransposedKernel
        ``kernel`` (*(r * k), Ci, C), bit for bit. Where a padding at both ends and an output padding cannot say it, ``crop`` does.

    Raises
    ------
    ValueError, TypeError
        If the bias differs within a block, and as `subpixel_conv`.

    Examples
    --------
    >>> layer = subpixel_to_deconv([[[1., 2.]], [[3., 4.]], [[5., 6.]]], scale=2, order="DCR")
    >>> layer.kernel.ravel().tolist(), layer.padding, layer.crop
    ([5.0, 6.0, 3.0, 4.0, 1.0, 2.0], (2,), ((0, 0),))
    """
    # EQ-003
    return of_subpixel(np.asarray(kernel), bias, scale, order, padding).transposed()


def fractionally_strided_conv(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int],
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
) -> NDArray[Any]:
    """Convolve between zeros: put ``stride - 1`` zeros between the pixels, then convolve with the kernel turned around.

    This is how articles draw a transposed convolution, and it is equal to one, at ``prod(stride)`` times its multiply-accumulates: all but
    one in so many are by zero.

    Parameters
    ----------
    x, kernel, bias, stride, padding, output_padding
        As in `conv_transpose`; every spatial extent of ``x`` is 1 or more.

    Returns
    -------
    ndarray, shape as that of `conv_transpose`

    References
    ----------
    Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", §4.

    Examples
    --------
    >>> fractionally_strided_conv([[[1.], [2.]]], [[[1.]], [[10.]], [[100.]]], stride=2)[0, :, 0]
    array([  1.,  10., 102.,  20., 200.])
    """
    # EQ-004
    x, kernel = np.asarray(x), np.asarray(kernel)
    same = of_deconv(kernel, bias, stride, padding, output_padding, 1, 1)
    ndim, taps = kernel.ndim - 2, kernel.shape[:-2]
    check.layer_input(x.shape, ndim, kernel.shape[-2])
    check.spatial_extents(x.shape[1:-1])
    extents = [s * h + e for h, s, e in zip(x.shape[1:-1], same.stride, same.excess, strict=True)]
    check.something_left(x.shape[1:-1], extents)
    if 0 in extents:
        return np.zeros((len(x), *extents, kernel.shape[-1]), np.result_type(x, kernel))
    between = np.zeros((len(x), *(s * (h - 1) + 1 for s, h in zip(same.stride, x.shape[1:-1], strict=True)), x.shape[-1]), x.dtype)
    between[(slice(None), *(slice(None, None, s) for s in same.stride))] = x
    zeros = [(k - 1 - p, e + s - 1 + p) for k, p, s, e in zip(taps, same.shift, same.stride, same.excess, strict=True)]
    turned = np.flip(kernel, axis=tuple(range(ndim)))
    y = conv(between, turned, bias, padding=[(max(before, 0), max(after, 0)) for before, after in zeros])
    crop = [(max(-before, 0), max(-after, 0)) for before, after in zeros]
    return y[cropping(tuple(crop), y.shape[1:-1])]


def resize_conv_to_subpixel(
    kernel: ArrayLike,
    scale: check.Scale,
    *,
    bias: ArrayLike | None = None,
    padding: check.Padding = "same",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    mode: str = "nearest",
    align_corners: bool = False,
    order: Order = "DCR",
    form: Form = "minimal",
) -> SubpixelKernel:
    """Return the sub-pixel convolution that a resize to the nearest neighbour, and a convolution behind it, are.

    The taps of a phase that fall on one pixel of the input are added up: on one axis, with ``P`` zeros before ::

        S_i[o] = sum over the u with floor((i + u - P) / r) = o of W[u]

    It is equal everywhere, borders included, for zeros enlarged are zeros.

    Parameters
    ----------
    kernel : array_like, shape (*k, Ci / groups, Co)
    scale : int or tuple of int
        Of the resize; one factor per spatial axis of the kernel, an int is that factor on every axis.
    bias : array_like, shape (Co,), optional
    padding
        Of the convolution, as in `conv`; "same" is that of the dilated kernel.
    dilation, groups
        Of the convolution, as in `deconv_to_subpixel`.
    mode : "nearest"
        Any other resize is refused: a linear or cubic one repeats the pixels of the border, where a convolution has zeros.
    align_corners : False
        True is refused: the distance between samples then depends on the extents.
    order, form
        As in `deconv_to_subpixel`.

    Returns
    -------
    SubpixelKernel

    Raises
    ------
    ValueError, TypeError
        For another mode, and as `conv`.

    References
    ----------
    Odena et al. 2016, "Deconvolution and Checkerboard Artifacts", for the layer; Aitken et al. 2017, §3, for the relation.

    Examples
    --------
    >>> layer = resize_conv_to_subpixel(np.array([1., 10., 100.]).reshape(3, 1, 1), 2)
    >>> layer.kernel[:, 0].tolist(), layer.crop                         # 2 taps of 2 phases instead of 3 taps on twice the positions
    ([[11.0, 1.0], [100.0, 110.0]], ((1, 1),))
    """
    # EQ-005, EQ-010
    check.exact_resize(mode, check.flag("align_corners", align_corners))
    check.one_of("form", form, FORMS)
    check.one_of("order", order, ORDERS)
    return of_resize_conv(np.asarray(kernel), bias, scale, padding, dilation, groups).subpixel(order, form)


def shift_conv_to_subpixel(
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    scale: check.Scale,
    order: Order,
    padding: check.Padding = "same",
    form: Form = "minimal",
) -> SubpixelKernel:
    """Return the sub-pixel convolution that a phase shift, and a convolution behind it, are: convolution and shift change places.

    Parameters
    ----------
    kernel : array_like, shape (*k, C, Co)
        Of the convolution on the shifted tensor; the result takes the ``C * prod(scale)`` channels before the shift.
    bias : array_like, shape (Co,), optional
    scale, order
        Of the shift; the result is of the same order.
    padding, form
        As in `resize_conv_to_subpixel`.

    Returns
    -------
    SubpixelKernel
        Equal everywhere.

    Examples
    --------
    >>> layer = shift_conv_to_subpixel(np.array([1., 10., 100.]).reshape(3, 1, 1), scale=2, order="DCR", form="aligned")
    >>> layer.kernel.tolist()                                            # (3 taps, 2 channels in, 2 phases)
    [[[0.0, 0.0], [1.0, 0.0]], [[10.0, 1.0], [100.0, 10.0]], [[0.0, 100.0], [0.0, 0.0]]]
    """
    # EQ-006
    check.one_of("form", form, FORMS)
    return of_shift_conv(np.asarray(kernel), bias, scale, order, padding).subpixel(order, form)


def collapse_stages(
    stages: Sequence[tuple[ArrayLike, ArrayLike | None, check.Scale]],
    *,
    order: Order,
    padding: check.Padding = "same",
    activation: str | None = None,
    form: Form = "minimal",
) -> SubpixelKernel:
    """Return the one sub-pixel convolution that a chain of them is, away from the border.

    Zeros put around the output of a stage are not the output for zeros put around its input: so ``interior`` of the result says how many
    positions at both ends differ. It is (0, 0) where no stage but the first has zeros around it (padding "same"
    puts none around one tap), and where such zeros are what the stages before make there.

    Parameters
    ----------
    stages : sequence of (kernel, bias or None, scale)
        From the first; kernel (*k, Ci, C * prod(scale)), the channels of one being the next one's input.
    order : {"DCR", "CRD", "DRC", "RCD"}
        Of every stage and of the result.
    padding
        Of every stage, as in `subpixel_conv`.
    activation : None
        Any other is refused: a chain with a nonlinearity between its stages is no linear layer.
    form
        As in `deconv_to_subpixel`.

    Returns
    -------
    SubpixelKernel

    Raises
    ------
    ValueError, TypeError
        For an activation, for stages that do not fit each other, for taps whose products their dtype cannot hold, as numbers with all their
        digits, and as `subpixel_conv`.

    Examples
    --------
    >>> doubling = np.ones((3, 1, 2)), None, 2
    >>> layer = collapse_stages([doubling, doubling], order="DCR")
    >>> layer.scale, layer.kernel_size, layer.interior
    ((4,), (4,), ((2, 2),))
    """
    # EQ-008, EQ-010
    check.linear(activation)
    check.one_of("form", form, FORMS)
    links = [(np.asarray(kernel), bias, scale) for kernel, bias, scale in check.stages(stages)]
    whole, *rest = [of_subpixel(*link, order, padding) for link in links]
    for stage, (kernel, _, _) in zip(rest, links[1:], strict=True):
        check.follows(kernel.shape, whole.kernel.shape)
        whole = then(whole, stage, check.padding_widths(padding, kernel.shape[:-2]))
    return whole.subpixel(order, form)


def unshift_conv_to_strided(
    kernel: ArrayLike, bias: ArrayLike | None = None, *, scale: check.Scale, order: Order, padding: check.Padding = "same"
) -> StridedKernel:
    """Return the strided convolution that an inverse phase shift, and a convolution behind it, are: ``S[r * t + i] = W[t]`` of phase ``i``.

    Parameters
    ----------
    kernel : array_like, shape (*k, C * prod(scale), Co)
        Of the convolution at low resolution.
    bias : array_like, shape (Co,), optional
    scale, order
        Of the inverse shift.
    padding
        Of the convolution, as in `conv`.

    Returns
    -------
    StridedKernel
        ``kernel`` (*(r * k), C, Co), bit for bit, equal everywhere.

    Examples
    --------
    >>> layer = unshift_conv_to_strided(np.array([1., 10.]).reshape(1, 2, 1), scale=2, order="DCR")
    >>> layer.kernel.ravel().tolist(), layer.stride
    ([1.0, 10.0], (2,))
    """
    # EQ-007
    weights = np.asarray(kernel)
    check.kernel_shape(weights.shape)
    ndim, taps = weights.ndim - 2, weights.shape[:-2]
    factors = check.per_axis("scale", scale, ndim)
    check.one_of("order", order, ORDERS)
    zeros = check.padding_widths(padding, taps)
    if bias is not None:
        check.bias_shape(np.shape(bias), weights.shape[-1])
    split = phases_of(np.moveaxis(weights, -2, -1), factors, order)  # (*t, q, *i, p)
    axes = [axis for t in range(ndim) for axis in (t, ndim + 1 + t)]
    spread = split.transpose(*axes, split.ndim - 1, ndim).reshape(
        *(r * k for r, k in zip(factors, taps, strict=True)), -1, weights.shape[-1]
    )
    enlarged = tuple((r * before, r * after) for r, (before, after) in zip(factors, zeros, strict=True))
    return StridedKernel(spread, None if bias is None else np.array(bias), factors, enlarged)


def conv_unshift_to_strided(
    kernel: ArrayLike, bias: ArrayLike | None = None, *, scale: check.Scale, order: Order, padding: check.Padding = "same"
) -> StridedKernel:
    """Return the strided convolution that a convolution, and an inverse phase shift behind it, are: ``S[i + u] = W[u]`` for phase ``i``.

    Parameters
    ----------
    kernel : array_like, shape (*k, Ci, Co)
        Of the convolution at high resolution.
    bias : array_like, shape (Co,), optional
    scale, order
        Of the inverse shift.
    padding
        Of the convolution, as in `conv`.

    Returns
    -------
    StridedKernel
        ``kernel`` (*(k + r - 1), Ci, Co * prod(scale)), equal everywhere.

    Examples
    --------
    >>> layer = conv_unshift_to_strided(np.array([1., 10., 100.]).reshape(3, 1, 1), scale=2, order="DCR")
    >>> layer.kernel[:, 0].tolist()                                      # one column per phase
    [[1.0, 0.0], [10.0, 1.0], [100.0, 10.0], [0.0, 100.0]]
    """
    # EQ-007
    weights = np.asarray(kernel)
    check.kernel_shape(weights.shape)
    ndim, taps = weights.ndim - 2, weights.shape[:-2]
    factors = check.per_axis("scale", scale, ndim)
    check.one_of("order", order, ORDERS)
    zeros = check.padding_widths(padding, taps)
    inputs, outputs = weights.shape[-2:]
    spread = np.zeros((*(k + r - 1 for k, r in zip(taps, factors, strict=True)), inputs, *factors, outputs), weights.dtype)
    for offset in np.ndindex(*factors):
        spread[(*(slice(i, i + k) for i, k in zip(offset, taps, strict=True)), slice(None), *offset)] = weights
    p = channel_permutation(outputs * prod(factors), factors, source="DCR", target=order)
    kernel = spread.reshape(*spread.shape[: ndim + 1], -1)[..., p]
    if bias is not None:
        check.bias_shape(np.shape(bias), outputs)
    return StridedKernel(kernel, None if bias is None else np.tile(np.asarray(bias), prod(factors))[p], factors, zeros)


def choose_form(*kernels: SubpixelKernel, spatial: int | Sequence[int] | None = None) -> SubpixelKernel:
    """Return the one with the fewest multiply-accumulates on an input with these extents; without extents, with the fewest taps.

    Equal ones go to the one that crops least: cropping is a copy, or leaves a tensor that is not contiguous.

    Examples
    --------
    >>> kernel = np.ones((4, 4, 8, 8))
    >>> both = [deconv_to_subpixel(kernel, stride=2, padding=1, form=form) for form in ("minimal", "aligned")]
    >>> [[layer.macs(extents) for layer in both] for extents in (1, 2, 16)]
    [[4096, 2304], [9216, 9216], [295936, 589824]]
    >>> [choose_form(*both, spatial=extents).kernel_size for extents in (1, 2, 16)]
    [(3, 3), (3, 3), (2, 2)]
    """

    # EQ-011
    def cost(layer: SubpixelKernel) -> tuple[int, int]:
        return layer.kernel.size if spatial is None else layer.macs(spatial), sum(map(sum, layer.crop))

    check.some("kernels", kernels)
    return min(kernels, key=cost)
