"""What scripts ask `keras.backend` for: settings, sessions, and the functions that were there before `keras.ops`.

>>> image_data_format()
'channels_last'
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnfast import config, memory, naming, ops
from cnnfast.symbolic import KerasTensor

__all__ = [
    "backend",
    "clear_session",
    "device",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "name_scope",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
    "version",
]

backend, epsilon, floatx, image_data_format = config.backend, config.epsilon, config.floatx, config.image_data_format
set_epsilon, set_floatx = config.set_epsilon, config.set_floatx
set_image_data_format = config.set_image_data_format

# Functions of old and what they are called in `cnnfast.ops`.
_OLD = {
    "abs": "abs", "all": "all", "any": "any", "argmax": "argmax", "argmin": "argmin",
    "binary_crossentropy": "binary_crossentropy", "cast": "cast",
    "categorical_crossentropy": "categorical_crossentropy",
    "clip": "clip", "concatenate": "concatenate", "constant": "convert_to_tensor", "cos": "cos", "dot": "matmul",
    "elu": "elu", "equal": "equal", "exp": "exp", "expand_dims": "expand_dims", "greater": "greater",
    "greater_equal": "greater_equal", "hard_sigmoid": "hard_sigmoid", "l2_normalize": "normalize", "less": "less",
    "less_equal": "less_equal", "log": "log", "logsumexp": "logsumexp", "max": "max", "maximum": "maximum",
    "mean": "mean", "min": "min", "minimum": "minimum", "not_equal": "not_equal", "one_hot": "one_hot",
    "ones_like": "ones_like", "permute_dimensions": "transpose", "pow": "power", "prod": "prod", "relu": "relu",
    "repeat_elements": "repeat", "reshape": "reshape", "round": "round", "shape": "shape", "sigmoid": "sigmoid",
    "sign": "sign", "sin": "sin", "softmax": "softmax", "softplus": "softplus", "softsign": "softsign",
    "sparse_categorical_crossentropy": "sparse_categorical_crossentropy", "sqrt": "sqrt", "square": "square",
    "squeeze": "squeeze", "stack": "stack", "std": "std", "stop_gradient": "stop_gradient", "sum": "sum",
    "tanh": "tanh", "tile": "tile", "transpose": "transpose", "var": "var", "zeros_like": "zeros_like",
}  # fmt: skip


def clear_session(free_memory: bool = True) -> None:
    """Forget the names that were made up for layers, so that the next ones are called `conv2d`, `dense` ... again.

    Args:
        free_memory: whether memory that the engine keeps for reuse is given back too.

    Example:
        >>> clear_session()
        >>> from cnnfast import layers
        >>> layers.Dense(2).name
        'dense'
    """
    naming.forget_names()
    if free_memory:
        memory.trim()


def version() -> str:
    """The library's version.

    Example:
        >>> import cnnfast
        >>> version() == cnnfast.__version__
        True
    """
    return str(config.config_info()["version"])


@contextlib.contextmanager
def name_scope(name: str, **kwargs: Any) -> Iterator[str]:
    """A block in which code may be grouped under a name; layers' names do not tell of it.

    Example:
        >>> with name_scope("block") as name:
        ...     print(name)
        block
    """
    yield name


@contextlib.contextmanager
def device(device_name: str) -> Iterator[None]:
    """A block that computes on a device: the processor, which is the only one.

    Args:
        device_name: "cpu", "cpu:0" or the like.

    Raises:
        ValueError: another device.

    Example:
        >>> with device("cpu:0"):
        ...     pass
    """
    if not str(device_name).lower().lstrip("/").removeprefix("device:").startswith("cpu"):
        raise ValueError(f"device: {device_name!r} cannot be honoured: everything is computed on the processor")
    yield


def get_uid(prefix: str = "") -> int:
    """A number that goes up with every call for a prefix, from 1.

    Example:
        >>> get_uid("some prefix"), get_uid("some prefix")
        (1, 2)
    """
    return naming.counted(prefix)


def is_keras_tensor(x: Any) -> bool:
    """Whether something is a symbolic tensor, of which models are made.

    Example:
        >>> from cnnfast import layers
        >>> is_keras_tensor(layers.Input((3,))), is_keras_tensor(np.zeros(3))
        (True, False)
    """
    return isinstance(x, KerasTensor)


def standardize_dtype(dtype: Any) -> str:
    """The name of an element type; that of `floatx()` for None.

    Raises:
        ValueError: nothing that names one.

    Example:
        >>> standardize_dtype(np.float32), standardize_dtype(int)
        ('float32', 'int64')
    """
    try:
        return floatx() if dtype is None else np.dtype(dtype).name
    except TypeError:
        raise ValueError(f"standardize_dtype: dtype expects the name of an element type, got {dtype!r}") from None


def is_float_dtype(dtype: Any) -> bool:
    """Whether an element type is one of floats.

    Example:
        >>> is_float_dtype("float32"), is_float_dtype("uint8")
        (True, False)
    """
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_int_dtype(dtype: Any) -> bool:
    """Whether an element type is one of integers.

    Example:
        >>> is_int_dtype("uint8"), is_int_dtype("bool")
        (True, False)
    """
    return standardize_dtype(dtype).startswith(("int", "uint"))


def result_type(*dtypes: Any) -> str:
    """The element type of what is computed from these: float32 where one is a float, else NumPy's.

    Example:
        >>> result_type("uint8", "float32"), result_type("int8", "int32")
        ('float32', 'int32')
    """
    names = [standardize_dtype(dtype) for dtype in dtypes] or [floatx()]
    return floatx() if any(is_float_dtype(name) for name in names) else np.result_type(*names).name


# What is left of the functions of old.


def flatten(x: Any) -> Any:
    """All elements in a row.

    Example:
        >>> flatten([[1.0, 2.0], [3.0, 4.0]])
        array([1., 2., 3., 4.], dtype=float32)
    """
    return ops.ravel(x)


def batch_flatten(x: Any) -> Any:
    """All elements of each example in a row.

    Example:
        >>> batch_flatten(np.zeros((2, 3, 4))).shape
        (2, 12)
    """
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape, None for sizes that are open.

    Example:
        >>> int_shape(np.zeros((2, 3)))
        (2, 3)
    """
    return tuple(x.shape)


def ndim(x: Any) -> int:
    """The number of axes.

    Example:
        >>> ndim(np.zeros((2, 3)))
        2
    """
    return len(x.shape)


def get_value(x: Any) -> Any:
    """The value of a variable or tensor as an array.

    Example:
        >>> get_value(np.zeros(2))
        array([0., 0.])
    """
    return np.array(x)


def set_value(x: Any, value: Any) -> None:
    """Assign a variable, or an optimizer's learning rate.

    Raises:
        ValueError: the value has another shape.

    Example:
        >>> import cnnfast
        >>> v = cnnfast.Variable([1.0])
        >>> set_value(v, [2.0])
        >>> float(v[0])
        2.0
    """
    x.assign(value)


def learning_phase() -> int:
    """0: whether layers train is told to the model, `model(x, training=True)`.

    Example:
        >>> learning_phase()
        0
    """
    return 0


def __getattr__(name: str) -> Any:
    if name in _OLD:
        return getattr(ops, _OLD[name])
    raise AttributeError(f"module 'cnnfast.backend' has no attribute {name!r}")
