"""Models for inference: batch normalization folded into the convolution or dense layer before it.

With its moving statistics normalization is a scale and a shift of every channel, which the layer's own weights can
take over (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, section 3.2). The result differs by rounding only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnfast import layers
from cnnfast.autograd import FloatArray, is_float32
from cnnfast.models.fusion import (
    NormalizedSum,
    applied,
    fusable_activation,
    joined,
    plain_layers,
    weighted_layer,
)
from cnnfast.models.prepared import LateActivation, ReadyWeights, late_activation, prepared
from cnnfast.models.steps import Step, note_last_uses, readers
from cnnfast.ops._fusion import Fused
from cnnfast.ops._prepared import INFERENCE_ACTIVATIONS

_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)


class FoldedLayer:
    """A layer with weights that do the work of the normalization behind it too.

    They are computed at the first call, and again when one of the weights has changed (`ReadyWeights`).
    """

    def __init__(self, layer: Any, normalization: layers.BatchNormalization, activation: Fused) -> None:
        self._layer, self._normalization, self._activation = layer, normalization, activation
        self._ready = ReadyWeights.shared(layer, normalization, activation)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The normalized and activated output."""
        layer, norm = self._layer, self._normalization
        sources = (layer.kernel, layer.bias, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        what = (layer, self._activation, sources, norm.epsilon, self._folded)
        alone = layer.weighted_alone()
        y = self._ready.computed(x, *what) if alone and is_float32(x) else None
        if y is not None:
            return y
        made = self._ready.of(*what) if alone else None
        if made is None:  # it was given an activation since, or arrays in the place of weights
            return applied(norm.normalized(layer(x), False), self._activation)
        with layer.naming_errors():
            if self._activation in INFERENCE_ACTIVATIONS:
                return applied(layer.weighted(x, made.kernel, made.bias, None), self._activation)
            return layer.weighted(x, made.kernel, made.bias, self._activation)

    def activated(self, activation: Fused) -> FoldedLayer | None:
        """The same with an activation behind it; None where it has one."""
        return FoldedLayer(self._layer, self._normalization, activation) if self._activation is None else None

    def _folded(self) -> tuple[FloatArray, FloatArray]:
        norm, layer = self._normalization, self._layer
        variance = norm.moving_variance.numpy().astype(np.float64)
        scale = 1.0 / np.sqrt(variance + norm.epsilon)
        if norm.gamma is not None:
            scale *= norm.gamma.numpy()
        shift = -norm.moving_mean.numpy() * scale
        if norm.beta is not None:
            shift += norm.beta.numpy()
        if layer.bias is not None:
            shift += layer.bias.numpy() * scale
        kernel = layer.kernel.numpy()
        # A depthwise kernel's last two axes together are the output's channels.
        along = scale.reshape(kernel.shape[-2:]) if type(weighted_layer(layer)) in _DEPTHWISE else scale
        return np.asarray(kernel * along, np.float32), np.asarray(shift, np.float32)


def folded(steps: Iterable[Step], kept: Iterable[int]) -> list[Step]:
    """The steps of an inference: normalization folded into what is before it wherever nobody else reads that.

    Args:
        steps: those of a graph, with neighbours joined.
        kept: the slots of the graph's results.
    """
    steps, kept = list(steps), set(kept)
    used = readers(steps)
    gone: set[int] = set()
    replaced: dict[int, Step] = {}
    for step in steps:
        layer: Any = step.compute
        if weighted_layer(layer) is None or not layer.weighted_alone() or step.plain is None or step.outputs[0] in kept:
            continue
        following = used.get(step.outputs[0], [])
        found = _normalization(following[0]) if len(following) == 1 else None
        if found is None or not plain_layers(step, following[0]):
            continue
        both = step.layers + following[0].layers
        compute = FoldedLayer(layer, *found)
        replaced[id(following[0])] = Step(compute, both, step.args, {}, following[0].outputs, step.input_shape)
        gone.add(id(step))
    result = [replaced.get(id(step), step) for step in steps if id(step) not in gone]
    result = joined(result, kept, _with_activation)
    # The steps that are left are shared with training, where other slots are free after them.
    result = [Step(prepared(s.compute), s.layers, s.args, s.kwargs, s.outputs, s.input_shape) for s in result]
    note_last_uses(result, kept)
    return result


def _with_activation(step: Step, following: Step) -> Step | None:
    """A layer and the activation that follows it as one step, where that was not possible in training."""
    layer: Any = step.compute
    late = late_activation(following)
    name = late or fusable_activation(following)
    if name is None or not plain_layers(step, following):
        return None
    compute: Any = None
    if isinstance(layer, FoldedLayer):
        compute = layer.activated(name)
    elif late is not None and weighted_layer(layer) is not None and layer.weighted_alone():
        compute = LateActivation(layer, late)
    if compute is None:
        return None
    return Step(compute, step.layers + following.layers, step.args, {}, following.outputs, step.input_shape)


def _normalization(step: Step) -> tuple[layers.BatchNormalization, str | None] | None:
    """The normalization that a step is, and the activation behind it, if that is all it is."""
    layer: Any = step.compute
    if step.plain is None:
        return None
    if type(layer) is layers.BatchNormalization and layer.over_last_axis():
        return layer, None
    if isinstance(layer, NormalizedSum) and not layer.has_shortcut:
        return layer.layer, layer.activation
    return None
