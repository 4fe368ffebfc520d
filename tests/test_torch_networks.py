"""Whole networks' weights, from files that PyTorch wrote, in models made of this library's layers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cnnfast import Model, layers  # noqa: E402
from cnnfast.interop import from_torch, load_torch_weights, read_torch, save_torch  # noqa: E402
from test_from_torch import example, settled, turned  # noqa: E402
from torch_nets import BasicBlock, Bottleneck, MobileNetV2, ResNet, UNet  # noqa: E402


def normalized(x):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def convolved(x, filters, size=3, strides=1, groups=1, activation="relu6"):
    padding = (size - 1) // 2
    if groups > 1:
        x = layers.DepthwiseConv2D(size, strides, padding, use_bias=False)(x)
    else:
        x = layers.Conv2D(filters, size, strides, padding, use_bias=False)(x)
    x = normalized(x)
    return x if activation is None else layers.Activation(activation)(x)


def mobilenet_v2(shape, classes=1000):
    image = layers.Input(shape)
    x = convolved(image, 32, 3, 2)
    for expand, width, count, stride in MobileNetV2.SETTINGS:
        for number in range(count):
            entering, strides = x, stride if number == 0 else 1
            hidden = expand * entering.shape[-1]
            x = convolved(x, hidden, 1) if expand != 1 else x
            x = convolved(convolved(x, hidden, 3, strides, hidden), width, 1, activation=None)
            if strides == 1 and entering.shape[-1] == width:
                x = layers.Add()([entering, x])
    x = layers.GlobalAveragePooling2D()(convolved(x, 1280, 1))
    return Model(image, layers.Dense(classes)(layers.Dropout(0.2)(x)))


def agrees(model, module, x):
    with torch.no_grad():
        expected = turned(module(x).numpy())
    found = model.predict(turned(x.numpy()), verbose=0)
    return np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("archive", [True, False])
def test_mobilenet_v2_of_full_size(tmp_path, archive):
    module = settled(MobileNetV2())
    torch.save(module.state_dict(), tmp_path / "net.pth", _use_new_zipfile_serialization=archive)
    model = mobilenet_v2((96, 80, 3))
    assert (
        model.count_params() == sum(v.numel() for k, v in module.state_dict().items() if "tracked" not in k) == 3538984
    )
    x = example((3, 96, 80), 2)
    assert not agrees(model, module, x)
    model.load_weights(tmp_path / "net.pth")
    assert agrees(model, module, x)
    assert agrees(from_torch(module, x), module, x)


def residual(x, planes, strides, bottleneck, shortcut_first):
    given = x
    if bottleneck:
        y = convolved(convolved(x, planes, 1, activation="relu"), planes, 3, strides, activation="relu")
        y = convolved(y, 4 * planes, 1, activation=None)
    else:
        y = convolved(convolved(x, planes, 3, strides, activation="relu"), planes, 3, activation=None)
    if strides > 1 or given.shape[-1] != y.shape[-1]:
        given = normalized(layers.Conv2D(y.shape[-1], 1, strides, use_bias=False)(given))
    return layers.ReLU()(layers.Add()([given, y] if shortcut_first else [y, given]))


def resnet(shape, counts, bottleneck=False, shortcut_first=False):
    image = layers.Input(shape)
    x = layers.ZeroPadding2D(1)(convolved(image, 8, 7, 2, activation="relu"))
    x = layers.MaxPooling2D(3, 2)(x)
    for number, count in enumerate(counts):
        for block in range(count):
            x = residual(x, 8 << number, 2 if number and not block else 1, bottleneck, shortcut_first)
    return Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("shortcut_first", [False, True])
def test_shortcuts_on_either_side(shortcut_first):
    """Shortcuts that come first stand apart from the file's order, but their kernels tell them."""
    module = settled(ResNet(BasicBlock, (2, 2, 2)))
    model = resnet((64, 48, 3), (2, 2, 2), shortcut_first=shortcut_first)
    report = load_torch_weights(model, module.state_dict())
    assert {row.matched_by for row in report.loaded} == {"order"}
    assert agrees(model, module, example((3, 64, 48)))


def plain_bottlenecks(counts):
    """Without groups, as in ResNet-50."""
    module = ResNet(Bottleneck, counts)
    for block in (part for part in module.modules() if isinstance(part, Bottleneck)):
        old = block.conv2
        block.conv2 = torch.nn.Conv2d(old.in_channels, old.out_channels, 3, old.stride, 1, bias=False)
    return settled(module)


def test_shortcuts_that_look_like_other_layers():
    module = plain_bottlenecks((2, 2))
    model = resnet((64, 48, 3), (2, 2), bottleneck=True)
    load_torch_weights(model, module.state_dict())
    assert agrees(model, module, example((3, 64, 48)))
    other = resnet((64, 48, 3), (2, 2), bottleneck=True, shortcut_first=True)
    with pytest.raises(ValueError, match=r"several tensors fit .*'layer1.0.conv3'.*'layer1.0.downsample.0'.*mapping"):
        load_torch_weights(other, module.state_dict())


def test_weights_back_into_pytorch(tmp_path):
    module = settled(UNet())
    model = from_torch(module, (1, 3, 20, 20))
    model.set_weights([w + 0.01 for w in model.get_weights()])
    save_torch(model, tmp_path / "net.pth")
    again = UNet().eval()
    again.load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True))
    assert agrees(model, again, example((3, 20, 20)))
    assert not agrees(model, module, example((3, 20, 20)))
    assert all(
        np.array_equal(array, again.state_dict()[name]) for name, array in read_torch(tmp_path / "net.pth").items()
    )
