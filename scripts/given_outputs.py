"""Make of outputs of models that are given what attacks and the scorer read."""

import argparse
from pathlib import Path

import numpy as np

from mico.attacks.computing import array_files
from mico.challenge import split_file
from mico.challenge.split_file import Splits
from mico.support import arrays, private, program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, required=True, help="an .npz or a folder")
    parser.add_argument("--signals", type=Path, help="the signals to write, .npz")
    parser.add_argument("--whitebox", type=Path, help="the records' classes to write, .npz")
    parser.add_argument("--splits", type=Path, help="who trained on what, to write, .npz")
    args = parser.parse_args()

    outputs = array_files.read(args.outputs)
    if args.signals:
        arrays.write(args.signals, outputs.signals)
    if args.whitebox:
        arrays.write(args.whitebox, outputs.whitebox)
    if args.splits:
        challenge = outputs.signals.challenge.astype(np.int32)
        splits = Splits(challenge, outputs.membership, outputs.membership)
        with private.only_for_owner(args.splits):
            split_file.write(args.splits, splits)


if __name__ == "__main__":
    program.run(main)
