"""Items by HTTP: by any id, added, removed, and seen by others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from urllib.parse import quote

import numpy as np
import pytest
from picture_pools import opened, pictures_in
from serving import ODD_IDS, client_of, make_odd

from vtsearch.index import Index
from vtsearch.serve import search as searching


def address(name, index="odd"):
    return f"/v1/items/{quote(name, safe='', errors='surrogateescape')}?index={index}"


def sentence(answer, status=422):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["detail"]


def readable(name):
    return name.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("name", ODD_IDS)
def test_an_item_is_found_by_any_id(client, name):
    item = client.get(address(name)).json()
    assert item["id"] == readable(name)
    assert item["code"] == f"{ODD_IDS.index(name):02x}"


@pytest.mark.parametrize("name", ODD_IDS)
def test_what_an_answer_calls_an_item_finds_it(client, name):
    shown = client.get(address(name)).json()["id"]
    assert client.get(address(shown)).json()["id"] == shown
    answer = client.post("/v1/search", json={"index": "odd", "id": shown, "k": 99})
    assert answer.json()["query"]["id"] == shown
    assert shown not in {result["id"] for result in answer.json()["results"]}
    answer = client.post("/v1/search", json={"index": "odd", "code": "00", "k": 99, "exclude": [shown]})
    assert answer.json()["items"] == len(ODD_IDS) - 1


def test_items_with_odd_ids_are_decided_on_and_removed(tmp_path):
    with client_of(make_odd(tmp_path / "odd"), writable=True) as client:
        for name in map(readable, ODD_IDS):
            decision = {"decisions": [{"verdict": "keep", "ids": [name]}]}
            assert client.post("/v1/decisions", json=decision).json() == {"decisions": 1}
            assert client.get("/v1/decisions").json() == decision
            assert client.post("/v1/decisions/forget", json={"ids": [name]}).json() == {"decisions": 0}
            assert client.delete(address(name)).status_code == 200
        assert client.get("/v1/index").json()["indexes"][0]["items"] == 0


@pytest.mark.parametrize("name", ["nope", "../../../etc/passwd", "\0", "%", "dir/000.png", "é" * 900])
def test_an_id_that_is_not_there(client, name):
    for path in (f"/v1/items/{quote(name, safe='')}", f"/v1/items/{quote(name, safe='')}/thumbnail"):
        detail = sentence(client.get(path), 404)
        assert detail.startswith("id: expected an item of photos, got ")


@pytest.mark.parametrize("path", ["/v1/items/../../etc/passwd", "/v1/items/", "/v1/index/", "/page/../x", "/V1/index"])
def test_an_address_that_is_not_there_is_told_and_nobody_is_sent_elsewhere(client, path):
    answer = client.get(path, follow_redirects=False)
    assert sentence(answer, 404).startswith("no such address: ")


def test_pictures_of_an_index_without_any(client):
    assert sentence(client.get("/v1/items/dir%2F001.png/thumbnail"), 404) == (
        "id: photos does not say where its pictures are"
    )
    for side in (63, 2049, "x"):
        assert sentence(client.get(f"/v1/items/dir%2F001.png/thumbnail?side={side}")).startswith("side: ")


def new_item(name="new", code="0001", label=1, **metadata):
    return {"id": name, "code": code, "labels": [label], "metadata": metadata}


def test_items_are_added_replaced_and_removed(writing):
    added = writing.post("/v1/items", json={"items": [new_item("a", width=7), new_item("b", note="x")]})
    assert added.status_code == 200
    assert added.json()["items"] == 259
    item = writing.get(address("a", "photos")).json()
    assert (item["code"], item["labels"]) == ("0001", [1])
    assert item["metadata"] == {"width": 7, "ratio": None, "note": None}
    assert "got 'a' twice" in sentence(writing.post("/v1/items", json={"items": [new_item("a"), new_item("a")]}))
    assert writing.post("/v1/items", json={"items": [new_item("a", "ffff")], "upsert": True}).json()["items"] == 259
    assert writing.get(address("a", "photos")).json()["code"] == "ffff"
    assert writing.delete(address("a", "photos")).json()["items"] == 258
    assert sentence(writing.delete(address("a", "photos")), 404) == "id: expected an item of photos, got 'a'"
    with Index.open(writing.folder) as index:
        assert len(index) == 258


def library_error(writing, *arguments):
    with Index.open(writing.folder) as index, pytest.raises((ValueError, TypeError)) as error:
        index.add(*arguments)
    return str(error.value)


def test_mistakes_in_new_items_are_told_as_the_library_does_and_add_nothing(writing):
    before = writing.get("/v1/index").json()["indexes"][0]
    code = np.zeros((1, 2), dtype=np.uint8)

    def told(**item):
        return sentence(writing.post("/v1/items", json={"items": [{"id": "x", "code": "0000"} | item]}))

    assert told() == library_error(writing, code, ["x"])
    assert told(id="dir/001.png", labels=[1]) == library_error(writing, code, ["dir/001.png"], [1])
    assert told(labels=[1], metadata={"width": "x"}) == library_error(writing, code, ["x"], [1], {"width": ["x"]})
    assert told(labels=[1], metadata={"id": 1}) == library_error(writing, code, ["x"], [1], {"id": [1]})
    assert told(code="00") == "items.0.code: expected 4 hexadecimal digits, got '00'"
    assert told(labels=[1, 2]) == "items: expected one label per item, got others"
    assert told(labels=[-1]).startswith("items.0.labels.0: input should be greater than or equal to 0")
    assert writing.get("/v1/index").json()["indexes"][0] == before


def test_nothing_changes_without_writable(client):
    refusal = "items: this server does not change indexes; start it with --writable"
    assert sentence(client.post("/v1/items", json={"items": [new_item()]}), 403) == refusal
    assert sentence(client.delete(address("dir/001.png", "photos")), 403) == refusal


def test_a_server_that_only_reads_takes_no_decisions(folders):
    with client_of(folders["photos"], read_only=True) as client:
        decision = {"decisions": [{"verdict": "keep", "ids": ["dir/001.png"]}]}
        refusal = "decisions: this server only reads; start it without --read-only"
        assert sentence(client.post("/v1/decisions", json=decision), 403) == refusal
        assert sentence(client.post("/v1/decisions/forget", json={"ids": ["x"]}), 403) == refusal
        assert client.get("/v1/decisions").json() == {"decisions": []}
        assert client.get("/v1/index").json()["decides"] is False


def within(seconds, fact):
    end = time.monotonic() + seconds
    while not fact() and time.monotonic() < end:
        time.sleep(0.02)
    return fact()


def test_what_another_process_changes_is_seen_soon(writing):
    program = (
        "import sys, numpy as np; from vtsearch.index import Index; index = Index.open(sys.argv[1]);"
        "index.add(np.full((1, 2), 255, np.uint8), ['far'], [0]); index.remove(['dir/001.png'])"
    )
    before = writing.get("/v1/index").json()["indexes"][0]["generation"]
    subprocess.run([sys.executable, "-c", program, writing.folder], check=True)
    assert within(3, lambda: writing.get(address("far", "photos")).status_code == 200)
    assert writing.get(address("dir/001.png", "photos")).status_code == 404
    answer = writing.post("/v1/search", json={"code": "ffff", "k": 1}).json()
    assert (answer["results"][0]["id"], answer["items"]) == ("far", 257)
    assert answer["generation"] == writing.get("/v1/index").json()["indexes"][0]["generation"] != before


def test_an_answer_under_way_keeps_its_state(writing, monkeypatch):
    asked, changed = threading.Event(), threading.Event()
    search = searching.search

    def slow(state, questions):
        asked.set()
        assert changed.wait(10)
        return search(state, questions)

    monkeypatch.setattr(searching, "search", slow)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(writing.post("/v1/search", json={"code": "0000"})))
    thread.start()
    assert asked.wait(10)
    with Index.open(writing.folder) as index:
        before = index.generation
        index.remove(where="width < 20")
    writing.post("/v1/items", json={"items": [new_item()]})
    changed.set()
    thread.join()
    assert (answers[0].json()["generation"], answers[0].json()["items"]) == (before, 257)
    assert writing.post("/v1/search", json={"code": "0000"}).json()["items"] < 257


def test_decisions_of_any_number_of_items_are_listed(tmp_path):
    with Index.create(tmp_path / "many", 8) as index:
        names = [str(number) for number in range(1500)]
        index.add(np.zeros((1500, 1), dtype=np.uint8), names)
        index.decide([("distinct", names)])
    with client_of(tmp_path / "many") as client:
        assert client.get("/v1/decisions").json() == {"decisions": [{"verdict": "distinct", "ids": names}]}


def test_a_picture_that_the_browser_has_is_not_decoded_again(tmp_path, monkeypatch):
    source = pictures_in(tmp_path / "images")
    with Index.create(tmp_path / "index", 8, description=source.description) as index:
        index.add(np.zeros((1, 1), dtype=np.uint8), ["small.png"])
    with client_of(tmp_path / "index") as client:
        answer = client.get("/v1/items/small.png/thumbnail")
        assert opened(answer.content).size == (32, 20)
        monkeypatch.setattr(client.service, "_pool", None)
        monkeypatch.setattr(client.service, "_thumbnails", None)
        again = client.get("/v1/items/small.png/thumbnail", headers={"If-None-Match": answer.headers["etag"]})
        monkeypatch.undo()
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
