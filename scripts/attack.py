"""Run one attack on a challenge, as a participant would, and write its submission."""

import argparse
import json
from pathlib import Path

import numpy as np

from mico.attacks import registry
from mico.attacks.given import shared_references, signals, target_references, whitebox
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support import program
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attack", required=True, help=f"one of {', '.join(registry.ATTACKS)}")
    parser.add_argument("--options", default="{}", help="JSON of the attack's options")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--signals", type=Path, required=True, help="the challenge's signals.npz")
    parser.add_argument("--whitebox", type=Path, help="its whitebox.npz, if the attack wants it")
    parser.add_argument("--references", type=Path, nargs="+", help="likewise, of all shards")
    parser.add_argument("--others", type=Path, nargs="+", help="likewise, other submissions")
    parser.add_argument(
        "--shared", type=Path, nargs="+", help="shared reference models, of all shards"
    )
    parser.add_argument("--shared-count", type=int, help="how many of them to use")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    try:
        values = json.loads(args.options)
    except ValueError as error:
        raise InputError(f"--options {args.options!r}: expected JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"--options {args.options!r}: expected a JSON object")
    options = registry.options(args.attack, values)
    phases = Phases(*args.phases)
    given = signals.read(args.signals)
    if (phases.train, phases.models) != (given.train_models, len(given.challenge)):
        raise InputError(f"{args.signals}: not of {phases.models} models, {phases.train} of train")
    if args.shared:
        if args.shared_count is None or args.shared_count < 2:
            raise InputError(f"--shared-count {args.shared_count}: expected at least 2")
        shared = shared_references.read(args.shared)
        given = shared_references.add(given, shared, args.shared_count)

    def read_others(paths: list[Path]) -> dict[str, np.ndarray]:
        size = given.challenge.shape[1]
        # Their place is <participant>/<track>/<challenge>.
        return {path.parts[-3]: prediction_files.read(path, phases, size) for path in paths}

    readers = {
        "whitebox": whitebox.read,
        "references": target_references.read,
        "others": read_others,
    }
    wanted = {}
    for name in registry.inputs(args.attack):
        if getattr(args, name) is None:
            raise InputError(f"attack {args.attack}: expected --{name}")
        wanted[name] = given if name == "signals" else readers[name](getattr(args, name))
    found = registry.ATTACKS[args.attack].scores(**wanted, options=options)
    scores, note = found if isinstance(found, tuple) else (found, "")
    prediction_files.write(args.output, phases, prediction_files.to_predictions(scores), note)


if __name__ == "__main__":
    program.run(main)
