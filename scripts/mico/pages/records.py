"""A page on a scenario's records: which are at risk, how sure that is, and which attacks see them.

The same inputs give the same bytes.
"""

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mico.data.store import Description
from mico.pages import figures
from mico.pages.looks import Look
from mico.pages.rendering import environment
from mico.pages.run_results import PHASES
from mico.scoring import records
from mico.scoring.metrics import HEADLINE_FPR
from mico.scoring.records import Again, Agreement, Effects
from mico.support.arrays import Bools, Floats, Ints

FPRS = (HEADLINE_FPR, 0.01)  # at which attacks are compared
LISTED = 100  # records in the page's table
SURE = 0.05  # the share of false ones that is called few
NONE = 255  # a byte that stands for no share


@dataclass(frozen=True)
class About:
    """What the page is about."""

    run: str
    scenario: str
    challenge: str
    traced: Sequence[str]  # phases whose training sets are known
    attacked: Sequence[str]  # phases whose attacks are looked at
    public_seeds: bool
    data: Description | None  # None where only outputs are given


@dataclass(frozen=True)
class Evidence:
    """What is known of U records in K models whose training sets are known, and in A attacked."""

    records: Ints  # (U,) positions in the data set, rising
    classes: Ints | None  # (U,)
    signal: Floats  # (K, U)
    trained: Bools  # (K, U)
    columns: Ints  # (A, 2m), places in `records` of the challenge points
    membership: Bools  # (A, 2m)
    # Attack -> (A, 2m); the row of a train model that it left out is not a number.
    predictions: Mapping[str, Floats]


@dataclass(frozen=True)
class Study:
    """What is found of them."""

    effects: Effects
    chance: Floats  # (shuffles, U) effects with memberships shuffled
    mean: float  # of all known effects
    false_any: Floats  # (U,) shares that would be there by chance if no record had an effect
    false_more: Floats  # (U,) and if all records had the mean effect
    first: Ints  # (U,) places that intervals leave room for
    last: Ints
    order: Ints  # (U,) the most at risk first
    most: Ints  # a few of each
    least: Ints
    again: Again | None
    attacked: Ints  # (U,) models whose challenge point it is
    right: dict[str, Floats]  # attack -> (U,) the share of those in which it is right about it
    agreement: dict[float, Agreement]  # by FPR; empty without models that all attacks look at


