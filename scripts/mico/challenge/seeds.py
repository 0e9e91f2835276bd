"""The secret seeds of a scenario's models: three for the split, one for the training."""

import csv
import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path

from mico.support.atomic import atomic_file
from mico.support.errors import InputError

SPLIT_SEEDS = ("seed_challenge", "seed_training", "seed_membership")
# The published split seeds are three; from seed_model come all draws of training: the initial
# weights, the order or Poisson samples, the noise and dropout.
KINDS = (*SPLIT_SEEDS, "seed_model")
LIMIT = 2**63

Seeds = list[dict[str, int]]


def derive(master: int, scenario: str, models: int) -> Seeds:
    """Seeds from a master seed by SHA-256: none tells anything about another or about the master.

    The master must itself be hard to guess where the memberships are to stay secret.
    """
    if not 0 <= master < LIMIT:
        raise InputError(f"master seed {master}: expected an integer in [0, 2^63)")

    def draw(kind: str, model: int, attempt: int) -> int:
        text = f"{master}/{scenario}/{kind}/{model}/{attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % LIMIT

    return _distinct(draw, models)


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
    """Write a CSV with the columns model and the four kinds, from the model numbered `first`."""
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", *KINDS])
        writer.writerows(
            [model, *(row[kind] for kind in KINDS)] for model, row in enumerate(seeds, first)
        )


def parse_seed(text: str, where: str) -> int:
    """Read a seed that is written in decimal.

    Raises:
        InputError: anything but an integer in [0, 2^63); `where` says whose it is.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) >= LIMIT:
        raise InputError(f"{where} {text[:40]!r}: expected an integer in [0, 2^63)")
    return int(text)


def _read_rows(path: Path, keys: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
            columns = reader.fieldnames or []
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file ({error})") from None
    missing = [name for name in (*keys, *KINDS) if name not in columns]
    if missing == ["scenario"]:
        hint = "of files of one scenario each, give a path with {scenario} in it"
        raise InputError(f"{path}: missing column scenario; {hint}")
    if missing:
        raise InputError(f"{path}: missing column {', '.join(missing)}")
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
            seed = parse_seed(text, where)
            other = seen.setdefault((kind, seed % 2**32), model)
            if other != model:
                raise InputError(
                    f"{where} {seed}: same low 32 bits as model {other}'s, so the same draws"
                )
            seeds[-1][kind] = seed
    return seeds
