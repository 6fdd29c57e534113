"""A sharded index on a Ray cluster of several node processes: equal answers, also when actors and nodes die."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple

import numpy as np
import pytest
from sharded import codes_of, grown, labels_of, questions, same, weighted

from vtsearch.cli import main
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.scale import ShardedIndex, actors
from vtsearch.scale.actors import ActorShards

pytestmark = pytest.mark.slow

CPUS = 0.1


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return grown(tmp_path_factory.mktemp("sharded") / "index")


def opened(index, nodes, shards=3, **options):
    return ShardedIndex.open(index.path, shards, ray=nodes.address, cpus=CPUS, **options)


def handles(sharded):
    """The actors of each shard."""
    return [[actor.handle for actor in shard] for shard in sharded._shards._actors]


def pid_of(handle):
    import ray

    return ray.get(handle.__ray_call__.remote(lambda _: os.getpid()))


def await_death(handle):
    """Wait until an actor is known to be gone for good."""
    import ray

    with contextlib.suppress(ray.exceptions.ActorDiedError):
        while True:
            pid_of(handle)


def node_of(handle):
    import ray

    return ray.get(handle.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id()))


@pytest.mark.parametrize("shards", [1, 2, 3, 8])
def test_answers_are_those_of_one_index(ray_cluster, index, shards):
    with opened(index, ray_cluster, shards) as sharded:
        for question in questions(len(index)).values():
            same(question(sharded), question(index))
        same(weighted(sharded), weighted(index))


def test_actors_are_spread_over_the_nodes(ray_cluster, index):
    with opened(index, ray_cluster, 3) as sharded:
        assert len({node_of(actor) for (actor,) in handles(sharded)}) == 3


def test_many_queries_are_sent_once(ray_cluster, index, monkeypatch):
    import ray

    put, sizes = ray.put, []
    monkeypatch.setattr(ray, "put", lambda value: sizes.append(value.nbytes) or put(value))
    queries = codes_of(3, 20_000)
    with opened(index, ray_cluster, 3) as sharded:
        same(sharded.rank(queries, 2)[:1], index.search(queries, 2)[:1])
    assert sizes == [queries.nbytes]


def test_mistakes_are_those_of_an_index(ray_cluster, index):
    with opened(index, ray_cluster, 2) as sharded:
        with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
            sharded.search(codes_of(0, 1), 0)
        with pytest.raises(ValueError, match=r"where: .*JSON path.*; columns are id, label, number, word"):
            sharded.where("json_extract(word, 'a')")


def test_near_duplicates_are_found_by_the_actors(ray_cluster, index):
    with opened(index, ray_cluster, 2) as sharded:
        for radius in (0, 6):
            found, expected = sharded.deduplicate(radius), index.deduplicate(radius)
            np.testing.assert_array_equal(found.representatives, expected.representatives)


def test_metrics_are_those_of_one_index(ray_cluster, index):
    queries, truth = codes_of(99, 40), labels_of("single", 99, 40)
    with opened(index, ray_cluster, 3) as sharded:
        for k, own in ((None, {}), (20, {"where": "number < 70"}), (20, {"exclude": np.arange(40)})):
            found, expected = (each.evaluate(queries, truth, k, **own) for each in (sharded, index))
            one, other = (each.mean_average_precision for each in (found, expected))
            np.testing.assert_allclose([*astuple(one)], [*astuple(other)], rtol=1e-12)
            np.testing.assert_allclose(found.average_precisions, expected.average_precisions, rtol=1e-12)


def test_arguments_of_actors(ray_cluster, index):
    for options, error, message in (
        ({"cpus": 0}, ValueError, "cpus: expected more than 0, got 0"),
        ({"cpus": "1"}, TypeError, "cpus: expected a number, got '1'"),
        ({"timeout": 0}, ValueError, "timeout: expected more than 0, got 0"),
    ):
        with pytest.raises(error, match=message):
            ShardedIndex.open(index.path, 2, ray=ray_cluster.address, **options)


def searching(sharded, expected, queries, done):
    """Search until it is done; the number of answers, each compared, and the longest time."""
    count, longest = 0, 0.0
    while not done.is_set():
        began = time.monotonic()
        same(sharded.search(queries, 6), expected)
        count, longest = count + 1, max(longest, time.monotonic() - began)
    return count, longest


def disturbed(sharded, index, disturb, *, queries):
    """Search in two threads while something is disturbed; all answers are those of the index."""
    expected, done = index.search(queries, 6), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(searching, sharded, expected, queries, done) for _ in range(2)]
        try:
            time.sleep(0.3)
            disturb()
            time.sleep(0.5)
            same(sharded.search(queries, 6), expected)
        finally:
            done.set()
        counts, times = zip(*(each.result() for each in asking), strict=True)
    assert sum(counts) > 2
    return max(times)


def kill_process(handle):
    os.kill(pid_of(handle), signal.SIGKILL)


def kill_and_restart(handle):
    import ray

    ray.kill(handle, no_restart=False)


@pytest.mark.parametrize("kill", [kill_process, kill_and_restart])
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_shard_that_dies_while_it_searches_costs_time_only(ray_cluster, index, kill, replicas):
    with opened(index, ray_cluster, 2, replicas=replicas) as sharded:
        longest = disturbed(sharded, index, lambda: kill(handles(sharded)[1][0]), queries=codes_of(9, 2_000))
    print(f"the longest answer took {longest:.2f} s")  # noqa: T201 (with -s)


def test_all_replicas_die_one_after_the_other(ray_cluster, index):
    with opened(index, ray_cluster, 1, replicas=2) as sharded:

        def kill_both():
            for handle in handles(sharded)[0]:
                kill_process(handle)

        disturbed(sharded, index, kill_both, queries=codes_of(9, 200))


def test_a_replica_that_is_gone_for_good_is_passed_over(ray_cluster, index):
    import ray

    with opened(index, ray_cluster, 2, replicas=2) as sharded:
        disturbed(sharded, index, lambda: ray.kill(handles(sharded)[0][1]), queries=codes_of(9, 200))
        sharded.refresh()
        same(sharded.search(codes_of(1, 2), 3), index.search(codes_of(1, 2), 3))


def test_without_any_actor_of_a_shard_there_is_no_answer(ray_cluster, index):
    import ray

    with opened(index, ray_cluster, 3) as sharded:
        ray.kill(handles(sharded)[1][0])
        await_death(handles(sharded)[1][0])
        began = time.monotonic()
        for question in (lambda: sharded.search(codes_of(1, 2), 3), lambda: sharded.where("number = 1")):
            with pytest.raises(
                VtsearchError, match=r"shard 2 of 3: expected an answer within 60 s, got none \(.*\); the"
            ):
                question()
        assert time.monotonic() - began < 30  # an actor that is gone for good is not awaited


def test_a_shard_that_no_node_can_hold_is_no_shard(ray_cluster, index):
    with pytest.raises(
        VtsearchError, match=r"shard 1 of 2: expected an answer within 1 s, got none \(it does not answer"
    ):
        ShardedIndex.open(index.path, 2, ray=ray_cluster.address, cpus=64, timeout=1)


def test_a_restarted_actor_opens_the_generation_that_is_asked(ray_cluster, tmp_path):
    index = grown(tmp_path / "index")
    with opened(index, ray_cluster, 2) as sharded:
        index.remove(where="number > 30")
        before = sharded.search(codes_of(1, 3), 4)
        kill_process(handles(sharded)[0][0])
        found = sharded.search(codes_of(1, 3), 4)  # its generation is gone: all shards answer from the newest
        same(found, index.search(codes_of(1, 3), 4))
        assert found.ids != before.ids
        assert sharded.generation == index.generation


def test_every_answer_is_that_of_one_generation(ray_cluster, tmp_path):
    index, queries = grown(tmp_path / "index"), codes_of(77, 4)
    expected, answers, done = set(), [], threading.Event()

    def remember():
        expected.add(Index.open(index.path).search(queries, 6).indices.tobytes())

    def ask(sharded):
        while not done.is_set():
            answers.append(sharded.search(queries, 6).indices.tobytes())

    remember()
    with opened(index, ray_cluster, 3, replicas=2) as sharded, ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, sharded) for _ in range(2)]
        for number in range(5):
            new = np.concatenate([queries, codes_of(number, 5)])
            sharded.add(new, [f"new {number}/{n}" for n in range(9)], [0] * 9)
            remember()
            if number == 2:
                kill_process(handles(sharded)[2][0])
        done.set()
        for each in asking:
            each.result()
    assert len(answers) > 5
    assert set(answers) <= expected


def test_the_command_searches_on_the_cluster(ray_cluster, index, capsys):
    words = ["search", "1/0", "3/7", "--index", str(index.path), "--where", "number < 70"]
    assert main(words) == 0
    expected = capsys.readouterr().out
    assert main([*words, "--ray", ray_cluster.address, "--shards", "2"]) == 0
    assert capsys.readouterr().out == expected


NAMED = """
import sys
import numpy as np
from vtsearch.scale import ShardedIndex
index = ShardedIndex.open(sys.argv[1], 2, ray=sys.argv[2], cpus=0.1, name="kept", replicas=2)
print(index.search(np.zeros((1, 6), dtype=np.uint8), 3).indices.tolist(), flush=True)
import os
os.kill(os.getpid(), 9)
"""


def test_actors_with_a_name_outlive_their_driver(ray_cluster, index):
    ended = subprocess.run(
        [sys.executable, "-c", NAMED, index.path, ray_cluster.address], capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    found = index.search(np.zeros((1, 6), dtype=np.uint8), 3).indices.tolist()
    assert ended.stdout == f"{found}\n"
    sharded = opened(index, ray_cluster, 2, name="kept", replicas=2)
    pids = [[pid_of(handle) for handle in shard] for shard in handles(sharded)]
    assert sharded.search(np.zeros((1, 6), dtype=np.uint8), 3).indices.tolist() == found
    sharded.close()
    again = opened(index, ray_cluster, 2, name="kept", replicas=2)
    assert [[pid_of(handle) for handle in shard] for shard in handles(again)] == pids
    again.close(stop=True)
    with opened(index, ray_cluster, 2, name="kept", replicas=2) as sharded:
        assert [[pid_of(handle) for handle in shard] for shard in handles(sharded)] != pids
        sharded.close(stop=True)


def test_a_node_that_dies_while_its_shards_search(ray_cluster, index, monkeypatch):
    monkeypatch.setattr(actors, "AVOIDED_SECONDS", 1.0)
    with opened(index, ray_cluster, 3, replicas=2) as sharded:
        assert isinstance(sharded._shards, ActorShards)
        longest = disturbed(
            sharded, index, lambda: ray_cluster.kill_node(ray_cluster.nodes[-1]), queries=codes_of(9, 500)
        )
        print(f"with replicas the longest answer took {longest:.2f} s")  # noqa: T201 (with -s)
    with opened(index, ray_cluster, 3) as sharded:
        longest = disturbed(
            sharded, index, lambda: ray_cluster.kill_node(ray_cluster.nodes[-1]), queries=codes_of(9, 500)
        )
        print(f"without replicas the longest answer took {longest:.2f} s")  # noqa: T201 (with -s)
