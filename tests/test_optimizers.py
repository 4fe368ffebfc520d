"""Optimizers against float64 NumPy written from the formulas, and against Keras."""

import numpy as np
import pytest

import keras_peer
from cnnfast import optimizers
from cnnfast.autograd import Variable

# Keras's own use of NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:.*__array__ implementation:DeprecationWarning")

SHAPES = [(3, 3, 2, 5), (17,), (), (0, 3), (33, 7)]
STEPS = 6


# Independent definitions: (w, g, state, t, rate, settings) -> w, the state being a dict of float64 arrays.


def sgd(w, g, s, t, rate, momentum=0.0, nesterov=False):
    s["v"] = momentum * s.get("v", 0.0) - rate * g
    return w + (momentum * s["v"] - rate * g if nesterov else s["v"])


def moments(g, s, beta_1, beta_2):
    s["m"] = beta_1 * s.get("m", 0.0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0.0) + (1 - beta_2) * g**2
    return s["m"], s["v"]


def adam(w, g, s, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    m, v = moments(g, s, beta_1, beta_2)
    if amsgrad:
        v = s["hat"] = np.maximum(s.get("hat", 0.0), v)
    return w - rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


def adamax(w, g, s, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    s["m"] = beta_1 * s.get("m", 0.0) + (1 - beta_1) * g
    s["u"] = np.maximum(beta_2 * s.get("u", 0.0), np.abs(g))
    return w - rate / (1 - beta_1**t) * s["m"] / (s["u"] + epsilon)


def nadam(w, g, s, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = moments(g, s, beta_1, beta_2)
    u = [beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    mean = u[t] * m / (1 - np.prod(u)) + (1 - u[t - 1]) * g / (1 - np.prod(u[:t]))
    return w - rate * mean / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def rmsprop(w, g, s, t, rate, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    s["v"] = rho * s.get("v", 0.0) + (1 - rho) * g**2
    s["mean"] = rho * s.get("mean", 0.0) + (1 - rho) * g
    step = rate * g / np.sqrt(s["v"] - (s["mean"] ** 2 if centered else 0.0) + epsilon)
    s["step"] = momentum * s.get("step", 0.0) + step
    return w - s["step"]


def adagrad(w, g, s, t, rate, initial_accumulator_value=0.1, epsilon=1e-7):
    s["a"] = s.get("a", initial_accumulator_value) + g**2
    return w - rate * g / np.sqrt(s["a"] + epsilon)


def adadelta(w, g, s, t, rate, rho=0.95, epsilon=1e-7):
    s["g"] = rho * s.get("g", 0.0) + (1 - rho) * g**2
    step = np.sqrt(s.get("d", 0.0) + epsilon) / np.sqrt(s["g"] + epsilon) * g
    s["d"] = rho * s.get("d", 0.0) + (1 - rho) * step**2
    return w - rate * step


def lion(w, g, s, t, rate, beta_1=0.9, beta_2=0.99):
    m = s.get("m", 0.0)
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w - rate * np.sign(beta_1 * m + (1 - beta_1) * g)


def lamb(w, g, s, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = moments(g, s, beta_1, beta_2)
    step = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    lengths = np.sqrt(np.sum(w**2)), np.sqrt(np.sum(step**2))
    return w - rate * (lengths[0] / lengths[1] if min(lengths) > 0 else 1.0) * step


def ftrl(
    w,
    g,
    s,
    t,
    rate,
    learning_rate_power=-0.5,
    initial_accumulator_value=0.1,
    l1_regularization_strength=0.0,
    l2_regularization_strength=0.0,
    l2_shrinkage_regularization_strength=0.0,
    beta=0.0,
):
    n, power = s.get("n", initial_accumulator_value), -learning_rate_power
    s["n"] = n + g**2
    sigma = (s["n"] ** power - n**power) / rate
    s["z"] = s.get("z", 0.0) + g + 2 * l2_shrinkage_regularization_strength * w - sigma * w
    l1, l2 = l1_regularization_strength, l2_regularization_strength + beta / (2 * rate)
    return (np.clip(s["z"], -l1, l1) - s["z"]) / (s["n"] ** power / rate + 2 * l2)


RULES = [
    ("SGD", sgd, {}),
    ("SGD", sgd, {"momentum": 0.9}),
    ("SGD", sgd, {"momentum": 0.8, "nesterov": True}),
    ("Adam", adam, {}),
    ("Adam", adam, {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-3}),
    ("Adam", adam, {"beta_2": 0.5, "amsgrad": True}),
    ("AdamW", adam, {"weight_decay": 0.3}),
    ("AdamW", adam, {"weight_decay": 0.3, "beta_2": 0.6, "amsgrad": True}),
    ("Adamax", adamax, {}),
    ("Adamax", adamax, {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}),
    ("Nadam", nadam, {}),
    ("Nadam", nadam, {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}),
    ("RMSprop", rmsprop, {}),
    ("RMSprop", rmsprop, {"rho": 0.6, "momentum": 0.5, "epsilon": 1e-2}),
    ("RMSprop", rmsprop, {"centered": True, "epsilon": 1e-3}),
    ("RMSprop", rmsprop, {"centered": True, "momentum": 0.3, "rho": 0.5, "epsilon": 1e-2}),
    ("Adagrad", adagrad, {}),
    ("Adagrad", adagrad, {"initial_accumulator_value": 0.5, "epsilon": 1e-2}),
    ("Adadelta", adadelta, {}),
    ("Adadelta", adadelta, {"rho": 0.6, "epsilon": 1e-2}),
    ("Lamb", lamb, {}),
    ("Lamb", lamb, {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}),
    ("Lion", lion, {}),
    ("Lion", lion, {"beta_1": 0.6, "beta_2": 0.7}),
    ("Ftrl", ftrl, {}),
    ("Ftrl", ftrl, {"learning_rate_power": -0.7, "initial_accumulator_value": 0.3, "beta": 0.2}),
    (
        "Ftrl",
        ftrl,
        {
            "l1_regularization_strength": 0.3,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
        },
    ),
]
RULE_IDS = [f"{name}-{'-'.join(settings) or 'plain'}" for name, _, settings in RULES]
ELEMENTWISE = [row for row in RULES if row[0] != "Lamb"]
OPTIONS = [
    {},
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 2.0},
    {"weight_decay": 0.2},
    {"use_ema": True, "ema_momentum": 0.7},
    {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 3},
    {
        "gradient_accumulation_steps": 2,
        "clipnorm": 0.5,
        "weight_decay": 0.2,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
    },
]


def clipped(gradients, clipnorm=None, clipvalue=None, global_clipnorm=None, **others):
    if clipnorm:
        return [g * min(1.0, clipnorm / max(np.sqrt(np.sum(g**2)), 1e-300)) for g in gradients]
    if global_clipnorm:
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        return [g * min(1.0, global_clipnorm / norm) for g in gradients]
    return [np.clip(g, -clipvalue, clipvalue) for g in gradients] if clipvalue else gradients


def reference(rule, start, all_gradients, rate, settings, options):
    """The weights after all calls, and their averages."""
    weights, states = [w.copy() for w in start], [{} for _ in start]
    decay = {**settings, **options}.get("weight_decay", 0.0)
    settings = {key: value for key, value in settings.items() if key != "weight_decay"}
    averages, waiting = [np.zeros_like(w) for w in start], []
    calls = options.get("gradient_accumulation_steps", 1)
    done = 0
    for call, gradients in enumerate(all_gradients):
        waiting.append(gradients)
        before = call // calls
        if len(waiting) == calls:
            means = clipped([sum(each) / calls for each in zip(*waiting, strict=True)], **options)
            waiting, done = [], done + 1
            weights = [
                rule(w - rate * decay * w, g, s, done, rate, **settings)
                for w, g, s in zip(weights, means, states, strict=True)
            ]
        if options.get("use_ema"):
            keep = options.get("ema_momentum", 0.99) if before else 0.0
            averages = [keep * a + (1 - keep) * w for a, w in zip(averages, weights, strict=True)]
            if (before + 1) % options.get("ema_overwrite_frequency", 10**9) == 0:
                weights = [a.copy() for a in averages]
    return weights, averages


def data(rng, calls=STEPS):
    start = [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    gradients = [[rng.standard_normal(shape).astype(np.float32) for shape in SHAPES] for _ in range(calls)]
    return start, gradients


def run(optimizer, start, all_gradients):
    variables = [Variable(w, name=f"w{i}") for i, w in enumerate(start)]
    for gradients in all_gradients:
        optimizer.apply(gradients, variables)
    return variables


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "plain")
@pytest.mark.parametrize(("name", "rule", "settings"), RULES, ids=RULE_IDS)
def test_steps(rng, name, rule, settings, options):
    start, gradients = data(rng)
    options = {key: value for key, value in options.items() if key not in settings}
    optimizer = getattr(optimizers, name)(0.05, **settings, **options)
    variables = run(optimizer, start, gradients)
    wide = [[g.astype(np.float64) for g in each] for each in gradients]
    weights, averages = reference(rule, [w.astype(np.float64) for w in start], wide, 0.05, settings, options)
    calls = options.get("gradient_accumulation_steps", 1)
    assert optimizer.iterations == STEPS // calls
    for variable, expected in zip(variables, weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-4, atol=2e-5)
    optimizer.finalize_variable_values(variables)
    for variable, expected in zip(variables, averages if options.get("use_ema") else weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "plain")
@pytest.mark.parametrize(("name", "rule", "settings"), RULES, ids=RULE_IDS)
def test_steps_as_keras_takes_them(rng, name, rule, settings, options):
    keras = keras_peer.keras()
    start, gradients = data(rng)
    options = {key: value for key, value in options.items() if key not in settings}
    variables = run(getattr(optimizers, name)(0.05, **settings, **options), start, gradients)
    theirs = getattr(keras.optimizers, name)(0.05, **settings, **options)
    expected = [keras.Variable(w) for w in start]
    for each in gradients:
        theirs.apply([keras.ops.convert_to_tensor(g) for g in each], expected)
    for variable, other in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), keras.ops.convert_to_numpy(other), rtol=5e-4, atol=5e-5)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in RULES}))
