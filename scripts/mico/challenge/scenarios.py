"""Scenarios as data: resolving derivation, checking what must hold, naming what is wrong."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mico.data.format_names import TEXT
from mico.data.tokens import BPE
from mico.privacy.budget import LARGEST_EPSILON
from mico.support.errors import InputError

# Networks that can be trained, and the formats of the data that each takes.
ARCHITECTURES = {
    "mlp": ("labelled-bits", "purchase100-synthetic"),
    "cnn": ("cifar10-binary", "cifar10-synthetic"),
    "roberta-tiny": TEXT,
    "roberta-base": TEXT,
    "transformers": TEXT,
}
PRETRAINED = ("roberta-base", "transformers")  # which know the tokens of their own tokenizer only
# By what the channels of the published CNN, 128 and 256, can be divided.
DIVISORS = ("2", "4", "8", "16", "32", "64", "128")
OPTIMIZERS = ("adam", "sgd")
TEXT_OPTIMIZERS = (*OPTIMIZERS, "adamw")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class Scenario:
    """One challenge: which data, how its models are trained, what a participant is told."""

    id: str
    challenge: str  # its published name, unique in a run
    track: str  # the folder of the challenges that are ranked together
    data: str
    architecture: str
    n: int  # records in a model's training set
    m: int  # challenge points that are members, and as many non-members
    epochs: int
    batch_size: int  # under DP the expected size of a Poisson sample
    shuffle: bool  # before every epoch; else each takes the training set in the same order
    optimizer: str
    learning_rate: float
    lr_decay: float
    lr_decay_epochs: int
    max_gradient_norm: float | None  # what a batch's gradient is scaled down to; not with DP
    clipping_norm: float | None
    epsilon: float | None
    delta: float | None
    noise_multiplier: float | None
    disclosed: list[str]
    null_run: bool  # members are left out of training too: nothing can tell them from non-members

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and not isinstance(value, int):
                self._fail(field.name, f"{value}: expected an integer")
            if isinstance(value, float) and not math.isfinite(value):
                self._fail(field.name, f"{value}: expected a finite number")
        if self.epsilon is not None and self.epsilon > LARGEST_EPSILON:
            self._fail("epsilon", f"{self.epsilon}: expected at most {LARGEST_EPSILON}")
        if self.n <= self.m:
            self._fail("n", f"{self.n}: expected more than m = {self.m}")
        if self.epsilon is not None and self.noise_multiplier is not None:
            self._fail("noise_multiplier", "expected null where epsilon is given, or the reverse")
        for name in ("clipping_norm", "delta"):
            if self.private != (getattr(self, name) is not None):
                expected = "a number" if self.private else "null without epsilon"
                self._fail(name, f"{getattr(self, name)}: expected {expected}")
        if self.private and self.shuffle:
            self._fail("shuffle", "expected false with DP, which draws Poisson samples")
        if self.private and self.max_gradient_norm is not None:
            self._fail("max_gradient_norm", f"{self.max_gradient_norm}: expected null with DP")

    @property
    def private(self) -> bool:
        """Trained with differential privacy."""
        return self.epsilon is not None or self.noise_multiplier is not None

    def _fail(self, key: str, reason: str) -> None:
        raise InputError(f"scenario {self.id}: {key}: {reason}")


def resolve(
    items: list[str | Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    datasets: Mapping[str, Mapping[str, Any]],
) -> dict[str, Scenario]:
    """The scenarios of a run by id.

    Args:
        items: each the id of a published scenario, or a mapping with `id`, perhaps `from` (a
            published scenario, else one earlier in the list), and the fields that differ.
        published: the library of scenarios, where each stands after the one it is derived from.
        datasets: the known data sets, with their number of records.

    Raises:
        InputError: names the scenario and the key.
    """
    library: dict[str, dict[str, Any]] = {}
    for name, item in published.items():
        library[name] = _complete({"id": name, **item}, library)
    own: dict[str, dict[str, Any]] = {}
    resolved: dict[str, Scenario] = {}
    for item in items:
        item = {"id": item, "from": item} if isinstance(item, str) else item
        name = item["id"]
        if name in own:
            raise InputError(f"scenario {name}: its id is there twice")
        own[name] = _complete(item, own | library)
        resolved[name] = Scenario(**own[name])
        _check_buildable(resolved[name], datasets)
    _check_distinct(resolved.values())
    return resolved


def _complete(item: Mapping[str, Any], known: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A scenario's fields, its own over those of the one it is derived from."""
    item = dict(item)
    base = item.pop("from", None)
    if base is not None and base not in known:
        raise InputError(f"scenario {item['id']}: from {base!r} is unknown{_hint(base, known)}")
    complete = {**(known[base] if base else {}), **item}
    names = [field.name for field in fields(Scenario)]
    for key in complete:
        if key not in names:
            raise InputError(f"scenario {item['id']}: unknown key {key!r}{_hint(key, names)}")
    for name in names:
        if name not in complete:
            raise InputError(f"scenario {item['id']}: missing key {name!r}")
    return complete


