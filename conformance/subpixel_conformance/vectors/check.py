"""Whether a folder of vectors is what it must be: its files, their schema, their checksums, the oracle's answers, and what is published."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subpixel_conformance.clauses import clauses

from .answer import OPERATIONS, answer, bounds, fault
from .files import FOLDER, LOCK, SCHEMA, Document, Vector, read_document, subject_files
from .lock import effective, violations
from .tensor import VectorError, decode, difference


@dataclass
class Checked:
    """What a check found: vectors per file, problems as one line each, ids that are not published, and what could not be checked."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    present: dict[str, tuple[str, Vector]] = field(default_factory=dict)


def check(folder: Path = FOLDER) -> Checked:
    """Check every vector file of a folder. Raises VectorError where there is none."""
    checked = Checked()
    paths = subject_files(folder)
    if not paths:
        raise VectorError(f"{folder}: holds no vector file")
    validator = _validator(checked.notes)
    known = _clauses(checked.notes)
    unread: list[str] = []
    amiss: dict[str, str] = {}
    for path in paths:
        try:
            document = read_document(path)
        except VectorError as error:
            checked.problems.append(str(error))
            unread.append(path.name)
            continue
        checked.counts[path.name] = len(document["vectors"])
        _collect(path.name, document, checked)
        amiss |= dict(_schema_errors(validator, path.name, document, checked.problems))
    try:
        entries, denied = effective(folder)
    except VectorError as error:
        entries, denied = {}, [str(error)]
    checked.problems += denied
    amiss |= violations(entries, checked.present, unread)
    checked.problems += amiss.values()
    for name, (file, vector) in checked.present.items():
        if name not in amiss:
            checked.problems += [f"{file}: {name}: {problem}" for problem in _wrong(vector, known)]
    broken = {line for line in checked.problems if line.startswith(f"{LOCK}:")}
    checked.unpublished = [] if broken else [name for name in checked.present if name not in entries]
    return checked


def _collect(file: str, document: Document, checked: Checked) -> None:
    for vector in document["vectors"]:
        name = vector["id"]
        if name in checked.present:
            checked.problems.append(f"{file}: {name}: an id must be used once; it is in {checked.present[name][0]} too")
        else:
            checked.present[name] = file, vector


def _validator(notes: list[str]) -> Any:
    """Return the validator of the schema, or None where jsonschema is not installed."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        notes.append("the JSON Schema was not checked: jsonschema is not installed")
        return None
    return Draft202012Validator(json.loads((FOLDER / SCHEMA).read_text(encoding="utf-8")))


def _clauses(notes: list[str]) -> set[str] | None:
    try:
        return set(clauses())
    except FileNotFoundError:
        notes.append("the clauses were not checked: the specification is not installed")
        return None


def _schema_errors(validator: Any, file: str, document: Document, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (id, problem) for every vector that the schema refuses, its deepest error; those of the head go to ``problems``."""
    if validator is None:
        return
    worst: dict[str, Any] = {}
    for error in validator.iter_errors(document):
        path = list(error.absolute_path)
        if len(path) < 2 or path[0] != "vectors":
            problems.append(f"{file}: {'.'.join(map(str, path))}{': ' if path else ''}{_one_line(error.message)}")
            continue
        name = document["vectors"][path[1]]["id"]
        if name not in worst or len(path) > len(worst[name].absolute_path):
            worst[name] = error
    for name, error in worst.items():
        while error.context:
            error = max(error.context, key=lambda inner: len(inner.absolute_path))
        at = ".".join(map(str, list(error.absolute_path)[2:]))
        yield name, f"{file}: {name}: {f'{at}: ' if at else ''}{_one_line(error.message)}"


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:157]}..."


def _wrong(vector: Vector, known: set[str] | None) -> Iterator[str]:
    """Yield what is wrong with one vector whose outline is right: its clauses, its tensors, its refusal or its outputs."""
    try:
        if known is not None:
            yield from (f"clauses: {clause} is not in the specification" for clause in vector["clauses"] if clause not in known)
        yield from _unlike(vector)
    except VectorError as error:
        yield str(error)
    except Exception as error:  # whatever a vector that is none makes the oracle do
        yield f"the oracle cannot answer it: {type(error).__name__}: {_one_line(str(error))}"


def _unlike(vector: Vector) -> Iterator[str]:
    """Yield what differs from the oracle and from the rules of refusal."""
    operation, arguments = vector["operation"], vector["arguments"]
    if operation not in OPERATIONS:
        yield f"operation: must be one of {', '.join(OPERATIONS)}; got {operation!r}"
        return
    inputs = {}
    for name, tensor in vector["inputs"].items():
        try:
            inputs[name] = decode(tensor)
        except VectorError as error:
            yield f"inputs.{name}: {error}"
    if len(inputs) < len(vector["inputs"]):
        return
    found, declared = fault(operation, arguments, inputs), vector.get("refuses", "")
    if found != declared:
        yield f"refuses: must be {found or 'absent'!r}; got {declared or 'nothing'!r}"
        return
    if declared:
        return
    answers, allowed = answer(operation, arguments, inputs), bounds(operation, arguments, inputs)
    if set(answers) != set(vector["outputs"]):
        yield f"outputs: must be {', '.join(sorted(answers))}; got {', '.join(sorted(vector['outputs']))}"
        return
    dtypes = {tensor["dtype"] for tensor in vector["inputs"].values()}
    for name, array in answers.items():
        tensor = vector["outputs"][name]
        try:
            problem = difference(tensor, array)
        except VectorError as error:
            problem = str(error)
        if not problem and dtypes == {"bfloat16"} and tensor["dtype"] != "bfloat16":
            problem = f"dtype must be bfloat16; got {tensor['dtype']}"
        if not problem and tensor.get("within") != allowed.get(name):
            problem = f"within must be {allowed.get(name)}; got {tensor.get('within')}"
        if problem:
            yield f"outputs.{name}: {problem}"
