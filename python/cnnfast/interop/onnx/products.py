"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, elementwise, rows_as_they_lie, transposed
from cnnfast.interop.onnx.budget import checked_tensor
from cnnfast.interop.onnx.calls import Call, operator


def _plain(value: Any) -> Any:
    return value.plain() if isinstance(value, Arranged) else np.asarray(value, np.float32)


@operator("Gemm")
def _gemm(call: Call) -> Any:
    alpha, beta = float(call.attribute("alpha", 1.0)), float(call.attribute("beta", 1.0))
    a = call.given(0)
    dense = isinstance(a, Arranged) and not call.attribute("transA", 0) and call.is_constant(1)
    if dense and (not call.has(2) or call.is_constant(2)):
        kernel = call.weight(1).T if call.attribute("transB", 0) else call.weight(1)
        if kernel.ndim != 2 or a.ndim != 2 or a.shape[1] not in (None, len(kernel)):
            raise ValueError(f"{call}: {kernel.shape} does not fit x of shape {a.shape}")
        bias = None if not call.has(2) else np.asarray(call.weight(2) * np.float32(beta))
        if bias is None or (bias.size in (1, kernel.shape[1]) and bias.shape[-1:] in ((), (1,), (kernel.shape[1],))):
            return dense_layer(call, a, kernel * np.float32(alpha), bias)
    b = call.given(1)
    if isinstance(a, Arranged) and call.attribute("transA", 0):
        a = transposed(a, (1, 0))
    if isinstance(b, Arranged) and call.attribute("transB", 0):
        b = transposed(b, (1, 0))
    a = a if isinstance(a, Arranged) or not call.attribute("transA", 0) else a.T
    b = b if isinstance(b, Arranged) or not call.attribute("transB", 0) else b.T
    product = Arranged(ops.matmul(_plain(a), _plain(b)))
    if alpha != 1.0:
        product = Arranged(ops.multiply(product.tensor, alpha))
    if not call.has(2):
        return product
    c = call.given(2)
    scaled: Any
    if isinstance(c, Arranged):
        scaled = c if beta == 1.0 else c.like(ops.multiply(c.tensor, beta))
    else:
        scaled = np.asarray(c * np.float32(beta), np.float32)
    return elementwise(ops.add, product, scaled)


def dense_layer(call: Call, value: Arranged, kernel: Any, bias: Any = None) -> Arranged:
    """A dense layer on the original's last axis."""
    if value.joined is None and value.order[-1] != value.ndim - 1:
        value = Arranged(value.plain())
    layer = layers.Dense(kernel.shape[1], use_bias=bias is not None, name=call.name)
    weights = [rows_as_they_lie(value, kernel)]
    if bias is not None:
        weights.append(np.broadcast_to(np.ravel(bias), kernel.shape[1:]))
    return Arranged(call.layer(layer, value.tensor, weights), value.order)


@operator("MatMul")
def _matmul(call: Call) -> Any:
    a, b = call.given(0), call.given(1)
    if isinstance(a, Arranged) and call.is_constant(1) and b.ndim == 2 and a.ndim > 1 and a.shape[-1] is not None:
        if a.shape[-1] != len(b):
            raise ValueError(f"{call}: {b.shape} does not fit x of shape {a.shape}")
        return dense_layer(call, a, call.weight(1), call.weight(2) if call.has(2) else None)
    if a.ndim > 1 and b.ndim > 1:
        batch = np.broadcast_shapes(*([n or 1 for n in x.shape[:-2]] for x in (a, b)))
        checked_tensor(call, (*batch, a.shape[-2], b.shape[-1]))
    product = Arranged(ops.matmul(_plain(a), _plain(b)))
    return elementwise(ops.add, product, call.weight(2)) if call.has(2) else product


@operator("Einsum")
def _einsum(call: Call) -> Any:
    values = [_plain(call.given(index)) for index in range(len(call.inputs))]
    equation = call.required("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    sizes: dict[str, int | None] = {}
    for letters, value in zip(left.split(","), values, strict=True):
        named = letters.replace("...", "")
        own = value.shape[-len(named) :] if letters.startswith("...") and named else value.shape
        sizes |= dict(zip(named, own, strict=False))
    result = right if arrow else "".join(c for c in sizes if left.count(c) == 1)
    checked_tensor(call, [sizes.get(letter, 1) for letter in result.replace("...", "")])
    return Arranged(ops.einsum(equation, *values))
