"""Measuring layers and networks beside a peer; results are checked against its own before anything is timed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bench import layer_passes
from bench.networks import ours
from bench.networks.nodes import Network, with_weights
from bench.networks.runner import Runner
from bench.peers import Peer
from bench.shapes import FloatArray, Layer
from bench.timing import Effort, Times, interleaved
from cnnfast import _core

OURS = "cnnfast"
NETWORK_PASSES = ("training step", "inference")

Row = dict[str, Any]


def difference(found: FloatArray, wanted: FloatArray) -> float:
    """The norm of the difference over that of what is wanted."""
    assert found.shape == wanted.shape, f"shapes {found.shape} and {wanted.shape}"
    scale = float(np.linalg.norm(wanted.astype(np.float64)))
    return float(np.linalg.norm(found.astype(np.float64) - wanted)) / (scale or 1.0)


def row(kind: str, name: str, pass_: str, times: Mapping[str, Times], **more: Any) -> Row:
    """A row of the results: the times of both sides, and their ratios."""
    peers = {layout: t for layout, t in times.items() if layout != OURS}
    best, median = min(t.best for t in peers.values()), min(t.median for t in peers.values())
    own = times[OURS]
    return {
        "kind": kind,
        "name": name,
        "pass": pass_,
        "ours": own.as_dict(),
        "peer": {layout: t.as_dict() for layout, t in peers.items()},
        "layout": min(peers, key=lambda layout: peers[layout].median),
        "peer_best": best,
        "peer_median": median,
        "ratio_best": best / own.best,
        "ratio_median": median / own.median,
        **more,
    }


def layer_rows(layer: Layer, peer: Peer, effort: Effort, chosen: Collection[str]) -> list[Row]:
    """Measure the chosen passes of a layer.

    Raises:
        AssertionError: the two sides' results differ by more than 1e-3.
    """
    data = layer.data()
    peak = _peak()
    theirs = peer.layer_passes(layer, data)
    mine = layer_passes.passes(layer, data)
    algorithms = layer_passes.algorithms(layer)
    rows = []
    for pass_ in (p for p in layer.passes if p in chosen and p in theirs):
        _check_pass(layer, pass_, mine[pass_], theirs[pass_], peer)
        times = interleaved({OURS: mine[pass_], **theirs[pass_]}, effort)
        rate = layer.flops / times[OURS].best / 1e9
        rows.append(
            row("layer", layer.name, pass_, times, classes=layer.classes, flops=layer.flops, gflops=rate,
                 peak=peak, percent=100 * rate / peak, algorithm=algorithms.get(pass_, ""))
        )  # fmt: skip
    return rows


@functools.cache
def _peak() -> float:
    # Once, before a peer has started threads: they go on waiting busily for a while after their work.
    return _core.measure_peak(1.0)


def _check_pass(
    layer: Layer, pass_: str, mine: Callable[[], Any], theirs: Mapping[str, Callable[[], Any]], peer: Peer
) -> None:
    found = layer_passes.first_array(mine())
    for layout, function in theirs.items():
        error = difference(found, peer.to_array(layer, pass_, layout, function()))
        assert error < 1e-3, f"{layer.name} {pass_}: differs from {peer.name} ({layout}) by {error:.1e}"


def network_rows(network: Network, size: int, peer: Peer, effort: Effort, chosen: Collection[str]) -> list[Row]:
    """Measure a network for batches of one size.

    Raises:
        AssertionError: logits or the losses of the first steps differ by more than 1e-3.
    """
    steps = with_weights(network)
    theirs = peer.networks(network, steps, size)
    wanted = [p for p in NETWORK_PASSES if p in chosen and (peer.trains or p == "inference")]
    if not theirs or not wanted:
        return []
    mine = ours.build(network, steps, size)
    name = f"{network.name}, batch {size}"
    check_networks(name, mine, theirs, trains="training step" in wanted)
    rows = []
    for pass_ in wanted:
        method = "infer" if pass_ == "inference" else "train_step"
        functions = {OURS: getattr(mine, method), **{k: getattr(r, method) for k, r in theirs.items()}}
        times = interleaved(functions, effort)
        rows.append(row("network", name, pass_, times, network=network.name, batch=size))
    return rows


def check_networks(name: str, mine: Runner, theirs: Mapping[str, Runner], trains: bool) -> None:
    """Compare logits, and the losses of three training steps: gradients and updates are right then too."""
    logits = mine.infer()
    for layout, runner in theirs.items():
        error = difference(logits, np.asarray(runner.infer()))
        assert error < 1e-3, f"{name}: logits differ from {layout} by {error:.1e}"
    for step in range(3 if trains else 0):
        loss = mine.train_step()
        for layout, runner in theirs.items():
            other = runner.train_step()
            assert abs(loss - other) <= 1e-3 * max(1.0, abs(other)), (
                f"{name}, step {step}: loss {loss}, {layout} {other}"
            )


def geometric_mean(values: Sequence[float]) -> float:
    """The mean that fits ratios."""
    return float(np.exp(np.mean(np.log(values))))
