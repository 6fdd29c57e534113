"""Clients that mean ill, and what happens to a server's folders, against a server in a process of its own.

Each test records what its clients got: ``pytest -m slow -o junit_family=xunit1 --junit-xml FILE`` writes it down.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from serving import make_photos, server_of

from vtsearch.index import Index

pytestmark = pytest.mark.slow

HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
QUERY = b'{"code": "0000", "k": 5}'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with server_of(make_photos(tmp_path_factory.mktemp("hostile") / "photos"), "--max-upload", 4) as server:
        yield server


@pytest.fixture(autouse=True)
def unharmed(request):
    """Whatever was done, the server of this file answers as before, in little memory, with nothing to say."""
    yield
    if "server" not in request.fixturenames:
        return
    server = request.getfixturevalue("server")
    status, answer = ask(server)
    assert (status, len(answer["results"])) == (200, 5)
    assert "Traceback" not in server.log
    assert "internal error" not in server.log
    assert server.resident() < 500


class NotTakenError(ConnectionError):
    """A server that ends has closed a connection before the first byte of an answer, at whatever moment."""


def ask(server, method="POST", path="/v1/search", body=QUERY, seconds=20):
    """The status and the JSON of an ordinary request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=seconds)
    try:
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
        except ConnectionError as error:
            raise NotTakenError from error
        return answer.status, json.loads(answer.read() or "null")
    finally:
        connection.close()


@contextmanager
def connected(server, seconds=60):
    with socket.create_connection(("127.0.0.1", server.port), seconds) as connection:
        yield connection


def received(connection):
    """All that comes until the end; what came before the other side gave up is enough."""
    parts = []
    with suppress(ConnectionError):
        while part := connection.recv(2**16):
            parts.append(part)
    return b"".join(parts)


def sent(connection, data):
    """Whether the other side took it."""
    try:
        connection.sendall(data)
    except ConnectionError:
        return False
    return True


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def answered(server, data):
    """What comes back for some bytes, after which the client waits for two seconds."""
    with connected(server) as connection:
        sent(connection, data)
        connection.settimeout(2)
        answer = b""
        with suppress(ConnectionError, TimeoutError):
            while part := connection.recv(2**16):
                answer += part
        return answer


def dribbled(server, start, part, seconds):
    """What a client gets that sends a part every half second, and how long it lasts."""
    begin = time.monotonic()
    with connected(server, seconds) as connection:
        sent(connection, start)
        connection.settimeout(0.5)
        answer = b""
        while time.monotonic() - begin < seconds:
            try:
                answer += connection.recv(2**16)
                break
            except TimeoutError:
                if not sent(connection, part):
                    break
            except ConnectionError:
                break
    return answer, time.monotonic() - begin


def test_a_header_that_dribbles(server, record_property):
    answer, seconds = dribbled(server, b"GET /healthz HTTP/1.1\r\n", b"X: 1\r\n", 40)
    record_property("got", f"connection closed after {seconds:.0f} s")
    assert answer == b""
    assert seconds < 15


def test_a_body_that_dribbles(server, record_property):
    start = b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000\r\n\r\n"
    answer, seconds = dribbled(server, start, b" ", 60)
    record_property("got", f"{status_of(answer)} after {seconds:.0f} s")
    assert status_of(answer) == 408
    assert seconds < 40


def test_an_answer_that_is_not_taken(server, record_property):
    """The connection ends, whether the answer fits the buffers of the system or not."""
    query = json.dumps({"queries": [{"code": "0000", "k": 1000}] * 200}).encode()
    start = b"POST /v1/search/batch HTTP/1.1\r\n" + HEAD
    begin = time.monotonic()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(start + b"Content-Length: %d\r\n\r\n" % len(query) + query)
        while established(server.port) and time.monotonic() - begin < 90:
            time.sleep(0.5)
        seconds = time.monotonic() - begin
        assert not established(server.port)
    record_property("got", f"connection closed after {seconds:.0f} s")


