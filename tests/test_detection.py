"""Boxes: overlaps, suppression and decoding against slow loops, and cases made by hand."""

import math

import numpy as np
import pytest

from cnnfast import detection


def slow_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = [max(c[2] - c[0], 0) * max(c[3] - c[1], 0) for c in (a, b)]
    return width * height / (sum(area) - width * height)


def random_corners(rng, count):
    low = rng.uniform(0, 0.7, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.05, 0.4, (count, 2))], axis=1)


def test_iou_against_loops(rng):
    a, b = random_corners(rng, 17), random_corners(rng, 9)
    a[3, 2] = a[3, 0]  # without area
    b[2] = b[2, [2, 3, 0, 1]]  # inside out
    expected = [[slow_iou(p, q) for q in b] for p in a]
    np.testing.assert_allclose(detection.iou(a, b), expected, rtol=1e-12)
    for notation in ("yxyx", "xywh", "center_xywh"):
        pair = (detection.convert_boxes(boxes, "xyxy", notation) for boxes in (a, b))
        np.testing.assert_allclose(detection.iou(*pair, notation), expected, rtol=1e-9, atol=1e-12)
    assert detection.iou(a.astype(np.float32), b.astype(np.float32)).dtype == np.float32
    batched = detection.iou(np.stack([a, a]), b)
    np.testing.assert_array_equal(batched[1], detection.iou(a, b))
    assert detection.iou(np.zeros((0, 4)), b).shape == (0, 9)


def test_iou_by_hand():
    same, half, none = [0, 0, 2, 2], [1, 0, 2, 2], [2, 0, 3, 2]
    np.testing.assert_array_equal(detection.iou([same], [same, half, none]), np.float32([[1, 0.5, 0]]))
    assert detection.iou([[0, 0, 0, 0]], [[0, 0, 0, 0]]) == 0
    assert np.isnan(detection.iou([[0, 0, np.nan, 1]], [[0, 0, 1, 1]])).all()


@pytest.mark.parametrize("source", ["xyxy", "yxyx", "xywh", "center_xywh"])
@pytest.mark.parametrize("target", ["xyxy", "yxyx", "xywh", "center_xywh"])
def test_conversions_there_and_back(rng, source, target):
    boxes = detection.convert_boxes(random_corners(rng, 8), "xyxy", source)
    back = detection.convert_boxes(detection.convert_boxes(boxes, source, target), target, source)
    np.testing.assert_allclose(back, boxes, atol=1e-12)


def test_conversions_by_hand():
    box = [1.0, 2.0, 4.0, 8.0]
    assert detection.convert_boxes(box, "xyxy", "xywh").tolist() == [1, 2, 3, 6]
    assert detection.convert_boxes(box, "xyxy", "center_xywh").tolist() == [2.5, 5, 3, 6]
    assert detection.convert_boxes(box, "xyxy", "yxyx").tolist() == [2, 1, 8, 4]


def slow_suppression(boxes, scores, iou_threshold, score_threshold, limit, per_class):
    """The definition, candidate by candidate."""
    found = [(-scores[b, c], b, c) for b in range(len(boxes)) for c in range(scores.shape[1])]
    kept = []
    for score, b, c in sorted(found):
        if not -score > score_threshold or len(kept) == limit:
            continue
        if all(
            slow_iou(boxes[b], boxes[other]) <= iou_threshold
            for _, other, of_class in kept
            if of_class == c or not per_class
        ):
            kept.append((score, b, c))
    return kept


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("limit", [5, 1000])
@pytest.mark.parametrize("iou_threshold", [0.0, 0.3, 0.8])
def test_suppression_against_loops(rng, per_class, limit, iou_threshold):
    boxes, scores = random_corners(rng, 60), rng.uniform(0, 1, (60, 3))
    scores[10:20] = scores[5]  # equal ones
    expected = slow_suppression(boxes, scores, iou_threshold, 0.2, limit, per_class)
    found = detection.non_max_suppression(boxes, scores, iou_threshold, 0.2, limit, "xyxy", per_class)
    assert [(b, c) for _, b, c in expected] == list(zip(found.indices, found.classes, strict=True))
    np.testing.assert_array_equal(found.boxes, boxes[found.indices])
    np.testing.assert_array_equal(found.scores, [-score for score, _, _ in expected])


