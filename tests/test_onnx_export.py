"""Whole models as ONNX: their numbers elsewhere, the layout inside, names, open sizes, and what cannot be written."""

import numpy as np
import pytest

import cnnfast
from cnnfast import Sequential, layers, ops
from cnnfast.interop import export_onnx
from cnnfast.models import Model
from onnx_peer import assert_same, exported, kinds, randomized, run

onnx = pytest.importorskip("onnx")


def conv_net():
    return Sequential(
        [layers.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Conv2D(8, 3, padding="same", activation="relu"),
         layers.MaxPooling2D(), layers.Conv2D(12, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
         layers.AveragePooling2D(), layers.Dropout(0.5), layers.Flatten(), layers.Dense(10, activation="tanh"),
         layers.Dense(5, activation="softmax")]
    )  # fmt: skip


def _block(x, filters, stride):
    y = layers.Conv2D(filters, 3, stride, "same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    if stride > 1:
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1, stride, use_bias=False)(x))
    return layers.Activation("relu")(layers.Add()([x, y]))


def residual():
    x = layers.Input((17, 15, 3))
    y = layers.Conv2D(8, 3, 2, "same")(x)
    for filters, stride in ((8, 1), (12, 2), (12, 1)):
        y = _block(y, filters, stride)
    return Model(x, layers.Dense(7)(layers.GlobalAveragePooling2D()(y)))


