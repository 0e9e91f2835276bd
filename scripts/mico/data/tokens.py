"""Sentences as tokens: of a byte-level BPE that is trained on them, or of a checkpoint.

The libraries of both are an extra, which bits and images do without.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mico.support.errors import InputError

if TYPE_CHECKING:
    import tokenizers

BPE = "bpe"  # stands for the one that is trained
LARGEST = 1 << 16  # ids are stored as uint16
MIN_PAIRS = 2  # a pair of tokens that is there once does not become one
# RoBERTa's, whose first four have the same ids here.
SPECIAL = {
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


@dataclass(frozen=True)
class Tokenizer:
    """What turns sentences into tokens and back."""

    backend: "tokenizers.Tokenizer"
    special: Mapping[str, str]  # special tokens by their role, pad_token at least

    @property
    def vocabulary(self) -> int:
        """All ids are below it."""
        return 1 + max(self.backend.get_vocab().values())

    @property
    def padding(self) -> int:
        """The id that fills up what is shorter."""
        return self.backend.get_vocab()[self.special["pad_token"]]

    def encode(
        self, sentences: Sequence[str], length: int | None, truncate: bool = False
    ) -> np.ndarray:
        """Token ids (N, length) uint16, with the special tokens that the tokenizer adds.

        Args:
            length: None: that of the longest sentence; truncate: cut off what is longer.

        Raises:
            InputError: a sentence has more tokens and is not to be cut off, or the length leaves
                no room beside special tokens.
        """
        self.backend.encode_special_tokens = True  # as text, where a sentence has "<pad>" in it
        if truncate and length is not None:
            special = self.backend.num_special_tokens_to_add(False)
            if length <= special:
                raise InputError(
                    f"`features` is {length}: expected more than {special}, which are special"
                )
            self.backend.enable_truncation(length)
        encodings = self.backend.encode_batch(sentences)
        self.backend.no_truncation()  # it is stored with the data
        longest = max(range(len(encodings)), key=lambda record: len(encodings[record]))
        if length is None:
            length = len(encodings[longest])
        if len(encodings[longest]) > length:
            raise InputError(
                f"record {longest + 1}: {len(encodings[longest])} tokens, more than any other, "
                f"but `features` is {length}: raise it, or for text of your own set `truncate`"
            )
        ids = np.full((len(sentences), length), self.padding, np.uint16)
        for row, encoding in zip(ids, encodings, strict=True):
            row[: len(encoding)] = encoding.ids
        return ids

    def files(self) -> dict[str, str]:
        """The files, by name, of a folder from which transformers' AutoTokenizer loads it."""
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,  # or what comes back is not what was given
            **self.special,
        }
        return {
            "tokenizer.json": self.backend.to_str(pretty=True) + "\n",
            "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        }


def train(sentences: Sequence[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE like RoBERTa's, of at most so many tokens, trained on the sentences.

    The same sentences give the same tokenizer, whatever the number of threads.
    """
    try:
        import tokenizers
        from tokenizers import decoders, models, pre_tokenizers, processors, trainers
    except ImportError:
        raise _not_installed(BPE, "tokenizers") from None
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=MIN_PAIRS,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),  # any text can be encoded
        show_progress=False,
    )
    backend.train_from_iterator(sentences, trainer)
    ids = backend.get_vocab()
    first, last = ((SPECIAL[role], ids[SPECIAL[role]]) for role in ("cls_token", "sep_token"))
    backend.post_processor = processors.RobertaProcessing(last, first, add_prefix_space=False)
    return Tokenizer(backend, SPECIAL)


def load(name: str) -> Tokenizer:
    """The tokenizer of a checkpoint, by its folder or its name on the hub.

    Raises:
        InputError: it is not there, is not one of the fast ones, or has no padding or too many
            tokens.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise _not_installed(name, "transformers") from None
    where = f"tokenizer {name!r}"
    is_folder = Path(name).is_dir()
    try:
        loaded = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # of many kinds, depending on which of its files is how
        reason = str(error).strip().partition("\n")[0]
        advice = (
            "expected a checkpoint's folder with its tokenizer.json"
            if is_folder
            else "where there is no network, get the checkpoint elsewhere and give its folder"
        )
        raise InputError(f"{where}: cannot be loaded ({reason}); {advice}") from None
    vocabulary = loaded.get_vocab()
    # Where its files are missing, transformers makes up a tokenizer that knows no text.
    if set(vocabulary) <= set(loaded.all_special_tokens):
        raise InputError(f"{where}: no tokenizer there: expected its tokenizer.json")
    if not loaded.is_fast:
        raise InputError(f"{where}: expected one that has a tokenizer.json")
    if loaded.pad_token is None:
        raise InputError(f"{where}: expected one that has a token for padding")
    if max(vocabulary.values()) >= LARGEST:
        count = f"{1 + max(vocabulary.values()):,} tokens, expected at most {LARGEST:,}"
        raise InputError(f"{where}: {count}")
    backend = loaded.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    roles = loaded.special_tokens_map.items()
    return Tokenizer(backend, {role: token for role, token in roles if isinstance(token, str)})


def decode(file: Path, ids: np.ndarray) -> list[str]:
    """Sentences from the ids of their tokens, without special ones.

    Args:
        file: tokenizer.json of a stored data set; ids: (N, d).

    Raises:
        InputError: the library is not installed, or the file is no tokenizer.
    """
    try:
        import tokenizers
    except ImportError:
        raise _not_installed(file.name, "tokenizers") from None
    try:
        backend = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # it has no kind of its own
        raise InputError(f"{file}: no tokenizer ({error})") from None
    return list(backend.decode_batch(ids.tolist()))


def _not_installed(tokenizer: str, package: str) -> InputError:
    return InputError(f"tokenizer {tokenizer!r}: needs {package}, see requirements-text.txt")


HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def is_checkpoint(name: str) -> bool:
    """Whether a checkpoint may be there: in a folder that is, or on the hub, which is not asked."""
    return Path(name).is_dir() or HUB_NAME.fullmatch(name) is not None
