"""Values: construction, reading, assignment, operators, copies."""

import copy
import pickle

import numpy as np
import pytest

import cnnfast
from cnnfast import GradientTape, Tensor, Variable, ops
from cnnfast.autograd import to_float32


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.int64, np.uint8, np.bool_, ">f4"])
def test_every_real_dtype_is_converted(dtype):
    array = np.array([[0, 1], [1, 0]]).astype(dtype)
    for x in (array, array.T, array[::-1], array[:, ::-1]):
        found = to_float32(x)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, x.astype(np.float64))


def test_float32_arrays_are_not_copied():
    x = np.ones((2, 3), np.float32)
    assert to_float32(x) is x
    x.flags.writeable = False
    assert to_float32(x) is x


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (np.ones(2, complex), "dtype complex128"),
        ("text", "dtype <U4"),
        (None, "NoneType"),
        (object(), "object"),
        ([1, [2, 3]], ""),
    ],
)
def test_what_is_not_made_of_real_numbers_is_refused(x, got):
    with pytest.raises(TypeError, match=f"relu: x must be an array of real numbers.*{got}"):
        to_float32(x, "relu")


def test_a_list_of_tensors_is_refused_because_the_gradient_would_be_lost():
    for x in ([Tensor(1.0), Tensor(2.0)], [[1.0, Tensor(2.0)]], (Variable(1.0),)):
        with pytest.raises(TypeError, match="exp: x is a list of tensors; join them first"):
            ops.exp(x)


def test_a_double_beyond_float32_becomes_infinite():
    np.testing.assert_array_equal(to_float32([1e300, -1e300, np.nan]), [np.inf, -np.inf, np.nan])


def test_a_tensor_has_its_own_memory():
    x = np.ones(3, np.float32)
    t = Tensor(x)
    x[:] = 2
    np.testing.assert_array_equal(t, [1, 1, 1])


@pytest.mark.parametrize("x", [Tensor(1.0), Variable(1.0)])
def test_a_tensor_of_a_tensor_raises_because_it_would_lose_the_gradient(x):
    with pytest.raises(TypeError, match=r"convert_to_tensor.*stop_gradient"):
        Tensor(x)


def test_convert_to_tensor_keeps_the_gradient():
    v, t = Variable([1.0, 2.0]), Tensor(1.0)
    assert cnnfast.convert_to_tensor(t) is t
    assert isinstance(cnnfast.convert_to_tensor(v), Tensor)
    assert isinstance(cnnfast.convert_to_tensor(np.float64(2)), Tensor)
    with GradientTape() as tape:
        y = cnnfast.convert_to_tensor(v) * 3
    np.testing.assert_array_equal(tape.gradient(y, v), [3, 3])


def test_reading_a_tensor():
    t = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (t.shape, t.ndim, t.size, len(t), t.dtype) == ((2, 2), 2, 4, 2, np.float32)
    assert np.asarray(t, np.float64).dtype == np.float64
    assert np.array(t).flags.writeable
    for view in (t.numpy(), np.asarray(t)):
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 5


def test_one_element_is_a_number():
    for t in (Tensor(2.5), Tensor([2.5]), Variable([[2.5]])):
        assert (float(t), int(t), t.item(), bool(t), f"{t:.2f}") == (2.5, 2, 2.5, True, "2.50")
    for read in (float, int, bool, Tensor.item, "{:.2f}".format):
        with pytest.raises(TypeError, match=r"only a tensor of one element is a number, this one has shape \(2,\)"):
            read(Tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="without axes"):
        len(Tensor(1.0))


def test_reprs():
    assert repr(Tensor([1.0, 2.0])) == "Tensor(shape=(2,), value=[1. 2.])"
    assert f"{Tensor([1.0, 2.0])}" == repr(Tensor([1.0, 2.0]))
    assert repr(Variable([1.0], name="bias")) == "Variable(name='bias', shape=(1,), trainable=True)"


def test_a_variable_is_read_as_a_copy():
    v = Variable([1.0, 2.0])
    read = [v.numpy(), np.asarray(v), np.array(v, np.float64)]
    read[0][0] = 9
    v.updated_in_place()[:] = 5
    np.testing.assert_array_equal(read, [[9, 2], [1, 2], [1, 2]])
    np.testing.assert_array_equal(v, [5, 5])


def test_assignments():
    v = Variable([1.0, 2.0], name="bias")
    assert v.assign([3.0, 4.0]) is v
    np.testing.assert_array_equal(v.assign_add(1), [4, 5])
    np.testing.assert_array_equal(v.assign_sub([1.0, 3.0]), [3, 2])
    with pytest.raises(ValueError, match=r"Variable bias: expected a value of shape \(2,\), got \(2, 1\)"):
        v.assign([[1.0], [2.0]])
    with pytest.raises(TypeError, match="Variable bias: value must be an array of real numbers"):
        v.assign("12")


