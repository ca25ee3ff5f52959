"""WF: the weight file, judged byte by byte, and what a reader makes of files that the suite writes, whole and damaged."""

import json
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np

from .. import compare, oracle, weight_file
from ..adapter import ORDERS, AdapterProtocol
from ..case import Case, Mismatch, Needs
from ..clauses import specification_version
from ..covering import covering_array
from .arrays import normal, special_bits

Tensors = dict[str, np.ndarray]
Shape = tuple[int, ...]

FIELDS = (
    *("ndim", "in_channels", "out_channels", "widths", "blocks", "kernel_size", "scales", "output_scale"),
    *("norm", "groups", "upsample", "blur"),
)
METADATA = {"network": "subpixel residual U-Net", "layout": "channels last: kernel (*k, Ci, Co)"}


# --- the networks: names and shapes written out by hand ---


@dataclass(frozen=True, eq=False)
class Network:
    """A configuration, the shapes of its kernels, the channels of its norms, and the factors of its sub-pixel channels."""

    fields: Mapping[str, Any]
    kernels: Mapping[str, Shape]
    norms: Mapping[str, int]
    shifted: Mapping[str, Shape]

    def config(self, order: str) -> dict[str, Any]:
        """Return all fields."""
        return {**self.fields, "order": order}

    @property
    def shapes(self) -> dict[str, Shape]:
        """Return the shape of every tensor of the file."""
        shapes: dict[str, Shape] = {}
        for layer, shape in self.kernels.items():
            shapes[f"{layer}.kernel"] = shape
            shapes[f"{layer}.bias"] = shape[-1:]
        kept = ("scale", "bias", "mean", "variance") if self.fields["norm"] == "batch" else ("scale", "bias")
        return shapes | {f"{layer}.{what}": (channels,) for layer, channels in self.norms.items() for what in kept}

    def tensors(self, dtype: str, seed: int = 0) -> Tensors:
        """Return values that differ everywhere; running variances are positive."""
        return {name: array.copy() for name, array in _normal(self, dtype, seed).items()}

    def special(self, dtype: str) -> Tensors:
        """Return the bit patterns that careless code changes first, all of them over and over."""
        return {name: array.copy() for name, array in _special(self, dtype).items()}

    def moved(self, tensors: Mapping[str, np.ndarray], source: str, target: str) -> Tensors:
        """Return the tensors with the sub-pixel channels of ``source`` in the order ``target``: CP-001."""
        result = dict(tensors)
        for layer, scale in self.shifted.items():
            for name in (f"{layer}.kernel", f"{layer}.bias"):
                p = oracle.channel_permutation(result[name].shape[-1], scale, source=source, target=target)
                result[name] = np.ascontiguousarray(result[name][..., p])
        return result

    def metadata(self, order: str) -> dict[str, str]:
        """Return what the file says of itself."""
        return {**METADATA, "spec_version": _version(), "order": order, "config": json.dumps(self.fields)}


_version = cache(specification_version)


@cache
def _normal(network: Network, dtype: str, seed: int) -> Tensors:
    values = {name: normal(shape, dtype, seed + i) for i, (name, shape) in enumerate(network.shapes.items())}
    return {name: np.abs(array) + array.dtype.type(0.5) if name.endswith(".variance") else array for name, array in values.items()}


