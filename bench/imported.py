"""Run ONNX files here and in ONNX Runtime: python -m bench.imported net.onnx --sizes 224 --batch 1 8."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import cnnfast
from bench import machine, measure, tables
from bench.networks import zoo
from bench.networks.nodes import with_weights
from bench.shapes import FloatArray, aligned_normal
from bench.timing import QUICK, Effort, interleaved
from cnnfast.interop import load_onnx

EPILOG = """\
Both sides run the same file, on the same data and with the same number of threads; their outputs are compared before
anything is timed. Images have their channels last on our side and second on the other, as each is at home with.

--networks has PyTorch write networks of bench.networks first: MobileNetV2, ResNet-18, ...

bench.report puts what --json writes on the page of results.
"""

_LEAST = 1e-4  # the root mean square of outputs that differences are related to at least


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        "bench.imported", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("files", nargs="*", type=Path, metavar="FILE.onnx")
    p.add_argument("--networks", metavar="REGEX", help="networks of bench.networks, by name, besides the files")
    p.add_argument("--batch", type=int, nargs="+", default=[1], help="where the file leaves the batch open (default 1)")
    p.add_argument("--sizes", type=int, nargs="+", default=[224], help="of images, where open (default 224)")
    p.add_argument("--threads", type=int, help="for both sides; as many as there are processors by default")
    p.add_argument("--rounds", type=int, default=8, help="turns of every contestant (default 8)")
    p.add_argument("--quick", action="store_true", help="one call each: to try things out")
    p.add_argument("--json", type=Path, metavar="FILE", help="write all results")
    return p


class Contest:
    """A file on both sides.

    Args:
        path: the file.
        threads: for ONNX Runtime.

    Raises:
        ValueError: it has several inputs, or takes no float32 images.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        self.path = path
        self.model = load_onnx(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            raise ValueError(f"{path}: expects one input of float32 images, got {[(i.type, i.shape) for i in inputs]}")
        self.name, self.shape = inputs[0].name, [n if isinstance(n, int) and n > 0 else None for n in inputs[0].shape]

    def shapes(self, batches: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, ...]]:
        """The inputs' shapes (N, C, H, W) to measure with: what the file fixes stays."""
        batch, channels, height, width = self.shape
        found = [
            (batch or n, channels or 3, height or size, width or size) for size in sizes for n in batches
        ]  # fmt: skip
        return list(dict.fromkeys(found))

    def row(self, shape: tuple[int, ...], effort: Effort) -> measure.Row:
        """Compare outputs, then measure.

        Raises:
            AssertionError: they differ by more than 1e-3.
        """
        size, channels, height, width = shape
        x = aligned_normal(np.random.default_rng(1), (size, height, width, channels))
        feed = {self.name: np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
        name = f"{self.path.stem} {height}x{width}, batch {size}"
        functions: dict[str, Callable[[], Any]] = {
            measure.OURS: lambda: self.model.infer(x),
            "onnx": lambda: self.session.run(None, feed),
        }
        mine = functions[measure.OURS]()
        mine = list(mine) if isinstance(mine, (list, tuple)) else [mine]
        for index, (found, wanted) in enumerate(zip(mine, functions["onnx"](), strict=True)):
            error = _difference(np.asarray(found), wanted)
            assert error < 1e-3, f"{name}: output {index} differs by {error:.1e}"
        times = interleaved(functions, effort)
        return measure.row("network", name, "inference", times, network=self.path.stem, batch=size)


def _difference(found: FloatArray, wanted: FloatArray) -> float:
    """The difference of outputs, of which images have their channels last on our side.

    It is relative to what is wanted, but where that is nearly nothing everywhere: a detector's answer to noise.
    """
    ways = [found] + ([np.moveaxis(found, -1, 1)] if found.ndim > 2 else [])
    size = max(float(np.linalg.norm(wanted)), _LEAST * wanted.size**0.5)
    return min(float(np.linalg.norm(way - wanted)) / size for way in ways if way.shape == wanted.shape)


def written(pattern: str, batches: Sequence[int], folder: Path) -> Iterator[Path]:
    """Files of the networks that a regular expression finds, written by PyTorch for each number of images."""
    from bench.peers.onnx_export import onnx_model

    for network in zoo.select(pattern):
        for size in batches:
            path = folder / str(size) / f"{network.name}.onnx"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(onnx_model(network, with_weights(network), size)[0])
            yield path


def rows(arguments: argparse.Namespace, failures: list[str]) -> Iterator[measure.Row]:
    """What was asked for, row by row; results that differ are noted as failures."""
    effort = QUICK if arguments.quick else Effort(rounds=arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        files = [
            *arguments.files,
            *(written(arguments.networks, arguments.batch, Path(folder)) if arguments.networks else ()),
        ]
        for path in files:
            contest = Contest(path, cnnfast.get_num_threads())
            for shape in contest.shapes(arguments.batch, arguments.sizes):
                try:
                    yield contest.row(shape, effort)
                except AssertionError as error:
                    failures.append(str(error))
                    print(f"WRONG: {error}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    arguments = parser().parse_args(argv)
    if not arguments.files and not arguments.networks:
        sys.exit("bench.imported: name files, or --networks")
    if arguments.threads:
        cnnfast.set_num_threads(arguments.threads)
    import onnxruntime

    info = machine.describe("bench.imported")
    info["versions"]["onnxruntime"] = onnxruntime.__version__
    print(f"{info['processor']}, {info['threads']} threads, {info['isa']}; {info['versions']}; times in ms")
    print(tables.line(tables.HEADINGS))
    found: list[measure.Row] = []
    failures: list[str] = []
    try:
        for row in rows(arguments, failures):
            found.append(row)
            print(tables.line(tables.cells(row)), flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"bench.imported: {error}")
    if arguments.json:
        result = {"peer": "onnxruntime, imported files", "quick": arguments.quick, "rounds": arguments.rounds,
                  "machine": info, "failures": failures, "rows": found, "means": tables.means(found)}  # fmt: skip
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if failures:
        sys.exit("bench.imported: wrong results:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
