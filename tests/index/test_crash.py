"""A kill or a full disk at any moment leaves the old index or the new one, and a folder that needs nobody's help."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from thorough import amount

from vtsearch import reference
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, create
from vtsearch.index.about import About
from vtsearch.index.store import Store, new_file


def codes_of(seed: int, n: int) -> np.ndarray:
    return reference.pack(np.random.default_rng(seed).integers(0, 2, (n, 64)))


@pytest.fixture
def folder(tmp_path):
    with Index.create(tmp_path / "index", 64) as index:
        index.add(codes_of(0, 10))
        index.add(codes_of(1, 10))
    return tmp_path / "index"


def next_name(folder):
    return Store(folder / "index.sqlite").read().about.next


def test_files_of_a_killed_writer_are_ignored_and_then_overwritten(folder):
    name = f"{next_name(folder)}.npy"
    for part in ("codes", "items"):
        (folder / part / name).write_bytes(b"half a segment" * 10_000)
    with Index.open(folder) as index:
        assert len(index) == 20
        index.verify()
        index.add(codes_of(2, 1))
        assert index.segments[-1].file == name
    with Index.open(folder) as index:
        index.verify()
        assert index.code(20).tolist() == codes_of(2, 1).tolist()


def test_files_that_the_index_does_not_own_are_never_deleted(folder):
    strangers = [folder / "codes" / name for name in ("dead.npy", "beef.tmp", f"{'0' * 32}.npy")]
    for stranger in strangers:
        stranger.write_bytes(b"not ours")
    with Index.open(folder) as index:
        index.add(codes_of(2, 1))
    assert all(stranger.read_bytes() == b"not ours" for stranger in strangers)


KILLED = """
import os, signal, sys
import numpy as np
from vtsearch.index import Index, index, segments, store

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[2]
if moment == "codes written":
    segments.sync_folder = die
elif moment == "segment written":
    store.Writer.add_segment = die
elif moment == "segment named":
    store._sign = die
elif moment == "before commit":
    index.reopened = lambda folder, contents, before=None, opened=index.reopened: (
        die() if len(contents.segments) == 3 else opened(folder, contents, before)
    )
with Index.open(sys.argv[1]) as index:
    index.add(np.zeros((1000, 8), np.uint8), [f"new {i}" for i in range(1000)])
"""


@pytest.mark.parametrize("moment", ["codes written", "segment written", "segment named", "before commit"])
def test_a_killed_writer_leaves_the_old_index(folder, moment):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), moment], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Index.open(folder) as index:
        index.verify()
        assert len(index) == len(index.ids()) == 20
        assert index.codes().tolist() == np.concatenate([codes_of(0, 10), codes_of(1, 10)]).tolist()
        index.add(codes_of(2, 1))
        assert len(index) == 21
        assert len(list((folder / "codes").iterdir())) == len(list((folder / "items").iterdir())) == 3


FULL = """
import resource, sys
import numpy as np
from vtsearch.index import Index
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with Index.open(sys.argv[1]) as index:
        index.add(np.zeros((int(sys.argv[2]), 8), np.uint8))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("items", [50_000, 10_000], ids=["codes too large", "items too large"])
def test_a_full_disk_leaves_the_old_index(folder, items):
    command = [sys.executable, "-c", FULL, str(folder), str(items)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert "File too large" in done.stdout
    assert str(folder) in done.stdout
    with Index.open(folder) as index:
        index.verify()
        assert len(index) == 20
    assert len(list((folder / "codes").iterdir())) == len(list((folder / "items").iterdir())) == 2


def test_leftovers_of_a_killed_creation_hinder_nobody(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / ".index.sqlite.12-0123456789ab.tmp").write_bytes(b"SQLite form")
    with pytest.raises(VtsearchError, match="expected an index"):
        Index.open(tmp_path / "index")
    assert create.is_vacant(tmp_path / "index")
    with Index.create(tmp_path / "index", 64) as index:
        index.add(codes_of(0, 3))
    with Index.open(tmp_path / "index") as index:
        index.verify()
        assert len(index) == 3
    assert {path.name for path in (tmp_path / "index").iterdir()} == {"index.sqlite", "codes", "items"}


def test_an_index_that_a_killed_writer_set_aside_is_found(folder):
    folder.rename(folder.with_name(".index.old"))
    assert len(Index.open(folder)) == 20
    folder.rename(folder.with_name(".index.old"))
    with pytest.raises(FileExistsError):
        Index.create(folder, 64)
    assert len(Index.open(folder)) == 20


def test_a_creation_that_another_process_overtakes_leaves_the_index_of_that_one(tmp_path, monkeypatch):
    def overtaken(folder, content, place=create.place):
        place(folder, new_file(About(16)))
        place(folder, content)

    monkeypatch.setattr("vtsearch.index.index.place", overtaken)
    with pytest.raises(
        FileExistsError, match=r"path: expected a new or empty folder, got .*index, which became an index"
    ):
        Index.create(tmp_path / "index", 64)
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["index.sqlite"]
    assert Index.open(tmp_path / "index").bits == 16


def test_a_creation_needs_no_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    Index.create(tmp_path / "index", 64).close()
    assert len(Index.open(tmp_path / "index")) == 0
    with pytest.raises(FileExistsError):
        create.place(tmp_path / "index", b"other")
    assert len(Index.open(tmp_path / "index")) == 0


def test_a_creation_on_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"No space left.*index/index\.sqlite"):
        Index.create(tmp_path / "index", 64)
    assert list((tmp_path / "index").iterdir()) == []


