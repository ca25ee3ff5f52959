"""One network: what any of the four writes, every other reads, in any order, and computes the same with, forward and back."""

from dataclasses import replace
from importlib import import_module
from itertools import product
from math import prod

import numpy as np
import pytest

import subpixel_core as core
from subpixel_conformance import weight_file
from subpixel_conformance.adapters.reference import adapter as reference
from subpixel_core import ORDERS, ResidualUNetConfig

FRAMEWORKS = ["torch", "tensorflow", "jax"]
CONFIG = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(2, 4), kernel_size=(3, 2), scales=((2, 3),), output_scale=2, groups=2)
SPATIAL = (3, 4)  # to be padded to (4, 6)

FLOAT64 = 1e-12
"""Of the largest value: some thousand roundings of 1e-16 in a row, and far below the 6e-8 that one operation in float32 would leave."""


def float32_bound(config):
    """Return the deviation in float32, as a part of the largest value: one rounding for every term of the longest sum, in every layer.

    With the TF32 of a GPU (5e-4) or with bfloat16 (4e-3) in a single layer it does not hold.
    """
    kernels = [shape for name, shape in core.parameter_shapes(config).items() if name.endswith("kernel")]
    return len(kernels) * max(prod(shape[:-1]) for shape in kernels) * 2.0**-24


@pytest.fixture(scope="module")
def adapters(x64_in_jax):
    """The adapters of the four, which call the public functions of their packages. Those that are not installed are left out."""
    found = {"core": reference}
    for name in FRAMEWORKS:
        try:
            import_module(name)
        except ImportError:
            continue
        found[name] = import_module(f"subpixel_{name}.adapter").adapter
    if len(found) < 3:
        pytest.skip("a network is one where there are two frameworks")
    return found


