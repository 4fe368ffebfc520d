"""Darknet's forward pass by PyTorch, straight from a `.cfg` file's text and the numbers of a `.weights` file."""

import numpy as np
import pytest

from darknet_reference import sections_of


def maps(text, numbers, x):
    """What enters each [yolo] and [region] section, (N, H, W, C), for images (N, H, W, C)."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    numbers = torch.from_numpy(np.array(numbers, np.float32))
    at = 0

    def take(*shape):
        nonlocal at
        at += int(np.prod(shape))
        return numbers[at - int(np.prod(shape)) : at].reshape(shape)

    y, outputs, found = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), [], []
    for index, (kind, o) in enumerate(sections_of(text)[1:]):

        def layer(given, index=index):
            return outputs[int(given) if int(given) >= 0 else index + int(given)]

        if kind == "convolutional":
            n, size, groups = int(o["filters"]), int(o["size"]), int(o.get("groups", 1))
            bias, normalized = take(n), o.get("batch_normalize") == "1"
            statistics = [take(n) for _ in range(3)] if normalized else []
            kernel = take(n, y.shape[1] // groups, size, size)
            where = {"stride": int(o["stride"]), "padding": size // 2 * int(o["pad"]), "groups": groups}
            if normalized:
                scale, mean, variance = statistics
                y = f.batch_norm(f.conv2d(y, kernel, **where), mean, variance, scale, bias, eps=1e-5)
            else:
                y = f.conv2d(y, kernel, bias, **where)
            y = f.leaky_relu(y, 0.1) if o["activation"] == "leaky" else y
        elif kind == "shortcut":
            y = y + layer(o["from"])
        elif kind == "maxpool":
            size = int(o["size"])
            before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
            y = f.max_pool2d(f.pad(y, (before, after) * 2, value=-np.inf), size, int(o["stride"]))
        elif kind == "route":
            y = torch.cat([layer(n) for n in o["layers"].split(",")], dim=1)
        elif kind == "upsample":
            y = f.interpolate(y, scale_factor=2, mode="nearest")
        elif kind == "reorg":
            n, c, h, w = y.shape
            y = y.reshape(n, c // 4, h, 2, w, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, c * 4, h // 2, w // 2)
        elif kind in ("yolo", "region"):
            found.append(y.numpy().transpose(0, 2, 3, 1))
        else:
            assert kind == "dropout"
        outputs.append(y)
    assert at == len(numbers)
    return found
