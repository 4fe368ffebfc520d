"""Packages that only some functions need: imported when those are called, with an error that tells how to get them."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, owner: str, extra: str) -> Any:
    """Import a package that is not among the library's own needs.

    Args:
        module: what to import, such as "onnx".
        owner: what needs it, for the message.
        extra: the library's extra that installs it.

    Raises:
        ImportError: it is not installed; the message holds the command that does it.

    Example:
        >>> require("json", "reading JSON", "all").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # something that the package itself needs
        raise ImportError(f"{owner} needs {error.name}: pip install 'cnnfast[{extra}]'") from None
