"""OpenVINO: inference of networks."""

from __future__ import annotations

from collections.abc import Sequence

import openvino

from bench.networks.nodes import Network, Step
from bench.networks.runner import Runner
from bench.peers import NoLayers
from bench.peers.onnx_export import onnx_model
from bench.shapes import FloatArray


class Peer(NoLayers):
    """OpenVINO's CPU plugin, kept to float32 as everybody else here."""

    name = "openvino"
    trains = False

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.core = openvino.Core()

    def versions(self) -> dict[str, str]:
        return {"openvino": openvino.__version__}

    def networks(self, network: Network, steps: Sequence[Step], size: int) -> dict[str, Runner]:
        options = {
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        model, x = onnx_model(network, steps, size)
        return {
            "onnx": _OpenVinoRunner(self.core.compile_model(self.core.read_model(model), "CPU", options), x.numpy())
        }


class _OpenVinoRunner:
    def __init__(self, model: openvino.CompiledModel, x: FloatArray) -> None:
        self.request, self.x = model.create_infer_request(), x

    def train_step(self) -> float:
        raise NotImplementedError("OpenVINO runs inference only")

    def infer(self) -> FloatArray:
        return self.request.infer({0: self.x})[0]
