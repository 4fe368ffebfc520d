"""Which tensor of a file belongs to which weight of a model: by a mapping, by equal names, or by order and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnfast.interop.torch.layouts import Part, Slot
from cnnfast.interop.torch.storages import Array

Mapper = Mapping[str, str | None] | Callable[[str], str | None]
_WRAPPERS = ("module.", "model.", "_orig_mod.")  # what parallel or compiled modules put in front of all names
_COUNTER = "num_batches_tracked"


@dataclass(eq=False)
class Module:
    """The tensors of a file whose names differ in the last part only."""

    name: str
    tensors: dict[str, Array] = field(default_factory=dict)

    @property
    def normalizes(self) -> bool:
        """Whether this is batch normalization."""
        return "running_mean" in self.tensors

    def full(self, role: str) -> str:
        """A tensor's name in the file."""
        return f"{self.name}.{role}" if self.name else role

    def __str__(self) -> str:
        return ", ".join(f"{self.full(role)} {array.shape}" for role, array in self.tensors.items())


@dataclass(frozen=True)
class Match:
    """A tensor, the weight that it belongs to, and how that was found: "mapping", "name" or "order"."""

    source: str
    slot: Slot
    how: str


def modules_of(tensors: Mapping[str, Array]) -> list[Module]:
    """The tensors by module, in the file's order, without the counters that normalization keeps.

    Example:
        >>> [module.name for module in modules_of({"fc.weight": None, "fc.bias": None})]
        ['fc']
    """
    found: dict[str, Module] = {}
    for name, array in tensors.items():
        module, _, role = name.rpartition(".")
        if role != _COUNTER:
            found.setdefault(module, Module(module)).tensors[role] = array
    return list(found.values())


def matched(tensors: Mapping[str, Array], parts: list[Part], mapping: Mapper | None, strict: bool) -> list[Match]:
    """Find a tensor for each weight.

    Args:
        tensors: by their names in the file.
        parts: the model's, in the order of computing.
        mapping: what is known, see `load_torch_weights`.
        strict: whether an order that does not fit is an error.

    Raises:
        ValueError: the mapping names what is not there, shapes do not fit, or the order does not tell.
    """
    matches = [] if mapping is None else _by_mapping(tensors, parts, mapping)
    dropped = {name for name in tensors if mapping is not None and _is_dropped(mapping, name)}
    matches += _by_name(*_left(tensors, parts, matches, dropped))
    return matches + _by_order(*_left(tensors, parts, matches, dropped), strict)


def _left(
    tensors: Mapping[str, Array], parts: list[Part], matches: list[Match], dropped: set[str]
) -> tuple[list[Module], list[Part]]:
    """What is not matched yet."""
    used = {match.source for match in matches} | dropped
    filled = {match.slot.path for match in matches}
    modules = modules_of({name: array for name, array in tensors.items() if name not in used})
    rest = [Part(part.path, tuple(slot for slot in part.slots if slot.path not in filled)) for part in parts]
    return modules, [part for part in rest if part.slots]


# By a mapping


def _is_dropped(mapping: Mapper, name: str) -> bool:
    if callable(mapping):
        return mapping(name) is None
    module = name.rpartition(".")[0]
    return any(key in mapping and mapping[key] is None for key in (name, module))


def _by_mapping(tensors: Mapping[str, Array], parts: list[Part], mapping: Mapper) -> list[Match]:
    by_path = {slot.path: slot for part in parts for slot in part.slots}
    by_part = {part.path: part for part in parts}
    known = set(tensors) | {name.rpartition(".")[0] for name in tensors}
    if not callable(mapping):
        absent = [key for key in mapping if key not in known]
        if absent:
            raise ValueError(f"mapping names {absent[:5]}, which the file does not have; it has {sorted(known)[:20]}")
    matches = []
    for name, array in tensors.items():
        module, _, role = name.rpartition(".")
        if role == _COUNTER:
            continue
        target = mapping(name) if callable(mapping) else mapping.get(name, mapping.get(module))
        if target is None:
            continue
        slot = by_path.get(target) or next((s for s in _slots(by_part, target) if s.role == role), None)
        if slot is None:
            near = [path for path in by_path if path.split("/")[0] == target.split("/")[0]] or list(by_path)
            raise ValueError(f"mapping: {name!r} is to become {target!r}, which the model lacks; it has {near[:20]}")
        if not slot.takes(array.shape):
            raise ValueError(_misfit(name, array, slot))
        matches.append(Match(name, slot, "mapping"))
    doubled = _doubled([match.slot.path for match in matches])
    if doubled:
        raise ValueError(f"mapping: {[m.source for m in matches if m.slot.path == doubled]} are both for {doubled!r}")
    return matches


