"""Weights alone in files, and architectures as JSON."""

import numpy as np
import pytest

from cnnfast import layers
from cnnfast.models import Model, Sequential, model_from_json


def small(units=3, name="scores"):
    x = layers.Input((4,))
    return Model(x, layers.Dense(units, name=name)(layers.Dense(5, activation="relu", name="hidden")(x)))


def test_weights_round_trip(tmp_path, rng):
    model, other = small(), small()
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    for found, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    model.save(tmp_path / "m.safetensors")
    third = small()
    third.load_weights(tmp_path / "m.safetensors")
    x = rng.random((2, 4), np.float32)
    np.testing.assert_array_equal(third(x), model(x))


def test_what_does_not_fit_changes_nothing(tmp_path):
    model, other = small(), small(units=7)
    model.save_weights(tmp_path / "w.safetensors")
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"'scores/kernel' expects F32 of shape \(5, 7\), got F32 of shape \(5, 3\)"):
        other.load_weights(tmp_path / "w.safetensors")
    for found, expected in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.warns(UserWarning, match="left as it is"):
        other.load_weights(tmp_path / "w.safetensors", skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    sizes = {"hidden": 5, "deep": 3, "last": 1}
    deeper = Sequential([layers.Input((4,)), *(layers.Dense(n, name=name) for name, n in sizes.items())])
    with pytest.raises(ValueError, match="the weight 'deep/kernel' is missing"):
        deeper.load_weights(tmp_path / "w.safetensors")


def test_errors(tmp_path):
    model = small()
    model.save_weights(tmp_path / "w.safetensors")
    for save in (model.save, model.save_weights):
        with pytest.raises(FileExistsError, match="overwrite is False"):
            save(tmp_path / "w.safetensors", overwrite=False)
    with pytest.raises(FileNotFoundError, match="no such file"):
        model.load_weights(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"12345678 no tensors")
    with pytest.raises(ValueError, match="not a model file, or damaged"):
        model.load_weights(tmp_path / "bad.safetensors")
    with pytest.raises(ValueError, match="a model that is not built has no weights"):
        Sequential([layers.Dense(2)]).save_weights(tmp_path / "x.safetensors")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"net\.safetensors: there is no folder .*missing$"):
        small().save(tmp_path / "missing" / "net.safetensors")


@pytest.mark.parametrize("task", ["save", "save_weights", "load_weights"])
def test_an_unknown_suffix_raises(tmp_path, task):
    (tmp_path / "w.dat").write_bytes(b"")
    with pytest.raises(
        ValueError, match=rf"{task}: a file name with one of the endings .*\.safetensors.*, got .*w\.dat"
    ):
        getattr(small(), task)(tmp_path / "w.dat")


def test_architecture_as_json():
    model = small()
    copy = model_from_json(model.to_json(indent=1))
    assert copy.get_config() == model.get_config()
    with pytest.raises(ValueError, match="expects class_name and config"):
        model_from_json("[]")
    with pytest.raises(ValueError, match="unknown layer 'Other'"):
        model_from_json('{"class_name": "Other", "config": {}}')
