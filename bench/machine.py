"""What a measurement depends on besides the code: processor, threads, versions, environment."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

import cnnfast
from cnnfast import _core

# Variables that change what is measured. The two *_ISA hold both sides to AVX2 together:
# CNNFAST_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2.
VARIABLES = ("CNNFAST_", "ONEDNN_", "DNNL_", "OMP_", "GOMP_", "KMP_", "MKL_", "MALLOC_", "GLIBC_", "TF_ENABLE_",
             "ATEN_", "BENCH_", "LD_PRELOAD")  # fmt: skip


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe(module: str) -> dict[str, Any]:
    """The machine and the command, for a result that can be reproduced.

    Args:
        module: what runs, e.g. "bench.compare".
    """
    return {
        "processor": processor(),
        "available_processors": _core.available_processors(),
        "threads": cnnfast.get_num_threads(),
        "isa": _core.isa(),
        "precision": "strict" if _core.strict_precision() else "fast",
        "system": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "compiler": _core.compiler,
        "openmp": _core.openmp,
        "versions": {
            "cnnfast": cnnfast.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(VARIABLES)},
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
    }
