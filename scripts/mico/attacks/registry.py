"""The built-in attacks. Each is a module with `Options`, a frozen dataclass that validates itself,
and `scores(signals, options)`, which returns (M, 2m) float64: higher is more member-like. It may
leave out train models, whose rows are then not a number. Where a report should say what the attack
did, it returns (scores, note): the note is the end of a sentence that begins with its name.

Besides `signals` it can ask for `whitebox` (WhiteBox), `references` (References) or `others`
(other attacks' predictions by name), simply by having a parameter of that name.
"""

import inspect
from types import ModuleType
from typing import Any

from mico.attacks.formulas import (
    auto,
    base,
    bavaria,
    centred,
    effect,
    lira,
    rmia,
    stacked,
    target_references,
    threshold,
)
from mico.support.errors import InputError

ATTACKS: dict[str, ModuleType] = {
    "threshold": threshold,
    "centred": centred,
    "lira": lira,
    "rmia": rmia,
    "base": base,
    "bavaria": bavaria,
    "effect": effect,
    "stacked": stacked,
    "target-references": target_references,
    "auto": auto,
}


def inputs(attack: str) -> list[str]:
    """What an attack asks for: its `scores` function's parameters but the options."""
    return [
        name for name in inspect.signature(ATTACKS[attack].scores).parameters if name != "options"
    ]


def options(attack: str, values: dict[str, Any]) -> Any:
    """The validated options of an attack.

    Raises:
        InputError: an unknown attack or option, a missing option, or a value it does not take.
    """
    if attack not in ATTACKS:
        raise InputError(f"attack {attack!r}: expected one of {', '.join(ATTACKS)}")
    try:
        return ATTACKS[attack].Options(**values)
    except TypeError as error:
        raise InputError(f"attack {attack}: {str(error).partition('__init__() ')[2]}") from None
