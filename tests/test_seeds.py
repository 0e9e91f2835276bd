"""Seeds: secret, repeatable, and never two that make the same split."""

import csv
import re
from pathlib import Path

import pytest

from mico.challenge import seeds
from mico.support.errors import InputError

COLUMNS = ["scenario", "model", *seeds.KINDS]
LARGEST = 2**63 - 1


def kinds_of(rows, kind) -> list[int]:
    return [row[kind] for row in rows]


def good_rows(scenario="A", models=3) -> list[dict[str, object]]:
    """Rows of a file of given seeds; no two seeds agree."""
    return [
        {"scenario": scenario, "model": model}
        | {kind: 10 * model + place for place, kind in enumerate(seeds.KINDS)}
        for model in range(models)
    ]


def write_given(path, rows, columns=COLUMNS) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def assert_one_line(result, *parts) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_derived_seeds_are_the_same_every_time() -> None:
    first = seeds.derive(7, "T1", 20)
    assert seeds.derive(7, "T1", 20) == first
    assert [list(row) for row in first] == [list(seeds.KINDS)] * 20
    assert all(0 <= seed < 2**63 for row in first for seed in row.values())


def test_derived_seeds_are_these() -> None:
    """They are part of what a run can be regenerated from: a change of them must be noticed.

    SHA-256 of "7/T1/seed_challenge/0/0", its first eight bytes modulo 2^63, by sha256sum and bc.
    """
    assert seeds.derive(7, "T1", 1)[0]["seed_challenge"] == 2_319_673_638_751_731_958


@pytest.mark.parametrize(("master", "scenario"), [(8, "T1"), (7, "T2")])
def test_derived_seeds_depend_on_master_and_scenario(master, scenario) -> None:
    ours, others = seeds.derive(7, "T1", 50), seeds.derive(master, scenario, 50)
    for kind in seeds.KINDS:
        assert not set(kinds_of(ours, kind)) & set(kinds_of(others, kind))


def test_kinds_and_models_have_seeds_of_their_own() -> None:
    values = [seed for row in seeds.derive(7, "T1", 200) for seed in row.values()]
    assert len(set(values)) == 200 * len(seeds.KINDS)


def test_more_models_do_not_change_the_first() -> None:
    assert seeds.derive(7, "T1", 200)[:50] == seeds.derive(7, "T1", 50)


def test_derived_seeds_use_all_bits() -> None:
    """Of 800 seeds a bit is set in about half: 14 is a standard deviation, 100 is seven."""
    values = [seed for row in seeds.derive(7, "T1", 200) for seed in row.values()]
    for bit in range(63):
        assert abs(sum(seed >> bit & 1 for seed in values) - 400) < 100


@pytest.mark.parametrize("master", [0, LARGEST])
def test_smallest_and_largest_master(master) -> None:
    assert len(seeds.derive(master, "T1", 2)) == 2


@pytest.mark.parametrize("master", [-1, 2**63, 2**70])
def test_master_out_of_range(master) -> None:
    with pytest.raises(InputError, match="master seed: expected an integer"):
        seeds.derive(master, "T1", 2)


def test_random_seeds_are_in_range_and_never_the_same() -> None:
    first, second = seeds.random(100), seeds.random(100)
    for kind in seeds.KINDS:
        assert all(0 <= seed < 2**63 for seed in kinds_of(first, kind))
        # Chance makes two of 200 draws of 63 bits equal once in 10^14 runs.
        assert not set(kinds_of(first, kind)) & set(kinds_of(second, kind))
    # A hundred seeds all below 2^62 would be chance once in 10^30 runs.
    assert max(kinds_of(first, "seed_challenge")) >= 2**62


