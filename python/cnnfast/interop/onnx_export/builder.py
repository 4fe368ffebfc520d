"""The graph as it is put together: nodes, constants, names, and tensors brought into another order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import Value as Computed
from cnnfast.autograd import to_float32
from cnnfast.interop.onnx_export.values import Order, Value, channels_second, plain_order
from cnnfast.symbolic import Shape

Array = npt.NDArray[Any]
_SMALL = 1 << 12  # constants of fewer bytes are compared, so that each is stored once


class Builder:
    """The nodes and constants of a graph.

    Args:
        onnx: the package.
        opset: the version of the operators.
    """

    def __init__(self, onnx: Any, opset: int) -> None:
        self.onnx, self.opset = onnx, opset
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self._names: set[str] = set()
        self._by_content: dict[Any, str] = {}
        self._ordered: dict[tuple[str, Order, Order], Value] = {}
        self._flattened: dict[str, Value] = {}
        self._scope: list[str] = []
        self._description = ""

    # Names

    @contextmanager
    def within(self, name: str, description: str) -> Iterator[None]:
        """A block whose nodes and constants are named after a layer."""
        before = self._description
        self._scope.append(name)
        self._description = description
        try:
            yield
        finally:
            self._scope.pop()
            self._description = before

    @property
    def path(self) -> str:
        """The layers that are being written, from the outermost on."""
        return "/".join(self._scope)

    def unique(self, name: str) -> str:
        """A name like this one that nothing has yet."""
        found, count = name, 1
        while found in self._names:
            found, count = f"{name}_{count}", count + 1
        self._names.add(found)
        return found

    def _named(self, what: str) -> str:
        return self.unique("/".join([*self._scope, what]))

    # Nodes and constants

    def node(self, kind: str, inputs: Sequence[Value | str | None], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node; returns the names of its outputs. An input that is left out is None."""
        name = self._named(kind)
        made = [name, *(self.unique(f"{name}:{i}") for i in range(1, outputs))]
        given = ["" if x is None else x.name if isinstance(x, Value) else x for x in inputs]
        while given and not given[-1]:
            given.pop()
        self.nodes.append(
            self.onnx.helper.make_node(kind, given, made, name=name, doc_string=self._description, **attributes)
        )
        return made

    def like(
        self, kind: str, x: Value, *others: Value | str | None, dtype: str | None = None, **attributes: Any
    ) -> Value:
        """Add a node whose output has the shape and order of its first input."""
        (name,) = self.node(kind, [x, *others], **attributes)
        return replace(x, name=name, dtype=dtype or x.dtype)

    def made(
        self, kind: str, inputs: Sequence[Value | str | None], shape: Shape, order: Order | None = None,
        dtype: str = "float32", **attributes: Any,
    ) -> Value:  # fmt: skip
        """Add a node whose output has this shape in the model and this order in the graph (the model's if None)."""
        (name,) = self.node(kind, inputs, **attributes)
        return Value(name, tuple(shape), plain_order(len(shape)) if order is None else order, dtype)

    def constant(self, array: Any, what: str = "constant") -> str:
        """A constant's name; equal small ones are one."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.nbytes <= _SMALL else None
        if key is None or key not in self._by_content:
            name = self._named(what)
            self.constants[name] = np.ascontiguousarray(array).reshape(array.shape)
            if key is None:
                return name
            self._by_content[key] = name
        return self._by_content[key]

    def value(self, x: Any) -> Value:
        """A constant as a value; what is one already stays. Integers and truth values keep their type."""
        if isinstance(x, Value):
            return x
        array = np.asarray(x) if not isinstance(x, Computed) else to_float32(x)
        if array.dtype.kind not in "iub":
            array = to_float32(x)
        name = self.weight(x, "constant") if isinstance(x, Computed) else self.constant(array)
        return Value(name, array.shape, plain_order(array.ndim), array.dtype.name)

    def number(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(np.float32(value))

    def integers(self, values: Sequence[int]) -> str:
        """A vector of int64, as shapes, axes and positions are."""
        return self.constant(np.asarray(values, np.int64))

    def weight(
        self, weight: Any, what: str, change: Callable[[Array], Array] = lambda array: array, how: Any = None
    ) -> str:
        """A weight's name: a variable, or an array, that is stored once however often it is used in this form.

        Args:
            weight: the variable.
            what: its name.
            change: gives it the shape that the node takes.
            how: what tells this form from others of the same variable.
        """
        key = (id(weight), how) if isinstance(weight, Computed) else None
        if key is None or key not in self._by_content:
            name = self._named(what)
            array = np.ascontiguousarray(change(to_float32(weight)), np.float32)
            self.constants[name] = array.copy() if np.shares_memory(array, to_float32(weight)) else array
            if key is None:
                return name
            self._by_content[key] = name
        return self._by_content[key]

    # Order

    def plain(self, x: Value) -> Value:
        """The value with its elements in the model's order within a row of them."""
        if x.columns is None:
            return x
        if x.name in self._flattened:
            return self._row(self.ordered(self._flattened[x.name]))
        order, sizes = x.columns
        images = self.made(
            "Reshape", [x, self.integers([0, *(sizes[a - 1] for a in order[1:])])], (x.shape[0], *sizes), order
        )
        return self._row(self.ordered(images))

    def _row(self, x: Value) -> Value:
        sizes = [n for n in x.shape[1:] if n is not None]
        size = math.prod(sizes) if len(sizes) == x.rank - 1 else None
        return self.made("Flatten", [x], (x.shape[0], size), axis=1)

    def flattened(self, x: Value) -> Value:
        """The values of each example in a row; in the graph's own order as long as nobody minds."""
        row = self._row(x)
        if x.order == plain_order(x.rank) or x.columns is not None:
            return row
        if x.order[0] != 0 or None in x.shape[1:]:
            return self._row(self.ordered(x))
        self._flattened[row.name] = x
        return replace(row, columns=(x.order, tuple(n for n in x.shape[1:] if n is not None)))

    def ordered(self, x: Value, order: Order | None = None) -> Value:
        """The value with its axes in an order, the model's own if None."""
        x = self.plain(x)
        order = plain_order(x.rank) if order is None else order
        if x.order == order:
            return x
        key = (x.name, x.order, order)
        if key not in self._ordered:
            found = self._moved(x, order)
            self._ordered[key] = found
            self._ordered[found.name, order, x.order] = x
        return replace(self._ordered[key], shape=x.shape)

    def _moved(self, x: Value, order: Order) -> Value:
        def long(o: Order) -> list[int]:
            return [a for a in o if x.shape[a] != 1]

        if long(order) == long(x.order) and x.shape.count(None) <= 1:
            # Only axes of length 1 change their place: the elements stay where they are.
            shape = [-1 if x.shape[a] is None else x.shape[a] for a in order]
            return self.made("Reshape", [x, self.integers(shape)], x.shape, order, x.dtype)  # type: ignore[arg-type]
        perm = [x.order.index(a) for a in order]
        return self.made("Transpose", [x], x.shape, order, x.dtype, perm=perm)

    def channels_second(self, x: Value, axis: int = -1) -> Value:
        """The value with the channels, one of the model's axes, in the second place."""
        return self.ordered(x, channels_second(x.rank, axis))

    def with_rank(self, x: Value, rank: int, at: int = 0, order: Order | None = None) -> Value:
        """The value with axes of length 1 more, from one of the model's axes on, in an order if one is given."""
        extra = rank - x.rank
        if extra:
            x = self.plain(x)
            renamed = tuple(a if a < at else a + extra for a in x.order)
            new = tuple(range(at, at + extra))
            target = order or (*renamed[:at], *new, *renamed[at:])
            kept = [a for a in target if a not in new]
            x = self.ordered(x, tuple(a if a < at else a - extra for a in kept))
            axes = self.integers([i for i, a in enumerate(target) if a in new])
            shape = (*x.shape[:at], *(1,) * extra, *x.shape[at:])
            x = self.made("Unsqueeze", [x, axes], shape, target, x.dtype)
        return x if order is None else self.ordered(x, order)

    def floats(self, x: Value) -> Value:
        """The value as float32."""
        if x.dtype == "float32":
            return x
        return self.like("Cast", x, dtype="float32", to=self.onnx.TensorProto.FLOAT)

    def shape_of(self, x: Value, places: slice) -> str:
        """Some sizes of a tensor, in the graph's order, found when it runs."""
        (shape,) = self.node("Shape", [x])
        begin, end, _ = places.indices(x.rank)
        (part,) = self.node("Slice", [shape, self.integers([begin]), self.integers([end]), self.integers([0])])
        return part

    def reshaped(self, x: Value, sizes: Sequence[Any], shape: Shape, order: Order | None = None) -> Value:
        """A reshape to sizes in the graph's order: numbers, or one-element vectors that the graph computes."""
        if all(not isinstance(n, str) for n in sizes):
            return self.made("Reshape", [x, self.integers(sizes)], shape, order, x.dtype)
        parts = [n if isinstance(n, str) else self.integers([n]) for n in sizes]
        (target,) = self.node("Concat", parts, axis=0)
        return self.made("Reshape", [x, target], shape, order, x.dtype)
