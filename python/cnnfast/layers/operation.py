"""Functions of `cnnfast.ops` as layers of a model."""

from __future__ import annotations

from typing import Any

from cnnfast import ops
from cnnfast.layers.base import Layer, unique_name
from cnnfast.symbolic import note_operations_with


class OperationLayer(Layer):
    """A function of `cnnfast.ops` in a model, made where one is called on symbolic tensors.

    Args:
        function: the function's name in `cnnfast.ops`.
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
        super().__init__(**{"name": unique_name(str(function)), **kwargs})
        if function not in ops.__all__:
            raise ValueError(f"OperationLayer: function expects the name of one in cnnfast.ops, got {function!r}")
        self.function = function
        self._compute = getattr(ops, function)

    def call(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._compute(*args, **kwargs)


note_operations_with(OperationLayer)
