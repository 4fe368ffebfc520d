"""What optimizers share: what can be assigned, which variables they take, what they save, what they refuse."""

import json
import warnings

import numpy as np
import pytest

from cnnfast import layers, models, optimizers
from cnnfast.autograd import GradientTape, Variable
from cnnfast.optimizers import schedules

NAMES = ["Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "Nadam", "RMSprop", "SGD"]


def test_the_learning_rate_may_be_assigned():
    w, optimizer = Variable([1.0]), optimizers.SGD(0.5)
    optimizer.apply_gradients([(np.ones(1), w)])
    optimizer.learning_rate = 0.25
    optimizer.apply_gradients([(np.ones(1), w)])
    np.testing.assert_allclose(w, [0.25])
    optimizer.learning_rate.assign(0.125)
    assert optimizer.learning_rate == 0.125
    assert optimizer.learning_rate.numpy() == np.float32(0.125)
    assert optimizer.get_config()["learning_rate"] == 0.125
    with pytest.raises(ValueError, match=r"SGD: learning_rate expects a number from 0\.0"):
        optimizer.learning_rate = -1
    with pytest.raises(TypeError, match="SGD: learning_rate expects a number"):
        optimizer.learning_rate = "fast"
    with pytest.raises(TypeError, match="got the class ExponentialDecay"):
        optimizer.learning_rate = schedules.ExponentialDecay


def test_a_schedule_counts_calls_and_keeps_numbers_away(rng):
    schedule = schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    w, optimizer = Variable([1.0]), optimizers.SGD(schedule)
    seen = []
    for _ in range(4):
        seen.append(float(optimizer.learning_rate))
        optimizer.apply([[1.0]], [w])
    assert seen == [0.5, 0.25, 0.125, 0.125]
    assert float(w) == 1.0 - 1.0
    with pytest.raises(TypeError, match="no number can be assigned"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = schedules.ExponentialDecay(0.5, 1, 0.5)
    assert optimizer.learning_rate == 0.5**5
    again = optimizers.deserialize(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert again.get_config() == optimizer.get_config()


def test_schedules_and_functions_of_ones_own():
    class Transformer(schedules.LearningRateSchedule):
        def __init__(self, warmup):
            self.warmup = warmup

        def __call__(self, step):
            return np.minimum(step**-0.5, step * self.warmup**-1.5)  # infinite at step 0, where the other one counts

    optimizer = optimizers.Adam(Transformer(4))
    assert optimizer.learning_rate == 0.0
    optimizer.iterations = 4
    assert optimizer.learning_rate == 0.5
    entry = optimizers.serialize(optimizer)
    assert optimizers.deserialize(entry, {"Transformer": Transformer}).get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="schedule 'Transformer' is not known"):
        optimizers.deserialize(entry)
    rates = iter([0.5, 0.25])
    w, optimizer = Variable([1.0]), optimizers.SGD(lambda: next(rates))
    optimizer.apply([[1.0]], [w])
    optimizer.apply([[1.0]], [w])
    assert float(w) == 0.25


def test_a_variable_without_gradient_stays_and_new_ones_may_come():
    a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
    optimizer = optimizers.Adam(0.1)
    with pytest.warns(UserWarning, match=r"adam: these variables have no gradient and stay as they are: \['b'\]"):
        optimizer.apply_gradients([(np.ones(1), a), (None, b)])
    np.testing.assert_array_equal(b, [1.0])
    late = Variable([1.0])
    assert optimizer.apply_gradients([(np.ones(1), a), (np.ones(1), b), (np.ones(1), late)]) == 2
    assert float(b) < 1.0
    assert float(late) < 1.0
    with pytest.raises(ValueError, match="no variable has a gradient"):
        optimizer.apply_gradients([(None, a)])
    with pytest.raises(ValueError, match="no variable has a gradient"):
        optimizer.apply_gradients([])
    assert optimizer.iterations == 2


def test_apply_without_variables_takes_those_it_was_built_with():
    a, b = Variable([1.0]), Variable([1.0])
    optimizer = optimizers.SGD(0.5)
    with pytest.raises(ValueError, match=r"sgd.apply: the variables are not known yet"):
        optimizer.apply([[1.0], [2.0]])
    optimizer.apply([])
    optimizer.build([a, b])
    optimizer.apply([[1.0], [2.0]])
    assert (float(a), float(b)) == (0.5, 0.0)
    with pytest.raises(ValueError, match="grads expects one for each of the 2 variables, got 1"):
        optimizer.apply([[1.0]])


def test_variables_can_be_read_and_assigned():
    w = Variable([1.0, 2.0], name="w")
    optimizer = optimizers.Adam(0.5, amsgrad=True, use_ema=True)
    optimizer.apply([[1.0, -1.0]], [w])
    names = [v.name for v in optimizer.variables]
    assert names == ["iteration", "learning_rate", "w_momentum", "w_velocity", "w_velocity_hat", "w_average"]
    iterations, rate, momentum = optimizer.variables[:3]
    assert iterations.numpy() == 1
    np.testing.assert_allclose(momentum, [0.1, -0.1], rtol=1e-6)
    iterations.assign(0)
    rate.assign(0.25)
    for variable in optimizer.variables[2:]:
        variable.assign(np.zeros(2))
    before = w.numpy()
    optimizer.apply([[1.0, -1.0]], [w])  # a first step again
    np.testing.assert_allclose(before - w.numpy(), [0.25, -0.25], rtol=1e-5)
    assert optimizer.iterations == 1


def test_multipliers_scale_the_rate_and_the_decay():
    full, half, none = (Variable([1.0]) for _ in range(3))
    half.learning_rate_multiplier, none.learning_rate_multiplier = 0.5, 0.0
    for optimizer in (optimizers.SGD(0.5, weight_decay=0.5), optimizers.Nadam(0.5, weight_decay=0.5)):
        for variable in (full, half, none):
            variable.assign([1.0])
        optimizer.apply([[0.0], [0.0], [0.0]], [full, half, none])
        assert [float(v) for v in (full, half, none)] == [0.75, 0.875, 1.0]
    adam = optimizers.Adam(0.5)
    full.assign([0.0]), half.assign([0.0])
    adam.apply([[3.0], [3.0]], [full, half])
    np.testing.assert_allclose([float(full), float(half)], [-0.5, -0.25], rtol=1e-5)


def test_weights_excluded_from_decay():
    kernel, bias, scale = (Variable([1.0], name=n) for n in ("kernel", "bias", "gamma"))
    optimizer = optimizers.AdamW(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[scale], var_names=["bias"])
    optimizer.apply([[0.0]] * 3, [kernel, bias, scale])
    assert [float(v) for v in (kernel, bias, scale)] == [0.75, 1.0, 1.0]


def test_constraints_come_after_the_step():
    w = Variable([1.0, -1.0])
    w.constraint = lambda value: np.maximum(np.asarray(value), 0.0)
    optimizers.SGD(0.5).apply([[1.0, -1.0]], [w])
    np.testing.assert_array_equal(w, [0.5, 0.0])


def test_a_small_decay_is_not_rounded_away():
    w = Variable(np.linspace(0.5, 1.0, 1001))
    optimizer = optimizers.SGD(1e-3, weight_decay=4e-3)
    for _ in range(250):
        optimizer.apply([np.zeros(1001)], [w])
    lost = np.linspace(0.5, 1.0, 1001).sum() - np.sum(w.numpy(), dtype=np.float64)
    np.testing.assert_allclose(lost, 1e-3 * np.linspace(0.5, 1.0, 1001).sum(), rtol=0.02)


def test_clipping_of_what_is_not_finite_or_overflows():
    big, w = np.float32([3e30, 4e30]), Variable([0.0, 0.0])
    optimizers.SGD(1.0, clipnorm=5.0).apply([big], [w])
    np.testing.assert_allclose(w, [-3.0, -4.0], rtol=1e-6)
    a, b = Variable([0.0]), Variable([0.0])
    optimizers.SGD(1.0, global_clipnorm=1.0).apply([[np.inf], [1.0]], [a, b])
    assert np.isnan([float(a), float(b)]).all()
    w = Variable([0.0, 0.0])
    optimizers.SGD(1.0, clipvalue=0.5).apply([[np.inf, np.nan]], [w])
    np.testing.assert_array_equal(w, [-0.5, np.nan])


def test_gradients_are_left_alone(rng):
    for name in NAMES:
        g, w = rng.standard_normal(5).astype(np.float32), Variable(np.ones(5))
        before = g.copy()
        getattr(optimizers, name)(0.1, weight_decay=0.1, clipvalue=0.1).apply([g], [w])
        np.testing.assert_array_equal(g, before)


@pytest.mark.parametrize("name", NAMES)
def test_tapes_notice_that_a_variable_was_overwritten(name):
    w = Variable([2.0])
    with GradientTape() as tape:
        y = w * w
    getattr(optimizers, name)(0.1).apply([[1.0]], [w])
    with pytest.raises(RuntimeError, match="overwritten"):
        tape.gradient(y, w)


def small_model():
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2, activation="softmax")]
    )
    for variable in model.weights:
        variable.assign(np.random.default_rng(3).standard_normal(variable.shape))
    return model


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_accumulation_steps": 3, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
        {"weight_decay": 0.1, "global_clipnorm": 0.1},
    ],
    ids=["plain", "accumulate-average", "decay-clip"],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_training_goes_on_bit_for_bit(rng, tmp_path, name, options):
    settings = {"SGD": {"momentum": 0.9}, "Adam": {"amsgrad": True}, "RMSprop": {"centered": True, "momentum": 0.5}}
    rate = schedules.CosineDecay(0.1, 20) if options else 0.1
    model = small_model()
    optimizer = getattr(optimizers, name)(rate, **settings.get(name, {}), **options)
    optimizer.exclude_from_weight_decay(var_list=[model.weights[0]], var_names=["bias"])
    model.weights[2].learning_rate_multiplier = 0.5
    model.compile(optimizer, "sparse_categorical_crossentropy")
    batches = [(rng.standard_normal((5, 4)), rng.integers(0, 2, 5)) for _ in range(9)]
    for batch in batches[:4]:
        model.train_on_batch(*batch)
    model.save(tmp_path / "model.safetensors")
    other = models.load_model(tmp_path / "model.safetensors")
    assert other.optimizer.iterations == model.optimizer.iterations
    for batch in batches[4:]:
        assert model.train_on_batch(*batch) == other.train_on_batch(*batch)
    for each in (model, other):
        each.optimizer.finalize_variable_values(each.trainable_weights)
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)


