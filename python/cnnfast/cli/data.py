"""The labelled images that `train` and `evaluate` work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.cli.errors import CommandError
from cnnfast.cli.images import IMAGE_SUFFIXES, Preprocessing
from cnnfast.cli.ink import InkForm
from cnnfast.cli.resize import FloatArray

Labels = npt.NDArray[np.int64]

# The embedded digits: NIST's normalisation stretched each to 20x32 of the 32x32 scan and took its slant out.
_DIGITS_INK = InkForm(8, 8, box_height=1.0, box_width=0.625, stretched=True, upright=True, amount=0.305)
_DIGITS_SIDE = 32  # LeNet-5's own input size
_FOLDER_SIDE = 32


# What a folder of drawings is brought to: MNIST's form.
_DRAWING_BOX = 20 / 28
_DRAWING_AMOUNT = 0.13


@dataclass(frozen=True)
class Options:
    """How the user's own images are to be read.

    Attributes:
        size: (height, width) to resize to, or None for an array's own size.
        channels: 1 or 3, for image files.
        max_value: the value of a full pixel in arrays of integers.
        ink: whether the images are drawings of signs.
        test_fraction: what to hold out as test images where there are none.
        seed: of that choice.
    """

    size: tuple[int, int] | None
    channels: int
    max_value: float
    ink: bool
    test_fraction: float
    seed: int


@dataclass(frozen=True)
class LabelledImages:
    """Network input, shape (N, height, width, channels), and the index of each image's class."""

    x: FloatArray
    y: Labels

    def part(self, chosen: npt.NDArray[Any]) -> LabelledImages:
        """The images with these indices."""
        return LabelledImages(self.x[chosen], self.y[chosen])


@dataclass(frozen=True)
class TrainingData:
    """Images to learn from, images to be tested on, and what was done to them."""

    name: str
    train: LabelledImages
    test: LabelledImages
    preprocessing: Preprocessing


def embedded_digits() -> TrainingData:
    """The handwritten digits that are part of the package."""
    from cnnfast.datasets import digits

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    form = Preprocessing(_DIGITS_SIDE, _DIGITS_SIDE, 1, digits.MAX_VALUE, digits.CLASS_NAMES, _DIGITS_INK)
    train = LabelledImages(form.array(x_train), y_train.astype(np.int64))
    return TrainingData("digits", train, LabelledImages(form.array(x_test), y_test.astype(np.int64)), form)


def load_training_data(path: Path | None, options: Options) -> TrainingData:
    """The embedded digits, or the user's .npz file or folder of class folders."""
    if path is None:
        return embedded_digits()
    data = _load_folder(path, options) if path.is_dir() else _load_npz(path, options)
    if len(data.preprocessing.class_names) < 2:
        raise CommandError(f"{path}: expected at least two classes, found {len(data.preprocessing.class_names)}")
    if len(data.test.x):
        return data
    train, test = stratified_split(data.train.y, options.test_fraction, options.seed)
    return replace(data, train=data.train.part(train), test=data.train.part(test))


def load_labelled(path: Path, form: Preprocessing) -> LabelledImages:
    """Images to evaluate a model on: the test part where there is one, else all."""
    if path.is_dir():
        return _read_files(_class_files(path / "test" if _has_parts(path) else path), form)
    parts = _labelled_arrays(path)
    part = "test" if "test" in parts else "train"
    x, y = parts[part]
    return LabelledImages(form.array(x, f"{path}: x"), _indices(y, form.class_names, path))


