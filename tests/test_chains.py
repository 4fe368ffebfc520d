"""Layers in a row that one engine call computes: the same numbers and gradients as layer by layer."""

import copy

import numpy as np
import pytest

import cnnfast
from cnnfast import layers
from cnnfast.models import chains

LENET = (
    lambda: layers.Conv2D(6, 5, padding="same", activation="relu"),
    lambda: layers.MaxPooling2D(),
    lambda: layers.Conv2D(16, 5, activation="relu"),
    lambda: layers.MaxPooling2D(),
    lambda: layers.Flatten(),
    lambda: layers.Dense(120, activation="relu"),
    lambda: layers.Dense(84, activation="tanh"),
    lambda: layers.Dense(10),
)
ROWS = {
    "lenet": ((28, 28, 1), LENET),
    "no bias": (
        (9, 8, 3),
        (lambda: layers.Conv2D(4, 3, use_bias=False, activation="relu6"), lambda: layers.Dense(5, use_bias=False)),
    ),
    "strides, groups": (
        (11, 12, 4),
        (
            lambda: layers.Conv2D(8, (3, 2), strides=(2, 1), padding="same", groups=2, activation="leaky_relu"),
            lambda: layers.Conv2D(6, 3, dilation_rate=2, padding=1, activation="sigmoid"),
        ),
    ),
    "overlapping windows": (
        (13, 10, 3),
        (
            lambda: layers.Conv2D(5, 3, activation="leaky_relu"),
            lambda: layers.MaxPooling2D(3, strides=2, padding="same"),
            lambda: layers.MaxPooling2D(2, strides=1),
            lambda: layers.Conv2D(3, 2, activation="tanh"),
            lambda: layers.MaxPooling2D((2, 1)),
        ),
    ),
    "pooling first": ((8, 8, 2), (lambda: layers.AveragePooling2D(2), lambda: layers.Conv2D(3, 3), layers.Flatten)),
    "averages": (
        (9, 9, 2),
        (
            lambda: layers.Conv2D(4, 3, activation="relu"),
            lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
            lambda: layers.Flatten(),
            lambda: layers.Dense(3),
        ),
    ),
    "one axis": (
        (20, 3),
        (
            lambda: layers.Conv1D(4, 3, padding="causal", activation="relu"),
            lambda: layers.MaxPooling1D(2),
            lambda: layers.AveragePooling1D(2),
            lambda: layers.Dense(2, activation="relu"),
        ),
    ),
    "three axes": (
        (5, 6, 7, 2),
        (lambda: layers.Conv3D(3, 2, activation="relu"), lambda: layers.MaxPooling3D(2), lambda: layers.Flatten()),
    ),
    "activation layers": (
        (8, 8, 3),
        (
            lambda: layers.Conv2D(4, 3),
            lambda: layers.ReLU(),
            lambda: layers.MaxPooling2D(),
            lambda: layers.Reshape((12, 3)),
            lambda: layers.Dense(4),
            lambda: layers.LeakyReLU(0.3),
        ),
    ),
    "borders": (
        (9, 9, 2),
        (
            lambda: layers.ZeroPadding2D(((1, 0), (2, 1))),
            lambda: layers.Conv2D(4, 3, activation="relu"),
            lambda: layers.ZeroPadding2D(1),
            lambda: layers.Conv2D(3, 3),
            lambda: layers.ReLU(6.0),
        ),
    ),
    "pooled convolutions": (
        (30, 29, 2),
        (
            lambda: layers.Conv2D(8, 3),
            lambda: layers.MaxPooling2D(),
            lambda: layers.ZeroPadding2D(1),
            lambda: layers.Conv2D(4, 3, use_bias=False),
            lambda: layers.LeakyReLU(0.1),
            lambda: layers.MaxPooling2D(2, padding="same"),
            lambda: layers.Conv2D(4, 3, activation="sigmoid"),
            lambda: layers.MaxPooling2D(),
        ),
    ),
    "other channels in between": (
        (8, 8, 3),
        (
            lambda: layers.Conv2D(6, 3, activation="relu"),
            lambda: layers.Reshape((12, 6, 3)),
            lambda: layers.MaxPooling2D(),
            lambda: layers.Flatten(),
            lambda: layers.Dense(40, activation="relu6"),
            lambda: layers.Reshape((20, 2)),
            lambda: layers.MaxPooling1D(3, strides=2),
        ),
    ),
    "large windows": (
        (20, 20, 1),
        (lambda: layers.Conv2D(2, 3, activation="relu"), lambda: layers.MaxPooling2D(17, strides=1)),
    ),
}


