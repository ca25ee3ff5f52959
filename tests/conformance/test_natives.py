"""The natives of the frameworks, judged on what their documentation says; and that Keras contradicts itself between backends."""

import subprocess
import sys
from dataclasses import replace

import pytest

from subpixel_conformance import registry, runner

KERAS = ("keras-tensorflow", "keras-jax", "keras-torch")
FORMATS = {"channels_first", "channels_last"}


UNCOMPILED = """
from subpixel_conformance.adapters.{module} import {name}

class Uncompiled({name}):
    claims = {name}.claims | {{"modes": ("eager",)}}

adapter = Uncompiled()
"""


def uncompiled(folder, spec, module, name):
    """Return a spec for the native that claims no compiled modes: compilers take longer than everything else together."""
    path = folder / f"{module}.py"
    path.write_text(UNCOMPILED.format(module=module, name=name), encoding="utf-8")
    return replace(spec, target=f"{path}:adapter")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("natives")
    specs = [registry.find(name) for name in KERAS]
    specs.append(uncompiled(folder, registry.find("tensorflow-native"), "tensorflow_native", "TensorFlowNative"))
    specs.append(uncompiled(folder, registry.find("torch-native"), "torch_native", "TorchNative"))
    outcome = runner.conform([(spec, True) for spec in specs], devices=("cpu",), jobs=2, photograph=False)
    return {run.adapter: run for run in outcome.runs} | {
        missing.adapter: missing.reason for missing in outcome.missing if missing.device is None
    }


def judged(runs, name):
    if isinstance(runs[name], str):
        pytest.skip(runs[name])
    assert not runs[name].error
    return runs[name]


def wrong(run):
    return {result.case: result for result in run.results if result.status in runner.WRONG}


def formats(case):
    return {name for name in FORMATS if name in case}


def test_tensorflow_meets_what_it_documents(runs):
    assert judged(runs, "tensorflow-native").verdict == "conforming"


def test_torch_meets_what_it_documents_except_that_unshuffling_nothing_keeps_the_shape(runs):
    found = wrong(judged(runs, "torch-native"))
    assert found
    assert all(name.startswith(("IP-003/empty", "IP-003/combined-inverse-empty", "IP-001/sampled")) for name in found)
    assert any(name.startswith("IP-003/empty") for name in found)
    assert all("must be shape" in result.message for result in found.values())


def test_keras_on_tensorflow_is_dcr_in_both_formats(runs):
    run = judged(runs, "keras-tensorflow")
    assert run.verdict == "conforming"
    passed = [result.case for result in run.results if result.status == "pass" and result.clauses[0] == "PS-001"]
    assert {name for case in passed for name in formats(case)} == FORMATS


@pytest.mark.parametrize("name", ["keras-jax", "keras-torch"])
def test_keras_on_jax_and_torch_is_crd_in_channels_first_alone(runs, name):
    run = judged(runs, name)
    found = wrong(run)
    assert {"PS-001", "PS-005", "IP-001"} <= {clause for result in found.values() for clause in result.clauses}
    assert {result.order_found for result in found.values()} == {"CRD"}
    assert all(formats(case) == {"channels_first"} for case in found if formats(case))
    assert found["PS-001/combined-DCR"].message.endswith("; wrong for data_format=channels_first")
    labelled = [result for result in run.results if result.clauses[0] in ("PS-001", "IP-001") and result.status in runner.JUDGED]
    labelled = [result for result in labelled if formats(result.case)]
    assert all((result.status == "pass") == ("channels_last" in result.case) for result in labelled)
    assert len({result.status for result in labelled}) == 2


def test_the_reproduction_runs_by_itself_and_shows_the_wrong_value(runs, tmp_path):
    found = next(result for result in wrong(judged(runs, "keras-jax")).values() if result.clauses[0] == "PS-001" and result.reproduction)
    assert "subpixel" not in found.reproduction
    shown = subprocess.run([sys.executable, "-c", found.reproduction], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    actual, _, expected = shown.strip().splitlines()[-1].partition(" must be ")
    assert float(actual) != float(expected)
