"""Networks of well-known kinds as PyTorch modules, small, and in the words of their authors' code."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), (2, 2))
        x = x.view(-1, 16 * 5 * 5)
        return F.log_softmax(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))), dim=1)


class VGG(nn.Module):
    def __init__(self):
        super().__init__()
        made, channels = [], 3
        for width in (8, "M", 16, "M", 16, 16, "M"):
            if width == "M":
                made += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                made += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*made)
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(
            nn.Linear(16 * 9, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 32), nn.ReLU(True), nn.Dropout(),
            nn.Linear(32, 7),
        )  # fmt: skip

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, channels, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, channels, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, stride, 1, groups=2, bias=False), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, planes * 4, 1, bias=False), nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(out + shortcut)


class ResNet(nn.Module):
    def __init__(self, block, counts, width=8):
        super().__init__()
        self.channels = width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for number, count in enumerate(counts):
            setattr(self, f"layer{number + 1}", self.stage(block, width << number, count, 1 + (number > 0)))
        self.stages = len(counts)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(self.channels, 10)

    def stage(self, block, planes, count, stride):
        downsample = None
        if stride != 1 or self.channels != planes * block.expansion:
            downsample = nn.Sequential(
                nn.Conv2d(self.channels, planes * block.expansion, 1, stride, bias=False),
                nn.BatchNorm2d(planes * block.expansion),
            )
        blocks = [block(self.channels, planes, stride, downsample)]
        self.channels = planes * block.expansion
        return nn.Sequential(*blocks, *(block(self.channels, planes) for _ in range(count - 1)))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(self.stages):
            x = getattr(self, f"layer{number + 1}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def conv_bn_relu6(channels, out, size=3, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(channels, out, size, stride, (size - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    def __init__(self, channels, out, stride, expand):
        super().__init__()
        hidden = round(channels * expand)
        self.use_res_connect = stride == 1 and channels == out
        made = [conv_bn_relu6(channels, hidden, 1)] if expand != 1 else []
        made += [conv_bn_relu6(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, out, 1, bias=False)]
        self.conv = nn.Sequential(*made, nn.BatchNorm2d(out))

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """As in torchvision."""

    SETTINGS = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip

    def __init__(self, classes=1000, settings=SETTINGS, first=32, last=1280):
        super().__init__()
        made, channels = [conv_bn_relu6(3, first, 3, 2)], first
        for expand, width, count, stride in settings:
            for number in range(count):
                made.append(InvertedResidual(channels, width, stride if number == 0 else 1, expand))
                channels = width
        self.features = nn.Sequential(*made, conv_bn_relu6(channels, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


def padded_as_in_tensorflow(x, convolution):
    """What a convolution makes of x, with the border that "same" means in TensorFlow."""
    border = []
    for size, kernel, stride in zip(x.shape[:1:-1], convolution.kernel_size, convolution.stride, strict=True):
        whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        border += [whole // 2, whole - whole // 2]
    return convolution(F.pad(x, border))


class MBConv(nn.Module):
    def __init__(self, channels, out, size, stride, expand):
        super().__init__()
        hidden = channels * expand
        self.use_res_connect = stride == 1 and channels == out
        if expand > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden, 1e-3)
        self._depthwise_conv = nn.Conv2d(hidden, hidden, size, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, 1e-3)
        self._project_conv, self._bn2 = nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out, 1e-3)

    def forward(self, x):
        y = F.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = F.relu6(self._bn1(padded_as_in_tensorflow(y, self._depthwise_conv)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.use_res_connect else y


class EfficientNetLite0(nn.Module):
    """With the names of the package efficientnet-lite-pytorch."""

    SETTINGS = (
        (1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3), (6, 192, 5, 2, 4),
        (6, 320, 3, 1, 1),
    )  # fmt: skip

    def __init__(self, classes=1000):
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, 1e-3)
        blocks, channels = [], 32
        for expand, width, size, stride, count in self.SETTINGS:
            for number in range(count):
                blocks.append(MBConv(channels, width, size, 1 if number else stride, expand))
                channels = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(channels, 1280, 1, bias=False), nn.BatchNorm2d(1280, 1e-3)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x):
        x = F.relu6(self._bn0(padded_as_in_tensorflow(x, self._conv_stem)))
        for block in self._blocks:
            x = block(x)
        return self._fc(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))


class MTCNN(nn.Module):
    """One of the three networks of K. Zhang et al., "Joint Face Detection and Alignment" (2016), as in facenet-pytorch.

    Its dense layers read width, height and channels in this order, as the first ones, written in MATLAB, did.
    """

    def __init__(self, convolutions, pools, dense, heads):
        super().__init__()
        channels, self.count, self.dense = 3, len(convolutions), dense
        for number, (width, size) in enumerate(convolutions, 1):
            setattr(self, f"conv{number}", nn.Conv2d(channels, width, size))
            setattr(self, f"prelu{number}", nn.PReLU(width))
            if number <= len(pools):
                setattr(self, f"pool{number}", nn.MaxPool2d(pools[number - 1], 2, ceil_mode=True))
            channels = width
        last = len(convolutions) + 1
        if dense:
            setattr(self, f"dense{last}", nn.Linear(*dense))
            setattr(self, f"prelu{last}", nn.PReLU(dense[1]))
        self.heads = [f"{'dense' if dense else 'conv'}{last + bool(dense)}_{n}" for n in range(1, len(heads) + 1)]
        for name, count in zip(self.heads, heads, strict=True):
            setattr(self, name, nn.Linear(dense[1], count) if dense else nn.Conv2d(channels, count, 1))

    def forward(self, x):
        for number in range(1, self.count + 1):
            x = getattr(self, f"prelu{number}")(getattr(self, f"conv{number}")(x))
            if hasattr(self, f"pool{number}"):
                x = getattr(self, f"pool{number}")(x)
        if self.dense:
            last = self.count + 1
            x = x.permute(0, 3, 2, 1).contiguous()
            x = getattr(self, f"dense{last}")(x.view(x.shape[0], -1))
            x = getattr(self, f"prelu{last}")(x)
        face, *others = [getattr(self, name)(x) for name in self.heads]
        return [*others, F.softmax(face, dim=1)]


def mtcnn(which):
    """P, R or O."""
    return {
        "p": lambda: MTCNN([(10, 3), (16, 3), (32, 3)], [2], None, [2, 4]),
        "r": lambda: MTCNN([(28, 3), (48, 3), (64, 2)], [3, 3], (576, 128), [2, 4]),
        "o": lambda: MTCNN([(32, 3), (64, 3), (64, 3), (128, 2)], [3, 3, 2], (1152, 256), [2, 4, 10]),
    }[which]()


class Fire(nn.Module):
    def __init__(self, channels, squeeze, expand):
        super().__init__()
        self.squeeze, self.expand1x1 = nn.Conv2d(channels, squeeze, 1), nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.activation(self.squeeze(x))
        return torch.cat([self.activation(self.expand1x1(x)), self.activation(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 4, 8),
            Fire(16, 4, 8), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 8, 16),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(p=0.5), nn.Conv2d(32, 10, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


class DenseLayer(nn.Module):
    drop_rate = 0.1

    def __init__(self, channels, growth=4):
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features):
        x = self.conv1(self.relu1(self.norm1(torch.cat(features, 1))))
        x = self.conv2(self.relu2(self.norm2(x)))
        return F.dropout(x, p=self.drop_rate, training=self.training)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList([DenseLayer(8 + 4 * number) for number in range(3)])
        self.transition = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2, 2))
        self.head = nn.Linear(10, 5)

    def forward(self, x):
        features = [self.conv0(x)]
        for layer in self.layers:
            features.append(layer(features))
        x = F.relu(self.transition(torch.cat(features, 1)))
        return self.head(x.mean([2, 3]))


def channel_shuffle(x, groups):
    batchsize, num_channels, height, width = x.size()
    channels_per_group = num_channels // groups
    x = x.view(batchsize, groups, channels_per_group, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(batchsize, num_channels, height, width)


class ShuffleUnit(nn.Module):
    def __init__(self, channels, stride):
        super().__init__()
        half = channels // 2
        entering = channels if stride > 1 else half
        self.stride = stride
        self.branch1 = nn.Sequential(
            nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels),
            nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
        ) if stride > 1 else nn.Sequential()  # fmt: skip
        self.branch2 = nn.Sequential(
            nn.Conv2d(entering, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False), nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x):
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
            out = torch.cat((x1, self.branch2(x2)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.units = nn.Sequential(ShuffleUnit(8, 2), ShuffleUnit(8, 1), ShuffleUnit(8, 1))
        self.fc = nn.Linear(8, 6)

    def forward(self, x):
        return self.fc(self.units(self.conv1(x)).mean([2, 3]))


class DoubleConv(nn.Sequential):
    def __init__(self, channels, out):
        super().__init__(
            nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        )  # fmt: skip


class UNet(nn.Module):
    def __init__(self, bilinear=False):
        super().__init__()
        self.inc, self.down1, self.down2 = DoubleConv(3, 6), DoubleConv(6, 12), DoubleConv(12, 12 if bilinear else 24)
        if bilinear:
            self.up1 = self.up2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv1, self.conv2 = DoubleConv(24, 6), DoubleConv(12, 6)
        else:
            self.up1, self.up2 = nn.ConvTranspose2d(24, 12, 2, stride=2), nn.ConvTranspose2d(12, 6, 2, stride=2)
            self.conv1, self.conv2 = DoubleConv(24, 12), DoubleConv(12, 6)
        self.outc = nn.Conv2d(6, 2, 1)

    def join(self, x1, x2):
        diff_y, diff_x = x2.size()[2] - x1.size()[2], x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diff_x // 2, diff_x - diff_x // 2, diff_y // 2, diff_y - diff_y // 2])
        return torch.cat([x2, x1], dim=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        x = self.conv1(self.join(self.up1(x3), x2))
        x = self.conv2(self.join(self.up2(x), x1))
        return torch.sigmoid(self.outc(x))


class BasicConv(nn.Module):
    def __init__(self, channels, out, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(channels, out, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class InceptionA(nn.Module):
    def __init__(self, channels, pooled):
        super().__init__()
        self.branch1x1 = BasicConv(channels, 8, kernel_size=1)
        self.branch5x5_1 = BasicConv(channels, 6, kernel_size=1)
        self.branch5x5_2 = BasicConv(6, 8, kernel_size=5, padding=2)
        self.branch7_1 = BasicConv(channels, 6, kernel_size=(1, 7), padding=(0, 3))
        self.branch7_2 = BasicConv(6, 8, kernel_size=(7, 1), padding=(3, 0))
        self.branch_pool = BasicConv(channels, pooled, kernel_size=1)

    def forward(self, x):
        pooled = self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        branch5 = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), branch5, self.branch7_2(self.branch7_1(x)), pooled], 1)


class GoogLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = BasicConv(3, 8, kernel_size=7, stride=2, padding=3)
        self.lrn = nn.LocalResponseNorm(5, alpha=0.1, k=1.5)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception = nn.Sequential(InceptionA(8, 8), InceptionA(32, 8))
        self.maxpool2 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout, self.fc = nn.Dropout(0.2), nn.Linear(32, 5)

    def forward(self, x):
        x = self.maxpool2(self.inception(self.maxpool1(self.lrn(self.conv1(x)))))
        return self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, 3), nn.Linear(3, channels)

    def forward(self, x):
        b, c, _, _ = x.shape
        y = F.adaptive_avg_pool2d(x, 1).view(b, c)
        y = torch.sigmoid(self.fc2(F.silu(self.fc1(y)))).view(b, c, 1, 1)
        return x * y.expand_as(x)


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1, self.act = nn.Linear(channels, 4 * channels), nn.GELU()
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.act(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class Modern(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.block, self.se, self.head = ConvNeXtBlock(8), SqueezeExcite(8), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.se(self.block(self.stem(x))).mean((-2, -1)))


NETS = {
    "LeNet": (LeNet, (1, 28, 28)),
    "VGG": (VGG, (3, 25, 24)),
    "ResNet-18": (lambda: ResNet(BasicBlock, (2, 2, 2, 2)), (3, 64, 48)),
    "ResNet of bottlenecks": (lambda: ResNet(Bottleneck, (1, 2)), (3, 33, 32)),
    "MobileNetV2": (lambda: MobileNetV2(9, ((1, 8, 1, 1), (6, 12, 2, 2), (6, 16, 2, 2)), 8, 40), (3, 32, 32)),
    "SqueezeNet": (SqueezeNet, (3, 40, 39)),
    "DenseNet": (DenseNet, (3, 16, 18)),
    "ShuffleNet": (ShuffleNet, (3, 32, 32)),
    "U-Net": (UNet, (3, 22, 17)),
    "U-Net, bilinear": (lambda: UNet(True), (3, 21, 18)),
    "GoogLeNet": (GoogLeNet, (3, 45, 48)),
    "ConvNeXt with gates": (Modern, (3, 24, 20)),
}
