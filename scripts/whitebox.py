"""Compute white-box features of a challenge's released models at all its challenge points."""

import torch

from mico import arrays, command_line, datasets, gradients, participant, training
from mico.architecture import build
from mico.device import choose
from mico.phases import Phases


@torch.no_grad()
def main() -> None:
    args = participant.parser(__doc__, "whitebox.npz").parse_args()
    dataset = datasets.read(args.data)
    architecture = build(args.architecture, dataset.description)
    computed = gradients.compute(
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
