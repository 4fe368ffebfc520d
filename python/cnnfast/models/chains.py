"""Layers in a row that one engine call computes while a tape records, and another call on the way back.

Small layers take less time than what Python does around them: calling the layer, describing the operation to the tape,
going back through it. A chain does that once for all of them. Large ones gain nothing, and a tape frees what they have
kept one by one: they are computed step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cnnfast import layers
from cnnfast.autograd import Parameters, Variable
from cnnfast.models.fusion import WEIGHTED, PaddedConvolution, PooledConvolution, WeightedActivation, penalised
from cnnfast.models.steps import Step, readers
from cnnfast.ops._chain import LARGEST_KEPT, chain_for, chained
from cnnfast.ops._fusion import fused_activation
from cnnfast.tensor import Value, is_float32

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
MAX_POOLINGS = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
AVERAGE_POOLINGS = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
RESHAPING = (layers.Flatten, layers.Reshape)
CLASSES = (*CONVOLUTIONS, layers.Dense, *MAX_POOLINGS, *AVERAGE_POOLINGS, *RESHAPING)

_MOST_PLANS = 8  # shapes of inputs that a chain remembers


class _Link(NamedTuple):
    """A layer, and what fusion has joined to it: a border around its input, an activation behind it."""

    layer: Any
    border: Any = None
    activated: WeightedActivation | None = None


class Plan:
    """A chain for inputs of one shape; none where they are to be computed step by step."""

    def __init__(self, links: Sequence[_Link], assigned: list[int], x_shape: tuple[int, ...]) -> None:
        self.assigned = assigned
        self.chain: Any = None
        self.after = getattr(links[-1].layer, "_after", None)
        weights: list[Variable] = []
        chain = chain_for(x_shape)
        try:
            linked = all(_add(chain, link, weights) for link in links)
        except (ValueError, TypeError):
            return  # the layer itself tells what does not fit
        self.weights = Parameters(weights)
        self.needs_all = [False] + [True] * len(weights)  # of x and the weights
        if linked and not any(map(_activates_after, links[:-1])) and chain.kept_size <= LARGEST_KEPT:
            self.chain = chain


class Chain:
    """Steps in a row, each of which takes what the one before returned and nothing else."""

    def __init__(self, parts: Sequence[Callable[..., Any]]) -> None:
        self._parts = tuple(parts)
        self._links = [link for part in parts for link in _links(part) or ()]
        self._layers = [layer for link in self._links for layer in (link.border, link.layer) if layer is not None]
        self._plans: dict[tuple[int, ...], Plan] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Chain, (self._parts,)  # a copy makes plans of its own

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The last step's output."""
        plan = self.plan(x)
        if plan is not None:
            return self.activated(chained(plan.chain, x, plan.weights), plan)
        for part in self._parts:
            x = part(x, training=training)
        return x

    def plan(self, x: Any) -> Plan | None:
        """How to compute the output of inputs like x at once; None where it is computed step by step."""
        if not (isinstance(x, Value) or is_float32(x)):
            return None
        plan = self._plans.get(x.shape)
        if plan is None or plan.assigned != [layer._assigned for layer in self._layers]:
            plan = self._planned(x.shape)
        return plan if plan.chain is not None else None

    def activated(self, y: Any, plan: Plan) -> Any:
        """What the last layer makes of the chain's output, where it has an activation that the engine does not fuse."""
        if plan.after is None:
            return y
        with self._links[-1].layer.naming_errors():
            return plan.after(y)

    def _planned(self, x_shape: tuple[int, ...]) -> Plan:
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        plan = Plan(self._links, [layer._assigned for layer in self._layers], x_shape)
        if all(layer.built for layer in self._layers):
            self._plans[x_shape] = plan
        return plan


def with_chains(steps: list[Step], kept: set[int]) -> list[Step]:
    """The steps with those in a row joined to chains; `kept` are the slots of results."""
    read = readers(steps)
    found: list[Step] = []
    row: list[Step] = []
    for step in steps:
        follows = row and step.plain == row[-1].outputs[0] not in kept and len(read[row[-1].outputs[0]]) == 1
        if row and not (follows and _fits(step) and not any(map(_activates_after, _links(row[-1].compute) or ()))):
            found += _joined(row)
            row = []
        if _fits(step):
            row.append(step)
        else:
            found.append(step)
    return found + _joined(row)


def _joined(row: list[Step]) -> list[Step]:
    links = [link for step in row for link in _links(step.compute) or ()]
    if len(links) < 2 or all(type(link.layer) in RESHAPING for link in links):  # what computes nothing is no operation
        return row
    all_layers = tuple(layer for step in row for layer in step.layers)
    first, last = row[0], row[-1]
    return [Step(Chain([step.compute for step in row]), all_layers, first.args, {}, last.outputs, first.input_shape)]


def _fits(step: Step) -> bool:
    single = type(step.plain) is int and len(step.outputs) == 1
    return single and not penalised(step) and _links(step.compute) is not None


def _links(part: Any) -> list[_Link] | None:
    """What a step's `compute` is made of; None for what is in no chain."""
    if type(part) is PooledConvolution:
        convolution, pooling = part.parts()
        found = _links(convolution)
        return None if found is None else [*found, _Link(pooling)]
    activated = part if type(part) is WeightedActivation else None
    layer = part if activated is None else activated.layer
    border = layer.border if type(layer) is PaddedConvolution else None
    layer = layer if border is None else layer.layer
    return [_Link(layer, border, activated)] if type(layer) in CLASSES else None


def _activates_after(link: _Link) -> bool:
    """Whether a layer has an activation, such as softmax, that comes after what the engine does; it ends a chain."""
    return getattr(link.layer, "_after", None) is not None


def _add(chain: Any, link: _Link, weights: list[Variable]) -> bool:
    """Put a layer into a chain, and its weights to the others; False where it does more than a chain can."""
    layer = link.layer
    if not layer.built or layer.input_spec is not None or "call" in vars(layer):
        return False
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return False
    if type(layer) in WEIGHTED:
        return _add_weighted(chain, link, weights)
    if type(layer) in RESHAPING:
        chain.reshape(layer.compute_output_shape(chain.y_shape))
    else:
        chain.pooling(type(layer) in MAX_POOLINGS, layer.pool_size, layer.strides, layer.padding)
    return True


def _add_weighted(chain: Any, link: _Link, weights: list[Variable]) -> bool:
    layer, activation = link.layer, link.layer._fused
    if link.activated is not None:
        parts = link.activated.parts()
        if parts is None:
            return False
        activation = parts[1]
    if not all(w is None or isinstance(w, Variable) for w in (layer.kernel, layer.bias)):
        return False  # a program has put an array in the place of a weight
    kind, alpha = fused_activation(layer.name, activation)
    shape, has_bias = layer.kernel.shape, layer.bias is not None
    if type(layer) is layers.Dense:
        chain.dense(shape, has_bias, kind, alpha)
    else:
        padding = layer.padding if link.border is None else link.border.padding
        chain.convolution(shape, layer.strides, padding, layer.dilation_rate, layer.groups, has_bias, kind, alpha)
    weights += [layer.kernel, layer.bias] if has_bias else [layer.kernel]
    return True
