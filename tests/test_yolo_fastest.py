"""Yolo-Fastest with its published weights, against PyTorch and on photographs.

Needs `yolo_fastest/` in the folder that CNNFAST_TEST_DATA names, or in `../shared/data` beside the checkout.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnfast
import darknet_torch
from cnnfast import detection
from cnnfast.interop import load_darknet
from cnnfast.interop.darknet import decode, heads

FOLDER = Path(os.environ.get("CNNFAST_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "yolo_fastest"
CFG, WEIGHTS = FOLDER / "yolo-fastest-1.1.cfg", FOLDER / "yolo-fastest-1.1.weights"

pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason=f"{WEIGHTS} is not there: set CNNFAST_TEST_DATA to a folder with yolo_fastest/"
)


@pytest.fixture(scope="module")
def model():
    return load_darknet(CFG, WEIGHTS)


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
    wanted = darknet_torch.maps(CFG.read_text(), np.fromfile(WEIGHTS, "<f4", offset=20), x)
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


def test_the_application_is_the_published_network(model, rng):
    same = cnnfast.applications.YOLOFastest(weights=WEIGHTS)
    x = rng.uniform(0, 1, (1, 320, 320, 3)).astype(np.float32)
    for a, b in zip(same(x), model(x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [head.anchors for head in heads(same)] == [head.anchors for head in heads(model)]
    with pytest.raises(ValueError, match="bytes too long"):
        cnnfast.applications.YOLOFastest(classes=20, weights=WEIGHTS)


@pytest.mark.parametrize("arguments", [[], ["--letterbox"]])
def test_the_example_draws_boxes(tmp_path, arguments):
    image_module = pytest.importorskip("PIL.Image")
    script = Path(__file__).resolve().parents[1] / "examples" / "detect.py"
    files = ["--cfg", CFG, "--weights", WEIGHTS, "--names", FOLDER / "coco.names", "--output", "boxes.png"]
    result = subprocess.run(
        [sys.executable, script, FOLDER / "person.jpg", *files, *arguments],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert {line.split()[0] for line in result.stdout.splitlines()[1:]} >= {"person", "dog"}
    before = np.asarray(image_module.open(FOLDER / "person.jpg").convert("RGB"))
    after = np.asarray(image_module.open(tmp_path / "boxes.png"))
    changed = (before != after).any(axis=-1).mean()
    assert 0.001 < changed < 0.1
