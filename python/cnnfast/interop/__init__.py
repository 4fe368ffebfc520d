"""Networks of other libraries and for them; each module is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import Any

_FUNCTIONS = {
    "export_onnx": "cnnfast.interop.onnx_export",
}

__all__ = ["export_onnx"]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'cnnfast.interop' has no attribute {name!r}")
