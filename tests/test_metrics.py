"""Metrics against NumPy written from the definitions, over several batches."""

import numpy as np
import pytest

from cnnfast import metrics


def over_batches(metric, y, p, size=5):
    metric.reset_state()
    for start in range(0, len(p), size):
        metric.update_state(y[start : start + size], p[start : start + size])
    return metric.result()


@pytest.fixture
def scores(rng):
    return rng.random((23, 7)).astype(np.float32)


@pytest.fixture
def labels(rng):
    return rng.integers(0, 7, 23)


def test_accuracies(scores, labels):
    right = (scores.argmax(axis=1) == labels).mean()
    assert over_batches(metrics.SparseCategoricalAccuracy(), labels, scores) == pytest.approx(right)
    assert over_batches(metrics.SparseCategoricalAccuracy(), labels[:, None], scores) == pytest.approx(right)
    assert over_batches(metrics.CategoricalAccuracy(), np.eye(7)[labels], scores) == pytest.approx(right)


def test_binary_accuracy(rng):
    p, y = rng.random((23, 1)), rng.integers(0, 2, (23, 1))
    assert over_batches(metrics.BinaryAccuracy(), y, p) == pytest.approx(((p > 0.5) == y).mean())
    assert over_batches(metrics.BinaryAccuracy(), y[:, 0], p) == pytest.approx(((p > 0.5) == y).mean())
    assert over_batches(metrics.BinaryAccuracy(threshold=0.8), y, p) == pytest.approx(((p > 0.8) == y).mean())


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k(scores, labels, k):
    within = np.mean([label in np.argsort(-row)[:k] for row, label in zip(scores, labels, strict=True)])
    assert over_batches(metrics.SparseTopKCategoricalAccuracy(k), labels, scores) == pytest.approx(within)
    assert over_batches(metrics.TopKCategoricalAccuracy(k), np.eye(7)[labels], scores) == pytest.approx(within)


def test_errors(rng):
    y, p = rng.standard_normal((23, 3)), rng.standard_normal((23, 3))
    assert over_batches(metrics.MeanSquaredError(), y, p) == pytest.approx(((y - p) ** 2).mean(), rel=1e-5)
    assert over_batches(metrics.MeanAbsoluteError(), y, p) == pytest.approx(np.abs(y - p).mean(), rel=1e-5)


def test_crossentropies(scores, labels):
    p = scores / scores.sum(axis=1, keepdims=True)
    expected = -np.log(p[np.arange(23), labels]).mean()
    assert over_batches(metrics.SparseCategoricalCrossentropy(), labels, p) == pytest.approx(expected, rel=1e-5)
    assert over_batches(metrics.CategoricalCrossentropy(), np.eye(7)[labels], p) == pytest.approx(expected, rel=1e-5)
    y = np.eye(7)[labels]
    binary = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    assert over_batches(metrics.BinaryCrossentropy(), y, p) == pytest.approx(binary, rel=1e-5)


@pytest.mark.parametrize(
    ("labels_shape", "scores_shape", "kind"),
    [
        ((4,), (4, 1), metrics.BinaryAccuracy),
        ((4, 1), (4, 1), metrics.BinaryAccuracy),
        ((4,), (4, 3), metrics.SparseCategoricalAccuracy),
        ((4, 1), (4, 3), metrics.SparseCategoricalAccuracy),
        ((4, 3), (4, 3), metrics.CategoricalAccuracy),
        ((4, 2, 2), (4, 2, 2, 3), metrics.SparseCategoricalAccuracy),
    ],
)
def test_accuracy_is_of_the_kind_that_the_shapes_tell(rng, labels_shape, scores_shape, kind):
    p = rng.random(scores_shape)
    y = np.eye(3)[rng.integers(0, 3, 4)] if labels_shape == (4, 3) else rng.integers(0, 2, labels_shape)
    accuracy = metrics.get("accuracy")
    accuracy.update_state(y, p)
    assert accuracy.name == "accuracy"
    assert accuracy.result() == kind()(y, p)


def test_mean_with_weights():
    mean = metrics.Mean()
    assert mean.result() == 0.0
    mean.update_state([1.0, 2.0, 3.0], [1.0, 0.0, 3.0])
    mean.update_state(4.0)
    assert mean.result() == pytest.approx((1 + 9 + 4) / 5)
    mean.reset_state()
    assert mean.result() == 0.0
    assert np.isnan(mean(float("nan")))
    with pytest.raises(ValueError, match=r"sample_weight expects shape \(2,\), got \(3,\)"):
        mean.update_state([1.0, 2.0], [1.0, 2.0, 3.0])


def test_sample_weights_of_accuracy():
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state([0, 1], [[0.9, 0.1], [0.9, 0.1]], sample_weight=[3.0, 1.0])
    assert metric.result() == 0.75


def test_names_functions_and_configurations():
    for name, cls in metrics._BY_NAME.items():
        metric = metrics.get(name)
        assert type(metric) is cls
        again = metrics.get({"class_name": cls.__name__, "config": metric.get_config()})
        assert again.get_config() == metric.get_config()
        if name not in metrics._CLASSES:
            assert metric.name == name
    own = metrics.get(lambda y, p: np.abs(y - p).max(axis=-1))
    assert own(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])) == 3.0


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: metrics.get("accurate"), "metric 'accurate' is not known; there are"),
        (lambda: metrics.get(3), "metric expects a name"),
        (lambda: metrics.CategoricalAccuracy()([0, 1], np.ones((2, 3))), r"y_true expects shape \(2, 3\), got \(2,\)"),
        (lambda: metrics.SparseCategoricalAccuracy()([0, 3], np.ones((2, 3))), "from 0 to 2, got values from 0 to 3"),
        (lambda: metrics.BinaryAccuracy()([0, 1, 1], np.ones((2, 1))), r"y_pred, \(2, 1\), got \(3,\)"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0), "k expects a positive integer"),
    ],
)
def test_wrong_arguments_raise(compute, message):
    with pytest.raises((ValueError, TypeError), match=message):
        compute()
