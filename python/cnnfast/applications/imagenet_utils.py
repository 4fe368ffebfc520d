"""What surrounds networks for ImageNet: images brought to the range that they expect, classes called by their names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import positive_int
from cnnfast.autograd import Value, to_float32
from cnnfast.downloads import cache_folder
from cnnfast.layers.arguments import checked_data_format
from cnnfast.symbolic import KerasTensor

_INDEX = "imagenet_class_index.json"  # Keras's name for the file
_LARGEST_INDEX = 1 << 24  # bytes

# Statistics of ImageNet's training images: blue, green and red from 0 to 255; red, green and blue from 0 to 1.
_BGR_MEAN = (103.939, 116.779, 123.68)
_RGB_MEAN, _RGB_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

ClassNames = str | os.PathLike[str] | Sequence[Any]


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images of 0 to 255, brought to the range that a network was trained on.

    Args:
        x: images of red, green and blue, (H, W, 3) or (N, H, W, 3): an array, or a tensor, symbolic ones too. It is
            left as it is.
        data_format: "channels_last", or "channels_first" for (3, H, W) or (N, 3, H, W).
        mode: "caffe": blue, green and red, each without ImageNet's mean; "tf": from -1 to 1; "torch": from 0 to 1, then
            each channel without ImageNet's mean and divided by its standard deviation.

    Returns:
        float32 of the shape of `x`.

    Raises:
        ValueError: another mode or data format, or no images of three channels where the mode is about them.

    Example:
        >>> preprocess_input(np.full((1, 1, 3), 255), mode="tf").ravel()
        array([1., 1., 1.], dtype=float32)
    """
    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(f"preprocess_input: mode expects 'caffe', 'tf' or 'torch', got {mode!r}")
    axis = -1 if checked_data_format("preprocess_input", data_format) == "channels_last" else -3
    if not isinstance(x, (Value, KerasTensor)):
        x = to_float32(x, "preprocess_input")
    if mode == "tf":
        return x / 127.5 - 1.0
    if len(x.shape) not in (3, 4) or x.shape[axis] != 3:
        raise ValueError(f"preprocess_input: mode={mode!r} expects images of 3 channels, got shape {tuple(x.shape)}")
    if mode == "caffe":
        return ops.flip(x, axis) - _along(_BGR_MEAN, axis)
    return (x / 255.0 - _along(_RGB_MEAN, axis)) / _along(_RGB_DEVIATION, axis)


def _along(values: tuple[float, ...], axis: int) -> Any:
    return np.array(values, np.float32).reshape([3] + [1] * (-1 - axis))


def preprocessing(mode: str) -> Callable[..., Any]:
    """A network's own `preprocess_input(x, data_format=None)`, of a fixed mode.

    Example:
        >>> preprocessing("tf")(np.zeros((1, 1, 3))).ravel()
        array([-1., -1., -1.], dtype=float32)
    """

    def preprocess(x: Any, data_format: str | None = None) -> Any:
        return preprocess_input(x, data_format, mode)

    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    preprocess.__doc__ = f"`cnnfast.applications.imagenet_utils.preprocess_input` with mode={mode!r}."
    return preprocess


def decode_predictions(
    preds: Any, top: int = 5, class_names: ClassNames | None = None
) -> list[list[tuple[str, str, float]]]:
    """The best classes of every row of predictions, by their names.

    Args:
        preds: scores of shape (N, classes).
        top: how many of each row.
        class_names: what the classes are called: the path of Keras's `imagenet_class_index.json` or of a text file with
            one name per line, or a sequence of names or of (identifier, name). By default that JSON file in cnnfast's
            cache folder, `$CNNFAST_HOME` or `~/.cache/cnnfast`: nothing is downloaded.

    Returns:
        For every row a list of (identifier, name, score), the best first; the identifier is the class's number where
        the names come without.

    Raises:
        ValueError: `preds` has another shape, or the names do not fit it or cannot be read.
        FileNotFoundError: there is no file of names.

    Example:
        >>> decode_predictions([[0.25, 0.75]], top=1, class_names=["cat", "dog"])
        [[('1', 'dog', 0.75)]]
    """
    scores = to_float32(preds, "decode_predictions")
    if scores.ndim != 2:
        raise ValueError(f"decode_predictions: preds expects shape (N, classes), got {scores.shape}")
    top = positive_int("decode_predictions", "top", top)
    names = _named(class_names)
    if len(names) != scores.shape[1]:
        raise ValueError(f"decode_predictions: preds has {scores.shape[1]} classes, class_names {len(names)}")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [[(*names[i], float(row[i])) for i in chosen] for row, chosen in zip(scores, best, strict=True)]


def _named(given: ClassNames | None) -> list[tuple[str, str]]:
    """(identifier, name) of each class."""
    if given is None or isinstance(given, (str, os.PathLike)):
        path = os.fspath(given) if given is not None else str(cache_folder() / _INDEX)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"decode_predictions: {path}: no such file. Nothing is downloaded: give class_names, or put Keras's "
                f"{_INDEX} there"
            )
        try:
            entries = _read(path)
            return [_entry(i, entry) for i, entry in enumerate(entries)]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path}: holds no names of classes: {error}") from error
    return [_entry(i, entry) for i, entry in enumerate(given)]


def _read(path: str) -> Sequence[Any]:
    if os.path.getsize(path) > _LARGEST_INDEX:
        raise ValueError(f"it has more than {_LARGEST_INDEX} bytes")
    with open(path, encoding="utf-8") as file:
        if not path.lower().endswith(".json"):
            return file.read().splitlines()
        found = json.load(file)
    if isinstance(found, dict):
        return [found[str(i)] for i in range(len(found))]
    if not isinstance(found, list):
        raise ValueError("expected a JSON object or array")
    return found


def _entry(number: int, entry: Any) -> tuple[str, str]:
    if isinstance(entry, str):
        return str(number), entry
    if isinstance(entry, (list, tuple)) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
        return entry[0], entry[1]
    raise ValueError(f"class {number} expects a name or (identifier, name), got {entry!r}")
