"""A reader of pickles that builds containers, numbers and what it was told it may call, and refuses the rest by name.

Python's own unpickler calls whatever a file names. This one is a machine for the same instructions that looks names up
in a table: what is not there is refused before anything happens. The instructions that it obeys, and what it copies on
their behalf, are counted, so that a small file cannot make it work or remember without end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

MOST_WORK = 4_000_000  # instructions, and elements that calls copy
_LONGEST_INTEGER = 255  # bytes
_LARGEST_KEY = 1 << 60  # an integer's hash is the integer itself below


@dataclass(frozen=True)
class Call:
    """What a file may call.

    Args:
        name: as the file names it.
        make: takes the machine and the arguments; raises ValueError where they do not fit.
    """

    name: str
    make: Callable[[Machine, tuple[Any, ...]], Any]


class Machine:
    """Builds the objects of one pickle.

    Args:
        data: the bytes of the file.
        known: what the file may name: `Call`s, and values that stand for themselves, by module and name.
        persistent: makes an object of what the file says of one that is kept elsewhere.
        start: where in the bytes the pickle begins.

    Example:
        >>> import pickle
        >>> Machine(pickle.dumps({"sizes": (2, 3)}), {}, lambda key: None).run()
        {'sizes': (2, 3)}
    """

    def __init__(
        self, data: bytes, known: Mapping[str, Any], persistent: Callable[[Any], Any] | None = None, start: int = 0
    ) -> None:
        self.data, self.position = data, start
        self.known, self.persistent = known, persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def run(self) -> Any:
        """The object; `position` is behind the pickle then.

        Raises:
            ValueError: the pickle is damaged, wants what is not known, or asks for too much.
        """
        try:
            while True:
                self.spend(1)
                code = self.take(1)[0]
                if code == _STOP:
                    if len(self.stack) != 1:
                        raise ValueError(f"damaged: {len(self.stack)} values at the end")
                    return self.stack[0]
                act = _INSTRUCTIONS.get(code)
                if act is None:
                    raise ValueError(f"refused: instruction {code:#04x} at byte {self.position - 1}")
                act(self)
        except (IndexError, KeyError, TypeError, UnicodeError, struct.error) as error:
            raise ValueError(f"damaged near byte {self.position}: {type(error).__name__}") from None

    def spend(self, work: int) -> None:
        """Count work.

        Raises:
            ValueError: it is too much.
        """
        self.work += work
        if self.work > MOST_WORK:
            raise ValueError(f"refused: more than {MOST_WORK} instructions")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise ValueError(f"ends too early: {count} bytes expected at byte {self.position}")
        part = self.data[self.position : end]
        self.position = end
        return part

    def number(self, form: str) -> Any:
        """The next number, in a form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.data.find(b"\n", self.position, self.position + 1024)
        if end < 0:
            raise ValueError(f"damaged: no end of line behind byte {self.position}")
        text = self.take(end - self.position).decode()
        self.position += 1
        return text

    def push(self, value: Any) -> None:
        """Put a value onto the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the last value off the stack."""
        return self.stack.pop()

    def unmark(self) -> list[Any]:
        """Take off all values behind the last mark."""
        values = self.stack
        self.stack = self.marked.pop()
        return values

    def look_up(self, module: Any, name: Any) -> Any:
        """What a file's name stands for."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("damaged: a name that is no text")
        full = f"{module}.{name}".replace("__builtin__.", "builtins.", 1)
        if full not in self.known:
            _refuse(full)
        return self.known[full]

    def call(self, function: Any, arguments: Any) -> Any:
        """What a known function makes of arguments."""
        if not isinstance(function, Call):
            raise ValueError(f"refused: the file wants to call a value of type {_kind(function)}")
        if not isinstance(arguments, tuple):
            raise ValueError(f"damaged: {function.name} is called with {_kind(arguments)}, no tuple")
        return function.make(self, arguments)


def as_key(value: Any) -> Any:
    """A value that may be a key: text, bytes, a small integer, or None.

    Raises:
        ValueError: anything else; hashing it could take without end.
    """
    if value is None or isinstance(value, (str, bytes, bool)):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST_KEY:
        return value
    raise ValueError(f"refused: a key of type {_kind(value)}")


def _kind(value: Any) -> str:
    return type(value).__name__


def _refuse(name: str) -> NoReturn:
    shown = name[:120]
    hint = "; of a module, save the state_dict()" if name.startswith(("torch.nn.", "__main__.")) else ""
    raise ValueError(f"refused: the file wants to call {shown if shown.isprintable() else ascii(shown)}{hint}")


# Instructions

_STOP = ord(".")
_INSTRUCTIONS: dict[int, Callable[[Machine], None]] = {}


def _does(code: bytes) -> Callable[[Callable[[Machine], None]], Callable[[Machine], None]]:
    def note(act: Callable[[Machine], None]) -> Callable[[Machine], None]:
        _INSTRUCTIONS[code[0]] = act
        return act

    return note


def _pushes(code: bytes, value: Callable[[Machine], Any]) -> None:
    _INSTRUCTIONS[code[0]] = lambda machine: machine.stack.append(value(machine))


def _integer(data: bytes) -> int:
    if len(data) > _LONGEST_INTEGER:
        raise ValueError(f"refused: an integer of {len(data)} bytes")
    return int.from_bytes(data, "little", signed=True)


def _old_text(data: bytes) -> str:
    """Text of Python 2, whose bytes and text were one."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


