"""Networks in darknet's files against a slow forward pass in float64, and files that are damaged or hostile."""

import math
import struct
import tracemalloc

import numpy as np
import pytest

import cnnfast
from cnnfast.interop import load_darknet
from cnnfast.interop.darknet import decode, heads
from cnnfast.interop.darknet.cfg import LONGEST, parse_cfg
from cnnfast.interop.darknet.network import Network
from darknet_reference import ACTIVATIONS, forward, random_numbers


def layout_of(text):
    network = Network(parse_cfg(text, "test"), "test")
    return [(w.kind, w.filters, math.prod(w.kernel) if w.kernel else 0, w.normalized) for w in network.weighted]


def header(version=(0, 2, 5), seen=32013312):
    return struct.pack("<iiiQ" if version[0] * 10 + version[1] >= 2 else "<iiiI", *version, seen)


def files(folder, text, numbers, version=(0, 2, 5)):
    (folder / "net.cfg").write_text(text)
    (folder / "net.weights").write_bytes(header(version) + np.asarray(numbers, "<f4").tobytes())
    return folder / "net.cfg", folder / "net.weights"


def check(tmp_path, rng, text, transposed=False, version=(0, 2, 5), outputs=(-1,)):
    """The model's outputs and its inference's are those of the reference."""
    numbers = random_numbers(rng, layout_of(text))
    model = load_darknet(*files(tmp_path, text, numbers, version))
    shape = model.input_shape[1:]
    x = rng.uniform(0, 1, (2, *shape)).astype(np.float32)
    images = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x[..., None, None]
    results = [forward(text, numbers, image, transposed=transposed) for image in images]
    for found in (model(x), model.infer(x)):
        for got, number in zip(found if isinstance(found, list) else [found], outputs, strict=True):
            wanted = np.stack([result[number] for result in results]).transpose(0, 2, 3, 1)
            wanted = wanted.reshape(len(x), -1) if got.ndim == 2 else wanted
            assert got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    return model


NET = "[net]\nwidth=12\nheight=8\nchannels=3\nbatch=64\nlearning_rate=0.1\n"
CONV = "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\n"

