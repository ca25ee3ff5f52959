"""The normative text, read from the files that hold it: a clause is a paragraph that begins with its id in bold, as in ``**PS-001**``."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CLAUSE = re.compile(r"^\*\*([A-Z]{2}-\d{3})\*\*\s*(.*)\Z", re.DOTALL)
_LEVELS = ("MUST", "SHOULD", "MAY")


@dataclass(frozen=True)
class Clause:
    """One clause. ``level`` is its strongest RFC 2119 word, ``text`` its Markdown without the id, ``file`` the name of its file."""

    id: str
    level: str
    text: str
    file: str


def specification_folder() -> Path:
    """Return the folder with the specification: package data in an installed wheel, ``docs/spec`` in a checkout.

    Raises FileNotFoundError where there is neither.
    """
    here = Path(__file__).resolve().parent
    candidates = (here.parent / "subpixel_specification", here.parent.parent / "docs" / "spec")
    for folder in candidates:
        if folder.is_dir() and any(folder.glob("*.md")):
            return folder
    raise FileNotFoundError(f"the specification must lie in one of {', '.join(map(str, candidates))}; neither holds a .md file")


def clauses() -> dict[str, Clause]:
    """Return every clause of the specification by id, in the order of the files and of the text."""
    return read_clauses(specification_folder())


@cache
def read_clauses(folder: Path) -> dict[str, Clause]:
    """Return every clause of the Markdown files in ``folder`` by id. Raises ValueError for an id that occurs twice."""
    found: dict[str, Clause] = {}
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        for paragraph in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            match = _CLAUSE.match(paragraph.strip("\n").rstrip())
            if match is None:
                continue
            name, text = match.groups()
            if name in found:
                raise ValueError(f"a clause id must be used once; {name} is in {found[name].file} and in {path.name}")
            level = next((word for word in _LEVELS if re.search(rf"\b{word}\b", text)), "")
            found[name] = Clause(name, level, text, path.name)
    return found


def specification_version() -> str:
    """Return the version that the specification's own title gives, for instance "1.0"."""
    title = (specification_folder() / "README.md").read_text(encoding="utf-8").splitlines()[0]
    match = re.search(r"version (\d+\.\d+)", title)
    if match is None:
        raise ValueError(f"the title of the specification must name its version; got {title!r}")
    return match.group(1)
