"""The built-in attacks. Each is a module with `Options`, a frozen dataclass that validates itself,
and `scores(signals, options)`, which returns (M, 2m) float64: higher is more member-like.
"""

from types import ModuleType
from typing import Any

from mico.attacks import centred, lira, rmia, threshold
from mico.command_line import InputError

ATTACKS: dict[str, ModuleType] = {
    "threshold": threshold,
    "centred": centred,
    "lira": lira,
    "rmia": rmia,
}


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
