"""Run one attack on a challenge, as a participant would, and write its predictions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mico.attacks import registry
from mico.attacks.given import shared_references, signals
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support import argument_files, program
from mico.support.arrays import Floats
from mico.support.errors import InputError, shown
from mico.support.numbers import whole_numbers


def main() -> None:
    parser = argument_files.parser(__doc__)
    known = ", ".join(registry.attacks())
    parser.add_argument(
        "--attack", required=True, help=f"one of {known}, or the path of a {registry.ENDING} file"
    )
    parser.add_argument("--options", default="{}", help="JSON of the attack's options")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument(
        "--input",
        nargs="+",
        action="append",
        default=[],
        metavar=("KIND", "PATH"),
        help="an input that the attack asks for, and its files; once for each",
    )
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    values = _options(args.options)
    options = registry.options(args.attack, values)
    phases = Phases(*args.phases)
    paths = _paths(args.input, args.attack, registry.inputs(args.attack, values))
    released = signals.read(paths.pop("signals"), phases)
    given = {
        kind: registry.reader(kind)(of_kind, released, phases) for kind, of_kind in paths.items()
    }
    if registry.SHARED in values:
        released = shared_references.add(released, given[registry.SHARED], values[registry.SHARED])
    asked = {kind: given[kind] for kind in registry.inputs(args.attack) if kind != "signals"}
    found = registry.load(args.attack).scores(signals=released, **asked, options=options)
    scores, note = found if isinstance(found, tuple) else (found, "")
    checked = _checked(scores, args.attack, released.challenge.shape, phases)
    prediction_files.write(args.output, phases, prediction_files.to_predictions(checked), note)


def _checked(scores: Any, attack: str, shape: tuple[int, ...], phases: Phases) -> Floats:
    """Scores as an array of this shape, in which only train models are left out."""
    try:
        if np.iscomplexobj(scores) or np.ma.is_masked(scores):
            raise ValueError("some are complex or masked")
        found = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"attack {attack}: its scores are no numbers ({error})") from None
    if found.shape != shape:
        raise InputError(f"attack {attack}: scores of shape {found.shape}, expected {shape}")
    missing = np.isnan(found)
    for model in np.flatnonzero(missing.any(axis=1)):
        if model >= phases.train or not missing[model].all():
            raise InputError(f"attack {attack}: a score of model {model} is not a number")
    if missing.all():
        raise InputError(f"attack {attack}: no model has scores, expected those of some")
    return found


def _options(text: str) -> dict[str, Any]:
    try:
        values = whole_numbers(json.loads(text))
    except ValueError as error:
        raise InputError(f"--options {shown(text)}: expected JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"--options {shown(text)}: expected a JSON object")
    return values


def _paths(
    given: Sequence[Sequence[str]], attack: str, kinds: Sequence[str]
) -> dict[str, list[Path]]:
    """The files of every kind of input that the attack asks for."""
    paths: dict[str, list[Path]] = {}
    for kind, *of_kind in given:
        if kind not in kinds:
            raise InputError(f"--input {kind}: attack {attack} asks for {', '.join(kinds)}")
        if kind in paths or not of_kind:
            raise InputError(f"--input {kind}: expected once, with its files")
        paths[kind] = [Path(path) for path in of_kind]
    for kind in kinds:
        if kind not in paths:
            raise InputError(f"attack {attack}: expected --input {kind}")
    return paths


if __name__ == "__main__":
    program.run(main)
