"""PyTorch's modules as models: the same outputs, and the same weights after a step of training."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

import cnnfast  # noqa: E402
from cnnfast import losses, optimizers  # noqa: E402
from cnnfast.interop import from_torch, load_torch_weights, to_torch_state_dict  # noqa: E402
from torch_nets import NETS, LeNet, UNet, mtcnn  # noqa: E402


def settled(module, seed=0):
    """Weights and statistics away from their initial values."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None:
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.uniform_(part.bias, -0.2, 0.2)
    return module.eval()


def turned(array):
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def example(shape, batch=3, seed=5):
    return torch.randn((batch, *shape), generator=torch.Generator().manual_seed(seed))


def check(module, *shapes, data_format="channels_last", tolerance=1e-4):
    inputs = [example(shape) for shape in shapes]
    model = from_torch(module, inputs if len(inputs) > 1 else inputs[0], data_format=data_format)
    turn = turned if data_format == "channels_last" else np.asarray
    with torch.no_grad():
        expected = module(*inputs)
    given = [turn(x.numpy()) for x in inputs]
    found = model.predict(given if len(given) > 1 else given[0], verbose=0)
    pairs = zip(expected, found, strict=True) if isinstance(expected, (tuple, list)) else [(expected, found)]
    for theirs, ours in pairs:
        theirs = turn(theirs.numpy())
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()
    return model


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("net", NETS)
def test_networks(net, data_format):
    make, shape = NETS[net]
    torch.manual_seed(1)
    model = check(settled(make()), shape, data_format=data_format)
    assert model.trainable_weights


@pytest.mark.parametrize("net", NETS)
def test_one_step_of_training(net):
    make, shape = NETS[net]
    module = settled(make())
    for part in module.modules():  # what is drawn differs
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        part.drop_rate = 0.0
    x = example(shape, 4)
    model = from_torch(module, x)
    module.train()
    y = module(x)
    target = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    rate = 0.05
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    ((y - target) ** 2).mean().backward()
    model.compile(optimizers.SGD(rate), losses.MeanSquaredError())
    model.train_on_batch(turned(x.numpy()), turned(target.numpy()))
    ours = to_torch_state_dict(model)
    checked = 0
    for name, parameter in module.named_parameters():
        theirs = (before[name] - rate * parameter.grad).numpy()
        assert np.abs(ours[name] - theirs).max() <= 1e-5 * max(np.abs(theirs).max(), 1e-2), name
        checked += 1
    for name, value in module.state_dict().items():
        if name.endswith("running_mean"):
            assert np.abs(ours[name] - value.numpy()).max() <= 1e-5 * max(np.abs(value.numpy()).max(), 1e-2), name
    assert checked == len(before) > 3


class Rearranged(torch.nn.Module):
    """Flattens in orders of its own: width first, parts of the channels apart, two images in one row."""

    def __init__(self, way):
        super().__init__()
        self.way, self.conv = way, nn.Conv2d(3, 4, 3)
        self.norm, self.fc = nn.BatchNorm1d(80), nn.Linear(80, 5)

    def forward(self, x):
        x = self.conv(x)  # (N, 4, 5, 4)
        if self.way == "width first":
            x = x.permute(0, 3, 2, 1).flatten(1)
        elif self.way == "height last":
            x = x.transpose(2, 3).flatten(1)
        elif self.way == "channels last":
            x = x.permute(0, 2, 3, 1).flatten(1)
        elif self.way == "two rows":
            a, b = x.split(2, 1)
            x = torch.cat([a.flatten(1), b.flatten(1)], 1)
        else:
            x = x.flatten(1)
        return self.fc(self.norm(x))


WAYS = ("width first", "height last", "channels last", "two rows", "usual")
OTHER_WEIGHTS = NETS | {
    "MTCNN, R": (lambda: mtcnn("r"), (3, 24, 24)),
    "MTCNN, O": (lambda: mtcnn("o"), (3, 48, 48)),
    **{way: (lambda way=way: Rearranged(way), (3, 7, 6)) for way in WAYS},
}


