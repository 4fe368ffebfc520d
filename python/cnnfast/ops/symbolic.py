"""What makes the public operations and Python's operators describe models when they are given symbolic tensors."""

from __future__ import annotations

from typing import Any

from cnnfast.symbolic import KerasTensor, symbolic_aware

# Functions of shapes, those that make arrays of nothing, and those that write into arrays: they take no tensors.
_NOT_OF_TENSORS = frozenset(
    {
        "adam_update",
        "arange",
        "conv_algorithms",
        "conv_multiply_adds",
        "conv_output_shape",
        "conv_transpose_multiply_adds",
        "conv_transpose_output_shape",
        "eye",
        "full",
        "identity",
        "is_tensor",
        "linspace",
        "ndim",
        "ones",
        "pool_output_shape",
        "sgd_update",
        "shape",
        "tri",
        "zeros",
    }
)

_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "matmul": "matmul",
    "mod": "mod",
    "floordiv": "floor_divide",
    "and": "logical_and",
    "or": "logical_or",
    "xor": "logical_xor",
}
# Not ==: tensors are compared with one another and looked up in dictionaries when a model is made of them.
_ONE_SIDED = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "ne": "not_equal",
    "neg": "negative",
    "abs": "abs",
    "invert": "logical_not",
    "getitem": "index",
}


def wrap(namespace: dict[str, Any], names: list[str], prefix: str) -> None:
    """Wrap the named functions of a module whose names begin with `prefix` in `cnnfast.ops`."""
    for name in names:
        namespace[name] = symbolic_aware(namespace[name], prefix + name)


def install(namespace: dict[str, Any], names: list[str]) -> None:
    """Wrap the named functions of a module, and give `KerasTensor` the operators that are among them."""
    for name in names:
        if name not in _NOT_OF_TENSORS:
            namespace[name] = symbolic_aware(namespace[name])
    for operator, name in _OPERATORS.items():
        function = namespace[name]
        setattr(KerasTensor, f"__{operator}__", function)
        setattr(KerasTensor, f"__r{operator}__", _reflected(function))
    for operator, name in _ONE_SIDED.items():
        setattr(KerasTensor, f"__{operator}__", namespace[name])
    for name in ("reshape", "squeeze"):
        setattr(KerasTensor, name, namespace[name])


def _reflected(function: Any) -> Any:
    def method(self: KerasTensor, other: Any) -> Any:
        return function(other, self)

    return method
