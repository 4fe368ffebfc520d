"""Metrics of counts (confusion, areas, intersections, F-scores) against their definitions, one example at a time."""

import json
from itertools import pairwise

import numpy as np
import pytest

from cnnfast import metrics
from cnnfast.metrics.counts import Thresholds


def rates(y, p, threshold, w):
    """True positives, false positives, true negatives and false negatives at one threshold."""
    yes = p > threshold
    return [(w * kind).sum() for kind in (yes & y, yes & ~y, ~yes & ~y, ~yes & y)]


def ratio(a, b):
    return a / b if b else 0.0


def batches(rng, shape=(40, 3), weighted=False):
    """Labels, predictions (some exactly on likely thresholds, some outside of 0 to 1) and weights."""
    y, p = rng.integers(0, 2, shape), rng.random(shape).astype(np.float32)
    p[rng.random(shape) < 0.3] = 0.5
    p.flat[:3] = 0.0, 1.0, 1.5
    return y, p, rng.random(shape[0]) if weighted else None


def fed(metric, y, p, w, size=17):
    for start in range(0, len(p), size):
        part = slice(start, start + size)
        metric.update_state(y[part], p[part], None if w is None else w[part])
    return metric.result()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("thresholds", [None, 0.3, [0.9, 0.5, 0.2], [0.0, 0.5, 1.0], [0.5, 0.5]], ids=str)
def test_counts_precision_and_recall(rng, thresholds, weighted):
    y, p, w = batches(rng, weighted=weighted)
    values = np.atleast_1d(0.5 if thresholds is None else thresholds)
    held = np.clip(p, 0, 1) if thresholds == [0.0, 0.5, 1.0] else p  # evenly spread ones hold predictions to 0 to 1
    each = np.ones(y.shape) if w is None else w[:, None]
    tp, fp, tn, fn = np.array([rates(y == 1, held, np.float32(t), each) for t in values]).T
    expected = {
        "TruePositives": tp,
        "FalsePositives": fp,
        "TrueNegatives": tn,
        "FalseNegatives": fn,
        "Precision": [ratio(a, a + b) for a, b in zip(tp, fp, strict=True)],
        "Recall": [ratio(a, a + b) for a, b in zip(tp, fn, strict=True)],
    }
    for name, value in expected.items():
        metric = getattr(metrics, name)(thresholds)
        found = fed(metric, y, p, w)
        assert isinstance(found, float) == (len(values) == 1)
        np.testing.assert_allclose(np.atleast_1d(found), value, rtol=1e-12, atol=1e-12)
        metric.reset_state()
        assert not np.any(metric.result())


@pytest.mark.parametrize(
    "given", [{"top_k": 2}, {"class_id": 1}, {"top_k": 1, "class_id": 2, "thresholds": 0.4}], ids=str
)
def test_the_best_and_one_class(rng, given):
    y, p = rng.integers(0, 2, (30, 4)), rng.random((30, 4)).astype(np.float32)
    best = np.argsort(np.argsort(-p, axis=1), axis=1) < given.get("top_k", 4)
    yes = best & (p > given.get("thresholds", -1.0 if "top_k" in given else 0.5))
    if "class_id" in given:
        yes, y_one = yes[:, given["class_id"]], y[:, given["class_id"]]
    else:
        y_one = y
    tp = (yes & (y_one == 1)).sum()
    assert fed(metrics.Precision(**given), y, p, None) == pytest.approx(tp / yes.sum())
    assert fed(metrics.Recall(**given), y, p, None) == pytest.approx(tp / y_one.sum())


@pytest.mark.parametrize("number", [1, 2, 5, 200, 201, 1000])
def test_even_thresholds_are_exact(rng, number):
    values = [0.5] if number == 1 else [i / (number - 1) for i in range(number)]
    exact = np.array(values, np.float32)
    near = np.concatenate([exact, np.nextafter(exact, np.float32(9)), np.nextafter(exact, np.float32(-9))])
    p = np.clip(np.concatenate([near, rng.random(500).astype(np.float32)]), 0, 1)
    np.testing.assert_array_equal(Thresholds(values).passed(p), (p[:, None] > exact).sum(axis=1))
    assert Thresholds(values).passed(np.array([np.nan], np.float32)) == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("number", [1, 2, 11, 200])
