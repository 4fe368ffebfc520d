"""What was done to a chunk of an array before it was written, undone: deflate, shuffle and Fletcher's checksum."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cnnfast.interop.hdf5.source import Source

DEFLATE, SHUFFLE, FLETCHER = 1, 2, 3
_NAMES = {4: "szip", 5: "nbit", 6: "scale-offset", 32000: "lzf", 32001: "blosc", 32004: "lz4", 32015: "zstd"}
_LARGEST_EXPANSION = 1032  # of deflate
_BLOCK = 1 << 16  # words, whose sums do not overflow


class Filter(NamedTuple):
    """A step of the way into the file: its number and its parameters."""

    number: int
    values: tuple[int, ...]


def read_filters(source: Source, start: int) -> tuple[Filter, ...]:
    """The steps that a message lists, in the order of writing.

    Raises:
        ValueError: it is damaged, or of another version.
    """
    version, count = source.numbers("<BB", start)
    if version not in (1, 2) or count > 32:
        raise ValueError(f"{count} filters of version {version} are not read")
    place = start + (8 if version == 1 else 2)
    found = []
    for _ in range(count):
        number, name_size = source.numbers("<HH", place)
        if version == 2 and number < 256:
            values_at, name_size = place + 6, 0
        else:
            values_at = place + 8
        used = source.numbers("<H", values_at - 2)[0]
        if version == 1:
            name_size += -name_size % 8
        place = values_at + name_size
        found.append(Filter(number, source.numbers(f"<{used}I", place)))
        place += 4 * used + (4 if version == 1 and used % 2 else 0)
    return tuple(found)


def expansion(filters: Sequence[Filter]) -> int:
    """How many times as long as in the file data can be at most."""
    return _LARGEST_EXPANSION if any(found.number == DEFLATE for found in filters) else 1


def undo(filters: Sequence[Filter], skipped: int, stored: memoryview, size: int) -> bytes | memoryview:
    """A chunk's elements from what the file has of it.

    Args:
        filters: the steps in the order of writing.
        skipped: a bit for each step that was left out for this chunk.
        stored: the bytes in the file.
        size: how many there must be in the end.

    Raises:
        ValueError: they are damaged, become more than that, or are compressed in another way.
    """
    data: bytes | memoryview = stored
    # In between, data that does not compress grows a little; compressed twice, a few bytes could become anything.
    most = min(size + size // 1000 + 64 + 4 * len(filters), _LARGEST_EXPANSION * len(stored))
    for position in reversed(range(len(filters))):
        number, values = filters[position]
        if skipped >> position & 1:
            continue
        if number == DEFLATE:
            data = _inflated(data, most)
        elif number == SHUFFLE:
            data = _unshuffled(data, values[0] if values else 1)
        elif number == FLETCHER:
            data = _checked(data)
        else:
            raise ValueError(f"arrays with the filter {_NAMES.get(number, number)} are not read")
    if len(data) != size:
        raise ValueError(f"damaged: a chunk expects {size} bytes, got {len(data)}")
    return data


def _inflated(data: bytes | memoryview, most: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: a compressed chunk: {error}") from error
    if len(found) > most or not stream.eof:
        raise ValueError(f"damaged: a compressed chunk expects at most {most} bytes, got more or does not end")
    return found


def _unshuffled(data: bytes | memoryview, size: int) -> bytes:
    """The bytes of each element together again; what is no whole element at the end stays as it was."""
    count = len(data) // size if size else 0
    if size <= 1 or count <= 1:
        return bytes(data)
    whole = np.frombuffer(data, np.uint8, count * size).reshape(size, count)
    return np.ascontiguousarray(whole.T).tobytes() + bytes(data[count * size :])


def _checked(data: bytes | memoryview) -> bytes | memoryview:
    if len(data) < 4:
        raise ValueError("damaged: a chunk's checksum is missing")
    data, found = data[:-4], bytes(data[-4:])
    expected = _fletcher(data)
    # The earliest versions swapped the bytes of each half.
    if expected not in (_sums(found), _sums(found[1::-1] + found[:1:-1])):
        raise ValueError("damaged: a chunk does not fit its checksum")
    return data


def _sums(checksum: bytes) -> tuple[int, int]:
    low, high = np.frombuffer(checksum, "<u2").tolist()
    return low % 65535, high % 65535


def _fletcher(data: bytes | memoryview) -> tuple[int, int]:
    """Fletcher's sums of big-endian words: of the words, and of those sums (Fletcher, 1982)."""
    words = np.frombuffer(bytes(data) + b"\0" * (len(data) % 2), ">u2")
    first = second = 0
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK].astype(np.uint64)
        second += first * len(block) + int((block * np.arange(len(block), 0, -1, dtype=np.uint64)).sum())
        first += int(block.sum())
    return first % 65535, second % 65535
