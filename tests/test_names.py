"""Any name that can be shown is taken, however it is written; those that look alike are known."""

# ruff: noqa: RUF001

import unicodedata

import pytest

from mico.release import names

TAKEN = ["auto", "lira", "centred-mid-conf"]


@pytest.mark.parametrize(
    "name",
    [
        *("alice", "O'Brien", "O\N{RIGHT SINGLE QUOTATION MARK}Brien", "A&B", "Ángel (UPM)"),
        *("ann.b+mico@example.org", "Team #1", "50% off", "Jr.", "x_y-z", "3", "N/A team", "nano"),
        *(
            "प्रिया शर्मा",
            "สมชาย ใจดี",
            "علی\u200cرضا",
            "אבי",
            "李雷",
            "김철수",
            "Ольга",
            "\U0001f600",
        ),
        *("<b>bold</b>", "{braces}", "$(id)", "a;b", '"quoted"', "a\\b", "x" * 100),
        unicodedata.normalize("NFD", "Ángel Núñez"),
    ],
)
def test_what_a_person_may_be_called_is_taken(name: str) -> None:
    assert names.problems(name, TAKEN) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "expected something that is seen"),
        ("\u200d\u200c", "expected something that is seen"),
        ("\u3164", "expected something that is seen"),
        ("\u0301", "expected something that is seen"),
        ("\u2800\u115f", "expected something that is seen"),
        (" alice", "expected no blank at an end"),
        ("alice ", "expected no blank at an end"),
        ("alice\xa0", "expected no blank at an end"),
        ("alice\u3164", "expected no blank at an end"),
        ("a\nb", r"holds '\n', expected what can be shown"),
        ("a\x1b[2J", r"holds '\x1b', expected what can be shown"),
        ("a\u202eb", r"holds '\u202e', expected what can be shown"),
        ("a\u2066b", r"holds '\u2066', expected what can be shown"),
        ("a\u200bb", r"holds '\u200b', expected what can be shown"),
        ("a\ufeffb", r"holds '\ufeff', expected what can be shown"),
        ("\udcff\udcfe", r"holds '\udcff', expected what can be shown"),
        ("a\ue000", r"holds '\ue000', expected what can be shown"),
        ("nan", "is read as a missing value"),
        ("NA", "is read as a missing value"),
        ("Null", "is read as a missing value"),
        ("None", "is read as a missing value"),
        ("N\N{FULLWIDTH LATIN CAPITAL LETTER A}", "is read as a missing value"),
        ("=1+1", "expected no = first"),
        ("+1", "expected no + first"),
        ("@SUM(A1)", "expected no @ first"),
        ("-1", "expected no - first"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "expected no = first"),
        ("auto", "is that of a built-in attack"),
        ("AUTO", "looks like that of a built-in attack"),
        ("\N{CYRILLIC SMALL LETTER A}uto", "looks like that of a built-in attack"),
        ("au\u200dto", "looks like that of a built-in attack"),
        ("au\ufe0fto", "looks like that of a built-in attack"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}uto", "looks like that of a built-in attack"),
        ("l1ra", "looks like that of a built-in attack"),
        ("centred\N{EN DASH}mid\N{HYPHEN}conf", "looks like that of a built-in attack"),
        ("x" * 101, "101 characters, expected at most 100"),
    ],
)
def test_what_cannot_be_shown_or_misleads_is_refused_in_a_line(name: str, problem: str) -> None:
    (told,) = names.problems(name, TAKEN)
    assert problem in told
    assert told.isprintable()
    assert len(told) < 250


def test_a_name_is_one_name_however_its_accents_are_stored() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Ángel") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert names.normal(composed) == names.normal(decomposed) == composed


def test_pandas_reads_no_name_that_is_taken_as_missing() -> None:
    readers = pytest.importorskip("pandas._libs.parsers")
    for name in readers.STR_NA_VALUES - {""}:
        assert names.problems(name, []), name


def test_names_that_look_alike_get_short_ids() -> None:
    alike = ["alice", "Alice", "\N{CYRILLIC SMALL LETTER A}lice", "a1ice", "al\u200dice"]
    others = ["bob", "Jos\xe9", "Jose", "Ann Lee", "Annlee"]
    ids = names.told_apart([*alike, *others, "alice"])
    assert set(ids) == set(alike)
    assert len(set(ids.values())) == len(alike)
    assert names.told_apart(reversed(alike)) == ids
    assert set(names.told_apart(["Ann  Lee", "Ann Lee", "Ann\xa0Lee"])) != set()
