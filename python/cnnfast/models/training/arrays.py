"""What users give as data, as arrays: checked against each other and against the model's inputs."""

from __future__ import annotations

import numbers as numbers_of
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import real
from cnnfast.autograd import Tensor, Variable, to_float32
from cnnfast.models.training.batch import Batch
from cnnfast.structure import leaves, map_leaves

Array = npt.NDArray[Any]


def as_array(owner: str, name: str, value: Any) -> Array:
    """A NumPy array, tensor (PyTorch's and TensorFlow's too), table of pandas or nested list of numbers as an array.

    Args:
        owner: the calling method, for messages.
        name: the argument's name.
        value: what was given.

    Raises:
        TypeError: it is not made of real numbers.
        ValueError: it is a single number.

    Example:
        >>> as_array("fit", "x", [[1, 2]]).shape
        (1, 2)
    """
    if type(value) is not np.ndarray:
        value = _converted(owner, name, value)
    if value.dtype.kind not in "fiub":
        raise TypeError(f"{owner}: {name} expects an array of real numbers, got dtype {value.dtype}")
    if value.ndim == 0:
        raise ValueError(f"{owner}: {name} expects an array with the examples along its first axis, got one number")
    return value


def _converted(owner: str, name: str, value: Any) -> Array:
    if isinstance(value, (Tensor, Variable)):
        return value.numpy()
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if hasattr(value, "detach"):  # PyTorch: off the tape and onto this processor
        value = value.detach().cpu()
        if not hasattr(np, str(value.dtype).removeprefix("torch.")):
            value = value.float()  # bfloat16 and the like
        return np.asarray(value.numpy())
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    elif not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
        raise TypeError(f"{owner}: {name} expects an array, got {type(value).__name__}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{owner}: {name} expects an array of numbers: {error}") from None
    if array.dtype == object and array.size:  # a table with columns of several types
        try:
            array = np.asarray(array.tolist())
        except ValueError as error:
            raise TypeError(f"{owner}: {name} expects an array of numbers: {error}") from None
    return array


def is_structure(value: Any) -> bool:
    """Whether something is a structure of arrays, rather than one array (perhaps as nested lists of numbers).

    Example:
        >>> is_structure([np.zeros(3)]), is_structure([[1.0, 2.0]])
        (True, False)
    """
    if isinstance(value, dict):
        return True
    return isinstance(value, (list, tuple)) and any(_is_array(leaf) for leaf in leaves(value))


def _is_array(leaf: Any) -> bool:
    shape = getattr(leaf, "shape", None)
    return shape is not None and len(shape) > 0


def as_arrays(owner: str, name: str, value: Any) -> Any:
    """An array, or the arrays of a structure in it (None stays None).

    Raises:
        TypeError: something is not made of real numbers.
        ValueError: something is a single number.

    Example:
        >>> as_arrays("fit", "x", {"a": [1.0, 2.0]})
        {'a': array([1., 2.])}
    """
    if type(value) is np.ndarray or not is_structure(value):
        return as_array(owner, name, value)
    if isinstance(value, dict):
        return {key: _part(owner, f"{name}[{key!r}]", part) for key, part in value.items()}
    parts = [_part(owner, f"{name}[{i}]", part) for i, part in enumerate(value)]
    return parts if isinstance(value, list) else tuple(parts)


def _part(owner: str, name: str, value: Any) -> Any:
    return None if value is None else as_arrays(owner, name, value)


