"""All of cnnfast.ops as ONNX: an operation is run by others to the same numbers, or refused by its name."""

import inspect

import numpy as np
import pytest

from cnnfast import layers, ops
from cnnfast.interop import export_onnx, load_onnx
from cnnfast.models import Model
from cnnfast.structure import leaves
from cnnfast.symbolic import KerasTensor
from onnx_peer import assert_same, exported, run

pytest.importorskip("onnx")

RNG = np.random.default_rng(3)
SHAPE = (3, 4, 6)
OTHER = RNG.uniform(0.2, 2, (4, 6)).astype(np.float32)

# Ways to call an operation that every one of them is tried in; x is a model's input.
WAYS = {
    "x": lambda f, x: f(x),
    "x, x": lambda f, x: f(x, x),
    "x, constant": lambda f, x: f(x, OTHER),
    "constant, x": lambda f, x: f(OTHER, x),
    "constant, one x": lambda f, x: f(OTHER, x[:, 0]),
    "number, x": lambda f, x: f(1.5, x),
    "x, 2": lambda f, x: f(x, 2),
    "x, -1": lambda f, x: f(x, -1),
    "x, 1, 2": lambda f, x: f(x, 1, 2),
    "[x, x]": lambda f, x: f([x, x]),
    "[constant, x]": lambda f, x: f([OTHER[None], x]),
    "truth, x, constant": lambda f, x: f(OTHER > 1.0, x, OTHER),
    "constant, x, x": lambda f, x: f(OTHER, x, x),
    "constant, positions": lambda f, x: f(OTHER, ops.argmax(x, axis=-1)),
    "x, positions": lambda f, x: f(x, ops.argmax(x, axis=-1)[:, :1, None]),
    "positions": lambda f, x: f(ops.argmax(x, axis=-1)),
    "positions, 6": lambda f, x: f(ops.argmax(x, axis=-1), 6),
    "truth": lambda f, x: f(x > 1.0),
    "image": lambda f, x: f(ops.reshape(x, (-1, 4, 2, 3))),
    "image, 2": lambda f, x: f(ops.reshape(x, (-1, 4, 6, 1)), 2),
    "sequence, 2": lambda f, x: f(x, 2),
    "image, kernel": lambda f, x: f(ops.reshape(x, (-1, 4, 2, 3)), np.ones((2, 2, 3, 2), np.float32)),
    "kernel": lambda f, x: f(x, np.ones((2, 6, 2), np.float32)),
    "constant image, x": lambda f, x: f(OTHER.reshape(1, 4, 2, 3), x),
}
# Those that are made for something else: random, or in place, or no function of arrays.
LEFT_OUT = {"dropout", "adam_update", "sgd_update"}


def called(name, way):
    """A model of an operation called in one way, or None where it cannot be called so."""
    x = layers.Input(SHAPE[1:])
    try:
        found = WAYS[way](getattr(ops, name), x)
    except (TypeError, ValueError, IndexError, AttributeError, AssertionError):
        return None
    made = [leaf for leaf in leaves(found) if isinstance(leaf, KerasTensor)]
    return Model(x, made) if made else None


def names():
    return [n for n in ops.__all__ if n not in LEFT_OUT and inspect.isfunction(getattr(ops, n))]


@pytest.mark.parametrize("name", names())
def test_operation_is_written_or_refused_by_name(name, tmp_path):
    pytest.importorskip("onnxruntime")
    x = RNG.uniform(0.2, 2, SHAPE).astype(np.float32)
    for way in WAYS:
        model = called(name, way)
        if model is None:
            continue
        refused, functions = "", {node.layer.function for node in model._graph.nodes if hasattr(node.layer, "function")}
        try:
            export_onnx(model, tmp_path / "m.onnx")
        except ValueError as error:
            refused = str(error)
        if refused:
            assert any(function in refused for function in functions), way
            continue
        exported(model, tmp_path / "m.onnx")
        wanted = values(model, x)
        if wanted is None:
            continue
        for found, expected in zip(run(tmp_path / "m.onnx", [x]), wanted, strict=True):
            assert found.shape == expected.shape, way
            scale = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), 1e-3)
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * scale, err_msg=way)


def values(model, x):
    """What a model computes, or None if it cannot with these numbers."""
    try:
        found = model(x)
    except (ValueError, TypeError, IndexError):
        return None
    return [np.asarray(y) for y in (found if isinstance(found, list) else [found])]


