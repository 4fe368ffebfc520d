"""One step of training, testing or predicting, with what a subclass may do otherwise."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import Variable
from cnnfast.models.training.arrays import checked_batch
from cnnfast.models.training.batch import Batch
from cnnfast.models.training.compiled import Compiled, Logs, as_numbers
from cnnfast.models.training.direct import learned_by_tape, learned_directly
from cnnfast.py_dataset import pack_x_y_sample_weight as pack
from cnnfast.py_dataset import unpack_x_y_sample_weight
from cnnfast.structure import leaves, map_leaves


class Steps(Compiled):
    """Steps on single batches."""

    # What a subclass may define

    def train_step(self, data: Any) -> Logs:
        """Learn from one batch; a subclass may do otherwise.

        Args:
            data: x, (x, y) or (x, y, sample_weight), each an array or a structure of arrays.

        Returns:
            loss and metrics by name, over the batches of the epoch so far.
        """
        batch, y_pred, _ = self._learn(unpack_x_y_sample_weight(data))
        return self.compute_metrics(*batch[:2], y_pred, sample_weight=batch[2])

    def test_step(self, data: Any) -> Logs:
        """Loss and metrics of one batch, without learning from it; a subclass may do otherwise."""
        batch, y_pred, _ = self._test(unpack_x_y_sample_weight(data))
        return self.compute_metrics(*batch[:2], y_pred, sample_weight=batch[2])

    def predict_step(self, data: Any) -> Any:
        """The model's outputs for one batch; a subclass may do otherwise."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    # What is done where it does not

    def _learn(self, batch: Batch, variables: Sequence[Variable] | None = None) -> tuple[Batch, Any, float]:
        """Take a step; the variables are those that train, where they are known."""
        x, y, sample_weight = batch
        found = learned_directly(self, x, y) if sample_weight is None else None
        y_pred, loss, gradients = found or learned_by_tape(self, x, y, sample_weight)
        number = self._track_loss(loss, x)
        variables = self.trainable_weights if variables is None else variables
        if not variables:
            warnings.warn(f"{self.name} has no trainable weights", stacklevel=3)
        elif self.optimizer is None:
            raise ValueError(f"{self.name}: training needs an optimizer; compile it with one")
        else:
            self.optimizer.apply_gradients(zip(gradients(variables), variables, strict=True))
        return batch, y_pred, number

    def _test(self, batch: Batch) -> tuple[Batch, Any, float]:
        x, y, sample_weight = batch
        y_pred = self(x, training=False)
        if _takes_training(type(self).compute_loss):
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        else:
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        return batch, y_pred, self._track_loss(loss, x)

    def _track_loss(self, loss: Any, x: Any) -> float:
        assert self._loss_tracker is not None
        number = float(loss)
        self._loss_tracker.update_state(number, sample_weight=len(x) if type(x) is np.ndarray else batch_size(x))
        return number

    # Single batches

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step on a batch; returns its loss and metrics as `evaluate` does (before the step).

        Args:
            x: examples, the batch first: an array, or several in a list, tuple or dict.
            y: their labels.
            sample_weight: for every example, how much it counts in the loss.
            class_weight: for class numbers, how much their examples count in the loss.
            return_dict: whether to return a dict by name.

        Raises:
            ValueError: the model is not compiled, or the arrays do not fit each other, the model or the loss.
        """
        self._check_compiled("train_on_batch")
        batch = checked_batch("train_on_batch", self, (x, y, sample_weight), class_weight)
        self.reset_metrics()
        logs = as_numbers(self.train_step(pack(*batch)))
        return logs if return_dict else self._as_list(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch, as `evaluate` returns them; the arguments are `train_on_batch`'s."""
        self._check_compiled("test_on_batch")
        batch = checked_batch("test_on_batch", self, (x, y, sample_weight))
        self.reset_metrics()
        logs = as_numbers(self.test_step(pack(*batch)))
        return logs if return_dict else self._as_list(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's outputs for one batch, computed at once, as arrays in the structure of the outputs."""
        batch = checked_batch("predict_on_batch", self, (x, None, None))
        plain = type(self).predict_step is Steps.predict_step
        return map_leaves(np.asarray, self.infer(batch[0]) if plain else self.predict_step(pack(*batch)))


def batch_size(x: Any) -> int:
    """The number of examples in a batch.

    Example:
        >>> batch_size({"a": np.zeros((5, 2))})
        5
    """
    return int(next(part for part in leaves(x) if part is not None).shape[0])


@functools.lru_cache(maxsize=64)
def _takes_training(method: Callable[..., Any]) -> bool:
    return "training" in inspect.signature(method).parameters
