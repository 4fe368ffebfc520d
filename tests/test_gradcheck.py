"""gradcheck: right gradients pass, wrong ones are named."""

import numpy as np
import pytest

import cnnfast
from cnnfast import Tensor, Variable, gradcheck, ops
from cnnfast.autograd import record, to_float32


def wrong(x, change):
    """x squared, whose gradient `change` spoils."""
    array = to_float32(x)
    return record("wrong", array * array, (x,), lambda dy, needs: (change(2 * array * dy).astype(np.float32),))


def spoil_one(gradient):
    gradient = gradient.copy()
    gradient[1, 2] *= 1.5
    return gradient


def test_right_gradients_pass(rng):
    x, y = rng.standard_normal((2, 4, 5))
    assert gradcheck(lambda a, b: ops.exp(a) * b + ops.sum(a * b), [x, y]) is True
    assert gradcheck(ops.square, x)
    assert gradcheck(ops.square, Tensor(x))
    assert gradcheck(lambda a: [ops.exp(a), a * 2], [x])
    assert gradcheck(lambda a: ops.sum(a * a), [3.0])


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1, 1e3, 1e6])
def test_inputs_of_every_scale_pass(scale, rng):
    x = scale * rng.standard_normal((5, 7))
    assert gradcheck(lambda a: ops.sum(a * a, axis=0), [x])
    assert gradcheck(lambda a: ops.exp(a / np.float32(scale)), [x])


def test_kinks_near_the_inputs_pass(rng):
    # Thousands of numbers: some lie closer to zero than any step.
    x = rng.standard_normal((40, 50))
    assert gradcheck(ops.relu, [x])
    assert gradcheck(lambda a: ops.max(a, axis=1), [x])
    assert gradcheck(ops.abs, [x])
    assert gradcheck(lambda a: ops.sum(ops.relu(a) * x), [x])


def test_a_slope_between_those_of_the_two_sides_passes_at_a_kink():
    def relu_with_slope_at_zero(slope):
        def function(x):
            array = to_float32(x)
            slopes = np.where(array == 0, np.float32(slope), array > 0)
            return record("relu", np.maximum(array, 0), (x,), lambda dy, needs: (dy * slopes,))

        return function

    for slope in (0, 0.3, 1):
        assert gradcheck(relu_with_slope_at_zero(slope), [[0.0, 1.0, -1.0]])
    for slope in (-0.3, 1.3):
        with pytest.raises(AssertionError, match=r"position \(0,\)"):
            gradcheck(relu_with_slope_at_zero(slope), [[0.0, 1.0, -1.0]])


def test_large_sums_pass(rng):
    x, y = rng.standard_normal((64, 300)), rng.standard_normal((300, 30))
    assert gradcheck(ops.matmul, [x, y])
    assert gradcheck(lambda a: ops.mean(a * a), [x])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda g: 2 * g, r"position \(0, 0\)"),
        (lambda g: 0 * g, r"position \(0, 0\)"),
        (lambda g: -g, r"position \(0, 0\)"),
        (lambda g: 1.05 * g, r"position \(0, 0\)"),
        (spoil_one, r"position \(1, 2\)"),
        (lambda g: g[::-1], r"position \(0, 0\)"),
    ],
)
def test_wrong_gradients_are_named(change, where, rng):
    x = rng.standard_normal((2, 3)) + 2
    message = rf"gradcheck: input 1, {where}: the tape says \S+, the central difference \S+ \(step"
    with pytest.raises(AssertionError, match=message):
        gradcheck(lambda a, b: a + wrong(b, change), [x, x])
    assert gradcheck(lambda a, b: a + wrong(b, change), [x, x], raise_exception=False) is False


def test_the_message_tells_both_values():
    with pytest.raises(AssertionError) as caught:
        gradcheck(lambda x: wrong(x, lambda g: 3 * g), [2.0])
    words = str(caught.value).replace(",", "").split()
    by_tape, by_difference = float(words[words.index("says") + 1]), float(words[words.index("difference") + 1])
    assert by_tape / by_difference == pytest.approx(3, rel=1e-3)


def test_an_error_in_a_large_input_is_found(rng):
    x = rng.standard_normal((100, 100)) + 2
    with pytest.raises(AssertionError, match="input 0"):
        gradcheck(lambda a: wrong(a, lambda g: np.where(np.arange(100) < 10, 0, g)), [x])


def test_a_missing_connection_is_named():
    with pytest.raises(AssertionError, match=r"the tape says 0, .* \(None: not connected\)"):
        gradcheck(lambda x: np.asarray(x) ** 2, [[1.0, 2.0]])
    assert gradcheck(lambda x, y: x * 2, [[1.0, 2.0], [5.0]])  # y has no influence, None is right


def test_variables_are_moved_and_get_their_values_back(rng):
    w = Variable(rng.standard_normal((3, 2)))
    before = w.numpy()
    x = rng.standard_normal((5, 3))
    assert gradcheck(lambda a, _: ops.tanh(a @ w), [x, w])
    np.testing.assert_array_equal(w, before)
    with pytest.raises(AssertionError, match="input 0"):
        gradcheck(lambda _: wrong(w, lambda g: 2 * g), [w])
    np.testing.assert_array_equal(w, before)


def test_integers_and_empty_inputs():
    assert gradcheck(ops.square, [np.array([1, 2, 3])])
    assert gradcheck(ops.square, [np.zeros((0, 3))])


def test_the_seed_makes_it_reproducible(rng):
    x = rng.standard_normal((100, 30)) + 2
    seen = []

    def function(a):
        seen.append(np.asarray(a).sum())
        return a * a

    for seed in (1, 1, 2):
        gradcheck(function, [x], seed=seed)
    third = len(seen) // 3
    assert seen[:third] == seen[third : 2 * third]
    assert seen[:third] != seen[2 * third :]


def test_a_function_that_changes_from_call_to_call_raises():
    calls = iter(range(100))
    with pytest.raises(ValueError, match="returned other values when it was called again"):
        gradcheck(lambda x: x * next(calls), [1.0])


def test_bad_arguments_raise():
    with pytest.raises(ValueError, match="output 0 is not finite at the inputs"):
        gradcheck(ops.log, [[0.0, 1.0]])
    with pytest.raises(ValueError, match="expects eps > 0"):
        gradcheck(ops.exp, [1.0], eps=0)
    with pytest.raises(TypeError, match="array of real numbers"):
        gradcheck(ops.exp, ["text"])


def test_it_is_public():
    assert cnnfast.gradcheck is gradcheck
    assert callable(cnnfast.gradcheck)
