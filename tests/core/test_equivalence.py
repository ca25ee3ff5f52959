"""Exact equivalences against the oracle's sums: every small kernel, and every argument that is refused."""

import re
from itertools import product
from math import prod

import numpy as np
import pytest

import subpixel_core as core
from subpixel_conformance import oracle
from subpixel_core._upsampling import of_fractionally_strided

ORDERS = ("DCR", "CRD", "DRC", "RCD")
FORMS = ("minimal", "aligned")


def integers(*shape, seed=0):
    return np.random.default_rng(seed + prod(shape)).integers(-9, 10, size=shape)


# --- transposed convolutions ---

SMALL = [(k, s, p, o) for k, s, p, o in product(range(1, 8), range(1, 5), range(4), range(4)) if o < s]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("taps", range(1, 8))
def test_every_small_transposed_convolution_is_a_subpixel_one(taps, form):
    judged = 0
    for k, s, p, o in (row for row in SMALL if row[0] == taps):
        for extent in (1, 2, 5):
            if (extent - 1) * s - 2 * p + k + o < 0:
                continue
            x, kernel, bias = integers(2, extent, 3), integers(k, 3, 2), integers(2)
            expected = oracle.conv_transpose(x, kernel, bias, stride=(s,), padding=(p,), output_padding=(o,))
            layer = core.deconv_to_subpixel(kernel, bias, stride=s, padding=p, output_padding=o, order="RCD", form=form)
            np.testing.assert_array_equal(layer.apply(x), expected)
            assert layer.extents(extent) == expected.shape[1:-1]
            assert min(*layer.padding[0], *layer.crop[0]) >= 0
            if form == "minimal":
                assert layer.kernel_size == (-(-k // s),)
            np.testing.assert_array_equal(core.fractionally_strided_conv(x, kernel, bias, stride=s, padding=p, output_padding=o), expected)
            judged += 1
    assert judged > 80


def test_without_a_word_nothing_is_cropped_added_spread_or_grouped():
    kernel, x = integers(4, 3, 3, 2), integers(1, 3, 2, 3)
    expected = oracle.conv_transpose(x, kernel, stride=(2, 2), padding=(0, 0), output_padding=(0, 0))
    np.testing.assert_array_equal(core.deconv_to_subpixel(kernel, stride=2).apply(x), expected)
    np.testing.assert_array_equal(core.fractionally_strided_conv(x, kernel, stride=2), expected)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("form", FORMS)
def test_axes_have_their_own_kernel_stride_and_padding(form, order):
    x, kernel, bias = integers(2, 3, 4, 2, 3), integers(2, 5, 3, 3, 2), integers(2)
    options = {"stride": (3, 2, 1), "padding": (0, 3, 1), "output_padding": (2, 1, 0)}
    expected = oracle.conv_transpose(x, kernel, bias, **options)
    layer = core.deconv_to_subpixel(kernel, bias, **options, order=order, form=form)
    np.testing.assert_array_equal(layer.apply(x), expected)
    for other in ORDERS:
        moved = layer.reordered(other)
        assert moved.order == other
        np.testing.assert_array_equal(moved.apply(x), expected)


def test_the_minimal_form_of_a_stride_that_divides_has_no_zeros_and_the_macs_of_the_transposed_convolution():
    kernel = integers(6, 4, 3, 2) * 2 + 1
    layer = core.deconv_to_subpixel(kernel, stride=(3, 2), padding=(2, 1))
    assert np.count_nonzero(layer.kernel) == layer.kernel.size == kernel.size
    assert layer.macs((10, 20)) == kernel.size * 11 * 21  # a position more on every axis, for what is cropped


def test_a_padding_of_whole_blocks_is_not_computed():
    layer = core.deconv_to_subpixel(integers(9, 3, 2), stride=2, padding=4)
    assert (layer.padding, layer.crop) == (((2, 2),), ((0, 1),))


def test_the_zeros_between_the_pixels_cost_the_product_of_the_stride():
    deconv = core.TransposedKernel(integers(4, 4, 3, 2), None, (2, 2), (1, 1), (0, 0), ((0, 0), (0, 0)))
    assert deconv.macs((8, 8)) == 4 * 4 * 3 * 2 * 64


def test_no_positions_have_no_macs_and_are_enlarged_to_those_that_the_kernel_reaches():
    kernel = integers(4, 4, 3, 4)
    shared, back = core.deconv_to_subpixel(kernel, stride=2), core.subpixel_to_deconv(kernel, scale=2, order="DCR")
    strided = core.conv_unshift_to_strided(kernel, scale=2, order="DCR", padding="valid")
    assert shared.extents((0, 3)) == (2, 8)
    assert (back.macs((0, 3)), back.macs((1, 3))) == (0, back.kernel.size * 3)
    assert (strided.macs((3, 8)), strided.macs((5, 8)), strided.macs((6, 9))) == (0, strided.kernel.size * 2, strided.kernel.size * 3)
    assert (shared.macs((0, 3)), shared.macs(0)) == (shared.kernel.size * 4, shared.kernel.size)


def test_an_empty_output_is_empty_and_a_smaller_one_is_refused():
    layer = core.deconv_to_subpixel(integers(2, 3, 2), integers(2), stride=1, padding=1)
    assert layer.apply(integers(2, 1, 3)).shape == (2, 0, 2)
    with pytest.raises(
        ValueError, match=r"x must have spatial extents of which something is left after cropping; got \(0,\), cropped to \(-1,\)"
    ):
        layer.apply(np.zeros((2, 0, 3)))
    assert core.fractionally_strided_conv(integers(2, 1, 3), integers(2, 3, 2), stride=1, padding=1).shape == (2, 0, 2)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_dilation_and_groups_are_those_of_torch(dilation, groups):
    torch = pytest.importorskip("torch")
    module = torch.nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), groups, True, dilation).double()
    weight = module.weight.detach().numpy()  # (Ci, Co / groups, *K)
    kernel = np.concatenate([part.transpose(2, 3, 0, 1) for part in np.split(weight, groups)], axis=-1)
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 4))
    expected = module(torch.from_numpy(x.transpose(0, 3, 1, 2))).detach().numpy().transpose(0, 2, 3, 1)
    options = {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2), "dilation": dilation, "groups": groups}
    for form in FORMS:
        layer = core.deconv_to_subpixel(kernel, module.bias.detach().numpy(), **options, order="CRD", form=form)
        y = layer.apply(x)
        assert y.shape == expected.shape
        assert np.abs(y - expected).max() < 200 * 2.0**-53 * np.abs(expected).max()


