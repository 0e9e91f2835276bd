"""Models, and what an attack on them may know: to be attacked and scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mico.attacks import registry
from mico.attacks.computing.from_arrays import plain_array
from mico.attacks.given import shared_references
from mico.attacks.given.signals import Signals
from mico.release.prediction_files import to_predictions
from mico.scoring import curves, metrics, scorer
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError


def attack_names() -> list[str]:
    """The names of the built-in attacks."""
    return list(registry.attacks())


@dataclass(frozen=True)
class Challenge:
    """M models with challenge points each, and who trained on what as far as it is known.

    Train models are those whose training sets an attacker knows. They are shadow models of all
    models but themselves. All models may be train models: each is attacked with all others.
    """

    name: str
    signals: Signals  # the models' outputs at all challenge points
    membership: Bools  # (M, 2m); False for models whose memberships are not known
    phases: Mapping[str, Ints]  # the models of each phase that can be scored, by number
    # Other kinds of input by name, each read when an attack asks for it.
    given: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    def attack(self, attack: str | Path, **options: Any) -> Floats:
        """Run an attack.

        Args:
            attack: its name, one of `attack_names()`, or the path of a `.py` file of your own;
                options: as in a configuration.

        Returns:
            scores (M, 2m), higher for members; a row is not a number where an attack leaves a train
            model out.

        Raises:
            InputError: there is no such attack, or an option or an input that it needs is missing.
        """
        attack = str(attack)
        chosen = registry.options(attack, options)
        kinds = [kind for kind in registry.inputs(attack, options) if kind != "signals"]
        for kind in kinds:
            if kind not in self.given:
                known = ", ".join(["signals", *self.given])
                raise InputError(f"attack {attack}: needs {kind}, {self.name} has {known}")
        given = {kind: self.given[kind]() for kind in kinds}
        signals = self.signals
        if registry.SHARED in options:
            count = options[registry.SHARED]
            signals = shared_references.add(signals, given[registry.SHARED], count)
        asked = {kind: given[kind] for kind in registry.inputs(attack) if kind != "signals"}
        found = registry.load(attack).scores(signals=signals, **asked, options=chosen)
        scores: Floats = found[0] if isinstance(found, tuple) else found
        return scores

    def score(self, scores: Floats) -> pd.DataFrame:
        """The metrics of an attack's scores with 95 % intervals, a row for each phase.

        Args:
            scores: (M, 2m), higher for members; a model's row of nan leaves it out.

        Raises:
            InputError: the scores are of another shape, or some are not numbers.
        """
        checked = self._checked(scores)
        scored = scorer.given(self.phases, checked)
        if not scored:
            raise InputError("scores: those of every model that can be scored are left out")
        rows = scorer.rows({"challenge": self.name}, scored, checked, self.membership)
        return pd.DataFrame(rows).drop(columns="challenge").set_index("phase")

    def compare(self, scores: Floats, other: Floats, phase: str | None = None) -> pd.DataFrame:
        """One attack's metrics less another's, with 95 % intervals, on the same models.

        Args:
            scores, other: (M, 2m); phase: which models; by default dev's and final's, if known.

        Returns:
            a row for each metric that participants are compared by: difference, low, high.

        Raises:
            InputError: scores are of another shape, or there is no such phase.
        """
        pair = self._checked(scores), self._checked(other)
        models = self._models(phase, *pair)
        truth = self.membership[models]
        values, replicates = [], []
        for one in pair:
            values.append(metrics.metrics(curves.roc(one[models], truth, np.ones(len(models)))))
            replicates.append(metrics.bootstrap(one[models], truth, self.name))
        table = {}
        for name in metrics.COMPARED:
            low, high = curves.interval(replicates[0][name] - replicates[1][name])
            difference = float(values[0][name] - values[1][name])
            table[name] = {"difference": difference, "low": low, "high": high}
        return pd.DataFrame.from_dict(table, orient="index")

    def roc(self, scores: Floats, phase: str | None = None) -> pd.DataFrame:
        """The ROC curve of all models' scores pooled: fpr and tpr at every threshold, from 0 to 1.

        Args:
            scores: (M, 2m); phase: which models; by default dev's and final's, if known.

        Raises:
            InputError: the scores are of another shape, or there is no such phase.
        """
        checked = self._checked(scores)
        models = self._models(phase, checked)
        found = curves.roc(checked[models], self.membership[models], np.ones(len(models)))
        return pd.DataFrame({"fpr": found.fpr, "tpr": found.tpr})

    def _models(self, phase: str | None, *checked: Floats) -> Ints:
        """The models of a phase, by default of `both` or of the last known, that have scores."""
        name = phase or list(self.phases)[-1]
        if name not in self.phases:
            raise InputError(f"phase {name!r}: expected one of {', '.join(self.phases)}")
        models = self.phases[name]
        for scores in checked:
            models = models[~np.isnan(scores[models, 0])]
        if not len(models):
            raise InputError(f"scores: those of every model of phase {name!r} are left out")
        return models

    def _checked(self, scores: Floats) -> Floats:
        """Scores as predictions in [0, 1], which rank alike."""
        shape, found = self.signals.challenge.shape, plain_array("scores", scores)
        if found.shape != shape:
            raise InputError(f"scores of shape {found.shape}, expected {shape}")
        if found.dtype.kind not in "biuf":
            raise InputError(f"scores: of type {found.dtype}, expected numbers")
        try:
            return to_predictions(found.astype(np.float64))
        except ValueError as error:
            raise InputError(f"scores: {error}") from None
