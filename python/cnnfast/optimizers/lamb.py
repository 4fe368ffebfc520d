"""Lamb."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray, Variable
from cnnfast.optimizers.adam import below_one, follow_moments
from cnnfast.optimizers.base import Optimizer
from cnnfast.optimizers.rates import Rate


class Lamb(Optimizer):
    """Adam with steps as long, for every variable, as the variable itself times the learning rate: for large batches.

    With Adam's m and v: `step = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)`,
    `w -= learning_rate * norm(w) / norm(step) * step`, without the norms where one is 0 (Y. You et al., "Large batch
    optimization for deep learning: training BERT in 76 minutes", 2020).

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
        >>> w = Variable([3.0, 4.0])
        >>> Lamb(0.1).apply([[5.0, 5.0]], [w])
        >>> w.numpy().round(4)
        array([2.6464, 3.6464], dtype=float32)
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
        self.beta_1 = below_one("Lamb", "beta_1", beta_1)
        self.beta_2 = below_one("Lamb", "beta_2", beta_2)
        self.epsilon = real("Lamb", "epsilon", epsilon, 0.0)

    def update_step(self, gradient: FloatArray, variable: Variable, learning_rate: float) -> None:  # noqa: D102
        slots = [self._arrays(name, [variable])[0] for name in ("momentum", "velocity")]
        g, m, v = (a.reshape(-1) for a in (gradient, *slots))
        count = self._steps() + 1
        follow_moments(m, v, g, self.beta_1, self.beta_2)
        root = v * np.float32(1.0 / (1.0 - self.beta_2**count))
        np.sqrt(root, out=root)
        root += np.float32(self.epsilon)
        step = m * np.float32(1.0 / (1.0 - self.beta_1**count))
        step /= root
        length, stride = float(np.linalg.norm(variable._value)), float(np.linalg.norm(step))
        ratio = length / stride if length > 0.0 and stride > 0.0 else 1.0
        step *= np.float32(learning_rate * ratio)
        with variable.overwritten() as value:
            value.reshape(-1)[:] -= step
