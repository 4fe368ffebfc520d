"""A model file and the preprocessing that belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cnnfast.cli.errors import CommandError
from cnnfast.cli.images import Preprocessing

if TYPE_CHECKING:
    from cnnfast.models import Sequential


def load_trained(path: Path) -> tuple[Sequential, Preprocessing]:
    """Load a model that classifies images.

    Raises:
        CommandError: the model does not take images, or does not give one probability per class.
    """
    from cnnfast.models import load_model, read_metadata

    model = load_model(path)
    outputs = model.output_shape
    if len(outputs) != 2 or outputs[1] is None:
        raise CommandError(f"{path}: expected a classifier with output (N, classes), its output is {outputs}")
    return model, Preprocessing.from_metadata(read_metadata(path), tuple(model.input_shape[1:]), outputs[1])
