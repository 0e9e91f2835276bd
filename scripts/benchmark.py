"""Measure the training engine against the published loop, Opacus's ghost clipping and the floor.

Published Purchase-100 size and hyper-parameters, on random records. Contestants take turns, so that
ratios are of the same minutes on the same machine: in as many processes side by side as a pipeline
would use, a thread each; the published loop also as it was published, in one process with a thread
per core.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mico import baselines, command_line, training
from mico.atomic import atomic_file
from mico.command_line import InputError, Meter
from mico.device import choose
from mico.mlp import MLP
from mico.training import Records, TrainingOptions

FEATURES, CLASSES = 600, 100
SGD = TrainingOptions(
    epochs=30,
    batch_size=512,
    optimizer="adam",
    learning_rate=0.001,
    lr_decay=0.9,
    lr_decay_epochs=5,
)
DP = replace(SGD, clipping_norm=2.6, noise_multiplier=0.71)
GPU_MODELS = 10  # trained at once, as config/published.yaml has it; on a CPU it is one

ALONE = ("published loop, DP", "published loop, no DP")  # in one process with all threads

# A ratio: the rate of one over the rate of the other.
RATIOS = {
    "dp_vs_published": ("engine, DP", "published loop, DP"),
    "dp_vs_ghost": ("engine, DP", "Opacus ghost clipping, DP"),
    "sgd_vs_published": ("engine, no DP", "published loop, no DP"),
    "dp_vs_published_side_by_side": ("engine, DP", "published loop, DP, side by side"),
    "sgd_vs_published_side_by_side": ("engine, no DP", "published loop, no DP, side by side"),
    "dp_time_vs_sgd": ("engine, no DP", "engine, DP"),
    "sgd_vs_floor": ("engine, no DP", "matrix products"),
    "sgd_vs_published_layout_floor": ("engine, no DP", "matrix products, published layout"),
}

# Trains for a turn, and returns the number of records and the seconds that took.
Contestant = Callable[[], tuple[int, float]]


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    records: int
    n: int
    seconds: float  # of a turn of all but the engine
    epochs: int  # of a turn of the engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--processes", type=int, help="default: the cores, or 1 on a GPU")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--records", type=int, default=197_324, help="in the data set")
    parser.add_argument("--n", type=int, default=150_000, help="in a training set")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--epochs", type=int, default=5, help="of a turn of the engine")
    parser.add_argument("--output", type=Path, required=True, help="benchmark.json to write")
    args = parser.parse_args()

    device = choose(args.device)
    processes = args.processes or (len(os.sched_getaffinity(0)) if device.type == "cpu" else 1)
    machine = _machine(device, processes)
    print(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in machine.items()))
    size = Size(args.records, args.n, args.seconds, args.epochs)
    rates = _measure(str(device), size, processes, args.repeats)
    ratios = {
        name: [a / b for a, b in zip(rates[above], rates[below], strict=True)]
        for name, (above, below) in RATIOS.items()
    }
    _print_table("records/s", {name: (rates[name], "{:,.0f}") for name in rates})
    _print_table("ratio", {name: (ratios[name], "{:.2f}") for name in ratios})
    result = {
        "machine": machine,
        "rows": [{"name": name, **_spread(rates[name])} for name in rates],
        "ratios": {name: statistics.median(values) for name, values in ratios.items()},
        "ratio_rows": [{"name": name, **_spread(ratios[name])} for name in ratios],
    }
    with atomic_file(args.output) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n")


def _measure(device: str, size: Size, processes: int, repeats: int) -> dict[str, Sequence[float]]:
    """Each contestant's rates, in records a second of all processes together, a rate per turn."""
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # as the workflow has it for its jobs
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    connections = []
    for _ in range(processes):
        own, others = context.Pipe()
        context.Process(target=_serve, args=(others, device, size), daemon=True).start()
        others.close()  # so that a process that dies is noticed
        connections.append(own)
    names, *_ = [_answer(connection) for connection in connections]
    rates: dict[str, list[float]] = {name: [] for name in names}
    turns = [name for _ in range(repeats) for name in names]
    meter = Meter("benchmark", len(turns))
    for number, name in enumerate(turns):
        taking_part = connections[:1] if name in ALONE else connections
        for connection in taking_part:
            connection.send((name, cores if name in ALONE else 1))
        results = [_answer(connection) for connection in taking_part]
        rates[name].append(sum(records / taken for records, taken in results))
        meter.update(number + 1, lambda _: f"{number + 1} of {len(turns)}")  # noqa: B023
    for connection in connections:
        connection.send(None)
    meter.finish(f"{len(turns)} of {len(turns)}")
    return rates


