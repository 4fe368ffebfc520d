"""Objects in an image, found by a YOLO network in darknet's files and drawn into it; needs Pillow.

python examples/detect.py street.jpg --cfg yolo-fastest-1.1.cfg --weights yolo-fastest-1.1.weights \
        --names coco.names --output boxes.png
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import cnnfast
from cnnfast import detection
from cnnfast.interop import load_darknet
from cnnfast.interop.darknet import decode, heads

COLOURS = ("red", "lime", "deepskyblue", "gold", "magenta", "orange", "cyan", "white")


def prepared(image: np.ndarray, size: tuple[int, int], letterbox: bool) -> np.ndarray:
    """The image as the network wants it: of its size, with values from 0 to 1."""
    if letterbox:
        return detection.letterbox(image, size)
    return np.asarray(cnnfast.ops.image.resize(image.astype(np.float32) / 255, size))


def main() -> None:
    """Read, compute, print and draw."""
    parser = argparse.ArgumentParser(description="Find objects in an image with a network of darknet.")
    parser.add_argument("image", type=Path)
    parser.add_argument("--cfg", required=True, type=Path, help="the network")
    parser.add_argument("--weights", type=Path, help="the file of that name with the ending .weights by default")
    parser.add_argument("--names", type=Path, help="the names of the classes, one in a line")
    parser.add_argument("--output", type=Path, default=Path("boxes.png"))
    parser.add_argument("--threshold", type=float, default=0.3, help="the lowest score that counts")
    parser.add_argument("--overlap", type=float, default=0.45, help="how much boxes of one class may overlap")
    parser.add_argument("--letterbox", action="store_true", help="add bars instead of stretching the image")
    arguments = parser.parse_args()

    model = load_darknet(arguments.cfg, arguments.weights or arguments.cfg.with_suffix(".weights"))
    size = model.input_shape[1:3]
    classes = heads(model)[0].classes
    names = arguments.names.read_text().split("\n") if arguments.names else [f"class {n}" for n in range(classes)]
    picture = Image.open(arguments.image).convert("RGB")
    image = np.asarray(picture)
    x = prepared(image, size, arguments.letterbox)[None]
    model.predict(x, verbose=0)  # the first time some memory is fetched
    start = time.perf_counter()
    boxes = decode(model.predict(x, verbose=0), model)
    (found,) = detection.non_max_suppression(boxes.boxes, boxes.scores, arguments.overlap, arguments.threshold)
    print(f"{1000 * (time.perf_counter() - start):.1f} ms, {len(found.boxes)} objects")

    parts = detection.unletterbox(found.boxes, image.shape[:2], size) if arguments.letterbox else found.boxes
    corners = detection.convert_boxes(parts, "center_xywh", "xyxy") * np.array([picture.width, picture.height] * 2)
    draw = ImageDraw.Draw(picture)
    for corner, score, number in zip(corners, found.scores, found.classes, strict=True):
        left, top, right, bottom = np.clip(corner, 0, [picture.width, picture.height] * 2)
        label = f"{names[number]} {score:.2f}"
        print(f"{label:24} {left:6.0f} {top:6.0f} {right:6.0f} {bottom:6.0f}")
        colour = COLOURS[number % len(COLOURS)]
        draw.rectangle((left, top, right, bottom), outline=colour, width=3)
        draw.text((left + 5, top + 4), label, fill=colour)
    picture.save(arguments.output)


if __name__ == "__main__":
    main()
