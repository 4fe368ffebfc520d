"""PyTorch modules taken over as models."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast import layers
from cnnfast.extras import require
from cnnfast.interop.channels_first import Arranged, channels_last_order
from cnnfast.interop.torch.conversion.calls import FUNCTIONS, MODULES, Call, UnsupportedError
from cnnfast.models import Model
from cnnfast.naming import reserved_name
from cnnfast.structure import map_leaves

for _family in (
    "activations", "arithmetic", "convolutions", "normalizations", "padding", "pools", "resizing", "shaping",
):  # fmt: skip
    importlib.import_module(f"cnnfast.interop.torch.conversion.{_family}")

_TOLERANCE = 1e-3  # of the largest output, by which the model may differ from the module


def from_torch(
    module: Any,
    example_input: Any,
    data_format: str = "channels_last",
    name: str | None = None,
    check: bool = True,
) -> Any:
    """Make a model of a PyTorch module, with its weights.

    The module is traced with `torch.fx`, as in inference, and every node becomes a layer or operation. Inside, images
    have their channels last. Layers have the modules' names, so `load_torch_weights` and `to_torch_state_dict` fit
    without a mapping (but transposed convolutions in groups become a layer for each group). The model trains as the
    module does, but that moving variances are those of the batch, without PyTorch's factor n / (n - 1).

    Args:
        module: a `torch.nn.Module` that `torch.fx.symbolic_trace` can follow: whose control flow does not depend on
            values.
        example_input: what the module takes, a tensor or array, or the shape of one, the batch first; a tuple or list
            of them for several inputs. The sizes behind the batch become the model's.
        data_format: "channels_last": inputs and outputs of three or more axes have the module's second axis last, so
            (N, C, H, W) there is (N, H, W, C) here. "channels_first": all as in the module, at the price of
            transpositions where images enter and leave.
        name: the model's name.
        check: whether the model and the module are compared on the example, with random numbers if it is a shape.

    Returns:
        A functional `Model`, with outputs in the module's structure (tuples and dicts).

    Raises:
        ImportError: PyTorch is not installed.
        ValueError: the module cannot be traced, has a node that models cannot have (the message names it), or, if
            `check` is set, the model's outputs differ.

    Example:
        >>> import torch  # doctest: +SKIP
        >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())  # doctest: +SKIP
        >>> from_torch(module, (1, 3, 32, 32)).output_shape  # doctest: +SKIP
        (None, 30, 30, 8)
    """
    torch = require("torch", "from_torch", "torch")
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"from_torch: data_format expects channels_last or channels_first, got {data_format!r}")
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"from_torch: module expects a torch.nn.Module, got {type(module).__name__}")
    examples = _examples(torch, example_input)
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        last, traced = data_format == "channels_last", _traced(torch, module)
        expected = _computed(torch, module, examples) if check else None
        model = _Converter(traced, last).model([tuple(example.shape) for example in examples], name)
        if expected is not None:
            _compare(expected, model, examples, last)
    finally:
        for part, training in modes.items():
            part.training = training
    return model


def _examples(torch: Any, given: Any) -> list[Any]:
    if isinstance(given, (tuple, list)) and not (given and all(isinstance(n, int) for n in given)):
        return [example for part in given for example in _examples(torch, part)]
    if isinstance(given, (tuple, list)):
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(tuple(given), generator=generator)]
    return [torch.as_tensor(np.asarray(given) if not hasattr(given, "detach") else given.detach()).float()]


def _traced(torch: Any, module: Any) -> Any:
    try:
        if type(module).__module__.startswith("torch.nn.modules") and type(module).__name__ != "Sequential":
            module = torch.nn.Sequential(module)
        return torch.fx.symbolic_trace(module)
    except Exception as error:  # whatever a module's own code raises when it is given proxies
        raise ValueError(f"from_torch: {type(module).__name__} cannot be traced by torch.fx: {error}") from error


def _computed(torch: Any, module: Any, examples: list[Any]) -> list[Any]:
    """The module's outputs."""
    try:
        with torch.no_grad():
            return [value for value in _flat(module(*examples)) if hasattr(value, "detach")]
    except Exception as error:  # the module's own code, with an example that may not fit
        raise ValueError(f"from_torch: {type(module).__name__} cannot compute the example: {error}") from error


