"""Run models of anybody's on all records of a data set, and write what they put out."""

import argparse
from pathlib import Path

import numpy as np
import torch

from mico.attacks.computing import outputs, weights
from mico.data import store
from mico.networks.architecture import Architecture, Parameters, read_parameters
from mico.networks.build import build
from mico.networks.model_files import read_state_dict
from mico.networks.transformer import BUFFERS
from mico.support import program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError
from mico.support.progress import progress
from mico.training import engine
from mico.training.device import choose


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="the models' folder")
    parser.add_argument("--members", type=Path, required=True, help="who trained on what")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--architecture", required=True, help="a network's name and variant")
    parser.add_argument("--physical-batch-size", type=program.from_1)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--output", type=Path, required=True, help="the .npz to write")
    args = parser.parse_args()

    paths = weights.models(args.weights)
    dataset = store.read(args.data)
    trained = weights.read_members(args.members, len(paths), dataset.description.records)
    network = build(args.architecture, dataset.description, args.physical_batch_size)
    records = engine.load(network, dataset, choose(args.device))
    every = records.take(np.arange(dataset.description.records)[None])
    margins = np.empty(trained.shape)
    for model, path in enumerate(progress(paths, len(paths), "models")):
        read = {name: value.to(every.labels.device) for name, value in _read(path, network).items()}
        margins[model] = outputs.on_labels(network, read, every)[1, 0]
    with atomic_file(args.output) as temporary, temporary.open("wb") as file:
        np.savez(file, scores=margins, trained=trained, labels=dataset.labels)


def _read(path: Path, network: Architecture) -> Parameters:
    """A model's parameters from its folder, or from a file of its state dict."""
    if path.is_dir():
        return read_parameters(path, network)
    try:
        return network.from_state_dicts([read_state_dict(path, skipped=BUFFERS)])
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


if __name__ == "__main__":
    program.run(main)
