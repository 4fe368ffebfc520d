"""What scripts ask every layer about, and what is the same for all of them here."""

from __future__ import annotations

from typing import Any


class Described:
    """The part of every layer that tells of types, names and masks."""

    name: str
    supports_masking = False

    @property
    def dtype(self) -> str:
        """The type of weights' elements: float32."""
        return "float32"

    compute_dtype = variable_dtype = input_dtype = dtype

    @property
    def path(self) -> str:
        """The layer's name; layers do not know what they are part of."""
        return self.name

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output: none, for there are no masks but those that a `call` takes itself.

        Args:
            inputs: what the layer is given.
            previous_mask: the mask of that.

        Raises:
            ValueError: there is one.
        """
        if previous_mask is not None:
            raise ValueError(f"{self.name}: masks are not supported")