@pytest.mark.parametrize("place", ["empty", "link", "deep/er", "."])
def test_an_index_is_created_in_any_empty_place(tmp_path, monkeypatch, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    monkeypatch.chdir(tmp_path / "empty")
    target = "." if place == "." else tmp_path / place
    with Index.create(target, 64) as index:
        index.add(codes_of(0, 2))
    assert (tmp_path / "link").is_symlink()
    with Index.open(target) as index:
        index.verify()
        assert len(index) == 2


# A child process creates an index and adds to it; it is killed at random moments, and another child goes on.

SIZES = [3, 1, 40, 7, 300, 2, 11, 5]


def segment_of(number):
    n = SIZES[number]
    names = [f"{number}/{i}.jpg" for i in range(n)]
    return codes_of(number, n), names, np.arange(n) % 5 + number, [{"row": i} if i % 2 else {} for i in range(n)]


def written(folder, report):
    """What the child does: create or open, add what is missing, report each step once it is done."""
    index = Index.create(folder, 64) if create.is_vacant(folder) else Index.open(folder)
    os.write(report, b"c")
    for number in range(len(index.segments), len(SIZES)):
        codes, names, labels, metadata = segment_of(number)
        index.add(codes, names, labels, metadata)
        os.write(report, b"a")
    index.close()
    Index.open(folder).close()


def killed_child(folder, seconds):
    """Bytes that the child reported before it was killed, and whether it had finished."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            written(folder, writing)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        report = pipe.read()
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return report, not os.WIFSIGNALED(status)


def checked(folder, promised):
    """The number of segments that are there: at least those that were promised, each of them whole."""
    if create.is_vacant(folder):
        assert promised == 0
        return 0
    with Index.open(folder) as index:
        index.verify()
        found = len(index.segments)
        assert found >= promised
        parts = [segment_of(number) for number in range(found)]
        assert index.ids() == [name for part in parts for name in part[1]]
        assert index.metadata() == [row for part in parts for row in part[3]]
        assert index.codes().tolist() == [code for part in parts for code in part[0].tolist()]
        if found:
            assert index.labels().tolist() == np.concatenate([part[2] for part in parts]).tolist()
    return found


def kill_often(tmp_path, kills, seed):
    """Counts of kills by what was there afterwards."""
    chance, outcomes, done, round_number = random.Random(seed), dict.fromkeys(("none", "empty", "some"), 0), 0, 0
    while done < kills:
        folder, promised, finished = tmp_path / f"{round_number}", 0, False
        created = False
        round_number += 1
        while not finished:
            report, finished = killed_child(folder, chance.choice((0.02, 0.1, 0.5)) * chance.random())
            created = created or b"c" in report
            promised = max(promised, checked(folder, promised))
            assert promised >= report.count(b"a")
            assert not (created and create.is_vacant(folder))
            if not finished:
                done += 1
                outcomes["none" if create.is_vacant(folder) else "some" if promised else "empty"] += 1
        assert checked(folder, len(SIZES)) == len(SIZES)
    return outcomes | {"indexes finished": round_number}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_kill_loses_or_halves_an_index(tmp_path):
    outcomes = kill_often(tmp_path, 8, seed=0)
    assert outcomes["none"] + outcomes["empty"] + outcomes["some"] >= 8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_none_of_many_kills_loses_or_halves_an_index(tmp_path):
    outcomes = kill_often(tmp_path, amount(80, 800), seed=1)
    print(f"\nkills by what was there afterwards: {outcomes}; 0 lost, 0 half, 0 folders that need a person")  # noqa: T201
    assert min(outcomes.values()) > 0


def test_the_journal_of_a_killed_commit_is_rolled_back(folder):
    db = sqlite3.connect(folder / "index.sqlite")
    db.execute("PRAGMA cache_spill = 1")
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN")
    db.execute("CREATE TABLE filler (x)")
    db.executemany("INSERT INTO filler VALUES (?)", [("x" * 3000,)] * 50)
    for name in ("index.sqlite", "index.sqlite-journal"):
        (folder.parent / name).write_bytes((folder / name).read_bytes())
    db.execute("ROLLBACK")
    db.close()
    for name in ("index.sqlite", "index.sqlite-journal"):
        (folder.parent / name).replace(folder / name)
    with Index.open(folder) as index:
        index.verify()
        assert len(index) == 20
