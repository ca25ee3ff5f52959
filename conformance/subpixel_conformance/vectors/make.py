"""Making the files: the definitions, with the outputs of the oracle. The same bytes on every machine."""

from pathlib import Path
from typing import Any

from .answer import answer, bounds, fault
from .definition import Definition
from .files import FOLDER, FORMAT, Document, Vector, write
from .lock import effective, violations
from .subjects import Subject, subjects
from .tensor import VectorError, decode, encode


def vector(definition: Definition) -> Vector:
    """Return the vector of a definition. Raises VectorError where the oracle's answer cannot be written, or the refusal is none."""
    made: Vector = {"id": definition.id, "operation": definition.operation, "clauses": list(definition.clauses), "why": definition.why}
    if definition.link:
        made["link"] = definition.link
    made |= {"arguments": definition.arguments, "inputs": definition.inputs}
    inputs = {name: decode(tensor) for name, tensor in definition.inputs.items()}
    found = fault(definition.operation, definition.arguments, inputs)
    if found != definition.refuses:
        raise VectorError(f"{definition.id}: must refuse {definition.refuses or 'nothing'}; the rules refuse {found or 'nothing'}")
    if definition.refuses:
        return {**made, "refuses": definition.refuses}
    return {**made, "outputs": outputs(definition, inputs)}


def outputs(definition: Definition, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the oracle's answer as tensors, in the way of the definition."""
    try:
        found = answer(definition.operation, definition.arguments, inputs)
        allowed = bounds(definition.operation, definition.arguments, inputs)
        half = {tensor["dtype"] for tensor in definition.inputs.values()} & {"bfloat16"}
        return {
            name: encode(array, "bfloat16" if half else None, way=definition.way, within=allowed.get(name)) for name, array in found.items()
        }
    except ValueError as error:
        raise VectorError(f"{definition.id}: {error}") from error


def document(subject: Subject, version: str) -> Document:
    """Return what the file of a subject holds."""
    made = [vector(definition) for definition in subject.definitions]
    return {
        "$schema": "schema.json", "format": FORMAT, "subject": subject.name, "title": subject.title, "spec": version, "vectors": made,
    }  # fmt: skip


def documents() -> dict[str, Document]:
    """Return the content of every file by name. Raises VectorError for an id that occurs twice."""
    from subpixel_conformance.clauses import specification_version

    version = specification_version()
    made = {f"{subject.name}.json": document(subject, version) for subject in subjects()}
    seen: set[str] = set()
    for content in made.values():
        for each in content["vectors"]:
            if each["id"] in seen:
                raise VectorError(f"{each['id']}: an id must be used once")
            seen.add(each["id"])
    return made


def make(folder: Path = FOLDER) -> dict[str, int]:
    """Write every file into ``folder`` and return how many vectors each has.

    Raises VectorError, and writes nothing, where a published vector would change.
    """
    made = documents()
    present = {each["id"]: (name, each) for name, content in made.items() for each in content["vectors"]}
    broken = violations(effective(folder)[0], present)
    if broken:
        raise VectorError(next(iter(broken.values())))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (folder / name).write_text(write(content), encoding="utf-8", newline="\n")
    return {name: len(content["vectors"]) for name, content in made.items()}
