"""Data sets of image files, one folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops, random
from cnnfast.arguments import positive_int, refuse_unsupported
from cnnfast.autograd import FloatArray
from cnnfast.utils.images import img_to_array, load_img

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LABEL_MODES = ("int", "binary", "categorical", None)


class ImageFolder:
    """Batches of images, read from their files when they are needed; made by `image_dataset_from_directory`.

    Every pass over it comes in another order where it was asked to shuffle.

    Attributes:
        file_paths: the files.
        class_names: the classes' names, None where there are no labels from folders.
    """

    def __init__(
        self,
        file_paths: list[str],
        labels: npt.NDArray[Any] | None,
        class_names: list[str] | None,
        batch_size: int | None,
        order: random.SeedGenerator | None,
        read: Any,
    ) -> None:
        self.file_paths = file_paths
        self.class_names = class_names
        self._labels, self._batch_size, self._order, self._read = labels, batch_size, order, read
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Put the files into another order, where they are shuffled."""
        self._sequence = np.arange(len(self.file_paths))
        if self._order is not None:
            self._sequence = random.generator_of(self._order).permutation(self._sequence)

    @property
    def num_batches(self) -> int:
        """The number of batches."""
        return len(self)

    def __len__(self) -> int:
        return -(-len(self.file_paths) // (self._batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        """Batch number `index`: images, or images and labels."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        if self._batch_size is None:
            which: Any = self._sequence[index]
            images: FloatArray = self._read(self.file_paths[which])
        else:
            which = self._sequence[index * self._batch_size : (index + 1) * self._batch_size]
            images = np.stack([self._read(self.file_paths[i]) for i in which])
        return images if self._labels is None else (images, self._labels[which])

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]
        self.on_epoch_end()

    def take(self, count: int) -> list[Any]:
        """The first batches, for a look at them.

        Args:
            count: how many.
        """
        return [self[index] for index in range(min(count, len(self)))]


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Sequence[int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
    **unsupported: Any,
) -> Any:
    """A data set of the image files in a folder: each subfolder holds a class.

    Args:
        directory: the folder. Files that end in .bmp, .gif, .jpeg, .jpg and .png count.
        labels: "inferred" from the subfolders, None for images alone, or a list of integers, one for each file in the
            order of their sorted paths.
        label_mode: "int", "categorical" (one-hot rows), "binary" (0.0 or 1.0, of two classes) or None for images alone.
        class_names: the subfolders in the order of the classes; all, sorted, if None.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: images in a batch; None for one image at a time.
        image_size: the height and width that images are resized to.
        shuffle: whether every pass comes in another order; else the paths are sorted.
        seed: of the order, and of the split.
        validation_split: the part of the files kept for validation.
        subset: "training", "validation" or, for a pair of data sets, "both"; where there is a split.
        interpolation: as in `ops.image.resize`.
        follow_links: whether to go into folders that are links.
        crop_to_aspect_ratio: whether to cut off borders where the shapes differ, instead of distorting.
        pad_to_aspect_ratio: whether to add borders where the shapes differ, instead of distorting.
        data_format: "channels_last" (also None) or "channels_first".
        verbose: whether to print how many files were found.
        **unsupported: none; `format="tf"` is taken for code that passes it.

    Returns:
        An iterable of batches with a length: float32 images from 0 to 255, (N, height, width, channels), and labels. It
        has `class_names` and `file_paths`. With "both" two of them.

    Raises:
        ImportError: Pillow is not installed.
        OSError: there is no such folder.
        ValueError: there are no images, or an argument does not fit.

    Example:
        >>> from cnnfast.utils import save_img
        >>> for name in ("cats/1.png", "cats/2.png", "dogs/1.png"):
        ...     Path(name).parent.mkdir(exist_ok=True)
        ...     save_img(name, np.zeros((4, 6, 3)))
        >>> data = image_dataset_from_directory(".", image_size=(8, 8), verbose=False)
        >>> data.class_names, [images.shape for images, classes in data]
        (['cats', 'dogs'], [(3, 8, 8, 3)])
    """
    op = "image_dataset_from_directory"
    if unsupported.pop("format", "tf") != "tf":
        raise ValueError(f"{op}: format expects 'tf' or nothing: what is returned is an iterable of arrays")
    refuse_unsupported(op, unsupported)
    if label_mode not in _LABEL_MODES:
        raise ValueError(f"{op}: label_mode expects int, binary, categorical or None, got {label_mode!r}")
    if batch_size is not None:
        batch_size = positive_int(op, "batch_size", batch_size)
    size = tuple(positive_int(op, "image_size", n) for n in image_size)
    if len(size) != 2:
        raise ValueError(f"{op}: image_size expects a height and a width, got {image_size}")
    _check_split(op, validation_split, subset, shuffle, seed)
    paths, numbers, names = _listed(op, Path(directory), labels, class_names, follow_links)
    coded = _coded(op, numbers, None if labels is None else label_mode, names)
    order = random.SeedGenerator(seed) if shuffle else None
    if shuffle and validation_split:
        mixed = np.random.default_rng(seed).permutation(len(paths))
        paths, coded = [paths[i] for i in mixed], None if coded is None else coded[mixed]

    def read(path: str) -> FloatArray:
        image = img_to_array(load_img(path, color_mode))
        resized = ops.image.resize(image, size, interpolation, False, crop_to_aspect_ratio, pad_to_aspect_ratio)
        return np.ascontiguousarray(np.moveaxis(resized, -1, 0)) if data_format == "channels_first" else resized

    kept = int((validation_split or 0.0) * len(paths))
    parts = {None: slice(None), "training": slice(len(paths) - kept), "validation": slice(len(paths) - kept, None)}
    if verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(names)} classes." if names else "."))

    def made(part: slice) -> ImageFolder:
        return ImageFolder(paths[part], None if coded is None else coded[part], names, batch_size, order, read)

    if subset == "both":
        return made(parts["training"]), made(parts["validation"])
    return made(parts[subset])


