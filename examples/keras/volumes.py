"""A three-dimensional convnet that tells spheres from cubes in volumes, as one would tell findings in scans."""

import argparse

import numpy as np

import cnnfast as keras
from cnnfast import layers


def scans(count, size=20):
    """Volumes with a noisy sphere (0) or cube (1)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    grid = np.stack(np.mgrid[:size, :size, :size], -1)
    volumes = rng.normal(0, 0.2, (count, size, size, size, 1)).astype("float32")
    for volume, label in zip(volumes, labels, strict=True):
        away = np.abs(grid - rng.uniform(8, 12, 3))
        volume[(away.max(-1) < 4) if label else (np.sqrt((away**2).sum(-1)) < 5)] += 1
    return volumes, labels.astype("float32")


def build(size=20):
    """The network."""
    inputs = keras.Input((size, size, size, 1))
    x = inputs
    for filters in (8, 16):
        x = layers.Conv3D(filters=filters, kernel_size=3, activation="relu", padding="same")(x)
        x = layers.MaxPool3D(pool_size=2)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.GlobalAveragePooling3D()(x)
    x = layers.Dense(units=32, activation="relu")(x)
    x = layers.Dropout(0.1)(x)
    return keras.Model(inputs, layers.Dense(units=1, activation="sigmoid")(x), name="3dcnn")


def main(argv=None):
    """Train, report, and return what `fit` recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(1)

    volumes, labels = scans(options.count)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.003, decay_steps=100, decay_rate=0.96, staircase=True)
    model = build()
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(learning_rate=schedule), metrics=["acc"])
    held = options.count // 4
    history = model.fit(
        volumes[held:],
        labels[held:],
        validation_data=(volumes[:held], labels[:held]),
        epochs=options.epochs,
        batch_size=8,
        verbose=0,
    )
    print(f"accuracy {history.history['acc'][-1]:.3f}, held out {history.history['val_acc'][-1]:.3f}")
    return history.history


if __name__ == "__main__":
    main()