@cache
def _special(network: Network, dtype: str) -> Tensors:
    sizes = [prod(shape) for shape in network.shapes.values()]
    values = np.split(special_bits(dtype, sum(sizes)), np.cumsum(sizes)[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(network.shapes.items(), values, strict=True)}


IMAGE = Network(
    dict(zip(FIELDS, (2, 2, 3, (2, 4), 1, 3, ((2, 3),), 2, "batch", 8, "subpixel", False), strict=True)),
    {
        "stem": (3, 3, 2, 2),
        "encoder.0.0.conv1": (3, 3, 2, 2),
        "encoder.0.0.conv2": (3, 3, 2, 2),
        "encoder.1.0.conv1": (3, 3, 2, 4),
        "encoder.1.0.conv2": (3, 3, 4, 4),
        "encoder.1.0.shortcut": (1, 1, 2, 4),
        "decoder.0.up": (3, 3, 4, 12),
        "decoder.0.0.conv1": (3, 3, 4, 2),
        "decoder.0.0.conv2": (3, 3, 2, 2),
        "decoder.0.0.shortcut": (1, 1, 4, 2),
        "head.0": (3, 3, 2, 12),
    },
    {
        "encoder.0.0.norm1": 2,
        "encoder.0.0.norm2": 2,
        "encoder.1.0.norm1": 2,
        "encoder.1.0.norm2": 4,
        "decoder.0.0.norm1": 4,
        "decoder.0.0.norm2": 2,
        "head.norm": 2,
    },
    {"decoder.0.up": (2, 3), "head.0": (2, 2)},
)
VOLUME = Network(
    dict(zip(FIELDS, (3, 1, 2, (2, 3), 1, (1, 3, 2), ((1, 2, 3),), 1, "none", 8, "subpixel", True), strict=True)),
    {
        "stem": (1, 3, 2, 1, 2),
        "encoder.0.0.conv1": (1, 3, 2, 2, 2),
        "encoder.0.0.conv2": (1, 3, 2, 2, 2),
        "encoder.1.0.conv1": (1, 3, 2, 2, 3),
        "encoder.1.0.conv2": (1, 3, 2, 3, 3),
        "encoder.1.0.shortcut": (1, 1, 1, 2, 3),
        "decoder.0.up": (1, 3, 2, 3, 12),
        "decoder.0.0.conv1": (1, 3, 2, 4, 2),
        "decoder.0.0.conv2": (1, 3, 2, 2, 2),
        "decoder.0.0.shortcut": (1, 1, 1, 4, 2),
        "head.0": (1, 3, 2, 2, 2),
    },
    {},
    {"decoder.0.up": (1, 2, 3), "head.0": (1, 1, 1)},
)
SERIES = Network(
    dict(zip(FIELDS, (1, 2, 1, (4, 4), (2, 1), 3, 3, 1, "group", 2, "deconv", False), strict=True)),
    {
        "stem": (3, 2, 4),
        "encoder.0.0.conv1": (3, 4, 4),
        "encoder.0.0.conv2": (3, 4, 4),
        "encoder.0.1.conv1": (3, 4, 4),
        "encoder.0.1.conv2": (3, 4, 4),
        "encoder.1.0.conv1": (3, 4, 4),
        "encoder.1.0.conv2": (3, 4, 4),
        "encoder.1.0.shortcut": (1, 4, 4),
        "decoder.0.up": (9, 4, 4),
        "decoder.0.0.conv1": (3, 8, 4),
        "decoder.0.0.conv2": (3, 4, 4),
        "decoder.0.0.shortcut": (1, 8, 4),
        "decoder.0.1.conv1": (3, 4, 4),
        "decoder.0.1.conv2": (3, 4, 4),
        "head.0": (3, 4, 1),
    },
    {
        "encoder.0.0.norm1": 4,
        "encoder.0.0.norm2": 4,
        "encoder.0.1.norm1": 4,
        "encoder.0.1.norm2": 4,
        "encoder.1.0.norm1": 4,
        "encoder.1.0.norm2": 4,
        "decoder.0.0.norm1": 8,
        "decoder.0.0.norm2": 4,
        "decoder.0.1.norm1": 4,
        "decoder.0.1.norm2": 4,
        "head.norm": 4,
    },
    {},
)
RESIZED = Network(
    dict(zip(FIELDS, (2, 1, 1, (2,), 1, (1, 2), 2, (1, 3), "none", 8, "resize", False), strict=True)),
    {"stem": (1, 2, 1, 2), "encoder.0.0.conv1": (1, 2, 2, 2), "encoder.0.0.conv2": (1, 2, 2, 2), "head.0": (1, 2, 2, 1)},
    {},
    {},
)
NETWORKS = {"image": IMAGE, "volume": VOLUME, "series": SERIES, "resized": RESIZED}


@contextmanager
def _file(content: bytes | None = None) -> Iterator[Path]:
    """Yield the path of a file with this content, or of none yet."""
    path = Path(gettempdir()) / f"network-{token_hex(8)}.safetensors"
    try:
        if content is not None:
            path.write_bytes(content)
        yield path
    finally:
        path.unlink(missing_ok=True)


# --- writing ---


def _contents(path: Path, clause: str, case: str) -> tuple[Tensors, dict[str, str]]:
    """Return what is in a file that the implementation wrote."""
    try:
        return weight_file.read(path.read_bytes())
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise Mismatch(f"{clause} ({case}): the file must be a safetensors file; got {type(error).__name__}: {error}") from None


def _same(actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], clause: str, case: str) -> None:
    """Demand exactly these tensors, bit for bit."""
    strange = sorted(set(actual) ^ set(expected))
    if strange:
        what = "missing" if strange[0] in expected else "not a tensor of the configuration"
        raise Mismatch(f"{clause} ({case}): the tensors must be the {len(expected)} of UN-011; {strange[0]!r} is {what}")
    for name, array in expected.items():
        difference = compare.bitwise(np.asarray(actual[name]), array)
        if difference is not None:
            raise Mismatch(difference.message(clause, case, name))


