"""A convolution and the max pooling behind it in one pass."""

import numpy as np
import pytest

from cnnfast import GradientTape, Tensor, Variable, _core, layers, losses, ops
from cnnfast.models import Model, Sequential
from cnnfast.models.fusion import PaddedConvolution, PooledConvolution, WeightedActivation
from cnnfast.ops._conv_pool import Windows, conv_max_pool
from reference import assert_close, correlate, max_pool, same_pads

CONVOLUTIONS = {1: ops.conv1d, 2: ops.conv2d, 3: ops.conv3d}
POOLINGS = {1: ops.max_pool1d, 2: ops.max_pool2d, 3: ops.max_pool3d}
LEAKY = ("leaky_relu", 0.25)
SLOPES = {None: (1, 1), "relu": (1, 0), LEAKY: (1, 0.25)}


def whole_numbers(rng, *shape):
    """Small integers: exact in float32 however they are added up, with many ties."""
    return rng.integers(-2, 3, shape).astype(np.float32)


class Case:
    """A convolution of few channels and a pooling, both of any kind."""

    def __init__(self, rng, rank=2):
        def sizes(low, high):
            return tuple(int(v) for v in rng.integers(low, high, rank))

        self.rank = rank
        self.groups = int(rng.choice([1, 1, 1, 2]))
        channels, filters = int(rng.integers(1, 5)), int(rng.choice([1, 3, 9, 16, 17, 32, 40]))
        longest = {1: 60, 2: 20, 3: 8}[rank]
        self.x = whole_numbers(rng, int(rng.integers(1, 4)), *sizes(longest // 2, longest), channels * self.groups)
        self.w = whole_numbers(rng, *sizes(1, 4), channels, filters * self.groups)
        self.b = whole_numbers(rng, filters * self.groups) if rng.random() < 0.8 else None
        self.activation = [None, "relu", LEAKY][rng.integers(3)]
        strides, padding, dilation = sizes(1, 3), ["valid", "same"][rng.integers(2)], sizes(1, 3)
        window = (1, *sizes(1, 4)[1:]) if rank == 3 else sizes(1, 4)
        steps = (1, *sizes(1, 4)[1:]) if rank == 3 else sizes(1, 4)
        apart = rng.random() < 0.5
        pool = (window, window if apart else steps, ["valid", "same"][rng.integers(2)])
        self.windows = Windows(strides, padding, dilation, self.groups, *pool)

    def separately(self, x, w, b):
        convolution = dict(zip(self.windows._fields[:4], self.windows[:4], strict=True))
        y = CONVOLUTIONS[self.rank](x, w, b, **convolution, activation=self.activation)
        return POOLINGS[self.rank](y, *self.windows[4:])

    def expected(self, dy):
        """By the definitions: the result and the gradients to x, w and b."""
        x, w, s = self.x, self.w, self.windows
        pads = [(0, 0)] * self.rank
        if s.padding == "same":
            pads = same_pads(x.shape[1:-1], w.shape[: self.rank], s.strides, s.dilation_rate)
        z = correlate(x, w, s.strides, pads, s.dilation_rate, s.groups) + (0 if self.b is None else self.b)
        slopes = np.where(z > 0, *SLOPES[self.activation])
        y = (z * slopes).astype(np.float32)
        pool_pads = [(0, 0)] * self.rank
        if s.pool_padding == "same":
            pool_pads = same_pads(y.shape[1:-1], s.pool_size, s.pool_strides, (1,) * self.rank)
        p, dz = max_pool(y, dy, s.pool_size, s.pool_strides, pool_pads, (1,) * self.rank)
        dz = dz * slopes
        return p, [*gradients_of_correlation(x, w, dz, s, pads), dz.sum(tuple(range(self.rank + 1)))]


def gradients_of_correlation(x, w, dz, s, pads):
    """To x and to w, tap by tap."""
    rank, groups = w.ndim - 2, s.groups
    c, k = w.shape[-2], w.shape[-1] // groups
    padded = np.pad(x.astype(float), [(0, 0), *pads, (0, 0)])
    dx, dw = np.zeros_like(padded), np.zeros(w.shape)
    for tap in np.ndindex(*w.shape[:rank]):
        steps = zip(tap, s.dilation_rate, s.strides, dz.shape[1:-1], strict=True)
        place = (slice(None), *(slice(t * d, t * d + (n - 1) * step + 1, step) for t, d, step, n in steps))
        for g in range(groups):
            of_x, of_y = slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)
            dw[(*tap, slice(None), of_y)] = padded[(*place, of_x)].reshape(-1, c).T @ dz[..., of_y].reshape(-1, k)
            dx[(*place, of_x)] += dz[..., of_y] @ w[(*tap, slice(None), of_y)].T.astype(float)
    inside = tuple(slice(before, before + n) for (before, _), n in zip(pads, x.shape[1:-1], strict=True))
    return dx[(slice(None), *inside)], dw


def in_one_pass(case, with_x, dy):
    """The result and the gradients to x (None where it is not watched), w and b; None where two passes are quicker."""
    x, w, b = Tensor(case.x), Variable(case.w), None if case.b is None else Variable(case.b)
    sources = [v for v in (x if with_x else None, w, b) if v is not None]
    with GradientTape() as tape:
        if with_x:
            tape.watch(x)
        y = conv_max_pool(x if with_x else case.x, w, b, case.windows, case.activation)
    if y is None:
        return None
    found = iter(tape.gradient(y, sources, output_gradients=dy))
    return y, [None if v is None else np.asarray(next(found)) for v in (x if with_x else None, w, b)]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_random_shapes(isa, threads, rank):
    rng = np.random.default_rng([rank, threads])
    joined = 0
    for _ in range(25):
        case = Case(rng, rank)
        try:
            apart = np.asarray(case.separately(case.x, case.w, case.b))
        except ValueError:  # a window has no place
            continue
        dy = whole_numbers(rng, *apart.shape)
        p, known = case.expected(dy)
        np.testing.assert_array_equal(apart, p)
        for with_x in (False, True):
            result = in_one_pass(case, with_x, dy)
            if result is None:
                continue
            joined += 1
            np.testing.assert_array_equal(np.asarray(result[0]).view(np.uint32), apart.view(np.uint32))
            for gradient, expected in zip(result[1], known, strict=True):
                if gradient is not None:
                    assert_close(gradient, expected, 40 * dy.size)
        without = conv_max_pool(case.x, case.w, case.b, case.windows, case.activation)
        assert without is None or np.array_equal(np.asarray(without), apart)
    assert joined >= 10


@pytest.mark.parametrize("filters", [6, 32, 40])
@pytest.mark.parametrize("windows", [(2, 2, "valid"), (3, 2, "same"), (2, 3, "same")])
def test_bits_do_not_depend_on_threads(isa, same_bits_for_all_threads, rng, filters, windows):
    x = Tensor(rng.standard_normal((13, 20, 22, 3)).astype(np.float32))
    w = rng.standard_normal((3, 3, 3, filters)).astype(np.float32)
    b = rng.standard_normal(filters).astype(np.float32)

    def compute(with_x):
        kernel, bias = Variable(w), Variable(b)
        with GradientTape() as tape:
            if with_x:
                tape.watch(x)
            y = conv_max_pool(x, kernel, bias, Windows(1, "same", 1, 1, *windows), "relu")
            if y is None:
                y = ops.max_pool2d(ops.conv2d(x, kernel, bias, padding="same", activation="relu"), *windows)
        return np.asarray(y), *tape.gradient(y, [kernel, bias, x][: 2 + with_x], output_gradients=np.cos(y))

    for with_x in (False, True):
        same_bits_for_all_threads(lambda with_x=with_x: compute(with_x))


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "leaky_relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("filters", [4, 16])
def test_what_is_no_number_goes_the_same_way(isa, rng, activation, filters):
    x = rng.standard_normal((2, 12, 12, 2)).astype(np.float32)
    x[0, 3, 4, 0], x[0, 7, 7, 1], x[1, 2, 2, 0] = np.nan, np.inf, -np.inf
    w, b = rng.standard_normal((3, 3, 2, filters)).astype(np.float32), np.zeros(filters, np.float32)
    model = Sequential(
        [layers.Input((12, 12, 2)), layers.Conv2D(filters, 3, activation=activation), layers.MaxPooling2D()]
    )
    model.set_weights([w, b])
    assert [type(step.compute) for step in model._known_graph().steps] == [PooledConvolution]
    for training in (False, True):
        kernel, bias = model.layers[0].kernel, model.layers[0].bias
        with GradientTape() as tape:
            y = model(x, training=training)
        found = tape.gradient(y, [kernel, bias])
        with GradientTape() as tape:
            expected = ops.max_pool2d(ops.conv2d(x, kernel, bias, activation=activation))
        np.testing.assert_array_equal(np.asarray(y), np.asarray(expected))
        for one, other in zip(found, tape.gradient(expected, [kernel, bias]), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.predict_on_batch(x), np.asarray(expected))


@pytest.mark.parametrize("activation", ["linear", "relu", "relu6", "leaky_relu"])
@pytest.mark.parametrize(
    ("x_shape", "kernel", "padding", "groups", "strides", "lines"),
    [
        ((3, 28, 30, 1), (3, 3, 1, 32), "valid", 1, 1, ()),
        ((2, 13, 35, 1), (5, 5, 1, 19), "same", 1, 1, ()),
        ((2, 17, 9, 3), (3, 3, 3, 24), "same", 1, 1, ()),
        ((2, 24, 23, 2), (3, 2, 2, 16), "valid", 1, 2, ()),
        ((2, 12, 12, 6), (1, 3, 3, 34), "same", 2, 1, ()),
        ((2, 21, 33, 1), (5, 5, 1, 6), "same", 1, 1, ("avx512",)),  # an odd row and an odd column are left over
        ((3, 9, 130, 3), (3, 4, 3, 2), "valid", 1, 1, ("avx512", "avx2", "baseline")),
        ((17, 32, 29, 1), (2, 3, 1, 5), "valid", 1, (2, 1), ("avx512",)),
        ((2, 40, 700, 2), (3, 3, 2, 3), "same", 1, 1, ("avx512",)),
    ],
)
def test_windows_that_never_leave_the_registers(isa, rng, activation, x_shape, kernel, padding, groups, strides, lines):
    in_registers = kernel[-1] >= 16 or isa in lines  # the others pool what they have written
    shape = _core.ConvShape("conv2d", 2, x_shape, kernel, strides, padding, 1, groups)
    pooling = _core.Pooling("max_pool2d", shape.y_shape, 2, 2, "valid", 1)
    x = rng.standard_normal(x_shape).astype(np.float32)
    w, b = rng.standard_normal(kernel).astype(np.float32), rng.standard_normal(kernel[-1]).astype(np.float32)
    x[0] = np.round(x[0])  # many ties
    w[..., ::3] = np.round(w[..., ::3])
    b[::3] = np.round(b[::3])
    for odd in (None, np.nan, np.inf, -np.inf):
        if odd is not None:
            x[1, 3:5, 5, 0] = odd
        for alpha, bias in ((0.25, b), (-0.5, None)):
            apart = _core.conv_forward(shape, x, w, bias, activation, alpha)
            y, winners = pooling.max_with_winners(apart)
            _core.count_kernel_calls()
            try:
                found, places = _core.conv_pool_forward(shape, pooling, x, w, bias, activation, alpha, True)
                without = _core.conv_pool_forward(shape, pooling, x, w, bias, activation, alpha, False)
                calls = dict(zip(_core.kernel_names(), _core.kernel_calls(), strict=True))
            finally:
                _core.select_isa(isa)
            if in_registers:
                assert calls["line_pool_tile" if isa in lines else "conv_pool_tile"] > 0
                assert calls["max_pool_row"] == 0
                assert without is not None
            np.testing.assert_array_equal(np.isnan(found), np.isnan(y))
            np.testing.assert_array_equal(np.nan_to_num(found).view(np.uint32), np.nan_to_num(y).view(np.uint32))
            if without is not None:  # two passes may be quicker where no gradient is wanted
                np.testing.assert_array_equal(without[0], y)
            np.testing.assert_array_equal(places, winners)


def test_huge_strides():
    shape = _core.ConvShape("conv2d", 2, (1, 9, 9, 1), (3, 3, 1, 16), 1, "valid", 1)
    far = 2**31 - 1
    pooling = _core.Pooling("max_pool2d", shape.y_shape, 2, far, "valid", 1)
    x, w = np.ones((1, 9, 9, 1), np.float32), np.ones((3, 3, 1, 16), np.float32)
    y, winners = _core.conv_pool_forward(shape, pooling, x, w, None, "linear", 0.0, True)
    np.testing.assert_array_equal(y, np.full((1, 1, 1, 16), 9, np.float32))
    dw = _core.conv_pool_backward(shape, pooling, x, w, winners, y, False, True)[1]
    np.testing.assert_array_equal(dw, np.full(w.shape, 9, np.float32))


def test_many_taps(rng):
    # Winners that need more than a byte.
    x, w = rng.standard_normal((2, 40, 38, 1)).astype(np.float32), rng.standard_normal((3, 3, 1, 16)).astype(np.float32)
    kernel = Variable(w)
    results = []
    for windows in (Windows(1, "valid", 1, 1, 17, 17, "valid"), None):
        with GradientTape() as tape:
            y = (
                ops.max_pool2d(ops.conv2d(x, kernel), 17)
                if windows is None
                else conv_max_pool(x, kernel, None, windows)
            )
        results.append((np.asarray(y), np.asarray(tape.gradient(y, kernel))))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5, atol=1e-5)