@pytest.mark.parametrize("asked", [0.0, 0.4, 0.8, 1.0])
def test_operating_points(rng, asked, number, weighted):
    y, p, w = batches(rng, (60,), weighted)
    p = np.clip(p * 0.7 + 0.3 * y, 0, 1).astype(np.float32)
    values = [0.5] if number == 1 else np.arange(number) / (number - 1)
    each = np.ones(60) if w is None else w
    counts = [rates(y == 1, p, np.float32(t), each) for t in values]
    sensitivity = np.array([ratio(tp, tp + fn) for tp, fp, tn, fn in counts])
    specificity = np.array([ratio(tn, tn + fp) for tp, fp, tn, fn in counts])
    precision = np.array([ratio(tp, tp + fp) for tp, fp, tn, fn in counts])
    for name, rate, other in (
        ("SensitivityAtSpecificity", sensitivity, specificity),
        ("SpecificityAtSensitivity", specificity, sensitivity),
        ("PrecisionAtRecall", precision, sensitivity),
        ("RecallAtPrecision", sensitivity, precision),
    ):
        expected = max([r for r, o in zip(rate, other, strict=True) if o >= asked], default=0.0)
        assert fed(getattr(metrics, name)(asked, number), y, p, w) == pytest.approx(expected, abs=1e-12), name


def area(y, p, w, thresholds, curve, method):
    """The area under a curve, step by step."""
    points = []
    for t in thresholds:
        tp, fp, tn, fn = rates(y == 1, p, np.float32(t), w)
        odds = ratio(tp + fn, fp + tn)
        points.append(
            {
                "ROC": (ratio(fp, fp + tn), ratio(tp, tp + fn)),
                "PR": (ratio(tp, tp + fn), ratio(tp, tp + fp)),
                "PRGAIN": (max(0.0, 1 - odds * fn / tp), 1 - odds * fp / tp) if tp else (0.0, 1.0),
            }[curve]
            + (tp, tp + fp, tp + fn)
        )
    total = 0.0
    for (x0, y0, tp0, n0, _), (x1, y1, tp1, n1, all_positive) in pairwise(points):
        if curve == "PR" and method == "interpolation":
            slope = ratio(tp0 - tp1, n0 - n1)
            offset = tp1 - slope * n1
            logarithm = np.log(n0 / n1) if n0 > 0 and n1 > 0 else 0.0
            total += ratio(slope * (tp0 - tp1 + offset * logarithm), all_positive)
        else:
            total += (x0 - x1) * {"interpolation": (y0 + y1) / 2, "minoring": min(y0, y1), "majoring": max(y0, y1)}[
                method
            ]
    return total