def holds_tensors(adapter: AdapterProtocol, device: str, *, network: Network, order: str, dtype: str, special: bool, case: str) -> None:
    """Demand that a file holds exactly the tensors that were saved, in the order that it says."""
    tensors = network.special(dtype) if special else network.tensors(dtype)
    with _file() as path:
        adapter.save_weights(str(path), {name: array.copy() for name, array in tensors.items()}, network.config(order))
        found, metadata = _contents(path, "WF-001", case)
    told = metadata.get("order")
    _same(found, network.moved(tensors, order, told if told in ORDERS else order), "WF-001", case)


def describes_itself(adapter: AdapterProtocol, device: str, *, network: Network, order: str, case: str) -> None:
    """Demand the five keys with their values, and kernels in the order that is told."""
    tensors = network.tensors("float32")
    with _file() as path:
        adapter.save_weights(str(path), network.tensors("float32"), network.config(order))
        found, metadata = _contents(path, "WF-002", case)
    expected = network.metadata(order)
    if sorted(metadata) != sorted(expected):
        raise Mismatch(f"WF-002 ({case}): the metadata must have the keys {sorted(expected)}; got {sorted(metadata)}")
    for key in ("network", "spec_version", "layout"):
        if metadata[key] != expected[key]:
            raise Mismatch(f"WF-002 ({case}): {key} must be {expected[key]!r}; got {metadata[key]!r}")
    try:
        fields = json.loads(metadata["config"])
    except ValueError as error:
        raise Mismatch(f"WF-002 ({case}): config must be a JSON object; got {error}") from None
    if fields != json.loads(expected["config"]):
        raise Mismatch(f"WF-002 ({case}): config must be {expected['config']}; got {metadata['config']}")
    if metadata["order"] not in ORDERS:
        raise Mismatch(f"WF-002 ({case}): order must be one of {', '.join(ORDERS)}; got {metadata['order']!r}")
    shifted = {name for layer in network.shifted for name in (f"{layer}.kernel", f"{layer}.bias")} & set(found)
    moved = network.moved(tensors, order, metadata["order"])
    for name in sorted(shifted):
        difference = compare.bitwise(found[name], moved[name])
        if difference is not None:
            raise Mismatch(difference.message("WF-002", case, f"in the order {metadata['order']} that the file tells, {name}"))


FILE_NAMES = ("network.safetensors", "network", "my best network (2).weights", "réseau – 网络.safetensors", ".hidden", "a.b.c.npz")


def replaces(adapter: AdapterProtocol, device: str, *, name: str, case: str) -> None:
    """Demand that a file that is there becomes another one, whole: who has the old one open still reads all of it. Nothing else is left."""
    old, new = IMAGE.tensors("float32"), IMAGE.tensors("float32", seed=100)
    with TemporaryDirectory() as folder:
        path, link = Path(folder) / name, Path(folder) / "link"
        content = weight_file.written(old, IMAGE.metadata("DCR"))
        path.write_bytes(content)
        os.link(path, link)
        adapter.save_weights(str(path), new, IMAGE.config("DCR"))
        if link.read_bytes() != content:
            raise Mismatch(f"WF-003 ({case}): {name!r} must be replaced by another file; the old one was written into")
        found, metadata = _contents(path, "WF-003", case)
        left = sorted(entry.name for entry in Path(folder).iterdir())
    _same(IMAGE.moved(found, metadata.get("order", "DCR"), "DCR"), new, "WF-003", case)
    if left != sorted([name, "link"]):
        raise Mismatch(f"WF-003 ({case}): nothing must be left beside {name!r}; got {left}")


