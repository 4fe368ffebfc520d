"""What exporters write down in parts becomes one layer again, and computes the same."""

import numpy as np
import pytest

from cnnfast import layers
from cnnfast.interop import load_onnx
from onnx_peer import assert_same

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RANDOM = np.random.default_rng(8)
W = RANDOM.standard_normal((6, 4, 3, 3)).astype(np.float32)
CONSTANTS = {
    "w": W, "depthwise": RANDOM.standard_normal((4, 1, 3, 3)).astype(np.float32),
    "pixels": RANDOM.standard_normal((6, 4, 1, 1)).astype(np.float32),
    "bias": RANDOM.standard_normal(6).astype(np.float32), "three": np.float32(3), "zero": np.float32(0),
    "six": np.array([6], np.float32), "sixth": np.float32(1 / 6), "a": np.array([1.7], np.float32),
    "b": np.float32(-0.4), "channels": RANDOM.uniform(0.5, 2, (6, 1, 1)).astype(np.float32),
    "flat": RANDOM.standard_normal(6).astype(np.float32), "shape": np.array([1, 6, 1, 1]),
    "picture": RANDOM.standard_normal((1, 1, 6, 7)).astype(np.float32),
}  # fmt: skip
CONV = "Conv w bias pads=1"


def graph(lines, outputs=("y",)):
    """A model from lines such as `h = Mul x a`; attributes are integers, or lists of four for pads."""
    nodes = []
    for line in lines:
        name, _, call = line.partition(" = ")
        kind, *words = call.split()
        names = [word for word in words if "=" not in word]
        given = dict(word.split("=") for word in words if "=" in word)
        attributes = {key: [int(value)] * 4 if key == "pads" else float(value) for key, value in given.items()}
        nodes.append(helper.make_node(kind, names, [name], **attributes))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 6, 7])
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    weights = [numpy_helper.from_array(array, name) for name, array in CONSTANTS.items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], made, weights), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )


# Lines, and the layers and operations that are left.
CASES = {
    "hard swish": (["t = Add x three", "c = Clip t zero six", "p = Mul x c", "y = Div p six"], ["Activation"]),
    "hard swish, other order": (["t = Add three x", "c = Clip t zero six", "p = Mul c x", "y = Mul sixth p"],
                                ["Activation"]),
    "hard swish by its gate": (["t = Add x three", "c = Clip t zero six", "g = Div c six", "y = Mul x g"],
                               ["Activation"]),
    "hard swish by hard sigmoid": (["g = HardSigmoid x alpha=0.16666667 beta=0.5", "y = Mul g x"], ["Activation"]),
    "hard sigmoid": (["t = Add x three", "c = Clip t zero six", "y = Div c six"], ["Activation"]),
    "scaled and shifted": (["c = Conv x w bias pads=1", "m = Mul a c", "y = Add m b"], ["Conv2D"]),
    "divided and taken from": (["c = Conv x w pads=1", "m = Div c channels", "y = Sub b m"], ["Conv2D"]),
    "less a number": (["c = Conv x w pads=1", "y = Sub c channels"], ["Conv2D"]),
    "bias by itself": (["c = Conv x w", "r = Reshape flat shape", "y = Add c r"], ["Conv2D"]),
    "depthwise": (["c = Conv x depthwise group=4", "m = Mul c a", "y = Add m b"], ["DepthwiseConv2D"]),
    "number in front": (["m = Mul a x", "s = Add m b", "y = Conv s pixels bias"], ["Conv2D"]),
    "number in front of padding": (["m = Mul a x", "s = Add m b", "y = Conv s w bias pads=1"], ["Conv2D", "add"]),
    "all of it": (["c = Conv x w bias pads=1", "m = Mul a c", "s = Add m b", "t = Add s three", "u = Clip t zero six",
                   "p = Mul s u", "y = Div p six"], ["Activation", "Conv2D"]),
    # What is to stay as it is.
    "a clip at other bounds": (["t = Add x three", "c = Clip t zero three", "p = Mul x c", "y = Div p six"],
                               ["add", "clip", "divide", "multiply"]),
    "a constant by pixels": (["c = Conv x w pads=1", "y = Add c picture"], ["Conv2D", "add"]),
    "divided by": (["c = Conv x w pads=1", "y = Div a c"], ["Conv2D", "divide"]),
}  # fmt: skip


def evaluated(model, x):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x})


def parts(model):
    found = [layer.function if isinstance(layer, layers.operation.OperationLayer) else type(layer).__name__
             for layer in model.sublayers() if not isinstance(layer, layers.InputLayer)]  # fmt: skip
    return sorted(name for name in found if name != "transpose")  # where images enter and leave


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    lines, left = CASES[name]
    lines = [line.replace("group=4", "") for line in lines] if name != "depthwise" else lines
    file = graph(lines)
    if name == "depthwise":
        file.graph.node[0].ClearField("attribute")
        file.graph.node[0].attribute.append(helper.make_attribute("group", 4))
    model = load_onnx(file, data_format="channels_first")
    x = RANDOM.uniform(-4, 4, (2, 4, 6, 7)).astype(np.float32)
    assert_same(np.asarray(model(x)), evaluated(file, x)[0])
    assert parts(model) == left


def test_values_that_others_read_are_kept():
    lines = [
        "c = Conv x w bias",
        "m = Mul a c",
        "t = Add m three",
        "u = Clip t zero six",
        "p = Mul m u",
        "y = Div p six",
    ]
    file = graph(lines, ("y", "c", "u"))
    model = load_onnx(file, data_format="channels_first")
    x = RANDOM.uniform(-1, 1, (2, 4, 6, 7)).astype(np.float32)
    for found, wanted in zip(model(x), evaluated(file, x), strict=True):
        assert_same(np.asarray(found), wanted)
    assert parts(model) == ["Activation", "Conv2D", "add", "divide", "multiply", "multiply"]  # ReLU6 is one


@pytest.mark.parametrize("line", ["y = Clip", "y = Mul x c x", "y = Conv x", "y = Reshape flat flat"])
def test_damaged_nodes_are_named(line):
    with pytest.raises(ValueError, match=r"Clip|Mul|Conv|Reshape|c"):
        load_onnx(graph([line]))
