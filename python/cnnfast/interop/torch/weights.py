"""PyTorch's state_dicts put into models of this library's layers, and the other way round."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnfast.extras import require
from cnnfast.interop.torch.layouts import Part, Slot, parts_of
from cnnfast.interop.torch.matching import Mapper, matched, modules_of
from cnnfast.interop.torch.reading import read_safetensors, read_torch
from cnnfast.interop.torch.report import LoadedWeight, LoadReport
from cnnfast.interop.torch.row_orders import layers_in_order
from cnnfast.interop.torch.storages import Array
from cnnfast.models.files import PathLike
from cnnfast.models.saving import named_weights


def load_torch_weights(
    model: Any,
    source: PathLike | Mapping[str, Any],
    mapping: Mapper | None = None,
    strict: bool = True,
) -> LoadReport:
    """Put the weights of a PyTorch network into a model of the same architecture.

    Kernels are transposed from PyTorch's layouts to this library's. Where a dense layer stands behind a `Flatten` of
    an image, its rows are permuted from PyTorch's order (channels first) to the image's own: the model's graph tells,
    so models that subclass `Model` should begin their dense layers behind a pooling instead. A tensor finds its weight
    by `mapping`, else by the name ("features.0.weight" is the kernel of a layer named "features.0", "features_0", or
    "0" in a model named "features"), and what is left by order and shape: modules in the file's order, layers in the
    order of computing. Where that leaves several possibilities it is an error, not a guess; but two layers of equal
    shapes whose order differs between both networks are not noticed, so look at the report.

    Args:
        model: a built model.
        source: a `.pt`, `.pth`, `.bin` or `.safetensors` file, or a dict of arrays or PyTorch tensors by name.
        mapping: a dict from names in the file, of tensors or whole modules, to the model's names of weights or layers,
            such as {"conv1": "conv2d", "fc.weight": "dense/kernel"}; None for what is not to be used. Or a function
            from a tensor's name to a weight's name or None. What it does not mention is matched as without it.
        strict: whether it is an error if tensors are not used or weights remain without one. Counters
            (`num_batches_tracked`) do not count.

    Returns:
        Which tensor became which weight, by which change; print it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model is not built, the file is damaged or refused, shapes do not fit, or something is left and
            `strict` is set; then no weight is changed.
        TypeError: `source` is neither a path nor a dict of arrays.

    Example:
        >>> from cnnfast import Sequential, layers
        >>> model = Sequential([layers.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv1")])
        >>> state = {"conv1.weight": np.ones((4, 3, 3, 3)), "conv1.bias": np.zeros(4)}
        >>> print(load_torch_weights(model, state))
        tensor        shape            weight        shape         change                    by
        conv1.weight  (4, 3, 3, 3)  -> conv1/kernel  (3, 3, 3, 4)  transposed (2, 3, 1, 0)   name
        conv1.bias    (4,)          -> conv1/bias    (4,)                                    name
    """
    if not model.built:
        raise ValueError(f"{model.name}: load_torch_weights expects a built model; build it or call it first")
    where, tensors = _tensors_of(source)
    parts = parts_in_order(model)
    try:
        matches = matched(tensors, parts, mapping, strict)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    found = {match.slot.path for match in matches}
    used = {match.source for match in matches}
    report = LoadReport(
        tuple(
            LoadedWeight(
                m.source, tensors[m.source].shape, m.slot.path, tuple(m.slot.variable.shape), m.slot.change, m.how
            )
            for m in matches
        ),
        tuple(m.full(role) for m in modules_of(tensors) for role in m.tensors if m.full(role) not in used),
        tuple(slot.path for part in parts for slot in part.slots if slot.path not in found),
    )
    dropped = _dropped(report.unused, mapping)
    if strict and (report.missing or set(report.unused) - dropped):
        raise ValueError(f"{where}: {_leftovers(report, tensors, parts, dropped)}")
    values = [(m.slot.variable, _value(m.source, tensors[m.source], m.slot)) for m in matches]
    for variable, value in values:
        variable.assign(value)
    return report


def parts_in_order(model: Any) -> list[Part]:
    """A model's layers as PyTorch's modules, in the order of computing."""
    paths = {id(variable): path for path, variable in named_weights(model).items()}
    return [
        part
        for layer, path, rows in layers_in_order(model)
        for part in parts_of(layer, path, paths, rows)
        if part.slots
    ]


def _tensors_of(source: PathLike | Mapping[str, Any]) -> tuple[str, dict[str, Array]]:
    if not isinstance(source, Mapping):
        name = os.fspath(source)
        read = read_safetensors if name.lower().endswith(".safetensors") else read_torch
        return name, read(source)
    return "the state_dict", {str(name): _as_array(str(name), value) for name, value in source.items()}


def _as_array(name: str, value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"load_torch_weights: {name!r} expects real numbers, got {array.dtype}")
    return array


def _value(name: str, tensor: Array, slot: Slot) -> Array:
    if tensor.dtype.kind not in "fiub":
        raise ValueError(f"{name!r} expects real numbers, got {tensor.dtype}")
    return np.ascontiguousarray(slot.to_ours(tensor), np.float32).reshape(slot.variable.shape)


def _dropped(unused: tuple[str, ...], mapping: Mapper | None) -> set[str]:
    """Those that the mapping says are not to be used."""
    if mapping is None:
        return set()
    if callable(mapping):
        return {name for name in unused if mapping(name) is None}
    return {name for name in unused if any(mapping.get(key, "") is None for key in (name, name.rpartition(".")[0]))}


def _leftovers(report: LoadReport, tensors: Mapping[str, Array], parts: list[Part], dropped: set[str]) -> str:
    slots = {slot.path: slot for part in parts for slot in part.slots}
    lines = []
    if report.missing:
        named = [f"{path} (expects {slots[path].shape})" for path in report.missing]
        lines.append(f"{len(named)} weights of the model have no tensor: {_some(named)}")
    unused = [f"{name} {tensors[name].shape}" for name in report.unused if name not in dropped]
    if unused:
        lines.append(f"{len(unused)} tensors have no weight: {_some(unused)}")
    return "; ".join(lines) + "; give a mapping, or strict=False to load the rest"


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def load_weights(model: Any, filepath: PathLike, skip_mismatch: bool = False) -> None:
    """Read a model's weights from a file of PyTorch's; see `Model.load_weights` and `load_torch_weights`."""
    report = load_torch_weights(model, filepath, strict=not skip_mismatch)
    for path in report.missing:
        warnings.warn(f"load_weights: {os.fspath(filepath)} has nothing for {path}; left as it is", stacklevel=4)


Naming = Mapping[str, str] | LoadReport | Callable[[str], str] | None


def to_torch_state_dict(model: Any, naming: Naming = None, tensors: bool = False) -> dict[str, Any]:
    """A model's weights under PyTorch's names and in its layouts.

    Args:
        model: a built model.
        naming: how modules are called: by default as the layers, with dots ("block/conv" is "block.conv"). A dict from
            layers' names to modules' names, or from weights' names to tensors' names; a function from a layer's name to
            a module's; or what `load_torch_weights` returned, for the names that it found.
        tensors: whether to return PyTorch tensors instead of arrays.

    Returns:
        Arrays of float32 by name, in the order of computing. `load_torch_weights` of them gives the same weights, bit
        by bit.

    Raises:
        ValueError: the model is not built, two weights get the same name, or a weight has no counterpart there.
        ImportError: PyTorch is not installed, and `tensors` is set.

    Example:
        >>> from cnnfast import Sequential, layers
        >>> model = Sequential([layers.Input((8,)), layers.Dense(4, name="fc")])
        >>> {name: array.shape for name, array in to_torch_state_dict(model).items()}
        {'fc.weight': (4, 8), 'fc.bias': (4,)}
    """
    if not model.built:
        raise ValueError(f"{model.name}: to_torch_state_dict expects a built model; build it or call it first")
    found: dict[str, Any] = {}
    for part in parts_in_order(model):
        for slot in part.slots:
            name = _torch_name(part, slot, naming)
            if name in found:
                raise ValueError(f"to_torch_state_dict: two weights would be named {name!r}; one is {slot.path!r}")
            found[name] = np.array(slot.to_torch(slot.variable.numpy()), np.float32, order="C").reshape(slot.shape)
    if tensors:
        torch = require("torch", "to_torch_state_dict(tensors=True)", "torch")
        return {name: torch.from_numpy(array) for name, array in found.items()}
    return found


def _torch_name(part: Part, slot: Slot, naming: Naming) -> str:
    names = naming.names if isinstance(naming, LoadReport) else naming
    if names is None:
        module = part.path.replace("/", ".")
    elif callable(names):
        module = names(part.path)
    elif slot.path in names:
        return names[slot.path]
    else:
        module = names.get(part.path, part.path.replace("/", "."))
    return f"{module}.{slot.role}" if module else slot.role
