"""What `compile` chooses: optimizer, losses and metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnfast import metrics as metric_kinds
from cnnfast import ops, optimizers
from cnnfast.arguments import integer
from cnnfast.autograd import Value, Variable
from cnnfast.configured import serialize
from cnnfast.models.training.output_losses import OutputLosses
from cnnfast.models.training.output_metrics import OutputMetrics
from cnnfast.structure import map_leaves

Logs = dict[str, float]


class Compiled:
    """A model's optimizer, losses and metrics."""

    name: str
    built: bool
    weights: list[Variable]
    trainable_weights: list[Variable]
    losses: list[Any]
    infer: Callable[[Any], Any]
    __call__: Callable[..., Any]

    optimizer: Any = None
    loss: Any = None
    compiled = False
    _compile_loss: OutputLosses | None = None
    _compile_metrics: OutputMetrics | None = None
    _loss_tracker: metric_kinds.Mean | None = None
    _compile_config: dict[str, Any] | None = None
    _metric_holders: tuple[Any, ...] | None = None

    def compile(
        self,
        optimizer: optimizers.OptimizerLike | None = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how the model learns.

        Args:
            optimizer: a name ("sgd", "adam", ...) or an `Optimizer`.
            loss: a name ("mse", "sparse_categorical_crossentropy", ...), a `Loss` or a function of (y_true, y_pred);
                for several outputs one for all, or a list, or a dict by their names, None for outputs without.
            loss_weights: for several outputs, the number by which each one's loss is multiplied in the sum.
            metrics: a list of names ("accuracy", ...), `Metric` objects or functions, reported beside the loss; for
                several outputs a list or dict with such a list for each.
            weighted_metrics: the same, for metrics that sample and class weights count in.
            run_eagerly: makes no difference: nothing is compiled to code.
            steps_per_execution: 1, as every step is one execution.
            jit_compile: makes no difference: nothing is compiled to code.
            auto_scale_loss: makes no difference: everything is computed in float32, so no loss needs scaling.

        Raises:
            ValueError: a name is not known, or the losses or metrics do not fit the outputs.
            TypeError: something is neither a name nor an object of its kind.
        """
        if integer("compile", "steps_per_execution", steps_per_execution) != 1:
            raise ValueError(
                f"compile: steps_per_execution={steps_per_execution} cannot be honoured: every step is one execution"
            )
        names, structure = self._known_outputs()
        chosen = None if optimizer is None else optimizers.get(optimizer)
        found_losses = None if loss is None else OutputLosses(loss, loss_weights, names, structure)
        found_metrics = None
        if metrics is not None or weighted_metrics is not None:
            found_metrics = OutputMetrics(metrics, weighted_metrics, names, structure)
        self.optimizer, self.loss = chosen, loss
        self._compile_loss, self._compile_metrics = found_losses, found_metrics
        self._loss_tracker = metric_kinds.Mean(name="loss")
        self._compile_config = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        self.stop_training = False
        self.compiled = True

    def _build_for(self, input_shape: Any) -> None:
        """Make the weights of a model that can be built from the shape of its data alone."""

    def _graph_if_known(self) -> Any:
        """The graph between the inputs and the outputs, or None where `call` alone tells what happens."""
        try:
            return self._known_graph()  # type: ignore[attr-defined]
        except ValueError:
            return None

    def _known_outputs(self) -> tuple[list[str] | None, Any]:
        """The names and the structure of the outputs, as far as they are known before there is data."""
        graph = self._graph_if_known()
        if graph is None:
            return None, None
        return self.output_names, graph.output_structure  # type: ignore[attr-defined]

    def get_compile_config(self) -> dict[str, Any]:
        """What the model was compiled with, as values that JSON can hold; empty before `compile`.

        Metrics that are functions without a name to be found by again are left out, with a warning.

        Raises:
            TypeError: another function or object in it has no such name.
        """
        if not self.compiled or self._compile_config is None:
            return {}
        graph = self._graph_if_known()
        several = graph is not None and len(graph.outputs) > 1
        config = {
            key: _kept_metrics(value, key, several)
            if key in ("metrics", "weighted_metrics")
            else serialize(value, f"compile: {key}")
            for key, value in self._compile_config.items()
        }
        return {"optimizer": serialize(self.optimizer, "the optimizer"), **config}

    def compile_from_config(self, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> None:
        """Compile as a configuration from `get_compile_config` says; `custom_objects` names optimizers of your own."""
        given = config["optimizer"]
        self.compile(**{**config, "optimizer": None if given is None else optimizers.get(given, custom_objects)})

    # Metrics

    @property
    def metrics(self) -> list[metric_kinds.Metric]:
        """The loss's mean first, the compiled metrics as one object, the means of several losses, metrics of one's own.

        Metrics of one's own are those that a subclass holds in its attributes.
        """
        found: list[metric_kinds.Metric] = []
        if self._loss_tracker is not None:
            found.append(self._loss_tracker)
        if self._compile_metrics is not None:
            found.append(self._compile_metrics)
        if self._compile_loss is not None:
            found += self._compile_loss.metrics
        if self._metric_holders is None:
            # The attributes that are metrics or may hold some, found once; a list may get and lose some later on.
            self._metric_holders = tuple(
                value
                for name, value in vars(self).items()
                if isinstance(value, (metric_kinds.Metric, list)) and name not in _NO_METRICS
            )
        for value in self._metric_holders:
            held = value if isinstance(value, list) else [value]
            found += [m for m in held if isinstance(m, metric_kinds.Metric) and m not in found]
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The keys of what `evaluate` and `train_on_batch` return, in the order of their lists."""
        names = [name for metric in self.metrics for name in _names(metric)]
        return _in_order(names, self._first_names())

    def _first_names(self) -> list[str]:
        """The results that come first in lists, before the others in alphabetical order."""
        names: list[str] = []
        for metric in self.metrics:
            names += [m.name for m in metric.metrics] if isinstance(metric, OutputMetrics) else [metric.name]
        return names

    def reset_metrics(self) -> None:
        """Let all metrics begin anew."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> Logs:
        """The loss and all metrics by name."""
        logs: Logs = {}
        for metric in self.metrics:
            result: Any = metric.result()
            logs |= result if isinstance(result, dict) else {metric.name: result}
        return logs

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Logs:
        """Take a batch into the compiled metrics and return all metrics' results; a subclass may do otherwise.

        Args:
            x: the model's input.
            y: the labels.
            y_pred: what the model made of `x`.
            sample_weight: weights for `weighted_metrics`.
        """
        self._update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _update_metrics(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)

    # Loss

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The number that training minimises: the compiled losses, and what layers add (`losses`).

        Args:
            x: the model's input.
            y: the labels.
            y_pred: what the model made of `x`.
            sample_weight: weights of the examples.
            training: whether this is for a training step.

        Raises:
            ValueError: there is no loss, or it is not one number.
        """
        total = None if self._compile_loss is None else self._compile_loss(y, y_pred, sample_weight)
        for penalty in self.losses:
            extra = ops.sum(penalty)
            total = extra if total is None else ops.add(total, extra)
        if total is None:
            raise ValueError(f"{self.name}: there is no loss to compute; give compile a loss, or call add_loss")
        if total.shape != ():
            raise ValueError(f"{self.name}: a loss expects to be one number for a batch, got shape {total.shape}")
        return total

    def _check_compiled(self, owner: str) -> None:
        if not self.compiled:
            raise ValueError(f"{owner}: call compile(optimizer=..., loss=...) first")

    def _as_list(self, logs: Logs) -> Any:
        """Logs as `evaluate` returns them: a number, or a list where there are several."""
        if len(logs) == 1:
            return next(iter(logs.values()))
        return [logs[name] for name in _in_order(list(logs), self._first_names())]


# Lists of every model that hold other things.
_NO_METRICS = frozenset(
    {"_own_trained", "_own_kept", "_inbound_nodes", "_noted_losses", "_layers", "_between", "_graph_layers"}
)


def _names(metric: metric_kinds.Metric) -> Sequence[str]:
    return metric.keys if isinstance(metric, OutputMetrics) else [metric.name]


def _in_order(names: list[str], first: list[str]) -> list[str]:
    leading = [name for name in dict.fromkeys(first) if name in names]
    return leading + sorted(set(names) - set(leading))


def as_numbers(logs: Any) -> Logs:
    """What a step returned as plain numbers; dicts in it are spread out.

    Example:
        >>> as_numbers({"loss": np.float32(0.5), "more": {"mae": 1.0}})
        {'loss': 0.5, 'mae': 1.0}
    """
    found: dict[str, Any] = {}
    for key, value in logs.items():
        if type(value) is float:
            found[key] = value
        elif isinstance(value, dict):
            found |= as_numbers(value)
        elif isinstance(value, Value) or np.ndim(value) == 0:
            found[key] = float(value)
        else:
            found[key] = map_leaves(np.asarray, value)
    return found


def _kept_metrics(given: Any, key: str, several: bool) -> Any:
    """The metrics that have names, in their structure; a list of one for each of several outputs keeps its length."""
    if isinstance(given, dict):
        return {str(name): _kept_metrics(part, key, False) for name, part in given.items()}
    if isinstance(given, (list, tuple)):
        parts = [_kept_metrics(part, key, False) for part in given]
        return parts if several else [part for part in parts if part != []]
    try:
        return serialize(given, f"compile: {key}")
    except TypeError as error:
        warnings.warn(f"save: {error}; the model is saved without this metric", stacklevel=6)
        return []