# --- back ---


@pytest.mark.parametrize("padding", ["same", "valid", ((2, 0),), ((0, 3),), ((5, 1),), ((1, 6),)], ids=str)
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_subpixel_convolution_is_a_transposed_one(scale, padding):
    for taps, extent, order in product(range(1, 5), (2, 4), ORDERS):
        widths = core.padding_widths(padding, (taps,))[0]
        if extent + sum(widths) < taps:
            continue
        x, kernel = integers(2, extent, 3), integers(taps, 3, 2 * scale)
        bias = core.icnr_bias(integers(2), (scale,), order=order)
        layer = core.subpixel_to_deconv(kernel, bias, scale=scale, order=order, padding=padding)
        np.testing.assert_array_equal(layer.apply(x), core.subpixel_conv(x, kernel, bias, scale=scale, order=order, padding=padding))
        assert min(layer.crop[0]) >= 0


@pytest.mark.parametrize(("taps", "stride", "padding", "output_padding"), [(3, 2, 1, 1), (4, 2, 1, 0), (2, 2, 0, 1), (5, 3, 1, 0)])
def test_there_and_back_the_paddings_are_those_of_a_transposed_convolution(taps, stride, padding, output_padding):
    made = core.deconv_to_subpixel(integers(taps, 3, 2), stride=stride, padding=padding, output_padding=output_padding, form="aligned")
    assert made.crop[0][0] == 0
    back = core.subpixel_to_deconv(made.kernel, scale=stride, order="DCR", padding=made.padding)
    x = integers(2, 5, 3)
    whole = back.apply(x)
    np.testing.assert_array_equal(whole[:, : whole.shape[1] - made.crop[0][1]], made.apply(x))
    assert back.crop == ((0, 0),) or taps != 4


