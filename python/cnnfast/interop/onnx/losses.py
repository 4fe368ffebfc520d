"""Losses that are nodes of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.calls import Call, operator


@operator("NegativeLogLikelihoodLoss")
def _likelihood(call: Call) -> Any:
    return Arranged(_loss(call, call.tensor(0).plain()))


@operator("SoftmaxCrossEntropyLoss")
def _crossentropy(call: Call) -> Any:
    logarithms = ops.log_softmax(call.tensor(0).plain(), axis=1)
    return [Arranged(_loss(call, logarithms)), Arranged(logarithms)]


def _loss(call: Call, logarithms: Any) -> Any:
    """The loss of logarithms of probabilities, (N, C, ...), for classes (N, ...)."""
    classes = logarithms.shape[1]
    if classes is None:
        raise call.unsupported("an open number of classes; give input_shapes that fix it")
    labels = call.given(1)
    labels = labels.plain() if isinstance(labels, Arranged) else np.asarray(labels)
    ignored = call.attribute("ignore_index")
    counts: Any = None
    if ignored is not None:
        counts = ops.cast(ops.not_equal(labels, float(ignored)), "float32")
        labels = ops.multiply(labels, counts)
    chosen = ops.one_hot(labels, classes, axis=1)
    losses = ops.negative(ops.sum(ops.multiply(chosen, logarithms), axis=1))
    if call.has(2):
        weight = call.weight(2).reshape(-1, *(1,) * (len(logarithms.shape) - 2))
        own = ops.sum(ops.multiply(chosen, weight), axis=1)
        counts = own if counts is None else ops.multiply(own, counts)
    if counts is not None:
        losses = ops.multiply(losses, counts)
    reduction = call.attribute("reduction", "mean")
    if reduction == "none":
        return losses
    if reduction == "sum":
        return ops.sum(losses)
    if reduction != "mean":
        raise call.unsupported(f"reduction={reduction!r} is not supported")
    return ops.mean(losses) if counts is None else ops.divide(ops.sum(losses), ops.sum(counts))
