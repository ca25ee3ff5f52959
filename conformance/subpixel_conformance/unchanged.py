"""Whether the suite that has judged is the one that was imported: an adapter runs in its process, and could change it.

What is changed and left so is found: a comparison that always agrees, a NumPy function that lies, a module that was exchanged. What is put
back before anyone looks is not, and neither is whatever else a program can do that runs as the same user. The suite is made to find
mistakes; it is no defence against an adapter that was written to deceive it (docs/reports.md).
"""

import builtins
import json
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy

import subpixel_conformance

SPARED = frozenset(("print", "input", "open", "help", "__import__", "__build_class__", "breakpoint"))
"""Built-in names that tools exchange for good reasons, and that no verdict rests on."""

Snapshot = Mapping[str, tuple[dict[str, Any], str, Any, Any]]


def snapshot() -> Snapshot:
    """Return what every name of the suite, NumPy, JSON and the built-ins stands for now."""
    return {f"{place}.{name}": (holder, name, value, _code(value)) for place, holder, name, value in _names()}


def changed(before: Snapshot) -> str:
    """Return the first name that stands for something else now, or nothing."""
    absent = object()
    for place, (holder, name, value, code) in before.items():
        now = holder.get(name, absent)
        if now is not value or _code(now) is not code:
            return place
    return ""


def _names() -> Iterator[tuple[str, dict[str, Any], str, Any]]:
    for module in (*_suite(), numpy, json, builtins):
        yield "sys.modules", sys.modules, module.__name__, module
        for name, value in list(vars(module).items()):
            if module is builtins and (name in SPARED or name.startswith("_")):
                continue
            yield module.__name__, vars(module), name, value
            if isinstance(value, type) and value.__module__ == module.__name__ and module in _suite():
                for member, function in list(vars(value).items()):
                    if isinstance(function, (FunctionType, property, staticmethod, classmethod)):
                        yield f"{module.__name__}.{name}", _Members(value), member, function


class _Members(dict[str, Any]):
    """The members of a class, as they are when they are asked for."""

    def __init__(self, owner: type) -> None:
        self._owner = owner

    def get(self, name: str, default: Any = None) -> Any:
        return vars(self._owner).get(name, default)


def _suite() -> list[ModuleType]:
    """Return the modules of the suite, that which runs as the program with them."""
    inside = f"{subpixel_conformance.__name__}."
    found = [module for name, module in list(sys.modules.items()) if name.startswith(inside) and isinstance(module, ModuleType)]
    program = sys.modules["__main__"]
    return [*found, program] if str(getattr(program.__spec__, "name", "")).startswith(inside) else found


def _code(value: Any) -> Any:
    return value.__code__ if isinstance(value, FunctionType) else None
