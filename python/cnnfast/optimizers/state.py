"""What an optimizer remembers: arrays for every variable (its slots), and variables of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from cnnfast import initializers
from cnnfast.autograd import ArrayLike, FloatArray, Variable, to_float32
from cnnfast.configured import Configured

AVERAGE = "average"
ACCUMULATOR = "gradient_accumulator"


class State(Configured):
    """Keeps the slots: for each of `slot_names` and every variable met, a variable of the same shape.

    A slot begins with zeros, with the value that `slot_starts` names, or, an average, with the variable's own value.
    """

    slot_names: tuple[str, ...] = ()
    name: str

    def __init__(self) -> None:
        self.built = False
        self.slot_starts: dict[str, float] = {}
        self._slots: dict[str, dict[int, Variable]] = {}
        self._own: dict[str, Variable] = {}
        self._trainable_variables: list[Variable] = []
        self._indices: dict[int, int] = {}

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the slots for these variables; done by the first step if not before.

        Subclasses may extend it and make further slots with `add_variable_from_reference`.

        Args:
            variables: what will be optimized; their order is that of the gradients given to `apply` alone.

        Example:
            >>> from cnnfast.optimizers import Adam
            >>> optimizer = Adam()
            >>> optimizer.build([Variable([1.0], name="w")])
            >>> [v.name for v in optimizer.variables]
            ['iteration', 'learning_rate', 'w_momentum', 'w_velocity']
        """
        self._meet(variables)

    def _meet(self, variables: Iterable[Variable]) -> None:
        for variable in variables:
            if variable._key not in self._indices:
                self._indices[variable._key] = len(self._trainable_variables)
                self._trainable_variables.append(variable)
                for name in self.slot_names:
                    if variable._key not in self._slots.get(name, {}):
                        self._add_slot(variable, name, self.slot_starts.get(name, 0.0))
        self.built = True

    def _add_slot(self, variable: Variable, name: str, start: float | Callable[..., Any]) -> Variable:
        if name == AVERAGE:
            values = variable._value
        elif callable(start):
            values = to_float32(start(variable.shape), self.name, name)
        else:
            values = np.full(variable.shape, start, np.float32)
        slot = Variable(values, trainable=False, name=f"{variable.name}_{name}")
        self._slots.setdefault(name, {})[variable._key] = slot
        return slot

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str = "var", initializer: initializers.InitializerLike = "zeros"
    ) -> Variable:
        """Make a slot for a variable, for optimizers of your own; it is saved with the others.

        Args:
            reference_variable: the variable to be optimized.
            name: the slot's name.
            initializer: its first value.

        Returns:
            the slot, of the variable's shape.
        """
        if name not in self.slot_names:
            self.slot_names = (*self.slot_names, name)
        found = self._slots.get(name, {}).get(reference_variable._key)
        return found or self._add_slot(reference_variable, name, initializers.get(initializer))

    def add_optimizer_variables(
        self,
        trainable_variables: Sequence[Variable],
        name: str | Sequence[str],
        initializer: initializers.InitializerLike | Sequence[initializers.InitializerLike] = "zeros",
    ) -> Any:
        """Make slots for several variables.

        Args:
            trainable_variables: the variables to be optimized.
            name: the slots' name, or several.
            initializer: their first value, or one for each name.

        Returns:
            a list of slots, or for several names a tuple of lists.
        """
        names = [name] if isinstance(name, str) else list(name)
        starts: list[Any] = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        made = tuple(
            [self.add_variable_from_reference(v, each, start) for v in trainable_variables]
            for each, start in zip(names, starts, strict=True)
        )
        return made[0] if isinstance(name, str) else made

    def add_variable(
        self, shape: Sequence[int], initializer: initializers.InitializerLike = "zeros", *, name: str = "variable"
    ) -> Variable:
        """Make a variable of the optimizer's own, saved with its slots.

        Args:
            shape: its shape.
            initializer: its first value.
            name: must differ from the others'.

        Raises:
            ValueError: there is one of that name.
        """
        if name in self._own:
            raise ValueError(f"{self.name}: there is a variable named {name!r} already")
        self._own[name] = Variable(initializers.get(initializer)(tuple(shape)), trainable=False, name=name)
        return self._own[name]

    @property
    def own_variables(self) -> dict[str, Variable]:
        """The variables made by `add_variable`, by name."""
        return dict(self._own)

    @property
    def optimized(self) -> list[Variable]:
        """The variables that the optimizer was built with, or met later."""
        return list(self._trainable_variables)

    def _get_variable_index(self, variable: Variable) -> int:
        """The variable's place among those that the optimizer was built with."""
        return self._indices[variable._key]

    # Slots

    def slots(self, variables: Sequence[Variable]) -> list[list[FloatArray]]:
        """For each of `slot_names`, the arrays kept for these variables; made for variables not met before."""
        if any(v._key not in self._indices for v in variables):
            self._meet(variables)
        return [self._arrays(name, variables) for name in self.slot_names]

    def _arrays(self, name: str, variables: Sequence[Variable]) -> list[FloatArray]:
        slots = self._slots.get(name, {})
        return [slots[v._key]._value for v in variables]

    def has_slots(self, variable: Variable) -> bool:
        """Whether arrays are kept for this variable."""
        return variable._key in self._indices

    def set_slots(self, variable: Variable, arrays: Sequence[ArrayLike]) -> None:
        """Give the arrays kept for a variable, in the order of `slot_names` (to continue a training).

        Raises:
            ValueError: another number of arrays, or one has another shape than the variable.
        """
        given = [to_float32(a, self.name, "slot") for a in arrays]
        if len(given) != len(self.slot_names) or any(a.shape != variable.shape for a in given):
            raise ValueError(
                f"{self.name}: {variable.name} expects {len(self.slot_names)} arrays of shape {variable.shape}, "
                f"got shapes {[a.shape for a in given]}"
            )
        self._meet([variable])
        for name, array in zip(self.slot_names, given, strict=True):
            self._slots[name][variable._key].assign(array)
