"""What symbolic operations describe: shapes and types of elements, as a call with arrays then gives them."""

import numpy as np
import pytest

import keras_peer
from cnnfast import Model, Sequential, layers, ops
from cnnfast.models import clone_model, load_model
from cnnfast.symbolic import KerasTensor, tried

# What is done with x of (N, 4, 6), and the shape and type of each result.
CASES = {
    "argmax": (lambda x: ops.argmax(x, axis=-1), [((None, 4), "int32")]),
    "argsort": (lambda x: ops.argsort(x), [((None, 4, 6), "int32")]),
    "top_k": (lambda x: list(ops.top_k(x, 2)), [((None, 4, 2), "float32"), ((None, 4, 2), "int32")]),
    "cast": (lambda x: ops.cast(x, "uint8"), [((None, 4, 6), "uint8")]),
    "cast and back": (lambda x: ops.cast(ops.cast(x, "int32"), "float32"), [((None, 4, 6), "float32")]),
    "comparison": (lambda x: x > 0.5, [((None, 4, 6), "bool")]),
    "logic": (lambda x: ops.logical_and(x > 0.0, x < 1.0), [((None, 4, 6), "bool")]),
    "all": (lambda x: ops.all(x > 0.0, axis=(1, 2)), [((None,), "bool")]),
    "count": (lambda x: ops.count_nonzero(x, axis=1), [((None, 6), "int32")]),
    "sum of a mask": (lambda x: ops.sum(ops.cast(x > 0.0, "float32"), axis=1), [((None, 6), "float32")]),
    "reshaped positions": (lambda x: ops.reshape(ops.argmax(x, axis=-1), (-1, 2, 2)), [((None, 2, 2), "int32")]),
    "indexed positions": (lambda x: ops.argmax(x, axis=-1)[:, 0], [((None,), "int32")]),
    "turned positions": (lambda x: ops.transpose(ops.argsort(x), (0, 2, 1)), [((None, 6, 4), "int32")]),
    "joined positions": (
        lambda x: ops.concatenate([ops.argmax(x, axis=-1), ops.argmin(x, axis=-1)], axis=1),
        [((None, 8), "int32")],
    ),
    "stacked positions": (
        lambda x: ops.stack([ops.argmax(x, axis=-1), ops.argmin(x, axis=-1)], axis=1),
        [((None, 2, 4), "int32")],
    ),
    "chosen positions": (
        lambda x: ops.where(ops.max(x, axis=-1) > 0.0, ops.argmax(x, axis=-1), 0),
        [((None, 4), "int32")],
    ),
    "widened positions": (lambda x: ops.expand_dims(ops.argmax(x, axis=-1), 1), [((None, 1, 4), "int32")]),
    "split positions": (lambda x: ops.split(ops.argsort(x), 2, axis=1), [((None, 2, 6), "int32")] * 2),
    "flipped mask": (lambda x: ops.flip(x > 0.0, axis=1), [((None, 4, 6), "bool")]),
    "nonzero": (lambda x: ops.nonzero(x), [((3, None), "int32")]),
    "one_hot": (lambda x: ops.one_hot(ops.argmax(x, axis=-1), 6), [((None, 4, 6), "float32")]),
    "take": (
        lambda x: ops.take(np.arange(12.0, dtype="float32").reshape(6, 2), ops.argmax(x, axis=-1), axis=0),
        [((None, 4, 2), "float32")],
    ),
    "take_along_axis": (lambda x: ops.take_along_axis(x, ops.argsort(x), axis=-1), [((None, 4, 6), "float32")]),
    "where": (lambda x: ops.where(x > 0.0, x, 0.0), [((None, 4, 6), "float32")]),
    "reshape": (lambda x: ops.reshape(x, (-1, 4, 3, 2)), [((None, 4, 3, 2), "float32")]),
    "reshape that mixes examples": (lambda x: ops.reshape(x, (-1, 5)), [((None, 5), "float32")]),
    "fives": (lambda x: ops.split(ops.reshape(x, (-1, 5)), 5, axis=1), [((None, 1), "float32")] * 5),
}


def described(tensors):
    return [(t.shape, t.dtype) for t in (tensors if isinstance(tensors, list) else [tensors])]


@pytest.mark.parametrize("name", CASES)
def test_types_and_shapes_are_those_of_the_results(name, rng):
    function, expected = CASES[name]
    x = layers.Input((4, 6))
    outputs = function(x)
    assert described(outputs) == expected
    values = rng.standard_normal((5, 4, 6)).astype(np.float32)
    found = Model(x, outputs)(values)
    direct = function(values)
    several = isinstance(outputs, list)
    for one, other, (shape, dtype) in zip(
        found if several else [found], direct if several else [direct], expected, strict=True
    ):
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == dtype
        assert [n for n, m in zip(np.shape(one), shape, strict=True) if m is not None and n != m] == []


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("nonzero", "cast", "fives")])
def test_keras_describes_the_same(name):
    keras = keras_peer.keras()
    function, expected = CASES[name]
    import unittest.mock

    with unittest.mock.patch.object(__import__(__name__), "ops", keras.ops):
        outputs = function(keras.layers.Input((4, 6)))
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert [(tuple(t.shape), str(t.dtype).replace("int64", "int32")) for t in outputs] == expected


