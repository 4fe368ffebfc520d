"""PP-OCR's detector, classifier and recogniser, imported and compared with ONNX Runtime.

Skipped where their files are not: `published.py` tells where they may lie.
"""

import numpy as np
import pytest

from cnnfast.interop import export_onnx, load_onnx
from onnx_peer import assert_same, run
from published import published

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

# By the file's name: the shapes (N, C, H, W) that it is tried with.
SHAPES = {
    "ch_PP-OCRv4_det_infer.onnx": [(1, 3, 64, 160), (2, 3, 96, 96), (1, 3, 160, 96)],
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": [(1, 3, 48, 192), (3, 3, 48, 192), (2, 3, 64, 96)],
    "ch_PP-OCRv4_rec_infer.onnx": [(1, 3, 48, 320), (2, 3, 48, 160)],
}
FIXED = ("ch_PP-OCRv4_rec_infer.onnx",)  # its attention reshapes by what the sizes are


def page(shape):
    """White paper with dark strokes, in the range that the networks take: what they look for, so that they answer."""
    images, _, height, width = shape
    random = np.random.default_rng(4)
    paper = np.ones((images, height, width), np.float32)
    for image in paper:
        for row in range(10, height - 14, 24):
            for column in range(6, width - 10, 9):
                image[row : row + 12, column : column + 2] = -1
                image[row + random.integers(0, 10) :, column : column + 6][:2] = -1
    noise = random.uniform(-0.05, 0.05, shape).astype(np.float32)
    return np.ascontiguousarray(np.repeat(paper[:, None], 3, axis=1)) + noise


@pytest.mark.parametrize("name", SHAPES)
def test_published_network(name, tmp_path):
    path = published(name)
    model = None
    for shape in SHAPES[name]:
        x = page(shape)
        if model is None or name in FIXED:
            model = load_onnx(path, input_shapes={"x": shape} if name in FIXED else None)
            export_onnx(model, tmp_path / "again.onnx", data_format="channels_first")
        (wanted,) = run(path, [x])
        assert wanted.max() > 0.3  # it has something to say
        found = model.predict(np.moveaxis(x, 1, -1), batch_size=len(x), verbose=0)
        assert_same(np.moveaxis(found, -1, 1) if found.ndim == 4 else found, wanted, 1e-4)
        # Written again, it is the same network still.
        (again,) = run(tmp_path / "again.onnx", [x])
        assert_same(np.moveaxis(again, 1, -1) if again.ndim == 3 else again, wanted, 1e-4)
