"""What the programs ask for that train a shard of models."""

import argparse
from pathlib import Path

from mico.challenge.recipe import Recipe
from mico.support import program, records


def add(parser: argparse.ArgumentParser, shard: str) -> None:
    """Add the arguments.

    Args:
        shard: what is numbered from first to last, for the help.
    """
    parser.add_argument("--recipe", required=True, help="JSON of mico.challenge.recipe.Recipe")
    parser.add_argument("--privacy", type=Path, required=True, help="the scenario's privacy.json")
    parser.add_argument(
        "--first", type=program.from_0, required=True, help=f"the first {shard}'s number"
    )
    parser.add_argument(
        "--last", type=program.from_0, required=True, help=f"the last {shard}'s number"
    )


def recipe(args: argparse.Namespace) -> Recipe:
    """The recipe that was given.

    Raises:
        InputError: it is no JSON of a recipe.
    """
    return records.read(Recipe, args.recipe, "--recipe: ")
