"""Layers that join several inputs along an axis or by products, and the same as functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cnnfast import ops
from cnnfast.arguments import integer
from cnnfast.layers.base import Layer
from cnnfast.layers.merging import input_shapes
from cnnfast.symbolic import Shape

_SMALLEST_NORM = 1e-7


class Concatenate(Layer):
    """Inputs joined along an axis; their shapes agree in all others.

    Args:
        axis: the axis, the batch counted; the channels by default.
        **kwargs: `name`.

    Raises:
        ValueError: the inputs' shapes do not fit.

    Example:
        >>> Concatenate()([np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 5))]).shape
        (1, 2, 2, 8)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = integer("Concatenate", "axis", axis)

    def build(self, input_shape: Any) -> None:  # noqa: D102
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:  # noqa: D102
        shapes = input_shapes("Concatenate", input_shape)
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes) or not -rank <= self.axis < rank:
            raise ValueError(f"Concatenate expects inputs of one rank that have axis {self.axis}, got shapes {shapes}")
        joined: list[int | None] = []
        for i, sizes in enumerate(zip(*shapes, strict=True)):
            known = [n for n in sizes if n is not None]
            if i == self.axis % rank:
                joined.append(sum(known) if len(known) == len(sizes) else None)
            elif len(set(known)) > 1:
                raise ValueError(f"Concatenate along axis {self.axis} expects shapes that agree elsewhere: {shapes}")
            else:
                joined.append(known[0] if known else None)
        return tuple(joined)

    def call(self, x: Any) -> Any:  # noqa: D102
        if not isinstance(x, (list, tuple)):
            raise ValueError(f"Concatenate expects a list of inputs, got one of shape {tuple(x.shape)}")
        return ops.concatenate(x, axis=self.axis)


class Dot(Layer):
    """Dot products of two inputs' vectors along an axis of each: one for every pair of vectors of an example.

    Args:
        axes: the axis of each input that is summed over, the batch counted, or one for both.
        normalize: whether the vectors are scaled to length 1 first, which gives the cosines between them.
        **kwargs: `name`.

    Raises:
        TypeError: `axes` is not made of integers.
        ValueError: `axes` names the batch or not two axes, or the inputs do not fit.

    Example:
        >>> Dot(axes=(1, 2))([np.zeros((2, 3, 5)), np.zeros((2, 10, 3))]).shape
        (2, 5, 10)
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = axes if isinstance(axes, (list, tuple)) else (axes, axes)
        if len(given) != 2:
            raise ValueError(f"Dot: axes expects an integer or two, got {axes}")
        self.axes = integer("Dot", "axes", given[0]), integer("Dot", "axes", given[1])
        self.normalize = bool(normalize)

    def _axes(self, shapes: Any) -> tuple[int, int]:
        """The axes, counted from the front."""
        first, second = self._pair(shapes)
        axes = []
        for axis, shape in zip(self.axes, (first, second), strict=True):
            if not -len(shape) < axis < len(shape) or axis == 0:
                raise ValueError(f"Dot: axes={self.axes} expects axes behind the batch of shapes {first} and {second}")
            axes.append(axis % len(shape))
        i, j = axes
        if first[i] is not None and second[j] is not None and first[i] != second[j]:
            raise ValueError(f"Dot: axes={self.axes} expects axes of one length, got shapes {first} and {second}")
        return i, j

    def _pair(self, shapes: Any) -> tuple[Shape, Shape]:
        found = input_shapes("Dot", shapes)
        if len(found) != 2:
            raise ValueError(f"Dot expects 2 inputs, got {len(found)}")
        return found[0], found[1]

    def build(self, input_shape: Any) -> None:  # noqa: D102
        self._axes(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:  # noqa: D102
        i, j = self._axes(input_shape)
        first, second = self._pair(input_shape)
        shape = (*first[:i], *first[i + 1 :], *second[1:j], *second[j + 1 :])
        return shape if len(shape) > 1 else (*shape, 1)

    def call(self, x: Any) -> Any:  # noqa: D102
        if not isinstance(x, (list, tuple)):
            raise ValueError(f"Dot expects a list of inputs, got one of shape {tuple(x.shape)}")
        i, j = self._axes([one.shape for one in x])
        first, second = (_unit(one, axis) if self.normalize else one for one, axis in zip(x, (i, j), strict=True))
        shape = tuple(n or 0 for n in self.compute_output_shape([first.shape, second.shape]))
        length = first.shape[i]
        rows, columns = ops.moveaxis(first, i, -1), ops.moveaxis(second, j, 1)
        rows = ops.reshape(rows, (rows.shape[0], math.prod(rows.shape[1:-1]), length))
        columns = ops.reshape(columns, (columns.shape[0], length, math.prod(columns.shape[2:])))
        return ops.reshape(ops.matmul(rows, columns), shape)


def _unit(x: Any, axis: int) -> Any:
    """The vectors along an axis scaled to length 1; those that are nearly zero stay so."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squares, _SMALLEST_NORM**2)))


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` as a function.

    Args:
        inputs: arrays or tensors, symbolic ones too.
        axis: the axis along which they are joined.
        **kwargs: those of the layer.

    Example:
        >>> concatenate([np.zeros((1, 2)), np.ones((1, 1))])
        array([[0., 0., 1.]], dtype=float32)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot` as a function.

    Args:
        inputs: two arrays or tensors, symbolic ones too.
        axes: the axis of each that is summed over.
        **kwargs: those of the layer.

    Example:
        >>> dot([np.ones((1, 2)), np.ones((1, 2))])
        array([[2.]], dtype=float32)
    """
    return Dot(axes=axes, **kwargs)(inputs)
