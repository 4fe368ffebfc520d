"""Random arrays under the names of keras.random.

An integer as seed gives the same numbers at every call, a `SeedGenerator` other ones at each, reproducibly; without a
seed they come from the one source of randomness, which `set_random_seed` sets.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.autograd import ArrayLike, FloatArray, to_float32
from cnnfast.ops.dtypes import real_array, resolved_dtype
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.shaping import integers
from cnnfast.seeds import generator, next_seed, set_random_seed

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = [
    "SeedGenerator", "bernoulli", "beta", "binomial", "categorical", "dropout", "gamma", "generator", "generator_of",
    "next_seed", "normal", "randint", "set_random_seed", "shuffle", "truncated_normal", "truncated_standard_normal",
    "uniform",
]  # fmt: skip


class SeedGenerator:
    """A source of seeds: other random numbers at every use, the same in every run.

    Args:
        seed: where it begins, an integer >= 0; drawn from `cnnfast.random` if None.
        name: for information.
        **kwargs: none are supported.

    Raises:
        TypeError: `seed` is not an integer, or an argument is unknown.
        ValueError: `seed` is negative.

    Example:
        >>> seeds = SeedGenerator(1)
        >>> first, second = normal((2,), seed=seeds), normal((2,), seed=seeds)
        >>> bool((first == second).any()), bool((first == normal((2,), seed=SeedGenerator(1))).all())
        (False, True)
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(f"SeedGenerator: unexpected keyword argument {next(iter(kwargs))!r}")
        self._initial_seed = _checked(seed)
        self.name = name
        self._source = np.random.default_rng(next_seed() if self._initial_seed is None else self._initial_seed)

    @property
    def seed(self) -> int | None:
        """The seed that it was made with."""
        return self._initial_seed

    def next(self, ordered: bool = True) -> int:
        """A new seed.

        Args:
            ordered: for code that passes it; the seeds always come in order.
        """
        return int(self._source.integers(0, 2**64, dtype=np.uint64))

    def get_config(self) -> dict[str, Any]:
        """What it was made with."""
        return {"seed": self._initial_seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make one from what `get_config` returned."""
        return cls(**config)


def _checked(seed: Any) -> int | None:
    if seed is None:
        return None
    if isinstance(seed, (bool, float)):
        raise TypeError(f"seed expects an integer, a SeedGenerator or None, got {seed!r}")
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(f"seed expects an integer, a SeedGenerator or None, got {seed!r}") from None
    if number < 0:
        raise ValueError(f"seed expects an integer >= 0, got {seed}")
    return number


def generator_of(seed: Any) -> Generator:
    """NumPy's generator for a seed: an integer, a `SeedGenerator` or None.

    Raises:
        TypeError: `seed` is none of them.
        ValueError: it is negative.

    Example:
        >>> int(generator_of(1).integers(10)) == int(np.random.default_rng(1).integers(10))
        True
    """
    if isinstance(seed, SeedGenerator):
        return np.random.default_rng(seed.next())
    number = _checked(seed)
    return generator() if number is None else np.random.default_rng(number)


def _sizes(op: str, shape: Any) -> tuple[int, ...]:
    sizes = integers(op, "shape", list(shape) if isinstance(shape, np.ndarray) else shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"{op}: shape expects sizes from 0 on, got {shape}")
    return sizes


def _require_float(op: str, dtype: Any) -> None:
    if resolved_dtype(op, dtype).kind != "f":
        raise ValueError(f"{op}: dtype expects float32, got {dtype!r}; use randint for integers")


def normal(
    shape: int | Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> FloatArray:
    """Normally distributed numbers.

    Args:
        shape: of the result.
        mean: their expectation.
        stddev: their standard deviation.
        dtype: None or "float32".
        seed: an integer, a `SeedGenerator` or None.

    Raises:
        TypeError: `shape` or `seed` is not made of integers.
        ValueError: a size or the seed is negative, or `dtype` another.

    Example:
        >>> normal((2, 3), seed=1).shape
        (2, 3)
    """
    _require_float("normal", dtype)
    values = generator_of(seed).standard_normal(_sizes("normal", shape), np.float32)
    return np.asarray(values * np.float32(stddev) + np.float32(mean))


def truncated_normal(
    shape: int | Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> FloatArray:
    """Normally distributed numbers, drawn again where they are more than two standard deviations from the mean.

    The arguments and errors are those of `normal`.

    Example:
        >>> bool(np.abs(truncated_normal((1000,), seed=1)).max() <= 2)
        True
    """
    _require_float("truncated_normal", dtype)
    values = truncated_standard_normal(generator_of(seed), _sizes("truncated_normal", shape))
    return np.asarray(values * np.float32(stddev) + np.float32(mean))


def truncated_standard_normal(source: Generator, shape: tuple[int, ...]) -> FloatArray:
    """Standard normal values, none beyond +-2.

    Example:
        >>> truncated_standard_normal(np.random.default_rng(0), (3, 4)).shape
        (3, 4)
    """
    z = source.standard_normal(shape, np.float32)
    flat = z.reshape(-1)
    (outside,) = np.nonzero(np.abs(flat) > 2.0)
    while outside.size:
        flat[outside] = source.standard_normal(outside.size, np.float32)
        outside = outside[np.abs(flat[outside]) > 2.0]
    return z


def uniform(
    shape: int | Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> FloatArray:
    """Equally distributed numbers from `minval` on and below `maxval`; the errors are those of `normal`.

    Example:
        >>> bool(uniform((1000,), 3.0, 4.0, seed=1).min() >= 3)
        True
    """
    _require_float("uniform", dtype)
    low, high = np.float32(minval), np.float32(maxval)
    values = generator_of(seed).random(_sizes("uniform", shape), np.float32) * (high - low) + low
    # Rounding may reach the upper bound.
    return np.asarray(np.minimum(values, np.nextafter(high, low)) if high > low else values)


def randint(
    shape: int | Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Any = None
) -> npt.NDArray[Any]:
    """Equally distributed integers from `minval` on and below `maxval`.

    Args:
        shape: of the result.
        minval: the smallest.
        maxval: the first that is too large.
        dtype: an integer type.
        seed: an integer, a `SeedGenerator` or None.

    Raises:
        TypeError: an argument is not made of integers.
        ValueError: the range is empty or does not fit `dtype`, or a size or the seed is negative.

    Example:
        >>> sorted(set(randint((100,), 1, 4, seed=1).tolist()))
        [1, 2, 3]
    """
    kind = resolved_dtype("randint", dtype, "int32")
    if kind.kind not in "iu":
        raise ValueError(f"randint: dtype expects an integer type, got {dtype!r}")
    return np.asarray(
        generator_of(seed).integers(operator.index(minval), operator.index(maxval), _sizes("randint", shape), kind)
    )


def bernoulli(shape: int | Sequence[int], p: Any = 0.5, dtype: Any = None, seed: Any = None) -> npt.NDArray[Any]:
    """Ones with the probability `p`, else zeros.

    Args:
        shape: of the result.
        p: a number from 0 to 1, or an array that broadcasts to `shape`.
        dtype: float32 if None; else "bool" or an integer type.
        seed: an integer, a `SeedGenerator` or None.

    Raises:
        TypeError: `shape` or `seed` is not made of integers.
        ValueError: `p` is no probability or of another shape, or a size or the seed is negative.

    Example:
        >>> bernoulli((1000,), 0.25, seed=1).mean().round(1).item() < 0.35
        True
    """
    return binomial(shape, 1, p, dtype, seed)


def binomial(
    shape: int | Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> npt.NDArray[Any]:
    """How often something of probability `probabilities` happens in `counts` trials.

    Args:
        shape: of the result.
        counts: integers >= 0, which broadcast to `shape`.
        probabilities: numbers from 0 to 1, which broadcast to `shape`.
        dtype: float32 if None; else "bool" or an integer type.
        seed: an integer, a `SeedGenerator` or None.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: a number is out of range, or the shapes do not fit.

    Example:
        >>> int(binomial((1000,), 10, 0.5, seed=1).max()) <= 10
        True
    """
    kind, sizes = resolved_dtype("binomial", dtype), _sizes("binomial", shape)
    trials = to_float32(counts, "binomial", "counts").astype(np.int64)
    chances = to_float32(probabilities, "binomial", "probabilities").astype(np.float64)
    return np.asarray(generator_of(seed).binomial(trials, chances, sizes)).astype(kind)


def gamma(shape: int | Sequence[int], alpha: Any, dtype: Any = None, seed: Any = None) -> FloatArray:
    """Numbers of the gamma distribution with the shape `alpha` and the scale 1; the errors are those of `normal`.

    Example:
        >>> bool((gamma((10,), 2.0, seed=1) > 0).all())
        True
    """
    _require_float("gamma", dtype)
    form = to_float32(alpha, "gamma", "alpha").astype(np.float64)
    return np.asarray(generator_of(seed).gamma(form, 1.0, _sizes("gamma", shape)), np.float32)


def beta(shape: int | Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> FloatArray:
    """Numbers of the beta distribution, between 0 and 1; the errors are those of `normal`.

    Example:
        >>> bool((beta((10,), 2.0, 2.0, seed=1) < 1).all())
        True
    """
    _require_float("beta", dtype)
    a, b = (to_float32(x, "beta", name).astype(np.float64) for x, name in ((alpha, "alpha"), (beta, "beta")))
    return np.asarray(generator_of(seed).beta(a, b, _sizes("beta", shape)), np.float32)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> npt.NDArray[Any]:
    """Class numbers with the probabilities that are the softmax of `logits`.

    Args:
        logits: (N, classes).
        num_samples: how many for each row.
        dtype: an integer type.
        seed: an integer, a `SeedGenerator` or None.

    Returns:
        (N, num_samples).

    Raises:
        TypeError: `logits` is not made of real numbers.
        ValueError: it has other than two axes or no classes, or `dtype` is no integer type.

    Example:
        >>> categorical([[0.0, 100.0]], 3, seed=1)
        array([[1, 1, 1]], dtype=int32)
    """
    kind = resolved_dtype("categorical", dtype, "int32")
    rows = to_float32(logits, "categorical", "logits").astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0 or kind.kind not in "iu":
        raise ValueError(
            f"categorical: expects logits (N, classes) and an integer dtype, got {rows.shape} and {dtype!r}"
        )
    shares = np.exp(rows - rows.max(axis=1, keepdims=True))
    limits = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    draws = generator_of(seed).random((len(rows), operator.index(num_samples)))
    found = [np.searchsorted(limit, draw, side="right") for limit, draw in zip(limits, draws, strict=True)]
    return np.minimum(np.asarray(found).reshape(draws.shape), rows.shape[1] - 1).astype(kind)


def shuffle(x: ArrayLike, axis: int = 0, seed: Any = None) -> Any:
    """`x` in a random order along an axis.

    Args:
        x: real numbers of at least one axis; integers stay integers, and the gradient follows tensors.
        axis: along which axis.
        seed: an integer, a `SeedGenerator` or None.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the axis is out of range.

    Example:
        >>> sorted(shuffle([1, 2, 3], seed=1).tolist())
        [1, 2, 3]
    """
    array = real_array(x, "shuffle")
    (a,) = normalize_axes("shuffle", axis, array.shape)
    order = generator_of(seed).permutation(array.shape[a])
    return ops.take(x, order, axis=a) if array.dtype.kind == "f" else np.take(array, order, a)


def dropout(inputs: ArrayLike, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None) -> Any:
    """Set a random part of the elements to zero and scale the others up; see `ops.dropout`.

    Args:
        inputs: real numbers of any shape.
        rate: the probability of each element to be dropped, in [0, 1).
        noise_shape: a shape that broadcasts to that of `inputs`: along its axes of length 1 elements are dropped
            together. None in it is the length of `inputs`.
        seed: an integer, a `SeedGenerator` or None.

    Raises:
        TypeError: `inputs` is not made of real numbers.
        ValueError: `rate` is out of range, or `noise_shape` does not fit.

    Example:
        >>> dropout(np.ones((4, 2)), 0.5, noise_shape=(None, 1), seed=3).shape
        (4, 2)
    """
    if noise_shape is None:
        number = _checked(seed.next() if isinstance(seed, SeedGenerator) else seed)
        return ops.dropout(inputs, rate, number)
    shape = to_float32(inputs, "dropout", "inputs").shape
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate expects a number in [0, 1), got {rate}")
    sizes = tuple(n if m is None else m for m, n in zip(noise_shape, shape, strict=False))
    if len(noise_shape) != len(shape) or any(m not in (1, n) for m, n in zip(sizes, shape, strict=True)):
        raise ValueError(f"dropout: noise_shape {tuple(noise_shape)} does not broadcast to inputs: {shape}")
    kept = generator_of(seed).random(sizes, np.float32) >= rate
    return ops.multiply(inputs, kept * np.float32(1 / (1 - rate)))
