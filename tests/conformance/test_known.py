"""Known failures: never conforming in silence, never more than is true."""

import json
from dataclasses import replace

import pytest

from subpixel_conformance import cli, known, registry, runner

from .fakes import outcome_of, result, write_fake

WRONG = "PS-001/DCR-channels_last-2d-3x3-float32"
RIGHT = "PS-001/DCR-channels_last-2d-2x2-float32"
BODY = "if scale[0] == 3: return x"


def written(tmp_path, text):
    path = tmp_path / "known.toml"
    path.write_text(text, encoding="utf-8")
    return path


def entry(**fields):
    return "[[known]]\n" + "".join(f'{name} = "{value}"\n' for name, value in {"reason": "it is so", **fields}.items())


def judged(tmp_path, text, body=BODY, **options):
    entries = known.read(written(tmp_path, text))
    specs = [(registry.located(write_fake(tmp_path, body=body)), True)]
    return runner.conform(specs, known=entries, photograph=False, timeout=60.0, **options)


def statuses(outcome):
    (run,) = outcome.runs
    return {found.case: found.status for found in run.results}


def test_without_a_list_the_fake_fails_where_the_list_says(tmp_path):
    found = statuses(judged(tmp_path, ""))
    assert next(case for case, status in found.items() if status == "fail") == WRONG
    assert found[RIGHT] == "pass"


def test_a_run_with_known_failures_alone_does_not_conform_and_ends_with_0(tmp_path):
    outcome = judged(tmp_path, entry(clause="PS-001", link="https://example.org/7") + entry(clause="PS-006") + entry(clause="PS-005"))
    outcome = judged(tmp_path, entry(clause="PS-001", link="https://example.org/7"))
    (run,) = outcome.runs
    assert statuses(outcome)[WRONG] == "known_failure"
    assert statuses(outcome)[RIGHT] == "pass"
    assert next(found.known for found in run.results if found.case == WRONG) == "it is so (https://example.org/7)"
    assert (run.verdict, outcome.verdict, outcome.exit_code) == ("non-conforming", "non-conforming", 0)
    assert outcome.only_known


def test_another_failure_beside_known_ones_is_not_excused(tmp_path):
    outcome = judged(tmp_path, entry(case=WRONG), body=f"{BODY}\nif scale[0] == 5: return x")
    assert (outcome.verdict, outcome.exit_code, outcome.only_known) == ("non-conforming", 1, False)


@pytest.mark.parametrize("fields", [{"case": RIGHT}, {"clause": "PS-012"}])
def test_what_passes_and_is_listed_fails_the_run_with_the_entry_named(tmp_path, fields):
    outcome = judged(tmp_path, entry(**fields), body="pass")
    assert "unexpected_pass" in statuses(outcome).values()
    assert (outcome.verdict, outcome.exit_code) == ("conforming", 1)
    assert all("known.toml, entry 1 (line 1)" in line and "passes unexpectedly" in line for line in outcome.amiss)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"case": "PS-001/no-such-case"}, "there is no such case"),
        ({"clause": "PS-999"}, "no case judges this clause"),
        ({"clause": "IC-001"}, "not claimed"),
        ({"case": WRONG, "mode": "jit"}, "no such mode"),
        ({"case": WRONG, "dtype": "int8"}, "no such mode or dtype"),
    ],
)
def test_an_entry_that_names_nothing_judged_is_stale_and_fails_the_run(tmp_path, fields, why):
    outcome = judged(tmp_path, entry(**fields), body="pass")
    (line,) = outcome.amiss
    assert "is stale" in line
    assert why in line
    assert "entry 1 (line 1)" in line
    assert (outcome.verdict, outcome.exit_code) == ("conforming", 1)


@pytest.mark.parametrize("fields", [{"adapter": "another"}, {"device": "cuda"}])
def test_an_entry_for_what_was_not_asked_for_waits(tmp_path, fields):
    outcome = judged(tmp_path, entry(case=WRONG, **fields), body="pass")
    assert (outcome.amiss, outcome.verdict, outcome.exit_code) == ((), "conforming", 0)


def test_an_entry_for_a_case_of_the_exhaustive_profile_waits_in_the_full_one(tmp_path):
    outcome = judged(tmp_path, entry(case="PS-001/DCR-channels_last-2d-7x7-float32"), body="pass")
    assert (outcome.amiss, outcome.exit_code) == ((), 0)


