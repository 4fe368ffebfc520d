"""Small, well-known data sets, in the form Keras users expect: `(x_train, y_train), (x_test, y_test)`.

`digits` is part of the package and needs no network; the others are downloaded once, checked and cached.
"""

from cnnfast.datasets import cifar10, digits, fashion_mnist, mnist

__all__ = ["cifar10", "digits", "fashion_mnist", "mnist"]
