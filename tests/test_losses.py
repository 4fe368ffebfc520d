"""Losses against float64 NumPy written from the definitions."""

import json

import numpy as np
import pytest

from cnnfast import gradcheck, losses, ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.naming import snake_case
from loss_cases import CASES, IDS, SHAPES, counted, probabilities, reduce, sparse

EPSILON = 1e-7


@pytest.fixture
def scores(rng):
    return rng.standard_normal((12, 5))


@pytest.fixture
def one_hot(rng):
    return np.eye(5)[rng.integers(0, 5, 12)]


@pytest.mark.filterwarnings("ignore:.*one class only:SyntaxWarning")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_values_and_gradients(rng, name, given, data, definition, shape):
    y, p = data(rng, shape)
    loss, expected = getattr(losses, name)(**given), np.asarray(definition(y, p, **given))
    np.testing.assert_allclose(loss.call(y, p), expected, rtol=1e-4, atol=2e-5)
    assert loss.call(y, Tensor(p)).shape == expected.shape
    if p.size <= 35 and name not in ("Circle", "MeanAbsolutePercentageError"):  # too steep for differences in float32
        assert gradcheck(lambda p: loss(y, p), Tensor(p))


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None])
@pytest.mark.parametrize("weights", ["none", "examples", "column", "all", "number", "zeros"])
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES[::4] + CASES[-12:], ids=IDS[::4] + IDS[-12:])
def test_reductions_and_sample_weights(rng, name, given, data, definition, reduction, weights):
    y, p = data(rng, (5, 6, 3))
    values = np.asarray(definition(y, p, **given))
    shapes = {"examples": values.shape[:1], "column": (*values.shape[:1], 1), "number": ()}
    weight = None if weights == "none" else rng.random(shapes.get(weights, values.shape)) * (weights != "zeros")
    aligned = weight
    if weights == "column" and values.ndim < 2:
        values, aligned = (values[:, None], weight) if values.ndim else (values, weight[0])
    elif weights == "examples":
        aligned = weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
    expected = reduce(values, reduction, aligned, counted(name, given, y, values))
    found = getattr(losses, name)(reduction=reduction, **given)(y, p, weight)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_functions_are_what_the_classes_compute(rng, name, given, data, definition):
    y, p = data(rng, (4, 3, 2))
    function = losses.get(
        snake_case(name)
        .replace("cross_entropy", "crossentropy")
        .replace("generalized_crossentropy", "generalized_cross_entropy")
    )
    np.testing.assert_array_equal(function(y, p, **given), getattr(losses, name)(**given).call(y, p))


@pytest.mark.parametrize(
    "name", ["mean_squared_error", "huber", "log_cosh", "kl_divergence", "dice", "categorical_crossentropy"]
)
def test_gradients_reach_labels_that_are_followed(rng, name):
    y, p = probabilities(rng, (3, 4))
    function = getattr(losses, name)
    assert gradcheck(lambda y: ops.sum(function(y, p)), Tensor(y))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32, np.float32])
@pytest.mark.parametrize("column", [False, True])
def test_class_numbers_of_all_kinds(rng, dtype, column):
    labels, p = rng.integers(0, 5, (4, 3)), rng.random((4, 3, 5))
    given = labels.astype(dtype)[..., None] if column else labels.astype(dtype)
    for axis in (-1, 0):
        moved = np.moveaxis(given, -1, 0) if column and axis == 0 else given
        found = losses.sparse_categorical_crossentropy(moved, np.moveaxis(p, -1, axis), axis=axis)
        np.testing.assert_allclose(found, sparse(labels, p), rtol=1e-5)


@pytest.mark.parametrize(
    ("labels", "scores", "result"),
    [
        ((4,), (4, 1), (4,)),
        ((4, 1), (4,), (4,)),
        ((4, 3, 1), (4, 3), (4,)),
        ((4, 3), (4, 3, 1), (4,)),
        ((1, 3), (4, 3), (4,)),
        ((3,), (4, 3), (4,)),
        ((4, 1), (4, 3), (4,)),
    ],
)
def test_shapes_broadcast_and_lose_a_last_axis(rng, labels, scores, result):
    y, p = rng.random(labels), rng.random(scores)
    found = losses.mean_squared_error(y, p)
    assert found.shape == result
    wide = [x[..., 0] if x.ndim == 3 else x[:, None] if x.shape == (4,) else x for x in (y, p)]
    np.testing.assert_allclose(found, ((wide[0] - wide[1]) ** 2).mean(-1), rtol=1e-5)


