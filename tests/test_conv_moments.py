"""Convolutions that find the moments of their results: the bits that a pass of its own finds."""

import numpy as np
import pytest

import cnnfast
from cnnfast import _core, layers
from cnnfast.models import Model, Sequential
from cnnfast.models.moments import MeasuredConvolution

#                 x shape             kernel           arguments
CASES = {
    "pointwise": ((3, 17, 19, 24), (1, 1, 24, 144), {}),
    "pointwise, many channels": ((2, 7, 7, 320), (1, 1, 320, 1280), {}),
    "few channels": ((4, 21, 23, 9), (1, 1, 9, 5), {}),
    "strided": ((2, 29, 31, 3), (3, 3, 3, 32), {"strides": 2, "padding": "same"}),
    "direct": ((2, 20, 33, 16), (3, 3, 16, 20), {"padding": "same", "algorithm": "direct"}),
    "im2col": ((2, 20, 33, 5), (3, 3, 5, 33), {"algorithm": "im2col"}),
    "depthwise": ((3, 33, 30, 40), (3, 3, 1, 40), {"padding": "same", "groups": 40}),
    "depthwise, strided": ((3, 33, 30, 7), (3, 3, 1, 14), {"strides": 2, "padding": "same", "groups": 7}),
    "groups": ((2, 18, 17, 64), (3, 3, 32, 64), {"padding": "same", "groups": 2, "algorithm": "direct"}),
    "winograd": ((3, 26, 30, 64), (3, 3, 64, 64), {"padding": "same", "algorithm": "winograd_f4x3"}),
    "winograd, staged": ((2, 7, 7, 512), (3, 3, 512, 512), {"padding": "same", "algorithm": "winograd_f2x3"}),
    "winograd, dilated": ((2, 17, 18, 16), (3, 3, 16, 48), {"dilation_rate": 2, "algorithm": "winograd_f4x3"}),
    "winograd, groups": ((2, 28, 28, 64), (3, 3, 16, 64), {"groups": 4, "algorithm": "winograd_f4x3"}),
    "winograd, a row": ((3, 70, 32), (3, 32, 32), {"algorithm": "winograd_f4x3"}),
    "winograd, volumes": ((2, 5, 9, 10, 16), (3, 3, 3, 16, 32), {"padding": "same", "algorithm": "winograd_f2x3"}),
    "few rows": ((2, 1, 1, 300), (1, 1, 300, 200), {}),
    "more channels than weights are near": ((9, 1, 1, 131080), (1, 1, 131080, 3), {}),
    "to few channels": ((2, 30, 31, 8), (5, 5, 8, 2), {"padding": "same"}),
    "a whole image": ((40, 5, 5, 6), (5, 5, 6, 20), {}),
    "1x1 image": ((1, 1, 1, 4), (1, 1, 4, 4), {}),
}


def described(name):
    x_shape, kernel_shape, arguments = CASES[name]
    given = {"strides": 1, "padding": "valid", "dilation_rate": 1, **arguments}
    return _core.ConvShape("conv", len(x_shape) - 2, x_shape, kernel_shape, **given)


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
@pytest.mark.parametrize("name", CASES)
def test_same_bits_as_a_pass_of_its_own(name, activation, isa, rng, same_bits_for_all_threads):
    shape = described(name)
    x = rng.standard_normal(shape.x_shape).astype(np.float32)
    w = (0.1 * rng.standard_normal(shape.kernel_shape)).astype(np.float32)
    b = (3 * rng.standard_normal(shape.kernel_shape[-1])).astype(np.float32)
    y, mean, variance = same_bits_for_all_threads(lambda: _core.conv_forward_moments(shape, x, w, b, activation, 0.0))
    np.testing.assert_array_equal(y, _core.conv_forward(shape, x, w, b, activation, 0.0))
    for found, expected in zip((mean, variance), _core.batch_moments(y), strict=True):
        np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
    exact = y.astype(np.float64).reshape(-1, y.shape[-1])
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(variance, exact.var(0), rtol=1e-4, atol=1e-6)


def test_a_large_mean_loses_no_digits(isa, rng):
    shape = described("pointwise")
    x = rng.standard_normal(shape.x_shape).astype(np.float32)
    w = np.full(shape.kernel_shape, 1e-3, np.float32)
    y, mean, variance = _core.conv_forward_moments(shape, x, w, np.full(144, 1000.0, np.float32))
    exact = y.astype(np.float64).reshape(-1, 144)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var(0), rtol=1e-2)