@pytest.mark.parametrize(
    ("bias", "scale", "difference"), [([1, 1, 1, 4], 2, 3), ([2, 2, 4, 1], 2, 3), ([-2, 3, 4, 4], 2, 5), ([3, 1, 5], 3, 2)]
)
def test_a_bias_that_differs_within_a_block_has_no_transposed_equal(bias, scale, difference):
    text = "bias must be the same for every offset of a block to be that of a transposed convolution; got a difference of"
    with pytest.raises(ValueError, match=rf"^{text} {difference}\.0$"):
        core.subpixel_to_deconv(integers(3, 3, len(bias)), bias, scale=scale, order="CRD")


# --- blocks ---


@pytest.mark.parametrize("padding", ["same", "valid", ((2, 0), (0, 3)), ((4, 4), (1, 6))], ids=str)
@pytest.mark.parametrize(("taps", "scale"), [((3, 3), (2, 2)), ((1, 4), (3, 2)), ((5, 2), (1, 4)), ((2, 7), (2, 3))])
def test_resize_and_shift_before_a_convolution_are_subpixel_convolutions(taps, scale, padding):
    kernel, bias = integers(*taps, 3, 2), integers(2)
    x = integers(2, 5, 4, 3)
    expected = oracle.conv(oracle.nearest_upsample(x, scale), kernel, bias, padding=padding)
    for order, form in product(ORDERS, FORMS):
        options = {"padding": padding, "order": order, "form": form}
        np.testing.assert_array_equal(core.resize_conv_to_subpixel(kernel, scale, bias=bias, **options).apply(x), expected)
        z = integers(2, 5, 4, 3 * prod(scale))
        shifted = oracle.conv(oracle.phase_shift(z, scale, order=order), kernel, bias, padding=padding)
        np.testing.assert_array_equal(core.shift_conv_to_subpixel(kernel, bias, scale=scale, **options).apply(z), shifted)


@pytest.mark.parametrize("padding", ["same", "valid", ((2, 0), (0, 3))], ids=str)
@pytest.mark.parametrize(("taps", "scale"), [((3, 3), (2, 2)), ((1, 4), (3, 2)), ((2, 2), (1, 4))])
def test_a_convolution_before_or_behind_an_inverse_shift_is_a_strided_one(taps, scale, padding):
    bias = integers(2)
    lost = [k - 1 - sum(pair) for k, pair in zip(taps, core.padding_widths(padding, taps), strict=True)]
    for order in ORDERS:
        kernel, x = integers(*taps, 3, 2), integers(2, *(r * 4 + less for r, less in zip(scale, lost, strict=True)), 3)
        expected = oracle.inverse_phase_shift(oracle.conv(x, kernel, bias, padding=padding), scale, order=order)
        layer = core.conv_unshift_to_strided(kernel, bias, scale=scale, order=order, padding=padding)
        np.testing.assert_array_equal(layer.apply(x), expected)
        assert layer.macs(x.shape[1:-1]) == layer.kernel.size * prod(expected.shape[1:-1])
        kernel, x = integers(*taps, 3 * prod(scale), 2), integers(2, *(4 * r for r in scale), 3)
        expected = oracle.conv(oracle.inverse_phase_shift(x, scale, order=order), kernel, bias, padding=padding)
        layer = core.unshift_conv_to_strided(kernel, bias, scale=scale, order=order, padding=padding)
        np.testing.assert_array_equal(layer.apply(x), expected)


