"""Build the network that an architecture's name stands for."""

from importlib import import_module

from mico.data.store import Description
from mico.networks.architecture import Architecture
from mico.networks.facts import PRECISIONS, of
from mico.support.errors import InputError


def build(
    architecture: str,
    data: Description,
    physical_batch_size: int | None = None,
    precision: str = PRECISIONS[0],
) -> Architecture:
    """Build a network for a data set.

    Args:
        architecture: a network's name, perhaps with a slash and a variant, or what makes one of
            somebody's own.
        physical_batch_size: on how many examples of each model a CNN or a network of somebody's own
            computes at a time, and a transformer on as many tokens as so many sentences of the
            greatest length have; None is what the network has by itself.
        precision: one of `PRECISIONS`, in which a transformer, or a network of somebody's own,
            passes forward and back in training.

    Raises:
        InputError: the name is unknown, or the network does not take such data.
    """
    if physical_batch_size is not None and physical_batch_size < 1:
        raise InputError(f"physical batch size {physical_batch_size}: expected at least 1")
    facts = of(architecture)
    if data.kind not in facts.data:
        raise InputError(
            f"architecture {architecture!r}: data set {data.name} holds {data.kind}, expected "
            f"{' or '.join(facts.data)}"
        )
    module = import_module(facts.module)
    size = physical_batch_size or facts.physical_batch_size
    found: Architecture = module.build(architecture, data, size, precision)
    return found