def stratified_split(y: Labels, fraction: float, seed: int) -> tuple[Labels, Labels]:
    """Indices of two parts; the second has about `fraction` of each class and leaves the first at least one."""
    generator = np.random.default_rng(seed)
    held_out = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = generator.permutation(np.flatnonzero(y == label))
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held_out[members[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _load_npz(path: Path, options: Options) -> TrainingData:
    parts = _labelled_arrays(path)
    x, y = parts["train"]
    names = tuple(str(label) for label in np.unique(y))
    if x.ndim not in (3, 4):
        raise CommandError(f"{path}: expected images of shape (N, H, W) or (N, H, W, C), got {x.shape}")
    channels = 3 if x.ndim == 4 and x.shape[3] == 3 else 1
    height, width = options.size or x.shape[1:3]
    form = Preprocessing(height, width, channels, options.max_value, names)
    if options.ink:
        as_they_are = replace(form, height=x.shape[1], width=x.shape[2], channels=1)
        form = replace(form, ink=InkForm.measure(as_they_are.array(x, f"{path}: x")))
    train, test = (
        LabelledImages(form.array(x, f"{path}: x"), _indices(y, names, path))
        for x, y in (parts["train"], parts.get("test", (x[:0], y[:0])))
    )
    return TrainingData(path.stem, train, test, form)


def _load_folder(folder: Path, options: Options) -> TrainingData:
    files = _class_files(folder / "train" if _has_parts(folder) else folder)
    size = options.size or (_FOLDER_SIDE, _FOLDER_SIDE)
    form = Preprocessing(*size, options.channels, 255.0, tuple(sorted({name for _, name in files})))
    if options.ink:
        ink = InkForm(*size, _DRAWING_BOX, _DRAWING_BOX, stretched=False, upright=False, amount=_DRAWING_AMOUNT)
        form = replace(form, ink=ink)
    train = _read_files(files, form)
    test = _read_files(_class_files(folder / "test"), form) if _has_parts(folder) else train.part(np.arange(0))
    return TrainingData(folder.resolve().name, train, test, form)


def _labelled_arrays(path: Path) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """The (images, labels) of an .npz file: under "train", and under "test" where the file has test images."""
    from cnnfast.datasets._files import load_npz

    if path.suffix != ".npz":
        raise CommandError(f"{path}: expected an .npz file or a folder of class folders")
    try:
        arrays = load_npz(path)
    except ValueError as error:
        raise CommandError(str(error)) from None
    names = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
    if "x_train" not in arrays and "x_test" not in arrays:
        names = {"train": ("x", "y")}
    parts = {}
    for part, (x_name, y_name) in names.items():
        if x_name not in arrays and y_name not in arrays and part == "test":
            continue
        for name in (x_name, y_name):
            if name not in arrays:
                raise CommandError(
                    f"{path}: no array {name}: expected x and y, or x_train, y_train, x_test, y_test; "
                    f"found {', '.join(arrays) or 'nothing'}"
                )
        x, y = arrays[x_name], arrays[y_name]
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if y.ndim != 1 or x.ndim < 1 or len(x) != len(y) or y.dtype.kind not in "iubUS":
            raise CommandError(
                f"{path}: {y_name}: expected one label (an integer or a text) per image, got {y.dtype} of shape "
                f"{y.shape} for {x_name} of shape {x.shape}"
            )
        if len(x) == 0 and part == "train":
            raise CommandError(f"{path}: {x_name}: no images")
        parts[part] = (x, y.astype(str) if y.dtype.kind == "S" else y)
    return parts


def _indices(y: npt.NDArray[Any], names: tuple[str, ...], path: Path) -> Labels:
    """Labels as indices into the class names."""
    index = {name: i for i, name in enumerate(names)}
    unknown = sorted({str(label) for label in np.unique(y)} - index.keys())
    if unknown:
        raise CommandError(f"{path}: label {unknown[0]!r} is none of the model's classes: {', '.join(names)}")
    return np.array([index[str(label)] for label in y], np.int64)


def _has_parts(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / "test").is_dir()


def _class_files(root: Path) -> list[tuple[Path, str]]:
    """Every image file in the folder's class folders, with its class."""
    if not root.is_dir():
        raise CommandError(f"{root}: no such folder")
    files = [
        (file, folder.name)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not files:
        raise CommandError(f"{root}: no images found: expected one folder per class, with image files in it")
    return files


def _read_files(files: list[tuple[Path, str]], form: Preprocessing) -> LabelledImages:
    labels = _indices(np.array([name for _, name in files]), form.class_names, files[0][0].parents[1])
    return LabelledImages(np.concatenate([form.picture(file) for file, _ in files]), labels)