def test_suppression_by_hand():
    boxes = np.array([[0.5, 0.5, 0.2, 0.2], [0.52, 0.5, 0.2, 0.2], [0.9, 0.9, 0.1, 0.1]])
    # The first two overlap: one is left in their class, both where their classes differ.
    assert detection.non_max_suppression(boxes, [0.8, 0.9, 0.7]).indices.tolist() == [1, 2]
    two = np.array([[0.8, 0.0], [0.0, 0.9], [0.0, 0.7]])
    assert detection.non_max_suppression(boxes, two).indices.tolist() == [1, 0, 2]
    assert detection.non_max_suppression(boxes, two, per_class=False).indices.tolist() == [1, 2]
    # A score has to be above the threshold; NaN never is.
    assert detection.non_max_suppression(boxes, [0.25, np.nan, 0.26]).indices.tolist() == [2]
    assert detection.non_max_suppression(np.zeros((0, 4)), np.zeros((0, 5))).classes.shape == (0,)
    # Each image by itself.
    first, second = detection.non_max_suppression(np.stack([boxes, boxes]), [[0.8, 0.9, 0.7], [0.9, 0.8, 0.1]])
    assert (first.indices.tolist(), second.indices.tolist()) == ([1, 2], [0])


def slow_decode(raw, anchors, unit, stretch, new_coords, softmax):
    """Box after box of maps (N, H, W, A, 5 + classes)."""

    def sigmoid(v):
        return v if new_coords else 1 / (1 + math.exp(-v))

    boxes, sure, classes = [], [], []
    for _, i, j, a in np.ndindex(raw.shape[:4]):
        v = [float(n) for n in raw[_, i, j, a]]
        x, y = (sigmoid(n) * stretch - 0.5 * (stretch - 1) for n in v[:2])
        sizes = [(2 * n) ** 2 if new_coords else math.exp(n) for n in v[2:4]]
        boxes.append(
            [
                (j + x) / raw.shape[2],
                (i + y) / raw.shape[1],
                sizes[0] * anchors[a][0] / unit[0],
                sizes[1] * anchors[a][1] / unit[1],
            ]
        )
        sure.append(sigmoid(v[4]))
        if softmax:
            powers = [math.exp(n) for n in v[5:]]
            classes.append([n / sum(powers) for n in powers])
        else:
            classes.append([sigmoid(n) for n in v[5:]])
    n = len(raw)
    return [np.reshape(values, (n, len(boxes) // n, *np.shape(values)[1:])) for values in (boxes, sure, classes)]


@pytest.mark.parametrize(
    ("arguments", "unit"),
    [
        ({}, (4, 3)),
        ({"softmax": True}, (4, 3)),
        ({"input_size": (96, 128)}, (128, 96)),
        ({"input_size": 64, "scale_x_y": 1.2}, (64, 64)),
        ({"input_size": 64, "new_coords": True, "scale_x_y": 2.0}, (64, 64)),
    ],
)
def test_decoding_against_loops(rng, arguments, unit):
    raw = rng.uniform(0.1, 0.9, (2, 3, 4, 2, 8)) if arguments.get("new_coords") else rng.normal(0, 2, (2, 3, 4, 2, 8))
    anchors = [(1.5, 2.0), (3.0, 0.5)]
    expected = slow_decode(
        raw, anchors, unit, arguments.get("scale_x_y", 1), "new_coords" in arguments, "softmax" in arguments
    )
    for shape in (raw.shape, (2, 3, 4, 16)):
        found = detection.decode_yolo(raw.reshape(shape), anchors, **arguments)
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected[1][..., None] * expected[2], rtol=2e-5, atol=1e-6)


def test_a_coco_map_of_yolo_version_2():
    raw = np.zeros((1, 19, 19, 5, 85), np.float32)
    raw[0, 7, 3, 2] = [0, 0, 0, 0, 50, *([-20] * 80)]
    raw[0, 7, 3, 2, 5 + 16] = 20
    found = detection.decode_yolo(raw, np.full((5, 2), 3.8), softmax=True)
    assert found.boxes.shape == (1, 1805, 4)
    assert found.probabilities.shape == (1, 1805, 80)
    (result,) = detection.non_max_suppression(found.boxes, found.scores)
    assert (result.indices.tolist(), result.classes.tolist()) == ([(7 * 19 + 3) * 5 + 2], [16])
    np.testing.assert_allclose(result.boxes[0], [3.5 / 19, 7.5 / 19, 0.2, 0.2], rtol=1e-6)


def test_huge_values_overflow_quietly():
    raw = np.full((1, 1, 1, 6), 1e4, np.float32)
    found = detection.decode_yolo(raw, [(1, 1)])
    assert np.isinf(found.boxes[0, 0, 2:]).all()
    assert found.objectness == 1
    assert detection.decode_yolo(-raw, [(1, 1)]).objectness == 0


def test_letterbox_by_hand():
    image = np.array([[0.0, 1.0, 2.0, 3.0]])
    assert detection.letterbox(image, 4, fill=9)[:, 0].tolist() == [9, 0, 9, 9]
    assert detection.letterbox(image, (1, 7)).tolist() == [[0.5, 0, 1, 2, 3, 0.5, 0.5]]
    wider = detection.letterbox(np.array([[0.0, 3.0]]), (2, 4))
    np.testing.assert_allclose(wider, [[0, 1, 2, 3]] * 2, atol=1e-6)
    # Whole numbers are brights of pixels.
    assert detection.letterbox(np.full((2, 2, 3), 255, np.uint8), 2).max() == 1
    assert detection.letterbox(np.zeros((300, 200, 3)), (32, 64)).shape == (32, 64, 3)
    assert detection.letterbox(np.ones((1, 1000)), 4).sum() == 4 + 12 * 0.5


@pytest.mark.parametrize("shape", [(120, 160), (160, 120), (77, 31)])
def test_boxes_find_back_from_the_frame(shape):
    """A bright square in an image is where the box found in the frame says it is."""
    image = np.zeros((*shape, 1), np.float32)
    top, left, size = shape[0] // 4, shape[1] // 3, 12
    image[top : top + size, left : left + size] = 1
    frame = detection.letterbox(image, (200, 200), fill=0.0)[..., 0]
    rows, columns = np.nonzero(frame > 0.5)
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 200
    box = detection.unletterbox(detection.convert_boxes(found, "xyxy", "center_xywh"), shape, (200, 200))
    got = detection.convert_boxes(box, "center_xywh", "xyxy") * np.array([shape[1], shape[0]] * 2)
    np.testing.assert_allclose(got, [left, top, left + size, top + size], atol=1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.iou([[1, 2, 3]], [[1, 2, 3, 4]]), r"boxes1 expects shape \(\.\.\., 4\), got \(1, 3\)"),
        (lambda d: d.iou([1, 2, 3, 4], [[1, 2, 3, 4]]), r"boxes1 expects shape \(\.\.\., N, 4\)"),
        (lambda d: d.convert_boxes([1, 2, 3, 4], "xyxy", "corners"), "target expects one of xyxy"),
        (lambda d: d.non_max_suppression(np.ones((3, 4)), np.ones(2)), "one row for each box"),
        (lambda d: d.non_max_suppression(np.ones((3, 4)), np.ones(3), iou_threshold=2), "iou_threshold"),
        (lambda d: d.non_max_suppression(np.ones((3, 4)), np.ones(3), max_detections=0), "max_detections"),
        (lambda d: d.non_max_suppression(np.ones((3, 4)), np.ones(3), box_format="?"), "box_format"),
        (lambda d: d.decode_yolo(np.ones((1, 2, 2, 16)), [(1, 2)] * 3), "for 3 anchors"),
        (lambda d: d.decode_yolo(np.ones((1, 2, 2, 15)), [(1, 2)] * 3), "for 3 anchors"),
        (lambda d: d.decode_yolo(np.ones((1, 2, 2, 16)), [1, 2, 3]), "anchors expects pairs"),
        (lambda d: d.letterbox(np.ones((2, 3, 4, 5)), 4), "image expects"),
        (lambda d: d.letterbox(np.ones((0, 3)), 4), "image expects"),
        (lambda d: d.letterbox(np.ones((2, 3)), 10**9), "at most"),
        (lambda d: d.letterbox(np.ones((2, 3)), (1, 2, 3)), "height and width"),
        (lambda d: d.unletterbox([1, 2, 3, 4], (2,), 4), "image_size"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(detection)
    with pytest.raises(TypeError, match="real numbers"):
        detection.iou([["a"] * 4], [[1, 2, 3, 4]])
