"""Compute white-box features of a challenge's released models at all its challenge points."""

from mico.attacks.computing import gradients, over_models
from mico.support import program


def main() -> None:
    over_models.run(__doc__, "whitebox.npz", gradients.compute)


if __name__ == "__main__":
    program.run(main)