# What must be written, from x (N, 4, 5, 6).
WRITTEN = {
    "take_along_axis": lambda x: ops.take_along_axis(x, ops.argmax(x, axis=2, keepdims=True), 2),
    "gather_nd": lambda x: ops.gather_nd(x, np.array([[[1, 2], [0, 3]]] * 2), 1),
    "scatter_update": lambda x: ops.scatter_update(np.ones((4, 6), "f"), [[0], [2]], ops.sum(x, (0, 2))[:2]),
    "scatter max": lambda x: ops.scatter_along_axis(x, np.zeros((2, 4, 1, 6), int), x[:, :, 1:2] + 1.0, 2, "add"),
    "scatter": lambda x: ops.scatter([[1], [1], [0], [2]], ops.sum(x, (0, 2)), (5, 6)),
    "top_k": lambda x: list(ops.top_k(x, 3)),
    "cumsum": lambda x: ops.cumsum(x, 1),
    "triangles": lambda x: ops.tril(x) + ops.triu(x, 2),
    "truth": lambda x: [ops.any(x > 1.0, axis=1), ops.all(x > 0.0, axis=(2, 3)), ops.isfinite(x)],
    "one_hot": lambda x: ops.one_hot(ops.argmax(x, axis=-1), 6, axis=1),
    "nonzero": lambda x: ops.nonzero(x > 1.0),
    "likes": lambda x: ops.ones_like(x) + ops.zeros_like(x),
    "grid_sample": lambda x: ops.image.grid_sample(x, ops.tanh(x[..., :2]), "bicubic", "reflection"),
    "constant images": lambda x: ops.image.grid_sample(np.ones((2, 3, 3, 2), "f"), ops.tanh(x[..., :2])),
    "roi_align": lambda x: ops.image.roi_align(x, ops.cumsum(ops.abs(x[:, 0, 0, :4]), 1), [0, 1], 2),
    "boxes": lambda x: ops.image.non_max_suppression(x[:, 0, :, :4], ops.transpose(x[:, 1, :, :2], (0, 2, 1)), 3, 0.3),
    "positions": lambda x: [ops.max_pool_positions(x), ops.max_pool_positions(x, 2, column_major=True)],
    "integers": lambda x: [ops.cast(x * 3.0, "int32"), ops.cast(ops.cast(x * 3.0, "int64"), "float32") / 2.0],
    "joined integers": lambda x: ops.concatenate([ops.argmax(x, axis=-1), ops.argmin(x, axis=-1)], axis=1),
    "a table of integers": lambda x: ops.take(np.array([7, 1 << 20, -3, 5, 2, 9], "int32"), ops.argmax(x, axis=-1)),
    "a table of truths": lambda x: ops.take(np.array([True, False] * 3), ops.argmax(x, axis=-1)),
}  # fmt: skip


@pytest.mark.parametrize("behind_convolution", [False, True])
@pytest.mark.parametrize("name", WRITTEN)
def test_operation_is_written_and_read(name, behind_convolution, tmp_path):
    pytest.importorskip("onnxruntime")
    x = layers.Input(batch_shape=(2, 4, 5, 6))
    inner = layers.Conv2D(6, 1)(x) if behind_convolution else x
    made = WRITTEN[name](inner)
    model = Model(x, made if isinstance(made, list) else [made])
    given = np.random.default_rng(1).standard_normal((2, 4, 5, 6)).astype(np.float32)
    exported(model, tmp_path / "m.onnx", opset=17)
    wanted = [np.asarray(y) for y in model(given)]
    for found, expected in zip(run(tmp_path / "m.onnx", [given]), wanted, strict=True):
        if expected.dtype.kind == "f":
            assert_same(found, expected, 2e-5)
        else:
            np.testing.assert_array_equal(found, expected)
    again = load_onnx(tmp_path / "m.onnx")(given)
    for found, expected in zip(again if isinstance(again, list) else [again], wanted, strict=True):
        assert_same(np.asarray(found, np.float64), expected.astype(np.float64), 2e-5)


def test_tables_keep_their_type(tmp_path):
    onnx = pytest.importorskip("onnx")
    x = layers.Input((4, 6))
    table = np.array([1, 1 << 30, 3, 4, 5, 6], "int32")
    model = Model(x, ops.take(table, ops.argmax(x, axis=-1), axis=0))
    proto = exported(model, tmp_path / "m.onnx")
    assert onnx.TensorProto.INT32 in [t.data_type for t in proto.graph.initializer]
    assert proto.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.INT32
    again = load_onnx(tmp_path / "m.onnx")
    given = np.eye(4, 6, dtype=np.float32)[None] * -1
    assert np.asarray(again(given)).dtype == np.int32
    np.testing.assert_array_equal(again(given), model(given))


def test_other_errors_name_the_layer_too(tmp_path):
    x = layers.Input((4, 6))
    model = Model(x, ops.segment_sum(x[0], np.zeros(4, int)))
    with pytest.raises(ValueError, match="segment_sum"):
        export_onnx(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
