"""A small Xception: separable convolutions with residuals, augmentation in the model, from scratch on small images."""

import argparse

import numpy as np

import cnnfast as keras
from cnnfast import layers


def textures(count, size=40):
    """Stripes along one of two directions, in random colours."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    labels = rng.integers(0, 2, count)
    images = np.empty((count, size, size, 3), "float32")
    for image, label in zip(images, labels, strict=True):
        along = rows if label else columns
        wave = np.sin(along * rng.uniform(0.4, 1.2) + rng.uniform(0, 6))
        image[...] = 127 + 80 * wave[..., None] * rng.uniform(0.3, 1, 3)
    return np.clip(images + rng.normal(0, 30, images.shape), 0, 255).astype("float32"), labels


def build(size=40):
    """The network."""
    inputs = keras.Input(shape=(size, size, 3))
    x = layers.Rescaling(1.0 / 255)(inputs)
    x = layers.Conv2D(filters=16, kernel_size=5, use_bias=False)(x)
    for filters in (16, 32, 64):
        residual = x
        for _ in range(2):
            x = layers.BatchNormalization()(x)
            x = layers.Activation("relu")(x)
            x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(residual)
        x = layers.add([x, residual])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.25)(x)
    return keras.Model(inputs=inputs, outputs=layers.Dense(1, activation="sigmoid")(x))


def main(argv=None):
    """Train, report, and return what `fit` recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(1)

    images, labels = textures(options.count)
    model = build()
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    history = model.fit(images, labels, epochs=options.epochs, batch_size=32, verbose=0)
    print(f"accuracy {history.history['accuracy'][-1]:.3f}")
    return history.history


if __name__ == "__main__":
    main()