def drawn(config, dtype="float64", seed=0):
    """Return parameters in which nothing is as it starts: no bias is 0, no scale 1, no shifted kernel ICNR."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.uniform(0.5, 2, shape)
            if name.endswith((".scale", ".variance"))
            else rng.normal(size=shape) / (prod(shape[:-1]) ** 0.5 if name.endswith("kernel") else 3)
        ).astype(dtype)
        for name, shape in core.parameter_shapes(config).items()
    }


def image(config, dtype="float64", seed=0, spatial=SPATIAL, samples=2):
    return np.random.default_rng(seed).normal(size=(samples, *spatial, config.in_channels)).astype(dtype)


def run(adapter, config, params, x):
    """Return the output as an array."""
    if adapter.name == "subpixel_jax":  # not compiled: that takes longer than all the rest
        running = core.statistics_shapes(config)
        parts = {"parameters": {}, "statistics": {}}
        for name, value in params.items():
            parts["statistics" if name in running else "parameters"][name] = value
        return np.asarray(import_module("subpixel_jax").residual_unet(parts, x, config, precision="highest"))
    network = adapter.unet(config.as_dict(), "cpu", params, x.dtype.name)
    return adapter.to_numpy(network(adapter.to_native(x, "cpu")))


def deviation(actual, expected):
    """Return the largest difference, as a part of the largest value."""
    assert actual.shape == expected.shape
    return np.abs(actual.astype(np.float64) - expected).max() / np.abs(expected).max()


def same_bits(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert (actual[name].dtype, actual[name].shape) == (value.dtype, value.shape), name
        assert actual[name].tobytes() == value.tobytes(), name


# --- one file ---


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
@pytest.mark.parametrize(("order", "dtype"), [*zip(ORDERS, ["float64", "float32"] * 2, strict=True)])
def test_what_any_of_the_four_writes_another_reads_bit_for_bit_in_any_order_and_computes_the_same(adapters, tmp_path, norm, order, dtype):
    config = replace(CONFIG, norm=norm, order=order)
    params, x = drawn(config, dtype), image(config, dtype)
    expected = core.residual_unet({name: value.astype(np.float64) for name, value in params.items()}, x.astype(np.float64), config)
    bound = FLOAT64 if dtype == "float64" else float32_bound(config)
    target = ORDERS[(ORDERS.index(order) + 2) % 4]
    moved = core.convert_order(params, config, target)[0]
    names = [*adapters]
    for writer, adapter in adapters.items():
        adapter.save_weights(str(tmp_path / writer), params, config.as_dict())
        same_bits(weight_file.read((tmp_path / writer).read_bytes())[0], params)
        reader = names[names.index(writer) - 1]
        loaded, fields = adapters[reader].load_weights(str(tmp_path / writer))
        assert ResidualUNetConfig(**fields) == config, (reader, writer)
        same_bits(loaded, params)
        loaded, fields = adapters[reader].load_weights(str(tmp_path / writer), order=target)
        assert ResidualUNetConfig(**fields) == replace(config, order=target), (reader, writer)
        same_bits(loaded, moved)
        assert deviation(run(adapters[reader], replace(config, order=target), loaded, x), expected) <= bound, (reader, writer)


def test_every_one_reads_every_other(adapters, tmp_path):
    config = replace(CONFIG, norm="batch", order="DRC")
    params = drawn(config, "float32")
    for writer, adapter in adapters.items():
        adapter.save_weights(str(tmp_path / writer), params, config.as_dict())
    for (reader, adapter), writer in product(adapters.items(), adapters):
        loaded, fields = adapter.load_weights(str(tmp_path / writer))
        assert ResidualUNetConfig(**fields) == config, (reader, writer)
        same_bits(loaded, params)


OTHERS = {
    "deconv": replace(CONFIG, upsample="deconv"),
    "resize, blur": replace(CONFIG, upsample="resize", blur=True),
    "1-D, batch": replace(CONFIG, ndim=1, kernel_size=4, scales=3, norm="batch", order="CRD"),
    "3-D, thick slices": replace(CONFIG, ndim=3, kernel_size=(1, 3, 2), scales=((1, 2, 2),), output_scale=(1, 2, 1), order="DRC"),
    "one level, times 4": replace(CONFIG, widths=(4,), blocks=1, scales=2, output_scale=4, norm="none", order="CRD"),
}


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS.keys())
def test_every_kind_of_network_is_the_same_in_all_of_them(adapters, config):
    params, x = drawn(config), image(config, spatial=(5, 7, 3)[: config.ndim])
    expected = core.residual_unet(params, x, config)
    assert expected.shape[1:-1] == config.output_extents(x.shape[1:-1])
    for name, adapter in adapters.items():
        assert deviation(run(adapter, config, params, x), expected) <= FLOAT64, name


def test_a_file_is_written_and_read_by_the_public_functions_of_every_package(tmp_path):
    """The same without the adapters: train in one, deploy in another, in the idiom of each."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    pytest.importorskip("jax", reason="jax is not installed")
    subpixel_torch, subpixel_tensorflow, subpixel_jax = (import_module(f"subpixel_{name}") for name in FRAMEWORKS)
    x = image(CONFIG, "float32")

    model = subpixel_torch.ResidualUNet(CONFIG)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    (model(torch.from_numpy(np.moveaxis(x, -1, 1).copy())) ** 2).mean().backward()
    optimizer.step()
    subpixel_torch.save_weights(tmp_path / "torch", model)
    expected = core.residual_unet(*(lambda params, config: (params, x.astype(np.float64), config))(*core.load_weights(tmp_path / "torch")))

    keras_model = subpixel_tensorflow.load_weights(tmp_path / "torch", order="CRD")
    assert deviation(keras_model(tf.constant(x)).numpy(), expected) <= float32_bound(CONFIG)
    subpixel_tensorflow.save_weights(tmp_path / "tensorflow", keras_model)

    params, config = subpixel_jax.load_weights(tmp_path / "tensorflow")
    assert config == replace(CONFIG, order="CRD")
    assert deviation(np.asarray(subpixel_jax.residual_unet(params, x, config)), expected) <= float32_bound(CONFIG)
    subpixel_jax.save_weights(tmp_path / "jax", params, config)

    again = subpixel_torch.load_weights(tmp_path / "jax", order=CONFIG.order)
    same_bits(core.load_weights(tmp_path / "jax", order=CONFIG.order)[0], core.load_weights(tmp_path / "torch")[0])
    assert again.config == CONFIG
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


# --- one training ---


