"""Comparing a function's gradients with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, GradientTape, Tensor, Value, Variable, to_float32

_Doubles = npt.NDArray[np.float64]

_DIRECTIONS = 3  # random directions per input
_COORDINATES = 128  # single elements per input: all of a small one, a random sample of a larger one
_STEPS = (1.0, 1 / 4, 1 / 16, 1 / 64)  # of eps, largest first: see _Check.compare
# Rounding of an output element, in units of float32's spacing at its magnitude (or at the outputs' root mean square).
_ROUNDING = 8 * float(np.finfo(np.float32).eps)


class _Direction(NamedTuple):
    """A way to move one input."""

    name: str  # for the message
    vector: _Doubles


def gradcheck(
    function: Callable[..., Any],
    inputs: Sequence[ArrayLike] | ArrayLike,
    *,
    eps: float = 1e-2,
    rtol: float = 1e-2,
    atol: float = 1e-5,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """Check the gradients that the tape finds for `function` against central differences.

    The outputs are weighed with random numbers w, and the derivative of their weighed sum along a direction v is
    compared with `sum_j w_j (f_j(x + h v) - f_j(x - h v)) / 2h`, added up in double precision. The directions are
    random ones and, one by one, the elements of each input: all of them up to 128, else a random sample.

    The function computes in float32, so the step is a compromise: its error grows as h^2, that of rounding as 1/h. The
    first step is `eps` times the input's root mean square; where the two do not agree, three smaller ones follow, down
    to a 64th. The allowance is `atol`, plus `rtol` times the size of the sum's terms (not of the sum, in which they may
    cancel), plus what rounding the outputs can amount to. A kink (of relu, of max-pooling) closer than h spoils the
    difference: the last step accepts what lies between the slopes on the two sides.

    Args:
        function: called with the inputs; returns a tensor or a list of tensors. It must always return the same values
            (give dropout a fixed seed).
        inputs: an array or tensor, or a list of them. A `Variable` is moved by assigning to it and gets its value
            back, so the weights that a layer holds can be checked, too.
        eps: the first step, in units of the input's root mean square (of 1 if the input is all zeros).
        rtol: what is allowed relative to the size of the terms.
        atol: what is allowed in any case.
        seed: of the random weights and directions.
        raise_exception: False returns False instead of raising AssertionError.

    Returns:
        True if all agree.

    Raises:
        AssertionError: a gradient disagrees; the message names the input, the position and both values.
        ValueError: the function's outputs are not finite, or differ from call to call.
        TypeError: the inputs are not made of real numbers.

    Example:
        >>> import cnnfast
        >>> cnnfast.gradcheck(lambda x, y: cnnfast.ops.exp(x) * y, [[0.5, 1.0], [3.0, 4.0]])
        True
    """
    if not (eps > 0 and rtol >= 0 and atol >= 0):
        raise ValueError(f"gradcheck: expects eps > 0, rtol >= 0 and atol >= 0, got {eps}, {rtol} and {atol}")
    check = _Check(function, inputs, eps, rtol, atol, np.random.default_rng(seed))
    for problem in check.problems():
        if raise_exception:
            raise AssertionError(f"gradcheck: {problem}")
        return False
    return True


def _as_inputs(inputs: Any) -> list[Value]:
    items = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    return [x if isinstance(x, Value) else Tensor(x) for x in items]


class _Check:
    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Any,
        eps: float,
        rtol: float,
        atol: float,
        rng: np.random.Generator,
    ) -> None:
        self.function = function
        self.inputs = _as_inputs(inputs)
        self.eps, self.rtol, self.atol = eps, rtol, atol
        self.rng = rng
        self.values = [np.array(x, np.float32) for x in self.inputs]
        self.at_inputs: list[FloatArray] = []
        self.weights: list[FloatArray] = []
        self.magnitudes: list[_Doubles] = []

    def problems(self) -> Iterator[str]:
        """What does not agree, the first first."""
        gradients = self._gradients()
        for i, gradient in enumerate(gradients):
            value = self.values[i]
            found = np.zeros(value.shape) if gradient is None else np.asarray(gradient, np.float64)
            remark = " (None: not connected)" if gradient is None else ""
            for direction in self._directions(value.shape):
                problem = self.compare(i, found, direction)
                if problem:
                    yield f"input {i}, {direction.name}: {problem}{remark}"

    def _outputs(self, replaced: int, value: FloatArray) -> list[FloatArray]:
        """The function's outputs with another value for one input."""
        x = self.inputs[replaced]
        arguments: list[Value] = list(self.inputs)
        if not isinstance(x, Variable):
            arguments[replaced] = Tensor(value)
            return _as_arrays(self.function(*arguments))
        x.assign(value)
        try:
            return _as_arrays(self.function(*arguments))
        finally:
            x.assign(self.values[replaced])

    def _gradients(self) -> list[Any]:
        """The tape's gradients of the randomly weighed outputs."""
        with GradientTape() as tape:
            tape.watch(self.inputs)
            outputs = self.function(*self.inputs)
        targets = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        arrays = _as_arrays(targets)
        for i, array in enumerate(arrays):
            if not np.all(np.isfinite(array)):
                raise ValueError(f"gradcheck: output {i} is not finite at the inputs")
        for first, again in zip(arrays, _as_arrays(self.function(*self.inputs)), strict=True):
            if not np.array_equal(first, again):
                raise ValueError("gradcheck: the function returned other values when it was called again")
        self.at_inputs = arrays
        self.weights = [self.rng.standard_normal(a.shape).astype(np.float32) for a in arrays]
        root_mean_squares = [np.sqrt(np.mean(np.square(a, dtype=np.float64))) if a.size else 0.0 for a in arrays]
        self.magnitudes = [
            np.abs(w) * np.maximum(np.abs(a), level)
            for w, a, level in zip(self.weights, arrays, root_mean_squares, strict=True)
        ]
        return tape.gradient(targets, self.inputs, output_gradients=self.weights)

    def _directions(self, shape: tuple[int, ...]) -> Iterator[_Direction]:
        size = int(np.prod(shape))
        if size == 0:
            return
        if size <= _COORDINATES:
            chosen = np.arange(size)
        else:
            chosen = np.sort(self.rng.choice(size, _COORDINATES, replace=False))
        for flat in chosen:
            vector = np.zeros(size)
            vector[flat] = 1
            position = tuple(int(p) for p in np.unravel_index(flat, shape))
            yield _Direction(f"position {position}", vector.reshape(shape))
        for number in range(_DIRECTIONS):
            yield _Direction(f"random direction {number}", self.rng.standard_normal(shape))

    def compare(self, i: int, gradient: _Doubles, direction: _Direction) -> str | None:
        """None if a step gives the same derivative along the direction, else what the best of them gave."""
        value = self.values[i]
        scale = float(np.sqrt(np.mean(np.square(value, dtype=np.float64)))) or 1.0
        best: tuple[float, str] | None = None
        for fraction in _STEPS:
            step = self.eps * fraction * scale
            above = (value + step * direction.vector).astype(np.float32)
            below = (value - step * direction.vector).astype(np.float32)
            # The move that was made: float32 rounds the positions.
            moved = (above.astype(np.float64) - below) / (2 * step)
            terms = gradient * moved
            by_tape = float(np.sum(terms))
            by_difference, rounding, kinks = self._difference(i, above, below, step)
            allowed = self.atol + self.rtol * float(np.sqrt(np.sum(np.square(terms)))) + rounding
            if fraction == _STEPS[-1]:
                allowed += kinks
            off = abs(by_tape - by_difference)
            if off <= allowed:
                return None
            text = f"the tape says {by_tape:.6g}, the central difference {by_difference:.6g} (step {step:.2g})"
            if best is None or not off / allowed >= best[0]:
                best = off / allowed, text
        return best[1] if best else None

    def _difference(self, i: int, above: FloatArray, below: FloatArray, step: float) -> tuple[float, float, float]:
        """The weighed sum of the central differences, how far rounding may have shifted it, and how far kinks may."""
        total, squares, kinks = 0.0, 0.0, 0.0
        moved = zip(self._outputs(i, above), self._outputs(i, below), strict=True)
        for (high, low), middle, weights, magnitudes in zip(
            moved, self.at_inputs, self.weights, self.magnitudes, strict=True
        ):
            difference = high.astype(np.float64) - low
            total += float(np.sum(weights * difference))
            # Outputs that did not move at all carry no rounding.
            squares += float(np.sum(np.square(magnitudes[difference != 0])))
            bend = np.abs(weights * ((high.astype(np.float64) - middle) - (middle.astype(np.float64) - low)))
            kinks += float(np.sum(np.maximum(bend - _ROUNDING * magnitudes, 0)))
        return total / (2 * step), _ROUNDING * float(np.sqrt(squares)) / (2 * step), kinks / (2 * step)


def _as_arrays(outputs: Any) -> list[FloatArray]:
    items = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [np.array(to_float32(x, "gradcheck", f"output {i}")) for i, x in enumerate(items)]
