"""The detectors of the YOLO family, in the form that darknet trained them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from cnnfast.applications.darknet_text import DarknetText
from cnnfast.arguments import integer, positive_int
from cnnfast.interop.darknet.loading import from_text
from cnnfast.models import Model

PathLike = str | os.PathLike[str]
Anchors = Sequence[Sequence[float]] | None

_VOC = ((1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52))
_COCO = ((0.57273, 0.677385), (1.87446, 2.06253), (3.33843, 5.47434), (7.88282, 3.52778), (9.77052, 9.16828))
_COCO_PIXELS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
_FASTEST_PIXELS = ((12, 18), (37, 49), (52, 132), (115, 73), (119, 199), (242, 238))


def TinyYOLOv2(  # noqa: N802
    input_shape: Sequence[int] = (416, 416, 3),
    classes: int = 20,
    anchors: Anchors = None,
    weights: PathLike | None = None,
    name: str = "tiny_yolo_v2",
    *,
    last_filters: int | None = None,
) -> Model:
    """The small detector of YOLO version 2: nine convolutions (Redmon and Farhadi, "YOLO9000", 2017).

    Of 20 classes (Pascal VOC) it has 15,867,885 weights, the moving means and variances of batch normalization
    included: what a file of weights holds. For 80 classes (COCO) its last hidden convolution is published with half as
    many filters: 11,237,145 weights.

    It returns a raw map (N, H / 32, W / 32, anchors * (5 + classes)), for `cnnfast.interop.darknet.decode`. Images go
    in with values from 0 to 1, RGB.

    Args:
        input_shape: height, width and channels; both sides multiples of 32.
        classes: the number of classes.
        anchors: pairs of width and height in cells of the map; those of VOC by default, those of COCO for 80 classes.
        weights: a file of weights, `.weights` of darknet or one that `Model.save_weights` wrote; new ones if None.
        name: the model's name.
        last_filters: of the last hidden convolution; 1024 by default, 512 for 80 classes.

    Raises:
        TypeError: a number is no integer.
        ValueError: an argument is out of range, or the file is damaged or of another network.
        FileNotFoundError: there is no such file.

    Example:
        >>> TinyYOLOv2((64, 64, 3)).output_shape
        (None, 2, 2, 125)
    """
    op = "TinyYOLOv2"
    coco = classes == 80
    text = _text(op, input_shape, classes)
    for filters in (16, 32, 64, 128, 256):
        text.conv(filters, 3).add("maxpool", size=2, stride=2)
    text.conv(512, 3).add("maxpool", size=2, stride=1).conv(1024, 3)
    last = (512 if coco else 1024) if last_filters is None else positive_int(op, "last_filters", last_filters)
    text.conv(last, 3)
    text.region(classes, _pairs(op, anchors, _COCO if coco else _VOC))
    return _model(text, weights, name)


def YOLOv2(  # noqa: N802
    input_shape: Sequence[int] = (608, 608, 3),
    classes: int = 80,
    anchors: Anchors = None,
    weights: PathLike | None = None,
    name: str = "yolo_v2",
) -> Model:
    """YOLO version 2: Darknet-19 and a passthrough of finer features (Redmon and Farhadi, "YOLO9000", 2017).

    Of 80 classes it has 50,983,561 weights, moving means and variances included. The map of an image of 608 x 608 has
    19 x 19 cells of 5 anchors: 1805 boxes.

    Args:
        input_shape: height, width and channels; both sides multiples of 32.
        classes: the number of classes.
        anchors: pairs of width and height in cells of the map; those of VOC for 20 classes, else those of COCO.
        weights: a file of weights, `.weights` of darknet or one that `Model.save_weights` wrote; new ones if None.
        name: the model's name.

    Raises:
        TypeError: a number is no integer.
        ValueError: an argument is out of range, or the file is damaged or of another network.
        FileNotFoundError: there is no such file.

    Example:
        >>> YOLOv2((64, 32, 3), classes=3).output_shape
        (None, 2, 1, 40)
    """
    text = _text("YOLOv2", input_shape, classes)
    for filters in (32, 64):
        text.conv(filters, 3).add("maxpool", size=2, stride=2)
    for filters in (128, 256):
        text.conv(filters, 3).conv(filters // 2, 1).conv(filters, 3).add("maxpool", size=2, stride=2)
    text.conv(512, 3).conv(256, 1).conv(512, 3).conv(256, 1).conv(512, 3)
    fine = text.last
    text.add("maxpool", size=2, stride=2)
    text.conv(1024, 3).conv(512, 1).conv(1024, 3).conv(512, 1).conv(1024, 3).conv(1024, 3).conv(1024, 3)
    coarse = text.last
    text.add("route", layers=fine).conv(64, 1).add("reorg", stride=2)
    text.add("route", layers=f"{text.last},{coarse}").conv(1024, 3)
    text.region(classes, _pairs("YOLOv2", anchors, _VOC if classes == 20 else _COCO))
    return _model(text, weights, name)


def TinyYOLOv3(  # noqa: N802
    input_shape: Sequence[int] = (416, 416, 3),
    classes: int = 80,
    anchors: Anchors = None,
    weights: PathLike | None = None,
    name: str = "tiny_yolo_v3",
) -> Model:
    """The small detector of YOLO version 3, with two maps (Redmon and Farhadi, "YOLOv3", 2018).

    Of 80 classes it has 8,858,734 weights, moving means and variances included. It returns two raw maps, of H / 32 x
    W / 32 and H / 16 x W / 16 cells, with half of the anchors each: the larger ones for the coarser map.

    Args:
        input_shape: height, width and channels; both sides multiples of 32.
        classes: the number of classes.
        anchors: an even number of pairs of width and height in pixels of the input, the smallest first; those of COCO
            by default.
        weights: a file of weights, `.weights` of darknet or one that `Model.save_weights` wrote; new ones if None.
        name: the model's name.

    Raises:
        TypeError: a number is no integer.
        ValueError: an argument is out of range, or the file is damaged or of another network.
        FileNotFoundError: there is no such file.

    Example:
        >>> TinyYOLOv3((64, 64, 3)).output_shape
        [(None, 2, 2, 255), (None, 4, 4, 255)]
    """
    text = _text("TinyYOLOv3", input_shape, classes)
    pairs = _halves("TinyYOLOv3", anchors, _COCO_PIXELS)
    for filters in (16, 32, 64, 128):
        text.conv(filters, 3).add("maxpool", size=2, stride=2)
    text.conv(256, 3)
    fine = text.last
    text.add("maxpool", size=2, stride=2).conv(512, 3).add("maxpool", size=2, stride=1).conv(1024, 3).conv(256, 1)
    coarse = text.last
    text.conv(512, 3)
    text.yolo(classes, pairs, coarse=True)
    text.add("route", layers=coarse).conv(128, 1).add("upsample", stride=2)
    text.add("route", layers=f"{text.last},{fine}").conv(256, 3)
    text.yolo(classes, pairs, coarse=False)
    return _model(text, weights, name)


def YOLOv3(  # noqa: N802
    input_shape: Sequence[int] = (416, 416, 3),
    classes: int = 80,
    anchors: Anchors = None,
    weights: PathLike | None = None,
    name: str = "yolo_v3",
) -> Model:
    """YOLO version 3: Darknet-53 with three maps (Redmon and Farhadi, "YOLOv3", 2018).

    Of 80 classes it has 62,001,757 weights, moving means and variances included. It returns three raw maps, of cells of
    32, 16 and 8 pixels, with a third of the anchors each: the largest ones for the coarsest map.

    Args:
        input_shape: height, width and channels; both sides multiples of 32.
        classes: the number of classes.
        anchors: three times as many pairs of width and height as a map shall have, in pixels of the input, the smallest
            first; the nine of COCO by default.
        weights: a file of weights, `.weights` of darknet or one that `Model.save_weights` wrote; new ones if None.
        name: the model's name.

    Raises:
        TypeError: a number is no integer.
        ValueError: an argument is out of range, or the file is damaged or of another network.
        FileNotFoundError: there is no such file.

    Example:
        >>> YOLOv3((32, 32, 3), classes=1).output_shape
        [(None, 1, 1, 18), (None, 2, 2, 18), (None, 4, 4, 18)]
    """
    text = _text("YOLOv3", input_shape, classes)
    default = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
    pairs = _pairs("YOLOv3", anchors, default)
    if len(pairs) % 3:
        raise ValueError(f"YOLOv3: anchors expects a multiple of 3 pairs, got {len(pairs)}")
    text.conv(32, 3)
    passed: list[int] = []
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        text.conv(filters, 3, stride=2)
        for _ in range(blocks):
            text.conv(filters // 2, 1).conv(filters, 3).add("shortcut", **{"from": -3, "activation": "linear"})
        passed.append(text.last)
    third = len(pairs) // 3
    for number, filters in enumerate((512, 256, 128)):
        text.conv(filters, 1).conv(2 * filters, 3).conv(filters, 1).conv(2 * filters, 3).conv(filters, 1)
        branch = text.last
        text.conv(2 * filters, 3)
        text.yolo_masked(classes, pairs, range(len(pairs) - (number + 1) * third, len(pairs) - number * third))
        if number < 2:
            text.add("route", layers=branch).conv(filters // 2, 1).add("upsample", stride=2)
            text.add("route", layers=f"{text.last},{passed[3 - number]}")
    return _model(text, weights, name)


# Output channels of the blocks of Yolo-Fastest 1.1, each with the width inside it and how often it comes.
_FASTEST_STAGES = (
    ((4, 8, 1),),
    ((8, 32, 2),),
    ((8, 48, 2), (16, 96, 4)),
    ((24, 136, 4),),
    ((48, 224, 5),),
)
_FASTEST_EXPANSION = (8, 24, 32, 48, 96, 136, 224)


def YOLOFastest(  # noqa: N802
    input_shape: Sequence[int] = (320, 320, 3),
    classes: int = 80,
    anchors: Anchors = None,
    weights: PathLike | None = None,
    name: str = "yolo_fastest",
) -> Model:
    """Yolo-Fastest 1.1, a detector for small processors: inverted residuals, pyramid pooling and two maps.

    Of 80 classes it has 346,062 weights, moving means and variances included. (Written by the darknet user
    dog-qiuqiu, 2020; its blocks are those of Sandler et al., "MobileNetV2", 2018.) It returns two raw maps, of H / 32 x
    W / 32 and H / 16 x W / 16 cells, with half of the anchors each: the larger ones for the coarser map.

    Args:
        input_shape: height, width and channels; both sides multiples of 32.
        classes: the number of classes.
        anchors: an even number of pairs of width and height in pixels of the input, the smallest first.
        weights: a file of weights, `.weights` of darknet or one that `Model.save_weights` wrote; new ones if None.
        name: the model's name.

    Raises:
        TypeError: a number is no integer.
        ValueError: an argument is out of range, or the file is damaged or of another network.
        FileNotFoundError: there is no such file.

    Example:
        >>> model = YOLOFastest((64, 64, 3))
        >>> model.output_shape, model.count_params()
        ([(None, 2, 2, 255), (None, 4, 4, 255)], 346062)
    """
    text = _text("YOLOFastest", input_shape, classes)
    pairs = _halves("YOLOFastest", anchors, _FASTEST_PIXELS)
    fine = fastest_backbone(text)
    # Pyramid pooling: what is seen in windows of three sizes.
    start = text.last
    pools: list[int] = []
    for size in (3, 5, 9):
        if pools:
            text.add("route", layers=start)
        text.add("maxpool", stride=1, size=size)
        pools.append(text.last)
    text.add("route", layers=",".join(map(str, (*reversed(pools), start))))
    text.conv(96, 1)
    coarse = text.last
    for _ in range(2):
        text.conv(96, 5, groups=96).conv(96, 1, activation="linear")
    text.yolo(classes, pairs, coarse=True)
    text.add("route", layers=coarse).add("upsample", stride=2)
    text.add("route", layers=f"{text.last},{fine}")
    for _ in range(2):
        text.conv(120, 5, groups=120).conv(120, 1, activation="linear")
    text.yolo(classes, pairs, coarse=False)
    return _model(text, weights, name)


def fastest_backbone(text: DarknetText) -> int:
    """Add the features of Yolo-Fastest; returns the layer that the finer map takes, at 1/16 of the image's size."""
    text.conv(8, 3, stride=2)
    fine = -1
    expansions = iter(_FASTEST_EXPANSION)
    inside = next(expansions)
    for number, stage in enumerate(_FASTEST_STAGES):
        for part, (filters, width, times) in enumerate(stage):
            # Into the stage, with a stride where it makes the image smaller, then blocks around which a sum goes.
            stride = 2 if number > 0 and part == 0 else 1
            fine = text.last if number == 4 else fine
            text.conv(inside, 1).conv(inside, 3, stride=stride, groups=inside).conv(filters, 1, activation="linear")
            for _ in range(times):
                text.conv(width, 1).conv(width, 3, groups=width).conv(filters, 1, activation="linear")
                text.add("dropout", probability=0.15).add("shortcut", **{"from": -5, "activation": "linear"})
            inside = next(expansions, inside)
    return fine


