"""How much memory engines take: the peak of a training step, and what predictions of changing shapes leave behind.

Every contestant gets a process of its own: python -m bench.memory peak cnnfast. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.networks import zoo
from bench.networks.nodes import with_weights

CONTESTANTS = {"torch": ("cnnfast", "contiguous", "channels_last")}
MIB = 1 << 20


def _peak_bytes() -> int:
    # Not getrusage: what that tells begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_peak(contestant: str, quick: bool) -> dict[str, Any]:
    """The peak of resident memory over three training steps of ResNet-18, in this process.

    Args:
        contestant: "cnnfast", or one of PyTorch's layouts.
        quick: for small images.
    """
    network = zoo.select("ResNet-18")[0]
    network, size = (network.scaled_down(), 4) if quick else (network, 16)
    if contestant == "cnnfast":
        from bench.networks.ours import build
    else:
        from bench.peers.torch_layers import layouts
        from bench.peers.torch_networks import TorchRunner

        def build(*arguments: Any) -> Any:
            return TorchRunner(*arguments, layouts(2)[contestant], None)

    before = _peak_bytes()
    runner = build(network, with_weights(network), size)
    for _ in range(3):
        runner.train_step()
    return {"contestant": contestant, "network": network.name, "batch": size, "imported": before, "peak": _peak_bytes()}


def _our_predictor() -> Callable[[Any], Any]:
    import cnnfast
    from cnnfast import layers

    model = cnnfast.Sequential(
        [layers.Input((None, None, 3)), layers.Conv2D(32, 3, padding="same", activation="relu"),
         layers.MaxPooling2D(), layers.Conv2D(64, 3, padding="same", activation="relu"),
         layers.GlobalAveragePooling2D(), layers.Dense(10)]
    )  # fmt: skip
    return lambda x: model.predict(x, verbose=0)


def _torch_predictor(layout: str) -> Callable[[Any], Any]:
    import torch
    from torch import nn

    from bench.peers.torch_layers import channels_first, layouts

    memory_format = layouts(2)[layout]
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    ).eval().to(memory_format=memory_format)  # fmt: skip
    return torch.inference_mode()(lambda x: model(channels_first(x).contiguous(memory_format=memory_format)))


def measure_growth(contestant: str, quick: bool) -> dict[str, Any]:
    """Resident memory while a model predicts batches of ever other sizes, in this process.

    Returns:
        calls: how many there were; resident: bytes after each tenth of them; growth: from the first tenth, which finds
        the largest shapes, to the last.
    """
    predict = _our_predictor() if contestant == "cnnfast" else _torch_predictor(contestant)
    random = np.random.default_rng(0)
    calls = 200 if quick else 10_000
    resident = []
    for call in range(calls):
        size, height, width = random.integers((1, 8, 8), (17, 97, 97))
        predict(random.standard_normal((size, height, width, 3), np.float32))
        if (call + 1) % (calls // 10) == 0:
            resident.append(_resident_bytes())
    return {"contestant": contestant, "calls": calls, "resident": resident, "growth": resident[-1] - resident[0]}


def _in_children(what: str, peer: str, quick: bool) -> list[dict[str, Any]]:
    found = []
    for contestant in CONTESTANTS.get(peer, ("cnnfast",)):
        command = [sys.executable, "-m", "bench.memory", what, contestant, *(["--quick"] if quick else [])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return found


def compare_peaks(peer: str, quick: bool) -> list[dict[str, Any]]:
    """`measure_peak` for cnnfast and, where it is PyTorch, the peer; printed."""
    found = _in_children("peak", peer, quick)
    print("\npeak memory of a training step, in MiB")
    for entry in found:
        what = f"{entry['network']}, batch {entry['batch']}, {entry['contestant']}"
        print(f"{what:<43} {entry['peak'] / MIB:8.0f} (after importing {entry['imported'] / MIB:.0f})")
    return found


def compare_growth(peer: str, quick: bool) -> list[dict[str, Any]]:
    """`measure_growth` for cnnfast and, where it is PyTorch, the peer; printed."""
    found = _in_children("growth", peer, quick)
    print("\nresident memory over predictions with changing shapes, in MiB")
    for entry in found:
        what = f"{entry['calls']} calls, {entry['contestant']}"
        series = " ".join(f"{r / MIB:.0f}" for r in entry["resident"])
        print(f"{what:<43} {entry['growth'] / MIB:+8.1f} ({series})")
    return found


def main() -> None:
    """Measure one contestant and print the result as JSON."""
    p = argparse.ArgumentParser("bench.memory", description=__doc__)
    p.add_argument("what", choices=("peak", "growth"))
    p.add_argument("contestant", choices=CONTESTANTS["torch"])
    p.add_argument("--quick", action="store_true")
    arguments = p.parse_args()
    measure = measure_peak if arguments.what == "peak" else measure_growth
    print(json.dumps(measure(arguments.contestant, arguments.quick)))


if __name__ == "__main__":
    main()
