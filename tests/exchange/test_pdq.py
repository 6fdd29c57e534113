"""Lists of PDQ hashes: a hash on each line, or CSV with quality, id and timestamp."""

from __future__ import annotations

import pytest
from exchange_fixtures import STRANGE_IDS, assert_equal_content, random_codes

from vtsearch.errors import VtsearchError
from vtsearch.exchange import export, pdq, read
from vtsearch.index import Index

CODES = random_codes(4, 256)
HEX = [code.tobytes().hex() for code in CODES]


@pytest.mark.parametrize("ids", [None, STRANGE_IDS])
@pytest.mark.parametrize("metadata", [False, True])
def test_a_round_trip_keeps_hashes_ids_quality_and_timestamp(tmp_path, exchanged, ids, metadata):
    columns = {"quality": [100, None, *range(8)], "timestamp": ["2024-01-01", None, *"abcdefgh"]}
    with Index.create(tmp_path / "index", 256) as index:
        index.add(random_codes(10, 256), ids, metadata=columns if metadata else None)
        assert export(index, tmp_path / "other.pdq").left_out == ()
        assert_equal_content(index, exchanged(index, "hashes.csv"))


def test_hashes_alone_are_lines_of_hexadecimal_digits(make_index, tmp_path):
    index = make_index(4, 256, labels="single", metadata=True)
    assert export(index, tmp_path / "hashes.txt").left_out == ("labels", "metadata")
    assert (tmp_path / "hashes.txt").read_text() == "".join(f"{code.tobytes().hex()}\n" for code in index.codes())


LISTS = {
    "one column": (lambda n: HEX[n], None, {}),
    "upper case, spaces and a carriage return": (lambda n: f"  {HEX[n].upper()} \r", None, {}),
    "hash and quality": (lambda n: f"{HEX[n]},{n + 50}", None, {"quality": [50, 51, 52, 53]}),
    "hash, quality and name": (
        lambda n: f'{HEX[n]},{n},"a, {n}.jpg"',
        [f"a, {n}.jpg" for n in range(4)],
        {"quality": [0, 1, 2, 3]},
    ),
    "frames of a video": (
        lambda n: f"{n},{n},{HEX[n]},{n / 2}",
        ["0", "1", "2", "3"],
        {"quality": [0, 1, 2, 3], "timestamp": ["0.0", "0.5", "1.0", "1.5"]},
    ),
}


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_lists_without_a_header(tmp_path, monkeypatch, what, rows):
    monkeypatch.setattr(pdq, "ROWS", rows)
    line, ids, metadata = LISTS[what]
    (tmp_path / "hashes.txt").write_text("\n".join(line(n) for n in range(4)) + "\n\n")
    content = read(tmp_path / "hashes.txt")
    assert content.codes.tobytes() == CODES.tobytes()
    assert (content.bits, content.ids, content.metadata) == (256, ids, metadata)


def test_columns_are_found_by_name(tmp_path):
    rows = "".join(f"{n},news,{HEX[n]},\n" for n in range(4))
    (tmp_path / "hashes.csv").write_text("\ufeffContent_ID,source,PDQ,quality\n" + rows, encoding="utf-8")
    content = read(tmp_path / "hashes.csv", bits=256)
    assert content.codes.tobytes() == CODES.tobytes()
    assert (content.ids, content.metadata) == (["0", "1", "2", "3"], {"source": ["news"] * 4, "quality": [None] * 4})


def test_the_number_of_a_line_is_that_of_the_file(tmp_path):
    (tmp_path / "hashes.csv").write_text(f'hash,id\n\n{HEX[0]},"two\nlines"\n{HEX[1][:-1]}g,b\n')
    with pytest.raises(ValueError, match=r"hashes\.csv:5: expected 64 hexadecimal digits, got '[0-9a-f]{63}g'"):
        read(tmp_path / "hashes.csv")


