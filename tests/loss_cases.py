"""All losses in one table: their arguments, data that suits them, and their definitions in float64 NumPy."""

from itertools import product

import numpy as np

EPSILON = 1e-7


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def inside(p):
    return np.clip(p, EPSILON, 1 - EPSILON)


def unit(x, axis):
    return x / np.maximum(np.sqrt((x * x).sum(axis=axis, keepdims=True)), EPSILON)


def smooth(y, part, classes):
    return y * (1 - part) + part / classes


def signs(y):
    return 2 * y - 1 if np.isin(y, (0, 1)).all() else y


# The definitions, each (labels, predictions, arguments) -> values


def huber(y, p, delta=1.0):
    e = np.abs(p - y)
    return np.where(e <= delta, e * e / 2, delta * (e - delta / 2)).mean(-1)


def binary(y, p, from_logits=False, label_smoothing=0.0, axis=-1):
    y, p = smooth(y, label_smoothing, 2), inside(sigmoid(p) if from_logits else p)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis)


def binary_focal(
    y, p, apply_class_balancing=False, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    y, p = smooth(y, label_smoothing, 2), sigmoid(p) if from_logits else p
    entropy = -(y * np.log(inside(p)) + (1 - y) * np.log(1 - inside(p)))
    values = (1 - (y * p + (1 - y) * (1 - p))) ** gamma * entropy
    if apply_class_balancing:
        values = values * (y * alpha + (1 - y) * (1 - alpha))
    return values.mean(axis)


def categorical(y, p, from_logits=False, label_smoothing=0.0, axis=-1):
    y, p = smooth(y, label_smoothing, y.shape[axis]), softmax(p, axis) if from_logits else p
    return -(y * np.log(inside(p / p.sum(axis, keepdims=True)))).sum(axis)


def categorical_focal(y, p, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1):
    y, p = smooth(y, label_smoothing, y.shape[axis]), softmax(p, axis) if from_logits else p
    p = inside(p / p.sum(axis, keepdims=True))
    return -(np.asarray(alpha) * (1 - p) ** gamma * y * np.log(p)).sum(axis)


def sparse(y, p, from_logits=False, ignore_class=None, axis=-1):
    classes = p.shape[axis]
    valid = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    rows = np.moveaxis(np.eye(classes)[np.where(valid, y, 0)], -1, axis)
    return np.where(valid, categorical(rows, p, from_logits, axis=axis), 0.0)


def generalized(y, p, q=0.5):
    return (1 - np.take_along_axis(p, y[..., None], -1)[..., 0] ** q) / q


def cosine(y, p, axis=-1):
    return -(unit(y, axis) * unit(p, axis)).sum(axis)


def dice(y, p, axis=None):
    return 1 - 2 * (y * p).sum(axis) / (y.sum(axis) + p.sum(axis) + EPSILON)


def tversky(y, p, alpha=0.5, beta=0.5, axis=None):
    both = (y * p).sum(axis)
    return 1 - both / (both + alpha * (y * (1 - p)).sum(axis) + beta * ((1 - y) * p).sum(axis) + EPSILON)


def circle(y, p, gamma=80.0, margin=0.4, remove_diagonal=True):
    values = []
    for i in range(len(y)):
        pull = push = 0.0
        for j in range(len(y)):
            d = max(0.0, 1 - p[i] @ p[j])
            if y[i] == y[j]:
                pull += np.exp(-gamma * (margin + d) * (margin - d)) if i != j or not remove_diagonal else 0
            else:
                push += np.exp(gamma * max(0.0, 1 + margin - d) * (1 - margin - d))
        values.append(np.log1p(pull * push))
    return np.array(values)


def ctc(y, p):
    """All alignments, one by one."""
    values = []
    for labels, logits in zip(y, p, strict=True):
        chances, wanted, total = softmax(logits), [c for c in labels if c], 0.0
        for path in product(range(logits.shape[1]), repeat=len(logits)):
            read = [c for i, c in enumerate(path) if c and (i == 0 or c != path[i - 1])]
            if read == wanted:
                total += np.prod(chances[np.arange(len(path)), path])
        values.append(-np.log(total))
    return np.array(values)


# Data, each (generator, shape) -> labels, predictions


def numbers(rng, shape):
    return rng.standard_normal(shape), rng.standard_normal(shape)


def positive(rng, shape):
    return rng.random(shape) + 0.1, rng.random(shape) + 0.1


def yes_or_no(rng, shape):
    return rng.integers(0, 2, shape).astype(float), rng.random(shape) * 0.98 + 0.01


def yes_or_no_logits(rng, shape):
    return rng.integers(0, 2, shape).astype(float), rng.standard_normal(shape) * 2


def minus_or_plus(rng, shape):
    return rng.integers(0, 2, shape) * 2.0 - 1, rng.standard_normal(shape)


def classes(axis=-1, hot=True, logits=False, ignored=None):
    def data(rng, shape):
        p = rng.standard_normal(shape)
        count, others = shape[axis], [n for i, n in enumerate(shape) if i != axis % len(shape)]
        y = rng.integers(0, count, others)
        if ignored is not None:
            y[rng.random(y.shape) < 0.3] = ignored
        if hot:
            y = np.moveaxis(np.eye(count)[y], -1, axis)
        return y, p if logits else softmax(p, axis) * (0.5 + rng.random())

    return data


def probabilities(rng, shape):
    return softmax(rng.standard_normal(shape)), softmax(rng.standard_normal(shape))


def embeddings(rng, shape):
    return rng.integers(0, 3, shape[0]), unit(rng.standard_normal((shape[0], 4)), -1)


def sequences(rng, shape):
    y = np.zeros((shape[0], 3), int)
    for row in y:
        length = rng.integers(0, 4)
        row[:length] = rng.integers(1, 3, length)
    return y, rng.standard_normal((shape[0], 6, 3))


# (class, its arguments, data, definition)
CASES = [
    ("MeanSquaredError", {}, numbers, lambda y, p: ((y - p) ** 2).mean(-1)),
    ("MeanAbsoluteError", {}, numbers, lambda y, p: np.abs(y - p).mean(-1)),
    (
        "MeanAbsolutePercentageError",
        {},
        numbers,
        lambda y, p: 100 * (np.abs(y - p) / np.maximum(np.abs(y), EPSILON)).mean(-1),
    ),
    (
        "MeanSquaredLogarithmicError",
        {},
        numbers,
        lambda y, p: ((np.log1p(np.maximum(y, EPSILON)) - np.log1p(np.maximum(p, EPSILON))) ** 2).mean(-1),
    ),
    ("CosineSimilarity", {}, numbers, cosine),
    ("CosineSimilarity", {"axis": 0}, numbers, cosine),
    ("Huber", {}, numbers, huber),
    ("Huber", {"delta": 0.3}, numbers, huber),
    ("LogCosh", {}, numbers, lambda y, p: np.log(np.cosh(p - y)).mean(-1)),
    ("Hinge", {}, minus_or_plus, lambda y, p: np.maximum(0, 1 - y * p).mean(-1)),
    ("Hinge", {}, yes_or_no_logits, lambda y, p: np.maximum(0, 1 - signs(y) * p).mean(-1)),
    ("SquaredHinge", {}, minus_or_plus, lambda y, p: (np.maximum(0, 1 - y * p) ** 2).mean(-1)),
    ("SquaredHinge", {}, yes_or_no_logits, lambda y, p: (np.maximum(0, 1 - signs(y) * p) ** 2).mean(-1)),
    (
        "CategoricalHinge",
        {},
        classes(logits=True),
        lambda y, p: np.maximum(0, ((1 - y) * p).max(-1) - (y * p).sum(-1) + 1),
    ),
    ("KLDivergence", {}, probabilities, lambda y, p: (y * np.log(y / p)).sum(-1)),
    ("Poisson", {}, positive, lambda y, p: (p - y * np.log(p + EPSILON)).mean(-1)),
    ("BinaryCrossentropy", {}, yes_or_no, binary),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, yes_or_no, binary),
    ("BinaryCrossentropy", {"from_logits": True, "axis": 0}, yes_or_no_logits, binary),
    ("BinaryFocalCrossentropy", {}, yes_or_no, binary_focal),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.4, "gamma": 1.5, "label_smoothing": 0.1},
        yes_or_no,
        binary_focal,
    ),
    ("BinaryFocalCrossentropy", {"from_logits": True, "axis": 0}, yes_or_no_logits, binary_focal),
    ("CategoricalCrossentropy", {}, classes(), categorical),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, classes(), categorical),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, classes(logits=True), categorical),
    ("CategoricalCrossentropy", {"axis": 0}, classes(axis=0), categorical),
    ("CategoricalCrossentropy", {"axis": 0, "from_logits": True}, classes(axis=0, logits=True), categorical),
    ("CategoricalFocalCrossentropy", {}, classes(), categorical_focal),
    ("CategoricalFocalCrossentropy", {"alpha": 0.5, "gamma": 1.0, "axis": 0}, classes(axis=0), categorical_focal),
    (
        "CategoricalFocalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        classes(logits=True),
        categorical_focal,
    ),
    ("SparseCategoricalCrossentropy", {}, classes(hot=False), sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, classes(hot=False, logits=True), sparse),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0}, classes(hot=False), sparse),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": -1, "from_logits": True},
        classes(hot=False, logits=True, ignored=-1),
        sparse,
    ),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 255, "axis": 0},
        classes(axis=0, hot=False, ignored=255),
        sparse,
    ),
    (
        "SparseCategoricalCrossentropy",
        {"axis": 0, "from_logits": True},
        classes(axis=0, hot=False, logits=True),
        sparse,
    ),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, classes(hot=False), generalized),
    ("Dice", {}, yes_or_no, dice),
    ("Dice", {"axis": (0, -1)}, yes_or_no, dice),
    ("Tversky", {}, yes_or_no, tversky),
    ("Tversky", {"alpha": 0.3, "beta": 0.9, "axis": -1}, yes_or_no, tversky),
    ("Circle", {}, embeddings, circle),
    ("Circle", {"gamma": 10.0, "margin": 0.2, "remove_diagonal": False}, embeddings, circle),
    ("CTC", {}, sequences, ctc),
]
IDS = [
    "-".join([name, *(f"{key}={value}" for key, value in given.items())]) + f"-{i}"
    for i, (name, given, *_) in enumerate(CASES)
]
SHAPES = [(7, 5), (1, 3), (4, 3, 2), (3, 2, 4, 6)]


def counted(name, given, y, values):
    """Where values count in a mean's number of values; None where all do."""
    if name == "Circle":
        return values > 0
    ignored = given.get("ignore_class")
    return None if ignored is None else y.reshape(values.shape) != ignored


def reduce(values, reduction, weights=None, counted=None):
    """The definition of every reduction; weights are of a shape that broadcasts with the values'."""
    weights = np.ones(values.shape) if weights is None else weights
    if counted is not None:
        weights = weights * counted
    weighed = values * weights
    if reduction in (None, "none") or weighed.shape == ():
        return weighed
    if reduction == "sum":
        return weighed.sum()
    if reduction == "mean_with_sample_weight":
        return weighed.sum() / weights.sum() if np.any(weights) else np.float64(0)
    return weighed.sum() / max(1, weighed.size if counted is None else counted.sum())
