"""What the programs ask for that a participant runs on a released challenge."""

import argparse
import json
from pathlib import Path

from mico import privacy
from mico.architecture import PRECISIONS
from mico.training import TrainingOptions


def parser(description: str, output: str) -> argparse.ArgumentParser:
    """The arguments of every such program.

    Args:
        output: what it writes, for the help.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--challenge", type=Path, required=True, help="the released directory")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--architecture", required=True, help="a name of mico.architecture.build")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--n", type=int, required=True, help="records in a training set")
    parser.add_argument("--m", type=int, required=True, help="challenge points that are members")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--output", type=Path, required=True, help=f"{output} to write")
    return parser


def add_training(parser: argparse.ArgumentParser, shard: str) -> None:
    """Add the arguments of a program that trains reference models.

    Args:
        shard: whose numbers a shard's first and last are, for the help.
    """
    parser.add_argument(
        "--physical-batch-size",
        type=int,
        required=True,
        help="on how many examples of each model a CNN or transformer computes at a time",
    )
    parser.add_argument(
        "--precision",
        default=PRECISIONS[0],
        choices=PRECISIONS,
        help="in which a transformer passes forward and back",
    )
    parser.add_argument("--privacy", type=Path, required=True, help="the scenario's privacy.json")
    parser.add_argument(
        "--options", required=True, help="JSON of mico.training.TrainingOptions without the noise"
    )
    parser.add_argument("--first", type=int, required=True, help=f"the first {shard}'s number")
    parser.add_argument("--last", type=int, required=True, help=f"the last {shard}'s number")


def recipe(args: argparse.Namespace) -> TrainingOptions:
    """How the challenge's models were trained, as the organiser published it."""
    noise = privacy.read(args.privacy).noise_multiplier
    return TrainingOptions(**json.loads(args.options), noise_multiplier=noise)