def test_constructors_are_kerass(name):
    import inspect

    keras = keras_peer.keras()
    ours = inspect.signature(getattr(optimizers, name).__init__).parameters.values()
    theirs = inspect.signature(getattr(keras.optimizers, name).__init__).parameters.values()
    expected = [(p.name, p.default) for p in theirs if p.kind is not p.VAR_KEYWORD]
    assert [(p.name, p.default) for p in ours if p.kind is not p.VAR_KEYWORD] == expected


@pytest.mark.parametrize(("name", "rule", "settings"), ELEMENTWISE)
def test_large_arrays_are_the_sum_of_their_parts(rng, name, rule, settings):
    """Elementwise optimizers take big arrays in stretches."""
    start = rng.standard_normal((3, 20011)).astype(np.float32)
    gradients = rng.standard_normal((4, 3, 20011)).astype(np.float32)
    make = getattr(optimizers, name)
    (whole,) = run(make(0.05, **settings), [start], [[g] for g in gradients])
    rows = run(make(0.05, **settings), list(start), [list(g) for g in gradients])
    np.testing.assert_array_equal(whole.numpy(), np.stack([row.numpy() for row in rows]))
    assert not np.array_equal(whole.numpy(), start)


@pytest.mark.parametrize(("name", "rule", "settings"), ELEMENTWISE)
def test_nan_stays_where_it_is(name, rule, settings):
    g = np.float32([np.nan, 1.0])
    (w,) = run(getattr(optimizers, name)(0.05, **settings), [np.float32([1.0, 1.0])], [[g]])
    assert np.isnan(w.numpy()).tolist() == [True, False]
