"""UN: the residual U-Net of the reference, against the text of its clauses written out once more, with the oracle's loops."""

import json
import pickle
from dataclasses import FrozenInstanceError, dataclass, replace
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subpixel_conformance import oracle
from subpixel_conformance.compare import bitwise, exact
from subpixel_core import (
    ORDERS,
    ResidualUNetConfig,
    convert_order,
    icnr_residual,
    init_parameters,
    network,
    parameter_shapes,
    residual_unet,
    statistics_shapes,
)
from subpixel_core._unet import _Layer

SPATIAL = {1: (7,), 2: (5, 7), 3: (3, 5, 6)}


# --- the text of docs/spec/unet.md, once more ---


@dataclass(frozen=True)
class Layer:
    """A convolution: its kernel without the factor of a shift, and the positions at its input."""

    name: str
    taps: tuple[int, ...]
    inputs: int
    outputs: int
    at: tuple[int, ...]
    stride: tuple[int, ...]
    scale: tuple[int, ...] | None = None  # of an upsampling


def fields(config):
    """Return (widths, blocks per level, kernel, factors per step, output factors), all written out."""
    axes, levels = config.ndim, len(config.widths)
    blocks = config.blocks if isinstance(config.blocks, tuple) else (config.blocks,) * levels
    kernel = config.kernel_size if isinstance(config.kernel_size, tuple) else (config.kernel_size,) * axes
    scales = config.scales if isinstance(config.scales, tuple) else (config.scales,) * (levels - 1)
    scales = [scale if isinstance(scale, tuple) else (scale,) * axes for scale in scales]
    output = config.output_scale if isinstance(config.output_scale, tuple) else (config.output_scale,) * axes
    return config.widths, blocks, kernel, scales, output


def padded(config, spatial):
    """Return the extents with the fewest positions after them that make them whole on every level. UN-007"""
    total = [prod(scale[axis] for scale in fields(config)[3]) for axis in range(config.ndim)]
    return tuple(min(m for m in range(extent, extent + t) if m % t == 0) for extent, t in zip(spatial, total, strict=True))


def layers(config, spatial):
    """Yield every convolution and, as (name, channels), every norm, in the sequence of the computation."""
    w, blocks, k, scales, output = fields(config)
    ones = (1,) * config.ndim
    at = padded(config, spatial)

    def block(name, inputs, outputs, at, stride):
        yield f"{name}.norm1", inputs
        yield Layer(f"{name}.conv1", k, inputs, outputs, at, stride)
        inside = tuple(extent // s for extent, s in zip(at, stride, strict=True))
        yield f"{name}.norm2", outputs
        yield Layer(f"{name}.conv2", k, outputs, outputs, inside, ones)
        if inputs != outputs or stride != ones:
            yield Layer(f"{name}.shortcut", ones, inputs, outputs, at, stride)

    yield Layer("stem", k, config.in_channels, w[0], at, ones)
    for i in range(len(w)):
        for b in range(blocks[i]):
            first = b == 0 and i > 0
            yield from block(f"encoder.{i}.{b}", w[i - 1] if first else w[i], w[i], at, scales[i - 1] if first else ones)
            at = tuple(extent // s for extent, s in zip(at, scales[i - 1], strict=True)) if first else at
    for i in reversed(range(len(w) - 1)):
        yield Layer(f"decoder.{i}.up", k, w[i + 1], w[i], at, ones, scales[i])
        at = tuple(extent * s for extent, s in zip(at, scales[i], strict=True))
        for b in range(blocks[i]):
            yield from block(f"decoder.{i}.{b}", 2 * w[i] if b == 0 else w[i], w[i], at, ones)
    yield "head.norm", w[0]
    plan = oracle.best_plan(output, w[0], config.out_channels, k, width=w[0])
    for s, (inputs, outputs, scale) in enumerate(oracle.chain_shapes(plan, w[0], config.out_channels, w[0])):
        yield Layer(f"head.{s}", k, inputs, outputs, at, ones, scale)
        at = tuple(extent * r for extent, r in zip(at, scale, strict=True))


def convolutions(config, spatial=None):
    return [layer for layer in layers(config, spatial or (1,) * config.ndim) if isinstance(layer, Layer)]


def norms(config):
    if config.norm == "none":
        return []
    return [layer for layer in layers(config, (1,) * config.ndim) if not isinstance(layer, Layer)]


def kernel_by_the_text(config, layer):
    """UN-011"""
    if layer.scale is None or config.upsample == "resize":
        return (*layer.taps, layer.inputs, layer.outputs)
    if config.upsample == "deconv":
        return (*(k * r for k, r in zip(layer.taps, layer.scale, strict=True)), layer.inputs, layer.outputs)
    return (*layer.taps, layer.inputs, layer.outputs * prod(layer.scale))


def shapes_by_the_text(config):
    """UN-011"""
    shapes = {}
    for layer in convolutions(config):
        shapes[f"{layer.name}.kernel"] = kernel_by_the_text(config, layer)
        shapes[f"{layer.name}.bias"] = shapes[f"{layer.name}.kernel"][-1:]
    for name, channels in norms(config):
        for what in ("scale", "bias") + (("mean", "variance") if config.norm == "batch" else ()):
            shapes[f"{name}.{what}"] = (channels,)
    return shapes


def macs_by_the_text(config, spatial):
    """UN-010: weights times positions of the output, or for sub-pixel and transposed convolutions of the input."""
    total = 0
    for layer in convolutions(config, spatial):
        positions = prod(layer.at) // prod(layer.stride)
        if layer.scale is not None and config.upsample == "resize":
            positions *= prod(layer.scale)
        total += prod(kernel_by_the_text(config, layer)) * positions
    return total


def normalized(config, x, values, name, training, statistics):
    """UN-005, UN-006: group by group of every sample, or channel by channel."""
    y = np.empty_like(x)
    scale, bias = values[f"{name}.scale"], values[f"{name}.bias"]
    if config.norm == "group":
        size = x.shape[-1] // config.groups
        for n, g in product(range(len(x)), range(config.groups)):
            run = x[n, ..., g * size : (g + 1) * size]
            mean = run.sum() / run.size
            variance = ((run - mean) ** 2).sum() / run.size
            y[n, ..., g * size : (g + 1) * size] = (run - mean) / np.sqrt(variance + 1e-5)
    else:
        for c in range(x.shape[-1]):
            mean, variance = values[f"{name}.mean"][c], values[f"{name}.variance"][c]
            if training:
                old, of = (mean, variance), x[..., c]
                mean = of.sum() / of.size
                variance = ((of - mean) ** 2).sum() / of.size
                for what, before, now in zip(("mean", "variance"), old, (mean, variance), strict=True):
                    statistics.setdefault(f"{name}.{what}", np.empty(x.shape[-1], np.longdouble))[c] = 0.9 * before + 0.1 * now
            y[..., c] = (x[..., c] - mean) / np.sqrt(variance + 1e-5)
    return y * scale + bias


def by_the_text(params, x, config, training=False):
    """Return (output, new statistics, outputs of the layers by name), in extended precision: UN-001 to UN-008."""
    values = {name: value.astype(np.longdouble) for name, value in params.items()}
    w, blocks, _, scales, output = fields(config)
    statistics, trace = {}, {}

    def conv(name, x, stride=(1,) * config.ndim):
        y = oracle.conv(x, values[f"{name}.kernel"], values[f"{name}.bias"])
        trace[name] = y[(slice(None), *(slice(None, None, s) for s in stride))]
        return trace[name]

    def norm(name, x):
        if config.norm == "none":
            return x
        trace[name] = normalized(config, x, values, name, training, statistics)
        return trace[name]

    def relu(x):
        return np.where(x > 0, x, 0)

    def block(name, x, stride):
        y = conv(f"{name}.conv1", relu(norm(f"{name}.norm1", x)), stride)
        y = conv(f"{name}.conv2", relu(norm(f"{name}.norm2", y)))
        trace[name] = y + (conv(f"{name}.shortcut", x, stride) if f"{name}.shortcut.kernel" in values else x)
        return trace[name]

    def up(name, x, scale):
        kernel, bias = values[f"{name}.kernel"], values[f"{name}.bias"]
        if config.upsample == "subpixel":
            y = oracle.phase_shift(oracle.conv(x, kernel, bias), scale, order=config.order)
        elif config.upsample == "resize":
            y = oracle.conv(oracle.nearest_upsample(x, scale), kernel, bias)
        else:
            none = (0,) * config.ndim
            y = oracle.conv_transpose(x, kernel, bias, stride=scale, padding=none, output_padding=none)
            for axis, (taps, r) in enumerate(zip(kernel.shape, scale, strict=False), start=1):
                k = taps // r
                b = (k - 1) // 2
                y = y.take(range(r * (k - 1 - b), y.shape[axis] - r * b), axis)
        trace[name] = oracle.box_blur(y, scale) if config.blur else y
        return trace[name]

    y = np.zeros((len(x), *padded(config, x.shape[1:-1]), x.shape[-1]), np.longdouble)
    y[tuple(slice(extent) for extent in x.shape)] = x
    y = conv("stem", y)
    skips = []
    for i in range(len(w)):
        for b in range(blocks[i]):
            y = block(f"encoder.{i}.{b}", y, scales[i - 1] if b == 0 and i > 0 else (1,) * config.ndim)
        skips.append(y)
    for i in reversed(range(len(w) - 1)):
        y = np.concatenate([up(f"decoder.{i}.up", y, scales[i]), skips[i]], axis=-1)
        for b in range(blocks[i]):
            y = block(f"decoder.{i}.{b}", y, (1,) * config.ndim)
    y = relu(norm("head.norm", y))
    for layer in [layer for layer in convolutions(config) if layer.name.startswith("head")]:
        y = up(layer.name, y if layer.name == "head.0" else relu(y), layer.scale)
    return y[(slice(None), *(slice(n * r) for n, r in zip(x.shape[1:-1], output, strict=True)))], statistics, trace


# --- what the tests draw ---


def integers(config, seed=0, low=-2, high=3):
    """Return parameters of small integers, float64: every sum is exact, and every one of them counts."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(low, high, shape).astype(np.float64) for name, shape in parameter_shapes(config).items()}


def floats(config, seed=0, dtype=np.float64):
    """Return parameters in which nothing is as it starts: no bias is 0, no scale 1, no shifted kernel ICNR."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.uniform(0.5, 2, shape)
            if name.endswith((".scale", ".variance"))
            else rng.normal(size=shape) / (prod(shape[:-1]) ** 0.5 if name.endswith("kernel") else 3)
        ).astype(dtype)
        for name, shape in parameter_shapes(config).items()
    }


