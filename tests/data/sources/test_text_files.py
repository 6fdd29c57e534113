"""Lists and tables in the encodings that programs write."""

from __future__ import annotations

import pytest
from dataset_fixtures import save_image

from vtsearch.data import open_image_list, open_manifest
from vtsearch.data.sources.text_files import read_lines, read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_are_understood(tmp_path, encoding, end):
    (tmp_path / "list.txt").write_bytes(f"é 1{end}x\u2028y 0{end}".encode(encoding))
    assert read_lines(tmp_path / "list.txt") == ["é 1", "x\u2028y 0"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_and_tables_with_a_mark_open(tmp_path, encoding):
    save_image(tmp_path / "é.png", 0)
    (tmp_path / "list.txt").write_bytes("é.png 0\n".encode(encoding))
    (tmp_path / "table.csv").write_bytes("path,label\r\né.png,x\r\n".encode(encoding))
    assert open_image_list(tmp_path / "list.txt").id(0) == "é.png"
    assert open_manifest(tmp_path / "table.csv").classes == ("x",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a.png 0\né.png 1\n".encode("cp1252"),
            r"list.txt:2: expected text in UTF-8, got byte 0xe9; store",
        ),
        ("a 0\n".encode("utf-16-le"), r"list.txt: expected text, got null characters \(UTF-16 without a byte-order"),
        ("a 0\n".encode("utf-16")[:-1], r"list.txt:1: expected text in UTF-16, got byte 0x0a"),
    ],
)
def test_other_encodings_are_named_with_file_and_line(tmp_path, content, message):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_text(tmp_path / "list.txt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        read_text(tmp_path / "none.txt")
