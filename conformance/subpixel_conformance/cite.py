"""How to cite the specification and its suite: the facts of CITATION.cff, as BibTeX and as a sentence."""

import re
from pathlib import Path

from subpixel_conformance import clauses
from subpixel_conformance.report import suite_version

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def citation_file() -> Path:
    """Return CITATION.cff: beside the specification in a wheel, else at the root of a checkout. Raises FileNotFoundError."""
    candidates = (clauses.specification_folder() / "CITATION.cff", Path(__file__).resolve().parents[2] / "CITATION.cff")
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f"CITATION.cff must be one of {', '.join(map(str, candidates))}; neither is there")


def facts() -> dict[str, str]:
    """Return title, authors, version, date and the like: the keys of CITATION.cff that hold one text, and ``authors``, joined by "and".

    Raises
    ------
    ValueError
        Where the file lacks one of the keys that a citation needs.
    """
    path = citation_file()
    found: dict[str, str] = {}
    authors: list[str] = []
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        top = re.match(r"([a-z-]+):\s*(.*)$", line)
        if top:
            section = top[1]
            if top[2]:
                found[section] = _text(top[2])
        elif section == "authors" and (member := re.match(r"(?:  )?(-| ) (name|family-names|given-names):\s*(.+)$", line)):
            if member[1] == "-":
                authors.append("")
            name = _text(member[3])
            authors[-1] = f"{authors[-1]}, {name}" if authors[-1] and member[2] == "given-names" else name
    found["authors"] = " and ".join(authors)
    lacking = [name for name in ("title", "authors", "version", "date-released") if not found.get(name)]
    if lacking:
        raise ValueError(f"{path.name} must have {', '.join(lacking)}")
    return found


def _text(value: str) -> str:
    return value.strip().strip("\"'")


def sentence() -> str:
    """Return the citation as plain text."""
    known = facts()
    year = known["date-released"][:4]
    return f"{known['authors']} ({year}). {known['title']}. {versions()}.{_places(known)}"


def bibtex() -> str:
    """Return the citation as a BibTeX entry."""
    known = facts()
    year, month, _ = known["date-released"].split("-")
    entry = {
        "author": f"{{{known['authors']}}}" if " and " not in known["authors"] and "," not in known["authors"] else known["authors"],
        "title": f"{{{known['title']}}}",
        "year": year,
        "version": known["version"],
        "note": versions(),
    }
    entry |= {field: known[key] for field, key in (("doi", "doi"), ("url", "repository-code")) if key in known}
    shown = [f"  {name:<8}= {{{text}}}" for name, text in entry.items()]
    shown.insert(3, f"  {'month':<8}= {_MONTHS[int(month) - 1]}")
    return f"@software{{subpixel_{year},\n" + ",\n".join(shown) + "\n}"


def versions() -> str:
    """Return which specification and which suite this is."""
    return f"Specification {clauses.specification_version()}, suite {suite_version()}"


def _places(known: dict[str, str]) -> str:
    return "".join(f" {text}." for text in (known.get("doi"), known.get("repository-code")) if text)
