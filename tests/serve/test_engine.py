"""A server whose codes shards scan: the same answers, of the same state, and no part of one as if it were whole."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
from serving import client_of, make_empty, make_photos, make_tags

from vtsearch.errors import UnavailableError
from vtsearch.index import Index
from vtsearch.index.view import GenerationGoneError
from vtsearch.scale.serving import ShardEngine
from vtsearch.scale.shards import LocalShards
from vtsearch.serve.search import question, search_each
from vtsearch.serve.wire import SearchRequest

QUERIES = {
    "code": {"code": "0f0f"},
    "many": {"code": "0f0f", "k": 1000},
    "id": {"id": "dir/001.png", "k": 20},
    "itself": {"id": "dir/001.png", "exclude_self": False},
    "radius": {"code": "ffff", "radius": 6, "k": 300},
    "condition": {"code": "1234", "where": "width < 20 AND label <> 1", "k": 50},
    "nothing": {"code": "1234", "where": "width < 0"},
    "first bits": {"code": "1234", "bits": 9, "k": 40},
    "first bits, condition": {"id": "dir/002.png", "bits": 5, "where": "width < 20", "histogram": True},
    "exclude": {"code": "0000", "exclude": ["dir/001.png", "dir/003.png", "nowhere"]},
    "histogram": {"id": "dir/002.png", "histogram": True},
    "histogram of a code": {"code": "0ff0", "histogram": True, "exclude": ["dir/002.png"]},
    "condition alone": {"where": "width = 3"},
}


@pytest.fixture(scope="module", params=[1, 3, 8])
def sharded(folders, request):
    with client_of(*folders.values(), engines=partial(ShardEngine.of_threads, request.param), passes=2) as client:
        yield client


def timeless(answer):
    return {name: value for name, value in answer.items() if name not in {"timings", "how"}}


def search(client, query):
    answer = client.post("/v1/search", json=query)
    assert answer.status_code == 200, answer.text
    return timeless(answer.json())


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_answers_are_those_of_one_process(client, sharded, query):
    assert search(sharded, query) == search(client, query)


def test_a_batch_is_answered_as_by_one_process(client, sharded):
    queries = {"queries": [*QUERIES.values(), {"index": "tags", "id": "t7", "histogram": True}]}
    one, other = (each.post("/v1/search/batch", json=queries).json()["answers"] for each in (client, sharded))
    assert list(map(timeless, other)) == list(map(timeless, one))


@pytest.mark.parametrize("path", ["/v1/mistakes", "/v1/mistakes?index=tags", "/v1/duplicates?radius=2", "/v1/facets"])
def test_views_are_those_of_one_process(client, sharded, path):
    assert sharded.get(path).json() == client.get(path).json()


def test_an_answer_says_that_shards_gave_it(sharded):
    answer = sharded.post("/v1/search", json={"code": "0000"}).json()
    assert answer["how"] == "257 items by scans of shards"


def test_an_index_without_items(tmp_path):
    with client_of(make_empty(tmp_path / "empty"), engines=partial(ShardEngine.of_threads, 3)) as client:
        assert search(client, {"code": "0000"})["results"] == []


def test_changes_are_followed(tmp_path):
    engines = partial(ShardEngine.of_threads, 3)
    with client_of(make_photos(tmp_path / "photos"), engines=engines, writable=True) as client:
        for number in range(5):
            item = {"id": f"new-{number}", "code": "ffff", "labels": [0]}
            assert client.post("/v1/items", json={"items": [item]}).status_code == 200
            found = search(client, {"code": "ffff", "k": 300})
            assert found["items"] == 258
            assert f"new-{number}" in [each["id"] for each in found["results"] if each["distance"] == 0]
            assert client.delete(f"/v1/items/new-{number}").status_code == 200
            assert search(client, {"code": "ffff"})["items"] == 257


class Shards(LocalShards):
    """Shards of which a test decides what they meet."""

    def __init__(self):
        super().__init__(2, 1)
        self.error, self.asked, self.go_on = None, threading.Event(), None
        self.is_closed = False

    def ask(self, *args):
        self.asked.set()
        if self.go_on is not None:
            self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        return super().ask(*args)

    def close(self):
        self.is_closed = True
        super().close()


@pytest.fixture
def shards():
    return Shards()


@pytest.fixture
def served(tmp_path, shards):
    with client_of(make_photos(tmp_path / "photos"), engines=lambda: ShardEngine(shards), writable=True) as client:
        yield client
    assert shards.is_closed


def test_an_answer_that_cannot_be_complete_is_a_problem(served, shards):
    shards.error = UnavailableError("shard 2 of 2: expected an answer within 15 s, got none")
    for path, query in (("/v1/search", {"code": "0000"}), ("/v1/search/batch", {"queries": [{"code": "0000"}]})):
        answer = served.post(path, json=query)
        assert (answer.status_code, answer.json()["detail"]) == (503, str(shards.error))
        assert answer.headers["retry-after"] == "1"
    assert served.get("/v1/items/dir%2F001.png").status_code == 200
    shards.error = None
    assert served.post("/v1/search", json={"code": "0000"}).status_code == 200


def test_what_cannot_be_reached_is_waited_for_once_by_all_of_a_pass(served, shards):
    asked = []

    def fail(*_):
        asked.append(1)
        raise UnavailableError("shard 2 of 2")

    shards.ask = fail
    state = served.service._indexes.find(None).following.state
    questions = [question(state, SearchRequest(code=f"000{digit}")) for digit in range(8)]
    assert all(isinstance(each, UnavailableError) for each in search_each(questions))
    assert len(asked) == 1


def test_a_request_under_way_is_answered_from_its_state(served, shards):
    before, found = search(served, {"code": "ffff", "k": 300}), []
    shards.asked.clear()
    shards.go_on = threading.Event()
    asking = threading.Thread(target=lambda: found.append(search(served, {"code": "ffff", "k": 300})))
    asking.start()
    assert shards.asked.wait(20)
    item = {"id": "new", "code": "ffff", "labels": [0]}
    assert served.post("/v1/items", json={"items": [item]}).status_code == 200
    shards.go_on.set()
    asking.join()
    assert found == [before]
    assert search(served, {"code": "ffff", "k": 300})["items"] == before["items"] + 1


def test_a_state_that_no_shard_has_any_more_gives_way_to_the_next(served, shards):
    """As when a shard was started again after the index has changed."""
    ask, errors = LocalShards.ask, [GenerationGoneError("gone")]

    def once(*args):
        if errors:
            raise errors.pop()
        return ask(shards, *args)

    shards.ask = once
    assert len(search(served, {"id": "dir/001.png", "k": 10})["results"]) == 10
    assert not errors


def test_a_state_that_is_gone_again_and_again_is_a_problem(served, shards):
    shards.error = GenerationGoneError("photos: expected generation a, got b")
    answer = served.post("/v1/search", json={"code": "0000"})
    assert (answer.status_code, answer.json()["detail"]) == (503, str(shards.error))


class Changing(ShardEngine):
    """An engine before which the index changes a number of times."""

    def __init__(self, folder, times):
        super().__init__(LocalShards(2, 1))
        self._folder, self._times = folder, times

    def scans(self, index):
        if self._times:
            self._times -= 1
            with Index.open(self._folder) as other:
                other.upsert(np.zeros((1, 2), dtype=np.uint8), ["new"], np.zeros(1, dtype=np.int64))
        return super().scans(index)


def test_an_index_that_changes_while_it_is_opened(tmp_path):
    folder = make_photos(tmp_path / "photos")
    with client_of(folder, engines=lambda: Changing(folder, 3)) as client:
        assert search(client, {"code": "0000"})["items"] == 258


def test_an_index_that_goes_on_changing_is_not_served(tmp_path):
    folder = make_photos(tmp_path / "photos")
    with (
        pytest.raises(Exception, match="the index changes again and again"),
        client_of(folder, engines=lambda: Changing(folder, 100)),
    ):
        pass


def test_tags(tmp_path):
    folder = make_tags(tmp_path / "tags")
    query = {"id": "t7", "histogram": True, "k": 90}
    with client_of(folder) as one, client_of(folder, engines=partial(ShardEngine.of_threads, 4)) as other:
        assert search(other, query) == search(one, query)
