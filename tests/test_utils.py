"""cnnfast.utils: images and folders of them, splits, downloads from files, pictures of models."""

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cnnfast
import keras_peer
from cnnfast import layers, ops, utils

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(6)
COLOURS = RNG.integers(0, 256, (7, 9, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Seven cats and five dogs, of several sizes and formats, and a file that is none."""
    for number in range(12):
        path = tmp_path / ("cats" if number < 7 else "dogs") / f"{number:02}.{('png', 'bmp', 'PNG')[number % 3]}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (6 + number, 8, 3), np.uint8)).save(path)
    (tmp_path / "cats" / "notes.txt").write_text("none")
    return tmp_path


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("options", [{}, {"target_size": (4, 5)}, {"target_size": (3, 8), "keep_aspect_ratio": True}])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "lanczos"])
@pytest.mark.filterwarnings("ignore")
def test_load_img_as_keras(tmp_path, mode, options, interpolation):
    keras = keras_peer.keras()
    path = tmp_path / "x.png"
    Image.fromarray(COLOURS).save(path)
    arguments = {"color_mode": mode, "interpolation": interpolation, **options}
    found = utils.img_to_array(utils.load_img(path, **arguments))
    expected = keras.utils.img_to_array(keras.utils.load_img(path, **arguments))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    first = utils.img_to_array(utils.load_img(io.BytesIO(path.read_bytes()), **arguments), "channels_first")
    np.testing.assert_array_equal(np.moveaxis(first, 0, -1), found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_array_to_img_as_keras(channels, scale):
    keras = keras_peer.keras()
    x = RNG.random((5, 6, channels)).astype(np.float32) * 200
    found, expected = utils.array_to_img(x, scale=scale), keras.utils.array_to_img(x, scale=scale)
    assert found.mode == expected.mode
    assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).max() <= 1
    turned = utils.array_to_img(np.moveaxis(x, -1, 0), "channels_first", scale)
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(found))


def test_images_go_into_files_and_back(tmp_path):
    for name, x in (("a.png", COLOURS), ("b.png", np.zeros((3, 4, 1))), ("c.png", np.ones((3, 4, 4)) * 9)):
        utils.save_img(tmp_path / name, x, scale=False)
        mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[x.shape[-1]]
        np.testing.assert_array_equal(utils.img_to_array(utils.load_img(tmp_path / name, mode)), x)
    utils.save_img(tmp_path / "d.jpg", np.zeros((3, 4, 4)))
    deep = utils.array_to_img(np.full((2, 2, 1), 70000.0), scale=False)
    assert np.asarray(deep).max() == 70000
    assert np.asarray(utils.array_to_img(np.full((2, 2, 3), 5.0))).max() == 0


def test_a_folder_of_images(folder):
    data = utils.image_dataset_from_directory(folder, image_size=(5, 6), batch_size=4, shuffle=False, verbose=False)
    assert data.class_names == ["cats", "dogs"]
    assert (len(data), len(data.file_paths)) == (3, 12)
    batches = list(data)
    assert [images.shape for images, _ in batches] == [(4, 5, 6, 3)] * 3
    np.testing.assert_array_equal(np.concatenate([classes for _, classes in batches]), [0] * 7 + [1] * 5)
    picture = np.asarray(Image.open(data.file_paths[0]).convert("RGB"), np.float32)
    np.testing.assert_allclose(batches[0][0][0], ops.image.resize(picture, (5, 6)), atol=1e-4)
    one = utils.image_dataset_from_directory(
        folder, image_size=(5, 6), batch_size=None, label_mode=None, color_mode="grayscale",
        data_format="channels_first", crop_to_aspect_ratio=True, verbose=False,
    )  # fmt: skip
    assert len(one) == 12
    assert next(iter(one)).shape == (1, 5, 6)


def test_labels_of_a_folder(folder):
    def labels(**arguments):
        data = utils.image_dataset_from_directory(folder, shuffle=False, image_size=(4, 4), verbose=False, **arguments)
        return np.concatenate([classes for _, classes in data])

    np.testing.assert_array_equal(labels(label_mode="categorical"), np.eye(2)[[0] * 7 + [1] * 5])
    np.testing.assert_array_equal(labels(label_mode="binary"), [[0]] * 7 + [[1]] * 5)
    np.testing.assert_array_equal(labels(class_names=["dogs", "cats"]), [0] * 5 + [1] * 7)
    np.testing.assert_array_equal(labels(labels=list(range(12))), np.arange(12))


def test_a_folder_is_shuffled_and_split(folder):
    options = {"image_size": (4, 4), "seed": 3, "validation_split": 0.25, "verbose": False}
    training, validation = utils.image_dataset_from_directory(folder, subset="both", **options)
    assert (len(training.file_paths), len(validation.file_paths)) == (9, 3)
    assert not set(training.file_paths) & set(validation.file_paths)
    again = utils.image_dataset_from_directory(folder, subset="training", **options)
    assert again.file_paths == training.file_paths
    for images, classes in again:
        np.testing.assert_array_equal(images, training.take(1)[0][0])
        first = classes
    assert not np.array_equal(again.take(1)[0][0], images)  # another order in the next pass
    assert sorted(again.take(1)[0][1]) == sorted(first)
    every = utils.image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
    for path, label in zip(training.file_paths, training._labels, strict=True):
        assert label == ("dogs" in path)
    assert sorted(every.file_paths) == sorted(training.file_paths + validation.file_paths)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"label_mode": "text"}, ValueError, "label_mode expects"),
        ({"validation_split": 0.5}, ValueError, "expects both validation_split and subset"),
        ({"validation_split": 0.5, "subset": "training"}, ValueError, "needs a seed"),
        ({"class_names": ["cats"]}, ValueError, "class_names expects the subfolders"),
        ({"labels": [1]}, ValueError, "labels expects one for each of 12 files, got 1"),
        ({"image_size": (3,)}, ValueError, "image_size expects"),
        ({"format": "grain"}, ValueError, "format expects"),
    ],
)  # fmt: skip
def test_folder_errors(folder, arguments, error, message):
    with pytest.raises(error, match=message):
        utils.image_dataset_from_directory(folder, **arguments)


def test_folder_without_images(tmp_path):
    with pytest.raises(ValueError, match="there are no images"):
        utils.image_dataset_from_directory(tmp_path)
    with pytest.raises(NotADirectoryError):
        utils.image_dataset_from_directory(tmp_path / "none")


def test_split_dataset():
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    (a, b), (c, d) = utils.split_dataset((x, y), left_size=7)
    assert (a.tolist(), b.tolist(), len(c), d.tolist()) == (x[:7].tolist(), list(range(7)), 3, [7, 8, 9])
    left, right = utils.split_dataset(y, right_size=0.2, shuffle=True, seed=1)
    assert sorted([*left, *right]) == list(range(10))
    assert (len(left), len(right)) == (8, 2)
    np.testing.assert_array_equal(utils.split_dataset(y, right_size=0.2, shuffle=True, seed=1)[0], left)
    assert utils.split_dataset([1, 2, 3, 4], 1, 2) == ([1], [2, 3])
    for sizes in ((None, None), (10, None), (6, 5), (1.5, None), (0, 3)):
        with pytest.raises(ValueError, match="split_dataset"):
            utils.split_dataset(y, *sizes)
    with pytest.raises(ValueError, match="one length"):
        utils.split_dataset((x, y[:5]), 0.5)
    with pytest.raises(TypeError, match="left_size expects a number"):
        utils.split_dataset(y, "half")


def test_get_file(tmp_path):
    source, cache = tmp_path / "data.bin", tmp_path / "cache"
    source.write_bytes(b"content")
    origin = source.as_uri()
    path = utils.get_file(origin=origin, cache_dir=cache, cache_subdir="sub")
    assert path == os.path.join(cache, "sub", "data.bin")
    source.write_bytes(b"changed")
    assert Path(utils.get_file(origin=origin, cache_dir=cache, cache_subdir="sub")).read_bytes() == b"content"
    for digest in (hashlib.sha256(b"changed").hexdigest(), hashlib.md5(b"changed").hexdigest()):
        path = utils.get_file("other", origin, file_hash=digest, cache_dir=cache)
        assert Path(path).read_bytes() == b"changed"
    source.write_bytes(b"new")
    assert Path(utils.get_file("other", origin, cache_dir=cache, force_download=True)).read_bytes() == b"new"
    with pytest.raises(OSError, match="checksum mismatch: got sha256"):
        utils.get_file("third", origin, file_hash="0" * 64, cache_dir=cache)
    assert not (cache / "datasets" / "third").exists()
    for arguments in ({}, {"fname": "a/b", "origin": origin}, {"origin": origin, "hash_algorithm": "crc"}):
        with pytest.raises(ValueError, match="get_file"):
            utils.get_file(**arguments)


def test_get_file_unpacks(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as file:
        file.add(tmp_path / "a.txt", "in/a.txt")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as zipped:
        zipped.write(tmp_path / "a.txt", "in/a.txt")
    for name in ("x.tar.gz", "y.zip"):
        for _ in range(2):
            path = utils.get_file(origin=(tmp_path / name).as_uri(), extract=True, cache_dir=tmp_path / "cache")
            assert (Path(path) / "in" / "a.txt").read_text() == "text"
    with pytest.raises(ValueError, match="is no archive"):
        utils.get_file(origin=(tmp_path / "a.txt").as_uri(), extract=True, cache_dir=tmp_path / "cache")


def _branched():
    x = layers.Input((8, 8, 3), name="picture")
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    z = layers.Flatten(name="flat")(y + layers.Conv2D(4, 1, name="second")(x))
    return cnnfast.Model(x, cnnfast.Sequential([layers.Input((256,)), layers.Dense(2, name="last")], name="inner")(z))


def test_plot_model_writes_what_graphviz_reads(tmp_path):
    utils.plot_model(
        _branched(), tmp_path / "m.dot", show_shapes=True, show_layer_names=True, show_layer_activations=True,
        show_trainable=True, show_dtype=True, expand_nested=True, rankdir="LR",
    )  # fmt: skip
    text = (tmp_path / "m.dot").read_text()
    assert text.startswith("digraph")
    assert text.count("{") == text.count("}")
    for part in (
        "first (Conv2D)", "activation: relu", "(None, 8, 8, 3) -> (None, 8, 8, 4)", "last (Dense)", "rankdir=LR",
        "add", "subgraph", "trainable", "float32",
    ):  # fmt: skip
        assert part in text
    arrows = [line for line in text.splitlines() if "->" in line and "label" not in line]
    assert sum('"input/0"' in line.split("->")[0] for line in arrows) == 2
    utils.plot_model(cnnfast.Sequential([layers.Input((4,)), layers.Dense(2)]), tmp_path / "s.dot")
    assert "Dense" in (tmp_path / "s.dot").read_text()


@pytest.mark.skipif(os.name == "nt", reason="the program is a script")
def test_plot_model_calls_graphviz(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Graphviz's program dot"):
        utils.plot_model(_branched(), tmp_path / "m.png")
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "$1" > "$3"\nwhile read line; do echo "$line" >> "$3"; done\n')
    program.chmod(0o755)
    utils.plot_model(_branched(), tmp_path / "m.svg")
    assert (tmp_path / "m.svg").read_text().startswith("-Tsvg\ndigraph model")
    program.write_text("#!/bin/sh\necho wrong >&2\nexit 3\n")
    with pytest.raises(RuntimeError, match="dot failed: wrong"):
        utils.plot_model(_branched(), tmp_path / "m.png")
    with pytest.raises(ValueError, match="rankdir"):
        utils.plot_model(_branched(), tmp_path / "m.png", rankdir="up")
