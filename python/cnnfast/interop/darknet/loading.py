"""Models from darknet's files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.interop.darknet.cfg import parse_cfg, read_cfg
from cnnfast.interop.darknet.network import MOST_WEIGHTS, Network
from cnnfast.interop.darknet.plan import Origin
from cnnfast.interop.darknet.weights import check_size, load_into, save_from
from cnnfast.layers.base import initial_weights_from
from cnnfast.models.files import PathLike, damage_as_value_error
from cnnfast.models.model import Model


def load_darknet(
    cfg: PathLike,
    weights: PathLike | None = None,
    *,
    input_shape: Sequence[int] | None = None,
    epsilon: float = 1e-5,
) -> Model:
    r"""Make a model of a network that darknet describes, with the weights that darknet trained.

    The model is like any other functional model: channels last, to be trained, saved and cut up. Images go in with
    values from 0 to 1, RGB. What a network with `[yolo]` or `[region]` sections returns are the raw maps before them,
    a list where there are several; `cnnfast.interop.darknet.decode` turns them into boxes. Other networks return their
    last layer's output.

    Results are darknet's, but for what its versions disagree on: batch normalization divides by
    sqrt(variance + epsilon). An epsilon of 1e-5 is what darknet computes with on GPUs, and where it folds normalization
    into convolutions; on CPUs it adds 1e-6 below or behind the root, by version.

    Args:
        cfg: the `.cfg` file.
        weights: the `.weights` file; initial weights as for new layers if None.
        input_shape: height, width and channels, in place of those in the file.
        epsilon: that of batch normalization.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is damaged, or asks for what is not supported; with the file, line, section and key. A file
            of weights must have the very length that the network asks for.

    Example:
        >>> text = "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\n"
        >>> _ = Path("net.cfg").write_text(text)
        >>> load_darknet("net.cfg").output_shape
        (None, 8, 8, 4)
    """
    name = os.fspath(cfg)
    network = Network(read_cfg(cfg), name, input_shape, _checked_epsilon(epsilon))
    return made(network, weights)


def from_text(
    text: str,
    weights: PathLike | None = None,
    name: str | None = None,
    epsilon: float = 1e-5,
) -> Model:
    """The model of a `.cfg` file's text, with the weights of a file."""
    network = Network(parse_cfg(text, name or "cfg"), name or "cfg", None, _checked_epsilon(epsilon))
    return made(network, weights, name)


def made(network: Network, weights: PathLike | None, model_name: str | None = None) -> Model:
    """The model of a checked network; nothing is made before the length of the file of weights is known to fit.

    Raises:
        FileNotFoundError: there is no such file of weights.
        ValueError: it is damaged, or without it the network is larger than is sensible.
    """
    if weights is None:
        if network.weight_count > MOST_WEIGHTS:
            raise ValueError(
                f"{network.name}: without a file of weights at most {MOST_WEIGHTS} are made, not {network.weight_count}"
            )
        with damage_as_value_error(network.name):
            return network.make(model_name)
    check_size(weights, network.weighted)
    with damage_as_value_error(network.name), initial_weights_from(lambda shape: np.zeros(shape, np.float32)):
        model = network.make(model_name)
    load_into(weights, network.weighted)
    return model


def _checked_epsilon(epsilon: float) -> float:
    return real("load_darknet", "epsilon", epsilon, 0.0)


# What `cnnfast.load_model`, `Model.load_weights` and `Model.save_weights` call.


def load_model(
    filepath: PathLike, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """The model of a `.cfg` file with the weights of the file `.weights` of the same name beside it.

    Raises:
        FileNotFoundError: one of the two files is not there.
        ValueError: a file is damaged, or asks for what is not supported.
    """
    if not safe_mode:
        raise ValueError("load_model: safe_mode=False cannot be honoured: nothing in a file is ever executed")
    weights = Path(filepath).with_suffix(".weights")
    if os.path.exists(filepath) and not weights.exists():
        raise FileNotFoundError(
            f"{weights}: no such file: a .cfg file has its weights in one of the same name; "
            "cnnfast.interop.load_darknet(cfg, weights) takes any, and none for new weights"
        )
    return load_darknet(filepath, weights)


def load_weights(model: Any, filepath: PathLike, skip_mismatch: bool = False) -> None:
    """Read a file's weights into a model that `load_darknet` made, in the order of its `.cfg` file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model was made otherwise, so that its order is not known, the file's length does not fit, or
            `skip_mismatch` is asked for: the file has no names to tell what fits.
    """
    if skip_mismatch:
        raise ValueError("load_weights: skip_mismatch cannot be honoured: darknet's files name no layers")
    load_into(filepath, _origin_of(model, "load_weights").weighted)


def save_weights(model: Any, filepath: PathLike, overwrite: bool = True) -> None:
    """Write the weights of a model that `load_darknet` made, in the order of its `.cfg` file.

    Raises:
        ValueError: the model was made otherwise, so that its order is not known.
        FileExistsError: there is such a file, and `overwrite` is False.
    """
    save_from(filepath, _origin_of(model, "save_weights").weighted, overwrite)


def _origin_of(model: Any, owner: str) -> Origin:
    origin = getattr(model, "darknet", None)
    if not isinstance(origin, Origin):
        raise ValueError(
            f"{model.name}.{owner}: a .weights file holds numbers in the order of a .cfg file, which is known for "
            "models that load_darknet or an application such as TinyYOLOv2 made, not for others and not for copies"
        )
    return origin
