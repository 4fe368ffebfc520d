"""Networks as ONNX models in memory, by way of PyTorch."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence

import onnxscript  # noqa: F401 (what torch.onnx.export needs; missing, it is named before the work begins)
import torch

from bench.networks.nodes import Network, Step
from bench.networks.runner import batch
from bench.peers.torch_layers import channels_first
from bench.peers.torch_networks import module


def onnx_model(network: Network, steps: Sequence[Step], size: int) -> tuple[bytes, torch.Tensor]:
    """The model for inference, and its input for the batch."""
    model = module(steps).eval()
    x = channels_first(batch(network, size)[0])
    file = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of operations that it has no use for
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), file, dynamo=True, verbose=False)
    return file.getvalue(), x
