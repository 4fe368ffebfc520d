"""Changes of a graph before it is taken over: neighbours that are one layer here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnnfast.interop.onnx.reading import GraphData, NodeData
from cnnfast.interop.onnx.simplifying import simplified


def rewritten(graph: GraphData, fold_batch_norm: bool = False) -> GraphData:
    """The graph with arithmetic put together, with products and the bias behind them as one node.

    Batch normalization is folded into the weights before it if wanted.
    """
    graph = simplified(graph, _readers(graph.nodes, graph.outputs))
    nodes = _with_biases(graph)
    if fold_batch_norm:
        graph = replace(graph, nodes=nodes, constants=dict(graph.constants))
        nodes = _folded(graph)
    return replace(graph, nodes=nodes)


def _readers(nodes: list[NodeData], outputs: object) -> dict[str, int]:
    """How often each value is read."""
    count: dict[str, int] = {}
    for node in nodes:
        for name in node.inputs:
            count[name] = count.get(name, 0) + 1
        if any(isinstance(value, GraphData) for value in node.attributes.values()):
            return {}  # what inner graphs read is not counted
    for name in outputs:  # type: ignore[attr-defined]
        count[name] = count.get(name, 0) + 1
    return count


def _makers(nodes: list[NodeData]) -> dict[str, NodeData]:
    return {name: node for node in nodes for name in node.outputs if name}


def _with_biases(graph: GraphData) -> list[NodeData]:
    """MatMul with a constant matrix and Add of a constant vector become one MatMul with a bias."""
    count, makers = _readers(graph.nodes, graph.outputs), _makers(graph.nodes)
    gone: set[int] = set()
    result = []
    for node in graph.nodes:
        if node.op_type == "Add" and not node.domain and len(node.inputs) == 2:
            for x, b in (node.inputs, node.inputs[::-1]):
                product, bias = makers.get(x), graph.constants.get(b)
                if product is None or bias is None or count.get(x) != 1 or product.op_type != "MatMul":
                    continue
                matrix = graph.constants.get(product.inputs[1])
                if matrix is not None and matrix.ndim == 2 and bias.shape == matrix.shape[1:]:
                    gone.add(id(product))
                    node = replace(product, inputs=[*product.inputs, b], outputs=node.outputs)
                    break
        result.append(node)
    return [node for node in result if id(node) not in gone]


def _folded(graph: GraphData) -> list[NodeData]:
    """Batch normalization taken over by the weights of the Conv, ConvTranspose or Gemm before it."""
    count, makers = _readers(graph.nodes, graph.outputs), _makers(graph.nodes)
    replaced: dict[int, NodeData | None] = {}
    for node in graph.nodes:
        if node.op_type != "BatchNormalization" or node.domain or node.attributes.get("training_mode", 0):
            continue
        before = makers.get(node.inputs[0])
        if before is None or before.domain or before.op_type != "Conv" or count.get(node.inputs[0]) != 1:
            continue
        names = [*before.inputs[1:], *node.inputs[1:5]]
        if len(node.inputs) < 5 or any(name not in graph.constants for name in names):
            continue
        weights = graph.constants[before.inputs[1]]
        scale, shift, mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[1:5])
        factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        if factor.shape != weights.shape[:1]:
            continue
        bias = graph.constants[before.inputs[2]] if len(before.inputs) > 2 else 0.0
        w, b = f"{before.name}/folded/w", f"{before.name}/folded/b"
        graph.constants[w] = (weights * factor.reshape(-1, *(1,) * (weights.ndim - 1))).astype(np.float32)
        graph.constants[b] = (shift + (bias - mean) * factor).astype(np.float32)
        replaced[id(before)] = replace(before, inputs=[before.inputs[0], w, b], outputs=node.outputs[:1])
        replaced[id(node)] = None
    nodes = [replaced.get(id(node), node) for node in graph.nodes]
    return [node for node in nodes if node is not None]
