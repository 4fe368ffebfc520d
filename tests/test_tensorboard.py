"""Event files, read back with TensorBoard's own reader."""

import sys

import numpy as np
import pytest

from cnnfast import callbacks, layers, models

IMAGES = np.random.default_rng(0).random((12, 6, 6, 3)).astype(np.float32)


def trained(tmp_path, **arguments):
    x = layers.Input((6, 6, 3), name="image")
    y = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    y = layers.Dense(2, name="scores")(layers.Flatten(name="flat")(y + layers.Conv2D(4, 3, name="other")(x)))
    model = models.Model(x, y)
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(
        IMAGES, np.ones((12, 2)), batch_size=4, epochs=3, verbose=0, validation_split=0.5,
        callbacks=[callbacks.TensorBoard(tmp_path, **arguments)],
    )  # fmt: skip
    return model, history.history


def read(folder):
    pytest.importorskip("tensorboardX")
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(folder), size_guidance={"histograms": 0, "images": 0})
    events.Reload()
    return events


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_curves_histograms_images_and_graph(tmp_path):
    pytest.importorskip("tensorboardX")
    model, history = trained(tmp_path, histogram_freq=1, write_images=True, update_freq=1, write_steps_per_second=True)
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    for events, prefix in ((train, ""), (validation, "val_")):
        for key in ("loss", "mae"):
            scalars = events.Scalars(f"epoch_{key}")
            assert [s.step for s in scalars] == [0, 1, 2]
            np.testing.assert_allclose([s.value for s in scalars], history[prefix + key], rtol=1e-6)
    assert [s.step for s in train.Scalars("batch_loss")] == [1, 2, 3, 4, 5, 6]
    assert [s.value for s in train.Scalars("epoch_learning_rate")] == [pytest.approx(0.01)] * 3
    assert all(s.value > 0 for s in train.Scalars("epoch_steps_per_second"))
    kernel = model.get_layer("conv").get_weights()[0]
    last = train.Histograms("conv/kernel/histogram")[-1].histogram_value
    assert last.num == kernel.size
    assert last.sum == pytest.approx(float(kernel.sum()), rel=1e-4)
    assert (last.min, last.max) == (pytest.approx(float(kernel.min())), pytest.approx(float(kernel.max())))
    image = train.Images("conv/kernel/image")[0]
    assert (image.height, image.width) == (3, 4 * 4 - 1)
    nodes = {node.name: list(node.input) for node in read_graph(train).node}
    assert nodes["conv"] == ["image"]
    assert nodes["scores"] == ["flat"]
    added = next(name for name, inputs in nodes.items() if inputs == ["conv", "other"])
    assert nodes["flat"] == [added]


def read_graph(events):
    from tensorboardX.proto.graph_pb2 import GraphDef

    return GraphDef.FromString(events.Graph().SerializeToString())


def test_what_is_not_written_raises(tmp_path):
    pytest.importorskip("tensorboardX")
    for arguments in ({"profile_batch": 2}, {"embeddings_freq": 1}):
        with pytest.raises(ValueError, match="cannot be honoured"):
            callbacks.TensorBoard(tmp_path, **arguments)


def test_the_library_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'cnnfast\[tensorboard\]'"):
        callbacks.TensorBoard()


def test_kernels_as_pictures():
    from cnnfast.callbacks.tensorboard import picture

    kernel = np.random.default_rng(0).standard_normal((3, 2, 5, 4)).astype(np.float32)
    image = picture(kernel)
    assert image.shape == (5 * 4 - 1, 4 * 3 - 1, 1)
    scaled = (kernel - kernel.min()) / (kernel.max() - kernel.min())
    np.testing.assert_allclose(image[4:7, 6:8, 0], scaled[:, :, 1, 2], rtol=1e-5, atol=1e-6)
    assert picture(kernel[0, 0]).shape == (5, 4, 1)
    assert np.isfinite(picture(np.ones((3, 3, 3, 2), np.float32))).all()
