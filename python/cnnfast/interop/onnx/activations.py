"""Activations: functions of every element, and softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, aligned, elementwise
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.reshapes import reshaped

_BY_NAME = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign",
    "Mish": "mish", "HardSwish": "hard_silu",
}  # fmt: skip
_SELU = (1.67326319217681884765625, 1.05070102214813232421875)


@operator(*_BY_NAME)
def _named(call: Call) -> Any:
    value = call.tensor(0)
    return value.like(layers.Activation(_BY_NAME[call.node.op_type], name=call.name)(value.tensor))


@operator("LeakyRelu")
def _leaky(call: Call) -> Any:
    value, slope = call.tensor(0), float(call.attribute("alpha", 0.01))
    if slope < 0:
        x = value.tensor
        return value.like(ops.where(ops.greater(x, 0.0), x, ops.multiply(x, slope)))
    return value.like(layers.LeakyReLU(slope, name=call.name)(value.tensor))


@operator("PRelu")
def _prelu(call: Call) -> Any:
    value = call.tensor(0).apart()
    slope = call.weight(1)
    if slope.ndim > value.ndim:
        raise ValueError(f"{call}: a slope of shape {slope.shape} does not fit x of shape {value.shape}")
    if call.opset < 7 and slope.ndim == 1:  # one for each channel
        slope = slope.reshape(-1, *(1,) * (value.ndim - 2))
    lying: Any = aligned(slope, value.order)
    lying = lying.reshape((1,) * (value.ndim - lying.ndim) + lying.shape)
    if lying.shape[0] != 1 or value.ndim == 1:  # a slope of its own for every example
        return elementwise(lambda x: ops.where(ops.greater(x, 0.0), x, ops.multiply(x, lying)), value)
    shared = [axis for axis in range(1, value.ndim) if lying.shape[axis] == 1]
    layer = layers.PReLU(shared_axes=shared, name=call.name)
    return value.like(call.layer(layer, value.tensor, [lying[0]]))


@operator("Elu")
def _elu(call: Call) -> Any:
    value, alpha = call.tensor(0), float(call.attribute("alpha", 1.0))
    if alpha < 0:
        raise call.unsupported(f"alpha={alpha} is not supported")
    return value.like(layers.ELU(alpha, name=call.name)(value.tensor))


@operator("Selu")
def _selu(call: Call) -> Any:
    value = call.tensor(0)
    alpha, gamma = float(call.attribute("alpha", _SELU[0])), float(call.attribute("gamma", _SELU[1]))
    if np.allclose((alpha, gamma), _SELU, rtol=1e-6, atol=0):
        return value.like(layers.Activation("selu", name=call.name)(value.tensor))
    return value.like(ops.multiply(ops.elu(value.tensor, alpha=alpha), gamma))


@operator("Celu")
def _celu(call: Call) -> Any:
    value = call.tensor(0)
    return value.like(ops.celu(value.tensor, float(call.attribute("alpha", 1.0))))


@operator("HardSigmoid")
def _hard_sigmoid(call: Call) -> Any:
    value = call.tensor(0)
    alpha, beta = float(call.attribute("alpha", 0.2)), float(call.attribute("beta", 0.5))
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:
        return value.like(layers.Activation("hard_sigmoid", name=call.name)(value.tensor))
    return value.like(ops.clip(ops.add(ops.multiply(value.tensor, alpha), beta), 0.0, 1.0))


@operator("Gelu")
def _gelu(call: Call) -> Any:
    value = call.tensor(0)
    approximate = call.attribute("approximate", "none") == "tanh"
    if not approximate:
        return value.like(layers.Activation("gelu", name=call.name)(value.tensor))
    return value.like(ops.gelu(value.tensor, approximate=True))


@operator("Swish")
def _swish(call: Call) -> Any:
    value, alpha = call.tensor(0), float(call.attribute("alpha", 1.0))
    if alpha == 1.0:
        return value.like(layers.Activation("silu", name=call.name)(value.tensor))
    return value.like(ops.multiply(value.tensor, ops.sigmoid(ops.multiply(value.tensor, alpha))))


@operator("ThresholdedRelu")
def _thresholded(call: Call) -> Any:
    value = call.tensor(0)
    return value.like(ops.threshold(value.tensor, float(call.attribute("alpha", 1.0)), 0.0))


@operator("Shrink")
def _shrink(call: Call) -> Any:
    value, x = call.tensor(0), call.tensor(0).tensor
    bias, limit = float(call.attribute("bias", 0.0)), float(call.attribute("lambd", 0.5))
    high = ops.where(ops.greater(x, limit), ops.subtract(x, bias), 0.0)
    return value.like(ops.where(ops.less(x, -limit), ops.add(x, bias), high))


@operator("Clip")
def _clip(call: Call) -> Any:
    value = call.tensor(0)
    low, high = (
        float(call.scalar(place)) if call.has(place) else call.attribute(name)
        for place, name in ((1, "min"), (2, "max"))
    )
    if low is None and high is None:
        return value
    if low == 0 and high == 6:
        return value.like(layers.Activation("relu6", name=call.name)(value.tensor))
    if low is not None and high is not None and low > high:
        low = high  # as a minimum after a maximum
    return value.like(ops.clip(value.tensor, low, high))


@operator("Softmax", "LogSoftmax", "Hardmax")
def _softmax(call: Call) -> Any:
    value = call.tensor(0)
    if call.opset >= 13:
        axis = value.axis(call.attribute("axis", -1))
        return _along(call, value.apart(), axis)
    # Formerly the axes from this one on were one axis.
    axis = value.axis(call.attribute("axis", 1))
    rest = value.shape[axis:]
    if axis == value.ndim - 1 or all(n == 1 for n in rest[1:]):
        return _along(call, value.apart(), axis)
    rows = Arranged(reshaped(value, [*value.shape[:axis], -1]).plain())
    return reshaped(_along(call, rows, axis), value.shape)


def _along(call: Call, value: Arranged, axis: int) -> Arranged:
    x, place = value.tensor, value.place(axis)
    if call.node.op_type == "LogSoftmax":
        return value.like(ops.log_softmax(x, axis=place))
    if call.node.op_type == "Hardmax":
        classes = value.shape[axis]
        if classes is None:
            raise call.unsupported("the axis is open; give input_shapes that fix it")
        return value.like(ops.one_hot(ops.argmax(x, axis=place), classes, axis=place))
    if place == x.ndim - 1:
        return value.like(layers.Activation("softmax", name=call.name)(x))
    return value.like(layers.Softmax(place, name=call.name)(x))
