"""Which regularizers and constraints a class of layers takes, read off its constructor's initializers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

_Init = Callable[..., None]


def penalised_weights(cls: type) -> tuple[str, ...]:
    """The weights that a class's constructors have an initializer for, but no regularizer of their own.

    Example:
        >>> from cnnfast.layers import Dense
        >>> penalised_weights(Dense)
        ('kernel', 'bias')
    """
    return _weights_of(tuple(vars(c)["__init__"] for c in cls.__mro__ if "__init__" in vars(c)))


@functools.cache
def _weights_of(constructors: tuple[_Init, ...]) -> tuple[str, ...]:
    # Not what taking_penalties added to a signature: what the class itself defines.
    return _weights([name for init in constructors for name in inspect.signature(inspect.unwrap(init)).parameters])


def _weights(names: Iterable[str]) -> tuple[str, ...]:
    names = list(names)
    weights = [name.removesuffix("_initializer") for name in names if name.endswith("_initializer")]
    # Moving statistics are no weights that gradients change.
    return tuple(dict.fromkeys(w for w in weights if not w.startswith("moving_") and f"{w}_regularizer" not in names))


def taking_penalties(init: _Init) -> _Init:
    """A constructor that takes X_regularizer and X_constraint behind its arguments X_initializer, as Keras's do.

    Its own arguments are followed by these by position too, and its signature tells them; `init` is given them by
    name, in its `**kwargs`.

    Raises:
        TypeError: on a call, an argument is given twice.

    Example:
        >>> @taking_penalties
        ... def init(self, kernel_initializer="zeros", **kwargs):
        ...     print(kwargs)
        >>> init(None, "ones", "l2")
        {'kernel_regularizer': 'l2'}
    """
    own = list(inspect.signature(inspect.unwrap(init)).parameters.values())
    weights = _weights(p.name for p in own)
    if not weights or own[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return init
    added = [f"{w}_regularizer" for w in weights]
    added += ["activity_regularizer"] if "bias" in weights else []
    added += [f"{w}_constraint" for w in weights]
    last = max(i for i, p in enumerate(own) if p.name.endswith("_initializer")) + 1
    kind = own[last - 1].kind
    parameters = [*own[:last], *(inspect.Parameter(n, kind, default=None) for n in added), *own[last:]]
    names = [p.name for p in parameters[1:] if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]

    @functools.wraps(init)
    def taking(self: Any, *args: Any, **kwargs: Any) -> None:
        if len(args) >= last and len(args) <= len(names):
            given = dict(zip(names, args, strict=False))
            twice = sorted(given.keys() & kwargs.keys())
            if twice:
                raise TypeError(f"{type(self).__name__}: got several values for {twice[0]}")
            init(self, **given, **kwargs)
        else:
            init(self, *args, **kwargs)

    taking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return taking
