"""Whatever an adapter does, the runner ends with a status for it and keeps what was judged."""

import subprocess
import sys
from types import MappingProxyType

import numpy as np
import pytest

from subpixel_conformance import photograph, registry, runner
from subpixel_conformance.adapters import reference
from subpixel_conformance.known import KnownFailure
from subpixel_conformance.result import Result

from .fakes import write_fake


def conform(*targets, peers=(), **options):
    specs = [(registry.located(target), True) for target in targets] + [(registry.located(target), False) for target in peers]
    return runner.conform(specs, **{"photograph": False, "timeout": 60.0} | options)


def statuses(run):
    return {result.status for result in run.results}


def test_a_correct_adapter_conforms_to_its_claims_and_everything_planned_ran(tmp_path):
    outcome = conform(write_fake(tmp_path))
    (run,) = outcome.runs
    assert (run.verdict, outcome.exit_code, run.error) == ("conforming", 0, "")
    assert run.judged > 5
    assert len(run.results) == len(run.planned)
    assert [result.case for result in run.results] == [case.id for case in run.planned]
    assert (run.name, run.device, run.versions) == ("fake", "cpu", {"fake": "false"})
    assert run.counts["pass"] == run.judged
    assert run.counts["not_claimed"] == len(run.planned) - run.judged


def test_what_an_adapter_prints_spoils_nothing(tmp_path):
    noise = 'print("{\\"type\\": \\"footer\\"}"); sys.stderr.write("x" * 100); os.write(1, b"\\xff\\xfe")'
    outcome = conform(write_fake(tmp_path, body=noise, before="print('hello')"))
    assert outcome.exit_code == 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("raise RuntimeError('no such luck')", "", "RuntimeError: no such luck"),
        ("raise SystemExit(0)", "", "SystemExit"),
        ("import os; os._exit(0)", "", "ended with status 0 while the adapter was loaded"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "", "was killed by SIGSEGV while the adapter was loaded"),
        ("import a_package_that_is_not_there", "", "ModuleNotFoundError"),
        ("", "adapter = 3", "must have claims"),
        ("", "Fake.claims = 3", "must be a mapping"),
        ("", "del adapter", "there is no 'adapter'"),
        ("", "Fake.devices = lambda self: 1 / 0", "ZeroDivisionError"),
    ],
)
def test_an_adapter_that_cannot_be_loaded_is_an_error_with_its_reason(tmp_path, before, after, said):
    outcome = conform(write_fake(tmp_path, before=before, after=after))
    (run,) = outcome.runs
    assert said in run.error
    assert (run.verdict, outcome.exit_code) == ("incomplete", 3)


def test_a_process_that_dies_costs_one_case_and_the_rest_is_judged(tmp_path):
    outcome = conform(write_fake(tmp_path, body="if once(): sys.stderr.write('good bye'); sys.stderr.flush(); os._exit(7)"))
    (run,) = outcome.runs
    crashed = [result for result in run.results if result.status == "crash"]
    assert len(crashed) == 1
    assert "ended with status 7 in this case" in crashed[0].message
    assert "good bye" in crashed[0].message
    assert crashed[0].clauses
    assert sorted(result.case for result in run.results) == sorted(case.id for case in run.planned)
    assert (run.verdict, outcome.exit_code, run.note) == ("non-conforming", 1, "")


def test_a_process_that_always_dies_is_given_up(tmp_path):
    outcome = conform(write_fake(tmp_path, body="os._exit(1)"))
    (run,) = outcome.runs
    assert run.counts["crash"] == runner.RESTARTS + 1
    assert [result.case for result in run.results] == [case.id for case in run.planned]
    left = [result for result in run.results if result.status == "not_run"]
    assert len(left) == len(run.planned) - run.ran == run.counts["not_run"] > 0
    assert {result.message for result in left} == {run.note} == {"given up after 4 lost processes"}
    assert (run.verdict, outcome.exit_code) == ("non-conforming", 1)


def test_a_run_that_is_given_up_has_more_than_known_failures(tmp_path):
    fake = write_fake(tmp_path, body="os._exit(1)")
    (before,) = conform(fake).runs
    known = [KnownFailure("here", "it dies", case=result.case) for result in before.results if result.status == "crash"]
    outcome = conform(fake, known=known)
    (run,) = outcome.runs
    assert run.counts["known_failure"] == runner.RESTARTS + 1
    assert not outcome.only_known
    assert (run.verdict, outcome.exit_code) == ("non-conforming", 1)


def test_a_process_that_hangs_is_ended_and_the_rest_is_judged(tmp_path):
    outcome = conform(write_fake(tmp_path, body="if once(): time.sleep(10_000)"), timeout=6.0)
    (run,) = outcome.runs
    crashed = [result for result in run.results if result.status == "crash"]
    assert len(crashed) == 1
    assert "did nothing for 6 seconds" in crashed[0].message
    assert len(run.results) == len(run.planned)


