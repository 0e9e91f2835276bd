"""Predictions keep the order of the scores, and files are read back exactly or refused by name."""

import math
from pathlib import Path

import numpy as np
import pytest

from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support.errors import InputError

PHASES = Phases(2, 1, 2)
NAMES = ["train/model_0", "train/model_1", "dev/model_2", "final/model_3", "final/model_4"]
POINTS = 6


def random_scores(kind: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 1, (5, 8))
    return {
        "continuous": scores,
        "tied": scores.round(0),
        "infinite": np.where(rng.random(scores.shape) < 0.2, np.inf * np.sign(scores), scores),
        "huge": 1e300 * scores,
        "close": 1 + np.finfo(float).eps * rng.integers(0, 5, scores.shape),
        "zeros": np.where(rng.random(scores.shape) < 0.5, 0.0, -0.0),
        "integers": rng.integers(-9, 9, scores.shape),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["continuous", "tied", "infinite", "huge", "close", "zeros", "integers"]
)
def test_predictions_are_an_increasing_map_of_the_scores(kind: str) -> None:
    scores = random_scores(kind)
    predictions = prediction_files.to_predictions(scores)
    assert predictions.shape == scores.shape
    assert ((predictions >= 0) & (predictions <= 1)).all()
    one, other = scores.ravel(), predictions.ravel()
    for i in range(one.size):  # every pair, of one model or of two: <, = and > are kept
        assert ((one < one[i]) == (other < other[i])).all()
        assert ((one == one[i]) == (other == other[i])).all()


def test_predictions_use_the_whole_range() -> None:
    predictions = prediction_files.to_predictions(random_scores("continuous"))
    assert (predictions.min(), predictions.max()) == (0, 1)


@pytest.mark.parametrize("score", [0.0, -3.5, np.inf, -np.inf])
def test_constant_scores_are_one_prediction(score: float) -> None:
    predictions = prediction_files.to_predictions(np.full((3, 4), score))
    assert predictions.shape == (3, 4)
    assert len(np.unique(predictions)) == 1
    assert 0 <= predictions[0, 0] <= 1


def test_a_score_that_is_not_a_number_is_an_error() -> None:
    scores = random_scores("continuous")
    scores[3, 2] = np.nan
    with pytest.raises(ValueError, match="not a number"):
        prediction_files.to_predictions(scores)


@pytest.mark.parametrize("left_out", [[0], [1, 3], [0, 1, 2, 3, 4]])
def test_a_model_that_is_left_out_changes_nothing_for_the_others(left_out: list[int]) -> None:
    scores = random_scores("tied")
    kept = np.setdiff1d(np.arange(5), left_out)
    alone = prediction_files.to_predictions(scores[kept])
    scores[left_out] = np.nan
    predictions = prediction_files.to_predictions(scores)
    assert predictions.shape == scores.shape
    np.testing.assert_array_equal(predictions[kept], alone)
    assert np.isnan(predictions[left_out]).all()


# ---- Files.


def written(folder: Path) -> np.ndarray:
    """Write a submission with awkward numbers to folder/a, without checksums."""
    predictions = np.random.default_rng(2).random((5, POINTS))
    predictions[0] = [0, 1, 1 / 3, 5e-324, 1 - 2**-53, 1e-7]
    predictions[4] = np.linspace(0, 1, POINTS)
    prediction_files.write(folder / "a", PHASES, predictions)
    (folder / "a" / "SHA256SUMS").unlink()
    return predictions


def test_written_predictions_are_read_back_to_the_last_bit(tmp_path: Path) -> None:
    predictions = written(tmp_path)
    again = prediction_files.read(tmp_path / "a", PHASES, POINTS)
    assert again.dtype == np.float64
    np.testing.assert_array_equal(again, predictions)


