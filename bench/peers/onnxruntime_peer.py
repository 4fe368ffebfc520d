"""ONNX Runtime: inference of networks."""

from __future__ import annotations

from collections.abc import Sequence

import onnxruntime

from bench.networks.nodes import Network, Step
from bench.networks.runner import Runner
from bench.peers import NoLayers
from bench.peers.onnx_export import onnx_model
from bench.shapes import FloatArray


class Peer(NoLayers):
    """ONNX Runtime's CPU provider."""

    name = "onnxruntime"
    trains = False

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def versions(self) -> dict[str, str]:
        return {"onnxruntime": onnxruntime.__version__}

    def networks(self, network: Network, steps: Sequence[Step], size: int) -> dict[str, Runner]:
        return {"onnx": _OnnxRunner(network, steps, size, self.threads)}


class _OnnxRunner:
    def __init__(self, network: Network, steps: Sequence[Step], size: int, threads: int) -> None:
        model, x = onnx_model(network, steps, size)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = {self.session.get_inputs()[0].name: x.numpy()}

    def train_step(self) -> float:
        raise NotImplementedError("ONNX Runtime runs inference only here")

    def infer(self) -> FloatArray:
        return self.session.run(None, self.inputs)[0]
