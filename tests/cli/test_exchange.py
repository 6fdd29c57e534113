"""``vtsearch export`` and ``vtsearch import``: from a folder to a file and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vtsearch.cli import main
from vtsearch.index import Index

CODES = np.random.default_rng(0).integers(0, 256, (9, 8), dtype=np.uint8)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Index.create("index", 64) as index:
        index.add(CODES, [f"{i}.jpg" for i in range(9)], np.arange(9), {"size": range(9)})
    return tmp_path


def printed(capsys, *argv):
    assert main([*map(str, argv)]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_an_index_goes_through_parquet(place, capsys):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'vtsearch[parquet]'")
    assert printed(capsys, "export", "index", "a.parquet") == ("a.parquet: 9 codes of 64 bits (parquet)\n", "")
    out, err = printed(capsys, "import", "a.parquet", "--output", "copy")
    assert (out, err) == ("copy: 9 codes of 64 bits; labels: one per item; metadata: size\n", "")
    with Index.open("index") as one, Index.open("copy") as two:
        assert two.codes().tobytes() == one.codes().tobytes()
        assert (two.ids(), two.metadata()) == (one.ids(), one.metadata())


def test_what_is_left_out_is_a_warning(place, capsys):
    out, err = printed(capsys, "export", "index", "a.bin", "--to", "binary")
    assert out == "a.bin: 9 codes of 64 bits (binary)\n"
    assert err == "vtsearch export: warning: binary has no place for ids, labels, metadata; left out\n"
    out, err = printed(capsys, "import", "a.bin", "--from", "binary", "--output", "copy", "--bits", "64")
    assert (out, err) == ("copy: 9 codes of 64 bits; labels: none; metadata: none\n", "")
    assert Index.open("copy").codes().tobytes() == CODES.tobytes()


def test_json_has_all_of_it(place, capsys):
    out, err = printed(capsys, "export", "index", "a.npz", "--json")
    assert err == ""
    assert json.loads(out) == {
        "index": "index",
        "bits": 64,
        "format": "npz",
        "target": "a.npz",
        "items": 9,
        "left_out": ["metadata"],
        "queries": [],
    }
    out, _ = printed(capsys, "import", "a.npz", "--output", "copy", "--codes", "B", "--labels", "labels", "--json")
    assert json.loads(out) == {
        "source": "a.npz",
        "index": "copy",
        "items": 9,
        "bits": 64,
        "labels": "one per item",
        "metadata": [],
        "remarks": [],
    }


def test_exact_zeros_are_a_warning(place, capsys):
    np.save("features.npy", np.array([[0.0, 1.5, -0.2], [0, -1, 1]]))
    out, err = printed(capsys, "import", "features.npy", "--output", "copy")
    assert out.startswith("copy: 2 codes of 3 bits;")
    assert err == (
        "vtsearch import: warning: features.npy: 2 values are exactly 0, which has no sign; they became bit 0\n"
    )


def test_a_target_that_exists_is_replaced_if_asked(place, capsys):
    printed(capsys, "export", "index", "a.npy")
    assert main(["export", "index", "a.npy"]) == 2
    assert "target: expected a new file, got 'a.npy', which exists" in capsys.readouterr().err
    printed(capsys, "export", "index", "a.npy", "--overwrite")


def test_an_output_that_exists_is_kept(place, capsys):
    printed(capsys, "export", "index", "a.npy")
    assert main(["import", "a.npy", "--output", "index"]) == 2
    assert "output: expected a new or empty folder, got index" in capsys.readouterr().err
    assert len(Index.open("index")) == 9


def test_codes_are_imported_into_an_index_that_exists(place, capsys):
    printed(capsys, "export", "index", "a.npz")
    assert main(["import", "a.npz", "--output", "index", "--into", "add"]) == 2
    assert "ids: expected new ids, got '0.jpg'" in capsys.readouterr().err
    with Index.open("index") as index:
        index.remove(["3.jpg"])
    out, _ = printed(capsys, "import", "a.npz", "--output", "index", "--into", "upsert")
    assert out.startswith("index: 9 codes of 64 bits; ")
    with Index.open("index") as index:
        assert sorted(index.ids()) == [f"{i}.jpg" for i in range(9)]
        assert index.codes().tobytes() == CODES.tobytes()
    assert main(["import", "a.npz", "--output", "nowhere", "--into", "add"]) == 2
    assert "no such index" in capsys.readouterr().err


def test_items_of_other_classes_are_not_mixed(place, capsys):
    for name, classes in (("cats", ["cat"]), ("dogs", ["dog"])):
        with Index.create(name, 64, classes=classes) as index:
            index.add(CODES[:1], [name], [0])
    printed(capsys, "export", "dogs", "dogs.npz")
    assert main(["import", "dogs.npz", "--output", "cats", "--into", "add"]) == 2
    assert "expected the classes of cats (cat), got dog" in capsys.readouterr().err


def test_items_without_ids_replace_none(place, capsys):
    np.save("a.npy", CODES)
    assert main(["import", "a.npy", "--output", "index", "--into", "upsert"]) == 2
    assert "replace: expected items with ids" in capsys.readouterr().err
