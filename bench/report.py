"""Turn results into a page: python -m bench.report results.json [more.json ...] > docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import tables
from bench.memory import MIB

INTRODUCTION = """\
# Benchmarks

Times of cnnfast and of other engines on the same machine, in the same run, with the same number of threads, float32,
and the same weights and data; results are compared before anything is timed. The contestants take turns for several
rounds, so that a change of the machine's speed meets all of them. *Best* is the fastest call, *median* the usual one.
A ratio is the other engine's time over cnnfast's: more than 1 means that cnnfast is faster. PyTorch has two memory
layouts; for each layer and pass the better one counts. Rates (GFLOP/s) are those of a direct convolution, whatever the
algorithm; the percentages relate them to the rate of fused multiply-adds that the processor reached just
before. Convolutions by minimal filtering need fewer operations and may exceed 100 %.

*Pooled* repeats the comparison with the other engine's memory allocator made to keep what it frees. cnnfast always
does that with its results; fresh memory costs page faults, and the two columns tell how much of a ratio is due to them.

To repeat it on a quiet machine, from a checkout:

```
pip install '.[peers,test]'
python -m bench.compare --peer torch --pooled --memory --flat --json torch.json --chart docs/benchmarks.png
CNNFAST_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python -m bench.compare --peer torch --json torch-avx2.json
python -m bench.compare --peer tensorflow --json tensorflow.json
python -m bench.compare --peer onnxruntime --batch 16 --networks 'VGG-11|ResNet-18' --json onnxruntime.json
python -m bench.compare --peer openvino --batch 16 --networks 'VGG-11|ResNet-18' --json openvino.json
python -m bench.imported --networks 'ResNet-18|MobileNetV2' --batch 1 16 --json imported.json
python -m bench.scaling --json scaling.json
python -m bench.report torch.json torch-avx2.json tensorflow.json onnxruntime.json openvino.json imported.json \\
  scaling.json --chart benchmarks.png > docs/benchmarks.md
```

`pytest bench` measures cnnfast alone and checks its results.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser("bench.report", description=__doc__)
    p.add_argument("results", nargs="+", type=Path, metavar="FILE", help="what --json wrote")
    p.add_argument("--chart", metavar="PATH", help="of the picture, relative to the page")
    return p


def _machine(info: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in info["versions"].items())
    lines = [
        f"- Processor: {info['processor']}, {info['threads']} of {info['available_processors']} threads, {info['isa']}",
        f"- System: {info['system']}, {info['libc']}; compiler {info['compiler']}",
        f"- Versions: {versions}",
        f"- Precision: {info['precision']}",
    ]
    if info.get("peak_gflops"):
        lines.append(f"- Measured peak: {info['peak_gflops']:.0f} GFLOP/s")
    if info["environment"]:
        lines.append("- Environment: " + " ".join(f"`{k}={v}`" for k, v in info["environment"].items()))
    return "\n".join([*lines, "", "```", info["command"], "```"])


def _comparison(result: dict[str, Any]) -> Iterator[str]:
    yield tables.markdown(tables.MEAN_HEADINGS, map(tables.mean_cells, result["means"]), left=2)
    for kind, title in (("layer", "Layers"), ("network", "Networks")):
        rows = [r for r in result["rows"] if r["kind"] == kind]
        if rows:
            yield f"### {title}, times in milliseconds"
            yield tables.markdown(tables.headings(rows), map(tables.cells, rows), left=3)
    direct = tables.peak_cells(result["rows"])
    if direct:
        yield "### Direct convolutions beside the processor's peak"
        yield (
            f"Those with at least {tables.COMPUTE_BOUND:.0f} operations for each byte of their arrays, which "
            "arithmetic is to limit, not memory."
        )
        yield tables.markdown(tables.PEAK_HEADINGS, direct, left=2)


def _memory(result: dict[str, Any]) -> Iterator[str]:
    if "memory" in result:
        yield "### Peak memory of a training step"
        body = [[f"{e['network']}, batch {e['batch']}, {e['contestant']}", f"{e['peak'] / MIB:.0f}",
                 f"{e['imported'] / MIB:.0f}"] for e in result["memory"]]  # fmt: skip
        yield tables.markdown(["", "peak, MiB", "after import, MiB"], body)
    if "flat" in result:
        yield "### Memory over predictions with changing shapes"
        body = [[e["contestant"], str(e["calls"]), f"{e['resident'][0] / MIB:.0f}", f"{e['resident'][-1] / MIB:.0f}",
                 f"{e['growth'] / MIB:+.1f}"] for e in result["flat"]]  # fmt: skip
        yield tables.markdown(["", "calls", "after a tenth, MiB", "at the end, MiB", "growth, MiB"], body)


def _scaling(result: dict[str, Any]) -> Iterator[str]:
    rows = result.get("scaling", [])
    for axis in dict.fromkeys(r["axis"] for r in rows):
        yield f"### Scaling with {axis}"
        head = [axis, *tables.headings(rows)]
        yield tables.markdown(head, ([str(r["value"]), *tables.cells(r)] for r in rows if r["axis"] == axis), left=4)


def page(results: Sequence[dict[str, Any]], chart: str | None) -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION.rstrip()]
    if chart:
        parts.append(f"![Ratios by class of layer and by network]({chart})")
    for result in results:
        isa = result["machine"]["isa"]
        parts.append(f"## Beside {result['peer']}, {isa}")
        if result["quick"]:
            parts.append("**Scaled-down shapes, called once: these figures mean nothing.**")
        parts.append(_machine(result["machine"]))
        parts += [f"**Wrong result:** {failure}" for failure in result.get("failures", [])]
        if "rows" in result:
            parts += _comparison(result)
        parts += [*_memory(result), *_scaling(result)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    print(page([json.loads(path.read_text()) for path in arguments.results], arguments.chart), end="")


if __name__ == "__main__":
    main()
