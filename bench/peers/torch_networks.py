"""Networks as PyTorch modules, with the weights of a description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.networks import nodes as n
from bench.networks.runner import BN_EPSILON, BN_MOMENTUM, MOMENTUM, Runner, batch
from bench.peers.torch_layers import channels_first, kernel_tensor, layouts
from bench.shapes import FloatArray

_ACTIVATIONS = {"relu": lambda: nn.ReLU(inplace=True), "relu6": lambda: nn.ReLU6(inplace=True)}


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.activation = body, shortcut, activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


def _activation(name: str | None) -> list[nn.Module]:
    return [] if name is None else [_ACTIVATIONS[name]()]


def _conv(node: n.Conv | n.Depthwise, step: n.Step) -> nn.Conv2d:
    channels = step.x_shape[-1]
    depthwise = isinstance(node, n.Depthwise)
    filters = channels if depthwise else node.filters
    groups, bias = channels if depthwise else 1, not depthwise and node.bias
    module = nn.Conv2d(channels, filters, node.window, node.stride, node.padding, groups=groups, bias=bias)
    kernel = step.weights["kernel"]
    module.weight.data = kernel_tensor(kernel.reshape(*kernel.shape[:2], 1, -1) if depthwise else kernel)
    if bias:
        module.bias.data = torch.from_numpy(step.weights["bias"].copy())
    return module


def _norm(step: n.Step) -> nn.BatchNorm2d:
    module = nn.BatchNorm2d(step.x_shape[-1], BN_EPSILON, 1 - BN_MOMENTUM)
    module.weight.data = torch.from_numpy(step.weights["gamma"].copy())
    module.bias.data = torch.from_numpy(step.weights["beta"].copy())
    return module


def _dense(node: n.Dense, step: n.Step, flattened: tuple[int, ...] | None) -> nn.Linear:
    module = nn.Linear(step.x_shape[0], node.units)
    kernel = step.weights["kernel"]
    if flattened is not None:  # (H, W, C) was flattened here, PyTorch flattens (C, H, W)
        kernel = kernel.reshape(*flattened, node.units).transpose(2, 0, 1, 3).reshape(-1, node.units)
    module.weight.data = torch.from_numpy(np.ascontiguousarray(kernel.T))
    module.bias.data = torch.from_numpy(step.weights["bias"].copy())
    return module


def _modules(steps: Sequence[n.Step]) -> nn.Sequential:
    modules: list[nn.Module] = []
    flattened: tuple[int, ...] | None = None
    for step in steps:
        node = step.node
        if isinstance(node, (n.Conv, n.Depthwise)):
            modules += [_conv(node, step), *_activation(getattr(node, "activation", None))]
        elif isinstance(node, n.BatchNorm):
            modules += [_norm(step), *_activation(node.activation)]
        elif isinstance(node, n.MaxPool):
            modules.append(nn.MaxPool2d(node.window, node.stride, node.padding))
        elif isinstance(node, n.GlobalAverage):
            modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        elif isinstance(node, n.Flatten):
            modules.append(nn.Flatten())
            flattened = step.x_shape
        elif isinstance(node, n.Dense):
            modules += [_dense(node, step, flattened), *_activation(node.activation)]
            flattened = None
        else:
            shortcut = _modules(step.shortcut) if step.shortcut else nn.Identity()
            activation = nn.Sequential(*_activation(node.activation))
            modules.append(_Residual(_modules(step.body), shortcut, activation))
    return nn.Sequential(*modules)


def module(steps: Sequence[n.Step]) -> nn.Module:
    """The network as a module, in training mode."""
    return _modules(steps)


class TorchRunner:
    """A network trained by the loop that everybody writes."""

    def __init__(
        self, network: n.Network, steps: Sequence[n.Step], size: int, memory_format: Any, fused: bool | None
    ) -> None:
        self.model = module(steps).to(memory_format=memory_format)
        x, labels = batch(network, size)
        self.x = channels_first(x).contiguous(memory_format=memory_format)
        self.labels = torch.from_numpy(labels)
        parameters = self.model.parameters()
        if network.optimizer == "adam":
            self.optimizer: Any = torch.optim.Adam(parameters, network.learning_rate, eps=1e-7, fused=fused)
        else:
            self.optimizer = torch.optim.SGD(parameters, network.learning_rate, MOMENTUM, fused=fused)

    def train_step(self) -> float:
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self.model(self.x), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self) -> FloatArray:
        self.model.eval()
        with torch.inference_mode():
            return self.model(self.x).numpy()


def runners(network: n.Network, steps: Sequence[n.Step], size: int, fused: bool | None) -> dict[str, Runner]:
    """Layout -> the network."""
    return {name: TorchRunner(network, steps, size, layout, fused) for name, layout in layouts(2).items()}