@pytest.mark.parametrize("body", ["return None", "return 'text'", "raise ValueError('no')", "return x"])
def test_wrong_answers_are_not_conforming_and_not_the_suites_fault(tmp_path, body):
    outcome = conform(write_fake(tmp_path, body=body))
    (run,) = outcome.runs
    assert statuses(run) & {"fail", "error"}
    assert "crash" not in statuses(run)
    assert not run.error
    assert outcome.exit_code == 1


@pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt()", "BaseException('no more')", "GeneratorExit()"])
def test_whatever_an_adapter_raises_in_a_case_is_an_error_of_the_case(tmp_path, raised):
    outcome = conform(write_fake(tmp_path, body=f"raise {raised}"))
    (run,) = outcome.runs
    assert len(run.results) == len(run.planned)
    assert statuses(run) == {"error", "not_claimed"}
    assert all(raised.partition("(")[0] in result.message for result in run.results if result.status == "error")
    assert not run.error
    assert outcome.exit_code == 1


def test_every_device_present_is_judged_in_a_run_of_its_own(tmp_path):
    outcome = conform(write_fake(tmp_path, devices='{"cpu": None, "fast": None, "cuda": "there is no GPU"}'), jobs=2)
    assert [(run.device, run.verdict) for run in outcome.runs] == [("cpu", "conforming"), ("fast", "conforming")]
    assert [(missing.device, missing.reason, missing.required) for missing in outcome.missing] == [("cuda", "there is no GPU", False)]
    assert outcome.exit_code == 0


def test_a_device_that_is_asked_for_and_missing_is_incomplete(tmp_path):
    target = write_fake(tmp_path, devices='{"cpu": None, "cuda": "there is no GPU"}')
    outcome = conform(target, devices=("cuda",))
    assert outcome.runs == ()
    assert (outcome.verdict, outcome.exit_code) == ("incomplete", 4)
    outcome = conform(target, devices=("cpu", "cuda"))
    assert [run.device for run in outcome.runs] == ["cpu"]
    assert (outcome.verdict, outcome.exit_code) == ("incomplete", 4)


def test_a_device_that_nobody_claims_leaves_nothing_judged(tmp_path):
    outcome = conform(write_fake(tmp_path), devices=("tpu",))
    assert [missing.reason for missing in outcome.missing] == ["it does not claim tpu; with --device cpu it can be judged here"]
    assert outcome.exit_code == 4


def test_an_adapter_without_any_device_here_is_not_left_out_in_silence(tmp_path):
    targets = [write_fake(tmp_path), write_fake(tmp_path, name="fast", devices='{"cuda": "there is no GPU", "tpu": "there is no TPU"}')]
    outcome = runner.conform([(registry.located(target), True) for target in targets], photograph=False, timeout=60.0)
    assert [run.verdict for run in outcome.runs] == ["conforming"]
    assert [(missing.device, missing.required) for missing in outcome.missing] == [("cuda", True), ("tpu", True)]
    assert outcome.missing[0].reason == "there is no GPU; no device that it claims is here"
    assert (outcome.verdict, outcome.exit_code) == ("incomplete", 4)


def test_nothing_claimed_is_not_conforming_to_it(tmp_path):
    outcome = conform(write_fake(tmp_path, after="Fake.claims = {'operations': ()}"))
    (run,) = outcome.runs
    assert (run.judged, run.verdict, outcome.exit_code) == (0, "incomplete", 4)


def test_a_peer_is_judged_and_not_counted(tmp_path):
    outcome = conform(
        write_fake(tmp_path), peers=[write_fake(tmp_path, name="wrong", body="return x"), write_fake(tmp_path, name="bad", before="1 / 0")]
    )
    assert [(run.verdict, run.counted) for run in outcome.runs] == [("conforming", True), ("non-conforming", False), ("incomplete", False)]
    assert outcome.exit_code == 0


def test_an_absent_framework_is_found_without_an_import_and_said():
    spec = registry.Spec("mine", "mine:adapter", (("a_package_that_is_not_there", "pip install it"),))
    outcome = runner.conform([(spec, True)], photograph=False)
    assert [missing.reason for missing in outcome.missing] == ["a_package_that_is_not_there is not installed; pip install it"]
    assert not outcome.missing[0].required
    outcome = runner.conform([(spec, True)], required=("mine",), photograph=False)
    assert outcome.missing[0].required
    assert outcome.exit_code == 4


def test_a_required_backend_that_is_absent_makes_the_whole_incomplete(tmp_path):
    spec = registry.Spec("mine", "mine:adapter", (("a_package_that_is_not_there", "pip install it"),))
    there = registry.located(write_fake(tmp_path))
    assert runner.conform([(there, True), (spec, True)], photograph=False).exit_code == 0
    assert runner.conform([(there, True), (spec, True)], required=("mine",), photograph=False).exit_code == 4


IMPORTED = """
import sys
from subpixel_conformance.cli import main
if len(sys.argv) > 2:
    import {extra}
try:
    main(["conform", "--adapter", sys.argv[1], "--no-photograph"])
finally:
    frameworks = {{"torch", "tensorflow", "keras", "jax", "wave"}} & set(sys.modules)
    sys.stderr.write(f"imported: {{sorted(frameworks)}}")
"""