def test_restrictions_choose_adapter_device_mode_and_dtype():
    run = runner.Run("torch", "", True, "cuda", name="subpixel_torch")
    chosen = known.KnownFailure("here", "so", clause="PS-001", adapter="subpixel_torch", device="cuda", mode="jit", dtype="int8")
    assert chosen.concerns(run)
    assert chosen.matches(result("fail", mode="jit", dtype="int8"))
    assert not chosen.matches(result("fail", mode="eager", dtype="int8"))
    assert not chosen.matches(result("fail", mode="jit", dtype="int16"))
    assert not chosen.concerns(runner.Run("torch", "", True, "cpu", name="subpixel_torch"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[known]\n", "known.toml must be TOML"),
        ("known = 3", "must hold [[known]] entries"),
        ("other = 3", "nothing else; got other"),
        ('[[known]]\nreason = "x"\n', "entry 1 (line 1) must have a case or a clause"),
        (
            '# one\n\n[[known]]\ncase = "x"\nclause = "y"\nreason = "x"\n',
            "entry 1 (line 3) must have a case or a clause, and one of them only",
        ),
        ('[[known]]\ncase = "a"\nreason = "b"\n[[known]]\ncase = "x"\n', "entry 2 (line 4) must have a reason"),
        ('[[known]]\ncase = "x"\nreason = ""\n', "reason must be a text that is not empty"),
        ('[[known]]\ncase = 3\nreason = "x"\n', "case must be a text"),
        ('[[known]]\ncase = "x"\nreason = "x"\ndevices = "cpu"\n', "got 'devices'"),
        ('[[known]]\ncase = "x"\nreason = "x"\n' * 2, "entry 2 (line 4) must not repeat an entry"),
    ],
)
def test_a_malformed_file_is_a_usage_error_of_one_line(tmp_path, capsys, text, said):
    path = written(tmp_path, text)
    assert cli.main(["conform", "--adapter", write_fake(tmp_path), "--known-failures", str(path)]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path, capsys, name):
    assert cli.main(["conform", "--adapter", write_fake(tmp_path), "--known-failures", str(tmp_path / name)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_the_command_says_it_in_the_verdict_line_and_the_reports(tmp_path, capsys):
    path, target = written(tmp_path, entry(clause="PS-001")), write_fake(tmp_path, body=BODY)
    files = [tmp_path / name for name in ("r.json", "r.xml", "r.html")]
    options = [text for kind, file in zip(("json", "junit", "html"), files, strict=True) for text in (f"--{kind}", str(file))]
    status = cli.main(["conform", "--adapter", target, "--no-photograph", "--known-failures", str(path), "--seed", "5", *options])
    out = capsys.readouterr().out
    verdict = next(line for line in out.splitlines() if line.startswith("non-conforming: "))
    assert status == 0
    assert "profile full, seed 5" in verdict
    assert verdict.endswith("and no other")
    assert "it is so" in out
    assert "conforming" not in out.replace("non-conforming", "")
    document = json.loads(files[0].read_text(encoding="utf-8"))
    assert (document["seed"], document["verdict"], document["exit_code"]) == (5, "non-conforming", 0)
    assert "known_failure" in files[1].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("statuses", "verdict", "exit_code"),
    [
        (["pass"], "conforming", 1),
        (["pass", "unexpected_pass"], "conforming", 1),
        (["known_failure"], "non-conforming", 1),
        (["fail"], "non-conforming", 1),
        (["unavailable"], "incomplete", 4),
    ],
)
def test_a_list_that_is_out_of_date_turns_0_into_1_and_leaves_the_verdict(statuses, verdict, exit_code):
    found = outcome_of(*(result(status, case=str(number)) for number, status in enumerate(statuses)))
    assert found.verdict == verdict
    assert (amiss := replace(found, amiss=("known.toml, entry 1 is stale",))).verdict == verdict
    assert amiss.exit_code == exit_code


def test_the_command_says_that_the_list_is_what_fails(tmp_path, capsys):
    path, page = written(tmp_path, entry(case=RIGHT)), tmp_path / "r.html"
    arguments = ["--adapter", write_fake(tmp_path), "--no-photograph", "--known-failures", str(path), "--html", str(page)]
    assert cli.main(["conform", *arguments]) == 1
    verdict = capsys.readouterr().out.splitlines()[-2]
    assert verdict.startswith("conforming: ")
    assert verdict.endswith("the list of known failures is out of date, which makes the exit status 1")
    assert "the list of known failures is out of date" in page.read_text(encoding="utf-8")
