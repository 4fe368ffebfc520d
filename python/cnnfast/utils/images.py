"""Image files and arrays, by Pillow: the extra `images`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfast.autograd import FloatArray, to_float32

if TYPE_CHECKING:
    from PIL.Image import Image

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")


def _pillow(op: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"{op} needs Pillow: pip install 'cnnfast[images]'") from None
    return Image


def _is_channels_first(op: str, data_format: str | None) -> bool:
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"{op}: data_format expects 'channels_last' or 'channels_first', got {data_format!r}")
    return data_format == "channels_first"


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Image:
    """An image from a file.

    Args:
        path: a path, or an `io.BytesIO` of the file's contents.
        color_mode: "rgb", "rgba" or "grayscale" (grey of 16 or 32 bits stays as it is).
        target_size: the height and width to resize to; its own if None.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming", Pillow's.
        keep_aspect_ratio: whether to cut off borders where the shapes differ, instead of distorting.

    Returns:
        Pillow's image.

    Raises:
        ImportError: Pillow is not installed.
        OSError: there is no such file, or it is no image.
        TypeError: `path` is neither a path nor a BytesIO.
        ValueError: an argument is none of these values.

    Example:
        >>> save_img("grey.png", np.zeros((4, 6, 1)))
        >>> load_img("grey.png", target_size=(2, 3)).size
        (3, 2)
    """
    pillow = _pillow("load_img")
    if color_mode not in _MODES:
        raise ValueError(f"load_img: color_mode expects one of {', '.join(_MODES)}, got {color_mode!r}")
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"load_img: interpolation expects one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}")
    if not isinstance(path, (str, bytes, Path, io.BytesIO)):
        raise TypeError(f"load_img: path expects a path or an io.BytesIO, got {type(path).__name__}")
    source = path if isinstance(path, io.BytesIO) else io.BytesIO(Path(_text(path)).read_bytes())
    image = pillow.open(source)
    image.load()
    if not (color_mode == "grayscale" and image.mode in ("L", "I;16", "I")) and image.mode != _MODES[color_mode]:
        image = image.convert(_MODES[color_mode])
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        used_width = min(image.width, image.height * width // height)
        used_height = min(image.height, image.width * height // width)
        left, top = (image.width - used_width) // 2, (image.height - used_height) // 2
        box = (left, top, left + used_width, top + used_height)
    resampling = getattr(pillow.Resampling, interpolation.upper())
    return image.resize((width, height), resampling, box=box)


def _text(path: str | bytes | Path) -> str | Path:
    return path.decode() if isinstance(path, bytes) else path


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> Any:
    """An image as an array.

    Args:
        img: Pillow's image, or an array (H, W) or (H, W, C).
        data_format: "channels_last" (also None) or "channels_first".
        dtype: float32 if None; NumPy's name of another.

    Returns:
        (H, W, C), or (C, H, W) with "channels_first".

    Raises:
        ValueError: there are other than two or three axes, or `data_format` is none.

    Example:
        >>> img_to_array(array_to_img(np.zeros((4, 6, 3)))).shape
        (4, 6, 3)
    """
    array = np.asarray(img).astype(np.float32 if dtype is None else dtype)
    if array.ndim not in (2, 3):
        raise ValueError(f"img_to_array: img expects (H, W) or (H, W, C), got shape {array.shape}")
    if array.ndim == 2:
        array = array[:, :, None]
    return np.moveaxis(array, -1, 0).copy() if _is_channels_first("img_to_array", data_format) else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Image:
    """An array as an image.

    Args:
        x: (H, W, C) with 1, 3 or 4 channels, or (C, H, W) with "channels_first".
        data_format: "channels_last" (also None) or "channels_first".
        scale: whether to move and stretch the values to 0 to 255; else they are taken as they are, without fractions.
        dtype: None or "float32".

    Returns:
        Pillow's image.

    Raises:
        ImportError: Pillow is not installed.
        TypeError: `x` is not made of real numbers.
        ValueError: the shape does not fit, or `dtype` is another.

    Example:
        >>> array_to_img(np.zeros((4, 6, 3))).mode
        'RGB'
    """
    pillow = _pillow("array_to_img")
    if dtype is not None and np.dtype(dtype) != np.float32:
        raise ValueError(f"array_to_img: dtype={dtype!r} cannot be honoured: everything is computed in float32")
    array: FloatArray = to_float32(x, "array_to_img")
    if array.ndim != 3:
        raise ValueError(f"array_to_img: x expects one image, three axes, got shape {array.shape}")
    if _is_channels_first("array_to_img", data_format):
        array = np.moveaxis(array, 0, -1)
    if array.shape[-1] not in (1, 3, 4):
        raise ValueError(f"array_to_img: x expects 1, 3 or 4 channels, got shape {np.shape(x)}")
    if scale and array.size:
        array = array - array.min()
        highest = array.max()
        array = array * np.float32(255) if highest == 0 else array / highest * np.float32(255)
    if array.shape[-1] > 1:
        return pillow.fromarray(np.ascontiguousarray(array).astype(np.uint8))
    grey = array[:, :, 0]
    deep = bool(grey.size) and grey.max() > 255
    return pillow.fromarray(np.ascontiguousarray(grey).astype(np.int32 if deep else np.uint8))


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Write an array to an image file.

    Args:
        path: a path, or a file open for writing.
        x: as in `array_to_img`.
        data_format: "channels_last" (also None) or "channels_first".
        file_format: Pillow's name of the format; by the path's ending if None.
        scale: whether to move and stretch the values to 0 to 255.
        **kwargs: for Pillow's `save`.

    Raises:
        ImportError: Pillow is not installed.
        OSError: the file cannot be written.
        ValueError: the shape does not fit, or the format is not known.

    Example:
        >>> save_img("colours.png", np.random.default_rng(0).random((4, 6, 3)))
    """
    image = array_to_img(x, data_format, scale)
    if image.mode == "RGBA" and (file_format or str(path).rsplit(".", 1)[-1]).lower() in ("jpg", "jpeg"):
        image = image.convert("RGB")  # the format has no transparency
    image.save(path, format=file_format, **kwargs)
