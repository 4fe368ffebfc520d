"""Writes the files beside it, with Keras 3 on PyTorch; they are kept so that reading is tested without Keras too."""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy as np

FOLDER = Path(__file__).parent
RNG = np.random.default_rng(7)


def examples():
    return RNG.random((4, 6, 6, 2), np.float32), RNG.integers(0, 2, 4)


def filled(model):
    values = [RNG.uniform(0.1, 0.6, w.shape) * RNG.choice([-1.0, 1.0], w.shape) for w in model.get_weights()]
    model.set_weights([np.abs(v) if v.ndim == 1 else v for v in values])
    return model


def network():
    i = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu", kernel_regularizer="l2")(i)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Add()([x, keras.layers.Conv2D(3, 1)(x)])
    head = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")])
    return keras.Model(i, head(x))


def after_a_step(model, x, y):
    model.train_on_batch(x, y)
    return {f"w{n}": w for n, w in enumerate(model.get_weights())}


def keras_3():
    x, y = examples()
    model = filled(network())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(x, y)
    model.save(FOLDER / "keras3.keras")
    model.save_weights(FOLDER / "keras3.weights.h5")
    model.save(FOLDER / "keras3.h5")
    out = model.predict(x, verbose=0)
    np.savez_compressed(FOLDER / "keras3.npz", x=x, y=y, out=out, **after_a_step(model, x, y))


def keras_2():
    """As TensorFlow 2.4 wrote a Sequential: older names, metrics wrapped, one slot of all variables after the other."""
    x, y = examples()
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(3, 3, use_bias=False, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.LeakyReLU(0.2, name="leaky"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, "softmax", name="scores"),
        ]
    )
    filled(model).compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(x, y)
    slots = [v.numpy() for v in model.optimizer.variables[2:]]
    with h5py.File(FOLDER / "keras2.h5", "w") as file:
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.4.0"
        file.attrs["model_config"] = json.dumps(keras_2_config()).encode()
        file.attrs["training_config"] = json.dumps(keras_2_training()).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            group.create_group(layer.name).attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group[layer.name][name] = weight.numpy()
        trained = [f"{layer.name}/{w.name}" for layer in model.layers for w in layer.trainable_weights]
        state = {"Adam/iter:0": np.array(1, np.int64)}
        for number, slot in enumerate(("m", "v")):
            state |= {f"Adam/{name}/{slot}:0": v for name, v in zip(trained, slots[number::2], strict=True)}
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [name.encode() for name in state]
        for name, value in state.items():
            group[name] = value
    out = model.predict(x, verbose=0)
    np.savez_compressed(FOLDER / "keras2.npz", x=x, y=y, out=out, **after_a_step(model, x, y))


def keras_2_config():
    zeros = {"class_name": "Zeros", "config": {}}
    kernel = {"class_name": "GlorotUniform", "config": {"seed": None}}
    plain = {"trainable": True, "dtype": "float32"}
    none = dict.fromkeys(("kernel_regularizer", "bias_regularizer", "activity_regularizer"))
    none |= dict.fromkeys(("kernel_constraint", "bias_constraint"))
    weights = {"use_bias": True, "kernel_initializer": kernel, "bias_initializer": zeros, **none}
    conv = {"filters": 3, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "data_format": "channels_last"}
    conv |= {"dilation_rate": [1, 1], "groups": 1, "activation": "linear"}
    ones = {"class_name": "Ones", "config": {}}
    norm = {"axis": [3], "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True, "beta_initializer": zeros}
    norm |= {"gamma_initializer": ones, "moving_mean_initializer": zeros, "moving_variance_initializer": ones}
    norm |= dict.fromkeys(("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"))
    shape = [None, 6, 6, 2]
    given = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": "conv_input"}
    layers = [
        ("InputLayer", given),
        ("Conv2D", {"name": "conv", **plain, "batch_input_shape": shape, **conv, **weights, "use_bias": False}),
        ("BatchNormalization", {"name": "norm", **plain, **norm}),
        ("LeakyReLU", {"name": "leaky", **plain, "alpha": 0.20000000298023224}),
        ("Flatten", {"name": "flat", **plain, "data_format": "channels_last"}),
        ("Dense", {"name": "scores", **plain, "units": 2, "activation": "softmax", **weights}),
    ]
    told = [{"class_name": name, "config": config} for name, config in layers]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": told}}


def keras_2_training():
    metric = {"name": "accuracy", "dtype": "float32", "fn": "sparse_categorical_accuracy"}
    adam = {"name": "Adam", "learning_rate": 0.01, "decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07}
    return {
        "loss": "sparse_categorical_crossentropy",
        "metrics": [[{"class_name": "MeanMetricWrapper", "config": metric}]],
        "weighted_metrics": None,
        "loss_weights": None,
        "optimizer_config": {"class_name": "Adam", "config": {**adam, "amsgrad": False}},
    }


if __name__ == "__main__":
    keras_3()
    keras_2()
