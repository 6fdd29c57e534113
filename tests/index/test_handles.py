"""One open index: closed, stale, shared by threads, pickled, copied; and many at once."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vtsearch import reference
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, segments


def codes_of(seed: int, n: int) -> np.ndarray:
    return reference.pack(np.random.default_rng(seed).integers(0, 2, (n, 64)))


def make(path, seed=0, n=10, **described):
    with Index.create(path, 64, **described) as index:
        index.add(codes_of(seed, n), [f"{seed}/{i}" for i in range(n)], np.arange(n))
    return path


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "index")


CLOSED = {
    "len": len,
    "bits": lambda index: index.bits,
    "fingerprints": lambda index: index.fingerprints,
    "classes": lambda index: index.classes,
    "description": lambda index: index.description,
    "segments": lambda index: index.segments,
    "codes": Index.codes,
    "database": Index.database,
    "code": lambda index: index.code(0),
    "ids": Index.ids,
    "ids_at": lambda index: index.ids_at([0]),
    "position": lambda index: index.position("0/1"),
    "labels": Index.labels,
    "metadata": Index.metadata,
    "metadata_at": lambda index: index.metadata_at([0]),
    "columns": Index.columns,
    "where": lambda index: index.where("id = '0'"),
    "add": lambda index: index.add(codes_of(1, 1)),
    "add nothing": lambda index: index.add(codes_of(1, 0)),
    "upsert": lambda index: index.upsert(codes_of(1, 1), ["0"]),
    "remove": lambda index: index.remove(["0"], missing="ignore"),
    "compact": Index.compact,
    "refresh": Index.refresh,
    "reopened": Index.reopened,
    "between": lambda index: index.between(0, 1),
    "generation": lambda index: index.generation,
    "decide": lambda index: index.decide([("keep", ["0/1"])]),
    "decisions": Index.decisions,
    "forget_decisions": lambda index: index.forget_decisions(["0/1"]),
    "rename_decisions": lambda index: index.rename_decisions({"0/1": "a"}),
    "duplicate_groups": lambda index: index.duplicate_groups(1),
    "describe": lambda index: index.describe({}),
    "check_fingerprints": lambda index: index.check_fingerprints({}),
    "verify": Index.verify,
    "indexed": lambda index: index.indexed,
    "search_items": lambda index: index.search_items(["0"]),
    "search": lambda index: index.search(codes_of(1, 1)),
    "within": lambda index: index.within(codes_of(1, 1), 3),
    "count": lambda index: index.count(codes_of(1, 1), 3),
    "histogram": lambda index: index.histogram(codes_of(1, 1)),
    "deduplicate": lambda index: index.deduplicate(1),
    "evaluate": lambda index: index.evaluate(codes_of(1, 1), np.array([1])),
    "positions_of": lambda index: index.positions_of(["0"]),
    "with": lambda index: index.__enter__(),
    "pickle": pickle.dumps,
    "copy": copy.copy,
}


@pytest.mark.parametrize("question", CLOSED.values(), ids=CLOSED)
def test_a_closed_index_answers_nothing(folder, question):
    index = Index.open(folder)
    index.close()
    with pytest.raises(VtsearchError, match=f"{folder}: this index is closed; open it again"):
        question(index)


def test_all_public_names_of_a_closed_index_are_tested():
    public = {name for name in dir(Index) if not name.startswith("_")}
    assert public - set(CLOSED) == {"create", "open", "close", "path"}


def test_a_closed_index_keeps_its_name_and_its_arrays(folder):
    index = Index.open(folder)
    codes = index.codes()
    index.close()
    index.close()
    assert index.path == folder
    assert repr(index) == f"Index({str(folder)!r}, closed)"
    assert codes.tolist() == codes_of(0, 10).tolist()


def replaced_by_rename(folder, tmp_path, **described):
    make(tmp_path / "fresh", 1, 7, **described)
    folder.rename(tmp_path / "aside")
    (tmp_path / "fresh").rename(folder)
    shutil.rmtree(tmp_path / "aside")


def test_a_stale_handle_leaves_the_new_index_as_it_is(folder, tmp_path):
    stale = Index.open(folder)
    replaced_by_rename(folder, tmp_path)
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    with pytest.raises(VtsearchError, match=f"{folder}: another index has taken the place of the one that was opened"):
        stale.add(codes_of(2, 5), labels=np.arange(5))
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == before
    with Index.open(folder) as index:
        index.verify()
        assert index.ids() == [f"1/{i}" for i in range(7)]


def test_a_stale_handle_still_answers_from_what_it_opened(folder, tmp_path):
    stale = Index.open(folder)
    replaced_by_rename(folder, tmp_path)
    assert stale.search(codes_of(0, 3), 1).ids == [["0/0"], ["0/1"], ["0/2"]]
    assert stale.ids() == [f"0/{i}" for i in range(10)]
    assert stale.labels().tolist() == list(range(10))
    with pytest.raises(VtsearchError, match="another index has taken the place"):
        stale.verify()


def test_a_handle_of_a_deleted_folder_adds_nothing(folder):
    stale = Index.open(folder)
    shutil.rmtree(folder)
    with pytest.raises(VtsearchError, match="expected the index that was opened, got No such file"):
        stale.add(codes_of(2, 5), labels=np.arange(5))
    assert not folder.exists()


def test_a_folder_that_is_replaced_while_items_are_written_stays_as_it_is(folder, tmp_path, monkeypatch):
    make(tmp_path / "fresh", 1, 7)

    def overtaken(*arguments, write=segments.write_segment):
        segment = write(*arguments)
        folder.rename(tmp_path / "aside")
        (tmp_path / "fresh").rename(folder)
        for part, name in segment.files.items():
            (folder / part / name).write_bytes((tmp_path / "aside" / part / name).read_bytes())
        return segment

    stale = Index.open(folder)
    monkeypatch.setattr("vtsearch.index.changes.write_segment", overtaken)
    with pytest.raises(VtsearchError, match="another index has taken the place"):
        stale.add(codes_of(2, 5), labels=np.arange(5))
    for path, seed, n in ((folder, 1, 7), (tmp_path / "aside", 0, 10)):
        with Index.open(path) as index:
            index.verify()
            assert index.ids() == [f"{seed}/{i}" for i in range(n)]


def test_an_index_that_is_replaced_while_it_is_opened_is_opened_anew(folder, tmp_path, monkeypatch):
    from vtsearch.index.store import Store

    read, calls = Store.read, []

    def overtaken(store):
        contents = read(store)
        if not calls:
            replaced_by_rename(folder, tmp_path)
        calls.append(1)
        return contents

    monkeypatch.setattr(Store, "read", overtaken)
    assert Index.open(folder).ids() == [f"1/{i}" for i in range(7)]


def test_a_copied_folder_is_an_index_of_its_own(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    for path in (folder, tmp_path / "copy"):
        with Index.open(path) as index:
            index.add(codes_of(2, 5), labels=np.arange(5))
    for path in (folder, tmp_path / "copy"):
        with Index.open(path) as index:
            index.verify()
            assert len(index) == 15


def test_an_index_is_pickled_and_copied_as_its_path(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    with Index.open("index") as index:
        content = pickle.dumps(index)
        assert len(content) < 500
        monkeypatch.chdir("/")
        for other in (pickle.loads(content), copy.copy(index), copy.deepcopy(index)):
            assert other.ids() == index.ids()
            other.close()
        assert len(index) == 10


def nearest(index):
    return index.search(codes_of(0, 3), 1).ids


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_index_is_handed_to_other_processes(folder, method):
    with Index.open(folder) as index, multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(nearest, [index] * 4) == [nearest(index)] * 4


def test_an_index_works_from_any_thread(folder):
    index = Index.open(folder)
    questions = [index.ids, index.labels, index.metadata, lambda: nearest(index), lambda: index.position("0/3")]
    with ThreadPoolExecutor(8) as pool:
        for question in questions:
            answers = list(pool.map(lambda _, question=question: str(question()), range(50)))
            assert set(answers) == {str(question())}
        pool.submit(index.add, codes_of(1, 3), labels=[1, 2, 3]).result()
    assert len(index) == 13


def test_threads_add_to_one_handle_and_to_several_one_after_the_other(folder):
    shared = Index.open(folder)
    handles = [shared, shared, shared, Index.open(folder), Index.open(folder)]
    with ThreadPoolExecutor(5) as pool:
        for number, handle in enumerate(handles):
            pool.submit(handle.add, codes_of(number, 4), [f"t{number}/{i}" for i in range(4)], np.arange(4))
    with Index.open(folder) as index:
        index.verify()
        assert len(index) == 30
        assert {name[:2] for name in index.ids()[10:]} == {f"t{number}" for number in range(5)}


def test_answers_are_of_one_state_while_the_same_handle_adds(folder):
    index = Index.open(folder)
    done = threading.Event()

    def ask():
        while not done.is_set():
            evaluation = index.evaluate(codes_of(0, 2), np.array([1, 2]))
            assert evaluation.database % 10 == 0
            assert nearest(index) == [["0/0"], ["0/1"], ["0/2"]]
        return True

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for number in range(10):
            index.add(codes_of(number + 1, 10), labels=np.arange(10))
        done.set()
        assert all(each.result() for each in asking)


def test_labels_and_codes_of_an_evaluation_are_of_one_state(folder, monkeypatch):
    index = Index.open(folder)

    def overtaken(self, labels=Index.labels):
        found = labels(self)
        index.add(codes_of(1, 5), labels=np.arange(5))
        return found

    monkeypatch.setattr(Index, "labels", overtaken)
    assert index.evaluate(codes_of(0, 2), np.array([1, 2])).database == 10
    assert len(index) == 15


def test_an_index_of_more_segments_than_a_process_may_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "MOST_MAPPED", 4)
    with Index.create(tmp_path / "index", 64) as index:
        for number in range(6):
            index.add(codes_of(number, number + 1))
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir())) if descriptors.is_dir() else None
    index = Index.open(tmp_path / "index")
    if before is not None:
        assert len(list(descriptors.iterdir())) == before + 4
    assert index.codes().tolist() == np.concatenate([codes_of(number, number + 1) for number in range(6)]).tolist()
    assert index.ids() == [str(i) for i in range(21)]
    index.verify()
    path = tmp_path / "index" / "codes" / index.segments[0].files["codes"]
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(VtsearchError, match=f"{path}: expected sha256"):
        index.verify()


def test_a_writer_that_goes_on_is_named(folder, monkeypatch):
    monkeypatch.setattr("vtsearch.index.store.BUSY_SECONDS", 0.1)
    db = sqlite3.connect(folder / "index.sqlite", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with Index.open(folder) as index:
        assert len(index) == 10
        with pytest.raises(VtsearchError, match="another process has been writing to it for"):
            index.add(codes_of(1, 1), labels=[1])
    db.execute("ROLLBACK")
    db.close()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes to read-only files")
def test_an_index_that_may_only_be_read_is_opened(folder):
    for path in (*folder.rglob("*"), folder):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        with Index.open(folder) as index:
            index.verify()
            assert nearest(index) == [["0/0"], ["0/1"], ["0/2"]]
            with pytest.raises((VtsearchError, OSError), match=r"readonly database|Permission denied"):
                index.add(codes_of(1, 1), labels=[1])
    finally:
        folder.chmod(0o755)


ADD = """
    import sys
    import numpy as np
    from vtsearch import Index
    n = int(sys.argv[2])
    codes = np.random.default_rng(5).integers(0, 256, (n, 8)).astype(np.uint8)
    with Index.open(sys.argv[1]) as index:
        print("ready", flush=True)
        index.add(codes, [f"added/{i:08d}.jpg" for i in range(n)], np.arange(n) % 10)
