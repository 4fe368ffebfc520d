"""Tensors without values: what layers and operations are called on to describe a model.

A `KerasTensor` knows its shape and the call that would compute it. Whatever asks it for its value raises
`SymbolicArgumentError`, and whoever made that call notes it down instead: layers in `Layer.__call__`, operations of
`cnnfast.ops` in `symbolic_aware`. So a call with values is not slowed down by the question.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from cnnfast.structure import arranged_like, leaves, map_leaves

Shape = tuple[int | None, ...]


class SymbolicArgumentError(TypeError):
    """A value was asked for where there is a description only."""


class KerasTensor:
    """The description of an array that a model will compute: its shape, the batch first, None where a size is open.

    `Input` and layers called on such tensors return them; the functions of `cnnfast.ops` and the operators `+`, `@`,
    indexing, ... take them too.

    Args:
        shape: the sizes, the batch first.
        dtype: the type of its elements: "float32", "bool" or that of whole numbers.
        name: unique where models look inputs up by it.

    Example:
        >>> from cnnfast import layers
        >>> layers.Dense(4)(layers.Input((3,))).shape
        (None, 4)
    """

    __slots__ = ("__weakref__", "dtype", "index", "name", "node", "shape")
    __array_ufunc__ = None  # NumPy's arrays leave their operators to this class

    if TYPE_CHECKING:

        def __add__(self, other: Any) -> Any: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __neg__(self) -> Any: ...

        reshape: Callable[..., Any]
        squeeze: Callable[..., Any]

    def __init__(self, shape: Shape, dtype: str = "float32", name: str | None = None) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name or "keras_tensor"
        self.node: Node | None = None
        self.index = 0

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def _refuse(self, what: str) -> NoReturn:
        raise SymbolicArgumentError(
            f"{self!r} describes an array and holds no values, so {what}; compute with layers and cnnfast.ops, or put "
            "other code into a Layer's call()"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("NumPy cannot compute with it")

    def __bool__(self) -> bool:
        self._refuse("it is neither true nor false")

    def __len__(self) -> int:
        self._refuse("it has no length; its shape has")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("it cannot be iterated over")

    def __float__(self) -> float:
        self._refuse("it is no number")

    __int__: Any = __float__


class Node:
    """One call of a layer on symbolic tensors.

    Args:
        layer: what was called.
        args: its positional arguments, with `KerasTensor`s among them.
        kwargs: its keyword arguments.
        outputs: the tensors it returned, which belong to this node from now on.
    """

    __slots__ = ("args", "kwargs", "layer", "outputs")

    def __init__(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        self.layer, self.args, self.kwargs, self.outputs = layer, args, kwargs, outputs
        for index, tensor in enumerate(leaves(outputs)):
            tensor.node, tensor.index = self, index
        layer._inbound_nodes.append(self)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors among the arguments."""
        return [leaf for leaf in leaves([self.args, self.kwargs]) if isinstance(leaf, KerasTensor)]


def has_symbolic(structure: Any) -> bool:
    """Whether there is a `KerasTensor` somewhere in nested arguments.

    Example:
        >>> has_symbolic([1, {"x": KerasTensor((None, 3))}])
        True
    """
    return any(isinstance(leaf, KerasTensor) for leaf in leaves(structure))


def shapes_of(structure: Any) -> Any:
    """The shapes of tensors or arrays, in their structure.

    Example:
        >>> shapes_of([KerasTensor((None, 3)), KerasTensor((None, 4))])
        [(None, 3), (None, 4)]
    """
    return map_leaves(lambda leaf: tuple(leaf.shape), structure)


def is_shape(value: Any) -> bool:
    """Whether a value is one shape rather than a structure of several.

    Example:
        >>> is_shape((None, 3)), is_shape([(None, 3)])
        (True, False)
    """
    return isinstance(value, (tuple, list)) and all(n is None or isinstance(n, int) for n in value)


