"""Networks of other libraries and for them; each module is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import Any

_FUNCTIONS = {
    "export_onnx": "cnnfast.interop.onnx_export",
    "load_darknet": "cnnfast.interop.darknet",
    "load_onnx": "cnnfast.interop.onnx",
    "from_torch": "cnnfast.interop.torch.conversion",
    "load_torch_weights": "cnnfast.interop.torch.weights",
    "read_safetensors": "cnnfast.interop.torch.reading",
    "read_torch": "cnnfast.interop.torch.reading",
    "save_torch": "cnnfast.interop.torch.writing",
    "to_torch_state_dict": "cnnfast.interop.torch.weights",
}

__all__ = [
    "export_onnx",
    "from_torch",
    "load_darknet",
    "load_onnx",
    "load_torch_weights",
    "read_safetensors",
    "read_torch",
    "save_torch",
    "to_torch_state_dict",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'cnnfast.interop' has no attribute {name!r}")
