"""A file takes the memory of a range, is never written to, and a long scan of it can be interrupted."""

from __future__ import annotations

import mmap
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strategies import seeded_codes, seeded_queries

from vtsearch import _database, _pages, metrics, ranking, reference


def test_only_large_files_are_cut(mapped, monkeypatch):
    monkeypatch.setattr(_database, "RANGE_BYTES", 100)
    large = seeded_codes(0, 110, 8)
    assert _database.Scan(_database.Database(large), 1).whole
    assert _database.Scan(_database.Database(mapped(large[:100])), 1).whole
    assert not _database.Scan(_database.Database(mapped(large)), 1).whole


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_a_file_that_may_be_written_to_keeps_its_changes(small_ranges, agree, mapped, mode):
    rng = np.random.default_rng(0)
    queries, plain = seeded_queries(1, 5, 64), seeded_codes(1, 5000, 64)
    database = mapped(plain, mode)
    changed = rng.integers(0, 256, (2500, 8), dtype=np.uint8)
    database[::2] = plain[::2] = changed
    for _ in range(2):
        agree(ranking.rank(queries, database, 9), reference.rank(queries, plain, 9))
    assert np.array_equal(database, plain)


def test_pages_that_no_file_holds_are_never_let_go():
    anonymous = mmap.mmap(-1, 4 * mmap.PAGESIZE)
    array = np.frombuffer(anonymous, dtype=np.uint8)
    array[:] = 7
    for view in (array, array.view(np.memmap), array[5:].view(np.memmap)[3:]):
        assert not _pages.is_mapped(view)
        _pages.release(view)
    assert (array == 7).all()


@pytest.mark.parametrize("size", [0, 1, mmap.PAGESIZE, 3 * mmap.PAGESIZE + 5])
def test_what_was_let_go_comes_back(mapped, size):
    plain = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    array = mapped(np.concatenate([plain, plain, plain]))
    for view in (array[:size], array[size : 2 * size], array[::-3], array[2 * size :]):
        _pages.release(view)
    assert np.array_equal(array, np.concatenate([plain, plain, plain]))


FILE_BYTES = 256 * 2**20
MEASURED = """
import sys
import numpy as np
from vtsearch import _database, duplicates, metrics, ranking

codes_file, labels_file = sys.argv[1:]
_database.RANGE_BYTES = {range_bytes}
codes = np.memmap(codes_file, mode="r", dtype=np.uint8).reshape(-1, 8)
labels = np.memmap(labels_file, mode="r", dtype=np.int8)
mask = np.memmap(labels_file, mode="r", dtype=np.uint8).view(np.bool_)
queries = np.random.default_rng(0).integers(0, 256, (3, 8), dtype=np.uint8)
ranking.rank(queries, queries)


def memory():
    with open("/proc/self/status") as status:
        sizes = dict(line.split(":") for line in status)
    return int(sizes["VmHWM"].split()[0]), int(sizes["VmRSS"].split()[0])


peak, before = memory()
{call}
peak, after = memory()
print(peak - before, after - before)
"""
MEMORY_CALLS = {
    "rank": "ranking.rank(queries, codes, 100)",
    "rank under a mask": "ranking.rank(queries, codes, 100, mask=mask)",
    "within": "ranking.within(queries, codes, 12)",
    "histogram": "ranking.histogram(queries, codes)",
    "deduplicate": "duplicates.deduplicate(codes.reshape(-1, 1024), 3)",
    "deduplicate against": "duplicates.deduplicate(queries, 3, against=codes)",
    "diameters": "duplicates.Duplicates(np.arange(2**18) // 2 * 2).diameters(codes.reshape(-1, 1024))",
    "bounded groups": "duplicates.deduplicate(codes.reshape(-1, 1024), 3, max_diameter=3)",
    "average precision": "metrics.average_precision(queries, codes, np.arange(3), labels)",
    "by index": "metrics.average_precision(queries, codes, np.arange(3), labels, 100, ties='index')",
}


@pytest.fixture(scope="module")
def large_files(tmp_path_factory):
    """Codes, mostly zero so that the file is small on the disk, and a byte for each."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    for name, size in (("codes", FILE_BYTES), ("labels", FILE_BYTES // 8)):
        with (folder / name).open("wb") as file:
            for start in range(0, size, size // 16):
                file.seek(start)
                file.write((rng.integers(0, 2, 4096) * (1 if name == "labels" else 255)).astype(np.uint8).tobytes())
            file.truncate(size)
    return folder / "codes", folder / "labels"


def measured(files, call, range_bytes):
    """KiB at the peak and afterwards, above what was there before."""
    program = MEASURED.format(call=call, range_bytes=range_bytes)
    command = [sys.executable, "-c", program, *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return map(int, result.stdout.split())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.slow] * (each != "rank")) for each in MEMORY_CALLS]
)
def test_a_file_takes_the_memory_of_a_range(large_files, name):
    before = [path.stat().st_mtime_ns for path in large_files]
    peak, after = measured(large_files, MEMORY_CALLS[name], 16 * 2**20)
    assert peak < 48 * 2**10
    assert after < 32 * 2**10
    assert [path.stat().st_mtime_ns for path in large_files] == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_without_ranges_a_file_would_take_its_size(large_files):
    peak, _ = measured(large_files, MEMORY_CALLS["rank"], 2**40)
    assert peak > FILE_BYTES // 2**10


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_a_scan_writes_nothing(small_ranges, mapped, mode):
    plain = seeded_codes(1, 5000, 64)
    database = mapped(plain, mode)
    before = Path(database.filename).stat()
    ranking.rank(plain[:3], database, 9)
    ranking.within(plain[:3], database, 9)
    metrics.average_precision(plain[:3], database, np.arange(3), np.arange(5000), 9, ties="index")
    after = Path(database.filename).stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert np.array_equal(np.load(database.filename), plain)


LONG_CALL = """
import sys
import numpy as np
from vtsearch import _database, metrics, ranking
_database.RANGE_BYTES = 2**20
codes = np.memmap(sys.argv[1], mode="r", dtype=np.uint8).reshape(-1, 8)
labels = np.memmap(sys.argv[2], mode="r", dtype=np.int8)
queries = np.random.default_rng(0).integers(0, 256, ({queries}, 8), dtype=np.uint8)
query_labels = np.arange(len(queries)) % 2
print("started", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("finished", flush=True)
"""
LONG_CALLS = {
    "rank": (3000, "ranking.rank(queries, codes, 100)"),
    "within": (3000, "ranking.within(queries, codes, 8)"),
    "by index": (3000, "metrics.average_precision(queries, codes, query_labels, labels, 100, ties='index')"),
    "average precision": (3000, "metrics.average_precision(queries, codes, query_labels, labels)"),
    "rank of one query": (1, "[ranking.rank(queries, codes, 100) for _ in range(10**6)]"),
}


@pytest.mark.parametrize(
    ("queries", "call"),
    [pytest.param(*case, id=name, marks=[pytest.mark.slow] * (name != "rank")) for name, case in LONG_CALLS.items()],
)
def test_ctrl_c_ends_a_long_scan_of_a_file(large_files, queries, call):
    program = LONG_CALL.format(queries=queries, call=call)
    command = [sys.executable, "-c", program, *map(str, large_files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=10)
        finally:
            process.kill()
    assert output == "interrupted\n"
    assert process.returncode == 0