def checked_batch(owner: str, model: Any, batch: Batch, class_weight: Mapping[int, float] | None = None) -> Batch:
    """Inputs, labels and weights as arrays that fit each other and the model, which is built for them if need be.

    Args:
        owner: the calling method, for messages.
        model: the model.
        batch: inputs, labels or None, weights or None.
        class_weight: weights by class number, or None.

    Raises:
        TypeError: something is no array of numbers.
        ValueError: there are no examples, numbers of rows differ, or the inputs do not fit the model.
    """
    x, y, sample_weight = batch
    x = as_arrays(owner, "x", x)
    first = x if type(x) is np.ndarray else next((part for part in leaves(x) if part is not None), None)
    if first is None or len(first) == 0:
        raise ValueError(f"{owner}: x expects at least one example, got shape {getattr(first, 'shape', None)}")
    if y is not None:
        y = as_arrays(owner, "y", y)
    if class_weight is not None:
        if sample_weight is not None:
            raise ValueError(f"{owner}: give class_weight or sample_weight, not both")
        sample_weight = weights_by_class(owner, y, class_weight)
    elif sample_weight is not None:
        sample_weight = as_arrays(owner, "sample_weight", sample_weight)
        sample_weight = map_leaves(
            lambda w: None if w is None else to_float32(w, owner, "sample_weight"), sample_weight
        )
    for name, value in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        if value is None:
            continue
        for part in (value,) if type(value) is np.ndarray else leaves(value):
            if part is not None and len(part) != len(first):
                raise ValueError(
                    f"{owner}: {name} expects as many rows as x has, {len(first)}, got {len(part)} "
                    f"(x: {first.shape}, {name}: {part.shape})"
                )
    return fitted(owner, model, x), y, sample_weight


def weights_by_class(owner: str, y: Any, class_weight: Mapping[int, float]) -> npt.NDArray[np.float32]:
    """How much every example counts, by its class; classes that are not named count 1.

    Args:
        owner: the calling method, for messages.
        y: an array of class numbers or one-hot rows.
        class_weight: the weights by class number.

    Raises:
        ValueError: there are several outputs, or the labels are neither class numbers nor one-hot rows.
        TypeError: a weight or a class number is not a number.

    Example:
        >>> weights_by_class("fit", np.array([0, 1]), {1: 3.0})
        array([1., 3.], dtype=float32)
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"{owner}: class_weight expects a dict by class number, got {class_weight!r}")
    if not isinstance(y, np.ndarray):
        raise ValueError(f"{owner}: class_weight expects the labels of one output as y")
    labels = y
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] != 1 else labels[..., 0]
    if labels.ndim != 1:
        raise ValueError(f"{owner}: class_weight expects class numbers or one-hot rows as y, got shape {y.shape}")
    weights = np.ones(labels.shape, np.float32)
    numbers = np.round(labels)
    for number, weight in class_weight.items():
        if not isinstance(number, numbers_of.Real):
            raise TypeError(f"{owner}: class_weight expects class numbers as keys, got {number!r}")
        weights[numbers == number] = real(owner, f"class_weight[{number}]", weight)
    return weights


# The model's inputs


def fitted(owner: str, model: Any, x: Any) -> Any:
    """The inputs with the number of axes that the model takes; builds a model that was not yet.

    Raises:
        ValueError: the shapes do not fit the model's inputs.
    """
    if not model.built:
        model._build_for(map_leaves(lambda part: (None, *part.shape[1:]), x))
    graph = model._graph_if_known()
    if graph is None:
        return x
    if type(x) is np.ndarray and len(graph.inputs) == 1:
        return _fitted(owner, model, x, graph.inputs[0].shape)
    shapes = {id(v): t.shape for v, t in zip(graph.values_of(x), graph.inputs, strict=True)}
    return map_leaves(lambda part: _fitted(owner, model, part, shapes[id(part)]) if id(part) in shapes else part, x)


def _fitted(owner: str, model: Any, x: Array, expected: tuple[int | None, ...]) -> Array:
    shape = x.shape
    if shape[1:] == expected[1:]:
        return x
    if len(shape) == len(expected) + 1 and shape[-1] == 1:
        x = x[..., 0]
    elif len(shape) == len(expected) - 1 and expected[-1] == 1:
        x = x[..., None]
    fits = len(x.shape) == len(expected) and all(
        n is None or n == m for n, m in zip(expected[1:], x.shape[1:], strict=True)
    )
    if not fits:
        shown = ", ".join(["N", *("?" if n is None else str(n) for n in expected[1:])])
        raise ValueError(f"{owner}: {model.name} expects x of shape ({shown}), got {shape}")
    return x
