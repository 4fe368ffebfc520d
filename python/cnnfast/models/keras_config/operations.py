"""Keras's operations in functional models, where this library has layers made of the functions of `cnnfast.ops`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cnnfast import ops
from cnnfast.naming import snake_case

_MODULES = "keras.src.ops."
# Classes whose functions have other names than theirs.
_FUNCTIONS = {
    "AllClose": "allclose",
    "BatchNorm": "batch_normalization",
    "GetItem": "index",
    "LayerNorm": "layer_normalization",
    "RGBToGrayscale": "rgb_to_grayscale",
    "RMSNorm": "rms_normalization",
}
_CLASSES = {function: name for name, function in _FUNCTIONS.items()}
_IMAGE = ("affine_transform", "crop_images", "extract_patches", "pad_images", "resize", "rgb_to_grayscale")
_PLACES = {
    "core": "cast convert_to_tensor scatter scatter_update slice slice_update stop_gradient unstack",
    "image": " ".join(_IMAGE),
    "linalg": "norm",
    "math": "in_top_k logsumexp rsqrt segment_sum top_k",
    "nn": "adaptive_average_pool adaptive_max_pool average_pool batch_normalization binary_crossentropy "
    "categorical_crossentropy celu conv conv_transpose depth_to_space depthwise_conv elu gelu glu hard_shrink "
    "hard_sigmoid hard_silu hard_tanh layer_normalization leaky_relu log_sigmoid log_softmax max_pool moments "
    "multi_hot normalize one_hot relu relu6 rms_normalization selu separable_conv sigmoid silu soft_shrink softmax "
    "softplus softsign space_to_depth sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax "
    "squareplus tanh_shrink threshold",
    "numpy": "abs absolute add all allclose amax amin any append arccos arccosh arcsin arcsinh arctan arctan2 arctanh "
    "argmax argmin argsort average broadcast_to ceil clip concatenate copy cos cosh count_nonzero cumprod cumsum "
    "diagonal divide dot einsum equal exp exp2 expand_dims expm1 flip fliplr flipud floor floor_divide full_like "
    "greater greater_equal hstack index isclose isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp "
    "logical_and logical_not logical_or logical_xor matmul max maximum mean median meshgrid min minimum mod moveaxis "
    "multiply nan_to_num negative nonzero not_equal ones_like outer pad power prod quantile ravel reciprocal repeat "
    "reshape roll rot90 round sign sin sinh sort split sqrt square squeeze stack std subtract sum swapaxes take "
    "take_along_axis tan tanh tensordot tile trace transpose tril triu true_divide trunc var vstack where zeros_like",
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}
# What Keras's operations are called with; all else they are made with.
_CALLED_WITH = (
    "a array abs_ condition data fill_value images indices inputs kernel key mean offset operands output output_shape "
    "predictions q scale segment_ids start_indices target targets transform updates values variable variance weights "
    "x x1 x2 xs y depthwise_kernel pointwise_kernel gamma beta constant_values rtol atol"
)


class Written(NamedTuple):
    """An operation in Keras's form, and how it is called."""

    module: str
    class_name: str
    config: dict[str, Any]
    args: list[Any]


def is_operation(given: Mapping[str, Any]) -> bool:
    """Whether a layer's entry tells an operation of Keras 3, or a function of TensorFlow that Keras 2 wrote."""
    module = given.get("module")
    return (isinstance(module, str) and module.startswith(_MODULES)) or given["class_name"] == "TFOpLambda"


def operation_entry(given: Mapping[str, Any]) -> dict[str, Any]:
    """The layer that an operation becomes, with `operation`, which changes the arguments of its calls.

    Raises:
        ValueError: there is no such operation here, or it has no such argument.
    """
    config = given.get("config") or {}
    if given["class_name"] == "TFOpLambda":
        name, change = _tensorflow_function(config)
    else:
        name = _function_of(given)
        change = functools.partial(_with_options, name, _options(name, config))
    layer = {"function": name, **({"name": config["name"]} if config.get("name") else {})}
    return {"class_name": "OperationLayer", "config": layer, "operation": change}


def _function_of(given: Mapping[str, Any]) -> str:
    name = given["class_name"]
    function = _FUNCTIONS.get(name, snake_case(name))
    if given["module"] == f"{_MODULES}image":
        function = f"image.{function}"
    if function.rpartition(".")[2] not in _PLACE_OF:
        raise ValueError(f"unknown operation {given['module']}.{name}: there is nothing like it in cnnfast.ops")
    return function


def function_named(name: str) -> Callable[..., Any]:
    """The function of `cnnfast.ops`, or of its module `image`, that has a name.

    Example:
        >>> function_named("add") is ops.add
        True
    """
    module, _, own = name.rpartition(".")
    found: Callable[..., Any] = getattr(getattr(ops, module) if module else ops, own)
    return found


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(inspect.unwrap(function_named(name))).parameters


