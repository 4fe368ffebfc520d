"""Names that scripts ask Keras for: registered classes, saving, backend, input specifications, bars of progress."""

import numpy as np
import pytest

import cnnfast as keras
import keras_peer
from cnnfast import layers, ops, saving
from cnnfast.models import clone_model, load_model, model_from_json

X = np.random.default_rng(5).random((4, 6), np.float32)


@keras.utils.register_keras_serializable("tests")
class Scaled(layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor


@saving.register_keras_serializable("tests", "bent")
def kinked(x):
    return ops.maximum(x, 0.1 * x)


@saving.register_keras_serializable("tests")
class Small(keras.initializers.Initializer):
    def values(self, shape):
        return np.full(shape, 0.01, np.float32)


@saving.register_keras_serializable("tests")
class Worst(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.max(ops.abs(ops.subtract(y_true, y_pred)), axis=-1)


@saving.register_keras_serializable("tests")
class Slow(keras.optimizers.SGD):
    pass


def test_registered_classes_need_not_be_named(tmp_path):
    x = layers.Input((6,))
    y = layers.Dense(3, activation=kinked, kernel_initializer=Small())(Scaled(3.0)(x))
    model = keras.Model(x, y)
    model.compile(Slow(0.01), Worst())
    model.fit(X, np.zeros((4, 3)), verbose=0)
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again(X), model(X))
    assert type(again.optimizer) is Slow
    assert again.evaluate(X, np.ones((4, 3)), verbose=0) == model.evaluate(X, np.ones((4, 3)), verbose=0)
    fresh = model_from_json(model.to_json())
    assert (fresh.layers[1].factor, fresh.layers[2].activation) == (3.0, kinked)
    np.testing.assert_array_equal(fresh.layers[2].kernel, np.full((6, 3), 0.01, np.float32))
    assert type(clone_model(model).layers[1]) is Scaled


def test_names_and_scopes():
    assert saving.get_registered_name(Scaled) == "tests>Scaled"
    assert saving.get_registered_name(layers.Dense) == "Dense"
    assert saving.get_registered_object("tests>bent") is kinked
    assert keras.utils.get_custom_objects()["tests>Scaled"] is Scaled

    class Local(layers.Layer):
        def call(self, x):
            return x + 1.0

    text = keras.Sequential([layers.Input((6,)), Local()]).to_json()
    with keras.utils.custom_object_scope({"Local": Local}):
        np.testing.assert_array_equal(model_from_json(text)(X), X + 1)
    with pytest.raises(ValueError, match="unknown layer 'Local'"):
        model_from_json(text)
    with pytest.raises(ValueError, match="no get_config"):
        saving.register_keras_serializable()(type("Bare", (), {}))


@pytest.mark.parametrize(
    "made",
    [
        layers.Conv2D(3, 3, activation="relu", kernel_regularizer="l2"),
        Scaled(0.5),
        keras.initializers.HeNormal(seed=1),
        keras.initializers.Identity(2.0),
        keras.regularizers.L1L2(0.1, 0.2),
        keras.constraints.MaxNorm(3),
        keras.losses.Huber(delta=0.5),
        keras.metrics.TopKCategoricalAccuracy(3),
        keras.optimizers.Adam(0.01),
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
    ],
    ids=lambda made: type(made).__name__,
)
def test_objects_are_told_and_made_again(made):
    told = saving.serialize_keras_object(made)
    again = saving.deserialize_keras_object(told)
    assert type(again) is type(made)
    assert saving.serialize_keras_object(again) == told
    assert saving.deserialize_keras_object([told, 3])[1] == 3


def test_objects_that_keras_told():
    peer = keras_peer.keras()
    theirs = [
        peer.layers.Dense(3, kernel_initializer="he_normal"),
        peer.initializers.Orthogonal(gain=2.0),
        peer.regularizers.L2(0.1),
        peer.losses.CategoricalCrossentropy(label_smoothing=0.1),
        peer.metrics.MeanSquaredError(name="m"),
        peer.optimizers.schedules.CosineDecay(0.1, 100),
    ]
    for one in theirs:
        again = saving.deserialize_keras_object(peer.saving.serialize_keras_object(one))
        assert type(again).__name__ == type(one).__name__


def test_objects_that_cannot_be_made():
    with pytest.raises(ValueError, match="safe_mode"):
        saving.deserialize_keras_object({}, safe_mode=False)
    with pytest.raises(TypeError, match="unexpected"):
        saving.deserialize_keras_object({}, wings=2)
    with pytest.raises(ValueError, match="unknown layer"):
        saving.deserialize_keras_object({"class_name": "Magic", "config": {}})


def test_weights_of_any_model(tmp_path):
    model = keras.Sequential([layers.Input((6,)), layers.Dense(2, name="last")])
    other = clone_model(model)
    saving.save_weights(model, tmp_path / "w.safetensors")
    saving.load_weights(other, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other(X), model(X))


# Constructors without **kwargs


class Bare(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.dense(x)


class BareLayer(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.dense(x)


def test_constructors_that_take_no_name(tmp_path):
    model = Bare(3)
    assert model.get_config() == {"units": 3}
    model(X)
    model.save(tmp_path / "bare.safetensors")
    again = load_model(tmp_path / "bare.safetensors", custom_objects={"Bare": Bare})
    np.testing.assert_array_equal(again(X), model(X))
    x = layers.Input((6,))
    for number, net in enumerate((keras.Model(x, BareLayer(3)(x)), keras.Sequential([x, BareLayer(3)]))):
        BareLayer(3)  # takes a name
        net.save(tmp_path / f"{number}.safetensors")
        again = load_model(tmp_path / f"{number}.safetensors", custom_objects={"BareLayer": BareLayer})
        np.testing.assert_array_equal(again(X), net(X))
        assert again.layers[-1].name == net.layers[-1].name


# Weights in attributes


def test_variables_in_attributes_are_weights():
    class Own(layers.Layer):
        def build(self, input_shape):
            self.scale = keras.Variable(np.full(input_shape[-1:], 2.0, np.float32), name="scale")
            self.seen = keras.Variable(0.0, trainable=False, name="seen")

        def call(self, x):
            return x * self.scale

    layer = Own()
    layer(X)
    assert [w.name for w in layer.trainable_weights] == ["scale"]
    assert [w.name for w in layer.non_trainable_weights] == ["seen"]
    model = keras.Sequential([layers.Input((6,)), layer])
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((4, 6)), verbose=0)
    assert not np.array_equal(layer.scale.numpy(), np.full(6, 2.0))


def test_a_built_layer_keeps_its_weights():
    dense = layers.Dense(2)
    dense(X)
    with pytest.raises(ValueError, match=r"kernel cannot become another variable.*kernel\.assign"):
        dense.kernel = keras.Variable(np.zeros((6, 2), np.float32))
    with pytest.raises(ValueError, match="cannot become another variable"):
        dense.more = keras.Variable(1.0)
    kernel = dense.kernel
    dense.kernel = kernel
    assert len(dense.weights) == 2

    class Early(layers.Layer):
        def __init__(self):
            self.w = keras.Variable(1.0)
            super().__init__()

    with pytest.raises(ValueError, match="super"):
        Early()


def test_weights_that_two_layers_share():
    class Tied(layers.Layer):
        def __init__(self, source):
            super().__init__()
            self.source = source

        def build(self, input_shape):
            self.kernel = self.source.kernel

        def call(self, x):
            return ops.matmul(x, ops.transpose(self.kernel))

    dense = layers.Dense(3, use_bias=False)
    code = dense(layers.Input((6,)))
    model = keras.Model(code.node.args[0], Tied(dense)(code))
    assert len(model.weights) == 1
    np.testing.assert_allclose(model(X), X @ dense.kernel.numpy() @ dense.kernel.numpy().T, rtol=1e-4, atol=1e-5)


# Inputs


def test_a_tensor_becomes_an_input():
    x = layers.Input((6,))
    y = layers.Dense(3)(x)
    z = layers.Input(tensor=y, name="code")
    assert z is y
    model = keras.Model(z, layers.Dense(2)(z))
    assert (model.count_params(), model.input_shape) == (8, (None, 3))
    assert keras.Model.from_config(model.get_config()).input_shape == (None, 3)
    with pytest.raises(ValueError, match="tensor expects a symbolic one"):
        layers.Input(tensor=X)
    with pytest.raises(ValueError, match="the tensor has a shape"):
        layers.Input(shape=(3,), tensor=layers.Input((3,)))
    with pytest.raises(ValueError, match="every input is required"):
        layers.Input((3,), optional=True)


SPECS = [
    ({"ndim": 2}, (4, 6), (4, 6, 1)),
    ({"min_ndim": 3}, (4, 6, 1), (4, 6)),
    ({"max_ndim": 2}, (4, 6), (4, 6, 1)),
    ({"axes": {-1: 6}}, (4, 6), (4, 5)),
    ({"shape": (None, 6, 1)}, (4, 6, 1), (4, 5, 1)),
    ({"shape": (None, 6, 1), "allow_last_axis_squeeze": True}, (4, 6), (4, 5)),
    ({"shape": (None, 6), "allow_last_axis_squeeze": True}, (4, 6, 1), (4, 5, 1)),
]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(("spec", "good", "bad"), SPECS, ids=str)
def test_layers_tell_what_they_take(spec, good, bad, symbolic):
    peer = keras_peer.keras()

    def layer_of(of):
        class Particular(of.Layer):
            def __init__(self):
                super().__init__()
                self.input_spec = of.InputSpec(**spec)

            def call(self, x):
                return x * 1.0

        return Particular()

    for of in (layers, peer.layers):

        def give(shape, of=of):
            return of.Input(shape[1:]) if symbolic else np.zeros(shape, np.float32)

        assert tuple(layer_of(of)(give(good)).shape)[1:] == good[1:]
        with pytest.raises(ValueError, match=r"incompatible with the layer|input expects"):
            layer_of(of)(give(bad))


def test_specifications_of_several_inputs():
    class Pair(layers.Layer):
        def __init__(self):
            super().__init__()
            self.input_spec = [layers.InputSpec(ndim=2), layers.InputSpec(ndim=4)]

        def call(self, x):
            return x[0]

    assert Pair()([X, np.zeros((4, 2, 2, 1))]).shape == (4, 6)
    with pytest.raises(ValueError, match="expects 2 inputs, got 1"):
        Pair()(X)
    with pytest.raises(ValueError, match="optional"):
        layers.InputSpec(optional=True)
    with pytest.raises(TypeError, match="axes"):
        layers.InputSpec(axes=3)
    with pytest.raises(ValueError, match="axes below 2"):
        layers.InputSpec(ndim=2, axes={2: 1})


def test_masks_are_refused_and_their_absence_is_not():
    np.testing.assert_array_equal(layers.ReLU()(X, mask=None), X)
    assert layers.ReLU()(layers.Input((3,)), mask=None).shape == (None, 3)
    with pytest.raises(ValueError, match="masks are not supported"):
        layers.ReLU()(X, mask=X > 0)

    class Masked(layers.Layer):
        def call(self, x, mask=None):
            return x if mask is None else x * mask

    mask = (X > 0.5).astype(np.float32)
    np.testing.assert_array_equal(Masked()(X, mask=mask), X * mask)


# The backend


def test_sessions_and_settings():
    layers.Dense(1)
    keras.backend.clear_session()
    assert layers.Dense(1).name == "dense"
    keras.utils.clear_session()
    assert layers.Dense(1).name == "dense"
    assert keras.backend.image_data_format() == keras.config.image_data_format() == "channels_last"
    assert (keras.backend.floatx(), keras.backend.epsilon()) == ("float32", 1e-7)
    for setter, good, bad in (("floatx", "float32", "float16"), ("epsilon", 1e-7, 1e-3)):
        getattr(keras.backend, f"set_{setter}")(good)
        with pytest.raises(ValueError, match="cannot be honoured"):
            getattr(keras.backend, f"set_{setter}")(bad)
    keras.backend.set_image_data_format("channels_last")
    with pytest.raises(ValueError, match="cannot be honoured"):
        keras.backend.set_image_data_format("channels_first")
    assert keras.version() == keras.__version__
    with keras.name_scope("a"), keras.device("/cpu:0"):
        pass
    with pytest.raises(ValueError, match="processor"), keras.device("gpu:0"):
        pass
    with pytest.raises(AttributeError, match="no attribute 'wings'"):
        keras.backend.wings  # noqa: B018


def test_functions_of_old():
    backend = keras.backend

    def dice(y_true, y_pred):
        a, b = backend.flatten(y_true), backend.flatten(y_pred)
        return 1.0 - (2.0 * backend.sum(a * b) + 1.0) / (backend.sum(a) + backend.sum(b) + 1.0)

    y = (X > 0.5).astype(np.float32)
    np.testing.assert_allclose(dice(y, X), 1 - (2 * (y * X).sum() + 1) / (y.sum() + X.sum() + 1), rtol=1e-5)
    model = keras.Sequential([layers.Input((6,)), layers.Dense(6, activation="sigmoid")])
    model.compile("adam", dice)
    assert model.train_on_batch(X, y) > 0
    np.testing.assert_array_equal(backend.permute_dimensions(X, (1, 0)), X.T)
    assert backend.int_shape(layers.Input((3,))) == (None, 3)
    assert backend.batch_flatten(np.zeros((2, 3, 4))).shape == (2, 12)
    for name in backend._OLD:
        assert callable(getattr(backend, name))


def test_a_bar_of_progress(capsys):
    bar = keras.utils.Progbar(4, stateful_metrics=["rate"], verbose=2)
    bar.update(2, [("loss", 1.0), ("rate", 5.0)])
    bar.add(2, [("loss", 3.0), ("rate", 7.0)])
    shown = capsys.readouterr().out
    assert shown.startswith("4/4")
    assert "loss: 2.0000" in shown
    assert "rate: 7.0000" in shown
    keras.utils.Progbar(2, interval=0.0).update(1)
    assert "1/2 [" in capsys.readouterr().out
    assert keras.callbacks.ProgbarLogger is keras.callbacks.ProgressBar


def test_a_model_as_text_for_graphviz(tmp_path):
    model = keras.Sequential([layers.Input((6,)), layers.Dense(2, name="last")])
    drawing = keras.utils.model_to_dot(model, show_shapes=True)
    drawing.write(tmp_path / "m.dot")
    keras.utils.plot_model(model, tmp_path / "n.dot", show_shapes=True, show_layer_names=True)
    assert (tmp_path / "m.dot").read_text() == (tmp_path / "n.dot").read_text() == str(drawing)
    assert "last" in str(drawing)
    with pytest.raises(ValueError, match="subgraph"):
        keras.utils.model_to_dot(model, subgraph=True)


# What layers of users' own are written with


def test_weights_with_all_arguments_of_keras():
    peer = keras_peer.keras()

    def layer_of(of):
        class Own(of.Layer):
            def build(self, input_shape):
                shape = (input_shape[-1], 2)
                self.w = self.add_weight(shape, "ones", self.dtype, regularizer="l2", constraint="non_neg", name="w")
                self.b = self.add_weight(shape=(2,), initializer="zeros", dtype=self.variable_dtype, trainable=False)
                self.c = self.add_variable((), "ones", name="c")

            def call(self, x):
                return of.ops.matmul(x, self.w) + self.b + self.c

        return Own(name="own")

    class Here:
        Layer, ops = keras.layers.Layer, keras.ops

    class There:
        Layer, ops = peer.layers.Layer, peer.ops

    ours, theirs = layer_of(Here), layer_of(There)
    np.testing.assert_allclose(ours(X), theirs(X).detach().numpy(), rtol=1e-5)
    assert [(w.shape, w.trainable) for w in ours.weights] == [(tuple(w.shape), w.trainable) for w in theirs.weights]
    assert float(ours.losses[0]) == pytest.approx(theirs.losses[0].item())
    assert (ours.dtype, ours.compute_dtype, ours.path) == (theirs.dtype, theirs.compute_dtype, "own")
    assert ours.compute_mask(X, None) is None
    with pytest.raises(ValueError, match="masks"):
        ours.compute_mask(X, X)
    with pytest.raises(ValueError, match="weights are float32"):
        ours.add_weight((2,), dtype="int32")
    with pytest.raises(ValueError, match="overwritten"):
        ours.add_weight((2,), overwrite_with_gradient=True)


def test_layers_as_configurations():
    told = layers.serialize(layers.TimeDistributed(layers.Dense(2), name="t"))
    again = layers.deserialize(told)
    assert (again.name, again.layer.units) == ("t", 2)
    with pytest.raises(ValueError, match="unknown layer"):
        layers.deserialize({"class_name": "Magic", "config": {}})


def test_an_optimizer_written_with_assignments():
    class Plain(keras.optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * gradient)

    v = keras.Variable([1.0, 2.0])
    Plain(0.5).apply_gradients([(np.array([1.0, 1.0]), v)])
    np.testing.assert_array_equal(v, [0.5, 1.5])
    optimizer = Plain(0.5)
    optimizer.assign(v, [1.0, 1.0])
    optimizer.assign_add(v, [1.0, 2.0])
    np.testing.assert_array_equal(v, [2.0, 3.0])


def test_methods_of_symbolic_tensors():
    x = layers.Input((4, 6))
    assert x.reshape((-1, 24)).shape == (None, 24)
    assert layers.Input((4, 1)).squeeze(-1).shape == (None, 4)
    stack = keras.Sequential()
    stack.add(layers.Input((6,)), rebuild=False)
    stack.add(layers.Dense(2), rebuild=True)
    assert stack.pop(rebuild=False).units == 2
