"""Which losses there are, by name; making them of names and configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnfast.configured import serialize as serialized
from cnnfast.losses import crossentropy, focal, margins, probabilistic, regression, segmentation, sequences, similarity
from cnnfast.losses.base import Loss, LossFunction, LossFunctionWrapper
from cnnfast.registration import get_registered_object

LossLike = Loss | LossFunction | str | Mapping[str, Any]

CLASSES: dict[str, type[Loss]] = {
    c.__name__: c
    for c in (
        probabilistic.KLDivergence, probabilistic.Poisson,
        crossentropy.BinaryCrossentropy, crossentropy.CategoricalCrossentropy,
        crossentropy.SparseCategoricalCrossentropy,
        focal.BinaryFocalCrossentropy, focal.CategoricalFocalCrossentropy, focal.CategoricalGeneralizedCrossEntropy,
        regression.MeanSquaredError, regression.MeanAbsoluteError, regression.MeanAbsolutePercentageError,
        regression.MeanSquaredLogarithmicError, regression.CosineSimilarity, regression.LogCosh, regression.Huber,
        margins.Hinge, margins.SquaredHinge, margins.CategoricalHinge,
        segmentation.Dice, segmentation.Tversky, similarity.Circle, sequences.CTC,
        LossFunctionWrapper,
    )
}  # fmt: skip
FUNCTIONS: dict[str, LossFunction] = {
    f.__name__: f
    for f in (
        probabilistic.kl_divergence, probabilistic.poisson,
        crossentropy.binary_crossentropy, crossentropy.categorical_crossentropy,
        crossentropy.sparse_categorical_crossentropy, crossentropy.fitting_crossentropy,
        focal.binary_focal_crossentropy, focal.categorical_focal_crossentropy,
        focal.categorical_generalized_cross_entropy,
        regression.mean_squared_error, regression.mean_absolute_error, regression.mean_absolute_percentage_error,
        regression.mean_squared_logarithmic_error, regression.cosine_similarity, regression.log_cosh, regression.huber,
        margins.hinge, margins.squared_hinge, margins.categorical_hinge,
        segmentation.dice, segmentation.tversky, similarity.circle, sequences.ctc,
    )
}  # fmt: skip
SHORT_NAMES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_BY_NAME: dict[str, type[Loss] | LossFunction] = (
    CLASSES
    | FUNCTIONS
    | {short: FUNCTIONS[name] for short, name in SHORT_NAMES.items()}
    | {short.upper(): FUNCTIONS[name] for short, name in SHORT_NAMES.items()}
)


def get(identifier: Any) -> Any:
    """The loss that an argument means.

    Args:
        identifier: the name of a class ("MeanSquaredError"), which makes such a loss, or of a function
            ("mean_squared_error", "mse"), which gives that function; a loss or a function, which is returned as it is;
            or a dict of `class_name` and `config`. None gives None.

    Raises:
        ValueError: no loss has that name.
        TypeError: nothing that can be a loss.

    Example:
        >>> get("mae").__name__, get("MeanAbsoluteError").name
        ('mean_absolute_error', 'mean_absolute_error')
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, Mapping)):
        found = deserialize(identifier)
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, Loss) or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    raise TypeError(f"loss expects a name, a Loss or a function, got {identifier!r}")


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss of what `serialize` returned.

    Args:
        name: a dict of `class_name` and `config`, or a name, which gives the function or class of that name.
        custom_objects: classes and functions of your own, by name.

    Raises:
        ValueError: no loss has that name.

    Example:
        >>> deserialize({"class_name": "Huber", "config": {"delta": 2.0}}).delta
        2.0
    """
    if isinstance(name, str):
        return _named(name, custom_objects)
    if name.get("class_name") == "function":  # as Keras writes functions
        return _named(name.get("config"), custom_objects)
    config = dict(name.get("config") or {})
    found = _named(name.get("class_name"), custom_objects)
    if isinstance(found, type) and isinstance(config.get("fn"), (str, Mapping)):
        config["fn"] = deserialize(config["fn"], custom_objects)
    if not isinstance(found, type):
        return found
    make: Callable[[Mapping[str, Any]], Any] = getattr(found, "from_config", lambda config: found(**config))
    return make(config)


def _named(name: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    found = (custom_objects or {}).get(name) or _BY_NAME.get(name) or get_registered_object(name)
    if found is None:
        raise ValueError(f"loss {name!r} is not known; there are {', '.join(sorted(_BY_NAME))}")
    return found


def serialize(loss: Any) -> Any:
    """A loss as JSON can hold it: the name of a function, or a dict of `class_name` and `config`.

    Raises:
        TypeError: the loss is, or holds, a function that is not one of this module's.

    Example:
        >>> serialize(get("mse"))
        'mean_squared_error'
    """
    return serialized(loss, "loss")


def as_loss(identifier: Any) -> Loss:
    """The loss object that training computes with, for whatever `compile` was given.

    Args:
        identifier: what `get` takes; a function becomes a `LossFunctionWrapper` that has the name which was given.
            "crossentropy" and "ce" mean the cross-entropy that fits the shapes of labels and predictions.

    Raises:
        ValueError: no loss has that name.
        TypeError: nothing that can be a loss.

    Example:
        >>> as_loss("mse").name, as_loss(regression.mean_squared_error).name
        ('mse', 'mean_squared_error')
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        return LossFunctionWrapper(crossentropy.fitting_crossentropy, name=identifier)
    found = get(identifier)
    if found is None:
        raise TypeError("loss expects a name, a Loss or a function, got None")
    if isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found, name=identifier if isinstance(identifier, str) else None)
