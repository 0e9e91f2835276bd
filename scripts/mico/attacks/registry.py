"""Attacks and kinds of input by name, found by their files.

`formulas/target_references.py` is the attack `target-references`. A file of somebody's own is an
attack too, and its path, which ends in `.py`, is the attack's name. Either has `Options`, a frozen
dataclass that validates itself, and a function `scores`, whose parameters are `signals`, any other
kinds of input that it asks for (see `mico.attacks.given`) and `options`. It returns (M, 2m)
float64: higher is more member-like. It may leave out train models, whose rows are then not a
number. Where more shadow models in `signals` would change nothing, its options have
`takes_shared_references = False`, so that nobody adds some for nothing.

A module is imported when its attack is asked for, so that planning a workflow waits for no other.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, get_type_hints

from mico.attacks import formulas, given
from mico.support import own_code
from mico.support.errors import InputError, did_you_mean, shown, unknown_key
from mico.support.numbers import whole_numbers, written_number

# An option of attacks that look at shadow models: how many shared reference models are among them,
# besides the train models. It is the name of their kind of input as well.
SHARED = "shared_references"
ENDING = ".py"
NONE: Mapping[str, Any] = MappingProxyType({})


def attacks() -> dict[str, Path]:
    """The file of every built-in attack, by the attack's name."""
    return {path.stem.replace("_", "-"): path for path in _modules(formulas)}


def is_file(attack: str) -> bool:
    """Whether an attack is named by the path of its file, and is no built-in one."""
    return attack.endswith(ENDING)


def source(attack: str) -> Path:
    """An attack's file.

    Raises:
        InputError: there is no such attack.
    """
    if is_file(attack):
        if not Path(attack).is_file():
            raise InputError(f"{attack}: there is no such file, expected an attack's")
        return Path(attack)
    known = attacks()
    if attack not in known:
        raise InputError(f"unknown attack {shown(attack)}, {did_you_mean(attack, known)}")
    return known[attack]


def sources(attack: str, values: Mapping[str, Any] = NONE) -> list[Path]:
    """What `scripts/attack.py` imports by name: the file of an attack, and those of its inputs."""
    kinds = {path.stem: path for path in _modules(given)}
    return [source(attack), *(kinds[kind] for kind in inputs(attack, values))]


def load(attack: str) -> ModuleType:
    """An attack's module.

    Raises:
        InputError: there is no such attack, or its file is none: it cannot be imported, or lacks
            what an attack has.
    """
    path = source(attack)
    with own_code.told(path):
        builtin = f"{formulas.__name__}.{path.stem}"
        module = own_code.module(path) if is_file(attack) else import_module(builtin)
    for name in ("Options", "scores"):
        if not hasattr(module, name):
            raise InputError(f"{path}: there is no {name!r}, expected it of an attack")
    parameters = getattr(module.Options, "__dataclass_params__", None)
    if not (isinstance(module.Options, type) and parameters and parameters.frozen):
        raise InputError(f"{path}: Options: expected a frozen dataclass")
    if not callable(module.scores):
        raise InputError(f"{path}: scores: expected a function")
    return module


def inputs(attack: str, values: Mapping[str, Any] = NONE) -> list[str]:
    """The kinds of input that an attack asks for, by its `scores` function and its options.

    Raises:
        InputError: there is no such attack, or it asks for a kind that there is not.
    """
    parameters = list(inspect.signature(load(attack).scores).parameters)
    kinds = [name for name in parameters if name != "options"]
    known = [path.stem for path in _modules(given)]
    for kind in kinds:
        if kind not in known:
            raise InputError(f"attack {attack}: there is no input {kind!r} in {given.__name__}")
    for name in ("signals", "options"):
        if name not in parameters:
            raise InputError(f"attack {attack}: expected {name!r} among what it asks for")
    return [*dict.fromkeys([*kinds, *({SHARED} & values.keys())])]


def options(attack: str, values: Mapping[str, Any]) -> Any:
    """The validated options of an attack, without `shared_references`.

    Raises:
        InputError: an unknown attack or option, a missing option, or a value it does not take.
    """
    kind = load(attack).Options
    shared = written_number(values.get(SHARED, 2))
    if not isinstance(shared, int) or isinstance(shared, bool) or shared < 2:
        raise InputError(f"{SHARED} {shown(shared)}: expected an integer of at least 2")
    own = {key: whole_numbers(value) for key, value in values.items() if key != SHARED}
    known = {field.name: field for field in fields(kind)}
    taken = [*known, SHARED] if getattr(kind, "takes_shared_references", True) else [*known]
    for key in own:
        if key not in known:
            none = f"unknown key {shown(key)}, attack {attack} has no options"
            raise InputError(unknown_key(key, taken) if taken else none)
    for name, field in known.items():
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and name not in own:
            raise InputError(f"missing key {name!r}")
    with own_code.told(source(attack)):
        types = get_type_hints(kind)
        for key, value in own.items():
            if types[key] in (int, float):
                own[key] = written_number(value)
                if isinstance(own[key], bool):  # which Python takes for 0 or 1
                    raise InputError(f"{key} {value}: expected a number")
        found = kind(**own)
    if SHARED in values and not getattr(found, "takes_shared_references", True):
        raise InputError(f"{SHARED} {shared}: has no effect on attack {attack} with these options")
    return found


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
