"""Networks for images with random weights, against another engine."""

import os

import numpy as np
import pytest

from cnnfast.interop import load_onnx

onnx = pytest.importorskip("onnx")
from onnx import numpy_helper  # noqa: E402


def light_network(name, rng, shape):
    """One of the onnx package's networks, whose weights are constants, with random ones and without its softmax."""
    import onnx.backend.test.loader as loader

    model = onnx.load(os.path.join(loader.DATA_DIR, "light", f"light_{name}.onnx"))
    graph = model.graph
    resize(model, shape)
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    readers = {}
    for node in graph.node:
        for place, value in enumerate(node.input):
            readers.setdefault(value, []).append((node.op_type, place, node.output[0]))
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        values = random_weight(rng, role(node.output[0], readers), tuple(shapes[node.input[0]]))
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    if kept[-1].op_type == "Softmax":
        graph.output[0].name = kept.pop().input[0]
    del graph.node[:]
    graph.node.extend(kept)
    return model


def resize(model, shape):
    """Let a network take images of this shape: where it makes rows of them, these and the next layer are as long."""
    graph = model.graph
    (entering,) = (info for info in graph.input if info.name not in {t.name for t in graph.initializer})
    for dim, size in zip(entering.type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = size
    graph.output[0].type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    stored = {t.name: t for t in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type != "Reshape" or makers[node.input[0]].op_type == "ConstantOfShape":
            continue
        target = numpy_helper.to_array(stored[node.input[1]]).copy()
        target[0] = shape[0]
        if len(target) == 2:
            (gemm,) = (other for other in graph.node if node.output[0] in other.input)
            target[1] = length_of(model, node.input[0])
            sizes = stored.get(makers[gemm.input[1]].input[0])
            if makers[gemm.input[1]].op_type == "ConstantOfShape":
                rows = numpy_helper.to_array(sizes)[0]
                sizes.CopyFrom(numpy_helper.from_array(np.array([rows, target[1]]), sizes.name))
        stored[node.input[1]].CopyFrom(numpy_helper.from_array(target, node.input[1]))


def length_of(model, name):
    """How many elements a tensor has for each image, by onnx's own inference."""
    begin = onnx.ModelProto()
    begin.CopyFrom(model)
    cut = next(place for place, node in enumerate(begin.graph.node) if name in node.output)
    del begin.graph.node[cut + 1 :]
    del begin.graph.output[:]
    begin.graph.output.add(name=name)
    found = onnx.shape_inference.infer_shapes(begin, data_prop=True).graph
    known = (info for info in (*found.value_info, *found.output) if info.name == name)
    value = next(info for info in known if info.type.tensor_type.HasField("shape"))
    return int(np.prod([dim.dim_value for dim in value.type.tensor_type.shape.dim][1:]))


def role(name, readers):
    """What a weight is for; through what only changes its shape."""
    kind, place, output = readers[name][0]
    return role(output, readers) if kind in ("Unsqueeze", "Reshape") else (kind, place)


def random_weight(rng, what, shape):
    """He's scale for what is multiplied with; numbers near 1 for what scales, near 0 for what shifts."""
    kind, place = what
    if kind in ("Conv", "Gemm") and place == 1:
        return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if (kind, place) in {("BatchNormalization", 1), ("BatchNormalization", 4), ("Mul", 1)}:
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.standard_normal(shape, np.float32) * np.float32(0.1)


# All networks of the package. Where a window covers all of an image of 224 pixels, the batch is what may differ.
SIZES = {
    "bvlc_alexnet": [(1, 3, 224, 224), (3, 3, 128, 160)],
    "densenet121": [(2, 3, 128, 96), (1, 3, 64, 64)],
    "inception_v1": [(1, 3, 224, 224), (2, 3, 224, 224)],
    "inception_v2": [(1, 3, 224, 224), (2, 3, 224, 224)],
    "resnet50": [(1, 3, 224, 224), (2, 3, 224, 224)],
    "shufflenet": [(1, 3, 224, 224), (3, 3, 224, 224)],
    "squeezenet": [(2, 3, 224, 224), (1, 3, 160, 192)],
    "vgg19": [(1, 3, 64, 96), (2, 3, 32, 32)],
    "zfnet512": [(1, 3, 128, 128), (2, 3, 96, 160)],
}
CASES = [(name, shape) for name in SIZES for shape in SIZES[name]]


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_networks_compute_what_another_engine_does(name, shape):
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    proto = light_network(name, rng, shape)
    x = rng.standard_normal(shape, np.float32)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = runtime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = session.run(None, {session.get_inputs()[0].name: x})[0]
    model = load_onnx(proto)
    computed = model.predict(x.transpose(0, 2, 3, 1), verbose=0)
    if computed.ndim == 4:
        computed = computed.transpose(0, 3, 1, 2)
    assert computed.shape == expected.shape
    assert np.abs(computed - expected).max() < 1e-4 * np.abs(expected).max()
    layers = [node.layer for node in model._graph.nodes]
    moves = [layer for layer in layers if getattr(layer, "function", "") == "transpose"]
    assert len(moves) == sum(node.op_type == "Transpose" for node in proto.graph.node)  # the shuffled channels'
