"""Losses against Keras: values, gradients, reductions and weights."""

import os

import numpy as np
import pytest

from cnnfast import losses
from cnnfast.autograd import GradientTape, Tensor
from loss_cases import CASES, IDS

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
if keras.backend.backend() != "torch":
    pytest.skip("Keras runs on another backend", allow_module_level=True)

MEAN = "sum_over_batch_size"
# (shape, reduction, whether there are weights)
WAYS = [((7, 5), MEAN, False), ((4, 3, 2), MEAN, False), ((3, 2, 4, 6), MEAN, False)]
WAYS += [((4, 3, 2), r, True) for r in (MEAN, "mean", "mean_with_sample_weight", "sum", "none")]


def theirs(name, given, reduction, y, p, weights):
    """Keras's loss and its gradient to the predictions."""
    scores = torch.tensor(p, dtype=torch.float32, requires_grad=True)
    loss = getattr(keras.losses, name)(reduction=reduction, **given)
    labels = torch.tensor(y, dtype=torch.float32 if y.dtype.kind == "f" else torch.int64)
    value = loss(labels, scores, None if weights is None else torch.tensor(weights, dtype=torch.float32))
    try:
        value.sum().backward()
    except RuntimeError as error:
        # PyTorch cannot go back through its own nll_loss of maps in this order of axes.
        if "grad_input must be contiguous" not in str(error):
            raise
        return value.detach().numpy(), None
    return value.detach().numpy(), scores.grad.numpy()


def ours(name, given, reduction, y, p, weights):
    """The same by this library."""
    scores = Tensor(p)
    loss = getattr(losses, name)(reduction=reduction, **given)
    with GradientTape() as tape:
        tape.watch(scores)
        value = loss(y, scores, weights)
    return value.numpy(), tape.gradient(value, scores).numpy()


@pytest.mark.parametrize(("shape", "reduction", "weighted"), WAYS)
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_values_and_gradients(rng, name, given, data, definition, shape, reduction, weighted):
    y, p = data(rng, shape)
    weights = rng.random(np.shape(definition(y, p, **given))) if weighted else None
    expected, gradient = theirs(name, given, reduction, y, p, weights)
    value, found = ours(name, given, reduction, y, p, weights)
    assert value.shape == expected.shape
    np.testing.assert_allclose(value, expected, rtol=2e-4, atol=2e-5)
    if gradient is None:
        return
    # As vectors: where a gradient is the difference of large ones, single elements are as inexact there as here.
    assert np.linalg.norm(found - gradient) <= 2e-4 * np.linalg.norm(gradient) + 1e-6


def test_names_and_defaults_are_keras_own():
    for name in dir(keras.losses):
        if name.startswith("_") or name in ("deserialize", "get", "serialize"):
            continue
        assert hasattr(losses, name), name
        if isinstance(getattr(keras.losses, name), type) and name not in ("Loss", "CategoricalGeneralizedCrossEntropy"):
            their, our = getattr(keras.losses, name)().get_config(), getattr(losses, name)().get_config()
            assert {key: our[key] for key in their} == their
            made = getattr(losses, name).from_config(their)
            assert made.get_config() == our
    for name in ("bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MAPE", "msle", "MSLE"):
        assert losses.get(name).__name__ == keras.losses.get(name).__name__


@pytest.mark.parametrize("name", [n for n in losses.registry.CLASSES if n != "LossFunctionWrapper"])
def test_arguments_come_in_keras_order(name):
    import inspect

    their = list(inspect.signature(getattr(keras.losses, name).__init__).parameters)
    assert list(inspect.signature(getattr(losses, name).__init__).parameters) == their


@pytest.mark.parametrize(
    ("labels", "scores"),
    [((4,), (4, 1)), ((4, 1), (4,)), ((4, 3, 1), (4, 3)), ((4, 3), (4, 3, 1)), ((1, 3), (4, 3)), ((4, 1), (4, 3))],
)
@pytest.mark.parametrize("name", ["MeanSquaredError", "LogCosh", "Hinge", "Poisson", "Dice"])
def test_shapes_meet_as_in_keras(rng, name, labels, scores):
    y, p = rng.random(labels), rng.random(scores)
    expected, gradient = theirs(name, {}, "none", y, p, None)
    value, found = ours(name, {}, "none", y, p, None)
    assert value.shape == expected.shape
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-6)
