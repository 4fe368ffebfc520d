"""Models as ONNX files, for ONNX Runtime, OpenVINO, OpenCV and others to run.

Convolutions work on channels in the second place there. Images enter as the model has them (or channels first, where
asked to) and are transposed once; from there on every value is followed with the order of its axes, so that nothing is
transposed between convolutions, poolings, normalizations, activations, sums and concatenations.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnfast.extras import require
from cnnfast.interop.onnx_export.writing import onnx_model
from cnnfast.layers.arguments import checked_data_format
from cnnfast.models.files import PathLike, may_write, write_atomically

OLDEST, NEWEST = 13, 23


def export_onnx(
    model: Any,
    path: PathLike,
    opset: int = 17,
    data_format: str | None = None,
    *,
    overwrite: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model to an ONNX file, for inference.

    Layers that act in training only are left out. Sizes that the model leaves open, the batch first of all, stay open.
    The file appears whole or not at all. Weights of more than 2 GiB, which no such file holds, are written to a file
    beside it, called as it is with ".data" behind.

    Args:
        model: a built model of layers and `cnnfast.ops`; layers of your own are written as what their `call` calls.
        path: where.
        opset: the version of ONNX's operators, from 13 to 23.
        data_format: "channels_last" (also None): inputs and outputs have the model's shapes. "channels_first": the last
            axis of inputs and outputs of three axes or more comes second, as in (N, C, H, W).
        overwrite: whether an existing file is replaced.
        metadata: texts, or what JSON can hold, by key, for the file's `metadata_props`.

    Raises:
        ImportError: the package onnx is not installed.
        ValueError: the model is not built, something in it cannot be written (the message names the layer), or an
            argument is out of range.
        FileExistsError: there is such a file, and `overwrite` is False.
        OSError: the file cannot be written.

    Example:
        >>> from cnnfast import Sequential, layers
        >>> model = Sequential([layers.Input((28, 28, 1)), layers.Conv2D(8, 3, activation="relu"),
        ...                     layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)])
        >>> export_onnx(model, "digits.onnx")
        >>> import onnx
        >>> [node.op_type for node in onnx.load("digits.onnx").graph.node]
        ['Reshape', 'Conv', 'Relu', 'MaxPool', 'Flatten', 'Gemm']
    """
    first = checked_data_format("export_onnx", data_format) == "channels_first"
    onnx = require("onnx", "export_onnx", "onnx")
    newest = min(NEWEST, onnx.defs.onnx_opset_version())
    if isinstance(opset, bool) or not isinstance(opset, int) or not OLDEST <= opset <= newest:
        raise ValueError(f"export_onnx: opset expects an integer from {OLDEST} to {newest}, got {opset!r}")
    if not model.built:
        raise ValueError(f"{model.name}: a model without weights cannot be written; build it first")
    target = may_write(path, overwrite)
    beside = target.with_name(f"{target.name}.data")
    message, apart = onnx_model(onnx, model, opset, first, metadata or {}, beside.name)
    if apart:  # first, so that a model that is there finds its weights
        arrays = (np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in apart)
        write_atomically(may_write(beside, overwrite), arrays)
    write_atomically(target, message.SerializeToString())


def save_model(
    model: Any,
    filepath: PathLike,
    overwrite: bool = True,
    *,
    metadata: Mapping[str, Any] | None = None,
    include_optimizer: bool = True,
) -> None:
    """What `model.save("name.onnx")` does: `export_onnx`; a file for inference has no place for an optimizer.

    Raises:
        ValueError: as `export_onnx`.
        FileExistsError: there is such a file, and `overwrite` is False.
    """
    export_onnx(model, os.fspath(filepath), overwrite=overwrite, metadata=metadata)
