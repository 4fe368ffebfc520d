"""The interface through which the onnx package's own tests run models: `prepare(model).run(inputs)`.

Inputs whose values must be known when a model is made, such as the shape that a Reshape takes, are fixed at the first
call that brings other ones; all others enter the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.extras import require
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.calls import NotConstantError
from cnnfast.interop.onnx.importer import Importer
from cnnfast.interop.onnx.reading import read
from cnnfast.interop.onnx.rewriting import rewritten
from cnnfast.interop.onnx.tensors import Array
from cnnfast.models import Model


class PreparedModel:
    """A model that takes and returns arrays as the file has them: its shapes and element types.

    Args:
        model: a ModelProto.

    Raises:
        ValueError: the model is damaged.
    """

    def __init__(self, model: Any) -> None:
        graph, self._source = read(model)
        self._graph = rewritten(graph)
        self._names = list(graph.inputs)
        self._made: tuple[dict[str, Array], list[Any], list[Any], Any] | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Compute the outputs.

        Args:
            inputs: arrays in the order of the graph's inputs, or a dict by their names.
            **kwargs: none are used.

        Raises:
            ValueError: the model has something that is not supported.
        """
        given = dict(inputs) if isinstance(inputs, dict) else dict(zip(self._names, inputs, strict=False))
        given = {name: _readable(np.asarray(value)) for name, value in given.items()}
        if self._made is None or not self._still_holds(given):
            self._made = self._make(given)
        _, found, dtypes, model = self._made
        results = iter(())
        if model is not None:
            entering = [given[name] for name in self._entering]
            computed = model(entering if len(entering) > 1 else entering[0], training=False)
            results = iter(computed if isinstance(computed, list) else [computed])
        outputs = []
        for value, dtype in zip(found, dtypes, strict=True):
            array = np.asarray(next(results) if isinstance(value, Arranged) else value)
            outputs.append(array.astype(dtype))
        return tuple(outputs)

    def _still_holds(self, given: dict[str, Array]) -> bool:
        assert self._made is not None
        same = all(np.array_equal(given[name], value) for name, value in self._made[0].items())
        return same and {name: value.shape for name, value in given.items()} == self._shapes

    def _make(self, given: dict[str, Array]) -> tuple[dict[str, Array], list[Any], list[Any], Any]:
        """The inputs that are fixed, the outputs' values, their element types, and the model if there is one."""
        fixed: dict[str, Array] = {}
        self._shapes = {name: value.shape for name, value in given.items()}
        while True:
            shapes = {name: shape for name, shape in self._shapes.items() if name not in fixed}
            importer = Importer(self._graph, self._source, False, shapes, fixed)
            try:
                found = importer.results()
                break
            except NotConstantError as error:
                more = {name: given[name] for name in error.inputs if name not in fixed}
                if not more:
                    raise
                fixed.update(more)
        self._entering = [name for name in self._names if name not in fixed]
        computed = [value.plain() for value in found if isinstance(value, Arranged)]
        model = Model(importer.inputs, computed) if computed else None
        return fixed, found, self._output_dtypes(importer), model

    def _output_dtypes(self, importer: Importer) -> list[Any]:
        """The outputs' element types: those that the file tells, else those that were followed."""
        named = require("onnx.helper", "running ONNX models", "onnx").tensor_dtype_to_np_dtype
        return [named(kind) if kind else importer.dtypes[name] for name, kind in self._graph.outputs.items()]


def _readable(array: Array) -> Array:
    """bfloat16 as float32, which NumPy knows."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


class CnnfastBackend:
    """What `onnx.backend.test.BackendTest` takes: it tests that imported models compute what the standard says.

    Example:
        >>> CnnfastBackend.supports_device("CUDA")
        False
    """

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether to try at all: always."""
        return True

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> PreparedModel:
        """Read a ModelProto.

        Raises:
            ValueError: it is damaged.
        """
        return PreparedModel(model)

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        """Read a ModelProto and compute its outputs."""
        return cls.prepare(model, device).run(inputs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether models run there: on CPUs."""
        return device.split(":")[0] == "CPU"


prepare, run_model, supports_device = CnnfastBackend.prepare, CnnfastBackend.run_model, CnnfastBackend.supports_device
