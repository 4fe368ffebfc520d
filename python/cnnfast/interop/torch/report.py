"""What became of the tensors of a file: a table of names, shapes and changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadedWeight:
    """One weight of a model and where it came from.

    Args:
        source: the tensor's name in the file.
        source_shape: its shape there.
        target: the weight's name in the model.
        target_shape: its shape here.
        change: what was done to the tensor; empty for nothing.
        matched_by: "mapping", "name" or "order".
    """

    source: str
    source_shape: tuple[int, ...]
    target: str
    target_shape: tuple[int, ...]
    change: str
    matched_by: str


@dataclass(frozen=True)
class LoadReport:
    """Which tensors became which weights; printed, it is a table.

    Args:
        loaded: a row for each weight that was set.
        unused: the tensors of the file that no weight took.
        missing: the model's weights that nothing was found for; they are as they were.

    Example:
        >>> row = LoadedWeight("fc.weight", (2, 3), "fc/kernel", (3, 2), "transposed (1, 0)", "name")
        >>> print(LoadReport((row,), ("fc.extra",), ()))
        tensor     shape      weight     shape   change             by
        fc.weight  (2, 3)  -> fc/kernel  (3, 2)  transposed (1, 0)  name
        unused: fc.extra
    """

    loaded: tuple[LoadedWeight, ...]
    unused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """The tensors' names by those of the weights, as `to_torch_state_dict` takes them."""
        return {row.target: row.source for row in self.loaded}

    def __str__(self) -> str:
        rows = [("tensor", "shape", "", "weight", "shape", "change", "by")]
        for row in self.loaded:
            shapes = str(row.source_shape), str(row.target_shape)
            rows.append((row.source, shapes[0], "->", row.target, shapes[1], row.change, row.matched_by))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for tensor, shape, arrow, weight, own, change, by in rows:
            left = f"{tensor:{widths[0]}}  {shape:{widths[1]}} {arrow:2} {weight:{widths[3]}}"
            lines.append(f"{left}  {own:{widths[4]}}  {change:{widths[5]}}  {by}")
        for title, names in (("unused", self.unused), ("missing", self.missing)):
            lines += [f"{title}: {name}" for name in names]
        return "\n".join(line.rstrip() for line in lines)
