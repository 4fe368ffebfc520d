"""The convolutional network of Keras's MNIST example on real digits, as its users write it.

Needs `mnist_5k.npz` (x: uint8 (5000, 28, 28), y) in the folder that CNNFAST_TEST_DATA names, or in `../shared/data`
beside the checkout.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import cnnfast as keras
from cnnfast import layers

FOLDER = Path(os.environ.get("CNNFAST_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def load():
    path = FOLDER / "mnist_5k.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there: set CNNFAST_TEST_DATA to a folder with mnist_5k.npz")
    with np.load(path) as data:
        order = np.random.default_rng(1).permutation(len(data["y"]))  # the file is sorted by class
        x = data["x"][order].astype("float32")[..., None] / 255
        return x, keras.utils.to_categorical(data["y"][order], 10)


def test_mnist_convnet_learns_from_4000_digits():
    x, y = load()
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x[:4000], y[:4000], batch_size=128, epochs=12, verbose=0)
    _, accuracy = model.evaluate(x[4000:], y[4000:], verbose=0)
    assert accuracy >= 0.955
