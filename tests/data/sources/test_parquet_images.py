"""Images in Parquet files: the column, rows by group, labels, and what other files raise."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle

import numpy as np
import pyarrow as pa
import pytest
from container_files import encoded, write_parquet
from pyarrow import parquet

from vtsearch.data.selection import select_images
from vtsearch.data.sources import parquet_images
from vtsearch.data.sources.file_facts import file_facts, stamp
from vtsearch.data.sources.image_source import EncodedSource
from vtsearch.data.sources.manifest import ManifestSource
from vtsearch.data.sources.parquet_file import ImageTable
from vtsearch.data.sources.parquet_images import ParquetImages
from vtsearch.errors import VtsearchError

IMAGES = [encoded(number) for number in range(10)]


@pytest.mark.parametrize("form", ["struct", "binary", "large"])
def test_every_row_of_every_file(tmp_path, form):
    write_parquet(tmp_path / "a.parquet", IMAGES[:6], form=form)
    write_parquet(tmp_path / "sub/b.parquet", IMAGES[6:], form=form, rows=3)
    source = ParquetImages(tmp_path, ["a.parquet", "sub/b.parquet"])
    names = [f"a.parquet/{row}" for row in range(6)] + [f"sub/b.parquet/{row}" for row in range(4)]
    assert [source.id(position) for position in range(len(source))] == names
    order = [9, 0, 4, 3, 8, 1, 7, 2, 6, 5]
    assert [source.read(position) for position in order] == [IMAGES[position] for position in order]
    assert source.load(3).size == (24, 20)
    assert (source.classes, source.labels.tolist(), source.remarks) == ((), [0] * 10, ())
    assert isinstance(source, EncodedSource)


def test_a_row_group_is_read_once_for_its_rows(tmp_path, monkeypatch):
    write_parquet(tmp_path / "a.parquet", IMAGES, rows=4)
    read, original = [], ImageTable.read_group
    monkeypatch.setattr(
        ImageTable, "read_group", lambda self, file, number: read.append(number) or original(self, file, number)
    )
    source = ParquetImages(tmp_path, ["a.parquet"])
    assert read == []
    for position in range(10):
        source.read(position)
    assert read == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "names", "numbers", "classes"),
    [
        ([1, 0, 1], ["cat", "dog", "owl"], [1, 0, 1], ("cat", "dog", "owl")),
        ([9, 4, 9], None, [1, 0, 1], ("4", "9")),
        (["dog", "cat", "dog"], None, [1, 0, 1], ("cat", "dog")),
        (pa.array(["dog", "cat", "dog"]).dictionary_encode(), None, [1, 0, 1], ("cat", "dog")),
    ],
)
def test_labels(tmp_path, labels, names, numbers, classes):
    write_parquet(tmp_path / "a.parquet", IMAGES[:3], labels, names=names)
    source = ParquetImages(tmp_path, ["a.parquet"])
    assert (source.labels.tolist(), source.classes) == (numbers, classes)
    assert select_images([str(tmp_path / "a.parquet")]).labelled


@pytest.mark.parametrize("labels", [[0, None, 1], [0, -1, 1], ["cat", "", "dog"]])
def test_no_labels_unless_every_row_has_one(tmp_path, labels):
    write_parquet(tmp_path / "a.parquet", IMAGES[:3], labels)
    images = select_images([str(tmp_path / "a.parquet")])
    assert not images.labelled
    file = tmp_path / "a.parquet"
    assert images.remarks == (f"{file}: 1 of 3 rows have no label: all are taken, without labels",)


def test_labels_of_another_kind_are_remarked_on(tmp_path):
    write_parquet(tmp_path / "a.parquet", IMAGES[:2], [[0], [1, 2]])
    (remark,) = ParquetImages(tmp_path, ["a.parquet"]).remarks
    assert "label: expected numbers or names, got list" in remark


def test_other_classes_and_numbers_without_a_name_are_refused(tmp_path):
    write_parquet(tmp_path / "a.parquet", IMAGES[:2], [0, 1], names=["cat", "dog"])
    write_parquet(tmp_path / "b.parquet", IMAGES[:2], [0, 1], names=["dog", "cat"])
    write_parquet(tmp_path / "c.parquet", IMAGES[:2], [0, 2], names=["cat", "dog"])
    with pytest.raises(ValueError, match=r"b\.parquet: label: expected the classes of .*a\.parquet, got others"):
        ParquetImages(tmp_path, ["a.parquet", "b.parquet"])
    with pytest.raises(ValueError, match=r"c\.parquet: label: expected 0 to 1, got 2"):
        ParquetImages(tmp_path, ["c.parquet"])


def test_metadata_of_another_form_name_no_classes(tmp_path):
    table = pa.table({"image": pa.array(IMAGES[:2], pa.binary()), "label": [3, 5]})
    for text in ("no json", "[]", '{"info": {"features": {"label": {"names": [1]}}}}'):
        parquet.write_table(table.replace_schema_metadata({"huggingface": text}), tmp_path / "a.parquet")
        assert ParquetImages(tmp_path, ["a.parquet"]).classes == ("3", "5")


def test_the_column_of_images(tmp_path):
    def columns(*names):
        parquet.write_table(
            pa.table({name: pa.array(IMAGES[:1], pa.binary()) for name in names}), tmp_path / "a.parquet"
        )
        return ParquetImages(tmp_path, ["a.parquet"])._tables[0].column

    assert columns("x") == "x"
    assert columns("hash", "image") == "image"
    with pytest.raises(ValueError, match=r"expected one column of images, or one that is called image; got x, y"):
        columns("x", "y")
    write_parquet(tmp_path / "a.parquet", IMAGES[:1], image=pa.array([b"hash"], pa.binary()))
    assert ParquetImages(tmp_path, ["a.parquet"])._tables[0].column == "img.bytes"


def test_a_file_without_such_a_column_is_refused(tmp_path):
    parquet.write_table(pa.table({"text": ["a"], "number": [1]}), tmp_path / "a.parquet")
    wanted = r"a\.parquet: expected a column of images .*; got text \(string\), number \(int64\)"
    with pytest.raises(ValueError, match=wanted):
        ParquetImages(tmp_path, ["a.parquet"])


def test_a_table_of_paths_stays_a_table_of_paths(tmp_path):
    (tmp_path / "1.png").write_bytes(IMAGES[0])
    table = pa.table({"path": ["1.png"], "label": ["cat"], "embedding": pa.array([b"abc"], pa.binary())})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert isinstance(select_images([str(tmp_path / "a.parquet")]).source, ManifestSource)


def test_what_is_no_parquet_file_is_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and so on")
    for select in (lambda name: ParquetImages(tmp_path, [name]), lambda name: select_images([str(tmp_path / name)])):
        with pytest.raises(VtsearchError, match=r"a\.parquet: expected a Parquet file, whole and undamaged"):
            select("a.parquet")
    with pytest.raises(FileNotFoundError):
        ParquetImages(tmp_path, ["b.parquet"])
    write_parquet(tmp_path / "c.parquet", [])
    with pytest.raises(ValueError, match=r"images: expected rows in c\.parquet, got none"):
        ParquetImages(tmp_path, ["c.parquet"])


def test_a_damaged_row_group_is_a_fault_of_its_rows(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", IMAGES, rows=5)
    content = bytearray(path.read_bytes())
    start = parquet.read_metadata(path).row_group(1).column(0).data_page_offset
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    source = ParquetImages(tmp_path, ["a.parquet"])
    assert source.read(4) == IMAGES[4]
    with pytest.raises(VtsearchError, match=r"a\.parquet: expected a Parquet file, whole and undamaged"):
        source.read(5)


def test_a_file_that_changed_meanwhile_is_not_read(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", IMAGES)
    source = ParquetImages(tmp_path, ["a.parquet"])
    os.utime(path, ns=(1, 1))
    with pytest.raises(VtsearchError, match=r"a\.parquet has changed since its rows were counted"):
        source.read(0)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        source.read(0)


def test_facts_are_those_of_the_image_and_the_time_of_the_file(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", IMAGES)
    source = ParquetImages(tmp_path, ["a.parquet"])
    found, size = stamp(source, 7), path.stat().st_size
    assert found == (None, path.stat().st_mtime_ns, f"7/{size}")
    assert file_facts(source, 7) == (found, len(IMAGES[7]), hashlib.sha256(IMAGES[7]).hexdigest(), 24, 20, None)


def test_an_image_of_too_many_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_images, "MOST_BYTES", 10)
    write_parquet(tmp_path / "a.parquet", IMAGES)
    with pytest.raises(VtsearchError, match=r"a\.parquet/3: expected at most 10 bytes, got"):
        ParquetImages(tmp_path, ["a.parquet"]).load(3)


def _content(source, position):
    return source.read(position)


def test_other_processes_read_it_too(tmp_path):
    write_parquet(tmp_path / "a.parquet", IMAGES)
    source = ParquetImages(tmp_path, ["a.parquet"])
    assert source.read(1) == IMAGES[1]
    again = pickle.loads(pickle.dumps(source))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_content, (again, 7)) == IMAGES[7]


def test_a_folder_of_shards(tmp_path):
    write_parquet(tmp_path / "data/b.parquet", IMAGES[:2])
    write_parquet(tmp_path / "data/a.parquet", IMAGES[2:4])
    write_parquet(tmp_path / "data/.hidden.parquet", IMAGES[2:4])
    (tmp_path / "data/README.md").write_text("words")
    images = select_images([str(tmp_path / "data")])
    assert np.array_equal(images.positions, np.arange(4))
    assert images.source.id(0) == "a.parquet/0"
    assert images.remarks == (f"{tmp_path / 'data'}: left out: 1 files: 1 .md",)
    (tmp_path / "data/x.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected \.tar or \.parquet files in .*data, got both"):
        select_images([str(tmp_path / "data")])