@pytest.mark.parametrize("net", OTHER_WEIGHTS)
def test_other_weights_fit_without_a_mapping(net):
    make, shape = OTHER_WEIGHTS[net]
    model = from_torch(settled(make()), (1, *shape))
    torch.manual_seed(9)
    other = settled(make(), seed=9)
    report = load_torch_weights(model, other.state_dict())
    assert {row.matched_by for row in report.loaded} == {"name"}
    assert all(np.array_equal(array, other.state_dict()[name]) for name, array in to_torch_state_dict(model).items())
    x = example(shape)
    with torch.no_grad():
        expected = other(x)
    found = model.predict(turned(x.numpy()), verbose=0)
    several = isinstance(found, list)
    for ours, theirs in zip(found if several else [found], expected if several else [expected], strict=True):
        theirs = turned(theirs.numpy())
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_models_are_saved_and_read(tmp_path):
    model = check(settled(UNet()), (3, 22, 17))
    model.save(tmp_path / "net.safetensors")
    again = cnnfast.load_model(tmp_path / "net.safetensors")
    x = turned(example((3, 22, 17)).numpy())
    assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


MODULES = {
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, 2, 1, 2), (4, 11)),
    "Conv3d": (lambda: nn.Conv3d(4, 6, (1, 2, 3), padding=(0, 1, 1), groups=2), (4, 4, 5, 6)),
    "Conv3d, depthwise": (lambda: nn.Conv3d(3, 6, 2, groups=3), (3, 4, 5, 6)),
    "Conv2d same": (lambda: nn.Conv2d(3, 4, (4, 3), padding="same", dilation=(1, 2)), (3, 9, 8)),
    "Conv2d valid": (lambda: nn.Conv2d(3, 4, 3, padding="valid", stride=(2, 1)), (3, 9, 8)),
    "Conv2d reflect": (lambda: nn.Conv2d(3, 4, 3, padding=2, padding_mode="reflect"), (3, 9, 8)),
    "Conv2d replicate": (lambda: nn.Conv2d(3, 4, 3, padding=(1, 2), padding_mode="replicate"), (3, 9, 8)),
    "Conv2d circular": (
        lambda: nn.Conv2d(3, 4, (3, 5), padding=(1, 2), padding_mode="circular", bias=False),
        (3, 9, 8),
    ),
    "Conv1d circular": (lambda: nn.Conv1d(3, 4, 4, padding="same", padding_mode="circular"), (3, 9)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 3, 4, 3, 1, 2), (4, 6)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, 3, 2, 1, 1, dilation=2), (4, 6, 5)),
    "ConvTranspose2d groups": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2), (4, 6, 5)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 3, 2, 2, bias=False), (2, 3, 4, 3)),
    "Linear of vectors": (lambda: nn.Linear(5, 3, bias=False), (5,)),
    "Linear of images": (lambda: nn.Linear(6, 3), (2, 5, 6)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (4,)),
    "BatchNorm1d of sequences": (lambda: nn.BatchNorm1d(4, eps=1e-3), (4, 7)),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(4, affine=False), (4, 3, 4, 2)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 6), (6, 4, 5)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4), (4, 5, 6)),
    "InstanceNorm1d affine": (lambda: nn.InstanceNorm1d(4, affine=True), (4, 5)),
    "LayerNorm of images": (lambda: nn.LayerNorm((4, 5, 6)), (4, 5, 6)),
    "LayerNorm of rows": (lambda: nn.LayerNorm(6, elementwise_affine=False), (4, 5, 6)),
    "LayerNorm of planes": (lambda: nn.LayerNorm((5, 6), bias=False), (4, 5, 6)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, 0.5, 0.6, 1.2), (7, 4, 5)),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1, ceil_mode=True), (2, 10)),
    "MaxPool2d": (lambda: nn.MaxPool2d((3, 2), 2, (1, 0), dilation=(2, 1)), (2, 11, 10)),
    "MaxPool2d ceil": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (2, 10, 9)),
    "MaxPool2d ceil beyond": (lambda: nn.MaxPool2d(2, 3, 1, ceil_mode=True), (2, 10, 9)),
    "MaxPool3d": (lambda: nn.MaxPool3d(2, (1, 2, 2)), (2, 4, 5, 6)),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1), (2, 10)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 10, 9)),
    "AvgPool2d ceil": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 10, 9)),
    "AvgPool2d ceil, no padding": (lambda: nn.AvgPool2d(3, 2, ceil_mode=True), (2, 10, 9)),
    "AvgPool2d ceil, not counted": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 10, 9)),
    "AvgPool2d ceil beyond": (lambda: nn.AvgPool2d(2, 3, 1, ceil_mode=True), (2, 10, 9)),
    "AvgPool2d divided": (lambda: nn.AvgPool2d(2, 2, 1, divisor_override=3), (2, 9, 10)),
    "AvgPool3d": (lambda: nn.AvgPool3d(2, 1, 1), (2, 4, 5, 6)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), (2, 10)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((None, 3)), (2, 5, 10)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((2, 3)), (2, 5, 10)),
    "AdaptiveMaxPool3d": (lambda: nn.AdaptiveMaxPool3d(1), (2, 5, 4, 3)),
    "PReLU": (lambda: nn.PReLU(), (4, 5, 6)),
    "PReLU of channels": (lambda: nn.PReLU(4, 0.1), (4, 5, 6)),
    "Softmax": (lambda: nn.Softmax(dim=1), (4, 5, 6)),
    "Softmax along rows": (lambda: nn.Softmax(-1), (4, 5, 6)),
    "Softmax of vectors": (lambda: nn.Softmax(1), (4,)),
    "LogSoftmax": (lambda: nn.LogSoftmax(dim=1), (4, 5, 6)),
    "Softmin": (lambda: nn.Softmin(dim=2), (4, 5, 6)),
    "Softmax2d": (lambda: nn.Softmax2d(), (4, 5, 6)),
    "GLU": (lambda: nn.GLU(1), (4, 5, 6)),
    "Dropout": (lambda: nn.Sequential(nn.Dropout(0.4), nn.Dropout2d(0.2)), (4, 5, 6)),
    "Flatten": (lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(120), nn.ReLU(), nn.Linear(120, 3)), (4, 5, 6)),
    "Flatten as it is": (lambda: nn.Flatten(), (4, 5, 6)),
    "Flatten planes": (lambda: nn.Flatten(2), (4, 5, 6)),
    "Unflatten": (lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (6, 5, 4)), nn.Conv2d(6, 2, 1)), (4, 5, 6)),
    "Upsample": (lambda: nn.Upsample(scale_factor=(2, 3)), (2, 5, 6)),
    "Upsample 1-D": (lambda: nn.Upsample(scale_factor=2, mode="linear"), (2, 5)),
    "Upsample 3-D": (lambda: nn.Upsample(size=(3, 9, 4), mode="trilinear", align_corners=True), (2, 5, 4, 3)),
    "Upsample to a size": (lambda: nn.Upsample((7, 13)), (2, 5, 6)),
    "Upsample bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (2, 5, 6)),
    "Upsample bilinear to a size": (lambda: nn.Upsample((4, 13), mode="bilinear"), (2, 5, 6)),
    "Upsample by a fraction": (lambda: nn.Upsample(scale_factor=1.7, mode="bilinear"), (2, 5, 6)),
    "Upsample aligned": (lambda: nn.UpsamplingBilinear2d(size=(9, 1)), (2, 5, 6)),
    "Upsample bicubic": (lambda: nn.Upsample((11, 4), mode="bicubic"), (2, 5, 6)),
    "Upsample bicubic aligned": (lambda: nn.Upsample(scale_factor=2, mode="bicubic", align_corners=True), (2, 5, 6)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 0, 3)), (2, 5, 6)),
    "ZeroPad2d cutting": (lambda: nn.ZeroPad2d((-1, 2, 0, -3)), (2, 5, 6)),
    "ConstantPad1d": (lambda: nn.ConstantPad1d(2, -1.5), (2, 5)),
    "ConstantPad3d": (lambda: nn.ConstantPad3d(1, 0.0), (2, 5, 4, 3)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d((1, 2, 3, 4)), (2, 5, 6)),
    "ReplicationPad1d": (lambda: nn.ReplicationPad1d(3), (2, 5)),
    "CircularPad2d": (lambda: nn.CircularPad2d((1, 0, 2, 3)), (2, 5, 6)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (12, 3, 4)),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), (3, 4, 6)),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(3), (12, 3, 4)),
    "Identity": (lambda: nn.Sequential(nn.Identity(), nn.Conv2d(2, 2, 1)), (2, 3, 4)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("case", MODULES)
def test_modules(case):
    make, shape = MODULES[case]
    torch.manual_seed(3)
    module = settled(make())
    check(module, shape)
    check(module, shape, data_format="channels_first")


ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.SELU(), nn.CELU(1.3), nn.GELU(), nn.GELU("tanh"),
    nn.SiLU(), nn.Mish(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softplus(2.0), nn.Softsign(), nn.Hardswish(),
    nn.Hardsigmoid(), nn.Hardtanh(-0.5, 0.7), nn.Hardshrink(0.3), nn.Softshrink(0.3), nn.Tanhshrink(),
    nn.LogSigmoid(), nn.Threshold(0.1, -2.0),
]  # fmt: skip


@pytest.mark.parametrize("module", ACTIVATIONS, ids=repr)
def test_activations(module):
    check(module.eval(), (4, 5, 6))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.register_buffer("channels", torch.arange(1.0, 5.0).reshape(4, 1, 1))
        self.function = function

    def forward(self, x):
        return self.function(self, self.conv(x))


class Two(Function):
    def forward(self, x, y):
        return self.function(self, self.conv(x), y)


FUNCTIONS = {
    "constants": lambda m, x: (2.0 - x) / m.channels + x * m.channels - 1,
    "reversed": lambda m, x: (
        torch.rsub(torch.add(x, x, alpha=2), 3.0) + torch.sub(x, x.mean(1, keepdim=True), alpha=0.5)
    ),
    "powers": lambda m, x: x.pow(2) + torch.sqrt(x.abs() + 1) - torch.exp(-x) + torch.log(x * x + 1),
    "clamps": lambda m, x: x.clamp(-0.5, 0.5) + torch.clamp(x, min=0.1) + torch.clamp(x, max=0.2),
    "extrema": lambda m, x: torch.maximum(x, m.channels * 0.1) + torch.minimum(x, -x),
    "reductions": lambda m, x: (
        x.mean((2, 3), keepdim=True) + x.sum(-1, keepdim=True) + torch.amax(x, (1, 2), keepdim=True)
    ),
    "mean": lambda m, x: x.mean([-1, -2]),
    "max": lambda m, x: x.amax((2, 3)) - x.amin((2, 3)),
    "flattened max": lambda m, x: x.flatten(2).mean(-1),
    "joined": lambda m, x: torch.cat([x, F.relu(x), x[:, :2]], dim=1),
    "joined rows": lambda m, x: torch.cat([x, x * 2], dim=-1),
    "stacked": lambda m, x: torch.stack([x, -x], dim=1).sum(1),
    "split": lambda m, x: torch.split(x, [1, 3], dim=1)[1] * x.chunk(4, 1)[0],
    "unbound": lambda m, x: x.unbind(1)[2].unsqueeze(1) + x,
    "parts": lambda m, x: x[:, 1:3, ..., ::2] + x[:, -1:, :, 0:1],
    "one channel": lambda m, x: x[:, 2] * x[:, 0],
    "squeezed": lambda m, x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1),
    "sequence": lambda m, x: x.flatten(2).transpose(1, 2),
    "attention": lambda m, x: torch.bmm(x.flatten(2).transpose(1, 2).softmax(-1), x.flatten(2)),
    "permuted": lambda m, x: x.permute(0, 3, 1, 2).contiguous() * 2,
    "viewed": lambda m, x: x.view(x.size(0), 2, -1).mean(2),
    "reshaped": lambda m, x: x.reshape(x.shape[0], 2, 2, x.shape[2], x.shape[3]).sum(2),
    "padded": lambda m, x: F.pad(F.pad(x, (1, 2)), (0, 0, 1, 1), mode="reflect"),
    "resized": lambda m, x: F.interpolate(x, (10, 12)),
    "resized to another": lambda m, x: F.interpolate(
        x[:, :, :3], size=x.shape[2:], mode="bilinear", align_corners=False
    ),
    "area": lambda m, x: F.interpolate(x, (2, 3), mode="area"),
    "exact": lambda m, x: F.interpolate(x, scale_factor=1.5, mode="nearest-exact"),
    "normalized": lambda m, x: F.normalize(x, dim=1),
    "functions": lambda m, x: F.leaky_relu(F.hardtanh(F.gelu(x), 0.0, 6.0), 0.3) + F.softplus(x, beta=2) + x.sigmoid(),
    "pools": lambda m, x: F.max_pool2d(x, 3, stride=1, padding=1) + F.avg_pool2d(x, (3, 1), 1, (1, 0)),
    "softmax": lambda m, x: torch.softmax(x, dim=1) + F.log_softmax(x, dim=3),
    "dims": lambda m, x: x * x.dim() + x.ndim + x.size(-1) // 2,
    "flattened sum": lambda m, x: torch.flatten(x, 1) + torch.flatten(x * 2, 1) * torch.arange(120.0),
    "flattened and joined": lambda m, x: torch.cat([x.flatten(1), x.mean((2, 3))], 1),
    "expanded": lambda m, x: torch.cat([x.mean((2, 3), keepdim=True).expand_as(x), x], 1),
    "gates": lambda m, x: x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1)),
    "several": lambda m, x: (x, [x * 2, x.mean((2, 3))][1]),
    "glu": lambda m, x: F.glu(x, dim=1),
    "shuffled": lambda m, x: F.pixel_shuffle(x, 2),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions(case):
    torch.manual_seed(4)
    module = settled(Function(FUNCTIONS[case]))
    check(module, (4, 5, 6))
    check(module, (4, 5, 6), data_format="channels_first")


