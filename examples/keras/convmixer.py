"""ConvMixer: patches, then depthwise convolutions with residuals and pointwise ones (Trockman and Kolter, 2022)."""

import argparse

import numpy as np

import cnnfast as keras
from cnnfast import layers


def blobs(count, size=32):
    """Images of four classes: where the bright blob is."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, count)
    rows, columns = np.mgrid[:size, :size]
    centre = np.stack([labels // 2, labels % 2]) * (size // 2) + size // 4 + rng.integers(-3, 4, (2, count))
    distance = np.hypot(rows - centre[0][:, None, None], columns - centre[1][:, None, None])
    images = np.exp(-((distance / 5) ** 2))[..., None] * rng.uniform(0.5, 1, (count, 1, 1, 3))
    return (255 * np.clip(images + rng.normal(0, 0.1, images.shape), 0, 1)).astype("float32"), labels


def activation_block(x):
    """GELU, then batch normalization."""
    return layers.BatchNormalization()(layers.Activation("gelu")(x))


def build(size=32, filters=32, depth=3, kernel_size=5, patch_size=4, classes=4):
    """The network."""
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(scale=1.0 / 255)(inputs)
    x = activation_block(layers.Conv2D(filters, kernel_size=patch_size, strides=patch_size)(x))
    for _ in range(depth):
        before = x
        x = layers.DepthwiseConv2D(kernel_size=kernel_size, padding="same")(x)
        x = layers.Add()([activation_block(x), before])
        x = activation_block(layers.Conv2D(filters, kernel_size=1)(x))
    x = layers.GlobalAvgPool2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def main(argv=None):
    """Train, report, and return what `fit` recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(1)

    images, labels = blobs(options.count)
    model = build()
    optimizer = keras.optimizers.AdamW(learning_rate=0.001, weight_decay=0.0001)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(images, labels, batch_size=32, epochs=options.epochs, verbose=0)
    print(f"accuracy {history.history['accuracy'][-1]:.3f}")
    return history.history


if __name__ == "__main__":
    main()
