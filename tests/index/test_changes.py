"""Items that come, change and go: the index answers as a list of the items that are left, in their order."""

from __future__ import annotations

import random
import subprocess
import sys
import zlib
from typing import NamedTuple

import numpy as np
import pytest
from thorough import amount

import vtsearch
from vtsearch import reference
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, changes

BITS = 24
QUERIES = np.random.default_rng(9).integers(0, 256, (3, 3), dtype=np.uint8)


class Item(NamedTuple):
    code: tuple[int, ...]
    label: int
    seed: int | None


def items_of(names, seed):
    """Different items for the same ids by seed; every third has metadata, the seed."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (len(names), 3), dtype=np.uint8).tolist()
    return {
        name: Item(tuple(code), int(rng.integers(5)), seed if i % 3 == 0 else None)
        for i, (name, code) in enumerate(zip(names, codes, strict=True))
    }


def arguments(items):
    codes = np.array([item.code for item in items.values()], dtype=np.uint8).reshape(-1, 3)
    labels, seeds = ([item[n] for item in items.values()] for n in (1, 2))
    return codes, list(items), labels, {"seed": seeds}


def same(index, items):
    """The index holds these items, in this order."""
    codes, names, labels, metadata = arguments(items)
    assert len(index) == len(items)
    np.testing.assert_array_equal(index.codes(), codes)
    assert index.ids() == names
    assert index.metadata() == (metadata if index.columns() else {})
    where = [name for name, item in items.items() if item.seed in (1, 5) and item.label > 1]
    if index.columns():
        mask = index.where("seed IN (1, :five) AND label > 1", {"five": 5})
        assert [names[i] for i in np.flatnonzero(mask)] == where
    if items:
        np.testing.assert_array_equal(index.labels(), labels)
        answers, expected = index.search(QUERIES, 5), reference.rank(QUERIES, codes, 5)
        np.testing.assert_array_equal(answers.distances, expected[0])
        np.testing.assert_array_equal(answers.indices, expected[1])
        assert answers.ids == [[names[i] for i in row] for row in expected[1].tolist()]
        positions = list(range(0, len(names), 3))
        assert index.ids_at(positions) == {i: names[i] for i in positions}
        np.testing.assert_array_equal(index.code(len(names) - 1)[0], codes[-1])
    asked = [*names[::2], "never there", *names[::5]]
    expected_positions = [names.index(name) if name in items else -1 for name in asked]
    assert index.positions_of(asked).tolist() == expected_positions


def files(folder):
    parts = ("codes", "items", "metadata", "tables")
    return {str(path.relative_to(folder)) for part in parts for path in folder.glob(f"{part}/*")}


def files_of(index):
    return {f"{part}/{name}" for segment in index.segments for part, name in segment.files.items()}


@pytest.fixture
def three(tmp_path):
    """An index of three segments with twelve items each, and the items."""
    index, items = Index.create(tmp_path / "index", BITS), {}
    for seed in range(3):
        more = items_of([f"{seed}/{i}.jpg" for i in range(12)], seed)
        index.add(*arguments(more))
        items |= more
    return index, items


def test_removed_items_are_gone_and_the_others_move_up(three):
    index, items = three
    gone = ["0/3.jpg", "2/11.jpg", "0/0.jpg", "0/3.jpg"]
    assert index.remove(gone) == 3
    for name in set(gone):
        del items[name]
    same(index, items)
    same(Index.open(index.path), items)
    with pytest.raises(ValueError, match=r"ids: expected ids in .*index, got '0/3\.jpg'"):
        index.remove(["0/1.jpg", "0/3.jpg"])
    assert index.remove(["0/3.jpg", "nowhere"], missing="ignore") == 0
    same(index, items)
    index.verify()


def test_an_item_that_was_removed_may_come_again(three):
    index, items = three
    index.remove(["1/5.jpg"])
    del items["1/5.jpg"]
    again = items_of(["1/5.jpg"], 7)
    index.add(*arguments(again))
    items |= again
    same(index, items)


def test_upsert_replaces_items_and_appends_them(three):
    index, items = three
    new = items_of(["2/0.jpg", "new", "0/7.jpg", "1/1.jpg"], 8)
    index.upsert(*arguments(new))
    items = {name: item for name, item in items.items() if name not in new} | new
    same(index, items)
    index.upsert(*arguments(new))
    same(index, items)


def test_upsert_into_an_empty_index_adds(tmp_path):
    items = items_of(["a", "b"], 0)
    with Index.create(tmp_path / "index", BITS) as index:
        index.upsert(*arguments(items))
        same(index, items)


def test_all_items_may_go(three):
    index, items = three
    assert index.remove(list(items)) == 36
    same(index, {})
    assert files(index.path) == set()
    codes = np.zeros((2, 3), np.uint8)
    index.add(codes, ["x", "y"])  # another form of labels: no items contradict it
    assert index.labels() is None
    assert index.ids() == ["x", "y"]


def test_default_ids_never_come_twice(tmp_path):
    codes = np.zeros((3, 3), np.uint8)
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes)
        index.remove(["0", "2"])
        index.add(codes)
        assert index.ids() == ["1", "3", "4", "5"]
        index.add(codes, ["8", "9", "ten"])
        with pytest.raises(ValueError, match="ids: expected new ids, got '9', which is in"):
            index.add(codes)
        assert len(index) == 7


def test_labels_of_what_is_left_bind_what_comes(three):
    index, items = three
    with pytest.raises(ValueError, match="labels: expected one label per item as in the index, got no labels"):
        index.upsert(np.zeros((1, 3), np.uint8), ["0/0.jpg"])
    same(Index.open(index.path), items)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_files_of_removed_items_shrink(three, share):
    index, items = three
    for step in range(4):
        gone = list(items)[step :: round(1 / share) + 1]
        index.remove(gone)
        for name in gone:
            del items[name]
        assert files(index.path) == files_of(index)
        assert all(segment.items >= changes.LEAST_KEPT * segment.rows for segment in index.segments)
    same(index, items)


def test_compact_joins_segments_and_changes_no_answer(three):
    index, items = three
    index.remove(["0/3.jpg", "2/11.jpg"])
    index.add(np.ones((1, 3), np.uint8), ["last"], [4])
    items = {name: item for name, item in items.items() if name not in ("0/3.jpg", "2/11.jpg")}
    items["last"] = Item((1, 1, 1), 4, None)
    index.compact()
    same(index, items)
    (segment,) = index.segments
    assert (segment.items, segment.rows) == (35, 35)
    assert files(index.path) == files_of(index)
    before = segment
    index.compact()  # nothing to do
    assert index.segments == (before,)
    index.verify()
    index.remove(["last"])
    same(Index.open(index.path), {name: item for name, item in items.items() if name != "last"})


def test_compact_joins_no_more_than_fits_in_memory(three, monkeypatch):
    index, items = three
    monkeypatch.setattr(changes, "MOST_ROWS", 30)
    index.compact()
    assert [segment.items for segment in index.segments] == [24, 12]
    same(index, items)


def test_many_small_additions_make_few_segments(tmp_path):
    codes = np.random.default_rng(0).integers(0, 256, (100, 3), dtype=np.uint8)
    with Index.create(tmp_path / "index", BITS) as index:
        for i, code in enumerate(codes):
            index.add(code[None], [str(i)])
            assert len(index.segments) < changes.JOINED
        assert files(index.path) == files_of(index)
        assert index.codes().tolist() == codes.tolist()
        assert index.ids() == [str(i) for i in range(100)]


@pytest.mark.parametrize("pattern", [[1], [1, 1, 1, 1, 1, 1, 1, 40], [40, 1], [500, 40, 1], [1, 40, 500, 2000]])
def test_segments_stay_few_and_items_are_written_a_few_times(pattern, monkeypatch):
    monkeypatch.setattr(changes, "SMALL_ROWS", 4)
    monkeypatch.setattr(changes, "MOST_ROWS", 4 * 8**3 * 2)
    sizes, written, added = [], 0, 0
    for step in range(4000):
        sizes.append(pattern[step % len(pattern)])
        added += sizes[-1]
        first = changes._first_to_join(sizes)
        if first == len(sizes):
            written += sizes[-1]
            continue
        groups, tail = [0], sizes[first:]
        for size in tail:
            if groups[-1] + size > changes.MOST_ROWS:
                groups.append(0)
            groups[-1] += size
        sizes[first:] = groups
        written += sum(tail)
        assert len(sizes) <= 48 + 2 * added // changes.MOST_ROWS
    assert written <= 8 * added


def test_segments_with_and_without_metadata_are_joined(tmp_path):
    codes = np.arange(12, dtype=np.uint8).reshape(4, 3)
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes, list("abcd"))
        index.add(codes, list("efgh"), metadata={"n": range(4)})
        index.add(codes, list("ijkl"))
        index.remove(["f"])
        index.compact()
        assert index.metadata() == {"n": [None] * 4 + [0, 2, 3] + [None] * 4}
        assert index.ids() == list("abcdeghijkl")


def test_labels_of_several_classes_are_joined(tmp_path):
    labels = np.eye(11, dtype=np.uint8)
    with Index.create(tmp_path / "index", BITS) as index:
        for start in range(0, 11, 4):
            part = labels[start : start + 4]
            index.add(np.zeros((len(part), 3), np.uint8), [str(start + i) for i in range(len(part))], part)
        index.remove(["1", "9"])
        np.testing.assert_array_equal(index.labels(), np.delete(labels, [1, 9], axis=0))
        index.compact()
        np.testing.assert_array_equal(index.labels(), np.delete(labels, [1, 9], axis=0))


def test_a_handle_keeps_its_state_until_it_is_refreshed(three):
    index, items = three
    reader = Index.open(index.path)
    before = dict(items)
    index.remove(["0/3.jpg"])
    index.upsert(*arguments(items_of(["1/1.jpg"], 5)))
    index.compact()
    same(reader, before)
    reader.verify()  # its files have been deleted, and are still mapped
    reader.refresh()
    del items["0/3.jpg"], items["1/1.jpg"]
    same(reader, items | items_of(["1/1.jpg"], 5))


def test_a_change_begins_from_the_state_of_the_folder(three):
    index, items = three
    other = Index.open(index.path)
    other.remove(["0/3.jpg"])
    assert index.remove(["0/4.jpg"]) == 1
    del items["0/3.jpg"], items["0/4.jpg"]
    same(index, items)
    with pytest.raises(ValueError, match="ids: expected ids in"):
        index.remove(["0/3.jpg"])


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("codes", lambda index: index.remove(["0/3.jpg"])),
        ("codes", Index.compact),
        ("items", lambda index: index.remove([f"0/{i}.jpg" for i in range(9)])),  # of twelve
        ("items", Index.compact),
    ],
)
def test_damaged_files_are_not_copied(three, part, change):
    index, _ = three
    path = index.path / part / index.segments[0].files[part]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(VtsearchError, match=f"{path}: expected sha256"):
        change(index)
    content[-1] ^= 1
    path.write_bytes(content)
    change(index)
    index.verify()


def test_files_that_cannot_be_deleted_are_deleted_later(three, monkeypatch):
    index, items = three
    with monkeypatch.context() as patched:
        patched.setattr("vtsearch.index.writing._is_deleted", lambda path: False)
        index.remove(["0/3.jpg"])
        assert len(files(index.path) - files_of(index)) == 1
    del items["0/3.jpg"]
    same(Index.open(index.path), items)
    index.remove(["0/4.jpg"])
    assert files(index.path) == files_of(index)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda index: index.remove("0/3.jpg"),
            TypeError,
            "ids: expected a sequence of strings, got one string, '0/3.jpg'",
        ),
        (lambda index: index.remove([3]), TypeError, "ids: expected strings, got int"),
        (lambda index: index.remove([], missing="no"), ValueError, "missing: expected one of error, ignore, got 'no'"),
        (lambda index: index.positions_of("0/3.jpg"), TypeError, "ids: expected a sequence of strings"),
        (lambda index: index.remove(None), TypeError, "ids: expected either ids or where"),
        (lambda index: index.remove([], where="id = ''"), TypeError, "ids: expected either ids or where"),
        (lambda index: index.remove(where=3), TypeError, "where: expected a string, got int"),
        (lambda index: index.remove(where="seed = ?"), ValueError, "params: expected a value for each parameter"),
        (lambda index: index.compact(indexed="seed"), TypeError, "indexed: expected a sequence of strings"),
        (lambda index: index.compact(indexed=["a b"]), ValueError, "indexed: expected names of letters"),
        (lambda index: index.upsert(QUERIES, None), TypeError, "ids: expected a sequence of strings, got NoneType"),
        (lambda index: index.upsert(QUERIES, ["a"]), ValueError, "ids: expected 3 strings, one per code, got 1"),
        (lambda index: index.upsert(QUERIES, ["a", "b", "a"]), ValueError, "ids: expected different ids, got 'a'"),
    ],
)
def test_wrong_arguments_change_nothing(three, call, error, message):
    index, items = three
    with pytest.raises(error, match=message):
        call(index)
    same(Index.open(index.path), items)


def test_ids_of_one_checksum_are_told_apart(tmp_path):
    names = ["plumless", "exhibiters", "schlager"]
    others = ["buckeroo", "rose"]
    assert zlib.crc32(b"plumless") == zlib.crc32(b"buckeroo")
    assert zlib.crc32(b"exhibiters") == zlib.crc32(b"schlager")
    codes = np.arange(9, dtype=np.uint8).reshape(3, 3)
    with Index.create(tmp_path / "index", BITS) as index:
        index.add(codes, names)
        assert index.positions_of([*names, *others]).tolist() == [0, 1, 2, -1, -1]
        index.remove(["exhibiters"])
        assert index.positions_of([*names, *others]).tolist() == [0, -1, 1, -1, -1]
        with pytest.raises(ValueError, match="ids: expected different ids, got 'rose' twice"):
            index.add(codes, ["rose", "buckeroo", "rose"])


def random_change(chance, index, items, seed):
    """One change of the index and of the list that stands for it."""
    names = [f"{chance.randrange(60)}" for _ in range(chance.randrange(12))]
    names = list(dict.fromkeys(names))
    kind = chance.choice(["add", "upsert", "upsert", "remove", "remove", "compact", "reopen"])
    if kind == "add":
        new = items_of([name for name in names if name not in items], seed)
        index.add(*arguments(new))
        items |= new
    elif kind == "upsert":
        new = items_of(names, seed)
        index.upsert(*arguments(new))
        for name in names:
            items.pop(name, None)
        items |= new
    elif kind == "remove":
        assert index.remove(names, missing="ignore") == sum(items.pop(name, None) is not None for name in names)
    elif kind == "compact":
        index.compact()
    else:
        index = Index.open(index.path)
    return index


def test_any_sequence_of_changes_leaves_the_items_of_a_list(tmp_path):
    for seed in range(amount(6, 60)):
        chance, items = random.Random(seed), {}
        index = Index.create(tmp_path / f"{seed}", BITS)
        for step in range(40):
            index = random_change(chance, index, items, 1000 * seed + step)
            assert index.ids() == list(items)
        same(index, items)
        index.verify()
        if items:
            assert files(index.path) == files_of(index)


def test_tables_and_duplicates_of_what_is_left(three):
    index, items = three
    index.remove(list(items)[::2])
    codes = index.codes()
    np.testing.assert_array_equal(
        vtsearch.MultiIndex(index.database()).rank(QUERIES, 4).indices, reference.rank(QUERIES, codes, 4)[1]
    )
    assert index.deduplicate(3).representatives.tolist() == vtsearch.deduplicate(codes, 3).representatives.tolist()


WRITER = """
import random, sys
import numpy as np
from vtsearch.index import Index
folder, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
import time
chance, number, end = random.Random(seed), 0, time.monotonic() + seconds
index = Index.open(folder)
while time.monotonic() < end:
    kind = chance.choice(["add", "upsert", "remove", "compact"])
    number += 1
    names = [f"{seed}/{number}/{i}" for i in range(chance.randrange(1, 40))]
    codes = np.full((len(names), 3), number % 256, np.uint8)
    if kind == "add":
        index.add(codes, names, [number] * len(names))
    elif kind == "compact":
        index.compact()
    elif own := [name for name in index.ids() if name.startswith(f"{seed}/")]:
        some = chance.sample(own, min(len(own), 30))
        if kind == "remove":
            index.remove(some)
        else:
            index.upsert(np.full((len(some), 3), number % 256, np.uint8), some, [number] * len(some))
