"""Find the noise multiplier of a scenario's privacy budget, or the budget of its noise."""

import argparse
from pathlib import Path

from mico.privacy import accountant, budget
from mico.support import program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=program.from_1, required=True, help="records in a training set")
    parser.add_argument(
        "--batch-size", type=program.from_1, required=True, help="the expected batch size L"
    )
    parser.add_argument("--epochs", type=program.from_1, required=True)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--epsilon", type=program.above_0, help="with neither, training is not private"
    )
    group.add_argument("--noise-multiplier", type=program.above_0)
    parser.add_argument(
        "--drop-last", action="store_true", help="floor(n / L) steps an epoch, with q = L / n"
    )
    parser.add_argument("--delta", type=program.above_0)
    parser.add_argument("--output", type=Path, required=True, help="privacy.json to write")
    args = parser.parse_args()

    spent = accountant.account(
        *(args.n, args.batch_size, args.epochs, args.delta),
        epsilon=args.epsilon,
        noise_multiplier=args.noise_multiplier,
        drop_last=args.drop_last,
    )
    budget.write(args.output, spent)


if __name__ == "__main__":
    program.run(main)
