"""What two programs do alike: run a challenge's released models at all its challenge points."""

from collections.abc import Callable
from pathlib import Path

import torch

from mico.attacks.computing import arguments
from mico.challenge.phases import Phases
from mico.data import store
from mico.networks.architecture import Architecture
from mico.networks.build import build
from mico.support import arrays, program
from mico.training import engine
from mico.training.device import choose
from mico.training.engine import Records

# Of the released directory, the phases, the network, all records, n, m and the challenge's
# checksums: what is stored.
Compute = Callable[[Path, Phases, Architecture, Records, int, int, Path | None], arrays.Dataclass]


@torch.no_grad()
def run(description: str, output: str, compute: Compute) -> None:
    """Take the program's arguments, compute, and write what was computed as an .npz file.

    Args:
        description: of the program; output: the file's name, for the help.

    Raises:
        InputError: a released file is missing, corrupt or of another architecture.
    """
    parser = arguments.parser(description, output)
    parser.add_argument("--architecture", required=True, help="a network's name and variant")
    parser.add_argument(
        "--physical-batch-size",
        type=program.from_1,
        help="on how many examples of each model a network computes at a time; else as it has it",
    )
    parser.add_argument("--n", type=program.from_1, required=True, help="records in a training set")
    parser.add_argument(
        "--m", type=program.from_1, required=True, help="challenge points that are members"
    )
    args = parser.parse_args()
    dataset = store.read(args.data)
    architecture = build(args.architecture, dataset.description, args.physical_batch_size)
    records = engine.load(architecture, dataset, choose(args.device))
    released = args.challenge, Phases(*args.phases)
    found = compute(*released, architecture, records, args.n, args.m, args.checksums)
    arrays.write(args.output, found)
