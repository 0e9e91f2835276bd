"""What training reads of a checkpoint in a folder, and what others are told of it."""

from pathlib import Path

import pytest

from mico.networks import pretrained


def test_files_are_the_configuration_and_the_weights(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    names = ["config.json", "model-1-of-2.safetensors", "model.safetensors.index.json"]
    for name in [*names, "README.md", "tokenizer.json", "pytorch_model.bin"]:
        (folder / name).touch()
    assert pretrained.files(f"transformers/{folder}") == [folder / name for name in names]


@pytest.mark.parametrize(
    "name",
    ["mlp", "cnn/16", "roberta-base", "roberta-tiny", "transformers/owner/name"],
)
def test_others_have_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in name, "16":
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "config.json").touch()
    (tmp_path / "config.json").touch()
    assert pretrained.files(name) == []
    assert pretrained.public(name) == name


def test_the_place_of_a_folder_is_nobodys_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "place" / "minilm"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder.parent)
    for name in str(folder), f"{folder}/", "minilm", "../place/minilm":
        assert pretrained.public(f"transformers/{name}") == "transformers/minilm"
