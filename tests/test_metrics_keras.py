"""Metrics against Keras, over batches and with weights."""

import inspect
import os

import numpy as np
import pytest

import keras_peer
from cnnfast import metrics
from metric_cases import CASES, IDS

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

# The only metric here that Keras does not have: what it calls "accuracy" in compile.
OWN = {"FittingAccuracy"}
# What a class cannot be made without.
NEEDED = {
    "MeanMetricWrapper": lambda library: {"fn": library.mean_squared_error},
    "SensitivityAtSpecificity": lambda library: {"specificity": 0.5},
    "SpecificityAtSensitivity": lambda library: {"sensitivity": 0.5},
    "PrecisionAtRecall": lambda library: {"recall": 0.5},
    "RecallAtPrecision": lambda library: {"precision": 0.5},
    "IoU": lambda library: {"num_classes": 3, "target_class_ids": [1]},
    "MeanIoU": lambda library: {"num_classes": 3},
    "OneHotIoU": lambda library: {"num_classes": 3, "target_class_ids": [1]},
    "OneHotMeanIoU": lambda library: {"num_classes": 3},
}


def both(name, given, batches):
    """Our result and Keras's over batches of (labels, predictions, weights)."""
    ours, theirs = getattr(metrics, name)(**given), getattr(keras.metrics, name)(**given)
    for y, p, weights in batches:
        ours.update_state(y, p, weights)
        theirs.update_state(y, p.astype(np.float32) if p.dtype.kind == "f" else p, _single(weights))
    return ours.result(), np.array(theirs.result().tolist())


def _single(weights):
    return weights if weights is None or weights.dtype.kind == "i" else weights.astype(np.float32)


@pytest.mark.parametrize("weighted", ["none", "examples", "positions", "column"])
@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 6)], ids=str)
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_means_over_batches(rng, name, given, data, definition, shape, weighted):
    if "ignore_class" in given and weighted != "positions":
        pytest.skip("Keras leaves ignored labels out only where there are weights, of the labels' shape")
    batches = []
    for n in (shape[0], 3):
        y, p = data(rng, (n, *shape[1:]))
        values = np.shape(definition(y, p, **given))
        shapes = {"examples": values[:1], "positions": values, "column": (n,) + (1,) * (len(values) - 1)}
        batches.append((y, p, None if weighted == "none" else rng.random(shapes[weighted])))
    ours, theirs = both(name, given, batches)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("RootMeanSquaredError", {}),
        ("R2Score", {}),
        ("R2Score", {"class_aggregation": None}),
        ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 3}),
    ],
)
def test_errors_over_batches(rng, name, given, weighted):
    batches = [(rng.random((n, 3)), rng.random((n, 3)), rng.random(n) if weighted else None) for n in (9, 4)]
    ours, theirs = both(name, given, batches)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def decisions(rng, n):
    """Rows of yes and no, and predictions that lean towards them."""
    y = rng.integers(0, 2, (n, 3))
    return y, np.clip(rng.random((n, 3)) * 0.7 + 0.3 * y, 0, 1).astype(np.float32)


def numbered(rng, n):
    y = rng.integers(0, 4, (n, 5))
    y[0, :2] = -1, 9
    return y, rng.integers(0, 4, (n, 5))


def hot(rng, n):
    return np.eye(4)[rng.integers(0, 4, n)], rng.random((n, 4)).astype(np.float32)


