"""Constructor arguments of Keras's layers: which this library takes, and which may be left out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from cnnfast.arguments import unsupported_reason
from cnnfast.layers.penalty_arguments import penalised_weights

_POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy")
_WHOLE_NUMBERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

# What Keras writes and this library has no argument for, by the values that ask for nothing.
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "activity_regularizer": (None,),
    "autocast": (True, None),
    "bounding_box_format": (None,),
    "data_format": ("channels_last", None),
    "dynamic": (False,),
    "fused": (None, True, False),
    "groups": (1,),
    "input_dtype": (None, "float32"),
    "lora_alpha": (None,),
    "lora_rank": (None,),
    "mask": (None,),
    "optional": (False, None),
    "quantization_config": (None,),
    "quantization_mode": (None,),
    "ragged": (False, None),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "renorm_momentum": (0.99,),
    "rms_scaling": (False,),
    "sparse": (False, None),
    "supports_masking": (True, False),
    "synchronized": (False,),
    "virtual_batch_size": (None,),
}
# Older names.
_RENAMED = {("LeakyReLU", "alpha"): "negative_slope"}
# What Keras 2 wrote by mistake: these layers have other kernels.
_IGNORED = {
    f"{layer}Conv{rank}D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
    for layer in ("Depthwise", "Separable")
    for rank in (1, 2)
}


@functools.cache
def _arguments_of(cls: type) -> frozenset[str]:
    found: set[str] = set()
    for owner in cls.__mro__:
        if "__init__" in vars(owner):
            found.update(inspect.signature(owner.__init__).parameters)  # type: ignore[misc]
    for weight in penalised_weights(cls):
        found |= {f"{weight}_regularizer", f"{weight}_constraint"}
    return frozenset(found - {"self", "kwargs", "others", "args"})


def takes(cls: type, name: str) -> bool:
    """Whether a layer's class has an argument of that name.

    Example:
        >>> from cnnfast.layers import Dense
        >>> takes(Dense, "kernel_regularizer"), takes(Dense, "lora_rank")
        (True, False)
    """
    return name in _arguments_of(cls)


def argument_name(owner: str, key: str) -> str:
    """The name that an argument has here.

    Example:
        >>> argument_name("LeakyReLU", "alpha")
        'negative_slope'
    """
    return _RENAMED.get((owner, key), key)


def without_meaning(owner: str, key: str, value: Any) -> None:
    """Let an argument pass that asks for nothing.

    Raises:
        ValueError: it asks for something that this library does not have.

    Example:
        >>> without_meaning("BatchNormalization", "renorm_momentum", 0.99)
    """
    if key in _IGNORED.get(owner, ()):
        return
    if key not in _DEFAULTS:
        raise ValueError(f"{owner}: {key}={value!r} cannot be honoured: there is no such argument here")
    if not any(type(value) is type(default) and value == default for default in _DEFAULTS[key]):
        raise ValueError(f"{owner}: {key}={value!r} cannot be honoured: {unsupported_reason(key)}")


def dtype_name(value: Any) -> Any:
    """The name of a data type or of a policy's dictionary.

    Example:
        >>> dtype_name({"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}})
        'mixed_float16'
    """
    if isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") not in _POLICIES or not isinstance(config, Mapping):
            return str(value.get("class_name"))
        return config.get("name")
    return value


def float32_only(owner: str, value: Any) -> None:
    """Check a layer's data type.

    Raises:
        ValueError: it is another one than float32.

    Example:
        >>> float32_only("Dense", {"class_name": "DTypePolicy", "config": {"name": "float32"}})
    """
    name = dtype_name(value)
    if name is not None and name != "float32":
        raise ValueError(f"{owner}: dtype={name!r} cannot be honoured: everything is computed in float32")


def input_dtype(value: Any) -> str | None:
    """The data type of an input: float32 or that of whole numbers.

    Raises:
        ValueError: another one.

    Example:
        >>> input_dtype("uint8")
        'uint8'
    """
    name = dtype_name(value)
    if name in _WHOLE_NUMBERS:
        return str(name)
    float32_only("InputLayer", value)
    return None
