"""Networks of many kinds, as PyTorch's two exporters write them, compute what PyTorch does."""

import io
import warnings

import numpy as np
import pytest

from cnnfast import load_model
from cnnfast.interop import load_onnx

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
nn, F = torch.nn, torch.nn.functional


class Squeezed(nn.Module):
    """Depthwise convolutions, squeeze and excitation in both styles, hard activations."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1), nn.Linear(16, 4), nn.Linear(4, 16)
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 5, 1, 2, groups=16), nn.ReLU6())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 5))

    def forward(self, x):
        x = self.stem(x)
        x = x * F.hardsigmoid(self.b(F.relu(self.a(F.adaptive_avg_pool2d(x, 1)))))
        x = self.depthwise(x)
        return self.head(x * torch.sigmoid(self.d(F.silu(self.c(x.mean((2, 3))))))[:, :, None, None])


class UNet(nn.Module):
    """Down and up again, with a shortcut."""

    def __init__(self, mode, by_size=False):
        super().__init__()
        self.mode, self.by_size = mode, by_size
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.transposed = nn.ConvTranspose2d(16, 16, 2, 2)
        self.last, self.out = nn.Conv2d(24, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = F.relu(self.down(x))
        b = F.relu(self.deep(F.max_pool2d(a, 2)))
        if self.mode is None:
            b = self.transposed(b)
        else:
            how = {"size": a.shape[2:]} if self.by_size else {"scale_factor": 2}
            how |= {} if self.mode == "nearest" else {"align_corners": False}
            b = F.interpolate(b, mode=self.mode, **how)
        return torch.softmax(self.out(F.relu(self.last(torch.cat([a, b], 1)))), 1)


class Shuffled(nn.Module):
    """Shuffled channels, in halves."""

    def __init__(self):
        super().__init__()
        self.first, self.grouped = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 3, padding=1, groups=3)

    def forward(self, x):
        x = self.first(x)
        b, c, h, w = x.shape
        x = self.grouped(x.view(b, 3, c // 3, h, w).transpose(1, 2).reshape(b, c, h, w))
        p, q = x.chunk(2, 1)
        return torch.cat([F.gelu(p), F.elu(q)], 1).flatten(2).mean(-1)


class Scaled(nn.Module):
    """A block of ConvNeXt: normalized, mixed and scaled with the channels last."""

    def __init__(self):
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.a, self.b, self.scale = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8), torch.randn(8)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.b(F.gelu(self.a(y)))).permute(0, 3, 1, 2)


class Patches(nn.Module):
    """A vision transformer of one block."""

    def __init__(self, c=16):
        super().__init__()
        self.patches, self.norm, self.qkv = nn.Conv2d(3, c, 4, 4), nn.LayerNorm(c), nn.Linear(c, 3 * c)
        self.out, self.head = nn.Linear(c, c), nn.Linear(c, 4)
        self.first, self.places = nn.Parameter(torch.randn(1, 1, c)), nn.Parameter(torch.randn(1, 17, c))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1) + self.places
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, t, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        return self.head((x + self.out(mixed.transpose(1, 2).reshape(b, t, c)))[:, 0])


class Assorted(nn.Module):
    """Normalizations, poolings that round up, pixels from channels, clipping, choices."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.group, self.instance, self.prelu = nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True), nn.PReLU(8)

    def forward(self, x):
        x = self.instance(self.prelu(self.group(self.conv(x))))
        x = F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)
        x = F.local_response_norm(F.pixel_shuffle(x, 2), 3)
        x = F.max_pool2d(x, 3, 2, 1, ceil_mode=True)
        return x.clamp(-1, 1).amax(1, keepdim=True) + torch.where(x > 0, x, x * 0.1), F.normalize(x.flatten(1))


