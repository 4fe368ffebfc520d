"""Regularizers against formulas and against Keras; how layers and models take them."""

import inspect
import json

import numpy as np
import pytest

import cnnfast
import keras_peer
from cnnfast import gradcheck, layers, models, ops, optimizers, regularizers
from cnnfast.autograd import GradientTape, Variable

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning"),
]


def cosines_between(rows):
    found = []
    for i, a in enumerate(rows):
        for b in rows[:i]:
            found.append(abs(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)))
    return np.mean(found)


KINDS = [
    ("L1", {"l1": 0.3}, lambda x: 0.3 * np.abs(x).sum()),
    ("L1", {}, lambda x: 0.01 * np.abs(x).sum()),
    ("L2", {"l2": 0.3}, lambda x: 0.3 * (x**2).sum()),
    ("L2", {}, lambda x: 0.01 * (x**2).sum()),
    ("L1L2", {"l1": 0.3, "l2": 0.2}, lambda x: 0.3 * np.abs(x).sum() + 0.2 * (x**2).sum()),
    ("L1L2", {}, lambda x: 0.0),
    ("OrthogonalRegularizer", {"factor": 0.3}, lambda x: 0.3 * cosines_between(x)),
    ("OrthogonalRegularizer", {"factor": 0.3, "mode": "columns"}, lambda x: 0.3 * cosines_between(x.T)),
]


@pytest.mark.parametrize(("name", "settings", "formula"), KINDS)
def test_values(rng, name, settings, formula):
    x = rng.standard_normal((7, 5))
    regularizer = getattr(regularizers, name)(**settings)
    np.testing.assert_allclose(regularizer(x), formula(x), rtol=1e-5)
    with GradientTape() as tape:
        penalty = regularizer(Variable(x))
    np.testing.assert_allclose(float(penalty), formula(x), rtol=1e-5)
    del tape


@pytest.mark.parametrize(("name", "settings", "formula"), KINDS)
def test_gradients(rng, name, settings, formula):
    x = rng.standard_normal((5, 4))
    x += np.sign(x) * 0.1  # away from the kink
    assert gradcheck(getattr(regularizers, name)(**settings), [x])


@pytest.mark.parametrize(("name", "settings", "formula"), KINDS)
def test_values_and_gradients_are_kerass(rng, name, settings, formula):
    keras = keras_peer.keras()
    import torch

    x = rng.standard_normal((7, 5)).astype(np.float32)
    weight = Variable(x)
    with GradientTape() as tape:
        ours = getattr(regularizers, name)(**settings)(weight) * 2.0
    theirs_x = torch.tensor(x, requires_grad=True)
    theirs = getattr(keras.regularizers, name)(**settings)(theirs_x) * 2.0
    np.testing.assert_allclose(float(ours), theirs.detach().numpy(), rtol=1e-5)
    if theirs.requires_grad:
        theirs.backward()
        np.testing.assert_allclose(tape.gradient(ours, weight), theirs_x.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4), (100003,)])
def test_penalties_of_every_shape(rng, shape):
    x = rng.standard_normal(shape).astype(np.float32)
    wide = x.astype(np.float64)
    expected = 0.3 * np.abs(wide).sum() + 0.2 * (wide**2).sum()
    np.testing.assert_allclose(ops.l1_l2_penalty(x, 0.3, 0.2), expected, rtol=1e-6)
    weight = Variable(x)
    with GradientTape() as tape:
        y = 3.0 * ops.l1_l2_penalty(weight, 0.3, 0.2)
    np.testing.assert_allclose(tape.gradient(y, weight), 3 * (0.3 * np.sign(wide) + 0.4 * wide), rtol=1e-5, atol=1e-6)


def test_nan_and_infinity_arrive():
    assert np.isnan(ops.l1_l2_penalty([1.0, np.nan], 1.0))
    assert np.isinf(ops.l1_l2_penalty([1.0, -np.inf], 0.0, 1.0))
    assert np.isinf(ops.l1_l2_penalty([3e38, 3e38], 0.0, 1.0))


