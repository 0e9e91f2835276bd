"""Regenerate, attack and score the MICO membership-inference benchmark.

Every room is a package, and imports only those below it in the order of `pyproject.toml`:

    library     for notebooks: a run, a release or arrays; `mico.load_run` and so on are its names
    workflow    what the rules look up: the configuration, the plan of a run, time and memory
    pages       the report, the scoreboards, a page on every attack
    attacks     what a participant is given, and what is made of it
    scoring     metrics, intervals, audits, ceilings, entries
    release     what leaves the organiser's house, and what comes in
    training    the engine, checkpoints, devices
    networks    architectures with clipped gradients, and randomness
    challenge   seeds, splits, phases, scenarios
    privacy     what training spends, and the accountant
    data        data sets: formats, tokens, the stored form
    support     the floor: errors, progress, whole files
"""

from importlib import import_module


def __getattr__(name: str) -> object:
    """The library's names (`__init__.pyi`), for which the workflow's programs do not wait."""
    if name.startswith("_") or name not in (library := import_module("mico.library")).__all__:
        raise AttributeError(f"module 'mico' has no attribute {name!r}")
    return getattr(library, name)
