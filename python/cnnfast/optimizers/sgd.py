"""Gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast.arguments import real
from cnnfast.autograd import ArrayLike, Variable
from cnnfast.ops import updates
from cnnfast.optimizers.base import Optimizer
from cnnfast.optimizers.rates import Rate


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    `velocity = momentum * velocity - learning_rate * gradient`, then `w += velocity`, or
    `w += momentum * velocity - learning_rate * gradient` with Nesterov's look ahead (Sutskever et al., 2013).

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        momentum: the part of the last step that is taken again, from 0 to 1.
        nesterov: whether to look ahead.
        weight_decay: see `Optimizer`, which has the rest of the arguments too.
        clipnorm: see `Optimizer`.
        clipvalue: see `Optimizer`.
        global_clipnorm: see `Optimizer`.
        use_ema: see `Optimizer`.
        ema_momentum: see `Optimizer`.
        ema_overwrite_frequency: see `Optimizer`.
        loss_scale_factor: see `Optimizer`.
        gradient_accumulation_steps: see `Optimizer`.
        name: shown in messages.
        **unsupported: arguments that exist elsewhere and raise with the reason.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> SGD(0.1, momentum=0.9).get_config()["momentum"]
        0.9
    """

    slot_names: tuple[str, ...] = ("momentum",)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **unsupported: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **unsupported,
        )  # fmt: skip
        self.momentum = real("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)
        if not self.momentum:
            self.drop_slots("momentum")

    def update(self, gradients: Sequence[ArrayLike], variables: Sequence[Variable], learning_rate: float) -> None:  # noqa: D102
        velocities = self._arrays("momentum", variables) if self.momentum else []
        updates.sgd_update(variables, gradients, velocities, learning_rate, self.momentum, self.nesterov)
