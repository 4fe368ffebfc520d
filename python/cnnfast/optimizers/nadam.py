"""Nadam."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray
from cnnfast.optimizers.adam import below_one, follow_moments
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class Nadam(Elementwise):
    """Adam with Nesterov's look ahead.

    `m` and `v` as in Adam; with `u_t = beta_1 * (1 - 0.5 * 0.96^t)` and U_t the product of all up to step t,
    `m' = u_(t+1) * m / (1 - U_(t+1)) + (1 - u_t) * g / (1 - U_t)`,
    `w -= learning_rate * m' / (sqrt(v / (1 - beta_2^t)) + epsilon)` (T. Dozat, "Incorporating Nesterov momentum into
    Adam", 2016).

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        beta_1: the weight of the old mean.
        beta_2: the weight of the old mean square.
        epsilon: added to the root of the mean square.
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
        >>> Nadam(0.1).apply([[5.0]], [w])
        >>> bool(w.numpy()[0] < 0.91)
        True
    """

    slot_names: tuple[str, ...] = ("momentum", "velocity")

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
        self.beta_1 = below_one("Nadam", "beta_1", beta_1)
        self.beta_2 = below_one("Nadam", "beta_2", beta_2)
        self.epsilon = real("Nadam", "epsilon", epsilon, 0.0)
        self._product = self.add_variable((), "ones", name="momentum_product")

    def begin_step(self) -> None:  # noqa: D102
        self._product.assign(self._product._value * np.float32(self._weight(self._steps() + 1)))

    def _weight(self, step: int) -> float:
        return self.beta_1 * (1.0 - 0.5 * 0.96**step)

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        m, v = slots
        step = self._steps() + 1
        now, ahead, product = self._weight(step), self._weight(step + 1), float(self._product)
        follow_moments(m, v, g, self.beta_1, self.beta_2)
        change = m * np.float32(learning_rate * ahead / (1.0 - product * ahead))
        t = g * np.float32(learning_rate * (1.0 - now) / (1.0 - product))
        change += t
        np.multiply(v, np.float32(1.0 / (1.0 - self.beta_2**step)), out=t)
        np.sqrt(t, out=t)
        t += np.float32(self.epsilon)
        change /= t
        w -= change
