"""Show a saved model's layers, their output shapes and their sizes."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .safetensors file")


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out."""
    from cnnfast.models import load_model

    load_model(arguments.model).summary()
    return 0
