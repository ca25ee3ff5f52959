"""The residual U-Net in PyTorch: its values against the core's, and what is PyTorch's own: compiler, exporter, autocast, memory formats."""

import copy
import pickle
import shutil
from itertools import product
from math import prod

import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import ORDERS, ResidualUNetConfig
from subpixel_core._unet import Upsampling

torch = pytest.importorskip("torch", reason="torch is not installed")
backend = pytest.importorskip("subpixel_torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402 -- after the skip

needs_a_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "cl")), reason="torch.compile needs a C++ compiler, and none is installed"
)

SPATIAL = {1: (13,), 2: (7, 5), 3: (3, 5, 4)}  # nothing that the scales divide
SCALES = {1: (2, 3), 2: ((2, 3), (2, 1)), 3: ((1, 2, 2), (2, 1, 3))}
KERNELS = {1: 4, 2: (3, 4), 3: (3, 2, 1)}


def made(ndim=2, **fields):
    shared = {"in_channels": 2, "out_channels": 3, "widths": (4, 2, 6), "blocks": (1, 2, 1), "groups": 2}
    return ResidualUNetConfig(**({"ndim": ndim, "scales": SCALES[ndim], "kernel_size": KERNELS[ndim]} | shared | fields))


# every norm with every upsampling in every dimension; blur, order and output scale change along
CONFIGS = [
    made(ndim, norm=norm, upsample=upsample, blur=i % 2 == 0, order=ORDERS[i % 4], output_scale=(1, 2, 3, 6)[i % 4 if ndim < 3 else i % 2])
    for i, (ndim, norm, upsample) in enumerate(product((1, 2, 3), ("group", "batch", "none"), ("subpixel", "resize", "deconv")))
]
SMALL = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), scales=((2, 3),), groups=2, output_scale=2)
BATCH = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4, 6), scales=((2, 3),), norm="batch")

every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.ndim}-D {c.norm} {c.upsample} {c.order} {c.output_scale}")
every_way_up = pytest.mark.parametrize("upsample", ["subpixel", "resize", "deconv"])


def drawn(config, dtype=np.float64):
    """Return parameters in which nothing is 0 or 1, and variances are positive."""
    rng = np.random.default_rng(0)
    fresh = core.init_parameters(config, rng)
    return {key: (value + 0.2 * np.abs(rng.normal(size=value.shape))).astype(dtype) for key, value in fresh.items()}


def inputs(config, batch=2, dtype=np.float64, spatial=None):
    shape = (batch, *(spatial or SPATIAL[config.ndim]), config.in_channels)
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def first(x):
    return torch.from_numpy(x).movedim(-1, 1).contiguous()


def last(y):
    return y.detach().movedim(1, -1).numpy()


def model_of(config, params, dtype=torch.float64):
    model = backend.ResidualUNet(config).to(dtype).eval()
    backend.set_parameters(model, params)
    return model


def difference(y, expected):
    """Return the largest difference, of the largest value."""
    assert y.shape == expected.shape
    return np.abs(y - expected).max() / np.abs(expected).max()


# In float64 a layer errs by some 10^2 roundings of 1.1e-16, and some 20 layers follow each other, none of which magnifies an error by much:
# a few 1e-14 at most. A wrong rule (epsilon, one more value in a mean) is off by 1e-7 or more.
CLOSE = 1e-11


# --- the values ---


@every_config
def test_the_network_and_every_layer_compute_what_the_core_computes(config):
    params, x = drawn(config), inputs(config)
    model, expected, seen = model_of(config, params), {}, {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda module, given, y, name=name: seen.update({name: last(y)}))
    y = core.residual_unet(params, x, config, trace=expected)
    assert difference(last(model(first(x))), y) < CLOSE
    assert [name for name in seen if name in expected] == list(expected)
    for name, value in expected.items():
        assert difference(seen[name], value) < CLOSE, name


