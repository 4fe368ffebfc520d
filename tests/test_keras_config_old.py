"""Configurations of Keras 2, what cannot be read or written, and damaged configurations."""

import contextlib
import json

import numpy as np
import pytest

from cnnfast import Model, Sequential, layers, ops
from cnnfast.models.keras_config import from_keras_config, to_keras_config
from test_keras_config import small_resnet

# Configurations as version 2.15 wrote them.


def old_layer(name, of, inbound=None, **config):
    common = {"name": name, "trainable": True, "dtype": "float32"}
    entry = {"class_name": of, "config": {**common, **config}}
    return entry if inbound is None else {**entry, "name": name, "inbound_nodes": inbound}


def old_input(shape, name):
    config = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


OLD_CONV = {
    "filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last",
    "dilation_rate": [1, 1], "groups": 1, "activation": "linear", "use_bias": False,
    "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
    "bias_initializer": {"class_name": "Zeros", "config": {}},
    "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}},
    "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
}  # fmt: skip
OLD_NORM = {
    "axis": [3], "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True,
    "beta_initializer": {"class_name": "Zeros", "config": {}},
    "gamma_initializer": {"class_name": "Ones", "config": {}},
    "moving_mean_initializer": {"class_name": "Zeros", "config": {}},
    "moving_variance_initializer": {"class_name": "Ones", "config": {}},
    "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None, "gamma_constraint": None,
}  # fmt: skip


def test_a_functional_model_of_keras_2(rng):
    config = {
        "name": "model",
        "trainable": True,
        "layers": [
            old_input([None, 8, 8, 3], "input_1"),
            old_layer("conv2d", "Conv2D", [[["input_1", 0, 0, {}]]], **OLD_CONV),
            old_layer("bn", "BatchNormalization", [[["conv2d", 0, 0, {}]]], **OLD_NORM),
            old_layer("leaky", "LeakyReLU", [[["bn", 0, 0, {}]]], alpha=0.1),
            old_layer("add", "Add", [[["leaky", 0, 0, {}], ["conv2d", 0, 0, {}]]]),
            old_layer("double", "TFOpLambda", [["add", 0, 0, {"y": 2.0, "name": None}]], function="math.multiply"),
            old_layer("sum", "TFOpLambda", [["double", 0, 0, {"y": ["bn", 0, 0]}]], function="__operators__.add"),
            old_layer(
                "pool", "GlobalAveragePooling2D", [[["sum", 0, 0, {}]]], data_format="channels_last", keepdims=False
            ),
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["pool", 0, 0]],
    }
    model = from_keras_config({"class_name": "Functional", "config": config, "keras_version": "2.15.0"})
    x = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 3, 4)).astype(np.float32)
    gamma, beta, mean, variance = (rng.uniform(0.5, 1.0, 4).astype(np.float32) for _ in range(4))
    model.set_weights([kernel, gamma, beta, mean, variance])
    conv = np.array(ops.conv2d(x, kernel, padding="same"))
    norm = (conv - mean) / np.sqrt(variance + 0.001) * gamma + beta
    expected = ((np.where(norm > 0, norm, 0.1 * norm) + conv) * 2 + norm).mean((1, 2))
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-4)
    assert model.get_layer("conv2d").kernel.regularizer.l2 == 0.01


@pytest.mark.parametrize("bare", [True, False])
def test_a_stack_of_keras_2(bare):
    stack = [
        old_layer("depth", "DepthwiseConv2D", kernel_size=[3, 3], groups=1, batch_input_shape=[None, 8, 8, 3],
                  kernel_initializer={"class_name": "GlorotUniform", "config": {"seed": None}}),
        old_layer("flatten", "Flatten", data_format="channels_last"),
        old_layer("dense", "Dense", units=2, activation="softmax"),
    ]  # fmt: skip
    config = stack if bare else {"name": "net", "layers": stack, "build_input_shape": [None, 8, 8, 3]}
    model = from_keras_config({"class_name": "Sequential", "config": config})
    assert [w.shape for w in model.weights] == [(3, 3, 3, 1), (3,), (108, 2), (2,)]
    assert model.input_shape == (None, 8, 8, 3)


def test_a_model_in_a_model_of_keras_2(rng):
    inner = {
        "name": "inner",
        "layers": [old_input([None, 4], "in"), old_layer("dense", "Dense", [[["in", 0, 0, {}]]], units=4)],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["dense", 0, 0]],
    }
    # Keras 2 numbers the calls of a model from 1.
    outer = {
        "name": "outer",
        "layers": [
            old_input([None, 4], "x"),
            {"class_name": "Functional", "config": inner, "name": "inner",
             "inbound_nodes": [[["x", 0, 0, {}]], [["inner", 1, 0, {}]]]},
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["inner", 2, 0]],
    }  # fmt: skip
    model = from_keras_config({"class_name": "Functional", "config": outer})
    kernel, x = rng.standard_normal((4, 4)).astype(np.float32), rng.standard_normal((3, 4)).astype(np.float32)
    model.set_weights([kernel, np.zeros(4, np.float32)])
    np.testing.assert_allclose(model(x), x @ kernel @ kernel, rtol=1e-4, atol=1e-4)


