"""Raw maps of `[yolo]` and `[region]` sections turned into boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.detection.yolo import DecodedBoxes, decode_yolo
from cnnfast.interop.darknet.plan import Head, Origin


def heads(model: Any) -> list[Head]:
    r"""How to read each of a model's outputs.

    Args:
        model: one that `load_darknet` made.

    Raises:
        ValueError: it was made by something else, or its outputs are no maps of boxes.

    Example:
        >>> from pathlib import Path
        >>> from cnnfast.interop import load_darknet
        >>> _ = Path("boxes.cfg").write_text("[net]\ninputs=8\n[region]\nclasses=3\nanchors=1,2\n")
        >>> [head.classes for head in heads(load_darknet("boxes.cfg"))]
        [3]
    """
    origin = getattr(model, "darknet", None)
    if not isinstance(origin, Origin):
        raise ValueError(f"heads: a model that load_darknet made is expected, got {model!r}")
    if not origin.heads:
        raise ValueError(f"heads: {model.name} has no [yolo] or [region] section")
    return list(origin.heads)


def decode(outputs: Any, head: Any) -> DecodedBoxes:
    """Turn raw maps into boxes.

    Args:
        outputs: a map (N, H, W, channels), or a list of them as a network with several heads returns.
        head: the map's `Head` from `heads`, a list of them for a list of maps, or the model.

    Returns:
        `DecodedBoxes`, those of several maps one after the other.

    Raises:
        ValueError: there are other numbers of maps than heads, or their shapes do not fit.

    Example:
        >>> one = Head("region", 1, ((1.0, 2.0),), 3, (2, 2), None, softmax=True)
        >>> decode(np.zeros((1, 2, 2, 8)), one).boxes[0, 0]
        array([0.25, 0.25, 0.5 , 1.  ], dtype=float32)
    """
    wanted: Sequence[Head]
    wanted = [head] if isinstance(head, Head) else list(head) if isinstance(head, (list, tuple)) else heads(head)
    maps = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if len(maps) != len(wanted):
        raise ValueError(f"decode: expects a map for each of {len(wanted)} heads, got {len(maps)}")
    parts = [_decoded(raw, one) for raw, one in zip(maps, wanted, strict=True)]
    if len(parts) == 1:
        return parts[0]
    if len({one.classes for one in wanted}) > 1:
        raise ValueError("decode: heads of different numbers of classes are decoded one at a time")
    return DecodedBoxes(*(np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True)))


def _decoded(raw: Any, head: Head) -> DecodedBoxes:
    expected = (*head.grid, len(head.anchors) * (head.classes + 5))
    shape = tuple(np.shape(raw))
    if len(shape) != 4 or shape[1:] != expected:
        raise ValueError(f"decode: a map of shape {('N', *expected)} is expected, got {shape}")
    return decode_yolo(
        raw,
        head.anchors,
        head.input_size,
        scale_x_y=head.scale_x_y,
        new_coords=head.new_coords,
        softmax=head.softmax,
    )
