"""CIFAR-10: 50,000 and 10,000 colour images of 32x32 in ten classes.

A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009. The binary version of the data set is
used, not the Python one: that is made of pickles, and unpickling a downloaded file runs whatever code it holds.
"""

from __future__ import annotations

import os
from pathlib import Path

from cnnfast import downloads
from cnnfast.datasets import _files

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_FILE = downloads.RemoteFile(
    name="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
)


def load_data(path: str | os.PathLike[str] | None = None) -> _files.Split:
    """Load CIFAR-10, downloading it (170 MB) on first use.

    Args:
        path: a local copy instead of the download: cifar-10-binary.tar.gz, a folder with its unpacked .bin files, or
            an .npz with the arrays x_train, y_train, x_test, y_test.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images as uint8 arrays of shape (50000, 32, 32, 3) and
        (10000, 32, 32, 3) with values 0 to 255, labels as uint8 arrays of shape (50000, 1) and (10000, 1), as Keras
        has them; `CLASS_NAMES` names them.

    Raises:
        OSError: the download failed (the message says where to put the file by hand), or `path` cannot be read.
        ValueError: `path` does not hold the images.
    """
    if path is None:
        return _files.read_cifar(downloads.fetch(_FILE, "cifar10"))
    path = Path(path)
    return _files.read_npz(path) if path.suffix == ".npz" else _files.read_cifar(path)
