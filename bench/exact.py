"""A few values of every pass computed from the definition in float64: enough to see that a result is right."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.layer_passes import EPSILON, RESPONSE, SLOPE
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

    def inputs(position: Index) -> Sequence[Collection[int]]:
        if not layer.windows:
            return [[at for _, at in axis] for axis in _taps(layer, position, layer.size)]
        ends = [(p * n / layer.windows, (p + 1) * n / layer.windows) for p, n in zip(position, layer.size, strict=True)]
        return [range(math.floor(a), math.ceil(b)) for a, b in ends]

    def outputs(position: Index) -> Iterator[Index]:
        if layer.windows:
            every = itertools.product(range(layer.windows), repeat=layer.rank)
            return (o for o in every if all(p in r for p, r in zip(position, inputs(o), strict=True)))
        covering = _windows(layer, position, dy.shape[1:-1])
        return (tuple(o for _, o in taps) for taps in itertools.product(*covering))

    def window(index: Index) -> dict[Index, float]:
        places = itertools.product(*inputs(index[1:-1]))
        return {place: float(x[(index[0], *place, index[-1])]) for place in places}

    def share(index: Index, place: Index) -> float:
        values = window(index)
        if "average" in layer.kind:
            return 1 / len(values)
        return float(max(values, key=lambda p: values[p]) == place)

    def forward(index: Index) -> float:
        values = list(window(index).values())
        return max(values) if "max" in layer.kind else sum(values) / len(values)

    def backward(index: Index) -> float:
        places = [(index[0], *o, index[-1]) for o in outputs(index[1:-1])]
        return sum(float(dy[o]) * share(o, index[1:-1]) for o in places)

    return {"forward": forward, "backward": backward}


def _normalization(layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, Callable[[Index], float]]:
    bent = layer.kind == "batch_norm"

    def together(index: Index) -> tuple[Any, Index]:
        """What is normalised together with a value, and where in that it is."""
        if bent:
            return (..., index[-1]), index[:-1]
        if layer.kind == "layer_norm":
            return index[:-1], index[-1:]
        size = layer.channels // layer.groups
        first = index[-1] // size * size
        return (index[0], ..., slice(first, first + size)), (*index[1:-1], index[-1] - first)

    def normal(index: Index) -> tuple[FloatArray, float, FloatArray, Index]:
        some, place = together(index)
        x = data["x"][some].astype(np.float64)
        deviation = float(np.sqrt(x.var() + EPSILON))
        return (x - x.mean()) / deviation, deviation, data["dy"][some].astype(np.float64), place

    def forward(index: Index) -> float:
        hats, _, _, place = normal(index)
        return float(max(hats[place], 0) if bent else hats[place])

    def backward(index: Index) -> float:
        hats, deviation, dy, place = normal(index)
        dz = np.where(hats > 0, dy, 0) if bent else dy
        return float((dz[place] - dz.mean() - hats[place] * (dz * hats).mean()) / deviation)

    return {"forward": forward, "backward": backward}


def _rectifier(data: Mapping[str, FloatArray]) -> dict[str, Callable[[Index], float]]:
    def slope(index: Index) -> float:
        return 1.0 if data["x"][index] > 0 else SLOPE

    return {
        "forward": lambda i: float(data["x"][i]) * slope(i),
        "backward": lambda i: float(data["dy"][i]) * slope(i),
    }


def _response(data: Mapping[str, FloatArray]) -> dict[str, Callable[[Index], float]]:
    radius, bias, alpha, beta = RESPONSE.values()
    x, dy = data["x"], data["dy"]

    def near(index: Index) -> tuple[FloatArray, FloatArray]:
        """The channels around a value, and the base of each."""
        row = x[index[:-1]].astype(np.float64) ** 2
        width = int(radius)
        around = np.arange(max(0, index[-1] - width), min(len(row), index[-1] + width + 1))
        return around, np.array([bias + alpha * row[max(0, c - width) : c + width + 1].sum() for c in around])

    def forward(index: Index) -> float:
        around, base = near(index)
        return float(x[index] / base[around == index[-1]][0] ** beta)

    def backward(index: Index) -> float:
        around, base = near(index)
        row, arrived = x[index[:-1]][around].astype(np.float64), dy[index[:-1]][around].astype(np.float64)
        own = float(dy[index] / base[around == index[-1]][0] ** beta)
        return own - 2 * alpha * beta * float(x[index]) * float((arrived * row / base ** (beta + 1)).sum())

    return {"forward": forward, "backward": backward}


def _others(layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, Callable[[Index], float]]:
    if layer.kind.endswith("norm"):
        return _normalization(layer, data)
    if layer.kind == "local_response":
        return _response(data)
    return _rectifier(data) if layer.kind == "prelu" else _pooling(layer, data)


def check(layer: Layer, data: Mapping[str, FloatArray], pass_: str, result: FloatArray, count: int = 8) -> None:
    """Compare a few values of a result, corners included, with the definition.

    Raises:
        AssertionError: one is off by more than 1e-4 of their largest (or of 1).
    """
    exact = (_convolution if layer.is_conv else _others)(layer, data)[pass_]
    random = np.random.default_rng(1)
    places = [tuple(int(random.integers(n)) for n in result.shape) for _ in range(count - 2)]
    places += [tuple(0 for _ in result.shape), tuple(n - 1 for n in result.shape)]
    wanted = np.array([exact(p) for p in places])
    found = np.array([result[p] for p in places])
    error = float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))
    assert error <= 1e-4, f"{layer.name} {pass_}: off by {error:.1e} at one of {places}"
