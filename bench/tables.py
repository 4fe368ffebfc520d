"""Results as text: one line per layer and pass, and means per class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.measure import NETWORK_PASSES, Row, geometric_mean
from bench.shapes import CLASSES, LAYERS, PASSES

HEADINGS = ["layer", "pass", "algorithm", "best", "median", "GFLOP/s", "% peak", "peer best", "median", "layout",
            "x best", "x median"]  # fmt: skip
POOLED_HEADINGS = ["x best, pooled", "x median, pooled"]


def milliseconds(seconds: float) -> str:
    """Three significant digits or so."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def cells(row: Row) -> list[str]:
    """The cells of a row, under `HEADINGS` and, where it has them, `POOLED_HEADINGS`."""
    rate = [f"{row['gflops']:.0f}", f"{row['percent']:.0f}"] if row.get("gflops") else ["", ""]
    found = [
        row["name"], row["pass"], row.get("algorithm", ""), milliseconds(row["ours"]["best"]),
        milliseconds(row["ours"]["median"]), *rate, milliseconds(row["peer_best"]), milliseconds(row["peer_median"]),
        row["layout"], f"{row['ratio_best']:.2f}", f"{row['ratio_median']:.2f}",
    ]  # fmt: skip
    if "pooled" in row:
        found += [f"{row['pooled'][k]:.2f}" for k in ("ratio_best", "ratio_median")]
    return found


def headings(rows: Iterable[Row]) -> list[str]:
    return HEADINGS + (POOLED_HEADINGS if any("pooled" in r for r in rows) else [])


def line(values: Sequence[str]) -> str:
    """A line for a terminal."""
    widths = (24, 17, 20, 8, 8, 8, 7, 10, 8, 14, 7, 9, 15, 16)
    return " ".join(
        f"{v:<{w}}" if i < 3 or i == 9 else f"{v:>{w}}" for i, (v, w) in enumerate(zip(values, widths, strict=False))
    )


def means(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """For every class and pass that was measured: geometric means and the least of the ratios.

    Networks are a class each, without a mean over batch sizes.
    """
    rows = list(rows)
    found = []
    for label in (*CLASSES, "all layers"):
        for pass_ in PASSES:
            some = [
                r
                for r in rows
                if r["kind"] == "layer" and r["pass"] == pass_ and label in (*r["classes"], "all layers")
            ]
            if some:
                found.append(_mean(label, pass_, some))
    for name in dict.fromkeys(r["name"] for r in rows if r["kind"] == "network"):
        for pass_ in NETWORK_PASSES:
            some = [r for r in rows if r["kind"] == "network" and r["name"] == name and r["pass"] == pass_]
            if some:
                found.append(_mean(name, pass_, some))
    return found


def _mean(label: str, pass_: str, rows: Sequence[Row]) -> dict[str, Any]:
    entry = {
        "class": label,
        "kind": rows[0]["kind"],
        "pass": pass_,
        "rows": len(rows),
        "ratio_best": geometric_mean([r["ratio_best"] for r in rows]),
        "ratio_median": geometric_mean([r["ratio_median"] for r in rows]),
        "least": min(r["ratio_median"] for r in rows),
    }
    if all("pooled" in r for r in rows):
        for key in ("ratio_best", "ratio_median"):
            entry[f"pooled_{key}"] = geometric_mean([r["pooled"][key] for r in rows])
    return entry


MEAN_HEADINGS = ["class", "pass", "rows", "x best", "x median", "least", "x best, pooled", "x median, pooled"]


def mean_cells(entry: dict[str, Any]) -> list[str]:
    """The cells of an entry of `means`, under `MEAN_HEADINGS`."""
    numbers = [entry["ratio_best"], entry["ratio_median"], entry["least"]]
    pooled = [entry.get("pooled_ratio_best"), entry.get("pooled_ratio_median")]
    return [
        entry["class"], entry["pass"], str(entry["rows"]), *(f"{v:.2f}" for v in numbers),
        *("" if v is None else f"{v:.2f}" for v in pooled),
    ]  # fmt: skip


def mean_line(values: Sequence[str]) -> str:
    """A line of means for a terminal."""
    widths = (43, 17, 5, 8, 9, 7, 15, 17)
    return " ".join(f"{v:<{w}}" if i < 2 else f"{v:>{w}}" for i, (v, w) in enumerate(zip(values, widths, strict=False)))


# Operations for each byte from which on arithmetic, not memory, is to limit a direct convolution: two to three times
# what a processor computes while its memory delivers a byte.
COMPUTE_BOUND = 48.0
PEAK_HEADINGS = ["layer", "pass", "operations per byte", "GFLOP/s", "% peak"]


def peak_cells(rows: Iterable[Row]) -> list[list[str]]:
    """Direct convolutions that arithmetic is to limit, beside the peak: the cells under `PEAK_HEADINGS`."""
    intensity = {layer.name: layer.intensity for layer in LAYERS}
    found = [
        (intensity[row["name"]], row)
        for row in rows
        if row.get("algorithm") == "direct" and intensity.get(row["name"], 0.0) >= COMPUTE_BOUND
    ]
    found.sort(key=lambda pair: -pair[1]["percent"])
    return [
        [row["name"], row["pass"], f"{value:.0f}", f"{row['gflops']:.0f}", f"{row['percent']:.0f}"]
        for value, row in found
    ]


def markdown(head: Sequence[str], body: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table whose first `left` columns are text."""
    lines = [head, [":--" if i < left else "--:" for i in range(len(head))], *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