def _slots(by_part: Mapping[str, Part], target: str) -> tuple[Slot, ...]:
    return by_part[target].slots if target in by_part else ()


def _doubled(values: list[str]) -> str | None:
    seen: set[str] = set()
    return next((value for value in values if value in seen or seen.add(value)), None)  # type: ignore[func-returns-value]


def _misfit(name: str, array: Array, slot: Slot) -> str:
    return (
        f"{name!r} of shape {array.shape} does not fit {slot.path!r} of shape {tuple(slot.variable.shape)}, which "
        f"expects {slot.shape}"
    )


# By equal names


def _canonical(name: str) -> str:
    return re.sub(r"[/_.]+", ".", name)


def _by_name(modules: list[Module], parts: list[Part]) -> list[Match]:
    prefix = next((p for p in _WRAPPERS if modules and all(m.name.startswith(p) for m in modules)), "")
    by_name: dict[str, Module | None] = {}
    for module in modules:
        key = _canonical(module.name.removeprefix(prefix))
        by_name[key] = None if key in by_name else module
    matches = []
    for part in parts:
        found = by_name.get(_canonical(part.path))
        for slot in part.slots if found is not None else ():
            if found is not None and slot.role in found.tensors:
                if not slot.takes(found.tensors[slot.role].shape):
                    raise ValueError(_misfit(found.full(slot.role), found.tensors[slot.role], slot))
                matches.append(Match(found.full(slot.role), slot, "name"))
    return matches


# By order

_Unit = tuple[Any, ...]


def _units(entries: list[Any], outputs: Callable[[Any], int | None], channels: Callable[[Any], int]) -> list[_Unit]:
    """Each module, together with the normalization of its outputs that follows it."""
    units: list[_Unit] = []
    for entry in entries:
        before = units[-1][-1] if units else None
        if before is not None and entry.normalizes and not before.normalizes and outputs(before) == channels(entry):
            units[-1] += (entry,)
        else:
            units.append((entry,))
    return units


def _fits(unit: _Unit, wanted: _Unit) -> bool:
    return len(unit) == len(wanted) and all(
        {slot.role for slot in part.slots} == set(module.tensors)
        and all(slot.takes(module.tensors[slot.role].shape) for slot in part.slots)
        for module, part in zip(unit, wanted, strict=True)
    )


def _by_order(modules: list[Module], parts: list[Part], strict: bool) -> list[Match]:
    """Go through both in order. One that is elsewhere is taken only where no other could be meant."""
    sources = _units(modules, _first_size, lambda m: m.tensors["running_mean"].size)
    targets = _units(parts, _part_size, lambda p: next(s for s in p.slots if s.role == "running_mean").shape[0])
    matches: list[Match] = []
    for number, target in enumerate(targets):
        fitting = [source for source in sources if _fits(source, target)]
        in_order = bool(fitting) and fitting[0] is sources[0]
        if not in_order and (len(fitting) != 1 or any(_fits(fitting[0], other) for other in targets[number + 1 :])):
            if strict and fitting:
                raise ValueError(_disorder(target, sources[0], fitting))
            continue
        sources.remove(fitting[0])
        for module, part in zip(fitting[0], target, strict=True):
            matches += [Match(module.full(slot.role), slot, "order") for slot in part.slots]
    return matches


def _first_size(module: Module) -> int | None:
    weight = module.tensors.get("weight")
    return None if weight is None or weight.ndim < 2 else weight.shape[0]


def _part_size(part: Part) -> int | None:
    return next((slot.shape[0] for slot in part.slots if slot.role == "weight" and len(slot.shape) > 1), None)


def _disorder(target: _Unit, source: _Unit, fitting: list[_Unit]) -> str:
    wanted = ", ".join(f"{slot.path} as {slot.role} {slot.shape}" for part in target for slot in part.slots)
    given = "; ".join(str(module) for module in source)
    names = [unit[0].name for unit in fitting]
    return (
        f"several tensors fit {wanted}: those of {names[:10]}, and the order does not tell, as next in the file is "
        f"{given}; give a mapping such as {{{names[0]!r}: {target[0].path!r}}}"
    )