def refuses_to_write(adapter: AdapterProtocol, device: str, *, change: Callable[[Tensors], Tensors], asked: str, case: str) -> None:
    """Demand that parameters that are none of the configuration are refused, and that the file stays as it was."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        content = weight_file.written(IMAGE.tensors("float32"), IMAGE.metadata("DCR"))
        path.write_bytes(content)
        try:
            adapter.save_weights(str(path), change(IMAGE.tensors("float32", seed=100)), IMAGE.config("DCR"))
        except Exception:
            refused = True
        else:
            refused = False
        kept = path.is_file() and path.read_bytes() == content
        left = sorted(entry.name for entry in Path(folder).iterdir())
    if not refused:
        raise Mismatch(f"UN-015 ({case}): {asked} must be refused; got a file")
    if not kept or left != ["network.safetensors"]:
        raise Mismatch(f"WF-003 ({case}): a refused save must leave the file as it was, and nothing beside it; got {left}")


# --- reading ---


def reads(
    adapter: AdapterProtocol, device: str, *, network: Network, order: str, target: str | None, dtype: str, special: bool, case: str
) -> None:
    """Demand every bit of a file that the suite wrote, in the order that is asked for. Its tensors do not come in the usual sequence."""
    tensors = network.special(dtype) if special else network.tensors(dtype)
    with _file(weight_file.written(dict(sorted(tensors.items(), reverse=True)), network.metadata(order))) as path:
        params, config = adapter.load_weights(str(path), order=target)
    config = json.loads(json.dumps(dict(config)))
    expected = json.loads(json.dumps(network.config(target or order)))
    if config != expected:
        raise Mismatch(f"WF-004 ({case}): the configuration must be {expected}; got {config}")
    _same(params, network.moved(tensors, order, target or order), "WF-004", case)


def comes_back(adapter: AdapterProtocol, device: str, *, network: Network, order: str, dtype: str, case: str) -> None:
    """Demand that what was saved is loaded."""
    tensors = network.special(dtype)
    with _file() as path:
        adapter.save_weights(str(path), {name: array.copy() for name, array in tensors.items()}, network.config(order))
        params, config = adapter.load_weights(str(path), order=order)
    if dict(config).get("order") != order:
        raise Mismatch(f"WF-004 ({case}): the order must be {order}; got {dict(config).get('order')!r}")
    _same(params, tensors, "WF-004", case)


def refuses_to_read(
    adapter: AdapterProtocol,
    device: str,
    *,
    content: Callable[[], bytes],
    asked: str,
    words: tuple[tuple[str, ...], ...],
    clause: str,
    case: str,
) -> None:
    """Demand a message with the name of the file and, for every entry of ``words``, one of its words."""
    with _file(content()) as path:
        try:
            params, _ = adapter.load_weights(str(path))
        except Exception as error:
            text = str(error)
        else:
            raise Mismatch(f"{clause} ({case}): {asked} must be refused; got {len(params)} tensors")
    for wanted in ((path.name,), *words):
        if not any(word.lower() in text.lower() for word in wanted):
            raise Mismatch(f"{clause} ({case}): {asked} must be refused by a message with {' or '.join(wanted)}; got {text!r}")


# --- damage ---


def _whole(order: str = "DCR") -> bytes:
    return weight_file.written(IMAGE.tensors("float32"), IMAGE.metadata(order))


def _cut(length: Callable[[int, int], int]) -> bytes:
    """Return the first bytes of a file: ``length(end of the header, end of the file)``."""
    content = _whole()
    _, values = weight_file.parts(content)
    return content[: length(len(content) - len(values), len(content))]


def _tensors(change: Callable[[Tensors], Tensors]) -> bytes:
    return weight_file.written(change(IMAGE.tensors("float32")), IMAGE.metadata("DCR"))


def _told(**changes: str | None) -> bytes:
    """Return a file with other metadata; None leaves a key out."""
    metadata = {**IMAGE.metadata("DCR"), **changes}
    return weight_file.written(IMAGE.tensors("float32"), {key: value for key, value in metadata.items() if value is not None})


def _fields(**changes: Any) -> bytes:
    return _told(config=json.dumps({**IMAGE.fields, **changes}))


def _entry(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a file in which the header tells something else of ``head.0.bias``."""
    header, values = weight_file.parts(_whole())
    change(header["head.0.bias"])
    return weight_file.with_header(header, values)


