"""One test that every layer passes, and what is particular to some."""

import numpy as np
import pytest

from cnnfast import gradcheck, layers, losses, models, ops, optimizers
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.models.saving import layer_from_config

# (layer's class, arguments, input shape, output shape, weights): one row per layer and way of use.
ROWS = [
    ("InputLayer", {"shape": (4, 3)}, (2, 4, 3), (2, 4, 3), 0),
    ("Dense", {"units": 5}, (3, 7), (3, 5), 40),
    ("Dense", {"units": 4, "activation": "softmax", "use_bias": False}, (2, 3, 5), (2, 3, 4), 20),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "activation": "tanh"}, (2, 9, 3), (2, 7, 4), 40),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (2, 9, 3), (2, 9, 2), 20),
    ("Conv2D", {"filters": 5, "kernel_size": 3, "padding": "same"}, (2, 6, 7, 3), (2, 6, 7, 5), 140),
    ("Conv2D", {"filters": 4, "kernel_size": (3, 2), "strides": (2, 1), "groups": 2, "activation": "sigmoid"},
     (2, 7, 6, 4), (2, 3, 5, 4), 52),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "padding": ((1, 0), (0, 2)), "activation": "elu", "use_bias": False},
     (2, 4, 5, 2), (2, 4, 6, 3), 24),
    ("Conv3D", {"filters": 3, "kernel_size": 2, "dilation_rate": 2}, (2, 4, 5, 4, 2), (2, 2, 3, 2, 3), 51),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, (2, 8, 3), (2, 6, 6), 24),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"},
     (2, 5, 6, 4), (2, 3, 3, 4), 40),
    ("DepthwiseConv2D", {"kernel_size": 2, "data_format": "channels_first"}, (2, 3, 5, 6), (2, 3, 4, 5), 15),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3, "strides": 2}, (2, 9, 3), (2, 4, 5), 29),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "activation": "tanh"},
     (2, 6, 5, 3), (2, 4, 3, 4), 82),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, (2, 4, 3), (2, 9, 4), 40),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 4, "strides": 2, "padding": "same", "activation": "tanh"},
     (2, 3, 4, 3), (2, 6, 8, 4), 196),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": (1, 0), "use_bias": False,
                         "data_format": "channels_first"}, (2, 3, 3, 4), (2, 4, 8, 9), 108),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}, (2, 3, 2, 3, 2), (2, 5, 4, 5, 2), 34),
    ("MaxPooling1D", {}, (2, 8, 3), (2, 4, 3), 0),
    ("MaxPooling2D", {"pool_size": (3, 2), "strides": 1}, (2, 6, 5, 3), (2, 4, 4, 3), 0),
    ("MaxPooling3D", {"padding": "same"}, (1, 3, 5, 4, 2), (1, 2, 3, 2, 2), 0),
    ("AveragePooling1D", {"pool_size": 3, "padding": "same"}, (2, 8, 3), (2, 3, 3), 0),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2}, (2, 7, 6, 3), (2, 3, 2, 3), 0),
    ("AveragePooling3D", {}, (1, 4, 5, 4, 2), (1, 2, 2, 2, 2), 0),
    ("GlobalMaxPooling1D", {}, (2, 5, 3), (2, 3), 0),
    ("GlobalMaxPooling2D", {"keepdims": True}, (2, 4, 5, 3), (2, 1, 1, 3), 0),
    ("GlobalMaxPooling3D", {}, (2, 3, 4, 3, 2), (2, 2), 0),
    ("GlobalAveragePooling1D", {"keepdims": True}, (2, 5, 3), (2, 1, 3), 0),
    ("GlobalAveragePooling2D", {}, (2, 4, 5, 3), (2, 3), 0),
    ("GlobalAveragePooling3D", {}, (2, 3, 4, 3, 2), (2, 2), 0),
    ("GlobalMaxPooling2D", {"data_format": "channels_first"}, (2, 3, 4, 5), (2, 3), 0),
    ("Flatten", {"data_format": "channels_first"}, (2, 3, 4, 5), (2, 60), 0),
    ("Flatten", {}, (2, 3, 4, 5), (2, 60), 0),
    ("Reshape", {"target_shape": (5, -1)}, (2, 4, 5), (2, 5, 4), 0),
    ("Dropout", {"rate": 0.5}, (2, 7), (2, 7), 0),
    ("Activation", {"activation": "gelu"}, (2, 7), (2, 7), 0),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.1}, (3, 7), (3, 7), 0),
    ("LeakyReLU", {}, (3, 7), (3, 7), 0),
    ("Softmax", {"axis": 1}, (2, 3, 4), (2, 3, 4), 0),
    ("BatchNormalization", {"momentum": 0.9}, (6, 3, 4), (6, 3, 4), 16),
    ("Rescaling", {"scale": 0.5, "offset": [1.0, 2.0, 3.0, 4.0]}, (6, 3, 4), (6, 3, 4), 0),
    ("Normalization", {}, (6, 3, 4), (6, 3, 4), 9),
    ("Resizing", {"height": 3, "width": 7}, (2, 5, 6, 3), (2, 3, 7, 3), 0),
    ("CenterCrop", {"height": 3, "width": 4}, (2, 5, 6, 3), (2, 3, 4, 3), 0),
]  # fmt: skip


