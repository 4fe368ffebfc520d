"""Architectures in Keras's own form, read and written: pure functions of configurations, without files.

Keras 3 tells a layer as `{"module", "class_name", "config", "registered_name"}`, Keras 2 as `{"class_name", "config"}`;
both tell functional models by the calls of their layers. What Keras has and this library does not is accepted where it
has Keras's default value, and refused with the reason otherwise.
"""

from cnnfast.models.keras_config.reading import from_keras_config
from cnnfast.models.keras_config.writing import to_keras_config

__all__ = ["from_keras_config", "to_keras_config"]