def convnet():
    x = layers.Input((20, 20, 1))
    y = layers.MaxPooling2D()(layers.ReLU()(layers.Conv2D(16, 3)(layers.ZeroPadding2D(1)(x))))
    y = layers.MaxPooling2D(name="p2")(layers.Conv2D(8, 5, activation="relu", name="c2")(y))
    return Model(x, layers.Dense(3)(layers.Flatten()(y)))


def test_layers_that_are_joined():
    steps = convnet()._graph.steps
    assert [type(step.compute) for step in steps] == [
        PooledConvolution,
        PooledConvolution,
        layers.Flatten,
        layers.Dense,
    ]
    assert [len(step.layers) for step in steps] == [4, 2, 1, 1]


@pytest.mark.parametrize(
    ("convolution", "pooling"),
    [
        (layers.Conv2D(64, 3, padding="same"), layers.MaxPooling2D(3)),  # windows do not lie within tiles
        (layers.Conv2D(16, 1), layers.MaxPooling2D()),
        (layers.Conv2D(16, 3, activity_regularizer="l2"), layers.MaxPooling2D()),
        (layers.Conv2D(16, 3, activation="softmax"), layers.MaxPooling2D()),
        (layers.Conv2D(16, 3), layers.AveragePooling2D()),
        (layers.Conv2D(16, 3), layers.GlobalMaxPooling2D()),
        (layers.DepthwiseConv2D(3), layers.MaxPooling2D()),
    ],
)
def test_layers_that_are_not_joined(convolution, pooling):
    x = layers.Input((24, 24, 32))
    steps = Model(x, pooling(convolution(x)))._graph.steps
    assert [type(step.compute) for step in steps] == [type(convolution), type(pooling)]


