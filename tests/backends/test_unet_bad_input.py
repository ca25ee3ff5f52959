"""UN-014, UN-015, WF-005, WF-006: what no network and no weight file is, refused in every backend in the words of the core."""

import json
import re
from importlib import import_module

import numpy as np
import pytest

import subpixel_core as core
from subpixel_conformance.cases.weights import DAMAGED, IMAGE, WRONG_TENSORS
from subpixel_conformance.weight_file import written
from subpixel_core import ResidualUNetConfig

CONFIG = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(2, 4), norm="batch")
ONE_AXIS = ResidualUNetConfig(ndim=1, in_channels=1, out_channels=2, widths=(2,), norm="none")


@pytest.fixture(scope="module", params=["torch", "tensorflow", "jax"])
def backend(request):
    """The package of a framework."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return import_module(f"subpixel_{request.param}")


def parameters(config, seed=0):
    return core.init_parameters(config, np.random.default_rng(seed))


def grouped(params, config):
    """Return parameters as the pytree of the JAX backend."""
    running = core.statistics_shapes(config)
    return {
        "parameters": {name: value for name, value in params.items() if name not in running},
        "statistics": {name: value for name, value in params.items() if name in running},
    }


def construct(backend, config):
    """Return the network as it comes, or for JAX its fresh parameters."""
    if backend.__name__ == "subpixel_torch":
        return backend.ResidualUNet(config)
    if backend.__name__ == "subpixel_tensorflow":
        return backend.residual_unet(config)
    import jax

    return backend.init_residual_unet(jax.random.key(0), config)


def apply(backend, config, params, x, training=False):
    """Put the parameters into the network of a backend and apply it to an array of channels_last."""
    if backend.__name__ == "subpixel_jax":
        return backend.residual_unet(grouped(params, config), x, config, training=training)
    model = construct(backend, config)
    backend.set_parameters(model, params)
    if backend.__name__ == "subpixel_tensorflow":
        import tensorflow as tf

        return model(tf.constant(x), training=training)
    import torch

    return model.train(training)(torch.from_numpy(np.moveaxis(x, -1, 1).copy() if x.ndim > 1 else x))


def refusal(function, *arguments, **options):
    """Return the ValueError or TypeError of a call, which must not return."""
    with pytest.raises((ValueError, TypeError)) as raised:
        function(*arguments, **options)
    assert re.match(r"^.+ must .+; got .*", str(raised.value), re.DOTALL), f"no argument, rule and value in: {raised.value}"
    return raised.value


def same(expected, function, *arguments, **options):
    """Check that a call is refused as ``expected`` says: the same type, the same text."""
    actual = refusal(function, *arguments, **options)
    assert (type(actual), str(actual)) == (type(expected), str(expected))


def around(backend, expected, function, *arguments, **options):
    """Check the same of a call of a Keras model, which adds its name and its arguments around the text."""
    if backend.__name__ != "subpixel_tensorflow":
        same(expected, function, *arguments, **options)
        return
    with pytest.raises(type(expected), match=re.escape(str(expected))):
        function(*arguments, **options)


# --- configurations ---


@pytest.mark.parametrize("config", [None, {"ndim": 2}, 2, "default", CONFIG.as_dict()], ids=["None", "dict", "int", "str", "fields"])
def test_what_is_no_configuration_is_refused_as_the_core_does(backend, config):
    same(refusal(core.parameter_shapes, config), construct, backend, config)


WRONG_FIELDS = {
    "ndim": [0, 4, 2.0, True, None, "2"],
    "in_channels": [0, -1, 1.5, True, None, "3"],
    "out_channels": [0, -1, 1.5, True, None, "3"],
    "widths": [[], [2, 0], [2, -4], [2.0, 4], [True, 4], 2, None, "24"],
    "blocks": [0, -1, 1.5, True, None, [1], [1, 0], [1, 1.0], []],
    "kernel_size": [0, -3, 3.0, True, None, [3], [3, 0], [3, 3, 3], [3, "3"], []],
    "scales": [0, -2, 2.0, True, None, [2, 2], [0], [[2]], [[2, 0]], [[2, 2.0]], []],
    "output_scale": [0, -2, 2.0, True, None, [2], [2, 0], [2, 2, 2], []],
    "norm": ["layer", "", None, 1, True, ["batch"]],
    "groups": [0, -8, 8.0, True, None, "8"],
    "upsample": ["nearest", "", None, 2, True],
    "blur": [0, 1, None, "no", []],
}


def told(**changes):
    """Return a file in which the configuration or the metadata say something else."""
    fields = {name: changes.pop(name) for name in list(changes) if name in WRONG_FIELDS or name == "dropout"}
    metadata = IMAGE.metadata("DCR") | {"config": json.dumps({**IMAGE.fields, **fields})} | changes
    return written(IMAGE.tensors("float32"), metadata)


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG_FIELDS.items() for value in values], ids=lambda part: str(part)
)
def test_a_field_that_is_wrong_is_refused_by_its_name_wherever_it_is_read(backend, tmp_path, field, value):
    fields = {**IMAGE.fields, field: value}
    expected = refusal(ResidualUNetConfig, **fields)
    assert field in str(expected)
    path = tmp_path / "network"
    path.write_bytes(told(**{field: value}))
    error = refusal(backend.load_weights, path)
    assert type(error) is ValueError
    assert str(error) == f"{path} must describe a residual U-Net in its metadata; got {expected}"


def test_every_field_has_values_that_are_wrong():
    assert [*WRONG_FIELDS, "order"] == list(CONFIG.as_dict())


def test_widths_that_the_groups_do_not_divide_are_refused_wherever_they_are_read(backend, tmp_path):
    (tmp_path / "network").write_bytes(told(norm="group", groups=4, widths=[4, 6]))
    text = "widths must be multiples of groups=4 with norm='group'; got (4, 6)"
    assert str(refusal(backend.load_weights, tmp_path / "network")).endswith(text)
    assert str(refusal(ResidualUNetConfig, widths=(4, 6), groups=4)) == text


# --- inputs ---

SHAPES = [
    (5, 7, 2),
    (1, 1, 5, 7, 2),
    (2,),
    (1, 5, 7, 3),
    (1, 5, 7, 1),
    (1, 2, 5, 7),
    (1, 0, 7, 2),
    (1, 5, 0, 2),
    (1, 0, 0, 2),
    (0, 0, 7, 2),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [False, True])
def test_an_input_that_is_none_is_refused_as_the_core_does(backend, shape, training):
    params, x = parameters(CONFIG), np.zeros(shape, np.float32)
    expected = refusal(core.residual_unet, params, x, CONFIG, training=training)
    around(backend, expected, apply, backend, CONFIG, params, x, training)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 7, 2), (1, 7, 1, 1), (1, 0, 1)], ids=str)
def test_an_axis_of_one_channel_is_neither_added_nor_dropped(backend, shape):
    params, x = parameters(ONE_AXIS), np.zeros(shape, np.float32)
    expected = refusal(core.residual_unet, params, x, ONE_AXIS)
    around(backend, expected, apply, backend, ONE_AXIS, params, x)


@pytest.mark.parametrize("shape", [(1, 2, 2, 2), (1, 1, 1, 2), (1, 1, 2, 2)], ids=str)
def test_one_value_per_channel_is_too_few_to_train_on_in_every_backend(backend, shape):
    params, x = parameters(CONFIG), np.zeros(shape, np.float32)
    expected = refusal(core.residual_unet, params, x, CONFIG, training=True)
    assert str(expected) == "x must give batch normalization 2 or more values per channel in training; got 1"
    around(backend, expected, apply, backend, CONFIG, params, x, True)
    apply(backend, CONFIG, params, x)
    apply(backend, CONFIG, params, np.repeat(x, 2, axis=0), True)


def test_a_traced_network_refuses_in_the_same_words_or_around_them(backend):
    params, x = parameters(CONFIG), np.zeros((1, 5, 7, 3), np.float32)
    expected = refusal(core.residual_unet, params, x, CONFIG)
    if backend.__name__ == "subpixel_jax":
        import jax

        call = jax.jit(lambda x: backend.residual_unet(grouped(params, CONFIG), x, CONFIG))
    elif backend.__name__ == "subpixel_tensorflow":
        import tensorflow as tf

        call = tf.function(construct(backend, CONFIG), input_signature=[tf.TensorSpec((None, None, None, 3))])
    else:
        import torch

        model = construct(backend, CONFIG)
        x = np.moveaxis(x, -1, 1).copy()

        def call(x):
            return torch.export.export(model, (torch.from_numpy(x),))

    with pytest.raises(Exception, match=re.escape(str(expected))):
        call(x)


def test_what_is_no_tensor_is_refused_by_torch():
    backend = pytest.importorskip("subpixel_torch", reason="torch is not installed")
    assert str(refusal(backend.ResidualUNet(CONFIG), np.zeros((1, 2, 5, 7)))) == "x must be a Tensor; got ndarray"


# --- parameters ---

WRONG_PARAMETERS = {
    "missing": lambda p: {name: value for name, value in p.items() if name != "stem.bias"},
    "statistics missing": lambda p: {name: value for name, value in p.items() if name != "head.norm.variance"},
    "all missing": lambda p: {},
    "renamed": lambda p: {"stem.weight" if name == "stem.kernel" else name: value for name, value in p.items()},
    "unknown": lambda p: p | {"steps": np.zeros(1, np.float32)},
    "shape": lambda p: p | {"stem.kernel": p["stem.kernel"].transpose(3, 2, 0, 1)},
    "an axis more": lambda p: p | {"head.0.bias": p["head.0.bias"][None]},
    "a number": lambda p: p | {"stem.bias": np.float32(0)},
    "of another width": lambda p: p | {"encoder.1.0.norm2.mean": np.zeros(3, np.float32)},
}


@pytest.mark.parametrize("what", WRONG_PARAMETERS)
def test_parameters_that_are_none_are_refused_as_the_core_does(backend, what):
    params, x = WRONG_PARAMETERS[what](parameters(CONFIG)), np.zeros((1, 5, 7, 2), np.float32)
    expected = refusal(core.residual_unet, params, x, CONFIG)
    same(expected, apply, backend, CONFIG, params, x)


def test_a_refused_set_of_parameters_leaves_the_model_as_it_was(backend):
    if backend.__name__ == "subpixel_jax":
        pytest.skip("a pytree is what it is")
    model = construct(backend, CONFIG)
    before = backend.get_parameters(model)
    refusal(backend.set_parameters, model, parameters(CONFIG, seed=1) | {"head.0.bias": np.zeros(4, np.float32)})
    after = backend.get_parameters(model)
    assert all(after[name].tobytes() == value.tobytes() for name, value in before.items())


# --- weight files ---

CONTENTS = {
    f"tensor-{slug}": lambda change=change: written(change(IMAGE.tensors("float32")), IMAGE.metadata("DCR"))
    for slug, (change, *_) in WRONG_TENSORS.items()
}
CONTENTS |= {slug: content for slug, (content, *_) in DAMAGED.items()}
CONTENTS |= {f"version-{version}": lambda version=version: told(spec_version=version) for version in ("1.1", "2.0", "10.0")}


@pytest.mark.parametrize("what", CONTENTS)
def test_a_file_that_is_none_is_refused_as_the_core_does(backend, tmp_path, what):
    path = tmp_path / "my network"
    path.write_bytes(CONTENTS[what]())
    expected = refusal(core.load_weights, path)
    assert str(path) in str(expected)
    same(expected, backend.load_weights, path)
    same(expected, backend.load_weights, str(path), order="RCD")


@pytest.mark.parametrize("order", ["dcr", "", 3, ["DCR"]], ids=repr)
def test_an_order_that_there_is_not_is_refused_as_the_core_does(backend, tmp_path, order):
    core.save_weights(tmp_path / "network", parameters(CONFIG), CONFIG)
    same(refusal(core.load_weights, tmp_path / "network", order=order), backend.load_weights, tmp_path / "network", order=order)


def test_a_file_that_cannot_be_opened_is_the_operating_systems_to_name(backend, tmp_path):
    fresh = construct(backend, CONFIG)
    rest = (fresh, CONFIG) if backend.__name__ == "subpixel_jax" else (fresh,)
    with pytest.raises(FileNotFoundError, match="network"):
        backend.load_weights(tmp_path / "network")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        backend.save_weights(tmp_path / "nowhere" / "network", *rest)
    with pytest.raises(IsADirectoryError):
        backend.save_weights(tmp_path, *rest)
    assert list(tmp_path.iterdir()) == []


def test_parameters_that_are_none_are_not_saved_over_a_file_that_is_whole(tmp_path):
    backend = pytest.importorskip("subpixel_jax", reason="jax is not installed")
    path = tmp_path / "network"
    core.save_weights(path, parameters(CONFIG), CONFIG)
    content = path.read_bytes()
    changes = [*WRONG_PARAMETERS.values(), lambda p: p | {"stem.bias": p["stem.bias"].astype(np.float16)}]
    for change in changes:
        params = change(parameters(CONFIG, seed=1))
        same(refusal(core.save_weights, path, params, CONFIG), backend.save_weights, path, grouped(params, CONFIG), CONFIG)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["network"]
