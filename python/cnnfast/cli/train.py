"""Train a network on labelled images and save it.

Without --data: LeNet-5 on the handwritten digits that are part of the package.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cnnfast.cli.arguments import add_threads, apply_threads, fraction, positive, whole
from cnnfast.cli.errors import CommandError
from cnnfast.cli.networks import NETWORKS

if TYPE_CHECKING:
    from cnnfast.models import Sequential

_DIGITS_VARIANTS = 7  # distorted copies of each embedded digit: there are only 1,437


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="an .npz with x_train, y_train, x_test, y_test or with x, y; or a folder with one folder of images per "
        "class, or with two such folders, train and test (default: the embedded digits)",
    )
    data.add_argument("--image-size", type=whole(1), nargs=2, metavar=("H", "W"), help="resize images to this size")
    data.add_argument("--grey", action="store_true", help="read image files as grey, not as colour")
    data.add_argument(
        "--ink",
        action="store_true",
        help="the images are drawn signs such as MNIST's digits: bring image files to their form (light ink on a dark "
        "ground, centred, lines equally thick) before they are classified",
    )
    data.add_argument(
        "--max-value", type=positive, default=255, help="value of a full pixel in arrays of integers (default: 255)"
    )
    data.add_argument(
        "--test-split", type=fraction, default=0.2, help="share held out for testing if there are no test images (0.2)"
    )
    data.add_argument("--validation-split", type=fraction, default=0.0, help="share to watch while training (0)")
    data.add_argument("--augment", type=whole(0), metavar="N", help="distorted copies of each training image to add")

    training = parser.add_argument_group("training")
    training.add_argument("--model", choices=sorted(NETWORKS), default="lenet5", help="network (default: lenet5)")
    training.add_argument("--epochs", type=whole(1), default=10, help="passes over the training images (10)")
    training.add_argument("--batch-size", type=whole(1), default=32, help="images per step (32)")
    training.add_argument(
        "--learning-rate", type=positive, default=2e-3, help="of the Adam optimiser at the start; it falls to 0 (0.002)"
    )
    training.add_argument("--seed", type=whole(0), default=0, help="of everything random (0)")
    add_threads(training)
    training.add_argument("--out", type=Path, metavar="FILE", help="where to save (MODEL-DATA.safetensors)")
    training.add_argument("--quiet", action="store_true", help="no progress, only the result")


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out."""
    import cnnfast as keras
    from cnnfast.cli.augment import with_variants
    from cnnfast.cli.data import Options, load_training_data, stratified_split
    from cnnfast.cli.decay import CosineDecay

    apply_threads(arguments)
    keras.utils.set_random_seed(arguments.seed)
    options = Options(
        size=tuple(arguments.image_size) if arguments.image_size else None,
        channels=1 if arguments.grey or arguments.ink else 3,
        max_value=arguments.max_value,
        ink=arguments.ink,
        test_fraction=arguments.test_split,
        seed=arguments.seed,
    )
    data = load_training_data(arguments.data, options)
    out = arguments.out or Path(f"{arguments.model}-{data.name}.safetensors")
    if not out.resolve().parent.is_dir():  # better said before the training than after it
        raise CommandError(f"{out}: no such folder: {out.resolve().parent}")

    train, validation = data.train, None
    if arguments.validation_split > 0:
        kept, watched = stratified_split(train.y, arguments.validation_split, arguments.seed)
        train, validation = train.part(kept), train.part(watched)
    variants = arguments.augment
    if variants is None:
        variants = _DIGITS_VARIANTS if arguments.data is None else 0
    form = data.preprocessing
    x, y = with_variants(train.x, train.y, variants, empty_outside=form.ink is not None, seed=arguments.seed)

    model = _build(arguments.model, (form.height, form.width, form.channels), len(form.class_names))
    model.compile(
        optimizer=keras.optimizers.Adam(arguments.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    copies = f" and {variants} distorted copies of each" if variants else ""
    print(
        f"{data.name}: {len(train.x)} training images{copies}, {len(data.test.x)} test images, "
        f"{len(form.class_names)} classes, input {form.height}x{form.width}x{form.channels}"
    )
    began = time.perf_counter()
    model.fit(
        x,
        y,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        validation_data=(validation.x, validation.y) if validation is not None and len(validation.x) else None,
        callbacks=[CosineDecay(arguments.learning_rate)],
        verbose=0 if arguments.quiet else "auto",
    )
    print(f"trained in {time.perf_counter() - began:.1f} s")
    if len(data.test.x):
        _, accuracy = model.evaluate(data.test.x, data.test.y, verbose=0)
        print(f"test accuracy: {accuracy:.2%} ({round(accuracy * len(data.test.x))} of {len(data.test.x)})")
    model.save(out, metadata=form.metadata(), include_optimizer=False)
    print(f"saved {out}")
    return 0


def _build(name: str, input_shape: tuple[int, int, int], classes: int) -> Sequential:
    network, least = NETWORKS[name]
    if min(input_shape[:2]) < least:
        raise CommandError(
            f"{name} needs images of at least {least}x{least} pixels, these have {input_shape[0]}x{input_shape[1]}: "
            f"try --image-size 32 32"
        )
    return network(input_shape, classes)
