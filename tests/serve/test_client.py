"""The client of one file against a server in a process of its own."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import ODD_IDS, make_odd, make_photos, server_of

from vtsearch.index import Index
from vtsearch.serve import client as module
from vtsearch.serve.client import ApiError, Client

TOKEN = "a token"


def with_pictures(folder):
    """An index of three pictures, which says where they are."""
    (folder / "images" / "a b").mkdir(parents=True)
    names = ["a b/red.png", "a b/blü.png", "green.png"]
    for name, color in zip(names, ["red", "blue", "green"], strict=True):
        Image.new("RGB", (300, 200), color).save(folder / "images" / name)
    description = {"files": str(folder / "images")}
    with Index.create(folder / "pictures", 8, description=description) as index:
        index.add(np.arange(3, dtype=np.uint8)[:, None], names)
    return folder / "pictures"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    paths = make_photos(folder / "photos"), make_odd(folder / "odd"), with_pictures(folder)
    with server_of(*paths, "--writable", env={"VTSEARCH_TOKEN": TOKEN}) as server:
        yield server


@pytest.fixture
def client(server):
    return Client(server.url, token=TOKEN)


def test_it_needs_the_standard_library_alone():
    tree = ast.parse(Path(module.__file__).read_text())
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_searches(client):
    assert client.about()["indexes"][0]["items"] == 257
    answer = client.search(id="dir/001.png", k=3, where="width > 2", histogram=False)
    assert (len(answer["results"]), answer["histogram"]) == (3, None)
    assert client.search(code=bytes(2), k=2)["results"] == client.search(code="0000", k=2)["results"]
    queries = [client.query(code=bytes(2), k=2), client.query(id="dir/001.png", index="photos")]
    assert [len(each["results"]) for each in client.search_batch(queries)] == [2, 50]


@pytest.mark.parametrize("name", ODD_IDS)
def test_items_by_any_id(server, name):
    shown = name.encode("utf-8", "backslashreplace").decode()
    assert Client(server.url, token=TOKEN, index="odd").item(shown)["id"] == shown


def test_pictures(client):
    for name in ("a b/red.png", "a b/blü.png"):
        with Image.open(io.BytesIO(client.thumbnail(name, side=64, index="pictures"))) as picture:
            assert picture.size == (64, 43)


def test_changes_and_decisions(client):
    assert client.add([{"id": "new", "code": "0000", "labels": [1]}])["items"] == 258
    assert client.add([{"id": "new", "code": "0001", "labels": [1]}], upsert=True)["items"] == 258
    assert client.item("new")["code"] == "0001"
    assert client.remove("new")["items"] == 257
    names = [item["id"] for item in client.duplicates(0, limit=1, answered=False)["results"][0]["items"]]
    said = [{"verdict": "distinct", "ids": names}]
    assert client.decide(said) == 1
    assert client.decisions() == said
    assert client.forget(names[:1]) == 0


def test_errors_have_the_sentence_and_the_status(server, client):
    with pytest.raises(ApiError, match="id: expected an item of photos, got 'nope'") as error:
        client.search(id="nope")
    assert error.value.status == 404
    with pytest.raises(ApiError, match="token: expected that of the server") as error:
        Client(server.url).about()
    assert error.value.status == 401
    with pytest.raises(ApiError, match="image: no model for "):
        client.search(image=b"picture")
    with pytest.raises(ValueError, match="url: expected one that begins with http"):
        Client("file:///etc/passwd")


def test_a_picture_that_is_too_large_is_told_rather_than_a_broken_connection(client):
    with pytest.raises(ApiError, match="body: expected at most 33,554,432 bytes") as error:
        client.search(image=bytes(40_000_000))
    assert error.value.status == 413


def test_no_server():
    with pytest.raises(OSError, match="refused"):
        Client("http://127.0.0.1:1").about()
