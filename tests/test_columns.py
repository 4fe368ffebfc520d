"""im2col against the definition, col2im as its exact adjoint."""

import numpy as np
import pytest

from cnnfast import ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.gradcheck import gradcheck
from reference import assert_close, columns_of_windows, correlate, same_pads

CHANNELS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64]


class Case:
    """Random windows that their arguments admit; some may see nothing but padding."""

    def __init__(self, rng):
        rank = int(rng.integers(1, 4))
        self.window = tuple(int(v) for v in rng.integers(1, 5, rank))
        self.strides = tuple(int(v) for v in rng.integers(1, 5, rank))
        self.dilation = tuple(int(v) for v in rng.integers(1, 4, rank)) if rng.random() < 0.5 else (1,) * rank
        self.padding = self.pads = [(int(a), int(b)) for a, b in rng.integers(0, 6, (rank, 2))]
        reach = [(k - 1) * d + 1 for k, d in zip(self.window, self.dilation, strict=True)]
        sizes = [
            max(1, r - sum(p) + int(rng.integers(0, {1: 50, 2: 9, 3: 5}[rank])))
            for r, p in zip(reach, self.pads, strict=True)
        ]
        if rng.random() < 0.3:
            self.padding, self.pads = "same", same_pads(sizes, self.window, self.strides, self.dilation)
        self.x = rng.standard_normal((int(rng.integers(1, 3)), *sizes, int(rng.choice(CHANNELS)))).astype(np.float32)

    def arguments(self):
        return self.window, self.strides, self.padding, self.dilation

    def reference(self, x):
        return columns_of_windows(x, self.window, self.strides, self.pads, self.dilation)


@pytest.mark.parametrize("seed", range(8))
def test_random_windows(isa, threads, seed):
    rng = np.random.default_rng([seed, threads])
    for _ in range(4):
        case = Case(rng)
        columns = ops.im2col(case.x, *case.arguments())
        np.testing.assert_array_equal(columns, case.reference(case.x))
        c = rng.standard_normal(columns.shape).astype(np.float32)
        x = ops.col2im(c, case.x.shape, *case.arguments())
        # The adjoint place by place: what im2col takes from x[i], col2im brings back there.
        places = np.arange(case.x.size, dtype=float).reshape(case.x.shape) + 1
        index = case.reference(places).astype(int).ravel()
        expected = np.bincount(index, c.ravel(), case.x.size + 1)[1:].reshape(case.x.shape)
        assert_close(x, expected, np.prod(case.window))
        inner = np.vdot(columns.astype(float), c), np.vdot(case.x.astype(float), x)
        np.testing.assert_allclose(*inner, rtol=0, atol=1e-5 * np.linalg.norm(columns) * np.linalg.norm(c) + 1e-6)


def test_each_is_the_gradient_of_the_other(rng):
    case = Case(rng)
    c = rng.standard_normal(ops.im2col(case.x, *case.arguments()).shape).astype(np.float32)
    x, columns = Tensor(case.x), Tensor(c)
    with GradientTape() as tape:
        tape.watch([x, columns])
        forward, back = ops.im2col(x, *case.arguments()), ops.col2im(columns, case.x.shape, *case.arguments())
    dx, dc = tape.gradient([forward, back], [x, columns], output_gradients=[c, case.x])
    np.testing.assert_array_equal(dx.numpy(), back.numpy())
    np.testing.assert_array_equal(dc.numpy(), forward.numpy())
    assert gradcheck(lambda v: ops.im2col(v, *case.arguments()), [case.x])


def test_a_convolution_is_a_product_with_columns(rng):
    x, w = rng.standard_normal((2, 6, 7, 3)).astype(np.float32), rng.standard_normal((3, 2, 3, 5)).astype(np.float32)
    y = ops.im2col(x, (3, 2), 2, 1) @ w.reshape(-1, 5)
    assert_close(y, correlate(x, w, (2, 2), [(1, 1), (1, 1)], (1, 1)), 18)


def test_same_bits_for_all_threads(isa, rng, same_bits_for_all_threads):
    for shape, kernel in (((1, 40, 41, 3), 3), ((4, 20, 20, 17), 3), ((1, 30_000, 1), 5)):
        x = rng.standard_normal(shape).astype(np.float32)
        columns = same_bits_for_all_threads(lambda a=x, k=kernel: ops.im2col(a, k))[0]
        same_bits_for_all_threads(lambda c=columns, s=shape, k=kernel: ops.col2im(c, s, k))


def test_no_images():
    assert ops.im2col(np.zeros((0, 5, 5, 2)), 3).shape == (0, 3, 3, 18)
    assert ops.col2im(np.zeros((0, 3, 3, 18)), (0, 5, 5, 2), 3).shape == (0, 5, 5, 2)


def test_errors():
    x = np.zeros((1, 5, 5, 2))
    with pytest.raises(ValueError, match="im2col: kernel_size spans 6 values along height, x has 5"):
        ops.im2col(x, 6)
    with pytest.raises(ValueError, match=r"im2col: x must have 3, 4 or 5 axes .*\(5, 2\)"):
        ops.im2col(x[0, 0], 1)
    with pytest.raises(
        ValueError, match=r"col2im: columns of shape \(1, 3, 3, 18\) make x of shape .*, got \(1, 3, 3, 17\)"
    ):
        ops.col2im(np.zeros((1, 3, 3, 17)), (1, 5, 5, 2), 3)
    with pytest.raises(ValueError, match="larger than this machine can address"):
        ops.im2col(np.zeros((1, 1, 1, 1)), 2**29, padding=2**29)
    with pytest.raises(TypeError, match="col2im: columns must be an array of real numbers"):
        ops.col2im("text", (1, 5, 5, 2), 3)