def without(name: str) -> Callable[[Tensors], Tensors]:
    """Return the change that leaves out a tensor."""
    return lambda tensors: {key: array for key, array in tensors.items() if key != name}


def renamed(name: str, new: str) -> Callable[[Tensors], Tensors]:
    """Return the change that gives a tensor another name."""
    return lambda tensors: {new if key == name else key: array for key, array in tensors.items()}


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], Tensors]:
    """Return the change of one tensor."""
    return lambda tensors: {**tensors, name: change(tensors[name])}


def _all(dtype: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: array.astype(dtype) for name, array in tensors.items()}


WRONG_TENSORS: dict[str, tuple[Callable[[Tensors], Tensors], str, tuple[tuple[str, ...], ...]]] = {
    "missing": (without("encoder.1.0.conv2.bias"), "a file without encoder.1.0.conv2.bias", (("encoder.1.0.conv2.bias",),)),
    "missing-statistics": (without("head.norm.variance"), "a file without running statistics", (("head.norm.variance",),)),
    "renamed": (
        renamed("head.0.kernel", "head.0.weight"),
        "a file with head.0.weight for head.0.kernel",
        (("head.0.kernel", "head.0.weight"),),
    ),
    "extra": (lambda tensors: {**tensors, "steps": tensors["stem.bias"]}, "a file with a tensor 'steps'", (("steps",),)),
    "shape": (changed("stem.kernel", lambda k: k[:2]), "a stem.kernel of shape (2, 3, 2, 2)", (("stem.kernel",),)),
    "transposed": (
        changed("encoder.1.0.conv1.kernel", lambda k: np.ascontiguousarray(k.transpose(3, 2, 0, 1))),
        "a kernel (Co, Ci, *k)",
        (("encoder.1.0.conv1.kernel",),),
    ),
    "flat": (changed("decoder.0.up.kernel", lambda k: k.reshape(-1)), "a kernel without its shape", (("decoder.0.up.kernel",),)),
    "axis": (changed("stem.bias", lambda b: b[None]), "a stem.bias of shape (1, 2)", (("stem.bias",),)),
    "float16": (_all("float16"), "float16", (("F16", "float16"),)),
    "integers": (_all("int32"), "int32", (("I32", "int32"),)),
    "mixed": (changed("stem.bias", lambda b: b.astype(np.float64)), "float32 and float64 in one file", (("float32", "F32", "F64"),)),
    "one-float16": (changed("stem.bias", lambda b: b.astype(np.float16)), "one tensor in float16", (("F16", "float16"),)),
}
"""Changes of the tensors of a file: what is asked for, and the words of a message that names what is wrong."""