def test_random_seeds_that_collide_are_drawn_again(monkeypatch) -> None:
    """A source of few values, 2^32 apart: every model still gets low bits of its own."""
    drawn = []

    def poor(limit) -> int:
        assert limit == 2**63
        drawn.append(len(drawn) % 7 * 2**32 + len(drawn) // 7)  # seven in a row collide
        return drawn[-1]

    monkeypatch.setattr(seeds.secrets, "randbelow", poor)
    rows = seeds.random(300)
    for kind in seeds.KINDS:
        assert len({seed % 2**32 for seed in kinds_of(rows, kind)}) == 300
    assert len(drawn) > 300 * len(seeds.KINDS)  # the draws did collide


def test_colliding_draws_are_replaced_and_others_kept() -> None:
    """First draws collide in pairs: the first of a pair keeps it, the second is drawn again."""
    rows = seeds._distinct(
        lambda kind, model, attempt: (model // 2 + 10_000 * attempt) + model % 2 * 2**40, 400
    )
    for kind in seeds.KINDS:
        values = kinds_of(rows, kind)
        assert len({seed % 2**32 for seed in values}) == 400
        assert values[::2] == list(range(200))
        assert values[1::2] == [10_000 + pair + 2**40 for pair in range(200)]


def test_kinds_may_agree_with_each_other() -> None:
    """A seed of one kind does not stand in the way of another kind's."""
    rows = seeds._distinct(lambda kind, model, attempt: model + 1000 * attempt, 5)
    assert rows == [dict.fromkeys(seeds.KINDS, model) for model in range(5)]


def test_write_and_read(tmp_path) -> None:
    path = tmp_path / "private" / "seeds.csv"
    rows = seeds.derive(7, "T1", 12)
    rows[3]["seed_training"], rows[4]["seed_training"] = 0, LARGEST
    seeds.write(path, rows)
    assert seeds.read(path) == rows
    header, first = path.read_text().splitlines()[:2]
    assert header == f"model,{','.join(seeds.KINDS)},sha256"
    assert first.startswith("0,")
    assert list(path.parent.iterdir()) == [path]


def test_given_seeds_in_any_order_beside_other_scenarios(tmp_path) -> None:
    path = tmp_path / "given.csv"
    rows = good_rows("A") + good_rows("B", 5)
    write_given(path, rows[::-1], COLUMNS[::-1])
    expected = [{kind: row[kind] for kind in seeds.KINDS} for row in rows[:3]]
    assert seeds.read_given(path, "A", 3) == expected


@pytest.mark.parametrize("seed", [0, LARGEST])
def test_given_seed_at_the_ends_of_the_range(tmp_path, seed) -> None:
    rows = good_rows()
    rows[1]["seed_model"] = seed
    rows[0]["seed_model"] = 12345
    write_given(tmp_path / "given.csv", rows)
    assert seeds.read_given(tmp_path / "given.csv", "A", 3)[1]["seed_model"] == seed


def test_given_seeds_of_two_kinds_may_agree(tmp_path) -> None:
    rows = [{"scenario": "A", "model": 0} | dict.fromkeys(seeds.KINDS, 5)]
    write_given(tmp_path / "given.csv", rows)
    assert seeds.read_given(tmp_path / "given.csv", "A", 1) == [dict.fromkeys(seeds.KINDS, 5)]


@pytest.mark.parametrize("kind", seeds.KINDS)
@pytest.mark.parametrize(
    "seed", ["-1", "9223372036854775808", "1.5", "1e3", "", " 7", "0x10", "one", "1_000", "\u0663"]
)
def test_given_seed_that_is_none(tmp_path, kind, seed) -> None:
    rows = good_rows()
    rows[1][kind] = seed
    write_given(tmp_path / "given.csv", rows)
    # The error is in a log; what was found may be most of a seed.
    found = f"{len(seed)} characters" if seed else "nothing"
    with pytest.raises(InputError, match=rf"given\.csv: model 1, {kind}: {found}, expected an int"):
        seeds.read_given(tmp_path / "given.csv", "A", 3)


@pytest.mark.parametrize("kind", seeds.KINDS)
@pytest.mark.parametrize("distance", [0, 2**32, 5 * 2**32])
def test_given_seeds_that_make_the_same_draws(tmp_path, kind, distance) -> None:
    rows = good_rows()
    rows[2][kind] = int(rows[0][kind]) + distance
    write_given(tmp_path / "given.csv", rows)
    with pytest.raises(InputError, match=rf"given\.csv: model 2, {kind}: .* 32 bits as model 0"):
        seeds.read_given(tmp_path / "given.csv", "A", 3)


def test_given_seeds_that_differ_in_bit_31_only(tmp_path) -> None:
    rows = good_rows()
    rows[2]["seed_training"] = rows[0]["seed_training"] + 2**31
    write_given(tmp_path / "given.csv", rows)
    assert len(seeds.read_given(tmp_path / "given.csv", "A", 3)) == 3


@pytest.mark.parametrize("column", COLUMNS)
def test_missing_column(tmp_path, column) -> None:
    write_given(tmp_path / "given.csv", good_rows(), [name for name in COLUMNS if name != column])
    with pytest.raises(InputError, match=rf"given\.csv: missing column {column}\b"):
        seeds.read_given(tmp_path / "given.csv", "A", 3)


def remove(rows) -> None:
    del rows[1]


def repeat(rows) -> None:
    rows.append({**rows[1], "seed_model": 999})


def add(rows) -> None:
    rows.append({**rows[1], "model": 3, **{kind: 999 for kind in seeds.KINDS}})


def rename(rows) -> None:
    rows[1]["model"] = "one"


def empty(rows) -> None:
    rows[1]["model"] = ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove, "model 1 is missing"),
        (repeat, "model 1 is there twice"),
        (add, "model 3 is not one of 0 to 2"),
        (rename, "model one is not one of 0 to 2"),
        (empty, "model  is not one of 0 to 2"),
    ],
)
def test_given_models_must_be_those_of_the_run(tmp_path, change, message) -> None:
    rows = good_rows()
    change(rows)
    write_given(tmp_path / "given.csv", rows)
    with pytest.raises(InputError, match=rf"given\.csv: {message}"):
        seeds.read_given(tmp_path / "given.csv", "A", 3)


