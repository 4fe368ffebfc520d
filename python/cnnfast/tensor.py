"""Values: the float32 arrays that gradients can be taken of.

`Tensor` is immutable, `Variable` can be assigned to. Both read as NumPy arrays; their operators and the way NumPy's own
functions act on them come from `cnnfast.ops`, which knows the gradients.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeGuard, Union

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ArrayLike = Union["Value", npt.ArrayLike]

_keys = itertools.count(1)


_FLOAT32 = np.dtype(np.float32)


def is_float32(x: Any) -> TypeGuard[FloatArray]:
    """Whether `x` is what the engine takes as it is: a C-contiguous, aligned float32 array of NumPy's own class."""
    # Asked at every operation, so the quickest questions: there is one dtype object for native float32.
    return type(x) is np.ndarray and x.dtype is _FLOAT32 and x.flags.c_contiguous and x.flags.aligned


def to_float32(x: Any, op: str = "array", name: str = "x") -> FloatArray:
    """Return `x` as a C-contiguous, aligned float32 array, without a copy where it already is one.

    Booleans, integers and floats of every width are converted; anything else (complex numbers, text, objects) is
    refused because its conversion would lose something, and so is a list of tensors, whose gradients it would lose.

    Args:
        x: an array, a `Tensor`, a `Variable`, a number or a nested list of numbers.
        op: the operation that asks, for the error message.
        name: the argument's name, for the error message.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> to_float32([1, 2])
        array([1., 2.], dtype=float32)
    """
    if isinstance(x, Value):
        return x._value
    if is_float32(x):
        return x
    if isinstance(x, (list, tuple)) and _holds_values(x):
        raise TypeError(f"{op}: {name} is a list of tensors; join them first: cnnfast.ops.stack or concatenate")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise TypeError(f"{op}: {name} must be an array of real numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{op}: {name} must be an array of real numbers, got {_described(x, array)}")
    # A float64 past float32's range becomes infinite, as IEEE says; that is no reason for a warning.
    with np.errstate(over="ignore"):
        converted = np.require(array, np.float32, ["C_CONTIGUOUS", "ALIGNED"])
    return converted.view(np.ndarray)


def _holds_values(items: Any) -> bool:
    return any(isinstance(x, Value) or (isinstance(x, (list, tuple)) and _holds_values(x)) for x in items)


def _described(x: Any, array: npt.NDArray[Any]) -> str:
    """What the caller gave: the dtype of an array, the type of what is none."""
    return f"dtype {array.dtype}" if array.dtype != object or isinstance(x, np.ndarray) else type(x).__name__


