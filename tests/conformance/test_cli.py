"""The command: what it shows, its exit status, and one line for every mistake."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from subpixel_conformance import cli, registry, runner, terminal

from .fakes import outcome_of, result, write_fake


def run(capsys, *arguments):
    """Return the exit status, the output and the error output of one command."""
    try:
        status = cli.main(list(arguments))
    except SystemExit as ended:
        status = ended.code
    shown = capsys.readouterr()
    return status, shown.out, shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["perform"], "perform"),
        (["conform", "--backend", "numpi"], "numpi"),
        (["conform", "--peer", "numpi"], "numpi"),
        (["conform", "--adapter", "nonsense"], "pkg.mod:attr"),
        (["conform", "--adapter", "no/such/file.py:adapter"], "no/such/file.py"),
        (["conform", "--adapter", "pkg.mod:"], "pkg.mod:attr"),
        (["conform", "--adapter", ":adapter"], "pkg.mod:attr"),
        (["conform", "--adapter", "a b:adapter"], "pkg.mod:attr"),
        (["conform", "--profile", "slow"], "slow"),
        (["conform", "--jobs", "0"], "--jobs"),
        (["conform", "--timeout", "nan"], "--timeout"),
        (["conform", "--json", "."], "folder"),
        (["conform", "--html", "README.md/r.html"], "cannot be written"),
        (["explain", "PS-999"], "PS-012"),
        (["explain", "nonsense"], "IC"),
        (["identify", "nonsense"], "function must be"),
        (["identify", "no/such/file.py:f"], "no/such/file.py"),
        (["plan", "x", "--in", "3", "--out", "3"], "SCALE"),
        (["plan", "2.5", "--in", "3", "--out", "3"], "SCALE"),
        (["plan", "0", "--in", "3", "--out", "3"], "scale"),
        (["plan", "-2", "--in", "3", "--out", "3"], "scale"),
        (["plan", "2", "--in", "0", "--out", "3"], "--in"),
        (["plan", "2", "--in", "3"], "--out"),
        (["plan", "2,3", "--in", "3", "--out", "3", "--ndim", "3"], "scale"),
        (["plan", "2", "--in", "3", "--out", "3", "--spatial", "4", "5", "6"], "--spatial"),
        (["plan", "1048577", "--in", "3", "--out", "3"], "SCALE"),
        (["conform", "--known-failures", "no-such.toml"], "no-such.toml"),
        (["conform", "--json", "x", "--junit", "x"], "more than once"),
        (["verify", "no-such.json"], "no-such.json"),
        (["diff", "no-such.json", "no-such.json"], "no-such.json"),
        (["vectors", "check", "no-such"], "no-such"),
        (["convert", "no-such.onnx"], "no-such.onnx"),
        (["cite", "--format", "prose"], "prose"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_and_status_2(capsys, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("fake.py:adaptor", "there is no 'adaptor'; it has adapter"),
        ("fake.py:nothing_like_it", "there is no 'nothing_like_it'"),
        ("fake.py:os", "an adapter must have claims"),
        ("no_such_package:adapter", "there is no 'no_such_package'"),
        ("json.no_such_module:adapter", "there is no 'json.no_such_module'"),
        ("json:adapter", "there is no 'adapter'"),
    ],
)
def test_an_adapter_that_is_not_where_it_was_said_to_be_is_a_mistake_in_the_command(capsys, monkeypatch, tmp_path, target, said):
    monkeypatch.chdir(tmp_path)
    write_fake(tmp_path)
    (tmp_path / "r.jsonl").write_text("the one before", encoding="utf-8")
    others = ("--adapter", "fake.py:adapter", "--json", "r.json", "--jsonl", "r.jsonl")
    status, _, err = run(capsys, "conform", "--no-photograph", "--adapter", target, *others)
    assert (status, err.count("\n")) == (2, 1)
    assert said in err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["fake.py", "r.jsonl"]
    assert (tmp_path / "r.jsonl").read_text(encoding="utf-8") == "the one before"


def test_an_adapter_that_breaks_while_it_is_loaded_is_no_mistake_in_the_command(capsys, tmp_path):
    for number, before in enumerate(("import no_such_package", "from json import no_such_name", "[].no_such_attribute")):
        target = write_fake(tmp_path, name=f"fake{number}", before=before)
        status, out, _ = run(capsys, "conform", "--adapter", target, "--no-photograph")
        assert (status, "no_such" in out) == (3, True)


def test_cases_are_judged_by_several_processes_at_a_time(capsys, tmp_path):
    target = write_fake(tmp_path, body="Path(__file__).with_name(f'{os.getpid()}.pid').touch(); time.sleep(0.05)")
    status, _, _ = run(capsys, "conform", "--adapter", target, "--no-photograph", "--jobs", "2", "--json", str(tmp_path / "r.json"))
    assert status == 0
    assert len(list(tmp_path.glob("*.pid"))) == json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runs"][0]["processes"] == 2


def test_the_seed_is_shown_and_draws_the_same_again_and_what_fails_is_shrunk(capsys, tmp_path):
    pytest.importorskip("hypothesis")
    body = "with open(Path(__file__).with_name(os.environ['SEEN']), 'a') as file: file.write(f'{x.shape} ')\nif x.shape[1] > 1: return -x"
    target = write_fake(tmp_path, body=body)
    found = []
    for number, seed in enumerate(("5", "5", "6")):
        os.environ["SEEN"] = f"{number}.shapes"
        options = ("--no-photograph", "--jobs", "1", "--seed", seed, "--json", str(tmp_path / "r.json"))
        status, out, _ = run(capsys, "conform", "--adapter", target, *options)
        assert status == 1
        assert out.startswith(f"profile full, seed {seed}, ")
        assert f", seed {seed}" in out.splitlines()[-2]
        document = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
        assert document["seed"] == int(seed)
        (sampled,) = [result for result in document["runs"][0]["results"] if result["case"] == "PS-001/sampled-DCR"]
        assert ".reshape((1, 2, 1, 4))" in sampled["reproduction"]  # the fewest rows that are wrong, and nothing else beyond 1 or 2
        found.append((tmp_path / f"{number}.shapes").read_text(encoding="utf-8"))
    assert found[0] == found[1] != found[2]


def test_a_report_in_a_folder_that_is_not_there_makes_it_and_says_so(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--json", "some/new/r.json", "--jsonl", "some/new/r.jsonl", "--badge", "b.json")
    status, out, _ = run(capsys, "conform", "--adapter", write_fake(tmp_path), "--no-photograph", *options)
    assert status == 0
    assert "wrote some/new/r.json, and made the folder some/new\n" in out
    assert "wrote some/new/r.jsonl, and made the folder some/new\n" in out
    assert "wrote b.json\n" in out


def test_an_adapter_that_claims_nothing_is_incomplete_and_is_told_what_to_do(capsys, tmp_path):
    target = write_fake(tmp_path, after="Fake.claims = {**Fake.claims, 'operations': ()}")
    status, out, _ = run(capsys, "conform", "--adapter", target, "--no-photograph")
    assert status == 4
    assert "claims nothing that the suite judges: name its operations in its claims" in " ".join(out.splitlines()[-1].split())


def test_a_whole_run_writes_its_reports_and_shows_the_verdict(capsys, tmp_path):
    target = write_fake(tmp_path)
    files = [tmp_path / "reports" / f"r.{kind}" for kind in ("json", "xml", "html")]
    options = [text for kind, path in zip(("json", "junit", "html"), files, strict=True) for text in (f"--{kind}", str(path))]
    status, out, _ = run(capsys, "conform", "--adapter", target, "--no-photograph", *options)
    assert status == 0
    assert all(path.stat().st_size > 1000 for path in files)
    assert json.loads(files[0].read_text(encoding="utf-8"))["verdict"] == "conforming"
    assert "conforming: " in out


def test_reports_are_written_when_the_adapter_breaks(capsys, tmp_path):
    target = write_fake(tmp_path, before="raise RuntimeError('no such luck')")
    status, out, _ = run(capsys, "conform", "--adapter", target, "--no-photograph", "--json", str(tmp_path / "r.json"))
    assert status == 3
    assert "no such luck" in out
    assert "no such luck" in json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runs"][0]["error"]


def test_a_device_that_is_missing_is_named_with_the_reason_and_with_what_to_do(capsys, tmp_path):
    target = write_fake(tmp_path, devices='{"cpu": None, "cuda": "there is no GPU"}')
    status, out, _ = run(capsys, "conform", "--adapter", target, "--no-photograph", "--device", "cuda")
    assert status == 4
    verdict = out.splitlines()[-1]
    assert verdict.startswith("incomplete: nothing was judged; ")
    assert verdict.endswith(f"{target} on cuda: there is no GPU; with --device cpu it can be judged here")


def test_a_backend_that_is_not_installed_is_named_with_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(cli.runner, "absence", lambda spec: "mine is not installed; pip install mine")
    status, out, _ = run(capsys, "conform", "--backend", "numpy", "--no-photograph")
    assert status == 4
    assert out.splitlines()[-1].endswith("; numpy: mine is not installed; pip install mine")


def test_what_is_counted_is_what_was_judged(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_fake(tmp_path)
    status, out, _ = run(capsys, "conform", "--adapter", "fake.py:adapter", "--no-photograph", "--json", "r.json")
    (judged,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runs"]
    assert (status, judged["counts"].keys()) == (0, {"pass", "not_claimed"})
    counted, left = judged["judged"], judged["counts"]["not_claimed"]
    assert counted < left
    assert f"conforming, {counted} of {counted} judged cases passed in " in out
    assert out.count(f"{left} not claimed") == 2
    assert str(judged["planned"]) not in out


def names(pairs):
    return [spec.name for spec, counted in pairs if counted], [spec.name for spec, counted in pairs if not counted]


OURS = ["numpy", "torch", "tensorflow", "jax"]
OTHERS = ["torch-native", "tensorflow-native", "keras-tensorflow", "keras-jax", "keras-torch"]


def test_ours_count_and_everything_else_is_a_peer_by_default(monkeypatch):
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: ())
    assert names(cli.chosen([], [], [])) == (OURS, OTHERS)
    assert names(cli.chosen([], [], ["keras-jax"])) == (OURS, ["keras-jax"])
    assert names(cli.chosen(["torch-native"], [], [])) == (["torch-native"], [])
    assert names(cli.chosen(["torch"], [], ["keras-jax", "torch"])) == (["torch"], ["keras-jax"])
    assert names(cli.chosen([], ["mine:adapter"], ["numpy"])) == (["mine:adapter"], ["numpy"])


def test_installed_adapters_are_found_by_their_entry_points(monkeypatch):
    point = registry.importlib.metadata.EntryPoint("mine", "pkg.mod:adapter", registry.ENTRY_POINTS)
    usurper = registry.importlib.metadata.EntryPoint("numpy", "evil:adapter", registry.ENTRY_POINTS)
    monkeypatch.setattr(
        registry.importlib.metadata, "entry_points", lambda group: (point, usurper) if group == registry.ENTRY_POINTS else ()
    )
    assert registry.find("mine").target == "pkg.mod:adapter"
    assert registry.find("numpy").target == "subpixel_conformance.adapters.reference:adapter"
    assert names(cli.chosen([], [], []))[1][-1] == "mine"


def broken(outcome):
    outcome.runs[0].error = "it broke"
    return outcome


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (outcome_of(result("pass")), 0),
        (outcome_of(result("pass"), result("fail")), 1),
        (outcome_of(result("pass"), result("crash"), planned=9), 1),
        (broken(outcome_of(result("pass"), result("fail"))), 3),
        (outcome_of(result("pass"), planned=2), 4),
        (outcome_of(result("not_claimed")), 4),
        (outcome_of(result("fail"), counted=False), 4),
        (runner.Outcome("quick", (), ()), 4),
        (replace(outcome_of(result("pass")), missing=(runner.Missing("x", "cuda", "no GPU", True, True),)), 4),
        (replace(outcome_of(result("pass")), missing=(runner.Missing("x", None, "absent", False, False),)), 0),
    ],
)
def test_exit_status(capsys, monkeypatch, outcome, status):
    monkeypatch.setattr(runner, "conform", lambda *_, **__: outcome)
    assert run(capsys, "conform")[0] == status


FAILED = result("fail", message="y[0] must be 1; got 2", order_found="CRD", reproduction="import [red]this[/red]\nprint(1)")


@pytest.mark.parametrize("rich", [True, False])
def test_the_scoreboard_shows_counts_the_order_found_and_a_reproduction(capsys, monkeypatch, rich):
    monkeypatch.setattr(terminal, "HAS_RICH", rich)
    outcome = outcome_of(FAILED, result("pass"), result("unavailable", message="no compiler"), adapter="[bold]fake")
    outcome = replace(outcome, missing=(runner.Missing("jax", None, "jax is not installed", True, False),))
    monkeypatch.setattr(runner, "conform", lambda *_, **__: outcome)
    status, out, _ = run(capsys, "conform")
    assert status == 1
    for text in (
        "[bold]fake",
        "1/2",
        "non-conforming",
        "in order CRD",
        "y[0] must be 1; got 2",
        "    import [red]this[/red]\n    print(1)",
        "no compiler",
        "jax is not installed",
    ):
        assert text in out
    assert "%" not in out
    assert "Residual U-Nets" not in out


def test_the_scoreboard_shows_the_deviation_of_networks(capsys, monkeypatch):
    outcome = outcome_of(result("pass", case="UN-012/real-group-2d-bfloat16", deviation=0.00534), result("pass"))
    monkeypatch.setattr(runner, "conform", lambda *_, **__: outcome)
    status, out, _ = run(capsys, "conform")
    assert status == 0
    (line,) = [line for line in out.splitlines() if "group-2d bfloat16" in line]
    assert line.split() == ["group-2d", "bfloat16", "5.3e-03"]


def test_explain_shows_the_text(capsys):
    status, out, _ = run(capsys, "explain", "ps-002")
    assert status == 0
    assert "x[n, i, c·Πr + m(o)]" in out
    assert "phase-shift.md" in out


FUNCTIONS = """
import numpy as np

