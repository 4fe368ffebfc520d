"""Ftrl."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.autograd import FloatArray
from cnnfast.optimizers.elementwise import Elementwise
from cnnfast.optimizers.rates import Rate


class Ftrl(Elementwise):
    """Follow the regularized leader: weights that are the best answer to all gradients so far, sparse with an l1 term.

    With `p = -learning_rate_power` and `l2 = l2_regularization_strength + beta / (2 * learning_rate)`:
    `n' = n + g^2`, `z += g + 2 * l2_shrinkage * w - (n'^p - n^p) / learning_rate * w`,
    `w = (clip(z, -l1, l1) - z) / (n'^p / learning_rate + 2 * l2)`
    (H. B. McMahan et al., "Ad click prediction: a view from the trenches", 2013). A learning rate of 0 changes nothing.

    Args:
        learning_rate: the step size: a number, a schedule or a function without arguments.
        learning_rate_power: how the rate falls with the sum of squared gradients, from -inf to 0.
        initial_accumulator_value: what that sum begins with.
        l1_regularization_strength: from 0.
        l2_regularization_strength: from 0, a penalty on where the weights are.
        l2_shrinkage_regularization_strength: from 0, a penalty on how large they are at a step.
        beta: from 0; the paper's beta.
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
        >>> w = Variable([0.0])
        >>> Ftrl(0.5, initial_accumulator_value=0.0).apply([[5.0]], [w])
        >>> w.numpy()
        array([-0.5], dtype=float32)
    """

    slot_names: tuple[str, ...] = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = real("Ftrl", "learning_rate_power", learning_rate_power, high=0.0)
        self.initial_accumulator_value = real("Ftrl", "initial_accumulator_value", initial_accumulator_value, 0.0)
        self.l1_regularization_strength = real("Ftrl", "l1_regularization_strength", l1_regularization_strength, 0.0)
        self.l2_regularization_strength = real("Ftrl", "l2_regularization_strength", l2_regularization_strength, 0.0)
        self.l2_shrinkage_regularization_strength = real(
            "Ftrl", "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength, 0.0
        )
        self.beta = real("Ftrl", "beta", beta, 0.0)
        self.slot_starts["accumulator"] = self.initial_accumulator_value

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:  # noqa: D102
        if learning_rate == 0.0:
            return
        squares, z = slots
        before = self._powered(squares)
        t = g * g
        squares += t
        after = self._powered(squares)
        np.subtract(after, before, out=before)
        before /= np.float32(learning_rate)
        before *= w
        z += g
        z -= before
        if self.l2_shrinkage_regularization_strength:
            np.multiply(w, np.float32(2.0 * self.l2_shrinkage_regularization_strength), out=t)
            z += t
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        after /= np.float32(learning_rate)
        after += np.float32(2.0 * l2)
        l1 = np.float32(self.l1_regularization_strength)
        np.clip(z, -l1, l1, out=w)
        w -= z
        w /= after

    def _powered(self, squares: FloatArray) -> FloatArray:
        power = -self.learning_rate_power
        powered: FloatArray = np.sqrt(squares) if power == 0.5 else np.power(squares, np.float32(power))
        return powered
