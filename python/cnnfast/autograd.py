"""Automatic differentiation: values that remember, and the tape that plays back.

One mechanism serves every gradient in the library. A differentiable function computes its result with NumPy arrays and
hands it to `record` together with its inputs and its vector-Jacobian product. If a `GradientTape` is recording and one
of the inputs is watched, the result becomes a `Tensor` and the tape keeps the product; otherwise nothing is kept.

The tape holds no values itself, only what the products captured, and drops that as the backward pass consumes it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Union

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ArrayLike = Union["Tensor", "Variable", npt.ArrayLike]
# Called with dy and with one flag per input; returns one gradient per input, None where the flag is False.
VectorJacobianProduct = Callable[[FloatArray, Sequence[bool]], Sequence["FloatArray | None"]]

_keys = itertools.count(1)


def to_float32(x: Any, op: str = "array", name: str = "x") -> FloatArray:
    """Return `x` as a C-contiguous, aligned float32 array, without a copy where it already is one.

    Booleans, integers and floats of every width are converted; anything else (complex numbers, text, objects) is
    refused because its conversion would lose something.

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
    if isinstance(x, (Tensor, Variable)):
        return x._value
    if type(x) is np.ndarray and x.dtype == np.float32 and x.flags.c_contiguous and x.flags.aligned:
        return x
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise TypeError(f"{op}: {name} must be an array of real numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{op}: {name} must be an array of real numbers, got dtype {array.dtype}")
    # A float64 past float32's range becomes infinite, as IEEE says; that is no reason for a warning.
    with np.errstate(over="ignore"):
        converted = np.require(array, np.float32, ["C_CONTIGUOUS", "ALIGNED"])
    return converted.view(np.ndarray)


