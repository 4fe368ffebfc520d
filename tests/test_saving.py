"""Model files: what comes back, what survives a failure, what is refused."""

import contextlib
import json
import os
import stat

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cnnfast import layers, models, optimizers
from cnnfast.models import load_model, read_metadata


def net(optimizer="adam"):
    model = models.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(),
            layers.Dropout(0.25),
            models.Sequential([layers.Dense(6, activation="tanh", name="hidden")], name="inner"),
            layers.Dense(3, activation="softmax", kernel_initializer=layers_he(), name="scores"),
        ],
        name="net",
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def layers_he():
    from cnnfast.initializers import HeNormal

    return HeNormal(seed=3)


@pytest.fixture
def data(rng):
    return rng.standard_normal((20, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, 20)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def header_of(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata()


def rewrite(path, weights=None, **header):
    """The file again, with some of its header or weights changed."""
    arrays = load_file(path) if weights is None else weights
    save_file(arrays, path, metadata=header_of(path) | header)


def test_a_model_comes_back_as_it_was(path, data):
    model = net()
    model.fit(*data, epochs=2, verbose=0)
    model.save(path)
    loaded = load_model(path)
    assert loaded.name == "net"
    assert loaded.get_config() == model.get_config()
    assert [w.name for w in loaded.weights] == [w.name for w in model.weights]
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.predict(data[0]), loaded.predict(data[0]))
    assert model.evaluate(*data, verbose=0) == loaded.evaluate(*data, verbose=0)


@pytest.mark.parametrize(
    "optimizer", [optimizers.Adam(0.01), optimizers.SGD(0.1, momentum=0.9), optimizers.SGD(0.1)], ids=lambda o: o.name
)
def test_training_goes_on_where_it_was(path, data, optimizer):
    model = net(optimizer)
    model.get_layer(index=3).rate = 0.0  # no chance, so that both go the same way
    model.fit(*data, epochs=2, shuffle=False, verbose=0)
    model.save(path)
    loaded = load_model(path)
    loaded.get_layer(index=3).rate = 0.0
    assert loaded.optimizer.iterations == model.optimizer.iterations
    for m in (model, loaded):
        m.fit(*data, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frozen_layers_stay_frozen(path):
    model = net()
    model.get_layer("conv").trainable = False
    model.save(path)
    loaded = load_model(path)
    assert [w.shape for w in loaded.trainable_weights] == [w.shape for w in model.trainable_weights]


def test_the_weights_have_readable_names(path):
    net().save(path, include_optimizer=False)
    assert set(load_file(path)) == {
        "conv/kernel", "conv/bias", "norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance",
        "inner/hidden/kernel", "inner/hidden/bias", "scores/kernel", "scores/bias",
    }  # fmt: skip
    assert load_model(path).optimizer is None


def test_metadata_of_the_user(path):
    given = {"classes": ["cat", "Hündin"], "mean": [0.5], "nested": {"a": None}}
    net().save(path, metadata=given)
    assert read_metadata(path) == given
    net().save(path)
    assert read_metadata(path) == {}
    with pytest.raises(TypeError, match="save: metadata holds what JSON cannot"):
        net().save(path, metadata={"f": print})
    assert read_metadata(path) == {}


def test_a_failed_save_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    net().save(path, metadata={"which": "old"})
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"):
        net().save(path, metadata={"which": "new"})
    monkeypatch.undo()
    assert read_metadata(path) == {"which": "old"}
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    load_model(path)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_those_of_any_file(path):
    plain = path.with_name("plain")
    plain.write_text("")
    net().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    path.chmod(0o600)
    net().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_model_without_weights_cannot_be_saved(path):
    with pytest.raises(ValueError, match="a model without weights cannot be saved"):
        models.Sequential([layers.Dense(3)]).save(path)
    assert not path.exists()


def test_a_loss_of_the_users_own_is_left_out_with_a_warning(path, data):
    model = net()
    model.compile("sgd", lambda y, p: p[:, 0])
    with pytest.warns(UserWarning, match="loss cannot be saved.*without its training configuration"):
        model.save(path)
    loaded = load_model(path)
    assert loaded.loss is None
    np.testing.assert_array_equal(loaded.predict(data[0]), model.predict(data[0]))


class Twice(layers.Layer):
    def call(self, x):
        return x * 2.0


def test_layers_of_the_users_own(path):
    model = models.Sequential([layers.Input((3,)), Twice(), layers.Dense(2)])
    model.save(path)
    with pytest.raises(ValueError, match="unknown layer 'Twice'; pass its class in custom_objects"):
        load_model(path)
    loaded = load_model(path, custom_objects={"Twice": Twice})
    np.testing.assert_array_equal(loaded.predict(np.ones((1, 3))), model.predict(np.ones((1, 3))))


# Damage


def test_every_truncation_raises(path):
    net().save(path)
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="not a model file, or damaged"):
            load_model(path)
        with pytest.raises(ValueError, match="not a model file, or damaged"):
            read_metadata(path)


def test_random_damage_of_the_header_never_does_worse_than_raise(path, rng):
    net().save(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(60):
        damaged = bytearray(whole)
        for at in rng.integers(0, header, 3):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(ValueError):
            load_model(path)


@pytest.mark.parametrize("content", [b"not a model", b"\x93NUMPY" + bytes(100), b"PK\x03\x04" + bytes(100), bytes(64)])
def test_other_files_raise(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a model file, or damaged"):
        load_model(path)


def test_other_tensors_raise(path):
    save_file({"a": np.zeros(3, np.float32)}, path)
    with pytest.raises(ValueError, match="holds tensors, but no model"):
        load_model(path)


def test_missing_files_and_folders_raise(path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_model(path)
    with pytest.raises(IsADirectoryError):
        load_model(path.parent)
    with pytest.raises(FileNotFoundError):
        net().save(path.parent / "nowhere" / "model.safetensors")


def change_architecture(path, change):
    architecture = json.loads(header_of(path)["architecture"])
    change(architecture)
    rewrite(path, architecture=json.dumps(architecture))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a["config"]["layers"][1].update(class_name="Conv9D"), "unknown layer 'Conv9D'"),
        (lambda a: a["config"]["layers"][1].update(class_name="os.system"), "unknown layer 'os.system'"),
        (lambda a: a["config"]["layers"][1].update(class_name=["Dense"]), "unknown layer"),
        (
            lambda a: a["config"]["layers"][1]["config"].update(filters=5),
            r"'conv/kernel' expects F32 of shape \(3, 3, 1, 5\)",
        ),
        (
            lambda a: a["config"]["layers"][1]["config"].update(filters=10**12),
            "the model cannot be made: Conv2D 'conv'",
        ),
        (lambda a: a["config"]["layers"][1]["config"].update(colour=1), "unexpected keyword argument 'colour'"),
        (lambda a: a["config"]["layers"][1]["config"].update(activation="exec"), "activation 'exec' is not known"),
        (lambda a: a["config"]["layers"][1]["config"].update(name="other"), "belong to no layer"),
        (lambda a: a["config"]["layers"].pop(), "belong to no layer"),
        (lambda a: a["config"].update(layers=None), "the model cannot be made"),
        (lambda a: a["config"].pop("layers"), "'layers' is missing"),
        (lambda a: a.update(config=3), "a layer expects class_name and config"),
        (lambda a: a.update(class_name="Dense"), "the model cannot be made"),
    ],
)
def test_an_architecture_that_does_not_fit_raises(path, change, message):
    net().save(path, include_optimizer=False)
    change_architecture(path, change)
    with pytest.raises(ValueError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"architecture": "{"}, "the model cannot be made"),
        ({"architecture": "[" * 100000}, "the model cannot be made"),
        ({"architecture": "null"}, "a layer expects class_name and config"),
        ({"format": "other"}, "no model of this library"),
        ({"version": "99"}, "model format 99 is not known"),
        ({"training": "[]"}, "the model cannot be made"),
        ({"training": '{"optimizer": "no"}'}, "the model cannot be made"),
        ({"training": '{"optimizer": "sgd", "loss": "mse", "metrics": [], "iterations": "x"}'}, "cannot be made"),
    ],
)
def test_a_header_that_does_not_fit_raises(path, header, message):
    net().save(path)
    rewrite(path, **header)
    with pytest.raises(ValueError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("conv/bias"), "the weight 'conv/bias' is missing"),
        (
            lambda w: w.update({"conv/bias": np.zeros(5, np.float32)}),
            r"'conv/bias' expects F32 of shape \(4,\), got F32",
        ),
        (lambda w: w.update({"conv/bias": np.zeros(4)}), r"'conv/bias' expects F32 of shape \(4,\), got F64"),
        (lambda w: w.update({"extra": np.zeros(4, np.float32)}), r"the weights \['extra'\] belong to no layer"),
    ],
)
def test_weights_that_do_not_fit_raise(path, change, message):
    net().save(path, include_optimizer=False)
    weights = load_file(path)
    change(weights)
    rewrite(path, weights)
    with pytest.raises(ValueError, match=message):
        load_model(path)
