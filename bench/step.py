"""Where the time of a small training step goes, in engine calls and in Python around them: python -m bench.step."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import cnnfast
from bench.networks import nodes, ours, zoo
from cnnfast import _core

ENGINE = (
    (_core.LayerChain, "forward"),
    (_core.LayerChain, "backward"),
    (_core, "cross_entropy_forward"),
    (_core, "cross_entropy_backward"),
    (_core, "adam_update"),
)
PHASES = ("model", "loss", "gradient", "update")


class Clock:
    """Seconds by name, of one step after the other."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = defaultdict(list)

    def timing(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function, with its time noted down."""

        def timed(*args: Any) -> Any:
            start = time.perf_counter()
            result = function(*args)
            self.samples[name].append(time.perf_counter() - start)
            return result

        return timed

    def median(self, name: str) -> float:
        """Microseconds."""
        return 1e6 * statistics.median(self.samples[name])


def run_phases(runner: Any, clock: Clock) -> None:
    """A training step with a tape, taken apart; `train_on_batch` takes this network's without one."""
    model, x, y = runner.model, runner.x, runner.labels
    times = [time.perf_counter()]
    with cnnfast.GradientTape() as tape:
        y_pred = model(x, training=True)
        times.append(time.perf_counter())
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred)
    times.append(time.perf_counter())
    variables = model.trainable_weights
    gradients = tape.gradient(loss, variables)
    times.append(time.perf_counter())
    model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    times.append(time.perf_counter())
    for name, start, end in zip(PHASES, times, times[1:], strict=False):
        clock.samples[name].append(end - start)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser("bench.step", description=__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args(argv)
    cnnfast.set_num_threads(arguments.threads)
    network = zoo.select("LeNet-5")[0]
    runner = ours.build(network, nodes.with_weights(network), arguments.batch)
    clock = Clock()
    whole = clock.timing(runner.train_step, "train_on_batch")
    for _ in range(arguments.steps):
        whole()
    for owner, name in ENGINE:
        setattr(owner, name, clock.timing(getattr(owner, name), f"engine: {name}"))
    for _ in range(arguments.steps):
        run_phases(runner, clock)
    for name in ("train_on_batch", *PHASES, *(f"engine: {name}" for _, name in ENGINE)):
        print(f"{name:32} {clock.median(name):8.1f} us")


if __name__ == "__main__":
    main()