def established(port):
    """Whether some connection to a port is open on the server's side, as the system sees it."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def test_a_thousand_idle_connections(server, record_property):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    try:
        with ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(connected(server))
            times = []
            for _ in range(100):
                begin = time.perf_counter()
                assert ask(server)[0] == 200
                times.append(time.perf_counter() - begin)
            record_property("got", f"others answered in {1000 * np.median(times):.1f} ms (median)")
            time.sleep(12)
            assert not established(server.port)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    record_property("then", "closed after 10 s")


def test_connections_of_a_process_with_few_files(tmp_path, record_property):
    """The usual bound of 1,024 is raised as far as the system allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with server_of(make_photos(tmp_path / "photos")) as server, ExitStack() as stack:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
            for _ in range(600):
                stack.enter_context(connected(server))
            assert ask(server)[0] == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    record_property("got", "others answered")


def test_an_upload_of_two_gibibytes(server, record_property):
    before, part = server.resident(), bytes(2**20)
    head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with connected(server) as connection:
        sent(connection, head + b"Content-Length: %d\r\n\r\n" % 2**31)
        count = 0
        while count < 2048 and sent(connection, part):
            count += 1
        answer = received(connection)
    grown = server.resident() - before
    record_property("got", f"{status_of(answer)} after {count} MiB, server +{grown:.0f} MiB")
    assert status_of(answer) in {413, None}
    assert count < 2048
    assert grown < 64


def test_a_body_without_end(server, record_property):
    before, part = server.resident(), b"100000\r\n" + bytes(2**20) + b"\r\n"
    head = b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with connected(server) as connection:
        sent(connection, head)
        count = 0
        while count < 2048 and sent(connection, part):
            count += 1
        answer = received(connection)
    grown = server.resident() - before
    record_property("got", f"{status_of(answer) or 'connection closed'} after {count} MiB, server +{grown:.0f} MiB")
    assert status_of(answer) in {413, None}
    assert count < 2048
    assert grown < 64


def test_a_header_without_end(server, record_property):
    before = server.resident()
    with connected(server) as connection:
        sent(connection, b"GET /healthz HTTP/1.1\r\n")
        count = 0
        while count < 1024 and sent(connection, b"X: " + b"a" * 2**20 + b"\r\n"):
            count += 1
    grown = server.resident() - before
    record_property("got", f"connection closed after {count} MiB, server +{grown:.0f} MiB")
    assert count < 16
    assert grown < 32


