"""Classes of users' own that are registered under the library's own name: in files they stay what they are."""

import json

import numpy as np
import pytest

import cnnfast
from cnnfast import Sequential, layers, registration
from cnnfast.models.keras_config import from_keras_config, to_keras_config

X = np.ones((1, 4), np.float32)


@pytest.fixture(params=["Dense", "Maxout", "Mine"])
def own(request, monkeypatch):
    """A class of such a name, the name being that of a layer of Keras's, of ours alone, or of nobody's."""
    monkeypatch.setattr(registration, "_objects", dict(registration._objects))
    monkeypatch.setattr(registration, "_names", dict(registration._names))

    def call(self, x):
        return x * 5.0

    cls = type(request.param, (layers.Layer,), {"call": call, "__module__": "__main__"})
    return registration.register_keras_serializable("cnnfast")(cls)


def network(own):
    return Sequential([layers.Input((4,)), layers.Dense(4), own(), layers.Maxout(2)])


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".safetensors"])
def test_files(tmp_path, monkeypatch, own, suffix):
    path = tmp_path / f"m{suffix}"
    model = network(own)
    model.save(path)
    again = cnnfast.load_model(path)
    assert [type(layer) for layer in again.layers] == [layers.Dense, own, layers.Maxout]
    np.testing.assert_array_equal(again(X), model(X))
    monkeypatch.setattr(registration, "_objects", {})
    with pytest.raises(ValueError, match=rf"unknown layer '(cnnfast>)?{own.__name__}'; pass its class"):
        cnnfast.load_model(path)
    again = cnnfast.load_model(path, custom_objects={f"cnnfast>{own.__name__}": own})
    np.testing.assert_array_equal(again(X), model(X))


def test_files_of_before(own):
    """They told no module of layers that Keras does not have."""
    if own.__name__ == "Maxout":
        return
    model = network(own)
    config = json.loads(json.dumps(to_keras_config(model)).replace('"cnnfast.layers"', "null"))
    again = from_keras_config(config)
    assert [type(layer) for layer in again.layers] == [layers.Dense, own, layers.Maxout]
