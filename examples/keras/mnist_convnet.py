"""A convnet that reads handwritten digits: the first network of most courses."""

import argparse

import numpy as np

import cnnfast as keras
from cnnfast import layers


def digits(path, count):
    """Images of digits from an .npz file with x_train and y_train, or strokes drawn at random where there is none."""
    if path:
        with np.load(path) as data:
            return data["x_train"][:count], data["y_train"][:count]
    rng = np.random.default_rng(0)
    templates = rng.random((10, 7, 7)) > 0.6
    labels = rng.integers(0, 10, count)
    images = np.kron(templates[labels], np.ones((1, 4, 4))) * 200
    return (images + rng.normal(0, 20, images.shape)).clip(0, 255).astype("uint8"), labels


def build():
    """The network."""
    return keras.Sequential(
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


def main(argv=None):
    """Train, report, and return what `fit` recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="an .npz file such as Keras's mnist.npz")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(1)

    x, y = digits(options.data, options.count)
    x = np.expand_dims(x.astype("float32") / 255, -1)
    y = keras.utils.to_categorical(y, 10)
    model = build()
    model.summary()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=64, epochs=options.epochs, validation_split=0.1, verbose=0)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    print(f"loss {loss:.3f}, accuracy {accuracy:.3f}")
    return history.history


if __name__ == "__main__":
    main()