def test_probabilities_of_zero_and_one_stay_finite():
    y = np.array([[1.0, 0.0], [0.0, 1.0]])
    p = np.array([[0.0, 1.0], [0.0, 1.0]])
    wrong = -np.log(EPSILON)
    np.testing.assert_allclose(losses.categorical_crossentropy(y, p), [wrong, EPSILON], rtol=1e-4, atol=2e-7)
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy([0, 1], p), [wrong, 0], rtol=1e-4, atol=3e-7)
    found = np.asarray(losses.binary_crossentropy(y, p))
    np.testing.assert_allclose(found[0], wrong, rtol=0.02)  # 1 - 1e-7 is coarse in float32
    assert found[1] < 1e-6


def test_softmax_outputs_are_computed_with_as_stably_as_logits():
    logits = Tensor([[0.0, 200.0], [200.0, 0.0]])  # the softmax is 0 and 1 in float32
    for loss, y in (
        (losses.CategoricalCrossentropy(), np.array([[1.0, 0.0], [1.0, 0.0]])),
        (losses.SparseCategoricalCrossentropy(), np.array([0, 0])),
    ):
        with GradientTape() as tape:
            tape.watch(logits)
            value = loss(y, ops.softmax(logits))
        assert float(value) == pytest.approx(100.0)
        np.testing.assert_allclose(tape.gradient(value, logits), [[-0.5, 0.5], [0, 0]], atol=1e-6)


def test_one_weight_per_example_weighs_it_where_the_values_are_square(rng):
    y, p, weights = rng.random((3, 3, 2)), rng.random((3, 3, 2)), np.array([1.0, 0.0, 2.0])
    found = losses.MeanSquaredError(reduction="none")(y, p, weights)
    np.testing.assert_allclose(found, ((y - p) ** 2).mean(-1) * weights[:, None], rtol=1e-5)


def test_weights_that_are_followed_get_gradients(rng):
    y, p = rng.random((3, 2)), rng.random((3, 2))
    assert gradcheck(lambda w: losses.MeanSquaredError()(y, p, w), Tensor(rng.random(3)))


def test_what_is_ignored_spreads_no_nan():
    p = Tensor([[0.2, 0.8], [np.nan, 0.5], [0.0, 0.0]])
    for from_logits in (False, True):
        loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits, ignore_class=9)
        with GradientTape() as tape:
            tape.watch(p)
            value = loss([1, 9, 9], p)
        alone = losses.SparseCategoricalCrossentropy(from_logits=from_logits)([1], p.numpy()[:1])
        assert float(value) == pytest.approx(float(alone))
        gradient = tape.gradient(value, p).numpy()
        assert gradient[0].any()
        assert not gradient[1:].any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_an_empty_batch_has_no_loss(rng, name, given, data, definition):
    if "axis" in given or name in ("Dice", "Tversky"):
        pytest.skip("the sums of no examples at all are not empty")
    y, p = data(rng, (5, 4, 3))
    assert getattr(losses, name)(reduction="none", **given)(y[:0], p[:0]).shape[0] == 0
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
        assert float(getattr(losses, name)(reduction=reduction, **given)(y[:0], p[:0], np.zeros(0))) == 0.0


def test_a_mean_of_no_elements_is_none():
    with np.errstate(all="raise"):
        assert np.isnan(losses.mean_squared_error(np.zeros((2, 0)), np.zeros((2, 0)))).all()


@pytest.mark.parametrize("length", [1, 2, 3, 8, 9, 1000, 1024, 1025, 3000])
def test_rows_of_all_lengths(rng, length):
    y, p = rng.standard_normal((3, length)), rng.standard_normal((3, length))
    np.testing.assert_allclose(losses.mean_squared_error(y, p), ((y - p) ** 2).mean(-1), rtol=2e-6)
    np.testing.assert_allclose(losses.binary_crossentropy(y > 0, p > 0, axis=0).shape, (length,))