def image(config, seed=0, spatial=None, samples=2):
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 4, (samples, *(spatial or SPATIAL[config.ndim]), config.in_channels)).astype(np.float64)


def small(**options):
    """Return a network of two levels, 2 to 3 channels in, as small as tells everything apart."""
    return ResidualUNetConfig(**{"in_channels": 2, "out_channels": 3, "widths": (4, 6), "norm": "none", "groups": 2} | options)


EVERY_KIND = {
    "default": small(),
    "one level": small(widths=(4,)),
    "three levels": small(widths=(2, 4, 6), scales=((2, 1), (1, 3))),
    "equal widths": small(widths=(4, 4), blocks=(2, 1)),
    "factors of 1": small(widths=(4, 4), scales=1),
    "blocks": small(blocks=(1, 3)),
    "even kernel": small(kernel_size=(2, 4)),
    "anisotropic": small(scales=((3, 2),), kernel_size=(1, 3)),
    "1-D": small(ndim=1, widths=(4, 6, 2), scales=(2, 3), blocks=(2, 1, 2)),
    "3-D": small(ndim=3, widths=(2, 4), scales=((1, 2, 2),), kernel_size=(1, 2, 3)),
    "CRD": small(order="CRD"),
    "DRC": small(order="DRC", scales=((2, 3),)),
    "RCD": small(order="RCD", scales=((3, 2),)),
    "resize": small(upsample="resize", scales=((2, 3),)),
    "deconv": small(upsample="deconv", scales=((2, 3),)),
    "deconv, even": small(upsample="deconv", scales=((3, 2),), kernel_size=(4, 2)),
    "super-resolution": small(output_scale=(2, 3)),
    "super-resolution in stages": small(output_scale=4, order="CRD", widths=(2, 4)),
    "super-resolution, resize": small(output_scale=(1, 2), upsample="resize"),
    "super-resolution, deconv": small(output_scale=(3, 2), upsample="deconv"),
}
WITH_FRACTIONS = {
    "blur": small(blur=True, scales=((3, 2),), output_scale=(2, 1)),
    "group": small(norm="group", blocks=(2, 1)),
    "group of 1": small(norm="group", groups=1),
    "batch": small(norm="batch", output_scale=2),
    "batch, 1-D, blur": small(norm="batch", ndim=1, blur=True),
    "group, 3-D, deconv": small(norm="group", ndim=3, widths=(2, 4), upsample="deconv", scales=((1, 2, 2),)),
}
each = pytest.mark.parametrize("config", EVERY_KIND.values(), ids=EVERY_KIND.keys())
every = pytest.mark.parametrize("config", [*EVERY_KIND.values(), *WITH_FRACTIONS.values()], ids=[*EVERY_KIND, *WITH_FRACTIONS])