@pytest.mark.parametrize(
    ("shape", "wanted", "expected"),
    [
        ((None, None, 6), (-1, 9), (None, 9)),
        ((None, 7, 5), (-1, 35), (None, 35)),
        ((None, 11), (1, -1), (1, None)),
        ((2, 12), (-1, 8), (3, 8)),
        ((2, 12), 24, (24,)),
        ((None, 4), (2, 6), (2, 6)),
        ((None, 0), (0, 3), (0, 3)),
    ],
)
def test_reshape_has_a_rule_of_its_own(shape, wanted, expected):
    assert (
        ops.reshape(layers.Input(batch_shape=shape) if 0 not in shape else KerasTensor(shape), wanted).shape == expected
    )


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((2, 12), (-1, 7)), ((2, 12), (5, 5)), ((None, 4), (3, 3)), ((None, 4), (-1, -1)), ((2, 3), (-2, 3))],
)
def test_reshape_that_cannot_fit(shape, wanted):
    with pytest.raises(ValueError, match="reshape"):
        ops.reshape(layers.Input(batch_shape=shape), wanted)


def test_open_axes_that_are_divided():
    x = layers.Input((None, None, 12))
    assert ops.space_to_depth(x, 3).shape == (None, None, None, 108)
    assert ops.space_to_depth(x, 5).shape == (None, None, None, 300)
    assert [part.shape for part in ops.split(x, 7, axis=1)] == [(None, None, None, 12)] * 7


def test_what_depends_on_open_sizes_is_refused():
    x = layers.Input((None, 3))
    with pytest.raises(ValueError, match="how many tensors"):
        ops.unstack(x, axis=1)
    with pytest.raises(ValueError, match="how many axes"):
        tried(lambda x: x[0] if x.sum() else x, (KerasTensor((2, 3)),), {})


def table(rng):
    return rng.standard_normal((10, 3)).astype(np.float32)


class Lookup(layers.Layer):
    """Rows of a table that is trained, by whole numbers."""

    def __init__(self, rows, size, **kwargs):
        super().__init__(**kwargs)
        self.rows, self.size = rows, size

    def build(self, input_shape):
        self.table = self.add_weight((self.rows, self.size), "glorot_uniform", name="table")

    def call(self, x):
        return ops.take(self.table, ops.cast(x, "int32"), axis=0)


def test_a_model_that_looks_rows_up_learns(rng):
    words = layers.Input((5,), dtype="int32", name="words")
    rows = Lookup(10, 3)(words)
    mask = ops.expand_dims(ops.cast(words > 0, "float32"), -1)
    mean = ops.sum(rows * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)
    model = Model(words, layers.Dense(1)(mean))
    model.compile("adam", "mse")
    x = rng.integers(0, 10, (64, 5))
    y = (x == 3).sum(1, keepdims=True).astype(np.float32)
    first = model.train_on_batch(x, y)
    for _ in range(60):
        last = model.train_on_batch(x, y)
    assert last < first
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), rtol=1e-5, atol=1e-6)
    rows = model.layers[1].table.numpy()[x] * (x > 0)[..., None]
    mean = rows.sum(1) / np.maximum((x > 0).sum(1, keepdims=True), 1)
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_allclose(model(x), mean @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_inputs_keep_their_type(dtype, rng, tmp_path):
    x = layers.Input((4,), dtype=dtype)
    assert x.dtype == dtype
    y = x[:, 1:]
    assert y.dtype == dtype
    model = Model(x, [y, ops.cast(y, "float32") * 2.0])
    values = rng.integers(0, 2, (6, 4))
    for net in (model, clone_model(model), Model.from_config(model.get_config())):
        for call in (net, net.predict_on_batch, lambda v, net=net: net.predict(v, verbose=0), net.infer):
            whole, doubled = call(values.astype(np.float64))
            assert np.asarray(whole).dtype == dtype
            np.testing.assert_array_equal(whole, values[:, 1:].astype(dtype))
            np.testing.assert_array_equal(doubled, values[:, 1:] * 2)
    path = tmp_path / "m.safetensors"
    model.save(path)
    assert load_model(path).input.dtype == dtype


def test_large_whole_numbers_reach_the_model():
    x = layers.Input((1,), dtype="int64")
    model = Model(x, ops.mod(x, 10))
    values = np.array([[2**24 + 1], [2**40 + 3]])
    np.testing.assert_array_equal(model.predict(values, verbose=0), values % 10)
    np.testing.assert_array_equal(model(values), values % 10)


def test_models_with_whole_inputs_go_into_others(rng):
    x = layers.Input((4,), dtype="int32")
    inner = Model(x, ops.one_hot(x, 5))
    y = layers.Input((4,), dtype="int32")
    z = inner(y)
    assert (z.shape, z.dtype) == ((None, 4, 5), "float32")
    values = rng.integers(0, 5, (3, 4))
    np.testing.assert_array_equal(Model(y, z)(values), np.eye(5)[values])
    stack = Sequential([layers.Input((4,), dtype="int32"), Lookup(5, 2), layers.Flatten(), layers.Dense(1)])
    assert stack(values).shape == (3, 1)
