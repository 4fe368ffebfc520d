"""Tensors of ONNX files as NumPy arrays, with every size checked before anything of that size is made."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FLOAT, BOOL, FLOAT16, BFLOAT16, STRING = 1, 9, 10, 16, 8

# The format's numbers of element types.
DTYPES: dict[int, type[np.generic]] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
    10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip

# Where values are that are not raw bytes.
_FIELDS = {1: "float_data", 7: "int64_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data"}


def dtype_of(number: int, what: str) -> np.dtype[Any]:
    """The element type of a number of the format; bfloat16 becomes float32.

    Raises:
        ValueError: there is no such type here.

    Example:
        >>> dtype_of(7, "x")
        dtype('int64')
    """
    if number == BFLOAT16:
        return np.dtype(np.float32)
    if number not in DTYPES:
        raise ValueError(f"{what}: element type {number} is not supported: numbers of 8 to 64 bits and booleans are")
    return np.dtype(DTYPES[number])


def number_of(dtype: np.dtype[Any]) -> int:
    """The number that the format has for an element type; 0 if none.

    Example:
        >>> number_of(np.dtype("int64"))
        7
    """
    return next((number for number, known in DTYPES.items() if np.dtype(known) == dtype), 0)


def array_of(tensor: Any, folder: Path | None, what: str, read: dict[Path, int] | None = None) -> Array:
    """The values of a TensorProto.

    Args:
        tensor: the message.
        folder: where files that it names are, or None where there can be none.
        what: the tensor's name, for messages.
        read: how many bytes of which file were read before; no file is read more than twice.

    Raises:
        ValueError: the sizes do not fit the values, the element type is not supported, or the file that it names is
            outside the folder, missing or too short.
    """
    dims = tuple(int(n) for n in tensor.dims)
    if any(n < 0 for n in dims) or len(dims) > 32:
        raise ValueError(f"{what}: sizes from 0 on are expected, got {dims}")
    dtype = dtype_of(tensor.data_type, what)
    count = math.prod(dims)
    stored = np.dtype(np.uint16) if tensor.data_type == BFLOAT16 else dtype
    if tensor.data_location == 1:
        values = _external(tensor, folder, what, count, stored, {} if read is None else read)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * stored.itemsize:
            raise ValueError(
                f"{what}: {dims} of {stored} takes {count * stored.itemsize} bytes, got {len(tensor.raw_data)}"
            )
        values = np.frombuffer(tensor.raw_data, stored.newbyteorder("<"))
    else:
        values = _listed(tensor, what, dims, count, stored)
    if tensor.data_type == BFLOAT16:
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(dtype, copy=False).reshape(dims)


def _listed(tensor: Any, what: str, dims: tuple[int, ...], count: int, stored: np.dtype[Any]) -> Array:
    field = _FIELDS.get(tensor.data_type, "int32_data")
    given = getattr(tensor, field)
    if len(given) != count:
        raise ValueError(f"{what}: {dims} takes {count} values in {field}, got {len(given)}")
    if tensor.data_type in (FLOAT16, BFLOAT16):  # their bits, in integers
        return np.array(given, np.int64).astype(np.uint16).view(stored)
    return np.array(given).astype(stored)


def _external(
    tensor: Any, folder: Path | None, what: str, count: int, stored: np.dtype[Any], read: dict[Path, int]
) -> Array:
    """Values that lie in a file beside the model's."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ValueError(f"{what}: its values are in the file {location!r}, but the model itself is not a file")
    path = _inside(folder, location, what)
    size = os.path.getsize(path)
    offset = _number(entries, "offset", 0, what)
    length = _number(entries, "length", count * stored.itemsize, what)
    if length != count * stored.itemsize:
        raise ValueError(f"{what}: {count} values take {count * stored.itemsize} bytes, its file entry has {length}")
    if offset + length > size:
        raise ValueError(f"{what}: bytes {offset} to {offset + length} of {path} are expected, which has {size}")
    read[path] = read.get(path, 0) + length
    if read[path] > 2 * size:
        raise ValueError(f"{what}: the tensors in {path} together are more than twice as large as it")
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(length)
    if len(data) != length:
        raise ValueError(f"{what}: {path} ends early")
    return np.frombuffer(data, stored.newbyteorder("<"))


def _number(entries: dict[str, str], key: str, default: int, what: str) -> int:
    text = entries.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"{what}: {key} of its file expects a number, got {text[:40]!r}")
    return int(text)


def _inside(folder: Path, location: str, what: str) -> Path:
    """A file's path, if it is really in the folder or below."""
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or os.path.isabs(location) or ".." in parts or ":" in parts[0]:
        raise ValueError(f"{what}: the file {location!r} is not beside the model")
    root = folder.resolve()
    path = (root / location).resolve()  # where links lead
    if not path.is_relative_to(root):
        raise ValueError(f"{what}: the file {location!r} leads out of the model's folder")
    if not path.is_file():
        raise ValueError(f"{what}: there is no file {location!r} beside the model")
    return path
