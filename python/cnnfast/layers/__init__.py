"""Keras-named layers: `build` makes the weights, `call` computes with `cnnfast.ops`."""

from cnnfast.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from cnnfast.layers.base import Layer
from cnnfast.layers.conv import Conv1D, Conv2D, Conv3D
from cnnfast.layers.conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from cnnfast.layers.core import Dense, Dropout, Flatten, Input, InputLayer, Reshape
from cnnfast.layers.depthwise import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from cnnfast.layers.normalization import BatchNormalization
from cnnfast.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from cnnfast.layers.preprocessing import (
    CenterCrop,
    Normalization,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Rescaling,
    Resizing,
)

_PREPROCESSING = (
    CenterCrop, Normalization, RandomBrightness, RandomContrast, RandomCrop, RandomFlip, RandomRotation,
    RandomTranslation, RandomZoom, Rescaling, Resizing,
)  # fmt: skip

# What a saved model may name.
BUILT_IN = {
    layer.__name__: layer
    for layer in (
        *_PREPROCESSING,
        Activation, AveragePooling1D, AveragePooling2D, AveragePooling3D, BatchNormalization, Conv1D, Conv1DTranspose,
        Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, Dense, DepthwiseConv1D, DepthwiseConv2D, Dropout, Flatten,
        GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
        GlobalMaxPooling3D, InputLayer, LeakyReLU, MaxPooling1D, MaxPooling2D, MaxPooling3D, ReLU, Reshape,
        SeparableConv1D, SeparableConv2D, Softmax,
    )
}  # fmt: skip

__all__ = [
    *sorted(BUILT_IN), "AvgPool1D", "AvgPool2D", "AvgPool3D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D",
    "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D", "Input", "Layer", "MaxPool1D", "MaxPool2D", "MaxPool3D",
]  # fmt: skip
