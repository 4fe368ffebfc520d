"""Products of matrices: dense layers, matmul, einsum and their relatives."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfast.autograd import to_float32
from cnnfast.interop.onnx_export.activations import activation_operation
from cnnfast.interop.onnx_export.builder import Array, Builder
from cnnfast.interop.onnx_export.convolutions import fixed
from cnnfast.interop.onnx_export.elementwise import binary
from cnnfast.interop.onnx_export.reductions import reduced
from cnnfast.interop.onnx_export.values import Order, Value, normal_axes
from cnnfast.symbolic import Shape


def dense(b: Builder, x: Value, kernel: Any, bias: Any = None) -> Value:
    """`x @ kernel + bias`; rows that were images may be in the graph's order: the kernel's rows are put into it."""
    x = b.floats(x)
    units = int(np.shape(fixed("kernel", kernel))[-1])
    shift = None if bias is None else b.weight(bias, "bias")
    if x.rank == 2:
        if x.columns is not None:
            order, sizes = x.columns
            weights = b.weight(kernel, "kernel", lambda a: rows_in_order(a, order, sizes), x.columns)
        else:
            x, weights = b.ordered(x), b.weight(kernel, "kernel")
        return b.made("Gemm", [x, weights, shift], (x.shape[0], units))
    if x.order[-1:] != (x.rank - 1,):
        x = b.ordered(x)
    y = b.made("MatMul", [x, b.weight(kernel, "kernel")], (*x.shape[:-1], units), x.order)
    return y if shift is None else b.like("Add", y, shift)


def rows_in_order(kernel: Array, order: Order, sizes: tuple[int, ...]) -> Array:
    """A kernel for rows that were images in another order.

    Example:
        >>> rows_in_order(np.arange(4.0).reshape(4, 1), (0, 2, 1), (2, 2)).ravel()
        array([0., 2., 1., 3.])
    """
    units = kernel.shape[-1]
    places = (*(a - 1 for a in order[1:]), len(sizes))
    return kernel.reshape(*sizes, units).transpose(places).reshape(-1, units)


def matmul(b: Builder, x1: Any, x2: Any) -> Value:
    """The product of matrices, or of batches of them."""
    first, second = (b.ordered(b.floats(x)) if isinstance(x, Value) else to_float32(x) for x in (x1, x2))
    shape = _product_shape(tuple(first.shape), tuple(second.shape))
    names = [x if isinstance(x, Value) else b.weight(x, "matrix") for x in (first, second)]
    return b.made("MatMul", names, shape)


def _product_shape(first: Shape, second: Shape) -> Shape:
    rank = max(len(first), len(second))
    batch: list[int | None] = []
    for i in range(rank, 2, -1):
        sizes = [shape[-i] for shape in (first, second) if len(shape) >= i]
        batch.append(next((n for n in sizes if n != 1), 1))
    return (*batch, *first[-2:-1], *(second[-1:] if len(second) > 1 else ()))


def einsum(b: Builder, subscripts: str, *operands: Any, optimize: Any = None) -> Value:
    """Einstein's sums; operands come as they lie, with their letters in that order."""
    left, _, right = subscripts.replace(" ", "").partition("->")
    letters = left.split(",")
    if "..." in subscripts or "->" not in subscripts:
        raise ValueError(
            f"einsum: {subscripts!r} cannot be written as ONNX: name every axis, and the result's behind ->"
        )
    sizes: dict[str, int | None] = {}
    names: list[Any] = []
    for i, (own, x) in enumerate(zip(letters, operands, strict=True)):
        x = b.plain(b.floats(x)) if isinstance(x, Value) else to_float32(x)
        for letter, n in zip(own, x.shape, strict=True):
            sizes[letter] = n if sizes.get(letter) in (None, 1) else sizes[letter]
        if isinstance(x, Value):
            letters[i] = "".join(own[a] for a in x.order)
        names.append(x if isinstance(x, Value) else b.constant(x))
    return b.made("Einsum", names, tuple(sizes[c] for c in right), equation=f"{','.join(letters)}->{right}")


def tensordot(b: Builder, x1: Any, x2: Any, axes: Any = 2) -> Value:
    """Sums over pairs of axes."""
    ranks = [len(x.shape) if isinstance(x, Value) else np.ndim(x) for x in (x1, x2)]
    if isinstance(axes, int):
        axes = (range(ranks[0] - axes, ranks[0]), range(axes))
    first, second = ([a] if isinstance(a, int) else list(a) for a in axes)
    letters = iter(string.ascii_letters)
    left = [next(letters) for _ in range(ranks[0])]
    right = [next(letters) for _ in range(ranks[1])]
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    kept = [c for c in left if c not in right] + [c for c in right if c not in left]
    return einsum(b, f"{''.join(left)},{''.join(right)}->{''.join(kept)}", x1, x2)


def _dot(b: Builder, x1: Any, x2: Any) -> Value:
    ranks = [len(x.shape) if isinstance(x, Value) else np.ndim(x) for x in (x1, x2)]
    if 0 in ranks:
        return binary(b, "Mul", x1, x2)
    return matmul(b, x1, x2) if max(ranks) < 3 else tensordot(b, x1, x2, ((-1,), (-2 if ranks[1] > 1 else -1,)))


def _dot_layer(b: Builder, layer: Any, inputs: list[Value]) -> Value:
    first, second = (b.plain(b.floats(x)) for x in inputs)
    (i,), (j,) = (normal_axes(a, x.rank) for a, x in zip(layer.axes, (first, second), strict=True))
    if layer.normalize:
        first, second = _unit(b, first, i), _unit(b, second, j)
    if first.rank == second.rank == 2:
        return reduced(b, "ReduceSum", binary(b, "Mul", first, second), (1,), True)
    if first.rank == second.rank == 3:
        rows = b.ordered(first, (0, 3 - i, i))
        columns = b.ordered(second, (0, j, 3 - j))
        return b.made("MatMul", [rows, columns], (first.shape[0], first.shape[3 - i], second.shape[3 - j]))
    own = list("a" + string.ascii_letters[1 : first.rank])
    other = list("a" + string.ascii_letters[first.rank : first.rank + second.rank - 1])
    other[j] = own[i]
    result = [c for c in own if c != own[i]] + [c for c in other[1:] if c != own[i]]
    return einsum(b, f"{''.join(own)},{''.join(other)}->{''.join(result)}", first, second)


def _unit(b: Builder, x: Value, axis: int) -> Value:
    lengths = reduced(b, "ReduceL2", x, (axis,), True)
    return b.like("Div", x, b.like("Max", lengths, b.number(1e-7)))


def _dense_op(b: Builder, x: Value, kernel: Any, bias: Any = None, *, activation: str | None = None) -> Any:
    return activation_operation(b, dense(b, x, kernel, bias), activation)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "dense": _dense_op, "dot": _dot, "einsum": einsum, "matmul": matmul, "tensordot": tensordot,
}  # fmt: skip

LAYERS: dict[str, Callable[..., Any]] = {
    "Dense": lambda b, layer, x: dense(b, x, layer.kernel, layer.bias),
    "Dot": _dot_layer,
}
