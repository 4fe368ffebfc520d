"""Layers that prepare data: numbers in other ranges, images of other sizes, and random changes while training."""

from cnnfast.layers.preprocessing.colours import RandomBrightness, RandomContrast
from cnnfast.layers.preprocessing.flips import RandomFlip
from cnnfast.layers.preprocessing.moves import RandomRotation, RandomTranslation, RandomZoom
from cnnfast.layers.preprocessing.scaling import Normalization, Rescaling
from cnnfast.layers.preprocessing.sizes import CenterCrop, RandomCrop, Resizing

__all__ = [
    "CenterCrop", "Normalization", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation",
    "RandomTranslation", "RandomZoom", "Rescaling", "Resizing",
]  # fmt: skip
