"""What a PyTorch file says of a tensor, checked against the bytes that it really has, and made a NumPy array."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.interop.torch.pickles import Call, Machine, as_key

Array = npt.NDArray[Any]
MOST_AXES = 32

# The element types by the names of their storages and of themselves. NumPy has no bfloat16: it is read as its bits.
_TYPES = {
    "DoubleStorage": ("float64", "f8"),
    "FloatStorage": ("float32", "f4"),
    "HalfStorage": ("float16", "f2"),
    "BFloat16Storage": ("bfloat16", "u2"),
    "LongStorage": ("int64", "i8"),
    "IntStorage": ("int32", "i4"),
    "ShortStorage": ("int16", "i2"),
    "CharStorage": ("int8", "i1"),
    "ByteStorage": ("uint8", "u1"),
    "BoolStorage": ("bool", "?"),
    "ComplexFloatStorage": ("complex64", "c8"),
    "ComplexDoubleStorage": ("complex128", "c16"),
}
_NEWER_TYPES = {"uint16": "u2", "uint32": "u4", "uint64": "u8"}


@dataclass(frozen=True)
class ElementType:
    """A tensor's element type: its name in PyTorch and how NumPy sees its bytes."""

    name: str
    code: str

    @property
    def size(self) -> int:
        """The bytes of an element."""
        return np.dtype(self.code).itemsize


@dataclass(frozen=True)
class Storage:
    """Numbers in a row that tensors are views of.

    Args:
        key: by which the file has its bytes.
        type: of its elements.
        count: how many elements it has.
        offset: where among the elements of the key it begins.
    """

    key: str
    type: ElementType
    count: int
    offset: int = 0


@dataclass(frozen=True)
class TensorView:
    """A tensor as a file describes it; strides and offset in elements, and what its values still lack."""

    storage: Storage
    type: ElementType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    negative: bool = False
    conjugate: bool = False

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def array(self, data: Array, big_endian: bool) -> Array:
        """The tensor's values.

        Args:
            data: the bytes of the storage's key, or those from some offset on.
            big_endian: whether numbers in the file have their highest byte first.
        """
        native = np.dtype(self.type.code)
        code = native.newbyteorder(">" if big_endian else "<")
        if not self.elements:
            array = np.empty(self.shape, native)
        else:
            begin = self.storage.offset * self.storage.type.size
            held = self.storage.count * self.storage.type.size // code.itemsize
            if begin + held * code.itemsize > len(data):
                raise ValueError(f"damaged: storage {self.storage.key[:40]!r} has {len(data)} bytes, more are needed")
            row = data[begin : begin + held * code.itemsize].view(code)[self.offset :]
            strides = [n * code.itemsize for n in self.strides]
            view = np.lib.stride_tricks.as_strided(row, self.shape, strides, writeable=False)
            array = view.astype(native, order="C")
        if self.conjugate:
            array = np.conjugate(array)
        if self.negative:
            array = np.negative(array)
        return bfloat16(array) if self.type.name == "bfloat16" else array


def bfloat16(bits: Array) -> Array:
    """The float32 numbers whose upper halves these are.

    Example:
        >>> bfloat16(np.array([0x3FC0], np.uint16))
        array([1.5], dtype=float32)
    """
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(bits.shape)


def storage_from(entry: Any) -> Storage:
    """The storage of a file's words about it: ("storage", type, key, place, count[, view]).

    Raises:
        ValueError: they are others.
    """
    if not isinstance(entry, tuple) or not entry or entry[0] != "storage":
        what = entry[0] if isinstance(entry, tuple) and entry and isinstance(entry[0], str) else type(entry).__name__
        raise ValueError(f"refused: an object of kind {str(what)[:40]!r} that is kept elsewhere, only storages are")
    if len(entry) not in (5, 6) or not isinstance(entry[1], ElementType) or not isinstance(entry[2], str):
        raise ValueError("damaged: a storage expects a type, a key, a place and a size")
    count = _natural(entry[4], "a storage's size")
    view = entry[5] if len(entry) == 6 else None
    if view is None:
        return Storage(entry[2], entry[1], count)
    if not isinstance(view, tuple) or len(view) != 3:
        raise ValueError("damaged: a part of a storage expects a key, an offset and a size")
    return Storage(entry[2], entry[1], _natural(view[2], "a part's size"), _natural(view[1], "a part's offset"))


def _natural(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise ValueError(f"damaged: {what} expects an integer from 0 on, got {_short(value)}")
    return value


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, int) and abs(value) < 1 << 64 else f"a value of type {type(value).__name__}"


# What files may call


def _tensor(machine: Machine, given: tuple[Any, ...], type: ElementType | None = None) -> TensorView:
    negative, conjugate = _pending(given[6 if type is None else 7 :])
    if len(given) < 4 or not isinstance(given[0], Storage):
        raise ValueError("damaged: a tensor expects a storage, an offset, sizes and strides")
    storage, offset, shape, strides = given[:4]
    if not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides):
        raise ValueError("damaged: a tensor expects a stride for every size")
    if len(shape) > MOST_AXES:
        raise ValueError(f"refused: a tensor of {len(shape)} axes, at most {MOST_AXES} are known")
    sizes = tuple(_natural(n, "a size") for n in shape)
    steps = tuple(_natural(n, "a stride") for n in strides)
    start = _natural(offset, "an offset")
    type = type or storage.type
    held = storage.count * storage.type.size // type.size
    last = start + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if start > held or (0 not in sizes and last >= held):
        raise ValueError(
            f"damaged: a tensor of shape {sizes}, strides {steps} from element {start} on in a storage of {held}"
        )
    if (negative or conjugate) and np.dtype(type.code).kind not in ("fc" if negative else "c"):
        raise ValueError(f"refused: a negated or conjugated view of type {type.name}")
    return TensorView(storage, type, start, sizes, steps, negative, conjugate)


