"""What a run of a graph does, one step after the other, over numbered slots that hold values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnfast.layers.base import Layer
from cnnfast.layers.operation import OperationLayer
from cnnfast.structure import leaves, map_leaves
from cnnfast.symbolic import KerasTensor, Node


@dataclass(frozen=True)
class Slot:
    """The place of a tensor's value among those of a run."""

    number: int


@dataclass
class Step:
    """One call: of a layer, or of what computes several in one pass.

    Attributes:
        compute: what is called, with `training` as its last argument.
        layers: whose work it is.
        args: its positional arguments, with slots in the place of tensors.
        kwargs: its keyword arguments, likewise.
        outputs: the slots of its results.
        input_shape: the first argument's.
        tensor_shapes: those of all tensors among the arguments.
        last_used: slots that nobody reads after this step.
    """

    compute: Callable[..., Any]
    layers: tuple[Layer, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[int]
    input_shape: Any = None
    tensor_shapes: tuple[Any, ...] = ()
    last_used: list[int] = field(default_factory=list)
    # Where there is one argument only: its slot, or the list of its slots.
    plain: int | list[int] | None = field(init=False)
    # Whether slots are arguments themselves, not parts of them or keywords.
    flat: bool = field(init=False)
    operation: OperationLayer | None = field(init=False)  # that is called without what layers do around their work

    def __post_init__(self) -> None:
        self.plain = _plain(self.args[0]) if len(self.args) == 1 and not self.kwargs else None
        self.flat = all(isinstance(part, Slot) or not _slots_in(part) for part in (*self.args, self.kwargs))
        plain = type(self.compute) is OperationLayer and self.compute.activity_regularizer is None
        self.operation = self.compute if plain and self.flat else None  # type: ignore[assignment]

    @property
    def inputs(self) -> list[int]:
        """The slots that it reads."""
        return [slot.number for slot in _slots_in([self.args, self.kwargs])]

    def result(self, slots: list[Any], training: bool | None) -> Any:
        """Make the call."""
        if self.operation is not None:
            with_values = [slots[part.number] if type(part) is Slot else part for part in self.args]
            return self.operation.computed(with_values, self.kwargs)
        if type(self.plain) is int:
            return self.compute(slots[self.plain], training=training)
        if type(self.plain) is list:
            return self.compute([slots[number] for number in self.plain], training=training)

        def filled(arguments: Any) -> Any:
            return map_leaves(lambda leaf: slots[leaf.number] if isinstance(leaf, Slot) else leaf, arguments)

        return self.compute(*filled(self.args), **{"training": training, **filled(self.kwargs)})


def _slots_in(structure: Any) -> list[Slot]:
    return [leaf for leaf in leaves(structure) if isinstance(leaf, Slot)]


def step_of(node: Node, slots: dict[int, int]) -> Step:
    """The step that repeats a symbolic call; `slots` has the slots of tensors by their ids."""

    def slot(leaf: Any) -> Any:
        return Slot(slots[id(leaf)]) if isinstance(leaf, KerasTensor) else leaf

    return Step(
        node.layer,
        (node.layer,),
        map_leaves(slot, node.args),
        map_leaves(slot, node.kwargs),
        [slots[id(tensor)] for tensor in leaves(node.outputs)],
        map_leaves(lambda leaf: tuple(getattr(leaf, "shape", ())), node.args[0]),
        tuple(tensor.shape for tensor in node.inputs),
    )


def readers(steps: Sequence[Step]) -> dict[int, list[Step]]:
    """For every slot the steps that read it, once for each time they do."""
    found: dict[int, list[Step]] = {}
    for step in steps:
        for number in step.inputs:
            found.setdefault(number, []).append(step)
    return found


def note_last_uses(steps: Sequence[Step], kept: Iterable[int]) -> None:
    """Let every step tell the slots that are free after it; `kept` are the results."""
    last = {number: step for step in steps for number in step.inputs}
    kept = set(kept)
    for step in steps:
        step.last_used = [number for number, reader in last.items() if reader is step and number not in kept]


def _plain(argument: Any) -> int | list[int] | None:
    if isinstance(argument, Slot):
        return argument.number
    if isinstance(argument, list) and argument and all(isinstance(part, Slot) for part in argument):
        return [part.number for part in argument]
    return None
