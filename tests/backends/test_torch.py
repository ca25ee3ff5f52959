"""What is PyTorch's own: its native ops, compiler, exporter, transforms, modules and initializers."""

import copy
import pickle
import shutil
from importlib import import_module
from itertools import product

import numpy as np
import pytest

import subpixel_core as core
from subpixel_core import ORDERS

torch = pytest.importorskip("torch", reason="torch is not installed")
subpixel_torch = pytest.importorskip("subpixel_torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils.parametrizations import weight_norm  # noqa: E402

from subpixel_torch import (  # noqa: E402 -- after the skip
    ChainedSubpixelConv1d,
    ChainedSubpixelConv2d,
    ChainedSubpixelConv3d,
    PhaseShift,
    SubpixelConv1d,
    SubpixelConv2d,
    SubpixelConv3d,
    box_blur,
    icnr_,
    inverse_phase_shift,
    phase_shift,
)

PLAIN = {1: SubpixelConv1d, 2: SubpixelConv2d, 3: SubpixelConv3d}
CHAINED = {1: ChainedSubpixelConv1d, 2: ChainedSubpixelConv2d, 3: ChainedSubpixelConv3d}
SCALES = {1: (3,), 2: (2, 3), 3: (2, 1, 3)}
needs_a_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "cl")), reason="torch.compile needs a C++ compiler, and none is installed"
)
every_dimension = pytest.mark.parametrize("ndim", [1, 2, 3])
separable_or_not = pytest.mark.parametrize("separable", [False, True], ids=["full", "separable"])


def iota(*shape, dtype=torch.float32):
    return torch.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)


def canonical(weight):
    """(Co, Ci, *k) -> (*k, Ci, Co)."""
    return weight.detach().movedim((1, 0), (-2, -1)).numpy()


def residual(layer):
    bias = None if layer.bias is None else layer.bias.detach().numpy()
    return core.icnr_residual(canonical(layer.weight), layer.stage.scale, order=layer.order, bias=bias)


# --- the shift ---


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_by_default_it_is_pixel_shuffle_and_unshuffle_at_every_rank(batch, r):
    x = iota(*batch, 2 * r * r, 3, 5)
    y = F.pixel_shuffle(x, r)
    assert torch.equal(phase_shift(x, r), y)
    assert torch.equal(PhaseShift(r)(x), y)
    assert torch.equal(inverse_phase_shift(y, r), F.pixel_unshuffle(y, r))


def test_an_empty_batch_has_the_shapes_of_the_formula():
    # Of torch's own, pixel_unshuffle leaves an empty batch as it is.
    assert phase_shift(torch.zeros(0, 8, 3, 5), 2).shape == (0, 2, 6, 10)
    assert inverse_phase_shift(torch.zeros(0, 2, 6, 10), 2).shape == (0, 8, 3, 5)


@pytest.mark.parametrize("operation", [phase_shift, inverse_phase_shift])
@pytest.mark.parametrize(("order", "data_format"), [*product(ORDERS, core.DATA_FORMATS)])
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
        lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
        lambda x: x.repeat_interleave(3, dim=-1)[..., ::3],
        lambda x: torch.cat([x, x])[: len(x)],
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: x[:1].expand(2, -1, -1, -1),
    ],
    ids=["permuted", "transposed", "strided", "offset", "channels_last memory", "expanded"],
)
def test_the_strides_of_the_input_do_not_matter(operation, order, data_format, view):
    x = iota(2, 12, 6, 12)
    options = {"order": order, "data_format": data_format}
    expected = getattr(core, operation.__name__)(view(x).numpy(), (2, 3), **options)
    assert np.array_equal(operation(view(x), (2, 3), **options).numpy(), expected)


DTYPES = "bool uint8 int16 uint16 int32 uint32 int64 float16 bfloat16 float32 float64 complex64 float8_e5m2"


