"""Metrics that are the mean of something, in one table: arguments, data that suits them, the values they average."""

import numpy as np

import loss_cases as of


def accuracy_data(rng, shape):
    return rng.integers(0, 3, shape), rng.integers(0, 3, shape)


def scores(hot):
    def data(rng, shape):
        p = rng.random(shape)
        y = rng.integers(0, shape[-1], shape[:-1])
        return (np.eye(shape[-1])[y] if hot else y), p

    return data


def sorted_ids(rng, shape):
    p = np.argsort(rng.random(shape), axis=-1)
    return rng.integers(0, shape[-1], shape[:-1]), p


def within(y, p, k):
    own = np.take_along_axis(p, y[..., None], -1)
    return ((p > own).sum(-1) < k).astype(float)


def pearson(y, p, axis=-1):
    y, p = y - y.mean(axis, keepdims=True), p - p.mean(axis, keepdims=True)
    return (y * p).sum(axis) / np.sqrt((y * y).sum(axis) * (p * p).sum(axis))


def concordance(y, p, axis=-1):
    covariance = ((y - y.mean(axis, keepdims=True)) * (p - p.mean(axis, keepdims=True))).mean(axis)
    return 2 * covariance / (y.var(axis) + p.var(axis) + (y.mean(axis) - p.mean(axis)) ** 2)


def definition_of(name, **given):
    """The definition of the loss of that name in the losses' table."""
    return next(row[3] for row in of.CASES if row[0] == name)


# (class, its arguments, data, definition)
CASES = [
    ("Accuracy", {}, accuracy_data, lambda y, p: y == p),
    ("BinaryAccuracy", {}, of.yes_or_no, lambda y, p: (p > 0.5) == y),
    ("BinaryAccuracy", {"threshold": 0.8}, of.yes_or_no, lambda y, p, threshold: (p > threshold) == y),
    ("CategoricalAccuracy", {}, scores(hot=True), lambda y, p: y.argmax(-1) == p.argmax(-1)),
    ("SparseCategoricalAccuracy", {}, scores(hot=False), lambda y, p: y == p.argmax(-1)),
    ("TopKCategoricalAccuracy", {"k": 2}, scores(hot=True), lambda y, p, k: within(y.argmax(-1), p, k)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, scores(hot=False), within),
    (
        "SparseTopKCategoricalAccuracy",
        {"k": 2, "from_sorted_ids": True},
        sorted_ids,
        lambda y, p, k, from_sorted_ids: (p[..., :k] == y[..., None]).any(-1),
    ),
    ("MeanSquaredError", {}, of.numbers, definition_of("MeanSquaredError")),
    ("MeanAbsoluteError", {}, of.numbers, definition_of("MeanAbsoluteError")),
    ("MeanAbsolutePercentageError", {}, of.numbers, definition_of("MeanAbsolutePercentageError")),
    ("MeanSquaredLogarithmicError", {}, of.numbers, definition_of("MeanSquaredLogarithmicError")),
    ("LogCoshError", {}, of.numbers, definition_of("LogCosh")),
    ("CosineSimilarity", {}, of.numbers, lambda y, p: -of.cosine(y, p)),
    ("CosineSimilarity", {"axis": 1}, of.numbers, lambda y, p, axis: -of.cosine(y, p, axis)),
    ("PearsonCorrelation", {}, of.numbers, pearson),
    ("PearsonCorrelation", {"axis": 1}, of.numbers, pearson),
    ("ConcordanceCorrelation", {}, of.numbers, concordance),
    ("ConcordanceCorrelation", {"axis": 1}, of.numbers, concordance),
    ("KLDivergence", {}, of.probabilities, definition_of("KLDivergence")),
    ("Poisson", {}, of.positive, definition_of("Poisson")),
    ("BinaryCrossentropy", {}, of.yes_or_no, of.binary),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, of.yes_or_no_logits, of.binary),
    ("CategoricalCrossentropy", {}, of.classes(), of.categorical),
    (
        "CategoricalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        of.classes(logits=True),
        of.categorical,
    ),
    ("CategoricalCrossentropy", {"axis": 1}, of.classes(axis=1), of.categorical),
    ("SparseCategoricalCrossentropy", {}, of.classes(hot=False), of.sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, of.classes(hot=False, logits=True), of.sparse),
    ("SparseCategoricalCrossentropy", {"axis": 1}, of.classes(axis=1, hot=False), of.sparse),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, of.classes(hot=False, ignored=-1), of.sparse),
    ("Hinge", {}, of.minus_or_plus, definition_of("Hinge")),
    ("SquaredHinge", {}, of.minus_or_plus, definition_of("SquaredHinge")),
    ("CategoricalHinge", {}, of.classes(logits=True), definition_of("CategoricalHinge")),
]
IDS = [
    "-".join([name, *(f"{key}={value}" for key, value in given.items())]) + f"-{i}"
    for i, (name, given, *_) in enumerate(CASES)
]


def mean(batches):
    """The definition: of (values, weights or None) per batch, values counting as one per example, their mean."""
    total = weight = 0.0
    for values, weights in batches:
        values = np.asarray(values, float)
        weights = np.ones(values.shape) if weights is None else np.asarray(weights, float)
        weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim)), values.shape)
        rest = tuple(range(1, values.ndim))
        total += (values * weights).mean(rest).sum()
        weight += weights.mean(rest).sum()
    return total / weight if weight else 0.0
