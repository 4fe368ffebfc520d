"""Training, evaluation and prediction, the same for every kind of model."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from cnnfast.arguments import integer, positive_int, refuse_unsupported
from cnnfast.autograd import Variable
from cnnfast.callbacks import Callback, CallbackList, EpochLine, History, ProgressBar
from cnnfast.models.training.batch import Batch
from cnnfast.models.training.collected import Collected
from cnnfast.models.training.compiled import Logs, as_numbers
from cnnfast.models.training.epochs import Epochs
from cnnfast.models.training.observe import each_output
from cnnfast.models.training.sources import ArraySource, Source, array_source
from cnnfast.models.training.state import restore_training_state, save_training_state
from cnnfast.models.training.steps import Steps
from cnnfast.models.training.streams import is_stream, stream_source
from cnnfast.py_dataset import pack_x_y_sample_weight as pack
from cnnfast.py_dataset import unpack_x_y_sample_weight
from cnnfast.structure import map_leaves


class Trainer(Steps):
    """What a model adds to being a function with weights: learning from data."""

    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    _history: History | None = None
    _resumed_epoch = 0  # where BackupAndRestore wants a training to go on

    @property
    def history(self) -> History | None:
        """The record of the last `fit`."""
        return self._history

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        **unsupported: Any,
    ) -> History:
        """Train.

        Args:
            x: examples, the batch first: an array (NumPy's, a tensor, a table), or several in a list, tuple or dict; or
                something that gives batches x, (x, y) or (x, y, sample_weight): a `cnnfast.utils.PyDataset`, a
                generator, or any iterable, such as PyTorch's `DataLoader`.
            y: their labels, for several outputs in the outputs' structure or in a dict by their names.
            batch_size: examples per step, 32 by default; the last batch of an epoch may be smaller.
            epochs: the number of the last epoch, which is how often the data is gone through from `initial_epoch` on.
            verbose: 0 silent, 1 a progress bar, 2 one line per epoch, "auto" 1 on a terminal and 2 elsewhere.
            callbacks: told about every step.
            validation_split: this part of the examples, taken off the end, is used for validation only.
            validation_data: (x, y) or (x, y, sample_weight), or something that gives batches, to validate with.
            shuffle: whether the order changes at every epoch; "batch" only mixes examples within their batch.
            class_weight: for class numbers, how much their examples count in the loss.
            sample_weight: for every example, how much it counts in the loss; for several outputs one array for all, or
                one for each.
            initial_epoch: the epoch to begin with, to go on with a training.
            steps_per_epoch: the number of steps of an epoch; by default an epoch is one pass over the data.
            validation_steps: the number of batches to validate with; all by default.
            validation_batch_size: the batch size of the validation; `batch_size` by default.
            validation_freq: validate every so many epochs, or after the epochs of these numbers (counted from 1).
            **unsupported: arguments that exist elsewhere and raise with the reason.

        Returns:
            the losses and metrics of every epoch.

        Raises:
            ValueError: the model is not compiled, the arrays do not fit each other, the model or the loss, or there
                are no examples.
            TypeError: the data is not made of numbers.
        """
        refuse_unsupported("fit", unsupported)
        self._check_compiled("fit")
        first, last = integer("fit", "initial_epoch", initial_epoch), integer("fit", "epochs", epochs)
        source = self._source("fit", (x, y, sample_weight), batch_size, steps_per_epoch, shuffle, class_weight)
        validation = self._validation(
            source,
            validation_split,
            validation_data,
            batch_size if validation_batch_size is None else validation_batch_size,
            validation_steps,
            by_class=class_weight is not None,
        )
        validates = _validation_epochs(validation_freq)
        data = Epochs("fit", source, steps_per_epoch)
        data.prepare()
        self._history = History()
        listeners = self._listeners("fit", verbose, callbacks, data, epochs=last, more=[self._history])
        self.stop_training = False
        self._resumed_epoch = 0
        logs: Logs = {}
        try:
            listeners.on("on_train_begin", {})
            for epoch in range(max(first, self._resumed_epoch), last):
                listeners.on("on_epoch_begin", epoch, {})
                logs = self._train_epoch(data, listeners)
                if data.ended:
                    break
                if validation is not None and validates(epoch):
                    found = self._evaluate(validation, listeners)
                    logs |= {f"val_{key}": value for key, value in found.items()}
                listeners.on("on_epoch_end", epoch, logs)
                if self.stop_training:
                    break
            listeners.on("on_epochs_end")
            if last > first and self.optimizer is not None:
                self.optimizer.finalize_variable_values(self.trainable_weights)
            listeners.on("on_train_end", logs)
        finally:
            # However the training ended: threads that prepare batches stop, bars and files are left in order.
            data.close()
            listeners.release()
        return self._history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
        return_dict: bool = False,
        **unsupported: Any,
    ) -> Any:
        """The loss and metrics on data.

        Args:
            x: examples, as for `fit`.
            y: their labels.
            batch_size: examples computed at once, 32 by default; the result is that of all examples together.
            verbose: as for `fit`.
            sample_weight: for every example, how much it counts in the loss.
            steps: the number of batches to use; all by default.
            callbacks: told about every batch.
            return_dict: whether to return a dict by name.
            **unsupported: arguments that exist elsewhere and raise with the reason.

        Returns:
            the loss, or a list of the loss and the metrics in the order of `metrics_names`, or a dict.

        Raises:
            ValueError: the model is not compiled, the arrays do not fit each other, the model or the loss, or there
                are no examples.
            TypeError: the data is not made of numbers.
        """
        refuse_unsupported("evaluate", unsupported)
        self._check_compiled("evaluate")
        data = Epochs("evaluate", self._source("evaluate", (x, y, sample_weight), batch_size, steps), steps)
        listeners = self._listeners("evaluate", verbose, callbacks, data)
        try:
            logs = self._evaluate(data, listeners)
        finally:
            data.close()
            listeners.release()
        return logs if return_dict else self._as_list(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
        **unsupported: Any,
    ) -> Any:
        """The model's outputs for data.

        Args:
            x: examples, as for `fit`.
            batch_size: examples computed at once, 32 by default.
            verbose: 1 for a progress bar; "auto" and 0 are silent.
            steps: the number of batches to use; all by default.
            callbacks: told about every batch.
            **unsupported: arguments that exist elsewhere and raise with the reason.

        Returns:
            float32 (N, ...); for several outputs such arrays in their structure.

        Raises:
            ValueError: the examples do not fit the model, or there are none.
            TypeError: the data is not made of numbers.
        """
        refuse_unsupported("predict", unsupported)
        data = Epochs("predict", self._source("predict", (x, None, None), batch_size, steps), steps)
        listeners = self._listeners("predict", 0 if verbose == "auto" else verbose, callbacks, data)
        custom = type(self).predict_step is not Steps.predict_step
        found = Collected(data.samples)
        self.stop_predicting = False
        try:
            listeners.on("on_predict_begin", {})
            for number, batch in enumerate(data.batches()):
                listeners.on_batch("on_predict_batch_begin", number, {})
                y = self.predict_step(pack(*batch)) if custom else self.infer(batch[0])
                y = map_leaves(np.asarray, y)
                found.add(y)
                listeners.on_batch("on_predict_batch_end", number, {"outputs": y})
                if self.stop_predicting:
                    break
            listeners.on("on_predict_end", {})
        finally:
            data.close()
            listeners.release()
        return found.result()

    # Loops

    def _train_epoch(self, data: Epochs, listeners: CallbackList) -> Logs:
        plain = type(self).train_step is Steps.train_step and type(self).compute_metrics is Steps.compute_metrics
        told = listeners.listens("on_train_batch_end")
        self.reset_metrics()
        variables: list[Variable] | None = None
        logs: Logs = {}
        known_nan = False
        with closing(data.batches()) as batches:  # type: ignore[type-var]
            for number, batch in enumerate(batches):
                listeners.on_batch("on_train_batch_begin", number, {})
                if plain:
                    _, y_pred, loss = self._learn(batch, variables)
                    self._update_metrics(batch[1], y_pred, batch[2])
                    # Asked for after the first step: a layer may have made its weights in it.
                    variables = self.trainable_weights if variables is None else variables
                    logs = self.get_metrics_result() if told else logs
                else:
                    logs = as_numbers(self.train_step(pack(*batch)))
                    loss = logs.get("loss", 0.0)
                if math.isnan(loss) and not known_nan:
                    known_nan = True
                    _warn_of_nan(number)
                listeners.on_batch("on_train_batch_end", number, logs)
                if self.stop_training:
                    break
        return self._epoch_logs(logs, plain)

    def _evaluate(self, data: Epochs, listeners: CallbackList) -> Logs:
        plain = type(self).test_step is Steps.test_step and type(self).compute_metrics is Steps.compute_metrics
        told = listeners.listens("on_test_batch_end")
        data.close()  # every validation begins with the first batch
        data.prepare()
        self.reset_metrics()
        self.stop_evaluating = False
        logs: Logs = {}
        listeners.on("on_test_begin", {})
        with closing(data.batches()) as batches:  # type: ignore[type-var]
            for number, batch in enumerate(batches):
                listeners.on_batch("on_test_batch_begin", number, {})
                if plain:
                    _, y_pred, _ = self._test(batch)
                    self._update_metrics(batch[1], y_pred, batch[2])
                    logs = self.get_metrics_result() if told else logs
                else:
                    logs = as_numbers(self.test_step(pack(*batch)))
                listeners.on_batch("on_test_batch_end", number, logs)
                if self.stop_evaluating:
                    break
        logs = self._epoch_logs(logs, plain)
        listeners.on("on_test_end", logs)
        return logs

    def _epoch_logs(self, last: Logs, plain: bool) -> Logs:
        """The epoch's results: the metrics', unless a step of one's own returned something else."""
        found = as_numbers(self.get_metrics_result())
        return found if plain or set(found) == set(last) else dict(last)

    # What callbacks ask for

    def _observe(self, layers: Sequence[Any], x: Any, batch_size: int, listener: Callable[[Any, Any], None]) -> None:
        source = self._source("predict", (x, None, None), batch_size)
        each_output(self, layers, source.one_pass(), listener)

    def _save_state(self, path: Any, notes: Mapping[str, Any]) -> None:
        save_training_state(self, path, notes)

    def _restore_state(self, path: Any) -> dict[str, Any]:
        return restore_training_state(self, path)

    # Data and callbacks

    def _source(
        self,
        owner: str,
        batch: Batch,
        batch_size: int | None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
    ) -> Source:
        if is_stream(batch[0]):
            return stream_source(owner, self, batch, shuffle, class_weight)
        if owner != "predict" and batch[1] is None and type(self).compute_loss is Steps.compute_loss:
            self._check_labels(owner, batch[0])
        return array_source(owner, self, batch, batch_size, steps, shuffle, class_weight)

    def _check_labels(self, owner: str, x: Any) -> None:
        plain = type(self).train_step is Steps.train_step and type(self).test_step is Steps.test_step
        if plain and self._compile_loss is not None:
            raise TypeError(f"{owner}: y is missing; pass the labels of the {len(x)} examples in x")

    def _validation(
        self,
        source: Source,
        split: float,
        given: Any,
        batch_size: int | None,
        steps: int | None,
        by_class: bool = False,
    ) -> Epochs | None:
        if given is None and split:
            if not isinstance(source, ArraySource):
                raise ValueError("fit: validation_split expects x and y as arrays; give validation_data instead")
            given = source.split(split)
            if by_class:  # the weights of classes are for learning, not for judging
                given = given[:2]
        if given is None:
            return None
        if not is_stream(given) and (not isinstance(given, (list, tuple)) or len(given) not in (1, 2, 3)):
            raise ValueError("fit: validation_data expects (x, y), (x, y, sample_weight) or a source of batches")
        owner = "fit: validation_data"
        parts = (given, None, None) if is_stream(given) else unpack_x_y_sample_weight(given)
        found = self._source(owner, parts, batch_size, steps)
        return Epochs(owner, found, steps)

    def _listeners(
        self,
        owner: str,
        verbose: int | str,
        callbacks: Sequence[Callback] | Callback | None,
        data: Epochs,
        epochs: int = 1,
        more: Sequence[Callback] = (),
    ) -> CallbackList:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"{owner}: verbose expects 0, 1, 2 or 'auto', got {verbose!r}")
        chosen = [*([callbacks] if isinstance(callbacks, Callback) else callbacks or ()), *more]
        if verbose == "auto":
            verbose = 1 if sys.stdout is not None and sys.stdout.isatty() else 2
        if verbose and not any(isinstance(c, (ProgressBar, EpochLine)) for c in chosen):
            # First, so that what other callbacks print comes after the epoch's line.
            chosen = [ProgressBar() if verbose == 1 else EpochLine(), *chosen]
        params = {
            "verbose": verbose,
            "epochs": epochs,
            "samples": data.samples,
            "batch_size": data.source.batch_size,
            "steps": data.steps,
        }
        return CallbackList(chosen, self, params)


def _validation_epochs(frequency: int | Sequence[int]) -> Any:
    """Whether to validate after an epoch (counted from 0)."""
    if isinstance(frequency, (list, tuple, set, range)):
        numbers = {integer("fit", "validation_freq", number) for number in frequency}
        return lambda epoch: epoch + 1 in numbers
    every = positive_int("fit", "validation_freq", frequency)
    return lambda epoch: (epoch + 1) % every == 0


def _warn_of_nan(batch: int) -> None:
    warnings.warn(
        f"fit: the loss became NaN at batch {batch}; the learning rate may be too high, or the data hold NaN or "
        "infinite values",
        RuntimeWarning,
        stacklevel=4,
    )