@pytest.mark.parametrize("dtype", DTYPES.split())
@pytest.mark.parametrize(("operation", "shape"), [(phase_shift, (2, 36, 3, 5)), (inverse_phase_shift, (2, 9, 4, 6))])
def test_every_dtype_is_shifted_with_the_channels_last_in_memory(operation, shape, dtype):
    x = iota(*shape).remainder(251).to(getattr(torch, dtype))
    y = operation(x.to(memory_format=torch.channels_last), 2)
    assert y.dtype == x.dtype
    labels = getattr(core, operation.__name__)(iota(*shape).numpy(), 2, order="CRD", data_format="channels_first")
    assert torch.equal(y.to(torch.complex128), torch.from_numpy(labels).remainder(251).to(x.dtype).to(torch.complex128))


@pytest.mark.parametrize("scale", [2, (3, 3), (2, 3)])
@pytest.mark.parametrize("operation", [phase_shift, inverse_phase_shift])
def test_large_tensors_with_the_channels_last_in_memory_are_shifted_alike(operation, scale):
    x = iota(1, 72, 258, 270)
    y = operation(x.to(memory_format=torch.channels_last), scale)
    assert np.array_equal(y.numpy(), getattr(core, operation.__name__)(x.numpy(), scale, order="CRD", data_format="channels_first"))


