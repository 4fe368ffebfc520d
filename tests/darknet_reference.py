"""Darknet's forward pass as its C code defines it: flat arrays in NCHW order, in float64, loop by loop.

Each layer's numbers are taken from the file's in the order of the sections. One image at a time.
"""

import math

import numpy as np


def sections_of(text):
    """[(kind, {key: value})], read in the simplest way."""
    found = []
    for line in text.splitlines():
        line = line.split("#")[0].replace(" ", "")
        if line.startswith("["):
            found.append((line[1:-1], {}))
        elif line:
            key, value = line.split("=")
            found[-1][1][key] = value
    return found


def _sigmoid(v):
    return 1 / (1 + math.exp(-v))


ACTIVATIONS = {
    "linear": lambda v: v,
    "leaky": lambda v: v if v > 0 else 0.1 * v,
    "relu": lambda v: max(v, 0.0),
    "relu6": lambda v: min(max(v, 0.0), 6.0),
    "relie": lambda v: v if v > 0 else 0.01 * v,
    "logistic": _sigmoid,
    "tanh": math.tanh,
    "mish": lambda v: v * math.tanh(math.log1p(math.exp(v))),
    "swish": lambda v: v * _sigmoid(v),
    "elu": lambda v: v if v >= 0 else math.exp(v) - 1,
    "selu": lambda v: 1.0507 * v if v >= 0 else 1.0507 * 1.6732 * (math.exp(v) - 1),
    "hardtan": lambda v: min(max(v, -1.0), 1.0),
    "gelu": lambda v: 0.5 * v * (1 + math.tanh(0.797885 * v + 0.035677 * v**3)),
}


def activate(x, name):
    return np.array([ACTIVATIONS[name](float(v)) for v in x.ravel()]).reshape(x.shape)


class Reader:
    def __init__(self, numbers):
        self.numbers, self.at = np.asarray(numbers, np.float64), 0

    def take(self, *shape):
        count = math.prod(shape)
        self.at += count
        assert self.at <= self.numbers.size
        return self.numbers[self.at - count : self.at].reshape(shape)


def convolve(x, kernel, stride_y, stride_x, pad, dilation, groups):
    filters, depth, size, _ = kernel.shape
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    reach = (size - 1) * dilation + 1
    height, width = (x.shape[1] - reach) // stride_y + 1, (x.shape[2] - reach) // stride_x + 1
    y = np.zeros((filters, height, width))
    for f in range(filters):
        first = f // (filters // groups) * depth
        for i in range(height):
            for j in range(width):
                top, left = i * stride_y, j * stride_x
                window = x[first : first + depth, top : top + reach : dilation, left : left + reach : dilation]
                y[f, i, j] = (window * kernel[f]).sum()
    return y


def pool(x, size, stride_y, stride_x, padding, mean):
    channels, height, width = x.shape
    out_h, out_w = (height + padding - size) // stride_y + 1, (width + padding - size) // stride_x + 1
    y = np.zeros((channels, out_h, out_w))
    for k in range(channels):
        for i in range(out_h):
            for j in range(out_w):
                seen = []
                for n in range(size):
                    for m in range(size):
                        row, column = i * stride_y + n - padding // 2, j * stride_x + m - padding // 2
                        if 0 <= row < height and 0 <= column < width:
                            seen.append(x[k, row, column])
                y[k, i, j] = sum(seen) / len(seen) if mean else max(seen)
    return y


