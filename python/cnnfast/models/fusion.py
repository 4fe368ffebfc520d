"""Neighbouring layers that one pass over memory computes: the same numbers, fewer reads and writes.

- A convolution or dense layer without an activation, then an activation layer: the engine activates while it writes.
- Zeros around the input, then a convolution without padding: the engine pads the few rows that it is at.
- A convolution with its activation, then max pooling: rows are pooled as soon as they are there.
- Batch normalization, then the sum with a shortcut, then ReLU, or a part of that: one pass instead of three.
- Zeros around what ReLU made, then max pooling: the pooling's own border, which never wins, does as well.

Only layers whose result nobody else reads are joined, and only these classes themselves: a subclass may compute
something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from cnnfast import activations, layers, ops
from cnnfast.layers.operation import OperationLayer
from cnnfast.models.steps import Step, readers
from cnnfast.ops._fusion import Fused
from cnnfast.ops._prepared import INFERENCE_ACTIVATIONS

WEIGHTED = (
    layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense, layers.DepthwiseConv1D, layers.DepthwiseConv2D,
)  # fmt: skip


CONVOLUTIONS = tuple(cls for cls in WEIGHTED if cls is not layers.Dense)
POOLINGS = {layers.Conv1D: layers.MaxPooling1D, layers.Conv2D: layers.MaxPooling2D, layers.Conv3D: layers.MaxPooling3D}
PADDINGS = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)


class PaddedConvolution:
    """A convolution with the zeros that a layer before it puts around its input; stands for that convolution."""

    def __init__(self, padding: Any, layer: Any) -> None:
        self._padding, self.layer = padding, layer
        self.naming_errors = layer.naming_errors

    @property
    def border(self) -> Any:
        """The layer that puts the zeros around the input."""
        return self._padding

    @property
    def kernel(self) -> Any:
        """The convolution's."""
        return self.layer.kernel

    @property
    def bias(self) -> Any:
        """The convolution's."""
        return self.layer.bias

    def weighted_alone(self) -> bool:
        """Whether there is no activation."""
        alone: bool = self.layer.weighted_alone()
        return alone

    def weighted(self, x: Any, kernel: Any, bias: Any, activation: Fused) -> Any:
        """The convolution of x with any weights."""
        return self.layer.weighted(x, kernel, bias, activation, self._padding.padding)

    def measured(self, x: Any, kernel: Any, bias: Any, activation: Fused) -> Any:
        """The same for a batch normalization behind it: its moments are found in the same pass."""
        return self.layer.measured(x, kernel, bias, activation, self._padding.padding)

    def pooled(self, x: Any, kernel: Any, bias: Any, activation: Fused, pooling: Any) -> Any:
        """The same, and the max pooling behind it, in one pass; None where a pass each is quicker."""
        return self.layer.pooled(x, kernel, bias, activation, pooling, self._padding.padding)

    def prepared(self, kernel: Any, bias: Any, activation: Fused) -> Any:
        """`weighted` with these weights, as arrays, for one float32 array after the other."""
        return self.layer.prepared(kernel, bias, activation, self._padding.padding)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The output for an input without its border."""
        layer = self.layer
        if not layer.built:  # which is for the input with it
            return layer(self._padding(x), training=training)
        with self.naming_errors():
            y = self.weighted(x, layer.kernel, layer.bias, layer._fused)
            return y if layer._after is None else layer._after(y)


def weighted_layer(layer: Any) -> Any:
    """The convolution or dense layer that a step's `compute` is, with a border or without; None for other things."""
    if isinstance(layer, PaddedConvolution):
        return layer.layer
    return layer if type(layer) in WEIGHTED else None


class WeightedActivation:
    """A convolution or dense layer with the activation that follows it."""

    def __init__(self, layer: Any, activation: Fused) -> None:
        self._layer, self._activation = layer, activation

    @property
    def layer(self) -> Any:
        """What is activated."""
        return self._layer

    @property
    def activation(self) -> Fused:
        """What is applied."""
        return self._activation

    def parts(self) -> tuple[Any, Fused] | None:
        """What is activated and how; None where the layer was given an activation since."""
        return (self._layer, self._activation) if self._layer.weighted_alone() else None

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The activated output."""
        layer = self._layer
        if not layer.weighted_alone():  # it was given an activation since
            return applied(layer(x), self._activation)
        with layer.naming_errors():
            return layer.weighted(x, layer.kernel, layer.bias, self._activation)


class PooledConvolution:
    """A convolution, perhaps with a border and an activation, and the max pooling that follows it."""

    def __init__(self, convolution: Any, pooling: Any) -> None:
        self._convolution, self._pooling = convolution, pooling
        self._alone = convolution  # what computes it where there are two passes

    def parts(self) -> tuple[Any, Any]:
        """The convolution, with its border and activation, and the pooling layer."""
        return self._convolution, self._pooling

    def with_alone(self, wrapped: Callable[[Any], Any]) -> PooledConvolution:
        """The same with what `wrapped` makes of the convolution where there are two passes."""
        made = PooledConvolution(self._convolution, self._pooling)
        made._alone = wrapped(self._convolution)
        return made

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The pooled output."""
        try:
            y = self._in_one_pass(x)
        except (ValueError, TypeError):
            y = None  # the layers by themselves tell whose error it is
        return self._pooling(self._alone(x, training=training), training=training) if y is None else y

    def _in_one_pass(self, x: Any) -> Any:
        """The pooled output; None where a pass each is quicker, or something comes in between."""
        parts = activated_convolution(self._convolution)
        if parts is None or not _as_its_class(self._pooling):
            return None
        layer, activation = parts
        return layer.pooled(x, layer.kernel, layer.bias, activation, self._pooling)


