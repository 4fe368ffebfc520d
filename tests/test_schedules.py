"""Schedules against formulas evaluated apart from them, and against Keras."""

import json
import math

import numpy as np
import pytest

import keras_peer
from cnnfast.optimizers import schedules

# Keras's own use of NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning")

STEPS = [0, 1, 2, 3, 7, 10, 11, 20, 29, 30, 31, 69, 70, 71, 150, 1000]
KINDS = [
    ("ExponentialDecay", {"initial_learning_rate": 0.3, "decay_steps": 10, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.3, "decay_steps": 7, "decay_rate": 0.9, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.3, "decay_steps": 10, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.3, "decay_steps": 7, "decay_rate": 2.0, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [10], "values": [0.3, 0.1]}),
    ("PiecewiseConstantDecay", {"boundaries": [2, 10, 30], "values": [0.3, 0.2, 0.1, 0.05]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.3, "decay_steps": 20}),
    ("PolynomialDecay", {"initial_learning_rate": 0.3, "decay_steps": 20, "end_learning_rate": 0.1, "power": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.3, "decay_steps": 10, "power": 2.0, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.3, "decay_steps": 70}),
    ("CosineDecay", {"initial_learning_rate": 0.3, "decay_steps": 70, "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 60, "warmup_target": 0.3, "warmup_steps": 10}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 60, "alpha": 0.2, "warmup_target": 0.3}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.3, "first_decay_steps": 10}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.3, "first_decay_steps": 10, "t_mul": 1.0, "m_mul": 0.9}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.3, "first_decay_steps": 7, "t_mul": 1.5, "m_mul": 0.5, "alpha": 0.1},
    ),
]


def expected(name, step, settings):
    """Written as loops and branches over one step."""
    first = settings.get("initial_learning_rate")
    if name in ("ExponentialDecay", "InverseTimeDecay"):
        passed = step / settings["decay_steps"]
        passed = math.floor(passed) if settings.get("staircase") else passed
        rate = settings["decay_rate"]
        return first * rate**passed if name == "ExponentialDecay" else first / (1 + rate * passed)
    if name == "PiecewiseConstantDecay":
        return next(
            (v for b, v in zip(settings["boundaries"], settings["values"], strict=False) if step <= b),
            settings["values"][-1],
        )
    if name == "PolynomialDecay":
        length = settings["decay_steps"]
        if settings.get("cycle"):
            while step > length:
                length += settings["decay_steps"]
        end = settings.get("end_learning_rate", 1e-4)
        return (first - end) * (1 - min(step, length) / length) ** settings.get("power", 1.0) + end
    alpha, length, height = settings.get("alpha", 0.0), settings.get("decay_steps"), 1.0
    if name == "CosineDecayRestarts":
        length = settings["first_decay_steps"]
        while step >= length:
            step -= length
            length *= settings.get("t_mul", 2.0)
            height *= settings.get("m_mul", 1.0)
    elif "warmup_target" in settings:
        warmup = settings.get("warmup_steps", 0)
        if step < warmup:
            return first + (settings["warmup_target"] - first) * step / warmup
        first, step = settings["warmup_target"], step - warmup
    return first * ((1 - alpha) * height * (1 + math.cos(math.pi * min(step / length, 1.0))) / 2 + alpha)


@pytest.mark.parametrize(("name", "settings"), KINDS)
def test_rates(name, settings):
    schedule = getattr(schedules, name)(**settings)
    rates = [schedule(step) for step in STEPS]
    assert all(type(rate) is float for rate in rates)
    np.testing.assert_allclose(rates, [expected(name, step, settings) for step in STEPS], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(schedule(np.array(STEPS)), rates, rtol=1e-14)


@pytest.mark.parametrize(("name", "settings"), KINDS)
def test_rates_are_kerass(name, settings):
    keras = keras_peer.keras()
    ours = getattr(schedules, name)(**settings)
    theirs = getattr(keras.optimizers.schedules, name)(**settings)
    # Keras counts in float32: where a period ends, it may still be in the one before.
    ends = {70} if settings.get("t_mul", 2.0) not in (1.0, 2.0) else set()
    for step in set(STEPS) - ends:
        np.testing.assert_allclose(ours(step), float(theirs(step)), rtol=1e-4, atol=1e-6, err_msg=str(step))
    assert ours.get_config().keys() == theirs.get_config().keys()


@pytest.mark.parametrize(("name", "settings"), KINDS)
def test_configurations(name, settings):
    schedule = getattr(schedules, name)(**settings)
    entry = json.loads(json.dumps(schedules.serialize(schedule)))
    again = schedules.deserialize(entry)
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()


def test_a_period_begins_at_its_first_step():
    """Whatever the logarithm that finds the period rounds to."""
    for growth in (2.0, 3.0, 1.1, 10.0):
        schedule = schedules.CosineDecayRestarts(1.0, 10, t_mul=growth, m_mul=0.5)
        for periods in range(1, 9):
            begin = 10 * (growth**periods - 1) / (growth - 1)
            assert schedule(begin + 1e-6) == pytest.approx(0.5**periods, rel=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "ExponentialDecay: decay_steps expects a positive number"),
        (lambda: schedules.InverseTimeDecay(0.1, -1, 0.5), "InverseTimeDecay: decay_steps expects a positive number"),
        (lambda: schedules.PolynomialDecay(0.1, 0), "PolynomialDecay: decay_steps expects a positive number"),
        (lambda: schedules.CosineDecay(0.1, 0), "CosineDecay: decay_steps expects a positive number"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "first_decay_steps expects a positive number"),
        (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0), "t_mul expects a positive number"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1]), r"values expects one more number than boundaries"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3]), "boundaries expects growing numbers"),
        (lambda: schedules.ExponentialDecay("fast", 1, 0.5), "initial_learning_rate expects a number"),
        (lambda: schedules.deserialize({"class_name": "Slow", "config": {}}), "schedule 'Slow' is not known"),
        (lambda: schedules.LearningRateSchedule()(0), "LearningRateSchedule defines no __call__"),
    ],
)
def test_wrong_arguments_raise(make, message):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=message):
        make()
