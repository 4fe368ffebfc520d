"""Constraints against loops over vectors, and against Keras."""

import json

import numpy as np
import pytest

import keras_peer
from cnnfast import constraints

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning")

KINDS = [
    ("NonNeg", {}),
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.7, "axis": 1}),
    ("MaxNorm", {"max_value": 1.5, "axis": [0, 1]}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": -1}),
    ("UnitNorm", {"axis": [0, 1, 2]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.2, "axis": 1}),
    ("MinMaxNorm", {"min_value": 2.5, "max_value": 3.0, "rate": 0.3, "axis": [0, 1]}),
]


def expected(name, w, max_value=2.0, min_value=0.0, rate=1.0, axis=0):
    if name == "NonNeg":
        return np.where(w > 0, w, 0.0)
    max_value = 1.0 if name == "MinMaxNorm" and max_value == 2.0 else max_value
    axes = {a % w.ndim for a in ([axis] if isinstance(axis, int) else axis)}
    result = np.empty_like(w)
    for place in np.ndindex(*(1 if i in axes else n for i, n in enumerate(w.shape))):
        vector = tuple(slice(None) if i in axes else p for i, p in enumerate(place))
        norm = np.sqrt(np.sum(w[vector] ** 2))
        wanted = {
            "UnitNorm": 1.0,
            "MaxNorm": min(norm, max_value),
            "MinMaxNorm": rate * min(max(norm, min_value), max_value) + (1 - rate) * norm,
        }[name]
        result[vector] = w[vector] * wanted / norm
    return result


@pytest.mark.parametrize(("name", "settings"), KINDS)
def test_values(rng, name, settings):
    w = rng.standard_normal((3, 4, 2))
    found = getattr(constraints, name)(**settings)(w)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(name, w, **settings), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "settings"), KINDS)
def test_values_are_kerass(rng, name, settings):
    keras = keras_peer.keras()
    w = rng.standard_normal((3, 4, 2)).astype(np.float32)
    w[:, 1, 1] = 0.0
    theirs = getattr(keras.constraints, name)(**settings)(w)
    np.testing.assert_allclose(
        getattr(constraints, name)(**settings)(w), keras.ops.convert_to_numpy(theirs), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(("name", "settings"), KINDS)
def test_configurations(rng, name, settings):
    constraint = getattr(constraints, name)(**settings)
    entry = json.loads(json.dumps(constraints.serialize(constraint)))
    again = constraints.deserialize(entry)
    assert again.get_config() == constraint.get_config()
    w = rng.standard_normal((3, 4, 2))
    np.testing.assert_array_equal(again(w), constraint(w))


def test_names_and_objects():
    for name in ("max_norm", "MaxNorm", "min_max_norm", "non_neg", "NonNeg", "unit_norm"):
        assert type(constraints.get(name)).__name__.lower() == name.replace("_", "").lower()
    assert constraints.get(None) is None
    assert constraints.get(abs) is abs
    assert type(constraints.get(constraints.NonNeg)) is constraints.NonNeg


def test_zeros_stay_zeros_and_a_number_is_a_vector():
    np.testing.assert_array_equal(constraints.UnitNorm()(np.zeros((3, 2))), np.zeros((3, 2)))
    np.testing.assert_allclose(constraints.MaxNorm(0.5)(-2.0), -0.5, rtol=1e-6)
    assert constraints.MaxNorm()(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: constraints.MaxNorm(-1), "MaxNorm: max_value expects a number from 0"),
        (lambda: constraints.MinMaxNorm(2.0, 1.0), "MinMaxNorm: max_value expects a number from min_value=2.0"),
        (lambda: constraints.MinMaxNorm(rate=2.0), "MinMaxNorm: rate expects a number from 0.0 to 1.0"),
        (lambda: constraints.UnitNorm(axis="rows"), "UnitNorm: axis expects an integer"),
        (lambda: constraints.get("maximum"), "constraint 'maximum' is not known; there are MaxNorm, MinMaxNorm"),
        (lambda: constraints.get(3), "constraint expects a name, an object or a function"),
    ],
)
def test_wrong_arguments_raise(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
