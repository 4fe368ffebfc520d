"""Helpers around training: labels, images and their files, downloads, splits, pictures of models."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import positive_int
from cnnfast.autograd import to_float32
from cnnfast.backend import clear_session, is_keras_tensor
from cnnfast.losses import class_labels
from cnnfast.py_dataset import PyDataset, pack_x_y_sample_weight, unpack_x_y_sample_weight
from cnnfast.random import set_random_seed
from cnnfast.registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from cnnfast.utils.files import get_file
from cnnfast.utils.folders import image_dataset_from_directory
from cnnfast.utils.images import array_to_img, img_to_array, load_img, save_img
from cnnfast.utils.plotting import model_to_dot, plot_model
from cnnfast.utils.progbar import Progbar
from cnnfast.utils.splitting import split_dataset

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "custom_object_scope",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "image_dataset_from_directory",
    "img_to_array",
    "is_keras_tensor",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "set_random_seed",
    "split_dataset",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

Sequence = PyDataset  # the name of old


def to_categorical(x: Any, num_classes: int | None = None) -> npt.NDArray[np.float32]:
    """One-hot rows: 1 at the class, 0 elsewhere.

    Args:
        x: class numbers from 0, of any shape; a last axis of size 1 is taken away.
        num_classes: the number of classes; the largest class plus one by default.

    Returns:
        float32 of x's shape with the axis of the classes at the end.

    Raises:
        ValueError: a value is no class number.

    Example:
        >>> to_categorical([0, 2])
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels.reshape(labels.shape[:-1])
    if num_classes is None:
        if labels.size == 0:
            raise ValueError("to_categorical: num_classes is needed where there are no labels")
        classes = int(labels.max()) + 1 if labels.dtype.kind in "fiub" else 1
    else:
        classes = positive_int("to_categorical", "num_classes", num_classes)
    labels = class_labels("to_categorical", labels, (*labels.shape, max(classes, 1)))
    rows = np.zeros((*labels.shape, max(classes, 1)), np.float32)
    np.put_along_axis(rows, labels[..., None], 1.0, axis=-1)
    return rows


def normalize(x: Any, axis: int = -1, order: int = 2) -> npt.NDArray[np.float32]:
    """Divide by the norm along an axis; where it is zero, the values stay zero.

    Args:
        x: array of real numbers.
        axis: along which the norm is taken.
        order: which norm: 2 is Euclid's, 1 the sum of absolute values.

    Example:
        >>> normalize([[3.0, 4.0]])
        array([[0.6, 0.8]], dtype=float32)
    """
    array = to_float32(x, "normalize")
    norm = np.linalg.norm(array, ord=order, axis=axis, keepdims=True)
    return array / np.where(norm == 0, np.float32(1), norm)