def reorg(x, width, height, channels, stride, forward):
    """darknet's reorg_cpu on flat arrays."""
    x, y = x.ravel(), np.zeros(x.size)
    few = channels // stride**2
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                here = i + width * (j + height * k)
                c2, offset = k % few, k // few
                w2, h2 = i * stride + offset % stride, j * stride + offset // stride
                there = w2 + width * stride * (h2 + height * stride * c2)
                if forward:
                    y[there] = x[here]
                else:
                    y[here] = x[there]
    return y


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def forward(text, numbers, x, epsilon=1e-5, transposed=False):
    """Every layer's output, (C, H, W), for an image (C, H, W)."""
    reader = Reader(numbers)
    outputs = []
    for index, (kind, o) in enumerate(sections_of(text)[1:]):

        def integer(key, default, o=o):
            return int(o.get(key, default))

        def layer(given, index=index):
            return outputs[int(given) if int(given) >= 0 else index + int(given)]

        def normalize(y, scale, mean, variance, bias):
            shape = (-1, 1, 1)
            y = (y - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + epsilon)
            return y * scale.reshape(shape) + bias.reshape(shape)

        channels, height, width = x.shape
        if kind in ("convolutional", "conv"):
            n, groups, size = integer("filters", 1), integer("groups", 1), integer("size", 1)
            stride = integer("stride", 1)
            pad = size // 2 if integer("pad", 0) else integer("padding", 0)
            dilation = integer("dilation", 1) if size > 1 else 1
            bias = reader.take(n)
            statistics = reader.take(3, n) if integer("batch_normalize", 0) else None
            if integer("flipped", 0):
                kernel = reader.take(channels // groups * size * size, n).T.reshape(n, -1, size, size)
            else:
                kernel = reader.take(n, channels // groups, size, size)
            strides = integer("stride_y", stride), integer("stride_x", stride)
            y = convolve(x, kernel, *strides, pad * dilation, dilation, groups)
            y = y + bias.reshape(-1, 1, 1) if statistics is None else normalize(y, *statistics, bias)
            y = activate(y, o.get("activation", "logistic"))
        elif kind == "connected":
            n = integer("output", 1)
            bias = reader.take(n)
            kernel = reader.take(x.size, n).T if transposed else reader.take(n, x.size)
            y = (kernel @ x.ravel()).reshape(n, 1, 1)
            normalized = integer("batch_normalize", 0)
            y = normalize(y, *reader.take(3, n), bias) if normalized else y + bias.reshape(-1, 1, 1)
            y = activate(y, o.get("activation", "logistic"))
        elif kind == "batchnorm":
            bias = reader.take(channels)
            y = normalize(x, *reader.take(3, channels), bias)
        elif kind in ("maxpool", "max", "local_avgpool"):
            stride = integer("stride", 1)
            size = integer("size", stride)
            strides = integer("stride_y", stride), integer("stride_x", stride)
            y = pool(x, size, *strides, integer("padding", size - 1), kind == "local_avgpool")
        elif kind == "avgpool":
            y = x.mean(axis=(1, 2), keepdims=True)
        elif kind == "route":
            groups, part = integer("groups", 1), integer("group_id", 0)
            chosen = [layer(n) for n in o["layers"].split(",")]
            y = np.concatenate([c[len(c) // groups * part : len(c) // groups * (part + 1)] for c in chosen])
        elif kind == "shortcut":
            y = x.copy()
            for n in o["from"].split(","):
                common = min(len(y), len(layer(n)))
                y[:common] += layer(n)[:common]
            y = activate(y, o.get("activation", "linear"))
        elif kind in ("scale_channels", "sam"):
            y = activate(x * layer(o["from"]), o.get("activation", "linear"))
        elif kind == "upsample":
            stride = integer("stride", 2)
            y = x.repeat(stride, axis=1).repeat(stride, axis=2) * float(o.get("scale", 1))
        elif kind in ("reorg", "reorg3d"):
            s = integer("stride", 1)
            if integer("reverse", 0):
                y = reorg(x, width, height, channels, s, True).reshape(channels // s**2, height * s, width * s)
            else:
                shape = channels * s * s, height // s, width // s
                sizes = (width, height, channels) if kind == "reorg" else shape[::-1]
                y = reorg(x, *sizes, s, False).reshape(shape)
        elif kind == "crop":
            rows, columns = integer("crop_height", 1), integer("crop_width", 1)
            top, left = (height - rows) // 2, (width - columns) // 2
            y = x[:, top : top + rows, left : left + columns]
            y = y if integer("noadjust", 0) else 2 * y - 1
        elif kind == "softmax":
            groups, temperature = integer("groups", 1), float(o.get("temperature", 1))
            if float(o.get("spatial", 0)):
                y = np.stack([softmax(v) for v in x.reshape(channels, -1).T], axis=1).reshape(x.shape)
            else:
                parts = np.split(x.ravel() / temperature, groups)
                y = np.concatenate([softmax(part) for part in parts]).reshape(-1, 1, 1)
        elif kind == "activation":
            y = activate(x, o.get("activation", "linear"))
        elif kind in ("dropout", "empty", "silence", "cost", "yolo", "region"):
            y = x
        else:
            raise AssertionError(kind)
        outputs.append(y)
        x = y
    assert reader.at == reader.numbers.size
    return outputs


def random_numbers(rng, layout):
    """Weights for sections given as (kind, filters, kernel size, normalized), such that results stay moderate."""
    parts = []
    for kind, n, size, normalized in layout:
        bias, kernel = rng.normal(0, 0.2, n), rng.normal(0, 1 / math.sqrt(max(size // n, 1)), size)
        statistics = [rng.uniform(0.5, 1.5, n), rng.normal(0, 0.2, n), rng.uniform(0.3, 2, n)] if normalized else []
        parts += [bias, kernel, *statistics] if kind == "connected" else [bias, *statistics, kernel]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
