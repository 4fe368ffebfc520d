"""Layers in inference whose weights lie ready in the form in which the engine's loops read them.

A call of `ops.conv2d` packs or transforms the weights each time. Where the same weights meet one small batch after the
other, that takes as long as the products; so inference keeps what was made of the weights until one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnfast import activations, layers
from cnnfast.autograd import FloatArray, Variable, is_float32
from cnnfast.layers.operation import OperationLayer
from cnnfast.models.fusion import PooledConvolution, WeightedActivation, applied, overridden, weighted_layer
from cnnfast.models.steps import Step
from cnnfast.ops._fusion import Fused
from cnnfast.ops._prepared import INFERENCE_ACTIVATIONS, Prepared, sum_of_two


class _Made(NamedTuple):
    """What was made of some variables."""

    sources: tuple[Variable | None, ...]  # held, so that no other variable gets the id of one of them
    made_at: tuple[Any, ...]
    kernel: FloatArray
    bias: FloatArray | None
    compute: Prepared


class ReadyWeights:
    """The weights that a convolution or dense layer computes with, made again when a variable has changed.

    Copies and pickles hold nothing of that: it is made anew where it is needed.
    """

    def __init__(self) -> None:
        self._made: _Made | None = None

    def of(
        self,
        layer: Any,
        activation: Fused,
        sources: tuple[Variable | None, ...],
        others: Any,
        weights: Callable[[], tuple[FloatArray, FloatArray | None]],
    ) -> _Made | None:
        """What is ready for these variables' present values; None where one is an array, whose changes nobody counts.

        Args:
            layer: what computes, with a border or without.
            activation: what is applied to its sums.
            sources: the variables that the weights are made of.
            others: what else they depend on.
            weights: makes the kernel and the bias.
        """
        try:
            made_at = (activation, others, *[None if v is None else (id(v), v.changes) for v in sources])
        except AttributeError:  # a program has put an array in the place of a variable
            return None
        made = self._made
        if made is None or made.made_at != made_at:
            # In one assignment, and noted as of before: threads may be here at once, and one may change a variable.
            kernel, bias = weights()
            made = _Made(sources, made_at, kernel, bias, layer.prepared(kernel, bias, activation))
            self._made = made
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return ReadyWeights, ()


class PreparedLayer:
    """A convolution or dense layer, with a border or an activation or without, and its weights ready for inference."""

    def __init__(self, compute: Any) -> None:
        self.compute = compute
        self._ready = ReadyWeights()

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """What the layer computes."""
        parts = self._parts() if is_float32(x) else None
        if parts is None:  # a tensor, whose gradient may be asked for, or something else than the engine's own work
            return self.compute(x, training=training)
        layer, activation = parts
        sources = (layer.kernel, layer.bias)
        try:
            made = self._ready.of(layer, activation, sources, None, lambda: _values(*sources))
            if made is not None:
                return made.compute(x)
        except (ValueError, TypeError):
            pass  # what comes now tells what is wrong, and whose error it is
        return self.compute(x, training=training)

    def _parts(self) -> tuple[Any, Fused] | None:
        """What is computed, and the activation that the engine applies; None where there is more to it."""
        compute = self.compute
        if isinstance(compute, WeightedActivation):
            return compute.parts()
        layer = weighted_layer(compute)
        plain = layer.built and layer._after is None and layer.input_spec is None
        return (compute, layer._fused) if plain and _channels_last(layer) else None


class LateActivation(WeightedActivation):
    """A layer and an activation that the engine applies while it writes in inference only: no gradient passes it."""

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The activated output, where somebody may ask for the gradient."""
        return applied(self.layer(x, training=training), self._activation)


class PlainSum:
    """The sum of two arrays of one shape, without what layers ask before they add."""

    def __init__(self, compute: Any) -> None:
        self.compute = compute

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The sum; the layer's own where there is more to it."""
        if len(x) == 2 and is_float32(x[0]) and is_float32(x[1]) and x[0].shape == x[1].shape:
            return sum_of_two(x[0], x[1])
        return self.compute(x, training=training)


def late_activation(step: Step) -> str | None:
    """The name of an activation layer's function, if the engine applies it while it writes in inference."""
    layer: Any = step.compute
    if type(layer) is layers.Activation:
        function = layer.activation
        return next((name for name in INFERENCE_ACTIVATIONS if getattr(activations, name) is function), None)
    if type(layer) is OperationLayer and layer.function in INFERENCE_ACTIVATIONS and step.plain is not None:
        name: str = layer.function
        return name
    return None


def _channels_last(layer: Any) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _values(kernel: Variable, bias: Variable | None) -> tuple[FloatArray, FloatArray | None]:
    return kernel._value, None if bias is None else bias._value


def prepared(compute: Any) -> Any:
    """The same with its weights ready, where it is a layer whose weights can be."""
    if type(compute) is PooledConvolution:
        return compute.with_alone(prepared)
    if type(compute) is layers.Add and compute.activity_regularizer is None and not overridden(compute):
        return PlainSum(compute)
    layer = weighted_layer(compute.layer if isinstance(compute, WeightedActivation) else compute)
    return compute if layer is None or overridden(layer) else PreparedLayer(compute)
