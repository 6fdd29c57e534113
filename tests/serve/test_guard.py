"""What stands before every request: tokens, names of hosts, other sites, sizes and times."""

from __future__ import annotations

import asyncio
import json

import pytest
from serving import client_of, make_photos, settings

from vtsearch import page
from vtsearch.serve.app import build_app
from vtsearch.serve.guard import POLICY, GuardSettings
from vtsearch.serve.service import SearchService

TOKEN = "secret of the server"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PUBLIC = ("/", "/healthz", "/readyz", "/page/app.js", "/page/style.css")
PRIVATE = ("/v1/index", "/v1/search", "/v1/items/x", "/v1/items/x/thumbnail", "/v1/openapi.json", "/metrics", "/nope")


def sentence(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["detail"]


@pytest.fixture(scope="module")
def locked(folders):
    with client_of(folders["photos"], guard=GuardSettings(token=TOKEN)) as client:
        yield client


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Cookie": f"vtsearch={TOKEN}"},  # what stands for it is another text
        {"Cookie": "vtsearch=; vtsearch"},
        {"Cookie": "vtsearch=\xff"},
    ],
)
def test_without_the_token_nothing_is_told(locked, path, headers):
    headers = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = locked.get(path, headers=headers)
    assert sentence(answer, 401) == "token: expected that of the server, as Authorization: Bearer TOKEN"
    assert answer.headers["www-authenticate"] == 'Bearer realm="vtsearch"'


@pytest.mark.parametrize("path", PUBLIC)
def test_the_page_and_whether_the_server_lives_need_no_token(locked, path):
    assert locked.get(path).status_code == 200


def test_the_token_in_a_header_or_in_the_cookie_that_it_was_changed_for(locked):
    assert locked.get("/v1/index", headers=BEARER).status_code == 200
    assert locked.get("/v1/index", headers={"Authorization": f"bearer  {TOKEN} "}).status_code == 200
    answer = locked.post("/v1/session", headers=BEARER)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    locked.cookies.clear()
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    pair = cookie.partition(";")[0]
    assert locked.get("/v1/index", headers={"Cookie": f"other=1; {pair}"}).status_code == 200
    assert locked.get("/v1/index", headers={"Cookie": pair[:-1]}).status_code == 401
    assert locked.post("/v1/session").status_code == 401


def test_a_server_without_a_token_needs_none(client):
    answer = client.post("/v1/session")
    assert (answer.status_code, "set-cookie" in answer.headers) == (204, False)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.", ""])
def test_a_name_that_is_not_this_machine_s_is_refused(client, host):
    assert sentence(client.get("/v1/index", headers={"Host": host}), 403).startswith("host: expected one of ")
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost:8000", "LOCALHOST", "[::1]", "[::1]:8000"])
def test_names_of_this_machine(client, host):
    assert client.get("/v1/index", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "http://[evil"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_sites_may_ask_nothing(client, headers):
    for method, path in ("GET", "/v1/index"), ("POST", "/v1/search"), ("GET", "/v1/items/x/thumbnail"):
        detail = sentence(client.request(method, path, headers=headers), 403)
        assert detail == "origin: requests of other sites are refused"


def test_the_page_itself_may(client):
    headers = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/search", json={"code": "0000"}, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/v1/index", "/v1/items/x", "/nope", "/metrics", "/healthz"])
