"""How long each layer of a model takes, beside what the processor could do in that time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import positive_int
from cnnfast.autograd import GradientTape, to_float32
from cnnfast.config import measure_peak
from cnnfast.models.fusion import PADDINGS
from cnnfast.models.steps import Step
from cnnfast.structure import leaves
from cnnfast.symbolic import is_shape


@dataclass
class LayerProfile:
    """What one call of a layer costs.

    Attributes:
        name: the layer's name; those of several that one pass computes are joined by " + ".
        kind: its class, likewise.
        output_shape: with the batch first.
        seconds: of the forward pass, the best of all repetitions.
        backward_seconds: of the gradients, or None where they were not asked for.
        multiply_adds: multiplications with a weight, each with its addition, for the whole batch.
        gflops: 1e9 operations a second of the forward pass, two for each multiply-add of a direct computation.
        percent_of_peak: that rate over the processor's.
        algorithm: what computes it, where there is a choice.
        output_bytes: of the result.
        weight_bytes: of the weights.
    """

    name: str
    kind: str
    output_shape: Any
    seconds: float
    backward_seconds: float | None
    multiply_adds: int
    gflops: float
    percent_of_peak: float
    algorithm: str
    output_bytes: int
    weight_bytes: int


def profile_model(model: Any, x: Any, training: bool = False, repeats: int = 5) -> list[LayerProfile]:
    """Measure each call of a layer; see `Model.profile`."""
    graph = model._known_graph()
    values = [to_float32(value, "profile") for value in graph.values_of(x)]
    positive_int("profile", "repeats", repeats)
    runs = [_Run(model, values, training) for _ in range(repeats + 1)][1:]  # the first finds caches cold
    peak = measure_peak()
    rows = []
    for i, step in enumerate(graph.steps):
        backward = min(run.backward[i] for run in runs) if training else None
        rows.append(_row(step, runs[0].shapes[i], min(r.forward[i] for r in runs), backward, values[0], peak))
    return rows


class _Run:
    """One pass through a model, and back again where it trains: the seconds of each call of a layer."""

    def __init__(self, model: Any, values: list[Any], training: bool) -> None:
        self.forward: list[float] = []
        self.backward: list[float] = []
        self.shapes: list[list[tuple[int, ...]]] = []
        self._tape = GradientTape(watch_accessed_variables=training)
        with self._tape:
            results = leaves(model._known_graph().run(values, training=training, observe=self._observe))
            total = _total(results) if training else None
        if training:
            self._tape.gradient(total, model.trainable_weights)

    def _observe(self, step: Step, call: Callable[[], Any]) -> Any:
        before = len(self._tape.operations)
        start = time.perf_counter()
        result = call()
        self.forward.append(time.perf_counter() - start)
        self.shapes.append([np.shape(leaf) for leaf in leaves(result)])
        self.backward.append(0.0)
        for operation in self._tape.operations[before:]:
            for way in (operation, operation.around):
                if way is not None:
                    way.vjp = self._timed(way.vjp, len(self.backward) - 1)
        return result

    def _timed(self, vjp: Any, number: int) -> Any:
        def timed(dy: Any, needs: Any) -> Any:
            start = time.perf_counter()
            result = vjp(dy, needs)
            self.backward[number] += time.perf_counter() - start
            return result

        return timed


def _total(results: Sequence[Any]) -> Any:
    total: Any = 0.0
    for result in results:
        total = ops.sum(result) + total
    return total


def _row(step: Step, outputs: list[Any], seconds: float, backward: float | None, x: Any, peak: float) -> LayerProfile:
    shape = step.input_shape
    # Whose shape it is: the first layer's, or the convolution's behind a border.
    worker = step.layers[1 if type(step.layers[0]) in PADDINGS and len(step.layers) > 1 else 0]
    try:
        multiply_adds = len(x) * int(worker.multiply_adds(shape))
    except ValueError:  # a size of the input is not fixed, so neither is the count
        multiply_adds = 0
    rate = 2e-9 * multiply_adds / seconds
    kinds = [getattr(layer, "function", type(layer).__name__) for layer in step.layers]
    return LayerProfile(
        name=" + ".join(layer.name for layer in step.layers),
        kind=" + ".join(kinds),
        output_shape=outputs[0] if len(outputs) == 1 else outputs,
        seconds=seconds,
        backward_seconds=backward,
        multiply_adds=multiply_adds,
        gflops=rate,
        percent_of_peak=100 * rate / peak,
        algorithm=worker.algorithms((len(x), *shape[1:])).get("forward", "") if is_shape(shape) else "",
        output_bytes=4 * sum(int(np.prod(s)) for s in outputs),
        weight_bytes=4 * sum(v.size for layer in step.layers for v in layer.weights),
    )


def profile_text(rows: Sequence[LayerProfile]) -> str:
    """The rows as a table, with a line for all together."""
    backward = any(row.backward_seconds is not None for row in rows)
    header = ["Layer (type)", "Output shape", "ms", "share", "GFLOP/s", "% peak", "Output MB", "Algorithm"]
    total = sum(row.seconds + (row.backward_seconds or 0.0) for row in rows)
    lines = [[*header[:3], "backward ms", *header[3:]] if backward else header]
    for row in rows:
        spent = row.seconds + (row.backward_seconds or 0.0)
        cells = [
            f"{row.name} ({row.kind})",
            str(tuple(row.output_shape)),
            f"{1e3 * row.seconds:.3f}",
            f"{100 * spent / total:.1f} %",
            f"{row.gflops:.1f}" if row.multiply_adds else "",
            f"{row.percent_of_peak:.0f}" if row.multiply_adds else "",
            f"{row.output_bytes / 1e6:.2f}",
            row.algorithm,
        ]
        if backward:
            cells.insert(3, f"{1e3 * (row.backward_seconds or 0.0):.3f}")
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    last = len(widths) - 1

    def aligned(cells: list[str]) -> str:
        left = (0, 1, last)
        return "  ".join(f"{c:{'<' if i in left else '>'}{widths[i]}}" for i, c in enumerate(cells)).rstrip()

    text = [aligned(line) for line in lines]
    rule = "-" * max(len(line) for line in text)
    return "\n".join([text[0], rule, *text[1:], rule, f"All layers: {1e3 * total:.3f} ms"])