class Momentum(optimizers.Optimizer):
    """As one writes an optimizer for Keras."""

    def __init__(self, learning_rate=0.1, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.speeds = self.add_optimizer_variables(variables, "speed")
        self.seen = self.add_variable((), name="seen")

    def update_step(self, gradient, variable, learning_rate):
        speed = self.speeds[self._get_variable_index(variable)]
        speed.assign(0.5 * speed.numpy() - learning_rate * gradient)
        variable.assign_add(speed)
        self.seen.assign_add(1.0)


def test_an_optimizer_of_ones_own_is_saved_with_its_state(rng, tmp_path):
    model = small_model()
    twin = small_model()
    model.compile(Momentum(0.1, clipvalue=0.2), "sparse_categorical_crossentropy")
    twin.compile(optimizers.SGD(0.1, momentum=0.5, clipvalue=0.2), "sparse_categorical_crossentropy")
    batches = [(rng.standard_normal((5, 4)), rng.integers(0, 2, 5)) for _ in range(6)]
    for batch in batches[:3]:
        model.train_on_batch(*batch), twin.train_on_batch(*batch)
    model.save(tmp_path / "model.safetensors")
    other = models.load_model(tmp_path / "model.safetensors", custom_objects={"Momentum": Momentum})
    assert float(other.optimizer.seen) == 12.0
    for batch in batches[3:]:
        assert model.train_on_batch(*batch) == other.train_on_batch(*batch)
        twin.train_on_batch(*batch)
    for a, b, c in zip(model.weights, other.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="expects the variables that it was built with"):
        other.optimizer.apply([[1.0]], [Variable([1.0])])


def test_slots_continue_a_training(rng):
    gradients = [rng.standard_normal(5) for _ in range(4)]
    w = Variable(np.zeros(5))
    optimizer = optimizers.Adam()
    for g in gradients[:2]:
        optimizer.apply_gradients([(g, w)])
    copy = Variable(w.numpy())
    other = optimizers.Adam.from_config(optimizer.get_config())
    other.iterations = optimizer.iterations
    other.set_slots(copy, [s[0] for s in optimizer.slots([w])])
    for g in gradients[2:]:
        optimizer.apply_gradients([(g, w)])
        other.apply_gradients([(g, copy)])
    np.testing.assert_array_equal(copy, w)
    with pytest.raises(ValueError, match=r"expects 2 arrays of shape \(5,\), got shapes \[\(4,\), \(5,\)\]"):
        other.set_slots(copy, [np.zeros(4), np.zeros(5)])


def two_steps_on(variable):
    optimizers.SGD(clipnorm=1.0).apply([np.ones(2), np.ones(2)], [variable, variable])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.get("adamix"), "optimizer 'adamix' is not known; there are Adadelta, Adagrad, Adam"),
        (lambda: optimizers.get(1), "optimizer expects a name"),
        (lambda: optimizers.get({"class_name": "Adam", "config": {"speed": 1}}), "unexpected keyword argument 'speed'"),
        (lambda: optimizers.SGD(momentum=1.5), "SGD: momentum expects a number from 0.0 to 1.0, got 1.5"),
        (lambda: optimizers.Adam(beta_1=1.0), "Adam: beta_1 expects a number below 1"),
        (lambda: optimizers.AdamW(beta_2=1.0), "AdamW: beta_2 expects a number below 1"),
        (lambda: optimizers.AdamW(weight_decay=None), "AdamW: weight_decay expects a number, got None"),
        (lambda: optimizers.Lion(beta_1=0.0), "Lion: beta_1 expects a number above 0"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power expects a number from -inf to 0.0"),
        (lambda: optimizers.Ftrl(initial_accumulator_value=-1), "initial_accumulator_value expects a number from 0.0"),
        (lambda: optimizers.Adam(clipnorm=-1.0), "Adam: clipnorm expects a number from 0.0"),
        (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), "expects only one of clipnorm, clipvalue and global"),
        (lambda: optimizers.Adam(use_ema=True, ema_momentum=2.0), "Adam: ema_momentum expects a number from 0.0 to 1"),
        (lambda: optimizers.Adam(ema_overwrite_frequency=-1), "ema_overwrite_frequency expects a positive integer"),
        (lambda: optimizers.Adam(gradient_accumulation_steps=1), "steps expects an integer from 2, got 1"),
        (lambda: optimizers.Adam(loss_scale_factor=2.0), "loss_scale_factor=2.0 cannot be honoured"),
        (lambda: optimizers.Adam(decay=0.1), "Adam: decay=0.1 cannot be honoured: give a schedule"),
        (lambda: optimizers.SGD(lr=0.1), "SGD: unexpected keyword argument 'lr'"),
        (lambda: optimizers.Optimizer().apply([[1.0]], [Variable([1.0])]), "Optimizer defines no update_step"),
        (lambda: optimizers.SGD().apply([np.ones(1)], [np.ones(1)]), "expected Variables, got ndarray"),
        (lambda: two_steps_on(Variable(np.ones(2))), "a variable appears twice"),
        *(
            (
                lambda name=name: getattr(optimizers, name)().apply(
                    [np.ones(3)], [Variable(np.ones(2), name="kernel")]
                ),
                r"gradients expects shape \(2,\) for kernel, got \(3,\)",
            )
            for name in NAMES
        ),
    ],
)
def test_wrong_arguments_raise(make, message):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=message):
        make()


