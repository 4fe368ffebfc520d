"""Random networks with layers of every kind: written, run by others, read again and trained a step."""

import numpy as np
import pytest

import cnnfast
from cnnfast import Model, layers, ops
from cnnfast.interop import export_onnx, load_onnx
from onnx_peer import assert_same, exported, randomized, run

pytest.importorskip("onnx")


def gate(rng, x):
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(y)])


def joined(rng, x):
    y = layers.Conv2D(int(rng.integers(1, 5)), 3, padding="same", activation="relu")(x)
    return layers.Concatenate(int(rng.choice([-1])))([x, y])


def added(rng, x):
    y = layers.Conv2D(x.shape[-1], int(rng.choice([1, 3])), padding="same")(x)
    return getattr(layers, str(rng.choice(["Add", "Subtract", "Average", "Maximum"])))()([x, y])


def smaller(rng, x):
    if min(x.shape[1:3]) < 6:
        return x
    kind = str(rng.choice(["MaxPooling2D", "AveragePooling2D"]))
    return getattr(layers, kind)(int(rng.choice([2, 3])), 2, str(rng.choice(["same", "valid"])))(x)


def larger(rng, x):
    if max(x.shape[1:3]) > 16:
        return x
    if rng.random() < 0.5:
        return layers.Conv2DTranspose(int(rng.integers(2, 6)), 3, 2, str(rng.choice(["same", "valid"])))(x)
    return layers.UpSampling2D(2, interpolation=str(rng.choice(["nearest", "bilinear"])))(x)


def convolution(rng, x):
    k = int(rng.choice([n for n in (1, 2, 3, 5) if n <= min(x.shape[1:3])]))
    options = {"strides": int(rng.choice([1, 1, 2]))} if rng.random() < 0.5 else {"dilation_rate": 1}
    activation = str(rng.choice(["relu", "linear", "tanh", "silu", "elu", "hard_silu", "relu6"]))
    return layers.Conv2D(int(rng.integers(2, 9)), k, padding="same", activation=activation, **options)(x)


def moved(rng, x):
    turned = ops.transpose(x, (0, 2, 1, 3)) if rng.random() < 0.5 else ops.flip(x, axis=int(rng.integers(1, 4)))
    return ops.pad(turned, ((0, 0), (1, 0), (0, 1), (0, 0)), mode=str(rng.choice(["constant", "edge"])))


def arithmetic(rng, x):
    y = ops.clip(x * 0.7 + 0.1, -2.0, 3.0)
    return ops.where(y > 0.2, y, ops.square(y)) - ops.mean(x, axis=(1, 2), keepdims=True)


def cut(rng, x):
    return x if min(x.shape[1:3]) < 5 else ops.concatenate([x[:, 1:, :-1, ::-1], x[:, :-1, 1:]], axis=-1)


STEPS = [
    convolution, convolution, gate, joined, added, smaller, larger, moved, arithmetic, cut,
    lambda rng, x: layers.BatchNormalization(epsilon=1e-3)(x),
    lambda rng, x: layers.LayerNormalization()(x),
    lambda rng, x: layers.DepthwiseConv2D(3, padding="same", activation="relu")(x),
    lambda rng, x: layers.SeparableConv2D(4, 3, padding="same")(x),
    lambda rng, x: layers.PReLU(shared_axes=[1, 2])(x),
    lambda rng, x: layers.Dense(5, activation="tanh")(x),
    lambda rng, x: layers.GroupNormalization(1)(x),
]  # fmt: skip
ENDS = [
    lambda rng, x: layers.Dense(3)(layers.Flatten()(x)),
    lambda rng, x: layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x)),
    lambda rng, x: layers.Conv2D(2, 1)(x),
    lambda rng, x: layers.Dense(3)(layers.Reshape((-1,))(x)),
]


def network(seed, steps=tuple(STEPS)):
    rng = np.random.default_rng(seed)
    x = y = layers.Input((*(int(n) for n in rng.integers(6, 13, 2)), int(rng.integers(1, 5))))
    for _ in range(int(rng.integers(4, 9))):
        y = steps[int(rng.integers(len(steps)))](rng, y)
    return randomized(Model(x, ENDS[int(rng.integers(len(ENDS)))](rng, y)), seed), rng


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("seed", range(30))
def test_random_network(seed, data_format, tmp_path):
    pytest.importorskip("onnxruntime")
    model, rng = network(seed)
    x = rng.standard_normal((3, *model.input_shape[1:])).astype(np.float32)
    wanted = np.asarray(model(x, training=False))
    exported(model, tmp_path / "m.onnx", data_format=data_format, opset=int(rng.integers(15, 20)))
    first = data_format == "channels_first"
    (found,) = run(tmp_path / "m.onnx", [np.moveaxis(x, -1, 1).copy() if first else x])
    assert_same(np.moveaxis(found, 1, -1) if first and found.ndim == 4 else found, wanted, 2e-4)
    again = load_onnx(tmp_path / "m.onnx")
    assert_same(np.asarray(again(x, training=False)), wanted, 2e-4)


@pytest.mark.parametrize("seed", range(30, 45))
def test_random_network_trains_on(seed, tmp_path):
    """What was read learns as the model itself does: the same losses, step by step."""
    model, rng = network(seed, STEPS[:-1])  # the scale of groups is a constant in a file
    x = rng.standard_normal((4, *model.input_shape[1:])).astype(np.float32)
    y = rng.standard_normal((4, *model.output_shape[1:])).astype(np.float32)
    export_onnx(model, tmp_path / "m.onnx")
    losses, before = [], [np.array(w) for w in model.get_weights()]
    for one in (model, load_onnx(tmp_path / "m.onnx")):
        one.compile(cnnfast.optimizers.SGD(1e-3), "mse")
        losses.append([float(np.ravel(one.train_on_batch(x, y))[0]) for _ in range(3)])
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3)
