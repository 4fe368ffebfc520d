"""Automatic differentiation: the tape that remembers operations and plays them back.

One mechanism serves every gradient in the library. A differentiable function computes its result with NumPy arrays and
hands it to `record` together with its inputs and its vector-Jacobian product. If a `GradientTape` is recording and one
of the inputs is watched, the result becomes a `Tensor` and the tape keeps the product; otherwise nothing is kept.

The tape holds no values itself, only what the products captured, and drops that as the backward pass consumes it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.recorded import Operation, Parameters, VectorJacobianProduct
from cnnfast.structure import arranged_like, leaves
from cnnfast.tensor import ArrayLike, FloatArray, Tensor, Value, Variable, is_float32, to_float32, wrap

__all__ = [
    "ArrayLike",
    "FloatArray",
    "GradientTape",
    "Parameters",
    "Tensor",
    "Value",
    "Variable",
    "VectorJacobianProduct",
    "is_recorded",
    "is_recording",
    "record",
    "stop_gradient",
    "to_float32",
]

# What an array that is a view of another's memory has as its base; the engine's arrays have something else.
_SHARING = (np.ndarray, memoryview)

# Below this many elements NumPy's own loop is quicker than the engine's call.
ENGINE_SIZE = 8192

# What arrives at a target that is one number; copied, which is quicker than made.
_ONE = np.ones((), np.float32)

_VALUES = frozenset({Tensor, Variable})
_trainable = attrgetter("trainable")


class _ActiveTapes(threading.local):
    """The tapes that record on this thread, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[GradientTape] = []


_active = _ActiveTapes()


class GradientTape:
    """Records operations so that gradients can be taken of them (the semantics are TensorFlow's).

    Trainable variables are watched by themselves, tensors when `watch` names them. A tape records what its own thread
    computes. Plain NumPy arrays that take part are not copied: do not change them before the gradient was taken.

    Args:
        persistent: whether `gradient` may be called more than once. A persistent tape keeps every activation until
            it is deleted; others drop each as the backward pass has used it.
        watch_accessed_variables: whether trainable variables are watched by themselves.

    Example:
        >>> import cnnfast
        >>> x, y, z = cnnfast.Tensor(3.0), cnnfast.Tensor(1.0), cnnfast.Tensor(-2.0)
        >>> with cnnfast.GradientTape() as tape:
        ...     tape.watch([x, y, z])
        ...     f = (x + y) * z
        >>> [float(g) for g in tape.gradient(f, [x, y, z])]
        [-2.0, -2.0, 4.0]
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_variables = watch_accessed_variables
        self._nodes: list[Operation] = []
        self._tracked: set[int] = set()
        self._variables: dict[int, Variable] = {}
        self._recording = False
        self._used = False

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise RuntimeError("GradientTape: this tape is already recording")
        if self._used:
            self.reset()
        self._start()
        return self

    def __exit__(self, *exc: object) -> None:
        # A gradient taken inside the block has stopped the recording before.
        if self._recording:
            self._stop()

    def _start(self) -> None:
        self._recording = True
        _active.stack.append(self)

    def _stop(self) -> None:
        self._recording = False
        _active.stack.remove(self)

    def watch(self, tensor: Any) -> None:
        """Follow a tensor or variable, or each in a (nested) list, tuple or dict of them.

        Raises:
            TypeError: for a NumPy array. Its own operators would drop the gradient silently: wrap it in `Tensor`.
        """
        for x in leaves(tensor):
            if not isinstance(x, Value):
                raise TypeError(
                    f"GradientTape.watch: expected a Tensor or Variable, got {type(x).__name__}; "
                    "wrap arrays first: x = cnnfast.Tensor(x)"
                )
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
        """A `with` block in which this tape records nothing.

        Raises:
            RuntimeError: the tape is not recording.
        """
        if not self._recording:
            raise RuntimeError("GradientTape.stop_recording: this tape is not recording")
        self._stop()
        try:
            yield
        finally:
            self._start()

    @property
    def operations(self) -> list[Operation]:
        """What was recorded, in order: for measurements, which may wrap each operation's `vjp`."""
        return self._nodes

    def _follows_any(self, inputs: Sequence[Any]) -> bool:
        """Whether one of the inputs is followed; trainable variables among them are from now on."""
        found = False
        for x in inputs:
            if not isinstance(x, Value):
                continue
            if x._key in self._tracked:
                found = True
            elif self._watch_variables and isinstance(x, Variable) and x.trainable:
                self._tracked.add(x._key)
                self._variables[x._key] = x
                found = True
        return found

    def _follows(self, inputs: Sequence[Any], parameters: Parameters | None) -> bool:
        """`_follows_any` of the inputs and of parameters, which are mostly all trainable."""
        found = self._follows_any(inputs)
        if parameters is None:
            return found
        variables = parameters.variables
        if not self._watch_variables or not all(map(_trainable, variables)):
            return self._follows_any(variables) or found
        self._tracked.update(parameters.keys)
        self._variables.update(parameters.by_key)
        return found or bool(variables)

    def _append(self, node: Operation) -> None:
        self._nodes.append(node)
        self._tracked.add(node.output_key)

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """The gradient of `target` with respect to each of `sources`.

        Inside the `with` block of a tape that is not persistent this ends the recording. The gradient itself is not
        differentiable: taking the gradient of it raises NotImplementedError.

        Args:
            target: a tensor, or a list, tuple or dict of tensors, whose gradients are added up. Not only scalars: the
                elements of a target are summed, unless `output_gradients` weighs them. A NumPy array is taken for a
                constant: nothing is connected to it.
            sources: a tensor or variable, or a (nested) list, tuple or dict of them.
            output_gradients: in the structure of `target`, the gradient that arrives at each (of its shape); ones
                where None.
            unconnected_gradients: what to return for a source that `target` does not depend on: "none" for None,
                "zero" for zeros.

        Returns:
            Tensors of the sources' shapes, in the structure of `sources`.

        Raises:
            NotImplementedError: `target` depends on the result of another `gradient`.
            RuntimeError: the tape is not persistent and was used before, or a variable that took part was overwritten
                by an optimiser.
            TypeError: a source or target is not a tensor or variable.
            ValueError: an output gradient has another shape than its target.

        Example:
            >>> import cnnfast
            >>> x = cnnfast.Tensor([1.0, 2.0])
            >>> with cnnfast.GradientTape() as tape:
            ...     tape.watch(x)
            ...     y = x * x
            >>> tape.gradient(y, x, output_gradients=[1.0, 10.0]).numpy()
            array([ 2., 40.], dtype=float32)
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f"GradientTape.gradient: unconnected_gradients must be 'none' or 'zero', got {unconnected_gradients!r}"
            )
        if self._used:
            raise RuntimeError("GradientTape.gradient: only a persistent tape can be used more than once")
        source_list = _sources(sources)
        targets = _targets(target)
        seeds = _seeds(target, output_gradients)
        self._used = not self._persistent
        if self._recording and not self._persistent:
            self._stop()

        grads = _sum_by_key(targets, seeds)
        # What was not followed is constant, also where it met what was.
        wanted = {x._key for x in source_list} & self._tracked
        self._backward(grads, self._depends_on(wanted), wanted)
        # Another tape may follow what this gradient depends on.
        dependencies = [*targets, *seeds] if _active.stack else None
        zero = unconnected_gradients == "zero"
        found = [_result(grads.get(x._key), x, dependencies, zero) for x in source_list]
        return found if source_list is sources else arranged_like(sources, iter(found))

    def _depends_on(self, source_keys: Iterable[int]) -> set[int]:
        """The keys of the sources and of everything recorded that was computed from them."""
        needed = set(source_keys)
        for node in self._nodes:
            if not needed.isdisjoint(node.input_keys):
                needed.add(node.output_key)
        return needed

    def _backward(self, grads: dict[int, FloatArray], needed: set[int], wanted: set[int]) -> None:
        """Play back: `grads`, by key, starts with the targets' gradients and ends with those `wanted`."""
        for node in reversed(self._nodes) if self._persistent else _consume(self._nodes):
            if node.output_key not in grads or node.output_key not in needed:
                continue
            dy = grads[node.output_key] if node.output_key in wanted else grads.pop(node.output_key)
            for key, gradient in node.played(needed, wanted).gradients(dy, needed):
                grads[key] = _sum(grads[key], gradient) if key in grads else gradient


