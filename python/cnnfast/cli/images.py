"""How images become a network's input, and the record of it that a model file carries as plain JSON."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.cli.errors import CommandError
from cnnfast.cli.ink import InkForm
from cnnfast.cli.resize import FloatArray, resize

ARRAY_SUFFIXES = (".npy", ".npz")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's
_METADATA_KEY = "preprocessing"


@dataclass(frozen=True)
class Preprocessing:
    """What was done to the training images, so that the same can be done to others.

    Attributes:
        height: of the network's input, in pixels.
        width: of the network's input, in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        max_value: the value of a full pixel in arrays of integers, which are divided by it; arrays of floats are
            taken as they are, image files always become 0 to 1.
        class_names: one name per output of the network.
        ink: for data sets of drawn signs, the form that image files are brought to first; arrays are in it already.
    """

    height: int
    width: int
    channels: int
    max_value: float
    class_names: tuple[str, ...]
    ink: InkForm | None = None

    def array(self, x: npt.NDArray[Any], name: str = "array") -> FloatArray:
        """Make network input of an array in the training data's form.

        Args:
            x: one grey image (H, W), grey images (N, H, W), one colour image (H, W, 3) where the network sees colour,
                or images (N, H, W, C).
            name: what to call it in error messages.

        Returns:
            float32, shape (N, height, width, channels).
        """
        images = _with_channels(_as_images(x, self.channels, name), self.channels, name)
        if x.dtype.kind in "iu":
            images = images / np.float32(self.max_value)
        if images.shape[1:3] != (self.height, self.width):
            images = resize(images, self.height, self.width)
        return np.ascontiguousarray(images, np.float32)

    def picture(self, path: str | os.PathLike[str]) -> FloatArray:
        """Make network input of an image file: float32, shape (1, height, width, channels).

        Raises:
            CommandError: the file cannot be read, or Pillow is not installed.
        """
        if self.ink is None:
            return resize(decode(path, self.channels)[None], self.height, self.width)
        try:
            drawing = self.ink.apply(decode(path, 1)[:, :, 0])
        except ValueError as error:
            raise CommandError(f"{path}: {error}") from None
        return resize(_with_channels(drawing[None], self.channels, str(path)), self.height, self.width)

    def metadata(self) -> dict[str, Any]:
        """The entry for a model file's metadata."""
        return {_METADATA_KEY: asdict(self)}

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any], input_shape: tuple[int, ...], classes: int) -> Preprocessing:
        """What a model file says, or for a model saved without it: pixels scaled to 0..1, classes numbered.

        Raises:
            CommandError: the model takes no images, or its entry is damaged or another network's.
        """
        entry = metadata.get(_METADATA_KEY)
        if entry is None:
            if len(input_shape) != 3 or input_shape[2] not in (1, 3) or None in input_shape:
                raise CommandError(f"the model takes input of shape {input_shape}, not images (H, W, 1) or (H, W, 3)")
            return cls(*input_shape, max_value=255.0, class_names=tuple(map(str, range(classes))))
        try:
            ink = None if entry["ink"] is None else InkForm(**entry["ink"])
            found = cls(**{**entry, "class_names": tuple(entry["class_names"]), "ink": ink})
        except (TypeError, KeyError) as error:
            raise CommandError(f"the model file's preprocessing entry is damaged: {error}") from None
        expected = (*input_shape, classes)
        got = (found.height, found.width, found.channels, len(found.class_names))
        if got != expected:
            raise CommandError(
                f"the model file's preprocessing entry does not fit its network: expected (height, width, channels, "
                f"classes) {expected}, got {got}"
            )
        return found


def decode(path: str | os.PathLike[str], channels: int) -> FloatArray:
    """Read an image file with Pillow: float32, shape (H, W, channels), values 0 to 1; transparent parts are white.

    Raises:
        CommandError: the file cannot be read, or Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise CommandError("reading image files needs Pillow: pip install 'cnnfast[images]'") from None
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16 bits
                values = np.asarray(image, np.float32)[:, :, None] / np.float32(65535)
                return _with_channels(values[None], channels, str(path))[0]
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            values = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32) / np.float32(255)
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CommandError(f"{path}: not a readable image: {error}") from None
    return values.reshape(*values.shape[:2], channels)


def load_array(path: Path) -> npt.NDArray[Any]:
    """The array of an .npy file, or of an .npz that holds one only, or one named x.

    Raises:
        CommandError: the file cannot be read or does not hold such an array.
    """
    from cnnfast.datasets._files import load_npz

    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
        else:
            arrays = load_npz(path)
            if "x" not in arrays and len(arrays) != 1:
                raise CommandError(f"{path}: expected one array, or one named x; found {', '.join(arrays)}")
            array = arrays["x"] if "x" in arrays else next(iter(arrays.values()))
    except (ValueError, EOFError) as error:
        raise CommandError(f"{path}: {error}") from None
    return array


def _as_images(x: npt.NDArray[Any], channels: int, name: str) -> npt.NDArray[Any]:
    if x.dtype.kind not in "fiub":
        raise CommandError(f"{name}: expected images as an array of numbers, got dtype {x.dtype}")
    if x.ndim == 2:
        x = x[None, :, :, None]
    elif x.ndim == 3:
        x = x[None] if channels == 3 and x.shape[2] == 3 else x[..., None]
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise CommandError(f"{name}: expected images of shape (N, H, W) or (N, H, W, C), got {x.shape}")
    return x


def _with_channels(images: npt.NDArray[Any], channels: int, name: str) -> FloatArray:
    """Grey to colour or colour to grey, as the network needs."""
    images = np.asarray(images, np.float32)
    if images.shape[3] == 1:
        return np.repeat(images, channels, axis=3)
    if images.shape[3] == channels:
        return images
    if images.shape[3] == 3 and channels == 1:
        return np.asarray((images @ _GREY)[..., None], np.float32)
    raise CommandError(f"{name}: expected images with {channels} channel(s), got {images.shape[3]}")