@pytest.mark.parametrize("channels", [1, 64])
def test_taps_of_half_precision_are_added_up_in_single(channels):
    kernel = np.repeat(np.array([1, 2**-11, 2**-11], np.float16), channels).reshape(3, 1, channels)
    layer = core.resize_conv_to_subpixel(kernel, 3, padding=((1, 1),), form="aligned")
    assert layer.kernel.dtype == np.float16
    assert set(layer.kernel.max(axis=0)[0]) == {1, 1 + 2**-10}  # one after the other, in half precision, they are lost


def test_taps_whose_sum_is_not_finite_are_refused_and_those_that_are_not_finite_themselves_are_not():
    kernel = np.full((3, 1, 1), 30000, np.float16)
    with pytest.raises(ValueError, match=r"^kernel must have taps whose sums its dtype can hold; got float16$"):
        core.resize_conv_to_subpixel(kernel, 3)
    kernel[0] = np.inf
    assert np.isinf(core.resize_conv_to_subpixel(kernel, 3).kernel).any()


# --- chains ---


def chained(x, stages, order, padding="same"):
    for kernel, bias, scale in stages:
        x = core.subpixel_conv(x, kernel, bias, scale=scale, order=order, padding=padding)
    return x


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("taps", "biases", "interior"),
    [
        (((3, 3), (3, 3), (1, 1)), True, ((2, 2), (3, 3))),
        (((1, 1), (3, 2), (1, 1)), False, ((0, 0), (0, 0))),
        (((1, 1), (3, 2), (1, 1)), True, ((2, 2), (0, 3))),
        (((3, 2), (1, 1), (1, 1)), True, ((0, 0), (0, 0))),
        (((1, 1), (1, 1), (3, 3)), False, ((0, 0), (0, 0))),
    ],
)
def test_a_chain_is_one_stage_away_from_the_border_that_is_named(taps, biases, interior, order, form):
    scales, widths = ((2, 2), (2, 3), (1, 1)), (3, 4, 5, 2)
    stages = []
    for number, (k, scale) in enumerate(zip(taps, scales, strict=True)):
        outputs = widths[number + 1] * prod(scale)
        stages.append((integers(*k, widths[number], outputs, seed=number), integers(outputs) if biases else None, scale))
    x = integers(2, 6, 5, 3)
    layer, expected = core.collapse_stages(stages, order=order, form=form), chained(x, stages, order)
    y = layer.apply(x)
    assert (y.shape, layer.interior, layer.scale) == (expected.shape, interior, (4, 6))
    (a, b), (c, d) = interior
    np.testing.assert_array_equal(y[:, a : y.shape[1] - b, c : y.shape[2] - d], expected[:, a : y.shape[1] - b, c : y.shape[2] - d])
    if any(map(any, interior)):
        assert (y != expected).any()  # there the zeros are felt: the border that is named is none too wide


def test_a_chain_of_one_stage_is_that_stage():
    kernel, bias = integers(3, 2, 3, 8), integers(8)
    layer = core.collapse_stages([(kernel, bias, 2)], order="CRD", form="aligned")
    np.testing.assert_array_equal(layer.kernel, kernel)
    np.testing.assert_array_equal(layer.bias, bias)


@pytest.mark.parametrize("scale", [1, 2])
def test_zeros_around_a_stage_are_not_felt_where_the_one_before_gives_zeros_there(scale):
    first, second = integers(3, 2, 2 * scale), integers(2, 2, 2)
    x = integers(1, 9, 2)
    for before, after in product(range(5), range(5)):
        padding = ((before, after),)
        stages = [(first, None, scale), (second, None, 1)]
        layer, expected = core.collapse_stages(stages, order="DCR", padding=padding), chained(x, stages, "DCR", padding)
        whole = before >= 2 and after >= 2  # all that three taps reach
        assert layer.interior == (((0, 0),) if whole else ((before, after),))
        y, (a, b) = layer.apply(x), layer.interior[0]
        assert np.array_equal(y[:, a : y.shape[1] - b], expected[:, a : y.shape[1] - b])


