"""Training, evaluation and prediction, the same for every kind of model."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import losses, optimizers, random
from cnnfast import metrics as metric_kinds
from cnnfast.arguments import integer, positive_int, refuse_unsupported
from cnnfast.autograd import GradientTape, Variable
from cnnfast.callbacks import Callback, CallbackList, EpochLine, History, ProgressBar
from cnnfast.models.batches import Data, checked_batch_size, examples, split_off_end, with_class_weights

Logs = dict[str, float]


class Trainer:
    """What a model adds to being a function with weights: learning from data."""

    name: str
    built: bool
    weights: list[Variable]
    trainable_weights: list[Variable]
    __call__: Callable[..., Any]
    _build_once: Callable[..., None]

    optimizer: optimizers.Optimizer | None = None
    loss: losses.Loss | None = None
    stop_training = False
    _metrics: tuple[metric_kinds.Metric, ...] = ()
    _history: History | None = None

    # Setting up

    def compile(
        self,
        optimizer: optimizers.OptimizerLike,
        loss: losses.LossLike | None = None,
        metrics: Sequence[metric_kinds.MetricLike] | metric_kinds.MetricLike | None = None,
        **unsupported: Any,
    ) -> None:
        """Choose how the model learns.

        Args:
            optimizer: a name ("sgd", "adam") or an `Optimizer`.
            loss: a name ("mse", "sparse_categorical_crossentropy", ...), a `Loss` or a function of (y_true, y_pred).
            metrics: a list of names ("accuracy", ...), `Metric` objects or functions, reported beside the loss.
            **unsupported: arguments that exist in Keras and raise with the reason.

        Raises:
            ValueError: a name is not known, two metrics have the same name, or an argument cannot be honoured.
        """
        refuse_unsupported("compile", unsupported)
        given: list[Any] = [] if metrics is None else list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]
        chosen = tuple(metric_kinds.as_metric(m) for m in given)
        names = ["loss", *(m.name for m in chosen)]
        if len(set(names)) != len(names):
            raise ValueError(f"compile: metrics expects different names, and none called loss; got {names[1:]}")
        chosen_loss = None if loss is None else losses.as_loss(loss)
        self.optimizer, self.loss, self._metrics = optimizers.get(optimizer), chosen_loss, chosen

    @property
    def metrics(self) -> list[metric_kinds.Metric]:
        """The metrics that the model was compiled with."""
        return list(self._metrics)

    @property
    def metrics_names(self) -> list[str]:
        """The keys of what `evaluate` and `train_on_batch` return."""
        return ["loss", *(m.name for m in self._metrics)]

    @property
    def history(self) -> History | None:
        """The record of the last `fit`."""
        return self._history

    # Whole data sets

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        **unsupported: Any,
    ) -> History:
        """Train on arrays.

        Args:
            x: examples, the batch first.
            y: their labels.
            batch_size: examples per step, 32 by default; the last batch of an epoch may be smaller.
            epochs: the number of the last epoch, which is how often the data is gone through from `initial_epoch` on.
            verbose: 0 silent, 1 a progress bar, 2 one line per epoch, "auto" 1 on a terminal and 2 elsewhere.
            callbacks: told about every step.
            validation_split: this part of the examples, taken off the end, is used for validation only.
            validation_data: (x, y) or (x, y, sample_weight) to validate with after epochs.
            shuffle: whether the order changes at every epoch.
            class_weight: for class numbers, how much their examples count in the loss.
            sample_weight: for every example, how much it counts in the loss.
            initial_epoch: the epoch to begin with, to go on with a training.
            validation_batch_size: the batch size of the validation; `batch_size` by default.
            validation_freq: validate every so many epochs.
            **unsupported: arguments that exist in Keras and raise with the reason.

        Returns:
            the losses and metrics of every epoch.

        Raises:
            RuntimeError: the model is not compiled.
            ValueError: the arrays do not fit each other, the model or the loss, or there are no examples.
        """
        refuse_unsupported("fit", unsupported)
        self._check_compiled("fit")
        size = checked_batch_size("fit", batch_size)
        first, last = integer("fit", "initial_epoch", initial_epoch), integer("fit", "epochs", epochs)
        data = self._examples("fit", x, y, sample_weight)
        data, validation = self._validation("fit", data, validation_split, validation_data)
        if class_weight is not None:
            data = with_class_weights(data, class_weight)
        validate_every = positive_int("fit", "validation_freq", validation_freq)
        validation_size = size if validation_batch_size is None else validation_batch_size
        self._history = History()
        listeners = self._listeners("fit", verbose, [*(callbacks or ()), self._history], data, size, epochs=last)

        self.stop_training = False
        logs: Logs = {}
        listeners.on("on_train_begin", {})
        for epoch in range(first, last):
            listeners.on("on_epoch_begin", epoch, {})
            order = random.generator().permutation(len(data)) if shuffle else None
            logs = self._train_epoch(data, size, order, listeners)
            if validation is not None and (epoch - first + 1) % validate_every == 0:
                found = self._evaluate(validation, checked_batch_size("fit", validation_size), listeners)
                logs |= {f"val_{key}": value for key, value in found.items()}
            listeners.on("on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        if last > first:
            self.optimizer.finalize_variable_values(self.trainable_weights)  # type: ignore[union-attr]
        listeners.on("on_train_end", logs)
        return self._history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        callbacks: Sequence[Callback] | None = None,
        return_dict: bool = False,
        **unsupported: Any,
    ) -> Any:
        """The loss and metrics on arrays.

        Args:
            x: examples, the batch first.
            y: their labels.
            batch_size: examples computed at once, 32 by default; the result is that of all examples together.
            verbose: as for `fit`.
            sample_weight: for every example, how much it counts in the loss.
            callbacks: told about every batch.
            return_dict: whether to return a dict by name.
            **unsupported: arguments that exist in Keras and raise with the reason.

        Returns:
            the loss, or a list of the loss and the metrics in the order of `metrics_names`, or a dict.

        Raises:
            RuntimeError: the model is not compiled.
            ValueError: the arrays do not fit each other, the model or the loss, or there are no examples.
        """
        refuse_unsupported("evaluate", unsupported)
        self._check_compiled("evaluate", optimizer=False)
        size = checked_batch_size("evaluate", batch_size)
        data = self._examples("evaluate", x, y, sample_weight)
        listeners = self._listeners("evaluate", verbose, list(callbacks or ()), data, size)
        return _as_asked(self._evaluate(data, size, listeners), return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | None = None,
        **unsupported: Any,
    ) -> npt.NDArray[np.float32]:
        """The model's outputs for arrays.

        Args:
            x: examples, the batch first.
            batch_size: examples computed at once, 32 by default.
            verbose: 1 for a progress bar; "auto" and 0 are silent.
            callbacks: told about every batch.
            **unsupported: arguments that exist in Keras and raise with the reason.

        Returns:
            float32 (N, ...).

        Raises:
            ValueError: the examples do not fit the model, or there are none.
        """
        refuse_unsupported("predict", unsupported)
        size = checked_batch_size("predict", batch_size)
        data = self._examples("predict", x, labels=False)
        verbose = 0 if verbose == "auto" else verbose
        listeners = self._listeners("predict", verbose, list(callbacks or ()), data, size)
        outputs: npt.NDArray[np.float32] | None = None
        listeners.on("on_predict_begin", {})
        for batch, part in enumerate(data.batches(size)):
            listeners.on_batch("on_predict_batch_begin", batch, {})
            y = np.asarray(self(part.x, training=False))
            if len(data) <= size:
                outputs = y
            else:
                if outputs is None:
                    outputs = np.empty((len(data), *y.shape[1:]), np.float32)
                outputs[batch * size : batch * size + len(y)] = y
            listeners.on_batch("on_predict_batch_end", batch, {"outputs": y})
        listeners.on("on_predict_end", {})
        assert outputs is not None
        return outputs

    # Single batches

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step on a batch; returns its loss and metrics as `evaluate` does (before the step)."""
        self._check_compiled("train_on_batch")
        data = self._examples("train_on_batch", x, y, sample_weight)
        if class_weight is not None:
            data = with_class_weights(data, class_weight)
        self._reset_metrics()
        loss = self._train_step(data, self.trainable_weights)
        return _as_asked(self._logs(loss), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch, as `evaluate` returns them."""
        self._check_compiled("test_on_batch", optimizer=False)
        data = self._examples("test_on_batch", x, y, sample_weight)
        self._reset_metrics()
        return _as_asked(self._logs(self._test_step(data)), return_dict)

    def predict_on_batch(self, x: Any) -> npt.NDArray[np.float32]:
        """The model's outputs for one batch, computed at once."""
        data = self._examples("predict_on_batch", x, labels=False)
        return np.asarray(self(data.x, training=False))

    # Steps

    def _train_epoch(self, data: Data, size: int, order: Any, listeners: CallbackList) -> Logs:
        variables = self.trainable_weights
        mean_loss = metric_kinds.Mean()
        self._reset_metrics()
        logs: Logs = {}
        told = listeners.listens("on_train_batch_end")
        for batch, part in enumerate(data.batches(size, order)):
            listeners.on_batch("on_train_batch_begin", batch, {})
            loss = self._train_step(part, variables)
            if math.isnan(loss) and not math.isnan(mean_loss.result()):
                warnings.warn(
                    f"fit: the loss became NaN at batch {batch}; the learning rate may be too high, or the data hold "
                    "NaN or infinite values",
                    RuntimeWarning,
                    stacklevel=3,
                )
            mean_loss.update_state(loss, len(part))
            if told:
                logs = self._logs(mean_loss.result())
                listeners.on_batch("on_train_batch_end", batch, logs)
        return self._logs(mean_loss.result())

    def _train_step(self, data: Data, variables: Sequence[Variable]) -> float:
        assert self.loss is not None
        assert self.optimizer is not None
        with GradientTape() as tape:
            outputs = self(data.x, training=True)
            loss = sum(self._penalties(), self.loss(data.y, outputs, data.weights))
        if variables:
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self._update_metrics(data, outputs)
        return float(loss)

    def _penalties(self) -> list[Any]:
        """What layers add to the loss."""
        found: list[Any] = self.losses  # type: ignore[attr-defined]
        return found

    def _evaluate(self, data: Data, size: int, listeners: CallbackList) -> Logs:
        mean_loss = metric_kinds.Mean()
        self._reset_metrics()
        told = listeners.listens("on_test_batch_end")
        listeners.on("on_test_begin", {})
        for batch, part in enumerate(data.batches(size)):
            listeners.on_batch("on_test_batch_begin", batch, {})
            mean_loss.update_state(self._test_step(part), len(part))
            if told:
                listeners.on_batch("on_test_batch_end", batch, self._logs(mean_loss.result()))
        logs = self._logs(mean_loss.result())
        listeners.on("on_test_end", logs)
        return logs

    def _test_step(self, data: Data) -> float:
        assert self.loss is not None
        outputs = self(data.x, training=False)
        loss = float(sum(self._penalties(), self.loss(data.y, outputs, data.weights)))
        self._update_metrics(data, outputs)
        return loss

    def _update_metrics(self, data: Data, outputs: Any) -> None:
        if self._metrics:
            scores = np.asarray(outputs)
            for metric in self._metrics:
                metric.update_state(data.y, scores)

    def _reset_metrics(self) -> None:
        for metric in self._metrics:
            metric.reset_state()

    def _logs(self, loss: float) -> Logs:
        return {"loss": loss} | {metric.name: metric.result() for metric in self._metrics}

    # Checks

    def _check_compiled(self, owner: str, optimizer: bool = True) -> None:
        if self.loss is None or (optimizer and self.optimizer is None):
            raise RuntimeError(f"{owner}: call compile(optimizer=..., loss=...) first")

    def _examples(self, owner: str, x: Any, y: Any = None, sample_weight: Any = None, *, labels: bool = True) -> Data:
        """The checked arrays; builds the model if this is the first data it sees."""
        data = examples(owner, x, y, sample_weight, labels=labels)
        if not self.built:
            self._build_once((None, *data.x.shape[1:]))
        self._check_example_shape(owner, data.x.shape)
        return data

    def _check_example_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        expected = self.input_shape[1:]  # type: ignore[attr-defined]
        if shape[1:] == expected:
            return
        fits = len(shape) == len(expected) + 1 and all(
            n is None or n == m for n, m in zip(expected, shape[1:], strict=False)
        )
        if not fits:
            shown = ", ".join(["N", *("?" if n is None else str(n) for n in expected)])
            hint = "; add the channel axis: x[..., None]" if (*shape[1:], 1) == expected else ""
            raise ValueError(f"{owner}: {self.name} expects x of shape ({shown}), got {shape}{hint}")

    def _validation(
        self, owner: str, data: Data, split: float, given: Sequence[Any] | None
    ) -> tuple[Data, Data | None]:
        if given is not None:
            if not isinstance(given, (list, tuple)) or len(given) not in (2, 3):
                raise ValueError(f"{owner}: validation_data expects (x, y) or (x, y, sample_weight)")
            return data, self._examples(f"{owner}: validation_data", *given)
        return split_off_end(data, split) if split else (data, None)

    def _listeners(
        self, owner: str, verbose: int | str, callbacks: list[Callback], data: Data, size: int, epochs: int = 1
    ) -> CallbackList:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"{owner}: verbose expects 0, 1, 2 or 'auto', got {verbose!r}")
        if verbose == "auto":
            verbose = 1 if sys.stdout is not None and sys.stdout.isatty() else 2
        if verbose and not any(isinstance(c, (ProgressBar, EpochLine)) for c in callbacks):
            # First, so that what other callbacks print comes after the epoch's line.
            callbacks = [ProgressBar() if verbose == 1 else EpochLine(), *callbacks]
        params = {
            "verbose": verbose,
            "epochs": epochs,
            "samples": len(data),
            "batch_size": size,
            "steps": -(-len(data) // size),
        }
        return CallbackList(callbacks, self, params)


def _as_asked(logs: Logs, return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