def activated_convolution(compute: Any) -> tuple[Any, Fused] | None:
    """The convolution that a step's `compute` is, perhaps with a border, and its activation.

    None where it is not built yet or something comes in between.
    """
    parts = compute.parts() if isinstance(compute, WeightedActivation) else None
    inner = weighted_layer(compute if parts is None else parts[0])
    if inner is None or not inner.built or not _as_its_class(inner):
        return None
    if parts is not None:
        return parts
    return (compute, inner._fused) if inner._after is None else None


class NormalizedSum:
    """Batch normalization, then perhaps a shortcut added, then perhaps ReLU."""

    def __init__(self, layer: layers.BatchNormalization, activation: str | None, has_shortcut: bool) -> None:
        self.layer, self.activation, self.has_shortcut = layer, activation, has_shortcut

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The output for x, or for [x, shortcut]."""
        x, shortcut = x if self.has_shortcut else (x, None)
        with self.layer.naming_errors():
            return self.layer.normalized(x, bool(training), self.activation, shortcut)


class PaddedPooling:
    """Max pooling of what ReLU made, with the zeros that a layer before it puts around its input.

    The zeros raise no maximum: there are no values below them. Where they would have won, the maximum is zero, and the
    gradient, which the border would have kept, ends at ReLU.
    """

    def __init__(self, padding: Any, pooling: Any) -> None:
        self._padding, self._pooling = padding, pooling

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The pooled output for an input without its border."""
        pooling = self._pooling
        if pooling.built and _as_its_class(pooling):
            try:
                return type(pooling)._op(x, pooling.pool_size, pooling.strides, self._padding.padding)
            except (ValueError, TypeError):
                pass  # the layers by themselves tell whose error it is
        return pooling(self._padding(x, training=training), training=training)


def _as_its_class(layer: Any) -> bool:
    """Whether a layer was not given another `call`, something to ask of its input, or another place for channels."""
    return "call" not in vars(layer) and layer.input_spec is None and layer.data_format == "channels_last"


def fused(steps: list[Step], kept: Iterable[int]) -> list[Step]:
    """The steps with neighbours joined where that is possible; `kept` are the slots of results."""
    kept = set(kept)
    for join in (_with_border, _with_activation, _with_shortcut, _with_activation, _with_pooling):
        steps = joined(steps, kept, join)
    rectified = {step.outputs[0] for step in steps if _ends_in_relu(step)} - kept
    return joined(steps, kept, partial(_with_padded_pooling, rectified))


def joined(steps: list[Step], kept: set[int], join: Any) -> list[Step]:
    """Each step replaced by what `join` makes of it and its only reader, at the place of the reader."""
    used = readers(steps)
    gone: set[int] = set()
    replaced: dict[int, Step] = {}
    for step in steps:
        if id(step) in gone or len(step.outputs) != 1 or step.outputs[0] in kept:
            continue
        step = replaced.get(id(step), step)
        following = used.get(step.outputs[0], [])
        if len(following) != 1 or id(following[0]) in replaced or following[0].inputs.count(step.outputs[0]) != 1:
            continue
        made = join(step, following[0])
        if made is not None:
            gone.add(id(step))
            replaced[id(following[0])] = made
    return [replaced.get(id(step), step) for step in steps if id(step) not in gone]


def _with_border(step: Step, following: Step) -> Step | None:
    padding: Any = step.compute
    layer: Any = following.compute
    if type(padding) not in PADDINGS or type(layer) not in CONVOLUTIONS or not plain_layers(step, following):
        return None
    last = padding.data_format == layer.data_format == "channels_last"
    if not last or layer.padding != "valid" or type(step.plain) is not int or type(following.plain) is not int:
        return None
    compute = PaddedConvolution(padding, layer)
    return Step(compute, step.layers + following.layers, step.args, {}, following.outputs, following.input_shape)


def _with_activation(step: Step, following: Step) -> Step | None:
    name = fusable_activation(following)
    if name is None or not plain_layers(step, following):
        return None
    compute: Any = None
    layer: Any = step.compute
    if weighted_layer(layer) is not None and layer.weighted_alone():
        compute = WeightedActivation(layer, name)
    elif name in ("relu", "relu6"):
        if type(layer) is layers.BatchNormalization and layer.over_last_axis():
            compute = NormalizedSum(layer, name, has_shortcut=False)
        elif isinstance(layer, NormalizedSum) and layer.activation is None:
            compute = NormalizedSum(layer.layer, name, layer.has_shortcut)
    if compute is None:
        return None
    return Step(compute, step.layers + following.layers, step.args, {}, following.outputs, step.input_shape)


