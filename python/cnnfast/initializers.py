"""Initial values of weights, by class or by name.

An initialiser with a seed gives the same values at every call; without one it draws from `cnnfast.random`, which
`cnnfast.utils.set_random_seed` makes reproducible.

>>> GlorotUniform(seed=1)((3, 3, 1, 8)).shape
(3, 3, 1, 8)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from cnnfast import random
from cnnfast.arguments import integer, real
from cnnfast.autograd import Value, to_float32
from cnnfast.configured import Configured, look_up
from cnnfast.configured import serialize as serialized
from cnnfast.naming import snake_case

FloatArray = npt.NDArray[np.float32]
Seed = int | random.SeedGenerator | Mapping[str, Any] | None
InitializerLike = Union["Initializer", Callable[..., Any], str, Mapping[str, Any], None]

# Standard deviation of a standard normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configured):
    """Base: a callable that makes a float32 array of a given shape."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> FloatArray:
        """Make initial values of the given shape."""
        if dtype is not None and np.dtype(dtype) != np.float32:
            raise ValueError(f"{type(self).__name__}: dtype {dtype} is not supported, weights are float32")
        return self.values(tuple(shape))

    def values(self, shape: tuple[int, ...]) -> FloatArray:
        """The values; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no values()")

    def clone(self) -> Any:
        """Another one made with the same arguments."""
        return type(self).from_config(self.get_config())


class Constant(Initializer):
    """One value everywhere.

    Args:
        value: the value.

    Example:
        >>> Constant(0.5)((2,))
        array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = real("Constant", "value", value)

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        return np.full(shape, self.value, np.float32)


class Zeros(Initializer):
    """Zeros.

    Example:
        >>> Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        return np.zeros(shape, np.float32)


class Ones(Initializer):
    """Ones.

    Example:
        >>> Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        return np.ones(shape, np.float32)


class Identity(Initializer):
    """The identity matrix: ones on the diagonal, zeros elsewhere.

    Args:
        gain: factor on the matrix.

    Raises:
        ValueError: on a call, the shape has not two axes.

    Example:
        >>> Identity(2.0)((2, 3))
        array([[2., 0., 0.],
               [0., 2., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = real("Identity", "gain", gain)

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        if len(shape) != 2:
            raise ValueError(f"Identity: expected a shape of two axes, got {shape}")
        return np.eye(*shape, dtype=np.float32) * np.float32(self.gain)


class RandomInitializer(Initializer):
    """Base of those that draw numbers.

    Args:
        seed: an int for the same values at every call, None or a `random.SeedGenerator` for fresh ones.
    """

    def __init__(self, seed: Seed = None) -> None:
        if isinstance(seed, Mapping):
            seed = random.SeedGenerator.from_config(seed["config"])
        kept = seed is None or isinstance(seed, random.SeedGenerator)
        self.seed = seed if kept else integer(type(self).__name__, "seed", seed)

    def generator(self) -> np.random.Generator:
        """The source of random numbers for one call."""
        return random.generator_of(self.seed)


class RandomNormal(RandomInitializer):
    """Normally distributed values.

    Example:
        >>> RandomNormal(stddev=0.01, seed=0)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.mean = real(type(self).__name__, "mean", mean)
        self.stddev = real(type(self).__name__, "stddev", stddev, 0.0)

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        z = self.generator().standard_normal(shape, np.float32)
        return z * np.float32(self.stddev) + np.float32(self.mean)


class TruncatedNormal(RandomNormal):
    """Normally distributed values; those beyond two standard deviations are drawn again.

    Example:
        >>> bool(np.abs(TruncatedNormal(stddev=1.0, seed=0)((1000,))).max() <= 2.0)
        True
    """

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        z = random.truncated_standard_normal(self.generator(), shape)
        return z * np.float32(self.stddev) + np.float32(self.mean)


class RandomUniform(RandomInitializer):
    """Uniformly distributed values in [minval, maxval).

    Example:
        >>> RandomUniform(-1.0, 1.0, seed=0)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.minval = real("RandomUniform", "minval", minval)
        self.maxval = real("RandomUniform", "maxval", maxval)

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        u = self.generator().random(shape, np.float32)
        return u * np.float32(self.maxval - self.minval) + np.float32(self.minval)


class VarianceScaling(RandomInitializer):
    """Values whose variance is `scale / n`, with n taken from the number of inputs or outputs.

    For a kernel of shape (*taps, in, out) there are prod(taps) * in inputs (fan_in) and prod(taps) * out outputs
    (fan_out) to a weight.

    Args:
        scale: a positive factor.
        mode: "fan_in", "fan_out" or "fan_avg" (their mean).
        distribution: "truncated_normal" (its cut-off is compensated), "untruncated_normal" or "uniform".
        input_axes: the axes that count as inputs, where they are not those of a kernel of shape (*taps, in, out).
        output_axes: the axes that count as outputs; both are given, or none.
        seed: an int for the same values at every call, None or a `random.SeedGenerator` for fresh ones.

    Example:
        >>> w = VarianceScaling(2.0, "fan_in", "uniform", seed=0)((100, 10))
        >>> bool(np.abs(w).max() <= (3 * 2.0 / 100) ** 0.5)
        True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.scale = real(owner, "scale", scale)
        if self.scale <= 0:
            raise ValueError(f"{owner}: scale expects a positive number, got {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"{owner}: mode expects fan_in, fan_out or fan_avg, got {mode!r}")
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"{owner}: distribution expects truncated_normal, untruncated_normal or uniform, got {distribution!r}"
            )
        self.mode, self.distribution = mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return self.generator().random(shape, np.float32) * np.float32(2 * limit) - np.float32(limit)
        if self.distribution == "untruncated_normal":
            return self.generator().standard_normal(shape, np.float32) * np.float32(math.sqrt(variance))
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return random.truncated_standard_normal(self.generator(), shape) * np.float32(stddev)


