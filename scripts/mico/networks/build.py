"""Build the network that an architecture's name stands for."""

from importlib import import_module

from mico.data.store import Description
from mico.networks.architecture import Architecture
from mico.networks.facts import PHYSICAL_BATCH_SIZE, PRECISIONS, networks, parse
from mico.support.errors import InputError


def build(
    architecture: str,
    data: Description,
    physical_batch_size: int = PHYSICAL_BATCH_SIZE,
    precision: str = PRECISIONS[0],
) -> Architecture:
    """Build a network for a data set.

    Args:
        architecture: a network's name, perhaps with a slash and a variant.
        physical_batch_size: on how many examples of each model a CNN computes at a time, and a
            transformer on as many tokens as so many sentences of the greatest length have.
        precision: one of `PRECISIONS`, in which a transformer passes forward and back in training.

    Raises:
        InputError: the name is unknown, or the network does not take such data.
    """
    if physical_batch_size < 1:
        raise InputError(f"physical batch size {physical_batch_size}: expected at least 1")
    facts = networks()[parse(architecture)[0]]
    if data.kind not in facts.data:
        raise InputError(
            f"architecture {architecture!r}: data set {data.name} holds {data.kind}, expected "
            f"{' or '.join(facts.data)}"
        )
    module = import_module(facts.module)
    found: Architecture = module.build(architecture, data, physical_batch_size, precision)
    return found
