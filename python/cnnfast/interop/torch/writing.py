"""Files that `torch.load(path, weights_only=True)` reads, written without PyTorch."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnfast.interop.torch.storages import Array, storage_name
from cnnfast.interop.torch.weights import Naming, to_torch_state_dict
from cnnfast.models.files import PathLike, may_write, write_atomically


def save_torch(model: Any, path: PathLike, naming: Naming = None, overwrite: bool = True) -> None:
    """Write a model's weights as a `.pth` file of PyTorch's: a state_dict.

    Args:
        model: a built model, or a dict of arrays by name, which are written as they are.
        path: where.
        naming: how modules are called, see `to_torch_state_dict`.
        overwrite: whether an existing file is replaced.

    Files with arrays of uint16, uint32 or uint64 need PyTorch 2.3 or later.

    Raises:
        ValueError: the model is not built, or names collide.
        TypeError: an array has a type that PyTorch does not have.
        FileExistsError: there is such a file, and `overwrite` is False.
        OSError: the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> from cnnfast.interop import read_torch
        >>> path = os.path.join(tempfile.mkdtemp(), "net.pth")
        >>> save_torch({"bias": np.array([1.0, 2.0])}, path)
        >>> read_torch(path)["bias"]
        array([1., 2.])
    """
    state = dict(model) if isinstance(model, Mapping) else to_torch_state_dict(model, naming)
    arrays = {str(name): np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in state.items()}
    storages = [array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays.values()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", _pickled(arrays))
        archive.writestr("archive/byteorder", b"little")
        for number, data in enumerate(storages):
            archive.writestr(f"archive/data/{number}", data)
        archive.writestr("archive/version", b"3\n")
    write_atomically(may_write(Path(path), overwrite), buffer.getvalue())


def save_weights(model: Any, filepath: PathLike, overwrite: bool = True) -> None:
    """Write a model's weights as a file of PyTorch's; see `Model.save_weights` and `save_torch`."""
    save_torch(model, filepath, overwrite=overwrite)


# The pickle: an OrderedDict of tensors, each made of a storage that is kept beside it


_EMPTY_DICT = b"ccollections\nOrderedDict\n)R"


def _pickled(arrays: Mapping[str, Array]) -> bytes:
    parts = [b"\x80\x02", _EMPTY_DICT, b"("]
    for number, (name, array) in enumerate(arrays.items()):
        parts += [_text(name), _tensor(number, array, storage_name(name, array.dtype))]
    return b"".join([*parts, b"u."])


def _tensor(number: int, array: Array, kind: str | None) -> bytes:
    """A tensor of a storage of its own type, or (as newer types have it) of bytes and with the type beside it."""
    storage = _name("torch", kind) if kind else _name("torch.storage", "UntypedStorage")
    size = _integer(array.size if kind else array.nbytes)
    place = b"(" + _text("storage") + storage + _text(str(number)) + _text("cpu") + size + b"tQ" + _integer(0)
    strides = [step // array.itemsize for step in array.strides]
    parts = b"(" + place + _tuple(array.shape) + _tuple(strides) + b"\x89" + _EMPTY_DICT
    if kind:
        return _name("torch._utils", "_rebuild_tensor_v2") + parts + b"tR"
    return _name("torch._utils", "_rebuild_tensor_v3") + parts + _name("torch", array.dtype.name) + b"tR"


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _tuple(values: Any) -> bytes:
    return b"(" + b"".join(_integer(int(value)) for value in values) + b"t"
