"""Where a value differs from a JSON Schema, by the part of draft 2020-12 that ``schemas/report-1.json`` uses: reading needs no package."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

KEYWORDS = frozenset(
    (
        *("$ref", "type", "const", "enum", "pattern", "minimum", "maximum", "allOf", "anyOf"),
        *("required", "properties", "additionalProperties", "propertyNames", "items"),
    )
)
"""What is checked. Descriptions and definitions are passed over; the tests hold the schema to these."""

_TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float)}


def problem(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str = "") -> str | None:
    """Return the first difference in one line, with its place, or None. ``root`` holds the definitions that ``schema`` refers to."""
    return next(_problems(value, schema, root, place), None)


def _problems(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, place)
    if "type" in schema and not any(_is(value, name) for name in _listed(schema["type"])):
        yield _said(place, f"must be {' or '.join(_listed(schema['type']))}", value)
        return
    if "const" in schema and not _same(value, schema["const"]):
        yield _said(place, f"must be {schema['const']!r}", value)
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        yield _said(place, f"must be one of {', '.join(map(str, schema['enum']))}", value)
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield _said(place, f"must look like {schema['pattern']}", value)
    if "minimum" in schema and _is(value, "number") and value < schema["minimum"]:
        yield _said(place, f"must be at least {schema['minimum']}", value)
    if "maximum" in schema and _is(value, "number") and value > schema["maximum"]:
        yield _said(place, f"must be at most {schema['maximum']}", value)
    if isinstance(value, dict):
        yield from _problems_of_members(value, schema, root, place)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from _problems(item, schema["items"], root, f"{place}[{number}]")
    for part in schema.get("allOf", ()):
        yield from _problems(value, part, root, place)
    if "anyOf" in schema and all(problem(value, part, root, place) for part in schema["anyOf"]):
        yield _said(place, "must be one of the kinds that the schema allows", value)


def _problems_of_members(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place or 'it'} must have {name!r}"
    properties = schema.get("properties", {})
    for name, item in value.items():
        inside = f"{place}.{name}" if place else name
        if "propertyNames" in schema:
            yield from _problems(name, schema["propertyNames"], root, f"a name in {place}")
        if name in properties:
            yield from _problems(item, properties[name], root, inside)
        elif "additionalProperties" in schema:
            yield from _problems(item, schema["additionalProperties"], root, inside)


def _listed(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _is(value: Any, name: str) -> bool:
    if name == "integer":
        return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _said(place: str, rule: str, value: Any) -> str:
    shown = repr(value)
    return f"{place or 'it'} {rule}; got {shown if len(shown) <= 60 else shown[:59] + '…'}"
