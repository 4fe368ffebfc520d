"""Models made of symbolic tensors, and of subclasses."""

import json
import re

import numpy as np
import pytest

import cnnfast
from cnnfast import layers, ops
from cnnfast.models import Model, Sequential, load_model, save_model


def two_branches():
    image, vector = layers.Input((8, 8, 3), name="image"), layers.Input((5,), name="vector")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(image)
    x = x + layers.Conv2D(4, 1, name="skip")(image)
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(name="pool")(x))
    shared = layers.Dense(5, name="shared")
    u = shared(vector)
    v = shared(u * 2.0)
    scores = layers.Dense(3, activation="softmax", name="scores")(x)
    return Model([image, vector], {"scores": scores, "joined": ops.concatenate([u, v, x], axis=-1)}, name="branches")


@pytest.fixture
def data(rng):
    return [rng.random((2, 8, 8, 3), np.float32), rng.random((2, 5), np.float32)]


def by_hand(model, image, vector):
    layer = model.get_layer
    x = layer("conv")(image) + layer("skip")(image)
    x = layer("flat")(layer("pool")(x))
    u = layer("shared")(vector)
    v = layer("shared")(u * 2.0)
    return {"scores": layer("scores")(x), "joined": np.concatenate([u, v, x], -1)}


def test_computes_what_its_layers_do(data):
    model = two_branches()
    found, expected = model(data), by_hand(model, *data)
    assert list(found) == list(expected)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])


def test_shapes(data):
    model = two_branches()
    assert model.input_shape == [(None, 8, 8, 3), (None, 5)]
    assert model.output_shape == {"scores": (None, 3), "joined": (None, 74)}
    assert model.compute_output_shape([(7, 8, 8, 3), (7, 5)]) == {"scores": (7, 3), "joined": (7, 74)}
    assert model.input_names == ["image", "vector"]


def test_shared_layers_count_once():
    model = two_branches()
    assert model.count_params() == (27 * 4 + 4) + (3 * 4 + 4) + (5 * 5 + 5) + (64 * 3 + 3)
    assert [layer.name for layer in model.layers].count("shared") == 1


def test_inputs_by_name(data):
    model = two_branches()
    by_name = model({"vector": data[1], "image": data[0]})
    np.testing.assert_array_equal(by_name["joined"], model(data)["joined"])
    with pytest.raises(ValueError, match="branches expects inputs named \\['image', 'vector'\\], got \\['image'\\]"):
        model({"image": data[0]})
    with pytest.raises(ValueError, match="branches expects 2 inputs, got 1"):
        model([data[0]])


def test_configuration_round_trip(data):
    model = two_branches()
    copy = Model.from_config(json.loads(json.dumps(model.get_config())))
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(data)["joined"], model(data)["joined"])
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    assert copy.get_config() == model.get_config()


def test_slices_and_arrays_in_calls_are_kept(rng):
    x = layers.Input((6, 4))
    model = Model(x, ops.add(x[:, 1:-1, ..., ::2], np.float32([[1.0, 2.0]])))
    copy = Model.from_config(json.loads(json.dumps(model.get_config())))
    given = rng.random((2, 6, 4), np.float32)
    np.testing.assert_array_equal(copy(given), given[:, 1:-1, ::2] + np.float32([1, 2]))


def test_in_a_file(tmp_path, data):
    model = two_branches()
    save_model(model, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load_model(tmp_path / "m.safetensors")(data)["joined"], model(data)["joined"])


def test_model_cut_out_of_a_model(data):
    model = two_branches()
    part = Model(model.input, model.get_layer("pool").output)
    assert part.output_shape == (None, 4, 4, 4)
    np.testing.assert_array_equal(part(data), model.get_layer("pool")(by_hand_sum(model, data[0])))
    head = Model(model.get_layer("pool").output, model.output["scores"])
    np.testing.assert_array_equal(head(part(data)), model(data)["scores"])


def by_hand_sum(model, image):
    return model.get_layer("conv")(image) + model.get_layer("skip")(image)


def test_model_in_a_model(data):
    inner = two_branches()
    image, vector = layers.Input((8, 8, 3)), layers.Input((5,))
    outer = Model([image, vector], layers.Dense(2)(inner([image, vector])["scores"]))
    assert outer.output_shape == (None, 2)
    assert len(outer.weights) == len(inner.weights) + 2
    np.testing.assert_array_equal(outer(data), outer.layers[-1](inner(data)["scores"]))


