"""Which networks there are, and what is known of each without building it.

A network is a module of this room, with a literal `FACTS`, one entry for each name that it goes by,
and a function `build(name, data, physical_batch_size, precision)`. An entry holds the fields of
`Facts` but `module`; what it does not say is as in the entry above it that it names as `like`. The
facts are read from the source: a workflow that is planned must not wait until torch is imported.
"""

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mico.challenge.layout import MODEL
from mico.networks import factory
from mico.support.errors import InputError

# A CNN computes on so many examples of each model at a time, unless it is told: on a CPU as fast as
# any number.
PHYSICAL_BATCH_SIZE = 32
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Facts:
    """What is known of a network without building it: its data, its names, what it costs."""

    module: str  # that builds it, of this package
    data: tuple[str, ...]  # the kinds of stored data that it takes, of mico.data.store.KINDS
    summary: str  # for the table of architectures in config/README.md
    layers: str  # for the data card: what is computed, and how released weights are loaded
    # Seconds of one core of an Intel Xeon at 2.8 GHz (text: of an AMD EPYC); docs/performance.md.
    record_seconds: float  # to train on a record
    step_seconds: float  # for the noise and the optimizer's update, however few the records
    forward: float  # of the time to train on a record, to compute outputs only
    accuracy_records: int  # that a model's accuracy is measured on, at most
    white_box_records: int  # of which mean gradients and activations are taken, at most
    white_box_shadows: int  # train models whose features at every point are compared, at most
    # The files of a released model, sorted, and for the data card what each is.
    files: dict[str, str] = field(
        default_factory=lambda: {MODEL: "its state dict, for `torch.load(path, weights_only=True)`"}
    )
    # Of those files, the name of another that stands in for one in what others released.
    older: dict[str, str] = field(default_factory=dict)
    weights_mb: int = 0  # of one model, where that counts
    physical_batch_size: int | None = PHYSICAL_BATCH_SIZE  # unless configured; None: it chooses
    feature_mb: float = 0.0  # of activations, for a feature of an example of the physical batch
    features: int | None = None  # for which the rates are, where they grow with the features
    divisors: tuple[int, ...] = ()  # k of `name/k`, a network of 1/k of the channels
    narrower: float = 0.0  # such a network is k to this power times as fast
    checkpoint: bool = False  # `name/<folder or name on the hub>` says which
    pretrained: bool = False  # it knows the tokens of its own tokenizer only

    def seconds(self, variant: str, features: int) -> float:
        """Seconds to train on a record; `variant`: what follows the name and a slash."""
        seconds = self.record_seconds
        if self.features is not None:
            seconds *= features / self.features
        return seconds / int(variant) ** self.narrower if self.divisors and variant else seconds

    def found(self, folder: Path) -> list[str]:
        """The names of a released model's files; of an older form where that lies there instead."""
        return [
            old
            if (old := self.older.get(name))
            and not (folder / name).exists()
            and (folder / old).exists()
            else name
            for name in self.files
        ]


@cache
def networks() -> dict[str, Facts]:
    """The facts of every network, by name."""
    found: dict[str, Facts] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == "FACTS"
            ):
                own: dict[str, dict[str, Any]] = ast.literal_eval(node.value)
                for name, entry in own.items():
                    own[name] = own.get(entry.pop("like", ""), {}) | entry
                    found[name] = Facts(module=f"{__package__}.{path.stem}", **own[name])
    return found


def of(architecture: str) -> Facts:
    """The facts of an architecture's network.

    Raises:
        InputError: there is no such network, or none of that variant.
    """
    return networks()[parse(architecture)[0]]


def parse(architecture: str) -> tuple[str, str]:
    """An architecture's network, and which variant of it, perhaps empty.

    Raises:
        InputError: there is no such network, or none of that variant.
    """
    name, slash, variant = architecture.partition("/")
    facts = networks().get(name)
    if facts and (
        variant in map(str, facts.divisors)
        if slash and facts.divisors
        else bool(variant) == facts.checkpoint and bool(slash) == facts.checkpoint
    ):
        return name, variant
    if ":" in architecture:
        factory.parse(architecture)
        return factory.FORM, architecture
    raise InputError(f"architecture {architecture!r}: expected {_expected()}")


def sources(architecture: str) -> list[Path]:
    """The files that build an architecture's network, which nobody imports by name."""
    name, variant = parse(architecture)
    module = networks()[name].module
    own = [factory.parse(variant).source] if name == factory.FORM else []
    return [Path(__file__).with_name(f"{module.rpartition('.')[2]}.py"), *own]


def _expected() -> str:
    spelled = []
    for name, facts in networks().items():
        if name == factory.FORM:
            continue
        spelled += [] if facts.checkpoint else [name]
        if facts.divisors:
            spelled.append(f"{name}/k with k one of {', '.join(map(str, facts.divisors))}")
        if facts.checkpoint:
            spelled.append(f"{name}/ and a checkpoint's folder or name")
    return f"{', '.join(spelled)}, or a network of your own: {factory.FORM}"
