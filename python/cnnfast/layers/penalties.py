"""What layers add to the loss, and what their weights may be: regularizers, constraints, `add_loss`, learning rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnfast import constraints, regularizers
from cnnfast.arguments import real
from cnnfast.autograd import Variable
from cnnfast.configured import Configured, serialize
from cnnfast.layers.penalty_arguments import penalised_weights, taking_penalties
from cnnfast.structure import leaves

Function = Callable[[Any], Any]


class _Noted:
    """Whether any layer ever added a loss: where none did, nobody needs to look for them at every call."""

    any = False
    assigned_settings = 0


def assigned_settings() -> int:
    """How often an attribute that says what a layer does was assigned: who joined layers has to look again."""
    return _Noted.assigned_settings


def note_assigned_setting() -> None:
    """Count one more of them."""
    _Noted.assigned_settings += 1


class Penalised(Configured):
    """The part of every layer that has to do with penalties and bounds.

    A layer whose constructor has an argument X_initializer takes X_regularizer and X_constraint too; they are its
    attributes until the weight X is made.
    """

    name: str
    _own_trained: list[Variable]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = taking_penalties(cls.__init__)  # type: ignore[method-assign]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        raise NotImplementedError

    def sublayers(self) -> Iterator[Any]:
        """The layers that this one holds."""
        raise NotImplementedError

    @classmethod
    def _penalised(cls) -> tuple[str, ...]:
        return penalised_weights(cls)

    def _set_penalties(
        self, given: dict[str, Any], activity_regularizer: Any, learning_rate_multiplier: float
    ) -> dict[str, Any]:
        """Keep the regularizers and constraints among some arguments; returns the other arguments."""
        others = dict(given)
        for weight in self._penalised():
            setattr(self, f"{weight}_regularizer", regularizers.get(others.pop(f"{weight}_regularizer", None)))
            setattr(self, f"{weight}_constraint", constraints.get(others.pop(f"{weight}_constraint", None)))
        self._activity_regularizer = regularizers.get(activity_regularizer)
        self._multiplier = real(type(self).__name__, "learning_rate_multiplier", learning_rate_multiplier, 0.0)
        self._noted_losses: list[Any] = []
        return others

    def penalties_of(self, weight: str) -> dict[str, Any]:
        """The arguments for `add_weight` where the weight has another name than its regularizer and constraint."""
        return {kind: getattr(self, f"{weight}_{kind}") for kind in ("regularizer", "constraint")}

    def _bind_penalties(self, variable: Variable, regularizer: Any, constraint: Any) -> None:
        """Give a new weight its regularizer, constraint and multiplier."""
        if variable.name in self._penalised():
            regularizer = regularizer or getattr(self, f"{variable.name}_regularizer")
            constraint = constraint or getattr(self, f"{variable.name}_constraint")
        if regularizer is not None:
            variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.learning_rate_multiplier = self._multiplier

    def _penalty_config(self) -> dict[str, Any]:
        """What differs from having no penalties."""
        config: dict[str, Any] = {}
        for weight in self._penalised():
            for key in (f"{weight}_regularizer", f"{weight}_constraint"):
                config[key] = getattr(self, key)
        config["activity_regularizer"] = self._activity_regularizer
        config = {key: serialize(x, f"{type(self).__name__}: {key}") for key, x in config.items() if x is not None}
        return config | ({"learning_rate_multiplier": self._multiplier} if self._multiplier != 1.0 else {})

    # What can be read and assigned

    @property
    def learning_rate_multiplier(self) -> float:
        """What optimizers multiply their learning rate by for the weights; assigning reaches the layer's parts too."""
        return self._multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        self._multiplier = real(type(self).__name__, "learning_rate_multiplier", value, 0.0)
        for variable in self._own_trained:
            variable.learning_rate_multiplier = self._multiplier
        for layer in self.sublayers():
            layer.learning_rate_multiplier = value

    @property
    def activity_regularizer(self) -> Function | None:
        """The penalty on the layer's output, divided by the number of examples; None for none."""
        return self._activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, value: regularizers.RegularizerLike) -> None:
        self._activity_regularizer = regularizers.get(value)
        note_assigned_setting()

    # Losses

    @property
    def losses(self) -> list[Any]:
        """What is to be added to the loss: one number each.

        These are the losses that the layer and its parts added in the last call, and the penalties on trainable
        weights as they are now.
        """
        found = self._collected_losses() if _Noted.any else []
        if Variable.any_regularized:
            found += [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]
        return found

    def _has_losses(self) -> bool:
        """Whether there are any `losses`, without computing them."""
        if _Noted.any and any(layer._noted_losses for layer in self._with_parts()):
            return True
        return Variable.any_regularized and any(v.regularizer is not None for v in self.trainable_weights)

    def add_loss(self, loss: Any) -> None:
        """Add to the loss, from inside `call`; it counts until the next call.

        Args:
            loss: one number, best a tensor that the gradient follows, or a list of them.

        Raises:
            ValueError: one is not one number.

        Example:
            >>> from cnnfast import ops
            >>> from cnnfast.layers import Layer
            >>> class Sparse(Layer):
            ...     def call(self, x):
            ...         self.add_loss(0.5 * ops.sum(ops.abs(x)))
            ...         return x
            >>> layer = Sparse()
            >>> y = layer([[1.0, -2.0]])
            >>> [float(loss) for loss in layer.losses]
            [1.5]
        """
        given = leaves(loss) if isinstance(loss, (list, tuple, dict)) else [loss]
        for one in given:
            if isinstance(one, str) or callable(one) or np.size(one) != 1:
                raise ValueError(f"{self.name}: add_loss expects a number, got {one!r}")
        self._noted_losses.extend(given)
        _Noted.any = True

    def _note_activity(self, outputs: Any) -> None:
        assert self._activity_regularizer is not None
        for output in leaves(outputs):
            penalty = self._activity_regularizer(output)
            self.add_loss(penalty / max(output.shape[0], 1) if output.ndim else penalty)

    def _collected_losses(self) -> list[Any]:
        return [loss for layer in self._with_parts() for loss in layer._noted_losses]

    def _clear_losses(self) -> None:
        """Forget the last call's losses, at the beginning of a call that no other layer makes."""
        if _Noted.any:
            for layer in self._with_parts():
                layer._noted_losses.clear()

    def _with_parts(self) -> list[Any]:
        """This layer and all its parts, their parts too, each once."""
        found: dict[Any, None] = {}

        def collect(layer: Any) -> None:
            if layer not in found:
                found[layer] = None
                for part in layer.sublayers():
                    collect(part)

        collect(self)
        return list(found)
