"""What lies in the folder of submissions: content decides, and what is not taken is listed."""

import os
import re
from pathlib import Path

import pytest

from mico.release import submission_file
from mico.workflow.submissions import SHOWN, SHOWN_IN_FOLDER, Inbox, Submission

TRACKS = ["shopping", "ddp"]
MOST = 1000


def put(folder: Path, *names: str, content: bytes = b"one") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def look(folder: Path) -> Inbox:
    return Inbox(folder, TRACKS, MOST)


def only(folder: Path) -> Submission:
    (one,) = look(folder).submissions["shopping"]
    return one


def test_plain_zip_files_in_their_places_are_taken(tmp_path: Path) -> None:
    put(tmp_path, "shopping/ann/a.zip", "shopping/ann/B.ZIP", "ddp/b ob/{x}.Zip")
    put(tmp_path, ".DS_Store", "shopping/.DS_Store", "shopping/ann/._a.zip", ".git/x/y.zip")
    found = look(tmp_path)
    assert {
        track: [one.path.name for one in some] for track, some in found.submissions.items()
    } == {
        "shopping": ["B.ZIP", "a.zip"],
        "ddp": ["{x}.Zip"],
    }
    assert found.passed_over == []


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    found = look(tmp_path / "nowhere")
    assert found.submissions == {"shopping": [], "ddp": []}
    assert found.passed_over == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("Shopping/ann/a.zip", "Shopping/: no track of this run, did you mean shopping?"),
        ("shoping/ann/a.zip", "shoping/: no track of this run, did you mean shopping?"),
        ("zebra/ann/a.zip", "zebra/: no track of this run, known: ddp, shopping"),
        ("a.zip", "a.zip: expected <track>/<participant>/<file>.zip"),
        ("ddp/a.zip", "ddp/a.zip: expected <track>/<participant>/<file>.zip"),
        ("ddp/a/b/c.zip", "ddp/a/b/: a folder, expected <track>/<participant>/<file>.zip"),
        ("ddp/a/b.zip/c", "ddp/a/b.zip/: a folder, expected <track>/<participant>/<file>.zip"),
        ("--scores=x/a.zip", "--scores=x/: no track of this run, known: ddp, shopping"),
        (f"ddp/{'a' * 200}/b", f"ddp/{'a' * 143}...: expected a name that ends in .zip"),
        ("ddp/a/b.rar", "ddp/a/b.rar: expected a name that ends in .zip"),
        ("ddp/a/b.zip.part", "ddp/a/b.zip.part: expected a name that ends in .zip"),
        ("ddp/a/\x1b[2J\u202e\n", r"ddp/a/\x1b[2J\u202e\n: expected a name that ends in .zip"),
    ],
)
def test_what_is_not_taken_is_told(tmp_path: Path, path: str, said: str) -> None:
    put(tmp_path, path, "shopping/ann/good.zip")
    assert only(tmp_path).path == tmp_path / "shopping/ann/good.zip"
    assert look(tmp_path).passed_over == [said]


@pytest.mark.parametrize("link", ["thief", "shopping/thief", "shopping/thief/a.zip"])
@pytest.mark.parametrize("target", ["shopping/rival", "shopping", "shopping/rival/a.zip", "none"])
def test_no_link_is_followed_at_any_depth(tmp_path: Path, link: str, target: str) -> None:
    put(tmp_path, "shopping/rival/a.zip")
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / target)
    assert only(tmp_path).path == tmp_path / "shopping/rival/a.zip"
    assert look(tmp_path).passed_over == [f"{link}: a link, which is not followed"]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "shopping").rename(moved / "shopping")
    (tmp_path / "shopping").symlink_to(moved / "shopping")  # a track's folder
    assert look(tmp_path).submissions["shopping"] == []


def test_the_organisers_own_folder_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "there", "shopping/ann/a.zip")
    (tmp_path / "here").symlink_to("there")
    assert only(tmp_path / "here").path.name == "a.zip"


def test_special_files_are_told_and_wait_for_nobody(tmp_path: Path) -> None:
    put(tmp_path, "shopping/ann/a.zip")
    os.mkfifo(tmp_path / "shopping/ann/pipe.zip")
    assert only(tmp_path).path.name == "a.zip"
    assert look(tmp_path).passed_over == ["shopping/ann/pipe.zip: no plain file"]


