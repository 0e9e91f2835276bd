"""The secret seeds of a scenario's models: three for the split, one for the training."""

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path

from mico.support import private, tables
from mico.support.atomic import atomic_file
from mico.support.errors import InputError, damaged

SPLIT_SEEDS = ("seed_challenge", "seed_training", "seed_membership")
# The published split seeds are three; from seed_model come all draws of training: the initial
# weights, the order or Poisson samples, the noise and dropout.
KINDS = (*SPLIT_SEEDS, "seed_model")
LIMIT = 2**63
# Of a damaged file of seeds.
REMEDY = (
    "restore a copy of it; without one delete it and run again, which draws random seeds anew and "
    "trains all models again"
)

Seeds = list[dict[str, int]]


def derive(master: int, scenario: str, models: int) -> Seeds:
    """Seeds from a master seed by SHA-256: none tells anything about another or about the master.

    The master must itself be hard to guess where the memberships are to stay secret.
    """
    if not 0 <= master < LIMIT:
        raise InputError("master seed: expected an integer in [0, 2^63)")

    def draw(kind: str, model: int, attempt: int) -> int:
        text = f"{master}/{scenario}/{kind}/{model}/{attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % LIMIT

    return _distinct(draw, models)


def write_master(path: Path, master: int) -> None:
    """Write a master seed to a file, a number that nobody knows below it, and a checksum of both.

    Snakemake keeps hashes of small files. Without that number, whoever reads the hash could try
    master seeds on it.
    """
    text = f"{master}\n{secrets.token_hex()}\n"
    with private.only_for_owner(path), atomic_file(path) as temporary:
        check = hashlib.sha256(text.encode()).hexdigest()
        temporary.write_text(f"{text}{check}\n", encoding="utf-8")


def read_master(path: Path) -> int:
    """Read the master seed from a file that `write_master` wrote, or of one line alone.

    Raises:
        InputError: the file cannot be read, is damaged, or does not begin with a seed.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a master seed ({_reason(error)})") from None
    master = _parse_secret("".join(lines[:1]).removesuffix("\n"), f"{path}: line 1")
    written = "".join(lines[:2])
    if lines[1:] and lines[2:] != [f"{hashlib.sha256(written.encode()).hexdigest()}\n"]:
        raise damaged(path, "not as its checksum says")
    return master


def fingerprint(master: int, run: str) -> str:
    """What shows that a master seed is another, and is slow to try seeds on: 15 in a second.

    Snakemake keeps it, to run again what a master seed decides. A release is tried sooner: the
    seeds of its train models are SHA-256 of the master seed.
    """
    salt = f"master seed of {run}".encode()
    return hashlib.scrypt(str(master).encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()


def random(models: int) -> Seeds:
    """Seeds from the operating system's entropy: the right choice for a real competition."""
    return _distinct(lambda kind, model, attempt: secrets.randbelow(LIMIT), models)


def _distinct(draw: Callable[[str, int, int], int], models: int) -> Seeds:
    """Draw each kind's seeds again until no two of a kind agree in their low 32 bits.

    Only those bits reach the Mersenne Twister that makes the splits.
    """
    seeds: Seeds = [{} for _ in range(models)]
    for kind in KINDS:
        seen: set[int] = set()
        for model in range(models):
            attempt = 0
            while (seed := draw(kind, model, attempt)) % 2**32 in seen:
                attempt += 1
            seen.add(seed % 2**32)
            seeds[model][kind] = seed
    return seeds


def read_given(path: Path, scenario: str, models: int) -> Seeds:
    """The rows of `scenario` in a CSV with the columns scenario, model and the four kinds.

    Args:
        path: where it has `{scenario}`, each scenario has a file, such as `write` wrote, which
            needs no column scenario.

    Raises:
        InputError: a missing file, column, model or scenario, a duplicate, a bad or colliding seed.
    """
    own = of_scenario(str(path), scenario)
    keys = ("scenario", "model") if own == str(path) else ("model",)
    rows = [row for row in _read_rows(Path(own), keys) if row.get("scenario", scenario) == scenario]
    if not rows:
        raise InputError(f"{own}: no rows for scenario {scenario}")
    return _checked(Path(own), rows, range(models))


