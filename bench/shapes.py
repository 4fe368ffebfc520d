"""The layers that are measured, by name and class.

The names tell where a shape comes from: VGG, ResNet-50 (r50), LeNet-5 (l5), the MNIST convnet (mnist), AlexNet,
GoogLeNet's inception (inc), MobileNet (depthwise), ResNeXt (grouped), DCGAN (transposed).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

CONV_PASSES = ("forward", "backward_data", "backward_weights")
OTHER_PASSES = ("forward", "backward")
PASSES = (*CONV_PASSES, "backward")

# Classes of layers, by which ratios are averaged.
LARGE_3X3, SMALL_3X3, SMALLEST_3X3 = "3x3 stride 1, >=28^2", "3x3 stride 1, 14^2", "3x3 stride 1, 7^2"
WIDE_5X5, NARROW_5X5, PLAIN, FEW = "5x5, C>=32", "5x5, C<32", "1x1/strided/stem", "C<=6"
LENET, SPECIAL, POOL_NORM = "LeNet layers", "depthwise/grouped/dilated/1-D/3-D/transposed", "pool/norm"
BY_EXAMPLE = "layer/group/response norm, PReLU, adaptive pooling"
CLASSES = (
    LARGE_3X3, SMALL_3X3, SMALLEST_3X3, WIDE_5X5, NARROW_5X5, PLAIN, FEW, LENET, SPECIAL, POOL_NORM,
    BY_EXAMPLE,
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One layer with everything that its cost depends on; sizes are those of its input.

    Attributes:
        name: as in tables; unique.
        kind: "conv", "transposed", "max_pool", "average_pool", "batch_norm" (with a ReLU), "layer_norm" (over
            channels), "group_norm", "prelu" (a slope for every channel), "adaptive_max" "adaptive_average" or
            "local_response" (two neighbours on each side).
        group: its class.
        batch: images.
        size: length of each spatial axis, one to three of them.
        channels: of the input.
        filters: channels of the output.
        window: the kernel's length along every axis.
        stride: along every axis.
        padding: on both sides of every axis.
        dilation: along every axis.
        groups: of channels; as many as channels for a depthwise convolution.
        windows: along every axis, of adaptive pooling.
    """

    name: str
    kind: str
    group: str
    batch: int
    size: tuple[int, ...]
    channels: int
    filters: int
    window: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    windows: int = 0

    @property
    def rank(self) -> int:
        return len(self.size)

    @property
    def depthwise(self) -> bool:
        return self.groups > 1 and self.groups == self.channels == self.filters

    @property
    def is_conv(self) -> bool:
        return self.kind in ("conv", "transposed")

    @property
    def classes(self) -> tuple[str, ...]:
        """Its class, and that of few input channels where it belongs there too."""
        few = self.kind == "conv" and self.groups == 1 and self.channels <= 6 and self.group != FEW
        return (self.group, FEW) if few else (self.group,)

    @property
    def passes(self) -> tuple[str, ...]:
        return CONV_PASSES if self.is_conv else OTHER_PASSES

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (self.batch, *self.size, self.channels)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Taps, then channels in and out; a transposed convolution's are out and in, a depthwise one's (C, 1)."""
        taps = (self.window,) * self.rank
        if self.depthwise:
            return (*taps, self.channels, 1)
        if self.kind == "transposed":
            return (*taps, self.filters, self.channels)
        return (*taps, self.channels // self.groups, self.filters)

    @property
    def y_shape(self) -> tuple[int, ...]:
        reach = (self.window - 1) * self.dilation + 1
        if self.windows:
            out = (self.windows,) * self.rank
        elif self.kind == "transposed":
            out = tuple((n - 1) * self.stride + reach - 2 * self.padding for n in self.size)
        else:
            out = tuple((n + 2 * self.padding - reach) // self.stride + 1 for n in self.size)
        return (self.batch, *out, self.filters)

    @property
    def flops(self) -> int:
        """Operations of one pass computed directly; 0 where bytes and not arithmetic make the cost."""
        if not self.is_conv:
            return 0
        positions = math.prod(self.x_shape[:-1] if self.kind == "transposed" else self.y_shape[:-1])
        return 2 * positions * self.window**self.rank * self.channels * self.filters // self.groups

    @property
    def intensity(self) -> float:
        """Operations of one pass for each byte of x, y and the kernel, all read or written once."""
        floats = math.prod(self.x_shape) + math.prod(self.y_shape) + math.prod(self.kernel_shape) * self.is_conv
        return self.flops / (4 * floats)

    def scaled_down(self) -> Layer:
        """A layer of the same kind that takes milliseconds: for trying things out, not for measuring."""
        reach = (self.window - 1) * self.dilation + 1
        most = 64 if self.rank == 1 else 16 if self.rank == 2 else 6
        channels, filters = min(self.channels, 64), min(self.filters, 64)
        groups = channels if self.depthwise else self.groups
        size = tuple(min(n, max(most, reach)) for n in self.size)
        return replace(self, batch=min(self.batch, 2), size=size, channels=channels, filters=filters, groups=groups)

    def data(self, seed: int = 0) -> dict[str, FloatArray]:
        """x, dy and (for convolutions) kernel and bias, of unit scale: NHWC, aligned as engines align theirs."""
        random = np.random.default_rng(seed)
        arrays = {"x": aligned_normal(random, self.x_shape), "dy": aligned_normal(random, self.y_shape)}
        if self.is_conv:
            fan_in = self.window**self.rank * self.channels // self.groups
            arrays["kernel"] = aligned_normal(random, self.kernel_shape, fan_in**-0.5)
            arrays["bias"] = aligned_normal(random, (self.filters,))
        return arrays


def aligned_normal(random: np.random.Generator, shape: tuple[int, ...], scale: float = 1.0) -> FloatArray:
    """Normal numbers in memory that begins at a multiple of 64 bytes."""
    count = math.prod(shape)
    room = np.empty(count + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    array = room[start : start + count].reshape(shape)
    random.standard_normal(out=array, dtype=np.float32)
    array *= np.float32(scale)
    return array


def _conv(name: str, group: str, batch: int, size: tuple[int, ...], channels: int, filters: int, window: int,
          stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> Layer:  # fmt: skip
    return Layer(name, "conv", group, batch, size, channels, filters, window, stride, padding, dilation, groups)


def _images() -> Iterator[Layer]:
    rows = [
        ("vgg1_1", FEW, 8, 224, 3, 64, 3, 1, 1), ("vgg1_2", LARGE_3X3, 4, 224, 64, 64, 3, 1, 1),
        ("vgg3_2", LARGE_3X3, 8, 56, 256, 256, 3, 1, 1), ("vgg5", SMALL_3X3, 8, 14, 512, 512, 3, 1, 1),
        ("r50_stem", PLAIN, 8, 224, 3, 64, 7, 2, 3), ("r50_3x3_56", LARGE_3X3, 16, 56, 64, 64, 3, 1, 1),
        ("r50_3x3_28", LARGE_3X3, 16, 28, 128, 128, 3, 1, 1), ("r50_3x3_14", SMALL_3X3, 16, 14, 256, 256, 3, 1, 1),
        ("r50_3x3_14_n64", SMALL_3X3, 64, 14, 256, 256, 3, 1, 1),
        ("r50_3x3_7", SMALLEST_3X3, 16, 7, 512, 512, 3, 1, 1), ("r50_1x1_56a", PLAIN, 16, 56, 256, 64, 1, 1, 0),
        ("r50_1x1_56b", PLAIN, 16, 56, 64, 256, 1, 1, 0), ("r50_1x1_14", PLAIN, 16, 14, 1024, 256, 1, 1, 0),
        ("r50_1x1_s2", PLAIN, 16, 56, 256, 512, 1, 2, 0), ("r50_3x3_s2", PLAIN, 16, 56, 128, 128, 3, 2, 1),
        ("mnist_1", LENET, 128, 28, 1, 32, 3, 1, 0), ("mnist_2", LENET, 128, 13, 32, 64, 3, 1, 0),
        ("l5_1", LENET, 128, 28, 1, 6, 5, 1, 0), ("l5_2", LENET, 128, 14, 6, 16, 5, 1, 0),
        ("alex_2", WIDE_5X5, 32, 27, 64, 192, 5, 1, 2), ("inc_5x5", NARROW_5X5, 32, 28, 16, 32, 5, 1, 2),
    ]  # fmt: skip
    for name, group, batch, side, channels, filters, window, stride, padding in rows:
        yield _conv(name, group, batch, (side, side), channels, filters, window, stride, padding)


def _special() -> Iterator[Layer]:
    for channels, side in ((32, 112), (64, 112), (128, 56), (256, 28), (512, 14)):
        for stride in (1, 2):
            name = f"depthwise_{channels}_{side}_s{stride}"
            yield _conv(name, SPECIAL, 8, (side, side), channels, channels, 3, stride, 1, groups=channels)
    for channels, side, stride in ((128, 56, 1), (256, 28, 1), (512, 14, 1), (1024, 7, 1), (256, 56, 2)):
        name = f"grouped_{channels}_{side}_s{stride}"
        yield _conv(name, SPECIAL, 8, (side, side), channels, channels, 3, stride, 1, groups=32)
    for channels, side in ((64, 56), (256, 28)):
        for dilation in (2, 4):
            name = f"dilated{dilation}_{channels}_{side}"
            yield _conv(name, SPECIAL, 8, (side, side), channels, channels, 3, 1, dilation, dilation)
    for channels in (64, 128, 256):
        for batch, length in ((16, 1000), (4, 16000)):
            for window in (3, 5):
                name = f"conv1d_{channels}_{length}_k{window}"
                yield _conv(name, SPECIAL, batch, (length,), channels, channels, window, 1, window // 2)
    for channels, filters, side in ((3, 64, 112), (64, 64, 56), (128, 128, 28)):
        yield _conv(f"conv3d_{channels}_{side}", SPECIAL, 1, (16, side, side), channels, filters, 3, 1, 1)
    for channels, filters, side in ((512, 256, 8), (256, 128, 16), (128, 64, 32)):
        yield Layer(
            f"transposed_{channels}_{side}", "transposed", SPECIAL, 16, (side, side), channels, filters, 4, 2, 1
        )


def _pools_and_norms() -> Iterator[Layer]:
    for kind, name, batch, side, channels, window, stride, padding in [
        ("max_pool", "max_3x3s2_64", 16, 112, 64, 3, 2, 1), ("max_pool", "max_2x2_64", 16, 112, 64, 2, 2, 0),
        ("max_pool", "max_2x2_32", 128, 26, 32, 2, 2, 0), ("max_pool", "max_2x2_6", 128, 28, 6, 2, 2, 0),
        ("max_pool", "max_3x3s2_192", 32, 56, 192, 3, 2, 0), ("average_pool", "average_2x2_64", 16, 112, 64, 2, 2, 0),
        ("average_pool", "average_2x2_6", 128, 28, 6, 2, 2, 0), ("batch_norm", "norm_relu_32", 8, 112, 32, 1, 1, 0),
        ("batch_norm", "norm_relu_64", 16, 56, 64, 1, 1, 0), ("batch_norm", "norm_relu_256", 16, 56, 256, 1, 1, 0),
        ("batch_norm", "norm_relu_512", 16, 14, 512, 1, 1, 0),
    ]:  # fmt: skip
        yield Layer(name, kind, POOL_NORM, batch, (side, side), channels, channels, window, stride, padding)


def _by_example() -> Iterator[Layer]:
    for batch, side, channels in ((32, 56, 64), (16, 28, 256)):
        for kind, name, groups, windows in [
            ("layer_norm", "layer_norm", 1, 0), ("group_norm", "group_norm32", 32, 0),
            ("group_norm", "instance_norm", channels, 0), ("prelu", "prelu", 1, 0),
            ("adaptive_max", "adaptive_max5", 1, 5), ("adaptive_average", "adaptive_average5", 1, 5),
            ("local_response", "local_response", 1, 0),
        ]:  # fmt: skip
            yield Layer(
                f"{name}_{channels}", kind, BY_EXAMPLE, batch, (side, side), channels, channels,
                groups=groups, windows=windows,
            )  # fmt: skip


LAYERS: tuple[Layer, ...] = (*_images(), *_special(), *_pools_and_norms(), *_by_example())


def select(pattern: str = "") -> list[Layer]:
    """The layers whose name or class a regular expression finds.

    Raises:
        ValueError: it finds none.
    """
    found = [x for x in LAYERS if re.search(pattern, x.name) or any(re.search(pattern, c) for c in x.classes)]
    if not found:
        raise ValueError(f"--layers {pattern!r} finds none of {', '.join(x.name for x in LAYERS)}")
    return found