@pytest.mark.parametrize("order", ["DCR", "DRC"])
@pytest.mark.parametrize("scale", [(3,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
@pytest.mark.parametrize("operation", [phase_shift, inverse_phase_shift])
def test_channels_that_are_moved_in_runs_stay_last_in_memory(operation, batch, scale, order):
    axis = -1 - len(scale)
    channels, extents = (16 * int(np.prod(scale)), (2, 3, 4)) if operation is phase_shift else (16, (4, 6, 9))
    x = iota(*batch, channels, *extents[-len(scale) :])
    y = operation(x.movedim(axis, -1).contiguous().movedim(-1, axis), scale, order=order)
    assert y.movedim(axis, -1).is_contiguous()
    assert np.array_equal(y.numpy(), getattr(core, operation.__name__)(x.numpy(), scale, order=order, data_format="channels_first"))


TWO_STEPS = [
    (phase_shift, (2, 64, 1024), (2,)),
    (phase_shift, (2, 24, 40, 24), (3, 4)),
    (phase_shift, (72, 6, 5, 20), (3, 2, 4)),
    (phase_shift, (2, 384, 12, 8), (4, 3)),
    (inverse_phase_shift, (2, 3, 120, 96), (3, 4)),
    (inverse_phase_shift, (3, 12, 10, 120), (3, 2, 4)),
    (inverse_phase_shift, (2, 32, 48, 24), (4, 3)),
]
"""Contiguous tensors of more than 2^15 values that are shifted in two steps; those with a last factor of 3 for their short rows."""


@pytest.fixture
def turned(monkeypatch):
    """Return the calls of the operation that turns matrices."""
    calls, shuffle = [], F.channel_shuffle
    monkeypatch.setattr(F, "channel_shuffle", lambda x, groups: calls.append(groups) or shuffle(x, groups))
    return calls


@pytest.mark.parametrize(("operation", "shape", "scale"), TWO_STEPS)
def test_two_steps_move_every_pattern_of_bits_as_one_does(operation, shape, scale, turned):
    bits, dtype = (np.uint32, torch.float32) if scale[-1] != 3 else (np.uint16, torch.bfloat16)
    labels = np.arange(np.prod(shape), dtype=np.uint64).reshape(shape)
    if bits is np.uint32:
        labels = labels * 0x9E3779B1 % 2**32  # negative, not a number and tiny among them
    y = operation(torch.from_numpy(labels.astype(bits)).view(dtype), scale)
    assert turned
    expected = getattr(core, operation.__name__)(labels.astype(bits), scale, order="CRD", data_format="channels_first")
    assert np.array_equal(y.view(torch.uint32 if bits is np.uint32 else torch.uint16).numpy(), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own forward-mode differentiation
@pytest.mark.parametrize(("operation", "shape", "scale"), [case for case in TWO_STEPS if case[2][-1] != 3])
def test_two_steps_are_mapped_and_differentiated_as_one(operation, shape, scale, turned):
    x = iota(*shape)
    y = operation(x.double(), scale).float()  # in one step
    assert not turned
    assert torch.equal(torch.vmap(lambda x: operation(x, scale), out_dims=1)(torch.stack([x, -x])), torch.stack([y, -y], 1))
    assert torch.equal(torch.func.jvp(lambda x: operation(x, scale), (-x,), (x,))[1], y)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(operation(x, scale).square().sum(), x, create_graph=True)
    assert torch.equal(gradient, 2 * x)
    assert torch.equal(torch.autograd.grad(gradient, x, x)[0], 2 * x)
    assert len(turned) == 3


@pytest.mark.parametrize("transform", [torch.vmap, torch.func.functionalize], ids=["vmap", "functionalize"])
def test_a_transform_sees_through_the_memory_format(transform):
    x = iota(2, 3, 36, 4, 6)
    last = x.movedim(2, -1).contiguous().movedim(-1, 2)
    for sample, given in ((x, last), (x[0], last[0])):
        if transform is torch.vmap or given.ndim == 4:
            assert torch.equal(transform(lambda t: phase_shift(t, 2))(given), phase_shift(sample.contiguous(), 2))


def test_a_conjugated_or_negated_view_is_shifted_as_its_values():
    x = torch.complex(iota(12, 2, 3), iota(12, 2, 3) + 1)
    assert torch.equal(phase_shift(x.conj(), (2, 3)).resolve_conj(), phase_shift(x.conj().resolve_conj(), (2, 3)))
    assert torch.equal(phase_shift(x.conj().imag, (2, 3)), phase_shift(-x.imag, (2, 3)))


@needs_a_compiler
@pytest.mark.parametrize("dynamic", [False, True])
def test_one_compiled_graph_serves_forward_and_backward(dynamic):
    torch.compiler.reset()
    compiled = torch.compile(lambda x: phase_shift(x, (2, 3), order="DCR"), fullgraph=True, dynamic=dynamic)
    for shape in [(2, 12, 3, 5), (3, 12, 4, 2)]:
        x = iota(*shape).requires_grad_()
        y = compiled(x)
        cotangent = iota(*y.shape).flip(0)
        (gradient,) = torch.autograd.grad(y, x, cotangent)
        assert torch.equal(y, phase_shift(x, (2, 3), order="DCR"))
        assert torch.equal(gradient, inverse_phase_shift(cotangent, (2, 3), order="DCR"))


@needs_a_compiler
def test_a_layer_compiles_to_one_graph_for_unknown_extents():
    torch.compiler.reset()
    layer = integers_in(SubpixelConv2d(2, 3, 3, (2, 3), dtype=torch.float64))
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for shape in [(2, 2, 4, 5), (3, 2, 6, 3)]:
        x = iota(*shape, dtype=torch.float64)
        assert torch.equal(compiled(x), layer(x))


@needs_a_compiler
def test_a_chain_compiles_to_one_graph():
    # With dynamic=True torch 2.13 fails on any two convolutions with a shuffle between them, also its own ("cannot determine truth value").
    torch.compiler.reset()
    chain = integers_in(ChainedSubpixelConv2d(2, 3, 3, 6, activation=F.relu, dtype=torch.float64))
    x = iota(2, 2, 4, 5, dtype=torch.float64)
    assert torch.equal(torch.compile(chain, fullgraph=True)(x), chain(x))


def integers_in(module):
    """Return the module with small integers for parameters, so that its sums are exact."""
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.copy_((iota(*parameter.shape) * (i + 3)) % 7 - 3)
    return module


@pytest.mark.parametrize("order", ORDERS)
def test_vmap_maps_any_axis(order):
    x = iota(4, 12, 3, 5)
    expected = phase_shift(x, (2, 3), order=order)
    assert torch.equal(torch.func.vmap(lambda x: phase_shift(x, (2, 3), order=order))(x), expected)
    last = torch.func.vmap(lambda x: phase_shift(x, (2, 3), order=order), in_dims=-1, out_dims=-1)(x.movedim(0, -1))
    assert torch.equal(last.movedim(-1, 0), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own forward-mode differentiation
def test_the_transforms_of_torch_func_see_a_linear_map():
    x, tangent = iota(12, 2, 3), iota(12, 2, 3).flip(0)
    gradient = torch.func.grad(lambda x: (phase_shift(x, (2, 3)) * iota(2, 4, 9)).sum())(x)
    assert torch.equal(gradient, inverse_phase_shift(iota(2, 4, 9), (2, 3)))
    _, pushed = torch.func.jvp(lambda x: phase_shift(x, (2, 3)), (x,), (tangent,))
    assert torch.equal(pushed, phase_shift(tangent, (2, 3)))
    jacobian = torch.func.jacrev(lambda x: phase_shift(x, (2,)))(iota(4, 3))
    assert torch.equal(jacobian.reshape(12, 12) @ iota(4, 3).flatten(), phase_shift(iota(4, 3), (2,)).flatten())


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_of_first_and_second_order_pass_gradcheck(order):
    x = torch.linspace(-1, 1, 48, dtype=torch.float64).reshape(2, 12, 1, 2).requires_grad_()
    y = torch.linspace(-1, 1, 48, dtype=torch.float64).reshape(2, 2, 2, 6).requires_grad_()
    for function, argument in [(phase_shift, x), (inverse_phase_shift, y)]:
        assert torch.autograd.gradcheck(lambda x, function=function: function(x, (2, 3), order=order), argument)
        assert torch.autograd.gradgradcheck(lambda x, function=function: function(x, (2, 3), order=order).square(), argument)


@separable_or_not
def test_the_gradients_of_a_layer_pass_gradcheck(separable):
    layer = SubpixelConv2d(2, 1, (2, 3), (1, 2), separable=separable, dtype=torch.float64)
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(1, 2, 3, 4).requires_grad_()
    names, parameters = zip(*layer.named_parameters(), strict=True)
    assert torch.autograd.gradcheck(
        lambda x, *values: torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,)), (x, *parameters)
    )


@pytest.mark.parametrize("order", ORDERS)
def test_an_exported_program_serves_other_extents(order):
    class Shifted(nn.Module):
        def forward(self, x):
            return phase_shift(x, (2, 3), order=order)

    batch, height, width = (torch.export.Dim(name, min=1, max=64) for name in ("batch", "height", "width"))
    program = torch.export.export(Shifted(), (iota(2, 12, 3, 5),), dynamic_shapes=({0: batch, 2: height, 3: width},))
    for shape in [(2, 12, 3, 5), (3, 12, 7, 4), (1, 12, 1, 1)]:
        assert torch.equal(program.module()(iota(*shape)), phase_shift(iota(*shape), (2, 3), order=order))


def test_the_adapter_leaves_torch_able_to_export():
    import_module("subpixel_torch.adapter")  # what it sets for its precision holds for the whole process
    program = torch.export.export(PhaseShift(2), (iota(2, 12, 3, 5),))
    assert torch.equal(program.module()(iota(2, 12, 3, 5)), phase_shift(iota(2, 12, 3, 5), 2))


def test_an_exported_chain_serves_other_extents():
    chain = ChainedSubpixelConv2d(2, 3, 3, 6, activation=F.relu).eval()
    height, width = (torch.export.Dim(name, min=2, max=64) for name in ("height", "width"))
    program = torch.export.export(chain, (torch.randn(1, 2, 4, 5),), dynamic_shapes=({2: height, 3: width},))
    x = integers_in(chain)(iota(1, 2, 7, 6))
    exported = program.module()
    exported.load_state_dict(chain.state_dict())
    assert torch.equal(exported(iota(1, 2, 7, 6)), x)


# --- the reference convolutions are torch's ---


@every_dimension
@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # what torch says of its own "same"
def test_the_convolution_of_the_core_is_that_of_torch(ndim, k):
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.integers(-9, 10, shape).astype(float) for shape in [(2, *(4, 5, 6)[:ndim], 3), (*(k, 3, 2)[:ndim], 3, 4), (4,)])
    native = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[ndim]
    weight = torch.from_numpy(kernel).movedim((-1, -2), (0, 1))
    y = native(torch.from_numpy(x).movedim(-1, 1), weight, torch.from_numpy(bias), padding="same").movedim(1, -1)
    assert np.array_equal(core.conv(x, kernel, bias), y.numpy())


@every_dimension
@pytest.mark.parametrize(("stride", "padding", "output_padding"), [(1, 0, 0), (2, 1, 1), (3, 1, 2), (3, 2, 0), (2, 0, 1)])
def test_the_transposed_convolution_of_the_core_is_that_of_torch(ndim, stride, padding, output_padding):
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.integers(-9, 10, shape).astype(float) for shape in [(2, *(3, 4, 5)[:ndim], 3), (*(5, 4, 3)[:ndim], 3, 2), (2,)])
    native = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[ndim]
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    weight = torch.from_numpy(kernel).movedim((-2, -1), (0, 1))
    y = native(torch.from_numpy(x).movedim(-1, 1), weight, torch.from_numpy(bias), **options).movedim(1, -1)
    assert np.array_equal(core.conv_transpose(x, kernel, bias, **options), y.numpy())


@every_dimension
def test_nearest_neighbour_upsampling_is_that_of_torch(ndim):
    x = iota(2, 3, *(4, 5, 2)[:ndim])
    y = F.interpolate(x, scale_factor=[float(r) for r in SCALES[ndim]], mode="nearest")
    assert np.array_equal(core.nearest_upsample(x.movedim(1, -1).numpy(), SCALES[ndim]), y.movedim(1, -1).numpy())


@every_dimension
def test_the_blur_is_that_of_the_core(ndim):
    x = iota(2, 3, *(4, 5, 6)[:ndim], dtype=torch.float64) * 36
    expected = core.box_blur(x.movedim(1, -1).numpy(), SCALES[ndim])
    assert np.array_equal(box_blur(x, SCALES[ndim]).movedim(1, -1).numpy(), expected)


# --- the layers ---


@every_dimension
@separable_or_not
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kernel_size", [3, 2, 4, 1])
@pytest.mark.parametrize("padding", ["same", "valid", "pairs"])
def test_a_layer_computes_what_the_core_computes_from_its_parameters(ndim, separable, order, kernel_size, padding):
    padding = [(2, 0), (0, 3), (1, 2)][:ndim] if padding == "pairs" else padding
    layer = integers_in(
        PLAIN[ndim](2, 3, kernel_size, SCALES[ndim], padding=padding, order=order, separable=separable, dtype=torch.float64)
    )
    x = iota(2, 2, *(4, 5, 6)[:ndim], dtype=torch.float64)
    last, kernel, bias = x.movedim(1, -1).numpy(), canonical(layer.weight), layer.bias.detach().numpy()
    options = {"scale": SCALES[ndim], "order": order, "padding": padding}
    if separable:
        expected = core.separable_subpixel_conv(last, canonical(layer.depthwise).swapaxes(-1, -2), kernel, bias, **options)
    else:
        expected = core.subpixel_conv(last, kernel, bias, **options)
    assert np.array_equal(layer(x).detach().movedim(1, -1).numpy(), expected)


@every_dimension
@separable_or_not
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_fresh_layer_is_icnr_and_a_reset_draws_anew_and_keeps_it(ndim, separable, order, bias):
    layer = PLAIN[ndim](4, 3, 3, SCALES[ndim], order=order, separable=separable, bias=bias)
    assert residual(layer) == 0.0
    before = copy.deepcopy(layer.state_dict())
    layer.reset_parameters()
    assert residual(layer) == 0.0
    assert all((layer.state_dict()[name] != value).any() for name, value in before.items())
    assert layer.weight.unique().numel() > 1


@pytest.mark.parametrize("order", ORDERS)
def test_a_chain_is_icnr_in_every_stage_and_a_reset_keeps_it(order):
    chain = ChainedSubpixelConv2d(4, 3, 3, 12, factors=(2, 3, 2), order=order)
    before = copy.deepcopy(chain.state_dict())
    chain.reset_parameters()
    assert [residual(stage) for stage in chain.stages] == [0.0, 0.0, 0.0]
    assert all((chain.state_dict()[name] != value).any() for name, value in before.items())


def test_the_same_seed_draws_the_same_parameters():
    def drawn(seed):
        torch.manual_seed(seed)
        return ChainedSubpixelConv2d(2, 3, 3, 6, separable=True).state_dict()

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all((first[name] != other[name]).any() for name in first)


@every_dimension
def test_the_base_is_drawn_as_torch_draws_its_convolution_of_the_base_shape(ndim):
    torch.manual_seed(3)
    native = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[ndim](4, 5, 3)
    torch.manual_seed(3)
    layer = PLAIN[ndim](4, 5, 3, SCALES[ndim])
    blocks = int(np.prod(SCALES[ndim]))
    assert torch.equal(layer.weight[::blocks], native.weight)
    assert torch.equal(layer.bias[::blocks], native.bias)


def test_the_initializer_sees_the_base_shape_in_torchs_layout():
    seen = []

    def initializer(tensor):
        seen.append(tuple(tensor.shape))
        return nn.init.kaiming_normal_(tensor)

    weight = torch.empty(18, 4, 3, 5)
    assert icnr_(weight, (2, 3), order="DRC", initializer=initializer) is weight
    assert seen == [(3, 4, 3, 5)]
    assert core.icnr_residual(canonical(weight), (2, 3), order="DRC") == 0.0


@every_dimension
@separable_or_not
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_has_the_parameters_of_its_plan(ndim, separable, bias):
    options = {"bias": bias, "separable": separable}
    plan = core.plan_stages(6, 4, 3, kernel_size=3, ndim=ndim, factors=(6,), **options)
    layer = PLAIN[ndim](4, 3, 3, 6, **options)
    assert sum(parameter.numel() for parameter in layer.parameters()) == plan.parameters
    for choice in [{}, {"factors": (2, 3), "width": 5}, {"factors": (6,)}]:
        chain = CHAINED[ndim](4, 3, 3, 6, **options, **choice)
        assert chain.plan == core.plan_stages(6, 4, 3, kernel_size=3, ndim=ndim, **options, **choice)
        assert sum(parameter.numel() for parameter in chain.parameters()) == chain.plan.parameters


@pytest.mark.parametrize("activation", [None, F.relu, nn.ReLU()], ids=["none", "function", "module"])
def test_a_chain_is_its_stages_with_the_activation_between_and_not_after(activation):
    chain = integers_in(ChainedSubpixelConv2d(2, 3, 3, 6, factors=(3, 2), activation=activation, dtype=torch.float64))
    x = iota(1, 2, 4, 5, dtype=torch.float64) - 20
    first, last = chain.stages
    between = first(x) if activation is None else activation(first(x))
    assert torch.equal(chain(x), last(between))
    assert (chain(x) < 0).any()


def test_a_blurred_chain_blurs_every_stage_by_its_own_scale():
    chain = integers_in(ChainedSubpixelConv2d(2, 3, 3, 6, factors=(3, 2), blur=True, dtype=torch.float64))
    plain = ChainedSubpixelConv2d(2, 3, 3, 6, factors=(3, 2), dtype=torch.float64)
    plain.load_state_dict(chain.state_dict())
    x = iota(1, 2, 4, 5, dtype=torch.float64)
    assert torch.equal(chain(x), box_blur(plain.stages[1](box_blur(plain.stages[0](x), 3)), 2))


# --- modules of torch ---

MODULES = {
    "shift": lambda **options: PhaseShift((2, 3), order="DRC"),
    "plain": lambda **options: SubpixelConv2d(12, 3, (3, 2), (2, 3), order="DCR", **options),
    "separable": lambda **options: SubpixelConv2d(12, 3, 3, 2, separable=True, blur=True, padding=((0, 2), (1, 1)), bias=False, **options),
    "chained": lambda **options: ChainedSubpixelConv2d(12, 3, 3, 6, activation=nn.PReLU(dtype=options.get("dtype")), **options),
}
every_module = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())


