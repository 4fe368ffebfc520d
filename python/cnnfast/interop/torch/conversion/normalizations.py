"""Normalizations, and dropout."""

from __future__ import annotations

from typing import Any

from cnnfast import layers
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.torch.conversion.calls import (
    Call,
    UnsupportedError,
    computes,
    converts,
    flattened,
    rows_of,
    state_of,
)


@converts("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
def _batch(call: Call, x: Arranged) -> Arranged:
    module = call.module
    if not module.track_running_stats or module.momentum is None:
        raise UnsupportedError("statistics of each batch, or averages over all batches (momentum=None), not supported")

    def make() -> Any:
        affine = {"center": module.affine, "scale": module.affine, "name": call.name}
        return layers.BatchNormalization(momentum=1.0 - module.momentum, epsilon=module.eps, **affine)

    x = flattened(x)
    if x.joined is not None:
        return x.like(call.weighted(make, x.tensor, rows_of(x)))
    return from_channels_last(call.weighted(make, x.channels_last()))


@converts("GroupNorm")
def _group(call: Call, x: Arranged) -> Arranged:
    module = call.module
    affine = {"epsilon": module.eps, "center": module.affine, "scale": module.affine, "name": call.name}
    y = call.weighted(lambda: layers.GroupNormalization(module.num_groups, **affine), x.channels_last())
    return from_channels_last(y)


@converts("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
def _instance(call: Call, x: Arranged) -> Arranged:
    module = call.module
    if module.track_running_stats:
        raise UnsupportedError("track_running_stats=True is not supported")
    affine = {"epsilon": module.eps, "center": module.affine, "scale": module.affine, "name": call.name}
    return from_channels_last(call.weighted(lambda: layers.GroupNormalization(-1, **affine), x.channels_last()))


@converts("LayerNorm", "RMSNorm")
def _layer(call: Call, x: Arranged) -> Arranged:
    module = call.module
    x = x.apart()
    axes = tuple(range(x.ndim - len(module.normalized_shape), x.ndim))
    if 0 in axes:
        raise UnsupportedError("normalization over the batch is not supported")
    order = x.order if set(x.order[axes[0] :]) == set(axes) else tuple(range(x.ndim))
    weights = state_of(module)
    inner = [axis - axes[0] for axis in order[axes[0] :]]
    epsilon = module.eps
    if type(module).__name__ == "RMSNorm":
        if "weight" not in weights or epsilon is None:
            raise UnsupportedError("RMSNorm without a weight or epsilon is not supported")
        layer: Any = call.layer(lambda: layers.RMSNormalization(axes, epsilon, name=call.name))
        y = layer(x.lying(order))
        layer.scale.assign(weights["weight"].transpose(inner))
        return Arranged(y, order)
    layer = call.layer(
        lambda: layers.LayerNormalization(
            axes, epsilon, center="bias" in weights, scale="weight" in weights, name=call.name
        )
    )
    y = layer(x.lying(order))
    for variable, name in ((layer.gamma, "weight"), (layer.beta, "bias")):
        if variable is not None:
            variable.assign(weights[name].transpose(inner))
    return Arranged(y, order)


@converts("LocalResponseNorm")
def _local_response(call: Call, x: Arranged) -> Arranged:
    module = call.module
    if module.size % 2 == 0:
        raise UnsupportedError(f"size={module.size}: an odd number of channels is supported")
    layer = layers.LocalResponseNormalization(
        module.size // 2, module.k, module.alpha / module.size, module.beta, name=call.name
    )
    return from_channels_last(layer(x.channels_last()))


@converts("Dropout")
def _dropout(call: Call, x: Arranged) -> Arranged:
    return _dropped(call, x, call.module.p)


@converts("Dropout1d", "Dropout2d", "Dropout3d")
def _spatial_dropout(call: Call, x: Arranged) -> Arranged:
    spatial = {3: layers.SpatialDropout1D, 4: layers.SpatialDropout2D, 5: layers.SpatialDropout3D}
    if x.ndim not in spatial or call.module.p >= 1:
        raise UnsupportedError(f"p={call.module.p} of {x.ndim} axes is not supported")
    return from_channels_last(call.layer(lambda: spatial[x.ndim](call.module.p, name=call.name))(x.channels_last()))


@computes("dropout")
def _dropout_function(
    call: Call, x: Arranged, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Arranged:
    if training:
        raise UnsupportedError("dropout that is active in inference too; give training=self.training")
    return _dropped(call, x, p)


def _dropped(call: Call, x: Arranged, rate: float) -> Arranged:
    if rate >= 1:
        raise UnsupportedError("p=1 drops everything, which is not supported")
    return x.like(call.layer(lambda: layers.Dropout(rate, name=call.name))(x.tensor))
