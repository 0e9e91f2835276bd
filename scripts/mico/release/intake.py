"""Somebody's submission .zip, which is not to be trusted: read in memory, never unpacked to disk.

It holds [<track>/]<challenge>/{dev,final}/model_i/prediction.csv. What programs and people add to
it is ignored, and said, as long as there is no doubt about what is meant. The work is bounded by
the size of the .zip and of what is expected in it, whatever the .zip says of itself.
"""

import io
import re
import stat
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from zipfile import ZipInfo

import numpy as np

from mico.challenge.layout import ATTACKED, PREDICTION, model_folder, model_name
from mico.challenge.phases import Phases
from mico.release import submission_file
from mico.support.errors import InputError

MAX_PACKED = 2_000_000  # bytes of a submission, as in the competition
MAX_PROBLEMS = 20
MAX_PATH = 200  # characters of a member's path
MAX_SHOWN = 80  # characters of a path or a value in a message
MAX_RANGES = 10  # of missing models in a message
BYTES_PER_NUMBER = 64  # 0.1 to its last binary digit takes 57
SPARE_BYTES, SPARE_MEMBERS = 1024, 100

FILES = (PREDICTION, "predictions.csv")
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: by password, strongly, with hidden headers
BLANK = " \t\r\n"
# What float() takes beyond this (nan, 1_0, other alphabets' digits) is no number of a CSV file.
# The possessive ++ and *+ keep a long run of digits from being tried in every possible division.
NUMBER = re.compile(r"[ \t]*[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?[ \t]*")
QUOTED = re.compile(r'\A[ \t]*"([^"]*)"[ \t]*\Z')
# Of a path with / between folders.
BAD_PATHS = (
    (re.compile(r"\A[A-Za-z]:"), "a Windows path, expected a relative one"),
    (re.compile(r"\A/"), "an absolute path, expected a relative one"),
    (re.compile(r"(?:\A|/)\.\.?(?:/|\Z)"), "a path with . or .. in it, expected plain folders"),
    (re.compile(r"\A\Z|//"), "an empty name in the path, expected plain folders"),
    (re.compile(r"[\x00-\x1f\x7f]"), "unusual characters, expected ASCII letters, digits"),
)
UNUSUAL = re.compile(r"[^\w ./+()=,-]", re.ASCII)
# What is ignored: files in folders of these names, and files of these names or beginnings.
ADDED_FOLDERS = ("__macosx", ".ipynb_checkpoints")
ADDED_FILES = (".ds_store", "thumbs.db", "desktop.ini")
ADDED_BEGINNINGS = ("._", "readme")


class Rejected(InputError):
    """A submission that is refused; `problems` holds one line each, and so does the message."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems[:MAX_PROBLEMS])
        if len(problems) > MAX_PROBLEMS:
            self.problems.append(f"... and {len(problems) - MAX_PROBLEMS:,} more")
        super().__init__(*self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


def read(
    path: Path,
    track: str,
    challenges: Mapping[str, int],
    phases: Phases,
    max_packed: int = MAX_PACKED,
    state: str | None = None,
    ignored: list[str] | None = None,
) -> dict[str, np.ndarray]:
    """Read a submission: each challenge's predictions (dev + final models, 2m) in [0, 1].

    Args:
        track: the name of the top folder, which may be left out in the submission.
        challenges: how many numbers each of their models has, 2m.
        max_packed: the largest size of the submission in bytes.
        state: what `submission_file.state` must say of it, if that is known.
        ignored: gets a line on all that the submission holds or does beyond what is expected.

    Raises:
        Rejected: it holds anything else than one row of 2m numbers in [0, 1] for every model.
    """
    models = {
        name: [f"{name}/{model_folder(phase, i)}" for phase in ATTACKED for i in phases.of(phase)]
        for name in challenges
    }
    known = {
        f"{top}{model}/{file}": model
        for top in ("", f"{track}/")
        for name in challenges
        for model in models[name]
        for file in FILES
    }
    packed = _packed(path, max_packed, state)
    with _unpacking("the submission"):
        unzipped = zipfile.ZipFile(io.BytesIO(packed))
    members = unzipped.infolist()
    # Room for a file, its folder, macOS's shadows of both, and as much again of train models.
    most = 10 * sum(map(len, models.values())) + SPARE_MEMBERS
    if len(members) > most:
        raise Rejected([f"the submission: {len(members):,} members, expected at most {most:,}"])

    train = tuple(f"{top}{name}/train/" for top in ("", f"{track}/") for name in challenges)
    found = _sorted(members, known, train)
    given, problems = found.given, found.problems
    if sum(member.compress_size for some in given.values() for _, member in some) > len(packed):
        raise Rejected(["the submission: smaller than the files in it, expected no overlap"])
    problems[:0] = (
        _missing(list(challenges), phases, given) + _mixed(given) + _unknown(found.strange, known)
    )
    rows, columns = {}, 0
    for model, some in given.items():
        try:
            count = challenges[model.partition("/")[0]]
            rows[model], is_column = _row(unzipped, model, some, count)
            columns += is_column
        except Rejected as error:
            problems += error.problems
    if problems:
        raise Rejected(problems)
    if ignored is not None:
        ignored += found.ignored
        if columns:
            ignored.append(f"{columns:,} files: a column of numbers, taken as a row")
    return {name: np.stack([rows[model] for model in models[name]]) for name in challenges}


def _packed(path: Path, max_packed: int, state: str | None) -> bytes:
    """The submission in memory, where it cannot change and no offset leads outside."""
    try:
        packed = submission_file.read(path, max_packed)
    except submission_file.Unreadable as error:
        raise Rejected([f"the submission: {error}"]) from None
    if state not in (None, submission_file.digest(packed)):
        raise Rejected(["the submission: another than when the run began; start it again"])
    return packed


@contextmanager
def _unpacking(where: str) -> Iterator[None]:
    """Turn into `Rejected` what zipfile raises for a damaged .zip: exceptions of many kinds."""
    try:
        yield
    except Exception as error:
        reason = _shown(f"{type(error).__name__}: {error}")
        raise Rejected([f"{where}: cannot be unpacked ({reason})"]) from None


@dataclass
class _Members:
    """A submission's files by what they are for; a path has / between folders."""

    given: dict[str, list[tuple[str, ZipInfo]]]  # model -> the paths and files given for it
    strange: list[str]  # paths of unknown files
    problems: list[str]  # those of bad paths
    ignored: list[str]  # what needs no attention, a line each


def _sorted(
    members: Iterable[ZipInfo], known: Mapping[str, str], train: tuple[str, ...]
) -> _Members:
    """Tell the files apart; folders themselves are none.

    Args:
        known: the expected paths, and the models that they are for.
        train: the folders of train models, whose predictions nobody needs.
    """
    found = _Members(defaultdict(list), [], [], [])
    files: list[tuple[str, ZipInfo]] = []
    added = []
    for member in members:
        original = member.orig_filename  # member.filename is cut at a NUL
        path = original.replace("\\", "/")
        while path.startswith("./") and path != "./":
            path = path[2:]
        if path == "./":
            continue
        if problem := _bad_path(path):
            found.problems.append(f"{_shown(original)}: {problem}")
        elif path.endswith("/"):
            continue
        elif _is_added(path):
            added.append(path)
        else:
            files.append((path, member))
    around = _around([path for path, _ in files], known, train)
    trained = 0
    for path, member in files:
        inner = path.removeprefix(around)
        if inner in known:
            found.given[known[inner]].append((inner, member))
        elif inner.startswith(train):
            trained += 1
        elif UNUSUAL.search(inner):
            found.problems.append(f"{_shown(inner)}: {BAD_PATHS[-1][1]}")
        else:
            found.strange.append(inner)
    if around:
        found.ignored.append(f"{_shown(around)}: a folder around all others")
    if added:
        others = f" and {len(added) - 1:,} more" * (len(added) > 1)
        found.ignored.append(f"{_shown(added[0])}{others}: no predictions")
    if trained:
        found.ignored.append(f"{trained:,} files: predictions for train models, which do not count")
    return found


def _bad_path(path: str) -> str | None:
    if len(path) > MAX_PATH:
        return f"a path of {len(path):,} characters, expected at most {MAX_PATH}"
    return next((problem for pattern, problem in BAD_PATHS if pattern.search(path)), None)


def _is_added(path: str) -> bool:
    """Whether macOS, Windows or Jupyter add such a file, or people do to explain the others."""
    *folders, name = path.casefold().split("/")
    return (
        any(folder in ADDED_FOLDERS for folder in folders)
        or name in ADDED_FILES
        or name.startswith(ADDED_BEGINNINGS)
    )


def _around(paths: Sequence[str], known: Container[str], train: tuple[str, ...]) -> str:
    """The folder that is wrapped around all files, where only inside it they are as expected."""

    def expected(path: str) -> bool:
        return path in known or path.startswith(train)

    top = paths[0].partition("/")[0] + "/" if paths else ""
    if not all(path.startswith(top) for path in paths) or any(map(expected, paths)):
        return ""
    return top if any(expected(path.removeprefix(top)) for path in paths) else ""


def _missing(challenges: Sequence[str], phases: Phases, given: Container[str]) -> list[str]:
    problems = []
    for name, phase in product(challenges, ATTACKED):
        missing = [i for i in phases.of(phase) if f"{name}/{model_folder(phase, i)}" not in given]
        if missing:
            problems.append(f"{name}/{phase}: missing {_ranges(missing)}")
    return problems


def _ranges(numbers: Sequence[int]) -> str:
    """Increasing model numbers as model_1-model_5, model_7, ..."""
    runs = []
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        ends = [number for _, number in run]
        first, last = model_name(ends[0]), model_name(ends[-1])
        runs.append(first if first == last else f"{first}-{last}")
    return ", ".join(runs if len(runs) <= MAX_RANGES else [*runs[:MAX_RANGES], "..."])


def _mixed(given: Mapping[str, Sequence[tuple[str, ZipInfo]]]) -> list[str]:
    bare = [path.startswith(f"{model}/") for model, files in given.items() for path, _ in files]
    if sum(bare) in (0, len(bare)):
        return []
    return [f"the submission: {sum(bare)} of {len(bare)} files lack the top folder the others have"]


def _unknown(strange: Iterable[str], known: Iterable[str]) -> list[str]:
    """A problem for each unknown folder, and for each unknown file in a known one."""
    holds: dict[str, dict[str, None]] = defaultdict(
        dict
    )  # known folder, the top one being "" -> the names in it, in order
    for path in known:
        folder = ""
        for part in path.split("/"):
            holds[folder][part] = None
            folder += f"{part}/"
    found: Counter[tuple[str, str]] = Counter()
    for path in strange:
        folder, what = "", path
        for part in path.split("/")[:-1]:
            inner = f"{folder}{part}/"
            if inner not in holds:
                what = inner
                break
            folder = inner
        found[folder, what] += 1
    problems = []
    for (folder, what), files in found.items():
        names = list(holds[folder])
        expected = ", ".join(names) if len(names) < 6 else f"{names[0]} ... {names[-1]}"
        kind = f"unknown folder (files: {files:,})" if what.endswith("/") else "unknown file"
        problems.append(f"{_shown(what)}: {kind}, expected {expected}")
    return problems


def _row(
    unzipped: zipfile.ZipFile, model: str, files: Sequence[tuple[str, ZipInfo]], count: int
) -> tuple[np.ndarray, bool]:
    """A model's numbers, and whether they are a column."""
    if len(files) > 1:
        raise Rejected([f"{model}: given {len(files)} times, expected one file"])
    ((path, member),) = files
    content = _content(unzipped, member, path, BYTES_PER_NUMBER * count + SPARE_BYTES)
    return _numbers(content, path, count)


def _content(unzipped: zipfile.ZipFile, member: ZipInfo, where: str, limit: int) -> bytes:
    """The content of a member; hardly more than `limit` bytes of it are ever unpacked."""
    if member.flag_bits & ENCRYPTED:
        raise Rejected([f"{where}: encrypted, expected no password"])
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise Rejected([f"{where}: a link or a special file, expected a plain one"])
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = member.compress_type
        raise Rejected([f"{where}: compression method {method}, expected 8 (deflate) or 0 (none)"])
    declared = member.file_size
    if declared > limit:
        raise Rejected([f"{where}: {declared:,} bytes unpacked, expected at most {limit:,}"])
    member.file_size = sys.maxsize  # zipfile would stop there and not see that there is more
    with _unpacking(where), unzipped.open(member) as file:
        content = file.read(limit + 1)
    if len(content) != declared:
        found = f"{'more' if len(content) > declared else 'fewer'} bytes"
        raise Rejected([f"{where}: unpacks to {found} than the {declared:,} it declares"])
    return content


def _numbers(content: bytes, where: str, count: int) -> tuple[np.ndarray, bool]:
    """The numbers of a file, and whether they are a column."""
    expected = f"expected one row of {count} numbers"
    try:
        text = content.decode("utf-8-sig").strip(BLANK)
    except UnicodeDecodeError:
        raise Rejected([f"{where}: not UTF-8 text, {expected}"]) from None
    if not text:
        raise Rejected([f"{where}: empty, {expected}"])
    values = re.split(r"[\r\n]+", text)
    is_column = len(values) > 1
    if is_column and (len(values) != count or any("," in value for value in values)):
        raise Rejected([f"{where}: {len(values)} rows, {expected}"])
    if not is_column:
        values = re.split(next((one for one in ",;" if one in text), r"[ \t]+"), text)
    if len(values) != count:
        raise Rejected([f"{where}: one row of {len(values)}, {expected}"])
    numbers = np.empty(count)
    for column, value in enumerate(values):
        number = QUOTED.sub(r"\1", value)
        if not (NUMBER.fullmatch(number) and 0 <= float(number) <= 1):
            found = f"value {column + 1} is {_shown(value)}"
            raise Rejected([f"{where}: {found}, expected a number in [0, 1]"])
        numbers[column] = float(number)
    return numbers, is_column


def _shown(text: str) -> str:
    """Text from the submission, quoted: short, on one line, plain ASCII and without markup."""
    escaped = re.sub(r"[<>&]", lambda match: f"\\x{ord(match[0]):02x}", ascii(text))
    return escaped if len(escaped) <= MAX_SHOWN else f"{escaped[: MAX_SHOWN - 3]}..."
