"""Networks against modules of PyTorch, structured and named here as torchvision does it: its files of weights fit."""

import numpy as np
import pytest

from cnnfast import applications
from cnnfast.interop.torch.weights import load_torch_weights

torch = pytest.importorskip("torch")
from torch_nets import MobileNetV2  # noqa: E402

nn = torch.nn


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, or 1x1, 3x3 and 1x1."""

    def __init__(self, given, width, strides, wider):
        super().__init__()
        made = wider * width
        sizes = [(given, width, 3, strides), (width, width, 3, 1)]
        if wider > 1:
            sizes = [(given, width, 1, 1), (width, width, 3, strides), (width, made, 1, 1)]
        for number, (a, b, size, step) in enumerate(sizes, 1):
            setattr(self, f"conv{number}", nn.Conv2d(a, b, size, step, size // 2, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(b))
        self.last, self.downsample = len(sizes), nn.Sequential()
        if strides > 1 or given != made:
            self.downsample = nn.Sequential(nn.Conv2d(given, made, 1, strides, bias=False), nn.BatchNorm2d(made))

    def forward(self, x):
        y = x
        for number in range(1, self.last + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = torch.relu(y) if number < self.last else y
        return torch.relu(y + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, depths, wider, classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        given = 64
        for stage, count in enumerate(depths):
            blocks, width = [], 64 << stage
            for number in range(count):
                blocks.append(Block(given, width, 2 if stage and not number else 1, wider))
                given = wider * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(given, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3)))


class AlexNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        parts, given = [], 3
        for number, (made, size, strides, border) in enumerate(
            [(64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)]
        ):
            parts += [nn.Conv2d(given, made, size, strides, border), nn.ReLU()]
            parts += [nn.MaxPool2d(3, 2)] if number in (0, 1, 4) else []
            given = made
        self.features = nn.Sequential(*parts)
        head = [nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
        self.classifier = nn.Sequential(*head, nn.Linear(4096, classes))

    def forward(self, x):
        return self.classifier(nn.functional.adaptive_avg_pool2d(self.features(x), 6).flatten(1))


class Fire(nn.Module):
    def __init__(self, given, squeezed, expanded):
        super().__init__()
        self.squeeze = nn.Conv2d(given, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


def pooled(size=3):
    return nn.MaxPool2d(size, 2, ceil_mode=True)


class SqueezeNet(nn.Module):
    def __init__(self, version, classes):
        super().__init__()
        first, size, before = (96, 7, (0, 3, 7)) if version == "1.0" else (64, 3, (0, 2, 4))
        parts, given = [nn.Conv2d(3, first, size, 2), nn.ReLU()], first
        for number in range(8):
            parts += [pooled()] if number in before else []
            squeezed = 16 * (number // 2 + 1)
            parts.append(Fire(given, squeezed, 4 * squeezed))
            given = 8 * squeezed
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(given, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def forward(self, x):
        return self.classifier(self.features(x)).flatten(1)


class Convolution(nn.Module):
    def __init__(self, given, made, size, strides=1):
        super().__init__()
        self.conv = nn.Conv2d(given, made, size, strides, size // 2, bias=False)
        self.bn = nn.BatchNorm2d(made, eps=0.001)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, given, a, b, d, e, f, g):
        super().__init__()
        self.branch1 = Convolution(given, a, 1)
        self.branch2 = nn.Sequential(Convolution(given, b, 1), Convolution(b, d, 3))
        self.branch3 = nn.Sequential(Convolution(given, e, 1), Convolution(e, f, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Convolution(given, g, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    def __init__(self, given, classes):
        super().__init__()
        self.conv, self.fc1, self.fc2 = Convolution(given, 128, 1), nn.Linear(2048, 1024), nn.Linear(1024, classes)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(self.conv(nn.functional.adaptive_avg_pool2d(x, 4)).flatten(1))))


class GoogLeNet(nn.Module):
    """Without dropout, which is not there in use."""

    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = Convolution(3, 64, 7, 2), Convolution(64, 64, 1), Convolution(64, 192, 3)
        for name, filters in {
            "3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64),
            "4a": (480, 192, 96, 208, 16, 48, 64), "4b": (512, 160, 112, 224, 24, 64, 64),
            "4c": (512, 128, 128, 256, 24, 64, 64), "4d": (512, 112, 144, 288, 32, 64, 64),
            "4e": (528, 256, 160, 320, 32, 128, 128), "5a": (832, 256, 160, 320, 32, 128, 128),
            "5b": (832, 384, 192, 384, 48, 128, 128),
        }.items():  # fmt: skip
            setattr(self, f"inception{name}", Inception(*filters))
        self.aux1, self.aux2 = Auxiliary(512, classes), Auxiliary(528, classes)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x):
        x = pooled()(self.conv3(self.conv2(pooled()(self.conv1(x)))))
        a = self.inception4a(pooled()(self.inception3b(self.inception3a(x))))
        d = self.inception4d(self.inception4c(self.inception4b(a)))
        x = self.inception5b(self.inception5a(pooled(2)(self.inception4e(d))))
        return self.fc(x.mean((2, 3))), self.aux1(a), self.aux2(d)


def settled(module, seed):
    """The module in use, with statistics and scales as after a training."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.1, 0.1)
                part.running_var.uniform_(0.5, 1.5)
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.1, 0.1)
    return module.eval()