def make(row):
    name, arguments, input_shape, *_ = row
    layer = getattr(layers, name)(**arguments)
    return layer, np.random.default_rng(7).standard_normal(input_shape).astype(np.float32)


def test_every_layer_has_a_row():
    # Those that draw numbers when nobody says they are not to have tests of their own, in test_preprocessing.py.
    assert {row[0] for row in ROWS} == {name for name in layers.BUILT_IN if not name.startswith("Random")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[3]}")
def test_layer(row, tmp_path):
    _, _, input_shape, output_shape, parameters = row
    layer, x = make(row)

    # Shapes: as computed, as announced, with and without a fixed batch, for an empty batch.
    open_shape = (None, *input_shape[1:])
    assert layer.compute_output_shape(open_shape) == (None, *output_shape[1:])
    assert layer.compute_output_shape(input_shape) == output_shape
    y = layer(x)
    assert y.shape == output_shape
    assert np.asarray(y).dtype == np.float32
    assert layer(x[:0]).shape == (0, *output_shape[1:])
    np.testing.assert_array_equal(layer(x.astype(np.float64)), y)

    # Weights.
    assert layer.count_params() == parameters
    assert len(layer.weights) == len(layer.trainable_weights) + len(layer.non_trainable_weights)
    layer.trainable = False
    assert layer.trainable_weights == []
    layer.trainable = True

    # Gradients.
    assert gradcheck(lambda x, *weights: layer(x), [Tensor(x), *layer.trainable_weights])

    # The configuration makes the same layer again, and survives JSON.
    config = layer.get_config()
    again = layer_from_config({"class_name": type(layer).__name__, "config": config})
    assert again.get_config() == config
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), y)

    # A step of training lowers the loss of a model with it, and a file keeps the model.
    start = [] if isinstance(layer, layers.InputLayer) else [layers.Input(input_shape[1:])]
    model = models.Sequential([*start, layer, layers.Flatten(), layers.Dense(2)])
    model.compile(optimizers.SGD(0.01), losses.MeanSquaredError())
    target = np.ones((len(x), 2), np.float32)
    before = model.evaluate(x, target, verbose=0)
    for _ in range(5):
        model.train_on_batch(x, target)
    assert model.evaluate(x, target, verbose=0) < before
    model.save(tmp_path / "model.safetensors")
    loaded = models.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert [w.name for w in loaded.weights] == [w.name for w in model.weights]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[3]}")
