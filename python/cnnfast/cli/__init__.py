"""The command line: `cnnfast train`, `evaluate`, `predict`, `summary` and `info`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from cnnfast.cli import evaluate, info, predict, summary, train
from cnnfast.cli.errors import CommandError

_COMMANDS = {"train": train, "evaluate": evaluate, "predict": predict, "summary": summary, "info": info}
_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; the process's own by default.

    Returns:
        The exit code: 0 done, 1 failed (one line on standard error says why), 2 wrong usage, 130 interrupted.
    """
    try:
        arguments = _parser().parse_args(argv)
        code = arguments.run(arguments)
        sys.stdout.flush()
        return int(code or 0)
    except SystemExit as stop:  # argparse has printed the help or what is wrong
        return stop.code if isinstance(stop.code, int) else _USAGE
    except KeyboardInterrupt:
        print("\ncnnfast: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of our output, `head` for one, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (CommandError, OSError, ValueError, RuntimeError, MemoryError, ImportError) as error:
        print(f"cnnfast: error: {_one_line(error)}", file=sys.stderr)
        return _FAILED


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cnnfast", description="Train and run convolutional networks on the CPU.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        description = (module.__doc__ or "").strip()
        command = commands.add_parser(name, help=description.splitlines()[0].rstrip("."), description=description)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
