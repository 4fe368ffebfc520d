"""Event files for TensorBoard: curves, histograms of weights, filters as images, the graph of layers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import integer, positive_int, refuse_unsupported
from cnnfast.callbacks.base import Callback, Logs


class TensorBoard(Callback):
    """Writes what TensorBoard shows (`tensorboard --logdir logs`); needs `pip install cnnfast[tensorboard]`.

    Curves are named as Keras names them: `epoch_loss`, `epoch_learning_rate`, ... in the folders `train` and
    `validation`.

    Args:
        log_dir: the folder for the event files; each training needs one of its own.
        histogram_freq: write histograms of the weights after every so many epochs, 0 for never.
        write_graph: whether to write the graph of layers.
        write_images: whether to write kernels as images beside their histograms.
        write_steps_per_second: whether to write how fast the training goes.
        update_freq: "epoch", "batch" (each of them) or after how many batches to write curves besides.
        profile_batch: 0; there is no profile to write.
        embeddings_freq: 0; embeddings are not written.
        **unsupported: arguments that exist elsewhere and raise with the reason.

    Raises:
        ImportError: tensorboardX is not installed.
        ValueError: an argument cannot be honoured.

    Example:
        >>> TensorBoard("logs/first", histogram_freq=1).log_dir  # doctest: +SKIP
        'logs/first'
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        **unsupported: Any,
    ) -> None:
        refuse_unsupported("TensorBoard", unsupported)
        _writer_class()
        for name, value in (("profile_batch", profile_batch), ("embeddings_freq", embeddings_freq)):
            if value:
                raise ValueError(f"TensorBoard: {name}={value!r} cannot be honoured: it is not written")
        if embeddings_metadata is not None:
            raise ValueError("TensorBoard: embeddings_metadata cannot be honoured: embeddings are not written")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = integer("TensorBoard", "histogram_freq", histogram_freq)
        self.write_graph, self.write_images = bool(write_graph), bool(write_images)
        self.write_steps_per_second = bool(write_steps_per_second)
        self.update_freq: int | None = None
        if update_freq != "epoch":
            self.update_freq = 1 if update_freq == "batch" else positive_int("TensorBoard", "update_freq", update_freq)
        self._writers: dict[str, Any] = {}
        self._batches = self._batches_before = 0
        self._start = 0.0

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            self._writers[part] = _writer_class()(os.path.join(self.log_dir, part))
        return self._writers[part]

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._batches = 0
        if self.write_graph:
            graph = self.model._graph_if_known() if hasattr(self.model, "_graph_if_known") else None
            if graph is not None:
                _write_graph(self._writer("train"), graph)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._batches_before, self._start = self._batches, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._batches += 1
        if self.update_freq is not None and self._batches % self.update_freq == 0:
            writer = self._writer("train")
            for key, value in (logs or {}).items():
                writer.add_scalar(f"batch_{key}", value, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        logs = dict(logs or {})
        logs.setdefault("learning_rate", float(self.model.optimizer.learning_rate))
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._start, 1e-9)
            logs["steps_per_second"] = (self._batches - self._batches_before) / seconds
        for key, value in logs.items():
            part = "validation" if key.startswith("val_") else "train"
            self._writer(part).add_scalar(f"epoch_{key.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for name, variable in _named_weights(self.model):
            values = variable.numpy()
            if not np.isfinite(values).all() or not values.size:
                continue
            writer.add_histogram(f"{name}/histogram", values, epoch)
            if self.write_images and values.ndim >= 2:
                writer.add_image(f"{name}/image", picture(values), epoch, dataformats="HWC")

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.release()

    def release(self) -> None:  # noqa: D102
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError("TensorBoard needs tensorboardX: pip install 'cnnfast[tensorboard]'") from error
    return SummaryWriter


def _named_weights(layer: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    own = [v for v in layer.weights if not any(v is w for part in layer.sublayers() for w in part.weights)]
    for variable in own:
        yield f"{prefix}{variable.name}", variable
    for part in dict.fromkeys(layer.sublayers()):
        yield from _named_weights(part, f"{prefix}{part.name}/")


def picture(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A kernel as an image with values from 0 to 1: filters side by side, input channels below each other.

    Args:
        weights: (rows, columns, inputs, filters), or (..., rows, columns). Three input channels are shown in colours.

    Returns:
        (height, width, 1 or 3), with a line of one pixel between filters.

    Example:
        >>> picture(np.arange(2 * 2 * 3 * 5, dtype=np.float32).reshape(2, 2, 3, 5)).shape
        (2, 14, 3)
    """
    low, high = float(weights.min()), float(weights.max())
    scaled = (weights - low) / max(high - low, 1e-12)
    if weights.ndim < 4:
        return scaled.reshape(-1, scaled.shape[-1], 1)
    rows, columns, inputs, filters = scaled.shape[-4:]
    scaled = scaled.reshape(-1, rows, columns, inputs, filters)[0]
    if inputs == 3:
        strips = np.zeros((rows, filters * (columns + 1), 3), np.float32)
        for i in range(filters):
            strips[:, i * (columns + 1) : i * (columns + 1) + columns] = scaled[..., i]
        return strips[:, :-1]
    image = np.zeros((inputs * (rows + 1), filters * (columns + 1), 1), np.float32)
    for i in range(filters):
        for j in range(inputs):
            top, left = j * (rows + 1), i * (columns + 1)
            image[top : top + rows, left : left + columns, 0] = scaled[:, :, j, i]
    return image[:-1, :-1]


def _write_graph(writer: Any, graph: Any) -> None:
    """The layers as nodes and what flows between them as edges."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.graph_pb2 import GraphDef
    from tensorboardX.proto.node_def_pb2 import NodeDef
    from tensorboardX.proto.versions_pb2 import VersionDef

    names: dict[int, str] = {}
    used: dict[str, int] = {}

    def named(name: str) -> str:
        times = used[name] = used.get(name, -1) + 1
        return f"{name}_{times}" if times else name

    nodes = []
    for tensor in graph.inputs:
        names[id(tensor)] = named(tensor.name)
        nodes.append(NodeDef(name=names[id(tensor)], op="Input"))
    for node in graph.nodes:
        name = named(node.layer.name)
        sources = [names[id(tensor)] for tensor in node.inputs]
        nodes.append(NodeDef(name=name, op=type(node.layer).__name__, input=sources))
        outputs = node.outputs if isinstance(node.outputs, (list, tuple)) else [node.outputs]
        names.update({id(tensor): name for tensor in outputs})
    written = GraphDef(node=nodes, versions=VersionDef(producer=22))
    writer.file_writer.add_event(Event(graph_def=written.SerializeToString()))
