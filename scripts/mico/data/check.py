"""Checks of a data set's options: by themselves, and that its file is there."""

from pathlib import Path

from mico.data.options import DataOptions
from mico.data.registry import formats
from mico.data.tokens import BPE, is_checkpoint
from mico.support.errors import InputError


def check(options: DataOptions) -> None:
    """Refuse what does not go with the format, and a file that is not there.

    Raises:
        InputError: names the key.
    """
    check_format(options)
    form = formats()[options.format]
    if form.generated:
        return
    if options.path is not None:
        path = Path(options.path)
        if not path.is_file() and not (form.files and path.is_dir()):
            expected = "a file or a directory" if form.files else "a file"
            raise InputError(f"path {path} is not {expected}")
    elif options.url is None:
        raise InputError("missing key 'path' or 'url'")


def check_format(options: DataOptions) -> None:
    """Refuse what does not go with the format, wherever the file lies.

    Raises:
        InputError: names the key.
    """
    form = formats()[options.format]
    if form.features not in (None, options.features):
        whose = "an image" if form.kind == "images" else "a record"
        raise InputError(f"features {options.features}: expected the {form.features} of {whose}")
    _check_tokenizer(options, form.kind == "tokens")
    if form.files:
        if options.files is None:
            raise InputError("missing key 'files'")
        for name in options.files:
            if not name.endswith(form.files):
                raise InputError(f"files: {name!r} does not match '*{form.files}'")
    if form.generated and options.seed is None:
        raise InputError("missing key 'seed'")


def _check_tokenizer(options: DataOptions, is_text: bool) -> None:
    """Text needs a tokenizer, and only `bpe` has a vocabulary of a chosen size."""
    tokenizer = options.tokenizer
    if is_text != (tokenizer is not None):
        missing = "missing key 'tokenizer'"
        raise InputError(missing if is_text else "tokenizer: expected only of text")
    if (tokenizer == BPE) != (options.vocabulary is not None):
        missing = "missing key 'vocabulary'"
        raise InputError(missing if tokenizer == BPE else f"vocabulary: expected only with {BPE}")
    if tokenizer is not None and not is_checkpoint(tokenizer):
        raise InputError(f"tokenizer {tokenizer} is not a folder")
