"""What holds for every format: names choose it, targets appear whole, what is left out is named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from exchange_fixtures import random_codes

import vtsearch
from vtsearch._atomic_io import writer_lock
from vtsearch.cli import main
from vtsearch.errors import VtsearchError, extra_of
from vtsearch.exchange import FORMATS, content, export, items, read
from vtsearch.exchange.formats import FormatName, format_name
from vtsearch.index import Index

ROOT = Path(__file__).parents[2]
FILES = {"faiss": ".faiss", "parquet": ".parquet", "npz": ".npz", "mat": ".mat", "npy": ".npy", "pdq": ".pdq"}
PACKAGES = {"faiss": "faiss", "parquet": "pyarrow", "mat": "scipy", "postgres": "psycopg"}


def needed(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason=f"needs {PACKAGES[name]}: pip install 'vtsearch[{name}]'")


def test_the_table_names_every_format_once():
    assert get_args(FormatName) == tuple(FORMATS)
    names = [ending for entry in FORMATS.values() for ending in (*entry.endings, *entry.beginnings)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_in_the_documentation_and_its_package_in_an_extra(name):
    page = (ROOT / "docs" / "exchange.md").read_text()
    (row,) = (line for line in page.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1])
    assert all(ending in row for ending in FORMATS[name].endings)
    if name in PACKAGES:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert name in extras
        assert f"vtsearch[{name}]" in row
        assert extra_of(PACKAGES[name]) == name
        assert name in re.findall(r"\w+", extras["exchange"][0])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.faiss", "faiss"),
        ("a.b/c.INDEX", "faiss"),
        ("a.parquet", "parquet"),
        ("postgresql://localhost/a.npz", "npz"),
        ("postgresql://localhost/photos", "postgres"),
        ("postgres://localhost", "postgres"),
        ("a.npz", "npz"),
        ("a.npy", "npy"),
        ("a.mat", "mat"),
        ("hashes.txt", "pdq"),
    ],
)
def test_the_name_tells_the_format(path, name):
    if path.endswith(".npz") and "://" in path:
        name = "postgres"
    assert format_name("target", path, None) == name
    assert format_name("target", path, "binary") == "binary"


@pytest.mark.parametrize("path", ["codes", "codes.xyz", ".faiss.bak", "", "mysql://localhost/photos.x"])
def test_a_name_that_tells_no_format_is_refused(make_index, path):
    with pytest.raises(ValueError, match=r"target: expected a path that ends as \.faiss"):
        export(make_index(2), path)
    with pytest.raises(ValueError, match=r"source: expected a path that ends as \.faiss"):
        read(path)


def test_an_unknown_format_is_refused_with_the_nearest(make_index, tmp_path):
    with pytest.raises(ValueError, match=r"format: expected one of faiss, .*, got 'fais' \(did you mean 'faiss'\?\)"):
        export(make_index(2), tmp_path / "codes", "fais")
    with pytest.raises(ValueError, match="format: expected one of"):
        read(tmp_path / "codes", "")


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.npy", {"table": "t"}), ("a.faiss", {"codes": "c"}), ("a.parquet", {"labels": "l"}), ("a.txt", {"codes": "c"})],
)
def test_options_that_a_format_does_not_take_are_refused(name, options):
    (option,) = options
    with pytest.raises(ValueError, match=rf"{option}: expected none with format \w+, got '\w'"):
        read(name, **options)


def test_a_table_of_a_file_is_refused(make_index, tmp_path):
    with pytest.raises(ValueError, match="table: expected none with format npy, got 't'"):
        export(make_index(2), tmp_path / "codes.npy", table="t")


@pytest.mark.parametrize("bits", [0, -1, 65_529])
def test_a_length_that_no_code_has_is_refused(bits):
    with pytest.raises(ValueError, match="bits: expected at "):
        read("codes.npy", bits=bits)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_exists_is_kept_unless_it_may_be_replaced(make_index, tmp_path, name):
    needed(name)
    path = tmp_path / f"codes{FILES[name]}"
    path.write_text("mine")
    one, two = make_index(9, 256, name="one"), make_index(7, 256, name="two")
    with pytest.raises(
        FileExistsError,
        match=r"target: expected a new file, got .*, which exists; --overwrite \(overwrite=True\) replaces it",
    ):
        export(one, path)
    assert path.read_text() == "mine"
    assert export(one, str(path), overwrite=True).items == 9
    assert export(two, path, overwrite=True) == (name, str(path), 7, (), ())
    assert len(read(path).codes) == 7
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, "one", "two"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_appears_meanwhile_is_kept(make_index, tmp_path, monkeypatch, name):
    needed(name)
    path, index = tmp_path / f"codes{FILES[name]}", make_index(9, 256)
    module = FORMATS[name].load()
    write = module.write

    def write_later(*arguments):
        path.write_text("mine")
        return write(*arguments)

    monkeypatch.setattr(module, "write", write_later)
    with pytest.raises(FileExistsError):
        export(index, path)
    assert path.read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, "source"]


@pytest.mark.parametrize("name", FILES)
def test_places_that_no_file_can_take_are_refused(make_index, tmp_path, name):
    index, ending = make_index(2, 256), FILES[name]
    with pytest.raises(FileNotFoundError, match="target: expected a file in a folder that exists"):
        export(index, tmp_path / "nowhere" / f"codes{ending}")
    (tmp_path / f"folder{ending}").mkdir()
    with pytest.raises(ValueError, match="target: expected the name of a file to write"):
        export(index, tmp_path / f"folder{ending}", overwrite=True)
    (tmp_path / f"link{ending}").symlink_to("nothing")
    with pytest.raises(ValueError, match="target: expected the name of a file to write"):
        export(index, tmp_path / f"link{ending}", overwrite=True)


@pytest.mark.parametrize("name", FILES)
def test_a_source_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read(tmp_path / f"codes{FILES[name]}")


@pytest.mark.parametrize("name", [*FILES, "ubinary", "binary"])
def test_random_bytes_are_refused(tmp_path, name):
    needed(name)
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises((VtsearchError, ValueError), match="noise"):
        read(tmp_path / "noise", name)
    (tmp_path / "noise").write_bytes(b"")
    if name != "pdq":
        with pytest.raises((VtsearchError, ValueError), match="noise"):
            read(tmp_path / "noise", name)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_named_with_its_extra(tmp_path, name):
    ending = FILES.get(name, "")
    source = f"codes{ending}" if ending else "postgresql://127.0.0.1:1/nowhere"
    (tmp_path / f"codes{ending}").write_text("")
    code = f"import sys; sys.modules[{PACKAGES[name]!r}] = None\nfrom vtsearch.exchange import read\nread({source!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"needs {PACKAGES[name]}: pip install 'vtsearch[{name}]'" in done.stderr


def test_no_package_is_imported_before_it_is_used():
    code = (
        "import sys, vtsearch.cli.export, vtsearch.cli.import_\n"
        "print([n for n in ('faiss', 'pyarrow', 'psycopg', 'scipy', 'torch', 'duckdb') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_items_come_in_ranges_and_add_up(make_index, monkeypatch):
    monkeypatch.setattr(items, "ROWS", 7)
    index = make_index(50, 12, labels="multi", metadata=True)
    parts = list(items.items_of(index))
    assert max(len(part.codes) for part in parts) == 7
    joined = items.Items.joined(2, parts)
    assert joined.codes.tobytes() == index.codes().tobytes()
    assert (joined.ids, joined.metadata) == (index.ids(), index.metadata())
    assert joined.labels.tolist() == index.labels().tolist()
    assert items.Items.joined(3, []).codes.shape == (0, 3)
    again = items.Items.joined(2, joined.ranges())
    assert (again.codes.tolist(), again.ids, again.metadata) == (joined.codes.tolist(), joined.ids, joined.metadata)


def test_ids_that_are_positions_are_not_given(make_index):
    assert not items.has_given_ids(make_index(9))
    assert not items.has_given_ids(make_index(0, name="none"))
    assert items.has_given_ids(make_index(3, ids=["0", "1", "3"], name="other"))


class UnfinishedError(Exception):
    pass


def test_an_import_that_ends_early_leaves_nothing(tmp_path):
    def ranges():
        yield items.Items(random_codes(3, 64))
        raise UnfinishedError

    from vtsearch.exchange.facts import Facts

    unfinished = content.Content("source", Facts(64), ranges)
    with pytest.raises(UnfinishedError):
        unfinished.create(tmp_path / "deep" / "new")
    assert [path.name for path in tmp_path.rglob("*")] == ["deep"]


def test_an_import_takes_a_new_or_an_empty_folder_only(make_index, tmp_path):
    export(make_index(3), tmp_path / "codes.npy")
    imported = read(tmp_path / "codes.npy")
    (tmp_path / "empty").mkdir()
    assert imported.create(tmp_path / "empty") == 3
    for name in ("empty", "codes.npy", "source"):
        with pytest.raises(FileExistsError, match="output: expected a new or empty folder, got "):
            imported.create(tmp_path / name)
    assert len(Index.open(tmp_path / "empty")) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.npy", "empty", "source"]


def test_an_output_that_cannot_be_made_is_named(make_index, tmp_path):
    export(make_index(3), tmp_path / "codes.npy")
    with pytest.raises(OSError, match=r"codes\.npy"):
        read(tmp_path / "codes.npy").create(tmp_path / "codes.npy" / "new")
    with writer_lock(tmp_path / "new"), pytest.raises(BlockingIOError):
        read(tmp_path / "codes.npy").create(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.npy", "source"]


def blocks_of_the_page(fence):
    page = (ROOT / "docs" / "exchange.md").read_text()
    return re.findall(rf"```{fence}\n(.*?)```", page, flags=re.DOTALL)


def test_python_of_the_page_runs(make_index, tmp_path, monkeypatch):
    needed("parquet")
    needed("faiss")
    monkeypatch.chdir(tmp_path)
    index = make_index(50)
    export(index, "codes.faiss")
    with Index.create("other", 64) as other:
        names = {"index": other, "vtsearch": vtsearch, "features": np.random.default_rng(0).normal(size=(2, 64))}
        other.add(random_codes(3, 64), ["a", "b", "c"])
        exchanging, asking = blocks_of_the_page("python")
        with pytest.raises(ValueError, match="ids: expected new ids, got 'a'"):  # its last line: the same items again
            exec(exchanging, names)
        assert Index.open("codes/copy").ids() == ["a", "b", "c"]
    exec(asking, names)
    assert names["distances"].shape == (2, 10)
    assert names["distances"].tolist() == index.search(vtsearch.pack(names["features"]), 10).distances.tolist()


def test_commands_of_the_page_run(make_index, tmp_path, monkeypatch):
    needed("mat")
    needed("parquet")
    needed("faiss")
    monkeypatch.chdir(tmp_path)
    import scipy.io

    (tmp_path / "codes").mkdir()
    export(make_index(9, 64, labels="single", name="codes/database"), "codes.parquet")
    shutil.copy("codes.parquet", "today.parquet")
    scipy.io.savemat("results.mat", {"q_B": np.eye(3) - 0.5, "retrieval_B": np.eye(4) - 0.5})
    np.save("embeddings.npy", random_codes(3, 64))
    (tmp_path / "hashes.csv").write_text(f"{'0a' * 32},50\n")
    page = (ROOT / "docs" / "exchange.md").read_text()
    commands = [line.split() for line in page.splitlines() if line.startswith("    vtsearch ")]
    ran = 0
    for _, *argv in commands:
        if not any("postgresql" in argument for argument in argv):
            overwrite = ["--overwrite"] if argv[0] == "export" else []
            assert main([*argv, *overwrite]) == 0
            ran += 1
            shutil.rmtree("codes/copy", ignore_errors=True)
    assert ran == 8
    assert len(Index.open("codes/retrieval")) == 4
    assert len(Index.open("codes/pdq")) == 1


def test_decisions_are_left_out_and_named(tmp_path):
    with Index.create(tmp_path / "index", 8) as index:
        index.add(np.array([[1], [2]], np.uint8))
        assert "decisions" not in export(index, tmp_path / "a.parquet").left_out
        index.decide([("distinct", ["0", "1"])])
        assert export(index, tmp_path / "b.parquet").left_out == ("decisions",)
