"""A track's scoreboard: who ranks where, which neighbours really differ, and who has won.

The same entries give the same bytes.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from markupsafe import Markup

from mico.pages.rendering import environment
from mico.scoring import entries as stored
from mico.scoring.curves import interval
from mico.scoring.metrics import HEADLINE, HEADLINE_FPR, METRICS, TITLES
from mico.support.errors import InputError

REVEALED = ("dev", "final")  # the phase that a live board and one after the reveal show
TIE = 1e-12  # means that are closer than this are equal
INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


@dataclass(frozen=True, eq=False)
class Entry:
    """A submission or a built-in attack with its results of one phase; a rejected one has none.

    The results of other phases are not here, so that nothing made of entries can give them away.
    """

    participant: str
    builtin: bool
    file: str | None  # None for a built-in attack, like the time
    submitted: datetime | None
    problems: list[str]  # why it was rejected
    scores: dict[str, dict[str, Any]]  # challenge -> its row of scores
    curves: dict[str, dict[str, list[float]]]  # challenge -> fpr, tpr
    replicates: np.ndarray  # of the mean over challenges
    dev: float  # the mean on dev, which is known in every phase
    counts: bool = False  # it is ranked: its participant's latest that was accepted

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
    """One entry's mean less another's, by a bootstrap over the same resampled models."""

    mean: float
    low: float
    high: float
    p: float  # two-sided

    @property
    def real(self) -> bool:
        """The interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Standing:
    """An entry's place on the board."""

    rank: int
    entry: Entry
    lead: Difference | None  # over the next one below


def read_entries(
    paths: Iterable[Path], track: str, challenges: Iterable[str], phase: str
) -> list[Entry]:
    """A track's entries with the results of this phase.

    Raises:
        InputError: names the file and what is wrong with it.
    """
    challenges, contents, entries = list(challenges), [], []
    for path in paths:
        try:
            contents.append(content := json.loads(path.read_text(encoding="utf-8")))
            entries.append(_entry(content, challenges, phase))
        except KeyError as error:
            raise InputError(f"{path}: {error} is missing") from error
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: expected a scored submission: {error}") from error
        if content["track"] != track:
            raise InputError(f"{path}: track {content['track']!r}: expected {track!r}")
    standing = {id(content) for content in stored.standing(contents)}
    return [
        replace(entry, counts=id(content) in standing)
        for content, entry in zip(contents, entries, strict=True)
    ]


def standings(entries: Iterable[Entry]) -> list[Standing]:
    """Ranked by the mean over challenges; those that tie share a rank and the next ones are free.

    An entry's rank is one more than the number of entries that are better.
    """
    entries = list(entries)
    means = np.array([entry.mean for entry in entries])
    ranks = [1 + int((means > mean + TIE).sum()) for mean in means]
    order = sorted(
        zip(ranks, entries, strict=True),
        key=lambda place: (place[0], place[1].builtin, place[1].participant),
    )
    board = []
    for i, (rank, entry) in enumerate(order):
        lead = difference(entry, order[i + 1][1]) if i + 1 < len(order) else None
        board.append(Standing(rank, entry, lead))
    return board


def difference(above: Entry, below: Entry) -> Difference:
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


def winners(entries: Iterable[Entry]) -> list[list[Standing]]:
    """The winner and the runner-up, each a list of those who tie, as there are participants."""
    board = standings(entry for entry in entries if entry.counts and not entry.builtin)
    ranks = sorted({standing.rank for standing in board})[:2]
    return [[standing for standing in board if standing.rank == rank] for rank in ranks]


def announcement(
    track: str, challenges: Mapping[str, str], phase: str, entries: Iterable[Entry]
) -> dict[str, Any]:
    """What the file of winners says, which before the reveal is that there are none yet."""
    if phase != "final":
        return {"track": track, "revealed": False, "note": "The results are not revealed yet."}
    places = [[_result(standing.entry) for standing in tied] for tied in winners(entries)]
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
    entries: Sequence[Entry],
    synthetic: bool,
) -> str:
    """The whole page.

    Args:
        challenges: the track's challenges and their scenarios' ids.
        synthetic: the track's data are a generated stand-in.
    """
    counted = [entry for entry in entries if entry.counts]
    board = standings(counted)
    submissions = sorted((entry for entry in entries if not entry.builtin), key=_time)
    places = winners(entries) if phase == "final" else []
    script = (Path(__file__).parent / "templates" / "scoreboard.js").read_text(encoding="utf-8")
    templates = environment()
    templates.filters |= {"visible": visible, "time": _text}
    return templates.get_template("scoreboard.html.j2").render(
        track=track,
        challenges=challenges,
        final=phase == "final",
        phase=phase,
        rule=rule(challenges, phase),
        synthetic=synthetic,
        board=board,
        counted=counted,
        submissions=submissions,
        newest={entry.owner: entry for entry in submissions},
        places=places,
        headline=HEADLINE,
        metrics=METRICS,
        title=TITLES[HEADLINE],
        data=_data(challenges, board),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def visible(text: str) -> str:
    """A text from outside with a replacement for what cannot be seen or turns its order round."""
    return INVISIBLE.sub("\ufffd", text)


def _entry(content: Mapping[str, Any], challenges: Sequence[str], phase: str) -> Entry:
    submitted = content["submitted"] and datetime.fromisoformat(content["submitted"])
    if submitted and submitted.tzinfo is None:
        raise ValueError(f"submitted {submitted}: expected a time zone")
    valid = [] if content["problems"] else challenges
    rows = {(row["challenge"], row["phase"]): row for row in content["scores"]}
    replicates = [content["replicates"][name][phase][HEADLINE] for name in valid]
    return Entry(
        content["participant"],
        content["builtin"],
        content["file"],
        submitted,
        content["problems"],
        scores={name: rows[name, phase] for name in valid},
        curves={name: content["curves"][name][phase] for name in valid},
        replicates=np.mean(replicates, axis=0) if valid else np.empty(0),
        dev=fmean(rows[name, "dev"][HEADLINE] for name in valid) if valid else np.nan,
    )


def _time(entry: Entry) -> tuple[datetime, str, str]:
    """By this, one submission is later than another; built-in attacks have no time."""
    submitted = entry.submitted or datetime.min.replace(tzinfo=UTC)
    return submitted, entry.file or "", entry.participant


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def _result(entry: Entry) -> dict[str, Any]:
    low, high = entry.interval
    about = {"participant": entry.participant, "file": entry.file}
    return about | {"mean": entry.mean, "low": low, "high": high}


def _data(challenges: Mapping[str, str], board: Sequence[Standing]) -> dict[str, Any]:
    """What the page's program draws: values as (estimate, low, high), the mean's first."""
    rows = []
    for entry in (standing.entry for standing in board):
        values = {
            metric.name: [
                [fmean(row[metric.name] for row in entry.scores.values()), None, None],
                *(
                    [row[metric.name + end] for end in ("", "_low", "_high")]
                    for row in entry.scores.values()
                ),
            ]
            for metric in METRICS
        }
        values[HEADLINE][0][1:] = entry.interval  # only this metric has a mean's replicates
        curves = [[curve["fpr"], curve["tpr"]] for curve in entry.curves.values()]
        rows.append({"name": visible(entry.participant), "values": values, "curves": curves})
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
