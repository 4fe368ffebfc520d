"""The metrics of a model's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfast import metrics as metric_kinds
from cnnfast.models.training.outputs import Outputs, is_nested, map_given
from cnnfast.structure import leaves


@dataclass
class _Part:
    """One metric of one output."""

    output: int
    metric: metric_kinds.Metric
    weighted: bool
    key: str = ""


class OutputMetrics(metric_kinds.Metric):
    """What `compile` was given as `metrics` and `weighted_metrics`, gathered from a model's outputs.

    Args:
        metrics: for one output, a metric or a list of them; for several, a list or dict with an entry (a metric, a
            list of them, or None) for each.
        weighted_metrics: the same, for metrics that sample weights count in.
        output_names: the outputs' names, where the model knows them; they begin the names of the results.
        structure: something in the structure of the outputs, where it is known before there is data.

    Raises:
        ValueError: a name is not known, or the structures do not fit.
        TypeError: something is no metric.

    Example:
        >>> metrics = OutputMetrics(["mae", "accuracy"])
        >>> metrics.update_state(np.array([[1.0]]), np.array([[0.75]]))
        >>> metrics.result()
        {'mae': 0.25, 'accuracy': 1.0}
    """

    def __init__(
        self,
        metrics: Any = None,
        weighted_metrics: Any = None,
        output_names: Sequence[str] | None = None,
        structure: Any = None,
    ) -> None:
        super().__init__(name="compile_metrics")
        self._given = (map_given(metric_kinds.as_metric, metrics), map_given(metric_kinds.as_metric, weighted_metrics))
        self._names = output_names
        self._outputs: Outputs | None = None
        self._parts: list[_Part] = []
        if structure is not None:
            self._bind(structure)

    @property
    def metrics(self) -> list[metric_kinds.Metric]:
        """The metrics themselves, those not weighted first."""
        if self._outputs is None:
            return [metric for given in self._given for metric in _flat(given)]
        return [part.metric for part in self._parts]

    @property
    def keys(self) -> list[str]:
        """The names of the results; none before the structure of the outputs is known."""
        return [part.key for part in self._parts]

    def _bind(self, y_pred: Any) -> Outputs:
        """Find out which metric belongs to which output, and name the results."""
        outputs = Outputs(y_pred, self._names)
        parts = [
            _Part(i, metric, weighted)
            for weighted, argument in zip((False, True), self._given, strict=True)
            for i, found in enumerate(_for_outputs(argument, outputs, weighted))
            for metric in found
        ]
        used: dict[str, int] = {}
        for part in parts:
            prefix = f"{outputs.names[part.output]}_" if outputs.count > 1 and outputs.names else ""
            key = f"{prefix}{part.metric.name}"
            if part.weighted and key in used:
                key = f"{prefix}weighted_{part.metric.name}"
            times = used[key] = used.get(key, -1) + 1
            part.key = f"{key}_{times}" if times else key
        self._outputs, self._parts = outputs, parts
        return outputs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions, each one array or a structure of them.

        Raises:
            ValueError: the structures or shapes do not fit.
        """
        outputs = self._outputs
        if outputs is None or not outputs.same_form(y_pred):
            outputs = self._bind(y_pred)
        if outputs.single and not is_nested(y_true) and not is_nested(sample_weight):
            labels, scores, weights = [y_true], [np.asarray(y_pred)], [sample_weight]
        else:
            wanted = [any(part.output == i for part in self._parts) for i in range(outputs.count)]
            labels = outputs.values(y_true, wanted, "y")
            scores = [np.asarray(y) for y in leaves(y_pred)]
            weights = [sample_weight] * outputs.count
            if is_nested(sample_weight):
                weights = outputs.values(sample_weight, wanted, "sample_weight")
        for part in self._parts:
            i = part.output
            if part.weighted and weights[i] is not None:
                part.metric.update_state(labels[i], scores[i], weights[i])
            else:
                part.metric.update_state(labels[i], scores[i])

    def result(self) -> Any:
        """The results by name."""
        return {part.key: part.metric.result() for part in self._parts}

    def reset_state(self) -> None:
        """Forget all batches."""
        for metric in self.metrics:
            metric.reset_state()


def _flat(given: Any) -> list[Any]:
    return [metric for metric in leaves(given) if metric is not None]


def _for_outputs(given: Any, outputs: Outputs, weighted: bool) -> list[list[Any]]:
    """The metrics of each output."""
    what = "weighted_metrics" if weighted else "metrics"
    if given is None or (is_nested(given) and not given):
        return [[] for _ in range(outputs.count)]
    if outputs.count == 1:
        return [_flat(given)]
    if not is_nested(given):
        raise ValueError(f"compile: {what} expects a list or dict with an entry for each of {outputs.count} outputs")
    return [_flat(found) for found in outputs.spread(given, f"compile: {what}")]