DAMAGED: dict[str, tuple[Callable[[], bytes], str, tuple[tuple[str, ...], ...]]] = {
    "empty": (lambda: b"", "an empty file", ()),
    "cut-in-the-length": (lambda: _cut(lambda header, end: 5), "the first 5 bytes of a file", ()),
    "cut-after-the-length": (lambda: _cut(lambda header, end: 8), "the first 8 bytes of a file", ()),
    "cut-in-the-header": (lambda: _cut(lambda header, end: header // 2), "a file cut off in its header", ()),
    "cut-after-the-header": (lambda: _cut(lambda header, end: header), "a file without its values", ()),
    "cut-in-the-values": (lambda: _cut(lambda header, end: (header + end) // 2), "a file cut off in its values", ()),
    "cut-by-one": (lambda: _cut(lambda header, end: end - 1), "a file without its last byte", ()),
    "longer": (lambda: _whole() + b"\0", "a file with one byte more", ()),
    "text": (lambda: b"this is no weight file, but a text that is long enough for a header", "a text", ()),
    "pickle": (lambda: pickle.dumps(IMAGE.tensors("float32")), "a pickle", ()),
    "zip": (lambda: b"PK\x03\x04" + bytes(60), "the beginning of a zip archive", ()),
    "zeros": (lambda: bytes(64), "zeros", ()),
    "list": (lambda: weight_file.with_header([1, 2], b""), "a header that is a list", ()),
    "offsets-beyond": (lambda: _entry(lambda e: e.update(data_offsets=[0, 1 << 40])), "offsets beyond the end of the file", ()),
    "offsets-negative": (lambda: _entry(lambda e: e.update(data_offsets=[-48, 0])), "negative offsets", ()),
    "offsets-shared": (lambda: _entry(lambda e: e.update(data_offsets=[0, 48])), "two tensors in the same bytes", ()),
    "offsets-of-another-size": (lambda: _entry(lambda e: e.update(shape=[13])), "a shape that its bytes do not fill", ()),
    "unknown-dtype": (lambda: _entry(lambda e: e.update(dtype="Q7")), "a dtype that there is not", ()),
    "no-metadata": (lambda: weight_file.written(IMAGE.tensors("float32"), {}), "a file without metadata", (("network",),)),
    **{f"no-{key}": (partial(_told, **{key: None}), f"a file that does not tell its {key}", ()) for key in sorted(IMAGE.metadata("DCR"))},
    "another-network": (lambda: _told(network="U-Net"), "a file of another network", (("network",),)),
    "another-layout": (lambda: _told(layout="channels first"), "a file in another layout", (("layout",),)),
    "another-order": (lambda: _told(order="RGB"), "a file in the order 'RGB'", (("RGB",), ("order",))),
    "no-json": (lambda: _told(config="{'ndim': 2}"), "a configuration that is no JSON", ()),
    "no-object": (lambda: _told(config="[2]"), "a configuration that is no JSON object", ()),
    "deep-json": (lambda: _told(config="[" * 100_000), "a configuration of a hundred thousand brackets", ()),
    "unknown-field": (lambda: _fields(dropout=0), "a configuration with an unknown field", (("dropout",),)),
    "field-left-out": (
        lambda: _told(config=json.dumps({key: value for key, value in IMAGE.fields.items() if key != "blur"})),
        "a configuration without 'blur'",
        (("blur",),),
    ),
    "no-levels": (lambda: _fields(widths=[]), "a configuration without levels", (("widths",),)),
    "zero-width": (lambda: _fields(widths=[2, 0]), "a width of 0", (("widths",),)),
    "groups": (lambda: _fields(norm="group"), "widths that the groups do not divide", (("groups",),)),
    "unknown-norm": (lambda: _fields(norm="layer"), "an unknown norm", (("norm",), ("layer",))),
    "four-axes": (lambda: _fields(ndim=4), "four spatial axes", (("ndim",),)),
    "version-word": (lambda: _told(spec_version="latest"), "the version 'latest'", (("latest",), ("version",))),
    "version-empty": (lambda: _told(spec_version=""), "an empty version", (("version",),)),
    "version-long": (lambda: _told(spec_version="9" * 5000 + ".0"), "a version of five thousand digits", (("version", "specification"),)),
}
"""What a reader must refuse: the bytes, what they are, and the words of a message that names what is wrong (the file is always named)."""

REFUSED_TO_WRITE: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "missing": (without("encoder.1.0.conv2.bias"), "parameters without encoder.1.0.conv2.bias"),
    "renamed": (renamed("head.0.kernel", "head.0.weight"), "parameters with head.0.weight for head.0.kernel"),
    "extra": (lambda tensors: {**tensors, "steps": tensors["stem.bias"]}, "parameters with a tensor 'steps'"),
    "shape": (changed("stem.kernel", lambda k: k[:2]), "a stem.kernel of shape (2, 3, 2, 2)"),
}


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases of WF."""
    exhaustive = profile == "exhaustive"
    yield from _written_cases(exhaustive)
    yield from _read_cases(exhaustive)
    needs = Needs(("load_weights",), order="DCR", ndim=2, anisotropic=True)
    for slug, (change, asked, words) in WRONG_TENSORS.items():
        yield _refusal("WF-005", f"tensor-{slug}", partial(_tensors, change), asked, words, needs)
    for slug, (content, asked, words) in DAMAGED.items():
        yield _refusal("WF-005", slug, content, asked, words, needs)
    major, minor = map(int, _version().split("."))
    for version in (f"{major}.{minor + 1}", f"{major + 1}.0", f"{major}.{minor + 10}", f"{10 * major}.0"):
        words = ((version,), (_version(),))
        yield _refusal("WF-006", version, partial(_told, spec_version=version), f"a file of specification {version}", words, needs)


def _refusal(clause: str, slug: str, content: Callable[[], bytes], asked: str, words: tuple[tuple[str, ...], ...], needs: Needs) -> Case:
    case = f"{clause}/{slug}"
    check = partial(refuses_to_read, content=content, asked=asked, words=words, clause=clause, case=case)
    return Case(case, (clause,), "unet", needs, check)


def _needs(network: Network, operations: tuple[str, ...], order: str, target: str | None = None) -> Needs:
    return Needs(operations, order=order, target=target, ndim=int(network.fields["ndim"]), anisotropic=network is not SERIES)


def _written_cases(exhaustive: bool) -> Iterator[Case]:
    save = ("save_weights",)
    for slug, network in NETWORKS.items():
        for order in ORDERS if network.shifted else ("CRD",):
            case = f"WF-002/{slug}-{order}"
            check: Any = partial(describes_itself, network=network, order=order, case=case)
            yield Case(case, ("WF-002",), "unet", _needs(network, save, order), check)
            for dtype in ("float32", "float64") if exhaustive or order == "CRD" else ("float32",):
                for special in (False, True) if exhaustive or order == "CRD" else (False,):
                    case = f"WF-001/{slug}-{order}-{dtype}{'-bits' if special else ''}"
                    check = partial(holds_tensors, network=network, order=order, dtype=dtype, special=special, case=case)
                    yield Case(case, ("WF-001",), "unet", _needs(network, save, order), check)
    for number, name in enumerate(FILE_NAMES):
        case = f"WF-003/name-{number}"
        yield Case(case, ("WF-003",), "unet", _needs(IMAGE, save, "DCR"), partial(replaces, name=name, case=case))
    for slug, (change, asked) in REFUSED_TO_WRITE.items():
        case = f"WF-003/refused-{slug}"
        check = partial(refuses_to_write, change=change, asked=asked, case=case)
        yield Case(case, ("WF-003", "UN-015"), "unet", _needs(IMAGE, save, "DCR"), check)


def _read_cases(exhaustive: bool) -> Iterator[Case]:
    """Yield the cases of reading. A model takes some frameworks a tenth of a second, so full has every two circumstances together."""
    load = ("load_weights",)
    for number, (slug, network) in enumerate(NETWORKS.items()):
        dtypes = ("float32", "float64")
        levels: dict[str, Any] = {
            "order": ORDERS if network.shifted else ("CRD",),
            "target": (None, *ORDERS),
            "dtype": dtypes,
            "special": (False, True),
        }
        if not exhaustive and network is not IMAGE:
            levels["target"] = (None, "DRC")
        for rows in covering_array(levels, 4 if exhaustive else 2):
            order, target, dtype, special = rows.values()
            case = f"WF-004/{slug}-{order}{'' if target is None else f'-as-{target}'}-{dtype}{'-bits' if special else ''}"
            check: Any = partial(reads, network=network, case=case, **rows)
            yield Case(case, ("WF-004",), "unet", _needs(network, load, order, target), check)
        for dtype in dtypes if exhaustive else (dtypes[number % 2],):
            case = f"WF-004/{slug}-back-{dtype}"
            check = partial(comes_back, network=network, order="RCD", dtype=dtype, case=case)
            yield Case(case, ("WF-004",), "unet", _needs(network, ("save_weights", "load_weights"), "RCD"), check)
