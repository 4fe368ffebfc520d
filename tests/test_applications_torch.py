"""Networks against small modules of PyTorch, written here as torchvision structures them."""

import numpy as np
import pytest

from cnnfast import applications

torch = pytest.importorskip("torch")
nn = torch.nn


def called(name, part):
    """The part, with the name that our layer has."""
    part.known_as = name
    return part


def conv(name, *arguments, **more):
    return called(name, nn.Conv2d(*arguments, **more))


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, or 1x1, 3x3 and 1x1."""

    def __init__(self, name, given, width, strides, wider):
        super().__init__()
        made = wider * width
        sizes = [(given, width, 3, strides), (width, width, 3, 1)]
        if wider > 1:
            sizes = [(given, width, 1, 1), (width, width, 3, strides), (width, made, 1, 1)]
        self.shortcut = nn.Sequential()
        if strides > 1 or given != made:
            self.shortcut = self._part(f"{name}_0", given, made, 1, strides)
        self.parts = nn.ModuleList([self._part(f"{name}_{i}", *size) for i, size in enumerate(sizes, 1)])

    @staticmethod
    def _part(name, a, b, size, strides):
        convolution = conv(f"{name}_conv", a, b, size, strides, size // 2, bias=False)
        return nn.Sequential(convolution, called(f"{name}_bn", nn.BatchNorm2d(b)))

    def forward(self, x):
        y = x
        for i, part in enumerate(self.parts):
            y = part(y) if i == len(self.parts) - 1 else torch.relu(part(y))
        return torch.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, depths, wider, classes):
        super().__init__()
        first = conv("conv1_conv", 3, 64, 7, 2, 3, bias=False), called("conv1_bn", nn.BatchNorm2d(64))
        self.stem = nn.Sequential(*first, nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        blocks, given = [], 64
        for stage, count in enumerate(depths):
            for number in range(count):
                name, width = f"conv{stage + 2}_block{number + 1}", 64 << stage
                blocks.append(Block(name, given, width, 2 if stage and not number else 1, wider))
                given = wider * width
        self.blocks = nn.Sequential(*blocks)
        self.head = called("predictions", nn.Linear(given, classes))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def alexnet(classes):
    layers, given = [], 3
    for number, (made, size, strides, border) in enumerate(
        [(64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)], 1
    ):
        layers += [conv(f"conv{number}", given, made, size, strides, border), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if number in (1, 2, 5) else []
        given = made
    layers += [nn.AdaptiveAvgPool2d(6), nn.Flatten()]
    for name, a, b in (("fc6", 9216, 4096), ("fc7", 4096, 4096)):
        layers += [nn.Dropout(), called(name, nn.Linear(a, b)), nn.ReLU()]
    return nn.Sequential(*layers, called("predictions", nn.Linear(4096, classes)))


class Fire(nn.Module):
    def __init__(self, name, given, squeezed, expanded):
        super().__init__()
        self.squeeze = conv(f"{name}_squeeze", given, squeezed, 1)
        self.small = conv(f"{name}_expand1x1", squeezed, expanded, 1)
        self.large = conv(f"{name}_expand3x3", squeezed, expanded, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.small(x), self.large(x)], 1))


def pooled(size=3):
    return nn.MaxPool2d(size, 2, ceil_mode=True)


def squeezenet(version, classes):
    first, size, before = (96, 7, (0, 3, 7)) if version == "1.0" else (64, 3, (0, 2, 4))
    layers, given = [conv("conv1", 3, first, size, 2), nn.ReLU()], first
    for number in range(8):
        layers += [pooled()] if number in before else []
        squeezed = 16 * (number // 2 + 1)
        layers.append(Fire(f"fire{number + 2}", given, squeezed, 4 * squeezed))
        given = 8 * squeezed
    return nn.Sequential(
        *layers, nn.Dropout(), conv("conv10", given, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def conv_bn(name, given, made, size, strides=1):
    convolution = conv(name, given, made, size, strides, size // 2, bias=False)
    return nn.Sequential(convolution, called(f"{name}_bn", nn.BatchNorm2d(made, eps=0.001)), nn.ReLU())


class Inception(nn.Module):
    def __init__(self, block, given, a, b, d, e, f, g):
        super().__init__()
        name = f"inception_{block}"
        self.paths = nn.ModuleList([
            conv_bn(f"{name}_1x1", given, a, 1),
            nn.Sequential(conv_bn(f"{name}_3x3_reduce", given, b, 1), conv_bn(f"{name}_3x3", b, d, 3)),
            nn.Sequential(conv_bn(f"{name}_5x5_reduce", given, e, 1), conv_bn(f"{name}_5x5", e, f, 3)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_bn(f"{name}_pool_proj", given, g, 1)),
        ])  # fmt: skip

    def forward(self, x):
        return torch.cat([path(x) for path in self.paths], 1)


class GoogLeNet(nn.Module):
    """Without dropout, which is not there in use."""

    def __init__(self, classes):
        super().__init__()
        second = conv_bn("conv2_reduce", 64, 64, 1), conv_bn("conv2", 64, 192, 3)
        self.stem = nn.Sequential(conv_bn("conv1", 3, 64, 7, 2), pooled(), *second, pooled())
        self.third = nn.Sequential(
            Inception("3a", 192, 64, 96, 128, 16, 32, 32), Inception("3b", 256, 128, 128, 192, 32, 96, 64), pooled()
        )
        self.fourth = nn.ModuleList([
            Inception("4a", 480, 192, 96, 208, 16, 48, 64), Inception("4b", 512, 160, 112, 224, 24, 64, 64),
            Inception("4c", 512, 128, 128, 256, 24, 64, 64), Inception("4d", 512, 112, 144, 288, 32, 64, 64),
            Inception("4e", 528, 256, 160, 320, 32, 128, 128),
        ])  # fmt: skip
        fifth = Inception("5a", 832, 256, 160, 320, 32, 128, 128), Inception("5b", 832, 384, 192, 384, 48, 128, 128)
        self.fifth = nn.Sequential(pooled(2), *fifth)
        self.head = called("predictions", nn.Linear(1024, classes))
        self.aux = nn.ModuleList([self._aux("aux1", 512, classes), self._aux("aux2", 528, classes)])

    @staticmethod
    def _aux(name, given, classes):
        head = [nn.Flatten(), called(f"{name}_fc", nn.Linear(2048, 1024)), nn.ReLU()]
        last = called(name, nn.Linear(1024, classes))
        return nn.Sequential(nn.AdaptiveAvgPool2d(4), conv_bn(f"{name}_conv", given, 128, 1), *head, last)

    def forward(self, x):
        x, auxiliary = self.third(self.stem(x)), []
        for number, block in enumerate(self.fourth):
            x = block(x)
            if number in (0, 3):
                auxiliary.append(self.aux[len(auxiliary)](x))
        return self.head(self.fifth(x).mean((2, 3))), *auxiliary


def take_over(model, module, flattened):
    """Give a model the module's weights; `flattened` is the shape of the image that dense layers see."""
    parts = {part.known_as: part for part in module.modules() if hasattr(part, "known_as")}
    assert {layer.name for layer in model.layers if layer.weights} == set(parts)
    for name, part in parts.items():
        weights = [v.detach().numpy() for v in (part.weight, part.bias) if v is not None]
        if isinstance(part, nn.Conv2d):
            weights[0] = weights[0].transpose(2, 3, 1, 0)
        elif isinstance(part, nn.BatchNorm2d):
            weights += [part.running_mean.numpy(), part.running_var.numpy()]
        else:
            weights[0] = weights[0].T
            if flattened and len(weights[0]) == np.prod(flattened):
                h, w, c = flattened
                weights[0] = weights[0].reshape(c, h, w, -1).transpose(1, 2, 0, 3).reshape(h * w * c, -1)
        model.get_layer(name).set_weights(weights)


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