def test_the_parent_imports_no_framework_and_this_test_would_see_it(tmp_path):
    target = write_fake(tmp_path, before="import wave")
    script = IMPORTED.format(extra="wave")
    assert "imported: []" in subprocess.run([sys.executable, "-c", script, target], capture_output=True, text=True, check=True).stderr
    seen = subprocess.run([sys.executable, "-c", script, target, "x"], capture_output=True, text=True, check=True).stderr
    assert "imported: ['wave']" in seen


def result(status):
    return Result("case", ("PS-001",), "shift", status)


@pytest.mark.parametrize(
    ("found", "planned", "verdict"),
    [
        (["pass"], 1, "conforming"),
        (["pass", "not_claimed", "unavailable"], 3, "conforming"),
        (["pass", "fail"], 2, "non-conforming"),
        (["pass", "error"], 2, "non-conforming"),
        (["pass", "crash"], 5, "non-conforming"),
        (["pass"], 2, "incomplete"),
        (["pass", "not_run"], 2, "incomplete"),
        (["pass", "crash", "not_run"], 3, "non-conforming"),
        (["not_claimed", "unavailable"], 2, "incomplete"),
        ([], 0, "incomplete"),
    ],
)
def test_verdicts(found, planned, verdict):
    run = runner.Run(
        "fake", "", True, "cpu", planned=[runner.Case("case", (), "shift")] * planned, results=[result(status) for status in found]
    )
    assert run.verdict == verdict


def test_a_photograph_that_comes_out_wrong_is_not_conforming():
    run = runner.Run("fake", "", True, "cpu", planned=[runner.Case("case", (), "shift")], results=[result("pass")])
    run.exhibits = {"photograph": {"cells": [[True, True], [True, True]]}}
    assert run.verdict == "conforming"
    run.exhibits = {"photograph": {"cells": [[True, True], [True, False]]}}
    assert run.verdict == "non-conforming"


# --- the exhibits ---


@pytest.fixture(scope="module")
def exhibit(tmp_path_factory):
    pytest.importorskip("skimage")
    path = tmp_path_factory.mktemp("exhibit") / "exhibit.npz"
    photograph.prepare(path)
    return path


def test_only_the_diagonal_is_the_photograph(exhibit):
    with np.load(exhibit) as arrays:
        for taken in photograph.ORDERS:
            for put in photograph.ORDERS:
                assert np.array_equal(arrays[f"cell_{taken}_{put}"], arrays["photograph"]) == (taken == put)


def test_the_reference_gives_all_sixteen_cells_and_saves_them(exhibit, tmp_path):
    shown = photograph.judge_photograph(reference.adapter, "cpu", exhibit, tmp_path / "pictures")
    assert shown["cells"] == [[True] * 4] * 4
    with np.load(tmp_path / "pictures.photograph.npz") as saved:
        assert sorted(saved) == sorted(f"cell_{taken}_{put}" for taken in photograph.ORDERS for put in photograph.ORDERS)


@pytest.mark.parametrize("devices", [(), ("cpu",)], ids=["every device", "cpu"])
def test_the_pictures_reach_the_report_from_the_process_that_made_them(devices):
    pytest.importorskip("skimage")
    outcome = conform("subpixel_conformance.adapters.reference:adapter", photograph=True, devices=devices)
    cells = {f"cell_{taken}_{put}" for taken in photograph.ORDERS for put in photograph.ORDERS}
    layers = {f"layer_{name}" for name in photograph.VARIANTS}
    assert set(outcome.pictures) == cells | layers


class Swapped:
    """The reference, but it takes one order for another."""

    claims = reference.adapter.claims

    def __getattr__(self, name):
        return getattr(reference.adapter, name)

    def phase_shift(self, x, scale, *, order, data_format):
        return reference.adapter.phase_shift(x, scale, order={"DRC": "DCR"}.get(order, order), data_format=data_format)


def test_an_order_taken_for_another_is_seen_in_its_column_and_not_saved(exhibit, tmp_path):
    shown = photograph.judge_photograph(Swapped(), "cpu", exhibit, tmp_path / "pictures")
    assert shown["cells"] == [[True, True, False, True]] * 4
    assert not list(tmp_path.iterdir())


def test_the_checkerboard_is_zero_with_icnr_and_its_bias_and_only_then(exhibit):
    shown = photograph.judge_checkerboard(reference.adapter, "cpu", exhibit, None)
    assert shown["constructed"] < 1e-12
    assert shown["variants"]["icnr"] < 1e-12
    assert all(shown["variants"][name] > 0.05 for name in ("bias", "kernel", "both"))


def test_one_order_alone_has_no_photograph(exhibit):
    class One(Swapped):
        claims = MappingProxyType({"orders": ("DCR",), "dtypes": ("uint8",)})

    assert photograph.judge_photograph(One(), "cpu", exhibit, None) == {"absent": "it does not claim CRD, DRC, RCD"}
