"""The programs in examples/ run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.mark.parametrize("keys", [("x_train", "y_train", "x_test", "y_test"), ("x", "y")])
def test_mnist_convnet(tmp_path, rng, keys):
    """Ten kinds of images that are easy to tell apart: the network must learn some of it in one epoch."""
    y = np.tile(np.arange(10, dtype=np.uint8), 40)
    x = rng.integers(0, 40, (400, 28, 28), dtype=np.uint8)
    for digit in range(10):
        x[y == digit, 2 * digit + 2 : 2 * digit + 7] = 220
    arrays = (x, y) if len(keys) == 2 else (x[:320], y[:320], x[320:], y[320:])
    np.savez(tmp_path / "data.npz", **dict(zip(keys, arrays, strict=True)))
    result = subprocess.run(
        [sys.executable, EXAMPLES / "mnist_convnet.py", "--data", "data.npz", "--epochs", "3", "--batch-size", "16"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "320 training images, 80 test images" in result.stdout
    assert "34,826" in result.stdout  # Keras's count of this network's parameters
    assert float(result.stdout.rsplit("test accuracy ", 1)[1]) > 0.5