def test_rows_of_zeros_are_orthogonal_to_everything():
    assert float(regularizers.OrthogonalRegularizer(1.0)([[0.0, 0.0], [1.0, 2.0]])) == 0.0
    assert float(regularizers.OrthogonalRegularizer(1.0)([[1.0, 2.0]])) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regularizers.L1(-0.1), "L1: l1 expects a number from 0"),
        (lambda: regularizers.L2(np.inf), "L2: l2 expects a finite number"),
        (lambda: regularizers.L1L2(l2=np.nan), "L1L2: l2 expects a number"),
        (lambda: regularizers.OrthogonalRegularizer(mode="diagonals"), "mode expects rows or columns"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones((2, 3, 4))), r"expects a matrix, got shape \(2, 3, 4\)"),
        (lambda: regularizers.get("l3"), "regularizer 'l3' is not known; there are L1, "),
        (lambda: regularizers.get(3), "regularizer expects a name, an object or a function, got 3"),
        (lambda: layers.Dense(2, kernel_regularizer="l3"), "regularizer 'l3' is not known"),
        (lambda: layers.Dense(2, gamma_regularizer="l2"), "Dense: unexpected keyword argument 'gamma_regularizer'"),
        (lambda: layers.Flatten(kernel_regularizer="l2"), "Flatten: unexpected keyword argument 'kernel_regularizer'"),
        (lambda: layers.Dense(2, learning_rate_multiplier=-1), "learning_rate_multiplier expects a number from 0"),
        (lambda: layers.Dense(2).add_loss([1.0, np.ones(2)]), "add_loss expects a number, got"),
        (lambda: layers.Dense(2).add_loss(lambda: 1.0), "add_loss expects a number, got"),
    ],
)
def test_wrong_arguments_raise(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("name", ["l1", "L1", "l2", "L2", "l1_l2", "L1L2", "orthogonal_regularizer"])
def test_names_and_configurations(name):
    regularizer = regularizers.get(name)
    entry = json.loads(json.dumps(regularizers.serialize(regularizer)))
    assert regularizers.deserialize(entry).get_config() == regularizer.get_config()
    assert regularizers.get(regularizer) is regularizer
    assert regularizers.get(None) is None
    assert 0.01 in regularizer.get_config().values()


# In layers


def own(weight):
    return 0.5 * ops.max(ops.abs(weight))


LAYERS = [
    ("Dense", (3,), {"units": 2}, {"kernel": "kernel", "bias": "bias"}),
    ("Conv1D", (6, 3), {"filters": 2, "kernel_size": 3}, {"kernel": "kernel", "bias": "bias"}),
    ("Conv2D", (6, 6, 3), {"filters": 2, "kernel_size": 3}, {"kernel": "kernel", "bias": "bias"}),
    ("Conv2DTranspose", (6, 6, 3), {"filters": 2, "kernel_size": 3}, {"kernel": "kernel", "bias": "bias"}),
    ("DepthwiseConv2D", (6, 6, 3), {"kernel_size": 3}, {"depthwise": "kernel", "bias": "bias"}),
    (
        "SeparableConv2D",
        (6, 6, 3),
        {"filters": 2, "kernel_size": 3},
        {"depthwise": "depthwise_kernel", "pointwise": "pointwise_kernel", "bias": "bias"},
    ),
    ("BatchNormalization", (3,), {}, {"gamma": "gamma", "beta": "beta"}),
    ("LayerNormalization", (3,), {}, {"gamma": "gamma", "beta": "beta"}),
    ("GroupNormalization", (4,), {"groups": 2}, {"gamma": "gamma", "beta": "beta"}),
    ("PReLU", (3,), {}, {"alpha": "alpha"}),
]


@pytest.mark.parametrize(("name", "shape", "settings", "weights"), LAYERS)
def test_layers_take_them_for_each_weight(rng, name, shape, settings, weights):
    x = rng.standard_normal((2, *shape)).astype(np.float32)
    for argument, weight_name in weights.items():
        options = {f"{argument}_regularizer": regularizers.L2(0.3), f"{argument}_constraint": "non_neg"}
        layer = getattr(layers, name)(**settings, **options)
        layer(x)
        weight = next(w for w in layer.weights if w.name == weight_name)
        weight.assign(rng.standard_normal(weight.shape))
        np.testing.assert_allclose(layer.losses, [0.3 * np.sum(weight.numpy() ** 2)], rtol=1e-5)
        assert [w.name for w in layer.weights if w.constraint is not None] == [weight_name]
        again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
        again(x)
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again.losses, layer.losses)
        assert again.get_config() == layer.get_config()
        layer.trainable = False
        assert layer.losses == []


