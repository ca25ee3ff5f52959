"""Whatever an adapter does, it ends as a status or in one line, what else was judged is kept, and so is a report that was there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from subpixel_conformance import cli, memory, registry, runner, verify

from .fakes import write_fake

GIB = 2**30


def conform(*targets, **options):
    specs = [(registry.located(target), True) for target in targets]
    return runner.conform(specs, **{"photograph": False, "timeout": 20.0} | options)


def crashes(run):
    return [result.message for result in run.results if result.status == "crash"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("if once(): os._exit(0)", "ended with status 0 in this case"),
        ("if once(): os.abort()", "was killed by SIGABRT"),
        ("if once(): import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("if once(): os.closerange(3, 200)", "in this case"),
    ],
)
def test_a_process_that_dies_costs_its_case_alone(tmp_path, body, said):
    outcome = conform(write_fake(tmp_path, body=body))
    (run,) = outcome.runs
    (message,) = crashes(run)
    assert said in message
    assert message.startswith("PS-00")
    assert [result.case for result in run.results] == [case.id for case in run.planned]
    assert (run.verdict, outcome.exit_code) == ("non-conforming", 1)


WRITES = """
import stat
def spoil(record):
    for n in range(3, 64):
        try:
            if stat.S_ISREG(os.fstat(n).st_mode) and os.fstat(n).st_size:
                os.write(n, record + b'\\n')
        except OSError:
            pass
"""


@pytest.mark.parametrize("record", ["nonsense", '{"type": 3}', "3", '{"type": "result", "case": "PS-001/other"}'])
def test_a_record_that_the_suite_did_not_write_ends_the_process(tmp_path, record):
    outcome = conform(write_fake(tmp_path, body=f"if once(): spoil(b'{record}'); time.sleep(2)", after=WRITES))
    (run,) = outcome.runs
    assert "left a record that cannot be read" in crashes(run)[0]
    assert [result.case for result in run.results] == [case.id for case in run.planned]
    assert (run.verdict, outcome.exit_code) == ("non-conforming", 1)


IGNORES = "import signal; [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]"


def test_a_case_that_hangs_and_ignores_signals_is_ended(tmp_path):
    outcome = conform(
        write_fake(tmp_path, before=IGNORES, body="while once() or STUCK: STUCK.append(1); time.sleep(0.1)", after="STUCK = []"), timeout=3
    )
    (run,) = outcome.runs
    assert "did nothing for 3 seconds in this case" in crashes(run)[0]
    assert len(crashes(run)) == 1
    assert len(run.results) == len(run.planned)


def test_an_import_that_hangs_is_an_error_and_other_adapters_are_judged(tmp_path):
    hanging = write_fake(tmp_path, name="hanging", before=f"{IGNORES}; import time; time.sleep(1000)")
    outcome = conform(hanging, write_fake(tmp_path), timeout=8, jobs=2)
    assert "did nothing for 8 seconds while the adapter was loaded" in outcome.runs[0].error
    assert outcome.runs[1].verdict == "conforming"
    assert (outcome.verdict, outcome.exit_code) == ("incomplete", 3)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "None",
            "[1, 2]",
            "'text'",
            "3.0",
            "object()",
            "x.astype(object)",
            "x.astype(str)",
            "np.zeros(3, [('a', int)])",
            "RIGHT(x)[..., 0]",
        ),
        *("RIGHT(x).astype('float64')", "LIAR(x, scale)", "np.ma.masked_all(x.shape)", "range(3)", "NoisyShape()"),
    ],
)
def test_what_is_no_array_of_the_right_kind_fails(tmp_path, value):
    after = """
class Lying(np.ndarray):
    shape = property(lambda self: self.told)
    def __eq__(self, other): return True
    def __array_ufunc__(self, *args, **kwargs): return True

