"""Names of participants and their files, which come from outside and may hold anything."""

import re
from collections.abc import Container

# The workflow and terminals would take such a name for their own.
UNUSABLE_NAME = re.compile("[<>{}\x00-\x1f\x7f\ud800-\udfff]")
PARTICIPANT = re.compile(r"[^\W_][\w .-]{0,63}")
MAX_SHOWN = 80  # characters of a name in a message


def problems(participant: str, file: str, taken: Container[str]) -> list[str]:
    """Why a submission cannot be called so, a line each; none if it can.

    Args:
        taken: the names of the built-in attacks.
    """
    if UNUSABLE_NAME.search(file):
        return [f"file name {file[:MAX_SHOWN]!a}: expected plain text, without < > {{ }}"]
    if not PARTICIPANT.fullmatch(participant):
        return [
            f"participant name {participant[:MAX_SHOWN]!a}: expected a letter or digit, then up to "
            "63 letters, digits, spaces, dots, hyphens or underscores"
        ]
    if participant in taken:
        return [f"participant name {participant}: is that of a built-in attack"]
    return []
