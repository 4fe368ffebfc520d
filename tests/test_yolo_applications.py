"""The detectors of the YOLO family: the published numbers of weights, and their maps against PyTorch."""

import numpy as np
import pytest

import cnnfast
import darknet_torch
from cnnfast import applications, detection
from cnnfast.applications import yolo
from cnnfast.interop import load_darknet
from cnnfast.interop.darknet import decode, heads

# What the published files hold: their length less the header, by 4 bytes.
PUBLISHED = [
    ("TinyYOLOv2", {}, 15_867_885),
    ("TinyYOLOv2", {"classes": 80}, 11_237_145),
    ("YOLOv2", {}, 50_983_561),
    ("TinyYOLOv3", {}, 8_858_734),
    ("YOLOv3", {}, 62_001_757),
    ("YOLOFastest", {}, 346_062),
]


@pytest.mark.parametrize(("name", "arguments", "count"), PUBLISHED)
def test_numbers_of_weights(name, arguments, count):
    model = getattr(applications, name)((32, 32, 3), **arguments)
    assert model.count_params() == count
    assert model.name == {"TinyYOLOv2": "tiny_yolo_v2", "YOLOv2": "yolo_v2"}.get(name, model.name)


def test_of_the_15867885_weights_some_are_not_trained():
    """Batch normalization's means and variances: two numbers for each of 3056 filters."""
    model = applications.TinyYOLOv2((32, 32, 3))
    assert sum(v.size for v in model.trainable_weights) == 15_867_885 - 2 * 3056


def test_maps_of_the_usual_images():
    assert applications.TinyYOLOv2().output_shape == (None, 13, 13, 125)
    assert applications.TinyYOLOv3(classes=2).output_shape == [(None, 13, 13, 21), (None, 26, 26, 21)]
    assert applications.YOLOFastest((160, 320, 1)).output_shape == [(None, 5, 10, 255), (None, 10, 20, 255)]


def test_an_image_of_608_pixels_has_1805_boxes_of_80_classes():
    model = applications.YOLOv2()
    assert model.output_shape == (None, 19, 19, 425)
    found = decode(np.zeros((1, 19, 19, 425), np.float32), model)
    assert (found.boxes.shape, found.probabilities.shape) == ((1, 1805, 4), (1, 1805, 80))


def settled(model, rng):
    """The model with statistics and factors of normalization as a trained network has them."""
    for entry in model.darknet.weighted:
        if entry.norm is not None:
            for variable, low, high in (
                (entry.norm.gamma, 0.8, 1.2),
                (entry.norm.beta, -0.2, 0.2),
                (entry.norm.moving_mean, -0.1, 0.1),
                (entry.norm.moving_variance, 0.5, 1.5),
            ):
                variable.assign(rng.uniform(low, high, variable.shape).astype(np.float32))
    return model


@pytest.mark.parametrize("name", ["TinyYOLOv2", "YOLOv2", "TinyYOLOv3", "YOLOv3", "YOLOFastest"])
def test_maps_are_those_of_pytorch(tmp_path, rng, monkeypatch, name):
    texts = []
    from_text = yolo.from_text
    monkeypatch.setattr(yolo, "from_text", lambda text, *args: texts.append(text) or from_text(text, *args))
    model = settled(getattr(applications, name)((64, 96, 3), classes=3), rng)
    model.save_weights(tmp_path / "net.weights")
    x = rng.uniform(0, 1, (1, 64, 96, 3)).astype(np.float32)
    wanted = darknet_torch.maps(texts[0], np.fromfile(tmp_path / "net.weights", "<f4", offset=20), x)
    found = model(x)
    for a, b in zip(found if isinstance(found, list) else [found], wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("suffix", ["weights", "safetensors"])
def test_weights_from_files(tmp_path, rng, suffix):
    model = settled(applications.YOLOFastest((64, 64, 3), classes=2), rng)
    model.save_weights(tmp_path / f"net.{suffix}")
    same = applications.YOLOFastest((64, 64, 3), classes=2, weights=tmp_path / f"net.{suffix}")
    x = rng.uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)
    for a, b in zip(model(x), same(x), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=rf"net\.{suffix}"):
        applications.YOLOFastest((64, 64, 3), classes=3, weights=tmp_path / f"net.{suffix}")
    with pytest.raises(FileNotFoundError):
        applications.YOLOFastest((64, 64, 3), weights=tmp_path / f"none.{suffix}")


def test_anchors():
    given = [(1, 2), (3, 4.5)]
    (head,) = heads(applications.TinyYOLOv2((32, 64, 3), classes=4, anchors=given, last_filters=64))
    assert (head.anchors, head.grid, head.softmax) == (((1.0, 2.0), (3.0, 4.5)), (1, 2), True)
    coarse, fine = heads(applications.TinyYOLOv3((32, 32, 3), anchors=given))
    assert (coarse.anchors, fine.anchors) == (((3.0, 4.5),), ((1.0, 2.0),))
    three = heads(applications.YOLOv3((32, 32, 3), classes=1))
    assert [head.anchors[0] for head in three] == [(116, 90), (30, 61), (10, 13)]


def test_a_detector_learns_one_image(rng):
    """The coarse map of a small detector, told where the object is, finds it again."""
    cnnfast.utils.set_random_seed(3)
    model = applications.TinyYOLOv2((64, 64, 3), classes=2, anchors=[(1, 1)], last_filters=16)
    target = np.zeros((1, 2, 2, 7), np.float32)
    target[..., 4] = -4
    target[0, 1, 0] = [0.0, 0.0, 0.0, 0.0, 4.0, -3.0, 3.0]
    x = rng.uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)
    model.compile(cnnfast.optimizers.Adam(0.001), "mse")
    model.fit(x, target, epochs=70, verbose=0)
    found = decode(model(x, training=True), model)
    (result,) = detection.non_max_suppression(found.boxes, found.scores)
    assert result.classes[0] == 1
    np.testing.assert_allclose(result.boxes[0], [0.25, 0.75, 0.5, 0.5], atol=0.15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: applications.TinyYOLOv2((50, 64, 3)), r"TinyYOLOv2: input_shape expects .*multiples of 32, got"),
        (lambda: applications.TinyYOLOv2((64, 64)), "input_shape expects"),
        (lambda: applications.YOLOv2(classes=0), "classes"),
        (lambda: applications.TinyYOLOv2(anchors=[1, 2, 3]), "anchors expects pairs"),
        (lambda: applications.TinyYOLOv2(anchors=[(1, -2)]), "anchors expects positive"),
        (lambda: applications.TinyYOLOv2(anchors=[(1, np.nan)]), "anchors expects positive"),
        (lambda: applications.TinyYOLOv3(anchors=[(1, 2)]), "an even number of pairs"),
        (lambda: applications.YOLOv3(anchors=[(1, 2)] * 4), "a multiple of 3 pairs"),
        (lambda: applications.TinyYOLOv2(last_filters=0), "last_filters"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_loaded_cfg_and_an_application_share_their_files(tmp_path):
    text = "[net]\nwidth=32\nheight=32\nchannels=3\n[convolutional]\nfilters=8\n"
    (tmp_path / "small.cfg").write_text(text)
    load_darknet(tmp_path / "small.cfg").save_weights(tmp_path / "small.weights")
    with pytest.raises(ValueError, match="bytes too short"):
        applications.TinyYOLOv2((32, 32, 3), weights=tmp_path / "small.weights")
