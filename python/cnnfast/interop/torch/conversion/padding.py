"""Borders: the padding modules, `pad`, and the padding modes of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.torch.conversion.calls import Call, UnsupportedError, computes, converts, per_axis

Pairs = Sequence[tuple[int, int]]
_MODES = {"zeros": "constant", "constant": "constant", "reflect": "reflect", "replicate": "edge"}


def padded(tensor: Any, pairs: Pairs, mode: str, value: float = 0.0) -> Any:
    """A tensor with a border, cut off where widths are negative.

    Args:
        tensor: a symbolic tensor.
        pairs: the widths before and after, for each axis as it lies.
        mode: as PyTorch calls it.
        value: what a constant border holds.

    Raises:
        UnsupportedError: the mode is unknown, or the border is larger than the image.
    """
    if any(n < 0 for pair in pairs for n in pair):
        inner = tuple(slice(max(0, -a), None if b >= 0 else b) for a, b in pairs)
        tensor = tensor[inner]
        pairs = [(max(a, 0), max(b, 0)) for a, b in pairs]
    if not any(map(any, pairs)):
        return tensor
    if mode == "circular":
        return _circular(tensor, pairs)
    if mode not in _MODES:
        raise UnsupportedError(f"padding mode {mode!r} is not supported")
    fill = value if _MODES[mode] == "constant" else None
    if fill == 0 and _is_border(pairs):
        zeros = {3: layers.ZeroPadding1D, 4: layers.ZeroPadding2D, 5: layers.ZeroPadding3D}[len(pairs)]
        return zeros(tuple(pairs[1:-1]) if len(pairs) > 3 else pairs[1])(tensor)
    return ops.pad(tensor, tuple(tuple(pair) for pair in pairs), mode=_MODES[mode], constant_values=fill)


def _is_border(pairs: Pairs) -> bool:
    return 3 <= len(pairs) <= 5 and not any(pairs[0]) and not any(pairs[-1])


def _circular(tensor: Any, pairs: Pairs) -> Any:
    for axis, (before, after) in enumerate(pairs):
        size = tensor.shape[axis]
        if not before and not after:
            continue
        if size is None or max(before, after) > size:
            raise UnsupportedError(f"a circular border of {(before, after)} around an axis of {size}")
        first, last = ([slice(None)] * axis for _ in range(2))
        first.append(slice(0, after))
        last.append(slice(size - before, size))
        ends = [tensor[tuple(last)]] if before else [], [tensor[tuple(first)]] if after else []
        tensor = ops.concatenate([*ends[0], tensor, *ends[1]], axis=axis)
    return tensor


@computes("pad")
def _pad(call: Call, x: Arranged, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Arranged:
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise UnsupportedError(f"pad={tuple(pad)} does not fit {x.ndim} axes")
    x = x.apart()
    pairs = [(0, 0)] * x.ndim
    for number in range(len(pad) // 2):  # from the last axis on
        pairs[x.ndim - 1 - number] = (int(pad[2 * number]), int(pad[2 * number + 1]))
    return x.like(padded(x.tensor, [pairs[axis] for axis in x.order], mode, float(value or 0.0)))


def _module_pad(mode: str) -> Any:
    def convert(call: Call, x: Arranged) -> Arranged:
        given = call.module.padding
        pads = per_axis(given, 2 * (x.ndim - 2)) if isinstance(given, int) else tuple(given)
        return _pad(call, x, pads, mode, getattr(call.module, "value", 0.0))

    return convert


for _prefix, _mode in (
    ("ZeroPad", "constant"), ("ConstantPad", "constant"), ("ReflectionPad", "reflect"), ("ReplicationPad", "replicate"),
    ("CircularPad", "circular"),
):  # fmt: skip
    converts(*(f"{_prefix}{rank}d" for rank in (1, 2, 3)))(_module_pad(_mode))
