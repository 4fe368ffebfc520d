"""Element types of results, as far as what follows depends on them: whole numbers divide otherwise than others."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.interop.onnx.calls import Call

_BOOLEAN = {
    "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf",
}  # fmt: skip
_WHOLE = {"Shape", "Size", "ArgMax", "ArgMin", "NonZero"}


def result_types(call: Call, count: int) -> list[np.dtype[Any]]:
    """The element types of a node's results."""
    kind = call.node.op_type
    if call.dtype is not None:
        own: np.dtype[Any] = call.dtype
    elif kind in _BOOLEAN:
        own = np.dtype(bool)
    elif kind in _WHOLE:
        own = np.dtype(np.int64)
    else:
        first = 1 if kind == "Where" else 0
        known = [dtype for dtype in call.dtypes[first:] if dtype is not None]
        own = known[0] if known else np.dtype(np.float32)
    second = np.dtype(np.int64) if kind in ("TopK", "MaxPool") else own
    return [own, *[second] * (count - 1)]
