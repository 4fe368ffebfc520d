"""Checks of constructor arguments that layers, losses, metrics, optimizers and models share."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

_REASONS = {
    "lora_rank": "low-rank adapters are not supported",
    "lora_alpha": "low-rank adapters are not supported",
    "quantization_config": "quantization is not supported",
    "quantization_mode": "quantization is not supported",
    "autocast": "everything is computed in float32",
    "synchronized": "statistics are not shared between machines",
    "renorm": "batch renormalization is not supported",
    "renorm_clipping": "batch renormalization is not supported",
    "renorm_momentum": "batch renormalization is not supported",
    "rms_scaling": "use RMSNormalization",
    "batch_input_shape": "give input_shape without the batch dimension",
    "input_dim": "give input_shape=(n,), or put an Input layer first",
    "weights": "build the layer and call set_weights",
    "loss_scale_factor": "everything is computed in float32, so no loss needs scaling",
    "decay": "give a schedule of cnnfast.optimizers.schedules as learning_rate",
    "workers": "give it to the PyDataset",
    "use_multiprocessing": "give it to the PyDataset",
    "sparse": "sparse arrays are not supported",
    "ragged": "ragged arrays are not supported",
    "tensor": "only shapes are taken",
    "mask": "masks are not supported",
    "optional": "every input is required",
}


def unsupported_reason(name: str) -> str:
    """Why an argument that exists elsewhere is not taken here.

    Example:
        >>> unsupported_reason("sparse")
        'sparse arrays are not supported'
    """
    return _REASONS.get(name, "there is no such argument here")


def refuse_unsupported(owner: str, given: Mapping[str, Any]) -> None:
    """Raise for arguments that exist elsewhere but cannot be honoured here.

    A value of None or False asks for nothing and passes, so that code which spells out such defaults runs.

    Args:
        owner: who was called, for the message.
        given: the extra keyword arguments.

    Raises:
        ValueError: the argument is known, with the reason why it is not supported.
        TypeError: the argument is not known at all.

    Example:
        >>> refuse_unsupported("Dense", {"lora_rank": None})
    """
    for key, value in given.items():
        if key not in _REASONS:
            raise TypeError(f"{owner}: unexpected keyword argument {key!r}")
        if value is not None and value is not False:
            raise ValueError(f"{owner}: {key}={value!r} cannot be honoured: {_REASONS[key]}")


def positive_int(owner: str, name: str, value: Any) -> int:
    """Return `value` as a positive int.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is not positive.

    Example:
        >>> positive_int("Dense", "units", 10)
        10
    """
    number = integer(owner, name, value)
    if number < 1:
        raise ValueError(f"{owner}: {name} expects a positive integer, got {value}")
    return number


def integer(owner: str, name: str, value: Any) -> int:
    """Return `value` as an int.

    Raises:
        TypeError: it is a bool, a float or no number at all.

    Example:
        >>> integer("Softmax", "axis", -1)
        -1
    """
    if isinstance(value, bool):
        raise TypeError(f"{owner}: {name} expects an integer, got {value}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{owner}: {name} expects an integer, got {value!r}") from None


def real(owner: str, name: str, value: Any, low: float = -float("inf"), high: float = float("inf")) -> float:
    """Return `value` as a float within [low, high].

    Raises:
        TypeError: it is not a real number.
        ValueError: it is outside the range or NaN.

    Example:
        >>> real("Dropout", "rate", 0.5, 0.0, 1.0)
        0.5
    """
    if isinstance(value, (str, bytes, bool)):
        raise TypeError(f"{owner}: {name} expects a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: {name} expects a number, got {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{owner}: {name} expects a number from {low} to {high}, got {value}")
    return number
