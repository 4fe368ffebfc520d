"""The activation of layers with weights, which may be assigned to later on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast import activations


class Activated:
    """Gives a layer an `activation`: the engine applies it while it writes where it can, else it comes after."""

    _fused: str | None = None
    _after: Callable[[Any], Any] | None = None

    @property
    def activation(self) -> Any:
        """The function that is applied to the output; a name or a function may be assigned."""
        return self._activation

    @activation.setter
    def activation(self, value: Any) -> None:
        self._activation = activations.get(value)
        self._fused, self._after = activations.split_fused(self._activation)
        # What the configuration tells is what the layer does.
        arguments: dict[str, Any] = getattr(self, "_arguments", {})
        if "activation" in arguments and activations.get(arguments["activation"]) is not self._activation:
            arguments["activation"] = value
