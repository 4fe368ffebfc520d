"""Architectures that Keras wrote, and those that it reads: both directions, with Keras itself where it is installed."""

import json
import warnings

import numpy as np
import pytest

import keras_peer
import test_layers_keras
from cnnfast import Model, Sequential, layers, ops
from cnnfast.models.keras_config import from_keras_config, to_keras_config

IMAGE = {"data_format": "channels_first"}
# Layers beside those of test_layers_keras, and arguments that hold objects.
MORE = [
    ("Dense", {"units": 3, "kernel_regularizer": "l2", "bias_constraint": "non_neg", "activation": "gelu"}, (2, 5)),
    ("Dense", {"units": 3, "kernel_initializer": "he_normal", "activity_regularizer": "l1"}, (2, 4, 5)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "kernel_initializer": "orthogonal", "kernel_constraint": "max_norm",
                "bias_regularizer": "l1l2", "padding": "same"}, (2, 7, 6, 3)),
    ("Conv3D", {"filters": 2, "kernel_size": 2}, (2, 5, 4, 5, 3)),
    ("Activation", {"activation": "mish"}, (2, 5)),
    ("ActivityRegularization", {"l1": 0.01, "l2": 0.02}, (2, 5)),
    ("Dropout", {"rate": 0.5, "noise_shape": (2, 1), "seed": 3}, (2, 5)),
    ("SpatialDropout1D", {"rate": 0.5}, (2, 5, 3)),
    ("SpatialDropout2D", {"rate": 0.5, **IMAGE}, (2, 3, 4, 5)),
    ("SpatialDropout3D", {"rate": 0.5}, (2, 3, 4, 3, 2)),
    ("AlphaDropout", {"rate": 0.5}, (2, 5)),
    ("GaussianDropout", {"rate": 0.5}, (2, 5)),
    ("GaussianNoise", {"stddev": 0.5, "seed": 1}, (2, 5)),
    ("Reshape", {"target_shape": (5, -1)}, (2, 4, 5)),
    ("Rescaling", {"scale": 0.5, "offset": [1.0, 2.0, 3.0, 4.0]}, (2, 3, 4)),
    ("Resizing", {"height": 3, "width": 7}, (2, 5, 6, 3)),
    ("CenterCrop", {"height": 3, "width": 4}, (2, 5, 6, 3)),
    ("RandomFlip", {"mode": "horizontal", "seed": 1}, (2, 5, 6, 3)),
    ("RandomBrightness", {"factor": 0.2}, (2, 5, 6, 3)),
    ("RandomContrast", {"factor": 0.2}, (2, 5, 6, 3)),
    ("RandomRotation", {"factor": 0.2, "fill_mode": "nearest"}, (2, 5, 6, 3)),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": (-0.1, 0.1)}, (2, 5, 6, 3)),
    ("RandomZoom", {"height_factor": 0.2, "interpolation": "nearest"}, (2, 5, 6, 3)),
    ("Normalization", {"mean": 3.0, "variance": 2.0}, (2, 5)),
    ("Normalization", {"axis": None, "mean": 3.0, "variance": 2.0, "invert": True}, (2, 5)),
]  # fmt: skip
ROWS = [*test_layers_keras.ROWS, *MORE]
# Tested below: they hold a layer, a function, or weights in another order, or what they compute is random.
ELSEWHERE = {"InputLayer", "Lambda", "RandomCrop", "SpectralNormalization", "TimeDistributed"}


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def read_there(keras, config):
    """A model that Keras reads, through text as from a file."""
    return quiet(keras.models.model_from_json, json.dumps(config))


def read_here(model, custom_objects=None):
    return from_keras_config(json.loads(model.to_json()), custom_objects)


def same(ours, theirs, inputs, rng, weights=None):
    """Give both models the same weights and compare what they compute."""
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    values = [rng.uniform(0.1, 1.0, w.shape).astype(np.float32) for w in ours.weights] if weights is None else weights
    ours.set_weights(values)
    theirs.set_weights(values)
    found, expected = ours(inputs, training=False), quiet(theirs, inputs, training=False)
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        found, expected = [found[key] for key in expected], list(expected.values())
    if not isinstance(expected, list):
        found, expected = [found], [expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-4, atol=1e-4)


