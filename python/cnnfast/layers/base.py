"""The base of all layers: weights made at the first call, a name, and a configuration taken from the constructor."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cnnfast import constraints, initializers, regularizers
from cnnfast.arguments import refuse_unsupported
from cnnfast.autograd import Tensor, Variable, is_float32, to_float32
from cnnfast.configured import taken_by_constructor
from cnnfast.layers.described import Described
from cnnfast.layers.input_spec import check_input_spec
from cnnfast.layers.inputs import as_arrays, is_tuple_of, open_batch
from cnnfast.layers.penalties import Penalised, note_assigned_setting
from cnnfast.naming import reserved_name, unique_name
from cnnfast.symbolic import (
    Node,
    Shape,
    SymbolicArgumentError,
    described,
    has_symbolic,
    is_shape,
    shapes_of,
    tried,
)

_weight_source: ContextVar[Callable[[tuple[int, ...]], Any] | None] = ContextVar("weight_source", default=None)


class _Context(threading.local):
    """Whether the layer that computes at present trains."""

    training: bool | None = None  # None where nobody said
    inside = False  # whether any layer computes


_context = _Context()


class Layer(Described, Penalised):
    """A function with weights.

    Subclasses make their weights in `build` and compute in `call`, from `cnnfast.ops`; gradients follow by themselves.
    Layers held in attributes, also in lists and dicts, count as parts: their weights belong to this layer too.

    Args:
        trainable: whether training changes the weights.
        dtype: None or "float32", the one type computed in.
        name: unique in its model; made from the class's name by default.
        input_shape: the shape of one input, without the batch, for the first layer of a `Sequential`.
        activity_regularizer: a penalty on the output, of `cnnfast.regularizers`; models add it to their loss, divided
            by the number of examples.
        learning_rate_multiplier: optimizers multiply their learning rate by it for this layer's weights.
        **others: `X_regularizer` and `X_constraint` for every argument `X_initializer` that the subclass has, such as
            `kernel_regularizer="l2"`: a penalty on this weight, and what brings it back into bounds after a step, of
            `cnnfast.regularizers` and `cnnfast.constraints`.

    Raises:
        ValueError: an argument that exists in Keras and cannot be honoured here, with the reason.

    Example:
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(input_shape[-1:], "ones", name="factor")
        ...
        ...     def call(self, x):
        ...         return x * self.factor
        >>> Scale()([[1.0, 2.0]])
        array([[1., 2.]], dtype=float32)
    """

    _call_takes_training = True
    _call_takes_mask = False
    _training_by_default: bool | None = False  # as the signature of `call` says
    _names_errors = True  # containers leave that to the layers they hold
    _parts: tuple[Any, ...] | None = None
    _locked_when_built = True  # no more weights then
    _parts_decide = False  # whether parts freed by themselves train inside of what holds it while it is frozen
    input_spec: Any = None
    _assigned = 0  # how often attributes were assigned: what was made of them is stale when this differs

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _marking_built(cls.build)  # type: ignore[method-assign]
        parameter = inspect.signature(cls.call).parameters.get("training")
        cls._call_takes_training = parameter is not None
        cls._call_takes_mask = "mask" in inspect.signature(cls.call).parameters
        default = parameter.default if parameter is not None else False
        cls._training_by_default = False if default is inspect.Parameter.empty else default

    def __init__(
        self,
        *,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        activity_regularizer: regularizers.RegularizerLike = None,
        learning_rate_multiplier: float = 1.0,
        **others: Any,
    ) -> None:
        owner = type(self).__name__
        refuse_unsupported(owner, self._set_penalties(others, activity_regularizer, learning_rate_multiplier))
        if dtype is not None and dtype != "float32" and dtype is not np.float32:
            raise ValueError(f"{owner}: dtype={dtype!r} cannot be honoured: everything is computed in float32")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{owner}: name expects a string, got {name!r}")
        self.name = reserved_name(name) if name else unique_name(owner)
        self.built = False
        self.given_input_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        self._own_trained: list[Variable] = []
        self._own_kept: list[Variable] = []
        self._inbound_nodes: list[Node] = []
        self._trainable = bool(trainable)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"

    # Computing

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the layer's output; what subclasses define, with or without `training`."""
        raise NotImplementedError(f"{type(self).__name__} defines no call()")

    def __call__(self, x: Any, /, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Build the layer if need be and compute its output, or describe it where `x` is symbolic.

        Args:
            x: an array or tensor with the batch first, or several in a list, tuple or dict.
            *args: handed on to `call`.
            training: whether layers that differ in training (dropout, batch normalization) act as in training; as the
                layer around this one by default.
            **kwargs: handed on to `call`.
        """
        before, outermost = _context.training, not _context.inside
        if kwargs and "mask" in kwargs and not self._call_takes_mask:
            refuse_unsupported(self.name, {"mask": kwargs.pop("mask")})
        try:
            if outermost:
                _context.inside = True
                self._clear_losses()
            if type(x) is not Tensor and not is_float32(x):
                x = self._prepared(x)
            if self.input_spec is not None:
                check_input_spec(self.input_spec, x, self.name)
            if not ((args or kwargs) and has_symbolic((args, kwargs))):
                if not self.built:
                    self._build_once(open_batch(shapes_of(x)))
                if training is not None:
                    _context.training = training
                if self._call_takes_training:
                    known = _context.training is not None
                    kwargs["training"] = _context.training if known else self._training_by_default
                    _context.training = kwargs["training"]
                y = self.call(x, *args, **kwargs)
                if self._activity_regularizer is not None:
                    self._note_activity(y)
                return y
        except SymbolicArgumentError:
            if not has_symbolic(x):
                raise
        except (ValueError, TypeError) as error:
            self._raise_named(error)
        finally:
            _context.training = before
            if outermost:
                _context.inside = False
        return self._describe(x, args, kwargs, training)

    def _prepared(self, x: Any) -> Any:
        """What `call` is given for the first argument."""
        return as_arrays(x, self.name)

    def _raise_named(self, error: Exception) -> NoReturn:
        """Raise the error again, with the layer's name in front."""
        if not self._names_errors or type(error) not in (ValueError, TypeError):
            raise error
        raise type(error)(f"{type(self).__name__} {self.name!r}: {error}") from error

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """A block that computes the layer's work otherwise than by calling it, with errors as from a call."""
        try:
            yield
        except (ValueError, TypeError) as error:
            self._raise_named(error)

    def _describe(self, x: Any, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None) -> Any:
        """Note the call down and return symbolic tensors."""
        if self.input_spec is not None:
            check_input_spec(self.input_spec, x, self.name)
        outputs = self.compute_output_spec(x, *args, **kwargs)
        if training is not None:
            kwargs = {**kwargs, "training": training}
        return Node(self, (x, *args), kwargs, outputs).outputs

    def compute_output_spec(self, x: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Symbolic tensors like those that a call with these arguments gives; builds the layer."""
        try:
            shapes = shapes_of(x)
            self._build_once(shapes)
            if type(self).compute_output_shape is not Layer.compute_output_shape and not has_symbolic((args, kwargs)):
                return described(self.compute_output_shape(shapes))
        except (ValueError, TypeError) as error:
            self._raise_named(error)
        return self._tried((x, *args), kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's shape, both with the batch first and None for sizes that are not fixed.

        Found by calling the layer with zeros, where a subclass does not tell it at less expense.

        Args:
            input_shape: one shape, or a list, tuple or dict of them where the layer takes several inputs.
        """
        self._build_once(input_shape)
        return shapes_of(self._tried((described(input_shape),), {}))

    def _tried(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors = tried(self, args, kwargs)
        self._clear_losses()  # those of what was tried
        return tensors

    @property
    def input(self) -> Any:
        """The symbolic tensor (or tensors) that the layer was first called on."""
        return self._first_call("input").args[0]

    @property
    def output(self) -> Any:
        """The symbolic tensor (or tensors) that the layer's first symbolic call returned."""
        return self._first_call("output").outputs

    def _first_call(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(f"{self.name} has no {what}: it was not called on the tensors of a model")
        return self._inbound_nodes[0]

    def algorithms(self, input_shape: Shape) -> dict[str, str]:
        """What computes each pass for inputs of this shape, where the engine has a choice."""
        return {}

    def multiply_adds(self, input_shape: Shape) -> int:
        """The number of multiplications with a weight, each with its addition, for one example."""
        return 0

    # Weights

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (the batch first); nothing to do in layers without any."""
        self.built = True

    def _build_once(self, input_shape: Any) -> None:
        if not self.built:
            self.build(tuple(input_shape) if is_shape(input_shape) else input_shape)
            self.built = True

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: initializers.InitializerLike = None,
        dtype: Any = None,
        *,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: regularizers.RegularizerLike = None,
        constraint: constraints.ConstraintLike = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Make a weight that belongs to this layer.

        Args:
            shape: its shape; that of one number by default.
            initializer: its initial value: a name, an `Initializer` or a callable; Glorot uniform by default.
            dtype: None or "float32".
            trainable: whether gradients change it.
            autocast: makes no difference: everything is computed in float32.
            regularizer: a penalty on it; that of the argument NAME_regularizer by default.
            constraint: what optimizers apply to it after a step; that of the argument NAME_constraint by default.
            aggregation: makes no difference: there is one machine.
            overwrite_with_gradient: only False.
            name: shown in messages and kept in files.

        Raises:
            ValueError: the initializer makes another shape, or an argument cannot be honoured.
        """
        name = name or "weight"
        if str(dtype or "float32") != "float32" and dtype is not np.float32:
            raise ValueError(f"{self.name}: dtype={dtype!r} of {name} cannot be honoured: weights are float32")
        if overwrite_with_gradient:
            raise ValueError(f"{self.name}: {name} cannot be overwritten with its gradient: optimizers use that")
        shape = tuple(shape or ())
        source = _weight_source.get() or initializers.get(initializer or "glorot_uniform")
        variable = Variable(source(shape), trainable=trainable and self._trainable, name=name)
        if variable.shape != shape:
            raise ValueError(f"initializer of {name} expects to make shape {shape}, made {variable.shape}")
        self._bind_penalties(variable, regularizer, constraint)
        (self._own_trained if trainable else self._own_kept).append(variable)
        return variable

    add_variable = add_weight

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable):
            self._own(name, value)
        super().__setattr__(name, value)
        if name not in _UNNOTED:
            self._forget_found(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._forget_found(name)

    def _own(self, name: str, variable: Variable) -> None:
        """Make a variable that is assigned to an attribute one of the layer's weights."""
        if "_own_trained" not in self.__dict__:
            raise ValueError(f"{type(self).__name__}: call super().__init__() before {name} is assigned")
        if any(variable is weight for weight in self.weights):
            return
        if self.built and (isinstance(self.__dict__.get(name), Variable) or self._locked_when_built):
            raise ValueError(
                f"{self.name}: {name} cannot become another variable, because the layer is built; to change a weight's "
                f"value, use {name}.assign(value)"
            )
        (self._own_trained if variable.trainable else self._own_kept).append(variable)

    def _forget_found(self, assigned: str) -> None:
        """Look through the attributes anew when they are next asked for."""
        self.__dict__["_parts"] = self.__dict__["_metric_holders"] = None
        self.__dict__["_assigned"] = self._assigned + 1
        if assigned in _SETTINGS and self.__dict__.get("built"):
            note_assigned_setting()

    def sublayers(self) -> Iterator[Layer]:
        """The layers that this one holds in its attributes, in the order they were set."""
        if self._parts is None:
            # The attributes that are layers or may hold some, found once; a list may get and lose some later on.
            self._parts = tuple(
                value
                for name, value in vars(self).items()
                if name not in _NO_LAYERS and (isinstance(value, (Layer, list, dict)) or is_tuple_of(value, Layer))
            )
        for value in self._parts:
            if isinstance(value, Layer):
                yield value
            else:
                items = value.values() if isinstance(value, dict) else value
                yield from (item for item in items if isinstance(item, Layer))

    @property
    def weights(self) -> list[Variable]:
        """All weights: this layer's trainable ones, its others, then those of its parts."""
        found = [*self._own_trained, *self._own_kept]
        for layer in self.sublayers():
            found += layer.weights
        return list(dict.fromkeys(found))  # a part that is held twice counts once

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes; none where the layer is frozen."""
        if not self._trainable:
            return []
        return list(dict.fromkeys(self._trained()))  # a part that is held twice counts once

    def _trained(self) -> list[Variable]:
        found = [v for v in self._own_trained if v.trainable]
        if self._parts == ():
            return found
        for layer in self.sublayers():
            if not (layer._trainable or layer._parts_decide):
                continue
            if layer._parts != ():
                found += layer._trained()
            elif layer._own_trained:  # what `_trained` would return, without the call
                found += [v for v in layer._own_trained if v.trainable]
        return found

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone, or changes otherwise than by gradients (moving averages)."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; assigning reaches the layer's parts as well."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._own_trained:
            variable.trainable = self._trainable
        for layer in self.sublayers():
            layer.trainable = value

    def count_params(self) -> int:
        """The number of weights, each element counted.

        Raises:
            ValueError: the layer is not built yet.
        """
        if not self.built:
            raise ValueError(f"{self.name}: count_params needs the weights; build the layer or call it first")
        return sum(v.size for v in self.weights)

    def get_weights(self) -> list[npt.NDArray[np.float32]]:
        """Copies of all weights' values, in the order of `weights`."""
        return [v.numpy().copy() for v in self.weights]

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Assign all weights, in the order of `weights`.

        Raises:
            ValueError: their number or a shape differs; then nothing is changed.
        """
        variables = self.weights
        if len(weights) != len(variables):
            hint = "" if self.built else "; it is not built yet, so it has none"
            raise ValueError(f"{self.name}: set_weights expects {len(variables)} arrays, got {len(weights)}{hint}")
        arrays = [to_float32(w, f"{self.name}: set_weights", f"weights[{i}]") for i, w in enumerate(weights)]
        for i, (variable, array) in enumerate(zip(variables, arrays, strict=True)):
            if array.shape != variable.shape:
                raise ValueError(
                    f"{self.name}: set_weights expects weights[{i}] ({variable.name}) of shape {variable.shape}, "
                    f"got {array.shape}"
                )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """What the layer was made with, as values that JSON can hold; `from_config` makes such a layer again."""
        config = super().get_config() | {"name": self.name, "trainable": self._trainable} | self._penalty_config()
        return taken_by_constructor(type(self), config)


def _marking_built(build: Callable[..., None]) -> Callable[..., None]:
    """A `build` after which the layer counts as built, whoever calls it: another layer's `build`, for one."""

    @functools.wraps(build)
    def marking(self: Layer, *args: Any, **kwargs: Any) -> None:
        before = self.built
        try:
            build(self, *args, **kwargs)
        except BaseException:
            self.built = before
            raise
        self.built = True

    return marking


class SameShape(Layer):
    """A layer whose output has its input's shape."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return tuple(input_shape)


# What was found among the attributes, and what changes neither that nor what a layer computes.
_UNNOTED = frozenset({"_parts", "_metric_holders", "trainable", "_trainable"})
# Attributes that say what a layer computes, which models ask for once.
_SETTINGS = {
    "activation", "call", "data_format", "dilation_rate", "groups", "max_value", "negative_slope", "padding",
    "pool_size", "strides", "threshold",
}  # fmt: skip
# Attributes of every layer that hold other things.
_NO_LAYERS = frozenset({"_parts", "_own_trained", "_own_kept", "_inbound_nodes", "_noted_losses", "_arguments"})


@contextmanager
def initial_weights_from(source: Callable[[tuple[int, ...]], Any]) -> Iterator[None]:
    """A block in which layers take initial weights from `source` instead of their initialisers (to load others)."""
    token = _weight_source.set(source)
    try:
        yield
    finally:
        _weight_source.reset(token)
