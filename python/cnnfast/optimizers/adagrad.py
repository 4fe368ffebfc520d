"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class Adagrad(Elementwise):
    """Steps divided by the root of the sum of all squared gradients: the more a weight moved, the slower it gets.

    `a += g^2`, `w -= learning_rate * g / sqrt(a + epsilon)` (J. Duchi, E. Hazan and Y. Singer, 2011).

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        initial_accumulator_value: what the sum begins with.
        epsilon: added to the sum.
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
        >>> Adagrad(0.5, initial_accumulator_value=0.0).apply([[5.0]], [w])
        >>> round(float(w.numpy()[0]), 4)
        0.5
    """

    slot_names: tuple[str, ...] = ("accumulator",)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = real("Adagrad", "initial_accumulator_value", initial_accumulator_value, 0.0)
        self.epsilon = real("Adagrad", "epsilon", epsilon, 0.0)
        self.slot_starts["accumulator"] = self.initial_accumulator_value

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        (total,) = slots
        t = g * g
        total += t
        root = total + np.float32(self.epsilon)
        np.sqrt(root, out=root)
        np.multiply(g, np.float32(learning_rate), out=t)
        t /= root
        w -= t
