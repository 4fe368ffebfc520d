"""Keras-named layers: `build` makes the weights, `call` computes with `cnnfast.ops`."""

from cnnfast.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from cnnfast.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from cnnfast.layers.base import Layer
from cnnfast.layers.conv import Conv1D, Conv2D, Conv3D, Convolution1D, Convolution2D, Convolution3D
from cnnfast.layers.conv_transpose import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    Convolution1DTranspose,
    Convolution2DTranspose,
    Convolution3DTranspose,
)
from cnnfast.layers.core import Dense, Flatten, Input, InputLayer, Reshape
from cnnfast.layers.depthwise import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)
from cnnfast.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from cnnfast.layers.functions import ActivityRegularization, Identity, Lambda
from cnnfast.layers.input_spec import InputSpec
from cnnfast.layers.joining import Concatenate, Dot, concatenate, dot
from cnnfast.layers.layer_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from cnnfast.layers.merging import (
    Add,
    Average,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    maximum,
    minimum,
    multiply,
    subtract,
)
from cnnfast.layers.normalization import BatchNormalization
from cnnfast.layers.padding import Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from cnnfast.layers.parametric import ELU, Maxout, PReLU
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
from cnnfast.layers.registry import deserialize, serialize
from cnnfast.layers.reshaping import Permute, RepeatVector
from cnnfast.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D
from cnnfast.layers.whitening import LocalResponseNormalization, Whitening
from cnnfast.layers.wrapper import SpectralNormalization, TimeDistributed, Wrapper

_PREPROCESSING = (
    CenterCrop, Normalization, RandomBrightness, RandomContrast, RandomCrop, RandomFlip, RandomRotation,
    RandomTranslation, RandomZoom, Rescaling, Resizing,
)  # fmt: skip

# What a saved model may name.
BUILT_IN = {
    layer.__name__: layer
    for layer in (
        *_PREPROCESSING, Activation, ActivityRegularization, AdaptiveAveragePooling1D, AdaptiveAveragePooling2D,
        AdaptiveAveragePooling3D, AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D, Add, AlphaDropout,
        Average, AveragePooling1D, AveragePooling2D, AveragePooling3D, BatchNormalization, Concatenate, Conv1D,
        Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, Cropping1D, Cropping2D, Cropping3D, Dense,
        DepthwiseConv1D, DepthwiseConv2D, Dot, Dropout, ELU, Flatten, GaussianDropout, GaussianNoise,
        GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
        GlobalMaxPooling3D, GroupNormalization, Identity, InputLayer, Lambda, LayerNormalization, LeakyReLU,
        LocalResponseNormalization, MaxPooling1D, MaxPooling2D, MaxPooling3D, Maximum, Maxout, Minimum, Multiply, PReLU,
        Permute, RMSNormalization, ReLU, RepeatVector, Reshape, SeparableConv1D, SeparableConv2D, Softmax,
        SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, SpectralNormalization, Subtract, TimeDistributed,
        UnitNormalization, UpSampling1D, UpSampling2D, UpSampling3D, Whitening, ZeroPadding1D, ZeroPadding2D,
        ZeroPadding3D,
    )
}  # fmt: skip

__all__ = [
    *sorted(BUILT_IN),
    "Convolution1D", "Convolution1DTranspose", "Convolution2D", "Convolution2DTranspose", "Convolution3D",
    "Convolution3DTranspose", "SeparableConvolution1D", "SeparableConvolution2D",
    "AvgPool1D", "AvgPool2D", "AvgPool3D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D",
    "GlobalMaxPool2D", "GlobalMaxPool3D", "Input", "InputSpec", "Layer", "MaxPool1D", "MaxPool2D", "MaxPool3D",
    "Wrapper", "add", "average", "concatenate", "deserialize", "dot", "maximum", "minimum", "multiply", "serialize",
    "subtract",
]  # fmt: skip
