"""What a tape keeps of an operation: whose result it is, and how gradients go back through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.tensor import FloatArray, Tensor, Value, Variable, is_float32

# Called with dy and with one flag per input; returns one gradient per input, None where the flag is False.
VectorJacobianProduct = Callable[[FloatArray, Sequence[bool]], Sequence["npt.NDArray[Any] | None"]]


class Parameters:
    """Variables that an operation takes at every call: what a tape asks about them is looked up once.

    Example:
        >>> w = Variable([1.0, 2.0])
        >>> Parameters([w]).values()
        [array([1., 2.], dtype=float32)]
    """

    __slots__ = ("by_key", "keys", "variables")

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = tuple(variables)
        self.keys = [v._key for v in variables]
        self.by_key = dict(zip(self.keys, self.variables, strict=True))

    def values(self) -> list[FloatArray]:
        """The variables' arrays as they are now."""
        return [v._value for v in self.variables]


class Operation:
    """One recorded operation.

    Args:
        op: its name, for messages.
        inputs: its differentiable inputs: arrays, tensors or variables.
        output: its result.
        vjp: its vector-Jacobian product.
        parameters: more inputs, behind the others. The product then returns what the engine made: float32 arrays of the
            inputs' shapes, and None for all others.
    """

    __slots__ = ("around", "input_keys", "input_shapes", "op", "output_key", "variables", "versions", "vjp")

    def __init__(
        self,
        op: str,
        inputs: Sequence[Any],
        output: Tensor,
        vjp: VectorJacobianProduct,
        parameters: Parameters | None = None,
    ) -> None:
        self.op = op
        self.output_key = output._key
        self.vjp = vjp
        self.around: Operation | None = None
        self.input_keys = [x._key if isinstance(x, Value) else 0 for x in inputs]
        self.variables: Sequence[Variable] = [x for x in inputs if isinstance(x, Variable)]
        # Of inputs whose gradients are to be checked.
        self.input_shapes: list[tuple[int, ...] | None] | None = None
        if parameters is None:
            self.input_shapes = [x._value.shape if isinstance(x, Value) else None for x in inputs]
        else:
            self.input_keys += parameters.keys
            self.variables = [*self.variables, *parameters.variables] if self.variables else parameters.variables
        self.versions = [v._version for v in self.variables]

    def played(self, needed: set[int], wanted: set[int]) -> Operation:
        """What to play back: the way around the input where the tape knows it and the input is not `wanted`."""
        around = self.around
        if around is None or around.input_keys[0] not in needed or self.input_keys[0] in wanted:
            return self
        return around

    def gradients(self, dy: FloatArray, needed: set[int]) -> list[tuple[int, FloatArray]]:
        """The key of each input whose gradient is needed, with that gradient."""
        if self.versions != [v._version for v in self.variables]:
            self._raise_overwritten()
        keys, shapes = self.input_keys, self.input_shapes
        needs = [key in needed for key in keys]
        gradients = self.vjp(dy, needs)
        if shapes is None:
            return [(key, found) for key, found in zip(keys, gradients, strict=True) if found is not None]
        found = []
        for key, shape, need, gradient in zip(keys, shapes, needs, gradients, strict=True):
            if gradient is None or not need:
                continue
            if not is_float32(gradient):
                gradient = np.asarray(gradient, np.float32)
            if gradient.shape != shape:
                raise RuntimeError(f"{self.op}: its gradient has shape {gradient.shape}, the input has {shape}")
            found.append((key, gradient))
        return found

    def _raise_overwritten(self) -> None:
        for variable, version in zip(self.variables, self.versions, strict=True):
            if variable._version != version:
                raise RuntimeError(
                    f"{self.op}: variable {variable.name} was overwritten by an optimizer after this operation was "
                    "recorded; take the gradient first"
                )
