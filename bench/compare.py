"""Compare cnnfast with another engine in one process: python -m bench.compare --peer torch."""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cnnfast
from bench import machine, measure, memory, peers, shapes, tables
from bench.networks import zoo
from bench.timing import QUICK, Effort

EPILOG = """\
Every ratio is the peer's time over ours, so that more than 1 means that cnnfast is faster. The peer's better memory
layout counts, for each layer and pass. "best" compares the fastest calls, "median" the usual ones.

--pooled measures again with the peer's memory allocator made to keep what it frees (MALLOC_MMAP_THRESHOLD_ and
MALLOC_TRIM_THRESHOLD_, read by glibc when a process starts): what is left of a ratio then is arithmetic, not page
faults.

Both sides on AVX2, on a processor that has more:
  CNNFAST_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python -m bench.compare --peer torch --json avx2.json

For figures worth keeping the machine must be quiet; see bench.report for turning them into a page.
"""

# 4 GiB, past every array here: nothing comes from mmap or goes back to the system.
RETAINING = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        "bench.compare", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--peer", choices=peers.NAMES, default="torch")
    p.add_argument("--only", choices=("layers", "networks"), help="leave the others out")
    p.add_argument("--layers", default="", metavar="REGEX", help="layers by name or class")
    p.add_argument("--networks", default="", metavar="REGEX", help="networks by name")
    p.add_argument("--batch", type=int, help="for networks, instead of their own batch sizes")
    every = (*shapes.PASSES, *measure.NETWORK_PASSES)
    p.add_argument("--passes", nargs="+", choices=every, default=every, metavar="PASS", help=", ".join(every))
    p.add_argument("--threads", type=int, help="for both sides; as many as there are processors by default")
    p.add_argument("--rounds", type=int, default=8, help="turns of every contestant (default 8)")
    p.add_argument("--quick", action="store_true", help="tiny shapes, called once: to try things out")
    p.add_argument("--pooled", action="store_true", help="add columns with the peer's allocator retaining memory")
    p.add_argument("--memory", action="store_true", help="peak memory of a ResNet-18 training step")
    p.add_argument("--flat", action="store_true", help="memory over 10,000 predictions with changing shapes")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all results")
    p.add_argument("--chart", type=Path, metavar="FILE", help="draw the means (needs matplotlib)")
    return p


def contests(arguments: argparse.Namespace, peer: peers.Peer) -> Iterator[Callable[[], list[measure.Row]]]:
    """What was asked for: functions that measure one layer or network each."""
    effort = QUICK if arguments.quick else Effort(rounds=arguments.rounds)
    if arguments.only != "networks" and not isinstance(peer, peers.NoLayers):
        for layer in shapes.select(arguments.layers):
            layer = layer.scaled_down() if arguments.quick else layer
            yield partial(measure.layer_rows, layer, peer, effort, arguments.passes)
    if arguments.only != "layers":
        for network in zoo.select(arguments.networks):
            network = network.scaled_down() if arguments.quick else network
            for size in [arguments.batch] if arguments.batch else network.batches:
                yield partial(measure.network_rows, network, size, peer, effort, arguments.passes)


def measure_all(arguments: argparse.Namespace, peer: peers.Peer) -> tuple[list[measure.Row], list[str]]:
    """The rows, printed as they come, and what went wrong: results that differ end only their own contest."""
    rows: list[measure.Row] = []
    failures: list[str] = []
    for contest in contests(arguments, peer):
        try:
            found = contest()
        except AssertionError as error:
            failures.append(str(error))
            print(f"WRONG: {error}", flush=True)
            continue
        rows += found
        for row in found:
            print(tables.line(tables.cells(row)), flush=True)
        gc.collect()
    return rows, failures


def with_retained_memory(arguments: Sequence[str]) -> list[measure.Row]:
    """The rows that the same command gives in a process whose allocator retains memory."""
    print("\nwith the allocator retaining memory:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pooled.json"
        dropped = {"--pooled", "--memory", "--flat"}
        command = [sys.executable, "-m", "bench.compare", *(a for a in arguments if a not in dropped)]
        subprocess.run([*command, "--json", str(path)], env={**os.environ, **RETAINING}, check=False)
        return json.loads(path.read_text())["rows"]


def add_pooled(plain: Sequence[measure.Row], pooled: Sequence[measure.Row]) -> None:
    """Put the ratios of the second measurement into the rows of the first."""
    by_key = {(r["name"], r["pass"]): r for r in pooled}
    for row in plain:
        if other := by_key.get((row["name"], row["pass"])):
            kept = ("ours", "peer", "layout", "peer_best", "peer_median", "ratio_best", "ratio_median")
            row["pooled"] = {key: other[key] for key in kept}


def without_outputs(arguments: Sequence[str]) -> list[str]:
    """The command line without its output files."""
    kept, skip = [], False
    for a in arguments:
        if skip or a.startswith(("--json=", "--chart=")):
            skip = False
        elif a in ("--json", "--chart"):
            skip = True
        else:
            kept.append(a)
    return kept


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> dict[str, Any]:
    """Measure, print, and return everything for the JSON file."""
    if arguments.threads:
        cnnfast.set_num_threads(arguments.threads)
    peer = peers.load(arguments.peer, cnnfast.get_num_threads())
    result: dict[str, Any] = {"peer": peer.name, "quick": arguments.quick, "rounds": arguments.rounds}
    result["machine"] = machine.describe("bench.compare")
    result["machine"]["versions"] |= peer.versions()
    info = result["machine"]
    print(f"{info['processor']}, {info['threads']} threads, {info['isa']}; {info['versions']}; times in ms")
    print(tables.line(tables.HEADINGS))
    found, result["failures"] = measure_all(arguments, peer)
    if arguments.pooled:
        add_pooled(found, with_retained_memory(without_outputs(argv)))
        print(f"\n{tables.line(tables.headings(found))}")
        print("\n".join(tables.line(tables.cells(row)) for row in found))
    result["rows"], result["means"] = found, tables.means(found)
    info["peak_gflops"] = max((r["peak"] for r in found if "peak" in r), default=None)
    print(f"\n{tables.mean_line(tables.MEAN_HEADINGS)}")
    print("\n".join(tables.mean_line(tables.mean_cells(entry)) for entry in result["means"]))
    if arguments.memory:
        result["memory"] = memory.compare_peaks(arguments.peer, arguments.quick)
    if arguments.flat:
        result["flat"] = memory.compare_growth(arguments.peer, arguments.quick)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = parser().parse_args(argv)
    try:
        result = run(arguments, argv)
    except ValueError as error:
        raise SystemExit(f"bench.compare: {error}") from None
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.chart:
        from bench.chart import draw

        draw(result, arguments.chart)
    if result["failures"]:
        sys.exit("bench.compare: wrong results:\n" + "\n".join(result["failures"]))


if __name__ == "__main__":
    main()
