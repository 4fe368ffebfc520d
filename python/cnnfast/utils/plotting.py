"""Pictures of models, drawn by Graphviz."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from cnnfast.structure import leaves


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> None:
    """Draw a model's layers and what goes from one to the next.

    Args:
        model: a built model.
        to_file: the picture. The ending tells the format: .png, .svg, .pdf and others that Graphviz's program `dot`
            writes, or .dot for its input, which needs no program.
        show_shapes: whether to write the shapes that enter and leave each layer.
        show_dtype: whether to write the element type, float32.
        show_layer_names: whether to write the layers' names beside their classes.
        rankdir: "TB" from top to bottom, "LR" from left to right.
        expand_nested: whether to draw the layers of models in the model.
        dpi: dots per inch.
        show_layer_activations: whether to write the layers' activations.
        show_trainable: whether to write whether training changes the layer.
        splines: how lines run, as Graphviz takes it.

    Raises:
        FileNotFoundError: the program `dot` is not installed.
        RuntimeError: it failed.
        ValueError: the model is not built, or `rankdir` is neither.

    Example:
        >>> import cnnfast
        >>> x = cnnfast.Input((4,))
        >>> plot_model(cnnfast.Model(x, cnnfast.layers.Dense(2)(x)), "model.dot", show_shapes=True)
        >>> "Dense" in Path("model.dot").read_text()
        True
    """
    drawing = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, False, show_layer_activations,
        show_trainable, splines,
    )  # fmt: skip
    path = Path(to_file)
    if path.suffix == ".dot":
        path.write_text(drawing.to_string())
        return
    drawing.write(path, format=path.suffix.removeprefix(".") or "png")


class Dot:
    """A picture of a model as Graphviz's program `dot` reads it.

    Args:
        text: in the language of that program.

    Example:
        >>> Dot("digraph model {}").to_string()
        'digraph model {}'
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def to_string(self) -> str:
        """What the program reads."""
        return self._text

    __str__ = to_string

    def create(self, format: str = "png") -> bytes:
        """The picture in a format that the program writes.

        Raises:
            FileNotFoundError: the program is not installed.
            RuntimeError: it failed.
        """
        return self._drawn(f"-T{format}")

    def _drawn(self, *arguments: str) -> bytes:
        program = shutil.which("dot")
        if program is None:
            raise FileNotFoundError(
                "plot_model needs Graphviz's program dot (https://graphviz.org/download), which is not on the PATH; "
                "to_file='model.dot' writes its input"
            )
        done = subprocess.run([program, *arguments], input=self._text.encode(), capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"plot_model: dot failed: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def write(self, path: str | os.PathLike[str], format: str = "raw") -> None:
        """Write the picture, or, in the format "raw", the text."""
        if format == "raw":
            Path(path).write_text(self._text)
        else:
            self._drawn(f"-T{format}", "-o", os.fspath(path))

    def write_png(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as PNG."""
        self.write(path, "png")

    def write_svg(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as SVG."""
        self.write(path, "svg")


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Dot:
    """A model's layers and what goes from one to the next, for Graphviz.

    Args:
        model: a built model.
        show_shapes: whether to write the shapes that enter and leave each layer.
        show_dtype: whether to write the element type, float32.
        show_layer_names: whether to write the layers' names beside their classes.
        rankdir: "TB" from top to bottom, "LR" from left to right.
        expand_nested: whether to draw the layers of models in the model.
        dpi: dots per inch.
        subgraph: not supported: the result is a whole drawing.
        show_layer_activations: whether to write the layers' activations.
        show_trainable: whether to write whether training changes the layer.
        splines: how lines run, as Graphviz takes it.

    Raises:
        ValueError: the model is not built, or an argument cannot be honoured.

    Example:
        >>> import cnnfast
        >>> x = cnnfast.Input((4,))
        >>> "Dense" in model_to_dot(cnnfast.Model(x, cnnfast.layers.Dense(2)(x))).to_string()
        True
    """
    if subgraph:
        raise ValueError("model_to_dot: subgraph=True cannot be honoured: the result is a whole drawing")
    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise ValueError(f"plot_model: rankdir expects TB, LR, BT or RL, got {rankdir!r}")
    shown = {
        "shapes": show_shapes, "dtype": show_dtype, "names": show_layer_names,
        "activations": show_layer_activations, "trainable": show_trainable,
    }  # fmt: skip
    lines = _layers(model, "", {key for key, wanted in shown.items() if wanted}, expand_nested)
    settings = f"  rankdir={rankdir}; dpi={int(dpi)}; splines={_quoted(splines)}; node [shape=box];"
    return Dot("\n".join(["digraph model {", settings, *lines, "}"]) + "\n")


def _layers(model: Any, prefix: str, shown: set[str], expand: bool) -> list[str]:
    """The boxes and arrows of a model; `prefix` tells those of models in it apart."""
    graph = model._known_graph()
    lines = []
    entrances = {}
    for index, tensor in enumerate(graph.inputs):
        entrances[id(tensor)] = box = f"{prefix}input/{index}"
        name = tensor.name if tensor.node is None else tensor.node.layer.name
        details = [text for key, text in (("names", name), ("shapes", str(tensor.shape))) if key in shown]
        label = "\n".join(["Input", *details])
        lines.append(f"  {_quoted(box)} [label={_quoted(label)}];")
    boxes = {node: f"{prefix}{node.layer.name}/{index}" for index, node in enumerate(graph.nodes)}
    for node, box in boxes.items():
        if expand and hasattr(node.layer, "_known_graph"):
            lines.append(f"  subgraph {_quoted('cluster_' + box)} {{ label={_quoted(node.layer.name)};")
            lines += _layers(node.layer, f"{box}/", shown, expand)
            lines.append(f"  {_quoted(box)} [shape=point]; }}")
        else:
            lines.append(f"  {_quoted(box)} [label={_quoted(_label(node, shown))}];")
        for tensor in node.inputs:
            maker = entrances.get(id(tensor)) or boxes[tensor.node]
            lines.append(f"  {_quoted(maker)} -> {_quoted(box)};")
    return lines


def _label(node: Any, shown: set[str]) -> str:
    layer = node.layer
    kind = getattr(layer, "function", type(layer).__name__) if type(layer).__name__ == "OperationLayer" else None
    parts = [kind or type(layer).__name__]
    if "names" in shown:
        parts[0] = f"{layer.name} ({parts[0]})"
    activation = getattr(layer, "activation", None)
    if "activations" in shown and activation is not None:
        parts.append(f"activation: {getattr(activation, '__name__', activation)}")
    if "shapes" in shown:
        entering, leaving = ([t.shape for t in tensors] for tensors in (node.inputs, leaves(node.outputs)))
        parts.append(f"{_listed(entering)} -> {_listed(leaving)}" if entering else _listed(leaving))
    if "dtype" in shown:
        parts.append("float32")
    if "trainable" in shown:
        parts.append("trainable" if layer.trainable else "frozen")
    return "\n".join(parts)


def _listed(shapes: list[Any]) -> str:
    return ", ".join(str(shape) for shape in shapes)


def _quoted(text: str) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
