"""How time grows with batch, image size and threads: python -m bench.scaling --axis threads --layer r50_3x3_56."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cnnfast
from bench import machine, measure, peers, shapes, tables
from bench.networks import zoo
from bench.timing import QUICK, Effort

AXES = ("batch", "size", "threads")
BATCHES = (1, 2, 4, 8, 16, 32)
LAYER_SIZES, NETWORK_SIZES = (7, 14, 28, 56, 112), (64, 128, 192, 224)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser("bench.scaling", description=__doc__)
    p.add_argument("--peer", choices=("torch",), default="torch")
    p.add_argument("--axis", choices=AXES, nargs="+", default=AXES)
    p.add_argument("--layer", default="^r50_3x3_56$", metavar="REGEX")
    p.add_argument("--network", default="ResNet-18", metavar="REGEX")
    p.add_argument("--only", choices=("layers", "networks"))
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--quick", action="store_true", help="tiny shapes, called once: to try things out")
    p.add_argument("--json", type=Path, metavar="FILE")
    return p


def _layer_points(layer: shapes.Layer, axis: str, threads: Sequence[int]) -> Iterator[tuple[int, shapes.Layer]]:
    if axis == "batch":
        yield from ((n, replace(layer, batch=n)) for n in BATCHES)
    elif axis == "size":
        yield from ((n, replace(layer, size=(n,) * layer.rank)) for n in LAYER_SIZES)
    else:
        yield from ((n, layer) for n in threads)


def _network_points(axis: str, threads: Sequence[int]) -> Sequence[int]:
    return {"batch": BATCHES[:5], "size": NETWORK_SIZES, "threads": threads}[axis]


def _set_threads(peer: str, count: int) -> peers.Peer:
    cnnfast.set_num_threads(count)
    return peers.load(peer, count)


def points(arguments: argparse.Namespace) -> Iterator[measure.Row]:
    """Measure what was asked for; the rows say what varies ("axis") and its "value"."""
    most = cnnfast.get_num_threads()
    threads = sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})
    effort = QUICK if arguments.quick else Effort(rounds=arguments.rounds)
    for axis in arguments.axis:
        if arguments.only != "networks":
            for chosen in shapes.select(arguments.layer):
                layer = chosen.scaled_down() if arguments.quick else chosen
                for value, point in _layer_points(layer, axis, threads):
                    peer = _set_threads(arguments.peer, value if axis == "threads" else most)
                    for row in measure.layer_rows(point, peer, effort, shapes.PASSES):
                        yield row | {"axis": axis, "value": value}
        if arguments.only != "layers":
            yield from _network_rows(arguments, axis, threads, most, effort)


def _network_rows(
    arguments: argparse.Namespace, axis: str, threads: Sequence[int], most: int, effort: Effort
) -> Iterator[measure.Row]:
    for chosen in zoo.select(arguments.network):
        network = chosen.scaled_down() if arguments.quick else chosen
        for value in _network_points(axis, threads):
            peer = _set_threads(arguments.peer, value if axis == "threads" else most)
            side = value if axis == "size" else network.input_shape[0]
            sized = replace(network, input_shape=(side, side, network.input_shape[2]))
            size = value if axis == "batch" else network.batches[-1]
            for row in measure.network_rows(sized, size, peer, effort, measure.NETWORK_PASSES):
                yield row | {"axis": axis, "value": value}


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    info = machine.describe("bench.scaling")
    info["versions"] |= peers.load(arguments.peer, cnnfast.get_num_threads()).versions()
    found = []
    try:
        for row in points(arguments):
            found.append(row)
            print(f"{row['axis']:<8} {row['value']:>5} {tables.line(tables.cells(row))}", flush=True)
    except ValueError as error:
        sys.exit(f"bench.scaling: {error}")
    if arguments.json:
        result = {"peer": arguments.peer, "quick": arguments.quick, "machine": info, "scaling": found}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
