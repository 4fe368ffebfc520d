"""Darknet's files, written for tests."""

import math
import struct

import numpy as np

from cnnfast.interop.darknet.cfg import parse_cfg
from cnnfast.interop.darknet.network import Network

NET = "[net]\nwidth=12\nheight=8\nchannels=3\nbatch=64\nlearning_rate=0.1\n"

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


def layout_of(text):
    network = Network(parse_cfg(text, "test"), "test")
    return [(w.kind, w.filters, math.prod(w.kernel) if w.kernel else 0, w.normalized) for w in network.weighted]


def header(version=(0, 2, 5), seen=32013312):
    return struct.pack("<iiiQ" if version[0] * 10 + version[1] >= 2 else "<iiiI", *version, seen)


def files(folder, text, numbers, version=(0, 2, 5)):
    (folder / "net.cfg").write_text(text)
    (folder / "net.weights").write_bytes(header(version) + np.asarray(numbers, "<f4").tobytes())
    return folder / "net.cfg", folder / "net.weights"
