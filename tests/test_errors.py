"""What is said of bad input."""

from mico.support.errors import InputError


def test_a_message_is_one_line_whatever_a_file_is_called() -> None:
    error = InputError("inbox/a\n\r\u2028b\x1b[2J\udc80/è.npz: no file")
    assert str(error) == r"inbox/a\n\r\u2028b\x1b[2J\udc80/è.npz: no file"