@pytest.mark.parametrize("ndim", [1, 3])
def test_the_macs_of_a_strided_convolution_count_every_axis(ndim):
    taps = (3, 4, 5)[:ndim]
    layer = core.unshift_conv_to_strided(integers(*taps, 2 * 2**ndim, 3), scale=2, order="DCR", padding="valid")
    assert layer.macs((12,) * ndim) == layer.kernel.size * prod(6 - k + 1 for k in taps)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("biased", [(True, False), (False, True), (True, True)])
def test_either_stage_of_a_chain_may_have_the_bias(biased, order):
    first, second = integers(3, 2, 3, 2 * 6), integers(2, 3, 2, 5 * 2)
    biases = [integers(extent) if there else None for extent, there in zip((12, 10), biased, strict=True)]
    stages = [(first, biases[0], (2, 3)), (second, biases[1], (1, 2))]
    x = integers(1, 6, 7, 3)
    layer, expected = core.collapse_stages(stages, order=order, padding="valid"), chained(x, stages, order, "valid")
    assert (layer.interior, layer.bias.dtype) == (((0, 0), (0, 0)), np.int64)
    np.testing.assert_array_equal(layer.apply(x), expected)


@pytest.mark.parametrize("biased", [(True, False), (False, True), (True, True)])
def test_a_bias_of_fractions_stays_what_it_is_between_kernels_of_integers(biased):
    kernel, half = np.array([[[1, 2]], [[3, 4]]]), np.array([0.5, 0.25])
    stages = [(kernel, half if there else None, 2) for there in biased]
    x = integers(1, 6, 1)
    layer = core.collapse_stages(stages, order="DCR", padding="valid")
    np.testing.assert_array_equal(layer.apply(x), chained(x, stages, "DCR", "valid"))


def test_biases_of_half_precision_are_added_up_in_single():
    first = np.zeros((1, 1, 3), np.float16), np.array([1, 2**-11, 2**-11], np.float16), 1
    second = np.ones((1, 3, 2), np.float16), np.array([2**-11, 0], np.float16), 1
    layer = core.collapse_stages([first, second], order="DCR")
    assert layer.bias.dtype == np.float16
    assert layer.bias.tolist() == [1 + 2**-10 + 2**-10, 1 + 2**-10]  # 1 + 3/2048 goes to the even of its two neighbours


def test_a_bias_of_zeros_is_felt_no_further_than_none():
    stages = [(integers(1, 2, 8), np.zeros(8), 2), (integers(3, 4, 4), None, 2)]
    assert core.collapse_stages(stages, order="CRD").interior == ((0, 0),)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_equal_everywhere_has_no_border_of_its_own(form):
    kernel = integers(3, 2, 4, 4)
    for layer in [
        core.deconv_to_subpixel(kernel, stride=(2, 3), padding=1, form=form),
        core.resize_conv_to_subpixel(kernel, (2, 3), form=form),
        core.shift_conv_to_subpixel(integers(3, 2, 4, 5), scale=(2, 1), order="CRD", form=form),
        of_fractionally_strided(kernel, (2, 3), ((2, 1), (0, 1)), 1).subpixel("DCR", form),
    ]:
        assert layer.interior == ((0, 0), (0, 0))


# --- refusals ---

