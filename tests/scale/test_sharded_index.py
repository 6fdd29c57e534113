"""A sharded index in one process: the answers of one index for any number of shards."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sharded import BITS, codes_of, grown, questions, same, weighted

import vtsearch
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, IndexView, changes, tables
from vtsearch.index.view import GenerationGoneError
from vtsearch.scale import ShardedIndex
from vtsearch.scale.cuts import cut_points, spans_between
from vtsearch.scale.shard import MOST_GENERATIONS, Shard
from vtsearch.scale.shards import LocalShards


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """An index that no test changes."""
    return grown(tmp_path_factory.mktemp("sharded") / "index")


@pytest.mark.parametrize("shards", [1, 2, 3, 8])
def test_answers_are_those_of_one_index(index, shards):
    with ShardedIndex.open(index.path, shards) as sharded:
        for question in questions(len(index)).values():
            same(question(sharded), question(index))
        same(weighted(sharded), weighted(index))
        same(sharded.where("number > 50"), index.where("number > 50"))


def test_more_shards_than_items(tmp_path):
    index = grown(tmp_path / "index", sizes=(6, 8, 1, 30))
    index.remove(where="number > 1")
    assert 3 < len(index) < 12
    with ShardedIndex.open(index.path, 12) as sharded:
        for query in (codes_of(1, 3), codes_of(1, 0)):
            for k in (1, 4, None):
                same(sharded.search(query, k), index.search(query, k))
            same(sharded.within(query, 20), index.within(query, 20))
            same(sharded.histogram(query), index.histogram(query))
    Index.create(tmp_path / "empty", BITS)
    with ShardedIndex.open(tmp_path / "empty", 3) as sharded, Index.open(tmp_path / "empty") as index:
        same(sharded.search(codes_of(1, 2), 3), index.search(codes_of(1, 2), 3))
        same(sharded.where("id = '1'"), index.where("id = '1'"))
        assert sharded.ids() == []


def test_what_an_index_knows_of_its_items(index):
    with ShardedIndex.open(index.path, 3) as sharded:
        assert (len(sharded), sharded.bits, sharded.columns()) == (len(index), BITS, index.columns())
        assert (sharded.ids(), sharded.metadata()) == (index.ids(), index.metadata())
        assert sharded.ids_at([5, 200]) == index.ids_at([5, 200])
        assert sharded.metadata_at([5, 200]) == index.metadata_at([5, 200])
        assert sharded.positions_of(["3/0", "?"]).tolist() == index.positions_of(["3/0", "?"]).tolist()
        np.testing.assert_array_equal(sharded.labels(), index.labels())
        np.testing.assert_array_equal(sharded.database().rows(np.arange(9)), index.codes()[:9])
        assert (sharded.path, sharded.paths, sharded.shards) == (index.path, (index.path,), 3)
        assert sharded.generation == index.generation
        assert repr(sharded) == f"ShardedIndex({index.path}, {len(index)} items in 3 shards)"


WRONG = {
    "codes of another width": lambda index: index.search(codes_of(0, 2)[:, :5], 3),
    "codes that are floats": lambda index: index.search(np.zeros((2, 6)), 3),
    "k of 0": lambda index: index.search(codes_of(0, 2), 0),
    "k that is a text": lambda index: index.search(codes_of(0, 2), "3"),
    "a mask of another length": lambda index: index.search(codes_of(0, 2), 3, mask=[True]),
    "masks of other queries": lambda index: index.search(codes_of(0, 2), 3, mask=np.ones((3, len(index)), dtype=bool)),
    "positions outside": lambda index: index.search(codes_of(0, 2), 3, exclude=[0, len(index)]),
    "self of few queries": lambda index: index.search(codes_of(0, 2), 3, exclude="self"),
    "k that one cannot fill": lambda index: index.search(codes_of(0, 2), None, exclude=[1, -1]),
    "k that one mask cannot fill": lambda index: index.search(
        codes_of(0, 2), 3, mask=np.arange(len(index)) < [[2], [50]]
    ),
    "an unknown column": lambda index: index.search(codes_of(0, 2), 3, where="size > 3"),
    "a condition that depends on rows": lambda index: index.search(codes_of(0, 2), 3, where="json_extract(word, 'a')"),
    "missing parameters": lambda index: index.search(codes_of(0, 2), 3, where="number > ?"),
    "bits beyond": lambda index: index.search(codes_of(0, 2), 3, bits=BITS + 1),
    "a negative radius": lambda index: index.within(codes_of(0, 2), -1),
    "a progress that is no function": lambda index: index.count(codes_of(0, 2), 3, progress=3),
    "threads of 0": lambda index: index.histogram(codes_of(0, 2), threads=0),
    "an unknown item": lambda index: index.search_items(["?"], 3),
    "a position beyond": lambda index: index.ids_at([10_000]),
}


@pytest.mark.parametrize("question", WRONG.values(), ids=WRONG)
def test_mistakes_are_named_as_by_an_index(index, question):
    with ShardedIndex.open(index.path, 3) as sharded:
        with pytest.raises(Exception) as expected:
            question(index)
        with pytest.raises(type(expected.value)) as raised:
            question(sharded)
        assert str(raised.value) == str(expected.value)


def test_a_mistake_is_sent_to_no_shard(index, monkeypatch):
    with ShardedIndex.open(index.path, 2) as sharded:
        monkeypatch.setattr(LocalShards, "ask", None)
        for name in ("k of 0", "an unknown column", "positions outside", "k that one cannot fill"):
            with pytest.raises(ValueError):
                WRONG[name](sharded)
        with pytest.raises(ValueError, match="explain: expected an index that this process searches, got a sharded"):
            sharded.search(codes_of(0, 1), 1, explain=True)


def test_shards_search_by_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LEAST_BYTES", 200)
    monkeypatch.setattr(changes, "MOST_ROWS", 100)
    index = grown(tmp_path / "index")
    index.compact(tables=True)
    sizes = np.cumsum([segment.items for segment in index.segments]).tolist()
    with ShardedIndex.open(index.path, 2) as sharded:
        assert sharded.current.cuts[1] in sizes
        for name, question in questions(len(index)).items():
            if "search" in name:
                same(question(sharded), question(index))


def test_progress_is_that_of_all_items(index):
    told = []
    with ShardedIndex.open(index.path, 3) as sharded:
        sharded.search(codes_of(1, 2), 3, progress=lambda done, items: told.append((done, items)))
    assert len(told) == 3
    assert told[-1] == (len(index), len(index))
    assert told == sorted(told)


@pytest.mark.parametrize("shards", [1, 3])
def test_near_duplicates_are_those_of_one_index(index, tmp_path, shards):
    told = []
    with ShardedIndex.open(index.path, shards) as sharded:
        for radius in (0, 3, 7, BITS):
            found = sharded.deduplicate(radius, progress=lambda done, items: told.append((done, items)))
            expected = index.deduplicate(radius)
            np.testing.assert_array_equal(found.representatives, expected.representatives)
            assert [group.tolist() for group in found.groups()] == [group.tolist() for group in expected.groups()]
        assert told[-1] == (len(index), len(index))
        for own in ({"where": "number < 50"}, {"max_diameter": 9}, {"against": codes_of(4, 9)}):
            found, expected = sharded.deduplicate(6, **own), index.deduplicate(6, **own)
            for name in ("representatives", "matches", "match_distances"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        work = tmp_path / "work"
        assert sharded.deduplicate(3, work=work).kept().tolist() == index.deduplicate(3).kept().tolist()
        assert work.is_dir()
        with pytest.raises(ValueError, match="work: expected none beside against, max_diameter or where, got a folder"):
            sharded.deduplicate(3, where="number < 50", work=work)
        with pytest.raises(ValueError, match="radius: expected at least 0, got -1"):
            sharded.deduplicate(-1)


# Several indexes


def test_several_indexes_answer_as_one(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "whole")]
    whole = Index.create(folders[2], BITS, fingerprints={"model": "m", "preprocessing": "p"})
    parts = [grown(folders[0], prefix="a"), grown(folders[1], sizes=(20, 60), prefix="b")]
    for part in parts:
        whole.add(part.codes(), part.ids(), part.labels(), part.metadata())
    for shards in (1, 3, 5):
        with ShardedIndex.open(folders[:2], shards) as sharded:
            assert sharded.paths == tuple(folders[:2])
            for question in questions(len(whole)).values():
                same(question(sharded), question(whole))


def test_an_id_of_several_indexes_names_the_item_of_the_last(tmp_path):
    for name in ("one", "two"):
        with Index.create(tmp_path / name, BITS) as index:
            index.add(codes_of(3, 4), [name, "both", "", "x"])
    with ShardedIndex.open([tmp_path / "one", tmp_path / "two"], 2) as sharded:
        assert sharded.positions_of(["one", "both", "two", "?"]).tolist() == [0, 5, 4, -1]
        assert sharded.search_items(["both"], 1).indices.tolist() == [[1]]  # the equal code of the first index
        assert sharded.search(codes_of(3, 4)[1:2], 2).ids == [["both", "both"]]
        sharded.upsert(codes_of(8, 1), ["both"])
        assert sharded.positions_of(["both"]).tolist() == [7]
        sharded.remove(["both"])
        assert sharded.positions_of(["both"]).tolist() == [1]


def test_indexes_that_do_not_belong_together(tmp_path):
    Index.create(tmp_path / "one", 64, fingerprints={"model": "a"})
    Index.create(tmp_path / "two", 64, fingerprints={"model": "b"})
    Index.create(tmp_path / "three", 32)
    with pytest.raises(VtsearchError, match=r"has model a, .*two model b: they do not belong together"):
        ShardedIndex.open([tmp_path / "one", tmp_path / "two"])
    with pytest.raises(VtsearchError, match=r"bits: expected 64 in .*three, as in .*one, got 32"):
        ShardedIndex.open([tmp_path / "one", tmp_path / "three"])


# Opening and closing


def test_arguments_of_open(tmp_path):
    Index.create(tmp_path / "index", BITS)
    for arguments, error, message in (
        ({"paths": []}, ValueError, "paths: expected at least one folder of an index, got none"),
        ({"shards": 0}, ValueError, "shards: expected at least 1, got 0"),
        ({"shards": 10**12}, ValueError, "shards: expected at most 4096, got 1000000000000"),
        ({"replicas": 65}, ValueError, "replicas: expected at most 64, got 65"),
        ({"shards": 1.5}, TypeError, r"shards: expected an int, got 1\.5"),
        ({"replicas": 0}, ValueError, "replicas: expected at least 1, got 0"),
        ({"replicas": 2}, ValueError, "replicas, name: expected an address of a Ray cluster beside them, got ray=None"),
        ({"name": "x"}, ValueError, "replicas, name: expected an address of a Ray cluster"),
        ({"threads": 0}, ValueError, "threads: expected at least 1, got 0"),
        ({"paths": tmp_path / "no"}, FileNotFoundError, "no such index"),
        ({"paths": [tmp_path]}, VtsearchError, "expected an index"),
    ):
        with pytest.raises(error, match=message):
            ShardedIndex.open(**{"paths": str(tmp_path / "index"), **arguments})


def test_a_closed_index_answers_nothing(index):
    with ShardedIndex.open(index.path, 2) as sharded:
        pass
    sharded.close()
    asked = (
        len,
        ShardedIndex.ids,
        ShardedIndex.refresh,
        lambda index: index.search(codes_of(0, 1), 1),
        lambda index: index.generation,
        lambda index: index.add(codes_of(0, 1)),
        lambda index: index.__enter__(),
    )
    for question in asked:
        with pytest.raises(VtsearchError, match="this index is closed; open it again"):
            question(sharded)
    assert repr(sharded).endswith("closed)")


# Changes


def test_changes_are_those_of_the_last_index(tmp_path):
    one, two = grown(tmp_path / "one", prefix="a"), grown(tmp_path / "two", prefix="b")
    with ShardedIndex.open([one.path, two.path], 3) as sharded:
        sharded.add(codes_of(50, 3), ["x", "y", "z"], [1, 2, 3], {"number": [5, 6, 7]})
        two.refresh()
        assert sharded.ids() == one.ids() + two.ids()
        assert two.ids()[-3:] == ["x", "y", "z"]
        assert sharded.remove(where="number = 6") > 0
        sharded.upsert(codes_of(51, 1), ["x"], [4])
        two.refresh()
        assert sharded.ids() == one.ids() + two.ids()
        same(
            sharded.search(codes_of(51, 1), 2, mask=np.arange(len(sharded)) >= len(one))[:1],
            two.search(codes_of(51, 1), 2)[:1],
        )
        with pytest.raises(ValueError, match="ids: expected new ids, got 'x'"):
            sharded.add(codes_of(50, 1), ["x"], [1])
        with pytest.raises(ValueError, match=r"ids: expected ids in .*two, got 'a0/1'"):
            sharded.remove(["a0/1"])


def test_what_others_change_is_seen_after_refresh(tmp_path):
    index = grown(tmp_path / "index")
    with ShardedIndex.open(index.path, 3) as sharded:
        before = sharded.search(codes_of(1, 3), 4)
        index.remove(where="number > 3")
        same(sharded.search(codes_of(1, 3), 4), before)
        sharded.refresh()
        same(sharded.search(codes_of(1, 3), 4), index.search(codes_of(1, 3), 4))
        assert sharded.generation == index.generation


def test_a_shard_holds_two_generations(tmp_path):
    index, shard = grown(tmp_path / "index"), Shard(1)
    views = []
    for number in range(4):
        views.append(index.between(3, 60).spans)
        shard.open(views[-1])
        index.add(codes_of(number, 1), [f"new {number}"], [0])
    assert list(shard._open) == views[-MOST_GENERATIONS:]
    with pytest.raises(GenerationGoneError, match="the index has changed"):
        shard.open(views[0])


def test_generations_share_their_open_files(tmp_path):
    index, shard = grown(tmp_path / "index"), Shard(1)
    shard.open(index.between(0, len(index)).spans)
    index.add(codes_of(5, 1), ["new"], [0])
    shard.open(index.between(0, len(index)).spans)
    one, other = (view.state.parts for view in shard._open.values())
    assert [each is again for each, again in zip(one, other, strict=False)] == [True] * len(one)


class Forgetful(LocalShards):
    """Shards that are started anew before each question, as after a crash."""

    def ask(self, *arguments):
        self._shards = [Shard(1) for _ in self._shards]
        return super().ask(*arguments)


def test_a_state_that_a_shard_has_lost_is_followed_by_the_newest(tmp_path):
    index = grown(tmp_path / "index")
    with ShardedIndex([Index.open(index.path)], Forgetful(3, 1)) as sharded:
        index.remove(where="number > 3")
        before = sharded.generation
        same(sharded.search(codes_of(1, 3), 4), index.search(codes_of(1, 3), 4))
        assert sharded.generation == index.generation != before
        index.add(codes_of(1, 1), ["new"], [1])
        for own in ({"mask": np.ones(len(sharded), dtype=bool)}, {"exclude": [1, 2, 3]}):
            with pytest.raises(GenerationGoneError, match="the index has changed"):
                sharded.search(codes_of(1, 3), 4, **own)
        same(sharded.rank(codes_of(1, 3), 4), vtsearch.rank(codes_of(1, 3), index.database(), 4))


def test_an_index_that_changes_again_and_again(tmp_path, monkeypatch):
    index = grown(tmp_path / "index")

    def overtaken(self, spans, opened=Shard.open):
        index.add(codes_of(0, 1), labels=[0])
        opened(self, spans)

    monkeypatch.setattr(Shard, "open", overtaken)
    with pytest.raises(VtsearchError, match="expected an index that stays, got one that changes again and again"):
        ShardedIndex.open(index.path, 2)


def test_every_answer_is_that_of_one_generation_while_items_are_added(tmp_path):
    index, queries = grown(tmp_path / "index"), codes_of(77, 4)
    expected, done = {}, threading.Event()

    def remember():
        found = Index.open(index.path)
        expected[found.search(queries, 6).indices.tobytes(), found.histogram(queries).tobytes()] = len(expected)

    def ask(sharded):
        answers = []
        while not done.is_set():
            state = sharded.current
            answers.append((state.search(queries, 6).indices.tobytes(), state.histogram(queries).tobytes()))
            sharded.search(queries, 6)
        return answers

    remember()
    with ShardedIndex.open(index.path, 3) as sharded, ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, sharded) for _ in range(4)]
        for number in range(8):
            sharded.add(
                np.concatenate([queries, codes_of(number, 5)]), [f"new {number}/{n}" for n in range(9)], [0] * 9
            )
            remember()
        sharded.remove(where="id GLOB 'new*'")
        remember()
        done.set()
        answers = [answer for each in asking for answer in each.result()]
    assert len(answers) > 4
    assert set(answers) <= set(expected)


# Cuts


def test_cuts_are_even_and_at_whole_bytes():
    assert cut_points(100, 1) == [0, 100]
    assert cut_points(100, 3) == [0, 32, 64, 100]
    assert cut_points(5, 4) == [0, 0, 0, 0, 5] or cut_points(5, 4)[-1] == 5
    assert cut_points(0, 2) == [0, 0, 0]
    for items in (7, 64, 1000, 12_345):
        cuts = cut_points(items, 5)
        assert cuts == sorted(cuts)
        assert all(cut % 8 == 0 or cut == items for cut in cuts)
        assert max(np.diff(cuts)) <= items / 5 + 8


def test_cuts_are_at_the_ends_of_near_segments():
    assert cut_points(1000, 2, [0, 400, 620, 1000]) == [0, 400, 1000]
    assert cut_points(1000, 2, [0, 100, 1000]) == [0, 496, 1000]
    assert cut_points(1000, 2, [0, 510, 520, 1000]) == [0, 510, 1000]


def test_spans_of_shards_are_those_of_the_whole(tmp_path):
    one, two = grown(tmp_path / "one"), grown(tmp_path / "two", sizes=(10, 20))
    spans = [*one.between(0, len(one)).spans, *two.between(4, len(two)).spans]
    whole = IndexView.open(spans)
    for cuts in ([0, len(whole)], [0, 3, 200, 260, 261, len(whole)]):
        parts = [spans_between(spans, *ends) for ends in itertools.pairwise(cuts)]
        assert [name for part in parts for name in IndexView.open(part).ids()] == whole.ids()
    assert len(IndexView.open(spans_between(spans, 5, 5))) == 0
