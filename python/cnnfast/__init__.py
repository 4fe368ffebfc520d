"""Convolutional networks on CPUs: train and run them fast, behind the API that Keras users know.

`import cnnfast as keras` and a Keras script runs. What is not needed at once is imported when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from cnnfast import _core, ops
from cnnfast._core import __version__
from cnnfast.autograd import GradientTape, Tensor, Variable, stop_gradient
from cnnfast.config import (
    config_info,
    get_num_threads,
    get_precision,
    set_num_threads,
    set_precision,
    show_config,
)
from cnnfast.gradcheck import gradcheck
from cnnfast.ops import convert_to_tensor
from cnnfast.symbolic import KerasTensor

__all__ = [
    "GradientTape",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Tensor",
    "Variable",
    "__version__",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config_info",
    "constraints",
    "convert_to_tensor",
    "datasets",
    "detection",
    "device",
    "get_num_threads",
    "get_precision",
    "gradcheck",
    "initializers",
    "interop",
    "layers",
    "load_model",
    "losses",
    "memory",
    "metrics",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "set_num_threads",
    "set_precision",
    "show_config",
    "stop_gradient",
    "utils",
    "version",
]

_LAZY_MODULES = {
    "activations",
    "applications",
    "backend",
    "callbacks",
    "constraints",
    "datasets",
    "detection",
    "initializers",
    "interop",
    "layers",
    "losses",
    "memory",
    "metrics",
    "models",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "utils",
}
_LAZY_NAMES = {
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "device": "backend",
    "name_scope": "backend",
    "version": "backend",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "load_model": "models.formats",
}

# OpenMP's threads do not survive a fork: the child computes on one.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.mark_forked)


def __getattr__(name: str) -> Any:
    if name in _LAZY_NAMES:
        found = getattr(_import(_LAZY_NAMES[name], name), name)
    elif name in _LAZY_MODULES:
        found = _import(name, name)
    else:
        raise AttributeError(f"module 'cnnfast' has no attribute {name!r}")
    globals()[name] = found
    return found


def _import(module: str, name: str) -> Any:
    path = f"{__name__}.{module}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # something that the module itself needs
        raise AttributeError(f"module 'cnnfast' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