KERNEL = np.ones((3, 3, 4, 2))
STAGES = [(np.ones((3, 3, 4, 8)), None, 2), (np.ones((3, 3, 2, 8)), None, 2)]
REFUSED = [
    (lambda: core.deconv_to_subpixel(KERNEL, stride=2, output_padding=2), "output_padding must be below the stride (2, 2); got (2, 2)"),
    (
        lambda: core.deconv_to_subpixel(KERNEL, stride=2, dilation=3, output_padding=3),
        "output_padding must be below the larger of stride and dilation (3, 3); got (3, 3)",
    ),
    (lambda: core.deconv_to_subpixel(KERNEL, stride=0), "stride must be 1 or more; got 0"),
    (lambda: core.deconv_to_subpixel(KERNEL, stride=2, padding=-1), "padding must be 0 or more; got -1"),
    (lambda: core.deconv_to_subpixel(KERNEL, stride=(2,)), "stride must have one value per spatial axis, 2; got (2,)"),
    (lambda: core.deconv_to_subpixel(KERNEL, stride=2, form="small"), "form must be one of 'minimal', 'aligned'; got 'small'"),
    (lambda: core.deconv_to_subpixel(KERNEL, stride=2, order="dcr"), "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got 'dcr'"),
    (lambda: core.deconv_to_subpixel(KERNEL, [1.0], stride=2), "bias must have the shape (2,), one value per output channel; got (1,)"),
    (lambda: core.deconv_to_subpixel(KERNEL, stride=2, groups=3, order="CRD"), "output channels must be a multiple of 3, groups=3; got 2"),
    (
        lambda: core.deconv_to_subpixel(KERNEL, stride=2, groups=2),
        "order must be 'CRD' or 'RCD' for groups=2, whose channels are neighbours in no other; got 'DCR'",
    ),
    (
        lambda: core.deconv_to_subpixel(KERNEL, stride=2, groups=2, order="CRD").reordered("DRC"),
        "order must be 'CRD' or 'RCD' for groups=2, whose channels are neighbours in no other; got 'DRC'",
    ),
    (
        lambda: core.resize_conv_to_subpixel(KERNEL, 2, mode="bilinear"),
        "mode must be 'nearest', for any other resize continues the border with its pixels, where a convolution has zeros; got 'bilinear'",
    ),
    (
        lambda: core.resize_conv_to_subpixel(KERNEL, 2, align_corners=True),
        "align_corners must be False, for the distance of its samples changes with the extents; got True",
    ),
    (
        lambda: core.collapse_stages(STAGES, order="DCR", activation="relu"),
        "activation must be None, for a chain with a nonlinearity between its stages is no linear layer; got 'relu'",
    ),
    (
        lambda: core.collapse_stages([STAGES[0], STAGES[0]], order="DCR"),
        "stages must fit each other: a kernel with 2 spatial axes and 2 input channels must follow; got the shape (3, 3, 4, 8)",
    ),
    (core.choose_form, "kernels must be at least one, to choose from; got none"),
    (lambda: core.collapse_stages([], order="DCR"), "stages must be a sequence of (kernel, bias, scale), one per stage; got [] entries"),
    (
        lambda: core.fractionally_strided_conv(np.ones((1, 0, 3, 4)), KERNEL, stride=2),
        "x must have spatial extents of (1, 1) or more; got (0, 3)",
    ),
    (lambda: core.shift_conv_to_subpixel(KERNEL, scale=2, order="CDR"), "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got 'CDR'"),
    (
        lambda: core.subpixel_to_deconv(np.ones((3, 3, 4, 6)), scale=2, order="DCR"),
        "channels must be a multiple of 4, the product of scale=(2, 2); got 6",
    ),
    (
        lambda: core.unshift_conv_to_strided(np.ones((3, 3, 6, 2)), scale=2, order="DCR"),
        "channels must be a multiple of 4, the product of scale=(2, 2); got 6",
    ),
    (lambda: of_fractionally_strided(KERNEL, 0, ((0, 0),) * 2, 1), "stride must be 1 or more; got 0"),
    (lambda: of_fractionally_strided(KERNEL, 2, ((0, 0),) * 2, (3, 0)), "dilation must be 1 or more on every axis; got (3, 0)"),
    (
        lambda: of_fractionally_strided(KERNEL[:0], 2, ((0, 0),) * 2, 1),
        "kernel must have at least one tap on every axis; got (0, 3, 4, 2)",
    ),
]


def large_chain(dtype, *taps, bias=None):
    """Return a chain of two stages, 2 channels in, of which every tap of a stage is the same."""
    shapes = (3, 2, 2, 4 * 2), (1, 3, 2, 6 * 3)
    kernels = [np.full(shape, tap, dtype) for shape, tap in zip(shapes, taps, strict=True)]
    return [(kernels[0], None if bias is None else np.full(8, bias, dtype), (2, 2)), (kernels[1], None, (2, 3))]


