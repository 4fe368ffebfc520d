"""Measure a saved model's loss and accuracy on labelled images.

Without --data: the test images of the embedded digits.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cnnfast.cli.arguments import add_threads, apply_threads, whole
from cnnfast.cli.errors import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .safetensors file from `cnnfast train`")
    parser.add_argument("--data", type=Path, metavar="PATH", help="labelled images, in a form that `train` takes")
    parser.add_argument("--batch-size", type=whole(1), default=32, help="images per step (32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out."""
    from cnnfast.cli.data import embedded_digits, load_labelled
    from cnnfast.cli.trained import load_trained

    apply_threads(arguments)
    model, form = load_trained(arguments.model)
    if arguments.data is not None:
        images = load_labelled(arguments.data, form)
    else:
        digits = embedded_digits()
        if digits.preprocessing != form:
            raise CommandError(f"{arguments.model} was not trained on the embedded digits: say --data")
        images = digits.test
    if not len(images.x):
        raise CommandError(f"{arguments.data}: no images to evaluate on")
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(images.x, images.y, batch_size=arguments.batch_size, verbose=0)
    if arguments.json:
        print(json.dumps({"images": len(images.x), "loss": float(loss), "accuracy": float(accuracy)}))
    else:
        right = round(accuracy * len(images.x))
        print(f"loss: {loss:.4f}\naccuracy: {accuracy:.2%} ({right} of {len(images.x)})")
    return 0
