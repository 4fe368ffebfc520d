"""Yolo-Fastest with its published weights, against PyTorch and on photographs.

Needs `yolo_fastest/` in the folder that CNNFAST_TEST_DATA names, or in `../shared/data` beside the checkout.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import cnnfast
from cnnfast import detection
from cnnfast.interop import load_darknet
from cnnfast.interop.darknet import decode, heads
from darknet_reference import sections_of

FOLDER = Path(os.environ.get("CNNFAST_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "yolo_fastest"
CFG, WEIGHTS = FOLDER / "yolo-fastest-1.1.cfg", FOLDER / "yolo-fastest-1.1.weights"

pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason=f"{WEIGHTS} is not there: set CNNFAST_TEST_DATA to a folder with yolo_fastest/"
)


@pytest.fixture(scope="module")
def model():
    return load_darknet(CFG, WEIGHTS)


def torch_maps(x):
    """The raw maps by PyTorch, straight from the two files."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    numbers = torch.from_numpy(np.fromfile(WEIGHTS, "<f4", offset=20))
    at = 0

    def take(*shape):
        nonlocal at
        at += int(np.prod(shape))
        return numbers[at - int(np.prod(shape)) : at].reshape(shape)

    y, outputs, maps = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), [], []
    for index, (kind, o) in enumerate(sections_of(CFG.read_text())[1:]):

        def layer(given, index=index):
            return outputs[int(given) if int(given) >= 0 else index + int(given)]

        if kind == "convolutional":
            n, size, groups = int(o["filters"]), int(o["size"]), int(o.get("groups", 1))
            bias = take(n)
            if o.get("batch_normalize") == "1":
                scale, mean, variance = take(n), take(n), take(n)
            kernel = take(n, y.shape[1] // groups, size, size)
            where = {"stride": int(o["stride"]), "padding": size // 2 * int(o["pad"]), "groups": groups}
            if o.get("batch_normalize") == "1":
                y = f.batch_norm(f.conv2d(y, kernel, **where), mean, variance, scale, bias, eps=1e-5)
            else:
                y = f.conv2d(y, kernel, bias, **where)
            y = f.leaky_relu(y, 0.1) if o["activation"] == "leaky" else y
        elif kind == "shortcut":
            y = y + layer(o["from"])
        elif kind == "maxpool":
            y = f.max_pool2d(y, int(o["size"]), int(o["stride"]), int(o["size"]) // 2)
        elif kind == "route":
            y = torch.cat([layer(n) for n in o["layers"].split(",")], dim=1)
        elif kind == "upsample":
            y = f.interpolate(y, scale_factor=2, mode="nearest")
        elif kind == "yolo":
            maps.append(y.numpy().transpose(0, 2, 3, 1))
        else:
            assert kind == "dropout"
        outputs.append(y)
    assert at == len(numbers)
    return maps


def test_the_network(model):
    assert model.output_shape == [(None, 10, 10, 255), (None, 20, 20, 255)]
    # 12 + 8 bytes of header; gamma, beta, mean and variance are 4 numbers for each normalized filter.
    assert model.count_params() == (WEIGHTS.stat().st_size - 20) // 4
    first, second = heads(model)
    assert first.anchors == ((115, 73), (119, 199), (242, 238))
    assert second.anchors == ((12, 18), (37, 49), (52, 132))
    assert first.classes == second.classes == 80


def test_raw_maps_are_those_of_pytorch(model, rng):
    x = rng.uniform(0, 1, (2, 320, 320, 3)).astype(np.float32)
    wanted = torch_maps(x)
    for found in (model(x), model.predict(x, verbose=0)):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


# What a look at the photographs shows: class, and (left, top, right, bottom) in pixels.
SEEN = {
    "person": [("person", (190, 98, 275, 375)), ("dog", (64, 263, 207, 345))],
    "eagle": [("bird", (132, 86, 600, 449))],
    "giraffe": [("giraffe", (168, 30, 448, 440)), ("zebra", (247, 205, 426, 430))],
    "horses": [("horse", (435, 213, 595, 346)), ("horse", (10, 194, 315, 410))],
}


def found_in(model, name):
    image_module = pytest.importorskip("PIL.Image")
    names = (FOLDER / "coco.names").read_text().split("\n")
    image = np.asarray(image_module.open(FOLDER / f"{name}.jpg").convert("RGB"), np.float32) / 255
    height, width = image.shape[:2]
    # As darknet does where a .cfg has no letter_box=1: stretched to the network's size.
    x = cnnfast.ops.image.resize(image, (320, 320))
    boxes = decode(model.predict(np.asarray(x)[None], verbose=0), model)
    (result,) = detection.non_max_suppression(boxes.boxes, boxes.scores, score_threshold=0.4)
    corners = detection.convert_boxes(result.boxes, "center_xywh", "xyxy") * np.array([width, height] * 2)
    return [(names[c], score, box) for c, score, box in zip(result.classes, result.scores, corners, strict=True)]


@pytest.mark.parametrize("name", SEEN)
def test_photographs(model, name):
    found = found_in(model, name)
    for kind, box in SEEN[name]:
        same = np.array([found_box for found_kind, _, found_box in found if found_kind == kind])
        assert same.size, f"no {kind} among {found}"
        assert detection.iou([box], same).max() > 0.5, (kind, found)
    assert all(score > 0.4 for _, score, _ in found)
    assert len(found) <= 2 * len(SEEN[name]) + 1
    # The surest one is right.
    assert found[0][0] in [kind for kind, _ in SEEN[name]]


def test_the_letterboxed_bird(model):
    image_module = pytest.importorskip("PIL.Image")
    image = np.asarray(image_module.open(FOLDER / "eagle.jpg").convert("RGB"))
    boxes = decode(model.predict(detection.letterbox(image, 320)[None], verbose=0), model)
    (result,) = detection.non_max_suppression(boxes.boxes, boxes.scores)
    own = detection.unletterbox(result.boxes, image.shape[:2], 320)
    corners = detection.convert_boxes(own, "center_xywh", "xyxy") * np.array([image.shape[1], image.shape[0]] * 2)
    assert result.classes.tolist() == [14]
    assert detection.iou(corners, [SEEN["eagle"][0][1]]).item() > 0.7
