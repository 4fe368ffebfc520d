"""What layers put out for some data, whatever a model joins into one pass otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from cnnfast.structure import leaves


def each_output(
    model: Any, layers: Sequence[Any], batches: Iterator[Any], listener: Callable[[Any, Any], None]
) -> None:
    """Compute batches, and call a function with each of the layers and its output for each of them.

    Args:
        model: a built model.
        layers: some of its layers.
        batches: (x, ...), one after the other.
        listener: called with a layer and an array.
    """
    graph = model._graph_if_known()
    if graph is None:
        with _listening(layers, listener):
            for batch in batches:
                model(batch[0], training=False)
        return
    nodes = [node for node in graph.nodes if any(node.layer is layer for layer in layers)]
    if not nodes:
        return
    # As outputs of a model of their own, none is joined with another.
    observed = type(graph)(graph.input_structure, [leaves(node.outputs) for node in nodes], graph.owner)
    for batch in batches:
        found = observed.run(observed.values_of(batch[0]), False)
        for node, outputs in zip(nodes, found, strict=True):
            for y in outputs:
                listener(node.layer, np.asarray(y))


@contextmanager
def _listening(layers: Sequence[Any], listener: Callable[[Any, Any], None]) -> Iterator[None]:
    def wrapped(layer: Any) -> Any:
        call = layer.call

        def listened(*args: Any, **kwargs: Any) -> Any:
            y = call(*args, **kwargs)
            if hasattr(y, "shape"):
                listener(layer, np.asarray(y))
            return y

        return listened

    try:
        for layer in layers:
            layer.call = wrapped(layer)
        yield
    finally:
        for layer in layers:
            if "call" in vars(layer):
                del layer.call
