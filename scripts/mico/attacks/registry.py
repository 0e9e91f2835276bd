"""Attacks and kinds of input by name, found by their files.

`formulas/target_references.py` is the attack `target-references`. It has `Options`, a frozen
dataclass that validates itself, and a function `scores`, whose parameters are `signals`, any other
kinds of input that it asks for (see `mico.attacks.given`) and `options`. It returns (M, 2m)
float64: higher is more member-like. It may leave out train models, whose rows are then not a
number.

A module is imported when its attack is asked for, so that planning a workflow waits for no other.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from mico.attacks import formulas, given
from mico.support.errors import InputError

# An option that every attack on signals takes: how many shared reference models are shadow models
# besides the train models. It is the name of their kind of input as well.
SHARED = "shared_references"
NONE: Mapping[str, Any] = MappingProxyType({})


def attacks() -> dict[str, Path]:
    """The file of every attack, by the attack's name."""
    return {path.stem.replace("_", "-"): path for path in _modules(formulas)}


def source(attack: str) -> Path:
    """An attack's file.

    Raises:
        InputError: there is no such attack.
    """
    known = attacks()
    if attack not in known:
        raise InputError(f"attack {attack!r}: expected one of {', '.join(known)}")
    return known[attack]


def sources(attack: str, values: Mapping[str, Any] = NONE) -> list[Path]:
    """What `scripts/attack.py` imports by name: the file of an attack, and those of its inputs."""
    kinds = {path.stem: path for path in _modules(given)}
    return [source(attack), *(kinds[kind] for kind in inputs(attack, values))]


def load(attack: str) -> ModuleType:
    """An attack's module.

    Raises:
        InputError: there is no such attack, or its module is not one.
    """
    path = source(attack)
    module = import_module(f"{formulas.__name__}.{path.stem}")
    for name in ("Options", "scores"):
        if not hasattr(module, name):
            raise InputError(f"attack {attack}: {path} has no {name!r}")
    return module


def inputs(attack: str, values: Mapping[str, Any] = NONE) -> list[str]:
    """The kinds of input that an attack asks for, by its `scores` function and its options.

    Raises:
        InputError: there is no such attack, or it asks for a kind that there is not.
    """
    parameters = inspect.signature(load(attack).scores).parameters
    kinds = [name for name in parameters if name != "options"]
    known = [path.stem for path in _modules(given)]
    for kind in kinds:
        if kind not in known:
            raise InputError(f"attack {attack}: there is no input {kind!r} in {given.__name__}")
    if "signals" not in kinds:
        raise InputError(f"attack {attack}: expected 'signals' among what it asks for")
    return [*dict.fromkeys([*kinds, *({SHARED} & values.keys())])]


def options(attack: str, values: Mapping[str, Any]) -> Any:
    """The validated options of an attack, without `shared_references`, which all have.

    Raises:
        InputError: an unknown attack or option, a missing option, or a value it does not take.
    """
    module = load(attack)
    shared = values.get(SHARED, 2)
    if not isinstance(shared, int) or shared < 2:
        raise InputError(f"{SHARED} {shared!r}: expected an integer of at least 2")
    if SHARED in values and "others" in inputs(attack):
        raise InputError(f"{SHARED}: it looks at no models itself")
    try:
        return module.Options(**{key: values[key] for key in values if key != SHARED})
    except TypeError as error:
        raise InputError(f"attack {attack}: {str(error).partition('__init__() ')[2]}") from None


def reader(kind: str) -> Callable[..., Any]:
    """The function that reads a kind of input, `read(paths, signals, phases)`."""
    read: Callable[..., Any] = import_module(f"{given.__name__}.{kind}").read
    return read


def _modules(package: ModuleType) -> list[Path]:
    return [
        path
        for folder in package.__path__
        for path in sorted(Path(folder).glob("*.py"))
        if path.stem != "__init__"
    ]