def compare(model, module, side):
    report = load_torch_weights(model, module.state_dict())
    assert {weight.matched_by for weight in report.loaded} == {"name"}
    x = np.random.default_rng(1).standard_normal((2, side, side + 6, 3)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.tensor(x.transpose(0, 3, 1, 2)))
    for result in (model(x), model.predict(x, verbose=0)):
        several = isinstance(result, list)
        for mine, other in zip(result if several else [result], expected if several else [expected], strict=True):
            assert mine.shape == tuple(other.shape)
            np.testing.assert_allclose(mine, other.numpy(), rtol=0, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("side", [64, 71])
def test_resnet18(side):
    model = applications.ResNet18(input_shape=(side, side + 6, 3), classes=11, classifier_activation=None)
    module = settled(ResNet((2, 2, 2, 2), 1, 11), 0)
    assert sum(p.numel() for p in module.parameters()) == sum(v.size for v in model.trainable_weights)
    compare(model, module, side)


def test_resnet50_takes_its_steps_in_the_large_windows():
    what = {"style": "torchvision", "classifier_activation": None}
    model = applications.ResNet50(input_shape=(65, 71, 3), classes=11, **what)
    compare(model, settled(ResNet((3, 4, 6, 3), 4, 11), 1), 65)


@pytest.mark.parametrize("side", [64, 97])
def test_mobilenet_v2(side):
    what = {"style": "torchvision", "classifier_activation": None}
    model = applications.MobileNetV2(input_shape=(side, side + 6, 3), classes=7, **what)
    module = settled(MobileNetV2(7), 6)
    assert sum(p.numel() for p in module.parameters()) == sum(v.size for v in model.trainable_weights)
    compare(model, module, side)


def test_a_file_with_a_top_for_a_network_without(tmp_path):
    module, path = settled(MobileNetV2(5), 7), tmp_path / "net.pth"
    torch.save(module.state_dict(), path)
    what = {"input_shape": (64, 70, 3), "include_top": False, "pooling": "avg", "style": "torchvision"}
    model = applications.MobileNetV2(**what, weights=path)
    x = np.random.default_rng(1).standard_normal((2, 64, 70, 3)).astype(np.float32)
    with torch.no_grad():
        expected = module.features(torch.tensor(x.transpose(0, 3, 1, 2))).mean((2, 3)).numpy()
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    state = {name: value for name, value in module.state_dict().items() if not name.startswith("features.17.conv.2")}
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"MobileNetV2: .*net\.pth has nothing for features_17_conv_2/kernel"):
        applications.MobileNetV2(**what, weights=path)
    deeper = {**module.state_dict(), "features.16.conv.4.weight": torch.zeros(3)}
    torch.save(deeper, path)
    with pytest.raises(ValueError, match=r"net\.pth is of another network, it also has features\.16\.conv\.4\.weight"):
        applications.MobileNetV2(**what, weights=path)


def test_alexnet():
    model = applications.AlexNet(input_shape=(224, 230, 3), classes=6, classifier_activation=None)
    compare(model, AlexNet(6).eval(), 224)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("side", [64, 67])
def test_squeezenet(version, side):
    arguments = {"classes": 8, "classifier_activation": None, "version": version}
    torch.manual_seed(2)
    model = applications.SqueezeNet(input_shape=(side, side + 6, 3), **arguments)
    compare(model, SqueezeNet(version, 8).eval(), side)