def of_scenario(path: str, scenario: str) -> str:
    """A scenario's file of given seeds, where the path stands for the files of several."""
    return path.replace("{scenario}", scenario)


def read_shard(path: Path, scenario: str, first: int, last: int) -> dict[int, dict[str, int]]:
    """The seeds of some models of a scenario, by number, from a CSV that may hold others too.

    Args:
        scenario: its rows, where the CSV has a column of that name.

    Raises:
        InputError: a missing file, column or model, a duplicate, a bad or colliding seed.
    """
    wanted = range(first, last + 1)
    names = {str(model) for model in wanted}
    rows = [
        row
        for row in _read_rows(path, ("model",))
        if row["model"] in names and row.get("scenario", scenario) == scenario
    ]
    return dict(zip(wanted, _checked(path, rows, wanted), strict=True))


def read(path: Path) -> Seeds:
    """Read the seeds that `write` wrote, model 0 first.

    Raises:
        InputError: as for `read_given`.
    """
    rows = _read_rows(path, ("model",))
    return _checked(path, rows, range(len(rows)))


def write(path: Path, seeds: Seeds, first: int = 0) -> None:
    """Write a CSV with the columns model and the four kinds, from the model numbered `first`.

    A last column has a checksum of each row.
    """
    rows = ({"model": model, **row} for model, row in enumerate(seeds, first))
    tables.write(path, ("model", *KINDS), rows)


def parse_seed(text: str, where: str) -> int:
    """Read a seed that is written in decimal.

    Raises:
        InputError: anything but an integer in [0, 2^63); `where` says whose it is.
    """
    if not _is_seed(text):
        raise InputError(f"{where} {text[:40]!r}: expected an integer in [0, 2^63)")
    return int(text)


def _parse_secret(text: str, where: str) -> int:
    """Like `parse_seed`, but the error, which a log shows, does not say what was found."""
    if not _is_seed(text):
        found = f"{len(text)} characters" if text else "nothing"
        raise InputError(f"{where}: {found}, expected an integer in [0, 2^63)")
    return int(text)


def _is_seed(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < LIMIT


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _read_rows(path: Path, keys: tuple[str, ...]) -> list[dict[str, str]]:
    needed = [name for name in (*keys, *KINDS) if name != "scenario"]
    rows = tables.read(path, needed, REMEDY)
    if "scenario" in keys and rows and "scenario" not in rows[0]:
        hint = "of files of one scenario each, give a path with {scenario} in it"
        raise InputError(f"{path}: missing column scenario; {hint}")
    return rows


def _checked(path: Path, rows: list[dict[str, str]], models: range) -> Seeds:
    by_model: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["model"] in by_model:
            raise InputError(f"{path}: model {row['model']} is there twice")
        by_model[row["model"]] = row
    unexpected = sorted(set(by_model) - set(map(str, models)))
    if unexpected:
        raise InputError(f"{path}: model {unexpected[0]} is not one of 0 to {models[-1]}")
    seen: dict[tuple[str, int], int] = {}
    seeds: Seeds = []
    for model in models:
        if str(model) not in by_model:
            needed = f"{models[0]} to {models[-1]} are needed"
            raise InputError(f"{path}: model {model} is missing ({needed})")
        seeds.append({})
        for kind in KINDS:
            text = by_model[str(model)][kind]
            where = f"{path}: model {model}, {kind}"
            seed = _parse_secret(text, where)
            other = seen.setdefault((kind, seed % 2**32), model)
            if other != model:
                raise InputError(f"{where}: same low 32 bits as model {other}'s, so the same draws")
            seeds[-1][kind] = seed
    return seeds
