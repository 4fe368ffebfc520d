"""Adamax."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray
from cnnfast.optimizers.adam import below_one
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class Adamax(Elementwise):
    """Adam with the largest recent gradient in the place of the mean square.

    `m += (1 - beta_1) * (g - m)`, `u = max(beta_2 * u, |g|)`,
    `w -= learning_rate / (1 - beta_1^t) * m / (u + epsilon)` at step t (Kingma and Ba, 2015, section 7).

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        beta_1: the weight of the old mean.
        beta_2: how much of the largest gradient is left after a step.
        epsilon: added to the divisor.
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
        >>> from cnnfast.autograd import Variable
        >>> w = Variable([1.0])
        >>> Adamax(0.25).apply([[5.0]], [w])
        >>> round(float(w.numpy()[0]), 4)
        0.75
    """

    slot_names: tuple[str, ...] = ("momentum", "norm")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        self.beta_1 = below_one("Adamax", "beta_1", beta_1)
        self.beta_2 = real("Adamax", "beta_2", beta_2, 0.0, 1.0)
        self.epsilon = real("Adamax", "epsilon", epsilon, 0.0)

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        m, u = slots
        t = g - m
        t *= np.float32(1.0 - self.beta_1)
        m += t
        np.abs(g, out=t)
        u *= np.float32(self.beta_2)
        np.maximum(u, t, out=u)
        np.add(u, np.float32(self.epsilon), out=t)
        np.divide(m, t, out=t)
        t *= np.float32(learning_rate / (1.0 - self.beta_1 ** (self._steps() + 1)))
        w -= t
