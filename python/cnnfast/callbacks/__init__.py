"""Callbacks: what is told about every step of a training, and may act on it."""

from cnnfast.callbacks.activations import ActivationMonitor
from cnnfast.callbacks.backup import BackupAndRestore
from cnnfast.callbacks.base import Callback, CallbackList
from cnnfast.callbacks.checkpoint import ModelCheckpoint
from cnnfast.callbacks.csv_logger import CSVLogger
from cnnfast.callbacks.early_stopping import EarlyStopping
from cnnfast.callbacks.history import History
from cnnfast.callbacks.lambdas import LambdaCallback, TerminateOnNaN
from cnnfast.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from cnnfast.callbacks.monitor import MonitorCallback
from cnnfast.callbacks.progress import EpochLine, ProgbarLogger, ProgressBar
from cnnfast.callbacks.swap_ema import SwapEMAWeights
from cnnfast.callbacks.tensorboard import TensorBoard

__all__ = [
    "ActivationMonitor",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "EpochLine",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
