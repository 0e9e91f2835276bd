"""What the programs ask for that a participant runs on a released challenge."""

import argparse
from pathlib import Path

from mico.networks.facts import PHYSICAL_BATCH_SIZE


def parser(description: str, output: str) -> argparse.ArgumentParser:
    """The arguments of every such program.

    Args:
        output: what it writes, for the help.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--challenge", type=Path, required=True, help="the released directory")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--output", type=Path, required=True, help=f"{output} to write")
    return parser


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add what a program asks for that runs the released models and trains none."""
    parser.add_argument("--architecture", required=True, help="a network's name and variant")
    parser.add_argument(
        "--physical-batch-size",
        type=int,
        default=PHYSICAL_BATCH_SIZE,
        help="on how many examples of each model a network computes at a time",
    )
    parser.add_argument("--n", type=int, required=True, help="records in a training set")
    parser.add_argument("--m", type=int, required=True, help="challenge points that are members")