def test_unsupported_arguments_raise_with_the_reason(row):
    name, arguments, *_ = row
    cls = getattr(layers, name)
    with pytest.raises(ValueError, match=rf"{name}: sparse=True cannot be honoured: "):
        cls(**arguments, sparse=True)
    with pytest.raises(TypeError, match=f"{name}: unexpected keyword argument 'colour'"):
        cls(**arguments, colour="red")
    with pytest.raises(ValueError, match=f"{name}: dtype='float16' cannot be honoured"):
        cls(**arguments, dtype="float16")
    cls(**arguments, dtype="float32")


@pytest.mark.parametrize("name", [n for n in layers.BUILT_IN if "Conv" in n or "Pooling" in n or n == "Flatten"])
def test_other_data_formats_raise(name):
    arguments = next(row[1] for row in ROWS if row[0] == name)
    with pytest.raises(ValueError, match=f"{name}: data_format expects 'channels_last' or .*, got 'NCHW'"):
        getattr(layers, name)(**{**arguments, "data_format": "NCHW"})


def test_aliases():
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.AvgPool1D is layers.AveragePooling1D
    assert layers.GlobalAvgPool3D is layers.GlobalAveragePooling3D
    assert layers.GlobalMaxPool2D is layers.GlobalMaxPooling2D
    assert all(hasattr(layers, name) for name in layers.__all__)


@pytest.mark.parametrize(
    ("layer", "input_shape", "expected"),
    [
        (layers.Dense(3), (None, 4), [("kernel", (4, 3)), ("bias", (3,))]),
        (layers.Conv1D(3, 5), (None, 9, 2), [("kernel", (5, 2, 3)), ("bias", (3,))]),
        (layers.Conv2D(6, (3, 5), groups=2), (None, 9, 9, 4), [("kernel", (3, 5, 2, 6)), ("bias", (6,))]),
        (layers.Conv3D(3, 2, use_bias=False), (None, 4, 4, 4, 2), [("kernel", (2, 2, 2, 2, 3))]),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 9, 9, 4), [("kernel", (3, 3, 4, 2)), ("bias", (8,))]),
        (
            layers.SeparableConv2D(5, 3, depth_multiplier=2),
            (None, 9, 9, 4),
            [("depthwise_kernel", (3, 3, 4, 2)), ("pointwise_kernel", (1, 1, 8, 5)), ("bias", (5,))],
        ),
        (layers.Conv2DTranspose(6, (3, 5)), (None, 9, 9, 4), [("kernel", (3, 5, 6, 4)), ("bias", (6,))]),
        (
            layers.BatchNormalization(),
            (None, 9, 4),
            [("gamma", (4,)), ("beta", (4,)), ("moving_mean", (4,)), ("moving_variance", (4,))],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weights_are_those_of_keras(layer, input_shape, expected):
    layer.build(input_shape)
    assert [(w.name, w.shape) for w in layer.weights] == expected


def test_names_count_up_and_given_names_are_not_made_up_again():
    a, b = layers.GlobalAveragePooling2D(), layers.GlobalAveragePooling2D()
    assert a.name.startswith("global_average_pooling2d")
    assert a.name != b.name
    number = int(b.name.rsplit("_", 1)[1])
    layers.GlobalAveragePooling2D(name=f"global_average_pooling2d_{number + 5}")
    assert layers.GlobalAveragePooling2D().name == f"global_average_pooling2d_{number + 6}"


@pytest.mark.parametrize(
    ("make_layer", "message"),
    [
        (lambda: layers.Dense(0), "Dense: units expects a positive integer, got 0"),
        (lambda: layers.Dense(2.5), "Dense: units expects an integer, got 2.5"),
        (lambda: layers.Dense(3, activation="rely"), "activation 'rely' is not known; there are .*relu"),
        (lambda: layers.Dense(3, kernel_initializer="zeroes"), "initializer 'zeroes' is not known"),
        (lambda: layers.Dense(), r"Dense: missing a required argument: 'units'"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), r"Conv2D: kernel_size expects an integer or 2 of them"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "Conv2D: padding expects valid, same, an int"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), "Conv2D: padding expects valid, same, an int"),
        (lambda: layers.Conv2D(4, 3, groups=3), "Conv2D: filters expects a multiple of groups=3, got 4"),
        (lambda: layers.SeparableConv2D(0, 3), "SeparableConv2D: filters expects a positive integer, got 0"),
        (lambda: layers.Conv2DTranspose(4, 3, output_padding=1), r"Conv2DTranspose: output_padding expects .*\(1, 1\)"),
        (lambda: layers.Conv1DTranspose(4, 3, padding="causal"), "Conv1DTranspose: padding expects valid, same"),
        (lambda: layers.MaxPooling2D(padding=1), "MaxPooling2D: padding expects valid or same, got 1"),
        (lambda: layers.Dropout(1.0), "Dropout: rate expects a number below 1"),
        (lambda: layers.Dropout(-0.1), "Dropout: rate expects a number from 0.0 to 1.0, got -0.1"),
        (lambda: layers.Reshape((-1, -1)), "Reshape: target_shape expects positive sizes"),
        (lambda: layers.ReLU(negative_slope=-1), "ReLU: negative_slope expects a number from 0.0"),
        (lambda: layers.Input(), "InputLayer: shape expects the shape of one example"),
        (lambda: layers.Dense(3, name=7), "Dense: name expects a string, got 7"),
    ],
)
def test_wrong_arguments_raise(make_layer, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_layer()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.Conv2D(4, 3, name="first"), (8, 28, 28), r"Conv2D 'first': .*\(N, H, W, C\).*x\[\.\.\., None\]"),
        (layers.Conv2D(4, 9, name="big"), (1, 4, 4, 1), "Conv2D 'big': "),
        (layers.MaxPooling2D(name="pool"), (8, 28), r"MaxPooling2D 'pool': .*\(N, H, W, C\), got \(N, 28\)"),
        (layers.MaxPooling1D(data_format="channels_first", name="p1"), (8, 28), r"'p1': .*\(N, C, W\), got \(N, 28\)"),
        (layers.Reshape((4, 4), name="square"), (2, 15), r"Reshape 'square': .*15 values .* do not fit"),
        (layers.Dense(3, name="dense"), (4,), r"Dense 'dense': .*\(N, \.\.\., in\)"),
        (layers.BatchNormalization(axis=1, name="norm"), (2, 3, 4), "BatchNormalization 'norm': .*axis=1 cannot"),
    ],
)
def test_errors_name_the_layer(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, np.float32))