@every_module
def test_a_module_survives_its_state_dict_a_copy_and_a_pickle(make):
    module, x = make(), torch.randn(1, 12, 4, 5)
    loaded = make()
    loaded.load_state_dict(module.state_dict())
    for other in (loaded, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(x), module(x))
        assert repr(other) == repr(module)


@every_module
def test_a_module_changes_its_dtype(make):
    module = make().to(torch.float64)
    assert all(parameter.dtype == torch.float64 for parameter in module.parameters())
    assert module(torch.randn(1, 12, 4, 5, dtype=torch.float64)).dtype == torch.float64
    made = make(dtype=torch.bfloat16)
    assert made(torch.randn(1, 12, 4, 5).bfloat16()).dtype == torch.bfloat16


@every_module
def test_a_module_takes_channels_last_memory_and_gives_equal_values(make):
    module = make().double()
    module = integers_in(module)
    x = iota(2, 12, 6, 5, dtype=torch.float64)
    assert torch.equal(module(x.to(memory_format=torch.channels_last)), module(x))


@pytest.mark.parametrize("make", list(MODULES.values())[1:], ids=list(MODULES)[1:])
def test_a_module_is_made_on_the_meta_device_and_drawn_later(make):
    module = make(device="meta")
    assert {parameter.device.type for name, parameter in module.named_parameters() if "activation" not in name} == {"meta"}
    stages = getattr(module, "stages", [module])
    for stage in stages:
        stage.to_empty(device="cpu").reset_parameters()
        assert residual(stage) == 0.0
        assert stage.weight.unique().numel() > 1


