"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class RMSprop(Elementwise):
    """Steps divided by the root of each gradient's running mean square.

    `v = rho * v + (1 - rho) * g^2`, `w -= learning_rate * g / sqrt(v + epsilon)` (T. Tieleman and G. Hinton, lecture
    6.5 of "Neural networks for machine learning", 2012).

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        rho: the weight of the old mean square.
        momentum: the part of the last step that is taken again.
        epsilon: added to the mean square.
        centered: whether to divide by the gradient's standard deviation instead: the square of its running mean is
            subtracted from the mean square.
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
        >>> RMSprop(0.1, rho=0.75).apply([[5.0]], [w])
        >>> round(float(w.numpy()[0]), 4)
        0.8
    """

    slot_names: tuple[str, ...] = ("velocity", "momentum", "average_gradient")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = real("RMSprop", "rho", rho, 0.0, 1.0)
        self.momentum = real("RMSprop", "momentum", momentum, 0.0, 1.0)
        self.epsilon = real("RMSprop", "epsilon", epsilon, 0.0)
        self.centered = bool(centered)
        if not self.momentum:
            self.drop_slots("momentum")
        if not self.centered:
            self.drop_slots("average_gradient")

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        v = slots[0]
        keep, take = np.float32(self.rho), np.float32(1.0 - self.rho)
        t = g * g
        t *= take
        v *= keep
        v += t
        divisor = v + np.float32(self.epsilon)
        if self.centered:
            mean = slots[-1]
            np.multiply(g, take, out=t)
            mean *= keep
            mean += t
            np.multiply(mean, mean, out=t)
            np.subtract(v, t, out=divisor)
            divisor += np.float32(self.epsilon)
        np.sqrt(divisor, out=divisor)
        np.multiply(g, np.float32(learning_rate), out=t)
        t /= divisor
        if self.momentum:
            last = slots[1]
            last *= np.float32(self.momentum)
            last += t
            t = last
        w -= t
