"""Networks from ONNX files: what is made of them, and that it computes and trains as it should."""

import io
import warnings

import numpy as np
import pytest

import cnnfast
from cnnfast import layers
from cnnfast.interop import load_onnx

onnx = pytest.importorskip("onnx")
from onnx_files import model_of  # noqa: E402


def weights(rng, **shapes):
    """Initializers with random values."""
    return {name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()}


def small_network(rng):
    """Convolution, normalization, pooling, a flattened image and a dense layer."""
    constants = weights(rng, w=(8, 3, 3, 3), b=(8,), scale=(8,), shift=(8,), mean=(8,), d=(10, 8 * 4 * 6), e=(10,))
    constants["variance"] = rng.uniform(0.5, 2, 8).astype("f4")
    nodes = [
        ("Conv", ["x", "w", "b"], ["c"], {"pads": [1, 1, 1, 1]}),
        ("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"]),
        ("Relu", ["n"], ["r"]),
        ("MaxPool", ["r"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", ["p"], ["f"]),
        ("Gemm", ["f", "d", "e"], ["y"], {"transB": 1}),
    ]
    return model_of(nodes, {"x": ["N", 3, 8, 12]}, ["y"], constants), constants


def twin(constants):
    """The same network made of layers."""
    x = layers.Input((8, 12, 3))
    h = layers.Conv2D(8, 3, padding="same")(x)
    h = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(h)
    h = layers.MaxPooling2D()(layers.Activation("relu")(h))
    model = cnnfast.Model(x, layers.Dense(10)(layers.Flatten()(h)))
    c = constants
    dense = c["d"].reshape(10, 8, 4, 6).transpose(2, 3, 1, 0).reshape(-1, 10)
    statistics = [c[name] for name in ("scale", "shift", "mean", "variance")]
    model.set_weights([c["w"].transpose(2, 3, 1, 0), c["b"], *statistics, dense, c["e"]])
    return model


def test_a_network_becomes_layers_with_its_weights():
    rng = np.random.default_rng(0)
    proto, constants = small_network(rng)
    model, expected = load_onnx(proto), twin(constants)
    assert model.input_names == ["x"]
    assert model.input_shape == (None, 8, 12, 3)
    kinds = ["InputLayer", "Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "Flatten", "Dense"]
    assert [type(layer).__name__ for layer in model.layers] == kinds
    assert model.get_layer("Conv_0").filters == 8
    for mine, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    x = rng.normal(size=(3, 8, 12, 3)).astype("f4")
    np.testing.assert_allclose(model.predict(x), expected.predict(x), rtol=1e-6)


def test_channels_first_keeps_the_files_shapes():
    rng = np.random.default_rng(1)
    proto, _ = small_network(rng)
    x = rng.normal(size=(2, 3, 8, 12)).astype("f4")
    first = load_onnx(proto, data_format="channels_first")
    assert first.input_shape == (None, 3, 8, 12)
    np.testing.assert_allclose(first.predict(x), load_onnx(proto).predict(x.transpose(0, 2, 3, 1)), rtol=1e-6)


def test_an_imported_network_trains_as_one_of_layers():
    rng = np.random.default_rng(2)
    proto, constants = small_network(rng)
    x, y = rng.normal(size=(8, 8, 12, 3)).astype("f4"), rng.integers(0, 10, 8)
    updated = []
    for model in (load_onnx(proto), twin(constants)):
        loss = cnnfast.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(cnnfast.optimizers.SGD(0.1, momentum=0.9), loss)
        model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
        updated.append(model.get_weights())
    assert not np.array_equal(updated[0][0], constants["w"].transpose(2, 3, 1, 0))
    for mine, theirs in zip(*updated, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_batch_normalization_is_folded_on_request():
    rng = np.random.default_rng(3)
    proto, _ = small_network(rng)
    folded = load_onnx(proto, fold_batch_norm=True)
    assert not [layer for layer in folded.layers if isinstance(layer, layers.BatchNormalization)]
    x = rng.normal(size=(2, 8, 12, 3)).astype("f4")
    np.testing.assert_allclose(folded.predict(x), np.asarray(load_onnx(proto)(x)), rtol=1e-4, atol=1e-5)


def test_load_model_reads_the_suffix(tmp_path):
    proto, _ = small_network(np.random.default_rng(4))
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    model = cnnfast.load_model(path)
    model.save(tmp_path / "net.safetensors")
    again = cnnfast.load_model(tmp_path / "net.safetensors")
    x = np.random.default_rng(5).normal(size=(2, 8, 12, 3))
    np.testing.assert_array_equal(model.predict(x), again.predict(x))


def test_nodes_with_the_same_weights_are_one_layer():
    rng = np.random.default_rng(6)
    constants = {"w": rng.normal(size=(4, 3, 3, 3)).astype("f4"), "v": rng.normal(size=(4, 3, 3, 3)).astype("f4")}
    nodes = [
        ("Conv", ["a", "w"], ["p"]),
        ("Conv", ["b", "w"], ["q"]),
        ("Conv", ["b", "v"], ["r"]),
        ("Conv", ["b", "w"], ["s"], {"strides": [2, 2]}),
        ("Sub", ["p", "q"], ["y"]),
    ]
    shape = [None, 3, 8, 8]
    model = load_onnx(model_of(nodes, {"a": shape, "b": shape}, ["y", "r", "s"], constants))
    assert len(model.trainable_weights) == 3
    a = rng.normal(size=(2, 8, 8, 3))
    assert not np.asarray(model([a, a])[0]).any()


def test_outputs_that_nobody_reads_need_not_be_supported():
    ones = np.ones(3, "f4")
    nodes = [
        ("MaxPool", ["x"], ["p", "indices"], {"kernel_shape": [2, 2]}),
        ("BatchNormalization", ["p", "one", "one", "one", "one"], ["n", "m", "v", "sm", "sv"]),
        ("Dropout", ["n"], ["y", "mask"]),
    ]
    model = load_onnx(model_of(nodes, {"x": [None, 3, 8, 8]}, ["y"], {"one": ones}, opset=13))
    kinds = ["InputLayer", "MaxPooling2D", "BatchNormalization", "Dropout"]
    assert [type(layer).__name__ for layer in model.layers] == kinds


def test_tensors_may_be_larger_than_constants(monkeypatch):
    monkeypatch.setattr("cnnfast.interop.onnx.budget.LARGEST", 1 << 20)
    nodes = [
        ("Conv", ["x", "w"], ["c"], {"pads": [1, 1, 1, 1]}),
        ("Mul", ["c", "s"], ["m"]),
        ("Add", ["m", "c"], ["y"]),
    ]
    constants = {"w": np.zeros((64, 3, 3, 3), "f4"), "s": np.ones((64, 1, 1), "f4")}
    model = load_onnx(model_of(nodes, {"x": [1, 3, 160, 160]}, ["y"], constants))
    assert model.output_shape == (1, 160, 160, 64)


@pytest.mark.parametrize("dynamo", [False, True])
def test_what_pytorch_exports_computes_the_same(dynamo):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nn = torch.nn
            self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
            self.block = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
            self.shortcut = nn.Conv2d(8, 16, 1, stride=2)
            self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
            self.dense = nn.Sequential(nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10))
            for norm in (self.first[1], self.block[1]):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)

        def forward(self, x):
            x = self.first(x)
            x = torch.relu(self.block(x) + self.shortcut(x))
            x = torch.cat([x, torch.nn.functional.leaky_relu(self.depthwise(x))], 1)
            return torch.softmax(self.dense(x.view(x.size(0), -1)), 1)

    net, x, file = Net().eval(), torch.randn(2, 3, 16, 16), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            dims = {"x": {0: torch.export.Dim("batch")}}
            torch.onnx.export(net, (x,), dynamic_shapes=dims, dynamo=True, verbose=False).save(file)
        else:
            torch.onnx.export(net, (x,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    model = load_onnx(file.getvalue())
    assert model.input_shape == (None, 16, 16, 3)
    batch = torch.randn(5, 3, 16, 16)
    computed = model.predict(batch.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_allclose(computed, net(batch).detach().numpy(), rtol=1e-5, atol=1e-7)