def made(name, batch):
    shape, row = ROWS[name]
    model = cnnfast.Sequential([layers.Input(shape), *(make() for make in row)])
    random = np.random.default_rng(3)
    for v in model.weights:
        v.assign(random.standard_normal(v.shape) * 0.3)
    return model, random.standard_normal((batch, *shape)).astype(np.float32)


def gradients(run, model, x, watch=True):
    """Output, operations, and the gradients of a weighted sum of the output."""
    tensor = cnnfast.Tensor(x)
    with cnnfast.GradientTape() as tape:
        if watch:
            tape.watch(tensor)
        y = run(tensor if watch else x)
    count = len(tape.operations)
    weights = np.random.default_rng(4).standard_normal(y.shape)
    found = tape.gradient(y, [tensor, *model.trainable_weights], output_gradients=weights)
    return np.asarray(y), count, [None if g is None else np.asarray(g) for g in found]


def by_layers(model):
    def run(x):
        for layer in model.layers:
            x = layer(x)
        return x

    return run


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, atol=2e-5 * max(1.0, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", ROWS)
def test_a_chain_computes_what_its_layers_do(name, batch):
    model, x = made(name, batch)
    y, count, found = gradients(model, model, x)
    other, others, wanted = gradients(by_layers(model), model, x)
    assert count == 1 < others
    assert_same([y, *found], [other, *wanted])


def test_only_what_is_asked_for_is_computed():
    model, x = made("lenet", 2)
    all_weights = model.trainable_weights
    for frozen in ([0], [0, 2], [5, 6, 7], [2, 5], [0, 2, 5, 6]):
        for i, layer in enumerate(model.layers):
            layer.trainable = i not in frozen
        for run in (model, by_layers(model)):
            with cnnfast.GradientTape() as tape:
                y = run(x)
            for v, gradient in zip(all_weights, tape.gradient(y, all_weights), strict=True):
                assert (gradient is None) == (not v.trainable)
        for watch in (False, True):
            found = gradients(model, model, x, watch)
            wanted = gradients(by_layers(model), model, x, watch)
            assert found[1] == 1
            assert_same(found[2], wanted[2])
            assert len(found[2]) == 11 - 2 * len(frozen)


def test_freezing_layers_makes_no_new_plans():
    model, x = made("lenet", 2)
    gradients(model, model, x)
    chain = model._known_graph().recorded_steps()[0].compute
    plan = chain._plans[x.shape]
    model.layers[0].trainable = False
    assert len(gradients(model, model, x)[2]) == 9
    assert chain._plans[x.shape] is plan


def test_nothing_is_recorded_where_nothing_is_followed():
    model, x = made("lenet", 1)
    model.trainable = False
    with cnnfast.GradientTape() as tape:
        y = model(x)
    assert isinstance(y, np.ndarray)
    assert not tape.operations
    np.testing.assert_array_equal(y, model(x))


def test_threads_make_no_difference():
    model, x = made("lenet", 32)
    threads = cnnfast.get_num_threads()
    found = []
    try:
        for count in (1, 2, 7):
            cnnfast.set_num_threads(count)
            found.append(gradients(model, model, x))
    finally:
        cnnfast.set_num_threads(threads)
    for other in found[1:]:
        for a, b in zip([found[0][0], *found[0][2]], [other[0], *other[2]], strict=True):
            np.testing.assert_array_equal(a, b)


def test_large_batches_are_computed_layer_by_layer(monkeypatch):
    model, x = made("lenet", 3)
    monkeypatch.setattr(chains, "LARGEST_KEPT", 4000)
    assert gradients(model, model, x)[1] > 1
    assert gradients(model, model, x[:1])[1] == 1


def test_what_others_read_is_in_no_chain():
    x = layers.Input((8, 8, 1))
    a = layers.Conv2D(2, 3, activation="relu")(x)
    b = layers.MaxPooling2D()(a)
    c = layers.Dense(3)(layers.Flatten()(b))
    for model, most in ((cnnfast.Model(x, [a, c]), 2), (cnnfast.Model(x, layers.Add()([b, b])), 2)):
        data = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32)
        with cnnfast.GradientTape() as tape:
            outputs = model(data)
        assert len(tape.operations) == most
        outputs = outputs if isinstance(outputs, list) else [outputs]
        wanted = model.predict(data, verbose=0)
        for y, other in zip(outputs, wanted if isinstance(wanted, list) else [wanted], strict=True):
            np.testing.assert_allclose(np.asarray(y), other, atol=1e-5)


