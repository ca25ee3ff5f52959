"""One weight file for every framework: safetensors, with metadata that says what network it is for."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from subpixel_core import check
from subpixel_core._order import Order
from subpixel_core._unet import Parameters, ResidualUNetConfig, convert_order, parameter_shapes
from subpixel_core._version import SPEC_VERSION

NETWORK = "subpixel residual U-Net"
LAYOUT = "channels last: kernel (*k, Ci, Co)"


def save_weights(path: str | os.PathLike[str], params: Mapping[str, ArrayLike], config: ResidualUNetConfig) -> None:
    """Write the parameters of a residual U-Net into a file that describes itself. The file is there whole, or as it was before.

    Parameters
    ----------
    path : path-like
        Any name. What it names is replaced in one step, once everything is written.
    params : mapping of array_like
        As `parameter_shapes`, all float32 or all float64. Every bit is kept.
    config : ResidualUNetConfig

    Raises
    ------
    ValueError, TypeError
        If a parameter is missing, unknown, or of another shape or dtype.
    OSError
        If the file cannot be written.

    References
    ----------
    safetensors, "Format": the file is a header of JSON and the raw values; no code is ever loaded from it.
    """
    # WF-001 to WF-003
    from safetensors.numpy import save

    check.instance("config", config, ResidualUNetConfig)
    check.instance("params", params, Mapping)
    arrays = {name: np.asarray(value) for name, value in params.items()}
    check.tensors("params", {name: array.shape for name, array in arrays.items()}, parameter_shapes(config))
    check.weight_dtypes({name: array.dtype.name for name, array in arrays.items()})
    fields = config.as_dict()
    metadata = {
        "network": NETWORK,
        "spec_version": SPEC_VERSION,
        "layout": LAYOUT,
        "order": fields.pop("order"),
        "config": json.dumps(fields, sort_keys=True),
    }
    little_endian = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    replace_file(path, _sorted(save(little_endian, metadata)))


def _sorted(content: bytes) -> bytes:
    """Return a safetensors file with its header in one sequence, which the library leaves to chance: equal weights, equal bytes."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:start]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the values stay aligned
    return len(header).to_bytes(8, "little") + header + content[start:]


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside ``path`` and move it there: an interruption leaves what was there before."""
    path = Path(os.path.realpath(path))
    beside = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, beside)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load_weights(path: str | os.PathLike[str], *, order: Order | None = None) -> tuple[Parameters, ResidualUNetConfig]:
    """Read the parameters of a residual U-Net and its configuration from a file that any of the backends wrote.

    Parameters
    ----------
    path : path-like
    order : {"DCR", "CRD", "DRC", "RCD"}, optional
        The channel order to return the parameters in; without it, that of the file. The network computes the same in every order.

    Returns
    -------
    tuple of dict and ResidualUNetConfig
        The parameters in the dtype of the file, bit for bit, as `parameter_shapes`.

    Raises
    ------
    ValueError
        If the file is no safetensors file, is cut off, holds no residual U-Net or not all of it, or was written by a newer specification.
    OSError
        If the file cannot be read.
    """
    # WF-004 to WF-006
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    with open(path, "rb"):
        pass  # what cannot be opened is the operating system's to name
    try:
        with safe_open(name, framework="np") as file:
            metadata = file.metadata() or {}
            config = _configuration(name, metadata)
            shapes = {tensor: file.get_slice(tensor).get_shape() for tensor in file.keys()}  # noqa: SIM118 - not a mapping
            if sum(config.level_blocks) > len(shapes):  # before the layers of a damaged configuration are counted out
                blocks = f"{sum(config.level_blocks)} blocks"
                raise check.weight_file(name, f"hold the tensors of the {blocks} of its configuration", f"{len(shapes)} tensors")
            check.tensors(name, shapes, parameter_shapes(config))
            _refuse_dtypes(name, {tensor: file.get_slice(tensor).get_dtype() for tensor in shapes})
            params = {tensor: file.get_tensor(tensor) for tensor in parameter_shapes(config)}
    except SafetensorError as error:
        raise check.weight_file(name, "be a whole safetensors file", f"one that cannot be read: {error}") from None
    return (params, config) if order is None else convert_order(params, config, order)


def _configuration(path: str, metadata: Mapping[str, str]) -> ResidualUNetConfig:
    """Return the configuration that the metadata hold, refusing what this version cannot read."""
    if metadata.get("network") != NETWORK:
        raise check.weight_file(path, f"hold a network {NETWORK!r}", f"{metadata.get('network')!r:.80}")
    version = metadata.get("spec_version", "")
    if not re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", version):
        raise check.weight_file(path, "name the version of its specification, such as '1.0'", f"{version!r:.40}")
    if tuple(map(int, version.split("."))) > tuple(map(int, SPEC_VERSION.split("."))):
        raise check.weight_file(path, f"be of specification {SPEC_VERSION} or older for this version of subpixel-spec", version)
    if metadata.get("layout") != LAYOUT:
        raise check.weight_file(path, f"have the layout {LAYOUT!r}", repr(metadata.get("layout")))
    try:
        fields: Any = json.loads(metadata.get("config", ""))
        if not isinstance(fields, dict):
            raise TypeError(f"{fields!r:.80}")  # in its own words below
        config = ResidualUNetConfig(**fields, order=metadata.get("order"))  # type: ignore[arg-type]  # refused there, if it is none
    except (TypeError, ValueError, RecursionError) as error:
        raise check.weight_file(path, "describe a residual U-Net in its metadata", f"{error}") from None
    for field in config.as_dict():
        if field not in {*fields, "order"}:
            raise check.weight_file(path, "describe a residual U-Net in its metadata", f"a configuration without {field!r}")
    return config


def _refuse_dtypes(path: str, dtypes: Mapping[str, str]) -> None:
    if set(dtypes.values()) not in ({"F32"}, {"F64"}):
        raise check.weight_file(path, "hold float32 alone or float64 alone", ", ".join(sorted(set(dtypes.values()))))
