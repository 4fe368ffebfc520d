"""Zeros around what ReLU made, and max pooling: one pass without the border."""

import numpy as np
import pytest

import cnnfast
from cnnfast import layers
from cnnfast.models import Model
from cnnfast.models.fusion import PaddedPooling

RECTIFIERS = {
    "relu": lambda x: layers.ReLU()(x),
    "relu6": lambda x: layers.Activation("relu6")(x),
    "normalized": lambda x: layers.ReLU()(layers.BatchNormalization()(x)),
    "convolution": lambda x: layers.ReLU()(layers.Conv2D(5, 3, padding="same")(x)),
    "own activation": lambda x: layers.Conv2D(5, 3, padding="same", activation="relu")(x),
    "shortcut": lambda x: layers.ReLU()(layers.BatchNormalization()(x) + x),
}


def joined(model):
    return sum(isinstance(step.compute, PaddedPooling) for step in model._graph.steps)


def layer_by_layer(model, x):
    values = {id(model.inputs[0]): x}
    for node in model._graph.nodes:
        args = [values.get(id(a), a) for a in node.args]
        values[id(node.outputs)] = node.layer(*args, training=True)
    return values[id(model.outputs[0])]


def results(call, model, x, dy):
    x = cnnfast.Tensor(x)
    with cnnfast.GradientTape() as tape:
        tape.watch(x)
        y = call(x)
    found = tape.gradient(y, [x, *model.trainable_weights], output_gradients=dy)
    return [np.asarray(y), *map(np.asarray, found)]


@pytest.mark.parametrize(
    ("border", "size", "strides"), [(1, 3, 2), (((1, 0), (0, 2)), 3, 1), (1, 2, 2), ((0, 3), (1, 4), 3)]
)
@pytest.mark.parametrize("name", RECTIFIERS)
def test_same_bits_as_two_passes(name, border, size, strides, isa, rng):
    x = layers.Input((9, 10, 5))
    y = layers.MaxPooling2D(size, strides)(layers.ZeroPadding2D(border)(RECTIFIERS[name](x)))
    model = Model(x, y)
    assert joined(model) == 1
    data = rng.standard_normal((3, 9, 10, 5)).astype(np.float32)
    data[0, :4] = -np.abs(data[0, :4])  # whole windows below zero
    data[1, 0, :3, 2] = 0.0
    dy = rng.standard_normal((3, *y.shape[1:])).astype(np.float32)
    found = results(lambda t: model(t, training=True), model, data, dy)
    expected = results(lambda t: layer_by_layer(model, t), model, data, dy)
    for one, other in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(found[2:], expected[2:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(other).max()))


def test_not_a_number_and_infinity(isa, rng):
    x = layers.Input((6, 6, 4))
    y = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(layers.ReLU()(x)))
    model = Model(x, y)
    data = rng.standard_normal((2, 6, 6, 4)).astype(np.float32)
    data[0, 0, 0], data[1, 5, 5, 1], data[1, 0] = np.nan, np.inf, -np.inf
    dy = rng.standard_normal((2, *y.shape[1:])).astype(np.float32)
    dy[0, 0, 0, 1], dy[1, 0, 0, 2] = np.nan, np.inf
    found = results(lambda t: model(t, training=True), model, data, dy)
    for one, other in zip(found, results(lambda t: layer_by_layer(model, t), model, data, dy), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_and_three_dimensions(rng):
    for shape, padding, pooling in (
        ((7, 3), layers.ZeroPadding1D((1, 0)), layers.MaxPooling1D(2)),
        ((4, 5, 6, 3), layers.ZeroPadding3D(1), layers.MaxPooling3D(2)),
    ):
        x = layers.Input(shape)
        model = Model(x, pooling(padding(layers.ReLU()(x))))
        assert joined(model) == 1
        data = rng.standard_normal((2, *shape)).astype(np.float32)
        np.testing.assert_array_equal(model(data), layer_by_layer(model, data))
        np.testing.assert_array_equal(model.predict(data, verbose=0), layer_by_layer(model, data))


def test_no_images_and_no_pixels():
    x = layers.Input((None, None, 3))
    model = Model(x, layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(layers.ReLU()(x))))
    for shape in ((0, 4, 4, 3), (2, 0, 4, 3)):
        data = np.zeros(shape, np.float32)
        np.testing.assert_array_equal(model(data), layer_by_layer(model, data))


class OwnPooling(layers.MaxPooling2D):
    pass


def test_where_the_border_stays():
    image = layers.Input((8, 8, 3))
    relu = layers.ReLU()(image)
    for before, border, pooling in (
        (image, layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)),  # zeros win where all else is below
        (layers.LeakyReLU()(image), layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)),
        (relu, layers.ZeroPadding2D(2), layers.MaxPooling2D(2)),  # windows of nothing else
        (relu, layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2, padding="same")),
        (relu, layers.ZeroPadding2D(1), layers.AveragePooling2D(3, 2)),
        (relu, layers.ZeroPadding2D(1), OwnPooling(3, 2)),
        (relu, layers.ZeroPadding2D(1, data_format="channels_first"), layers.MaxPooling2D(3, 2)),
        (relu, layers.ZeroPadding2D(1, activity_regularizer="l2"), layers.MaxPooling2D(3, 2)),
    ):
        assert joined(Model(image, pooling(border(before)))) == 0
    pooled = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(relu))
    assert joined(Model(image, pooled)) == 1
    assert joined(Model(image, [pooled, relu])) == 0  # somebody may ask for the gradient there


def test_a_call_of_its_own(rng):
    image = layers.Input((8, 8, 3))
    pooling = layers.MaxPooling2D(3, 2)
    model = Model(image, pooling(layers.ZeroPadding2D(1)(layers.ReLU()(image))))
    data = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    assert joined(model) == 1
    pooling.call = lambda x: x
    assert model(data).shape == (2, 10, 10, 3)


def test_in_a_profile(rng):
    image = layers.Input((8, 8, 3))
    model = Model(image, layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(layers.ReLU()(image))))
    rows = model.profile(rng.standard_normal((2, 8, 8, 3)), repeats=1, print_fn=None)
    assert [row.output_shape for row in rows] == [(2, 8, 8, 3), (2, 4, 4, 3)]