@pytest.mark.parametrize(("name", "shape", "settings", "weights"), LAYERS)
def test_losses_of_layers_are_kerass(rng, name, shape, settings, weights):
    keras = keras_peer.keras()
    x = rng.standard_normal((4, *shape)).astype(np.float32)
    found = []
    for module in (cnnfast, keras):
        options = {f"{argument}_regularizer": module.regularizers.L1L2(0.1, 0.2) for argument in weights}
        options["activity_regularizer"] = module.regularizers.L2(0.3)
        layer = getattr(module.layers, name)(**settings, **options)
        layer(x)
        if not found:
            values = [rng.standard_normal(w.shape) ** 2 for w in layer.weights]
        layer.set_weights(values)
        layer(x)
        found.append(sorted(float(loss) for loss in layer.losses))
    assert len(found[0]) == len(weights) + 1
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_a_weight_of_ones_own():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(
                input_shape[-1:], "ones", regularizer="l2", constraint=lambda w: np.minimum(w, 1.0), name="factor"
            )

        def call(self, x):
            return x * self.factor

    layer = Scale()
    with GradientTape() as tape:
        layer(np.ones((2, 3)))
        loss = sum(layer.losses)
    np.testing.assert_allclose(float(loss), 0.03, rtol=1e-6)
    gradients = tape.gradient(loss, layer.trainable_weights)
    np.testing.assert_allclose(gradients[0], np.full(3, 0.02), rtol=1e-6)
    optimizers.SGD(1.0).apply([-gradients[0]], layer.trainable_weights)
    np.testing.assert_array_equal(layer.factor, np.ones(3))


def test_added_losses_count_until_the_next_call():
    class Noisy(layers.Layer):
        def call(self, x, training=False):
            if training:
                self.add_loss(ops.mean(x))
            return x

    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.noisy, self.dense = Noisy(), layers.Dense(2, activity_regularizer="l1")

        def call(self, x):
            return self.dense(self.noisy(self.noisy(x)))

    block = Block()
    x = np.ones((4, 3))
    y = block(x, training=True)
    expected = [1.0, 1.0, 0.01 * np.abs(y).sum() / 4]
    for _ in range(2):
        np.testing.assert_allclose([float(loss) for loss in block.losses], expected, rtol=1e-5)
        block(x, training=True)
    block(x)
    assert len(block.losses) == 1
    assert len(block.dense.losses) == 1
    block.dense(x)  # a call of its own
    assert len(block.losses) == 1
    model = models.Sequential([layers.Input((3,)), Block()])
    assert model.losses == []  # trying shapes is no call


def compiled(module, kernel_constraint=None, **options):
    model = module.Sequential(
        [
            module.layers.Input((6, 6, 2)),
            module.layers.Conv2D(
                3, 3, activation="relu", kernel_regularizer=module.regularizers.L2(0.05), bias_regularizer="l1"
            ),
            module.layers.Flatten(),
            module.layers.Dense(
                4,
                activation="softmax",
                kernel_regularizer=module.regularizers.L1L2(0.02, 0.03),
                kernel_constraint=kernel_constraint and getattr(module.constraints, kernel_constraint)(),
                activity_regularizer=module.regularizers.L2(0.1),
            ),
        ]
    )
    model.compile(optimizer=module.optimizers.SGD(0.1, **options), loss="sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("constraint", [None, "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"])
def test_training_adds_them_as_keras_does(rng, constraint):
    keras = keras_peer.keras()
    ours, theirs = compiled(cnnfast, constraint), compiled(keras, constraint)
    # Small ones: Keras cuts probabilities off where the loss would be large.
    weights = [0.2 * rng.standard_normal(w.shape).astype(np.float32) for w in ours.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    x, y = rng.standard_normal((8, 6, 6, 2)).astype(np.float32), rng.integers(0, 4, 8)
    for _ in range(3):
        ours.train_on_batch(x, y)
        theirs.train_on_batch(x, y)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-4)


def test_training_adds_them(rng):
    model = compiled(cnnfast)
    x, y = rng.standard_normal((8, 6, 6, 2)), rng.integers(0, 4, 8)
    outputs = model.predict(x)
    conv, _, dense = model.layers
    penalties = (
        0.05 * np.sum(conv.kernel.numpy() ** 2)
        + 0.01 * np.sum(np.abs(conv.bias.numpy()))
        + 0.02 * np.sum(np.abs(dense.kernel.numpy()))
        + 0.03 * np.sum(dense.kernel.numpy() ** 2)
        + 0.1 * np.sum(outputs**2) / 8
    )
    expected = -np.mean(np.log(outputs[np.arange(8), y])) + penalties
    np.testing.assert_allclose(model.test_on_batch(x, y), expected, rtol=1e-5)
    np.testing.assert_allclose(model.train_on_batch(x, y), expected, rtol=1e-5)
    before = dense.kernel.numpy()
    dense.activity_regularizer = dense.kernel.regularizer = None
    model.optimizer.learning_rate = 0.0
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(dense.kernel, before)


def test_multipliers_of_layers(rng, tmp_path):
    model = models.Sequential(
        [layers.Input((3,)), layers.Dense(4, learning_rate_multiplier=0.0), layers.Dense(2, name="last")]
    )
    model.compile(optimizers.Adam(0.1), "mse")
    before = model.get_weights()
    model.train_on_batch(rng.standard_normal((5, 3)), rng.standard_normal((5, 2)))
    after = model.get_weights()
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False, False]
    model.learning_rate_multiplier = 0.5
    assert [v.learning_rate_multiplier for v in model.weights] == [0.5] * 4
    model.save(tmp_path / "model.safetensors")
    again = models.load_model(tmp_path / "model.safetensors")
    assert [v.learning_rate_multiplier for v in again.weights] == [0.5] * 4
    assert [layer.learning_rate_multiplier for layer in again.layers] == [0.5, 0.5]


