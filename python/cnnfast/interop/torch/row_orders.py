"""The order of flattened images in a model's graph: PyTorch flattens (C, H, W), channels-last models (H, W, C)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfast import layers
from cnnfast.layers.operation import OperationLayer
from cnnfast.layers.spatial import SpatialLayer
from cnnfast.symbolic import KerasTensor, Node


@dataclass(frozen=True)
class _Order:
    """How a tensor lies.

    Attributes:
        channels_first: whether the channels are its second axis.
        rows: a flattened image's numbers in PyTorch.
        turned: whether the model permutes its axes in a way of its own, as the PyTorch module then will, too.
    """

    channels_first: bool = False
    rows: Any = None
    turned: bool = False


_Orders = dict[int, _Order]


def layers_in_order(model: Any) -> Iterator[tuple[Any, str, Any]]:
    """A model's layers, parts of models in it too, in the order in which they are computed.

    Args:
        model: a built model or layer.

    Yields:
        The layer, its name in the model, and for each value that enters it which number it has where the image that
        was flattened has the channels first (None where that is the same, or not known: of models without a graph).
    """
    seen: set[int] = set()
    for layer, path, rows in _walk(model, "", {}):
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer, path, rows


def _graph_of(layer: Any) -> Any:
    try:
        return layer._known_graph()
    except (AttributeError, ValueError):
        return None


def _walk(model: Any, prefix: str, orders: _Orders) -> Iterator[tuple[Any, str, Any]]:
    graph = _graph_of(model)
    if graph is None:
        yield model, prefix.removesuffix("/"), None
        for part in model.sublayers():
            yield from _walk(part, f"{prefix}{part.name}/", {})
        return
    for node in graph.nodes:
        yield from _walk_call(node, prefix, orders)


def _walk_call(node: Node, prefix: str, orders: _Orders) -> Iterator[tuple[Any, str, Any]]:
    layer, path = node.layer, f"{prefix}{node.layer.name}"
    entering = [orders.get(id(tensor), _Order()) for tensor in node.inputs]
    outputs = _tensors(node.outputs)
    inner = _graph_of(layer)
    if inner is not None:
        own = dict(zip(map(id, inner.inputs), entering, strict=False))
        yield from _walk(layer, f"{path}/", own)
        for tensor, result in zip(outputs, inner.outputs, strict=False):
            orders[id(tensor)] = own.get(id(result), _Order())
        return
    yield layer, path, entering[0].rows if entering else None
    for part in layer.sublayers():
        yield from _walk(part, f"{path}/{part.name}/", {})
    for tensor in outputs:
        orders[id(tensor)] = _leaving(node, entering, tensor)


def _tensors(structure: Any) -> list[KerasTensor]:
    from cnnfast.structure import leaves

    return list(leaves(structure))


def _leaving(node: Node, entering: list[_Order], output: KerasTensor) -> _Order:
    """How the output of a call lies."""
    if not entering or not node.inputs:
        return _Order()
    layer, first, shape = node.layer, entering[0], tuple(node.inputs[0].shape)
    if isinstance(layer, SpatialLayer):
        return _Order(layer.data_format == "channels_first" and output.ndim > 2)
    if output.ndim == 2 and len(shape) > 2:
        moved = isinstance(layer, layers.Flatten) and layer.data_format == "channels_first"
        return _flattened(layer, first, shape, moved)
    axes = _permutation(node)
    if axes is not None:
        return _turned(first, axes)
    if isinstance(layer, layers.Concatenate) and output.ndim == 2:
        return _joined(entering, [tensor.shape[-1] for tensor in node.inputs])
    if isinstance(layer, layers.Dense) or output.shape != node.inputs[0].shape:
        return _Order(first.channels_first and output.ndim == len(shape))
    return first


def _flattened(layer: Any, order: _Order, shape: tuple[int | None, ...], moved: bool) -> _Order:
    keeps = isinstance(layer, (layers.Flatten, layers.Reshape))
    keeps = keeps or (isinstance(layer, OperationLayer) and layer.function == "reshape")
    if not keeps or order.turned or None in shape[1:]:
        return _Order()
    sizes = [n for n in shape[1:] if n is not None]
    if order.channels_first and moved:
        spatial, channels = sizes[1:], sizes[0]
    elif order.channels_first or moved:
        return _Order()
    else:
        spatial, channels = sizes[:-1], sizes[-1]
    if channels == 1 or math.prod(spatial) == 1:
        return _Order()
    numbers = np.arange(math.prod(sizes)).reshape(channels, *spatial)
    return _Order(rows=np.moveaxis(numbers, 0, -1).ravel())


def _permutation(node: Node) -> tuple[int, ...] | None:
    """The axes that a call permutes, the batch counted."""
    if isinstance(node.layer, layers.Permute):
        return (0, *node.layer.dims)
    if isinstance(node.layer, OperationLayer) and node.layer.function == "transpose":
        axes = node.kwargs.get("axes", node.args[1] if len(node.args) > 1 else None)
        return None if axes is None else tuple(int(n) for n in axes)
    return None


def _turned(order: _Order, axes: tuple[int, ...]) -> _Order:
    """How a permuted tensor lies."""
    last = len(axes) - 1
    if order.turned:
        return order
    if not order.channels_first and axes == (0, last, *range(1, last)):
        return _Order(channels_first=True)
    if order.channels_first and axes == (0, *range(2, last + 1), 1):
        return _Order()
    return _Order(turned=True)


def _joined(entering: list[_Order], sizes: list[int | None]) -> _Order:
    known = [size for size in sizes if size is not None]
    if all(order.rows is None for order in entering) or len(known) < len(sizes):
        return _Order()
    offset, numbers = 0, []
    for order, size in zip(entering, known, strict=True):
        numbers.append(offset + (np.arange(size) if order.rows is None else order.rows))
        offset += size
    return _Order(rows=np.concatenate(numbers))