def _compare(expected: list[Any], model: Any, examples: list[Any], channels_last: bool) -> None:
    order = channels_last_order if channels_last else (lambda rank: tuple(range(rank)))
    given = [example.numpy().transpose(order(example.ndim)) for example in examples]
    found = _flat(model(given if len(given) > 1 else given[0], training=False))
    for number, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        wanted = theirs.numpy().transpose(order(theirs.ndim))
        got = np.asarray(ours)
        scale = float(np.abs(wanted).max(initial=0.0))
        worst = float(np.abs(got - wanted).max(initial=0.0)) if got.shape == wanted.shape else np.inf
        if not worst <= _TOLERANCE * max(scale, 1e-6) and np.isfinite(wanted).all():
            raise ValueError(
                f"from_torch: output {number} differs from the module's by {worst:.3g}, its largest value is "
                f"{scale:.3g} (shapes {got.shape} and {wanted.shape}); check=False returns the model all the same"
            )


def _flat(structure: Any) -> list[Any]:
    if isinstance(structure, dict):
        return [leaf for part in structure.values() for leaf in _flat(part)]
    if isinstance(structure, (tuple, list)):
        return [leaf for part in structure for leaf in _flat(part)]
    return [structure]


class _Converter:
    """Goes through a traced module's nodes."""

    def __init__(self, traced: Any, channels_last: bool) -> None:
        self.traced, self.channels_last = traced, channels_last
        self.modules = dict(traced.named_modules())
        self.values: dict[Any, Any] = {}
        self.made: dict[int, Any] = {}
        self.names: set[str] = set()
        self.inputs: list[Any] = []

    def model(self, shapes: Sequence[tuple[int, ...]], name: str | None) -> Any:
        """The model, for inputs of these shapes."""
        left = list(shapes)
        for node in self.traced.graph.nodes:  # what operations are called must not take these names
            reserved_name(_layer_name(str(node.target) if node.op == "call_module" else node.name))
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self.entered(node, left)
            elif node.op == "output":
                if left:
                    raise ValueError(f"from_torch: {len(left)} more inputs were given than the module takes")
                outputs = map_leaves(self.left, _plain_structure(self.resolved(node.args[0])))
            else:
                self.values[node] = self.converted(node)
        return Model(self.inputs[0] if len(self.inputs) == 1 else self.inputs, outputs, name=name)

    def entered(self, node: Any, left: list[tuple[int, ...]]) -> Any:
        """An input, or the default of an argument for which nothing was given."""
        if not left:
            if node.args:
                return node.args[0]
            raise ValueError(f"from_torch: the module takes {node.target!r} too; give an example of it")
        shape = left.pop(0)
        if len(shape) < 2:
            raise ValueError(f"from_torch: input {node.target!r} expects the batch first, got shape {shape}")
        order = channels_last_order(len(shape)) if self.channels_last else tuple(range(len(shape)))
        tensor = layers.Input([shape[axis] for axis in order[1:]], name=self.unique(str(node.target)))
        self.inputs.append(tensor)
        return Arranged(tensor, order)

    def left(self, value: Any) -> Any:
        """An output's tensor."""
        if not isinstance(value, Arranged):
            raise ValueError(f"from_torch: an output is {type(value).__name__}, not computed from the inputs")
        return value.channels_last() if self.channels_last else value.plain()

    def unique(self, name: str) -> str:
        """A layer's name that no other layer has."""
        base = _layer_name(name)
        found, number = base, 0
        while found in self.names:
            number += 1
            found = f"{base}_{number}"
        self.names.add(found)
        return reserved_name(found)

    def resolved(self, argument: Any) -> Any:
        """An argument with the values of the nodes in it."""
        if isinstance(argument, (tuple, list)):
            parts = [self.resolved(part) for part in argument]
            return tuple(parts) if isinstance(argument, tuple) else parts
        if isinstance(argument, dict):
            return {key: self.resolved(part) for key, part in argument.items()}
        if isinstance(argument, slice):
            return slice(*(self.resolved(part) for part in (argument.start, argument.stop, argument.step)))
        return self.values[argument] if type(argument).__name__ == "Node" else argument

    def converted(self, node: Any) -> Any:
        """What a node computes."""
        if node.op == "get_attr":
            return self.attribute(node)
        args, kwargs = self.resolved(tuple(node.args)), self.resolved(dict(node.kwargs))
        if kwargs.get("out", 0) is None:  # some of PyTorch's functions hand it on to others
            del kwargs["out"]
        described, kind, convert, module = self.converter_of(node, args, kwargs)
        try:
            if convert is None:
                if module is None and not any(isinstance(leaf, Arranged) for leaf in _flat([args, kwargs])):
                    return _evaluated(node, args, kwargs)
                raise UnsupportedError("it has no counterpart here")
            own = self.unique(str(node.target) if module is not None else node.name)
            result = convert(Call(described, own, module, self.made, kind), *args, **kwargs)
        except (ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, AttributeError) as error:
            raise ValueError(f"from_torch: {described}: {error}") from error
        if args and isinstance(args[0], Arranged) and _changes_its_input(node, kind, module, kwargs):
            self.values.update({other: result for other, value in self.values.items() if value is args[0]})
        return result

    def converter_of(self, node: Any, args: Any, kwargs: Any) -> tuple[str, str, Callable[..., Any] | None, Any]:
        """The node in words, its function's name, what converts it, and the module that it calls."""
        if node.op == "call_module":
            module = self.modules[node.target]
            kind = type(module).__name__
            known = type(module).__module__.startswith("torch.nn.")
            return f"module {node.target!r} ({kind})", kind, MODULES.get(kind) if known else None, module
        method = node.op == "call_method"
        kind = node.target if method else getattr(node.target, "__name__", str(node.target))
        home = "Tensor" if method else str(getattr(node.target, "__module__", ""))
        ours = method or home.split(".")[0] in ("torch", "_operator", "operator", "builtins", "math")
        tensors = any(isinstance(leaf, Arranged) for leaf in _flat([args, kwargs]))
        convert = FUNCTIONS.get(kind) if ours and tensors else None
        # Of several values, one is chosen as Python does.
        if kind == "getitem" and not isinstance(args[0], Arranged):
            convert = _chosen
        return f"node {node.name!r} ({home}.{kind})", kind, convert, None

    def attribute(self, node: Any) -> Any:
        """A parameter or buffer that the module computes with itself: a constant."""
        value = self.traced
        for part in node.target.split("."):
            value = getattr(value, part)
        if getattr(value, "requires_grad", False):
            raise ValueError(
                f"from_torch: the parameter {node.target!r} is used outside of a module of torch.nn, so no layer could "
                "train it; requires_grad_(False) makes it a constant"
            )
        return value


def _changes_its_input(node: Any, kind: str, module: Any, kwargs: Any) -> bool:
    """Whether whoever reads the input later on gets the result."""
    if module is not None:
        return getattr(module, "inplace", False) is True
    in_place_operator = kind in ("iadd", "isub", "imul", "itruediv", "ipow")
    named = node.op == "call_method" or str(getattr(node.target, "__module__", "")).startswith("torch")
    return in_place_operator or (named and kind.endswith("_")) or kwargs.get("inplace") is True


def _chosen(call: Call, values: Any, key: Any) -> Any:
    return values[key]


def _evaluated(node: Any, args: Any, kwargs: Any) -> Any:
    """A function of sizes and constants alone."""
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    return node.target(*args, **kwargs)


def _layer_name(name: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", name) or "node"


def _plain_structure(value: Any) -> Any:
    """Tuples and dicts of other kinds as plain ones."""
    if isinstance(value, dict):
        return {str(key): _plain_structure(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [_plain_structure(part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value