def _check_split(op: str, validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    if subset not in (None, "training", "validation", "both"):
        raise ValueError(f"{op}: subset expects training, validation or both, got {subset!r}")
    if bool(validation_split) != bool(subset):
        raise ValueError(f"{op}: expects both validation_split and subset, or neither")
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(f"{op}: validation_split expects a number between 0 and 1, got {validation_split}")
    if validation_split and shuffle and seed is None:
        raise ValueError(f"{op}: a split of shuffled files needs a seed, so that the parts do not overlap")


def _listed(
    op: str, folder: Path, labels: Any, class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[str], list[int] | None, list[str] | None]:
    """The files, their classes' numbers and the classes' names."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{op}: {folder} is no folder")
    if labels != "inferred":
        if class_names is not None:
            raise ValueError(f"{op}: class_names belong to labels='inferred'")
        paths = _images(folder, follow_links)
        if labels is not None and len(labels) != len(paths):
            raise ValueError(f"{op}: labels expects one for each of {len(paths)} files, got {len(labels)}")
        numbers = None if labels is None else [int(n) for n in labels]
        names = None if numbers is None else [str(n) for n in sorted(set(numbers))]
    else:
        found = sorted(p.name for p in folder.iterdir() if p.is_dir())
        names = found if class_names is None else list(class_names)
        if sorted(names) != found and class_names is not None:
            raise ValueError(f"{op}: class_names expects the subfolders {found}, got {names}")
        by_class = [_images(folder / name, follow_links) for name in names]
        paths = [path for part in by_class for path in part]
        numbers = [number for number, part in enumerate(by_class) for _ in part]
    if not paths:
        raise ValueError(f"{op}: there are no images ({', '.join(_SUFFIXES)}) in {folder}")
    return paths, numbers, names


def _images(folder: Path, follow_links: bool) -> list[str]:
    found = [
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder, followlinks=follow_links)
        for name in names
        if name.lower().endswith(_SUFFIXES)
    ]
    return sorted(found)


def _coded(
    op: str, numbers: list[int] | None, label_mode: str | None, names: list[str] | None
) -> npt.NDArray[Any] | None:
    """The labels as the losses want them."""
    if numbers is None or names is None or label_mode is None:
        return None
    if label_mode == "categorical":
        return ops.one_hot(np.asarray(numbers), len(names))
    if label_mode == "binary":
        if len(names) != 2:
            raise ValueError(f"{op}: label_mode 'binary' expects two classes, got {len(names)}")
        return np.asarray(numbers, np.float32)[:, None]
    return np.asarray(numbers, np.int32)
