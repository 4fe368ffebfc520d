"""Functions of `cnnfast.ops` as layers of a model."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.layers.base import Layer, unique_name
from cnnfast.layers.merging import broadcast_shape
from cnnfast.ops.shaping import integers
from cnnfast.symbolic import KerasTensor, Shape, SymbolicArgumentError, has_symbolic, note_operations_with, tried


class OperationLayer(Layer):
    """A function of `cnnfast.ops` in a model, made where one is called on symbolic tensors.

    Args:
        function: the function's name in `cnnfast.ops`, as "add" or "image.resize".
        **kwargs: `name`.

    Raises:
        ValueError: there is no such function.

    Example:
        >>> from cnnfast import layers
        >>> x = layers.Input((3,))
        >>> ops.add(x, 1.0).node.layer.function
        'add'
    """

    def __init__(self, function: str, **kwargs: Any) -> None:
        super().__init__(**{"name": unique_name(str(function).replace(".", "_")), **kwargs})
        module, _, name = str(function).rpartition(".")
        functions: Any = {"": ops, "image": ops.image if module else ops}.get(module)
        if functions is None or name not in functions.__all__:
            raise ValueError(f"OperationLayer: function expects the name of one in cnnfast.ops, got {function!r}")
        self.function = function
        self._compute = getattr(functions, name)
        self.built = True

    def _prepared(self, x: Any) -> Any:
        # Operations convert what they are given themselves: it may be positions, or einsum's letters.
        if has_symbolic(x):
            raise SymbolicArgumentError(f"{self.name}: a symbolic tensor has no value")
        return x

    def compute_output_spec(self, x: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Symbolic tensors like those that a call with these arguments gives."""
        if self.function == "reshape" and isinstance(x, KerasTensor):
            return KerasTensor(_reshaped(x.shape, *args, **kwargs), x.dtype)
        if self.function == "image.non_max_suppression":  # whatever values stand for the boxes, how many stay is open
            return KerasTensor((None, 3), "int64")
        shape = None if kwargs else _elementwise(self.function, (x, *args))
        if shape is not None:
            return KerasTensor(shape)
        return tried(self, (x, *args), kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._compute(*args, **kwargs)

    def computed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a call with values gives, without what calls of layers do besides."""
        try:
            return self._compute(*args, **kwargs)
        except (ValueError, TypeError) as error:
            self._raise_named(error)


# Functions whose result has the shape that their operands, one or two, broadcast to.
_OF_ONE = frozenset({
    "abs", "exp", "hard_sigmoid", "hard_silu", "negative", "relu", "relu6", "sigmoid", "silu", "softplus", "sqrt",
    "square", "tanh",
})  # fmt: skip
_NUMBERS = (int, float, np.number)
_OF_TWO = frozenset({"add", "divide", "maximum", "minimum", "multiply", "subtract", "true_divide"})


def _elementwise(function: str, operands: tuple[Any, ...]) -> Shape | None:
    """The shape of a function's result where it is known without trying: trying large images out takes its time."""
    if function == "clip" and all(bound is None or isinstance(bound, _NUMBERS) for bound in operands[1:]):
        function, operands = "relu", operands[:1]
    if len(operands) != (function in _OF_ONE) + 2 * (function in _OF_TWO):
        return None
    shapes: list[Shape] = []
    for x in operands:
        if isinstance(x, KerasTensor) and x.dtype == "float32":
            shapes.append(x.shape)
        elif isinstance(x, _NUMBERS) or (isinstance(x, np.ndarray) and x.dtype.kind in "iuf"):
            shapes.append(np.shape(x))
        else:
            return None
    return functools.reduce(functools.partial(broadcast_shape, function), shapes)


def _reshaped(shape: Shape, newshape: int | Sequence[int]) -> Shape:
    """The shape of `ops.reshape`'s result, whatever the sizes are that are not fixed."""
    wanted = integers("reshape", "newshape", newshape)
    if wanted.count(-1) > 1 or any(n < -1 for n in wanted):
        raise ValueError(f"reshape: newshape expects sizes and at most one -1, got {wanted}")
    known = math.prod(n for n in shape if n is not None)
    filled = math.prod(n for n in wanted if n != -1)
    if None not in shape:
        if -1 in wanted and filled and known % filled == 0:
            return tuple(known // filled if n == -1 else n for n in wanted)
        if known != filled or -1 in wanted:
            raise ValueError(f"reshape: x of shape {shape} ({known} elements) does not fill {wanted}")
    elif -1 not in wanted and (filled % known if known else filled):
        raise ValueError(f"reshape: x of shape {shape} cannot fill {wanted}, whatever its open sizes are")
    return tuple(None if n == -1 else n for n in wanted)


note_operations_with(OperationLayer)
