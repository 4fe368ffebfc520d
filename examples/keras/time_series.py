"""A one-dimensional convnet that tells which motor runs badly from a recording of its vibration."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import cnnfast as keras
from cnnfast import layers


def recordings(count, length=256):
    """Two sines and noise; those of class 1 have a knock now and then."""
    rng = np.random.default_rng(0)
    time = np.arange(length)
    labels = rng.integers(0, 2, count)
    phase, rate = rng.uniform(0, 6, (2, count, 1))
    x = np.sin(time * (0.1 + rate / 20) + phase) + 0.5 * np.sin(time * 0.31 + 2 * phase)
    x += rng.normal(0, 0.3, x.shape)
    for row in np.flatnonzero(labels):
        x[row, rng.integers(0, length, 4)] += rng.choice([-3, 3], 4)
    return x[..., None].astype("float32"), labels


def build(length=256):
    """The network."""
    signal = keras.layers.Input((length, 1))
    x = signal
    for _ in range(3):
        x = layers.Conv1D(filters=32, kernel_size=3, padding="same")(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.models.Model(inputs=signal, outputs=layers.Dense(2, activation="softmax")(x))


def main(argv=None):
    """Train, report, and return what `fit` recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(1)

    x, y = recordings(options.count)
    model = build()
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [
            keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=4, min_lr=0.0001),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=8, restore_best_weights=True),
            keras.callbacks.CSVLogger(str(Path(folder) / "log.csv")),
        ]
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
        history = model.fit(
            x, y, batch_size=32, epochs=options.epochs, callbacks=callbacks, validation_split=0.2, verbose=0
        )
        logged = (Path(folder) / "log.csv").read_text().splitlines()
    loss, accuracy = model.evaluate(x, y, verbose=0)
    print(f"{len(logged) - 1} epochs; loss {loss:.3f}, accuracy {accuracy:.3f}")
    return history.history


if __name__ == "__main__":
    main()
