"""MNIST handwritten digits: 60,000 and 10,000 grey images of 28x28.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", 1998.
"""

from __future__ import annotations

import os
from pathlib import Path

from cnnfast import downloads
from cnnfast.datasets import _files

CLASS_NAMES = tuple("0123456789")

_FILE = downloads.RemoteFile(
    name="mnist.npz",
    sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    urls=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",),
)


def load_data(path: str | os.PathLike[str] | None = None) -> _files.Split:
    """Load MNIST, downloading it on first use.

    Args:
        path: a local copy instead of the download: an .npz with the arrays x_train, y_train, x_test, y_test, or a
            folder with the four original files (train-images-idx3-ubyte and so on, also as .gz).

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images as uint8 arrays of shape (60000, 28, 28) and (10000, 28, 28)
        with values 0 to 255, labels as uint8 arrays of shape (60000,) and (10000,).

    Raises:
        OSError: the download failed (the message says where to put the file by hand), or `path` cannot be read.
        ValueError: `path` does not hold the arrays.
    """
    if path is None:
        return _files.read_npz(downloads.fetch(_FILE, "mnist"))
    return _files.read_npz_or_idx_folder(Path(path))
