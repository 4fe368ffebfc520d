"""What a batch is: inputs, labels and weights, each an array, a structure of arrays, or None."""

from typing import Any

Batch = tuple[Any, Any, Any]
