"""What every engine's build of a network offers, and the data it runs on."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bench.networks.nodes import Network
from bench.shapes import FloatArray, aligned_normal

MOMENTUM = 0.9
BN_EPSILON = 1e-5
BN_MOMENTUM = 0.9  # the part of the old moving statistics that is kept


class Runner(Protocol):
    """A network in one engine."""

    def train_step(self) -> float:
        """One step on the batch (forward, cross-entropy, backward, update); the loss before it."""

    def infer(self) -> FloatArray:
        """The logits of the batch."""


def batch(network: Network, size: int, seed: int = 1) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Random images and labels."""
    random = np.random.default_rng(seed)
    return aligned_normal(random, (size, *network.input_shape)), random.integers(network.classes, size=size)
