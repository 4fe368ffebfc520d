"""Metrics against NumPy written from the definitions, over several batches."""

import json

import numpy as np
import pytest

from cnnfast import losses, metrics
from metric_cases import CASES, IDS, mean

NEEDING_ARGUMENTS = {
    metrics.MeanMetricWrapper,
    metrics.SensitivityAtSpecificity,
    metrics.SpecificityAtSensitivity,
    metrics.PrecisionAtRecall,
    metrics.RecallAtPrecision,
    metrics.IoU,
    metrics.MeanIoU,
    metrics.OneHotIoU,
    metrics.OneHotMeanIoU,
}


WEIGHTS = ["none", "examples", "positions", "column"]


def weights_of(kind, rng, shape):
    """Weights for values of a shape: one per example, one per value, or a column of them."""
    shapes = {"examples": shape[:1], "positions": shape, "column": (shape[0],) + (1,) * (len(shape) - 1)}
    return None if kind == "none" else rng.random(shapes[kind])


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 6), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_means_over_batches(rng, name, given, data, definition, shape, weighted):
    metric, batches = getattr(metrics, name)(**given), []
    for n in (shape[0], 3, 1):
        y, p = data(rng, (n, *shape[1:]))
        values = np.asarray(definition(y, p, **given))
        weights = weights_of(weighted, rng, values.shape)
        metric.update_state(y, p, weights)
        counted = np.ones(values.shape) if "ignore_class" not in given else y != given["ignore_class"]
        batches.append((values, aligned(weights, values.shape) * counted))
    expected = mean(batches)
    assert metric.result() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    metric.reset_state()
    assert metric.result() == 0.0
    assert metric(y, p) == pytest.approx(mean([(batches[-1][0], counted)]), rel=1e-4, abs=1e-6)


def aligned(weights, shape):
    weights = np.ones(shape) if weights is None else weights
    return weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))


def test_labels_may_lack_or_have_a_last_axis_of_one(rng):
    p, y = rng.random((23, 1)), rng.integers(0, 2, 23)
    for metric in (metrics.BinaryAccuracy(), metrics.MeanSquaredError(), metrics.RootMeanSquaredError()):
        expected = metric(y[:, None], p)
        metric.reset_state()
        assert metric(y, p) == expected
        metric.reset_state()
        assert metric(y[:, None], p[:, 0], rng.random((23, 1)) * 0 + 2.0) == pytest.approx(expected)
    scores, labels = rng.random((23, 7)), rng.integers(0, 7, 23)
    for metric in (metrics.SparseCategoricalAccuracy(), metrics.SparseTopKCategoricalAccuracy(3)):
        expected = metric(labels, scores)
        metric.reset_state()
        assert metric(labels[:, None], scores) == expected
    assert metrics.sparse_top_k_categorical_accuracy(labels[:, None], scores).shape == (23, 1)


def test_labels_that_are_no_class_are_wrong():
    scores = np.array([[0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])
    assert metrics.SparseCategoricalAccuracy()([1, 255, -1], scores) == pytest.approx(1 / 3)
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([1, 255, -1], scores) == pytest.approx(1 / 3)


@pytest.mark.parametrize("weighted", WEIGHTS)
def test_root_mean_squared_error(rng, weighted):
    y, p = rng.standard_normal((9, 3)), rng.standard_normal((9, 3))
    weights = weights_of(weighted, rng, (9, 3))
    expected = np.sqrt(mean([((y - p) ** 2, weights)]))
    assert metrics.RootMeanSquaredError()(y, p, weights) == pytest.approx(expected)


@pytest.mark.parametrize("weighted", ["none", "examples", "positions"])
@pytest.mark.parametrize("aggregation", ["uniform_average", "variance_weighted_average", None])
def test_r2_score(rng, aggregation, weighted):
    y = rng.standard_normal((23, 3)) * [1, 5, 0.1] + [0, 1000, 3]
    p = y + rng.standard_normal((23, 3))
    weights = weights_of(weighted, rng, (23, 3))
    w = np.broadcast_to(np.ones(1) if weights is None else weights.reshape(23, -1), (23, 3))
    centre = np.average(y, axis=0, weights=w)
    variation = (w * (y - centre) ** 2).sum(0)
    scores = 1 - (w * (y - p) ** 2).sum(0) / variation
    expected = {None: scores, "uniform_average": scores.mean()}.get(
        aggregation, (scores * variation).sum() / variation.sum()
    )
    for regressors in (0, 4):
        metric = metrics.R2Score(aggregation, num_regressors=regressors)
        assert metric.result() == 0.0
        for part in (slice(0, 10), slice(10, 23)):
            metric.update_state(y[part], p[part], None if weights is None else weights[part])
        adjusted = 1 - (1 - expected) * (69 - 1) / (69 - regressors - 1)
        np.testing.assert_allclose(metric.result(), adjusted, rtol=1e-6)
    with pytest.warns(UserWarning, match="cannot be adjusted"):
        assert metrics.R2Score(num_regressors=2)([[1.0], [2.0]], [[1.0], [3.0]]) == -1.0


def test_sums(rng):
    values, weights = rng.random((5, 3)), rng.random(5)
    total = metrics.Sum()
    assert total(values) == pytest.approx(values.sum())
    assert total(values, weights) == pytest.approx(values.sum() + (values * weights[:, None]).sum())
    total.reset_state()
    assert total.result() == 0.0


def test_sums_are_as_exact_as_doubles():
    mean = metrics.Mean()
    mean.update_state(np.full(10_000_000, 0.1, np.float32))
    mean.update_state(1.0)
    assert mean.total == pytest.approx(float(np.float32(0.1)) * 1e7 + 1.0, rel=1e-12)
    assert mean.count == 1e7 + 1


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
    accuracy = metrics.as_metric("accuracy")
    accuracy.update_state(y, p)
    assert accuracy.name == "accuracy"
    assert accuracy.result() == kind()(y, p)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_an_empty_batch_changes_nothing(rng, name, given, data, definition):
    y, p = data(rng, (5, 4, 3))
    metric = getattr(metrics, name)(**given)
    assert metric(y[:0], p[:0]) == 0.0
    before = metric(y, p)
    assert metric(y[:0], p[:0], np.zeros(0)) == before


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
    for name, cls in metrics.registry._BY_NAME.items():
        if cls in NEEDING_ARGUMENTS:
            continue
        metric = metrics.get(name)
        assert type(metric) is cls
        again = metrics.get(json.loads(json.dumps(metrics.serialize(metric))))
        assert again.get_config() == metric.get_config()
        assert again.name == metric.name
        assert metrics.as_metric(name).name == name
    own = metrics.as_metric(lambda y, p: np.abs(y - p).max(axis=-1))
    assert own(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])) == 3.0
    wrapped = metrics.as_metric(losses.huber)
    assert wrapped.name == "huber"
    again = metrics.get(json.loads(json.dumps(metrics.serialize(wrapped))))
    assert again([[0.0]], [[3.0]]) == wrapped([[0.0]], [[3.0]]) == 2.5
    assert metrics.get(None) is None
    assert metrics.as_metric("acc").name == "acc"
    assert metrics.as_metric(metrics.serialize(metrics.as_metric("acc"))).name == "acc"


