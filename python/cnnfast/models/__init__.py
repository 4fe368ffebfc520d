"""Models: layers put together, trained, described and kept in files."""

from cnnfast.models.saving import load_model, read_metadata, save_model
from cnnfast.models.sequential import Sequential

__all__ = ["Sequential", "load_model", "read_metadata", "save_model"]
