"""Weights by name from PyTorch's files and from plain safetensors files, without PyTorch, executing nothing."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnfast.interop.torch.archives import Contents, contents_of
from cnnfast.interop.torch.storages import Array, TensorView, bfloat16
from cnnfast.models.files import PathLike, check_readable

MOST_DEPTH = 32  # of dictionaries in dictionaries
MOST_ENTRIES = 250_000
MOST_NAME = 512  # characters of a name with those before it; PyTorch's have some dozens
# How many times the file's size all arrays may have: tensors may share storages, and repeat elements by strides of 0.
MOST_COPIES = 8

# Where checkpoints keep the weights, beside the optimizer's state and other things.
_WEIGHTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "module")


@contextlib.contextmanager
def _naming(path: PathLike) -> Iterator[None]:
    """A block whose errors about a file's contents name the file."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"{os.fspath(path)}: {error or type(error).__name__}") from error


def read_torch(path: PathLike, key: str | None = None) -> dict[str, Array]:
    """Read the tensors of a `.pt`, `.pth` or `.bin` file that `torch.save` wrote, without PyTorch.

    Both forms are read, archives (since PyTorch 1.6) and the older pickles in a row. Nothing in the file is executed:
    a file that names anything but tensors, containers and numbers is refused, with the name.

    Args:
        path: the file.
        key: the dictionary to read, where the file has several: its key, or keys with dots between them; "" for
            everything. By default the one that checkpoints keep weights in ("state_dict", "model_state_dict",
            "model", ...), or everything where there is none.

    Returns:
        Arrays by name, in the file's order, with the types they have there; bfloat16 becomes float32. Names of nested
        dictionaries and lists are joined by dots. What is no tensor is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, is no file of PyTorch's, names what is not known, is too deep or too large for its
            size, or has no such key.

    Example:
        >>> import tempfile, os
        >>> from cnnfast.interop import save_torch
        >>> path = os.path.join(tempfile.mkdtemp(), "net.pth")
        >>> save_torch({"fc.weight": np.ones((2, 3), np.float32)}, path)
        >>> {name: array.shape for name, array in read_torch(path).items()}
        {'fc.weight': (2, 3)}
    """
    check_readable(path)
    size = os.path.getsize(path)
    with _naming(path):
        with open(path, "rb") as file:
            contents = contents_of(file, size)
        return _arrays(contents, size, key)


def _arrays(contents: Contents, size: int, key: str | None) -> dict[str, Array]:
    found: dict[str, Array] = {}
    left = MOST_COPIES * size + (1 << 20)
    for name, tensor in _tensors(_chosen(contents.root, key)):
        left -= tensor.elements * max(tensor.type.size, 4)
        if left < 0:
            raise ValueError(f"refused: the tensors have more than {MOST_COPIES} times as many bytes as the file")
        if name in found:
            raise ValueError(f"two tensors would be named {name!r}")
        found[name] = tensor.array(contents.data(tensor.storage.key), contents.big_endian)
    return found


def _chosen(root: Any, key: str | None) -> Any:
    if key is None:
        if isinstance(root, dict):
            for name in _WEIGHTS:
                if isinstance(root.get(name), dict) and any(_tensors(root[name])):
                    return root[name]
        return root
    for part in key.split(".") if key else ():
        if not isinstance(root, dict) or part not in root:
            there = [str(name) for name in root][:20] if isinstance(root, dict) else type(root).__name__
            raise ValueError(f"no key {key!r}; there are {there}")
        root = root[part]
    return root


def _tensors(root: Any) -> Iterator[tuple[str, TensorView]]:
    """The tensors in nested dictionaries, lists and tuples, by name."""
    stack: list[tuple[str, Any, int]] = [("", root, 0)]
    left = MOST_ENTRIES
    while stack:
        name, value, depth = stack.pop()
        if len(name) > MOST_NAME and isinstance(value, (TensorView, dict, list, tuple)):
            raise ValueError(f"refused: a name of more than {MOST_NAME} characters, {name[:40]!r}...")
        if isinstance(value, TensorView):
            yield name or "tensor", value
        elif isinstance(value, (dict, list, tuple)):
            left -= len(value)
            if left < 0 or depth > MOST_DEPTH:
                raise ValueError(f"refused: more than {MOST_ENTRIES} entries, or deeper than {MOST_DEPTH} dictionaries")
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            stack += [(f"{name}.{key}" if name else str(key), part, depth + 1) for key, part in parts][::-1]


# Safetensors files of others

_SAFETENSORS_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "C64": "<c8",
}  # fmt: skip
_LONGEST_HEADER = 100_000_000


def read_safetensors(path: PathLike) -> dict[str, Array]:
    """Read the tensors of any `.safetensors` file by name.

    Args:
        path: the file.

    Returns:
        Arrays by name, with the types they have in the file; bfloat16 becomes float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, is something else, or has a type that NumPy does not have.

    Example:
        >>> import tempfile, os
        >>> from safetensors.numpy import save_file
        >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
        >>> save_file({"fc.bias": np.zeros(3, np.float32)}, path)
        >>> read_safetensors(path)["fc.bias"]
        array([0., 0., 0.], dtype=float32)
    """
    check_readable(path)
    size = os.path.getsize(path)
    with _naming(path), open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError("no safetensors file, or damaged: the header's length does not fit")
        header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("no safetensors file: the header is no JSON object")
        header.pop("__metadata__", None)
        data = np.fromfile(file, np.uint8)
        places = {name: _place(name, entry, len(data)) for name, entry in header.items()}
        if sum(end - begin for _, _, begin, end in places.values()) > len(data):
            raise ValueError("damaged: tensors overlap")
        found = {}
        for name, (type_name, shape, begin, end) in sorted(places.items(), key=lambda item: item[1][2]):
            array = data[begin:end].view(_SAFETENSORS_TYPES[type_name]).reshape(shape)
            found[name] = bfloat16(array) if type_name == "BF16" else array.astype(array.dtype.newbyteorder("="))
        return found


def _place(name: str, entry: Any, length: int) -> tuple[str, tuple[int, ...], int, int]:
    """A tensor's type, shape, and where its bytes begin and end."""
    if not isinstance(entry, dict) or entry.get("dtype") not in _SAFETENSORS_TYPES:
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        raise ValueError(f"tensor {name[:80]!r} has type {str(kind)[:20]!r}; known are {', '.join(_SAFETENSORS_TYPES)}")
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    for values in (shape, offsets):
        if not isinstance(values, list) or any(type(n) is not int or not 0 <= n < 1 << 62 for n in values):
            raise ValueError(f"damaged: tensor {name[:80]!r} expects a shape and offsets of integers")
    assert isinstance(shape, list)
    assert isinstance(offsets, list)
    size = math.prod(shape) * np.dtype(_SAFETENSORS_TYPES[entry["dtype"]]).itemsize
    if len(shape) > 32 or len(offsets) != 2 or offsets[1] > length or offsets[1] - offsets[0] != size:
        raise ValueError(f"damaged: tensor {name[:80]!r} of shape {shape[:32]} does not fit its place {offsets[:2]}")
    return entry["dtype"], tuple(shape), offsets[0], offsets[1]
