"""Callbacks: what is told about every step of a training, and may act on it."""

from cnnfast.callbacks.base import Callback, CallbackList
from cnnfast.callbacks.history import History
from cnnfast.callbacks.progress import EpochLine, ProgressBar

__all__ = ["Callback", "CallbackList", "EpochLine", "History", "ProgressBar"]
