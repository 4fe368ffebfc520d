"""Layers of several inputs that are combined element by element, and the same as functions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from cnnfast import ops
from cnnfast.layers.base import Layer
from cnnfast.symbolic import Shape, is_shape


def input_shapes(owner: str, shapes: Any, least: int = 1) -> list[Shape]:
    """The shapes of a layer's several inputs.

    Raises:
        ValueError: there is a single input, or there are fewer than `least`, or their batches differ.

    Example:
        >>> input_shapes("Add", [(None, 3), (None, 3)])
        [(None, 3), (None, 3)]
    """
    if not isinstance(shapes, (list, tuple)) or is_shape(shapes):
        raise ValueError(f"{owner} expects a list of inputs, got one of shape {shapes}")
    found = [tuple(shape) for shape in shapes]
    if len(found) < least:
        raise ValueError(f"{owner} expects at least {least} input{'s' * (least > 1)}, got {len(found)}")
    if len({shape[0] for shape in found if shape} - {None}) > 1:
        raise ValueError(f"{owner} expects inputs of one batch size, got shapes {found}")
    return found


def broadcast_shape(owner: str, first: Shape, second: Shape) -> Shape:
    """The shape of two examples combined element by element; sizes that are open stay so unless the other tells them.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> broadcast_shape("Add", (None, 1, 3), (4, 3))
        (None, 4, 3)
    """
    if len(first) < len(second):
        first, second = second, first
    sizes = list(first)
    for i, n in enumerate(second, len(first) - len(second)):
        m = sizes[i]
        if m is not None and n is not None and m != n and 1 not in (m, n):
            raise ValueError(f"{owner}: shapes of examples {first} and {second} do not broadcast together")
        sizes[i] = n if m == 1 or (m is None and n != 1) else m
    return tuple(sizes)


class _Merge(Layer):
    """Inputs of shapes that broadcast together, the batch aside, combined two by two."""

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        owner = type(self).__name__
        shapes = input_shapes(owner, input_shape)
        batches = {shape[0] for shape in shapes} - {None}
        examples = [shape[1:] for shape in shapes]
        combined = functools.reduce(functools.partial(broadcast_shape, owner), examples)
        return (batches.pop() if batches else None, *combined)

    def call(self, x: Any) -> Any:
        owner = type(self).__name__
        if not isinstance(x, (list, tuple)):
            raise ValueError(f"{owner} expects a list of inputs, got one of shape {tuple(x.shape)}")
        input_shapes(owner, [one.shape for one in x])
        rank = max(one.ndim for one in x)
        return self._merged([_with_rank(one, rank) for one in x])

    def _merged(self, inputs: list[Any]) -> Any:
        raise NotImplementedError


def _with_rank(x: Any, rank: int) -> Any:
    """The input with axes of length 1 behind the batch, as many as it lacks."""
    return x if x.ndim == rank else ops.reshape(x, (x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]))


class Add(_Merge):
    """The sum of inputs, element by element; shapes broadcast, the batch aside.

    Args:
        **kwargs: `name`.

    Example:
        >>> Add()([np.ones((2, 3)), np.full((2, 3), 2.0)])
        array([[3., 3., 3.],
               [3., 3., 3.]], dtype=float32)
    """

    def _merged(self, inputs: list[Any]) -> Any:
        return functools.reduce(ops.add, inputs)


class Subtract(_Merge):
    """The first of two inputs less the second, element by element; shapes broadcast, the batch aside.

    Args:
        **kwargs: `name`.

    Raises:
        ValueError: there are not two inputs.

    Example:
        >>> Subtract()([np.ones((1, 2)), np.full((1, 2), 3.0)])
        array([[-2., -2.]], dtype=float32)
    """

    def build(self, input_shape: Any) -> None:  # noqa: D102
        if len(input_shapes("Subtract", input_shape)) != 2:
            raise ValueError(f"Subtract expects 2 inputs, got {len(input_shape)}")
        super().build(input_shape)

    def _merged(self, inputs: list[Any]) -> Any:
        if len(inputs) != 2:
            raise ValueError(f"Subtract expects 2 inputs, got {len(inputs)}")
        return ops.subtract(*inputs)


class Multiply(_Merge):
    """The product of inputs, element by element; shapes broadcast, the batch aside.

    Args:
        **kwargs: `name`.

    Example:
        Gates for channels, as squeeze-and-excitation blocks have them:

        >>> Multiply()([np.ones((1, 2, 2, 3)), np.array([[[[0.0, 1.0, 2.0]]]])])[0, 0, 0]
        array([0., 1., 2.], dtype=float32)
    """

    def _merged(self, inputs: list[Any]) -> Any:
        return functools.reduce(ops.multiply, inputs)


class Average(_Merge):
    """The mean of inputs, element by element; shapes broadcast, the batch aside.

    Args:
        **kwargs: `name`.

    Example:
        >>> Average()([np.ones((1, 2)), np.full((1, 2), 3.0)])
        array([[2., 2.]], dtype=float32)
    """

    def _merged(self, inputs: list[Any]) -> Any:
        return ops.divide(functools.reduce(ops.add, inputs), float(len(inputs)))


class Maximum(_Merge):
    """The largest of inputs, element by element; shapes broadcast, the batch aside.

    Args:
        **kwargs: `name`.

    Example:
        >>> Maximum()([np.ones((1, 2)), np.array([[0.0, 3.0]])])
        array([[1., 3.]], dtype=float32)
    """

    def _merged(self, inputs: list[Any]) -> Any:
        return functools.reduce(ops.maximum, inputs)


class Minimum(_Merge):
    """The smallest of inputs, element by element; shapes broadcast, the batch aside.

    Args:
        **kwargs: `name`.

    Example:
        >>> Minimum()([np.ones((1, 2)), np.array([[0.0, 3.0]])])
        array([[0., 1.]], dtype=float32)
    """

    def _merged(self, inputs: list[Any]) -> Any:
        return functools.reduce(ops.minimum, inputs)


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Add` as a function.

    Args:
        inputs: arrays or tensors, symbolic ones too.
        **kwargs: those of the layer.

    Example:
        >>> add([np.ones((1, 2)), np.ones((1, 2))])
        array([[2., 2.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Subtract` as a function, of the arguments of `add`.

    Example:
        >>> subtract([np.ones((1, 2)), np.ones((1, 2))])
        array([[0., 0.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Multiply` as a function, of the arguments of `add`.

    Example:
        >>> multiply([np.full((1, 2), 2.0), np.full((1, 2), 3.0)])
        array([[6., 6.]], dtype=float32)
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Average` as a function, of the arguments of `add`.

    Example:
        >>> average([np.full((1, 2), 2.0), np.full((1, 2), 3.0)])
        array([[2.5, 2.5]], dtype=float32)
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Maximum` as a function, of the arguments of `add`.

    Example:
        >>> maximum([np.full((1, 2), 2.0), np.full((1, 2), 3.0)])
        array([[3., 3.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Minimum` as a function, of the arguments of `add`.

    Example:
        >>> minimum([np.full((1, 2), 2.0), np.full((1, 2), 3.0)])
        array([[2., 2.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)
