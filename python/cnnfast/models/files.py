"""Files of weights: written whole or not at all, read without running anything, with errors that name the file."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import Variable

PathLike = Union[str, "os.PathLike[str]"]
ORDER = "weights"  # the header's entry with the weights' names in the model's order


def write_atomically(path: Path, data: bytes | Iterable[memoryview]) -> None:
    """Put a file in its place whole or not at all: it is written beside it and moved when it is on the disk.

    Args:
        path: where.
        data: what it holds, or the parts of that one after another.

    Raises:
        OSError: that cannot be done; FileNotFoundError where there is no such folder.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in (data,) if isinstance(data, bytes) else data:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _permissions(path))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, or what a new file gets."""
    with contextlib.suppress(OSError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the new name itself safe from a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_readable(path: PathLike) -> None:
    """Refuse a path at which there is no file.

    Raises:
        FileNotFoundError: there is nothing.
        IsADirectoryError: there is a folder.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{os.fspath(path)}: no such file")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{os.fspath(path)}: a folder, not a model file")


@contextlib.contextmanager
def opened(path: PathLike) -> Iterator[Any]:
    """A safetensors file to read from.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is something else, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    check_readable(path)
    path = os.fspath(path)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or damaged: {error}") from error


@contextlib.contextmanager
def damage_as_value_error(path: PathLike) -> Iterator[None]:
    """A block in which whatever a damaged file leads to becomes a ValueError that names the file."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, MemoryError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
        raise ValueError(f"{path}: the model cannot be made: {what or type(error).__name__}") from error


def stored_weight(path: PathLike, file: Any, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A weight of a file.

    Raises:
        ValueError: it is missing, or has another type or shape.
    """
    if name not in file.keys():  # noqa: SIM118 (not a dict)
        raise ValueError(f"{path}: the weight {name!r} is missing")
    described = file.get_slice(name)
    if described.get_dtype() != "F32" or tuple(described.get_shape()) != shape:
        raise ValueError(
            f"{path}: the weight {name!r} expects F32 of shape {shape}, "
            f"got {described.get_dtype()} of shape {tuple(described.get_shape())}"
        )
    array: npt.NDArray[np.float32] = file.get_tensor(name)
    return array


def may_write(path: PathLike, overwrite: bool) -> Path:
    """The path, unless a file is there that is not to be replaced.

    Raises:
        FileExistsError: there is one.
    """
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{os.fspath(path)}: there is such a file already, and overwrite is False")
    return Path(path)


def as_stored(
    named: Mapping[str, Variable], header: Mapping[str, str], file: Any, layers_named: bool = False
) -> dict[str, Variable]:
    """A model's weights by the names that a file has for them.

    Layers that a constructor makes get new names every time. Where the names differ, but the weights' shapes are the
    same one after the other, the order tells which is which.

    Args:
        named: the weights by the model's names.
        header: the file's.
        file: the opened file.
        layers_named: whether the model's own layers, the first part of a name, must be called as in the file.
    """
    stored = json.loads(header.get(ORDER, "[]"))
    present = set(file.keys())
    if list(named) == stored or len(stored) != len(named) or not present.issuperset(stored):
        return dict(named)
    if layers_named and [s.split("/")[0] for s in stored] != [name.split("/")[0] for name in named]:
        return dict(named)
    shapes = [tuple(file.get_slice(name).get_shape()) for name in stored]
    if shapes != [variable.shape for variable in named.values()]:
        return dict(named)
    return dict(zip(stored, named.values(), strict=True))


def zeros_within(elements: int) -> Callable[[tuple[int, ...]], npt.NDArray[np.float32]]:
    """A source of zeros, to be replaced by the file's weights, that ends where the file cannot hold as many.

    A little more than the file holds is allowed, so that a file of which a part is missing is told which.
    """
    left = [2 * elements + (1 << 16)]

    def zeros(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        left[0] -= math.prod(int(n) for n in shape)
        if left[0] < 0:
            raise ValueError("the architecture needs more weights than the file holds")
        return np.zeros(shape, np.float32)

    return zeros
