"""The base of all optimizers: what happens to gradients and weights around a step."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import is_
from typing import Any

import numpy as np

from cnnfast.arguments import integer, positive_int, real, refuse_unsupported
from cnnfast.autograd import ArrayLike, FloatArray, Variable, to_float32
from cnnfast.configured import serialize
from cnnfast.optimizers import clipping
from cnnfast.optimizers.rates import Iterations, LearningRate, Rate, checked_rate, rate_after
from cnnfast.optimizers.schedules import deserialize
from cnnfast.optimizers.state import ACCUMULATOR, AVERAGE, State

_OPTIONS = (
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "gradient_accumulation_steps",
)


class Optimizer(State):
    """Base: changes variables by their gradients, and remembers what it needs for that.

    A step clips the gradients, lets weights decay (`w -= learning_rate * weight_decay * w`, apart from the gradient),
    updates, averages, and applies the variables' constraints, in this order. A variable's `learning_rate_multiplier`
    scales the learning rate for it, in its decay too.

    An optimizer of your own defines `update_step(gradient, variable, learning_rate)` and, if it remembers something
    about variables, names it in `slot_names` or makes it in `build`.

    Args:
        learning_rate: the step size: a number (which may be assigned at any time), a schedule of
            `cnnfast.optimizers.schedules`, or a function without arguments.
        weight_decay: the part of a weight, times the learning rate, that every step takes away.
        clipnorm: gradients with a larger Euclidean norm are scaled down to it, each on its own.
        clipvalue: every element of the gradients is brought into [-clipvalue, clipvalue].
        global_clipnorm: as `clipnorm`, with one norm and one factor for all gradients.
        use_ema: whether to keep a moving average of the weights, `average * ema_momentum + w * (1 - ema_momentum)`,
            which `finalize_variable_values` gives to the weights at the end.
        ema_momentum: from 0 to 1.
        ema_overwrite_frequency: after every so many steps the weights become their averages; None for never.
        loss_scale_factor: None; everything is computed in float32, so that no loss needs scaling.
        gradient_accumulation_steps: take one step with the mean gradient of so many calls, at least 2.
        name: shown in messages.
        **unsupported: arguments that exist elsewhere and raise with the reason.

    Raises:
        ValueError: an argument is out of range or cannot be honoured, or gradients are to be clipped in two ways.
        TypeError: an argument has the wrong type.

    Example:
        >>> class Signs(Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         variable.assign_sub(learning_rate * np.sign(gradient))
        >>> w = Variable([1.0, 2.0])
        >>> Signs(0.25).apply([[3.0, -4.0]], [w])
        >>> w.numpy()
        array([0.75, 2.25], dtype=float32)
    """

    # Slots that belong to this class; those of a subclass come before them in slot_names.
    shared_slots = (AVERAGE, ACCUMULATOR)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
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
        owner = type(self).__name__
        refuse_unsupported(owner, {"loss_scale_factor": loss_scale_factor} | unsupported)
        super().__init__()
        self.name = name or owner.lower()
        self._learning_rate = checked_rate(owner, learning_rate)
        self._iterations = 0
        self.weight_decay = _limit(owner, "weight_decay", weight_decay)
        self.clipnorm = _limit(owner, "clipnorm", clipnorm)
        self.clipvalue = _limit(owner, "clipvalue", clipvalue)
        self.global_clipnorm = _limit(owner, "global_clipnorm", global_clipnorm)
        if sum(limit is not None for limit in (self.clipnorm, self.clipvalue, self.global_clipnorm)) > 1:
            raise ValueError(
                f"{owner}: expects only one of clipnorm, clipvalue and global_clipnorm, "
                f"got {clipnorm}, {clipvalue} and {global_clipnorm}"
            )
        self.use_ema = bool(use_ema)
        self.ema_momentum = real(owner, "ema_momentum", ema_momentum, 0.0, 1.0)
        self.ema_overwrite_frequency = (
            positive_int(owner, "ema_overwrite_frequency", ema_overwrite_frequency) if ema_overwrite_frequency else None
        )
        steps = gradient_accumulation_steps
        self.gradient_accumulation_steps = integer(owner, "gradient_accumulation_steps", steps) if steps else None
        if self.gradient_accumulation_steps is not None and self.gradient_accumulation_steps < 2:
            raise ValueError(f"{owner}: gradient_accumulation_steps expects an integer from 2, got {steps}")
        self.slot_names += ((AVERAGE,) if self.use_ema else ()) + ((ACCUMULATOR,) if steps else ())
        self._undecayed: tuple[set[int], re.Pattern[str] | None] = (set(), None)

    # What can be read and assigned

    @property
    def learning_rate(self) -> Any:
        """The step size now: a float that has `numpy()` and `assign()` too.

        A number can be assigned in the place of a number, a schedule or function in the place of anything.

        Raises:
            TypeError: a number is assigned where a schedule tells the rate.
            ValueError: the number is negative.
        """
        rate = LearningRate(self._rate())
        rate._owner = self
        return rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate = checked_rate(type(self).__name__, value)
        if isinstance(rate, float) and not isinstance(self._learning_rate, float):
            raise TypeError(
                f"{type(self).__name__}: learning_rate follows {self._learning_rate!r}, so no number can be assigned; "
                "assign another schedule, or make the optimizer with a number"
            )
        self._learning_rate = rate

    def _rate(self) -> float:
        rate = self._learning_rate
        return rate if isinstance(rate, float) else rate_after(rate, self._iterations)

    @property
    def iterations(self) -> Any:
        """The number of steps taken: an int that has `numpy()` and `assign()` too.

        With `gradient_accumulation_steps`, calls that only accumulate do not count.
        """
        count = Iterations(self._steps())
        count._owner = self
        return count

    @iterations.setter
    def iterations(self, value: int) -> None:
        self.calls = integer(self.name, "iterations", value) * (self.gradient_accumulation_steps or 1)

    def _steps(self) -> int:
        return self._iterations // (self.gradient_accumulation_steps or 1)

    @property
    def calls(self) -> int:
        """How often gradients were applied; `iterations` unless they are accumulated."""
        return self._iterations

    @calls.setter
    def calls(self, value: int) -> None:
        number = integer(self.name, "iterations", value)
        if number < 0:
            raise ValueError(f"{self.name}: iterations expects an integer from 0, got {value}")
        self._iterations = number

    @property
    def variables(self) -> list[Any]:
        """The state: the number of steps, the learning rate if it is a number, and what is kept for the variables."""
        scalars = [self.iterations, *([self.learning_rate] if isinstance(self._learning_rate, float) else [])]
        kept = [self._slots[name][v._key] for v in self._trainable_variables for name in self.slot_names]
        return [*scalars, *self._own.values(), *kept]

    # Steps

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Change every variable by its gradient; one whose gradient is None stays as it is, with a warning.

        Args:
            grads_and_vars: pairs of a gradient, of the variable's shape, and the variable.

        Returns:
            `iterations`.

        Raises:
            ValueError: there is no gradient at all, or one has another shape than its variable.
        """
        columns = list(zip(*grads_and_vars, strict=True))
        if not columns:
            raise ValueError(f"{self.name}.apply_gradients: no variable has a gradient")
        self.apply(*columns)
        return self._steps()

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Change variables by their gradients.

        Args:
            grads: a gradient, or None, for each variable.
            trainable_variables: the variables; by default those that the optimizer was built with.

        Raises:
            ValueError: the optimizer is not built and no variables are given, their numbers or shapes differ from the
                gradients', or all gradients are None.
        """
        gradients = list(grads)
        if not gradients:
            return
        variables = self._variables_for(gradients, trainable_variables)
        if any(map(is_, gradients, repeat(None))):
            gradients, variables = _with_gradient(self.name, gradients, variables)
        if self.gradient_accumulation_steps:
            self._accumulate(gradients, variables, self.gradient_accumulation_steps)
        else:
            self._step(gradients, variables)
        if self.use_ema:
            self._average()
        for variable in [v for v in variables if v.constraint is not None]:
            variable.assign(variable.constraint(variable))  # type: ignore[misc]
        self._iterations += 1

    def _variables_for(self, gradients: list[Any], given: Sequence[Variable] | None) -> list[Variable]:
        if given is None and not self.built:
            raise ValueError(
                f"{self.name}.apply: the variables are not known yet; pass them, or build(variables) first"
            )
        variables = self._trainable_variables if given is None else list(given)
        if len(variables) != len(gradients):
            raise ValueError(
                f"{self.name}.apply: grads expects one for each of the {len(variables)} variables, got {len(gradients)}"
            )
        # Mostly the same variables in the same order, at every step.
        if not (
            len(variables) <= len(self._trainable_variables) and all(map(is_, variables, self._trainable_variables))
        ):
            self._build_for(variables)
        return variables

    def _build_for(self, variables: list[Variable]) -> None:
        for variable in variables:
            if not isinstance(variable, Variable):
                raise TypeError(f"{self.name}.apply: expected Variables, got {type(variable).__name__}")
        if all(v._key in self._indices for v in variables):
            return
        if not self.built:
            self.build(variables)
        elif type(self).build is not State.build:
            raise ValueError(f"{self.name}: expects the variables that it was built with, got others")
        self._meet(variables)

    def _step(self, gradients: Sequence[Any], variables: Sequence[Variable]) -> None:
        if self.clipnorm or self.clipvalue or self.global_clipnorm or self.weight_decay:
            gradients = self.check_fit(gradients, variables)
            gradients = self._clipped(gradients)
        rate = self._rate()
        self.begin_step()
        multipliers = {v.learning_rate_multiplier for v in variables}
        if len(multipliers) == 1:
            self._step_at(rate * multipliers.pop(), gradients, variables)
            return
        for multiplier in sorted(multipliers):
            chosen = [i for i, v in enumerate(variables) if v.learning_rate_multiplier == multiplier]
            self._step_at(rate * multiplier, [gradients[i] for i in chosen], [variables[i] for i in chosen])

    def _step_at(self, rate: float, gradients: Sequence[Any], variables: Sequence[Variable]) -> None:
        if self.weight_decay:
            self._decay(variables, rate * self.weight_decay)
        self.update(gradients, variables, rate)

    def assign(self, variable: Variable, value: ArrayLike) -> None:
        """Give a variable a value; for steps of your own."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: ArrayLike) -> None:
        """Add to a variable; for steps of your own."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: ArrayLike) -> None:
        """Subtract from a variable; for steps of your own."""
        variable.assign_sub(value)

    def begin_step(self) -> None:
        """Called once before the variables are updated; nothing to do for most."""

    def update(self, gradients: Sequence[Any], variables: Sequence[Variable], learning_rate: float) -> None:
        """Change all variables; subclasses define this, or `update_step`."""
        arrays = self.check_fit(gradients, variables)
        with np.errstate(all="ignore"):
            for gradient, variable in zip(arrays, variables, strict=True):
                self.update_step(gradient, variable, learning_rate)

    def update_step(self, gradient: FloatArray, variable: Variable, learning_rate: float) -> None:
        """Change one variable by its gradient; what optimizers of your own define."""
        raise NotImplementedError(f"{type(self).__name__} defines no update_step(gradient, variable, learning_rate)")

    def check_fit(self, gradients: Sequence[ArrayLike], variables: Sequence[Variable]) -> list[FloatArray]:
        """The gradients as float32 arrays.

        Raises:
            ValueError: one has another shape than its variable, or a variable is there twice.
            TypeError: one is not made of real numbers.
        """
        arrays = [
            to_float32(g, self.name, f"the gradient of {v.name}") for g, v in zip(gradients, variables, strict=True)
        ]
        for array, variable in zip(arrays, variables, strict=True):
            if array.shape != variable.shape:
                raise ValueError(
                    f"{self.name}: gradients expects shape {variable.shape} for {variable.name}, got {array.shape}"
                )
        if len({v._key for v in variables}) != len(variables):
            raise ValueError(f"{self.name}: a variable appears twice")
        return arrays

    def scale_loss(self, loss: Any) -> Any:
        """The loss itself: in float32 there is nothing to scale. For training steps of your own that ask."""
        return loss

    def drop_slots(self, *names: str) -> None:
        """Remember less: for subclasses whose settings leave some of their slots without use."""
        self.slot_names = tuple(name for name in self.slot_names if name not in names)

    # Around a step

    def _clipped(self, gradients: list[FloatArray]) -> list[FloatArray]:
        if self.clipnorm:
            return clipping.clip_by_norm(gradients, self.clipnorm)
        if self.global_clipnorm:
            return clipping.clip_by_global_norm(gradients, self.global_clipnorm)
        return clipping.clip_by_value(gradients, self.clipvalue) if self.clipvalue else gradients

    def _decay(self, variables: Sequence[Variable], part: float) -> None:
        for variable in variables:
            if self._decays(variable):
                # Not value * (1 - part): float32 would round much of a small part away.
                with np.errstate(all="ignore"), variable.overwritten() as value:
                    value -= value * np.float32(part)

    def _decays(self, variable: Variable) -> bool:
        keys, names = self._undecayed
        return variable._key not in keys and not (names and names.search(variable.name))

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Say which variables do not decay, such as biases; a later call replaces what an earlier one said.

        Args:
            var_list: variables.
            var_names: parts of names (regular expressions): variables whose name has one of them do not decay.

        Example:
            >>> optimizer = Optimizer(weight_decay=0.01)
            >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        """
        names = list(var_names or ())
        self._undecayed = ({v._key for v in var_list or ()}, re.compile("|".join(names)) if names else None)

    def undecayed(self, variables: Iterable[Variable]) -> list[Variable]:
        """Which of these variables `exclude_from_weight_decay` named."""
        return [v for v in variables if not self._decays(v)]

    def _accumulate(self, gradients: Sequence[Any], variables: Sequence[Variable], calls: int) -> None:
        arrays = self.check_fit(gradients, variables)
        sums = self._arrays(ACCUMULATOR, variables)
        with np.errstate(all="ignore"):
            for total, gradient in zip(sums, arrays, strict=True):
                total += gradient
            if (self._iterations + 1) % calls:
                return
            means = [total / np.float32(calls) for total in sums]
        self._step(means, variables)
        for total in self._arrays(ACCUMULATOR, self._trainable_variables):
            total.fill(0.0)

    def _average(self) -> None:
        averages = self._arrays(AVERAGE, self._trainable_variables)
        steps = self._steps()
        keep = np.float32(self.ema_momentum if steps else 0.0)
        with np.errstate(all="ignore"):
            for average, variable in zip(averages, self._trainable_variables, strict=True):
                if steps:
                    average *= keep
                    average += variable._value * (np.float32(1.0) - keep)
                else:
                    np.copyto(average, variable._value)
        if self.ema_overwrite_frequency and (steps + 1) % self.ema_overwrite_frequency == 0:
            self.finalize_variable_values(self._trainable_variables)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """End a training: with `use_ema`, every variable becomes its average.

        Args:
            var_list: the variables.

        Raises:
            ValueError: one of them was never optimized.
        """
        variables = list(var_list)
        if not self.use_ema or not self.built:
            return
        for variable in variables:
            if variable._key not in self._indices:
                raise ValueError(f"{self.name}: there is no average of {variable.name}, it was not optimized")
        for average, variable in zip(self._arrays(AVERAGE, variables), variables, strict=True):
            with variable.overwritten() as value:
                np.copyto(value, average)

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, with the learning rate and the options as they are now."""
        config = super().get_config()
        config["learning_rate"] = serialize(self._learning_rate, f"{type(self).__name__}: learning_rate")
        return config | {name: getattr(self, name) for name in ("name", *_OPTIONS) if name in config}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make an optimizer from what `get_config` returned; `custom_objects` names schedules of your own."""
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            config = {**config, "learning_rate": deserialize(rate, custom_objects)}
        return cls(**config)


def _limit(owner: str, name: str, value: Any) -> float | None:
    return None if value is None or value is False else real(owner, name, value, 0.0)


def _with_gradient(owner: str, gradients: list[Any], variables: list[Variable]) -> tuple[list[Any], list[Variable]]:
    """Leave out the variables without gradient."""
    missing = [v.name for g, v in zip(gradients, variables, strict=True) if g is None]
    if len(missing) == len(gradients):
        raise ValueError(f"{owner}.apply_gradients: no variable has a gradient")
    warnings.warn(f"{owner}: these variables have no gradient and stay as they are: {missing}", stacklevel=3)
    pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    return [g for g, _ in pairs], [v for _, v in pairs]
