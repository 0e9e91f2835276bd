"""Names of participants, which come from outside and may hold anything.

A name that can be shown is taken, in any script; whatever shows it escapes it.
"""

# ruff: noqa: RUF001 - what looks like Latin letters is what this is about

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from mico.support.tables import MISSING

MOST = 100  # characters of a name
MAX_SHOWN = 80  # of a name in a message

# Controls, halves of characters, and what is not seen or turns the order of others round. What
# joins letters or keeps them apart is not among them: some scripts need it.
INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff]"
)
WITHOUT_MEANING = ("Cc", "Cs", "Co", "Cn")  # categories: nobody knows how to show these
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # of categories that are seen, and still blank
VISIBLE = "LNPS"  # categories of letters, numbers, punctuation, symbols
FORMULAS = ("=", "+", "-", "@")  # how a spreadsheet knows a formula
# Latin letters, and what looks like them, in small letters: digits, Cyrillic, Greek, Armenian.
LOOKS = {
    "a": "аαɑ",
    "b": "вьβ",
    "c": "сϲ",
    "d": "ԁ",
    "e": "еεҽ",
    "g": "ɡց",
    "h": "нһհ",
    "j": "јϳ",
    "k": "кκ",
    "l": "iіιıɩӏ1|ǀ",
    "m": "м",
    "n": "пηո",
    "o": "оοσօ0",
    "p": "рρ",
    "q": "ԛգ",
    "r": "г",
    "s": "ѕ",
    "t": "тτ",
    "u": "υսμ",
    "v": "νѵ",
    "w": "ԝωѡ",
    "x": "хχ",
    "y": "уγү",
    "z": "ζ",
    "-": "‐‑‒–—―−",
    "'": "’‘ʼ′`´",
}
LIKE_LATIN = str.maketrans({one: latin for latin, some in LOOKS.items() for one in some})
CAPITALS = str.maketrans("ΗΝΥΜ", "HNYM")  # whose small letters look otherwise
VARIANTS = re.compile("[\u034f\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def normal(name: str) -> str:
    """A name by which one participant is known, however a file system writes its accents."""
    return unicodedata.normalize("NFC", name)


def problems(participant: str, taken: Iterable[str]) -> list[str]:
    """Why a participant cannot be called so, a line each; none if it can.

    Args:
        taken: the names of the built-in attacks.
    """
    name = normal(participant)
    told = f"participant name {name if name.isprintable() else ascii(name)}"
    if len(name) > MOST:
        found = f"participant name {name[:MAX_SHOWN]!a}...: {len(name):,} characters"
        return [f"{found}, expected at most {MOST}"]
    for one in name:
        if INVISIBLE.match(one) or unicodedata.category(one) in WITHOUT_MEANING:
            return [f"{told}: holds {one!a}, expected what can be shown"]
    bare = unicodedata.normalize("NFKC", name).casefold()
    if not any(unicodedata.category(one)[0] in VISIBLE and one not in FILLERS for one in name):
        return [f"{told}: expected something that is seen"]
    if name != name.strip() or name != name.strip(FILLERS):
        return [f"{told}: expected no blank at an end"]
    if bare in MISSING:
        return [f"{told}: is read as a missing value"]
    if bare.startswith(FORMULAS):
        return [f"{told}: expected no {bare[0]} first, by which a spreadsheet knows a formula"]
    if same := alike(name, taken):
        how = "is" if same[0] == name else "looks like"
        return [f"{told}: {how} that of a built-in attack"]
    return []


def alike(name: str, others: Iterable[str]) -> list[str]:
    """Those of the other names that look like this one."""
    own = _looks(name)
    return [other for other in others if _looks(other) == own]


def told_apart(names: Iterable[str]) -> dict[str, str]:
    """A short id for each of the names that look alike; the others are not in it."""
    groups = defaultdict(set)
    for name in names:
        groups[_looks(name)].add(name)
    ids: dict[str, str] = {}
    for group in groups.values():
        if len(group) > 1:
            length = 4
            while len({_id(name, length) for name in group}) < len(group):
                length += 1
            ids |= {name: _id(name, length) for name in group}
    return ids


def _id(name: str, length: int) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def _looks(name: str) -> str:
    """What is left of a name to the eye: the same for names that look alike."""
    text = unicodedata.normalize("NFKC", name.translate(CAPITALS)).casefold()
    text = VARIANTS.sub("", INVISIBLE.sub("", text.translate(str.maketrans("", "", FILLERS))))
    text = "".join(one for one in text if unicodedata.category(one) != "Cf")
    text = " ".join(text.translate(LIKE_LATIN).split())
    return text.replace("rn", "m").replace("vv", "w")