# --- the configuration ---


def test_lists_and_the_integers_of_numpy_become_tuples_and_ints():
    given_ = ResidualUNetConfig(
        ndim=np.int64(3),
        in_channels=np.uint8(1),
        widths=[np.int32(8), 16, 24],
        blocks=[1, np.int8(2), 1],
        kernel_size=[3, 1, 3],
        scales=[[1, 2, np.int64(2)], 2],
        output_scale=(np.int16(1), 2, 2),
        groups=np.int64(4),
        blur=np.True_,
    )
    plain = ResidualUNetConfig(3, 1, 3, (8, 16, 24), (1, 2, 1), (3, 1, 3), ((1, 2, 2), 2), (1, 2, 2), "group", 4, "subpixel", True)
    assert given_ == plain
    assert hash(given_) == hash(plain)
    assert json.dumps(given_.as_dict()) == json.dumps(plain.as_dict())
    assert type(given_.ndim) is type(given_.widths[0]) is type(given_.scales[0][2]) is type(given_.output_scale[0]) is int
    assert given_.blur is True


@every
def test_a_configuration_goes_through_json_and_comes_back_the_same(config):
    again = ResidualUNetConfig(**json.loads(json.dumps(config.as_dict())))
    assert again == config
    assert hash(again) == hash(config)
    assert repr(again) == repr(config)


DIFFERENT = {
    "ndim": 1,
    "in_channels": 5,
    "out_channels": 5,
    "widths": (8, 16),
    "blocks": 2,
    "kernel_size": 5,
    "scales": 3,
    "output_scale": 2,
    "norm": "batch",
    "groups": 4,
    "upsample": "deconv",
    "blur": True,
    "order": "RCD",
}


@pytest.mark.parametrize("field", DIFFERENT)
def test_replace_changes_one_field_and_with_it_equality(field):
    before = ResidualUNetConfig()
    after = replace(before, **{field: DIFFERENT[field]})
    assert getattr(after, field) == DIFFERENT[field]
    assert after != before
    assert replace(after, **{field: getattr(before, field)}) == before
    with pytest.raises(FrozenInstanceError):
        setattr(before, field, DIFFERENT[field])


def test_every_field_is_in_the_table_of_changes():
    assert list(DIFFERENT) == list(ResidualUNetConfig().as_dict())


def test_replace_checks_again():
    with pytest.raises(ValueError, match=r"^widths must be multiples of groups=8 with norm='group'; got \(8, 12\)$"):
        replace(ResidualUNetConfig(), widths=(8, 12))


def test_levels_are_written_out_from_what_is_given_for_all_of_them():
    config = ResidualUNetConfig(ndim=3, widths=(8, 8, 8, 8), blocks=2, scales=((1, 2, 2), 3, (2, 1, 1)))
    assert config.level_blocks == (2, 2, 2, 2)
    assert config.level_scales == ((1, 2, 2), (3, 3, 3), (2, 1, 1))
    assert config.total_scale == (6, 6, 6)
    assert ResidualUNetConfig(widths=(8,)).level_scales == ()
    assert ResidualUNetConfig(widths=(8,)).total_scale == (1, 1)
    assert ResidualUNetConfig(widths=(8, 8), blocks=(2, 3)).level_blocks == (2, 3)