def by_both_ways(shape, row, batch=3):
    """A model of these layers, and the operations that a tape notes; its numbers and gradients are those of the row."""
    model = cnnfast.Sequential([layers.Input(shape), *row])
    x = np.random.default_rng(6).standard_normal((batch, *shape)).astype(np.float32)
    found, wanted = gradients(model, model, x), gradients(by_layers(model), model, x)
    assert_same([found[0], *found[2]], [wanted[0], *wanted[2]])
    return model, found[1]


def test_layers_that_only_reshape_are_no_chain():
    assert by_both_ways((4, 4, 3), [layers.Flatten(), layers.Reshape((8, 6))])[1] == 2
    assert by_both_ways((4, 3), [layers.Rescaling(2.0), layers.Reshape((12,)), layers.Reshape((2, 6))])[1] == 3
    assert by_both_ways((4, 4, 3), [layers.Flatten(), layers.Reshape((6, 8)), layers.Dense(2)])[1] == 1


def test_a_border_that_is_changed_later_on():
    row = [layers.ZeroPadding2D(1), layers.Conv2D(3, 3, activation="relu"), layers.Conv2D(2, 3)]
    model, count = by_both_ways((9, 9, 2), row)
    assert count == 1
    model.layers[0].padding = ((2, 2), (0, 1))
    x = np.ones((1, 9, 9, 2), np.float32)
    found, wanted = gradients(model, model, x), gradients(by_layers(model), model, x)
    assert_same([found[0], *found[2]], [wanted[0], *wanted[2]])


@pytest.mark.parametrize("activation", ["softmax", "gelu", lambda x: x * x])
def test_activations_that_the_engine_does_not_fuse_end_a_chain(activation):
    flatten, dense = layers.Flatten(), layers.Dense(4, activation=activation)
    model, count = by_both_ways((4, 4, 3), [layers.Conv2D(2, 3, activation="relu"), flatten, dense])
    assert count == by_both_ways((4,), [layers.Activation(activation)])[1] + 1
    dense.activation = "relu"
    assert by_both_ways((4, 4, 3), model.layers)[1] == 1
    before = [layers.Dense(5, activation="relu"), layers.Dense(3, activation=activation)]
    behind = [layers.Dense(4, activation="tanh"), layers.Dense(2)]
    assert by_both_ways((6,), [*before, *behind])[1] == count + 1


def test_errors_of_activations_name_the_layer():
    def fails(x):
        raise ValueError("no such thing")

    row = [layers.Dense(5, activation="relu"), layers.Dense(3, name="last")]
    model, _ = by_both_ways((6,), row)
    model.layers[-1].activation = fails
    with cnnfast.GradientTape(), pytest.raises(ValueError, match="'last': no such thing"):
        model(np.zeros((1, 6)))


def test_layers_that_are_changed_later_on():
    model, x = made("lenet", 1)
    before = gradients(model, model, x)
    changes = [
        lambda: setattr(model.layers[0], "activation", "sigmoid"),
        lambda: setattr(model.layers[5], "activation", "gelu"),
        lambda: setattr(model.layers[2], "strides", (2, 2)),
        lambda: model.layers[1].__setattr__("call", lambda x: x[:, ::2, ::2]),
        lambda: setattr(model.layers[6], "activity_regularizer", "l2"),
    ]
    for change in changes[:2] + changes[3:]:
        change()
        found, wanted = gradients(model, model, x), gradients(by_layers(model), model, x)
        assert_same([found[0], *found[2]], [wanted[0], *wanted[2]])
        assert np.abs(found[0] - before[0]).max() > 1e-6 or change is changes[4]
        before = found
    with cnnfast.GradientTape():
        model(x)
    assert len(model.losses) == 1
    changes[2]()
    with pytest.raises(ValueError, match="dense"):
        gradients(model, model, x)


def test_shapes_that_do_not_fit_are_named():
    model, x = made("lenet", 1)
    with cnnfast.GradientTape():
        with pytest.raises(ValueError, match="conv2d"):
            model(x[..., 0])
        with pytest.raises(ValueError, match=r"'dense.*: kernel expects shape"):
            model(np.zeros((1, 32, 32, 1)))
        assert model(x[:0]).shape == (0, 10)


