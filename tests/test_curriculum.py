"""The facts that courses on convolutional networks teach, as the notes state them."""

import numpy as np
import pytest

from cnnfast import layers, models, ops
from cnnfast.layers import (
    AveragePooling2D,
    Conv1D,
    Conv2D,
    Conv3D,
    Dense,
    Flatten,
    Input,
    MaxPooling2D,
    ReLU,
)


def output_shape(layer, *input_shape):
    """The shape that a layer gives, announced and computed alike."""
    announced = layer.compute_output_shape((None, *input_shape))[1:]
    assert layer(np.zeros((1, *input_shape), np.float32)).shape[1:] == announced
    return announced


# Output sizes: floor((N + 2P - F) / S) + 1


@pytest.mark.parametrize(
    ("layer", "input_shape", "expected"),
    [
        (Conv2D(2, 3), (6, 6, 3), (4, 4, 2)),
        (Conv2D(2, 3, padding=1), (6, 6, 3), (6, 6, 2)),
        (Conv2D(2, 3, padding="same"), (6, 6, 3), (6, 6, 2)),
        (Conv2D(5, 2), (4, 4, 3), (3, 3, 5)),
        (Conv2D(1, 5), (32, 32, 3), (28, 28, 1)),
        (Conv2D(7, 3), (100, 100, 4), (98, 98, 7)),
        (Conv2D(1, 3), (7, 7, 1), (5, 5, 1)),
        (Conv2D(1, 3, strides=2), (7, 7, 1), (3, 3, 1)),
        (Conv2D(1, 2, strides=2), (5, 5, 1), (2, 2, 1)),
        (Conv2D(1, 2, strides=2, padding=((0, 1), (0, 1))), (5, 5, 1), (3, 3, 1)),
        (MaxPooling2D(3, strides=1), (5, 5, 2), (3, 3, 2)),
        (AveragePooling2D(3, strides=1), (5, 5, 2), (3, 3, 2)),
        (MaxPooling2D(2, strides=2), (28, 28, 6), (14, 14, 6)),
    ],
)
def test_output_sizes(layer, input_shape, expected):
    assert output_shape(layer, *input_shape) == expected


@pytest.mark.parametrize("i", [0, 1, 2, 3])
def test_a_kernel_of_width_2i_plus_1_keeps_the_size_with_padding_i(i):
    assert output_shape(Conv2D(1, 2 * i + 1, padding=i), 9, 11, 1) == (9, 11, 1)


