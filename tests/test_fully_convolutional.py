"""Classifiers that slide: the same scores for one window, and for all windows of a larger image."""

import numpy as np
import pytest

from cnnfast import applications, layers, models, ops
from cnnfast.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    MaxPooling2D,
    ReLU,
    Reshape,
    Softmax,
)
from cnnfast.models import Model, Sequential, to_fully_convolutional


def settled(model, rng):
    """The model with random weights of every kind, moving averages too."""
    model.set_weights([np.abs(rng.standard_normal(w.shape)) * 0.2 + 0.05 * (w.ndim == 1) for w in model.get_weights()])
    return model


def check_windows(model, rng, strides, larger=(3, 2)):
    """Compare with the model on every window of a larger image, in steps of `strides`."""
    settled(model, rng)
    sliding = to_fully_convolutional(model)
    height, width, channels = model.input_shape[1:]
    x = rng.standard_normal((2, height, width, channels)).astype(np.float32)
    units = model.output_shape[-1]
    np.testing.assert_allclose(
        np.reshape(sliding(x), (2, units)), np.reshape(model(x), (2, units)), rtol=2e-5, atol=2e-6
    )
    rows, columns = larger
    x = rng.standard_normal((2, height + (rows - 1) * strides, width + (columns - 1) * strides, channels))
    y = np.asarray(sliding(x.astype(np.float32)))
    assert y.shape == (2, rows, columns, units)
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * strides : i * strides + height, j * strides : j * strides + width]
            expected = np.reshape(model(window.astype(np.float32)), (2, units))
            np.testing.assert_allclose(y[:, i, j], expected, rtol=2e-5, atol=2e-6)


def sequential(shape, *stack):
    return Sequential([Input(shape), *stack])


def test_a_stack_with_two_dense_layers(rng):
    model = sequential(
        (12, 10, 2), Conv2D(5, 3, activation="relu"), MaxPooling2D(2), Flatten(), Dropout(0.5),
        Dense(7, activation="tanh"), BatchNormalization(), ReLU(), Dense(4, activation="softmax"),
    )  # fmt: skip
    check_windows(model, rng, 2)
    assert [type(layer).__name__ for layer in to_fully_convolutional(model).layers].count("Conv2D") == 3


def test_a_dense_layer_on_the_image_itself(rng):
    check_windows(sequential((5, 4, 3), Flatten(), Dense(6, use_bias=False), Softmax()), rng, 1)


def test_reshape_in_place_of_flatten(rng):
    check_windows(sequential((5, 4, 3), Conv2D(2, 2, strides=2), Reshape((2 * 2 * 2,)), Dense(3)), rng, 2, (2, 2))


@pytest.mark.parametrize("pooling", [GlobalAveragePooling2D, GlobalMaxPooling2D])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling(pooling, keepdims, rng):
    stack = [Conv2D(6, 3, strides=2), pooling(keepdims=keepdims)]
    head = [Dropout(0.1), Conv2D(5, 1), Reshape((5,)), Activation("softmax")] if keepdims else [Dense(5, "softmax")]
    check_windows(sequential((9, 11, 3), *stack, *head), rng, 2)


def test_pooling_to_a_few_windows(rng):
    stack = [Conv2D(4, 3), layers.AdaptiveAveragePooling2D(2), Flatten(), Dense(3)]
    check_windows(sequential((10, 10, 2), *stack), rng, 4, (2, 3))  # windows of 4x4 in steps of 4


def test_pooling_to_the_size_that_is_there(rng):
    check_windows(sequential((8, 8, 2), Conv2D(4, 3), layers.AdaptiveMaxPooling2D(6), Flatten(), Dense(3)), rng, 1)