def u_net():
    x = layers.Input((None, None, 2))
    skips, y = [], x
    for filters in (4, 6):
        y = layers.Conv2D(filters, 3, padding="same", activation="elu")(y)
        skips.append(y)
        y = layers.MaxPooling2D()(y)
    for filters, skip in ((6, skips[1]), (4, skips[0])):
        y = layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(y)
        y = layers.Conv2D(filters, 3, padding="same", activation="leaky_relu")(layers.Concatenate()([y, skip]))
    return Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def separable():
    x = layers.Input((20, 20, 3))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, "same", use_bias=False)(x)))
    y = layers.SeparableConv2D(12, 3, padding="same", activation="silu")(y)
    y = layers.DepthwiseConv2D(3, 2, "same", activation="hard_silu")(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(12, 1, activation="hard_sigmoid")(layers.Conv2D(3, 1, activation="relu")(gate))
    y = layers.UpSampling2D(2)(layers.Multiply()([y, gate]))
    return Model(x, layers.Dense(4)(layers.Flatten()(layers.Activation("gelu")(y))))


def squeezed_by_dense_layers():
    x = layers.Input((9, 9, 4))
    y = layers.Conv2D(8, 3)(x)
    gate = layers.Dense(2, activation="relu")(layers.GlobalAveragePooling2D()(y))
    gate = layers.Reshape((1, 1, 8))(layers.Dense(8, activation="sigmoid")(gate))
    return Model(x, layers.GlobalMaxPooling2D()(layers.Multiply()([y, gate])))


def sequences():
    return Sequential(
        [layers.Input((None, 5)), layers.Conv1D(8, 5, strides=2, activation="relu"), layers.MaxPooling1D(),
         layers.SeparableConv1D(6, 3, padding="same"), layers.Conv1DTranspose(4, 3, strides=2),
         layers.LayerNormalization(), layers.Dense(3)]
    )  # fmt: skip


def volumes():
    return Sequential(
        [layers.Input((8, 10, 6, 2)), layers.Conv3D(4, 3, padding="same", activation="relu"), layers.MaxPooling3D(),
         layers.Conv3D(6, 2), layers.GroupNormalization(3), layers.GlobalAveragePooling3D(), layers.Dense(3)]
    )  # fmt: skip


def several_inputs():
    image, numbers = layers.Input((12, 12, 3), name="image"), layers.Input((7,), name="numbers")
    shared = layers.Dense(6, activation="relu", name="shared")
    features = layers.Flatten()(layers.Conv2D(4, 3, strides=2)(image))
    joined = layers.Concatenate()([shared(layers.Dense(7)(features)), shared(numbers)])
    return Model(
        {"image": image, "numbers": numbers},
        {"score": layers.Dense(1, name="score")(joined),
         "classes": layers.Dense(3, activation="softmax", name="classes")(joined)},
    )  # fmt: skip


def nested():
    inner_x = layers.Input((8, 8, 4))
    inner = Model(inner_x, layers.Add()([inner_x, layers.Conv2D(4, 3, padding="same")(inner_x)]), name="inner")
    tail = Sequential([layers.GlobalMaxPooling2D(), layers.Dense(3)], name="tail")
    x = layers.Input((8, 8, 4))
    return Model(x, tail(inner(inner(layers.Conv2D(4, 1)(x)))))


def channels_first():
    return Sequential(
        [layers.Input((3, 12, 10)), layers.Conv2D(6, 3, data_format="channels_first", activation="relu"),
         layers.BatchNormalization(axis=1), layers.MaxPooling2D(data_format="channels_first"), layers.Flatten(),
         layers.Dense(4)]
    )  # fmt: skip


class Scaled(layers.Layer):
    """A user's layer, whose weights and parts enter operations."""

    def build(self, input_shape):
        self.factor = self.add_weight(input_shape[-1:], "ones", name="factor")
        self.mix = layers.Conv2D(3, 1)

    def call(self, x, training=False):
        return self.mix(ops.relu(x * self.factor) + 0.5)


class Subclassed(Model):
    """A model that is what its call computes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Conv2D(4, 3, activation="relu")
        self.blocks = [layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()]
        self.head = layers.Dense(3)

    def call(self, x, training=False):
        y = self.first(x)
        for block in self.blocks:
            y = block(y, training=training) + y
        return self.head(layers.GlobalAveragePooling2D()(y))


def subclassed():
    model = Subclassed()
    model.build((None, 9, 9, 2))
    return model


def own_classes():
    x = layers.Input((6, 6, 4))
    y = layers.Lambda(lambda t: ops.square(t) - t)(Scaled()(layers.Conv2D(4, 3)(x)))
    return Model(x, layers.Dense(2, activation=lambda t: ops.tanh(t) * 2.0)(layers.Flatten()(y)))


NETWORKS = {
    function.__name__: function
    for function in (conv_net, residual, u_net, separable, squeezed_by_dense_layers, sequences, volumes, several_inputs,
                     nested, channels_first, own_classes,
                     subclassed)
}  # fmt: skip


def inputs_of(model, batch=2, size=20):
    random = np.random.default_rng(2)
    known = [model.built_for] if isinstance(model, Subclassed) else [t.shape for t in model.inputs]
    shapes = [[n or (size if i else batch) for i, n in enumerate(shape)] for shape in known]
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]


def outputs_of(model, inputs):
    given = dict(zip(model.input_names, inputs, strict=True)) if len(inputs) > 1 else inputs[0]
    found = model(given, training=False)
    return list(found.values()) if isinstance(found, dict) else [found]


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name, tmp_path):
    pytest.importorskip("onnxruntime")
    model = randomized(NETWORKS[name]())
    proto = exported(model, tmp_path / "m.onnx")
    names = [model.name] if isinstance(model, Subclassed) else model.output_names
    assert [v.name for v in proto.graph.output] == names
    for batch in (1, 3):
        inputs = inputs_of(model, batch)
        for found, wanted in zip(run(tmp_path / "m.onnx", inputs), outputs_of(model, inputs), strict=True):
            assert_same(found, wanted)


@pytest.mark.parametrize("name", ["conv_net", "residual", "separable", "several_inputs", "nested", "own_classes"])
def test_network_by_reference(name, tmp_path):
    model = randomized(NETWORKS[name]())
    exported(model, tmp_path / "m.onnx")
    inputs = inputs_of(model)
    for found, wanted in zip(run(tmp_path / "m.onnx", inputs, "reference"), outputs_of(model, inputs), strict=True):
        assert_same(found, wanted)


# How many transpositions a graph has: one at the beginning, and one at the end where an image leaves it.
@pytest.mark.parametrize(
    ("name", "count"),
    [("conv_net", 1), ("residual", 1), ("u_net", 2), ("separable", 1), ("squeezed_by_dense_layers", 1), ("volumes", 1),
     ("several_inputs", 1), ("nested", 1), ("channels_first", 0), ("own_classes", 1), ("subclassed", 1)],
)  # fmt: skip
def test_nothing_is_transposed_inside(name, count, tmp_path):
    proto = exported(NETWORKS[name](), tmp_path / "m.onnx")
    assert kinds(proto).get("Transpose", 0) == count
    if name == "channels_first":
        return
    proto = exported(NETWORKS[name](), tmp_path / "m.onnx", data_format="channels_first")
    assert "Transpose" not in kinds(proto)


def test_images_enter_and_leave_with_the_channels_second(tmp_path):
    pytest.importorskip("onnxruntime")
    model = randomized(u_net())
    exported(model, tmp_path / "m.onnx", data_format="channels_first")
    (x,) = inputs_of(model)
    (found,) = run(tmp_path / "m.onnx", [np.ascontiguousarray(np.moveaxis(x, -1, 1))])
    assert_same(np.moveaxis(found, 1, -1), model(x))


@pytest.mark.parametrize("size", [7, 8, 9, 10, 11, 13])
def test_same_padding_of_open_sizes(size, tmp_path):
    pytest.importorskip("onnxruntime")
    x = layers.Input((None, None, 3))
    paths = [
        layers.Conv2D(4, 3, 2, "same")(x), layers.Conv2D(4, 4, 3, "same")(x), layers.Conv2D(4, 1, 2, "same")(x),
        layers.MaxPooling2D(3, 2, "same")(x), layers.AveragePooling2D(3, 2, "same")(x),
        layers.DepthwiseConv2D(5, padding="same", dilation_rate=2)(x),
        layers.Conv2DTranspose(4, 3, 2, "same")(x), layers.Conv2DTranspose(4, 4, 3, "same")(x),
        layers.Conv2DTranspose(4, 2, 3, "same")(x), layers.Conv2DTranspose(4, 5, 2, "same")(x),
        layers.GlobalAveragePooling2D()(x), layers.AdaptiveAveragePooling2D(1)(x), layers.Resizing(5, 6)(x),
        layers.UpSampling2D(2, interpolation="bilinear")(x), layers.GroupNormalization(3)(layers.Conv2D(6, 3)(x)),
    ]  # fmt: skip
    model = randomized(Model(x, paths))
    exported(model, tmp_path / "m.onnx")
    inputs = np.random.default_rng(1).standard_normal((2, size, size + 3, 3)).astype("f")
    for found, wanted in zip(run(tmp_path / "m.onnx", [inputs]), model(inputs), strict=True):
        assert_same(found, wanted)


def test_graph_is_described(tmp_path):
    proto = exported(u_net(), tmp_path / "m.onnx", metadata={"classes": ["a", "b"], "licence": "MIT"})
    assert (proto.producer_name, proto.producer_version) == ("cnnfast", cnnfast.__version__)
    assert [d.dim_param or d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim] == ["N", "H", "W", 2]
    assert {p.key: p.value for p in proto.metadata_props} == {
        "classes": '["a", "b"]',
        "licence": "MIT",
        "cnnfast.data_format": "channels_last",
    }
    known = {v.name for v in proto.graph.value_info} | {v.name for v in proto.graph.output}
    assert {name for node in proto.graph.node for name in node.output} <= known
    assert len({node.name for node in proto.graph.node}) == len(proto.graph.node)
    convolution = proto.graph.node[1]
    assert convolution.name.endswith("/Conv")
    assert convolution.doc_string == f"Conv2D {convolution.name.split('/')[0]}"


def test_weights_are_stored_once_and_in_the_order_that_is_computed_with(tmp_path):
    model = randomized(several_inputs())
    proto = exported(model, tmp_path / "m.onnx")
    stored = sum(int(np.prod(t.dims)) for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    assert stored == model.count_params()
    assert "Reshape" not in kinds(proto)  # images become rows without a copy: the dense layer's rows are permuted


def test_saving_by_suffix_and_by_name(tmp_path):
    model = conv_net()
    model.save(tmp_path / "a.onnx")
    model.export(tmp_path / "b.bin", format="onnx", opset=15)
    assert onnx.load(tmp_path / "a.onnx").opset_import[0].version == 17
    assert onnx.load(tmp_path / "b.bin").opset_import[0].version == 15
    with pytest.raises(FileExistsError, match=r"a\.onnx"):
        model.save(tmp_path / "a.onnx", overwrite=False)
    with pytest.raises(ValueError, match="only format 'onnx'"):
        model.export(tmp_path / "c", format="tf_saved_model")
    with pytest.raises(ValueError, match="opset expects an integer from 13"):
        model.export(tmp_path / "c", opset=7)
    with pytest.raises(ValueError, match="data_format"):
        model.export(tmp_path / "c", data_format="NCHW")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "b.bin"]


def test_weights_that_one_file_cannot_hold_lie_beside_it(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("cnnfast.interop.onnx_export.writing._LIMIT", 4000)
    model = randomized(conv_net())
    model.save(tmp_path / "m.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert (tmp_path / "m.onnx").stat().st_size < (tmp_path / "m.onnx.data").stat().st_size
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    (x,) = inputs_of(model)
    assert_same(run(tmp_path / "m.onnx", [x])[0], model(x))
    again = cnnfast.load_model(tmp_path / "m.onnx")
    assert_same(np.asarray(again(x)), model(x))
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.onnx", overwrite=False)
    (tmp_path / "m.onnx.data").write_bytes((tmp_path / "m.onnx.data").read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"m\.onnx.*bytes \d+ to \d+"):
        cnnfast.load_model(tmp_path / "m.onnx")


def test_a_file_of_more_than_2_gib_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "m.onnx", "wb") as file:
        file.truncate(1 << 31)  # which takes no room on the disk
    with pytest.raises(ValueError, match=r"m\.onnx.*more than an ONNX file holds"):
        cnnfast.load_model(tmp_path / "m.onnx")


class Sorted(layers.Layer):
    def call(self, x):
        return ops.sort(x)


class AsksForValues(layers.Layer):
    def call(self, x):
        return x * float(np.asarray(x).mean())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: Sorted(name="mine")(x), r"mine/sort.*operation 'sort'"),
        (lambda x: AsksForValues(name="mine")(x), r"AsksForValues 'mine'.*cannot be written"),
        (lambda x: layers.UpSampling2D(2, interpolation="lanczos3", name="up")(x), r"up.*lanczos3.*fixed sizes"),
        (lambda x: layers.Dropout(0.5, name="always")(x, training=True), r"Dropout 'always'.*training=True"),
        (lambda x: layers.AdaptiveMaxPooling2D(3, name="pool")(x), r"pool.*fixed sizes"),
        (lambda x: layers.Conv2D(2, 3, 2, "same", dilation_rate=2, name="c")(x), r"Conv2D 'c'.*fixed sizes"),
    ],
)
def test_what_cannot_be_written_is_named(make, message, tmp_path):
    x = layers.Input((None, None, 3))
    model = Model(x, make(x))
    with pytest.raises(ValueError, match=message):
        export_onnx(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_without_weights_or_structure_is_refused(tmp_path):
    with pytest.raises(ValueError, match="build it first"):
        export_onnx(Sequential([layers.Dense(2)]), tmp_path / "m.onnx")


def test_inputs_that_are_outputs_and_outputs_twice(tmp_path):
    pytest.importorskip("onnxruntime")
    x = layers.Input((4,), name="x")
    y = layers.Dense(3, name="y")(x)
    model = Model(x, [y, x, y])
    proto = exported(model, tmp_path / "m.onnx")
    assert len({v.name for v in [*proto.graph.input, *proto.graph.output]}) == 4
    (inputs,) = inputs_of(model)
    for found, wanted in zip(run(tmp_path / "m.onnx", [inputs]), model(inputs), strict=True):
        assert_same(found, wanted)


def test_the_model_is_as_it_was(tmp_path):
    model = own_classes()
    parts = [*model.layers, *(part for layer in model.layers for part in layer.sublayers())]
    before = [len(layer._inbound_nodes) for layer in parts]
    export_onnx(model, tmp_path / "m.onnx")
    assert [len(layer._inbound_nodes) for layer in parts] == before
