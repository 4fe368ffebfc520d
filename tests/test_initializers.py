"""Initial values: their moments, bounds, seeds and names, against the definitions."""

import math

import numpy as np
import pytest

import keras_peer
from cnnfast import initializers, random, utils

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning")

SHAPE = (3, 3, 40, 80)
FAN_IN, FAN_OUT = 9 * 40, 9 * 80
# The variance of a standard normal distribution cut off at +-2, from its formula.
CUT = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / (FAN_IN + FAN_OUT)),
        ("glorot_normal", 2 / (FAN_IN + FAN_OUT)),
        ("he_uniform", 2 / FAN_IN),
        ("he_normal", 2 / FAN_IN),
        ("lecun_uniform", 1 / FAN_IN),
        ("lecun_normal", 1 / FAN_IN),
        ("random_normal", 0.05**2),
        ("random_uniform", 0.1**2 / 12),
        ("truncated_normal", 0.05**2 * CUT),
    ],
)
def test_moments(name, variance):
    w = initializers.get({"class_name": name, "config": {"seed": 5}})(SHAPE)
    assert w.dtype == np.float32
    assert w.shape == SHAPE
    assert abs(w.mean()) < 5 * math.sqrt(variance / w.size)
    assert w.var() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("glorot_uniform", math.sqrt(6 / (FAN_IN + FAN_OUT))),
        ("he_uniform", math.sqrt(6 / FAN_IN)),
        ("lecun_uniform", math.sqrt(3 / FAN_IN)),
        ("random_uniform", 0.05),
        ("truncated_normal", 0.1),
        ("he_normal", 2 * math.sqrt(2 / FAN_IN / CUT)),
    ],
)
def test_bounds(name, bound):
    w = initializers.get({"class_name": name, "config": {"seed": 5}})(SHAPE)
    assert 0.98 * bound < np.abs(w).max() <= bound * (1 + 1e-6)


def test_the_scale_of_the_truncated_normal_is_corrected():
    assert pytest.approx(math.sqrt(CUT), abs=1e-8) == 0.87962566103423978


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling(mode, distribution):
    w = initializers.VarianceScaling(3.0, mode, distribution, seed=1)((200, 300))
    n = {"fan_in": 200, "fan_out": 300, "fan_avg": 250}[mode]
    assert w.var() == pytest.approx(3.0 / n, rel=0.03)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((7,), (7, 7)), ((4, 5), (4, 5)), ((3, 4, 5), (12, 15)), ((2, 3, 4, 5), (24, 30))],
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


def test_axes_of_inputs_and_outputs():
    w = initializers.GlorotUniform(seed=1, input_axes=[0, 1], output_axes=[2])((30, 20, 50))
    assert np.abs(w).max() == pytest.approx(math.sqrt(6 / (600 + 50)), rel=0.01)


def test_a_generator_of_seeds():
    free = initializers.HeNormal(seed=random.SeedGenerator(3))
    first, second = free((4, 5)), free((4, 5))
    assert not np.array_equal(first, second)
    again = initializers.get({"class_name": "HeNormal", "config": free.get_config()})
    np.testing.assert_array_equal(again((4, 5)), first)
    np.testing.assert_array_equal(again((4, 5)), second)


def test_constants():
    np.testing.assert_array_equal(initializers.get("zeros")((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.get("Ones")((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(initializers.Constant(2.5)((2,)), [2.5, 2.5])


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 2, 5, 7)])
def test_orthogonal(shape):
    w = initializers.Orthogonal(gain=2.0, seed=3)(shape).reshape(-1, shape[-1]).astype(np.float64)
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


def test_seeds():
    fixed = initializers.GlorotUniform(seed=4)
    np.testing.assert_array_equal(fixed((5, 5)), fixed((5, 5)))
    assert not np.array_equal(fixed((5, 5)), initializers.GlorotUniform(seed=5)((5, 5)))
    free = initializers.GlorotUniform()
    assert not np.array_equal(free((5, 5)), free((5, 5)))
    utils.set_random_seed(9)
    a = free((5, 5))
    utils.set_random_seed(9)
    np.testing.assert_array_equal(free((5, 5)), a)


@pytest.mark.parametrize("cls", list(initializers._CLASSES.values()))
def test_configuration(cls):
    initializer = cls()
    again = initializers.get({"class_name": cls.__name__, "config": initializer.get_config()})
    assert type(again) is cls
    assert again.get_config() == initializer.get_config()
    assert type(initializers.get(cls.__name__)) is cls
    assert type(initializers.get(cls)) is cls


def test_identity_and_given_values(rng):
    np.testing.assert_array_equal(initializers.Identity(2.0)((3, 4)), 2 * np.eye(3, 4))
    values = rng.standard_normal((2, 3))
    initializer = initializers.get(values)
    np.testing.assert_array_equal(initializer((2, 3)), values.astype(np.float32))
    initializer((2, 3))[...] = 0.0
    np.testing.assert_array_equal(initializer((2, 3)), values.astype(np.float32))
    with pytest.raises(ValueError, match=r"the values given have shape \(2, 3\), the weight has \(3, 2\)"):
        initializer((3, 2))


def test_functions_and_names_are_kerass():
    keras = keras_peer.keras()
    names = [n for n in vars(keras.initializers) if not n.startswith("_") and "stft" not in n.lower()]
    assert [n for n in names if not hasattr(initializers, n)] == []
    for name, cls in initializers._CLASSES.items():
        ours, theirs = cls().get_config(), getattr(keras.initializers, name)().get_config()
        assert ours == theirs or name == "Identity"  # Keras's own forgets its gain
        again = initializers.deserialize(initializers.serialize(cls()))
        assert type(again.clone()) is cls


@pytest.mark.parametrize("name", ["GlorotUniform", "HeNormal", "LecunNormal", "TruncatedNormal", "RandomUniform"])
def test_distributions_are_kerass(name):
    keras = keras_peer.keras()
    shape = (5, 5, 30, 40)
    ours = getattr(initializers, name)(seed=1)(shape)
    theirs = keras.ops.convert_to_numpy(getattr(keras.initializers, name)(seed=1)(shape))
    levels = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(np.quantile(ours, levels), np.quantile(theirs, levels), atol=0.03 * np.std(theirs) * 3)


def test_names_of_keras():
    for name in (
        "constant", "zeros", "ones", "random_normal", "random_uniform", "truncated_normal", "glorot_uniform",
        "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal", "variance_scaling",
    ):  # fmt: skip
        assert callable(initializers.get(name))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.get("glorot"), "initializer 'glorot' is not known; there are .*glorot_uniform"),
        (lambda: initializers.get(3), "initializer expects a name"),
        (lambda: initializers.VarianceScaling(0.0), "scale expects a positive number"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode expects fan_in, fan_out or fan_avg"),
        (lambda: initializers.VarianceScaling(distribution="beta"), "distribution expects"),
        (lambda: initializers.RandomNormal(stddev=-1), "RandomNormal: stddev expects a number from 0.0"),
        (lambda: initializers.Identity()((3,)), r"Identity: expected a shape of two axes, got \(3,\)"),
        (lambda: initializers.Orthogonal()((3,)), "Orthogonal: expected a shape of at least two axes"),
        (lambda: initializers.Zeros()((3,), dtype="float16"), "Zeros: dtype float16 is not supported"),
    ],
)
def test_wrong_arguments_raise(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
