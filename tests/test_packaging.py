"""The names that the outside may rely on, with their signatures; the version; what the distribution holds."""

import inspect
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import subpixel_core

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Without annotations. "order" has a default in the frameworks only, each its own.
CORE = {
    "phase_shift": "(x, scale, *, order, data_format='channels_last')",
    "inverse_phase_shift": "(x, scale, *, order, data_format='channels_last')",
    "channel_permutation": "(channels, scale, *, source, target)",
    "conv": "(x, kernel, bias=None, *, padding='same')",
    "conv_transpose": "(x, kernel, bias=None, *, stride, padding=0, output_padding=0)",
    "nearest_upsample": "(x, scale)",
    "subpixel_conv": "(x, kernel, bias=None, *, scale, order, padding='same')",
    "icnr": "(kernel, scale, *, order)",
    "icnr_bias": "(bias, scale, *, order)",
    "icnr_residual": "(kernel, scale, *, order, bias=None)",
    "plan_stages": "(scale, in_channels, out_channels, *, kernel_size=3, ndim=2, factors=None, width=None, bias=True, separable=False, "
    "objective='parameters', max_parameters=None)",
    "box_blur": "(x, scale)",
    "checkerboard": "(y, scale)",
}
TORCH_SHIFT = "(x, scale, *, order='CRD', data_format='channels_first')"
OTHER_SHIFT = "(x, scale, *, order='DCR', data_format='channels_last')"
TORCH_LAYER = "(in_channels, out_channels, kernel_size, scale, *, "
KERAS_LAYER = "(filters, kernel_size, scale, *, "
BACKENDS = {
    "torch": {
        "phase_shift": TORCH_SHIFT,
        "inverse_phase_shift": TORCH_SHIFT,
        "icnr_": "(weight, scale, *, order='CRD', initializer=",
        "PhaseShift": "(scale, *, order='CRD')",
        **{f"SubpixelConv{n}d": TORCH_LAYER for n in (1, 2, 3)},
        **{f"ChainedSubpixelConv{n}d": TORCH_LAYER for n in (1, 2, 3)},
    },
    "tensorflow": {
        "phase_shift": OTHER_SHIFT,
        "inverse_phase_shift": OTHER_SHIFT,
        "ICNR": "(initializer, scale, order='DCR')",
        "PhaseShift": "(scale, *, order='DCR', data_format='channels_last', **kwargs)",
        "InversePhaseShift": "(scale, *, order='DCR', data_format='channels_last', **kwargs)",
        **{f"SubpixelConv{n}D": KERAS_LAYER for n in (1, 2, 3)},
        **{f"ChainedSubpixelConv{n}D": KERAS_LAYER for n in (1, 2, 3)},
    },
    "jax": {
        "phase_shift": OTHER_SHIFT,
        "inverse_phase_shift": OTHER_SHIFT,
        "icnr": "(initializer, scale, order='DCR')",
        "init_subpixel_conv": "(key, in_channels, out_channels, kernel_size, scale, *, ",
        "subpixel_conv": "(params, x, *, scale, ",
    },
}
LAYER_OPTIONS = {"padding": "same", "separable": False, "blur": False}
CHAIN_OPTIONS = {**LAYER_OPTIONS, "factors": None, "width": None, "activation": None}


def signature(function):
    """Return the signature as text, without annotations."""
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in inspect.signature(function).parameters.values()]
    return str(inspect.Signature(parameters))


