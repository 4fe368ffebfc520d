"""Darknet's `.weights` files: a header, then every layer's numbers in the order of the `.cfg` file."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.interop.darknet.plan import Weighted
from cnnfast.models.files import PathLike, check_readable, may_write, write_atomically

_Array = npt.NDArray[np.float32]
_VERSION = (0, 2, 5)  # what present darknets write; it tells of a counter of 64 bits


def check_size(path: PathLike, weighted: Iterable[Weighted]) -> None:
    """Check that a file is as long as the weights of a network make it; reads nothing but its header.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is shorter or longer.
    """
    with _opened(path) as file:
        _read_header(path, file, sum(entry.count for entry in weighted))


def load_into(path: PathLike, weighted: Iterable[Weighted]) -> None:
    """Read a file's weights into layers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is shorter or longer than the layers' weights.
    """
    entries = list(weighted)
    with _opened(path) as file:
        transposed = _read_header(path, file, sum(entry.count for entry in entries))
        numbers = np.fromfile(file, "<f4")
    if numbers.size != sum(entry.count for entry in entries):
        raise ValueError(f"{os.fspath(path)}: changed while it was read")
    start = 0
    for entry in entries:
        values = numbers[start : start + entry.count]
        start += entry.count
        for variable, array in _assignments(entry, values, transposed):
            variable.assign(np.ascontiguousarray(array, np.float32))


def save_from(path: PathLike, weighted: Iterable[Weighted], overwrite: bool = True) -> None:
    """Write layers' weights to a file, in place of one of that name only when it is complete.

    Raises:
        FileExistsError: there is such a file, and `overwrite` is False.
    """
    parts = [struct.pack("<iiiQ", *_VERSION, 0)]
    for entry in weighted:
        values = np.empty(entry.count, np.float32)
        for variable, array in _assignments(entry, values, False):
            array[...] = variable.numpy()
        parts.append(values.astype("<f4").tobytes())
    write_atomically(may_write(path, overwrite), b"".join(parts))


def _opened(path: PathLike) -> Any:
    check_readable(path)
    return Path(path).open("rb")


def _read_header(path: PathLike, file: Any, count: int) -> bool:
    """Read the header and compare the rest's length; returns whether dense kernels are written transposed."""
    name = os.fspath(path)
    length = os.fstat(file.fileno()).st_size
    head = file.read(12)
    if len(head) < 12:
        raise ValueError(f"{name}: not a darknet file: {length} bytes are too few for a header")
    major, minor, _ = struct.unpack("<iii", head)
    # Files of version 0.2 and later count the images seen in 64 bits, older ones in 32.
    counter = 8 if major * 10 + minor >= 2 else 4
    expected = 12 + counter + 4 * count
    if length != expected:
        found = f"{abs(length - expected)} bytes too {'short' if length < expected else 'long'}"
        raise ValueError(
            f"{name}: {found} for this network: {expected} bytes are expected, a header of version {major}.{minor} "
            f"({12 + counter} bytes) and {count} weights, but it has {length}"
        )
    file.seek(12 + counter)
    return bool(major > 1000 or minor > 1000)


def _assignments(entry: Weighted, values: _Array, transposed: bool) -> Iterator[tuple[Any, _Array]]:
    """The variables of a section's layers, each with its part of the numbers seen in the variable's shape.

    The parts are views: who writes to them writes to `values`.
    """
    n = entry.filters
    size = math.prod(entry.kernel) if entry.kernel else 0
    bias, rest = values[:n], values[n:]
    if entry.kind == "connected":
        kernel, statistics = rest[:size], rest[size:]
    else:
        statistics, kernel = rest[: rest.size - size], rest[rest.size - size :]
    if entry.normalized:
        scale, mean, variance = statistics.reshape(3, n)
        norm = entry.norm
        yield from ((norm.gamma, scale), (norm.beta, bias), (norm.moving_mean, mean), (norm.moving_variance, variance))
    else:
        yield entry.layer.bias, bias
    if entry.kind == "connected":
        inputs = entry.kernel[1]
        yield entry.layer.kernel, kernel.reshape(inputs, n) if transposed else kernel.reshape(n, inputs).T
    elif entry.kind == "convolutional":
        if entry.flipped:
            yield entry.layer.kernel, kernel.reshape(*entry.kernel[1:], n).transpose(1, 2, 0, 3)
        else:
            yield entry.layer.kernel, kernel.reshape(entry.kernel).transpose(2, 3, 1, 0)
