"""Other engines, to compare with. Each is an optional installation: `pip install 'cnnfast[peers]'`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bench.networks.nodes import Network, Step
from bench.networks.runner import Runner
from bench.shapes import FloatArray, Layer

NAMES = ("torch", "tensorflow", "onnxruntime", "openvino")


class Peer(Protocol):
    """What a module in this folder offers as `Peer(threads)`."""

    name: str
    trains: bool

    def versions(self) -> dict[str, str]:
        """Of the packages that take part."""

    def layer_passes(self, layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, dict[str, Callable[[], Any]]]:
        """Pass -> layout -> function; without the passes that this engine cannot compute."""

    def to_array(self, layer: Layer, pass_: str, layout: str, result: Any) -> FloatArray:
        """A function's result in cnnfast's layout; for weights' gradients that of the kernel."""

    def networks(self, network: Network, steps: Sequence[Step], size: int) -> dict[str, Runner]:
        """Layout -> the network; without `train_step` that can be called where not `trains`."""


def load(name: str, threads: int) -> Peer:
    """The engine of that name.

    Raises:
        SystemExit: it is not installed.
    """
    try:
        return importlib.import_module(f"bench.peers.{name}_peer").Peer(threads)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("bench"):
            raise
        raise SystemExit(f"--peer {name} needs the package {error.name}: pip install 'cnnfast[peers]'") from None


class NoLayers:
    """For engines that are compared by whole networks only."""

    def layer_passes(self, layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, dict[str, Callable[[], Any]]]:
        return {}

    def to_array(self, layer: Layer, pass_: str, layout: str, result: Any) -> FloatArray:
        raise NotImplementedError("this engine computes no single layers here")
