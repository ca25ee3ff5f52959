"""The oracle of the residual U-Net: against loops, against arithmetic by hand, and its gradient against central differences."""

from itertools import product
from math import prod

import numpy as np
import pytest

from subpixel_conformance import compare, oracle, oracle_unet
from subpixel_conformance.cases import unet as cases
from subpixel_conformance.nulls import Float32Network
from subpixel_conformance.oracle_unet import Rounding, wide

U = 2.0**-24


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-5, 6, size=shape).astype(np.longdouble)


# --- the sums ---


@pytest.mark.parametrize(("spatial", "taps"), [((7,), (3,)), ((4, 5), (3, 2)), ((2, 3, 4), (1, 4, 3))])
def test_the_convolution_and_its_transpose_are_those_of_the_loops(spatial, taps):
    x, kernel, g = numbers(2, *spatial, 3), numbers(*taps, 3, 4), numbers(2, *spatial, 4)
    assert (oracle_unet.conv(x, kernel) == oracle.conv(x, kernel)).all()
    d_x, d_kernel, _ = oracle.conv_gradients(x, kernel, g)
    assert (oracle_unet.conv_transposed(x, kernel, g)[0] == d_x).all()
    assert (oracle_unet.conv_transposed(x, kernel, g)[1] == d_kernel).all()