RAW = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), {400}),
    "nothing": (b"", {None}),
    "half a request": (b"POST /v1/search HTTP/1.1\r\nHost: loc", {None}),
    "no host": (b"GET /v1/index HTTP/1.1\r\n\r\n", {403}),
    "an address of 1 MiB": (b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {431}),
    "an id of 30,000 characters": (b"GET /v1/items/" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {422}),
    "a header of 100,000 bytes": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        {431, 200},
    ),
    "two lengths": (
        b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Content-Length: 24\r\nContent-Length: 2\r\n\r\n" + QUERY,
        {400},
    ),
    "length and chunks": (
        b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    "chunks of no length": (
        b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        {400},
    ),
    "a length below zero": (b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n", {400}),
    "a space in a name": (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", {400}),
    "a folded header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", {200, 400}),
    "an address with a space": (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "a web socket": (
        b"GET /v1/index HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        {200},
    ),
    "a path out of the server": (b"GET /page/../../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
    "an escaped one": (b"GET /page/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
    "an id that is a path": (
        b"GET /v1/items/..%2f..%2f..%2fetc%2fpasswd/thumbnail HTTP/1.1\r\nHost: localhost\r\n\r\n",
        {404},
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_good_request(server, name, record_property):
    data, expected = RAW[name]
    answer = answered(server, data)
    record_property("got", status_of(answer) or "connection closed")
    assert status_of(answer) in expected
    assert b"root:" not in answer


def test_many_requests_in_one_piece(server, record_property):
    one = b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % len(QUERY) + QUERY
    before = server.resident()
    answer = answered(server, one * 2000)
    count = answer.count(b"HTTP/1.1 200")
    record_property("got", f"{count} answers, server +{server.resident() - before:.0f} MiB")
    assert server.resident() - before < 64


def test_a_flood_from_two_hundred_clients(server, record_property):
    statuses, lock = [], threading.Lock()

    def flood():
        for _ in range(10):
            status = ask(server, seconds=60)[0]
            with lock:
                statuses.append(status)

    threads = [threading.Thread(target=flood) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = {status: statuses.count(status) for status in set(statuses)}
    record_property("got", counts)
    assert len(statuses) == 2000
    assert set(counts) <= {200, 503}


# -- Signals -----------------------------------------------------------------------------------------------------------


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_end_under_load(tmp_path, number, record_property):
    """Whoever has an answer under way gets it; nobody gets half of one; nothing is left behind."""
    with server_of(make_photos(tmp_path / "photos")) as server:
        answers, broken = [], []
        ends = threading.Event()

        def load():
            while not ends.is_set():
                try:
                    answers.append(ask(server)[0])
                except NotTakenError:
                    return
                except Exception as error:  # noqa: BLE001
                    broken.append(error)
                    return

        threads = [threading.Thread(target=load) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        children = server.children()
        begin = time.monotonic()
        code = server.end(number)
        seconds = time.monotonic() - begin
        ends.set()
        for thread in threads:
            thread.join()
        assert set(answers) == {200}
        assert (code, broken) == (0, [])
        assert children
        assert all(map(is_gone, children))
        assert "Traceback" not in server.log
    record_property("got", f"exit code {code} after {seconds:.1f} s, {len(answers)} answers, all whole")


def test_a_slow_body_does_not_hold_up_the_end(tmp_path, record_property):
    with server_of(make_photos(tmp_path / "photos")) as server, connected(server) as connection:
        sent(connection, b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000\r\n\r\n")
        time.sleep(0.3)
        begin = time.monotonic()
        assert server.end() == 0
        seconds = time.monotonic() - begin
    record_property("got", f"exit code 0 after {seconds:.0f} s")
    assert seconds < 15


def test_a_killed_server_leaves_no_process(tmp_path):
    with server_of(make_photos(tmp_path / "photos")) as server:
        assert ask(server)[0] == 200
        children = server.children()
        server.end(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not all(map(is_gone, children)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert children
        assert all(map(is_gone, children))


# -- Folders -----------------------------------------------------------------------------------------------------------


def test_an_index_that_is_deleted_replaced_and_damaged(tmp_path, record_property):
    """What is open is answered from, and the log says so once; nothing ends the server."""
    folder = make_photos(tmp_path / "photos")
    with server_of(folder) as server:
        shutil.move(folder, tmp_path / "elsewhere")
        time.sleep(1.2)
        found = {ask(server)[0] for _ in range(20)}
        record_property("deleted", found)
        assert found == {200}  # not now this, now that
        with Index.create(folder, 16) as index:
            index.add(np.zeros((3, 2), dtype=np.uint8), ["a", "b", "c"])
        time.sleep(1.2)
        status, answer = ask(server)
        record_property("replaced", f"{status}, of the index that was opened")
        assert (status, answer["items"]) == (200, 257)
        assert "another index has taken the place" in server.log
        (folder / "index.sqlite").write_bytes(b"no database")
        time.sleep(1.2)
        found = {ask(server)[0] for _ in range(20)}
        record_property("damaged", found)
        assert found == {200}
        assert server.log.count("answers are of the index as it was") == 3
        assert ask(server, "GET", "/healthz", None)[0] == 200
        assert server.end() == 0