def test_the_files_are_those_of_the_competition(tmp_path: Path) -> None:
    predictions = written(tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {f"a/{name}/prediction.csv" for name in NAMES}
    for name, row in zip(NAMES, predictions, strict=True):
        content = (tmp_path / "a" / name / "prediction.csv").read_bytes().decode("ascii")
        assert content.count("\n") == 1
        assert content.endswith("\n")
        assert [float(text) for text in content.split(",")] == row.tolist()


def test_writing_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a" / "dev" / "model_99").mkdir(parents=True)
    written(tmp_path)
    assert sorted(path.name for path in (tmp_path / "a" / "dev").iterdir()) == ["model_2"]


def test_a_failing_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        prediction_files.write(tmp_path / "a", PHASES, np.zeros((3, POINTS)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left_out", [[0], [1], [0, 1]])
def test_train_models_may_be_left_out(tmp_path: Path, left_out: list[int]) -> None:
    """No file says anything about them, not even an empty one."""
    predictions = np.random.default_rng(4).random((5, POINTS))
    predictions[left_out] = np.nan
    prediction_files.write(tmp_path / "a", PHASES, predictions)
    found = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("model_*")}
    assert found == {name for i, name in enumerate(NAMES) if i not in left_out}
    read = prediction_files.read(tmp_path / "a", PHASES, POINTS)
    np.testing.assert_array_equal(read, predictions)


@pytest.mark.parametrize("model", [2, 3, 4])
def test_dev_and_final_models_may_not_be_left_out(tmp_path: Path, model: int) -> None:
    predictions = np.random.default_rng(4).random((5, POINTS))
    predictions[model] = np.nan
    phase = NAMES[model].split("/")[0]
    with pytest.raises(ValueError, match=f"model {model} of {phase} has no predictions"):
        prediction_files.write(tmp_path / "a", PHASES, predictions)
    assert list(tmp_path.iterdir()) == []
    written(tmp_path)
    path = tmp_path / "a" / NAMES[model] / "prediction.csv"
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(InputError, match=rf"{NAMES[model]}/prediction\.csv: cannot be read"):
        prediction_files.read(tmp_path / "a", PHASES, POINTS)


def test_a_train_models_folder_without_its_file_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "a" / NAMES[1] / "prediction.csv").unlink()
    with pytest.raises(InputError, match=r"train/model_1/prediction\.csv: cannot be read"):
        prediction_files.read(tmp_path / "a", PHASES, POINTS)


@pytest.mark.parametrize(
    "content",
    [
        b"0,1,0.5,1e-3,.25,1\n",
        b"0,1,0.5,1e-3,.25,1",
        b"0,1,0.5,1e-3,.25,1\r\n",
        b" 0, 1, 0.5, 1e-3, .25, 1\n",
        b'"0","1","0.5","0.001","0.25","1"\n',
    ],
)
def test_other_programs_ways_to_write_numbers_are_read(tmp_path: Path, content: bytes) -> None:
    written(tmp_path)
    (tmp_path / "a" / NAMES[2] / "prediction.csv").write_bytes(content)
    read = prediction_files.read(tmp_path / "a", PHASES, POINTS)
    assert read[2].tolist() == [0, 1, 0.5, 0.001, 0.25, 1]


ROW = b"0.1,0.2,0.3,0.4,0.5,0.6\n"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, ""),
        (b"", "one row of 6"),
        (b"\n", "one row of 6"),
        (b"0.1,0.2,0.3,0.4,0.5\n", "one row of 6"),
        (b"0.1,0.2,0.3,0.4,0.5,0.6,0.7\n", "one row of 6"),
        (b"0.1\n0.2\n0.3\n0.4\n0.5\n0.6\n", "one row of 6"),
        (ROW + ROW, "one row of 6"),
        (ROW.replace(b"0.2", b"nan"), "value 2 is 'nan'"),
        (ROW.replace(b"0.6", b"inf"), "value 6 is 'inf'"),
        (ROW.replace(b"0.1", b"-inf"), "value 1 is '-inf'"),
        (ROW.replace(b"0.3", b"1.5"), "value 3 is '1.5'"),
        (ROW.replace(b"0.3", b"1.0000000000000002"), "value 3 is '1.0000000000000002'"),
        (ROW.replace(b"0.4", b"-0.1"), "value 4 is '-0.1'"),
        (ROW.replace(b"0.4", b"-5e-324"), "value 4 is '-5e-324'"),
        (ROW.replace(b"0.5", b"high"), "value 5 is 'high'"),
        (ROW.replace(b"0.5", b""), "value 5 is ''"),
        (ROW.replace(b"0.5", b"0,5,"), "one row of 6"),
        (ROW.replace(b",", b";"), "one row of 6"),
        (b"\xff\xfe0\x00.\x001\x00", ""),
        (ROW.replace(b"0.5", b"\xe9\x80"), ""),
        (ROW.replace(b"0.5", b"0\x00.5"), ""),
    ],
)
def test_a_bad_file_is_refused_by_name_and_position(
    tmp_path: Path, content: bytes | None, named: str
) -> None:
    written(tmp_path)
    path = tmp_path / "a" / NAMES[3] / "prediction.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        prediction_files.read(tmp_path / "a", PHASES, POINTS)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert named in message
    assert "\n" not in message


def test_a_missing_submission_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/train/model_0/prediction\.csv"):
        prediction_files.read(tmp_path / "nowhere", PHASES, POINTS)


@pytest.mark.parametrize(("found", "row"), [(5, b"0,0,0,0,0\n"), (7, b"0,0,0,0,0,0,0\n")])
def test_a_wrong_count_is_told(tmp_path: Path, found: int, row: bytes) -> None:
    written(tmp_path)
    (tmp_path / "a" / NAMES[0] / "prediction.csv").write_bytes(row)
    with pytest.raises(InputError) as caught:
        prediction_files.read(tmp_path / "a", PHASES, POINTS)
    assert str(found) in str(caught.value).removeprefix(str(tmp_path))


@pytest.mark.parametrize("text", ["0x1", "True", "1e", "½", "50%", "1 2"])
def test_what_is_not_a_decimal_number_is_refused(tmp_path: Path, text: str) -> None:
    written(tmp_path)
    path = tmp_path / "a" / NAMES[0] / "prediction.csv"
    path.write_text(f"0,{text},0,0,0,0\n", encoding="utf-8")
    with pytest.raises(InputError, match="value 2"):
        prediction_files.read(tmp_path / "a", PHASES, POINTS)


def test_predictions_survive_the_file(tmp_path: Path) -> None:
    """From scores to files and back, the order and the ties of all models' scores together."""
    scores = np.random.default_rng(3).normal(0, 1, (5, POINTS)).round(1)
    prediction_files.write(tmp_path / "a", PHASES, prediction_files.to_predictions(scores))
    read = prediction_files.read(tmp_path / "a", PHASES, POINTS)
    distinct = sorted({*scores.ravel().tolist()})
    expected = [[distinct.index(one) / (len(distinct) - 1) for one in row] for row in scores]
    assert all(map(math.isclose, read.ravel(), np.ravel(expected)))
