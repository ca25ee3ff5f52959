"""The README's own adapter, as a reader would copy it, and its command lines."""

import re
from pathlib import Path

import pytest

from subpixel_conformance import cli

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def mine(tmp_path):
    pytest.importorskip("torch")
    (source,) = re.findall(r"```python\n(# mine\.py\n.*?)```", README, re.DOTALL)
    path = tmp_path / "mine.py"
    path.write_text(source, encoding="utf-8")
    return path


def test_the_adapter_of_the_readme_conforms_to_what_it_claims(mine, capsys):
    assert cli.main(["conform", "--adapter", f"{mine}:adapter", "--no-photograph"]) == 0
    assert "mine.py:adapter; specification 1.0" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("order", "exit_code"), [("CRD", 0), ("DCR", 1), ("DRC", 1), ("RCD", 1)])
def test_it_is_rejected_when_it_claims_another_order(mine, capsys, order, exit_code):
    mine.write_text(mine.read_text(encoding="utf-8").replace('order="CRD"', f'order="{order}"'), encoding="utf-8")
    assert cli.main(["conform", "--adapter", f"{mine}:adapter", "--no-photograph"]) == exit_code
    assert ("matches CRD" in capsys.readouterr().out) == (order != "CRD")


def test_every_command_of_the_readme_exists(capsys):
    for command in re.findall(r"^subpixel (\w+)", README, re.MULTILINE):
        with pytest.raises(SystemExit) as stopped:
            cli.main([command, "--help"])
        assert stopped.value.code == 0
        assert f"subpixel {command}" in capsys.readouterr().out
