"""A convolutional autoencoder that removes noise from pictures of discs and squares."""

import argparse

import numpy as np

import cnnfast as keras
from cnnfast import layers


def pictures(count, size=32):
    """Grey pictures of one disc or square each, and the same with noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    clean = np.zeros((count, size, size, 1), "float32")
    for picture in clean:
        row, column, radius = rng.uniform(8, 24), rng.uniform(8, 24), rng.uniform(4, 9)
        down, across = np.abs(rows - row), np.abs(columns - column)
        inside = np.hypot(down, across) < radius if rng.random() < 0.5 else np.maximum(down, across) < radius
        picture[inside] = rng.uniform(0.5, 1.0)
    return clean, np.clip(clean + rng.normal(0, 0.3, clean.shape), 0, 1).astype("float32")


def build(size=32):
    """The network."""
    image = layers.Input(shape=(size, size, 1))
    x = layers.Conv2D(16, (3, 3), activation="relu", padding="same")(image)
    x = layers.MaxPooling2D((2, 2), padding="same")(x)
    x = layers.Conv2D(16, (3, 3), activation="relu", padding="same")(x)
    x = layers.MaxPooling2D((2, 2), padding="same", name="code")(x)
    x = layers.Conv2DTranspose(16, (3, 3), strides=2, activation="relu", padding="same")(x)
    x = layers.Conv2DTranspose(16, (3, 3), strides=2, activation="relu", padding="same")(x)
    x = layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)
    return keras.Model(image, x, name="autoencoder")


def main(argv=None):
    """Train, report, and return what `fit` recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(1)

    clean, noisy = pictures(options.count)
    model = build()
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.003), loss="binary_crossentropy")
    history = model.fit(noisy, clean, epochs=options.epochs, batch_size=32, shuffle=True, verbose=0)
    encoder = keras.Model(model.input, model.get_layer("code").output)
    codes = encoder.predict(noisy[:8], verbose=0)
    error = np.abs(model.predict(noisy[:64], verbose=0) - clean[:64]).mean()
    print(f"codes {codes.shape[1:]}, mean error {error:.4f}, of the noise {np.abs(noisy - clean).mean():.4f}")
    return history.history


if __name__ == "__main__":
    main()