class Volume(nn.Module):
    """Three axes, and a transposed convolution in groups."""

    def __init__(self):
        super().__init__()
        self.conv, self.up = nn.Conv3d(2, 4, 3), nn.ConvTranspose3d(4, 4, 2, 2, groups=2)
        self.dense = nn.Linear(4, 3)

    def forward(self, x):
        return self.dense(F.adaptive_avg_pool3d(F.max_pool3d(self.up(self.conv(x)), 2), 1).flatten(1))


class Series(nn.Module):
    """One axis."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv1d(4, 8, 5, dilation=2), nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, x):
        return self.dense(F.relu(self.norm(self.conv(x))).max(-1)[0])


IMAGE = (2, 3, 16, 16)
NETWORKS = [
    ("squeezed", Squeezed, (2, 3, 32, 32), True),
    ("nearest", lambda: UNet("nearest"), (2, 3, 16, 24), True),
    ("bilinear", lambda: UNet("bilinear"), (2, 3, 16, 24), True),
    ("bicubic", lambda: UNet("bicubic", True), (2, 3, 16, 24), False),
    ("transposed", lambda: UNet(None), (2, 3, 16, 24), True),
    ("shuffled", Shuffled, IMAGE, False),
    ("scaled", Scaled, (2, 3, 32, 32), True),
    ("patches", Patches, IMAGE, False),
    ("assorted", Assorted, (2, 3, 13, 17), False),
    ("volume", Volume, (2, 2, 6, 6, 6), False),
    ("series", Series, (2, 4, 20), False),
]


def exported(net, x, dynamo, open_sizes):
    """The bytes of an ONNX file of a network, with an open batch and maybe open images."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            dims = {0: torch.export.Dim("batch")}
            if open_sizes:
                dims |= {2: 4 * torch.export.Dim("h", min=2, max=64), 3: 4 * torch.export.Dim("w", min=2, max=64)}
            torch.onnx.export(net, (x,), dynamic_shapes={"x": dims}, dynamo=True, verbose=False).save(file)
        else:
            axes = {0: "batch", **({2: "h", 3: "w"} if open_sizes else {})}
            torch.onnx.export(net, (x,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": axes})
    return file.getvalue()


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize(("make", "shape", "open_sizes"), [n[1:] for n in NETWORKS], ids=[n[0] for n in NETWORKS])
def test_exported_networks_compute_what_pytorch_does(make, shape, open_sizes, dynamo, tmp_path):
    torch.manual_seed(0)
    net = make().eval()
    for part in net.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    model = load_onnx(exported(net, torch.randn(shape), dynamo, open_sizes), data_format="channels_first")
    x = torch.randn(3, *shape[1:2], *(n + 8 * open_sizes for n in shape[2:]))
    expected, computed = net(x), model(x.numpy())
    if not isinstance(expected, tuple):
        expected, computed = (expected,), (computed,)
    model.save(tmp_path / "net.safetensors")
    again = load_model(tmp_path / "net.safetensors")(x.numpy())
    again = again if isinstance(again, (list, tuple)) else (again,)
    for theirs, mine, same in zip(expected, computed, again, strict=True):
        np.testing.assert_array_equal(np.asarray(same), np.asarray(mine))
        theirs = theirs.detach().numpy()
        assert np.asarray(mine).shape == theirs.shape
        np.testing.assert_allclose(np.asarray(mine), theirs, rtol=1e-4, atol=1e-5)


class Enlarged(nn.Module):
    """An image by a factor that is no binary fraction."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return F.interpolate(x, scale_factor=self.factor, mode="nearest")


@pytest.mark.parametrize("factor", [0.3, 0.6, 0.7, 1.3, 1.7])
def test_neighbours_at_decimal_factors_are_pytorchs(factor, tmp_path):
    path, x = tmp_path / "factor.onnx", torch.randn(1, 1, 20, 23)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Enlarged(factor), (x,), path, dynamo=False)
    found = load_onnx(path, data_format="channels_first")(x.numpy())
    np.testing.assert_array_equal(found, Enlarged(factor)(x).numpy())
