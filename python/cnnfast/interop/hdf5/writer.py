"""HDF5 files, written without the HDF5 library: groups, arrays of numbers, and attributes that are text.

The oldest form of the format, which every version of the library reads (HDF5 File Format Specification, version 3.0):
a version 0 superblock, version 1 object headers that hold a group's links as messages, and contiguous data.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt

Attribute = Union[str, "list[str]"]

_UNDEFINED = b"\xff" * 8
_LARGEST_MESSAGE = 64_000  # an attribute must fit in a header message, whose length is a 16-bit number
_SMALLEST_HEAP = 4096

# Header messages' types.
_DATASPACE, _LINK_INFO, _DATATYPE, _FILL, _LINK, _LAYOUT, _GROUP_INFO, _ATTRIBUTE = 1, 2, 3, 5, 6, 8, 10, 12


class Group:
    """A folder of a file that is to be written.

    Example:
        >>> root = Group({"backend": "torch"})
        >>> root.at("layers/dense").members["0"] = np.zeros(3, np.float32)
        >>> list(root.members)
        ['layers']
    """

    def __init__(self, attributes: Mapping[str, Attribute] | None = None) -> None:
        self.attributes = dict(attributes or {})
        self.members: dict[str, Group | npt.NDArray[Any]] = {}

    def at(self, path: str) -> Group:
        """The group of a path below this one, made where it is missing."""
        group = self
        for name in path.split("/"):
            found = group.members.setdefault(name, Group()) if name else group
            if not isinstance(found, Group):
                raise ValueError(f"{path}: {name!r} is an array, so it cannot be a group too")
            group = found
        return group


def hdf5_bytes(root: Group) -> bytes:
    """A whole HDF5 file.

    Args:
        root: what is in it; arrays of float32 or of integers.

    Raises:
        TypeError: an array has another type.
        ValueError: a list of text is too long for one attribute.

    Example:
        >>> hdf5_bytes(Group())[1:4]
        b'HDF'
    """
    file = _File()
    address = file.group(root)
    superblock = b"\x89HDF\r\n\x1a\n" + struct.pack("<8B2HI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    superblock += struct.pack("<Q", 0) + _UNDEFINED + struct.pack("<Q", file.size) + _UNDEFINED
    superblock += struct.pack("<QQII16x", 0, address, 0, 0)
    file.parts[0] = superblock
    return b"".join(file.parts)


class _File:
    """The parts of a file one after the other; an object's address is known once it has been put there."""

    def __init__(self) -> None:
        self.parts: list[Any] = [b"\0" * 96]
        self.size = 96

    def put(self, data: Any) -> int:
        address, length = self.size, memoryview(data).nbytes
        self.parts += [data, b"\0" * (-length % 8)]
        self.size += length + -length % 8
        return address

    def group(self, group: Group) -> int:
        # In the order of the names, as readers list them.
        links = [
            (name, self.group(member) if isinstance(member, Group) else self.array(member))
            for name, member in sorted(group.members.items())
        ]
        messages = [(_LINK_INFO, struct.pack("<BB", 0, 0) + 2 * _UNDEFINED), (_GROUP_INFO, struct.pack("<BB", 0, 0))]
        messages += [(_ATTRIBUTE, self.attribute(name, value)) for name, value in group.attributes.items()]
        messages += [(_LINK, _link(name, address)) for name, address in links]
        return self.header(messages)

    def array(self, array: npt.NDArray[Any]) -> int:
        data = np.asarray(array, order="C")
        datatype = _datatype(data.dtype)
        data = data.astype(data.dtype.newbyteorder("<"), copy=False)
        place = struct.pack("<Q", self.put(data.reshape(-1).view(np.uint8).data)) if data.size else _UNDEFINED
        return self.header(
            [
                (_DATASPACE, _dataspace(data.shape)),
                (_DATATYPE, datatype),
                (_FILL, struct.pack("<4BI", 2, 2, 2, 1, 0)),
                (_LAYOUT, struct.pack("<BB", 3, 1) + place + struct.pack("<Q", data.nbytes)),
            ]
        )

    def header(self, messages: Sequence[tuple[int, bytes]]) -> int:
        packed = b"".join(
            struct.pack("<HHB3x", kind, len(data) + -len(data) % 8, 0) + _padded(data) for kind, data in messages
        )
        return self.put(struct.pack("<BxHII4x", 1, len(messages), 1, len(packed)) + packed)

    def attribute(self, name: str, value: Attribute) -> bytes:
        if isinstance(value, str):
            datatype, space = _variable_text(), _dataspace(())
            text = value.encode()
            data = struct.pack("<I", len(text)) + struct.pack("<QI", self.heap(text), 1)
        else:
            texts = [text.encode() for text in value]
            width = max([1, *map(len, texts)])
            datatype = struct.pack("<4BI", 0x13, 0x01, 0, 0, width)
            space = _dataspace((len(texts),))
            data = b"".join(text.ljust(width, b"\0") for text in texts)
        if len(data) > _LARGEST_MESSAGE:
            raise ValueError(f"the attribute {name!r} is too large for a file: {len(data)} bytes")
        label = name.encode() + b"\0"
        start = struct.pack("<BxHHH", 1, len(label), len(datatype), len(space))
        return start + _padded(label) + _padded(datatype) + _padded(space) + data

    def heap(self, data: bytes) -> int:
        """A collection with one object, number 1, and the free space that must end it."""
        item = struct.pack("<HH4xQ", 1, 0, len(data)) + _padded(data)
        size = max(_SMALLEST_HEAP, 16 + len(item) + 16)
        free = size - 16 - len(item)
        rest = struct.pack("<HH4xQ", 0, 0, free) + b"\0" * (free - 16)
        return self.put(b"GCOL" + struct.pack("<B3xQ", 1, size) + item + rest)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 8)


def _link(name: str, address: int) -> bytes:
    text = name.encode()
    # Version 1; flags: the name's length in two bytes, and a byte for its encoding, UTF-8.
    return struct.pack("<BBBH", 1, 0x11, 1, len(text)) + text + struct.pack("<Q", address)


def _dataspace(shape: tuple[int, ...]) -> bytes:
    return struct.pack("<BBB5x", 1, len(shape), 0) + struct.pack(f"<{len(shape)}Q", *shape)


def _datatype(dtype: np.dtype[Any]) -> bytes:
    bits = 8 * dtype.itemsize
    if dtype.kind in "iu":
        return struct.pack("<4BIHH", 0x10, 0x08 if dtype.kind == "i" else 0, 0, 0, dtype.itemsize, 0, bits)
    if dtype != np.float32:
        raise TypeError(f"an HDF5 file expects float32 or integers, got {dtype}")
    return struct.pack("<4BIHH4BI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)


def _variable_text() -> bytes:
    """Text of any length in UTF-8: a length and a place in a heap of bytes."""
    return struct.pack("<4BI", 0x19, 0x01, 0x01, 0, 16) + struct.pack("<4BIHH", 0x10, 0, 0, 0, 1, 0, 8)