def test_averages_of_what_was_not_optimized_raise():
    optimizer, other = optimizers.SGD(use_ema=True), Variable([1.0], name="other")
    optimizer.finalize_variable_values([other])  # nothing was optimized yet
    optimizer.apply([[1.0]], [Variable([1.0])])
    with pytest.raises(ValueError, match="there is no average of other"):
        optimizer.finalize_variable_values([other])


@pytest.mark.parametrize("name", NAMES)
def test_names_and_configurations(name):
    for spelled in (name, name.lower(), name.upper()):
        assert type(optimizers.get(spelled)) is getattr(optimizers, name)
    optimizer = getattr(optimizers, name)(0.5, clipnorm=1.0, use_ema=True, ema_momentum=0.5)
    optimizer.weight_decay = 0.25
    entry = json.loads(json.dumps(optimizers.serialize(optimizer)))
    again = optimizers.get(entry)
    assert again.get_config() == optimizer.get_config()
    assert again.weight_decay == 0.25
    assert optimizers.get(optimizer) is optimizer


def test_no_arithmetic_warnings(rng):
    g = np.float32([np.inf, -np.inf, np.nan, 1e38, 1e-40, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in NAMES:
            optimizer = getattr(optimizers, name)(0.1, weight_decay=0.1, use_ema=True, gradient_accumulation_steps=2)
            w = Variable(np.float32([1, 1, 1, 3e38, 1, np.inf]))
            for _ in range(4):
                optimizer.apply([g], [w])