ODD = "must be an integer or a tuple of integers"
REFUSED = [
    *[({name: 0}, ValueError, f"{name} must be 1 or more; got 0") for name in ("ndim", "in_channels", "out_channels", "groups")],
    *[({name: -1}, ValueError, f"{name} must be 1 or more; got -1") for name in ("ndim", "in_channels", "out_channels", "groups")],
    *[({name: 2.0}, TypeError, f"{name} must be an integer; got 2.0") for name in ("ndim", "in_channels", "out_channels", "groups")],
    *[({name: True}, TypeError, f"{name} must be an integer; got True") for name in ("ndim", "in_channels", "out_channels", "groups")],
    *[({name: "2"}, TypeError, f"{name} must be an integer; got '2'") for name in ("ndim", "in_channels", "out_channels", "groups")],
    *[({name: None}, TypeError, f"{name} must be an integer; got None") for name in ("ndim", "in_channels", "out_channels", "groups")],
    ({"ndim": 4}, ValueError, "ndim must be 1, 2 or 3; got 4"),
    ({"widths": ()}, ValueError, "widths must have at least one level; got ()"),
    ({"widths": 8}, TypeError, "widths must be a tuple of integers, one per level; got 8"),
    ({"widths": "8"}, TypeError, "widths must be a tuple of integers, one per level; got '8'"),
    ({"widths": None}, TypeError, "widths must be a tuple of integers, one per level; got None"),
    ({"widths": (8, 0)}, ValueError, "every value of widths must be 1 or more; got 0"),
    ({"widths": (8, -8)}, ValueError, "every value of widths must be 1 or more; got -8"),
    ({"widths": (8, 8.0)}, TypeError, "every value of widths must be an integer; got 8.0"),
    ({"widths": (True, 8)}, TypeError, "every value of widths must be an integer; got True"),
    ({"widths": (8, (8, 8))}, TypeError, "every value of widths must be an integer; got (8, 8)"),
    ({"widths": (8, 12)}, ValueError, "widths must be multiples of groups=8 with norm='group'; got (8, 12)"),
    ({"widths": (8, 16), "groups": 16}, ValueError, "widths must be multiples of groups=16 with norm='group'; got (8, 16)"),
    ({"blocks": 0}, ValueError, "blocks must be 1 or more; got 0"),
    ({"blocks": (1, 0, 1, 1)}, ValueError, "every value of blocks must be 1 or more; got 0"),
    ({"blocks": (1, 1)}, ValueError, "blocks must have one value per level, 4 as widths has; got (1, 1)"),
    ({"blocks": ()}, ValueError, "blocks must have one value per level, 4 as widths has; got ()"),
    ({"blocks": 1.0}, TypeError, "blocks must be an integer or a tuple of integers, one per level; got 1.0"),
    ({"blocks": True}, TypeError, "blocks must be an integer or a tuple of integers, one per level; got True"),
    ({"blocks": (1, 1, 1, "1")}, TypeError, "every value of blocks must be an integer; got '1'"),
    *[({name: 0}, ValueError, f"{name} must be 1 or more; got 0") for name in ("kernel_size", "output_scale", "scales")],
    *[({name: 1.5}, TypeError, f"{name} {ODD}; got 1.5") for name in ("kernel_size", "output_scale", "scales")],
    *[({name: True}, TypeError, f"{name} {ODD}; got True") for name in ("kernel_size", "output_scale", "scales")],
    *[({name: (3, 0)}, ValueError, f"{name} must be 1 or more on every axis; got (3, 0)") for name in ("kernel_size", "output_scale")],
    *[({name: (3,)}, ValueError, f"{name} must have one value per spatial axis, 2; got (3,)") for name in ("kernel_size", "output_scale")],
    *[({name: ()}, ValueError, f"{name} must have one value per spatial axis, 2; got ()") for name in ("kernel_size", "output_scale")],
    *[({name: (3, 1.0)}, TypeError, f"{name} {ODD}; got (3, 1.0)") for name in ("kernel_size", "output_scale")],
    ({"output_scale": (2**10, 2**11)}, ValueError, "output_scale must have a product of at most 1048576 to be planned; got (1024, 2048)"),
    ({"scales": (2, 2)}, ValueError, "scales must have one entry per step between levels, 3, one less than widths; got (2, 2)"),
    ({"scales": ()}, ValueError, "scales must have one entry per step between levels, 3, one less than widths; got ()"),
    ({"scales": (2, 0, 2)}, ValueError, "every entry of scales must be 1 or more; got 0"),
    ({"scales": (2, (1, 0), 2)}, ValueError, "every entry of scales must be 1 or more on every axis; got (1, 0)"),
    ({"scales": (2, (1, 2, 2), 2)}, ValueError, "every entry of scales must have one value per spatial axis, 2; got (1, 2, 2)"),
    ({"scales": (2, 2.0, 2)}, TypeError, f"every entry of scales {ODD}; got 2.0"),
    ({"norm": "layer"}, ValueError, "norm must be one of 'group', 'batch', 'none'; got 'layer'"),
    ({"norm": None}, ValueError, "norm must be one of 'group', 'batch', 'none'; got None"),
    ({"upsample": "nearest"}, ValueError, "upsample must be one of 'subpixel', 'resize', 'deconv'; got 'nearest'"),
    ({"upsample": True}, ValueError, "upsample must be one of 'subpixel', 'resize', 'deconv'; got True"),
    ({"order": "dcr"}, ValueError, "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got 'dcr'"),
    ({"order": ("DCR",)}, ValueError, "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got ('DCR',)"),
    ({"blur": 1}, TypeError, "blur must be True or False; got 1"),
    ({"blur": "yes"}, TypeError, "blur must be True or False; got 'yes'"),
    ({"blur": None}, TypeError, "blur must be True or False; got None"),
]


@pytest.mark.parametrize(("options", "kind", "text"), REFUSED, ids=[f"{options}" for options, _, _ in REFUSED])
def test_a_field_that_is_wrong_is_refused_by_its_name_the_rule_and_the_value(options, kind, text):
    with pytest.raises(kind) as raised:
        ResidualUNetConfig(**options)
    assert (type(raised.value), str(raised.value)) == (kind, text)


def test_without_a_word_a_configuration_is_this_one():
    assert ResidualUNetConfig().as_dict() == {
        "ndim": 2,
        "in_channels": 3,
        "out_channels": 3,
        "widths": (32, 64, 128, 256),
        "blocks": 1,
        "kernel_size": 3,
        "scales": 2,
        "output_scale": 1,
        "norm": "group",
        "groups": 8,
        "upsample": "subpixel",
        "blur": False,
        "order": "DCR",
    }


def test_a_layer_without_a_kernel_of_its_own_is_none():
    with pytest.raises(TypeError, match="abstract"):
        _Layer("stem", 2, 3, (3, 3), gain=1.0)


def test_every_field_has_a_refusal():
    assert {name for options, _, _ in REFUSED for name in options} == set(ResidualUNetConfig().as_dict())


def test_groups_only_have_to_divide_the_widths_where_they_are_used():
    for norm in ("batch", "none"):
        assert ResidualUNetConfig(widths=(3, 5), norm=norm).groups == 8


# --- parameters, MACs and extents ---


def test_the_parameters_and_macs_of_a_small_network_are_those_counted_by_hand():
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=(8, 16), norm="none")
    stem, encoder_0, head = 9 * 8 + 8, 2 * (9 * 8 * 8 + 8), 9 * 8 + 1
    encoder_1 = (9 * 8 * 16 + 16) + (9 * 16 * 16 + 16) + (8 * 16 + 16)
    up, decoder_0 = 9 * 16 * 32 + 32, (9 * 16 * 8 + 8) + (9 * 8 * 8 + 8) + (16 * 8 + 8)
    assert config.parameters == stem + encoder_0 + encoder_1 + up + decoder_0 + head == 11473
    fine = 9 * 8 + 2 * 9 * 8 * 8 + (9 * 16 * 8 + 9 * 8 * 8 + 16 * 8) + 9 * 8
    coarse = (9 * 8 * 16 + 9 * 16 * 16 + 8 * 16) + 9 * 16 * 32
    assert config.macs((10, 20)) == 200 * fine + 50 * coarse == 1040000
    assert config.macs((9, 19)) == config.macs((10, 20))
    assert config.macs((9, 21)) == 220 * fine + 55 * coarse
    # Group normalization: two values for every channel that is read. norm1 and norm2 of three blocks, and the head's.
    assert replace(config, norm="group").parameters == 11473 + 2 * ((8 + 8) + (8 + 16) + (16 + 8) + 8)
    assert replace(config, norm="batch").parameters == replace(config, norm="group").parameters
    assert replace(config, norm="group").macs((10, 20)) == 1040000


