"""Layer, RMS and group normalisation against the definition and its chain rule."""

import numpy as np
import pytest

from cnnfast import ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.gradcheck import gradcheck
from reference import assert_close, group_norm, layer_norm, numerical_gradient_of_all

COLUMNS = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 513, 4096, 4097, 9001]
# images, positions, channels, groups
GROUPS = [
    (2, 1, 6, 3), (3, 1, 64, 4), (2, 5, 1, 1), (2, 7, 3, 1), (3, 49, 6, 2), (2, 50, 32, 32), (1, 600, 33, 11),
    (2, 333, 48, 4), (9, 30, 64, 1), (1, 40, 520, 8), (40, 2, 16, 2), (1, 9000, 2, 1),
]  # fmt: skip


def run(compute, *inputs, dy):
    """The result and the gradients of all inputs that are there."""
    tensors = [None if v is None else Tensor(v) for v in inputs]
    sources = [t for t in tensors if t is not None]
    with GradientTape() as tape:
        tape.watch(sources)
        y = compute(*tensors)
    return [np.asarray(y), *(g.numpy() for g in tape.gradient(y, sources, output_gradients=dy))]


def drawn(rng, rows, columns):
    """x with rows of means of their own, dy, gamma and beta."""
    x = rng.standard_normal((rows, columns)) * 2 + rng.standard_normal((rows, 1)) * 5
    dy, (gamma, beta) = rng.standard_normal((rows, columns)), rng.standard_normal((2, columns))
    return [v.astype(np.float32) for v in (x, dy, gamma, beta)]


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("centred", [True, False])
def test_rows(isa, threads, rng, columns, centred):
    for rows in (1, 3, 4, 2 + 6000 // columns):
        x, dy, gamma, beta = drawn(rng, rows, columns)
        if centred:
            found = run(lambda *v: ops.layer_normalization(*v, epsilon=0.1), x, gamma, beta, dy=dy)
        else:
            found = run(lambda *v: ops.rms_normalization(*v, epsilon=0.1), x, gamma, dy=dy)
        exact = layer_norm(*(v.astype(float) for v in (x, dy, gamma, beta if centred else 0 * beta)), 0.1, centred)
        assert_close(found[0], exact[0], scale=60)
        for actual, expected in zip(found[1:], exact[1:], strict=False):
            assert_close(actual, expected, rows, scale=60)


@pytest.mark.parametrize(("images", "positions", "channels", "groups"), GROUPS)
def test_groups(isa, threads, rng, images, positions, channels, groups):
    x, dy, gamma, beta = drawn(rng, images * positions, channels)
    x, dy = x.reshape(images, positions, channels), dy.reshape(images, positions, channels)
    found = run(lambda *v: ops.group_normalization(*v, groups, 0.1), x, gamma, beta, dy=dy)
    exact = group_norm(*(v.astype(float) for v in (x, dy, gamma, beta)), 0.1, groups)
    assert_close(found[0], exact[0], scale=60)
    for actual, expected in zip(found[1:], exact[1:], strict=True):
        assert_close(actual, expected, images * positions, scale=60)


@pytest.mark.parametrize("with_gamma", [True, False])
@pytest.mark.parametrize("with_beta", [True, False])
def test_parameters_may_be_missing(isa, rng, with_gamma, with_beta):
    x, dy, gamma, beta = drawn(rng, 30, 19)
    given = gamma if with_gamma else None, beta if with_beta else None
    used = gamma if with_gamma else np.ones(19), beta if with_beta else np.zeros(19)
    exact = layer_norm(*(v.astype(float) for v in (x, dy, *used)), 1e-3)
    kept = [v for v, there in zip(exact, (True, True, with_gamma, with_beta), strict=True) if there]
    for actual, expected in zip(run(ops.layer_normalization, x, *given, dy=dy), kept, strict=True):
        assert_close(actual, expected, 30, scale=60)
    images = x.reshape(5, 6, 19), dy.reshape(5, 6, 19)
    exact = group_norm(*(v.astype(float) for v in (*images, *used)), 1e-3, 19)
    kept = [v for v, there in zip(exact, (True, True, with_gamma, with_beta), strict=True) if there]
    found = run(lambda *v: ops.group_normalization(*v, 19), images[0], *given, dy=images[1])
    for actual, expected in zip(found, kept, strict=True):
        assert_close(actual, expected, 30, scale=60)


@pytest.mark.parametrize("axis", [0, 1, (1, 2), (0, 3), (3, 1), (0, 1, 2, 3)])
def test_other_axes_are_rows_of_a_transposed_array(axis, rng):
    x, dy = rng.standard_normal((2, 4, 3, 2, 5)).astype(np.float32)
    axes = tuple(sorted(np.atleast_1d(axis)))
    order = [*(i for i in range(4) if i not in axes), *axes]
    shape = [x.shape[a] for a in axes]
    gamma, beta = rng.standard_normal((2, *shape)).astype(np.float32)
    found = run(lambda *v: ops.layer_normalization(*v, axis=axis), x, gamma, beta, dy=dy)
    turned = [v.astype(float).transpose(order) for v in (x, dy)]
    rows = [v.reshape(-1, gamma.size) for v in turned]
    exact = layer_norm(*rows, gamma.ravel().astype(float), beta.ravel().astype(float), 1e-3)
    for actual, expected in zip(found[:2], exact[:2], strict=True):
        assert_close(actual, expected.reshape(turned[0].shape).transpose(np.argsort(order)), 30, scale=10)
    for actual, expected in zip(found[2:], exact[2:], strict=True):
        assert_close(actual, expected.reshape(shape), 30, scale=10)


def test_bits_do_not_depend_on_threads(isa, rng, same_bits_for_all_threads):
    for rows, columns in ((9000, 19), (300, 513), (5, 70000), (1, 300000)):
        x, dy, gamma, beta = drawn(rng, rows, columns)
        same_bits_for_all_threads(lambda v=(x, gamma, beta), d=dy: run(ops.layer_normalization, *v, dy=d))
    for images, positions, channels, groups in ((1, 9000, 32, 4), (3, 3000, 33, 11), (30, 300, 19, 1), (700, 1, 96, 3)):
        x, dy, gamma, beta = drawn(rng, images * positions, channels)
        arrays = x.reshape(images, positions, channels), gamma, beta
        d = dy.reshape(arrays[0].shape)
        same_bits_for_all_threads(
            lambda v=arrays, d=d, g=groups: run(lambda *w: ops.group_normalization(*w, g), *v, dy=d)
        )


@pytest.mark.parametrize("compute", [
    lambda x, gamma, beta: ops.layer_normalization(x, gamma, beta, epsilon=0.01),
    lambda x, gamma, beta: ops.rms_normalization(x, gamma, epsilon=0.01),
    lambda x, gamma, beta: ops.group_normalization(x, gamma, beta, 3, 0.01),
    lambda x, gamma, beta: ops.group_normalization(x, gamma, beta, 6, 0.01),
])  # fmt: skip
def test_numerical_gradients(compute):
    rng = np.random.default_rng(5)
    weights = rng.standard_normal((4, 5, 6)).astype(np.float32)
    inputs = [rng.standard_normal((4, 5, 6)), *rng.standard_normal((2, 6))]
    assert gradcheck(lambda *v: compute(*v) * weights, inputs, eps=1e-3)


def test_the_references_chain_rule_is_that_of_its_forward_pass():
    rng = np.random.default_rng(6)
    x, dy = rng.standard_normal((2, 2, 3, 4))
    gamma, beta = rng.standard_normal((2, 4))
    for groups in (1, 2, 4):

        def forward(v, g=groups):
            return group_norm(v, dy, gamma, beta, 0.1, g)[0]

        exact = numerical_gradient_of_all(forward, x, dy)
        np.testing.assert_allclose(group_norm(x, dy, gamma, beta, 0.1, groups)[1], exact, atol=1e-7)
    for centred in (True, False):

        def rows(v, c=centred):
            return layer_norm(v, dy[0], gamma, beta, 0.1, c)[0]

        exact = numerical_gradient_of_all(rows, x[0], dy[0])
        np.testing.assert_allclose(layer_norm(x[0], dy[0], gamma, beta, 0.1, centred)[1], exact, atol=1e-7)


@pytest.mark.parametrize("mean", [1e3, 1e5])
def test_large_means_cost_no_more_than_their_own_rounding(isa, mean, rng):
    x = (rng.standard_normal((20, 5000)) + mean).astype(np.float32)
    gamma, beta = np.ones(5000, np.float32), np.zeros(5000, np.float32)
    exact = layer_norm(x.astype(float), x.astype(float), gamma, beta, 1e-3)[0]
    assert_close(ops.layer_normalization(x), exact, scale=mean / 4)
    images = x.reshape(4, 1000, 25)
    exact = group_norm(images.astype(float), images.astype(float), gamma[:25], beta[:25], 1e-3, 5)[0]
    assert_close(ops.group_normalization(images, None, None, 5), exact, scale=mean / 4)


def test_what_is_not_finite_stays_in_its_row_or_group(isa, rng):
    x, dy, gamma, beta = drawn(rng, 30, 37)
    for value in (np.nan, np.inf, -np.inf):
        bad = x.copy()
        bad[3, 36] = value
        y, dx, *_ = run(ops.layer_normalization, bad, gamma, beta, dy=dy)
        clean, dclean, *_ = run(ops.layer_normalization, x, gamma, beta, dy=dy)
        assert np.isnan(y[3]).any()
        assert np.isnan(dx[3]).all()
        others = np.arange(30) != 3
        np.testing.assert_array_equal(y[others], clean[others])
        np.testing.assert_array_equal(dx[others], dclean[others])
        images = bad.reshape(3, 10, 37)
        y = ops.group_normalization(images, gamma, beta, 37)
        assert np.isnan(y[0, :, 36]).any()
        assert np.isfinite(y[0, :, :36]).all()
        assert np.isfinite(y[1:]).all()
    constant = np.full((2, 40), 3.0, np.float32)
    np.testing.assert_array_equal(ops.layer_normalization(constant), 0)
    assert np.isnan(ops.layer_normalization(constant, epsilon=0.0)).all()


def test_empty_arrays(isa):
    for shape in ((0, 5), (3, 0), (0, 0)):
        x, gamma = np.zeros(shape, np.float32), np.ones(shape[1], np.float32)
        y, dx, dgamma, dbeta = run(ops.layer_normalization, x, gamma, gamma, dy=x)
        assert y.shape == dx.shape == shape
        np.testing.assert_array_equal([dgamma, dbeta], np.zeros((2, shape[1])))
    for shape in ((0, 5, 4), (3, 0, 4), (3, 1, 0), (0, 1, 4)):
        x, gamma = np.zeros(shape, np.float32), np.ones(shape[2], np.float32)
        y, dx, dgamma, dbeta = run(lambda *v: ops.group_normalization(*v, 2), x, gamma, gamma, dy=x)
        assert y.shape == dx.shape == shape
        np.testing.assert_array_equal([dgamma, dbeta], np.zeros((2, shape[2])))


def test_errors():
    x = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(ValueError, match=r"layer_normalization: gamma expects 4 values, got shape \(3,\)"):
        ops.layer_normalization(x, np.ones(3))
    with pytest.raises(ValueError, match=r"group_normalization: x expects .* multiple of groups=3, got shape"):
        ops.group_normalization(x, None, None, 3)