NETWORKS = {
    "bias": NET + "[convolutional]\nfilters=5\nsize=3\nstride=1\npad=1\nactivation=linear\n",
    "strided": NET + "[convolutional]\nfilters=5\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=leaky\n",
    "padding": NET + "[convolutional]\nfilters=5\nsize=5\nstride=3\npadding=1\nactivation=relu\n",
    "even": NET + "[convolutional]\nfilters=4\nsize=2\nstride=2\npad=1\nactivation=tanh\n",
    "pad_wins": NET + "[convolutional]\nfilters=4\nsize=3\npad=1\npadding=7\nactivation=linear\n",
    "strides": NET + "[convolutional]\nfilters=4\nsize=3\nstride_x=2\nstride_y=1\npad=1\nactivation=linear\n",
    "dilated": NET + "[convolutional]\nfilters=4\nsize=3\ndilation=2\npad=1\nbatch_normalize=1\nactivation=linear\n",
    "dilated_1x1": NET + "[convolutional]\nfilters=4\nsize=1\ndilation=4\nactivation=linear\n",
    "groups": NET + CONV + "[conv]\nfilters=12\ngroups=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n",
    "depthwise": NET + CONV + "[convolutional]\nfilters=8\ngroups=8\nsize=3\nstride=2\npad=1\nactivation=linear\n",
    "flipped": NET + CONV + "[convolutional]\nfilters=6\nsize=3\nflipped=1\nactivation=linear\n",
    "default_activation": NET + "[convolutional]\nfilters=2\n",
    "maxpool": NET + CONV + "[maxpool]\nsize=2\nstride=2\n",
    "maxpool_odd": "[net]\nwidth=13\nheight=7\nchannels=2\n[maxpool]\nsize=2\nstride=2\n",
    "maxpool_3_2": NET + CONV + "[maxpool]\nsize=3\nstride=2\n",
    "maxpool_spp": NET + CONV + "[maxpool]\nsize=5\nstride=1\n",
    "maxpool_same_size": NET + CONV + "[maxpool]\nsize=2\nstride=1\n",
    "maxpool_valid": NET + CONV + "[max]\nsize=3\nstride=2\npadding=0\n",
    "maxpool_padded": NET + CONV + "[maxpool]\nsize=4\nstride=3\npadding=5\n",
    "maxpool_strides": NET + CONV + "[maxpool]\nsize=3\nstride_x=1\nstride_y=2\n",
    "maxpool_by_stride": NET + CONV + "[maxpool]\nstride=3\n",
    "local_avgpool": NET + CONV + "[local_avgpool]\nsize=3\nstride=2\n",
    "avgpool": NET + CONV + "[avgpool]\n[softmax]\ngroups=1\n",
    "avgpool_conv": NET + CONV + "[avgpool]\n[convolutional]\nfilters=3\nactivation=logistic\n",
    "connected": NET + CONV + "[connected]\noutput=7\nactivation=relu\n[connected]\noutput=3\nactivation=linear\n",
    "connected_bn": NET + CONV + "[connected]\noutput=7\nbatch_normalize=1\nactivation=leaky\n",
    "vector": "[net]\ninputs=9\n[connected]\noutput=4\nactivation=tanh\n[softmax]\n",
    "connected_conv": NET + "[connected]\noutput=6\n[convolutional]\nfilters=4\nactivation=linear\n",
    "connected_maps": NET + "[connected]\noutput=6\n[upsample]\nstride=3\n[route]\nlayers=-2\n[reorg]\nstride=1\n",
    "route": NET + CONV + CONV + "[route]\nlayers=-1, 0\n[route]\nlayers=-2\n[route]\nlayers=-1,-2,-3\n",
    "route_vectors": NET + "[avgpool]\n[connected]\noutput=4\n[route]\nlayers=-1,-2\n",
    "route_groups": NET + CONV + CONV + "[route]\nlayers=0,-1\ngroups=2\ngroup_id=1\n",
    "route_group_0": NET + CONV + "[route]\nlayers=-1\ngroups=4\ngroup_id=0\n",
    "shortcut": NET + CONV + CONV + "[shortcut]\nfrom=-2\nactivation=linear\n",
    "shortcut_several": NET + CONV + CONV + CONV + "[shortcut]\nfrom=-2,0\nactivation=leaky\n",
    "shortcut_more": NET + CONV + "[convolutional]\nfilters=5\n[shortcut]\nfrom=-2\nactivation=relu\n",
    "shortcut_fewer": NET + "[convolutional]\nfilters=5\n" + CONV + "[shortcut]\nfrom=0\n",
    "upsample": NET + CONV + "[upsample]\nstride=2\n",
    "upsample_scaled": NET + CONV + "[upsample]\nstride=3\nscale=0.5\n",
    "reorg": NET + CONV + "[reorg]\nstride=2\n",
    "reorg_reverse": NET + CONV + "[reorg]\nstride=2\nreverse=1\n",
    "reorg3d": NET + CONV + "[reorg3d]\nstride=2\n",
    "dropout": NET + CONV + "[dropout]\nprobability=.5\n[shortcut]\nfrom=-2\n",
    "softmax_groups": NET + "[connected]\noutput=6\nactivation=linear\n[softmax]\ngroups=2\ntemperature=2\n",
    "softmax_map": NET + CONV + "[softmax]\n",
    "softmax_spatial": NET + CONV + "[softmax]\nspatial=1\n",
    "batchnorm": NET + "[batchnorm]\n[connected]\noutput=3\n[batchnorm]\n",
    "crop": NET + "[crop]\ncrop_width=9\ncrop_height=5\nflip=1\nangle=0\nsaturation=1\nexposure=1\n",
    "crop_noadjust": NET + "[crop]\ncrop_width=8\ncrop_height=8\nnoadjust=1\n",
    "scale_channels": NET + CONV + "[avgpool]\n[convolutional]\nfilters=8\n[scale_channels]\nfrom=0\nactivation=relu\n",
    "scale_pixels": NET + CONV + "[convolutional]\nfilters=1\n[scale_channels]\nfrom=0\nscale_wh=1\n",
    "sam": NET + CONV + "[convolutional]\nfilters=8\n[sam]\nfrom=-2\n",
    "empty": NET + CONV + "[empty]\n[activation]\nactivation=mish\n[silence]\n",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_sections(tmp_path, rng, name):
    check(tmp_path, rng, NETWORKS[name])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(tmp_path, rng, activation):
    text = NET + f"[convolutional]\nfilters=6\nsize=3\nbatch_normalize=1\nactivation={activation}\n"
    check(tmp_path, rng, text + f"[shortcut]\nfrom=-1\nactivation={activation}\n".replace("from=-1", "from=0"))


HEADS = """
[net]
width=32   # blanks and comments
height = 64
channels=1
[convolutional]
filters=16
size=3
stride=16
pad=1
activation=linear
[yolo]
mask = 1,0
anchors = 4,5, 6,7.5, 8,9
num=3
classes=3
scale_x_y=1.1
iou_loss=ciou
jitter=.3
[route]
layers=-2
[upsample]
stride=2
[convolutional]
filters=10
activation=linear
[region]
anchors=1,2
num=1
classes=5
softmax=1
coords=4
"""


def test_heads_and_their_boxes(tmp_path, rng):
    model = check(tmp_path, rng, HEADS, outputs=(0, 4))
    first, second = heads(model)
    assert first.anchors == ((6.0, 7.5), (4.0, 5.0))
    assert (first.grid, first.input_size, first.scale_x_y, first.softmax) == ((4, 2), (64, 32), 1.1, False)
    assert (second.anchors, second.input_size, second.softmax) == (((1.0, 2.0),), None, True)
    maps = model.predict(rng.uniform(0, 1, (1, 64, 32, 1)), verbose=0)
    boxes = decode(maps[0], first)
    cell = maps[0][0, 2, 1, 8:]  # the second anchor of a cell, box (2 * 2 + 1) * 2 + 1
    place = 1 / (1 + np.exp(-cell[:2])) * 1.1 - 0.05
    expected = [(1 + place[0]) / 2, (2 + place[1]) / 4, np.exp(cell[2]) * 4 / 32, np.exp(cell[3]) * 5 / 64]
    np.testing.assert_allclose(boxes.boxes[0, 11], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="one at a time"):
        decode(maps, model)
    with pytest.raises(ValueError, match="for each of 2 heads, got 1"):
        decode(maps[:1], model)
    with pytest.raises(ValueError, match="a map of shape"):
        decode(maps[1], first)
    with pytest.raises(ValueError, match="load_darknet made"):
        heads(cnnfast.Sequential([cnnfast.layers.Input((3,)), cnnfast.layers.Dense(1)]))


@pytest.mark.parametrize("version", [(0, 1, 0), (0, 2, 0), (1, 0, 0), (0, 2001, 0), (2001, 0, 0)])
def test_versions_of_the_header(tmp_path, rng, version):
    """Old files count images in 32 bits; those of a version beyond 1000 have dense kernels transposed."""
    check(tmp_path, rng, NETWORKS["connected_bn"], transposed=max(version) > 1000, version=version)


def test_another_input_shape(tmp_path, rng):
    paths = files(tmp_path, NETWORKS["strided"], random_numbers(rng, layout_of(NETWORKS["strided"])))
    assert load_darknet(*paths, input_shape=(20, 30, 3)).output_shape == (None, 10, 15, 5)
    with pytest.raises(ValueError, match="bytes too short"):
        load_darknet(*paths, input_shape=(20, 30, 4))
    with pytest.raises(ValueError, match="input_shape expects"):
        load_darknet(*paths, input_shape=(20, 30))


def test_epsilon(tmp_path, rng):
    text = NETWORKS["strided"]
    paths = files(tmp_path, text, random_numbers(rng, layout_of(text)))
    numbers = np.frombuffer(paths[1].read_bytes()[20:], "<f4")
    x = rng.uniform(0, 1, (1, 8, 12, 3)).astype(np.float32)
    wanted = forward(text, numbers, x[0].transpose(2, 0, 1), epsilon=0.5)[-1].transpose(1, 2, 0)
    np.testing.assert_allclose(load_darknet(*paths, epsilon=0.5)(x)[0], wanted, rtol=1e-4, atol=1e-5)


def test_models_are_trained_saved_and_written_back(tmp_path, rng):
    text = NETWORKS["groups"] + "[avgpool]\n[connected]\noutput=2\nactivation=linear\nbatch_normalize=1\n"
    numbers = random_numbers(rng, layout_of(text))
    cfg, weights = files(tmp_path, text, numbers)
    model = cnnfast.load_model(cfg)
    model.save_weights(tmp_path / "same.weights")
    assert (tmp_path / "same.weights").read_bytes()[20:] == weights.read_bytes()[20:]
    x, y = rng.uniform(0, 1, (16, 8, 12, 3)).astype(np.float32), rng.normal(0, 1, (16, 2)).astype(np.float32)
    model.compile("sgd", "mse")
    losses = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "net.safetensors")
    again = cnnfast.load_model(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    model.save_weights(tmp_path / "trained.weights")
    fresh = load_darknet(cfg)
    fresh.load_weights(tmp_path / "trained.weights")
    np.testing.assert_array_equal(fresh.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(ValueError, match="not for others and not for copies"):
        again.load_weights(weights)
    with pytest.raises(ValueError, match="name no layers"):
        fresh.load_weights(weights, skip_mismatch=True)
    with pytest.raises(FileExistsError):
        model.save_weights(weights, overwrite=False)


@pytest.mark.parametrize("name", ["flipped", "maxpool_3_2", "route_groups", "shortcut_more", "shortcut_fewer", "reorg"])
def test_every_kind_of_layer_is_saved(tmp_path, rng, name):
    paths = files(tmp_path, NETWORKS[name], random_numbers(rng, layout_of(NETWORKS[name])))
    model = load_darknet(*paths)
    model.save_weights(tmp_path / "same.weights")
    assert (tmp_path / "same.weights").read_bytes()[20:] == paths[1].read_bytes()[20:]
    model.save(tmp_path / "net.safetensors")
    x = rng.uniform(0, 1, (2, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(cnnfast.load_model(tmp_path / "net.safetensors")(x), model(x))


def test_load_model_wants_the_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"net\.cfg: no such file"):
        cnnfast.load_model(tmp_path / "net.cfg")
    (tmp_path / "net.cfg").write_text(NETWORKS["bias"])
    with pytest.raises(FileNotFoundError, match=r"net\.weights: no such file: a \.cfg file has its weights"):
        cnnfast.load_model(tmp_path / "net.cfg")
    (tmp_path / "net.weights").write_bytes(b"")
    with pytest.raises(ValueError, match="load: a file name with one of the endings"):
        cnnfast.load_model(tmp_path / "net.weights")


# Files that are damaged, hostile or ask for what there is not


@pytest.mark.parametrize("change", [-600, -4, -1, 1, 4, 400])
def test_weights_of_another_length(tmp_path, rng, change):
    text = NETWORKS["strided"]
    cfg, weights = files(tmp_path, text, random_numbers(rng, layout_of(text)))
    data = weights.read_bytes()
    weights.write_bytes(data[:change] if change < 0 else data + bytes(change))
    where = (
        f"{min(abs(change), len(data))} bytes too {'short' if change < 0 else 'long'}" if change > -600 else "short|few"
    )
    with pytest.raises(ValueError, match=rf"net\.weights: .*({where})"):
        load_darknet(cfg, weights)


def names_the_file_if_it_refuses(path):
    try:
        load_darknet(path)
    except ValueError as error:
        return str(error).startswith(str(path))
    return True


def test_every_truncation_of_the_files(tmp_path, rng):
    text = NETWORKS["groups"]
    cfg, weights = files(tmp_path, text, random_numbers(rng, layout_of(text)))
    data = weights.read_bytes()
    for length in [*range(24), *rng.integers(24, len(data), 20)]:
        weights.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"net\.weights: "):
            load_darknet(cfg, weights)
    written = cfg.read_bytes()
    for length in range(len(written)):
        cfg.write_bytes(written[:length])
        assert names_the_file_if_it_refuses(cfg)


def test_flipped_bits_of_a_cfg(tmp_path, rng):
    written = bytearray(HEADS.encode())
    path = tmp_path / "net.cfg"
    for _ in range(400):
        data = bytearray(written)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(data)
        assert names_the_file_if_it_refuses(path)


def test_garbage(tmp_path, rng):
    path = tmp_path / "net.cfg"
    for data in (
        b"",
        b"\0" * 50,
        rng.bytes(5000),
        b"[net]\n\xff\xfe=1\n",
        b"[net]\nwidth",
        b"width=3",
        b"[net",
        b"[]\n",
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"net\.cfg"):
            load_darknet(path)
    path.write_bytes(b"[net]\n" + b"#" * (LONGEST + 5))
    with pytest.raises(ValueError, match="at most"):
        load_darknet(path)
    with pytest.raises(FileNotFoundError):
        load_darknet(tmp_path / "none.cfg")


def test_sections_up_to_a_bound(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text("[net]\ninputs=3\n" + "[empty]\n" * 20_000)
    with pytest.raises(ValueError, match="at most 10000 sections"):
        load_darknet(path)


@pytest.mark.parametrize(
    "text",
    [
        NET + "[convolutional]\nfilters=1000000\nsize=101\npad=1\n",
        NET + "[connected]\noutput=10000000\n",
        "[net]\nwidth=8192\nheight=8192\nchannels=3\n[convolutional]\nfilters=4\n[connected]\noutput=1000\n",
    ],
)
def test_nothing_large_is_made_for_a_small_file(tmp_path, text):
    """A network of gigabytes with a file of a few bytes: the length is what is looked at first."""
    cfg, weights = files(tmp_path, text, np.zeros(10))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"net\.weights: \d+ bytes too short"):
            load_darknet(cfg, weights)
        with pytest.raises(ValueError, match=r"net\.cfg: without a file of weights at most|expects outputs of at most"):
            load_darknet(cfg)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


C = "[convolutional]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (C + "filters=1000000000\n", r"line 8: \[convolutional\] filters='1000000000': expects a whole number from 1"),
        (C + "filters=0\n", "line 8: .*filters='0'"),
        (C + "filters=-3\n", "filters='-3'"),
        (C + "filters=many\n", "filters='many': expects a whole number"),
        (C + "filters=3.5\n", "expects a whole number"),
        (C + "filters=\n", "filters='': expects a whole number"),
        (C + "filters=" + "9" * 5000 + "\n", "expects a whole number"),
        (C + "size=99\n", "leaves nothing of its input"),
        (C + "stride=0\n", "stride='0'"),
        (C + "groups=2\nfilters=4\n", "groups='2': expects to divide 3 input channels and 4 filters"),
        (C + "activation=loggy\n", "activation='loggy': is not supported; there are elu, gelu"),
        (C + "filter=3\n", "line 8: .*filter='3': is not known"),
        (C + "xnor=1\n", "xnor='1': cannot be honoured: binary weights"),
        (C + "antialiasing=1\n", "antialiasing='1': cannot be honoured"),
        (C + "share_index=0\n", "share_index='0': cannot be honoured"),
        (C + "dontload=1\n", "dontload='1': cannot be honoured"),
        (C + "size=5\npadding=1\ndilation=2\n", "dilation='2': and padding 1 make"),
        (C + "size=3\npad=1\ndilation=60000\n", "expects inputs of at most 268435456 numbers with their padding"),
        (C + "[maxpool]\nsize=60000\nstride=1\n", "expects inputs of at most 268435456 numbers with their padding"),
        (C + "filters=3\nfilters=4\n", "line 8: .*filters='3': is given again in line 9"),
        (C + "batch_normalize=nan\n", "expects a number, got 'nan'"),
        (C + "batch_normalize=1e999\n", "expects a number from"),
        ("[maxpool]\nsize=0\n", "size='0'"),
        ("[maxpool]\nsize=2\npadding=4\n", "padding='4': expects less than twice"),
        ("[maxpool]\nmaxpool_depth=1\n", "maximum over channels"),
        (C + "[route]\n", "layers: expects at least one"),
        (C + "[route]\nlayers=1\n", "layers='1': expects numbers of layers before this one, layer 1, got 1"),
        (C + "[route]\nlayers=-2\n", "got -2"),
        (C + "[route]\nlayers=0,x\n", "expects whole numbers with commas"),
        (C + "[route]\nlayers=99999999999\n", "expects numbers of layers before"),
        (C + "stride=2\n" + C + "[upsample]\nstride=4\n[route]\nlayers=-1,0\n", "expects images of one size"),
        (C + "filters=3\n[route]\nlayers=0\ngroups=2\n", "groups='2': expects to divide"),
        (C + "[route]\nlayers=0\ngroup_id=1\n", "group_id='1': expects a whole number from 0 to 0"),
        (C + "[shortcut]\n", "from: expects at least one"),
        (C + C + "stride=2\n[shortcut]\nfrom=0\n", "versions of darknet differ"),
        (C + "[shortcut]\nfrom=0\nweights_type=per_channel\n", "weighted sums"),
        (C + "[upsample]\nstride=-2\n", "expects a positive number"),
        (C + "[upsample]\nstride=60000\n", "expects outputs of at most"),
        (C + "[reorg]\nstride=2\n", "a number whose square divides 1 channels"),
        (C + "filters=9\n[reorg]\nstride=3\n", "divides the image's height 8 and width 12"),
        (C + "[scale_channels]\nfrom=0\n", r"expects factors of shape \(1, 1, 1\)"),
        (C + "[dropout]\nprobability=1\n", "below 1"),
        (C + "[dropout]\ndropblock=1\n", "blocks of pixels"),
        (C + "[softmax]\ntree=words.tree\n", "hierarchies"),
        (C + "[softmax]\ngroups=7\n", "groups='7'"),
        (C + "[crop]\ncrop_width=99\n", "crop_width='99'"),
        ("[local]\nfilters=3\n", r"line 7: \[local\] weights of their own for every place are not supported"),
        ("[lstm]\n", "recurrent"),
        ("[Gaussian_yolo]\n", "variances"),
        ("[transformer]\n", "is not a section that is known"),
        (NET, "is expected once, at the start"),
        (C + "filters=24\n[yolo]\nclasses=3\nnum=3\nanchors=1,2,3,4,5\n", "expects at least 6 positive numbers"),
        (C + "filters=24\n[yolo]\nclasses=3\nnum=3\nanchors=1,2,3,4,5,0\n", "expects at least 6 positive numbers"),
        (C + "filters=24\n[yolo]\nclasses=3\nnum=3\nanchors=1,2,3,4,5,6\nmask=3\n", "expects numbers from 0 to 2"),
        (C + "filters=23\n[yolo]\nclasses=3\nnum=3\nanchors=1,2,3,4,5,6\n", "expect 24 channels before it, got 23"),
        (
            C + "filters=8\n[yolo]\nclasses=3\nanchors=1,2\n[maxpool]\n",
            "takes the output of layer 1, which is for decod",
        ),
        (C + "filters=8\n[region]\nclasses=3\nanchors=1,2\ntree=x\n", "hierarchies"),
        (C + "[cost]\n[maxpool]\n", "takes the output of layer 1"),
        ("[cost]\n", "expects a section that computes something"),
        ("", "expects a section that computes something"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    path = tmp_path / "net.cfg"
    path.write_text(NET + text)
    with pytest.raises(ValueError, match=message) as raised:
        load_darknet(path)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("[net]\nwidth=0\nheight=8\nchannels=3\n", "line 2: .net. width='0': expects a whole number from 1"),
        ("[net]\nwidth=8\nheight=8\n", "channels: is missing"),
        ("[net]\nbatch=1\n", "expects width, height and channels"),
        ("[net]\nwidth=60000\nheight=60000\nchannels=3\n", "expects images of at most"),
        ("[net]\nwidth=100000\nheight=1\nchannels=3\n", "width='100000'"),
        ("[net]\nwidth=4\nheight=4\nchannels=3\ninputs=47\n", "expects height . width . channels, 48"),
        ("[net]\ninputs=5\ntime_steps=3\n", "recurrent"),
        ("[net]\ninputs=5\nlearn_rate=3\n", "line 3: .*learn_rate='3': is not known"),
        ("[maxpool]\n[net]\ninputs=3\n", "as its first section"),
    ],
)
def test_what_is_refused_of_the_net(tmp_path, net, message):
    path = tmp_path / "net.cfg"
    path.write_text(net + C)
    with pytest.raises(ValueError, match=message):
        load_darknet(path)
