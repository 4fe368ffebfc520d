"""Products that add up over axes: dot, tensordot, outer and Einstein's sums, and their gradients."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import multiply, quiet, unbroadcast
from cnnfast.ops.products import matmul
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.shaping import integers, reshape, transpose


def dot(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The product over the last axis of `x1` and the last but one of `x2` (the only one of a vector).

    Args:
        x1: real numbers; a single one multiplies.
        x2: real numbers; a single one multiplies.

    Returns:
        float32, of the axes of `x1` and `x2` without those that were added up.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the axes' lengths differ.

    Example:
        >>> dot([[1.0, 2.0], [3.0, 4.0]], [10.0, 1.0])
        array([12., 34.], dtype=float32)
    """
    a, b = to_float32(x1, "dot", "x1"), to_float32(x2, "dot", "x2")
    if a.ndim == 0 or b.ndim == 0:
        return multiply(x1, x2)
    axis = max(b.ndim - 2, 0)
    if a.shape[-1] != b.shape[axis]:
        raise ValueError(
            f"dot: x1 has {a.shape[-1]} elements on its last axis, x2 {b.shape[axis]} on axis {axis} "
            f"(x1: {a.shape}, x2: {b.shape})"
        )
    return tensordot(x1, x2, ([a.ndim - 1], [axis]))


def tensordot(x1: ArrayLike, x2: ArrayLike, axes: Any = 2) -> Any:
    """The product over several axes.

    Args:
        x1: real numbers.
        x2: real numbers.
        axes: how many of the last axes of `x1` and the first of `x2` to add up over, or a pair of lists of axes.

    Returns:
        float32, of the other axes of `x1`, then those of `x2`.

    Raises:
        TypeError: an operand is not made of real numbers, or `axes` not of integers.
        ValueError: the axes' numbers or lengths differ, or one is out of range.

    Example:
        >>> tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), ([1, 2], [1, 0])).shape
        (2, 5)
    """
    a, b = to_float32(x1, "tensordot", "x1"), to_float32(x2, "tensordot", "x2")
    first, second = _paired_axes(a.shape, b.shape, axes)
    if [a.shape[i] for i in first] != [b.shape[i] for i in second]:
        raise ValueError(f"tensordot: x1 {a.shape} and x2 {b.shape} differ in length along axes {axes}")
    rows = [i for i in range(a.ndim) if i not in first]
    columns = [i for i in range(b.ndim) if i not in second]
    inner = math.prod(a.shape[i] for i in first)
    row_sizes, column_sizes = [a.shape[i] for i in rows], [b.shape[i] for i in columns]
    left = reshape(transpose(x1, (*rows, *first)), (math.prod(row_sizes), inner))
    right = reshape(transpose(x2, (*second, *columns)), (inner, math.prod(column_sizes)))
    return reshape(matmul(left, right), (*row_sizes, *column_sizes))


def _paired_axes(a: tuple[int, ...], b: tuple[int, ...], axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, (tuple, list)):
        if len(axes) != 2:
            raise ValueError(f"tensordot: axes expects a number or a pair of lists, got {axes!r}")
        first, second = (integers("tensordot", "axes", part) for part in axes)
        if len(first) != len(second):
            raise ValueError(f"tensordot: axes expects as many axes of x1 as of x2, got {axes!r}")
        return normalize_axes("tensordot", first, a), normalize_axes("tensordot", second, b)
    (count,) = integers("tensordot", "axes", axes)
    if not 0 <= count <= min(len(a), len(b)):
        raise ValueError(f"tensordot: axes expects a number up to {min(len(a), len(b))}, got {count}")
    return tuple(range(len(a) - count, len(a))), tuple(range(count))