@pytest.mark.parametrize(
    ("dtype", "taps", "bias"),
    [
        (np.float16, (300, 300), None),
        (np.float16, (1e-4, 1e-4), None),
        (np.float16, (1e-2, 1e-3), None),  # 2e-5, with fewer digits than a number of float16 has
        (np.float16, (1, 300), 300),
        (np.float32, (1e20, 1e20), None),
        (np.float32, (1e-25, 1e-25), None),
        (np.float32, (1, 1e20), 1e20),
        (np.float64, (1e160, 1e160), None),
        (np.float64, (1e-170, 1e-170), None),
    ],
)
def test_a_chain_whose_products_its_dtype_cannot_hold_is_refused(dtype, taps, bias):
    with pytest.raises(ValueError, match=rf"^kernel must have taps whose sums its dtype can hold; got {np.dtype(dtype).name}$"):
        core.collapse_stages(large_chain(dtype, *taps, bias=bias), order="DCR")


@pytest.mark.parametrize("taps", [(100, 100), (1e-2, 1e-2), (0, 1e-6), (1e4, -1e-4), (np.inf, 1)])
def test_a_chain_of_taps_whose_products_are_numbers_of_the_dtype_is_collapsed(taps):
    layer = core.collapse_stages(large_chain(np.float16, *taps), order="DCR", padding="valid")
    assert layer.kernel.dtype == np.float16
    assert np.isfinite(layer.kernel).all() == np.isfinite(taps).all()


