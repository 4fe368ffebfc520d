"""VGG16 under the name of Keras's module."""

from cnnfast.applications.vgg import VGG16, decode_predictions, preprocess_input

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