def package(backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    return import_module(f"subpixel_{backend}")


@pytest.mark.parametrize("name", CORE)
def test_the_core_has_its_promised_signatures(name):
    assert signature(getattr(subpixel_core, name)) == CORE[name]
    assert name in subpixel_core.__all__


def test_everything_that_the_core_exports_is_there_and_documented():
    for name in subpixel_core.__all__:
        value = getattr(subpixel_core, name)
        if inspect.isfunction(value) or (inspect.isclass(value) and value.__module__.startswith("subpixel_core")):
            assert value.__doc__, name


def test_a_plan_has_its_promised_quantities():
    plan = subpixel_core.plan_stages(6, 4, 4)
    assert [stage.scale for stage in plan.stages] == [(2, 2), (3, 3)]
    assert isinstance(plan.parameters, int)
    assert isinstance(plan.macs((3, 4)), int)
    assert len(plan.activations((3, 4))) == 2
    assert len(plan.receptive_field) == 2


@pytest.mark.parametrize(("backend", "name"), [(backend, name) for backend, names in BACKENDS.items() for name in names])
def test_a_backend_has_its_promised_signatures(backend, name):
    value, expected = getattr(package(backend), name), BACKENDS[backend][name]
    actual = signature(value)
    assert actual == expected if expected.endswith(")") else actual.startswith(expected)
    assert value.__doc__
    assert name in package(backend).__all__


@pytest.mark.parametrize("backend", BACKENDS)
def test_everything_that_a_backend_exports_is_there(backend):
    exported = package(backend)
    assert sorted(exported.__all__) == sorted(set(exported.__all__))
    assert all(hasattr(exported, name) for name in exported.__all__)
    assert set(BACKENDS[backend]) <= set(exported.__all__)


@pytest.mark.parametrize(
    ("backend", "name", "order"),
    [
        *[("torch", f"{prefix}SubpixelConv{n}d", "CRD") for prefix in ("", "Chained") for n in (1, 2, 3)],
        *[("tensorflow", f"SubpixelConv{n}D", "DCR") for n in (1, 2, 3)],
    ],
)
def test_the_layers_default_to_same_padding_a_bias_and_the_order_of_their_framework(backend, name, order):
    parameters = inspect.signature(getattr(package(backend), name)).parameters
    options = CHAIN_OPTIONS if name.startswith("Chained") else LAYER_OPTIONS
    assert {option: parameters[option].default for option in options} == options
    assert parameters["bias" if backend == "torch" else "use_bias"].default is True
    assert parameters["order"].default == order
    assert all(parameters[option].kind is inspect.Parameter.KEYWORD_ONLY for option in options)


def test_the_torch_layers_take_a_device_and_a_dtype():
    for name in [name for name in BACKENDS["torch"] if "Conv" in name]:
        parameters = inspect.signature(getattr(package("torch"), name)).parameters
        assert [parameters[option].default for option in ("device", "dtype")] == [None, None]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_an_adapter(backend):
    package(backend)
    adapter = import_module(f"subpixel_{backend}.adapter").adapter
    assert adapter.name == f"subpixel_{backend}"
    assert set(adapter.devices()) == set(adapter.claims["devices"])
    assert set(adapter.modes("cpu")) == set(adapter.claims["modes"])
    assert set(adapter.claims["orders"]) == set(subpixel_core.ORDERS)


# --- versions and the distribution ---


def test_the_versions_are_those_of_the_distribution():
    assert subpixel_core.SPEC_VERSION == "1.0"
    assert re.fullmatch(rf"{re.escape(subpixel_core.SPEC_VERSION)}\.\d+", subpixel_core.__version__)
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "subpixel_core/_version.py"


def test_the_distribution_holds_every_package_under_its_import_name():
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(Path(folder).name for folder in packages) == [
        "subpixel_conformance",
        "subpixel_core",
        "subpixel_jax",
        "subpixel_tensorflow",
        "subpixel_torch",
    ]
    for folder in packages:
        assert (ROOT / folder / "__init__.py").is_file()
        assert (ROOT / folder / "py.typed").is_file() or folder.endswith("conformance")
    assert not (ROOT / "backends" / "__init__.py").exists()
    assert not (ROOT / "conformance" / "__init__.py").exists()


def test_numpy_is_the_only_dependency_and_every_framework_an_extra():
    project = PYPROJECT["project"]
    assert [re.match(r"[\w-]+", requirement)[0] for requirement in project["dependencies"]] == ["numpy"]
    assert {"torch", "tensorflow", "jax", "conformance", "all"} <= set(project["optional-dependencies"])
    for extra in ("torch", "tensorflow", "jax"):
        assert any(requirement.startswith(extra) for requirement in project["optional-dependencies"][extra])


def test_the_command_line_is_declared_where_it_is():
    module, _, attribute = PYPROJECT["project"]["scripts"]["subpixel"].partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_the_constraints_satisfy_what_they_constrain():
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    requirements = [*PYPROJECT["project"]["dependencies"], *(requirement for extra in extras for requirement in extra)]
    bounds = re.findall(r"^([\w-]+)>=([\d.]+)$", "\n".join(requirements), re.MULTILINE)
    assert len(bounds) >= 10
    for name, least in bounds:
        assert [*map(int, pinned[name].split("."))] >= [*map(int, least.split("."))], name