def test_results_that_others_read_are_kept():
    x = layers.Input((24, 24, 1))
    y = layers.Conv2D(16, 3)(x)
    assert len(Model(x, [y, layers.MaxPooling2D()(y)])._graph.steps) == 2
    z = layers.ReLU()(y)
    kinds = [type(step.compute) for step in Model(x, [z, layers.MaxPooling2D()(z)])._graph.steps]
    assert kinds == [WeightedActivation, layers.MaxPooling2D]
    kinds = [type(s.compute) for s in Model(x, layers.Conv2D(2, 3)(layers.ZeroPadding2D(1)(x)))._graph.steps]
    assert kinds == [PaddedConvolution]


def test_models_compute_the_same(isa, rng):
    model = convnet()
    x, labels = rng.random((5, 20, 20, 1)).astype(np.float32), rng.integers(0, 3, 5)

    def one_by_one(values, training):
        for layer in model.layers[1:]:
            values = layer(values, training=training)
        return values

    np.testing.assert_array_equal(model.predict_on_batch(x), np.asarray(one_by_one(x, False)))
    gradients = []
    for call in (lambda: model(x, training=True), lambda: one_by_one(x, True)):
        with GradientTape() as tape:
            loss = losses.SparseCategoricalCrossentropy(from_logits=True)(labels, call())
        gradients.append(tape.gradient(loss, model.trainable_weights))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_an_activation_that_is_assigned_later(rng):
    model = convnet()
    x = rng.random((2, 20, 20, 1)).astype(np.float32)
    before = model(x)
    model.get_layer("c2").activation = "softmax"  # which no pass applies while it writes
    values = x
    for layer in model.layers[1:]:
        values = layer(values)
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(values))
    assert not np.array_equal(before, values)