def compare(model, module, side, flattened=None):
    x = np.random.default_rng(1).standard_normal((2, side, side + 6, 3)).astype(np.float32)
    given = torch.tensor(x.transpose(0, 3, 1, 2))
    with torch.no_grad():
        take_over(model, module, flattened)
        expected = module(given)
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


def test_alexnet():
    model = applications.AlexNet(input_shape=(224, 230, 3), classes=6, classifier_activation=None)
    compare(model, alexnet(6).eval(), 224, flattened=(6, 6, 256))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("side", [64, 67])
def test_squeezenet(version, side):
    arguments = {"classes": 8, "classifier_activation": None, "version": version}
    torch.manual_seed(2)
    model = applications.SqueezeNet(input_shape=(side, side + 6, 3), **arguments)
    compare(model, squeezenet(version, 8).eval(), side)


@pytest.mark.parametrize("side", [64, 97])
def test_googlenet_with_its_heads(side):
    arguments = {"classes": 9, "classifier_activation": None, "aux_logits": True}
    model = applications.GoogLeNet(input_shape=(side, side + 6, 3), **arguments)
    module = settled(GoogLeNet(9), 3)
    assert sum(p.numel() for p in module.parameters()) == sum(v.size for v in model.trainable_weights)
    compare(model, module, side, flattened=(4, 4, 128))
