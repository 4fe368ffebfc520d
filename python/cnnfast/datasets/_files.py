"""Readers of the file formats that the data sets come in. None of them runs code from the file."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Split = tuple[tuple[Array, Array], tuple[Array, Array]]

_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CIFAR_SHAPE = (3, 32, 32)
_CIFAR_RECORD = 1 + 3 * 32 * 32  # one byte for the label, then the red, green and blue planes


def load_npz(path: Path) -> dict[str, Array]:
    """All arrays of an .npz file.

    Raises:
        ValueError: the file is damaged, is no .npz, or holds Python objects.
    """
    import zipfile

    try:
        with open(path, "rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("it holds a single array")
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a readable .npz file: {error}") from None


def read_npz(path: Path) -> Split:
    """The arrays x_train, y_train, x_test and y_test of an .npz file."""
    arrays = load_npz(path)
    missing = [key for key in _NPZ_KEYS if key not in arrays]
    if missing:
        raise ValueError(f"{path}: expected arrays {', '.join(_NPZ_KEYS)}; missing: {', '.join(missing)}")
    return _checked(path, *(arrays[key] for key in _NPZ_KEYS))


def read_npz_or_idx_folder(path: Path) -> Split:
    """An .npz file, or a folder with the four files in MNIST's own format."""
    return read_idx_folder(path) if path.is_dir() else read_npz(path)


def read_idx_folder(folder: Path) -> Split:
    """The four files of MNIST's own format, packed with gzip or not."""
    arrays = []
    for name in _IDX_NAMES:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.exists():
                arrays.append(read_idx(candidate))
                break
        else:
            raise FileNotFoundError(f"{folder}: neither {name} nor {name}.gz is in this folder")
    return _checked(folder, *arrays)


def read_idx(path: Path) -> Array:
    """An array in MNIST's idx format: two zero bytes, type, number of axes, the axes' lengths, the values."""
    import gzip

    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        raise ValueError(f"{path}: not an idx file")
    dtype, rank = np.dtype(_IDX_TYPES[data[2]]), data[3]
    start = 4 + 4 * rank
    shape = tuple(int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(rank))
    expected = dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(data) - start != expected:
        raise ValueError(f"{path}: expected {expected} bytes of values for shape {shape}, got {len(data) - start}")
    values = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def read_cifar(path: Path) -> Split:
    """CIFAR-10's binary version: its .tar.gz, or the folder it unpacks to."""
    batches = dict(_cifar_batches(path))
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    missing = [name for name in names if name not in batches]
    if missing:
        hint = ""
        if any(name.startswith("data_batch") for name in batches):
            hint = " (the Python version is made of pickles, which run code when read; use cifar-10-binary.tar.gz)"
        raise ValueError(f"{path}: {', '.join(missing)} not found{hint}")
    parts = [_cifar_images(f"{path}: {name}", batches[name]) for name in names]
    x_train, y_train = (np.concatenate(arrays) for arrays in zip(*parts[:5], strict=True))
    return _checked(path, x_train, y_train, *parts[5])


def _cifar_batches(path: Path) -> Iterator[tuple[str, bytes]]:
    import tarfile

    if path.is_dir():
        yield from ((file.name, file.read_bytes()) for file in sorted(path.glob("*_batch*")))
        return
    try:
        with tarfile.open(path) as archive:
            # Read in memory: nothing is unpacked, so no name in the archive can place a file anywhere.
            for member in archive:
                stream = archive.extractfile(member) if "_batch" in member.name and member.isfile() else None
                if stream is not None:
                    yield member.name.rsplit("/", 1)[-1], stream.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a readable tar archive: {error}") from None


def _cifar_images(name: str, data: bytes) -> tuple[Array, Array]:
    if not data or len(data) % _CIFAR_RECORD:
        raise ValueError(f"{name}: expected records of {_CIFAR_RECORD} bytes, got {len(data)} bytes")
    records = np.frombuffer(data, np.uint8).reshape(-1, _CIFAR_RECORD)
    planes = records[:, 1:].reshape(-1, *_CIFAR_SHAPE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, :1].copy()


def _checked(path: Path, x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> Split:
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        if x.ndim < 1 or y.ndim < 1 or len(x) != len(y):
            raise ValueError(
                f"{path}: x_{part} has shape {x.shape}, y_{part} {y.shape}: expected as many labels as images"
            )
    return (x_train, y_train), (x_test, y_test)
