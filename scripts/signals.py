"""Run a challenge's released models on all its challenge points, once for all attacks."""

import torch

from mico.attacks.given import arguments, outputs
from mico.challenge.phases import Phases
from mico.data import store
from mico.networks.build import build
from mico.support import arrays, program
from mico.training import engine
from mico.training.device import choose


@torch.no_grad()
def main() -> None:
    parser = arguments.parser(__doc__, "signals.npz")
    arguments.add_network(parser)
    args = parser.parse_args()
    dataset = store.read(args.data)
    architecture = build(args.architecture, dataset.description, args.physical_batch_size)
    computed = outputs.compute(
        args.challenge,
        Phases(*args.phases),
        architecture,
        engine.load(architecture, dataset, choose(args.device)),
        args.n,
        args.m,
    )
    arrays.write(args.output, computed)


if __name__ == "__main__":
    program.run(main)
