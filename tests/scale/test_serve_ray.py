"""``vtsearch serve --ray``: the page and the API of one process, over actors on several nodes."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest
from serving import make_photos, server_of

from vtsearch.index import Index

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")]

QUERIES = [
    {"code": "0f0f", "k": 300},
    {"id": "dir/001.png", "k": 20, "histogram": True},
    {"code": "1234", "bits": 9, "where": "width < 20", "k": 40},
]


def ask(server, method, path, content=None):
    """The status and the JSON of an answer."""
    body = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(server.url + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def search(server, query):
    status, answer = ask(server, "POST", "/v1/search", query)
    assert status == 200, answer
    return {name: value for name, value in answer.items() if name not in {"timings", "how"}}


@pytest.fixture
def folder(tmp_path):
    return make_photos(tmp_path / "photos")


def test_the_page_and_the_api_over_actors(ray_cluster, folder):
    words = ["--ray", ray_cluster.address, "--shards", 3, "--cpus", 0.5, "--writable"]
    with server_of(folder) as alone, server_of(folder, *words) as server:
        for query in QUERIES:
            assert search(server, query) == search(alone, query)
        assert ask(server, "POST", "/v1/search", QUERIES[0])[1]["how"] == "257 items by scans of shards"
        item = {"id": "new", "code": "ffff", "labels": [0]}
        assert ask(server, "POST", "/v1/items", {"items": [item]})[0] == 200
        with Index.open(folder) as index:
            index.remove(["dir/001.png"])
        found = search(server, {"code": "ffff", "k": 300})
        assert found == search(alone, {"code": "ffff", "k": 300})
        assert found["items"] == 257
        assert server.end() == 0
        assert server.log == ""


def started(cluster, count, before):
    """The processes of some new actors, once they have started; ``before``: those that there were."""
    deadline = time.monotonic() + 30
    while len(found := sorted({*shard_processes(cluster)} - {*before})) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def shard_processes(cluster):
    """The processes of all actors: nodes start them, not the server."""
    return [process.pid for process in cluster.processes("ray::Shard")]


def test_an_actor_that_is_killed_is_awaited_or_its_replica_answers(ray_cluster, folder):
    words = ["--ray", ray_cluster.address, "--shards", 2, "--replicas", 2, "--cpus", 0.2]
    before = shard_processes(ray_cluster)
    with server_of(folder, *words) as server:
        expected = search(server, QUERIES[0])
        os.kill(started(ray_cluster, 4, before)[0], signal.SIGKILL)
        for _ in range(20):
            assert search(server, QUERIES[0]) == expected
        assert server.end() == 0


def test_an_answer_without_a_shard_is_a_problem(ray_cluster, folder):
    words = ["--ray", ray_cluster.address, "--shards", 2, "--cpus", 0.2]
    before = shard_processes(ray_cluster)
    with server_of(folder, *words) as server:
        assert len(search(server, QUERIES[0])["results"]) == 257
        processes = started(ray_cluster, 2, before)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            status, answer = ask(server, "POST", "/v1/search", QUERIES[0])
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
        assert status == 503
        assert "the answer of the others would be incomplete" in answer["detail"]
        assert ask(server, "GET", "/v1/items/dir%2F002.png")[0] == 200
        assert len(search(server, QUERIES[0])["results"]) == 257
        assert server.end() == 0
