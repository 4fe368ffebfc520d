"""Write python/cnnfast/datasets/digits.npz from scikit-learn's copy of the UCI optical digits.

Needed only to make that file again: `pip install scikit-learn`, then `python tools/embed_digits.py`.
The split is stratified: 36 images of each class, drawn with a fixed seed, become the test set.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).parents[1] / "python" / "cnnfast" / "datasets" / "digits.npz"
TEST_IMAGES_PER_CLASS = 36
SEED = 1998  # the year the data set was published


def main() -> None:
    """Load, split, write."""
    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    generator = np.random.default_rng(SEED)
    order = generator.permutation(len(images))
    in_test = np.zeros(len(images), bool)
    for digit in range(10):
        in_test[order[labels[order] == digit][:TEST_IMAGES_PER_CLASS]] = True
    train, test = order[~in_test[order]], order[in_test[order]]
    np.savez_compressed(TARGET, x_train=images[train], y_train=labels[train], x_test=images[test], y_test=labels[test])
    print(f"{TARGET}: {len(train)} + {len(test)} images, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
