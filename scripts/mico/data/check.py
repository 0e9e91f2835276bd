"""Checks of a data set's options: by themselves, and that its file is there."""

from pathlib import Path

from mico.data.options import COUNTS, OF_SOME, DataOptions
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
        if not path.is_file() and not (form.folder and path.is_dir()):
            expected = "a file or a directory" if form.folder else "a file"
            raise InputError(f"path {path} is not {expected}")
    elif options.url is None:
        raise InputError("missing key 'path' or 'url'")


def check_format(options: DataOptions) -> None:
    """Refuse what does not go with the format, wherever the file lies.

    Raises:
        InputError: names the key.
    """
    form = formats()[options.format]
    if form.features and options.features not in (None, form.features):
        whose = "an image" if "images" in form.kinds else "a record"
        raise InputError(f"features {options.features}: expected the {form.features} of {whose}")
    _check_tokenizer(options, "tokens" in form.kinds)
    if form.files:
        if options.files is None:
            raise InputError("missing key 'files'")
        for name in options.files:
            if not name.endswith(form.files):
                raise InputError(f"files: {name!r} does not match '*{form.files}'")
    if form.generated:
        for key in (*COUNTS, "seed"):
            if getattr(options, key) is None:
                raise InputError(f"missing key {key!r}")
    for key in OF_SOME:
        if getattr(options, key) is not None and key not in form.options:
            takers = [name for name, one in formats().items() if key in one.options]
            raise InputError(f"{key}: expected only of the format {' or '.join(takers)}")
    if (options.mean is None) != (options.std is None):
        raise InputError("expected both mean and std, or none of them")
    if options.truncate and options.features is None:
        raise InputError("truncate: expected with 'features', the length that is kept")


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
