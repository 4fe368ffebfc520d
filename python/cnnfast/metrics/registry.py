"""Which metrics there are, by name; making them of names and configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnfast import losses
from cnnfast.configured import serialize as serialized
from cnnfast.metrics import accuracy as accuracies
from cnnfast.metrics import (
    auc,
    confusion,
    correlation,
    fscore,
    iou,
    margins,
    operating_points,
    probabilistic,
    reduction,
    regression,
)
from cnnfast.metrics.base import Metric
from cnnfast.naming import snake_case
from cnnfast.registration import get_registered_object

MetricLike = Metric | Callable[[Any, Any], Any] | str | Mapping[str, Any]

CLASSES: dict[str, type[Metric]] = {
    c.__name__: c
    for c in (
        reduction.Mean, reduction.Sum, reduction.MeanMetricWrapper,
        accuracies.Accuracy, accuracies.BinaryAccuracy, accuracies.CategoricalAccuracy,
        accuracies.SparseCategoricalAccuracy, accuracies.TopKCategoricalAccuracy,
        accuracies.SparseTopKCategoricalAccuracy, accuracies.FittingAccuracy,
        regression.MeanSquaredError, regression.RootMeanSquaredError, regression.MeanAbsoluteError,
        regression.MeanAbsolutePercentageError, regression.MeanSquaredLogarithmicError, regression.CosineSimilarity,
        regression.LogCoshError, regression.R2Score,
        correlation.PearsonCorrelation, correlation.ConcordanceCorrelation,
        probabilistic.KLDivergence, probabilistic.Poisson, probabilistic.BinaryCrossentropy,
        probabilistic.CategoricalCrossentropy, probabilistic.SparseCategoricalCrossentropy,
        confusion.TruePositives, confusion.TrueNegatives, confusion.FalsePositives, confusion.FalseNegatives,
        confusion.Precision, confusion.Recall,
        operating_points.SensitivityAtSpecificity, operating_points.SpecificityAtSensitivity,
        operating_points.PrecisionAtRecall, operating_points.RecallAtPrecision, auc.AUC,
        iou.IoU, iou.BinaryIoU, iou.MeanIoU, iou.OneHotIoU, iou.OneHotMeanIoU, fscore.FBetaScore, fscore.F1Score,
        margins.Hinge, margins.SquaredHinge, margins.CategoricalHinge,
    )
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        accuracies.accuracy, accuracies.binary_accuracy, accuracies.categorical_accuracy,
        accuracies.sparse_categorical_accuracy, accuracies.top_k_categorical_accuracy,
        accuracies.sparse_top_k_categorical_accuracy,
        correlation.pearson_correlation, correlation.concordance_correlation,
    )
}  # fmt: skip
SHORT_NAMES = {
    "bce": probabilistic.BinaryCrossentropy,
    "mae": regression.MeanAbsoluteError,
    "mape": regression.MeanAbsolutePercentageError,
    "mse": regression.MeanSquaredError,
    "msle": regression.MeanSquaredLogarithmicError,
}
_BY_NAME: dict[str, type[Metric]] = (
    CLASSES
    | {snake_case(name): c for name, c in CLASSES.items()}
    | SHORT_NAMES
    | {name.upper(): c for name, c in SHORT_NAMES.items()}
)
# What a wrapper's "fn" may be; a metric of one's own may be the mean of a loss, too.
_WRAPPED = losses.registry.FUNCTIONS | FUNCTIONS | {"cosine_similarity": regression.cosine_similarity}


def get(identifier: Any) -> Any:
    """The metric that an argument means.

    Args:
        identifier: a name such as "MeanSquaredError", "mean_squared_error" or "mse", which makes such a metric; a
            metric or a function, which is returned as it is; or a dict of `class_name` and `config`. None gives None.

    Raises:
        ValueError: no metric has that name.
        TypeError: nothing that can be a metric.

    Example:
        >>> get("mae").name
        'mean_absolute_error'
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, Mapping)):
        found = deserialize(identifier)
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, Metric) or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    raise TypeError(f"metric expects a name, a Metric or a function, got {identifier!r}")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric of what `serialize` returned.

    Args:
        config: a dict of `class_name` and `config`, or a name, which gives the class of that name.
        custom_objects: classes and functions of your own, by name.

    Raises:
        ValueError: no metric has that name.

    Example:
        >>> deserialize({"class_name": "BinaryAccuracy", "config": {"threshold": 0.7}}).threshold
        0.7
    """
    own = custom_objects or {}
    if isinstance(config, str):
        return _named(config, own)
    arguments = dict(config.get("config") or {})
    found = _named(config.get("class_name"), own)
    if isinstance(found, type) and isinstance(arguments.get("fn"), str):
        function = own.get(arguments["fn"]) or _WRAPPED.get(arguments["fn"])
        if function is None:
            raise ValueError(
                f"metric function {arguments['fn']!r} is not known; there are {', '.join(sorted(_WRAPPED))}"
            )
        arguments["fn"] = function
    if not isinstance(found, type):
        return found
    make: Callable[[Mapping[str, Any]], Any] = getattr(found, "from_config", lambda config: found(**config))
    return make(arguments)


def _named(name: Any, own: Mapping[str, Any]) -> Any:
    found = own.get(name) or _BY_NAME.get(name) or get_registered_object(name)
    if found is None:
        raise ValueError(f"metric {name!r} is not known; there are {', '.join(sorted(_BY_NAME))}")
    return found


def serialize(metric: Any) -> Any:
    """A metric as JSON can hold it: a dict of `class_name` and `config`.

    Raises:
        TypeError: the metric is, or holds, a function that is not one of this library's.

    Example:
        >>> serialize(get("mse"))["class_name"]
        'MeanSquaredError'
    """
    return serialized(metric, "metric")


def as_metric(identifier: Any) -> Metric:
    """The metric object that training computes with, for whatever `compile` was given.

    Args:
        identifier: what `get` takes; a name is what the metric will be called, and a function becomes a
            `MeanMetricWrapper`. "accuracy" and "acc" mean the accuracy that fits the shapes of labels and predictions.

    Raises:
        ValueError: no metric has that name.
        TypeError: nothing that can be a metric.

    Example:
        >>> as_metric("mse").name, as_metric("acc").name
        ('mse', 'acc')
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        return accuracies.FittingAccuracy(name=identifier)
    found = get(identifier)
    if found is None:
        raise TypeError("metric expects a name, a Metric or a function, got None")
    metric = found if isinstance(found, Metric) else reduction.MeanMetricWrapper(found)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric
