"""Files of memberships as somebody gives them, read and checked: a `.csv` or an `.npz`.

A `.csv` has the header `model,record,role` and a row for each model and record that has a role:
`member`, a challenge point that is trained on; `non-member`, one that is not; `training`, trained
on and no challenge point. Its order is that of training, and a row that is there k times means k
times. An `.npz` has the arrays of `Memberships`, of any type of integer.

Challenge points are released in their order, which must not tell the members: in a CSV, where it
is that of training, they are sorted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.challenge.memberships import Memberships
from mico.data import numpy_files, tables
from mico.support.errors import InputError, shown

COLUMNS = ("model", "record", "role")
ROLES = (MEMBER, NON_MEMBER, TRAINING) = ("member", "non-member", "training")


@dataclass(frozen=True)
class Sizes:
    """What a file has to be of: models M, records N of the data set, and a scenario's n and m."""

    models: int
    records: int
    n: int
    m: int


def read(path: Path, sizes: Sizes) -> Memberships:
    """Read what somebody gives.

    Raises:
        InputError: names the file, the row or the array, and the model; what was found, and what
            was expected.
    """
    if path.suffix not in FORMS:
        raise InputError(f"{path}: expected a name that ends in {' or '.join(FORMS)}")
    found = FORMS[path.suffix](path, sizes)
    for model, members in enumerate(found.membership.sum(axis=1).tolist()):
        if not 0 < members < 2 * sizes.m:
            what = f"{members} members among {2 * sizes.m} challenge points"
            raise InputError(f"{path}: model {model}: {what}, expected both kinds")
    return found


# CSV


def _from_csv(path: Path, sizes: Sizes) -> Memberships:
    table = tables.read(path)
    if sorted(table.names) != sorted(COLUMNS):
        names = ", ".join(shown(name) for name in table.names[:10])
        raise InputError(f"{path}: columns {names}, expected {', '.join(COLUMNS)}")
    model = _codes(table, "model", *_numbers(sizes.models))
    record = _codes(table, "record", *_numbers(sizes.records))
    role = _codes(table, "role", _role, f"one of {', '.join(ROLES)}")
    pair = model * sizes.records + record
    _check_roles(path, model, record, role)

    # Both sorted: by model, and then by record.
    points = np.unique(pair[role != ROLES.index(TRAINING)])
    members = np.unique(pair[role == ROLES.index(MEMBER)])
    is_trained = role != ROLES.index(NON_MEMBER)
    trained, of_model = record[is_trained], model[is_trained]
    for models, number, what in (
        (points // sizes.records, 2 * sizes.m, "challenge points, expected 2m"),
        (of_model, sizes.n, "records that are trained on, expected n"),
    ):
        counts = np.bincount(models, minlength=sizes.models)
        wrong = np.flatnonzero(counts != number)
        if len(wrong):
            found = f"model {wrong[0]}: {counts[wrong[0]]} {what}"
            raise InputError(f"{path}: {found} = {number}")
    return Memberships(
        (points % sizes.records).astype(np.int32).reshape(sizes.models, -1),
        np.isin(points, members).reshape(sizes.models, -1),
        trained[np.argsort(of_model, kind="stable")].astype(np.int32).reshape(sizes.models, -1),
    )


def _codes(table: tables.Table, name: str, code: Callable[[str], int], expected: str) -> np.ndarray:
    """A column (rows,) as numbers; a text whose code is below 0 is refused."""
    from pyarrow import compute

    place = table.names.index(name)
    column = compute.utf8_trim_whitespace(table.columns[place]).combine_chunks()
    column = column.dictionary_encode()
    texts = column.dictionary.to_pylist()
    rows = column.indices.to_numpy()
    found: np.ndarray = np.array([code(text) for text in texts], np.int64)[rows]
    wrong = np.flatnonzero(found < 0)
    if len(wrong):
        given = shown(texts[rows[wrong[0]]])
        raise InputError(f"{table.where(int(wrong[0]), place)}: {given}, expected {expected}")
    return found


def _numbers(limit: int) -> tuple[Callable[[str], int], str]:
    """What a text is as a number from 0 to below a limit, else -1; and what is expected."""

    def code(text: str) -> int:
        is_number = text.isascii() and text.isdecimal() and len(text) < 20
        return int(text) if is_number and int(text) < limit else -1

    return code, f"0 to {limit - 1}"


def _role(text: str) -> int:
    return ROLES.index(text) if text in ROLES else -1


def _check_roles(path: Path, model: np.ndarray, record: np.ndarray, role: np.ndarray) -> None:
    """Refuse a record of two roles in a model, and a non-member that is there twice."""
    order = np.lexsort((record, model))  # stable
    earlier, later = order[:-1], order[1:]
    same = (model[earlier] == model[later]) & (record[earlier] == record[later])
    wrong = same & ((role[earlier] != role[later]) | (role[later] == ROLES.index(NON_MEMBER)))
    if wrong.any():
        row = int(later[wrong].min())
        other = int(earlier[wrong][later[wrong].argmin()])
        what = f"record {record[row]} of model {model[row]} is {ROLES[role[row]]!r}"
        raise InputError(
            f"{path}: row {row + 1}: {what}, and in row {other + 1} {ROLES[role[other]]!r}: "
            "expected one role, and a non-member once"
        )


# NPZ


def _from_npz(path: Path, sizes: Sizes) -> Memberships:
    expected = {
        "challenge": ((sizes.models, 2 * sizes.m), sizes.records, "iu"),
        "membership": ((sizes.models, 2 * sizes.m), 2, "iub"),
        "training": ((sizes.models, sizes.n), sizes.records, "iu"),
    }

    def every(there: list[str]) -> list[str]:
        if sorted(there) != sorted(expected):
            found = ", ".join(shown(name) for name in there[:10]) or "nothing"
            raise InputError(f"{path}: {found} in it, expected {', '.join(expected)}")
        return list(expected)

    found = dict(zip(expected, numpy_files.load(path, every), strict=True))
    for name, (shape, limit, kinds) in expected.items():
        array = found[name]
        where = f"{path}: {name}"
        if array.shape != shape or array.dtype.kind not in kinds:
            what = f"shape {shown(array.shape)} of {array.dtype}"
            size = "n" if name == "training" else "2m"
            raise InputError(f"{where}: {what}, expected {shape} of integers: models and {size}")
        wrong = np.argwhere((array < 0) | (array >= limit))
        if len(wrong):
            model, place = wrong[0].tolist()
            value = f"{array[model, place]} in model {model} at place {place}"
            raise InputError(f"{where}: {value}, expected 0 to {limit - 1}")
    challenge, membership, training = found.values()
    made = Memberships(
        challenge.astype(np.int32), membership.astype(bool), training.astype(np.int32)
    )
    _check_models(path, made)
    if _order_tells(made):
        raise InputError(
            f"{path}: challenge: the members stand at the same end, or the same places, in every "
            "model, which their order would tell when it is released: expected each row sorted"
        )
    return made


def _check_models(path: Path, found: Memberships) -> None:
    """Refuse a challenge point that is there twice, or whose membership the training set denies."""
    lists = zip(found.challenge, found.membership, found.training, strict=True)
    for model, (challenge, membership, training) in enumerate(lists):
        in_order = np.sort(challenge)
        twice = np.flatnonzero(in_order[1:] == in_order[:-1])
        if len(twice):
            record = in_order[twice[0]]
            raise InputError(f"{path}: challenge: record {record} is there twice in model {model}")
        wrong = np.flatnonzero(np.isin(challenge, training) != membership)
        if len(wrong):
            record, is_member = challenge[wrong[0]], membership[wrong[0]]
            what = "a member, but not" if is_member else "no member, but"
            raise InputError(f"{path}: model {model}: record {record} is {what} in training")


def _order_tells(found: Memberships) -> bool:
    """Whether the order of challenge points, by which nothing is sorted, tells all members."""
    if (found.challenge[:, 1:] > found.challenge[:, :-1]).all():
        return False
    membership = found.membership
    members_last = np.sort(membership, axis=1)
    same = np.broadcast_to(membership[0], membership.shape)
    return any(
        np.array_equal(membership, one) for one in (members_last, members_last[:, ::-1], same)
    )


FORMS = {".csv": _from_csv, ".npz": _from_npz}