def test_zeros_around_a_stage_of_one_tap_are_felt():
    rng = np.random.default_rng(0)
    a, b, x = (rng.integers(-5, 6, shape) for shape in ((3, 2, 4), (1, 2, 4), (1, 5, 2)))
    stages, padding = [(a, None, 2), (b, None, 2)], [(1, 1)]
    layer, y = core.collapse_stages(stages, order="DCR", padding=padding), chained(x, stages, "DCR", padding)
    assert layer.interior == ((2, 2),)
    np.testing.assert_array_equal(layer.apply(x)[:, 2:-2], y[:, 2:-2])
    assert not (layer.apply(x) == y).all()


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_has_no_exact_equal_is_refused(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_stages_that_are_no_sequence_are_refused_by_their_type():
    with pytest.raises(TypeError, match=r"stages must be a sequence of \(kernel, bias, scale\), one per stage; got dict"):
        core.collapse_stages({}, order="DCR")


def test_the_choice_is_for_fewest_macs_then_fewest_taps_then_the_smallest_crop():
    forms = [core.deconv_to_subpixel(np.ones((3, 3, 4, 2)), stride=2, padding=1, form=form) for form in FORMS]
    minimal, aligned = forms
    assert minimal.kernel_size == aligned.kernel_size == (2, 2)
    assert core.choose_form(*forms) in forms
    unequal = [core.deconv_to_subpixel(np.ones((4, 4, 4, 2)), stride=2, padding=1, form=form) for form in FORMS]
    assert core.choose_form(*unequal) is unequal[0]
    assert core.choose_form(*unequal[::-1], spatial=1) is unequal[1]


# --- a padding of its own at each end; dilation and groups behind a resize ---

FEW = [(taps, stride) for taps in range(1, 8) for stride in range(1, 5)]


@pytest.mark.parametrize(("taps", "stride"), FEW)
def test_a_transposed_convolution_may_leave_out_another_number_at_each_end(taps, stride):
    kernel, x = integers(taps, 3, 2), integers(2, 4, 3)
    whole = oracle.conv_transpose(x, kernel, stride=(stride,), padding=(0,), output_padding=(stride - 1,))
    for before, after, form in product(range(4), range(4), FORMS):
        length = whole.shape[1] - before - after
        if length > 0:
            layer = core.deconv_to_subpixel(kernel, stride=stride, padding=((before, after),), output_padding=stride - 1, form=form)
            assert np.array_equal(layer.apply(x), whole[:, before : before + length])


def test_one_padding_per_axis_is_that_at_both_ends():
    kernel = integers(4, 3, 2, 2)
    whole, pairs = (core.deconv_to_subpixel(kernel, stride=2, padding=padding) for padding in [(1, 0), ((1, 1), (0, 0))])
    assert (whole.padding, whole.crop) == (pairs.padding, pairs.crop)


@pytest.mark.parametrize("padding", [((1, 2), 1), ((1, 2, 3), (0, 0)), ((1, -1), (0, 0)), ((1, 2),)])
def test_a_padding_that_is_neither_is_refused(padding):
    with pytest.raises((ValueError, TypeError), match=r"^padding must .*; got"):
        core.deconv_to_subpixel(integers(4, 4, 2, 2), stride=2, padding=padding)


@pytest.mark.parametrize(("form", "padding"), [*product(FORMS, ["same", "valid", ((3, 0), (0, 1))])])
def test_the_convolution_behind_a_resize_may_be_dilated(form, padding):
    kernel, bias, x = integers(3, 2, 3, 2), integers(2), integers(1, 4, 5, 3)
    dilated = np.zeros((5, 4, 3, 2), int)
    dilated[::2, ::3] = kernel
    expected = oracle.conv(oracle.nearest_upsample(x, (2, 3)), dilated, bias, padding=padding)
    layer = core.resize_conv_to_subpixel(kernel, (2, 3), bias=bias, padding=padding, dilation=(2, 3), form=form)
    assert np.array_equal(layer.apply(x), expected)


@pytest.mark.parametrize(("form", "order"), [*product(FORMS, ["CRD", "RCD"])])
def test_the_convolution_behind_a_resize_may_have_groups(form, order):
    kernel, bias, x = integers(3, 2, 2, 6), integers(6), integers(1, 4, 5, 4)
    large = oracle.nearest_upsample(x, (2, 3))
    parts = [oracle.conv(large[..., 2 * g : 2 * g + 2], kernel[..., 3 * g : 3 * g + 3], bias[3 * g : 3 * g + 3]) for g in range(2)]
    layer = core.resize_conv_to_subpixel(kernel, (2, 3), bias=bias, groups=2, order=order, form=form)
    assert np.array_equal(layer.apply(x), np.concatenate(parts, axis=-1))


def test_the_groups_of_the_convolution_behind_a_resize_need_an_order_that_keeps_them_together():
    with pytest.raises(ValueError, match=r"^order must be 'CRD' or 'RCD' for groups=2"):
        core.resize_conv_to_subpixel(integers(3, 3, 2, 6), 2, groups=2)
    with pytest.raises(ValueError, match=r"^output channels must be a multiple of 4"):
        core.resize_conv_to_subpixel(integers(3, 3, 2, 6), 2, groups=4, order="CRD")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zeros", [(0, 0), (2, 5), (7, 1), (-1, 6), (9, -2)])
def test_a_convolution_between_zeros_is_a_subpixel_one_with_any_zeros_around_it(zeros, form):
    for taps, stride, dilation in product(range(1, 6), range(1, 5), (1, 3)):
        kernel, x = integers(taps, 2, 3), integers(1, 6, 2)
        between = np.zeros((1, 5 * stride + 1, 2), int)
        between[:, ::stride] = x
        around = np.pad(between, ((0, 0), (10, 10), (0, 0)))[:, 10 - zeros[0] : 10 + between.shape[1] + zeros[1]]
        dilated = np.zeros((dilation * (taps - 1) + 1, 2, 3), int)
        dilated[::dilation] = kernel
        if around.shape[1] >= len(dilated):
            layer = of_fractionally_strided(kernel, stride, (zeros,), dilation).subpixel("DCR", form)
            assert np.array_equal(layer.apply(x), oracle.conv(around, dilated, padding="valid")), (taps, stride, dilation)
