"""Write which challenge records of a scenario are at risk: a page, and a table of all."""

import argparse
from pathlib import Path

import numpy as np

from mico.attacks.given import signals as signals_kind
from mico.challenge import split_file
from mico.challenge.phases import PHASES, Phases
from mico.data import store
from mico.pages import records
from mico.pages.looks import looks
from mico.pages.records import About, Evidence
from mico.release import prediction_files
from mico.support import program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="the run's name")
    parser.add_argument("--scenario", required=True, help="the scenario's id")
    parser.add_argument("--challenge", required=True, help="its challenge's name")
    parser.add_argument("--signals", type=Path, required=True, help="the models' outputs, .npz")
    parser.add_argument("--splits", type=Path, required=True, help="who is what, splits.npz")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="the data set, if any")
    parser.add_argument(
        "--predictions", type=Path, nargs="*", default=[], help="<attack>/<track>/<challenge>/"
    )
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument(
        "--traced", choices=PHASES, nargs="+", required=True, help="whose training sets are known"
    )
    parser.add_argument(
        "--attacked", choices=PHASES, nargs="+", required=True, help="whose attacks are looked at"
    )
    parser.add_argument("--public-seeds", action="store_true", help="anyone may know the seeds")
    parser.add_argument("--page", type=Path, required=True, help="the page to write, HTML")
    parser.add_argument("--table", type=Path, required=True, help="the table to write, CSV")
    args = parser.parse_args()

    phases = Phases(*args.phases)
    dataset = store.read(args.data[0]) if args.data else None
    evidence = _evidence(args, phases, None if dataset is None else dataset.labels)
    study = records.study(args.challenge, evidence)
    shown = [int(one) for one in evidence.records[np.concatenate([study.most, study.least])]]
    found = [] if dataset is None else looks(args.data[0], dataset, shown)
    appearance = dict(zip(shown, found, strict=False))
    about = About(
        args.run,
        args.scenario,
        args.challenge,
        args.traced,
        args.attacked,
        args.public_seeds,
        None if dataset is None else dataset.description,
    )
    table = records.table(evidence, study)
    page = records.render(about, evidence, study, table, appearance)
    with atomic_file(args.table) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    with atomic_file(args.page) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _evidence(args: argparse.Namespace, phases: Phases, labels: np.ndarray | None) -> Evidence:
    """What is known of the models that may be told of."""
    signals = signals_kind.read([args.signals], phases)
    splits = split_file.read(args.splits)
    points = np.unique(splits.challenge)
    places = signals.challenge
    fits = len(points) == signals.margin.shape[1] and places.shape == splits.challenge.shape
    if not (fits and np.array_equal(points[places], splits.challenge)):
        raise InputError(f"{args.signals}: of other challenge points than {args.splits} says")
    if labels is not None and points[-1] >= len(labels):
        raise InputError(
            f"{args.splits}: record {points[-1]}, but {args.data[0]} has {len(labels)} records"
        )
    count = splits.membership.shape[1]
    traced, attacked = (
        np.array([model for phase in chosen for model in phases.of(phase)], int)
        for chosen in (args.traced, args.attacked)
    )
    return Evidence(
        records=points.astype(np.int64),
        classes=None if labels is None else labels[points].astype(np.int64),
        signal=signals.margin[traced],
        trained=splits.trained[traced][:, points],
        columns=places[attacked],
        membership=splits.membership[attacked],
        predictions={
            path.parts[-3]: prediction_files.read(path, phases, count)[attacked]
            for path in args.predictions
        },
    )


if __name__ == "__main__":
    program.run(main)