COUNTING = [
    (name, given, decisions)
    for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision", "Recall")
    for given in ({}, {"thresholds": 0.3}, {"thresholds": [0.8, 0.2]}, {"thresholds": [0.0, 0.5, 1.0]})
]
COUNTING += [
    (name, given, decisions)
    for name in ("Precision", "Recall")
    for given in ({"top_k": 2}, {"class_id": 1}, {"top_k": 1, "class_id": 0, "thresholds": [0.4, 0.6]})
]
COUNTING += [
    (name, {key: value, **more}, decisions)
    for name, key in (
        ("SensitivityAtSpecificity", "specificity"),
        ("SpecificityAtSensitivity", "sensitivity"),
        ("PrecisionAtRecall", "recall"),
        ("RecallAtPrecision", "precision"),
    )
    for value in (0.3, 0.8)
    for more in ({}, {"num_thresholds": 1}, {"num_thresholds": 20, "class_id": 2})
]
COUNTING += [
    ("AUC", {"curve": curve, "summation_method": method, **more}, decisions)
    for curve in ("ROC", "PR", "PRGAIN")
    for method in ("interpolation", "minoring", "majoring")
    for more in (
        {},
        {"num_thresholds": 30, "multi_label": True},
        {"multi_label": True, "num_labels": 3, "label_weights": [1.0, 0.5, 2.0]},
        {"thresholds": [0.2, 0.7], "label_weights": [1.0, 0.5, 2.0]},
        {"from_logits": True},
    )
]
COUNTING += [
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, numbered),
    ("MeanIoU", {"num_classes": 5, "ignore_class": 1}, numbered),
    ("BinaryIoU", {"threshold": 0.6}, decisions),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1, 3]}, hot),
    ("OneHotMeanIoU", {"num_classes": 4, "ignore_class": 2}, hot),
]
COUNTING += [
    (name, {"average": average, **more}, hot)
    for name in ("FBetaScore", "F1Score")
    for average in (None, "micro", "macro", "weighted")
    for more in ({}, {"threshold": 0.4}, *([{"beta": 2.0}] if name == "FBetaScore" else []))
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "given", "data"), COUNTING, ids=[f"{n}-{g}" for n, g, _ in COUNTING])
def test_counts_over_batches(rng, name, given, data, weighted):
    batches = []
    for n in (25, 8):
        y, p = data(rng, n)
        # For intersections Keras takes whole weights only, one per label.
        labels = y.shape[: 1 if "OneHot" in name else 2]
        weights = rng.integers(0, 4, labels) if "IoU" in name else rng.random(n)
        batches.append((y, p, weights if weighted else None))
    ours, theirs = both(name, given, batches)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)  # they add up in float32


@pytest.mark.parametrize("name", sorted(set(metrics.registry.CLASSES) - OWN))
def test_arguments_names_and_directions_are_keras_own(name):
    ours, theirs = getattr(metrics, name), getattr(keras.metrics, name)
    their = list(inspect.signature(theirs.__init__).parameters)
    assert list(inspect.signature(ours.__init__).parameters) == their
    needed = NEEDED.get(name, lambda library: {})
    made, other = ours(**needed(metrics)), theirs(**needed(keras.metrics))
    assert made._direction == getattr(other, "_direction", made._direction)
    if name != "MeanMetricWrapper":
        config, expected = made.get_config(), other.get_config()
        assert {key: value for key, value in config.items() if key not in ("name", "dtype")}.items() <= (
            {**expected, **config}
        ).items()
        assert ours.from_config(expected).get_config().keys() == config.keys()
        assert made.name.rstrip("_0123456789") == other.name.rstrip("_0123456789")


def test_nothing_of_keras_is_missing():
    for name in dir(keras.metrics):
        assert name.startswith("_") or hasattr(metrics, name), name
    for name in keras.src.metrics.ALL_OBJECTS_DICT:
        if name not in ("Metric", "metric", "MeanMetricWrapper", "mean_metric_wrapper"):
            assert metrics.registry._BY_NAME[name].__name__ == keras.src.metrics.ALL_OBJECTS_DICT[name].__name__


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize("name", ["IoU", "MeanIoU"])
def test_fractions_of_weights_count_as_in_keras(name, dtype):
    peer, rng = keras_peer.keras(), np.random.default_rng(3)
    labels, found = rng.integers(0, 3, (2, 40))
    weights = rng.uniform(0.5, 4.0, 40).astype(np.float32)
    arguments = {"num_classes": 3, "dtype": dtype} | ({"target_class_ids": [0, 2]} if name == "IoU" else {})
    both = [getattr(library, name)(**arguments) for library in (metrics, peer.metrics)]
    for metric in both:
        metric.update_state(labels, found, weights)
    assert float(both[0].result()) == pytest.approx(float(both[1].result()), rel=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "key"), [("F1Score", "average"), ("FBetaScore", "average"), ("R2Score", "class_aggregation")]
)
def test_results_after_a_reset_are_those_of_keras(name, key):
    peer, rng = keras_peer.keras(), np.random.default_rng(3)
    labels, found = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 9)], rng.random((9, 4)).astype(np.float32)
    kinds = (
        (None, "micro", "macro", "weighted")
        if key == "average"
        else (None, "uniform_average", "variance_weighted_average")
    )
    for kind in kinds:
        both = [getattr(library, name)(**{key: kind}) for library in (metrics, peer.metrics)]
        for metric in both:
            metric.update_state(labels, found)
            metric.reset_state()
        expected = both[1].result().detach().numpy()
        assert np.shape(both[0].result()) == expected.shape
        np.testing.assert_array_equal(both[0].result(), expected)