def _options(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation was made with, as arguments of the function."""
    known, found = _parameters(name), {}
    for key, value in config.items():
        if key in ("name", "dtype") and key not in known:
            continue
        if key == "name":
            continue
        if key in known:
            found[key] = value
        elif value is not None and value is not False:
            raise ValueError(f"ops.{name}: {key}={value!r} cannot be honoured: there is no such argument here")
    return found


def _with_options(name: str, options: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    args, kwargs = list(call["args"]), {**options, **call["kwargs"]}
    if name == "einsum":
        args.insert(0, kwargs.pop("subscripts"))
    if name == "index" and len(args) > 1 and isinstance(args[1], list):
        args[1] = {"class_name": "__tuple__", "items": args[1]}  # JSON has no tuples
    return {"args": args, "kwargs": kwargs}


# Keras 2's functions of TensorFlow: ours, and the names of its arguments after the first by those of ours.
_TENSORFLOW: dict[str, tuple[str, dict[str, str]]] = {
    **{f"__operators__.{n}": (o, {"y": "x2"}) for n, o in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"))},
    **{n: (n.rpartition(".")[2], {"y": "x2"}) for n in ("math.add", "math.subtract", "math.multiply", "math.divide")},
    **{n: (n.rpartition(".")[2], {"y": "x2"}) for n in ("math.maximum", "math.minimum")},
    **{n: (n.rpartition(".")[2], {}) for n in ("math.sigmoid", "math.tanh", "math.sqrt", "math.square", "math.exp")},
    **{f"math.reduce_{n}": (n, {"axis": "axis", "keepdims": "keepdims"}) for n in ("mean", "sum", "max", "min")},
    "__operators__.truediv": ("divide", {"y": "x2"}),
    "clip_by_value": ("clip", {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "concat": ("concatenate", {"axis": "axis"}),
    "expand_dims": ("expand_dims", {"axis": "axis"}),
    "math.abs": ("abs", {}),
    "math.truediv": ("divide", {"y": "x2"}),
    "nn.leaky_relu": ("leaky_relu", {"alpha": "negative_slope"}),
    "nn.relu": ("relu", {}),
    "nn.relu6": ("relu6", {}),
    "nn.silu": ("silu", {}),
    "nn.softmax": ("softmax", {"axis": "axis"}),
    "nn.space_to_depth": ("space_to_depth", {"block_size": "block_size"}),
    "nn.depth_to_space": ("depth_to_space", {"block_size": "block_size"}),
    "reshape": ("reshape", {"shape": "newshape"}),
    "squeeze": ("squeeze", {"axis": "axis"}),
    "stack": ("stack", {"axis": "axis"}),
    "transpose": ("transpose", {"perm": "axes"}),
}


def _tensorflow_function(config: Mapping[str, Any]) -> tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
    given = config.get("function")
    if given not in _TENSORFLOW:
        raise ValueError(f"unknown function {given!r} of TensorFlow; there are {', '.join(sorted(_TENSORFLOW))}")
    name, names = _TENSORFLOW[given]

    def change(call: Mapping[str, Any]) -> dict[str, Any]:
        unknown = [key for key, value in call["kwargs"].items() if key not in names and value is not None]
        if unknown:
            raise ValueError(f"{given}: {unknown[0]}={call['kwargs'][unknown[0]]!r} cannot be honoured")
        return {"args": call["args"], "kwargs": {names[k]: v for k, v in call["kwargs"].items() if k in names}}

    return name, change


def keras_operation(function: str, name: str, args: list[Any], kwargs: Mapping[str, Any]) -> Written:
    """A call of a function of `cnnfast.ops` as Keras tells it.

    Args:
        function: the function's name.
        name: the layer's.
        args: what it is called with.
        kwargs: the same by name.

    Raises:
        ValueError: Keras has no such operation.

    Example:
        >>> keras_operation("mean", "mean_1", ["x", 1], {"keepdims": True}).config
        {'name': 'mean_1', 'axis': 1, 'keepdims': True}
    """
    own = function.rpartition(".")[2]
    if own not in _PLACE_OF:
        raise ValueError(f"to_keras_config: Keras has no operation like ops.{function}")
    class_name = _CLASSES.get(own) or "".join(part.capitalize() for part in own.split("_"))
    config: dict[str, Any] = {"name": name}
    called: list[Any] = []
    for key, value in _by_name(function, args, kwargs):
        if key in _CALLED_WITH.split():
            called.append(value)
        else:
            config[key] = value
    return Written(_MODULES + _PLACE_OF[own], class_name, config, called)


def _by_name(function: str, args: list[Any], kwargs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The arguments of a call in the function's order, each with its name."""
    names, left, found = _parameters(function), list(args), []
    kwargs = dict(kwargs)
    for name, parameter in names.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            found += [(name, value) for value in left]
            left = []
        elif left:
            found.append((name, left.pop(0)))
        elif name in kwargs:
            found.append((name, kwargs.pop(name)))
    if left or kwargs:
        raise ValueError(f"to_keras_config: ops.{function} has no arguments {list(kwargs) or left}")
    return found
