"""Write a challenge as a participant gets it, from the organiser's private files."""

from pathlib import Path

import numpy as np

from mico.challenge import memberships, model_table, seeds, split_file, splits
from mico.challenge.layout import model_folder
from mico.challenge.phases import Phases
from mico.release import writer
from mico.support import argument_files, program
from mico.support.errors import InputError, damaged


def main() -> None:
    parser = argument_files.parser(__doc__)
    parser.add_argument("--scenario", required=True, help="the scenario's id")
    parser.add_argument("--seeds", type=Path, required=True, help="the scenario's seeds.csv")
    parser.add_argument(
        "--memberships", type=Path, nargs="*", default=[], help="memberships.npz, in place of seeds"
    )
    parser.add_argument("--splits", type=Path, required=True, help="the scenario's splits.npz")
    parser.add_argument(
        "--shards",
        type=Path,
        nargs="+",
        required=True,
        help="the directories of trained models, with their tables beside them",
    )
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--disclosed", nargs="*", default=[], help="seeds given away everywhere")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    parser.add_argument("--checksums", type=Path, required=True, help="its SHA-256 sums to write")
    args = parser.parse_args()

    phases = Phases(*args.phases)
    all_seeds = seeds.read(args.seeds)
    if len(all_seeds) != phases.models:
        raise InputError(f"{args.seeds}: {len(all_seeds)} models, expected {phases.models}")
    known_splits = split_file.read(args.splits)
    membership = known_splits.membership
    if len(membership) != phases.models:
        raise InputError(f"{args.splits}: {len(membership)} models, expected {phases.models}")
    points, records = membership.shape[1], known_splits.trained.shape[1]
    given = memberships.read(args.memberships, phases.models)
    for model, row in enumerate(all_seeds):
        if given is None:
            order = splits.challenge_order(records, row["seed_challenge"])[:points]
        else:
            order = given.challenge[model]
        if not np.array_equal(order, known_splits.challenge[model]):
            source = args.seeds if given is None else args.memberships[0]
            reason = f"model {model}: not the challenge points that {source} gives"
            raise damaged(args.splits, reason)
    models = writer.trained(args.shards, phases.models)
    sums = writer.verified(models, map(model_table.path_of, args.shards), args.scenario)
    writer.write(args.output, phases, given or all_seeds, membership, models, args.disclosed)
    known = {
        f"{model_folder(phase, model)}/{name}": digest
        for phase, model in phases.named()
        for name, digest in sums[model].items()
    }
    writer.write_checksums(args.output, args.checksums, known)


if __name__ == "__main__":
    program.run(main)