def data(shapes, rng):
    several = isinstance(shapes, list)
    found = [rng.standard_normal(s).astype(np.float32) for s in (shapes if several else [shapes])]
    return found if several else found[0]


def functional(keras_like, make, shapes):
    """A model of one layer with as many inputs as it takes."""
    several = isinstance(shapes, list)
    inputs = [keras_like.layers.Input(s[1:]) for s in (shapes if several else [shapes])]
    given = inputs if several else inputs[0]
    return (getattr(keras_like, "Model", None) or keras_like.models.Model)(given, make(keras_like.layers)(given))


class Here:
    layers, Model = layers, Model


@pytest.mark.parametrize("row", ROWS, ids=test_layers_keras.name_of)
def test_a_layer_of_keras_is_read(row, rng):
    name, arguments, shapes = row
    keras = keras_peer.keras()
    theirs = functional(keras, lambda of: getattr(of, name)(name="the_layer", **arguments), shapes)
    ours = read_here(theirs)
    assert type(ours.get_layer("the_layer")).__name__ == name
    x = data(shapes, rng)
    same(ours, theirs, x, rng, [w.numpy() for w in ours.weights] if name == "Normalization" else None)
    if not isinstance(shapes, list):
        theirs = keras.Sequential([keras.layers.Input(shapes[1:]), getattr(keras.layers, name)(**arguments)])
        same(read_here(theirs), theirs, x, rng)


@pytest.mark.parametrize("row", ROWS, ids=test_layers_keras.name_of)
def test_keras_reads_a_layer(row, rng):
    name, arguments, shapes = row
    keras = keras_peer.keras()
    ours = functional(Here, lambda of: getattr(of, name)(name="the_layer", **arguments), shapes)
    theirs = read_there(keras, to_keras_config(ours))
    assert type(theirs.get_layer("the_layer")).__name__ == name
    x = data(shapes, rng)
    same(ours, theirs, x, rng)
    if not isinstance(shapes, list):
        ours = Sequential([layers.Input(shapes[1:]), getattr(layers, name)(**arguments)])
        same(ours, read_there(keras, to_keras_config(ours)), x, rng)


def test_every_layer_that_both_have_is_in_the_table():
    keras = keras_peer.keras()
    common = {name for name in layers.BUILT_IN if hasattr(keras.layers, name)}
    assert common - {row[0] for row in ROWS} - ELSEWHERE == set()


# Models of many layers: each is made of Keras's layers or of ours by the same code.


def small_resnet(of, model):
    x = image = of.Input((8, 8, 3), name="image")
    x = of.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = of.ReLU()(of.BatchNormalization()(x))
    y = of.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = of.Add()([x, y])
    x = of.Concatenate()([x, of.AveragePooling2D(3, 1, padding="same")(x)])
    return model(image, of.Dense(3, activation="softmax")(of.GlobalAveragePooling2D()(x)), name="small")


def shared_layer(of, model):
    a, b = of.Input((4,), name="a"), of.Input((4,), name="b")
    dense = of.Dense(3, name="twice")
    first, second = dense(a), dense(b)
    third = of.Dense(4, name="between")(first)
    return model([a, b], [of.Subtract()([second, dense(third)]), first])


def named_ends(of, model):
    a, b = of.Input((4,), name="a"), of.Input((5,), name="b")
    joined = of.Concatenate()([a, b])
    return model({"a": a, "b": b}, {"sum": of.Dense(2)(joined), "same": joined})


def nested_functional(of, model):
    x = of.Input((6,))
    inner = model(x, of.Dense(6, activation="tanh")(x), name="inner")
    image = of.Input((6,))
    return model(image, [inner(of.Dense(6)(inner(image))), inner(image)])


def model_as_output(of, model):
    x = of.Input((6,))
    inner = model(x, of.Dense(6, activation="tanh")(x), name="inner")
    image = of.Input((6,))
    first = inner(image)
    return model(image, [inner(first), of.Dense(2)(first)])


def nested_stack(of, model):
    from_sequential = {layers: Sequential}.get(of)
    stack = from_sequential or keras_peer.keras().Sequential
    inner = stack([of.Input((6,)), of.Dense(5), of.LeakyReLU()], name="stack")
    image = of.Input((6,))
    return model(image, of.Dense(2)(inner(of.Dense(6)(image))))