"""


def served_while_added(folder, added, threads):
    """Searches by threads on one handle, and on handles opened anew, while another process adds items."""
    queries, old = codes_of(0, 2), len(Index.open(folder))
    expected = {old: Index.open(folder).search(queries, 5)}
    served, answers, stop = Index.open(folder), [], threading.Event()

    def ask(number):
        while not stop.is_set():
            began = time.monotonic()
            index = served if number % 4 else Index.open(folder)
            answers.append((len(index), index.search(queries, 5, threads=1), time.monotonic() - began))

    command = [sys.executable, "-c", textwrap.dedent(ADD), str(folder), str(added)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer, ThreadPoolExecutor(threads) as pool:
        writer.stdout.readline()
        began = time.monotonic()
        asking = [pool.submit(ask, number) for number in range(threads)]
        code, seconds = writer.wait(), time.monotonic() - began
        time.sleep(0.2)
        stop.set()  # before the first assertion: the threads end with it alone
        assert code == 0
        for each in asking:
            each.result()
    with Index.open(folder) as index:
        index.verify()
        expected[len(index)] = index.search(queries, 5)
    assert sorted(expected) == [old, old + added]
    for length, answer, _ in answers:
        assert answer.ids == expected[length].ids
        assert answer.distances.tolist() == expected[length].distances.tolist()
    counts = {length: sum(answer[0] == length for answer in answers) for length in expected}
    slowest = max(seconds for _, _, seconds in answers)
    return f"{added:,} items added in {seconds:.1f} s; answers by size of the index: {counts}; slowest {slowest:.2f} s"


def test_threads_search_while_a_process_adds(folder):
    served_while_added(folder, 20_000, 8)


@pytest.mark.slow
def test_64_threads_search_while_a_process_adds_a_million_and_a_half_items(folder):
    print("\n64 threads:", served_while_added(folder, 1_500_000, 64))  # noqa: T201


def test_a_state_has_a_name_that_changes_with_the_items_alone(folder):
    index = Index.open(folder)
    before = index.generation
    index.decide([("keep", [index.ids()[0]])])
    assert Index.open(folder).generation == before
    index.remove([index.ids()[0]])
    assert index.generation != before


def test_another_handle_has_the_state_of_the_folder_and_this_one_keeps_its_own(folder):
    index, writer = Index.open(folder), Index.open(folder)
    writer.remove([writer.ids()[0]])
    other = index.reopened()
    assert (len(index), len(other)) == (10, 9)
    assert other.generation == writer.generation != index.generation
