"""Networks of darknet (YOLO and others): `.cfg` and `.weights` files, and boxes from the maps that they return.

Sections that are read: net, convolutional, connected, batchnorm, maxpool, avgpool, local_avgpool, route, shortcut
(without weights), scale_channels, sam, upsample, reorg, reorg3d, crop, dropout, softmax, activation, empty, cost (which
computes nothing), yolo and region. All others, unknown keys, and keys that ask for what is not supported are errors
that name the line. Keys that concern training alone are listed in `keys.py` and have no effect.
"""

from cnnfast.detection.yolo import DecodedBoxes
from cnnfast.interop.darknet.decoding import decode, heads
from cnnfast.interop.darknet.loading import load_darknet
from cnnfast.interop.darknet.plan import Head

__all__ = ["DecodedBoxes", "Head", "decode", "heads", "load_darknet"]
