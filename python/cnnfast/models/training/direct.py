"""Loss and gradients of a model that is one chain of small layers, without a tape.

A tape finds out what depends on what. Here that is known before: the loss on the chain's output, and that on its
weights. For small networks, finding out takes about as long as their layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnfast import models
from cnnfast.activations import softmax
from cnnfast.autograd import FloatArray, GradientTape, Tensor, Variable, is_recording
from cnnfast.layers.base import Layer
from cnnfast.layers.penalties import Penalised
from cnnfast.losses import Loss
from cnnfast.models.chains import Chain, Plan
from cnnfast.models.training.compiled import Compiled
from cnnfast.ops._chain import computed
from cnnfast.ops.softmax import mean_and_slope
from cnnfast.tensor import is_float32, wrap


class Learned(NamedTuple):
    """What a step has computed before the weights change: `gradients` is asked for those to variables."""

    y_pred: Any
    loss: Any
    gradients: Callable[[Sequence[Variable]], Sequence[Any]]


def learned_by_tape(model: Any, x: Any, y: Any, sample_weight: Any) -> Learned:
    """A step of any model, with a tape."""
    with GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
    return Learned(y_pred, loss, lambda variables: tape.gradient(loss, variables))


def learned_directly(model: Any, x: Any, y: Any) -> Learned | None:
    """A step of a model that is one chain and whose loss is a cross-entropy's mean; None for all others."""
    loss, chain = _loss_of(model), _chain_of(model)
    if loss is None or chain is None or type(y) is not np.ndarray or not is_float32(x):
        return None
    plan = chain.plan(x)
    if plan is None or plan.after not in (None, softmax):  # another function might ask whether it trains
        return None
    if not loss._is_mean_of_logits(from_softmax=plan.after is softmax):
        return None
    array, back = computed(plan.chain, x, plan.weights)
    output = wrap(array)
    y_pred = chain.activated(output, plan)
    found = loss._at_once(y, y_pred, _with_slope)
    if found is None or found[0] is not output:  # the loss is of something else than the chain's output
        return None
    _, mean, slope = found

    def gradients(variables: Sequence[Variable]) -> Sequence[Tensor | None]:
        return _gradients(plan, back, slope(np.ones((), np.float32)), variables)

    return Learned(y_pred, mean, gradients)


def _with_slope(labels: Any, logits: Any) -> tuple[Any, FloatArray, Callable[[FloatArray], FloatArray]]:
    return logits, *mean_and_slope(labels, logits)


def _loss_of(model: Any) -> Loss | None:
    """The only thing that training minimises, where that is one loss as it comes with the library."""
    if model._compile_loss is None or not _plain(type(model)) or not _OWN.isdisjoint(vars(model)):
        return None
    if is_recording() or model._has_losses():
        return None
    loss: Loss | None = model._compile_loss.only
    if loss is None or type(loss).__call__ is not Loss.__call__ or "call" in vars(loss):
        return None
    return loss


# What a subclass, or a program, may put something of its own in the place of.
_OWN = frozenset({"call", "compute_loss", "losses", "trainable_weights"})


def _plain(cls: Any) -> bool:
    return (
        cls.__call__ is Layer.__call__
        and cls.call is models.Model.call
        and cls.compute_loss is Compiled.compute_loss
        and cls.losses is Penalised.losses
    )


def _chain_of(model: Any) -> Chain | None:
    """The chain that a model consists of."""
    if not model.built or model.input_spec is not None or model._activity_regularizer is not None:
        return None
    graph = model._graph_if_known()
    if graph is None or graph.dtypes is not None or type(graph.input_structure) in (dict, list, tuple):
        return None
    steps = graph.recorded_steps()
    if len(steps) != 1 or type(steps[0].compute) is not Chain or type(graph.output_structure) in (dict, list, tuple):
        return None
    chain: Chain = steps[0].compute
    return chain


def _gradients(
    plan: Plan,
    back: Callable[[FloatArray, Sequence[bool]], list[FloatArray | None]],
    dy: FloatArray,
    variables: Sequence[Variable],
) -> Sequence[Tensor | None]:
    keys, asked = plan.weights.keys, [v._key for v in variables]
    wanted = {v._key for v in variables if v.trainable}  # a callback may have frozen some since an epoch began
    if asked == keys and wanted.issuperset(keys):
        return [wrap(found) for found in back(dy, plan.needs_all)[1:] if found is not None]
    by_key: dict[int, FloatArray] = {}
    for key, found in zip(keys, back(dy, [False, *[key in wanted for key in keys]])[1:], strict=True):
        if found is not None:  # weights that several layers share have as many gradients
            by_key[key] = by_key[key] + found if key in by_key else found
    return [wrap(by_key[key]) if key in by_key else None for key in asked]
