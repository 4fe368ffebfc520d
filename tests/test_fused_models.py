"""Joined layers, folded normalization, profiles and copies of models."""

import copy
import pickle

import numpy as np
import pytest

import cnnfast
from cnnfast import layers, ops
from cnnfast.models import Model, Sequential, clone_model
from cnnfast.models.folding import FoldedLayer
from cnnfast.models.fusion import NormalizedSum, PaddedConvolution, WeightedActivation


def residual_net(shortcut_from_below=True):
    x = layers.Input((9, 8, 3))
    y = layers.Activation("relu")(layers.BatchNormalization(name="n1")(layers.Conv2D(6, 3, padding="same")(x)))
    z = layers.DepthwiseConv2D(3, padding="same", name="dw")(y)
    z = layers.BatchNormalization(name="n2")(z)
    z = layers.ReLU(max_value=6.0)(z)
    z = layers.BatchNormalization(name="n3")(layers.Conv2D(6, 1, name="c")(z))
    z = layers.ReLU()(z + (y if shortcut_from_below else 1.0))
    z = layers.Activation("tanh")(layers.Dense(5)(z))
    return Model(x, z)


def randomized(model, rng):
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) * rng.choice([-1, 1] if "var" not in weight.name else [1]))
    return model


def layer_by_layer(model, x, training=False):
    """The outputs by the nodes one by one, as they were called."""
    values = {id(model.inputs[0]): x}
    for node in model._graph.nodes:
        args = [values.get(id(a), a) for a in node.args]
        values[id(node.outputs)] = node.layer(*args, training=training)
    return values[id(model.outputs[0])]


def kinds(steps):
    return [type(getattr(step.compute, "compute", step.compute)) for step in steps]  # those with ready weights too


def test_what_is_joined():
    model = residual_net()
    assert kinds(model._graph.steps) == [
        layers.Conv2D,
        NormalizedSum,
        layers.DepthwiseConv2D,
        NormalizedSum,
        layers.Conv2D,
        NormalizedSum,
        WeightedActivation,
    ]
    assert kinds(model._graph.inference_steps()) == [
        FoldedLayer,
        FoldedLayer,
        layers.Conv2D,
        NormalizedSum,
        WeightedActivation,
    ]


@pytest.mark.parametrize("training", [False, True])
def test_joined_layers_compute_the_same(isa, rng, training):
    model = randomized(residual_net(), rng)
    x = rng.standard_normal((3, 9, 8, 3)).astype(np.float32)
    before = model.get_weights()
    expected = layer_by_layer(model, x, training)
    moved = model.get_weights()
    model.set_weights(before)
    np.testing.assert_allclose(model(x, training=training), expected, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(model.get_weights(), moved, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_gradients_of_joined_layers(rng):
    model = randomized(residual_net(), rng)
    x = rng.standard_normal((3, 9, 8, 3)).astype(np.float32)
    gradients = []
    for compute in (lambda: model(x, training=True), lambda: layer_by_layer(model, x, training=True)):
        with cnnfast.GradientTape() as tape:
            loss = ops.sum(compute() ** 2)
        gradients.append(tape.gradient(loss, model.trainable_weights))
    for found, expected in zip(*gradients, strict=True):
        scale = np.abs(np.asarray(expected)).max() + 1e-3
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * scale)


def leaky_net():
    x = layers.Input((9, 8, 3))
    y = layers.LeakyReLU(0.1)(layers.Conv2D(6, 3, padding="same")(x))
    y = layers.LeakyReLU(0.7)(layers.BatchNormalization()(layers.Conv2D(5, 3, padding="same")(y)))
    y = layers.Activation("sigmoid")(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(y)))
    y = layers.Dropout(0.0)(layers.BatchNormalization()(layers.Conv2D(4, 1)(y)))
    return Model(x, layers.LeakyReLU(0.0)(layers.Dense(5)(y)))