def test_own_metrics_keep_variables():
    class Worst(metrics.Metric):
        def __init__(self, name="worst", **kwargs):
            super().__init__(name=name, **kwargs)
            self.seen = self.add_variable((2,), "zeros", name="seen")
            self.count = self.add_weight(name="count", initializer="zeros")
            self.parts = [metrics.Mean(), Inner()]

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.seen.assign(np.maximum(self.seen, np.abs(y_true - y_pred).max(axis=0)))
            self.count.assign_add(len(y_pred))

        def result(self):
            return self.seen / self.count

    class Inner(metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.kept = self.add_weight((3,), initializer="ones")

    metric = metrics.deserialize({"class_name": "Worst", "config": {}}, {"Worst": Worst})
    metric.update_state(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 0.0]]))
    np.testing.assert_allclose(metric.result(), [1.5, 1.0])
    assert [v.name for v in metric.variables] == ["seen", "count", "variable"]
    metric.reset_state()
    assert not any(np.asarray(v).any() for v in metric.variables)
    assert Inner().name.startswith("inner")
    assert repr(metric) == "<Worst name=worst>"


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: metrics.get("accurate"), "metric 'accurate' is not known; there are"),
        (lambda: metrics.get(3), "metric expects a name"),
        (lambda: metrics.CategoricalAccuracy()([0, 1], np.ones((2, 3))), r"y_true expects shape \(2, 3\), got \(2,\)"),
        (lambda: metrics.SparseCategoricalAccuracy()([0, 1, 2], np.ones((2, 3))), r"of shape \(2,\), got shape \(3,\)"),
        (lambda: metrics.SparseCategoricalCrossentropy()([0, 3], np.ones((2, 3))), "from 0 to 2, got values from 0 to"),
        (lambda: metrics.MeanSquaredError(dtype="float16"), "dtype='float16' cannot be honoured"),
        (lambda: metrics.R2Score("median"), "class_aggregation expects one of"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors expects a number from 0"),
        (lambda: metrics.R2Score()([1.0], [2.0]), r"expect shapes \(N, outputs\), got \(1,\) and \(1,\)"),
        (lambda: metrics.RootMeanSquaredError()([1.0, 2.0], [1.0, 2.0, 3.0]), r"y_pred, \(3,\), got \(2,\)"),
        (lambda: metrics.RootMeanSquaredError()(["a"], [1.0]), "y_true expects real numbers"),
        (
            lambda: metrics.MeanSquaredError()(np.ones((2, 3)), np.ones((2, 3)), np.ones(3)),
            "sample_weight expects shape",
        ),
        (lambda: metrics.BinaryAccuracy()([0, 1, 1], np.ones((2, 1))), r"y_pred, \(2, 1\), got \(3,\)"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0), "k expects a positive integer"),
    ],
)
def test_wrong_arguments_raise(compute, message):
    with pytest.raises((ValueError, TypeError), match=message):
        compute()
