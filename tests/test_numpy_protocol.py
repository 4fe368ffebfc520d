"""NumPy's own functions on tensors: the gradient follows or the call raises, never is it lost silently."""

import contextlib
import inspect

import numpy as np
import pytest

from cnnfast import GradientTape, Tensor, Variable, ops
from cnnfast.autograd import is_recorded
from cnnfast.ops import numpy_protocol

X = np.array([[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]], np.float32)

ROUTED = {
    "np.add": lambda x: np.add(x, 2),
    "np.subtract": lambda x: np.subtract(X, x * 2),
    "np.multiply": lambda x: np.multiply(X, x),
    "np.divide": lambda x: np.divide(1, x),
    "np.power": lambda x: np.power(x, 2),
    "np.maximum": lambda x: np.maximum(x, 2),
    "np.minimum": lambda x: np.minimum(2, x),
    "np.matmul": lambda x: np.matmul(x, X.T),
    "np.negative": np.negative,
    "np.exp": np.exp,
    "np.expm1": np.expm1,
    "np.log": np.log,
    "np.log1p": np.log1p,
    "np.sqrt": np.sqrt,
    "np.square": np.square,
    "np.reciprocal": np.reciprocal,
    "np.abs": np.abs,
    "np.fabs": np.fabs,
    "np.sin": np.sin,
    "np.cos": np.cos,
    "np.sign": np.sign,
    "np.sum": lambda x: np.sum(x, 0),
    "np.sum of all": np.sum,
    "np.mean": lambda x: np.mean(x, axis=1, keepdims=True),
    "np.var": lambda x: np.var(x, axis=(0, 1)),
    "np.std": lambda x: np.std(x, 0),
    "np.prod": lambda x: np.prod(a=x, axis=1),
    "np.max": lambda x: np.max(x, axis=0),
    "np.min": lambda x: np.min(x, axis=0),
    "np.amax": lambda x: np.amax(x),
    "np.amin": lambda x: np.amin(x),
    "np.clip": lambda x: np.clip(x, 1, a_max=3),
    "np.reshape": lambda x: np.reshape(x, (3, 2)),
    "np.ravel": np.ravel,
    "np.transpose": np.transpose,
    "np.moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "np.swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "np.squeeze": lambda x: np.squeeze(x[:1]),
    "np.expand_dims": lambda x: np.expand_dims(x, 0),
    "np.broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "np.concatenate": lambda x: np.concatenate([X, x], axis=1),
    "np.stack": lambda x: np.stack((x, X)),
    "np.split": lambda x: np.split(x, 3, axis=1)[2],
    "np.flip": lambda x: np.flip(x, 0),
    "np.pad": lambda x: np.pad(x, 1, mode="constant", constant_values=2),
    "np.pad reflect": lambda x: np.pad(x, 1, "reflect"),
    "np.take": lambda x: np.take(x, [0, 0], axis=1),
    "np.where": lambda x: np.where(X > 2, x, X),
    "array + tensor": lambda x: X + x,
    "array @ tensor": lambda x: X @ x.T,
    "number - tensor": lambda x: np.float64(2) - x,
}


@pytest.mark.parametrize("name", ROUTED)
def test_numpys_functions_carry_the_gradient(name):
    function = ROUTED[name]
    x = Tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x)
        assert isinstance(y, Tensor)
        assert is_recorded(y)
    np.testing.assert_allclose(y, function(X), rtol=1e-6)
    assert tape.gradient(y, x).shape == X.shape


def test_every_route_is_tested():
    tested = {name.split()[0].removeprefix("np.") for name in ROUTED}
    names = {f.__name__ for f in (*numpy_protocol._UFUNCS, *numpy_protocol._FUNCTIONS)}
    assert names - tested <= {"absolute"}  # np.abs is its other name


def test_variables_are_routed_too():
    v = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = np.exp(v) * np.ones(2)
    np.testing.assert_allclose(tape.gradient(y, v), np.exp([1.0, 2.0]), rtol=1e-6)
    assert type(np.exp(v)) is np.ndarray  # no tape: NumPy in, NumPy out


REFUSED = {
    "np.tan": np.tan,
    "np.arctan2": lambda x: np.arctan2(x, X),
    "np.floor": np.floor,
    "array // tensor": lambda x: X // x,
    "np.linalg.norm": np.linalg.norm,
    "np.dot": lambda x: np.dot(x, X.T),
    "np.einsum": lambda x: np.einsum("ij->i", x),
    "np.cumsum": np.cumsum,
    "np.median": np.median,
    "np.sort": np.sort,
    "np.add.reduce": np.add.reduce,
    "np.add.outer": lambda x: np.add.outer(x, X),
    "out of a ufunc": lambda x: np.add(X, x, out=np.empty_like(X)),
    "where of a ufunc": lambda x: np.add(X, x, where=X > 1),
    "dtype of a ufunc": lambda x: np.exp(x, dtype=np.float64),
    "dtype of np.sum": lambda x: np.sum(x, dtype=np.float64),
    "dtype of np.sum by position": lambda x: np.sum(x, 0, np.float64),
    "out of np.sum": lambda x: np.sum(x, axis=0, out=np.empty(3, np.float32)),
    "ddof of np.var": lambda x: np.var(x, ddof=1),
    "np.copyto": lambda x: np.copyto(X.copy(), x),
    "np.interp": lambda x: np.interp(x, X[0], X[0]),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("value", [Tensor, Variable])
@pytest.mark.parametrize("recording", [False, True])
def test_what_would_lose_the_gradient_raises_and_names_the_way_out(name, value, recording):
    x = value(X)
    with GradientTape() as tape:
        tape.watch(x)
        context = contextlib.nullcontext() if recording else tape.stop_recording()
        with context, pytest.raises(TypeError, match=r"np\.asarray\(tensor\)"):
            REFUSED[name](x)


def test_adding_to_an_array_in_place_raises_and_leaves_it_alone():
    a = np.ones(3)
    with pytest.raises(TypeError, match=r"np\.add: writing the result into an array would lose the gradient"):
        a += Tensor([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(a, 1)


def test_reading_is_allowed():
    t = Tensor(X)
    assert np.asarray(t).tolist() == X.tolist()
    assert np.allclose(t, X)
    assert np.array_equal(X, t)
    assert np.argmax(t) == 5
    assert np.argmin(t, axis=1).tolist() == [0, 0]
    assert np.isfinite(t).all()
    assert np.isnan(np.array([t])).sum() == 0
    assert np.less(t, 1).tolist() == [[True, False, False], [False] * 3]
    assert np.shape(t) == (2, 3)
    assert np.zeros_like(t).tolist() == [[0] * 3] * 2
    assert np.logical_and.reduce(t > 0, axis=None)
    np.testing.assert_allclose(t, X)
    np.testing.assert_array_equal(t, X)
    assert np.linalg.norm(t.numpy()) > 0


def test_everything_listed_exists_in_this_numpy():
    for function in (*numpy_protocol._READING_FUNCTIONS, *numpy_protocol._FUNCTIONS):
        assert callable(function)
    for ufunc in (*numpy_protocol._READING_UFUNCS, *numpy_protocol._UFUNCS):
        assert isinstance(ufunc, np.ufunc)
    # What a route passes on must be what the function is called.
    for route in numpy_protocol._FUNCTIONS.values():
        assert set(route.keywords) <= set(inspect.signature(route.function).parameters)
    assert inspect.unwrap(ops.sum) is numpy_protocol._FUNCTIONS[np.sum].function
