"""Signals of simulated models, and attacks on them."""

from dataclasses import dataclass

import numpy as np

from mico.attacks import registry
from mico.attacks.given.signals import Signals

Setting = tuple[str, dict]


def describe(setting: object) -> str:
    if isinstance(setting, tuple):
        return "-".join([setting[0], *map(str, setting[1].values())])
    return getattr(setting, "__name__", str(setting))


def run(setting: Setting, given: Signals) -> np.ndarray:
    name, values = setting
    return registry.load(name).scores(given, registry.options(name, values))


@dataclass(frozen=True)
class Truth:
    """Signals of shadow models and of targets beyond them, and who trained on what."""

    signals: Signals
    membership: np.ndarray  # (targets, 2m) bool

    @property
    def targets(self) -> slice:
        return slice(len(self.signals.trained), None)


def gaussian(
    seed: int,
    *,
    effect: float = 2.0,
    variation: float = 0.3,
    shadows: int = 40,
    targets: int = 40,
    points: int = 100,
    records: int = 400,
    outside: float = 0.5,
    without: float = 0.0,
) -> Truth:
    """Margins N(a, b) if OUT and N(a + b d, b) if IN, where a, b and d differ by record.

    Args:
        effect: the mean of d.
        variation: the standard deviation of d, and of log b.
        outside: the share of shadow models that did not train on a record, the same for all.
        without: the share of records that have no OUT model instead.
    """
    rng = np.random.default_rng(seed)
    out_counts = np.where(np.arange(records) < without * records, 0, round(outside * shadows))
    ranks = rng.random((shadows, records)).argsort(axis=0)
    trained = np.concatenate([ranks >= out_counts, rng.random((targets, records)) < 0.5])
    centre, scale = rng.normal(2, 2, records), np.exp(variation * rng.normal(size=records))
    lift = effect + variation * rng.normal(size=records)
    margin = centre + scale * (rng.normal(size=trained.shape) + lift * trained)
    challenge = np.stack([rng.permutation(records)[:points] for _ in trained])
    membership = np.take_along_axis(trained, challenge, axis=1)[shadows:]
    loss = -np.logaddexp(0, -margin)
    return Truth(Signals(loss, margin, trained[:shadows], challenge), membership)