def test_several_inputs_and_outputs():
    torch.manual_seed(4)
    module = Two(lambda m, x, y: {"sum": x + y, "means": (x.mean((2, 3)), y)}).eval()
    model = from_torch(module, [(2, 4, 5, 6), (2, 4, 1, 1)])
    x, y = example((4, 5, 6)), example((4, 1, 1), seed=6)
    found = model.predict([turned(x.numpy()), turned(y.numpy())], verbose=0)
    expected = module(x, y)
    assert np.allclose(found["sum"], turned(expected["sum"].detach().numpy()), atol=1e-6)
    assert np.allclose(found["means"][0], expected["means"][0].detach().numpy(), atol=1e-6)
    assert found["means"][1].shape == (3, 1, 1, 4)


def test_a_module_that_is_called_twice_is_one_layer():
    module = settled(Function(lambda m, x: m.conv(F.relu(m.conv(x)))))
    model = check(module, (4, 5, 6))
    assert [w.shape for w in model.weights] == [(1, 1, 4, 4), (4,)]


IN_PLACE = {
    "function": lambda m, x: F.relu(x, inplace=True) + x,
    "method": lambda m, x: x.clamp_(0.0, 0.5) + x,
    "chain": lambda m, x: (x.relu_().mul_(2.0), x)[0] - x * 0.5,
    "module": lambda m, x: m.relu(x) - x * 3.0,
}


