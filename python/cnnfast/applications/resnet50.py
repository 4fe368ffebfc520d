"""ResNet50 under the name of Keras's module."""

from cnnfast.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
