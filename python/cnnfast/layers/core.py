"""Input, Dense, Flatten and Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cnnfast import initializers, ops
from cnnfast.arguments import integer, positive_int, refuse_unsupported
from cnnfast.layers import operation  # noqa: F401 (what is computed from an Input may be an operation)
from cnnfast.layers.activated import Activated
from cnnfast.layers.arguments import checked_data_format
from cnnfast.layers.base import Layer, SameShape, Shape
from cnnfast.layers.inputs import fixed_size
from cnnfast.ops._fusion import Fused
from cnnfast.ops._prepared import Prepared, prepared_dense
from cnnfast.symbolic import KerasTensor, Node

# What an input may be said to be made of; it is computed with as float32 all the same.
_WHOLE_NUMBERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class InputLayer(SameShape):
    """The place where data enters a model: it fixes the shape of one example.

    Args:
        shape: the shape of one example, without the batch; None for a size that may vary.
        batch_size: the number of examples in a batch where it is fixed, for information.
        dtype: None, "float32", "bool" or an integer type: what a model is given is converted to it. Layers compute in
            float32 all the same; operations such as `ops.take` use whole numbers as they are.
        sparse: not supported.
        ragged: not supported.
        batch_shape: the shape with the batch first, in place of `shape` and `batch_size`.
        name: the layer's name.
        input_tensor: a symbolic tensor that becomes an input: what it was made of is forgotten.
        optional: only False: every input is required.
        **kwargs: none are supported.

    Raises:
        ValueError: `shape` is missing, or an argument cannot be honoured.
        TypeError: a size is no integer.

    Example:
        >>> InputLayer((28, 28, 1)).output.shape
        (None, 28, 28, 1)
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        name: str | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        **kwargs: Any,
    ) -> None:
        # What a model may have assigned to all of its layers; there are no weights here.
        common = {key: kwargs.pop(key) for key in ("trainable", "learning_rate_multiplier") if key in kwargs}
        refuse_unsupported("InputLayer", {"sparse": sparse, "ragged": ragged, "optional": optional, **kwargs})
        whole = dtype in _WHOLE_NUMBERS
        super().__init__(dtype=None if whole else dtype, name=name, **common)
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                kind = type(input_tensor).__name__
                raise ValueError(f"InputLayer: tensor expects a symbolic one, got {kind}; data is given to the model")
            if shape is not None or batch_size is not None or batch_shape is not None:
                raise ValueError("InputLayer: the tensor has a shape, so none can be given beside it")
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
            whole = dtype in _WHOLE_NUMBERS
        if batch_shape is not None:
            if shape is not None or batch_size is not None or not isinstance(batch_shape, (list, tuple)):
                raise ValueError(f"InputLayer: batch_shape={batch_shape} expects a tuple, and no shape or batch_size")
            batch_size, *shape = batch_shape
        if shape is None:
            raise ValueError("InputLayer: shape expects the shape of one example, such as (28, 28, 1)")
        if not isinstance(shape, (list, tuple)):
            raise TypeError(f"InputLayer: shape expects a tuple of integers, got {shape!r}")
        batch = None if batch_size is None else positive_int("InputLayer", "batch_size", batch_size)
        sizes = [None if n is None else positive_int("InputLayer", "shape", n) for n in shape]
        self.given_input_shape = (None, *sizes)
        self.built = True
        # The configuration tells of a tensor what it is like.
        told = {"batch_shape": [batch, *sizes], "dtype": dtype} if input_tensor is not None else {}
        left = {key: x for key, x in self._arguments.items() if key not in ("input_tensor", "optional")}
        self._arguments = {**left, **told}
        described = KerasTensor((batch, *sizes), str(dtype) if whole else "float32", name=self.name)
        Node(self, (), {}, described if input_tensor is None else input_tensor)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        return x


def Input(  # noqa: N802
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
    **kwargs: Any,
) -> KerasTensor:
    """The place where data enters a model: a symbolic tensor to call layers on, or the first entry of a `Sequential`.

    Args:
        shape: the shape of one example, without the batch; None for a size that may vary.
        batch_size: the number of examples in a batch where it is fixed, for information.
        dtype: None, "float32", "bool" or an integer type: what a model is given is converted to it. Layers compute in
            float32 all the same; operations such as `ops.take` use whole numbers as they are.
        sparse: not supported.
        ragged: not supported.
        batch_shape: the shape with the batch first, in place of `shape` and `batch_size`.
        name: the name by which models look up what they are given in a dict.
        tensor: a symbolic tensor that becomes an input: what it was made of is forgotten.
        optional: only False: every input is required.
        **kwargs: none are supported.

    Returns:
        A tensor of shape (batch_size, *shape) without values.

    Raises:
        ValueError: `shape` is missing, or an argument cannot be honoured.
        TypeError: a size is no integer.

    Example:
        >>> Input(shape=(28, 28, 1)).shape
        (None, 28, 28, 1)
    """
    more: dict[str, Any] = {"input_tensor": tensor, "optional": optional, **kwargs}
    found: KerasTensor = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, name, **more).output
    return found


