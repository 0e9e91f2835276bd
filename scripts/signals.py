"""Run a challenge's released models on all its challenge points, once for all attacks."""

from mico.attacks.computing import outputs, over_models
from mico.support import program


def main() -> None:
    over_models.run(__doc__, "signals.npz", outputs.compute)


if __name__ == "__main__":
    program.run(main)
