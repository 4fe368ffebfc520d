"""What ends detectors, segmentation networks and transformers of space, from ONNX files, against ONNX Runtime."""

import numpy as np
import pytest

from cnnfast.interop import load_onnx
from cnnfast.models import load_model

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

from onnx_files import model_of  # noqa: E402


def other_engine(proto, feeds):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def compared(proto, feeds, tolerance=1e-4, first=True, **options):
    """A file's outputs here and there; returns the model."""
    if not proto.graph.output[0].type.tensor_type.HasField("elem_type"):
        raise AssertionError
    model = load_onnx(proto, data_format="channels_first" if first else "channels_last", **options)
    given = [x if first or x.ndim < 4 else np.moveaxis(x, 1, -1) for x in feeds.values()]
    found = model(given if len(given) > 1 else given[0], training=False)
    found = found if isinstance(found, (list, tuple)) else [found]
    for mine, theirs in zip(found, other_engine(proto, feeds), strict=True):
        mine = np.asarray(mine)
        mine = np.moveaxis(mine, -1, 1) if not first and mine.ndim == 4 else mine
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    return model


def typed(proto, **kinds):
    """Inputs and outputs of other types than float."""
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = kinds.get(info.name, TensorProto.FLOAT)
    return proto


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("opset", [16, 20])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
def test_grid_sample(mode, padding, opset, rng):
    name = mode if opset >= 20 else {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    for align in (0, 1):
        attributes = {"mode": name, "padding_mode": padding, "align_corners": align}
        proto = model_of(
            [("GridSample", ["x", "g"], ["s"], attributes), ("Relu", ["s"], ["y"])],
            {"x": ["N", 3, 6, 7], "g": ["N", 4, 5, 2]}, ["y"], opset=opset,
        )  # fmt: skip
        grid = rng.uniform(-1.7, 1.7, (2, 4, 5, 2)).astype(np.float32)
        compared(proto, {"x": normal(rng, 2, 3, 6, 7), "g": grid}, 5e-4)


def test_a_spatial_transformer_trains(rng):
    theta = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    nodes = [
        ("AffineGrid", ["t", "size"], ["g"]),
        ("Add", ["g", "moved"], ["h"]),
        ("GridSample", ["x", "h"], ["s"]),
        ("Conv", ["s", "w"], ["y"]),
    ]
    constants = {"t": theta, "size": np.array([1, 2, 5, 5]), "moved": np.float32(0.1), "w": normal(rng, 4, 2, 3, 3)}
    proto = model_of(nodes, {"x": [1, 2, 6, 6]}, ["y"], constants, opset=20)
    x = normal(rng, 1, 2, 6, 6)
    model = compared(proto, {"x": x}, first=False)
    model.compile("sgd", "mse")
    y = np.zeros((1, 3, 3, 4), np.float32)
    before = model.evaluate(np.moveaxis(x, 1, -1), y, verbose=0)
    model.fit(np.moveaxis(x, 1, -1), y, epochs=3, verbose=0)
    assert model.evaluate(np.moveaxis(x, 1, -1), y, verbose=0) < before


@pytest.mark.parametrize("opset", [10, 16])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align(mode, opset, rng):
    for ratio, coordinates in ((0, "half_pixel"), (2, "output_half_pixel"), (3, None)):
        attributes = {"mode": mode, "output_height": 3, "output_width": 4, "sampling_ratio": ratio}
        if coordinates and opset >= 16:
            attributes["coordinate_transformation_mode"] = coordinates
        proto = typed(
            model_of(
                [("RoiAlign", ["x", "r", "b"], ["y"], {**attributes, "spatial_scale": 0.5})],
                {"x": ["N", 3, 8, 9], "r": ["R", 4], "b": ["R"]}, ["y"], opset=opset,
            ),
            b=TensorProto.INT64,
        )  # fmt: skip
        boxes = np.array([[1, 2, 9, 12], [0, 0, 17, 15], [4, 4, 5, 5], [3, 1, 16, 4]], np.float32)
        compared(proto, {"x": normal(rng, 2, 3, 8, 9), "r": boxes, "b": np.array([0, 1, 1, 0])})


def head(nodes, constants, outputs, opset=13, **kinds):
    constants = {"limit": np.array([5]), "iou": np.float32([0.4]), "score": np.float32([0.3]), **constants}
    proto = model_of(nodes, {"boxes": ["N", 40, 4], "scores": ["N", 3, 40]}, outputs, constants, opset=opset)
    return typed(proto, **kinds)


@pytest.mark.parametrize("opset", [10, 11])
def test_non_max_suppression(opset, rng):
    for center in (0, 1):
        nodes = [
            ("NonMaxSuppression", ["boxes", "scores", "limit", "iou", "score"], ["y"], {"center_point_box": center})
        ]
        boxes = rng.uniform(0, 3, (2, 40, 4)).astype(np.float32)
        feeds = {"boxes": boxes, "scores": rng.uniform(0, 1, (2, 3, 40)).astype(np.float32)}
        model = compared(head(nodes, {}, ["y"], opset, y=TensorProto.INT64), feeds)
        assert model.output_shape == (None, 3)


def test_a_detectors_end_is_read_and_kept(rng, tmp_path):
    nodes = [
        ("NonMaxSuppression", ["boxes", "scores", "limit", "iou", "score"], ["kept"]),
        ("Gather", ["kept", "two"], ["box"], {"axis": 1}),
        ("Squeeze", ["box", "one"], ["position"]),
        ("Squeeze", ["boxes", "zero"], ["all"]),
        ("Gather", ["all", "position"], ["chosen"]),
        ("Slice", ["kept", "one", "three", "one"], ["pairs"]),
        ("Squeeze", ["scores", "zero"], ["table"]),
        ("GatherND", ["table", "pairs"], ["score_of"]),
        ("Unsqueeze", ["score_of", "one"], ["column"]),
        ("Cast", ["kept"], ["number"], {"to": 1}),
        ("Concat", ["chosen", "column", "number"], ["y"], {"axis": 1}),
    ]
    names = {"zero": 0, "one": 1, "two": 2, "three": 3}
    proto = head(nodes, {name: np.array([n]) for name, n in names.items()}, ["y"])
    feeds = {
        "boxes": rng.uniform(0, 3, (1, 40, 4)).astype(np.float32),
        "scores": rng.uniform(0, 1, (1, 3, 40)).astype(np.float32),
    }
    model = compared(proto, feeds, input_shapes={"boxes": (1, 40, 4), "scores": (1, 3, 40)})
    model.save(tmp_path / "detector.safetensors")
    again = load_model(tmp_path / "detector.safetensors")
    np.testing.assert_array_equal(again(list(feeds.values())), model(list(feeds.values())))


@pytest.mark.parametrize("first", [True, False])
def test_pooling_and_unpooling(first, rng):
    nodes = [
        ("MaxPool", ["x"], ["p", "i"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Conv", ["p", "w"], ["c"], {"pads": [1, 1, 1, 1]}),
        ("MaxUnpool", ["c", "i"], ["y"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ]
    proto = typed(model_of(nodes, {"x": ["N", 3, 8, 6]}, ["y"], {"w": normal(rng, 3, 3, 3, 3)}, opset=13))
    model = compared(proto, {"x": normal(rng, 2, 3, 8, 6)}, first=first)
    model.compile("sgd", "mse")
    shape = (2, 3, 8, 6) if first else (2, 8, 6, 3)
    before = model.weights[0].numpy().copy()
    model.fit(normal(rng, *shape), np.zeros(shape, np.float32), epochs=1, verbose=0)
    assert not np.array_equal(before, model.weights[0].numpy())


def test_positions_of_pooling_are_an_output(rng):
    for shape, options in (
        (["N", 2, 9, 8], {"kernel_shape": [3, 3], "pads": [1, 1, 0, 1], "strides": [2, 2]}),
        (["N", 2, 7, 7], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        (["N", 2, 9, 8], {"kernel_shape": [2, 3], "storage_order": 1}),
        (["N", 2, 11], {"kernel_shape": [3], "strides": [2], "auto_pad": "SAME_UPPER"}),
        (["N", 2, 4, 5, 6], {"kernel_shape": [2, 2, 2]}),
    ):
        proto = model_of([("MaxPool", ["x"], ["y", "i"], options)], {"x": shape}, ["y", "i"], opset=12)
        compared(typed(proto, i=TensorProto.INT64), {"x": normal(rng, 3, *shape[1:])})


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scattering(reduction, rng):
    attributes = {"reduction": reduction}
    constants = {"rows": np.array([[0, 1], [1, 2], [0, -1]])}
    proto = model_of(
        [("ScatterND", ["x", "rows", "u"], ["y"], attributes)], {"x": [2, 3, 4], "u": [3, 4]}, ["y"], constants, 18
    )
    compared(proto, {"x": normal(rng, 2, 3, 4), "u": normal(rng, 3, 4)})
    proto = typed(
        model_of(
            [("ScatterElements", ["x", "i", "u"], ["y"], {**attributes, "axis": -1})],
            {"x": ["N", 3, 4], "i": ["N", 2, 3], "u": ["N", 2, 3]}, ["y"], opset=18,
        ),
        i=TensorProto.INT64,
    )  # fmt: skip
    places = np.argsort(rng.random((2, 2, 4)), axis=-1)[..., :3] - np.array([0, 4, 0])
    compared(proto, {"x": normal(rng, 2, 3, 4), "i": places, "u": normal(rng, 2, 2, 3)})


def test_gathering_with_fewer_positions_than_elements(rng):
    x = {"x": [3, 4, 5]}
    for axis, places in ((1, rng.integers(-4, 4, (2, 6, 1))), (0, rng.integers(0, 3, (3, 4, 5)))):
        proto = model_of([("GatherElements", ["x", "i"], ["y"], {"axis": axis})], x, ["y"], {"i": places}, 13)
        compared(proto, {"x": normal(rng, 3, 4, 5)})
    proto = model_of(
        [("GatherND", ["x", "i"], ["y"], {"batch_dims": 1})], x, ["y"], {"i": rng.integers(0, 4, (3, 1))}, 13
    )
    compared(proto, {"x": normal(rng, 3, 4, 5)})


def test_sizes_that_depend_on_values(rng):
    nodes = [
        ("Greater", ["x", "half"], ["m"]),
        ("NonZero", ["m"], ["n"]),
        ("Transpose", ["n"], ["t"]),
        ("GatherND", ["x", "t"], ["y"]),
        ("Compress", ["x", "c"], ["z"], {"axis": 1}),
    ]
    constants = {"half": np.float32(0.5), "c": np.array([True, False, True])}
    compared(model_of(nodes, {"x": [4, 5]}, ["y", "z"], constants, opset=13), {"x": normal(rng, 4, 5)})


@pytest.mark.parametrize(
    "node",
    [
        ("GridSample", ["x", "c"], ["y"], {"mode": "lanczos"}),
        ("GridSample", ["x", "v"], ["y"]),
        ("RoiAlign", ["x", "c", "v"], ["y"], {"output_height": 1 << 30, "output_width": 1 << 30}),
        ("RoiAlign", ["x", "x", "v"], ["y"]),
        ("NonMaxSuppression", ["x", "x", "v"], ["y"]),
        ("NonMaxSuppression", ["x"], ["y"]),
        ("MaxUnpool", ["x", "v"], ["y"], {"kernel_shape": [2, 2]}),
        ("MaxUnpool", ["x", "c"], ["y"], {"kernel_shape": [1 << 40, 2]}),
        ("ScatterND", ["x", "v", "x"], ["y"]),
        ("ScatterElements", ["x", "v", "x"], ["y"], {"reduction": "median"}),
        ("GatherND", ["x", "v"], ["y"], {"batch_dims": 7}),
        ("GatherElements", ["x", "v"], ["y"], {"axis": 9}),
        ("Compress", ["x", "c"], ["y"], {"axis": 5}),
    ],
    ids=lambda node: node[0],
)
def test_damage_is_refused_by_name(node):
    constants = {"c": np.zeros((1, 3, 4, 2), np.float32), "v": np.array([9, 9, 9])}
    proto = model_of([node], {"x": [1, 3, 4, 4]}, ["y"], constants, opset=18)
    with pytest.raises(ValueError, match=node[0]):
        load_onnx(proto)


# Constant outputs


def constant_model(opset=17):
    nodes = [
        ("Conv", ["x", "w"], ["y"]),
        ("Shape", ["w"], ["sizes"]),
        ("Constant", [], ["truth"], {"value": helper.make_tensor("t", TensorProto.BOOL, [2], [True, False])}),
        ("Mul", ["table", "two"], ["folded"]),
    ]
    constants = {
        "w": np.ones((4, 3, 3, 3), np.float32), "table": np.array([[1.5, np.inf]], np.float32), "two": np.float32(2),
        "classes": np.array([3, 1 << 40]), "none": np.zeros((0, 2), np.float32),
    }  # fmt: skip
    outputs = ["classes", "y", "sizes", "truth", "folded", "table", "none"]
    proto = model_of(nodes, {"x": ["N", 3, 8, 8]}, outputs, constants, opset)
    return typed(proto, classes=TensorProto.INT64, sizes=TensorProto.INT64, truth=TensorProto.BOOL)


def test_constant_outputs_come_with_the_others(rng, tmp_path):
    proto = constant_model()
    x = normal(rng, 2, 3, 8, 8)
    model = compared(proto, {"x": x}, first=False)
    found = model(np.moveaxis(x, 1, -1))
    wanted = [np.dtype(t) for t in ("int64", "float32", "int64", "bool", "float32", "float32", "float32")]
    assert [np.asarray(y).dtype for y in found] == wanted
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")(np.moveaxis(x, 1, -1))
    for mine, theirs in zip(again, found, strict=True):
        np.testing.assert_array_equal(mine, np.reshape(theirs, mine.shape))


def test_all_outputs_may_be_constant(rng):
    proto = model_of([], {"x": ["N", 3]}, ["c"], {"c": np.arange(3, dtype=np.float32)})
    model = load_onnx(proto)
    for x in (normal(rng, 4, 3), np.full((1, 3), np.nan), np.zeros((0, 3))):
        np.testing.assert_array_equal(model(x), [0, 1, 2])
    model = load_onnx(model_of([("Add", ["x", "c"], ["y"])], {"x": [3], "z": [1, 2]}, ["y"], {"c": np.ones(3, "f4")}),
                      constants={"x": np.float32([1, 2, 3])})  # fmt: skip
    np.testing.assert_array_equal(model(np.zeros((1, 2))), [2, 3, 4])


def test_nothing_enters(rng):
    with pytest.raises(ValueError, match="nothing enters"):
        load_onnx(model_of([], {}, ["c"], {"c": np.ones(3, np.float32)}))
    with pytest.raises(ValueError, match="open size"):
        load_onnx(model_of([("Shape", ["x"], ["y"])], {"x": ["N", 3]}, ["y"]))


def test_operators_that_the_standard_defines_by_others(rng):
    proto = model_of(
        [("CenterCropPad", ["x", "size"], ["c"], {"axes": [2, 3]}), ("Relu", ["c"], ["y"])],
        {"x": ["N", 3, 8, 5]}, ["y"], {"size": np.array([4, 9])}, opset=18,
    )  # fmt: skip
    compared(proto, {"x": normal(rng, 2, 3, 8, 5)}, input_shapes={"x": (2, 3, 8, 5)})
