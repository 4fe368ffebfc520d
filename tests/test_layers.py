"""One test that every layer passes, and what is particular to some."""

import numpy as np
import pytest

from cnnfast import gradcheck, layers, losses, models, ops, optimizers, utils
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.models.saving import layer_from_config
from layer_rows import ROWS, SEVERAL


def make(row):
    name, arguments, input_shape, *_ = row
    layer = getattr(layers, name)(**arguments)
    return layer, np.random.default_rng(7).standard_normal(input_shape).astype(np.float32)


def test_every_layer_has_a_row():
    # Those that draw numbers when nobody says they are not to have tests of their own, in test_preprocessing.py.
    expected = {name for name in layers.BUILT_IN if not name.startswith("Random")}
    assert {row[0] for row in ROWS + SEVERAL} == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[3]}")
def test_layer(row, tmp_path):
    _, _, input_shape, output_shape, parameters = row
    utils.set_random_seed(1)  # a few steps lower the loss from most starting points, not from all
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


@pytest.mark.parametrize("row", SEVERAL, ids=lambda row: f"{row[0]}-{row[3]}")
def test_layer_of_several_inputs(row, tmp_path, rng):
    name, arguments, input_shapes, output_shape = row
    layer = getattr(layers, name)(**arguments)
    inputs = [rng.standard_normal(shape).astype(np.float32) for shape in input_shapes]
    open_shapes = [(None, *shape[1:]) for shape in input_shapes]
    assert layer.compute_output_shape(open_shapes) == (None, *output_shape[1:])
    assert layer.compute_output_shape(input_shapes) == output_shape
    y = layer(inputs)
    assert y.shape == output_shape
    assert layer([x[:0] for x in inputs]).shape == (0, *output_shape[1:])
    np.testing.assert_array_equal(getattr(layers, name.lower())(inputs, **arguments), y)
    np.testing.assert_array_equal(layer(tuple(x.astype(np.float64) for x in inputs)), y)
    assert gradcheck(lambda *inputs: layer(list(inputs)), [Tensor(x) for x in inputs])

    # As part of a functional model: the configuration, a step of training, a file.
    given = [layers.Input(shape[1:]) for shape in input_shapes]
    model = models.Model(given, layers.Dense(2)(layers.Flatten()(layer(given))))
    optimizer, errors = optimizers.SGD(0.01), []
    for _ in range(5):
        with GradientTape() as tape:
            error = ops.mean(ops.square(model(inputs) - 1.0))
        errors.append(float(error))
        optimizer.apply_gradients(
            zip(tape.gradient(error, model.trainable_weights), model.trainable_weights, strict=True)
        )
    assert errors[-1] < errors[0]
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(models.load_model(tmp_path / "model.safetensors")(inputs), model(inputs))


@pytest.mark.parametrize(
    ("make_layer", "shapes", "message"),
    [
        (layers.Add, [(2, 3), (2, 4)], r"shapes of examples \(3,\) and \(4,\) do not broadcast"),
        (layers.Add, [(2, 3), (1, 3)], r"inputs of one batch size, got shapes"),
        (layers.Subtract, [(2, 3)] * 3, "Subtract expects 2 inputs, got 3"),
        (layers.Concatenate, [(2, 3), (2, 4, 3)], "inputs of one rank that have axis -1"),
        (layers.Concatenate, [(2, 3, 3), (2, 4, 3)], "shapes that agree elsewhere"),
        (lambda: layers.Dot(1), [(2, 3), (2, 4)], "expects axes of one length"),
        (lambda: layers.Dot(0), [(2, 3), (2, 3)], "expects axes behind the batch"),
        (lambda: layers.Dot(1), [(2, 3)] * 3, "Dot expects 2 inputs, got 3"),
    ],
)
def test_inputs_that_do_not_fit_raise(make_layer, shapes, message):
    inputs = [np.ones(shape, np.float32) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        make_layer()(inputs)
    if len({shape[0] for shape in shapes}) == 1:
        with pytest.raises(ValueError, match=message):
            make_layer()([layers.Input(shape[1:]) for shape in shapes])
    with pytest.raises(ValueError, match="expects a list of inputs, got one"):
        make_layer()(inputs[0])


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


# Every layer that takes a data format.
SPATIAL = (
    "Adaptive", "AveragePooling", "Conv", "Cropping2D", "Cropping3D", "Depthwise", "Flatten", "Global", "MaxPooling",
    "Separable", "UpSampling2D", "UpSampling3D", "ZeroPadding",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in layers.BUILT_IN if name.startswith(SPATIAL)])
def test_other_data_formats_raise(name):
    arguments = next(row[1] for row in ROWS if row[0] == name)
    with pytest.raises(ValueError, match=f"{name}: data_format expects 'channels_last' or .*, got 'NCHW'"):
        getattr(layers, name)(**{**arguments, "data_format": "NCHW"})


