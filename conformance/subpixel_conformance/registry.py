"""Which adapters there are by name, whether this machine has what they need, and how one is loaded.

Nothing here imports a framework, `load` apart, which runs in the process that judges.
"""

import difflib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ENTRY_POINTS = "subpixel_conformance.adapters"


@dataclass(frozen=True)
class Spec:
    """Where an adapter is, and what it needs.

    ``target`` is ``pkg.mod:attr`` or ``file.py:attr``; ``requires`` are (import name, how to install it) pairs; ``environment`` is set in
    the process that judges it; ``ours`` marks the implementations of this distribution; ``unavailable`` is why it cannot be judged at
    all; ``project`` is the project that publishes it; ``located`` says that the target was given in the command, so that a wrong one is a
    mistake there.
    """

    name: str
    target: str
    requires: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    unavailable: str = ""
    project: str = ""
    located: bool = False


def _needs(*frameworks: str) -> tuple[tuple[str, str], ...]:
    extras = ("torch", "tensorflow", "jax")
    return tuple((name, f"pip install 'subpixel-spec[{name}]'" if name in extras else f"pip install {name}") for name in frameworks)


def _keras(backend: str) -> Spec:
    target = "subpixel_conformance.adapters.keras_ops:adapter"
    return Spec(f"keras-{backend}", target, _needs(backend, "keras"), {"KERAS_BACKEND": backend}, project="Keras")


BUILT_IN = (
    Spec("numpy", "subpixel_conformance.adapters.reference:adapter", ours=True),
    Spec("torch", "subpixel_torch.adapter:adapter", _needs("torch"), ours=True),
    Spec("tensorflow", "subpixel_tensorflow.adapter:adapter", _needs("tensorflow"), ours=True),
    Spec("jax", "subpixel_jax.adapter:adapter", _needs("jax"), ours=True),
    Spec("torch-native", "subpixel_conformance.adapters.torch_native:adapter", _needs("torch"), project="PyTorch"),
    Spec("tensorflow-native", "subpixel_conformance.adapters.tensorflow_native:adapter", _needs("tensorflow"), project="TensorFlow"),
    _keras("tensorflow"),
    _keras("jax"),
    _keras("torch"),
)


def _peer(project: str, place: str, *modules: str, name: str = "", environment: Mapping[str, str] | None = None) -> Spec:
    requires = tuple((module, "make peers") for module in modules)
    known_as = name or place.partition(":")[0]
    return Spec(known_as, f"subpixel_conformance.adapters.{place}", requires, environment or {}, project=project)


EXPORTED = "this project, exported"
"""Whose rows they are where what our exporters write is judged in another runtime."""


def _exported(place: str, *frameworks: str, name: str = "") -> Spec:
    return replace(_peer(EXPORTED, place, name=name or place.partition(":")[0].replace("_", "-")), requires=_needs(*frameworks), ours=True)


def _without_torchvision(*names: str) -> tuple[Spec, ...]:
    reason = "it needs torchvision, whose wheels do not load beside the CPU build of torch (operator torchvision::nms does not exist)"
    return tuple(Spec(name, "", unavailable=reason, project=name) for name in names)


_PYTHON_DEVICE = {"DEV": "PYTHON"}