MODELS = [small_resnet, shared_layer, named_ends, nested_functional, model_as_output, nested_stack]


def inputs_of(model, rng):
    structure = model.input
    one = lambda t: rng.standard_normal([3, *t.shape[1:]]).astype(np.float32)  # noqa: E731
    if isinstance(structure, dict):
        return {name: one(t) for name, t in structure.items()}
    return [one(t) for t in structure] if isinstance(structure, (list, tuple)) else one(structure)


@pytest.mark.parametrize("build", MODELS, ids=lambda f: f.__name__)
def test_models_go_both_ways(build, rng):
    keras = keras_peer.keras()
    theirs = build(keras.layers, keras.Model)
    ours = read_here(theirs)
    x = inputs_of(ours, rng)
    same(ours, theirs, x, rng)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]

    ours = build(layers, Model)
    theirs = read_there(keras, to_keras_config(ours))
    same(ours, theirs, x, rng)
    # And back again.
    same(read_here(theirs), theirs, x, rng)


def test_a_stack_in_a_stack(rng):
    keras = keras_peer.keras()

    def build(of, stack):
        inner = stack([of.Conv2D(3, 3), of.BatchNormalization()], name="inner")
        return stack([of.Input((7, 7, 2)), inner, stack([of.Flatten(), of.Dense(2)]), of.Dropout(0.5)])

    x = rng.standard_normal((2, 7, 7, 2)).astype(np.float32)
    theirs = build(keras.layers, keras.Sequential)
    same(read_here(theirs), theirs, x, rng)
    ours = build(layers, Sequential)
    same(ours, read_there(keras, to_keras_config(ours)), x, rng)


def test_a_stack_without_an_input(rng):
    keras = keras_peer.keras()
    x = rng.standard_normal((2, 5)).astype(np.float32)
    theirs = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    assert not read_here(theirs).built
    theirs.build((None, 5))
    same(read_here(theirs), theirs, x, rng)
    ours = Sequential([layers.Dense(3), layers.Dense(2)])
    assert not read_there(keras, to_keras_config(ours)).built
    ours.build((None, 5))
    same(ours, read_there(keras, to_keras_config(ours)), x, rng)


def test_a_fixed_batch(rng):
    keras = keras_peer.keras()
    theirs = keras.Sequential([keras.layers.Input(batch_shape=(2, 5)), keras.layers.Dense(3)])
    ours = read_here(theirs)
    assert ours.input_shape == (2, 5)
    same(ours, theirs, rng.standard_normal((2, 5)).astype(np.float32), rng)


@pytest.mark.parametrize("wrap", ["TimeDistributed", "SpectralNormalization"])
def test_layers_that_hold_a_layer(wrap, rng):
    keras = keras_peer.keras()
    shape = (2, 3, 6, 6, 2) if wrap == "TimeDistributed" else (2, 6, 6, 2)

    def make(of):
        return getattr(of, wrap)(of.Conv2D(3, 3, kernel_regularizer="l2"))

    def compare(ours, theirs):
        x = rng.standard_normal(shape).astype(np.float32)
        by_name = {w.name: w for w in ours.weights}
        for weight in theirs.weights:
            name = weight.path.rsplit("/", 1)[-1]
            by_name[name].assign(weight.value.detach().numpy())
        np.testing.assert_allclose(ours(x), quiet(theirs, x).detach().numpy(), rtol=1e-4, atol=1e-5)

    theirs = functional(keras, make, shape)
    compare(read_here(theirs), theirs)
    ours = functional(Here, make, shape)
    compare(ours, read_there(keras, to_keras_config(ours)))


def test_a_random_crop_keeps_its_arguments():
    keras = keras_peer.keras()
    theirs = keras.Sequential([keras.layers.Input((5, 6, 3)), keras.layers.RandomCrop(3, 4, seed=1)])
    ours = read_here(theirs)
    found = [model.layers[0] for model in (theirs, ours, read_there(keras, to_keras_config(ours)))]
    assert [(la.height, la.width, la.seed) for la in found] == [(3, 4, 1)] * 3
    assert ours(np.zeros((2, 5, 6, 3))).shape == (2, 3, 4, 3)