def test_many_shapes_of_inputs():
    model = cnnfast.Sequential([layers.Input((None, None, 2)), layers.Conv2D(3, 3), layers.MaxPooling2D()])
    for size in range(6, 30):
        x = np.random.default_rng(size).standard_normal((1, size, size + 1, 2)).astype(np.float32)
        found, wanted = gradients(model, model, x), gradients(by_layers(model), model, x)
        assert found[1] == 1
        assert_same([found[0], *found[2]], [wanted[0], *wanted[2]])


def test_persistent_and_nested_tapes():
    model, x = made("lenet", 1)
    with cnnfast.GradientTape(persistent=True) as outer, cnnfast.GradientTape() as inner:
        y = model(x)
    weights = model.trainable_weights
    first, second = outer.gradient(y, weights), outer.gradient(y, weights)
    for a, b, c in zip(first, second, inner.gradient(y, weights), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        np.testing.assert_array_equal(np.asarray(a), np.asarray(c))


def test_overwritten_variables_are_noticed():
    model, x = made("lenet", 1)
    model.compile("sgd", "mse")
    with cnnfast.GradientTape() as tape:
        y = model(x)
    model.train_on_batch(x, np.zeros((1, 10)))
    with pytest.raises(RuntimeError, match="overwritten"):
        tape.gradient(y, model.trainable_weights)


def test_copies_make_plans_of_their_own():
    model, x = made("lenet", 1)
    before = gradients(model, model, x)
    other = copy.deepcopy(model)
    other.layers[0].kernel.assign(np.zeros((5, 5, 1, 6)))
    assert_same(gradients(model, model, x)[2], before[2])
    np.testing.assert_allclose(gradients(other, other, x)[0], np.asarray(by_layers(other)(x)), atol=1e-5)


def test_not_a_number_stays_one():
    model, x = made("lenet", 1)
    x[0, 3, 3, 0] = np.nan
    found, wanted = gradients(model, model, x), gradients(by_layers(model), model, x)
    np.testing.assert_array_equal(np.isnan(found[0]), np.isnan(wanted[0]))
    for a, b in zip(found[2], wanted[2], strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))


def test_training_goes_the_same_way(monkeypatch):
    losses = []
    for largest in (chains.LARGEST_KEPT, -1):
        monkeypatch.setattr(chains, "LARGEST_KEPT", largest)
        model, x = made("lenet", 8)
        for v in model.weights:
            v.assign(v.numpy() * 0.5)  # steps are small then, so that rounding errors do not grow from one to the next
        model.compile(
            cnnfast.optimizers.SGD(0.002, momentum=0.9), cnnfast.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        labels = np.arange(8) % 10
        losses.append([model.train_on_batch(x, labels) for _ in range(20)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][-1] < losses[0][0] - 0.5


def test_the_engine_refuses_what_does_not_fit():
    chain = cnnfast._core.LayerChain((2, 4))
    with pytest.raises(ValueError, match="does not fit"):
        chain.dense((5, 2), False, "relu", 0.0)
    with pytest.raises(ValueError, match="gradient needs its input"):
        chain.dense((4, 2), False, "gelu", 0.0)
    with pytest.raises(ValueError, match="does not fill"):
        chain.reshape((3, 3))
    with pytest.raises(ValueError, match="no links"):
        chain.forward(np.ones((2, 4), np.float32), [])
    chain.dense((4, 3), True, "relu", 0.0)
    x, w, b = np.ones((2, 4), np.float32), np.ones((4, 3), np.float32), np.ones(3, np.float32)
    for weights in ([w], [w, b, b], [w.T.copy(), b], [w, b[:2].copy()]):
        with pytest.raises(ValueError, match="weight"):
            chain.forward(x, weights)
    with pytest.raises(ValueError, match="x"):
        chain.forward(x[:1].copy(), [w, b])
    with pytest.raises(TypeError):
        chain.forward(x.astype(np.float64), [w, b])
    y, kept = chain.forward(x, [w, b])
    with pytest.raises(ValueError, match="dy"):
        chain.backward(x, [w, b], kept, y, x, [True] * 3)
    with pytest.raises(ValueError, match="needs"):
        chain.backward(x, [w, b], kept, y, y, [True] * 2)