# Values
_pushes(b"N", lambda m: None)
_pushes(b"\x88", lambda m: True)
_pushes(b"\x89", lambda m: False)
_pushes(b"J", lambda m: m.number("<i"))
_pushes(b"K", lambda m: m.number("<B"))
_pushes(b"M", lambda m: m.number("<H"))
_pushes(b"G", lambda m: m.number(">d"))
_pushes(b"\x8a", lambda m: _integer(m.take(m.number("<B"))))
_pushes(b"\x8b", lambda m: _integer(m.take(m.number("<i"))))
_pushes(b"U", lambda m: _old_text(m.take(m.number("<B"))))
_pushes(b"T", lambda m: _old_text(m.take(m.number("<i"))))
_pushes(b"\x8c", lambda m: m.take(m.number("<B")).decode())
_pushes(b"X", lambda m: m.take(m.number("<I")).decode())
_pushes(b"\x8d", lambda m: m.take(m.number("<Q")).decode())
_pushes(b"C", lambda m: bytes(m.take(m.number("<B"))))
_pushes(b"B", lambda m: bytes(m.take(m.number("<I"))))
_pushes(b"\x8e", lambda m: bytes(m.take(m.number("<Q"))))
_pushes(b"\x96", lambda m: bytearray(m.take(m.number("<Q"))))

# Containers
_pushes(b"]", lambda m: [])
_pushes(b"}", lambda m: {})
_pushes(b")", lambda m: ())
_pushes(b"\x8f", lambda m: set())


@_does(b"l")
def _list(machine: Machine) -> None:
    values = machine.unmark()
    machine.push(values)


@_does(b"t")
def _tuple(machine: Machine) -> None:
    values = tuple(machine.unmark())
    machine.push(values)


@_does(b"d")
def _dict(machine: Machine) -> None:
    values = machine.unmark()
    made: dict[Any, Any] = {}
    _set_items(made, values)
    machine.push(made)


@_does(b"\x91")
def _frozenset(machine: Machine) -> None:
    values = frozenset(as_key(value) for value in machine.unmark())
    machine.push(values)


for _count, _code in enumerate((b"\x85", b"\x86", b"\x87"), start=1):

    def _small_tuple(machine: Machine, count: int = _count) -> None:
        values = machine.stack[-count:]
        if len(values) < count:
            raise IndexError
        machine.stack[-count:] = [tuple(values)]

    _INSTRUCTIONS[_code[0]] = _small_tuple


