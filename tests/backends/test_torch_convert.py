"""Conversions on torch modules: equal to the core and to the module they were made from, and nothing lost on the way."""

import copy
import io
import json
import pickle
import random
import warnings
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils import parametrizations, prune  # noqa: E402

import subpixel_core as core  # noqa: E402
from subpixel_core._conversion import LISTED, NOT_ADJACENT, NOT_REACHED, READ_ELSEWHERE, SHARED_PARAMETERS, SLOWER  # noqa: E402
from subpixel_core._upsampling import FORMS  # noqa: E402
from subpixel_torch import (  # noqa: E402
    ChainedSubpixelConv2d,
    ExactSubpixelConv,
    SubpixelConv2d,
    convert,
    from_conv_transpose,
    from_resize_conv,
)
from subpixel_torch.convert import Call, is_measured_faster  # noqa: E402

TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
EXTENTS = (4, 5, 3)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Everything here is small: two threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def whole(module, seed=0):
    """Return the module in float64 with small whole parameters, all sums of which are exact."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-9, 10, parameter.shape, generator=generator))
    return module


def whole_input(*shape, seed=1):
    return torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(seed)).double()


def cases():
    """Yield geometries of transposed convolutions: every kernel, stride, padding and output padding in 1-D, some on every axis else."""
    for K, s, p in product(range(1, 8), range(1, 5), range(4)):
        for more in {0, s - 1}:
            if 3 * s - 2 * p + K + more > 0:  # something is left of an input of 4
                yield 1, {"kernel_size": K, "stride": s, "padding": p, "output_padding": more}
    for groups, bias in ((1, True), (2, False), (2, True)):
        yield 1, {"kernel_size": 3, "stride": 2, "dilation": 3, "padding": 2, "output_padding": 2, "groups": groups, "bias": bias}
        yield 2, {"kernel_size": (4, 3), "stride": (2, 3), "padding": (1, 0), "output_padding": (0, 2), "groups": groups, "bias": bias}
        yield 2, {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": groups, "bias": bias}
        yield 2, {"kernel_size": (2, 5), "stride": (3, 1), "padding": (0, 2), "dilation": (2, 1), "groups": groups, "bias": bias}
        yield 3, {"kernel_size": (2, 3, 4), "stride": (2, 1, 2), "padding": (0, 1, 1), "groups": groups, "bias": bias}


@pytest.mark.parametrize("form", FORMS)
def test_a_transposed_convolution_is_its_conversion_on_every_geometry_exactly(form):
    for ndim, options in cases():
        module = whole(TRANSPOSED[ndim](4, 6, **options))
        x = whole_input(2, 4, *EXTENTS[:ndim])
        same = from_conv_transpose(module, form=form)
        assert torch.equal(same(x), module(x)), options
        with torch.no_grad():  # where the crop is made on the way
            assert torch.equal(same(x), module(x)), options


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_any_crop_made_on_the_way_is_a_shift_and_then_a_crop(layout):
    made = 0
    for scale, first, last in product(((2, 2), (3, 3), (1, 4), (4, 4)), product(range(5), repeat=2), product(range(4), repeat=2)):
        module = ExactSubpixelConv(nn.Parameter(torch.ones(2 * prod(scale), 2, 1, 1)), None, scale, ((0, 0),) * 2, ((0, 0),) * 2)
        module.weight.data.mul_(torch.arange(1.0, 2 * prod(scale) + 1).reshape(-1, 1, 1, 1))
        x = torch.arange(1.0, 49).reshape(2, 2, 3, 4).contiguous(memory_format=layout)
        whole = module(x)
        module.crop = tuple(zip(first, last, strict=True))
        height, width = (r * h - a - b for r, h, a, b in zip(scale, x.shape[2:], first, last, strict=True))
        if height > 0 and width > 0:
            expected = whole[..., first[0] : first[0] + height, first[1] : first[1] + width]
            with torch.no_grad():
                y = module(x)
            assert torch.equal(y, expected), (scale, first, last)
            assert torch.equal(module(x), expected), (scale, first, last)
            assert y.is_contiguous(memory_format=layout)
            made += 1
    assert made > 1000


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch.func.jvp calls it
def test_a_crop_made_on_the_way_is_mapped_and_differentiated_as_the_layer():
    module = whole(one()).requires_grad_(False)
    same = from_conv_transpose(module)
    x, v = whole_input(3, 2, 4, 5, 6), whole_input(2, 4, 5, 6, seed=2)
    assert torch.equal(torch.vmap(same)(x), torch.vmap(module)(x))
    assert torch.equal(torch.func.jvp(same, (x[0],), (v,))[1], torch.func.jvp(module, (x[0],), (v,))[1])
    weights = module(v)
    gradients = [torch.func.grad(lambda x, layer=layer: (layer(x) * weights).sum())(x[0]) for layer in (module, same)]
    assert torch.equal(*gradients)
    mapped = [torch.vmap(torch.func.grad(lambda x, layer=layer: (layer(x) * weights).sum()))(x) for layer in (module, same)]
    assert torch.equal(*mapped)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_trace_keeps_the_extents_free():
    module = whole(one()).requires_grad_(False)
    traced = torch.jit.trace(from_conv_transpose(module), whole_input(2, 4, 5, 6))
    x = whole_input(1, 4, 3, 7)
    assert torch.equal(traced(x), module(x))


def test_its_kernel_padding_and_crop_are_those_of_the_core():
    for ndim, options in list(cases())[-15:]:
        module = whole(TRANSPOSED[ndim](4, 6, **options))
        geometry = {name: options.get(name, default) for name, default in (("padding", 0), ("output_padding", 0), ("dilation", 1))}
        parts = [part.movedim((0, 1), (-2, -1)) for part in module.weight.detach().chunk(module.groups)]
        layer = core.deconv_to_subpixel(
            torch.cat(parts, -1).numpy(), stride=module.stride, groups=module.groups, order="CRD", form="minimal", **geometry
        )
        same = from_conv_transpose(module, form="minimal")
        assert (same.padding, same.crop, same.scale) == (layer.padding, layer.crop, layer.scale)
        np.testing.assert_array_equal(same.weight.detach().movedim((0, 1), (-1, -2)).numpy(), layer.kernel)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_a_resize_and_a_convolution_are_their_conversion_borders_included(form, mode):
    for ndim, k, scale, (groups, dilation) in product((1, 2, 3), (1, 2, 3), ((3, 2, 2),), ((1, 1), (2, 2))):
        factors = scale[:ndim]
        for padding in (0, k // 2, "same"):
            conv = whole(CONVOLUTIONS[ndim](4, 6, k, padding=padding, groups=groups, dilation=dilation))
            upsample = nn.Upsample(scale_factor=factors, mode=mode)
            x = whole_input(2, 4, *EXTENTS[:ndim])
            same = from_resize_conv(upsample, conv, form=form)
            with torch.no_grad():
                assert torch.equal(same(x), conv(upsample(x))), (ndim, k, scale, groups, dilation, padding)


def test_the_two_nearest_modes_find_the_same_pixel_for_every_whole_factor_that_is_not_refused():
    refused = []
    for factor in range(1, 65):
        x = torch.arange(40.0).reshape(1, 1, 40, 1)
        enlarged = [F.interpolate(x, scale_factor=(float(factor), 1.0), mode=mode) for mode in ("nearest", "nearest-exact")]
        assert torch.equal(enlarged[1], x.repeat_interleave(factor, 2))
        try:
            from_resize_conv(nn.Upsample(scale_factor=factor), nn.Conv2d(1, 1, 1))
        except ValueError:
            refused.append(factor)
            from_resize_conv(nn.Upsample(scale_factor=factor, mode="nearest-exact"), nn.Conv2d(1, 1, 1))
        else:
            assert torch.equal(enlarged[0], x.repeat_interleave(factor, 2)), factor
    assert refused == [41, 47, 55, 61]


# --- what a layer keeps ---


def one(**options):
    torch.manual_seed(0)
    return nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, **options)


def test_the_output_size_of_a_call_is_honoured_as_the_module_honours_it():
    for ndim, options in ((1, {"stride": 3, "padding": 1}), (2, {"stride": (2, 3), "dilation": (3, 1), "groups": 2}), (3, {"stride": 2})):
        module = whole(TRANSPOSED[ndim](4, 6, 3, **options))
        x = whole_input(2, 4, *EXTENTS[:ndim])
        smallest = module(x).shape[2:]
        for form in FORMS:
            same = from_conv_transpose(module, form=form)
            for more in {tuple(0 for _ in module.stride), tuple(s - 1 for s in module.stride)}:
                size = [n + a for n, a in zip(smallest, more, strict=True)]
                assert torch.equal(same(x, size), module(x, output_size=size)), (ndim, form, size)
            with pytest.raises(ValueError, match="requested an output size"):
                same(x, [n + 99 for n in smallest])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_dtype_and_values_are_kept_bit_for_bit(dtype):
    module = one().to(dtype)
    same = from_conv_transpose(module, form="minimal")
    assert {parameter.dtype for parameter in same.parameters()} == {dtype}
    assert torch.equal(same.weight.flatten().sort().values, module.weight.flatten().sort().values)


def test_what_is_trained_and_the_mode_are_kept():
    module = one().eval()
    module.weight.requires_grad_(False)
    same = from_conv_transpose(module)
    assert (same.weight.requires_grad, same.bias.requires_grad, same.training) == (False, True, False)


def test_without_a_bias_there_is_none_and_without_a_batch_it_works():
    module = whole(one(bias=False))
    same = from_conv_transpose(module)
    assert same.bias is None
    x = whole_input(4, 5, 6)
    assert torch.equal(same(x), module(x))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_output_lies_in_memory_as_that_of_the_module(layout):
    for options in ({"padding": 1}, {"padding": 0, "kernel_size": 2}):
        module = whole(nn.ConvTranspose2d(**{"in_channels": 4, "out_channels": 6, "kernel_size": 4, "stride": 2, **options}))
        x = whole_input(2, 4, 5, 6).contiguous(memory_format=layout)
        for form in FORMS:
            y = from_conv_transpose(module, form=form)(x)
            assert torch.equal(y, module(x))
            assert y.is_contiguous(memory_format=layout)
    module = whole(nn.ConvTranspose2d(4, 6, (4, 3), stride=(2, 3)))
    x = whole_input(2, 4, 5, 6).contiguous(memory_format=layout)
    y = from_conv_transpose(module)(x)
    assert torch.equal(y, module(x))
    assert y.is_contiguous(memory_format=layout)


def test_the_gradient_of_the_input_is_that_of_the_module():
    module = whole(one())
    x = whole_input(2, 4, 5, 6)
    weights = whole_input(2, 6, 10, 12, seed=2)
    gradients = []
    for layer in (module, from_conv_transpose(module)):
        leaf = x.clone().requires_grad_()
        (layer(leaf) * weights).sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


def test_a_conversion_is_saved_loaded_copied_and_pickled():
    module = whole(one())
    same, other = from_conv_transpose(module), from_conv_transpose(whole(one(), seed=5))
    file = io.BytesIO()
    torch.save(same.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file))
    x = whole_input(1, 4, 5, 6)
    for twin in (other, copy.deepcopy(same), pickle.loads(pickle.dumps(same))):
        assert torch.equal(twin(x), module(x))
        assert torch.equal(twin(x, [11, 12]), module(x, output_size=[11, 12]))


def test_it_compiles_and_exports_with_free_extents():
    module = whole(one())
    same = from_conv_transpose(module)
    compiled = torch.compile(same, fullgraph=True, dynamic=True)
    for extents in ((5, 6), (7, 4)):
        x = whole_input(2, 4, *extents)
        assert torch.equal(compiled(x), module(x))
    free = {"input": {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}}
    program = torch.export.export(same, (whole_input(1, 4, 8, 9),), dynamic_shapes=free)
    x = whole_input(1, 4, 5, 6)
    assert torch.equal(program.module()(x), module(x))
    assert any("pixel_shuffle" in str(node.target) for node in program.graph.nodes)


def test_an_input_of_which_nothing_is_left_is_refused():
    same = from_conv_transpose(nn.ConvTranspose2d(4, 6, 3, stride=1, padding=3), form="minimal")
    same.crop = ((9, 9), (0, 0))
    with pytest.raises(ValueError, match="something is left after cropping"):
        same(torch.zeros(1, 4, 5, 6))


# --- what is refused ---


def hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


def with_gradient_hook(module):
    module.weight.register_hook(lambda gradient: gradient)
    return module


def with_forward(module):
    module.forward = lambda x: x
    return module


class Derived(nn.ConvTranspose2d):
    def forward(self, input, output_size=None):
        return 2 * super().forward(input, output_size)


ATTACHED = {
    "a forward hook": (lambda: hooked(one()), "module must have nothing attached that its replacement would lose; got forward_hooks"),
    "weight norm": (
        lambda: parametrizations.weight_norm(one()),
        "module must have nothing attached that its replacement would lose; got load_state_dict_pre_hooks, parametrizations",
    ),
    "spectral norm": (
        lambda: parametrizations.spectral_norm(one()),
        "module must have nothing attached that its replacement would lose; got parametrizations",
    ),
    "pruning": (
        lambda: prune.l1_unstructured(one(), "weight", 0.5),
        "module must have nothing attached that its replacement would lose; got forward_pre_hooks, 'weight_mask', 'weight_orig'",
    ),
    "a hook on a parameter": (
        lambda: with_gradient_hook(one()),
        "module must have nothing attached that its replacement would lose; got hooks on weight",
    ),
    "another forward": (
        lambda: with_forward(one()),
        "module must have nothing attached that its replacement would lose; got a forward of its own",
    ),
    "another type": (
        lambda: nn.Conv2d(1, 1, 1),
        "module must be a ConvTranspose1d or ConvTranspose2d or ConvTranspose3d to be converted; got torch.nn.modules.conv.Conv2d",
    ),
    "no values": (lambda: one(device="meta"), "module must hold values to be converted; got parameters on the meta device"),
}


@pytest.mark.parametrize("what", ATTACHED)
def test_what_a_replacement_would_lose_is_refused_by_name_and_left_in_a_model(what):
    make, text = ATTACHED[what]
    with pytest.raises((ValueError, TypeError)) as refused:
        from_conv_transpose(make())
    assert str(refused.value) == text
    if what != "another type":
        model = nn.Sequential(make(), nn.ReLU())
        converted, report = convert(model)
        assert [row.reason for row in report.left] == [text]
        assert type(converted[0]) is type(model[0]) or what in ("weight norm", "spectral norm")


def test_a_derived_type_and_a_lazy_module_are_refused_and_left():
    with pytest.raises(TypeError, match="Derived"):
        from_conv_transpose(Derived(4, 6, 2))
    with pytest.raises(ValueError, match="forward_pre_hooks"):
        from_conv_transpose(nn.LazyConvTranspose2d(6, 2))
    _, report = convert(nn.Sequential(Derived(4, 6, 2), nn.LazyConvTranspose2d(6, 2)))
    assert (len(report.left), len(report.converted)) == (2, 0)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_weight_norm_of_the_old_kind_is_left_and_computes_the_same_in_the_copy():
    model = nn.Sequential(nn.utils.weight_norm(one()), one())
    x = torch.randn(1, 4, 5, 6)
    model = nn.Sequential(model[0], nn.Conv2d(6, 4, 1), model[1])
    before = model(x)
    converted, report = convert(model)
    assert [row.layer for row in report.converted] == ["2"]
    assert "forward_pre_hooks" in report.left[0].reason
    torch.testing.assert_close(converted(x), before)


RESIZES = {
    "bilinear": ({"scale_factor": 2, "mode": "bilinear"}, "mode must be 'nearest'"),
    "aligned": ({"scale_factor": 2, "mode": "bilinear", "align_corners": True}, "mode must be 'nearest'"),
    "to a size": ({"size": 8}, "size must be None"),
    "broken": ({"scale_factor": 1.5}, "scale_factor must be whole"),
    "a neighbour's pixel": ({"scale_factor": 41}, "finds every pixel"),
}
BEHIND = {
    "strided": ({"stride": 2}, "stride must be 1"),
    "reflecting": ({"padding": 1, "padding_mode": "reflect"}, "padding_mode must be 'zeros'"),
}


@pytest.mark.parametrize("what", [*RESIZES, *BEHIND])
def test_what_has_no_equal_is_refused_and_left_with_the_reason(what):
    resize, conv = RESIZES.get(what, ({"scale_factor": 2}, ""))[0], BEHIND.get(what, ({}, ""))[0]
    text = {**RESIZES, **BEHIND}[what][1]
    model = nn.Sequential(nn.Upsample(**resize), nn.Conv2d(4, 6, 3, **conv))
    with pytest.raises(ValueError, match=text):
        from_resize_conv(*model)
    converted, report = convert(model)
    assert text in report.left[0].reason
    assert [type(module) for module in converted] == [nn.Upsample, nn.Conv2d]


# --- a whole model ---


class Net(nn.Module):
    """An encoder, a decoder with every kind of upsampling, and a pair whose intermediate is read twice."""

    def __init__(self, twice=False):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8, eps=0), nn.Dropout(0.5))
        self.up = nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1)
        self.resize, self.conv = nn.UpsamplingNearest2d(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1)
        self.twice = twice

    def forward(self, x):
        x = self.up(self.down(x))
        larger = self.resize(x)
        y = self.conv(larger)
        return y + larger[:, :4] if self.twice else y


def report_of(model, **options):
    converted, report = convert(model, **options)
    return converted, {row.layer: row for row in report.rows}


def assert_same(model, converted, x):
    """Check that whole parameters and a whole input give the same output, every sum being exact, and that it is not all zero."""
    for layer in (model, converted):
        assert {value.dtype for value in layer.state_dict().values() if value.is_floating_point()} == {torch.float64}
    with torch.no_grad():
        expected, actual = model(x), converted(x)
    assert torch.equal(actual, expected)
    assert expected.any()


def test_a_traced_pair_is_replaced_and_the_model_is_not_modified():
    torch.manual_seed(0)
    model = whole(Net()).eval()
    model.down[2].train()
    state, modules = copy.deepcopy(model.state_dict()), dict(model.named_modules())
    drawn = torch.random.get_rng_state()
    x = whole_input(2, 3, 8, 10)
    converted, rows = report_of(model)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert sorted(rows) == ["resize + conv", "up"]
    assert [type(layer) for layer in (converted.up, converted.resize, converted.conv)] == [
        ExactSubpixelConv,
        nn.Identity,
        ExactSubpixelConv,
    ]
    assert type(converted) is Net
    assert dict(model.named_modules()) == modules
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for _, module in converted.named_modules()] == [module.training for _, module in model.named_modules()]
    assert not {id(p) for p in model.parameters()} & {id(p) for p in converted.parameters()}
    assert_same(model.eval(), converted.eval(), x)


def test_a_pair_whose_intermediate_is_read_again_is_not_touched():
    model = whole(Net(twice=True)).eval()
    converted, rows = report_of(model)
    assert rows["resize"].reason == NOT_ADJACENT
    assert type(converted.resize) is nn.UpsamplingNearest2d
    assert_same(model, converted, whole_input(1, 3, 8, 8))


class Forward(nn.Module):
    """A resize and a convolution under a forward that is given."""

    def __init__(self, forward):
        super().__init__()
        self.resize, self.conv, self.relu = nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)
        self.steps = forward

    def forward(self, x):
        return self.steps(self, x)


class Optional(Forward):
    def forward(self, x, between=None):
        larger = self.resize(x)
        return self.conv(larger if between is None else between)


def keeps(net, x):
    net.kept = net.resize(x)
    return net.conv(net.kept)


def branches(net, x):
    larger = net.resize(x)
    return net.conv(larger) if x.sum() > 0 else larger


UNPROVED = {
    "a nonlinearity in place between": lambda net, x: net.conv(net.relu(net.resize(x))),
    "a nonlinearity in place on it afterwards": lambda net, x: (lambda larger: net.conv(larger) + net.relu(larger))(net.resize(x)),
    "a branch on values": branches,
    "it is kept on the module": keeps,
    "the convolution is called elsewhere too": lambda net, x: net.conv(net.resize(net.conv(x))),
    "the resize is called elsewhere too": lambda net, x: net.conv(net.resize(x)) + net.resize(x),
    "only in training": lambda net, x: net.conv(net.resize(x)) if net.training else net.conv(x),
    "another way for what is no tensor": lambda net, x: net.conv(net.resize(x) + 1 if isinstance(x, torch.Tensor) else net.resize(x)),
    "an addition between": lambda net, x: net.conv(net.resize(x) + 1),
}


@pytest.mark.parametrize("what", UNPROVED)
def test_a_pair_that_is_not_proved_adjacent_is_not_touched(what):
    converted, report = convert(Forward(UNPROVED[what]))
    assert [(row.layer, row.reason) for row in report.rows] == [("resize", NOT_ADJACENT)]
    assert type(converted.conv) is nn.Conv2d


def test_a_forward_that_cannot_be_traced_proves_nothing_of_its_parts_either():
    model = Optional(None)
    model.steps = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3))  # it may call one of them alone
    _, rows = report_of(model)
    assert {layer: row.reason for layer, row in rows.items()} == {"resize": NOT_ADJACENT, "steps.0": NOT_ADJACENT}


def test_the_members_of_a_sequential_are_called_whole():
    optional = Optional(None)
    traced = Forward(lambda net, x: net.conv(net.resize(x)))
    inner = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3))
    _, rows = report_of(nn.Sequential(nn.Sequential(inner, nn.ReLU()), traced, optional))
    left = {layer: row.reason for layer, row in rows.items()}
    assert left == {"0.0.0 + 0.0.1": "", "1.resize + 1.conv": "", "2.resize": NOT_ADJACENT}


class Steps(nn.Module):
    """Calls parts of a Sequential."""

    def __init__(self, call):
        super().__init__()
        self.steps, self.call = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3)), call

    def forward(self, x):
        return self.call(self.steps, x)


PARTS = {
    "its members": lambda steps, x: steps[1](F.avg_pool2d(steps[0](x), 3, 1, 1)),
    "slices of it": lambda steps, x: steps[1:](F.avg_pool2d(steps[:1](x), 3, 1, 1)),
    "a loop over it": lambda steps, x: [x := step(x) + 1 for step in steps][-1],
    "it, and a member": lambda steps, x: steps(x).sum() + steps[0](x).sum(),
}


@pytest.mark.parametrize("what", PARTS)
def test_a_sequential_of_which_parts_are_called_is_not_touched(what):
    _, rows = report_of(Steps(PARTS[what]))
    assert {layer: row.reason for layer, row in rows.items()} == {"steps.0": NOT_ADJACENT}


READS = {
    "a weight": lambda net, x: net.conv(net.resize(x)) + net.conv.weight.sum(),
    "a type": lambda net, x: net.conv(net.resize(x)) if isinstance(net.resize, nn.Upsample) else x,
    "a factor": lambda net, x: net.conv(net.resize(x)) * net.resize.scale_factor,
    "channels": lambda net, x: net.conv(net.resize(x)) * net.conv.out_channels,
    "a factor that it sets": lambda net, x: net.conv((setattr(net.resize, "scale_factor", 3), net.resize(x))[1]),
}


@pytest.mark.parametrize("what", READS)
def test_a_layer_with_which_a_model_does_more_than_to_call_it_is_left(what):
    _, rows = report_of(Forward(READS[what]))
    assert {layer: row.reason for layer, row in rows.items()} == {"resize + conv": READ_ELSEWHERE}


@pytest.mark.parametrize(
    "call", [lambda net, x: net.conv(x) + net.conv.weight.mean(), lambda net, x: net.conv(x) if type(net.conv) is nn.ConvTranspose2d else x]
)
def test_a_transposed_convolution_with_which_a_model_does_more_is_left(call):
    model = Forward(call)
    model.conv = nn.ConvTranspose2d(4, 4, 4, 2, 1)
    _, rows = report_of(model)
    assert rows["conv"].reason == READ_ELSEWHERE


CHANCES = {
    "luck, in training": lambda net, x: net.conv(net.resize(x) + 1 if net.training and random.random() < 0.5 else net.resize(x)),
    "luck once in a million": lambda net, x: net.conv(net.resize(x) + (1 if random.random() < 1e-6 else 0)),
    "luck of torch": lambda net, x: net.conv(net.resize(x) + (1 if torch.rand(()) < 1e-6 else 0)),
    "luck of NumPy": lambda net, x: net.conv(net.resize(x) + (1 if np.random.random() < 1e-6 else 0)),
    "gradients": lambda net, x: net.conv(net.resize(x) if torch.is_grad_enabled() else net.resize(x) + 1),
}


@pytest.mark.parametrize("what", CHANCES)
def test_a_forward_that_goes_other_ways_proves_nothing(what):
    random.seed(0)
    model = Forward(CHANCES[what])
    before = random.getstate(), np.random.get_state()[2], torch.random.get_rng_state()
    _, rows = report_of(model, example=torch.zeros(1, 4, 3, 5))
    assert rows["resize"].reason == NOT_ADJACENT
    after = random.getstate(), np.random.get_state()[2], torch.random.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])


@pytest.mark.parametrize(
    ("example", "got"),
    [
        (torch.zeros(1, 3, 5, 6), r"\(1, 3, 5, 6\), on which it raised RuntimeError: .*"),
        (torch.zeros(4), r"\(4,\), on which it raised RuntimeError: .*"),
        ((torch.zeros(1, 4, 5, 6), None), r"\(1, 4, 5, 6\), NoneType, on which it raised TypeError: .*"),
        ((), r"none, on which it raised TypeError: .*"),
    ],
    ids=["channels", "axes", "number", "nothing"],
)
def test_an_example_on_which_the_model_does_not_run_is_refused_by_its_name(example, got):
    with pytest.raises(ValueError, match=rf"^example must be an input on which the model runs; got {got}$"):
        convert(nn.Sequential(nn.ConvTranspose2d(4, 4, 2)), example=example)


def test_an_input_without_a_batch_axis_which_a_resize_takes_for_another_is_refused():
    layer = from_resize_conv(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3))
    with pytest.raises(ValueError, match=r"x must have 4 axes: one batch axis, 2 spatial and the channels; got 3"):
        layer(torch.zeros(4, 5, 6))


def test_a_layer_that_a_list_holds_too_is_left():
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 4, 2, 1))
    model.all_of_them = {"up": [model[0]]}
    _, rows = report_of(model)
    assert rows["0"].reason == LISTED


def test_a_method_put_on_a_layer_and_a_hook_on_every_module_are_seen():
    conv = nn.Conv2d(4, 4, 3)
    conv._conv_forward = lambda *given: given
    with pytest.raises(ValueError, match=r"conv must have nothing attached .*; got a _conv_forward of its own"):
        from_resize_conv(nn.Upsample(scale_factor=2), conv)
    handle = nn.modules.module.register_module_forward_hook(lambda *given: None)
    try:
        with pytest.raises(ValueError, match=r"module must have nothing attached .*; got hooks on every module"):
            from_conv_transpose(nn.ConvTranspose2d(4, 4, 2))
    finally:
        handle.remove()


def test_taps_whose_sums_a_dtype_does_not_hold_are_refused():
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False).half()
    nn.init.constant_(conv.weight, 20000.0)
    with pytest.raises(ValueError, match=r"kernel must have taps whose sums its dtype can hold; got float16"):
        from_resize_conv(nn.Upsample(scale_factor=2), conv)


def test_a_scripted_model_and_an_example_that_is_no_tensor_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Sequential(nn.ConvTranspose2d(4, 4, 2)))
    with pytest.raises(TypeError, match=r"model must be a Module to be converted; got ScriptModule"):
        convert(scripted)
    with pytest.raises(TypeError, match=r"example must be a Tensor; got list"):
        convert(nn.Sequential(nn.ConvTranspose2d(4, 4, 2)), example=[torch.zeros(1, 4, 3, 3)])


def test_a_pair_that_is_called_twice_stays_one_module():
    model = Forward(lambda net, x: net.conv(net.resize(net.conv(net.resize(x)))))
    whole(model)
    converted, rows = report_of(model)
    assert list(rows) == ["resize + conv"]
    assert_same(model, converted, whole_input(1, 4, 3, 5))


def test_a_module_at_two_places_is_replaced_at_both_by_one():
    up = nn.ConvTranspose2d(4, 4, 2, stride=2)
    model = whole(nn.Sequential(up, nn.ReLU(), up, nn.Sequential(up)))
    converted, rows = report_of(model)
    assert list(rows) == ["0"]
    assert converted[0] is converted[2] is converted[3][0]
    assert_same(model, converted, whole_input(1, 4, 3, 5))


def test_tied_parameters_are_left_tied():
    encoder, decoder = nn.Conv2d(4, 6, 2, stride=2, bias=False), nn.ConvTranspose2d(6, 4, 2, stride=2)
    decoder.weight = encoder.weight
    viewed = nn.ConvTranspose2d(4, 4, 2, bias=False)
    viewed.weight = nn.Parameter(encoder.weight.data[:4])
    converted, report = convert(nn.Sequential(encoder, decoder, viewed))
    assert [row.reason for row in report.rows] == [SHARED_PARAMETERS] * 2
    assert converted[0].weight is converted[1].weight


def test_a_model_that_is_one_layer_is_converted_whole():
    converted, report = convert(one())
    assert type(converted) is ExactSubpixelConv
    assert report.rows[0].layer == ""


def test_a_chain_is_collapsed_where_it_is_one_layer_up_to_the_border():
    options = {"factors": (2, 3), "padding": "valid"}
    stages = ChainedSubpixelConv2d(4, 2, 3, 6, **options), ChainedSubpixelConv2d(2, 2, 3, 4), SubpixelConv2d(2, 2, 3, 2)
    model = whole(nn.Sequential(*stages))
    relu = nn.Sequential(ChainedSubpixelConv2d(4, 2, 3, 6, activation=torch.relu, **options))
    converted, rows = report_of(model)
    assert type(converted[0]) is ExactSubpixelConv
    assert "one layer up to the border" in rows["1"].reason
    assert list(rows) == ["0", "1"]
    assert_same(model, converted, whole_input(1, 4, 5, 6))
    assert "activation must be None" in convert(relu)[1].left[0].reason
    blurred = convert(ChainedSubpixelConv2d(4, 2, 1, 4, blur=True))[1].left[0].reason
    assert blurred == "stages must be convolutions with one kernel each to become one layer; got blur=True"


@pytest.mark.parametrize(
    ("dtype", "tap", "bias"),
    [
        (torch.float32, 1e20, 0),
        (torch.float32, 1e-25, 0),
        (torch.float32, 1, 3e38),
        (torch.float16, 300, 0),
        (torch.float16, 1e-4, 0),
        (torch.bfloat16, 1e-25, 0),
    ],
)
def test_a_chain_whose_products_its_dtype_cannot_hold_is_left(dtype, tap, bias):
    chain = ChainedSubpixelConv2d(2, 2, 1, 6, factors=(2, 3)).to(dtype)
    for name, values in chain.named_parameters():
        nn.init.constant_(values, bias if name.endswith("bias") else tap)
    converted, report = convert(chain)
    (row,) = report.rows
    held = torch.float32 if dtype == torch.bfloat16 else dtype  # in which they are added up, of the same range
    assert row.reason == f"kernel must have taps whose sums its dtype can hold; got {str(held).removeprefix('torch.')}"
    assert type(converted) is ChainedSubpixelConv2d
    for values in chain.parameters():
        nn.init.constant_(values, 1)
    assert convert(chain)[1].converted


# --- with an example ---


def test_an_example_gives_the_multiply_accumulates_and_changes_no_state():
    model = Net().double().train()
    model.unused = nn.ConvTranspose2d(2, 2, 2)
    state, drawn = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    converted, rows = report_of(model, example=torch.zeros(1, 3, 8, 10, dtype=torch.float64))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(converted.state_dict()[name], state[name]) for name in state if name.startswith("down"))
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert rows["up"].macs_before == 4 * 5 * 8 * 8 * 16
    assert rows["resize + conv"].macs_before == 16 * 20 * 8 * 4 * 9
    assert rows["unused"].reason == NOT_REACHED
    for row in rows.values():
        assert (row.form is None) == (row.reason in (SLOWER, NOT_REACHED))
        assert (row.macs_after is None) == (row.form is None)


def test_a_model_is_trained_after_its_conversion():
    model = Net()
    model.down[1].eps = 1e-5
    converted, _ = convert(model)
    optimizer = torch.optim.SGD(converted.parameters(), lr=0.01)
    x, before = torch.randn(2, 3, 8, 8), converted.up.weight.detach().clone()
    converted(x).square().mean().backward()
    optimizer.step()
    assert not torch.equal(converted.up.weight, before)


@pytest.mark.parametrize(("name", "losses"), [("equivalence-torch-cpu", 0), ("equivalence-torch-cpu-fresh", 2)])
def test_the_rule_replaces_what_the_kept_measurements_say_it_does(name, losses):
    kept = json.loads((Path(__file__).parents[2] / f"docs/evidence/{name}.json").read_text(encoding="utf-8"))
    slower = 0
    for row in kept["rows"]:
        call = Call((row["extent"],) * 2, row["channels_last"])
        layer = row["original"], (row["kernel"],) * 2, (row["scale"],) * 2, row["inputs"], row["outputs"]
        assert is_measured_faster(*layer, call, groups=1) == (row["chosen"] is not None), row
        assert not is_measured_faster(*layer, call, groups=2)
        times = row["milliseconds"]
        slower += row["chosen"] is not None and times[row["chosen"]] > times["original"] / 0.95
    assert slower == losses  # as docs/equivalence.md says


def test_what_the_rule_says_is_slower_is_left():
    layer = nn.ConvTranspose2d(256, 16, 3, stride=2, padding=1, output_padding=1)
    converted, report = convert(nn.Sequential(layer), example=torch.zeros(1, 256, 8, 8))
    assert [row.reason for row in report.rows] == [SLOWER]
    assert type(converted[0]) is nn.ConvTranspose2d
    assert convert(nn.Sequential(layer))[1].rows[0].form is not None
