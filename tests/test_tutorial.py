"""The tutorial, carried out as a reader would: its files written, its commands run, in the sequence of the page and in one folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def commands(block):
    """Return every command of a console block with the lines that its output must hold."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def spaced(text):
    return " ".join(text.split())


def carried_out(blocks, folder):
    """Write the files and run the commands; return every line that did not come out, with what did."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    status, missing = 0, []
    for language, block in blocks:
        title = re.match(r"# (\w+\.\w+)\n", block)
        if title:
            (folder / title[1]).write_text(block, encoding="utf-8")
        for command, lines in commands(block) if language == "console" else ():
            if command == "echo $?":
                output = str(status)
            else:
                done = subprocess.run(shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
                status, output = done.returncode, done.stdout + done.stderr
            missing += [(command, line, output) for line in lines if spaced(line) not in spaced(output)]
    return missing


@pytest.mark.parametrize("language", ["python", "console", "toml"])
def test_the_tutorial_has_blocks_of_each_kind(language):
    assert [kind for kind, _ in BLOCKS].count(language) >= 2


def test_everything_in_the_tutorial_is_so(tmp_path):
    assert carried_out(BLOCKS, tmp_path) == []


def test_a_tutorial_that_says_what_is_not_so_is_found(tmp_path):
    wrong = [(language, block.replace("\nconforming: adapter.py", "\nconforming: other.py")) for language, block in BLOCKS[:7]]
    assert [line for _, line, _ in carried_out(wrong, tmp_path)] == ["conforming: other.py:adapter"]
