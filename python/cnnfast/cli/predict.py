"""Name what images show: image files, or arrays in .npy and .npz files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnnfast.cli.arguments import add_threads, apply_threads, whole
from cnnfast.cli.errors import CommandError
from cnnfast.cli.images import ARRAY_SUFFIXES, Preprocessing, load_array
from cnnfast.cli.resize import FloatArray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .safetensors file from `cnnfast train`")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="an image file, or an .npy or .npz array")
    parser.add_argument("--top", type=whole(1), default=1, metavar="K", help="the K most probable classes (1)")
    parser.add_argument("--json", action="store_true", help="print a JSON list with one object per image")
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out; a file that cannot be read is reported and the others are still named."""
    from cnnfast.cli.trained import load_trained

    apply_threads(arguments)
    model, form = load_trained(arguments.model)
    failed = False
    results: list[dict[str, Any]] = []
    for file in arguments.files:
        try:
            for name, images in _inputs(file, form):
                probabilities = model.predict(images, verbose=0)
                results += [_result(n, row, form, arguments.top) for n, row in zip(name, probabilities, strict=True)]
        except (CommandError, OSError) as error:
            failed = True
            print(f"cnnfast: error: {error}", file=sys.stderr)
        if not arguments.json:
            for result in results:
                print(_line(result))
            results.clear()
    if arguments.json:
        print(json.dumps(results, ensure_ascii=False, indent=2))
    return 1 if failed else 0


def _inputs(file: Path, form: Preprocessing) -> Iterator[tuple[list[str], FloatArray]]:
    """Batches of network input from a file, and what to call each image."""
    if file.suffix.lower() not in ARRAY_SUFFIXES:
        yield [str(file)], form.picture(file)
        return
    images = form.array(load_array(file), str(file))
    names = [str(file)] if len(images) == 1 else [f"{file}[{i}]" for i in range(len(images))]
    if len(images):
        yield names, images


def _result(name: str, probabilities: FloatArray, form: Preprocessing, top: int) -> dict[str, Any]:
    best = probabilities.argsort()[::-1][:top]
    named = [{"class": form.class_names[i], "probability": float(probabilities[i])} for i in best]
    return {"file": name, "predictions": named}


def _line(result: dict[str, Any]) -> str:
    named = ", ".join(f"{p['class']} ({p['probability']:.1%})" for p in result["predictions"])
    return f"{result['file']}: {named}"
