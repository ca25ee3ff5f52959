"""The adapters of published implementations, each judged where it is installed; and what ``subpixel identify`` says of their functions."""

import ast
import importlib.metadata
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from subpixel_conformance import cli, identify, oracle, registry, runner
from subpixel_conformance.adapter import Claims, LayerConfig
from subpixel_conformance.adapters import tensors
from subpixel_conformance.case import Needs, claims_of
from subpixel_conformance.cases import all_cases
from subpixel_conformance.cases.shift import CLAUSE_OF_ORDER
from subpixel_conformance.judge import judge

ADAPTERS = Path(registry.__file__).parent / "adapters"
PUBLISHED = [spec for spec in registry.PEERS if spec not in registry.BUILT_IN and not spec.unavailable]
RIGHT = (
    *("dm-pix", "einops", "onnx-reference", "onnxruntime", "onnxruntime-crd", "litert", "openvino", "paddle", "tinygrad", "tinygrad-crd"),
    "diffusers",
)
"""Peers whose every promise is kept, in the versions of constraints-peers.txt."""


def judged(name):
    spec = registry.find(name)
    absent = registry.absence(spec)
    if absent:
        pytest.skip(absent)
    (run,) = runner.conform([(spec, True)], devices=("cpu",), jobs=1, photograph=False).runs
    assert not run.error
    return run


def wrong(run):
    return {result.clauses[0] for result in run.results if result.status in runner.WRONG}


def passed(run):
    return {result.clauses[0] for result in run.results if result.status == "pass"}


# --- the registry ---


def test_at_least_ten_projects_have_an_adapter():
    specs = [spec for spec in registry.PEERS if not spec.unavailable]
    assert all(spec.project for spec in registry.PEERS)
    assert len({spec.project for spec in specs}) >= 10
    assert len({spec.name for spec in registry.PEERS}) == len(registry.PEERS)


def test_a_peer_is_found_by_name_and_is_not_judged_unasked():
    assert registry.find("einops").project == "einops"
    assert "einops" not in registry.registry()
    with pytest.raises(ValueError, match="einopz"):
        registry.find("einopz")


def test_a_project_that_cannot_be_judged_has_a_reason_and_needs_no_look():
    spec = registry.find("timm")
    assert "torchvision" in registry.absence(spec)
    outcome = runner.conform([(spec, False)], photograph=False)
    assert outcome.runs == ()
    assert [missing.adapter for missing in outcome.missing] == ["timm"]


@pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
def test_an_adapter_cites_the_documentation_and_uses_nothing_of_the_core(spec):
    module, _, attribute = spec.target.rpartition(":")
    source = (ADAPTERS / f"{module.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert "https://" in ast.get_docstring(tree)
    assert any(isinstance(node, ast.Assign) and node.targets[0].id == attribute for node in tree.body if isinstance(node, ast.Assign))
    assert "subpixel_core" not in source


# --- verdicts ---


@pytest.mark.parametrize("name", RIGHT)
def test_a_peer_keeps_what_it_promises(name):
    run = judged(name)
    assert wrong(run) == set()
    assert run.verdict == "conforming"
    assert run.judged >= 15


def test_monai_keeps_what_it_promises_and_is_not_judged_on_the_bias_that_it_does_not_speak_of():
    run = judged("monai")
    assert wrong(run) == set()
    assert {"PS-002", "IP-001", "IC-001", "IC-003", "SC-001", "ER-003"} <= passed(run)
    assert "for 2D/3D kernels" in importlib.import_module("monai.networks.utils").icnr_init.__doc__
    unclaimed = {result.clauses[0] for result in run.results if result.message == "how a layer starts: not claimed"}
    assert unclaimed == {"IC-002", "IC-004", "IC-010"}


def test_monai_upsample_drops_the_second_factor():
    run = judged("monai-upsample")
    assert wrong(run) == {"SC-001"}
    assert any("must be shape (3, 8, 15, 2); got shape (3, 8, 10, 3)" in result.message for result in run.results)


def test_fastai_initializes_for_scale_2_whatever_the_scale():
    run = judged("fastai")
    assert {"IC-004"} <= wrong(run) <= {"IC-004", "SC-001"}
    assert {"IC-001", "IC-003"} <= passed(run)


def test_transformers_cannot_divide_by_a_third_and_is_not_judged_on_views_that_it_does_not_speak_of():
    run = judged("transformers")
    assert wrong(run) == {"IP-001"}
    cases = {result.case: result.status for result in run.results}
    assert cases["IP-001/inverse-DCR-channels_last-2d-2x2-float32"] == "pass"
    assert cases["IP-001/inverse-DCR-channels_last-2d-3x3-float32"] == "error"
    assert "views that are not contiguous: not claimed" in {result.message for result in run.results}


# --- what we export, in other runtimes ---

EXPORTED = [spec for spec in registry.PEERS if spec.project == registry.EXPORTED]
JUDGED = ("PS-001", "PS-002", "PS-003", "PS-004", "IP-001", "SC-001")


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # of torch, to itself
@pytest.mark.parametrize("spec", EXPORTED, ids=lambda spec: spec.name)
def test_what_we_export_is_right_in_another_runtime_in_a_case_of_each_clause(spec):
    """All that is claimed takes minutes: `subpixel conform --backend` and the scoreboard judge it."""
    absent = registry.absence(spec)
    if absent:
        pytest.skip(absent)
    adapter = registry.load(spec.target)
    claims = claims_of(adapter)
    cases = {case.clauses[0]: case for case in reversed(all_cases()) if case.needs.missing(claims) is None}
    results = {clause: judge(cases[clause], adapter, "cpu") for clause in JUDGED if clause in cases}
    assert {clause: result.message for clause, result in results.items() if result.status != "pass"} == {}
    inverse = ("IP-001",) if "inverse_phase_shift" in claims.operations else ()
    assert set(results) == {*(CLAUSE_OF_ORDER[order] for order in claims.orders), *inverse, "SC-001"}


# --- claims of layers, bit patterns and views ---


def test_a_layer_is_claimed_by_any_pattern_that_it_fits():
    config = LayerConfig(2, 3, 2, (3, 3), (2, 2), "CRD")
    needs = Needs(("layer",), layer=config)
    for layers, claimed in [
        (None, True),
        ((), False),
        (({},), True),
        (({"kernel_size": (3, 3)},), True),
        (({"kernel_size": (1, 1)}, {"kernel_size": (3, 3), "separable": False}), True),
        (({"kernel_size": (3, 3), "separable": True},), False),
    ]:
        reason = needs.missing(Claims(operations=("layer",), layers=layers))
        assert reason == (None if claimed else "this layer is not claimed")


@pytest.mark.parametrize(("name", "words"), [("bit_patterns", "NaN payloads and the like"), ("strided", "views that are not contiguous")])
def test_bit_patterns_and_views_need_not_be_claimed(name, words):
    needs = Needs(("phase_shift",), **{name: True})
    assert needs.missing(Claims(**{name: False})) == f"{words}: not claimed"
    assert needs.missing(Claims()) is None
    assert {"layers", name} <= {field.name for field in fields(Claims)}


# --- identify ---

WRAPPERS = """
import numpy as np

def recipe(x, scale):
    import einops
    return einops.rearrange(x, "b (c h1 w1) h w -> b c (h h1) (w w1)", h1=scale[0], w1=scale[1])

def onnx_dcr(x, blocksize):
    from onnx import parser, reference
    node = f"y = DepthToSpace <blocksize={blocksize}> (x)"
    text = f'<ir_version: 10, opset_import: ["": 13]> g (float[n,c,h,w] x) => (float[n,d,e,f] y) {{ {node} }}'
    return reference.ReferenceEvaluator(parser.parse_model(text)).run(None, {"x": x})[0]

def tiny(x, block_size):
    from tinygrad import Tensor
    from tinygrad.nn.onnx import onnx_ops
    return onnx_ops["DepthToSpace"](Tensor(x), block_size, "CRD")

def dcr(x, dims, r):
    assert dims == 2 and isinstance(r, int)
    n, h, w, c = x.shape
    return x.reshape(n, h, w, r, r, -1).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * r, w * r, -1)

class Layer:
    def __init__(self, upscale_factor):
        self.r = upscale_factor
    def __call__(self, x):
        return dcr(x, 2, self.r)

def keyword_only(x, *, scale_factor, data_format):
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError("data_format must be NHWC or NCHW")
    return dcr(x, 2, scale_factor) if data_format == "NHWC" else np.moveaxis(dcr(np.moveaxis(x, 1, -1), 2, scale_factor), -1, 1)

def folded(x, scale):
    return np.ascontiguousarray(dcr(x, 2, scale)[:, ::-1])

def doubled(x, scale):
    return 2 * dcr(x, 2, scale)

def same(x, scale):
    return x

def back(x, scale):
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // scale[0], scale[0], w // scale[1], scale[1], c).transpose(0, 1, 3, 5, 2, 4)
    return blocks.reshape(n, h // scale[0], w // scale[1], -1)

def never(x, scale):
    raise OSError("no such thing")
"""


def answers(capsys, target):
    """Return the exit status and the answer for each data format."""
    status = cli.main(["identify", target])
    lines = capsys.readouterr().out.splitlines()
    return status, dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize(
    ("name", "status", "last", "first"),
    [
        ("dcr", 0, "DCR", "refused (ValueError: "),
        ("Layer", 0, "DCR", "refused (ValueError: "),
        ("keyword_only", 0, "DCR", "DCR"),
        ("back", 0, "CRD, as an inverse phase shift", "no phase shift: "),
        ("folded", 1, "a permutation of the shape of a phase shift, but none of the four orders", "refused (ValueError: "),
        ("doubled", 1, "no phase shift: the shape of one, but values that do not come from the input", "refused (ValueError: "),
        ("same", 1, "no phase shift: (2, 2, 3, 18) under the factors (2, 3) becomes (2, 2, 3, 18)", "no phase shift: "),
        ("never", 1, "refused (OSError: no such thing)", "refused (OSError: no such thing)"),
    ],
)
def test_identify_tells_an_order_from_a_permutation_from_nothing_from_a_refusal(capsys, tmp_path, name, status, last, first):
    (tmp_path / "mine.py").write_text(WRAPPERS, encoding="utf-8")
    found = answers(capsys, f"{tmp_path / 'mine.py'}:{name}")
    assert found[0] == status
    assert found[1]["channels_last"].startswith(last)
    assert found[1]["channels_first"].startswith(first)


FUNCTIONS = [
    ("torch", "torch.nn.functional:pixel_shuffle", "no phase shift", "CRD"),
    ("torch", "torch.nn.functional:pixel_unshuffle", "refused", "CRD, as an inverse phase shift"),
    ("torch", "torch.nn:PixelShuffle", "no phase shift", "CRD"),
    ("torch", "torch.nn.functional:interpolate", "no phase shift", "no phase shift"),
    ("monai", "monai.networks.utils:pixelshuffle", "no phase shift", "CRD"),
    ("monai", "monai.networks.utils:pixelunshuffle", "refused", "CRD, as an inverse phase shift"),
    ("dm_pix", "dm_pix:depth_to_space", "DCR", "refused"),
    ("dm_pix", "dm_pix:space_to_depth", "DCR, as an inverse phase shift", "no phase shift"),
    ("paddle", "paddle.nn.functional:pixel_shuffle", "CRD", "CRD"),
    ("diffusers", "diffusers.pipelines.ltx.modeling_latent_upsampler:PixelShuffleND", "no phase shift", "CRD"),
    ("transformers", "subpixel_conformance.adapters.transformers:pixel_shuffle", "DCR, as an inverse phase shift", "no phase shift"),
    ("transformers", "transformers.models.llama4.modeling_llama4:pixel_shuffle", "refused", "refused"),
    ("einops", "mine.py:recipe", "no phase shift", "CRD"),
    ("onnx", "mine.py:onnx_dcr", "no phase shift", "DCR"),
    ("tinygrad", "mine.py:tiny", "no phase shift", "CRD"),
]


@pytest.mark.parametrize(("needed", "target", "last", "first"), FUNCTIONS, ids=[target for _, target, _, _ in FUNCTIONS])
def test_identify_knows_the_functions_of_the_peers(capsys, tmp_path, monkeypatch, needed, target, last, first):
    distributions = importlib.metadata.packages_distributions()
    if needed not in distributions:
        pytest.skip(f"{needed} is not installed; make peers")
    monkeypatch.setenv("DEV", "PYTHON")
    if target.startswith("mine.py"):
        (tmp_path / "mine.py").write_text(WRAPPERS, encoding="utf-8")
        target = f"{tmp_path}/{target}"
    _, found = answers(capsys, target)
    assert found["channels_last"].startswith(last)
    assert found["channels_first"].startswith(first)


def test_identify_keeps_what_the_function_raised():
    found = identify.identify(lambda x, scale: {}[0])
    assert isinstance(found.refusal, KeyError)
    assert (found.order, found.answer) == (None, "refused (KeyError: 0)")


@pytest.mark.parametrize("order", ["DCR", "CRD", "DRC", "RCD"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_identify_names_every_order_of_an_inverse(order, data_format):
    def inverse(x, scale):
        return oracle.inverse_phase_shift(x, scale, order=order, data_format=data_format)

    found = identify.identify(inverse, data_format=data_format)
    assert (found.order, found.inverse, found.answer) == (order, True, f"{order}, as an inverse phase shift")
    assert identify.identify_order(inverse, data_format=data_format) is None


def test_tensors_are_converted_for_the_framework_that_a_module_belongs_to():
    assert next(tensors.conversions("mine"))([1.0]).tolist() == [1.0]
    assert len(list(tensors.conversions("monai.networks.utils"))) == 1
    assert tensors.to_numpy([np.ones(2)]).tolist() == [1.0, 1.0]