BAD = {
    "no digits": (f"{HEX[0]}\nno hash\n", ":2: expected 64 hexadecimal digits, got 'no hash'"),
    "63 digits": (f"{HEX[0]}\n{HEX[1][1:]}\n", ":2: expected 64 hexadecimal digits, got"),
    "65 digits": (f"{HEX[0]}\n{HEX[1]}0\n", ":2: expected 64 hexadecimal digits, got"),
    "digits of another script": (f"{HEX[0]}\n" + "\N{ARABIC-INDIC DIGIT ONE}" * 64, ":2: expected 64 hexadecimal"),
    "text": ("these are no hashes\n", ":1: expected 64 hexadecimal digits, or names of columns"),
    "no column of hashes": ("id,quality\na,1\n", ":1: expected 64 hexadecimal digits, or names of columns"),
    "a name that comes twice": (f"hash,pdq\n{HEX[0]},{HEX[0]}\n", ":1: expected different names of columns"),
    "more fields": (f"{HEX[0]}\n{HEX[1]},7\n", ":2: expected 1 fields, got 2"),
    "fewer fields": (f"hash,id\n{HEX[1]}\n", ":2: expected 2 fields, got 1"),
    "unknown columns without a header": (f"a,{HEX[0]}\n", ":1: expected a first line with names of columns"),
    "a quality that is none": (f"{HEX[0]},good\n", ":1: expected a whole number as quality, got 'good'"),
    "a quality beyond 64 bits": (f"{HEX[0]},{'9' * 30}\n", ":1: expected a whole number as quality, got '999"),
    "an id that comes twice": (f"hash,id\n{HEX[0]},a\n{HEX[1]},a\n", ": ids: expected different ids, got 'a' twice"),
    "a strange name": (f"hash,a b\n{HEX[0]},1\n", ": metadata: expected names of letters"),
}


@pytest.mark.parametrize("what", BAD)
def test_lines_that_are_no_hashes_leave_no_index(tmp_path, what):
    content, says = BAD[what]
    (tmp_path / "bad.txt").write_text(content)
    with pytest.raises(ValueError, match=rf"bad\.txt{says}"):
        read(tmp_path / "bad.txt").create(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


def test_an_id_that_comes_twice_is_found_across_ranges(tmp_path, monkeypatch):
    monkeypatch.setattr(pdq, "ROWS", 2)
    (tmp_path / "bad.txt").write_text("hash,id\n" + "".join(f"{HEX[n]},{'abca'[n]}\n" for n in range(4)))
    with pytest.raises(ValueError, match=r"bad\.txt: ids: expected new ids, got 'a' twice"):
        read(tmp_path / "bad.txt").create(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01" * 90, HEX[0].encode() + b'\n"' + b"x" * 200_000, b'"a"b\n'])
def test_files_that_are_no_text_are_refused(tmp_path, content):
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(VtsearchError, match=r"bad\.txt:\d+: expected text in CSV"):
        read(tmp_path / "bad.txt")


def test_an_empty_list_is_an_empty_index(tmp_path, make_index, exchanged):
    assert len(exchanged(make_index(0, 256), "no.pdq")) == 0


def test_codes_of_another_length_are_refused(make_index, tmp_path):
    with pytest.raises(ValueError, match="index: expected codes of 256 bits for PDQ, got 64"):
        export(make_index(4), tmp_path / "hashes.pdq")
    (tmp_path / "hashes.txt").write_text(HEX[0])
    with pytest.raises(ValueError, match=r"bits: expected 256 as in .*, got 64"):
        read(tmp_path / "hashes.txt", bits=64)
    with pytest.raises(ValueError, match="ids: expected Unicode text"):
        export(make_index(2, 256, ids=["a", "\udcff"], name="other"), tmp_path / "bad.pdq")
    assert not (tmp_path / "hashes.pdq").exists()
    assert not (tmp_path / "bad.pdq").exists()