def outer(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The products of all elements of `x1` with all of `x2`, each taken in a row.

    Raises:
        TypeError: an operand is not made of real numbers.

    Example:
        >>> outer([1.0, 2.0], [10.0, 1.0])
        array([[10.,  1.],
               [20.,  2.]], dtype=float32)
    """
    return multiply(reshape(x1, (-1, 1)), reshape(x2, (1, -1)))


def einsum(subscripts: str, *operands: ArrayLike, **kwargs: Any) -> Any:
    """A sum of products, described by a letter for each axis.

    Args:
        subscripts: as "nhwc,cd->nhwd": the operands' axes, then those of the result; axes that it lacks are added up
            over. Without "->" the result has the letters that occur once, in alphabetical order. "..." stands for
            further axes, which broadcast.
        *operands: real numbers.
        **kwargs: `optimize`: False adds up in one pass, without looking for a quicker order.

    Raises:
        TypeError: an operand is not made of real numbers, or a keyword is unknown.
        ValueError: the subscripts do not fit the operands.

    Example:
        >>> einsum("ij,kj->ik", [[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]])
        array([[11., 17.]], dtype=float32)
    """
    optimize = kwargs.pop("optimize", None)
    if kwargs:
        raise TypeError(f"einsum: unexpected keyword argument {next(iter(kwargs))!r}")
    arrays = [to_float32(x, "einsum", f"operand {i}") for i, x in enumerate(operands)]
    inputs, output = _letters(subscripts, arrays)
    plan = len(arrays) > 1 if optimize is None else optimize
    y = _summed(inputs, output, arrays, plan)
    sizes = {
        letter: max(n for i, array in zip(inputs, arrays, strict=True) for o, n in zip(i, array.shape, strict=True)
                    if o == letter)
        for letter in set("".join(inputs))
    }  # fmt: skip

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return [
            _operand_gradient(i, inputs, output, arrays, dy, sizes, plan) if need else None
            for i, need in enumerate(needs)
        ]

    return record("einsum", y, operands, vjp)


def _letters(subscripts: str, arrays: list[FloatArray]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with letters in the place of "..."."""
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: subscripts expects a string, got {subscripts!r}")
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(arrays):
        raise ValueError(f"einsum: {subscripts!r} describes {len(inputs)} operands, got {len(arrays)}")
    spare = [c for c in string.ascii_letters if c not in subscripts]
    hidden = [max(a.ndim - len(s.replace("...", "")), 0) if "..." in s else 0 for s, a in zip(inputs, arrays)]  # noqa: B905
    extra = "".join(spare[: max(hidden, default=0)])
    inputs = [s.replace("...", extra[len(extra) - n :]) for s, n in zip(inputs, hidden, strict=True)]
    if arrow:
        output = right.replace("...", extra)
    else:
        joined = "".join(inputs)
        output = extra + "".join(c for c in sorted(set(joined)) if joined.count(c) == 1 and c not in extra)
    for i, (letters, array) in enumerate(zip(inputs, arrays, strict=True)):
        if len(letters) != array.ndim or not all(c in string.ascii_letters for c in letters):
            raise ValueError(f"einsum: {subscripts!r} does not fit operand {i} of shape {array.shape}")
    if len(set(output)) != len(output) or not set(output) <= set("".join(inputs)):
        raise ValueError(f"einsum: the result's letters in {subscripts!r} must occur in the operands, each once")
    return inputs, output


def _summed(inputs: list[str], output: str, arrays: Sequence[npt.NDArray[Any]], plan: Any) -> FloatArray:
    try:
        with quiet():
            return np.asarray(np.einsum(f"{','.join(inputs)}->{output}", *arrays, optimize=plan), np.float32)
    except ValueError as error:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ValueError(f"einsum: {','.join(inputs)}->{output} does not fit shapes {shapes}: {error}") from None


def _operand_gradient(
    i: int,
    inputs: list[str],
    output: str,
    arrays: list[FloatArray],
    dy: FloatArray,
    sizes: dict[str, int],
    plan: Any,
) -> FloatArray:
    """The sum of dy's products with the other operands; axes that only operand `i` has get the same everywhere."""
    own = "".join(dict.fromkeys(inputs[i]))
    others = [k for k in range(len(inputs)) if k != i]
    found_in = output + "".join(inputs[k] for k in others)
    known = "".join(c for c in own if c in found_in)
    part = _summed([output, *(inputs[k] for k in others)], known, [dy, *(arrays[k] for k in others)], plan)
    shape = [sizes[c] if c in known else 1 for c in own]
    spread = np.broadcast_to(part.reshape(shape), [sizes[c] for c in own])
    kept = tuple(arrays[i].shape[inputs[i].index(c)] for c in own)
    gradient = unbroadcast(spread, kept)
    if own == inputs[i]:
        return gradient
    dx = np.zeros(arrays[i].shape, np.float32)
    np.einsum(f"{inputs[i]}->{own}", dx)[...] = gradient  # the view of the diagonal
    return dx