@pytest.mark.parametrize("side", [64, 97])
def test_googlenet_with_its_heads(side):
    arguments = {"classes": 9, "classifier_activation": None, "aux_logits": True}
    model = applications.GoogLeNet(input_shape=(side, side + 6, 3), **arguments)
    module = settled(GoogLeNet(9), 3)
    assert sum(p.numel() for p in module.parameters()) == sum(v.size for v in model.trainable_weights)
    compare(model, module, side)


def test_weights_from_a_file_of_pytorch(tmp_path):
    module, path = settled(ResNet((2, 2, 2, 2), 1, 5), 4), tmp_path / "resnet18.pth"
    torch.save(module.state_dict(), path)
    what = {"input_shape": (64, 64, 3), "classes": 5, "classifier_activation": None}
    model = applications.ResNet18(**what, weights=path)
    x = np.random.default_rng(1).standard_normal((2, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


class Towers(nn.Module):
    """The AlexNet of the paper: groups, and local response normalization before the pooling."""

    def __init__(self, classes):
        super().__init__()
        given = 3
        for number, (made, size, strides, border, groups) in enumerate(
            [(96, 11, 4, 0, 1), (256, 5, 1, 2, 2), (384, 3, 1, 1, 1), (384, 3, 1, 1, 2), (256, 3, 1, 1, 2)], 1
        ):
            setattr(self, f"conv{number}", nn.Conv2d(given, made, size, strides, border, groups=groups))
            given = made
        self.fc6, self.fc7, self.predictions = nn.Linear(256, 4096), nn.Linear(4096, 4096), nn.Linear(4096, classes)

    def forward(self, x):
        for number in range(1, 6):
            x = torch.relu(getattr(self, f"conv{number}")(x))
            if number < 3:  # PyTorch divides alpha by the number of channels that count
                x = nn.functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)
            x = nn.functional.max_pool2d(x, 3, 2) if number in (1, 2, 5) else x
        return self.predictions(torch.relu(self.fc7(torch.relu(self.fc6(x.flatten(1))))))


def test_alexnet_in_two_towers():
    model = applications.AlexNet(input_shape=(67, 73, 3), classes=6, classifier_activation=None, style="paper")
    torch.manual_seed(5)
    compare(model, Towers(6).eval(), 67)


class UNet(nn.Module):
    """Of three floors."""

    def __init__(self, filters, border, classes):
        super().__init__()
        self.border, given = border, 3
        for floor in range(3):
            self._pair(f"down{floor}", given, filters << floor)
            given = filters << floor
        for floor in (1, 0):
            setattr(self, f"up{floor}_raise", nn.ConvTranspose2d(given, filters << floor, 2, 2))
            self._pair(f"up{floor}", given, filters << floor)
            given = filters << floor
        self.predictions = nn.Conv2d(given, classes, 1)

    def _pair(self, name, given, made):
        setattr(self, f"{name}_conv1", nn.Conv2d(given, made, 3, padding=self.border))
        setattr(self, f"{name}_conv2", nn.Conv2d(made, made, 3, padding=self.border))

    def _through(self, name, x):
        for number in (1, 2):
            x = torch.relu(getattr(self, f"{name}_conv{number}")(x))
        return x

    def forward(self, x):
        passed = [self._through("down0", x)]
        passed.append(self._through("down1", nn.functional.max_pool2d(passed[0], 2)))
        x = self._through("down2", nn.functional.max_pool2d(passed[1], 2))
        for floor in (1, 0):
            x, across = getattr(self, f"up{floor}_raise")(x), passed[floor]
            top, left = ((a - b) // 2 for a, b in zip(across.shape[2:], x.shape[2:], strict=True))
            across = across[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            x = self._through(f"up{floor}", torch.cat([across, x], 1))
        return self.predictions(x)


@pytest.mark.parametrize(("padding", "side"), [("valid", 62), ("same", 42)])
def test_unet(padding, side):
    what = {"filters": 6, "depth": 2, "classes": 3, "classifier_activation": None, "padding": padding}
    shape = (side + 2, side + 6, 3)
    model = applications.UNet(input_shape=shape, **what)
    torch.manual_seed(6)
    module = UNet(6, 1 if padding == "same" else 0, 3)
    load_torch_weights(model, module.state_dict())
    x = np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.tensor(x.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    assert model.output_shape[1:] == expected.shape[1:]
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