class Dense(Activated, Layer):
    """Every output sees every input: `activation(x @ kernel + bias)`, (N, ..., in) to (N, ..., units).

    Args:
        units: the number of outputs.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (in, units).
        bias_initializer: initial bias, of shape (units,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> Dense(10, activation="softmax").compute_output_shape((None, 64))
        (None, 10)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_int("Dense", "units", units)
        self.activation = activation
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def _inputs(self, input_shape: Shape) -> int:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(f"Dense expects x of shape (N, ..., in) with a fixed last size, got {input_shape}")
        return input_shape[-1]

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        shape = (self._inputs(input_shape), self.units)
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias") if self.use_bias else None

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        y = self.weighted(x, self.kernel, self.bias, self._fused)
        return y if self._after is None else self._after(y)

    def weighted(self, x: Any, kernel: Any, bias: Any, activation: Fused) -> Any:
        """The product of x with any weights and an activation that the engine applies."""
        return ops.dense(x, kernel, bias, activation=activation)

    def prepared(self, kernel: Any, bias: Any, activation: Fused) -> Prepared:
        """`weighted` with these weights, as arrays, for one float32 array after the other."""
        return prepared_dense(kernel, bias, activation)

    def weighted_alone(self) -> bool:
        """Whether the layer is nothing but `weighted`, with its own weights and no activation."""
        return self._fused is None and self._after is None

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        self._inputs(input_shape)
        return (*input_shape[:-1], self.units)

    def multiply_adds(self, input_shape: Shape) -> int:  # noqa: D102
        return fixed_size(self.name, input_shape, range(1, len(input_shape))) * self.units


class Flatten(Layer):
    """All of an example's values in one row: (N, ...) to (N, size).

    Args:
        data_format: "channels_last", which keeps the order in memory, or "channels_first": the channels, the second
            axis, are moved to the end before.
        **kwargs: `name`.

    Raises:
        ValueError: another data format.

    Example:
        >>> Flatten().compute_output_shape((None, 7, 7, 40))
        (None, 1960)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format("Flatten", data_format)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        if self.data_format == "channels_first" and x.ndim > 1:
            x = ops.moveaxis(x, 1, -1)
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        if None in input_shape[1:]:
            return (input_shape[0], None)
        return (input_shape[0], fixed_size(self.name, input_shape, range(1, len(input_shape))))


class Reshape(Layer):
    """The same values in another shape.

    Args:
        target_shape: the new shape of one example, without the batch; one size may be -1, which means what is left.
        **kwargs: `name`.

    Raises:
        ValueError: more than one -1, or a size that is zero or less.

    Example:
        >>> Reshape((4, -1)).compute_output_shape((None, 6, 2))
        (None, 4, 3)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = target_shape if isinstance(target_shape, (list, tuple)) else (target_shape,)
        self.target_shape = tuple(integer("Reshape", "target_shape", n) for n in sizes)
        if self.target_shape.count(-1) > 1 or any(n < 1 and n != -1 for n in self.target_shape):
            raise ValueError(f"Reshape: target_shape expects positive sizes and at most one -1, got {target_shape}")

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        return ops.reshape(x, (x.shape[0], *self._sizes(x.shape)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        if None in input_shape[1:]:
            return (input_shape[0], *(None if n == -1 else n for n in self.target_shape))
        return (input_shape[0], *self._sizes(input_shape))

    def _sizes(self, input_shape: Shape) -> tuple[int, ...]:
        size = fixed_size(self.name, input_shape, range(1, len(input_shape)))
        known = -math.prod(self.target_shape) if -1 in self.target_shape else math.prod(self.target_shape)
        if size % known or (size != known and -1 not in self.target_shape):
            raise ValueError(f"Reshape: {size} values {input_shape} do not fit target_shape {self.target_shape}")
        return tuple(size // known if n == -1 else n for n in self.target_shape)