def test_one_class_is_warned_of():
    for function in (losses.categorical_crossentropy, losses.categorical_focal_crossentropy):
        with pytest.warns(SyntaxWarning, match="one class only"):
            function(np.ones((2, 1)), np.ones((2, 1)))


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "log_cosh", "binary_crossentropy"])
def test_what_is_not_finite_stays_so(name):
    function = losses.get(name)
    found = function([[0.0], [0.0], [1.0]], [[np.nan], [0.5], [np.nan]])
    assert np.isnan(found[[0, 2]]).all()
    assert np.isfinite(found[1])
    if name in ("mse", "mae", "huber", "log_cosh"):
        assert np.isinf(function([[0.0]], [[np.inf]])).all()


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: losses.mean_squared_error(np.zeros(8), np.zeros((8, 10))), r"shape of y_pred, \(8, 10\), got \(8,\)"),
        (
            lambda: losses.categorical_crossentropy(np.zeros(8, int), np.zeros((8, 10))),
            "for integer labels use sparse_categorical_crossentropy",
        ),
        (
            lambda: losses.sparse_categorical_crossentropy(np.zeros((8, 10)), np.ones((8, 10))),
            r"class numbers of shape \(8,\), got shape \(8, 10\); for one-hot rows use categorical_crossentropy",
        ),
        (
            lambda: losses.sparse_categorical_crossentropy([0, 10], np.ones((2, 10))),
            "class numbers from 0 to 9, got values from 0 to 10",
        ),
        (lambda: losses.sparse_categorical_crossentropy([-1, 0], np.ones((2, 10))), "from -1 to 0"),
        (lambda: losses.sparse_categorical_crossentropy([0.5, 0], np.ones((2, 10))), "not whole"),
        (lambda: losses.sparse_categorical_crossentropy([np.nan, 0], np.ones((2, 10))), "not whole"),
        (lambda: losses.sparse_categorical_crossentropy(["a", "b"], np.ones((2, 10))), "got dtype <U1"),
        (lambda: losses.MeanSquaredError(reduction="median"), "reduction expects"),
        (lambda: losses.CategoricalCrossentropy(label_smoothing=2), "label_smoothing expects a number from 0.0 to 1.0"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0.5), "ignore_class expects an integer"),
        (lambda: losses.MeanSquaredError(dtype="float16"), "dtype='float16' cannot be honoured"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), "q expects a number between 0 and 1"),
        (lambda: losses.binary_crossentropy(np.zeros((3, 1)), np.zeros((3, 2))), r"shape of y_pred, \(3, 2\)"),
        (lambda: losses.categorical_crossentropy(np.ones((2, 3)), np.ones((2, 3)), axis=2), "axis=2 is out of range"),
        (lambda: losses.circle([0, 1, 2], np.ones((2, 4))), r"y_true expects class numbers of shape \(2,\)"),
        (lambda: losses.ctc([[3]], np.ones((1, 4, 3))), "class numbers from 0 to 2, got values from 3 to 3"),
        (lambda: losses.ctc([3], np.ones((1, 4, 3))), r"got \(1,\) and \(1, 4, 3\)"),
        (
            lambda: losses.MeanSquaredError()(np.zeros((4, 3)), np.zeros((4, 3)), np.ones(3)),
            r"sample_weight expects shape \(4,\), got \(3,\)",
        ),
        (lambda: losses.get("crossentropy"), "loss 'crossentropy' is not known; there are"),
        (lambda: losses.get(3), "loss expects a name"),
    ],
)
def test_wrong_arguments_raise(compute, message):
    with pytest.raises((ValueError, TypeError), match=message):
        compute()


def test_names_functions_and_configurations():
    for name, found in losses.registry._BY_NAME.items():
        if isinstance(found, type):
            if found is losses.LossFunctionWrapper:
                continue
            loss = losses.get(name)
            assert type(loss) is found
        else:
            assert losses.get(name) is found
            assert losses.get(losses.serialize(found)) is found
            loss = losses.as_loss(name)
            assert loss.name == name
        again = losses.get(json.loads(json.dumps(losses.serialize(loss))))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
    assert losses.get(None) is None
    assert losses.get(losses.Huber).delta == 1.0
    own = losses.as_loss(lambda y, p: ops.sum(ops.abs(p - y), axis=-1))
    assert float(own(np.zeros((2, 3)), np.ones((2, 3)))) == 3.0
    with pytest.raises(TypeError, match="not known by a name"):
        losses.serialize(own)


