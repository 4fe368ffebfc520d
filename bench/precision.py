"""How much each algorithm rounds: python -m bench.precision > docs/precision.md.

Relative L2 errors against float64 of one convolution with normally distributed data and He-scaled weights.
"""

from __future__ import annotations

import numpy as np

from cnnfast import _core

CHANNELS = (16, 32, 64, 128, 256, 512)
ALGORITHMS = (
    ("direct", 3),
    ("im2col", 3),
    ("winograd_f2x3", 3),
    ("winograd_f4x3", 3),
    ("direct", 5),
    ("winograd_f4x2", 2),
    ("winograd_f2x5", 5),
)
PASSES = ("forward", "backward_data", "backward_weights")
SIZE, FILTERS = 28, 32

HEADER = f"""# How much the algorithms round

Relative L2 errors against float64 of each pass of a convolution of one {SIZE}x{SIZE} image with C channels to {FILTERS}
filters, "same" padding, normally distributed data and He-scaled weights. Minimal filtering (Winograd) computes with
fewer products and rounds a few times more than a plain sum of products does; `cnnfast.set_precision("strict")` turns it
off. The sums of backward_data run over {FILTERS} filters, those of backward_weights over the image, whatever C is.

Made by `python -m bench.precision`, here with the instruction set {{isa}}."""


def exact(x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
    """The three passes in float64, tap by tap."""
    x, w, dy = (a.astype(np.float64) for a in (x, w, dy))
    pad = (w.shape[0] - 1) // 2  # before: windows of an even size reach further behind
    reach = (pad, w.shape[0] // 2)
    padded = np.pad(x, [(0, 0), reach, reach, (0, 0)])
    y, d_padded, dw = np.zeros(dy.shape), np.zeros(padded.shape), np.zeros(w.shape)
    for i, j in np.ndindex(*w.shape[:2]):
        window = (slice(None), slice(i, i + SIZE), slice(j, j + SIZE))
        y += padded[window] @ w[i, j]
        d_padded[window] += dy @ w[i, j].T
        dw[i, j] = np.tensordot(padded[window], dy, ((0, 1, 2), (0, 1, 2)))
    dx = d_padded[:, pad : pad + SIZE, pad : pad + SIZE]
    return {"forward": y, "backward_data": dx, "backward_weights": dw}


def errors(algorithm: str, taps: int, channels: int) -> dict[str, float]:
    """The relative L2 error of each pass."""
    rng = np.random.default_rng([taps, channels])
    x = rng.standard_normal((1, SIZE, SIZE, channels)).astype(np.float32)
    scale = np.sqrt(2 / (taps * taps * channels))
    w = (rng.standard_normal((taps, taps, channels, FILTERS)) * scale).astype(np.float32)
    dy = rng.standard_normal((1, SIZE, SIZE, FILTERS)).astype(np.float32)
    shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 1, "same", 1, 1, False, algorithm)
    found = {
        "forward": _core.conv_forward(shape, x, w),
        "backward_data": _core.conv_backward_data(shape, dy, w),
        "backward_weights": _core.conv_backward_weights(shape, x, dy),
    }
    expected = exact(x, w, dy)
    return {p: float(np.linalg.norm(found[p] - expected[p]) / np.linalg.norm(expected[p])) for p in PASSES}


def main() -> None:
    """Print the page."""
    print(HEADER.format(isa=_core.isa()))
    print("\n| algorithm | window | pass | " + " | ".join(f"C = {c}" for c in CHANNELS) + " |")
    print("|---|---|---|" + "---|" * len(CHANNELS))
    for algorithm, taps in ALGORITHMS:
        rows = [errors(algorithm, taps, c) for c in CHANNELS]
        for p in PASSES:
            cells = " | ".join(f"{row[p]:.1e}" for row in rows)
            print(f"| {algorithm} | {taps}x{taps} | {p} | {cells} |")


if __name__ == "__main__":
    main()