def LIAR(x, scale):
    n, h, w, c = x.shape
    y = x.reshape(n, c // scale[0]**2, h * scale[0], w * scale[0]).view(Lying)
    y.told = (n, h * scale[0], w * scale[0], c // scale[0]**2)
    return y

RIGHT = lambda x: x
class NoisyShape:
    def __getattr__(self, name): raise RuntimeError('nothing here')
"""
    outcome = conform(write_fake(tmp_path, body=f"return {value}", after=after))
    (run,) = outcome.runs
    judged = [result for result in run.results if result.status != "not_claimed"]
    assert {result.status for result in judged} <= {"fail", "error", "unavailable", "pass"}
    wrong = [result for result in judged if result.clauses[0] == "PS-001"]
    assert wrong
    assert {result.status for result in wrong} <= {"fail", "error"}
    assert (run.error, outcome.exit_code) == ("", 1)


def test_a_subclass_with_the_right_values_is_judged_by_its_values(tmp_path):
    after = "class Sub(np.ndarray): pass\nFake.to_numpy = lambda self, value: value.view(Sub)"
    assert conform(write_fake(tmp_path, after=after)).exit_code == 0


@pytest.mark.parametrize("method", ["to_native", "to_numpy", "device_of", "phase_shift"])
@pytest.mark.parametrize("raised", ["RuntimeError('no')", "SystemExit(0)", "KeyboardInterrupt()"])
def test_a_method_that_raises_is_an_error_of_its_cases(tmp_path, method, raised):
    after = f"def bad(self, *args, **kwargs): raise {raised}\nTracking.{method} = bad"
    outcome = conform(write_fake(tmp_path, after=after))
    (run,) = outcome.runs
    judged = [result for result in run.results if result.status != "not_claimed"]
    assert {result.status for result in judged if result.clauses != ("EX-003",)} == {"error"}  # which needs no values
    assert len(judged) > 10
    assert (run.error, outcome.exit_code) == ("", 1)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("Fake.claims = {**Fake.claims, 'ndims': 2}", "ndims must be a sequence; got 2"),
        ("Fake.claims = {**Fake.claims, 'orders': 'DCR'}", "orders must be a sequence; got 'DCR'"),
        ("Fake.claims = {**Fake.claims, 'empty': 'no'}", "empty must be True or False; got 'no'"),
        ("Fake.claims = {**Fake.claims, 'ndims': (True,)}", "ndims must be among 1, 2, 3, 4; got True"),
        ("Fake.claims = {**Fake.claims, 'operations': ('phase_shfit',)}", "got phase_shfit"),
        ("Fake.claims = {**Fake.claims, 'orders': ([],)}", "orders must be among"),
        *(
            (f"Fake.claims = {{**Fake.claims, {name!r}: ()}}", f"{name} must have at least one value, or be left out")
            for name in ("orders", "data_formats", "ndims", "batch_ndims", "dtypes", "modes")
        ),
        ("Fake.claims = {1: 2}", "claims must have the fields"),
        ("Fake.claims = property(lambda self: 1 / 0)", "ZeroDivisionError"),
        ("Fake.devices = lambda self: 3", "TypeError"),
        ("Fake.modes = lambda self, device: None", "TypeError"),
        ("Fake.versions = 3", "TypeError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class Other(BaseException): pass\nraise Other('so')", "Other: so"),
        ("Fake.reduced_precision = lambda self, device, allowed: 3", "TypeError"),
    ],
)
def test_an_adapter_that_cannot_be_asked_is_an_error_of_one_line(tmp_path, after, said):
    outcome = conform(write_fake(tmp_path, after=after))
    (run,) = outcome.runs
    assert said in run.error
    assert "\n" not in run.error
    assert (run.results, outcome.exit_code) == ([], 3)


def test_what_is_printed_without_end_spoils_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_LOG_LIMIT", 2**20)
    outcome = conform(write_fake(tmp_path, body="os.write(1, b'x' * 2**20); os.write(2, b'\\x00' * 100)"))
    assert outcome.exit_code == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("also", ["", "time.sleep(1000)"])
def test_a_copy_of_the_process_judges_nothing(tmp_path, also):
    body = f"if once() and os.fork() == 0: {also or 'pass'}"
    outcome = conform(write_fake(tmp_path, body=body))
    (run,) = outcome.runs
    assert [result.case for result in run.results] == [case.id for case in run.planned]
    assert outcome.exit_code == 0


def test_threads_that_never_end_do_not_keep_the_process(tmp_path):
    before = "import threading, time, atexit; atexit.register(time.sleep, 1000)"
    began = time.monotonic()
    outcome = conform(write_fake(tmp_path, before=before, body="threading.Thread(target=time.sleep, args=(1000,)).start()"), timeout=60)
    assert outcome.exit_code == 0
    assert time.monotonic() - began < 40


ZEROS = "n, h, w, c = x.shape; return np.zeros((n, h * scale[0], w * scale[0], c // scale[0]**2), x.dtype)"


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("compare.bitwise = compare.exact = lambda *_, **__: None", "subpixel_conformance.compare.bitwise"),
        ("compare.exact.__code__ = (lambda actual, expected, dtype=None: None).__code__", "subpixel_conformance.compare.exact"),
        ("compare.Difference.message = lambda *_: ''", "subpixel_conformance.compare.Difference.message"),
        ("judge.Watched.device_of = lambda self, value: self._device", ""),
        ("judge.Watched.to_numpy = lambda self, value: value", "subpixel_conformance.judge.Watched.to_numpy"),
        ("sys.modules['subpixel_conformance.oracle'] = sys", "sys.modules.subpixel_conformance.oracle"),
        ("np.array_equal = lambda *_, **__: True", "numpy.array_equal"),
        ("import builtins; builtins.any = lambda values: False", "builtins.any"),
        ("np.float = builtins_print = print", ""),
    ],
)
def test_an_adapter_that_changes_the_suite_and_leaves_it_so_gets_no_verdict(tmp_path, patch, said):
    imported = "import numpy as np, sys\nfrom subpixel_conformance import compare, judge"
    outcome = conform(write_fake(tmp_path, before=imported, body=f"if once():\n    {patch}"))
    (run,) = outcome.runs
    if said:
        assert f"the adapter has changed the suite that judges it: {said} is another than before" in run.error
        assert (outcome.verdict == "conforming", outcome.exit_code) == (False, 3)
    else:  # names that were not there before change nothing
        assert (run.error, outcome.exit_code) == ("", 0)


def test_a_comparison_that_always_agrees_does_not_make_zeros_conform(tmp_path):
    quiet = "def quiet(*_, **__): return None\nfor name in ('bitwise', 'exact'): setattr(compare, name, quiet)"
    outcome = conform(write_fake(tmp_path, before=f"from subpixel_conformance import compare\n{quiet}", body=ZEROS))
    assert outcome.runs[0].counts["pass"] > 10  # so it would
    assert outcome.exit_code == 3


@pytest.mark.parametrize(
    "before",
    [
        "import sys; sys.stdout = sys.stderr = None",
        "import sys; sys.stdout = sys.stderr = object()",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import threading\nthreading.Thread(target=lambda: [print('x' * 999) for _ in iter(int, 1)], daemon=True).start()",
        "import os; os.environ.clear(); os.umask(0o777)",
        "import numpy, warnings; numpy.seterr(all='raise'); warnings.simplefilter('error')",
        "import random, numpy; random.seed(0); numpy.random.seed(0); import gc; gc.disable()",
        "import atexit, os; atexit.register(os._exit, 7)",
    ],
)
def test_what_an_adapter_does_to_its_own_process_changes_no_verdict(tmp_path, before):
    outcome = conform(write_fake(tmp_path, before=before))
    assert (outcome.runs[0].error, outcome.verdict, outcome.exit_code) == ("", "conforming", 0)


LIMITS = "import resource; resource.setrlimit(resource.RLIMIT_{}, ({}, {}))"


@pytest.mark.parametrize(
    ("before", "body", "said"),
    [
        (LIMITS.format("NOFILE", 0, 0), "pass", "Too many open files"),
        (LIMITS.format("FSIZE", 0, 0), "pass", "while the adapter was loaded"),
        ("import sys; sys.setrecursionlimit(60)", "pass", "RecursionError"),
        (
            "import resource",
            "if once(): resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile not resource.getrlimit(0)[0] > 1: pass",
            "SIGXCPU",
        ),
        ("import signal", "if once(): signal.alarm(1); time.sleep(60)", "was killed by SIGALRM"),
        ("import signal", "if once(): os.kill(os.getpid(), signal.SIGSTOP)", "did nothing for 15 seconds"),
        ("import shutil", "if once(): shutil.rmtree(Path(sys.argv[1]).parent)", "No such file or directory"),
        ("import tempfile, os; gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)", "pass", ""),
        ("pass", "if once(): sys.modules.clear()", "sys.modules."),
        ("import threading", "if once(): threading.Timer(0.05, os._exit, (0,)).start(); time.sleep(1)", "ended with status 0 in this case"),
        ("pass", "if once(): x = x.view(Dying)", "ended with status 9 in this case"),
    ],
)
def test_what_an_adapter_does_to_its_own_process_is_an_error_or_a_crash_at_most(tmp_path, before, body, said):
    dying = "class Dying(np.ndarray):\n    def __del__(self): os._exit(9)"
    outcome = conform(write_fake(tmp_path, before=before, body=body, after=dying), write_fake(tmp_path, name="other"), timeout=15)
    run, other = outcome.runs
    told = [run.error, *(result.message for result in run.results if result.status in ("crash", "error"))]
    assert any(said in text for text in told)
    assert outcome.exit_code in (1, 3) or not said
    assert other.verdict == "conforming"


def test_a_text_without_end_is_cut_and_steers_no_terminal(tmp_path, capsys):
    body = "raise ValueError('\\x1b[2J\\x1b]0;title\\x07' + 'x' * 50_000_000)"
    assert cli.main(["conform", "--adapter", write_fake(tmp_path, body=body), "--no-photograph"]) == 1
    shown = capsys.readouterr().out
    assert "ValueError: \\x1b[2J\\x1b]0;title\\x07xxx" in shown.replace("\n", "")
    assert not {letter for letter in shown if not letter.isprintable()} - {"\n"}
    assert "(50000014 characters)" in shown.replace("\n", "")
    assert len(shown) < 100_000


# --- memory ---

needs_sizes = pytest.mark.skipif(not memory.resident(os.getpgrp()), reason="this system does not tell what processes take")


@needs_sizes
@pytest.mark.parametrize("where", ["in itself", "in a process it started"])
def test_too_much_memory_is_a_crash_that_says_so(tmp_path, where):
    hold = "[bytearray(b'x') * 50_000_000 for _ in range(40) if not time.sleep(0.02)]; time.sleep(30)"
    body = f"if once(): {hold}"
    if where != "in itself":
        body = f"if once(): import subprocess; subprocess.run([sys.executable, '-c', {f'import time; x = {hold}'!r}])"
    outcome = conform(write_fake(tmp_path, body=body), memory=0.5)
    (run,) = outcome.runs
    (message,) = crashes(run)
    assert "GiB of memory, more than the 0.50 GiB allowed, in this case" in message
    assert len(run.results) == len(run.planned)
    assert outcome.exit_code == 1


@pytest.mark.parametrize(
    "raised", ["MemoryError()", "RuntimeError('CUDA out of memory. Tried to allocate 20 GiB')", "np.zeros((2**20, 2**30))"]
)
def test_an_exception_for_want_of_memory_is_told_as_such(tmp_path, raised):
    body = f"if once(): raise {raised}" if "Error" in raised else f"if once(): {raised}"
    (run,) = conform(write_fake(tmp_path, body=body)).runs
    (message,) = [result.message for result in run.results if result.status == "error"]
    assert "out of memory: " in message
    assert not crashes(run)


def test_the_default_limit_is_a_part_of_the_memory_that_there_is():
    assert 0 < memory.default_limit() * GIB < memory.available()


@needs_sizes
def test_a_process_group_is_weighed_with_what_it_started():
    held = "import time; x = bytearray(b'x') * 100_000_000; time.sleep(60)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    try:
        until = time.monotonic() + 20
        while memory.resident(process.pid) < 100_000_000 and time.monotonic() < until:
            time.sleep(0.05)
        assert 100_000_000 < memory.resident(process.pid) < 400_000_000
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    until = time.monotonic() + 20  # what it started ends in its own time
    while memory.resident(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert memory.resident(process.pid) == 0


# --- several processes for one adapter ---


@pytest.mark.parametrize("body", ["pass", "if order == 'DCR' and x.shape[-1] > 20: return x"])
def test_several_processes_find_what_one_finds_in_the_same_sequence(tmp_path, body):
    def found(jobs):
        (run,) = conform(write_fake(tmp_path, body=body), jobs=jobs).runs
        return [(result.case, result.status, result.message, result.reproduction) for result in run.results], run.verdict

    assert found(3) == found(1)


def test_the_cases_are_shared(tmp_path):
    body = "Path(__file__).with_name(f'{os.getpid()}.pid').touch(); time.sleep(0.05)"
    (run,) = conform(write_fake(tmp_path, body=body), jobs=3).runs
    assert len(list(tmp_path.glob("*.pid"))) == run.processes == 3


def test_two_processes_go_through_the_cases_from_both_ends(tmp_path):
    """So neighbours, which share what is built and compiled, are judged by the same one."""
    came = []

    class Noting(runner.Progress):
        def advanced(self, run):
            judged = [result.case for result in run.results if result.status != "not_claimed"]
            came.extend(judged[len(came) :])

    (run,) = conform(write_fake(tmp_path, body="time.sleep(0.01)"), jobs=2, progress=Noting()).runs
    judged = [result.case for result in run.results if result.status != "not_claimed"]
    places = {case: number for number, case in enumerate(judged)}
    low, high = -1, len(places)
    for place in (places[case] for case in came):
        assert place in (low + 1, high - 1)
        low, high = (place, high) if place == low + 1 else (low, place)
    assert run.processes == 2
    assert high < len(places)


def test_a_crash_among_several_processes_loses_its_case_alone(tmp_path):
    (run,) = conform(write_fake(tmp_path, body="time.sleep(0.02)\nif once(): os._exit(3)"), jobs=2).runs
    assert len(crashes(run)) == 1
    assert [result.case for result in run.results] == [case.id for case in run.planned]


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux alone has such a score")
def test_the_process_that_judges_is_the_first_to_go_where_memory_runs_out(tmp_path):
    score, place = Path("/proc/self/oom_score_adj"), tmp_path / "score"
    before = score.read_text(encoding="ascii")
    body = f"import subprocess; Path({str(place)!r}).write_bytes(subprocess.check_output(['cat', {str(score)!r}]))"
    assert conform(write_fake(tmp_path, body=f"if once(): {body}")).runs[0].verdict == "conforming"
    assert place.read_text(encoding="ascii") == "1000\n"
    assert score.read_text(encoding="ascii") == before != "1000\n"


# --- reports and frameworks ---


def command(*arguments, timeout=120):
    return subprocess.run(
        [sys.executable, "-m", "subpixel_conformance", *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )


def test_a_report_outlives_a_command_that_is_killed(tmp_path):
    report = tmp_path / "r.json"
    report.write_text("the old one", encoding="utf-8")
    target = write_fake(tmp_path, body="time.sleep(0.5)")
    process = subprocess.Popen(
        [sys.executable, "-m", "subpixel_conformance", "conform", "--adapter", target, "--no-photograph", "--json", str(report)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2)
    process.kill()
    process.wait()
    assert report.read_text(encoding="utf-8") == "the old one"


def interrupted(folder, target, begun):
    """Run the command in ``folder`` with both reports, send it Ctrl-C once the file ``begun`` is there, and return its exit status."""
    # What runs in the background ignores the signal, and so would the command.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = "from subpixel_conformance import cli; raise SystemExit(cli.main())"
    given = ["conform", "--adapter", target, "--no-photograph", "--json", "r.json", "--jsonl", "r.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-c", f"{heed}; {run}", *given], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 30
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "broke" not in said
    return process.returncode


@pytest.mark.parametrize(
    "body", ["time.sleep(0.3)", "time.sleep(1000)", "if once(): time.sleep(1000)"], ids=["slow", "hanging", "one hangs"]
)
def test_an_interrupted_command_writes_whole_reports_of_what_was_judged(tmp_path, body):
    target = write_fake(tmp_path, body=f"Path(__file__).with_name('begun').touch()\n{body}")
    assert interrupted(tmp_path, target, tmp_path / "begun") == 3
    for report in ("r.json", "r.jsonl"):
        document = verify.verified(tmp_path / report)
        assert document["verdict"] in ("incomplete", "non-conforming")
        assert document["runs"][0]["error"] == "interrupted"
        assert document["runs"][0]["ran"] < document["runs"][0]["planned"] == len(document["runs"][0]["results"])


def test_a_command_interrupted_while_it_prepares_writes_whole_reports(tmp_path):
    target = write_fake(tmp_path, before="import time; time.sleep(1000)")
    assert interrupted(tmp_path, target, tmp_path / "r.jsonl") == 3
    assert [verify.verified(tmp_path / report)["runs"][0]["error"] for report in ("r.json", "r.jsonl")] == ["interrupted"] * 2


def test_a_second_interruption_ends_the_command_and_leaves_the_reports_of_before(tmp_path, monkeypatch):
    (tmp_path / "r.jsonl").write_text("the old one", encoding="utf-8")
    target = registry.located(write_fake(tmp_path, body="time.sleep(1000)"))
    monkeypatch.setattr(cli, "write_reports", lambda *_: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = cli.main(
            ["conform", "--adapter", target.target, "--no-photograph", "--timeout", "1", "--jsonl", str(tmp_path / "r.jsonl")]
        )
        assert (status, signal.getsignal(signal.SIGINT)) == (3, signal.default_int_handler)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "r.jsonl").read_text(encoding="utf-8") == "the old one"
    assert not (tmp_path / "r.jsonl.previous").exists()


def test_frameworks_in_any_sequence_are_each_in_a_process_of_their_own(tmp_path):
    for name in ("torch", "tensorflow", "jax"):
        pytest.importorskip(name)
    first = write_fake(tmp_path, name="first", before="import tensorflow, torch, jax")
    second = write_fake(tmp_path, name="second", before="import jax, torch, tensorflow")
    outcome = conform(first, second, write_fake(tmp_path, name="third"), timeout=120)
    assert outcome.runs[2].verdict == "conforming"
    for run in outcome.runs[:2]:  # where the frameworks do not bear each other, that is what is said
        assert run.verdict == "conforming" or "while the adapter was loaded" in run.error or crashes(run)