def test_what_keras_writes_is_read():
    fn = {"module": "builtins", "class_name": "function", "config": "huber", "registered_name": "function"}
    assert losses.deserialize(fn) is losses.huber
    wrapped = {"class_name": "LossFunctionWrapper", "config": {"fn": fn, "delta": 2.0, "name": "h"}}
    assert float(losses.get(wrapped)([[0.0]], [[4.0]])) == 6.0
    keras = {"module": "keras.losses", "class_name": "Dice", "config": {"axis": [1]}, "registered_name": None}
    assert losses.get(keras).axis == [1]


def test_own_classes_and_functions_by_name():
    def worst(y_true, y_pred):
        return ops.max(ops.abs(y_pred - y_true), axis=-1)

    class Worst(losses.Loss):
        def call(self, y_true, y_pred):
            return worst(y_true, y_pred)

    own = losses.deserialize({"class_name": "Worst", "config": {"name": "w"}}, {"Worst": Worst})
    wrapped = losses.deserialize(
        {"class_name": "LossFunctionWrapper", "config": {"fn": "worst"}}, custom_objects={"worst": worst}
    )
    assert own.name == "w"
    assert float(own([[0.0, 0.0]], [[1.0, 3.0]])) == float(wrapped([[0.0, 0.0]], [[1.0, 3.0]])) == 3.0
    assert Worst().name.startswith("worst")


@pytest.mark.parametrize(
    ("labels", "scores", "kind"),
    [
        ((4,), (4, 1), "binary"),
        ((4, 1), (4, 1), "binary"),
        ((4,), (4, 3), "sparse_categorical"),
        ((4, 1), (4, 3), "sparse_categorical"),
        ((4, 3), (4, 3), "categorical"),
        ((4, 2, 2), (4, 2, 2, 3), "sparse_categorical"),
    ],
)
def test_crossentropy_is_of_the_kind_that_the_shapes_tell(rng, labels, scores, kind):
    y, p = rng.integers(0, 2, labels), rng.random(scores)
    expected = losses.as_loss(f"{kind}_crossentropy")(y, p)
    for name in ("crossentropy", "ce"):
        loss = losses.as_loss(name)
        assert loss.name == name
        assert float(loss(y, p)) == float(expected)
        assert float(losses.as_loss(losses.serialize(loss))(y, p)) == float(expected)


def test_too_few_steps_for_the_labels_cannot_be():
    found = losses.ctc([[1, 1], [1, 2], [0, 0]], np.zeros((3, 2, 3)))
    np.testing.assert_allclose(found, [np.inf, 2 * np.log(3), 2 * np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(losses.ctc([[1], [0]], np.zeros((2, 0, 3))), [np.inf, 0.0])
    assert losses.ctc(np.zeros((0, 2)), np.zeros((0, 4, 3))).shape == (0,)


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("rows", [(1,), (5,), (2, 3)])
@pytest.mark.parametrize("smoothing", [None, 0.0, 0.2])
def test_the_mean_of_a_cross_entropy_is_one_operation(rows, smoothing, logits):
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=rows)
    if smoothing is None:
        loss = losses.SparseCategoricalCrossentropy(from_logits=logits)
    else:
        loss = losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing)
        labels = np.eye(4, dtype=np.float32)[labels]
    z = Tensor(rng.standard_normal((*rows, 4)))
    found = []
    for weights in (None, np.ones(rows)):
        with GradientTape() as tape:
            tape.watch(z)
            y = loss(labels, z if logits else ops.softmax(z), weights)
        if weights is None:
            assert len(tape.operations) == (1 if logits else 2)
        found.append((float(y), np.asarray(tape.gradient(y, z))))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-7)


def test_wrong_labels_are_told_where_the_mean_is_one_operation():
    z = Tensor(np.zeros((2, 3)))
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match="class numbers from 0 to 2, got values from 0 to 3"):
        loss(np.array([0, 3]), z)
    with pytest.raises(ValueError, match="not whole"):
        loss(np.array([0, 0.5]), z)
    with pytest.raises(ValueError, match="class numbers of shape"):
        loss(np.array([0, 1, 2]), z)
