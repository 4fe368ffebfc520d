"""What networks are made of, and how a description gets its weights.

A description is a list of nodes. `with_weights` walks it once, works out shapes, and gives every node its initial
weights in Keras's layouts; each engine builds from what that returns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.shapes import FloatArray


@dataclass(frozen=True)
class Conv:
    """A convolution with square windows, the same padding on every side, and an activation."""

    filters: int
    window: int
    stride: int = 1
    padding: int = 0
    bias: bool = True
    activation: str | None = None


@dataclass(frozen=True)
class Depthwise:
    """A convolution of each channel by itself, without a bias."""

    window: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation and an activation: None, "relu" or "relu6"."""

    activation: str | None = None


@dataclass(frozen=True)
class MaxPool:
    """Largest values of square windows."""

    window: int
    stride: int
    padding: int = 0


@dataclass(frozen=True)
class GlobalAverage:
    """The mean of every channel."""


@dataclass(frozen=True)
class Flatten:
    """One row for every image."""


@dataclass(frozen=True)
class Dense:
    """A product with a matrix, a bias and an activation."""

    units: int
    activation: str | None = None


@dataclass(frozen=True)
class Residual:
    """The sum of two branches (the second is the input itself where empty), and an activation."""

    body: tuple[Node, ...]
    shortcut: tuple[Node, ...] = ()
    activation: str | None = None


Node = Conv | Depthwise | BatchNorm | MaxPool | GlobalAverage | Flatten | Dense | Residual


@dataclass(frozen=True)
class Step:
    """A node in its place.

    Attributes:
        node: what it does.
        weights: by Keras's names and in Keras's layouts.
        x_shape: of its input, without the batch.
        body: for a `Residual`, the steps of its first branch.
        shortcut: the steps of its second.
    """

    node: Node
    weights: dict[str, FloatArray]
    x_shape: tuple[int, ...]
    body: tuple[Step, ...] = ()
    shortcut: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Network:
    """A network and how it is trained.

    Attributes:
        name: as in tables.
        nodes: from the input on; the last gives the logits.
        input_shape: of one image.
        classes: number of logits.
        batches: the batch sizes that are measured.
        optimizer: "adam" or "sgd" (with momentum 0.9).
        learning_rate: small enough that a batch of random numbers can be learnt for hundreds of steps.
    """

    name: str
    nodes: tuple[Node, ...]
    input_shape: tuple[int, int, int]
    classes: int
    batches: tuple[int, ...]
    optimizer: str = "sgd"
    learning_rate: float = 0.002

    def scaled_down(self) -> Network:
        """The same network for four small images: for trying things out, not for measuring."""
        side = min(64, self.input_shape[0])
        return replace(self, input_shape=(side, side, self.input_shape[2]), batches=(4,))


def _normal(random: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> FloatArray:
    return (random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / fan_in))).astype(np.float32)


def _conv_step(
    node: Conv | Depthwise, shape: tuple[int, ...], random: np.random.Generator
) -> tuple[Step, tuple[int, ...]]:
    side = [(n + 2 * node.padding - node.window) // node.stride + 1 for n in shape[:2]]
    taps = (node.window, node.window)
    if isinstance(node, Depthwise):
        weights = {"kernel": _normal(random, (*taps, shape[2], 1), node.window**2)}
        return Step(node, weights, shape), (*side, shape[2])
    weights = {"kernel": _normal(random, (*taps, shape[2], node.filters), node.window**2 * shape[2])}
    if node.bias:
        weights["bias"] = np.zeros(node.filters, np.float32)
    return Step(node, weights, shape), (*side, node.filters)


def _one(node: Node, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Step, tuple[int, ...]]:
    if isinstance(node, (Conv, Depthwise)):
        return _conv_step(node, shape, random)
    if isinstance(node, BatchNorm):
        ones, zeros = np.ones(shape[-1:], np.float32), np.zeros(shape[-1:], np.float32)
        weights = {"gamma": ones, "beta": zeros, "moving_mean": zeros.copy(), "moving_variance": ones.copy()}
        return Step(node, weights, shape), shape
    if isinstance(node, MaxPool):
        side = [(n + 2 * node.padding - node.window) // node.stride + 1 for n in shape[:2]]
        return Step(node, {}, shape), (*side, shape[2])
    if isinstance(node, GlobalAverage):
        return Step(node, {}, shape), shape[-1:]
    if isinstance(node, Flatten):
        return Step(node, {}, shape), (math.prod(shape),)
    if isinstance(node, Dense):
        weights = {"kernel": _normal(random, (shape[0], node.units), shape[0])}
        weights["bias"] = np.zeros(node.units, np.float32)
        return Step(node, weights, shape), (node.units,)
    body, out = _walk(node.body, shape, random)
    # Branches that begin small (Goyal et al., 2017): without it rounding errors grow so much on the way back through
    # fifty layers that no two engines agree on a gradient to two digits.
    body[-1].weights["gamma"] *= np.float32(0.2)
    shortcut = _walk(node.shortcut, shape, random)[0]
    return Step(node, {}, shape, body, shortcut), out


def _walk(
    nodes: Sequence[Node], shape: tuple[int, ...], random: np.random.Generator
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    steps = []
    for node in nodes:
        step, shape = _one(node, shape, random)
        steps.append(step)
    return tuple(steps), shape


def with_weights(network: Network, seed: int = 0) -> tuple[Step, ...]:
    """The network's nodes with initial weights (He et al., 2015), the same for the same seed."""
    return _walk(network.nodes, network.input_shape, np.random.default_rng(seed))[0]
