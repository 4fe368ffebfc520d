"""Functions of `cnnfast.ops` as layers of a model."""

from __future__ import annotations

from typing import Any

from cnnfast import ops
from cnnfast.layers.base import Layer, unique_name
from cnnfast.symbolic import SymbolicArgumentError, described, has_symbolic, note_operations_with, tried_shapes


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
        return described(tried_shapes(self, (x, *args), kwargs))

    def call(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._compute(*args, **kwargs)


note_operations_with(OperationLayer)
