"""Dropout and its generator: known answers, reproducibility, statistics, the gradient; and the global seed."""

import threading

import numpy as np
import pytest

import reference
from cnnfast import _core, ops, random, seeds
from cnnfast.autograd import GradientTape, Tensor

SIZES = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 128, 500]


@pytest.fixture(autouse=True)
def _unseeded_afterwards(monkeypatch):
    monkeypatch.setattr(seeds, "_generator", None)


def test_reference_gives_the_papers_known_answers():
    ones = [0xFFFFFFFF] * 4
    assert reference.philox([0, 0], [0] * 4) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert reference.philox(ones[:2], ones) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    assert reference.philox([0xA4093822, 0x299F31D0], pi) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 0x0123456789ABCDEF, 2**64 - 1])
@pytest.mark.parametrize("offset", [0, 64, 64 * 1000, 2**34 - 64, 2**40])
def test_generator_is_philox(seed, offset, isa):
    for count in (1, 16, 63, 130):
        expected = np.floor(reference.random_words(seed, offset, count) / 2**8) / 2**24
        np.testing.assert_array_equal(_core.philox_uniform(seed, offset, count), expected)


def test_generator_refuses_offsets_within_a_chunk():
    for offset in (1, 63, -64):
        with pytest.raises(ValueError, match="offset expects a multiple of 64 that is not negative, got"):
            _core.philox_uniform(0, offset, 10)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_drops_what_the_words_say(size, rate, isa, rng):
    x = rng.normal(size=size).astype(np.float32)
    kept = reference.random_words(77, 0, size) >= np.floor(rate * 2**32)
    expected = np.where(kept, x * np.float32(1 / (1 - rate)), 0)
    np.testing.assert_array_equal(ops.dropout(x, rate, seed=77), expected)


@pytest.mark.parametrize("size", [100_003, 300_000])
def test_all_machines_and_threads_drop_the_same(size, threads, rng):
    x = rng.normal(size=size).astype(np.float32)
    before = _core.isa()
    try:
        results = []
        for name in _core.available_isas():
            _core.select_isa(name)
            results.append(ops.dropout(x, 0.3, seed=5))
    finally:
        _core.select_isa(before)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    _core.set_num_threads(1)
    np.testing.assert_array_equal(ops.dropout(x, 0.3, seed=5), results[0])


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.5, 0.99])
def test_statistics(rate, isa):
    count = 1_000_000
    y = ops.dropout(np.ones(count), rate, seed=3)
    dropped = np.mean(y == 0)
    assert abs(dropped - rate) < 5 * np.sqrt(rate * (1 - rate) / count)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)
    # Neighbours, and the words of one block 16 apart, drop independently of each other.
    for distance in (1, 16, 64):
        both = np.mean((y[:-distance] == 0) & (y[distance:] == 0))
        assert abs(both - rate**2) < 6 * np.sqrt(rate**2 / count)


def test_uniform_numbers_fill_the_interval(isa):
    u = _core.philox_uniform(9, 0, 1_000_000)
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, 100, (0, 1))[0]
    assert np.sum((counts - 1e4) ** 2 / 1e4) < 99 + 6 * np.sqrt(2 * 99)  # chi squared


def test_other_seeds_drop_other_elements():
    masks = {ops.dropout(np.ones(64), 0.5, seed=seed).tobytes() for seed in [*range(50), 2**32, 2**63]}
    assert len(masks) == 52


def test_gradient_passes_where_the_value_did(isa, rng):
    x = Tensor(rng.normal(size=(3, 5, 7)))
    dy = rng.normal(size=(7, 5, 3)).astype(np.float32).T
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.dropout(x, 0.4, seed=11)
    kept = y.numpy() != 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(tape.gradient(y, x, dy), np.where(kept, dy * np.float32(1 / 0.6), 0))


def test_dropped_elements_are_zero_whatever_they_were(isa):
    y = ops.dropout(np.full(1000, np.nan), 0.5, seed=1)
    assert 0 < np.isnan(y).sum() < 1000
    assert np.all(np.isnan(y) | (y == 0))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, np.nan, np.inf])
def test_refuses_rates_outside_the_range(rate):
    with pytest.raises(ValueError, match=r"dropout: rate expects a number in \[0, 1\), got"):
        ops.dropout([1.0], rate, seed=0)


def test_refuses_seeds_that_are_none():
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match="seed expects an integer in"):
            ops.dropout([1.0], 0.5, seed=seed)
    with pytest.raises(TypeError):
        ops.dropout([1.0], 0.5, seed=0.5)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 3, 4, 5)])
def test_keeps_shapes(shape):
    assert ops.dropout(np.ones(shape), 0.5, seed=0).shape == shape


# ---- the global seed


def test_global_seed_makes_dropout_reproducible():
    random.set_random_seed(42)
    first = [ops.dropout(np.ones(256), 0.5) for _ in range(3)]
    random.set_random_seed(42)
    second = [ops.dropout(np.ones(256), 0.5) for _ in range(3)]
    np.testing.assert_array_equal(first, second)
    assert len({mask.tobytes() for mask in first}) == 3


def test_without_a_seed_runs_differ(monkeypatch):
    first = random.next_seed()
    monkeypatch.setattr(seeds, "_generator", None)
    assert random.next_seed() != first


def test_next_seed_covers_64_bits():
    random.set_random_seed(0)
    seeds = [random.next_seed() for _ in range(64)]
    assert all(type(seed) is int and 0 <= seed < 2**64 for seed in seeds)
    assert max(seeds) >= 2**63
    assert len(set(seeds)) == 64


def test_generator_is_the_seeded_one():
    random.set_random_seed(7)
    np.testing.assert_array_equal(random.generator().normal(size=5), np.random.default_rng(7).normal(size=5))
    assert random.generator() is random.generator()


def test_leaves_numpys_global_state_alone():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    random.set_random_seed(1)
    random.next_seed()
    assert np.random.random() == expected  # noqa: NPY002


def test_seeds_drawn_by_many_threads_are_all_different():
    random.set_random_seed(1)
    seeds = []

    def draw():
        seeds.extend(random.next_seed() for _ in range(500))

    workers = [threading.Thread(target=draw) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(seeds)) == 4000
    random.set_random_seed(1)
    assert set(seeds) == {random.next_seed() for _ in range(4000)}


def test_set_random_seed_refuses_what_is_no_seed():
    with pytest.raises(ValueError, match="seed expects an integer >= 0, got -1"):
        random.set_random_seed(-1)
    for seed in (1.5, "1", None, True):
        with pytest.raises(TypeError, match="seed expects an integer, got"):
            random.set_random_seed(seed)