@every_way_up
@pytest.mark.parametrize(("ndim", "order"), [(1, "CRD"), (2, "DRC"), (2, "RCD"), (3, "DCR")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_integers_are_exact(upsample, ndim, order, dtype):
    config = made(ndim, norm="none", upsample=upsample, order=order, output_scale=2, blocks=1)
    rng = np.random.default_rng(0)
    # one entry in eight, so that all sums stay below 2^24
    params = {
        name: (rng.integers(-2, 3, shape) * (rng.random(shape) < 0.125)).astype(float)
        for name, shape in core.parameter_shapes(config).items()
    }
    x = rng.integers(-3, 4, (2, *SPATIAL[ndim], 2)).astype(float)
    expected = core.residual_unet(params, x, config)
    assert 0 < np.abs(expected).max() < 2**16
    assert len(np.unique(expected)) > 20
    assert np.array_equal(last(model_of(config, params, dtype)(first(x).to(dtype))), expected)


def test_extents_from_one_are_padded_and_cropped():
    params = drawn(SMALL)
    model = model_of(SMALL, params)
    for spatial in [(1, 1), (1, 6), (2, 3), (4, 1), (5, 7)]:
        x = inputs(SMALL, spatial=spatial)
        y = model(first(x))
        assert difference(last(y), core.residual_unet(params, x, SMALL)) < CLOSE


def test_one_value_per_group_is_normalized_to_its_bias():
    config = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(2, 4), groups=2)
    params, x = drawn(config), inputs(config, batch=1, spatial=(1, 1))
    assert difference(last(model_of(config, params)(first(x))), core.residual_unet(params, x, config)) < CLOSE


@pytest.mark.parametrize("config", [BATCH, made(3, norm="batch"), made(1, norm="batch")], ids=lambda c: f"{c.ndim}-D")
def test_training_keeps_the_running_statistics_of_the_core(config):
    params = drawn(config)
    model = model_of(config, params).train()
    for seed in range(2):
        x = inputs(config) + seed
        expected, statistics = core.residual_unet(params, x, config, training=True)
        params |= statistics
        assert difference(last(model(first(x))), expected) < CLOSE
        found = backend.get_parameters(model)
        for name in params:
            assert difference(found[name], params[name]) < CLOSE, name
    model.eval()(first(x))
    assert all(np.array_equal(value, found[name]) for name, value in backend.get_parameters(model).items())


def test_group_normalization_is_the_same_in_training():
    model, x = model_of(SMALL, drawn(SMALL)), first(inputs(SMALL))
    assert torch.equal(model.train()(x), model.eval()(x))


@pytest.mark.parametrize(
    "config", [SMALL, BATCH, made(1, norm="none", upsample="deconv", widths=(2, 4), blocks=1, scales=3)], ids=["group", "batch", "none"]
)
def test_the_gradients_of_all_parameters_are_the_differences_of_the_core(config):
    """Central differences in one direction per parameter: roundings of 1e-16/h against a third derivative times h²."""
    params, x, step = drawn(config), inputs(config), 1e-6
    rng = np.random.default_rng(2)
    model = model_of(config, params).train()
    y = model(first(x))
    cotangent = rng.normal(size=last(y).shape)
    y.backward(first(cotangent))

    def value(changed):
        y = core.residual_unet(changed, x, config, training=True)
        return ((y[0] if config.norm == "batch" else y) * cotangent).sum()

    gradients = canonical_gradients(model)
    assert gradients.keys() == params.keys() - core.statistics_shapes(config).keys()
    for name, gradient in gradients.items():
        direction = rng.choice([-1.0, 1.0], size=gradient.shape)
        shifted = [value(params | {name: params[name] + h * direction}) for h in (step, -step)]
        expected = (shifted[0] - shifted[1]) / (2 * step)
        # batch normalization takes away what a bias before it adds: there the derivative is 0, and 1e-4 of nothing would be nothing
        assert abs((gradient * direction).sum() - expected) <= 1e-4 * np.abs(gradient).sum() + 1e-6, name


def canonical_gradients(model):
    """Return the gradients by canonical name: those of a model whose parameters they are."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter, own in zip(other.parameters(), model.parameters(), strict=True):
            parameter.copy_(own.grad)
    learned = core.parameter_shapes(model.config).keys() - core.statistics_shapes(model.config).keys()
    return {name: value for name, value in backend.get_parameters(other).items() if name in learned}


def test_gradients_pass_gradcheck():
    config = ResidualUNetConfig(ndim=1, in_channels=1, out_channels=2, widths=(2, 4), groups=2, output_scale=2)
    model = backend.ResidualUNet(config).double()
    backend.set_parameters(model, drawn(config))
    x = torch.linspace(-1, 1, 5, dtype=torch.float64).square().reshape(1, 1, 5).requires_grad_()
    assert torch.autograd.gradcheck(model, x)


# --- the arithmetic ---


@every_config
def test_parameters_and_macs_are_those_that_torch_counts(config):
    model = backend.ResidualUNet(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == config.parameters
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 2, *SPATIAL[config.ndim]))
    assert counter.get_total_flops() == 2 * config.macs(SPATIAL[config.ndim])


# --- fresh parameters ---


@every_way_up
@pytest.mark.parametrize("order", ORDERS)
def test_a_fresh_network_starts_as_specified(upsample, order):
    torch.manual_seed(0)
    config = ResidualUNetConfig(widths=(16, 32), scales=((2, 3),), blocks=2, norm="batch", upsample=upsample, order=order, output_scale=2)
    params = backend.get_parameters(backend.ResidualUNet(config))
    assert params.keys() == core.parameter_shapes(config).keys()
    for layer in core.network(config).layers:
        kernel = params.pop(f"{layer.name}.kernel", None)
        if kernel is None:
            continue
        if isinstance(layer, Upsampling) and upsample == "subpixel":
            assert core.icnr_residual(kernel, layer.scale, order=order) == 0.0
            kernel = kernel[..., core.channel_permutation(kernel.shape[-1], layer.scale, source=order, target="DCR")][
                ..., : layer.out_channels
            ]
        # The standard deviation of n normal values varies by 1/sqrt(2n) of itself, their mean by std/sqrt(n): five of each.
        assert abs(kernel.std() / layer.std - 1) < 5 / np.sqrt(2 * kernel.size), layer.name
        assert abs(kernel.mean()) < 5 * layer.std / np.sqrt(kernel.size), layer.name
    for name, value in params.items():
        assert (value == (1 if name.endswith((".scale", ".variance")) else 0)).all(), name


def test_the_same_seed_draws_the_same_network_and_a_reset_another():
    torch.manual_seed(0)
    model = backend.ResidualUNet(BATCH)
    before = backend.get_parameters(model)
    model.reset_parameters()
    after = backend.get_parameters(model)
    assert all((before[name] != after[name]).any() for name in before if name.endswith("kernel"))
    model(torch.randn(2, 2, 4, 6))
    torch.manual_seed(0)
    model.reset_parameters()
    assert all(np.array_equal(before[name], value) for name, value in backend.get_parameters(model).items())


# --- in PyTorch's idiom ---


def test_one_graph_serves_other_extents_and_gives_gradients_and_statistics():
    torch.compiler.reset()
    config = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(2, 4), norm="batch", blur=True)
    graphs = []

    def counted(graph, examples):
        graphs.append(graph)
        return graph.forward

    model = model_of(config, drawn(config)).train()
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=counted)
    for batch, spatial in [(5, (3, 9)), (3, (5, 7))]:  # a batch of 2, the channels, would be held to be one size with them
        x = first(inputs(config, batch, spatial=spatial))
        y, expected = compiled(x), plain(x)
        assert difference(last(y), last(expected)) < CLOSE
        (y**2).mean().backward()
        (expected**2).mean().backward()
    assert len(graphs) == 1
    for parameter, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert (parameter.grad - other.grad).abs().max() <= CLOSE * max(1, other.grad.abs().max())
    for name, value in backend.get_parameters(plain).items():
        assert difference(backend.get_parameters(compiled)[name], value) < CLOSE


@needs_a_compiler
def test_compiled_code_computes_the_same():
    torch.compiler.reset()
    config = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4,), groups=2)
    model, x = model_of(config, drawn(config)), first(inputs(config))
    with torch.no_grad():
        assert difference(last(torch.compile(model, fullgraph=True)(x)), last(model(x))) < CLOSE


@pytest.mark.parametrize(("norm", "upsample", "k"), [("group", "subpixel", 3), ("batch", "deconv", 2), ("none", "resize", 3)])
def test_an_exported_program_serves_other_batches_and_extents(norm, upsample, k):
    config = made(widths=(2, 4), scales=((2, 3),), norm=norm, upsample=upsample, kernel_size=k, blocks=1, output_scale=2)
    model = model_of(config, drawn(config))
    unknown = torch.export.Dim.DYNAMIC
    program = torch.export.export(model, (first(inputs(config, spatial=(9, 7))),), dynamic_shapes=({0: unknown, 2: unknown, 3: unknown},))
    exported = program.module()
    for batch, spatial in [(2, (9, 7)), (3, (8, 12)), (1, (7, 8)), (2, (12, 9))]:
        x = first(inputs(config, batch, spatial=spatial))
        assert difference(last(exported(x)), last(model(x))) < CLOSE


@pytest.mark.parametrize("config", CONFIGS[9:], ids=lambda c: f"{c.ndim}-D {c.norm} {c.upsample}")
def test_memory_lies_with_the_channels_last_unless_asked_otherwise_and_gives_the_same_values(config):
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[config.ndim]
    model = model_of(config, drawn(config), torch.float32)  # in float64 torch's own conv3d loses the layout on a CPU
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    for spatial in [config.total_scale, SPATIAL[config.ndim]]:
        x = first(inputs(config, spatial=spatial, dtype=np.float32))
        y, z = model(x), plain(x)
        assert difference(last(y), last(z)) < 1e-4  # roundings are 2^29 times those of float64: a few 1e-6
        assert difference(last(model(x.to(memory_format=layout))), last(z)) < 1e-4
        assert y.is_contiguous(memory_format=layout) or config.upsample == "deconv" or config.blur
        assert z.is_contiguous()


@every_way_up
@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_autocast_computes_in_bfloat16_and_leaves_parameters_and_gradients_in_float32(norm, upsample):
    config = made(norm=norm, upsample=upsample, blur=True, output_scale=2)
    torch.manual_seed(0)
    model = backend.ResidualUNet(config)
    x = first(inputs(config, dtype=np.float32))
    expected = copy.deepcopy(model)(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x)
        loss = (y.float() ** 2).mean()
    loss.backward()
    assert {y.dtype, model.stem(x).dtype} <= {torch.bfloat16, torch.float32}
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    assert all(parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all() for parameter in model.parameters())
    # some 20 layers, each rounded to 2^-9 of its values
    assert 0 < (y - expected).abs().max() <= 20 * 2**-8 * expected.abs().max()


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
@pytest.mark.parametrize("training", [False, True])
def test_a_network_in_bfloat16_stays_in_it(norm, training):
    config = made(norm=norm, blur=True)
    torch.manual_seed(0)
    model = backend.ResidualUNet(config)
    half = copy.deepcopy(model).to(torch.bfloat16)
    x = first(inputs(config, dtype=np.float32))
    y, expected = half.train(training)(x.bfloat16()), model.train(training)(x)
    assert y.dtype == torch.bfloat16
    assert (y - expected).abs().max() <= 20 * 2**-8 * expected.abs().max()
    assert {value.dtype for value in backend.get_parameters(half).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("config", [SMALL, BATCH, made(upsample="deconv", order="RCD")], ids=["group", "batch", "deconv"])
def test_a_network_survives_its_state_dict_a_copy_and_a_pickle(config):
    model, x = model_of(config, drawn(config)), first(inputs(config))
    loaded = backend.ResidualUNet(config).double().eval()
    loaded.load_state_dict(model.state_dict())
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(x), model(x))
        assert repr(other) == repr(model)
        assert other.config == config


def test_training_learns():
    torch.manual_seed(0)
    model, x = backend.ResidualUNet(BATCH), torch.randn(4, 2, 6, 6)
    target = torch.randn(4, 3, 1, 1).expand(-1, -1, 6, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = ((model(x) - target) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


# --- parameters and weight files ---


@every_config
def test_parameters_come_back_bit_for_bit(config):
    for dtype, kind in [(np.float32, torch.float32), (np.float64, torch.float64)]:
        params = drawn(config, dtype)
        model = model_of(config, params, kind)
        found = backend.get_parameters(model)
        assert list(found) == list(params)
        assert all(found[name].tobytes() == value.tobytes() and found[name].dtype == dtype for name, value in params.items())
        found["stem.bias"][:] = 0
        assert (backend.get_parameters(model)["stem.bias"] == params["stem.bias"]).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_of_the_core_is_read_bit_for_bit_and_written_back(tmp_path, order, dtype):
    config = made(norm="batch", order=order, output_scale=6)
    params, x = drawn(config, dtype), inputs(config, dtype=dtype)
    size = dtype().itemsize
    params["stem.kernel"].view(f"u{size}").flat[0] = {4: 0x7FA00001, 8: 0x7FF4000000000001}[size]  # a signalling NaN
    core.save_weights(tmp_path / "core", params, config)
    model = backend.load_weights(tmp_path / "core")
    assert model.config == config
    backend.save_weights(tmp_path / "torch", model)
    written, same = core.load_weights(tmp_path / "torch")
    assert same == config
    assert all(written[name].dtype == dtype and written[name].tobytes() == value.tobytes() for name, value in params.items())
    params["stem.kernel"].flat[0] = 1
    core.save_weights(tmp_path / "core", params, config)
    expected = core.residual_unet(params, x, config)
    for other in ORDERS:
        model = backend.load_weights(tmp_path / "core", order=other).eval()
        assert model.config.order == other
        converted, _ = core.convert_order(params, config, other)
        assert all(value.tobytes() == converted[name].tobytes() for name, value in backend.get_parameters(model).items())
        bound = CLOSE if dtype == np.float64 else 1e-3  # float32: 2^29 times the rounding of float64
        assert difference(last(model(first(x))), expected) < bound


def test_loading_draws_nothing_and_leaves_nothing_undrawn(tmp_path):
    core.save_weights(tmp_path / "file", drawn(BATCH, np.float32), BATCH)
    state = torch.random.get_rng_state()
    model = backend.load_weights(tmp_path / "file")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
    assert prod(model.stem.weight.shape) == prod(core.parameter_shapes(BATCH)["stem.kernel"])
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- refusals ---


def refusal(function, *args, **options):
    with pytest.raises((ValueError, TypeError)) as caught:
        function(*args, **options)
    return type(caught.value), str(caught.value)


def test_what_the_core_refuses_is_refused_with_its_text(tmp_path):
    params = drawn(SMALL)
    model = model_of(SMALL, params)
    for shape in [(1, 0, 7, 2), (1, 5, 7, 3), (1, 5, 7), (1, 5, 7, 2, 2)]:
        x = np.zeros(shape)
        assert refusal(model, first(x)) == refusal(core.residual_unet, params, x, SMALL)
    name = "decoder.0.up.kernel"
    missing = {key: value for key, value in params.items() if key != name}
    for wrong in [missing, params | {"more": np.zeros(2)}, params | {name: params[name][..., :-1]}, missing | {"renamed": params[name]}]:
        assert refusal(backend.set_parameters, model, wrong) == refusal(core.residual_unet, wrong, inputs(SMALL), SMALL)
    assert refusal(backend.ResidualUNet, {"widths": (8, 16)}) == refusal(core.network, {"widths": (8, 16)})
    (tmp_path / "foreign").write_bytes(b"no weights")
    assert refusal(backend.load_weights, tmp_path / "foreign") == refusal(core.load_weights, tmp_path / "foreign")
    assert all(np.array_equal(value, params[key]) for key, value in backend.get_parameters(model).items())


def test_batch_normalization_refuses_to_train_on_one_value():
    config = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(4,), norm="batch")
    params, x = drawn(config), inputs(config, batch=1, spatial=(1, 1))
    model = model_of(config, params).train()
    assert refusal(model, first(x)) == refusal(core.residual_unet, params, x, config, training=True)
    assert model.eval()(first(x)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize("x", [np.zeros((1, 2, 4, 6)), [[[[1.0]]]], None], ids=["ndarray", "list", "None"])
def test_what_is_no_tensor_is_refused(x):
    with pytest.raises(TypeError, match=r"x must be a Tensor; got (ndarray|list|NoneType)"):
        backend.ResidualUNet(SMALL)(x)


@pytest.mark.parametrize("factor", [41, 47, 94])
def test_a_resize_repeats_every_pixel_for_any_factor(factor):
    """torch's mode "nearest" computes in float32 and rounds to a neighbour for these factors."""
    config = ResidualUNetConfig(
        ndim=1, in_channels=2, out_channels=2, widths=(2,), norm="none", output_scale=factor, upsample="resize", kernel_size=1
    )
    model = backend.ResidualUNet(config).eval()
    x = np.random.default_rng(0).normal(size=(1, 300, 2)).astype(np.float32)
    with torch.no_grad():
        y = model(torch.from_numpy(x).movedim(-1, 1)).movedim(1, -1).numpy()
    assert np.abs(y - core.residual_unet(backend.get_parameters(model), x, config)).max() < 1e-5


def test_parameters_are_not_written_where_a_weight_is_computed_from_others():
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(8, 16))
    model = backend.ResidualUNet(config)
    torch.nn.utils.parametrizations.weight_norm(model.stem)
    with pytest.raises(ValueError, match="weight must be a parameter that can be written in place"):
        backend.set_parameters(model, core.init_parameters(config, np.random.default_rng(0)))


@pytest.mark.parametrize("dtype", ["complex64", "U8"])
def test_parameters_that_are_no_real_numbers_are_refused_and_nothing_is_written(dtype):
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(8, 16))
    model = backend.ResidualUNet(config)
    before = backend.get_parameters(model)
    params = core.init_parameters(config, np.random.default_rng(0))
    params["head.0.kernel"] = params["head.0.kernel"].astype(dtype)
    with pytest.raises(TypeError, match=r"params must be real numbers; got .* in 'head.0.kernel'"):
        backend.set_parameters(model, params)
    assert all(np.array_equal(before[name], value) for name, value in backend.get_parameters(model).items())


def test_a_refused_batch_changes_no_statistics():
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(2, 3), norm="batch")
    model = backend.ResidualUNet(config)
    before = backend.get_parameters(model)
    with pytest.raises(ValueError, match="2 or more values per channel in training; got 1"):
        model(torch.ones(1, 1, 2, 2))
    assert all(np.array_equal(before[name], value) for name, value in backend.get_parameters(model).items())
