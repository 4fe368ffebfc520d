"""Networks in darknet's files against a slow forward pass in float64."""

import math

import numpy as np
import pytest

import cnnfast
from cnnfast.interop import load_darknet
from cnnfast.interop.darknet import decode, heads
from cnnfast.interop.darknet.cfg import parse_cfg
from cnnfast.interop.darknet.network import Network
from darknet_files import HEADS, NET, files, layout_of
from darknet_reference import ACTIVATIONS, forward, random_numbers


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


def random_section(rng, count):
    """A section that may or may not fit behind others."""

    def number(low, high):
        return int(rng.integers(low, high + 1))

    def layer():
        return number(-count, count - 1) if count else -1

    smooth = [name for name in ACTIVATIONS if name != "selu"]  # darknet's constants of selu have five digits
    activation = f"activation={rng.choice(smooth)}\n"
    groups = int(rng.choice([1, 1, 2, 4]))
    window = f"size={number(1, 4)}\nstride={number(1, 3)}\n"
    padding = f"padding={number(0, 5)}\n" if rng.random() < 0.4 else ""
    choices = [
        f"[convolutional]\nfilters={4 * number(1, 3)}\ngroups={groups}\n{window}pad={number(0, 1)}\n{padding}"
        f"dilation={number(1, 2)}\nbatch_normalize={number(0, 1)}\nflipped={int(rng.random() < 0.2)}\n{activation}",
        f"[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\n{activation}",
        f"[maxpool]\n{window}{padding}",
        f"[local_avgpool]\n{window}{padding}",
        f"[route]\nlayers={layer()}\ngroups={groups}\ngroup_id={number(0, groups - 1)}\n",
        f"[route]\nlayers={layer()},{layer()}\n",
        f"[shortcut]\nfrom={layer()}\n{activation}",
        f"[scale_channels]\nfrom={layer()}\nscale_wh={number(0, 1)}\n",
        f"[sam]\nfrom={layer()}\n",
        f"[upsample]\nstride={number(1, 2)}\nscale={number(1, 3) / 2}\n",
        f"[{rng.choice(['reorg', 'reorg3d'])}]\nstride=2\n",
        "[reorg]\nstride=2\nreverse=1\n",
        f"[crop]\ncrop_width={number(1, 12)}\ncrop_height={number(1, 12)}\nnoadjust={number(0, 1)}\n",
        f"[softmax]\nspatial={number(0, 1)}\n",
        f"[activation]\n{activation}",
        "[batchnorm]\n",
        "[dropout]\nprobability=.3\n",
        "[avgpool]\n",
        f"[connected]\noutput={number(1, 9)}\nbatch_normalize={number(0, 1)}\n{activation}",
    ]
    weights = np.array([6, 6, *[1] * (len(choices) - 4), 0.2, 0.2])
    return str(rng.choice(choices, p=weights / weights.sum()))


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(tmp_path, seed):
    """Sections put together at random, of which those stay that fit."""
    rng = np.random.default_rng(seed)
    text, count = f"[net]\nwidth={rng.integers(5, 13)}\nheight={rng.integers(5, 13)}\nchannels=4\n", 0
    while count < 12:
        longer = text + random_section(rng, count)
        try:
            plans = Network(parse_cfg(longer, "test"), "test").plans
        except ValueError:
            continue
        if math.prod(plans[-1].shape) < 4000:
            text, count = longer, count + 1
    check(tmp_path, rng, text)


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
