"""What makes the public operations and Python's operators describe models when they are given symbolic tensors."""

from __future__ import annotations

from typing import Any

from cnnfast.symbolic import KerasTensor, symbolic_aware

# Functions of shapes, and those that write into arrays.
_NOT_DIFFERENTIABLE = frozenset(
    {
        "adam_update",
        "conv_algorithms",
        "conv_multiply_adds",
        "conv_output_shape",
        "conv_transpose_multiply_adds",
        "conv_transpose_output_shape",
        "pool_output_shape",
        "sgd_update",
    }
)

_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "matmul": "matmul",
}


def install(namespace: dict[str, Any], names: list[str]) -> None:
    """Wrap the named functions of a module, and give `KerasTensor` the operators that are among them."""
    for name in names:
        if name not in _NOT_DIFFERENTIABLE:
            namespace[name] = symbolic_aware(namespace[name])
    for operator, name in _OPERATORS.items():
        function = namespace[name]
        setattr(KerasTensor, f"__{operator}__", function)
        setattr(KerasTensor, f"__r{operator}__", _reflected(function))
    for operator, name in {"neg": "negative", "abs": "abs", "getitem": "index"}.items():
        setattr(KerasTensor, f"__{operator}__", namespace[name])


def _reflected(function: Any) -> Any:
    def method(self: KerasTensor, other: Any) -> Any:
        return function(other, self)

    return method
