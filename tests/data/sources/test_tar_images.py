"""Images in tar files: names, bytes, labels, and what damaged files raise."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import pickle
import tarfile

import numpy as np
import pytest
from container_files import encoded, sample, write_tar
from PIL import Image

from vtsearch.data.sources.file_facts import columns_of, file_facts, stamp
from vtsearch.data.sources.image_source import EncodedSource, FileSource
from vtsearch.data.sources.tar_images import TarImages
from vtsearch.errors import VtsearchError


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_every_image_of_every_shard_in_their_order(tmp_path):
    write_tar(tmp_path / "a.tar", sample(2) | sample(1) | {"0001.json": b"{}"})
    write_tar(
        tmp_path / "sub/b.tar", {"./deep/3.PNG": encoded(3), "4.jpg": encoded(4, "jpeg")}, format=tarfile.GNU_FORMAT
    )
    source = TarImages(tmp_path, ["a.tar", "sub/b.tar"])
    wanted = ["a.tar/0002.png", "a.tar/0001.png", "sub/b.tar/deep/3.PNG", "sub/b.tar/4.jpg"]
    assert [source.id(position) for position in range(len(source))] == wanted
    assert [source.read(position) for position in range(3)] == [encoded(2), encoded(1), encoded(3)]
    assert np.array_equal(np.asarray(source.load(1)), pixels(encoded(1)))
    assert (source.classes, source.labels.tolist()) == ((), [0, 0, 0, 0])
    assert source.remarks == (
        f"{tmp_path}: left out what is not an image of a kind that is read here: 1 files: 1 .json",
    )
    assert isinstance(source, EncodedSource)
    assert not isinstance(source, FileSource)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names(tmp_path, form):
    name = f"{'long/' * 18}größe.png"
    write_tar(tmp_path / "a.tar", {name: encoded(1)}, format=form)
    source = TarImages(tmp_path, ["a.tar"])
    assert source.id(0) == f"a.tar/{name}"
    assert source.read(0) == encoded(1)


@pytest.mark.parametrize(
    ("labels", "numbers", "classes"),
    [([7, 0, 7], [1, 0, 1], ("0", "7")), (["dog", "cat\n", "dog"], [1, 0, 1], ("cat", "dog"))],
)
def test_labels_are_numbers_or_names(tmp_path, labels, numbers, classes):
    write_tar(tmp_path / "a.tar", sample(0, labels[0]) | sample(1, labels[1]))
    write_tar(
        tmp_path / "b.tar", {"2.cls": labels[2].encode() if labels[2] == "dog" else b"7", "2.seg.png": encoded(2)}
    )
    source = TarImages(tmp_path, ["a.tar", "b.tar"])
    assert source.labels.tolist() == numbers
    assert source.classes == classes


def test_no_labels_unless_every_image_has_one(tmp_path):
    write_tar(tmp_path / "a.tar", sample(0, "cat") | sample(1) | sample(2, "nan"))
    source = TarImages(tmp_path, ["a.tar"])
    assert source.classes == ()
    assert source.remarks == (f"{tmp_path}: 2 of 3 images have no class (.cls): all are taken, without labels",)


@pytest.mark.parametrize("label", [b"\xff", b"cat\ndog", b"", b"x" * 5_000])
def test_a_class_that_is_no_line_of_text_is_refused(tmp_path, label):
    write_tar(tmp_path / "a.tar", {"1.png": encoded(1), "1.cls": label})
    with pytest.raises(VtsearchError, match=r"a\.tar: 1\.cls: expected the number or name of a class"):
        TarImages(tmp_path, ["a.tar"])


def test_links_hidden_and_special_members_are_left_out(tmp_path):
    write_tar(tmp_path / "a.tar", {"1.png": encoded(1), "._1.png": b"mac"})
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo(f"{kind}.png")
            member.type, member.linkname = kind, "1.png"
            tar.addfile(member)
    source = TarImages(tmp_path, ["a.tar"])
    assert len(source) == 1
    assert source.remarks[0].endswith("4 files: 3 link or special member, 1 hidden image")


@pytest.mark.parametrize(("mode", "program"), [("w:gz", "gzip"), ("w:bz2", "bzip2"), ("w:xz", "xz")])
def test_a_compressed_tar_is_refused_with_the_reason(tmp_path, mode, program):
    write_tar(tmp_path / "a.tar", sample(1), mode=mode)
    with pytest.raises(VtsearchError, match=rf"a\.tar: expected a tar that is not compressed, got {program}: .*places"):
        TarImages(tmp_path, ["a.tar"])


@pytest.mark.parametrize("content", [b"", b"<html>" * 200, bytes(range(256)) * 8])
def test_what_is_no_tar_is_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(VtsearchError, match=r"a\.tar: expected a tar file, whole and undamaged"):
        TarImages(tmp_path, ["a.tar"])
    with pytest.raises(FileNotFoundError):
        TarImages(tmp_path, ["b.tar"])


def test_a_tar_that_was_cut_off_is_refused_or_remarked_on(tmp_path):
    whole = write_tar(tmp_path / "a.tar", {f"{number}.png": encoded(number) for number in range(3)}).read_bytes()
    last = TarImages(tmp_path, ["a.tar"])._items[2][1]
    between = last.offset - 512
    for length in (last.offset + 700, last.offset, last.offset - 100, between + 1):
        (tmp_path / "a.tar").write_bytes(whole[:length])
        with pytest.raises(VtsearchError, match=r"a\.tar: expected a tar file, whole and undamaged"):
            TarImages(tmp_path, ["a.tar"])
    (tmp_path / "a.tar").write_bytes(whole[:between])
    source = TarImages(tmp_path, ["a.tar"])
    assert len(source) == 2
    assert source.remarks == (f"{tmp_path / 'a.tar'}: the mark of its end is missing: it may have been cut off",)


def test_a_damaged_header_is_refused(tmp_path):
    path = write_tar(tmp_path / "a.tar", {f"{number}.png": encoded(number) for number in range(3)})
    content = bytearray(path.read_bytes())
    content[TarImages(tmp_path, ["a.tar"])._items[1][1].offset - 400] ^= 1
    path.write_bytes(content)
    with pytest.raises(VtsearchError, match="no member begins at byte"):
        TarImages(tmp_path, ["a.tar"])


def test_a_tar_without_images_is_refused(tmp_path):
    write_tar(tmp_path / "a.tar", {"a.txt": b"a"})
    with pytest.raises(ValueError, match=r"images: expected images in a\.tar, got none; .*1 \.txt"):
        TarImages(tmp_path, ["a.tar"])


def test_a_member_that_is_no_image_is_refused_by_name(tmp_path):
    write_tar(tmp_path / "a.tar", {"1.png": b"text", "2.png": encoded(2)[:300]})
    source = TarImages(tmp_path, ["a.tar"])
    with pytest.raises(VtsearchError, match=r"cannot read image a\.tar/1\.png: not an image"):
        source.load(0)
    with pytest.raises(VtsearchError, match=r"cannot read image a\.tar/2\.png: image file is truncated"):
        source.load(1)


def test_a_tar_that_changed_meanwhile_is_not_read_at_the_old_places(tmp_path):
    path = write_tar(tmp_path / "a.tar", sample(1) | sample(2))
    source = TarImages(tmp_path, ["a.tar"])
    write_tar(path, sample(2) | sample(1))
    os.utime(path, ns=(1, 1))
    with pytest.raises(VtsearchError, match=r"a\.tar has changed since its members were listed; run the command again"):
        source.load(0)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        source.load(0)


def test_facts_are_those_of_the_member_and_the_time_of_the_tar(tmp_path):
    path = write_tar(tmp_path / "a.tar", sample(1) | sample(2))
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    source, content = TarImages(tmp_path, ["a.tar"]), encoded(2)
    found = stamp(source, 1)
    facts = file_facts(source, 1)
    start, size = map(int, found.place.split("/"))
    assert path.read_bytes()[start : start + found.size] == content
    assert size == path.stat().st_size
    assert facts == (found, len(content), hashlib.sha256(content).hexdigest(), 24, 20, None)
    columns = columns_of([facts, None])
    assert columns["modified"] == ["2023-11-14 22:13:20.123456789", None]
    assert columns["place"] == [found.place, None]
    path.unlink()
    assert file_facts(source, 1) is None


def _content(source, position):
    return source.read(position)


def test_other_processes_read_it_too(tmp_path):
    write_tar(tmp_path / "a.tar", sample(1) | sample(2))
    source = pickle.loads(pickle.dumps(TarImages(tmp_path, ["a.tar"])))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_content, (source, 1)) == encoded(2)