def test_what_may_not_be_read_is_told_or_ends_in_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is told; a file is an entry, which says why it is rejected."""
    put(tmp_path, "shopping/ann/a.zip", "shopping/bob/b.zip", "ddp/cy/c.zip", "ddp/dan/d.zip")
    listdir, lstat, opened = os.listdir, Path.lstat, os.open

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    def no_listing(path: Path) -> list[str]:
        return refuse(path) if path.name == "bob" else listdir(path)  # type: ignore[return-value]

    def no_stat(path: Path) -> os.stat_result:
        return refuse(path) if path.name == "c.zip" else lstat(path)  # type: ignore[return-value]

    def no_open(path: Path, *rest: int) -> int:
        return refuse(path) if path.name == "a.zip" else opened(path, *rest)  # type: ignore[return-value]

    monkeypatch.setattr(os, "listdir", no_listing)
    monkeypatch.setattr(Path, "lstat", no_stat)
    monkeypatch.setattr(os, "open", no_open)
    found = look(tmp_path)
    assert found.passed_over == [
        "ddp/cy/c.zip: cannot be read (Permission denied)",
        "shopping/bob/: cannot be read (Permission denied)",
    ]
    assert [one.path.name for one in found.submissions["ddp"]] == ["d.zip"]
    (one,) = found.submissions["shopping"]
    assert one.state == "cannot be read (Permission denied)"
    monkeypatch.undo()
    assert look(tmp_path).submissions["shopping"][0].id != one.id


def test_much_that_is_not_taken_is_not_all_told(tmp_path: Path) -> None:
    put(tmp_path, *(f"shopping/a/{i:02d}" for i in range(SHOWN_IN_FOLDER + 2)), "ddp/x")
    told = look(tmp_path).passed_over
    assert told[0].startswith("ddp/x: ")
    assert len(told) == 1 + SHOWN_IN_FOLDER + 1
    assert told[-1] == "... and 2 more in shopping/a/"
    put(tmp_path, *(f"ddp/{i:02d}/x" for i in range(2 * SHOWN)))
    told = look(tmp_path).passed_over
    assert len(told) == SHOWN + 1
    assert told[-1].startswith("... and ")


# ---- Content decides.


def test_an_older_file_of_other_content_is_another_entry(tmp_path: Path) -> None:
    put(tmp_path, "shopping/ann/a.zip")
    path = tmp_path / "shopping/ann/a.zip"
    first = only(tmp_path)
    path.write_bytes(b"two")
    os.utime(path, ns=(first.modified, first.modified))  # of the same size and time
    second = only(tmp_path)
    assert (second.modified, second.path) == (first.modified, first.path)
    assert second.id != first.id
    path.write_bytes(b"one")
    os.utime(path, ns=(10**18, 10**18))
    again = only(tmp_path)
    assert again.id == first.id
    assert again.modified == 10**18
    assert again.changed > first.changed  # so its job is run again, if the file was gone in it


def test_ids_depend_on_path_and_content(tmp_path: Path) -> None:
    names = ["shopping/ann/a.zip", "shopping/ann/b.zip", "shopping/bob/a.zip"]
    put(tmp_path, *names)
    put(tmp_path, "shopping/ann/c.zip", content=b"")
    found = look(tmp_path).submissions["shopping"]
    assert len({one.id for one in found}) == 4
    assert {len(one.id) for one in found} == {len("zip-") + 20}


def test_little_of_a_large_file_is_read(tmp_path: Path) -> None:
    put(tmp_path, "shopping/ann/a.zip", content=bytes(MOST))
    assert only(tmp_path).state == submission_file.digest(bytes(MOST))
    with (tmp_path / "shopping/ann/a.zip").open("wb") as file:
        file.truncate(10**12)
    assert only(tmp_path).state == "1,000,000,000,000 bytes, expected at most 1,000"


@pytest.mark.parametrize("time", [-(10**9), -1, 0, 10**9, 4 * 10**18, 9 * 10**18])
def test_any_time_is_taken_to_the_nanosecond(tmp_path: Path, time: int) -> None:
    put(tmp_path, "shopping/ann/a.zip")
    path = tmp_path / "shopping/ann/a.zip"
    os.utime(path, ns=(time, time))
    assert only(tmp_path).modified == path.stat().st_mtime_ns


def test_what_depends_on_which_submissions_there_are_is_run_where_that_was_looked_at() -> None:
    """A job that SLURM runs reads the workflow anew, and would find others."""
    rules = Path(__file__).parents[1] / "workflow" / "rules"
    texts = [
        text for file in rules.glob("*.smk") for text in re.split(r"\n(?=\w)", file.read_text())
    ]
    asking = [
        text
        for text in texts
        if re.search(r"plan\.(whole|all)_entries|jobs\.(submission|taken|passed)_", text)
    ]
    names = {re.match(r"(?:use rule \w+ as|rule) (\w+)", text)[1] for text in asking}
    pages = {"scoreboard", "detailed_results", "compare"}
    assert names == {"score_submission", "collect_scores"} | pages
    assert all("localrule: True" in text for text in asking)