def test_an_anisotropic_volume_by_hand():
    config = ResidualUNetConfig(3, 1, 2, (2, 3), 1, (1, 3, 3), ((1, 2, 2),), (1, 2, 1), norm="none")
    stem, encoder_0 = 9 * 2 + 2, 2 * (9 * 2 * 2 + 2)
    encoder_1 = (9 * 2 * 3 + 3) + (9 * 3 * 3 + 3) + (2 * 3 + 3)
    up, decoder_0 = 9 * 3 * 8 + 8, (9 * 4 * 2 + 2) + (9 * 2 * 2 + 2) + (4 * 2 + 2)
    assert config.parameters == stem + encoder_0 + encoder_1 + up + decoder_0 + (9 * 2 * 4 + 4)
    fine = 9 * 2 + 2 * 9 * 4 + (9 * 8 + 9 * 4 + 8) + 9 * 2 * 4
    coarse = 9 * 6 + 9 * 9 + 6 + 9 * 3 * 8
    assert config.padding((3, 5, 6)) == (0, 1, 0)
    assert config.macs((3, 5, 6)) == 3 * 6 * 6 * fine + 3 * 3 * 3 * coarse
    assert config.output_extents((3, 5, 6)) == (3, 10, 6)


@every
def test_shapes_parameters_and_macs_are_those_of_the_text(config):
    shapes = shapes_by_the_text(config)
    assert parameter_shapes(config) == shapes
    running = {name: shape for name, shape in shapes.items() if name.endswith((".mean", ".variance"))}
    assert statistics_shapes(config) == running
    assert bool(running) == (config.norm == "batch")
    assert config.parameters == sum(prod(shape) for name, shape in shapes.items() if name not in running)
    for spatial in [SPATIAL[config.ndim], (6,) * config.ndim, (1,) * config.ndim]:
        assert config.macs(spatial) == macs_by_the_text(config, spatial)
    assert config.macs(6) == config.macs((6,) * config.ndim)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 6, 8, (2, 3), (1, 4)])
@pytest.mark.parametrize("upsample", ["subpixel", "resize", "deconv"])
def test_the_three_upsamplings_have_the_same_macs_and_two_of_them_the_same_weights(scale, upsample):
    config = small(output_scale=scale, upsample=upsample, widths=(8, 12))
    pixel = replace(config, upsample="subpixel")
    assert config.macs((5, 7)) == pixel.macs((5, 7)) == macs_by_the_text(config, (5, 7))
    weights = {name: prod(shape) for name, shape in parameter_shapes(config).items() if name.endswith("kernel")}
    for layer in (layer for layer in convolutions(config) if layer.scale is not None):
        whole = prod(parameter_shapes(pixel)[f"{layer.name}.kernel"])
        assert weights[f"{layer.name}.kernel"] * (prod(layer.scale) if upsample == "resize" else 1) == whole
    stages = [stage.scale for stage in network(config).head]
    plan = oracle.best_plan(fields(config)[4], 8, 3, (3, 3), width=8)
    assert stages == list(plan)
    assert [stage.in_channels for stage in network(config).head] == [8] * len(stages)
    assert [stage.out_channels for stage in network(config).head] == [8] * (len(stages) - 1) + [3]


def test_the_macs_of_no_extents_and_of_another_number_of_them_are_refused():
    for spatial, text in [
        ((5,), "spatial must have one value per spatial axis, 2; got (5,)"),
        ((5, 0), "spatial must be 1 or more on every axis; got (5, 0)"),
        (2.0, "spatial must be an integer or a tuple of integers; got 2.0"),
    ]:
        with pytest.raises((ValueError, TypeError)) as raised:
            small().macs(spatial)
        assert str(raised.value) == text


@pytest.mark.parametrize("extent", range(1, 14))
@pytest.mark.parametrize("upsample", ["subpixel", "resize", "deconv"])
def test_every_residue_of_an_extent_is_filled_with_zeros_after_the_end_and_cropped(extent, upsample):
    config = small(ndim=1, widths=(2, 3, 4), scales=(2, 3), output_scale=2, upsample=upsample)
    (zeros,) = config.padding((extent,))
    assert 0 <= zeros < 6
    assert (extent + zeros) % 6 == 0
    x, params = image(config, spatial=(extent,)), integers(config, low=-1, high=2)
    y = residual_unet(params, x, config)
    assert y.shape == (2, *config.output_extents((extent,)), 3) == (2, 2 * extent, 3)
    whole = np.concatenate([x, np.zeros((2, zeros, 2))], axis=1)
    assert exact(y, residual_unet(params, whole, config)[:, : 2 * extent]) is None
    assert exact(y, by_the_text(params, x, config)[0].astype(np.float64)) is None


def test_axes_are_filled_by_the_product_of_their_own_factors():
    config = small(widths=(2, 3, 4), scales=((2, 3), (1, 2)))
    assert config.total_scale == (2, 6)
    assert [config.padding((h, w)) for h, w in [(1, 1), (2, 6), (3, 7), (4, 11)]] == [(1, 5), (0, 0), (1, 5), (0, 1)]
    for spatial in product((1, 2, 3), (1, 5, 6, 7)):
        assert residual_unet(integers(config), image(config, spatial=spatial), config).shape == (2, *spatial, 3)


# --- the forward pass ---


def check_trace(trace, expected):
    """Check the names of a trace, their sequence and their shapes."""
    assert list(trace) == list(expected)
    assert {name: y.shape for name, y in trace.items()} == {name: y.shape for name, y in expected.items()}


@each
def test_integers_come_out_exactly_as_the_text_says_layer_by_layer(config):
    params, x, trace = integers(config, low=-1, high=2), image(config), {}
    y = residual_unet(params, x, config, trace=trace)
    expected, _, outputs = by_the_text(params, x, config)
    assert max(np.abs(value).max() for value in outputs.values()) < 2**53
    check_trace(trace, outputs)
    for name, value in outputs.items():
        assert exact(trace[name], value.astype(np.float64)) is None, name
    assert bitwise(y, expected.astype(np.float64)) is None
    assert len(np.unique(y)) > 10


@pytest.mark.parametrize("config", WITH_FRACTIONS.values(), ids=WITH_FRACTIONS.keys())
@pytest.mark.parametrize("training", [False, True])
def test_normalization_and_blur_come_out_as_the_text_says_layer_by_layer(config, training):
    params, x, trace = floats(config), image(config), {}
    y = residual_unet(params, x, config, trace=trace, training=training)
    expected, statistics, outputs = by_the_text(params, x, config, training)
    y, new = y if training and config.norm == "batch" else (y, {})
    check_trace(trace, outputs)
    for name, value in outputs.items():
        np.testing.assert_allclose(trace[name], value.astype(np.float64), rtol=1e-11, atol=1e-11, err_msg=name)
    np.testing.assert_allclose(y, expected.astype(np.float64), rtol=1e-11, atol=1e-11)
    assert list(new) == list(statistics) == list(statistics_shapes(config) if training else {})
    for name, value in statistics.items():
        np.testing.assert_allclose(new[name], value.astype(np.float64), rtol=1e-12, atol=1e-12, err_msg=name)


