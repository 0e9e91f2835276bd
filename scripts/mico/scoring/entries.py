"""Entries of a track, a JSON file each: what was submitted, whether it was accepted, its scores."""

import math
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mico.support import json_files
from mico.support.errors import InputError

Row = dict[str, Any]  # of scores.csv
# The models that pages draw and compare: those that are attacked, or if nothing is known of them,
# those of train.
POOLED = ("both", "train")
OPTIONAL = ("future", "ignored", "notes")  # fields of an entry that are not written when empty


@dataclass(frozen=True, eq=False)
class Entry:
    """A built-in attack, or one submission of a participant; a rejected one has no scores.

    Raises:
        ValueError: a field is of another kind.
    """

    participant: str
    track: str
    builtin: bool
    file: str | None = None  # the submission's name; None for a built-in attack, like the time
    # When its file was last written, as the file says: ns since 1970. It may say anything.
    submitted: int | None = None
    future: bool = False  # that time was still to come when it was scored
    problems: Sequence[str] = ()  # why it was rejected, a line each
    ignored: Sequence[str] = ()  # what it holds and was not needed, a line each
    scores: Sequence[Row] = ()  # a row per challenge and phase: every metric with its interval
    # Challenge -> phase -> its ROC: fpr, tpr; for `both` also models: model -> TPR.
    curves: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    # Challenge -> phase -> metric -> its value on each bootstrap resample.
    replicates: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]] = field(
        default_factory=dict
    )
    audit: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by challenge
    # Challenge -> what a built-in attack did, as the end of a sentence that begins with its name.
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind, expected in (
            ("participant", str, "a text"),
            ("track", str, "a text"),
            ("builtin", bool, "true or false"),
            ("file", str | None, "a text or null"),
            ("submitted", int | None, "an integer or null"),
            ("future", bool, "true or false"),
            ("problems", list | tuple, "a list"),
            ("ignored", list | tuple, "a list"),
            ("scores", list | tuple, "a list"),
            *((name, Mapping, "an object") for name in ("curves", "replicates", "audit", "notes")),
        ):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} {getattr(self, name)!r}: expected {expected}")


def pooled(phases: Container[str]) -> str | None:
    """Which of some phases is drawn and compared; None without one of `POOLED`."""
    return next((phase for phase in POOLED if phase in phases), None)


def order(submitted: int | None, file: str | None) -> tuple[float, list[object], str]:
    """By this, one entry is later than another; built-in attacks have no time.

    Of two files of one time, the later is that of the larger number: x10.zip after x9.zip.
    """
    name = file or ""
    # Texts and numbers take turns, so that like is compared with like: of numbers first the length.
    parts = re.split("0*([0-9]+)", name.casefold())
    natural = [(len(part), part) if i % 2 else part for i, part in enumerate(parts)]
    return -math.inf if submitted is None else submitted, natural, name


def moment(submitted: int) -> datetime | None:
    """A time in ns since 1970, if there is a date for it, from the year 1 to 9999."""
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=submitted // 1000)
    except OverflowError:
        return None


def said(submitted: int) -> str:
    """The time that a file says it was written, to the minute, in UTC; it may say anything."""
    time = moment(submitted)
    if time is None:
        return "before the year 1" if submitted < 0 else "after the year 9999"
    return time.isoformat(" ", timespec="minutes").removesuffix("+00:00")


def write(path: Path, entry: Entry) -> None:
    """Write an entry; what most entries lack only where there is some."""
    content = {one.name: getattr(entry, one.name) for one in fields(entry)}
    for name in OPTIONAL:
        if not content[name]:
            del content[name]
    json_files.write(path, content)


def read(path: Path) -> Entry:
    """Read what `write` wrote.

    Raises:
        InputError: the file is not an entry.
    """
    try:
        content = json_files.read(path)
        for one in fields(Entry):
            if one.name not in content and one.name not in OPTIONAL:
                raise ValueError(f"{one.name!r} is missing")
        return Entry(**content)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected an entry: {error}") from None


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """The latest accepted entry of each participant in each track, in the given order.

    A participant may be called like a built-in attack, and is another one.
    """
    accepted = sorted(
        (entry for entry in entries if not entry.problems),
        key=lambda entry: order(entry.submitted, entry.file),
    )
    latest = {(entry.track, entry.builtin, entry.participant): entry for entry in accepted}
    kept = set(latest.values())
    return [entry for entry in entries if entry in kept]


def history(entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """What became of every submission, in the order of tracks and times.

    Args:
        entries: by the names of their files, which name what their participants may be told too.
    """
    counting = standing(list(entries.values()))
    return [
        {
            "track": entry.track,
            "participant": entry.participant,
            "file": entry.file,
            "time": said(entry.submitted) + ", to come" * entry.future,
            "outcome": "rejected"
            if entry.problems
            else "counts"
            if entry in counting
            else "replaced",
            "details": f"detailed_results/{entry.track}/{name}/detailed_results.html",
        }
        for name, entry in sorted(
            entries.items(),
            key=lambda item: (item[1].track, order(item[1].submitted, item[1].file)),
        )
        if entry.submitted is not None
    ]
