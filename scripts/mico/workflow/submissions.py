"""What lies in the folder of submissions: those that are taken, and all else that is there.

Names, times and links come from outside and may be anything. Nothing here raises for them.
"""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mico.release import submission_file

ENDING = ".zip"
# What entries of submissions are called, which no built-in attack may be.
ENTRY = "zip-[0-9a-f]{20}"
PLACE = f"<track>/<participant>/<file>{ENDING}"
SHOWN_IN_FOLDER = 5  # things passed over that are told of one folder
SHOWN = 50  # and in all
MAX_PATH = 150  # characters of a path


@dataclass(frozen=True)
class Submission:
    """A file that somebody handed in, as it was when the run was planned."""

    path: Path
    state: str  # the content's digest, or why it is not readable
    modified: int  # when it was last written, as it says of itself: ns since 1970
    changed: int  # when the file system last saw a change of it: ns since 1970

    @property
    def id(self) -> str:
        """A name for the files of results, which only who has the content can guess."""
        text = os.fsencode(self.path) + b"\0" + self.state.encode()
        return f"zip-{hashlib.sha256(text).hexdigest()[:20]}"


class Inbox:
    """The submissions of each track, and a line on each other thing that lies there."""

    def __init__(self, folder: Path, tracks: Iterable[str], most: int) -> None:
        """Look into `<folder>/<track>/<participant>/`, and at up to `most` bytes of each file."""
        self.folder = folder
        self.submissions: dict[str, list[Submission]] = {track: [] for track in sorted(tracks)}
        self._passed_over: dict[Path, list[str]] = defaultdict(list)
        for track in self._folders(folder):
            if track.name not in self.submissions:
                self._pass_over(track, _unknown_track(track.name, self.submissions), "/")
                continue
            for participant in self._folders(track):
                self.submissions[track.name] += self._files(participant, most)

    @property
    def passed_over(self) -> list[str]:
        """What is there and is not taken, a line each; paths begin in the folder."""
        lines = []
        for folder, some in self._passed_over.items():
            lines += shortened(some, SHOWN_IN_FOLDER, f" in {self._shown(folder)}/")
        return shortened(lines, SHOWN)

    def _folders(self, folder: Path) -> Iterator[Path]:
        for path, about in self._inside(folder):
            if stat.S_ISDIR(about.st_mode):
                yield path
            else:
                self._pass_over(path, f"expected {PLACE}")

    def _files(self, folder: Path, most: int) -> Iterator[Submission]:
        for path, about in self._inside(folder):
            if stat.S_ISDIR(about.st_mode):
                self._pass_over(path, f"a folder, expected {PLACE}", "/")
            elif path.suffix.lower() != ENDING:
                self._pass_over(path, f"expected a name that ends in {ENDING}")
            elif not stat.S_ISREG(about.st_mode):
                self._pass_over(path, "no plain file")
            else:
                state = submission_file.state(path, most)
                yield Submission(path, state, about.st_mtime_ns, about.st_ctime_ns)

    def _inside(self, folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
        """What is in a folder, but for hidden files, and for links, which are not followed."""
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        except OSError as error:
            self._pass_over(folder, f"cannot be read ({error.strerror})", "/")
            return
        for path in (folder / name for name in names if not name.startswith(".")):
            try:
                about = path.lstat()
            except OSError as error:
                self._pass_over(path, f"cannot be read ({error.strerror})")
                continue
            if stat.S_ISLNK(about.st_mode):
                self._pass_over(path, "a link, which is not followed")
            else:
                yield path, about

    def _pass_over(self, path: Path, why: str, end: str = "") -> None:
        self._passed_over[path.parent].append(f"{self._shown(path)}{end}: {why}")

    def _shown(self, path: Path) -> str:
        """A path in characters that can be printed and seen, and not where the folder lies."""
        text = os.path.relpath(path, self.folder)
        text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
        return text if len(text) <= MAX_PATH else f"{text[: MAX_PATH - 3]}..."


def shortened(lines: Sequence[str], most: int, where: str = "") -> list[str]:
    """The first lines, and how many more there are."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[:most], f"... and {len(lines) - most:,} more{where}"]


def _unknown_track(name: str, tracks: Iterable[str]) -> str:
    by_small = {track.casefold(): track for track in tracks}
    close = get_close_matches(name.casefold(), by_small, n=1)
    known = ", ".join(by_small.values())
    hint = f"did you mean {by_small[close[0]]}?" if close else f"known: {known}"
    return f"no track of this run, {hint}"