def test_sequential_is_a_model(rng):
    stack = Sequential([layers.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")])
    part = Model(stack.input, stack.get_layer("a").output)
    x = rng.random((2, 4), np.float32)
    np.testing.assert_array_equal(part(x), stack.layers[0](x))
    y = layers.Input((4,))
    assert Model(y, stack(y)).output_shape == (None, 2)


def test_training_mode_reaches_inner_layers(rng):
    x = layers.Input((50,))
    model = Model(x, layers.Dropout(0.5)(x))
    given = np.ones((2, 50), np.float32)
    assert (np.asarray(model(given, training=True)) == 0).any()
    np.testing.assert_array_equal(model(given), given)
    frozen = Model(x, layers.Dropout(0.5)(x, training=False))
    np.testing.assert_array_equal(frozen(given, training=True), given)


def test_gradients_flow_through_the_graph(data):
    model = two_branches()
    with cnnfast.GradientTape() as tape:
        loss = ops.sum(model(data)["joined"] ** 2)
    gradients = dict(zip([v.name for v in model.weights], tape.gradient(loss, model.weights), strict=True))
    u = by_hand(model, *data)["joined"]
    assert u.shape == (2, 74)
    assert gradients["kernel"] is None or gradients["kernel"].shape
    conv = model.get_layer("conv").kernel
    with cnnfast.GradientTape() as tape:
        layer = model.get_layer
        x = layer("flat")(layer("pool")(layer("conv")(data[0]) + layer("skip")(data[0])))
        expected_loss = ops.sum(x**2)
    expected = tape.gradient(expected_loss, conv)
    with cnnfast.GradientTape() as tape:
        part = ops.sum(model(data)["joined"][:, 10:] ** 2)
    np.testing.assert_allclose(tape.gradient(part, conv), expected, rtol=1e-5, atol=1e-6)


class Block(layers.Layer):
    """A layer of one's own, which does not tell its output's shape."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = {"first": layers.Dense(units)}

    def build(self, input_shape):
        self.scale = self.add_weight((self.units,), "ones", name="scale")

    def call(self, x, training=None):
        return [self.inner["first"](x) * self.scale, x[:, :1]]


def test_shapes_of_layers_that_do_not_tell_them():
    x = layers.Input((None, 6))
    y, z = Block()(x)
    assert (y.shape, z.shape) == ((None, None, 4), (None, 1, 6))
    model = Model(x, [y, z])
    assert len(model.weights) == 3
    assert [part.shape for part in model(np.zeros((2, 7, 6)))] == [(2, 7, 4), (2, 1, 6)]
    copy = Model.from_config(model.get_config(), {"Block": Block})
    assert copy.output_shape == model.output_shape


class TwoStage(Model):
    def __init__(self, units=3):
        super().__init__()
        self.first, self.second = layers.Dense(units), [layers.Dense(2)]

    def call(self, inputs, training=None):
        a, b = inputs
        return self.second[0](self.first(a) + b)


def test_subclassed_model_builds_itself():
    model = TwoStage()
    assert model([np.zeros((4, 5)), np.ones((4, 3))]).shape == (4, 2)
    assert len(model.weights) == 4
    other = TwoStage()
    other.build([(None, 5), (None, 3)])
    assert [w.shape for w in other.weights] == [w.shape for w in model.weights]
    x, y = layers.Input((5,)), layers.Input((3,))
    assert Model([x, y], TwoStage()([x, y])).output_shape == (None, 2)


def test_errors():
    x, y = layers.Input((3,), name="x"), layers.Input((3,), name="y")
    with pytest.raises(ValueError, match="the outputs depend on Input 'y', which is not among the inputs"):
        Model(x, x + y)
    with pytest.raises(TypeError, match="outputs expects tensors from Input and layers called on it"):
        Model(x, np.zeros(3))
    with pytest.raises(ValueError, match="two layers are named 'same'"):
        Model(x, layers.Dense(3, name="same")(layers.Dense(3, name="same")(x)))
    with pytest.raises(ValueError, match="inputs and outputs, or neither"):
        Model(x)
    with pytest.raises(TypeError, match="describes an array and holds no values"):
        np.asarray(x)
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(x)
    with pytest.raises(ValueError, match="Conv2D 'c': Conv2D expects x of shape"):
        layers.Conv2D(2, 3, name="c")(x)
    with pytest.raises(ValueError, match=r"Dense 'd'.*expects"):
        layers.Dense(2, name="d")(x).node.layer(np.zeros((2, 4)))
    with pytest.raises(AttributeError, match="has no output"):
        layers.Dense(2).output  # noqa: B018


def test_input_by_its_batch_shape():
    assert layers.Input(batch_shape=(2, None, 3)).shape == (2, None, 3)
    with pytest.raises(ValueError, match="expects a tuple, and no shape or batch_size"):
        layers.Input((3,), batch_shape=(2, 3))
    with pytest.raises(ValueError, match="sparse=True cannot be honoured"):
        layers.Input((3,), sparse=True)


def test_input_of_whole_numbers():
    x = layers.Input((4,), dtype="uint8")
    model = Model(x, layers.Rescaling(1 / 255)(x))
    given = np.arange(8, dtype=np.uint8).reshape(2, 4)
    np.testing.assert_allclose(model.predict(given, verbose=0), given / 255, rtol=1e-6)
    assert Model.from_config(model.get_config()).inputs[0].dtype == "uint8"


def test_operators_describe_operations(rng):
    x = layers.Input((3,))
    a = rng.random((2, 3), np.float32)
    cases = {
        "x": (x, a),
        "2 - x": (2 - x, 2 - a),
        "x / 2": (x / 2, a / 2),
        "array * x": (np.float32([1, 2, 3]) * x, a * np.float32([1, 2, 3])),
        "-x ** 2": (-(x**2), -(a**2)),
        "x @": (x @ np.ones((3, 2), np.float32), a @ np.ones((3, 2), np.float32)),
        "abs": (abs(x - 1), abs(a - 1)),
        "relu": (ops.relu(x - 0.5), np.maximum(a - 0.5, 0)),
    }
    model = Model(x, {key: symbolic for key, (symbolic, _) in cases.items()})
    for key, value in model(a).items():
        np.testing.assert_allclose(value, cases[key][1], rtol=1e-6, err_msg=key)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_as_keras_does(rng):
    """The same weights, in the same order, and the same outputs."""
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")

    def build(k):
        a, b = k.layers.Input((16, 16, 3), name="a"), k.layers.Input((5,), name="b")
        x = k.layers.Conv2D(8, 3, padding="same", activation="relu")(a)
        x = k.layers.BatchNormalization()(x) + k.layers.Conv2D(8, 1)(a)
        x = k.layers.Flatten()(k.layers.MaxPooling2D()(x))
        dense = k.layers.Dense(16)
        u = dense(b)
        y = k.layers.Dense(3, activation="softmax")(x)
        return k.Model([a, b], [y, k.ops.concatenate([u * 2.0, dense(u[:, :5])], axis=-1)])

    ours, theirs = build(cnnfast), build(keras)
    assert [type(la).__name__ for la in ours.layers] == [type(la).__name__ for la in theirs.layers]
    weights = [rng.random(w.shape, np.float32) for w in theirs.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    given = [rng.random((4, 16, 16, 3), np.float32), rng.random((4, 5), np.float32)]
    for found, expected in zip(ours(given), theirs.predict(given, verbose=0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def summary_of(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return lines[0]


def test_summary():
    inner = Sequential([layers.Input((6,)), layers.Dense(4, name="deep")], name="inner")
    inner.trainable = False
    x = layers.Input((6,))
    model = Model(x, layers.Dense(2, name="last")(inner(x) * 2.0), name="outer")
    text = summary_of(model)
    assert "deep" not in text
    assert re.search(r"multiply\S* \(multiply\)", text)
    assert f"Output memory per example: {4 * (4 + 4 + 2):.2f} B" in text
    text = summary_of(model, expand_nested=True, show_trainable=True)
    assert [line.split()[-1] for line in text.splitlines()[4:8]] == ["no", "no", "-", "yes"]
    assert "  deep (Dense)" in text
    assert "inner" not in summary_of(model, layer_range=["multiply.*", "last"])
    with pytest.raises(ValueError, match="no layer 'none'"):
        summary_of(model, layer_range=["none", "last"])
    with pytest.raises(ValueError, match="line_length"):
        summary_of(model, line_length=80)
    own = TwoStage()
    with pytest.raises(ValueError, match="not made of symbolic tensors"):
        summary_of(own)
    own([np.zeros((4, 5)), np.ones((4, 3))])
    assert "Total params: 26" in summary_of(own)


@pytest.mark.parametrize(
    "shapes", [((None, 4, 5), (None, 4, 5)), ((None, None, 5), (1, 5)), ((None, 1, 5), (None, 4, 1))]
)
def test_shapes_of_elementwise_operations_are_those_that_trying_finds(shapes):
    from cnnfast.symbolic import tried

    x, y = (layers.Input(batch_shape=shape) for shape in shapes)
    for function in (ops.add, ops.maximum, ops.divide):
        assert function(x, y).shape == tried(function, (x, y), {}).shape
    for function in (ops.relu, ops.sqrt, ops.hard_silu):
        assert function(x).shape == x.shape
    assert (x * np.ones((3, 1, 1, 5))).shape == tried(ops.multiply, (x, np.ones((3, 1, 1, 5))), {}).shape
    assert (np.float32(3.0) - x).shape == x.shape
    assert ops.clip(x, 0.0, 6.0).shape == x.shape
    with pytest.raises(ValueError, match="add"):
        ops.add(layers.Input((4, 5)), layers.Input((3, 5)))