@pytest.mark.parametrize(("spatial", "taps", "stride"), [((5,), (3,), (2,)), ((3, 4), (3, 4), (2, 3)), ((4, 3), (1, 2), (3, 1))])
def test_the_transposed_convolution_is_that_of_the_loops_cut_as_the_clause_says(spatial, taps, stride):
    x, kernel = numbers(2, *spatial, 3), numbers(*(k * r for k, r in zip(taps, stride, strict=True)), 3, 2)
    full = oracle.conv_transpose(x, kernel, stride=stride, padding=(0,) * len(stride), output_padding=(0,) * len(stride))
    before = [r * (k - 1 - (k - 1) // 2) for k, r in zip(taps, stride, strict=True)]
    after = [r * ((k - 1) // 2) for k, r in zip(taps, stride, strict=True)]
    cut = full[(slice(None), *(slice(b, n - a) for b, a, n in zip(before, after, full.shape[1:-1], strict=True)))]
    y = oracle_unet.scatter(x, kernel, stride)
    assert (y == cut).all()
    assert y.shape[1:-1] == tuple(r * n for r, n in zip(stride, spatial, strict=True))


def test_the_transposed_convolution_is_the_subpixel_convolution_with_its_parameters_in_another_layout():
    x, kernel, scale = numbers(2, 3, 4, 3), numbers(3, 4, 3, 12), (2, 3)
    other = np.zeros((6, 12, 3, 2), np.longdouble)
    for o in oracle.offsets(scale):
        for c in range(2):
            for t in np.ndindex(3, 4):
                place = tuple(r * (k - 1 - tap) + inside for r, k, tap, inside in zip(scale, (3, 4), t, o, strict=True))
                other[(*place, slice(None), c)] = kernel[(*t, slice(None), oracle.channel_index("RCD", c, o, scale, 2))]
    y = oracle_unet.shift(oracle_unet.conv(x, kernel), scale, "RCD")
    assert (y == oracle_unet.scatter(x, other, scale)).all()


@pytest.mark.parametrize("order", ["DCR", "CRD", "DRC", "RCD"])
def test_moves_and_means_are_those_of_the_loops(order):
    x = numbers(2, 3, 4, 12)
    y = oracle_unet.shift(x, (2, 3), order)
    assert (y == oracle.phase_shift(x, (2, 3), order=order)).all()
    assert (oracle_unet.shift_transposed(y, (2, 3), order) == x).all()
    assert (oracle_unet.nearest(x, (2, 3)) == oracle.nearest_upsample(x, (2, 3))).all()
    assert np.abs(oracle_unet.blur(y, (2, 3)) - oracle.box_blur(y.astype(np.float64), (2, 3))).max() < 1e-17


@pytest.mark.parametrize("net", [*cases.NETS, cases.RESIZE_BLURRED], ids=lambda net: net.name)
def test_the_transposes_of_a_layer_are_its_transposes(net):
    for step in net.unet.steps:
        if step.kind in ("conv", "up"):
            x, kernel = numbers(2, *(6,) * net.unet.ndim, step.channels[0]), numbers(*step.kernel, seed=1)
            bias = numbers(step.kernel[-1], seed=2)
            y = oracle_unet.linear(step, x, kernel, bias)
            g = numbers(*y.shape, seed=3)
            d_x, d_kernel, d_bias = oracle_unet.linear_transposed(step, x, kernel, g)
            without = oracle_unet.linear(step, x, kernel, 0 * bias)
            assert (d_x * x).sum() == pytest.approx((without * g).sum(), abs=1e-9)
            assert (d_kernel * kernel).sum() == pytest.approx((without * g).sum(), abs=1e-9)
            assert (d_bias * bias).sum() == pytest.approx(((y - without) * g).sum(), abs=1e-9)


# --- the network ---


def test_one_level_of_one_tap_is_arithmetic_by_hand():
    net = cases.Net("by-hand", (2,), {"ndim": 1, "in_channels": 1, "out_channels": 1, "widths": (1,), "kernel_size": 1})
    kernels = {"stem": 2, "encoder.0.0.conv1": 3, "encoder.0.0.conv2": -5, "head.0": 7}
    biases = {"stem": 1, "encoder.0.0.conv1": -4, "encoder.0.0.conv2": 100, "head.0": 10}
    params = {f"{name}.kernel": np.full((1, 1, 1), value) for name, value in kernels.items()}
    params |= {f"{name}.bias": np.full(1, value) for name, value in biases.items()}
    y = net.unet.forward(params, np.array([1, -3]).reshape(1, 2, 1)).y
    # 1: 3, 3·3 - 4 = 5, -25 + 100 = 75, + 3 = 78; 7·78 + 10.  -3: -5, relu 0, -4, relu 0, 100, - 5 = 95; 7·95 + 10
    assert y.ravel().tolist() == [556, 675]


def test_names_and_shapes_are_those_of_the_clause():
    unet = cases.Net("named", (4, 6), {"widths": (4, 8), "blocks": (1, 2), "scales": ((2, 3),), "norm": "batch", "output_scale": 6}).unet
    names = list(unet.learned)
    assert names[:6] == [
        "stem.kernel",
        "stem.bias",
        *(f"encoder.0.0.{rest}" for rest in ("norm1.scale", "norm1.bias", "conv1.kernel", "conv1.bias")),
    ]
    assert [name for name in names if "shortcut.kernel" in name] == ["encoder.1.0.shortcut.kernel", "decoder.0.0.shortcut.kernel"]
    assert unet.learned["decoder.0.up.kernel"] == (3, 3, 8, 24)
    assert unet.learned["decoder.0.0.conv1.kernel"] == (3, 3, 8, 4)
    assert unet.learned["encoder.1.0.shortcut.kernel"] == (1, 1, 4, 8)
    assert (unet.learned["head.0.kernel"], unet.learned["head.1.kernel"]) == ((3, 3, 4, 16), (3, 3, 4, 27))
    assert set(unet.statistics) == {f"{name[:-6]}.{what}" for name in names if name.endswith(".scale") for what in ("mean", "variance")}


def test_the_figures_of_the_specification_come_out():
    given = {"in_channels": 1, "out_channels": 2, "widths": (8, 16), "output_scale": 2, "norm": "group", "groups": 8}
    unet = cases.Net("example", (5, 7), given).unet
    assert (unet.parameters, unet.macs((5, 7))) == (12128, 273792)


def test_extents_are_followed_by_the_fewest_zeros_and_the_first_positions_are_kept():
    unet = cases.SUBPIXEL.unet
    assert unet.padded((5, 7)) == (6, 12)
    assert unet.padded((6, 12)) == (6, 12)
    x = unet.enter(np.ones((1, 5, 7, 2)))
    assert (x[:, :5, :7].min(), x[:, 5:].max(), x[:, :, 7:].max()) == (1, 0, 0)


@pytest.mark.parametrize("net", [cases.GROUP, cases.BATCH], ids=lambda net: net.name)
def test_normalized_values_have_mean_0_and_variance_1_over_what_shares_its_statistics(net):
    (step, *_) = [step for step in net.unet.steps if step.kind == "norm" and step.channels[0] > 3]
    channels = step.channels[0]
    x = np.random.default_rng(0).normal(3, 2, size=(2, 5, 6, channels)).astype(np.longdouble)
    params = {f"{step.name}.scale": np.ones(channels), f"{step.name}.bias": np.zeros(channels)}
    y = oracle_unet.norm(step, x, params, True)
    shared = y.reshape(2, -1, 2, channels // 2).swapaxes(1, 2).reshape(4, -1) if step.groups else y.reshape(-1, channels).T
    assert np.abs(shared.mean(axis=-1)).max() < 1e-15
    assert np.abs(shared.var(axis=-1) - 1).max() < 1e-4


# --- gradients ---


NORMALIZED = (cases.GROUP, cases.GROUP_RESIZE, cases.BATCH, cases.BATCH_DECONV)


@pytest.mark.parametrize(("net", "training"), [*product((*cases.NETS, *NORMALIZED), [False]), *product(NORMALIZED, [True])])
def test_the_gradient_is_the_derivative_by_central_differences(net, training):
    unet, rng, h = net.unet, np.random.default_rng(3), np.longdouble(2) ** -20
    params, x = cases.reals(net, "float64")
    run = unet.forward(params, x, training=training)
    cotangent = rng.normal(size=run.y.shape)
    gradient = unet.backward(params, run, cotangent, training=training)
    judged = 0
    for name in unet.learned:
        direction = rng.normal(size=unet.learned[name])
        ends = [unet.forward({**params, name: wide(params[name]) + sign * h * direction}, x, training=training) for sign in (1, -1)]
        if all((a == b).all() for end in ends for a, b in zip(unet.masks(run), unet.masks(end), strict=True)):
            quotient = ((ends[0].y - ends[1].y) * cotangent).sum() / (2 * h)
            assert float((gradient[name] * direction).sum()) == pytest.approx(float(quotient), rel=1e-7, abs=1e-7)
            judged += 1
    assert judged > 0.8 * len(unet.learned)


@pytest.mark.parametrize("net", [cases.GROUP, cases.SHALLOW, cases.BATCH], ids=lambda net: net.name)
def test_central_differences_are_sharp_enough_to_tell_a_wrong_gradient(net):
    params, x, cotangent, directions = cases.differences(net, 0)
    gradient = net.unet.backward(params, net.unet.forward(params, x, training=True), cotangent, training=True)
    for direction, derivative, cut_off in directions:
        size = sum(float(np.abs(gradient[name] * v).sum()) for name, v in direction.items())
        assert abs(float(sum((gradient[name] * v).sum() for name, v in direction.items())) - derivative) <= cut_off
        assert cut_off + 2.0**-30 * size < 1e-5 * size


# --- bounds ---


@pytest.mark.parametrize("net", [cases.SUBPIXEL, cases.GROUP, cases.BATCH, cases.RESIZE, cases.DECONV_EVEN], ids=lambda net: net.name)
def test_sums_in_float32_lie_within_what_is_carried_through_and_it_is_not_empty(net):
    params, x = cases.reals(net, "float32")
    exact = net.unet.forward(params, x, u=U)
    computed = Float32Network(net.config, "cpu", params, "float32").run(x)
    for step in net.unet.steps[1:]:
        error = np.abs(computed.values[step.name] - exact.values[step.name])
        assert (error <= exact.errors[step.name]).all()
    assert error.max() > 0
    assert exact.errors["encoder.0.0"].max() < 0.01 * np.abs(exact.values["encoder.0.0"]).max()


@pytest.mark.parametrize("net", [cases.SUBPIXEL, cases.BLURRED, cases.RESIZE, cases.DECONV_EVEN], ids=lambda net: net.name)
def test_gradients_of_a_perturbed_way_forward_lie_within_their_bound(net):
    params, _, run = cases.without_kinks(net, "float64", False)
    cotangent = np.random.default_rng(1).normal(size=run.y.shape)
    rng = np.random.default_rng(2)
    moved = {name: values + rng.uniform(-1, 1, size=values.shape) * run.errors[name] for name, values in run.values.items()}
    exact, bound = net.unet.backward(params, run, cotangent), net.unet.gradient_errors(params, run, cotangent, 2.0**-53)
    found = net.unet.backward(params, oracle_unet.Run(moved, {}), cotangent)
    ratio = max(compare.within(found[name], exact[name], bound[name])[0] for name in exact)
    assert 1e-6 < ratio < 1
    assert all(float(bound[name].max()) <= 1e-2 * float(np.abs(exact[name]).max()) for name in exact)


def test_a_bound_for_gradients_is_refused_at_a_kink():
    net = cases.SMALL
    params, _, run = cases.without_kinks(net, "float64", False)
    run.values["encoder.0.0"][0, 0, 0, 0], kept = 0, run.values["encoder.0.0"][0, 0, 0, 0]
    with pytest.raises(ValueError, match="within its error of 0"):
        net.unet.gradient_errors(params, run, np.ones(run.y.shape), 2.0**-53)
    run.values["encoder.0.0"][0, 0, 0, 0] = kept


def test_an_error_that_could_empty_a_variance_has_no_bound():
    step = next(step for step in cases.GROUP.unet.steps if step.kind == "norm")
    params, _ = cases.reals(cases.GROUP, "float64")
    x = np.random.default_rng(0).normal(size=(1, 3, 3, 4)).astype(np.longdouble)
    assert np.isfinite(oracle_unet.norm_carried(step, x, np.full_like(x, 1e-3), params, False)).all()
    assert np.isinf(oracle_unet.norm_carried(step, x, np.full_like(x, 10.0), params, False)).all()


def test_the_bound_of_a_normalization_is_that_of_the_clause():
    step = next(step for step in cases.BATCH.unet.steps if step.kind == "norm")
    x = np.array([1.0, 3.0]).reshape(1, 1, 2, 1) * np.ones(step.channels[0])
    names = {
        what: np.full(step.channels[0], value) for what, value in [("scale", 2.0), ("bias", 5.0), ("mean", 1.0), ("variance", 4 - 1e-5)]
    }
    params = {f"{step.name}.{what}": values for what, values in names.items()}
    rounding = Rounding(2.0**-8, 2.0**-24)
    evaluated = oracle_unet.norm_bound(step, wide(x), params, False, rounding)[0, 0, 1, 0]
    assert float(evaluated) == pytest.approx(8 * 2**-24 * (3 + 1) * 2 / 2 + 2**-8 * 5 + 2**-8 * 7, rel=1e-9)
    sigma2 = 1 + 1e-5
    trained = oracle_unet.norm_bound(step, wide(x), params, True, rounding)[0, 0, 1, 0]
    y = 2 / sigma2**0.5 + 5
    expected = 10 * 2**-24 * (3 + 2) * 2 / sigma2**0.5 * (1 + 5 / sigma2) + 2**-8 * (5 + y)
    assert float(trained) == pytest.approx(expected, rel=1e-9)


# --- what the cases are made of ---


@pytest.mark.parametrize(
    ("net", "dtype"), [(net, "float32") for net in cases.NETS] + [(cases.DECONV, "bfloat16"), (cases.SUBPIXEL, "bfloat16")]
)
def test_integers_stay_integers_that_the_dtype_holds(net, dtype):
    params, x, _ = cases.integers(net, dtype)
    run = net.unet.forward({name: np.abs(values) for name, values in params.items()}, np.abs(x.astype(np.float64)))
    fraction = prod(prod(step.factors) for step in net.unet.steps if step.blurred)
    largest = max(float(values.max()) for values in run.values.values())
    assert 4 <= largest * fraction <= cases.EXACT[dtype]
    values = net.unet.forward(params, x).values
    assert all((value * fraction == np.rint(value * fraction)).all() for value in values.values())
    assert all(np.unique(value).size > 1 for value in values.values())


def test_a_blur_that_is_not_exact_is_refused():
    with pytest.raises(ValueError, match="powers of 2"):
        cases.integers(cases.Net("blurred", (3, 3), {"blur": True, "scales": 3}), "float32")


@pytest.mark.parametrize("seed", range(12))
def test_fresh_parameters_that_are_right_pass(seed, monkeypatch):
    from subpixel_conformance.mutants.honest import Honest
    from subpixel_conformance.mutants.unet import HonestNetwork

    generator = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda given: generator([seed, given]))
    for net in cases.FRESH_NETS:
        cases.fresh(Honest("fresh", unet=HonestNetwork), "cpu", net=net, case="UN-009/some")
