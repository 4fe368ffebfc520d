"""Networks against Keras's own: the same layers in the same order, the same outputs, the same step of training."""

import gc
import warnings

import numpy as np
import pytest

import cnnfast
import keras_peer
from cnnfast import applications

# Network, and arguments small enough to compare all of it.
NETWORKS = {
    "VGG16": {"input_shape": (32, 32, 3), "classes": 5},
    "VGG19": {"input_shape": (40, 33, 3), "include_top": False, "pooling": "max"},
    "ResNet50": {"input_shape": (64, 64, 3), "classes": 7},
    "ResNet50V2": {"input_shape": (64, 64, 3), "include_top": False, "pooling": "max"},
    "Xception": {"input_shape": (71, 80, 3), "classes": 3},
    "MobileNet": {"input_shape": (96, 64, 3), "alpha": 0.5, "depth_multiplier": 2, "classes": 6},
    "MobileNetV2": {"input_shape": (65, 64, 3), "alpha": 1.3, "classes": 6},
    "InceptionV3": {"input_shape": (75, 80, 3), "classes": 4},
    "DenseNet121": {"input_shape": (64, 64, 3), "classes": 9, "classifier_activation": None},
}


def peer(name, **arguments):
    """Keras's network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = keras_peer.keras()
        return getattr(keras.applications, name)(weights=None, **arguments)


@pytest.fixture(scope="module")
def pair(request):
    """A network's name, Keras's and ours, both with the same random weights."""
    gc.collect()
    cnnfast.utils.set_random_seed(0)
    name, arguments = request.param, NETWORKS[request.param]
    theirs, ours = peer(name, **arguments), getattr(applications, name)(**arguments)
    rng = np.random.default_rng(7)
    weights = [
        w if w.ndim > 1 else (rng.uniform(0.8, 1.2, w.shape) if np.all(w == 1) else rng.uniform(-0.1, 0.1, w.shape))
        for w in ours.get_weights()
    ]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return name, theirs, ours


def images(model, count):
    return np.random.default_rng(3).standard_normal((count, *model.input_shape[1:])).astype(np.float32)


def close(found, expected, tolerance):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("pair", NETWORKS, indirect=True)
def test_the_same_layers(pair):
    name, theirs, ours = pair
    assert ours.count_params() == theirs.count_params()
    assert ours.name == theirs.name
    with_weights = [[layer for layer in model.layers if layer.weights] for model in (ours, theirs)]
    assert len(with_weights[0]) == len(with_weights[1])
    for mine, other in zip(*with_weights, strict=True):
        assert [v.shape for v in mine.weights] == [tuple(v.shape) for v in other.weights]
        if name not in ("InceptionV3", "Xception"):  # Keras numbers its layers on through the session
            assert mine.name == other.name
    if name == "ResNet50":  # of which every layer has a name of its own
        assert [layer.name for layer in ours.layers][1:] == [layer.name for layer in theirs.layers][1:]
    else:
        assert [type(layer).__name__ for layer in ours.layers] == [type(layer).__name__ for layer in theirs.layers]


@pytest.mark.parametrize("pair", NETWORKS, indirect=True)
def test_the_same_outputs(pair):
    _, theirs, ours = pair
    x = images(ours, 2)
    expected = theirs(x, training=False).detach().numpy()
    close(ours(x), expected, 1e-4)
    close(ours.predict(x, verbose=0), expected, 1e-4)


# Normalization after normalization over a few pixels magnifies rounding: images that differ by a millionth change the
# step of the deeper networks by a fiftieth, within one library.
@pytest.mark.parametrize(
    ("pair", "tolerance"), [("VGG19", 1e-3), ("ResNet50", 5e-2), ("MobileNetV2", 2e-2)], indirect=["pair"]
)
def test_the_same_step_of_training(pair, tolerance):
    _, theirs, ours = pair
    x, y = images(ours, 4), np.eye(4, ours.output_shape[-1], dtype=np.float32)
    before = ours.get_weights()
    losses = []
    for model in (theirs, ours):
        model.compile("sgd", "categorical_crossentropy" if pair[0] != "VGG19" else "mse")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            losses.append(float(model.train_on_batch(x, y)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    after = [v.value.detach().numpy() for v in theirs.weights]
    squares = np.zeros(2)
    for variable, old, mine, other in zip(ours.weights, before, ours.get_weights(), after, strict=True):
        if variable.name.startswith("moving"):
            close(mine, other, 1e-4)
        else:
            squares += np.sum(np.square(mine - other)), np.sum(np.square(other - old))
    assert np.sqrt(squares[0] / squares[1]) < tolerance
    assert squares[1] > 0


def test_a_file_of_keras(tmp_path):
    pytest.importorskip("h5py")
    arguments, path = {"input_shape": (32, 32, 3), "alpha": 0.25, "classes": 3}, str(tmp_path / "mobilenet.weights.h5")
    theirs = peer("MobileNet", **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.save_weights(path)
    ours = applications.MobileNet(**arguments, weights=path)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(mine, other.value.detach().numpy())


def test_images_as_keras_prepares_them(rng):
    keras = keras_peer.keras()
    x = (255 * rng.random((2, 5, 4, 3))).astype(np.float32)
    names = ["vgg16", "vgg19", "resnet", "resnet50", "resnet_v2", "mobilenet", "mobilenet_v2", "inception_v3"]
    for name in (*names, "densenet", "xception"):
        ours = getattr(applications, name).preprocess_input
        theirs = getattr(keras.applications, name).preprocess_input
        for given, data_format in ((x, None), (x[0], "channels_last"), (np.moveaxis(x, -1, 1), "channels_first")):
            expected = np.asarray(theirs(given.copy(), data_format=data_format))
            np.testing.assert_allclose(ours(given, data_format=data_format), expected, rtol=1e-5, atol=1e-5)
