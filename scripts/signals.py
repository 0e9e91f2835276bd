"""Run a challenge's released models on all its challenge points, once for all attacks."""

import torch

from mico import arrays, command_line, datasets, outputs, participant, training
from mico.architecture import build
from mico.device import choose
from mico.phases import Phases


@torch.no_grad()
def main() -> None:
    args = participant.parser(__doc__, "signals.npz").parse_args()
    dataset = datasets.read(args.data)
    architecture = build(args.architecture, dataset.description)
    computed = outputs.compute(
        args.challenge,
        Phases(*args.phases),
        architecture,
        training.load(architecture, dataset, choose(args.device)),
        args.n,
        args.m,
    )
    arrays.write(args.output, computed)


if __name__ == "__main__":
    command_line.run(main)