@pytest.mark.parametrize("case", IN_PLACE)
def test_tensors_that_are_changed_in_place(case):
    module = Function(IN_PLACE[case])
    module.relu = nn.ReLU(inplace=True)
    check(settled(module), (4, 5, 6))


def test_names_that_operations_have():
    """Modules named as operations of this library are, behind some of those."""
    inside = {
        "convolution": nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        "pad": nn.ReLU(),
        "pad_1": nn.Tanh(),
    }
    module = nn.Sequential()
    for name, part in inside.items():
        module.add_module(name, part)
    module.add_module("concatenate", nn.Conv2d(4, 2, 1))
    assert check(settled(module), (4, 5, 6)).get_layer("concatenate").filters == 2


def test_the_modules_state_is_left_alone():
    module = LeNet().train()
    module.conv1.eval()
    from_torch(module, (1, 1, 28, 28))
    assert module.training
    assert not module.conv1.training


class Decides(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Scales(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((4, 1, 1), 2.0))

    def forward(self, x):
        return x * self.scale


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Decides(), "Decides cannot be traced by torch.fx"),
        (Scales(), "the parameter 'scale' is used outside of a module"),
        (
            Function(lambda m, x: torch.einsum("nchw->nc", x)),
            r"node 'einsum' \(torch.functional.einsum\): it has no counterpart",
        ),
        (Function(lambda m, x: x.cumsum(1)), r"node 'cumsum' \(Tensor.cumsum\): it has no counterpart"),
        (Function(lambda m, x: F.dropout(x)), "active in inference too"),
        (Function(lambda m, x: x.sum()), "without the batch's axis"),
        (Function(lambda m, x: x[1:]), "a part of the batch"),
        (Function(lambda m, x: torch.cat([x, x])), "joining along the batch"),
        (Function(lambda m, x: x.view(-1, 7)), "Function cannot compute the example: shape"),
        (Function(lambda m, x: x.view(x.size(0) * 4, 5, 6)), "node 'mul'"),
        (Function(lambda m, x: x.view(2, x.size(0), -1)), "the batch expects to be the first axis"),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.LPPool2d(2, 2)), r"module '1' \(LPPool2d\): it has no counterpart"),
        (nn.Sequential(nn.BatchNorm2d(4, track_running_stats=False)), "statistics of each batch"),
        (nn.Sequential(nn.LocalResponseNorm(2)), "size=2: an odd number"),
        (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), "return_indices=True"),
        (nn.Sequential(nn.LSTM(6, 3)), "LSTM"),
        (Function(lambda m, x: 3), "an output is int"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_named(module, message):
    with pytest.raises(ValueError, match=message):
        from_torch(module.eval(), (2, 4, 5, 6))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="data_format expects"):
        from_torch(LeNet(), (1, 1, 28, 28), data_format="NCHW")
    with pytest.raises(ValueError, match=r"module expects a torch.nn.Module, got function"):
        from_torch(lambda x: x, (1, 2))
    with pytest.raises(ValueError, match="takes 'x' too"):
        from_torch(LeNet(), [], check=False)
    with pytest.raises(ValueError, match="1 more inputs were given"):
        from_torch(LeNet(), [(1, 1, 28, 28), (1, 2)], check=False)
    with pytest.raises(ValueError, match=r"LeNet cannot compute the example: .*positional argument"):
        from_torch(LeNet(), [])


def test_outputs_that_differ_are_noticed(monkeypatch):
    from cnnfast.interop.torch.conversion import calls

    monkeypatch.setitem(calls.MODULES, "Tanh", lambda call, x: x)
    with pytest.raises(ValueError, match="output 0 differs from the module's by"):
        from_torch(nn.Sequential(nn.Tanh()), (2, 4))
    assert from_torch(nn.Sequential(nn.Tanh()), (2, 4), check=False) is not None
