from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from vtsearch import reference
from vtsearch.errors import VtsearchError
from vtsearch.index import Index


def codes_of(seed: int, n: int) -> np.ndarray:
    return reference.pack(np.random.default_rng(seed).integers(0, 2, (n, 64)))


@pytest.fixture
def folder(tmp_path):
    with Index.create(tmp_path / "index", 64) as index:
        index.add(codes_of(0, 10))
        index.add(codes_of(1, 10))
    return tmp_path / "index"


def segment_file(folder, number=0):
    with Index.open(folder) as index:
        return folder / "codes" / index.segments[number].file


def test_files_that_the_index_does_not_name_are_ignored_and_then_removed(folder):
    orphans = [folder / "codes" / name for name in ("dead.npy", "beef.tmp")]
    for orphan in orphans:
        orphan.write_bytes(b"half a segm")
    with Index.open(folder) as index:
        assert len(index) == 20
        index.verify()
        index.add(codes_of(2, 1))
    assert not any(orphan.exists() for orphan in orphans)


KILLED = """
import os, signal, sys
import numpy as np
from vtsearch.index import Index, store, segments

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[2]
if moment == "segment written":
    store.Store.add_segment = die
elif moment == "segment named":
    store.Store.set_labels = die
elif moment == "before rename":
    segments.checksum = die
with Index.open(sys.argv[1]) as index:
    index.add(np.zeros((1000, 8), np.uint8), [f"new {i}" for i in range(1000)])
"""


@pytest.mark.parametrize("moment", ["before rename", "segment written", "segment named"])
def test_a_killed_writer_leaves_the_old_index(folder, moment):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), moment], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    with Index.open(folder) as index:
        index.verify()
        assert len(index) == len(index.ids()) == 20
        assert index.codes().tolist() == np.concatenate([codes_of(0, 10), codes_of(1, 10)]).tolist()
        index.add(codes_of(2, 1))
        assert len(index) == 21
        assert len(list((folder / "codes").iterdir())) == 3


FULL = """
import resource, sys
import numpy as np
from vtsearch.index import Index
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with Index.open(sys.argv[1]) as index:
        index.add(np.zeros((50_000, 8), np.uint8))
except OSError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_index(folder):
    done = subprocess.run([sys.executable, "-c", FULL, str(folder)], capture_output=True, check=True, text=True)
    assert "File too large" in done.stdout
    assert str(folder) in done.stdout
    with Index.open(folder) as index:
        index.verify()
        assert len(index) == 20
    assert len(list((folder / "codes").iterdir())) == 2


@pytest.mark.parametrize("keep", [0, 50, 130])
def test_a_truncated_segment_is_named(folder, keep):
    path = segment_file(folder)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(VtsearchError, match=f"{path}: expected 10 codes of 8 bytes"):
        Index.open(folder)


def test_a_missing_segment_is_named(folder):
    path = segment_file(folder, 1)
    path.unlink()
    with pytest.raises(VtsearchError, match=str(path)):
        Index.open(folder)


def test_a_segment_of_another_shape_is_named(folder):
    path = segment_file(folder)
    np.save(path, np.zeros((10, 4), np.uint8))
    with pytest.raises(VtsearchError, match=r"expected 10 codes of 8 bytes, got an array \(10, 4\)"):
        Index.open(folder)


def test_a_changed_bit_is_found_by_verify_alone(folder):
    path = segment_file(folder)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with Index.open(folder) as index, pytest.raises(VtsearchError, match=f"{path}: expected sha256"):
        index.verify()


def test_items_that_do_not_match_the_segments_are_found_by_verify(folder):
    db = sqlite3.connect(folder / "index.sqlite")
    db.execute("DELETE FROM items WHERE position = 3")
    db.commit()
    db.close()
    with (
        Index.open(folder) as index,
        pytest.raises(VtsearchError, match="expected 20 items as in its segments, got 19"),
    ):
        index.verify()


def damage(folder, statement):
    db = sqlite3.connect(folder / "index.sqlite")
    db.execute(statement)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA application_id = 7", "expected an index, got another SQLite file"),
        ("PRAGMA user_version = 99", "expected index format 1, got 99"),
        ("DELETE FROM about WHERE name = 'bits'", "expected a complete table 'about'"),
        ("DROP TABLE segments", "no such table: segments"),
    ],
)
def test_a_strange_database_is_named(folder, statement, message):
    damage(folder, statement)
    with pytest.raises(VtsearchError, match=f"index.sqlite: {message}"):
        Index.open(folder)


@pytest.mark.parametrize("content", [b"", b"not SQLite at all" * 100])
def test_a_corrupt_database_is_named(folder, content):
    (folder / "index.sqlite").write_bytes(content)
    with pytest.raises(VtsearchError, match=r"index\.sqlite: "):
        Index.open(folder)


def test_damaged_pages_are_named_when_they_are_met(folder):
    path = folder / "index.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(VtsearchError, match=r"index\.sqlite: "):
        Index.open(folder).verify()


def test_a_folder_that_is_no_index_is_named(tmp_path):
    with pytest.raises(VtsearchError, match="expected an index"):
        Index.open(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such index"):
        Index.open(tmp_path / "nowhere")