PEERS = (
    *(spec for spec in BUILT_IN if not spec.ours),
    _peer("MONAI", "monai:adapter", "monai"),
    _peer("MONAI", "monai:upsample_adapter", "monai", name="monai-upsample"),
    _peer("fastai", "fastai:adapter", "fastai"),
    _peer("PIX", "dm_pix:adapter", "dm_pix", name="dm-pix"),
    _peer("einops", "einops:adapter", "einops"),
    _peer("ONNX", "onnx_reference:adapter", "onnx", name="onnx-reference"),
    _peer("ONNX Runtime", "onnxruntime:adapter", "onnxruntime", "onnx"),
    _peer("ONNX Runtime", "onnxruntime:crd_adapter", "onnxruntime", "onnx", name="onnxruntime-crd"),
    _peer("LiteRT", "litert:adapter", "ai_edge_litert"),
    _peer("OpenVINO", "openvino:adapter", "openvino"),
    _peer("PaddlePaddle", "paddle:adapter", "paddle"),
    _peer("tinygrad", "tinygrad:adapter", "tinygrad", environment=_PYTHON_DEVICE),
    _peer("tinygrad", "tinygrad:crd_adapter", "tinygrad", name="tinygrad-crd", environment=_PYTHON_DEVICE),
    _peer("diffusers", "diffusers:adapter", "diffusers", "torch"),
    _peer("transformers", "transformers:adapter", "transformers", "torch"),
    _exported("torch_onnxruntime:adapter", "torch", "onnx", "onnxruntime", "onnxscript"),
    _exported("torch_onnxruntime:others_adapter", "torch", "onnx", "onnxruntime", "onnxscript", name="torch-onnxruntime-others"),
    _exported("tensorflow_tflite:adapter", "tensorflow"),
    _exported("jax_stablehlo:adapter", "jax"),
    *_without_torchvision("timm", "super-image", "segmentation-models-pytorch", "basicsr"),
)
"""Implementations that others publish, and what we export, in the runtimes of others.

They are judged when they are named, and by ``make scoreboard`` all together.
"""


def registry() -> dict[str, Spec]:
    """Return every adapter known by name: the built-in ones, then those that installed distributions announce as entry points."""
    specs = {spec.name: spec for spec in BUILT_IN}
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        specs.setdefault(point.name, Spec(point.name, point.value))
    return specs


def find(name: str) -> Spec:
    """Return the adapter of that name, a peer's too. Raises ValueError for an unknown one."""
    specs = {spec.name: spec for spec in PEERS} | registry()
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
        return Spec(target, f"{path.resolve()}:{attribute}", located=True)
    if not all(part.isidentifier() for part in place.split(".")):
        raise ValueError(f"adapter must be pkg.mod:attr or file.py:attr; got {target!r}")
    return Spec(target, target, located=True)


def absence(spec: Spec) -> str | None:
    """Return why the adapter's frameworks are not there, or None. Looks them up without importing them."""
    if spec.unavailable:
        return spec.unavailable
    for name, install in spec.requires:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            return f"{name} is not installed; {install}"
    return None


class AbsentError(LookupError):
    """What was named is not there, or is not what it was named as: a mistake in the command, not in what the name leads to."""


def resolve_attribute(target: str) -> Any:
    """Import ``pkg.mod:attr`` or ``file.py:attr`` and return the attribute.

    Raises
    ------
    AbsentError
        Where there is no such module, or nothing of that name in it. Whatever else the import raises is passed on.
    """
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
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise  # a module that the named one imports
            raise AbsentError(f"adapter must name a module that can be imported; there is no {error.name!r}") from error
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, vars(module), n=3)
        meant = f"; it has {', '.join(near)}" if near else ""
        raise AbsentError(f"adapter must name something in {place}; there is no {attribute!r}{meant}")
    return getattr(module, attribute)


def load(target: str) -> Any:
    """Return the adapter at ``target``: an object with claims, or a class or function without arguments that makes one."""
    return instance(resolve_attribute(target), target)


def instance(found: Any, what: str) -> Any:
    """Return ``found`` itself if it has claims, else what it makes, a class or function without arguments; ``what`` names it."""
    if isinstance(found, type) or not hasattr(found, "claims"):
        if not callable(found):
            raise AbsentError(f"an adapter must have claims; {what} is a {type(found).__name__}")
        found = found()
    if not isinstance(getattr(found, "claims", None), Mapping):
        raise TypeError(f"the claims of an adapter must be a mapping; {what} has {getattr(found, 'claims', None)!r}")
    return found
