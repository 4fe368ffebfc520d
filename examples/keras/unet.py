"""A small U-Net with separable convolutions and residuals that finds the outline and the inside of shapes."""

import argparse

import numpy as np

import cnnfast as keras
from cnnfast import layers


def scenes(count, size=32):
    """Coloured noise with an ellipse in it; the labels are 0 outside, 1 inside and 2 on the outline."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    images = rng.uniform(0, 0.5, (count, size, size, 3)).astype("float32")
    labels = np.zeros((count, size, size), "int32")
    for image, label in zip(images, labels, strict=True):
        centre, axes = rng.uniform(10, 22, 2), rng.uniform(4, 9, 2)
        distance = ((rows - centre[0]) / axes[0]) ** 2 + ((columns - centre[1]) / axes[1]) ** 2
        label[distance < 1.0] = 1
        label[(distance >= 1.0) & (distance < 1.6)] = 2
        image[distance < 1.0] += rng.uniform(0.2, 0.5, 3)
    return images, labels


def build(size=32, classes=3):
    """The network."""
    inputs = keras.Input(shape=(size, size, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    shortcut = x
    for filters in (24, 32):
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.add([x, layers.Conv2D(filters, 1, strides=2, padding="same")(shortcut)])
        shortcut = x
    for filters in (32, 24, 16):
        x = layers.Activation("relu")(x)
        x = layers.Conv2DTranspose(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        residual = layers.Conv2D(filters, 1, padding="same")(layers.UpSampling2D(2)(shortcut))
        x = layers.add([x, residual])
        shortcut = x
    return keras.Model(inputs, layers.Conv2D(classes, 3, activation="softmax", padding="same")(x))


def main(argv=None):
    """Train, report, and return what `fit` recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(1)

    images, labels = scenes(options.count)
    model = build()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    targets = keras.utils.to_categorical(labels, 3)
    history = model.fit(images, targets, batch_size=16, epochs=options.epochs, verbose=0)
    found = np.argmax(model.predict(images[:16], verbose=0), axis=-1)
    print(f"pixels named rightly: {(found == labels[:16]).mean():.3f}")
    return history.history


if __name__ == "__main__":
    main()
