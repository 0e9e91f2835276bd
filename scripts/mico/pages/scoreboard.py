"""A track's scoreboard: who ranks where, which neighbours really differ, and who has won.

The same entries give the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from mico.pages.rendering import environment
from mico.release import names
from mico.scoring import entries as entry_files
from mico.scoring.curves import interval
from mico.scoring.entries import Entry, Row
from mico.scoring.metrics import HEADLINE, HEADLINE_FPR, METRICS, TITLES
from mico.support.errors import InputError

REVEALED = ("dev", "final")  # the phase that a live board and one after the reveal show
TIE = 1e-12  # means that are closer than this are equal


@dataclass(frozen=True, eq=False)
class Contender:
    """A submission or a built-in attack with its results of one phase; a rejected one has none.

    Other phases' results are not here, so that nothing made of contenders can give them away.
    """

    participant: str
    builtin: bool
    id: str  # a short one beside a name that looks like another; else empty
    file: str | None  # None for a built-in attack, like the time
    submitted: int | None  # what the file says, in ns since 1970
    future: bool  # that was still to come when it was scored
    problems: Sequence[str]  # why it was rejected
    scores: Mapping[str, Row]  # challenge -> its row of scores
    curves: Mapping[str, Mapping[str, Sequence[float]]]  # challenge -> fpr, tpr
    replicates: np.ndarray  # (resamples,) of the mean over challenges
    dev: float  # the mean on dev, which is known in every phase
    counts: bool  # it is ranked: its participant's latest that was accepted
    notes: Sequence[str]  # what a built-in attack did, in words, each once

    @property
    def owner(self) -> tuple[bool, str]:
        """Whose it is: a participant may be called like a built-in attack."""
        return self.builtin, self.participant

    @property
    def mean(self) -> float:
        """The headline metric's mean over challenges."""
        return fmean(row[HEADLINE] for row in self.scores.values())

    @property
    def interval(self) -> tuple[float, float]:
        """The mean's 95 % interval."""
        low, high = interval(self.replicates)
        return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """One contender's mean less another's, by a bootstrap over the same resampled models."""

    mean: float
    low: float
    high: float
    p: float  # two-sided

    @property
    def real(self) -> bool:
        """It is more than chance: its interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Standing:
    """A contender's rank, and how far it is above the next."""

    rank: int
    contender: Contender
    lead: Difference | None  # over the next one below


def read(
    paths: Iterable[Path], track: str, challenges: Iterable[str], phase: str
) -> list[Contender]:
    """A track's entries with the results of this phase.

    Raises:
        InputError: names the file and what is wrong with it.
    """
    challenges, entries = list(challenges), {}
    for path in paths:
        entries[path] = entry_files.read(path)
        if entries[path].track != track:
            raise InputError(f"{path}: track {entries[path].track!r}: expected {track!r}")
    standing = entry_files.standing(list(entries.values()))
    ids = names.told_apart(entry.participant for entry in entries.values())
    contenders = []
    for path, entry in entries.items():
        try:
            id = ids.get(entry.participant, "")
            contenders.append(_contender(entry, id, challenges, phase, entry in standing))
        except KeyError as error:
            raise InputError(f"{path}: {error} is missing") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: expected an entry: {error}") from error
    return contenders


def standings(contenders: Iterable[Contender]) -> list[Standing]:
    """Ranked by the mean over challenges; those that tie share a rank and the next ones are free.

    An contender's rank is one more than the number of contenders that are better.
    """
    contenders = list(contenders)
    means = np.array([contender.mean for contender in contenders])
    ranks = [1 + int((means > mean + TIE).sum()) for mean in means]
    order = sorted(
        zip(ranks, contenders, strict=True),
        key=lambda place: (place[0], place[1].builtin, place[1].participant),
    )
    board = []
    for i, (rank, contender) in enumerate(order):
        lead = difference(contender, order[i + 1][1]) if i + 1 < len(order) else None
        board.append(Standing(rank, contender, lead))
    return board


def difference(above: Contender, below: Contender) -> Difference:
    """How far one is above another.

    Both are scored on the same models, and most of their ups and downs come from those: the
    difference is taken resample by resample. Twice the share of resamples at 0 or on its other
    side is like a p-value, and at most 0.05 where the interval excludes 0.
    """
    replicates = (above.replicates - below.replicates).round(12)  # means of equals, to rounding
    fewer = min((replicates <= 0).sum(), (replicates >= 0).sum())
    p = float(min(1, 2 * max(fewer, 1) / len(replicates)))  # none is seen as up to one
    low, high = interval(replicates)
    return Difference(above.mean - below.mean, float(low), float(high), p)


def rule(challenges: Mapping[str, str], phase: str) -> str:
    """The ranking rule in words."""
    return (
        f"Ranked by the mean of the true positive rate at a false positive rate of {HEADLINE_FPR} "
        f"on the {phase} models of {', '.join(challenges)}. Only a participant's latest valid "
        "submission counts. Equal means share a rank. Built-in attacks are the organiser's: they "
        "are ranked, but cannot win."
    )


