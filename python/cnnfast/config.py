"""How the engine runs here: threads, instruction set, versions."""

from __future__ import annotations

import operator
from typing import Any

from cnnfast import _core

__all__ = [
    "backend",
    "config_info",
    "epsilon",
    "floatx",
    "get_num_threads",
    "get_precision",
    "image_data_format",
    "measure_peak",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_num_threads",
    "set_precision",
    "show_config",
]

_MOST_THREADS = 2**31 - 1


def set_num_threads(count: int) -> None:
    """Set how many threads the engine may use; results do not depend on it, not in one bit.

    The default is OMP_NUM_THREADS, else the processors that this process may use.

    Args:
        count: at least 1. Small operations use fewer.

    Raises:
        TypeError: `count` is not an integer.
        ValueError: `count` is less than 1.

    Example:
        >>> before = get_num_threads()
        >>> set_num_threads(1)
        >>> get_num_threads()
        1
        >>> set_num_threads(before)
    """
    try:
        number = operator.index(count)
    except TypeError:
        raise TypeError(f"set_num_threads: count must be an integer, got {type(count).__name__}") from None
    if not 1 <= number <= _MOST_THREADS:
        raise ValueError(f"set_num_threads: count must be at least 1 (and at most {_MOST_THREADS}), got {number}")
    _core.set_num_threads(number)


def get_num_threads() -> int:
    """How many threads the engine may use.

    Example:
        >>> get_num_threads() >= 1
        True
    """
    return _core.get_num_threads()


def set_precision(precision: str) -> None:
    """Choose whether convolutions may round differently from a plain sum of products.

    Args:
        precision: "fast" (the default) lets convolutions of 2, 3 and 5 taps an axis (strided ones by phases) use
            minimal filtering (Lavin and Gray 2016), whose rounding errors are a few times larger (docs/precision.md has
            figures). "strict" never does.

    Raises:
        ValueError: `precision` is neither.

    Example:
        >>> set_precision("strict")
        >>> get_precision()
        'strict'
        >>> set_precision("fast")
    """
    if precision not in ("fast", "strict"):
        raise ValueError(f"set_precision: precision must be 'fast' or 'strict', got {precision!r}")
    _core.set_strict_precision(precision == "strict")


def get_precision() -> str:
    """What `set_precision` has chosen: "fast" or "strict".

    Example:
        >>> get_precision()
        'fast'
    """
    return "strict" if _core.strict_precision() else "fast"


def config_info() -> dict[str, Any]:
    """What `show_config` prints, as a dictionary.

    Returns:
        version, isa (the instruction set in use), available_isas (what this machine can run of what was compiled in,
        best first), num_threads, available_processors, compiler, openmp, numpy.

    Example:
        >>> info = config_info()
        >>> info["isa"] in info["available_isas"]
        True
    """
    import numpy as np

    return {
        "version": _core.__version__,
        "isa": _core.isa(),
        "available_isas": _core.available_isas(),
        "num_threads": _core.get_num_threads(),
        "available_processors": _core.available_processors(),
        "compiler": _core.compiler,
        "openmp": _core.openmp,
        "numpy": np.__version__,
    }


def show_config() -> None:
    """Print version, instruction set, threads, compiler, OpenMP and NumPy: what a report of a problem needs.

    Example:
        >>> show_config()  # doctest: +ELLIPSIS
        cnnfast ...
    """
    info = config_info()
    print(f"cnnfast {info['version']}")
    print(f"  instruction set  {info['isa']} (available: {', '.join(info['available_isas'])})")
    print(f"  threads          {info['num_threads']} ({info['available_processors']} processors)")
    print(f"  compiler         {info['compiler']}")
    print(f"  OpenMP           {info['openmp']}")
    print(f"  NumPy            {info['numpy']}")


def measure_peak(seconds: float = 0.2) -> float:
    """Measure how fast this machine multiplies and adds: the bound on the speed of every convolution.

    Args:
        seconds: how long to measure, at most 60.

    Returns:
        the most floating-point operations per second, in 1e9, that the instruction set in use reached with all
        threads; a fused multiply-add counts as two.

    Raises:
        ValueError: `seconds` is not above 0, or above 60.

    Example:
        >>> measure_peak(0.01) > 0
        True
    """
    return _core.measure_peak(seconds)


# What is fixed here and can be chosen elsewhere: code that asks for it, or chooses what there is, runs.


def backend() -> str:
    """What computes.

    Example:
        >>> backend()
        'cnnfast'
    """
    return "cnnfast"


def epsilon() -> float:
    """The small number that losses and norms keep away from zero with.

    Example:
        >>> epsilon()
        1e-07
    """
    return 1e-7


def floatx() -> str:
    """The type of elements that everything is computed with.

    Example:
        >>> floatx()
        'float32'
    """
    return "float32"


def image_data_format() -> str:
    """Where layers expect an image's channels unless they are told otherwise.

    Example:
        >>> image_data_format()
        'channels_last'
    """
    return "channels_last"


def set_epsilon(value: float) -> None:
    """Choose the one small number that there is.

    Raises:
        ValueError: another one.

    Example:
        >>> set_epsilon(1e-7)
    """
    if value != epsilon():
        raise ValueError(f"set_epsilon: {value} cannot be honoured: losses and norms keep {epsilon()} away from zero")


def set_floatx(value: str) -> None:
    """Choose the one type of elements that there is.

    Raises:
        ValueError: another one.

    Example:
        >>> set_floatx("float32")
    """
    if value != floatx():
        raise ValueError(f"set_floatx: {value!r} cannot be honoured: everything is computed in float32")


def set_image_data_format(data_format: str) -> None:
    """Choose the one default that there is.

    Raises:
        ValueError: another one.

    Example:
        >>> set_image_data_format("channels_last")
    """
    if data_format != image_data_format():
        raise ValueError(
            f"set_image_data_format: {data_format!r} cannot be honoured as the default; give layers data_format="
            f"{data_format!r}"
        )
