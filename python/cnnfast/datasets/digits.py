"""UCI optical recognition of handwritten digits: 1,797 small images, part of the package.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49. Licensed CC BY 4.0; see digits.LICENSE.md beside this file.
"""

from __future__ import annotations

from pathlib import Path

from cnnfast.datasets import _files

CLASS_NAMES = tuple("0123456789")
MAX_VALUE = 16  # a pixel counts the ink in a 4x4 block of the scan


def load_data() -> _files.Split:
    """Load the embedded handwritten digits.

    The split is fixed and stratified: 36 images of each digit are for testing, the other 1,437 for training.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images as uint8 arrays of shape (1437, 8, 8) and (360, 8, 8) with
        values 0 (paper) to 16 (ink), labels as uint8 arrays of shape (1437,) and (360,).

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()
        >>> x_train.shape, x_train.dtype, int(x_train.max()), y_test.shape
        ((1437, 8, 8), dtype('uint8'), 16, (360,))
    """
    return _files.read_npz(Path(__file__).with_name("digits.npz"))
