"""HDF5's attributes, of which those that are text are read."""

from __future__ import annotations

import math
from typing import Any

from cnnfast.interop.hdf5.heaps import TextHeaps
from cnnfast.interop.hdf5.kinds import read_shape, read_type
from cnnfast.interop.hdf5.source import Source, as_name


def read_attribute(source: Source, texts: TextHeaps, start: int, length: int) -> tuple[str, Any]:
    """An attribute's name and its value: text, a list of text, or None for anything else.

    Args:
        source: the file.
        texts: where it keeps text of any length.
        start: where the attribute's message begins.
        length: that of the message.

    Raises:
        ValueError: it is damaged, or of another version.
    """
    version, flags, name_size, type_size, shape_size = source.numbers("<BBHHH", start)
    if version not in (1, 2, 3):
        raise ValueError(f"attributes of version {version} are not read")
    place = start + (9 if version == 3 else 8)
    step = 8 if version == 1 else 1
    name = as_name(source.part(place, name_size).split(b"\0")[0])
    if version > 1 and flags & 3:
        return name, None  # of a type that several objects share: none that Keras or h5py give to text
    place += name_size + -name_size % step
    kind = read_type(source, place)
    place += type_size + -type_size % step
    shape = read_shape(source, place)
    place += shape_size + -shape_size % step
    if not kind.text or shape is None:
        return name, None
    count, width = math.prod(shape.now), kind.size or 16
    if count * width > start + length - place:
        raise ValueError(f"damaged: the attribute {name!r} is longer than its message")
    items = [source.part(place + width * number, width) for number in range(count)]
    found = [(_unpadded(item, kind.padding) if kind.size else texts.text(item)).decode() for item in items]
    return name, found if shape.now else found[0]


def _unpadded(text: bytes, padding: int) -> bytes:
    if padding == 0:
        return text.split(b"\0", 1)[0]
    return text.rstrip(b" " if padding == 2 else b"\0")