@pytest.mark.parametrize(
    "layer",
    [
        BatchNormalization(),
        BatchNormalization(axis=1, scale=False),
        layers.LayerNormalization(),
        layers.PReLU(),
        Softmax(),
        Activation("softmax"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_treats_each_number_of_a_flattened_image_on_its_own(layer, rng, tmp_path):
    stack = [Conv2D(4, 2, strides=2), Flatten(), Dropout(0.2), layer, ReLU(), Dense(5), layers.PReLU(), Dense(3)]
    model = sequential((8, 6, 2), *stack)
    check_windows(model, rng, 2)
    sliding = to_fully_convolutional(model)
    assert [type(found) for found in sliding.layers].count(type(layer)) >= 1
    sliding.save(tmp_path / "net.safetensors")
    x = rng.standard_normal((1, 10, 9, 2)).astype(np.float32)
    np.testing.assert_array_equal(models.load_model(tmp_path / "net.safetensors")(x), sliding(x))


def test_slopes_of_vectors(rng):
    one = layers.PReLU(shared_axes=[1])
    check_windows(sequential((5, 4, 3), Flatten(), one, Dense(6), layers.PReLU(shared_axes=1), Dense(2)), rng, 1)
    stack = [Conv2D(3, 2), layers.PReLU(shared_axes=[1, 2]), GlobalAveragePooling2D(), layers.PReLU(), Dense(2)]
    check_windows(sequential((5, 4, 3), *stack), rng, 1)


def test_flattened_images_that_are_joined(rng):
    image = Input((6, 6, 2))
    flat = Flatten()(Conv2D(3, 3)(image))
    joined = Concatenate()([BatchNormalization()(flat), layers.PReLU()(flat), Dense(4)(flat)])
    check_windows(Model(image, Dense(2)(Concatenate()([joined, Dense(2)(flat)]))), rng, 1)
    check_windows(Model(image, Dense(2)(Concatenate()([flat, flat]))), rng, 1)


def test_a_graph_with_branches_before_and_in_the_head(rng):
    image = Input((9, 9, 2))
    a = Conv2D(4, 3, activation="relu")(image)
    x = Concatenate()([AveragePooling2D(3, 1)(a), Conv2D(3, 3)(a) * 2.0])
    x = Flatten()(Conv2D(4, 2)(x))
    hidden = Dense(6)(x)
    other = layers.LeakyReLU(0.1)(Dense(6)(x))
    y = Dense(3)(Concatenate(axis=1)([Add()([hidden, other]), hidden + other]))
    check_windows(Model(image, y), rng, 1)


def test_models_in_models(rng):
    base = sequential((8, 8, 3), Conv2D(4, 3, strides=2, activation="relu"), Conv2D(4, 2))
    head = sequential((2, 2, 4), Flatten(), Dense(5, activation="relu"))
    last = sequential((5,), Dense(2))
    image = Input((8, 8, 3))
    check_windows(Model(image, last(head(base(image)))), rng, 2)


def test_networks(rng):
    check_windows(applications.LeNet5(), rng, 4, (2, 2))
    check_windows(applications.LeNet5(subsampling="max", activation="relu"), rng, 4, (1, 2))


def test_weights_are_copies(rng):
    model = sequential((4, 4, 1), Flatten(), Dense(2, kernel_regularizer="l2", kernel_constraint="max_norm"))
    sliding = to_fully_convolutional(model)
    assert sliding.layers[-1].kernel_regularizer is not None
    before = sliding.get_weights()[0]
    model.layers[-1].kernel.assign(np.zeros((16, 2)))
    np.testing.assert_array_equal(sliding.get_weights()[0], before)
    assert np.any(before)


def test_it_learns_and_is_kept(rng, tmp_path):
    model = to_fully_convolutional(sequential((4, 4, 1), Flatten(), Dense(2)))
    x, y = rng.standard_normal((3, 6, 5, 1)), rng.standard_normal((3, 3, 2, 2))
    model.compile("sgd", "mse")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(models.load_model(tmp_path / "m.safetensors")(x), model(x))


def test_prepared_images(rng):
    image = Input((6, 6, 3))
    x = ops.concatenate([applications.vgg16.preprocess_input(image), ops.abs(image)], axis=-1)
    check_windows(Model(image, Dense(2)(Flatten()(Conv2D(3, 3)(x)))), rng, 1)


def _joined_along_the_height():
    image = Input((4, 4, 1))
    return Model(image, Dense(2)(Flatten()(ops.concatenate([image, image], axis=1))))


def _shared_input():
    image = Input((4, 4, 1))
    squeezed = GlobalAveragePooling2D(keepdims=True)(image)
    return Model(image, Dense(2)(Flatten()(image * squeezed)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sequential((4, 4, 1), Flatten()), "no head"),
        (lambda: sequential((4,), Dense(2)), "one input"),
        (lambda: sequential((4, 4, 1), layers.PReLU(), Flatten(), Dense(2)), "slope for every place"),
        (lambda: sequential((4, 4, 1), Flatten(), layers.GroupNormalization(2), Dense(2)), "a flattened image"),
        (lambda: sequential((4, 4, 2), layers.GroupNormalization(2), Flatten(), Dense(2)), "whole image"),
        (lambda: sequential((4, 4, 2), layers.Resizing(3, 3), Flatten(), Dense(2)), "whole image"),
        (lambda: sequential((4, 4, 2), layers.Permute((2, 1, 3)), Flatten(), Dense(2)), "whole image"),
        (lambda: sequential((4, 4, 2), BatchNormalization(axis=1), Flatten(), Dense(2)), "axis=1"),
        (
            lambda: sequential((2, 4, 4), Conv2D(3, 2, data_format="channels_first"), Flatten(), Dense(2)),
            "channels first",
        ),
        (lambda: sequential((4, 4, 2), layers.AdaptiveAveragePooling2D(3), Flatten(), Dense(2)), "no equal windows"),
        (lambda: sequential((4, 4, 2), Flatten(), Dense(6), Reshape((2, 3))), r"it makes \(2, 3\)"),
        (_shared_input, "it joins"),
        (_joined_along_the_height, "further than one place"),
    ],
)
def test_what_cannot_slide(make, message):
    with pytest.raises(ValueError, match=message):
        to_fully_convolutional(make())


def test_two_outputs_are_refused():
    image = Input((4, 4, 1))
    x = Flatten()(image)
    with pytest.raises(ValueError, match="one output"):
        to_fully_convolutional(Model(image, [Dense(2)(x), Dense(3)(x)]))


@pytest.mark.parametrize(
    ("name", "side", "arguments"),
    [
        ("AlexNet", 67, {"style": "paper"}), ("DenseNet121", 64, {}), ("GoogLeNet", 64, {}), ("InceptionV3", 75, {}),
        ("MobileNet", 64, {"alpha": 0.5}), ("MobileNetV2", 64, {}), ("ResNet18", 64, {}), ("ResNet50", 64, {}),
        ("SqueezeNet", 64, {}), ("VGG11", 32, {}), ("ZFNet", 53, {}),
    ],
)  # fmt: skip
def test_every_classifier_gives_the_same_scores_for_its_own_size(name, side, arguments, rng):
    model = getattr(applications, name)(input_shape=(side, side, 3), classes=5, **arguments)
    sliding = to_fully_convolutional(model)
    x = rng.standard_normal((1, side, side, 3)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    found = sliding.predict(x, verbose=0)
    assert found.shape == (1, 1, 1, 5)
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-4, atol=1e-6)
    assert sliding.compute_output_shape((None, 8 * side, 9 * side, 3))[-1] == 5