def test_assignment_by_item_raises_and_names_the_way_out():
    with pytest.raises(TypeError, match=r"cnnfast.ops.where"):
        Tensor([1.0, 2.0])[0] = 3
    with pytest.raises(TypeError, match=r"Variable kernel cannot be changed by item.*assign"):
        Variable([1.0], name="kernel")[0] = 3


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_is_another_value_to_a_tape(duplicate):
    v = Variable([2.0, 3.0], trainable=False, name="mean")
    w = duplicate(v)
    assert (w.name, w.trainable) == ("mean", False)
    np.testing.assert_array_equal(w, v)
    x = Tensor([1.0, 2.0])
    y = duplicate(x)
    with GradientTape() as tape:
        tape.watch([x, v])
        z = x * y * v * w
    assert [g is None for g in tape.gradient(z, [x, y, v, w])] == [False, True, False, True]


def test_operators_with_arrays_scalars_and_lists_give_tensors():
    a = np.array([1.0, 2.0])
    t = Tensor([3.0, 5.0])
    results = {
        "t + a": (t + a, [4, 7]),
        "a + t": (a + t, [4, 7]),
        "t - 1": (t - 1, [2, 4]),
        "1 - t": (1 - t, [-2, -4]),
        "a - t": (a - t, [-2, -3]),
        "a * t": (a * t, [3, 10]),
        "np.float32(2) * t": (np.float32(2) * t, [6, 10]),
        "np.int64(2) * t": (np.int64(2) * t, [6, 10]),
        "[1, 2] * t": ([1, 2] * t, [3, 10]),
        "t / 2": (t / 2, [1.5, 2.5]),
        "a / t": (a / t, [1 / 3, 0.4]),
        "t ** 2": (t**2, [9, 25]),
        "2 ** t": (2**t, [8, 32]),
        "a ** t": (a**t, [1, 32]),
        "t @ a": (t @ a, 13),
        "a @ t": (a @ t, 13),
        "-t": (-t, [-3, -5]),
        "+t": (+t, [3, 5]),
        "abs": (abs(-t), [3, 5]),
        "t[1]": (t[1], 5),
        "t[::-1]": (t[::-1], [5, 3]),
        "t[mask]": (t[t > 4], [5]),
        "T": (Tensor([[1.0, 2.0]]).T, [[1], [2]]),
        "sum": (t.sum(), 8),
        "mean": (t.mean(axis=0, keepdims=True), [4]),
        "max": (t.max(), 5),
        "min": (t.min(0), 3),
        "reshape": (t.reshape(2, 1), [[3], [5]]),
        "reshape tuple": (t.reshape((1, -1)), [[3, 5]]),
        "reshape -1": (t.reshape(-1), [3, 5]),
        "transpose": (Tensor(np.ones((2, 3, 4))).transpose(2, 0, 1), np.ones((4, 2, 3))),
        "transpose tuple": (Tensor(np.ones((2, 3))).transpose((1, 0)), np.ones((3, 2))),
        "transpose()": (Tensor(np.ones((2, 3))).transpose(), np.ones((3, 2))),
    }
    for name, (found, expected) in results.items():
        assert isinstance(found, Tensor), name
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)


def test_comparisons_give_numpy_booleans():
    t = Tensor([1.0, 2.0, np.nan])
    for found, expected in [
        (t < 2, [True, False, False]),
        (t <= np.array([1, 2, 3]), [True, True, False]),
        (t > [0, 2, 0], [True, False, False]),
        (t >= t, [True, True, False]),
        (t == 2, [False, True, False]),
        (t != 2, [True, False, True]),
        (np.float32(2) > t, [True, False, False]),
        (np.array([1, 3, 3]) == t, [True, False, False]),
    ]:
        assert type(found) is np.ndarray
        assert found.dtype == bool
        np.testing.assert_array_equal(found, expected)
    assert (t == None) is False  # noqa: E711
    assert t != "text"
    assert {t: 1}[t] == 1


def test_operators_with_what_is_no_number_raise():
    t = Tensor([1.0])
    for operation in (lambda: t + "a", lambda: None * t, lambda: t < "a", lambda: t << 2, lambda: t @ None):
        with pytest.raises(TypeError):
            operation()


def test_iteration_and_unpacking_keep_the_gradient():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    with GradientTape() as tape:
        tape.watch(x)
        first, second = x
        total = sum(row * i for i, row in enumerate(x))
        y = first * second + total
    np.testing.assert_array_equal(tape.gradient(y, x), [[3, 4], [2, 3]])
    with pytest.raises(TypeError, match="without axes cannot be iterated over"):
        iter(Tensor(1.0))


def test_python_augmented_assignment_builds_a_new_tensor():
    x = Tensor([1.0, 2.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = x
        y *= x
        y += 1
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_equal(tape.gradient(y, x), [2, 4])
