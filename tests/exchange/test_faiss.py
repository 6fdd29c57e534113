"""FAISS: files of its flat binary index, with and without ids; its answers and ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exchange_fixtures import STRANGE_IDS, assert_equal_answers, assert_equal_content, random_codes

from vtsearch.codes import pack
from vtsearch.errors import VtsearchError
from vtsearch.exchange import export, read

faiss = pytest.importorskip("faiss", reason="needs faiss: pip install 'vtsearch[faiss]'")


def through_faiss(path, queries, k):
    distances, ids = faiss.read_index_binary(str(path)).search(queries, k)
    return [list(zip(*map(np.ndarray.tolist, row), strict=True)) for row in zip(distances, ids, strict=True)]


@pytest.mark.parametrize("bits", [8, 12, 64, 100, 256])
@pytest.mark.parametrize("ids", [None, "numbers", "names"])
def test_a_round_trip_keeps_codes_and_ids(make_index, exchanged, bits, ids):
    names = {"numbers": [str(7 * i) for i in range(50)], "names": STRANGE_IDS + [f"{i}.jpg" for i in range(40)]}
    index = make_index(50, bits, ids=names.get(ids))
    assert_equal_content(index, exchanged(index, "codes.faiss", bits=bits))


def test_the_kind_of_file_follows_from_the_ids(make_index, tmp_path):
    kinds = {"positions": faiss.IndexBinaryFlat, "numbers": faiss.IndexBinaryIDMap2, "names": faiss.IndexBinaryFlat}
    given = {"positions": [str(i) for i in range(9)], "numbers": [str(2**63 - 1 - i) for i in range(9)]}
    given["names"] = ["-1", *map(str, range(8))]
    for name, ids in given.items():
        export(make_index(9, ids=ids, name=name), tmp_path / f"{name}.faiss")
        assert type(faiss.read_index_binary(str(tmp_path / f"{name}.faiss"))) is kinds[name]
    assert (tmp_path / "names.faiss.ids.jsonl").read_text() == "".join(f"{json.dumps(x)}\n" for x in given["names"])
    assert not list(tmp_path.glob("[!n]*.jsonl"))


@pytest.mark.parametrize("number", [str(2**63), "-1", "01", "1.0", " 1", "\N{ARABIC-INDIC DIGIT ONE}", "1" * 40])
def test_ids_that_faiss_cannot_hold_stand_beside_the_file(make_index, exchanged, tmp_path, number):
    index = make_index(3, ids=["5", number, "6"])
    assert exchanged(index, "codes.faiss").ids() == ["5", number, "6"]
    assert (tmp_path / "codes.faiss.ids.jsonl").exists()


@pytest.mark.parametrize("bits", [16, 64, 128])
def test_faiss_gives_our_distances_and_items(make_index, tmp_path, bits):
    index = make_index(200, bits, ids=[str(3 * i) for i in range(200)])
    export(index, tmp_path / "codes.faiss")
    queries = random_codes(10, bits, seed=2)
    answers = index.search(queries, 20)
    for found, distances, ids in zip(
        through_faiss(tmp_path / "codes.faiss", queries, 20), answers.distances, answers.ids, strict=True
    ):
        assert_equal_answers(found, list(zip(distances.tolist(), map(int, ids), strict=True)))


def test_queries_that_faiss_packs_are_other_codes():
    """What the documentation says of its packers."""

    def real_to_binary(features):
        packed = np.zeros((len(features), 8), np.uint8)
        faiss.real_to_binary(features.size, faiss.swig_ptr(features), faiss.swig_ptr(packed))
        return packed

    def fvecs2bitvecs(features):
        packed = np.zeros((len(features), 8), np.uint8)
        faiss.fvecs2bitvecs(faiss.swig_ptr(features), faiss.swig_ptr(packed), 64, len(features))
        return packed

    features = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
    for packer in (real_to_binary, fvecs2bitvecs):
        assert (packer(features) == pack(features, bitorder="little")).all()
        assert (packer(features) != pack(features)).any()
    zeros = np.zeros((1, 64), np.float32)
    assert fvecs2bitvecs(zeros).tolist() == [[255] * 8]
    assert real_to_binary(zeros).tolist() == pack(zeros).tolist() == [[0] * 8]


def test_a_file_of_faiss_itself_is_read(tmp_path):
    codes = random_codes(30, 64)
    for kind, ids in ((faiss.IndexBinaryIDMap, [str(i + 5) for i in range(30)]), (None, None)):
        built = faiss.IndexBinaryFlat(64)
        if kind is None:
            built.add(codes)
        else:
            built = kind(built)
            built.add_with_ids(codes, np.arange(5, 35))
        faiss.write_index_binary(built, str(tmp_path / "own.index"))
        content = read(tmp_path / "own.index")
        assert (content.bits, content.ids) == (64, ids)
        assert content.codes.tobytes() == codes.tobytes()


def test_an_empty_index_and_no_items(make_index, exchanged):
    assert_equal_content(make_index(0), exchanged(make_index(0, name="other"), "codes.faiss"))


def test_what_faiss_has_no_place_for_is_named(make_index, tmp_path):
    index = make_index(9, labels="single", metadata=True, fingerprints={"model": "a" * 64}, classes=["cat"])
    assert export(index, tmp_path / "codes.faiss").left_out == ("labels", "metadata", "fingerprints", "classes")
    assert export(make_index(9, name="bare"), tmp_path / "bare.faiss").left_out == ()


def test_a_stale_file_of_ids_goes_with_the_file_that_it_belonged_to(make_index, tmp_path):
    export(make_index(3, ids=list("abc")), tmp_path / "codes.faiss")
    export(make_index(3, name="other"), tmp_path / "codes.faiss", overwrite=True)
    assert read(tmp_path / "codes.faiss").ids is None
    assert sorted(path.name for path in tmp_path.glob("*faiss*")) == ["codes.faiss"]


def test_the_two_files_appear_both_or_not_at_all(make_index, tmp_path, monkeypatch):
    index, path = make_index(3, ids=list("abc")), tmp_path / "codes.faiss"
    (tmp_path / "codes.faiss.ids.jsonl").write_text("mine")
    with pytest.raises(FileExistsError):
        export(index, path)
    assert (tmp_path / "codes.faiss.ids.jsonl").read_text() == "mine"
    (tmp_path / "codes.faiss.ids.jsonl").unlink()
    write = faiss.write_index_binary

    def write_later(built, name):
        path.write_text("mine")
        write(built, name)

    monkeypatch.setattr(faiss, "write_index_binary", write_later)
    with pytest.raises(FileExistsError):
        export(index, path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["codes.faiss", "source"]
    export(index, path, overwrite=True)
    assert read(path).ids == ["a", "b", "c"]


def damaged(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[:-1])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "longer":
        path.write_bytes(content + b"0")
    elif how == "exabytes":
        path.write_bytes(content[:12] + (2**60).to_bytes(8, "little") + content[20:])
    elif how == "negative":
        path.write_bytes(content[:12] + b"\xff" * 8 + content[20:])
    elif how == "another width":
        path.write_bytes(content[:8] + b"\4\0\0\0" + content[12:])
    elif how == "a float index":
        faiss.write_index(faiss.IndexFlatL2(8), str(path))
    elif how == "an HNSW index":
        faiss.write_index_binary(faiss.IndexBinaryHNSW(64), str(path))
    else:
        path.write_bytes(how.encode() * 100)


@pytest.mark.parametrize("ids", [None, list("123456789")])
@pytest.mark.parametrize(
    "how",
    ["truncated", "empty", "longer", "exabytes", "negative", "another width", "a float index", "an HNSW index", "text"],
)
def test_other_and_damaged_files_are_refused(make_index, tmp_path, how, ids):
    path = tmp_path / "codes.faiss"
    export(make_index(9, ids=ids), path)
    damaged(path, how)
    with pytest.raises(VtsearchError, match=r"codes\.faiss: expected"):
        read(path)


def test_a_map_of_something_else_and_counts_that_disagree_are_refused(make_index, tmp_path):
    path = tmp_path / "codes.faiss"
    export(make_index(9, ids=list("123456789")), path)
    content = path.read_bytes()
    ends = len(content) - 9 * 8 - 8
    path.write_bytes(content[:ends] + (8).to_bytes(8, "little") + content[ends + 8 :])
    with pytest.raises(VtsearchError, match=r"codes\.faiss: expected"):
        read(path)
    path.write_bytes(content.replace(b"IBxF", b"IBwF"))
    with pytest.raises(VtsearchError, match=r"codes\.faiss: expected an IndexBinaryFlat"):
        read(path)


def test_ids_that_come_twice_leave_no_index(tmp_path):
    built = faiss.IndexBinaryIDMap2(faiss.IndexBinaryFlat(64))
    built.add_with_ids(random_codes(2, 64), np.array([7, 7]))
    faiss.write_index_binary(built, str(tmp_path / "twice.faiss"))
    with pytest.raises(ValueError, match=r"twice\.faiss: ids: expected different ids, got '7' twice"):
        read(tmp_path / "twice.faiss").create(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["twice.faiss"]


@pytest.mark.parametrize("lines", ['"a"\n', '"a"\n"b"\n3\n', "{", '"a"\n"b"\n"c"\n"d"\n', "[" * 5000])
def test_a_file_of_ids_that_does_not_fit_is_refused(make_index, tmp_path, lines):
    export(make_index(3, ids=list("abc")), tmp_path / "codes.faiss")
    (tmp_path / "codes.faiss.ids.jsonl").write_text(lines)
    with pytest.raises(VtsearchError, match=r"codes\.faiss\.ids\.jsonl: expected"):
        read(tmp_path / "codes.faiss")


def test_another_length_is_refused(make_index, tmp_path):
    export(make_index(9, 16), tmp_path / "codes.faiss")
    with pytest.raises(ValueError, match=r"codes\.faiss: codes: expected 3 bytes for 17 bits, got 2"):
        read(tmp_path / "codes.faiss", bits=17)
    with pytest.raises(ValueError, match=r"codes\.faiss: codes: expected 0 in the bits after bit 8"):
        read(tmp_path / "codes.faiss", bits=9)


def test_a_file_that_faiss_cannot_write_leaves_nothing(make_index, tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("write error in x: 0 != 8 (No space left on device)\nmore")

    monkeypatch.setattr(faiss, "write_index_binary", full)
    with pytest.raises(OSError, match="No space left on device"):
        export(make_index(9), tmp_path / "codes.faiss")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    assert Path(tmp_path / "source").is_dir()
