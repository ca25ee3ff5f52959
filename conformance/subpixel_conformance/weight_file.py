"""The safetensors format by a reader and a writer of its own, so that a weight file is judged byte by byte.

Eight bytes, little-endian: the length of the header. The header: a JSON object, for every tensor its dtype, shape and the range of its
bytes after the header, and under ``__metadata__`` an object of strings. Then the values, little-endian and row-major, without a gap.
"""

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I32": "<i4"}
NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "int32": "I32"}


def written(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a file with these tensors, in this sequence."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    values = b""
    for name, array in tensors.items():
        dtype = NAMES[array.dtype.name]
        content = array.astype(DTYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(values), len(values) + len(content)]}
        values += content
    return with_header(header, values)


def with_header(header: object, values: bytes) -> bytes:
    """Return the bytes of a file with this header, whatever it says."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + values


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the values."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def read(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors and the metadata of a file. Raises ValueError for what is no file of this format."""
    if len(content) < 8 or struct.unpack("<Q", content[:8])[0] > len(content) - 8:
        raise ValueError(f"the file must begin with the length of its header; got {len(content)} bytes that begin with {content[:8]!r}")
    header, values = parts(content)
    metadata = header.pop("__metadata__", {})
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape, dtype, (start, stop) = tuple(entry["shape"]), np.dtype(DTYPES[entry["dtype"]]), entry["data_offsets"]
        if start != end or stop != start + prod(shape) * dtype.itemsize:
            raise ValueError(f"the bytes of {name} must be {prod(shape) * dtype.itemsize} from {end} on; got {start} to {stop}")
        tensors[name] = np.frombuffer(values[start:stop], dtype).reshape(shape)
        end = stop
    if end != len(values):
        raise ValueError(f"the file must end after its values, {end} bytes; got {len(values)}")
    return tensors, metadata
