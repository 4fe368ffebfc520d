"""Every layer as ONNX, run by others to the same numbers."""

import numpy as np
import pytest

from cnnfast import activations, layers, ops
from cnnfast.models import Model
from layer_rows import ROWS, SEVERAL
from onnx_peer import assert_same, exported, randomized, run

pytest.importorskip("onnx")

# What the uniform test of layers leaves out: other paddings, forms and data formats.
MORE = [
    ("Conv1D", {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same"}, (2, 10, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"}, (2, 7, 8, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "dilation_rate": 2}, (2, 7, 8, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": 2, "strides": 4, "padding": "same"}, (2, 7, 9, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": 2, "data_format": "channels_first"}, (2, 3, 7, 8)),
    ("Conv3D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (1, 5, 6, 7, 2)),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 3, "dilation_rate": 2, "padding": "same"}, (2, 7, 6, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 4, 5, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "strides": 3, "padding": "same"}, (2, 4, 5, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "strides": 3}, (2, 4, 5, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 5, "strides": 2, "padding": "same", "output_padding": 1},
     (2, 4, 5, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 4, "strides": 2, "padding": ((1, 2), (0, 1))}, (2, 4, 5, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 4, "strides": 3, "padding": 1, "output_padding": 2},
     (2, 4, 5, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, (2, 4, 5, 2)),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}, (1, 2, 3, 4, 2)),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 7, 8, 3)),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 7, 8, 3)),
    ("AveragePooling2D", {"pool_size": 2, "data_format": "channels_first"}, (2, 3, 7, 8)),
    ("AdaptiveAveragePooling2D", {"output_size": (2, 1)}, (2, 4, 5, 3)),
    ("AdaptiveMaxPooling2D", {"output_size": 3, "data_format": "channels_first"}, (2, 2, 4, 5)),
    ("GlobalAveragePooling2D", {"data_format": "channels_first", "keepdims": True}, (2, 3, 4, 5)),
    ("UpSampling2D", {"interpolation": "nearest", "data_format": "channels_first"}, (2, 2, 3, 4)),
    ("UpSampling2D", {"size": 2, "interpolation": "bicubic"}, (2, 5, 7, 3)),
    ("UpSampling2D", {"size": 2, "interpolation": "lanczos3"}, (2, 5, 7, 3)),
    ("UpSampling2D", {"size": (3, 1), "interpolation": "lanczos5", "data_format": "channels_first"}, (2, 3, 5, 7)),
    ("Resizing", {"height": 3, "width": 8, "interpolation": "nearest"}, (2, 7, 5, 3)),
    ("Resizing", {"height": 4, "width": 8, "interpolation": "bicubic"}, (2, 7, 5, 3)),
    ("Resizing", {"height": 4, "width": 3, "antialias": True}, (2, 9, 8, 3)),
    ("Resizing", {"height": 4, "width": 3, "interpolation": "lanczos3", "data_format": "channels_first"}, (2, 3, 9, 8)),
    ("Resizing", {"height": 4, "width": 4, "crop_to_aspect_ratio": True}, (2, 9, 6, 3)),
    ("Resizing", {"height": 4, "width": 6, "pad_to_aspect_ratio": True, "fill_value": 0.5}, (2, 9, 6, 3)),
    ("CenterCrop", {"height": 8, "width": 4}, (2, 5, 6, 3)),
    ("RandomCrop", {"height": 3, "width": 4}, (2, 5, 6, 3)),
    ("RandomFlip", {}, (2, 5, 6, 3)),
    ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 0.0, 1.0], "invert": True}, (2, 5, 3)),
    ("Normalization", {"axis": None, "mean": 1.0, "variance": 4.0}, (2, 5, 3)),
    ("ReLU", {"max_value": 6.0}, (3, 9)),
    ("ReLU", {"negative_slope": 0.2, "max_value": 0.5}, (3, 9)),
    ("Reshape", {"target_shape": (-1,)}, (2, 3, 4, 5)),
    ("Reshape", {"target_shape": (2, 30)}, (2, 3, 4, 5)),
    ("Cropping2D", {"cropping": ((1, 0), (0, 2)), "data_format": "channels_first"}, (2, 3, 4, 5)),
    ("LayerNormalization", {"axis": 1}, (2, 3, 4, 5)),
    ("GroupNormalization", {"groups": 2, "axis": 1}, (2, 4, 3, 5)),
    ("GroupNormalization", {"groups": 3}, (4, 6)),
    ("LocalResponseNormalization", {"alpha": 0.5}, (2, 5, 6)),
    ("LocalResponseNormalization", {"alpha": 0.5}, (2, 3, 2, 5, 6)),
    ("TimeDistributed", {"layer": layers.Conv2D(3, 2)}, (2, 3, 5, 4, 2)),
    ("TimeDistributed", {"layer": layers.Flatten()}, (2, 3, 5, 4)),
]  # fmt: skip
CASES = [(name, arguments, [shape]) for name, arguments, shape, *_ in ROWS + MORE] + [row[:3] for row in SEVERAL]


