"""Darknet's `.cfg` files: sections of `key=value` lines, with the line of everything for messages."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple, NoReturn

from cnnfast.models.files import PathLike, check_readable

LONGEST = 1 << 20  # bytes; the largest networks that are published take a twentieth of that
MOST_SECTIONS = 10_000
_INTEGER = re.compile(r"[+-]?\d{1,12}")
_REAL = re.compile(r"[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})([eE][+-]?\d{1,3})?")


class Option(NamedTuple):
    """A value as it is written, and its line."""

    value: str
    line: int


class Section:
    """A section of a file: a layer, or the network's own settings.

    Args:
        kind: what is between the brackets.
        file: the file's name, for messages.
        line: where it begins.
        options: its values by key.
    """

    def __init__(self, kind: str, file: str, line: int = 0, options: dict[str, Option] | None = None) -> None:
        self.kind, self.file, self.line = kind, file, line
        self.options = {} if options is None else options
        self._read: set[str] = set()

    def fail(self, why: str, key: str | None = None) -> NoReturn:
        """Raise, naming the file, the line, the section and the key.

        Raises:
            ValueError: always.
        """
        option = self.options.get(key or "")
        line = option.line if option else self.line
        what = "" if key is None else f" {key}={option.value!r}:" if option else f" {key}:"
        raise ValueError(f"{self.file}, line {line}: [{self.kind}]{what} {why}")

    def text(self, key: str, default: str) -> str:
        """A value as it is written."""
        self._read.add(key)
        return self.options[key].value if key in self.options else default

    def integer(self, key: str, default: int | None, low: int = -(10**12), high: int = 10**12) -> int:
        """A whole number from `low` to `high`.

        Raises:
            ValueError: it is none, or out of range, or missing where there is no default.
        """
        if key not in self.options:
            self._read.add(key)
            if default is None:
                self.fail("is missing", key)
            return default
        text = self.text(key, "")
        if not _INTEGER.fullmatch(text):
            self.fail("expects a whole number", key)
        if not low <= int(text) <= high:
            self.fail(f"expects a whole number from {low} to {high}", key)
        return int(text)

    def flag(self, key: str) -> bool:
        """Whether a number that stands for yes or no, 0 where it is missing, is another than 0."""
        return self.real(key, 0.0) != 0

    def real(self, key: str, default: float, low: float = -1e30, high: float = 1e30) -> float:
        """A number from `low` to `high`.

        Raises:
            ValueError: it is none, or out of range.
        """
        if key not in self.options:
            self._read.add(key)
            return default
        return self._number(key, self.text(key, ""), low, high)

    def reals(self, key: str) -> list[float]:
        """Numbers with commas between them; none where the key is missing.

        Raises:
            ValueError: one of them is no number.
        """
        text = self.text(key, "").rstrip(",")
        return [self._number(key, part, -1e30, 1e30) for part in text.split(",")] if text else []

    def integers(self, key: str) -> list[int]:
        """Whole numbers with commas between them; none where the key is missing.

        Raises:
            ValueError: one of them is no whole number.
        """
        text = self.text(key, "").rstrip(",")
        parts = text.split(",") if text else []
        if not all(_INTEGER.fullmatch(part) for part in parts):
            self.fail("expects whole numbers with commas between them", key)
        return [int(part) for part in parts]

    def _number(self, key: str, text: str, low: float, high: float) -> float:
        if not _REAL.fullmatch(text):
            self.fail(f"expects a number, got {text!r}", key)
        number = float(text)
        if not low <= number <= high:
            self.fail(f"expects a number from {low:g} to {high:g}", key)
        return number

    def refuse(self, reasons: dict[str, str]) -> None:
        """Raise where one of these keys asks for something.

        Raises:
            ValueError: with the reason that belongs to the key.
        """
        for key, reason in reasons.items():
            if self.flag(key):
                self.fail(f"cannot be honoured: {reason}", key)

    def check_all_known(self, ignored: Collection[str]) -> None:
        """Raise where a key was not asked for and is not among those that are known to change no output.

        Raises:
            ValueError: naming the key's line.
        """
        for key in self.options:
            if key not in self._read and key not in ignored:
                self.fail("is not known", key)


def read_cfg(path: PathLike) -> list[Section]:
    """The sections of a file.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: it is not made of sections and `key=value` lines, or is longer than any network's description.
    """
    check_readable(path)
    with Path(path).open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ValueError(f"{os.fspath(path)}: a .cfg file of at most {LONGEST} bytes is expected")
    return parse_cfg(data, os.fspath(path))


def parse_cfg(data: bytes | str, name: str) -> list[Section]:
    r"""The sections of a file's contents.

    Blanks mean nothing, anywhere; what follows `#`, or `;` at the start of a line, is a comment.

    Args:
        data: the contents.
        name: the file's name, for messages.

    Raises:
        ValueError: they are not made of sections and `key=value` lines; a key is given twice with different values.

    Example:
        >>> [s.kind for s in parse_cfg("[net]\nwidth=8\n[maxpool]\nsize=2\n", "example")]
        ['net', 'maxpool']
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    sections: list[Section] = []
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = re.sub(r"[ \t\ufeff]", "", raw.partition("#")[0])
        if not line or line[0] == ";":
            continue
        if not line.isascii() or not line.isprintable():
            raise ValueError(f"{name}, line {number}: text is expected, got {line[:40]!r}")
        if line[0] == "[":
            if line[-1] != "]" or len(line) < 3:
                raise ValueError(f"{name}, line {number}: a section's name in brackets is expected, got {line[:40]!r}")
            sections.append(Section(line[1:-1], name, number))
            if len(sections) > MOST_SECTIONS:
                raise ValueError(f"{name}, line {number}: at most {MOST_SECTIONS} sections are expected")
            continue
        key, equals, value = line.partition("=")
        if not equals or not key or not sections:
            what = "key=value" if sections else "a section such as [net]"
            raise ValueError(f"{name}, line {number}: {what} is expected, got {line[:40]!r}")
        options = sections[-1].options
        if options.setdefault(key, Option(value, number)).value != value:
            sections[-1].fail(f"is given again in line {number}, as {value!r}", key)
    return sections