class _Value:
    """What `Tensor` and `Variable` share: a float32 array, its description, and NumPy's view of it.

    Operators (`+`, `@`, indexing, ...) are added by `cnnfast.ops.math`, which knows their gradients.
    """

    __slots__ = ()

    _value: FloatArray
    _key: int

    # NumPy must not treat these as objects in its own operators: `ndarray + tensor` calls Tensor.__radd__.
    __array_priority__ = 1000

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._value.dtype

    @property
    def ndim(self) -> int:
        return self._value.ndim

    @property
    def size(self) -> int:
        return self._value.size

    def numpy(self) -> FloatArray:
        """The value as a NumPy array (a read-only view; copy it to change it)."""
        view = self._value.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if dtype is not None and np.dtype(dtype) != self._value.dtype:
            if copy is False:
                raise ValueError(f"a float32 value cannot be seen as {np.dtype(dtype)} without a copy")
            return self._value.astype(dtype)
        return self._value.copy() if copy else self.numpy()

    def __len__(self) -> int:
        return len(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def item(self) -> float:
        """The value of a one-element array as a Python float."""
        return float(self._value.item())


class Tensor(_Value):
    """An immutable float32 array that a `GradientTape` can follow.

    Arithmetic, indexing, reductions and every function in `cnnfast.ops` accept it beside NumPy arrays and return
    tensors for it; `np.asarray(tensor)` and `tensor.numpy()` read it.

    Args:
        value: anything `numpy.asarray` takes that is made of real numbers; converted to float32.

    Raises:
        TypeError: `value` is not made of real numbers.

    Example:
        >>> x = Tensor(3.0)
        >>> with GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> float(tape.gradient(y, x))
        6.0
    """

    __slots__ = ("__weakref__", "_key", "_value")

    def __init__(self, value: ArrayLike) -> None:
        self._value = to_float32(value, "Tensor", "value")
        self._key = next(_keys)

    def __repr__(self) -> str:
        return f"Tensor(shape={self.shape}, value={np.array2string(self._value, threshold=20)})"


class Variable(_Value):
    """A named float32 array that can be assigned to; layers keep their weights in these.

    A trainable variable is watched by every recording tape that it meets.

    Args:
        value: the initial value.
        trainable: whether optimisers change it.
        name: shown in summaries and error messages.

    Example:
        >>> v = Variable([1.0, 2.0], name="v")
        >>> v.assign([3.0, 4.0]).numpy()
        array([3., 4.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_key", "_value", "_version", "name", "trainable")

    def __init__(self, value: ArrayLike, trainable: bool = True, name: str = "variable") -> None:
        self._value = to_float32(value, "Variable", "value").copy()
        self._key = next(_keys)
        self._version = 0
        self.trainable = trainable
        self.name = name

    def assign(self, value: ArrayLike) -> Variable:
        """Replace the value.

        Raises:
            ValueError: the new value has another shape.
        """
        array = to_float32(value, f"Variable {self.name}", "value")
        if array.shape != self.shape:
            raise ValueError(f"Variable {self.name}: expected a value of shape {self.shape}, got {array.shape}")
        # A new array: what a tape captured before stays what it was.
        self._value = array.copy()
        return self

    def assign_add(self, delta: ArrayLike) -> Variable:
        """Add `delta` to the value."""
        return self.assign(self._value + to_float32(delta, f"Variable {self.name}", "delta"))

    def assign_sub(self, delta: ArrayLike) -> Variable:
        """Subtract `delta` from the value."""
        return self.assign(self._value - to_float32(delta, f"Variable {self.name}", "delta"))

    def updated_in_place(self) -> FloatArray:
        """The array itself, for an optimiser that is about to overwrite it; tapes that captured it notice."""
        self._version += 1
        return self._value

    def __repr__(self) -> str:
        return f"Variable(name={self.name!r}, shape={self.shape}, trainable={self.trainable})"


class _Node:
    """One recorded operation."""

    __slots__ = ("input_keys", "op", "output_key", "variables", "vjp")

    def __init__(
        self, op: str, inputs: Sequence[Any], output: Tensor, vjp: VectorJacobianProduct
    ) -> None:
        self.op = op
        self.input_keys = [x._key if isinstance(x, _Value) else 0 for x in inputs]
        self.output_key = output._key
        self.variables = [(x, x._version) for x in inputs if isinstance(x, Variable)]
        self.vjp = vjp

    def gradients(self, dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        for variable, version in self.variables:
            if variable._version != version:
                raise RuntimeError(
                    f"{self.op}: {variable.name} was overwritten by an optimizer after this operation was recorded; "
                    "take the gradient first"
                )
        return self.vjp(dy, needs)


class _ActiveTapes(threading.local):
    def __init__(self) -> None:
        self.stack: list[GradientTape] = []


_active = _ActiveTapes()


class GradientTape:
    """Records operations so that gradients can be taken of them (the semantics are TensorFlow's).

    Trainable variables are watched by themselves, tensors when `watch` names them.

    Args:
        persistent: whether `gradient` may be called more than once. A persistent tape keeps every activation until
            it is deleted; others drop each as the backward pass has used it.
        watch_accessed_variables: whether trainable variables are watched by themselves.

    Example:
        >>> x, y, z = Tensor(3.0), Tensor(1.0), Tensor(-2.0)
        >>> with GradientTape() as tape:
        ...     tape.watch([x, y, z])
        ...     f = (x + y) * z
        >>> [float(g) for g in tape.gradient(f, [x, y, z])]
        [-2.0, -2.0, 4.0]
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_variables = watch_accessed_variables
        self._nodes: list[_Node] = []
        self._tracked: set[int] = set()
        self._variables: dict[int, Variable] = {}
        self._recording = False
        self._used = False

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise RuntimeError("GradientTape: this tape is already recording")
        self._recording = True
        _active.stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self._recording = False
        _active.stack.remove(self)

    def watch(self, tensor: Any) -> None:
        """Follow a tensor or variable, or each in a list of them.

        Raises:
            TypeError: for a NumPy array. Its own operators would drop the gradient silently: wrap it in `Tensor`.
        """
        for x in tensor if isinstance(tensor, (list, tuple)) else [tensor]:
            if isinstance(x, (list, tuple)):
                self.watch(x)
            elif not isinstance(x, _Value):
                raise TypeError(
                    f"GradientTape.watch: expected a Tensor or Variable, got {type(x).__name__}; "
                    "wrap arrays first: x = cnnfast.Tensor(x)"
                )
            else:
                self._tracked.add(x._key)
                if isinstance(x, Variable):
                    self._variables[x._key] = x

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables that this tape has followed, in the order it met them."""
        return tuple(self._variables.values())

    def reset(self) -> None:
        """Forget everything recorded and watched."""
        self._nodes.clear()
        self._tracked.clear()
        self._variables.clear()
        self._used = False

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """A `with` block in which this tape records nothing."""
        if not self._recording:
            raise RuntimeError("GradientTape.stop_recording: this tape is not recording")
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _follows(self, x: Any) -> bool:
        if not isinstance(x, _Value):
            return False
        if x._key in self._tracked:
            return True
        if isinstance(x, Variable) and x.trainable and self._watch_variables:
            self.watch(x)
            return True
        return False

    def _append(self, node: _Node) -> None:
        self._nodes.append(node)
        self._tracked.add(node.output_key)

    def gradient(self, target: Any, sources: Any, output_gradients: Any = None) -> Any:
        """The gradient of `target` with respect to each of `sources`.

        Args:
            target: a tensor or a list of tensors, whose gradients are added up. Not only scalars: the elements of a
                target are summed, unless `output_gradients` weighs them.
            sources: a tensor or variable, or a list, tuple or dict of them.
            output_gradients: for each target, the gradient that arrives at it; ones by default.

        Returns:
            float32 arrays of the sources' shapes, in the structure of `sources`; None for a source that `target` does
            not depend on.

        Raises:
            RuntimeError: the tape is not persistent and was used before.
            TypeError: a source is not a tensor or variable.
            ValueError: an output gradient has another shape than its target.
        """
        if self._used:
            raise RuntimeError("GradientTape.gradient: only a persistent tape can be used more than once")
        source_list = _flatten_sources(sources)
        grads = _seed_gradients(target, output_gradients)
        needed = self._depends_on(x._key for x in source_list)
        wanted = {x._key for x in source_list}
        self._used = not self._persistent
        if self._recording and not self._persistent:
            with self.stop_recording():
                self._backward(grads, needed, wanted)
        else:
            self._backward(grads, needed, wanted)
        found = [self._result(grads.get(x._key), x, target) for x in source_list]
        return _like_sources(sources, found)

    def _depends_on(self, source_keys: Iterator[int]) -> set[int]:
        """The keys of the sources and of everything recorded that was computed from them."""
        needed = set(source_keys)
        for node in self._nodes:
            if not needed.isdisjoint(node.input_keys):
                needed.add(node.output_key)
        return needed

    def _backward(self, grads: dict[int, FloatArray], needed: set[int], wanted: set[int]) -> None:
        nodes = self._nodes if self._persistent else _consume(self._nodes)
        for node in reversed(nodes) if self._persistent else nodes:
            if node.output_key not in grads or node.output_key not in needed:
                continue
            dy = grads[node.output_key] if node.output_key in wanted else grads.pop(node.output_key)
            needs = [key in needed for key in node.input_keys]
            for key, gradient in zip(node.input_keys, node.gradients(dy, needs), strict=True):
                if gradient is not None and key in needed:
                    grads[key] = grads[key] + gradient if key in grads else gradient

    def _result(self, gradient: FloatArray | None, source: _Value, target: Any) -> Any:
        if gradient is None:
            return None
        # A variable's gradient belongs to the caller alone; products may have handed out one array twice.
        gradient = np.ascontiguousarray(gradient, np.float32).reshape(source.shape)
        return record("gradient", gradient, [source, *_as_list(target)], _no_second_derivative)


def _no_second_derivative(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
    raise NotImplementedError("gradients of gradients are not supported: the inner gradient is not differentiable")


def _consume(nodes: list[_Node]) -> Iterator[_Node]:
    """Take the nodes off the end of the list one by one, so that what each captured is freed after its use."""
    while nodes:
        yield nodes.pop()


def _as_list(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def _flatten_sources(sources: Any) -> list[_Value]:
    flat = list(sources.values()) if isinstance(sources, dict) else _as_list(sources)
    for x in flat:
        if not isinstance(x, _Value):
            raise TypeError(f"GradientTape.gradient: a source must be a Tensor or Variable, got {type(x).__name__}")
    return flat


def _like_sources(sources: Any, values: list[Any]) -> Any:
    if isinstance(sources, dict):
        return dict(zip(sources, values, strict=True))
    if isinstance(sources, (list, tuple)):
        return type(sources)(values) if type(sources) in (list, tuple) else list(values)
    return values[0]


def _seed_gradients(target: Any, output_gradients: Any) -> dict[int, FloatArray]:
    targets = _as_list(target)
    seeds = [None] * len(targets) if output_gradients is None else _as_list(output_gradients)
    if len(seeds) != len(targets):
        raise ValueError(
            f"GradientTape.gradient: output_gradients expects one per target ({len(targets)}), got {len(seeds)}"
        )
    grads: dict[int, FloatArray] = {}
    for t, seed in zip(targets, seeds, strict=True):
        if not isinstance(t, _Value):
            continue  # a plain array depends on nothing that was watched
        dy = np.ones(t.shape, np.float32) if seed is None else to_float32(seed, "gradient", "output_gradients")
        if dy.shape != t.shape:
            raise ValueError(f"GradientTape.gradient: output_gradients expects shape {t.shape}, got {dy.shape}")
        grads[t._key] = grads[t._key] + dy if t._key in grads else dy
    return grads


def is_recorded(*inputs: Any) -> bool:
    """Whether an operation on these inputs would be recorded: asked by operations that keep more when it is."""
    return any(tape._follows(x) for tape in _active.stack for x in inputs)


def record(op: str, value: FloatArray, inputs: Sequence[Any], vjp: VectorJacobianProduct) -> Any:
    """Hand a result over to the recording tapes.

    Args:
        op: the operation's name, for error messages.
        value: its result.
        inputs: its differentiable inputs, as the caller gave them: arrays, tensors or variables.
        vjp: called with dy (an array of `value`'s shape) and one flag per input that tells whether its gradient is
            wanted; returns one gradient per input, None where it is not.

    Returns:
        A `Tensor` where a tape follows an input or an input is a `Tensor`, else `value` itself.
    """
    tapes = [tape for tape in _active.stack if any([tape._follows(x) for x in inputs])]
    if not tapes and not any(isinstance(x, Tensor) for x in inputs):
        return value
    output = Tensor(value)
    if tapes:
        node = _Node(op, inputs, output, vjp)
        for tape in tapes:
            tape._append(node)
    return output


def stop_gradient(x: ArrayLike) -> Tensor:
    """The value of `x` as a tensor that no gradient flows through.

    Example:
        >>> x = Tensor(3.0)
        >>> with GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * stop_gradient(x)
        >>> float(tape.gradient(y, x))
        3.0
    """
    return Tensor(to_float32(x, "stop_gradient"))