@st.composite
def configurations(draw):
    ndim, levels = draw(st.sampled_from([1, 1, 2])), draw(st.integers(1, 3))
    factor = st.integers(1, 3)
    per_axis = st.tuples(*(factor,) * ndim)
    return ResidualUNetConfig(
        ndim=ndim,
        in_channels=draw(st.integers(1, 3)),
        out_channels=draw(st.integers(1, 3)),
        widths=tuple(draw(st.integers(1, 4)) for _ in range(levels)),
        blocks=draw(st.one_of(st.integers(1, 2), st.tuples(*(st.integers(1, 2),) * levels))),
        kernel_size=draw(st.one_of(st.integers(1, 3), st.tuples(*(st.integers(1, 4),) * ndim))),
        scales=draw(st.one_of(factor, st.tuples(*(st.one_of(factor, per_axis),) * (levels - 1)))),
        output_scale=draw(st.one_of(factor, per_axis)),
        norm="none",
        upsample=draw(st.sampled_from(["subpixel", "resize", "deconv"])),
        order=draw(st.sampled_from(ORDERS)),
    )


@given(config=configurations(), data=st.data())
def test_any_configuration_has_the_shapes_the_counts_and_the_integers_of_the_text(config, data):
    spatial = tuple(data.draw(st.integers(1, 4 if config.ndim > 1 else 8)) for _ in range(config.ndim))
    assert parameter_shapes(config) == shapes_by_the_text(config)
    assert config.macs(spatial) == macs_by_the_text(config, spatial)
    params, x = integers(config, low=-1, high=2), image(config, spatial=spatial, samples=1)
    if config.macs(spatial) < 30000:  # the oracle's loops are slow
        expected, _, outputs = by_the_text(params, x, config)
        if max(np.abs(value).max() for value in outputs.values()) < 2**53:
            assert exact(residual_unet(params, x, config), expected.astype(np.float64)) is None


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", [(2, 3), (3, 1), (2, 2)])
@pytest.mark.parametrize("kernel_size", [(3, 3), (2, 4), (1, 5)])
def test_a_transposed_convolution_is_the_subpixel_convolution_with_its_kernel_in_another_layout(order, scale, kernel_size):
    # UN-004: V[r·(k - 1 - t) + o, p, c] = W[t, p, k(c, o)] per axis, and one bias per output channel.
    pixel = small(scales=(scale,), kernel_size=kernel_size, output_scale=scale, order=order)
    deconv = replace(pixel, upsample="deconv")
    params = integers(pixel, low=-1, high=2)
    moved = dict(params)
    for layer in (layer for layer in convolutions(pixel) if layer.scale is not None):
        kernel, V = params[f"{layer.name}.kernel"], np.empty(parameter_shapes(deconv)[f"{layer.name}.kernel"])
        base = np.arange(layer.outputs, dtype=np.float64) - 1
        for c, o in product(range(layer.outputs), oracle.offsets(layer.scale)):
            k = oracle.channel_index(order, c, o, layer.scale, layer.outputs)
            params[f"{layer.name}.bias"][k] = base[c]
            for t in product(*map(range, kernel_size)):
                at = tuple(r * (taps - 1 - tap) + i for r, taps, tap, i in zip(layer.scale, kernel_size, t, o, strict=True))
                V[(*at, slice(None), c)] = kernel[(*t, slice(None), k)]
        moved[f"{layer.name}.kernel"], moved[f"{layer.name}.bias"] = V, base
    x = image(pixel)
    y = residual_unet(params, x, pixel)
    assert exact(residual_unet(moved, x, deconv), y) is None
    assert exact(y, by_the_text(params, x, pixel)[0].astype(np.float64)) is None


@pytest.mark.parametrize("source", ORDERS)
@pytest.mark.parametrize("target", ORDERS)
def test_another_order_is_the_same_function_with_its_subpixel_channels_moved(source, target):
    config = small(widths=(2, 4, 3), scales=((2, 3), (1, 2)), output_scale=(2, 3), order=source)
    params, x = integers(config, low=-1, high=2), image(config, spatial=(4, 6))
    before = {name: value.copy() for name, value in params.items()}
    converted, new = convert_order(params, config, target)
    assert new == replace(config, order=target)
    assert exact(residual_unet(converted, x, new), residual_unet(params, x, config)) is None
    shifted = {layer.name: layer for layer in convolutions(config) if layer.scale is not None}
    assert set(shifted) == {"decoder.1.up", "decoder.0.up", "head.0", "head.1"}
    for name, value in params.items():
        layer = shifted.get(name.rpartition(".")[0])
        if layer is not None:
            p = oracle.channel_permutation(value.shape[-1], layer.scale, source=source, target=target)
            value = value[..., p]
        assert bitwise(converted[name], value) is None
        assert not np.shares_memory(converted[name], params[name])
        assert bitwise(params[name], before[name]) is None
    assert source == target or any((converted[name] != params[name]).any() for name in params)


@pytest.mark.parametrize("upsample", ["resize", "deconv"])
def test_without_subpixel_channels_another_order_moves_nothing(upsample):
    config = small(upsample=upsample)
    params = integers(config)
    converted, new = convert_order(params, config, "RCD")
    assert new.order == "RCD"
    assert all(bitwise(converted[name], value) is None for name, value in params.items())


