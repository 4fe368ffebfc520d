"""Models from ONNX files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnnfast.models.files import PathLike

__all__ = ["load_model", "load_onnx"]


def load_onnx(
    path: PathLike | bytes | Any,
    *,
    data_format: str = "channels_last",
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    constants: Mapping[str, Any] | None = None,
    fold_batch_norm: bool = False,
    name: str | None = None,
) -> Any:
    """Make a model of an ONNX file: layers with its weights, which can be trained further, and operations.

    Images are kept with the channels last from the first layer to the last, so nothing is transposed on the way. What
    the file computes from constants alone, such as the arithmetic with shapes that exporters write down, is computed
    now. Nothing in the file is executed.

    Args:
        path: a file, its bytes, or an `onnx.ModelProto`.
        data_format: "channels_last": inputs of three to five axes are (N, [[D,] H,] W, C) where the file has
            (N, C, ...), and so are outputs that the network computes as images. "channels_first": all shapes are the
            file's. What `Model.save` wrote says itself that its channels are last and is taken as it is.
        input_shapes: for an input's name its shape in the file's order, in place of the file's; None for a size that
            may vary. Sizes that are fixed allow more to be computed now.
        constants: for an input's name a value that it always has.
        fold_batch_norm: whether batch normalization becomes part of the weights before it, which is quicker and cannot
            be trained as before. (`predict` folds it in any case.)
        name: the model's name.

    Returns:
        A `Model`. It takes float32 arrays; what the file declares as integers or booleans is converted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or older than opset 7, or has something that is not supported; the message
            names the operator, the node and the opset.
        ImportError: the package onnx is not installed.

    Example:
        >>> from onnx import TensorProto, helper, numpy_helper
        >>> w = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")
        >>> x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])
        >>> y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        >>> nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["y"])]
        >>> load_onnx(helper.make_model(helper.make_graph(nodes, "net", [x], [y], [w]))).output_shape
        (None, None, None, 8)
    """
    from cnnfast.interop.onnx.calls import NotConstantError
    from cnnfast.interop.onnx.importer import BREAKAGE, Importer
    from cnnfast.interop.onnx.reading import read
    from cnnfast.interop.onnx.rewriting import rewritten

    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"load_onnx: data_format expects 'channels_last' or 'channels_first', got {data_format!r}")
    graph, source = read(path)
    turned = data_format == "channels_last" and not graph.channels_last
    try:
        graph = rewritten(graph, fold_batch_norm)
        return Importer(graph, source, turned, input_shapes, constants).model(name)
    except BREAKAGE as error:
        if isinstance(error, ValueError) and str(error).startswith(source):
            raise
        if isinstance(error, NotConstantError):
            raise NotConstantError(f"{source}: {error}", error.inputs) from error
        raise ValueError(f"{source}: {str(error) or type(error).__name__}") from error


def load_model(
    path: PathLike, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a `.onnx` file as `cnnfast.load_model` does: with the channels last."""
    return load_onnx(path)
