"""PyTorch: layers and networks, the better of its two memory layouts counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from bench.networks.nodes import Network, Step
from bench.networks.runner import Runner
from bench.peers import torch_layers, torch_networks
from bench.shapes import FloatArray, Layer

# Whether the optimiser is asked for its fused form; by default PyTorch decides as for its users.
_FUSED = {"1": True, "0": False}.get(os.environ.get("BENCH_TORCH_FUSED", ""))


class Peer:
    """PyTorch as installed."""

    name = "torch"
    trains = True

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def versions(self) -> dict[str, str]:
        details = torch.__config__.show()
        onednn = next((line.split("v")[-1].split()[0] for line in details.splitlines() if "MKL-DNN v" in line), "none")
        return {"torch": torch.__version__, "onednn": onednn}

    def layer_passes(self, layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, dict[str, Callable[[], Any]]]:
        return torch_layers.layer_passes(layer, data)

    def to_array(self, layer: Layer, pass_: str, layout: str, result: Any) -> FloatArray:
        return torch_layers.to_array(layer, pass_, result)

    def networks(self, network: Network, steps: Sequence[Step], size: int) -> dict[str, Runner]:
        return torch_networks.runners(network, steps, size, _FUSED)
