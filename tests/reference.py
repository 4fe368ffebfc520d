"""Slow, obvious float64 NumPy of every operation, written from the definitions.

Nothing here shares code, layout tricks or algorithms with the engine: loops over output positions and taps.
"""

import itertools
import math

import numpy as np

EPS = float(np.finfo(np.float32).eps)


def assert_close(actual, expected, terms=1, scale=None):
    """Compare a float32 result with a float64 reference.

    A sum of `terms` products, each at most `scale` large, is off by at most about terms * eps * scale; the random signs
    of real rounding errors make it sqrt(terms) in practice, of which this allows a generous multiple.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == np.float32, actual.dtype
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    magnitude = np.max(np.abs(expected), initial=1.0) if scale is None else scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=16 * EPS * np.sqrt(max(terms, 1)) * magnitude)


# ---- elementwise


def numerical_gradient(f, x, dy, step=1e-6):
    """The gradient of sum(f(x) * dy) by central differences, where `f` works element by element."""
    return dy * (f(x + step) - f(x - step)) / (2 * step)


def normal_distribution(x):
    """P(X <= x) for a standard normal X."""
    return np.vectorize(math.erfc, otypes=[float])(-x / math.sqrt(2)) / 2


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu_tanh(x):
    # 1 + tanh(u) = 2 * sigmoid(2 * u), without the cancellation.
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "elu": lambda x: elu(x, 1.0),
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "softplus": lambda x: np.logaddexp(0, x),
    "gelu": lambda x: x * normal_distribution(x),
    "silu": lambda x: x * sigmoid(x),
}


def correlate(x, w, strides, pads, dilation, groups=1, flip=False):
    """Cross-correlation of x (N, spatial..., C) with w (spatial..., C / groups, K), tap by tap.

    `pads` are (before, after) pairs; with `flip` the kernel is turned first, which makes it a true convolution.
    """
    rank = w.ndim - 2
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    if flip:
        w = np.flip(w, tuple(range(rank)))
    padded = np.pad(x, [(0, 0), *pads, (0, 0)])
    reach = [(w.shape[a] - 1) * dilation[a] + 1 for a in range(rank)]
    out = [(padded.shape[a + 1] - reach[a]) // strides[a] + 1 for a in range(rank)]
    c, k = w.shape[-2], w.shape[-1] // groups
    y = np.zeros((x.shape[0], *out, w.shape[-1]))
    for tap in np.ndindex(*w.shape[:rank]):
        starts = [tap[a] * dilation[a] for a in range(rank)]
        window = (
            slice(None),
            *(slice(s, s + (o - 1) * t + 1, t) for s, o, t in zip(starts, out, strides, strict=True)),
        )
        for g in range(groups):
            part = padded[(*window, slice(g * c, (g + 1) * c))]
            y[..., g * k : (g + 1) * k] += part @ w[tap][:, g * k : (g + 1) * k]
    return y


def same_pads(sizes, window, strides, dilation):
    """Keras's "same": the output has ceil(size / stride) positions, an odd total is padded after."""
    pads = []
    for size, k, s, d in zip(sizes, window, strides, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def numerical_gradient_of_all(f, x, dy, step=1e-6):
    """The gradient of sum(f(x) * dy) by central differences, one element of x after the other."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = np.sum((f(ahead) - f(behind)) * dy) / (2 * step)
    return gradient


def log_softmax(x, axis):
    shifted = x - np.max(x, axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis, keepdims=True))


def softmax(x, axis):
    return np.exp(log_softmax(x, axis))


def cross_entropy(labels, logits):
    return -np.sum(labels * log_softmax(logits, -1), -1)


# ---- pooling and windows


def window_taps(sizes, window, strides, pads, dilation):
    """For every output position of a pooling: (position, list of (tap, place in x)), taps inside x only."""
    out = [
        (n + before + after - (k - 1) * d - 1) // s + 1
        for n, k, s, (before, after), d in zip(sizes, window, strides, pads, dilation, strict=True)
    ]
    for position in np.ndindex(*out):
        taps = []
        for number, tap in enumerate(np.ndindex(*window)):
            place = tuple(
                o * s - before + t * d
                for o, s, (before, _), t, d in zip(position, strides, pads, tap, dilation, strict=True)
            )
            if all(0 <= p < n for p, n in zip(place, sizes, strict=True)):
                taps.append((number, place))
        yield position, taps


def pool_shape(x, windows):
    return (len(x), *(max(p[a] for p, _ in windows) + 1 for a in range(x.ndim - 2)), x.shape[-1])


def max_pool(x, dy, *window):
    """The maxima of x's windows, and the gradient: each dy goes to the first place that holds the maximum."""
    windows = list(window_taps(x.shape[1:-1], *window))
    y, dx = np.zeros(pool_shape(x, windows)), np.zeros(x.shape)
    image, channel = np.indices((len(x), x.shape[-1]))
    for position, taps in windows:
        here = (slice(None), *position)
        values = np.stack([x[(slice(None), *place)] for _, place in taps])
        winner = np.argmax(values, axis=0)  # the first maximum, or the first NaN
        y[here] = values[winner, image, channel]
        for number, (_, place) in enumerate(taps):
            dx[(slice(None), *place)] += np.where(winner == number, dy[here], 0) if dy is not None else 0
    return y, dx


def average_pool(x, dy, include_pad, *window):
    """The means of x's windows, and the gradient: each dy spread evenly over its window."""
    windows = list(window_taps(x.shape[1:-1], *window))
    y, dx = np.zeros(pool_shape(x, windows)), np.zeros(x.shape)
    for position, taps in windows:
        count = np.prod(window[0]) if include_pad else len(taps)
        for _, place in taps:
            here, there = (slice(None), *position), (slice(None), *place)
            y[here] += x[there] / count
            if dy is not None:
                dx[there] += dy[here] / count
    return y, dx


def columns_of_windows(x, *window):
    """im2col: (N, out..., taps * C)."""
    windows = list(window_taps(x.shape[1:-1], *window))
    shape = pool_shape(x, windows)
    columns = np.zeros((*shape[:-1], int(np.prod(window[0])), x.shape[-1]))
    for position, taps in windows:
        for number, place in taps:
            columns[(slice(None), *position, number)] = x[(slice(None), *place)]
    return columns.reshape(*shape[:-1], -1)


# ---- normalisation


def batch_norm(x, mean, variance, gamma, beta, epsilon, activation=None, residual=0.0):
    y = gamma * (x - mean) / np.sqrt(variance + epsilon) + beta + residual
    return ACTIVATIONS[activation or "linear"](y)


def batch_norm_gradient(x, dy, mean, variance, gamma, beta, epsilon, activation, training, residual=0.0):
    """dx, dgamma, dbeta and the residual's gradient by the chain rule, one intermediate at a time."""
    n = x.size // x.shape[-1]
    axes = tuple(range(x.ndim - 1))
    deviation = np.sqrt(variance + epsilon)
    normal = (x - mean) / deviation
    value = gamma * normal + beta + residual
    if activation is not None:
        dy = np.where((value > 0) & ((value < 6) | (activation == "relu")), dy, 0)
    dnormal = dy * gamma
    dx = dnormal / deviation
    if training:
        dvariance = np.sum(dnormal * (x - mean), axes) * -0.5 / deviation**3
        dmean = np.sum(-dnormal / deviation, axes)
        dx = dx + dvariance * 2 * (x - mean) / n + dmean / n
    return dx, np.sum(dy * normal, axes), np.sum(dy, axes), dy


def philox(key, counter):
    """Philox4x32-10 (J. K. Salmon et al., 2011) in Python's own integers: four words from two and four."""
    k, c = list(key), list(counter)
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(right >> 32) ^ c[1] ^ k[0], right & 0xFFFFFFFF, (left >> 32) ^ c[3] ^ k[1], left & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def random_words(seed, offset, count):
    """The random words at positions offset, offset + 1, ...: chunks of 16 blocks, all first words first."""
    words = []
    for position in range(offset, offset + count):
        chunk, within = divmod(position, 64)
        word, block = divmod(within, 16)
        counter = 16 * chunk + block
        words.append(philox([seed & 0xFFFFFFFF, seed >> 32], [counter & 0xFFFFFFFF, counter >> 32, 0, 0])[word])
    return np.array(words, np.float64)


def maxout(x, pieces, axis):
    """The largest of every `pieces` consecutive entries, and ones where the first of the largest was."""
    x = np.moveaxis(x, axis, -1)
    y, won = np.empty((*x.shape[:-1], x.shape[-1] // pieces)), np.zeros(x.shape)
    for index in np.ndindex(y.shape):
        group = list(x[(*index[:-1], slice(index[-1] * pieces, (index[-1] + 1) * pieces))])
        nans = [i for i, value in enumerate(group) if np.isnan(value)]
        winner = nans[0] if nans else group.index(max(group))
        y[index] = group[winner]
        won[(*index[:-1], index[-1] * pieces + winner)] = 1
    return np.moveaxis(y, -1, axis), np.moveaxis(won, -1, axis)


def sgd_step(w, g, velocity, learning_rate, momentum, nesterov):
    if momentum == 0:
        return w - learning_rate * g, velocity
    velocity = momentum * velocity - learning_rate * g
    return (w + momentum * velocity - learning_rate * g if nesterov else w + velocity), velocity


def adam_step(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon):
    alpha = learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    return w - alpha * m / (np.sqrt(v) + epsilon), m, v


def normalize_part(part, dy, gamma, beta, epsilon, centred=True):
    """Some values brought to mean 0 and variance 1 together (or, not centred, to mean square 1).

    Returns y, and by the chain rule, one intermediate at a time, dx and what each value adds to dgamma and dbeta.
    """
    count = part.size
    mean = part.mean() if centred else 0.0
    deviation = np.sqrt(np.mean((part - mean) ** 2) + epsilon)
    normal = (part - mean) / deviation
    dnormal = dy * gamma
    dvariance = np.sum(dnormal * (part - mean)) * -0.5 / deviation**3
    dx = dnormal / deviation + dvariance * 2 * (part - mean) / count
    if centred:
        dx = dx - np.sum(dnormal) / deviation / count
    return normal * gamma + beta, dx, dy * normal, dy


def layer_norm(x, dy, gamma, beta, epsilon, centred=True):
    """Each row of x (rows, columns) by itself: y, dx, dgamma, dbeta."""
    y, dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(x.shape), np.zeros(gamma.shape), np.zeros(beta.shape)
    for row in range(len(x)):
        y[row], dx[row], scale, shift = normalize_part(x[row], dy[row], gamma, beta, epsilon, centred)
        dgamma += scale
        dbeta += shift
    return y, dx, dgamma, dbeta


def group_norm(x, dy, gamma, beta, epsilon, groups):
    """Each image's groups of channels of x (images, ..., channels) by themselves: y, dx, dgamma, dbeta."""
    y, dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(x.shape), np.zeros(gamma.shape), np.zeros(beta.shape)
    size = x.shape[-1] // groups
    for image in range(len(x)):
        for group in range(groups):
            c = slice(group * size, (group + 1) * size)
            here = (image, ..., c)
            y[here], dx[here], scale, shift = normalize_part(x[here], dy[here], gamma[c], beta[c], epsilon)
            dgamma[c] += scale.reshape(-1, size).sum(0)
            dbeta[c] += shift.reshape(-1, size).sum(0)
    return y, dx, dgamma, dbeta


def prelu(x, alpha):
    return np.where(x > 0, x, alpha * x)


def adaptive_windows(sizes, counts):
    """For every output position: (position, the places in x that its window holds)."""
    for position in np.ndindex(*counts):
        spans = [
            range(o * n // count, -(-(o + 1) * n // count)) for o, n, count in zip(position, sizes, counts, strict=True)
        ]
        yield position, list(itertools.product(*spans))


def adaptive_max_pool(x, dy, counts):
    """The largest values of the windows, and the gradient: each dy goes to the first place that holds it."""
    y, dx = np.zeros((len(x), *counts, x.shape[-1])), np.zeros(x.shape)
    image, channel = np.indices((len(x), x.shape[-1]))
    for position, places in adaptive_windows(x.shape[1:-1], counts):
        values = np.stack([x[(slice(None), *place)] for place in places])
        winner = np.argmax(values, axis=0)  # the first maximum, or the first NaN
        here = (slice(None), *position)
        y[here] = values[winner, image, channel]
        for number, place in enumerate(places):
            dx[(slice(None), *place)] += np.where(winner == number, dy[here], 0)
    return y, dx


def adaptive_average_pool(x, dy, counts):
    """The means of the windows, and the gradient: each dy spread evenly over its window."""
    y, dx = np.zeros((len(x), *counts, x.shape[-1])), np.zeros(x.shape)
    for position, places in adaptive_windows(x.shape[1:-1], counts):
        for place in places:
            here, there = (slice(None), *position), (slice(None), *place)
            y[here] += x[there] / len(places)
            dx[there] += dy[here] / len(places)
    return y, dx


def local_response(x, radius, bias, alpha, beta):
    """Every value over a power of the squares of its neighbours in the channels, one channel after the other."""
    y = np.zeros(x.shape)
    for c in range(x.shape[-1]):
        near = x[..., max(0, c - radius) : c + radius + 1]
        y[..., c] = x[..., c] / (bias + alpha * np.sum(near**2, -1)) ** beta
    return y