def test_layers_learn_whether_they_train_from_the_model():
    keras = keras_peer.keras()
    image = keras.layers.Input((50,))
    theirs = keras.Model(image, keras.layers.Dropout(0.5)(image, training=False))
    x = np.ones((2, 50), np.float32)
    assert not np.array_equal(quiet(theirs, x, training=True).numpy(), x)  # what the call said counts no more
    assert not np.array_equal(read_here(theirs)(x, training=True), x)
    np.testing.assert_array_equal(read_here(theirs)(x, training=False), x)


def test_an_activation_that_is_a_layer(rng):
    keras = keras_peer.keras()
    x = rng.standard_normal((2, 5)).astype(np.float32)
    theirs = functional(keras, lambda of: of.Dense(3, activation=of.LeakyReLU(0.1)), (2, 5))
    same(read_here(theirs), theirs, x, rng)
    ours = functional(Here, lambda of: of.Dense(3, activation=of.LeakyReLU(0.1)), (2, 5))
    same(ours, read_there(keras, to_keras_config(ours)), x, rng)


# Functions in functional models.
OPERATIONS = {
    "arithmetic": lambda ops, x: 2.0 - (x * x + x / 3.0) ** 2.0,
    "a sum": lambda ops, x: ops.sum(x, axis=(1, 2), keepdims=True) + ops.mean(x, axis=-1, keepdims=True),
    "extremes": lambda ops, x: ops.max(x, axis=1) - ops.min(x, axis=1),
    "clipping": lambda ops, x: ops.clip(x, -0.5, 0.5) + ops.relu6(x) + ops.leaky_relu(x, 0.1),
    "shapes": lambda ops, x: ops.transpose(ops.reshape(x, (-1, 4, 8)), (0, 2, 1)),
    "joins": lambda ops, x: ops.concatenate([x, ops.abs(x)], axis=-1) * 2.0,
    "a slice": lambda ops, x: x[:, 1:3, :, ::2] + x[:, :1, -2:-1, :4],
    "one place": lambda ops, x: x[:, 0] + ops.expand_dims(x[:, 1, 1], 1),
    "constants": lambda ops, x: x + np.arange(8, dtype="float32") - np.float32(2),
    "activations": lambda ops, x: ops.softmax(x, axis=1) + ops.gelu(x) + ops.silu(x) + ops.softplus(x),
    "conditions": lambda ops, x: ops.where(x > 0.0, ops.sqrt(ops.abs(x)), ops.exp(x)),
    "pooling": lambda ops, x: ops.max_pool(x, 2) + ops.average_pool(x, 2, padding="valid"),
    "norms": lambda ops, x: ops.normalize(x, axis=-1) + ops.var(x, axis=(0, 1), keepdims=True),
    "lengths": lambda ops, x: ops.norm(x, axis=-1, keepdims=True) + ops.norm(x, 1, axis=1, keepdims=True),
    "products": lambda ops, x: ops.matmul(x, ops.swapaxes(x, 1, 2)) + ops.einsum("bic,bjc->bij", x, x),
    "rearranged": lambda ops, x: ops.flip(ops.roll(x, 1, axis=1), axis=2) + ops.tile(x[:, :1], (1, 4, 1)),
    "padding": lambda ops, x: ops.pad(x, [[0, 0], [1, 1], [0, 0]]),
    "resizing": lambda ops, x: ops.image.resize(x, (5, 6)),
}
IMAGES = {"pooling", "a slice", "one place", "a sum", "extremes", "resizing"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_functions_go_both_ways(name, rng):
    keras = keras_peer.keras()
    shape = (2, 4, 4, 8) if name in IMAGES else (2, 4, 8)
    x = rng.standard_normal(shape).astype(np.float32)
    image = keras.layers.Input(shape[1:])
    theirs = keras.Model(image, OPERATIONS[name](keras.ops, image))
    same(read_here(theirs), theirs, x, rng)
    image = layers.Input(shape[1:])
    ours = Model(image, OPERATIONS[name](ops, image))
    same(ours, read_there(keras, to_keras_config(ours)), x, rng)