@_does(b"a")
def _append(machine: Machine) -> None:
    value = machine.pop()
    _expect(machine.stack[-1], list).append(value)


@_does(b"e")
def _extend(machine: Machine) -> None:
    values = machine.unmark()
    _expect(machine.stack[-1], list).extend(values)


@_does(b"s")
def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine.stack[-1], [key, value])


@_does(b"u")
def _update(machine: Machine) -> None:
    values = machine.unmark()
    _set_items(machine.stack[-1], values)


@_does(b"\x90")
def _add_items(machine: Machine) -> None:
    values = machine.unmark()
    _expect(machine.stack[-1], set).update(as_key(value) for value in values)


def _set_items(target: Any, values: list[Any]) -> None:
    _expect(target, dict)
    if len(values) % 2:
        raise ValueError("damaged: a key without a value")
    for i in range(0, len(values), 2):
        target[as_key(values[i])] = values[i + 1]


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"refused: entries for {_kind(value)} instead of {kind.__name__}")
    return value


# The stack and the memo


@_does(b"(")
def _mark(machine: Machine) -> None:
    machine.marked.append(machine.stack)
    machine.stack = []


@_does(b"0")
def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.pop()
    else:
        machine.unmark()


@_does(b"1")
def _pop_mark(machine: Machine) -> None:
    machine.unmark()


_pushes(b"2", lambda m: m.stack[-1])
_pushes(b"h", lambda m: m.memo[m.number("<B")])
_pushes(b"j", lambda m: m.memo[m.number("<I")])


@_does(b"q")
def _put_short(machine: Machine) -> None:
    machine.memo[machine.number("<B")] = machine.stack[-1]


@_does(b"r")
def _put_long(machine: Machine) -> None:
    machine.memo[machine.number("<I")] = machine.stack[-1]


@_does(b"\x94")
def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


@_does(b"\x80")
def _protocol(machine: Machine) -> None:
    version = machine.number("<B")
    if version > 5:
        raise ValueError(f"pickle protocol {version} is not known")


@_does(b"\x95")
def _frame(machine: Machine) -> None:
    machine.number("<Q")  # the machine has all bytes anyway


# Names and calls


@_does(b"c")
def _name(machine: Machine) -> None:
    module, name = machine.line(), machine.line()
    machine.push(machine.look_up(module, name))


@_does(b"\x93")
def _name_from_stack(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.push(machine.look_up(module, name))


@_does(b"i")
def _instance(machine: Machine) -> None:
    module, name = machine.line(), machine.line()
    machine.push(machine.call(machine.look_up(module, name), tuple(machine.unmark())))


@_does(b"o")
def _object(machine: Machine) -> None:
    function, *arguments = machine.unmark()
    machine.push(machine.call(function, tuple(arguments)))


@_does(b"R")
@_does(b"\x81")
def _call(machine: Machine) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.push(machine.call(function, arguments))


@_does(b"\x92")
def _call_with_names(machine: Machine) -> None:
    names, arguments, function = machine.pop(), machine.pop(), machine.pop()
    if names != {}:
        raise ValueError("refused: a call with named arguments")
    machine.push(machine.call(function, arguments))


@_does(b"b")
def _set_state(machine: Machine) -> None:
    """An OrderedDict's attributes (a state_dict's versions) are dropped; nothing else has a state."""
    state, owner = machine.pop(), machine.stack[-1]
    if not isinstance(owner, dict) or not isinstance(state, dict):
        raise ValueError(f"refused: attributes for a value of type {_kind(owner)}")


@_does(b"Q")
def _kept_elsewhere(machine: Machine) -> None:
    if machine.persistent is None:
        raise ValueError("refused: an object that is kept elsewhere")
    machine.push(machine.persistent(machine.pop()))
