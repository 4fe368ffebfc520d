"""Optimizers: how gradients change weights.

>>> from cnnfast.autograd import Variable
>>> w = Variable([1.0, 2.0])
>>> SGD(learning_rate=0.5).apply_gradients([([1.0, 1.0], w)])
>>> w.numpy()
array([0.5, 1.5], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnfast.arguments import real, refuse_unsupported
from cnnfast.autograd import ArrayLike, FloatArray, Variable, to_float32
from cnnfast.configured import Configured
from cnnfast.ops import updates


class Optimizer(Configured):
    """Base: keeps a step count and, for every variable it meets, arrays of its own (its slots).

    Args:
        learning_rate: the step size; may be assigned at any time.
        name: shown in messages.
        **unsupported: arguments that exist in Keras and raise with the reason.

    Raises:
        ValueError: the learning rate is negative, or an argument cannot be honoured.
    """

    slot_names: tuple[str, ...] = ()

    def __init__(self, learning_rate: float = 0.01, name: str | None = None, **unsupported: Any) -> None:
        refuse_unsupported(type(self).__name__, unsupported)
        self.name = name or type(self).__name__.lower()
        self.learning_rate = learning_rate
        self.iterations = 0
        self._slots: dict[int, tuple[FloatArray, ...]] = {}

    @property
    def learning_rate(self) -> float:
        """The step size."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = real(type(self).__name__, "learning_rate", value, 0.0)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> None:
        """Change every variable by its gradient; a variable whose gradient is None stays as it is.

        Args:
            grads_and_vars: pairs of a gradient, of the variable's shape, and the variable.

        Raises:
            ValueError: there is no gradient at all, or one has another shape than its variable.
        """
        gradients, variables = [], []
        for gradient, variable in grads_and_vars:
            if gradient is not None:
                gradients.append(gradient)
                variables.append(variable)
        if not variables:
            raise ValueError(f"{self.name}.apply_gradients: no variable has a gradient")
        self.update(gradients, variables)
        self.iterations += 1

    def update(self, gradients: Sequence[ArrayLike], variables: Sequence[Variable]) -> None:
        """Change the variables; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no update()")

    def slots(self, variables: Sequence[Variable]) -> list[list[FloatArray]]:
        """For each of `slot_names`, the arrays kept for these variables; zeros for variables not met before."""
        found = []
        for variable in variables:
            own = self._slots.get(variable._key)
            if own is None:
                own = tuple(np.zeros(variable.shape, np.float32) for _ in self.slot_names)
                self._slots[variable._key] = own
            found.append(own)
        return [[own[i] for own in found] for i in range(len(self.slot_names))]

    def has_slots(self, variable: Variable) -> bool:
        """Whether arrays are kept for this variable."""
        return variable._key in self._slots

    def set_slots(self, variable: Variable, arrays: Sequence[ArrayLike]) -> None:
        """Give the arrays kept for a variable, in the order of `slot_names` (to continue a training).

        Raises:
            ValueError: another number of arrays, or one has another shape than the variable.
        """
        own = tuple(to_float32(a, self.name, "slot").copy() for a in arrays)
        if len(own) != len(self.slot_names) or any(a.shape != variable.shape for a in own):
            raise ValueError(
                f"{self.name}: {variable.name} expects {len(self.slot_names)} arrays of shape {variable.shape}, "
                f"got shapes {[a.shape for a in own]}"
            )
        self._slots[variable._key] = own

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, with the learning rate as it is now."""
        return super().get_config() | {"learning_rate": self.learning_rate}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    `velocity = momentum * velocity - learning_rate * gradient`, then `w += velocity`, or
    `w += momentum * velocity - learning_rate * gradient` with Nesterov's look ahead (Sutskever et al., 2013).

    Args:
        learning_rate: the step size.
        momentum: the part of the last step that is taken again, from 0 to 1.
        nesterov: whether to look ahead.
        name: shown in messages.
        **unsupported: arguments that exist in Keras and raise with the reason.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> SGD(0.1, momentum=0.9).get_config()["momentum"]
        0.9
    """

    slot_names: tuple[str, ...] = ("momentum",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        name: str | None = "sgd",
        **unsupported: Any,
    ) -> None:
        super().__init__(learning_rate, name, **unsupported)
        self.momentum = real("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)
        if not self.momentum:
            self.slot_names = ()

    def update(self, gradients: Sequence[ArrayLike], variables: Sequence[Variable]) -> None:  # noqa: D102
        velocities = self.slots(variables)[0] if self.momentum else []
        updates.sgd_update(variables, gradients, velocities, self.learning_rate, self.momentum, self.nesterov)


class Adam(Optimizer):
    """Steps scaled by running estimates of each gradient's mean and mean square (Kingma and Ba, 2015).

    Args:
        learning_rate: the step size.
        beta_1: the weight of the old mean.
        beta_2: the weight of the old mean square.
        epsilon: added to the root of the mean square.
        name: shown in messages.
        **unsupported: arguments that exist in Keras and raise with the reason.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> from cnnfast.autograd import Variable
        >>> w = Variable([1.0])
        >>> Adam(0.1).apply_gradients([([5.0], w)])
        >>> round(float(w.numpy()[0]), 4)
        0.9
    """

    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        name: str | None = "adam",
        **unsupported: Any,
    ) -> None:
        super().__init__(learning_rate, name, **unsupported)
        self.beta_1 = _below_one("beta_1", beta_1)
        self.beta_2 = _below_one("beta_2", beta_2)
        self.epsilon = real("Adam", "epsilon", epsilon, 0.0)

    def update(self, gradients: Sequence[ArrayLike], variables: Sequence[Variable]) -> None:  # noqa: D102
        m, v = self.slots(variables)
        updates.adam_update(
            variables, gradients, m, v, self.iterations + 1, self.learning_rate, self.beta_1, self.beta_2, self.epsilon
        )


def _below_one(name: str, value: float) -> float:
    number = real("Adam", name, value, 0.0, 1.0)
    if number == 1.0:
        raise ValueError(f"Adam: {name} expects a number below 1, got 1")
    return number


_BY_NAME: dict[str, type[Optimizer]] = {"SGD": SGD, "sgd": SGD, "Adam": Adam, "adam": Adam}

OptimizerLike = Optimizer | str | Mapping[str, Any]


def get(identifier: OptimizerLike) -> Optimizer:
    """The optimizer that an argument means.

    Args:
        identifier: a name ("sgd", "adam"), an optimizer, or a dict of `class_name` and `config`.

    Raises:
        ValueError: no optimizer has that name.
        TypeError: nothing that can be an optimizer.

    Example:
        >>> get("adam").learning_rate
        0.001
    """
    config: Mapping[str, Any] = {}
    name: Any = identifier
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config", {})
    if isinstance(name, str):
        if name not in _BY_NAME:
            raise ValueError(f"optimizer {name!r} is not known; there are {', '.join(sorted(_BY_NAME))}")
        return _BY_NAME[name].from_config(config)
    if isinstance(identifier, Optimizer):
        return identifier
    raise TypeError(f"optimizer expects a name or an Optimizer, got {identifier!r}")
