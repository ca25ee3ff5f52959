"""JSON Lines as the results come: whatever ends the command, what was found until then is in the file, and no older report is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from subpixel_conformance import cli, json_lines, known, registry, runner, verify
from subpixel_conformance.runner import Case, Outcome, Run

from .fakes import result, write_fake
from .test_cli import run


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def live(path, **changed):
    return json_lines.LiveReport(path, **{"profile": "quick", "seed": 0, "precision": "strict"} | changed)


def begun(*cases, adapter="fake"):
    return Run(adapter, "", True, "cpu", planned=[Case(case, ("PS-001",), "shift") for case in cases])


def test_every_result_is_in_the_file_as_soon_as_it_is_told(tmp_path):
    path = tmp_path / "r.jsonl"
    report, one, two = live(path, seed=3), begun("a", "b"), begun("a", adapter="two")
    assert [line["type"] for line in lines_of(path)] == ["header"]
    report.advanced(one)
    one.results.append(result("pass", case="b"))
    report.advanced(one)
    report.advanced(two)
    two.results.append(result("fail", case="a"))
    report.advanced(two)
    one.results.append(result("pass", case="a"))
    report.advanced(one)
    told = [(line["type"], line.get("run"), line.get("case")) for line in lines_of(path)]
    assert told[1:] == [("run", 0, None), ("result", 0, "b"), ("run", 1, None), ("result", 1, "a"), ("result", 0, "a")]
    with pytest.raises(verify.ReportError, match=r"no footer.* 3 results are whole, of 3 planned in the runs that began: 2 pass, 1 fail"):
        verify.verified(path)
    one.results.sort(key=lambda found: found.case)
    report.finish(Outcome("quick", (two, one), (), seed=3))
    document = verify.verified(path)
    assert [[found["case"] for found in run["results"]] for run in document["runs"]] == [["b", "a"], ["a"]]
    assert (document["verdict"], document["exit_code"], document["created"]) == ("non-conforming", 1, lines_of(path)[0]["created"])


def test_what_only_the_end_of_a_run_gives_is_written_too(tmp_path):
    path = tmp_path / "r.jsonl"
    report, one = live(path), begun("a", "b")
    report.advanced(one)
    one.results = [result("crash", case="b", message="lost")]
    report.finished(one)
    broken, elsewhere = Run("broken", "", True, None, error="no such luck"), Run("gpu", "", True, None)
    report.finished(broken)
    report.finished(elsewhere)
    assert [line["type"] for line in lines_of(path)] == ["header", "run", "result", "run"]
    report.finish(Outcome("quick", (one, broken), ()))
    assert [run["adapter"] for run in verify.consistent(path)["runs"]] == ["fake", "broken"]


def test_the_list_of_known_failures_revises_what_was_written(tmp_path):
    path, listed = tmp_path / "r.jsonl", tmp_path / "known.toml"
    listed.write_text('[[known]]\ncase = "PS-001/DCR-channels_last-2d-3x3-float32"\nreason = "so"\n', encoding="utf-8")
    report = live(path)
    spec = registry.located(write_fake(tmp_path, body="if scale[0] == 3: return x"))
    outcome = runner.conform([(spec, True)], known=known.read(listed), photograph=False, progress=report, timeout=60.0)
    report.finish(outcome)
    revised = [line for line in lines_of(path) if line["type"] == "revised"]
    assert [(line["run"], line["case"], line["status"], line["known"]) for line in revised] == [
        (0, "PS-001/DCR-channels_last-2d-3x3-float32", "known_failure", "so")
    ]
    assert verify.verified(path)["counts"] == dict(outcome.runs[0].counts)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX")
def test_a_command_that_is_killed_leaves_what_it_found_and_the_report_before(capsys, tmp_path):
    path = tmp_path / "r.jsonl"
    assert run(capsys, "conform", "--adapter", write_fake(tmp_path, name="before"), "--no-photograph", "--jsonl", str(path))[0] == 0
    target = write_fake(tmp_path, body="time.sleep(0.1)")
    command = [sys.executable, "-m", "subpixel_conformance", "conform", "--adapter", target, "--no-photograph", "--jsonl", str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path) as killed:
        deadline = time.monotonic() + 60
        while (content := path.read_bytes()).count(b'"pass"') < 5 or b"before.py" in content:  # one reading: the file is replaced
            assert killed.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    status, out, err = run(capsys, "verify", str(path))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "was not finished or is cut short" in err or "it is cut short" in err
    assert f"results are whole, of {len(runner_cases())} planned" in err
    header, begun, *results = lines_of(path)
    assert (header["type"], begun["type"], begun["adapter"]) == ("header", "run", target)
    assert sum(found["status"] == "pass" for found in results) >= 5
    assert verify.verified(tmp_path / "r.jsonl.previous")["verdict"] == "conforming"


def runner_cases():
    from subpixel_conformance.cases import all_cases

    return all_cases()


def test_a_report_that_was_there_is_kept_until_the_new_one_is_finished(tmp_path):
    path, previous = tmp_path / "r.jsonl", tmp_path / "r.jsonl.previous"
    path.write_text("whole\n", encoding="utf-8")
    live(path).close()
    assert previous.read_text(encoding="utf-8") == "whole\n"
    report = live(path)  # the first was not finished: the whole one stays
    assert previous.read_text(encoding="utf-8") == "whole\n"
    report.finish(Outcome("quick", (), ()))
    assert not previous.exists()
    assert verify.verified(path)["verdict"] == "incomplete"


def test_a_line_that_cannot_be_written_costs_the_file_and_not_the_run(capsys, tmp_path, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    status, out, err = run(
        capsys,
        *("conform", "--adapter", write_fake(tmp_path), "--no-photograph"),
        *("--jsonl", "/dev/full", "--json", str(tmp_path / "r.json")),
    )
    assert status == 2
    assert err.startswith("subpixel conform: /dev/full cannot be written: No space left")
    assert "conforming: " in out
    assert verify.verified(tmp_path / "r.json")["verdict"] == "conforming"


def test_a_pipe_gets_the_lines(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    report = live(pipe)
    assert json.loads(os.read(reader, 10_000))["type"] == "header"
    report.finish(Outcome("quick", (), ()))
    assert json.loads(os.read(reader, 10_000))["type"] == "footer"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_folder_that_cannot_be_made_is_a_mistake_in_the_command(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cli.json_lines, "LiveReport", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    status, out, err = run(capsys, "conform", "--backend", "numpy", "--jsonl", str(tmp_path / "r.jsonl"))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "r.jsonl cannot be written: Permission denied" in err


def test_a_report_cut_in_the_middle_of_a_letter_says_what_is_whole(tmp_path):
    path = tmp_path / "r.jsonl"
    report, one = live(path), begun("a", "b")
    one.results = [result("pass", case="a"), result("fail", case="b", message="×")]
    report.finish(replace(Outcome("quick", (one,), ())))
    data = path.read_bytes()
    path.write_bytes(data[: data.index("×".encode()) + 1])
    with pytest.raises(verify.ReportError, match="cut short in line 4; before that 1 result is whole, of 2 planned"):
        verify.verified(path)
