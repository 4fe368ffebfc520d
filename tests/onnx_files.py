"""ONNX models for tests, in few words."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def model_of(nodes, inputs, outputs, constants=(), opset=17, functions=()):
    """A ModelProto.

    Args:
        nodes: (operator, inputs, outputs) or (operator, inputs, outputs, attributes).
        inputs: float inputs by name with their shapes.
        outputs: names.
        constants: arrays or TensorProtos by name.
        opset: the version.
        functions: FunctionProtos of the domain "own".
    """
    made = [
        helper.make_node(*node[:3], name=f"{node[0]}_{place}", **(node[3] if len(node) > 3 else {}))
        for place, node in enumerate(nodes)
    ]
    graph = helper.make_graph(
        made,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [tensor_of(value, name) for name, value in dict(constants).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions))


def tensor_of(value, name):
    """An array as a TensorProto of that name."""
    if isinstance(value, TensorProto):
        value.name = name
        return value
    return numpy_helper.from_array(np.asarray(value), name)
