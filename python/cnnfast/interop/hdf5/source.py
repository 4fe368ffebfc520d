"""The bytes of a file that nobody vouches for: every place is checked, and the work is bounded by the length."""

from __future__ import annotations

import struct
from typing import Any

UNDEFINED = 0xFFFF_FFFF_FFFF_FFFF


class Source:
    """A file's bytes, and how many steps may still be taken with them.

    Args:
        data: the bytes.

    Example:
        >>> Source(b"abc").part(1, 2)
        b'bc'
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = len(data) // 4 + 1024  # an honest file needs fewer

    def check(self, offset: int, length: int) -> None:
        """Check that bytes are there.

        Raises:
            ValueError: some lie outside the file.
        """
        if offset < 0 or length < 0 or offset + length > len(self.data):
            raise ValueError(f"damaged: {length} bytes at {offset} lie outside the file")

    def part(self, offset: int, length: int) -> bytes:
        """Some of the bytes."""
        self.check(offset, length)
        return self.data[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        """Some of the bytes, not copied."""
        self.check(offset, length)
        return memoryview(self.data)[offset : offset + length]

    def numbers(self, form: str, offset: int) -> tuple[Any, ...]:
        """What `struct.unpack` makes of the bytes at a place."""
        self.check(offset, struct.calcsize(form))
        return struct.unpack_from(form, self.data, offset)

    def integer(self, offset: int, width: int) -> int:
        """An unsigned number of any width."""
        return int.from_bytes(self.part(offset, width), "little")

    def expect(self, signature: bytes, offset: int, what: str) -> None:
        """Check that a part of the file is where others say.

        Raises:
            ValueError: something else is there.
        """
        if self.part(offset, len(signature)) != signature:
            raise ValueError(f"damaged: {what} is missing")

    def spend(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            ValueError: there were more than a file of this length explains.
        """
        self._left -= steps
        if self._left < 0:
            raise ValueError("damaged: its parts refer to each other more often than its length explains")


def as_name(text: bytes) -> str:
    """A name's bytes as text, whatever they are."""
    return text.decode("utf-8", "surrogateescape")


def bytes_for(most: int) -> int:
    """How many bytes numbers up to a largest one take."""
    return (max(most, 1).bit_length() + 7) // 8
