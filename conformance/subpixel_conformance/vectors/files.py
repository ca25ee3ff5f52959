"""Folders of vector files: one JSON file per subject, one vector per line."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from .tensor import VectorError

FOLDER = Path(__file__).resolve().parent
"""The folder with the vectors of this distribution."""

FORMAT = "subpixel-vectors-1"
LOCK, SCHEMA = "published.json", "schema.json"

Vector = dict[str, Any]
Document = dict[str, Any]


def canonical(vector: Vector) -> str:
    """Return the one text of a vector that its checksum is taken of: keys sorted, no spaces, ASCII."""
    return json.dumps(vector, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def checksum(vector: Vector) -> str:
    """Return the SHA-256 of the canonical text."""
    return hashlib.sha256(canonical(vector).encode("ascii")).hexdigest()


def write(document: Document) -> str:
    """Return the text of a file: the keys of the head on lines of their own, then one vector per line."""
    head = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items() if key != "vectors"]
    lines = ",\n".join(json.dumps(vector, separators=(", ", ": "), ensure_ascii=False, allow_nan=False) for vector in document["vectors"])
    return "{\n" + ",\n".join(head) + ',\n"vectors": [\n' + lines + "\n]\n}\n"


def subject_files(folder: Path) -> list[Path]:
    """Return the vector files of a folder, sorted by name."""
    return sorted(path for path in folder.glob("*.json") if path.name not in (LOCK, SCHEMA))


def read_folder(folder: Path = FOLDER) -> Iterator[tuple[Path, Document]]:
    """Yield every vector file of a folder with what it holds. Raises VectorError for a file that cannot be read, and for none at all."""
    paths = subject_files(folder)
    if not paths:
        raise VectorError(f"{folder}: holds no vector file")
    for path in paths:
        yield path, read_document(path)


def read_document(path: Path) -> Document:
    """Return what a vector file holds, its outline checked. Raises VectorError."""
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise VectorError(
            f"{path.name}: format must be {FORMAT!r}; got {document.get('format') if isinstance(document, dict) else document!r}"
        )
    if document.get("subject") != path.stem:
        raise VectorError(f"{path.name}: subject must be that of the file's name, {path.stem!r}; got {document.get('subject')!r}")
    vectors = document.get("vectors")
    if not isinstance(vectors, list) or not vectors:
        raise VectorError(f"{path.name}: vectors must be a list of at least one")
    for number, vector in enumerate(vectors):
        if not isinstance(vector, dict) or not isinstance(vector.get("id"), str):
            before = f"after {vectors[number - 1]['id']}" if number else "the first"
            raise VectorError(f"{path.name}: vector {number + 1} ({before}) must be an object with an id")
    return document


def read_json(path: Path) -> Any:
    """Return the JSON of a file; no key twice in an object, no NaN. Raises VectorError that names the file and the last vector read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise VectorError(f"{path.name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VectorError(f"{path.name}: is not UTF-8 at byte {error.start}") from error
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        last = re.findall(r'\{"id": "([a-z0-9-]+)"', text[: error.pos])
        where = f"in or after {last[-1]}" if last else "before the first vector"
        raise VectorError(f"{path.name}: is no JSON at line {error.lineno}, {where}: {error.msg}") from error
    except VectorError as error:
        raise VectorError(f"{path.name}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise VectorError(f"{path.name}: is no JSON that can be read: {' '.join(str(error).split())}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        name = found.get("id")
        raise VectorError(f"{f'{name}: ' if isinstance(name, str) else ''}a key must occur once in an object; got {twice!r} twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise VectorError(f"a number must be finite; got {text}")
