"""Which loss, labels, weights and metrics belong to which of a model's outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnfast.structure import leaves


def is_nested(value: Any) -> bool:
    """Whether something is a list, tuple or dict.

    Example:
        >>> is_nested([1]), is_nested("mse")
        (True, False)
    """
    return isinstance(value, (list, tuple, dict))


def map_given(function: Callable[[Any], Any], given: Any) -> Any:
    """The structure that `compile` was given with a function of each loss or metric in its place; None stays None.

    A dict of `class_name` and `config` is one loss or metric.

    Example:
        >>> map_given(str.upper, {"a": ["mse", None]})
        {'a': ['MSE', None]}
    """
    if given is None:
        return None
    if isinstance(given, dict) and not {"class_name", "config"} <= set(given):
        return {key: map_given(function, part) for key, part in given.items()}
    if isinstance(given, (list, tuple)):
        return [map_given(function, part) for part in given]
    return function(given)


class Outputs:
    """A model's outputs, in the order of `leaves`, and the names they go by.

    Args:
        y_pred: what the model returned, or any structure of that form.
        names: the names of the outputs, where the model knows them.

    Example:
        >>> Outputs({"a": 1, "b": 2}).names
        ['a', 'b']
    """

    def __init__(self, y_pred: Any, names: Sequence[str] | None = None) -> None:
        self.structure = y_pred
        self.count = len(leaves(y_pred))
        self.single = not is_nested(y_pred)
        self.names: list[str] | None = list(names) if names and len(names) == self.count else None
        if isinstance(y_pred, dict) and len(y_pred) == self.count:
            self.names = [str(key) for key in y_pred]

    def same_form(self, y_pred: Any) -> bool:
        """Whether another result has as many outputs, under the same names."""
        if is_nested(y_pred) == self.single:
            return False
        if self.single:
            return True
        if isinstance(y_pred, dict) and isinstance(self.structure, dict) and list(y_pred) != list(self.structure):
            return False
        return len(leaves(y_pred)) == self.count

    def spread(self, given: Any, what: str) -> list[Any]:
        """One entry of `given` for each output; a dict may leave outputs out, which then get None.

        Args:
            given: in the structure of the outputs, or a flat list, or a dict by their names.
            what: the argument's name, for messages.

        Raises:
            ValueError: the structures do not fit.

        Example:
            >>> Outputs([0, 0], ["a", "b"]).spread({"b": "mse"}, "loss")
            [None, 'mse']
        """
        found = self._spread(given, self.structure)
        if found is None and isinstance(given, dict) and self.names is not None and set(given) <= set(self.names):
            found = [given.get(name) for name in self.names]
        if found is None and isinstance(given, (list, tuple)) and len(given) == self.count:
            found = list(given)
        if found is None:
            form = f"named {self.names}" if self.names else f"in the structure {_form(self.structure)}"
            raise ValueError(
                f"{what} expects one entry for each of the {self.count} outputs {form}, got {_form(given)}"
            )
        return found

    def _spread(self, given: Any, structure: Any) -> list[Any] | None:
        if not is_nested(structure):
            return [given]
        if given is None:
            return [None] * len(leaves(structure))
        if isinstance(structure, dict):
            if not isinstance(given, dict) or not set(given) <= set(structure):
                return None
            parts = [(given.get(key), part) for key, part in structure.items()]
        else:
            if not isinstance(given, (list, tuple)) or len(given) != len(structure):
                return None
            parts = list(zip(given, structure, strict=True))
        found = []
        for entry, part in parts:
            spread = self._spread(entry, part)
            if spread is None:
                return None
            found += spread
        return found

    def values(self, given: Any, wanted: Sequence[bool], what: str) -> list[Any]:
        """One array of `given` for each output: labels or weights, perhaps for those `wanted` alone.

        Raises:
            ValueError: there are too few or too many.
        """
        if self.single:
            if isinstance(given, dict) and len(given) == 1:
                return list(given.values())
            if isinstance(given, dict):
                raise ValueError(f"{what} expects one array for the one output, got {_form(given)}")
            if isinstance(given, (list, tuple)) and len(given) == 1 and hasattr(given[0], "shape") and given[0].shape:
                return [given[0]]
            return [given]
        if not isinstance(given, dict):
            flat = leaves(given)
            if len(flat) == self.count:
                return flat
            if len(flat) == sum(wanted):
                following = iter(flat)
                return [next(following) if want else None for want in wanted]
        return self.spread(given, what)


def _form(structure: Any) -> str:
    """A structure as text, with a dot for each leaf.

    Example:
        >>> _form({"a": 1, "b": [2, 3]})
        "{'a': ., 'b': [., .]}"
    """
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key!r}: {_form(part)}" for key, part in structure.items()) + "}"
    if isinstance(structure, (list, tuple)):
        return "[" + ", ".join(_form(part) for part in structure) + "]"
    return structure if isinstance(structure, str) else "."
