"""MTCNN's three networks, which find faces, out of two packages: for PyTorch, and for Keras with classes of its own.

The package for Keras runs here with `tensorflow.keras` replaced by cnnfast: its classes, unchanged, with its weights.
Skipped where the files are not: `published.py` tells where they may lie.
"""

import importlib.util
import sys
import types

import numpy as np
import pytest

import cnnfast
from cnnfast import interop
from published import photograph, published

SIZES = {"p": [(12, 12), (61, 44), (96, 128)], "r": [(24, 24)], "o": [(48, 48)]}


@pytest.fixture
def keras_net(monkeypatch):
    """Makes one of the networks of the package mtcnn."""
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(keras=cnnfast))

    def make(which):
        joblib = pytest.importorskip("joblib")
        pytest.importorskip("lz4")
        path = published(f"{which}net.py")
        spec = importlib.util.spec_from_file_location(f"mtcnn_{which}net", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = getattr(module, f"{which.upper()}Net")()
        model.build()
        model.set_weights(joblib.load(published(f"{which}net.lz4")))
        return model

    return make


def torch_net(which):
    torch = pytest.importorskip("torch")
    from torch_nets import mtcnn

    module = mtcnn(which).eval()
    module.load_state_dict(torch.load(published(f"{which}net.pt"), weights_only=True))
    return module


def patches(size, count=3):
    """Parts of a photograph of a face, brought to what the networks take: about -1 to 1."""
    picture = photograph("astronaut.png")
    starts = [(60 + 17 * n, 170 + 11 * n) for n in range(count)]
    cut = np.stack([picture[top : top + 2 * size[0] : 2, left : left + 2 * size[1] : 2] for top, left in starts])
    return (cut.astype(np.float32) - 127.5) / 128.0


def in_order(outputs, channels_first=False):
    """By the number of channels: is it a face, where is it, and its landmarks."""
    arrays = [np.asarray(y) for y in outputs]
    if channels_first:
        arrays = [np.moveaxis(y, 1, -1) for y in arrays]
    return sorted(arrays, key=lambda y: y.shape[-1])


def agree(found, expected):
    assert [a.shape for a in found] == [b.shape for b in expected]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize(("which", "size"), [(which, size) for which in SIZES for size in SIZES[which]])
def test_both_packages_and_pytorch_agree(which, size, keras_net):
    torch = pytest.importorskip("torch")
    module, x = torch_net(which), patches(size)
    turned = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        expected = in_order((y.numpy() for y in module(turned)), channels_first=which == "p")
    converted = interop.from_torch(module, turned)
    agree(in_order(converted.predict(x, verbose=0)), expected)
    other = torch_net(which)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    again = interop.from_torch(other, turned)
    again.load_weights(published(f"{which}net.pt"))
    agree(in_order(again.predict(x, verbose=0)), expected)
    model = keras_net(which)
    agree(in_order(model.predict(x, verbose=0)), expected)
    agree(in_order(model(x)), expected)


@pytest.mark.parametrize("which", ["r", "o"])
def test_a_face_is_one(which, keras_net):
    image = pytest.importorskip("PIL.Image")
    model, picture = keras_net(which), image.fromarray(photograph("astronaut.png"))
    face, launcher = (165, 50, 285, 190), (380, 0, 500, 120)
    cut = [np.asarray(picture.resize(SIZES[which][0], image.Resampling.BILINEAR, box)) for box in (face, launcher)]
    scores = in_order(model.predict((np.stack(cut).astype(np.float32) - 127.5) / 128.0, verbose=0))[0]
    assert scores[0, 1] > 0.9 > 0.1 > scores[1, 1]
