"""The means of a comparison as a picture: bars per class and pass, and per network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLORS = {
    "forward": "#4477aa", "backward_data": "#ee6677", "backward_weights": "#228833", "backward": "#aa3377",
    "training step": "#4477aa", "inference": "#ccbb44",
}  # fmt: skip
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def _bars(axes: Any, means: Sequence[dict[str, Any]], title: str) -> None:
    labels = list(dict.fromkeys(m["class"] for m in means))
    passes = [p for p in COLORS if any(m["pass"] == p for m in means)]
    at, ticks = 0.0, []
    for label in labels:
        some = sorted((m for m in means if m["class"] == label), key=lambda m: passes.index(m["pass"]))
        ticks.append(at + (len(some) - 1) / 2)
        for m in some:
            axes.barh(at, m["ratio_median"] - 1, left=1, height=0.85, color=COLORS[m["pass"]])
            axes.text(max(m["ratio_median"], 1), at, f" {m['ratio_median']:.1f}", va="center", fontsize=7)
            pooled = m.get("pooled_ratio_median")
            if pooled is not None:
                axes.plot([pooled, pooled], [at - 0.42, at + 0.42], color="black", linewidth=1.5)
            at += 1
        at += 0.8
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks([], minor=True)
    low, high = axes.get_xlim()
    axes.set_xticks([t for t in TICKS if low <= t <= high])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="x", labelsize=8)
    axes.axvline(1, color="gray", linewidth=1)
    axes.set_title(title, fontsize=10)
    handles = [axes.barh(0, 0, left=1, color=COLORS[p], label=p.replace("_", " ")) for p in passes]
    if any("pooled_ratio_median" in m for m in means):
        handles += axes.plot([], [], color="black", linewidth=1.5, label="pooled")
    figure = axes.figure
    axes.legend(
        handles=handles, fontsize=7, ncols=5, frameon=False, loc="upper center",
        bbox_to_anchor=(0.5, -0.35 / figure.get_size_inches()[1]),
    )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the chart of a result of `bench.compare`; black marks show the peer with retained memory.

    Raises:
        SystemExit: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise SystemExit("--chart needs matplotlib: pip install 'cnnfast[plot]'") from None
    groups = [
        (title, [m for m in result["means"] if m["kind"] == kind])
        for title, kind in (("layers, geometric means", "layer"), ("networks", "network"))
    ]
    groups = [(title, means) for title, means in groups if means]
    height = max(len(means) + 0.8 * len({m["class"] for m in means}) for _, means in groups)
    figure = Figure(figsize=(6.5 * len(groups), 1.8 + 0.16 * height), layout="constrained")
    for axes, (title, means) in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        _bars(axes, means, title)
    info = result["machine"]
    version = info["versions"].get(result["peer"], "")
    figure.suptitle(
        f"{result['peer']} {version}'s time over cnnfast's (more than 1: cnnfast is faster)\n"
        f"{info['processor']}, {info['threads']} threads, {info['isa']}", fontsize=10,
    )  # fmt: skip
    figure.savefig(path, dpi=150)
