"""The published layout says what the competition's own release looks like."""

import pytest

from mico.challenge import layout


def test_names_are_the_competitions() -> None:
    assert layout.model_folder("dev", 103) == "dev/model_103"
    assert layout.model_folder("train", 0) == f"train/{layout.model_name(0)}"
    files = layout.MODEL, layout.SOLUTION, layout.PREDICTION
    assert files == ("model.pt", "solution.csv", "prediction.csv")
    assert layout.ATTACKED == ("dev", "final")


@pytest.mark.parametrize(
    ("phase", "disclosed", "expected"),
    [
        ("train", (), ["seed_challenge", "seed_training", "seed_membership"]),
        ("dev", (), ["seed_challenge"]),
        ("final", (), ["seed_challenge"]),
        ("final", ("seed_training",), ["seed_challenge", "seed_training"]),
        # The seed that training draws from is nobody's, whatever a configuration says.
        ("train", ("seed_model",), ["seed_challenge", "seed_training", "seed_membership"]),
        ("dev", ("seed_model",), ["seed_challenge"]),
    ],
)
def test_seeds_of_a_phase(phase: str, disclosed: tuple[str, ...], expected: list[str]) -> None:
    assert layout.seed_files(phase, disclosed) == expected
