"""Types of command-line arguments, and arguments that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole(least: int) -> Callable[[str], int]:
    """The type of a whole number of at least `least`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        return value

    return parse


def positive(text: str) -> float:
    """The type of a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def fraction(text: str) -> float:
    """The type of a number from 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text!r}")
    return value


def add_threads(parser: argparse._ActionsContainer) -> None:
    """Add --threads."""
    parser.add_argument("--threads", type=whole(1), metavar="N", help="threads to compute with (default: all)")


def apply_threads(arguments: argparse.Namespace) -> None:
    """Do what --threads asks."""
    if arguments.threads is not None:
        import cnnfast

        cnnfast.set_num_threads(arguments.threads)
