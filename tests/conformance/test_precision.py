"""Strict precision is asked for, read back, and controlled where the hardware has TensorFloat-32: here by adapters that emulate it."""

import numpy as np
import pytest

from subpixel_conformance import registry, runner
from subpixel_conformance.cases import all_cases
from subpixel_conformance.judge import judge
from subpixel_conformance.mutants.honest import Honest, HonestLayer

from .fakes import write_fake


def tensor_float(x):
    """Round float32 to 10 bits of mantissa, to nearest, as the units of the hardware do with their inputs."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x0FFF) + ((bits >> np.uint32(13)) & np.uint32(1))) & np.uint32(0xFFFFE000)).view(np.float32)


class Emulating(Honest):
    """The oracle, which computes from rounded inputs where that is allowed. ``lies``: the switch reads as it was set, and does nothing."""

    def __init__(self, *, hardware=None, lies=False, deaf=False):
        super().__init__("emulating", layer=self._layer)
        self.hardware, self.lies, self.deaf, self.switch = hardware, lies, deaf, True

    def reduced_precision(self, device, allowed):
        if allowed is not None and not self.deaf:
            self.switch = allowed
        return {"emulated_tf32": self.switch}

    def reduces_precision(self, device):
        return self.hardware

    def _layer(self, config, device, parameters=None):
        rounds = self.switch or self.lies

        class Rounding(HonestLayer):
            def conv(self, x, kernel, bias, *, padding):
                return (
                    super().conv(tensor_float(x), tensor_float(kernel), bias, padding=padding)
                    if rounds
                    else super().conv(x, kernel, bias, padding=padding)
                )

        return Rounding(config, parameters)


def controlled(adapter):
    (case,) = [case for case in all_cases() if case.id == "SC-003/control-reduced-precision"]
    return judge(case, adapter, "cpu")


def test_the_bound_sees_reduced_precision_and_the_switch_is_left_as_it_was():
    adapter = Emulating()
    adapter.reduced_precision("cpu", False)
    found = controlled(adapter)
    assert (found.status, adapter.switch) == ("pass", False)
    assert 0 < found.ratio <= 1


def test_a_switch_that_does_nothing_is_found_in_both_directions():
    found = controlled(Emulating(lies=True))
    assert (found.status, found.ratio > 1) == ("fail", True)
    assert "without reduced precision (emulated_tf32 reads False) every output must be inside the bound" in found.message
    never = Emulating()
    never._layer = lambda config, device, parameters=None: HonestLayer(config, parameters)
    never.layer = never._layer
    found = controlled(never)
    assert found.status == "fail"
    assert "so the switches do nothing, or the bound sees nothing" in found.message


def test_a_switch_that_reads_otherwise_fails_the_control():
    assert "every switch must read False" in controlled(Emulating(deaf=True)).message


def test_without_the_hardware_or_the_method_the_control_is_unavailable_with_the_reason():
    found = controlled(Emulating(hardware="this is a CPU"))
    assert (found.status, found.message) == ("unavailable", "cpu: this is a CPU")
    assert controlled(Honest("plain")).status == "unavailable"


def test_cases_of_float32_find_a_lying_switch():
    adapter = Emulating(lies=True)
    adapter.reduced_precision("cpu", False)
    cases = [case for case in all_cases() if case.id.startswith("SC-003/normal") and case.id.endswith("float32")]
    assert {judge(case, adapter, "cpu").status for case in cases} == {"fail"}


SWITCH = """
def reduced_precision(self, device, allowed):
    if allowed is not None and not DEAF: self.switch = allowed
    return {"tf32": self.switch, "other": False}
Fake.switch = True
Fake.reduced_precision = reduced_precision
DEAF = """


@pytest.mark.parametrize(
    ("deaf", "precision", "read", "status"), [(False, "strict", False, 0), (False, "as-is", True, 0), (True, "as-is", True, 0)]
)
def test_the_switches_are_in_the_run_as_they_read(tmp_path, deaf, precision, read, status):
    target = write_fake(tmp_path, after=SWITCH + str(deaf))
    outcome = runner.conform([(registry.located(target), True)], precision=precision, photograph=False)
    assert outcome.runs[0].precision == {"tf32": read, "other": False}
    assert (outcome.precision, outcome.exit_code) == (precision, status)


def test_strict_precision_that_is_not_in_force_is_an_error_of_the_run(tmp_path):
    target = write_fake(tmp_path, after=SWITCH + "True")
    outcome = runner.conform([(registry.located(target), True)], photograph=False)
    assert outcome.runs[0].error == "RuntimeError: strict precision was asked for, and is not in force: tf32 reads True"
    assert (outcome.verdict, outcome.exit_code) == ("incomplete", 3)


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_our_switches_are_read_and_not_remembered(name):
    pytest.importorskip(name)
    adapter = registry.load(registry.find(name).target)
    for device in ("cpu", "cuda"):
        assert set(adapter.reduced_precision(device, False).values()) == {False}
    assert True in adapter.reduced_precision("cpu", True).values()
    assert True in adapter.reduced_precision("cpu", None).values()
    assert set(adapter.reduced_precision("cpu", False).values()) == {False}
    assert "float32" in adapter.reduces_precision("cpu")