def test_the_formula_for_many_sizes():
    for n in range(1, 12):
        for f in range(1, 5):
            for s in range(1, 4):
                for p in range(3):
                    if n + 2 * p >= f:
                        shape = Conv1D(1, f, strides=s, padding=p).compute_output_shape((None, n, 1))
                        assert shape == (None, (n + 2 * p - f) // s + 1, 1)


def test_the_39x39x3_net():
    model = models.Sequential([Input((39, 39, 3)), Conv2D(10, 3), Conv2D(20, 5, strides=2), Conv2D(40, 5, strides=2)])
    assert [out[1:] for _, _, out in model.layer_shapes()] == [(37, 37, 10), (17, 17, 20), (7, 7, 40)]
    model.add(Flatten())
    assert model.output_shape == (None, 1960)
    model.add(Dense(1, activation="sigmoid"))
    assert model(np.zeros((2, 39, 39, 3))).shape == (2, 1)


def test_the_32x32x3_net():
    model = models.Sequential(
        [Input((32, 32, 3)), Conv2D(12, 3, padding="same"), ReLU(), MaxPooling2D(), Flatten(), Dense(10)]
    )
    shapes = [out[1:] for _, _, out in model.layer_shapes()]
    assert shapes == [(32, 32, 12), (32, 32, 12), (16, 16, 12), (3072,), (10,)]
    assert model(np.zeros((2, 32, 32, 3))).shape == (2, 10)


# Parameters


def built(layer, *input_shape):
    layer.build((None, *input_shape))
    layer.built = True
    return layer


def test_a_convolution_has_few_parameters_and_a_dense_layer_many():
    conv = built(Conv2D(16, 5), 32, 32, 3)
    assert conv.count_params() == 5 * 5 * 3 * 16 + 16 == 1216
    dense = built(Dense(500), 32 * 32 * 3)
    assert dense.kernel.size == 32 * 32 * 3 * 500 == 1_536_000


def test_weights_of_a_filter():
    model = models.Sequential([Input((28, 28, 1)), Conv2D(25, 3), MaxPooling2D(), Conv2D(50, 3)])
    first, _, second = model.layers
    assert first.kernel[..., 0].size == 9
    assert second.kernel[..., 0].size == 225


def test_a_dense_layer_on_a_large_image():
    layer = built(Dense(100, kernel_initializer="zeros"), 1000 * 1000)
    assert layer.count_params() == (1000 * 1000 + 1) * 100


# Multiplications


def test_a_bottleneck_saves_multiplications():
    direct = Conv2D(32, 5, padding="same").multiply_adds((None, 28, 28, 192))
    assert direct == 28 * 28 * 32 * 5 * 5 * 192
    assert round(direct / 1e6) == 120

    bottleneck = models.Sequential([Input((28, 28, 192)), Conv2D(16, 1), Conv2D(32, 5, padding="same")])
    small, large = (layer.multiply_adds(shape) for layer, shape, _ in bottleneck.layer_shapes())
    assert small == 28 * 28 * 192 * 16
    assert round(small / 1e6, 1) == 2.4
    assert large == 28 * 28 * 32 * 5 * 5 * 16
    assert round(large / 1e6) == 10
    assert bottleneck.output_shape == (None, 28, 28, 32)
    total = bottleneck.multiply_adds((None, 28, 28, 192))
    assert total == small + large
    assert round(total / 1e6, 1) == 12.4
    texts = []
    bottleneck.summary(print_fn=texts.append)
    assert f"{small:,}" in texts[0]
    assert f"{large:,}" in texts[0]
    assert texts[0].endswith(f"Multiply-adds per example: {total:,}")


# Convolutions


def test_convolution_is_cross_correlation_with_the_kernel_flipped(rng):
    x = rng.standard_normal((2, 7, 8, 3)).astype(np.float32)
    kernel = rng.standard_normal((3, 2, 3, 4)).astype(np.float32)
    layer = Conv2D(4, (3, 2), use_bias=False)
    layer(x)
    layer.set_weights([kernel])
    # Layers cross-correlate: position (0, 0) is the sum of window times kernel as they lie.
    np.testing.assert_allclose(layer(x)[0, 0, 0], np.einsum("uvc,uvck->k", x[0, :3, :2], kernel), rtol=1e-4)
    # A true convolution flips up-down and left-right first, and that is all the difference.
    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    np.testing.assert_allclose(ops.conv2d(x, flipped, flip_kernel=True), layer(x), rtol=1e-4, atol=1e-5)
    assert not np.allclose(ops.conv2d(x, kernel, flip_kernel=True), layer(x), atol=0.1)


def test_kernels_of_one_two_and_three_dimensions():
    assert output_shape(Conv1D(4, 3), 16, 2) == (14, 4)
    assert output_shape(Conv2D(4, 3), 16, 16, 2) == (14, 14, 4)
    assert output_shape(Conv3D(4, 3), 8, 16, 16, 2) == (6, 14, 14, 4)


def test_a_dense_layer_is_a_convolution_as_large_as_its_input(rng):
    x = rng.standard_normal((3, 5, 6, 4)).astype(np.float32)
    dense = models.Sequential([Input((5, 6, 4)), Flatten(), Dense(7)])
    conv = Conv2D(7, (5, 6))
    conv(x)
    kernel, bias = dense.get_weights()
    conv.set_weights([kernel.reshape(5, 6, 4, 7), bias])
    np.testing.assert_allclose(conv(x).reshape(3, 7), dense(x), rtol=1e-4, atol=1e-5)
    # On a larger image it slides.
    assert conv(rng.standard_normal((1, 8, 8, 4))).shape == (1, 4, 3, 7)


def test_softmax_sums_to_one(rng):
    scores = 30 * rng.standard_normal((50, 10))
    p = np.asarray(layers.Softmax()(scores))
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(("N", "M", "K", "pooled"), [(1, 1, 0, True), (2, 2, 1, True), (3, 2, 2, False)])
def test_the_usual_pattern(N, M, K, pooled):
    """[[CONV -> RELU] * N -> POOL?] * M -> [FC -> RELU] * K -> FC."""
    model = models.Sequential([Input((16, 16, 3))])
    for block in range(M):
        for _ in range(N):
            model.add(Conv2D(4 * (block + 1), 3, padding="same"))
            model.add(ReLU())
        if pooled:
            model.add(MaxPooling2D())
    model.add(Flatten())
    for _ in range(K):
        model.add(Dense(8, activation="relu"))
    model.add(Dense(5))
    side = 16 // 2 ** (M if pooled else 0)
    assert model(np.zeros((2, 16, 16, 3))).shape == (2, 5)
    flat = next(out for layer, _, out in model.layer_shapes() if isinstance(layer, Flatten))
    assert flat == (None, side * side * 4 * M)