def _sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """Two gradients that meet; neither is overwritten, for an operation may have handed on what it was given."""
    # Large ones by the engine: on all threads, and into memory that was in use before.
    if a.size >= ENGINE_SIZE and is_float32(a) and is_float32(b):
        return _core.add(a, b)
    return a + b


def _result(gradient: FloatArray | None, source: Value, dependencies: Sequence[Any] | None, zero: bool) -> Any:
    if gradient is None:
        return wrap(np.zeros(source.shape, np.float32)) if zero else None
    if dependencies is None:
        # Only a view can share the source's memory, or what a product handed on.
        whole = gradient is not source._value and not isinstance(gradient.base, _SHARING)
        return wrap(gradient if whole and is_float32(gradient) else _unshared(to_float32(gradient), (source,)))
    return record("gradient", gradient, [source, *dependencies], _no_second_derivative)


def _no_second_derivative(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
    raise NotImplementedError("GradientTape.gradient: gradients of gradients are not supported")


def _consume(nodes: list[Operation]) -> Iterator[Operation]:
    """Take the nodes off the end of the list one by one, so that what each captured is freed after its use."""
    while nodes:
        yield nodes.pop()


def _sources(sources: Any) -> list[Value]:
    if type(sources) is list and _VALUES.issuperset(map(type, sources)):
        return sources
    flat = leaves(sources)
    for x in flat:
        if not isinstance(x, Value):
            raise TypeError(f"GradientTape.gradient: a source must be a Tensor or Variable, got {type(x).__name__}")
    return flat


def _targets(target: Any) -> list[Any]:
    flat = leaves(target)
    for x in flat:
        if not isinstance(x, (Value, np.ndarray, np.generic, float, int)):
            raise TypeError(f"GradientTape.gradient: a target must be a Tensor, got {type(x).__name__}")
    return flat


def _seeds(target: Any, output_gradients: Any) -> list[Any]:
    """What arrives at each target, as the caller gave it: one per leaf of `target`, None for ones."""
    if not isinstance(target, (dict, list, tuple)):
        return [output_gradients]
    if output_gradients is None:
        return [None] * len(leaves(target))
    if isinstance(target, dict):
        if not isinstance(output_gradients, dict) or output_gradients.keys() != target.keys():
            raise ValueError("GradientTape.gradient: output_gradients expects a dict with the keys of target")
        return [seed for key, part in target.items() for seed in _seeds(part, output_gradients[key])]
    if not isinstance(output_gradients, (list, tuple)) or len(output_gradients) != len(target):
        raise ValueError(
            f"GradientTape.gradient: output_gradients expects a list of one per target ({len(target)}), got "
            + (str(len(output_gradients)) if isinstance(output_gradients, (list, tuple)) else "no list")
        )
    return [seed for part, given in zip(target, output_gradients, strict=True) for seed in _seeds(part, given)]


def _sum_by_key(targets: Sequence[Any], seeds: Sequence[Any]) -> dict[int, FloatArray]:
    grads: dict[int, FloatArray] = {}
    for t, seed in zip(targets, seeds, strict=True):
        shape = np.shape(t) if not isinstance(t, Value) else t._value.shape
        if seed is None:
            dy = np.ones(shape, np.float32) if shape else _ONE.copy()
        else:
            # A gradient that passes unchanged to the result must not share the caller's array.
            dy = to_float32(seed, "GradientTape.gradient", "output_gradients").copy()
        if dy.shape != shape:
            raise ValueError(f"GradientTape.gradient: output_gradients expects shape {shape}, got {dy.shape}")
        if isinstance(t, Value):  # a plain array depends on nothing that was watched
            grads[t._key] = grads[t._key] + dy if t._key in grads else dy
    return grads


def is_recording() -> bool:
    """Whether any tape records on this thread."""
    return bool(_active.stack)


def is_recorded(*inputs: Any) -> bool:
    """Whether an operation on these inputs would be recorded: asked by operations that keep more when it is."""
    return any(tape._follows_any(inputs) for tape in _active.stack) if _active.stack else False


def record(
    op: str,
    value: FloatArray,
    inputs: Sequence[Any],
    vjp: VectorJacobianProduct,
    around: tuple[Sequence[Any], VectorJacobianProduct] | None = None,
    parameters: Parameters | None = None,
) -> Any:
    """Hand a result over to the recording tapes.

    Args:
        op: the operation's name, for error messages.
        value: its result, which nobody else writes to.
        inputs: its differentiable inputs, as the caller gave them: arrays, tensors or variables.
        vjp: called with dy (an array of `value`'s shape) and one flag per input that tells whether its gradient is
            wanted; returns one gradient per input, None where it is not.
        around: other inputs, which the only one of `inputs` was made of, and the product for these: the quicker way
            back, taken by a tape that follows the first of them unless the gradient of the input itself is asked for.
        parameters: variables that are inputs too, behind `inputs`, of an operation that the engine computes: neither
            the result nor the gradients share anybody's memory, and the gradients are float32 arrays of the inputs'
            shapes, or None where not wanted.

    Returns:
        A `Tensor` where a tape follows an input or an input is a `Tensor`, else the float32 array.
    """
    array = _unshared(to_float32(value, op, "result"), inputs)
    tapes = [tape for tape in _active.stack if tape._follows(inputs, parameters)]
    if not tapes:
        for x in inputs:
            if isinstance(x, Tensor):
                return wrap(array)
        return array
    output = wrap(array)
    node = Operation(op, inputs, output, vjp, parameters)
    if around is not None:
        node.around = Operation(op, around[0], output, around[1])
    for tape in tapes:
        tape._append(node)
    return output


def _unshared(array: FloatArray, inputs: Sequence[Any]) -> FloatArray:
    """The array, or a copy where it shares a variable's memory, into which an optimiser will write."""
    # Only a view can share memory; what the engine returns is none, its memory is in no other array.
    view = isinstance(array.base, _SHARING)
    for x in inputs:
        if isinstance(x, Variable) and (np.may_share_memory(array, x._value) if view else array is x._value):
            return array.copy()
    return array


def stop_gradient(x: ArrayLike) -> Tensor:
    """The value of `x` as a tensor that no gradient flows through.

    Args:
        x: an array, number, `Tensor` or `Variable` (whose present value is copied).

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> import cnnfast
        >>> x = cnnfast.Tensor(3.0)
        >>> with cnnfast.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * cnnfast.stop_gradient(x)
        >>> float(tape.gradient(y, x))
        3.0
    """
    return wrap(x._value) if isinstance(x, Tensor) else wrap(to_float32(x, "stop_gradient").copy())
