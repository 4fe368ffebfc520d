"""HDF5 files from anywhere, read without following what they say about other files, and within bounded memory."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import extras
from cnnfast.models.files import PathLike, check_readable

_DEEPEST = 100  # levels of groups; models within models take two or three each
_LARGEST_EXPANSION = 1100  # deflate cannot compress better
_FILTERS = (1, 2, 3)  # deflate, shuffle and checksums, which are parts of the library, unlike plugins


class Contents:
    """All groups and arrays of an HDF5 file by their paths, such as "layers/dense/vars/0"; "" is the file itself.

    Args:
        file: an open h5py.File.

    Raises:
        ValueError: it has links or arrays that lead elsewhere, or groups nested too deeply.
    """

    def __init__(self, file: Any) -> None:
        self.groups: dict[str, Any] = {"": file}
        self.arrays: dict[str, Any] = {}
        self._collect(file)

    def _collect(self, file: Any) -> None:
        """Every object once, even where links lead in circles."""
        import h5py

        met: set[int] = set()
        pending = [("", file, 0)]
        while pending:
            path, group, depth = pending.pop()
            for name in group:
                kind = group.get(name, getclass=True, getlink=True)
                full = f"{path}/{name}" if path else name
                if kind is not h5py.HardLink:
                    raise ValueError(
                        f"{full!r} is a link that leads elsewhere ({kind.__name__}), which is not followed"
                    )
                member = group[name]
                address = h5py.h5o.get_info(member.id).addr
                if address in met:
                    continue
                met.add(address)
                if isinstance(member, h5py.Group):
                    if depth == _DEEPEST:
                        raise ValueError(f"groups are nested more than {_DEEPEST} deep")
                    self.groups[full] = member
                    pending.append((full, member, depth + 1))
                elif isinstance(member, h5py.Dataset):
                    self.arrays[full] = member

    def elements(self) -> int:
        """How many numbers the file's arrays can really hold, whatever their shapes say."""
        return sum(_stored_elements(array) for array in self.arrays.values())

    def names(self, path: str) -> list[str]:
        """The names of the arrays in a group."""
        group = self.groups.get(path)
        return [] if group is None else [name for name in group if f"{path}/{name}".lstrip("/") in self.arrays]

    def array(self, path: str, shape: tuple[int, ...] | None) -> npt.NDArray[Any]:
        """The numbers of an array.

        Args:
            path: where it is.
            shape: what its shape must be; None for that which it has.

        Raises:
            ValueError: there is none, it has another shape, is not made of numbers, or leads elsewhere.
        """
        if path not in self.arrays:
            raise ValueError(f"the array {path!r} is missing")
        array = self.arrays[path]
        if array.shape is None or (shape is not None and tuple(array.shape) != shape):
            raise ValueError(f"the array {path!r} expects shape {shape}, got {array.shape}")
        _check_storage(path, array)
        half = array.attrs.get("dtype") in ("bfloat16", b"bfloat16") and array.dtype.itemsize == 2
        if not half and array.dtype.kind not in "fiu":
            raise ValueError(f"the array {path!r} expects numbers, got {array.dtype}")
        with np.errstate(all="ignore"):
            found = np.asarray(array[()])
            if half:  # the upper halves of float32
                return (found.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
            return found if found.dtype.kind in "iu" else found.astype(np.float32, copy=False)

    def text(self, path: str, name: str) -> str | None:
        """An attribute that is text, or None where there is none."""
        found = self._attribute(path, name)
        return None if found is None else _text(found)

    def texts(self, path: str, name: str) -> list[str] | None:
        """An attribute that is a list of text, which may be cut into several; None where there is none."""
        found = self._attribute(path, name)
        if found is not None:
            return [_text(each) for each in np.atleast_1d(found)]
        parts: list[str] = []
        number = 0
        while (part := self._attribute(path, f"{name}{number}")) is not None:
            parts += [_text(each) for each in np.atleast_1d(part)]
            number += 1
        return parts if number else None

    def _attribute(self, path: str, name: str) -> Any:
        return self.groups[path].attrs.get(name)


@contextlib.contextmanager
def opened_hdf5(path: PathLike, data: bytes | None = None) -> Iterator[Contents]:
    """An HDF5 file to read from; whatever a damaged one leads to becomes a ValueError that names it.

    Args:
        path: the file, or where the data comes from.
        data: the file's bytes, where they do not lie in a file of their own.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: it is something else, or damaged.
        ImportError: h5py is not installed.
    """
    name = os.fspath(path)
    h5py = extras.require("h5py", f"reading {name}", "h5")
    if data is None:
        check_readable(name)
    try:
        file = h5py.File(name if data is None else io.BytesIO(data), "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{name}: not an HDF5 file, or damaged: {error}") from error
    with file:
        try:
            yield Contents(file)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
            if str(error).startswith(name):
                raise
            raise ValueError(f"{name}: {error}") from error


def _check_storage(path: str, array: Any) -> None:
    """Refuse what leads elsewhere, and what would need more memory than its size in the file explains."""
    if array.external or array.is_virtual:
        raise ValueError(f"the array {path!r} keeps its numbers in other files, which are not read")
    plan = array.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if any(each not in _FILTERS for each in filters):
        raise ValueError(f"the array {path!r} is compressed in a way that is not read here")
    size, stored = array.dtype.itemsize * math.prod(array.shape), array.id.get_storage_size()
    if size > stored * (_LARGEST_EXPANSION if filters else 1):
        raise ValueError(f"the array {path!r} claims {size} bytes, of which the file holds {stored}")
    if array.chunks and math.prod(array.chunks) * array.dtype.itemsize > 4 * size + (1 << 20):
        raise ValueError(f"the array {path!r} is stored in pieces that are larger than itself")


def _stored_elements(array: Any) -> int:
    if array.shape is None or array.external or array.is_virtual:
        return 0
    filters = array.id.get_create_plist().get_nfilters()
    stored = array.id.get_storage_size() * (_LARGEST_EXPANSION if filters else 1)
    return min(math.prod(array.shape), stored // max(1, array.dtype.itemsize))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return value
    raise ValueError(f"an attribute expects text, got {type(value).__name__}")