def _check_buildable(scenario: Scenario, datasets: Mapping[str, Mapping[str, Any]]) -> None:
    where = f"scenario {scenario.id}"
    network, slash, rest = scenario.architecture.partition("/")
    fits = {"cnn": not slash or rest in DIVISORS, "transformers": rest != ""}
    if network not in ARCHITECTURES or not fits.get(network, not slash):
        raise InputError(
            f"{where}: architecture {scenario.architecture!r}: expected mlp, cnn, or cnn/k with k "
            f"one of {', '.join(DIVISORS)}; roberta-tiny, roberta-base, or transformers/ and a "
            "checkpoint's folder or name"
        )
    if network == "transformers" and not is_checkpoint(rest):
        raise InputError(f"{where}: architecture {scenario.architecture!r}: {rest} is not a folder")
    optimizers = TEXT_OPTIMIZERS if ARCHITECTURES[network] == TEXT else OPTIMIZERS
    if scenario.optimizer not in optimizers:
        known = ", ".join(optimizers)
        raise InputError(f"{where}: optimizer {scenario.optimizer!r}: expected one of {known}")
    if scenario.data not in datasets:
        hint = _hint(scenario.data, datasets)
        raise InputError(f"{where}: data {scenario.data!r} is not among the datasets{hint}")
    if datasets[scenario.data]["format"] not in ARCHITECTURES[network]:
        expected = " or ".join(ARCHITECTURES[network])
        raise InputError(
            f"{where}: data {scenario.data!r}: {network} takes data of the format {expected}"
        )
    if network in PRETRAINED and datasets[scenario.data].get("tokenizer") == BPE:
        raise InputError(
            f"{where}: data {scenario.data!r}: {scenario.architecture} knows the tokens of its own "
            f"tokenizer, expected a data set with that and not {BPE}"
        )
    records, used = datasets[scenario.data]["records"], scenario.n + scenario.m
    if used > records:
        raise InputError(f"{where}: n + m = {used}, but {scenario.data} has {records} records")


def is_checkpoint(name: str) -> bool:
    """Whether a checkpoint may be there: in a folder that is, or on the hub, which is not asked."""
    return Path(name).is_dir() or HUB_NAME.fullmatch(name) is not None


def _check_distinct(scenarios: Iterable[Scenario]) -> None:
    owner: dict[str, str] = {}
    for scenario in scenarios:
        other = owner.setdefault(scenario.challenge, scenario.id)
        if other != scenario.id:
            raise InputError(
                f"scenario {scenario.id}: challenge {scenario.challenge!r} is that of {other} too"
            )


def _hint(name: str, known: Any) -> str:
    close = get_close_matches(str(name), list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else f" (known: {', '.join(known)})"
