"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray, Variable
from cnnfast.ops import updates
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class Adam(Elementwise):
    """Steps scaled by running estimates of each gradient's mean and mean square.

    `m += (1 - beta_1) * (g - m)`, `v += (1 - beta_2) * (g^2 - v)`, `w -= alpha * m / (sqrt(v) + epsilon)` with
    `alpha = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)` at step t (Kingma and Ba, 2015).

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        beta_1: the weight of the old mean.
        beta_2: the weight of the old mean square.
        epsilon: added to the root of the mean square.
        amsgrad: whether to divide by the largest v so far (Reddi et al., "On the convergence of Adam and beyond",
            2018).
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
        >>> Adam(0.1).apply([[5.0]], [w])
        >>> round(float(w.numpy()[0]), 4)
        0.9
    """

    slot_names: tuple[str, ...] = ("momentum", "velocity", "velocity_hat")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        owner = type(self).__name__
        self.beta_1 = below_one(owner, "beta_1", beta_1)
        self.beta_2 = below_one(owner, "beta_2", beta_2)
        self.epsilon = real(owner, "epsilon", epsilon, 0.0)
        self.amsgrad = bool(amsgrad)
        if not self.amsgrad:
            self.drop_slots("velocity_hat")

    def update(self, gradients: Sequence[Any], variables: Sequence[Variable], learning_rate: float) -> None:  # noqa: D102
        if self.amsgrad:
            super().update(gradients, variables, learning_rate)
            return
        m, v = self._arrays("momentum", variables), self._arrays("velocity", variables)
        step = self._steps() + 1
        updates.adam_update(variables, gradients, m, v, step, learning_rate, self.beta_1, self.beta_2, self.epsilon)

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        m, v, largest = slots
        step = self._steps() + 1
        alpha = learning_rate * (1.0 - self.beta_2**step) ** 0.5 / (1.0 - self.beta_1**step)
        follow_moments(m, v, g, self.beta_1, self.beta_2)
        np.maximum(largest, v, out=largest)
        root = np.sqrt(largest)
        root += np.float32(self.epsilon)
        change = m * np.float32(alpha)
        change /= root
        w -= change


class AdamW(Adam):
    """Adam with weights that decay apart from the gradient (Loshchilov and Hutter, 2019).

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        weight_decay: the part of a weight, times the learning rate, that every step takes away.
        beta_1: the weight of the old mean.
        beta_2: the weight of the old mean square.
        epsilon: added to the root of the mean square.
        amsgrad: whether to divide by the largest v so far.
        clipnorm: see `Optimizer`, which has the rest of the arguments too.
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
        >>> AdamW(0.1, weight_decay=0.5).apply([[0.0]], [w])
        >>> round(float(w.numpy()[0]), 4)
        0.95
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("AdamW: weight_decay expects a number, got None; Adam has no decay")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue, global_clipnorm,
            use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
            **unsupported,
        )  # fmt: skip


def follow_moments(m: FloatArray, v: FloatArray, g: FloatArray, beta_1: float, beta_2: float) -> None:
    """Move the mean and the mean square of gradients, in place, towards a new gradient.

    Example:
        >>> m, v = np.zeros(1, np.float32), np.zeros(1, np.float32)
        >>> follow_moments(m, v, np.float32([2.0]), 0.5, 0.75)
        >>> m, v
        (array([1.], dtype=float32), array([1.], dtype=float32))
    """
    t = g - m
    t *= np.float32(1.0 - beta_1)
    m += t
    np.multiply(g, g, out=t)
    t -= v
    t *= np.float32(1.0 - beta_2)
    v += t


def below_one(owner: str, name: str, value: float) -> float:
    """Return `value` as a float from 0 to below 1.

    Raises:
        TypeError: it is not a real number.
        ValueError: it is out of range.
    """
    number = real(owner, name, value, 0.0, 1.0)
    if number == 1.0:
        raise ValueError(f"{owner}: {name} expects a number below 1, got 1")
    return number
