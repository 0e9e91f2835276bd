"""How a scenario's models are trained, as arguments of the programs that train them or the like."""

import argparse
import json
from pathlib import Path

from mico.networks.facts import PRECISIONS
from mico.privacy import budget
from mico.training.engine import TrainingOptions


def add_arguments(parser: argparse.ArgumentParser, shard: str) -> None:
    """Add the arguments.

    Args:
        shard: what is numbered from first to last, for the help.
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


def options(args: argparse.Namespace) -> TrainingOptions:
    """With the noise of the scenario's privacy."""
    noise = budget.read(args.privacy).noise_multiplier
    return TrainingOptions(**json.loads(args.options), noise_multiplier=noise)
