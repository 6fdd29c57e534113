"""Several server processes behind one port: all answer as one does, and one that ends is replaced."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import make_photos, server_of

from vtsearch import rank
from vtsearch.index import Index

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    return make_photos(tmp_path / "photos")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two processes that no test ends."""
    with server_of(make_photos(tmp_path_factory.mktemp("pair") / "photos"), "--workers", 2, "--writable") as server:
        yield server


OPEN = []


@pytest.fixture(autouse=True)
def closed():
    """Connections that a test leaves open are closed behind it."""
    yield
    while OPEN:
        OPEN.pop().close()


class Connection:
    """A connection that stays with one of the processes."""

    def __init__(self, server):
        OPEN.append(self)
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._connection.connect()
        self.pid = worker_of(server, self._connection.sock.getsockname()[1])

    def ask(self, method, path, content=None):
        """The status and the body of an answer."""
        body = None if content is None else json.dumps(content)
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def search(self, **query):
        status, body = self.ask("POST", "/v1/search", query)
        assert status == 200, body
        return json.loads(body)

    def close(self):
        self._connection.close()


def worker_of(server, port):
    """The process that has taken the connection from a port, once it has."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        inodes = [
            each[9]
            for each in fields
            if each[1].endswith(f":{server.port:04X}") and each[2].endswith(f":{port:04X}") and each[9] != "0"
        ]
        for pid in server.children():
            if inodes and f"socket:[{inodes[0]}]" in open_files(pid):
                return pid
        time.sleep(0.01)
    raise AssertionError("nobody took the connection")


def open_files(pid):
    found = set()
    with suppress(FileNotFoundError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(str(file.readlink()))
    return found


def of_each(server, count=2):
    """A connection to each process."""
    found, spare = {}, []
    while len(found) < count:
        connection = Connection(server)
        spare.append(connection) if connection.pid in found else found.update({connection.pid: connection})
    for connection in spare:
        connection.close()
    return list(found.values())


def metric(server, name, **labels):
    text = Connection(server).ask("GET", "/metrics")[1].decode()
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]


def test_all_answer_as_one_does(pair, folder):
    with Index.open(folder) as index:
        expected = rank(index.codes()[:20], index.codes(), 10)
        names = index.ids_at(range(len(index)))
        codes = index.codes()[:20]
    for connection in of_each(pair):
        for row, code in enumerate(codes):
            results = connection.search(code=code.tobytes().hex(), k=10)["results"]
            assert [each["distance"] for each in results] == expected.distances[row].tolist()
            assert [each["id"] for each in results] == [names[at] for at in expected.indices[row].tolist()]


def test_connections_are_shared_out(pair):
    connections = [Connection(pair) for _ in range(64)]
    shares = np.unique([each.pid for each in connections], return_counts=True)[1]
    assert len(shares) == 2
    assert min(shares) >= 8


def test_what_one_writes_the_other_sees_at_once(pair):
    one, other = of_each(pair)
    for number in range(20):
        item = {"id": f"new-{number}", "code": "0000", "labels": [0]}
        status, body = one.ask("POST", "/v1/items", {"items": [item]})
        assert status == 200, body
        found = other.search(id=f"new-{number}", k=1)
        assert found["generation"] == json.loads(body)["generation"]
        assert one.ask("DELETE", f"/v1/items/new-{number}")[0] == 200
        assert other.ask("GET", f"/v1/items/new-{number}")[0] == 404
        decision = {"verdict": "distinct", "ids": ["dir/001.png", f"dir/{2 + number % 4:03}.png"]}
        count = json.loads(one.ask("POST", "/v1/decisions", {"decisions": [decision]})[1])["decisions"]
        assert len(json.loads(other.ask("GET", "/v1/decisions")[1])["decisions"]) == count


def test_metrics_are_those_of_all(pair):
    def count():
        return sum(metric(pair, "vtsearch_requests_total", route="/healthz", status="200"))

    def observed():
        return sum(metric(pair, "vtsearch_request_seconds_count", route="/healthz"))

    before, seen = count(), observed()
    for connection, times in zip(of_each(pair), (3, 5), strict=True):
        for _ in range(times):
            assert connection.ask("GET", "/healthz")[0] == 200
    assert count() == before + 8
    assert observed() == seen + 8
    (started,) = metric(pair, "vtsearch_start_time_seconds")
    assert 0 < time.time() - started < 3600
    assert metric(pair, "vtsearch_index_items", index="photos") == [257]


class Load(threading.Thread):
    """A client that asks one thing after another, connecting again when its connection ends."""

    def __init__(self, server, code, expected):
        super().__init__()
        self._server, self._code, self._expected = server, code, expected
        self.answered, self.wrong, self.failed = 0, [], []
        self.is_over = False

    def run(self):
        connection, asked = None, 0
        while not self.is_over:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
                    connection.connect()
                    asked = 0
                asked += 1
                query = json.dumps({"code": self._code, "k": 10})
                connection.request("POST", "/v1/search", query, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = json.loads(answer.read())
                distances = [each["distance"] for each in content.get("results", [])]
                self.answered += 1
                if answer.status != 200 or distances != self._expected:
                    self.wrong.append((answer.status, content))
            except (OSError, http.client.HTTPException) as reason:
                self.failed.append((asked, reason))
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


@pytest.fixture
def load_of(folder):
    """Clients of a server, which run."""
    threads = []

    def start(server, count):
        with Index.open(folder) as index:
            codes = index.codes()[:count]
            distances = rank(codes, index.codes(), 10).distances.tolist()
        clients = [Load(server, code.tobytes().hex(), near) for code, near in zip(codes, distances, strict=True)]
        threads.extend(clients)
        for each in clients:
            each.start()
        return clients

    yield start
    for each in threads:
        each.is_over = True
        each.join()


def test_a_process_that_is_killed_under_load(folder, load_of):
    """Each of its connections ends once, at most; a new one is answered, by the other process or the next."""
    with server_of(folder, "--workers", 2) as server:
        before = server.children()
        clients = load_of(server, 8)
        time.sleep(1)
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while before[0] in server.children() or len(server.children()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        of_each(server)
        counts = [each.answered for each in clients]
        while any(each.answered < count + 5 for each, count in zip(clients, counts, strict=True)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for each in clients:
            each.is_over = True
            each.join()
        assert not any(each.wrong for each in clients)
        assert all(len(each.failed) <= 1 for each in clients)
        assert not any(
            asked == 1 and isinstance(why, ConnectionRefusedError) for c in clients for asked, why in c.failed
        )
        lines = list(map(json.loads, server.log.splitlines()))
        assert [line["message"] for line in lines] == ["a server process ended (signal 9); another takes its place"]
        assert server.end() == 0


def test_counts_outlive_the_process_that_counted(folder):
    with server_of(folder, "--workers", 2) as server:
        one, other = of_each(server)
        for connection in (one, other):
            assert connection.ask("GET", "/healthz")[0] == 200
        (started,) = metric(server, "vtsearch_start_time_seconds")
        os.kill(one.pid, signal.SIGKILL)
        of_each(server)
        assert sum(metric(server, "vtsearch_requests_total", route="/healthz")) == 2
        assert metric(server, "vtsearch_start_time_seconds") == [started]


def test_connections_that_wait_for_a_process_are_answered_by_the_next(folder):
    with server_of(folder, "--workers", 2) as server:
        stopped = server.children()[0]
        os.kill(stopped, signal.SIGSTOP)
        sockets = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(32)]
        for each in sockets:
            each.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        os.kill(stopped, signal.SIGKILL)
        assert all(each.recv(100).startswith(b"HTTP/1.1 200") for each in sockets)
        for each in sockets:
            each.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_the_exit_code_is_0(folder, number):
    with server_of(folder, "--workers", 3) as server:
        workers = server.children()
        assert len(workers) == 3
        _ = [Connection(server) for _ in range(6)]
        begin = time.monotonic()
        assert server.end(number) == 0
        assert time.monotonic() - begin < 15
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert server.log == ""


def test_a_request_under_way_is_answered_before_the_end(folder):
    body = json.dumps({"code": "0000", "k": 5}).encode()
    head = (
        f"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    with server_of(folder, "--workers", 2) as server:
        with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + body[:4])
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(body[4:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert server.process.wait(20) == 0


def test_no_server_outlives_its_parent(folder):
    with server_of(folder, "--workers", 2) as server:
        workers = server.children()
        server.process.kill()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_processes_that_end_again_and_again(folder):
    """Ten within a minute are enough; the others are ended."""
    with server_of(folder, "--workers", 2) as server:
        begin = time.monotonic()
        while server.process.poll() is None and time.monotonic() - begin < 50:
            for pid in server.children():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        assert server.process.wait(20) == 2
        assert server.log.splitlines()[-1] == (
            "vtsearch serve: server processes ended 10 times within 60 s; the last: signal 9"
        )


def test_an_index_that_goes_away_ends_no_process(folder):
    with server_of(folder, "--workers", 2) as server:
        connection = of_each(server)[0]
        folder.rename(folder.with_name("elsewhere"))
        assert len(connection.search(code="0000", k=3)["results"]) == 3
        assert len(server.children()) == 2


def told(*words):
    """The exit code, standard output and the one line of standard error."""
    command = [sys.executable, "-m", "vtsearch", "serve", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_what_a_process_cannot_open_is_said_once(tmp_path):
    line = f"vtsearch serve: {tmp_path}/no: no such index\n"
    assert told(tmp_path / "no", "--workers", 3, "--port", 0) == (2, "", line)


def test_a_port_that_is_taken(folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = f"vtsearch serve: 127.0.0.1:{port}: Address already in use\n"
        assert told(folder, "--workers", 2, "--port", port) == (2, "", line)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_several_processes_share_is_taken(pair, folder, workers):
    line = f"vtsearch serve: 127.0.0.1:{pair.port}: Address already in use\n"
    assert told(folder, "--workers", workers, "--port", pair.port) == (2, "", line)


def test_the_token_is_that_of_all_and_stands_in_no_command_line(folder):
    with server_of(folder, "--workers", 2, "--token", "abc", env={"VTSEARCH_TOKEN": ""}) as server:
        for connection in of_each(server):
            assert connection.ask("GET", "/v1/index")[0] == 401
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in server.children()]
        assert not any(b"abc" in line for line in lines)