def test_a_module_runs_under_autocast():
    layer, x = SubpixelConv2d(4, 3, 3, 2), torch.randn(1, 4, 5, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
        y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.weight.grad.dtype == torch.float32
    # ICNR holds in lower precision too: equal weights stay equal.
    blocks = torch.from_numpy(core.nearest_upsample(y[:, :, ::2, ::2].float().detach().movedim(1, -1).numpy(), 2)).movedim(-1, 1)
    assert torch.equal(y.float(), blocks)


def test_training_moves_the_parameters():
    torch.manual_seed(0)
    chain, x = ChainedSubpixelConv2d(3, 3, 3, 4, activation=F.relu), torch.randn(2, 3, 4, 5)
    target = F.interpolate(x, scale_factor=4, mode="bicubic")
    optimizer = torch.optim.Adam(chain.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = F.mse_loss(chain(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_the_representation_of_a_module_makes_it_again():
    layer = SubpixelConv2d(4, 3, (3, 2), (2, 3), padding=((1, 1), (0, 1)), bias=False, order="RCD", separable=True, blur=True)
    again = eval(repr(layer))
    assert repr(again) == repr(layer)
    assert [tuple(p.shape) for p in again.parameters()] == [tuple(p.shape) for p in layer.parameters()]
    assert repr(eval(repr(PhaseShift(2, order="DCR")))) == repr(PhaseShift(2, order="DCR")) == "PhaseShift(scale=(2, 2), order='DCR')"


@every_dimension
def test_weight_norm_on_a_fresh_layer_keeps_icnr(ndim):
    layer = PLAIN[ndim](4, 3, 3, SCALES[ndim], order="DCR")
    plain = copy.deepcopy(layer)
    weight_norm(layer)
    assert core.icnr_residual(canonical(layer.weight), SCALES[ndim], order="DCR") == 0.0
    x = torch.randn(1, 4, *(4, 5, 6)[:ndim])
    difference, scale = (layer(x) - plain(x)).abs().max(), plain(x).abs().max()
    assert difference <= 64 * 2**-24 * max(scale, 1)  # the norm, a quotient and a product, each rounded
    low = layer(x)[(..., *(slice(None, None, r) for r in SCALES[ndim]))]
    assert np.array_equal(
        core.nearest_upsample(low.detach().movedim(1, -1).numpy(), SCALES[ndim]), layer(x).detach().movedim(1, -1).numpy()
    )


def test_icnr_is_refused_on_a_weight_that_is_computed_from_others():
    layer = weight_norm(SubpixelConv2d(4, 3, 3, 2))
    before = layer.weight.detach().clone()
    with pytest.raises(ValueError, match=r"^weight must be a parameter that can be written in place; got the result of a computation"):
        icnr_(layer.weight, 2)
    assert torch.equal(layer.weight, before)
    icnr_(layer.parametrizations.weight.original1, 2)


def test_icnr_writes_into_parameters_that_require_a_gradient_and_into_views_of_other_precision():
    conv = nn.Conv2d(4, 12, 3)
    version = conv.weight._version
    icnr_(conv.weight, 2)
    assert conv.weight.requires_grad
    assert conv.weight.grad_fn is None
    assert conv.weight._version > version
    half = icnr_(torch.empty(12, 4, 3, 3, dtype=torch.bfloat16), 2, order="DCR")
    assert core.icnr_residual(canonical(half.double()), 2, order="DCR") == 0.0


@needs_a_compiler
@pytest.mark.parametrize("dynamic", [None, True])
def test_one_compiled_function_takes_one_int_scale_after_another(dynamic):
    x = torch.arange(2 * 36 * 3 * 4.0).reshape(2, 36, 3, 4)
    torch.compiler.reset()
    compiled = torch.compile(subpixel_torch.phase_shift, fullgraph=True, dynamic=dynamic)
    for scale in (2, 3, 6):
        assert torch.equal(compiled(x, scale), F.pixel_shuffle(x, scale))


@pytest.mark.parametrize("scale", [torch.tensor(True), torch.tensor(2), torch.tensor([2, 2])], ids=repr)
def test_a_tensor_is_no_scale(scale):
    with pytest.raises(TypeError, match="scale must be an integer or a tuple of integers; got tensor"):
        subpixel_torch.phase_shift(torch.zeros(2, 4, 3, 5), scale)


@pytest.mark.parametrize("function", [subpixel_torch.phase_shift, subpixel_torch.inverse_phase_shift, subpixel_torch.box_blur])
@pytest.mark.parametrize("x", [np.zeros((2, 4, 4, 6)), [[[1.0]]], None], ids=["ndarray", "list", "None"])
def test_what_is_no_tensor_is_refused(function, x):
    with pytest.raises(TypeError, match=r"x must be a Tensor; got (ndarray|list|NoneType)"):
        function(x, 2)


def test_a_blur_of_integers_is_refused():
    with pytest.raises(TypeError, match=r"x must be floating point for a blur in this framework; got torch\.int32"):
        subpixel_torch.box_blur(torch.ones(1, 2, 4, 6, dtype=torch.int32), 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_blurred_in_three_dimensions_too(dtype):
    x = torch.arange(2.0 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6).remainder(7)
    y = box_blur(x.to(dtype), (2, 1, 3))
    assert y.dtype == dtype
    assert torch.equal(y, box_blur(x, (2, 1, 3)).to(dtype))
