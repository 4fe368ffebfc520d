"""The arrays of an HDF5 file by their paths, read without the HDF5 library and without trust in the file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.interop.hdf5.objects import Array, Folder, Objects
from cnnfast.models.files import PathLike, check_readable

_DEEPEST = 100  # levels of groups; models within models take two or three each


class Contents:
    """All groups and arrays of an HDF5 file by their paths, such as "layers/dense/vars/0"; "" is the file itself.

    Args:
        data: the file's bytes.

    Raises:
        ValueError: it is damaged, leads out of the file, or nests groups too deeply.

    Example:
        >>> from cnnfast.interop.hdf5 import Group, hdf5_bytes
        >>> root = Group({"backend": "numpy"})
        >>> root.at("a/b").members["c"] = np.ones(2, np.float32)
        >>> contents = Contents(hdf5_bytes(root))
        >>> contents.text("", "backend"), contents.array("a/b/c", (2,))
        ('numpy', array([1., 1.], dtype=float32))
    """

    def __init__(self, data: bytes) -> None:
        self._objects = Objects(data)
        self.groups: dict[str, Folder] = {}
        self.arrays: dict[str, Array] = {}
        self._collect()

    def _collect(self) -> None:
        """Every group once, even where links lead in circles, and arrays by all their names."""
        met: dict[int, Array | None] = {}
        pending = [("", self._objects.root, 0)]
        while pending:
            path, header, depth = pending.pop()
            if header in met:
                again = met[header]
                if again is not None:
                    self.arrays[path] = again
                continue
            met[header] = None
            try:
                found = self._objects.read(header)
            except ValueError as error:
                raise ValueError(f"{path!r}: {error}" if path else str(error)) from error
            if isinstance(found, Array):
                self.arrays[path] = met[header] = found
                continue
            if depth > _DEEPEST:
                raise ValueError(f"groups are nested more than {_DEEPEST} deep")
            self.groups[path] = found
            pending += [(_join(path, name), place, depth + 1) for name, place in found.members.items()]

    def elements(self) -> int:
        """How many numbers the file's arrays can really hold, whatever their shapes say."""
        return self._objects.elements(self.arrays.values())

    def names(self, path: str) -> list[str]:
        """The names of the arrays in a group."""
        group = self.groups.get(path)
        return [] if group is None else [name for name in group.members if _join(path, name) in self.arrays]

    def array(self, path: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The numbers of an array, as float32 or integers; perhaps a view of the file, which cannot be written to.

        Args:
            path: where it is.
            shape: what its shape must be.

        Raises:
            ValueError: there is none, it has another shape, or is not made of numbers.
        """
        found = self.arrays.get(path)
        if found is None:
            raise ValueError(f"the array {path!r} is missing")
        if found.shape != shape:
            raise ValueError(f"the array {path!r} expects shape {shape}, got {found.shape}")
        values: npt.NDArray[Any] = self._objects.values(found)
        if found.type.half:
            return (values.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(all="ignore"):
            return values if values.dtype.kind in "iu" else values.astype(np.float32, copy=False)

    def text(self, path: str, name: str) -> str | None:
        """An attribute that is text, or None where there is none."""
        found = self._attribute(path, name)
        if isinstance(found, list):
            raise ValueError(f"the attribute {name!r} expects text, got a list")
        return found

    def texts(self, path: str, name: str) -> list[str] | None:
        """An attribute that is a list of text, which may be cut into several; None where there is none."""
        found = self._attribute(path, name)
        if found is not None:
            return found if isinstance(found, list) else [found]
        # Long lists are in several attributes; an empty one may be there as a list of numbers.
        parts: list[str] = []
        number = 0
        while (part := self._attribute(path, f"{name}{number}")) is not None:
            parts += part if isinstance(part, list) else [part]
            number += 1
        return parts if number or name in self.groups[path].attributes else None

    def _attribute(self, path: str, name: str) -> Any:
        return self.groups[path].attributes.get(name)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


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
    """
    name = os.fspath(path)
    if data is None:
        check_readable(name)
        data = Path(name).read_bytes()
    try:
        yield Contents(data)
    except (KeyError, ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name}: {error}") from error
