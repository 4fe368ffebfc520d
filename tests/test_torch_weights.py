"""Weights of PyTorch's networks in models of this library's layers: same outputs, and the same state_dict back."""

import re

import numpy as np
import pytest

from cnnfast import Model, Sequential, layers, ops
from cnnfast.interop import load_torch_weights, read_torch, save_torch, to_torch_state_dict

RNG = np.random.default_rng(0)


def randomized(torch, module):
    """Weights away from their initial values, running statistics too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                low = 0.5 if name.endswith(("running_var", "weight")) and value.ndim == 1 else -0.3
                value.copy_(torch.rand(value.shape, generator=generator) * 0.6 + low)
    return module.eval()


def close(ours, theirs):
    scale = np.abs(theirs).max()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4 * scale


def channels_last(array):
    return np.moveaxis(array, 1, -1)


ONE_LAYER = {
    "Conv1d": (lambda nn: nn.Conv1d(4, 6, 3), lambda: layers.Conv1D(6, 3), (4, 9)),
    "Conv2d": (lambda nn: nn.Conv2d(4, 6, (3, 2), 2, 1), lambda: layers.Conv2D(6, (3, 2), 2, 1), (4, 9, 8)),
    "Conv2d groups": (lambda nn: nn.Conv2d(4, 6, 3, groups=2), lambda: layers.Conv2D(6, 3, groups=2), (4, 9, 8)),
    "Conv3d": (lambda nn: nn.Conv3d(2, 3, (1, 2, 3)), lambda: layers.Conv3D(3, (1, 2, 3)), (2, 5, 6, 7)),
    "depthwise": (
        lambda nn: nn.Conv2d(4, 8, (3, 2), groups=4),
        lambda: layers.DepthwiseConv2D((3, 2), depth_multiplier=2),
        (4, 9, 8),
    ),
    "depthwise 1-D": (
        lambda nn: nn.Conv1d(4, 12, 3, groups=4),
        lambda: layers.DepthwiseConv1D(3, depth_multiplier=3),
        (4, 9),
    ),
    "no bias": (lambda nn: nn.Conv2d(4, 6, 3, bias=False), lambda: layers.Conv2D(6, 3, use_bias=False), (4, 9, 8)),
    "ConvTranspose1d": (
        lambda nn: nn.ConvTranspose1d(4, 6, 3, 2),
        lambda: layers.Conv1DTranspose(6, 3, 2, 0, 0),
        (4, 5),
    ),
    "ConvTranspose2d": (
        lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, 1),
        lambda: layers.Conv2DTranspose(6, (3, 2), 2, 1, 1),
        (4, 5, 6),
    ),
    "ConvTranspose3d": (
        lambda nn: nn.ConvTranspose3d(2, 3, 2, 2),
        lambda: layers.Conv3DTranspose(3, 2, 2, 0, output_padding=0),
        (2, 3, 4, 2),
    ),
    "Linear": (lambda nn: nn.Linear(5, 3), lambda: layers.Dense(3), (5,)),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(4), lambda: layers.BatchNormalization(epsilon=1e-5), (4, 3, 5)),
    "BatchNorm affine": (
        lambda nn: nn.BatchNorm2d(4, affine=False),
        lambda: layers.BatchNormalization(epsilon=1e-5, center=False, scale=False),
        (4, 3, 5),
    ),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4), lambda: layers.GroupNormalization(2, epsilon=1e-5), (4, 3, 5)),
    "LayerNorm": (lambda nn: nn.LayerNorm((4, 3, 5)), lambda: layers.LayerNormalization((1, 2, 3), 1e-5), (4, 3, 5)),
    "LayerNorm 1": (lambda nn: nn.LayerNorm(7), lambda: layers.LayerNormalization(epsilon=1e-5), (7,)),
    "PReLU": (lambda nn: nn.PReLU(4), lambda: layers.PReLU(shared_axes=(1, 2)), (4, 3, 5)),
    "PReLU of all pixels": (lambda nn: nn.PReLU(4), lambda: layers.PReLU(), (4, 3, 5)),
}


@pytest.mark.parametrize("case", ONE_LAYER)
def test_each_kind_of_layer(case):
    torch = pytest.importorskip("torch")
    make, ours, shape = ONE_LAYER[case]
    module = randomized(torch, torch.nn.Sequential(make(torch.nn)))
    x = RNG.normal(size=(2, *shape)).astype(np.float32)
    expected = channels_last(module(torch.from_numpy(x)).detach().numpy())
    model = Sequential([layers.Input(channels_last(x).shape[1:]), ours()])
    report = load_torch_weights(model, module.state_dict())
    close(model.predict(channels_last(x), verbose=0), expected)
    assert report.unused == report.missing == ()
    back = to_torch_state_dict(model, report)
    kept = {key: value for key, value in module.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert list(back) == list(kept)
    assert all(np.array_equal(back[key], kept[key].numpy()) for key in kept)
    module.load_state_dict(to_torch_state_dict(model, report, tensors=True))


def test_one_slope_for_all_channels():
    model = Sequential([layers.Input((3, 5, 4)), layers.PReLU(shared_axes=(1, 2))])
    load_torch_weights(model, {"0.weight": np.array([0.25], np.float32)})
    assert (model.layers[0].alpha.numpy() == 0.25).all()
    varied = Sequential([layers.Input((3, 5, 4)), layers.PReLU("uniform")])
    with pytest.raises(ValueError, match="differ between pixels"):
        to_torch_state_dict(varied)


def test_separable_convolutions_are_two_modules():
    torch = pytest.importorskip("torch")
    module = randomized(
        torch, torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, groups=3, bias=False), torch.nn.Conv2d(6, 5, 1))
    )
    model = Sequential([layers.Input((8, 7, 3)), layers.SeparableConv2D(5, 3, depth_multiplier=2, name="sep")])
    load_torch_weights(model, module.state_dict())
    x = RNG.normal(size=(2, 3, 8, 7)).astype(np.float32)
    close(model.predict(channels_last(x), verbose=0), channels_last(module(torch.from_numpy(x)).detach().numpy()))
    assert list(to_torch_state_dict(model)) == ["sep.depthwise.weight", "sep.pointwise.weight", "sep.pointwise.bias"]


# Dense layers behind flattened images


def flattened_module(torch):
    nn = torch.nn
    return randomized(
        torch,
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(4 * 5 * 4), nn.Dropout(), nn.Linear(80, 6),
            nn.ReLU(), nn.Linear(6, 2),
        ),
    )  # fmt: skip


def plain(flatten):
    x = layers.Input((7, 6, 3))
    y = flatten(layers.Conv2D(4, 3, activation="relu")(x))
    y = layers.Dropout(0.5)(layers.BatchNormalization(epsilon=1e-5)(y))
    return Model(x, layers.Dense(2)(layers.Dense(6, activation="relu")(y)))


def nested():
    features = Sequential([layers.Input((7, 6, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()])
    head = [layers.BatchNormalization(epsilon=1e-5), layers.Dropout(0.5), layers.Dense(6, "relu"), layers.Dense(2)]
    return Sequential([layers.Input((7, 6, 3)), features, Sequential([layers.Input((80,)), *head])])


def channels_first():
    x = layers.Input((7, 6, 3))
    y = layers.Permute((3, 1, 2))(x)
    y = layers.Conv2D(4, 3, activation="relu", data_format="channels_first")(y)
    y = layers.BatchNormalization(epsilon=1e-5)(layers.Flatten()(y))
    return Model(x, layers.Dense(2)(layers.Dense(6, activation="relu")(y)))


FLATTENED = {
    "Flatten": lambda: plain(layers.Flatten()),
    "Reshape": lambda: plain(layers.Reshape((-1,))),
    "ops.reshape": lambda: plain(lambda y: ops.reshape(y, (-1, 80))),
    "turned before": lambda: plain(lambda y: layers.Flatten()(layers.Permute((3, 1, 2))(y))),
    "transposed before": lambda: plain(lambda y: layers.Flatten()(ops.transpose(y, (0, 3, 1, 2)))),
    "nested models": nested,
    "channels first": channels_first,
}


@pytest.mark.parametrize("case", FLATTENED)
def test_rows_behind_a_flattened_image(case):
    torch = pytest.importorskip("torch")
    module = flattened_module(torch)
    model = FLATTENED[case]()
    report = load_torch_weights(model, module.state_dict())
    x = RNG.normal(size=(3, 3, 7, 6)).astype(np.float32)
    close(model.predict(channels_last(x), verbose=0), module(torch.from_numpy(x)).detach().numpy())
    assert "rows permuted" in str(report) or "turned" in case or "transposed" in case or "first" in case
    back = to_torch_state_dict(model, report)
    assert all(np.array_equal(back[key], module.state_dict()[key].numpy()) for key in back)


def test_joined_flattened_images():
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(24 + 5 + 12, 3)
    images = [layers.Input((2, 3, 4)), layers.Input((2, 2, 3))]
    vector = layers.Input((5,))
    joined = layers.Concatenate()([layers.Flatten()(images[0]), vector, layers.Flatten()(images[1])])
    model = Model([*images, vector], layers.Dense(3)(joined))
    load_torch_weights(model, linear.state_dict())
    values = [RNG.normal(size=(2, *shape)).astype(np.float32) for shape in ((4, 2, 3), (3, 2, 2), (5,))]
    row = np.concatenate([values[0].reshape(2, -1), values[2], values[1].reshape(2, -1)], 1)
    ours = model.predict([channels_last(values[0]), channels_last(values[1]), values[2]], verbose=0)
    close(ours, linear(torch.from_numpy(row)).detach().numpy())


# Names and order


def small(prefix=""):
    names = ("conv1", "bn1", "conv2", "bn2", "fc")
    a, b, c, d, e = (prefix + name for name in names)
    return Sequential(
        [
            layers.Input((8, 8, 3)), layers.Conv2D(4, 3, name=a), layers.BatchNormalization(name=b),
            layers.Conv2D(4, 3, name=c), layers.BatchNormalization(name=d), layers.GlobalAveragePooling2D(),
            layers.Dense(2, name=e),
        ]
    )  # fmt: skip


def state_of_small(order=("conv1", "bn1", "conv2", "bn2", "fc"), prefix=""):
    rng = np.random.default_rng(3)
    state = {}
    for name in ("conv1", "bn1", "conv2", "bn2", "fc"):
        if "conv" in name:
            state[name] = {"weight": (4, 3 if name == "conv1" else 4, 3, 3), "bias": (4,)}
        elif "bn" in name:
            state[name] = {"weight": (4,), "bias": (4,), "running_mean": (4,), "running_var": (4,)}
        else:
            state[name] = {"weight": (2, 4), "bias": (2,)}
        state[name] = {role: rng.random(shape, np.float32) for role, shape in state[name].items()}
    found = {}
    for name in order:
        found |= {f"{prefix}{name}.{role}": array for role, array in state[name].items()}
        if "bn" in name:
            found[f"{prefix}{name}.num_batches_tracked"] = np.array(5)
    return found


def weights_equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_names_find_their_weights_in_any_order():
    reference, model = small(), small()
    load_torch_weights(reference, state_of_small())
    shuffled = state_of_small(("fc", "bn2", "conv2", "bn1", "conv1"), prefix="module.")
    report = load_torch_weights(model, shuffled)
    assert {row.matched_by for row in report.loaded} == {"name"}
    assert weights_equal(reference, model)


def test_order_finds_what_names_do_not():
    reference, model = small(), small("other_")
    load_torch_weights(reference, state_of_small())
    report = load_torch_weights(model, state_of_small())
    assert {row.matched_by for row in report.loaded} == {"order"}
    assert weights_equal(reference, model)
    row = next(line for line in str(report).splitlines() if line.startswith("conv1.weight"))
    assert re.sub(" +", " ", row) == (
        "conv1.weight (4, 3, 3, 3) -> other_conv1/kernel (3, 3, 3, 4) transposed (2, 3, 1, 0) order"
    )


def test_order_that_does_not_tell_is_an_error():
    state = {}
    for key in ("a", "b", "c"):
        state[f"{key}.weight"] = np.zeros((5, 5), np.float32)
    inside = [layers.Dense(4, use_bias=False, name="first"), layers.Dense(5, use_bias=False, name="second")]
    model = Sequential([layers.Input((5,)), *inside])
    with pytest.raises(ValueError, match=r"first/kernel \(expects \(4, 5\)\).*tensors have no weight: a.weight"):
        load_torch_weights(model, state)
    rest = [layers.Dense(5, use_bias=False, name=name) for name in ("x", "y", "z")]
    model = Sequential([layers.Input((4,)), layers.Dense(5, use_bias=False, name="w"), *rest])
    # The one of another shape stands alone: it may be anywhere. The others keep their order.
    found = load_torch_weights(model, {**state, "d.weight": np.zeros((5, 4), np.float32)})
    assert {row.target: row.source for row in found.loaded} == {
        "w/kernel": "d.weight", "x/kernel": "a.weight", "y/kernel": "b.weight", "z/kernel": "c.weight",
    }  # fmt: skip
    ambiguous = {"d.weight": np.zeros((7, 4), np.float32), **state, "e.weight": np.zeros((5, 4), np.float32)}
    ambiguous["f.weight"] = np.zeros((5, 4), np.float32)
    with pytest.raises(ValueError, match=r"several tensors fit w/kernel.*\['e', 'f'\].*mapping such as \{'e': 'w'\}"):
        load_torch_weights(model, ambiguous)


def test_mappings_of_modules_tensors_and_functions():
    reference = small()
    load_torch_weights(reference, state_of_small())
    state = state_of_small(("fc", "bn2", "conv2", "bn1", "conv1"), prefix="net.")
    modules = {f"net.{name}": f"our_{name}" for name in ("conv1", "bn1", "conv2", "bn2")}
    mapping = {**modules, "net.fc.weight": "our_fc/kernel", "net.fc.bias": "our_fc/bias"}
    model = small("our_")
    report = load_torch_weights(model, state, mapping)
    assert {row.matched_by for row in report.loaded} == {"mapping"}
    assert weights_equal(reference, model)
    ours = {"weight": "kernel", "bias": "bias"}
    model = small("our_")
    load_torch_weights(
        model,
        {**state, "extra": np.zeros(1)},
        lambda name: (
            None
            if name == "extra"
            else re.sub(r"net\.(\w+)\.\w+", r"our_\1", name)
            if "fc" not in name
            else f"our_fc/{ours[name.rpartition('.')[2]]}"
        ),
    )
    assert weights_equal(reference, model)


def test_wrong_mappings():
    model, state = small(), state_of_small()
    with pytest.raises(ValueError, match=r"mapping names \['cnv1'\].*conv1"):
        load_torch_weights(model, state, {"cnv1": "conv1"})
    with pytest.raises(
        ValueError, match=r"'conv1.weight' is to become 'cnv', which the model lacks; it has .*conv1/kernel"
    ):
        load_torch_weights(model, state, {"conv1": "cnv"})
    with pytest.raises(
        ValueError, match=r"'conv1.weight' of shape \(4, 3, 3, 3\) does not fit 'conv2/kernel' of shape"
    ):
        load_torch_weights(model, state, {"conv1": "conv2"})
    with pytest.raises(ValueError, match="are both for 'bn2/gamma'"):
        load_torch_weights(model, state, {"bn1": "bn2", "bn2": "bn2"})


def test_what_is_left_is_an_error_unless_allowed():
    before = small()
    model = small()
    model.set_weights(before.get_weights())
    state = {key: value for key, value in state_of_small().items() if not key.startswith("bn2")}
    state["head.weight"] = np.zeros((3, 3, 3), np.float32)
    message = r"4 weights of the model have no tensor: bn2/gamma.*1 tensors have no weight: head.weight \(3, 3, 3\)"
    with pytest.raises(ValueError, match=message):
        load_torch_weights(model, state)
    assert weights_equal(before, model)
    report = load_torch_weights(model, state, strict=False)
    assert report.missing == ("bn2/gamma", "bn2/beta", "bn2/moving_mean", "bn2/moving_variance")
    assert report.unused == ("head.weight",)
    assert not weights_equal(before, model)
    report = load_torch_weights(small(), {**state_of_small(), "head.weight": state["head.weight"]}, {"head": None})
    assert report.unused == ("head.weight",)


def test_refused_models_and_sources():
    with pytest.raises(ValueError, match="expects a built model"):
        load_torch_weights(Sequential([layers.Dense(2)]), {})
    with pytest.raises(TypeError, match="'a' expects real numbers"):
        load_torch_weights(small(), {"a": np.array(1j)})
    wrong = state_of_small()
    wrong["conv1.weight"] = wrong["conv1.weight"][:, :2]
    with pytest.raises(ValueError, match=r"'conv1.weight' of shape \(4, 2, 3, 3\).*'conv1/kernel'.*\(4, 3, 3, 3\)"):
        load_torch_weights(small(), wrong)


# Files


def test_files_by_their_suffix(tmp_path):
    model, other = small(), small()
    load_torch_weights(model, state_of_small())
    for suffix in (".pth", ".pt", ".bin"):
        model.save_weights(tmp_path / f"net{suffix}")
        other.set_weights(small().get_weights())
        other.load_weights(tmp_path / f"net{suffix}")
        assert weights_equal(model, other)
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file(to_torch_state_dict(model), tmp_path / "net.safetensors")
    other = small()
    load_torch_weights(other, tmp_path / "net.safetensors")
    assert weights_equal(model, other)
    with pytest.raises(ValueError, match=r"save: .*endings|endings"):
        model.save(tmp_path / "net.pth")


def test_a_shape_that_does_not_fit_is_told_with_the_file(tmp_path):
    save_torch({"0.weight": np.ones((2, 3), np.float32), "0.bias": np.ones(2, np.float32)}, tmp_path / "net.pth")
    model = Sequential([layers.Input((3,)), layers.Dense(5, name="0")])
    with pytest.raises(ValueError, match=r"net\.pth: '0\.weight' of shape \(2, 3\) does not fit"):
        model.load_weights(tmp_path / "net.pth")


def test_mismatches_may_be_skipped(tmp_path):
    state = {key: value for key, value in state_of_small().items() if not key.startswith("fc")}
    save_torch(state, tmp_path / "net.pth")
    model = small()
    with pytest.raises(ValueError, match=r"net\.pth: 2 weights of the model have no tensor: fc/kernel"):
        model.load_weights(tmp_path / "net.pth")
    with pytest.warns(UserWarning, match="has nothing for fc/"):
        model.load_weights(tmp_path / "net.pth", skip_mismatch=True)


def test_names_the_other_way(tmp_path):
    model = Sequential([layers.Input((4,)), Sequential([layers.Input((4,)), layers.Dense(3, name="fc")], name="head")])
    assert list(to_torch_state_dict(model)) == ["head.fc.weight", "head.fc.bias"]
    assert list(to_torch_state_dict(model, {"head/fc": "classifier.1"})) == ["classifier.1.weight", "classifier.1.bias"]
    assert list(to_torch_state_dict(model, {"head/fc/kernel": "w"})) == ["w", "head.fc.bias"]
    assert list(to_torch_state_dict(model, lambda path: path.upper())) == ["HEAD/FC.weight", "HEAD/FC.bias"]
    save_torch(model, tmp_path / "net.pth", naming={"head/fc": "0"})
    assert list(read_torch(tmp_path / "net.pth")) == ["0.weight", "0.bias"]
    twice = Sequential([layers.Input((3,)), layers.Dense(3), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"two weights would be named 'fc.weight'"):
        to_torch_state_dict(twice, lambda path: "fc")
