"""Weights that lie ready for inference: the same results as an ordinary call, and never those of weights of before."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import cnnfast
from cnnfast import Model, Sequential, Variable, _core, layers, memory, ops
from cnnfast.models.folding import FoldedLayer
from cnnfast.models.prepared import PlainSum, PreparedLayer
from cnnfast.ops._prepared import INFERENCE_ACTIVATIONS, prepared_convolution, prepared_dense, prepared_depthwise

CONV = {1: ops.conv1d, 2: ops.conv2d, 3: ops.conv3d}
# window, groups, strides, dilation, padding, algorithms beside "auto" and "direct"
CASES = [
    ((3, 3), 1, 1, 1, "same", ("im2col", "winograd", "winograd_f4x3", "winograd_f2x3")),
    ((3, 3), 1, 1, 2, "valid", ("im2col", "winograd_f4x3")),
    ((3, 3), 1, 2, 1, "same", ("im2col", "winograd_f4x2")),
    ((2, 2), 1, 1, 1, "same", ("winograd_f4x2",)),
    ((5, 5), 1, 1, 1, 2, ("winograd_f2x5",)),
    ((1, 1), 1, 1, 1, "valid", ("im2col",)),
    ((1, 1), 1, 2, 1, "valid", ()),
    ((3, 3), 2, 1, 1, "same", ("im2col",)),
    ((3, 3), 8, 2, 1, "same", ()),
    ((3, 2), 16, 1, (1, 2), "same", ()),
    ((3, 3), 32, 1, 1, "same", ()),
    ((3,), 1, 1, 1, "same", ("winograd_f4x3", "winograd_f2x3")),
    ((4,), 4, 2, 1, "valid", ()),
    ((3, 3, 3), 1, 1, 1, "same", ("im2col", "winograd_f4x3")),
    ((2, 3, 3), 1, (2, 1, 1), 1, "valid", ()),
]


def arrays(rng, window, groups, c=32, k=48, images=2, size=9):
    x = rng.standard_normal((images, *[size] * len(window), c)).astype(np.float32)
    w = rng.standard_normal((*window, c // groups, k if groups < 32 else c)).astype(np.float32)
    return x, w, rng.standard_normal(w.shape[-1]).astype(np.float32)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_algorithm_computes_what_an_ordinary_call_does(isa, threads, rng, case):
    window, groups, strides, dilation, padding, algorithms = case
    x, w, b = arrays(rng, window, groups)
    for algorithm in ("direct", *algorithms):
        prepared = prepared_convolution(len(window), w, b, strides, padding, dilation, groups, "relu", algorithm)
        arguments = {"strides": strides, "padding": padding, "dilation_rate": dilation, "groups": groups}
        for images in (2, 1, 2):  # weights lie ready from the second call on
            expected = CONV[len(window)](x[:images], w, b, activation="relu", algorithm=algorithm, **arguments)
            np.testing.assert_array_equal(prepared(x[:images]), expected)
        assert prepared.forms == 1


def test_windows_of_the_whole_image_keep_panels_of_their_own(isa, rng):
    w = rng.standard_normal((5, 5, 16, 120)).astype(np.float32)
    prepared = prepared_convolution(2, w, None, 1, "valid", 1, 1, None, "direct")
    for size in (5, 8, 5, 9):
        x = rng.standard_normal((12, size, size, 16)).astype(np.float32)
        np.testing.assert_array_equal(prepared(x), ops.conv2d(x, w, algorithm="direct"))
    assert 1 <= prepared.forms <= 2


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_choice_for_ready_weights(isa, rng, same_bits_for_all_threads, case, flip):
    window, groups, strides, dilation, padding, _ = case
    x, w, b = arrays(rng, window, groups, size=11)
    compute = CONV[len(window)]
    for activation in (None, "sigmoid", ("leaky_relu", 0.3)):
        prepared = prepared_convolution(
            len(window), w, b, strides, padding, dilation, groups, activation, flip_kernel=flip
        )
        arguments = {"strides": strides, "padding": padding, "dilation_rate": dilation, "groups": groups}
        expected = compute(x, w, b, activation=activation, flip_kernel=flip, algorithm="direct", **arguments)
        (first,) = same_bits_for_all_threads(lambda p=prepared: p(x))
        np.testing.assert_allclose(first, expected, rtol=2e-4, atol=2e-4)
        np.testing.assert_array_equal(prepared(x), first)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize(("strides", "dilation", "padding"), [(1, 1, "same"), (2, 1, 1), (1, 2, "valid")])
@pytest.mark.parametrize("channels", [5, 70])
def test_depthwise(isa, threads, rng, rank, strides, dilation, padding, channels):
    x = rng.standard_normal((2, *[10] * rank, channels)).astype(np.float32)
    w = rng.standard_normal((*[3] * rank, channels, 2)).astype(np.float32)
    b = rng.standard_normal(2 * channels).astype(np.float32)
    prepared = prepared_depthwise(rank, w, b, strides, padding, dilation, "relu6")
    compute = {1: ops.depthwise_conv1d, 2: ops.depthwise_conv2d}[rank]
    for _ in range(2):
        expected = compute(x, w, b, strides=strides, padding=padding, dilation_rate=dilation, activation="relu6")
        np.testing.assert_array_equal(prepared(x), expected)


@pytest.mark.parametrize("rows", [0, 1, 7, 40])
def test_dense(isa, threads, rng, rows):
    x, w = rng.standard_normal((rows, 30)).astype(np.float32), rng.standard_normal((30, 20)).astype(np.float32)
    for b in (None, rng.standard_normal(20).astype(np.float32)):
        prepared = prepared_dense(w, b, "tanh")
        for _ in range(2):
            np.testing.assert_array_equal(prepared(x), ops.dense(x, w, b, activation="tanh"))
    wide = x.reshape(rows, 1, 30)
    np.testing.assert_array_equal(prepared(wide), ops.dense(wide, w, b, activation="tanh"))


def test_arguments_that_do_not_fit(rng):
    x, w, b = arrays(rng, (3, 3), 1)
    with pytest.raises(ValueError, match=r"conv2d: bias expects shape \(48,\), got \(2,\)"):
        prepared_convolution(2, w, b[:2], 1, "same", 1, 1, None)
    with pytest.raises(ValueError, match="padding"):
        prepared_convolution(2, w, b, 1, "both", 1, 1, None)
    with pytest.raises(ValueError, match="kernel expects"):
        prepared_convolution(2, w, b, 1, "same", 1, 1, None)(x[..., :5].copy())
    with pytest.raises(ValueError, match="dense: kernel expects shape"):
        prepared_dense(w[0, 0], b, None)(x[..., :5].copy())
    with pytest.raises(ValueError, match="dense: kernel expects shape"):
        prepared_dense(w, b, None)
    with pytest.raises(TypeError):
        prepared_dense(w[0, 0], b, None)(x.astype(np.float64))


def test_sizes_do_not_pile_up(rng):
    """Whatever the sizes, a layer keeps three forms at most; after a size that it forgot it is right all the same."""
    _, w, b = arrays(rng, (3, 3), 1, c=64, k=64)
    prepared = prepared_convolution(2, w, b, 1, "same", 1, 1, None)
    seen = set()
    for size in (2, 3, 5, 8, 12, 20, 3, 8, 2):
        x = rng.standard_normal((1, size, size, 64)).astype(np.float32)
        seen.add(prepared.algorithm(x.shape))
        expected = ops.conv2d(x, w, b, padding="same", algorithm="direct")
        np.testing.assert_allclose(prepared(x), expected, rtol=2e-4, atol=2e-4)
        assert prepared.forms <= 3
    assert len(seen) > 1


def test_nothing_is_kept_where_it_would_not_count(rng):
    _, w, b = arrays(rng, (3, 3), 1, c=64, k=64)
    prepared = prepared_convolution(2, w, b, 1, "same", 1, 1, None)
    prepared(rng.standard_normal((2, 150, 150, 64)).astype(np.float32))
    assert prepared.forms == 0


# In models


def network():
    x = layers.Input((12, 12, 3))
    y = layers.Conv2D(32, 3, activation="relu")(x)
    y = layers.BatchNormalization()(layers.Conv2D(40, 3, use_bias=False)(layers.ZeroPadding2D(1)(y)))
    y = layers.ReLU()(y)
    y = layers.LeakyReLU(0.1)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y)))
    y = layers.Conv2D(48, 1)(layers.ZeroPadding2D(1)(y))
    y = layers.LeakyReLU()(layers.Conv2D(20, 3, groups=4)(y))
    return Model(x, layers.Dense(5)(layers.Dense(7)(layers.Flatten()(y))))


@pytest.fixture
def model(rng):
    model = network()
    model.set_weights([(rng.uniform(0.1, 1, w.shape) - 0.5 * (w.ndim > 1)) / w.size**0.1 for w in model.weights])
    return model


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 12, 12, 3)).astype(np.float32)


def check(model, x):
    for _ in range(2):
        expected = model(x, training=False)
        np.testing.assert_allclose(model.infer(x), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_layers_of_a_model_are_prepared(isa, model, x):
    check(model, x)
    computes = [step.compute for step in model._graph.inference_steps()]
    assert [type(c) for c in computes].count(PreparedLayer) == 5  # the first, 1x1, grouped and dense ones
    assert [type(c) for c in computes].count(FoldedLayer) == 2
    made = [c._ready._made.compute for c in computes if type(c) in (PreparedLayer, FoldedLayer)]
    assert [m.forms for m in made] == [1, 1, 1, 1, 1, 0, 0]  # dense layers read the matrix for so few rows


def changed_by_set_weights(model, rng):
    model.set_weights([w + 0.1 for w in model.get_weights()])


def changed_by_assigning(model, rng):
    for weight in model.weights:
        weight.assign(weight.numpy() * 1.5)
        weight.assign_add(np.full(weight.shape, 0.05))


def changed_by_training(model, rng):
    model.compile("adam", "mse")
    model.fit(rng.standard_normal((8, 12, 12, 3)).astype(np.float32), np.ones((8, 5)), verbose=0)


def changed_by_a_step_of_sgd(model, rng):
    model.compile(cnnfast.optimizers.SGD(0.01, momentum=0.9), "mse")
    model.train_on_batch(rng.standard_normal((8, 12, 12, 3)).astype(np.float32), np.ones((8, 5)))


def changed_by_a_file(model, rng, tmp_path):
    other = network()
    other.set_weights([w * 1.2 for w in model.get_weights()])
    other.save_weights(tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")


def changed_statistics(model, rng):
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean.numpy() + 1)
            layer.epsilon = 0.5


def changed_activation(model, rng):
    model.layers[1].activation = "tanh"
    model.layers[-1].activation = "sigmoid"
    model.layers[-2].activation = lambda x: x * 2.0


def rebound(model, rng):
    """Weights that are other variables, as a program may bind them by force."""
    for layer in model.layers:
        if isinstance(layer, (layers.Conv2D, layers.Dense)):
            layer.__dict__["kernel"] = Variable(layer.kernel.numpy() * 0.5)
            layer.__dict__["bias"] = None


@pytest.mark.parametrize(
    "change",
    [changed_by_set_weights, changed_by_assigning, changed_by_training, changed_by_a_step_of_sgd, changed_by_a_file,
     changed_statistics, changed_activation, rebound],
)  # fmt: skip
def test_weights_of_before_are_never_used(model, x, rng, change, tmp_path):
    check(model, x)
    before = model.infer(x)
    change(*(model, rng, tmp_path)[: change.__code__.co_argcount])
    check(model, x)
    assert np.abs(model.infer(x) - before).max() > 1e-4


def test_one_weight_after_the_other(model, x):
    check(model, x)
    for weight in model.weights:
        before = model.infer(x)
        weight.assign(weight.numpy() + 0.05 * (np.arange(weight.size) % 2).reshape(weight.shape))
        check(model, x)
        assert np.abs(model.infer(x) - before).max() > 0


def test_gradients_are_those_of_the_ordinary_way(model, x):
    kernel = model.layers[1].kernel

    def gradient(compute):
        t = cnnfast.Tensor(x)
        with cnnfast.GradientTape() as tape:
            tape.watch(t)
            loss = ops.sum(compute(t) ** 2)
        return tape.gradient(loss, [t, kernel])

    model.infer(x)
    first = model._graph.inference_steps()[0].compute
    assert type(first) is PreparedLayer
    for a, b in zip(gradient(first), gradient(model.layers[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(np.asarray(b)).max())


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), cnnfast.models.clone_model]
)
def test_copies(rng, x, duplicate):
    model = Sequential(
        [layers.Input((12, 12, 3)), layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten(),
         layers.Dense(5)]
    )  # fmt: skip
    model.infer(x)
    other = duplicate(model)
    if duplicate is not copy.copy:
        other.set_weights([w * 1.1 for w in model.get_weights()])
        assert np.abs(other.infer(x) - model.infer(x)).max() > 1e-4
    check(other, x)
    check(model, x)


def test_saving(model, x, tmp_path):
    expected = model.infer(x)
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(cnnfast.load_model(tmp_path / "m.safetensors").infer(x), expected)


def test_memory_is_given_back(rng):
    def used():
        gc.collect()
        return memory.stats()["used_bytes"]

    x = rng.standard_normal((1, 8, 8, 64)).astype(np.float32)
    before = used()
    model = Sequential([layers.Input((None, None, 64)), layers.Conv2D(128, 3, padding="same", name="c")])
    kernel = model.layers[0].kernel
    model.infer(x)
    kept = used() - before
    assert 4 * kernel.size <= kept <= 2 * 6.25 * 4 * kernel.size
    for size in (2, 3, 4, 6, 9, 14, 25, 8):
        model.infer(rng.standard_normal((1, size, size, 64)).astype(np.float32))
        assert used() - before <= 2 * 6.25 * 4 * kernel.size
    for _ in range(5):  # what was made of weights of before goes
        kernel.assign(kernel.numpy() * 1.1)
        model.infer(x)
    assert used() - before <= kept
    del model, kernel
    assert used() <= before


def test_threads_that_predict_at_once(model, x):
    expected = model.infer(x)
    model.layers[1].kernel.assign(model.layers[1].kernel.numpy())  # all of them find that there is something to do
    wrong, start = [], threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(30):
            if not np.array_equal(model.infer(x), expected):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_errors_name_the_layer(model):
    model.infer(np.zeros((1, 12, 12, 3), np.float32))
    with pytest.raises(ValueError, match=f"{model.layers[1].name}.*x has 4"):
        model.infer(np.zeros((1, 12, 12, 4), np.float32))


def test_instruction_sets_do_not_share_panels(rng):
    x, w, b = arrays(rng, (3, 3), 1)
    prepared = prepared_convolution(2, w, b, 1, "same", 1, 1, None)
    chosen, expected = _core.isa(), ops.conv2d(x, w, b, padding="same", algorithm="direct")
    try:
        for isa in [*_core.available_isas(), *_core.available_isas()]:
            _core.select_isa(isa)
            np.testing.assert_allclose(prepared(x), expected, rtol=2e-4, atol=2e-4)
    finally:
        _core.select_isa(chosen)


@pytest.mark.parametrize("name", sorted(INFERENCE_ACTIVATIONS))
@pytest.mark.parametrize("as_layer", [True, False])
def test_activations_that_the_engine_applies_in_inference_only(isa, rng, name, as_layer):
    def activated(y):
        return layers.Activation(name)(y) if as_layer else getattr(ops, name)(y)

    x = layers.Input((9, 9, 5))
    y = activated(layers.Conv2D(20, 3, padding="same")(x))
    y = activated(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(y)))
    y = activated(layers.Dense(7)(layers.Flatten()(y)))
    model = Model(x, y)
    model.set_weights([rng.uniform(0.1, 1, w.shape) - 0.5 * (w.ndim > 1) for w in model.weights])
    steps = model._graph.inference_steps()
    assert len(steps) == 4
    values = 3 * rng.standard_normal((2, 9, 9, 5)).astype(np.float32)
    check(model, values)
    for step in steps[:2]:  # tensors take the way that a gradient can go
        with cnnfast.GradientTape() as tape:
            t = cnnfast.Tensor(rng.standard_normal((1, 9, 9, step.layers[0].kernel.shape[2])).astype(np.float32))
            tape.watch(t)
            z = step.compute(t)
        np.testing.assert_allclose(z, step.compute(np.array(t)), rtol=1e-4, atol=1e-4)
        assert np.abs(np.asarray(tape.gradient(z, t))).max() > 0


def test_sums(rng):
    x = layers.Input((6, 6, 4))
    y, z = layers.Conv2D(4, 3, padding="same")(x), layers.Conv2D(1, 1)(x)
    model = Model(x, [layers.Add()([x, y]), layers.Add()([y, z]), layers.Add()([x, y, z])])
    kinds = [type(step.compute) for step in model._graph.inference_steps()]
    assert kinds.count(PlainSum) == 3
    values = rng.standard_normal((2, 6, 6, 4)).astype(np.float32)
    for found, expected in zip(model.infer(values), model(values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