# What they share


def _text(op: str, input_shape: Sequence[int], classes: int) -> DarknetText:
    sides = [integer(op, "input_shape", n) for n in input_shape]
    if len(sides) != 3 or min(sides) < 1 or sides[0] % 32 or sides[1] % 32:
        raise ValueError(f"{op}: input_shape expects (height, width, channels), multiples of 32, got {input_shape}")
    positive_int(op, "classes", classes)
    return DarknetText(sides[0], sides[1], sides[2])


def _pairs(op: str, anchors: Anchors, default: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    array = np.asarray(default if anchors is None else anchors, np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or array.size == 0:
        raise ValueError(f"{op}: anchors expects pairs of width and height, got shape {array.shape}")
    if not np.isfinite(array).all() or array.min() < 1e-6 or array.max() > 1e6:
        raise ValueError(f"{op}: anchors expects positive numbers, got {array.tolist()}")
    return [(float(width), float(height)) for width, height in array]


def _halves(op: str, anchors: Anchors, default: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    pairs = _pairs(op, anchors, default)
    if len(pairs) % 2:
        raise ValueError(f"{op}: anchors expects an even number of pairs, got {len(pairs)}")
    return pairs


def _model(text: DarknetText, weights: PathLike | None, name: str) -> Model:
    if weights is None or os.fspath(weights).lower().endswith(".weights"):
        return from_text(str(text), weights, name)
    model = from_text(str(text), None, name)
    model.load_weights(weights)
    return model