def compute_fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[float, float]:
    """The numbers of inputs and outputs that meet in a kernel of shape (*taps, in, out).

    Args:
        shape: the kernel's shape.
        input_axes: the axes that count as inputs, if others; given together with `output_axes`.
        output_axes: the axes that count as outputs.

    Example:
        >>> compute_fans((3, 3, 16, 32))
        (144.0, 288.0)
        >>> compute_fans((8, 4, 2), input_axes=[0], output_axes=[1, 2])
        (8.0, 8.0)
    """
    if input_axes is not None and output_axes is not None:
        return float(math.prod(shape[a] for a in input_axes)), float(math.prod(shape[a] for a in output_axes))
    if len(shape) == 0:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    taps = math.prod(shape[:-2])
    return float(taps * shape[-2]), float(taps * shape[-1])


class GlorotUniform(VarianceScaling):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Example:
        >>> bool(np.abs(GlorotUniform(seed=0)((4, 2))).max() <= 1.0)
        True
    """

    def __init__(
        self, seed: Seed = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


class GlorotNormal(VarianceScaling):
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    def __init__(
        self, seed: Seed = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


class HeUniform(VarianceScaling):
    """Uniform in +-sqrt(6 / fan_in), made for ReLU (He et al., 2015)."""

    def __init__(
        self, seed: Seed = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


class HeNormal(VarianceScaling):
    """Truncated normal of variance 2 / fan_in, made for ReLU (He et al., 2015)."""

    def __init__(
        self, seed: Seed = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class LecunUniform(VarianceScaling):
    """Uniform in +-sqrt(3 / fan_in) (LeCun et al., 1998)."""

    def __init__(
        self, seed: Seed = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


class LecunNormal(VarianceScaling):
    """Truncated normal of variance 1 / fan_in (LeCun et al., 1998)."""

    def __init__(
        self, seed: Seed = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class Orthogonal(RandomInitializer):
    """A random matrix of orthonormal columns, or rows where there are fewer of these (Saxe et al., 2014).

    Shapes of more than two axes are seen as a matrix (all but the last axis, the last axis).

    Args:
        gain: factor on the matrix.
        seed: an int for the same values at every call, None or a `random.SeedGenerator` for fresh ones.

    Example:
        >>> q = Orthogonal(seed=0)((4, 3))
        >>> bool(np.allclose(q.T @ q, np.eye(3), atol=1e-6))
        True
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        super().__init__(seed)
        self.gain = real("Orthogonal", "gain", gain)

    def values(self, shape: tuple[int, ...]) -> FloatArray:  # noqa: D102
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of at least two axes, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self.generator().standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diagonal(r))  # without it the factorisation prefers some directions
        return np.ascontiguousarray((q if rows >= columns else q.T) * self.gain, np.float32).reshape(shape)


# Functions' names, as Keras has them beside the classes.
constant, zeros, ones, identity = Constant, Zeros, Ones, Identity
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

_CLASSES: dict[str, type[Initializer]] = {
    c.__name__: c
    for c in (
        Constant, Zeros, Ones, Identity, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling, GlorotUniform,
        GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal,
    )
}  # fmt: skip
_BY_NAME = _CLASSES | {snake_case(name): c for name, c in _CLASSES.items()}
_BY_NAME |= {"normal": RandomNormal, "uniform": RandomUniform, "one": Ones, "zero": Zeros}
_BY_NAME |= {"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal, "orthogonal_initializer": Orthogonal}


def get(identifier: Any) -> Callable[..., Any]:
    """The initialiser that an argument means.

    Args:
        identifier: a name such as "glorot_uniform" or "HeNormal", a class, an object, a callable taking a shape, a
            dict of `class_name` and `config`, or an array that holds the values themselves.

    Raises:
        ValueError: no initialiser has that name.
        TypeError: nothing that can be an initialiser.

    Example:
        >>> get("he_normal")((3, 3, 8, 16)).shape
        (3, 3, 8, 16)
    """
    if isinstance(identifier, (np.ndarray, Value)):
        return functools.partial(_given, to_float32(identifier, "initializer", "values").copy())
    found: Callable[..., Any] = look_up("initializer", identifier, _BY_NAME)
    return found


def _given(values: FloatArray, shape: Sequence[int], dtype: Any = None) -> FloatArray:
    """The values that somebody gave, if a weight has their shape."""
    if tuple(shape) != values.shape:
        raise ValueError(f"initializer: the values given have shape {values.shape}, the weight has {tuple(shape)}")
    return values.copy()


def serialize(initializer: Initializer) -> dict[str, Any]:
    """An initialiser as a dict of `class_name` and `config` that JSON can hold.

    Example:
        >>> serialize(Constant(0.5))
        {'class_name': 'Constant', 'config': {'value': 0.5}}
    """
    entry: dict[str, Any] = serialized(initializer, "the initializer")
    return entry


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initialiser that `serialize` made a dict of; `custom_objects` names classes of your own.

    Raises:
        ValueError: no initialiser has that name.

    Example:
        >>> deserialize(serialize(Constant(0.5)))((2,))
        array([0.5, 0.5], dtype=float32)
    """
    return look_up("initializer", config, {**_BY_NAME, **(custom_objects or {})})
