"""Well-known networks, built with the functional API: `ResNet50()`, `VGG16(include_top=False)`, ...

Nothing is downloaded: `weights` takes the path of a file. Where Keras has the network, layers are named and ordered as
Keras does it. Each network's module has its `preprocess_input` and `decode_predictions`.

Learning for other classes from what a network has learned:

    base = applications.MobileNetV2(include_top=False, weights="mobilenet_v2.safetensors", pooling="avg",
                                    input_shape=(160, 160, 3))
    base.trainable = False                                     # first the new head alone
    image = cnnfast.Input((160, 160, 3))
    features = base(applications.mobilenet_v2.preprocess_input(image), training=False)
    model = cnnfast.Model(image, cnnfast.layers.Dense(5, activation="softmax")(features))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=5)

    base.trainable = True                                      # then all of it, the old layers slowly
    base.learning_rate_multiplier = 0.1
    model.compile(cnnfast.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=5)
"""

from cnnfast.applications import (
    densenet,
    imagenet_utils,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    resnet,
    resnet50,
    resnet_v2,
    vgg,
    vgg16,
    vgg19,
    xception,
)
from cnnfast.applications.alexnet import AlexNet
from cnnfast.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from cnnfast.applications.googlenet import GoogLeNet
from cnnfast.applications.inception_v3 import InceptionV3
from cnnfast.applications.lenet import LeNet5
from cnnfast.applications.mobilenet import MobileNet
from cnnfast.applications.mobilenet_v2 import MobileNetV2
from cnnfast.applications.resnet import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from cnnfast.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from cnnfast.applications.squeezenet import SqueezeNet
from cnnfast.applications.unet import UNet
from cnnfast.applications.vgg import VGG11, VGG13, VGG16, VGG19
from cnnfast.applications.xception import Xception
from cnnfast.applications.yolo import TinyYOLOv2, TinyYOLOv3, YOLOFastest, YOLOv2, YOLOv3
from cnnfast.applications.zfnet import ZFNet
from cnnfast.models.fully_convolutional import to_fully_convolutional

__all__ = [
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "AlexNet",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "GoogLeNet",
    "InceptionV3",
    "LeNet5",
    "MobileNet",
    "MobileNetV2",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet50V2",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "SqueezeNet",
    "TinyYOLOv2",
    "TinyYOLOv3",
    "UNet",
    "Xception",
    "YOLOFastest",
    "YOLOv2",
    "YOLOv3",
    "ZFNet",
    "densenet",
    "imagenet_utils",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "resnet",
    "resnet50",
    "resnet_v2",
    "to_fully_convolutional",
    "vgg",
    "vgg16",
    "vgg19",
    "xception",
]  # fmt: skip
