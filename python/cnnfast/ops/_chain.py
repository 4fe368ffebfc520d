"""Layers in a row as one operation: one engine call computes them, another all their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, Parameters, record, to_float32

# What a tape keeps of a chain is freed at its end, not link by link: so only what is small runs as one.
LARGEST_KEPT = 2 << 20  # floats


def chain_for(x_shape: tuple[int, ...]) -> _core.LayerChain:
    """A chain without links yet, for inputs of this shape.

    Example:
        >>> from cnnfast.autograd import Variable
        >>> chain = chain_for((1, 2))
        >>> chain.dense((2, 1), True, "relu", 0.0)
        >>> chained(chain, np.ones((1, 2)), Parameters([Variable([[1.0], [2.0]]), Variable([0.5])]))
        array([[3.5]], dtype=float32)
    """
    return _core.LayerChain(x_shape)


def chained(chain: _core.LayerChain, x: ArrayLike, weights: Parameters) -> Any:
    """The output of a chain; its weights are the kernels and biases of its links in a row."""
    y, vjp = computed(chain, x, weights)
    return record("chain", y, (x,), vjp, parameters=weights)


def computed(
    chain: _core.LayerChain, x: ArrayLike, weights: Parameters
) -> tuple[FloatArray, Callable[[FloatArray, Sequence[bool]], list[FloatArray | None]]]:
    """What `chained` computes, as an array, and the way back: its vector-Jacobian product by x and the weights."""
    array, values = to_float32(x, "chain"), weights.values()
    y, kept = chain.forward(array, values)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> list[FloatArray | None]:
        return chain.backward(array, values, kept, y, to_float32(dy), needs)

    return y, vjp
