"""What is released is as published: a program that knows nothing else finds its way."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import published_program
import pytest
from published_program import Unexpected
from released_tracks import NAMES, PHASES, TRACK, pack

from mico.challenge.phases import Phases
from mico.release import intake
from mico.support.private import TIMESTAMP


@pytest.fixture(scope="module")
def public(
    tmp_path_factory: pytest.TempPathFactory, run_script: Callable, challenges: dict
) -> Path:
    return pack(run_script, challenges, tmp_path_factory.mktemp("packed"))[0]


@pytest.fixture
def unzipped(public: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(public) as opened:
        opened.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_is_walked_and_its_submission_taken(unzipped: Path, tmp_path: Path) -> None:
    found = published_program.attack(unzipped / TRACK, tmp_path / "mine.zip")
    assert found == list(NAMES)
    taken = intake.read(tmp_path / "mine.zip", TRACK, dict.fromkeys(NAMES, 20), PHASES)
    assert {name: rows.shape for name, rows in taken.items()} == dict.fromkeys(NAMES, (4, 20))


def test_what_is_ours_lies_beside_the_track(unzipped: Path) -> None:
    ours = {"README.md", "SHA256SUMS", "starter_kit", "track.json"}
    assert set(os.listdir(unzipped)) == {TRACK} | ours


@pytest.mark.parametrize(
    "place",
    [
        "README.md",
        "plain.sha256",
        f"plain/{TIMESTAMP}",
        "plain/train/SHA256SUMS",
        "plain/dev/model_9/model.pt",
        "private/final/model_5/notes.txt",
    ],
)
def test_the_program_stops_at_anything_else(unzipped: Path, tmp_path: Path, place: str) -> None:
    """Else the tests above would tell nothing."""
    path = unzipped / TRACK / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("more")
    with pytest.raises((Unexpected, NotADirectoryError)):
        published_program.attack(unzipped / TRACK, tmp_path / "mine.zip")


def test_the_results_of_a_run_are_walked_alike(tiny: Path, tmp_path: Path) -> None:
    """In a challenge's folder lies Snakemake's own mark, and nothing of ours."""
    for track, challenge in ("shopping", "shopping_inf"), ("ddp", "shopping_ddp"):
        copy = shutil.copytree(tiny / "challenge" / track, tmp_path / track)
        submission = tmp_path / f"{track}.zip"
        assert published_program.attack(copy, submission, hidden=[TIMESTAMP]) == [challenge]
        [rows] = intake.read(submission, track, {challenge: 20}, Phases(4, 2, 1)).values()
        assert rows.shape == (3, 20)