@pytest.mark.parametrize(("norm", "optimizer"), [("group", "adam"), ("batch", "sgd")])
def test_a_file_trained_one_step_in_one_framework_computes_the_same_in_the_others(adapters, tmp_path, norm, optimizer):
    config = replace(CONFIG, norm=norm)
    params, x = drawn(config), image(config)
    target = np.random.default_rng(1).normal(size=(2, *config.output_extents(SPATIAL), config.out_channels))
    core.save_weights(tmp_path / "start", params, config)
    trainers = {name: adapter for name, adapter in adapters.items() if "unet_steps" in adapter.claims["operations"] and name != "core"}
    assert set(trainers) == set(adapters) - {"core"}
    trained = {}
    for name, adapter in trainers.items():
        loaded, fields = adapter.load_weights(str(tmp_path / "start"))
        network = adapter.unet(fields, "cpu", loaded, "float64")
        network.step(adapter.to_native(x, "cpu"), adapter.to_native(target, "cpu"), optimizer, 0.01)
        trained[name] = network.parameters()
        adapter.save_weights(str(tmp_path / name), trained[name], fields)
    fresh = image(config, seed=2)
    for trainer, (name, adapter) in product(trained, adapters.items()):
        loaded, fields = adapter.load_weights(str(tmp_path / trainer))
        same_bits(loaded, trained[trainer])
        expected = core.residual_unet(trained[trainer], fresh, config)
        assert deviation(run(adapter, ResidualUNetConfig(**fields), loaded, fresh), expected) <= FLOAT64, (trainer, name)
        assert deviation(core.residual_unet(params, fresh, config), expected) > 1e-4
    if norm == "batch":  # the running statistics are those of the one rule, and no optimizer's business
        _, statistics = core.residual_unet(params, x, config, training=True)
        for trainer, name in product(trained, statistics):
            np.testing.assert_allclose(trained[trainer][name], statistics[name], rtol=1e-12, atol=1e-12, err_msg=f"{trainer}: {name}")
    # Adam's first step is lr·g/(|g| + 1e-8): a rounding of g moves it by lr·1e8 times that at most, where |g| is near 0.
    learned = set(params) - set(core.statistics_shapes(config))
    tolerance = 1e-12 if optimizer == "sgd" else 1e-8
    first, *others = trained
    for other, name in product(others, learned):
        np.testing.assert_allclose(trained[other][name], trained[first][name], rtol=0, atol=tolerance, err_msg=f"{other}: {name}")


# --- one gradient ---

DIFFERENTIATED = {
    "group": CONFIG,
    "none, CRD": replace(CONFIG, norm="none", order="CRD", widths=(4,), blocks=2, scales=2),
    "batch, training, resize": replace(CONFIG, norm="batch", upsample="resize"),
    "deconv, blur": replace(CONFIG, upsample="deconv", blur=True, ndim=1, kernel_size=4, scales=3),
}


def gradients(adapter, config, params, x, cotangent, training):
    network = adapter.unet(config.as_dict(), "cpu", params, "float64")
    return network.gradients(adapter.to_native(x, "cpu"), adapter.to_native(cotangent, "cpu"), training=training)


@pytest.mark.parametrize("what", DIFFERENTIATED)
def test_the_gradient_of_every_parameter_is_the_same_in_every_framework_and_is_the_slope_of_the_reference(adapters, what):
    config, training = DIFFERENTIATED[what], "training" in what
    params, x, rng = drawn(config), image(config, spatial=SPATIAL[: config.ndim]), np.random.default_rng(3)
    cotangent = rng.normal(size=(2, *config.output_extents(x.shape[1:-1]), config.out_channels))
    learned = {name: value for name, value in params.items() if name not in core.statistics_shapes(config)}
    found = {name: gradients(adapter, config, params, x, cotangent, training) for name, adapter in adapters.items() if name != "core"}
    first = next(iter(found.values()))
    for name, of_framework in found.items():
        assert {tensor: value.shape for tensor, value in of_framework.items()} == {tensor: value.shape for tensor, value in learned.items()}
        largest = max(np.abs(value).max() for value in first.values())
        for tensor, value in of_framework.items():
            # Of the largest gradient of the network: a bias that a norm takes out again has the gradient 0, up to roundings of such size.
            assert np.abs(value - first[tensor]).max() <= FLOAT64 * largest, (name, tensor)

    def loss(step, direction):
        """Return the loss, what its roundings are a part of, and on which side of every kink it lies."""
        trace = {}
        moved = {tensor: params[tensor] + step * direction.get(tensor, 0) for tensor in params}
        y = core.residual_unet(moved, x, config, training=training, trace=trace)
        terms = (y[0] if training and config.norm == "batch" else y) * cotangent
        return terms.sum(), np.abs(terms).sum(), {tensor: value > 0 for tensor, value in trace.items()}

    step, crossed = 1e-6, []
    for tensor, of_one in [("all", learned), *((tensor, {tensor: learned[tensor]}) for tensor in learned)]:
        direction = {other: rng.normal(size=value.shape) for other, value in of_one.items()}
        (before, _, signs), (after, magnitude, others) = loss(-step, direction), loss(step, direction)
        if any((signs[layer] != others[layer]).any() for layer in signs):
            crossed.append(tensor)  # a kink lies between: the slope is that of neither side
            continue
        slope = sum((first[other] * direction[other]).sum() for other in of_one)
        scale = sum((np.abs(first[other]) * np.abs(direction[other])).sum() for other in of_one)
        # The third derivative times step², 1e-12; and some hundred roundings of 1e-16 in each loss, over the step.
        assert abs((after - before) / (2 * step) - slope) <= 1e-8 * scale + 1e-14 * magnitude / step, tensor
    assert len(crossed) <= len(learned) // 10, crossed
