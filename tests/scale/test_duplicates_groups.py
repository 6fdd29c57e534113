"""Groups found by tasks are those of ``vtsearch.deduplicate``, byte for byte, however the codes are cut."""

from __future__ import annotations

import itertools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeded_codes, seeded_near_duplicates

import vtsearch
from vtsearch import Database, Index, reference
from vtsearch.errors import VtsearchError
from vtsearch.scale.duplicates import ArrayPart, SpanPart, deduplicate
from vtsearch.scale.duplicates.job import bytes_of_item

WIDTHS = (16, 17, 24, 33, 64, 100, 128, 256)


def memory_for(codes, tasks):
    """So that the codes are cut into so many chunks and buckets."""
    return bytes_of_item(codes.shape[1]) * max(-(-len(codes) // tasks), 1)


def found(codes, radius, tasks=1, run=map, **options):
    return deduplicate(codes, radius, memory=memory_for(codes, tasks), threads=1, tasks=run, **options)


def agree(codes, radius, tasks=1, **options):
    expected = vtsearch.deduplicate(codes, radius, threads=1).representatives
    groups = found(codes, radius, tasks, **options)
    assert groups.dtype == expected.dtype
    assert np.array_equal(groups, expected)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(0, 60),
    bits=st.sampled_from([1, 3, 11, *WIDTHS]),
    radius=st.integers(0, 8),
    tasks=st.integers(1, 4),
)
def test_any_few_codes_have_the_groups_of_the_reference(seed, n, bits, radius, tasks):
    codes = seeded_near_duplicates(seed, n, bits)
    assert np.array_equal(found(codes, radius, tasks), reference.deduplicate(codes, radius))


@pytest.mark.parametrize("bits", WIDTHS)
def test_groups_are_those_of_one_process_at_every_width(bits):
    codes = seeded_near_duplicates(bits, 800, bits)
    for radius, tasks in ((0, 5), (1, 2), (3, 4), (8, 3)):
        agree(codes, radius, tasks)


@pytest.mark.parametrize("tasks", [1, 2, 7, 16])
def test_groups_do_not_depend_on_the_number_of_tasks(tasks):
    agree(seeded_near_duplicates(5, 1500, 64), 1, tasks)


@pytest.mark.parametrize("codes", [seeded_codes(0, n, 64) for n in (0, 1, 2)], ids=["none", "one", "two"])
def test_groups_of_very_few_codes(codes):
    for radius in (0, 3, 63, 64, 10**30):
        agree(codes, radius)


@pytest.mark.parametrize("kind", ["equal", "few"])
def test_equal_codes_are_written_once_by_each_chunk(kind, tmp_path):
    codes = seeded_codes(1, 2000, 64, kind)
    for radius in (0, 2):
        agree(codes, radius, 6)
    sizes = []

    def watched(function, tasks):
        for task in tasks:
            yield function(task)
            if task.name.startswith("split"):
                sizes.append(len(np.load(task.place / "codes.npy")))

    agree(codes, 1, 6, run=watched, work=tmp_path / "work")
    assert max(sizes) <= 4


def skewed(n, bits, seed=0):
    """Codes of which most agree in all but their last bits, some in a few of their first ones."""
    codes = np.unpackbits(seeded_near_duplicates(seed, n, bits), axis=1)
    codes[: 3 * n // 4, : bits - 14] = codes[0, : bits - 14]
    codes[-n // 8 :, : bits // 2] = codes[-1, : bits // 2]
    order = np.random.default_rng(seed).permutation(n)
    return np.packbits(codes[order], axis=1)


@pytest.mark.parametrize("radius", [1, 2, 4])
@pytest.mark.parametrize("bits", [40, 64, 200])
def test_codes_that_agree_in_many_bits_are_cut_by_further_ones(bits, radius):
    agree(skewed(1500, bits), radius, 12)


def test_a_partition_that_is_too_large_is_compared_in_pieces(tmp_path):
    codes, names, sizes = skewed(3000, 64), [], []

    def watched(function, tasks):
        for task in tasks:
            names.append(task.name)
            yield function(task)

    def told(codes, sets, *rest):
        sizes.append(len(codes))
        return forest(codes, sets, *rest)

    from vtsearch import _native

    forest, patch = _native.agreeing_forest, pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(_native, "agreeing_forest", told)
        agree(codes, 2, 15, run=watched, work=tmp_path / "work")
    assert any(name.count("-") == 4 for name in names if name.startswith("near"))
    assert max(sizes) <= 2 * len(codes) // 15 + 2


def test_a_code_is_written_once_where_there_is_one_partition(tmp_path):
    sizes = []

    def watched(function, tasks):
        for task in tasks:
            yield function(task)
            if task.name.startswith("distinct"):
                sizes.append(len(np.load(task.place / "codes.npy")))

    codes = seeded_codes(0, 500, 64)
    agree(codes, 3, 1, run=watched, work=tmp_path / "one")
    assert sizes == [500]
    sizes.clear()
    agree(codes, 3, 4, run=watched, work=tmp_path / "four")
    assert sum(sizes) == 4 * 500


# Parts


def test_positions_go_on_from_one_part_to_the_next():
    codes = seeded_near_duplicates(2, 900, 64)
    pieces = np.split(codes, [0, 250, 251, 700])
    expected = vtsearch.deduplicate(codes, 2).representatives
    for parts in (Database(pieces), [ArrayPart(piece) for piece in pieces]):
        assert np.array_equal(deduplicate(parts, 2, memory=memory_for(codes, 3)), expected)


def test_parts_of_an_index_are_opened_by_the_tasks(tmp_path):
    codes = seeded_near_duplicates(2, 900, 64)
    with Index.create(tmp_path / "index", 64) as index:
        for piece in np.split(codes, [200, 300, 640]):
            index.add(piece)
        spans = [span for cut in ((0, 350), (350, 900)) for span in index.between(*cut).spans]
        parts = [SpanPart(span) for span in spans]
        expected = vtsearch.deduplicate(codes, 2).representatives
        assert np.array_equal(deduplicate(parts, 2, memory=memory_for(codes, 5)), expected)
        index.add(codes[:3])
        with pytest.raises(VtsearchError, match="the index has changed"):
            deduplicate(parts, 2)


def test_tasks_may_run_in_any_order_twice_and_at_the_same_time():
    codes = seeded_near_duplicates(3, 2000, 64)

    def shuffled(function, tasks):
        order = np.random.default_rng(len(tasks)).permutation(len(tasks))
        for number in [*order, *order]:
            yield function(tasks[number])

    agree(codes, 2, 5, run=shuffled)
    with ThreadPoolExecutor(4) as pool:
        agree(codes, 2, 5, run=pool.map)
        agree(codes, 2, 5, run=lambda function, tasks: pool.map(function, [*tasks, *tasks]))


# Work folders


class StoppedError(Exception):
    """In place of the end of a process."""


def stopping_after(count):
    """Tasks of which so many run."""
    turns = itertools.count()

    def some(function, tasks):
        for task in tasks:
            if next(turns) == count:
                raise StoppedError
            yield function(task)

    return some


@pytest.mark.parametrize("kept", [1, 4, 6, 9, 14, 20, 21])
def test_a_run_that_was_stopped_is_continued(tmp_path, kept):
    codes, work = seeded_near_duplicates(3, 900, 64), tmp_path / "work"
    with pytest.raises(StoppedError):
        found(codes, 2, 4, run=stopping_after(kept), work=work)
    (work / ".split-00000.1-0123456789ab.tmp").mkdir()
    ran = []

    def counted(function, tasks):
        for task in tasks:
            ran.append(task.name)
            yield function(task)

    agree(codes, 2, 4, run=counted, work=work)
    everything = len(ran) + kept
    assert not list(work.glob(".*.tmp"))
    ran.clear()
    agree(codes, 2, 4, run=counted, work=work)
    assert ran == []
    found(codes, 2, 4, run=counted, work=tmp_path / "other")
    assert len(ran) == everything


def test_a_kept_folder_has_the_result_and_nothing_large(tmp_path):
    codes = seeded_near_duplicates(3, 4000, 64)
    groups = found(codes, 2, 4, work=tmp_path / "work")
    assert isinstance(groups, np.memmap)
    assert not groups.flags.writeable
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8 * 4000 + 5000
    assert np.array_equal(np.load(tmp_path / "work" / "merged" / "representatives.npy"), groups)


def test_a_folder_of_another_call_is_refused(tmp_path):
    codes, work = seeded_near_duplicates(3, 400, 64), tmp_path / "work"
    found(codes, 2, 2, work=work)
    with pytest.raises(VtsearchError, match=r"work: expected the work of this call, got that of radius 2, not 3"):
        found(codes, 3, 2, work=work)
    other = codes.copy()
    other[7] ^= 1
    with pytest.raises(VtsearchError, match=r"other codes \(400 of 64 bits\)"):
        found(other, 2, 2, work=work)
    with pytest.raises(VtsearchError, match="other codes"):
        found(codes[1:], 2, 2, work=work)
    job = json.loads((work / "job.json").read_text())
    (work / "job.json").write_text(json.dumps({**job, "version": 99}))
    with pytest.raises(VtsearchError, match="version 99"):
        found(codes, 2, 2, work=work)
    (work / "job.json").write_text('{"a": 1}')
    with pytest.raises(VtsearchError, match="expected a job of vtsearch deduplicate"):
        found(codes, 2, 2, work=work)


def test_a_folder_that_is_continued_keeps_its_tasks(tmp_path):
    codes = seeded_near_duplicates(3, 900, 64)
    with pytest.raises(StoppedError):
        found(codes, 2, 4, run=stopping_after(3), work=tmp_path / "work")
    agree(codes, 2, 1, work=tmp_path / "work")
    assert len(list((tmp_path / "work").glob("split-*"))) == 4


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_a_damaged_file_is_named(tmp_path, damage):
    codes, work = seeded_near_duplicates(3, 900, 64), tmp_path / "work"
    with pytest.raises(StoppedError):
        found(codes, 2, 4, run=stopping_after(4), work=work)
    path = work / "split-00002" / "codes.npy"
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    with pytest.raises(VtsearchError, match=r"split-00002/codes.npy: expected an array of a finished task"):
        found(codes, 2, 4, work=work)
    shutil.rmtree(work)
    agree(codes, 2, 4, work=work)


def test_temporary_files_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found(seeded_near_duplicates(3, 300, 64), 2, 3)
    with pytest.raises(StoppedError):
        found(seeded_near_duplicates(3, 300, 64), 2, 3, run=stopping_after(4))
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_all_items():
    codes, told = seeded_near_duplicates(3, 900, 64), []
    found(codes, 2, 4, progress=lambda done, items: told.append((done, items)))
    assert told == sorted(told)
    assert len(told) > 10
    assert told[-1] == (900, 900)


# Arguments


def test_arguments_that_are_refused():
    codes = seeded_codes(0, 10, 64)
    for arguments, error, message in (
        ({"codes": codes.astype(float)}, TypeError, "codes: expected packed uint8 codes"),
        ({"codes": codes[0]}, ValueError, r"codes: expected \(n, bytes\)"),
        ({"codes": []}, ValueError, "codes: expected at least one part, got none"),
        ({"codes": [codes]}, TypeError, r"codes\[0\]: expected a part, such as ArrayPart, got ndarray"),
        ({"codes": [ArrayPart(codes.astype(float))]}, TypeError, "codes: expected packed uint8 codes"),
        (
            {"codes": [ArrayPart(codes), ArrayPart(codes[:, :4])]},
            ValueError,
            r"codes\[1\]: expected 8 bytes per code as in codes\[0\], got 4",
        ),
        ({"codes": Database(codes, mask=np.ones(10, dtype=bool))}, ValueError, "codes: expected a database without"),
        ({"radius": -1}, ValueError, "radius: expected at least 0, got -1"),
        ({"radius": 1.5}, TypeError, r"radius: expected an int, got 1\.5"),
        ({"memory": 0}, ValueError, "memory: expected at least 1, got 0"),
        ({"memory": "1"}, TypeError, "memory: expected an int"),
        ({"threads": 0}, ValueError, "threads: expected at least 1, got 0"),
        ({"threads": 0.5}, TypeError, "threads: expected an int"),
        ({"progress": 3}, TypeError, "progress: expected a function"),
    ):
        with pytest.raises(error, match=message):
            deduplicate(**{"codes": codes, "radius": 1, **arguments})


def test_a_full_disk_is_told_of(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vtsearch.scale.duplicates.tasks.save", full)
    with pytest.raises(OSError, match="No space left"):
        found(seeded_near_duplicates(3, 900, 64), 2, 4, work=tmp_path / "work")
