"""Scores that an attack has given: for each record a number, and whether it was a member."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mico.scoring import curves, metrics
from mico.scoring.curves import REPLICATES, Curves
from mico.support.arrays import Bools, Floats
from mico.support.errors import InputError, shown
from mico.support.progress import progress

# What the header of a column of memberships may say.
MEMBERSHIP = ("member", "members", "membership", "is_member", "label", "keep", "trained")


@dataclass(frozen=True)
class Scores:
    """An attack's scores of U records of a model, or of several: higher for members."""

    scores: Floats  # (U,)
    members: Bools  # (U,)

    def score(self) -> pd.DataFrame:
        """The metrics with 95 % intervals, in one row.

        The intervals are of a bootstrap over records, which takes them for independent. Where many
        are of one model they are not, and the intervals are too narrow.
        """
        values = metrics.metrics(self._curve(np.ones(len(self.scores))))
        rng = np.random.default_rng(len(self.scores))
        drawn = []
        for _ in progress(range(REPLICATES), REPLICATES, "resamples"):
            # Members and non-members by themselves, so that there are some of both.
            weights = np.zeros(len(self.scores))
            for side in np.flatnonzero(self.members), np.flatnonzero(~self.members):
                weights[side] = np.bincount(
                    rng.integers(len(side), size=len(side)), None, len(side)
                )
            drawn.append(metrics.metrics(self._curve(weights)))
        row: dict[str, float] = {}
        for name, value in values.items():
            row[name] = float(value)
            limits = curves.interval(np.array([one[name] for one in drawn]))
            row[f"{name}_low"], row[f"{name}_high"] = limits.tolist()
        return pd.DataFrame([row], index=["all"])

    def roc(self) -> pd.DataFrame:
        """The ROC curve: fpr and tpr at every threshold, from 0 to 1."""
        found = self._curve(np.ones(len(self.scores)))
        return pd.DataFrame({"fpr": found.fpr, "tpr": found.tpr})

    def _curve(self, weights: Floats) -> Curves:
        """The curve of records that count so often each."""
        return curves.roc(self.scores[:, None], self.members[:, None], weights)


def load_scores(path: Path | str) -> Scores:
    """Read a CSV of two columns: a score, and 1 for a member or 0 for a non-member.

    Either comes first. With a header, the memberships are in the column called member, members,
    membership, is_member, label, keep or trained; without one, in the one that holds 0 and 1 alone.

    Raises:
        InputError: the file cannot be read, or names the row and the column that is wrong.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, header=None, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{path}: expected a CSV of two columns ({reason})") from None
    if table.shape[1] != 2:
        raise InputError(f"{path}: {table.shape[1]} columns, expected a score and a membership")
    names = [name.strip().casefold() for name in table.iloc[0]]
    has_header = not any(map(_is_number, names))
    rows = table.iloc[int(has_header) :]
    binary = [set(rows[column].str.strip()) <= {"0", "1"} for column in (0, 1)]
    named = [column for column in (0, 1) if has_header and names[column] in MEMBERSHIP]
    of_members = named or [column for column in (1, 0) if binary[column]]
    if not of_members or len(named) > 1 or not binary[of_members[0]]:
        raise InputError(f"{path}: expected a column of 0 and 1, whether a record is a member")
    texts = rows[1 - of_members[0]]
    for row, text in texts.items():
        if not _is_number(text):
            raise InputError(f"{path}: row {int(str(row)) + 1}: {shown(text)}, expected a number")
    members = rows[of_members[0]].str.strip().eq("1").to_numpy(dtype=bool)
    if not 0 < members.sum() < len(members):
        raise InputError(f"{path}: expected members and non-members, all {len(members)} are alike")
    return Scores(np.array(texts, np.float64), members)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
