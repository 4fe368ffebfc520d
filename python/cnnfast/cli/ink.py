"""Brings a photo or drawing of one sign to the form of a data set of such signs.

A network that learned from one data set's images reads a pen drawing only if it looks like them: light ink on a dark
ground, the sign upright, as large as there, with lines as thick as there. These are the steps that postal and census
readers take too (M. D. Garris et al., "NIST form-based handprint recognition system", NISTIR 5469, 1994).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.cli.resize import FloatArray, resize

_LEAST_CONTRAST = 0.05  # of the full range; below it a picture counts as blank
_DUST = 0.05  # rows and columns with less ink than this share of the fullest one do not belong to the sign
_DRAWING_SIDE = 128  # pixels that a sign is reduced to before its slant is measured
_LINE_SIDE = 32  # pixels, at least, at which line thickness is set
_MOST_STRETCH = 1.5  # a "1" stays a stroke
_EDGE = 0.15  # softness of a line's edge


@dataclass(frozen=True)
class InkForm:
    """How a data set shows its signs.

    Attributes:
        height: of its images, in pixels.
        width: of its images, in pixels.
        box_height: height of a sign's bounding box, as a share of the image's.
        box_width: the same for the width.
        stretched: whether signs fill that box in both directions, or keep their proportions.
        upright: whether the writer's slant has been taken out.
        amount: mean value of an image, ground and ink together.
    """

    height: int
    width: int
    box_height: float
    box_width: float
    stretched: bool
    upright: bool
    amount: float

    @classmethod
    def measure(cls, images: npt.NDArray[Any]) -> InkForm:
        """The form of images (N, H, W, 1) of light ink on a dark ground, values 0 to 1."""
        _, height, width, _ = images.shape
        inked = images[..., 0] > 0.25
        rows, columns = inked.any(axis=2).sum(axis=1) / height, inked.any(axis=1).sum(axis=1) / width
        box = round(max(float(np.median(np.maximum(rows, columns))), 1 / height), 4)
        return cls(height, width, box, box, stretched=False, upright=False, amount=round(float(images.mean()), 4))

    def apply(self, grey: FloatArray) -> FloatArray:
        """Bring one grey picture (H, W), values 0 to 1, to this form: (height, width, 1).

        Raises:
            ValueError: the picture shows nothing but one even grey.
        """
        ink = _crop(_separate(grey))
        longest = max(ink.shape)
        ink = _resized(ink, ink.shape[0] * _DRAWING_SIDE / longest, ink.shape[1] * _DRAWING_SIDE / longest)
        if self.upright:
            ink = _crop(_straighten(ink))
        finer = -(-_LINE_SIDE // min(self.height, self.width))  # ceiling
        drawn = self._placed(ink, self.height * finer, self.width * finer)
        return resize(_with_amount(drawn, self.amount)[None, :, :, None], self.height, self.width)[0]

    def _placed(self, ink: FloatArray, height: int, width: int) -> FloatArray:
        """The sign, scaled to its box, in the middle of a (height, width) image."""
        down, across = self.box_height * height / ink.shape[0], self.box_width * width / ink.shape[1]
        if self.stretched:
            across = min(across, down * _MOST_STRETCH)
        else:
            down = across = min(down, across)
        sign = _resized(ink, ink.shape[0] * down, ink.shape[1] * across)[:height, :width]
        image = np.zeros((height, width), np.float32)
        top, left = (height - sign.shape[0]) // 2, (width - sign.shape[1]) // 2
        image[top : top + sign.shape[0], left : left + sign.shape[1]] = sign
        return image


def _resized(image: FloatArray, height: float, width: float) -> FloatArray:
    return resize(image[None, :, :, None], max(1, round(height)), max(1, round(width)))[0, :, :, 0]


def _separate(grey: FloatArray) -> FloatArray:
    """The ink alone: 0 where the ground is, 1 where the ink is, whichever of the two is the lighter."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = np.median(border) - grey
    if -ink.min() > ink.max():
        ink = -ink
    ink = np.clip(ink, 0, None)
    if ink.max() < _LEAST_CONTRAST:
        raise ValueError("no drawing found: the picture is one even grey")
    threshold = _otsu_threshold(ink)
    ground, line = ink[ink <= threshold].mean(), ink[ink > threshold].mean()
    return np.clip((ink - ground) / (line - ground), 0, 1).astype(np.float32)


def _otsu_threshold(values: FloatArray) -> float:
    """The threshold that parts values into two classes of least variance (N. Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=256)
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    total = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    # Both classes hold values: the first bin has the least one, the last the greatest.
    distance = total[:-1] / below - (total[-1] - total[:-1]) / above
    return float(edges[1 + int(np.argmax(below * above * distance**2))])


def _crop(ink: FloatArray) -> FloatArray:
    drawn = np.where(ink > 0.5, ink, 0)
    rows, columns = drawn.sum(axis=1), drawn.sum(axis=0)
    top, bottom = np.flatnonzero(rows > _DUST * rows.max())[[0, -1]]
    left, right = np.flatnonzero(columns > _DUST * columns.max())[[0, -1]]
    return ink[top : bottom + 1, left : right + 1]


def _straighten(ink: FloatArray) -> FloatArray:
    """Shear away the slant, measured by the ink's second moments."""
    height, width = ink.shape
    y, x = np.arange(height)[:, None], np.arange(width)
    y = y - (ink * y).sum() / ink.sum()
    variance = (ink * y**2).sum()
    slant = np.clip((ink * y * x).sum() / variance, -1, 1) if variance > 0 else 0.0
    shift = slant * y[:, 0]
    room = int(np.ceil(np.abs(shift).max()))
    columns = np.arange(-room, width + room)
    rows = [np.interp(columns + by, x, row, left=0, right=0) for by, row in zip(shift, ink, strict=True)]
    return np.asarray(rows, np.float32)


def _with_amount(image: FloatArray, amount: float) -> FloatArray:
    """Thicken or thin the lines until the image's mean is `amount`: blur, then choose the threshold that gives it."""
    blurred: npt.NDArray[np.floating] = image
    for _ in range(4):
        blurred = np.pad(blurred, 1)
        blurred = (blurred[:-2] + 2 * blurred[1:-1] + blurred[2:]) / 4
        blurred = (blurred[:, :-2] + 2 * blurred[:, 1:-1] + blurred[:, 2:]) / 4
    blurred = blurred / blurred.max()
    low, high = _EDGE / 2, 1.0  # no lower: the empty ground must stay empty
    for _ in range(24):
        threshold = (low + high) / 2
        lines = np.clip((blurred - threshold) / _EDGE + 0.5, 0, 1)
        if lines.mean() > amount:
            low = threshold
        else:
            high = threshold
    return lines.astype(np.float32)
