"""Entries of a track, a JSON file each: what was submitted, whether it was accepted, its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mico.support import json_files
from mico.support.errors import InputError

Row = dict[str, Any]  # of scores.csv


@dataclass(frozen=True, eq=False)
class Entry:
    """A built-in attack, or one submission of a participant; a rejected one has no scores.

    Raises:
        ValueError: a field is of another kind, or the time has no time zone.
    """

    participant: str
    track: str
    builtin: bool
    file: str | None = None  # the submission's name; None for a built-in attack, like the time
    submitted: datetime | None = None
    problems: Sequence[str] = ()  # why it was rejected, a line each
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
            ("submitted", datetime | None, "a time or null"),
            ("problems", list | tuple, "a list"),
            ("scores", list | tuple, "a list"),
            *((name, Mapping, "an object") for name in ("curves", "replicates", "audit", "notes")),
        ):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} {getattr(self, name)!r}: expected {expected}")
        if self.submitted and self.submitted.tzinfo is None:
            raise ValueError(f"submitted {self.submitted}: expected a time zone")

    @property
    def order(self) -> tuple[datetime, str]:
        """By this, one entry is later than another; built-in attacks have no time."""
        return self.submitted or datetime.min.replace(tzinfo=UTC), self.file or ""


def write(path: Path, entry: Entry) -> None:
    """Write an entry; notes only where there are any."""
    content = {one.name: getattr(entry, one.name) for one in fields(entry)}
    if entry.submitted:
        content["submitted"] = entry.submitted.isoformat(timespec="seconds")
    if not entry.notes:
        del content["notes"]
    json_files.write(path, content)


def read(path: Path) -> Entry:
    """Read what `write` wrote.

    Raises:
        InputError: the file is not an entry.
    """
    try:
        content = {"notes": {}} | json_files.read(path)
        for one in fields(Entry):
            if one.name not in content:
                raise ValueError(f"{one.name!r} is missing")
        if content["submitted"] is not None:
            content["submitted"] = datetime.fromisoformat(content["submitted"])
        return Entry(**content)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected an entry: {error}") from None


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """The latest accepted entry of each participant in each track, in the given order.

    A participant may be called like a built-in attack, and is another one.
    """
    accepted = sorted((entry for entry in entries if not entry.problems), key=lambda e: e.order)
    latest = {(entry.track, entry.builtin, entry.participant): entry for entry in accepted}
    kept = set(latest.values())
    return [entry for entry in entries if entry in kept]