def described(shapes: Any) -> Any:
    """New tensors of these shapes, in their structure.

    Example:
        >>> described([(None, 2), (None, 3)])[1].shape
        (None, 3)
    """
    if is_shape(shapes):
        return KerasTensor(tuple(shapes))
    if isinstance(shapes, dict):
        return {key: described(part) for key, part in shapes.items()}
    parts = [described(part) for part in shapes]
    return parts if isinstance(shapes, list) else tuple(parts)


# What stands for sizes that are not fixed when a function is tried out: of the batch, of other axes. The outputs' sizes
# that differ between two trials are open too. The later pairs are for functions that divide an axis into parts.
_TRIAL_SIZES = (2, 64), (3, 96), (4, 60), (6, 90), (10, 70), (12, 72), (14, 84)


def tried(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """New tensors like those that a function returns for symbolic arguments, found by calling it.

    It is called with zeros and with ones of the arguments' types: sizes that differ depend on values and are open.

    Raises:
        ValueError: how many tensors it returns depends on a size that is open, or on values.

    Example:
        >>> tried(lambda x: x[:, :2] > 0.5, (KerasTensor((None, 5)),), {})
        <KerasTensor shape=(None, 2), dtype=bool, name=keras_tensor>
    """
    given = [leaf for leaf in leaves([args, kwargs]) if isinstance(leaf, KerasTensor)]
    wanted = 2 if any(None in leaf.shape for leaf in given) else 1
    results, error = [], None
    for batch, size in _TRIAL_SIZES:
        try:
            results.append(_called(function, args, kwargs, batch, size, 0))
        except (ValueError, TypeError, IndexError) as found:
            error = error or found
            continue
        if len(results) == wanted:
            break
    if len(results) < wanted:
        assert error is not None
        raise error
    with contextlib.suppress(ValueError, TypeError, IndexError):
        results.append(_called(function, args, kwargs, batch, size, 1))
    first, *others = [[np.asarray(leaf) for leaf in leaves(result)] for result in results]
    if any(len(other) != len(first) for other in others):
        raise ValueError(
            f"{_named(function)}: how many tensors it returns depends on a size that is open, or on values"
        )
    tensors = []
    for number, array in enumerate(first):
        same = [other[number] for other in others]
        if any(other.ndim != array.ndim for other in same):
            raise ValueError(f"{_named(function)}: how many axes its result has depends on values")
        sizes = [n if all(o.shape[i] == n for o in same) else None for i, n in enumerate(array.shape)]
        tensors.append(KerasTensor(tuple(sizes), array.dtype.name))
    return arranged_like(results[0], iter(tensors))


def _named(function: Any) -> str:
    return str(getattr(function, "name", None) or getattr(function, "__name__", "a function"))


def _called(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], batch: int, size: int, value: int
) -> Any:
    """A function's result for arrays in place of tensors, all of one value."""

    def filled(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return leaf
        sizes = [n if n is not None else size if i else batch for i, n in enumerate(leaf.shape)]
        return np.full(sizes, value, leaf.dtype)

    return function(*map_leaves(filled, args), **map_leaves(filled, kwargs))


_Function = TypeVar("_Function", bound=Callable[..., Any])


# Makes a layer of an operation's name; given by the module of layers, which is above this one.
_layer_for: Callable[[str], Any] | None = None


def note_operations_with(layer_for: Callable[[str], Any]) -> None:
    """Set what makes a layer of an operation, given its name."""
    global _layer_for
    _layer_for = layer_for


def symbolic_aware(function: _Function, name: str | None = None) -> _Function:
    """Let an operation take symbolic tensors: it is noted down as a layer of that name (its own if None) then."""

    @functools.wraps(function)
    def operation(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except SymbolicArgumentError:
            if _layer_for is None:
                raise
            return _layer_for(name or function.__name__)(*args, **kwargs)

    return operation  # type: ignore[return-value]