def test_unknown_scenario(tmp_path) -> None:
    write_given(tmp_path / "given.csv", good_rows("A"))
    with pytest.raises(InputError, match=r"given\.csv: no rows for scenario B$"):
        seeds.read_given(tmp_path / "given.csv", "B", 3)


HEADER = ",".join(COLUMNS).encode() + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        HEADER,
        HEADER + b"A,0,1,2,3\n",  # a field too few
        HEADER + b"A\nA,x,1,2,3,4\n",
        HEADER + b"A,0,1,2,3,caf\xe9\n",  # not UTF-8
        HEADER + b"A,0,1,2,3," + b"9" * 5000 + b"\n",
        HEADER + b"A,0,1,2,3," + b"9" * 200_000 + b"\n",
        b"\x00\x01\x02",
    ],
    ids=["empty", "blank", "header", "short", "shorter", "latin", "long", "longer", "binary"],
)
def test_file_that_holds_no_seeds(tmp_path, content) -> None:
    path = tmp_path / "given.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"given\.csv: ") as caught:
        seeds.read_given(path, "A", 1)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_file_that_cannot_be_read(tmp_path, name) -> None:
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / name}: cannot be read")):
        seeds.read_given(tmp_path / name, "A", 3)


def test_program_derives(run_script, tmp_path) -> None:
    output = tmp_path / "new" / "seeds.csv"
    seeds.write_master(tmp_path / "master_seed", 7)
    arguments = ("--scenario", "T1", "--last", 4, "--source", tmp_path / "master_seed")
    result = run_script("seeds", *arguments, "--output", output)
    assert (result.returncode, result.stderr) == (0, "")
    assert seeds.read(output) == seeds.derive(7, "T1", 5)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 4), (4, 4)])
def test_a_shards_seeds_do_not_depend_on_how_many_models_there_are(
    run_script, tmp_path, first, last
) -> None:
    seeds.write_master(tmp_path / "master_seed", 7)
    source = ("--source", tmp_path / "master_seed")
    arguments = ("--scenario", "T1", "--first", first, "--last", last, *source)
    path = tmp_path / "shard.csv"
    assert run_script("seeds", *arguments, "--output", path).returncode == 0
    for models in 5, 200:
        whole = dict(enumerate(seeds.derive(7, "T1", models)))
        expected = {model: whole[model] for model in range(first, last + 1)}
        assert seeds.read_shard(path, "T1", first, last) == expected


