"""``vtsearch serve``: its words, and that a mistake in them is one line before anything is served."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request

import pytest
from serving import make_photos, server_of

from vtsearch.cli import main
from vtsearch.cli import serve as command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("serve") / "photos")


def told(capsys, *words):
    """The exit code, and the one line on standard error."""
    code = main(["serve", *map(str, words)])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return code, printed.err.removeprefix("vtsearch serve: ").strip()


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv("VTSEARCH_TOKEN", raising=False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--port", "65536"], "port: expected at most 65535, got 65536"),
        (["--port", "-1"], "port: expected at least 0, got -1"),
        (["--max-upload", "0"], "max_upload: expected at least 1, got 0"),
        (
            ["--host", "0.0.0.0"],
            "token: expected one for --host 0.0.0.0, which other machines reach (--token or VTSEARCH_TOKEN)",
        ),
        (
            ["--host", "::"],
            "token: expected one for --host ::, which other machines reach (--token or VTSEARCH_TOKEN)",
        ),
        (["--writable", "--read-only"], "read_only: expected one of --writable and --read-only, got both"),
        (["--workers", "0"], "workers: expected at least 1, got 0"),
        (["--workers", "257"], "workers: expected at most 256, got 257"),
        (["--shards", "2"], "shards: expected --ray beside it"),
        (["--cpus", "2"], "cpus: expected --ray beside it"),
        (["--ray", "--shards", "0"], "shards: expected at least 1, got 0"),
        (["--ray", "--shards", "5000"], "shards: expected at most 4096, got 5000"),
        (["--ray", "--replicas", "0"], "replicas: expected at least 1, got 0"),
        (
            ["--ray", "--workers", "2"],
            "workers: expected one server beside --ray, whose actors scan; start others at other ports",
        ),
        (["--model", "nowhere"], "nowhere: no such model"),
        (["--images", "nowhere"], "nowhere: no such images"),
        (["--host", "192.0.2.1", "--token", "x"], "192.0.2.1:0: Cannot assign requested address"),
    ],
)
def test_mistakes_in_words(folder, words, line, capsys):
    port = [] if "--port" in words else ["--port", "0"]
    assert told(capsys, folder, *words, *port) == (2, line)


def test_folders_that_cannot_be_served(folder, tmp_path, capsys):
    assert told(capsys, tmp_path / "no", "--port", "0") == (2, f"{tmp_path}/no: no such index")
    assert told(capsys, tmp_path, "--port", "0") == (2, f"{tmp_path}: expected an index (a folder with index.sqlite)")
    assert told(capsys, folder, folder, "--port", "0") == (2, "index: expected different folders, got one twice")


def test_a_port_that_is_taken(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert told(capsys, folder, "--port", port) == (2, f"127.0.0.1:{port}: Address already in use")


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return answer.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_logs_no_content(folder, number):
    with server_of(folder, "--log") as server:
        assert get(f"{server.url}/").startswith(b"<!doctype html>")
        assert json.loads(get(f"{server.url}/v1/items/dir%2F001.png"))["id"] == "dir/001.png"
        assert server.end(number) == 0
        lines = list(map(json.loads, server.log.splitlines()))
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/", 200),
        ("GET", "/v1/items/{id}", 200),
    ]
    assert set(lines[0]) == {"time", "level", "message", "method", "route", "status", "ms", "bytes"}
    assert "001.png" not in json.dumps(lines)


def test_without_log_a_server_that_is_well_says_nothing(folder):
    with server_of(folder) as server:
        get(f"{server.url}/v1/index")
        assert server.end() == 0
        assert server.log == ""


def test_the_token_may_come_from_the_environment(folder):
    with server_of(folder, "--host", "0.0.0.0", env={"VTSEARCH_TOKEN": "abc"}) as server:
        about = get(f"http://127.0.0.1:{server.port}/v1/index", Authorization="Bearer abc", Host="some.name")
        assert json.loads(about)["indexes"][0]["name"] == "photos"
        assert server.end() == 0


def test_indexes_of_one_name_are_told_apart(folder, tmp_path):
    other = make_photos(tmp_path / "photos")
    with server_of(folder, other) as server:
        names = [each["name"] for each in json.loads(get(f"{server.url}/v1/index"))["indexes"]]
    assert names == [f"{folder.parent.name}/photos", f"{tmp_path.name}/photos"]


def test_the_page_is_opened_with_the_token_where_no_server_sees_it(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    command._teller(opens=True, token="secret")("http://127.0.0.1:1/")
    command._teller(opens=True, token=None)("http://127.0.0.1:1/")
    command._teller(opens=False, token="secret")("http://127.0.0.1:1/")
    assert opened == ["http://127.0.0.1:1/#token=secret", "http://127.0.0.1:1/"]
    assert "secret" not in capsys.readouterr().out
