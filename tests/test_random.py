"""cnnfast.random: distributions by their moments, seeds by repetition."""

import numpy as np
import pytest

import cnnfast
from cnnfast import GradientTape, Tensor, ops, random

# Name -> (a draw for a seed, its expectation, its standard deviation).
DRAWS = {
    "normal": (lambda s: random.normal((200, 200), 2.0, 3.0, seed=s), 2.0, 3.0),
    "truncated_normal": (lambda s: random.truncated_normal((200, 200), 2.0, 3.0, seed=s), 2.0, 3 * 0.8796),
    "uniform": (lambda s: random.uniform((200, 200), -1.0, 3.0, seed=s), 1.0, 4 / 12**0.5),
    "randint": (lambda s: random.randint((200, 200), 2, 7, seed=s), 4.0, 2**0.5),
    "bernoulli": (lambda s: random.bernoulli((200, 200), 0.3, seed=s), 0.3, 0.21**0.5),
    "binomial": (lambda s: random.binomial((200, 200), 10, 0.3, seed=s), 3.0, 2.1**0.5),
    "gamma": (lambda s: random.gamma((200, 200), 4.0, seed=s), 4.0, 2.0),
    "beta": (lambda s: random.beta((200, 200), 2.0, 2.0, seed=s), 0.5, 0.05**0.5),
    "categorical": (lambda s: random.categorical(np.log([[0.5, 0.25, 0.25]]), 40000, seed=s), 0.75, 0.6875**0.5),
    "dropout": (lambda s: random.dropout(np.ones((200, 200)), 0.2, seed=s), 1.0, 0.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_moments_and_seeds(name):
    draw, mean, deviation = DRAWS[name]
    x = draw(3)
    assert x.dtype == (np.int32 if name in ("randint", "categorical") else np.float32)
    assert abs(x.mean(dtype=np.float64) - mean) < 5 * deviation / x.size**0.5
    assert abs(x.std(dtype=np.float64) - deviation) < 0.03 * deviation
    np.testing.assert_array_equal(draw(3), x)
    assert not np.array_equal(draw(4), x)
    first, second = random.SeedGenerator(5), random.SeedGenerator(5)
    drawn = draw(first)
    np.testing.assert_array_equal(draw(second), drawn)
    assert not np.array_equal(draw(first), drawn)
    random.set_random_seed(9)
    drawn = draw(None)
    random.set_random_seed(9)
    np.testing.assert_array_equal(draw(None), drawn)
    assert not np.array_equal(draw(None), drawn)


def test_bounds():
    assert np.abs(random.truncated_normal((100000,), seed=1)).max() <= 2
    x = random.uniform((100000,), 1.0, 1.0 + 1e-6, seed=1)
    assert x.min() >= 1
    assert x.max() < np.float32(1.0 + 1e-6)
    assert set(random.randint((1000,), -1, 2, "int8", seed=1).tolist()) == {-1, 0, 1}
    assert random.randint((3,), 0, 2, "int64").dtype == np.int64
    assert random.bernoulli((4,), 1.0, "bool").tolist() == [True] * 4
    assert random.normal((0, 3)).shape == (0, 3)


def test_categorical_follows_each_row():
    x = random.categorical([[0.0, -np.inf, -np.inf], [-np.inf, -np.inf, 5.0]], 50, seed=1)
    assert x.shape == (2, 50)
    np.testing.assert_array_equal(x, [[0] * 50, [2] * 50])


def test_shuffle_permutes_whole_slices():
    x = np.arange(20).reshape(10, 2)
    y = random.shuffle(x, seed=1)
    assert y.dtype == x.dtype
    assert sorted(y.tolist()) == x.tolist()
    assert y.tolist() != x.tolist()
    z = random.shuffle(x.astype(np.float32), axis=1, seed=1)
    assert sorted(z[0].tolist()) == [0, 1]
    v = Tensor(np.arange(5.0))
    with GradientTape() as tape:
        tape.watch(v)
        total = ops.sum(random.shuffle(v, seed=2) * np.arange(5.0))
    order = np.asarray(random.shuffle(np.arange(5), seed=2))
    np.testing.assert_array_equal(np.asarray(tape.gradient(total, v))[order], np.arange(5.0))


def test_dropout_together():
    y = random.dropout(np.ones((50, 8)), 0.5, noise_shape=(None, 1), seed=1)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert set(np.unique(y)) == {0, 2}


def test_seed_generators():
    seeds = random.SeedGenerator(3)
    assert seeds.get_config() == {"seed": 3}
    assert random.SeedGenerator.from_config({"seed": 3}).next() == seeds.next()
    assert random.SeedGenerator().next() != random.SeedGenerator().next()
    assert cnnfast.random.SeedGenerator is random.SeedGenerator


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: random.normal((2, -1)), ValueError, "normal: shape expects sizes from 0 on"),
        (lambda: random.normal(2, dtype="int32"), ValueError, "normal: dtype expects float32"),
        (lambda: random.normal(2, seed=-1), ValueError, "seed expects an integer >= 0"),
        (lambda: random.normal(2, seed=1.5), TypeError, "seed expects an integer"),
        (lambda: random.randint(2, 3, 3), ValueError, "low >= high"),
        (lambda: random.categorical([0.0, 1.0], 2), ValueError, "categorical: expects logits"),
        (lambda: random.dropout([1.0], 1.0, (1,)), ValueError, "dropout: rate"),
        (lambda: random.dropout([[1.0, 2.0]], 0.5, (1, 3)), ValueError, "noise_shape"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()
