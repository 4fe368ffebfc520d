"""Keras's MNIST convnet, written with cnnfast in place of Keras.

    python examples/mnist_convnet.py                     # downloads MNIST
    python examples/mnist_convnet.py --data mnist.npz    # x_train, y_train, x_test, y_test; or x, y: then 1 in 5 tests

The network is that of https://keras.io/examples/vision/mnist_convnet/ by F. Chollet.
"""

import argparse

import numpy as np

import cnnfast as keras
from cnnfast import layers


def load(path: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images and labels to train on, and to test on."""
    if path is None:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
        return x_train, y_train, x_test, y_test
    with np.load(path) as data:
        if "x_train" in data:
            return data["x_train"], data["y_train"], data["x_test"], data["y_test"]
        x, y = data["x"], data["y"]
    order = np.random.default_rng(0).permutation(len(x))
    test, train = order[: len(x) // 5], order[len(x) // 5 :]
    return x[train], y[train], x[test], y[test]


def main() -> None:
    """Train and test."""
    parser = argparse.ArgumentParser(description="The Keras MNIST convnet on cnnfast.")
    parser.add_argument("--data", metavar="NPZ", help="a local copy of MNIST; downloaded if not given")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=128)
    arguments = parser.parse_args()

    x_train, y_train, x_test, y_test = load(arguments.data)
    x_train, x_test = (x[..., None].astype("float32") / 255 for x in (x_train, x_test))
    y_train, y_test = (keras.utils.to_categorical(y, 10) for y in (y_train, y_test))
    print(f"{len(x_train)} training images, {len(x_test)} test images")

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
    model.summary()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(
        x_train, y_train, batch_size=arguments.batch_size, epochs=arguments.epochs, validation_data=(x_test, y_test)
    )
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