def made(case):
    """A model of the layer alone, with random weights."""
    name, arguments, shapes = case
    layer = getattr(layers, name)
    config = {key: copied(value) for key, value in arguments.items()}
    inputs = [layers.Input(shape[1:]) for shape in shapes]
    if name == "InputLayer":
        return Model(inputs[0], layers.Identity()(inputs[0]))
    return randomized(Model(inputs, layer(**config)(inputs if len(inputs) > 1 else inputs[0])))


def copied(value):
    """Layers among the arguments belong to the table."""
    return type(value).from_config(value.get_config()) if isinstance(value, layers.Layer) else value


def data(shapes):
    random = np.random.default_rng(5)
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]


def test_every_layer_is_exported():
    assert {case[0] for case in CASES} >= {n for n in layers.BUILT_IN if not n.startswith("Random")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2][0]}")
def test_layer(case, tmp_path):
    pytest.importorskip("onnxruntime")
    model, inputs = made(case), data(case[2])
    exported(model, tmp_path / "m.onnx")
    (found,) = run(tmp_path / "m.onnx", inputs)
    assert_same(found, model(inputs if len(inputs) > 1 else inputs[0], training=False))
    # Another batch size: it is open.
    (found,) = run(tmp_path / "m.onnx", [x[:1] for x in inputs])
    assert len(found) == 1


@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("name", ["LayerNormalization", "Softmax", "RMSNormalization", "GroupNormalization",
                                  "GlobalAveragePooling2D", "Resizing", "Conv2D", "UnitNormalization"])  # fmt: skip
def test_other_versions_of_the_operators(name, opset, tmp_path):
    pytest.importorskip("onnxruntime")
    for case in [case for case in CASES if case[0] == name]:
        model, inputs = made(case), data(case[2])
        proto = exported(model, tmp_path / "m.onnx", opset=opset)
        assert proto.opset_import[0].version == opset
        assert_same(run(tmp_path / "m.onnx", inputs)[0], model(inputs[0]))


# A few of each family, with onnx's own slow evaluator, which is there wherever onnx is.
@pytest.mark.parametrize(
    "name",
    ["Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "MaxPooling2D", "AveragePooling2D", "Dense", "BatchNormalization",
     "LayerNormalization", "GroupNormalization", "PReLU", "Concatenate", "Multiply", "Maxout", "Cropping2D",
     "ZeroPadding2D", "AdaptiveAveragePooling2D", "Softmax", "Rescaling", "Dot"],
)  # fmt: skip
def test_layer_by_reference(name, tmp_path):
    for case in [case for case in CASES if case[0] == name]:
        if case[1].get("strides", 1) != 1 and case[1].get("padding") == "same" and name == "Conv2DTranspose":
            continue  # the evaluator knows no output_padding of that kind
        model, inputs = made(case), data(case[2])
        exported(model, tmp_path / "m.onnx")
        (found,) = run(tmp_path / "m.onnx", inputs, "reference")
        assert_same(found, model(inputs if len(inputs) > 1 else inputs[0], training=False))


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_activations(opset, tmp_path):
    names = [n for n in activations.__all__ if n not in ("get", "serialize", "deserialize", "threshold")]
    x = layers.Input((6, 8))
    model = Model(x, [layers.Activation(name)(x) for name in names])
    inputs = [np.concatenate([np.linspace(-7, 7, 40), np.random.default_rng(1).normal(size=56)]).astype("f")]
    inputs = [inputs[0].reshape(2, 6, 8)]
    exported(model, tmp_path / "m.onnx", opset=opset)
    for name, found, wanted in zip(names, run(tmp_path / "m.onnx", inputs), model(inputs[0]), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6, err_msg=name)


