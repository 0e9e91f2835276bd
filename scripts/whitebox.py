"""Compute white-box features of a challenge's released models at all its challenge points."""

import argparse
from pathlib import Path

import torch

from mico import arrays, command_line, datasets, gradients, training
from mico.architecture import build
from mico.device import choose
from mico.phases import Phases


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--challenge", type=Path, required=True, help="the released directory")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--architecture", required=True, help="mlp, cnn or cnn/<divisor>")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--n", type=int, required=True, help="records in a training set")
    parser.add_argument("--m", type=int, required=True, help="challenge points that are members")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--output", type=Path, required=True, help="whitebox.npz to write")
    args = parser.parse_args()

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