def test_not_a_number_stays_in_its_channels(isa, rng):
    shape = described("depthwise")
    x = rng.standard_normal(shape.x_shape).astype(np.float32)
    x[1, 5, 6, 3], x[0, 2, 2, 8] = np.nan, np.inf
    w = rng.standard_normal(shape.kernel_shape).astype(np.float32)
    _, mean, variance = _core.conv_forward_moments(shape, x, w, None)
    assert np.flatnonzero(~np.isfinite(mean)).tolist() == [3, 8]
    assert np.flatnonzero(~np.isfinite(variance)).tolist() == [3, 8]


def test_no_images():
    shape = _core.ConvShape("conv", 2, (0, 4, 4, 3), (1, 1, 3, 2), 1, "valid", 1)
    with pytest.raises(ValueError, match="no images"):
        _core.conv_forward_moments(shape, np.zeros((0, 4, 4, 3), np.float32), np.zeros((1, 1, 3, 2), np.float32))


def network():
    return Sequential(
        [
            layers.Input((14, 12, 3)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(8, 3, strides=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Conv2D(6, 1, activation="relu"),
            layers.BatchNormalization(axis=3),
            layers.Conv2D(6, 1, activation="elu"),  # which the engine does not apply
            layers.BatchNormalization(),
            layers.Conv2D(4, 1),
            layers.ReLU(),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
        ]
    )


def measured(model):
    return [isinstance(step.compute, MeasuredConvolution) for step in model._known_graph().recorded_steps()]


def step_of(model, x):
    """The loss's gradients and what they leave in the moving statistics."""
    with cnnfast.GradientTape() as tape:
        y = model(x, training=True)
        loss = cnnfast.ops.sum(y * y)
    found = tape.gradient(loss, model.trainable_weights)
    return [np.asarray(y), *map(np.asarray, found), *(w.numpy().copy() for w in model.non_trainable_weights)]


def test_models_measure_what_is_normalized(rng, monkeypatch):
    model = network()
    x = rng.standard_normal((5, 14, 12, 3)).astype(np.float32)
    assert sum(measured(model)) == 5
    state = model.get_weights()
    found = step_of(model, x)
    calls = []
    monkeypatch.setattr("cnnfast.models.graph.with_moments", lambda steps: calls.append(1) or steps)
    other = Sequential.from_config(model.get_config())
    other.set_weights(state)
    assert sum(measured(other)) == 0
    assert calls
    for one, expected in zip(found, step_of(other, x), strict=True):
        np.testing.assert_array_equal(one, expected)


def count_measured(monkeypatch):
    counted = []
    inner = _core.conv_forward_moments

    def counting(*args):
        counted.append(args[0].y_shape)
        return inner(*args)

    monkeypatch.setattr(_core, "conv_forward_moments", counting)
    return counted


def test_only_where_statistics_of_the_batch_are_used(rng, monkeypatch):
    model = network()
    x = rng.standard_normal((2, 14, 12, 3)).astype(np.float32)
    counted = count_measured(monkeypatch)
    with cnnfast.GradientTape():
        model(x, training=True)
    assert len(counted) == 4  # not the one with an activation behind it
    for training, trainable in ((False, True), (True, False)):
        counted.clear()
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = trainable
        with cnnfast.GradientTape():
            model(x, training=training)
        assert not counted


def test_no_images_in_a_model():
    model = network()
    with cnnfast.GradientTape():
        y = model(np.zeros((0, 14, 12, 3), np.float32), training=True)
    assert y.shape == (0, 4)


def test_a_result_that_others_read_too(rng):
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(4, 3)(x)
    model = Model(x, [layers.BatchNormalization()(y) + y, y])
    assert any(measured(model))
    data = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    with cnnfast.GradientTape():
        total, y = model(data, training=True)
    y = y.numpy().astype(np.float64)
    expected = (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-3) + y
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-4)


def test_errors_name_the_layer(rng):
    model = Sequential([layers.Input((None, None, 3)), layers.Conv2D(4, 3, name="own"), layers.BatchNormalization()])
    with cnnfast.GradientTape(), pytest.raises(ValueError, match="own"):
        model(np.zeros((1, 2, 2, 3), np.float32), training=True)