def _answer(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        raise InputError("a process of the benchmark has died, see above") from None


def _serve(connection: Connection, device_name: str, size: Size) -> None:
    """A process that runs the contestants it is told to, each of which has had a first turn."""
    device = choose(device_name)
    first = _contestants(device, replace(size, seconds=0, epochs=1))
    for run in first.values():
        run()
    del first
    contestants = _contestants(device, size)
    connection.send(list(contestants))
    while turn := connection.recv():
        name, threads = turn
        torch.set_num_threads(threads)
        connection.send(contestants[name]())


def _contestants(device: torch.device, size: Size) -> dict[str, Contestant]:
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (size.records, -(-FEATURES // 8)), dtype=np.uint8)
    bits = np.unpackbits(packed, axis=1, count=FEATURES)
    labels = torch.from_numpy(rng.integers(0, CLASSES, size.records))
    order = rng.permutation(size.records)[: size.n]
    x, y = torch.from_numpy(bits[order]).float(), labels[order]
    bits = np.pad(bits, ((0, 0), (0, 1)), constant_values=1)
    records = Records(torch.from_numpy(bits).to(device), labels.to(device))
    models = 1 if device.type == "cpu" else GPU_MODELS
    products = partial(
        baselines.matrix_products, FEATURES, CLASSES, SGD.batch_size, models, device=device
    )
    loop = partial(baselines.published_loop, x, y, CLASSES, device=device)
    steps = {
        "published loop, DP": loop(options=DP),
        "published loop, DP, side by side": loop(options=DP),
        "Opacus ghost clipping, DP": baselines.ghost_clipping(x, y, CLASSES, DP, device),
        "published loop, no DP": loop(options=SGD),
        "published loop, no DP, side by side": loop(options=SGD),
        "matrix products": products(published=False),
        "matrix products, published layout": products(published=True),
    }
    engine = {"engine, DP": DP, "engine, no DP": SGD}
    return {name: partial(_take, steps[name], size.seconds, device) for name in steps} | {
        name: partial(_train, records, [order] * models, replace(options, epochs=1 + size.epochs))
        for name, options in engine.items()
    }


def _take(steps: Iterator[int], seconds: float, device: torch.device) -> tuple[int, float]:
    """As many steps as there is time for."""
    next(steps)
    start = _now(device)
    records = 0
    while True:
        records += next(steps)
        if time.perf_counter() - start >= seconds:
            return records, _now(device) - start


def _train(
    records: Records, sets: Sequence[np.ndarray], options: TrainingOptions
) -> tuple[int, float]:
    """The engine's epochs after the first, which bears what a model costs once."""
    times = []
    with torch.no_grad():
        training.train(
            MLP(FEATURES, CLASSES),
            records,
            sets,
            range(len(sets)),
            options,
            after_epoch=lambda state: times.append(_now(records.labels.device)),
        )
    return (options.epochs - 1) * len(sets) * len(sets[0]), times[-1] - times[0]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _machine(device: torch.device, processes: int) -> dict[str, str | int]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu()
    return {
        "device": name,
        "processes": processes,
        "cores": os.cpu_count() or 1,
        "torch": torch.__version__,
        "opacus": version("opacus"),
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def _print_table(what: str, rows: Mapping[str, tuple[Sequence[float], str]]) -> None:
    print(f"\n{what:<36}{'min':>12}{'median':>12}{'max':>12}")
    for name, (values, form) in rows.items():
        cells = "".join(f"{form.format(value):>12}" for value in _spread(values).values())
        print(f"{name:<36}{cells}")


if __name__ == "__main__":
    command_line.run(main)
