"""Files over HTTP from a server that is slow, endless, busy, or sends elsewhere."""

from __future__ import annotations

import base64
import contextlib
import time
from http.server import BaseHTTPRequestHandler

import pytest
from local_server import served

from vtsearch.data.sources.fetch import FetchLimits, fetch, is_url, without_credentials
from vtsearch.errors import VtsearchError

QUICK = FetchLimits(idle_seconds=0.3, total_seconds=2, most_bytes=1_000_000, redirects=3, tries=2, pause=0.01)


class Handler(BaseHTTPRequestHandler):
    """Answers each path by a function; keeps the requests."""

    def do_GET(self):
        self.server.requests.append(self)
        with contextlib.suppress(ConnectionError):
            self.server.answers[self.path](self)

    def answer(self, content=b"", status=200, **headers):
        self.send_response(status)
        headers.setdefault("Content-Length", len(content))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with served(Handler, answers={}, requests=[]) as running:
        yield running


@pytest.fixture
def other():
    with served(Handler, answers={}, requests=[]) as running:
        yield running


def refused(url, limits=QUICK):
    with pytest.raises(VtsearchError) as caught:
        fetch(url, limits)
    return str(caught.value)


def test_the_content_and_what_is_sent(server):
    server.answers["/a%20b%C3%BC.png?x=1&y=%2F"] = lambda request: request.answer(b"content")
    assert fetch(f"{server.url}/a bü.png?x=1&y=%2F#part", QUICK) == b"content"
    (request,) = server.requests
    assert request.headers["User-Agent"].startswith("vtsearch/")
    assert request.headers["Authorization"] is None


def test_an_answer_without_a_length_and_one_in_chunks(server):
    def chunks(request):
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    def open_end(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"abcde")

    server.answers |= {"/chunks": chunks, "/open": open_end}
    assert fetch(f"{server.url}/chunks", QUICK) == fetch(f"{server.url}/open", QUICK) == b"abcde"


@pytest.mark.parametrize("status", [204, 206, 304, 400, 404, 500])
def test_other_answers_are_refused_at_once(server, status):
    server.answers["/"] = lambda request: request.answer(status=status)
    assert f"cannot fetch {server.url}/: answered {status} " in refused(f"{server.url}/")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(server, status):
    statuses = iter([status, 200])
    server.answers["/"] = lambda request: request.answer(b"content", next(statuses), Retry_After="0")
    assert fetch(server.url + "/", QUICK) == b"content"
    server.answers["/"] = lambda request: request.answer(status=status)
    assert f"answered {status} " in refused(server.url + "/")
    assert refused(server.url + "/").endswith(", 2 times")


def test_a_server_that_wants_a_longer_pause_than_there_is_time_is_given_up(server):
    server.answers["/"] = lambda request: request.answer(status=503, Retry_After="20")
    begin = time.monotonic()
    assert refused(server.url + "/").endswith("answered 503 Service Unavailable")
    assert time.monotonic() - begin < 1


def test_a_silent_server_is_asked_again_and_given_up(server):
    server.answers["/"] = lambda _: time.sleep(1)
    begin = time.monotonic()
    assert refused(server.url + "/").endswith("no answer within 0.3 seconds, 2 times")
    assert 0.6 < time.monotonic() - begin < 1.5


def drip(request, head):
    request.wfile.write(head)
    while True:
        request.wfile.write(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 90000\r\n\r\n", b"HTTP/1.0 200 "]
)
def test_a_server_that_drips_is_cut_off_in_the_body_and_in_the_head(server, head):
    server.answers["/"] = lambda request: drip(request, head)
    begin = time.monotonic()
    limits = FetchLimits(idle_seconds=0.5, total_seconds=0.6, tries=3)
    assert refused(server.url + "/", limits).endswith("took longer than 0.6 seconds")
    assert 0.5 < time.monotonic() - begin < 1.5


def test_an_endless_body_is_cut_off(server):
    def endless(request):
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(bytes(100_000))

    server.answers["/"] = endless
    assert refused(server.url + "/").endswith("expected at most 1,000,000 bytes, got more")


def test_a_body_that_is_announced_too_long_is_not_read(server):
    server.answers["/"] = lambda request: request.answer(Content_Length=5_000_000)
    assert refused(server.url + "/").endswith("expected at most 1,000,000 bytes, got 5,000,000")


def test_a_body_that_ends_early_is_refused(server):
    server.answers["/"] = lambda request: request.answer(b"half", Content_Length=8)
    assert refused(server.url + "/").endswith("expected 8 bytes, got 4")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server, status):
    server.answers["/a"] = lambda request: request.answer(status=status, Location="/b")
    server.answers["/b"] = lambda request: request.answer(b"content")
    assert fetch(f"{server.url}/a", QUICK) == b"content"


def test_redirects_end(server):
    server.answers["/"] = lambda request: request.answer(status=302, Location="/")
    assert refused(server.url + "/").endswith("more than 3 redirects")
    assert len(server.requests) == 4
    server.answers["/"] = lambda request: request.answer(status=302)
    assert refused(server.url + "/").endswith("answered 302 Found")


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,a", "FILE:/etc/passwd", "gopher://a"]
)
def test_other_schemes_are_refused_also_after_a_redirect(server, target):
    server.answers["/"] = lambda request: request.answer(status=302, Location=target)
    assert "expected a URL of http or https with a host, got " in refused(server.url + "/")
    assert "expected a URL of http or https with a host, got " in refused(target)


@pytest.mark.parametrize(
    "url", ["http://", "http:///a", "http://[1/a", "http://127.0.0.1:port/", "http://a\u2100b/", "x"]
)
def test_a_malformed_url_is_refused(url):
    assert "cannot fetch " in refused(url)


def test_a_port_without_a_server_is_refused(server):
    server.shutdown()
    server.server_close()
    assert refused(server.url + "/").endswith("Connection refused")


def test_what_is_no_http_is_refused(server):
    server.answers["/"] = lambda request: request.wfile.write(b"SSH-2.0\r\n")
    assert "BadStatusLine" in refused(server.url + "/")


def test_credentials_go_to_their_host_alone_and_into_no_message(server, other):
    other.answers["/"] = lambda request: request.answer(status=403)
    server.answers |= {
        "/same": lambda request: request.answer(status=302, Location="/"),
        "/": lambda request: request.answer(b"content"),
        "/other": lambda request: request.answer(status=302, Location=other.url + "/"),
    }
    with_name = server.url.replace("://", "://us%40er:pass:word@")
    assert fetch(f"{with_name}/same", QUICK) == b"content"
    sent = "Basic " + base64.b64encode(b"us@er:pass:word").decode()
    assert [request.headers["Authorization"] for request in server.requests] == [sent, sent]
    said = refused(f"{with_name}/other")
    assert other.requests[0].headers["Authorization"] is None
    assert said == f"cannot fetch {server.url}/other: answered 403 Forbidden"


def test_names_of_urls():
    assert [is_url(text) for text in ("http://a", "HTTPS://a/b", "ftp://a", "a/http://b", "file:///a")] == [
        True,
        True,
        *[False] * 3,
    ]
    assert without_credentials("https://a:b@c.d/e@f?g=h@i") == "https://c.d/e@f?g=h@i"
    assert without_credentials("https://c.d/e@f") == "https://c.d/e@f"
