"""Darknet's files that are damaged or hostile, or ask for what there is not."""

import tracemalloc

import numpy as np
import pytest

from cnnfast.interop import load_darknet
from cnnfast.interop.darknet.cfg import LONGEST
from darknet_files import HEADS, NET, files, layout_of
from darknet_reference import random_numbers

STRIDED = NET + "[convolutional]\nfilters=5\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=leaky\n"
GROUPED = NET + "[convolutional]\nfilters=8\n[conv]\nfilters=12\ngroups=4\nsize=3\npad=1\nbatch_normalize=1\n"


@pytest.mark.parametrize("change", [-600, -4, -1, 1, 4, 400])
def test_weights_of_another_length(tmp_path, rng, change):
    text = STRIDED
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
    text = GROUPED
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
