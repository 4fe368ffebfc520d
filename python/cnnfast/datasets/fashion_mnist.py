"""Fashion-MNIST: 60,000 and 10,000 grey images of clothes, 28x28, a drop-in for MNIST that is harder.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms", 2017, https://arxiv.org/abs/1708.07747.
"""

from __future__ import annotations

import os
from pathlib import Path

from cnnfast import downloads
from cnnfast.datasets import _files

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
_SOURCES = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)


def load_data(path: str | os.PathLike[str] | None = None) -> _files.Split:
    """Load Fashion-MNIST, downloading it on first use.

    Args:
        path: a local copy instead of the download: an .npz with the arrays x_train, y_train, x_test, y_test, or a
            folder with the four original files (train-images-idx3-ubyte.gz and so on, also unpacked).

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images as uint8 arrays of shape (60000, 28, 28) and (10000, 28, 28)
        with values 0 to 255, labels as uint8 arrays of shape (60000,) and (10000,); `CLASS_NAMES` names them.

    Raises:
        OSError: the download failed (the message says where to put the files by hand), or `path` cannot be read.
        ValueError: `path` does not hold the arrays.
    """
    if path is not None:
        return _files.read_npz_or_idx_folder(Path(path))
    for name, sha256 in _SHA256.items():
        urls = tuple(source + name for source in _SOURCES)
        local = downloads.fetch(downloads.RemoteFile(name, sha256, urls), "fashion_mnist")
    return _files.read_idx_folder(local.parent)
