"""Learning rates that change from step to step.

>>> schedule = CosineDecay(0.1, decay_steps=1000)
>>> schedule(0), schedule(500), schedule(1000)
(0.1, 0.05, 0.0)
"""

from cnnfast.optimizers.schedules.base import LearningRateSchedule
from cnnfast.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from cnnfast.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from cnnfast.optimizers.schedules.names import deserialize, serialize

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]
