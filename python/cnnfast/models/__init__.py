"""Models: layers put together, trained, described and kept in files."""

from cnnfast.models.cloning import clone_model
from cnnfast.models.formats import load_model, save_model
from cnnfast.models.fully_convolutional import to_fully_convolutional
from cnnfast.models.model import Model
from cnnfast.models.saving import model_from_json, read_metadata
from cnnfast.models.sequential import Sequential

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "read_metadata",
    "save_model",
    "to_fully_convolutional",
]