def test_aliases():
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.Convolution2D is layers.Conv2D
    assert layers.Convolution3DTranspose is layers.Conv3DTranspose
    assert layers.SeparableConvolution1D is layers.SeparableConv1D
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
        (layers.LayerNormalization(axis=[2, 1]), (None, 3, 4), [("gamma", (3, 4)), ("beta", (3, 4))]),
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
        (lambda: layers.ZeroPadding2D((1, 2, 3)), "ZeroPadding2D: padding expects an integer, or 2 of them"),
        (lambda: layers.ZeroPadding1D(-1), "ZeroPadding1D: padding expects no negative widths, got -1"),
        (lambda: layers.Cropping3D(((1, 1), 2)), "Cropping3D: cropping expects an integer, or 3 of them"),
        (lambda: layers.UpSampling2D(interpolation="cubic"), "UpSampling2D: interpolation expects one of nearest"),
        (lambda: layers.UpSampling1D(0), "UpSampling1D: size expects a positive integer, got 0"),
        (lambda: layers.AdaptiveMaxPooling2D((1, 2, 3)), "AdaptiveMaxPooling2D: output_size expects an integer or 2"),
        (lambda: layers.Permute((0, 1)), "Permute: dims expects every axis from 1 to 2 once"),
        (lambda: layers.RepeatVector(0), "RepeatVector: n expects a positive integer, got 0"),
        (lambda: layers.Dot((1, 2, 3)), "Dot: axes expects an integer or two"),
        (lambda: layers.GaussianNoise(2.0), "GaussianNoise: stddev expects a number from 0.0 to 1.0, got 2.0"),
        (lambda: layers.SpatialDropout2D(1.0), "SpatialDropout2D: rate expects a number below 1"),
        (lambda: layers.Lambda("square"), "Lambda: function expects a function, got 'square'"),
        (lambda: layers.Lambda(ops.square, mask=1), "Lambda: mask=1 cannot be honoured: masks"),
        (lambda: layers.TimeDistributed(3), "TimeDistributed: layer expects a Layer, got 3"),
        (lambda: layers.SpectralNormalization(layers.Dense(1), 0), "power_iterations expects a positive integer"),
        (lambda: layers.ELU(-1.0), "ELU: alpha expects a number from 0.0"),
        (lambda: layers.LocalResponseNormalization(bias=0), "expects depth_radius >= 0 and bias > 0, got 2 and 0"),
        (lambda: layers.Whitening("lda"), "Whitening: method expects 'pca' or 'zca', got 'lda'"),
        (lambda: layers.Whitening(components=3), "components belongs to method 'pca'"),
        (lambda: layers.GroupNormalization(0), "GroupNormalization: groups expects a positive integer or -1, got 0"),
        (lambda: layers.LayerNormalization("last"), "LayerNormalization: axis expects an integer, got 'last'"),
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
        (layers.Cropping1D(2, name="crop"), (2, 4, 3), r"'crop': .*expects axes that are longer, got \(2, 4, 3\)"),
        (layers.Permute((2, 1), name="turn"), (2, 4), r"'turn': Permute: dims=\(2, 1\) expects 3 axes"),
        (layers.Maxout(4, name="max"), (2, 6), r"'max': Maxout: num_units=4 expects a multiple of it along axis -1"),
        (
            layers.PReLU(shared_axes=0, name="p"),
            (2, 6),
            r"'p': PReLU: shared_axes=\(0,\) expects axes behind",
        ),
        (layers.TimeDistributed(layers.Dense(3), name="t"), (2, 6), r"'t': TimeDistributed expects x of shape \(N, T"),
        (layers.SpectralNormalization(layers.ReLU(), name="s"), (2, 6), "'s': .* layer expects one with a kernel"),
        (layers.Reshape((4, 4), name="square"), (2, 15), r"Reshape 'square': .*15 values .* do not fit"),
        (layers.Dense(3, name="dense"), (4,), r"Dense 'dense': .*\(N, \.\.\., in\)"),
        (
            layers.BatchNormalization(axis=0, name="norm"),
            (2, 3, 4),
            "'norm': .*axis=0 expects one behind the batch",
        ),
        (layers.BatchNormalization(axis=3, name="norm2"), (2, 3, 4), "'norm2': .*axis=3 expects one behind"),
        (
            layers.LayerNormalization([1, -1], name="twice"),
            (2, 3),
            r"'twice': .*axis=\(1, -1\) expects axes of x, each",
        ),
        (layers.GroupNormalization(4, name="groups"), (2, 6), "'groups': .*groups=4 expects a number of channels"),
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
