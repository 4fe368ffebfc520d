"""VGG19 under the name of Keras's module."""

from cnnfast.applications.vgg import VGG19, decode_predictions, preprocess_input

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