if TYPE_CHECKING:

    class _Operators:
        """What cnnfast.ops.operators and cnnfast.ops.numpy_protocol install on `Value`."""

        __array_ufunc__: Callable[..., Any]
        __array_function__: Callable[..., Any]

        def __add__(self, other: ArrayLike) -> Any: ...
        def __radd__(self, other: ArrayLike) -> Any: ...
        def __sub__(self, other: ArrayLike) -> Any: ...
        def __rsub__(self, other: ArrayLike) -> Any: ...
        def __mul__(self, other: ArrayLike) -> Any: ...
        def __rmul__(self, other: ArrayLike) -> Any: ...
        def __truediv__(self, other: ArrayLike) -> Any: ...
        def __rtruediv__(self, other: ArrayLike) -> Any: ...
        def __pow__(self, other: ArrayLike) -> Any: ...
        def __rpow__(self, other: ArrayLike) -> Any: ...
        def __mod__(self, other: ArrayLike) -> Any: ...
        def __rmod__(self, other: ArrayLike) -> Any: ...
        def __floordiv__(self, other: ArrayLike) -> Any: ...
        def __rfloordiv__(self, other: ArrayLike) -> Any: ...
        def __matmul__(self, other: ArrayLike) -> Any: ...
        def __rmatmul__(self, other: ArrayLike) -> Any: ...
        def __neg__(self) -> Any: ...
        def __pos__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __lt__(self, other: ArrayLike) -> npt.NDArray[np.bool_]: ...
        def __le__(self, other: ArrayLike) -> npt.NDArray[np.bool_]: ...
        def __gt__(self, other: ArrayLike) -> npt.NDArray[np.bool_]: ...
        def __ge__(self, other: ArrayLike) -> npt.NDArray[np.bool_]: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __iter__(self) -> Iterator[Any]: ...
        def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any: ...
        def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any: ...
        def max(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any: ...
        def min(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any: ...
        def reshape(self, *shape: Any) -> Any: ...
        def transpose(self, *axes: Any) -> Any: ...
        @property
        def T(self) -> Any: ...  # noqa: N802 (NumPy's name)

else:
    _Operators = object


class Value(_Operators):
    """What `Tensor` and `Variable` share: a float32 array, its description, and NumPy's view of it.

    Operators (`+`, `@`, indexing, ...) are installed by `cnnfast.ops.operators`.
    """

    __slots__ = ()

    _value: FloatArray
    _key: int

    # `==` compares elements; as a key of a dictionary a value stands for itself.
    __hash__ = object.__hash__

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float32."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._value.size

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError(f"len() of a {type(self).__name__} without axes")
        return len(self._value)

    def item(self) -> float:
        """The value of a one-element tensor as a Python float.

        Raises:
            TypeError: there is not exactly one element.
        """
        if self.size != 1:
            raise TypeError(f"only a tensor of one element is a number, this one has shape {self.shape}")
        return float(self._value.item())

    def __float__(self) -> float:
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)


class Activated(NamedTuple):
    """How an operation made a tensor: activation `kind` with its `alpha`, of `linear` plus `bias`.

    `linear` stands for what was never stored: only the tape knows it, by its key.
    """

    kind: str
    alpha: float
    linear: Tensor
    bias: ArrayLike | None


class Tensor(Value):
    """An immutable float32 array that a `GradientTape` can follow.

    Arithmetic, indexing, reductions and every function in `cnnfast.ops` accept it beside NumPy arrays and return
    tensors for it; so do NumPy's own functions where the gradient can follow (`np.exp`, `np.sum`), and the others raise
    TypeError instead of losing the gradient. `np.asarray(tensor)` and `tensor.numpy()` read the value.

    Args:
        value: anything `numpy.asarray` takes that is made of real numbers; copied and converted to float32.

    Raises:
        TypeError: `value` is not made of real numbers, or is a tensor or variable, whose gradient would be lost.

    Example:
        >>> import cnnfast
        >>> x = cnnfast.Tensor(3.0)
        >>> with cnnfast.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> float(tape.gradient(y, x))
        6.0
    """

    # Set by who knows them only: `_logits`, what a softmax was made of, and `_moments`, the mean and the biased
    # variance over every axis but the last.
    __slots__ = ("__weakref__", "_activated", "_key", "_logits", "_moments", "_value")

    _logits: ArrayLike
    _moments: tuple[FloatArray, FloatArray]

    def __init__(self, value: ArrayLike) -> None:
        if isinstance(value, Value):
            raise TypeError(
                f"Tensor: value is a {type(value).__name__} already, a copy would lose its gradient; "
                "use convert_to_tensor(x) to keep it or stop_gradient(x) to stop it"
            )
        # A copy: what the caller may still write to must not be the tensor's own memory.
        self._value = to_float32(value, "Tensor", "value").copy()
        self._key = next(_keys)
        self._activated: Activated | None = None

    def numpy(self) -> FloatArray:
        """The value as a NumPy array (a read-only view; copy it to change it)."""
        view = self._value.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return _as_array(self.numpy(), dtype, copy)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(
            "a Tensor cannot be changed in place: the gradient could not follow; "
            "build a new one with cnnfast.ops.where, concatenate or stack"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Tensor, (self._value,)

    def __repr__(self) -> str:
        return f"Tensor(shape={self.shape}, value={np.array2string(self._value, threshold=20)})"


class Variable(Value):
    """A named float32 array that can be assigned to; layers keep their weights in these.

    A trainable variable is watched by every recording tape that it meets.

    Args:
        value: the initial value.
        trainable: whether optimisers change it.
        name: shown in summaries and error messages.

    Attributes:
        constraint: None, or a function that optimisers apply to the value after every step.
        learning_rate_multiplier: optimisers multiply their learning rate by it for this variable.

    Raises:
        TypeError: `value` is not made of real numbers.

    Example:
        >>> import cnnfast
        >>> v = cnnfast.Variable([1.0, 2.0], name="v")
        >>> v.assign([3.0, 4.0]).numpy()
        array([3., 4.], dtype=float32)
    """

    __slots__ = (
        "__weakref__",
        "_changes",
        "_key",
        "_regularizer",
        "_value",
        "_version",
        "constraint",
        "learning_rate_multiplier",
        "name",
        "trainable",
    )

    # Whether any variable ever had a regularizer: where none had, nobody needs to look for them at every step.
    any_regularized = False

    def __init__(self, value: ArrayLike, trainable: bool = True, name: str = "variable") -> None:
        self._value = to_float32(value, "Variable", "value").copy()
        self._key = next(_keys)
        self._version = 0
        self._changes = 0
        self.trainable = trainable
        self.name = name
        self.constraint: Callable[[Any], Any] | None = None
        self._regularizer: Callable[[Any], Any] | None = None
        self.learning_rate_multiplier = 1.0

    @property
    def regularizer(self) -> Callable[[Any], Any] | None:
        """None, or a function whose result is a penalty on the value."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, function: Callable[[Any], Any] | None) -> None:
        self._regularizer = function
        if function is not None:
            Variable.any_regularized = True

    def numpy(self) -> FloatArray:
        """A copy of the value: later assignments and optimiser steps do not change it."""
        return self._value.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        # Optimisers write into the array itself, so a reader gets a copy unless it insists on none.
        return _as_array(self._value, dtype, True if copy is None else copy)

    def assign(self, value: ArrayLike) -> Variable:
        """Replace the value.

        Args:
            value: real numbers of the variable's shape.

        Returns:
            The variable itself.

        Raises:
            ValueError: the new value has another shape.
        """
        array = to_float32(value, f"Variable {self.name}", "value")
        if array.shape != self.shape:
            raise ValueError(f"Variable {self.name}: expected a value of shape {self.shape}, got {array.shape}")
        # A new array: what a tape captured before stays what it was.
        self._value = array.copy()
        self._changes += 1
        return self

    def assign_add(self, delta: ArrayLike) -> Variable:
        """Add `delta`, which may broadcast, to the value."""
        return self.assign(self._value + to_float32(delta, f"Variable {self.name}", "delta"))

    def assign_sub(self, delta: ArrayLike) -> Variable:
        """Subtract `delta`, which may broadcast, from the value."""
        return self.assign(self._value - to_float32(delta, f"Variable {self.name}", "delta"))

    def updated_in_place(self) -> FloatArray:
        """The array itself, which was or is about to be overwritten; tapes that captured it notice."""
        self._version += 1
        self._changes += 1
        return self._value

    @contextmanager
    def overwritten(self) -> Iterator[FloatArray]:
        """A block that overwrites the array itself: tapes that captured it, and what was made of it, notice at its end.

        Not before: what another thread made of half of the new values would seem to be up to date.
        """
        try:
            yield self._value
        finally:
            self.updated_in_place()

    @property
    def changes(self) -> int:
        """How often the value was replaced or overwritten: what was computed from it is stale when this differs."""
        return self._changes

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(
            f"Variable {self.name} cannot be changed by item: a gradient that was recorded would be wrong; "
            "change a copy (variable.numpy()) and assign it"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Not slot by slot: a copy is another variable to a tape, with a key of its own.
        attached = {name: getattr(self, name) for name in ("constraint", "regularizer", "learning_rate_multiplier")}
        return Variable, (self._value, self.trainable, self.name), (None, attached)

    def __repr__(self) -> str:
        return f"Variable(name={self.name!r}, shape={self.shape}, trainable={self.trainable})"


def _as_array(array: FloatArray, dtype: Any, copy: bool | None) -> npt.NDArray[Any]:
    if dtype is not None and np.dtype(dtype) != array.dtype:
        if copy is False:
            raise ValueError(f"a float32 value cannot be seen as {np.dtype(dtype)} without a copy")
        return array.astype(dtype)
    if copy:
        return array.copy()
    view = array.view()
    view.flags.writeable = False
    return view


def wrap(array: FloatArray) -> Tensor:
    """A tensor around a float32 C-contiguous array that nobody else writes to, without a copy."""
    tensor = Tensor.__new__(Tensor)
    tensor._value = array
    tensor._key = next(_keys)
    tensor._activated = None
    return tensor