def _with_shortcut(step: Step, following: Step) -> Step | None:
    layer, parts = step.compute, _summed(following)
    if parts is None or type(layer) is not layers.BatchNormalization or not layer.over_last_axis():
        return None
    if not plain_layers(step, following) or type(step.plain) is not int:
        return None
    shortcut = next(part for part in parts if part.number != step.outputs[0])
    compute = NormalizedSum(layer, None, has_shortcut=True)
    args = ([step.args[0], shortcut],)
    return Step(compute, step.layers + following.layers, args, {}, following.outputs, step.input_shape)


def _with_pooling(step: Step, following: Step) -> Step | None:
    compute: Any = step.compute
    layer = weighted_layer(compute.layer if isinstance(compute, WeightedActivation) else compute)
    pooling: Any = following.compute
    if layer is None or type(pooling) is not POOLINGS.get(type(layer)) or not plain_layers(step, following):
        return None
    if not layer.data_format == pooling.data_format == "channels_last" or layer._after is not None:
        return None
    if not layer.usually_pooled(step.input_shape, pooling):
        return None
    made = PooledConvolution(compute, pooling)
    return Step(made, step.layers + following.layers, step.args, {}, following.outputs, step.input_shape)


def _with_padded_pooling(rectified: set[int], step: Step, following: Step) -> Step | None:
    padding: Any = step.compute
    pooling: Any = following.compute
    if type(padding) not in PADDINGS or type(pooling) not in POOLINGS.values() or step.plain not in rectified:
        return None
    if not plain_layers(step, following) or type(following.plain) is not int:
        return None
    if not padding.data_format == pooling.data_format == "channels_last" or pooling.padding != "valid":
        return None
    # A window of nothing but the border has no maximum without it.
    if any(max(pair) >= size for pair, size in zip(padding.padding, pooling.pool_size, strict=True)):
        return None
    compute = PaddedPooling(padding, pooling)
    return Step(compute, step.layers + following.layers, step.args, {}, following.outputs, step.input_shape)


def _ends_in_relu(step: Step) -> bool:
    """Whether nothing in a step's result is below zero, nor a gradient goes on where it is zero."""
    compute: Any = step.compute
    if any(overridden(layer) for layer in step.layers):
        return False
    if isinstance(compute, NormalizedSum):
        return compute.activation is not None
    if isinstance(compute, WeightedActivation):
        parts = compute.parts()
        return parts is not None and parts[1] in ("relu", "relu6")
    layer = weighted_layer(compute)
    if layer is not None:
        return layer._fused in ("relu", "relu6") and layer._after is None
    return fusable_activation(step) in ("relu", "relu6")


def plain_layers(*steps: Step) -> bool:
    """Whether calls have nothing to them but their inputs, and layers neither a penalty nor another `call`."""
    plain = all(step.plain is not None or _summed(step) for step in steps) and not penalised(*steps)
    return plain and not any(overridden(layer) for step in steps for layer in step.layers)


def overridden(layer: Any) -> bool:
    """Whether a program gave this one layer another `call` than its class has."""
    return "call" in vars(layer)


def penalised(*steps: Step) -> bool:
    """Whether what a layer of these steps returns is penalised, so that it has to be computed."""
    return any(layer.activity_regularizer is not None for step in steps for layer in step.layers)


def applied(x: Any, activation: Fused) -> Any:
    """An activation that the engine would apply while it writes, by itself."""
    if isinstance(activation, tuple):
        return ops.leaky_relu(x, negative_slope=activation[1])
    if activation in INFERENCE_ACTIVATIONS:
        return getattr(ops, activation)(x)
    return ops.activation(x, activation)


def fusable_activation(step: Step) -> Fused:
    """The name of an activation layer's function, if the engine applies it while it writes."""
    layer: Any = step.compute
    if type(layer) is layers.Activation:
        return activations.split_fused(layer.activation)[0]
    if type(layer) is layers.ReLU and not layer.negative_slope and not layer.threshold:
        return {None: "relu", 6.0: "relu6"}.get(layer.max_value)
    if type(layer) is layers.LeakyReLU:
        return ("leaky_relu", layer.negative_slope)
    if type(layer) is OperationLayer and layer.function in ("relu", "relu6", "sigmoid", "tanh"):
        return layer.function if step.plain is not None else None
    return None


def _summed(step: Step) -> list[Any] | None:
    """The two slots that a step adds up, of the same shape."""
    layer: Any = step.compute
    if type(layer) is OperationLayer and layer.function == "add":
        parts = list(step.args)
        same = not step.kwargs
    elif type(layer) is layers.Add:
        parts = list(step.args[0]) if isinstance(step.args[0], list) else []
        same = not step.kwargs
    else:
        return None
    if not same or len(parts) != 2 or not all(hasattr(part, "number") for part in parts):
        return None
    # Not where one of them is spread over the other.
    return parts if parts[0].number != parts[1].number and len(set(step.tensor_shapes)) == 1 else None
