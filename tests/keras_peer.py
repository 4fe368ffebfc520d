"""Keras itself, to compare with where it is installed."""

import os
import warnings

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")


def keras():
    """The module, or a skip of the test that asks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torch")
        module = pytest.importorskip("keras")
    if module.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend")
    return module


def outputs_and_gradients(layer, inputs, weights, dy, training=None):
    """A Keras layer's output for these inputs and weights, and the gradients of sum(output * dy).

    Returns:
        (output, [gradient to each input], [gradient to each trainable weight]), as arrays.
    """
    import torch

    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    given = tensors if len(tensors) > 1 else tensors[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad():
            layer(given)
        layer.set_weights(weights)
        y = layer(given) if training is None else layer(given, training=training)
    variables = [v.value for v in layer.trainable_weights]
    (y * torch.tensor(dy)).sum().backward()
    return (
        y.detach().numpy(),
        [x.grad.numpy() for x in tensors],
        [v.grad.numpy() for v in variables],
    )
