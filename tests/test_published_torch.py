"""Networks that others trained with PyTorch, from their files: the same numbers, and the right names for photographs.

Skipped where the files are not: `published.py` tells where they may lie.
"""

import numpy as np
import pytest

from cnnfast import Model, applications, interop, layers, load_model
from cnnfast.applications.imagenet_utils import preprocess_input
from published import centre, photograph, published

MOBILENET, EFFICIENTNET = "mobilenet_v2-b0353104.pth", "efficientnet-lite0-57934424.pth"

# What ImageNet calls what is in the middle of these photographs, by the classes' numbers.
SEEN = {
    "chelsea.png": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "coffee.png": {967, 968},  # espresso, cup
    "rocket.jpg": {657, 744, 812},  # missile, projectile, space shuttle
    "motorcycle_left.png": {665, 670},  # moped, motor scooter
    "camera.png": {872},  # tripod
    "eagle.jpg": {22},  # bald eagle
    "face.dat": {362},  # badger: ImageNet has no raccoon, which this one is
}


def mobilenet(**arguments):
    weights = published(MOBILENET)
    return applications.MobileNetV2(style="torchvision", weights=weights, **arguments)


def effnet_block(x, style, wider, filters, size, strides):
    given = x
    if wider > 1:
        x = style(layers.Conv2D(wider * x.shape[-1], 1, use_bias=False)(x))
    x = style(layers.DepthwiseConv2D(size, strides, "same", use_bias=False)(x))
    x = layers.BatchNormalization(epsilon=1e-3)(layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.Add()([x, given]) if strides == 1 and given.shape[-1] == filters else x


LITE0 = [  # (how many times wider, filters, size, steps of the first, blocks)
    (1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3), (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
]  # fmt: skip


def efficientnet_lite0(shape=(224, 224, 3)):
    """M. Tan and Q. Le, "EfficientNet" (2019), without squeeze and excitation and with ReLU6."""

    def activated(x):
        return layers.ReLU(6.0)(layers.BatchNormalization(epsilon=1e-3)(x))

    image = layers.Input(shape)
    x = activated(layers.Conv2D(32, 3, 2, "same", use_bias=False)(image))
    for wider, filters, size, strides, blocks in LITE0:
        for number in range(blocks):
            x = effnet_block(x, activated, wider, filters, size, 1 if number else strides)
    x = layers.GlobalAveragePooling2D()(activated(layers.Conv2D(1280, 1, use_bias=False)(x)))
    return Model(image, layers.Dense(1000)(layers.Dropout(0.2)(x)))


def efficientnet_input(pictures):
    return (pictures - 127.0) / 128.0


def best(scores):
    return set(np.argsort(-scores)[:2].tolist())


@pytest.mark.parametrize("name", SEEN)
def test_mobilenet_v2_knows_photographs(name):
    x = preprocess_input(centre(photograph(name))[None], mode="torch")
    found = mobilenet().predict(x, verbose=0)[0]
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-5)
    assert best(found) & SEEN[name]
    assert int(found.argmax()) in SEEN[name]


@pytest.mark.parametrize("name", SEEN)
def test_efficientnet_lite0_knows_photographs(name):
    model = efficientnet_lite0()
    model.load_weights(published(EFFICIENTNET))
    found = model.predict(efficientnet_input(centre(photograph(name))[None]), verbose=0)[0]
    assert best(found) & SEEN[name]


def agree(found, expected, tolerance=1e-4):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def some_pictures(count=2, side=224):
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (count, side, side, 3)).astype(np.float32)


@pytest.mark.parametrize("pixels", [160, 224, 225])
def test_mobilenet_v2_beside_pytorch(pixels):
    torch = pytest.importorskip("torch")
    from torch_nets import MobileNetV2

    module = MobileNetV2().eval()
    module.load_state_dict(torch.load(published(MOBILENET), weights_only=True))
    x = some_pictures(2, pixels)
    turned = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        expected = module(turned).numpy()
    ours = mobilenet(input_shape=(pixels, pixels, 3), classifier_activation=None)
    agree(ours.predict(x, verbose=0), expected)
    agree(np.asarray(ours(x)), expected)
    agree(interop.from_torch(module, turned).predict(x, verbose=0), expected)


@pytest.mark.parametrize("pixels", [224, 161])
def test_efficientnet_lite0_beside_pytorch(pixels):
    torch = pytest.importorskip("torch")
    from torch_nets import EfficientNetLite0

    module = EfficientNetLite0().eval()
    module.load_state_dict(torch.load(published(EFFICIENTNET), weights_only=True))
    x = some_pictures(2, pixels)
    with torch.no_grad():
        expected = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    ours = efficientnet_lite0((pixels, pixels, 3))
    ours.load_weights(published(EFFICIENTNET))
    agree(ours.predict(x, verbose=0), expected)


def test_a_published_network_goes_back_and_learns(tmp_path):
    model = mobilenet(input_shape=(64, 64, 3), include_top=False, pooling="avg")
    x = some_pictures(4, 64)
    expected = model.predict(x, verbose=0)
    for suffix in (".keras", ".safetensors", ".pth", ".weights.h5"):
        path = tmp_path / f"net{suffix}"
        if suffix in (".keras", ".safetensors"):
            model.save(path)
            again = load_model(path)
        else:
            model.save_weights(path)
            again = applications.MobileNetV2((64, 64, 3), include_top=False, pooling="avg", style="torchvision")
            again.load_weights(path)
        agree(again.predict(x, verbose=0), expected, 1e-6)
    model.trainable = False
    head = Model(model.inputs, layers.Dense(2)(model.outputs[0]))
    head.compile("adam", "mse")
    y = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    losses = head.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    agree(model.predict(x, verbose=0), expected, 1e-6)
