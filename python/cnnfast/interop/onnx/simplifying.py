"""Arithmetic that exporters write down in parts, put together again.

- `x * clip(x + 3, 0, 6) / 6`, in any of its spellings, is HardSwish.
- Constants that scale and shift what a convolution computes become part of its weights.
- So do numbers that scale and shift what a convolution is given; where it pads, what is added stays before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.interop.onnx.reading import GraphData, NodeData

_SIXTH = 1 / 6
_Doubles = npt.NDArray[np.float64]


def simplified(graph: GraphData, readers: dict[str, int]) -> GraphData:
    """The graph with fewer nodes that compute the same.

    Args:
        graph: the graph.
        readers: how often each value is read; empty where that is not known, and nothing is changed then.
    """
    if not readers:
        return graph
    work = _Work(graph, readers)
    try:
        for node in graph.nodes:
            work.enter(node)
    except (ValueError, TypeError, IndexError):
        return graph  # which is damaged: who takes the nodes over says where
    return replace(graph, nodes=list(work.nodes.values()), constants=work.constants)


class _Work:
    """The nodes so far, who makes which value, and how often it is read."""

    def __init__(self, graph: GraphData, readers: dict[str, int]) -> None:
        self.constants = dict(graph.constants)
        self.readers = dict(readers)
        self.nodes: dict[int, NodeData] = {}
        self.makers: dict[str, NodeData] = {}
        self.known: dict[str, Any] = {}

    def enter(self, node: NodeData) -> None:
        """Take a node, or what it makes of those before it."""
        self._add(node)
        if node.domain or len(node.outputs) != 1 or (not node.inputs and node.op_type != "Constant"):
            return
        if node.op_type == "Constant" and isinstance(node.attributes.get("value"), np.ndarray):
            self.known[node.outputs[0]] = node.attributes["value"]
        elif node.op_type == "Reshape" and len(node.inputs) == 2:
            self._reshape(node)
        elif node.op_type in ("Add", "Sub", "Mul", "Div") and len(node.inputs) == 2:
            _ = self._hard(node) or self._scaled_output(node)
        elif node.op_type == "Conv":
            self._scaled_input(node)

    # What is known

    def constant(self, name: str) -> Any:
        """A constant's array, or None."""
        return self.constants.get(name, self.known.get(name))

    def number(self, name: str) -> float | None:
        """A constant of one element."""
        array = self.constant(name)
        if array is None or array.size != 1 or array.ndim > 1 or array.dtype.kind != "f":
            return None
        return float(array.reshape(()))

    def made_by(self, name: str, *kinds: str) -> NodeData | None:
        """The node that makes a value which nobody else reads, if it is one of these kinds."""
        node = self.makers.get(name)
        if node is None or node.op_type not in kinds or self.readers.get(name) != 1:
            return None
        return node if len(node.inputs) == 2 or node.op_type not in ("Add", "Mul") else None

    def operands(self, node: NodeData) -> list[tuple[str, str]]:
        """A node's two inputs, in both orders where these mean the same."""
        a, b = node.inputs
        return [(a, b), (b, a)] if node.op_type in ("Add", "Mul") else [(a, b)]

    # Changes

    def _add(self, node: NodeData) -> None:
        self.nodes[id(node)] = node
        self.makers |= {name: node for name in node.outputs if name and not node.domain}

    def _put(self, node: NodeData, gone: Sequence[NodeData]) -> None:
        """Put a node in the place of others."""
        for old in gone:
            del self.nodes[id(old)]
            for name in old.inputs:
                self.readers[name] = self.readers.get(name, 0) - 1
        for name in node.inputs:
            self.readers[name] = self.readers.get(name, 0) + 1
        self._add(node)

    def _reshape(self, node: NodeData) -> None:
        array, shape = (self.constant(name) for name in node.inputs)
        if array is not None and shape is not None and not node.attributes and (shape > 0).all():
            self.known[node.outputs[0]] = array.reshape(shape.tolist())

    # Hard swish

    def _clipped(self, name: str) -> tuple[str, list[NodeData]] | None:
        """What x is in `clip(x + 3, 0, 6)`, and the nodes."""
        clip = self.made_by(name, "Clip")
        if clip is None:
            return None
        bounds = [self.number(i) for i in clip.inputs[1:]] or [clip.attributes.get(k) for k in ("min", "max")]
        add = self.made_by(clip.inputs[0], "Add")
        if bounds != [0.0, 6.0] or add is None:
            return None
        found = next((x for x, three in self.operands(add) if self.number(three) == 3.0), None)
        return None if found is None else (found, [add, clip])

    def _hard(self, node: NodeData) -> bool:
        sixth = self._sixth_of(node)
        if sixth is not None:
            product = self.made_by(sixth, "Mul")
            for x, gate in self.operands(product) if product is not None else ():
                found = self._clipped(gate)
                if product is not None and found is not None and found[0] == x:
                    self._put(_node(node, "HardSwish", x), [*found[1], product, node])
                    return True
            found = self._clipped(sixth)
            if found is not None:
                self._put(_node(node, "HardSigmoid", found[0], alpha=_SIXTH, beta=0.5), [*found[1], node])
                return True
        for x, gate in self.operands(node) if node.op_type == "Mul" else ():
            sigmoid = self.made_by(gate, "HardSigmoid")
            if sigmoid is None or sigmoid.inputs[0] != x:
                continue
            if abs(sigmoid.attributes.get("alpha", 0.2) - _SIXTH) < 1e-6 and sigmoid.attributes.get("beta", 0.5) == 0.5:
                self._put(_node(node, "HardSwish", x), [sigmoid, node])
                return True
        return False

    def _sixth_of(self, node: NodeData) -> str | None:
        """What a node divides by 6."""
        for x, other in self.operands(node) if node.op_type in ("Div", "Mul") else ():
            number = self.number(other)
            if number is not None and abs(number - (6.0 if node.op_type == "Div" else _SIXTH)) < 1e-7:
                return x
        return None

    # Convolutions

    def _weights(self, conv: NodeData) -> tuple[_Doubles, _Doubles] | None:
        arrays = [self.constant(name) for name in conv.inputs[1:] if name]
        if any(array is None or array.dtype != np.float32 for array in arrays) or not arrays or arrays[0].ndim < 3:
            return None
        kernel = arrays[0].astype(np.float64)
        return kernel, arrays[1].astype(np.float64) if len(arrays) > 1 else np.zeros(len(kernel))

    def _with_weights(self, conv: NodeData, kernel: _Doubles, bias: _Doubles, x: str, outputs: list[str]) -> NodeData:
        names = [f"{outputs[0]}/{x}/{what}" for what in ("kernel", "bias")]
        for name, array in zip(names, (kernel, bias), strict=True):
            self.constants[name] = array.astype(np.float32)
        return replace(conv, inputs=[x, *names], outputs=outputs)

    def _scaled_output(self, node: NodeData) -> bool:
        """A convolution with the constant behind it in its weights."""
        a, b = node.inputs
        for x, other in ((a, b), (b, a)):
            conv, array = self.made_by(x, "Conv"), self.constant(other)
            weights = None if conv is None or array is None else self._weights(conv)
            if conv is None or weights is None:
                continue
            kernel, bias = weights
            channels = _per_channel(array, kernel)
            if channels is None or (node.op_type == "Div" and (x == b or not channels.all())):
                continue
            if node.op_type in ("Mul", "Div"):
                factor = channels if node.op_type == "Mul" else 1 / channels
                kernel, bias = kernel * factor.reshape(-1, *(1,) * (kernel.ndim - 1)), bias * factor
            else:
                sign = -1.0 if node.op_type == "Sub" and x == b else 1.0
                kernel, bias = kernel * sign, bias * sign
                bias = bias + (-channels if node.op_type == "Sub" and x == a else channels)
            self._put(self._with_weights(conv, kernel, bias, conv.inputs[0], node.outputs), [conv, node])
            return True
        return False

    def _scaled_input(self, conv: NodeData) -> None:
        """A convolution with the numbers before it in its weights, what is added only where it does not pad."""
        weights = self._weights(conv)
        add = self.made_by(conv.inputs[0], "Add")
        if weights is None or add is None:
            return
        y, shift = next(((y, n) for y, o in self.operands(add) if (n := self.number(o)) is not None), ("", None))
        scale = self.made_by(y, "Mul")
        if shift is None or scale is None:
            return
        x, factor = next(((x, n) for x, o in self.operands(scale) if (n := self.number(o)) is not None), ("", None))
        if not factor or not np.isfinite([factor, shift]).all():
            return
        kernel, bias = weights
        pads = any(conv.attributes.get("pads", ())) or conv.attributes.get("auto_pad", "NOTSET") not in (
            "NOTSET",
            "VALID",
        )
        if not pads:
            bias = bias + shift * kernel.reshape(len(kernel), -1).sum(axis=1)
            self._put(self._with_weights(conv, kernel * factor, bias, x, conv.outputs), [scale, add, conv])
            return
        name = f"{add.outputs[0]}/shift"
        self.constants[name] = np.float32(shift / factor).reshape(1)
        self._put(replace(add, inputs=[x, name]), [scale, add])
        self._put(self._with_weights(conv, kernel * factor, bias, conv.inputs[0], conv.outputs), [conv])


def _node(node: NodeData, kind: str, x: str, **attributes: Any) -> NodeData:
    return replace(node, op_type=kind, inputs=[x], attributes=attributes)


def _per_channel(array: npt.NDArray[Any], kernel: _Doubles) -> _Doubles | None:
    """A constant as one number per output channel, if it broadcasts so with what a convolution computes."""
    rank = kernel.ndim
    if array.dtype != np.float32 or array.ndim > rank or not np.isfinite(array).all():
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    if shape[0] != 1 or any(n != 1 for n in shape[2:]) or shape[1] not in (1, len(kernel)):
        return None
    return np.broadcast_to(array.reshape(-1).astype(np.float64), (len(kernel),))