def dcr(x, scale):
    n, h, w, c = x.shape
    return x.reshape(n, h, w, *scale, -1).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * scale[0], w * scale[1], -1)

def rcd_first(x, r):
    n, c, h, w = x.shape
    if not isinstance(r, int): raise TypeError("one factor only")
    return x.reshape(n, -1, r, r, h, w).transpose(0, 1, 4, 3, 5, 2).reshape(n, -1, h * r, w * r)

def nonsense(x, scale): return x
def dies(x, scale): import os; os._exit(9)
three = 3
"""


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("dcr", 0, "channels_last: DCR\n"),
        ("rcd_first", 0, "channels_first: RCD\n"),
        ("nonsense", 1, "channels_last: no phase shift: "),
        ("dies", 3, "ended with status 9"),
        ("three", 2, "must be a function"),
        ("dcl", 2, "there is no 'dcl'; it has dcr"),
    ],
)
def test_identify_names_the_order(capsys, tmp_path, name, status, said):
    (tmp_path / "mine.py").write_text(FUNCTIONS, encoding="utf-8")
    found = run(capsys, "identify", f"{tmp_path / 'mine.py'}:{name}")
    assert found[0] == status
    assert said in found[1] + found[2]


def test_plan_shows_the_chain_against_the_direct_layer(capsys):
    status, out, _ = run(capsys, "plan", "8", "--in", "16", "--out", "16", "--no-bias", "--spatial", "10", "20")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows if row and row[0].startswith(("direct", "2", "4"))] == ["direct", "2", "2", "4"]
    chain = next(row for row in rows if row[:5] == ["2", "·", "2", "·", "2"])
    assert chain[5:9] == [f"{9 * 256 * 12:,}", "5.33", f"{9 * 256 * 84 * 200:,}", "1.31"]


def test_plan_takes_one_factor_per_axis_and_the_other_options(capsys):
    status, out, _ = run(capsys, "plan", "2,3", "--in", "7", "--out", "5", "--separable", "--kernel-size", "5", "--width", "4")
    assert status == 0
    assert "2×1 · 1×3" in out
    assert f"{25 * 7 + 7 * 30 + 30:,}" in out


def test_a_plain_table_aligns_its_columns():
    assert terminal.plain_table("t", ["a", "bb"], [["xxx", "1"], ["y", "22"]], right=[1]) == "t\na    bb\n---  --\nxxx   1\ny    22\n"


@pytest.mark.parametrize("module", ["subpixel_conformance", "subpixel_conformance.cli"])
def test_the_module_is_the_command(tmp_path, module):
    command = [sys.executable, "-m", module, "explain", "IC-002"]
    assert "replicated" in subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=dict(os.environ)).stdout


def finding(name, violates=(), missed=(), unexpected=(), failing=None):
    from subpixel_conformance.selftest import Finding

    return Finding(name, frozenset(violates), failing or {}, frozenset(missed), frozenset(unexpected), 5, "seen somewhere")


@pytest.mark.parametrize(
    ("findings", "status", "said"),
    [
        (
            [finding("swapped", {"PS-001"}), finding("other way")],
            0,
            "1 of 1 mutants rejected for the right clauses, 1 of 1 null mutants passed",
        ),
        ([finding("swapped", {"PS-001"}, missed={"PS-001"})], 1, "PS-001 found nothing"),
        ([finding("other way", unexpected={"PS-002"}, failing={"PS-002": "case: too strict"})], 1, "PS-002 fails too: case: too strict"),
        ([], 1, "0 of 0"),
    ],
)
def test_selftest_fails_when_a_mutant_survives_or_a_null_mutant_does_not_pass(capsys, monkeypatch, findings, status, said):
    from subpixel_conformance import selftest

    monkeypatch.setattr(selftest, "selftest", lambda progress, jobs: selftest.SelftestReport(tuple(findings)))
    found = run(capsys, "selftest")
    assert found[0] == status
    assert said in found[1]