@pytest.mark.parametrize("labels", ["one", "several", "weighted", "flat"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["interpolation", "minoring", "majoring"])
@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN"])
def test_areas(rng, curve, method, weighted, labels):
    y, p, w = batches(rng, (60,) if labels == "one" else (60, 3), weighted)
    p = np.clip(p * 0.7 + 0.3 * y, 0, 1).astype(np.float32)
    each = np.broadcast_to((np.ones(60) if w is None else w).reshape(60, *(1,) * (y.ndim - 1)), y.shape)
    by_label = np.array([1.0, 0.0, 2.0]) if labels in ("weighted", "flat") else None
    eps = 1e-7
    for given, thresholds in (
        ({"num_thresholds": 21}, [-eps, *np.arange(1, 20) / 20, 1 + eps]),
        ({"thresholds": [0.8, 0.15, 0.5]}, [-eps, 0.15, 0.5, 0.8, 1 + eps]),
    ):
        metric = metrics.AUC(
            curve=curve.lower(),
            summation_method=method,
            multi_label=labels in ("several", "weighted"),
            label_weights=None if by_label is None else by_label.tolist(),
            **given,
        )
        if labels in ("several", "weighted"):
            areas = [area(y[:, i], p[:, i], each[:, i], thresholds, curve, method) for i in range(3)]
            expected = np.average(areas, weights=by_label)
        else:
            expected = area(y, p, each if by_label is None else each * by_label, thresholds, curve, method)
        assert metric.result() == 0.0
        assert fed(metric, y, p, w) == pytest.approx(expected, rel=1e-6, abs=1e-9)
        metric.reset_state()
        assert metric.result() == 0.0


def test_area_of_logits_and_of_many_thresholds(rng):
    y = rng.integers(0, 2, 2000)
    z = (rng.standard_normal(2000) + y).astype(np.float32)
    exact = np.mean(z[y == 1][:, None] > z[y == 0])  # the chance that a positive has the higher score
    assert metrics.AUC(num_thresholds=5000, from_logits=True)(y, z) == pytest.approx(exact, abs=1e-3)
    assert metrics.AUC(num_thresholds=5000)(y, 1 / (1 + np.exp(-z))) == pytest.approx(exact, abs=1e-3)


def overlap(y, p, classes, w, ignored=None):
    """The intersection over union of each class, NaN where it does not come."""
    found = []
    keep = (y >= 0) & (y < classes) & (p >= 0) & (p < classes) & (y != ignored)
    for c in range(classes):
        either = (w * keep * ((y == c) | (p == c))).sum()
        found.append((w * keep * ((y == c) & (p == c))).sum() / either if either else np.nan)
    return np.array(found)


@pytest.mark.parametrize("weighted", ["none", "examples", "positions"])
@pytest.mark.parametrize("shape", [(30,), (5, 6, 7)], ids=str)
def test_intersections_over_unions(rng, shape, weighted):
    y, p = rng.integers(0, 4, shape), rng.integers(0, 4, shape)
    y.flat[:4], p.flat[4:6] = (-1, 255, 4, 3), (-1, 4)
    w = {"none": None, "examples": rng.random(shape[0]), "positions": rng.random(shape)}[weighted]
    each = np.ones(shape) if w is None else np.broadcast_to(w.reshape(w.shape + (1,) * (y.ndim - w.ndim)), shape)
    every = overlap(y, p, 5, each)
    assert fed(metrics.MeanIoU(5, dtype="float32"), y, p, w) == pytest.approx(np.nanmean(every))
    assert fed(metrics.IoU(5, [1, 3], dtype="float32"), y, p, w) == pytest.approx(every[[1, 3]].mean())
    assert fed(metrics.MeanIoU(5, ignore_class=2, dtype="float32"), y, p, w) == pytest.approx(
        np.nanmean(overlap(y, p, 5, each, 2))
    )
    assert metrics.IoU(5, [4], dtype="float32")(y[:0], p[:0]) == 0.0

    y = np.clip(y, 0, 3)
    rows, scores = np.eye(4)[y], rng.random((*shape, 4))
    expected = overlap(y, scores.argmax(-1), 4, each)
    assert fed(metrics.OneHotMeanIoU(4, dtype="float32"), rows, scores, w) == pytest.approx(np.nanmean(expected))
    assert fed(metrics.OneHotIoU(4, [0, 2], dtype="float32"), rows, scores, w) == pytest.approx(expected[[0, 2]].mean())
    assert fed(metrics.MeanIoU(4, sparse_y_pred=False, dtype="float32"), y, scores, w) == pytest.approx(
        np.nanmean(expected)
    )
    moved = metrics.OneHotMeanIoU(4, axis=1, dtype="float32")
    assert fed(moved, np.moveaxis(rows, -1, 1), np.moveaxis(scores, -1, 1), w) == pytest.approx(np.nanmean(expected))

    p = scores[..., 0].astype(np.float32)
    expected = overlap(y % 2, (p >= 0.3).astype(int), 2, each)
    assert fed(metrics.BinaryIoU(threshold=0.3, dtype="float32"), y % 2, p, w) == pytest.approx(expected.mean())
    assert fed(metrics.BinaryIoU([1], threshold=0.3, dtype="float32"), y % 2, p, w) == pytest.approx(expected[1])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("threshold", [None, 0.4])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
def test_f_scores(rng, average, beta, threshold, weighted):
    y, p = rng.integers(0, 2, (40, 3)), rng.random((40, 3)).astype(np.float32)
    w = rng.random(40) if weighted else None
    each = np.ones((40, 1)) if w is None else w[:, None]
    yes = p == p.max(axis=1, keepdims=True) if threshold is None else p > threshold
    axis = None if average == "micro" else 0
    tp, fp, fn = ((each * part).sum(axis) for part in (yes & (y == 1), yes & (y == 0), ~yes & (y == 1)))
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    scores = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    if average is not None:
        scores = np.average(scores, weights=tp + fn if average == "weighted" else None)
    metric = metrics.FBetaScore(average, beta, threshold)
    assert metric.result() == 0.0
    np.testing.assert_allclose(fed(metric, y, p, w), scores, rtol=1e-9)
    if beta == 1.0:
        np.testing.assert_allclose(fed(metrics.F1Score(average, threshold), y, p, w), scores, rtol=1e-9)


@pytest.mark.filterwarnings("error")
def test_an_empty_batch_changes_nothing():
    y, p = np.zeros((0, 3)), np.zeros((0, 3))
    for metric in (
        metrics.Precision(),
        metrics.Recall([0.2, 0.4, 0.7]),
        metrics.Recall(top_k=2),
        metrics.AUC(),
        metrics.AUC(multi_label=True),
        metrics.SensitivityAtSpecificity(0.5),
        metrics.MeanIoU(3),
        metrics.OneHotMeanIoU(3),
        metrics.F1Score(),
        metrics.R2Score(),
        metrics.RootMeanSquaredError(),
    ):
        assert not np.any(metric(y, p))
        before = metric(np.eye(3), np.eye(3) * 0.9)
        np.testing.assert_array_equal(metric(y, p, np.zeros(0)), before)


def test_nothing_found_is_a_score_of_zero():
    zeros = np.zeros((4, 2))
    np.testing.assert_array_equal(metrics.F1Score()(zeros, zeros), [0.0, 0.0])
    assert metrics.Precision()(zeros, zeros) == metrics.Recall()(zeros, zeros) == metrics.AUC()(zeros, zeros) == 0.0


@pytest.mark.parametrize(
    "metric",
    [
        metrics.Precision([0.2, 0.6], top_k=2, class_id=1),
        metrics.RecallAtPrecision(0.3, 11, name="r"),
        metrics.AUC(curve="pr", thresholds=[0.5, 0.2], label_weights=[1.0, 2.0]),
        metrics.AUC(multi_label=True, num_labels=2),
        metrics.OneHotIoU(3, (0, 2), ignore_class=1),
        metrics.FBetaScore("macro", 2.0, 0.3),
    ],
    ids=lambda metric: metric.name,
)
def test_configurations(metric):
    again = metrics.get(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert again.name == metric.name


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: metrics.Precision(1.5), "Precision: thresholds expects numbers from 0 to 1, got 1.5"),
        (lambda: metrics.Recall(thresholds=[]), "thresholds expects numbers from 0 to 1"),
        (lambda: metrics.Recall(top_k=5)(np.ones((2, 3)), np.ones((2, 3))), "top_k=5 expects at least that many"),
        (lambda: metrics.Recall(class_id=3)(np.ones((2, 3)), np.ones((2, 3))), r"class_id=3 expects predictions"),
        (lambda: metrics.Recall()(np.ones((2, 3)), np.ones((2, 4))), r"shape of y_pred, \(2, 4\), got \(2, 3\)"),
        (lambda: metrics.Recall()(np.ones((2, 3)), np.ones((2, 3)), np.ones(3)), r"expects shape \(2, 3\), got \(3,\)"),
        (lambda: metrics.SensitivityAtSpecificity(1.5), "specificity expects a number from 0.0 to 1.0"),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), "num_thresholds expects a positive integer"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds expects a number above 1"),
        (lambda: metrics.AUC(curve="PQ"), "curve expects ROC, PR or PRGAIN"),
        (lambda: metrics.AUC(summation_method="mean"), "summation_method expects interpolation"),
        (lambda: metrics.AUC(num_labels=3), "only where multi_label is True"),
        (lambda: metrics.AUC(multi_label=True)([1.0], [1.0]), r"y_pred expects shape \(N, labels\), got \(1,\)"),
        (
            lambda: metrics.AUC(label_weights=[1.0])(np.ones((2, 3)), np.ones((2, 3))),
            r"label_weights expects shape \(3,\)",
        ),
        (lambda: metrics.IoU(2, [2]), "target_class_ids expects class numbers from 0 to 1"),
        (lambda: metrics.MeanIoU(2)([0, 1], [0, 1, 1]), "as many classes as y_pred"),
        (lambda: metrics.FBetaScore("mean"), "average expects None, micro, macro or weighted"),
        (lambda: metrics.FBetaScore(beta=0.0), "beta expects a number above 0"),
        (lambda: metrics.F1Score(threshold=0.0), "F1Score: threshold expects a number above 0"),
        (lambda: metrics.F1Score()([1.0], [1.0]), r"expect shapes \(N, classes\)"),
    ],
)
def test_wrong_arguments_raise(compute, message):
    with pytest.raises(ValueError, match=message):
        compute()