def test_every_answer_carries_the_headers_of_safety(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
    if path.startswith("/v1"):
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", page.names())
def test_files_of_the_page_are_asked_for_again_and_sent_when_they_changed(client, name):
    answer = client.get(f"/page/{name}")
    assert answer.status_code == 200
    assert answer.content == page.asset(name)
    again = client.get(f"/page/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])


def test_files_that_are_not_of_the_page(client):
    assert sentence(client.get("/page/bundle.py"), 404) == "no such file of the page: 'bundle.py'"
    for path in ("/page/..%2fbundle.py", "/page/%2e%2e/bundle.py", "/page//etc/passwd", "/page/"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "DELETE"])
def test_methods_that_an_address_does_not_have(client, method):
    answer = client.request(method, "/v1/index")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_metrics_count_by_route_and_hold_no_id(client):
    client.get("/v1/items/dir%2F001.png")
    client.get("/v1/items/secret-name")
    text = client.get("/metrics").text
    assert 'vtsearch_requests_total{route="/v1/items/{id}",status="404"}' in text
    assert 'vtsearch_request_seconds_bucket{le="0.001",route="/v1/items/{id}"}' in text
    assert 'vtsearch_index_items{index="photos"} 257.0' in text
    assert "secret-name" not in text


# -- Bodies ------------------------------------------------------------------------------------------------------------


async def asked(app, receive, headers=(), method="POST", path="/v1/search"):
    """The status, the headers and the content of an answer to a request whose body comes from ``receive``."""
    given = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), *headers]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": given, "http_version": "1.1", "scheme": "http", "root_path": "", "client": None}
    sent = []

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    content = json.loads(b"".join(each.get("body", b"") for each in sent[1:]))
    return sent[0]["status"], dict(sent[0]["headers"]), content


def run(tmp_path, receive, *headers, **bounds):
    """The answer of an application with these bounds."""

    async def main():
        service = SearchService([make_photos(tmp_path / "photos")], settings())
        try:
            return await asked(build_app(service, GuardSettings(**bounds)), receive, headers)
        finally:
            await service.close()

    return asyncio.run(main())


def chunks(content, size, pause=0.0):
    parts = iter([content[at : at + size] for at in range(0, len(content), size)])

    async def receive():
        await asyncio.sleep(pause)
        part = next(parts, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    return receive


QUERY = json.dumps({"code": "0000", "k": 3}).encode()


def test_a_body_in_parts(tmp_path):
    status, _, content = run(tmp_path, chunks(QUERY, 3), body_bytes=len(QUERY))
    assert (status, len(content["results"])) == (200, 3)


def test_a_body_that_is_too_large_says_so_by_its_length_or_by_its_parts(tmp_path):
    wanted = 413, "body: expected at most 1,000 bytes"
    length = b"content-length", b"1001"
    for number, headers in enumerate([[length], []]):
        receive = chunks(b" " * 1001, 100)
        status, _, content = run(tmp_path / str(number), receive, *headers, body_bytes=1000)
        assert (status, content["detail"]) == wanted


def test_a_body_without_end(tmp_path):
    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b" " * 100, "more_body": True}

    status, headers, content = run(tmp_path, receive, body_bytes=1000)
    assert (status, content["detail"]) == (413, "body: expected at most 1,000 bytes")
    assert headers[b"connection"] == b"close"


def test_a_body_that_comes_slowly(tmp_path):
    status, headers, content = run(tmp_path, chunks(QUERY, 1, pause=0.05), body_seconds=0.2)
    assert (status, content["detail"]) == (408, "body: expected all of it within 0.2 s")
    assert headers[b"connection"] == b"close"


def test_more_requests_than_the_server_takes(tmp_path):
    async def main():
        service = SearchService([make_photos(tmp_path / "photos")], settings())
        app = build_app(service, GuardSettings(requests=2))
        waiting = asyncio.Event()

        async def late():
            await waiting.wait()
            return {"type": "http.request", "body": QUERY, "more_body": False}

        first = [asyncio.create_task(asked(app, late)) for _ in range(2)]
        await asyncio.sleep(0.1)
        third = await asked(app, chunks(QUERY, 100))
        waiting.set()
        answers = [*(await asyncio.gather(*first)), third, await asked(app, chunks(QUERY, 100))]
        await service.close()
        return answers

    *answers, third, last = asyncio.run(main())
    assert [status for status, _, _ in answers] == [200, 200]
    assert (third[0], third[1][b"retry-after"]) == (503, b"1")
    assert last[0] == 200