# Functions of cnnfast.ops in a model, by what computes them from x (2, 4, 5, 6) and y (2, 6).
FUNCTIONS = {
    "arithmetic": lambda x, y: (x + 1.0) * 2.0 / (3.0 - y[:, None, None, :]) - x**2.0,
    "unary": lambda x, y: ops.exp(-ops.abs(x)) + ops.sqrt(ops.square(y)[:, None, None]) + ops.log1p(ops.abs(x)),
    "trigonometry": lambda x, y: ops.sin(x) + ops.cos(x) + ops.tanh(ops.sinh(x)) + ops.arctan(x),
    "rounding": lambda x, y: ops.floor(x) + ops.round(x * 3.0) + ops.trunc(x) + ops.mod(x, 0.7) + x // 0.6,
    "comparisons": lambda x, y: ops.where(ops.logical_and(x > 0.1, x < 1.0), x, -1.0),
    "clipping": lambda x, y: ops.clip(x, -0.5, 0.5) + ops.maximum(x, 0.3) + ops.minimum(x, y[:, None, None]),
    "constants": lambda x, y: x * np.arange(6.0) + np.arange(30.0).reshape(5, 6),
    "sum": lambda x, y: ops.sum(x, axis=(1, 2)),
    "mean": lambda x, y: ops.mean(x, axis=-1, keepdims=True),
    "extremes": lambda x, y: ops.max(x, axis=1) - ops.min(x, axis=1),
    "deviation": lambda x, y: ops.std(x, axis=(1, -1)) + ops.var(x, axis=(1, 3)),
    "logsumexp": lambda x, y: ops.logsumexp(x, axis=2),
    "norms": lambda x, y: ops.norm(x, axis=-1) + ops.norm(x, ord=1, axis=-1) + ops.sum(ops.normalize(x), axis=-1),
    "slices": lambda x, y: x[:, 1:, ::2, -1],
    "backwards": lambda x, y: x[:, ::-1, 3:0:-2],
    "ellipsis": lambda x, y: x[..., None, 2:4],
    "take": lambda x, y: ops.take(x, [3, 0, 0, -1], axis=2),
    "split": lambda x, y: ops.concatenate(ops.split(x, 3, axis=-1)[::-1], axis=-1),
    "stack": lambda x, y: ops.stack([x, x * 2.0], axis=1),
    "transpose": lambda x, y: ops.transpose(x, (0, 3, 1, 2)),
    "moveaxis": lambda x, y: ops.moveaxis(x, 1, -1),
    "reshape": lambda x, y: ops.reshape(x, (-1, 10, 12)),
    "squeeze": lambda x, y: ops.squeeze(ops.expand_dims(x, 2), 2),
    "pad": lambda x, y: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), mode="reflect"),
    "repeat": lambda x, y: ops.repeat(x, 2, axis=1) + ops.tile(x, (1, 2, 1, 1)),
    "roll": lambda x, y: ops.roll(x, 2, axis=1) + ops.flip(x, axis=2),
    "matmul": lambda x, y: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
    "einsum": lambda x, y: ops.einsum("nhwc,nc->nhw", x, y),
    "tensordot": lambda x, y: ops.tensordot(x, np.ones((6, 3), "f"), 1),
    "softmax": lambda x, y: ops.softmax(x, axis=1) + ops.log_softmax(x, axis=2) + ops.gelu(x) + ops.silu(x),
    "blocks": lambda x, y: ops.depth_to_space(ops.space_to_depth(x[:, :, :4], 2), 2),
    "resize": lambda x, y: ops.image.resize(x, (7, 9), "bicubic"),
    "upsample": lambda x, y: ops.upsample(x, 2, "bilinear"),
    "conv": lambda x, y: ops.conv(x, np.ones((3, 3, 3, 4), "f"), padding="same", strides=2),
    "pools": lambda x, y: ops.max_pool(x, 2) + ops.average_pool(x, 2) + ops.global_avg_pool(x)[:, None, None],
    "dense": lambda x, y: ops.dense(y, np.ones((6, 3), "f"), activation="relu"),
    "arctan of columns": lambda x, y: ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, 120)),
}  # fmt: skip


@pytest.mark.parametrize("behind_convolution", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations(name, behind_convolution, tmp_path):
    pytest.importorskip("onnxruntime")
    x, y = layers.Input((4, 5, 6)), layers.Input((6,))
    inner = layers.Conv2D(6, 1)(x) if behind_convolution else x
    model = Model([x, y], FUNCTIONS[name](inner, y))
    inputs = data([(2, 4, 5, 6), (2, 6)])
    exported(model, tmp_path / "m.onnx")
    (found,) = run(tmp_path / "m.onnx", inputs)
    assert_same(found, model(inputs), 2e-5)


def test_truth_values_and_positions_leave_as_they_are(tmp_path):
    pytest.importorskip("onnxruntime")
    x = layers.Input((4, 5))
    model = Model(x, [x > 0.5, ops.argmax(x, axis=-1)])
    (inputs,) = data([(3, 4, 5)])
    exported(model, tmp_path / "m.onnx")
    above, best = run(tmp_path / "m.onnx", [inputs])
    np.testing.assert_array_equal(above, inputs > 0.5)
    np.testing.assert_array_equal(best, inputs.argmax(-1))


@pytest.mark.parametrize(("axis", "shape"), [(0, (2, 3, 4)), (1, (6, 2, 3)), (None, (2, 3))])
def test_positions_in_a_table_may_be_computed(axis, shape, tmp_path):
    table = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    positions = layers.Input((3,), batch_size=2, dtype="int32")
    model, path = Model(positions, ops.take(table, positions, axis)), tmp_path / "table.onnx"
    exported(model, path)
    given = np.array([[0, 3, 1], [-1, 2, -2]], np.int32)
    found = run(path, [given.astype(np.float32)])[0]
    assert found.shape == shape
    assert_same(found, np.take(table, given, axis))


def test_positions_in_images_may_be_computed(tmp_path):
    image, positions = layers.Input((5, 4, 3), batch_size=2), layers.Input((1,), batch_size=2, dtype="int32")
    y = ops.take(layers.Conv2D(2, 1)(image), positions, 1)
    model, path = Model([image, positions], ops.sum(y, (3, 4))), tmp_path / "images.onnx"
    exported(model, path)
    x = [np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32), np.array([[4], [-4]], np.float32)]
    assert_same(run(path, x)[0], np.asarray(model(x)))