def test_a_built_layer_refuses_other_channels_by_name():
    layer = layers.Conv2D(4, 3, name="second")
    layer(np.zeros((1, 5, 5, 3), np.float32))
    with pytest.raises(ValueError, match=r"Conv2D 'second': conv2d: .*3"):
        layer(np.zeros((1, 5, 5, 4), np.float32))


def test_sizes_may_be_open():
    assert layers.Conv2D(8, 3, strides=2).compute_output_shape((None, None, 9, 3)) == (None, None, 4, 8)
    assert layers.MaxPooling2D().compute_output_shape((None, None, None, 3)) == (None, None, None, 3)
    assert layers.Flatten().compute_output_shape((None, None, 3)) == (None, None)
    assert layers.Reshape((-1, 3)).compute_output_shape((None, None, 3)) == (None, None, 3)


def test_activations_of_a_layer_are_the_functions():
    x = np.linspace(-3, 3, 14, dtype=np.float32).reshape(2, 7)
    for name in ("relu", "leaky_relu", "sigmoid", "tanh", "selu", "softmax", "relu6", "hard_sigmoid", "softsign"):
        layer = layers.Dense(7, activation=name, kernel_initializer="orthogonal")
        plain = ops.dense(x, layer(x) is not None and layer.kernel)
        np.testing.assert_allclose(layer(x), layers.Activation(name)(plain), atol=1e-6)