print(number)
"""

READER = """
import sys, time
import numpy as np
from vtsearch.index import Index
folder, seconds = sys.argv[1], float(sys.argv[2])
end, states, longest, index = time.monotonic() + seconds, 0, 0.0, Index.open(folder)
while time.monotonic() < end:
    began = time.monotonic()
    if states % 2:
        index.refresh()
    else:
        index = Index.open(folder)
    longest = max(longest, time.monotonic() - began)
    labels, codes, ids = index.labels(), index.codes(), index.ids()
    assert len(index) == len(ids) == len(codes) == len(labels) == len(set(ids))
    assert (codes == (labels % 256)[:, None]).all(), "a code and a label of different changes"
    if states % 7 == 0:
        index.verify()
    states += 1
print(states, longest)
"""


@pytest.mark.slow
def test_readers_see_whole_changes_while_two_processes_write(tmp_path):
    folder, seconds = tmp_path / "index", str(amount(6, 600))
    Index.create(folder, BITS).add(np.zeros((1, 3), np.uint8), ["first"], [0])
    commands = [[WRITER, str(folder), str(seed), seconds] for seed in (1, 2)] + [[READER, str(folder), seconds]] * 4
    children = [
        subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    printed = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0] * 6, printed
    changes_made, states = (sum(int(out.split()[0]) for out, _ in some) for some in (printed[:2], printed[2:]))
    longest = max(float(out.split()[1]) for out, _ in printed[2:])
    print(f"\n{changes_made} changes, {states} states read, opened in at most {longest:.3f} s")  # noqa: T201
    with Index.open(folder) as index:
        index.verify()
        index.compact()
        assert files(folder) == files_of(index)