# What cannot be honoured, and what is no configuration.


def dense(**config):
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2, **config}}
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [layer]}}


def policy(name):
    return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dense(dtype=policy("mixed_float16")), "dtype='mixed_float16' cannot be honoured: everything"),
        (dense(dtype="float64"), "dtype='float64'"),
        (dense(dtype={"class_name": "DTypePolicyMap", "config": {}}), "DTypePolicyMap"),
        (dense(lora_rank=4), "Dense: lora_rank=4 cannot be honoured: low-rank adapters"),
        (dense(wings=2), "wings=2 cannot be honoured: there is no such argument"),
        (dense(activation={"class_name": "__lambda__", "config": {"value": "code"}}), "code, which is not run"),
        (dense(kernel_initializer={"class_name": "Magic", "config": {}}), "initializer 'Magic' is not known"),
        (dense(units="many"), "units expects an integer"),
        ({"class_name": "Magic", "config": {}}, "unknown layer 'Magic'"),
        ({"class_name": "Dense", "config": {}, "module": "mine", "registered_name": "mine>Dense"}, "unknown layer"),
        ({"class_name": "Sequential", "config": {"name": "net"}}, "Sequential expects a list of layers"),
        ({"class_name": "Functional", "config": {"input_layers": [], "output_layers": []}}, "'layers' is missing"),
        ({"class_name": "Functional",
          "config": {"layers": [], **{key: ["x", 0, 0] for key in ("input_layers", "output_layers")}}},
         "no layer makes the tensor"),
        ({"class_name": "Dense"}, "expects class_name and config"),
        ([], "expects class_name and config"),
        (None, "expects class_name and config"),
        ({"class_name": "Add", "module": "keras.src.ops.numpy", "config": 3}, "object"),
        ({"class_name": "Fft", "module": "keras.src.ops.math", "config": {}}, "unknown operation"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(config, message):
    with pytest.raises(ValueError, match=message):
        from_keras_config(config)


def test_defaults_that_ask_for_nothing_pass():
    layer = {"class_name": "BatchNormalization", "module": "keras.layers", "registered_name": None,
             "config": {"renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99, "synchronized": False,
                        "dtype": policy("float32")}}  # fmt: skip
    assert type(from_keras_config(layer)) is layers.BatchNormalization
    layer["config"]["renorm"] = True
    with pytest.raises(ValueError, match="batch renormalization"):
        from_keras_config(layer)


def test_whatever_a_damaged_configuration_holds_is_a_value_error():
    text = json.dumps(to_keras_config(small_resnet(layers, Model)))

    def parts(value, path=()):
        yield path
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(item, (dict, list)):
                yield from parts(item, (*path, key))
            else:
                yield (*path, key)

    for path in parts(json.loads(text)):
        for damage in (None, "x", -1, [], {}, 2.5):
            config = json.loads(text)
            if not path:
                config = damage
            else:
                holder = config
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]] = damage
            with contextlib.suppress(ValueError):
                from_keras_config(config)


class Doubled(layers.Layer):
    def __init__(self, times=2.0, **kwargs):
        super().__init__(**kwargs)
        self.times = times

    def call(self, x):
        return x * self.times


def test_classes_of_your_own():
    entry = {
        "module": "mine",
        "class_name": "Doubled",
        "registered_name": "mine>Doubled",
        "build_config": {"input_shape": [None, 2]},
        "config": {"name": "d", "trainable": True, "dtype": policy("float32"), "times": 3.0},
    }
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": [entry]}}
    for name in ("Doubled", "mine>Doubled"):
        model = from_keras_config(config, {name: Doubled})
        np.testing.assert_allclose(model(np.ones((1, 2))), 3.0)
    with pytest.raises(ValueError, match="unknown layer 'Doubled'"):
        from_keras_config(config)
    model = Sequential([layers.Input((2,)), Doubled(3.0)])
    written = to_keras_config(model)
    assert written["config"]["layers"][1]["registered_name"] == "Doubled"
    again = from_keras_config(written, {"Doubled": Doubled})
    np.testing.assert_allclose(again(np.ones((1, 2))), model(np.ones((1, 2))))


def test_what_keras_does_not_have_is_not_written():
    x = layers.Input((4,))
    layer = layers.Dense(2, learning_rate_multiplier=0.5)
    with pytest.raises(ValueError, match="no learning_rate_multiplier"):
        to_keras_config(Model(x, layer(x)))
    written = to_keras_config(Model(x, layers.Maxout(2)(x)))["config"]["layers"][1]
    assert (written["module"], written["registered_name"]) == ("cnnfast.layers", "cnnfast>Maxout")
    image = layers.Input((4, 4, 2))
    with pytest.raises(ValueError, match=r"no padding=1; put a ZeroPadding layer before it"):
        to_keras_config(Model(image, layers.Conv2D(2, 3, padding=1)(image)))
    with pytest.raises(ValueError, match=r"no operation like ops\.im2col"):
        to_keras_config(Model(image, ops.im2col(image, 3)))
