"""Which adapters there are by name, whether this machine has what they need, and how one is loaded.

Nothing here imports a framework, `load` apart, which runs in the process that judges.
"""

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENTRY_POINTS = "subpixel_conformance.adapters"


@dataclass(frozen=True)
class Spec:
    """Where an adapter is, and what it needs.

    ``target`` is ``pkg.mod:attr`` or ``file.py:attr``; ``requires`` are (import name, how to install it) pairs; ``environment`` is set in
    the process that judges it; ``ours`` marks the implementations of this distribution.
    """

    name: str
    target: str
    requires: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False


def _needs(*frameworks: str) -> tuple[tuple[str, str], ...]:
    installs = {"keras": "pip install keras"}
    return tuple((name, installs.get(name, f"pip install 'subpixel-spec[{name}]'")) for name in frameworks)


def _keras(backend: str) -> Spec:
    target = "subpixel_conformance.adapters.keras_ops:adapter"
    return Spec(f"keras-{backend}", target, _needs(backend, "keras"), {"KERAS_BACKEND": backend})


BUILT_IN = (
    Spec("numpy", "subpixel_conformance.adapters.reference:adapter", ours=True),
    Spec("torch", "subpixel_torch.adapter:adapter", _needs("torch"), ours=True),
    Spec("tensorflow", "subpixel_tensorflow.adapter:adapter", _needs("tensorflow"), ours=True),
    Spec("jax", "subpixel_jax.adapter:adapter", _needs("jax"), ours=True),
    Spec("torch-native", "subpixel_conformance.adapters.torch_native:adapter", _needs("torch")),
    Spec("tensorflow-native", "subpixel_conformance.adapters.tensorflow_native:adapter", _needs("tensorflow")),
    _keras("tensorflow"),
    _keras("jax"),
    _keras("torch"),
)


def registry() -> dict[str, Spec]:
    """Return every adapter known by name: the built-in ones, then those that installed distributions announce as entry points."""
    specs = {spec.name: spec for spec in BUILT_IN}
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        specs.setdefault(point.name, Spec(point.name, point.value))
    return specs


def find(name: str) -> Spec:
    """Return the adapter of that name. Raises ValueError for an unknown one."""
    specs = registry()
    if name not in specs:
        raise ValueError(f"backend must be one of {', '.join(specs)}; got {name!r}")
    return specs[name]


def located(target: str) -> Spec:
    """Return the spec of an adapter given as ``pkg.mod:attr`` or ``file.py:attr``. Raises ValueError where it cannot be one."""
    place, _, attribute = target.rpartition(":")
    if not place or not attribute.isidentifier():
        raise ValueError(f"adapter must be pkg.mod:attr or file.py:attr; got {target!r}")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise ValueError(f"adapter must name a file that exists; got {place!r}")
        return Spec(target, f"{path.resolve()}:{attribute}")
    if not all(part.isidentifier() for part in place.split(".")):
        raise ValueError(f"adapter must be pkg.mod:attr or file.py:attr; got {target!r}")
    return Spec(target, target)


def absence(spec: Spec) -> str | None:
    """Return why the adapter's frameworks are not there, or None. Looks them up without importing them."""
    for name, install in spec.requires:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            return f"{name} is not installed; {install}"
    return None


def resolve_attribute(target: str) -> Any:
    """Import ``pkg.mod:attr`` or ``file.py:attr`` and return the attribute. Whatever the import raises is passed on."""
    place, _, attribute = target.rpartition(":")
    if place.endswith(".py"):
        path = Path(place)
        spec = importlib.util.spec_from_file_location(f"_adapter_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{place} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        sys.path.append(str(path.parent))
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    return getattr(module, attribute)


def load(target: str) -> Any:
    """Return the adapter at ``target``: an object with claims, or a class or function without arguments that makes one."""
    found = resolve_attribute(target)
    if isinstance(found, type) or not hasattr(found, "claims"):
        if not callable(found):
            raise TypeError(f"an adapter must have claims; {target} is a {type(found).__name__}")
        found = found()
    if not isinstance(getattr(found, "claims", None), Mapping):
        raise TypeError(f"the claims of an adapter must be a mapping; {target} has {getattr(found, 'claims', None)!r}")
    return found