def test_errors_name_the_layer_that_they_are_of(rng):
    x = layers.Input((None, None, 1))
    y = layers.Conv2D(16, 3, name="first")(x)
    model = Model(x, layers.MaxPooling2D(5, name="second")(y))
    assert [type(step.compute) for step in model._graph.steps] == [PooledConvolution]
    with pytest.raises(ValueError, match="Conv2D 'first': "):
        model(rng.random((1, 2, 2, 1)))
    with pytest.raises(ValueError, match="MaxPooling2D 'second': "):
        model(rng.random((1, 5, 5, 1)))
    with pytest.raises(ValueError, match="MaxPooling2D 'second': "):
        model.predict_on_batch(rng.random((1, 5, 5, 1)))


def test_empty_batches():
    assert convnet()(np.zeros((0, 20, 20, 1), np.float32)).shape == (0, 3)


def test_a_profile_has_a_row_for_both(rng):
    rows = convnet().profile(rng.random((2, 20, 20, 1)), training=True, repeats=1, print_fn=None)
    assert rows[1].name == "c2 + p2"
    assert rows[1].kind == "Conv2D + MaxPooling2D"
    assert rows[1].output_shape == (2, 3, 3, 8)
    assert rows[1].multiply_adds == 2 * 36 * 25 * 16 * 8
    assert rows[1].backward_seconds > 0
    assert rows[0].output_bytes == 2 * 100 * 16 * 4


@pytest.mark.parametrize("training", [False, True])
def test_layers_that_were_given_another_call(rng, training):
    x = rng.random((2, 20, 20, 1)).astype(np.float32)
    convolution, pooling = layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()
    model = Sequential([layers.Input((20, 20, 1)), convolution, pooling])
    assert [type(step.compute) for step in model._known_graph().steps] == [PooledConvolution]
    joined = np.asarray(model(x, training=training))
    pooling.call = lambda y: y[:, ::2, ::2]
    first = np.asarray(convolution(x))[:, ::2, ::2]
    assert not np.array_equal(first, joined)
    np.testing.assert_array_equal(np.asarray(model(x, training=training)), first)
    del pooling.call
    pooling.input_spec = layers.InputSpec(max_ndim=3)
    with pytest.raises(ValueError, match="MaxPooling2D"):
        model(x, training=training)
