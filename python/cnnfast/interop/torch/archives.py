"""The two forms of PyTorch's files taken apart: an archive of storages (since 1.6), or pickles and bytes in a row."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from cnnfast.interop.torch.pickles import Machine
from cnnfast.interop.torch.storages import Array, ElementType, Storage, known_names, storage_from

MOST_PICKLE = 1 << 28  # bytes
MOST_EXPANSION = 32  # how many times its size a compressed archive may expand to
_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001


class Contents:
    """What a file holds: objects with tensors among them, and the bytes of their storages.

    Args:
        root: the object that was saved.
        data: the bytes of a storage's key, as uint8.
        big_endian: whether numbers have their highest byte first.
    """

    def __init__(self, root: Any, data: Callable[[str], Array], big_endian: bool) -> None:
        self.root, self.data, self.big_endian = root, data, big_endian


def contents_of(file: BinaryIO, size: int) -> Contents:
    """Take a file apart.

    Args:
        file: opened for reading bytes.
        size: how many it has.

    Raises:
        ValueError: it is no file of PyTorch's, is damaged, or wants to call what is not known.
    """
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK"):
        try:
            with zipfile.ZipFile(file) as archive:
                return _archive_contents(archive, size)
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            EOFError,
            OSError,
            zlib.error,
            struct.error,
        ) as error:
            raise ValueError(f"damaged archive: {error}") from None
    if start[257:262] == b"ustar":
        raise ValueError("a tar file, as PyTorch wrote before 0.2; save it again with a later one")
    if start.startswith(b"\x80"):
        return _legacy_contents(file.read())
    raise ValueError("no file of PyTorch's: neither an archive nor a pickle")


# Archives


def _archive_contents(archive: zipfile.ZipFile, size: int) -> Contents:
    members = {member.filename: member for member in archive.infolist()}
    if sum(member.file_size for member in archive.infolist()) > MOST_EXPANSION * size + (1 << 16):
        raise ValueError(f"refused: the archive would expand to more than {MOST_EXPANSION} times its size")
    roots = [name.removesuffix("data.pkl") for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ValueError(f"an archive with {len(roots)} members data.pkl, 1 expected")
    (root,) = roots
    if f"{root}constants.pkl" in members or any(name.startswith(f"{root}code/") for name in members):
        raise ValueError("a TorchScript program: save its state_dict() with torch.save, and load that")

    def read(name: str) -> bytes:
        if name not in members:
            raise ValueError(f"damaged: {name} is missing")
        if members[name].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"refused: {name} is compressed in a way that PyTorch does not use")
        return archive.read(members[name])

    order = read(f"{root}byteorder") if f"{root}byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"byteorder {order[:20]!r} is not known")
    if members[f"{root}data.pkl"].file_size > MOST_PICKLE:
        raise ValueError(f"refused: data.pkl has more than {MOST_PICKLE} bytes")
    loaded: dict[str, Array] = {}

    def storage(entry: Any) -> Storage:
        found = storage_from(entry)
        member = members.get(f"{root}data/{found.key}")
        if found.count and (member is None or member.file_size < (found.offset + found.count) * found.type.size):
            held = "none" if member is None else member.file_size
            raise ValueError(f"damaged: storage {found.key[:40]!r} expects {found.count} elements, has {held} bytes")
        if found.count and found.key not in loaded:
            loaded[found.key] = np.frombuffer(read(f"{root}data/{found.key}"), np.uint8)
        return found

    value = Machine(read(f"{root}data.pkl"), known_names(), storage).run()
    return Contents(value, lambda key: loaded.get(key, np.empty(0, np.uint8)), order == b"big")


# Pickles and bytes in a row


def _legacy_contents(data: bytes) -> Contents:
    position = 0
    types: dict[str, ElementType] = {}
    counts: dict[str, int] = {}

    def storage(entry: Any) -> Storage:
        found = storage_from(entry)
        if types.setdefault(found.key, found.type) != found.type:
            raise ValueError(f"damaged: storage {found.key[:40]!r} has two types")
        if isinstance(entry, tuple) and len(entry) == 6 and entry[5] is not None:
            whole = storage_from(entry[:5]).count
        else:
            whole = found.count
        if found.offset + found.count > whole or counts.setdefault(found.key, whole) != whole:
            raise ValueError(f"damaged: storage {found.key[:40]!r} has two sizes, or a part beyond its end")
        if whole * found.type.size > len(data):
            raise ValueError(f"damaged: storage {found.key[:40]!r} expects {whole} elements, the file is shorter")
        return found

    def next_pickle(known: Any = (), persistent: Callable[[Any], Any] | None = None) -> Any:
        nonlocal position
        machine = Machine(data, dict(known), persistent, position)
        value = machine.run()
        position = machine.position
        return value

    magic = next_pickle()
    if isinstance(magic, bool) or magic != _MAGIC:
        raise ValueError("no file of PyTorch's: a pickle of something else")
    if next_pickle() != _LEGACY_VERSION:
        raise ValueError("an unknown version of PyTorch's older files")
    system = next_pickle()
    big = isinstance(system, dict) and system.get("little_endian") is False
    root = next_pickle(known_names(), storage)
    keys = next_pickle()
    if not isinstance(keys, list) or any(not isinstance(key, str) for key in keys):
        raise ValueError("damaged: the storages' keys are no list of texts")
    loaded: dict[str, Array] = {}
    for key in keys:
        if key not in types or key in loaded:
            raise ValueError(f"damaged: storage {key[:40]!r} belongs to nothing")
        if position + 8 > len(data):
            raise ValueError(f"ends too early: storage {key[:40]!r} is missing")
        (count,) = struct.unpack_from(">q" if big else "<q", data, position)
        position += 8
        length = counts[key] * types[key].size
        if count != counts[key] or position + length > len(data):
            raise ValueError(f"damaged: storage {key[:40]!r} expects {counts[key]} elements, got {count} or fewer")
        loaded[key] = np.frombuffer(data, np.uint8, length, position)
        position += length
    missing = [key for key in types if key not in loaded and counts[key]]
    if missing:
        raise ValueError(f"damaged: storage {missing[0][:40]!r} is missing")
    return Contents(root, lambda key: loaded.get(key, np.empty(0, np.uint8)), big)