def test_activations_behind_folded_normalization_are_joined(isa, rng):
    model = randomized(leaky_net(), rng)
    assert kinds(model._graph.steps)[:2] == [WeightedActivation, layers.Conv2D]
    assert kinds(model._graph.inference_steps()) == [
        WeightedActivation,
        FoldedLayer,
        FoldedLayer,
        FoldedLayer,
        layers.Dropout,
        WeightedActivation,
    ]
    x = rng.standard_normal((3, 9, 8, 3)).astype(np.float32)
    for _ in range(2):
        expected = layer_by_layer(model, x)
        np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(model.infer(x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
        randomized(model, rng)
    # A layer that is given an activation later on still comes before the normalization.
    model.layers[3].activation = "tanh"
    expected = layer_by_layer(model, x)
    np.testing.assert_allclose(model.infer(x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_gradients_of_leaky_layers(rng):
    model = randomized(leaky_net(), rng)
    x = rng.standard_normal((3, 9, 8, 3)).astype(np.float32)
    gradients = []
    for compute in (lambda: model(x, training=True), lambda: layer_by_layer(model, x, training=True)):
        with cnnfast.GradientTape() as tape:
            loss = ops.sum(compute() ** 2)
        gradients.append(tape.gradient(loss, model.trainable_weights))
    for found, expected in zip(*gradients, strict=True):
        scale = np.abs(np.asarray(expected)).max() + 1e-3
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * scale)


def test_results_that_others_read_are_not_joined():
    x = layers.Input((6, 6, 2))
    y = layers.Conv2D(3, 3)(x)
    z = layers.ReLU()(y)
    assert kinds(Model(x, [y, z])._graph.steps) == [layers.Conv2D, layers.ReLU]
    assert kinds(Model(x, y + z)._graph.steps)[:2] == [layers.Conv2D, layers.ReLU]

    class Own(layers.ReLU):
        def call(self, x):
            return super().call(x) + 1

    assert kinds(Model(x, Own()(layers.Conv2D(3, 3)(x)))._graph.steps) == [layers.Conv2D, Own]
    assert kinds(Model(x, layers.ReLU()(layers.Conv2D(3, 3, activation="tanh")(x)))._graph.steps)[1] is layers.ReLU
    assert not any(k is NormalizedSum for k in kinds(residual_net(False)._graph.steps[5:]))


def test_sums_by_a_layer_are_joined_where_shapes_agree():
    x = layers.Input((6, 6, 2))
    y = layers.BatchNormalization()(layers.Conv2D(2, 3, padding="same")(x))
    joined = Model(x, layers.ReLU()(layers.Add()([y, x])))
    assert kinds(joined._graph.steps) == [layers.Conv2D, NormalizedSum]
    spread = Model(x, layers.ReLU()(layers.Add()([y, layers.GlobalMaxPooling2D(keepdims=True)(x)])))
    assert NormalizedSum not in kinds(spread._graph.steps)


def test_layers_with_a_penalty_on_their_output_are_not_joined():
    x = layers.Input((6, 6, 2))
    y = layers.ReLU()(layers.Conv2D(3, 3, activity_regularizer="l2")(x))
    assert kinds(Model(x, y)._graph.steps) == [layers.Conv2D, layers.ReLU]


def test_folding_follows_the_weights(isa, rng):
    model = randomized(residual_net(), rng)
    x = rng.standard_normal((3, 9, 8, 3)).astype(np.float32)
    for _ in range(2):
        expected = model(x)
        np.testing.assert_allclose(model.infer(x), expected, rtol=1e-4, atol=1e-4)
        randomized(model, rng)
    model.compile("sgd", "mse")
    model.train_on_batch(x, np.zeros((3, 9, 8, 5), np.float32))
    np.testing.assert_allclose(model.infer(x), model(x), rtol=1e-4, atol=1e-4)


def test_errors_in_joined_layers_name_the_layer(rng):
    x = layers.Input((None, None, 3))
    model = Model(x, layers.ReLU()(layers.Conv2D(2, 3, name="first")(x)))
    with pytest.raises(ValueError, match="Conv2D 'first': "):
        model(rng.random((1, 2, 2, 3)))


def test_profile(rng):
    model = residual_net()
    lines = []
    x = rng.random((2, 9, 8, 3))
    rows = model.profile(x, training=True, repeats=2, print_fn=lines.append)
    assert [row.multiply_adds for row in rows] == [2 * n for n in (72 * 27 * 6, 0, 72 * 9 * 6, 0, 72 * 36, 0, 72 * 30)]
    assert rows[0].output_shape == (2, 9, 8, 6)
    assert rows[0].output_bytes == 2 * 72 * 6 * 4
    assert rows[0].weight_bytes == (27 * 6 + 6) * 4
    assert rows[2].algorithm == "depthwise"
    assert all(row.seconds > 0 and row.backward_seconds > 0 for row in rows)
    assert "n3 + add" in lines[0]
    assert "backward ms" in lines[0]
    assert model.profile(x, repeats=1, print_fn=None)[0].backward_seconds is None
    with pytest.raises(ValueError, match="repeats expects a positive integer"):
        model.profile(x, repeats=0)


def test_clones_share_nothing(rng):
    model = randomized(residual_net(), rng)
    copy = clone_model(model)
    assert [layer.name for layer in copy.layers][1:] == [layer.name for layer in model.layers][1:]
    assert not {id(w) for w in copy.weights} & {id(w) for w in model.weights}
    copy.set_weights(model.get_weights())
    x = rng.random((2, 9, 8, 3), np.float32)
    np.testing.assert_array_equal(copy(x), model(x))
    stack = Sequential([layers.Input((4,)), layers.Dense(3), layers.Dropout(0.5)])
    wider = clone_model(stack, clone_function=lambda la: layers.Dense(7) if isinstance(la, layers.Dense) else la)
    assert wider.output_shape == (None, 7)
    assert wider.layers[1] is stack.layers[1]
    on = layers.Input((9, 8, 3))
    assert clone_model(model, input_tensors=on).input is on
    with pytest.raises(TypeError, match="clone_function expects to return a layer"):
        clone_model(model, clone_function=lambda layer: None)


BORDERS = {
    "Conv1D": (layers.ZeroPadding1D((1, 2)), layers.Conv1D(4, 3), (2, 9, 3)),
    "Conv2D": (layers.ZeroPadding2D(((1, 0), (2, 3))), layers.Conv2D(4, 3, 2), (2, 9, 8, 3)),
    "an activation of its own": (layers.ZeroPadding2D(2), layers.Conv2D(4, 5, activation="gelu"), (2, 9, 8, 3)),
    "groups": (layers.ZeroPadding2D(1), layers.Conv2D(4, 3, groups=2, dilation_rate=2), (2, 9, 8, 4)),
    "Conv3D": (layers.ZeroPadding3D(1), layers.Conv3D(4, 3), (2, 5, 4, 5, 3)),
    "DepthwiseConv2D": (layers.ZeroPadding2D(1), layers.DepthwiseConv2D(3, depth_multiplier=2), (2, 9, 8, 3)),
    "DepthwiseConv1D": (layers.ZeroPadding1D(2), layers.DepthwiseConv1D(3, 2), (2, 9, 3)),
}


@pytest.mark.parametrize("name", BORDERS)
@pytest.mark.parametrize("follows", [None, "relu", "normalized"])
def test_a_border_is_part_of_the_convolution(name, follows, rng):
    *pair, shape = BORDERS[name]
    border, convolution = (type(layer).from_config(layer.get_config()) for layer in pair)
    x = layers.Input(shape[1:])
    y = convolution(border(x))
    if follows == "normalized":
        y = layers.BatchNormalization()(y)
    if follows is not None:
        y = layers.ReLU()(y)
    model = randomized(Model(x, y), rng)
    own = convolution._after is not None
    expected = {None: [PaddedConvolution], "relu": [WeightedActivation]}.get(
        follows, [PaddedConvolution, NormalizedSum]
    )
    assert kinds(model._graph.steps) == ([PaddedConvolution, layers.ReLU] if own and follows == "relu" else expected)
    if follows == "normalized":
        assert kinds(model._graph.inference_steps()) == ([PaddedConvolution, NormalizedSum] if own else [FoldedLayer])
    data = rng.standard_normal(shape).astype(np.float32)
    for training in (False, True):
        state = model.get_weights()
        found = model(data, training=training)
        model.set_weights(state)
        np.testing.assert_allclose(found, layer_by_layer(model, data, training), rtol=1e-4, atol=1e-4)
        model.set_weights(state)
    scale = np.abs(model(data)).max()
    np.testing.assert_allclose(model.predict(data, verbose=0), model(data), rtol=1e-4, atol=1e-5 * scale)
    found = gradients(lambda t: model(t, training=True), model, data)
    model.set_weights(state)
    for one, other in zip(found, gradients(lambda t: layer_by_layer(model, t, True), model, data), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(other).max()))


def gradients(call, model, data):
    x = cnnfast.Tensor(data)
    with cnnfast.GradientTape() as tape:
        tape.watch(x)
        y = call(x)
    weights = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    found = tape.gradient(y, [x, *model.trainable_weights], output_gradients=weights)
    return [np.asarray(g) for g in found]


class OwnBorder(layers.ZeroPadding2D):
    pass


def test_where_a_border_stays_alone():
    image = layers.Input((8, 8, 3))
    first = {"data_format": "channels_first"}
    for border, convolution in (
        (layers.ZeroPadding2D(1), layers.Conv2D(4, 3, padding="same")),
        (layers.ZeroPadding2D(1, **first), layers.Conv2D(4, 3, **first)),
        (layers.ZeroPadding2D(1), layers.Conv2D(4, 3, **first)),
        (OwnBorder(1), layers.Conv2D(4, 3)),
        (layers.ZeroPadding2D(1, activity_regularizer="l2"), layers.Conv2D(4, 3)),
    ):
        assert len(Model(image, convolution(border(image)))._graph.steps) == 2
    padded = layers.ZeroPadding2D(1)(image)
    assert len(Model(image, [layers.Conv2D(4, 3)(padded), padded])._graph.steps) == 2
    assert len(Model(image, [layers.Conv2D(4, 3)(padded), layers.Conv2D(4, 3)(padded)])._graph.steps) == 3


def test_a_border_in_a_profile(rng):
    image = layers.Input((8, 8, 3))
    convolution = layers.Conv2D(4, 3)
    model = Model(image, convolution(layers.ZeroPadding2D(1)(image)))
    (row,) = model.profile(rng.standard_normal((2, 8, 8, 3)), repeats=1, print_fn=None)
    assert row.multiply_adds == 2 * 8 * 8 * 4 * 27
    assert row.output_shape == (2, 8, 8, 4)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_join_their_steps_anew(copied):
    x = layers.Input((6, 6, 2))
    inner = Sequential([layers.Input((4, 4, 3)), layers.Conv2D(3, 3), layers.ReLU()])
    model = Model(x, inner(layers.Conv2D(3, 3)(x)))
    data = np.ones((2, 6, 6, 2), np.float32)
    for used in (False, True):
        if used:
            model.predict(data, verbose=0)
        other = copied(model)
        other.layers[1].activation = "tanh"
        assert np.abs(other.predict(data, verbose=0) - model.predict(data, verbose=0)).max() > 1e-4
        np.testing.assert_allclose(other.predict(data, verbose=0), other(data), rtol=1e-5)
        model.layers[1].activation = None  # as it was, but steps are joined anew
        np.testing.assert_allclose(other.predict(data, verbose=0), other(data), rtol=1e-5)
