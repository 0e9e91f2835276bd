"""A run's results, as the workflow wrote them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mico.attacks import registry
from mico.attacks.given import signals as signals_kind
from mico.challenge import split_file
from mico.challenge.phases import PHASES, Phases
from mico.library.challenge import Challenge
from mico.release import prediction_files
from mico.support import digests
from mico.support.arrays import Floats, Ints
from mico.support.errors import InputError


@dataclass(frozen=True)
class Run:
    """The folder of a run, `results/<run>`."""

    folder: Path
    about: Mapping[str, Any]  # run.json

    @property
    def challenges(self) -> dict[str, Mapping[str, Any]]:
        """The scenarios by the names of their challenges, in the run's order."""
        return {one["challenge"]: one for one in self.about["scenarios"]}

    @property
    def scores(self) -> pd.DataFrame:
        """scores.csv: a row for each challenge, phase and participant."""
        return self._table("scores.csv")

    @property
    def comparisons(self) -> pd.DataFrame:
        """comparisons.csv: a row for each scenario, metric and pair of participants."""
        return self._table("comparisons.csv")

    def ceilings(self, challenge: str) -> Mapping[str, list[float]]:
        """Limits on any attack's ROC curve by what training spent; empty without DP.

        They are empty, too, where only outputs of models are given.
        """
        if self._scenario(challenge).get("outputs"):
            return {"fpr": [], "bound": [], "heuristic": []}
        content = self._json(f"ceilings/{self._scenario(challenge)['id']}.json")
        if not isinstance(content, dict):
            raise InputError(f"{self.folder}: ceilings of {challenge}: expected an object")
        return content

    def predictions(self, participant: str, challenge: str) -> Floats:
        """A built-in attack's predictions (M, 2m); a row is nan where it left a train model out.

        Raises:
            InputError: there are none.
        """
        scenario = self._scenario(challenge)
        folder = self.folder / "predictions" / participant / scenario["track"] / challenge
        if scenario["m"] is None:
            points = self.challenge(challenge).membership.shape[1]
        else:
            points = 2 * scenario["m"]
        return prediction_files.read(folder, self._phases, points)

    def challenge(self, challenge: str) -> Challenge:
        """A challenge with what its attackers were given.

        Dev and final models can be scored where the organiser's `private/` is there and knows them.

        Raises:
            InputError: there is no such challenge, or its signals are missing.
        """
        scenario, phases = self._scenario(challenge), self._phases
        place = f"{scenario['track']}/{challenge}"
        signals = signals_kind.read([self.folder / f"signals/{place}.npz"], phases)
        membership = np.zeros(signals.challenge.shape, bool)
        train = np.take_along_axis(
            signals.trained[: phases.train], signals.challenge[: phases.train], axis=1
        )
        membership[: phases.train] = train
        known: dict[str, Ints] = {"train": np.array(phases.of("train"))}
        private = self.folder / f"private/{scenario['id']}/splits.npz"
        if private.exists() and scenario.get("solved", True):
            membership = split_file.read(private).membership
            known = {phase: np.array(phases.of(phase)) for phase in PHASES}
            known["both"] = np.concatenate([known["dev"], known["final"]])
        given: dict[str, Callable[[], Any]] = {}
        for kind in ("whitebox", "target_references", registry.SHARED):
            shards = (self.folder / kind / place).glob("[0-9]*-[0-9]*.npz")
            paths = sorted(shards, key=lambda path: int(path.stem.split("-")[0]))
            single = self.folder / kind / f"{place}.npz"
            if single.exists() or paths:
                files = [single] if single.exists() else paths
                given[kind] = partial(registry.reader(kind), files, signals, phases)
        return Challenge(challenge, signals, membership, known, given)

    @property
    def _phases(self) -> Phases:
        return Phases(**self.about["models"])

    def _scenario(self, challenge: str) -> Mapping[str, Any]:
        if challenge not in self.challenges:
            known = ", ".join(self.challenges)
            raise InputError(f"{self.folder}: challenge {challenge!r}: expected one of {known}")
        return self.challenges[challenge]

    def _table(self, name: str) -> pd.DataFrame:
        path = self.folder / name
        if not path.exists():
            raise InputError(f"{path}: missing, the run has not come so far")
        listing = self.folder / "scores.sha256"
        digests.verify_all(listing, [name], f"delete {listing} and run again")
        try:
            # A participant may be called NA.
            return pd.read_csv(path, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: cannot be read as a table ({reason})") from None

    def _json(self, name: str) -> Any:
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None


def load_run(folder: Path | str) -> Run:
    """A run's results.

    Args:
        folder: `results/<run>`.

    Raises:
        InputError: it is not the folder of a run that has come to its report.
    """
    run = Run(Path(folder), {})
    about = run._json("run.json")
    path = Path(folder) / "run.json"
    for key in ("scenarios", "models"):
        if not isinstance(about, dict) or key not in about:
            raise InputError(f"{path}: expected {key!r} in it")
    try:
        Phases(**about["models"])
        for scenario in about["scenarios"]:
            kinds = ("id", str), ("challenge", str), ("track", str), ("m", int | None)
            for key, kind in kinds:
                if not isinstance(scenario[key], kind):
                    raise InputError(f"{key} {scenario[key]!r}")
    except (InputError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: expected models and scenarios of a run ({reason})") from None
    return Run(path.parent, about)
