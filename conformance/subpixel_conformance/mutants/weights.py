"""Wrong weight files: what is written, how, and what a reader lets pass."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import weight_file
from ..adapter import ORDERS
from ..cases.weights import FIELDS, NETWORKS, Network, Tensors
from ..clauses import specification_version
from .mutant import Mutant, mutant

Config = dict[str, Any]


def _network(fields: Mapping[str, Any]) -> Network:
    """Return the network of these fields: this implementation knows those of the cases."""
    for network in NETWORKS.values():
        if json.dumps(network.fields) == json.dumps({name: fields.get(name) for name in FIELDS}):
            return network
    raise ValueError(f"no configuration has the fields {dict(fields)}")


class HonestFile:
    """Writes and reads as the specification says. The methods are the places where mutants differ."""

    # --- writing ---

    def save(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        """Check, then write."""
        self.admitted("params", params, _network(config))
        self.put(Path(path), weight_file.written(self.stored(params, config), self.metadata(config)))

    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        """Return the tensors of the file."""
        return dict(params)

    def metadata(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Return what the file says of itself."""
        return _network(config).metadata(config["order"])

    def put(self, path: Path, content: bytes) -> None:
        """Replace the file in one step."""
        beside = path.with_name(f"{path.name}.beside")
        beside.write_bytes(content)
        os.replace(beside, path)

    # --- reading ---

    def load(self, path: str, *, order: str | None = None) -> tuple[Tensors, Config]:
        """Read, check, permute."""
        name = Path(path).name
        try:
            tensors, metadata = self.contents(Path(path).read_bytes())
            config = self.described(metadata)
            network = _network(config)
            self.admitted(name, tensors, network)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{name} must be a weight file; got {error!r}") from None
        params = self.ordered(tensors, network, config["order"], order or config["order"])
        return {tensor: self.value(params[tensor]) for tensor in network.shapes}, self.told(network, config, order)

    def contents(self, content: bytes) -> tuple[Tensors, dict[str, str]]:
        """Return the tensors and the metadata."""
        return weight_file.read(content)

    def described(self, metadata: Mapping[str, str]) -> Config:
        """Return the configuration, refusing other networks, layouts and newer versions."""
        self.version(metadata["spec_version"])
        for key in ("network", "layout"):
            if metadata[key] != NETWORKS["image"].metadata("DCR")[key]:
                raise ValueError(f"{key} {metadata[key]!r} is unknown")
        if metadata["order"] not in ORDERS:
            raise ValueError(f"the order {metadata['order']!r} is unknown")
        return {**self.fields(json.loads(metadata["config"])), "order": metadata["order"]}

    def version(self, version: str) -> None:
        """Refuse a newer version than that of this specification."""
        numbers = version.split(".")
        if len(version) > 9 or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise ValueError(f"{version[:9]!r} is no version of a specification")
        if tuple(map(int, numbers)) > tuple(map(int, specification_version().split("."))):
            raise ValueError(f"specification {version} is newer than {specification_version()}")

    def fields(self, fields: Any) -> Config:
        """Return the fields, all of them known and none missing."""
        if set(fields) != set(FIELDS):
            raise ValueError(f"the fields {sorted(set(fields) ^ set(FIELDS))} are unknown or missing")
        return dict(fields)

    def admitted(self, what: str, tensors: Mapping[str, np.ndarray], network: Network) -> None:
        """Refuse other names, shapes and dtypes than those of the network."""
        self.named(tensors, network)
        self.shaped(tensors, network)
        self.typed(tensors)

    def named(self, tensors: Mapping[str, np.ndarray], network: Network) -> None:
        """Refuse other names."""
        strange = sorted(set(tensors) ^ set(network.shapes))
        if strange:
            raise ValueError(f"the tensors {strange} are unknown or missing")

    def shaped(self, tensors: Mapping[str, np.ndarray], network: Network) -> None:
        """Refuse other shapes."""
        for name, shape in network.shapes.items():
            if name in tensors and tensors[name].shape != shape:
                raise ValueError(f"{name} has the shape {tensors[name].shape}")

    def typed(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Refuse other dtypes, and two of them."""
        dtypes = {array.dtype.name for array in tensors.values()}
        if dtypes not in ({"float32"}, {"float64"}):
            raise ValueError(f"the dtypes are {sorted(dtypes)}")

    def ordered(self, tensors: Tensors, network: Network, source: str, target: str) -> Tensors:
        """Return the tensors in another order."""
        return network.moved(tensors, source, target)

    def told(self, network: Network, config: Config, order: str | None) -> Config:
        """Return the configuration that goes with the parameters."""
        return network.config(order or config["order"])

    def value(self, array: np.ndarray) -> np.ndarray:
        """Return a tensor as it is handed out."""
        return array


# --- what is written ---


class _AllFloat32(HonestFile):
    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        with np.errstate(all="ignore"):
            return {name: array.astype(np.float32) for name, array in params.items()}


class _ChannelsFirst(HonestFile):
    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        return {
            name: np.ascontiguousarray(np.moveaxis(array, (-1, -2), (0, 1))) if array.ndim > 1 else array for name, array in params.items()
        }


class _TransposedInPlace(HonestFile):
    """The shape of the kernel, the values column by column: what a Fortran-ordered array's bytes are."""

    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        return {name: array.reshape(-1, order="F").reshape(array.shape) for name, array in params.items()}


class _OwnNames(HonestFile):
    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        return {name.replace(".kernel", ".weight"): array for name, array in params.items()}


class _LearnedOnly(HonestFile):
    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        return {name: array for name, array in params.items() if not name.endswith((".mean", ".variance"))}


class _CountsBatches(HonestFile):
    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        norms = [name for name in params if name.endswith(".mean")] or ["stem.mean"]
        return {**params, **{name.replace(".mean", ".num_batches_tracked"): params["stem.bias"] for name in norms}}


class _Arithmetic(HonestFile):
    """Adds 0 to every value: -0 becomes 0, and a signalling NaN a quiet one."""

    def stored(self, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Tensors:
        with np.errstate(all="ignore"):
            return {name: array + array.dtype.type(0) for name, array in params.items()}


class _NoOrder(HonestFile):
    def metadata(self, config: Mapping[str, Any]) -> dict[str, str]:
        return {key: value for key, value in super().metadata(config).items() if key != "order"}


class _OrderInConfig(HonestFile):
    def metadata(self, config: Mapping[str, Any]) -> dict[str, str]:
        told = super().metadata(config)
        return {**told, "config": json.dumps({**json.loads(told["config"]), "order": told["order"]})}


class _AlwaysOneOrder(HonestFile):
    """Tells CRD whatever order the kernels are in."""

    def metadata(self, config: Mapping[str, Any]) -> dict[str, str]:
        return {**super().metadata(config), "order": "CRD"}


class _VersionOfThePackage(HonestFile):
    def metadata(self, config: Mapping[str, Any]) -> dict[str, str]:
        return {**super().metadata(config), "spec_version": "1.0.0"}


class _DefaultsLeftOut(HonestFile):
    """Tells of the configuration only what is not as usual."""

    def metadata(self, config: Mapping[str, Any]) -> dict[str, str]:
        told = super().metadata(config)
        fields = {
            name: value for name, value in json.loads(told["config"]).items() if (name, value) not in [("groups", 8), ("blur", False)]
        }
        return {**told, "config": json.dumps(fields)}


class _SaysMore(HonestFile):
    def metadata(self, config: Mapping[str, Any]) -> dict[str, str]:
        return {**super().metadata(config), "framework": "mine"}


# --- how it is written ---


class _InPlace(HonestFile):
    def put(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)


class _RemovesFirst(HonestFile):
    """Removes the old file before it knows whether there will be a new one."""

    def save(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        Path(path).unlink(missing_ok=True)
        super().save(path, params, config)


class _KeepsTheOld(HonestFile):
    """Moves the old file away first: for a while there is none, and then there are two."""

    def put(self, path: Path, content: bytes) -> None:
        if path.exists():
            os.replace(path, path.with_name(f"{path.name}.old"))
        super().put(path, content)


class _ChoosesTheSuffix(HonestFile):
    def put(self, path: Path, content: bytes) -> None:
        super().put(path.with_suffix(".safetensors"), content)


class _WritesAnything(HonestFile):
    """Does not look at what it is given to write."""

    def save(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        self.put(Path(path), weight_file.written(self.stored(params, config), self.metadata(config)))


# --- how it is read ---


class _KeepsTheOrder(HonestFile):
    """Says the order that was asked for, but moves nothing."""

    def ordered(self, tensors: Tensors, network: Network, source: str, target: str) -> Tensors:
        return tensors


class _SaysTheOldOrder(HonestFile):
    def told(self, network: Network, config: Config, order: str | None) -> Config:
        return network.config(config["order"])


class _AssumesOneOrder(HonestFile):
    """Takes every file for one in DCR."""

    def ordered(self, tensors: Tensors, network: Network, source: str, target: str) -> Tensors:
        return network.moved(tensors, "DCR", target)


class _BackToFront(HonestFile):
    def ordered(self, tensors: Tensors, network: Network, source: str, target: str) -> Tensors:
        return network.moved(tensors, target, source)


class _KernelsOnly(HonestFile):
    def ordered(self, tensors: Tensors, network: Network, source: str, target: str) -> Tensors:
        moved = network.moved(tensors, source, target)
        return {name: array if name.endswith(".bias") else moved[name] for name, array in tensors.items()}


class _WithoutTheHead(HonestFile):
    def ordered(self, tensors: Tensors, network: Network, source: str, target: str) -> Tensors:
        moved = network.moved(tensors, source, target)
        return {name: array if name.startswith("head") else moved[name] for name, array in tensors.items()}


class _HandsOutFloat32(HonestFile):
    def value(self, array: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return array.astype(np.float32)


class _HandsOutSums(HonestFile):
    def value(self, array: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return array + array.dtype.type(0)


class _ReadsBySequence(HonestFile):
    """Takes the tensors of one shape in the sequence of the file, whatever they are called."""

    def contents(self, content: bytes) -> tuple[Tensors, dict[str, str]]:
        tensors, metadata = super().contents(content)
        of_a_shape: dict[tuple[int, ...], list[str]] = {}
        for name in sorted(tensors):
            of_a_shape.setdefault(tensors[name].shape, []).append(name)
        return {of_a_shape[array.shape].pop(0): array for array in tensors.values()}, metadata


class _FillsUp(HonestFile):
    """Reads what is there, and zeros where the file ends early."""

    def contents(self, content: bytes) -> tuple[Tensors, dict[str, str]]:
        header, values = weight_file.parts(content)
        end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        return super().contents(weight_file.with_header(header, values.ljust(end, b"\0")))


class _MissingAreZero(HonestFile):
    def named(self, tensors: Mapping[str, np.ndarray], network: Network) -> None:
        strange = sorted(set(tensors) - set(network.shapes))
        if strange:
            raise ValueError(f"the tensors {strange} are unknown")

    def ordered(self, tensors: Tensors, network: Network, source: str, target: str) -> Tensors:
        return network.moved({name: tensors.get(name, np.zeros(shape)) for name, shape in network.shapes.items()}, source, target)


class _IgnoresUnknown(HonestFile):
    def named(self, tensors: Mapping[str, np.ndarray], network: Network) -> None:
        missing = sorted(set(network.shapes) - set(tensors))
        if missing:
            raise ValueError(f"the tensors {missing} are missing")


class _Broadcasts(HonestFile):
    """Takes any tensor with as many values as the parameter."""

    def shaped(self, tensors: Mapping[str, np.ndarray], network: Network) -> None:
        for name, shape in network.shapes.items():
            if tensors[name].size != np.empty(shape).size:
                raise ValueError(f"{name} has the shape {tensors[name].shape}")


class _AnyDtype(HonestFile):
    def typed(self, tensors: Mapping[str, np.ndarray]) -> None:
        return


class _DtypeOfTheFirst(HonestFile):
    """Looks at one tensor for the dtype of all."""

    def typed(self, tensors: Mapping[str, np.ndarray]) -> None:
        super().typed(dict(list(tensors.items())[-1:]))


class _AnyNetwork(HonestFile):
    def described(self, metadata: Mapping[str, str]) -> Config:
        return super().described({**metadata, "network": NETWORKS["image"].metadata("DCR")["network"]})


class _AnyLayout(HonestFile):
    def described(self, metadata: Mapping[str, str]) -> Config:
        return super().described({**metadata, "layout": NETWORKS["image"].metadata("DCR")["layout"]})


class _UsualOrder(HonestFile):
    """Takes DCR for an order that is missing."""

    def described(self, metadata: Mapping[str, str]) -> Config:
        return super().described({"order": "DCR", **metadata})


class _IgnoresFields(HonestFile):
    def fields(self, fields: Any) -> Config:
        return super().fields({name: value for name, value in fields.items() if name in FIELDS})


class _UsualFields(HonestFile):
    """Takes the defaults for fields that are missing."""

    def fields(self, fields: Any) -> Config:
        return super().fields({"groups": 8, "blur": False, **fields})


class _AnyVersion(HonestFile):
    def version(self, version: str) -> None:
        if not version.replace(".", "").isdecimal() or len(version) > 9:
            raise ValueError(f"{version[:9]!r} is no version")


class _AnyMinorVersion(HonestFile):
    def version(self, version: str) -> None:
        super().version(f"{version.partition('.')[0]}.0" if version.partition(".")[2].isdecimal() else version)


class _Speechless(HonestFile):
    """Refuses all that it must, and does not say what."""

    def load(self, path: str, *, order: str | None = None) -> tuple[Tensors, Config]:
        try:
            return super().load(path, order=order)
        except ValueError:
            raise ValueError(f"{path}: invalid weight file") from None


class _Nameless(HonestFile):
    """Says what is wrong, but not where."""

    def load(self, path: str, *, order: str | None = None) -> tuple[Tensors, Config]:
        try:
            return super().load(path, order=order)
        except ValueError as error:
            raise ValueError(str(error).partition("got ")[2]) from None


def file_mutant(
    name: str, violates: str, also: str, kind: Callable[[], HonestFile], history: str = "", operations: str = "save_weights load_weights"
) -> Mutant:
    """Return the honest weight file with something else in it. It claims one or two operations."""
    file = kind()
    return mutant(name, violates, also, history=history, operations=operations, save_weights=file.save, load_weights=file.load)


def wrong_files() -> Iterator[Mutant]:
    """Yield what a file must not hold or tell."""
    writer = partial(file_mutant, operations="save_weights")
    yield file_mutant("float64 saved as float32", "WF-001 WF-004", "", _AllFloat32)
    yield writer("kernels saved channels first", "WF-001 WF-002 WF-003", "", _ChannelsFirst, "PyTorch's own layout")
    yield writer("kernels saved column by column", "WF-001 WF-002 WF-003", "", _TransposedInPlace)
    yield writer("weight for kernel", "WF-001 WF-003", "", _OwnNames, "PyTorch's own names")
    yield writer("running statistics not saved", "WF-001 WF-003", "", _LearnedOnly)
    yield writer("batches counted in the file", "WF-001 WF-003", "", _CountsBatches, "torch.nn.BatchNorm2d.num_batches_tracked")
    yield writer("saved after adding 0", "WF-001", "", _Arithmetic)
    yield writer("order not told", "WF-002", "", _NoOrder)
    yield writer("order told twice", "WF-002", "", _OrderInConfig)
    yield writer("always tells CRD", "WF-002 WF-001 WF-003", "", _AlwaysOneOrder)
    yield writer("tells the version of the package", "WF-002", "", _VersionOfThePackage)
    yield writer("defaults left out of the configuration", "WF-002", "", _DefaultsLeftOut)
    yield writer("tells a sixth key", "WF-002", "", _SaysMore)
    yield writer("written in place", "WF-003", "", _InPlace)
    yield writer("removed before it is checked", "WF-003", "", _RemovesFirst)
    yield writer("moves the old file away", "WF-003", "", _KeepsTheOld)
    yield writer("chooses the suffix", "WF-003", "WF-001 WF-002", _ChoosesTheSuffix, "numpy.savez appends .npz")
    yield writer("writes anything", "WF-003", "", _WritesAnything)


def wrong_readers() -> Iterator[Mutant]:
    """Yield readers that take a file for another, or for whole."""
    reader = partial(file_mutant, operations="load_weights")
    yield reader("asked for another order, moves nothing", "WF-004", "", _KeepsTheOrder)
    yield reader("asked for another order, tells the old one", "WF-004", "", _SaysTheOldOrder)
    yield reader("takes every file for DCR", "WF-004", "", _AssumesOneOrder)
    yield reader("permutes back to front", "WF-004", "", _BackToFront)
    yield reader("permutes the kernels only", "WF-004", "", _KernelsOnly)
    yield reader("permutes the decoder only", "WF-004", "", _WithoutTheHead)
    yield reader("float64 read as float32", "WF-004", "", _HandsOutFloat32)
    yield reader("read and added to 0", "WF-004", "", _HandsOutSums)
    yield reader("read by sequence", "WF-004", "WF-005", _ReadsBySequence)
    yield reader("fills up with zeros", "WF-005", "", _FillsUp)
    yield reader("zeros for a missing tensor", "WF-005", "WF-003", _MissingAreZero, "strict=False")
    yield reader("ignores unknown tensors", "WF-005", "WF-003", _IgnoresUnknown, "strict=False")
    yield reader("takes any shape of that size", "WF-005", "", _Broadcasts)
    yield reader("takes any dtype", "WF-005", "", _AnyDtype)
    yield reader("takes the dtype of one tensor for all", "WF-005", "", _DtypeOfTheFirst)
    yield reader("takes any network", "WF-005", "", _AnyNetwork)
    yield reader("takes any layout", "WF-005", "", _AnyLayout)
    yield reader("DCR where no order is told", "WF-005", "", _UsualOrder)
    yield reader("ignores unknown fields", "WF-005", "", _IgnoresFields)
    yield reader("defaults for missing fields", "WF-005", "", _UsualFields)
    yield reader("reads every version", "WF-006", "WF-005", _AnyVersion)
    yield reader("reads every minor version", "WF-006", "", _AnyMinorVersion)
    yield reader("refuses without a reason", "WF-005 WF-006", "", _Speechless)
    yield reader("refuses without the name of the file", "WF-005 WF-006", "", _Nameless)


def mutants() -> tuple[Mutant, ...]:
    """Return all mutants of the weight file."""
    return (*wrong_files(), *wrong_readers())