def winners(contenders: Iterable[Contender]) -> list[list[Standing]]:
    """The winner and the runner-up, each a list of those who tie, as there are participants."""
    board = standings(
        contender for contender in contenders if contender.counts and not contender.builtin
    )
    ranks = sorted({standing.rank for standing in board})[:2]
    return [[standing for standing in board if standing.rank == rank] for rank in ranks]


def announcement(
    track: str, challenges: Mapping[str, str], phase: str, contenders: Iterable[Contender]
) -> dict[str, Any]:
    """The content of the winners' file; before the reveal it only says that it is too early."""
    if phase != "final":
        return {"track": track, "revealed": False, "note": "The results are not revealed yet."}
    places = [[_result(standing.contender) for standing in tied] for tied in winners(contenders)]
    places += [[]] * (2 - len(places))
    return {
        "track": track,
        "revealed": True,
        "rule": rule(challenges, phase),
        "winner": places[0],
        "runner_up": places[1],
    }


def render(
    track: str,
    challenges: Mapping[str, str],
    phase: str,
    contenders: Sequence[Contender],
    synthetic: bool,
    public_seeds: bool,
) -> str:
    """The scoreboard, as HTML.

    Args:
        challenges: the track's challenges and their scenarios' ids.
        synthetic: the track's data are a generated stand-in.
        public_seeds: anyone may know the seeds, and so the memberships.
    """
    counted = [contender for contender in contenders if contender.counts]
    board = standings(counted)
    submissions = sorted(
        (contender for contender in contenders if not contender.builtin), key=_time
    )
    places = winners(contenders) if phase == "final" else []
    templates = environment()
    templates.filters |= {
        "visible": visible,
        "moment": entry_files.moment,
        "said": entry_files.said,
    }
    return templates.get_template("scoreboard.html.j2").render(
        track=track,
        challenges=challenges,
        final=phase == "final",
        phase=phase,
        rule=rule(challenges, phase),
        synthetic=synthetic,
        public_seeds=public_seeds,
        board=board,
        counted=counted,
        submissions=submissions,
        newest={contender.owner: contender for contender in submissions},
        places=places,
        headline=HEADLINE,
        metrics=METRICS,
        title=TITLES[HEADLINE],
        data=_data(challenges, board),
    )


def visible(text: str) -> str:
    """A text from outside with a replacement for what cannot be seen or turns its order round."""
    return names.INVISIBLE.sub("\ufffd", text)


def _contender(
    entry: Entry, id: str, challenges: Sequence[str], phase: str, counts: bool
) -> Contender:
    valid = [] if entry.problems else challenges
    rows = {(row["challenge"], row["phase"]): row for row in entry.scores}
    replicates = [entry.replicates[name][phase][HEADLINE] for name in valid]
    return Contender(
        entry.participant,
        entry.builtin,
        id,
        entry.file,
        entry.submitted,
        entry.future,
        entry.problems,
        scores={name: rows[name, phase] for name in valid},
        curves={name: entry.curves[name][phase] for name in valid},
        replicates=np.mean(replicates, axis=0) if valid else np.empty(0),
        dev=fmean(rows[name, "dev"][HEADLINE] for name in valid) if valid else np.nan,
        counts=counts,
        notes=list(dict.fromkeys(entry.notes[name] for name in valid if name in entry.notes)),
    )


def _time(contender: Contender) -> tuple[object, str]:
    """By this, one submission is later than another."""
    return entry_files.order(contender.submitted, contender.file), contender.participant


def _result(contender: Contender) -> dict[str, Any]:
    low, high = contender.interval
    about = {"participant": contender.participant, "file": contender.file}
    if contender.id:
        about["id"] = contender.id
    return about | {"mean": contender.mean, "low": low, "high": high}


def _data(challenges: Mapping[str, str], board: Sequence[Standing]) -> dict[str, Any]:
    """What the page's program draws: values as (estimate, low, high), the mean's first."""
    rows: list[dict[str, Any]] = []
    for contender in (standing.contender for standing in board):
        values = {
            metric.name: [
                [fmean(row[metric.name] for row in contender.scores.values()), None, None],
                *(
                    [row[metric.name + end] for end in ("", "_low", "_high")]
                    for row in contender.scores.values()
                ),
            ]
            for metric in METRICS
        }
        values[HEADLINE][0][1:] = contender.interval  # only this metric has a mean's replicates
        curves = [[curve["fpr"], curve["tpr"]] for curve in contender.curves.values()]
        name = visible(contender.participant) + f" ({contender.id})" * bool(contender.id)
        rows.append({"name": name, "values": values, "curves": curves})
    scales = {
        metric.name: [
            _scale([row["values"][metric.name][column] for row in rows], metric.guess)
            for column in range(1 + len(challenges))
        ]
        for metric in METRICS
    }
    return {"rows": rows, "scales": scales, "scored": HEADLINE_FPR}


def _scale(cells: Iterable[Sequence[float | None]], guess: float) -> dict[str, float]:
    known = [guess, *(number for cell in cells for number in cell if number is not None)]
    return {"low": min(known), "high": max(known), "guess": guess}