def test_a_shards_seeds_are_read_among_others(tmp_path) -> None:
    """From a whole file, or a given one of several scenarios; what is missing is said."""
    whole = seeds.derive(7, "A", 5)
    seeds.write(tmp_path / "whole.csv", whole)
    expected = {2: whole[2], 3: whole[3]}
    assert seeds.read_shard(tmp_path / "whole.csv", "A", 2, 3) == expected
    write_given(tmp_path / "given.csv", good_rows("A") + good_rows("B", 5))
    given = seeds.read_given(tmp_path / "given.csv", "A", 3)
    assert seeds.read_shard(tmp_path / "given.csv", "A", 1, 2) == {1: given[1], 2: given[2]}
    with pytest.raises(InputError, match=r"whole.csv: model 5 is missing \(4 to 5 are needed\)"):
        seeds.read_shard(tmp_path / "whole.csv", "A", 4, 5)


def test_program_draws(run_script, tmp_path) -> None:
    for name in ("a", "b"):
        arguments = ("--scenario", "T1", "--last", 4, "--source", "random")
        result = run_script("seeds", *arguments, "--output", tmp_path / name)
        assert (result.returncode, result.stderr) == (0, "")
    first, second = (seeds.read(tmp_path / name) for name in ("a", "b"))
    assert len(first) == 5
    assert first != second


def test_program_copies_given_seeds(run_script, tmp_path) -> None:
    given = tmp_path / "given.csv"
    write_given(given, good_rows())
    arguments = ("--scenario", "A", "--last", 2, "--source", given)
    result = run_script("seeds", *arguments, "--output", tmp_path / "seeds.csv")
    assert (result.returncode, result.stderr) == (0, "")
    assert seeds.read(tmp_path / "seeds.csv") == seeds.read_given(given, "A", 3)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("absent.csv", ["absent.csv", "cannot be read"]),
        ("bad.csv", ["bad.csv", "model 1, seed_model: 2 characters", "[0, 2^63)"]),
        ("rndom", ["rndom", "cannot be read as a master seed"]),
        (".", [".", "cannot be read as a master seed"]),
    ],
)
def test_program_says_what_is_wrong_and_writes_nothing(
    run_script, tmp_path, monkeypatch, source, parts
) -> None:
    rows = good_rows()
    rows[1]["seed_model"] = -5
    write_given(tmp_path / "bad.csv", rows)
    monkeypatch.chdir(tmp_path)
    arguments = ("--scenario", "A", "--last", 2, "--source", source)
    result = run_script("seeds", *arguments, "--output", "out/seeds.csv")
    assert_one_line(result, *parts)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_files_that_a_run_has_written_are_given_back(tmp_path: Path) -> None:
    """Each scenario's own, which has no column for it."""
    for scenario in "A", "B":
        (tmp_path / scenario).mkdir()
        seeds.write(tmp_path / scenario / "seeds.csv", seeds.derive(7, scenario, 5))
    path = tmp_path / "{scenario}" / "seeds.csv"
    for scenario in "A", "B":
        assert seeds.read_given(path, scenario, 5) == seeds.derive(7, scenario, 5)
    with pytest.raises(InputError, match=r"A/seeds\.csv: missing column scenario; .*{scenario}"):
        seeds.read_given(tmp_path / "A" / "seeds.csv", "A", 5)
    with pytest.raises(InputError, match=r"C/seeds\.csv: cannot be read"):
        seeds.read_given(path, "C", 5)


def test_a_row_of_too_many_fields_is_refused(tmp_path) -> None:
    """As where a number is written with a comma: all that follow would be one column off."""
    path = tmp_path / "own.csv"
    write_given(path, good_rows())
    head, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, f"{first},7", *rest]))
    expected = re.escape(f"{path}: row 1: expected 6 fields, found more")
    with pytest.raises(InputError, match=expected):
        seeds.read_given(path, "A", 3)


def test_a_column_that_is_there_twice_is_refused(tmp_path) -> None:
    path = tmp_path / "own.csv"
    write_given(path, good_rows(), [*COLUMNS, "seed_training"])
    expected = re.escape(f"{path}: column 'seed_training' is there twice")
    with pytest.raises(InputError, match=expected):
        seeds.read_given(path, "A", 3)