def test_relu_in_its_general_form():
    x = np.array([[-2.0, 0.5, 1.0, 2.0, 7.0]], np.float32)
    y = layers.ReLU(max_value=6.0, negative_slope=0.1, threshold=1.0)(x)
    np.testing.assert_allclose(y, [[-0.3, -0.05, 1.0, 2.0, 6.0]], atol=1e-6)


def test_dropout_drops_in_training_only():
    x = np.ones((50, 100), np.float32)
    layer = layers.Dropout(0.25, seed=3)
    np.testing.assert_array_equal(layer(x), x)
    y = np.asarray(layer(x, training=True))
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    assert abs((y == 0).mean() - 0.25) < 0.03
    assert not np.array_equal(layer(x, training=True), y)  # another mask
    np.testing.assert_array_equal(layers.Dropout(0.25, seed=3)(x, training=True), y)  # the same sequence


def test_dropout_of_whole_channels():
    y = np.asarray(layers.Dropout(0.5, noise_shape=(None, 1, 1, None), seed=1)(np.ones((4, 3, 3, 8)), training=True))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert set(np.unique(y)) == {0.0, 2.0}


def test_batch_normalization_in_training_and_out(rng):
    x = (3 * rng.standard_normal((64, 5)) + 2).astype(np.float32)
    layer = layers.BatchNormalization(momentum=0.9)
    y = np.asarray(layer(x, training=True))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * x.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * x.var(axis=0), rtol=1e-4)
    expected = (x - layer.moving_mean.numpy()) / np.sqrt(layer.moving_variance.numpy() + 1e-3)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_a_frozen_batch_normalization_keeps_its_averages(rng):
    layer = layers.BatchNormalization()
    x = rng.standard_normal((8, 3)).astype(np.float32)
    layer(x)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_set_weights_checks_before_it_changes_anything():
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match="set_weights expects 0 arrays, got 1; it is not built yet"):
        layer.set_weights([np.zeros((3, 2))])
    layer.build((None, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"weights\[1\] \(bias\) of shape \(2,\), got \(3,\)"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Block(layers.Layer):
    """Two layers and a weight of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.parts = [layers.Dense(units, activation="relu"), layers.Dense(units)]

    def build(self, input_shape):
        self.gain = self.add_weight((), "ones", name="gain")
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x * self.gain

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.parts[-1].units)


def test_layers_made_of_layers(rng):
    block = Block(4)
    x = rng.standard_normal((5, 3)).astype(np.float32)
    block(x)
    assert [w.name for w in block.weights] == ["gain", "steps", "kernel", "bias", "kernel", "bias"]
    assert len(block.trainable_weights) == 5
    with GradientTape() as tape:
        loss = ops.sum(block(x))
    assert all(g is not None for g in tape.gradient(loss, block.trainable_weights))
    block.trainable = False
    assert block.parts[0].trainable_weights == []
    assert block.count_params() == 1 + 1 + 16 + 20
    assert Block.from_config(block.get_config()).get_config() == block.get_config()


def test_a_function_without_a_name_cannot_be_saved():
    layer = layers.Activation(lambda x: x * 2.0)
    np.testing.assert_array_equal(layer([[1.0]]), [[2.0]])
    with pytest.raises(TypeError, match=r"Activation: activation cannot be saved: .* is not known by a name"):
        layer.get_config()


def test_weights_follow_the_parts_as_they_change():
    block = Block(3)
    x = np.ones((1, 3))
    block(x)
    assert len(block.weights) == 6
    block.parts.append(layers.Dense(2))
    block(x)
    assert len(block.weights) == 8
    block.more = (layers.Dense(1), "no layer")
    block.more[0](x)
    assert len(block.weights) == 10
    block.again = block.more[0]
    assert len(block.weights) == 10
    assert len(block.trainable_weights) == 9
    del block.more, block.again
    assert len(block.weights) == 8
    block.parts = []
    assert list(block.sublayers()) == []
    assert len(block.weights) == 2