def study(challenge: str, evidence: Evidence) -> Study:
    """All that the page says, in numbers."""
    found = records.effects(evidence.signal, evidence.trained)
    chance, chance_low = records.shuffled(evidence.signal, evidence.trained, challenge)
    _, alike_low = records.alike(evidence.signal, evidence.trained, challenge)
    order = records.order(found)
    known = ~np.isnan(found.effect)
    mean = float(found.effect[known].mean()) if known.any() else 0.0
    few = min(records.CHOSEN, int(known.sum()) // 2)
    rising = np.argsort(found.high, kind="stable")  # unknown ones last
    least = rising[~np.isin(rising, order[:few])][:few]
    first, last = records.places(found)
    size = len(evidence.records)
    return Study(
        found,
        chance,
        mean,
        records.false_share(found, chance_low),
        records.false_share(found, alike_low),
        first,
        last,
        order,
        order[:few],
        least,
        records.again(evidence.signal, evidence.trained),
        records.counts(evidence.columns, size),
        {name: _right(evidence, one) for name, one in evidence.predictions.items()},
        _agreements(evidence),
    )


def _right(evidence: Evidence, predictions: Floats) -> Floats:
    """The share of the models that have a record (U,) in which an attack is right about it."""
    given = ~np.isnan(predictions[:, 0])
    columns, truth = evidence.columns[given], evidence.membership[given]
    size = len(evidence.records)
    if not given.any():
        return np.full(size, np.nan)
    right = records.calls(predictions[given], truth, HEADLINE_FPR) == truth
    asked = records.counts(columns, size)
    hits = records.counts(columns, size, right)
    shares: Floats = np.divide(hits, asked, out=np.full(size, np.nan), where=asked > 0)
    return shares


def _agreements(evidence: Evidence) -> dict[float, Agreement]:
    every = list(evidence.predictions.values())
    if not every:
        return {}
    given = np.all([~np.isnan(one[:, 0]) for one in every], axis=0)
    if not given.any():
        return {}
    truth = evidence.membership[given]
    return {
        fpr: records.agreement(
            np.stack([records.calls(one[given], truth, fpr) for one in every]), truth
        )
        for fpr in FPRS
    }


def table(evidence: Evidence, found: Study) -> pd.DataFrame:
    """A row for each record, the most at risk first; what is not known is missing."""
    effects = found.effects
    known = ~np.isnan(effects.effect)
    place = np.empty(len(known), np.int64)
    place[found.order] = np.arange(1, len(known) + 1)
    columns: dict[str, Any] = {"record": evidence.records}
    if evidence.classes is not None:
        columns["class"] = evidence.classes
    columns |= {
        "challenge_models": found.attacked,
        "place": _where(known, place),
        "place_first": _where(known, found.first),
        "place_last": _where(known, found.last),
        "false_any": found.false_any,
        "false_more": found.false_more,
        "effect": effects.effect,
        "effect_low": effects.low,
        "effect_high": effects.high,
        "in_models": effects.inside,
        "out_models": effects.outside,
        "mean_in": effects.mean_in,
        "mean_out": effects.mean_out,
    }
    columns |= {f"right_{name}": share for name, share in found.right.items()}
    return pd.DataFrame(columns).iloc[found.order].reset_index(drop=True)


def _where(known: Bools, values: Ints) -> pd.Series:
    """Integers, missing where they are not known."""
    return pd.Series(values, dtype="Int64").where(pd.Series(known))


def render(
    about: About,
    evidence: Evidence,
    found: Study,
    rows: pd.DataFrame,
    looks: Mapping[int, Look],
) -> str:
    """The page, as HTML.

    Args:
        rows: what `table` gives; looks: by record, of those that are shown.
    """
    data, effects = about.data, found.effects
    places = range(len(evidence.records))
    shares = pd.DataFrame(found.right, index=places).mean(axis=1)  # over attacks, if any
    names = None if data is None else data.class_names

    def cards(chosen: Ints) -> list[dict[str, Any]]:
        return [
            _card(rows.iloc[place], float(shares[i]), looks, names)
            for place, i in ((int(np.flatnonzero(found.order == i)[0]), i) for i in chosen)
        ]

    listed = found.order[:LISTED]
    listed = listed[~np.isnan(effects.effect[listed])]
    few = len(found.most)
    templates = environment()
    return templates.get_template("records.html.j2").render(
        about=about,
        synthetic=[data.name] if data is not None and data.synthetic else [],
        public_seeds=about.public_seeds,
        phase_labels=PHASES,
        records=len(evidence.records),
        known=int((~np.isnan(effects.effect)).sum()),
        traced=len(evidence.signal),
        attacked=len(evidence.membership),
        attacks=list(evidence.predictions),
        most=cards(found.most),
        least=cards(found.least),
        listed=cards(listed),
        scale=_scale(effects, listed),
        mean=found.mean,
        # At the last of those that are shown, and how many records have few false ones before them.
        more=_sure(found.false_more, found.most),
        any=_sure(found.false_any, found.most),
        sure=SURE,
        shuffles=records.SHUFFLES,
        again=found.again,
        chosen=records.CHOSEN,
        figure=_figure(about, found) if few else None,
        agreement=found.agreement,
        guess=HEADLINE_FPR,
        packed=_packed(evidence, found),
        class_names=names,
        bins=records.BINS,
    )


def _sure(shares: Floats, most: Ints) -> dict[str, float]:
    """Of false shares, that of the first few records, and how many records have a low one."""
    return {
        "share": float(shares[most[-1]]) if len(most) else 1.0,
        "records": int((shares <= SURE).sum()),
    }


def _card(
    row: pd.Series, right: float, looks: Mapping[int, Look], names: Sequence[str] | None
) -> dict[str, Any]:
    """What the page says of one record."""
    record = int(row["record"])
    label = row.get("class")
    name = None if label is None else str(int(label)) if names is None else names[int(label)]
    return {
        "record": record,
        "look": looks.get(record),
        "class": name,
        "place": int(row["place"]),
        "first": int(row["place_first"]),
        "last": int(row["place_last"]),
        "any": float(row["false_any"]),
        "more": float(row["false_more"]),
        "effect": float(row["effect"]),
        "low": float(row["effect_low"]),
        "high": float(row["effect_high"]),
        "inside": int(row["in_models"]),
        "outside": int(row["out_models"]),
        "attacked": int(row["challenge_models"]),
        "right": None if np.isnan(right) else right,
    }


def _scale(effects: Effects, listed: Ints) -> tuple[float, float]:
    """Where bars of intervals begin and end: all of those that are listed, and 0."""
    if not len(listed):
        return 0.0, 1.0
    low = min(0.0, float(effects.low[listed].min()))
    return low, max(low + 1e-9, float(effects.high[listed].max()), 0.0)


def _figure(about: About, found: Study) -> str:
    effect = found.effects.effect
    title = f"Effects of all records, {about.scenario}"
    chance = found.chance[~np.isnan(found.chance)]
    return figures.effects(title, effect[~np.isnan(effect)], chance, effect[found.most])


def _packed(evidence: Evidence, found: Study) -> dict[str, Any]:
    """All records, the most at risk first, for the page's program: columns, one after the other.

    They are compressed as zlib does it, and written in base64. Numbers of four bytes come first.
    """
    effects, order = found.effects, found.order
    inside, outside = records.histograms(evidence.signal, evidence.trained)
    classes = evidence.classes if evidence.classes is not None else np.full(len(order), -1)
    integers = {
        "record": evidence.records,
        "label": classes,
        "attacked": found.attacked,
        "inside": effects.inside,
        "outside": effects.outside,
        "first": found.first,
        "last": found.last,
    }
    numbers = {
        "effect": effects.effect,
        "low": effects.low,
        "high": effects.high,
        "any": found.false_any,
        "more": found.false_more,
        "least": evidence.signal.min(axis=0),
        "most": evidence.signal.max(axis=0),
    }
    parts = [one[order].astype("<i4") for one in integers.values()]
    parts += [one[order].astype("<f4") for one in numbers.values()]
    highest = np.maximum(inside.max(axis=1), outside.max(axis=1))[:, None]
    for shares in inside, outside:
        parts.append(np.rint(255 * shares / highest)[order].astype(np.uint8))
    for shares in found.right.values():
        percent = np.where(np.isnan(shares), NONE, np.rint(100 * shares))
        parts.append(percent[order].astype(np.uint8))
    content = zlib.compress(b"".join(part.tobytes() for part in parts), 9)
    return {
        "count": len(order),
        "integers": list(integers),
        "numbers": list(numbers),
        "content": base64.b64encode(content).decode(),
    }
