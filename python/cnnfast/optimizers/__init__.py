"""Optimizers: how gradients change weights.

>>> from cnnfast.autograd import Variable
>>> w = Variable([1.0, 2.0])
>>> SGD(learning_rate=0.5).apply([[1.0, 1.0]], [w])
>>> w.numpy()
array([0.5, 1.5], dtype=float32)
"""

from cnnfast.optimizers import schedules
from cnnfast.optimizers.adadelta import Adadelta
from cnnfast.optimizers.adagrad import Adagrad
from cnnfast.optimizers.adam import Adam, AdamW
from cnnfast.optimizers.adamax import Adamax
from cnnfast.optimizers.base import Optimizer
from cnnfast.optimizers.ftrl import Ftrl
from cnnfast.optimizers.lamb import Lamb
from cnnfast.optimizers.lion import Lion
from cnnfast.optimizers.nadam import Nadam
from cnnfast.optimizers.names import OptimizerLike, deserialize, get, serialize
from cnnfast.optimizers.rmsprop import RMSprop
from cnnfast.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Nadam",
    "Optimizer",
    "OptimizerLike",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
