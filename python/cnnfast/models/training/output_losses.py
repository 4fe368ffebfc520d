"""The losses of a model's outputs, weighed and added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfast import losses, ops
from cnnfast import metrics as metric_kinds
from cnnfast.arguments import real
from cnnfast.models.training.outputs import Outputs, is_nested, map_given
from cnnfast.structure import leaves, map_leaves


@dataclass
class _Part:
    """One loss of one output."""

    output: int
    loss: losses.Loss
    weight: float | None = None
    tracker: metric_kinds.Mean | None = None


class OutputLosses:
    """What `compile` was given as `loss` and `loss_weights`, applied to a model's outputs.

    Args:
        loss: a name, loss object or function for all outputs, or one for each in their structure, in a flat list, or
            in a dict by their names; None for outputs without a loss.
        loss_weights: numbers by which the outputs' losses are multiplied in the sum, in the same forms.
        output_names: the outputs' names, where the model knows them.
        structure: something in the structure of the outputs, where it is known before there is data.

    Raises:
        ValueError: a name is not known, or the structures do not fit.
        TypeError: something is neither a loss nor a number.

    Example:
        >>> both = OutputLosses(["mse", "mae"], [1.0, 10.0])
        >>> float(both([np.zeros((1, 1)), np.zeros((1, 1))], [np.full((1, 1), 3.0), np.ones((1, 1))]))
        19.0
    """

    def __init__(
        self,
        loss: Any,
        loss_weights: Any = None,
        output_names: Sequence[str] | None = None,
        structure: Any = None,
    ) -> None:
        self._loss = map_given(losses.as_loss, loss)
        self._weights, self._names = loss_weights, output_names
        if loss_weights is not None:
            map_leaves(lambda weight: weight is None or real("compile", "loss_weights", weight), loss_weights)
        self._outputs: Outputs | None = None
        self._parts: list[_Part] = []
        if structure is not None:
            self._bind(structure)

    @property
    def metrics(self) -> list[metric_kinds.Metric]:
        """Where there are several losses, the mean of each over the batches (not weighed)."""
        return [part.tracker for part in self._parts if part.tracker is not None]

    @property
    def only(self) -> losses.Loss | None:
        """The loss of the one output, where there is no other and no weight; None before the output is known, too."""
        parts, outputs = self._parts, self._outputs
        if len(parts) != 1 or outputs is None or not outputs.single or parts[0].weight is not None:
            return None
        return parts[0].loss

    def _bind(self, y_pred: Any) -> Outputs:
        """Find out which loss belongs to which output."""
        outputs = Outputs(y_pred, self._names)
        count = outputs.count
        if not is_nested(self._loss):
            given: list[Any] = [[self._loss]] * count
        elif outputs.single and isinstance(self._loss, (list, tuple)):
            given = [list(self._loss)]
        elif outputs.single and isinstance(self._loss, dict):
            given = [[loss] for loss in _only(self._loss, outputs)]
        else:
            given = [[loss] for loss in outputs.spread(self._loss, "compile: loss")]
        parts = [_Part(i, loss) for i, found in enumerate(given) for loss in found if loss is not None]
        for part, weight in zip(parts, self._spread_weights(outputs, parts), strict=True):
            part.weight = None if weight is None else float(weight)
        if len(parts) > 1:
            for part, name in zip(parts, self._part_names(outputs, parts), strict=True):
                part.tracker = metric_kinds.Mean(name=f"{name}_loss")
        self._outputs, self._parts = outputs, parts
        return outputs

    def _spread_weights(self, outputs: Outputs, parts: list[_Part]) -> list[Any]:
        weights = self._weights
        if weights is None:
            return [None] * len(parts)
        if not is_nested(weights):
            if len(parts) == 1:
                return [weights]
            raise ValueError(f"compile: loss_weights expects one number for each of {len(parts)} losses, got {weights}")
        if isinstance(weights, dict):
            by_output = _only(weights, outputs) if outputs.single else outputs.spread(weights, "compile: loss_weights")
            return [by_output[part.output] for part in parts]
        flat = leaves(weights)
        if len(flat) == len(parts):
            return flat
        if len(flat) == outputs.count:
            return [flat[part.output] for part in parts]
        raise ValueError(f"compile: loss_weights expects one number for each of {len(parts)} losses, got {len(flat)}")

    def _part_names(self, outputs: Outputs, parts: list[_Part]) -> list[str]:
        names, seen = [], dict[str, int]()
        for part in parts:
            name = outputs.names[part.output] if outputs.names else part.loss.name
            times = seen[name] = seen.get(name, -1) + 1
            names.append(f"{name}_{times}" if times else name)
        return names

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The sum of the losses, each multiplied by its weight; None where no output has a loss.

        Args:
            y_true: labels: one array, or several in the structure of `y_pred`, a flat list, or a dict by name.
            y_pred: what the model returned.
            sample_weight: one array for all outputs, or one for each in the forms of `y_true`.

        Raises:
            ValueError: the structures or shapes do not fit.
        """
        outputs = self._outputs
        if outputs is None or not outputs.same_form(y_pred):
            outputs = self._bind(y_pred)
        if y_true is None and self._parts:
            raise ValueError(
                f"the loss {self._parts[0].loss.name} expects labels: data of the form (x, y) or "
                "(x, y, sample_weight), got x alone"
            )
        if len(self._parts) == 1 and outputs.single and not is_nested(y_true) and not is_nested(sample_weight):
            part = self._parts[0]
            return _weighed(part.loss(y_true, y_pred, sample_weight), part.weight)
        wanted = [any(part.output == i for part in self._parts) for i in range(outputs.count)]
        labels = outputs.values(y_true, wanted, "y")
        weights = [sample_weight] * outputs.count
        if is_nested(sample_weight):
            weights = outputs.values(sample_weight, wanted, "sample_weight")
        return self._sum(labels, leaves(y_pred), weights)

    def _sum(self, labels: list[Any], predicted: list[Any], weights: list[Any]) -> Any:
        total = None
        for part in self._parts:
            i = part.output
            if labels[i] is None:
                raise ValueError(f"y has no labels for output {i}, whose loss is {part.loss.name}")
            value = part.loss(labels[i], predicted[i], weights[i])
            if part.tracker is not None:
                part.tracker.update_state(float(value), sample_weight=predicted[i].shape[0])
            value = _weighed(value, part.weight)
            total = value if total is None else ops.add(total, value)
        return total


def _weighed(value: Any, weight: float | None) -> Any:
    return value if weight is None else ops.multiply(value, np.float32(weight))


def _only(given: dict[str, Any], outputs: Outputs) -> list[Any]:
    """The one entry of a dict for a model of one output."""
    if len(given) != 1 or (outputs.names and list(given) != outputs.names):
        known = f" named {outputs.names[0]!r}" if outputs.names else ""
        raise ValueError(f"compile: the model has one output{known}, got a dict with the keys {list(given)}")
    return list(given.values())
