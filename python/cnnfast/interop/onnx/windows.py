"""The arguments that operators with windows share: sizes, steps, distances and padding."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnfast.interop.onnx.budget import checked_size, checked_tensor
from cnnfast.interop.onnx.calls import Call


class Window(NamedTuple):
    """A window: everything per spatial axis.

    Attributes:
        sizes: values it covers.
        strides: steps from one window to the next.
        dilations: steps from one value to the next.
        pads: what is added before and after.
        padding: the same as layers take it: "valid", "same" or the pairs.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    padding: Any


def window_of(
    call: Call, shape: Sequence[int | None], kernel: Sequence[int] | None = None, transposed: bool = False
) -> Window:
    """Read a node's window.

    Args:
        call: the node.
        shape: the input's spatial sizes.
        kernel: the weights' spatial sizes, where there are weights.
        transposed: whether padding that fits the output is not asked for.

    Raises:
        ValueError: the arguments do not fit each other.
    """
    rank = len(shape)
    given = call.attribute("kernel_shape")
    sizes = tuple(kernel if given is None and kernel is not None else call.required("kernel_shape"))
    if kernel is not None and sizes != tuple(kernel):
        raise ValueError(f"{call}: kernel_shape {sizes} is not that of the weights, {tuple(kernel)}")
    strides = tuple(call.attribute("strides", [1] * rank))
    dilations = tuple(call.attribute("dilations", [1] * rank))
    numbers = call.attribute("pads", [0] * (2 * rank))
    for name, values, count in (
        ("kernel_shape", sizes, rank), ("strides", strides, rank), ("dilations", dilations, rank),
        ("pads", numbers, 2 * rank),
    ):  # fmt: skip
        if len(values) != count or any(n < (name != "pads") for n in values):
            raise ValueError(f"{call}: {name} expects {count} numbers from {int(name != 'pads')} on, got {values}")
    pads = tuple(itertools.starmap(lambda a, b: (a, b), zip(numbers[:rank], numbers[rank:], strict=True)))
    checked_size(call, sizes)
    checked_tensor(call, [(n or 96) + sum(pair) for n, pair in zip(shape, pads, strict=True)])
    auto = call.attribute("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""):
        raise ValueError(f"{call}: auto_pad={auto!r} is unknown")
    padding: Any = pads if any(map(any, pads)) else "valid"
    if auto == "VALID":
        pads, padding = ((0, 0),) * rank, "valid"
    elif auto in ("SAME_UPPER", "SAME_LOWER") and not transposed:
        reaches = [(k - 1) * d + 1 for k, d in zip(sizes, dilations, strict=True)]
        if auto == "SAME_UPPER" or all(s == 1 and r % 2 for s, r in zip(strides, reaches, strict=True)):
            return Window(sizes, strides, dilations, pads, "same")
        pads = tuple(_lower(call, *numbers) for numbers in zip(shape, strides, reaches, strict=True))
        padding = pads
    return Window(sizes, strides, dilations, pads, padding)


def _lower(call: Call, size: int | None, stride: int, reach: int) -> tuple[int, int]:
    """Padding for as many outputs as inputs, divided by the stride, with an odd one before."""
    if stride == 1:
        total = reach - 1
    elif size is None:
        raise call.unsupported("auto_pad=SAME_LOWER with strides and an open size; give input_shapes that fix it")
    else:
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total - total // 2, total // 2
