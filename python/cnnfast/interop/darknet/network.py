"""Sections checked one after the other, then made into a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnfast import layers
from cnnfast.arguments import integer
from cnnfast.interop.darknet import joining, keys, sections
from cnnfast.interop.darknet.cfg import Section
from cnnfast.interop.darknet.plan import (
    LARGEST_MAP,
    LARGEST_SIDE,
    MOST_CHANNELS,
    Head,
    Origin,
    Place,
    Plan,
    Shape,
    Weighted,
)
from cnnfast.models.model import Model

MOST_WEIGHTS = 1 << 29  # of a network without a file of weights: 2 GB

_PLANNERS: dict[str, Callable[[Place], Plan]] = {
    "activation": joining.active,
    "avgpool": sections.avgpool,
    "batchnorm": sections.batchnorm,
    "connected": sections.connected,
    "convolutional": sections.convolutional,
    "cost": joining.cost,
    "crop": sections.crop,
    "dropout": joining.dropout,
    "empty": joining.empty,
    "local_avgpool": sections.local_avgpool,
    "maxpool": sections.maxpool,
    "region": joining.region,
    "reorg": sections.reorg,
    "reorg3d": sections.reorg3d,
    "route": joining.route,
    "sam": joining.sam,
    "scale_channels": joining.scale_channels,
    "shortcut": joining.shortcut,
    "softmax": joining.softmax,
    "upsample": sections.upsample,
    "yolo": joining.yolo,
}


class Network:
    """A checked network, of which nothing is made yet.

    Args:
        parsed: the sections of a `.cfg` file.
        name: the file's name, for messages.
        input_shape: height, width and channels to use in place of those in `[net]`.
        epsilon: that of batch normalization.

    Raises:
        ValueError: a section or key is unknown, cannot be honoured, or does not fit what is before it.
    """

    def __init__(
        self, parsed: Sequence[Section], name: str, input_shape: Sequence[int] | None = None, epsilon: float = 1e-5
    ) -> None:
        if not parsed or keys.SYNONYMS.get(parsed[0].kind, parsed[0].kind) != "net":
            raise ValueError(f"{name}: expects [net] as its first section")
        self.name = name
        self.input_shape = _input_shape(parsed[0], input_shape)
        self.plans: list[Plan] = []
        shapes: list[Shape | None] = [self.input_shape]
        for index, section in enumerate(parsed[1:]):
            plan = _planned(Place(section, index, shapes, self.input_shape, epsilon))
            self.plans.append(plan)
            shapes.append(None if plan.make is None or plan.head else plan.shape)
        if not self._output_numbers():
            raise ValueError(f"{name}: expects a section that computes something")

    @property
    def heads(self) -> list[Head]:
        """The `[yolo]` and `[region]` sections."""
        return [plan.head for plan in self.plans if plan.head is not None]

    @property
    def weighted(self) -> list[Weighted]:
        """The sections with weights, in the order of the file of weights."""
        return [plan.weights for plan in self.plans if plan.weights is not None]

    @property
    def weight_count(self) -> int:
        """How many numbers a file of weights holds behind its header."""
        return sum(weighted.count for weighted in self.weighted)

    def _output_numbers(self) -> list[int]:
        """The heads, or the last layer where there is none."""
        heads = [number for number, plan in enumerate(self.plans) if plan.head is not None]
        return heads or [number for number, plan in enumerate(self.plans) if plan.make is not None][-1:]

    def make(self, model_name: str | None = None) -> Model:
        """Make the layers, with initial weights, and the model."""
        x = layers.Input(self.input_shape)
        tensors: list[Any] = [x]
        for plan in self.plans:
            tensors.append(None if plan.make is None else plan.make([tensors[n + 1] for n in plan.sources]))
        outputs = [tensors[n + 1] for n in self._output_numbers()]
        model = Model(x, outputs if len(outputs) > 1 else outputs[0], name=model_name)
        model.darknet = Origin(self.heads, self.weighted)
        return model


def _input_shape(net: Section, given: Sequence[int] | None) -> Shape:
    """What `[net]` says, or a caller, of the network's input."""
    if net.integer("time_steps", 1) > 1:
        net.fail("expects 1: recurrent networks are not supported", "time_steps")
    sides = [
        net.integer(key, 0, low, high)
        for key, low, high in (
            ("height", 1, LARGEST_SIDE),
            ("width", 1, LARGEST_SIDE),
            ("channels", 1, MOST_CHANNELS),
        )
    ]
    if given is not None:
        sides = [integer("load_darknet", "input_shape", n) for n in given]
        if len(sides) != 3 or min(sides) < 1 or max(sides[:2]) > LARGEST_SIDE:
            raise ValueError(f"load_darknet: input_shape expects (height, width, channels), got {tuple(given)}")
    count = net.integer("inputs", 0, 1, LARGEST_MAP)
    net.check_all_known(keys.NET)
    product = sides[0] * sides[1] * sides[2]
    if product > LARGEST_MAP:
        net.fail(f"expects images of at most {LARGEST_MAP} numbers, got {tuple(sides)}", "width")
    if not product and any(sides):
        missing = ("height", "width", "channels")[sides.index(0)]
        net.fail("is missing", missing)
    if count and product and count != product:
        net.fail(f"expects height * width * channels, {product}", "inputs")
    if not product and not count:
        net.fail("expects width, height and channels")
    return tuple(sides) if product else (count,)


def _planned(place: Place) -> Plan:
    section = place.section
    kind = keys.SYNONYMS.get(section.kind, section.kind)
    if kind not in _PLANNERS:
        if kind == "net":
            section.fail("is expected once, at the start")
        section.fail(keys.REFUSED_SECTIONS.get(kind, "is not a section that is known"))
    section.refuse(keys.REFUSED_IN_ALL)
    plan = _PLANNERS[kind](place)
    section.check_all_known(keys.LAYER | keys.BY_SECTION.get(kind, frozenset()))
    return plan