@pytest.mark.parametrize("name", sorted({row[0] for row in LAYERS}))
def test_their_arguments_are_in_kerass_order(name):
    keras = keras_peer.keras()

    def penalties(cls):
        init = next(vars(c)["__init__"] for c in cls.__mro__ if "__init__" in vars(c))
        names = list(inspect.signature(init).parameters)
        first = next(i for i, n in enumerate(names) if n.endswith("_initializer"))
        return [n for n in names[first:] if n.endswith(("_initializer", "_regularizer", "_constraint"))]

    ours = penalties(getattr(layers, name))
    assert len(ours) >= 3
    assert penalties(getattr(keras.layers, name))[: len(ours)] == ours


def test_their_arguments_may_be_given_by_position():
    layer = layers.Dense(3, None, True, "zeros", "ones", "l1", None, "l2", "non_neg")
    assert type(layer.kernel_regularizer) is regularizers.L1
    assert layer.bias_regularizer is None
    assert type(layer.activity_regularizer) is regularizers.L2
    assert layer.kernel_constraint is not None
    assert layers.Dense.from_config(layer.get_config()).get_config() == layer.get_config()
    with pytest.raises(TypeError, match="Dense: got several values for kernel_regularizer"):
        layers.Dense(3, None, True, "zeros", "ones", "l1", kernel_regularizer="l1")
    with pytest.raises(TypeError, match="too many positional arguments"):
        layers.Dense(*range(30))


def test_layers_that_were_joined_take_a_penalty_later():
    inputs = layers.Input((4,))
    hidden = layers.Dense(3)
    model = models.Model(inputs, layers.Dense(2)(layers.ReLU()(hidden(inputs))))
    x = np.ones((2, 4))
    before = model.predict(x)
    assert model.losses == []
    hidden.activity_regularizer = "l2"
    np.testing.assert_array_equal(model.predict(x), before)
    model(x, training=True)
    expected = 0.01 * np.sum(np.square(x @ hidden.kernel.numpy())) / 2
    np.testing.assert_allclose([float(loss) for loss in model.losses], [expected], rtol=1e-5)
    hidden.activity_regularizer = None
    model(x)
    assert model.losses == []


def test_layers_are_not_folded_over_a_penalty(rng):
    def model(**options):
        inputs = layers.Input((4,))
        made = models.Model(inputs, layers.BatchNormalization()(layers.Dense(3, **options)(inputs)))
        made.compile("sgd", "mse")
        return made

    plain, penalised = model(), model(activity_regularizer=regularizers.L2(0.5))
    penalised.set_weights(plain.get_weights())
    x, y = rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    hidden = x @ plain.get_weights()[0]
    expected = plain.evaluate(x, y, verbose=0) + 0.5 * np.sum(hidden**2) / 6
    np.testing.assert_allclose(penalised.evaluate(x, y, verbose=0), expected, rtol=1e-5)


def test_a_layer_that_only_penalises(rng):
    layer = layers.ActivityRegularization(l1=0.1, l2=0.2)
    x = rng.standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_array_equal(layer(x), x)
    expected = (0.1 * np.abs(x).sum() + 0.2 * (x**2).sum()) / 3
    np.testing.assert_allclose([float(loss) for loss in layer.losses], [expected], rtol=1e-5)
    again = layers.ActivityRegularization.from_config(json.loads(json.dumps(layer.get_config())))
    again(x)
    np.testing.assert_allclose([float(loss) for loss in again.losses], [expected], rtol=1e-5)
