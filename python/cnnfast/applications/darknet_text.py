"""Networks written as the text of a `.cfg` file, section by section."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Pairs = Sequence[tuple[float, float]]


class DarknetText:
    """The sections of a network so far.

    Args:
        height: of the network's input.
        width: of the network's input.
        channels: of the network's input.

    Example:
        >>> print(DarknetText(8, 8, 3).add("maxpool", size=2, stride=2))
        [net]
        height=8
        width=8
        channels=3
        [maxpool]
        size=2
        stride=2
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        self._lines: list[str] = []
        self.last = -2  # the number of the last section, [net] not counted
        self.add("net", height=height, width=width, channels=channels)

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def add(self, kind: str, **options: object) -> DarknetText:
        """Add a section; returns the text itself."""
        self._lines += [f"[{kind}]", *(f"{key}={value}" for key, value in options.items())]
        self.last += 1
        return self

    def conv(
        self, filters: int, size: int, *, stride: int = 1, groups: int = 1, activation: str = "leaky"
    ) -> DarknetText:
        """Add a convolution with batch normalization, padded by half of its window."""
        return self.add(
            "convolutional",
            batch_normalize=1,
            filters=filters,
            size=size,
            stride=stride,
            pad=1,
            groups=groups,
            activation=activation,
        )

    def _head(self, anchors: int, classes: int) -> None:
        """Add the convolution that makes a raw map."""
        self.add("convolutional", filters=anchors * (classes + 5), size=1, stride=1, pad=1, activation="linear")

    def region(self, classes: int, anchors: Pairs) -> None:
        """Add a map of version 2, with a softmax over the classes."""
        self._head(len(anchors), classes)
        self.add("region", anchors=_joined(anchors), num=len(anchors), classes=classes, coords=4, softmax=1)

    def yolo(self, classes: int, anchors: Pairs, coarse: bool) -> None:
        """Add a map of version 3 with the larger or the smaller half of the anchors."""
        half = len(anchors) // 2
        self.yolo_masked(classes, anchors, range(half, 2 * half) if coarse else range(half))

    def yolo_masked(self, classes: int, anchors: Pairs, mask: Iterable[int]) -> None:
        """Add a map of version 3 with some of the anchors."""
        chosen = list(mask)
        self._head(len(chosen), classes)
        text = ",".join(map(str, chosen))
        self.add("yolo", mask=text, anchors=_joined(anchors), num=len(anchors), classes=classes)


def _joined(anchors: Pairs) -> str:
    return ",".join(f"{number:.9g}" for pair in anchors for number in pair)
