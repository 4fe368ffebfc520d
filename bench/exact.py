"""A few values of every pass computed from the definition in float64: enough to see that a result is right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from bench.layer_passes import EPSILON
from bench.shapes import FloatArray, Layer

Index = tuple[int, ...]


def _taps(layer: Layer, position: Index, size: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """For every axis: the taps of the window at an output position, each with the input it meets."""
    starts = [p * layer.stride - layer.padding for p in position]
    reach = range(layer.window)
    return [
        [(t, start + t * layer.dilation) for t in reach if 0 <= start + t * layer.dilation < n]
        for start, n in zip(starts, size, strict=True)
    ]


def _windows(layer: Layer, position: Index, size: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """For every axis: the taps that meet an input position, each with the output of its window."""
    found = []
    for p, n in zip(position, size, strict=True):
        offsets = [(t, p + layer.padding - t * layer.dilation) for t in range(layer.window)]
        found.append(
            [(t, o // layer.stride) for t, o in offsets if o % layer.stride == 0 and 0 <= o // layer.stride < n]
        )
    return found


def _gathered(
    layer: Layer, source: FloatArray, kernel: FloatArray, index: Index, meeting: list[list[tuple[int, int]]], back: bool
) -> float:
    """One value of a convolution (or, `back`, of its gradient to the input) at (n, position..., channel)."""
    n, channel = index[0], index[-1]
    per_in, per_out = kernel.shape[-2], kernel.shape[-1] // layer.groups
    group = channel // (per_in if back else per_out)
    inner = slice(group * per_out, (group + 1) * per_out) if back else slice(group * per_in, (group + 1) * per_in)
    total = 0.0
    for taps in itertools.product(*meeting):
        values = source[(n, *(at for _, at in taps), inner)].astype(np.float64)
        at_tap = kernel[tuple(t for t, _ in taps)].astype(np.float64)
        weights = at_tap[channel - group * per_in, inner] if back else at_tap[:, channel]
        total += float(values @ weights)
    return total


def _weight_gradient(layer: Layer, x: FloatArray, dy: FloatArray, index: Index) -> float:
    taps, channel_in, channel_out = index[: layer.rank], index[-2], index[-1]
    per_in, per_out = x.shape[-1] // layer.groups, dy.shape[-1] // layer.groups
    channel = channel_out // per_out * per_in + channel_in
    inputs, outputs = [], []
    for t, n, length in zip(taps, x.shape[1:-1], dy.shape[1:-1], strict=True):
        at = np.arange(length) * layer.stride - layer.padding + t * layer.dilation
        valid = np.flatnonzero((at >= 0) & (at < n))
        inputs.append(at[valid])
        outputs.append(valid)
    images = np.arange(len(x))
    values = x[np.ix_(images, *inputs, [channel])].astype(np.float64)
    return float((values * dy[np.ix_(images, *outputs, [channel_out])]).sum())


def _convolution(layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, Callable[[Index], float]]:
    kernel = (
        data["kernel"].reshape(*data["kernel"].shape[:-2], -1, layer.filters) if layer.depthwise else data["kernel"]
    )
    transposed = layer.kind == "transposed"
    # A transposed convolution is the gradient to the input of the convolution that its output would feed.
    x, dy = (data["dy"], data["x"]) if transposed else (data["x"], data["dy"])

    def forward(index: Index) -> float:
        return _gathered(layer, x, kernel, index, _taps(layer, index[1:-1], x.shape[1:-1]), back=False)

    def backward(index: Index) -> float:
        return _gathered(layer, dy, kernel, index, _windows(layer, index[1:-1], dy.shape[1:-1]), back=True)

    def weights(index: Index) -> float:
        grouped = (*index[: layer.rank], 0, index[-2]) if layer.depthwise else index
        return _weight_gradient(layer, x, dy, grouped)

    first, second = (backward, forward) if transposed else (forward, backward)
    return {
        "forward": lambda i: first(i) + float(data["bias"][i[-1]]),
        "backward_data": second,
        "backward_weights": weights,
    }


def _pooling(layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, Callable[[Index], float]]:
    x, dy = data["x"], data["dy"]

    def window(index: Index) -> dict[Index, float]:
        places = itertools.product(*(((at) for _, at in axis) for axis in _taps(layer, index[1:-1], layer.size)))
        return {place: float(x[(index[0], *place, index[-1])]) for place in places}

    def share(index: Index, place: Index) -> float:
        values = window(index)
        if layer.kind == "average_pool":
            return 1 / len(values)
        return float(max(values, key=lambda p: values[p]) == place)

    def forward(index: Index) -> float:
        values = list(window(index).values())
        return max(values) if layer.kind == "max_pool" else sum(values) / len(values)

    def backward(index: Index) -> float:
        covering = _windows(layer, index[1:-1], dy.shape[1:-1])
        outputs = [(index[0], *(o for _, o in taps), index[-1]) for taps in itertools.product(*covering)]
        return sum(float(dy[o]) * share(o, index[1:-1]) for o in outputs)

    return {"forward": forward, "backward": backward}


def _normalization(data: Mapping[str, FloatArray]) -> dict[str, Callable[[Index], float]]:
    def channel(c: int) -> tuple[FloatArray, float]:
        x = data["x"][..., c].astype(np.float64)
        deviation = float(np.sqrt(x.var() + EPSILON))
        return (x - x.mean()) / deviation, deviation

    def backward(index: Index) -> float:
        hats, deviation = channel(index[-1])
        dz = np.where(hats > 0, data["dy"][..., index[-1]].astype(np.float64), 0)
        place = index[:-1]
        return float((dz[place] - dz.mean() - hats[place] * (dz * hats).mean()) / deviation)

    return {"forward": lambda i: float(max(channel(i[-1])[0][i[:-1]], 0)), "backward": backward}


def check(layer: Layer, data: Mapping[str, FloatArray], pass_: str, result: FloatArray, count: int = 8) -> None:
    """Compare a few values of a result, corners included, with the definition.

    Raises:
        AssertionError: one is off by more than 1e-4 of their largest (or of 1).
    """
    if layer.is_conv:
        exact = _convolution(layer, data)[pass_]
    else:
        exact = (_normalization(data) if layer.kind == "batch_norm" else _pooling(layer, data))[pass_]
    random = np.random.default_rng(1)
    places = [tuple(int(random.integers(n)) for n in result.shape) for _ in range(count - 2)]
    places += [tuple(0 for _ in result.shape), tuple(n - 1 for n in result.shape)]
    wanted = np.array([exact(p) for p in places])
    found = np.array([result[p] for p in places])
    error = float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))
    assert error <= 1e-4, f"{layer.name} {pass_}: off by {error:.1e} at one of {places}"
