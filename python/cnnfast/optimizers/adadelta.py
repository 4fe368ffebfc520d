"""Adadelta."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class Adadelta(Elementwise):
    """Steps as large as recent steps were, in the proportion of the gradient to recent gradients.

    With running mean squares G of the gradients and D of the steps, both followed as `rho * old + (1 - rho) * new`:
    `step = -sqrt(D + epsilon) / sqrt(G + epsilon) * g`, `w += learning_rate * step` (M. Zeiler, "ADADELTA: an adaptive
    learning rate method", 2012, which has a learning rate of 1).

    Args:
        learning_rate: the factor on steps: a number, a schedule or a function without arguments.
        rho: the weight of the old mean squares.
        epsilon: added to the mean squares.
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
        >>> Adadelta(1.0, rho=0.75, epsilon=1e-2).apply([[5.0]], [w])
        >>> round(float(w.numpy()[0]), 4)
        0.8002
    """

    slot_names: tuple[str, ...] = ("accumulated_grad", "accumulated_delta_var")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.95,
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
        self.rho = real("Adadelta", "rho", rho, 0.0, 1.0)
        self.epsilon = real("Adadelta", "epsilon", epsilon, 0.0)

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        gradients, steps = slots
        keep, take, epsilon = np.float32(self.rho), np.float32(1.0 - self.rho), np.float32(self.epsilon)
        t = g * g
        t *= take
        gradients *= keep
        gradients += t
        change = steps + epsilon
        np.sqrt(change, out=change)
        change *= g
        np.add(gradients, epsilon, out=t)
        np.sqrt(t, out=t)
        change /= t
        np.multiply(change, change, out=t)
        t *= take
        steps *= keep
        steps += t
        change *= np.float32(learning_rate)
        w -= change