@pytest.mark.parametrize("upsample", ["subpixel", "deconv"])
@pytest.mark.parametrize("scale", [(2, 3), (3, 2), (2, 2)])
def test_a_constant_stays_constant_behind_a_blur_whatever_the_weights(upsample, scale):
    config = small(kernel_size=1, scales=(scale,), blur=True, upsample=upsample)
    params = floats(config)
    x = np.broadcast_to([1.5, -2.0], (1, 6, 12, 2))
    trace, sharp = {}, {}
    residual_unet(params, x, config, trace=trace)
    residual_unet(params, x, replace(config, blur=False), trace=sharp)
    before = [(r - 1) // 2 for r in scale]
    inside = (0, *(slice(b, extent - (r - 1 - b)) for b, extent, r in zip(before, (6, 12), scale, strict=True)))
    assert np.ptp(trace["decoder.0.up"][inside], axis=(0, 1)).max() < 1e-12
    assert np.ptp(sharp["decoder.0.up"][inside], axis=(0, 1)).min() > 1e-3


def test_running_statistics_are_nine_tenths_of_the_old_and_one_tenth_of_the_biased_new_ones():
    config = ResidualUNetConfig(ndim=1, in_channels=2, out_channels=1, widths=(2,), kernel_size=1, norm="batch")
    params = init_parameters(config, np.random.default_rng(0))
    params["stem.kernel"] = np.eye(2, dtype=np.float32)[None]
    x = np.array([[[1, 10], [3, 10]], [[5, 10], [7, 30]]], np.float32)  # channel 0: mean 4, variance (9 + 1 + 1 + 9) / 4
    y, statistics = residual_unet(params, x, config, training=True)
    name = "encoder.0.0.norm1"
    np.testing.assert_array_equal(statistics[f"{name}.mean"], np.float32([0.4, 1.5]))
    np.testing.assert_array_equal(statistics[f"{name}.variance"], np.float32([0.9 + 0.5, 0.9 + 7.5]))
    assert list(statistics) == list(statistics_shapes(config))
    assert all(value.dtype == np.float32 for value in statistics.values())
    params |= statistics
    _, again = residual_unet(params, x, config, training=True)
    np.testing.assert_allclose(again[f"{name}.mean"], [0.9 * 0.4 + 0.4, 0.9 * 1.5 + 1.5], rtol=1e-6)
    assert not np.array_equal(residual_unet(params, x, config), y)


def test_training_changes_nothing_where_no_running_statistics_are():
    for norm in ("group", "none"):
        config = small(norm=norm)
        params, x = floats(config), image(config)
        assert bitwise(residual_unet(params, x, config, training=True), residual_unet(params, x, config)) is None


def test_statistics_see_the_padded_positions():
    config = small(norm="group", scales=4)
    params, x = floats(config), image(config, spatial=(5, 7))
    whole = np.pad(x, ((0, 0), (0, 3), (0, 1), (0, 0)))
    assert bitwise(residual_unet(params, x, config), residual_unet(params, whole, config)[:, :5, :7]) is None


# --- fresh parameters ---


@every
def test_fresh_parameters_have_the_shapes_the_dtype_and_the_values_they_start_with(config):
    params = init_parameters(config, np.random.default_rng(3))
    assert {name: value.shape for name, value in params.items()} == parameter_shapes(config)
    assert list(params) == list(parameter_shapes(config))
    assert {value.dtype for value in params.values()} == {np.dtype(np.float32)}
    for name, value in params.items():
        if name.endswith((".scale", ".variance")):
            assert (value == 1).all()
        elif not name.endswith(".kernel"):
            assert (value == 0).all()
    for layer in (layer for layer in convolutions(config) if layer.scale is not None and config.upsample == "subpixel"):
        assert icnr_residual(params[f"{layer.name}.kernel"], layer.scale, order=config.order) == 0
        assert oracle.icnr_residual(params[f"{layer.name}.kernel"], layer.scale, order=config.order) == 0
    again = init_parameters(config, np.random.default_rng(3))
    other = init_parameters(config, np.random.default_rng(4))
    assert all(bitwise(again[name], value) is None for name, value in params.items())
    assert all((other[name] != value).any() for name, value in params.items() if name.endswith("kernel"))


@pytest.mark.parametrize("upsample", ["subpixel", "resize", "deconv"])
def test_fresh_kernels_are_normal_with_the_variance_of_their_role(upsample):
    config = ResidualUNetConfig(
        in_channels=20, out_channels=24, widths=(24, 32), blocks=(2, 1), scales=((2, 1),), output_scale=2, upsample=upsample
    )
    params = init_parameters(config, np.random.default_rng(0))
    blocks = 2 + 1 + 2
    for layer in convolutions(config):
        last = layer.name.rpartition(".")[2]
        gain = {"conv1": 2.0, "conv2": 2 / blocks}.get(last, 2.0 if layer.name.startswith("head") else 1.0)
        fan = prod(layer.taps) * layer.inputs
        values = params[f"{layer.name}.kernel"].astype(np.float64)
        if layer.scale is not None and upsample == "subpixel":
            chosen = [oracle.channel_index("DCR", c, (0, 0), layer.scale, layer.outputs) for c in range(layer.outputs)]
            values = values[..., chosen]
        standard = values / (gain / fan) ** 0.5
        n = standard.size
        assert n >= 400
        # Four standard errors of the mean and of the variance, and the share beyond one sigma (0.317).
        assert abs(standard.mean()) < 4 / n**0.5, layer.name
        assert abs(standard.var() - 1) < 4 * (2 / n) ** 0.5, layer.name
        assert abs((np.abs(standard) > 1).mean() - 0.3173) < 4 * (0.3173 * 0.6827 / n) ** 0.5, layer.name


def test_every_branch_of_a_fresh_network_shares_in_the_variance():
    config = small(widths=(2, 4, 6), scales=2, blocks=(1, 2, 4))
    gains = [layer.gain for layer in network(config).layers if layer.name.endswith("conv2")]
    assert gains == [2 / (1 + 2 + 4 + 2 + 1)] * (1 + 2 + 4 + 2 + 1)


def test_a_fresh_network_enlarges_by_nearest_neighbour():
    config = ResidualUNetConfig(in_channels=2, widths=(8, 16), output_scale=(2, 3), kernel_size=1, scales=((3, 2),))
    params = init_parameters(config, np.random.default_rng(0))
    trace = {}
    y = residual_unet(params, image(config, spatial=(6, 8)), config, trace=trace)
    for enlarged, scale in [(trace["decoder.0.up"], (3, 2)), (y, (2, 3))]:
        corners = np.ascontiguousarray(enlarged[:, :: scale[0], :: scale[1]])
        assert bitwise(enlarged, oracle.nearest_upsample(corners, scale)) is None
        assert np.ptp(corners) > 0.1


# --- what a call leaves alone, keeps and refuses ---


def test_a_call_changes_none_of_its_arguments_and_shares_no_memory_with_them():
    for config in (small(), small(norm="batch", widths=(2, 2)), small(widths=(2,), kernel_size=1, ndim=1)):
        params, x, trace = floats(config), image(config), {}
        for value in (x, *params.values()):
            value.flags.writeable = False
        y = residual_unet(params, x, config, training=config.norm == "batch", trace=trace)
        y, statistics = y if isinstance(y, tuple) else (y, {})
        for made in (y, *trace.values(), *statistics.values()):
            assert not any(np.shares_memory(made, value) for value in (x, *params.values()))
        assert set(params) == set(parameter_shapes(config))


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_the_output_has_the_common_dtype_and_float64_is_computed_in_it(norm):
    config = small(norm=norm, blur=True)
    wide, x = floats(config), image(config) / 3
    narrow, low = {name: value.astype(np.float32) for name, value in wide.items()}, x.astype(np.float32)
    for params, given_, dtype in [(wide, x, "f8"), (narrow, x, "f8"), (wide, low, "f8"), (narrow, low, "f4")]:
        trace = {}
        y = residual_unet(params, given_, config, trace=trace)
        assert y.dtype == dtype
        assert {value.dtype for value in trace.values()} == {np.dtype(dtype)}
    exact_ = by_the_text(wide, x, config)[0].astype(np.float64)
    assert np.abs(residual_unet(wide, x, config) - exact_).max() < 1e-12 * np.abs(exact_).max()
    assert np.abs(residual_unet(narrow, low, config) - exact_).max() > 1e-9 * np.abs(exact_).max()


@pytest.mark.parametrize("norm", ["group", "none"])
def test_integers_are_computed_in_float64(norm):
    config = small(norm=norm)
    params, x = integers(config), image(config)
    as_integers = {name: value.astype(np.int16) for name, value in params.items()}
    assert bitwise(residual_unet(as_integers, x.astype(np.uint8).astype(np.int8), config), residual_unet(params, x, config)) is None


def test_lists_will_do_for_arrays():
    config = small(ndim=1, widths=(2,))
    params, x = integers(config), image(config)
    expected = residual_unet(params, x, config)
    assert bitwise(residual_unet({name: value.tolist() for name, value in params.items()}, x.tolist(), config), expected) is None


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_no_samples_give_no_samples(norm):
    config = small(norm=norm, output_scale=2)
    assert residual_unet(floats(config), np.empty((0, 5, 7, 2)), config).shape == (0, 10, 14, 3)


def test_samples_do_not_see_each_other_outside_training():
    for config in (small(), small(norm="group"), small(norm="batch")):
        params, x = floats(config), image(config, samples=3)
        alone = np.concatenate([residual_unet(params, sample[None], config) for sample in x])
        np.testing.assert_allclose(residual_unet(params, x, config), alone, rtol=1e-12, atol=1e-12)


NETWORK = small(norm="batch", widths=(2, 4))
INPUTS = [
    ((5, 7, 2), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 3"),
    ((1, 1, 5, 7, 2), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 5"),
    ((), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 0"),
    ((1, 5, 7, 3), "x must have 2 channels; got 3"),
    ((1, 2, 7, 5), "x must have 2 channels; got 5"),
    ((1, 0, 7, 2), "x must have spatial extents of (1, 1) or more; got (0, 7)"),
    ((1, 5, 0, 2), "x must have spatial extents of (1, 1) or more; got (5, 0)"),
    ((0, 5, 0, 2), "x must have spatial extents of (1, 1) or more; got (5, 0)"),
]


@pytest.mark.parametrize(("shape", "text"), INPUTS, ids=[str(shape) for shape, _ in INPUTS])
def test_an_input_that_is_none_of_this_network_is_refused(shape, text):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 -- the whole text is compared
        residual_unet(integers(NETWORK), np.zeros(shape), NETWORK)
    assert str(raised.value) == text


def test_parameters_that_are_none_of_this_network_are_refused():
    params, x = integers(NETWORK), image(NETWORK)
    without = {name: value for name, value in params.items() if name != "stem.bias"}
    rows = [
        (without, f"params must have the tensor 'stem.bias' of shape (2,); got {len(params) - 1} tensors without it"),
        (without | {"stem.b": params["stem.bias"]}, "params must have the tensor 'stem.bias' of shape (2,); got 'stem.b' instead"),
        (params | {"extra": np.zeros(3)}, "params must have no tensors but those of the configuration; got 'extra'"),
        (params | {"stem.bias": np.zeros((1, 2))}, "params must have 'stem.bias' of shape (2,); got (1, 2)"),
        (params | {"head.norm.mean": np.zeros(3)}, "params must have 'head.norm.mean' of shape (2,); got (3,)"),
        ({}, "params must have the tensor 'stem.kernel' of shape (3, 3, 2, 2); got 0 tensors without it"),
    ]
    for wrong, text in rows:
        for call in (lambda wrong=wrong: residual_unet(wrong, x, NETWORK), lambda wrong=wrong: convert_order(wrong, NETWORK, "CRD")):
            with pytest.raises(ValueError) as raised:  # noqa: PT011 -- the whole text is compared
                call()
            assert str(raised.value) == text


def test_the_other_arguments_are_refused_by_name():
    params, x = integers(NETWORK), image(NETWORK)
    rows = [
        (lambda: residual_unet(params, x, NETWORK.as_dict()), TypeError, "config must be a ResidualUNetConfig; got dict"),
        (lambda: parameter_shapes(None), TypeError, "config must be a ResidualUNetConfig; got NoneType"),
        (lambda: residual_unet([], x, NETWORK), TypeError, "params must be a Mapping; got list"),
        (lambda: convert_order([], NETWORK, "CRD"), TypeError, "params must be a Mapping; got list"),
        (lambda: residual_unet(params, x * 1j, NETWORK), ValueError, "dtype must be a floating-point dtype; got complex128"),
        (lambda: residual_unet(params, x, NETWORK, training=1), TypeError, "training must be True or False; got 1"),
        (lambda: convert_order(params, NETWORK, "RGB"), ValueError, "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got 'RGB'"),
        (lambda: init_parameters(NETWORK, 0), TypeError, "rng must be a Generator; got int"),
    ]
    for call, kind, text in rows:
        with pytest.raises(kind) as raised:
            call()
        assert (type(raised.value), str(raised.value)) == (kind, text)


@pytest.mark.parametrize(("shape", "values"), [((1, 2, 2, 2), 1), ((1, 1, 1, 2), 1), ((0, 5, 7, 2), 0)])
def test_one_value_per_channel_is_too_few_to_train_batch_normalization(shape, values):
    params = floats(NETWORK)
    text = f"^x must give batch normalization 2 or more values per channel in training; got {values}$"
    with pytest.raises(ValueError, match=text):
        residual_unet(params, np.zeros(shape), NETWORK, training=True)
    residual_unet(params, np.zeros(shape), NETWORK)
    residual_unet(params, np.zeros((2, *shape[1:])), NETWORK, training=True)


def test_a_configuration_survives_a_copy_between_processes():
    for config in EVERY_KIND.values():
        assert pickle.loads(pickle.dumps(config)) == config
