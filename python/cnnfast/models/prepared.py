"""Layers in inference whose weights lie ready in the form in which the engine's loops read them.

A call of `ops.conv2d` packs or transforms the weights each time. Where the same weights meet one small batch after the
other, that takes as long as the products; so inference keeps what was made of the weights until one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple
from weakref import WeakValueDictionary

from cnnfast import activations, layers
from cnnfast.autograd import FloatArray, Variable, is_float32
from cnnfast.layers.base import Layer
from cnnfast.layers.operation import OperationLayer
from cnnfast.layers.penalties import assigned_settings
from cnnfast.models.fusion import (
    PaddedConvolution,
    PooledConvolution,
    WeightedActivation,
    applied,
    overridden,
    weighted_layer,
)
from cnnfast.models.steps import Step
from cnnfast.ops._fusion import Fused
from cnnfast.ops._prepared import INFERENCE_ACTIVATIONS, Prepared, sum_of_two

_LATE = {name: getattr(activations, name) for name in sorted(INFERENCE_ACTIVATIONS)}


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

    # What lives, by what it is of: all calls of a layer that compute the same hold the same.
    _shared: ClassVar[WeakValueDictionary[tuple[Any, ...], ReadyWeights]] = WeakValueDictionary()

    def __init__(self) -> None:
        self._made: _Made | None = None

    @classmethod
    def shared(cls, layer: Any, *others: Any) -> ReadyWeights:
        """Those of a layer with its border and of what else its weights depend on.

        Who holds them holds the layer and the others too, so that no other objects get their ids meanwhile.
        """
        border = layer.border.padding if isinstance(layer, PaddedConvolution) else None
        owners = (weighted_layer(layer), *others)
        # Assigning what a layer computes makes other weights of it.
        key = (assigned_settings(), str(border), *[x if isinstance(x, (str, tuple)) else id(x) for x in owners])
        return cls._shared.setdefault(key, cls())

    def computed(self, x: FloatArray, *of: Any) -> FloatArray | None:
        """What the engine computes of x; None where an ordinary call has to, or can tell what is wrong.

        Args:
            x: the input.
            *of: the arguments of `of`.
        """
        try:
            made = self.of(*of)
            return None if made is None else made.compute(x)
        except (ValueError, TypeError):
            return None

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
    """A convolution or dense layer, with a border or an activation or without, and its weights ready for inference.

    An activation that the engine does not apply while it writes comes after.
    """

    def __init__(self, compute: Any) -> None:
        self.compute = compute
        behind = isinstance(compute, WeightedActivation)
        self._layer = compute.layer if behind else compute
        self._ready = ReadyWeights.shared(self._layer, compute.activation if behind else None)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """What the layer computes."""
        parts = self._parts() if is_float32(x) else None
        if parts is None:  # a tensor, whose gradient may be asked for, or something else than the engine's own work
            return self.compute(x, training=training)
        activation, after = parts
        layer = self._layer
        sources = (layer.kernel, layer.bias)
        y = self._ready.computed(x, layer, activation, sources, None, lambda: _values(*sources))
        if y is None:
            return self.compute(x, training=training)
        if after is None:
            return y
        with layer.naming_errors():
            return after(y)

    def _parts(self) -> tuple[Fused, Callable[[Any], Any] | None] | None:
        """The activation that the engine applies, and what comes after; None where there is more to it."""
        compute = self.compute
        if isinstance(compute, WeightedActivation):
            parts = compute.parts()
            return None if parts is None else (parts[1], None)
        layer = weighted_layer(compute)
        if not layer.built or layer.input_spec is not None or not _channels_last(layer):
            return None
        late = None if layer._after is None else _inference_activation(layer._after)
        return (layer._fused, layer._after) if late is None else (late, None)


class LateActivation(WeightedActivation):
    """A layer and an activation that the engine applies while it writes in inference only: no gradient passes it."""

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The activated output, where somebody may ask for the gradient."""
        return applied(self.layer(x, training=training), self._activation)


class InferredModel:
    """A model in a model, with its weights ready too."""

    def __init__(self, compute: Any) -> None:
        self.compute = compute

    def __call__(self, x: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """What the model computes."""
        if args or kwargs:  # its `call` takes more than the input
            return self.compute(x, *args, training=training, **kwargs)
        arrays = all(is_float32(part) for part in x) if type(x) is list else is_float32(x)
        # A call may have been made to train.
        return self.compute.infer(x) if arrays and not training else self.compute(x, training=training)


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
        return _inference_activation(layer.activation)
    if type(layer) is OperationLayer and layer.function in INFERENCE_ACTIVATIONS and step.plain is not None:
        name: str = layer.function
        return name
    return None


def _inference_activation(function: Any) -> str | None:
    """Its name, if the engine applies a function while it writes in inference."""
    return next((name for name, known in _LATE.items() if known is function), None)


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
    if isinstance(compute, Layer) and hasattr(compute, "infer"):
        plain = compute.input_spec is None and compute.activity_regularizer is None and not overridden(compute)
        return InferredModel(compute) if plain else compute
    layer = weighted_layer(compute.layer if isinstance(compute, WeightedActivation) else compute)
    return compute if layer is None or overridden(layer) else PreparedLayer(compute)