def _pending(rest: tuple[Any, ...]) -> tuple[bool, bool]:
    """Whether a tensor is the negative, and the conjugate, of what its storage holds: PyTorch computes them late."""
    if not rest or rest[0] is None:
        return False, False
    if len(rest) > 1 or not isinstance(rest[0], dict) or not rest[0].keys() <= {"neg", "conj"}:
        raise ValueError("refused: a tensor with unknown properties")
    return rest[0].get("neg") is True, rest[0].get("conj") is True


def _typed_tensor(machine: Machine, given: tuple[Any, ...]) -> TensorView:
    if len(given) < 7 or not isinstance(given[6], ElementType):
        raise ValueError("damaged: a tensor expects a type")
    return _tensor(machine, given, given[6])


def _parameter(machine: Machine, given: tuple[Any, ...]) -> TensorView:
    if not given or not isinstance(given[0], TensorView):
        raise ValueError("damaged: a parameter expects a tensor")
    return given[0]


def _of_type(machine: Machine, given: tuple[Any, ...]) -> Any:
    """A tensor with attributes: they are dropped."""
    if len(given) != 4 or not isinstance(given[0], Call) or given[0] not in _REBUILDS:
        raise ValueError("refused: a tensor that is made in an unknown way")
    return machine.call(given[0], given[2])


def _ordered_dict(machine: Machine, given: tuple[Any, ...]) -> OrderedDict[Any, Any]:
    pairs = given[0] if given else []
    if len(given) > 1 or not isinstance(pairs, (list, tuple)):
        raise ValueError("damaged: an OrderedDict expects a list of pairs")
    machine.spend(len(pairs))
    if any(not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in pairs):
        raise ValueError("damaged: an OrderedDict expects pairs")
    return OrderedDict((as_key(key), value) for key, value in pairs)


def _size(machine: Machine, given: tuple[Any, ...]) -> tuple[int, ...]:
    if len(given) != 1 or not isinstance(given[0], (tuple, list)) or len(given[0]) > MOST_AXES:
        raise ValueError("damaged: torch.Size expects sizes")
    return tuple(_natural(n, "a size") for n in given[0])


def _set(machine: Machine, given: tuple[Any, ...]) -> set[Any]:
    if len(given) != 1 or not isinstance(given[0], (tuple, list)):
        raise ValueError("damaged: a set expects a list")
    machine.spend(len(given[0]))
    return {as_key(value) for value in given[0]}


def _encode(machine: Machine, given: tuple[Any, ...]) -> bytes:
    if len(given) != 2 or not isinstance(given[0], str) or given[1] not in ("latin1", "latin-1", "utf-8"):
        raise ValueError("damaged: _codecs.encode expects text and its encoding")
    machine.spend(len(given[0]))
    return given[0].encode(given[1])


def _device(machine: Machine, given: tuple[Any, ...]) -> str:
    if not 1 <= len(given) <= 2 or not isinstance(given[0], str):
        raise ValueError("damaged: torch.device expects a name")
    return given[0]


_REBUILDS = tuple(
    Call(f"torch._utils.{name}", make)
    for name, make in (
        ("_rebuild_tensor", _tensor),
        ("_rebuild_tensor_v2", _tensor),
        ("_rebuild_tensor_v3", _typed_tensor),
        ("_rebuild_parameter", _parameter),
        ("_rebuild_parameter_with_state", _parameter),
    )
)
_CALLS: dict[str, Callable[[Machine, tuple[Any, ...]], Any]] = {
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _size,
    "torch.device": _device,
    "builtins.set": _set,
    "_codecs.encode": _encode,
}


def known_names() -> Mapping[str, Any]:
    """What a file of weights may name: functions that make tensors and containers, and element types."""
    known: dict[str, Any] = {call.name: call for call in _REBUILDS}
    known |= {name: Call(name, make) for name, make in _CALLS.items()}
    for storage, (name, code) in _TYPES.items():
        for prefix in ("torch.", "torch.cuda.", "torch.storage."):
            known[prefix + storage] = ElementType(name, code)
        known[f"torch.{name}"] = ElementType(name, code)
    known |= {f"torch.{name}": ElementType(name, code) for name, code in _NEWER_TYPES.items()}
    for name in ("torch.storage.UntypedStorage", "torch.UntypedStorage"):
        known[name] = ElementType("uint8", "u1")
    # Classes of tensors: named beside the function that makes one, never called.
    known |= dict.fromkeys(("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter"), "a tensor's class")
    return known


def storage_name(name: str, dtype: np.dtype[Any]) -> str | None:
    """PyTorch's name for the storage of arrays of a type, or None where it keeps them as bytes, telling the type.

    Raises:
        TypeError: it has no such type.

    Example:
        >>> storage_name("fc.weight", np.dtype("f4")), storage_name("mask", np.dtype("u2"))
        ('FloatStorage', None)
    """
    for storage, (known, code) in _TYPES.items():
        if known != "bfloat16" and np.dtype(code) == dtype.newbyteorder("="):
            return storage
    if dtype.name in _NEWER_TYPES:
        return None
    raise TypeError(f"save_torch: {name!r} has type {dtype}, which PyTorch's files do not have")
