"""Lion."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class Lion(Elementwise):
    """Steps of one size in the direction of a mean gradient's signs.

    `w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)`, then `m = beta_2 * m + (1 - beta_2) * g` (X. Chen et
    al., "Symbolic discovery of optimization algorithms", 2023). Rates a few times smaller than Adam's suit it.

    Args:
        learning_rate: the size of steps: a number, a schedule or a function without arguments.
        beta_1: the weight of the mean in the direction, above 0.
        beta_2: the weight of the old mean.
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
        >>> w = Variable([1.0, 1.0])
        >>> Lion(0.25).apply([[5.0, -0.1]], [w])
        >>> w.numpy()
        array([0.75, 1.25], dtype=float32)
    """

    slot_names: tuple[str, ...] = ("momentum",)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        self.beta_1 = real("Lion", "beta_1", beta_1, 0.0, 1.0)
        self.beta_2 = real("Lion", "beta_2", beta_2, 0.0, 1.0)
        if self.beta_1 == 0.0:
            raise ValueError("Lion: beta_1 expects a number above 0, got 0: the mean would have no influence")

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        (m,) = slots
        direction = m * np.float32(self.beta_1)
        t = g * np.float32(1.0 - self.beta_1)
        direction += t
        np.sign(direction, out=direction)
        direction *= np.float32(learning_rate)
        w -= direction
        np.multiply(g, np.float32(1.0 - self.beta_2), out=t)
        m *= np.float32(self.beta_2)
        m += t
