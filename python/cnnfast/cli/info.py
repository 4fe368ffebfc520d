"""Show the version, the instruction set in use, threads, compiler and OpenMP runtime."""

from __future__ import annotations

import argparse

from cnnfast.cli.arguments import add_threads, apply_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("--peak", action="store_true", help="also measure the peak of fused multiply-adds (a second)")
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out."""
    import cnnfast
    from cnnfast.config import measure_peak

    apply_threads(arguments)
    cnnfast.show_config()
    if arguments.peak:
        print(f"  measured peak    {measure_peak(1.0):.1f} GFLOP/s")
    return 0
